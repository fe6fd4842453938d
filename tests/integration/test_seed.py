"""One test per box of the checklist that the product grew from."""

import time

import pytest

from seller import Seller, finish, frozen_bound, start, status
from stack import wait_for


@pytest.fixture
def connected(stack, user):
    """A user with a small account of their own."""
    Seller(stack).make(user, seed=user, orders=300, skus=40)
    stack.connect(user, seller=user)
    return user


@pytest.fixture
def slow(stack, connected):
    """The same with a seller that hangs, so that a sync stays running."""
    seller = Seller(stack)
    fault = seller.fault("searchOrders", "hang", seller=connected, seconds=30,
        count=-1)
    yield connected
    seller._call("DELETE", f"fault/{fault}")


def row(stack, sync_id):
    found = stack.query(
        "SELECT status, progress, streams, completed_at, message, started_at"
        " FROM syncline.sync_all WHERE sync_id = %s", (sync_id,))
    assert len(found) == 1
    return found[0]


def test_1_start_a_sync_and_its_status_is_running(stack, slow):
    answer = stack.api("POST", "/api/sync/start", user=slow)
    assert answer.status_code == 200
    body = answer.json()
    assert body["success"] is True and body["status"] == "running"
    sync = status(stack, slow, body["syncId"])
    assert sync["status"] == "running" and sync["state"] == "running"
    assert row(stack, body["syncId"])[0] == "running"
    classic = stack.api(
        "GET", f"/api/v1/integrations/sync/status/{body['syncId']}", user=slow)
    assert classic.json()["status"] == "in_progress"
    assert classic.json()["state"] == "running"


def test_2_a_duplicate_start_is_refused(stack, slow):
    first = start(stack, slow)
    again = stack.api("POST", "/api/sync/start", user=slow)
    assert again.status_code == 409
    assert again.json()["code"] == "sync_in_progress"
    assert again.json()["existingSyncId"] == first
    assert "already in progress" in again.json()["error"]
    assert stack.query("SELECT count(*) FROM syncline.sync_all"
        " WHERE user_id = %s", (slow,)) == [(1,)]


def test_3_cancel_and_the_database_is_updated(stack, slow):
    sync_id = start(stack, slow)
    wait_for(lambda: Seller(stack).calls(
        seller=slow, operation="searchOrders") or None)
    before = status(stack, slow, sync_id)
    begin = time.monotonic()
    answer = stack.api("POST", f"/api/sync/cancel/{sync_id}", user=slow)
    assert answer.status_code == 200 and answer.json()["status"] == "cancelled"
    # before the seller's 30 s hang is over
    assert time.monotonic() - begin < 20
    state, _, _, completed_at, message, _ = row(stack, sync_id)
    assert state == "cancelled" and completed_at is not None
    assert message == "Sync cancelled by user"
    after = status(stack, slow, sync_id)
    assert after["startedAt"] == before["startedAt"]
    # the place is free at once, and nothing flips the old one back
    second = start(stack, slow)
    assert second != sync_id
    assert status(stack, slow, sync_id)["status"] == "cancelled"


def test_4_history_returns_real_data(stack, connected):
    first = finish(stack, connected, start(stack, connected))
    second = finish(stack, connected, start(stack, connected))
    page = stack.api("GET", "/api/sync/history", user=connected).json()
    assert page["total"] == 2 and page["syncs"] == page["history"]
    assert [s["syncId"] for s in page["syncs"]] == [
        second["syncId"], first["syncId"]]
    orders = stack.query("SELECT count(*) FROM syncline.orders"
        " WHERE user_id = %s", (connected,))[0][0]
    assert orders > 0
    assert page["syncs"][1]["ordersProcessed"] == orders


def test_5_statistics_are_accurate(stack, connected):
    seller = Seller(stack)
    finish(stack, connected, start(stack, connected))
    finish(stack, connected, start(stack, connected))
    seller.fault("searchOrders", "hang", seller=connected, seconds=30, count=1)
    cancelled = start(stack, connected)
    stack.api("POST", f"/api/sync/cancel/{cancelled}", user=connected)
    got = stack.api("GET", "/api/sync/statistics", user=connected)
    got = got.json()["statistics"]
    want = stack.query(
        "SELECT count(*), count(*) FILTER (WHERE status = 'completed'),"
        " count(*) FILTER (WHERE status = 'failed'),"
        " count(*) FILTER (WHERE status = 'cancelled'),"
        " sum(coalesce(syncline.distinct_of(streams, 'orders'), 0)),"
        " avg(extract(epoch FROM completed_at - started_at))"
        "   FILTER (WHERE status = 'completed')"
        " FROM syncline.sync_history WHERE user_id = %s", (connected,))[0]
    assert (got["totalSyncs"], got["successfulSyncs"], got["failedSyncs"],
        got["cancelledSyncs"], got["totalOrdersProcessed"]) == want[:5]
    assert got["runningSyncs"] == 0 and got["successRate"] == 100
    assert got["averageDuration"] == pytest.approx(float(want[5]), abs=0.001)


def test_6_progress_survives_a_restart(make_stack):
    stack = make_stack(env={"SYNCLINE_START_LIMIT": 0},
        sandbox_args=["--orders", 20000, "--skus", 50, "--freeze"])
    seller = Seller(stack)
    stack.connect("ann")
    sync_id = start(stack, "ann")
    before = wait_for(lambda: (lambda s: s if s["progress"] > 2 else None)(
        status(stack, "ann", sync_id)))
    stack.stop("runner", "KILL")
    paused = status(stack, "ann", sync_id)
    assert paused["progress"] >= before["progress"]
    assert paused["status"] == "running"
    seller.forget_calls()
    stack.start("runner")
    done = finish(stack, "ann", sync_id, seconds=90)
    assert done["progress"] == 100 and done["startedAt"] == before["startedAt"]
    assert seller.differences("ann", streams=["orders", "order_items"],
        updated_before=frozen_bound(stack, sync_id)) == {}
    # it went on from its checkpoint: not every page was asked for again
    read = done["streams"][0]["read"]
    assert read < 20000 * 1.1, "most of the work was done twice"


def test_7_results_are_real_counts(stack, connected):
    sync_id = start(stack, connected)
    finish(stack, connected, sync_id)
    got = stack.api("GET", f"/api/sync/results/{sync_id}", user=connected)
    got = got.json()
    assert got["verified"] is True
    for stream in ("orders", "order_items", "inventory", "transactions"):
        want = stack.query(
            f"SELECT count(*) FROM syncline.{stream}"
            " WHERE user_id = %s AND first_sync_id = %s",
            (connected, sync_id))[0][0]
        assert got["counted"][stream] == want > 0
    assert got["counted"]["claims"] == 0
    second = start(stack, connected)
    finish(stack, connected, second)
    again = stack.api("GET", f"/api/sync/results/{sync_id}", user=connected)
    assert again.json()["counted"] == got["counted"]
