/* jwks.c - reads JWKS documents, and follows the file that holds one. */
#include "shared/jwks.h"
#include "shared/keyset.h"
#include "shared/log.h"

#include <json-c/json.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define LOOK_EVERY_MS 1000
#define SETTLE_S 2 /* a younger file may still change within its mtime */

/* JSON that may come from anybody. */

static void
tokener_freep(struct json_tokener **tok)
{
	if (*tok)
		json_tokener_free(*tok);
}

static void
json_putp(struct json_object **o)
{
	json_object_put(*o);
}

/* A colon outside a string is a member: JSON uses it for nothing else. */
static size_t
members_written(const char *text, size_t len)
{
	bool quoted = false;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (text[i] == ':' && !quoted)
			n++;
	}
	return n;
}

/* Recurses at most JWKS_JSON_DEPTH levels: the parser saw to it. */
static size_t
members_kept(struct json_object *o)
{
	size_t n = 0;

	if (json_object_is_type(o, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(o); i++)
			n += members_kept(json_object_array_get_idx(o, i));
	} else if (json_object_is_type(o, json_type_object)) {
		struct json_object_iterator it = json_object_iter_begin(o);
		struct json_object_iterator end = json_object_iter_end(o);

		while (!json_object_iter_equal(&it, &end)) {
			n += 1 + members_kept(json_object_iter_peek_value(&it));
			json_object_iter_next(&it);
		}
	}
	return n;
}

enum err
jwks_json(const char *text, size_t len, struct json_object **ret)
{
	CLEANUP(tokener_freep) struct json_tokener *tok = NULL;
	CLEANUP(json_putp) struct json_object *o = NULL;

	if (len > JWKS_JSON_MAX)
		return ERR_INVAL;
	tok = json_tokener_new_ex(JWKS_JSON_DEPTH);
	if (!tok)
		return ERR_NOMEM;
	json_tokener_set_flags(
	    tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, text, (int)len);
	if (!json_object_is_type(o, json_type_object))
		return ERR_INVAL;
	/* a NUL byte ends json-c's look at the text */
	if (json_tokener_get_parse_end(tok) != len)
		return ERR_INVAL;
	/* of two members with one name json-c keeps the last, others do not */
	if (members_written(text, len) != members_kept(o))
		return ERR_INVAL;
	*ret = o;
	o = NULL;
	return ERR_OK;
}

/* JWKS documents. */

/* member_text: NULL when absent, no text, or with a NUL inside. */
static const char *
member_text(struct json_object *o, const char *name)
{
	struct json_object *m;

	if (!json_object_object_get_ex(o, name, &m) ||
	    !json_object_is_type(m, json_type_string))
		return NULL;
	if (strlen(json_object_get_string(m)) !=
	    (size_t)json_object_get_string_len(m))
		return NULL;
	return json_object_get_string(m);
}

/* member_is: absent, or exactly that text. */
static bool
member_is(struct json_object *o, const char *name, const char *text)
{
	const char *have;

	if (!json_object_object_get_ex(o, name, NULL))
		return true;
	have = member_text(o, name);
	return have && strcmp(have, text) == 0;
}

/* member_bytes decodes base64url into buf; false unless it is and fits. */
static bool
member_bytes(struct json_object *o, const char *name, unsigned char *buf,
    size_t size, size_t *ret_len)
{
	const char *text = member_text(o, name);

	return text &&
	    sodium_base642bin(buf, size, text, strlen(text), NULL, ret_len,
		NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0;
}

static bool
may_verify(struct json_object *jwk)
{
	struct json_object *ops;

	if (!member_is(jwk, "use", "sig"))
		return false;
	if (!json_object_object_get_ex(jwk, "key_ops", &ops))
		return true;
	if (!json_object_is_type(ops, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(ops); i++) {
		struct json_object *op = json_object_array_get_idx(ops, i);

		if (json_object_is_type(op, json_type_string) &&
		    strcmp(json_object_get_string(op), "verify") == 0)
			return true;
	}
	return false;
}

/* jwk_kind finds what a JWK is for; false: nothing of ours. */
static bool
jwk_kind(struct json_object *jwk, enum key_alg *ret)
{
	static const char *const kty[KEY_ALG__MAX] = {
		[KEY_HS256] = "oct",
		[KEY_RS256] = "RSA",
		[KEY_ES256] = "EC",
	};
	const char *have = member_text(jwk, "kty");

	if (!have || !may_verify(jwk))
		return false;
	for (unsigned i = 0; i < KEY_ALG__MAX; i++) {
		if (strcmp(have, kty[i]) != 0)
			continue;
		*ret = (enum key_alg)i;
		return member_is(jwk, "alg", key_alg_name(*ret)) &&
		    (i != KEY_ES256 || member_is(jwk, "crv", "P-256"));
	}
	return false;
}

static enum err
add_secret(struct keyset *set, const char *kid, struct json_object *jwk,
    char *why, size_t why_size)
{
	unsigned char secret[1024];
	size_t len;
	enum err err = ERR_INVAL;

	snprintf(why, why_size, "k is not base64url of at most %zu bytes",
	    sizeof secret);
	if (member_bytes(jwk, "k", secret, sizeof secret, &len))
		err = keyset_add_secret(set, kid, secret, len, why, why_size);
	sodium_memzero(secret, sizeof secret);
	return err;
}

static enum err
add_rsa(struct keyset *set, const char *kid, struct json_object *jwk, char *why,
    size_t why_size)
{
	unsigned char n_bytes[KEY_RSA_BITS_MAX / 8], e_bytes[8];
	struct key_number n = { .bytes = n_bytes }, e = { .bytes = e_bytes };

	if (!member_bytes(jwk, "n", n_bytes, sizeof n_bytes, &n.len) ||
	    !member_bytes(jwk, "e", e_bytes, sizeof e_bytes, &e.len)) {
		snprintf(why, why_size, "n or e is not base64url or too long");
		return ERR_INVAL;
	}
	return keyset_add_rsa(set, kid, n, e, why, why_size);
}

static enum err
add_p256(struct keyset *set, const char *kid, struct json_object *jwk,
    char *why, size_t why_size)
{
	unsigned char x[KEY_P256_BYTES], y[KEY_P256_BYTES];
	size_t x_len, y_len;

	if (!member_bytes(jwk, "x", x, sizeof x, &x_len) ||
	    !member_bytes(jwk, "y", y, sizeof y, &y_len) || x_len != sizeof x ||
	    y_len != sizeof y) {
		snprintf(why, why_size, "x or y is not base64url of %d bytes",
		    KEY_P256_BYTES);
		return ERR_INVAL;
	}
	return keyset_add_p256(set, kid, x, y, why, why_size);
}

static enum err
add_jwk(struct keyset *set, struct json_object *jwk, char *why, size_t why_size)
{
	static enum err (*const adds[KEY_ALG__MAX])(struct keyset *,
	    const char *, struct json_object *, char *, size_t) = {
		[KEY_HS256] = add_secret,
		[KEY_RS256] = add_rsa,
		[KEY_ES256] = add_p256,
	};
	const char *kid = member_text(jwk, "kid");
	enum key_alg alg;

	if (!jwk_kind(jwk, &alg))
		return ERR_OK;
	if (!kid && json_object_object_get_ex(jwk, "kid", NULL)) {
		snprintf(why, why_size, "its kid is not a text");
		return ERR_INVAL;
	}
	return adds[alg](set, kid, jwk, why, why_size);
}

enum err
jwks_parse(const char *text, size_t len, struct keyset **ret, char *why,
    size_t why_size)
{
	CLEANUP(keyset_unrefp) struct keyset *set = NULL;
	CLEANUP(json_putp) struct json_object *doc = NULL;
	struct json_object *keys;
	enum err err;

	err = jwks_json(text, len, &doc);
	if (err || !json_object_object_get_ex(doc, "keys", &keys) ||
	    !json_object_is_type(keys, json_type_array)) {
		snprintf(why, why_size,
		    "not a JSON object with an array named keys");
		return err ? err : ERR_INVAL;
	}
	err = keyset_new(&set);
	for (size_t i = 0; !err && i < json_object_array_length(keys); i++) {
		struct json_object *jwk = json_object_array_get_idx(keys, i);
		char fault[160] = "";

		if (!json_object_is_type(jwk, json_type_object)) {
			snprintf(fault, sizeof fault, "not an object");
			err = ERR_INVAL;
		} else {
			err = add_jwk(set, jwk, fault, sizeof fault);
		}
		if (err)
			snprintf(why, why_size, "key %zu: %s", i + 1, fault);
	}
	if (err)
		return err;
	*ret = set;
	set = NULL;
	return ERR_OK;
}

/* A set that follows a file. */

struct jwks {
	char *path;
	pthread_mutex_t lock; /* guards current, nothing blocks under it */
	struct keyset *current;
	atomic_llong next_look_ms;
	/* whoever sets busy owns what follows until it clears it */
	atomic_flag busy;
	struct stat seen;
	bool settled;    /* seen can be trusted to change with the file */
	bool complained; /* about the file as it is */
	unsigned char digest[crypto_generichash_BYTES];
};

static int64_t
now_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	    a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	    a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	    a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void
swap_in(struct jwks *j, struct keyset *set)
{
	struct keyset *old;

	pthread_mutex_lock(&j->lock);
	old = j->current;
	j->current = set;
	pthread_mutex_unlock(&j->lock);
	keyset_unref(old);
}

/* load reads the file and takes good keys over.  Only with busy set. */
static enum err
load(struct jwks *j, char *why, size_t why_size)
{
	CLEANUP(key_file_wipe) struct key_file file = { 0 };
	unsigned char digest[sizeof j->digest];
	struct keyset *set;
	char fault[256];
	enum err err;

	err = key_file_read(j->path, &file, fault, sizeof fault);
	if (err) {
		snprintf(why, why_size, "%s: %s", j->path, fault);
		memset(j->digest, 0, sizeof j->digest);
		j->settled = false;
		return err;
	}
	j->seen = file.st;
	j->settled =
	    now_ms(CLOCK_REALTIME) / 1000 - file.st.st_mtim.tv_sec > SETTLE_S;
	crypto_generichash(
	    digest, sizeof digest, file.bytes, file.len, NULL, 0);
	if (memcmp(digest, j->digest, sizeof digest) == 0)
		return ERR_OK;
	err =
	    jwks_parse((char *)file.bytes, file.len, &set, fault, sizeof fault);
	if (err == ERR_NOMEM) { /* not the file's fault: look again */
		j->settled = false;
		snprintf(why, why_size, "no memory");
		return err;
	}
	memcpy(j->digest, digest, sizeof digest);
	if (err) {
		snprintf(why, why_size, "%s: %s", j->path, fault);
		return err;
	}
	j->complained = false;
	if (j->current)
		log_at(LOG_INFO, "jwks_loaded", LOG_STR("path", j->path),
		    LOG_INT("keys", set->count));
	swap_in(j, set);
	return ERR_OK;
}

/* look re-reads a changed file.  Only with busy set. */
static void
look(struct jwks *j)
{
	char text[512] = "";
	const char *why = text;
	struct stat st;

	if (j->settled && stat(j->path, &st) == 0 && same_file(&st, &j->seen))
		return;
	if (load(j, text, sizeof text) == ERR_OK || j->complained)
		return;
	j->complained = true;
	log_at(LOG_WARN, "jwks_kept_old_keys", LOG_STR("reason", why));
}

void
jwks_refresh(struct jwks *j)
{
	if (atomic_flag_test_and_set(&j->busy))
		return;
	atomic_store(&j->next_look_ms, now_ms(CLOCK_MONOTONIC) + LOOK_EVERY_MS);
	look(j);
	atomic_flag_clear(&j->busy);
}

struct keyset *
jwks_get(struct jwks *j)
{
	struct keyset *set;

	if (now_ms(CLOCK_MONOTONIC) >= atomic_load(&j->next_look_ms))
		jwks_refresh(j);
	pthread_mutex_lock(&j->lock);
	set = keyset_ref(j->current);
	pthread_mutex_unlock(&j->lock);
	return set;
}

void
jwks_close(struct jwks *j)
{
	if (!j)
		return;
	keyset_unref(j->current);
	pthread_mutex_destroy(&j->lock);
	free(j->path);
	free(j);
}

enum err
jwks_open(const char *path, struct jwks **ret, char *why, size_t why_size)
{
	struct jwks *j = calloc(1, sizeof *j);
	enum err err;

	if (!j)
		return ERR_NOMEM;
	pthread_mutex_init(&j->lock, NULL);
	atomic_flag_clear(&j->busy);
	atomic_init(&j->next_look_ms, now_ms(CLOCK_MONOTONIC) + LOOK_EVERY_MS);
	j->path = strdup(path);
	err = j->path ? load(j, why, why_size) : ERR_NOMEM;
	if (err) {
		jwks_close(j);
		return err;
	}
	*ret = j;
	return ERR_OK;
}
