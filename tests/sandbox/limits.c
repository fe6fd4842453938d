/* limits.c - the documented usage plans as token buckets. */
#include "limits.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	double rate; /* calls per second; 0: no plan */
	double burst;
} plans[OP__MAX] = {
	[OP_NONE] = { NULL, 0, 0 },
	[OP_TOKEN] = { "token", 0, 0 },
	[OP_SEARCH_ORDERS] = { "searchOrders", 0.0056, 20 },
	[OP_GET_ORDER] = { "getOrder", 0.5, 30 },
	[OP_INVENTORY] = { "getInventorySummaries", 2, 2 },
	[OP_TRANSACTIONS] = { "listTransactions", 0.5, 10 },
	[OP_PARTICIPATIONS] = { "getMarketplaceParticipations", 0.016, 15 },
};

/* Said when there is no limit: a client that believes it never waits. */
static const double no_limit_rate = 10000;

const char *
op_name(enum op op)
{
	return plans[op].name;
}

enum op
op_find(const char *name)
{
	for (int op = OP_TOKEN; op < OP__MAX; op++)
		if (strcmp(plans[op].name, name) == 0)
			return (enum op)op;
	return OP_NONE;
}

bool
bucket_take(struct bucket *b, enum op op, double scale, int64_t rate_ms)
{
	if (scale <= 0 || plans[op].rate <= 0)
		return true;
	if (!b->used) {
		b->used = true;
		b->level = plans[op].burst;
		b->at_ms = rate_ms;
	}
	if (rate_ms > b->at_ms) {
		b->level += (double)(rate_ms - b->at_ms) / 1000 *
		    plans[op].rate * scale;
		if (b->level > plans[op].burst)
			b->level = plans[op].burst;
		b->at_ms = rate_ms;
	}
	if (b->level < 1)
		return false;
	b->level -= 1;
	return true;
}

void
limit_text(enum op op, double scale, char *ret, size_t size)
{
	double rate = scale <= 0 ? no_limit_rate : plans[op].rate * scale;
	size_t len;

	ret[0] = '\0';
	if (plans[op].rate <= 0)
		return;
	snprintf(ret, size, "%.4f", rate);
	for (len = strlen(ret);
	     len > 0 && ret[len - 1] == '0' && ret[len - 2] != '.'; len--)
		ret[len - 1] = '\0';
}
