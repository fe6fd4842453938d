/* starting.c - one statement in the common case, at most three rounds. */
#include "fcgi/starting.h"

#include "fcgi/request_hash.h"
#include "fcgi/runner_client.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 3

/* One request on its way through the rounds. */
struct attempt {
	struct req *rq;
	const struct start_ask *ask;
	char id[SYNC_ID_SIZE];
	char hash[REQUEST_HASH_SIZE];
	bool abandon; /* a stale sync stands in the way */
};

#define START_ARGS(a)                                                          \
	ARGS(arg_text((a)->id), arg_text((a)->rq->who.user),                   \
	    arg_text((a)->ask->options->connection_id),                        \
	    arg_i64((a)->ask->options->priority),                              \
	    arg_text((a)->ask->options->mode),                                 \
	    arg_text((a)->ask->options->streams),                              \
	    arg_text((a)->rq->request_id), arg_text((a)->rq->idempotency_key), \
	    arg_text((a)->hash), arg_i64((a)->rq->settings->start_limit),      \
	    arg_i64((a)->rq->settings->retry_attempts),                        \
	    arg_text((a)->ask->cause), arg_text((a)->ask->retry_of))
#define START_ARGS_COUNT 13

static enum err
insert_only(struct attempt *a, struct start_told *t)
{
	return db_exec(a->rq->db, STMT_SYNC_START, &t->made, START_ARGS(a),
	    START_ARGS_COUNT);
}

/* The old one ends and the new one begins in one transaction, or neither. */
static enum err
replace(struct attempt *a, struct start_told *t)
{
	struct db *db = a->rq->db;
	enum err err = db_pipe_start(db, true);

	if (err)
		return err;
	db_pipe_run(db, STMT_SYNC_CANCEL_CONNECTION, &t->old,
	    arg_text(a->rq->who.user), arg_text(a->ask->options->connection_id),
	    arg_text(a->rq->request_id));
	db_pipe(db, STMT_SYNC_START, &t->made, START_ARGS(a), START_ARGS_COUNT);
	db_pipe_run(db, STMT_SYNC_MUST_EXIST, NULL, arg_text(a->id));
	return db_pipe_end(db);
}

static enum err
abandon_first(struct attempt *a, const char *connection, struct start_told *t)
{
	struct db *db = a->rq->db;
	enum err err = db_pipe_start(db, true);

	if (err)
		return err;
	db_pipe_run(db, STMT_SYNC_ABANDON, NULL, arg_text(a->rq->who.user),
	    arg_text(connection), arg_i64(a->rq->settings->stale_after_s));
	db_pipe(db, STMT_SYNC_START, &t->made, START_ARGS(a), START_ARGS_COUNT);
	return db_pipe_end(db);
}

static void
forget(struct start_told *t)
{
	PQclear(t->made);
	PQclear(t->old);
	t->made = t->old = NULL;
}

/* Whether a round made the sync; *ret then tells it whole. */
static bool
is_made(struct start_told *t)
{
	if (!t->made || PQntuples(t->made) == 0)
		return false;
	t->outcome = START_MADE;
	t->sync_id = result_text(t->made, 0, "sync_id");
	t->connection_id = result_text(t->made, 0, "connection_id");
	t->phase = result_text(t->made, 0, "phase");
	t->message = result_text(t->made, 0, "message");
	t->started_at = result_text(t->made, 0, "started_text");
	if (t->old && PQntuples(t->old) > 0)
		t->replaced = result_text(t->old, 0, "sync_id");
	return true;
}

/* An earlier request of ours made it: told as the success it was. */
static void
tell_before(struct start_told *t, const char *sync_id)
{
	const char *active = result_text(t->why, 0, "active_id");
	bool runs = active && strcmp(active, sync_id) == 0;

	t->outcome = START_MADE_BEFORE;
	t->sync_id = sync_id;
	t->connection_id = runs ? result_text(t->why, 0, "picked") : NULL;
	t->phase = runs ? result_text(t->why, 0, "active_phase") : "queued";
	t->message =
	    runs ? result_text(t->why, 0, "active_message") : "Sync queued";
}

static bool
is_own_request(const struct attempt *a, const PGresult *why)
{
	const char *id = result_text(why, 0, "active_request_id");

	return id && strcmp(id, a->rq->request_id) == 0;
}

/* Reads the reason; false: nothing stands in the way now, go round again. */
static bool
is_told_why(struct attempt *a, struct start_told *t)
{
	const char *known = result_text(t->why, 0, "known_id");
	const char *picked = result_text(t->why, 0, "picked");
	const char *active = result_text(t->why, 0, "active_id");

	if (known) {
		if (strcmp(result_text(t->why, 0, "known_hash"), a->hash) == 0)
			tell_before(t, known);
		else
			t->outcome = START_MISMATCH;
		return true;
	}
	if (result_i64(t->why, 0, "connections") == 0 ||
	    (!picked && a->ask->options->connection_id)) {
		t->outcome = START_NOT_CONNECTED;
		return true;
	}
	if (!picked) {
		t->outcome = START_CONNECTION_REQUIRED;
		t->connections = result_text(t->why, 0, "connection_ids");
		return true;
	}
	if (!active)
		return false;
	if (is_own_request(a, t->why)) {
		tell_before(t, active);
		return true;
	}
	a->abandon = result_bool(t->why, 0, "stale");
	if (a->abandon || a->ask->force)
		return false;
	t->outcome = START_ACTIVE;
	t->sync_id = active;
	t->connection_id = picked;
	return true;
}

static enum err
ask_why(struct attempt *a, struct start_told *t)
{
	PGresult *why = NULL;
	enum err err = db_run(a->rq->db, STMT_SYNC_START_WHY, &why,
	    arg_text(a->rq->who.user), arg_text(a->ask->options->connection_id),
	    arg_text(a->rq->idempotency_key),
	    arg_i64(a->rq->settings->stale_after_s));

	if (err)
		return err;
	PQclear(t->why);
	t->why = why;
	return ERR_OK;
}

/* One round: insert, and where that gave nothing ask why. */
static enum err
go_round(struct attempt *a, struct start_told *t, bool *ret_told)
{
	enum err err;

	if (a->ask->force)
		err = replace(a, t);
	else if (a->abandon)
		err = abandon_first(a, result_text(t->why, 0, "picked"), t);
	else
		err = insert_only(a, t);
	if (err == ERR_LIMITED) {
		t->outcome = START_LIMITED;
		t->wait_s = atoi(db_error_text(a->rq->db));
		*ret_told = true;
		return ERR_OK;
	}
	/* DB_RETRY: a rival was faster; what it did is to be seen now */
	if (err && err != ERR_DB_RETRY)
		return err;
	if (!err && is_made(t)) {
		*ret_told = true;
		return ERR_OK;
	}
	forget(t);
	err = ask_why(a, t);
	if (!err)
		*ret_told = is_told_why(a, t);
	return err;
}

/* After the commit: hints, which change nothing that was committed. */
static void
tell_runners(struct attempt *a, struct start_told *t)
{
	const char *ids[] = { t->sync_id };
	const char *address =
	    t->replaced ? result_text(t->old, 0, "address") : NULL;
	char status[32], text[256];

	if (address) {
		enum err err = runner_cancel(a->rq->runners, address,
		    a->rq->request_id, a->rq->who.user, t->replaced, status,
		    sizeof status, text, sizeof text);
		(void)err; /* its late step is fenced off either way */
	}
	runner_hint(a->rq->runners, a->rq->request_id, ids, COUNT_OF(ids));
}

enum err
starting_run(
    struct req *rq, const struct start_ask *ask, struct start_told *ret)
{
	struct attempt a = { .rq = rq, .ask = ask };
	struct start_told t = { .outcome = START_BUSY };
	bool told = false;
	enum err err = sync_id_new(a.id);

	if (!err)
		err = request_hash(rq->method, rq->path, rq->body, a.hash);
	for (int i = 0; i < ROUNDS_MAX && !err && !told; i++)
		err = go_round(&a, &t, &told);
	if (err) {
		start_told_fini(&t);
		return err;
	}
	if (t.outcome == START_MADE)
		tell_runners(&a, &t);
	*ret = t;
	return ERR_OK;
}

void
start_told_fini(struct start_told *t)
{
	PQclear(t->made);
	PQclear(t->why);
	PQclear(t->old);
	t->made = t->why = t->old = NULL;
}
