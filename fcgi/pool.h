/*
 * pool.h - the database sessions of one handler process.
 *
 * Threads borrow a session for one request.  Waiting for one is bounded, and
 * while PostgreSQL is away requests learn so at once: one of them tries, the
 * others take its word for a moment.
 */
#ifndef SYNCLINE_POOL_H
#define SYNCLINE_POOL_H

#include "shared/db.h"
#include "shared/err.h"
#include "shared/settings.h"

struct pool; /* opaque */

#define POOL_WAIT_MS 2000 /* for a free session */
#define POOL_AWAY_MS 200  /* how long a failed connect is remembered */

/* settings are borrowed.  No session is made yet. */
enum err pool_open(struct pool **ret, const struct settings *s) MUST_CHECK;
/* pool_close wants every session back first. */
void pool_close(struct pool *p);

/*
 * pool_borrow gives a connected session.  ERR_LIMITED: all were in use for
 * POOL_WAIT_MS.  ERR_DB_AWAY: PostgreSQL cannot be reached.
 */
enum err pool_borrow(struct pool *p, struct db **ret) MUST_CHECK;

/* pool_return takes it back; an open transaction is rolled back. */
void pool_return(struct pool *p, struct db *db);

#endif
