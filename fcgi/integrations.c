/* integrations.c - what a user has connected, and how the last sync went. */
#include "fcgi/provider.h"
#include "fcgi/resources.h"
#include "fcgi/sync_json.h"
#include "shared/json.h"

#include <string.h>

static json_object *
provider_json(const struct provider *p, const PGresult *res, bool *ret_on)
{
	json_object *o = json_object_new_object();
	int known = 0, connected = 0;

	for (int i = 0; i < PQntuples(res); i++) {
		if (strcmp(result_text(res, i, "provider"), p->name) != 0)
			continue;
		known++;
		connected +=
		    strcmp(result_text(res, i, "status"), "connected") == 0;
	}
	json_put_text(o, "provider", p->name);
	json_put_bool(o, "connected", connected > 0);
	json_put_i64(o, "connections", known);
	*ret_on = connected > 0;
	return o;
}

void
integrations_status(struct req *rq, struct reply *rp)
{
	CLEANUP(result_clearp) PGresult *conns = NULL;
	CLEANUP(result_clearp) PGresult *last = NULL;
	json_object *o, *list;
	size_t n;
	const struct provider *providers = provider_table(&n);
	bool on, amazon = false;
	enum err err = db_pipe_start(rq->db, false);

	if (!err) {
		db_pipe_run(rq->db, STMT_CONNECTION_LIST, &conns,
		    arg_text(rq->who.user), arg_null());
		db_pipe_run(
		    rq->db, STMT_SYNC_LATEST, &last, arg_text(rq->who.user));
		err = db_pipe_end(rq->db);
	}
	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	list = json_object_new_array();
	for (size_t i = 0; i < n; i++) {
		json_object_array_add(
		    list, provider_json(&providers[i], conns, &on));
		amazon |= on && strcmp(providers[i].name, "spapi") == 0;
	}
	o = json_object_new_object();
	json_put_bool(o, "success", true);
	json_put_bool(o, "amazon_connected", amazon);
	json_put_bool(o, "docs_connected", false);
	json_put_object(o, "lastSync",
	    PQntuples(last) > 0 ? sync_json(last, 0, sync_words_of(rq)) : NULL);
	json_put_object(o, "providers", list);
	reply_json(rp, 200, o);
}
