/* statistics.c - a user's totals, which no cleanup of history lowers. */
#include "fcgi/resources.h"

#include "shared/json.h"

/* A number of the database, null where it knows none. */
static void
put_seconds(
    json_object *o, const char *key, const PGresult *res, const char *col)
{
	if (result_is_null(res, 0, col))
		json_put_null(o, key);
	else
		json_put_f64(o, key, result_f64(res, 0, col));
}

static json_object *
statistics_json(const PGresult *res)
{
	int64_t completed = result_i64(res, 0, "completed");
	int64_t failed = result_i64(res, 0, "failed");
	int64_t cancelled = result_i64(res, 0, "cancelled");
	int64_t running = result_i64(res, 0, "running");
	json_object *o = json_object_new_object();

	json_put_i64(o, "totalSyncs", completed + failed + cancelled + running);
	json_put_i64(o, "successfulSyncs", completed);
	json_put_i64(o, "failedSyncs", failed);
	json_put_i64(o, "cancelledSyncs", cancelled);
	json_put_i64(o, "runningSyncs", running);
	json_put_i64(o, "totalOrdersProcessed", result_i64(res, 0, "orders"));
	json_put_i64(o, "totalClaimsDetected", result_i64(res, 0, "claims"));
	if (completed + failed > 0)
		json_put_f64(o, "successRate",
		    100.0 * (double)completed / (double)(completed + failed));
	else
		json_put_null(o, "successRate");
	put_seconds(o, "averageDuration", res, "average");
	put_seconds(o, "p50Duration", res, "p50");
	put_seconds(o, "p95Duration", res, "p95");
	return o;
}

void
sync_statistics(struct req *rq, struct reply *rp)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	json_object *o;
	enum err err =
	    db_run(rq->db, STMT_USER_STATISTICS, &res, arg_text(rq->who.user));

	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	o = json_object_new_object();
	json_put_bool(o, "success", true);
	json_put_object(o, "statistics", statistics_json(res));
	reply_json(rp, 200, o);
}
