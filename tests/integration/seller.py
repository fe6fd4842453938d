"""The sandbox seller's control surface, and comparing tables with it.

    seller = Seller(stack)
    seller.advance(86400)
    seller.fault("searchOrders", "503", count=3)
    assert seller.differences("ann") == {}
"""

import io
import time

import requests

# What both sides write, in the order in which both sides sort; the first
# number of columns is the key.
STREAMS = {
    "orders": (1, "order_id, marketplace_id, sales_channel, status, fulfilled_by,"
        " created_time, last_updated_time, total, currency, item_count"),
    "order_items": (2, "order_id, order_item_id, asin, sku, title, quantity,"
        " quantity_fulfilled, quantity_unfulfilled, unit_price, currency,"
        " proceeds_total"),
    "inventory": (4, "marketplace_id, sku, fnsku, condition, asin, product_name,"
        " total_quantity, fulfillable_quantity, inbound_working_quantity,"
        " inbound_shipped_quantity, inbound_receiving_quantity,"
        " reserved_quantity, researching_quantity, unfulfillable_quantity,"
        " last_updated_time"),
    "transactions": (1, "transaction_id, transaction_type, status, description,"
        " posted_date, amount, currency, marketplace_id, order_id, shipment_id,"
        " event_group_id, related, breakdowns, items, contexts"),
}


class Seller:
    """Control of the stand-in seller of one stack."""

    def __init__(self, stack):
        self._stack = stack

    def _call(self, method, path, **kwargs):
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(
                method, f"{self._stack.sandbox_url}/_control/{path}",
                timeout=60, **kwargs)
        answer.raise_for_status()
        return answer

    def state(self):
        return self._call("GET", "state").json()

    def now(self):
        return self.state()["now"]

    def advance(self, seconds):
        return self._call("POST", "advance", json={"seconds": seconds})

    def make(self, name, **fields):
        """Another account; fields as the control surface has them."""
        return self._call("POST", "seller", json={"id": name, **fields}).json()

    def change(self, name, **fields):
        return self._call("POST", f"seller/{name}", json=fields)

    def expire_tokens(self, **fields):
        return self._call("POST", "expire-tokens", json=fields)

    def rates(self, scale):
        return self._call("POST", "rates", json={"scale": scale})

    def fault(self, operation, kind, **fields):
        body = {"operation": operation, "kind": kind, **fields}
        return self._call("POST", "fault", json=body).json()["id"]

    def mend(self):
        """Takes every fault away."""
        return self._call("DELETE", "fault")

    def calls(self, since=0, **filters):
        params = {"since": since, **filters}
        return self._call("GET", "calls", params=params).json()["calls"]

    def forget_calls(self):
        return self._call("DELETE", "calls")

    def truth(self, stream, seller="SELLER1", **params):
        """What the tables must hold, as PostgreSQL COPY text (bytes)."""
        return self._call("GET", f"truth/{stream}",
            params={"seller": seller, **params}).content

    def load_truth(self, cur, stream, seller="SELLER1", **params):
        """The truth in a temporary table truth_STREAM of this session."""
        _, columns = STREAMS[stream]
        cur.execute(f"DROP TABLE IF EXISTS truth_{stream}")
        cur.execute(f"CREATE TEMP TABLE truth_{stream} AS"
            f" SELECT {columns} FROM syncline.{stream} LIMIT 0")
        cur.copy_expert(f"COPY truth_{stream} ({columns}) FROM STDIN",
            io.BytesIO(self.truth(stream, seller, **params)))

    def differences(self, user, connection="amazon", seller="SELLER1",
            streams=STREAMS, **params):
        """Rows that are in a table and not in the truth (extra) or the other
        way round (missing), per stream; {} when all are equal."""
        found = {}
        conn = self._stack.db()
        try:
            with conn.cursor() as cur:
                for stream in streams:
                    _, columns = STREAMS[stream]
                    self.load_truth(cur, stream, seller, **params)
                    mine = (f"SELECT {columns} FROM syncline.{stream}"
                        " WHERE user_id = %(u)s AND connection_id = %(c)s")
                    truth = f"SELECT {columns} FROM truth_{stream}"
                    args = {"u": user, "c": connection}
                    cur.execute(f"{mine} EXCEPT ALL {truth} LIMIT 3", args)
                    extra = cur.fetchall()
                    cur.execute(f"{truth} EXCEPT ALL {mine} LIMIT 3", args)
                    missing = cur.fetchall()
                    if extra or missing:
                        found[stream] = {"extra": extra, "missing": missing}
        finally:
            conn.close()
        return found


def frozen_bound(stack, sync_id):
    """The first moment behind a sync's order windows (the seller takes their
    upper bound as included), from the cursor it left."""
    return stack.query(
        "SELECT to_char(((cursor ->> 'high')::timestamptz + interval '1 s') AT"
        " TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        " FROM syncline.stream_state WHERE sync_id = %s AND stream = 'orders'",
        (sync_id,))[0][0]


def start(stack, user, **body):
    """Starts a sync; its id."""
    answer = stack.api("POST", "/api/sync/start", user=user, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["syncId"]


def status(stack, user, sync_id):
    answer = stack.api("GET", f"/api/sync/status/{sync_id}", user=user)
    assert answer.status_code == 200, answer.text
    return answer.json()


def finish(stack, user, sync_id, seconds=60, want="completed"):
    """Waits for a sync's end; the sync object."""
    end = time.monotonic() + seconds
    while True:
        sync = status(stack, user, sync_id)
        if sync["status"] != "running":
            assert sync["status"] == want, sync
            return sync
        assert time.monotonic() < end, f"still running: {sync}"
        time.sleep(0.05)
