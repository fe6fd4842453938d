/*
 * starting.h - makes a sync, or finds out why there shall be none.
 *
 * The unique index of active syncs decides; nothing here checks and then
 * acts.  Calls block on the database.
 */
#ifndef SYNCLINE_STARTING_H
#define SYNCLINE_STARTING_H

#include "fcgi/req.h"
#include "fcgi/start_options.h"
#include "fcgi/sync_id.h"
#include <libpq-fe.h>
#include <stdbool.h>

struct start_ask {
	const struct start_options *options;
	const char *cause;    /* as the table takes it; static */
	const char *retry_of; /* borrowed, or NULL */
	bool force;           /* what is active is cancelled for it */
};

enum start_outcome {
	START_MADE,                /* committed; sync_id says which */
	START_MADE_BEFORE,         /* by this very request, earlier */
	START_ACTIVE,              /* another one runs: sync_id */
	START_NOT_CONNECTED,       /* no such connection, or none at all */
	START_CONNECTION_REQUIRED, /* several and no default: connections */
	START_MISMATCH,            /* the key belongs to another request */
	START_LIMITED,             /* try again after wait_s */
	START_BUSY                 /* others were faster, again and again */
};

/* Texts are borrowed from the results below them. */
struct start_told {
	enum start_outcome outcome;
	const char *sync_id, *connection_id, *phase, *message;
	const char *started_at;  /* START_MADE */
	const char *connections; /* JSON array */
	const char *replaced;    /* the sync a forced start cancelled */
	int wait_s;
	PGresult *made, *why, *old;
};

/*
 * starting_run commits the sync and hints a runner, or tells why not; the
 * caller frees ret with start_told_fini.  An error is the database's.
 */
enum err starting_run(struct req *rq, const struct start_ask *ask,
    struct start_told *ret) MUST_CHECK;
void start_told_fini(struct start_told *t); /* for CLEANUP */

#endif
