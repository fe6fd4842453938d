/*
 * jwks.h - keys from a JWKS file that may change while we run.
 *
 * Thread-safe.  `why` gets a sentence for the operator that never repeats key
 * material.
 */
#ifndef SYNCLINE_JWKS_H
#define SYNCLINE_JWKS_H

#include "shared/err.h"
#include <stddef.h>

struct json_object; /* json-c */
struct keyset;      /* shared/keyset.h */
struct jwks;        /* opaque: a set of keys that follows a file */

#define JWKS_JSON_MAX (256 * 1024) /* bytes of JSON we read at all */
#define JWKS_JSON_DEPTH 16         /* levels of it */

/*
 * jwks_open reads the file for the first time; it must be good.  path is
 * copied.  ERR_IO, ERR_INVAL with why.
 */
enum err jwks_open(
    const char *path, struct jwks **ret, char *why, size_t why_size) MUST_CHECK;
void jwks_close(struct jwks *j);

/*
 * jwks_get returns the present keys; the caller drops the reference.  At most
 * once a second one caller looks at the file first, and reads it when it has
 * changed: that call blocks on the disk, the others do not.  A missing or
 * broken file leaves the old keys in use and is logged once.
 */
struct keyset *jwks_get(struct jwks *j);

/* jwks_refresh looks at the file now, unless another thread is just at it. */
void jwks_refresh(struct jwks *j);

/*
 * jwks_parse reads a JWKS document: RSA is for RS256, EC P-256 for ES256,
 * oct for HS256.  A key with another kty, crv, alg, use or key_ops is left
 * out, as it is not for us; one that is for us but broken or too weak
 * refuses the whole document.  No key at all is fine: everything is revoked.
 * ERR_INVAL: not such a document.
 */
enum err jwks_parse(const char *text, size_t len, struct keyset **ret,
    char *why, size_t why_size) MUST_CHECK;

/*
 * jwks_json reads one JSON object that may come from anybody: UTF-8, within
 * the limits above, no member twice, nothing after it.  The caller puts *ret.
 * ERR_INVAL otherwise.
 */
enum err
jwks_json(const char *text, size_t len, struct json_object **ret) MUST_CHECK;

#endif
