/* route.c - the routes there are, and how a path finds its own. */
#include "fcgi/route.h"
#include "fcgi/resources.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct route routes[] = {
	/* method    path                           auth       max_body  flags  handler */
	{ "GET",     "/healthz",                    AUTH_NONE,  0,       ROUTE_NO_DB, health_live },
	{ "GET",     "/readyz",                     AUTH_NONE,  0,       0, health_ready },

	{ "POST",    "/api/sync/start",             AUTH_USER,  64 * KB, 0, sync_start },
	{ "POST",    "/api/sync/force",             AUTH_USER,  64 * KB, 0, sync_force },
	{ "POST",    "/api/sync/force-clear",       AUTH_USER,  64 * KB, 0, sync_force_clear },
	{ "POST",    "/api/sync/retry/:id",         AUTH_USER,  64 * KB, 0, sync_retry },
	{ "GET",     "/api/sync/status",            AUTH_USER,  0,       0, sync_status },
	{ "GET",     "/api/sync/status/:id",        AUTH_USER,  0,       0, sync_show },
	{ "GET",     "/api/sync/results/:id",       AUTH_USER,  0,       0, sync_results },
	{ "GET",     "/api/sync/history",           AUTH_USER,  0,       0, sync_history },
	{ "GET",     "/api/sync/activity",          AUTH_USER,  0,       0, sync_activity },
	{ "GET",     "/api/sync/statistics",        AUTH_USER,  0,       0, sync_statistics },
	{ "POST",    "/api/sync/cancel",            AUTH_USER,  64 * KB, 0, sync_cancel },
	{ "DELETE",  "/api/sync/cancel",            AUTH_USER,  64 * KB, 0, sync_cancel },
	{ "POST",    "/api/sync/cancel/:id",        AUTH_USER,  64 * KB, 0, sync_cancel },
	{ "DELETE",  "/api/sync/cancel/:id",        AUTH_USER,  64 * KB, 0, sync_cancel },

	{ "POST",    "/api/enhanced-sync/start",        AUTH_USER,  64 * KB, 0, sync_start },
	{ "GET",     "/api/enhanced-sync/status/:id",   AUTH_USER,  0,       0, sync_show },
	{ "GET",     "/api/enhanced-sync/progress/:id", AUTH_USER,  0,       0, sync_show },
	{ "GET",     "/api/enhanced-sync/history",      AUTH_USER,  0,       0, sync_history },
	{ "GET",     "/api/enhanced-sync/statistics",   AUTH_USER,  0,       0, sync_statistics },
	{ "POST",    "/api/enhanced-sync/cancel/:id",   AUTH_USER,  64 * KB, 0, sync_cancel },
	{ "DELETE",  "/api/enhanced-sync/cancel/:id",   AUTH_USER,  64 * KB, 0, sync_cancel },
	{ "POST",    "/api/enhanced-sync/bulk",         AUTH_ADMIN, 4 * MB,  0, queue_bulk },
	{ "GET",     "/api/enhanced-sync/queue-status", AUTH_USER,  0,       0, queue_status },
	{ "POST",    "/api/enhanced-sync/cleanup",      AUTH_ADMIN, 64 * KB, 0, queue_cleanup },

	{ "POST",    "/api/v1/integrations/sync/start",      AUTH_USER, 64 * KB, ROUTE_CLASSIC, sync_start },
	{ "GET",     "/api/v1/integrations/sync/status/:id", AUTH_USER, 0,       ROUTE_CLASSIC, sync_show },
	{ "GET",     "/api/v1/integrations/sync/history",    AUTH_USER, 0,       ROUTE_CLASSIC, sync_history },
	{ "GET",     "/api/v1/integrations/sync/statistics", AUTH_USER, 0,       ROUTE_CLASSIC, sync_statistics },
	{ "POST",    "/api/v1/integrations/sync/cancel/:id", AUTH_USER, 64 * KB, ROUTE_CLASSIC, sync_cancel },
	{ "DELETE",  "/api/v1/integrations/sync/cancel/:id", AUTH_USER, 64 * KB, ROUTE_CLASSIC, sync_cancel },
	{ "POST",    "/api/v1/integrations/amazon/sync",     AUTH_USER, 64 * KB, 0, amazon_sync_start },
	{ "GET",     "/api/v1/integrations/status",          AUTH_USER, 0,       0, integrations_status },

	{ "GET",     "/api/v1/connections",      AUTH_USER, 0,        0, connection_list },
	{ "GET",     "/api/v1/connections/:id",  AUTH_USER, 0,        0, connection_show },
	{ "PUT",     "/api/v1/connections/:id",  AUTH_USER, 256 * KB, 0, connection_put },
	{ "DELETE",  "/api/v1/connections/:id",  AUTH_USER, 64 * KB,  0, connection_delete },

	{ "POST",    "/api/metrics/track", AUTH_NONE, 0, ROUTE_NO_DB | ROUTE_ANY_BODY, metrics_track },
	{ "GET",     "/api/openapi.json",  AUTH_NONE, 0, ROUTE_NO_DB, openapi_show },
};
/* clang-format on */

const struct route *
route_table(size_t *ret_count)
{
	*ret_count = COUNT_OF(routes);
	return routes;
}

static bool
path_matches(const char *pattern, const char *path)
{
	while (*pattern == '/' && *path == '/') {
		size_t want = strcspn(++pattern, "/");
		size_t have = strcspn(++path, "/");

		if (*pattern == ':') {
			if (have == 0)
				return false;
		} else if (want != have || memcmp(pattern, path, want) != 0) {
			return false;
		}
		pattern += want;
		path += have;
	}
	return *pattern == '\0' && *path == '\0';
}

static bool
method_matches(const struct route *r, const char *method)
{
	return strcmp(r->method, method) == 0 ||
	    (strcmp(method, "HEAD") == 0 && strcmp(r->method, "GET") == 0);
}

static void
put_param(struct req *rq, size_t at, const char *name, const char *value)
{
	if (rq->n_params == REQ_PARAMS_MAX)
		return; /* cannot be: the query leaves room */
	memmove(&rq->params[at + 1], &rq->params[at],
	    (rq->n_params - at) * sizeof rq->params[0]);
	rq->params[at] = (struct req_param){ .name = name, .value = value };
	rq->n_params++;
}

/*
 * Puts the path's parameters in front of the query's.  rq->cut holds the path
 * in pieces, and behind it the names, which the pattern does not end.
 */
static void
take_params(struct req *rq, const char *pattern)
{
	size_t path_len = strlen(rq->path), n = 0;
	char *at = rq->cut, *name = rq->cut + path_len + 1;

	memcpy(rq->cut, rq->path, path_len + 1);
	while (*pattern == '/') {
		size_t want = strcspn(++pattern, "/");
		size_t have = strcspn(++at, "/");

		at[have] = '\0';
		if (*pattern == ':') {
			memcpy(name, pattern + 1, want - 1);
			name[want - 1] = '\0';
			put_param(rq, n++, name, at);
			name += want;
		}
		pattern += want;
		at += have;
	}
}

bool
route_methods(const char *path, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < COUNT_OF(routes); i++) {
		const char *m = routes[i].method;

		if (!path_matches(routes[i].path, path))
			continue;
		at += (size_t)snprintf(buf + at, size - at, "%s%s%s",
		    at > 0 ? ", " : "", m,
		    strcmp(m, "GET") == 0 ? ", HEAD" : "");
		if (at >= size)
			break; /* a test walks the table: it always fits */
	}
	return at > 0;
}

const struct route *
route_find(struct req *rq, struct reply *rp)
{
	for (size_t i = 0; i < COUNT_OF(routes); i++) {
		if (method_matches(&routes[i], rq->method) &&
		    path_matches(routes[i].path, rq->path)) {
			take_params(rq, routes[i].path);
			return &routes[i];
		}
	}
	if (route_methods(rq->path, rp->allow, sizeof rp->allow))
		reply_problem(rp, rq, 405, "method_not_allowed",
		    "This method is not allowed here.");
	else
		reply_problem(rp, rq, 404, "not_found",
		    "There is nothing at this address.");
	return NULL;
}
