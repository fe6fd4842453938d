"""Handlers and runner talk over tcp:// as well, by setting."""

import time

from seller import Seller, finish, start, status
from stack import free_ports, wait_for


def test_hints_and_cancels_go_over_tcp(make_stack):
    address = f"tcp://127.0.0.1:{free_ports()}"
    # so rare a scan that only a hint can be what starts it in time
    stack = make_stack(env={"SYNCLINE_START_LIMIT": 0,
        "SYNCLINE_RUNNER_LISTEN": address, "SYNCLINE_RUNNER_URL": address,
        "SYNCLINE_SCAN_MS": 60000},
        sandbox_args=["--orders", 200, "--skus", 20])
    seller = Seller(stack)
    stack.connect("ann")
    wait_for(lambda: stack.api("GET", "/readyz").json()["runnersConnected"])
    seller.fault("searchOrders", "hang", seconds=30, count=1)
    sync_id = start(stack, "ann")
    wait_for(lambda: seller.calls(operation="searchOrders"))
    assert status(stack, "ann", sync_id)["phase"] == "fetching"
    begin = time.monotonic()
    answer = stack.api("POST", f"/api/sync/cancel/{sync_id}", user="ann")
    assert answer.status_code == 200
    assert time.monotonic() - begin < 20  # the seller hangs for longer
    assert f'"event":"sync_cancelled","sync_id":"{sync_id}"' in \
        stack.log("runner")
    finish(stack, "ann", start(stack, "ann"))
    assert stack.query("SELECT address FROM syncline.runners") == [(address,)]
