/*
 * intake.h - what came over the wire, made into a request handlers can trust.
 *
 * Everything in a raw_request is the client's word.  Each function checks one
 * part; false means that the reply is written and the request is over.
 * Blocks only in raw->read.  Knows no libfcgi, so tests and fuzzers call it.
 */
#ifndef SYNCLINE_INTAKE_H
#define SYNCLINE_INTAKE_H

#include "fcgi/req.h"
#include "fcgi/route.h"

#define INTAKE_QUERY_MAX 4096 /* bytes, as sent */
#define INTAKE_QUERY_PARAMS (REQ_PARAMS_MAX - 4)
#define INTAKE_ID_MAX 64
#define INTAKE_KEY_MAX 128
#define INTAKE_JSON_DEPTH 32

/* Borrowed texts; NULL is absent. */
struct raw_request {
	const char *method;
	const char *uri; /* path and query, as the client wrote them */
	const char *scheme;
	const char *host;
	const char *request_id;
	const char *idempotency_key;
	const char *authorization;
	const char *cookie;
	const char *gateway_user; /* X-User-Id */
	const char *origin;
	const char *fetch_site;
	const char *content_type;
	const char *content_length;
	/* The next bytes of the body; 0 at its end. */
	size_t (*read)(void *arg, char *buf, size_t size);
	void *arg;
};

/* What backs the texts of one request; a thread keeps one and uses it again. */
struct intake {
	char path[REQ_PATH_MAX + 1];
	/* each name and each value ends with a NUL */
	char query[INTAKE_QUERY_MAX + 2 * INTAKE_QUERY_PARAMS + 2];
	char request_id[INTAKE_ID_MAX + 1];
	char method[17];
};

/*
 * percent_decode decodes len bytes into out, which has room for len + 1, and
 * ends it with a NUL; plus: '+' is a space.  False: a bad escape, bad UTF-8
 * or a control character.
 */
bool
percent_decode(const char *text, size_t len, bool plus, char *out) MUST_CHECK;

/*
 * intake_line fills method, path, query parameters, request id and
 * idempotency key.  400 `bad_method`, `bad_path`, `bad_query`, `bad_header`,
 * 414 `uri_too_long`.  The request id is set in any case.
 */
bool intake_line(struct intake *in, const struct raw_request *raw,
    struct req *rq, struct reply *rp) MUST_CHECK;

/*
 * intake_body reads rq->body within the route's limit.  413
 * `payload_too_large`, 415 `unsupported_media_type`, 400 `incomplete_body`,
 * `invalid_json`.  The caller puts rq->body.
 */
bool intake_body(
    const struct raw_request *raw, struct req *rq, struct reply *rp) MUST_CHECK;

#endif
