"""A system to test against: tests/stack, driven from Python.

    with Stack() as stack:
        stack.connect("ann")
        answer = stack.api("POST", "/api/sync/start", user="ann")

Each Stack lives in a folder and on ports of its own, so several stand side by
side.  PostgreSQL is copied from a template cluster that is made once, so up()
takes about a second.
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import random
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import psycopg2
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "stack" / "stack"
BUILD = pathlib.Path(
    os.environ.get("SYNCLINE_BUILD", ROOT / "build" / "gcc")
).resolve()


class StackError(Exception):
    """A part did not do what it was told; the text says what it printed."""


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_token(secret, claims, header=None):
    """A token with exactly these claims; HS256 unless the header differs."""
    header = header or {"alg": "HS256", "typ": "JWT"}
    text = ".".join(_b64(json.dumps(part).encode()) for part in (header, claims))
    mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{_b64(mac)}"


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports():
    """A port whose successor is free as well, below the range that outgoing
    connections take theirs from."""
    while True:
        port = random.randrange(12000, 32000, 2)
        if _is_free(port) and _is_free(port + 1):
            return port


class Stack:
    """One system.  var=None: a temporary folder, deleted by remove().
    port=0: some free one; the sandbox seller listens on the next.  env: any
    setting of the programs or of tests/stack.  sandbox_args: further
    arguments of the seller."""

    def __init__(self, var=None, port=0, env=None, sandbox_args=None):
        self._own_var = var is None
        self._any_port = port == 0
        if var is None:
            var = tempfile.mkdtemp(prefix="syncline-test-", dir="/var/tmp")
            os.chmod(var, 0o755)
        self.var = pathlib.Path(var)
        self.port = port
        self._given = {key: str(value) for key, value in (env or {}).items()}
        self._sandbox_args = [str(arg) for arg in sandbox_args or []]
        self._settings = None

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    # What runs.

    def _environment(self):
        env = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("SYNCLINE_", "STACK_"))
        }
        env.update(
            SYNCLINE_BUILD=str(BUILD),
            VAR=str(self.var),
            PORT=str(self.port),
            STACK_TEMPLATE="1",
            LIMIT_REQ="0",
            # as good as no limits, unless a test is about them
            SYNCLINE_SPAPI_RATE_SCALE="1000000",
            SANDBOX_ARGS=" ".join(self._sandbox_args),
        )
        env.pop("SANDBOX_PORT", None)
        env.update(self._given)
        return env

    def script(self, *args, check=True, timeout=180):
        """Runs tests/stack/stack with these arguments; its output."""
        done = subprocess.run(
            [str(SCRIPT), *map(str, args)],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise StackError(f"stack {' '.join(map(str, args))}:\n{done.stdout}")
        return done.stdout

    def up(self):
        """Starts what does not run; returns self."""
        for attempt in range(10):
            if self._any_port and self._settings is None:
                self.port = free_ports()
            try:
                self.script("up")
                break
            except StackError as error:
                # Somebody was faster at that port.
                taken = "is taken" in str(error)
                if not (taken and self._any_port) or attempt == 9:
                    raise
        self._settings = None
        return self

    def down(self):
        """Ends every process; data stays, up() goes on with it."""
        self.script("down")

    def remove(self):
        """Ends every process and deletes everything."""
        if os.environ.get("KEEP"):
            self.script("down", check=False)
            return
        self.script("remove", check=False)
        if self._own_var:
            shutil.rmtree(self.var, ignore_errors=True)

    def start(self, part):
        """part: postgres, sandbox, runner, fcgi, nginx; runner-2 and so on
        are further runners on the same database."""
        self.script("start", part)

    def stop(self, part, sig=None):
        """Ends a part and all its processes; by sig when one is given, such
        as "KILL" or signal.SIGKILL.  STOP, CONT, HUP are only sent."""
        if sig is None:
            self.script("stop", part)
        else:
            if isinstance(sig, int):
                sig = signal.Signals(sig).name
            self.script("stop", part, sig.removeprefix("SIG"))

    def pid(self, part):
        """The process id of a part; None when it does not run."""
        out = self.script("pid", part, check=False).strip()
        return int(out) if out.isdigit() else None

    # What it is set to.

    def settings(self):
        """Settings by name: SYNCLINE_* and the STACK_* of tests/stack."""
        if self._settings is None:
            self._settings = {}
            for line in self.script("env").splitlines():
                name, _, value = line.partition("=")
                self._settings[name] = "".join(shlex.split(value))
        return self._settings

    @property
    def base_url(self):
        return self.settings()["STACK_BASE_URL"]

    @property
    def sandbox_url(self):
        return self.settings()["STACK_SANDBOX_URL"]

    @property
    def run_dir(self):
        return pathlib.Path(self.settings()["STACK_RUN_DIR"])

    def log_file(self, part):
        """Of a part, or "nginx-access", "nginx-error", "sandbox-calls"."""
        return self.var / "log" / f"{part}.log"

    def log(self, part):
        """All that a part has said so far."""
        try:
            return self.log_file(part).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    # Ways to talk to it.

    def dsn(self, role="owner"):
        """A connection string as owner of the tables, app (the programs'
        own role) or admin (superuser)."""
        run = self.settings()["STACK_RUN_DIR"]
        user = {"owner": "syncline_owner", "app": "syncline_app"}.get(
            role, "postgres"
        )
        return f"host={run}/postgres user={user} dbname=syncline"

    def db(self, role="owner"):
        """A new connection, each statement its own transaction."""
        conn = psycopg2.connect(self.dsn(role))
        conn.autocommit = True
        return conn

    def query(self, sql, args=None, role="owner"):
        """Runs one statement on a connection of its own; its rows."""
        conn = self.db(role)
        try:
            with conn.cursor() as cur:
                cur.execute(sql, args)
                return cur.fetchall() if cur.description else None
        finally:
            conn.close()

    def secret(self):
        return (self.var / "secrets" / "jwt").read_bytes()

    def token(self, user, role=None, **claims):
        """A token for user; claims are added, or with None taken away."""
        now = int(time.time())
        body = {"sub": user, "iat": now, "exp": now + 3600, "role": role}
        body.update(claims)
        body = {key: value for key, value in body.items() if value is not None}
        return make_token(self.secret(), body)

    def api(self, method, path, user=None, role=None, token=None, **kwargs):
        """An HTTP request, as user when there is one; a requests.Response.
        kwargs as for requests.request (json=, headers=, timeout=, ...)."""
        headers = dict(kwargs.pop("headers", None) or {})
        if token is None and user is not None:
            token = self.token(user, role)
        if token is not None:
            headers.setdefault("Authorization", f"Bearer {token}")
        kwargs.setdefault("timeout", 30)
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                method, self.base_url + path, headers=headers, **kwargs
            )

    def connect(self, user, seller="SELLER1", **fields):
        """Connects a user to an account of the sandbox seller."""
        body = {
            "provider": "spapi",
            "label": "Sandbox seller",
            "refreshToken": f"Atzr|sandbox-{seller}",
            "region": "na",
        }
        body.update(fields)
        answer = self.api(
            "PUT", "/api/v1/connections/amazon", user=user, json=body
        )
        if answer.status_code not in (200, 201):
            raise StackError(f"connect: {answer.status_code} {answer.text}")
        return answer.json()


def wait_for(check, seconds=20, pause=0.05):
    """Calls check until it returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {check}")
        time.sleep(pause)
