/* lwa.c - the token exchange: refresh tokens and codes for access tokens. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "call.h"

enum { FIELDS = 6 };

static const char *const field_names[FIELDS] = { "grant_type", "client_id",
	"client_secret", "refresh_token", "code", "redirect_uri" };

enum field {
	GRANT_TYPE,
	CLIENT_ID,
	CLIENT_SECRET,
	REFRESH_TOKEN,
	CODE,
	REDIRECT_URI
};

/* What came as a form or as JSON; fields are NULL when absent. */
struct exchange {
	struct params form;
	struct json_object *json;
	const char *field[FIELDS];
};

static void
refuse(struct reply *rp, int status, const char *error, const char *text)
{
	rp->status = status;
	rp->body.len = 0;
	buf_lit(&rp->body, "{\"error\":");
	buf_json_str(&rp->body, error);
	buf_lit(&rp->body, ",\"error_description\":");
	buf_json_str(&rp->body, text);
	buf_ch(&rp->body, '}');
}

static bool
exchange_form(struct exchange *x, const struct call *c)
{
	if (!params_parse(&x->form, c->body.p, c->body.len) ||
	    params_duplicate(&x->form) != NULL)
		return false;
	for (int i = 0; i < FIELDS; i++)
		x->field[i] = param_get(&x->form, field_names[i]);
	return true;
}

static bool
exchange_json(struct exchange *x, const struct call *c)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *v;

	if (tok == NULL)
		return false;
	x->json = json_tokener_parse_ex(tok, c->body.p, (int)c->body.len);
	json_tokener_free(tok);
	if (!json_object_is_type(x->json, json_type_object))
		return false;
	for (int i = 0; i < FIELDS; i++)
		if (json_object_object_get_ex(x->json, field_names[i], &v))
			x->field[i] = json_object_get_string(v);
	return true;
}

static bool
exchange_read(struct exchange *x, const struct call *c)
{
	const char *type = c->content_type ? c->content_type : "";

	if (c->body.len == 0)
		return false;
	if (strncasecmp(type, "application/json", 16) == 0)
		return exchange_json(x, c);
	if (strncasecmp(type, "application/x-www-form-urlencoded", 33) == 0)
		return exchange_form(x, c);
	return false;
}

static void
exchange_fini(struct exchange *x)
{
	params_fini(&x->form);
	json_object_put(x->json);
}

static struct seller *
code_redeem(struct sandbox *sb, const char *text, int64_t now_ms)
{
	struct seller *s = NULL;

	pthread_mutex_lock(&sb->lock);
	for (int i = 0; i < CODES_MAX; i++) {
		struct code *code = &sb->codes[i];

		if (code->seller == NULL || strcmp(code->text, text) != 0)
			continue;
		if (now_ms < code->until_ms)
			s = code->seller;
		code->seller = NULL; /* good once */
	}
	pthread_mutex_unlock(&sb->lock);
	return s;
}

static void
answer(struct sandbox *sb, struct call *c, struct reply *rp)
{
	char access[ACCESS_MAX], refresh[REFRESH_MAX];

	access_issue(
	    &sb->sellers, c->seller, c->now_ms + sb->access_ttl_ms, access);
	seller_refresh_token(c->seller, refresh);
	buf_lit(&rp->body, "{\"access_token\":");
	buf_json_str(&rp->body, access);
	buf_lit(&rp->body, ",\"refresh_token\":");
	buf_json_str(&rp->body, refresh);
	buf_fmt(&rp->body, ",\"token_type\":\"bearer\",\"expires_in\":%lld}",
	    (long long)(sb->access_ttl_ms / 1000));
}

static void
by_refresh_token(struct sandbox *sb, struct call *c, const struct exchange *x,
    struct reply *rp)
{
	struct seller *s = NULL;
	enum refresh_result result;

	if (x->field[REFRESH_TOKEN] == NULL) {
		refuse(rp, 400, "invalid_request",
		    "The request is missing a required parameter : "
		    "refresh_token");
		return;
	}
	result = sellers_refresh(
	    &sb->sellers, x->field[REFRESH_TOKEN], c->now_ms, &s);
	c->seller = s;
	if (result != REFRESH_OK) {
		refuse(rp, 400, "invalid_grant",
		    "The request has an invalid grant parameter : "
		    "refresh_token");
		return;
	}
	answer(sb, c, rp);
}

static void
by_code(struct sandbox *sb, struct call *c, const struct exchange *x,
    struct reply *rp)
{
	if (x->field[CODE] == NULL || x->field[REDIRECT_URI] == NULL) {
		refuse(rp, 400, "invalid_request",
		    "The request is missing a required parameter : code or "
		    "redirect_uri");
		return;
	}
	c->seller = code_redeem(sb, x->field[CODE], c->now_ms);
	if (c->seller == NULL) {
		refuse(rp, 400, "invalid_grant",
		    "The request has an invalid grant parameter : code");
		return;
	}
	/* A new consent replaces whatever token there was. */
	seller_reconnect(c->seller);
	answer(sb, c, rp);
}

static void
exchange_answer(struct sandbox *sb, struct call *c, const struct exchange *x,
    struct reply *rp)
{
	const char *grant = x->field[GRANT_TYPE];

	if (grant == NULL || x->field[CLIENT_ID] == NULL ||
	    x->field[CLIENT_SECRET] == NULL)
		refuse(rp, 400, "invalid_request",
		    "The request is missing a required parameter");
	else if (strcmp(x->field[CLIENT_ID], sb->client_id) != 0 ||
	    strcmp(x->field[CLIENT_SECRET], sb->client_secret) != 0)
		refuse(
		    rp, 401, "invalid_client", "Client authentication failed");
	else if (strcmp(grant, "refresh_token") == 0)
		by_refresh_token(sb, c, x, rp);
	else if (strcmp(grant, "authorization_code") == 0)
		by_code(sb, c, x, rp);
	else
		refuse(rp, 400, "unsupported_grant_type",
		    "The authorization grant type is not supported");
}

struct seller *
token_caller(struct sandbox *sb, struct call *c)
{
	struct exchange x = { 0 };
	struct seller *s = NULL;

	if (exchange_read(&x, c) && x.field[REFRESH_TOKEN] != NULL)
		s = sellers_refresh_owner(&sb->sellers, x.field[REFRESH_TOKEN]);
	exchange_fini(&x);
	return s;
}

void
token_exchange(struct sandbox *sb, struct call *c, struct reply *rp)
{
	struct exchange x = { 0 };

	if (exchange_read(&x, c))
		exchange_answer(sb, c, &x, rp);
	else
		refuse(rp, 400, "invalid_request",
		    "The request has no readable body");
	exchange_fini(&x);
}
