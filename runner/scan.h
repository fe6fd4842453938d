/*
 * scan.h - finds work that no hint told of: waiting syncs and orphans.
 *
 * One thread and one database session.  The scan walks the queue with a
 * (priority, id) cursor, as far as there is room; at the end it starts over,
 * but not at once, for what became due behind it.  Every half lease the
 * rescue ends the database sessions of runners whose lease is over and
 * claims what they held.
 */
#ifndef SYNCLINE_RUNNER_SCAN_H
#define SYNCLINE_RUNNER_SCAN_H

#include "runner/hold.h"
#include "shared/err.h"
#include <stdint.h>

struct scan; /* opaque */

enum err scan_open(struct scan **ret, struct hold *h) MUST_CHECK;
enum err scan_start(struct scan *sc) MUST_CHECK;
void scan_stop(struct scan *sc);
void scan_close(struct scan *sc);

/* From any thread, and none of them blocks: */
void scan_rescue_now(struct scan *sc); /* a term began */
void scan_room(struct scan *sc);       /* more may be claimed */
/* a sync was given back and is due then (clock_ms) */
void scan_expect(struct scan *sc, int64_t due_ms);

#endif
