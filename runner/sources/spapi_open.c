/* spapi_open.c - what a source knows before its first step. */
#include "runner/sources/spapi.h"

#include "runner/sources/failure.h"
#include "shared/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct spapi_names spapi_names[STREAM__MAX] = {
	[STREAM_ORDERS] = { "orders", "order_items" },
	[STREAM_INVENTORY] = { "inventory", NULL },
	[STREAM_TRANSACTIONS] = { "transactions", NULL },
};

void
spapi_close(struct source *s)
{
	if (!s)
		return;
	lwa_fini(&s->lwa);
	json_object_put(s->marketplaces);
	json_object_put(s->cursors);
	json_object_put(s->checkpoint);
	json_object_put(s->pending);
	free(s->sync_id);
	free(s->user_id);
	free(s->connection_id);
	free(s->request_id);
	free(s->account);
	free(s);
}

static bool
is_wanted(json_object *wanted, const struct spapi_names *m)
{
	if (!json_object_is_type(wanted, json_type_array))
		return true;
	for (size_t i = 0; i < json_object_array_length(wanted); i++) {
		const char *name = json_object_get_string(
		    json_object_array_get_idx(wanted, i));

		if (name && (strcmp(name, m->name) == 0 ||
			(m->child && strcmp(name, m->child) == 0)))
			return true;
	}
	return false;
}

static enum err
copy_spec(struct source *s, const struct source_spec *spec)
{
	s->sync_id = strdup(spec->sync_id);
	s->user_id = strdup(spec->user_id);
	s->connection_id = strdup(spec->connection_id);
	s->request_id = strdup(spec->request_id ? spec->request_id : "");
	s->full = spec->full;
	s->started_at_ms = spec->started_at_ms;
	s->cursors = json_object_new_object();
	if (!s->sync_id || !s->user_id || !s->connection_id ||
	    !s->request_id || !s->cursors)
		return ERR_NOMEM;
	s->lwa = (struct lwa){ .user = s->user_id,
		.connection = s->connection_id, .clock = &s->clock };
	if (!spec->checkpoint)
		s->checkpoint = json_object_new_object();
	else if (json_object_deep_copy(
		     spec->checkpoint, &s->checkpoint, NULL) != 0)
		s->checkpoint = NULL;
	return s->checkpoint ? ERR_OK : ERR_NOMEM;
}

static enum err
choose_streams(struct source *s, json_object *wanted, struct failure *why)
{
	bool any = false;

	for (int i = 0; i < STREAM__MAX; i++) {
		s->runs[i].wanted = is_wanted(wanted, &spapi_names[i]);
		any |= s->runs[i].wanted;
	}
	if (any)
		return ERR_OK;
	failure_say(why, FAILURE_PERMANENT, "stream_unknown",
	    "None of the streams asked for exists.");
	return ERR_INVAL;
}

static const char *
endpoint(const struct step_env *env, const char *region)
{
	static const struct {
		const char *region, *url;
	} regions[] = {
		{ "na", "https://sellingpartnerapi-na.amazon.com" },
		{ "eu", "https://sellingpartnerapi-eu.amazon.com" },
		{ "fe", "https://sellingpartnerapi-fe.amazon.com" },
	};

	if (env->settings->spapi_endpoint[0] != '\0')
		return env->settings->spapi_endpoint;
	for (size_t i = 0; i < COUNT_OF(regions); i++) {
		if (region && strcmp(regions[i].region, region) == 0)
			return regions[i].url;
	}
	return regions[0].url;
}

static enum err
load_connection(struct source *s, const struct step_env *env,
    struct failure *why)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	const char *account, *markets;
	enum err err;

	err = db_run(env->db, STMT_CONNECTION_LOAD, &res,
	    arg_text(s->user_id), arg_text(s->connection_id));
	if (err)
		return err;
	if (PQntuples(res) == 0 ||
	    strcmp(result_text(res, 0, "status"), "disconnected") == 0) {
		failure_say(why, FAILURE_RECONNECT, "not_connected",
		    "The account is not connected any more.");
		return ERR_PEER;
	}
	s->base = endpoint(env, result_text(res, 0, "region"));
	/* Amazon's budgets are per seller, however often connected */
	account = result_text(res, 0, "account_id");
	if (asprintf(&s->account, "%s %s", account ? account : s->user_id,
		account ? "" : s->connection_id) < 0) {
		s->account = NULL;
		return ERR_NOMEM;
	}
	markets = result_text(res, 0, "marketplaces");
	return json_read(markets, strlen(markets), 4, &s->marketplaces, NULL);
}

static enum err
load_cursors(struct source *s, const struct step_env *env)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum err err;

	err = db_run(env->db, STMT_STREAM_STATE_LOAD, &res,
	    arg_text(s->user_id), arg_text(s->connection_id));
	for (int i = 0; !err && i < PQntuples(res); i++) {
		const char *text = result_text(res, i, "cursor");
		json_object *cursor;

		err = json_read(text, strlen(text), 32, &cursor, NULL);
		if (!err)
			json_put_object(s->cursors,
			    result_text(res, i, "stream"), cursor);
	}
	return err;
}

enum err
spapi_open(struct source **ret, const struct source_spec *spec,
    const struct step_env *env, struct failure *why)
{
	struct source *s = calloc(1, sizeof *s);
	enum err err;

	if (!s)
		return ERR_NOMEM;
	err = copy_spec(s, spec);
	if (!err)
		err = choose_streams(s, spec->wanted, why);
	if (!err)
		err = load_connection(s, env, why);
	if (!err)
		err = load_cursors(s, env);
	if (err)
		spapi_close(s);
	else
		*ret = s;
	return err;
}

int64_t
source_mark(const struct source *s, const char *stream)
{
	const char *high = json_text(json_member(s->cursors, stream), "high");
	int64_t ms;

	return !s->full && high && window_parse(high, &ms) ? ms : -1;
}

int64_t
source_first(const struct source *s, const struct step_env *env, int64_t hi)
{
	(void)s;
	return hi - env->settings->first_sync_days * DAY_MS;
}
