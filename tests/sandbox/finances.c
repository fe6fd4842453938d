/* finances.c - Finances 2024-06-19: listTransactions. */
#include "paging.h"
#include "txn_json.h"

static const char *const names[] = { "postedAfter", "postedBefore",
	"marketplaceId", "transactionStatus", "relatedIdentifierName",
	"relatedIdentifierValue", "nextToken", NULL };
static const char *const free_names[] = { "nextToken", NULL };
static const char *const statuses[] = { "DEFERRED", "RELEASED",
	"DEFERRED_RELEASED" };

static const struct paging paging = {
	.token_name = "nextToken",
	.names = names,
	.free = free_names,
	.token_ms = 3 * 60 * 1000,
};

enum { PAGE_ROWS = 500, NO_GROUP = -2 };

#define SPAN_MAX_MS ((int64_t)180 * 86400 * 1000)

struct query {
	int64_t after;               /* seconds, included */
	int64_t before;              /* seconds, not included */
	bool too_wide;               /* answered by an empty list */
	const char *status;          /* NULL: all */
	const struct market *market; /* NULL: all */
	bool by_order;
	uint32_t order;
	int64_t group; /* NO_GROUP: not asked for */
	struct page page;
};

static bool
window_read(const struct call *c, struct query *q, struct reply *rp)
{
	int64_t latest = c->now_ms - TWO_MINUTES_MS;
	int64_t after_ms = c->seller->model.start * 1000;
	int64_t before_ms = latest;
	bool ranged = param_get(&c->params, "postedAfter") != NULL;
	bool ends = param_get(&c->params, "postedBefore") != NULL;

	if (!ranged && param_get(&c->params, "relatedIdentifierName") == NULL) {
		reply_invalid(rp, "postedAfter is required.");
		return false;
	}
	if (ends && !ranged) {
		reply_invalid(rp, "postedBefore needs postedAfter.");
		return false;
	}
	if (!time_param(c, "postedAfter", rp, &after_ms) ||
	    !time_param(c, "postedBefore", rp, &before_ms))
		return false;
	if ((ranged && after_ms > latest) || before_ms > latest) {
		reply_invalid(rp,
		    "postedAfter and postedBefore must be more "
		    "than two minutes before the time of the request.");
		return false;
	}
	if (ends && before_ms <= after_ms) {
		reply_invalid(rp,
		    "postedBefore must be later than "
		    "postedAfter.");
		return false;
	}
	if (q->page.bound == 0)
		q->page.bound = when_ceil_s(before_ms);
	q->after = when_ceil_s(after_ms);
	q->before = q->page.bound;
	q->too_wide = ranged && before_ms - after_ms > SPAN_MAX_MS;
	return true;
}

/* group_find: settlement periods are few, so their ids are just tried. */
static int64_t
group_find(const struct model *m, const char *id, int64_t now)
{
	int64_t last = now / (14 * 86400);
	char text[24];

	for (int64_t g = m->start / (14 * 86400); g <= last; g++) {
		txn_group_id(m, g, text);
		if (strcmp(text, id) == 0)
			return g;
	}
	return -1;
}

static bool
related_read(const struct call *c, struct query *q, struct reply *rp)
{
	const struct model *m = &c->seller->model;
	const char *name = param_get(&c->params, "relatedIdentifierName");
	const char *value = param_get(&c->params, "relatedIdentifierValue");
	uint64_t number;

	q->group = NO_GROUP;
	if (name == NULL && value == NULL)
		return true;
	if (name == NULL || value == NULL) {
		reply_invalid(rp,
		    "relatedIdentifierName and "
		    "relatedIdentifierValue go together.");
		return false;
	}
	if (strcmp(name, "FINANCIAL_EVENT_GROUP_ID") == 0) {
		q->group = group_find(m, value, when_floor_s(c->now_ms));
		return true;
	}
	if (strcmp(name, "ORDER_ID") == 0) {
		q->by_order = true;
		q->order = UINT32_MAX; /* an order that is not there */
		if (order_id_parse(value, &number))
			order_find(m, number, &q->order);
		return true;
	}
	reply_invalid(rp,
	    "relatedIdentifierName must be "
	    "FINANCIAL_EVENT_GROUP_ID or ORDER_ID.");
	return false;
}

static bool
filters_read(const struct call *c, struct query *q, struct reply *rp)
{
	const char *market = param_get(&c->params, "marketplaceId");
	unsigned bits;

	q->status = param_get(&c->params, "transactionStatus");
	if (q->status != NULL && list_bits(q->status, statuses, 3) < 0) {
		reply_invalid(rp, "transactionStatus is not valid.");
		return false;
	}
	if (market != NULL) {
		if (!markets_bits(c, market, 1, rp, &bits))
			return false;
		q->market = market_find(market, strlen(market));
	}
	return related_read(c, q, rp);
}

static bool
txn_of(const struct model *m, uint64_t entry, struct order *o, struct txn *ret)
{
	struct txn txns[MODEL_TXNS_MAX];
	int n;

	order_make(m, entry_order(entry), o);
	n = txns_make(m, o, txns);
	for (int k = 0; k < n; k++) {
		if (txns[k].slot == entry_part(entry)) {
			*ret = txns[k];
			return true;
		}
	}
	return false;
}

/* next_row finds the next event of the page from *pos on, with its sums. */
static bool
next_row(const struct call *c, const struct query *q, const struct index *x,
    size_t *pos, struct order *o, struct txn *t, struct sum *s)
{
	const struct model *m = x->model;
	int64_t now = when_floor_s(c->now_ms);

	for (; *pos < x->txn_count && !q->too_wide; (*pos)++) {
		uint64_t e = x->txns[*pos];

		if (entry_time(m, e) >= q->before)
			return false;
		if (q->by_order && entry_order(e) != q->order)
			continue;
		if (!txn_of(m, e, o, t) || t->posted + t->late > now)
			continue;
		if (q->group != NO_GROUP && txn_group(t, now) != q->group)
			continue;
		sum_make(m, c->seller->id, o, t, now, s);
		if (q->status != NULL && strcmp(sum_status(s), q->status) != 0)
			continue;
		if (q->market != NULL &&
		    (!sum_has_market(s) || s->market != q->market))
			continue;
		(*pos)++;
		return true;
	}
	return false;
}

static void
answer(const struct call *c, const struct query *q, const struct index *x,
    struct reply *rp)
{
	struct buf *b = &rp->body, raw = { 0 };
	int64_t at = q->page.at;
	uint64_t self = q->page.self;
	struct order o;
	struct txn t;
	struct sum s;
	size_t pos;
	int n = 0;
	bool more;

	pos = at == INT64_MIN ? index_txn_after(x, q->after - 1, UINT64_MAX)
			      : index_txn_after(x, at, self);
	buf_room(b, 512 * 1024);
	buf_lit(b, "{\"payload\":{\"transactions\":[");
	more = next_row(c, q, x, &pos, &o, &t, &s);
	while (more && n < PAGE_ROWS && c->fault.kind != FAULT_EMPTY_PAGES) {
		bool bad = c->fault.kind == FAULT_BAD_RECORD && n == 0;

		if (n++ > 0)
			buf_ch(b, ',');
		txn_json(&s, bad ? c->fault.bad : BAD_NONE, &raw, b);
		at = t.posted;
		self = (uint64_t)t.order_index << 3 | (uint64_t)t.slot;
		more = next_row(c, q, x, &pos, &o, &t, &s);
	}
	buf_ch(b, ']');
	if (page_has_token(c, more)) {
		buf_lit(b, ",\"nextToken\":");
		page_token(&paging, c, &q->page, at, self, b);
	}
	buf_lit(b, "}}");
	buf_fini(&raw);
}

void
transactions_list(struct sandbox *sb, struct call *c, struct reply *rp)
{
	struct query q = { 0 };
	const struct index *x;

	(void)sb;
	if (!page_open(&paging, c, rp, &q.page) || !window_read(c, &q, rp) ||
	    !filters_read(c, &q, rp))
		return;
	x = seller_index_read(c->seller, when_floor_s(c->now_ms));
	answer(c, &q, x, rp);
	seller_index_done(c->seller);
}
