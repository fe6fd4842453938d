/*
 * retry.h - the one place that decides what a failed step means.
 *
 * Nothing here blocks or remembers anything.
 */
#ifndef SYNCLINE_RUNNER_RETRY_H
#define SYNCLINE_RUNNER_RETRY_H

#include "runner/source.h"
#include "shared/err.h"
#include <stdbool.h>
#include <stdint.h>

enum verdict_kind {
	VERDICT_AGAIN, /* the same step once more, after delay_ms */
	VERDICT_DOUBT, /* committed or not is unknown: read the row first */
	VERDICT_WAIT,  /* told to wait: costs no attempt */
	VERDICT_RETRY, /* another attempt after delay_ms */
	VERDICT_FAIL,  /* the sync ends as failed */
	VERDICT_DROP   /* not ours any more: forget it */
};

struct verdict {
	enum verdict_kind kind;
	int64_t delay_ms;
	int attempt;      /* RETRY: the number of the next one */
	bool retryable;   /* FAIL: whether another sync may do better */
	bool reconnect;   /* FAIL: the connection needs its user */
	const char *code; /* RETRY, FAIL: borrowed from why, or static */
	const char *message;
};

/* How far a sync is: what the judgement depends on besides the failure. */
struct retry_state {
	int attempt, max_attempts;
	int db_failures; /* in a row, this one included */
	int64_t base_ms, cap_ms;
};

/*
 * retry_judge says what follows from a step that ended with err; why counts
 * where err is ERR_PEER or ERR_INVAL.  `dice` is a random number from 0 to
 * below 1.
 */
struct verdict retry_judge(const struct retry_state *st, enum err err,
    const struct failure *why, double dice);

/*
 * retry_delay_ms is exponential backoff with full jitter: any time between 0
 * and base * 2^(attempt - 1), which never exceeds cap.
 */
int64_t
retry_delay_ms(int64_t base_ms, int64_t cap_ms, int attempt, double dice);

/* retry_dice rolls once. */
double retry_dice(void);

#endif
