/* spapi_tables.c - the columns of the streams that Amazon feeds. */
#include "runner/sources/spapi_rows.h"

#define TEXT_COL(n) { .name = (n), .type = LOAD_TEXT }
#define KEY_COL(n) { .name = (n), .type = LOAD_TEXT, .key = true }
#define INT_COL(n) { .name = (n), .type = LOAD_BIGINT }
#define DEC_COL(n) { .name = (n), .type = LOAD_NUMERIC }
#define TIME_COL(n) { .name = (n), .type = LOAD_TIMESTAMP }
#define JSON_COL(n) { .name = (n), .type = LOAD_JSON }

static const struct load_column order_columns[] = {
	KEY_COL("order_id"),
	TEXT_COL("marketplace_id"),
	TEXT_COL("sales_channel"),
	TEXT_COL("status"),
	TEXT_COL("fulfilled_by"),
	TIME_COL("created_time"),
	{ .name = "last_updated_time", .type = LOAD_TIMESTAMP,
	    .version = true },
	DEC_COL("total"),
	TEXT_COL("currency"),
	INT_COL("item_count"),
};
_Static_assert(COUNT_OF(order_columns) == SPAPI_ORDER_COLUMNS,
    "rows have as many values");

const struct load_stream spapi_orders_rows = {
	.name = "orders",
	.table = "orders",
	.columns = order_columns,
	.n_columns = COUNT_OF(order_columns),
};

static const struct load_column item_columns[] = {
	KEY_COL("order_id"),
	KEY_COL("order_item_id"),
	TEXT_COL("asin"),
	TEXT_COL("sku"),
	TEXT_COL("title"),
	INT_COL("quantity"),
	INT_COL("quantity_fulfilled"),
	INT_COL("quantity_unfulfilled"),
	DEC_COL("unit_price"),
	TEXT_COL("currency"),
	DEC_COL("proceeds_total"),
};
_Static_assert(COUNT_OF(item_columns) == SPAPI_ITEM_COLUMNS,
    "rows have as many values");

const struct load_stream spapi_order_items_rows = {
	.name = "order_items",
	.table = "order_items",
	.columns = item_columns,
	.n_columns = COUNT_OF(item_columns),
	.parent_keys = 1,
	.parent = &spapi_orders_rows,
};

static const struct load_column inventory_columns[] = {
	KEY_COL("marketplace_id"),
	KEY_COL("sku"),
	KEY_COL("fnsku"),
	KEY_COL("condition"),
	TEXT_COL("asin"),
	TEXT_COL("product_name"),
	INT_COL("total_quantity"),
	INT_COL("fulfillable_quantity"),
	INT_COL("inbound_working_quantity"),
	INT_COL("inbound_shipped_quantity"),
	INT_COL("inbound_receiving_quantity"),
	INT_COL("reserved_quantity"),
	INT_COL("researching_quantity"),
	INT_COL("unfulfillable_quantity"),
	TIME_COL("last_updated_time"),
};
_Static_assert(COUNT_OF(inventory_columns) == SPAPI_INVENTORY_COLUMNS,
    "rows have as many values");

const struct load_stream spapi_inventory_rows = {
	.name = "inventory",
	.table = "inventory",
	.columns = inventory_columns,
	.n_columns = COUNT_OF(inventory_columns),
};

static const struct load_column transaction_columns[] = {
	KEY_COL("transaction_id"),
	TEXT_COL("transaction_type"),
	TEXT_COL("status"),
	TEXT_COL("description"),
	TIME_COL("posted_date"),
	DEC_COL("amount"),
	TEXT_COL("currency"),
	TEXT_COL("marketplace_id"),
	TEXT_COL("order_id"),
	TEXT_COL("shipment_id"),
	TEXT_COL("event_group_id"),
	JSON_COL("related"),
	JSON_COL("breakdowns"),
	JSON_COL("items"),
	JSON_COL("contexts"),
};
_Static_assert(COUNT_OF(transaction_columns) == SPAPI_TRANSACTION_COLUMNS,
    "rows have as many values");

const struct load_stream spapi_transactions_rows = {
	.name = "transactions",
	.table = "transactions",
	.columns = transaction_columns,
	.n_columns = COUNT_OF(transaction_columns),
};
