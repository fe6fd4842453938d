/*
 * dispatch.h - from what came over the wire to what goes back: the order in
 * which a request is checked, its handler run and its answer written.
 *
 * Knows no libfcgi.  A struct call belongs to one thread, which uses it for
 * one request after the other.
 */
#ifndef SYNCLINE_DISPATCH_H
#define SYNCLINE_DISPATCH_H

#include "fcgi/intake.h"

struct keyring;
struct pool;

/* What the threads of a process share; nothing of it changes. */
struct shop {
	const struct settings *settings;
	struct keyring *keys;
	struct vault *vault; /* NULL: no key is set */
	struct pool *pool;
	struct runner_client *runners;
};

#define CALL_HEAD_MAX 4096

struct call {
	struct intake in;
	struct req rq;
	struct reply rp;
	const char *why;          /* more for the log: a static word, or NULL */
	char head[CALL_HEAD_MAX]; /* the answer's header, with its blank line */
	size_t head_len;
	const char *body; /* backed by rp; "" for HEAD and 204 */
	size_t body_len;
};

/* dispatch answers one request; c->head and c->body are set in any case. */
void
dispatch(const struct shop *s, const struct raw_request *raw, struct call *c);

/* call_fini frees what dispatch left for the answer. */
void call_fini(struct call *c);

#endif
