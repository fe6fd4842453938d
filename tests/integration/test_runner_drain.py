"""A runner that is told to end while claims pour in keeps none of them."""

import threading
import time

import pytest

from seller import finish, start
from stack import wait_for


def test_a_claim_on_its_way_when_sigterm_comes_is_handed_back(make_stack):
    stack = make_stack(env={"SYNCLINE_START_LIMIT": 0},
        sandbox_args=["--orders", 10, "--skus", 5])
    stack.connect("ann")
    conn = stack.db()
    conn.autocommit = False
    with conn.cursor() as cur:
        # a claim looks at its runner's lease: it waits here
        cur.execute("LOCK TABLE syncline.runners IN ACCESS EXCLUSIVE MODE")
        sync_id = start(stack, "ann")
        wait_for(lambda: stack.query("SELECT 1 FROM pg_stat_activity WHERE"
            " wait_event_type = 'Lock' AND query LIKE '%lease_epoch + 1%'",
            role="admin"))
        stopping = threading.Thread(target=stack.stop, args=("runner",))
        stopping.start()
        wait_for(lambda: "runner_drains" in stack.log("runner"))
        time.sleep(0.3)  # so that the hand-back of what it holds is over
    conn.commit()
    conn.close()
    stopping.join()
    assert stack.query("SELECT runner_id, crash_count, phase FROM"
        " syncline.sync_active WHERE sync_id = %s", (sync_id,)) \
        == [(None, 0, "queued")]
    stack.start("runner")
    finish(stack, "ann", sync_id)


@pytest.mark.parametrize("after_ms", [0, 5, 20, 60])
def test_sigterm_among_claims_hands_all_of_them_back(make_stack, after_ms):
    stack = make_stack(env={"SYNCLINE_START_LIMIT": 0, "SYNCLINE_WORKERS": 1},
        sandbox_args=["--orders", 10, "--skus", 5])
    stack.connect("template")
    stack.stop("runner")
    # many users of one small account; their secrets do not open, which costs
    # a step each and leaves the queue long enough to be stopped in
    stack.query("INSERT INTO syncline.connections (user_id, connection_id,"
        " provider, is_default, region, marketplaces, refresh_token)"
        " SELECT 'w' || n, 'amazon', provider, true, region, marketplaces,"
        " refresh_token FROM syncline.connections, generate_series(1, 3000) n"
        " WHERE user_id = 'template'")
    stack.query("INSERT INTO syncline.sync_active (sync_id, user_id,"
        " connection_id, provider) SELECT syncline.new_id(), 'w' || n,"
        " 'amazon', 'spapi' FROM generate_series(1, 3000) n")
    for _ in range(5):
        stack.start("runner")
        wait_for(lambda: stack.query("SELECT 1 FROM syncline.sync_all"
            " WHERE runner_id IS NOT NULL LIMIT 1"))
        time.sleep(after_ms / 1000)
        stack.stop("runner")
        assert stack.query("SELECT count(*), coalesce(sum(crash_count), 0)"
            " FROM syncline.sync_active WHERE runner_id IS NOT NULL"
            " OR crash_count > 0") == [(0, 0)]
    assert stack.query("SELECT count(*) FROM syncline.sync_active")[0][0] > 0
    assert stack.query("SELECT count(*) FROM syncline.sync_all")[0][0] == 3000
