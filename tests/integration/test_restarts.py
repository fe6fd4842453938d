"""Parts that die, hang or are restarted, and what goes on meanwhile."""

import threading
import time

import pytest

from seller import Seller, finish, frozen_bound, start, status
from stack import wait_for

FAST = {"SYNCLINE_START_LIMIT": 0, "SYNCLINE_LEASE_MS": 2000,
    "SYNCLINE_SPAPI_RATE_SCALE": 1000000}


def reached(stack, user, sync_id, percent):
    def check():
        sync = status(stack, user, sync_id)
        assert sync["status"] == "running", sync
        return sync["progress"] >= percent and sync
    return wait_for(check, seconds=120)


@pytest.mark.bound(400)
def test_kill_9_in_the_middle_of_100000_orders(make_stack):
    stack = make_stack(env=FAST,
        sandbox_args=["--orders", 100000, "--skus", 300, "--freeze"])
    seller = Seller(stack)
    stack.connect("ann")
    sync_id = start(stack, "ann")
    last = 0
    for percent in (5, 15, 25):
        before = reached(stack, "ann", sync_id, max(percent, last + 1))
        stack.stop("runner", "KILL")
        down = status(stack, "ann", sync_id)
        assert down["status"] == "running"
        assert down["progress"] >= before["progress"]
        last = down["progress"]
        stack.start("runner")
    done = finish(stack, "ann", sync_id, seconds=300)
    streams = {s["name"]: s for s in done["streams"]}
    for counts in streams.values():
        assert counts["read"] == sum(counts[k] for k in ("inserted",
            "updated", "unchanged", "repeated", "rejected"))
        assert counts["done"] is True
    # committed steps were not done again
    assert streams["orders"]["read"] - streams["orders"]["repeated"] \
        == done["ordersProcessed"]
    assert streams["orders"]["repeated"] < 5000
    assert seller.differences("ann", streams=["orders", "order_items"],
        updated_before=frozen_bound(stack, sync_id)) == {}
    results = stack.api("GET", f"/api/sync/results/{sync_id}", user="ann")
    assert results.json()["verified"] is True


class Watcher(threading.Thread):
    """Polls and lists all the while; keeps the slowest and every failure."""

    def __init__(self, stack, user, sync_id):
        super().__init__()
        self.stack, self.user, self.sync_id = stack, user, sync_id
        self.stop, self.slowest, self.bad, self.done = False, 0, [], 0

    def run(self):
        token = self.stack.token(self.user)
        while not self.stop:
            for path in (f"/api/sync/status/{self.sync_id}",
                    "/api/sync/history", "/api/sync/status"):
                begin = time.monotonic()
                answer = self.stack.api("GET", path, token=token)
                self.slowest = max(self.slowest, time.monotonic() - begin)
                self.done += 1
                if answer.status_code != 200:
                    self.bad.append((path, answer.status_code, answer.text))


@pytest.mark.parametrize("how", ["dead", "hung"])
def test_handlers_answer_while_the_runner_is(make_stack, how):
    stack = make_stack(env=FAST, sandbox_args=["--orders", 200, "--skus", 20])
    stack.connect("ann")
    first = start(stack, "ann")
    finish(stack, "ann", first)
    if how == "dead":
        stack.stop("runner", "KILL")
    else:
        stack.stop("runner", "STOP")
    try:
        watchers = [Watcher(stack, "ann", first) for _ in range(4)]
        for watcher in watchers:
            watcher.start()
        users = [f"u{n}" for n in range(30)]
        ids = {}
        for name in users:
            stack.connect(name)
            ids[name] = start(stack, name)
        for watcher in watchers:
            watcher.stop = True
            watcher.join()
        for watcher in watchers:
            assert not watcher.bad and watcher.done > 10
            # nobody waits for a runner; far below any of its time-outs
            assert watcher.slowest < 10
        for name in users:
            sync = status(stack, name, ids[name])
            assert sync["status"] == "running" and sync["phase"] == "queued"
    finally:
        if how == "dead":
            stack.start("runner")
        else:
            stack.stop("runner", "CONT")
    for name in users:
        finish(stack, name, ids[name])
    # one start has given one sync
    assert stack.query("SELECT count(*) FROM syncline.sync_all"
        " WHERE user_id LIKE 'u%'") == [(len(users),)]


def test_a_zombie_runner_changes_nothing(make_stack):
    """Stopped past its lease in the middle of a sync, taken over by another,
    then woken: its late step is fenced off and the tables are right."""
    stack = make_stack(env=FAST,
        sandbox_args=["--orders", 20000, "--skus", 50, "--freeze"])
    seller = Seller(stack)
    stack.connect("ann")
    sync_id = start(stack, "ann")
    reached(stack, "ann", sync_id, 2)
    stack.stop("runner", "STOP")
    stack.start("runner-2")
    time.sleep(0.1)
    owner = stack.query("SELECT runner_id FROM syncline.sync_active")[0][0]
    wait_for(lambda: stack.query("SELECT 1 FROM syncline.sync_all WHERE"
        " sync_id = %s AND runner_id <> %s", (sync_id, owner)), seconds=30)
    stack.stop("runner", "CONT")
    done = finish(stack, "ann", sync_id, seconds=90)
    assert seller.differences("ann", streams=["orders", "order_items"],
        updated_before=frozen_bound(stack, sync_id)) == {}
    assert done["progress"] == 100
    results = stack.api("GET", f"/api/sync/results/{sync_id}", user="ann")
    assert results.json()["verified"] is True
    # the woken one works again, under a new id
    wait_for(lambda: stack.query("SELECT count(*) FROM syncline.runners"
        " WHERE lease_until > clock_timestamp()") == [(2,)], seconds=20)


def test_postgresql_is_restarted(make_stack):
    stack = make_stack(env=FAST,
        sandbox_args=["--orders", 10000, "--skus", 50])
    stack.connect("ann")
    sync_id = start(stack, "ann")
    reached(stack, "ann", sync_id, 1)
    stack.stop("postgres", "KILL")
    answers = [stack.api("GET", f"/api/sync/status/{sync_id}", user="ann"),
        stack.api("POST", "/api/sync/start", user="ann"),
        stack.api("GET", "/api/sync/history", user="ann"),
        stack.api("GET", "/readyz")]
    for answer in answers:
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) > 0
        body = answer.json()
        assert body["success"] is False and body["code"] and body["message"]
    assert stack.api("GET", "/healthz").status_code == 200
    stack.start("postgres")
    wait_for(lambda: stack.api("GET", "/readyz").status_code == 200)
    done = finish(stack, "ann", sync_id, seconds=90)
    assert done["ordersProcessed"] == stack.query(
        "SELECT count(*) FROM syncline.orders WHERE user_id = 'ann'")[0][0]
    finish(stack, "ann", start(stack, "ann"))


@pytest.mark.bound(300)
def test_a_long_step_ends_while_5000_syncs_wait(make_stack):
    stack = make_stack(env={**FAST, "SYNCLINE_WORKERS": 4},
        sandbox_args=["--orders", 10, "--skus", 5, "--freeze"])
    seller = Seller(stack)
    seller.make("BIG", seed="7", orders=10, skus=10000)
    stack.connect("big", seller="BIG")
    stack.connect("template")
    # 5,000 users of one small account, made by SQL from a real connection:
    # their secrets do not open under another user, so their syncs fail at
    # their first step, which takes a worker all the same
    stack.query("INSERT INTO syncline.connections (user_id, connection_id,"
        " provider, is_default, region, marketplaces, refresh_token)"
        " SELECT 'w' || n, 'amazon', provider, true, region, marketplaces,"
        " refresh_token FROM syncline.connections, generate_series(1, 5000) n"
        " WHERE user_id = 'template'")
    stack.query("INSERT INTO syncline.sync_active (sync_id, user_id,"
        " connection_id, provider) SELECT syncline.new_id(), 'w' || n,"
        " 'amazon', 'spapi' FROM generate_series(1, 5000) n")
    sync_id = start(stack, "big", streams=["inventory"])
    waiting = stack.query("SELECT count(*) FROM syncline.sync_active")[0][0]
    assert waiting > 1000
    finish(stack, "big", sync_id, seconds=200)
    assert seller.differences("big", seller="BIG",
        streams=["inventory"]) == {}
