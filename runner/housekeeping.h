/*
 * housekeeping.h - what has to be tidied now and then, by one slow thread.
 *
 * Partitions for the months to come, idempotency keys past their day, the
 * rows of runners long dead, and what ended syncs had noted as seen.  Its
 * database session lives only while there is work.
 */
#ifndef SYNCLINE_RUNNER_HOUSEKEEPING_H
#define SYNCLINE_RUNNER_HOUSEKEEPING_H

#include "shared/err.h"
#include "shared/settings.h"

struct housekeeping; /* opaque */

/* housekeeping_open starts the thread. */
enum err housekeeping_open(
    struct housekeeping **ret, const struct settings *s) MUST_CHECK;
void housekeeping_close(struct housekeeping *hk);

/*
 * housekeeping_ended: a sync ended, what it had seen can go.  Best effort:
 * the hourly sweep finds what was missed.  Any thread, never blocks.
 */
void housekeeping_ended(struct housekeeping *hk, const char *sync_id);

#endif
