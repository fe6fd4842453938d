"""Connected accounts: what goes in, what comes out, what stays secret."""

import pytest

TOKEN = "Atzr|a-token-nobody-may-see"
PATH = "/api/v1/connections"


def put(stack, user, name="amazon", **fields):
    body = {"refreshToken": TOKEN, **fields}
    body = {key: value for key, value in body.items() if value is not None}
    return stack.api("PUT", f"{PATH}/{name}", user=user, json=body)


def names(stack, user):
    answer = stack.api("GET", PATH, user=user)
    assert answer.status_code == 200
    return [c["connectionId"] for c in answer.json()["connections"]]


def test_a_connection_is_made_shown_replaced_and_removed(stack, user):
    made = put(
        stack,
        user,
        label="Café",
        region="eu",
        sellerId="S1",
        marketplaces=["A1F83G8C2ARO7P", "A1PA6795UKMFR9"],
        settings={"depth": {"days": 30}},
    )
    assert made.status_code == 201
    shown = stack.api("GET", f"{PATH}/amazon", user=user)
    assert shown.status_code == 200
    shown = shown.json()
    assert shown == made.json()
    assert shown["success"] is True
    assert shown["connectionId"] == "amazon"
    assert shown["provider"] == "spapi"
    assert shown["label"] == "Café"
    assert shown["region"] == "eu"
    assert shown["sellerId"] == "S1"
    assert shown["marketplaces"] == ["A1F83G8C2ARO7P", "A1PA6795UKMFR9"]
    assert shown["settings"] == {"depth": {"days": 30}}
    assert shown["status"] == "connected"
    assert shown["isDefault"] is True

    again = put(stack, user, label="Other")
    assert again.status_code == 200
    assert again.json()["label"] == "Other"
    assert again.json()["sellerId"] == "S1"

    gone = stack.api("DELETE", f"{PATH}/amazon", user=user)
    assert gone.status_code == 200
    assert names(stack, user) == []
    for method in ("GET", "DELETE"):
        answer = stack.api(method, f"{PATH}/amazon", user=user)
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"


def test_a_secret_never_comes_out(stack, user):
    answers = [
        put(stack, user),
        put(stack, user, refreshToken=[TOKEN]),
        stack.api("GET", PATH, user=user),
        stack.api("GET", f"{PATH}/amazon", user=user),
        stack.api("GET", "/api/v1/integrations/status", user=user),
    ]
    for answer in answers:
        assert "nobody-may-see" not in answer.text
    (row,) = stack.query(
        "SELECT c::text, position('Atzr'::bytea IN refresh_token) > 0"
        " FROM syncline.connections c WHERE user_id = %s",
        (user,),
    )
    assert "nobody-may-see" not in row[0]
    assert row[1] is False
    for part in ("fcgi", "runner", "nginx-access", "postgres"):
        assert "nobody-may-see" not in stack.log(part)


def test_the_same_token_is_sealed_differently_each_time(stack, user):
    put(stack, user, "one")
    put(stack, user, "two")
    rows = stack.query(
        "SELECT DISTINCT refresh_token FROM syncline.connections"
        " WHERE user_id = %s",
        (user,),
    )
    assert len(rows) == 2


def test_a_replacement_without_a_token_keeps_the_one_on_file(stack, user):
    def sealed():
        return stack.query(
            "SELECT refresh_token FROM syncline.connections"
            " WHERE user_id = %s",
            (user,),
        )[0][0].tobytes()

    put(stack, user)
    before = sealed()
    assert put(stack, user, refreshToken=None, label="x").status_code == 200
    assert sealed() == before
    assert put(stack, user).status_code == 200
    assert sealed() != before


def test_there_is_one_default(stack, user):
    def defaults():
        listed = stack.api("GET", PATH, user=user).json()["connections"]
        return [c["connectionId"] for c in listed if c["isDefault"]]

    put(stack, user, "a")
    put(stack, user, "b")
    assert defaults() == ["a"]
    put(stack, user, "c", isDefault=True)
    assert defaults() == ["c"]
    put(stack, user, "c", isDefault=False)
    assert defaults() == []


def test_another_user_sees_nothing_of_it(stack, user):
    put(stack, user)
    other = user + "-other"
    assert names(stack, other) == []
    for method in ("GET", "DELETE"):
        answer = stack.api(method, f"{PATH}/amazon", user=other)
        assert answer.status_code == 404
    assert names(stack, user) == ["amazon"]


@pytest.mark.parametrize(
    "fields, code, field",
    [
        ({"refreshToken": None}, "invalid_field", "refreshToken"),
        ({"refreshToken": ""}, "invalid_field", "refreshToken"),
        ({"refreshToken": 1}, "invalid_field", "refreshToken"),
        ({"refreshToken": "x" * 20000}, "invalid_field", "refreshToken"),
        ({"provider": "ebay"}, "unknown_provider", "provider"),
        ({"provider": 1}, "invalid_field", "provider"),
        ({"region": "us"}, "invalid_field", "region"),
        ({"label": "a\nb"}, "invalid_field", "label"),
        ({"label": "x" * 201}, "invalid_field", "label"),
        ({"sellerId": {}}, "invalid_field", "sellerId"),
        ({"marketplaces": "A1"}, "invalid_field", "marketplaces"),
        ({"marketplaces": [1]}, "invalid_field", "marketplaces"),
        ({"marketplaces": ["A"] * 65}, "invalid_field", "marketplaces"),
        ({"isDefault": "yes"}, "invalid_field", "isDefault"),
        ({"settings": []}, "invalid_field", "settings"),
    ],
)
def test_a_wrong_field_is_named(stack, user, fields, code, field):
    answer = put(stack, user, **fields)
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert answer.json()["field"] == field
    assert names(stack, user) == []


@pytest.mark.parametrize("name", ["a b", "a%2Fb", "%C3%A9", "x" * 65, "a'b"])
def test_an_odd_name_is_refused(stack, user, name):
    answer = put(stack, user, name)
    assert answer.status_code in (400, 404)
    assert answer.json()["code"] in ("invalid_parameter", "not_found")
    assert names(stack, user) == []


def test_a_connection_with_an_active_sync_stays(stack, user):
    stack.query(
        "INSERT INTO syncline.connections"
        " (user_id, connection_id, provider) VALUES (%s, 'c', 'none')",
        (user,),
    )
    # A time far away keeps every runner off it.
    stack.query(
        "INSERT INTO syncline.sync_active"
        " (sync_id, user_id, connection_id, provider, not_before)"
        " VALUES (%s, %s, 'c', 'none', clock_timestamp() + '1 day')",
        (f"sync-of-{user}", user),
    )
    for query in ("", "?purge=1"):
        answer = stack.api("DELETE", f"{PATH}/c{query}", user=user)
        assert answer.status_code == 409
        assert answer.json()["code"] == "sync_in_progress"
        assert answer.json()["existingSyncId"] == f"sync-of-{user}"
    assert names(stack, user) == ["c"]
    cancelled = stack.api(
        "POST", f"/api/sync/cancel/sync-of-{user}", user=user
    )
    assert cancelled.status_code == 200
    assert stack.api("DELETE", f"{PATH}/c", user=user).status_code == 200


def fill(stack, user, connection, n):
    stack.query(
        "INSERT INTO syncline.orders (user_id, connection_id, order_id,"
        " last_updated_time, first_sync_id, last_sync_id)"
        " SELECT %s, %s, 'o' || i, now(), 's', 's'"
        " FROM generate_series(1, %s) i",
        (user, connection, n),
    )
    stack.query(
        "INSERT INTO syncline.quarantine"
        " (user_id, connection_id, sync_id, stream, reason)"
        " VALUES (%s, %s, 's', 'orders', 'odd')",
        (user, connection),
    )
    stack.query(
        "INSERT INTO syncline.stream_state"
        " (user_id, connection_id, stream, cursor, sync_id)"
        " VALUES (%s, %s, 'orders', '{}', 's')",
        (user, connection),
    )


def counts(stack, user, connection):
    return tuple(
        stack.query(
            f"SELECT count(*) FROM syncline.{table}"
            " WHERE user_id = %s AND connection_id = %s",
            (user, connection),
        )[0][0]
        for table in ("orders", "quarantine", "stream_state")
    )


def test_records_stay_unless_they_are_asked_to_go(stack, user):
    for name in ("a", "b"):
        put(stack, user, name)
        fill(stack, user, name, 12000)
    gone = stack.api("DELETE", f"{PATH}/a", user=user).json()
    assert gone["removedRecords"] == 0
    assert counts(stack, user, "a") == (12000, 1, 0)

    # What was left is removed later, without the connection.
    gone = stack.api("DELETE", f"{PATH}/a?purge=1", user=user)
    assert gone.status_code == 200
    assert gone.json()["removedRecords"] == 12001
    assert gone.json()["done"] is True
    assert counts(stack, user, "a") == (0, 0, 0)
    assert counts(stack, user, "b") == (12000, 1, 1)
    again = stack.api("DELETE", f"{PATH}/a?purge=1", user=user)
    assert again.status_code == 404

    gone = stack.api("DELETE", f"{PATH}/b?purge=1", user=user)
    assert gone.json()["removedRecords"] == 12001
    assert counts(stack, user, "b") == (0, 0, 0)
