/*
 * fuzz_jwt.c - feeds the readers of tokens and of JWKS documents.
 *
 * The first byte chooses what the rest is: 'T' a token, 'H' the header and
 * 'C' the claims of a token that is then signed with a key we hold, so that
 * the fuzzer gets past the signature; 'K' a JWKS document.  Whatever passes
 * must be an identity we would use.
 *
 * With -DFUZZ_MAIN it is a plain program that runs the files named on its
 * command line.
 */
#include "shared/identity.h"
#include "shared/jwks.h"
#include "shared/keyring.h"
#include "shared/settings.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOW INT64_C(1700000000)
#define SECRET "a-secret-that-only-the-fuzzer-signs-with"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char header[] = "{\"alg\":\"HS256\",\"kid\":\"f\"}";
static const char claims[] = "{\"sub\":\"u1\",\"exp\":1700000100}";

/* Public keys whose private halves nobody kept. */
static const char public_keys[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\","
    "\"x\":\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\","
    "\"y\":\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"},"
    "{\"kty\":\"RSA\",\"kid\":\"r\",\"e\":\"AQAB\","
    "\"n\":\""
    "p9ixnS5z5ruB9njcb6HssCnQYHjlDfZUjL35YFho64lP5FksfFilHuifI2LfGQYc"
    "mCC04J2llbXtFHpX2s-buGsPVEnz22yqYAHKcE2PPjlPEBzLqGXE2-qCO1bexPR3"
    "o6ULNF2lP0BwLfqCqnSHnLFtwP8gx3avg8r3ACmsqGE0e4Ou9sOFBfQcIsGsOsJg"
    "BwsyZNf4BB0phbQyVb9G2mhytxz6CUEzShXWXi0KYV8M-Jm6DwAUABfmZVwuyPmw"
    "ufSTQfKrZCu7wPISCA6Ir_CwY_TnypstqFHcvdIXNYovFT8czVF0UzEJjTDs2yGw"
    "PYvVKuJacbc-mJkSyBSM5w"
    "\"}]}";

static struct keyring *
keyring_for(const char *audience)
{
	struct settings s = {
		.jwt_keys = "HS256:f=" SECRET,
		.jwt_audience = audience,
		.admin_claim = "app_metadata.role",
		.admin_value = "admin",
	};
	struct keyring *k;
	char path[64], why[256];
	int fd = memfd_create("jwks", 0);

	/* the file stays open: the keyring may look at it again */
	if (write(fd, public_keys, sizeof public_keys - 1) < 0)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	s.jwks_file = path;
	if (keyring_open(&s, &k, why, sizeof why)) {
		fprintf(stderr, "%s\n", why);
		abort();
	}
	return k;
}

static void
verify(const char *token, size_t len)
{
	static struct keyring *plain, *strict;
	struct identity id;
	const char *reason = NULL;

	if (!plain) {
		plain = keyring_for("");
		strict = keyring_for("syncline");
	}
	if (identity_verify_at(plain, token, len, NOW, &id, &reason)) {
		if (!reason || !*reason)
			abort();
		/* a stricter keyring never takes what another refused */
		if (identity_verify_at(strict, token, len, NOW, &id, NULL) ==
		    ERR_OK)
			abort();
		return;
	}
	if (!identity_user_valid(id.user, strlen(id.user)) ||
	    id.expires + IDENTITY_LEEWAY_S <= NOW)
		abort();
}

static size_t
put_b64(char *to, size_t size, const void *bytes, size_t len)
{
	sodium_bin2base64(
	    to, size, bytes, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return strlen(to);
}

static void
verify_signed(
    const void *head, size_t head_len, const void *body, size_t body_len)
{
	crypto_auth_hmacsha256_state st;
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	char token[2 * IDENTITY_TOKEN_MAX];
	size_t len;

	if (head_len + body_len > IDENTITY_TOKEN_MAX)
		return;
	len = put_b64(token, sizeof token, head, head_len);
	token[len++] = '.';
	len += put_b64(token + len, sizeof token - len, body, body_len);
	crypto_auth_hmacsha256_init(
	    &st, (const unsigned char *)SECRET, strlen(SECRET));
	crypto_auth_hmacsha256_update(&st, (unsigned char *)token, len);
	crypto_auth_hmacsha256_final(&st, mac);
	token[len++] = '.';
	len += put_b64(token + len, sizeof token - len, mac, sizeof mac);
	verify(token, len);
}

static void
parse_keys(const char *text, size_t len)
{
	struct keyset *set = NULL;
	char why[256] = "";

	if (jwks_parse(text, len, &set, why, sizeof why)) {
		if (set || !*why)
			abort();
		return;
	}
	for (unsigned i = 0; i < set->count; i++) {
		if (set->keys[i].len < KEY_SECRET_MIN)
			abort();
	}
	keyset_unref(set);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (size == 0)
		return 0;
	switch (*data) {
	case 'H':
		verify_signed(text, size - 1, claims, strlen(claims));
		break;
	case 'C':
		verify_signed(header, strlen(header), text, size - 1);
		break;
	case 'K':
		parse_keys(text, size - 1);
		break;
	default:
		verify(text, size - 1);
		break;
	}
	return 0;
}

#ifdef FUZZ_MAIN
int
main(int argc, char **argv)
{
	static uint8_t data[1 << 20];

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		uint8_t *copy;
		size_t len;

		if (!f) {
			perror(argv[i]);
			return 1;
		}
		len = fread(data, 1, sizeof data, f);
		fclose(f);
		copy = malloc(len ? len : 1); /* its size, for sanitizers */
		if (!copy)
			return 1;
		memcpy(copy, data, len);
		LLVMFuzzerTestOneInput(copy, len);
		free(copy);
	}
	return 0;
}
#endif
