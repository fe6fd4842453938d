/* vault.c - the key file, and the one sealed form. */
#include "shared/vault.h"
#include "shared/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * sealed = version, length of id, id, nonce, ciphertext with its tag.
 * Everything before the nonce is authenticated too.  Version 1 encrypts with
 * the key from the file itself; others, such as a key per row that this key
 * wraps, are free.
 */
#define VERSION_DIRECT 1
#define HEAD_BYTES 2
#define KEY_BYTES crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define KEY_FILE_MAX 8192
#define AD_MAX (HEAD_BYTES + VAULT_ID_MAX + 3 * (4 + VAULT_CONTEXT_MAX))

struct vault_key {
	char id[VAULT_ID_MAX + 1];
	unsigned char bytes[KEY_BYTES];
};

struct vault {
	unsigned count;
	struct vault_key *keys; /* sodium_malloc, read-only once open */
};

/* The key file. */

static bool
id_valid(const char *id, size_t len)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz"
				      "0123456789-_.";

	if (len == 0 || len > VAULT_ID_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!memchr(allowed, id[i], sizeof allowed - 1))
			return false;
	}
	return true;
}

/* key_decode reads 64 hexadecimal digits or any usual form of base64. */
static bool
key_decode(const char *text, size_t len, unsigned char *ret)
{
	static const int variants[] = {
		sodium_base64_VARIANT_ORIGINAL,
		sodium_base64_VARIANT_ORIGINAL_NO_PADDING,
		sodium_base64_VARIANT_URLSAFE,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING,
	};
	size_t n;

	if (len == 2 * KEY_BYTES)
		return sodium_hex2bin(
			   ret, KEY_BYTES, text, len, NULL, &n, NULL) == 0 &&
		    n == KEY_BYTES;
	for (unsigned i = 0; i < COUNT_OF(variants); i++) {
		if (sodium_base642bin(ret, KEY_BYTES, text, len, NULL, &n, NULL,
			variants[i]) == 0 &&
		    n == KEY_BYTES)
			return true;
	}
	return false;
}

/* key_add takes the key in v->keys[v->count] over, or says why not. */
static enum err
key_add(struct vault *v, const char *id, size_t len, char *why, size_t size)
{
	struct vault_key *key = &v->keys[v->count];

	if (!id_valid(id, len)) {
		snprintf(why, size,
		    "a key's id has 1 to %d letters, digits, '-', '_', '.'",
		    VAULT_ID_MAX);
		return ERR_INVAL;
	}
	memcpy(key->id, id, len);
	key->id[len] = '\0';
	if (sodium_is_zero(key->bytes, KEY_BYTES)) {
		snprintf(why, size, "the key is all zeros");
		return ERR_INVAL;
	}
	for (unsigned i = 0; i < v->count; i++) {
		if (strcmp(v->keys[i].id, key->id) == 0) {
			snprintf(why, size, "two keys have one id");
			return ERR_INVAL;
		}
	}
	v->count++;
	return ERR_OK;
}

static enum err
parse_line(
    struct vault *v, const char *line, size_t len, char *why, size_t size)
{
	const char *colon = memchr(line, ':', len);
	const char *id = colon ? line : "1";
	size_t id_len = colon ? (size_t)(colon - line) : 1;
	size_t skip = colon ? id_len + 1 : 0;

	if (v->count == VAULT_KEYS_MAX) {
		snprintf(why, size, "more than %d keys", VAULT_KEYS_MAX);
		return ERR_INVAL;
	}
	if (!key_decode(line + skip, len - skip, v->keys[v->count].bytes)) {
		snprintf(why, size,
		    "not 32 bytes in base64 or 64 hexadecimal digits");
		return ERR_INVAL;
	}
	return key_add(v, id, id_len, why, size);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static enum err
parse_lines(
    struct vault *v, const char *text, size_t len, char *why, size_t size)
{
	const char *end = text + len, *next;
	unsigned n = 0, nameless = 0;

	for (; text < end; text = next) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		char fault[128];

		n++;
		stop = stop ? stop : end;
		next = stop < end ? stop + 1 : end;
		while (text < stop && is_blank(*text))
			text++;
		while (text < stop && is_blank(stop[-1]))
			stop--;
		if (text == stop || *text == '#')
			continue;
		nameless += !memchr(text, ':', (size_t)(stop - text));
		if (parse_line(
			v, text, (size_t)(stop - text), fault, sizeof fault)) {
			snprintf(why, size, "line %u: %s", n, fault);
			return ERR_INVAL;
		}
	}
	if (v->count == 0 || (nameless > 0 && v->count > 1)) {
		snprintf(why, size,
		    v->count == 0 ? "it holds no key"
				  : "of several keys each needs an id");
		return ERR_INVAL;
	}
	return ERR_OK;
}

/* A random key is all printable once in 10^14: it is a text by mistake. */
static bool
all_printable(const unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((bytes[i] < 0x20 || bytes[i] > 0x7e) && bytes[i] != '\n')
			return false;
	}
	return true;
}

static enum err
parse(struct vault *v, const unsigned char *bytes, size_t len, char *why,
    size_t size)
{
	if (len == KEY_BYTES && !all_printable(bytes, len)) {
		memcpy(v->keys[0].bytes, bytes, len);
		return key_add(v, "1", 1, why, size);
	}
	return parse_lines(v, (const char *)bytes, len, why, size);
}

static void
fd_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* read_key_file reads into buf, which has room for KEY_FILE_MAX + 1 bytes. */
static enum err
read_key_file(const char *path, unsigned char *buf, size_t *ret_len, char *why,
    size_t size)
{
	/* O_NONBLOCK: a FIFO by that name must not hold us */
	CLEANUP(fd_closep)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) != 0) {
		char text[96];

		snprintf(why, size, "%s", strerror_r(errno, text, sizeof text));
		return ERR_IO;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > KEY_FILE_MAX) {
		snprintf(why, size, "not a regular file of at most %d bytes",
		    KEY_FILE_MAX);
		return ERR_INVAL;
	}
	if (st.st_mode & 077) {
		snprintf(why, size,
		    "others than its owner may touch it (mode %03o): "
		    "chmod 600 it, and consider the key known",
		    (unsigned)st.st_mode & 0777);
		return ERR_INVAL;
	}
	do {
		n = read(fd, buf + len, KEY_FILE_MAX + 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0 || len > KEY_FILE_MAX) {
		snprintf(why, size, "it cannot be read whole");
		return ERR_IO;
	}
	*ret_len = len;
	return ERR_OK;
}

/* alloc_locked tells in *ret_locked whether the memory may be swapped out. */
static void *
alloc_locked(size_t size, bool *ret_locked)
{
	void *p = sodium_malloc(size);

	/* sodium_malloc locks too, but does not say whether it could */
	if (p && sodium_mlock(p, size) != 0)
		*ret_locked = false;
	if (p)
		memset(p, 0, size);
	return p;
}

static enum err
open_keys(struct vault *v, const char *path, char *why, size_t size)
{
	bool locked = true;
	unsigned char *file;
	char fault[256] = "no memory";
	size_t len;
	enum err err = ERR_NOMEM;

	v->keys = alloc_locked(VAULT_KEYS_MAX * sizeof *v->keys, &locked);
	file = alloc_locked(KEY_FILE_MAX + 1, &locked);
	if (v->keys && file)
		err = read_key_file(path, file, &len, fault, sizeof fault);
	if (!err)
		err = parse(v, file, len, fault, sizeof fault);
	sodium_free(file);
	if (err) {
		snprintf(
		    why, size, "SYNCLINE_VAULT_KEY_FILE, %s: %s", path, fault);
		return err;
	}
	if (!locked)
		log_at(
		    LOG_WARN, "vault_memory_not_locked", LOG_STR("path", path));
	sodium_mprotect_readonly(v->keys);
	return ERR_OK;
}

enum err
vault_open(const char *path, struct vault **ret, char *why, size_t why_size)
{
	struct vault *v;
	enum err err;

	if (!path || *path == '\0') {
		snprintf(why, why_size, "SYNCLINE_VAULT_KEY_FILE is not set");
		return ERR_INVAL;
	}
	if (sodium_init() < 0) {
		snprintf(why, why_size, "libsodium does not start");
		return ERR_CRYPTO;
	}
	v = calloc(1, sizeof *v);
	if (!v) {
		snprintf(why, why_size, "no memory");
		return ERR_NOMEM;
	}
	err = open_keys(v, path, why, why_size);
	if (err) {
		vault_close(v);
		return err;
	}
	*ret = v;
	return ERR_OK;
}

void
vault_close(struct vault *v)
{
	if (!v)
		return;
	sodium_free(v->keys); /* wipes */
	free(v);
}

/* Sealing. */

static size_t
put_part(unsigned char *to, const char *part)
{
	size_t len = strlen(part);

	to[0] = (unsigned char)(len >> 24);
	to[1] = (unsigned char)(len >> 16);
	to[2] = (unsigned char)(len >> 8);
	to[3] = (unsigned char)len;
	memcpy(to + 4, part, len);
	return 4 + len;
}

/* put_ad writes head and context so that no two of them give the same bytes. */
static size_t
put_ad(unsigned char *to, const unsigned char *head, size_t head_len,
    const struct vault_context *ctx)
{
	size_t len = head_len;

	memcpy(to, head, head_len);
	len += put_part(to + len, ctx->user);
	len += put_part(to + len, ctx->connection);
	len += put_part(to + len, ctx->field);
	return len;
}

static bool
context_valid(const struct vault_context *ctx)
{
	const char *const parts[] = { ctx->user, ctx->connection, ctx->field };

	for (unsigned i = 0; i < COUNT_OF(parts); i++) {
		if (!parts[i] || *parts[i] == '\0' ||
		    strnlen(parts[i], VAULT_CONTEXT_MAX + 1) >
			VAULT_CONTEXT_MAX)
			return false;
	}
	return true;
}

enum err
vault_seal(const struct vault *v, const struct vault_context *ctx,
    const void *plain, size_t len, struct vault_bytes *ret)
{
	const struct vault_key *key = &v->keys[0];
	size_t id_len = strlen(key->id);
	size_t head_len = HEAD_BYTES + id_len;
	size_t total = head_len + NONCE_BYTES + len + TAG_BYTES;
	unsigned char ad[AD_MAX], *out;

	if (!context_valid(ctx))
		return ERR_INVAL;
	if (len > VAULT_PLAIN_MAX)
		return ERR_TOO_LARGE;
	out = malloc(total + 1);
	if (!out)
		return ERR_NOMEM;
	out[0] = VERSION_DIRECT;
	out[1] = (unsigned char)id_len;
	memcpy(out + HEAD_BYTES, key->id, id_len);
	randombytes_buf(out + head_len, NONCE_BYTES);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + head_len + NONCE_BYTES,
	    NULL, plain, len, ad, put_ad(ad, out, head_len, ctx), NULL,
	    out + head_len, key->bytes);
	out[total] = '\0';
	ret->data = out;
	ret->len = total;
	return ERR_OK;
}

/* head_valid: a version we read, an id, and room for nonce and tag. */
static bool
head_valid(const unsigned char *in, size_t len)
{
	return len > HEAD_BYTES && in[0] == VERSION_DIRECT &&
	    len >= HEAD_BYTES + (size_t)in[1] + NONCE_BYTES + TAG_BYTES &&
	    id_valid((const char *)in + HEAD_BYTES, in[1]);
}

static const struct vault_key *
key_find(const struct vault *v, const unsigned char *in)
{
	for (unsigned i = 0; i < v->count; i++) {
		const struct vault_key *key = &v->keys[i];

		if (strlen(key->id) == in[1] &&
		    memcmp(key->id, in + HEAD_BYTES, in[1]) == 0)
			return key;
	}
	return NULL;
}

enum err
vault_unseal(const struct vault *v, const struct vault_context *ctx,
    const void *sealed, size_t len, struct vault_bytes *ret)
{
	const unsigned char *in = sealed;
	const struct vault_key *key;
	struct vault_bytes out;
	size_t head_len, body_len;
	unsigned char ad[AD_MAX];

	if (!context_valid(ctx))
		return ERR_INVAL;
	if (!head_valid(in, len))
		return ERR_CRYPTO;
	key = key_find(v, in);
	head_len = HEAD_BYTES + (size_t)in[1];
	body_len = len - head_len - NONCE_BYTES;
	if (!key || body_len - TAG_BYTES > VAULT_PLAIN_MAX)
		return ERR_CRYPTO;
	out.len = body_len - TAG_BYTES;
	out.data = malloc(out.len + 1);
	if (!out.data)
		return ERR_NOMEM;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(out.data, NULL, NULL,
		in + head_len + NONCE_BYTES, body_len, ad,
		put_ad(ad, in, head_len, ctx), in + head_len,
		key->bytes) != 0) {
		vault_bytes_wipe(&out);
		return ERR_CRYPTO;
	}
	out.data[out.len] = '\0';
	*ret = out;
	return ERR_OK;
}

void
vault_bytes_wipe(struct vault_bytes *b)
{
	if (b->data)
		sodium_memzero(b->data, b->len);
	free(b->data);
	*b = (struct vault_bytes){ 0 };
}

enum err
vault_key_id(const void *sealed, size_t len, char ret[VAULT_ID_MAX + 1])
{
	const unsigned char *in = sealed;

	if (!head_valid(in, len))
		return ERR_CRYPTO;
	memcpy(ret, in + HEAD_BYTES, in[1]);
	ret[in[1]] = '\0';
	return ERR_OK;
}

bool
vault_is_current(const struct vault *v, const void *sealed, size_t len)
{
	return head_valid(sealed, len) && key_find(v, sealed) == &v->keys[0];
}
