/* test_identity.c - tokens that must pass, tokens that must not, and keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* OpenSSL has a type by the name of one of our errors. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#undef ERR_STATE

#include "shared/identity.h"
#include "shared/jwks.h"
#include "shared/keyring.h"
#include "shared/log.h"
#include "shared/settings.h"

#include <fcntl.h>
#include <jwt.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NOW INT64_C(1700000000)
#define SECRET_A "a-secret-of-more-than-thirty-two-bytes"
#define SECRET_B "another-secret-of-more-than-32-bytes-B"
#define SECRET_C "a-third-one-that-no-keyring-here-knows"

enum signer {
	BY_A,
	BY_B,
	BY_C,
	BY_RSA,
	BY_RSA_OTHER,
	BY_EC,
	BY_EC_OTHER,
	BY_RSA_PEM, /* HMAC with the RSA public key's PEM as secret */
	BY_EC_PEM,
	BY_NOBODY, /* an empty signature */
	BY_ZEROS,  /* 64 bytes of zero, ECDSA's r = s = 0 */
};

enum ring { RING_NAMED, RING_BARE, RING_RULES, RING__MAX };

/* Everything the tests share: made once, as keys take time. */
static struct {
	char dir[64];
	EVP_PKEY *rsa, *rsa_other, *ec, *ec_other;
	struct keyring *rings[RING__MAX];
} w;

/* Making files, keys and tokens. */

static const char *
path_in(char *buf, size_t size, const char *name)
{
	assert_in_range(snprintf(buf, size, "%s/%s", w.dir, name), 1, size - 1);
	return buf;
}

static void
file_write(const char *name, const char *text, size_t len)
{
	char path[128], tmp[160];
	FILE *f;

	path_in(path, sizeof path, name);
	snprintf(tmp, sizeof tmp, "%s.new", path);
	f = fopen(tmp, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(tmp, path), 0);
}

static void
file_write_str(const char *name, const char *text)
{
	file_write(name, text, strlen(text));
}

/* pem_of returns the public half; the caller frees it. */
static char *
pem_of(EVP_PKEY *pkey)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *data, *copy;
	long len;

	assert_int_equal(PEM_write_bio_PUBKEY(b, pkey), 1);
	len = BIO_get_mem_data(b, &data);
	copy = strndup(data, (size_t)len);
	BIO_free(b);
	return copy;
}

static void
file_write_pem(const char *name, EVP_PKEY *pkey)
{
	char *pem = pem_of(pkey);

	file_write_str(name, pem);
	free(pem);
}

static char *
b64(const void *bytes, size_t len)
{
	int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
	size_t size = sodium_base64_encoded_len(len, variant);
	char *text = malloc(size);

	return sodium_bin2base64(text, size, bytes, len, variant);
}

static char *
hmac_by(const char *secret, const char *input)
{
	crypto_auth_hmacsha256_state st;
	unsigned char mac[crypto_auth_hmacsha256_BYTES];

	crypto_auth_hmacsha256_init(
	    &st, (const unsigned char *)secret, strlen(secret));
	crypto_auth_hmacsha256_update(
	    &st, (const unsigned char *)input, strlen(input));
	crypto_auth_hmacsha256_final(&st, mac);
	return b64(mac, sizeof mac);
}

static char *
hmac_by_pem(EVP_PKEY *pkey, const char *input)
{
	char *pem = pem_of(pkey);
	char *text = hmac_by(pem, input);

	free(pem);
	return text;
}

/* ECDSA in a token is r and s side by side, not the DER that OpenSSL makes. */
static char *
ecdsa_raw(const unsigned char *der, size_t len)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
	unsigned char raw[64];

	assert_non_null(sig);
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32);
	ECDSA_SIG_free(sig);
	return b64(raw, sizeof raw);
}

static char *
signature_by(EVP_PKEY *pkey, const char *input)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char sig[512];
	size_t len = sizeof sig;

	assert_int_equal(
	    EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len,
			     (const unsigned char *)input, strlen(input)),
	    1);
	EVP_MD_CTX_free(ctx);
	return EVP_PKEY_is_a(pkey, "EC") ? ecdsa_raw(sig, len) : b64(sig, len);
}

static char *
sign(enum signer by, const char *input)
{
	static const unsigned char zeros[64];

	switch (by) {
	case BY_A:
		return hmac_by(SECRET_A, input);
	case BY_B:
		return hmac_by(SECRET_B, input);
	case BY_C:
		return hmac_by(SECRET_C, input);
	case BY_RSA:
		return signature_by(w.rsa, input);
	case BY_RSA_OTHER:
		return signature_by(w.rsa_other, input);
	case BY_EC:
		return signature_by(w.ec, input);
	case BY_EC_OTHER:
		return signature_by(w.ec_other, input);
	case BY_RSA_PEM:
		return hmac_by_pem(w.rsa, input);
	case BY_EC_PEM:
		return hmac_by_pem(w.ec, input);
	case BY_NOBODY:
		return strdup("");
	case BY_ZEROS:
		return b64(zeros, sizeof zeros);
	}
	fail();
	return NULL;
}

/* token_make signs the very bytes it is given; the caller frees the token. */
static char *
token_make(enum signer by, const char *header, const char *claims)
{
	char *h = b64(header, strlen(header));
	char *c = b64(claims, strlen(claims));
	char *input = NULL, *sig, *token = NULL;

	assert_true(asprintf(&input, "%s.%s", h, c) > 0);
	sig = sign(by, input);
	assert_true(asprintf(&token, "%s.%s", input, sig) > 0);
	free(sig);
	free(input);
	free(c);
	free(h);
	return token;
}

static struct keyring *
ring_open(const struct settings *s)
{
	struct keyring *k = NULL;
	char why[256];

	if (keyring_open(s, &k, why, sizeof why))
		fail_msg("keyring_open: %s", why);
	return k;
}

static int
world_up(void **state)
{
	char keys[1024];

	(void)state;
	log_setup("test_identity", LOG_WARN, false);
	assert_true(sodium_init() >= 0);
	snprintf(w.dir, sizeof w.dir, "/tmp/test_identity.XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	w.rsa = EVP_RSA_gen(2048);
	w.rsa_other = EVP_RSA_gen(2048);
	w.ec = EVP_EC_gen("P-256");
	w.ec_other = EVP_EC_gen("P-256");
	file_write_pem("rsa.pem", w.rsa);
	file_write_pem("ec.pem", w.ec);
	file_write_str("secret_b", SECRET_B "\n");

	snprintf(keys, sizeof keys,
	    " HS256:a=%s\tHS256:b=@%s/secret_b\n RS256:r=@%s/rsa.pem "
	    "ES256:e=@%s/ec.pem ",
	    SECRET_A, w.dir, w.dir, w.dir);
	w.rings[RING_NAMED] = ring_open(&(struct settings){
	    .jwt_keys = keys,
	    .admin_claim = "role",
	    .admin_value = "admin",
	});
	snprintf(keys, sizeof keys,
	    "HS256=%s HS256=@%s/secret_b RS256=@%s/rsa.pem ES256=@%s/ec.pem",
	    SECRET_A, w.dir, w.dir, w.dir);
	w.rings[RING_BARE] = ring_open(&(struct settings){
	    .jwt_keys = keys,
	    .admin_claim = "https://x\\.example/roles",
	    .admin_value = "admin",
	});
	w.rings[RING_RULES] = ring_open(&(struct settings){
	    .jwt_keys = "HS256=" SECRET_A,
	    .jwt_audience = "syncline",
	    .jwt_issuer = "https://id.example/",
	    .admin_claim = "app_metadata.role",
	    .admin_value = "admin",
	});
	return 0;
}

static int
world_down(void **state)
{
	static const char *const names[] = { "rsa.pem", "ec.pem", "secret_b",
		"key", "jwks.json" };
	char path[128];

	(void)state;
	for (unsigned i = 0; i < RING__MAX; i++)
		keyring_close(w.rings[i]);
	EVP_PKEY_free(w.rsa);
	EVP_PKEY_free(w.rsa_other);
	EVP_PKEY_free(w.ec);
	EVP_PKEY_free(w.ec_other);
	for (unsigned i = 0; i < COUNT_OF(names); i++)
		unlink(path_in(path, sizeof path, names[i]));
	return rmdir(w.dir);
}

/* Tokens with all parts, signed by somebody. */

#define HS "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define HS_A "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"a\"}"
#define HS_B "{\"alg\":\"HS256\",\"kid\":\"b\"}"
#define RS "{\"alg\":\"RS256\",\"typ\":\"JWT\"}"
#define ES "{\"alg\":\"ES256\",\"typ\":\"JWT\"}"
#define OK "{\"sub\":\"u1\",\"exp\":1700000100}"
#define SUB(value) "{\"sub\":" value ",\"exp\":1700000100}"
#define EXP(value) "{\"sub\":\"u1\",\"exp\":" value "}"
#define AND(more) "{\"sub\":\"u1\",\"exp\":1700000100," more "}"
#define OURS "\"aud\":\"syncline\",\"iss\":\"https://id.example/\""
#define X16 "xxxxxxxxxxxxxxxx"
#define X128 X16 X16 X16 X16 X16 X16 X16 X16
#define DEEP16 "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"

struct token_case {
	const char *what;
	enum ring ring;
	enum signer by;
	const char *header;
	const char *claims;
	const char *reason; /* NULL: accepted */
	const char *user;   /* NULL: u1 */
	bool admin;
};

/* clang-format off */
static const struct token_case token_cases[] = {
	/* signatures */
	{ "HS256", RING_NAMED, BY_A, HS, OK, NULL, NULL, 0 },
	{ "HS256 with its kid", RING_NAMED, BY_A, HS_A, OK, NULL, NULL, 0 },
	{ "the second of two keys, by kid",
	    RING_NAMED, BY_B, HS_B, OK, NULL, NULL, 0 },
	{ "the second of two keys, no kid",
	    RING_NAMED, BY_B, HS, OK, NULL, NULL, 0 },
	{ "RS256", RING_NAMED, BY_RSA, RS, OK, NULL, NULL, 0 },
	{ "ES256", RING_NAMED, BY_EC, ES, OK, NULL, NULL, 0 },
	{ "no typ", RING_NAMED, BY_A, "{\"alg\":\"HS256\"}", OK,
	    NULL, NULL, 0 },
	{ "typ in small letters", RING_NAMED, BY_A,
	    "{\"alg\":\"HS256\",\"typ\":\"jwt\"}", OK, NULL, NULL, 0 },
	{ "white space in the JSON", RING_NAMED, BY_A,
	    " { \"alg\" : \"HS256\" }\n", " " OK "\r\n", NULL, NULL, 0 },
	{ "forged HS256", RING_NAMED, BY_C, HS, OK, "signature", NULL, 0 },
	{ "forged RS256",
	    RING_NAMED, BY_RSA_OTHER, RS, OK, "signature", NULL, 0 },
	{ "forged ES256",
	    RING_NAMED, BY_EC_OTHER, ES, OK, "signature", NULL, 0 },
	{ "ES256 with r = s = 0",
	    RING_NAMED, BY_ZEROS, ES, OK, "signature", NULL, 0 },
	{ "ES256 with an RSA signature",
	    RING_NAMED, BY_RSA, ES, OK, "signature", NULL, 0 },
	{ "RS256 with an ES256 signature",
	    RING_NAMED, BY_EC, RS, OK, "signature", NULL, 0 },
	{ "RS256 with an HMAC",
	    RING_NAMED, BY_A, RS, OK, "signature", NULL, 0 },
	{ "HS256 by the RSA public key",
	    RING_NAMED, BY_RSA_PEM, HS, OK, "signature", NULL, 0 },
	{ "the same, keys without names",
	    RING_BARE, BY_RSA_PEM, HS, OK, "signature", NULL, 0 },
	{ "the same, with the RSA key's kid", RING_NAMED, BY_RSA_PEM,
	    "{\"alg\":\"HS256\",\"kid\":\"r\"}", OK, "no_key", NULL, 0 },
	{ "HS256 by the EC public key",
	    RING_BARE, BY_EC_PEM, HS, OK, "signature", NULL, 0 },

	/* kid */
	{ "the right key under another's kid",
	    RING_NAMED, BY_B, HS_A, OK, "signature", NULL, 0 },
	{ "an unknown kid, all keys named", RING_NAMED, BY_A,
	    "{\"alg\":\"HS256\",\"kid\":\"z\"}", OK, "no_key", NULL, 0 },
	{ "an unknown kid, keys without names", RING_BARE, BY_A,
	    "{\"alg\":\"HS256\",\"kid\":\"z\"}", OK, NULL, NULL, 0 },
	{ "a kid of another algorithm's key", RING_NAMED, BY_RSA,
	    "{\"alg\":\"RS256\",\"kid\":\"a\"}", OK, "no_key", NULL, 0 },
	{ "a kid that is a number", RING_BARE, BY_A,
	    "{\"alg\":\"HS256\",\"kid\":1}", OK, "malformed", NULL, 0 },
	{ "an empty kid", RING_BARE, BY_A,
	    "{\"alg\":\"HS256\",\"kid\":\"\"}", OK, "malformed", NULL, 0 },
	{ "a kid with a NUL", RING_NAMED, BY_A,
	    "{\"alg\":\"HS256\",\"kid\":\"a\\u0000\"}", OK, "malformed",
	    NULL, 0 },

	/* alg and the rest of the header */
	{ "none", RING_NAMED, BY_NOBODY, "{\"alg\":\"none\"}", OK,
	    "malformed", NULL, 0 },
	{ "none, signed", RING_NAMED, BY_A, "{\"alg\":\"none\"}", OK,
	    "alg", NULL, 0 },
	{ "NONE", RING_NAMED, BY_A, "{\"alg\":\"NONE\"}", OK, "alg", NULL, 0 },
	{ "nOnE", RING_NAMED, BY_A, "{\"alg\":\"nOnE\"}", OK, "alg", NULL, 0 },
	{ "hs256 in small letters", RING_NAMED, BY_A,
	    "{\"alg\":\"hs256\"}", OK, "alg", NULL, 0 },
	{ "an algorithm we have no key for", RING_RULES, BY_RSA, RS, OK,
	    "no_key", NULL, 0 },
	{ "HS512", RING_NAMED, BY_A, "{\"alg\":\"HS512\"}", OK, "alg",
	    NULL, 0 },
	{ "no alg", RING_NAMED, BY_A, "{\"typ\":\"JWT\"}", OK, "alg", NULL, 0 },
	{ "alg is a number", RING_NAMED, BY_A, "{\"alg\":0}", OK, "alg",
	    NULL, 0 },
	{ "alg is null", RING_NAMED, BY_A, "{\"alg\":null}", OK, "alg",
	    NULL, 0 },
	{ "two algs, none last", RING_NAMED, BY_A,
	    "{\"alg\":\"HS256\",\"alg\":\"none\"}", OK, "malformed", NULL, 0 },
	{ "two algs, none first", RING_NAMED, BY_A,
	    "{\"alg\":\"none\",\"alg\":\"HS256\"}", OK, "malformed", NULL, 0 },
	{ "two algs, one escaped", RING_NAMED, BY_A,
	    "{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}", OK, "malformed",
	    NULL, 0 },
	{ "crit", RING_NAMED, BY_A,
	    "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", OK,
	    "crit", NULL, 0 },
	{ "an encrypted token's typ", RING_NAMED, BY_A,
	    "{\"alg\":\"HS256\",\"typ\":\"JWE\"}", OK, "malformed", NULL, 0 },
	{ "header is an array", RING_NAMED, BY_A, "[\"HS256\"]", OK,
	    "malformed", NULL, 0 },
	{ "header is not JSON", RING_NAMED, BY_A, "HS256", OK, "malformed",
	    NULL, 0 },
	{ "header is empty", RING_NAMED, BY_A, "", OK, "malformed", NULL, 0 },
	{ "header has a comment", RING_NAMED, BY_A,
	    "{\"alg\":\"HS256\"/**/}", OK, "malformed", NULL, 0 },
	{ "header goes on", RING_NAMED, BY_A, "{\"alg\":\"HS256\"}{}", OK,
	    "malformed", NULL, 0 },

	/* claims as JSON */
	{ "claims are an array", RING_NAMED, BY_A, HS, "[" OK "]",
	    "malformed", NULL, 0 },
	{ "claims are a text", RING_NAMED, BY_A, HS, "\"u1\"", "malformed",
	    NULL, 0 },
	{ "claims are null", RING_NAMED, BY_A, HS, "null", "malformed",
	    NULL, 0 },
	{ "claims are empty", RING_NAMED, BY_A, HS, "", "malformed", NULL, 0 },
	{ "claims are cut off", RING_NAMED, BY_A, HS, "{\"sub\":\"u1\"",
	    "malformed", NULL, 0 },
	{ "two subs", RING_NAMED, BY_A, HS,
	    "{\"sub\":\"u1\",\"sub\":\"u2\",\"exp\":1700000100}",
	    "malformed", NULL, 0 },
	{ "two members deep inside", RING_NAMED, BY_A, HS,
	    AND("\"x\":[{\"y\":{\"z\":1,\"z\":2}}]"), "malformed", NULL, 0 },
	{ "colons in texts are not members", RING_NAMED, BY_A, HS,
	    AND("\"x:\":\"\\\":\",\"y\":[\":\\\\\"]"), NULL, NULL, 0 },
	{ "deep, but not too deep", RING_NAMED, BY_A, HS,
	    AND("\"x\":[[[[[[[[[[[[]]]]]]]]]]]]"), NULL, NULL, 0 },
	{ "too deep", RING_NAMED, BY_A, HS, AND("\"x\":" DEEP16),
	    "malformed", NULL, 0 },
	{ "not UTF-8", RING_NAMED, BY_A, HS, SUB("\"\xff\""), "malformed",
	    NULL, 0 },
	{ "half a surrogate pair", RING_NAMED, BY_A, HS,
	    SUB("\"\\ud800\""), "signature", NULL, 0 },

	/* exp and nbf */
	{ "no exp", RING_NAMED, BY_A, HS, "{\"sub\":\"u1\"}", "exp", NULL, 0 },
	{ "exp is a text", RING_NAMED, BY_A, HS, EXP("\"1700000100\""),
	    "exp", NULL, 0 },
	{ "exp is null", RING_NAMED, BY_A, HS, EXP("null"), "exp", NULL, 0 },
	{ "exp is true", RING_NAMED, BY_A, HS, EXP("true"), "exp", NULL, 0 },
	{ "exp is an array", RING_NAMED, BY_A, HS, EXP("[1700000100]"),
	    "exp", NULL, 0 },
	{ "exp is negative", RING_NAMED, BY_A, HS, EXP("-1"), "exp", NULL, 0 },
	{ "exp in milliseconds", RING_NAMED, BY_A, HS,
	    EXP("1700000100000"), "exp", NULL, 0 },
	{ "exp is huge", RING_NAMED, BY_A, HS, EXP("1e300"), "exp", NULL, 0 },
	{ "exp is the largest integer", RING_NAMED, BY_A, HS,
	    EXP("9223372036854775807"), "exp", NULL, 0 },
	{ "exp is past all integers", RING_NAMED, BY_A, HS,
	    EXP("99999999999999999999"), "signature", NULL, 0 },
	{ "exp with a fraction", RING_NAMED, BY_A, HS,
	    EXP("1700000099.75"), NULL, NULL, 0 },
	{ "exp 0", RING_NAMED, BY_A, HS, EXP("0"), "expired", NULL, 0 },
	{ "over, within the leeway", RING_NAMED, BY_A, HS,
	    EXP("1699999941"), NULL, NULL, 0 },
	{ "over, past the leeway", RING_NAMED, BY_A, HS,
	    EXP("1699999940"), "expired", NULL, 0 },
	{ "nbf is now", RING_NAMED, BY_A, HS, AND("\"nbf\":1700000000"),
	    NULL, NULL, 0 },
	{ "nbf ahead, within the leeway", RING_NAMED, BY_A, HS,
	    AND("\"nbf\":1700000060"), NULL, NULL, 0 },
	{ "nbf ahead, past the leeway", RING_NAMED, BY_A, HS,
	    AND("\"nbf\":1700000061"), "not_yet", NULL, 0 },
	{ "nbf is a text", RING_NAMED, BY_A, HS, AND("\"nbf\":\"0\""),
	    "nbf", NULL, 0 },

	/* audience and issuer */
	{ "audience and issuer", RING_RULES, BY_A, HS, AND(OURS),
	    NULL, NULL, 0 },
	{ "one audience of several", RING_RULES, BY_A, HS,
	    AND("\"aud\":[\"x\",\"syncline\"],"
	        "\"iss\":\"https://id.example/\""), NULL, NULL, 0 },
	{ "no audience", RING_RULES, BY_A, HS,
	    AND("\"iss\":\"https://id.example/\""), "audience", NULL, 0 },
	{ "another audience", RING_RULES, BY_A, HS,
	    AND("\"aud\":\"synclines\",\"iss\":\"https://id.example/\""),
	    "audience", NULL, 0 },
	{ "none of the audiences", RING_RULES, BY_A, HS,
	    AND("\"aud\":[[\"syncline\"],1,null],"
	        "\"iss\":\"https://id.example/\""), "audience", NULL, 0 },
	{ "audience is an object", RING_RULES, BY_A, HS,
	    AND("\"aud\":{\"syncline\":1},\"iss\":\"https://id.example/\""),
	    "audience", NULL, 0 },
	{ "no issuer", RING_RULES, BY_A, HS, AND("\"aud\":\"syncline\""),
	    "issuer", NULL, 0 },
	{ "another issuer", RING_RULES, BY_A, HS,
	    AND("\"aud\":\"syncline\",\"iss\":\"https://id.example\""),
	    "issuer", NULL, 0 },
	{ "issuers in an array", RING_RULES, BY_A, HS,
	    AND("\"aud\":\"syncline\",\"iss\":[\"https://id.example/\"]"),
	    "issuer", NULL, 0 },
	{ "no rule, any audience", RING_NAMED, BY_A, HS,
	    AND("\"aud\":5,\"iss\":{}"), NULL, NULL, 0 },

	/* the user */
	{ "user_id", RING_NAMED, BY_A, HS,
	    "{\"user_id\":\"u2\",\"id\":\"x\",\"exp\":1700000100}",
	    NULL, "u2", 0 },
	{ "id", RING_NAMED, BY_A, HS,
	    "{\"id\":\"u3\",\"userId\":\"x\",\"exp\":1700000100}",
	    NULL, "u3", 0 },
	{ "userId", RING_NAMED, BY_A, HS,
	    "{\"userId\":\"u4\",\"exp\":1700000100}", NULL, "u4", 0 },
	{ "sub before the others", RING_NAMED, BY_A, HS,
	    "{\"userId\":\"x\",\"id\":\"x\",\"user_id\":\"x\","
	    "\"sub\":\"u1\",\"exp\":1700000100}", NULL, "u1", 0 },
	{ "a null sub is none", RING_NAMED, BY_A, HS,
	    "{\"sub\":null,\"id\":\"u3\",\"exp\":1700000100}",
	    NULL, "u3", 0 },
	{ "a bad sub is not passed over", RING_NAMED, BY_A, HS,
	    "{\"sub\":\"\",\"id\":\"u3\",\"exp\":1700000100}",
	    "user", NULL, 0 },
	{ "no user", RING_NAMED, BY_A, HS, "{\"exp\":1700000100}", "user",
	    NULL, 0 },
	{ "user as number", RING_NAMED, BY_A, HS, SUB("42"), NULL, "42", 0 },
	{ "user as the largest number", RING_NAMED, BY_A, HS,
	    SUB("9223372036854775807"), NULL, "9223372036854775807", 0 },
	{ "user as negative number", RING_NAMED, BY_A, HS, SUB("-7"),
	    NULL, "-7", 0 },
	{ "user with a fraction", RING_NAMED, BY_A, HS, SUB("1.5"), "user",
	    NULL, 0 },
	{ "user is true", RING_NAMED, BY_A, HS, SUB("true"), "user", NULL, 0 },
	{ "user is an array", RING_NAMED, BY_A, HS, SUB("[\"u1\"]"), "user",
	    NULL, 0 },
	{ "user is an object", RING_NAMED, BY_A, HS, SUB("{\"sub\":\"u1\"}"),
	    "user", NULL, 0 },
	{ "user of 128 bytes", RING_NAMED, BY_A, HS, SUB("\"" X128 "\""),
	    NULL, X128, 0 },
	{ "user of 129 bytes", RING_NAMED, BY_A, HS, SUB("\"" X128 "x\""),
	    "user", NULL, 0 },
	{ "user in letters of the world", RING_NAMED, BY_A, HS,
	    SUB("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""), NULL,
	    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 0 },
	{ "user with an escaped letter", RING_NAMED, BY_A, HS,
	    SUB("\"\\u0075\\u0031\""), NULL, "u1", 0 },
	{ "user with a newline", RING_NAMED, BY_A, HS, SUB("\"u\\n1\""),
	    "user", NULL, 0 },
	{ "user with a NUL", RING_NAMED, BY_A, HS, SUB("\"u1\\u0000x\""),
	    "signature", NULL, 0 },
	{ "user with DEL", RING_NAMED, BY_A, HS, SUB("\"u\x7f\""), "user",
	    NULL, 0 },
	{ "user with a C1 control", RING_NAMED, BY_A, HS,
	    SUB("\"u\\u0085\""), "user", NULL, 0 },

	/* the admin role */
	{ "admin", RING_NAMED, BY_A, HS, AND("\"role\":\"admin\""),
	    NULL, NULL, 1 },
	{ "admin among roles", RING_NAMED, BY_A, HS,
	    AND("\"role\":[\"user\",\"admin\"]"), NULL, NULL, 1 },
	{ "another role", RING_NAMED, BY_A, HS,
	    AND("\"role\":\"administrator\""), NULL, NULL, 0 },
	{ "Admin is not admin", RING_NAMED, BY_A, HS,
	    AND("\"role\":\"Admin\""), NULL, NULL, 0 },
	{ "admin: true is no role", RING_NAMED, BY_A, HS,
	    AND("\"admin\":true,\"role\":true"), NULL, NULL, 0 },
	{ "roles within roles", RING_NAMED, BY_A, HS,
	    AND("\"role\":[[\"admin\"],{\"admin\":\"admin\"}]"),
	    NULL, NULL, 0 },
	{ "nested path", RING_RULES, BY_A, HS,
	    AND(OURS ",\"app_metadata\":{\"role\":\"admin\"}"),
	    NULL, NULL, 1 },
	{ "nested path, an array at its end", RING_RULES, BY_A, HS,
	    AND(OURS ",\"app_metadata\":{\"role\":[\"admin\"]}"),
	    NULL, NULL, 1 },
	{ "nested path, role on top", RING_RULES, BY_A, HS,
	    AND(OURS ",\"role\":\"admin\",\"user_metadata\":"
	        "{\"role\":\"admin\"}"), NULL, NULL, 0 },
	{ "nested path, written flat", RING_RULES, BY_A, HS,
	    AND(OURS ",\"app_metadata.role\":\"admin\""), NULL, NULL, 0 },
	{ "nested path through a text", RING_RULES, BY_A, HS,
	    AND(OURS ",\"app_metadata\":\"role\""), NULL, NULL, 0 },
	{ "nested path through null", RING_RULES, BY_A, HS,
	    AND(OURS ",\"app_metadata\":null"), NULL, NULL, 0 },
	{ "a dot within a name", RING_BARE, BY_A, HS,
	    AND("\"https://x.example/roles\":[\"admin\"]"), NULL, NULL, 1 },
};
/* clang-format on */

static void
test_tokens(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT_OF(token_cases); i++) {
		const struct token_case *c = &token_cases[i];
		char *token = token_make(c->by, c->header, c->claims);
		struct identity id = { .user = "untouched" };
		const char *reason = "";
		enum err err;

		err = identity_verify_at(
		    w.rings[c->ring], token, strlen(token), NOW, &id, &reason);
		if (err != (c->reason ? ERR_DENIED : ERR_OK))
			fail_msg("%s: %s, %s", c->what, err_name(err), reason);
		if (c->reason && strcmp(reason, c->reason) != 0)
			fail_msg("%s: reason %s", c->what, reason);
		if (strcmp(id.user,
			c->reason     ? "untouched"
			    : c->user ? c->user
				      : "u1") != 0)
			fail_msg("%s: user %s", c->what, id.user);
		if (id.admin != c->admin)
			fail_msg("%s: admin %d", c->what, id.admin);
		free(token);
	}
}

static void
test_identity_tells_when_it_ends(void **state)
{
	char *token = token_make(BY_A, HS, EXP("1700000099.75"));
	struct identity id;

	(void)state;
	assert_int_equal(identity_verify_at(w.rings[RING_NAMED], token,
			     strlen(token), NOW, &id, NULL),
	    ERR_OK);
	assert_int_equal(id.expires, 1700000099);
	free(token);
}

static void
test_present_time_counts(void **state)
{
	char claims[64];
	struct identity id;
	const char *reason = "";
	char *token = token_make(BY_A, HS, OK);

	(void)state;
	assert_int_equal(identity_verify(w.rings[RING_NAMED], token,
			     strlen(token), &id, &reason),
	    ERR_DENIED);
	assert_string_equal(reason, "expired");
	free(token);

	snprintf(claims, sizeof claims, "{\"sub\":\"u1\",\"exp\":%lld}",
	    (long long)time(NULL) + 60);
	token = token_make(BY_A, HS, claims);
	assert_int_equal(identity_verify(w.rings[RING_NAMED], token,
			     strlen(token), &id, NULL),
	    ERR_OK);
	free(token);
}

/* Why the algorithm of a key decides, not what libjwt thinks of its bytes. */
static void
test_libjwt_alone_would_take_the_public_key(void **state)
{
	char *token = token_make(BY_RSA_PEM, HS, OK);
	char *pem = pem_of(w.rsa);
	jwt_t *jwt = NULL;

	(void)state;
	assert_int_equal(
	    jwt_decode(&jwt, token, (unsigned char *)pem, (int)strlen(pem)), 0);
	jwt_free(jwt);
	free(pem);
	free(token);
}

/* Texts that are no whole tokens. */

static void
assert_refused(const char *token, size_t len, const char *reason)
{
	struct identity id = { .user = "untouched" };
	const char *why = "";
	enum err err =
	    identity_verify_at(w.rings[RING_BARE], token, len, NOW, &id, &why);

	if (err != ERR_DENIED || strcmp(why, reason) != 0)
		fail_msg("%.60s: %s, %s", token, err_name(err), why);
	assert_string_equal(id.user, "untouched");
}

static void
test_texts_that_are_no_tokens(void **state)
{
	static const char *const texts[] = { ".", "..", "...", "a", "a.b",
		"a.b.c", "!!!.!!!.!!!", "Bearer x.y.z", "null", "{}" };

	(void)state;
	assert_refused("", 0, "no_token");
	for (unsigned i = 0; i < COUNT_OF(texts); i++)
		assert_refused(texts[i], strlen(texts[i]), "malformed");
}

/* Nothing but the whole token passes, wherever it is cut or changed. */
static void
test_every_byte_counts(void **state)
{
	static const enum signer signers[] = { BY_A, BY_RSA, BY_EC };
	static const char *const headers[] = { HS, RS, ES };
	struct identity id;

	(void)state;
	for (unsigned s = 0; s < COUNT_OF(signers); s++) {
		char *token = token_make(signers[s], headers[s], OK);
		size_t len = strlen(token);

		assert_int_equal(identity_verify_at(w.rings[RING_BARE], token,
				     len, NOW, &id, NULL),
		    ERR_OK);
		for (size_t i = 0; i < len; i++)
			assert_int_equal(identity_verify_at(w.rings[RING_BARE],
					     token, i, NOW, &id, NULL),
			    ERR_DENIED);
		for (size_t i = 0; i < len; i++) {
			char kept = token[i];

			token[i] = kept == 'B' ? 'C' : 'B';
			assert_int_equal(identity_verify_at(w.rings[RING_BARE],
					     token, len, NOW, &id, NULL),
			    ERR_DENIED);
			token[i] = '\0';
			assert_int_equal(identity_verify_at(w.rings[RING_BARE],
					     token, len, NOW, &id, NULL),
			    ERR_DENIED);
			token[i] = kept;
		}
		free(token);
	}
}

static void
test_additions_to_a_token(void **state)
{
	static const char *const ends[] = { "=", "==", ".", ".x", "A", "AA",
		"AAA", "AAAA", "\n", " ", "\t", "+", "/", "%3D" };
	char *token = token_make(BY_A, HS, OK);
	char longer[512];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(ends); i++) {
		struct identity id;

		snprintf(longer, sizeof longer, "%s%s", token, ends[i]);
		assert_int_equal(identity_verify_at(w.rings[RING_BARE], longer,
				     strlen(longer), NOW, &id, NULL),
		    ERR_DENIED);
	}
	snprintf(longer, sizeof longer, " %s", token);
	assert_refused(longer, strlen(longer), "malformed");
	free(token);
}

static void
test_length_is_limited(void **state)
{
	static const char frame[] =
	    "{\"sub\":\"u1\",\"exp\":1700000100,\"x\":\"%s\"}";
	char filler[IDENTITY_TOKEN_MAX], *claims, *token = NULL;
	struct identity id;

	(void)state;
	/* grow until the token is as long as it may be, then one step more */
	for (size_t n = 6000; n < sizeof filler; n++) {
		memset(filler, 'x', n);
		filler[n] = '\0';
		free(token);
		assert_true(asprintf(&claims, frame, filler) > 0);
		token = token_make(BY_A, HS, claims);
		free(claims);
		if (strlen(token) > IDENTITY_TOKEN_MAX)
			break;
		assert_int_equal(identity_verify_at(w.rings[RING_BARE], token,
				     strlen(token), NOW, &id, NULL),
		    ERR_OK);
	}
	assert_refused(token, strlen(token), "too_long");
	free(token);
}

static void
test_nesting_does_not_eat_the_stack(void **state)
{
	char deep[5800], *claims, *token;

	(void)state;
	memset(deep, '[', sizeof deep - 1);
	deep[sizeof deep - 1] = '\0';
	assert_true(asprintf(&claims, AND("\"x\":%s"), deep) > 0);
	token = token_make(BY_A, HS, claims);
	assert_refused(token, strlen(token), "malformed");
	free(token);
	free(claims);
}

static void
test_users_from_elsewhere(void **state)
{
	(void)state;
	assert_true(identity_user_valid("u1", 2));
	assert_true(identity_user_valid("\xf4\x8f\xbf\xbf", 4));
	assert_false(identity_user_valid("", 0));
	assert_false(identity_user_valid("a\0b", 3));
	assert_false(identity_user_valid("\xc0\xaf", 2));     /* overlong */
	assert_false(identity_user_valid("\xe0\x80\xaf", 3)); /* overlong */
	assert_false(identity_user_valid("\xed\xa0\x80", 3)); /* surrogate */
	assert_false(identity_user_valid("\xf4\x90\x80\x80", 4)); /* too far */
	assert_false(identity_user_valid("\xe2\x82", 2));         /* cut off */
	assert_false(identity_user_valid("\x80", 1));
	assert_false(identity_user_valid("\xc2\x9f", 2)); /* a C1 control */
	assert_true(identity_user_valid("\xc2\xa0", 2));
}

/* Keyrings that must not open. */

struct ring_case {
	const char *keys;     /* DIR stands for the folder */
	const char *fragment; /* of the reason; NULL: it opens */
};

static const struct ring_case ring_cases[] = {
	{ "", NULL },
	{ "  \n", NULL },
	{ "HS256=" SECRET_A "=with=signs", NULL },
	{ "HS256", "key 1: not ALG" },
	{ "=" SECRET_A, "key 1: not ALG" },
	{ "HS512=" SECRET_A, "key 1: not ALG" },
	{ "hs256=" SECRET_A, "key 1: not ALG" },
	{ "none=" SECRET_A, "key 1: not ALG" },
	{ "HS256:=" SECRET_A, "key 1: not ALG" },
	{ "HS256:" X128 "x=" SECRET_A, "key 1: not ALG" },
	{ "HS256=" SECRET_A " HS256=only-thirty-one-bytes-in-this-k",
	    "key 2: an HS256 secret has at least 32 bytes, this one 31" },
	{ "HS256=", "at least 32 bytes, this one 0" },
	{ "HS256=@DIR/rsa.pem", "must not be a PEM" },
	{ "HS256=@DIR/none", "key 1: its file: No such file" },
	{ "HS256=@DIR", "not a regular file" },
	{ "HS256=@", "No such file" },
	{ "HS256=@thirty-two-bytes-that-begin-with-@", "No such file" },
	{ "RS256=" SECRET_A, "RS256 takes a file" },
	{ "RS256=@DIR/secret_b", "RS256 takes an RSA public key" },
	{ "RS256=@DIR/ec.pem", "RS256 takes an RSA public key" },
	{ "ES256=@DIR/rsa.pem", "P-256" },
};

static void
test_keyrings_that_do_not_open(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT_OF(ring_cases); i++) {
		const char *from = ring_cases[i].keys;
		const char *at = strstr(from, "DIR");
		char keys[512], why[256] = "";
		struct keyring *k = NULL;
		enum err err;

		if (at)
			snprintf(keys, sizeof keys, "%.*s%s%s",
			    (int)(at - from), from, w.dir, at + 3);
		else
			snprintf(keys, sizeof keys, "%s", from);
		err = keyring_open(&(struct settings){ .jwt_keys = keys }, &k,
		    why, sizeof why);
		if (!!err != !!ring_cases[i].fragment)
			fail_msg("%s: %s, %s", from, err_name(err), why);
		if (err && !strstr(why, ring_cases[i].fragment))
			fail_msg("%s: %s", from, why);
		assert_null(strstr(why, "thirty"));
		keyring_close(k);
	}
}

static void
assert_key_refused(const char *alg, EVP_PKEY *pkey, const char *fragment)
{
	struct keyring *k = NULL;
	char keys[128], why[256];

	file_write_pem("key", pkey);
	EVP_PKEY_free(pkey);
	snprintf(keys, sizeof keys, "%s=@%s/key", alg, w.dir);
	assert_int_equal(keyring_open(&(struct settings){ .jwt_keys = keys },
			     &k, why, sizeof why),
	    ERR_INVAL);
	assert_non_null(strstr(why, fragment));
}

static void
test_weak_and_foreign_keys(void **state)
{
	(void)state;
	assert_key_refused("RS256", EVP_RSA_gen(1024), "2048");
	assert_key_refused("ES256", EVP_EC_gen("P-384"), "P-256");
	assert_key_refused("ES256", EVP_EC_gen("secp256k1"), "P-256");
	assert_key_refused(
	    "RS256", EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), "RSA");
}

static void
test_private_keys_are_not_public_ones(void **state)
{
	char keys[128], path[128], why[256];

	(void)state;
	snprintf(keys, sizeof keys, "RS256=@%s/key", w.dir);
	for (unsigned locked = 0; locked < 2; locked++) {
		FILE *f = fopen(path_in(path, sizeof path, "key"), "w");
		struct keyring *k = NULL;

		assert_int_equal(
		    PEM_write_PKCS8PrivateKey(f, w.rsa,
			locked ? EVP_aes_128_cbc() : NULL, locked ? "x" : NULL,
			(int)locked, NULL, NULL),
		    1);
		assert_int_equal(fclose(f), 0);
		assert_int_equal(
		    keyring_open(&(struct settings){ .jwt_keys = keys }, &k,
			why, sizeof why),
		    ERR_INVAL);
		assert_non_null(strstr(why, "RSA public key"));
	}
}

static void
test_admin_paths(void **state)
{
	static const struct {
		const char *path;
		bool ok;
	} cases[] = {
		{ "role", true }, { "a.b.c.d.e.f.g.h", true },
		{ "a.b.c.d.e.f.g.h.i", false }, { ".role", false },
		{ "role.", false }, { "a..b", false }, { "a\\.b", true },
		{ "", true }, /* nobody is an administrator */
	};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		struct settings s = { .admin_claim = cases[i].path,
			.admin_value = "admin" };
		struct keyring *k = NULL;
		char why[256];

		if (!keyring_open(&s, &k, why, sizeof why) != cases[i].ok)
			fail_msg("%s", cases[i].path);
		keyring_close(k);
	}
}

static void
test_without_keys_nobody_passes(void **state)
{
	struct keyring *k = ring_open(&(struct settings){ .jwt_keys = "" });
	char *token = token_make(BY_A, HS, OK);
	const char *reason = "";
	struct identity id;

	(void)state;
	assert_int_equal(keyring_size(k), 0);
	assert_int_equal(
	    identity_verify_at(k, token, strlen(token), NOW, &id, &reason),
	    ERR_DENIED);
	assert_string_equal(reason, "no_key");
	free(token);
	keyring_close(k);
}

/* JWKS. */

static char *
number_b64(EVP_PKEY *pkey, const char *name, int pad)
{
	unsigned char bytes[1024];
	BIGNUM *n = NULL;
	int len;

	assert_int_equal(EVP_PKEY_get_bn_param(pkey, name, &n), 1);
	len = pad ? pad : BN_num_bytes(n);
	assert_int_equal(BN_bn2binpad(n, bytes, len), len);
	BN_free(n);
	return b64(bytes, (size_t)len);
}

/* jwk_of writes a public key as a JWK; `more` are members, with a comma. */
static char *
jwk_of(EVP_PKEY *pkey, const char *more)
{
	bool rsa = EVP_PKEY_is_a(pkey, "RSA");
	char *a = rsa ? number_b64(pkey, OSSL_PKEY_PARAM_RSA_N, 0)
		      : number_b64(pkey, OSSL_PKEY_PARAM_EC_PUB_X, 32);
	char *b = rsa ? number_b64(pkey, OSSL_PKEY_PARAM_RSA_E, 0)
		      : number_b64(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
	char *jwk = NULL;

	assert_true(asprintf(&jwk,
			rsa ? "{%s\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}"
			    : "{%s\"kty\":\"EC\",\"crv\":\"P-256\","
			      "\"x\":\"%s\",\"y\":\"%s\"}",
			more, a, b) > 0);
	free(a);
	free(b);
	return jwk;
}

static char *
jwk_oct(const char *secret, const char *more)
{
	char *k = b64(secret, strlen(secret)), *jwk = NULL;

	assert_true(
	    asprintf(&jwk, "{%s\"kty\":\"oct\",\"k\":\"%s\"}", more, k) > 0);
	free(k);
	return jwk;
}

/* jwks_write stores a document of the keys, which it frees. */
static void
jwks_write(char *a, char *b)
{
	char *doc = NULL;

	assert_true(asprintf(&doc, "{\"keys\":[%s%s%s]}\n", a ? a : "",
			b ? "," : "", b ? b : "") > 0);
	file_write_str("jwks.json", doc);
	free(doc);
	free(a);
	free(b);
}

static struct keyring *
jwks_ring(void)
{
	char path[128];

	return ring_open(&(struct settings){
	    .jwks_file = path_in(path, sizeof path, "jwks.json") });
}

static bool
accepts(struct keyring *k, enum signer by, const char *header)
{
	char *token = token_make(by, header, OK);
	struct identity id;
	enum err err =
	    identity_verify_at(k, token, strlen(token), NOW, &id, NULL);

	free(token);
	return err == ERR_OK;
}

static void
test_jwks_of_all_kinds(void **state)
{
	struct keyring *k;
	char *doc = NULL, *rsa = jwk_of(w.rsa, "\"kid\":\"r\",");
	char *ec = jwk_of(w.ec, "\"use\":\"sig\",\"alg\":\"ES256\",");
	char *oct = jwk_oct(SECRET_A, "\"key_ops\":[\"sign\",\"verify\"],");

	(void)state;
	assert_true(
	    asprintf(&doc, "{\"x\":1,\"keys\":[%s,%s,%s]}", rsa, ec, oct) > 0);
	file_write_str("jwks.json", doc);
	k = jwks_ring();
	assert_int_equal(keyring_size(k), 3);
	assert_true(accepts(k, BY_RSA, RS));
	assert_true(accepts(k, BY_RSA, "{\"alg\":\"RS256\",\"kid\":\"r\"}"));
	assert_false(accepts(k, BY_RSA, "{\"alg\":\"RS256\",\"kid\":\"s\"}"));
	assert_true(accepts(k, BY_EC, ES));
	assert_true(accepts(k, BY_A, HS));
	assert_false(accepts(k, BY_RSA_OTHER, RS));
	assert_false(accepts(k, BY_EC_OTHER, ES));
	assert_false(accepts(k, BY_C, HS));
	assert_false(accepts(k, BY_RSA_PEM, HS));
	keyring_close(k);
	free(doc);
	free(rsa);
	free(ec);
	free(oct);
}

/* A coordinate or modulus may begin with zeros; 40 keys have one for sure. */
static void
test_jwks_of_many_curve_points(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		EVP_PKEY *pkey = EVP_EC_gen("P-256");
		struct keyring *k;

		jwks_write(jwk_of(pkey, ""), NULL);
		EVP_PKEY_free(pkey);
		k = jwks_ring();
		assert_int_equal(keyring_size(k), 1);
		keyring_close(k);
	}
}

struct jwks_case {
	const char *doc;
	int keys;             /* -1: refused */
	const char *fragment; /* of the reason */
};

#define KEYS(jwk) "{\"keys\":[" jwk "]}"
#define K32 "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE"
#define OCT(more) "{\"kty\":\"oct\",\"k\":\"" K32 "\"" more "}"
#define EC_GX "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY"
#define EC_GY "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"

static const struct jwks_case jwks_cases[] = {
	{ KEYS(""), 0, NULL },
	{ KEYS(OCT("")), 1, NULL },
	{ KEYS(OCT(",\"alg\":\"HS256\"")), 1, NULL },
	{ KEYS(OCT(",\"alg\":\"HS512\"")), 0, NULL },
	{ KEYS(OCT(",\"alg\":\"none\"")), 0, NULL },
	{ KEYS(OCT(",\"alg\":\"RS256\"")), 0, NULL },
	{ KEYS(OCT(",\"alg\":1")), 0, NULL },
	{ KEYS(OCT(",\"use\":\"sig\"")), 1, NULL },
	{ KEYS(OCT(",\"use\":\"enc\"")), 0, NULL },
	{ KEYS(OCT(",\"key_ops\":[\"sign\"]")), 0, NULL },
	{ KEYS(OCT(",\"key_ops\":\"verify\"")), 0, NULL },
	{ KEYS(OCT(",\"kid\":\"x\"")), 1, NULL },
	{ KEYS(OCT(",\"kid\":1")), -1, "key 1: its kid" },
	{ KEYS(OCT(",\"kid\":\"\"")), -1, "key 1: a kid" },
	{ KEYS("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}"), 0, NULL },
	{ KEYS("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\"}"), 0, NULL },
	{ KEYS("{}"), 0, NULL },
	{ KEYS("{\"kty\":\"oct\"}"), -1, "key 1: k is not" },
	{ KEYS(OCT("") ",{\"kty\":\"oct\",\"k\":\"QUFB\"}"), -1,
	    "key 2: an HS256 secret has at least 32" },
	{ KEYS("{\"kty\":\"oct\",\"k\":\"" K32 "=\"}"), -1, "base64url" },
	{ KEYS("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}"), -1, "2048" },
	{ KEYS("{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"\"}"), -1, "key 1" },
	{ KEYS("{\"kty\":\"RSA\",\"e\":\"AQAB\"}"), -1, "n or e" },
	{ KEYS("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_GX
	       "\",\"y\":\"" EC_GY "\"}"),
	    1, NULL },
	{ KEYS("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_GY
	       "\",\"y\":\"" EC_GX "\"}"),
	    -1, "P-256" },
	{ KEYS("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_GX
	       "\",\"y\":\"AA\"}"),
	    -1, "32 bytes" },
	{ KEYS("7"), -1, "not an object" },
	{ "{\"keys\":{}}", -1, "array named keys" },
	{ "{}", -1, "array named keys" },
	{ "[" OCT("") "]", -1, "array named keys" },
	{ "", -1, "array named keys" },
	{ KEYS(OCT("")) "x", -1, "array named keys" },
	{ "{\"keys\":[],\"keys\":[" OCT("") "]}", -1, "array named keys" },
};

static void
test_jwks_documents(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT_OF(jwks_cases); i++) {
		const struct jwks_case *c = &jwks_cases[i];
		struct keyset *set = NULL;
		char why[256] = "";
		enum err err =
		    jwks_parse(c->doc, strlen(c->doc), &set, why, sizeof why);

		if ((err ? -1 : (int)set->count) != c->keys)
			fail_msg("%s: %s %s", c->doc, err_name(err), why);
		if (c->fragment && !strstr(why, c->fragment))
			fail_msg("%s: %s", c->doc, why);
		keyset_unref(set);
	}
}

static void
test_a_nul_does_not_hide_what_follows(void **state)
{
	static const char doc[] = KEYS(OCT("")) "\0,{}";
	struct keyset *set = NULL;
	char why[128];

	(void)state;
	assert_int_equal(
	    jwks_parse(doc, strlen(doc), &set, why, sizeof why), ERR_OK);
	keyset_unref(set);
	assert_int_equal(
	    jwks_parse(doc, sizeof doc - 1, &set, why, sizeof why), ERR_INVAL);
}

static void
test_jwks_has_a_limit(void **state)
{
	char doc[8192] = "{\"keys\":[";
	struct keyset *set = NULL;
	char why[128];

	(void)state;
	for (unsigned i = 0; i <= KEYSET_MAX; i++) {
		strcat(doc, i ? "," : "");
		strcat(doc, OCT(""));
	}
	strcat(doc, "]}");
	assert_int_equal(
	    jwks_parse(doc, strlen(doc), &set, why, sizeof why), ERR_TOO_LARGE);
}

static void
test_a_keyring_needs_a_good_file_to_begin(void **state)
{
	char path[128], why[512];
	const struct settings s = { .jwks_file = path_in(
					path, sizeof path, "jwks.json") };
	static char large[KEY_FILE_MAX + 1];
	struct keyring *k = NULL;

	(void)state;
	unlink(path);
	assert_int_equal(keyring_open(&s, &k, why, sizeof why), ERR_IO);
	assert_non_null(strstr(why, "SYNCLINE_JWKS_FILE: "));
	assert_non_null(strstr(why, path));
	file_write_str("jwks.json", KEYS("{\"kty\":\"oct\"}"));
	assert_int_equal(keyring_open(&s, &k, why, sizeof why), ERR_INVAL);
	assert_non_null(strstr(why, "key 1: k is not"));
	memset(large, ' ', sizeof large);
	file_write("jwks.json", large, sizeof large);
	assert_int_equal(keyring_open(&s, &k, why, sizeof why), ERR_INVAL);
	assert_non_null(strstr(why, "more than"));
	assert_null(k);
}

static void
test_keys_rotate(void **state)
{
	static const char r1[] = "{\"alg\":\"RS256\",\"kid\":\"1\"}";
	static const char r2[] = "{\"alg\":\"RS256\",\"kid\":\"2\"}";
	struct keyring *k;

	(void)state;
	jwks_write(jwk_of(w.rsa, "\"kid\":\"1\","), NULL);
	k = jwks_ring();
	assert_true(accepts(k, BY_RSA, r1));
	assert_false(accepts(k, BY_RSA_OTHER, r2));

	jwks_write(jwk_of(w.rsa, "\"kid\":\"1\","),
	    jwk_of(w.rsa_other, "\"kid\":\"2\","));
	keyring_refresh(k);
	assert_true(accepts(k, BY_RSA, r1));
	assert_true(accepts(k, BY_RSA_OTHER, r2));
	assert_true(accepts(k, BY_RSA, RS));
	assert_true(accepts(k, BY_RSA_OTHER, RS));
	assert_false(accepts(k, BY_RSA_OTHER, r1));

	jwks_write(jwk_of(w.rsa_other, "\"kid\":\"2\","), NULL);
	keyring_refresh(k);
	assert_false(accepts(k, BY_RSA, r1));
	assert_false(accepts(k, BY_RSA, RS)); /* although it was seen before */
	assert_true(accepts(k, BY_RSA_OTHER, r2));

	jwks_write(NULL, NULL);
	keyring_refresh(k);
	assert_int_equal(keyring_size(k), 0);
	assert_false(accepts(k, BY_RSA_OTHER, r2));
	keyring_close(k);
}

/* lines_logged runs f with standard error in a file and counts a word there. */
static unsigned
lines_logged(void (*f)(struct keyring *), struct keyring *k, const char *word)
{
	FILE *log = tmpfile();
	int kept = dup(STDERR_FILENO);
	char line[1024];
	unsigned n = 0;

	assert_non_null(log);
	dup2(fileno(log), STDERR_FILENO);
	f(k);
	dup2(kept, STDERR_FILENO);
	close(kept);
	rewind(log);
	while (fgets(line, sizeof line, log))
		n += strstr(line, word) != NULL;
	fclose(log);
	return n;
}

static void
break_the_file(struct keyring *k)
{
	char path[128];

	file_write_str("jwks.json", "{\"keys\":[{\"kty\":\"RSA\"");
	keyring_refresh(k);
	keyring_refresh(k);
	file_write_str("jwks.json", KEYS("{\"kty\":\"RSA\"}"));
	keyring_refresh(k);
	unlink(path_in(path, sizeof path, "jwks.json"));
	keyring_refresh(k);
	keyring_refresh(k);
}

static void
test_a_broken_file_keeps_the_old_keys(void **state)
{
	struct keyring *k;

	(void)state;
	jwks_write(jwk_of(w.rsa, ""), NULL);
	k = jwks_ring();
	assert_int_equal(
	    lines_logged(break_the_file, k, "jwks_kept_old_keys"), 1);
	assert_true(accepts(k, BY_RSA, RS));

	jwks_write(jwk_of(w.ec, ""), NULL);
	keyring_refresh(k);
	assert_false(accepts(k, BY_RSA, RS));
	assert_true(accepts(k, BY_EC, ES));
	assert_int_equal(
	    lines_logged(break_the_file, k, "jwks_kept_old_keys"), 1);
	keyring_close(k);
}

static void
lose_the_file(struct keyring *k)
{
	char path[128], kept[144];

	path_in(path, sizeof path, "jwks.json");
	snprintf(kept, sizeof kept, "%s.kept", path);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(rename(path, kept), 0);
		keyring_refresh(k);
		assert_int_equal(rename(kept, path), 0);
		keyring_refresh(k);
	}
}

static void
test_each_loss_is_logged_once(void **state)
{
	struct keyring *k;

	(void)state;
	jwks_write(jwk_oct(SECRET_A, ""), NULL);
	k = jwks_ring();
	assert_int_equal(
	    lines_logged(lose_the_file, k, "jwks_kept_old_keys"), 2);
	assert_true(accepts(k, BY_A, HS));
	keyring_close(k);
}

/* The same file and length, mostly the same instant: the contents tell. */
static void
test_a_change_within_one_instant_is_seen(void **state)
{
	char path[128], *a = jwk_oct(SECRET_A, ""), *c = jwk_oct(SECRET_C, "");

	(void)state;
	assert_int_equal(strlen(a), strlen(c));
	path_in(path, sizeof path, "jwks.json");
	for (unsigned i = 0; i < 20; i++) {
		struct keyring *k;
		FILE *f;

		jwks_write(strdup(a), NULL);
		k = jwks_ring();
		f = fopen(path, "w");
		fprintf(f, "{\"keys\":[%s]}\n", c);
		assert_int_equal(fclose(f), 0);
		keyring_refresh(k);
		assert_false(accepts(k, BY_A, HS));
		assert_true(accepts(k, BY_C, HS));
		keyring_close(k);
	}
	free(a);
	free(c);
}

/* One that is long at rest is read again only when stat tells of a change. */
static void
test_an_old_file_that_changes_is_seen(void **state)
{
	static const struct timespec then[2] = { { .tv_sec = 1600000000 },
		{ .tv_sec = 1600000000 } };
	char path[128];
	struct keyring *k;

	(void)state;
	path_in(path, sizeof path, "jwks.json");
	jwks_write(jwk_oct(SECRET_A, ""), NULL);
	assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
	k = jwks_ring();
	keyring_refresh(k);
	assert_true(accepts(k, BY_A, HS));
	jwks_write(jwk_oct(SECRET_C, ""), NULL);
	assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
	keyring_refresh(k);
	assert_true(accepts(k, BY_C, HS));
	keyring_refresh(k);
	assert_false(accepts(k, BY_A, HS));
	keyring_close(k);
}

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
test_the_file_is_looked_at_once_a_second(void **state)
{
	struct keyring *k;
	double opened, asked;
	bool seen;

	(void)state;
	jwks_write(jwk_oct(SECRET_A, ""), NULL);
	opened = seconds();
	k = jwks_ring();
	jwks_write(jwk_oct(SECRET_C, ""), NULL);
	do {
		asked = seconds();
		seen = accepts(k, BY_C, HS);
		if (seen)
			assert_true(seconds() - opened >= 0.999);
		else
			usleep(20000);
	} while (!seen && asked - opened < 5);
	assert_true(seen);
	keyring_close(k);
}

static void *
verify_often(void *arg)
{
	unsigned bad = 0;

	for (unsigned i = 0; i < 400; i++) {
		bad += i % 8 == 0 && !accepts(arg, BY_EC, ES);
		bad += !accepts(arg, BY_A, HS_A);
		bad += accepts(arg, BY_C, HS_A);
	}
	return (void *)(uintptr_t)bad;
}

static void
test_threads_verify_while_keys_change(void **state)
{
	static const char kid_a[] = "\"kid\":\"a\",";
	pthread_t threads[4];
	struct keyring *k;

	(void)state;
	jwks_write(jwk_oct(SECRET_A, kid_a), jwk_of(w.ec, ""));
	k = jwks_ring();
	for (unsigned i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, verify_often, k), 0);
	for (unsigned i = 0; i < 100; i++) {
		jwks_write(jwk_oct(SECRET_A, kid_a),
		    jwk_of(w.ec, i % 2 ? "\"kid\":\"e\"," : ""));
		keyring_refresh(k);
	}
	for (unsigned i = 0; i < COUNT_OF(threads); i++) {
		void *bad;

		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
	keyring_close(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_identity_tells_when_it_ends),
		cmocka_unit_test(test_present_time_counts),
		cmocka_unit_test(test_libjwt_alone_would_take_the_public_key),
		cmocka_unit_test(test_texts_that_are_no_tokens),
		cmocka_unit_test(test_every_byte_counts),
		cmocka_unit_test(test_additions_to_a_token),
		cmocka_unit_test(test_length_is_limited),
		cmocka_unit_test(test_nesting_does_not_eat_the_stack),
		cmocka_unit_test(test_users_from_elsewhere),
		cmocka_unit_test(test_keyrings_that_do_not_open),
		cmocka_unit_test(test_weak_and_foreign_keys),
		cmocka_unit_test(test_private_keys_are_not_public_ones),
		cmocka_unit_test(test_admin_paths),
		cmocka_unit_test(test_without_keys_nobody_passes),
		cmocka_unit_test(test_jwks_of_all_kinds),
		cmocka_unit_test(test_jwks_of_many_curve_points),
		cmocka_unit_test(test_jwks_documents),
		cmocka_unit_test(test_a_nul_does_not_hide_what_follows),
		cmocka_unit_test(test_jwks_has_a_limit),
		cmocka_unit_test(test_a_keyring_needs_a_good_file_to_begin),
		cmocka_unit_test(test_keys_rotate),
		cmocka_unit_test(test_a_broken_file_keeps_the_old_keys),
		cmocka_unit_test(test_each_loss_is_logged_once),
		cmocka_unit_test(test_a_change_within_one_instant_is_seen),
		cmocka_unit_test(test_an_old_file_that_changes_is_seen),
		cmocka_unit_test(test_the_file_is_looked_at_once_a_second),
		cmocka_unit_test(test_threads_verify_while_keys_change),
	};

	return cmocka_run_group_tests(tests, world_up, world_down);
}
