/* batch.c - entries become arrays, arrays a pipeline of a few statements. */
#include "runner/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a pipeline gets of a batch: each column a text per entry. */
enum column {
	COL_ID,
	COL_EPOCH,
	COL_PHASE,
	COL_DELAY,
	COL_RELEASE,
	COL_ATTEMPT,
	COL_STATUS,
	COL_MESSAGE,
	COL_CODE,
	COL_ERROR,
	COL_RETRYABLE,
	COL__MAX
};

/* --- arrays ----------------------------------------------------------- */

static const char *
column_text(const struct journal_entry *e, enum column c, char number[32])
{
	switch (c) {
	case COL_ID:
		return e->sync_id;
	case COL_EPOCH:
		snprintf(number, 32, "%" PRId64, e->epoch);
		return number;
	case COL_PHASE:
		return phase_name(e->phase);
	case COL_DELAY:
		snprintf(number, 32, "%" PRId64, e->delay_ms);
		return e->delay_ms < 0 ? NULL : number;
	case COL_RELEASE:
		return e->release ? "t" : "f";
	case COL_ATTEMPT:
		snprintf(number, 32, "%d", e->attempt);
		return number;
	case COL_STATUS:
		return status_name(e->status);
	case COL_MESSAGE:
		return e->message;
	case COL_CODE:
		return e->error_code[0] ? e->error_code : NULL;
	case COL_ERROR:
		return e->error_message[0] ? e->error_message : NULL;
	case COL_RETRYABLE:
		return e->error_code[0] ? (e->retryable ? "t" : "f") : NULL;
	case COL__MAX:
		break;
	}
	return NULL;
}

/* One column of the entries of a kind, as an array; NULL: no memory. */
static char *
column_array(const struct batch *b, enum journal_kind kind, enum column c,
    bool tried_only)
{
	const char *items[JOURNAL_BATCH_MAX];
	char numbers[JOURNAL_BATCH_MAX][32];
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		const struct journal_entry *e = b->entries[i];

		if (e->kind == kind && (!tried_only || e->tried)) {
			items[n] = column_text(e, c, numbers[n]);
			n++;
		}
	}
	return array_text(items, n);
}

static bool
batch_has(const struct batch *b, enum journal_kind kind, bool tried_only)
{
	for (size_t i = 0; i < b->n; i++) {
		if (b->entries[i]->kind == kind &&
		    (!tried_only || b->entries[i]->tried))
			return true;
	}
	return false;
}

/* --- one batch -------------------------------------------------------- */

static const enum column move_columns[] = { COL_ID, COL_EPOCH, COL_PHASE,
	COL_DELAY, COL_RELEASE, COL_ATTEMPT, COL_MESSAGE, COL_CODE, COL_ERROR };
static const enum column end_columns[] = { COL_ID, COL_EPOCH, COL_STATUS,
	COL_MESSAGE, COL_CODE, COL_ERROR, COL_RETRYABLE };
static const enum column claim_columns[] = { COL_ID };

/* Queues one statement over the entries of a kind: runner_id, arrays. */
static enum err
pipe_kind(struct db *db, const struct batch *b, const struct term *t,
    enum stmt stmt, enum journal_kind kind, bool tried_only, PGresult **ret)
{
	static const struct {
		const enum column *columns;
		int n;
	} kinds[JOURNAL__MAX] = {
		[JOURNAL_CLAIM] = { claim_columns, COUNT_OF(claim_columns) },
		[JOURNAL_MOVE] = { move_columns, COUNT_OF(move_columns) },
		[JOURNAL_END] = { end_columns, COUNT_OF(end_columns) },
	};
	struct arg args[COL__MAX] = { arg_text(t->runner_id) };
	char *arrays[COL__MAX] = { NULL };
	enum err err = ERR_OK;
	int n = kinds[kind].n;

	for (int i = 0; i < n && !err; i++) {
		arrays[i] =
		    column_array(b, kind, kinds[kind].columns[i], tried_only);
		args[i + 1] = arg_text(arrays[i]);
		if (!arrays[i])
			err = ERR_NOMEM;
	}
	if (!err)
		db_pipe(db, stmt, ret, args, n + 1);
	for (int i = 0; i < n; i++)
		free(arrays[i]);
	return err;
}

struct answers {
	PGresult *owned, *claimed, *moved, *ended;
};

static enum err
pipe_all(struct db *db, const struct batch *b, const struct term *t,
    struct answers *a)
{
	enum err err = ERR_OK;

	/* claims of unknown outcome first show whether they did happen */
	if (batch_has(b, JOURNAL_CLAIM, true))
		err = pipe_kind(
		    db, b, t, STMT_SYNC_OWNED, JOURNAL_CLAIM, true, &a->owned);
	if (!err && batch_has(b, JOURNAL_CLAIM, false))
		err = pipe_kind(db, b, t, STMT_SYNC_CLAIM, JOURNAL_CLAIM, false,
		    &a->claimed);
	if (!err && batch_has(b, JOURNAL_MOVE, false))
		err = pipe_kind(
		    db, b, t, STMT_SYNC_MOVE, JOURNAL_MOVE, false, &a->moved);
	if (!err && batch_has(b, JOURNAL_END, false)) {
		db_pipe_run(db, STMT_FENCE_NAME, NULL, arg_text(t->runner_id),
		    arg_null());
		err = pipe_kind(
		    db, b, t, STMT_SYNC_END, JOURNAL_END, false, &a->ended);
	}
	return err;
}

/* Marks the entries that an answer names; claims hand their rows on. */
static void
take_rows(struct batch *b, const struct term *t, const PGresult *res,
    enum journal_kind kind)
{
	for (int row = 0; res && row < PQntuples(res); row++) {
		const char *id = result_text(res, row, "sync_id");

		for (size_t i = 0; i < b->n; i++) {
			struct journal_entry *e = b->entries[i];

			if (e->kind != kind || strcmp(e->sync_id, id) != 0)
				continue;
			e->answered = true;
			if (kind == JOURNAL_CLAIM)
				e->on_row(e, res, row, t);
			break;
		}
	}
}

enum err
batch_commit(struct batch *b, struct db *db, const struct term *t)
{
	struct answers a = { 0 };
	enum err err = db_pipe_start(db, true), end;

	if (err)
		return err;
	err = pipe_all(db, b, t, &a);
	if (err) {
		/* a wrong count spoils the message: none of it is run */
		db_pipe(db, STMT_FENCE_NAME, NULL, NULL, -1);
		end = db_pipe_end(db);
		return end ? err : ERR_DB;
	}
	err = db_pipe_end(db);
	if (err)
		return err;
	take_rows(b, t, a.owned, JOURNAL_CLAIM);
	take_rows(b, t, a.claimed, JOURNAL_CLAIM);
	take_rows(b, t, a.moved, JOURNAL_MOVE);
	take_rows(b, t, a.ended, JOURNAL_END);
	PQclear(a.owned);
	PQclear(a.claimed);
	PQclear(a.moved);
	PQclear(a.ended);
	return ERR_OK;
}
