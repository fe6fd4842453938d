/*
 * dispatcher.h - which sync steps next.
 *
 * Highest priority first; within one, the users take turns; within a user,
 * who has been ready longest.  Three rules stand beside that order and hold
 * nobody up who is not meant:
 *
 *   - steps that may take minutes (LANE_LONG) run on at most half of the
 *     workers, on one where there is only one;
 *   - a sync that an owner died with (LANE_ALONE) steps while nothing else
 *     does: its turn come, no further long step begins, then none at all,
 *     until it has had the runner to itself;
 *   - what waits for a time is in a heap and costs nothing until then.
 *
 * Every operation is O(log n) in what waits and O(1) in what is ready.  One
 * lock, never held across anything slow.  Any thread.
 */
#ifndef SYNCLINE_RUNNER_DISPATCHER_H
#define SYNCLINE_RUNNER_DISPATCHER_H

#include "shared/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISPATCHER_PRIORITIES 4

enum lane { LANE_SHORT, LANE_LONG, LANE_ALONE, LANE__MAX };

enum item_place {
	ITEM_OUT,     /* the caller's */
	ITEM_READY,   /* may be taken now */
	ITEM_WAITING, /* for its time */
	ITEM_TAKEN    /* a worker performs its step */
};

struct dispatcher; /* opaque */
struct dispatcher_user;

/* What waits for its step; embedded in a struct sync. */
struct dispatcher_item {
	/* the caller's to set, while the item is out or taken */
	int priority; /* 0 .. DISPATCHER_PRIORITIES - 1, higher goes first */
	enum lane lane;
	/* the dispatcher's own */
	struct dispatcher_user *user;
	struct dispatcher_item *prev, *next;
	enum item_place place;
	enum lane taken_lane;
	size_t heap_at;
	int64_t due_ms;
};

enum err dispatcher_open(struct dispatcher **ret, int workers) MUST_CHECK;
/* dispatcher_close: every item has left. */
void dispatcher_close(struct dispatcher *d);

/*
 * dispatcher_join makes room for the item, so that nothing can fail later;
 * dispatcher_leave gives it back; the item is out at both.
 */
enum err dispatcher_join(struct dispatcher *d, struct dispatcher_item *it,
    const char *user_id) MUST_CHECK;
void dispatcher_leave(struct dispatcher *d, struct dispatcher_item *it);

/*
 * dispatcher_put lets the item be taken from due_ms on (clock_ms; 0: now).
 * A taken item's step is over with it.
 */
void dispatcher_put(
    struct dispatcher *d, struct dispatcher_item *it, int64_t due_ms);

/* dispatcher_done: a taken item's step is over, and the item is out. */
void dispatcher_done(struct dispatcher *d, struct dispatcher_item *it);

/* dispatcher_remove takes out what is ready or waits; false: it does not. */
bool dispatcher_remove(struct dispatcher *d, struct dispatcher_item *it);

/*
 * dispatcher_keep: a taken item may step again at once, because nobody else
 * is ready.  False: put it back and take the next.
 */
bool dispatcher_keep(struct dispatcher *d, struct dispatcher_item *it);

/* dispatcher_next is dispatcher_take without waiting, at a given time. */
bool dispatcher_next(
    struct dispatcher *d, int64_t now_ms, struct dispatcher_item **ret);

/* dispatcher_take waits for the next item.  ERR_INTERRUPTED: stopped. */
enum err
dispatcher_take(struct dispatcher *d, struct dispatcher_item **ret) MUST_CHECK;

/* dispatcher_stop: nothing is taken any more, and waiting workers return. */
void dispatcher_stop(struct dispatcher *d);

/* dispatcher_idle waits until no step runs; false: not by the deadline. */
bool dispatcher_idle(struct dispatcher *d, int64_t deadline_ms);

/* dispatcher_due: when a waiting item's time comes; 0 when it is not one. */
int64_t dispatcher_due(struct dispatcher *d, const struct dispatcher_item *it);

struct dispatcher_counts {
	size_t ready, waiting, running, running_long;
};
void dispatcher_count(struct dispatcher *d, struct dispatcher_counts *ret);

#endif
