/*
 * route.h - the table of routes: policy shows here, handlers stay short.
 */
#ifndef SYNCLINE_ROUTE_H
#define SYNCLINE_ROUTE_H

#include "fcgi/req.h"

#define KB 1024
#define MB (1024 * 1024)

enum route_auth { AUTH_NONE, AUTH_USER, AUTH_ADMIN };

enum route_flag {
	ROUTE_CLASSIC = 1,   /* answers with the older status words */
	ROUTE_ANY_BODY = 2,  /* the body is dropped unread */
	ROUTE_PUBLIC_WRITE = 4 /* a write that needs no own Origin */
};

struct route {
	const char *method;  /* "GET" also answers HEAD */
	const char *path;    /* ":name" takes one segment */
	enum route_auth auth;
	size_t max_body;
	unsigned flags;
	void (*handle)(struct req *rq, struct reply *rp);
};

/* The table, for the dispatcher and for tests. */
const struct route *route_table(size_t *ret_count);

/*
 * route_find gives the route of method and path and fills rq->params with
 * the path's.  NULL: rp is answered (404 `not_found`, or 405 with Allow).
 */
const struct route *route_find(struct req *rq, struct reply *rp);

#endif
