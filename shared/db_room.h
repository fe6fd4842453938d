/*
 * db_room.h - what the files behind db.h share.  For shared/db*.c only.
 *
 * The struct belongs to the thread that uses the db, but for `interrupted`
 * and wake_fd.  Functions here keep db.h's contract of errors; one that gives
 * a call up leaves the session usable or closed.
 */
#ifndef SYNCLINE_DB_ROOM_H
#define SYNCLINE_DB_ROOM_H

#include "shared/db.h"

#include <stdatomic.h>

#define PIPE_MAX 64
#define ARGS_MAX 40

enum slot_kind { SLOT_BEGIN, SLOT_PREPARE, SLOT_QUERY, SLOT_COMMIT };

/* One command of a pipeline, in the order of sending. */
struct slot {
	enum slot_kind kind;
	enum stmt id;
	PGresult **ret;
	PGresult *got;
};

struct db {
	struct db_options o;
	PGconn *conn;
	int wake_fd;
	atomic_bool interrupted;
	bool in_tx;   /* a transaction is open, or was when the session died */
	bool copying;
	bool atomic;  /* the pipeline under way commits at its end */
	bool prepared[STMT__MAX];
	struct slot slots[PIPE_MAX];
	int n_slots;
	enum err pipe_err; /* the first failure to queue */
	uint64_t generation;
	char error[512];
	char state[6];
};

/* db_take_error keeps what the server (or, res NULL, libpq) said of a call. */
enum err db_take_error(struct db *db, const PGresult *res);
void db_keep_text(struct db *db, const char *text);
/* db_fail_call ends a call with err: cancels, drains, closes what is dead. */
enum err db_fail_call(struct db *db, enum err err);
void db_drop_session(struct db *db);

/* db_deadline is that time from now, in ms of the monotonic clock. */
int64_t db_deadline(int timeout_ms);
enum err db_flush_all(struct db *db, int64_t deadline, bool heed_interrupt)
    MUST_CHECK;
/* The next result, *ret NULL at the end of a command's results. */
enum err db_next_result(struct db *db, PGresult **ret, int64_t deadline,
    bool heed_interrupt) MUST_CHECK;
/* The one result of the command under way. */
enum err db_read_one(struct db *db, PGresult **ret) MUST_CHECK;

const char *db_arg_value(const struct arg *a); /* NULL: SQL NULL */
int db_send_stmt(struct db *db, enum stmt id, const struct arg *args, int n);

#endif
