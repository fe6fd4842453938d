"""make bench: what Syncline does beside what this machine can do at most.

Each figure is taken in turn with its limit, several rounds, and given as the
median of the rounds with the ratio of the medians:

  starts    durable starts a second over HTTP, each for a user of its own,
            beside pgbench running the one start statement with 32 clients
  status    status polls a second, beside nginx and a FastCGI echo in the same
            processes and threads
  rows      rows a second of a whole sync of 200,000 orders, beside COPY and
            upsert of the same rows by psql

ROUNDS, SECONDS and ORDERS in the environment change the size.
"""

import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from seller import STREAMS, Seller, finish, start  # noqa: E402
from stack import BUILD, ROOT, Stack  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", 3))
SECONDS = int(os.environ.get("SECONDS", 5))
ORDERS = int(os.environ.get("ORDERS", 200000))
CLIENTS = 32
QUIET = {"SYNCLINE_START_LIMIT": 0, "SYNCLINE_LOG_LEVEL": "warn"}


def say(*words):
    print(*words, flush=True)


def median(values):
    return statistics.median(values)


def report(name, ours, limit, unit, limit_name):
    say(f"{name:8} {median(ours):10,.0f} {unit}, beside {median(limit):10,.0f}"
        f" {limit_name}: ratio {median(ours) / median(limit):.2f}"
        f"   (rounds {', '.join(f'{v:,.0f}' for v in ours)};"
        f" {', '.join(f'{v:,.0f}' for v in limit)})")


def need(program, package):
    if not shutil.which(program):
        say(f"bench needs {program}: apt-get install {package}")
        sys.exit(2)


def wrk(stack, method, path, tokens):
    """Requests a second, none of which may have failed."""
    done = subprocess.run(
        ["wrk", "-t2", f"-c{CLIENTS}", f"-d{SECONDS}s", "-s",
         str(HERE / "load.lua"), stack.base_url, "--", method, path, tokens],
        capture_output=True, text=True, timeout=SECONDS + 60)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    errors = re.search(r"Socket errors: (.*)", done.stdout)
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    if failed or errors or not rate:
        say(done.stdout, done.stderr)
        sys.exit("bench: the load failed")
    return float(rate.group(1))


def write_tokens(stack, folder, prefix, count):
    path = os.path.join(folder, prefix)
    with open(path, "w") as out:
        for n in range(count):
            out.write(stack.token(f"{prefix}-{n}") + "\n")
    return path


def connect_many(stack, prefix, count):
    stack.query("INSERT INTO syncline.connections (user_id, connection_id,"
        " provider, is_default) SELECT %s || n, 'amazon', 'spapi', true"
        " FROM generate_series(0, %s) n", (prefix + "-", count - 1))


def pgbench_starts(stack, folder, prefix, each):
    """The one start statement, as the handlers send it, by 32 clients."""
    sql = (ROOT / "sql" / "queries" / "sync_start.sql").read_text()
    sql = "\n".join(line for line in sql.splitlines()
        if not line.lstrip().startswith("--"))
    user = f"('{prefix}-' || (:client_id * {each} + :i))"
    values = {1: f"('{prefix}s-' || (:client_id * {each} + :i))", 2: user,
        3: "NULL::text", 4: "1", 5: "'incremental'", 6: "NULL", 7: "'bench'",
        8: "NULL::text", 9: "''", 10: "0", 11: "5", 12: "'user'",
        13: "NULL::text"}
    for n in sorted(values, reverse=True):
        sql = sql.replace(f"${n}", values[n])
    script = os.path.join(folder, "start.sql")
    with open(script, "w") as out:
        out.write("\\set i :i + 1\n" + sql + ";\n")
    done = subprocess.run(
        ["/usr/lib/postgresql/15/bin/pgbench", "-n", "-M", "prepared",
         f"-c{CLIENTS}", "-j2", f"-T{SECONDS}", "-D", "i=-1", "-f", script,
         stack.dsn("app")], capture_output=True, text=True,
        timeout=SECONDS + 60)
    rate = re.search(r"tps = ([0-9.]+)", done.stdout)
    if done.returncode != 0 or not rate:
        say(done.stdout, done.stderr)
        sys.exit("bench: pgbench failed")
    return float(rate.group(1))


def bench_starts(folder):
    ours, limit = [], []
    with Stack(env=QUIET) as stack:
        stack.stop("runner")  # the starts alone: nothing claims them
        count = 12000 * SECONDS
        each = 1500 * SECONDS
        for n in range(ROUNDS):
            connect_many(stack, f"h{n}", count)
            connect_many(stack, f"p{n}", CLIENTS * each)
            tokens = write_tokens(stack, folder, f"h{n}", count)
            stack.query("VACUUM ANALYZE syncline.connections")
            ours.append(wrk(stack, "POST", "/api/sync/start", tokens))
            limit.append(pgbench_starts(stack, folder, f"p{n}", each))
            rows = stack.query("SELECT count(*) FROM syncline.sync_active"
                " WHERE user_id LIKE %s", (f"h{n}-%",))[0][0]
            if rows < ours[-1] * SECONDS * 0.98:
                sys.exit("bench: fewer syncs than answers")
    report("starts", ours, limit, "starts/s", "statements/s by pgbench")


def bench_status(folder):
    ours, limit = [], []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as build:
        os.chmod(build, 0o755)
        for name in ("syncline-runner", "sandbox-seller"):
            os.symlink(BUILD / name, os.path.join(build, name))
        subprocess.run(["gcc", "-O2", "-o",
            os.path.join(build, "syncline-fcgi"), str(HERE / "echo.c"),
            "-lfcgi", "-lpthread"], check=True)
        with Stack(env=QUIET, sandbox_args=["--orders", 50]) as stack, \
                Stack(env={**QUIET, "SYNCLINE_BUILD": build}) as echo:
            tokens = write_tokens(stack, folder, "s", 200)
            for n in range(20):
                stack.connect(f"s-{n}")
                finish(stack, f"s-{n}", start(stack, f"s-{n}"))
            for _ in range(ROUNDS):
                ours.append(wrk(stack, "GET", "/api/sync/status", tokens))
                limit.append(wrk(echo, "GET", "/api/sync/status", tokens))
    report("status", ours, limit, "polls/s", "requests/s of an echo")


def psql_rows(stack, seller, folder, bound):
    """Seconds that psql takes for COPY and upsert of the same rows."""
    script = ["\\set ON_ERROR_STOP 1"]
    rows = 0
    for stream, (keys, columns) in STREAMS.items():
        params = {} if stream == "inventory" else {"updated_before": bound}
        path = os.path.join(folder, f"{stream}.copy")
        data = seller.truth(stream, **params)
        pathlib.Path(path).write_bytes(data)
        rows += data.count(b"\n")
        names = [c.strip() for c in columns.split(",")]
        key = ", ".join(["user_id", "connection_id"] + names[:keys])
        sets = ", ".join(f"{c} = excluded.{c}" for c in names[keys:])
        script += [
            f"CREATE TEMP TABLE s AS SELECT {columns} FROM"
            f" syncline.{stream} LIMIT 0;",
            f"\\copy s ({columns}) FROM '{path}'",
            f"INSERT INTO syncline.{stream} (user_id, connection_id, {columns},"
            " first_sync_id, last_sync_id) SELECT 'psql', 'amazon',"
            f" {columns}, 'psql', 'psql' FROM s ON CONFLICT ({key})"
            f" DO UPDATE SET {sets};", "DROP TABLE s;"]
    begin = time.monotonic()
    subprocess.run(["psql", "-Xq", stack.dsn("owner")], text=True, check=True,
        input="\n".join(script), timeout=600)
    took = time.monotonic() - begin
    for stream in STREAMS:
        stack.query(f"DELETE FROM syncline.{stream} WHERE user_id = 'psql'")
    return rows / took


def bench_rows(folder):
    ours, limit = [], []
    with Stack(env=QUIET,
            sandbox_args=["--orders", ORDERS, "--skus", 2000]) as stack:
        seller = Seller(stack)
        for n in range(ROUNDS):
            user = f"r{n}"
            stack.connect(user)
            sync_id = start(stack, user)
            done = finish(stack, user, sync_id, seconds=900)
            read = sum(s["read"] for s in done["streams"])
            ours.append(read / done["duration"])
            bound = stack.query("SELECT cursor ->> 'high' FROM"
                " syncline.stream_state WHERE sync_id = %s AND"
                " stream = 'orders'", (sync_id,))[0][0]
            limit.append(psql_rows(stack, seller, folder, bound))
            for stream in STREAMS:
                stack.query(f"DELETE FROM syncline.{stream}"
                    " WHERE user_id = %s", (user,))
                stack.query(f"VACUUM syncline.{stream}")
    report("rows", ours, limit, "rows/s", "rows/s by psql")


def main():
    need("wrk", "wrk")
    wanted = sys.argv[1:] or ["starts", "status", "rows"]
    say(f"{os.cpu_count()} cores, {ROUNDS} rounds of {SECONDS} s,"
        f" {CLIENTS} connections, {ORDERS:,} orders")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        for name in wanted:
            {"starts": bench_starts, "status": bench_status,
                "rows": bench_rows}[name](folder)


if __name__ == "__main__":
    main()
