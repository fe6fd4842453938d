/*
 * spapi_rows.h - Amazon's records as rows: which field goes where.
 *
 * Pure: pages in, rows out.  A record that cannot be read is rejected with
 * the reason and does not stop its page.
 */
#ifndef SYNCLINE_SPAPI_ROWS_H
#define SYNCLINE_SPAPI_ROWS_H

#include "runner/load/load.h"

extern const struct load_stream spapi_orders_rows;
extern const struct load_stream spapi_order_items_rows;
extern const struct load_stream spapi_inventory_rows;
extern const struct load_stream spapi_transactions_rows;

/* How many columns each has. */
enum {
	SPAPI_ORDER_COLUMNS = 10,
	SPAPI_ITEM_COLUMNS = 11,
	SPAPI_INVENTORY_COLUMNS = 15,
	SPAPI_TRANSACTION_COLUMNS = 15
};

/* Where rows go: a loader, or a test. */
struct row_sink {
	void *arg;
	/* raw gives the record's text when the row is not taken */
	enum err (*row)(void *arg, const struct load_stream *s,
	    const char *const *values, json_object *raw);
	enum err (*reject)(void *arg, const struct load_stream *s,
	    const char *reason, json_object *raw);
};

/* row_sink_of gives the sink that loads. */
struct row_sink row_sink_of(struct load *l);

/* What a page says besides its records; texts borrowed from the page. */
struct page_info {
	size_t records;
	const char *token;  /* of the next page; NULL at the last */
	const char *before; /* orders: lastUpdatedBefore, or NULL */
	const char *newest; /* orders: the latest lastUpdatedTime, or NULL */
	const char *first, *last; /* ids of its first and last record, or NULL */
};

/*
 * Each reads one page.  ERR_PEER: it is not a page, *why says so (static).
 * Else what the sink returned.
 */
enum err spapi_orders_page(json_object *page, const struct row_sink *k,
    struct page_info *ret, const char **why) MUST_CHECK;
enum err spapi_inventory_page(json_object *page, const char *marketplace,
    const struct row_sink *k, struct page_info *ret,
    const char **why) MUST_CHECK;
enum err spapi_transactions_page(json_object *page, const struct row_sink *k,
    struct page_info *ret, const char **why) MUST_CHECK;

/* spapi_marketplaces: a new array of the ids the seller takes part in. */
enum err spapi_marketplaces(json_object *page, json_object **ret,
    const char **why) MUST_CHECK;

#endif
