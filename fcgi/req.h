/*
 * req.h - one HTTP request as handlers see it, and the answer they give.
 *
 * libfcgi stays in main.c and serve.c: handlers know only this.  A request
 * belongs to one thread; what it hands out lives until the answer is sent.
 */
#ifndef SYNCLINE_REQ_H
#define SYNCLINE_REQ_H

#include "shared/db.h"
#include "shared/err.h"
#include "shared/identity.h"
#include "shared/settings.h"
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct route;
struct runner_client;
struct vault;

#define REQ_PARAMS_MAX 32 /* path and query together */
#define REQ_PATH_MAX 1024 /* bytes, decoded */

struct req_param {
	const char *name, *value; /* decoded, valid UTF-8, no control chars */
};

struct req {
	const struct settings *settings;
	const struct route *route;
	const char *method; /* upper case */
	const char *path;   /* decoded, without the query */
	char cut[REQ_PATH_MAX + 1 + 64]; /* route_find's: the path's params */
	const char *request_id; /* sane: [A-Za-z0-9._-]{1,64} */
	const char *idempotency_key; /* header, or NULL */
	struct identity who;  /* user "" on routes that need none */
	bool classic;         /* this surface speaks the older words */
	struct req_param params[REQ_PARAMS_MAX]; /* path (":id"), then query */
	size_t n_params;
	json_object *body;    /* an object, or NULL when there was none */
	struct db *db; /* borrowed for this request; NULL with ROUTE_NO_DB */
	struct runner_client *runners;
	struct vault *vault; /* NULL: no key is set */
};

struct reply {
	int status;
	json_object *body;   /* taken; NULL with raw or 204 */
	char *raw;           /* taken; another content type's text, or NULL */
	const char *content_type; /* of raw; static */
	int retry_after_s;   /* 0: no header */
	char allow[64];      /* 405 and preflights */
};

/* A parameter's value; NULL when it is not there.  Path before query. */
const char *req_param(const struct req *rq, const char *name);

/*
 * Typed parameters: absent gives the fallback; a bad value answers 400
 * `invalid_parameter` naming it and returns false: the handler returns.
 */
bool req_param_int(const struct req *rq, struct reply *rp, const char *name,
    int64_t min, int64_t max, int64_t fallback, int64_t *ret) MUST_CHECK;
bool req_param_time(const struct req *rq, struct reply *rp, const char *name,
    const char **ret) MUST_CHECK; /* RFC 3339 or a date; NULL: absent */

/* reply_json answers with a body it takes. */
void reply_json(struct reply *rp, int status, json_object *body);
/* reply_empty: 204. */
void reply_empty(struct reply *rp);
/*
 * reply_problem answers {"success":false,code,error,message,requestId}; the
 * object is returned (borrowed) so that members can be added.
 */
json_object *reply_problem(struct reply *rp, const struct req *rq, int status,
    const char *code, const char *sentence);
/*
 * reply_err is the one map from enum err to an answer, for errors that the
 * handler has no better words for: ERR_DB_AWAY and ERR_TIMEOUT give 503 with
 * Retry-After, unknown ones 500 `internal`.  It logs what the database said.
 */
void reply_err(struct reply *rp, const struct req *rq, enum err err);

#endif
