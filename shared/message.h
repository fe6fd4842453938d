/*
 * message.h - what handlers and runners say to each other over NNG.
 *
 * One JSON object a message, at most MESSAGE_MAX bytes.  `v` is the version
 * of the form: a receiver takes any v >= 1, ignores members it does not
 * know, and answers an op it does not know with code "unknown_op".  Every
 * request is a hint or a question: the database holds the truth.
 */
#ifndef SYNCLINE_MESSAGE_H
#define SYNCLINE_MESSAGE_H

#include "shared/err.h"
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#define MESSAGE_VERSION 1
#define MESSAGE_MAX (64 * 1024)
#define MESSAGE_IDS_MAX 256

enum message_op {
	MESSAGE_PING,   /* -> runner_id, name, version, active */
	MESSAGE_START,  /* sync_ids: syncs that wait -> nothing */
	MESSAGE_CANCEL, /* sync_id, user_id -> status, text: how it is now */
	MESSAGE__MAX
};

struct message_request {
	enum message_op op;
	const char *request_id; /* for the logs; may be NULL */
	const char *user_id;    /* CANCEL */
	const char *sync_id;    /* CANCEL */
	const char *sync_ids[MESSAGE_IDS_MAX]; /* START */
	size_t n_sync_ids;
	json_object *owner; /* backs the texts above after a decode */
};

struct message_reply {
	bool ok;
	const char *code; /* !ok: unknown_op, not_mine, busy, unavailable */
	const char *status; /* CANCEL: canonical word of the committed state */
	const char *text;   /* CANCEL: its message */
	const char *runner_id, *name, *version; /* PING */
	long long active;                       /* PING */
	json_object *owner;
};

/*
 * Encoding allocates a NUL-terminated text, the caller frees it.
 * ERR_TOO_LARGE past MESSAGE_MAX or MESSAGE_IDS_MAX.
 */
enum err message_request_encode(
    const struct message_request *rq, char **ret, size_t *ret_len) MUST_CHECK;
enum err message_reply_encode(
    const struct message_reply *rp, char **ret, size_t *ret_len) MUST_CHECK;

/*
 * Decoding checks every member; on ERR_OK free with ..._fini.  ERR_INVAL: not
 * a message.  An unknown op decodes as MESSAGE__MAX.
 */
enum err message_request_decode(
    const char *buf, size_t len, struct message_request *ret) MUST_CHECK;
enum err message_reply_decode(
    const char *buf, size_t len, struct message_reply *ret) MUST_CHECK;
void message_request_fini(struct message_request *rq);
void message_reply_fini(struct message_reply *rp);

#endif
