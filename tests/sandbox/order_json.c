/* order_json.c - writes one order as JSON, straight into the page. */
#include "order_json.h"

#include "draw.h"
#include "room.h"

const char *const order_data_names[DATA_COUNT] = { "BUYER", "RECIPIENT",
	"PROCEEDS", "EXPENSE", "PROMOTION", "CANCELLATION", "FULFILLMENT",
	"PACKAGES", "TAX", "PAYMENT", "FULFILLMENT_ORDERS" };

/* What the writers of one order share. */
struct writing {
	const struct model *model;
	const struct order *o;
	int stage;
	long data;
	struct line lines[MODEL_LINES_MAX];
	struct buf *raw;
	struct buf *b;
};

static void
money(struct writing *w, int64_t amount)
{
	buf_lit(w->b, "{\"amount\":\"");
	buf_money(w->b, amount, w->o->market->decimals);
	buf_lit(w->b, "\",\"currencyCode\":\"");
	buf_put(w->b, w->o->market->currency, 3);
	buf_lit(w->b, "\"}");
}

static void
quoted_time(struct buf *b, int64_t t)
{
	buf_ch(b, '"');
	buf_time(b, t);
	buf_ch(b, '"');
}

static void
breakdown(struct writing *w, const char *type, int64_t amount, bool first)
{
	if (!first)
		buf_ch(w->b, ',');
	buf_lit(w->b, "{\"type\":\"");
	buf_str(w->b, type);
	buf_lit(w->b, "\",\"subtotal\":");
	money(w, amount);
	buf_ch(w->b, '}');
}

static void
breakdowns(struct writing *w, int64_t item, int64_t shipping, int64_t tax,
    int64_t discount)
{
	buf_lit(w->b, ",\"breakdowns\":[");
	breakdown(w, "ITEM", item, true);
	if (shipping != 0)
		breakdown(w, "SHIPPING", shipping, false);
	if (tax != 0)
		breakdown(w, "TAX", tax, false);
	if (discount != 0)
		breakdown(w, "DISCOUNT", -discount, false);
	buf_lit(w->b, "]}");
}

static void
item_fulfillment(struct writing *w, int k)
{
	enum order_status status = w->o->stages[w->stage].status;
	int sent = line_fulfilled(w->o, k, status);

	buf_lit(w->b, ",\"fulfillment\":{\"quantityFulfilled\":");
	buf_i64(w->b, sent);
	buf_lit(w->b, ",\"quantityUnfulfilled\":");
	buf_i64(w->b,
	    status == ORDER_CANCELLED ? 0 : w->o->lines[k].quantity - sent);
	buf_ch(w->b, '}');
}

static void
item(struct writing *w, int k)
{
	const struct line *l = &w->lines[k];
	struct buf *b = w->b;

	if (k > 0)
		buf_ch(b, ',');
	buf_lit(b, "{\"orderItemId\":\"");
	buf_digits(b, l->item_id, 14);
	buf_lit(b, "\",\"quantityOrdered\":");
	buf_i64(b, l->quantity);
	buf_lit(b, ",\"product\":{\"asin\":\"");
	buf_put(b, l->product.asin, 10);
	buf_lit(b, "\",\"title\":");
	w->raw->len = 0;
	product_title(&l->product, w->raw);
	if (l->product.key & 1)
		buf_json_ascii(b, w->raw->p, w->raw->len);
	else
		buf_json(b, w->raw->p, w->raw->len);
	buf_lit(b, ",\"sellerSku\":");
	buf_json_str(b, l->product.sku);
	buf_lit(b,
	    ",\"condition\":{\"conditionType\":\"NEW\","
	    "\"conditionSubtype\":\"NEW\"}");
	if (order_has_money(w->o, w->stage)) {
		buf_lit(b, ",\"price\":{\"unitPrice\":");
		money(w, l->unit);
		buf_ch(b, '}');
	}
	buf_ch(b, '}');
	if ((w->data & DATA_PROCEEDS) && order_has_money(w->o, w->stage)) {
		buf_lit(b, ",\"proceeds\":{\"proceedsTotal\":");
		money(w, line_total(l));
		breakdowns(w, l->quantity * l->unit, l->quantity * l->shipping,
		    l->quantity * l->tax, l->quantity * l->discount);
	}
	if ((w->data & DATA_PROMOTION) && l->discount != 0) {
		buf_lit(b,
		    ",\"promotion\":{\"breakdowns\":[{\"promotionId\":"
		    "\"PROMO-");
		buf_u64(b, l->product.key % 100000);
		buf_lit(b, "\"}]}");
	}
	if ((w->data & DATA_CANCELLATION) &&
	    w->o->stages[w->stage].status == ORDER_CANCELLED)
		buf_lit(b,
		    ",\"cancellation\":{\"cancellationExecution\":{"
		    "\"cancelledBy\":\"BUYER\"}}");
	if (w->data & DATA_FULFILLMENT)
		item_fulfillment(w, k);
	buf_ch(b, '}');
}

static void
proceeds(struct writing *w)
{
	int64_t item_sum = 0, shipping = 0, tax = 0, discount = 0;

	for (int k = 0; k < w->o->line_count; k++) {
		const struct line *l = &w->lines[k];

		item_sum += l->quantity * l->unit;
		shipping += l->quantity * l->shipping;
		tax += l->quantity * l->tax;
		discount += l->quantity * l->discount;
	}
	buf_lit(w->b, ",\"proceeds\":{\"grandTotal\":");
	money(w, item_sum + shipping + tax - discount);
	breakdowns(w, item_sum, shipping, tax, discount);
}

static void
fulfillment(struct writing *w)
{
	const struct order *o = w->o;
	struct buf *b = w->b;

	buf_lit(b, ",\"fulfillment\":{\"fulfillmentStatus\":\"");
	buf_str(b, order_status_names[o->stages[w->stage].status]);
	buf_lit(b, "\",\"fulfilledBy\":\"");
	buf_str(b, o->by_amazon ? "AMAZON" : "MERCHANT");
	buf_lit(b, "\",\"fulfillmentServiceLevel\":\"");
	buf_str(b, o->prime ? "EXPEDITED" : "STANDARD");
	buf_lit(b, "\",\"shipByWindow\":{\"earliestDateTime\":");
	quoted_time(b, o->created + 3600);
	buf_lit(b, ",\"latestDateTime\":");
	quoted_time(b, o->created + 3 * 86400);
	buf_lit(b, "},\"deliverByWindow\":{\"earliestDateTime\":");
	quoted_time(b, o->created + 4 * 86400);
	buf_lit(b, ",\"latestDateTime\":");
	quoted_time(b, o->created + 7 * 86400);
	buf_lit(b, "}}");
}

static void
buyer_and_recipient(struct writing *w)
{
	uint64_t h = draw_hash(w->model->seed, ROOM_ORDER, w->o->index, 7);

	if (w->data & DATA_BUYER) {
		buf_lit(w->b, ",\"buyer\":{\"buyerName\":\"Buyer ");
		buf_u64(w->b, h % 100000);
		buf_lit(w->b, "\",\"buyerEmail\":\"b");
		buf_u64(w->b, h % 1000000007);
		buf_lit(w->b, "@marketplace.example\"}");
	}
	if (w->data & DATA_RECIPIENT) {
		buf_lit(w->b,
		    ",\"recipient\":{\"deliveryAddress\":{\"name\":"
		    "\"Buyer ");
		buf_u64(w->b, h % 100000);
		buf_lit(w->b, "\",\"addressLine1\":\"");
		buf_u64(w->b, h % 999 + 1);
		buf_lit(w->b,
		    " Main Street\",\"city\":\"Springfield\","
		    "\"postalCode\":\"");
		buf_digits(w->b, h % 100000, 5);
		buf_lit(w->b, "\",\"countryCode\":\"");
		buf_str(w->b, w->o->market->country);
		buf_lit(w->b, "\",\"addressType\":\"RESIDENTIAL\"}}");
	}
}

static void
packages(struct writing *w)
{
	bool sent = w->o->stages[w->stage].status == ORDER_SHIPPED;

	if (!sent || w->o->by_amazon)
		return;
	buf_lit(w->b,
	    ",\"packages\":[{\"packageReferenceId\":\"1\","
	    "\"carrier\":\"UPS\",\"trackingNumber\":\"1Z");
	buf_digits(w->b, w->o->number % 10000000000000000u, 16);
	buf_lit(w->b, "\",\"packageItems\":[");
	for (int k = 0; k < w->o->line_count; k++) {
		if (k > 0)
			buf_ch(w->b, ',');
		buf_lit(w->b, "{\"orderItemId\":\"");
		buf_digits(w->b, w->lines[k].item_id, 14);
		buf_lit(w->b, "\",\"quantity\":");
		buf_i64(w->b, w->lines[k].quantity);
		buf_ch(w->b, '}');
	}
	buf_lit(w->b, "]}]");
}

static void
head(struct writing *w, enum bad_record bad)
{
	const struct order *o = w->o;
	struct buf *b = w->b;

	buf_ch(b, '{');
	if (bad == BAD_WRONG_TYPE) {
		buf_lit(b, "\"orderId\":");
		buf_u64(b, o->number);
		buf_ch(b, ',');
	} else if (bad != BAD_MISSING_ID) {
		buf_lit(b, "\"orderId\":\"");
		order_id(b, o->number);
		buf_lit(b, "\",");
	}
	buf_lit(b, "\"createdTime\":");
	quoted_time(b, o->created);
	buf_lit(b, ",\"lastUpdatedTime\":");
	quoted_time(b, o->stages[w->stage].at);
	if (o->prime)
		buf_lit(b, ",\"programs\":[\"PRIME\"]");
	buf_lit(b, ",\"salesChannel\":{\"channelName\":\"");
	buf_str(b, o->off_amazon ? "NON_AMAZON" : "AMAZON");
	buf_lit(b, "\",\"marketplaceId\":\"");
	buf_str(b, o->market->id);
	buf_lit(b, "\",\"marketplaceName\":\"");
	buf_str(b, o->market->store);
	buf_lit(b, "\"}");
}

void
order_json(const struct model *m, const struct order *o, int stage, long data,
    enum bad_record bad, struct buf *raw, struct buf *b)
{
	struct writing w = { .model = m,
		.o = o,
		.stage = stage,
		.data = data,
		.raw = raw,
		.b = b };

	for (int k = 0; k < o->line_count; k++)
		line_make(m, o, k, &w.lines[k]);
	head(&w, bad);
	if (data & (DATA_BUYER | DATA_RECIPIENT))
		buyer_and_recipient(&w);
	if ((data & DATA_PROCEEDS) && order_has_money(o, stage))
		proceeds(&w);
	if ((data & DATA_PAYMENT) && order_has_money(o, stage))
		buf_lit(b,
		    ",\"payment\":{\"paymentExecutions\":[{"
		    "\"paymentMethod\":\"CreditCard\"}]}");
	if (data & DATA_FULFILLMENT)
		fulfillment(&w);
	buf_lit(b, ",\"orderItems\":[");
	for (int k = 0; k < o->line_count; k++)
		item(&w, k);
	buf_ch(b, ']');
	if (data & DATA_PACKAGES)
		packages(&w);
	buf_ch(b, '}');
}
