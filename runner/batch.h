/*
 * batch.h - many entries of the journal in one transaction.
 *
 * Claims, moves and ends are one statement each, over arrays; rows are locked
 * in id order.  What the database does not name in its answer it refused.
 */
#ifndef SYNCLINE_RUNNER_BATCH_H
#define SYNCLINE_RUNNER_BATCH_H

#include "runner/journal.h"
#include "shared/db.h"
#include "shared/err.h"
#include <stddef.h>

/* No two entries of a batch are of the same sync; they are borrowed. */
struct batch {
	struct journal_entry *entries[JOURNAL_BATCH_MAX];
	size_t n;
};

/*
 * batch_commit runs the batch in the name of a term.  ERR_OK: what was taken
 * is marked `answered`, and claims have had their on_row; nobody has been
 * told the end (on_done).  ERR_DB_AWAY, ERR_TIMEOUT, ERR_INTERRUPTED:
 * committed or not is unknown.  Any other error: nothing is committed.
 */
enum err
batch_commit(struct batch *b, struct db *db, const struct term *t) MUST_CHECK;

#endif
