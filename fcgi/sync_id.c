/* sync_id.c - UUIDs of version 7 out, texts with limits in. */
#include "fcgi/sync_id.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum err
sync_id_new(char ret[SYNC_ID_SIZE])
{
	unsigned char b[16];
	struct timespec now;
	uint64_t ms;

	if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
		return ERR_IO;
	clock_gettime(CLOCK_REALTIME, &now);
	ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	for (int i = 0; i < 6; i++)
		b[i] = (unsigned char)(ms >> (40 - 8 * i));
	b[6] = (unsigned char)(0x70 | (b[6] & 0x0f));
	b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
	snprintf(ret, SYNC_ID_SIZE,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x%02x%02x%02x%02x",
	    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
	    b[11], b[12], b[13], b[14], b[15]);
	return ERR_OK;
}

bool
sync_id_valid(const char *text)
{
	size_t n = strlen(text);

	if (n == 0 || n > SYNC_ID_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f)
			return false;
	}
	return true;
}

bool
sync_id_of(const struct req *rq, struct reply *rp, const char **ret)
{
	const char *name = "id", *id = req_param(rq, name);
	json_object *o;

	if (!id) {
		name = "syncId";
		id = req_param(rq, name);
	}
	if (id && !sync_id_valid(id)) {
		o = reply_problem(rp, rq, 400, "invalid_parameter",
		    "A sync's id is a text of 1 to 128 characters.");
		json_object_object_add(
		    o, "field", json_object_new_string(name));
		return false;
	}
	*ret = id;
	return true;
}

bool
sync_id_required(const struct req *rq, struct reply *rp, const char **ret)
{
	const char *id;

	if (!sync_id_of(rq, rp, &id))
		return false;
	if (!id) {
		reply_problem(rp, rq, 400, "invalid_parameter",
		    "The request does not say which sync.");
		return false;
	}
	*ret = id;
	return true;
}

void
reply_sync_not_found(struct reply *rp, const struct req *rq)
{
	reply_problem(rp, rq, 404, "not_found", "Sync not found.");
}
