/* test_retry.c - each kind of failure and what follows from it. */
#include "runner/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static const struct retry_state fresh = {
	.attempt = 1,
	.max_attempts = 3,
	.db_failures = 1,
	.base_ms = 1000,
	.cap_ms = 60000,
};

static struct failure
failure_of(enum failure_class class, int64_t wait_ms)
{
	return (struct failure){
		.class = class,
		.code = "its_code",
		.message = "Its sentence.",
		.wait_ms = wait_ms,
	};
}

static void
test_what_a_source_says(void **state)
{
	static const struct {
		enum failure_class class;
		enum verdict_kind kind;
		bool retryable, reconnect;
		const char *code;
	} cases[] = {
		{ FAILURE_TRANSIENT, VERDICT_RETRY, true, false, "its_code" },
		{ FAILURE_LIMITED, VERDICT_WAIT, true, false, "its_code" },
		{ FAILURE_PERMANENT, VERDICT_FAIL, false, false, "its_code" },
		{ FAILURE_RECONNECT, VERDICT_FAIL, false, true,
		    "reconnect_required" },
		{ FAILURE_OPERATOR, VERDICT_FAIL, true, false,
		    "operator_setup" },
	};

	(void)state;
	assert_int_equal(COUNT_OF(cases), FAILURE__MAX);
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		struct failure why = failure_of(cases[i].class, 5);
		struct verdict v = retry_judge(&fresh, ERR_PEER, &why, 0.5);

		assert_int_equal(v.kind, cases[i].kind);
		assert_int_equal(v.retryable, cases[i].retryable);
		assert_int_equal(v.reconnect, cases[i].reconnect);
		assert_string_equal(v.code, cases[i].code);
		assert_string_equal(v.message, "Its sentence.");
	}
}

static void
test_attempts_run_out(void **state)
{
	struct failure why = failure_of(FAILURE_TRANSIENT, 0);
	struct retry_state st = fresh;
	struct verdict v;

	(void)state;
	for (; st.attempt < 3; st.attempt++) {
		v = retry_judge(&st, ERR_PEER, &why, 0.5);
		assert_int_equal(v.kind, VERDICT_RETRY);
		assert_int_equal(v.attempt, st.attempt + 1);
	}
	v = retry_judge(&st, ERR_PEER, &why, 0.5);
	assert_int_equal(v.kind, VERDICT_FAIL);
	assert_true(v.retryable);
	assert_string_equal(v.code, "its_code");
	/* a limit costs none, however often */
	why = failure_of(FAILURE_LIMITED, 1234);
	v = retry_judge(&st, ERR_PEER, &why, 0.5);
	assert_int_equal(v.kind, VERDICT_WAIT);
	assert_int_equal(v.delay_ms, 1234);
}

static void
test_what_our_own_errors_mean(void **state)
{
	static const struct {
		enum err err;
		enum verdict_kind kind;
	} cases[] = {
		{ ERR_FENCED, VERDICT_DROP },
		{ ERR_DB_AWAY, VERDICT_DOUBT },
		{ ERR_TIMEOUT, VERDICT_DOUBT },
		{ ERR_INTERRUPTED, VERDICT_DOUBT },
		{ ERR_DB_RETRY, VERDICT_AGAIN },
		{ ERR_DATA, VERDICT_RETRY },
		{ ERR_DB, VERDICT_RETRY },
		{ ERR_EDGE, VERDICT_RETRY },
		{ ERR_NOMEM, VERDICT_RETRY },
		{ ERR_INVAL, VERDICT_RETRY },
	};
	const struct failure none = { .class = FAILURE_TRANSIENT };

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		struct verdict v =
		    retry_judge(&fresh, cases[i].err, &none, 0.5);

		assert_int_equal(v.kind, cases[i].kind);
		if (v.kind == VERDICT_RETRY)
			assert_string_equal(v.code, "internal_error");
	}
}

static void
test_backoff_has_full_jitter_and_a_cap(void **state)
{
	(void)state;
	assert_int_equal(retry_delay_ms(1000, 60000, 1, 0), 0);
	assert_int_equal(retry_delay_ms(1000, 60000, 1, 0.999), 999);
	assert_int_equal(retry_delay_ms(1000, 60000, 4, 0.5), 4000);
	assert_int_equal(retry_delay_ms(1000, 60000, 100, 0.5), 30000);
	assert_int_equal(retry_delay_ms(5000, 1000, 1, 0.5), 500);
	for (int i = 0; i < 1000; i++) {
		double dice = retry_dice();

		assert_true(dice >= 0 && dice < 1);
	}
}

static void
test_a_source_may_ask_for_more_patience(void **state)
{
	struct failure why = failure_of(FAILURE_TRANSIENT, 30000);

	(void)state;
	assert_int_equal(
	    retry_judge(&fresh, ERR_PEER, &why, 0.5).delay_ms, 30000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_source_says),
		cmocka_unit_test(test_attempts_run_out),
		cmocka_unit_test(test_what_our_own_errors_mean),
		cmocka_unit_test(test_backoff_has_full_jitter_and_a_cap),
		cmocka_unit_test(test_a_source_may_ask_for_more_patience),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
