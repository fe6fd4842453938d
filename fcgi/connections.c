/* connections.c - a user's connected accounts; their secrets only go in. */
#include "fcgi/connections.h"
#include "fcgi/resources.h"
#include "shared/json.h"

#include <stdlib.h>
#include <string.h>

static json_object *
parsed(const char *text)
{
	json_object *o = NULL;

	if (!text || json_read(text, strlen(text), 32, &o, NULL))
		return NULL;
	return o;
}

static json_object *
row_json(const PGresult *res, int row)
{
	static const struct {
		const char *key, *column;
	} texts[] = {
		{ "connectionId", "connection_id" },
		{ "provider", "provider" },
		{ "label", "label" },
		{ "status", "status" },
		{ "sellerId", "account_id" },
		{ "region", "region" },
	};
	json_object *o = json_object_new_object();

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		json_put_text(
		    o, texts[i].key, result_text(res, row, texts[i].column));
	json_put_bool(o, "isDefault", result_bool(res, row, "is_default"));
	json_put_object(
	    o, "marketplaces", parsed(result_text(res, row, "marketplaces")));
	json_put_object(
	    o, "settings", parsed(result_text(res, row, "settings")));
	json_put_text(o, "createdAt", result_text(res, row, "created_text"));
	json_put_text(o, "updatedAt", result_text(res, row, "updated_text"));
	return o;
}

void
connection_list(struct req *rq, struct reply *rp)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	json_object *o, *list;
	enum err err = db_run(rq->db, STMT_CONNECTION_LIST, &res,
	    arg_text(rq->who.user), arg_null());

	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	o = json_object_new_object();
	list = json_object_new_array();
	for (int i = 0; i < PQntuples(res); i++)
		json_object_array_add(list, row_json(res, i));
	json_put_bool(o, "success", true);
	json_put_object(o, "connections", list);
	reply_json(rp, 200, o);
}

static void
not_found(const struct req *rq, struct reply *rp)
{
	reply_problem(rp, rq, 404, "not_found", "There is no such connection.");
}

static void
show(struct req *rq, struct reply *rp, const char *id, int status)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	json_object *o;
	enum err err = db_run(rq->db, STMT_CONNECTION_LIST, &res,
	    arg_text(rq->who.user), arg_text(id));

	if (err) {
		reply_err(rp, rq, err);
		return;
	}
	if (PQntuples(res) == 0) {
		not_found(rq, rp);
		return;
	}
	o = row_json(res, 0);
	json_put_bool(o, "success", true);
	reply_json(rp, status, o);
}

void
connection_show(struct req *rq, struct reply *rp)
{
	const char *id;

	if (connection_path_id(rq, rp, &id))
		show(rq, rp, id, 200);
}

/* --- PUT -------------------------------------------------------------- */

/* False: the connection is new and its provider needs a token; rp says so. */
static bool
token_on_file(struct req *rq, struct reply *rp, const char *id)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum err err = db_run(rq->db, STMT_CONNECTION_LIST, &res,
	    arg_text(rq->who.user), arg_text(id));

	if (err) {
		reply_err(rp, rq, err);
		return false;
	}
	if (PQntuples(res) > 0)
		return true;
	json_put_text(
	    reply_problem(rp, rq, 400, "invalid_field",
		"The field refreshToken is required for a new connection."),
	    "field", "refreshToken");
	return false;
}

/* The sealed token in PostgreSQL's hex form; the caller frees it. */
static bool
seal_token(struct req *rq, struct reply *rp, const char *id, const char *token,
    char **ret)
{
	const struct vault_context ctx = {
		.user = rq->who.user, .connection = id, .field = "refresh_token"
	};
	CLEANUP(vault_bytes_wipe) struct vault_bytes sealed = { .data = NULL };
	enum err err;

	if (!rq->vault) {
		reply_problem(rp, rq, 503, "secrets_unavailable",
		    "This installation cannot keep secrets yet: its operator "
		    "has set no key for them.");
		return false;
	}
	err = vault_seal(rq->vault, &ctx, token, strlen(token), &sealed);
	if (!err) {
		*ret = bytea_hex(sealed.data, sealed.len);
		if (!*ret)
			err = ERR_NOMEM;
	}
	if (err)
		reply_err(rp, rq, err);
	return !err;
}

static enum err
store(struct req *rq, const char *id, const struct connection_form *f,
    const char *sealed, bool *ret_created)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum err err = db_run(rq->db, STMT_CONNECTION_PUT, &res,
	    arg_text(rq->who.user), arg_text(id), arg_text(f->provider->name),
	    arg_text(f->label), f->is_default, arg_text(f->seller_id),
	    arg_text(f->region), arg_text(f->marketplaces),
	    arg_text(f->settings), arg_text(sealed));

	if (!err)
		*ret_created = result_bool(res, 0, "created");
	return err;
}

void
connection_put(struct req *rq, struct reply *rp)
{
	CLEANUP(connection_form_fini) struct connection_form f = { 0 };
	char *sealed = NULL;
	const char *id;
	bool created;
	enum err err;

	if (!connection_path_id(rq, rp, &id) ||
	    !connection_form_read(&f, rq, rp))
		return;
	if (f.token) {
		if (!seal_token(rq, rp, id, f.token, &sealed))
			return;
	} else if (f.provider->needs_token && !token_on_file(rq, rp, id)) {
		return;
	}
	err = store(rq, id, &f, sealed, &created);
	free(sealed);
	if (err)
		reply_err(rp, rq, err);
	else
		show(rq, rp, id, created ? 201 : 200);
}
