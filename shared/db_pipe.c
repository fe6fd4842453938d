/* db_pipe.c - several statements as one message, answered together. */
#include "shared/db_room.h"

#include <string.h>

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
		return db_take_error(db, NULL);
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
		return db_fail_call(db, ERR_DB);
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
			db->pipe_err = db_take_error(db, NULL);
			return;
		}
		add_slot(db, SLOT_PREPARE, id, NULL);
	}
	if (!db_send_stmt(db, id, args, n))
		db->pipe_err = db_take_error(db, NULL);
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
		values[i] = db_arg_value(&args[i]);
	if (!PQsendQueryParams(
		db->conn, sql, n, NULL, values, NULL, NULL, 0))
		db->pipe_err = db_take_error(db, NULL);
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
		values[i] = db_arg_value(&args[i]);
	if (!PQsendQueryPrepared(db->conn, name, n, values, NULL, NULL, 0))
		db->pipe_err = db_take_error(db, NULL);
	else
		add_slot(db, SLOT_QUERY, STMT__MAX, ret);
}

/* Reads the answer of one slot: its result, then the NULL behind it. */
static enum err
read_slot(struct db *db, struct slot *s, int64_t deadline, enum err *first)
{
	PGresult *end = NULL;
	ExecStatusType st;
	enum err err = db_next_result(db, &s->got, deadline, true);

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
		*first = db_take_error(db, s->got);
	}
	return db_next_result(db, &end, deadline, true);
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
	int64_t deadline = db_deadline(db->o.timeout_ms);
	PGresult *sync = NULL;
	enum err err = ERR_OK;

	for (int i = 0; i < db->n_slots && !err; i++)
		err = read_slot(db, &db->slots[i], deadline, first);
	if (!err)
		err = db_next_result(db, &sync, deadline, true);
	PQclear(sync);
	if (!err && !PQexitPipelineMode(db->conn))
		err = db_take_error(db, NULL);
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
		db_drop_session(db);
	} else if (!PQpipelineSync(db->conn)) {
		err = db_fail_call(db, db_take_error(db, NULL));
	} else {
		err = read_slots(db, &first);
		if (err) {
			err = db_fail_call(db, err);
			if (db->conn && prepare_unread(db))
				db_drop_session(db);
		} else if (first)
			err = db_fail_call(db, first);
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
