/* cancel.c - ends a sync for good, with its owner's help or without. */
#include "fcgi/resources.h"

#include "fcgi/runner_client.h"
#include "fcgi/start_options.h"
#include "fcgi/sync_id.h"
#include "fcgi/sync_json.h"
#include "shared/json.h"

#include <string.h>

#define ROUNDS_MAX 3
#define CANCELLED_TEXT "Sync cancelled by user"

static void
answer_cancelled(
    const struct req *rq, struct reply *rp, const char *id, const char *text)
{
	json_object *o = json_object_new_object();

	json_put_bool(o, "success", true);
	json_put_bool(o, "ok", true);
	json_put_text(o, "syncId", id);
	sync_put_words(o, status_name(STATUS_CANCELLED), sync_words_of(rq));
	json_put_text(o, "message", text && *text ? text : CANCELLED_TEXT);
	reply_json(rp, 200, o);
}

static void
answer_ended(
    const struct req *rq, struct reply *rp, const char *id, enum status status)
{
	json_object *o = reply_problem(rp, rq, 409, "already_ended",
	    status == STATUS_COMPLETED ? "This sync has already completed."
				       : "This sync has already failed.");

	json_put_text(o, "syncId", id);
	sync_put_words(o, status_name(status), sync_words_of(rq));
}

/* Answers when the sync has ended; false while it runs. */
static bool
answer_if_ended(const struct req *rq, struct reply *rp, const char *id,
    const char *word, const char *text)
{
	enum status status;

	if (status_parse(word, &status) || !status_ended(status))
		return false;
	if (status == STATUS_CANCELLED)
		answer_cancelled(rq, rp, id, text);
	else
		answer_ended(rq, rp, id, status);
	return true;
}

/* The owner interrupts the step and commits; false: it did not. */
static bool
owner_cancelled(
    struct req *rq, struct reply *rp, const char *id, const char *address)
{
	char status[32], text[256];
	enum err err;

	if (!address)
		return false;
	err = runner_cancel(rq->runners, address, rq->request_id, rq->who.user,
	    id, status, sizeof status, text, sizeof text);
	return !err && answer_if_ended(rq, rp, id, status, text);
}

/* One look and one try.  false: it changed meanwhile, look again. */
static bool
try_cancel(struct req *rq, struct reply *rp, const char *id)
{
	CLEANUP(result_clearp) PGresult *found = NULL, *gone = NULL;
	enum err err = db_run(rq->db, STMT_SYNC_FIND, &found,
	    arg_text(rq->who.user), arg_text(id));

	if (err) {
		reply_err(rp, rq, err);
		return true;
	}
	if (PQntuples(found) == 0) {
		reply_sync_not_found(rp, rq);
		return true;
	}
	if (answer_if_ended(rq, rp, id, result_text(found, 0, "status"),
		result_text(found, 0, "message")) ||
	    owner_cancelled(rq, rp, id, result_text(found, 0, "address")))
		return true;
	err = db_run(rq->db, STMT_SYNC_CANCEL, &gone, arg_text(rq->who.user),
	    arg_text(id));
	if (err && err != ERR_DB_RETRY) {
		reply_err(rp, rq, err);
		return true;
	}
	if (err || PQntuples(gone) == 0)
		return false;
	answer_cancelled(rq, rp, id, result_text(gone, 0, "message"));
	return true;
}

static void
cancel_one(struct req *rq, struct reply *rp, const char *id)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		if (try_cancel(rq, rp, id))
			return;
	}
	reply_problem(rp, rq, 503, "busy",
	    "The sync changes too fast right now. Please try again.");
	rp->retry_after_s = 1;
}

/* The body's syncId or id; *ret NULL: neither.  false: answered. */
static bool
id_of_body(const struct req *rq, struct reply *rp, const char **ret)
{
	static const char *const names[] = { "syncId", "id" };

	*ret = NULL;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		json_object *v = json_member(rq->body, names[i]);
		const char *text = json_text(rq->body, names[i]);

		if (!v)
			continue;
		if (!text || !sync_id_valid(text)) {
			reply_field(rp, rq, names[i],
			    "A sync's id is a text of 1 to 128 characters.");
			return false;
		}
		*ret = text;
		return true;
	}
	return true;
}

static void
answer_ambiguous(const struct req *rq, struct reply *rp, const PGresult *active)
{
	json_object *ids = json_object_new_array(), *o;

	for (int i = 0; i < PQntuples(active); i++)
		json_object_array_add(ids,
		    json_object_new_string(result_text(active, i, "sync_id")));
	o = reply_problem(rp, rq, 409, "ambiguous",
	    "Several of your syncs are running; say which one to cancel.");
	json_put_object(o, "syncIds", ids);
}

/* The caller's only active sync; the latest where the surface is classic. */
static void
cancel_active(struct req *rq, struct reply *rp)
{
	CLEANUP(result_clearp) PGresult *active = NULL;
	enum err err = db_run(
	    rq->db, STMT_SYNC_ACTIVE_LIST, &active, arg_text(rq->who.user));

	if (err)
		reply_err(rp, rq, err);
	else if (PQntuples(active) == 0)
		reply_problem(rp, rq, 404, "no_active_sync",
		    "None of your syncs is running.");
	else if (PQntuples(active) > 1 && !rq->classic)
		answer_ambiguous(rq, rp, active);
	else
		cancel_one(rq, rp, result_text(active, 0, "sync_id"));
}

void
sync_cancel(struct req *rq, struct reply *rp)
{
	const char *id;

	if (!sync_id_of(rq, rp, &id))
		return;
	if (!id && !id_of_body(rq, rp, &id))
		return;
	if (id)
		cancel_one(rq, rp, id);
	else
		cancel_active(rq, rp);
}
