/* db.c - sends without blocking, waits in one place, maps SQLSTATE once. */
#include "shared/db.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 5000
#define CANCEL_DRAIN_MS 2000
#define PIPE_MAX 64

enum slot_kind { SLOT_BEGIN, SLOT_PREPARE, SLOT_QUERY, SLOT_COMMIT };

/* One command of a pipeline, in the order of sending. */
struct slot {
	enum slot_kind kind;
	enum stmt id;
	PGresult **ret;
	PGresult *got;
};

struct db {
	struct db_options o;
	PGconn *conn;
	int wake_fd;
	atomic_bool interrupted;
	bool in_tx;   /* a transaction is open, or was when the session died */
	bool copying;
	bool atomic;  /* the pipeline under way commits at its end */
	bool prepared[STMT__MAX];
	struct slot slots[PIPE_MAX];
	int n_slots;
	enum err pipe_err; /* the first failure to queue */
	uint64_t generation;
	char error[512];
	char state[6];
};

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

static void
keep_text(struct db *db, const char *text)
{
	size_t n;

	snprintf(db->error, sizeof db->error, "%s", text ? text : "");
	n = strlen(db->error);
	while (n > 0 && db->error[n - 1] == '\n')
		db->error[--n] = '\0';
}

static enum err
take_error(struct db *db, const PGresult *res)
{
	const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE)
				: NULL;
	const char *text = res
	    ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;

	keep_text(db, text ? text : PQerrorMessage(db->conn));
	snprintf(db->state, sizeof db->state, "%s", state ? state : "");
	if (!state)
		return ERR_DB_AWAY; /* libpq's own: the session is gone */
	return err_of_state(state);
}

static void
drop_session(struct db *db)
{
	PQfinish(db->conn);
	db->conn = NULL;
	db->copying = false;
	memset(db->prepared, 0, sizeof db->prepared);
}

/* --- waiting ---------------------------------------------------------- */

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t
deadline_of(int timeout_ms)
{
	return timeout_ms > 0 ? now_ms() + timeout_ms : INT64_MAX;
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
		int64_t left = deadline - now_ms();
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

static enum err
flush_all(struct db *db, int64_t deadline, bool heed_interrupt)
{
	for (;;) {
		int left = PQflush(db->conn);
		enum err err;

		if (left == 0)
			return ERR_OK;
		if (left < 0)
			return take_error(db, NULL);
		err = wait_socket(
		    db, POLLIN | POLLOUT, deadline, heed_interrupt);
		if (err)
			return err;
		/* the server may talk first: keep its answers moving */
		if (!PQconsumeInput(db->conn))
			return take_error(db, NULL);
	}
}

/* The next result, *ret NULL at the end of a command's results. */
static enum err
next_result(
    struct db *db, PGresult **ret, int64_t deadline, bool heed_interrupt)
{
	enum err err = flush_all(db, deadline, heed_interrupt);

	while (!err && PQisBusy(db->conn)) {
		err = wait_socket(db, POLLIN, deadline, heed_interrupt);
		if (!err && !PQconsumeInput(db->conn))
			err = take_error(db, NULL);
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
	int64_t deadline = now_ms() + CANCEL_DRAIN_MS;
	PGcancel *cancel = PQgetCancel(db->conn);
	char why[128];

	if (cancel) {
		(void)PQcancel(cancel, why, (int)sizeof why);
		PQfreeCancel(cancel);
	}
	for (int idle = 0; idle < 2;) {
		PGresult *res = NULL;
		ExecStatusType st;

		if (next_result(db, &res, deadline, false)) {
			drop_session(db);
			return;
		}
		st = res ? PQresultStatus(res) : PGRES_EMPTY_QUERY;
		PQclear(res);
		if (st == PGRES_COPY_IN || st == PGRES_COPY_OUT) {
			drop_session(db);
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
		drop_session(db);
}

static enum err
fail_call(struct db *db, enum err err)
{
	if (err == ERR_INTERRUPTED || err == ERR_TIMEOUT) {
		keep_text(db, err_name(err));
		db->state[0] = '\0';
		if (db->conn)
			abandon_call(db);
	}
	if (db->conn && PQstatus(db->conn) == CONNECTION_BAD)
		drop_session(db);
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
	int64_t deadline = now_ms() + CONNECT_TIMEOUT_MS;
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
		keep_text(db, PQerrorMessage(db->conn));
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
	int64_t deadline = deadline_of(db->o.timeout_ms);
	PGresult *res = NULL, *last = NULL;
	enum err err = ERR_OK, wait_err;

	if (!PQsendQuery(db->conn, sql))
		return fail_call(db, take_error(db, NULL));
	while (!(wait_err = next_result(db, &res, deadline, true)) && res) {
		ExecStatusType st = PQresultStatus(res);

		if (st != PGRES_COMMAND_OK && st != PGRES_TUPLES_OK && !err)
			err = take_error(db, res);
		PQclear(last);
		last = res;
	}
	if (wait_err)
		err = fail_call(db, wait_err);
	else if (err)
		err = fail_call(db, err);
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
			drop_session(db);
	}
	if (db->conn)
		return ERR_OK;
	if (db->in_tx)
		return ERR_DB_AWAY; /* the transaction went with the session */

	db->conn = PQconnectStartParams(keys, values, 1);
	if (!db->conn)
		return ERR_NOMEM;
	if (PQstatus(db->conn) == CONNECTION_BAD) {
		keep_text(db, PQerrorMessage(db->conn));
		err = ERR_DB_AWAY;
	} else {
		err = connect_wait(db);
	}
	if (err) {
		drop_session(db);
		return err == ERR_TIMEOUT ? ERR_DB_AWAY : err;
	}
	PQsetNoticeReceiver(db->conn, ignore_notice, NULL);
	PQsetnonblocking(db->conn, 1);
	db->generation++;
	if (db->o.on_connect) {
		err = run_simple(db, db->o.on_connect, NULL);
		if (err) {
			if (db->conn)
				drop_session(db);
			return err == ERR_DB ? ERR_DB_AWAY : err;
		}
	}
	return ERR_OK;
}

/* --- one statement ---------------------------------------------------- */

struct arg
arg_text(const char *text)
{
	return (struct arg){ .text = text };
}

struct arg
arg_null(void)
{
	return (struct arg){ .text = NULL };
}

struct arg
arg_i64(int64_t v)
{
	struct arg a = { .text = NULL };

	snprintf(a.number, sizeof a.number, "%" PRId64, v);
	return a;
}

struct arg
arg_f64(double v)
{
	struct arg a = { .text = NULL };

	snprintf(a.number, sizeof a.number, "%.17g", v);
	return a;
}

struct arg
arg_bool(bool v)
{
	struct arg a = { .text = NULL };

	a.number[0] = v ? 't' : 'f';
	return a;
}

static const char *
arg_value(const struct arg *a)
{
	if (a->text)
		return a->text;
	return a->number[0] != '\0' ? a->number : NULL;
}

#define ARGS_MAX 40

static int
send_stmt(struct db *db, enum stmt id, const struct arg *args, int n)
{
	const char *values[ARGS_MAX];

	for (int i = 0; i < n; i++)
		values[i] = arg_value(&args[i]);
	if (db->o.pooled)
		return PQsendQueryParams(
		    db->conn, stmts[id].sql, n, NULL, values, NULL, NULL, 0);
	return PQsendQueryPrepared(
	    db->conn, stmts[id].name, n, values, NULL, NULL, 0);
}

static enum err
read_one(struct db *db, PGresult **ret)
{
	int64_t deadline = deadline_of(db->o.timeout_ms);
	PGresult *res = NULL, *extra = NULL;
	ExecStatusType st;
	enum err err = next_result(db, &res, deadline, true);

	if (err)
		return fail_call(db, err);
	st = PQresultStatus(res); /* PGRES_FATAL_ERROR for NULL */
	if (st != PGRES_COMMAND_OK && st != PGRES_TUPLES_OK)
		err = take_error(db, res);
	while (!next_result(db, &extra, deadline, false) && extra)
		PQclear(extra);
	if (!err && ret)
		*ret = res;
	else
		PQclear(res);
	return err ? fail_call(db, err) : ERR_OK;
}

static enum err
prepare(struct db *db, enum stmt id)
{
	enum err err;

	if (db->o.pooled || db->prepared[id])
		return ERR_OK;
	if (!PQsendPrepare(
		db->conn, stmts[id].name, stmts[id].sql, 0, NULL))
		return fail_call(db, take_error(db, NULL));
	err = read_one(db, NULL);
	if (!err)
		db->prepared[id] = true;
	/* prepared or not is unknown, and a second time would be an error */
	if ((err == ERR_INTERRUPTED || err == ERR_TIMEOUT) && db->conn)
		drop_session(db);
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
	if (!send_stmt(db, id, args, n))
		return fail_call(db, take_error(db, NULL));
	return read_one(db, ret);
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
		drop_session(db);
	}
	if (db->conn && PQtransactionStatus(db->conn) != PQTRANS_IDLE) {
		atomic_store(&db->interrupted, false);
		if (run_simple(db, "ROLLBACK", NULL) && db->conn)
			drop_session(db);
		atomic_store(&db->interrupted, was);
	}
	db->in_tx = false;
	db->copying = false;
}

/* --- pipeline --------------------------------------------------------- */

static void
add_slot(struct db *db, enum slot_kind kind, enum stmt id, PGresult **ret)
{
	db->slots[db->n_slots++] =
	    (struct slot){ .kind = kind, .id = id, .ret = ret };
}

static enum err
send_word(struct db *db, const char *sql, enum slot_kind kind)
{
	if (!PQsendQueryParams(db->conn, sql, 0, NULL, NULL, NULL, NULL, 0))
		return take_error(db, NULL);
	add_slot(db, kind, STMT__MAX, NULL);
	return ERR_OK;
}

enum err
db_pipe_start(struct db *db, bool atomic)
{
	enum err err = db_connect(db);

	if (err)
		return err;
	if (!PQenterPipelineMode(db->conn))
		return fail_call(db, ERR_DB);
	db->n_slots = 0;
	db->atomic = atomic;
	db->pipe_err = ERR_OK;
	if (atomic && !db->in_tx)
		db->pipe_err = send_word(db, "BEGIN", SLOT_BEGIN);
	return ERR_OK; /* a failure to queue is told by db_pipe_end */
}

void
db_pipe(struct db *db, enum stmt id, PGresult **ret, const struct arg *args,
    int n)
{
	bool queued = false;

	if (db->pipe_err)
		return;
	if (n != stmts[id].n_params || n > ARGS_MAX ||
	    db->n_slots + 3 > PIPE_MAX) {
		db->pipe_err = ERR_INVAL;
		return;
	}
	for (int i = 0; i < db->n_slots; i++)
		queued |= db->slots[i].kind == SLOT_PREPARE &&
		    db->slots[i].id == id;
	if (!db->o.pooled && !db->prepared[id] && !queued) {
		if (!PQsendPrepare(
			db->conn, stmts[id].name, stmts[id].sql, 0, NULL)) {
			db->pipe_err = take_error(db, NULL);
			return;
		}
		add_slot(db, SLOT_PREPARE, id, NULL);
	}
	if (!send_stmt(db, id, args, n))
		db->pipe_err = take_error(db, NULL);
	else
		add_slot(db, SLOT_QUERY, id, ret);
}

void
db_pipe_sql(struct db *db, const char *sql, PGresult **ret,
    const struct arg *args, int n)
{
	const char *values[ARGS_MAX];

	if (db->pipe_err)
		return;
	if (n > ARGS_MAX || db->n_slots + 2 > PIPE_MAX) {
		db->pipe_err = ERR_INVAL;
		return;
	}
	for (int i = 0; i < n; i++)
		values[i] = arg_value(&args[i]);
	if (!PQsendQueryParams(
		db->conn, sql, n, NULL, values, NULL, NULL, 0))
		db->pipe_err = take_error(db, NULL);
	else
		add_slot(db, SLOT_QUERY, STMT__MAX, ret);
}

void
db_pipe_named(struct db *db, const char *name, PGresult **ret,
    const struct arg *args, int n)
{
	const char *values[ARGS_MAX];

	if (db->pipe_err)
		return;
	if (n > ARGS_MAX || db->n_slots + 2 > PIPE_MAX) {
		db->pipe_err = ERR_INVAL;
		return;
	}
	for (int i = 0; i < n; i++)
		values[i] = arg_value(&args[i]);
	if (!PQsendQueryPrepared(db->conn, name, n, values, NULL, NULL, 0))
		db->pipe_err = take_error(db, NULL);
	else
		add_slot(db, SLOT_QUERY, STMT__MAX, ret);
}

/* Reads the answer of one slot: its result, then the NULL behind it. */
static enum err
read_slot(struct db *db, struct slot *s, int64_t deadline, enum err *first)
{
	PGresult *end = NULL;
	ExecStatusType st;
	enum err err = next_result(db, &s->got, deadline, true);

	if (err)
		return err;
	st = PQresultStatus(s->got);
	if (st == PGRES_COMMAND_OK || st == PGRES_TUPLES_OK) {
		if (s->kind == SLOT_PREPARE)
			db->prepared[s->id] = true;
		if (s->kind == SLOT_COMMIT &&
		    strcmp(PQcmdStatus(s->got), "COMMIT") != 0 && !*first)
			*first = ERR_DB;
	} else if (!*first) {
		*first = take_error(db, s->got);
	}
	return next_result(db, &end, deadline, true);
}

/* A statement was sent to be prepared, and nobody read whether it was. */
static bool
prepare_unread(const struct db *db)
{
	for (int i = 0; i < db->n_slots; i++) {
		if (db->slots[i].kind == SLOT_PREPARE && !db->slots[i].got)
			return true;
	}
	return false;
}

static enum err
read_slots(struct db *db, enum err *first)
{
	int64_t deadline = deadline_of(db->o.timeout_ms);
	PGresult *sync = NULL;
	enum err err = ERR_OK;

	for (int i = 0; i < db->n_slots && !err; i++)
		err = read_slot(db, &db->slots[i], deadline, first);
	if (!err)
		err = next_result(db, &sync, deadline, true);
	PQclear(sync);
	if (!err && !PQexitPipelineMode(db->conn))
		err = take_error(db, NULL);
	return err;
}

enum err
db_pipe_end(struct db *db)
{
	enum err first = ERR_OK, err = db->pipe_err;

	if (!err && db->atomic)
		err = send_word(db, "COMMIT", SLOT_COMMIT);
	if (err) {
		/* half a message was queued: nothing of it may ever be run */
		drop_session(db);
	} else if (!PQpipelineSync(db->conn)) {
		err = fail_call(db, take_error(db, NULL));
	} else {
		err = read_slots(db, &first);
		if (err) {
			err = fail_call(db, err);
			if (db->conn && prepare_unread(db))
				drop_session(db);
		} else if (first)
			err = fail_call(db, first);
	}
	for (int i = 0; i < db->n_slots; i++) {
		struct slot *s = &db->slots[i];

		if (!err && s->ret)
			*s->ret = s->got;
		else
			PQclear(s->got);
	}
	db->n_slots = 0;
	if (!err && db->atomic)
		db->in_tx = false;
	if (err && db->atomic) {
		/* keep the text of the first failure: that is the news */
		char text[sizeof db->error], state[sizeof db->state];

		memcpy(text, db->error, sizeof text);
		memcpy(state, db->state, sizeof state);
		db_rollback(db);
		memcpy(db->error, text, sizeof text);
		memcpy(db->state, state, sizeof state);
	}
	return err;
}

/* --- COPY ------------------------------------------------------------- */

enum err
db_copy_start(struct db *db, const char *copy_sql)
{
	int64_t deadline = deadline_of(db->o.timeout_ms);
	char sql[1024];
	PGresult *res = NULL;
	enum err err = db_connect(db);

	if (err)
		return err;
	if (snprintf(sql, sizeof sql, "%s%s", db->in_tx ? "" : "BEGIN;",
		copy_sql) >= (int)sizeof sql)
		return ERR_INVAL;
	if (!PQsendQuery(db->conn, sql))
		return fail_call(db, take_error(db, NULL));
	db->in_tx = true;
	for (;;) {
		ExecStatusType st;

		err = next_result(db, &res, deadline, true);
		if (err)
			return fail_call(db, err);
		if (!res)
			return ERR_DB;
		st = PQresultStatus(res);
		if (st == PGRES_COPY_IN) {
			PQclear(res);
			db->copying = true;
			return ERR_OK;
		}
		if (st != PGRES_COMMAND_OK) {
			err = take_error(db, res);
			PQclear(res);
			while (!next_result(db, &res, deadline, true) && res)
				PQclear(res);
			return fail_call(db, err);
		}
		PQclear(res);
	}
}

enum err
db_copy_put(struct db *db, const char *buf, size_t len)
{
	int64_t deadline = deadline_of(db->o.timeout_ms);

	if (!db->conn || !db->copying)
		return ERR_DB_AWAY;
	for (;;) {
		int n = PQputCopyData(db->conn, buf, (int)len);
		enum err err;

		if (n == 1)
			return ERR_OK;
		if (n < 0)
			return take_error(db, NULL);
		err = flush_all(db, deadline, true);
		if (err)
			return err; /* db_rollback drops the session */
	}
}

enum err
db_copy_end(struct db *db)
{
	int n;

	if (!db->conn || !db->copying)
		return ERR_DB_AWAY;
	while ((n = PQputCopyEnd(db->conn, NULL)) == 0) {
		enum err err =
		    flush_all(db, deadline_of(db->o.timeout_ms), true);

		if (err)
			return err;
	}
	if (n < 0)
		return take_error(db, NULL);
	db->copying = false;
	return read_one(db, NULL);
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

/* --- results ---------------------------------------------------------- */

void
result_clearp(PGresult **res)
{
	PQclear(*res);
}

const char *
result_text(const PGresult *res, int row, const char *col)
{
	int c = PQfnumber(res, col);

	if (c < 0) {
		fprintf(stderr, "bug: no column %s in a result\n", col);
		abort();
	}
	return PQgetisnull(res, row, c) ? NULL : PQgetvalue(res, row, c);
}

int64_t
result_i64(const PGresult *res, int row, const char *col)
{
	const char *text = result_text(res, row, col);

	return text ? strtoll(text, NULL, 10) : 0;
}

double
result_f64(const PGresult *res, int row, const char *col)
{
	const char *text = result_text(res, row, col);

	return text ? strtod(text, NULL) : 0;
}

bool
result_bool(const PGresult *res, int row, const char *col)
{
	const char *text = result_text(res, row, col);

	return text && *text == 't';
}

bool
result_is_null(const PGresult *res, int row, const char *col)
{
	return result_text(res, row, col) == NULL;
}

static size_t
array_item(char *out, const char *s)
{
	size_t n = 0;

	if (!s) {
		memcpy(out, "NULL", 4);
		return 4;
	}
	out[n++] = '"';
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			out[n++] = '\\';
		out[n++] = *s;
	}
	out[n++] = '"';
	return n;
}

char *
array_text(const char *const *items, size_t n)
{
	size_t size = 3, at = 0;
	char *out;

	for (size_t i = 0; i < n; i++)
		size += (items[i] ? 2 * strlen(items[i]) : 4) + 3;
	out = malloc(size);
	if (!out)
		return NULL;
	out[at++] = '{';
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			out[at++] = ',';
		at += array_item(out + at, items[i]);
	}
	out[at++] = '}';
	out[at] = '\0';
	return out;
}
