/* message.c - JSON in, JSON out, each member checked. */
#include "shared/message.h"
#include "shared/json.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH 8
#define ID_MAX 128

static const char *const ops[MESSAGE__MAX] = {
	[MESSAGE_PING] = "ping",
	[MESSAGE_START] = "start",
	[MESSAGE_CANCEL] = "cancel",
};

static enum err
encode(json_object *o, char **ret, size_t *ret_len)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
	    o, JSON_C_TO_STRING_PLAIN, &len);
	char *copy;

	if (!text)
		return ERR_NOMEM;
	if (len > MESSAGE_MAX)
		return ERR_TOO_LARGE;
	copy = malloc(len + 1);
	if (!copy)
		return ERR_NOMEM;
	memcpy(copy, text, len + 1);
	*ret = copy;
	*ret_len = len;
	return ERR_OK;
}

static void
put_if(json_object *o, const char *key, const char *text)
{
	if (text)
		json_put_text(o, key, text);
}

enum err
message_request_encode(
    const struct message_request *rq, char **ret, size_t *ret_len)
{
	CLEANUP(json_clearp) json_object *o = NULL;
	json_object *ids;

	if ((unsigned)rq->op >= MESSAGE__MAX)
		return ERR_INVAL;
	if (rq->n_sync_ids > MESSAGE_IDS_MAX)
		return ERR_TOO_LARGE;
	o = json_object_new_object();
	if (!o)
		return ERR_NOMEM;
	json_put_i64(o, "v", MESSAGE_VERSION);
	json_put_text(o, "op", ops[rq->op]);
	put_if(o, "requestId", rq->request_id);
	put_if(o, "userId", rq->user_id);
	put_if(o, "syncId", rq->sync_id);
	if (rq->n_sync_ids > 0) {
		ids = json_object_new_array();
		for (size_t i = 0; i < rq->n_sync_ids; i++)
			json_object_array_add(
			    ids, json_object_new_string(rq->sync_ids[i]));
		json_put_object(o, "syncIds", ids);
	}
	return encode(o, ret, ret_len);
}

enum err
message_reply_encode(
    const struct message_reply *rp, char **ret, size_t *ret_len)
{
	CLEANUP(json_clearp) json_object *o = json_object_new_object();

	if (!o)
		return ERR_NOMEM;
	json_put_i64(o, "v", MESSAGE_VERSION);
	json_put_bool(o, "ok", rp->ok);
	put_if(o, "code", rp->code);
	put_if(o, "status", rp->status);
	put_if(o, "text", rp->text);
	put_if(o, "runnerId", rp->runner_id);
	put_if(o, "name", rp->name);
	put_if(o, "version", rp->version);
	if (rp->runner_id)
		json_put_i64(o, "active", rp->active);
	return encode(o, ret, ret_len);
}

static enum err
decode(const char *buf, size_t len, json_object **ret)
{
	json_object *o;

	if (len > MESSAGE_MAX)
		return ERR_TOO_LARGE;
	if (json_read(buf, len, DEPTH, &o, NULL))
		return ERR_INVAL;
	if (json_i64(o, "v", 0) < 1) {
		json_object_put(o);
		return ERR_INVAL;
	}
	*ret = o;
	return ERR_OK;
}

static bool
is_id(const char *text)
{
	return text && *text != '\0' && strlen(text) <= ID_MAX;
}

static enum err
decode_ids(const json_object *o, struct message_request *rq)
{
	json_object *ids = json_member(o, "syncIds");
	size_t n;

	if (!ids)
		return ERR_OK;
	if (!json_object_is_type(ids, json_type_array))
		return ERR_INVAL;
	n = json_object_array_length(ids);
	if (n > MESSAGE_IDS_MAX)
		return ERR_INVAL;
	for (size_t i = 0; i < n; i++) {
		json_object *id = json_object_array_get_idx(ids, i);

		if (!json_object_is_type(id, json_type_string) ||
		    !is_id(json_object_get_string(id)))
			return ERR_INVAL;
		rq->sync_ids[i] = json_object_get_string(id);
	}
	rq->n_sync_ids = n;
	return ERR_OK;
}

enum err
message_request_decode(
    const char *buf, size_t len, struct message_request *ret)
{
	struct message_request rq = { .op = MESSAGE__MAX };
	json_object *o;
	const char *op;
	enum err err = decode(buf, len, &o);

	if (err)
		return err;
	op = json_text(o, "op");
	for (unsigned i = 0; op && i < MESSAGE__MAX; i++) {
		if (strcmp(op, ops[i]) == 0)
			rq.op = (enum message_op)i;
	}
	rq.owner = o;
	rq.request_id = json_text(o, "requestId");
	rq.user_id = json_text(o, "userId");
	rq.sync_id = json_text(o, "syncId");
	err = op ? decode_ids(o, &rq) : ERR_INVAL;
	if (!err && rq.op == MESSAGE_CANCEL &&
	    (!is_id(rq.user_id) || !is_id(rq.sync_id)))
		err = ERR_INVAL;
	if (err) {
		json_object_put(o);
		return err;
	}
	*ret = rq;
	return ERR_OK;
}

enum err
message_reply_decode(const char *buf, size_t len, struct message_reply *ret)
{
	json_object *o;
	enum err err = decode(buf, len, &o);

	if (err)
		return err;
	*ret = (struct message_reply){
		.ok = json_flag(o, "ok", false),
		.code = json_text(o, "code"),
		.status = json_text(o, "status"),
		.text = json_text(o, "text"),
		.runner_id = json_text(o, "runnerId"),
		.name = json_text(o, "name"),
		.version = json_text(o, "version"),
		.active = json_i64(o, "active", 0),
		.owner = o,
	};
	return ERR_OK;
}

void
message_request_fini(struct message_request *rq)
{
	json_object_put(rq->owner);
	rq->owner = NULL;
}

void
message_reply_fini(struct message_reply *rp)
{
	json_object_put(rp->owner);
	rp->owner = NULL;
}
