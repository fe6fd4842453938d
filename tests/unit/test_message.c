/* test_message.c - round trips, and what strangers might send. */
#include "shared/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err
decode(const char *text, struct message_request *ret)
{
	return message_request_decode(text, strlen(text), ret);
}

static void
test_requests_come_back(void **state)
{
	const struct message_request start = {
		.op = MESSAGE_START,
		.request_id = "r-1",
		.sync_ids = { "s1", "s2", "s3" },
		.n_sync_ids = 3,
	};
	const struct message_request cancel = {
		.op = MESSAGE_CANCEL,
		.user_id = "ann \"the\" \xc3\xa4",
		.sync_id = "s1",
	};
	struct message_request got;
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(message_request_encode(&start, &text, &len), ERR_OK);
	assert_int_equal(message_request_decode(text, len, &got), ERR_OK);
	free(text);
	assert_int_equal(got.op, MESSAGE_START);
	assert_string_equal(got.request_id, "r-1");
	assert_int_equal(got.n_sync_ids, 3);
	assert_string_equal(got.sync_ids[2], "s3");
	assert_null(got.user_id);
	message_request_fini(&got);

	assert_int_equal(message_request_encode(&cancel, &text, &len), ERR_OK);
	assert_int_equal(message_request_decode(text, len, &got), ERR_OK);
	free(text);
	assert_int_equal(got.op, MESSAGE_CANCEL);
	assert_string_equal(got.user_id, cancel.user_id);
	assert_string_equal(got.sync_id, "s1");
	assert_null(got.request_id);
	message_request_fini(&got);
}

static void
test_replies_come_back(void **state)
{
	const struct message_reply pong = {
		.ok = true,
		.runner_id = "r",
		.name = "n",
		.version = "v",
		.active = 12,
	};
	const struct message_reply no = { .code = "not_mine" };
	struct message_reply got;
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(message_reply_encode(&pong, &text, &len), ERR_OK);
	assert_int_equal(message_reply_decode(text, len, &got), ERR_OK);
	free(text);
	assert_true(got.ok);
	assert_string_equal(got.runner_id, "r");
	assert_int_equal(got.active, 12);
	assert_null(got.code);
	message_reply_fini(&got);

	assert_int_equal(message_reply_encode(&no, &text, &len), ERR_OK);
	assert_int_equal(message_reply_decode(text, len, &got), ERR_OK);
	free(text);
	assert_false(got.ok);
	assert_string_equal(got.code, "not_mine");
	message_reply_fini(&got);
}

static void
test_later_versions_are_understood(void **state)
{
	struct message_request rq;

	(void)state;
	assert_int_equal(decode("{\"v\":7,\"op\":\"start\",\"syncIds\":[],"
				"\"mood\":{\"x\":[1]}}",
			     &rq),
	    ERR_OK);
	assert_int_equal(rq.op, MESSAGE_START);
	message_request_fini(&rq);
	assert_int_equal(decode("{\"v\":2,\"op\":\"dance\"}", &rq), ERR_OK);
	assert_int_equal(rq.op, MESSAGE__MAX);
	message_request_fini(&rq);
}

static void
test_bad_requests_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"null",
		"[]",
		"7",
		"\"x\"",
		"{}",
		"{",
		"{}x",
		"{\"v\":0,\"op\":\"ping\"}",
		"{\"v\":\"1\",\"op\":\"ping\"}",
		"{\"op\":\"ping\"}",
		"{\"v\":1}",
		"{\"v\":1,\"op\":7}",
		"{\"v\":1,\"op\":null}",
		"{\"v\":1,\"op\":\"cancel\"}",
		"{\"v\":1,\"op\":\"cancel\",\"userId\":\"u\"}",
		"{\"v\":1,\"op\":\"cancel\",\"userId\":\"\",\"syncId\":\"s\"}",
		"{\"v\":1,\"op\":\"cancel\",\"userId\":7,\"syncId\":\"s\"}",
		"{\"v\":1,\"op\":\"start\",\"syncIds\":\"s\"}",
		"{\"v\":1,\"op\":\"start\",\"syncIds\":{\"0\":\"s\"}}",
		"{\"v\":1,\"op\":\"start\",\"syncIds\":[7]}",
		"{\"v\":1,\"op\":\"start\",\"syncIds\":[null]}",
		"{\"v\":1,\"op\":\"start\",\"syncIds\":[\"\"]}",
		"{\"v\":1,\"op\":\"start\",\"syncIds\":[\"a\\u0000b\"]}",
		"{\"v\":1,\"op\":\"ping\",\"userId\":\"\xff\"}",
	};
	struct message_request rq;

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(bad); i++) {
		if (decode(bad[i], &rq) != ERR_INVAL)
			fail_msg("taken: %s", bad[i]);
	}
}

static void
test_limits_hold(void **state)
{
	struct message_request rq = {
		.op = MESSAGE_START,
		.n_sync_ids = MESSAGE_IDS_MAX + 1,
	};
	char *big = malloc(MESSAGE_MAX + 1), *text;
	char *many = malloc(MESSAGE_MAX), id[200];
	size_t len;

	(void)state;
	assert_int_equal(
	    message_request_encode(&rq, &text, &len), ERR_TOO_LARGE);

	memset(big, ' ', MESSAGE_MAX + 1);
	memcpy(big, "{\"v\":1,\"op\":\"ping\"}", 19);
	assert_int_equal(
	    message_request_decode(big, MESSAGE_MAX + 1, &rq), ERR_TOO_LARGE);
	assert_int_equal(message_request_decode(big, MESSAGE_MAX, &rq), ERR_OK);
	message_request_fini(&rq);

	len = (size_t)sprintf(many, "{\"v\":1,\"op\":\"start\",\"syncIds\":[");
	for (int i = 0; i <= MESSAGE_IDS_MAX; i++)
		len += (size_t)sprintf(many + len, "%s\"s\"", i ? "," : "");
	sprintf(many + len, "]}");
	assert_int_equal(decode(many, &rq), ERR_INVAL);

	memset(id, 'x', 129);
	id[129] = '\0';
	sprintf(many, "{\"v\":1,\"op\":\"start\",\"syncIds\":[\"%s\"]}", id);
	assert_int_equal(decode(many, &rq), ERR_INVAL);
	memset(many, '[', 100);
	many[100] = '\0';
	assert_int_equal(decode(many, &rq), ERR_INVAL);
	free(many);
	free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_come_back),
		cmocka_unit_test(test_replies_come_back),
		cmocka_unit_test(test_later_versions_are_understood),
		cmocka_unit_test(test_bad_requests_are_refused),
		cmocka_unit_test(test_limits_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
