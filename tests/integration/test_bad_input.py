"""What clients should not send, and that the answer gives nothing away."""

import base64
import http.client
import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse
import uuid

import pytest

from contract import Contract, is_sentence
from stack import make_token

START = "/api/sync/start"
CANCEL = "/api/sync/cancel"
HISTORY = "/api/sync/history"
BULK = "/api/enhanced-sync/bulk"
CLEANUP = "/api/enhanced-sync/cleanup"
CONNECTION = "/api/v1/connections/amazon"
JSON = {"Content-Type": "application/json"}
UNKNOWN = str(uuid.uuid4())

# What an answer never holds: SQL, paths, sources, PostgreSQL's own words.
LEAK = re.compile(
    rb"\b(SELECT|INSERT|UPDATE|RETURNING|pg_\w+|postgres\w*|libpq|SQLSTATE)\b"
    rb"|syncline\.\w|sync_active|sync_history|relation \"|syntax error"
    rb"|invalid input syntax|/(var|home|usr|tmp|etc|root)/|\w\.c:\d|nginx/",
    re.IGNORECASE)


def deep(depth):
    return b'{"x":' * depth + b"1" + b"}" * depth


def case(name, method, path, status, code, **how):
    return pytest.param(method, path, status, code, how, id=name)


def bad_start(name, body, code="invalid_field", status=400):
    return case(name, "POST", START, status, code, body=body)


CASES = [
    # bodies that are no JSON, or not ours
    bad_start("no json", b"hello", "invalid_json"),
    bad_start("cut off", b'{"connectionId":"a', "invalid_json"),
    bad_start("two values", b"{} {}", "invalid_json"),
    bad_start("trailing comma", b'{"rerun":true,}', "invalid_json"),
    bad_start("single quotes", b"{'rerun':true}", "invalid_json"),
    bad_start("comment", b"/* x */{}", "invalid_json"),
    bad_start("NaN", b'{"x":NaN}', "invalid_json"),
    bad_start("array", b"[]", "invalid_json"),
    bad_start("number", b"7", "invalid_json"),
    bad_start("text", b'"start"', "invalid_json"),
    bad_start("null", b"null", "invalid_json"),
    bad_start("white space only", b"   ", "invalid_json"),
    bad_start("byte order mark", b"\xef\xbb\xbf{}", "invalid_json"),
    bad_start("bad UTF-8", b'{"connectionId":"\xff\xfe"}', "invalid_json"),
    bad_start("overlong UTF-8", b'{"connectionId":"\xc0\xaf"}',
        "invalid_json"),
    bad_start("surrogate in UTF-8", b'{"connectionId":"\xed\xa0\x80"}',
        "invalid_json"),
    bad_start("NUL escape", b'{"connectionId":"a\\u0000b"}', "invalid_json"),
    bad_start("NUL byte", b'{"connectionId":"a\x00b"}', "invalid_json"),
    bad_start("deep", deep(40), "invalid_json"),
    bad_start("very deep", deep(9000), "invalid_json"),
    bad_start("deep array", b'{"x":' + b"[" * 9000, "invalid_json"),
    bad_start("UTF-16", '{"a":1}'.encode("utf-16"), "invalid_json"),
    # fields of a start
    bad_start("connectionId number", {"connectionId": 5}),
    bad_start("connectionId object", {"connectionId": {"$ne": ""}}),
    bad_start("connectionId list", {"connectionId": ["amazon"]}),
    bad_start("connectionId empty", {"connectionId": ""}),
    bad_start("connectionId long", {"connectionId": "x" * 129}),
    bad_start("connectionId control", {"connectionId": "a\nb"}),
    bad_start("connectionId unknown", {"connectionId": "none"},
        "not_connected"),
    bad_start("connectionId SQL", {"connectionId": "' OR 1=1 --"},
        "not_connected"),
    bad_start("priority word", {"priority": "highest"}),
    bad_start("priority number", {"priority": 3}),
    bad_start("priority high", {"priority": "high"}, "priority_not_allowed",
        403),
    bad_start("priority urgent", {"priority": "urgent"},
        "priority_not_allowed", 403),
    bad_start("streams text", {"streams": "orders"}),
    bad_start("streams empty", {"streams": []}),
    bad_start("streams number", {"streams": [1]}),
    bad_start("streams null inside", {"streams": [None]}),
    bad_start("streams unknown", {"streams": ["orders", "users"]}),
    bad_start("streams many", {"streams": ["orders"] * 33}),
    bad_start("mode word", {"mode": "everything"}),
    bad_start("mode boolean", {"mode": True}),
    bad_start("rerun text", {"rerun": "true"}),
    bad_start("rerun number", {"rerun": 1}),
    case("key too long", "POST", START, 400, "bad_header",
        headers={"Idempotency-Key": "k" * 129}),
    case("force with a bad mode", "POST", "/api/sync/force", 400,
        "invalid_field", body={"mode": "x"}),
    case("amazon with a bad mode", "POST",
        "/api/v1/integrations/amazon/sync", 400, "invalid_field",
        body={"mode": "x"}),
    # ids
    case("status of an unknown", "GET", f"/api/sync/status/{UNKNOWN}", 404,
        "not_found"),
    case("status of a foreign", "GET", "/api/sync/status/{foreign}", 404,
        "not_found"),
    case("status by query of a foreign", "GET",
        "/api/sync/status?id={foreign}", 404, "not_found"),
    case("status of an empty id", "GET", "/api/sync/status?id=", 400,
        "invalid_parameter"),
    case("status of a long id", "GET", "/api/sync/status/" + "x" * 129, 400,
        "invalid_parameter"),
    case("status of SQL", "GET", "/api/sync/status/'%20OR%20'1'='1", 404,
        "not_found"),
    case("status with NUL", "GET", "/api/sync/status/a%00b", 400, None),
    case("status with a line break", "GET", "/api/sync/status/a%0Ab", 400,
        "bad_path"),
    case("status with bad UTF-8", "GET", "/api/sync/status/%ff%fe", 400,
        "bad_path"),
    case("status with half an escape", "GET", "/api/sync/status/%e", 400,
        None),
    case("results of a foreign", "GET", "/api/sync/results/{foreign}", 404,
        "not_found"),
    case("results of an unknown", "GET", f"/api/sync/results/{UNKNOWN}", 404,
        "not_found"),
    case("progress of a foreign", "GET",
        "/api/enhanced-sync/progress/{foreign}", 404, "not_found"),
    case("classic status of a foreign", "GET",
        "/api/v1/integrations/sync/status/{foreign}", 404, "not_found"),
    case("retry of a foreign", "POST", "/api/sync/retry/{foreign}", 404,
        "not_found"),
    case("retry of an unknown", "POST", f"/api/sync/retry/{UNKNOWN}", 404,
        "not_found"),
    case("cancel of a foreign", "POST", CANCEL + "/{foreign}", 404,
        "not_found"),
    case("cancel by DELETE of a foreign", "DELETE", CANCEL + "/{foreign}",
        404, "not_found"),
    case("cancel of a foreign in the body", "POST", CANCEL, 404, "not_found",
        body={"syncId": "{foreign}"}),
    case("cancel of a number", "POST", CANCEL, 400, "invalid_field",
        body={"syncId": 7}),
    case("cancel of an empty id", "POST", CANCEL, 400, "invalid_field",
        body={"id": ""}),
    case("cancel of a long id", "POST", CANCEL, 400, "invalid_field",
        body={"id": "x" * 129}),
    case("cancel of nothing", "POST", CANCEL, 404, "no_active_sync"),
    case("foreign connection", "GET", "/api/v1/connections/foreign", 404,
        "not_found"),
    case("odd connection id", "GET", "/api/v1/connections/a%20b", 400,
        "invalid_parameter"),
    # paging and filters
    case("limit 0", "GET", HISTORY + "?limit=0", 400, "invalid_parameter"),
    case("limit 101", "GET", HISTORY + "?limit=101", 400,
        "invalid_parameter"),
    case("limit word", "GET", HISTORY + "?limit=ten", 400,
        "invalid_parameter"),
    case("limit fraction", "GET", HISTORY + "?limit=1.5", 400,
        "invalid_parameter"),
    case("limit hexadecimal", "GET", HISTORY + "?limit=0x10", 400,
        "invalid_parameter"),
    case("limit huge", "GET", HISTORY + "?limit=99999999999999999999", 400,
        "invalid_parameter"),
    case("offset negative", "GET", HISTORY + "?offset=-1", 400,
        "invalid_parameter"),
    case("offset huge", "GET", HISTORY + "?offset=9223372036854775808", 400,
        "invalid_parameter"),
    case("status idle", "GET", HISTORY + "?status=idle", 400,
        "invalid_parameter"),
    case("status word", "GET", HISTORY + "?status=broken", 400,
        "invalid_parameter"),
    case("from word", "GET", HISTORY + "?from=yesterday", 400,
        "invalid_parameter"),
    case("from no such day", "GET", HISTORY + "?from=2026-02-30", 400,
        "invalid_parameter"),
    case("to no zone", "GET", HISTORY + "?to=2026-01-01T00:00:00", 400,
        "invalid_parameter"),
    case("to infinity", "GET", HISTORY + "?to=infinity", 400,
        "invalid_parameter"),
    case("connection long", "GET", HISTORY + "?connectionId=" + "x" * 129,
        400, "invalid_parameter"),
    case("activity limit", "GET", "/api/sync/activity?limit=-5", 400,
        "invalid_parameter"),
    case("activity form", "GET", "/api/sync/activity?format=xml", 400,
        "invalid_parameter"),
    case("query with bad UTF-8", "GET", HISTORY + "?status=%c3%28", 400,
        "bad_query"),
    case("query with NUL", "GET", HISTORY + "?status=%00", 400, "bad_query"),
    case("query of many", "GET", HISTORY + "?" + "a=1&" * 200, 400,
        "bad_query"),
    # methods, paths, types, sizes
    case("GET of start", "GET", START, 405, "method_not_allowed"),
    case("PUT of start", "PUT", START, 405, "method_not_allowed", body={}),
    case("PATCH of history", "PATCH", HISTORY, 405, "method_not_allowed",
        body={}),
    case("DELETE of status", "DELETE", "/api/sync/status", 405,
        "method_not_allowed"),
    case("POST of status", "POST", "/api/sync/status", 405,
        "method_not_allowed", body={}),
    case("unknown path", "GET", "/api/nothing", 404, "not_found"),
    case("path of another", "GET", "/api/sync/", 404, "not_found"),
    case("dot segments", "GET", "/api/sync/%2e%2e/%2e%2e/etc/passwd", None,
        None),
    case("form", "POST", START, 415, "unsupported_media_type", body=b"a=1",
        headers={"Content-Type": "application/x-www-form-urlencoded"}),
    case("plain text", "POST", START, 415, "unsupported_media_type",
        body=b"{}", headers={"Content-Type": "text/plain"}),
    case("another JSON", "POST", START, 415, "unsupported_media_type",
        body=b"{}", headers={"Content-Type": "application/jsonp"}),
    case("Latin-1", "POST", START, 415, "unsupported_media_type", body=b"{}",
        headers={"Content-Type": "application/json; charset=latin1"}),
    case("no type", "POST", START, 415, "unsupported_media_type", body=b"{}",
        headers={"Content-Type": ""}),
    case("large body", "POST", START, 413, None,
        body=b'{"x":"' + b"x" * 70000 + b'"}'),
    case("large connection", "PUT", CONNECTION, 413, None,
        body=b'{"x":"' + b"x" * 300000 + b'"}'),
    case("long path", "GET", "/api/sync/status/" + "y" * 3000, 414, None),
    case("long address", "GET", "/api/sync/status?id=" + "y" * 20000, 414,
        None),
    case("large header", "GET", HISTORY, 431, None,
        headers={"X-Filler": "z" * 20000}),
    # administrators only
    case("bulk by a user", "POST", BULK, 403, "forbidden",
        body={"userIds": ["a"]}),
    case("cleanup by a user", "POST", CLEANUP, 403, "forbidden",
        body={"olderThanDays": 30}),
    case("bulk without users", "POST", BULK, 400, "invalid_field", body={},
        role="admin"),
    case("bulk of none", "POST", BULK, 400, "invalid_field",
        body={"userIds": []}, role="admin"),
    case("bulk of text", "POST", BULK, 400, "invalid_field",
        body={"userIds": "ann"}, role="admin"),
    case("bulk of numbers", "POST", BULK, 400, "invalid_field",
        body={"userIds": ["ann", 7]}, role="admin"),
    case("bulk of a long user", "POST", BULK, 400, "invalid_field",
        body={"userIds": ["x" * 129]}, role="admin"),
    case("bulk too large", "POST", BULK, 413, None,
        body=b'{"x":"' + b"x" * (4 * 1024 * 1024 + 9) + b'"}', role="admin"),
    case("cleanup without days", "POST", CLEANUP, 400, "invalid_field",
        body={}, role="admin"),
    case("cleanup of 0 days", "POST", CLEANUP, 400, "invalid_field",
        body={"olderThanDays": 0}, role="admin"),
    case("cleanup of a word", "POST", CLEANUP, 400, "invalid_field",
        body={"olderThanDays": "30"}, role="admin"),
    case("cleanup of a fraction", "POST", CLEANUP, 400, "invalid_field",
        body={"olderThanDays": 1.5}, role="admin"),
    case("cleanup of ages", "POST", CLEANUP, 400, "invalid_field",
        body={"olderThanDays": 3651}, role="admin"),
    # connections
    case("connection without token", "PUT", CONNECTION + "2", 400,
        "invalid_field", body={"provider": "spapi"}),
    case("connection of nobody", "PUT", CONNECTION, 400, "unknown_provider",
        body={"provider": "none", "refreshToken": "Atzr|hidden-token"}),
    case("connection with a number", "PUT", CONNECTION, 400, "invalid_field",
        body={"provider": "spapi", "refreshToken": 5}),
    case("connection with no region", "PUT", CONNECTION, 400,
        "invalid_field", body={"provider": "spapi", "region": "moon",
            "refreshToken": "Atzr|hidden-token"}),
]


@pytest.fixture(scope="module")
def contract(stack):
    return Contract(stack)


@pytest.fixture(scope="module")
def victim(stack):
    """A user with a connection, and the id of another user's sync."""
    for user in ("bad-input", "bad-input-other"):
        stack.connect(user)
    answer = stack.api("POST", START, user="bad-input-other")
    assert answer.status_code in (200, 409), answer.text
    body = answer.json()
    return "bad-input", body.get("syncId") or body["existingSyncId"]


def send(stack, method, path, token=None, body=None, headers=None):
    """An HTTP request, byte for byte as given; status, headers, content."""
    where = urllib.parse.urlsplit(stack.base_url)
    conn = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    headers = dict(headers or {})
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None:
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
        headers["Content-Length"] = str(len(body))
    try:
        conn.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            conn.putheader(name, value)
        try:
            conn.endheaders(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it was sent whole; the answer is there
        answer = conn.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        conn.close()


def assert_refused(status, headers, content, code=None, secrets=()):
    """The answer is an error in our form and gives nothing away."""
    assert 400 <= status < 500, content
    assert headers["Content-Type"].startswith("application/json"), content
    body = json.loads(content)
    assert body["success"] is False
    assert code is None or body["code"] == code, body
    assert re.fullmatch(r"[a-z_]+", body["code"])
    assert is_sentence(body["message"]), body
    assert body["requestId"] == headers["X-Request-Id"]
    assert not LEAK.search(content), content
    for secret in secrets:
        assert secret not in content
    return body


@pytest.mark.parametrize("method, path, status, code, how", CASES)
def test_bad_input_is_refused(
        stack, contract, victim, method, path, status, code, how):
    user, foreign = victim
    before = stack.query("SELECT count(*) FROM syncline.sync_all"
        " WHERE user_id = %s", (user,))
    body = how.get("body")
    if isinstance(body, dict):
        body = {name: foreign if value == "{foreign}" else value
            for name, value in body.items()}
    token = stack.token(user, how.get("role"))
    got, headers, content = send(stack, method,
        path.replace("{foreign}", foreign), token, body, how.get("headers"))
    assert status is None or got == status, (got, content)
    error = assert_refused(got, headers, content, code,
        [token.encode(), stack.secret(), b"hidden-token"])
    wrong = contract.wrong(
        contract.text["components"]["schemas"]["Error"], error)
    assert not wrong, wrong
    if error["code"] in ("invalid_field", "invalid_parameter"):
        assert error["field"] in error["message"] or error["field"] in (
            "id", "syncId", "refreshToken"), error
    if got == 405:
        assert method not in headers["Allow"].split(", ")
    assert stack.query("SELECT count(*) FROM syncline.sync_all"
        " WHERE user_id = %s", (user,)) == before


def test_the_table_is_long_enough():
    assert len(CASES) >= 60


# Who is asking.

def claims(**more):
    now = int(time.time())
    return {"sub": "bad-input", "iat": now, "exp": now + 600, **more}


def unsigned(header, body):
    text = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (header, body)]
    return b".".join([*text, b""]).decode()


TOKENS = {
    "none at all": lambda key: None,
    "empty": lambda key: "",
    "no token": lambda key: "hello",
    "two parts": lambda key: "a.b",
    "three empty parts": lambda key: "..",
    "long": lambda key: "a" * 7000,
    "another key": lambda key: make_token(b"x" * 32, claims()),
    "alg none": lambda key: unsigned({"alg": "none"}, claims()),
    "alg None": lambda key: unsigned({"alg": "None", "typ": "JWT"}, claims()),
    "alg HS512": lambda key: make_token(key, claims(), {"alg": "HS512"}),
    "alg RS256": lambda key: make_token(key, claims(), {"alg": "RS256"}),
    "alg missing": lambda key: make_token(key, claims(), {"typ": "JWT"}),
    "crit": lambda key: make_token(key, claims(),
        {"alg": "HS256", "crit": ["exp"]}),
    "expired": lambda key: make_token(key, claims(exp=int(time.time()) - 120)),
    "never expires": lambda key: make_token(key, claims(exp=None)),
    "exp as text": lambda key: make_token(key, claims(exp="2999")),
    "not yet": lambda key: make_token(key, claims(nbf=int(time.time()) + 600)),
    "no user": lambda key: make_token(key, claims(sub=None)),
    "empty user": lambda key: make_token(key, claims(sub="")),
    "long user": lambda key: make_token(key, claims(sub="x" * 129)),
    "list as user": lambda key: make_token(key, claims(sub=["bad-input"])),
    "control in user": lambda key: make_token(key, claims(sub="a\nb")),
    "cut signature": lambda key: make_token(key, claims())[:-4],
    "changed claims": lambda key: ".".join(
        make_token(key, claims(sub=name)).split(".")[part]
        for part, name in enumerate(("a", "bad-input", "b"))),
}


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("method, path", [
    ("GET", "/api/sync/status"), ("POST", START), ("POST", BULK)])
def test_a_bad_token_is_nobody(stack, victim, name, method, path):
    token = TOKENS[name](stack.secret())
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    got = send(stack, method, path, body={} if method == "POST" else None,
        headers=headers)
    assert got[0] == 401, got
    assert got[1]["WWW-Authenticate"].startswith("Bearer")
    assert_refused(*got, "unauthorized", [stack.secret()] + (
        [token.encode()] if token and len(token) > 10 else []))


def test_another_header_makes_nobody_somebody(stack, victim):
    for headers in ({"X-User-Id": "bad-input"},
            {"Authorization": "Basic YTpi"},
            {"Cookie": "session=" + stack.token("bad-input")},
            {"Authorization": stack.token("bad-input")}):
        assert_refused(*send(stack, "GET", "/api/sync/status",
            headers=headers), "unauthorized", [stack.secret()])


def test_a_cookie_alone_writes_nothing_for_a_foreign_page(stack, victim):
    cookie = {"Cookie": "session_token=" + stack.token("bad-input")}
    assert send(stack, "GET", "/api/sync/status", headers=cookie)[0] == 200
    for more in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"},
            {"Origin": stack.base_url + ".evil.example"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "cross-site"}):
        got = send(stack, "POST", START, body={},
            headers={**cookie, **more})
        assert got[0] == 403, (more, got)
        assert_refused(*got, "origin_not_allowed", [stack.secret()])


@pytest.fixture(scope="module")
def rsa():
    """A folder with an RSA key pair and a secret for HS256."""
    folder = tempfile.mkdtemp(prefix="syncline-test-keys-", dir="/var/tmp")
    subprocess.run(["chmod", "755", folder], check=True)
    subprocess.run(["openssl", "genrsa", "-out", f"{folder}/key", "2048"],
        check=True, capture_output=True)
    subprocess.run(["openssl", "rsa", "-in", f"{folder}/key", "-pubout",
        "-out", f"{folder}/pem"], check=True, capture_output=True)
    yield folder
    shutil.rmtree(folder)


def rs256(folder, body):
    text = unsigned({"alg": "RS256", "typ": "JWT"}, body)[:-1]
    mac = subprocess.run(["openssl", "dgst", "-sha256", "-sign",
        f"{folder}/key"], input=text.encode(), check=True,
        capture_output=True).stdout
    return text + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def test_a_public_key_is_no_secret(make_stack, rsa):
    """The classic forgery: HS256, signed with the RS256 public key."""
    stack = make_stack(env={
        "SYNCLINE_JWT_KEYS": f"RS256=@{rsa}/pem HS256={'s' * 40}"})
    with open(f"{rsa}/pem", "rb") as file:
        pem = file.read()

    def asked(token):
        return send(stack, "GET", "/api/sync/status", token)

    assert asked(rs256(rsa, claims()))[0] == 200
    assert asked(make_token(b"s" * 40, claims()))[0] == 200
    der = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    for secret in (pem, pem.rstrip(), pem.rstrip() + b"\n\n", der):
        for header in (None, {"alg": "HS256"}, {"alg": "RS256"}):
            got = asked(make_token(secret, claims(role="admin"), header))
            assert got[0] == 401
            assert_refused(*got, "unauthorized", [b"s" * 40])
    stale = rs256(rsa, claims(exp=int(time.time()) - 3600))
    assert_refused(*asked(stale), "unauthorized")


# Below HTTP.

RAW = {
    "no HTTP": b"hello\r\n\r\n",
    "bad version": b"GET /api/sync/status HTTP/9.9\r\nHost: a\r\n\r\n",
    "no host": b"GET /api/sync/status HTTP/1.1\r\n\r\n",
    "bad length": b"POST /api/sync/start HTTP/1.1\r\nHost: a\r\n"
        b"Content-Length: many\r\n\r\n",
    "two lengths": b"POST /api/sync/start HTTP/1.1\r\nHost: a\r\n"
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": b"POST /api/sync/start HTTP/1.1\r\nHost: a\r\n"
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk": b"POST /api/sync/start HTTP/1.1\r\nHost: a\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "NUL in the path": b"GET /api/\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 40,
}


@pytest.mark.parametrize("name", RAW)
def test_no_request_at_all(stack, name):
    where = urllib.parse.urlsplit(stack.base_url)
    with socket.create_connection((where.hostname, where.port), 10) as sock:
        sock.sendall(RAW[name])
        sock.shutdown(socket.SHUT_WR)
        got = b""
        while part := sock.recv(65536):
            got += part
    assert not LEAK.search(got), got
    if got.startswith(b"HTTP/1.1"):
        assert 400 <= int(got.split()[1]) < 510, got


def test_all_of_it_left_no_trace_in_the_logs(stack, victim):
    """No secret, no token, and no crash of a handler."""
    log = stack.log("fcgi")
    assert stack.secret().decode().strip() not in log
    assert "hidden-token" not in log
    assert "eyJ" not in log
    for word in ("ERROR: AddressSanitizer", "runtime error:", "handler_died",
            "Segmentation"):
        assert word not in log
