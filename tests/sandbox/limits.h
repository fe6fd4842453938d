/*
 * limits.h - the operations, and how often each may be called.
 *
 * A bucket belongs to one seller and operation; the caller's lock guards
 * it.
 */
#ifndef SANDBOX_LIMITS_H
#define SANDBOX_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op {
	OP_NONE, /* unknown paths, control */
	OP_TOKEN,
	OP_SEARCH_ORDERS,
	OP_GET_ORDER,
	OP_INVENTORY,
	OP_TRANSACTIONS,
	OP_PARTICIPATIONS,
	OP__MAX
};

/* op_name returns NULL for OP_NONE. */
const char *op_name(enum op op);

/* op_find returns OP_NONE for a name it does not know. */
enum op op_find(const char *name);

struct bucket {
	bool used; /* a fresh bucket is full */
	double level;
	int64_t at_ms;
};

/*
 * bucket_take: true, one call is allowed.  scale multiplies the documented
 * rate; 0 or less: no limit.
 */
bool bucket_take(struct bucket *b, enum op op, double scale, int64_t rate_ms);

/* limit_text: what x-amzn-RateLimit-Limit says; "" for no such header. */
void limit_text(enum op op, double scale, char *ret, size_t size);

#endif
