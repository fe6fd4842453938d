/*
 * lwa.h - access tokens from Login with Amazon, one fetch at a time.
 *
 * Tokens are shared by all runners through the connection's row: whoever
 * finds one about to end claims the right to fetch, and stores what it got,
 * sealed, before anybody uses it.  Blocks on database and network.
 */
#ifndef SYNCLINE_LWA_H
#define SYNCLINE_LWA_H

#include "runner/source.h"
#include "runner/sources/window.h"
#include "shared/vault.h"

/* One connection's token as this source knows it. */
struct lwa {
	const char *user;       /* borrowed */
	const char *connection; /* borrowed */
	struct clock *clock;    /* learns from answers; borrowed */
	struct vault_bytes access; /* data NULL: none known */
	int64_t until_ms;       /* monotonic; when it ends */
	int64_t life_ms;        /* what it had left when it came */
	bool refused;           /* the source did not take it */
};

/*
 * lwa_token makes sure of a token that lives another least_ms.  ERR_OK:
 * w->access.data is one.  ERR_CONFLICT: another runner is fetching one, come
 * again in a second.  ERR_EDGE: a fetch is needed, but env->db is inside a
 * transaction, where a claim would not be seen.  ERR_PEER: *why.  Else an
 * error of the database, or ERR_INTERRUPTED.
 */
enum err lwa_token(struct lwa *w, const struct step_env *env,
    int64_t least_ms, struct failure *why) MUST_CHECK;

/* lwa_refuse: the source did not take the token; the next is another. */
void lwa_refuse(struct lwa *w);

void lwa_fini(struct lwa *w); /* wipes the token */

/* What an answer of the token endpoint holds; borrowed from the JSON. */
struct lwa_answer {
	const char *access;
	const char *refresh; /* NULL: none came */
	int64_t life_ms;
};

/* lwa_read judges an answer; body may be anything.  ERR_PEER: *why. */
enum err lwa_read(int status, const char *body, size_t len,
    json_object **ret_owner, struct lwa_answer *ret,
    struct failure *why) MUST_CHECK;

#endif
