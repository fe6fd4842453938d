/*
 * lease.h - a runner's one promise to the database that it is alive.
 *
 * A thread and a database session of its own register this process and renew
 * its lease every quarter of it.  A second thread watches the deadline, on
 * our own monotonic clock from before the renewal was sent: when it passes,
 * or the database says the lease is over, the term is lost, on_lost is told,
 * and the process registers anew under a new runner_id.  With PostgreSQL
 * away that goes on until it is back.
 */
#ifndef SYNCLINE_RUNNER_LEASE_H
#define SYNCLINE_RUNNER_LEASE_H

#include "runner/sync.h"
#include "shared/err.h"
#include "shared/settings.h"

struct lease; /* opaque */

struct lease_events {
	/* a term began; the syncs of dead runners may be claimed now */
	void (*on_gained)(void *arg, const struct term *t);
	/* it is over: interrupt all steps, drop all syncs; one at a time */
	void (*on_lost)(void *arg, const struct term *t);
	void *arg;
};

/*
 * lease_open takes the lock file of the runner's name.  ERR_CONFLICT: a
 * runner of that name lives; ERR_IO: *why says what about the lock file.
 */
enum err lease_open(struct lease **ret, const struct settings *s,
    const struct lease_events *ev, char *why, size_t why_size) MUST_CHECK;

enum err lease_start(struct lease *l) MUST_CHECK;

/*
 * lease_term is the present term, NULL while there is none.  Terms live
 * until lease_close.  Any thread.
 */
const struct term *lease_term(struct lease *l);

/* lease_stop ends the threads and gives the lease back. */
void lease_stop(struct lease *l);
void lease_close(struct lease *l); /* after lease_stop, or never started */

#endif
