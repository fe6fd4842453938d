/*
 * keyring.h - the keys and the rules by which one process judges tokens.
 *
 * Open it after the last fork; then any number of threads may use it at the
 * same time.  Nothing blocks, except that at most once a second one call looks
 * at the JWKS file and reads it when it has changed (see jwks.h).
 */
#ifndef SYNCLINE_KEYRING_H
#define SYNCLINE_KEYRING_H

#include "shared/err.h"
#include "shared/keyset.h"
#include <stddef.h>

struct settings;
struct keyring; /* opaque */

#define RULES_LEVELS_MAX 8

/* What the claims of a token must say.  Owned by the keyring, constant. */
struct rules {
	const char *audience;    /* NULL: not checked */
	const char *issuer;      /* NULL: not checked */
	const char *admin_value; /* NULL: nobody is an administrator */
	const char *admin_path[RULES_LEVELS_MAX];
	unsigned admin_depth;
};

/*
 * keyring_open takes its keys from s->jwt_keys, a list of ALG[:kid]=secret or
 * ALG[:kid]=@file separated by white space, and from s->jwks_file.  ALG is
 * HS256 (a secret of 32 bytes or more; of a file, without one newline at its
 * end), RS256 or ES256 (a PEM public key, always a file).  The rules are
 * s->jwt_audience, jwt_issuer, admin_claim and admin_value; admin_claim names
 * the levels with dots between them, and "\." is a dot within a name.  All
 * texts are copied.  Without any key it opens and refuses every token.
 * ERR_INVAL, ERR_TOO_LARGE, ERR_IO: why says which key and what is wrong with
 * it; it never repeats a secret.
 */
enum err keyring_open(const struct settings *s, struct keyring **ret, char *why,
    size_t why_size) MUST_CHECK;
void keyring_close(struct keyring *k);

const struct rules *keyring_rules(const struct keyring *k);

/* keyring_size counts the keys now in use. */
unsigned keyring_size(struct keyring *k);

/* keyring_refresh looks at the JWKS file now instead of within a second. */
void keyring_refresh(struct keyring *k);

/*
 * keyring_check looks for the key that signed a NUL-terminated token whose
 * header names exactly alg and, unless it is NULL, kid.  Only keys of that
 * algorithm are tried: with a kid that names a key, keys of that name; with
 * any other kid, keys without a name; without a kid, all.
 * ERR_NOT_FOUND: no key could be tried.  ERR_CRYPTO: none of them signed it.
 */
enum err keyring_check(struct keyring *k, enum key_alg alg, const char *kid,
    const char *token) MUST_CHECK;

#endif
