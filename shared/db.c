/* db.c - sends without blocking, waits in one place, maps SQLSTATE once. */
#include "shared/db_room.h"
#include "shared/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 5000
#define CANCEL_DRAIN_MS 2000

/*
 * A plan made while a table was small reads it whole, and stays after the
 * table has grown, until the next ANALYZE; with JIT a wrong estimate costs a
 * compilation each time.
 */
#define SESSION_SETUP                                        \
	"SET enable_seqscan = off; SET jit = off; "          \
	"SET client_min_messages = warning"

/* --- errors ----------------------------------------------------------- */

/* The classes of PostgreSQL 15's Appendix A that callers tell apart. */
static enum err
err_of_state(const char *state)
{
	static const struct {
		const char *prefix;
		enum err err;
	} map[] = {
		{ "SL001", ERR_FENCED },
		{ "SL002", ERR_EDGE },
		{ "SL003", ERR_LIMITED },
		{ "SL004", ERR_DATA },
		{ "23505", ERR_CONFLICT },
		{ "40001", ERR_DB_RETRY },
		{ "40P01", ERR_DB_RETRY },
		{ "57014", ERR_INTERRUPTED },
		{ "57P", ERR_DB_AWAY },
		{ "08", ERR_DB_AWAY },
		{ "53", ERR_DB_AWAY },
		{ "58", ERR_DB_AWAY },
		{ "25006", ERR_DB_AWAY }, /* read-only: a standby */
		{ "22", ERR_DATA },
		{ "23", ERR_DATA },
	};

	for (unsigned i = 0; i < COUNT_OF(map); i++) {
		if (strncmp(state, map[i].prefix, strlen(map[i].prefix)) == 0)
			return map[i].err;
	}
	return ERR_DB;
}

void
db_keep_text(struct db *db, const char *text)
{
	size_t n;

	snprintf(db->error, sizeof db->error, "%s", text ? text : "");
	n = strlen(db->error);
	while (n > 0 && db->error[n - 1] == '\n')
		db->error[--n] = '\0';
}

enum err
db_take_error(struct db *db, const PGresult *res)
{
	const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE)
				: NULL;
	const char *text = res
	    ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;

	db_keep_text(db, text ? text : PQerrorMessage(db->conn));
	snprintf(db->state, sizeof db->state, "%s", state ? state : "");
	if (!state)
		return ERR_DB_AWAY; /* libpq's own: the session is gone */
	return err_of_state(state);
}

void
db_drop_session(struct db *db)
{
	PQfinish(db->conn);
	db->conn = NULL;
	db->copying = false;
	memset(db->prepared, 0, sizeof db->prepared);
}

/* --- waiting ---------------------------------------------------------- */

int64_t
db_deadline(int timeout_ms)
{
	return timeout_ms > 0 ? clock_ms() + timeout_ms : INT64_MAX;
}

/*
 * Waits for the session's socket; heed_interrupt is false while a cancelled
 * statement is drained.
 */
static enum err
wait_socket(struct db *db, short events, int64_t deadline, bool heed_interrupt)
{
	struct pollfd fds[2] = {
		{ .fd = PQsocket(db->conn), .events = events },
		{ .fd = db->wake_fd, .events = POLLIN },
	};

	for (;;) {
		int64_t left = deadline - clock_ms();
		int n;

		if (heed_interrupt && atomic_load(&db->interrupted))
			return ERR_INTERRUPTED;
		if (left <= 0)
			return ERR_TIMEOUT;
		n = poll(fds, heed_interrupt ? 2 : 1,
		    left > 60000 ? 60000 : (int)left);
		if (n < 0 && errno != EINTR)
			return ERR_IO;
		if (n > 0 && fds[0].revents != 0)
			return ERR_OK;
	}
}

enum err
db_flush_all(struct db *db, int64_t deadline, bool heed_interrupt)
{
	for (;;) {
		int left = PQflush(db->conn);
		enum err err;

		if (left == 0)
			return ERR_OK;
		if (left < 0)
			return db_take_error(db, NULL);
		err = wait_socket(
		    db, POLLIN | POLLOUT, deadline, heed_interrupt);
		if (err)
			return err;
		/* the server may talk first: keep its answers moving */
		if (!PQconsumeInput(db->conn))
			return db_take_error(db, NULL);
	}
}

/* The next result, *ret NULL at the end of a command's results. */
enum err
db_next_result(
    struct db *db, PGresult **ret, int64_t deadline, bool heed_interrupt)
{
	enum err err = db_flush_all(db, deadline, heed_interrupt);

	while (!err && PQisBusy(db->conn)) {
		err = wait_socket(db, POLLIN, deadline, heed_interrupt);
		if (!err && !PQconsumeInput(db->conn))
			err = db_take_error(db, NULL);
	}
	if (!err)
		*ret = PQgetResult(db->conn);
	return err;
}

/*
 * The wait was given up: ask the server to stop and read what is left, so
 * that the session can be used again; close it where that does not work.
 */
static void
abandon_call(struct db *db)
{
	int64_t deadline = clock_ms() + CANCEL_DRAIN_MS;
	PGcancel *cancel = PQgetCancel(db->conn);
	char why[128];

	if (cancel) {
		(void)PQcancel(cancel, why, (int)sizeof why);
		PQfreeCancel(cancel);
	}
	for (int idle = 0; idle < 2;) {
		PGresult *res = NULL;
		ExecStatusType st;

		if (db_next_result(db, &res, deadline, false)) {
			db_drop_session(db);
			return;
		}
		st = res ? PQresultStatus(res) : PGRES_EMPTY_QUERY;
		PQclear(res);
		if (st == PGRES_COPY_IN || st == PGRES_COPY_OUT) {
			db_drop_session(db);
			return;
		}
		if (res)
			idle = 0;
		else
			idle++;
		if (st == PGRES_PIPELINE_SYNC)
			break;
	}
	if (PQpipelineStatus(db->conn) != PQ_PIPELINE_OFF &&
	    !PQexitPipelineMode(db->conn))
		db_drop_session(db);
}

enum err
db_fail_call(struct db *db, enum err err)
{
	if (err == ERR_INTERRUPTED || err == ERR_TIMEOUT) {
		db_keep_text(db, err_name(err));
		db->state[0] = '\0';
		if (db->conn)
			abandon_call(db);
	}
	if (db->conn && PQstatus(db->conn) == CONNECTION_BAD)
		db_drop_session(db);
	return err;
}

/* --- sessions --------------------------------------------------------- */

enum err
db_open(struct db **ret, const struct db_options *o)
{
	struct db *db = calloc(1, sizeof *db);

	if (!db)
		return ERR_NOMEM;
	db->o = *o;
	db->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (db->wake_fd < 0) {
		free(db);
		return ERR_IO;
	}
	*ret = db;
	return ERR_OK;
}

void
db_close(struct db *db)
{
	if (!db)
		return;
	PQfinish(db->conn);
	close(db->wake_fd);
	free(db);
}

static enum err
connect_wait(struct db *db)
{
	int64_t deadline = clock_ms() + CONNECT_TIMEOUT_MS;
	PostgresPollingStatusType st = PGRES_POLLING_WRITING;

	while (st == PGRES_POLLING_WRITING || st == PGRES_POLLING_READING) {
		enum err err = wait_socket(db,
		    st == PGRES_POLLING_WRITING ? POLLOUT : POLLIN, deadline,
		    true);

		if (err)
			return err;
		st = PQconnectPoll(db->conn);
	}
	if (st != PGRES_POLLING_OK) {
		db_keep_text(db, PQerrorMessage(db->conn));
		return ERR_DB_AWAY;
	}
	return ERR_OK;
}

static void
ignore_notice(void *arg, const PGresult *res)
{
	(void)arg;
	(void)res;
}

static enum err
run_simple(struct db *db, const char *sql, PGresult **ret)
{
	int64_t deadline = db_deadline(db->o.timeout_ms);
	PGresult *res = NULL, *last = NULL;
	enum err err = ERR_OK, wait_err;

	if (!PQsendQuery(db->conn, sql))
		return db_fail_call(db, db_take_error(db, NULL));
	while (!(wait_err = db_next_result(db, &res, deadline, true)) && res) {
		ExecStatusType st = PQresultStatus(res);

		if (st != PGRES_COMMAND_OK && st != PGRES_TUPLES_OK && !err)
			err = db_take_error(db, res);
		PQclear(last);
		last = res;
	}
	if (wait_err)
		err = db_fail_call(db, wait_err);
	else if (err)
		err = db_fail_call(db, err);
	if (!err && ret)
		*ret = last;
	else
		PQclear(last);
	return err;
}

enum err
db_connect(struct db *db)
{
	const char *keys[] = { "dbname", "fallback_application_name",
		"client_encoding", "keepalives_idle", "keepalives_interval",
		"keepalives_count", "tcp_user_timeout", NULL };
	const char *values[] = { db->o.conninfo, db->o.name, "UTF8", "5", "2",
		"3", "10000", NULL };
	enum err err;

	if (db->conn && !db->in_tx) {
		struct pollfd p = { .fd = PQsocket(db->conn),
			.events = POLLIN };

		/* an idle session with something to read is mostly a dead one:
		 * read on, to the end of the stream if it is there */
		while (poll(&p, 1, 0) > 0 && PQconsumeInput(db->conn))
			;
		if (PQstatus(db->conn) == CONNECTION_BAD)
			db_drop_session(db);
	}
	if (db->conn)
		return ERR_OK;
	if (db->in_tx)
		return ERR_DB_AWAY; /* the transaction went with the session */

	db->conn = PQconnectStartParams(keys, values, 1);
	if (!db->conn)
		return ERR_NOMEM;
	if (PQstatus(db->conn) == CONNECTION_BAD) {
		db_keep_text(db, PQerrorMessage(db->conn));
		err = ERR_DB_AWAY;
	} else {
		err = connect_wait(db);
	}
	if (err) {
		db_drop_session(db);
		return err == ERR_TIMEOUT ? ERR_DB_AWAY : err;
	}
	PQsetNoticeReceiver(db->conn, ignore_notice, NULL);
	PQsetnonblocking(db->conn, 1);
	db->generation++;
	if (!db->o.pooled) {
		err = run_simple(db, SESSION_SETUP, NULL);
		if (err) {
			if (db->conn)
				db_drop_session(db);
			return err == ERR_DB ? ERR_DB_AWAY : err;
		}
	}
	return ERR_OK;
}

/* --- one statement ---------------------------------------------------- */

int
db_send_stmt(struct db *db, enum stmt id, const struct arg *args, int n)
{
	const char *values[ARGS_MAX];

	for (int i = 0; i < n; i++)
		values[i] = db_arg_value(&args[i]);
	if (db->o.pooled)
		return PQsendQueryParams(
		    db->conn, stmts[id].sql, n, NULL, values, NULL, NULL, 0);
	return PQsendQueryPrepared(
	    db->conn, stmts[id].name, n, values, NULL, NULL, 0);
}

enum err
db_read_one(struct db *db, PGresult **ret)
{
	int64_t deadline = db_deadline(db->o.timeout_ms);
	PGresult *res = NULL, *extra = NULL;
	ExecStatusType st;
	enum err err = db_next_result(db, &res, deadline, true);

	if (err)
		return db_fail_call(db, err);
	st = PQresultStatus(res); /* PGRES_FATAL_ERROR for NULL */
	if (st != PGRES_COMMAND_OK && st != PGRES_TUPLES_OK)
		err = db_take_error(db, res);
	while (!db_next_result(db, &extra, deadline, false) && extra)
		PQclear(extra);
	if (!err && ret)
		*ret = res;
	else
		PQclear(res);
	return err ? db_fail_call(db, err) : ERR_OK;
}

static enum err
prepare(struct db *db, enum stmt id)
{
	enum err err;

	if (db->o.pooled || db->prepared[id])
		return ERR_OK;
	if (!PQsendPrepare(
		db->conn, stmts[id].name, stmts[id].sql, 0, NULL))
		return db_fail_call(db, db_take_error(db, NULL));
	err = db_read_one(db, NULL);
	if (!err)
		db->prepared[id] = true;
	/* prepared or not is unknown, and a second time would be an error */
	if ((err == ERR_INTERRUPTED || err == ERR_TIMEOUT) && db->conn)
		db_drop_session(db);
	return err;
}

enum err
db_exec(struct db *db, enum stmt id, PGresult **ret, const struct arg *args,
    int n)
{
	enum err err;

	if (n != stmts[id].n_params || n > ARGS_MAX)
		return ERR_INVAL;
	err = db_connect(db);
	if (!err)
		err = prepare(db, id);
	if (err)
		return err;
	if (!db_send_stmt(db, id, args, n))
		return db_fail_call(db, db_take_error(db, NULL));
	return db_read_one(db, ret);
}

enum err
db_sql(struct db *db, const char *sql, PGresult **ret)
{
	enum err err = db_connect(db);

	return err ? err : run_simple(db, sql, ret);
}

/* --- transactions ----------------------------------------------------- */

enum err
db_begin(struct db *db)
{
	enum err err = db_sql(db, "BEGIN", NULL);

	if (!err)
		db->in_tx = true;
	return err;
}

enum err
db_commit(struct db *db)
{
	PGresult *res = NULL;
	enum err err = db_sql(db, "COMMIT", &res);

	/* COMMIT of a failed transaction answers ROLLBACK, without an error */
	if (!err && strcmp(PQcmdStatus(res), "COMMIT") != 0)
		err = ERR_DB;
	PQclear(res);
	if (!err)
		db->in_tx = false;
	return err;
}

void
db_rollback(struct db *db)
{
	bool was = atomic_load(&db->interrupted);

	if (db->conn && db->copying) {
		/* ending COPY with an error may need a wait: a new session
		 * costs less than getting that wrong */
		db_drop_session(db);
	}
	if (db->conn && PQtransactionStatus(db->conn) != PQTRANS_IDLE) {
		atomic_store(&db->interrupted, false);
		if (run_simple(db, "ROLLBACK", NULL) && db->conn)
			db_drop_session(db);
		atomic_store(&db->interrupted, was);
	}
	db->in_tx = false;
	db->copying = false;
}

/* --- the rest --------------------------------------------------------- */

void
db_interrupt(struct db *db)
{
	uint64_t one = 1;
	ssize_t n;

	atomic_store(&db->interrupted, true);
	n = write(db->wake_fd, &one, sizeof one);
	(void)n; /* a full counter wakes as well */
}

void
db_resume(struct db *db)
{
	uint64_t count;
	ssize_t n;

	atomic_store(&db->interrupted, false);
	n = read(db->wake_fd, &count, sizeof count);
	(void)n; /* empty is what we want */
}

void
db_reset(struct db *db)
{
	db_drop_session(db);
}

bool
db_in_transaction(const struct db *db)
{
	return db->in_tx;
}

const char *
db_error_text(const struct db *db)
{
	return db->error;
}

const char *
db_error_state(const struct db *db)
{
	return db->state;
}

int
db_backend_pid(const struct db *db)
{
	return db->conn ? PQbackendPID(db->conn) : 0;
}

uint64_t
db_generation(const struct db *db)
{
	return db->generation;
}

void
db_set_timeout(struct db *db, int timeout_ms)
{
	db->o.timeout_ms = timeout_ms;
}
