/* results.c - a sync's counts beside what the tables say when counted anew. */
#include "fcgi/resources.h"

#include "fcgi/sync_id.h"
#include "fcgi/sync_json.h"
#include "shared/json.h"

#include <string.h>

/* The tables that know which sync brought a row; names as in `streams`. */
static const char *const counted[] = { "orders", "order_items", "inventory",
	"transactions" };

enum verdict { VERDICT_TRUE, VERDICT_UNKNOWN, VERDICT_FALSE };

/* Everything in one message: the counts, and whether they can still tell. */
static enum err
count(struct req *rq, const char *id, PGresult **ret,
    PGresult *removed[COUNT_OF(counted)])
{
	enum err err = db_pipe_start(rq->db, false);

	if (err)
		return err;
	db_pipe_run(rq->db, STMT_SYNC_RESULTS, ret, arg_text(rq->who.user),
	    arg_text(id));
	for (size_t i = 0; i < COUNT_OF(counted); i++)
		db_pipe_run(rq->db, STMT_SYNC_REMOVED_SINCE, &removed[i],
		    arg_text(rq->who.user), arg_text(id), arg_text(counted[i]));
	return db_pipe_end(rq->db);
}

static size_t
table_of(const char *stream)
{
	for (size_t i = 0; i < COUNT_OF(counted); i++) {
		if (strcmp(counted[i], stream) == 0)
			return i;
	}
	return COUNT_OF(counted);
}

static enum verdict
verify_stream(json_object *stream, const PGresult *res, PGresult **removed)
{
	size_t i = table_of(json_text(stream, "name"));
	int64_t told = json_i64(stream, "inserted", -1);

	if (i == COUNT_OF(counted) || told < 0 ||
	    result_bool(removed[i], 0, "removed"))
		return VERDICT_UNKNOWN;
	return result_i64(res, 0, counted[i]) == told ? VERDICT_TRUE
						      : VERDICT_FALSE;
}

static bool
is_told(json_object *streams, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(streams); i++) {
		json_object *s = json_object_array_get_idx(streams, i);

		if (strcmp(json_text(s, "name"), name) == 0)
			return true;
	}
	return false;
}

static enum verdict
verify(json_object *streams, const PGresult *res, PGresult **removed)
{
	enum verdict verdict = VERDICT_TRUE;

	/* rows of a stream that the sync does not tell of are wrong too */
	for (size_t i = 0; i < COUNT_OF(counted); i++) {
		if (result_i64(res, 0, counted[i]) > 0 &&
		    !is_told(streams, counted[i]))
			verdict = VERDICT_FALSE;
	}

	for (size_t i = 0; i < json_object_array_length(streams); i++) {
		enum verdict v = verify_stream(
		    json_object_array_get_idx(streams, i), res, removed);

		if (v > verdict)
			verdict = v;
	}
	return verdict;
}

static json_object *
counted_json(const PGresult *res)
{
	json_object *o = json_object_new_object();

	for (size_t i = 0; i < COUNT_OF(counted); i++)
		json_put_i64(o, counted[i], result_i64(res, 0, counted[i]));
	json_put_i64(o, "claims", result_i64(res, 0, "claims"));
	return o;
}

static void
answer(
    struct req *rq, struct reply *rp, const PGresult *res, PGresult **removed)
{
	json_object *o = json_object_new_object();
	json_object *streams =
	    sync_streams_json(result_text(res, 0, "streams"));
	enum verdict verdict = verify(streams, res, removed);

	json_put_bool(o, "success", true);
	json_put_text(o, "syncId", result_text(res, 0, "sync_id"));
	json_put_text(o, "connectionId", result_text(res, 0, "connection_id"));
	sync_put_words(o, result_text(res, 0, "status"), sync_words_of(rq));
	json_put_object(o, "streams", streams);
	json_put_object(o, "counted", counted_json(res));
	json_put_object(o, "verified",
	    verdict == VERDICT_UNKNOWN
		? NULL
		: json_object_new_boolean(verdict == VERDICT_TRUE));
	reply_json(rp, 200, o);
}

void
sync_results(struct req *rq, struct reply *rp)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	PGresult *removed[COUNT_OF(counted)] = { NULL };
	const char *id;
	enum err err;

	if (!sync_id_required(rq, rp, &id))
		return;
	err = count(rq, id, &res, removed);
	if (err)
		reply_err(rp, rq, err);
	else if (PQntuples(res) == 0)
		reply_sync_not_found(rp, rq);
	else
		answer(rq, rp, res, removed);
	for (size_t i = 0; i < COUNT_OF(removed); i++)
		PQclear(removed[i]);
}
