"""Walks the sandbox seller: every rule it keeps, every fault it can do.

SANDBOX_SELLER is the program; without it all is skipped.  The checks against
Amazon's models and examples need SYNCLINE_SHARED_DATA, the folder they are in.
"""

import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.utils import parsedate_to_datetime

import pytest

PROGRAM = os.environ.get("SANDBOX_SELLER")
SHARED = os.environ.get("SYNCLINE_SHARED_DATA")

pytestmark = pytest.mark.skipif(
    not PROGRAM, reason="SANDBOX_SELLER does not name the program"
)

CLOCK = "2026-11-20T12:00:00Z"
NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
US, CA = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2"
ORDERS = "/orders/2026-01-01/orders"
STOCK = "/fba/inventory/v1/summaries"
MONEY = "/finances/2024-06-19/transactions"
SHOPS = "/sellers/v1/marketplaceParticipations"
LONG_AGO = "2020-01-01T00:00:00Z"
ALL_DATA = "PROCEEDS,FULFILLMENT"
EXPIRED = "The access token you provided has expired."


def stamp(t):
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        # Amounts keep their very text: 0.10 is not 0.1 here.
        return json.loads(self.body, parse_float=str)

    @property
    def error(self):
        return self.json["errors"][0]


class Sandbox:
    """One running program, and a client of it."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [PROGRAM, "--port", "0", *options], stdout=subprocess.PIPE
        )
        self.first_line = self.process.stdout.readline().decode()
        self.port = int(self.first_line.rsplit(":", 1)[1])
        self.access = {}

    def call(self, method, path, body=None, headers=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body, headers or {},
            method=method,
        )
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as e:
            answer = e
        with answer:
            return Answer(answer.status, answer.headers, answer.read())

    def exchange(self, **fields):
        form = {
            "grant_type": "refresh_token",
            "client_id": "sandbox-client",
            "client_secret": "sandbox-secret",
            "refresh_token": "Atzr|sandbox-SELLER1",
        }
        form.update(fields)
        form = {k: v for k, v in form.items() if v is not None}
        return self.call(
            "POST", "/auth/o2/token", urllib.parse.urlencode(form).encode()
        )

    def log_in(self, seller="SELLER1"):
        answer = self.exchange(refresh_token=f"Atzr|sandbox-{seller}")
        assert answer.status == 200, answer.body
        self.access[seller] = answer.json["access_token"]

    def get(self, path, seller="SELLER1", agent="Test/1.0 (Language=Python)",
            raw_query=None, **query):
        if seller not in self.access:
            self.log_in(seller)
        text = urllib.parse.urlencode(
            query, quote_via=urllib.parse.quote, safe=""
        )
        if raw_query:
            text += ("&" if text else "") + raw_query
        headers = {"x-amz-access-token": self.access[seller]}
        if agent is not None:
            headers["User-Agent"] = agent
        return self.call("GET", path + ("?" + text if text else ""),
                         headers=headers)

    def control(self, method, path, **body):
        answer = self.call(method, "/_control/" + path,
                           json.dumps(body).encode() if body else None)
        assert answer.status == 200, answer.body
        return answer.json

    def fault(self, operation, kind, **more):
        return self.control("POST", "fault", operation=operation, kind=kind,
                            **more)["id"]

    def advance(self, **how):
        self.control("POST", "advance",
                     seconds=timedelta(**how).total_seconds())

    def truth(self, table, seller="SELLER1", **query):
        query = urllib.parse.urlencode({"seller": seller, **query})
        answer = self.call("GET", f"/_control/truth/{table}?{query}")
        assert answer.status == 200, answer.body
        return [
            tuple(copy_value(v) for v in line.split("\t"))
            for line in answer.body.decode().split("\n")[:-1]
        ]

    def calls(self, **query):
        return self.call("GET", "/_control/calls?" + urllib.parse.urlencode(
            query)).json["calls"]

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(timeout=30)
        self.process.stdout.close()
        return code


COPY_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f",
                "v": "\v", "\\": "\\"}


def copy_value(text):
    if text == "\\N":
        return None
    out, i = [], 0
    while i < len(text):
        if text[i] == "\\":
            out.append(COPY_ESCAPES[text[i + 1]])
            i += 2
        else:
            out.append(text[i])
            i += 1
    return "".join(out)


@pytest.fixture
def start():
    running = []

    def start_one(*options, clock=CLOCK, freeze=True, scale="0", orders=1000,
                  skus=120, days=365):
        options = [*options, "--orders", str(orders), "--skus", str(skus),
                   "--days", str(days), "--rate-scale", scale]
        if clock:
            options += ["--clock", clock]
        if freeze:
            options += ["--freeze"]
        running.append(Sandbox(*options))
        return running[-1]

    yield start_one
    for sandbox in running:
        if sandbox.process.poll() is None:
            assert sandbox.stop() == 0


@pytest.fixture
def box(start):
    return start()


# --- reading all pages, as rows of the truth ---


def order_pages(box, seller="SELLER1", **query):
    query = {"includedData": ALL_DATA, **query}
    if not {"createdAfter", "lastUpdatedAfter"} & set(query):
        query["lastUpdatedAfter"] = LONG_AGO
    while True:
        answer = box.get(ORDERS, seller, **query)
        assert answer.status == 200, answer.body
        yield answer
        if "pagination" not in answer.json:
            return
        query["paginationToken"] = answer.json["pagination"]["nextToken"]


def orders_of(box, *args, **query):
    return [o for page in order_pages(box, *args, **query)
            for o in page.json["orders"]]


def order_row(o):
    total = o.get("proceeds", {}).get("grandTotal", {})
    return (
        o["orderId"], o["salesChannel"]["marketplaceId"],
        o["salesChannel"]["channelName"],
        o["fulfillment"]["fulfillmentStatus"],
        o["fulfillment"]["fulfilledBy"], o["createdTime"],
        o["lastUpdatedTime"], total.get("amount"), total.get("currencyCode"),
        str(len(o["orderItems"])),
    )


def item_rows(o):
    for i in o["orderItems"]:
        price = i["product"].get("price", {}).get("unitPrice", {})
        yield (
            o["orderId"], i["orderItemId"], i["product"]["asin"],
            i["product"]["sellerSku"], i["product"]["title"],
            str(i["quantityOrdered"]),
            str(i["fulfillment"]["quantityFulfilled"]),
            str(i["fulfillment"]["quantityUnfulfilled"]),
            price.get("amount"), price.get("currencyCode"),
            i.get("proceeds", {}).get("proceedsTotal", {}).get("amount"),
        )


def stock_query(market=US):
    return {"granularityType": "Marketplace", "granularityId": market,
            "marketplaceIds": market, "details": "true"}


def stock_pages(box, market=US, seller="SELLER1", **more):
    query = {**stock_query(market), **more}
    while True:
        answer = box.get(STOCK, seller, **query)
        assert answer.status == 200, answer.body
        yield answer
        if "pagination" not in answer.json:
            return
        query["nextToken"] = answer.json["pagination"]["nextToken"]


def stock_rows(box, market=US, **more):
    for page in stock_pages(box, market, **more):
        for s in page.json["payload"]["inventorySummaries"]:
            d = s["inventoryDetails"]
            researching = d.get("researchingQuantity", {}).get(
                "totalResearchingQuantity")
            numbers = (
                s["totalQuantity"], d["fulfillableQuantity"],
                d["inboundWorkingQuantity"], d["inboundShippedQuantity"],
                d["inboundReceivingQuantity"],
                d["reservedQuantity"]["totalReservedQuantity"], researching,
                d["unfulfillableQuantity"]["totalUnfulfillableQuantity"],
            )
            yield (
                market, s["sellerSku"], s["fnSku"], s["condition"], s["asin"],
                s["productName"],
                *(None if n is None else str(n) for n in numbers),
                s.get("lastUpdatedTime"),
            )


def money_pages(box, seller="SELLER1", **query):
    query.setdefault("postedAfter", stamp(NOW - timedelta(days=170)))
    while True:
        answer = box.get(MONEY, seller, **query)
        assert answer.status == 200, answer.body
        yield answer
        if "nextToken" not in answer.json["payload"]:
            return
        query["nextToken"] = answer.json["payload"]["nextToken"]


def money_of(box, *args, **query):
    return [t for page in money_pages(box, *args, **query)
            for t in page.json["payload"]["transactions"]]


def related(t, name):
    return next((r["relatedIdentifierValue"]
                 for r in t.get("relatedIdentifiers", [])
                 if r["relatedIdentifierName"] == name), None)


def money_row(t):
    return (
        t["transactionId"], t["transactionType"], t["transactionStatus"],
        t["description"], t["postedDate"],
        t["totalAmount"]["currencyAmount"], t["totalAmount"]["currencyCode"],
        t.get("marketplaceDetails", {}).get("marketplaceId"),
        related(t, "ORDER_ID"), related(t, "SHIPMENT_ID"),
        related(t, "FINANCIAL_EVENT_GROUP_ID"),
        t.get("relatedIdentifiers"), t.get("breakdowns"), t.get("items"),
        t.get("contexts"),
    )


def money_truth_row(row):
    # The JSON columns compare by what they say.
    return row[:11] + tuple(
        None if v is None else json.loads(v, parse_float=str)
        for v in row[11:]
    )


# --- the truth is what paging gives ---


def test_first_line_names_the_address(box):
    assert box.first_line == (
        f"sandbox-seller listening on 127.0.0.1:{box.port}\n")


def test_order_pages_give_the_truth(box):
    hi = NOW - timedelta(minutes=3)
    orders = orders_of(box, lastUpdatedBefore=stamp(hi))
    bound = stamp(hi + timedelta(seconds=1))
    truth = box.truth("orders", updated_before=bound)
    assert len(truth) > 900
    assert sorted(map(order_row, orders)) == truth
    assert sorted(r for o in orders for r in item_rows(o)) == box.truth(
        "order_items", updated_before=bound)


def test_all_orders_asked_for_exist_at_the_start_clock(box):
    assert len(box.truth("orders")) == 1000


def test_orders_come_in_the_order_of_their_changes(box):
    keys = [(o["lastUpdatedTime"], o["orderId"]) for o in orders_of(box)]
    assert keys == sorted(set(keys))
    keys = [(o["createdTime"], o["orderId"])
            for o in orders_of(box, createdAfter=LONG_AGO)]
    assert keys == sorted(set(keys)) and len(keys) > 900


def test_last_order_page_has_no_pagination_field(box):
    pages = list(order_pages(box, maxResultsPerPage="70"))
    assert [len(p.json["orders"]) for p in pages[:-1]] == (
        [70] * (len(pages) - 1))
    assert "pagination" not in pages[-1].json
    assert {p.json["lastUpdatedBefore"] for p in pages} == {
        stamp(NOW - timedelta(minutes=2))}
    assert "createdBefore" not in pages[0].json


def test_inventory_pages_give_the_truth(box):
    rows = [*stock_rows(box, US), *stock_rows(box, CA)]
    assert sorted(rows) == sorted(box.truth("inventory"))
    assert [r[:4] for r in box.truth("inventory")] == sorted(
        r[:4] for r in rows)
    assert len([r for r in rows if r[0] == US]) == 120
    assert len(list(stock_pages(box))) == 3


def test_money_pages_give_the_truth(box):
    hi = stamp(NOW - timedelta(minutes=3))
    money = money_of(box, postedBefore=hi)
    lo = stamp(NOW - timedelta(days=170))
    truth = [money_truth_row(r)
             for r in box.truth("transactions", updated_before=hi)
             if r[4] >= lo]
    assert len(truth) > 500
    assert sorted(map(money_row, money), key=lambda r: r[0]) == truth


def test_json_columns_of_the_truth_are_the_text_served(box):
    rows = {r[0]: r for r in box.truth("transactions")}
    text = next(money_pages(box)).body.decode()
    for t in json.loads(text)["payload"]["transactions"]:
        for column in rows[t["transactionId"]][11:]:
            assert column is None or column in text


def test_truth_is_sorted_as_bytes(box):
    for table in ("orders", "order_items", "transactions"):
        keys = [tuple(v.encode() for v in r[:2])
                for r in box.truth(table)]
        if table != "order_items":
            keys = [k[:1] for k in keys]
        assert keys == sorted(set(keys)), table


def test_get_order_gives_the_same_order(box):
    order = orders_of(box)[7]
    answer = box.get(f"{ORDERS}/{order['orderId']}", includedData=ALL_DATA)
    assert answer.json == {"order": order}
    assert box.get(f"{ORDERS}/111-0000000-0000000").status == 404
    assert box.get(f"{ORDERS}/nonsense").status == 400


def test_participations_list_the_markets(box):
    payload = box.get(SHOPS).json["payload"]
    assert [p["marketplace"]["id"] for p in payload
            if p["participation"]["isParticipating"]] == [US, CA]
    assert any(not p["participation"]["isParticipating"] for p in payload)


# --- the data is of the kind that breaks clients ---


def test_orders_have_all_kinds(start):
    box = start(orders=6000, days=60)
    orders = orders_of(box)
    kinds = {o["fulfillment"]["fulfillmentStatus"] for o in orders}
    assert kinds >= {"PENDING", "UNSHIPPED", "SHIPPED", "CANCELLED"}
    titles = [i["product"]["title"] for o in orders for i in o["orderItems"]]
    for odd in ("\t", "\n", "\\", '"', "\U0001f389", "\u2028"):
        assert any(odd in t for t in titles), repr(odd)
    assert max(map(len, titles)) > 1000
    assert 1.3 < len(titles) / len(orders) < 1.7
    assert {o["salesChannel"]["marketplaceId"] for o in orders} == {US, CA}
    assert {o["fulfillment"]["fulfilledBy"] for o in orders} == {
        "AMAZON", "MERCHANT"}
    for o in orders:
        if o["fulfillment"]["fulfillmentStatus"] == "PENDING":
            assert "proceeds" not in o
            assert "price" not in o["orderItems"][0]


def test_totals_are_the_sum_of_their_parts(box):
    for o in orders_of(box):
        if "proceeds" not in o:
            continue
        total = Decimal(o["proceeds"]["grandTotal"]["amount"])
        items = sum(Decimal(i["proceeds"]["proceedsTotal"]["amount"])
                    for i in o["orderItems"])
        parts = sum(Decimal(b["subtotal"]["amount"])
                    for b in o["proceeds"]["breakdowns"])
        assert total == items == parts


def test_money_adds_up_and_keeps_its_text(box):
    money = money_of(box)
    texts = [t["totalAmount"]["currencyAmount"] for t in money]
    assert all(isinstance(t, str) and t[-3] == "." for t in texts)
    assert any(t.startswith("-") for t in texts)
    assert any(t.endswith("0") for t in texts)
    assert {t["transactionType"] for t in money} >= {
        "Shipment", "Refund", "ServiceFee", "Adjustment"}
    for t in money:
        total = Decimal(t["totalAmount"]["currencyAmount"])
        if "breakdowns" in t:
            assert total == tree_sum(t["breakdowns"])
        if "items" in t:
            assert total == sum(
                Decimal(i["totalAmount"]["currencyAmount"])
                for i in t["items"])
            for i in t["items"]:
                assert tree_sum(i["breakdowns"]) == Decimal(
                    i["totalAmount"]["currencyAmount"])


def tree_sum(nodes):
    total = Decimal(0)
    for n in nodes:
        amount = Decimal(n["breakdownAmount"]["currencyAmount"])
        if n.get("breakdowns"):
            assert tree_sum(n["breakdowns"]) == amount
        total += amount
    return total


def test_about_six_money_events_for_five_orders(start):
    box = start(orders=5000)
    assert 1.1 < len(box.truth("transactions")) / 5000 < 1.3


def test_inventory_has_twins_and_gaps(start):
    box = start(skus=2000)
    rows = list(stock_rows(box))
    by_sku = {}
    for r in rows:
        by_sku.setdefault(r[1], set()).add(r[3])
    assert any(len(c) > 1 for c in by_sku.values())
    assert len({r[:4] for r in rows}) == len(rows) == 2000
    assert any(r[-1] is None for r in rows)
    assert any(r[12] is None for r in rows)


# --- time moves ---


def test_two_starts_are_equal(start):
    one, two = start("--seed", "5"), start("--seed", "5")
    other = start("--seed", "6")
    for box in (one, two, other):
        box.advance(days=3)
    for table in ("orders", "order_items", "inventory", "transactions"):
        assert one.truth(table) == two.truth(table) != other.truth(table)


def test_a_ticking_clock_ticks(start):
    box = start(freeze=False)
    first = box.control("GET", "state")["now"]
    time.sleep(0.05)
    assert box.control("GET", "state")["now"] > first
    box.control("POST", "clock", frozen=True)
    first = box.control("GET", "state")["now"]
    time.sleep(0.05)
    assert box.control("GET", "state")["now"] == first


def test_date_header_is_the_test_clock(box):
    box.advance(days=1, seconds=7)
    for answer in (box.get(SHOPS), box.get("/nowhere")):
        assert parsedate_to_datetime(answer.headers["Date"]) == (
            NOW + timedelta(days=1, seconds=7))


def test_orders_change_and_arrive(start):
    box = start(days=30)
    before = {r[0]: r for r in box.truth("orders")}
    box.advance(days=20)
    after = {r[0]: r for r in box.truth("orders")}
    arrived = after.keys() - before.keys()
    # 1000 in 30 days are 667 in 20.
    assert 640 < len(arrived) < 700
    assert before.keys() <= after.keys()
    changed = [k for k in before if before[k] != after[k]]
    assert changed
    assert all(after[k][6] > before[k][6] for k in changed)
    assert any(before[k][3] == "PENDING" and after[k][3] == "SHIPPED"
               for k in changed)
    # The past can be asked for again.
    assert box.truth("orders", at=CLOCK) == sorted(before.values())
    box.control("POST", "clock", now=CLOCK)
    assert box.truth("orders") == sorted(before.values())


def test_order_updated_between_pages_leaves_the_window(start):
    box = start(orders=20000, days=30)
    hi = NOW - timedelta(minutes=3)
    query = {"lastUpdatedAfter": stamp(NOW - timedelta(days=2)),
             "lastUpdatedBefore": stamp(hi)}
    pages = order_pages(box, **query)
    got = {o["orderId"] for o in next(pages).json["orders"]}
    whole = {o["orderId"] for o in orders_of(box, **query)}
    box.advance(hours=3)
    box.log_in()
    for page in pages:
        for o in page.json["orders"]:
            assert o["lastUpdatedTime"] <= stamp(hi)
            assert o["orderId"] not in got
            got.add(o["orderId"])
    missing = whole - got
    assert missing
    moved = {r[0]: r[6] for r in box.truth("orders")}
    assert all(moved[k] > stamp(hi) for k in missing)


def test_late_orders_show_late(start):
    box = start(orders=200000, days=10)
    box.advance(hours=1)
    at = NOW + timedelta(hours=1)
    query = {"updated_before": stamp(at - timedelta(minutes=3))}
    now = {r[0]: r for r in box.truth("orders", at=stamp(at), **query)}
    then = {r[0]: r for r in box.truth(
        "orders", at=stamp(at + timedelta(minutes=5)), **query)}
    late = [r for k, r in then.items() if now.get(k) != r]
    assert late
    for r in late:
        assert r[6] >= stamp(at - timedelta(minutes=5, seconds=1))


def test_deferred_money_is_released_in_place(box):
    before = {r[0]: r for r in box.truth("transactions")}
    box.advance(days=25)
    after = {r[0]: r for r in box.truth("transactions")}
    held = [k for k, r in before.items() if r[2] == "DEFERRED"]
    assert held
    for k in held:
        assert after[k][2] == "DEFERRED_RELEASED"
        assert after[k][4:6] == before[k][4:6]
        assert before[k][10] is None and after[k][10] is not None
    assert all(r[2] != "DEFERRED" or r[4] >= CLOCK[:10]
               for r in after.values())


def test_stock_drifts_and_skus_come_and_go(start):
    box = start(skus=1000)
    keys = {r[:4] for r in stock_rows(box)}
    rows = set(stock_rows(box))
    box.advance(days=1)
    box.log_in()
    later = {r[:4] for r in stock_rows(box)}
    assert len(later) == 1000
    assert 2 <= len(keys - later) <= 30
    box.advance(days=9)
    box.log_in()
    assert 60 <= len(keys - {r[:4] for r in stock_rows(box)}) <= 160
    assert len(rows & set(stock_rows(box))) < 100


# --- the token exchange ---


def test_exchange_gives_what_amazon_gives(box):
    answer = box.exchange()
    assert answer.status == 200
    assert set(answer.json) == {"access_token", "refresh_token",
                                "token_type", "expires_in"}
    assert answer.json["access_token"].startswith("Atza|")
    assert answer.json["refresh_token"] == "Atzr|sandbox-SELLER1"
    assert answer.json["expires_in"] == 3600
    assert answer.json["token_type"] == "bearer"
    as_json = box.call("POST", "/auth/o2/token", json.dumps({
        "grant_type": "refresh_token", "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
        "refresh_token": "Atzr|sandbox-SELLER1"}).encode(),
        {"Content-Type": "application/json"})
    assert as_json.status == 200


@pytest.mark.parametrize("fields, status, error", [
    ({"refresh_token": "Atzr|other"}, 400, "invalid_grant"),
    ({"refresh_token": "Atzr|sandbox-NOBODY"}, 400, "invalid_grant"),
    ({"refresh_token": None}, 400, "invalid_request"),
    ({"client_id": "x"}, 401, "invalid_client"),
    ({"client_secret": "x"}, 401, "invalid_client"),
    ({"client_secret": None}, 400, "invalid_request"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ({"grant_type": "authorization_code", "code": "x",
      "redirect_uri": "https://a.example/"}, 400, "invalid_grant"),
])
def test_exchange_refuses_in_oauth_shape(box, fields, status, error):
    answer = box.exchange(**fields)
    assert answer.status == status
    assert answer.json["error"] == error
    assert answer.json["error_description"]


def test_access_token_expires(box):
    assert box.get(SHOPS).status == 200
    box.advance(seconds=3599)
    assert box.get(SHOPS).status == 200
    box.advance(seconds=1)
    answer = box.get(SHOPS)
    assert answer.status == 403
    assert answer.error["code"] == "Unauthorized"
    assert answer.error["details"] == EXPIRED
    assert "x-amzn-RateLimit-Limit" not in answer.headers
    box.log_in()
    assert box.get(SHOPS).status == 200


def test_access_tokens_can_all_be_expired(box):
    box.control("POST", "seller", id="B", orders=10)
    assert box.get(SHOPS, "B").status == box.get(SHOPS).status == 200
    box.control("POST", "expire-tokens", seller="B")
    assert box.get(SHOPS, "B").error["details"] == EXPIRED
    assert box.get(SHOPS).status == 200
    box.control("POST", "expire-tokens")
    assert box.get(SHOPS).error["details"] == EXPIRED
    box.log_in()
    assert box.get(SHOPS).status == 200


def test_unknown_access_token_is_denied(box):
    box.get(SHOPS)
    good = box.access["SELLER1"]
    spoiled = good[:40] + ("A" if good[40] != "A" else "B") + good[41:]
    for bad in ("Atza|x", "", spoiled, good + "A"):
        box.access["SELLER1"] = bad
        answer = box.get(SHOPS)
        assert answer.status == 403
        assert answer.error["code"] == "Unauthorized"
        assert "expired" not in answer.error["details"]


def test_revoked_seller(box):
    assert box.get(SHOPS).status == 200
    box.control("POST", "seller/SELLER1", revoked=True)
    assert box.get(SHOPS).status == 403
    assert box.exchange().json["error"] == "invalid_grant"
    box.control("POST", "seller/SELLER1", revoked=False)
    assert box.exchange().status == 200
    new = box.control("POST", "seller/SELLER1",
                      newRefreshToken=True)["refreshToken"]
    assert box.exchange().json["error"] == "invalid_grant"
    assert box.exchange(refresh_token=new).status == 200


def test_refresh_tokens_rotate(start):
    box = start("--rotate-refresh")
    first = box.exchange().json["refresh_token"]
    assert first != "Atzr|sandbox-SELLER1"
    # A lost answer can be asked for again for a while.
    assert box.exchange().status == 200
    box.advance(minutes=6)
    assert box.exchange().json["error"] == "invalid_grant"
    second = box.exchange(refresh_token=first).json["refresh_token"]
    assert second not in (first, "Atzr|sandbox-SELLER1")


def test_authorization_code_is_good_once(box):
    def redeem(code):
        return box.exchange(grant_type="authorization_code", code=code,
                            redirect_uri="https://a.example/",
                            refresh_token=None)

    code = box.control("POST", "code", seller="SELLER1")["code"]
    token = redeem(code).json["refresh_token"]
    assert box.exchange(refresh_token=token).status == 200
    assert redeem(code).json["error"] == "invalid_grant"
    code = box.control("POST", "code", seller="SELLER1")["code"]
    box.advance(minutes=5)
    assert redeem(code).json["error"] == "invalid_grant"


# --- the rules of requests ---


def test_headers_are_checked(box):
    # urllib always sends a user-agent, so an empty one stands for none.
    assert box.get(SHOPS, agent="").status == 400
    assert box.get(SHOPS, agent="x" * 501).status == 400
    answer = box.call("GET", SHOPS, headers={"User-Agent": "x"})
    assert answer.status == 403
    for body in (b"{}", b""):
        answer = box.call("GET", SHOPS, body, {
            "x-amz-access-token": box.access["SELLER1"],
            "Content-Length": str(len(body))})
        assert answer.status == 400
    assert box.call("POST", SHOPS, b"{}").status == 405
    assert box.get("/nowhere").status == 404


RECENT = stamp(NOW - timedelta(days=2))


@pytest.mark.parametrize("query", [
    {},
    {"createdAfter": RECENT, "lastUpdatedAfter": RECENT},
    {"createdAfter": RECENT, "lastUpdatedBefore": RECENT},
    {"lastUpdatedAfter": RECENT, "createdBefore": RECENT},
    {"lastUpdatedAfter": "yesterday"},
    {"lastUpdatedAfter": "2026-13-01T00:00:00Z"},
    {"lastUpdatedAfter": "2026-11-18T12:00:00"},
    {"lastUpdatedAfter": RECENT,
     "lastUpdatedBefore": stamp(NOW - timedelta(seconds=119))},
    {"lastUpdatedAfter": RECENT,
     "lastUpdatedBefore": stamp(NOW - timedelta(days=3))},
    {"lastUpdatedAfter": stamp(NOW + timedelta(seconds=1))},
    {"lastUpdatedAfter": RECENT, "maxResultsPerPage": "0"},
    {"lastUpdatedAfter": RECENT, "maxResultsPerPage": "101"},
    {"lastUpdatedAfter": RECENT, "maxResultsPerPage": "ten"},
    {"lastUpdatedAfter": RECENT, "includedData": "PROCEEDS,ALL"},
    {"lastUpdatedAfter": RECENT, "fulfillmentStatuses": "Shipped"},
    {"lastUpdatedAfter": RECENT, "fulfilledBy": "ME"},
    {"lastUpdatedAfter": RECENT, "marketplaceIds": "NOWHERE"},
    {"LastUpdatedAfter": RECENT},
    {"lastUpdatedAfter": RECENT, "nextToken": "x"},
    {"lastUpdatedAfter": RECENT, "paginationToken": "x"},
])
def test_search_orders_refuses(box, query):
    answer = box.get(ORDERS, **query)
    assert answer.status == 400, answer.body
    assert answer.error["code"] == "InvalidInput"
    assert answer.error["message"]
    assert "x-amzn-RateLimit-Limit" in answer.headers


def test_search_orders_takes_its_limits(box):
    assert box.get(ORDERS, lastUpdatedAfter=RECENT,
                   lastUpdatedBefore=stamp(NOW - timedelta(seconds=120))
                   ).status == 200
    assert box.get(ORDERS, raw_query="lastUpdatedAfter=2026-11-18T12%3A00"
                   "%3A00%2B01%3A00").status == 200
    assert box.get(ORDERS, raw_query=f"lastUpdatedAfter={RECENT}"
                   f"&lastUpdatedAfter={RECENT}").status == 400
    answer = box.get(ORDERS, lastUpdatedAfter=RECENT,
                     marketplaceIds="A1PA6795UKMFR9")
    assert answer.status == 403


def test_search_orders_filters(box):
    every = orders_of(box)
    got = orders_of(box, fulfilledBy="MERCHANT", marketplaceIds=CA,
                    fulfillmentStatuses="SHIPPED,CANCELLED")
    assert got == [
        o for o in every
        if o["fulfillment"]["fulfilledBy"] == "MERCHANT"
        and o["salesChannel"]["marketplaceId"] == CA
        and o["fulfillment"]["fulfillmentStatus"] in ("SHIPPED", "CANCELLED")
    ]
    assert got
    lo, hi = every[300]["lastUpdatedTime"], every[400]["lastUpdatedTime"]
    assert orders_of(box, lastUpdatedAfter=lo, lastUpdatedBefore=hi) == (
        every[300:401])


def test_included_data_chooses_the_sections(box):
    order = box.get(ORDERS, lastUpdatedAfter=LONG_AGO).json["orders"][0]
    assert not {"proceeds", "fulfillment", "buyer", "recipient",
                "payment", "packages"} & set(order)
    assert not {"proceeds", "fulfillment"} & set(order["orderItems"][0])
    order = box.get(ORDERS, lastUpdatedAfter=LONG_AGO,
                    includedData="BUYER,RECIPIENT,PAYMENT").json["orders"][0]
    assert {"buyer", "recipient", "payment"} <= set(order)
    assert "proceeds" not in order


def tokens_of(box):
    """A first page of each paged operation: path, query, name, token."""
    query = {"lastUpdatedAfter": LONG_AGO}
    yield (ORDERS, query, "paginationToken",
           box.get(ORDERS, **query).json["pagination"]["nextToken"])
    query = stock_query()
    yield (STOCK, query, "nextToken",
           box.get(STOCK, **query).json["pagination"]["nextToken"])
    query = {"postedAfter": stamp(NOW - timedelta(days=179))}
    yield (MONEY, query, "nextToken",
           box.get(MONEY, **query).json["payload"]["nextToken"])


@pytest.fixture
def paged(start):
    return start(orders=3000)


def test_tokens_must_be_encoded_exactly_once(paged):
    for path, query, name, token in tokens_of(paged):
        assert "+" in token and "/" in token and "=" in token
        assert paged.get(path, **query, **{name: token}).status == 200
        twice = urllib.parse.quote(token, safe="")
        for wrong in (twice, token[:-4], token.swapcase()):
            answer = paged.get(path, **query, **{name: wrong})
            assert answer.status == 400, (path, wrong)
            assert "token" in answer.error["message"].lower()
        bare = paged.get(path, **query, raw_query=f"{name}={token}")
        assert bare.status == 400


def test_tokens_belong_to_their_parameters(paged):
    changed = {ORDERS: {"lastUpdatedAfter": "2020-01-01T00:00:01Z"},
               STOCK: {"details": "false"},
               MONEY: {"transactionStatus": "RELEASED"}}
    for path, query, name, token in tokens_of(paged):
        query = {**query, **changed[path], name: token}
        assert paged.get(path, **query).status == 400
        assert paged.get(path, **{name: token}).status == 400
    path, query, name, token = next(tokens_of(paged))
    answer = paged.get(path, **query, **{name: token}, includedData=ALL_DATA,
                       maxResultsPerPage="3")
    assert answer.status == 200 and len(answer.json["orders"]) == 3
    paged.control("POST", "seller", id="B", orders=3000)
    assert paged.get(path, "B", **query, **{name: token}).status == 400


@pytest.mark.parametrize("place, seconds", [(0, 24 * 3600), (1, 30), (2, 180)])
def test_tokens_expire(paged, place, seconds):
    path, query, name, token = list(tokens_of(paged))[place]
    paged.advance(seconds=seconds - 1)
    paged.log_in()
    assert paged.get(path, **query, **{name: token}).status == 200
    paged.advance(seconds=1)
    answer = paged.get(path, **query, **{name: token})
    assert answer.status == 400
    assert "expired" in answer.error["message"]


def test_inventory_rules(box):
    q = stock_query()
    for wrong in ({"granularityType": "Seller"}, {"granularityId": CA},
                  {"granularityId": "X", "marketplaceIds": "X"},
                  {"marketplaceIds": f"{US},{CA}"}, {"details": "yes"},
                  {"startDateTime": "2024-01-01T00:00:00Z"},
                  {"sellerSkus": ",".join(["a"] * 51)}, {"NextToken": "x"}):
        assert box.get(STOCK, **{**q, **wrong}).status == 400, wrong
    for name in ("granularityType", "granularityId", "marketplaceIds"):
        less = {k: v for k, v in q.items() if k != name}
        assert box.get(STOCK, **less).status == 400
    plain = {**q, "details": "false"}
    summaries = box.get(STOCK, **plain).json["payload"]["inventorySummaries"]
    assert "inventoryDetails" not in summaries[0]
    assert len(summaries) == 50
    del plain["details"]
    assert "inventoryDetails" not in box.get(
        STOCK, **plain).json["payload"]["inventorySummaries"][0]


def test_inventory_filters(box):
    rows = list(stock_rows(box))
    skus = sorted({r[1] for r in rows if "," not in r[1]})[:3]
    assert {r[1] for r in stock_rows(box, sellerSkus=",".join(skus))} == (
        set(skus))
    assert {r[1] for r in stock_rows(box, sellerSku=skus[0])} == {skus[0]}
    since = stamp(NOW - timedelta(hours=6))
    # Rows without a time have changed as well, it is just not said when.
    timed = {r for r in rows if r[-1] is not None and r[-1] >= since}
    got = set(stock_rows(box, startDateTime=since))
    assert {r for r in got if r[-1] is not None} == timed
    assert 0 < len(got) < len(rows)


def test_finance_rules(box):
    ago = stamp(NOW - timedelta(days=3))
    for wrong in ({}, {"postedBefore": ago}, {"postedAfter": "x"},
                  {"postedAfter": stamp(NOW)},
                  {"postedAfter": ago, "postedBefore": ago},
                  {"postedAfter": ago, "postedBefore": stamp(
                      NOW - timedelta(seconds=60))},
                  {"postedAfter": ago, "transactionStatus": "Released"},
                  {"postedAfter": ago, "relatedIdentifierName": "ORDER_ID"},
                  {"relatedIdentifierName": "SHIPMENT_ID",
                   "relatedIdentifierValue": "1"}, {"PostedAfter": ago}):
        assert box.get(MONEY, **wrong).status == 400, wrong


def test_finance_window_over_180_days_is_empty(box):
    for query in ({"postedAfter": stamp(NOW - timedelta(days=200))},
                  {"postedAfter": stamp(NOW - timedelta(days=300)),
                   "postedBefore": stamp(NOW - timedelta(days=100))}):
        answer = box.get(MONEY, **query)
        assert answer.status == 200
        assert answer.json == {"payload": {"transactions": []}}


def test_finance_filters(box):
    every = money_of(box)
    held = money_of(box, transactionStatus="DEFERRED")
    assert held == [t for t in every if t["transactionStatus"] == "DEFERRED"]
    assert held
    assert money_of(box, marketplaceId=CA) == [
        t for t in every
        if t.get("marketplaceDetails", {}).get("marketplaceId") == CA]
    order = next(related(t, "ORDER_ID") for t in every
                 if t["transactionType"] == "Refund")
    answer = box.get(MONEY, relatedIdentifierName="ORDER_ID",
                     relatedIdentifierValue=order)
    found = answer.json["payload"]["transactions"]
    assert {related(t, "ORDER_ID") for t in found} == {order}
    assert {t["transactionType"] for t in found} >= {"Refund", "Shipment"}
    group = related(every[0], "FINANCIAL_EVENT_GROUP_ID")
    answer = box.get(MONEY, relatedIdentifierName="FINANCIAL_EVENT_GROUP_ID",
                     relatedIdentifierValue=group)
    found = answer.json["payload"]["transactions"]
    assert {related(t, "FINANCIAL_EVENT_GROUP_ID") for t in found} == {group}


def test_finance_bounds(box):
    every = money_of(box)
    lo, hi = every[10]["postedDate"], every[90]["postedDate"]
    assert money_of(box, postedAfter=lo, postedBefore=hi) == [
        t for t in every if lo <= t["postedDate"] < hi]


# --- rate limits ---


def test_limits_are_the_documented_ones(start):
    box = start(scale="1", freeze=True)
    plans = {ORDERS: ({"lastUpdatedAfter": RECENT}, 20, "0.0056"),
             STOCK: (stock_query(), 2, "2.0"),
             MONEY: ({"postedAfter": RECENT}, 10, "0.5"),
             SHOPS: ({}, 15, "0.016"),
             f"{ORDERS}/111-0000000-0000000": ({}, 30, "0.5")}
    for path, (query, burst, rate) in plans.items():
        answers = [box.get(path, **query) for _ in range(burst + 1)]
        # At 2 a second the clock can give one back meanwhile.
        if path == STOCK:
            answers += [box.get(path, **query) for _ in range(9)]
        good = [a for a in answers if a.status in (200, 404)]
        assert burst <= len(good) < len(answers)
        assert all(a.headers["x-amzn-RateLimit-Limit"] == rate for a in good)
        refused = answers[-1]
        assert refused.status == 429
        assert refused.error["code"] == "QuotaExceeded"
        assert "x-amzn-RateLimit-Limit" not in refused.headers
        assert "Retry-After" not in refused.headers
        assert refused.headers["x-amzn-RequestId"]
    # searchOrders: one token each 179 s; another seller has its own.
    box.advance(seconds=178)
    assert box.get(ORDERS, lastUpdatedAfter=RECENT).status == 429
    box.advance(seconds=2)
    assert box.get(ORDERS, lastUpdatedAfter=RECENT).status == 200
    assert box.get(ORDERS, lastUpdatedAfter=RECENT).status == 429
    box.control("POST", "seller", id="B", orders=10)
    assert box.get(ORDERS, "B", lastUpdatedAfter=RECENT).status == 200


def test_limits_scale(start):
    box = start(scale="1000")
    answer = box.get(SHOPS)
    assert answer.headers["x-amzn-RateLimit-Limit"] == "16.0"
    box.control("POST", "rates", scale=0)
    assert {box.get(SHOPS).status for _ in range(40)} == {200}
    box.control("POST", "rates", scale=0.001)
    assert [box.get(SHOPS).status for _ in range(16)] == [200] * 15 + [429]


# --- faults ---


def search(box, **more):
    return box.get(ORDERS, lastUpdatedAfter=LONG_AGO, **more)


@pytest.mark.parametrize("kind, status, code", [
    ("429", 429, "QuotaExceeded"), ("500", 500, "InternalFailure"),
    ("503", 503, "ServiceUnavailable"),
    ("403_unauthorized", 403, "Unauthorized"),
    ("403_expired", 403, "Unauthorized"),
])
def test_fault_answers(box, kind, status, code):
    search(box)
    box.fault("searchOrders", kind, after=1, count=2)
    assert search(box).status == 200
    for _ in range(2):
        answer = search(box)
        assert (answer.status, answer.error["code"]) == (status, code)
        assert "x-amzn-RateLimit-Limit" not in answer.headers
        assert "Retry-After" not in answer.headers
        assert answer.headers["x-amzn-RequestId"]
        assert (answer.error.get("details") == EXPIRED) == (
            kind == "403_expired")
    assert search(box).status == 200
    assert [c.get("fault") for c in box.calls(operation="searchOrders")] == [
        None, None, kind, kind, None]


def test_fault_html(box):
    search(box)
    box.fault("searchOrders", "html")
    answer = search(box)
    assert answer.status == 503
    assert answer.headers["Content-Type"] == "text/html"
    assert b"<html>" in answer.body
    box.fault("searchOrders", "html", status=200)
    assert search(box).status == 200


@pytest.mark.parametrize("kind", ["truncated", "invalid_json"])
def test_fault_bad_json(box, kind):
    search(box)
    whole = search(box)
    box.fault("searchOrders", kind)
    answer = search(box)
    assert answer.status == 200
    with pytest.raises(ValueError):
        answer.json
    assert kind != "truncated" or len(answer.body) < len(whole.body)


def test_fault_cut(box):
    search(box)
    whole = search(box)
    box.fault("searchOrders", "cut")
    with pytest.raises(http.client.IncompleteRead) as e:
        search(box)
    assert len(e.value.partial) == len(whole.body) // 2
    assert e.value.expected == len(whole.body) - len(e.value.partial)
    assert search(box).status == 200


def test_fault_slow(box):
    search(box)
    box.fault("searchOrders", "slow", seconds=1)
    start = time.monotonic()
    answer = search(box)
    assert 0.8 < time.monotonic() - start < 10
    assert len(answer.json["orders"]) == 100


def test_fault_hang_ends(box):
    search(box)
    box.fault("searchOrders", "hang", seconds=0.6)
    start = time.monotonic()
    assert search(box).status == 200
    assert time.monotonic() - start >= 0.6


def test_fault_hang_lets_go_when_the_client_leaves(box):
    search(box)
    box.fault("searchOrders", "hang", seconds=60)
    raw = socket.create_connection(("127.0.0.1", box.port))
    raw.sendall((f"GET {ORDERS}?lastUpdatedAfter={LONG_AGO} HTTP/1.1\r\n"
                 "Host: x\r\nUser-Agent: x\r\nx-amz-access-token: "
                 f"{box.access['SELLER1']}\r\n\r\n").encode())

    def entry():
        return box.calls(operation="searchOrders")[-1]

    wait_for(lambda: len(box.calls(operation="searchOrders")) == 2)
    assert entry()["status"] == 0 and "fault" not in entry()
    raw.close()
    wait_for(lambda: entry().get("fault") == "hang")
    assert entry()["status"] == 0


def wait_for(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_end_does_not_wait_for_a_hang(start, how):
    box = start()
    search(box)
    box.fault("*", "hang", seconds=60)
    raw = socket.create_connection(("127.0.0.1", box.port))
    raw.sendall(f"GET {SHOPS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    wait_for(lambda: box.calls(operation="getMarketplaceParticipations"))
    start_time = time.monotonic()
    assert box.stop(how) == 0
    assert time.monotonic() - start_time < 3
    raw.close()


def test_fault_repeat_token(box):
    first = search(box)
    token = first.json["pagination"]["nextToken"]
    second = search(box, paginationToken=token)
    box.fault("searchOrders", "repeat_token", count=2)
    for _ in range(2):
        again = search(box, paginationToken=token)
        assert again.json["pagination"]["nextToken"] == token
        assert again.json["orders"] == second.json["orders"]
    box.fault("searchOrders", "repeat_token")
    token = search(box).json["pagination"]["nextToken"]
    again = search(box, paginationToken=token)
    assert again.json["orders"] == first.json["orders"]


def test_repeat_token_needs_no_next_page(box):
    box.get(SHOPS)
    for path, query, name, where in (
            (ORDERS, {"lastUpdatedAfter": RECENT}, "paginationToken",
             ("pagination", "nextToken")),
            (STOCK, {**stock_query(), "sellerSku": "x"}, "nextToken",
             ("pagination", "nextToken")),
            (MONEY, {"postedAfter": RECENT}, "nextToken",
             ("payload", "nextToken"))):
        box.fault("*", "repeat_token", count=3)
        token = box.get(path, **query).json[where[0]][where[1]]
        for _ in range(2):
            answer = box.get(path, **query, **{name: token})
            assert answer.json[where[0]][where[1]] == token


def test_fault_empty_pages_lose_nothing(paged):
    def everything():
        return (orders_of(paged), list(stock_rows(paged)), money_of(paged))

    whole = everything()
    for operation in ("searchOrders", "getInventorySummaries",
                      "listTransactions"):
        paged.fault(operation, "empty_pages", after=1, count=3)
    assert everything() == whole
    assert len([c for c in paged.calls() if c.get("fault")]) == 9
    paged.fault("searchOrders", "empty_pages")
    answer = search(paged)
    assert answer.json["orders"] == []
    assert answer.json["pagination"]["nextToken"]


@pytest.mark.parametrize("mode", ["missing_id", "wrong_type"])
def test_fault_bad_record(box, mode):
    def firsts():
        return (search(box).json["orders"],
                box.get(STOCK, **stock_query()).json["payload"][
                    "inventorySummaries"],
                box.get(MONEY, postedAfter=stamp(NOW - timedelta(days=170))
                        ).json["payload"]["transactions"])

    names = ("orderId", "sellerSku", "transactionId")
    good = firsts()
    box.fault("*", "bad_record", count=3, mode=mode)
    for name, was, now in zip(names, good, firsts()):
        assert isinstance(was[0][name], str)
        if mode == "missing_id":
            assert name not in now[0]
        else:
            assert isinstance(now[0][name], int)
        assert was[1:] == now[1:]
    assert firsts() == good


def test_fault_gzip(box):
    whole = search(box)
    box.fault("searchOrders", "gzip", count=-1)
    assert "Content-Encoding" not in search(box).headers
    answer = box.call("GET", f"{ORDERS}?lastUpdatedAfter={LONG_AGO}",
                      headers={"x-amz-access-token": box.access["SELLER1"],
                               "Accept-Encoding": "gzip, deflate"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.body))["orders"] == (
        whole.json["orders"])


def test_fault_huge(box):
    search(box)
    box.fault("searchOrders", "huge", mb=3)
    answer = search(box)
    assert len(answer.body) == 3 * 1048576
    assert len(answer.json["padding"]) == 3 * 1048576 - 14


@pytest.mark.parametrize("kind, status, error", [
    ("invalid_grant", 400, "invalid_grant"),
    ("invalid_client", 401, "invalid_client"),
    ("500", 500, "server_error"),
    ("503", 503, "temporarily_unavailable"),
])
def test_fault_token(box, kind, status, error):
    box.control("POST", "seller", id="B", orders=10)
    box.fault("token", kind, seller="SELLER1")
    assert box.exchange(refresh_token="Atzr|sandbox-B").status == 200
    answer = box.exchange()
    assert (answer.status, answer.json["error"]) == (status, error)
    assert box.exchange().status == 200


def test_fault_cut_token(box):
    box.fault("token", "cut")
    with pytest.raises(http.client.IncompleteRead):
        box.exchange()


def test_faults_by_chance_are_the_same_each_time(start):
    def statuses():
        box = start()
        search(box)
        box.fault("searchOrders", "500", count=-1, probability=0.3, seed=4)
        return [search(box, maxResultsPerPage="1").status
                for _ in range(60)]

    first = statuses()
    assert first == statuses()
    assert 5 < first.count(500) < 35


def test_faults_of_one_seller_and_their_removal(box):
    box.control("POST", "seller", id="B", orders=10)
    assert box.get(SHOPS, "B").status == 200
    one = box.fault("*", "500", seller="B", count=-1)
    two = box.fault("searchOrders", "503", count=-1)
    assert box.get(SHOPS, "B").status == 500
    assert box.exchange(refresh_token="Atzr|sandbox-B").status == 500
    assert box.get(SHOPS).status == box.exchange().status == 200
    assert search(box).status == 503
    listed = box.control("GET", "fault")["faults"]
    assert [f["id"] for f in listed] == [one, two]
    box.control("DELETE", f"fault/{two}")
    assert search(box).status == 200
    box.control("DELETE", "fault")
    assert box.get(SHOPS, "B").status == 200
    assert box.call("DELETE", "/_control/fault/99").status == 404


def test_a_fault_waits_for_an_answer_it_can_spoil(box):
    search(box)
    box.fault("searchOrders", "truncated")
    assert box.get(ORDERS).status == 400
    with pytest.raises(ValueError):
        search(box).json


@pytest.mark.parametrize("body", [
    {"operation": "searchOrders", "kind": "nonsense"},
    {"operation": "nonsense", "kind": "500"},
    {"operation": "searchOrders", "kind": "invalid_grant"},
    {"operation": "getOrder", "kind": "repeat_token"},
    {"kind": "500"},
    {"operation": "searchOrders", "kind": "html", "status": 99},
    {"operation": "searchOrders", "kind": "bad_record", "mode": "x"},
])
def test_faults_that_cannot_be(box, body):
    assert box.call("POST", "/_control/fault",
                    json.dumps(body).encode()).status == 400


# --- control ---


def test_calls_are_logged(start, tmp_path):
    log = tmp_path / "calls"
    box = start("--log", str(log))
    box.get(ORDERS, lastUpdatedAfter=LONG_AGO, marketplaceIds=f"{US},{CA}")
    box.get(SHOPS, raw_query="x=%C3%A9%FF")
    exchange, search_call, shops = box.calls()
    assert exchange["operation"] == "token"
    assert exchange["seller"] == "SELLER1" and exchange["query"] == {}
    assert search_call["query"] == {"lastUpdatedAfter": LONG_AGO,
                                    "marketplaceIds": f"{US},{CA}"}
    assert search_call["path"] == ORDERS
    assert search_call["method"] == "GET"
    assert search_call["status"] == 200
    assert search_call["userAgent"].startswith("Test/1.0")
    assert search_call["time"] == "2026-11-20T12:00:00.000Z"
    assert float(search_call["ms"]) >= 0
    assert shops["status"] == 400
    assert shops["query"] == {"x": "\u00e9\ufffd"}
    assert box.calls(since=search_call["n"]) == [shops]
    assert box.calls(operation="searchOrders") == [search_call]
    assert box.calls(seller="NOBODY") == []
    lines = log.read_text().splitlines()
    assert [json.loads(x, parse_float=str) for x in lines] == box.calls()
    box.control("DELETE", "calls")
    answer = box.call("GET", "/_control/calls").json
    assert answer == {"calls": [], "next": 3, "truncated": False}


def test_request_ids_are_logged_and_unique(box):
    ids = [box.get(SHOPS).headers["x-amzn-RequestId"] for _ in range(5)]
    logged = box.calls(operation="getMarketplaceParticipations")
    assert ids == [c["requestId"] for c in logged]
    assert len(set(ids)) == 5


def test_many_sellers_are_cheap(box):
    begin = time.monotonic()
    for i in range(300):
        box.control("POST", "seller", id=f"S-{i}", seed=i, orders=20)
    assert time.monotonic() - begin < 10
    assert len(box.control("GET", "state")["sellers"]) == 301
    assert len(orders_of(box, "S-17")) == 20
    assert box.truth("orders", "S-17") != box.truth("orders", "S-18")


def test_new_seller_and_its_totals(box):
    made = box.control("POST", "seller", id="EU", seed=3, orders=400, skus=50,
                       days=30, marketplaces=["A1PA6795UKMFR9",
                                              "A1VC38T7YXB528"], totals=True)
    assert made["refreshToken"] == "Atzr|sandbox-EU"
    sizes = {"orders": "orders", "orderItems": "order_items",
             "transactions": "transactions", "inventory": "inventory"}
    for name, table in sizes.items():
        assert made["totals"][name] == len(box.truth(table, "EU"))
    orders = orders_of(box, "EU")
    assert {r[8] for r in map(order_row, orders)} <= {"EUR", "JPY", None}
    assert all("." not in o["proceeds"]["grandTotal"]["amount"]
               for o in orders if "proceeds" in o and o["proceeds"][
                   "grandTotal"]["currencyCode"] == "JPY")
    assert box.get(ORDERS, "EU", lastUpdatedAfter=LONG_AGO,
                   marketplaceIds=US).status == 403
    again = box.call("POST", "/_control/seller",
                     json.dumps({"id": "EU"}).encode())
    assert again.status == 409


def test_equal_seeds_are_equal_sellers(box):
    for i in "AB":
        box.control("POST", "seller", id=i, seed=9, orders=50)
    assert box.truth("orders", "A") == box.truth("orders", "B")


@pytest.mark.parametrize("size", [0, 1, 10])
def test_small_sellers(start, size):
    box = start(orders=size)
    assert len(orders_of(box)) == size
    box.advance(days=400)
    box.log_in()
    hi = stamp(NOW + timedelta(days=400, minutes=-3))
    assert len(orders_of(box, lastUpdatedBefore=hi)) in (
        [0] if size == 0 else range(size, 3 * size + 2))


def test_control_refuses_nonsense(box):
    for method, path, body in (
            ("POST", "advance", b"{}"), ("POST", "advance", b"nonsense"),
            ("POST", "advance", b"[1]"), ("POST", "clock", b'{"now":"x"}'),
            ("POST", "seller", b"{}"), ("POST", "rates", b"{}"),
            ("POST", "seller", b'{"id":"X","marketplaces":["X"]}'),
            ("GET", "truth/orders?seller=SELLER1&at=x", None)):
        assert box.call(method, "/_control/" + path, body).status == 400
    for method, path in (("GET", "nothing"), ("DELETE", "state"),
                         ("GET", "truth/orders?seller=NOBODY"),
                         ("GET", "truth/nothing?seller=SELLER1")):
        assert box.call(method, "/_control/" + path).status == 404


def test_it_listens_on_loopback_only():
    run = subprocess.run([PROGRAM, "--port", "0", "--bind", "0.0.0.0"],
                         capture_output=True, timeout=20)
    assert run.returncode == 1 and b"loopback" in run.stderr


@pytest.mark.parametrize("options", [
    [], ["--port", "x"], ["--port", "0", "--orders", "-1"],
    ["--port", "0", "--clock", "noon"], ["--port", "0", "extra"],
])
def test_usage(options):
    run = subprocess.run([PROGRAM, *options], capture_output=True, timeout=20)
    assert run.returncode == 2 and run.stderr.startswith(b"usage: ")


def test_ready_fd_gets_the_port():
    read, write = os.pipe()
    process = subprocess.Popen(
        [PROGRAM, "--port", "0", "--orders", "1", "--ready-fd", str(write)],
        pass_fds=[write], stdout=subprocess.PIPE)
    os.close(write)
    with os.fdopen(read) as f:
        port = f.read()
    assert process.stdout.readline().decode().endswith(":" + port)
    process.terminate()
    assert process.wait(20) == 0
    process.stdout.close()


def test_many_pages_at_once_stay_right(start):
    """Threads share the index while the clock makes it grow."""
    from concurrent.futures import ThreadPoolExecutor

    box = start(orders=5000)
    box.get(SHOPS)

    def reader(_):
        return len(orders_of(box, lastUpdatedBefore=stamp(
            NOW - timedelta(days=60))))

    with ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(reader, range(6)))
    assert len(set(counts)) == 1
    with ThreadPoolExecutor(6) as pool:
        work = [pool.submit(reader, i) for i in range(4)]
        # Less than an hour in all: the access token has to last.
        work += [pool.submit(box.advance, minutes=5) for _ in range(9)]
        assert all(w.result() is None or w.result() > 3000 for w in work)


# --- against what Amazon publishes ---


def shared(name):
    path = SHARED and os.path.join(SHARED, name)
    if not path or not os.path.exists(path):
        pytest.skip(f"SYNCLINE_SHARED_DATA has no {name}")
    with open(path, encoding="utf-8") as f:
        return json.load(f)


class Model:
    def __init__(self, name):
        self.model = shared(f"models/{name}.json")

    def answer(self, path, status=200):
        return self.model["paths"][path]["get"]["responses"][str(status)][
            "schema"]

    def check(self, value, schema, where="answer"):
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            return self.check(value, self.model["definitions"][name], where)
        if "allOf" in schema:
            return self.check(value, self.merged(schema), where)
        kind = schema.get("type", "object")
        types = {"object": dict, "array": list, "string": str,
                 "boolean": bool, "integer": int, "number": (int, float)}
        assert isinstance(value, types[kind]), (where, value)
        assert kind == "boolean" or not isinstance(value, bool), where
        if kind == "string":
            assert value in schema.get("enum", [value]), (where, value)
            if schema.get("format") == "date-time":
                datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")
        if kind == "array":
            for i, v in enumerate(value):
                self.check(v, schema["items"], f"{where}[{i}]")
        if kind == "object":
            properties = schema.get("properties", {})
            assert set(schema.get("required", [])) <= set(value), where
            for k, v in value.items():
                assert k in properties, f"{where}.{k} is not in the model"
                self.check(v, properties[k], f"{where}.{k}")
        return None

    def merged(self, schema):
        whole = {"type": "object", "properties": {}, "required": []}
        for part in schema["allOf"]:
            if "$ref" in part:
                name = part["$ref"].rsplit("/", 1)[1]
                part = self.model["definitions"][name]
            for k, v in part["properties"].items():
                known = whole["properties"].get(k)
                # storeName is in two contexts, with an enum in one.
                if known is None or "enum" in known:
                    whole["properties"][k] = v
            whole["required"] += part.get("required", [])
        return whole


def typed(answer):
    return json.loads(answer.body)


def test_orders_fit_the_model(start):
    box, model = start(orders=2000), Model("orders_2026-01-01")
    every = ("BUYER,RECIPIENT,PROCEEDS,EXPENSE,PROMOTION,CANCELLATION,"
             "FULFILLMENT,PACKAGES,TAX,PAYMENT,FULFILLMENT_ORDERS")
    for page in order_pages(box, includedData=every):
        model.check(typed(page), model.answer(ORDERS))
    order = typed(page)["orders"][0]["orderId"]
    model.check(typed(box.get(f"{ORDERS}/{order}", includedData=every)),
                model.answer(ORDERS + "/{orderId}"))
    model.check(typed(box.get(ORDERS)), model.answer(ORDERS, 400))
    model.check(typed(box.get(f"{ORDERS}/111-1111111-1111111")),
                model.answer(ORDERS + "/{orderId}", 404))


def test_inventory_fits_the_model(box):
    model = Model("fbaInventory")
    for page in stock_pages(box):
        model.check(typed(page), model.answer(STOCK))
    model.check(typed(box.get(STOCK)), model.answer(STOCK, 400))


def test_money_fits_the_model(start):
    box, model = start(orders=2000), Model("finances_2024-06-19")
    for page in money_pages(box):
        model.check(typed(page), model.answer(MONEY))
    model.check(typed(box.get(MONEY)), model.answer(MONEY, 400))


def test_participations_fit_the_model(box):
    model = Model("sellers")
    model.check(typed(box.get(SHOPS)), model.answer(SHOPS))


def test_our_parameters_are_the_models(box):
    for name, path in (("orders_2026-01-01", ORDERS),
                       ("fbaInventory", STOCK),
                       ("finances_2024-06-19", MONEY)):
        operation = Model(name).model["paths"][path]["get"]
        for p in operation["parameters"]:
            answer = box.get(path, **{p["name"]: "x"})
            assert "Unknown parameter" not in answer.error["message"]
        answer = box.get(path, unheardOf="x")
        assert "Unknown parameter" in answer.error["message"]


def test_replay_serves_the_examples(start):
    examples = shared("spapi-sandbox.json")
    box = start("--replay", os.path.join(SHARED, "spapi-sandbox.json"))
    seen = []
    for e in examples:
        request, path = e["request"], e["path"]
        for k, v in request.get("path", {}).items():
            path = path.replace("{%s}" % k, urllib.parse.quote(v))
        query = urllib.parse.urlencode({
            k: ",".join(map(str, v)) if isinstance(v, list) else v
            for k, v in request.get("query", {}).items()})
        body = request.get("body")
        answer = box.call(
            e["method"], f"/_replay{path}" + ("?" + query if query else ""),
            json.dumps(body).encode() if body else None)
        got = json.loads(answer.body) if answer.body else None
        # Two examples of one request: the first is served.
        same = (e["operation"], json.dumps(request))
        if same not in seen:
            assert (answer.status, got) == (e["status"], e["body"]), same
        seen.append(same)
    assert box.call("GET", "/_replay/nowhere").status == 400
