/* start.c - start, force and retry: what they ask for and how they answer. */
#include "fcgi/resources.h"

#include "fcgi/runner_client.h"
#include "fcgi/start_options.h"
#include "fcgi/starting.h"
#include "fcgi/sync_json.h"
#include "shared/json.h"

#include <string.h>

#define ACTIVE_TEXT "A sync is already in progress for this connection."
#define RERUN_TEXT                                                             \
	"A sync is already in progress for this connection; one more will "    \
	"run after it."
#define NOT_CONNECTED_TEXT                                                     \
	"Amazon connection not found. Please connect your Amazon account "     \
	"first."

/* What is special about a surface that starts syncs. */
enum surface {
	SURFACE_PLAIN,
	SURFACE_ATTACH, /* a running one is as good: 200 alreadyRunning */
	SURFACE_CODES   /* `error` is the code, not the sentence */
};

/* --- answers ---------------------------------------------------------- */

static void
answer_made(const struct req *rq, struct reply *rp, const struct start_told *t,
    bool forced)
{
	json_object *o = json_object_new_object();

	json_put_bool(o, "success", true);
	json_put_text(o, "syncId", t->sync_id);
	sync_put_words(o, status_name(STATUS_RUNNING), sync_words_of(rq));
	json_put_text(o, "phase", t->phase);
	json_put_text(o, "message", t->message);
	if (t->connection_id)
		json_put_text(o, "connectionId", t->connection_id);
	if (t->started_at)
		json_put_text(o, "startedAt", t->started_at);
	if (forced)
		json_put_text(o, "replacedSyncId", t->replaced);
	reply_json(rp, 200, o);
}

static void
answer_attached(const struct req *rq, struct reply *rp,
    const struct start_told *t, bool rerun)
{
	json_object *o = json_object_new_object();

	json_put_bool(o, "success", true);
	json_put_text(o, "syncId", t->sync_id);
	sync_put_words(o, status_name(STATUS_RUNNING), sync_words_of(rq));
	json_put_text(o, "phase", result_text(t->why, 0, "active_phase"));
	json_put_text(o, "message", rerun ? RERUN_TEXT : ACTIVE_TEXT);
	json_put_text(o, "connectionId", t->connection_id);
	json_put_bool(o, "alreadyRunning", true);
	if (rerun)
		json_put_bool(o, "rerunNoted", true);
	reply_json(rp, 200, o);
}

static json_object *
problem(const struct req *rq, struct reply *rp, enum surface surface,
    int status, const char *code, const char *sentence)
{
	json_object *o = reply_problem(rp, rq, status, code, sentence);

	if (surface == SURFACE_CODES)
		json_put_text(o, "error", code);
	return o;
}

/* The running one stands; with rerun, one more is to follow it. */
static void
answer_active(struct req *rq, struct reply *rp, const struct start_told *t,
    bool rerun, enum surface surface)
{
	json_object *o;

	if (rerun) {
		enum err err = db_run(rq->db, STMT_SYNC_NOTE_RERUN, NULL,
		    arg_text(rq->who.user), arg_text(t->sync_id));

		if (err) {
			reply_err(rp, rq, err);
			return;
		}
	}
	if (surface == SURFACE_ATTACH) {
		answer_attached(rq, rp, t, rerun);
		return;
	}
	o = problem(rq, rp, surface, 409, "sync_in_progress",
	    rerun ? RERUN_TEXT : ACTIVE_TEXT);
	json_put_text(o, "existingSyncId", t->sync_id);
	json_put_text(o, "connectionId", t->connection_id);
	if (rerun)
		json_put_bool(o, "rerunNoted", true);
}

static void
answer_connection_required(const struct req *rq, struct reply *rp,
    const struct start_told *t, enum surface surface)
{
	json_object *list = NULL, *o;
	enum err err =
	    json_read(t->connections, strlen(t->connections), 4, &list, NULL);

	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	o = problem(rq, rp, surface, 400, "connection_required",
	    "You have several connections; the field connectionId must say "
	    "which one to sync.");
	json_put_text(o, "field", "connectionId");
	json_put_object(o, "connections", list);
}

static void
answer_limited(
    const struct req *rq, struct reply *rp, const struct start_told *t)
{
	json_object *o = reply_problem(rp, rq, 429, "start_limit",
	    "You have started too many syncs within a minute. Please try "
	    "again later.");

	rp->retry_after_s = t->wait_s > 0 ? t->wait_s : 1;
	json_put_i64(o, "retryAfter", rp->retry_after_s);
}

static void
answer(struct req *rq, struct reply *rp, const struct start_ask *ask,
    const struct start_told *t, enum surface surface)
{
	switch (t->outcome) {
	case START_MADE:
	case START_MADE_BEFORE:
		answer_made(rq, rp, t, ask->force);
		return;
	case START_ACTIVE:
		answer_active(rq, rp, t, ask->options->rerun, surface);
		return;
	case START_NOT_CONNECTED:
		problem(rq, rp, surface, 400,
		    surface == SURFACE_CODES ? "amazon_not_connected"
					     : "not_connected",
		    NOT_CONNECTED_TEXT);
		return;
	case START_CONNECTION_REQUIRED:
		answer_connection_required(rq, rp, t, surface);
		return;
	case START_MISMATCH:
		reply_problem(rp, rq, 422, "idempotency_mismatch",
		    "This Idempotency-Key was used for another request.");
		return;
	case START_LIMITED:
		answer_limited(rq, rp, t);
		return;
	case START_BUSY:
		reply_problem(rp, rq, 503, "busy",
		    "Others start and end this connection's syncs right now. "
		    "Please try again.");
		rp->retry_after_s = 1;
		return;
	}
}

/* --- handlers --------------------------------------------------------- */

static void
start_as(struct req *rq, struct reply *rp, const struct start_ask *ask,
    enum surface surface)
{
	CLEANUP(start_told_fini) struct start_told told = { 0 };
	enum err err = starting_run(rq, ask, &told);

	if (err)
		reply_err(rp, rq, err);
	else
		answer(rq, rp, ask, &told, surface);
}

static void
start_from_body(struct req *rq, struct reply *rp, const char *cause, bool force,
    enum surface surface)
{
	CLEANUP(start_options_fini) struct start_options options = { 0 };
	struct start_ask ask = {
		.options = &options, .cause = cause, .force = force
	};

	if (start_options_read(rq, rp, &options))
		start_as(rq, rp, &ask, surface);
}

void
sync_start(struct req *rq, struct reply *rp)
{
	start_from_body(rq, rp, "user", false,
	    rq->classic ? SURFACE_ATTACH : SURFACE_PLAIN);
}

void
amazon_sync_start(struct req *rq, struct reply *rp)
{
	start_from_body(rq, rp, "user", false, SURFACE_CODES);
}

void
sync_force(struct req *rq, struct reply *rp)
{
	start_from_body(rq, rp, "force", true, SURFACE_PLAIN);
}

void
sync_force_clear(struct req *rq, struct reply *rp)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	json_object *o;
	int n;
	enum err err =
	    db_run(rq->db, STMT_SYNC_ABANDON, &res, arg_text(rq->who.user),
		arg_null(), arg_i64(rq->settings->stale_after_s));

	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	n = PQntuples(res);
	o = json_object_new_object();
	json_put_bool(o, "success", true);
	json_put_i64(o, "clearedCount", n);
	json_put_text(o, "message",
	    n == 0       ? "No stale sync was found."
		: n == 1 ? "One stale sync was ended."
			 : "Stale syncs were ended.");
	reply_json(rp, 200, o);
}

/* --- retry ------------------------------------------------------------ */

/* A sync that waits for its retry goes on at once, under its own id. */
static void
retry_now(struct req *rq, struct reply *rp, const PGresult *found)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	const char *ids[] = { result_text(found, 0, "sync_id") };
	json_object *o;
	enum err err = db_run(rq->db, STMT_SYNC_RETRY_NOW, &res,
	    arg_text(rq->who.user), arg_text(ids[0]));

	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	if (PQntuples(res) == 0) {
		o = reply_problem(rp, rq, 409, "not_retryable",
		    "This sync is still running; there is nothing to retry.");
		json_put_text(o, "syncId", ids[0]);
		return;
	}
	runner_hint(rq->runners, rq->request_id, ids, 1);
	o = json_object_new_object();
	json_put_bool(o, "success", true);
	json_put_text(o, "syncId", ids[0]);
	sync_put_words(o, status_name(STATUS_RUNNING), sync_words_of(rq));
	json_put_text(o, "phase", phase_name(PHASE_QUEUED));
	json_put_text(o, "message", "Sync queued");
	reply_json(rp, 200, o);
}

static void
retry_ended(struct req *rq, struct reply *rp, const PGresult *found)
{
	int before = (int)result_i64(found, 0, "priority");
	struct start_options options = {
		.connection_id = result_text(found, 0, "connection_id"),
		/* what an administrator granted was for that one sync */
		.priority = before > PRIORITY_NORMAL && !rq->who.admin
		    ? PRIORITY_NORMAL
		    : before,
		.mode = result_text(found, 0, "mode"),
		/* the array as the server wrote it */
		.streams = (char *)result_text(found, 0, "wanted"),
	};
	struct start_ask ask = {
		.options = &options,
		.cause = "retry",
		.retry_of = result_text(found, 0, "sync_id"),
	};

	start_as(rq, rp, &ask, SURFACE_PLAIN);
}

void
sync_retry(struct req *rq, struct reply *rp)
{
	CLEANUP(result_clearp) PGresult *found = NULL;
	const char *id;
	enum err err;

	if (!sync_id_required(rq, rp, &id))
		return;
	err = db_run(rq->db, STMT_SYNC_FIND, &found, arg_text(rq->who.user),
	    arg_text(id));
	if (err)
		reply_err(rp, rq, err);
	else if (PQntuples(found) == 0)
		reply_sync_not_found(rp, rq);
	else if (strcmp(result_text(found, 0, "status"),
		     status_name(STATUS_RUNNING)) == 0)
		retry_now(rq, rp, found);
	else
		retry_ended(rq, rp, found);
}
