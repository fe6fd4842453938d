/*
 * spapi_call.c - one call to Amazon: budget, token, request, and what each
 * kind of answer means.
 */
#include "runner/sources/spapi.h"

#include "runner/sources/failure.h"
#include "runner/sources/http.h"
#include "runner/sources/url.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/version.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define PAGE_DEPTH 64
#define HERE_MS 50            /* waited for in place by any call */
#define PATIENT_MS 20000      /* by one whose page token is short-lived */
#define TOKEN_WAIT_MS 1000    /* another runner fetches the token */
#define DRAIN_TOKEN_MS 900000 /* a drain should not outlive its token */
#define DENIALS_MAX 4         /* then the consent counts as gone */
#define SHOWN_MAX 200         /* bytes of an answer that a log shows */

static const struct {
	struct limit limit; /* as Amazon documents them */
	const char *path;
} ops[OP__MAX] = {
	[OP_SEARCH_ORDERS] = { { "searchOrders", 0.0056, 20 },
	    "/orders/2026-01-01/orders" },
	[OP_INVENTORY] = { { "getInventorySummaries", 2, 2 },
	    "/fba/inventory/v1/summaries" },
	[OP_TRANSACTIONS] = { { "listTransactions", 0.5, 10 },
	    "/finances/2024-06-19/transactions" },
	[OP_PARTICIPATIONS] = { { "getMarketplaceParticipations", 0.016, 15 },
	    "/sellers/v1/marketplaceParticipations" },
};

const char *
spapi_path(enum spapi_op op)
{
	return ops[op].path;
}

/* --- what an answer means -------------------------------------------------- */

/* The first error of an error answer; the caller puts *ret_owner. */
static json_object *
first_error(const char *body, size_t len, json_object **ret_owner)
{
	json_object *list;

	if (json_read(body, len, PAGE_DEPTH, ret_owner, NULL))
		return NULL;
	list = json_member(*ret_owner, "errors");
	if (!json_object_is_type(list, json_type_array) ||
	    json_object_array_length(list) == 0)
		return NULL;
	return json_object_array_get_idx(list, 0);
}

static bool
says(const json_object *e, const char *word)
{
	const char *message = json_text(e, "message");
	const char *details = json_text(e, "details");
	const char *code = json_text(e, "code");

	return (message && strcasestr(message, word)) ||
	    (details && strcasestr(details, word)) ||
	    (code && strcasestr(code, word));
}

/* A token that ended, as opposed to one that does not open this door. */
static bool
says_expired(const struct http_response *r)
{
	CLEANUP(json_clearp) json_object *owner = NULL;
	json_object *e = first_error(r->body, r->len, &owner);

	return e && says(e, "token") && says(e, "expired");
}

static const char *
words_of(const json_object *e)
{
	const char *message = json_text(e, "message");
	const char *details = json_text(e, "details");

	if (details && *details != '\0')
		return details;
	return message && *message != '\0' ? message : "no reason given";
}

enum call_outcome
spapi_refusal(int status, const char *body, size_t len, bool paged,
    struct failure *why)
{
	CLEANUP(json_clearp) json_object *owner = NULL;
	json_object *e = first_error(body, len, &owner);

	if (status == 400 && e && paged && says(e, "token")) {
		failure_say(why, FAILURE_PERMANENT, "window_too_large",
		    "Amazon refused a page token: %s", words_of(e));
		return CALL_REWIND;
	}
	if (status >= 500 || status == 408 || status < 400) {
		failure_say(why, FAILURE_TRANSIENT, "source_unavailable",
		    "Amazon answered with status %d.", status);
	} else if (!e) {
		failure_say(why, FAILURE_TRANSIENT, "answer_invalid",
		    "Amazon answered with status %d and no reason that can "
		    "be read.", status);
	} else {
		failure_say(why, FAILURE_PERMANENT, "request_refused",
		    "Amazon refused the request (%d): %s", status,
		    words_of(e));
	}
	return CALL_FAILED;
}

static void
log_answer(const struct source *s, const struct call *c,
    const struct http_response *r, enum log_level level)
{
	char shown[SHOWN_MAX];
	const char *answer = "", *id = r->request_id;

	if (level <= LOG_WARN) {
		plain_text(shown, sizeof shown, r->body, r->len);
		answer = shown;
	}
	log_at(level, "amazon_call", LOG_STR("sync_id", s->sync_id),
	    LOG_STR("operation", ops[c->op].limit.name),
	    LOG_INT("status", r->status),
	    LOG_STR("amazon_request_id", id),
	    LOG_INT("ms", r->elapsed_ms), LOG_INT("bytes", r->len),
	    LOG_STR("answer", answer));
}

static void
take_page(struct source *s, struct call *c, const struct http_response *r)
{
	const char *why = "";
	enum err err = json_read(r->body, r->len, PAGE_DEPTH, &c->body, &why);

	if (!err && json_object_is_type(c->body, json_type_object)) {
		crypto_generichash((unsigned char *)&c->hash, sizeof c->hash,
		    (const unsigned char *)r->body, r->len, NULL, 0);
		c->outcome = CALL_OK;
		s->denials = 0;
		return;
	}
	json_object_put(c->body);
	c->body = NULL;
	c->outcome = CALL_FAILED;
	failure_say(&c->why, FAILURE_TRANSIENT, "answer_invalid",
	    "Amazon's answer cannot be read: %s.",
	    err ? why : "it is not an object");
}

/* --- budget and token ------------------------------------------------------ */

/* Waits where that is short, or where the caller cannot come again. */
static enum err
wait_or_leave(const struct step_env *env, struct call *c, int64_t ms,
    bool *ret_waited)
{
	enum err err;

	*ret_waited = ms <= (c->patient ? PATIENT_MS : HERE_MS);
	if (!*ret_waited) {
		c->outcome = CALL_WAIT;
		c->wait_ms = ms;
		c->limited = true;
		return ERR_OK;
	}
	err = http_pause(env->http, ms);
	if (!err && env->on_alive)
		env->on_alive(env->alive_arg);
	return err;
}

/* *ret_ok: the call may be made. */
static enum err
take_budget(struct source *s, const struct step_env *env, struct call *c,
    bool *ret_ok)
{
	*ret_ok = true;
	while (*ret_ok) {
		int64_t ms = limits_take(
		    env->limits, s->account, &ops[c->op].limit);
		enum err err;

		if (ms == 0)
			return ERR_OK;
		err = wait_or_leave(env, c, ms, ret_ok);
		if (err)
			return err;
	}
	return ERR_OK;
}

/* *ret_ok: s->lwa holds a token. */
static enum err
take_token(struct source *s, const struct step_env *env, struct call *c,
    bool *ret_ok)
{
	enum err err = lwa_token(
	    &s->lwa, env, c->patient ? DRAIN_TOKEN_MS : 0, &c->why);

	*ret_ok = err == ERR_OK;
	switch ((int)err) {
	case ERR_CONFLICT:
		c->outcome = CALL_WAIT;
		c->wait_ms = TOKEN_WAIT_MS;
		return ERR_OK;
	case ERR_EDGE:
		c->outcome = CALL_STALE;
		return ERR_OK;
	case ERR_PEER:
		c->outcome = CALL_FAILED;
		return ERR_OK;
	default:
		return err;
	}
}

/* --- the request ----------------------------------------------------------- */

static void
wipe_text(struct text *t)
{
	if (t->p)
		sodium_memzero(t->p, t->cap);
	text_fini(t);
}

static enum err
send(struct source *s, const struct step_env *env, const char *url,
    struct http_response *ret, struct http_error *why)
{
	CLEANUP(wipe_text) struct text token = { .p = NULL };
	char date[48];
	time_t now = (time_t)(clock_now(&s->clock) / 1000);
	struct tm tm;
	const char *headers[] = { NULL, date,
		"user-agent: Syncline/" SYNCLINE_VERSION
		" (Language=C; Platform=Linux)",
		"accept: application/json", NULL };
	struct http_request rq = { .method = "GET", .url = url,
		.headers = headers };
	enum err err;

	gmtime_r(&now, &tm);
	strftime(date, sizeof date, "x-amz-date: %Y%m%dT%H%M%SZ", &tm);
	text_str(&token, "x-amz-access-token: ");
	text_str(&token, (const char *)s->lwa.access.data);
	if (token.failed)
		return ERR_NOMEM;
	headers[0] = token.p;
	err = http_call(env->http, &rq, ret, why);
	if (!err)
		clock_learn(&s->clock, ret->date_ms);
	if (!err && env->on_alive)
		env->on_alive(env->alive_arg);
	return err;
}

static void
take_http_error(struct source *s, struct call *c,
    const struct http_error *why)
{
	const char *text = why->text;

	log_at(LOG_WARN, "amazon_call_failed", LOG_STR("sync_id", s->sync_id),
	    LOG_STR("operation", ops[c->op].limit.name),
	    LOG_STR("code", why->code), LOG_STR("text", text));
	c->outcome = why->permanent ? CALL_REWIND : CALL_FAILED;
	failure_say(&c->why,
	    why->permanent ? FAILURE_PERMANENT : FAILURE_TRANSIENT, why->code,
	    "Amazon: %s", why->text);
}

/* --- refused for good or for the token -------------------------------------- */

static void
deny(struct source *s, struct call *c)
{
	s->denials++;
	c->outcome = CALL_FAILED;
	if (s->denials >= DENIALS_MAX)
		failure_say(&c->why, FAILURE_RECONNECT, "reconnect_required",
		    "Amazon keeps denying access. Please connect your "
		    "Amazon account again.");
	else
		failure_say(&c->why, FAILURE_TRANSIENT, "access_denied",
		    "Amazon denies access to this account.");
}

/*
 * A fresh token was refused too.  Either the whole account is closed to us
 * (for now: that happens to everybody at once at times), or only this
 * operation is, for want of a role.
 */
static enum err
probe(struct source *s, const struct step_env *env, struct call *c)
{
	CLEANUP(http_response_clear) struct http_response r = { .body = NULL };
	CLEANUP(text_fini) struct text url = { .p = NULL };
	struct http_error why;
	enum err err;

	if (c->op == OP_PARTICIPATIONS ||
	    limits_take(env->limits, s->account,
		&ops[OP_PARTICIPATIONS].limit) > 0) {
		deny(s, c);
		return ERR_OK;
	}
	url_start(&url, s->base, ops[OP_PARTICIPATIONS].path);
	if (url.failed)
		return ERR_NOMEM;
	err = send(s, env, url.p, &r, &why);
	if (err && err != ERR_PEER)
		return err;
	if (err || r.status != 200) {
		deny(s, c);
		return ERR_OK;
	}
	s->denials = 0;
	c->outcome = CALL_FAILED;
	failure_say(&c->why, FAILURE_PERMANENT, "permission_missing",
	    "This connection has no permission for %s at Amazon.",
	    ops[c->op].limit.name);
	return ERR_OK;
}

/* --- the call ---------------------------------------------------------------- */

static bool
is_denial(const struct http_response *r)
{
	CLEANUP(json_clearp) json_object *owner = NULL;

	return (r->status == 401 || r->status == 403) &&
	    first_error(r->body, r->len, &owner) != NULL;
}

/* *ret_again: the limit was hit, and waited for in place. */
static enum err
take_answer(struct source *s, const struct step_env *env, struct call *c,
    const struct http_response *r, bool *ret_again)
{
	const struct limit *limit = &ops[c->op].limit;

	*ret_again = false;
	limits_learn(env->limits, s->account, limit, r->rate_limit);
	if (r->status == 429)
		return wait_or_leave(env, c,
		    limits_refused(env->limits, s->account, limit,
		        r->retry_after_ms),
		    ret_again);
	if (is_denial(r) && !says_expired(r))
		return probe(s, env, c);
	if (is_denial(r)) {
		deny(s, c); /* a fresh token that is said to be old */
		return ERR_OK;
	}
	if (r->status == 200) {
		limits_accepted(env->limits, s->account, limit);
		take_page(s, c, r);
	} else {
		c->outcome = spapi_refusal(
		    r->status, r->body, r->len, c->paged, &c->why);
	}
	return ERR_OK;
}

/* One request; *ret_again: with another token, or after a wait. */
static enum err
attempt(struct source *s, const struct step_env *env, struct call *c,
    bool *refreshed, bool *ret_again)
{
	CLEANUP(http_response_clear) struct http_response r = { .body = NULL };
	struct http_error why;
	enum err err;
	bool ok;

	*ret_again = false;
	err = take_token(s, env, c, &ok);
	if (!err && ok)
		err = take_budget(s, env, c, &ok);
	if (err || !ok)
		return err;
	err = send(s, env, c->url, &r, &why);
	if (err == ERR_PEER) {
		take_http_error(s, c, &why);
		return ERR_OK;
	}
	if (err)
		return err;
	log_answer(s, c, &r, r.status == 200 ? LOG_DEBUG : LOG_WARN);
	if (is_denial(&r) && !*refreshed) {
		*refreshed = *ret_again = true;
		lwa_refuse(&s->lwa);
		return ERR_OK;
	}
	return take_answer(s, env, c, &r, ret_again);
}

enum err
spapi_call(struct source *s, const struct step_env *env, struct call *c)
{
	bool refreshed = false, again = true;
	enum err err = ERR_OK;

	while (again && !err)
		err = attempt(s, env, c, &refreshed, &again);
	return err;
}

/*
 * Any answer carries Amazon's time, one to a request without a token too,
 * and such a request costs nothing of the account's budget.
 */
enum err
spapi_clock(struct source *s, const struct step_env *env, struct call *c)
{
	CLEANUP(http_response_clear) struct http_response r = { .body = NULL };
	CLEANUP(text_fini) struct text url = { .p = NULL };
	struct http_request rq = { .method = "GET" };
	struct http_error why;
	enum err err;

	c->outcome = CALL_OK;
	if (s->clock.known)
		return ERR_OK;
	url_start(&url, s->base, "/");
	if (url.failed)
		return ERR_NOMEM;
	rq.url = url.p;
	err = http_call(env->http, &rq, &r, &why);
	if (err == ERR_PEER) {
		take_http_error(s, c, &why);
		c->outcome = CALL_FAILED;
		return ERR_OK;
	}
	if (err)
		return err;
	clock_learn(&s->clock, r.date_ms);
	if (r.status >= 500) /* no use to go on, and its time may be a cache's */
		c->outcome = spapi_refusal(
		    r.status, r.body, r.len, false, &c->why);
	return ERR_OK;
}
