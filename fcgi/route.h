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
	ROUTE_CLASSIC = 1,  /* answers with the older status words */
	ROUTE_ANY_BODY = 2, /* the body is dropped unread */
	ROUTE_NO_DB = 4     /* rq->db is NULL: works without PostgreSQL */
};

struct route {
	const char *method; /* "GET" also answers HEAD */
	const char *path;   /* ":name" takes one segment */
	enum route_auth auth;
	size_t max_body; /* 0: a body is dropped unread */
	unsigned flags;
	void (*handle)(struct req *rq, struct reply *rp);
};

/* The table, for the dispatcher and for tests. */
const struct route *route_table(size_t *ret_count);

/*
 * route_find gives the route of rq->method and rq->path, which it cuts into
 * segments in place, and puts the path's parameters before those of the
 * query.  NULL: rp is answered (404 `not_found`, or 405 with Allow).
 */
const struct route *route_find(struct req *rq, struct reply *rp);

/*
 * route_methods writes what a path answers to, as "GET, HEAD, POST".
 * False: no such path.
 */
bool route_methods(const char *path, char *buf, size_t size);

#endif
