/* bulk.c - starts syncs for many users, some hundreds a transaction. */
#include "fcgi/resources.h"

#include "fcgi/runner_client.h"
#include "fcgi/start_options.h"
#include "fcgi/sync_id.h"
#include "shared/json.h"

#include <stdlib.h>
#include <string.h>

#define USERS_MAX 100000
#define CHUNK_MAX 250 /* users a transaction, and ids a hint */
#define ROUNDS_MAX 3

/* Users of one transaction; told ones leave it. */
struct chunk {
	const char *users[CHUNK_MAX]; /* borrowed from the results' keys */
	size_t n;
};

/* --- what is told of each user --------------------------------------- */

static void
tell(json_object *results, const char *user, const char *key, const char *text)
{
	json_put_text(json_member(results, user), key, text);
}

static bool
is_told(json_object *results, const char *user)
{
	json_object *o = json_member(results, user);

	return json_member(o, "syncId") || json_member(o, "error");
}

static void
drop_told(struct chunk *c, json_object *results)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (!is_told(results, c->users[i]))
			c->users[kept++] = c->users[i];
	}
	c->n = kept;
}

static void
tell_rest(const struct chunk *c, json_object *results, const char *error)
{
	for (size_t i = 0; i < c->n; i++) {
		if (!is_told(results, c->users[i]))
			tell(results, c->users[i], "error", error);
	}
}

/* --- the database ----------------------------------------------------- */

/* New ids for the chunk, as an array literal; the caller frees it. */
static enum err
new_ids(const struct chunk *c, char **ret)
{
	char ids[CHUNK_MAX][SYNC_ID_SIZE];
	const char *items[CHUNK_MAX];

	for (size_t i = 0; i < c->n; i++) {
		enum err err = sync_id_new(ids[i]);

		if (err)
			return err;
		items[i] = ids[i];
	}
	*ret = array_text(items, c->n);
	return *ret ? ERR_OK : ERR_NOMEM;
}

static void
free_text(char **text)
{
	free(*text);
}

static void
tell_started(struct req *rq, json_object *results, const PGresult *res)
{
	const char *ids[CHUNK_MAX];
	int n = PQntuples(res);

	for (int i = 0; i < n; i++) {
		ids[i] = result_text(res, i, "sync_id");
		tell(results, result_text(res, i, "user_id"), "syncId", ids[i]);
	}
	if (n > 0)
		runner_hint(rq->runners, rq->request_id, ids, (size_t)n);
}

/* Why one user got none.  Nothing is told where the next round may help. */
static enum err
tell_why(struct req *rq, json_object *results, const PGresult *why, int row)
{
	const char *user = result_text(why, row, "user_id");
	const char *picked = result_text(why, row, "picked");
	const char *active = result_text(why, row, "active_id");
	const char *by = result_text(why, row, "active_request_id");

	if (result_i64(why, row, "connections") == 0)
		tell(results, user, "error", "not_connected");
	else if (!picked)
		tell(results, user, "error", "connection_required");
	else if (active && by && strcmp(by, rq->request_id) == 0)
		tell(results, user, "syncId", active); /* asked before */
	else if (active && result_bool(why, row, "stale"))
		return db_run(rq->db, STMT_SYNC_ABANDON, NULL, arg_text(user),
		    arg_text(picked), arg_i64(rq->settings->stale_after_s));
	else if (active) {
		tell(results, user, "error", "sync_in_progress");
		tell(results, user, "existingSyncId", active);
	}
	return ERR_OK;
}

static enum err
start_round(struct req *rq, struct chunk *c, json_object *results)
{
	CLEANUP(result_clearp) PGresult *made = NULL, *why = NULL;
	CLEANUP(free_text) char *ids = NULL;
	CLEANUP(free_text) char *users = array_text(c->users, c->n);
	CLEANUP(free_text) char *rest = NULL;
	enum err err = users ? new_ids(c, &ids) : ERR_NOMEM;

	if (!err)
		err = db_run(rq->db, STMT_SYNC_START_BULK, &made, arg_text(ids),
		    arg_text(users), arg_i64(PRIORITY_NORMAL),
		    arg_text(rq->request_id),
		    arg_i64(rq->settings->retry_attempts));
	if (err)
		return err == ERR_DB_RETRY ? ERR_OK : err;
	tell_started(rq, results, made);
	drop_told(c, results);
	if (c->n == 0)
		return ERR_OK;
	rest = array_text(c->users, c->n);
	if (!rest)
		return ERR_NOMEM;
	err = db_run(rq->db, STMT_SYNC_START_BULK_WHY, &why, arg_text(rest),
	    arg_i64(rq->settings->stale_after_s));
	for (int i = 0; !err && i < PQntuples(why); i++)
		err = tell_why(rq, results, why, i);
	drop_told(c, results);
	return err;
}

static enum err
start_chunk(struct req *rq, struct chunk *c, json_object *results)
{
	enum err err = ERR_OK;

	for (int i = 0; i < ROUNDS_MAX && c->n > 0 && !err; i++)
		err = start_round(rq, c, results);
	tell_rest(c, results, err ? "unavailable" : "busy");
	c->n = 0;
	return err;
}

/*
 * A failure of the first chunk is the answer; later ones are told per user,
 * since what came before them is committed.
 */
static enum err
start_all(struct req *rq, json_object *results)
{
	size_t left = (size_t)json_object_object_length(results);
	struct chunk c = { .n = 0 };
	bool first = true;
	enum err err = ERR_OK;

	json_object_object_foreach(results, user, result)
	{
		(void)result;
		c.users[c.n++] = user;
		left--;
		if (c.n < CHUNK_MAX && left > 0)
			continue;
		if (err)
			tell_rest(&c, results, "unavailable");
		else
			err = start_chunk(rq, &c, results);
		if (err && first)
			return err;
		c.n = 0;
		first = false;
	}
	return ERR_OK;
}

/* --- the request ------------------------------------------------------ */

/* One empty result per user, in the order asked; NULL: answered. */
static json_object *
read_users(const struct req *rq, struct reply *rp)
{
	json_object *list = json_member(rq->body, "userIds");
	json_object *results;
	size_t n = json_object_is_type(list, json_type_array)
	    ? json_object_array_length(list)
	    : 0;

	if (n == 0 || n > USERS_MAX) {
		reply_field(rp, rq, "userIds",
		    "The field userIds must be a list of 1 to 100000 users.");
		return NULL;
	}
	results = json_object_new_object();
	for (size_t i = 0; i < n; i++) {
		json_object *v = json_object_array_get_idx(list, i), *o;
		const char *user = json_object_is_type(v, json_type_string)
		    ? json_object_get_string(v)
		    : "";

		if (!identity_user_valid(user, strlen(user))) {
			reply_field(rp, rq, "userIds",
			    "Each entry of userIds must be a text of 1 to 128 "
			    "characters.");
			json_object_put(results);
			return NULL;
		}
		if (json_member(results, user))
			continue;
		o = json_object_new_object();
		json_put_text(o, "userId", user);
		json_put_object(results, user, o);
	}
	return results;
}

/* Written before the first start: what follows has its entry. */
static enum err
audit(struct req *rq, json_object *results)
{
	CLEANUP(json_clearp) json_object *data = json_object_new_object();

	json_put_i64(data, "users", json_object_object_length(results));
	json_put_text(data, "requestId", rq->request_id);
	return db_run(rq->db, STMT_AUDIT_ADD, NULL, arg_text(rq->who.user),
	    arg_text("bulk_start"), arg_null(),
	    arg_text(json_object_to_json_string(data)));
}

static void
answer(struct reply *rp, json_object *results)
{
	json_object *o = json_object_new_object();
	json_object *list = json_object_new_array();
	int64_t started = 0, refused = 0;

	json_object_object_foreach(results, user, result)
	{
		(void)user;
		if (json_member(result, "syncId"))
			started++;
		else
			refused++;
		json_object_array_add(list, json_object_get(result));
	}
	json_put_bool(o, "success", true);
	json_put_object(o, "results", list);
	json_put_i64(o, "started", started);
	json_put_i64(o, "refused", refused);
	reply_json(rp, 200, o);
}

void
queue_bulk(struct req *rq, struct reply *rp)
{
	CLEANUP(json_clearp) json_object *results = read_users(rq, rp);
	enum err err;

	if (!results)
		return;
	err = audit(rq, results);
	if (!err)
		err = start_all(rq, results);
	if (err)
		reply_err(rp, rq, err);
	else
		answer(rp, results);
}
