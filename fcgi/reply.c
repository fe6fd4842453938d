/* reply.c - answers, and the one map from errors to them. */
#include "fcgi/req.h"
#include "fcgi/route.h"
#include "shared/json.h"
#include "shared/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The last answer counts: what an earlier one held is freed. */
static void
replace(struct reply *rp, int status, json_object *body)
{
	if (rp->body != body)
		json_object_put(rp->body);
	free(rp->raw);
	rp->raw = NULL;
	rp->status = status;
	rp->body = body;
}

void
reply_json(struct reply *rp, int status, json_object *body)
{
	replace(rp, status, body);
}

void
reply_empty(struct reply *rp)
{
	replace(rp, 204, NULL);
}

json_object *
reply_problem(struct reply *rp, const struct req *rq, int status,
    const char *code, const char *sentence)
{
	json_object *o = json_object_new_object();

	json_put_bool(o, "success", false);
	json_put_text(o, "code", code);
	json_put_text(o, "error", sentence);
	json_put_text(o, "message", sentence);
	json_put_text(o, "requestId", rq->request_id);
	replace(rp, status, o);
	return o;
}

/* What an error means to a client when the handler has no better words. */
struct meaning {
	int status;
	const char *code;
	const char *sentence;
	int retry_after_s;
};

static const struct meaning away = { 503, "unavailable",
	"The database is not available; try again in a moment.", 1 };
static const struct meaning busy = { 503, "busy",
	"The service is busy; try again in a moment.", 1 };
static const struct meaning internal = { 500, "internal",
	"Something went wrong here; it has been noted.", 0 };

static const struct meaning *
meaning_of(enum err err)
{
	static const struct meaning invalid = { 400, "invalid_value",
		"A value in the request cannot be used.", 0 };
	static const struct meaning large = { 413, "payload_too_large",
		"The request is too large.", 0 };
	static const struct meaning missing = { 404, "not_found",
		"There is nothing at this address.", 0 };
	static const struct meaning conflict = { 409, "conflict",
		"Something else changed this at the same time; look again.",
		0 };
	static const struct meaning limited = { 429, "rate_limited",
		"Too many requests; try again in a moment.", 1 };
	static const struct meaning denied = { 403, "forbidden",
		"This is not allowed to you.", 0 };

	switch (err) {
	case ERR_DB_AWAY:
	case ERR_TIMEOUT:
	case ERR_INTERRUPTED:
		return &away;
	case ERR_DB_RETRY:
		return &busy;
	case ERR_INVAL:
	case ERR_DATA:
		return &invalid;
	case ERR_TOO_LARGE:
		return &large;
	case ERR_NOT_FOUND:
		return &missing;
	case ERR_CONFLICT:
	case ERR_EDGE:
	case ERR_FENCED:
		return &conflict;
	case ERR_LIMITED:
		return &limited;
	case ERR_DENIED:
		return &denied;
	case ERR_OK:
	case ERR_NOMEM:
	case ERR_DB:
	case ERR_PEER:
	case ERR_IO:
	case ERR_CRYPTO:
	case ERR__MAX:
		break;
	}
	return &internal;
}

void
reply_err(struct reply *rp, const struct req *rq, enum err err)
{
	const struct meaning *m = meaning_of(err);

	reply_problem(rp, rq, m->status, m->code, m->sentence);
	rp->retry_after_s = m->retry_after_s;
	log_at(m->status >= 500 ? LOG_ERROR : LOG_WARN, "request_error",
	    LOG_STR("error", err_name(err)),
	    LOG_STR("route", rq->route ? rq->route->path : ""),
	    LOG_STR("request_id", rq->request_id),
	    LOG_STR("sqlstate", rq->db ? db_error_state(rq->db) : ""),
	    LOG_STR("database", rq->db ? db_error_text(rq->db) : ""));
}
