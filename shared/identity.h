/*
 * identity.h - who is calling: verifies the tokens that name a user.
 *
 * Any number of threads may verify with one keyring at the same time.  Nothing
 * blocks but the look at the JWKS file that keyring.h tells of.
 */
#ifndef SYNCLINE_IDENTITY_H
#define SYNCLINE_IDENTITY_H

#include "shared/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyring; /* shared/keyring.h */

#define IDENTITY_TOKEN_MAX 8192 /* bytes of a token */
#define IDENTITY_USER_MAX 128   /* bytes of a user's id */
#define IDENTITY_LEEWAY_S 60    /* how far clocks may be apart */

struct identity {
	char user[IDENTITY_USER_MAX + 1];
	bool admin;
	int64_t expires; /* exp: seconds since 1970, without the leeway */
};

/*
 * identity_verify accepts a token of len bytes when a key of exactly the
 * algorithm its header names signed it, exp is to come, nbf has come, and
 * audience and issuer are ours where the settings name them.  A token whose
 * kid names a key is tried with that key only; with an unknown kid, the keys
 * without a name are tried; without kid, every key of its algorithm.  typ,
 * where there is one, must be JWT, and crit is refused.
 *
 * The user is claim sub, else user_id, id, userId: the first that is there
 * and not null must be a valid user (below) or an integer.
 *
 * ERR_DENIED: a bad token; ret_reason (may be NULL) gets a short stable word
 * for the log, a static string: no_token, too_long, malformed, alg, crit,
 * no_key, signature, exp, expired, nbf, not_yet, audience, issuer, user.
 * ERR_NOMEM: could not tell; reason no_memory.  The token itself appears
 * nowhere.
 */
enum err identity_verify(struct keyring *k, const char *token, size_t len,
    struct identity *ret, const char **ret_reason) MUST_CHECK;

/* identity_verify_at is the same at another time, in seconds since 1970. */
enum err identity_verify_at(struct keyring *k, const char *token, size_t len,
    int64_t now, struct identity *ret, const char **ret_reason) MUST_CHECK;

/*
 * identity_user_valid: 1 to IDENTITY_USER_MAX bytes of UTF-8 without control
 * characters.  For ids that come another way, such as from a gateway.
 */
bool identity_user_valid(const char *text, size_t len);

#endif
