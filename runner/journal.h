/*
 * journal.h - state changes without records, many syncs to a commit.
 *
 * One thread and one database session.  Whatever was queued while the last
 * batch was on its way forms the next: no artificial delay, and one commit
 * for many claims, moves and ends.  An entry whose fence or edge does not
 * match is missing from the database's answer and fails alone; a batch that
 * errors is replayed entry by entry.  With PostgreSQL away entries wait and
 * are tried again until their term is over.
 */
#ifndef SYNCLINE_RUNNER_JOURNAL_H
#define SYNCLINE_RUNNER_JOURNAL_H

#include "runner/lease.h"
#include "runner/sync.h"
#include "shared/err.h"
#include "shared/settings.h"
#include "shared/status.h"
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_BATCH_MAX 256

enum journal_kind { JOURNAL_CLAIM, JOURNAL_MOVE, JOURNAL_END, JOURNAL__MAX };

/*
 * One change.  The journal borrows it until on_done, which may free it; the
 * texts inside are the entry's own, so nothing else has to live that long.
 */
struct journal_entry {
	enum journal_kind kind;
	char sync_id[129];
	/* MOVE, END: the fence */
	const struct term *term;
	int64_t epoch;
	/* MOVE */
	enum phase phase;
	int64_t delay_ms; /* < 0: no not-before time */
	bool release;
	int attempt;
	/* END */
	enum status status;
	bool retryable;
	/* MOVE, END; an empty code is NULL in the row */
	char message[256], error_code[48], error_message[256];

	/*
	 * CLAIM: the row that is ours now; before on_done.  Both are called
	 * on the journal's thread, without a lock.
	 */
	void (*on_row)(struct journal_entry *e, const PGresult *res, int row,
	    const struct term *term);
	/*
	 * ERR_OK: committed.  ERR_FENCED: refused, or the term is over.
	 * ERR_INTERRUPTED: given up, because the journal closes; committed
	 * or not is unknown.  Else the database's own error.
	 */
	void (*on_done)(struct journal_entry *e, enum err err);
	void *arg;

	/* the journal's own */
	struct journal_entry *prev, *next;
	UT_hash_handle hh;
	bool tried;    /* its outcome may be unknown */
	bool answered; /* the database named it */
};

struct journal; /* opaque */

enum err journal_open(struct journal **ret, const struct settings *s,
    struct lease *lease) MUST_CHECK;
enum err journal_start(struct journal *j) MUST_CHECK;

/* journal_text copies a text into an entry's field, cut and made UTF-8. */
void journal_text(char *to, size_t size, const char *from);

/* journal_add queues the entry.  Any thread; never blocks for long. */
void journal_add(struct journal *j, struct journal_entry *e);

/* journal_kick: the term is over; what is under way ends now. */
void journal_kick(struct journal *j);

/* journal_troubled_ms: when an outcome was last unknown; 0 is never. */
int64_t journal_troubled_ms(struct journal *j);

/*
 * journal_stop commits what is queued, until the deadline; what is left then
 * is given up.
 */
void journal_stop(struct journal *j, int64_t deadline_ms);
void journal_close(struct journal *j);

#endif
