/*
 * seller.h - the accounts: their data, refresh tokens and access tokens.
 *
 * Sellers are only ever added, so a struct seller pointer stays good until
 * sellers_fini.  Safe from any thread; each function locks for itself.
 */
#ifndef SANDBOX_SELLER_H
#define SANDBOX_SELLER_H

#include <pthread.h>

#include "index.h"
#include "limits.h"

enum {
	SELLER_ID_MAX = 64,
	REFRESH_MAX = 128,
	ACCESS_MAX = 512,
};

struct seller {
	char id[SELLER_ID_MAX];
	struct model model; /* never changes */

	pthread_rwlock_t index_lock; /* guards index */
	struct index index;

	pthread_mutex_t lock; /* guards all below */
	bool revoked;
	bool rotates;
	unsigned refresh_serial; /* the token in force: 0 is the first */
	int64_t rotated_ms;      /* the one before it dies a while later */
	uint64_t dead_serial;    /* access tokens up to this one are dead */
	struct bucket buckets[OP__MAX];
};

struct sellers {
	pthread_rwlock_t lock; /* guards the list, not the sellers */
	struct seller **list;
	size_t count;

	pthread_mutex_t serial_lock; /* guards serial */
	uint64_t serial;             /* of the last access token */
};

/* What a new seller is made from. */
struct seller_spec {
	const char *id;
	uint64_t seed;
	int64_t base; /* seconds: `orders` orders lie before it */
	int64_t days;
	uint32_t orders;
	uint32_t skus;
	const struct market *markets[MODEL_MARKETS_MAX];
	int market_count;
	bool rotates;
};

void sellers_init(struct sellers *ss);
void sellers_fini(struct sellers *ss);

/* sellers_add returns NULL when the id is taken. */
struct seller *sellers_add(struct sellers *ss, const struct seller_spec *spec);
struct seller *sellers_find(struct sellers *ss, const char *id);

/* Both return NULL past the end; the list only grows. */
struct seller *sellers_at(struct sellers *ss, size_t i);

bool seller_has_market(const struct seller *s, const struct market *m);

/*
 * seller_index_read makes the index reach now and holds it for reading
 * until seller_index_done.  The first call for a seller builds it.
 */
const struct index *seller_index_read(struct seller *s, int64_t now);
void seller_index_done(struct seller *s);

/* --- refresh tokens --- */

enum refresh_result { REFRESH_OK, REFRESH_UNKNOWN, REFRESH_DEAD };

void seller_refresh_token(struct seller *s, char ret[REFRESH_MAX]);

/* sellers_refresh_owner: whose token it is or was, NULL: nobody's. */
struct seller *sellers_refresh_owner(struct sellers *ss, const char *token);

/*
 * sellers_refresh checks a refresh token.  REFRESH_OK and REFRESH_DEAD set
 * *ret; a rotating seller has a new token afterwards, and the old one works
 * a few minutes more, as an answer can get lost.
 */
enum refresh_result sellers_refresh(
    struct sellers *ss, const char *token, int64_t now_ms, struct seller **ret);

/* seller_reconnect makes a new refresh token at once, and lifts revocation. */
void seller_reconnect(struct seller *s);

/* --- access tokens --- */

enum access_result {
	ACCESS_OK,
	ACCESS_UNKNOWN,
	ACCESS_EXPIRED,
	ACCESS_REVOKED
};

void access_issue(struct sellers *ss, const struct seller *s,
    int64_t expires_ms, char ret[ACCESS_MAX]);

/* access_check sets *ret unless ACCESS_UNKNOWN. */
enum access_result access_check(
    struct sellers *ss, const char *token, int64_t now_ms, struct seller **ret);

/* access_expire: all access tokens given out so far are expired. */
void access_expire(struct sellers *ss, struct seller *s);

#endif
