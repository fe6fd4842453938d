/* test_db.c - sessions that end, waits that are interrupted, pipelines. */
#include "tests/unit/testdb.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t
ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *
interrupt_soon(void *arg)
{
	usleep(100 * 1000);
	db_interrupt(arg);
	return NULL;
}

static void
test_an_interrupt_ends_a_blocked_statement(void **state)
{
	struct db *db;
	pthread_t t;
	int64_t begin;

	(void)state;
	NEED_DB();
	db = testdb_open(0);
	testdb_sql(db, "SELECT 1");
	begin = ms_now();
	assert_int_equal(pthread_create(&t, NULL, interrupt_soon, db), 0);
	assert_int_equal(
	    db_sql(db, "SELECT pg_sleep(30)", NULL), ERR_INTERRUPTED);
	pthread_join(t, NULL);
	assert_true(ms_now() - begin < 15000); /* before the sleep's end */
	/* it stays interrupted until it is resumed, then the session works */
	assert_int_equal(db_sql(db, "SELECT 1", NULL), ERR_INTERRUPTED);
	db_resume(db);
	assert_int_equal(testdb_i64(db, "SELECT 42"), 42);
	db_close(db);
}

static void
test_a_deadline_ends_a_blocked_statement(void **state)
{
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(150);
	assert_int_equal(
	    db_sql(db, "SELECT pg_sleep(30)", NULL), ERR_TIMEOUT);
	db_set_timeout(db, 5000);
	assert_int_equal(testdb_i64(db, "SELECT 43"), 43);
	db_close(db);
}

static void
end_session_of(struct db *db)
{
	struct db *other = testdb_open(5000);
	char sql[100];

	snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d, 5000)",
	    db_backend_pid(db));
	testdb_sql(other, sql);
	db_close(other);
}

static void
test_a_lost_session_comes_back_outside_a_transaction_only(void **state)
{
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	testdb_sql(db, "SELECT 1");
	end_session_of(db);
	assert_int_equal(testdb_i64(db, "SELECT 44"), 44);

	assert_int_equal(db_begin(db), ERR_OK);
	end_session_of(db);
	assert_int_equal(db_sql(db, "SELECT 1", NULL), ERR_DB_AWAY);
	assert_int_equal(db_sql(db, "SELECT 1", NULL), ERR_DB_AWAY);
	assert_true(db_in_transaction(db));
	db_rollback(db);
	assert_int_equal(testdb_i64(db, "SELECT 45"), 45);
	db_close(db);
}

static void
test_a_pipeline_is_all_or_nothing(void **state)
{
	struct db *db;
	PGresult *a = NULL, *b = NULL;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	testdb_sql(db, "CREATE TABLE pipe_t (n integer PRIMARY KEY)");
	assert_int_equal(db_pipe_start(db, true), ERR_OK);
	db_pipe_sql(db, "INSERT INTO pipe_t VALUES (1) RETURNING n", &a, NULL,
	    0);
	db_pipe_run(db, STMT_SYNC_ACTIVE_LIST, &b, arg_text("nobody"));
	assert_int_equal(db_pipe_end(db), ERR_OK);
	assert_int_equal(result_i64(a, 0, "n"), 1);
	assert_int_equal(PQntuples(b), 0);
	PQclear(a);
	PQclear(b);
	a = b = NULL;

	assert_int_equal(db_pipe_start(db, true), ERR_OK);
	db_pipe_sql(db, "INSERT INTO pipe_t VALUES (2)", &a, NULL, 0);
	db_pipe_sql(db, "INSERT INTO pipe_t VALUES (1)", &b, NULL, 0);
	assert_int_equal(db_pipe_end(db), ERR_CONFLICT);
	assert_string_equal(db_error_state(db), "23505");
	assert_null(a);
	assert_null(b);
	assert_false(db_in_transaction(db));
	assert_int_equal(testdb_i64(db, "SELECT count(*) FROM pipe_t"), 1);

	/* a statement with a wrong number of parameters is never sent */
	assert_int_equal(db_pipe_start(db, true), ERR_OK);
	db_pipe_sql(db, "INSERT INTO pipe_t VALUES (3)", NULL, NULL, 0);
	db_pipe(db, STMT_SYNC_ACTIVE_LIST, NULL, NULL, 0);
	assert_int_equal(db_pipe_end(db), ERR_INVAL);
	assert_int_equal(testdb_i64(db, "SELECT count(*) FROM pipe_t"), 1);
	db_close(db);
}

static void
test_our_own_states_have_our_own_errors(void **state)
{
	static const struct {
		const char *code;
		enum err err;
	} cases[] = {
		{ "SL001", ERR_FENCED },
		{ "SL002", ERR_EDGE },
		{ "SL003", ERR_LIMITED },
		{ "SL004", ERR_DATA },
		{ "40P01", ERR_DB_RETRY },
		{ "53300", ERR_DB_AWAY },
		{ "42601", ERR_DB },
	};
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		char sql[100];

		snprintf(sql, sizeof sql, "SELECT syncline.refuse('%s', 'w')",
		    cases[i].code);
		assert_int_equal(db_sql(db, sql, NULL), cases[i].err);
		assert_string_equal(db_error_text(db), "w");
	}
	db_close(db);
}

static void
test_copy_goes_with_the_transaction(void **state)
{
	static const char rows[] = "1\tone\n2\t\\N\n";
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	testdb_sql(db, "CREATE TEMP TABLE c (n integer, t text)");
	assert_int_equal(db_copy_start(db, "COPY c FROM STDIN"), ERR_OK);
	assert_int_equal(db_copy_put(db, rows, strlen(rows)), ERR_OK);
	assert_int_equal(db_copy_end(db), ERR_OK);
	assert_true(db_in_transaction(db));
	assert_int_equal(testdb_i64(db, "SELECT count(*) FROM c"), 2);
	assert_int_equal(db_commit(db), ERR_OK);

	assert_int_equal(db_copy_start(db, "COPY c FROM STDIN"), ERR_OK);
	assert_int_equal(db_copy_put(db, "x\n", 2), ERR_OK);
	assert_int_equal(db_copy_end(db), ERR_DATA);
	db_rollback(db);
	assert_int_equal(testdb_i64(db, "SELECT count(*) FROM c"), 2);

	/* giving up in the middle of COPY leaves a db that works */
	assert_int_equal(db_copy_start(db, "COPY c FROM STDIN"), ERR_OK);
	db_rollback(db);
	assert_int_equal(testdb_i64(db, "SELECT 46"), 46);
	db_close(db);
}

static void
test_a_server_that_is_not_there_is_away(void **state)
{
	struct db_options o = { .conninfo = "host=/nonexistent dbname=x",
		.name = "test" };
	struct db *db;

	(void)state;
	assert_int_equal(db_open(&db, &o), ERR_OK);
	assert_int_equal(db_sql(db, "SELECT 1", NULL), ERR_DB_AWAY);
	assert_int_equal(db_connect(db), ERR_DB_AWAY);
	db_close(db);
}

/* A prepared plan must not read a whole table because it once was small. */
static void
test_plans_keep_to_indexes_when_tables_grow(void **state)
{
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	assert_int_equal(testdb_i64(db, "SELECT (current_setting("
	    "'enable_seqscan') = 'off' AND current_setting('jit') = 'off')"
	    "::int"), 1);
	end_session_of(db);
	assert_int_equal(testdb_i64(db, "SELECT (current_setting("
	    "'enable_seqscan') = 'off')::int"), 1);
	db_close(db);
}

static void
test_array_literals_survive_hostile_texts(void **state)
{
	static const char *const items[] = { "a", "", "b\"c", "d\\e", NULL,
		"NULL", "{,}", "x y" };
	struct db *db;
	char *array;
	PGresult *res = NULL;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	array = array_text(items, COUNT_OF(items));
	assert_int_equal(db_pipe_start(db, false), ERR_OK);
	db_pipe_sql(db,
	    "SELECT t, t IS NULL AS nothing FROM unnest($1::text[]) "
	    "WITH ORDINALITY u(t, n) ORDER BY n", &res,
	    ARGS(arg_text(array)), 1);
	assert_int_equal(db_pipe_end(db), ERR_OK);
	assert_int_equal(PQntuples(res), COUNT_OF(items));
	for (int i = 0; i < (int)COUNT_OF(items); i++) {
		assert_int_equal(
		    result_bool(res, i, "nothing"), items[i] == NULL);
		if (items[i])
			assert_string_equal(
			    result_text(res, i, "t"), items[i]);
	}
	PQclear(res);
	free(array);
	db_close(db);
}

/* What was interrupted while it was prepared can be run again. */
static void
test_an_interrupted_prepare_is_forgotten(void **state)
{
	struct db *db;

	(void)state;
	NEED_DB();
	db = testdb_open(5000);
	assert_int_equal(db_connect(db), ERR_OK);
	db_interrupt(db);
	assert_int_equal(db_exec(db, STMT_HEALTH_CHECK, NULL, NULL, 0),
	    ERR_INTERRUPTED);
	db_resume(db);
	assert_int_equal(db_exec(db, STMT_HEALTH_CHECK, NULL, NULL, 0), ERR_OK);
	for (int i = 0; i < 2; i++) { /* unprepared, prepared */
		assert_int_equal(db_pipe_start(db, true), ERR_OK);
		db_pipe(db, STMT_KEYS_SWEEP, NULL, NULL, 0);
		db_interrupt(db);
		assert_int_equal(db_pipe_end(db), ERR_INTERRUPTED);
		db_resume(db);
		assert_int_equal(
		    db_exec(db, STMT_KEYS_SWEEP, NULL, NULL, 0), ERR_OK);
	}
	db_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_interrupt_ends_a_blocked_statement),
		cmocka_unit_test(test_an_interrupted_prepare_is_forgotten),
		cmocka_unit_test(test_a_deadline_ends_a_blocked_statement),
		cmocka_unit_test(
		    test_a_lost_session_comes_back_outside_a_transaction_only),
		cmocka_unit_test(test_a_pipeline_is_all_or_nothing),
		cmocka_unit_test(test_our_own_states_have_our_own_errors),
		cmocka_unit_test(test_copy_goes_with_the_transaction),
		cmocka_unit_test(test_a_server_that_is_not_there_is_away),
		cmocka_unit_test(test_plans_keep_to_indexes_when_tables_grow),
		cmocka_unit_test(test_array_literals_survive_hostile_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
