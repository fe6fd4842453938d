"""The runner alone: hints, cancels, hand-overs, and what it leaves behind."""

import ctypes
import json
import os
import re
import subprocess
import threading
import time
import uuid

import pytest

from seller import Seller, finish, start, status
from stack import BUILD, wait_for

FAST = {"SYNCLINE_START_LIMIT": 0, "SYNCLINE_LEASE_MS": 2000,
    "SYNCLINE_SCAN_MS": 200, "SYNCLINE_RETRY_BASE_MS": 200}


class Line:
    """A handler's line to a runner: one NNG request at a time."""

    _nng = ctypes.CDLL("libnng.so.1")

    class _Socket(ctypes.Structure):
        _fields_ = [("id", ctypes.c_uint32)]

    def __init__(self, url):
        self._socket = self._Socket()
        assert self._nng.nng_req0_open(ctypes.byref(self._socket)) == 0
        for option in (b"recv-timeout", b"send-timeout"):
            self._nng.nng_socket_set_ms(self._socket, option, 5000)
        assert self._nng.nng_dial(self._socket, url.encode(), None, 0) == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._nng.nng_close(self._socket)

    def ask(self, message):
        """Sends an object (or raw bytes); the answer as an object."""
        if not isinstance(message, bytes):
            message = json.dumps({"v": 1, **message}).encode()
        assert self._nng.nng_send(self._socket, message,
            ctypes.c_size_t(len(message)), 0) == 0
        answer, size = ctypes.c_void_p(), ctypes.c_size_t()
        assert self._nng.nng_recv(self._socket, ctypes.byref(answer),
            ctypes.byref(size), 1) == 0
        text = ctypes.string_at(answer, size.value)
        self._nng.nng_free(answer, size)
        return json.loads(text)


def line(stack):
    return Line(stack.settings()["SYNCLINE_RUNNER_LISTEN"])


def insert(stack, user):
    """A sync that no handler told anybody of."""
    sync_id = str(uuid.uuid4())
    stack.query("INSERT INTO syncline.sync_active (sync_id, user_id,"
        " connection_id, provider) VALUES (%s, %s, 'amazon', 'spapi')",
        (sync_id, user))
    return sync_id


def row(stack, sync_id):
    """Status, phase, owner, epoch, attempt and crashes of a sync."""
    return stack.query("SELECT status, phase, runner_id, lease_epoch, attempt,"
        " crash_count FROM syncline.sync_all WHERE sync_id = %s",
        (sync_id,))[0]


def small(stack, user, **fields):
    Seller(stack).make(user, seed=user, **{"orders": 200, "skus": 20, **fields})
    stack.connect(user, seller=user)


def hang(stack, user):
    """The user's seller hangs: a sync stays in its step."""
    return Seller(stack).fault("searchOrders", "hang", seller=user,
        seconds=60, count=-1)


def in_step(stack, user):
    wait_for(lambda: Seller(stack).calls(seller=user,
        operation="searchOrders") or None)


@pytest.fixture(scope="module")
def quick():
    """One system for the tests that break nothing."""
    from stack import Stack
    with Stack(env=FAST) as system:
        yield system


def test_a_ping_says_who_it_is(quick):
    with line(quick) as runner:
        pong = runner.ask({"op": "ping"})
    assert pong["ok"] is True and pong["active"] >= 0
    assert quick.query("SELECT name, version FROM syncline.runners"
        " WHERE runner_id = %s AND lease_until > clock_timestamp()",
        (pong["runnerId"],)) == [(pong["name"], pong["version"])]


@pytest.mark.parametrize("message", [b"", b"{", b"[]", b"null", b"\xff\x00",
    b'{"v":1}', b'{"v":1,"op":"cancel"}', b'{"v":1,"op":"start","syncIds":7}',
    b'{"v":1,"op":"dance"}', b" " * 60000])
def test_nonsense_is_answered_and_survived(quick, message):
    with line(quick) as runner:
        answer = runner.ask(message)
        assert answer["ok"] is False and answer["code"]
        assert runner.ask({"op": "ping"})["ok"] is True


def test_a_lost_hint_is_found_by_the_scan(quick, user):
    small(quick, user)
    finish(quick, user, insert(quick, user))


def test_hints_may_come_often_and_for_nothing(quick, user):
    small(quick, user)
    sync_id = insert(quick, user)

    def hint():
        with line(quick) as runner:
            for _ in range(50):
                assert runner.ask({"op": "start", "syncIds":
                    [sync_id, sync_id, str(uuid.uuid4())]})["ok"] is True

    threads = [threading.Thread(target=hint) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    finish(quick, user, sync_id)
    # one start, one claim, one sync
    assert row(quick, sync_id)[3] == 1
    assert quick.query("SELECT count(*) FROM syncline.sync_all"
        " WHERE user_id = %s", (user,)) == [(1,)]


def test_cancel_in_a_step_answers_after_the_commit(quick, user):
    small(quick, user)
    fault = hang(quick, user)
    sync_id = start(quick, user)
    in_step(quick, user)
    with line(quick) as runner:
        foreign = runner.ask({"op": "cancel", "userId": user + "x",
            "syncId": sync_id})
        assert foreign == {"v": 1, "ok": False, "code": "not_mine"}
        begin = time.monotonic()
        answer = runner.ask({"op": "cancel", "userId": user,
            "syncId": sync_id})
        took = time.monotonic() - begin
        assert row(quick, sync_id)[0] == "cancelled"
        assert answer["ok"] is True and answer["status"] == "cancelled"
        assert took < 2
        again = runner.ask({"op": "cancel", "userId": user,
            "syncId": sync_id})
        assert again["code"] == "not_mine"
    Seller(quick)._call("DELETE", f"fault/{fault}")
    # its place is free, and the worker too
    finish(quick, user, start(quick, user))
    assert row(quick, sync_id)[0] == "cancelled"


def test_cancel_while_it_waits_for_a_retry(quick, user):
    small(quick, user)
    fault = Seller(quick).fault("searchOrders", "503", seller=user, count=-1)
    sync_id = start(quick, user)
    wait_for(lambda: status(quick, user, sync_id)["phase"] == "retry_wait")
    answer = quick.api("POST", f"/api/sync/cancel/{sync_id}", user=user)
    assert answer.status_code == 200, answer.text
    Seller(quick)._call("DELETE", f"fault/{fault}")
    time.sleep(0.5)
    assert row(quick, sync_id)[0] == "cancelled"


def test_attempts_are_counted_and_shown_and_end(quick, user):
    small(quick, user)
    fault = Seller(quick).fault("searchOrders", "503", seller=user, count=-1)
    sync_id = start(quick, user)
    seen = wait_for(lambda: [s for s in [status(quick, user, sync_id)]
        if s["phase"] == "retry_wait"])[0]
    assert seen["status"] == "running" and seen["attempt"] >= 2
    assert seen["error"]["code"] and seen["nextRetryAt"]
    done = finish(quick, user, sync_id, want="failed")
    assert done["attempt"] == done["maxAttempts"]
    assert done["error"]["retryable"] is True
    told = [event["message"] for event in quick.api("GET",
        "/api/sync/activity", user=user).json()]
    for attempt in range(2, done["maxAttempts"] + 1):
        assert any(f"attempt {attempt} of" in text for text in told), told
    Seller(quick)._call("DELETE", f"fault/{fault}")


def test_a_cancel_nobody_holds(make_stack):
    stack = make_stack(env=FAST)
    small(stack, "ann")
    hang(stack, "ann")
    held = start(stack, "ann")
    in_step(stack, "ann")
    stack.stop("runner", "KILL")
    small(stack, "bob")
    queued = start(stack, "bob")
    for user, sync_id in (("ann", held), ("bob", queued)):
        answer = stack.api("POST", f"/api/sync/cancel/{sync_id}", user=user)
        assert answer.status_code == 200, answer.text
    Seller(stack).mend()
    stack.start("runner")
    time.sleep(1)
    assert row(stack, held)[0] == row(stack, queued)[0] == "cancelled"
    finish(stack, "bob", start(stack, "bob"))


def test_sigterm_hands_back_and_the_next_goes_on(make_stack):
    stack = make_stack(env={**FAST, "SYNCLINE_DRAIN_MS": 300})
    small(stack, "ann", orders=20000)
    small(stack, "bob")
    hang(stack, "bob")  # a step that does not end by itself
    long = start(stack, "ann")
    hung = start(stack, "bob")
    wait_for(lambda: status(stack, "ann", long)["progress"] > 2)
    in_step(stack, "bob")
    begin = time.monotonic()
    stack.stop("runner")
    assert time.monotonic() - begin < 8
    assert "runner_down" in stack.log("runner")
    for sync_id in (long, hung):
        assert row(stack, sync_id)[:3] == ("running", "queued", None)
        assert row(stack, sync_id)[4:] == (1, 0)
    assert stack.query("SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name IN (SELECT runner_id FROM syncline.runners)",
        role="admin") == [(0,)]
    before = status(stack, "ann", long)
    Seller(stack).mend()
    stack.start("runner")
    wait_for(lambda: status(stack, "ann", long)["phase"] != "queued",
        seconds=3)
    assert status(stack, "ann", long)["progress"] >= before["progress"]
    done = finish(stack, "ann", long, seconds=100)
    finish(stack, "bob", hung)
    assert row(stack, long)[4:] == (1, 0)
    # nothing was read twice
    orders = {s["name"]: s for s in done["streams"]}["orders"]
    assert orders["repeated"] < 500


def test_one_runner_to_a_name(make_stack):
    stack = make_stack(env=FAST)
    env = {**os.environ, **{key: value for key, value in
        stack.settings().items() if key.startswith("SYNCLINE_")}}
    done = subprocess.run([BUILD / "syncline-runner"], env=env, timeout=20,
        capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is running already" in done.stderr
    # and the first did not notice
    small(stack, "ann")
    finish(stack, "ann", start(stack, "ann"))


def test_settings_and_version_are_told():
    run = [BUILD / "syncline-runner"]
    version = subprocess.run([*run, "--version"], capture_output=True,
        text=True, check=True).stdout
    assert version.startswith("syncline-runner ")
    env = {**os.environ, "SYNCLINE_WORKERS": "3",
        "SYNCLINE_DB": "password=hush"}
    told = subprocess.run([*run, "--settings"], env=env, capture_output=True,
        text=True, check=True).stdout
    assert "SYNCLINE_WORKERS=3\n" in told and "hush" not in told
    bad = subprocess.run(run, env={**env, "SYNCLINE_WORKERS": "many"},
        capture_output=True, text=True, check=False)
    assert bad.returncode == 2 and "SYNCLINE_WORKERS" in bad.stderr


class Belongings:
    """What a runner has: descriptors, threads, memory and sessions."""

    def __init__(self, stack):
        pid = stack.pid("runner")
        self.files = len(os.listdir(f"/proc/{pid}/fd"))
        self.threads = len(os.listdir(f"/proc/{pid}/task"))
        with open(f"/proc/{pid}/statm", encoding="ascii") as f:
            self.pages = int(f.read().split()[1])
        self.sessions = stack.query("SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name IN"
            " (SELECT runner_id FROM syncline.runners)", role="admin")[0][0]


@pytest.mark.bound(300)
def test_1000_starts_and_cancels_leave_nothing_behind(make_stack):
    stack = make_stack(env={**FAST, "SYNCLINE_WORKERS": 2})
    small(stack, "ann")
    token = stack.token("ann")

    def pairs(n):
        for _ in range(n):
            answer = stack.api("POST", "/api/sync/start", token=token)
            assert answer.status_code == 200, answer.text
            sync_id = answer.json()["syncId"]
            answer = stack.api(
                "POST", f"/api/sync/cancel/{sync_id}", token=token)
            assert answer.status_code in (200, 409), answer.text

    # each worker has had a step before it counts
    for user in ("bob", "cid"):
        small(stack, user)
        hang(stack, user)
    held = {user: start(stack, user) for user in ("bob", "cid")}
    for user, sync_id in held.items():
        in_step(stack, user)
    for user, sync_id in held.items():
        assert stack.api("POST", f"/api/sync/cancel/{sync_id}",
            user=user).status_code == 200
    Seller(stack).mend()
    pairs(100)
    wait_for(lambda: stack.query(
        "SELECT count(*) FROM syncline.sync_active") == [(0,)])
    time.sleep(1.5)
    before = Belongings(stack)
    pairs(1000)

    def left_behind():
        """What is more than before, once all is quiet again."""
        after = Belongings(stack)
        more = {
            # a kept connection each
            "files": after.files - before.files - 2,
            "threads": after.threads - before.threads,
            "sessions": after.sessions - before.sessions,
        }
        # sanitizers have a memory of their own that grows
        if not re.search("address|thread", BUILD.name):
            more["pages"] = after.pages - before.pages - 1024  # 4 MB
        return {what: n for what, n in more.items() if n > 0}

    try:
        wait_for(lambda: not left_behind(), pause=0.5)
    except AssertionError:
        assert left_behind() == {}
    with line(stack) as runner:
        wait_for(lambda: runner.ask({"op": "ping"})["active"] == 0)
    # whom a cancel hit does not show in whoever came next
    assert "internal_error" not in stack.log("runner")
