/* identity.c - reads a token's parts, its signature and its claims, in turn. */
#include "shared/identity.h"
#include "shared/jwks.h"
#include "shared/keyring.h"

#include <json-c/json.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define TIME_MAX INT64_C(253402300799) /* the last second of the year 9999 */

/*
 * The steps below return NULL when all is well, else one of the words that
 * identity.h lists.
 */
static const char no_memory[] = "no_memory";

struct token {
	char text[IDENTITY_TOKEN_MAX + 1];
	enum key_alg alg;
	const char *kid; /* in header; NULL: none */
	struct json_object *header;
	struct json_object *claims;
};

/* JSON values. */

static struct json_object *
member(struct json_object *o, const char *name)
{
	struct json_object *m;

	return json_object_object_get_ex(o, name, &m) ? m : NULL;
}

static bool
is_text(struct json_object *o, const char *text)
{
	return json_object_is_type(o, json_type_string) &&
	    strlen(text) == (size_t)json_object_get_string_len(o) &&
	    memcmp(json_object_get_string(o), text, strlen(text)) == 0;
}

/* is_or_holds: the text itself, or an array with it. */
static bool
is_or_holds(struct json_object *o, const char *text)
{
	if (!json_object_is_type(o, json_type_array))
		return is_text(o, text);
	for (size_t i = 0; i < json_object_array_length(o); i++) {
		if (is_text(json_object_array_get_idx(o, i), text))
			return true;
	}
	return false;
}

/* get_time reads a NumericDate; a value in milliseconds is out of range. */
static bool
get_time(struct json_object *o, int64_t *ret)
{
	double v;

	if (!json_object_is_type(o, json_type_int) &&
	    !json_object_is_type(o, json_type_double))
		return false;
	v = json_object_get_double(o);
	if (!(v >= 0 && v <= (double)TIME_MAX))
		return false;
	*ret = (int64_t)v;
	return true;
}

/* The parts of a token. */

static void
token_clear(struct token *t)
{
	json_object_put(t->header);
	json_object_put(t->claims);
}

/* part_json decodes one part, len bytes of base64url without padding. */
static const char *
part_json(const char *part, size_t len, struct json_object **ret)
{
	char text[IDENTITY_TOKEN_MAX / 4 * 3];
	size_t text_len;
	enum err err;

	if (sodium_base642bin((unsigned char *)text, sizeof text, part, len,
		NULL, &text_len, NULL,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return "malformed";
	err = jwks_json(text, text_len, ret);
	if (err == ERR_NOMEM)
		return no_memory;
	return err ? "malformed" : NULL;
}

static const char *
read_header(struct token *t)
{
	struct json_object *alg = member(t->header, "alg");
	struct json_object *kid = member(t->header, "kid");
	struct json_object *typ = member(t->header, "typ");

	if (!json_object_is_type(alg, json_type_string) ||
	    key_alg_parse(json_object_get_string(alg),
		(size_t)json_object_get_string_len(alg), &t->alg))
		return "alg";
	if (json_object_object_get_ex(t->header, "crit", NULL))
		return "crit";
	/* libjwt 1.10 refuses every other typ, so name the reason here */
	if (typ &&
	    (!json_object_is_type(typ, json_type_string) ||
		strcasecmp(json_object_get_string(typ), "JWT") != 0))
		return "malformed";
	if (!kid)
		return NULL;
	t->kid = json_object_get_string(kid);
	if (!json_object_is_type(kid, json_type_string) || *t->kid == '\0' ||
	    strlen(t->kid) != (size_t)json_object_get_string_len(kid))
		return "malformed";
	return NULL;
}

static const char *
read_token(struct token *t, const char *token, size_t len)
{
	unsigned char signature[IDENTITY_TOKEN_MAX];
	const char *dot, *dot2, *fault;
	size_t left, signature_len;

	if (len == 0)
		return "no_token";
	if (len > IDENTITY_TOKEN_MAX)
		return "too_long";
	dot = memchr(token, '.', len);
	if (!dot)
		return "malformed";
	left = len - (size_t)(dot + 1 - token);
	dot2 = memchr(dot + 1, '.', left);
	if (!dot2)
		return "malformed";
	left -= (size_t)(dot2 - dot);
	/* a third dot, or anything else that is not base64url, fails here */
	if (sodium_base642bin(signature, sizeof signature, dot2 + 1, left, NULL,
		&signature_len, NULL,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
	    signature_len == 0)
		return "malformed";
	fault = part_json(token, (size_t)(dot - token), &t->header);
	if (!fault)
		fault = read_header(t);
	if (!fault)
		fault =
		    part_json(dot + 1, (size_t)(dot2 - dot - 1), &t->claims);
	if (fault)
		return fault;
	memcpy(t->text, token, len);
	t->text[len] = '\0';
	return NULL;
}

static const char *
check_signature(struct keyring *k, const struct token *t)
{
	enum err err = keyring_check(k, t->alg, t->kid, t->text);

	if (err == ERR_NOT_FOUND)
		return "no_key";
	return err ? "signature" : NULL;
}

/* The claims. */

/* utf8_next reads one character; 0: not UTF-8, or NUL. */
static uint32_t
utf8_next(const unsigned char **p, const unsigned char *end)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = *p;
	unsigned more;
	uint32_t c;

	if (*s < 0x80) {
		*p = s + 1;
		return *s;
	}
	if (*s < 0xc2 || *s > 0xf4)
		return 0;
	more = *s < 0xe0 ? 1 : *s < 0xf0 ? 2 : 3;
	if ((size_t)(end - s) <= more)
		return 0;
	c = *s & (0x3fu >> more);
	for (unsigned i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	*p = s + 1 + more;
	if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return c;
}

bool
identity_user_valid(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	const unsigned char *end = p + len;

	if (len == 0 || len > IDENTITY_USER_MAX)
		return false;
	while (p < end) {
		uint32_t c = utf8_next(&p, end);

		if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			return false;
	}
	return true;
}

static const char *
read_user(struct json_object *claims, char *user)
{
	static const char *const names[] = { "sub", "user_id", "id", "userId" };
	struct json_object *claim = NULL;
	const char *text;
	size_t len;

	for (unsigned i = 0; !claim && i < COUNT_OF(names); i++)
		claim = member(claims, names[i]);
	if (json_object_is_type(claim, json_type_int)) {
		snprintf(user, IDENTITY_USER_MAX + 1, "%lld",
		    (long long)json_object_get_int64(claim));
		return NULL;
	}
	if (!json_object_is_type(claim, json_type_string))
		return "user";
	text = json_object_get_string(claim);
	len = (size_t)json_object_get_string_len(claim);
	if (!identity_user_valid(text, len))
		return "user";
	memcpy(user, text, len);
	user[len] = '\0';
	return NULL;
}

static bool
is_admin(const struct rules *r, struct json_object *claims)
{
	struct json_object *at = claims;

	if (!r->admin_value)
		return false;
	for (unsigned i = 0; at && i < r->admin_depth; i++) {
		if (!json_object_is_type(at, json_type_object))
			return false;
		at = member(at, r->admin_path[i]);
	}
	return is_or_holds(at, r->admin_value);
}

static const char *
check_claims(const struct rules *r, struct json_object *claims, int64_t now,
    struct identity *id)
{
	struct json_object *nbf;
	int64_t not_before;

	if (!get_time(member(claims, "exp"), &id->expires))
		return "exp";
	if (now >= id->expires + IDENTITY_LEEWAY_S)
		return "expired";
	if (json_object_object_get_ex(claims, "nbf", &nbf)) {
		if (!get_time(nbf, &not_before))
			return "nbf";
		if (now + IDENTITY_LEEWAY_S < not_before)
			return "not_yet";
	}
	if (r->audience && !is_or_holds(member(claims, "aud"), r->audience))
		return "audience";
	if (r->issuer && !is_text(member(claims, "iss"), r->issuer))
		return "issuer";
	id->admin = is_admin(r, claims);
	return read_user(claims, id->user);
}

enum err
identity_verify_at(struct keyring *k, const char *token, size_t len,
    int64_t now, struct identity *ret, const char **ret_reason)
{
	CLEANUP(token_clear) struct token t = { .header = NULL };
	struct identity id = { .admin = false };
	const char *fault;

	fault = read_token(&t, token, len);
	if (!fault)
		fault = check_signature(k, &t);
	if (!fault)
		fault = check_claims(keyring_rules(k), t.claims, now, &id);
	if (fault) {
		if (ret_reason)
			*ret_reason = fault;
		return fault == no_memory ? ERR_NOMEM : ERR_DENIED;
	}
	*ret = id;
	return ERR_OK;
}

enum err
identity_verify(struct keyring *k, const char *token, size_t len,
    struct identity *ret, const char **ret_reason)
{
	return identity_verify_at(k, token, len, time(NULL), ret, ret_reason);
}
