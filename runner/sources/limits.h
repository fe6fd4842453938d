/*
 * limits.h - call budgets: how often an account may use an operation.
 *
 * A token bucket per (account, operation), with the rate a source documents
 * until the source says another.  Nobody knows how full a bucket is when a
 * runner begins, so each starts with one call.  Any thread; nothing blocks
 * but a lock held for a few instructions.
 */
#ifndef SYNCLINE_LIMITS_H
#define SYNCLINE_LIMITS_H

#include "shared/err.h"
#include <stdint.h>

struct limits; /* opaque */

/* One operation's documented budget. */
struct limit {
	const char *name; /* stable word, such as searchOrders */
	double rate;      /* calls a second */
	double burst;
};

/* limits_open: documented rates count times `scale` (> 0). */
enum err limits_open(struct limits **ret, double scale) MUST_CHECK;
void limits_close(struct limits *l); /* NULL is fine */

/*
 * limits_take takes one call out of the bucket and returns 0, or leaves it
 * alone and returns after how many milliseconds there will be one.
 */
int64_t limits_take(
    struct limits *l, const char *account, const struct limit *op);

/* limits_learn: the source said what the rate is; 0 or less is ignored. */
void limits_learn(struct limits *l, const char *account,
    const struct limit *op, double rate);

/*
 * limits_refused: the source refused a call for its limit.  Empties the
 * bucket and returns how long to wait: what the source asked for (< 0: it
 * did not say), else the time of one call, doubled with each refusal in a
 * row, with jitter.
 */
int64_t limits_refused(struct limits *l, const char *account,
    const struct limit *op, int64_t retry_after_ms);

/* limits_accepted: a call went through; refusals count from none again. */
void limits_accepted(
    struct limits *l, const char *account, const struct limit *op);

#endif
