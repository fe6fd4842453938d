/*
 * disconnect.c - lets a connected account go, and on request its records.
 *
 * The connection goes first: from then on no sync of it can start.  Records
 * go in bounded statements, and asking again goes on where it stopped.
 */
#include "fcgi/connections.h"
#include "fcgi/resources.h"
#include "shared/json.h"
#include "shared/clock.h"

#include <string.h>

#define PURGE_BATCH 5000
#define PURGE_MS 15000 /* then the answer says that there is more */

struct purge {
	int64_t removed;
	bool done;
};

static enum err
purge_batch(struct req *rq, const char *id, enum stmt stmt, int64_t *ret)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum err err = db_run(rq->db, stmt, &res, arg_text(rq->who.user),
	    arg_text(id), arg_i64(PURGE_BATCH));

	if (!err)
		*ret = result_i64(res, 0, "removed");
	return err;
}

static enum err
purge(struct req *rq, const char *id, struct purge *ret)
{
	static const enum stmt parts[] = { STMT_PURGE_ORDER_ITEMS,
		STMT_PURGE_ORDERS, STMT_PURGE_INVENTORY,
		STMT_PURGE_TRANSACTIONS, STMT_PURGE_CLAIMS,
		STMT_PURGE_QUARANTINE };
	struct purge p = { .done = true };
	int64_t end = clock_ms() + PURGE_MS;

	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		int64_t n = PURGE_BATCH;

		while (n == PURGE_BATCH && p.done) {
			enum err err = purge_batch(rq, id, parts[i], &n);

			if (err)
				return err;
			p.removed += n;
			p.done = n < PURGE_BATCH || clock_ms() < end;
		}
	}
	*ret = p;
	return ERR_OK;
}

/* Deletes the row and the cursors together; *ret_gone: there was a row. */
static enum err
forget(struct req *rq, const char *id, bool *ret_gone)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum err err = db_pipe_start(rq->db, true);

	if (err)
		return err;
	db_pipe_run(rq->db, STMT_CONNECTION_DELETE, &res,
	    arg_text(rq->who.user), arg_text(id));
	db_pipe_run(rq->db, STMT_CONNECTION_FORGET_CURSORS, NULL,
	    arg_text(rq->who.user), arg_text(id));
	err = db_pipe_end(rq->db);
	if (!err)
		*ret_gone = PQntuples(res) > 0;
	return err;
}

/* Whether a sync is in the way; the problem then carries its id. */
static enum err
refuse_active(
    struct req *rq, struct reply *rp, const char *id, bool *ret_refused)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum err err = db_run(rq->db, STMT_CONNECTION_ACTIVE, &res,
	    arg_text(rq->who.user), arg_text(id));

	if (err)
		return err;
	*ret_refused = PQntuples(res) > 0;
	if (*ret_refused)
		json_put_text(
		    reply_problem(rp, rq, 409, "sync_in_progress",
			"A sync of this connection is in progress; cancel it "
			"first."),
		    "existingSyncId", result_text(res, 0, "sync_id"));
	return ERR_OK;
}

static void
answer(struct reply *rp, const char *id, const struct purge *p)
{
	json_object *o = json_object_new_object();

	json_put_bool(o, "success", true);
	json_put_text(o, "connectionId", id);
	json_put_i64(o, "removedRecords", p->removed);
	json_put_bool(o, "done", p->done);
	json_put_text(o, "message",
	    p->done
		? "The connection is removed."
		: "The connection is removed; repeat this to remove the rest "
		  "of its records.");
	reply_json(rp, p->done ? 200 : 202, o);
}

void
connection_delete(struct req *rq, struct reply *rp)
{
	const char *flag = req_param(rq, "purge"), *id;
	bool with_records =
	    flag && (strcmp(flag, "1") == 0 || strcmp(flag, "true") == 0);
	struct purge p = { .done = true };
	bool gone = false, refused = false;
	enum err err;

	if (!connection_path_id(rq, rp, &id))
		return;
	err = forget(rq, id, &gone);
	if (!err && !gone)
		err = refuse_active(rq, rp, id, &refused);
	if (!err && refused)
		return;
	if (!err && with_records)
		err = purge(rq, id, &p);
	if (err)
		reply_err(rp, rq, err);
	else if (!gone && p.removed == 0)
		reply_problem(
		    rp, rq, 404, "not_found", "There is no such connection.");
	else
		answer(rp, id, &p);
}
