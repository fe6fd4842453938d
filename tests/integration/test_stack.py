"""The ground the other tests stand on: starting, stopping, migrating."""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import os
import pathlib
import pty
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import psycopg2
import pytest

import stack as stack_module
from stack import BUILD, ROOT, Stack, StackError, free_ports, wait_for

PARTS = ["postgres", "sandbox", "runner", "fcgi", "nginx"]


def processes_of(system):
    """Every process that belongs to a system, however it was left behind."""
    run = str(system.run_dir)
    marks = (f"SYNCLINE_STACK={run}:".encode(),)
    folders = (run, str(system.var))
    found = []
    for proc in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            environ = (proc / "environ").read_bytes()
            cwd = os.readlink(proc / "cwd")
            comm = (proc / "comm").read_text().strip()
        except OSError:
            continue
        if any(mark in environ for mark in marks) or cwd.startswith(folders):
            found.append((int(proc.name), comm, cwd))
    return found


@pytest.fixture
def own(make_stack):
    return make_stack()


def test_every_part_runs_and_the_sum_of_them_answers(stack):
    assert all(stack.pid(part) for part in PARTS)
    assert stack.api("GET", "/healthz").status_code == 200


def test_a_second_up_changes_nothing(own):
    before = [own.pid(part) for part in PARTS]
    assert "already running" in own.script("up")
    assert [own.pid(part) for part in PARTS] == before


@pytest.mark.parametrize("part", PARTS)
def test_a_killed_part_leaves_nothing_behind_and_starts_again(own, part):
    os.kill(own.pid(part), signal.SIGKILL)
    wait_for(lambda: own.pid(part) is None)
    own.up()
    assert own.pid(part)
    assert own.api("GET", "/healthz").status_code == 200
    os.kill(own.pid(part), signal.SIGKILL)
    own.down()
    assert processes_of(own) == []


def test_all_parts_killed_at_once_and_the_data_stays(own):
    own.query("CREATE TABLE kept AS SELECT 42 AS n")
    for part in PARTS:
        os.kill(own.pid(part), signal.SIGKILL)
    own.up()
    assert own.query("SELECT n FROM kept") == [(42,)]


def test_stop_ends_the_children_of_a_killed_parent(own):
    own.stop("nginx", "KILL")
    own.stop("fcgi", signal.SIGKILL)
    own.stop("postgres", "KILL")
    left = {comm for _, comm, _ in processes_of(own)}
    assert not left & {"nginx", "postgres", "syncline-fcgi"}


def test_several_ups_at_once_make_one_system():
    system = Stack(port=free_ports())
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            said = list(pool.map(lambda _: system.script("up"), range(4)))
        assert sum("started in" in text for text in said) == 1
        assert sum("already running" in text for text in said) == 3
        assert len([p for p in processes_of(system) if "runner" in p[1]]) == 1
    finally:
        system.remove()


def test_up_after_up_and_down_after_down(own):
    own.down()
    own.down()
    assert processes_of(own) == []
    own.up()
    assert own.pid("nginx")


def test_a_taken_port_is_named_and_nothing_stays():
    port = free_ports()
    with socket.create_server(("127.0.0.1", port)):
        system = Stack(port=port)
        with pytest.raises(StackError, match=f"port {port} is taken"):
            system.up()
        assert processes_of(system) == []
        system.remove()


def test_a_process_id_that_is_somebody_elses_now_is_left_alone(own):
    with subprocess.Popen(["sleep", "60"]) as stranger:
        own.stop("sandbox")
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()
        (own.run_dir / "sandbox.pid").write_text(f"{stranger.pid} 1 {boot}")
        assert own.pid("sandbox") is None
        own.stop("sandbox")
        assert stranger.poll() is None
        stranger.kill()


def test_a_stale_lock_file_of_postgresql_does_not_matter(own):
    pgdata = pathlib.Path(own.settings()["STACK_PGDATA"])
    lock = (pgdata / "postmaster.pid").read_text()
    own.down()
    # The id in it belongs to a live process of the same user.
    lock = re.sub(r"^\d+", str(os.getppid()), lock)
    (pgdata / "postmaster.pid").write_text(lock)
    own.up()
    assert own.query("SELECT 1") == [(1,)]


def test_a_part_that_cannot_start_shows_its_last_words():
    system = Stack(env={"POSTGRES_ARGS": "-c no_such_setting=1"})
    with pytest.raises(StackError, match="no_such_setting"):
        system.up()
    assert processes_of(system) == []
    system.remove()


def test_two_systems_stand_side_by_side(stack, own):
    assert stack.base_url != own.base_url
    own.query("CREATE TABLE only_here (n integer)")
    assert stack.query("SELECT to_regclass('only_here')") == [(None,)]


def test_a_long_path_is_no_problem():
    top = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp"))
    os.chmod(top, 0o755)
    var = top / ("x" * 100) / ("y" * 100) / "with space"
    with Stack(var=var) as system:
        assert system.query("SELECT 1", role="app") == [(1,)]
        assert system.api("GET", "/healthz").status_code == 200
    assert not var.exists()
    shutil.rmtree(top)


def test_nothing_listens_on_more_than_loopback(own):
    """Open sockets are looked up by their owners, not by their ports."""
    out = subprocess.run(
        ["ss", "-Hltnp"], capture_output=True, text=True, check=True
    ).stdout
    ids = {pid for pid, _, _ in processes_of(own)}
    mine = [
        line.split()[3]
        for line in out.splitlines()
        if any(f"pid={pid}," in line for pid in ids)
    ]
    assert mine and all(addr.startswith("127.") for addr in mine)


def clone(place):
    """What tests/stack needs of the tree, somewhere else."""
    for name in ("tests/stack", "sql", "nginx"):
        shutil.copytree(ROOT / name, place / name)
    return place / "tests" / "stack" / "stack"


@pytest.mark.skipif(os.geteuid() != 0, reason="root only")
def test_as_root_below_a_folder_that_nobody_else_can_enter(monkeypatch):
    top = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp"))
    place = top / "clone"
    place.mkdir()
    (place / "nginx" / "html").mkdir(parents=True)
    shutil.rmtree(place / "nginx")
    monkeypatch.setattr(stack_module, "SCRIPT", clone(place))
    (place / "nginx" / "html").mkdir(exist_ok=True)
    (place / "nginx" / "html" / "index.html").write_text("hello")
    os.chmod(top, 0o700)
    with Stack(var=place / "var") as system:
        assert system.api("GET", "/").text == "hello"
        assert system.query("SELECT 1", role="app") == [(1,)]
        system.query("CREATE TABLE kept (n integer)")
        system.down()
        system.up()
        assert system.query("SELECT count(*) FROM kept") == [(0,)]
        assert str(system.settings()["STACK_PGDATA"]).startswith("/var/tmp/")
        # A new VAR in the same place does not find the old one's cluster.
        system.down()
        shutil.rmtree(place / "var")
        system.up()
        assert system.query("SELECT to_regclass('kept')") == [(None,)]
        run = system.run_dir
    assert not run.exists()
    shutil.rmtree(top)


@pytest.mark.skipif(os.geteuid() != 0, reason="root only")
def test_as_an_ordinary_user():
    top = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp"))
    os.chmod(top, 0o755)
    script = clone(top / "clone")
    shutil.copytree(BUILD, top / "build", ignore=shutil.ignore_patterns("*.o"))
    subprocess.run(["chown", "-R", "nobody:nogroup", str(top)], check=True)
    env = {
        "PATH": os.environ["PATH"],
        "PORT": str(free_ports()),
        "SYNCLINE_BUILD": str(top / "build"),
        "LIMIT_REQ": "0",
    }

    def run(*args):
        return subprocess.run(
            ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
             "--", str(script), *args],
            env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120, check=False,
        )

    try:
        up = run("up")
        assert up.returncode == 0, up.stdout + up.stderr
        status = run("status")
        assert status.returncode == 0, status.stdout
        owners = set()
        for pid in re.findall(r"process (\d+)", status.stdout):
            owners.add(os.stat(f"/proc/{pid}").st_uid)
        assert len(owners) == 1 and 0 not in owners
        assert (top / "clone" / "var" / "pg" / "PG_VERSION").exists()
        assert run("psql", "-Atc", "SELECT 7").stdout == "7\n"
        # Root does not take over what is somebody else's.
        other = subprocess.run([str(script), "up"], env=env, check=False,
                               capture_output=True, text=True, timeout=60)
        assert other.returncode != 0 and "belongs to nobody" in other.stderr
    finally:
        removed = run("remove")
        shutil.rmtree(top)
        shutil.rmtree(f"/var/tmp/syncline-{pwd.getpwnam('nobody').pw_uid}",
                      ignore_errors=True)
    assert removed.returncode == 0, removed.stdout + removed.stderr


def run_in_terminal(system, keys_at, keys=b"\x03", env=()):
    """`stack run` on a terminal; types keys when the text appears."""
    try:
        pid, terminal = pty.fork()
    except OSError as error:
        pytest.skip(f"no terminals here: {error}")
    if pid == 0:
        os.environ.update(system._environment(), **dict(env))
        os.execv(stack_module.SCRIPT, ["stack", "run"])
    said = b""
    typed = False
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                said += os.read(terminal, 65536)
            except OSError:
                break
        if keys_at and keys_at in said and not typed:
            os.write(terminal, keys)
            typed = True
    else:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), said.decode(errors="replace")


@pytest.mark.parametrize("moment", [b"started in", b"sync ", b"Ctrl-C stops"])
def test_ctrl_c_ends_all_of_it_at_any_moment(moment):
    system = Stack(port=free_ports())
    try:
        code, said = run_in_terminal(system, moment)
        assert code == 0, said
        assert "stopping" in said
        assert processes_of(system) == []
    finally:
        system.remove()


def test_run_shows_a_whole_first_sync():
    system = Stack(
        port=free_ports(),
        env={"RUN_ONCE": "1"},
        sandbox_args=["--orders", "120", "--skus", "20"],
    )
    try:
        said = system.script("run")
        assert "completed" in said
        assert re.search(r"^orders +120 +120 +0 +0 +120$", said, re.M), said
        assert "the counts agree with the tables" in said
        assert said.count("curl -s") == 3
        assert system.base_url in said
        assert processes_of(system) == []
    finally:
        system.remove()


def test_a_token_is_alone_on_the_last_line_and_holds(stack):
    token = stack.script("token", "ann", "admin").splitlines()[-1]
    header, claims, mac = token.split(".")
    assert _decode(header) == {"alg": "HS256", "typ": "JWT"}
    assert _decode(claims)["sub"] == "ann"
    assert _decode(claims)["role"] == "admin"
    assert _sign(stack.secret(), f"{header}.{claims}") == mac


def _decode(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _sign(secret, text):
    return stack_module._b64(
        hmac.new(secret, text.encode(), hashlib.sha256).digest()
    )


# Migrations.


@pytest.fixture
def migrations(tmp_path):
    """A folder of migrations to play with."""
    for number, name in ((1, "one"), (2, "two")):
        (tmp_path / f"{number:04}_{name}.sql").write_text(
            f"CREATE TABLE syncline.t_{name} (n integer);\n"
        )
    return tmp_path


@pytest.fixture
def database(stack, user):
    """An empty database of a test's own, as its owner."""
    name = re.sub(r"\W", "_", user)
    stack.query(f"CREATE DATABASE {name} OWNER syncline_owner", role="admin")
    dsn = stack.dsn("owner").replace("dbname=syncline", f"dbname={name}")
    yield dsn
    stack.query(f"DROP DATABASE {name} WITH (FORCE)", role="admin")


def migrate(dsn, folder):
    return subprocess.run(
        ["sh", str(ROOT / "sql" / "migrate.sh"), dsn],
        env={"PATH": os.environ["PATH"], "MIGRATIONS": str(folder)},
        capture_output=True, text=True, timeout=60, check=False,
    )


def applied(dsn):
    conn = psycopg2.connect(dsn)
    try:
        with conn.cursor() as cur:
            cur.execute("SELECT name FROM syncline.schema_migrations ORDER BY 1")
            return [row[0] for row in cur.fetchall()]
    finally:
        conn.close()


def test_migrations_are_applied_once_however_many_run(database, migrations):
    (migrations / "0002_two.sql").write_text(
        "SELECT pg_sleep(0.3); CREATE TABLE syncline.t_two (n integer);"
    )
    with concurrent.futures.ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: migrate(database, migrations), range(5)))
    assert [d.returncode for d in done] == [0] * 5, done
    assert sum("applying 0001_one" in d.stdout for d in done) == 1
    assert applied(database) == ["0001_one", "0002_two"]


def test_a_failing_migration_changes_nothing(database, migrations):
    assert migrate(database, migrations).returncode == 0
    (migrations / "0003_good.sql").write_text("CREATE TABLE syncline.g (n int);")
    (migrations / "0004_bad.sql").write_text("SELECT 1/0;")
    bad = migrate(database, migrations)
    assert bad.returncode != 0 and "division by zero" in bad.stderr
    assert applied(database) == ["0001_one", "0002_two"]


def test_a_changed_migration_is_refused(database, migrations):
    assert migrate(database, migrations).returncode == 0
    (migrations / "0001_one.sql").write_text("SELECT 1;")
    refused = migrate(database, migrations)
    assert refused.returncode != 0
    assert "changed since it was applied: 0001_one" in refused.stderr


def test_a_newer_database_is_refused(database, migrations):
    assert migrate(database, migrations).returncode == 0
    (migrations / "0002_two.sql").unlink()
    refused = migrate(database, migrations)
    assert refused.returncode != 0
    assert "the database is newer than these files" in refused.stderr


def test_a_migration_numbered_too_low_is_refused(database, migrations):
    (migrations / "0001_one.sql").rename(migrations / "0003_one.sql")
    assert migrate(database, migrations).returncode == 0
    (migrations / "0001_late.sql").write_text("SELECT 1;")
    refused = migrate(database, migrations)
    assert refused.returncode != 0 and "0001_late" in refused.stderr


def test_a_migration_must_not_end_the_transaction(database, migrations):
    (migrations / "0002_two.sql").write_text("COMMIT;")
    refused = migrate(database, migrations)
    assert refused.returncode != 0 and "0002_two.sql ends" in refused.stderr


# Roles.


def test_roles_may_be_granted_again_by_a_plain_owner(stack):
    done = subprocess.run(
        ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", stack.dsn("owner"),
         "-f", str(ROOT / "sql" / "roles.sql")],
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_programs_role_writes_rows_but_no_history_of_migrations(stack):
    assert stack.query(
        """SELECT has_table_privilege('syncline_app', c.oid, 'DELETE')
        FROM pg_class c WHERE relname = 'sync_active'"""
    ) == [(True,)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        stack.query("DELETE FROM syncline.schema_migrations", role="app")
    stack.query("CREATE TEMPORARY TABLE t (n integer)", role="app")


def test_later_tables_are_granted_too(make_stack):
    own = make_stack()
    own.query("CREATE TABLE syncline.later (n integer)")
    assert own.query("SELECT count(*) FROM syncline.later", role="app") == [(0,)]


def test_a_reader_sees_all_but_secrets(stack):
    rows = stack.query(
        """SELECT has_column_privilege('syncline_reader',
            'syncline.connections', attname, 'SELECT'), attname
        FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped
            AND attrelid = 'syncline.connections'::regclass"""
    )
    hidden = {name for seen, name in rows if not seen}
    assert hidden == {"refresh_token", "access_token"}


# nginx.


def error_of(answer, status, code):
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("application/json")
    body = answer.json()
    assert body["success"] is False and body["code"] == code
    assert body["error"] == body["message"]
    assert body["requestId"] == answer.headers["X-Request-Id"]
    return answer


def test_what_nginx_refuses_looks_like_every_other_answer(stack):
    big = b"x" * 70000
    error_of(
        stack.api("POST", "/api/sync/start", data=big),
        413, "payload_too_large",
    )
    error_of(stack.api("GET", "/no/such/page"), 404, "not_found")
    error_of(stack.api("GET", "/api/" + "x" * 9000), 414, "uri_too_long")
    error_of(
        stack.api("GET", "/api/sync/status", headers={"X-Big": "x" * 9000}),
        431, "headers_too_large",
    )
    error_of(stack.api("TRACE", "/api/sync/status"), 405, "method_not_allowed")


def test_bodies_have_the_limits_of_their_routes(stack):
    def status(path, size):
        return stack.api("PUT", path, data=b"x" * size * 1024).status_code

    assert status("/api/v1/connections/amazon", 200) != 413
    assert status("/api/v1/connections/amazon", 300) == 413
    assert status("/api/enhanced-sync/bulk", 3000) != 413
    assert status("/api/enhanced-sync/bulk", 5000) == 413


def test_without_handlers_there_is_a_503_at_once(own):
    own.stop("fcgi")
    began = time.monotonic()
    answer = error_of(own.api("GET", "/api/sync/status"), 503, "unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert time.monotonic() - began < 1
    own.start("fcgi")
    assert own.api("GET", "/healthz").status_code == 200


@pytest.mark.parametrize("sane", ["abc", "A.b_c-9", "x" * 64])
def test_a_sane_request_id_is_taken_over(stack, sane):
    answer = stack.api("GET", "/healthz", headers={"X-Request-Id": sane})
    assert answer.headers["X-Request-Id"] == sane


@pytest.mark.parametrize("odd", ["a b", "x" * 65, '"', "a,b", "é".encode()])
def test_an_odd_request_id_is_replaced(stack, odd):
    answer = stack.api("GET", "/healthz", headers={"X-Request-Id": odd})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-Id"])


def test_the_access_log_has_the_id_and_no_query(stack, user):
    stack.api(
        "GET", f"/auth/amazon/callback?code=SECRET-{user}",
        headers={"X-Request-Id": user},
    )
    line = wait_for(lambda: next(
        (line for line in stack.log("nginx-access").splitlines()
         if f'"id":"{user}"' in line), None))
    assert '"path":"/auth/amazon/callback"' in line
    assert "SECRET" not in stack.log("nginx-access")


def test_the_request_limit_is_a_setting(make_stack):
    own = make_stack(env={"LIMIT_REQ": "5"})
    answers = [own.api("GET", "/api/sync/status") for _ in range(40)]
    limited = [a for a in answers if a.status_code == 429 and
               a.json()["code"] == "rate_limited"]
    assert limited
    error_of(limited[0], 429, "rate_limited")
