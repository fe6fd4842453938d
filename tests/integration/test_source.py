"""The source "spapi" against a seller that misbehaves, moves and changes."""

import datetime
import random

import pytest

from seller import STREAMS, Seller, finish, start

ENV = {
    "SYNCLINE_START_LIMIT": 0,
    "SYNCLINE_RETRY_BASE_MS": 30,
    "SYNCLINE_RETRY_CAP_MS": 200,
    "SYNCLINE_SOURCE_TIMEOUT_MS": 1500,
    "SYNCLINE_FIRST_SYNC_DAYS": 60,
    "SYNCLINE_SPAPI_RATE_SCALE": 100000,
    "SYNCLINE_WORKERS": 4,
}
SMALL = {"orders": 250, "skus": 120, "days": 50}


@pytest.fixture(scope="module")
def system():
    """A stack whose seller's clock moves only when told."""
    from stack import Stack

    with Stack(env=ENV, sandbox_args=["--freeze"]) as stack:
        yield stack


@pytest.fixture
def seller(system):
    found = Seller(system)
    found.mend()
    yield found
    found.mend()


@pytest.fixture
def account(system, seller, user):
    """A connected user with an account of its own; the account's name."""
    seller.make(user, start=seller.now(), **SMALL)
    system.connect(user, seller=user)
    return user


def parse(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def high(system, user, stream="orders", connection="amazon"):
    """How far a stream has come, as text."""
    rows = system.query(
        "SELECT cursor ->> 'high' FROM syncline.stream_state WHERE user_id = %s"
        " AND connection_id = %s AND stream = %s", (user, connection, stream))
    return rows[0][0] if rows else None


def wrong(system, seller, user, connection="amazon", name=None):
    """What the tables lack or have too much, given how far they got.  A row
    that changed after the bound may be there as it was before."""
    found = {}
    bound = high(system, user, connection=connection)
    for stream, (n_keys, columns) in STREAMS.items():
        keys = ", ".join(columns.split(", ")[:n_keys])
        young = {"orders": "last_updated_time > %(b)s",
            "order_items": "order_id IN (SELECT order_id FROM truth_orders"
                " WHERE last_updated_time > %(b)s)",
            "inventory": "false",
            "transactions": "posted_date >= %(b)s"}[stream]
        args = {"u": user, "c": connection, "b": bound}
        conn = system.db()
        with conn.cursor() as cur:
            seller.load_truth(cur, "orders", name or user)
            seller.load_truth(cur, stream, name or user)
            mine = (f"SELECT {columns} FROM syncline.{stream}"
                " WHERE user_id = %(u)s AND connection_id = %(c)s")
            cur.execute(f"SELECT {columns} FROM truth_{stream} WHERE"
                f" NOT ({young}) EXCEPT ALL {mine} LIMIT 3", args)
            missing = cur.fetchall()
            cur.execute(f"SELECT * FROM ({mine}) m WHERE ({keys}) NOT IN"
                f" (SELECT {keys} FROM truth_{stream} WHERE {young}) EXCEPT ALL"
                f" SELECT {columns} FROM truth_{stream} LIMIT 3", args)
            extra = cur.fetchall()
        conn.close()
        if missing or extra:
            found[stream] = {"missing": missing, "extra": extra}
    return found


def counts_of(sync):
    streams = {s["name"]: s for s in sync["streams"]}
    for s in streams.values():
        assert s["read"] == sum(s[k] for k in ("inserted", "updated",
            "unchanged", "repeated", "rejected")), s
    return streams


def sync_now(system, user, want="completed", seconds=60, **body):
    return finish(system, user, start(system, user, **body), seconds, want)


OPERATIONS = ("searchOrders", "getInventorySummaries", "listTransactions")
TROUBLE = [
    ("429", {"count": 3}), ("500", {"count": 2}), ("503", {"count": 2}),
    ("html", {}), ("html", {"status": 403}), ("403_expired", {}),
    ("403_unauthorized", {}), ("hang", {"seconds": 4}), ("cut", {}),
    ("truncated", {}), ("invalid_json", {}), ("slow", {"seconds": 2}),
    ("gzip", {"count": 4}), ("huge", {}), ("repeat_token", {"count": 2}),
    ("empty_pages", {"count": 3}),
]


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind, fields", TROUBLE,
    ids=[f"{k}-{i}" for i, (k, _) in enumerate(TROUBLE)])
def test_passing_trouble_is_overcome(
        system, seller, account, operation, kind, fields, after):
    seller.fault(operation, kind, after=after, seller=account, **fields)
    counts_of(sync_now(system, account))
    assert wrong(system, seller, account) == {}
    again = counts_of(sync_now(system, account))
    assert sum(s["inserted"] + s["updated"] for s in again.values()) == 0


@pytest.mark.parametrize("kind, fields", [
    ("500", {"count": 2}), ("html", {}), ("cut", {}), ("hang", {"seconds": 4}),
    ("invalid_json", {}), ("truncated", {}), ("gzip", {})])
@pytest.mark.parametrize("operation", ["token", "getMarketplaceParticipations"])
def test_passing_trouble_before_the_first_page(
        system, seller, account, operation, kind, fields):
    # who asks for a token is not known before the answer
    scope = {} if operation == "token" else {"seller": account}
    seller.fault(operation, kind, **scope, **fields)
    sync_now(system, account)
    assert wrong(system, seller, account) == {}


@pytest.mark.parametrize("mode", ["missing_id", "wrong_type"])
@pytest.mark.parametrize("operation, stream", [
    ("searchOrders", "orders"), ("getInventorySummaries", "inventory"),
    ("listTransactions", "transactions")])
def test_a_bad_record_is_put_aside(
        system, seller, account, operation, stream, mode):
    # some windows are empty: the fault meets pages without a record too
    seller.fault(operation, "bad_record", mode=mode, seller=account, count=20)
    sync = sync_now(system, account)
    streams = counts_of(sync)
    assert sum(s["rejected"] for s in streams.values()) >= 1
    kept = system.query("SELECT reason, raw FROM syncline.quarantine"
        " WHERE sync_id = %s", (sync["syncId"],))
    assert kept and all(reason and raw for reason, raw in kept)
    assert all(not f["extra"] or s == "order_items" for s, f in
        wrong(system, seller, account).items())
    seller.mend()
    sync_now(system, account, mode="full")
    assert wrong(system, seller, account) == {}


def test_lost_consent_is_told_once_and_mended(system, seller, account):
    sync_now(system, account)
    seller.change(account, revoked=True)
    seller.forget_calls()
    sync = sync_now(system, account, want="failed")
    assert sync["error"]["code"] == "reconnect_required"
    assert sync["attempt"] == 1
    assert len(seller.calls(operation="token")) == 1
    assert system.query("SELECT status FROM syncline.connections"
        " WHERE user_id = %s", (account,)) == [("reconnect_required",)]
    token = seller.change(account, revoked=False, newRefreshToken=True).json()
    system.connect(account, refreshToken=token["refreshToken"])
    sync_now(system, account)
    assert wrong(system, seller, account) == {}


def test_our_own_credentials_are_not_the_sellers_fault(
        system, seller, account):
    seller.fault("token", "invalid_client", count=-1)
    sync = sync_now(system, account, want="failed")
    assert sync["error"]["code"] == "operator_setup"
    assert system.query("SELECT status FROM syncline.connections"
        " WHERE user_id = %s", (account,)) == [("connected",)]


def test_a_missing_role_fails_one_stream_only(system, seller, account):
    seller.fault("listTransactions", "403_unauthorized", count=-1,
        seller=account)
    sync = sync_now(system, account, want="failed")
    assert sync["error"]["code"] == "permission_missing"
    found = wrong(system, seller, account)
    assert set(found) == {"transactions"}
    streams = counts_of(sync)
    assert streams["orders"]["done"] and streams["inventory"]["done"]
    assert not streams["transactions"]["done"]


def test_an_outage_of_one_operation_lets_the_others_finish(
        system, seller, account):
    seller.fault("searchOrders", "503", count=-1, seller=account)
    sync = sync_now(system, account, want="failed")
    assert sync["error"]["code"] == "source_unavailable"
    assert set(wrong(system, seller, account)) <= {"orders", "order_items"}
    streams = counts_of(sync)
    assert streams["inventory"]["done"] and streams["transactions"]["done"]
    seller.mend()
    sync_now(system, account)
    assert wrong(system, seller, account) == {}


def test_denied_everywhere_ends_after_tries(system, seller, account):
    sync_now(system, account)
    seller.fault("*", "403_unauthorized", count=-1, seller=account)
    sync = sync_now(system, account, want="failed")
    assert sync["error"]["code"] in ("access_denied", "reconnect_required")
    assert sync["attempt"] > 1


def test_pages_that_never_end(system, seller, account):
    seller.fault("listTransactions", "repeat_token", count=-1, seller=account)
    sync = sync_now(system, account, want="failed")
    assert sync["error"]["code"] == "paging_repeats"
    seller.mend()
    seller.fault("searchOrders", "empty_pages", count=-1, seller=account)
    sync = sync_now(system, account, want="failed")
    assert sync["error"]["code"] == "paging_repeats"


def test_tokens_expire_and_rotate_while_a_sync_runs(system, seller, account):
    sync_now(system, account)
    seller.change(account, rotates=True)
    for _ in range(3):
        seller.advance(7 * 3600)
        seller.expire_tokens(seller=account)
        seller.fault("searchOrders", "403_expired", after=1, seller=account)
        sync_now(system, account)
        assert wrong(system, seller, account) == {}
    assert system.query("SELECT count(*) FROM syncline.connections WHERE"
        " user_id = %s AND position('Atz' IN encode(refresh_token, 'escape'))"
        " > 0", (account,)) == [(0,)]


def test_page_tokens_die_in_a_drain(system, seller, account):
    """The clock jumps past the life of a page token, between two pages."""
    import threading
    import time

    seller.fault("getInventorySummaries", "slow", after=1, seconds=1,
        seller=account)
    seller.fault("listTransactions", "slow", after=1, seconds=1,
        seller=account)
    sync_id = start(system, account)

    def jump():
        for _ in range(3):
            time.sleep(0.5)
            seller.advance(600)

    thread = threading.Thread(target=jump)
    thread.start()
    finish(system, account, sync_id)
    thread.join()
    sync_now(system, account)
    assert wrong(system, seller, account) == {}


def test_an_access_token_dies_deep_in_a_drain(system, seller, user):
    """Rows lie in the database's transaction already, where no new token can
    be claimed: the snapshot begins again, and loses and doubles nothing."""
    seller.make(user, start=seller.now(), orders=50, skus=6000, days=50)
    system.connect(user, seller=user)
    seller.fault("getInventorySummaries", "403_expired", after=100,
        seller=user)
    counts = counts_of(sync_now(system, user))["inventory"]
    assert counts["read"] == counts["inserted"] > 6000
    assert wrong(system, seller, user) == {}
    asked = seller.calls(operation="getInventorySummaries", seller=user)
    assert sum("nextToken" not in call["query"] for call in asked) >= 3


@pytest.mark.bound(240)
def test_a_moving_clock(system, seller, account):
    """Hours and days pass between syncs: each leaves the tables equal to the
    truth, asks only for what is new, and counts every change."""
    draw = random.Random(7)
    sync_now(system, account)
    assert wrong(system, seller, account) == {}
    for _ in range(8):
        before = parse(high(system, account))
        seller.advance(draw.choice([60, 3600, 5 * 3600, 2 * 86400, 9 * 86400]))
        seller.forget_calls()
        sync = sync_now(system, account)
        counts_of(sync)
        assert wrong(system, seller, account) == {}
        assert parse(high(system, account)) >= before
        calls = seller.calls(operation="searchOrders", seller=account)
        assert calls
        for call in calls:
            assert parse(call["query"]["lastUpdatedAfter"]) == \
                before - datetime.timedelta(seconds=600)
        results = system.api(
            "GET", f"/api/sync/results/{sync['syncId']}", user=account).json()
        # null where a snapshot has removed rows meanwhile
        assert results["verified"] is not False, results


def test_deferred_money_is_released_in_place(system, seller, account):
    sync_now(system, account)

    def statuses():
        return dict(system.query("SELECT status, count(*) FROM"
            " syncline.transactions WHERE user_id = %s GROUP BY 1",
            (account,)))

    before = statuses()
    assert before.get("DEFERRED", 0) > 0
    seller.advance(22 * 86400)
    sync = sync_now(system, account)
    assert counts_of(sync)["transactions"]["updated"] > 0
    assert statuses().get("DEFERRED_RELEASED", 0) > \
        before.get("DEFERRED_RELEASED", 0)
    assert wrong(system, seller, account) == {}


def test_a_clock_far_from_ours(system, seller, user):
    """Amazon's time counts, not ours; a clock set back does not harm."""
    now = parse(seller.now())
    try:
        seller._call("POST", "clock", json={"now": "2026-11-01T00:00:00Z"})
        seller.make(user, start="2026-11-01T00:00:00Z", **SMALL)
        system.connect(user, seller=user)
        sync_now(system, user)
        assert high(system, user) == "2026-10-31T23:57:00Z"
        assert wrong(system, seller, user) == {}
        seller._call("POST", "clock", json={"now": "2026-10-31T12:00:00Z"})
        sync_now(system, user)
    finally:
        seller._call("POST", "clock",
            json={"now": now.strftime("%Y-%m-%dT%H:%M:%SZ")})


def test_accounts_stay_apart(system, seller, user):
    """Two users and two accounts of one of them, with the same keys."""
    for name in (user, f"{user}-b"):
        seller.make(name, seed=5, start=seller.now(), **SMALL)
    other = f"{user}-other"
    system.connect(user, seller=user)
    answer = system.api("PUT", "/api/v1/connections/second", user=user, json={
        "provider": "spapi", "refreshToken": f"Atzr|sandbox-{user}-b",
        "region": "na"})
    assert answer.status_code in (200, 201), answer.text
    system.connect(other, seller=user)
    syncs = [(user, start(system, user, connectionId="amazon")),
        (user, start(system, user, connectionId="second")),
        (other, start(system, other))]
    for who, sync_id in syncs:
        sync = finish(system, who, sync_id)
        assert all(s["repeated"] == 0 for s in counts_of(sync).values())
    assert wrong(system, seller, user) == {}
    assert wrong(system, seller, user, "second", f"{user}-b") == {}
    assert wrong(system, seller, other, name=user) == {}


def test_streams_asked_for(system, seller, account):
    sync = sync_now(system, account, streams=["inventory"])
    streams = counts_of(sync)
    assert set(streams) == {"inventory"}
    assert system.query("SELECT count(*) FROM syncline.orders"
        " WHERE user_id = %s", (account,)) == [(0,)]


def test_no_secret_in_any_log(system):
    for part in ("runner", "fcgi", "nginx-access", "nginx-error"):
        text = system.log(part)
        assert "Atza|" not in text and "Atzr|" not in text
        assert "sandbox-secret" not in text
