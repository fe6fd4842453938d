/*
 * fuzz_message.c - feeds the readers of what handlers and runners exchange.
 *
 * The first byte chooses: 'Q' a request, 'P' a reply.  What is understood
 * must survive another round through the writer.
 *
 * With -DFUZZ_MAIN it is a plain program that runs the files named on its
 * command line.
 */
#include "shared/message.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static bool
same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void
fuzz_request(const char *buf, size_t len)
{
	struct message_request rq, again;
	size_t text_len;
	char *text;

	if (message_request_decode(buf, len, &rq) != ERR_OK)
		return;
	check(rq.n_sync_ids <= MESSAGE_IDS_MAX);
	/* escapes may grow past the limit: then it is said so */
	if (rq.op != MESSAGE__MAX &&
	    message_request_encode(&rq, &text, &text_len) == ERR_OK) {
		check(message_request_decode(text, text_len, &again) == ERR_OK);
		check(again.op == rq.op && same(again.user_id, rq.user_id));
		check(same(again.sync_id, rq.sync_id));
		check(same(again.request_id, rq.request_id));
		check(again.n_sync_ids == rq.n_sync_ids);
		for (size_t i = 0; i < rq.n_sync_ids; i++)
			check(same(again.sync_ids[i], rq.sync_ids[i]));
		message_request_fini(&again);
		free(text);
	}
	message_request_fini(&rq);
}

static void
fuzz_reply(const char *buf, size_t len)
{
	struct message_reply rp, again;
	size_t text_len;
	char *text;

	if (message_reply_decode(buf, len, &rp) != ERR_OK)
		return;
	if (message_reply_encode(&rp, &text, &text_len) == ERR_OK) {
		check(message_reply_decode(text, text_len, &again) == ERR_OK);
		check(again.ok == rp.ok && same(again.code, rp.code));
		check(same(again.status, rp.status));
		check(same(again.text, rp.text));
		message_reply_fini(&again);
		free(text);
	}
	message_reply_fini(&rp);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 'Q')
		fuzz_request((const char *)data + 1, size - 1);
	else if (data[0] == 'P')
		fuzz_reply((const char *)data + 1, size - 1);
	return 0;
}

#ifdef FUZZ_MAIN
int
main(int argc, char **argv)
{
	static uint8_t data[1 << 20];

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		uint8_t *copy;
		size_t len;

		if (!f) {
			perror(argv[i]);
			return 1;
		}
		len = fread(data, 1, sizeof data, f);
		fclose(f);
		copy = malloc(len ? len : 1); /* its size, for sanitizers */
		if (!copy)
			return 1;
		memcpy(copy, data, len);
		LLVMFuzzerTestOneInput(copy, len);
		free(copy);
	}
	return 0;
}
#endif
