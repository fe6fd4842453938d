/*
 * faults.h - misbehaviour on demand: which calls get which fault.
 *
 * Every fault counts the calls it matches, lets the first `after` pass and
 * then acts `count` times; the oldest that wants to act does.  The same
 * calls in the same order meet the same faults.  Safe from any thread.
 */
#ifndef SANDBOX_FAULTS_H
#define SANDBOX_FAULTS_H

#include <pthread.h>

#include "buf.h"
#include "limits.h"
#include "seller.h"

enum fault_kind {
	FAULT_NONE,
	/* in place of the answer */
	FAULT_429,
	FAULT_500,
	FAULT_503,
	FAULT_HTML,
	FAULT_403_EXPIRED,
	FAULT_403_UNAUTHORIZED,
	FAULT_INVALID_GRANT,
	FAULT_INVALID_CLIENT,
	FAULT_HUGE,
	/* before the answer */
	FAULT_HANG,
	/* done to an answer that is a 200 */
	FAULT_CUT,
	FAULT_TRUNCATED,
	FAULT_INVALID_JSON,
	FAULT_SLOW,
	FAULT_GZIP,
	FAULT_REPEAT_TOKEN,
	FAULT_EMPTY_PAGES,
	FAULT_BAD_RECORD,
	FAULT__MAX
};

enum bad_record { BAD_NONE, BAD_MISSING_ID, BAD_WRONG_TYPE };

struct fault {
	int id;
	enum fault_kind kind;
	enum op op;                 /* OP_NONE: all it can act on */
	char seller[SELLER_ID_MAX]; /* "": all */
	int64_t after;
	int64_t count; /* < 0: until removed */
	double seconds;
	double probability; /* 1: always */
	uint64_t seed;
	int status;   /* of html */
	int64_t size; /* of huge, bytes */
	enum bad_record bad;
	int64_t seen;
	int64_t fired;
};

struct faults {
	pthread_mutex_t lock; /* guards all below */
	struct fault *list;
	size_t count;
	int last_id;
};

void faults_init(struct faults *fs);
void faults_fini(struct faults *fs);

const char *fault_name(enum fault_kind kind);
enum fault_kind fault_find(const char *name);

/* fault_fits: whether this kind can act on that operation at all. */
bool fault_fits(enum fault_kind kind, enum op op);

/* Whether it needs a 200 to act on. */
bool fault_on_answer(enum fault_kind kind);

/* faults_add returns the new id. */
int faults_add(struct faults *fs, const struct fault *f);

/* faults_remove: id 0 removes all; false: there was none. */
bool faults_remove(struct faults *fs, int id);

/*
 * faults_pick: the fault this call meets, kind FAULT_NONE mostly.  seller
 * is "" while unknown.  faults_return gives back one that could not act.
 */
struct fault faults_pick(struct faults *fs, enum op op, const char *seller);
void faults_return(struct faults *fs, int id);

/* faults_json appends the list as a JSON array. */
void faults_json(struct faults *fs, struct buf *b);

#endif
