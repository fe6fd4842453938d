/*
 * db.h - one session with PostgreSQL, and the only place that reads SQLSTATE.
 *
 * A struct db belongs to one thread at a time; only db_interrupt may come
 * from another.  Calls block until the answer, the deadline or an interrupt.
 * A lost session is opened again by the next call that stands outside a
 * transaction, so callers retry whole transactions, never halves of one.
 *
 * Statements come from the table of stmt.h and are prepared on first use,
 * unless the session is pooled: then each goes unprepared, and nothing here
 * uses session state.  A session that prepares also tells the planner to keep
 * to indexes: its plans outlive the small tables they were made for.
 */
#ifndef SYNCLINE_DB_H
#define SYNCLINE_DB_H

#include "shared/err.h"
#include "shared/stmt.h"
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db; /* opaque */

struct db_options {
	const char *conninfo; /* borrowed for the life of the db */
	const char *name;     /* application_name; borrowed */
	bool pooled;          /* behind a transaction pooler */
	int timeout_ms;       /* bound on one call; 0: none */
};

/* One parameter; text is borrowed until the call returns. */
struct arg {
	const char *text; /* NULL: SQL NULL */
	char number[32];  /* backs numbers; text is NULL and number set */
};

struct arg arg_text(const char *text); /* NULL is SQL NULL */
struct arg arg_i64(int64_t v);
struct arg arg_f64(double v);
struct arg arg_bool(bool v);
struct arg arg_null(void);

#define ARGS(...) ((const struct arg[]){ __VA_ARGS__ })
#define ARGS_COUNT(...) \
	(int)(sizeof(ARGS(__VA_ARGS__)) / sizeof(struct arg))

/* db_open allocates; the session itself is made by the first call. */
enum err db_open(struct db **ret, const struct db_options *o) MUST_CHECK;
void db_close(struct db *db); /* NULL is fine */

/* db_connect makes sure there is a session.  ERR_DB_AWAY, ERR_INTERRUPTED. */
enum err db_connect(struct db *db) MUST_CHECK;

/*
 * db_exec runs one statement.  *ret (may be NULL) is the caller's to clear.
 * ERR_DB_AWAY and ERR_TIMEOUT: the outcome may be unknown.  Inside a
 * transaction any error leaves only db_rollback.
 */
enum err db_exec(struct db *db, enum stmt id, PGresult **ret,
    const struct arg *args, int n) MUST_CHECK;
#define db_run(db, id, ret, ...) \
	db_exec((db), (id), (ret), ARGS(__VA_ARGS__), ARGS_COUNT(__VA_ARGS__))

/* Transactions.  db_commit's ERR_DB_AWAY: committed or not is unknown. */
enum err db_begin(struct db *db) MUST_CHECK;
enum err db_commit(struct db *db) MUST_CHECK;
void db_rollback(struct db *db); /* closes the session if it cannot */

/*
 * A pipeline: several statements sent as one message, answered together.
 * db_pipe_start, then db_pipe for each, then db_pipe_end.  The statements run
 * in one transaction when `atomic` (BEGIN and COMMIT go in the same message;
 * inside an open transaction the COMMIT alone is added).  The first error is
 * the one returned; nothing after it has run and the transaction is gone.
 * A failure to queue is told by db_pipe_end.  db_pipe's ret, if not NULL, is
 * filled by db_pipe_end on ERR_OK only, and is then the caller's to clear;
 * the arguments are copied at once.
 */
enum err db_pipe_start(struct db *db, bool atomic) MUST_CHECK;
void db_pipe(struct db *db, enum stmt id, PGresult **ret,
    const struct arg *args, int n);
#define db_pipe_run(db, id, ret, ...) \
	db_pipe((db), (id), (ret), ARGS(__VA_ARGS__), ARGS_COUNT(__VA_ARGS__))
/* As db_pipe with SQL text that the caller built from trusted parts. */
void db_pipe_sql(struct db *db, const char *sql, PGresult **ret,
    const struct arg *args, int n);
/* As db_pipe with a statement the caller has prepared in this session. */
void db_pipe_named(struct db *db, const char *name, PGresult **ret,
    const struct arg *args, int n);
enum err db_pipe_end(struct db *db) MUST_CHECK;

/*
 * COPY into a temporary table: db_copy_start begins a transaction when none
 * is open and enters COPY in one message; then rows in COPY text form; then
 * db_copy_end.  On error the transaction is lost: db_rollback.
 */
enum err db_copy_start(struct db *db, const char *copy_sql) MUST_CHECK;
enum err db_copy_put(struct db *db, const char *buf, size_t len) MUST_CHECK;
enum err db_copy_end(struct db *db) MUST_CHECK;

/* db_sql runs SQL the caller built from trusted parts, such as DDL. */
enum err db_sql(struct db *db, const char *sql, PGresult **ret) MUST_CHECK;

/*
 * db_interrupt makes the call under way, and each later one, end with
 * ERR_INTERRUPTED: the server is asked to cancel, then the wait ends.  Any
 * thread.  db_resume takes it back; the owner's thread, between calls.
 */
void db_interrupt(struct db *db);
void db_resume(struct db *db);

/*
 * db_reset closes the session, and with it all that a caller may have left
 * half made there; the next call opens another.  A transaction is lost.
 */
void db_reset(struct db *db);

bool db_in_transaction(const struct db *db);
/* What the server said of the last error, for logs; "" if nothing. */
const char *db_error_text(const struct db *db);
/* Its SQLSTATE, "" if none. */
const char *db_error_state(const struct db *db);
/* The server process behind the session; 0 when there is none. */
int db_backend_pid(const struct db *db);
/* How often a session was made; a caller with temporary tables asks. */
uint64_t db_generation(const struct db *db);
void db_set_timeout(struct db *db, int timeout_ms);

/* Results.  Column by name; a missing column is a bug and aborts in tests. */
void result_clearp(PGresult **res); /* for CLEANUP */
const char *result_text(const PGresult *res, int row, const char *col); /* NULL: SQL NULL */
int64_t result_i64(const PGresult *res, int row, const char *col); /* 0 for NULL */
double result_f64(const PGresult *res, int row, const char *col);
bool result_bool(const PGresult *res, int row, const char *col);
bool result_is_null(const PGresult *res, int row, const char *col);

/*
 * array_text builds a PostgreSQL array literal from n texts, NULL entries
 * being SQL NULLs.  The caller frees it.  NULL when memory is gone.
 */
char *array_text(const char *const *items, size_t n);

#endif
