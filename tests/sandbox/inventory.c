/* inventory.c - FBA Inventory v1: getInventorySummaries. */
#include "paging.h"

static const char *const names[] = { "granularityType", "granularityId",
	"marketplaceIds", "details", "startDateTime", "sellerSkus", "sellerSku",
	"nextToken", NULL };
static const char *const free_names[] = { "nextToken", NULL };

static const struct paging paging = {
	.token_name = "nextToken",
	.names = names,
	.free = free_names,
	.token_ms = 30 * 1000,
};

enum { PAGE_ROWS = 50, SKUS_MOST = 50 };

struct query {
	int market; /* place in the seller's list */
	bool details;
	bool since_given;
	int64_t since;    /* seconds: changed at or after */
	const char *skus; /* comma-joined, NULL: all */
	bool one_sku;     /* a comma is part of it */
	struct page page;
};

static bool
market_read(const struct call *c, struct query *q, struct reply *rp)
{
	const char *type = param_get(&c->params, "granularityType");
	const char *id = param_get(&c->params, "granularityId");
	const char *markets = param_get(&c->params, "marketplaceIds");
	unsigned bits;

	if (type == NULL || id == NULL || markets == NULL) {
		reply_invalid(rp,
		    "granularityType, granularityId and "
		    "marketplaceIds are required.");
		return false;
	}
	if (strcmp(type, "Marketplace") != 0) {
		reply_invalid(rp, "granularityType must be Marketplace.");
		return false;
	}
	if (!markets_bits(c, markets, 1, rp, &bits))
		return false;
	if (strcmp(id, markets) != 0) {
		reply_invalid(rp,
		    "granularityId and marketplaceIds must name "
		    "the same marketplace.");
		return false;
	}
	while (!(bits >> q->market & 1))
		q->market++;
	return true;
}

static bool
filters_read(const struct call *c, struct query *q, struct reply *rp)
{
	const char *details = param_get(&c->params, "details");
	int64_t since_ms = c->now_ms;
	int commas = 0;

	if (details != NULL && strcmp(details, "true") != 0 &&
	    strcmp(details, "false") != 0) {
		reply_invalid(rp, "details must be true or false.");
		return false;
	}
	q->details = details != NULL && strcmp(details, "true") == 0;
	if (!time_param(c, "startDateTime", rp, &since_ms))
		return false;
	q->since_given = param_get(&c->params, "startDateTime") != NULL;
	q->since = when_ceil_s(since_ms);
	if (since_ms < c->now_ms - (int64_t)548 * 86400 * 1000) {
		reply_invalid(rp, "startDateTime is more than 18 months ago.");
		return false;
	}
	if (q->since_given)
		return true;
	q->skus = param_get(&c->params, "sellerSkus");
	for (const char *s = q->skus; s != NULL && *s != '\0'; s++)
		commas += *s == ',';
	if (commas >= SKUS_MOST) {
		reply_invalid(rp, "sellerSkus holds more than 50 SKUs.");
		return false;
	}
	if (q->skus == NULL) {
		q->skus = param_get(&c->params, "sellerSku");
		q->one_sku = true;
	}
	return true;
}

static bool
sku_wanted(const struct query *q, const char *sku)
{
	size_t len = strlen(sku);
	const char *at = q->skus;

	if (at == NULL)
		return true;
	if (q->one_sku)
		return strcmp(at, sku) == 0;
	for (;;) {
		size_t part = strcspn(at, ",");

		if (part == len && memcmp(at, sku, len) == 0)
			return true;
		if (at[part] == '\0')
			return false;
		at += part + 1;
	}
}

/* next_row finds the next slot of the page from *slot on. */
static bool
next_row(const struct model *m, const struct query *q, int64_t now,
    uint32_t *slot, struct stock *s)
{
	for (; *slot < m->skus; (*slot)++) {
		if (!stock_make(m, *slot, q->market, now, s))
			continue;
		if (q->since_given && s->updated < q->since)
			continue;
		if (sku_wanted(q, s->product.sku))
			return true;
	}
	return false;
}

static void
number(struct buf *b, const char *name, int v)
{
	buf_ch(b, '"');
	buf_str(b, name);
	buf_lit(b, "\":");
	buf_i64(b, v);
}

static void
researching_json(const struct stock *s, struct buf *b)
{
	static const char *const terms[] = { "Short", "Mid", "Long" };

	buf_lit(b, ",\"researchingQuantity\":{");
	number(b, "totalResearchingQuantity", stock_researching(s));
	buf_lit(b, ",\"researchingQuantityBreakdown\":[");
	for (int i = 0; i < 3; i++) {
		buf_str(b, i > 0 ? "," : "");
		buf_lit(b, "{\"name\":\"researchingQuantityIn");
		buf_str(b, terms[i]);
		buf_lit(b, "Term\",");
		number(b, "quantity", s->researching[i]);
		buf_ch(b, '}');
	}
	buf_lit(b, "]}");
}

static void
details_json(const struct stock *s, struct buf *b)
{
	static const char *const damages[] = { "customerDamagedQuantity",
		"warehouseDamagedQuantity", "distributorDamagedQuantity",
		"carrierDamagedQuantity", "defectiveQuantity",
		"expiredQuantity" };

	buf_lit(b, ",\"inventoryDetails\":{");
	number(b, "fulfillableQuantity", s->fulfillable);
	buf_ch(b, ',');
	number(b, "inboundWorkingQuantity", s->inbound_working);
	buf_ch(b, ',');
	number(b, "inboundShippedQuantity", s->inbound_shipped);
	buf_ch(b, ',');
	number(b, "inboundReceivingQuantity", s->inbound_receiving);
	buf_lit(b, ",\"reservedQuantity\":{");
	number(b, "totalReservedQuantity", stock_reserved(s));
	buf_ch(b, ',');
	number(b, "pendingCustomerOrderQuantity", s->reserved_customer);
	buf_ch(b, ',');
	number(b, "pendingTransshipmentQuantity", s->reserved_transship);
	buf_ch(b, ',');
	number(b, "fcProcessingQuantity", s->reserved_processing);
	buf_ch(b, '}');
	if (s->researched)
		researching_json(s, b);
	buf_lit(b, ",\"unfulfillableQuantity\":{");
	number(b, "totalUnfulfillableQuantity", stock_unfulfillable(s));
	for (int i = 0; i < 6; i++) {
		buf_ch(b, ',');
		number(b, damages[i], s->unfulfillable[i]);
	}
	buf_lit(b, "}}");
}

static void
row_json(const struct stock *s, bool details, enum bad_record bad,
    struct buf *raw, struct buf *b)
{
	buf_lit(b, "{\"asin\":\"");
	buf_str(b, s->product.asin);
	buf_lit(b, "\",\"fnSku\":\"");
	buf_str(b, s->fnsku);
	if (bad == BAD_WRONG_TYPE) {
		buf_lit(b, "\",\"sellerSku\":");
		buf_u64(b, s->product.slot);
	} else if (bad == BAD_MISSING_ID) {
		buf_ch(b, '"');
	} else {
		buf_lit(b, "\",\"sellerSku\":");
		buf_json_str(b, s->product.sku);
	}
	buf_lit(b, ",\"condition\":\"");
	buf_str(b, s->condition);
	buf_ch(b, '"');
	if (details)
		details_json(s, b);
	if (s->timed) {
		buf_lit(b, ",\"lastUpdatedTime\":\"");
		buf_time(b, s->updated);
		buf_ch(b, '"');
	}
	raw->len = 0;
	product_title(&s->product, raw);
	buf_lit(b, ",\"productName\":");
	buf_json(b, raw->p, raw->len);
	buf_ch(b, ',');
	number(b, "totalQuantity", stock_total(s));
	buf_ch(b, '}');
}

static void
answer(const struct call *c, const struct query *q, struct reply *rp)
{
	const struct model *m = &c->seller->model;
	int64_t now = when_floor_s(c->now_ms);
	struct buf *b = &rp->body, raw = { 0 };
	/* The place of a page is the first slot behind it. */
	uint32_t slot = (uint32_t)q->page.self;
	struct stock s;
	int n = 0;
	bool more;

	buf_room(b, 64 * 1024);
	buf_lit(b,
	    "{\"payload\":{\"granularity\":{\"granularityType\":"
	    "\"Marketplace\",\"granularityId\":\"");
	buf_str(b, m->markets[q->market]->id);
	buf_lit(b, "\"},\"inventorySummaries\":[");
	more = next_row(m, q, now, &slot, &s);
	while (more && n < PAGE_ROWS && c->fault.kind != FAULT_EMPTY_PAGES) {
		bool bad = c->fault.kind == FAULT_BAD_RECORD && n == 0;

		if (n++ > 0)
			buf_ch(b, ',');
		row_json(
		    &s, q->details, bad ? c->fault.bad : BAD_NONE, &raw, b);
		slot++;
		more = next_row(m, q, now, &slot, &s);
	}
	buf_lit(b, "]}");
	if (page_has_token(c, more)) {
		buf_lit(b, ",\"pagination\":{\"nextToken\":");
		page_token(&paging, c, &q->page, 0, slot, b);
		buf_ch(b, '}');
	}
	buf_ch(b, '}');
	buf_fini(&raw);
}

void
inventory_list(struct sandbox *sb, struct call *c, struct reply *rp)
{
	struct query q = { 0 };

	(void)sb;
	if (page_open(&paging, c, rp, &q.page) && market_read(c, &q, rp) &&
	    filters_read(c, &q, rp))
		answer(c, &q, rp);
}
