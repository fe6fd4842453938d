/* test_shared.c - settings, log lines, status words and JSON. */
#include "shared/json.h"
#include "shared/log.h"
#include "shared/settings.h"
#include "shared/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
test_settings_have_defaults_within_their_limits(void **state)
{
	struct settings s;
	char why[200];
	size_t n;
	const struct setting_def *t = settings_table(&n);

	(void)state;
	for (size_t i = 0; i < n; i++)
		unsetenv(t[i].name);
	assert_int_equal(settings_load(&s, why, sizeof why), ERR_OK);
	assert_int_equal(s.fcgi_processes, 2);
	assert_true(s.classic_status);
	assert_false(s.trust_gateway);
	for (size_t i = 0; i < n; i++) {
		assert_non_null(t[i].help);
		assert_true(strncmp(t[i].name, "SYNCLINE_", 9) == 0);
		for (size_t k = i + 1; k < n; k++) {
			assert_string_not_equal(t[i].name, t[k].name);
			assert_int_not_equal(t[i].offset, t[k].offset);
		}
	}
}

static void
test_settings_refuse_what_is_out_of_range(void **state)
{
	static const char *const bad[] = { "0", "-1", "65", "2x", "x", " ",
		"99999999999999999999" };
	struct settings s;
	char why[200];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(bad); i++) {
		setenv("SYNCLINE_FCGI_PROCESSES", bad[i], 1);
		assert_int_equal(
		    settings_load(&s, why, sizeof why), ERR_INVAL);
		assert_non_null(strstr(why, "SYNCLINE_FCGI_PROCESSES"));
	}
	unsetenv("SYNCLINE_FCGI_PROCESSES");
	setenv("SYNCLINE_TRUST_GATEWAY", "maybe", 1);
	assert_int_equal(settings_load(&s, why, sizeof why), ERR_INVAL);
	unsetenv("SYNCLINE_TRUST_GATEWAY");
}

/* Writes one line through the real log and reads it back. */
static json_object *
logged(const char *value)
{
	int fds[2], saved = dup(STDERR_FILENO);
	char buf[8192];
	ssize_t n;
	json_object *o = NULL;

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	log_at(LOG_WARN, "something", LOG_STR("value", value),
	    LOG_INT("count", -7));
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	n = read(fds[0], buf, sizeof buf);
	close(fds[0]);
	assert_true(n > 0 && buf[n - 1] == '\n');
	assert_int_equal(
	    json_read(buf, (size_t)n - 1, 4, &o, NULL), ERR_OK);
	return o;
}

static void
test_a_log_line_cannot_be_forged(void **state)
{
	char *big = malloc(20001);
	json_object *o;

	(void)state;
	o = logged("a\"b\\c\n{\"level\":\"error\"}\t\x01");
	assert_string_equal(json_text(o, "level"), "warn");
	assert_string_equal(
	    json_text(o, "value"), "a\"b\\c\n{\"level\":\"error\"}\t\x01");
	assert_int_equal(json_i64(o, "count", 0), -7);
	json_object_put(o);

	memset(big, 'x', 20000);
	big[20000] = '\0';
	o = logged(big); /* too long: cut, and still a valid line */
	json_object_put(o);
	free(big);
}

static void
test_old_status_words_are_understood_and_never_canonical(void **state)
{
	static const struct {
		const char *word;
		enum status status;
	} cases[] = {
		{ "running", STATUS_RUNNING },
		{ "in_progress", STATUS_RUNNING },
		{ "In_Progress", STATUS_RUNNING },
		{ "completed", STATUS_COMPLETED },
		{ "complete", STATUS_COMPLETED },
		{ "cancelled", STATUS_CANCELLED },
		{ "canceled", STATUS_CANCELLED },
		{ "failed", STATUS_FAILED },
		{ "idle", STATUS_IDLE },
	};
	enum status s;

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(status_parse(cases[i].word, &s), ERR_OK);
		assert_int_equal(s, cases[i].status);
	}
	assert_int_equal(status_parse("done", &s), ERR_INVAL);
	assert_int_equal(status_parse("", &s), ERR_INVAL);
	assert_string_equal(status_classic(STATUS_RUNNING), "in_progress");
	assert_string_equal(status_classic(STATUS_CANCELLED), "failed");
}

static void
test_ended_is_final(void **state)
{
	(void)state;
	for (int a = 0; a < STATUS__MAX; a++) {
		for (int b = 0; b < STATUS__MAX; b++) {
			bool want = a == STATUS_RUNNING && b != STATUS_IDLE;

			assert_int_equal(status_edge((enum status)a,
			    (enum status)b), want);
		}
	}
}

static void
test_json_refuses_what_postgresql_cannot_store(void **state)
{
	static const char *const bad[] = { "", "null", "{", "{}x", "[1,]",
		"{\"a\":\"\\u0000\"}", "{\"\xff\":1}", "{'a':1}", "nul",
		"{\"a\":[[[[[[[[[1]]]]]]]]]}", "\"\xed\xa0\x80\"",
		"\"\xc0\x80\"", "{\"a\":NaN}", "01", "{\"a\":-01}",
		"{\"a\":1}/**/", "{\"a\":Infinity}", "{a:1}" };
	static const char *const good[] = { "{\"a\":\"\xc3\xa9\"}", "[]", " 0 ",
		"{\"it's\":\"/* 01 */ \\\" '\"}", "[0.01,-0.5,1e05,100,20e+03]",
		"{\"a\":[true,false,null]}", "\"x\"" };
	json_object *o;

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(bad); i++) {
		const char *why = NULL;

		if (json_read(bad[i], strlen(bad[i]), 8, &o, &why) == ERR_OK) {
			json_object_put(o);
			fail_msg("taken: %s", bad[i]);
		}
		assert_non_null(why);
	}
	for (unsigned i = 0; i < COUNT_OF(good); i++) {
		if (json_read(good[i], strlen(good[i]), 8, &o, NULL))
			fail_msg("refused: %s", good[i]);
		json_object_put(o);
	}
}

static void
test_decimals_keep_every_digit(void **state)
{
	const char *text = "{\"a\":0.10,\"b\":-12345678901234567890.123456789,"
			   "\"c\":\"7.50\",\"d\":5,\"e\":\"x\",\"f\":true,"
			   "\"g\":99999999999999999999999,\"h\":1e3}";
	json_object *o;

	(void)state;
	assert_int_equal(
	    json_read(text, strlen(text), 4, &o, NULL), ERR_OK);
	assert_string_equal(json_decimal(o, "a"), "0.10");
	assert_string_equal(
	    json_decimal(o, "b"), "-12345678901234567890.123456789");
	assert_string_equal(json_decimal(o, "c"), "7.50");
	assert_string_equal(json_decimal(o, "d"), "5");
	assert_null(json_decimal(o, "e"));
	assert_null(json_decimal(o, "f"));
	assert_string_equal(json_decimal(o, "h"), "1e3");
	assert_null(json_decimal(o, "missing"));
	json_object_put(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_settings_have_defaults_within_their_limits),
		cmocka_unit_test(test_settings_refuse_what_is_out_of_range),
		cmocka_unit_test(test_a_log_line_cannot_be_forged),
		cmocka_unit_test(
		    test_old_status_words_are_understood_and_never_canonical),
		cmocka_unit_test(test_ended_is_final),
		cmocka_unit_test(
		    test_json_refuses_what_postgresql_cannot_store),
		cmocka_unit_test(test_decimals_keep_every_digit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
