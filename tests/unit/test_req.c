/* test_req.c - what comes over the wire, and what becomes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fcgi/dispatch.h"
#include "fcgi/origin.h"
#include "shared/json.h"
#include "shared/keyring.h"
#include "shared/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A body that comes in pieces of seven bytes. */
struct source {
	const char *text;
	size_t left;
};

static size_t
read_pieces(void *arg, char *buf, size_t size)
{
	struct source *s = arg;
	size_t n = s->left < 7 ? s->left : 7;

	if (n > size)
		n = size;
	memcpy(buf, s->text, n);
	s->text += n;
	s->left -= n;
	return n;
}

static struct settings
plain_settings(void)
{
	struct settings s = { 0 };
	char why[128];

	assert_int_equal(settings_load(&s, why, sizeof why), ERR_OK);
	return s;
}

/* --- the request line ------------------------------------------------- */

static int
line_of(const char *uri, struct intake *in, struct req *rq, const char **code)
{
	static char buf[64];
	const struct raw_request raw = { .method = "GET", .uri = uri };
	struct reply rp = { .status = 0 };
	int status;

	*rq = (struct req){ .method = NULL };
	if (intake_line(in, &raw, rq, &rp))
		return 200;
	status = rp.status;
	snprintf(buf, sizeof buf, "%s", json_text(rp.body, "code"));
	*code = buf;
	json_object_put(rp.body);
	return status;
}

static void
test_percent_decoding_is_strict(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", "" },
		{ "abc", "abc" },
		{ "%41%7a", "Az" },
		{ "%c3%a9", "\xc3\xa9" },
		{ "%C3%A9", "\xc3\xa9" },
		{ "a+b", "a b" },
		{ "%2B", "+" },
		{ "%F0%9F%98%80", "\xf0\x9f\x98\x80" },
		{ "%", NULL },
		{ "%4", NULL },
		{ "%4g", NULL },
		{ "%g4", NULL },
		{ "a%", NULL },
		{ "%00", NULL },
		{ "%0a", NULL },
		{ "%7f", NULL },
		{ "%c2%85", NULL },
		{ "%ff", NULL },
		{ "%c3", NULL },
		{ "%c0%af", NULL },
		{ "%ed%a0%80", NULL },
		{ "\t", NULL },
		{ "\xff", NULL },
		{ "% 1", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t len = strlen(cases[i].text);
		/* exactly what the contract asks for, so that a byte more
		 * is a finding of the sanitizers */
		char *exact = malloc(len + 1), *text = malloc(len + 1);
		bool ok;

		memcpy(text, cases[i].text, len);
		ok = percent_decode(text, len, true, exact);
		assert_int_equal(ok, cases[i].want != NULL);
		if (cases[i].want)
			assert_string_equal(exact, cases[i].want);
		free(exact);
		free(text);
	}
}

static void
test_paths_and_queries_are_judged(void **state)
{
	static const struct {
		const char *uri;
		int status;
		const char *code;
	} cases[] = {
		{ "/", 200, NULL },
		{ "/a?b=c", 200, NULL },
		{ "/a?", 200, NULL },
		{ "/a?&&b", 200, NULL },
		{ "/a%20b", 200, NULL },
		{ "/a#b", 200, NULL },
		{ "/...", 200, NULL },
		{ "/.a/..b", 200, NULL },
		{ "", 400, "bad_path" },
		{ "a", 400, "bad_path" },
		{ "?a", 400, "bad_path" },
		{ "http://h/a", 400, "bad_path" },
		{ "/%", 400, "bad_path" },
		{ "/%ff", 400, "bad_path" },
		{ "/%00", 400, "bad_path" },
		{ "/a/../b", 400, "bad_path" },
		{ "/%2e%2e/b", 400, "bad_path" },
		{ "/./b", 400, "bad_path" },
		{ "/a?b=%", 400, "bad_query" },
		{ "/a?%zz=1", 400, "bad_query" },
		{ "/a?b=%00", 400, "bad_query" },
		{ "/a?b=%fe", 400, "bad_query" },
	};
	struct intake in;
	struct req rq;
	const char *code;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(
		    line_of(cases[i].uri, &in, &rq, &code), cases[i].status);
		if (cases[i].code)
			assert_string_equal(code, cases[i].code);
	}
}

static void
test_a_query_becomes_parameters(void **state)
{
	struct intake in;
	struct req rq;
	const char *code;

	(void)state;
	assert_int_equal(
	    line_of("/a?x=1&y=a+b%26c&&z&x=2&=v", &in, &rq, &code), 200);
	assert_int_equal(rq.n_params, 5);
	assert_string_equal(req_param(&rq, "x"), "1");
	assert_string_equal(req_param(&rq, "y"), "a b&c");
	assert_string_equal(req_param(&rq, "z"), "");
	assert_string_equal(req_param(&rq, ""), "v");
	assert_null(req_param(&rq, "w"));
}

static void
test_long_addresses_are_refused(void **state)
{
	char *uri = malloc(3 * INTAKE_QUERY_MAX), *at;
	struct intake in;
	struct req rq;
	const char *code;

	(void)state;
	memset(uri, 'a', 3 * INTAKE_QUERY_MAX);
	uri[0] = '/';
	uri[REQ_PATH_MAX] = '\0';
	assert_int_equal(line_of(uri, &in, &rq, &code), 200);
	uri[REQ_PATH_MAX] = 'a';
	uri[REQ_PATH_MAX + 1] = '\0';
	assert_int_equal(line_of(uri, &in, &rq, &code), 414);

	at = stpcpy(uri, "/?");
	memset(at, 'q', INTAKE_QUERY_MAX + 1);
	at[INTAKE_QUERY_MAX] = '\0';
	assert_int_equal(line_of(uri, &in, &rq, &code), 200);
	at[INTAKE_QUERY_MAX] = 'q';
	at[INTAKE_QUERY_MAX + 1] = '\0';
	assert_int_equal(line_of(uri, &in, &rq, &code), 414);

	at = stpcpy(uri, "/?");
	for (int i = 0; i < INTAKE_QUERY_PARAMS; i++)
		at = stpcpy(at, "a&");
	assert_int_equal(line_of(uri, &in, &rq, &code), 200);
	stpcpy(at, "a");
	assert_int_equal(line_of(uri, &in, &rq, &code), 400);
	assert_string_equal(code, "bad_query");
	free(uri);
}

static void
test_a_request_id_is_sane_or_ours(void **state)
{
	static const char *const odd[] = { "", "a b", "a/b", "a\n",
		/* 65 characters */
		("12345678901234567890123456789012345678901234567890"
		 "123456789012345") };
	struct raw_request raw = { .method = "GET", .uri = "/" };
	struct reply rp = { .status = 0 };
	struct intake in;
	struct req rq;

	(void)state;
	raw.request_id = "Req-1.a_b";
	assert_true(intake_line(&in, &raw, &rq, &rp));
	assert_string_equal(rq.request_id, "Req-1.a_b");
	for (size_t i = 0; i < COUNT_OF(odd); i++) {
		raw.request_id = odd[i];
		rq.n_params = 0;
		assert_true(intake_line(&in, &raw, &rq, &rp));
		assert_int_equal(strlen(rq.request_id), 36);
	}
}

/* --- the body --------------------------------------------------------- */

static int
body_of(const char *text, size_t len, const char *type, const char *length,
    size_t max, struct req *rq, const char **code)
{
	static char buf[64];
	const struct route route = { .max_body = max };
	struct source src = { text, len };
	const struct raw_request raw = { .content_type = type,
		.content_length = length,
		.read = read_pieces,
		.arg = &src };
	struct reply rp = { .status = 0 };
	int status;

	*rq = (struct req){ .route = &route, .request_id = "test" };
	if (intake_body(&raw, rq, &rp))
		return 200;
	status = rp.status;
	snprintf(buf, sizeof buf, "%s", json_text(rp.body, "code"));
	*code = buf;
	json_object_put(rp.body);
	return status;
}

static void
test_bodies_are_judged(void **state)
{
	static const char json[] = "application/json";
	static const struct {
		const char *text, *type, *length;
		int status;
		const char *code;
	} cases[] = {
		{ "", NULL, NULL, 200, NULL },
		{ "", "text/plain", "0", 200, NULL },
		{ "{\"a\":1}", json, "7", 200, NULL },
		{ "{\"a\":1}", json, NULL, 200, NULL },
		{ "{}", "Application/JSON; Charset=\"UTF-8\"", "2", 200, NULL },
		{ "{}", "application/json;charset=utf-8", "2", 200, NULL },
		{ "{}", NULL, "2", 415, "unsupported_media_type" },
		{ "{}", "text/plain", "2", 415, "unsupported_media_type" },
		{ "{}", "application/jsonp", "2", 415,
		    "unsupported_media_type" },
		{ "{}", "application/json; charset=latin1", "2", 415,
		    "unsupported_media_type" },
		{ "{}", json, "3", 400, "incomplete_body" },
		{ "{} ", json, "2", 400, "incomplete_body" },
		{ "{}", json, "-2", 400, "bad_header" },
		{ "{}", json, "2x", 400, "bad_header" },
		{ "{}", json, "99999999999999999999", 413,
		    "payload_too_large" },
		{ "{}", json, "101", 413, "payload_too_large" },
		{ "[]", json, "2", 400, "invalid_json" },
		{ "null", json, "4", 400, "invalid_json" },
		{ "{\"a\":", json, "5", 400, "invalid_json" },
		{ "{a:1}", json, "5", 400, "invalid_json" },
		{ "{}{}", json, "4", 400, "invalid_json" },
		{ "{\"a\":\"\xff\"}", json, "9", 400, "invalid_json" },
		{ "{\"a\":\"\\u0000\"}", json, "14", 400, "invalid_json" },
		{ "   ", json, "3", 400, "invalid_json" },
	};
	struct req rq;
	const char *code;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int status = body_of(cases[i].text, strlen(cases[i].text),
		    cases[i].type, cases[i].length, 100, &rq, &code);

		assert_int_equal(status, cases[i].status);
		if (cases[i].code)
			assert_string_equal(code, cases[i].code);
		json_object_put(rq.body);
	}
}

static void
test_a_body_has_its_route_s_limit(void **state)
{
	char text[300];
	struct req rq;
	const char *code;

	(void)state;
	memset(text, ' ', sizeof text);
	memcpy(text, "{}", 2);
	for (size_t max = 90; max < 110; max++) {
		int want = max >= 100 ? 200 : 413;

		assert_int_equal(body_of(text, 100, "application/json", NULL,
				     max, &rq, &code),
		    want);
		json_object_put(rq.body);
		assert_int_equal(body_of(text, 100, "application/json", "100",
				     max, &rq, &code),
		    want);
		json_object_put(rq.body);
	}
	/* a route without a body does not look at one */
	assert_int_equal(body_of(text, 300, "x/y", "300", 0, &rq, &code), 200);
	assert_null(rq.body);
}

static void
test_depth_is_bounded(void **state)
{
	char text[400], *at;
	struct req rq;
	const char *code;

	(void)state;
	for (int depth = 20; depth < 40; depth++) {
		int status;

		at = stpcpy(text, "{\"a\":");
		for (int i = 1; i < depth; i++)
			*at++ = '[';
		for (int i = 1; i < depth; i++)
			*at++ = ']';
		stpcpy(at, "}");
		status = body_of(text, strlen(text), "application/json", NULL,
		    1000, &rq, &code);
		if (depth > INTAKE_JSON_DEPTH) {
			assert_int_equal(status, 400);
			assert_string_equal(code, "invalid_json");
		}
		if (depth < INTAKE_JSON_DEPTH)
			assert_int_equal(status, 200);
		json_object_put(rq.body);
	}
}

/* --- parameters ------------------------------------------------------- */

static bool
time_ok(const char *text)
{
	struct req rq = {
		.request_id = "t", .params = { { "from", text } }, .n_params = 1
	};
	struct reply rp = { .status = 0 };
	const char *got = NULL;
	bool ok = req_param_time(&rq, &rp, "from", &got);

	assert_int_equal(rp.status, ok ? 0 : 400);
	json_object_put(rp.body);
	return ok;
}

static void
test_times_are_rfc_3339_or_dates(void **state)
{
	static const char *const good[] = { "2026-01-31", "2024-02-29",
		"2026-01-31T23:59:59Z", "2026-01-31t00:00:00z",
		"2026-01-31T12:00:00.123456+05:30",
		"2026-12-31T23:59:60-08:00" };
	static const char *const bad[] = { "", "now", "2026-1-31", "2026-02-30",
		"2025-02-29", "1900-02-29", "0000-01-01", "2026-13-01",
		"2026-01-31T24:00:00Z", "2026-01-31T12:00Z",
		"2026-01-31T12:00:00", "2026-01-31T12:00:00.Z",
		"2026-01-31T12:00:00+0530", "2026-01-31T12:00:00Zx",
		"2026-01-31'; DROP TABLE x", "20260131", "2026-01-31T" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(time_ok(good[i]));
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(time_ok(bad[i]));
}

static void
test_numbers_have_bounds(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} cases[] = {
		{ "1", true },
		{ "100", true },
		{ "0", false },
		{ "101", false },
		{ "-1", false },
		{ "", false },
		{ "1.5", false },
		{ "1e1", false },
		{ " 1", false },
		{ "+1", false },
		{ "0x1", false },
		{ "99999999999999999999", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct req rq = { .request_id = "t",
			.params = { { "limit", cases[i].text } },
			.n_params = 1 };
		struct reply rp = { .status = 0 };
		int64_t v = -7;

		assert_int_equal(
		    req_param_int(&rq, &rp, "limit", 1, 100, 20, &v),
		    cases[i].ok);
		if (!cases[i].ok) {
			assert_string_equal(
			    json_text(rp.body, "field"), "limit");
			assert_int_equal(v, -7);
		}
		json_object_put(rp.body);
	}
}

/* --- origins ---------------------------------------------------------- */

static void
test_only_our_pages_write_with_a_cookie(void **state)
{
	static const struct {
		const char *public, *listed, *origin, *host, *site;
		bool ok;
	} cases[] = {
		{ "https://a.example", "", "https://a.example", "x", NULL,
		    true },
		{ "https://a.example", "", "https://a.example.evil", "x", NULL,
		    false },
		{ "https://a.example", "", "https://A.example", "x", NULL,
		    false },
		/* the setting counts, not what the client says of the host */
		{ "https://a.example", "", "http://x", "x", NULL, false },
		{ "", "", "http://h:81", "h:81", NULL, true },
		{ "", "", "http://h", "h:81", NULL, false },
		{ "", "", "https://h:81", "h:81", NULL, false },
		{ "", "https://b.example, https://c.example",
		    "https://c.example", "h", NULL, true },
		{ "", "https://b.example", "https://b.exampl", "h", NULL,
		    false },
		{ "", "https://b.example", "https://b.example:444", "h", NULL,
		    false },
		{ "", "null", "null", "h", NULL, false },
		{ "", "", NULL, "h", NULL, false },
		{ "", "", "", "h", NULL, false },
		{ "", "", NULL, "h", "same-origin", true },
		{ "", "", NULL, "h", "same-site", false },
		{ "", "", NULL, "h", "cross-site", false },
		{ "", "", "https://evil", "h", "none", false },
	};
	struct settings s = plain_settings();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct raw_request raw = { .origin = cases[i].origin,
			.host = cases[i].host,
			.scheme = "http",
			.fetch_site = cases[i].site };

		s.public_origin = cases[i].public;
		s.cors_origins = cases[i].listed;
		assert_int_equal(origin_may_write(&s, &raw), cases[i].ok);
	}
}

/* --- all the way through ---------------------------------------------- */

static int
call_status(const struct call *c)
{
	return atoi(c->head + strlen("Status: "));
}

static void
test_cors_headers_are_for_listed_origins(void **state)
{
	static const char allow[] =
	    "Access-Control-Allow-Origin: https://b.example\r\n";
	struct settings s = plain_settings();
	struct shop shop = { .settings = &s };
	struct call *c = calloc(1, sizeof *c);
	struct source none = { "", 0 };
	struct raw_request raw = { .method = "OPTIONS",
		.uri = "/api/sync/start",
		.origin = "https://b.example",
		.read = read_pieces,
		.arg = &none };

	(void)state;
	s.cors_origins = "https://b.example";
	dispatch(&shop, &raw, c);
	assert_int_equal(call_status(c), 204);
	assert_non_null(strstr(c->head, allow));
	assert_non_null(strstr(c->head, "Allow-Credentials: true"));
	assert_non_null(strstr(c->head, "Allow-Methods: POST, OPTIONS\r\n"));
	assert_non_null(strstr(c->head, "Vary: Origin\r\n"));
	call_fini(c);

	/* an error is readable for the page as well */
	raw.method = "GET";
	raw.uri = "/api/nothing";
	dispatch(&shop, &raw, c);
	assert_int_equal(call_status(c), 404);
	assert_non_null(strstr(c->head, allow));
	call_fini(c);

	raw.origin = "https://evil.example";
	dispatch(&shop, &raw, c);
	assert_null(strstr(c->head, "Access-Control"));
	assert_non_null(strstr(c->head, "Vary: Origin\r\n"));
	call_fini(c);
	free(c);
}

static void
test_identity_decides_before_the_body_is_read(void **state)
{
	struct settings s = plain_settings();
	struct shop shop = { .settings = &s };
	struct call *c = calloc(1, sizeof *c);
	struct source body = { "not json", 8 };
	struct raw_request raw = { .method = "POST",
		.uri = "/api/sync/start",
		.content_type = "application/json",
		.content_length = "8",
		.gateway_user = "ann",
		.read = read_pieces,
		.arg = &body };
	char why[128];

	(void)state;
	assert_int_equal(keyring_open(&s, &shop.keys, why, sizeof why), ERR_OK);
	dispatch(&shop, &raw, c);
	assert_int_equal(call_status(c), 401);
	assert_int_equal(body.left, 8);
	assert_string_equal(json_text(c->rp.body, "code"), "unauthorized");
	call_fini(c);

	/* with a gateway that is trusted, the body's turn comes */
	s.trust_gateway = true;
	dispatch(&shop, &raw, c);
	assert_int_equal(call_status(c), 400);
	assert_string_equal(json_text(c->rp.body, "code"), "invalid_json");
	call_fini(c);

	raw.uri = "/api/enhanced-sync/bulk";
	dispatch(&shop, &raw, c);
	assert_int_equal(call_status(c), 403);
	call_fini(c);
	keyring_close(shop.keys);
	free(c);
}

static void
test_head_has_the_length_but_not_the_body(void **state)
{
	struct settings s = plain_settings();
	struct shop shop = { .settings = &s };
	struct call *c = calloc(1, sizeof *c);
	struct source none = { "", 0 };
	const struct raw_request raw = { .method = "HEAD",
		.uri = "/healthz",
		.request_id = "my-id",
		.read = read_pieces,
		.arg = &none };

	(void)state;
	dispatch(&shop, &raw, c);
	assert_int_equal(call_status(c), 200);
	assert_int_equal(c->body_len, 0);
	assert_non_null(strstr(c->head, "Content-Length: 30\r\n"));
	assert_non_null(strstr(c->head, "X-Request-Id: my-id\r\n"));
	assert_non_null(strstr(c->head, "Cache-Control: no-store\r\n"));
	assert_non_null(strstr(c->head, "nosniff\r\n\r\n"));
	call_fini(c);
	free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percent_decoding_is_strict),
		cmocka_unit_test(test_paths_and_queries_are_judged),
		cmocka_unit_test(test_a_query_becomes_parameters),
		cmocka_unit_test(test_long_addresses_are_refused),
		cmocka_unit_test(test_a_request_id_is_sane_or_ours),
		cmocka_unit_test(test_bodies_are_judged),
		cmocka_unit_test(test_a_body_has_its_route_s_limit),
		cmocka_unit_test(test_depth_is_bounded),
		cmocka_unit_test(test_times_are_rfc_3339_or_dates),
		cmocka_unit_test(test_numbers_have_bounds),
		cmocka_unit_test(test_only_our_pages_write_with_a_cookie),
		cmocka_unit_test(test_cors_headers_are_for_listed_origins),
		cmocka_unit_test(test_identity_decides_before_the_body_is_read),
		cmocka_unit_test(test_head_has_the_length_but_not_the_body),
	};

	log_setup("test", LOG_ERROR, true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
