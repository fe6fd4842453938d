/*
 * txn_json.h - a money event as the service writes it.
 *
 * The parts are written one by one, as the truth wants each as the very
 * text that was served.
 */
#ifndef SANDBOX_TXN_JSON_H
#define SANDBOX_TXN_JSON_H

#include "faults.h"
#include "model.h"

/* A money event with all its amounts worked out, at one time. */
struct sum {
	const struct model *model;
	const char *seller;
	const struct order *o;
	const struct txn *t;
	int64_t now;
	int64_t total;
	const struct market *market;
	struct line lines[MODEL_LINES_MAX]; /* only of shipment and refund */
};

void sum_make(const struct model *m, const char *seller, const struct order *o,
    const struct txn *t, int64_t now, struct sum *s);

const char *sum_type(const struct sum *s);
const char *sum_status(const struct sum *s);
const char *sum_description(const struct sum *s);

/* Whether the event names its marketplace. */
bool sum_has_market(const struct sum *s);
bool sum_has_order(const struct sum *s);
void sum_shipment_id(const struct sum *s, char ret[24]);

/* Each appends one JSON array; false: this event has none, nothing written. */
bool sum_related(const struct sum *s, struct buf *b);
bool sum_breakdowns(const struct sum *s, struct buf *b);
bool sum_items(const struct sum *s, struct buf *raw, struct buf *b);
bool sum_contexts(const struct sum *s, struct buf *b);

void txn_json(
    const struct sum *s, enum bad_record bad, struct buf *raw, struct buf *b);

#endif
