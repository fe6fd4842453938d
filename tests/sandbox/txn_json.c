/* txn_json.c - writes one money event as JSON, with its tree of amounts. */
#include "txn_json.h"

#include <stdio.h>

#include "draw.h"
#include "room.h"

/* What one position of a shipment or refund comes to. */
struct position {
	int64_t principal;
	int64_t shipping;
	int64_t tax;
	int64_t promo;    /* <= 0 */
	int64_t withheld; /* tax Amazon keeps */
	int64_t commission;
	int64_t fulfillment;
	int64_t total;
};

static struct position
position_of(const struct sum *s, int k)
{
	const struct line *l = &s->lines[k];
	int64_t sign = s->t->kind == TXN_REFUND ? -1 : 1;
	int64_t units = sign * s->t->units[k];
	struct position p = {
		.principal = units * l->unit,
		.shipping = units * l->shipping,
		.tax = units * l->tax,
		.promo = -units * l->discount,
		.withheld = -units * l->tax,
		.commission = -units * (l->unit * 15 / 100),
	};

	if (s->o->by_amazon && sign > 0)
		p.fulfillment =
		    -units * (250 + (int64_t)(l->product.key % 600));
	p.total = p.principal + p.shipping + p.tax + p.promo + p.withheld +
	    p.commission + p.fulfillment;
	return p;
}

void
sum_make(const struct model *m, const char *seller, const struct order *o,
    const struct txn *t, int64_t now, struct sum *s)
{
	struct draw d = draw_from(
	    m->seed, ROOM_TXN, t->order_index, 2000 + (uint64_t)t->slot);

	s->model = m;
	s->seller = seller;
	s->o = o;
	s->t = t;
	s->now = now;
	s->market = o->market;
	s->total = 0;
	switch (t->kind) {
	case TXN_SHIPMENT:
	case TXN_REFUND:
		for (int k = 0; k < o->line_count; k++) {
			if (t->units[k] == 0)
				continue;
			line_make(m, o, k, &s->lines[k]);
			s->total += position_of(s, k).total;
		}
		break;
	case TXN_SERVICE_FEE:
		s->total = -draw_range(&d, 1, 9999);
		break;
	case TXN_ADJUSTMENT:
		/* Some end in a zero, some are ten cents, some take back. */
		s->total = draw_below(&d, 8) == 0
		    ? 10
		    : draw_range(&d, -2000, 8000) * 10;
		break;
	case TXN_ADS:
		s->total = -draw_range(&d, 100, 50000);
		break;
	case TXN_TRANSFER:
		s->total = -draw_range(&d, 100000, 9000000);
		break;
	case TXN_KIND__MAX:
		break;
	}
}

const char *
sum_type(const struct sum *s)
{
	static const char *const names[TXN_KIND__MAX] = {
		[TXN_SHIPMENT] = "Shipment",
		[TXN_REFUND] = "Refund",
		[TXN_SERVICE_FEE] = "ServiceFee",
		[TXN_ADJUSTMENT] = "Adjustment",
		[TXN_ADS] = "ProductAdsPayment",
		[TXN_TRANSFER] = "Transfer",
	};

	return names[s->t->kind];
}

const char *
sum_status(const struct sum *s)
{
	if (!s->t->deferred)
		return "RELEASED";
	return s->now < s->t->maturity ? "DEFERRED" : "DEFERRED_RELEASED";
}

const char *
sum_description(const struct sum *s)
{
	static const char *const names[TXN_KIND__MAX] = {
		[TXN_SHIPMENT] = "Order Payment",
		[TXN_REFUND] = "Refund Order",
		[TXN_SERVICE_FEE] = "FBA storage fee",
		[TXN_ADJUSTMENT] = ("FBA Inventory Reimbursement - "
				    "Warehouse \"Lost\"\t(M/F)"),
		[TXN_ADS] = "Product Ads Payment",
		[TXN_TRANSFER] = "Transfer to bank \xe2\x80\xa6 1234",
	};

	return names[s->t->kind];
}

bool
sum_has_market(const struct sum *s)
{
	return s->t->kind != TXN_TRANSFER;
}

bool
sum_has_order(const struct sum *s)
{
	return s->t->kind == TXN_SHIPMENT || s->t->kind == TXN_REFUND;
}

void
sum_shipment_id(const struct sum *s, char ret[24])
{
	ret[0] = '\0';
	if (s->t->kind == TXN_SHIPMENT)
		snprintf(ret, 24, "S%09u%d", s->t->order_index, s->t->slot);
}

static void
amount(const struct sum *s, struct buf *b, int64_t v)
{
	buf_lit(b, "{\"currencyCode\":\"");
	buf_put(b, s->market->currency, 3);
	buf_lit(b, "\",\"currencyAmount\":");
	buf_money(b, v, s->market->decimals);
	buf_ch(b, '}');
}

/* node_open leaves the list of children open, node_end closes it. */
static void
node_open(const struct sum *s, struct buf *b, const char *type, int64_t v)
{
	if (b->p[b->len - 1] == '}')
		buf_ch(b, ',');
	buf_lit(b, "{\"breakdownType\":\"");
	buf_str(b, type);
	buf_lit(b, "\",\"breakdownAmount\":");
	amount(s, b, v);
	buf_lit(b, ",\"breakdowns\":[");
}

static void
node_end(struct buf *b)
{
	buf_lit(b, "]}");
}

static void
leaf(const struct sum *s, struct buf *b, const char *type, int64_t v)
{
	if (v == 0)
		return;
	if (b->p[b->len - 1] == '}')
		buf_ch(b, ',');
	buf_lit(b, "{\"breakdownType\":\"");
	buf_str(b, type);
	buf_lit(b, "\",\"breakdownAmount\":");
	amount(s, b, v);
	buf_ch(b, '}');
}

static void
position_nodes(const struct sum *s, const struct position *p, struct buf *b)
{
	int64_t fees = p->commission + p->fulfillment;

	node_open(s, b, "Sales", p->principal + p->shipping + p->promo);
	leaf(s, b, "ProductCharges", p->principal);
	leaf(s, b, "Shipping", p->shipping);
	leaf(s, b, "Promotions", p->promo);
	node_end(b);
	if (p->tax != 0) {
		node_open(s, b, "Tax", p->tax + p->withheld);
		leaf(s, b, "ProductTax", p->tax);
		leaf(s, b, "MarketplaceFacilitatorTax", p->withheld);
		node_end(b);
	}
	node_open(s, b, "Expenses", fees);
	node_open(s, b, "AmazonFees", fees);
	node_open(s, b, "Commission", p->commission);
	leaf(s, b, "Base", p->commission);
	node_end(b);
	leaf(s, b, "FBAPerUnitFulfillmentFee", p->fulfillment);
	node_end(b);
	node_end(b);
}

/* A position has its amounts without the tree, as far as they differ. */
static void
position_leaves(const struct sum *s, const struct position *p, struct buf *b)
{
	leaf(s, b, "ProductCharges", p->principal);
	leaf(s, b, "Shipping", p->shipping);
	leaf(s, b, "Promotions", p->promo);
	leaf(s, b, "ProductTax", p->tax);
	leaf(s, b, "MarketplaceFacilitatorTax", p->withheld);
	node_open(s, b, "AmazonFees", p->commission + p->fulfillment);
	leaf(s, b, "Commission", p->commission);
	leaf(s, b, "FBAPerUnitFulfillmentFee", p->fulfillment);
	node_end(b);
}

bool
sum_breakdowns(const struct sum *s, struct buf *b)
{
	struct position all = { 0 };

	if (s->t->kind == TXN_TRANSFER)
		return false;
	buf_ch(b, '[');
	if (!sum_has_order(s)) {
		node_open(s, b,
		    s->t->kind == TXN_ADJUSTMENT ? "Adjustments" : "Expenses",
		    s->total);
		leaf(s, b, sum_type(s), s->total);
		node_end(b);
		buf_ch(b, ']');
		return true;
	}
	for (int k = 0; k < s->o->line_count; k++) {
		struct position p;

		if (s->t->units[k] == 0)
			continue;
		p = position_of(s, k);
		all.principal += p.principal;
		all.shipping += p.shipping;
		all.tax += p.tax;
		all.promo += p.promo;
		all.withheld += p.withheld;
		all.commission += p.commission;
		all.fulfillment += p.fulfillment;
	}
	position_nodes(s, &all, b);
	buf_ch(b, ']');
	return true;
}

static void
related(struct buf *b, const char *name, const char *value)
{
	if (b->p[b->len - 1] == '}')
		buf_ch(b, ',');
	buf_lit(b, "{\"relatedIdentifierName\":\"");
	buf_str(b, name);
	buf_lit(b, "\",\"relatedIdentifierValue\":\"");
	buf_str(b, value);
	buf_lit(b, "\"}");
}

bool
sum_related(const struct sum *s, struct buf *b)
{
	int64_t group = txn_group(s->t, s->now);
	char text[24];

	buf_ch(b, '[');
	if (sum_has_order(s)) {
		buf_lit(b,
		    "{\"relatedIdentifierName\":\"ORDER_ID\","
		    "\"relatedIdentifierValue\":\"");
		order_id(b, s->o->number);
		buf_lit(b, "\"}");
	}
	sum_shipment_id(s, text);
	if (text[0] != '\0')
		related(b, "SHIPMENT_ID", text);
	if (s->t->kind == TXN_REFUND) {
		snprintf(text, sizeof(text), "R%010u", s->t->order_index);
		related(b, "REFUND_ID", text);
	}
	if (s->t->kind == TXN_ADS) {
		snprintf(text, sizeof(text), "INV-%u", s->t->order_index);
		related(b, "INVOICE_ID", text);
	}
	if (s->t->kind == TXN_TRANSFER) {
		snprintf(text, sizeof(text), "D%010u", s->t->order_index);
		related(b, "DISBURSEMENT_ID", text);
	}
	/* Money still held back belongs to no settlement yet. */
	if (group >= 0) {
		txn_group_id(s->model, group, text);
		related(b, "FINANCIAL_EVENT_GROUP_ID", text);
	}
	buf_ch(b, ']');
	return true;
}

static void
product_context(const struct sum *s, int k, struct buf *b)
{
	const struct product *p = &s->lines[k].product;

	buf_lit(b,
	    ",\"contexts\":[{\"contextType\":\"ProductContext\","
	    "\"asin\":\"");
	buf_str(b, p->asin);
	buf_lit(b, "\",\"sku\":");
	buf_json_str(b, p->sku);
	buf_lit(b, ",\"quantityShipped\":");
	buf_i64(b, s->t->units[k]);
	buf_lit(b, ",\"fulfillmentNetwork\":\"");
	buf_str(b, s->o->by_amazon ? "AFN" : "MFN");
	buf_lit(b, "\"}]");
}

bool
sum_items(const struct sum *s, struct buf *raw, struct buf *b)
{
	const char *sep = "";

	/* Some events come without their positions. */
	if (!sum_has_order(s) || s->t->posted % 5 == 0)
		return false;
	buf_ch(b, '[');
	for (int k = 0; k < s->o->line_count; k++) {
		struct position p;

		if (s->t->units[k] == 0)
			continue;
		p = position_of(s, k);
		raw->len = 0;
		product_title(&s->lines[k].product, raw);
		buf_str(b, sep);
		buf_lit(b, "{\"description\":");
		buf_json(b, raw->p, raw->len);
		buf_lit(b,
		    ",\"relatedIdentifiers\":[{"
		    "\"itemRelatedIdentifierName\":"
		    "\"ORDER_ADJUSTMENT_ITEM_ID\","
		    "\"itemRelatedIdentifierValue\":\"");
		buf_digits(b, s->lines[k].item_id, 14);
		buf_lit(b, "\"}],\"totalAmount\":");
		amount(s, b, p.total);
		buf_lit(b, ",\"breakdowns\":[");
		position_leaves(s, &p, b);
		buf_ch(b, ']');
		product_context(s, k, b);
		buf_ch(b, '}');
		sep = ",";
	}
	buf_ch(b, ']');
	return true;
}

bool
sum_contexts(const struct sum *s, struct buf *b)
{
	if (s->t->kind == TXN_TRANSFER) {
		buf_lit(b,
		    "[{\"contextType\":\"PaymentsContext\","
		    "\"paymentType\":\"Disbursement\",\"paymentMethod\":"
		    "\"ACH\",\"paymentDate\":\"");
		buf_time(b, s->t->posted);
		buf_lit(b, "\"}]");
		return true;
	}
	if (s->t->deferred) {
		buf_lit(b,
		    "[{\"contextType\":\"DeferredContext\","
		    "\"deferralReason\":\"DD7\",\"maturityDate\":\"");
		buf_time(b, s->t->maturity);
		buf_lit(b, "\"}]");
		return true;
	}
	if (sum_has_order(s) && s->o->off_amazon) {
		buf_lit(b,
		    "[{\"contextType\":\"AmazonPayContext\","
		    "\"storeName\":\"Store 1\",\"orderType\":\"Sale\","
		    "\"channel\":\"MFN\"}]");
		return true;
	}
	return false;
}

static void
head(const struct sum *s, enum bad_record bad, struct buf *b)
{
	char id[44];

	txn_id(s->model, s->t, id);
	buf_lit(b, "{\"sellingPartnerMetadata\":{\"sellingPartnerId\":");
	buf_json_str(b, s->seller);
	buf_lit(b, ",\"accountType\":\"Standard Orders\",\"marketplaceId\":\"");
	buf_str(b, s->market->id);
	buf_lit(b, "\"},\"transactionType\":\"");
	buf_str(b, sum_type(s));
	if (bad == BAD_WRONG_TYPE) {
		buf_lit(b, "\",\"transactionId\":");
		buf_u64(b, s->t->order_index);
		buf_lit(b, ",\"transactionStatus\":\"");
	} else if (bad == BAD_MISSING_ID) {
		buf_lit(b, "\",\"transactionStatus\":\"");
	} else {
		buf_lit(b, "\",\"transactionId\":\"");
		buf_put(b, id, 43);
		buf_lit(b, "\",\"transactionStatus\":\"");
	}
	buf_str(b, sum_status(s));
	buf_lit(b, "\",\"description\":");
	buf_json_str(b, sum_description(s));
	buf_lit(b, ",\"postedDate\":\"");
	buf_time(b, s->t->posted);
	buf_lit(b, "\",\"totalAmount\":");
	amount(s, b, s->total);
	if (sum_has_market(s)) {
		buf_lit(b, ",\"marketplaceDetails\":{\"marketplaceId\":\"");
		buf_str(b, s->market->id);
		buf_lit(b, "\",\"marketplaceName\":\"");
		buf_str(b, s->market->store);
		buf_lit(b, "\"}");
	}
}

void
txn_json(
    const struct sum *s, enum bad_record bad, struct buf *raw, struct buf *b)
{
	size_t mark;

	head(s, bad, b);
	/* A part that is absent takes its name away again. */
	mark = b->len;
	buf_lit(b, ",\"relatedIdentifiers\":");
	if (!sum_related(s, b))
		b->len = mark;
	mark = b->len;
	buf_lit(b, ",\"items\":");
	if (!sum_items(s, raw, b))
		b->len = mark;
	mark = b->len;
	buf_lit(b, ",\"contexts\":");
	if (!sum_contexts(s, b))
		b->len = mark;
	mark = b->len;
	buf_lit(b, ",\"breakdowns\":");
	if (!sum_breakdowns(s, b))
		b->len = mark;
	buf_ch(b, '}');
}
