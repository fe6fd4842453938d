/* status.c - one sync, or how a user stands, in one round trip each. */
#include "fcgi/resources.h"

#include "fcgi/sync_id.h"
#include "fcgi/sync_json.h"
#include "shared/json.h"

#include <string.h>

static void
show_one(
    struct req *rq, struct reply *rp, const char *id, enum sync_words words)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	json_object *o;
	enum err err = db_run(
	    rq->db, STMT_SYNC_SHOW, &res, arg_text(rq->who.user), arg_text(id));

	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	if (PQntuples(res) == 0) {
		reply_sync_not_found(rp, rq);
		return;
	}
	o = json_object_new_object();
	json_put_bool(o, "success", true);
	sync_json_put(o, res, 0, words);
	reply_json(rp, 200, o);
}

void
sync_show(struct req *rq, struct reply *rp)
{
	const char *id;

	if (sync_id_required(rq, rp, &id))
		show_one(rq, rp, id, sync_words_of(rq));
}

static void
show_latest(struct req *rq, struct reply *rp)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum sync_words words = sync_words_of(rq);
	json_object *o;
	bool active;
	enum err err =
	    db_run(rq->db, STMT_SYNC_LATEST, &res, arg_text(rq->who.user));

	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	o = json_object_new_object();
	json_put_bool(o, "success", true);
	if (PQntuples(res) == 0) {
		json_put_bool(o, "hasActiveSync", false);
		json_put_null(o, "lastSync");
		sync_json_put_idle(o, rq->who.user);
	} else {
		/* active ones come first, so the row tells */
		active = strcmp(result_text(res, 0, "status"),
			     status_name(STATUS_RUNNING)) == 0;
		json_put_bool(o, "hasActiveSync", active);
		json_put_object(o, "lastSync", sync_json(res, 0, words));
		sync_json_put(o, res, 0, words);
	}
	json_put_null(o, "nextScheduledSync");
	reply_json(rp, 200, o);
}

void
sync_status(struct req *rq, struct reply *rp)
{
	const char *id;

	if (!sync_id_of(rq, rp, &id))
		return;
	if (!id) {
		show_latest(rq, rp);
		return;
	}
	/* naming the sync in the query is the older frontend's way */
	show_one(rq, rp, id,
	    rq->settings->classic_status ? WORDS_CLASSIC : WORDS_CANONICAL);
}
