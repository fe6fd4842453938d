"""Every route of the contract, field by field, and each number it tells."""

import json
import threading
import time
import uuid

import pytest

from contract import Contract
from seller import Seller, finish, start
from stack import wait_for

START = "/api/sync/start"
FORCE = "/api/sync/force"
SENTENCE = ("Amazon connection not found. Please connect your Amazon account "
    "first.")
STARTS = [START, FORCE, "/api/enhanced-sync/start",
    "/api/v1/integrations/sync/start", "/api/v1/integrations/amazon/sync"]
STATUSES = ["/api/sync/status/", "/api/enhanced-sync/status/",
    "/api/enhanced-sync/progress/", "/api/v1/integrations/sync/status/"]
HISTORIES = ["/api/sync/history", "/api/enhanced-sync/history",
    "/api/v1/integrations/sync/history"]
STATISTICS = ["/api/sync/statistics", "/api/enhanced-sync/statistics",
    "/api/v1/integrations/sync/statistics"]
CANCELS = ["/api/sync/cancel/", "/api/enhanced-sync/cancel/",
    "/api/v1/integrations/sync/cancel/"]


def is_classic(path):
    return path.startswith("/api/v1/integrations/sync/")


class Client:
    """Calls that are held against the contract as they come back."""

    def __init__(self, stack):
        self.stack = stack
        self.contract = Contract(stack)
        self.called = set()

    def call(self, method, path, user=None, want=200, **kwargs):
        answer = self.stack.api(method, path, user=user, **kwargs)
        assert answer.status_code == want, (method, path, answer.text)
        template = self.template(method.lower(), path.partition("?")[0])
        self.called.add((method.lower(), template))
        return self.contract.check(method.lower(), template, answer)

    def template(self, method, path):
        known = {p for m, p in self.contract.routes() if m == method}
        if path in known:
            return path
        return path.rpartition("/")[0] + "/{id}"

    def get(self, path, user, **kwargs):
        return self.call("GET", path, user, **kwargs)

    def post(self, path, user, **kwargs):
        return self.call("POST", path, user, **kwargs)


@pytest.fixture(scope="module")
def client(stack):
    return Client(stack)


@pytest.fixture
def connected(stack, user):
    Seller(stack).make(user, seed=user, orders=60, skus=12)
    stack.connect(user, seller=user)
    return user


@pytest.fixture
def slow(stack, connected):
    """A user whose syncs stay running: their seller hangs."""
    seller = Seller(stack)
    fault = seller.fault("searchOrders", "hang", seller=connected, seconds=60,
        count=-1)
    yield connected
    seller._call("DELETE", f"fault/{fault}")
    # what hangs would hold the runner's workers
    for (sync_id,) in stack.query("SELECT sync_id FROM syncline.sync_active"
            " WHERE user_id = %s", (connected,)):
        stack.api("POST", f"/api/sync/cancel/{sync_id}", user=connected)


def connect_second(stack, user):
    """Another account of the same user, and no default among the two."""
    answer = stack.api("PUT", "/api/v1/connections/second", user=user,
        json={"refreshToken": f"Atzr|sandbox-{user}"})
    assert answer.status_code == 201, answer.text
    stack.query("UPDATE syncline.connections SET is_default = false"
        " WHERE user_id = %s", (user,))


def count(stack, user, where="true"):
    return stack.query("SELECT count(*) FROM syncline.sync_all"
        f" WHERE user_id = %s AND {where}", (user,))[0][0]


# Nobody, and a user without anything.

def test_a_user_without_anything(client, user):
    body = client.get("/api/sync/status", user)
    assert body["status"] == body["state"] == "idle"
    assert body["hasActiveSync"] is False and body["lastSync"] is None
    assert body["syncId"] is None and body["ordersProcessed"] is None
    assert body["progress"] == 0 and body["nextScheduledSync"] is None
    for path in HISTORIES:
        body = client.get(path, user)
        assert body["syncs"] == body["history"] == [] and body["total"] == 0
    for path in STATISTICS:
        got = client.get(path, user)["statistics"]
        assert got["totalSyncs"] == got["totalOrdersProcessed"] == 0
        for name in ("successRate", "averageDuration", "p50Duration",
                "p95Duration"):
            assert got[name] is None, name
    assert client.get("/api/sync/activity", user) == []
    assert client.get("/api/sync/activity?format=object", user) == {
        "success": True, "activities": [], "total": 0, "has_more": False}
    queue = client.get("/api/enhanced-sync/queue-status", user)
    assert set(queue["queueStatus"].values()) == {0}
    assert queue["activeSync"] is None
    assert client.get("/api/v1/connections", user)["connections"] == []
    body = client.get("/api/v1/integrations/status", user)
    assert body["amazon_connected"] is False and body["lastSync"] is None
    for path in STARTS:
        body = client.post(path, user, want=400)
        assert body["message"] == SENTENCE
        amazon = path.endswith("/amazon/sync")
        assert body["code"] == (
            "amazon_not_connected" if amazon else "not_connected")
        assert body["error"] == (
            "amazon_not_connected" if amazon else SENTENCE)
    body = client.post("/api/sync/force-clear", user)
    assert body["clearedCount"] == 0
    client.post("/api/sync/cancel", user, want=404)


def test_what_needs_no_identity(client, stack):
    assert client.call("GET", "/healthz")["status"] == "ok"
    ready = client.call("GET", "/readyz")
    assert {"name": "runner", "status": "up"} in [
        {**r, "name": "runner"} for r in ready["runners"]]
    client.call("GET", "/api/openapi.json")
    for kwargs in ({}, {"json": {"event": "x"}}, {"data": b"\xff{"},
            {"token": "nonsense"}, {"data": "a=1",
            "headers": {"Content-Type": "text/plain"}}):
        client.call("POST", "/api/metrics/track", want=204, **kwargs)


def test_a_start_says_what_it_did(client, slow):
    body = client.post(START, slow)
    assert set(body) >= {"success", "syncId", "status", "phase", "message"}
    assert body["status"] == "running" and body["phase"] == "queued"
    sync = client.get(f"/api/sync/status/{body['syncId']}", slow)
    assert sync["syncId"] == body["syncId"] and sync["userId"] == slow
    assert sync["provider"] == "spapi" and sync["priority"] == "normal"
    assert sync["connectionId"] == body["connectionId"] == "amazon"
    assert sync["startedAt"] == body["startedAt"]
    assert sync["completedAt"] is None and sync["error"] is None
    assert uuid.UUID(body["syncId"]).version == 7
    latest = client.get("/api/sync/status", slow)
    assert latest["hasActiveSync"] is True
    assert latest["lastSync"]["syncId"] == latest["syncId"] == body["syncId"]


def test_each_surface_meets_a_running_sync_in_its_own_way(client, slow):
    first = client.post(START, slow)["syncId"]
    for path in (START, "/api/enhanced-sync/start"):
        body = client.post(path, slow, want=409)
        assert body["code"] == "sync_in_progress"
        assert body["existingSyncId"] == first
        assert "already in progress" in body["error"]
    body = client.post("/api/v1/integrations/amazon/sync", slow, want=409)
    assert body["error"] == "sync_in_progress"
    assert body["existingSyncId"] == first
    body = client.post("/api/v1/integrations/sync/start", slow)
    assert body["alreadyRunning"] is True and body["syncId"] == first
    assert body["status"] == "in_progress" and body["state"] == "running"
    for path in STATUSES:
        sync = client.get(path + first, slow)
        assert sync["state"] == "running"
        assert sync["status"] == (
            "in_progress" if is_classic(path) else "running")
    for name in ("id", "syncId"):
        sync = client.get(f"/api/sync/status?{name}={first}", slow)
        assert sync["status"] == "in_progress" and sync["syncId"] == first


def test_a_rerun_is_noted_once(client, stack, slow):
    first = client.post(START, slow)["syncId"]
    for _ in range(3):
        body = client.post(START, slow, want=409, json={"rerun": True})
        assert body["rerunNoted"] is True and body["existingSyncId"] == first
    body = client.post("/api/v1/integrations/sync/start", slow,
        json={"rerun": True})
    assert body["alreadyRunning"] and body["rerunNoted"]
    assert stack.query("SELECT rerun FROM syncline.sync_active"
        " WHERE user_id = %s", (slow,)) == [(True,)]
    # cancelled means that the user has had enough
    client.post("/api/sync/cancel", slow)
    assert count(stack, slow) == 1


def test_a_rerun_follows_a_sync_that_completes(client, stack, connected):
    seller = Seller(stack)
    seller.fault("searchOrders", "slow", seller=connected, seconds=1, count=2)
    first = client.post(START, connected)["syncId"]
    client.post(START, connected, want=409, json={"rerun": True})
    finish(stack, connected, first)
    wait_for(lambda: count(stack, connected) == 2)
    second = client.get("/api/sync/status", connected)
    assert second["syncId"] != first
    finish(stack, connected, second["syncId"])
    assert count(stack, connected) == 2


def test_which_connection_is_meant(client, stack, slow):
    connect_second(stack, slow)
    body = client.post(START, slow, want=400)
    assert body["code"] == "connection_required"
    assert body["connections"] == ["amazon", "second"]
    one = client.post(START, slow, json={"connectionId": "second"})
    other = client.post(START, slow, json={"connectionId": "amazon"})
    assert one["syncId"] != other["syncId"]
    body = client.post("/api/sync/cancel", slow, want=409)
    assert body["code"] == "ambiguous"
    assert sorted(body["syncIds"]) == sorted(
        [one["syncId"], other["syncId"]])
    stack.query("UPDATE syncline.connections SET is_default ="
        " (connection_id = 'second') WHERE user_id = %s", (slow,))
    body = client.post(START, slow, want=409)
    assert body["existingSyncId"] == one["syncId"]
    for path in HISTORIES:
        page = client.get(path + "?connectionId=second", slow)
        assert [s["syncId"] for s in page["syncs"]] == [one["syncId"]]
        assert page["total"] == 1


def test_what_is_asked_for_is_what_is_done(client, stack, connected):
    sync_id = client.post(START, connected, json={"streams": ["inventory"],
        "mode": "full", "priority": "low", "unknown": 1,
        "connectionId": None})["syncId"]
    sync = finish(stack, connected, sync_id)
    assert [s["name"] for s in sync["streams"]] == ["inventory"]
    assert sync["priority"] == "low"
    assert sync["ordersProcessed"] is None and sync["totalOrders"] is None
    assert sync["inventoryCount"] == 12 or sync["inventoryCount"] > 0
    body = client.post(START, connected, role="admin",
        json={"priority": "urgent", "streams": ["orders"]})
    sync = finish(stack, connected, body["syncId"])
    assert sync["priority"] == "urgent"
    # which was granted for that one only
    again = client.post(f"/api/sync/retry/{body['syncId']}", connected)
    assert client.get(f"/api/sync/status/{again['syncId']}",
        connected)["priority"] == "normal"


# Force, force-clear, retry, keys.

def test_force_replaces_what_runs(client, stack, slow):
    first = client.post(FORCE, slow)
    assert first["replacedSyncId"] is None
    second = client.post(FORCE, slow)
    assert second["replacedSyncId"] == first["syncId"]
    assert second["syncId"] != first["syncId"]
    old = client.get(f"/api/sync/status/{first['syncId']}", slow)
    assert old["status"] == "cancelled"
    assert old["message"] == "Sync cancelled by user"
    assert old["completedAt"] is not None and old["error"] is None
    old = client.get(
        f"/api/v1/integrations/sync/status/{first['syncId']}", slow)
    assert old["status"] == "failed" and old["state"] == "cancelled"
    assert old["message"] == "Sync cancelled by user"
    assert client.post(START, slow, want=409)["existingSyncId"] == \
        second["syncId"]


def test_many_forces_leave_one(client, stack, slow):
    """Invariant 1 holds in every committed state, forced or not."""
    answers = []

    def force():
        answers.append(stack.api("POST", FORCE, user=slow))

    threads = [threading.Thread(target=force) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [a.json()["syncId"] for a in answers if a.status_code == 200]
    assert made and {a.status_code for a in answers} <= {200, 503}
    assert len(set(made)) == len(made) == count(stack, slow)
    assert count(stack, slow, "status = 'running'") == 1
    replaced = [a.json()["replacedSyncId"] for a in answers
        if a.status_code == 200]
    ended = [i for i in replaced if i]
    assert len(ended) == len(set(ended)) == len(made) - 1


def test_a_key_gives_the_same_sync(client, stack, slow):
    for path in (START, "/api/enhanced-sync/start", FORCE):
        client.post(FORCE, slow)
        client.post("/api/sync/cancel", slow)
        key = {"Idempotency-Key": f"{slow} {path}"}
        body = {"mode": "full", "priority": "low"}
        before = count(stack, slow)
        first = client.post(path, slow, headers=key, json=body)
        again = client.post(path, slow,
            headers={**key, "Content-Type": "application/json"},
            data=b' { "priority" : "low", "mode":"full" } ')
        assert again["syncId"] == first["syncId"]
        assert count(stack, slow) == before + 1
        other = client.post(path, slow, want=422, headers=key,
            json={"mode": "full"})
        assert other["code"] == "idempotency_mismatch"
        # also once it has ended
        client.post(f"/api/sync/cancel/{first['syncId']}", slow)
        again = client.post(path, slow, headers=key, json=body)
        assert again["syncId"] == first["syncId"]
        assert count(stack, slow, "status = 'running'") == 0


def test_a_key_at_the_same_moment_gives_one_sync(client, stack, slow):
    connect_second(stack, slow)
    key = {"Idempotency-Key": f"{slow}-race"}
    answers = []

    def ask(connection):
        answers.append(stack.api("POST", START, user=slow, headers=key,
            json={"connectionId": connection}))

    threads = [threading.Thread(target=ask, args=(c,))
        for c in ("amazon", "second") * 6]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(stack, slow) == 1
    assert {a.status_code for a in answers} == {200, 422}
    assert len({a.json()["syncId"] for a in answers
        if a.status_code == 200}) == 1


def test_the_same_request_twice_is_one_start(client, stack, slow):
    """As nginx repeats it when a handler goes away."""
    same = {"X-Request-Id": f"{slow}-again"}
    first = client.post(START, slow, headers=same)
    again = client.post(START, slow, headers=same)
    assert again["syncId"] == first["syncId"]
    client.post(START, slow, want=409)


def import_active(stack, user):
    """An active row that an import brought: nobody will ever work on it."""
    sync_id = str(uuid.uuid4())
    stack.query("INSERT INTO syncline.sync_active (sync_id, user_id,"
        " connection_id, provider, cause) VALUES (%s, %s, 'amazon', 'spapi',"
        " 'import')", (sync_id, user))
    return sync_id


def test_force_clear_ends_what_is_stale_only(client, stack, slow):
    assert client.post("/api/sync/force-clear", slow)["clearedCount"] == 0
    old = import_active(stack, slow)
    assert client.post("/api/sync/force-clear", slow)["clearedCount"] == 1
    sync = client.get(f"/api/sync/status/{old}", slow)
    assert sync["status"] == "failed"
    assert sync["error"]["code"] == "abandoned"
    item = client.get("/api/sync/history", slow)["syncs"][0]
    assert item["syncId"] == old and isinstance(item["error"], str)
    live = client.post(START, slow)["syncId"]
    assert client.post("/api/sync/force-clear", slow)["clearedCount"] == 0
    assert client.get(f"/api/sync/status/{live}", slow)["state"] == "running"


def test_a_start_ends_the_stale_one_in_its_way(client, stack, slow):
    old = import_active(stack, slow)
    new = client.post(START, slow)["syncId"]
    assert new != old
    sync = client.get(f"/api/sync/status/{old}", slow)
    assert (sync["status"], sync["error"]["code"]) == ("failed", "abandoned")
    assert client.post(START, slow, want=409)["existingSyncId"] == new


def test_retry_of_an_ended_sync(client, stack, connected):
    first = finish(stack, connected, client.post(START, connected,
        json={"streams": ["orders"], "mode": "full"})["syncId"])
    body = client.post(f"/api/sync/retry/{first['syncId']}", connected)
    assert body["syncId"] != first["syncId"]
    second = finish(stack, connected, body["syncId"])
    assert second["retryOf"] == first["syncId"]
    assert [s["name"] for s in second["streams"]] == [
        s["name"] for s in first["streams"]]
    assert stack.query("SELECT mode, wanted, cause FROM syncline.sync_all"
        " WHERE sync_id = %s", (second["syncId"],)) == [
        ("full", ["orders"], "retry")]
    # the first never changes
    assert client.get(f"/api/sync/status/{first['syncId']}",
        connected) == first


def test_retry_of_a_running_sync(client, stack, slow):
    first = client.post(START, slow)["syncId"]
    wait_for(lambda: client.get(f"/api/sync/status/{first}",
        slow)["phase"] == "fetching")
    body = client.post(f"/api/sync/retry/{first}", slow, want=409)
    assert body["code"] == "not_retryable" and body["syncId"] == first


def test_retry_of_a_waiting_sync_is_at_once(client, stack, user):
    """One that was handed back to wait for an hour."""
    stack.connect(user)
    Seller(stack).make(user, seed=user, orders=20, skus=5)
    stack.connect(user, seller=user)
    sync_id = str(uuid.uuid4())
    conn = stack.db()
    conn.autocommit = False
    with conn, conn.cursor() as cur:
        cur.execute("INSERT INTO syncline.sync_active (sync_id, user_id,"
            " connection_id, provider, not_before) VALUES (%s, %s, 'amazon',"
            " 'spapi', clock_timestamp() + interval '1 hour')",
            (sync_id, user))
        cur.execute("UPDATE syncline.sync_active SET phase = 'retry_wait',"
            " error_code = 'source_unavailable', error_message = 'It is away.'"
            " WHERE sync_id = %s", (sync_id,))
    conn.close()
    sync = client.get(f"/api/sync/status/{sync_id}", user)
    assert sync["phase"] == "retry_wait" and sync["nextRetryAt"] is not None
    assert sync["error"] == {"code": "source_unavailable",
        "message": "It is away.", "retryable": True}
    assert client.get("/api/enhanced-sync/queue-status",
        user)["queueStatus"]["pending"] == 1
    body = client.post(f"/api/sync/retry/{sync_id}", user)
    assert body["syncId"] == sync_id
    finish(stack, user, sync_id)


# Cancel.

def test_cancel_in_every_way(client, stack, slow):
    ways = [("POST", prefix, "path") for prefix in CANCELS]
    ways += [("DELETE", prefix, "path") for prefix in CANCELS]
    ways += [(method, "/api/sync/cancel", how)
        for method in ("POST", "DELETE")
        for how in ("?id=", "?syncId=", "syncId", "id", "none")]
    for method, path, how in ways:
        sync_id = client.post(START, slow)["syncId"]
        kwargs = {}
        if how == "path":
            path += sync_id
        elif how.startswith("?"):
            path += how + sync_id
        elif how != "none":
            kwargs["json"] = {how: sync_id}
        body = client.call(method, path, slow, **kwargs)
        assert body["ok"] is True and body["syncId"] == sync_id
        assert body["state"] == "cancelled"
        assert body["status"] == (
            "failed" if is_classic(path) else "cancelled")
        assert body["message"] == "Sync cancelled by user"
        assert stack.query("SELECT status FROM syncline.sync_all"
            " WHERE sync_id = %s", (sync_id,)) == [("cancelled",)]
        if how != "none":
            assert client.call(method, path, slow, **kwargs) == body


def test_cancel_of_what_has_ended(client, stack, connected):
    sync_id = start(stack, connected)
    before = finish(stack, connected, sync_id)
    for prefix in CANCELS:
        body = client.post(prefix + sync_id, connected, want=409)
        assert body["code"] == "already_ended" and body["state"] == "completed"
    body = client.post("/api/sync/cancel", connected, want=404)
    assert body["code"] == "no_active_sync"
    assert client.get(f"/api/sync/status/{sync_id}", connected) == before


# History, activity.

def test_history_pages_and_filters(client, stack, connected):
    ids = []
    for i in range(5):
        ids.insert(0, start(stack, connected))
        if i % 2:
            stack.api("POST", "/api/sync/cancel", user=connected)
        wait_for(lambda: count(stack, connected, "status = 'running'") == 0)
    for path in HISTORIES:
        page = client.get(path, connected)
        assert [s["syncId"] for s in page["syncs"]] == ids
        assert page["syncs"] == page["history"] and page["total"] == 5
        page = client.get(path + "?limit=2&offset=1", connected)
        assert [s["syncId"] for s in page["syncs"]] == ids[1:3]
        assert page["total"] == 5
        page = client.get(path + "?offset=99", connected)
        assert page["syncs"] == [] and page["total"] == 5
        page = client.get(path + "?limit=20&offset=0&status=&from=&to="
            "&connectionId=", connected)
        assert page["total"] == 5
        for word in ("completed", "complete", "cancelled", "canceled",
                "failed", "running", "in_progress"):
            page = client.get(f"{path}?status={word}", connected)
            stored = {"complete": "completed", "canceled": "cancelled",
                "in_progress": "running"}.get(word, word)
            assert page["total"] == len(page["syncs"]) == count(
                stack, connected, f"status = '{stored}'")
            assert {s["state"] for s in page["syncs"]} <= {stored}
        middle = client.get(f"/api/sync/status/{ids[2]}",
            connected)["startedAt"]
        page = client.get(f"{path}?from={middle}", connected)
        assert [s["syncId"] for s in page["syncs"]] == ids[:3]
        assert page["total"] == 3
        page = client.get(f"{path}?to={middle}", connected)
        assert [s["syncId"] for s in page["syncs"]] == ids[3:]
        today = time.strftime("%Y-%m-%d", time.gmtime())
        page = client.get(f"{path}?from={today}&to={today}", connected)
        assert page["total"] in (5, 0) or today != middle[:10]
        assert client.get(f"{path}?from=2000-01-01&to=2000-12-31",
            connected)["total"] == 0
        assert client.get(f"{path}?connectionId=none",
            connected)["total"] == 0


def test_activity_tells_what_happened(client, stack, connected):
    sync_id = start(stack, connected)
    finish(stack, connected, sync_id)
    bare = client.get("/api/sync/activity", connected)
    assert bare[0]["type"] == "success" and bare[0]["syncId"] == sync_id
    assert bare[-1]["message"] == "Sync started"
    assert [e["timestamp"] for e in bare] == sorted(
        (e["timestamp"] for e in bare), reverse=True)
    total = stack.query("SELECT count(*) FROM syncline.sync_events"
        " WHERE user_id = %s", (connected,))[0][0]
    body = client.get("/api/sync/activity?format=object&limit=1", connected)
    assert body["activities"] == bare[:1] and body["total"] == total
    assert body["has_more"] is (total > 1)
    assert len(client.get("/api/sync/activity?limit=1", connected)) == 1


def test_results_count_anew(client, stack, slow):
    sync_id = client.post(START, slow)["syncId"]
    # one that has stored nothing so far: nothing is what the tables hold
    body = client.get(f"/api/sync/results/{sync_id}", slow)
    assert body["state"] == "running" and body["verified"] is True
    assert set(body["counted"].values()) == {0}
    ended = str(uuid.uuid4())
    stack.query("INSERT INTO syncline.sync_history (sync_id, user_id,"
        " connection_id, provider, status, started_at, completed_at, streams)"
        " VALUES (%s, %s, 'amazon', 'spapi', 'failed', clock_timestamp(),"
        " clock_timestamp(), %s)", (ended, slow, json.dumps({"orders": {
            "ord": 0, "read": 2, "inserted": 2, "updated": 0, "unchanged": 0,
            "repeated": 0, "rejected": 0}})))

    def add_order(name):
        stack.query("INSERT INTO syncline.orders (user_id, connection_id,"
            " order_id, last_updated_time, first_sync_id, last_sync_id)"
            " VALUES (%s, 'amazon', %s, now(), %s, %s)",
            (slow, name, ended, ended))
        return client.get(f"/api/sync/results/{ended}", slow)

    assert add_order("one")["verified"] is False
    assert add_order("two")["verified"] is True
    body = add_order("three")
    assert body["verified"] is False and body["counted"]["orders"] == 3
    # an account connected after the sync says nothing about it
    stack.query("UPDATE syncline.connections SET created_at ="
        " clock_timestamp() WHERE user_id = %s", (slow,))
    body = client.get(f"/api/sync/results/{ended}", slow)
    assert body["verified"] is None


# Administrators.

def test_bulk_starts_for_many(client, stack, slow):
    other = f"{slow}-other"
    stack.connect(other)
    running = client.post(START, slow)["syncId"]
    body = client.post("/api/enhanced-sync/bulk", "the-admin", role="admin",
        json={"userIds": [other, slow, "nobody at all", other]})
    by_user = {r["userId"]: r for r in body["results"]}
    assert len(body["results"]) == 3
    assert body["started"] == 1 and body["refused"] == 2
    assert by_user[slow]["error"] == "sync_in_progress"
    assert by_user[slow]["existingSyncId"] == running
    assert by_user["nobody at all"]["error"] == "not_connected"
    sync = client.get(f"/api/sync/status/{by_user[other]['syncId']}", other)
    assert sync["userId"] == other
    assert stack.query("SELECT cause FROM syncline.sync_all"
        " WHERE sync_id = %s", (sync["syncId"],)) == [("bulk",)]
    assert stack.query("SELECT actor, (data ->> 'users')::int"
        " FROM syncline.audit_log WHERE action = 'bulk_start'"
        " ORDER BY audit_id DESC LIMIT 1") == [("the-admin", 3)]


def test_bulk_of_thousands(client, stack, user):
    users = [f"{user}-{i}" for i in range(3000)]
    stack.query("INSERT INTO syncline.connections (user_id, connection_id,"
        " provider, status) SELECT unnest(%s), 'amazon', 'spapi',"
        " 'connected'", (users,))
    body = client.post("/api/enhanced-sync/bulk", user, role="admin",
        json={"userIds": users})
    assert body["started"] == 3000 and body["refused"] == 0
    assert len({r["syncId"] for r in body["results"]}) == 3000
    assert [r["userId"] for r in body["results"]] == users
    body = client.post("/api/enhanced-sync/bulk", user, role="admin",
        json={"userIds": users[:1000]})
    assert body["started"] + body["refused"] == 1000
    assert stack.query("SELECT count(*) FROM (SELECT user_id"
        " FROM syncline.sync_active WHERE user_id = ANY(%s)"
        " GROUP BY user_id HAVING count(*) > 1) x", (users,)) == [(0,)]
    stack.query("UPDATE syncline.sync_active SET status = 'cancelled'"
        " WHERE user_id = ANY(%s)", (users,))


def test_cleanup_keeps_the_totals(client, stack, user):
    for days in (400, 100, 1):
        stack.query("INSERT INTO syncline.sync_history (sync_id, user_id,"
            " connection_id, provider, status, progress, started_at,"
            " completed_at) SELECT syncline.new_id(), %s, 'amazon', 'spapi',"
            " 'completed', 100, t, t + interval '10 s'"
            " FROM (SELECT clock_timestamp() - make_interval(days => %s) AS t)"
            " x", (user, days))
    stack.query("INSERT INTO syncline.user_stats (user_id, completed,"
        " kept_completed, completed_seconds) VALUES (%s, 3, 3, 30)", (user,))
    before = client.get("/api/sync/statistics", user)["statistics"]
    assert client.get("/api/sync/history", user)["total"] == 3
    body = client.post("/api/enhanced-sync/cleanup", "the-admin",
        role="admin", json={"olderThanDays": 365})
    assert body["cleanedItems"] == 1
    page = client.get("/api/sync/history", user)
    assert page["total"] == len(page["syncs"]) == 2
    after = client.get("/api/sync/statistics", user)["statistics"]
    assert after["totalSyncs"] == before["totalSyncs"] == 3
    assert after["averageDuration"] == 10
    assert stack.query("SELECT actor, data ->> 'olderThanDays'"
        " FROM syncline.audit_log WHERE action = 'history_cleanup'"
        " ORDER BY audit_id DESC LIMIT 1") == [("the-admin", "365")]


def test_the_queue_is_global_for_administrators(client, stack, slow):
    client.post(START, slow)
    mine = client.get("/api/enhanced-sync/queue-status", slow)
    assert mine["queueStatus"]["running"] == 1
    assert mine["activeSync"]["userId"] == slow
    every = client.get("/api/enhanced-sync/queue-status", "the-admin",
        role="admin")["queueStatus"]
    assert every["running"] >= 1
    assert every["running"] == every["pending"] + every["processing"]
    nobody = client.get("/api/enhanced-sync/queue-status", "somebody-else")
    assert nobody["queueStatus"]["running"] == 0


# Connections.

def test_connections_come_and_go(client, stack, user):
    body = client.call("PUT", "/api/v1/connections/shop", user, want=201,
        json={"provider": "spapi", "label": "Shop", "region": "eu",
            "refreshToken": "Atzr|sandbox-SELLER1"})
    assert body["connectionId"] == "shop" and body["isDefault"] is True
    assert body["label"] == "Shop" and body["region"] == "eu"
    body = client.call("PUT", "/api/v1/connections/shop", user,
        json={"provider": "spapi", "label": "My shop"})
    assert body["label"] == "My shop"
    text = json.dumps(client.get("/api/v1/connections", user))
    assert "Atzr" not in text and "oken" not in text
    assert client.get("/api/v1/connections/shop", user)["label"] == "My shop"
    assert client.get("/api/v1/integrations/status",
        user)["amazon_connected"] is True
    client.get("/api/v1/connections/shop", "somebody-else", want=404)
    client.call("DELETE", "/api/v1/connections/shop", "somebody-else",
        want=404)
    client.call("DELETE", "/api/v1/connections/shop?purge=1", user)
    client.get("/api/v1/connections/shop", user, want=404)
    assert client.get("/api/v1/integrations/status",
        user)["amazon_connected"] is False


# Headers, limits, settings.

def test_request_ids_are_taken_over_when_sane(client, stack, slow):
    answer = stack.api("POST", START, user=slow,
        headers={"X-Request-Id": "my-request.7"})
    assert answer.headers["X-Request-Id"] == "my-request.7"
    sync_id = answer.json()["syncId"]
    assert stack.query("SELECT data ->> 'requestId' FROM syncline.sync_events"
        " WHERE sync_id = %s AND kind = 'started'", (sync_id,)) == [
        ("my-request.7",)]
    assert '"request_id":"my-request.7"' in stack.log("fcgi")
    for odd in ("a b", "x" * 65, "<script>", "a/b"):
        answer = stack.api("GET", "/api/sync/status", user=slow,
            headers={"X-Request-Id": odd})
        assert answer.headers["X-Request-Id"] not in ("", odd)


def test_the_start_limit_counts_syncs_not_requests(make_stack):
    stack = make_stack(env={"SYNCLINE_START_LIMIT": 3,
        "SYNCLINE_CLASSIC_STATUS": "off"})
    client = Client(stack)
    stack.connect("ann")
    Seller(stack).fault("searchOrders", "hang", seconds=60, count=-1)
    for _ in range(3):
        sync_id = client.post(START, "ann")["syncId"]
        for _ in range(5):
            client.post(START, "ann", want=409)
        client.post("/api/sync/cancel", "ann")
    for path in (START, FORCE, f"/api/sync/retry/{sync_id}"):
        answer = stack.api("POST", path, user="ann")
        body = client.post(path, "ann", want=429)
        assert body["code"] == "start_limit"
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert body["retryAfter"] <= 60
    assert count(stack, "ann") == 3
    # without the older words the classic surfaces speak as all others
    body = client.get(f"/api/v1/integrations/sync/status/{sync_id}", "ann")
    assert body["status"] == body["state"] == "cancelled"
    body = client.get(f"/api/sync/status?id={sync_id}", "ann")
    assert body["status"] == "cancelled"


def test_cors_is_an_exact_match(make_stack):
    stack = make_stack(env={
        "SYNCLINE_CORS_ORIGINS": "https://app.example,http://localhost:3000"})
    allow = "Access-Control-Allow-Origin"
    for origin in ("https://app.example", "http://localhost:3000"):
        answer = stack.api("GET", "/api/sync/status", user="ann",
            headers={"Origin": origin})
        assert answer.headers[allow] == origin
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert "Origin" in answer.headers["Vary"]
        answer = stack.api("OPTIONS", START, headers={"Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization"})
        assert answer.status_code == 204
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in answer.headers[
            "Access-Control-Allow-Headers"]
        # errors too, or the page could not read them
        answer = stack.api("GET", "/api/sync/status",
            headers={"Origin": origin})
        assert answer.status_code == 401 and answer.headers[allow] == origin
        cookie = {"Cookie": "session_token=" + stack.token("ann"),
            "Origin": origin}
        answer = stack.api("POST", START, headers=cookie)
        assert answer.json()["code"] == "not_connected"
    for origin in ("https://app.example.evil.test", "http://app.example",
            "https://app.example:444", "null", "https://evil.test"):
        answer = stack.api("GET", "/api/sync/status", user="ann",
            headers={"Origin": origin})
        assert answer.status_code == 200 and allow not in answer.headers


def test_trouble_is_never_an_empty_list(make_stack):
    stack = make_stack()
    client = Client(stack)
    stack.connect("ann")
    stack.stop("postgres")
    for method, path in (("GET", "/api/sync/status"),
            ("GET", "/api/sync/history"), ("GET", "/api/sync/activity"),
            ("GET", "/api/sync/statistics"), ("POST", START),
            ("POST", FORCE), ("POST", "/api/sync/cancel"),
            ("GET", "/api/enhanced-sync/queue-status"),
            ("GET", "/api/v1/connections"), ("GET", "/readyz"),
            ("GET", "/api/v1/integrations/status")):
        body = client.call(method, path, "ann", want=503)
        assert body["code"] == "unavailable"
        answer = stack.api(method, path, user="ann")
        assert int(answer.headers["Retry-After"]) >= 1
    assert stack.api("GET", "/healthz").status_code == 200
    stack.start("postgres")
    wait_for(lambda: stack.api("GET", "/api/sync/status",
        user="ann").status_code == 200)


# Numbers.

STREAMS = ("orders", "order_items", "inventory", "transactions")


def number(stack, sql, *args):
    return stack.query(sql, args)[0][0]


def assert_numbers(client, user):
    """Every number of the API beside SQL that knows nothing of its views."""
    stack = client.stack
    tables = {s: number(stack, f"SELECT count(*) FROM syncline.{s}"
        " WHERE user_id = %s", user) for s in STREAMS}
    page = client.get("/api/sync/history", user)
    rows = stack.query("SELECT sync_id, status, streams,"
        " extract(epoch FROM completed_at - started_at)::float8"
        " FROM syncline.sync_history WHERE user_id = %s"
        " ORDER BY started_at DESC", (user,))
    assert page["total"] == len(rows) == len(page["syncs"])
    orders_seen, removed = 0, set()
    for shown, (sync_id, state, streams, seconds) in zip(
            page["syncs"], rows):
        assert (shown["syncId"], shown["status"]) == (sync_id, state)
        assert shown["duration"] == pytest.approx(seconds, abs=1e-3)
        one = client.get(f"/api/sync/status/{sync_id}", user)
        results = client.get(f"/api/sync/results/{sync_id}", user)
        assert one["streams"] == shown["streams"] == results["streams"]
        # what this sync or a later one removed cannot be counted any more
        removed |= {n for n, s in streams.items() if s.get("removed")}
        told = not removed & set(streams)
        assert results["verified"] is (True if told else None)
        for stream in one["streams"]:
            name, said = stream["name"], streams[stream["name"]]
            assert stream["read"] == stream["inserted"] + stream["updated"] \
                + stream["unchanged"] + stream["repeated"] \
                + stream["rejected"]
            for key in ("read", "inserted", "updated", "unchanged",
                    "repeated", "rejected"):
                assert stream[key] == said[key]
            there = number(stack, f"SELECT count(*) FROM syncline.{name}"
                " WHERE user_id = %s AND first_sync_id = %s", user, sync_id)
            assert results["counted"][name] == there
            assert there == stream["inserted"] or name in removed
        for key, name in (("ordersProcessed", "orders"),
                ("inventoryCount", "inventory")):
            said = streams.get(name)
            assert one[key] == (said and said["read"] - said["repeated"]
                - said["rejected"])
        orders_seen += one["ordersProcessed"] or 0
    for key, name in (("ordersProcessed", "orders"),
            ("inventoryCount", "inventory")):
        inserted = sum(r[2].get(name, {}).get("inserted", 0) for r in rows)
        gone = sum(r[2].get(name, {}).get("removed", 0) for r in rows)
        assert tables[name] == inserted - gone > 0
    got = client.get("/api/sync/statistics", user)["statistics"]
    states = [r[1] for r in rows]
    done = [r[3] for r in rows if r[1] == "completed"]
    assert got["totalSyncs"] == len(rows)
    assert got["successfulSyncs"] == states.count("completed")
    assert got["failedSyncs"] == states.count("failed")
    assert got["cancelledSyncs"] == states.count("cancelled")
    assert got["runningSyncs"] == 0
    assert got["totalOrdersProcessed"] == orders_seen
    assert got["successRate"] == pytest.approx(
        100 * len(done) / (len(done) + states.count("failed")))
    assert got["averageDuration"] == pytest.approx(
        sum(done) / len(done), abs=1e-3)
    assert got["p50Duration"] == pytest.approx(
        percentile(done, 0.5), abs=1e-3)
    assert got["p95Duration"] == pytest.approx(
        percentile(done, 0.95), abs=1e-3)
    queue = client.get("/api/enhanced-sync/queue-status", user)
    assert queue["queueStatus"] == {"pending": 0, "processing": 0,
        "running": 0, "completed": states.count("completed"),
        "failed": states.count("failed")}
    latest = client.get("/api/sync/status", user)
    assert latest["syncId"] == rows[0][0] and not latest["hasActiveSync"]
    return {"history": page, "statistics": got, "status": latest}


def percentile(values, p):
    values = sorted(values)
    at = (len(values) - 1) * p
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def test_every_number_is_what_sql_says(make_stack):
    """Two users with different data, before and after a restart."""
    stack = make_stack(env={"SYNCLINE_START_LIMIT": 0})
    client = Client(stack)
    seller = Seller(stack)
    sizes = {"ann": (180, 30), "bob": (70, 45)}
    for user, (orders, skus) in sizes.items():
        seller.make(user, seed=user, orders=orders, skus=skus)
        stack.connect(user, seller=user)
        finish(stack, user, start(stack, user))
    seller.advance(86400)
    for user in ("ann", "ann", "bob"):
        finish(stack, user, start(stack, user))
    cancelled = start(stack, "bob", streams=["inventory"])
    stack.api("POST", f"/api/sync/cancel/{cancelled}", user="bob")
    wait_for(lambda: count(stack, "bob", "status = 'running'") == 0)
    before = {user: assert_numbers(client, user) for user in sizes}
    assert before["ann"]["statistics"] != before["bob"]["statistics"]
    stack.stop("runner")
    assert {u: assert_numbers(client, u) for u in sizes} == before
    stack.start("runner")
    assert {u: assert_numbers(client, u) for u in sizes} == before
    stack.stop("fcgi")
    stack.start("fcgi")
    assert {u: assert_numbers(client, u) for u in sizes} == before


def test_every_route_was_walked(client, request):
    """Runs last; says which routes nobody has called."""
    if len(request.session.items) < 25:
        pytest.skip("only when all tests of this file run")
    assert client.contract.routes() - client.called == set()
