/*
 * sync.h - one sync as a runner holds it.
 *
 * Made from the row that the claim returned, counted by reference, freed by
 * the last sync_unref, which also closes its source.  Who may touch what is
 * said at each group of members.
 */
#ifndef SYNCLINE_RUNNER_SYNC_H
#define SYNCLINE_RUNNER_SYNC_H

#include "runner/dispatcher.h"
#include "shared/err.h"
#include <json-c/json.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
/* memory that is gone shows as a missing hh.tbl, not as an exit */
#ifndef HASH_NONFATAL_OOM
#define HASH_NONFATAL_OOM 1
#endif
#include <uthash.h>

struct source;
struct source_ops;

/* One registration of this process: its name in fences and sessions. */
struct term {
	char runner_id[48];
	uint64_t no; /* 1, 2, ... */
};

/* Why a sync's work here has to stop; the first reason stays. */
enum sync_stop {
	SYNC_GOES_ON,
	SYNC_CANCELLED, /* by its user; whoever set this ends it */
	SYNC_LOST,      /* the database decides: drop it */
	SYNC_DRAINED    /* the runner stops: whoever set this hands it back */
};

struct sync {
	/* fixed at the claim; any thread */
	char *sync_id, *user_id, *connection_id, *provider;
	char *request_id; /* NULL when there is none */
	const struct term *term;
	int64_t epoch;
	bool full;
	json_object *wanted; /* NULL: all streams */
	int64_t started_at_ms;
	int max_attempts;

	/* whoever took it from the dispatcher, or holds it beside it */
	const struct source_ops *ops;
	struct source *source;
	json_object *checkpoint;  /* the last committed one */
	json_object *opened_from; /* what the source borrows */
	int attempt, crash_count;
	bool suspected;  /* its lone step here is counted already */
	bool doubtful;   /* read the row again before the next step */
	int db_failures; /* in a row */
	int64_t steps;
	struct dispatcher_item item;

	/* guarded by the registry's lock */
	UT_hash_handle by_id;
	struct sync *user_prev, *user_next;
	bool registered;

	atomic_bool started; /* counted as started, or never to be */
	atomic_bool handed_back; /* a drain gives each back once */

	/* guarded by lock, below */
	pthread_mutex_t lock;
	enum sync_stop stop;
	void (*interrupt)(void *arg); /* while a step runs; never blocks */
	void *interrupt_arg;

	atomic_int refs;
};

/*
 * sync_from_row makes a sync from row `row` of sync_claim or sync_owned,
 * with one reference.
 */
enum err sync_from_row(struct sync **ret, const PGresult *res, int row,
    const struct term *term) MUST_CHECK;

/* sync_reread takes over what a step may have changed in the row. */
enum err sync_reread(struct sync *s, const PGresult *res, int row) MUST_CHECK;

struct sync *sync_ref(struct sync *s);
void sync_unref(struct sync *s); /* NULL is fine */

/* sync_close_source lets the next step begin from the checkpoint. */
void sync_close_source(struct sync *s);

/*
 * sync_stop_for sets the reason, unless there is one, and interrupts the
 * step under way.  True: this call set it.
 */
bool sync_stop_for(struct sync *s, enum sync_stop why);
enum sync_stop sync_stopped(struct sync *s);

/*
 * sync_step_begin names what interrupts the step that begins now; it
 * returns the reason to stop when there is one, and then names nothing.
 */
enum sync_stop
sync_step_begin(struct sync *s, void (*interrupt)(void *arg), void *arg);
void sync_step_end(struct sync *s);

/* sync_of gets from the dispatcher's item to the sync around it. */
struct sync *sync_of(struct dispatcher_item *it);

#endif
