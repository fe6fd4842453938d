/*
 * load.h - rows of a step into their tables, in one transaction.
 *
 * Any stream described by columns and key can be loaded; nothing here knows
 * Amazon.  Its table has user_id, connection_id, the described columns (text
 * keys COLLATE "C"), first_sync_id and last_sync_id, a primary key of user,
 * connection and key columns, and no partitions.  Rows go by COPY into a
 * temporary table of the worker's own session, so no lock on a shared row is
 * held while a source is slow; then the upserts, the fence and COMMIT are one
 * message.  Counts are made by the statement that writes: read = inserted +
 * updated + unchanged + repeated + rejected, per stream.
 *
 * A struct load belongs to one worker thread and its db.  Calls block on the
 * database and end with ERR_INTERRUPTED when the db is interrupted.
 */
#ifndef SYNCLINE_LOAD_H
#define SYNCLINE_LOAD_H

#include "shared/db.h"
#include "shared/err.h"
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_type {
	LOAD_TEXT,
	LOAD_BIGINT,
	LOAD_NUMERIC,   /* a decimal text, stored exactly */
	LOAD_TIMESTAMP, /* RFC 3339 with an offset or Z */
	LOAD_BOOLEAN,   /* "true" or "false" */
	LOAD_JSON       /* a JSON text */
};

struct load_column {
	const char *name;
	enum load_type type;
	bool key;     /* part of the natural key: never NULL */
	bool version; /* at most one: an older version never replaces a newer */
};

struct load_stream {
	const char *name;  /* as in a sync's streams and in checkpoints */
	const char *table; /* in schema syncline, see sql/migrations */
	const struct load_column *columns;
	size_t n_columns;
	/* 0, or how many leading key columns name the parent record: rows of
	 * a parent that was loaded are replaced as a set */
	size_t parent_keys;
	/* NULL, or the parents' own stream, whose leading key columns have
	 * the same names: a parent loaded there without a single row here
	 * loses its rows, and one older than the stored one changes none */
	const struct load_stream *parent;
};

/* Whose rows these are, and the fence under which they are written. */
struct load_target {
	const char *user_id;
	const char *connection_id;
	const char *sync_id;
	const char *runner_id;
	int64_t epoch;
};

/* What a step says besides its rows; borrowed by load_commit. */
struct load_step {
	json_object *checkpoint; /* where the next step goes on */
	json_object *notes;   /* {"orders": {"ord":0,"done":true,"total":n}} */
	json_object *cursors; /* {"orders": {...}}: stream_state, or NULL */
	json_object *events;  /* [{type,kind,message,data}], or NULL */
	double progress;      /* 0..100 */
	const char *phase;
	const char *message;
};

/* What the commit made true. */
struct load_result {
	int64_t seq;
	double progress;
	json_object *streams; /* the caller's to put */
};

struct load; /* opaque */

enum err load_open(struct load **ret, struct db *db) MUST_CHECK;
void load_close(struct load *l);

/*
 * load_begin starts a step's batch; the target and the descriptions of its
 * streams are borrowed until its end.
 */
enum err load_begin(struct load *l, const struct load_target *t) MUST_CHECK;

/*
 * load_row adds a record: one text per column in the order of the
 * description, NULL for SQL NULL.  A value that does not fit its column, or
 * a missing key, sends the whole row to quarantine with the reason and `raw`
 * (may be NULL); that is not an error.  Large batches are sent as they grow.
 */
enum err load_row(struct load *l, const struct load_stream *s,
    const char *const *values, const char *raw) MUST_CHECK;

/* load_reject counts and quarantines a record the source could not read. */
enum err load_reject(struct load *l, const struct load_stream *s,
    const char *reason, const char *raw) MUST_CHECK;

/*
 * load_keep_raw gives the record rejected last its source text, for callers
 * that make it only when it is needed.
 */
enum err load_keep_raw(struct load *l, const char *raw) MUST_CHECK;

/*
 * load_snapshot says that the rows of this step are all there are where
 * `column` (a key column) has `value`: others are removed with the commit.
 */
enum err load_snapshot(struct load *l, const struct load_stream *s,
    const char *column, const char *value) MUST_CHECK;

/*
 * load_restart forgets the rows of the batch, and its rejects and snapshots,
 * but not its target: the source has to fetch this step's records again.
 */
enum err load_restart(struct load *l) MUST_CHECK;

/* How many rows the batch holds so far, rejected ones included. */
size_t load_rows(const struct load *l);
/* How many of them were rejected. */
size_t load_rejected(const struct load *l);

/*
 * load_commit writes it all.  ERR_FENCED: the sync is not ours any more, and
 * nothing was written.  ERR_DB_AWAY, ERR_TIMEOUT: the outcome is unknown;
 * read it back from the row's checkpoint.  The batch is over either way.
 */
enum err load_commit(struct load *l, const struct load_step *step,
    struct load_result *ret) MUST_CHECK;

void load_abort(struct load *l); /* forgets the batch; harmless without one */

#endif
