/*
 * load_room.h - what the loader's own files share; nobody else's.
 */
#ifndef SYNCLINE_LOAD_ROOM_H
#define SYNCLINE_LOAD_ROOM_H

#include "runner/load/load.h"
#include "runner/load/load_sql.h"
#include "runner/load/text.h"

#define LOAD_STAGES_MAX 48 /* staging tables a session keeps */
#define LOAD_BATCH_MAX 10  /* streams: what one pipeline has room for */
#define LOAD_SNAPSHOTS_MAX 8
#define LOAD_QUARANTINE_MAX 1000 /* records kept per step; all are counted */

/* One stream's staging table, and what the batch under way has put there. */
struct stage {
	char *description; /* owned; what the SQL was built from */
	char temp[48];
	struct load_sql sql;
	uint64_t generation; /* of the session that has the table; 0: none */
	uint64_t prepared;   /* of the session that has the statements */
	uint64_t used;       /* when last, to find the oldest */
	/* the batch's; stream is NULL while the batch does not use it */
	const struct load_stream *stream;
	struct text rows;
	char *parent_now; /* parent key of the last row, to number the sets */
	int64_t sets;
	int64_t staged;
	int64_t rejected;
};

struct snapshot {
	struct stage *stage;
	char *sql;
	char *value;
};

struct reject {
	const char *stream; /* the description's */
	char *reason;
	char *raw; /* may be NULL */
};

struct load {
	struct db *db;
	struct stage stages[LOAD_STAGES_MAX];
	size_t n_stages;
	uint64_t clock; /* counts uses of stages */
	/* the batch */
	const struct load_target *target; /* NULL: none */
	struct stage *batch[LOAD_BATCH_MAX];
	size_t n_batch;
	struct snapshot snapshots[LOAD_SNAPSHOTS_MAX];
	size_t n_snapshots;
	struct reject *rejects;
	size_t n_rejects;
	size_t rows;
	size_t rejected;
};

/* stage_find gives a stream's stage, made part of the batch together with
 * its parent's. */
enum err stage_find(struct load *l, const struct load_stream *s,
    struct stage **ret) MUST_CHECK;
/* stage_flush sends the rows gathered in memory, in a transaction. */
enum err stage_flush(struct load *l, struct stage *g) MUST_CHECK;
/* stages_ready sends what is left, and makes sure that the session has
 * every table and statement of the batch. */
enum err stages_ready(struct load *l) MUST_CHECK;
void stage_close(struct stage *g);
/* load_forget_rows empties the batch; the transaction is over already. */
void load_forget_rows(struct load *l);

#endif
