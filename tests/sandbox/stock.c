/* stock.c - works out what a seller's slots hold in Amazon's warehouses. */
#include "draw.h"
#include "model.h"
#include "room.h"

static const char *const conditions[] = { "UsedLikeNew", "UsedVeryGood",
	"UsedGood", "CollectibleLikeNew", "Refurbished" };

static bool
is_twin(const struct model *m, uint32_t slot)
{
	return slot % 2 == 1 &&
	    draw_hash(m->seed, ROOM_STOCK, slot, 1) % 25 == 0;
}

static void
fnsku_make(struct stock *s, uint64_t key)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	uint64_t h = draw_mix(key ^ ROOM_FNSKU);

	memcpy(s->fnsku, "X00", 3);
	for (int i = 3; i < 10; i++) {
		s->fnsku[i] = digits[h % 36];
		h /= 36;
	}
	s->fnsku[10] = '\0';
}

static int
few(struct draw *d, uint32_t chance_in_10, int most)
{
	return draw_below(d, 10) < chance_in_10 ? (int)draw_range(d, 1, most)
						: 0;
}

/*
 * Stock moves in steps of an hour to two days.  Each step draws all
 * quantities anew around a level that falls for a while and is then filled
 * up again.
 */
bool
stock_make(const struct model *m, uint32_t slot, int market, int64_t t,
    struct stock *s)
{
	struct draw d;
	struct product own;
	int64_t every, phase, step, since;
	int level;

	if (market > 0 &&
	    draw_hash(m->seed, ROOM_STOCK, slot, 100 + (uint64_t)market) % 10 >=
		3)
		return false;
	product_make(m, slot, t, &own);
	s->product = own;
	s->condition = "NewItem";
	if (is_twin(m, slot)) {
		/* The neighbour's SKU once more, in another condition. */
		product_make(m, slot - 1, t, &s->product);
		s->condition = conditions[own.key % 5];
	}
	fnsku_make(s, own.key + (uint64_t)market);

	d = draw_from(m->seed, ROOM_STOCK, slot, 2 + (uint64_t)market);
	every = draw_range(&d, 3600, 48 * 3600);
	phase = draw_range(&d, 0, every - 1);
	since = t - m->base + phase;
	step = since / every - (since % every < 0);
	s->timed = draw_below(&d, 10) > 0;
	s->researched = draw_below(&d, 30) > 0;
	s->updated = m->base - phase + step * every;
	if (s->updated < own.born)
		s->updated = own.born;

	d = draw_from(own.key, ROOM_STOCK, (uint64_t)step, (uint64_t)market);
	level = (int)(own.key % 200);
	s->fulfillable = level == 0
	    ? 0
	    : (int)((20 + (uint64_t)-step % 20) * (unsigned)level / 20) +
		(int)draw_below(&d, 5);
	s->inbound_working = few(&d, 1, 500);
	s->inbound_shipped = few(&d, 2, 300);
	s->inbound_receiving = few(&d, 1, 100);
	s->reserved_customer = few(&d, 5, 9);
	s->reserved_transship = few(&d, 2, 20);
	s->reserved_processing = few(&d, 2, 5);
	for (int i = 0; i < 3; i++)
		s->researching[i] = few(&d, 1, 3);
	for (int i = 0; i < 6; i++)
		s->unfulfillable[i] = few(&d, 1, 4);
	return true;
}

int
stock_reserved(const struct stock *s)
{
	return s->reserved_customer + s->reserved_transship +
	    s->reserved_processing;
}

int
stock_researching(const struct stock *s)
{
	int sum = 0;

	for (int i = 0; i < 3; i++)
		sum += s->researching[i];
	return s->researched ? sum : 0;
}

int
stock_unfulfillable(const struct stock *s)
{
	int sum = 0;

	for (int i = 0; i < 6; i++)
		sum += s->unfulfillable[i];
	return sum;
}

int
stock_total(const struct stock *s)
{
	return s->fulfillable + s->inbound_working + s->inbound_shipped +
	    s->inbound_receiving + stock_reserved(s) + stock_researching(s) +
	    stock_unfulfillable(s);
}
