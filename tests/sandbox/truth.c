/* truth.c - the rows a perfect client holds, as PostgreSQL COPY text. */
#include <stdio.h>
#include <stdlib.h>

#include "call.h"
#include "txn_json.h"

enum table { ORDERS, ORDER_ITEMS, INVENTORY, TRANSACTIONS, TABLE__MAX };

static const char *const table_names[TABLE__MAX] = { "orders", "order_items",
	"inventory", "transactions" };

/* One row to be written: what it sorts by, and where it comes from. */
struct row {
	uint64_t key;
	uint32_t index; /* order, or place in stocks */
	int part;       /* slot of a money event */
};

struct truth {
	enum table table;
	const struct model *model;
	const char *seller;
	int64_t at;
	int64_t before; /* INT64_MAX: no bound */
	struct row *rows;
	size_t count;
	size_t cap;
	size_t next;
	struct stock *stocks;
	int *stock_markets;
	struct buf raw;  /* scratch */
	struct buf text; /* scratch */
	struct buf out;
	size_t sent;
};

static void
truth_free(void *arg)
{
	struct truth *tr = arg;

	free(tr->rows);
	free(tr->stocks);
	free(tr->stock_markets);
	buf_fini(&tr->raw);
	buf_fini(&tr->text);
	buf_fini(&tr->out);
	free(tr);
}

static void *
must(void *p)
{
	if (p == NULL) {
		fputs("sandbox-seller: out of memory\n", stderr);
		abort();
	}
	return p;
}

static void
row_add(struct truth *tr, uint64_t key, uint32_t index, int part)
{
	if (tr->count == tr->cap) {
		tr->cap = tr->cap ? tr->cap * 2 : 1024;
		tr->rows = must(realloc(tr->rows, tr->cap * sizeof(*tr->rows)));
	}
	tr->rows[tr->count++] =
	    (struct row){ .key = key, .index = index, .part = part };
}

static void
row_id(const struct truth *tr, const struct row *r, char id[44])
{
	struct txn t = { .order_index = r->index, .slot = r->part };

	txn_id(tr->model, &t, id);
}

static int
row_cmp(const void *va, const void *vb, void *arg)
{
	const struct truth *tr = arg;
	const struct row *a = va, *b = vb;
	char ida[44], idb[44];

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (tr->table != TRANSACTIONS)
		return 0;
	row_id(tr, a, ida);
	row_id(tr, b, idb);
	return strcmp(ida, idb);
}

static void
collect_orders(struct truth *tr)
{
	uint32_t n = order_count(tr->model, tr->at);
	struct order o;
	int stage;

	for (uint32_t i = 0; i < n; i++) {
		order_make(tr->model, i, &o);
		stage = order_stage_at(&o, tr->at);
		if (stage >= 0 && o.stages[stage].at < tr->before)
			row_add(tr, o.number, i, 0);
	}
}

static void
collect_txns(struct truth *tr)
{
	uint32_t n = order_count(tr->model, tr->at);
	struct txn txns[MODEL_TXNS_MAX];
	struct order o;
	uint64_t key;
	char id[44];
	int count;

	for (uint32_t i = 0; i < n; i++) {
		order_make(tr->model, i, &o);
		count = txns_make(tr->model, &o, txns);
		for (int k = 0; k < count; k++) {
			const struct txn *t = &txns[k];

			if (t->posted + t->late > tr->at ||
			    t->posted >= tr->before)
				continue;
			txn_id(tr->model, t, id);
			key = 0;
			for (int c = 0; c < 8; c++)
				key = key << 8 | (unsigned char)id[c];
			row_add(tr, key, i, t->slot);
		}
	}
}

static int
stock_cmp(const void *va, const void *vb, void *arg)
{
	const struct truth *tr = arg;
	const struct row *ra = va, *rb = vb;
	const struct stock *a = &tr->stocks[ra->index];
	const struct stock *b = &tr->stocks[rb->index];
	int cmp;

	cmp = strcmp(tr->model->markets[tr->stock_markets[ra->index]]->id,
	    tr->model->markets[tr->stock_markets[rb->index]]->id);
	if (cmp == 0)
		cmp = strcmp(a->product.sku, b->product.sku);
	if (cmp == 0)
		cmp = strcmp(a->fnsku, b->fnsku);
	return cmp ? cmp : strcmp(a->condition, b->condition);
}

static void
collect_stock(struct truth *tr)
{
	const struct model *m = tr->model;
	size_t most = (size_t)m->skus * (size_t)m->market_count;
	struct stock s;

	tr->stocks = must(calloc(most + 1, sizeof(*tr->stocks)));
	tr->stock_markets = must(calloc(most + 1, sizeof(int)));
	for (int market = 0; market < m->market_count; market++) {
		for (uint32_t slot = 0; slot < m->skus; slot++) {
			if (!stock_make(m, slot, market, tr->at, &s))
				continue;
			tr->stocks[tr->count] = s;
			tr->stock_markets[tr->count] = market;
			row_add(tr, 0, (uint32_t)tr->count, 0);
		}
	}
}

static void
tab(struct buf *b)
{
	buf_ch(b, '\t');
}

static void
null(struct buf *b)
{
	buf_lit(b, "\\N");
}

static void
order_row(struct truth *tr, const struct row *r)
{
	struct buf *b = &tr->out;
	int64_t total = 0;
	struct order o;
	struct line l;
	int stage;

	order_make(tr->model, r->index, &o);
	stage = order_stage_at(&o, tr->at);
	order_id(b, o.number);
	tab(b);
	buf_str(b, o.market->id);
	tab(b);
	buf_str(b, o.off_amazon ? "NON_AMAZON" : "AMAZON");
	tab(b);
	buf_str(b, order_status_names[o.stages[stage].status]);
	tab(b);
	buf_str(b, o.by_amazon ? "AMAZON" : "MERCHANT");
	tab(b);
	buf_time(b, o.created);
	tab(b);
	buf_time(b, o.stages[stage].at);
	tab(b);
	if (order_has_money(&o, stage)) {
		for (int k = 0; k < o.line_count; k++) {
			line_make(tr->model, &o, k, &l);
			total += line_total(&l);
		}
		buf_money(b, total, o.market->decimals);
		tab(b);
		buf_str(b, o.market->currency);
	} else {
		null(b);
		tab(b);
		null(b);
	}
	tab(b);
	buf_i64(b, o.line_count);
	buf_ch(b, '\n');
}

static void
item_row(struct truth *tr, const struct order *o, int stage, int k,
    const struct line *l)
{
	enum order_status status = o->stages[stage].status;
	int sent = line_fulfilled(o, k, status);
	struct buf *b = &tr->out;

	order_id(b, o->number);
	tab(b);
	buf_digits(b, l->item_id, 14);
	tab(b);
	buf_str(b, l->product.asin);
	tab(b);
	buf_copy(b, l->product.sku, strlen(l->product.sku));
	tab(b);
	tr->raw.len = 0;
	product_title(&l->product, &tr->raw);
	buf_copy(b, tr->raw.p, tr->raw.len);
	tab(b);
	buf_i64(b, l->quantity);
	tab(b);
	buf_i64(b, sent);
	tab(b);
	buf_i64(b, status == ORDER_CANCELLED ? 0 : l->quantity - sent);
	tab(b);
	if (order_has_money(o, stage)) {
		buf_money(b, l->unit, o->market->decimals);
		tab(b);
		buf_str(b, o->market->currency);
		tab(b);
		buf_money(b, line_total(l), o->market->decimals);
	} else {
		null(b);
		tab(b);
		null(b);
		tab(b);
		null(b);
	}
	buf_ch(b, '\n');
}

static void
item_rows(struct truth *tr, const struct row *r)
{
	struct line lines[MODEL_LINES_MAX];
	int sorted[MODEL_LINES_MAX];
	struct order o;
	int stage;

	order_make(tr->model, r->index, &o);
	stage = order_stage_at(&o, tr->at);
	for (int k = 0; k < o.line_count; k++) {
		int at = k;

		line_make(tr->model, &o, k, &lines[k]);
		while (at > 0 &&
		    lines[sorted[at - 1]].item_id > lines[k].item_id) {
			sorted[at] = sorted[at - 1];
			at--;
		}
		sorted[at] = k;
	}
	for (int i = 0; i < o.line_count; i++)
		item_row(tr, &o, stage, sorted[i], &lines[sorted[i]]);
}

static void
stock_row(struct truth *tr, const struct row *r)
{
	const struct stock *s = &tr->stocks[r->index];
	struct buf *b = &tr->out;

	buf_str(b, tr->model->markets[tr->stock_markets[r->index]]->id);
	tab(b);
	buf_copy(b, s->product.sku, strlen(s->product.sku));
	tab(b);
	buf_str(b, s->fnsku);
	tab(b);
	buf_str(b, s->condition);
	tab(b);
	buf_str(b, s->product.asin);
	tab(b);
	tr->raw.len = 0;
	product_title(&s->product, &tr->raw);
	buf_copy(b, tr->raw.p, tr->raw.len);
	buf_fmt(b, "\t%d\t%d\t%d\t%d\t%d\t%d\t", stock_total(s), s->fulfillable,
	    s->inbound_working, s->inbound_shipped, s->inbound_receiving,
	    stock_reserved(s));
	if (s->researched)
		buf_i64(b, stock_researching(s));
	else
		null(b);
	tab(b);
	buf_i64(b, stock_unfulfillable(s));
	tab(b);
	if (s->timed)
		buf_time(b, s->updated);
	else
		null(b);
	buf_ch(b, '\n');
}

static void
json_column(struct truth *tr, bool present)
{
	tab(&tr->out);
	if (present)
		buf_copy(&tr->out, tr->text.p, tr->text.len);
	else
		null(&tr->out);
	tr->text.len = 0;
}

static void
txn_row(struct truth *tr, const struct row *r)
{
	struct txn txns[MODEL_TXNS_MAX];
	struct buf *b = &tr->out;
	struct order o;
	struct sum s;
	char text[44];
	int64_t group;
	int k = 0;

	order_make(tr->model, r->index, &o);
	txns_make(tr->model, &o, txns);
	while (txns[k].slot != r->part)
		k++;
	sum_make(tr->model, tr->seller, &o, &txns[k], tr->at, &s);

	txn_id(tr->model, &txns[k], text);
	buf_str(b, text);
	tab(b);
	buf_str(b, sum_type(&s));
	tab(b);
	buf_str(b, sum_status(&s));
	tab(b);
	buf_copy(b, sum_description(&s), strlen(sum_description(&s)));
	tab(b);
	buf_time(b, txns[k].posted);
	tab(b);
	buf_money(b, s.total, s.market->decimals);
	tab(b);
	buf_str(b, s.market->currency);
	tab(b);
	buf_str(b, sum_has_market(&s) ? s.market->id : "\\N");
	tab(b);
	if (sum_has_order(&s))
		order_id(b, o.number);
	else
		null(b);
	tab(b);
	sum_shipment_id(&s, text);
	buf_str(b, text[0] ? text : "\\N");
	tab(b);
	group = txn_group(&txns[k], tr->at);
	if (group >= 0)
		txn_group_id(tr->model, group, text);
	buf_str(b, group >= 0 ? text : "\\N");
	json_column(tr, sum_related(&s, &tr->text));
	json_column(tr, sum_breakdowns(&s, &tr->text));
	json_column(tr, sum_items(&s, &tr->raw, &tr->text));
	json_column(tr, sum_contexts(&s, &tr->text));
	buf_ch(b, '\n');
}

static int64_t
truth_read(void *arg, char *p, size_t max)
{
	struct truth *tr = arg;
	size_t n;

	if (tr->sent == tr->out.len) {
		tr->sent = tr->out.len = 0;
		while (tr->out.len < 64 * 1024 && tr->next < tr->count) {
			const struct row *r = &tr->rows[tr->next++];

			switch (tr->table) {
			case ORDERS:
				order_row(tr, r);
				break;
			case ORDER_ITEMS:
				item_rows(tr, r);
				break;
			case INVENTORY:
				stock_row(tr, r);
				break;
			case TRANSACTIONS:
				txn_row(tr, r);
				break;
			case TABLE__MAX:
				break;
			}
		}
	}
	n = tr->out.len - tr->sent;
	if (n > max)
		n = max;
	memcpy(p, tr->out.p + tr->sent, n);
	tr->sent += n;
	return (int64_t)n;
}

static bool
time_given(const struct call *c, const char *name, int64_t *ret_ms)
{
	const char *text = param_get(&c->params, name);

	return text == NULL || when_parse_ms(text, ret_ms);
}

void
truth_open(
    struct sandbox *sb, struct call *c, const char *table, struct reply *rp)
{
	const char *id = param_get(&c->params, "seller");
	struct seller *s = id == NULL ? NULL : sellers_find(&sb->sellers, id);
	int64_t at_ms = c->now_ms, before_ms = INT64_MAX;
	struct truth *tr;
	int t = 0;

	while (t < TABLE__MAX && strcmp(table_names[t], table) != 0)
		t++;
	if (t == TABLE__MAX || s == NULL) {
		reply_error(rp, 404, "NotFound",
		    "There is no such table or seller.", NULL);
		return;
	}
	if (!time_given(c, "at", &at_ms) ||
	    !time_given(c, "updated_before", &before_ms)) {
		reply_invalid(rp, "at and updated_before are RFC 3339 times.");
		return;
	}
	tr = must(calloc(1, sizeof(*tr)));
	tr->table = (enum table)t;
	tr->model = &s->model;
	tr->seller = s->id;
	tr->at = when_floor_s(at_ms);
	tr->before =
	    before_ms == INT64_MAX ? INT64_MAX : when_ceil_s(before_ms);
	if (tr->table == INVENTORY)
		collect_stock(tr);
	else if (tr->table == TRANSACTIONS)
		collect_txns(tr);
	else
		collect_orders(tr);
	if (tr->count > 0)
		qsort_r(tr->rows, tr->count, sizeof(*tr->rows),
		    tr->table == INVENTORY ? stock_cmp : row_cmp, tr);
	rp->content_type = "text/plain; charset=utf-8";
	rp->stream = (struct stream){
		.read = truth_read, .free = truth_free, .arg = tr, .length = -1
	};
}
