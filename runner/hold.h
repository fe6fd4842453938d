/*
 * hold.h - what this runner holds: how syncs come, wait, end and go.
 *
 * The hold ties registry, dispatcher and journal together, so that inbox,
 * scan and workers say what they want in one word.  A held sync is in the
 * registry; its `turn`, a second reference, is with the dispatcher, with the
 * worker that took it, or with the journal entry that decides what becomes
 * of it.  Memory changes only after the commit.  Any thread; nothing here
 * blocks on the database.
 *
 * How much is claimed: up to max_active in all, but no more than a few per
 * worker that have not taken their first step, so that other runners find
 * work, while each first step makes room for another claim: in the end all
 * are held, and the dispatcher shares the workers among them.
 */
#ifndef SYNCLINE_RUNNER_HOLD_H
#define SYNCLINE_RUNNER_HOLD_H

#include "runner/dispatcher.h"
#include "runner/journal.h"
#include "runner/lease.h"
#include "runner/registry.h"
#include "runner/retry.h"
#include "runner/sync.h"
#include "shared/err.h"
#include "shared/settings.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opened by the runner, which owns the rooms; the rest is the hold's own. */
struct hold {
	const struct settings *settings;
	struct lease *lease;
	struct registry *registry;
	struct dispatcher *dispatcher;
	struct journal *journal;
	/* whoever wants to know; both called from any thread, never NULL */
	void (*on_room)(void *arg); /* more may be claimed */
	void (*on_ended)(void *arg, const char *sync_id); /* committed */
	/* a sync was given back until then (clock_ms) */
	void (*on_released)(void *arg, int64_t due_ms);
	void *arg;

	atomic_int claiming;  /* on their way through the journal */
	atomic_int unstarted; /* claimed, no step yet */
	atomic_bool draining; /* nothing is claimed any more */
};

/* hold_room is how many syncs may be claimed now. */
int hold_room(struct hold *h);

/*
 * hold_claim queues claims, as many as there is room for, and returns how
 * many of the ids were seen to; those held already count as such.
 */
size_t hold_claim(struct hold *h, const char *const *ids, size_t n);

/* hold_adopt takes in a row that the database says is ours. */
void hold_adopt(
    struct hold *h, const PGresult *res, int row, const struct term *term);

/*
 * hold_cancel ends a user's sync as cancelled and calls on_done after the
 * commit, on another thread.  ERR_NOT_FOUND: not held here, or another's;
 * on_done is not called then.
 */
struct hold_reply {
	/* ERR_OK: committed; ERR_FENCED: it had ended or gone before */
	void (*on_done)(struct hold_reply *r, enum err err);
	void *arg;
};
enum err hold_cancel(struct hold *h, const char *user_id, const char *sync_id,
    struct hold_reply *r) MUST_CHECK;

/* --- what a worker says of the sync whose turn it has ------------------ */

/* hold_started: its first step begins. */
void hold_started(struct hold *h, struct sync *s);

/* hold_again puts it back, to step after delay_ms. */
void hold_again(struct hold *h, struct sync *s, int64_t delay_ms);

/*
 * hold_wait commits a wait: in memory when it is shorter than a lease,
 * else the sync is released with a not-before time.  code is NULL when
 * nothing failed; attempt is the present or next one.
 */
struct hold_wait {
	enum phase phase; /* PHASE_RATE_LIMITED or PHASE_RETRY_WAIT */
	int64_t delay_ms;
	int attempt;
	const char *message, *code, *error;
};
void hold_wait(struct hold *h, struct sync *s, const struct hold_wait *w);

/* hold_end commits the end. */
void hold_end(struct hold *h, struct sync *s, enum status status,
    const char *message, const struct verdict *v);

/* hold_let_go: it was stopped; who stopped it sees to the rest. */
void hold_let_go(struct hold *h, struct sync *s);

/* hold_drop: the database says it is not ours. */
void hold_drop(struct hold *h, struct sync *s);

/* --- all of them ------------------------------------------------------- */

/* hold_lose drops the syncs of a term that is over. */
void hold_lose(struct hold *h, const struct term *t);

/* hold_interrupt ends the steps under way, as a drain that waited enough. */
void hold_interrupt(struct hold *h);

/* hold_hand_back queues the release of everything held, unharmed. */
void hold_hand_back(struct hold *h);

#endif
