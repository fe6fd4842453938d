/* sync_json.c - one table of members turns a row into the sync object. */
#include "fcgi/sync_json.h"

#include "shared/json.h"

#include <stdlib.h>
#include <string.h>

/* What a member of the sync object is made of. */
enum kind {
	KIND_TEXT,     /* a column's text */
	KIND_INT,      /* a column's integer, null for NULL */
	KIND_NUMBER,   /* a column's number, exact, null for NULL */
	KIND_PRIORITY, /* a column's number as its word */
	KIND_DISTINCT, /* distinct records of the stream named `from` */
	KIND_TOTAL,    /* what the source says the stream `from` holds */
	KIND_NULL      /* not known yet */
};

static const struct {
	const char *name;
	enum kind kind;
	const char *from;
} members[] = {
	{ "syncId", KIND_TEXT, "sync_id" },
	{ "userId", KIND_TEXT, "user_id" },
	{ "connectionId", KIND_TEXT, "connection_id" },
	{ "provider", KIND_TEXT, "provider" },
	{ "progress", KIND_NUMBER, "progress" },
	{ "message", KIND_TEXT, "message" },
	{ "startedAt", KIND_TEXT, "started_text" },
	{ "completedAt", KIND_TEXT, "completed_text" },
	{ "duration", KIND_NUMBER, "duration" },
	{ "estimatedCompletion", KIND_NULL, NULL },
	{ "queuePosition", KIND_INT, "queue_position" },
	{ "priority", KIND_PRIORITY, "priority" },
	{ "attempt", KIND_INT, "attempt" },
	{ "maxAttempts", KIND_INT, "max_attempts" },
	{ "nextRetryAt", KIND_TEXT, "next_retry_text" },
	{ "retryOf", KIND_TEXT, "retry_of" },
	{ "ordersProcessed", KIND_DISTINCT, "orders" },
	{ "totalOrders", KIND_TOTAL, "orders" },
	{ "inventoryCount", KIND_DISTINCT, "inventory" },
	{ "shipmentsCount", KIND_DISTINCT, "shipments" },
	{ "returnsCount", KIND_DISTINCT, "returns" },
	{ "settlementsCount", KIND_DISTINCT, "settlements" },
	{ "feesCount", KIND_DISTINCT, "fees" },
	{ "claimsDetected", KIND_INT, "claims_detected" },
	{ "claimsValue", KIND_NUMBER, "claims_value" },
};

static const char *const counts[] = { "read", "inserted", "updated",
	"unchanged", "repeated", "rejected" };

static const char *const priorities[] = { "low", "normal", "high", "urgent" };

enum err
priority_parse(const char *word, int *ret)
{
	for (int i = 0; i < (int)COUNT_OF(priorities); i++) {
		if (strcmp(word, priorities[i]) == 0) {
			*ret = i;
			return ERR_OK;
		}
	}
	return ERR_INVAL;
}

const char *
priority_name(int64_t priority)
{
	return priority >= 0 && priority < (int64_t)COUNT_OF(priorities)
	    ? priorities[priority]
	    : "normal";
}

/* --- words ------------------------------------------------------------ */

enum sync_words
sync_words_of(const struct req *rq)
{
	return rq->classic && rq->settings->classic_status ? WORDS_CLASSIC
							   : WORDS_CANONICAL;
}

const char *
sync_word(enum status s, enum sync_words words)
{
	return words == WORDS_CLASSIC ? status_classic(s) : status_name(s);
}

void
sync_put_words(json_object *o, const char *stored, enum sync_words words)
{
	enum status s;

	if (status_parse(stored, &s)) {
		json_put_text(o, "status", stored);
		json_put_text(o, "state", stored);
		return;
	}
	json_put_text(o, "status", sync_word(s, words));
	json_put_text(o, "state", status_name(s));
}

/* --- streams ---------------------------------------------------------- */

/* Imported rows may hold anything: what is no object tells nothing. */
static json_object *
streams_read(const char *text)
{
	json_object *o = NULL;

	if (!text || json_read(text, strlen(text), 32, &o, NULL))
		return NULL;
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return NULL;
	}
	return o;
}

static bool
count_of(json_object *stream, const char *name, int64_t *ret)
{
	json_object *v = json_member(stream, name);

	if (!json_object_is_type(v, json_type_int))
		return false;
	*ret = json_object_get_int64(v);
	return true;
}

/*
 * read - repeated - rejected; of an imported sync only that one number is
 * known ("processed").  Null while it cannot be told.
 */
static json_object *
distinct_of(json_object *streams, const char *name)
{
	json_object *s = json_member(streams, name);
	int64_t seen, repeated, rejected;

	if (!count_of(s, "read", &seen) ||
	    !count_of(s, "repeated", &repeated) ||
	    !count_of(s, "rejected", &rejected)) {
		if (count_of(s, "processed", &seen))
			return json_object_new_int64(seen);
		return NULL;
	}
	return json_object_new_int64(seen - repeated - rejected);
}

static json_object *
total_of(json_object *streams, const char *name)
{
	int64_t total;

	return count_of(json_member(streams, name), "total", &total)
	    ? json_object_new_int64(total)
	    : NULL;
}

/* A stream on its way into the array. */
struct entry {
	const char *name; /* borrowed */
	json_object *notes;
	int64_t ord;
};

static int
by_ord(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->ord != y->ord)
		return x->ord < y->ord ? -1 : 1;
	return strcmp(x->name, y->name);
}

static json_object *
stream_json(const struct entry *e)
{
	json_object *o = json_object_new_object();

	json_put_text(o, "name", e->name);
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		int64_t n;

		json_put_object(o, counts[i],
		    count_of(e->notes, counts[i], &n) ? json_object_new_int64(n)
						      : NULL);
	}
	json_put_bool(o, "done", json_flag(e->notes, "done", false));
	return o;
}

static json_object *
streams_array(json_object *streams)
{
	json_object *list = json_object_new_array();
	struct entry *entries;
	size_t n = 0;

	if (!streams)
		return list;
	entries = calloc(
	    (size_t)json_object_object_length(streams) + 1, sizeof *entries);
	if (!entries)
		return list;
	json_object_object_foreach(streams, name, notes)
	{
		entries[n++] = (struct entry){ .name = name,
			.notes = notes,
			.ord = json_i64(notes, "ord", INT64_MAX) };
	}
	qsort(entries, n, sizeof *entries, by_ord);
	for (size_t i = 0; i < n; i++)
		json_object_array_add(list, stream_json(&entries[i]));
	free(entries);
	return list;
}

json_object *
sync_streams_json(const char *text)
{
	json_object *streams = streams_read(text);
	json_object *list = streams_array(streams);

	json_object_put(streams);
	return list;
}

/* --- the object ------------------------------------------------------- */

static json_object *
text_or_null(const char *text)
{
	return text ? json_object_new_string(text) : NULL;
}

/* The database's digits, unchanged: a double would round them. */
static json_object *
number_or_null(const char *text)
{
	return text ? json_object_new_double_s(strtod(text, NULL), text) : NULL;
}

static json_object *
member_value(size_t i, const PGresult *res, int row, json_object *streams)
{
	const char *from = members[i].from;

	switch (members[i].kind) {
	case KIND_TEXT:
		return text_or_null(result_text(res, row, from));
	case KIND_INT:
		return result_is_null(res, row, from)
		    ? NULL
		    : json_object_new_int64(result_i64(res, row, from));
	case KIND_NUMBER:
		return number_or_null(result_text(res, row, from));
	case KIND_PRIORITY:
		return json_object_new_string(
		    priority_name(result_i64(res, row, from)));
	case KIND_DISTINCT:
		return distinct_of(streams, from);
	case KIND_TOTAL:
		return total_of(streams, from);
	case KIND_NULL:
		return NULL;
	}
	return NULL;
}

/* What went wrong: the end of a failed sync, or why a running one waits. */
static json_object *
error_json(const PGresult *res, int row, bool running)
{
	const char *code = result_text(res, row, "error_code");
	const char *text = result_text(res, row, "error_message");
	json_object *o;

	if (!code && !text)
		return NULL;
	o = json_object_new_object();
	json_put_text(o, "code", code ? code : "failed");
	json_put_text(o, "message", text ? text : "The sync failed.");
	if (running)
		json_put_bool(o, "retryable", true); /* it is being retried */
	else if (result_is_null(res, row, "error_retryable"))
		json_put_null(o, "retryable");
	else
		json_put_bool(
		    o, "retryable", result_bool(res, row, "error_retryable"));
	return o;
}

void
sync_json_put(
    json_object *o, const PGresult *res, int row, enum sync_words words)
{
	json_object *streams = streams_read(result_text(res, row, "streams"));
	const char *stored = result_text(res, row, "status");
	bool running = strcmp(stored, status_name(STATUS_RUNNING)) == 0;
	bool failed = strcmp(stored, status_name(STATUS_FAILED)) == 0;

	sync_put_words(o, stored, words);
	/* a phase is what a sync is doing; an ended one does nothing */
	json_put_text(
	    o, "phase", running ? result_text(res, row, "phase") : NULL);
	for (size_t i = 0; i < COUNT_OF(members); i++)
		json_put_object(
		    o, members[i].name, member_value(i, res, row, streams));
	/* where cancelled reads as failed, the message has to tell */
	if (words == WORDS_CLASSIC &&
	    strcmp(stored, status_name(STATUS_CANCELLED)) == 0)
		json_put_text(o, "message", "Sync cancelled by user");
	json_put_object(o, "streams", streams_array(streams));
	json_put_object(o, "error",
	    running || failed ? error_json(res, row, running) : NULL);
	json_object_put(streams);
}

json_object *
sync_json(const PGresult *res, int row, enum sync_words words)
{
	json_object *o = json_object_new_object();

	sync_json_put(o, res, row, words);
	return o;
}

json_object *
sync_json_item(const PGresult *res, int row, enum sync_words words)
{
	json_object *o = sync_json(res, row, words);
	json_object *error = json_member(o, "error");

	if (error) {
		/* a copy: adding the member frees the object it came from */
		char *text = strdup(json_text(error, "message"));

		json_put_text(o, "error", text);
		free(text);
	}
	return o;
}

void
sync_json_put_idle(json_object *o, const char *user_id)
{
	sync_put_words(o, status_name(STATUS_IDLE), WORDS_CANONICAL);
	json_put_null(o, "phase");
	for (size_t i = 0; i < COUNT_OF(members); i++)
		json_put_null(o, members[i].name);
	json_put_text(o, "userId", user_id);
	json_put_i64(o, "progress", 0);
	json_put_text(o, "message", "No sync has run yet");
	json_put_object(o, "streams", json_object_new_array());
	json_put_null(o, "error");
}
