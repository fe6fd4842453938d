"""The floor under the handlers: processes that come and go, threads that are
held, neighbours that are away."""

import concurrent.futures
import http.client
import os
import pathlib
import signal
import threading
import time

import pytest

import fastcgi
from stack import wait_for


@pytest.fixture(scope="module")
def small():
    """Two processes of four threads: little to hold."""
    from stack import Stack

    env = {
        "SYNCLINE_FCGI_PROCESSES": 2,
        "SYNCLINE_FCGI_THREADS": 4,
        "SYNCLINE_START_LIMIT": 0,
    }
    with Stack(env=env) as system:
        yield system


def children(pid):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] not in "ZX":
            found.append(int(stat.parent.name))
    return sorted(found)


def alive(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


def handlers_socket(stack):
    return stack.settings()["SYNCLINE_FCGI_SOCKET"]


class Load:
    """Writers on kept connections: each makes rows nobody made before, so a
    write that was lost or done twice shows."""

    def __init__(self, stack, user, writers):
        self.stack, self.user = stack, user
        self.port = stack.settings()["STACK_PORT"]
        self.token = stack.token(user)
        self.made, self.bad = [], []
        self.over = threading.Event()
        self.threads = [
            threading.Thread(target=self.write, args=(n,))
            for n in range(writers)
        ]

    def write(self, writer):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
        }
        number = 0
        while not self.over.is_set():
            number += 1
            name = f"c{writer}-{number}"
            try:
                conn.request(
                    "PUT",
                    f"/api/v1/connections/{name}",
                    '{"refreshToken":"Atzr|x"}',
                    headers,
                )
                answer = conn.getresponse()
                text = answer.read()
            except OSError as error:
                self.bad.append((name, repr(error)))
                conn.close()
                continue
            if answer.status == 201:
                self.made.append(name)
            else:
                self.bad.append((name, answer.status, text))
        conn.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def check(self):
        rows = self.stack.query(
            "SELECT connection_id FROM syncline.connections"
            " WHERE user_id = %s",
            (self.user,),
        )
        assert not self.bad, self.bad[:3]
        assert {row[0] for row in rows} == set(self.made)


# Processes that come and go.


def test_a_reload_under_load_loses_no_request(small, user):
    parent = small.pid("fcgi")
    before = set(children(parent))
    with Load(small, user, 6) as load:
        for _ in range(3):
            time.sleep(0.3)
            os.kill(parent, signal.SIGHUP)
            wait_for(
                lambda: len(children(parent)) == 2
                and not before & set(children(parent)),
                30,
            )
            before = set(children(parent))
    assert len(load.made) > 300
    load.check()


def test_recycled_processes_lose_no_request(make_stack, user):
    stack = make_stack(
        env={"SYNCLINE_FCGI_RECYCLE": 250, "SYNCLINE_FCGI_THREADS": 8}
    )
    parent = stack.pid("fcgi")
    seen = set(children(parent))
    with Load(stack, user, 6) as load:
        end = time.monotonic() + 12
        while time.monotonic() < end:
            seen |= set(children(parent))
            assert len(children(parent)) <= 3
            time.sleep(0.05)
    load.check()
    assert len(seen) >= 4


def test_a_killed_process_comes_back_and_the_others_answer(small):
    parent = small.pid("fcgi")
    victim = children(parent)[0]
    os.kill(victim, signal.SIGKILL)
    for _ in range(20):
        assert small.api("GET", "/healthz").status_code == 200
    wait_for(lambda: len(children(parent)) == 2, 10)
    assert victim not in children(parent)


def test_an_end_is_prompt_and_clean(make_stack):
    stack = make_stack()
    parent = stack.pid("fcgi")
    mine = children(parent)
    assert stack.api("GET", "/healthz").status_code == 200
    os.kill(parent, signal.SIGTERM)
    wait_for(lambda: not any(map(alive, [parent, *mine])), 3)
    assert not pathlib.Path(handlers_socket(stack)).exists()
    assert stack.api("GET", "/healthz").status_code == 503
    stack.start("fcgi")
    assert stack.api("GET", "/healthz").status_code == 200


def test_children_do_not_outlive_their_parent(make_stack):
    stack = make_stack()
    parent = stack.pid("fcgi")
    mine = children(parent)
    assert len(mine) == 2
    os.kill(parent, signal.SIGKILL)
    wait_for(lambda: not any(map(alive, mine)), 5)
    # The socket's file is still there and is taken over.
    assert pathlib.Path(handlers_socket(stack)).exists()
    stack.start("fcgi")
    assert stack.api("GET", "/readyz").status_code == 200


# Threads that are held.


def test_kept_connections_do_not_starve_others(small):
    path = handlers_socket(small)
    kept = []
    try:
        # More than there are threads; each is served once and then kept.
        for _ in range(16):
            conn = fastcgi.Connection(path)
            begin = time.monotonic()
            assert conn.ask("GET", "/healthz")[0] == 200
            assert time.monotonic() - begin < 2
            kept.append(conn)
        begin = time.monotonic()
        assert small.api("GET", "/healthz").status_code == 200
        assert time.monotonic() - begin < 2
    finally:
        for conn in kept:
            conn.close()


def test_a_body_nobody_reads_is_not_read_as_a_request(small):
    inner = fastcgi.message("GET", "/api/nothing-smuggled")
    for padding in (0, 1, 8, 8000, 8192, 70000):
        conn = fastcgi.Connection(handlers_socket(small))
        body = b"x" * padding + inner
        assert conn.ask("POST", "/api/metrics/track", body)[0] == 204
        assert conn.ask("GET", "/api/other")[0] == 404
        conn.close()
    assert "nothing-smuggled" not in small.log("fcgi")


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"\0" * 100,
        b"\x01\x01\0\x01\0\x08\0\0" + b"\xff" * 8,
        fastcgi.message("GET", "/healthz")[:40],
        b"",
    ],
)
def test_junk_on_the_socket_hurts_nobody(small, junk):
    conns = [fastcgi.Connection(handlers_socket(small)) for _ in range(4)]
    for conn in conns:
        conn.send(junk)
        conn.close()
    assert small.api("GET", "/healthz").status_code == 200
    assert len(children(small.pid("fcgi"))) == 2


def test_an_aborted_request_leaves_the_others_alone(small, user):
    whole = fastcgi.message(
        "POST",
        "/api/sync/start",
        b"{}" * 3000,
        CONTENT_TYPE="application/json",
        HTTP_AUTHORIZATION="Bearer " + small.token(user),
    )
    for cut in (len(whole) - 5, len(whole) // 2):
        conn = fastcgi.Connection(handlers_socket(small))
        conn.send(whole[:cut])
        conn.close()
    assert small.api("GET", "/api/sync/status", user=user).status_code == 200


# Neighbours that are away.


def test_postgresql_away_is_told_at_once_and_recovered_from(make_stack, user):
    stack = make_stack()
    stack.connect(user)
    stack.stop("postgres")

    def ask(_):
        begin = time.monotonic()
        answer = stack.api("GET", "/api/sync/status", user=user)
        return answer, time.monotonic() - begin

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(100)))
    for answer, seconds in answers:
        assert answer.status_code == 503
        assert answer.json()["code"] == "unavailable"
        assert int(answer.headers["Retry-After"]) >= 1
        assert seconds < 2
    assert stack.api("GET", "/healthz").status_code == 200
    assert stack.api("GET", "/readyz").status_code == 503
    assert stack.api("POST", "/api/metrics/track").status_code == 204

    stack.start("postgres")
    wait_for(
        lambda: stack.api("GET", "/readyz").status_code == 200, 3, pause=0.1
    )
    for _ in range(20):
        answer = stack.api("GET", "/api/sync/status", user=user)
        assert answer.status_code == 200


def test_restarted_postgresql_costs_no_request_after_it(make_stack, user):
    stack = make_stack()
    for _ in range(30):
        assert stack.api("GET", "/readyz").status_code == 200
    stack.stop("postgres", "INT")
    stack.start("postgres")
    for _ in range(30):
        answer = stack.api("GET", "/api/sync/status", user=user)
        assert answer.status_code == 200


def _start_times(stack, user, n):
    seconds = []
    for _ in range(n):
        begin = time.monotonic()
        answer = stack.api("POST", "/api/sync/force", user=user)
        seconds.append(time.monotonic() - begin)
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "running"
    return sorted(seconds)


def test_a_hung_runner_costs_starts_nothing(make_stack, user):
    stack = make_stack(env={"SYNCLINE_START_LIMIT": 0})
    stack.connect(user)
    stack.stop("runner", "STOP")
    try:
        times = _start_times(stack, user, 20)
    finally:
        stack.stop("runner", "CONT")
    # One question in a second finds out; each is bounded.
    assert times[-1] < 0.8
    assert times[len(times) // 2] < 0.15


def test_an_absent_runner_costs_starts_nothing(make_stack, user):
    stack = make_stack(env={"SYNCLINE_START_LIMIT": 0})
    stack.connect(user)
    stack.stop("runner", "KILL")
    times = _start_times(stack, user, 20)
    assert times[len(times) // 2] < 0.15
    ready = stack.api("GET", "/readyz").json()
    assert ready["ready"] is True
    assert ready["runnersConnected"] == 0
