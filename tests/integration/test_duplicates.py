"""Invariant 1: one active sync per user and connection, whoever asks."""

import collections
import threading

import pytest
import requests

from seller import Seller, finish, start, status


def starts_at_once(stack, user, connections, each, body=None, headers=None):
    """Starts from many HTTP connections that begin together; all answers."""
    token = stack.token(user)
    answers = []
    lock = threading.Lock()
    gate = threading.Barrier(connections)

    def client():
        mine = []
        with requests.Session() as session:
            session.trust_env = False
            gate.wait()
            for _ in range(each):
                mine.append(session.post(
                    stack.base_url + "/api/sync/start", json=body or {},
                    headers={"Authorization": f"Bearer {token}",
                        **(headers or {})}, timeout=60))
        with lock:
            answers.extend(mine)

    threads = [threading.Thread(target=client) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def assert_one(stack, user, answers):
    by_code = collections.Counter(a.status_code for a in answers)
    assert by_code[200] == 1, by_code
    assert by_code[409] == len(answers) - 1, by_code
    ids = {a.json().get("syncId") or a.json().get("existingSyncId")
        for a in answers}
    assert len(ids) == 1
    for answer in answers:
        if answer.status_code == 409:
            body = answer.json()
            assert body["code"] == "sync_in_progress"
            assert "already in progress" in body["error"]
    assert stack.query("SELECT count(*) FROM syncline.sync_all"
        " WHERE user_id = %s", (user,)) == [(1,)]
    return ids.pop()


@pytest.fixture
def slow_stack(make_stack):
    """A seller that hangs: what starts stays running."""
    stack = make_stack(env={"SYNCLINE_START_LIMIT": 0,
        "SYNCLINE_FCGI_PROCESSES": 2})
    Seller(stack).fault("searchOrders", "hang", seconds=30, count=-1)
    return stack


def test_a_thousand_starts_give_one_sync(slow_stack):
    slow_stack.connect("ann")
    answers = starts_at_once(slow_stack, "ann", connections=50, each=20)
    assert len(answers) == 1000
    sync_id = assert_one(slow_stack, "ann", answers)

    # also after the runner was restarted, and while it is down
    slow_stack.stop("runner", "KILL")
    for answer in starts_at_once(slow_stack, "ann", connections=20, each=2):
        assert answer.status_code == 409
        assert answer.json()["existingSyncId"] == sync_id
    slow_stack.start("runner")
    for answer in starts_at_once(slow_stack, "ann", connections=20, each=2):
        assert answer.status_code == 409
        assert answer.json()["existingSyncId"] == sync_id


def test_a_thousand_starts_while_the_runner_is_down(slow_stack):
    slow_stack.connect("bob")
    slow_stack.stop("runner")
    answers = starts_at_once(slow_stack, "bob", connections=50, each=20)
    sync_id = assert_one(slow_stack, "bob", answers)
    assert status(slow_stack, "bob", sync_id)["phase"] == "queued"


def test_starts_and_ends_race_without_a_second_active_one(make_stack):
    """Small syncs end while others start: each answer names a real sync, and
    no committed state ever held two."""
    stack = make_stack(env={"SYNCLINE_START_LIMIT": 0},
        sandbox_args=["--orders", 20, "--skus", 5])
    stack.connect("eve")
    answers = starts_at_once(stack, "eve", connections=16, each=25)
    known = {row[0] for row in stack.query(
        "SELECT sync_id FROM syncline.sync_all WHERE user_id = 'eve'")}
    for answer in answers:
        assert answer.status_code in (200, 409), answer.text
        body = answer.json()
        assert (body.get("syncId") or body["existingSyncId"]) in known
    started = sum(a.status_code == 200 for a in answers)
    assert started == len(known)
    # ended ones never overlap in time: each began after the one before ended
    assert stack.query(
        "SELECT count(*) FROM (SELECT started_at, lag(completed_at) OVER"
        " (ORDER BY started_at) AS before FROM syncline.sync_history"
        " WHERE user_id = 'eve') s WHERE started_at < before") == [(0,)]


def test_two_connections_of_a_user_sync_side_by_side(slow_stack):
    stack = slow_stack
    stack.connect("cid")
    other = stack.api("PUT", "/api/v1/connections/second", user="cid", json={
        "provider": "spapi", "refreshToken": "Atzr|sandbox-SELLER1",
        "region": "na", "isDefault": False})
    assert other.status_code in (200, 201)
    first = start(stack, "cid", connectionId="amazon")
    second = start(stack, "cid", connectionId="second")
    assert first != second


def test_an_idempotency_key_gives_one_sync_and_one_answer(make_stack):
    stack = make_stack(env={"SYNCLINE_START_LIMIT": 0},
        sandbox_args=["--orders", 20, "--skus", 5])
    stack.connect("kim")
    answers = starts_at_once(stack, "kim", connections=20, each=5,
        headers={"Idempotency-Key": "k-1"})
    assert {a.status_code for a in answers} == {200}
    ids = {a.json()["syncId"] for a in answers}
    assert len(ids) == 1
    finish(stack, "kim", ids.pop())


def test_a_stale_row_does_not_block(stack, user):
    """A row that an older system left running is ended, not waited for."""
    Seller(stack).make(user, seed=user, orders=20, skus=5)
    stack.connect(user, seller=user)
    stack.query("INSERT INTO syncline.sync_active (sync_id, user_id,"
        " connection_id, provider, cause, started_at) VALUES"
        " (%s, %s, 'amazon', 'spapi', 'import', now() - interval '1 day')",
        (f"old-{user}", user))
    sync_id = start(stack, user)
    assert sync_id != f"old-{user}"
    old = status(stack, user, f"old-{user}")
    assert old["status"] == "failed" and old["error"]["code"] == "abandoned"
    finish(stack, user, sync_id)
