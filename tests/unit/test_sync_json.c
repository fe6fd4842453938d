/* test_sync_json.c - a sync's row as the API shows it, without a database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fcgi/openapi.h"
#include "fcgi/request_hash.h"
#include "fcgi/route.h"
#include "fcgi/sync_id.h"
#include "fcgi/sync_json.h"
#include "shared/json.h"

#include <stdio.h>
#include <string.h>

/* --- rows made by hand ------------------------------------------------ */

static const struct {
	const char *name, *text; /* NULL: SQL NULL */
} columns[] = {
	{ "sync_id", "s1" },
	{ "user_id", "ann" },
	{ "connection_id", "amazon" },
	{ "provider", "spapi" },
	{ "status", "running" },
	{ "phase", "fetching" },
	{ "progress", "33.3" },
	{ "message", "Syncing" },
	{ "started_text", "2026-01-01T00:00:00.000Z" },
	{ "completed_text", NULL },
	{ "duration", "1.5" },
	{ "queue_position", NULL },
	{ "priority", "1" },
	{ "attempt", "1" },
	{ "max_attempts", "5" },
	{ "next_retry_text", NULL },
	{ "retry_of", NULL },
	{ "streams", "{}" },
	{ "claims_detected", NULL },
	{ "claims_value", NULL },
	{ "error_code", NULL },
	{ "error_message", NULL },
	{ "error_retryable", NULL },
};

static PGresult *
row(void)
{
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc atts[COUNT_OF(columns)];

	memset(atts, 0, sizeof atts);
	for (size_t i = 0; i < COUNT_OF(columns); i++)
		atts[i].name = (char *)columns[i].name;
	assert_true(PQsetResultAttrs(res, (int)COUNT_OF(columns), atts));
	for (size_t i = 0; i < COUNT_OF(columns); i++)
		assert_true(PQsetvalue(res, 0, (int)i, (char *)columns[i].text,
		    columns[i].text ? (int)strlen(columns[i].text) : -1));
	return res;
}

static void
set(PGresult *res, const char *col, const char *text)
{
	assert_true(PQsetvalue(res, 0, PQfnumber(res, col), (char *)text,
	    text ? (int)strlen(text) : -1));
}

static void
is_text(json_object *o, const char *key, const char *text)
{
	assert_non_null(json_text(o, key));
	assert_string_equal(json_text(o, key), text);
}

static void
is_null(json_object *o, const char *key)
{
	json_object *v;

	assert_true(json_object_object_get_ex(o, key, &v));
	assert_null(v);
}

/* --- words ------------------------------------------------------------ */

static void
test_classic_words_stand_beside_the_state(void **state)
{
	static const struct {
		const char *stored, *classic;
	} words[] = {
		{ "running", "in_progress" },
		{ "completed", "complete" },
		{ "failed", "failed" },
		{ "cancelled", "failed" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		PGresult *res = row();
		json_object *o;

		set(res, "status", words[i].stored);
		o = sync_json(res, 0, WORDS_CLASSIC);
		is_text(o, "status", words[i].classic);
		is_text(o, "state", words[i].stored);
		json_object_put(o);
		o = sync_json(res, 0, WORDS_CANONICAL);
		is_text(o, "status", words[i].stored);
		is_text(o, "state", words[i].stored);
		json_object_put(o);
		PQclear(res);
	}
}

static void
test_cancelled_says_so_where_it_reads_as_failed(void **state)
{
	PGresult *res = row();
	json_object *o;

	(void)state;
	set(res, "status", "cancelled");
	set(res, "message", "Cancelled by an administrator");
	o = sync_json(res, 0, WORDS_CLASSIC);
	is_text(o, "message", "Sync cancelled by user");
	json_object_put(o);
	o = sync_json(res, 0, WORDS_CANONICAL);
	is_text(o, "message", "Cancelled by an administrator");
	json_object_put(o);
	PQclear(res);
}

static void
test_the_setting_takes_the_older_words_away(void **state)
{
	struct settings s = { .classic_status = true };
	struct req rq = { .settings = &s, .classic = true };

	(void)state;
	assert_int_equal(sync_words_of(&rq), WORDS_CLASSIC);
	rq.classic = false;
	assert_int_equal(sync_words_of(&rq), WORDS_CANONICAL);
	rq.classic = true;
	s.classic_status = false;
	assert_int_equal(sync_words_of(&rq), WORDS_CANONICAL);
}

static void
test_an_ended_sync_has_no_phase(void **state)
{
	PGresult *res = row();
	json_object *o = sync_json(res, 0, WORDS_CANONICAL);

	(void)state;
	is_text(o, "phase", "fetching");
	json_object_put(o);
	set(res, "status", "completed");
	o = sync_json(res, 0, WORDS_CANONICAL);
	is_null(o, "phase");
	json_object_put(o);
	PQclear(res);
}

/* --- numbers ---------------------------------------------------------- */

static void
test_what_is_not_known_is_null(void **state)
{
	static const char *const unknown[] = { "completedAt",
		"estimatedCompletion", "queuePosition", "nextRetryAt",
		"retryOf", "ordersProcessed", "totalOrders", "inventoryCount",
		"shipmentsCount", "returnsCount", "settlementsCount",
		"feesCount", "claimsDetected", "claimsValue", "error" };
	PGresult *res = row();
	json_object *o = sync_json(res, 0, WORDS_CANONICAL);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(unknown); i++)
		is_null(o, unknown[i]);
	assert_int_equal(
	    json_object_array_length(json_member(o, "streams")), 0);
	json_object_put(o);
	PQclear(res);
}

static void
test_orders_processed_are_distinct_ones(void **state)
{
	PGresult *res = row();
	json_object *o;

	(void)state;
	set(res, "streams",
	    "{\"orders\":{\"ord\":0,\"read\":10,\"inserted\":4,\"updated\":1,"
	    "\"unchanged\":2,\"repeated\":2,\"rejected\":1,\"total\":12},"
	    "\"inventory\":{\"ord\":1,\"read\":0,\"inserted\":0,\"updated\":0,"
	    "\"unchanged\":0,\"repeated\":0,\"rejected\":0}}");
	o = sync_json(res, 0, WORDS_CANONICAL);
	assert_int_equal(json_i64(o, "ordersProcessed", -1), 7);
	assert_int_equal(json_i64(o, "totalOrders", -1), 12);
	assert_int_equal(json_i64(o, "inventoryCount", -1), 0);
	is_null(o, "feesCount");
	json_object_put(o);
	PQclear(res);
}

static void
test_streams_keep_their_order_and_nothing_more(void **state)
{
	json_object *list =
	    sync_streams_json("{\"b\":{\"ord\":1,\"read\":1,\"cursor\":\"x\"},"
			      "\"c\":{},\"a\":{\"ord\":0,\"done\":true}}");
	json_object *first = json_object_array_get_idx(list, 0);
	json_object *second = json_object_array_get_idx(list, 1);

	(void)state;
	assert_int_equal(json_object_array_length(list), 3);
	is_text(first, "name", "a");
	assert_true(json_flag(first, "done", false));
	is_null(first, "read");
	is_text(second, "name", "b");
	assert_int_equal(json_i64(second, "read", -1), 1);
	assert_null(json_member(second, "cursor"));
	is_text(json_object_array_get_idx(list, 2), "name", "c");
	json_object_put(list);
}

static void
test_odd_streams_of_an_import_show_nothing(void **state)
{
	static const char *const odd[] = { "[]", "5", "{", "", "null",
		"{\"orders\":7}", "{\"orders\":{\"read\":\"many\"}}" };
	PGresult *res = row();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(odd); i++) {
		json_object *o;

		set(res, "streams", odd[i]);
		o = sync_json(res, 0, WORDS_CANONICAL);
		is_null(o, "ordersProcessed");
		json_object_put(o);
	}
	PQclear(res);
}

static void
test_money_keeps_its_digits(void **state)
{
	PGresult *res = row();
	json_object *o;

	(void)state;
	set(res, "claims_value", "12345678901234567.89");
	o = sync_json(res, 0, WORDS_CANONICAL);
	assert_non_null(
	    strstr(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN),
		"\"claimsValue\":12345678901234567.89,"));
	json_object_put(o);
	PQclear(res);
}

/* --- errors ----------------------------------------------------------- */

static void
test_an_error_is_an_object_and_its_text_in_lists(void **state)
{
	PGresult *res = row();
	json_object *o;

	(void)state;
	set(res, "status", "failed");
	set(res, "error_code", "reconnect_required");
	set(res, "error_message", "Connect again.");
	set(res, "error_retryable", "f");
	o = sync_json(res, 0, WORDS_CANONICAL);
	is_text(json_member(o, "error"), "code", "reconnect_required");
	is_text(json_member(o, "error"), "message", "Connect again.");
	assert_false(json_flag(json_member(o, "error"), "retryable", true));
	json_object_put(o);
	o = sync_json_item(res, 0, WORDS_CANONICAL);
	is_text(o, "error", "Connect again.");
	json_object_put(o);
	set(res, "status", "cancelled"); /* what it met on its way is over */
	o = sync_json_item(res, 0, WORDS_CANONICAL);
	is_null(o, "error");
	json_object_put(o);
	PQclear(res);
}

/* --- ids and hashes --------------------------------------------------- */

static void
test_ids_are_uuids_that_sort_by_age(void **state)
{
	char a[SYNC_ID_SIZE], b[SYNC_ID_SIZE];

	(void)state;
	assert_int_equal(sync_id_new(a), ERR_OK);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(a[14], '7');
	assert_non_null(strchr("89ab", a[19]));
	do {
		assert_int_equal(sync_id_new(b), ERR_OK);
		assert_string_not_equal(a, b);
	} while (strncmp(a, b, 13) == 0); /* the same millisecond */
	assert_true(strcmp(a, b) < 0);
}

static void
test_a_malformed_id_is_told(void **state)
{
	char text[SYNC_ID_MAX + 2];

	(void)state;
	memset(text, 'x', sizeof text);
	text[SYNC_ID_MAX + 1] = '\0';
	assert_false(sync_id_valid(text));
	text[SYNC_ID_MAX] = '\0';
	assert_true(sync_id_valid(text));
	assert_false(sync_id_valid(""));
	assert_false(sync_id_valid("a\nb"));
	assert_false(sync_id_valid("a\x7f"));
}

static void
hash_of(const char *body, char ret[REQUEST_HASH_SIZE])
{
	json_object *o = NULL;

	if (body)
		assert_int_equal(
		    json_read(body, strlen(body), 32, &o, NULL), ERR_OK);
	assert_int_equal(request_hash("POST", "/p", o, ret), ERR_OK);
	json_object_put(o);
}

static void
test_the_hash_is_of_what_is_asked(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} pairs[] = {
		{ "{\"a\":1,\"b\":[1,2]}", " { \"b\" : [1, 2], \"a\":1 }",
		    true },
		{ NULL, "{}", true },
		{ "{\"a\":1}", "{\"a\":2}", false },
		{ "{\"a\":[1,2]}", "{\"a\":[2,1]}", false },
		{ "{\"a\":\"1\"}", "{\"a\":1}", false },
		{ "{\"a\":{\"b\":1},\"c\":2}", "{\"a\":{\"b\":1,\"c\":2}}",
		    false },
		{ "{\"a\":null}", "{}", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		char a[REQUEST_HASH_SIZE], b[REQUEST_HASH_SIZE];

		hash_of(pairs[i].a, a);
		hash_of(pairs[i].b, b);
		assert_int_equal(strlen(a), REQUEST_HASH_SIZE - 1);
		assert_int_equal(strcmp(a, b) == 0, pairs[i].same);
	}
}

/* --- the contract ----------------------------------------------------- */

/* "/a/:id" as OpenAPI writes it. */
static void
braced(const char *path, char *out, size_t size)
{
	size_t n = 0;

	for (; *path != '\0' && n + 3 < size; path++) {
		if (*path != ':') {
			out[n++] = *path;
			continue;
		}
		out[n++] = '{';
		while (path[1] != '\0' && path[1] != '/' && n + 2 < size)
			out[n++] = *++path;
		out[n++] = '}';
	}
	out[n] = '\0';
}

static void
lowered(const char *method, char *out, size_t size)
{
	size_t n = 0;

	for (; method[n] != '\0' && n + 1 < size; n++)
		out[n] = (char)(method[n] | 0x20);
	out[n] = '\0';
}

static void
test_the_contract_names_every_route_and_no_other(void **state)
{
	json_object *doc = NULL, *paths;
	size_t n, told = 0;
	const struct route *table = route_table(&n);

	(void)state;
	assert_int_equal(
	    json_read(openapi_text, strlen(openapi_text), 32, &doc, NULL),
	    ERR_OK);
	paths = json_member(doc, "paths");
	for (size_t i = 0; i < n; i++) {
		char path[128], method[16];
		json_object *op;

		braced(table[i].path, path, sizeof path);
		lowered(table[i].method, method, sizeof method);
		op = json_member(json_member(paths, path), method);
		if (!op)
			fail_msg("no %s %s in openapi.json", method, path);
		assert_int_equal(json_member(op, "security") != NULL,
		    table[i].auth == AUTH_NONE);
		assert_int_equal(json_member(op, "x-role") != NULL,
		    table[i].auth == AUTH_ADMIN);
		assert_int_equal(json_flag(op, "x-classic", false),
		    (table[i].flags & ROUTE_CLASSIC) != 0);
	}
	json_object_object_foreach(paths, path, methods)
	{
		(void)path;
		told += (size_t)json_object_object_length(methods);
	}
	assert_int_equal(told, n);
	json_object_put(doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classic_words_stand_beside_the_state),
		cmocka_unit_test(
		    test_cancelled_says_so_where_it_reads_as_failed),
		cmocka_unit_test(test_the_setting_takes_the_older_words_away),
		cmocka_unit_test(test_an_ended_sync_has_no_phase),
		cmocka_unit_test(test_what_is_not_known_is_null),
		cmocka_unit_test(test_orders_processed_are_distinct_ones),
		cmocka_unit_test(
		    test_streams_keep_their_order_and_nothing_more),
		cmocka_unit_test(test_odd_streams_of_an_import_show_nothing),
		cmocka_unit_test(test_money_keeps_its_digits),
		cmocka_unit_test(
		    test_an_error_is_an_object_and_its_text_in_lists),
		cmocka_unit_test(test_ids_are_uuids_that_sort_by_age),
		cmocka_unit_test(test_a_malformed_id_is_told),
		cmocka_unit_test(test_the_hash_is_of_what_is_asked),
		cmocka_unit_test(
		    test_the_contract_names_every_route_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
