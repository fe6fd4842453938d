/* test_route.c - the table of routes, walked whole, and how paths find it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fcgi/intake.h"
#include "fcgi/route.h"

#include <stdio.h>
#include <string.h>

/* A path that fits a pattern: each parameter becomes "x7". */
static void
sample(const char *pattern, char *out)
{
	while (*pattern != '\0') {
		if (*pattern == ':') {
			out = stpcpy(out, "x7");
			pattern += strcspn(pattern, "/");
		} else {
			*out++ = *pattern++;
		}
	}
	*out = '\0';
}

static const struct route *
find(struct req *rq, struct reply *rp, const char *method, const char *path)
{
	*rq = (struct req){
		.method = method, .path = path, .request_id = "test"
	};
	*rp = (struct reply){ .status = 0 };
	return route_find(rq, rp);
}

static void
test_every_route_is_found_by_its_own_path(void **state)
{
	size_t n;
	const struct route *t = route_table(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		char path[256];
		struct req rq;
		struct reply rp;

		sample(t[i].path, path);
		assert_ptr_equal(find(&rq, &rp, t[i].method, path), &t[i]);
		assert_int_equal(rp.status, 0);
	}
}

static void
test_no_two_routes_claim_one_path(void **state)
{
	size_t n;
	const struct route *t = route_table(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		char path[256];

		sample(t[i].path, path);
		for (size_t k = i + 1; k < n; k++) {
			char other[256];

			sample(t[k].path, other);
			assert_false(strcmp(t[i].method, t[k].method) == 0 &&
			    strcmp(path, other) == 0);
		}
	}
}

static void
test_every_row_is_whole(void **state)
{
	size_t n;
	const struct route *t = route_table(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		char methods[64 - sizeof ", OPTIONS"];

		assert_non_null(t[i].handle);
		assert_int_equal(t[i].path[0], '/');
		assert_true(strlen(t[i].path) <= 64);
		assert_true(t[i].max_body <= 4 * MB);
		/* what identity protects lies under /api/ */
		if (t[i].auth != AUTH_NONE)
			assert_int_equal(strncmp(t[i].path, "/api/", 5), 0);
		if (t[i].flags & ROUTE_CLASSIC)
			assert_int_equal(strncmp(t[i].path,
					     "/api/v1/integrations/sync/", 26),
			    0);
		if (strcmp(t[i].method, "GET") == 0)
			assert_int_equal(t[i].max_body, 0);
		assert_true(route_methods(t[i].path, methods, sizeof methods));
		assert_true(strlen(methods) < sizeof methods - 1);
	}
}

static void
test_head_is_answered_as_get(void **state)
{
	struct req rq;
	struct reply rp;
	const struct route *r = find(&rq, &rp, "HEAD", "/api/sync/status");

	(void)state;
	assert_non_null(r);
	assert_string_equal(r->method, "GET");
	assert_null(find(&rq, &rp, "HEAD", "/api/sync/start"));
	assert_int_equal(rp.status, 405);
	json_object_put(rp.body);
}

static void
test_path_parameters_stand_before_those_of_the_query(void **state)
{
	struct reply rp = { .status = 0 };
	struct req rq = { .method = "GET",
		.path = "/api/sync/status/abc",
		.request_id = "test",
		.params = { { "id", "query" }, { "limit", "3" } },
		.n_params = 2 };

	(void)state;
	assert_non_null(route_find(&rq, &rp));
	assert_string_equal(req_param(&rq, "id"), "abc");
	assert_string_equal(req_param(&rq, "limit"), "3");
	assert_null(req_param(&rq, "offset"));
	assert_int_equal(rq.n_params, 3);
}

static void
test_unknown_paths_and_methods_are_told_apart(void **state)
{
	static const char *const unknown[] = { "/", "/api", "/api/",
		"/api/sync", "/api/sync/start/", "/api//sync/start",
		"/api/sync/status/", "/api/sync/status/a/b", "/API/sync/start",
		"/api/sync/startx", "/healthz/" };
	struct req rq;
	struct reply rp;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(unknown); i++) {
		assert_null(find(&rq, &rp, "GET", unknown[i]));
		assert_int_equal(rp.status, 404);
		assert_string_equal(rp.allow, "");
		json_object_put(rp.body);
	}
	assert_null(find(&rq, &rp, "PATCH", "/api/v1/connections/amazon"));
	assert_int_equal(rp.status, 405);
	assert_string_equal(rp.allow, "GET, HEAD, PUT, DELETE");
	json_object_put(rp.body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_route_is_found_by_its_own_path),
		cmocka_unit_test(test_no_two_routes_claim_one_path),
		cmocka_unit_test(test_every_row_is_whole),
		cmocka_unit_test(test_head_is_answered_as_get),
		cmocka_unit_test(
		    test_path_parameters_stand_before_those_of_the_query),
		cmocka_unit_test(test_unknown_paths_and_methods_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
