/*
 * step.h - one step of one sync, from the opened source to the commit.
 *
 * For the worker whose turn the sync is.  Calls block on the source and the
 * database, and end with ERR_INTERRUPTED when these are interrupted.
 */
#ifndef SYNCLINE_RUNNER_STEP_H
#define SYNCLINE_RUNNER_STEP_H

#include "runner/source.h"
#include "runner/sync.h"
#include "shared/err.h"

/* A worker's own and what all share; borrowed. */
struct step_tools {
	const struct settings *settings;
	struct vault *vault; /* NULL without a key file */
	struct limits *limits;
	struct db *db;
	struct load *load;
	struct http *http;
};

/*
 * step_prepare does what comes before the step: reads the row again after a
 * doubt, counts a suspect, opens the source.  ERR_FENCED: not ours any more.
 * ERR_PEER or ERR_INVAL: *why.
 */
enum err step_prepare(
    const struct step_tools *t, struct sync *s, struct failure *why) MUST_CHECK;

/*
 * step_perform steps and commits.  Whatever it returns, step_clear frees
 * what is in *ret, which the caller has set to zero before.
 */
enum err step_perform(const struct step_tools *t, struct sync *s,
    struct step *ret, struct failure *why) MUST_CHECK;
void step_clear(struct step *st);

/*
 * step_event adds to the sync's activity what the runner itself did; data
 * may be NULL.  A failure is logged: an event is never worth a step.
 */
void step_event(const struct step_tools *t, const struct sync *s,
    const char *type, const char *kind, const char *message, json_object *data);

#endif
