/*
 * status.h - the vocabulary of a sync's life, and the legal moves.
 *
 * The database's guard (sql/migrations) enforces the same tables; a test
 * compares the two.
 */
#ifndef SYNCLINE_STATUS_H
#define SYNCLINE_STATUS_H

#include "shared/err.h"
#include <stdbool.h>

enum status {
	STATUS_IDLE, /* a user without any sync; never stored */
	STATUS_RUNNING,
	STATUS_COMPLETED,
	STATUS_FAILED,
	STATUS_CANCELLED,
	STATUS__MAX
};

enum phase {
	PHASE_QUEUED,
	PHASE_FETCHING,
	PHASE_LOADING,
	PHASE_RATE_LIMITED,
	PHASE_RETRY_WAIT,
	PHASE_DETECTING,
	PHASE_FINALIZING,
	PHASE__MAX
};

const char *status_name(enum status s); /* canonical word; never NULL */
/* The word of the classic surfaces: in_progress, complete, failed. */
const char *status_classic(enum status s);
/* Reads canonical and older words, any case.  ERR_INVAL: neither. */
enum err status_parse(const char *word, enum status *ret) MUST_CHECK;
/* Whether a sync may move so; ended ones never move. */
bool status_edge(enum status from, enum status to);
bool status_ended(enum status s);

const char *phase_name(enum phase p); /* never NULL */
enum err phase_parse(const char *word, enum phase *ret) MUST_CHECK;
bool phase_edge(enum phase from, enum phase to); /* staying is legal */

#endif
