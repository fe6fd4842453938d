/* health.c - whether the process lives, and whether it can do its work. */
#include "fcgi/resources.h"
#include "fcgi/runner_client.h"
#include "shared/json.h"

void
health_live(struct req *rq, struct reply *rp)
{
	json_object *o = json_object_new_object();

	(void)rq;
	json_put_bool(o, "success", true);
	json_put_text(o, "status", "ok");
	reply_json(rp, 200, o);
}

/*
 * Ready means that requests can be answered.  A system without a runner still
 * accepts starts, so runners are named, not required.
 */
void
health_ready(struct req *rq, struct reply *rp)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum err err = db_exec(rq->db, STMT_HEALTH_CHECK, &res, NULL, 0);
	json_object *o, *runners;

	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	o = json_object_new_object();
	json_put_bool(o, "success", true);
	json_put_bool(o, "ready", true);
	json_put_text(o, "database", "up");
	runners = json_object_new_array();
	for (int i = 0; i < PQntuples(res); i++) {
		json_object *r = json_object_new_object();

		json_put_text(r, "name", result_text(res, i, "name"));
		json_put_text(
		    r, "status", result_bool(res, i, "up") ? "up" : "down");
		json_object_array_add(runners, r);
	}
	json_put_object(o, "runners", runners);
	json_put_i64(o, "runnersConnected", runner_connected(rq->runners));
	reply_json(rp, 200, o);
}
