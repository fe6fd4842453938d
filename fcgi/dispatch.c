/* dispatch.c - cheap checks first; nothing is read for who may not write. */
#include "fcgi/dispatch.h"
#include "fcgi/caller.h"
#include "fcgi/origin.h"
#include "fcgi/pool.h"
#include "shared/json.h"
#include "shared/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *
reason_of(int status)
{
	static const struct {
		int status;
		const char *words;
	} reasons[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 413, "Payload Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < COUNT_OF(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].words;
	}
	return "Status";
}

/* --- the answer ------------------------------------------------------- */

PRINTF_LIKE(2, 3)
static void
add(struct call *c, const char *fmt, ...)
{
	size_t room = sizeof c->head - c->head_len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(c->head + c->head_len, room, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < room)
		c->head_len += (size_t)n;
	else
		c->head[c->head_len] = '\0'; /* a line goes whole or not */
}

static void
add_cors(struct call *c, const struct settings *s,
    const struct raw_request *raw, bool preflight)
{
	if (*s->cors_origins == '\0')
		return;
	add(c, "Vary: Origin\r\n");
	if (!origin_listed(s, raw->origin))
		return;
	add(c,
	    "Access-Control-Allow-Origin: %s\r\n"
	    "Access-Control-Allow-Credentials: true\r\n",
	    raw->origin);
	if (preflight)
		add(c,
		    "Access-Control-Allow-Methods: %s\r\n"
		    "Access-Control-Allow-Headers: Authorization, "
		    "Content-Type, Idempotency-Key, X-Request-Id\r\n"
		    "Access-Control-Max-Age: 600\r\n",
		    c->rp.allow);
	else
		add(c,
		    "Access-Control-Expose-Headers: X-Request-Id, "
		    "Retry-After, Allow\r\n");
}

static void
take_text(struct call *c)
{
	const struct reply *rp = &c->rp;

	c->body = "";
	c->body_len = 0;
	if (rp->raw) {
		c->body = rp->raw;
		c->body_len = strlen(rp->raw);
	} else if (rp->body) {
		c->body = json_object_to_json_string_length(rp->body,
		    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
		    &c->body_len);
	}
}

static void
write_answer(
    struct call *c, const struct settings *s, const struct raw_request *raw)
{
	const struct reply *rp = &c->rp;
	bool preflight = strcmp(c->rq.method, "OPTIONS") == 0;

	c->head_len = 0;
	take_text(c);
	add(c, "Status: %d %s\r\n", rp->status, reason_of(rp->status));
	if (rp->status != 204)
		add(c, "Content-Type: %s\r\nContent-Length: %zu\r\n",
		    rp->raw ? rp->content_type
			    : "application/json; charset=utf-8",
		    c->body_len);
	add(c,
	    "X-Request-Id: %s\r\n"
	    "Cache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n",
	    c->rq.request_id);
	if (rp->status == 401)
		add(c, "WWW-Authenticate: Bearer\r\n");
	if (rp->retry_after_s > 0)
		add(c, "Retry-After: %d\r\n", rp->retry_after_s);
	if (rp->allow[0] != '\0')
		add(c, "Allow: %s\r\n", rp->allow);
	add_cors(c, s, raw, preflight);
	add(c, "\r\n");
	if (strcmp(c->rq.method, "HEAD") == 0 || rp->status == 204)
		c->body_len = 0;
}

/* --- the way through -------------------------------------------------- */

/* A preflight asks what a page may do; the answer is the same for anybody. */
static void
answer_options(struct call *c)
{
	struct reply *rp = &c->rp;
	size_t n;

	if (!route_methods(c->rq.path, rp->allow, sizeof rp->allow)) {
		reply_problem(rp, &c->rq, 404, "not_found",
		    "There is nothing at this address.");
		return;
	}
	n = strlen(rp->allow);
	snprintf(rp->allow + n, sizeof rp->allow - n, ", OPTIONS");
	reply_empty(rp);
}

static bool
borrow(const struct shop *s, struct call *c)
{
	enum err err;

	if (c->rq.route->flags & ROUTE_NO_DB)
		return true;
	err = pool_borrow(s->pool, &c->rq.db);
	if (!err)
		return true;
	/* the pool has told the log: an outage must not fill the disk */
	if (err == ERR_LIMITED)
		reply_problem(&c->rp, &c->rq, 503, "busy",
		    "The service is busy; try again in a moment.");
	else
		reply_problem(&c->rp, &c->rq, 503, "unavailable",
		    "The database is not available; try again in a moment.");
	c->rp.retry_after_s = 1;
	c->why = err == ERR_LIMITED ? "no_session" : "database_away";
	return false;
}

static void
answer(const struct shop *s, const struct raw_request *raw, struct call *c)
{
	struct req *rq = &c->rq;
	struct reply *rp = &c->rp;

	rq->route = route_find(rq, rp);
	if (!rq->route)
		return;
	rq->classic = rq->route->flags & ROUTE_CLASSIC;
	if (!caller_check(s->keys, raw, rq, rp, &c->why))
		return;
	if (!intake_body(raw, rq, rp) || !borrow(s, c))
		return;
	rq->route->handle(rq, rp);
	if (rp->status == 0)
		reply_err(rp, rq, ERR_IO);
	pool_return(s->pool, rq->db);
	rq->db = NULL;
}

static void
log_request(const struct call *c, const struct timespec *start)
{
	const char *code = c->rp.body ? json_text(c->rp.body, "code") : NULL;
	struct timespec end;
	int64_t us;

	clock_gettime(CLOCK_MONOTONIC, &end);
	us = (int64_t)(end.tv_sec - start->tv_sec) * 1000000 +
	    (end.tv_nsec - start->tv_nsec) / 1000;
	log_at(c->rp.status >= 500 ? LOG_ERROR : LOG_INFO, "request",
	    LOG_STR("method", c->rq.method),
	    LOG_STR("route", c->rq.route ? c->rq.route->path : ""),
	    LOG_INT("status", c->rp.status), LOG_INT("us", us),
	    LOG_STR("user", c->rq.who.user),
	    LOG_STR("request_id", c->rq.request_id), LOG_STR("code", code),
	    LOG_STR("why", c->why));
}

void
dispatch(const struct shop *s, const struct raw_request *raw, struct call *c)
{
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	c->rq = (struct req){ .settings = s->settings,
		.runners = s->runners,
		.vault = s->vault };
	c->rp = (struct reply){ .status = 0 };
	c->why = NULL;
	if (intake_line(&c->in, raw, &c->rq, &c->rp)) {
		if (strcmp(c->rq.method, "OPTIONS") == 0)
			answer_options(c);
		else
			answer(s, raw, c);
	}
	write_answer(c, s->settings, raw);
	log_request(c, &start);
}

void
call_fini(struct call *c)
{
	json_object_put(c->rq.body);
	json_object_put(c->rp.body);
	free(c->rp.raw);
	c->rq.body = NULL;
	c->rp.body = NULL;
	c->rp.raw = NULL;
}
