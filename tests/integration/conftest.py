"""What all integration tests share: systems to run against, and users."""

import itertools
import os
import signal

import pytest

from stack import Stack

_numbers = itertools.count(1)
_alive = []


@pytest.fixture(scope="session")
def stack():
    """One system for all tests that do not break anything in it.  Users may
    create as many syncs as they like there."""
    with Stack(env={"SYNCLINE_START_LIMIT": 0}) as system:
        _alive.append(system)
        yield system
        _alive.remove(system)


@pytest.fixture
def make_stack():
    """Makes systems of a test's own, with arguments as Stack has them."""
    made = []

    def make(**kwargs):
        system = Stack(**kwargs)
        made.append(system)
        _alive.append(system)
        return system.up()

    yield make
    for system in made:
        _alive.remove(system)
        system.remove()


@pytest.fixture
def user():
    """The name of a user nobody else is."""
    return f"user-{os.getpid()}-{next(_numbers)}"


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "bound(seconds): how long a test may take; else 120"
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs fails, and lets the others have their turn."""
    marker = item.get_closest_marker("bound")
    seconds = marker.args[0] if marker else 120

    def give_up(*_):
        raise TimeoutError(f"the test took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the last words of every part."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for system in _alive:
        for part in ("runner", "fcgi", "sandbox", "nginx-error", "postgres"):
            lines = system.log(part).splitlines()[-15:]
            if lines:
                report.sections.append((f"{part} log", "\n".join(lines)))
