"""An older system's rows come over, repeatably, and block nobody."""

import subprocess

import pytest

from seller import finish, start, status
from stack import ROOT

OLD = """
CREATE SCHEMA old;
CREATE TABLE old.sync_progress (id serial PRIMARY KEY, user_id text,
    sync_id text, status text, current_step text, progress integer,
    metadata jsonb, created_at timestamptz, updated_at timestamptz);
CREATE TABLE old.claims (id text PRIMARY KEY, user_id text, claim_type text,
    amount numeric, status text, created_at timestamptz);
INSERT INTO old.sync_progress (sync_id, user_id, status, progress, metadata,
    created_at, updated_at) VALUES
('o-complete', 'ann', 'complete', 100, '{"ordersProcessed": 12,
    "claimsDetected": 3, "startedAt": "2025-03-01T10:00:00Z",
    "completedAt": "2025-03-01T10:05:00Z"}', '2025-03-01', '2025-03-01'),
('o-running', 'ann', 'in_progress', 40, '{}', '2025-03-02', '2025-03-02'),
('o-older', 'ann', 'in_progress', 50, NULL, '2025-03-01', '2025-03-02'),
('o-failed', 'bob', 'failed', 3, '{"error": "boom"}', '2025-03-03',
    '2025-03-03'),
('o-cancelled', 'bob', 'cancelled', 30, '[]', '2025-03-04', '2025-03-04'),
('o-odd', 'bob', 'whatever', NULL, '{"startedAt": "not a time",
    "ordersProcessed": "many"}', NULL, NULL);
INSERT INTO old.claims VALUES
('c-1', 'ann', 'lost_warehouse', 12.50, 'submitted', '2025-03-01'),
('c-2', 'ann', 'refund_no_return', 7, 'open', '2025-03-01');
"""


@pytest.fixture
def imported(make_stack):
    stack = make_stack(env={"SYNCLINE_START_LIMIT": 0},
        sandbox_args=["--orders", 20, "--skus", 5])
    stack.connect("ann")
    stack.query(OLD)
    bring_over(stack)
    return stack


def bring_over(stack, schema="old"):
    return subprocess.run(
        [str(ROOT / "sql" / "import.sh"), stack.dsn("owner"), schema],
        capture_output=True, text=True, timeout=60)


def everything(stack):
    return [stack.query("SELECT * FROM syncline." + table + " ORDER BY 1, 2")
        for table in ("sync_history", "sync_active", "claims", "user_stats",
            "sync_events")]


def test_old_words_arrive_as_ours(imported):
    want = {"o-complete": "completed", "o-running": "running",
        "o-older": "failed", "o-failed": "failed", "o-odd": "failed",
        "o-cancelled": "cancelled"}
    assert dict(imported.query(
        "SELECT sync_id, status FROM syncline.sync_progress")) == want
    sync = status(imported, "ann", "o-complete")
    assert sync["ordersProcessed"] == 12 and sync["claimsDetected"] == 3
    assert sync["startedAt"] == "2025-03-01T10:00:00.000Z"
    assert sync["duration"] == 300
    assert sync["inventoryCount"] is None
    assert imported.api("GET", "/api/sync/results/o-complete",
        user="ann").json()["verified"] is None
    numbers = imported.api("GET", "/api/sync/statistics", user="bob").json()
    assert numbers["statistics"]["failedSyncs"] == 2
    assert numbers["statistics"]["cancelledSyncs"] == 1
    assert imported.query("SELECT claim_id, status, estimated_value"
        " FROM syncline.claims ORDER BY 1") == [
        ("c-1", "filed", 12.5), ("c-2", "open", 7)]


def test_again_changes_nothing(imported):
    before = everything(imported)
    again = bring_over(imported)
    assert again.returncode == 0, again.stderr
    assert everything(imported) == before


def test_what_ended_over_there_since_ends_here(imported):
    imported.query("UPDATE old.sync_progress SET status = 'complete',"
        " updated_at = '2025-03-02 11:00Z' WHERE sync_id = 'o-running'")
    assert bring_over(imported).returncode == 0
    sync = status(imported, "ann", "o-running")
    assert sync["status"] == "completed" and sync["progress"] == 100
    assert sync["completedAt"] == "2025-03-02T11:00:00.000Z"


def test_an_imported_running_row_blocks_nobody(imported):
    # nobody claims it: it is not ours to go on with
    assert imported.query("SELECT runner_id FROM syncline.sync_active"
        " WHERE sync_id = 'o-running'") == [(None,)]
    finish(imported, "ann", start(imported, "ann"))
    assert status(imported, "ann", "o-running")["error"]["code"] == "abandoned"


def test_force_clear_ends_it_too(imported):
    answer = imported.api("POST", "/api/sync/force-clear", user="ann")
    assert answer.status_code == 200 and answer.json()["clearedCount"] == 1
    assert status(imported, "ann", "o-running")["status"] == "failed"
    again = imported.api("POST", "/api/sync/force-clear", user="ann")
    assert again.json()["clearedCount"] == 0


def test_a_schema_that_is_not_there_is_said(imported):
    answer = bring_over(imported, "nowhere")
    assert answer.returncode != 0
    assert "no schema named nowhere" in answer.stderr
    # a name is a name, never SQL
    answer = bring_over(imported, "x; DROP SCHEMA syncline")
    assert answer.returncode != 0
    assert imported.query("SELECT count(*) FROM syncline.claims") == [(2,)]


def test_make_import_says_what_it_wants():
    done = subprocess.run(["make", "-s", "-C", str(ROOT), "import"],
        capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "FROM=" in done.stdout + done.stderr


