/* queue.c - how much waits and works, and the removal of old history. */
#include "fcgi/resources.h"

#include "fcgi/start_options.h"
#include "fcgi/sync_json.h"
#include "shared/json.h"

#include <string.h>

#define CLEANUP_DAYS_MAX 3650
#define CLEANUP_TIMEOUT_MS 25000 /* below what nginx waits for an answer */

/* --- queue-status ----------------------------------------------------- */

static json_object *
counts_json(const PGresult *res)
{
	int64_t pending = result_i64(res, 0, "pending");
	int64_t processing = result_i64(res, 0, "processing");
	json_object *o = json_object_new_object();

	json_put_i64(o, "pending", pending);
	json_put_i64(o, "processing", processing);
	json_put_i64(o, "running", pending + processing);
	json_put_i64(o, "completed", result_i64(res, 0, "completed"));
	json_put_i64(o, "failed", result_i64(res, 0, "failed"));
	return o;
}

/* The caller's counts (everybody's for an admin) and own latest sync. */
static enum err
load(struct req *rq, PGresult **ret_counts, PGresult **ret_latest)
{
	enum err err = db_pipe_start(rq->db, false);

	if (err)
		return err;
	db_pipe_run(rq->db, STMT_QUEUE_STATUS, ret_counts,
	    arg_text(rq->who.admin ? NULL : rq->who.user));
	db_pipe_run(
	    rq->db, STMT_SYNC_LATEST, ret_latest, arg_text(rq->who.user));
	return db_pipe_end(rq->db);
}

void
queue_status(struct req *rq, struct reply *rp)
{
	CLEANUP(result_clearp) PGresult *counts = NULL, *latest = NULL;
	json_object *o;
	bool active;
	enum err err = load(rq, &counts, &latest);

	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	active = PQntuples(latest) > 0 &&
	    strcmp(result_text(latest, 0, "status"),
		status_name(STATUS_RUNNING)) == 0;
	o = json_object_new_object();
	json_put_bool(o, "success", true);
	json_put_object(o, "queueStatus", counts_json(counts));
	json_put_object(o, "activeSync",
	    active ? sync_json(latest, 0, sync_words_of(rq)) : NULL);
	reply_json(rp, 200, o);
}

/* --- cleanup ---------------------------------------------------------- */

/* The removal and its entry in the audit log: both or neither. */
static enum err
remove_older(struct req *rq, int64_t days, PGresult **ret)
{
	CLEANUP(json_clearp) json_object *data = json_object_new_object();
	enum err err;

	json_put_i64(data, "olderThanDays", days);
	json_put_text(data, "requestId", rq->request_id);
	err = db_pipe_start(rq->db, true);
	if (err)
		return err;
	db_pipe_run(rq->db, STMT_HISTORY_CLEANUP, ret, arg_i64(days));
	db_pipe_run(rq->db, STMT_AUDIT_ADD, NULL, arg_text(rq->who.user),
	    arg_text("history_cleanup"), arg_null(),
	    arg_text(json_object_to_json_string(data)));
	return db_pipe_end(rq->db);
}

void
queue_cleanup(struct req *rq, struct reply *rp)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	int64_t days = json_i64(rq->body, "olderThanDays", 0);
	json_object *o;
	enum err err;

	if (days < 1 || days > CLEANUP_DAYS_MAX) {
		reply_field(rp, rq, "olderThanDays",
		    "The field olderThanDays must be a whole number from 1 to "
		    "3650.");
		return;
	}
	db_set_timeout(rq->db, CLEANUP_TIMEOUT_MS);
	err = remove_older(rq, days, &res);
	db_set_timeout(rq->db, (int)rq->settings->db_timeout_ms);
	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	o = json_object_new_object();
	json_put_bool(o, "success", true);
	json_put_i64(o, "cleanedItems", result_i64(res, 0, "removed"));
	reply_json(rp, 200, o);
}
