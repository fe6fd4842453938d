/* test_sql.c - every statement against a server, and the guard's matrix. */
#include "shared/status.h"
#include "tests/unit/testdb.h"

#include <string.h>

static void
test_every_statement_prepares_with_its_parameters(void **state)
{
	PGconn *conn;

	(void)state;
	NEED_DB();
	conn = PQconnectdb(getenv("SYNCLINE_TEST_DB"));
	for (int i = 0; i < STMT__MAX; i++) {
		PGresult *res = PQprepare(
		    conn, stmts[i].name, stmts[i].sql, 0, NULL);

		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			fail_msg("%s: %s", stmts[i].name,
			    PQresultErrorMessage(res));
		PQclear(res);
		res = PQdescribePrepared(conn, stmts[i].name);
		assert_int_equal(PQnparams(res), stmts[i].n_params);
		PQclear(res);
	}
	PQfinish(conn);
}

/* Active and ended rows have the same columns, in the same order. */
static void
test_history_has_the_columns_of_active(void **state)
{
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	assert_int_equal(testdb_i64(db,
	    "SELECT count(*) FROM (SELECT attname, attnum, atttypid FROM "
	    "pg_attribute WHERE attnum > 0 AND attrelid = "
	    "'syncline.sync_active'::regclass) a FULL JOIN (SELECT attname, "
	    "attnum, atttypid FROM pg_attribute WHERE attnum > 0 AND attrelid "
	    "= 'syncline.sync_history'::regclass) h USING (attname, attnum, "
	    "atttypid) WHERE a IS NULL OR h IS NULL"), 0);
	db_close(db);
}

static void
test_phase_edges_are_the_same_in_c_and_sql(void **state)
{
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	for (int a = 0; a < PHASE__MAX; a++) {
		for (int b = 0; b < PHASE__MAX; b++) {
			char sql[400];
			bool edge = phase_edge((enum phase)a, (enum phase)b);

			snprintf(sql, sizeof sql,
			    "SELECT syncline.phase_edge('%s', '%s')::int",
			    phase_name((enum phase)a),
			    phase_name((enum phase)b));
			assert_int_equal(testdb_i64(db, sql), edge);
			snprintf(sql, sizeof sql,
			    "SELECT count(*) FROM syncline.phase_edges "
			    "WHERE from_phase = '%s' AND to_phase = '%s'",
			    phase_name((enum phase)a),
			    phase_name((enum phase)b));
			assert_int_equal(testdb_i64(db, sql), edge && a != b);
		}
	}
	db_close(db);
}

/* --- the guard -------------------------------------------------------- */

/* Who the transaction says it is. */
static const struct {
	const char *fence;
	bool runner; /* names the row's runner */
	bool owner;  /* names runner and epoch */
} fences[] = {
	{ NULL, false, false },
	{ "", false, false },
	{ "R1:1", true, false },
	{ "R1:2", true, true },
	{ "R1:3", true, false },
	{ "R1:", true, false },
	{ "R2:2", false, false },
	{ ":2", false, false },
};

/* What is tried on a running, fetching row of R1 with epoch 2. */
static const struct {
	const char *set;
	bool any;    /* legal for everybody */
	bool runner; /* legal for its runner */
	bool owner;  /* legal under the fence only */
} moves[] = {
	{ "message = 'm'", true, true, true },
	{ "rerun = true", true, true, true },
	{ "progress = 50", true, true, true },
	{ "progress = 10", false, false, false },
	{ "phase = 'loading'", true, true, true },
	{ "phase = 'queued', runner_id = NULL", true, true, true },
	{ "phase = 'nonsense'", false, false, false },
	{ "status = 'cancelled'", true, true, true },
	{ "status = 'canceled'", true, true, true },
	{ "status = 'failed'", true, true, true },
	{ "status = 'in_progress'", true, true, true },
	{ "status = 'complete'", false, true, true },
	{ "status = 'completed'", false, true, true },
	{ "status = 'idle'", false, false, false },
	{ "status = 'nonsense'", false, false, false },
	{ "checkpoint = '{\"a\":2}'", false, false, true },
	{ "streams = '{}'", false, false, true },
	{ "claims_detected = 1", false, false, true },
	{ "claims_value = 1", false, false, true },
	{ "lease_epoch = 1", false, false, false },
	{ "lease_epoch = 3", true, true, true },
	{ "runner_id = 'R2'", false, false, false },
	{ "runner_id = 'R2', lease_epoch = 3", true, true, true },
	{ "user_id = 'other'", false, false, false },
	{ "connection_id = 'other'", false, false, false },
	{ "sync_id = 'other'", false, false, false },
	{ "started_at = started_at - interval '1 s'", false, false, false },
	{ "provider = 'other'", false, false, false },
	{ "retry_of = 'other'", false, false, false },
};

static void
make_row(struct db *db)
{
	testdb_sql(db,
	    "INSERT INTO syncline.sync_active (sync_id, user_id, "
	    "connection_id, provider) VALUES ('m1', 'u', 'c', 'spapi')");
	testdb_sql(db, "UPDATE syncline.sync_active SET runner_id = 'R1', "
	    "lease_epoch = 2, phase = 'fetching' WHERE sync_id = 'm1'");
	testdb_sql(db,
	    "SELECT set_config('syncline.fence', 'R1:2', true)");
	testdb_sql(db, "UPDATE syncline.sync_active SET progress = 20, "
	    "checkpoint = '{\"a\":1}', streams = '{\"orders\":{\"read\":1}}' "
	    "WHERE sync_id = 'm1'");
}

static void
test_the_guard_refuses_whatever_the_client_is(void **state)
{
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	for (unsigned f = 0; f < COUNT_OF(fences); f++) {
		for (unsigned m = 0; m < COUNT_OF(moves); m++) {
			bool legal = moves[m].any ||
			    (moves[m].runner && fences[f].runner) ||
			    (moves[m].owner && fences[f].owner);
			char sql[300];
			enum err err;

			assert_int_equal(db_begin(db), ERR_OK);
			make_row(db);
			snprintf(sql, sizeof sql,
			    "SELECT set_config('syncline.fence', '%s', true)",
			    fences[f].fence ? fences[f].fence : "");
			testdb_sql(db, sql);
			snprintf(sql, sizeof sql,
			    "UPDATE syncline.sync_active SET %s "
			    "WHERE sync_id = 'm1'",
			    moves[m].set);
			err = db_sql(db, sql, NULL);
			if ((err == ERR_OK) != legal)
				fail_msg("fence %s, %s: %s",
				    fences[f].fence ? fences[f].fence : "none",
				    moves[m].set, db_error_text(db));
			db_rollback(db);
		}
	}
	db_close(db);
}

static void
test_an_ended_sync_is_moved_whole_and_stays(void **state)
{
	static const char *const tries[] = {
		"UPDATE syncline.sync_history SET message = 'x'",
		"UPDATE syncline.sync_history SET status = 'running'",
		"DELETE FROM syncline.sync_history",
	};
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	assert_int_equal(db_begin(db), ERR_OK);
	make_row(db);
	testdb_sql(db, "UPDATE syncline.sync_active SET status = 'complete' "
		       "WHERE sync_id = 'm1'");
	assert_int_equal(testdb_i64(db,
	    "SELECT count(*) FROM syncline.sync_active"), 0);
	assert_int_equal(testdb_i64(db,
	    "SELECT count(*) FROM syncline.sync_history WHERE sync_id = 'm1' "
	    "AND status = 'completed' AND progress = 100 AND completed_at IS "
	    "NOT NULL AND checkpoint = '{\"a\":1}'"), 1);
	assert_int_equal(testdb_i64(db,
	    "SELECT count(*) FROM syncline.sync_events e JOIN "
	    "syncline.sync_history h USING (sync_id, seq) WHERE "
	    "e.kind = 'completed'"), 1);
	assert_int_equal(testdb_i64(db, "SELECT completed FROM "
	    "syncline.user_stats WHERE user_id = 'u'"), 1);
	for (unsigned i = 0; i < COUNT_OF(tries); i++) {
		testdb_sql(db, "SAVEPOINT s");
		assert_int_equal(db_sql(db, tries[i], NULL), ERR_EDGE);
		testdb_sql(db, "ROLLBACK TO s");
	}
	db_rollback(db);
	db_close(db);
}

static void
test_an_active_sync_cannot_be_deleted(void **state)
{
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	assert_int_equal(db_begin(db), ERR_OK);
	make_row(db);
	assert_int_equal(
	    db_sql(db, "DELETE FROM syncline.sync_active", NULL), ERR_EDGE);
	db_rollback(db);
	db_close(db);
}

static void
test_a_rerun_follows_once_and_not_after_a_cancel(void **state)
{
	static const struct {
		const char *status;
		int follow;
	} cases[] = { { "completed", 1 }, { "failed", 1 }, { "cancelled", 0 } };
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		char sql[200];

		assert_int_equal(db_begin(db), ERR_OK);
		make_row(db);
		testdb_sql(db, "UPDATE syncline.sync_active SET rerun = true");
		testdb_sql(db, "UPDATE syncline.sync_active SET rerun = true");
		snprintf(sql, sizeof sql, "UPDATE syncline.sync_active SET "
		    "status = '%s' WHERE sync_id = 'm1'", cases[i].status);
		testdb_sql(db, sql);
		assert_int_equal(testdb_i64(db, "SELECT count(*) FROM "
		    "syncline.sync_active WHERE cause = 'rerun' AND NOT rerun"),
		    cases[i].follow);
		db_rollback(db);
	}
	db_close(db);
}

/* A month that nobody made in time stays in the default partition. */
static void
test_a_missed_month_does_not_stop_the_next_ones(void **state)
{
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	assert_int_equal(db_begin(db), ERR_OK);
	testdb_sql(db, "INSERT INTO syncline.sync_events (sync_id, seq, "
	    "user_id, at, type, kind, message) VALUES ('m', 1, 'u', "
	    "clock_timestamp() + interval '7 months', 'info', 'k', 'm')");
	testdb_sql(db, "SELECT syncline.ensure_partitions(9)");
	assert_int_equal(testdb_i64(db, "SELECT count(*) FROM pg_inherits "
	    "WHERE inhparent = 'syncline.sync_events'::regclass"), 10);
	assert_int_equal(testdb_i64(db, "SELECT count(*) FROM "
	    "syncline.sync_events_other WHERE sync_id = 'm'"), 1);
	testdb_sql(db, "SELECT syncline.ensure_partitions(9)");
	db_rollback(db);
	db_close(db);
}

/* Counts that do not add up never reach the row. */
static void
test_counts_that_do_not_add_up_are_refused(void **state)
{
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	assert_int_equal(db_sql(db,
	    "SELECT syncline.streams_add('{}', '{\"orders\":{\"read\":3,"
	    "\"inserted\":1,\"updated\":1}}')", NULL), ERR_DATA);
	assert_int_equal(testdb_i64(db,
	    "SELECT syncline.streams_add('{\"orders\":{\"read\":3,"
	    "\"inserted\":3}}', '{\"orders\":{\"read\":2,\"inserted\":1,"
	    "\"rejected\":1}}') -> 'orders' ->> 'read'"), 5);
	db_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_every_statement_prepares_with_its_parameters),
		cmocka_unit_test(test_history_has_the_columns_of_active),
		cmocka_unit_test(test_phase_edges_are_the_same_in_c_and_sql),
		cmocka_unit_test(
		    test_the_guard_refuses_whatever_the_client_is),
		cmocka_unit_test(test_an_ended_sync_is_moved_whole_and_stays),
		cmocka_unit_test(test_an_active_sync_cannot_be_deleted),
		cmocka_unit_test(
		    test_a_rerun_follows_once_and_not_after_a_cancel),
		cmocka_unit_test(
		    test_a_missed_month_does_not_stop_the_next_ones),
		cmocka_unit_test(test_counts_that_do_not_add_up_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
