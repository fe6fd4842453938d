/*
 * worker.h - plain threads that perform one step at a time.
 *
 * A worker owns one database session, one HTTP client and one loader.  It
 * takes a sync from the dispatcher, opens its source where that is not yet
 * done, steps, commits, and says what comes next: straight on, another turn,
 * a wait, an end.  Its calls block; what may have to end early is
 * interrupted through the sync (sync_stop_for).
 */
#ifndef SYNCLINE_RUNNER_WORKER_H
#define SYNCLINE_RUNNER_WORKER_H

#include "runner/hold.h"
#include "shared/err.h"

struct vault;
struct limits;
struct workers; /* opaque */

/* What all workers share; borrowed for their life. */
struct worker_tools {
	struct hold *hold;
	struct vault *vault; /* NULL without a key file */
	struct limits *limits;
};

/* workers_open starts settings->workers threads. */
enum err
workers_open(struct workers **ret, const struct worker_tools *tools) MUST_CHECK;

/* workers_close waits for the threads; stop the dispatcher before. */
void workers_close(struct workers *w);

#endif
