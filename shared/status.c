/* status.c - the words and the moves, as tables. */
#include "shared/status.h"

#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	const char *classic;
} statuses[STATUS__MAX] = {
	[STATUS_IDLE] = { "idle", "idle" },
	[STATUS_RUNNING] = { "running", "in_progress" },
	[STATUS_COMPLETED] = { "completed", "complete" },
	[STATUS_FAILED] = { "failed", "failed" },
	[STATUS_CANCELLED] = { "cancelled", "failed" },
};

/* Words that other systems of this kind have written. */
static const struct {
	const char *word;
	enum status status;
} older[] = {
	{ "in_progress", STATUS_RUNNING },
	{ "complete", STATUS_COMPLETED },
	{ "canceled", STATUS_CANCELLED },
};

static const char *const phases[PHASE__MAX] = {
	[PHASE_QUEUED] = "queued",
	[PHASE_FETCHING] = "fetching",
	[PHASE_LOADING] = "loading",
	[PHASE_RATE_LIMITED] = "rate_limited",
	[PHASE_RETRY_WAIT] = "retry_wait",
	[PHASE_DETECTING] = "detecting",
	[PHASE_FINALIZING] = "finalizing",
};

#define TO(p) (1u << PHASE_##p)

static const unsigned phase_edges[PHASE__MAX] = {
	[PHASE_QUEUED] = TO(FETCHING) | TO(DETECTING) | TO(FINALIZING) |
	    TO(RETRY_WAIT) | TO(RATE_LIMITED),
	[PHASE_FETCHING] = TO(LOADING) | TO(RATE_LIMITED) | TO(RETRY_WAIT) |
	    TO(DETECTING) | TO(FINALIZING) | TO(QUEUED),
	[PHASE_LOADING] = TO(FETCHING) | TO(RATE_LIMITED) | TO(RETRY_WAIT) |
	    TO(DETECTING) | TO(FINALIZING) | TO(QUEUED),
	[PHASE_RATE_LIMITED] = TO(FETCHING) | TO(QUEUED) | TO(RETRY_WAIT) |
	    TO(DETECTING) | TO(FINALIZING),
	[PHASE_RETRY_WAIT] = TO(FETCHING) | TO(QUEUED) | TO(RATE_LIMITED) |
	    TO(DETECTING) | TO(FINALIZING),
	[PHASE_DETECTING] = TO(FINALIZING) | TO(RETRY_WAIT) | TO(QUEUED),
	[PHASE_FINALIZING] = TO(RETRY_WAIT) | TO(QUEUED),
};

const char *
status_name(enum status s)
{
	return (unsigned)s < STATUS__MAX ? statuses[s].name : "unknown";
}

const char *
status_classic(enum status s)
{
	return (unsigned)s < STATUS__MAX ? statuses[s].classic : "unknown";
}

enum err
status_parse(const char *word, enum status *ret)
{
	for (unsigned i = 0; i < STATUS__MAX; i++) {
		if (strcasecmp(word, statuses[i].name) == 0) {
			*ret = (enum status)i;
			return ERR_OK;
		}
	}
	for (unsigned i = 0; i < COUNT_OF(older); i++) {
		if (strcasecmp(word, older[i].word) == 0) {
			*ret = older[i].status;
			return ERR_OK;
		}
	}
	return ERR_INVAL;
}

bool
status_ended(enum status s)
{
	return s == STATUS_COMPLETED || s == STATUS_FAILED ||
	    s == STATUS_CANCELLED;
}

bool
status_edge(enum status from, enum status to)
{
	return from == STATUS_RUNNING &&
	    (to == STATUS_RUNNING || status_ended(to));
}

const char *
phase_name(enum phase p)
{
	return (unsigned)p < PHASE__MAX ? phases[p] : "unknown";
}

enum err
phase_parse(const char *word, enum phase *ret)
{
	for (unsigned i = 0; i < PHASE__MAX; i++) {
		if (strcmp(word, phases[i]) == 0) {
			*ret = (enum phase)i;
			return ERR_OK;
		}
	}
	return ERR_INVAL;
}

bool
phase_edge(enum phase from, enum phase to)
{
	if ((unsigned)from >= PHASE__MAX || (unsigned)to >= PHASE__MAX)
		return false;
	return from == to || (phase_edges[from] & (1u << to)) != 0;
}
