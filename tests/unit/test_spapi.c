/* test_spapi.c - the parts of the source that need no network. */
#include "runner/sources/failure.h"
#include "runner/sources/limits.h"
#include "runner/sources/lwa.h"
#include "runner/sources/spapi.h"
#include "runner/sources/spapi_rows.h"
#include "runner/sources/url.h"
#include "runner/sources/window.h"
#include "shared/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- URLs ----------------------------------------------------------------- */

static void
test_everything_is_encoded_exactly_once(void **state)
{
	CLEANUP(text_fini) struct text u = { .p = NULL };

	(void)state;
	url_start(&u, "https://host.example/", "/a/b");
	assert_string_equal(u.p, "https://host.example/a/b");
	url_param(&u, "none", NULL);
	url_param(&u, "token", "a+b/c=d%2F e");
	url_param(&u, "ids", "A,B");
	url_param(&u, "odd", "!'()*~-._\xc3\xa9");
	assert_string_equal(u.p, "https://host.example/a/b"
	    "?token=a%2Bb%2Fc%3Dd%252F%20e&ids=A%2CB"
	    "&odd=%21%27%28%29%2A~-._%C3%A9");
}

/* --- windows ----------------------------------------------------------------- */

static void
test_times_are_read_and_written(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-22T18:00:00Z", INT64_C(1795370400000) },
		{ "2026-11-22T20:00:00.25+02:00", INT64_C(1795370400250) },
		{ "2026-11-22T12:30:00.9999-05:30", INT64_C(1795370400999) },
		{ "1969-12-31T23:59:59Z", -1000 },
	};
	char buf[WINDOW_TEXT_MAX];
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_true(window_parse(cases[i].text, &ms));
		assert_int_equal(ms, cases[i].ms);
	}
	assert_false(window_parse("2026-11-22", &ms));
	assert_false(window_parse("2026-11-22T18:00:00", &ms));
	assert_string_equal(window_text(INT64_C(1795370400999), buf),
	    "2026-11-22T18:00:00Z");
	assert_string_equal(window_text(-1, buf), "1969-12-31T23:59:59Z");
}

static void
test_windows_cover_without_gaps(void **state)
{
	int64_t lo = 1000, hi = lo + 75 * DAY_MS, at = lo;
	int n = 0;

	(void)state;
	while (at < hi) {
		int64_t to = window_end(at, hi, WINDOW_MOST_MS * 4);

		assert_true(to > at && to - at <= WINDOW_MOST_MS);
		at = to;
		n++;
	}
	assert_int_equal(at, hi);
	assert_int_equal(n, 3);
	assert_int_equal(window_lower(-1, 600, lo), lo);
	assert_int_equal(window_lower(hi, 600, lo), hi - 600);
	assert_int_equal(window_lower(lo + 1, 600, lo), lo);
	assert_true(window_share(lo, hi, lo) == 0);
	assert_true(window_share(lo, hi, hi) == 1);
	assert_true(window_share(lo, lo, lo) == 1);
	n = 0;
	for (int64_t span = WINDOW_MOST_MS; span > 0; n++) {
		span = window_half(span);
		assert_int_equal(span % 1000, 0);
	}
	assert_int_equal(n, 16); /* 30 days down to a minute */
}

/* --- answers -------------------------------------------------------------------- */

static void
test_refusals_have_their_class(void **state)
{
	static const struct {
		int status;
		const char *body;
		bool paged;
		enum call_outcome outcome;
		enum failure_class class;
		const char *code;
	} cases[] = {
#define ERR(text) "{\"errors\":[{\"code\":\"InvalidInput\"," text "}]}"
		{ 500, "", false, CALL_FAILED, FAILURE_TRANSIENT,
		    "source_unavailable" },
		{ 503, ERR("\"message\":null"), true, CALL_FAILED,
		    FAILURE_TRANSIENT, "source_unavailable" },
		{ 302, "", false, CALL_FAILED, FAILURE_TRANSIENT,
		    "source_unavailable" },
		{ 400, "<html>no</html>", false, CALL_FAILED,
		    FAILURE_TRANSIENT, "answer_invalid" },
		{ 400, ERR("\"message\":\"nextToken has expired.\""), true,
		    CALL_REWIND, FAILURE_PERMANENT, "window_too_large" },
		{ 400, ERR("\"message\":null,\"details\":\"Token\""), true,
		    CALL_REWIND, FAILURE_PERMANENT, "window_too_large" },
		{ 400, ERR("\"message\":\"the token\""), false, CALL_FAILED,
		    FAILURE_PERMANENT, "request_refused" },
		{ 413, ERR("\"message\":\"big\""), false, CALL_FAILED,
		    FAILURE_PERMANENT, "request_refused" },
		{ 404, ERR("\"code\":\"400\""), false, CALL_FAILED,
		    FAILURE_PERMANENT, "request_refused" },
#undef ERR
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct failure why;
		enum call_outcome got = spapi_refusal(cases[i].status,
		    cases[i].body, strlen(cases[i].body), cases[i].paged,
		    &why);

		assert_int_equal(got, cases[i].outcome);
		assert_int_equal(why.class, cases[i].class);
		assert_string_equal(why.code, cases[i].code);
		assert_true(why.message[0] != '\0');
	}
}

static void
test_token_answers_have_their_class(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum failure_class class;
	} cases[] = {
		{ 400, "{\"error\":\"invalid_grant\"}", FAILURE_RECONNECT },
		{ 401, "{\"error\":\"invalid_client\"}", FAILURE_OPERATOR },
		{ 400, "{\"error\":\"unauthorized_client\"}",
		    FAILURE_OPERATOR },
		{ 400, "{\"error\":\"temporarily_unavailable\"}",
		    FAILURE_TRANSIENT },
		{ 503, "<html>", FAILURE_TRANSIENT },
		{ 403, "<html>", FAILURE_TRANSIENT },
		{ 200, "{\"access_token\":\"a\"", FAILURE_TRANSIENT },
		{ 200, "{\"expires_in\":3600}", FAILURE_TRANSIENT },
		{ 200, "{\"access_token\":\"a\",\"expires_in\":-1}",
		    FAILURE_TRANSIENT },
		{ 200, "{\"access_token\":\"a\\r\\nx: y\","
		       "\"expires_in\":60}", FAILURE_TRANSIENT },
	};
	static const char good[] = "{\"access_token\":\"Atza|x\","
	    "\"refresh_token\":\"Atzr|y\",\"expires_in\":3600}";
	CLEANUP(json_clearp) json_object *owner = NULL;
	struct lwa_answer a;
	struct failure why;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(lwa_read(cases[i].status, cases[i].body,
		    strlen(cases[i].body), &owner, &a, &why), ERR_PEER);
		assert_int_equal(why.class, cases[i].class);
	}
	assert_int_equal(lwa_read(200, good, strlen(good), &owner, &a, &why),
	    ERR_OK);
	assert_string_equal(a.access, "Atza|x");
	assert_string_equal(a.refresh, "Atzr|y");
	assert_int_equal(a.life_ms, 3600000);
}

static void
test_foreign_words_are_made_plain(void **state)
{
	struct failure why;
	char out[8];

	(void)state;
	failure_say(&why, FAILURE_PERMANENT, "c", "a\nb\x1b[0m\xff%s", "\x01");
	assert_string_equal(why.message, "a b [0m? ");
	plain_text(out, sizeof out, "12345\xc3\xa9\xc3\xa9", 9);
	assert_string_equal(out, "12345\xc3\xa9");
	plain_text(out, sizeof out, "123456\xc3\xa9", 8);
	assert_string_equal(out, "123456");
}

/* --- budgets ---------------------------------------------------------------------- */

static void
test_budgets(void **state)
{
	static const struct limit slow = { "slow", 0.0056, 20 };
	static const struct limit fast = { "fast", 1000, 2 };
	struct limits *l;
	int64_t wait;

	(void)state;
	assert_int_equal(limits_open(&l, 0), ERR_INVAL);
	assert_int_equal(limits_open(&l, 1), ERR_OK);
	/* nobody knows how full it is: one call, then its time */
	assert_int_equal(limits_take(l, "a", &slow), 0);
	assert_in_range(limits_take(l, "a", &slow), 178000, 178600);
	assert_int_equal(limits_take(l, "b", &slow), 0); /* another account */
	assert_int_equal(limits_take(l, "a", &fast), 0); /* another operation */
	limits_learn(l, "a", &slow, 1);
	assert_in_range(limits_take(l, "a", &slow), 900, 1000);
	limits_learn(l, "a", &slow, 0); /* nonsense changes nothing */
	assert_in_range(limits_take(l, "a", &slow), 900, 1000);
	wait = limits_refused(l, "a", &slow, -1);
	assert_in_range(wait, 1000, 1100);
	assert_in_range(limits_refused(l, "a", &slow, -1), 2000, 2200);
	assert_in_range(limits_refused(l, "a", &slow, 7000), 7000, 7700);
	limits_accepted(l, "a", &slow);
	assert_in_range(limits_refused(l, "a", &slow, -1), 1000, 1100);
	limits_close(l);
}

/* --- records ------------------------------------------------------------------------ */

/* A sink that writes what it gets into a text, one row a line. */
struct notes {
	struct text rows;
	struct text rejects;
};

static enum err
note_row(void *arg, const struct load_stream *s, const char *const *values,
    json_object *raw)
{
	struct notes *n = arg;

	(void)raw;
	text_str(&n->rows, s->name);
	for (size_t i = 0; i < s->n_columns; i++)
		text_fmt(&n->rows, "|%s", values[i] ? values[i] : "-");
	text_ch(&n->rows, '\n');
	return ERR_OK;
}

static enum err
note_reject(void *arg, const struct load_stream *s, const char *reason,
    json_object *raw)
{
	struct notes *n = arg;

	(void)raw;
	text_fmt(&n->rejects, "%s: %s\n", s->name, reason);
	return ERR_OK;
}

static void
notes_fini(struct notes *n)
{
	text_fini(&n->rows);
	text_fini(&n->rejects);
}

static json_object *
parse(const char *text)
{
	json_object *o = NULL;

	assert_int_equal(json_read(text, strlen(text), 32, &o, NULL), ERR_OK);
	return o;
}

static void
test_orders_and_their_items(void **state)
{
	CLEANUP(notes_fini) struct notes n = { .rows = { .p = NULL } };
	struct row_sink k = { .arg = &n, .row = note_row,
		.reject = note_reject };
	CLEANUP(json_clearp) json_object *page = parse(
	    "{\"orders\":["
	    "{\"orderId\":\"1\",\"createdTime\":\"2026-01-01T00:00:00Z\","
	    "\"lastUpdatedTime\":\"2026-01-02T00:00:00Z\",\"unknown\":{},"
	    "\"salesChannel\":{\"channelName\":\"Amazon.com\","
	    "\"marketplaceId\":\"ATV\"},\"fulfillment\":"
	    "{\"fulfillmentStatus\":\"SOMETHING_NEW\","
	    "\"fulfilledBy\":\"AMAZON\"},\"proceeds\":{\"grandTotal\":"
	    "{\"amount\":\"10.10\",\"currencyCode\":\"USD\"}},"
	    "\"orderItems\":[{\"orderItemId\":\"i\",\"quantityOrdered\":2,"
	    "\"product\":{\"asin\":\"B0\",\"sellerSku\":\"s\",\"title\":\"t\","
	    "\"price\":{\"unitPrice\":{\"amount\":\"5.05\","
	    "\"currencyCode\":\"USD\"}}},\"proceeds\":{\"proceedsTotal\":"
	    "{\"amount\":\"10.1\",\"currencyCode\":\"USD\"}},"
	    "\"fulfillment\":{\"quantityFulfilled\":1,"
	    "\"quantityUnfulfilled\":1}},{\"orderItemId\":\"j\","
	    "\"quantityOrdered\":\"two\"},7]},"
	    "{\"orderId\":\"2\",\"lastUpdatedTime\":\"2026-01-03T00:00:00Z\","
	    "\"proceeds\":null,\"orderItems\":[]},"
	    "{\"lastUpdatedTime\":\"2026-01-03T00:00:00Z\","
	    "\"orderItems\":[{\"orderItemId\":\"lost\"}]},"
	    "{\"orderId\":3,\"lastUpdatedTime\":\"x\"},"
	    "{\"orderId\":\"4\"},\"text\"],"
	    "\"pagination\":{\"nextToken\":\"t/+=\"},"
	    "\"lastUpdatedBefore\":\"2026-01-04T00:00:00Z\"}");
	struct page_info info;
	const char *why;

	(void)state;
	assert_int_equal(spapi_orders_page(page, &k, &info, &why), ERR_OK);
	assert_string_equal(n.rows.p,
	    "orders|1|ATV|Amazon.com|SOMETHING_NEW|AMAZON|"
	    "2026-01-01T00:00:00Z|2026-01-02T00:00:00Z|10.10|USD|3\n"
	    "order_items|1|i|B0|s|t|2|1|1|5.05|USD|10.1\n"
	    "orders|2|-|-|-|-|-|2026-01-03T00:00:00Z|-|-|0\n");
	assert_string_equal(n.rejects.p,
	    "order_items: quantityOrdered is not an integer\n"
	    "order_items: an item is not an object\n"
	    "orders: orderId is missing\n"
	    "orders: orderId is not a text\n"
	    "orders: lastUpdatedTime is not there\n"
	    "orders: an order is not an object\n");
	assert_int_equal(info.records, 6);
	assert_string_equal(info.token, "t/+=");
	assert_string_equal(info.before, "2026-01-04T00:00:00Z");
	assert_string_equal(info.newest, "2026-01-03T00:00:00Z");
}

static void
test_inventory_summaries(void **state)
{
	CLEANUP(notes_fini) struct notes n = { .rows = { .p = NULL } };
	struct row_sink k = { .arg = &n, .row = note_row,
		.reject = note_reject };
	CLEANUP(json_clearp) json_object *page = parse(
	    "{\"payload\":{\"nextToken\":\"not here\","
	    "\"inventorySummaries\":[{\"sellerSku\":\"s\",\"fnSku\":\"X\","
	    "\"condition\":\"NewItem\",\"asin\":\"B0\",\"productName\":\"p\","
	    "\"totalQuantity\":36,\"lastUpdatedTime\":"
	    "\"2026-01-01T00:00:00Z\",\"inventoryDetails\":{"
	    "\"fulfillableQuantity\":1,\"inboundWorkingQuantity\":2,"
	    "\"inboundShippedQuantity\":3,\"inboundReceivingQuantity\":4,"
	    "\"reservedQuantity\":{\"totalReservedQuantity\":5},"
	    "\"researchingQuantity\":{\"totalResearchingQuantity\":6},"
	    "\"unfulfillableQuantity\":{\"totalUnfulfillableQuantity\":7}}},"
	    "{\"sellerSku\":\"bare\",\"lastUpdatedTime\":\"\","
	    "\"totalQuantity\":0}]},\"pagination\":{\"nextToken\":\"\"}}");
	struct page_info info;
	const char *why;

	(void)state;
	assert_int_equal(
	    spapi_inventory_page(page, "ATV", &k, &info, &why), ERR_OK);
	assert_string_equal(n.rows.p,
	    "inventory|ATV|s|X|NewItem|B0|p|36|1|2|3|4|5|6|7|"
	    "2026-01-01T00:00:00Z\n"
	    "inventory|ATV|bare|||-|-|0|-|-|-|-|-|-|-|-\n");
	assert_null(info.token); /* an empty one is none */
}

static void
test_transactions_keep_exact_amounts(void **state)
{
	CLEANUP(notes_fini) struct notes n = { .rows = { .p = NULL } };
	struct row_sink k = { .arg = &n, .row = note_row,
		.reject = note_reject };
	CLEANUP(json_clearp) json_object *page = parse(
	    "{\"payload\":{\"transactions\":[{\"transactionId\":\"t\","
	    "\"transactionType\":\"Shipment\",\"transactionStatus\":"
	    "\"DEFERRED\",\"postedDate\":\"2026-01-01T00:00:00Z\","
	    "\"totalAmount\":{\"currencyCode\":\"USD\","
	    "\"currencyAmount\":-0.10},\"relatedIdentifiers\":["
	    "{\"relatedIdentifierName\":\"ORDER_ID\","
	    "\"relatedIdentifierValue\":\"o\"},"
	    "{\"relatedIdentifierName\":\"FINANCIAL_EVENT_GROUP_ID\","
	    "\"relatedIdentifierValue\":\"g/1\"}],\"breakdowns\":["
	    "{\"breakdownAmount\":{\"currencyAmount\":"
	    "123456789012345678.10}}]},{\"transactionId\":\"u\","
	    "\"totalAmount\":{\"currencyAmount\":\"much\"}},{}],"
	    "\"nextToken\":\"n\"}}");
	CLEANUP(json_clearp) json_object *none = parse("{\"payload\":{}}");
	CLEANUP(json_clearp) json_object *odd =
	    parse("{\"payload\":{\"transactions\":{}}}");
	struct page_info info;
	const char *why;

	(void)state;
	assert_int_equal(
	    spapi_transactions_page(page, &k, &info, &why), ERR_OK);
	assert_string_equal(n.rows.p,
	    "transactions|t|Shipment|DEFERRED|-|2026-01-01T00:00:00Z|-0.10|"
	    "USD|-|o|-|g/1|[{\"relatedIdentifierName\":\"ORDER_ID\","
	    "\"relatedIdentifierValue\":\"o\"},{\"relatedIdentifierName\":"
	    "\"FINANCIAL_EVENT_GROUP_ID\",\"relatedIdentifierValue\":"
	    "\"g/1\"}]|[{\"breakdownAmount\":{\"currencyAmount\":"
	    "123456789012345678.10}}]|-|-\n"
	    "transactions|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-\n");
	assert_string_equal(n.rejects.p,
	    "transactions: currencyAmount is not a number\n");
	assert_string_equal(info.token, "n");
	assert_int_equal(
	    spapi_transactions_page(none, &k, &info, &why), ERR_OK);
	assert_int_equal(info.records, 0);
	assert_int_equal(
	    spapi_transactions_page(odd, &k, &info, &why), ERR_PEER);
}

/* --- Amazon's own texts ---------------------------------------------------------------- */

static json_object *
shared_file(const char *name)
{
	const char *dir = getenv("SYNCLINE_SHARED_DATA");
	char path[512];
	json_object *o;

	if (!dir) {
		print_message("SYNCLINE_SHARED_DATA is unset: skipped\n");
		skip();
	}
	snprintf(path, sizeof path, "%s/%s", dir, name);
	o = json_object_from_file(path);
	assert_non_null(o);
	return o;
}

static void
test_the_published_marketplaces(void **state)
{
	CLEANUP(json_clearp) json_object *list =
	    shared_file("spapi-sandbox.json");
	int n = 0;

	(void)state;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *e = json_object_array_get_idx(list, i), *ids;
		const char *op = json_text(e, "operation"), *why;

		if (!op || strcmp(op, "getMarketplaceParticipations") != 0)
			continue;
		assert_int_equal(spapi_marketplaces(
		    json_member(e, "body"), &ids, &why), ERR_OK);
		assert_string_equal(json_object_get_string(
		    json_object_array_get_idx(ids, 0)), "ATVPDKIKX0DER");
		json_object_put(ids);
		n++;
	}
	assert_true(n > 0);
}

/* Whether a model knows a property of that name anywhere. */
static bool
model_has(json_object *o, const char *name)
{
	if (json_object_is_type(o, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(o); i++) {
			if (model_has(json_object_array_get_idx(o, i), name))
				return true;
		}
		return false;
	}
	if (!json_object_is_type(o, json_type_object))
		return false;
	if (json_member(json_member(o, "properties"), name))
		return true;
	json_object_object_foreach(o, key, v)
	{
		const char *parameter = json_text(o, "name");

		(void)key;
		if (model_has(v, name) ||
		    (parameter && strcmp(parameter, name) == 0))
			return true;
	}
	return false;
}

static void
test_the_models_know_our_fields(void **state)
{
	static const char *const names[][24] = {
		{ "models/orders_2026-01-01.json", "orderId", "orders",
		    "pagination", "nextToken", "lastUpdatedBefore",
		    "salesChannel", "channelName", "marketplaceId",
		    "fulfillment", "fulfillmentStatus", "fulfilledBy",
		    "proceeds", "grandTotal", "amount", "currencyCode",
		    "unitPrice", "proceedsTotal", "quantityFulfilled",
		    "quantityUnfulfilled", "includedData",
		    "paginationToken", "maxResultsPerPage" },
		{ "models/fbaInventory.json", "inventorySummaries",
		    "sellerSku", "fnSku", "condition", "productName",
		    "totalQuantity", "inventoryDetails",
		    "fulfillableQuantity", "inboundWorkingQuantity",
		    "inboundShippedQuantity", "inboundReceivingQuantity",
		    "totalReservedQuantity", "totalResearchingQuantity",
		    "totalUnfulfillableQuantity", "lastUpdatedTime",
		    "granularityType", "granularityId", "details" },
		{ "models/finances_2024-06-19.json", "transactions",
		    "transactionId", "transactionType", "transactionStatus",
		    "postedDate", "totalAmount", "currencyAmount",
		    "marketplaceDetails", "relatedIdentifiers",
		    "relatedIdentifierName", "relatedIdentifierValue",
		    "breakdowns", "contexts", "items", "postedAfter",
		    "postedBefore", "nextToken" },
		{ "models/sellers.json", "isParticipating", "marketplace",
		    "participation", "id" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		CLEANUP(json_clearp) json_object *model =
		    shared_file(names[i][0]);

		for (size_t j = 1; j < COUNT_OF(names[i]) && names[i][j];
		     j++) {
			if (!model_has(model, names[i][j]))
				print_error("%s\n", names[i][j]);
			assert_true(model_has(model, names[i][j]));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_is_encoded_exactly_once),
		cmocka_unit_test(test_times_are_read_and_written),
		cmocka_unit_test(test_windows_cover_without_gaps),
		cmocka_unit_test(test_refusals_have_their_class),
		cmocka_unit_test(test_token_answers_have_their_class),
		cmocka_unit_test(test_foreign_words_are_made_plain),
		cmocka_unit_test(test_budgets),
		cmocka_unit_test(test_orders_and_their_items),
		cmocka_unit_test(test_inventory_summaries),
		cmocka_unit_test(test_transactions_keep_exact_amounts),
		cmocka_unit_test(test_the_published_marketplaces),
		cmocka_unit_test(test_the_models_know_our_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
