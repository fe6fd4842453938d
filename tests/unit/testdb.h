/*
 * testdb.h - the database of a test program, from SYNCLINE_TEST_DB.
 *
 * The runner of the tests makes each program a database of its own with the
 * migrations applied.  Without one, tests that need it say so and skip.
 */
#ifndef SYNCLINE_TESTDB_H
#define SYNCLINE_TESTDB_H

#include "shared/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define NEED_DB()                                                  \
	do {                                                       \
		if (!getenv("SYNCLINE_TEST_DB")) {                 \
			print_message("SYNCLINE_TEST_DB is unset: " \
				      "no database, skipped\n");   \
			skip();                                    \
		}                                                  \
	} while (0)

static inline struct db *
testdb_open(int timeout_ms)
{
	struct db_options o = {
		.conninfo = getenv("SYNCLINE_TEST_DB"),
		.name = "test",
		.timeout_ms = timeout_ms,
	};
	struct db *db = NULL;

	assert_int_equal(db_open(&db, &o), ERR_OK);
	return db;
}

/* Runs SQL of the test's own; fails the test when the server does. */
static inline void
testdb_sql(struct db *db, const char *sql)
{
	enum err err = db_sql(db, sql, NULL);

	if (err)
		print_error("%s: %s\n", sql, db_error_text(db));
	assert_int_equal(err, ERR_OK);
}

/* The first value of the first row, as a number. */
static inline int64_t
testdb_i64(struct db *db, const char *sql)
{
	PGresult *res = NULL;
	int64_t v;
	enum err err = db_sql(db, sql, &res);

	if (err)
		print_error("%s: %s\n", sql, db_error_text(db));
	assert_int_equal(err, ERR_OK);
	assert_int_equal(PQntuples(res), 1);
	v = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
	PQclear(res);
	return v;
}

#endif
