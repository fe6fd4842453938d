/* lwa.c - load, claim, fetch, seal, store; in this order. */
#include "runner/sources/lwa.h"

#include "runner/sources/failure.h"
#include "runner/sources/http.h"
#include "runner/sources/url.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOKEN_MAX 4096
#define SECRET_MAX 4096
#define LEAST_LIFE_MS (120 * 1000) /* renewed when less is left */
#define CLAIM_SPARE_MS 20000 /* on top of the longest silence */
#define STORE_TRIES 4

void
lwa_refuse(struct lwa *w)
{
	w->refused = true;
}

void
lwa_fini(struct lwa *w)
{
	vault_bytes_wipe(&w->access);
}

static void
wipe_text(struct text *t)
{
	if (t->p)
		sodium_memzero(t->p, t->cap);
	text_fini(t);
}

/* --- stored secrets ------------------------------------------------------ */

static struct vault_context
context_of(const struct lwa *w, const char *field)
{
	return (struct vault_context){ .user = w->user,
		.connection = w->connection, .field = field };
}

/* bytea as PostgreSQL writes it: \x and digits. */
static enum err
unseal_hex(const struct lwa *w, const struct step_env *env, const char *field,
    const char *hex, struct vault_bytes *ret)
{
	struct vault_context ctx = context_of(w, field);
	unsigned char sealed[TOKEN_MAX + 512];
	size_t len = 0;

	if (strncmp(hex, "\\x", 2) != 0 ||
	    sodium_hex2bin(sealed, sizeof sealed, hex + 2, strlen(hex + 2),
		NULL, &len, NULL) != 0)
		return ERR_CRYPTO;
	return vault_unseal(env->vault, &ctx, sealed, len, ret);
}

static enum err
seal_hex(const struct lwa *w, const struct step_env *env, const char *field,
    const char *secret, char **ret)
{
	struct vault_context ctx = context_of(w, field);
	CLEANUP(vault_bytes_wipe) struct vault_bytes sealed = { .data = NULL };
	enum err err;
	char *hex;

	err = vault_seal(env->vault, &ctx, secret, strlen(secret), &sealed);
	if (err)
		return err;
	hex = malloc(2 + sealed.len * 2 + 1);
	if (!hex)
		return ERR_NOMEM;
	memcpy(hex, "\\x", 2);
	sodium_bin2hex(hex + 2, sealed.len * 2 + 1, sealed.data, sealed.len);
	*ret = hex;
	return ERR_OK;
}

/* Takes over a token; it counts from now. */
static void
adopt(struct lwa *w, struct vault_bytes *token, int64_t life_ms)
{
	vault_bytes_wipe(&w->access);
	w->access = *token;
	*token = (struct vault_bytes){ .data = NULL };
	w->until_ms = clock_ms() + life_ms;
	w->life_ms = life_ms;
	w->refused = false;
}

/* Looks whether the connection has a token that will do. */
static enum err
load_stored(struct lwa *w, const struct step_env *env, int64_t least_ms,
    bool *ret_found)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	CLEANUP(vault_bytes_wipe) struct vault_bytes token = { .data = NULL };
	const char *sealed;
	enum err err;

	err = db_run(env->db, STMT_CONNECTION_LOAD, &res, arg_text(w->user),
	    arg_text(w->connection));
	*ret_found = false;
	if (err || PQntuples(res) == 0)
		return err;
	sealed = result_text(res, 0, "access_token");
	if (!sealed || result_i64(res, 0, "access_ms") < least_ms)
		return ERR_OK;
	err = unseal_hex(w, env, "access_token", sealed, &token);
	if (err == ERR_CRYPTO)
		return ERR_OK; /* sealed with a key that is gone: fetch */
	if (err)
		return err;
	if (w->refused && w->access.data && token.len == w->access.len &&
	    memcmp(token.data, w->access.data, token.len) == 0)
		return ERR_OK;
	adopt(w, &token, result_i64(res, 0, "access_ms"));
	*ret_found = true;
	return ERR_OK;
}

/* --- the fetch ------------------------------------------------------------ */

static enum err
read_secret(const struct step_env *env, char *buf, size_t size,
    struct failure *why)
{
	int fd = open(env->settings->spapi_client_secret_file,
	    O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0) {
		failure_say(why, FAILURE_OPERATOR, "operator_setup",
		    "The client secret of this service cannot be read.");
		return ERR_PEER;
	}
	buf[n] = '\0';
	buf[strcspn(buf, "\r\n")] = '\0';
	return ERR_OK;
}

static enum err
say_refused(int status, const json_object *o, struct failure *why)
{
	const char *error = json_text(o, "error");

	if (!error)
		error = "";
	if (status >= 500 || status == 429 ||
	    strcmp(error, "server_error") == 0 ||
	    strcmp(error, "temporarily_unavailable") == 0)
		failure_say(why, FAILURE_TRANSIENT, "token_unavailable",
		    "Amazon's sign-in service is not available.");
	else if (strcmp(error, "invalid_grant") == 0)
		failure_say(why, FAILURE_RECONNECT, "reconnect_required",
		    "Amazon no longer accepts this connection. "
		    "Please connect your Amazon account again.");
	else if (strcmp(error, "invalid_client") == 0 ||
	    strcmp(error, "unauthorized_client") == 0)
		failure_say(why, FAILURE_OPERATOR, "operator_setup",
		    "Amazon does not accept this service's own "
		    "credentials (%s).", error);
	else if (*error == '\0')
		failure_say(why, FAILURE_TRANSIENT, "token_unavailable",
		    "Amazon's sign-in service answered nonsense.");
	else
		failure_say(why, FAILURE_OPERATOR, "operator_setup",
		    "Amazon refused the token request (%.64s).", error);
	return ERR_PEER;
}

enum err
lwa_read(int status, const char *body, size_t len, json_object **ret_owner,
    struct lwa_answer *ret, struct failure *why)
{
	CLEANUP(json_clearp) json_object *o = NULL;
	struct lwa_answer a;
	enum err err = json_read(body, len, 8, &o, NULL);

	if (err == ERR_NOMEM)
		return err;
	if (status != 200 || err)
		return say_refused(status == 200 ? 502 : status, o, why);
	a.access = json_text(o, "access_token");
	a.refresh = json_text(o, "refresh_token");
	a.life_ms = json_i64(o, "expires_in", 0);
	if (!a.access || strlen(a.access) > TOKEN_MAX || *a.access == '\0' ||
	    (a.refresh && strlen(a.refresh) > TOKEN_MAX) || a.life_ms <= 0 ||
	    a.life_ms > 86400 * 365 || strpbrk(a.access, "\r\n"))
		return say_refused(502, NULL, why);
	a.life_ms *= 1000;
	*ret = a;
	*ret_owner = o;
	o = NULL;
	return ERR_OK;
}

static enum err
exchange(struct lwa *w, const struct step_env *env, const char *refresh,
    struct http_response *ret, struct failure *why)
{
	static const char *const headers[] = {
		"content-type: application/x-www-form-urlencoded;"
		"charset=UTF-8",
		"accept: application/json", NULL };
	CLEANUP(wipe_text) struct text body = { .p = NULL };
	struct http_request rq = { .method = "POST",
		.url = env->settings->lwa_url, .headers = headers,
		.max_body = 64 * 1024 };
	struct http_error http_why;
	char secret[SECRET_MAX];
	enum err err = read_secret(env, secret, sizeof secret, why);

	if (err)
		return err;
	form_param(&body, "grant_type", "refresh_token");
	form_param(&body, "refresh_token", refresh);
	form_param(&body, "client_id", env->settings->spapi_client_id);
	form_param(&body, "client_secret", secret);
	sodium_memzero(secret, sizeof secret);
	if (body.failed)
		return ERR_NOMEM;
	rq.body = body.p;
	rq.body_len = body.len;
	err = http_call(env->http, &rq, ret, &http_why);
	if (err == ERR_PEER)
		failure_say(why, FAILURE_TRANSIENT, "token_unavailable",
		    "Amazon's sign-in service: %s", http_why.text);
	else if (!err)
		clock_learn(w->clock, ret->date_ms);
	return err;
}

/*
 * A refresh token that replaced ours exists nowhere else: a database that is
 * away for a moment must not cost it.
 */
static enum err
store(const struct lwa *w, const struct step_env *env,
    const struct lwa_answer *a, const char *access, const char *refresh,
    bool *ret_ours)
{
	enum err err = ERR_DB_AWAY;

	for (int i = 0; i < STORE_TRIES; i++) {
		CLEANUP(result_clearp) PGresult *res = NULL;

		err = db_run(env->db, STMT_TOKEN_STORE, &res,
		    arg_text(w->user), arg_text(w->connection),
		    arg_text(env->runner_id), arg_text(access),
		    arg_i64(a->life_ms), arg_text(refresh));
		if (!err)
			*ret_ours = PQntuples(res) == 1;
		if (err != ERR_DB_AWAY && err != ERR_DB_RETRY)
			break;
		if (http_pause(env->http, 100 << i))
			return ERR_INTERRUPTED;
	}
	return err;
}

static enum err
keep(struct lwa *w, const struct step_env *env, const struct lwa_answer *a,
    const char *old_refresh)
{
	struct vault_bytes token = { .data = NULL };
	bool rotated = a->refresh && strcmp(a->refresh, old_refresh) != 0;
	char *access = NULL, *refresh = NULL;
	bool ours = false;
	enum err err;

	err = seal_hex(w, env, "access_token", a->access, &access);
	if (!err && rotated)
		err = seal_hex(
		    w, env, "refresh_token", a->refresh, &refresh);
	if (!err)
		err = store(w, env, a, access, refresh, &ours);
	free(access);
	free(refresh);
	if (!err && !ours)
		return ERR_CONFLICT; /* replaced meanwhile: read it again */
	if (err)
		return err;
	token.len = strlen(a->access);
	token.data = (unsigned char *)strdup(a->access);
	if (!token.data)
		return ERR_NOMEM;
	adopt(w, &token, a->life_ms);
	log_at(LOG_INFO, "token_fetched", LOG_STR("user_id", w->user),
	    LOG_STR("connection_id", w->connection),
	    LOG_INT("life_ms", a->life_ms), LOG_INT("rotated", rotated));
	return ERR_OK;
}

static void
give_up_claim(const struct lwa *w, const struct step_env *env,
    const struct failure *why, enum err err)
{
	enum err ignored;

	ignored = db_run(env->db, STMT_TOKEN_RELEASE, NULL, arg_text(w->user),
	    arg_text(w->connection), arg_text(env->runner_id));
	(void)ignored; /* a claim ends by itself */
	if (err == ERR_PEER) {
		const char *code = why->code, *text = why->message;

		log_at(LOG_WARN, "token_refused",
		    LOG_STR("user_id", w->user),
		    LOG_STR("connection_id", w->connection),
		    LOG_STR("code", code), LOG_STR("text", text));
	}
}

static enum err
fetch(struct lwa *w, const struct step_env *env, const char *sealed,
    struct failure *why)
{
	CLEANUP(vault_bytes_wipe) struct vault_bytes old = { .data = NULL };
	CLEANUP(http_response_clear) struct http_response r = { .body = NULL };
	CLEANUP(json_clearp) json_object *owner = NULL;
	struct lwa_answer a;
	enum err err = ERR_CRYPTO;

	if (sealed)
		err = unseal_hex(w, env, "refresh_token", sealed, &old);
	if (err == ERR_CRYPTO) {
		if (sealed)
			failure_say(why, FAILURE_OPERATOR, "operator_setup",
			    "The stored token cannot be opened with this "
			    "service's key.");
		else
			failure_say(why, FAILURE_RECONNECT,
			    "reconnect_required",
			    "Please connect your Amazon account again.");
		return ERR_PEER;
	}
	if (!err)
		err = exchange(w, env, (const char *)old.data, &r, why);
	if (!err)
		err = lwa_read(r.status, r.body, r.len, &owner, &a, why);
	if (!err)
		err = keep(w, env, &a, (const char *)old.data);
	if (r.body)
		sodium_memzero(r.body, r.len);
	return err;
}

static enum err
claim_and_fetch(struct lwa *w, const struct step_env *env, struct failure *why)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum err err;

	err = db_run(env->db, STMT_TOKEN_CLAIM, &res, arg_text(w->user),
	    arg_text(w->connection), arg_text(env->runner_id),
	    arg_i64(env->settings->source_timeout_ms + CLAIM_SPARE_MS));
	if (err)
		return err;
	if (PQntuples(res) == 0)
		return ERR_CONFLICT;
	err = fetch(w, env, result_text(res, 0, "refresh_token"), why);
	if (err && err != ERR_CONFLICT)
		give_up_claim(w, env, why, err);
	return err;
}

/* A token made for a short life is used up to the half of it. */
static bool
still_good(const struct lwa *w, int64_t least_ms)
{
	if (least_ms > w->life_ms / 2)
		least_ms = w->life_ms / 2;
	return w->access.data && !w->refused &&
	    w->until_ms - clock_ms() >= least_ms;
}

enum err
lwa_token(struct lwa *w, const struct step_env *env, int64_t least_ms,
    struct failure *why)
{
	bool found;
	enum err err;

	if (least_ms < LEAST_LIFE_MS)
		least_ms = LEAST_LIFE_MS;
	if (still_good(w, least_ms))
		return ERR_OK;
	if (db_in_transaction(env->db))
		return w->access.data && !w->refused && w->until_ms > clock_ms()
		    ? ERR_OK : ERR_EDGE;
	err = load_stored(w, env, least_ms, &found);
	if (err || found)
		return err;
	return claim_and_fetch(w, env, why);
}
