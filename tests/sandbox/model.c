/* model.c - works out orders: who bought what, and when each one changed. */
#include "model.h"

#include "draw.h"
#include "room.h"

const char *const order_status_names[ORDER_STATUS__MAX] = {
	[ORDER_PENDING] = "PENDING",
	[ORDER_UNSHIPPED] = "UNSHIPPED",
	[ORDER_PARTIALLY_SHIPPED] = "PARTIALLY_SHIPPED",
	[ORDER_SHIPPED] = "SHIPPED",
	[ORDER_CANCELLED] = "CANCELLED",
};

/*
 * The daily rhythm, by UTC hour: orders per hour of an average day that has
 * 1200.  The flow clock runs through a day in the same 86400 seconds, but
 * spends them in proportion to this.
 */
static const int rhythm[24] = { 60, 62, 60, 54, 46, 36, 26, 20, 16, 16, 20, 28,
	38, 48, 56, 62, 66, 68, 70, 70, 70, 70, 70, 68 };

enum {
	RHYTHM_SUM = 1200,
	FLOW_PER_WEIGHT = 86400 / RHYTHM_SUM, /* flow seconds of one order */
	NUMBER_HALF = 10000000,               /* 7 digits */
};

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t
flow_of(int64_t t)
{
	int64_t day = floor_div(t, 86400);
	int64_t s = t - day * 86400;
	int64_t flow = day * 86400;
	int h = 0;

	for (; s >= 3600; s -= 3600)
		flow += rhythm[h++] * FLOW_PER_WEIGHT;
	return flow + s * rhythm[h] * FLOW_PER_WEIGHT / 3600;
}

static int64_t
flow_time(int64_t flow)
{
	int64_t day = floor_div(flow, 86400);
	int64_t f = flow - day * 86400;
	int64_t t = day * 86400;
	int h = 0;

	while (f >= rhythm[h] * FLOW_PER_WEIGHT) {
		f -= rhythm[h++] * FLOW_PER_WEIGHT;
		t += 3600;
	}
	return t + f * 3600 / (rhythm[h] * FLOW_PER_WEIGHT);
}

void
model_init(struct model *m, uint64_t seed, int64_t base, int64_t days,
    uint32_t orders, uint32_t skus, const struct market *const *markets,
    int market_count)
{
	*m = (struct model){
		.seed = seed,
		.start = base - days * 86400,
		.base = base,
		.orders = orders,
		.skus = skus,
		.market_count = market_count,
	};
	for (int i = 0; i < market_count; i++)
		m->markets[i] = markets[i];
	m->flow_start = flow_of(m->start);
	m->flow_span = flow_of(m->base) - m->flow_start;
}

int64_t
order_created(const struct model *m, uint32_t index)
{
	uint64_t jitter = draw_hash(m->seed, ROOM_ARRIVAL, index, 0) & 0xffff;
	unsigned __int128 part =
	    (unsigned __int128)m->flow_span * ((uint64_t)index << 16 | jitter);

	part /= (uint64_t)m->orders << 16;
	return flow_time(m->flow_start + (int64_t)part);
}

uint32_t
order_count(const struct model *m, int64_t t)
{
	uint32_t lo = 0, hi = m->orders, mid;

	if (m->orders == 0 || t < m->start)
		return 0;
	while (hi < MODEL_ORDERS_MAX && order_created(m, hi) <= t)
		hi = hi > MODEL_ORDERS_MAX / 2 ? MODEL_ORDERS_MAX : hi * 2;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (order_created(m, mid) <= t)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * Order numbers: four rounds of mixing one half of 14 digits into the
 * other.  Each round can be undone, so numbers never collide and an order
 * can be found by its number without an index.
 */
static uint64_t
half_mix(const struct model *m, uint64_t half, int round)
{
	return draw_hash(m->seed, ROOM_NUMBER, half, (uint64_t)round) %
	    NUMBER_HALF;
}

static uint64_t
digits_scramble(const struct model *m, uint64_t v, int rounds_from)
{
	uint64_t a = v / NUMBER_HALF, b = v % NUMBER_HALF, next;

	for (int r = rounds_from; r < rounds_from + 4; r++) {
		next = (a + half_mix(m, b, r)) % NUMBER_HALF;
		a = b;
		b = next;
	}
	return a * NUMBER_HALF + b;
}

static uint64_t
digits_restore(const struct model *m, uint64_t v)
{
	uint64_t a = v / NUMBER_HALF, b = v % NUMBER_HALF, last;

	for (int r = 3; r >= 0; r--) {
		last = (b + NUMBER_HALF - half_mix(m, a, r)) % NUMBER_HALF;
		b = a;
		a = last;
	}
	return a * NUMBER_HALF + b;
}

uint64_t
order_number(const struct model *m, uint32_t index)
{
	static const int prefixes[] = { 111, 112, 113, 114, 701, 702, 303, 26 };
	uint64_t prefix =
	    (uint64_t)prefixes[draw_hash(m->seed, ROOM_NUMBER, index, 99) & 7];

	return prefix * NUMBER_HALF * NUMBER_HALF +
	    digits_scramble(m, index, 0);
}

bool
order_find(const struct model *m, uint64_t number, uint32_t *ret_index)
{
	uint64_t index =
	    digits_restore(m, number % ((uint64_t)NUMBER_HALF * NUMBER_HALF));

	if (m->orders == 0 || index >= MODEL_ORDERS_MAX ||
	    order_number(m, (uint32_t)index) != number)
		return false;
	*ret_index = (uint32_t)index;
	return true;
}

void
order_id(struct buf *b, uint64_t number)
{
	buf_digits(b, number / NUMBER_HALF / NUMBER_HALF, 3);
	buf_ch(b, '-');
	buf_digits(b, number / NUMBER_HALF % NUMBER_HALF, 7);
	buf_ch(b, '-');
	buf_digits(b, number % NUMBER_HALF, 7);
}

bool
order_id_parse(const char *s, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (strlen(s) != 19)
		return false;
	for (int i = 0; i < 19; i++) {
		if (i == 3 || i == 11) {
			if (s[i] != '-')
				return false;
			continue;
		}
		if (s[i] < '0' || s[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(s[i] - '0');
	}
	*ret_number = number;
	return true;
}

static void
stage_add(struct order *o, int64_t at, enum order_status status)
{
	o->stages[o->stage_count].at = at;
	o->stages[o->stage_count].status = status;
	o->stage_count++;
}

static int64_t
pending_for(struct draw *d)
{
	uint32_t r = draw_below(d, 100);

	if (r < 60)
		return draw_range(d, 300, 1800);
	if (r < 95)
		return draw_range(d, 1800, 6 * 3600);
	return draw_range(d, 6 * 3600, 5 * 86400);
}

static int64_t
packing_for(struct draw *d)
{
	uint32_t r = draw_below(d, 100);

	if (r < 70)
		return draw_range(d, 2 * 3600, 86400);
	if (r < 95)
		return draw_range(d, 86400, 3 * 86400);
	return draw_range(d, 3 * 86400, 10 * 86400);
}

static void
stages_make(struct order *o, struct draw *d, int units)
{
	uint32_t fate = draw_below(d, 1000);
	int64_t at = o->created;

	stage_add(o, at, ORDER_PENDING);
	if (fate < 20) {
		at += draw_range(d, 600, 86400);
		stage_add(o, at, ORDER_CANCELLED);
		return;
	}
	at += pending_for(d);
	stage_add(o, at, ORDER_UNSHIPPED);
	at += packing_for(d);
	if (fate < 40) {
		stage_add(o, at, ORDER_CANCELLED);
		return;
	}
	if (fate < 200 && units > 1) {
		stage_add(o, at, ORDER_PARTIALLY_SHIPPED);
		at += packing_for(d);
	}
	stage_add(o, at, ORDER_SHIPPED);
	/* A later touch changes nothing but lastUpdatedTime. */
	if (draw_below(d, 10) == 0)
		stage_add(
		    o, at + draw_range(d, 86400, 20 * 86400), ORDER_SHIPPED);
}

static int
lines_drawn(struct draw *d)
{
	uint32_t r = draw_below(d, 100);

	return r < 67 ? 1 : r < 87 ? 2 : r < 96 ? 3 : 4;
}

void
order_make(const struct model *m, uint32_t index, struct order *o)
{
	struct draw d = draw_from(m->seed, ROOM_ORDER, index, 0);
	int units = 0;

	o->index = index;
	o->number = order_number(m, index);
	o->created = order_created(m, index);
	o->stage_count = 0;
	o->market = m->markets[0];
	if (m->market_count > 1 && draw_below(&d, 4) == 0)
		o->market = m->markets[1 +
		    draw_below(&d, (uint32_t)m->market_count - 1)];
	o->by_amazon = draw_below(&d, 100) < 70;
	o->prime = draw_below(&d, 100) < 30;
	o->off_amazon = draw_below(&d, 200) == 0;
	o->line_count = m->skus == 0 ? 0 : lines_drawn(&d);
	for (int k = 0; k < o->line_count; k++) {
		o->lines[k].slot = draw_below(&d, m->skus);
		o->lines[k].quantity =
		    draw_below(&d, 10) < 8 ? 1 : (int)draw_range(&d, 2, 4);
		units += o->lines[k].quantity;
	}
	stages_make(o, &d, units);
	o->late = draw_below(&d, 50) == 0 ? draw_range(&d, 30, 300) : 0;
	/* What exists at the start clock can be seen at the start clock. */
	if (o->created < m->base && o->late > m->base - o->created)
		o->late = m->base - o->created;
}

int
order_stage_at(const struct order *o, int64_t t)
{
	int stage = -1;

	for (int k = 0; k < o->stage_count; k++)
		if (o->stages[k].at + o->late <= t)
			stage = k;
	return stage;
}

bool
order_has_money(const struct order *o, int stage)
{
	if (o->stages[stage].status == ORDER_PENDING)
		return false;
	/* Cancelled before payment: there never was a price. */
	return o->stages[stage].status != ORDER_CANCELLED || stage > 1;
}

void
line_make(const struct model *m, const struct order *o, int k, struct line *l)
{
	struct draw d = draw_from(m->seed, ROOM_LINE, o->index, (uint64_t)k);

	product_make(m, o->lines[k].slot, o->created, &l->product);
	l->item_id = digits_scramble(
	    m, (uint64_t)o->index * MODEL_LINES_MAX + (uint64_t)k, 10);
	l->quantity = o->lines[k].quantity;
	l->unit = l->product.price;
	if (draw_below(&d, 5) == 0)
		l->unit += l->unit * draw_range(&d, -5, 5) / 100;
	l->shipping = draw_below(&d, 5) == 0 ? draw_range(&d, 99, 1299) : 0;
	l->tax = draw_below(&d, 10) < 8 ? l->unit * 825 / 10000 : 0;
	l->discount = draw_below(&d, 10) == 0 ? l->unit / 10 : 0;
}

int64_t
line_total(const struct line *l)
{
	return l->quantity * (l->unit + l->shipping + l->tax - l->discount);
}

int
line_fulfilled(const struct order *o, int k, enum order_status status)
{
	if (status == ORDER_SHIPPED)
		return o->lines[k].quantity;
	if (status != ORDER_PARTIALLY_SHIPPED || k > 0)
		return 0;
	/* The first parcel holds the first position, or one unit of it. */
	return o->line_count > 1 ? o->lines[0].quantity : 1;
}
