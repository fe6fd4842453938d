/* keyring.c - reads keys and rules from the settings, and picks keys. */
#include "shared/keyring.h"
#include "shared/jwks.h"
#include "shared/settings.h"

#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROOFS 1024 /* a power of two */

/* That one key signed one token is true for ever: a hash of both says so. */
struct proof {
	unsigned char hash[crypto_generichash_BYTES];
};

struct keyring {
	struct keyset *fixed;
	struct jwks *followed; /* NULL: no JWKS file */
	struct rules rules;    /* its texts point into these */
	char *audience;
	char *issuer;
	char *admin_claim; /* its levels, each ended by a NUL */
	char *admin_value;
	pthread_mutex_t lock; /* guards proofs, nothing blocks under it */
	struct proof proofs[PROOFS];
};

/* split_name reads ALG or ALG:kid; *ret_kid is "" without one. */
static enum err
split_name(const char *name, size_t len, enum key_alg *ret_alg, char *ret_kid)
{
	const char *colon = memchr(name, ':', len);
	size_t alg_len = colon ? (size_t)(colon - name) : len;
	size_t kid_len = colon ? len - alg_len - 1 : 0;

	if (key_alg_parse(name, alg_len, ret_alg))
		return ERR_INVAL;
	if ((colon && kid_len == 0) || kid_len > KEY_KID_MAX)
		return ERR_INVAL;
	if (colon)
		memcpy(ret_kid, colon + 1, kid_len);
	ret_kid[kid_len] = '\0';
	return ERR_OK;
}

static enum err
add_file(struct keyset *set, enum key_alg alg, const char *kid,
    const char *path, char *why, size_t why_size)
{
	CLEANUP(key_file_wipe) struct key_file file = { .bytes = NULL };
	char fault[128];
	size_t len;
	enum err err;

	err = key_file_read(path, &file, fault, sizeof fault);
	if (err) {
		snprintf(why, why_size, "its file: %s", fault);
		return err;
	}
	if (alg != KEY_HS256)
		return keyset_add_pem(
		    set, alg, kid, file.bytes, file.len, why, why_size);
	len = file.len;
	if (len > 0 && file.bytes[len - 1] == '\n')
		len--;
	return keyset_add_secret(set, kid, file.bytes, len, why, why_size);
}

/* add_entry reads one ALG[:kid]=value of len bytes. */
static enum err
add_entry(struct keyset *set, const char *entry, size_t len, char *why,
    size_t why_size)
{
	const char *value = memchr(entry, '=', len);
	char path[PATH_MAX], kid[KEY_KID_MAX + 1];
	enum key_alg alg;

	if (!value || split_name(entry, (size_t)(value - entry), &alg, kid)) {
		snprintf(why, why_size,
		    "not ALG[:kid]=value with ALG one of HS256, RS256, ES256 "
		    "and a kid of at most %d bytes",
		    KEY_KID_MAX);
		return ERR_INVAL;
	}
	value++;
	len -= (size_t)(value - entry);
	if (len > 0 && *value == '@') {
		snprintf(path, sizeof path, "%.*s", (int)len - 1, value + 1);
		return add_file(
		    set, alg, *kid ? kid : NULL, path, why, why_size);
	}
	if (alg != KEY_HS256) {
		snprintf(why, why_size, "%s takes a file: ALG[:kid]=@file",
		    key_alg_name(alg));
		return ERR_INVAL;
	}
	return keyset_add_secret(set, *kid ? kid : NULL,
	    (const unsigned char *)value, len, why, why_size);
}

static enum err
add_entries(struct keyset *set, const char *list, char *why, size_t why_size)
{
	static const char space[] = " \t\r\n";
	unsigned n = 0;

	for (list += strspn(list, space); *list != '\0';
	     list += strspn(list, space)) {
		size_t len = strcspn(list, space);
		char fault[256] = "";
		enum err err;

		n++;
		err = add_entry(set, list, len, fault, sizeof fault);
		if (err) {
			snprintf(why, why_size, "SYNCLINE_JWT_KEYS, key %u: %s",
			    n, fault);
			return err;
		}
		list += len;
	}
	return ERR_OK;
}

/* copy_text leaves *ret NULL for a setting that is not there or empty. */
static enum err
copy_text(const char *text, char **ret)
{
	if (!text || *text == '\0')
		return ERR_OK;
	*ret = strdup(text);
	return *ret ? ERR_OK : ERR_NOMEM;
}

/* split_path cuts a path at its dots, in place; "\." is a dot in a name. */
static enum err
split_path(char *path, struct rules *r)
{
	char *to = path;

	r->admin_path[r->admin_depth++] = to;
	for (const char *from = path; *from != '\0'; from++) {
		if (*from == '.') {
			if (r->admin_depth == RULES_LEVELS_MAX)
				return ERR_INVAL;
			*to++ = '\0';
			r->admin_path[r->admin_depth++] = to;
		} else {
			if (from[0] == '\\' && from[1] == '.')
				from++;
			*to++ = *from;
		}
	}
	*to = '\0';
	for (unsigned i = 0; i < r->admin_depth; i++) {
		if (*r->admin_path[i] == '\0')
			return ERR_INVAL;
	}
	return ERR_OK;
}

static enum err
open_rules(
    struct keyring *k, const struct settings *s, char *why, size_t why_size)
{
	if (copy_text(s->jwt_audience, &k->audience) ||
	    copy_text(s->jwt_issuer, &k->issuer) ||
	    copy_text(s->admin_claim, &k->admin_claim) ||
	    copy_text(s->admin_value, &k->admin_value))
		return ERR_NOMEM;
	k->rules.audience = k->audience;
	k->rules.issuer = k->issuer;
	if (!k->admin_claim || !k->admin_value)
		return ERR_OK;
	k->rules.admin_value = k->admin_value;
	if (split_path(k->admin_claim, &k->rules)) {
		snprintf(why, why_size,
		    "SYNCLINE_ADMIN_CLAIM must be 1 to %d names with dots "
		    "between them",
		    RULES_LEVELS_MAX);
		return ERR_INVAL;
	}
	return ERR_OK;
}

static enum err
open_keys(
    struct keyring *k, const struct settings *s, char *why, size_t why_size)
{
	char fault[PATH_MAX + 512] = "no memory";
	enum err err;

	err = keyset_new(&k->fixed);
	if (!err && s->jwt_keys)
		err = add_entries(k->fixed, s->jwt_keys, why, why_size);
	if (err || !s->jwks_file || *s->jwks_file == '\0')
		return err;
	err = jwks_open(s->jwks_file, &k->followed, fault, sizeof fault);
	if (err)
		snprintf(why, why_size, "SYNCLINE_JWKS_FILE: %s", fault);
	return err;
}

enum err
keyring_open(
    const struct settings *s, struct keyring **ret, char *why, size_t why_size)
{
	struct keyring *k;
	enum err err;

	snprintf(why, why_size, "no memory");
	if (sodium_init() < 0) {
		snprintf(why, why_size, "libsodium does not start");
		return ERR_CRYPTO;
	}
	k = calloc(1, sizeof *k);
	if (!k)
		return ERR_NOMEM;
	pthread_mutex_init(&k->lock, NULL);
	err = open_rules(k, s, why, why_size);
	if (!err)
		err = open_keys(k, s, why, why_size);
	if (err) {
		keyring_close(k);
		return err;
	}
	*ret = k;
	return ERR_OK;
}

void
keyring_close(struct keyring *k)
{
	if (!k)
		return;
	keyset_unref(k->fixed);
	jwks_close(k->followed);
	free(k->audience);
	free(k->issuer);
	free(k->admin_claim);
	free(k->admin_value);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

const struct rules *
keyring_rules(const struct keyring *k)
{
	return &k->rules;
}

unsigned
keyring_size(struct keyring *k)
{
	CLEANUP(keyset_unrefp) struct keyset *followed = NULL;

	if (!k->followed)
		return k->fixed->count;
	followed = jwks_get(k->followed);
	return k->fixed->count + followed->count;
}

void
keyring_refresh(struct keyring *k)
{
	if (k->followed)
		jwks_refresh(k->followed);
}

static bool
knows_kid(const struct keyset *set, const char *kid)
{
	for (unsigned i = 0; set && kid && i < set->count; i++) {
		if (set->keys[i].kid && strcmp(set->keys[i].kid, kid) == 0)
			return true;
	}
	return false;
}

/*
 * key_fits decides whether a key may be tried at all.  The algorithm here is
 * what keeps a public key from serving as an HS256 secret.  named: some key
 * has that kid.
 */
static bool
key_fits(const struct key *key, enum key_alg alg, const char *kid, bool named)
{
	if (key->alg != alg)
		return false;
	if (named)
		return key->kid && strcmp(key->kid, kid) == 0;
	return !kid || !key->kid;
}

/*
 * signed_by remembers what it found true, as OpenSSL reads the key anew each
 * time: measured, 350 us a public-key token, and a page asks again and again.
 * A key that is gone is not asked about any more, so nothing gets stale.
 */
static bool
signed_by(struct keyring *k, const struct key *key, const char *token)
{
	crypto_generichash_state st;
	struct proof p, *slot;
	bool known;

	if (key->alg == KEY_HS256)
		return key_verifies(key, token);
	crypto_generichash_init(&st, NULL, 0, sizeof p.hash);
	crypto_generichash_update(&st, key->bytes, key->len);
	crypto_generichash_update(
	    &st, (const unsigned char *)token, strlen(token));
	crypto_generichash_final(&st, p.hash, sizeof p.hash);
	slot = &k->proofs[(p.hash[0] | p.hash[1] << 8) % PROOFS];

	pthread_mutex_lock(&k->lock);
	known = memcmp(slot, &p, sizeof p) == 0;
	pthread_mutex_unlock(&k->lock);
	if (known)
		return true;
	if (!key_verifies(key, token))
		return false;
	pthread_mutex_lock(&k->lock);
	*slot = p;
	pthread_mutex_unlock(&k->lock);
	return true;
}

enum err
keyring_check(
    struct keyring *k, enum key_alg alg, const char *kid, const char *token)
{
	CLEANUP(keyset_unrefp) struct keyset *followed = NULL;
	const struct keyset *sets[2] = { k->fixed, NULL };
	enum err err = ERR_NOT_FOUND;
	bool named;

	if (k->followed)
		followed = jwks_get(k->followed);
	sets[1] = followed;
	named = knows_kid(sets[0], kid) || knows_kid(sets[1], kid);
	for (unsigned s = 0; s < COUNT_OF(sets) && sets[s]; s++) {
		for (unsigned i = 0; i < sets[s]->count; i++) {
			const struct key *key = &sets[s]->keys[i];

			if (!key_fits(key, alg, kid, named))
				continue;
			if (signed_by(k, key, token))
				return ERR_OK;
			err = ERR_CRYPTO;
		}
	}
	return err;
}
