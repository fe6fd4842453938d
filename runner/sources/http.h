/*
 * http.h - one worker's HTTP client: blocking, but never deaf.
 *
 * A struct http belongs to one thread at a time; only http_interrupt may
 * come from another.  Connections are kept open between calls.  A call ends
 * when the peer says nothing (not a header line, not a byte of the body) for
 * the timeout, however long it talks; when the body is past its bound; or at
 * once when interrupted.
 *
 * Only http and https; certificates are verified; redirects are answers like
 * any other; proxies named in the environment are not used.
 */
#ifndef SYNCLINE_HTTP_H
#define SYNCLINE_HTTP_H

#include "shared/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http; /* opaque */

struct http_request {
	const char *method;         /* "GET" or "POST" */
	const char *url;
	const char *const *headers; /* "name: value", ended by NULL, or NULL */
	const char *body;           /* POST */
	size_t body_len;
	size_t max_body;            /* of the answer, decoded; 0: 32 MiB */
};

/* What came back; http_response_clear frees it. */
struct http_response {
	int status;
	char *body; /* a NUL follows the len bytes; never NULL on ERR_OK */
	size_t len;
	char content_type[96];
	char request_id[96];    /* x-amzn-RequestId, "" when absent */
	double rate_limit;      /* x-amzn-RateLimit-Limit, 0 when absent */
	int64_t retry_after_ms; /* Retry-After in seconds form, -1 when absent */
	int64_t date_ms;        /* Date, Unix time; 0 when absent */
	int64_t elapsed_ms;
};

/* Why a call brought no answer. */
struct http_error {
	const char *code; /* stable word: source_unreachable, source_silent,
			   * source_cut, response_too_large, tls_failed */
	bool permanent;   /* the same call would fail again */
	char text[160];   /* a sentence; no query, no secret */
};

/* http_open: silence of timeout_ms ends a call. */
enum err http_open(struct http **ret, int64_t timeout_ms) MUST_CHECK;
void http_close(struct http *h); /* NULL is fine */

/*
 * http_call performs one request.  ERR_OK: the peer answered, with whatever
 * status.  ERR_PEER: *why.  ERR_INTERRUPTED, ERR_NOMEM, ERR_INVAL (a URL or
 * method that cannot be sent).
 */
enum err http_call(struct http *h, const struct http_request *rq,
    struct http_response *ret, struct http_error *why) MUST_CHECK;

/* http_pause waits, and ends early with ERR_INTERRUPTED. */
enum err http_pause(struct http *h, int64_t ms) MUST_CHECK;

/*
 * http_interrupt makes the call under way, and each later one, end with
 * ERR_INTERRUPTED.  Any thread.  http_resume takes it back; the owner.
 */
void http_interrupt(struct http *h);
void http_resume(struct http *h);

void http_response_clear(struct http_response *r); /* for CLEANUP */

#endif
