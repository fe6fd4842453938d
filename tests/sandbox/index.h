/*
 * index.h - the order of a seller's changes and money events in time.
 *
 * The model says when any one order changes; paging by lastUpdatedTime
 * needs all changes sorted.  An entry is 8 bytes: seconds since the start
 * of the history, the order, and which of its changes or events it is.
 * Entries of the future are in it too, so a moving clock only has to add
 * the orders that are new.
 *
 * The caller's lock guards it: index_reach writes, the rest only reads.
 */
#ifndef SANDBOX_INDEX_H
#define SANDBOX_INDEX_H

#include "model.h"

struct index {
	const struct model *model; /* borrowed */
	uint64_t *changes;         /* by time, then order number */
	size_t change_count;
	uint64_t *txns; /* by posting time, then order and slot */
	size_t txn_count;
	uint32_t orders; /* how many orders are in */
	int64_t reach;   /* all orders created up to here are in */
};

void index_init(struct index *x, const struct model *m);
void index_fini(struct index *x);

/* index_reaches: whether answers for time t are complete. */
bool index_reaches(const struct index *x, int64_t t);

/* index_reach makes index_reaches(t) true. */
void index_reach(struct index *x, int64_t t);

static inline int64_t
entry_time(const struct model *m, uint64_t e)
{
	return m->start + (int64_t)(e >> 32);
}

static inline uint32_t
entry_order(uint64_t e)
{
	return (uint32_t)e >> 3;
}

static inline int
entry_part(uint64_t e)
{
	return (int)(e & 7);
}

/*
 * index_change_after: the first change later than (t, number), in the order
 * of paging.  index_txn_after: the first event later than (t, self), where
 * self is order << 3 | slot.  Both may return the count: none.
 */
size_t index_change_after(const struct index *x, int64_t t, uint64_t number);
size_t index_txn_after(const struct index *x, int64_t t, uint64_t self);

#endif
