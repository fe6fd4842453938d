/* call.c - routes a call, checks its credentials and limits, meets faults. */
#include "call.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef void handler(struct sandbox *, struct call *, struct reply *);

struct route {
	const char *method;
	const char *path; /* a last "*" stands for one more segment */
	enum op op;
	handler *handle;
};

/* clang-format off */
static const struct route routes[] = {
	{ "POST", "/auth/o2/token",                     OP_TOKEN,          token_exchange },
	{ "GET",  "/orders/2026-01-01/orders",          OP_SEARCH_ORDERS,  orders_search },
	{ "GET",  "/orders/2026-01-01/orders/*",        OP_GET_ORDER,      order_get },
	{ "GET",  "/fba/inventory/v1/summaries",        OP_INVENTORY,      inventory_list },
	{ "GET",  "/finances/2024-06-19/transactions",  OP_TRANSACTIONS,   transactions_list },
	{ "GET",  "/sellers/v1/marketplaceParticipations", OP_PARTICIPATIONS, participations_list },
};
/* clang-format on */

double
sandbox_rate_scale(struct sandbox *sb)
{
	double scale;

	pthread_mutex_lock(&sb->lock);
	scale = sb->rate_scale;
	pthread_mutex_unlock(&sb->lock);
	return scale;
}

static void
error_json(
    struct buf *b, const char *code, const char *message, const char *details)
{
	buf_lit(b, "{\"errors\":[{\"code\":");
	buf_json_str(b, code);
	buf_lit(b, ",\"message\":");
	buf_json_str(b, message);
	if (details != NULL) {
		buf_lit(b, ",\"details\":");
		buf_json_str(b, details);
	}
	buf_lit(b, "}]}");
}

static const char *
error_type(int status)
{
	switch (status) {
	case 400:
		return "InvalidInputException";
	case 403:
		return "AccessDeniedException";
	case 404:
		return "ResourceNotFoundException";
	case 429:
		return "TooManyRequestsException";
	default:
		return NULL;
	}
}

void
reply_error(struct reply *rp, int status, const char *code, const char *message,
    const char *details)
{
	rp->status = status;
	rp->body.len = 0;
	rp->error_type = error_type(status);
	error_json(&rp->body, code, message, details);
}

void
reply_invalid(struct reply *rp, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	reply_error(rp, 400, "InvalidInput", text, "");
}

void
reply_denied(struct reply *rp, const char *details)
{
	reply_error(rp, 403, "Unauthorized",
	    "Access to requested resource is denied.", details);
}

bool
call_wait(struct sandbox *sb, const struct call *c, double seconds)
{
	int64_t until = when_real_us() + (int64_t)(seconds * 1e6);
	struct pollfd fds[2] = {
		{ .fd = sb->stop_fd, .events = POLLIN },
		{ .fd = c->conn_fd, .events = POLLRDHUP },
	};

	for (;;) {
		int64_t left = until - when_real_us();
		int n;

		if (left <= 0)
			return true;
		n = poll(fds, 2, (int)((left + 999) / 1000));
		if (n > 0 || (n < 0 && errno != EINTR))
			return false;
	}
}

static bool
route_fits(const struct route *r, const char *path)
{
	size_t len = strlen(r->path);

	if (r->path[len - 1] != '*')
		return strcmp(r->path, path) == 0;
	return strncmp(r->path, path, len - 1) == 0 && path[len - 1] != '\0' &&
	    strchr(path + len - 1, '/') == NULL;
}

static const struct route *
route_find(const char *path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (route_fits(&routes[i], path))
			return &routes[i];
	return NULL;
}

/* api_checks: what every seller call has to pass before its operation. */
static bool
api_checks(struct sandbox *sb, struct call *c, enum access_result access,
    struct reply *rp)
{
	double scale = sandbox_rate_scale(sb);
	bool allowed;

	if (c->agent == NULL || *c->agent == '\0' || strlen(c->agent) > 500) {
		reply_invalid(rp,
		    "A user-agent header of 1 to 500 characters "
		    "is required.");
		return false;
	}
	if (c->access_token == NULL) {
		reply_denied(
		    rp, "Access token is missing in the request header.");
		return false;
	}
	switch (access) {
	case ACCESS_OK:
		break;
	case ACCESS_EXPIRED:
		reply_denied(rp, "The access token you provided has expired.");
		return false;
	case ACCESS_REVOKED:
		reply_denied(rp,
		    "The access token you provided is revoked, "
		    "malformed or invalid.");
		return false;
	case ACCESS_UNKNOWN:
		reply_denied(rp,
		    "The access token you provided is malformed or invalid.");
		return false;
	}
	pthread_mutex_lock(&c->seller->lock);
	allowed = bucket_take(
	    &c->seller->buckets[c->op], c->op, scale, when_rate_ms(&sb->when));
	pthread_mutex_unlock(&c->seller->lock);
	if (!allowed) {
		reply_error(rp, 429, "QuotaExceeded",
		    "You exceeded your quota for the requested resource.", "");
		return false;
	}
	if (c->has_length) {
		reply_invalid(rp, "A GET request has no body.");
		return false;
	}
	if (!c->params_ok) {
		reply_invalid(rp, "The query string is not valid.");
		return false;
	}
	if (params_duplicate(&c->params) != NULL) {
		reply_invalid(rp, "Parameter %s is there twice.",
		    params_duplicate(&c->params));
		return false;
	}
	return true;
}

static void
api_take(struct sandbox *sb, struct call *c, const struct route *route,
    struct reply *rp)
{
	enum access_result access = ACCESS_UNKNOWN;
	bool done = true;

	if (c->op == OP_TOKEN)
		c->seller = token_caller(sb, c);
	else if (c->access_token != NULL)
		access = access_check(
		    &sb->sellers, c->access_token, c->now_ms, &c->seller);
	if (c->seller != NULL)
		calls_of(&sb->calls, c->number, c->seller->id);
	c->fault =
	    faults_pick(&sb->faults, c->op, c->seller ? c->seller->id : "");
	if (c->fault.kind == FAULT_HANG)
		done = call_wait(sb, c, c->fault.seconds);
	if (!done) {
		rp->status = 0; /* nobody is there to read an answer */
		return;
	}
	if (c->fault.kind != FAULT_NONE && c->fault.kind != FAULT_HANG &&
	    !fault_on_answer(c->fault.kind)) {
		reply_refuse(sb, c, rp);
		return;
	}
	if (strcmp(c->method, route->method) != 0)
		reply_error(rp, 405, "MethodNotAllowed",
		    "The method is not allowed here.", NULL);
	else if (c->op == OP_TOKEN || api_checks(sb, c, access, rp))
		route->handle(sb, c, rp);
	if (fault_on_answer(c->fault.kind)) {
		if (rp->status == 200) {
			reply_spoil(sb, c, rp);
		} else {
			faults_return(&sb->faults, c->fault.id);
			c->fault.kind = FAULT_NONE;
		}
	}
}

void
call_take(struct sandbox *sb, struct call *c, struct reply *rp)
{
	const struct route *route = route_find(c->path);
	int64_t start = when_real_us();

	rp->content_type = "application/json";
	rp->status = 200;
	c->now_ms = when_now_ms(&sb->when);
	if (strncmp(c->path, "/_control/", 10) == 0) {
		control_take(sb, c, rp);
		return;
	}
	c->op = route == NULL ? OP_NONE : route->op;
	c->number = calls_begin(&sb->calls, c->now_ms, c->op, c->method,
	    c->path, c->query, c->agent ? c->agent : "");
	if (strncmp(c->path, "/_replay/", 9) == 0)
		replay_take(sb, c, rp);
	else if (route == NULL)
		reply_error(
		    rp, 404, "NotFound", "There is no such resource.", NULL);
	else
		api_take(sb, c, route, rp);
	if ((rp->status >= 200 && rp->status < 210) || rp->status == 400 ||
	    rp->status == 404)
		limit_text(c->op, sandbox_rate_scale(sb), rp->limit,
		    sizeof(rp->limit));
	calls_end(&sb->calls, c->number, c->seller ? c->seller->id : "",
	    rp->status, c->fault.kind ? fault_name(c->fault.kind) : NULL,
	    when_real_us() - start);
}
