/* keyset.c - checks keys, keeps them in the form libjwt takes, uses them. */
#include "shared/keyset.h"

/* OpenSSL has a type by the name of one of our errors. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#undef ERR_STATE

#include <errno.h>
#include <fcntl.h>
#include <jwt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const alg_names[KEY_ALG__MAX] = {
	[KEY_HS256] = "HS256",
	[KEY_RS256] = "RS256",
	[KEY_ES256] = "ES256",
};

const char *
key_alg_name(enum key_alg alg)
{
	return alg_names[alg];
}

enum err
key_alg_parse(const char *text, size_t len, enum key_alg *ret)
{
	for (unsigned i = 0; i < KEY_ALG__MAX; i++) {
		if (strlen(alg_names[i]) == len &&
		    memcmp(alg_names[i], text, len) == 0) {
			*ret = (enum key_alg)i;
			return ERR_OK;
		}
	}
	return ERR_INVAL;
}

/* Sets. */

enum err
keyset_new(struct keyset **ret)
{
	struct keyset *set = calloc(1, sizeof *set);

	if (!set)
		return ERR_NOMEM;
	atomic_init(&set->refs, 1);
	*ret = set;
	return ERR_OK;
}

struct keyset *
keyset_ref(struct keyset *set)
{
	atomic_fetch_add(&set->refs, 1);
	return set;
}

void
keyset_unref(struct keyset *set)
{
	if (!set || atomic_fetch_sub(&set->refs, 1) != 1)
		return;
	for (unsigned i = 0; i < set->count; i++) {
		sodium_memzero(set->keys[i].bytes, set->keys[i].len);
		free(set->keys[i].bytes);
		free(set->keys[i].kid);
	}
	free(set);
}

void
keyset_unrefp(struct keyset **set)
{
	keyset_unref(*set);
}

static enum err
add(struct keyset *set, enum key_alg alg, const char *kid, const void *bytes,
    size_t len, char *why, size_t why_size)
{
	struct key key = { .alg = alg, .len = len };

	if (set->count == KEYSET_MAX) {
		snprintf(why, why_size, "more than %d keys", KEYSET_MAX);
		return ERR_TOO_LARGE;
	}
	if (kid && (*kid == '\0' || strlen(kid) > KEY_KID_MAX)) {
		snprintf(why, why_size, "a kid has 1 to %d bytes", KEY_KID_MAX);
		return ERR_INVAL;
	}
	key.bytes = malloc(len);
	key.kid = kid ? strdup(kid) : NULL;
	if (!key.bytes || (kid && !key.kid)) {
		snprintf(why, why_size, "no memory");
		free(key.bytes);
		free(key.kid);
		return ERR_NOMEM;
	}
	memcpy(key.bytes, bytes, len);
	set->keys[set->count++] = key;
	return ERR_OK;
}

enum err
keyset_add_secret(struct keyset *set, const char *kid,
    const unsigned char *bytes, size_t len, char *why, size_t why_size)
{
	static const char pem[] = "-----BEGIN ";

	if (len < KEY_SECRET_MIN) {
		snprintf(why, why_size,
		    "an HS256 secret has at least %d bytes, this one %zu",
		    KEY_SECRET_MIN, len);
		return ERR_INVAL;
	}
	if (len > KEY_FILE_MAX) {
		snprintf(why, why_size, "the secret is too long");
		return ERR_INVAL;
	}
	if (memmem(bytes, len, pem, strlen(pem))) {
		snprintf(why, why_size,
		    "an HS256 secret must not be a PEM file: who knows the "
		    "public key could sign; say RS256 or ES256");
		return ERR_INVAL;
	}
	return add(set, KEY_HS256, kid, bytes, len, why, why_size);
}

/* Public keys. */

static void
bio_freep(BIO **b)
{
	BIO_free(*b);
}

static void
pkey_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void
pkey_ctx_freep(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

/* pkey_fault says why a key must not serve for alg; NULL: it may. */
static const char *
pkey_fault(EVP_PKEY *pkey, enum key_alg alg)
{
	CLEANUP(pkey_ctx_freep) EVP_PKEY_CTX *ctx = NULL;
	char group[32];

	if (alg == KEY_RS256) {
		if (!pkey || !EVP_PKEY_is_a(pkey, "RSA"))
			return "RS256 takes an RSA public key";
		if (EVP_PKEY_get_bits(pkey) < KEY_RSA_BITS_MIN ||
		    EVP_PKEY_get_bits(pkey) > KEY_RSA_BITS_MAX)
			return "an RSA key has 2048 to 8192 bits";
	} else if (!pkey || !EVP_PKEY_is_a(pkey, "EC") ||
	    EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) != 1 ||
	    strcmp(group, "prime256v1") != 0) {
		return "ES256 takes a public key on the curve P-256";
	}
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	if (!ctx || EVP_PKEY_public_check(ctx) != 1)
		return "the numbers of the public key are not valid";
	return NULL;
}

static enum err
add_as_pem(struct keyset *set, enum key_alg alg, const char *kid,
    EVP_PKEY *pkey, char *why, size_t why_size)
{
	CLEANUP(bio_freep) BIO *out = NULL;
	const char *fault = pkey_fault(pkey, alg);
	char *pem;
	long len;

	if (fault) {
		snprintf(why, why_size, "%s", fault);
		return ERR_INVAL;
	}
	out = BIO_new(BIO_s_mem());
	if (!out || PEM_write_bio_PUBKEY(out, pkey) != 1) {
		snprintf(why, why_size, "no memory");
		return ERR_NOMEM;
	}
	len = BIO_get_mem_data(out, &pem);
	return add(set, alg, kid, pem, (size_t)len, why, why_size);
}

/* add_pkey ends every way to add a public key; pkey is NULL if none came. */
static enum err
add_pkey(struct keyset *set, enum key_alg alg, const char *kid, EVP_PKEY *pkey,
    char *why, size_t why_size)
{
	enum err err = add_as_pem(set, alg, kid, pkey, why, why_size);

	/* the queue of errors is the thread's, and TLS reads it too */
	ERR_clear_error();
	return err;
}

/* Nobody is there to type one: an encrypted file is just not a public key. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

enum err
keyset_add_pem(struct keyset *set, enum key_alg alg, const char *kid,
    const unsigned char *bytes, size_t len, char *why, size_t why_size)
{
	CLEANUP(bio_freep) BIO *in = NULL;
	CLEANUP(pkey_freep) EVP_PKEY *pkey = NULL;

	in = BIO_new_mem_buf(bytes, len > KEY_FILE_MAX ? 0 : (int)len);
	if (!in) {
		snprintf(why, why_size, "no memory");
		return ERR_NOMEM;
	}
	pkey = PEM_read_bio_PUBKEY(in, NULL, no_passphrase, NULL);
	return add_pkey(set, alg, kid, pkey, why, why_size);
}

static EVP_PKEY *
pkey_from(const char *type, OSSL_PARAM *params)
{
	CLEANUP(pkey_ctx_freep) EVP_PKEY_CTX *ctx = NULL;
	EVP_PKEY *pkey = NULL;

	ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return pkey;
}

enum err
keyset_add_rsa(struct keyset *set, const char *kid, struct key_number n,
    struct key_number e, char *why, size_t why_size)
{
	CLEANUP(pkey_freep) EVP_PKEY *pkey = NULL;
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	BIGNUM *bn_n = BN_bin2bn(n.bytes, (int)n.len, NULL);
	BIGNUM *bn_e = BN_bin2bn(e.bytes, (int)e.len, NULL);

	if (bld && bn_n && bn_e &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn_n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, bn_e) == 1)
		params = OSSL_PARAM_BLD_to_param(bld);
	if (params)
		pkey = pkey_from("RSA", params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	BN_free(bn_n);
	BN_free(bn_e);
	return add_pkey(set, KEY_RS256, kid, pkey, why, why_size);
}

enum err
keyset_add_p256(struct keyset *set, const char *kid,
    const unsigned char x[KEY_P256_BYTES],
    const unsigned char y[KEY_P256_BYTES], char *why, size_t why_size)
{
	CLEANUP(pkey_freep) EVP_PKEY *pkey = NULL;
	unsigned char point[1 + 2 * KEY_P256_BYTES];
	char group[] = "P-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(
		    OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
		OSSL_PARAM_construct_end(),
	};

	point[0] = POINT_CONVERSION_UNCOMPRESSED;
	memcpy(point + 1, x, KEY_P256_BYTES);
	memcpy(point + 1 + KEY_P256_BYTES, y, KEY_P256_BYTES);
	pkey = pkey_from("EC", params);
	return add_pkey(set, KEY_ES256, kid, pkey, why, why_size);
}

bool
key_verifies(const struct key *key, const char *token)
{
	static const jwt_alg_t algs[KEY_ALG__MAX] = {
		[KEY_HS256] = JWT_ALG_HS256,
		[KEY_RS256] = JWT_ALG_RS256,
		[KEY_ES256] = JWT_ALG_ES256,
	};
	jwt_t *jwt = NULL;
	bool ok;

	ok = jwt_decode(&jwt, token, key->bytes, (int)key->len) == 0 && jwt &&
	    jwt_get_alg(jwt) == algs[key->alg];
	jwt_free(jwt);
	ERR_clear_error();
	return ok;
}

/* Files. */

static void
fd_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static enum err
read_all(int fd, unsigned char *buf, size_t size, size_t *ret_len)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return ERR_OK;
}

enum err
key_file_read(
    const char *path, struct key_file *ret, char *why, size_t why_size)
{
	/* O_NONBLOCK: a FIFO by that name must not hold us */
	CLEANUP(fd_closep)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &ret->st) != 0) {
		char text[96];

		snprintf(
		    why, why_size, "%s", strerror_r(errno, text, sizeof text));
		return ERR_IO;
	}
	if (!S_ISREG(ret->st.st_mode)) {
		snprintf(why, why_size, "not a regular file");
		return ERR_INVAL;
	}
	/* the size is not asked for: the file may be written to just now */
	ret->bytes = malloc(KEY_FILE_MAX + 1);
	if (!ret->bytes) {
		snprintf(why, why_size, "no memory");
		return ERR_NOMEM;
	}
	if (read_all(fd, ret->bytes, KEY_FILE_MAX + 1, &ret->len)) {
		snprintf(why, why_size, "it cannot be read");
		return ERR_IO;
	}
	if (ret->len > KEY_FILE_MAX) {
		snprintf(why, why_size, "more than %d bytes", KEY_FILE_MAX);
		return ERR_INVAL;
	}
	return ERR_OK;
}

void
key_file_wipe(struct key_file *f)
{
	if (f->bytes)
		sodium_memzero(f->bytes, f->len);
	free(f->bytes);
	f->bytes = NULL;
	f->len = 0;
}
