/* order_json.h - an order as the service writes it. */
#ifndef SANDBOX_ORDER_JSON_H
#define SANDBOX_ORDER_JSON_H

#include "faults.h"
#include "model.h"

/* The datasets of includedData, as bits in this order. */
enum order_data {
	DATA_BUYER = 1 << 0,
	DATA_RECIPIENT = 1 << 1,
	DATA_PROCEEDS = 1 << 2,
	DATA_EXPENSE = 1 << 3,
	DATA_PROMOTION = 1 << 4,
	DATA_CANCELLATION = 1 << 5,
	DATA_FULFILLMENT = 1 << 6,
	DATA_PACKAGES = 1 << 7,
	DATA_TAX = 1 << 8,
	DATA_PAYMENT = 1 << 9,
	DATA_FULFILLMENT_ORDERS = 1 << 10,
};

enum { DATA_COUNT = 11 };
extern const char *const order_data_names[DATA_COUNT];

/* raw is scratch for titles; its content is lost. */
void order_json(const struct model *m, const struct order *o, int stage,
    long data, enum bad_record bad, struct buf *raw, struct buf *b);

#endif
