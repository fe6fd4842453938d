"""Handlers behind a transaction pooler: no prepared statement, no session
state, the same answers."""

import concurrent.futures
import os
import shutil
import subprocess
import tempfile

import pytest

from seller import finish, start
from stack import wait_for

POOLER = "/usr/sbin/pgbouncer"


@pytest.fixture
def pooled(make_stack):
    if not os.path.exists(POOLER):
        pytest.skip("PgBouncer is not installed")
    stack = make_stack(env={"SYNCLINE_START_LIMIT": 0},
        sandbox_args=["--orders", 200, "--skus", 20])
    folder = tempfile.mkdtemp(prefix="syncline-pooler-", dir="/var/tmp")
    os.chmod(folder, 0o777)
    with open(f"{folder}/ini", "w") as ini:
        ini.write(f"""[databases]
syncline = host={stack.run_dir}/postgres user=syncline_app dbname=syncline
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = 4
logfile = {folder}/log
pidfile = {folder}/pid
""")
    # PgBouncer refuses to be root
    command = [POOLER, f"{folder}/ini"]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid", "postgres", "--regid", "postgres",
            "--clear-groups", *command]
    pooler = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: os.path.exists(f"{folder}/.s.PGSQL.6432"))
        stack.stop("fcgi")
        stack._given.update(SYNCLINE_DB_POOLED="1", SYNCLINE_DB=
            f"host={folder} port=6432 user=syncline_app dbname=syncline")
        stack.start("fcgi")
        yield stack
    finally:
        stack.stop("fcgi")
        pooler.terminate()
        pooler.wait()
        shutil.rmtree(folder, ignore_errors=True)


def test_handlers_work_through_a_transaction_pooler(pooled):
    pooled.connect("ann")
    sync_id = start(pooled, "ann")
    finish(pooled, "ann", sync_id)
    for path in ("sync/status", "sync/statistics", "sync/history",
            "sync/activity", f"sync/results/{sync_id}", "v1/connections",
            "enhanced-sync/queue-status"):
        answer = pooled.api("GET", f"/api/{path}", user="ann")
        assert answer.status_code == 200, answer.text

    def life(n):
        name = f"u{n}"
        pooled.connect(name)
        start(pooled, name)
        again = pooled.api("POST", "/api/sync/start", user=name)
        forced = pooled.api("POST", "/api/sync/force", user=name).json()
        cancelled = pooled.api(
            "POST", f"/api/sync/cancel/{forced['syncId']}", user=name)
        total = pooled.api("GET", "/api/sync/history", user=name).json()
        return again.status_code, cancelled.status_code, total["total"]

    # more callers than the pooler has sessions
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert set(pool.map(life, range(36))) == {(409, 200, 2)}
