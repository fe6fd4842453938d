/* start_options.c - one function per field of the start request's body. */
#include "fcgi/start_options.h"

#include "fcgi/sync_id.h"
#include "fcgi/sync_json.h"
#include "shared/json.h"

#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX 32

/* The streams a sync can be asked for by name. */
static const char *const streams[] = { "orders", "inventory", "transactions" };

static const char *const modes[] = { "incremental", "full" };

void
reply_field(struct reply *rp, const struct req *rq, const char *field,
    const char *sentence)
{
	json_object *o = reply_problem(rp, rq, 400, "invalid_field", sentence);

	json_put_text(o, "field", field);
}

/* The entry of a closed list that equals word, NULL when there is none. */
static const char *
one_of(const char *const *list, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i], word) == 0)
			return list[i];
	}
	return NULL;
}

static bool
read_connection(const struct req *rq, struct reply *rp, json_object *v,
    struct start_options *o)
{
	const char *text = json_object_is_type(v, json_type_string)
	    ? json_object_get_string(v)
	    : NULL;

	if (!text || !sync_id_valid(text)) {
		reply_field(rp, rq, "connectionId",
		    "The field connectionId must be a text of 1 to 128 "
		    "characters.");
		return false;
	}
	o->connection_id = text;
	return true;
}

static bool
read_priority(const struct req *rq, struct reply *rp, json_object *v,
    struct start_options *o)
{
	if (!json_object_is_type(v, json_type_string) ||
	    priority_parse(json_object_get_string(v), &o->priority)) {
		reply_field(rp, rq, "priority",
		    "The field priority must be low, normal, high or urgent.");
		return false;
	}
	if (o->priority > PRIORITY_NORMAL && !rq->who.admin) {
		json_object *p =
		    reply_problem(rp, rq, 403, "priority_not_allowed",
			"Only an administrator may start a sync with this "
			"priority.");

		json_put_text(p, "field", "priority");
		return false;
	}
	return true;
}

static bool
read_mode(const struct req *rq, struct reply *rp, json_object *v,
    struct start_options *o)
{
	const char *mode = json_object_is_type(v, json_type_string)
	    ? one_of(modes, COUNT_OF(modes), json_object_get_string(v))
	    : NULL;

	if (!mode) {
		reply_field(rp, rq, "mode",
		    "The field mode must be incremental or full.");
		return false;
	}
	o->mode = mode;
	return true;
}

static bool
read_rerun(const struct req *rq, struct reply *rp, json_object *v,
    struct start_options *o)
{
	if (!json_object_is_type(v, json_type_boolean)) {
		reply_field(
		    rp, rq, "rerun", "The field rerun must be true or false.");
		return false;
	}
	o->rerun = json_object_get_boolean(v);
	return true;
}

/* Fills names with the known ones of the list, each once; 0: a bad list. */
static size_t
stream_names(json_object *v, const char *names[COUNT_OF(streams)])
{
	size_t n = 0, len;

	if (!json_object_is_type(v, json_type_array))
		return 0;
	len = json_object_array_length(v);
	if (len > STREAMS_MAX)
		return 0;
	for (size_t i = 0; i < len; i++) {
		json_object *item = json_object_array_get_idx(v, i);
		const char *name;

		if (!json_object_is_type(item, json_type_string))
			return 0;
		name = one_of(
		    streams, COUNT_OF(streams), json_object_get_string(item));
		if (!name)
			return 0;
		if (!one_of(names, n, name))
			names[n++] = name;
	}
	return n;
}

static bool
read_streams(const struct req *rq, struct reply *rp, json_object *v,
    struct start_options *o)
{
	const char *names[COUNT_OF(streams)];
	size_t n = stream_names(v, names);

	if (n == 0) {
		reply_field(rp, rq, "streams",
		    "The field streams must be a list of 1 to 32 names out of "
		    "orders, inventory and transactions.");
		return false;
	}
	o->streams = array_text(names, n);
	if (!o->streams)
		reply_err(rp, rq, ERR_NOMEM);
	return o->streams != NULL;
}

static const struct {
	const char *name;
	bool (*read)(const struct req *rq, struct reply *rp, json_object *v,
	    struct start_options *o);
} fields[] = {
	{ "connectionId", read_connection },
	{ "priority", read_priority },
	{ "mode", read_mode },
	{ "rerun", read_rerun },
	{ "streams", read_streams },
};

bool
start_options_read(
    const struct req *rq, struct reply *rp, struct start_options *ret)
{
	struct start_options o = { .priority = PRIORITY_NORMAL,
		.mode = modes[0] };

	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		json_object *v = json_member(rq->body, fields[i].name);

		/* null is as good as absent */
		if (v && !fields[i].read(rq, rp, v, &o)) {
			start_options_fini(&o);
			return false;
		}
	}
	*ret = o;
	return true;
}

void
start_options_fini(struct start_options *o)
{
	free(o->streams);
	o->streams = NULL;
}
