/*
 * keyset.h - the keys that verify tokens, each for exactly one algorithm.
 *
 * The only file that knows libjwt and OpenSSL.  A set does not change once it
 * is shared, so any thread may read one it holds a reference to; nothing here
 * blocks but key_file_read.  Secrets are wiped with the last reference.
 * `why` gets a sentence for the operator that never repeats key material.
 */
#ifndef SYNCLINE_KEYSET_H
#define SYNCLINE_KEYSET_H

#include "shared/err.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define KEYSET_MAX 32     /* keys in one set */
#define KEY_KID_MAX 128   /* bytes of a key's name */
#define KEY_SECRET_MIN 32 /* bytes of an HS256 secret */
#define KEY_RSA_BITS_MIN 2048
#define KEY_RSA_BITS_MAX 8192
#define KEY_P256_BYTES 32         /* of each coordinate */
#define KEY_FILE_MAX (256 * 1024) /* bytes of a key or JWKS file */

enum key_alg { KEY_HS256, KEY_RS256, KEY_ES256, KEY_ALG__MAX };

struct key {
	enum key_alg alg;
	char *kid;            /* NULL: the key has no name */
	unsigned char *bytes; /* the secret, or a public key as PEM */
	size_t len;
};

struct keyset {
	atomic_uint refs;
	unsigned count;
	struct key keys[KEYSET_MAX];
};

/* A number as the bytes of its big-endian form.  Borrowed. */
struct key_number {
	const unsigned char *bytes;
	size_t len;
};

/* key_alg_name returns "HS256", "RS256" or "ES256". */
const char *key_alg_name(enum key_alg alg);

/* key_alg_parse reads exactly one of these names; len bytes. */
enum err
key_alg_parse(const char *text, size_t len, enum key_alg *ret) MUST_CHECK;

/* keyset_new makes an empty set; the caller owns one reference. */
enum err keyset_new(struct keyset **ret) MUST_CHECK;

/* keyset_ref returns set with one more reference. */
struct keyset *keyset_ref(struct keyset *set);

/* keyset_unref drops one; the last one frees.  NULL is fine. */
void keyset_unref(struct keyset *set);
void keyset_unrefp(struct keyset **set);

/*
 * The keyset_add functions add one key to a set that nobody else sees yet.
 * Everything is copied; kid may be NULL.
 * ERR_INVAL: a key that must not serve.  ERR_TOO_LARGE: the set is full.
 *
 * keyset_add_secret: for HS256; KEY_SECRET_MIN bytes or more, and not a PEM
 * text, as who knows the public key in it could sign.
 * keyset_add_pem: for RS256 or ES256; a PEM public key, RSA within the bits
 * above or P-256.
 * keyset_add_rsa, keyset_add_p256: the same keys from their numbers.
 */
enum err keyset_add_secret(struct keyset *set, const char *kid,
    const unsigned char *bytes, size_t len, char *why,
    size_t why_size) MUST_CHECK;
enum err keyset_add_pem(struct keyset *set, enum key_alg alg, const char *kid,
    const unsigned char *bytes, size_t len, char *why,
    size_t why_size) MUST_CHECK;
enum err
keyset_add_rsa(struct keyset *set, const char *kid, struct key_number n,
    struct key_number e, char *why, size_t why_size) MUST_CHECK;
enum err keyset_add_p256(struct keyset *set, const char *kid,
    const unsigned char x[KEY_P256_BYTES],
    const unsigned char y[KEY_P256_BYTES], char *why,
    size_t why_size) MUST_CHECK;

/*
 * key_verifies: the token (NUL-terminated, three parts of base64url) was
 * signed with this key and says so.  The caller has made sure that the
 * token's header names key->alg: libjwt would take the key's bytes for a key
 * of whatever algorithm the header names.
 */
bool key_verifies(const struct key *key, const char *token);

struct key_file {
	unsigned char *bytes;
	size_t len;
	struct stat st; /* of the very file that was read */
};

/*
 * key_file_read reads a whole regular file.  Blocks on the disk.  ERR_IO,
 * ERR_INVAL with why, which does not repeat the path: it might be a secret
 * that begins with an @.  The caller wipes *ret, also after an error.
 */
enum err key_file_read(const char *path, struct key_file *ret, char *why,
    size_t why_size) MUST_CHECK;
void key_file_wipe(struct key_file *f);

#endif
