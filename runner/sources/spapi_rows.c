/* spapi_rows.c - reads records defensively: any field may be missing. */
#include "runner/sources/spapi_rows.h"

#include "shared/json.h"
#include <stdio.h>
#include <string.h>

/* --- the loader as a sink ------------------------------------------------- */

static const char *
source_text(json_object *o)
{
	return o ? json_object_to_json_string_ext(o,
			   JSON_C_TO_STRING_PLAIN |
			       JSON_C_TO_STRING_NOSLASHESCAPE)
		 : NULL;
}

static enum err
load_it(void *arg, const struct load_stream *s, const char *const *values,
    json_object *raw)
{
	struct load *l = arg;
	size_t before = load_rejected(l);
	enum err err = load_row(l, s, values, NULL);

	if (err || load_rejected(l) == before)
		return err;
	return load_keep_raw(l, source_text(raw));
}

static enum err
reject_it(void *arg, const struct load_stream *s, const char *reason,
    json_object *raw)
{
	return load_reject(arg, s, reason, source_text(raw));
}

struct row_sink
row_sink_of(struct load *l)
{
	return (struct row_sink){ .arg = l, .row = load_it,
		.reject = reject_it };
}

/* --- fields --------------------------------------------------------------- */

/* Takes fields of a record; the first one of a wrong type is remembered. */
struct taker {
	char wrong[96]; /* "" while all is well */
};

static json_object *
wrong_type(struct taker *t, const char *key, const char *wanted)
{
	if (t->wrong[0] == '\0')
		snprintf(t->wrong, sizeof t->wrong, "%s is not %s", key,
		    wanted);
	return NULL;
}

static json_object *
take(struct taker *t, json_object *o, const char *key, json_type type,
    const char *wanted)
{
	json_object *v = json_member(o, key);

	if (!v || json_object_is_type(v, type))
		return v;
	return wrong_type(t, key, wanted);
}

static json_object *
take_object(struct taker *t, json_object *o, const char *key)
{
	return take(t, o, key, json_type_object, "an object");
}

static json_object *
take_array(struct taker *t, json_object *o, const char *key)
{
	return take(t, o, key, json_type_array, "a list");
}

static const char *
take_text(struct taker *t, json_object *o, const char *key)
{
	json_object *v = take(t, o, key, json_type_string, "a text");

	return v ? json_object_get_string(v) : NULL;
}

static const char *
take_int(struct taker *t, json_object *o, const char *key)
{
	json_object *v = take(t, o, key, json_type_int, "an integer");

	return v ? json_object_get_string(v) : NULL;
}

static const char *
take_decimal(struct taker *t, json_object *o, const char *key)
{
	const char *text = json_decimal(o, key);

	if (!text && json_member(o, key))
		wrong_type(t, key, "a number");
	return text;
}

static size_t
length_of(json_object *array)
{
	return array ? json_object_array_length(array) : 0;
}

/* --- orders ----------------------------------------------------------------- */

static enum err
order_item(const char *order_id, json_object *o, const struct row_sink *k)
{
	struct taker t = { .wrong = "" };
	json_object *product = take_object(&t, o, "product");
	json_object *sent = take_object(&t, o, "fulfillment");
	json_object *unit = take_object(
	    &t, take_object(&t, product, "price"), "unitPrice");
	json_object *total = take_object(
	    &t, take_object(&t, o, "proceeds"), "proceedsTotal");
	const char *values[SPAPI_ITEM_COLUMNS] = {
		order_id,
		take_text(&t, o, "orderItemId"),
		take_text(&t, product, "asin"),
		take_text(&t, product, "sellerSku"),
		take_text(&t, product, "title"),
		take_int(&t, o, "quantityOrdered"),
		take_int(&t, sent, "quantityFulfilled"),
		take_int(&t, sent, "quantityUnfulfilled"),
		take_decimal(&t, unit, "amount"),
		take_text(&t, unit ? unit : total, "currencyCode"),
		take_decimal(&t, total, "amount"),
	};

	if (!json_object_is_type(o, json_type_object))
		return k->reject(k->arg, &spapi_order_items_rows,
		    "an item is not an object", o);
	if (t.wrong[0] != '\0')
		return k->reject(
		    k->arg, &spapi_order_items_rows, t.wrong, o);
	return k->row(k->arg, &spapi_order_items_rows, values, o);
}

static enum err
order(json_object *o, const struct row_sink *k, struct page_info *info)
{
	struct taker t = { .wrong = "" };
	json_object *channel = take_object(&t, o, "salesChannel");
	json_object *sent = take_object(&t, o, "fulfillment");
	json_object *total = take_object(
	    &t, take_object(&t, o, "proceeds"), "grandTotal");
	json_object *items = take_array(&t, o, "orderItems");
	char count[24];
	const char *values[SPAPI_ORDER_COLUMNS] = {
		take_text(&t, o, "orderId"),
		take_text(&t, channel, "marketplaceId"),
		take_text(&t, channel, "channelName"),
		take_text(&t, sent, "fulfillmentStatus"),
		take_text(&t, sent, "fulfilledBy"),
		take_text(&t, o, "createdTime"),
		take_text(&t, o, "lastUpdatedTime"),
		take_decimal(&t, total, "amount"),
		take_text(&t, total, "currencyCode"),
		items ? count : NULL,
	};
	enum err err;

	snprintf(count, sizeof count, "%zu", length_of(items));
	if (!json_object_is_type(o, json_type_object))
		return k->reject(k->arg, &spapi_orders_rows,
		    "an order is not an object", o);
	if (t.wrong[0] == '\0' && !values[6])
		wrong_type(&t, "lastUpdatedTime", "there");
	/* an order that is out keeps its items out too */
	if (t.wrong[0] != '\0' || !values[0])
		return k->reject(k->arg, &spapi_orders_rows,
		    t.wrong[0] != '\0' ? t.wrong : "orderId is missing", o);
	if (!info->newest || strcmp(info->newest, values[6]) < 0)
		info->newest = values[6];
	err = k->row(k->arg, &spapi_orders_rows, values, o);
	for (size_t i = 0; i < length_of(items) && !err; i++)
		err = order_item(
		    values[0], json_object_array_get_idx(items, i), k);
	return err;
}

/* Two pages that begin and end alike are one page sent twice. */
static void
note_ends(struct page_info *info, json_object *list, const char *key)
{
	info->records = length_of(list);
	if (info->records == 0)
		return;
	info->first = json_text(json_object_array_get_idx(list, 0), key);
	info->last = json_text(
	    json_object_array_get_idx(list, info->records - 1), key);
}

/* The token of the next page; an empty one is none. */
static const char *
next_token(json_object *o, const char *key)
{
	const char *token = json_text(o, key);

	return token && *token != '\0' ? token : NULL;
}

enum err
spapi_orders_page(json_object *page, const struct row_sink *k,
    struct page_info *ret, const char **why)
{
	json_object *list = json_member(page, "orders");
	struct page_info info = {
		.token = next_token(
		    json_member(page, "pagination"), "nextToken"),
		.before = json_text(page, "lastUpdatedBefore"),
	};
	enum err err = ERR_OK;

	if (!json_object_is_type(list, json_type_array)) {
		*why = "a page without orders";
		return ERR_PEER;
	}
	note_ends(&info, list, "orderId");
	for (size_t i = 0; i < info.records && !err; i++)
		err = order(json_object_array_get_idx(list, i), k, &info);
	if (!err)
		*ret = info;
	return err;
}

/* --- inventory ------------------------------------------------------------- */

static const char *
or_empty(const char *text)
{
	return text ? text : "";
}

static enum err
summary(json_object *o, const char *marketplace, const struct row_sink *k)
{
	struct taker t = { .wrong = "" };
	json_object *d = take_object(&t, o, "inventoryDetails");
	const char *values[SPAPI_INVENTORY_COLUMNS] = {
		marketplace,
		take_text(&t, o, "sellerSku"),
		or_empty(take_text(&t, o, "fnSku")),
		or_empty(take_text(&t, o, "condition")),
		take_text(&t, o, "asin"),
		take_text(&t, o, "productName"),
		take_int(&t, o, "totalQuantity"),
		take_int(&t, d, "fulfillableQuantity"),
		take_int(&t, d, "inboundWorkingQuantity"),
		take_int(&t, d, "inboundShippedQuantity"),
		take_int(&t, d, "inboundReceivingQuantity"),
		take_int(&t, take_object(&t, d, "reservedQuantity"),
		    "totalReservedQuantity"),
		take_int(&t, take_object(&t, d, "researchingQuantity"),
		    "totalResearchingQuantity"),
		take_int(&t, take_object(&t, d, "unfulfillableQuantity"),
		    "totalUnfulfillableQuantity"),
		take_text(&t, o, "lastUpdatedTime"),
	};

	if (!json_object_is_type(o, json_type_object))
		return k->reject(k->arg, &spapi_inventory_rows,
		    "a summary is not an object", o);
	if (t.wrong[0] != '\0')
		return k->reject(k->arg, &spapi_inventory_rows, t.wrong, o);
	if (values[14] && *values[14] == '\0')
		values[14] = NULL; /* no time is not a wrong one */
	return k->row(k->arg, &spapi_inventory_rows, values, o);
}

enum err
spapi_inventory_page(json_object *page, const char *marketplace,
    const struct row_sink *k, struct page_info *ret, const char **why)
{
	json_object *list = json_member(
	    json_member(page, "payload"), "inventorySummaries");
	/* beside the payload, not inside it */
	struct page_info info = { .token = next_token(
		json_member(page, "pagination"), "nextToken") };
	enum err err = ERR_OK;

	if (!json_object_is_type(list, json_type_array)) {
		*why = "a page without inventorySummaries";
		return ERR_PEER;
	}
	note_ends(&info, list, "fnSku");
	for (size_t i = 0; i < info.records && !err; i++)
		err = summary(
		    json_object_array_get_idx(list, i), marketplace, k);
	if (!err)
		*ret = info;
	return err;
}

/* --- transactions ---------------------------------------------------------- */

/* The value of a related identifier; NULL when there is none. */
static const char *
related_id(json_object *list, const char *name)
{
	for (size_t i = 0; i < length_of(list); i++) {
		json_object *r = json_object_array_get_idx(list, i);
		const char *n = json_text(r, "relatedIdentifierName");

		if (n && strcmp(n, name) == 0)
			return json_text(r, "relatedIdentifierValue");
	}
	return NULL;
}

static enum err
transaction(json_object *o, const struct row_sink *k)
{
	struct taker t = { .wrong = "" };
	json_object *amount = take_object(&t, o, "totalAmount");
	json_object *market = take_object(&t, o, "marketplaceDetails");
	json_object *related = take_array(&t, o, "relatedIdentifiers");
	const char *values[SPAPI_TRANSACTION_COLUMNS] = {
		take_text(&t, o, "transactionId"),
		take_text(&t, o, "transactionType"),
		take_text(&t, o, "transactionStatus"),
		take_text(&t, o, "description"),
		take_text(&t, o, "postedDate"),
		take_decimal(&t, amount, "currencyAmount"),
		take_text(&t, amount, "currencyCode"),
		take_text(&t, market, "marketplaceId"),
		related_id(related, "ORDER_ID"),
		related_id(related, "SHIPMENT_ID"),
		related_id(related, "FINANCIAL_EVENT_GROUP_ID"),
		source_text(related),
		source_text(take_array(&t, o, "breakdowns")),
		source_text(take_array(&t, o, "items")),
		source_text(take_array(&t, o, "contexts")),
	};

	if (!json_object_is_type(o, json_type_object))
		return k->reject(k->arg, &spapi_transactions_rows,
		    "a transaction is not an object", o);
	if (t.wrong[0] != '\0')
		return k->reject(
		    k->arg, &spapi_transactions_rows, t.wrong, o);
	return k->row(k->arg, &spapi_transactions_rows, values, o);
}

enum err
spapi_transactions_page(json_object *page, const struct row_sink *k,
    struct page_info *ret, const char **why)
{
	json_object *payload = json_member(page, "payload");
	json_object *list = json_member(payload, "transactions");
	struct page_info info = { .token = next_token(payload, "nextToken") };
	enum err err = ERR_OK;

	if (!json_object_is_type(payload, json_type_object) ||
	    (list && !json_object_is_type(list, json_type_array))) {
		*why = "a page without transactions";
		return ERR_PEER;
	}
	note_ends(&info, list, "transactionId");
	for (size_t i = 0; i < info.records && !err; i++)
		err = transaction(json_object_array_get_idx(list, i), k);
	if (!err)
		*ret = info;
	return err;
}

/* --- marketplaces ---------------------------------------------------------- */

enum err
spapi_marketplaces(json_object *page, json_object **ret, const char **why)
{
	json_object *list = json_member(page, "payload");
	json_object *ids;

	if (!json_object_is_type(list, json_type_array)) {
		*why = "no list of marketplaces";
		return ERR_PEER;
	}
	ids = json_object_new_array();
	if (!ids)
		return ERR_NOMEM;
	for (size_t i = 0; i < length_of(list); i++) {
		json_object *m = json_object_array_get_idx(list, i);
		const char *id = json_text(json_member(m, "marketplace"), "id");

		if (id && json_flag(json_member(m, "participation"),
			"isParticipating", false))
			json_object_array_add(ids, json_object_new_string(id));
	}
	*ret = ids;
	return ERR_OK;
}
