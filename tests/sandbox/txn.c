/* txn.c - works out which money events an order brings, and when. */
#include "draw.h"
#include "model.h"
#include "room.h"

enum { GROUP_S = 14 * 86400 };

static int64_t
stage_time(const struct order *o, enum order_status status)
{
	for (int k = 0; k < o->stage_count; k++)
		if (o->stages[k].status == status)
			return o->stages[k].at;
	return -1;
}

static struct txn
txn_at(const struct model *m, const struct order *o, int slot,
    enum txn_kind kind, int64_t posted, struct draw *ret_d)
{
	struct draw d = draw_from(m->seed, ROOM_TXN, o->index, (uint64_t)slot);
	struct txn t = {
		.order_index = o->index,
		.slot = slot,
		.kind = kind,
		.posted = posted + draw_range(&d, 60, 7200),
	};

	if (draw_below(&d, 100) == 0)
		t.late = draw_range(&d, 3600, 24 * 3600);
	/* What was posted by the start clock shows by the start clock. */
	if (t.posted < m->base && t.late > m->base - t.posted)
		t.late = m->base - t.posted;
	*ret_d = d;
	return t;
}

static void
defer_some(struct txn *t, struct draw *d)
{
	if (draw_below(d, 4) > 0)
		return;
	t->deferred = true;
	t->maturity = t->posted + draw_range(d, 5 * 86400, 21 * 86400);
}

int
txns_make(const struct model *m, const struct order *o,
    struct txn ret[MODEL_TXNS_MAX])
{
	int64_t part = stage_time(o, ORDER_PARTIALLY_SHIPPED);
	int64_t shipped = stage_time(o, ORDER_SHIPPED);
	struct draw d = draw_from(m->seed, ROOM_TXN, o->index, 1000);
	bool refund = draw_below(&d, 100) < 7;
	uint32_t other = draw_below(&d, 100);
	int64_t refunded = draw_range(&d, 2 * 86400, 25 * 86400);
	int n = 0;

	if (part >= 0) {
		ret[n] = txn_at(m, o, 0, TXN_SHIPMENT, part, &d);
		for (int k = 0; k < o->line_count; k++)
			ret[n].units[k] =
			    line_fulfilled(o, k, ORDER_PARTIALLY_SHIPPED);
		defer_some(&ret[n++], &d);
	}
	if (shipped >= 0) {
		ret[n] = txn_at(m, o, 1, TXN_SHIPMENT, shipped, &d);
		for (int k = 0; k < o->line_count; k++)
			ret[n].units[k] = o->lines[k].quantity -
			    (part < 0 ? 0
				      : line_fulfilled(
					    o, k, ORDER_PARTIALLY_SHIPPED));
		defer_some(&ret[n++], &d);
	}
	if (shipped >= 0 && refund && o->line_count > 0) {
		ret[n] = txn_at(m, o, 2, TXN_REFUND, shipped + refunded, &d);
		ret[n++].units[0] = o->lines[0].quantity;
	}
	/* Money without an order comes at the orders' pace all the same. */
	if (other < 12) {
		static const enum txn_kind kinds[] = { TXN_SERVICE_FEE,
			TXN_SERVICE_FEE, TXN_ADJUSTMENT, TXN_ADJUSTMENT,
			TXN_ADS, TXN_TRANSFER };

		ret[n++] = txn_at(m, o, 3, kinds[other % 6], o->created, &d);
	}
	return n;
}

/* The digits in ASCII order: ids sort as the numbers they stand for. */
static void
id_digits(char *p, uint64_t v, int count)
{
	static const char digits[] = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_"
				     "abcdefghijklmnopqrstuvwxyz";

	for (int i = count - 1; i >= 0; i--) {
		p[i] = digits[v & 63];
		v >>= 6;
	}
}

void
txn_id(const struct model *m, const struct txn *t, char ret[44])
{
	uint64_t self = (uint64_t)t->order_index << 3 | (uint64_t)t->slot;

	for (int i = 0; i < 4; i++)
		id_digits(ret + i * 10,
		    draw_hash(m->seed, ROOM_TXN_ID, self, (uint64_t)i) >> 4,
		    10);
	id_digits(ret + 40, self, 3);
	ret[43] = '\0';
}

int64_t
txn_group(const struct txn *t, int64_t now)
{
	int64_t at = t->deferred ? t->maturity : t->posted;

	return at > now ? -1 : at / GROUP_S;
}

void
txn_group_id(const struct model *m, int64_t group, char ret[24])
{
	for (int i = 0; i < 2; i++)
		id_digits(ret + i * 10,
		    draw_hash(
			m->seed, ROOM_GROUP, (uint64_t)group, (uint64_t)i) >>
			4,
		    10);
	id_digits(ret + 20, (uint64_t)group, 3);
	ret[23] = '\0';
}
