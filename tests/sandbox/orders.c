/* orders.c - Orders 2026-01-01: searchOrders and getOrder. */
#include <stdlib.h>

#include "order_json.h"
#include "paging.h"

static const char *const search_names[] = { "createdAfter", "createdBefore",
	"lastUpdatedAfter", "lastUpdatedBefore", "fulfillmentStatuses",
	"marketplaceIds", "fulfilledBy", "maxResultsPerPage", "paginationToken",
	"includedData", NULL };
static const char *const search_free[] = { "maxResultsPerPage", "includedData",
	"paginationToken", NULL };
static const char *const get_names[] = { "includedData", NULL };

static const char *const status_values[] = { "PENDING_AVAILABILITY", "PENDING",
	"UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED", "CANCELLED",
	"UNFULFILLABLE" };
static const char *const by_values[] = { "MERCHANT", "AMAZON" };

static const struct paging search_paging = {
	.token_name = "paginationToken",
	.names = search_names,
	.free = search_free,
	.token_ms = 24 * 3600 * 1000,
};

struct search {
	bool by_created; /* else by lastUpdatedTime */
	int64_t after;   /* seconds, included */
	int64_t before;  /* seconds, included */
	long statuses;   /* bits by place in status_values */
	long by;         /* bits by place in by_values */
	unsigned markets;
	long data;
	int max;
	struct page page;
};

/* The place of an order's status in status_values. */
static int
status_place(enum order_status status)
{
	return (int)status + 1;
}

static bool
list_param(const struct call *c, const char *name, const char *const *values,
    int count, long missing, struct reply *rp, long *ret)
{
	const char *text = param_get(&c->params, name);

	*ret = text == NULL ? missing : list_bits(text, values, count);
	if (*ret >= 0)
		return true;
	reply_invalid(rp, "%s holds a value that is not valid.", name);
	return false;
}

static bool
max_param(const struct call *c, struct reply *rp, int *ret)
{
	const char *text = param_get(&c->params, "maxResultsPerPage");
	char *end;
	long v;

	*ret = 100;
	if (text == NULL)
		return true;
	v = strtol(text, &end, 10);
	if (*text == '\0' || *end != '\0' || *text == '+' || v < 1 || v > 100) {
		reply_invalid(rp, "maxResultsPerPage must be from 1 to 100.");
		return false;
	}
	*ret = (int)v;
	return true;
}

/* window_read: the time range, exactly one family of parameters. */
static bool
window_read(const struct call *c, struct search *q, struct reply *rp)
{
	bool created = param_get(&c->params, "createdAfter") != NULL;
	bool updated = param_get(&c->params, "lastUpdatedAfter") != NULL;
	const char *other = created ? "lastUpdatedBefore" : "createdBefore";
	const char *before = created ? "createdBefore" : "lastUpdatedBefore";
	int64_t after_ms = 0, before_ms = c->now_ms - TWO_MINUTES_MS;

	if (created == updated || param_get(&c->params, other) != NULL) {
		reply_invalid(rp,
		    "Provide exactly one of createdAfter and "
		    "lastUpdatedAfter, and no parameter of the other kind.");
		return false;
	}
	if (!time_param(c, created ? "createdAfter" : "lastUpdatedAfter", rp,
		&after_ms) ||
	    !time_param(c, before, rp, &before_ms))
		return false;
	if (before_ms > c->now_ms - TWO_MINUTES_MS && q->page.bound == 0) {
		reply_invalid(rp,
		    "%s must be at least two minutes before the "
		    "time of the request.",
		    before);
		return false;
	}
	if (param_get(&c->params, before) != NULL ? before_ms < after_ms
						  : after_ms > c->now_ms) {
		reply_invalid(rp, "The range of time ends before it begins.");
		return false;
	}
	q->by_created = created;
	q->after = when_ceil_s(after_ms);
	/* The end given or assumed for page 1 holds for all pages. */
	if (q->page.bound == 0)
		q->page.bound = when_floor_s(before_ms);
	q->before = q->page.bound;
	return true;
}

static bool
search_read(const struct call *c, struct search *q, struct reply *rp)
{
	return page_open(&search_paging, c, rp, &q->page) &&
	    window_read(c, q, rp) &&
	    list_param(c, "fulfillmentStatuses", status_values, 7, 127, rp,
		&q->statuses) &&
	    list_param(c, "fulfilledBy", by_values, 2, 3, rp, &q->by) &&
	    list_param(c, "includedData", order_data_names, DATA_COUNT, 0, rp,
		&q->data) &&
	    max_param(c, rp, &q->max) &&
	    markets_bits(c, param_get(&c->params, "marketplaceIds"), 50, rp,
		&q->markets);
}

static bool
wanted(const struct search *q, const struct model *m, const struct order *o,
    int stage)
{
	if (!(q->statuses >> status_place(o->stages[stage].status) & 1) ||
	    !(q->by >> o->by_amazon & 1))
		return false;
	for (int i = 0; i < m->market_count; i++)
		if (m->markets[i] == o->market)
			return q->markets >> i & 1;
	return false;
}

/*
 * search_next finds the next order of the page in the index from *pos on.
 * A change is the order's place only while it is the latest one to be seen.
 */
static bool
search_next(const struct search *q, const struct index *x, int64_t now,
    size_t *pos, struct order *o, int *ret_stage)
{
	const struct model *m = x->model;

	for (; *pos < x->change_count; (*pos)++) {
		uint64_t e = x->changes[*pos];
		int stage;

		if (entry_time(m, e) > q->before)
			return false;
		if (q->by_created && entry_part(e) != 0)
			continue;
		order_make(m, entry_order(e), o);
		stage = order_stage_at(o, now);
		if (stage < 0 || (!q->by_created && stage != entry_part(e)))
			continue;
		if (!wanted(q, m, o, stage))
			continue;
		*ret_stage = stage;
		(*pos)++;
		return true;
	}
	return false;
}

static void
search_answer(const struct call *c, struct search *q, const struct index *x,
    struct reply *rp)
{
	int64_t now = when_floor_s(c->now_ms);
	struct buf *b = &rp->body, raw = { 0 };
	int64_t at = q->page.at;
	uint64_t self = q->page.self;
	struct order o;
	size_t pos;
	int stage, n = 0;
	bool more;

	pos = at == INT64_MIN ? index_change_after(x, q->after, 0)
			      : index_change_after(x, at, self);
	buf_room(b, 256 * 1024);
	buf_lit(b, "{\"orders\":[");
	more = search_next(q, x, now, &pos, &o, &stage);
	while (more && n < q->max && c->fault.kind != FAULT_EMPTY_PAGES) {
		bool bad = c->fault.kind == FAULT_BAD_RECORD && n == 0;

		if (n++ > 0)
			buf_ch(b, ',');
		order_json(x->model, &o, stage, q->data,
		    bad ? c->fault.bad : BAD_NONE, &raw, b);
		at = q->by_created ? o.created : o.stages[stage].at;
		self = o.number;
		more = search_next(q, x, now, &pos, &o, &stage);
	}
	buf_ch(b, ']');
	if (page_has_token(c, more)) {
		buf_lit(b, ",\"pagination\":{\"nextToken\":");
		page_token(&search_paging, c, &q->page, at, self, b);
		buf_ch(b, '}');
	}
	buf_str(b,
	    q->by_created ? ",\"createdBefore\":\""
			  : ",\"lastUpdatedBefore\":\"");
	buf_time(b, q->before);
	buf_lit(b, "\"}");
	buf_fini(&raw);
}

void
orders_search(struct sandbox *sb, struct call *c, struct reply *rp)
{
	struct search q = { 0 };
	const struct index *x;

	(void)sb;
	if (!search_read(c, &q, rp))
		return;
	x = seller_index_read(c->seller, when_floor_s(c->now_ms));
	search_answer(c, &q, x, rp);
	seller_index_done(c->seller);
}

void
order_get(struct sandbox *sb, struct call *c, struct reply *rp)
{
	const struct model *m = &c->seller->model;
	const char *id = strrchr(c->path, '/') + 1;
	struct buf raw = { 0 };
	struct order o;
	uint64_t number;
	uint32_t index;
	long data;
	int stage;

	(void)sb;
	if (params_stranger(&c->params, get_names) != NULL) {
		reply_invalid(rp, "Unknown parameter: %.100s",
		    params_stranger(&c->params, get_names));
		return;
	}
	if (!list_param(
		c, "includedData", order_data_names, DATA_COUNT, 0, rp, &data))
		return;
	if (!order_id_parse(id, &number)) {
		reply_invalid(rp, "The order id is not valid.");
		return;
	}
	stage = -1;
	if (order_find(m, number, &index)) {
		order_make(m, index, &o);
		stage = order_stage_at(&o, when_floor_s(c->now_ms));
	}
	if (stage < 0) {
		reply_error(
		    rp, 404, "NotFound", "The order was not found.", "");
		return;
	}
	buf_lit(&rp->body, "{\"order\":");
	order_json(m, &o, stage, data, BAD_NONE, &raw, &rp->body);
	buf_ch(&rp->body, '}');
	buf_fini(&raw);
}
