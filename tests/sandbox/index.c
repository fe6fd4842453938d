/* index.c - sorts changes and money events by time, and adds the new ones. */
#include "index.h"

#include <stdio.h>
#include <stdlib.h>

void
index_init(struct index *x, const struct model *m)
{
	*x = (struct index){ .model = m, .reach = m->start - 1 };
}

void
index_fini(struct index *x)
{
	free(x->changes);
	free(x->txns);
	*x = (struct index){ 0 };
}

bool
index_reaches(const struct index *x, int64_t t)
{
	return t <= x->reach || x->model->orders == 0;
}

static uint64_t *
entries(uint64_t *old, size_t count)
{
	uint64_t *p = realloc(old, (count + 1) * sizeof(*p));

	if (p == NULL) {
		fputs("sandbox-seller: out of memory\n", stderr);
		abort();
	}
	return p;
}

static uint64_t
entry(const struct model *m, int64_t t, uint32_t order, int part)
{
	return (uint64_t)(t - m->start) << 32 | (uint64_t)order << 3 |
	    (uint64_t)part;
}

static int
change_cmp(const void *va, const void *vb, void *arg)
{
	const struct model *m = arg;
	uint64_t a = *(const uint64_t *)va, b = *(const uint64_t *)vb;
	uint64_t na, nb;

	if (a >> 32 != b >> 32)
		return a < b ? -1 : 1;
	na = order_number(m, entry_order(a));
	nb = order_number(m, entry_order(b));
	return na < nb ? -1 : na > nb;
}

static int
txn_cmp(const void *va, const void *vb, void *arg)
{
	uint64_t a = *(const uint64_t *)va, b = *(const uint64_t *)vb;

	(void)arg;
	return a < b ? -1 : a > b;
}

/*
 * merge sorts what was added behind `count` and moves it into place.  New
 * orders lie near the end of time, so few old entries have to give way.
 */
static void
merge(uint64_t *e, size_t count, size_t added,
    int (*cmp)(const void *, const void *, void *), const struct model *m)
{
	uint64_t *fresh;
	size_t to = count + added;

	if (added == 0)
		return;
	qsort_r(e + count, added, sizeof(*e), cmp, (void *)(uintptr_t)m);
	if (count == 0)
		return;
	fresh = entries(NULL, added);
	memcpy(fresh, e + count, added * sizeof(*e));
	while (added > 0) {
		if (count > 0 &&
		    cmp(&e[count - 1], &fresh[added - 1],
			(void *)(uintptr_t)m) > 0)
			e[--to] = e[--count];
		else
			e[--to] = fresh[--added];
	}
	free(fresh);
}

void
index_reach(struct index *x, int64_t t)
{
	const struct model *m = x->model;
	struct txn txns[MODEL_TXNS_MAX];
	struct order o;
	size_t changes = 0, sums = 0, new_orders;
	uint32_t end;

	if (index_reaches(x, t))
		return;
	/* A day more, so that a ticking clock does not come back each time. */
	t = (t > m->base ? t : m->base) + 86400;
	end = order_count(m, t);
	new_orders = end - x->orders;
	x->changes = entries(
	    x->changes, x->change_count + new_orders * MODEL_STAGES_MAX);
	x->txns = entries(x->txns, x->txn_count + new_orders * MODEL_TXNS_MAX);
	for (uint32_t i = x->orders; i < end; i++) {
		int n;

		order_make(m, i, &o);
		for (int k = 0; k < o.stage_count; k++)
			x->changes[x->change_count + changes++] =
			    entry(m, o.stages[k].at, i, k);
		n = txns_make(m, &o, txns);
		for (int k = 0; k < n; k++)
			x->txns[x->txn_count + sums++] =
			    entry(m, txns[k].posted, i, txns[k].slot);
	}
	merge(x->changes, x->change_count, changes, change_cmp, m);
	merge(x->txns, x->txn_count, sums, txn_cmp, m);
	x->change_count += changes;
	x->txn_count += sums;
	x->changes = entries(x->changes, x->change_count);
	x->txns = entries(x->txns, x->txn_count);
	x->orders = end;
	x->reach = t;
}

size_t
index_change_after(const struct index *x, int64_t t, uint64_t number)
{
	const struct model *m = x->model;
	size_t lo = 0, hi = x->change_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int64_t at = entry_time(m, x->changes[mid]);

		if (at < t ||
		    (at == t &&
			order_number(m, entry_order(x->changes[mid])) <=
			    number))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

size_t
index_txn_after(const struct index *x, int64_t t, uint64_t self)
{
	const struct model *m = x->model;
	size_t lo = 0, hi = x->txn_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int64_t at = entry_time(m, x->txns[mid]);

		if (at < t || (at == t && (uint32_t)x->txns[mid] <= self))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}
