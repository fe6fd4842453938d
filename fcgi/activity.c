/* activity.c - what happened in a user's syncs, newest first. */
#include "fcgi/resources.h"

#include "shared/json.h"

#include <string.h>

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 200

/* The list, and with ret_total how many there are, in one message. */
static enum err
load(struct req *rq, int64_t limit, PGresult **ret_list, PGresult **ret_total)
{
	enum err err = db_pipe_start(rq->db, false);

	if (err)
		return err;
	db_pipe_run(rq->db, STMT_ACTIVITY_LIST, ret_list,
	    arg_text(rq->who.user), arg_i64(limit));
	if (ret_total)
		db_pipe_run(rq->db, STMT_ACTIVITY_TOTAL, ret_total,
		    arg_text(rq->who.user));
	return db_pipe_end(rq->db);
}

static json_object *
list_json(const PGresult *res)
{
	json_object *list = json_object_new_array();

	for (int i = 0; i < PQntuples(res); i++) {
		json_object *o = json_object_new_object();

		json_put_text(o, "timestamp", result_text(res, i, "at_text"));
		json_put_text(o, "type", result_text(res, i, "type"));
		json_put_text(o, "message", result_text(res, i, "message"));
		json_put_text(o, "syncId", result_text(res, i, "sync_id"));
		json_object_array_add(list, o);
	}
	return list;
}

/* Which of the two forms is asked for.  false: answered. */
static bool
read_form(const struct req *rq, struct reply *rp, bool *ret_wrapped)
{
	const char *form = req_param(rq, "format");

	*ret_wrapped = form && strcmp(form, "object") == 0;
	if (!form || *ret_wrapped || strcmp(form, "array") == 0)
		return true;
	json_put_text(reply_problem(rp, rq, 400, "invalid_parameter",
			  "The parameter format must be array or object."),
	    "field", "format");
	return false;
}

void
sync_activity(struct req *rq, struct reply *rp)
{
	CLEANUP(result_clearp) PGresult *list = NULL, *total = NULL;
	int64_t limit, count;
	bool wrapped;
	json_object *o;
	enum err err;

	if (!read_form(rq, rp, &wrapped) ||
	    !req_param_int(
		rq, rp, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit))
		return;
	err = load(rq, limit, &list, wrapped ? &total : NULL);
	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	if (!wrapped) {
		reply_json(rp, 200, list_json(list));
		return;
	}
	count = result_i64(total, 0, "total");
	o = json_object_new_object();
	json_put_bool(o, "success", true);
	json_put_object(o, "activities", list_json(list));
	json_put_i64(o, "total", count);
	json_put_bool(o, "has_more", count > PQntuples(list));
	reply_json(rp, 200, o);
}
