/*
 * model.h - what a made-up seller sold, holds and was paid, at any time.
 *
 * All of it is a pure function of the model and a time: nothing is stored,
 * nothing changes, any thread may ask.  Times are seconds since 1970;
 * money is in minor units of the marketplace's currency.
 */
#ifndef SANDBOX_MODEL_H
#define SANDBOX_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "market.h"

enum {
	MODEL_MARKETS_MAX = 8,
	MODEL_LINES_MAX = 4,
	MODEL_STAGES_MAX = 5,
	MODEL_TXNS_MAX = 4, /* money events hanging off one order */
	MODEL_SKU_MAX = 64,
};

/* Orders are counted in 29 bits, so that an index entry fits in 64. */
#define MODEL_ORDERS_MAX (1u << 29)

struct model {
	uint64_t seed;
	int64_t start;   /* history begins */
	int64_t base;    /* `orders` orders were created in [start, base) */
	uint32_t orders; /* 0: none, ever */
	uint32_t skus;
	int market_count;
	const struct market *markets[MODEL_MARKETS_MAX];
	int64_t flow_start; /* start and base on the clock that runs */
	int64_t flow_span;  /* faster when shops are busy */
};

/* model_init fixes the data.  days >= 1, market_count >= 1. */
void model_init(struct model *m, uint64_t seed, int64_t base, int64_t days,
    uint32_t orders, uint32_t skus, const struct market *const *markets,
    int market_count);

/* --- products --- */

struct product {
	uint64_t key; /* tells one product from any other of this seller */
	uint32_t slot;
	int64_t born;
	int64_t dies;
	int64_t price;
	char sku[MODEL_SKU_MAX];
	char asin[11];
};

/*
 * product_make: what slot sells at time t.  A slot is always taken; when a
 * product dies another with a new SKU takes its place at once.
 */
void product_make(
    const struct model *m, uint32_t slot, int64_t t, struct product *p);

/* product_title appends UTF-8 text, plain, awkward or very long. */
void product_title(const struct product *p, struct buf *raw);

/* --- orders --- */

enum order_status {
	ORDER_PENDING,
	ORDER_UNSHIPPED,
	ORDER_PARTIALLY_SHIPPED,
	ORDER_SHIPPED,
	ORDER_CANCELLED,
	ORDER_STATUS__MAX
};

extern const char *const order_status_names[ORDER_STATUS__MAX];

struct order {
	uint32_t index;
	uint64_t number; /* the 17 digits of the order id */
	int64_t created;
	int64_t late; /* each change shows this long after its own time */
	int stage_count;
	struct {
		int64_t at;
		enum order_status status;
	} stages[MODEL_STAGES_MAX]; /* strictly rising in time */
	const struct market *market;
	bool by_amazon;
	bool prime;
	bool off_amazon; /* sold outside Amazon's own shop */
	int line_count;
	struct {
		uint32_t slot;
		int quantity;
	} lines[MODEL_LINES_MAX];
};

/* order_created rises (weakly) with the index. */
int64_t order_created(const struct model *m, uint32_t index);

/* order_count: how many orders have created <= t. */
uint32_t order_count(const struct model *m, int64_t t);

void order_make(const struct model *m, uint32_t index, struct order *o);

/* order_stage_at: index into stages as the service shows it, -1: not yet. */
int order_stage_at(const struct order *o, int64_t t);

uint64_t order_number(const struct model *m, uint32_t index);

/* order_find is the inverse; false: no such order, now or ever. */
bool order_find(const struct model *m, uint64_t number, uint32_t *ret_index);

/* The id as text, 3-7-7 digits. */
void order_id(struct buf *b, uint64_t number);
bool order_id_parse(const char *s, uint64_t *ret_number);

/* One position of an order, with its money per unit. */
struct line {
	struct product product;
	uint64_t item_id; /* 14 digits */
	int quantity;
	int64_t unit;
	int64_t shipping;
	int64_t tax;
	int64_t discount; /* >= 0, taken off */
};

void
line_make(const struct model *m, const struct order *o, int k, struct line *l);
int64_t line_total(const struct line *l);

/* line_fulfilled: units of position k sent while the order has status. */
int line_fulfilled(const struct order *o, int k, enum order_status status);

/* Whether prices and totals are shown at this stage. */
bool order_has_money(const struct order *o, int stage);

/* --- money events --- */

enum txn_kind {
	TXN_SHIPMENT,
	TXN_REFUND,
	TXN_SERVICE_FEE,
	TXN_ADJUSTMENT,
	TXN_ADS,
	TXN_TRANSFER,
	TXN_KIND__MAX
};

struct txn {
	uint32_t order_index;
	int slot; /* 0 .. MODEL_TXNS_MAX-1, with the order its identity */
	enum txn_kind kind;
	int64_t posted;
	int64_t late; /* shows this long after its posting time */
	bool deferred;
	int64_t maturity;           /* when deferred: the release */
	int units[MODEL_LINES_MAX]; /* shipped or refunded, by position */
};

/* txns_make fills those the order has, in slot order; returns how many. */
int txns_make(const struct model *m, const struct order *o,
    struct txn ret[MODEL_TXNS_MAX]);

/* txn_id writes 43 characters, in an alphabet that sorts like its bits. */
void txn_id(const struct model *m, const struct txn *t, char ret[44]);

/* txn_group: the settlement period the money falls into at time t, or -1. */
int64_t txn_group(const struct txn *t, int64_t now);
void txn_group_id(const struct model *m, int64_t group, char ret[24]);

/* --- stock --- */

struct stock {
	struct product product;
	const char *condition;
	char fnsku[11];
	bool timed; /* lastUpdatedTime is given */
	int64_t updated;
	bool researched; /* researchingQuantity is given */
	int fulfillable;
	int inbound_working;
	int inbound_shipped;
	int inbound_receiving;
	int reserved_customer;
	int reserved_transship;
	int reserved_processing;
	int researching[3]; /* short, mid, long term */
	int unfulfillable[6];
};

/* stock_make: what the slot holds in a marketplace at t; false: nothing. */
bool stock_make(const struct model *m, uint32_t slot, int market, int64_t t,
    struct stock *s);
int stock_reserved(const struct stock *s);
int stock_researching(const struct stock *s);
int stock_unfulfillable(const struct stock *s);
int stock_total(const struct stock *s);

#endif
