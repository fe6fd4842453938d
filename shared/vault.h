/*
 * vault.h - seals the secrets of connections before they are stored.
 *
 * XChaCha20-Poly1305.  What is sealed opens only in the context it was sealed
 * in: a row's secret copied to another user, connection or field does not.
 * Open the vault after the last fork (locked memory is not inherited); then
 * it does not change, and any thread may use it.  Nothing but vault_open
 * blocks.
 *
 * The key file holds one 32-byte key as raw bytes, 64 hexadecimal digits or
 * base64, whose id is "1"; or lines of `id:base64`, the newest key first,
 * with empty lines and lines that begin with # left out.  The first key
 * seals, all of them open: to rotate, put a new line on top and seal again
 * what vault_is_current does not call current.
 */
#ifndef SYNCLINE_VAULT_H
#define SYNCLINE_VAULT_H

#include "shared/err.h"
#include <stdbool.h>
#include <stddef.h>

#define VAULT_PLAIN_MAX (1024 * 1024) /* bytes sealed at once */
#define VAULT_CONTEXT_MAX 512         /* bytes of each part of a context */
#define VAULT_KEYS_MAX 16
#define VAULT_ID_MAX 32 /* bytes of a key's id: letters, digits, - _ . */

struct vault; /* opaque */

/* Where a secret belongs.  Borrowed texts, each 1 to VAULT_CONTEXT_MAX. */
struct vault_context {
	const char *user;
	const char *connection;
	const char *field;
};

/* Bytes the caller owns and gives to vault_bytes_wipe. */
struct vault_bytes {
	unsigned char *data; /* a NUL follows the len bytes */
	size_t len;
};

/*
 * vault_open reads the key file, which nobody but its owner may touch.
 * Keys live in locked memory; where locking is not allowed that is logged
 * once and they live in ordinary memory.
 * ERR_INVAL, ERR_IO: why says what is wrong and never repeats a key.
 */
enum err vault_open(const char *path, struct vault **ret, char *why,
    size_t why_size) MUST_CHECK;

/* vault_close wipes the keys. */
void vault_close(struct vault *v);

/*
 * vault_seal encrypts len bytes (0 is fine) for one context.
 * ERR_INVAL: a part of the context is missing or too long.
 * ERR_TOO_LARGE: more than VAULT_PLAIN_MAX.
 */
enum err vault_seal(const struct vault *v, const struct vault_context *ctx,
    const void *plain, size_t len, struct vault_bytes *ret) MUST_CHECK;

/*
 * vault_unseal decrypts what vault_seal made in the same context.
 * ERR_CRYPTO: changed bytes, another context, a key this vault does not have
 * (see vault_key_id), or a form of a later version.
 * ERR_INVAL: as vault_seal.
 */
enum err vault_unseal(const struct vault *v, const struct vault_context *ctx,
    const void *sealed, size_t len, struct vault_bytes *ret) MUST_CHECK;

/* vault_bytes_wipe overwrites, frees and empties b; made for CLEANUP. */
void vault_bytes_wipe(struct vault_bytes *b);

/*
 * vault_key_id names the key something was sealed with, for logs: it is read
 * from the bytes and not authenticated.  ERR_CRYPTO: not sealed by us.
 */
enum err vault_key_id(
    const void *sealed, size_t len, char ret[VAULT_ID_MAX + 1]) MUST_CHECK;

/* vault_is_current: sealed with the key that seals now. */
bool vault_is_current(const struct vault *v, const void *sealed, size_t len);

#endif
