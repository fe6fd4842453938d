/* product.c - works out what a slot sells: SKU, ASIN, price, title. */
#include <stdio.h>

#include "draw.h"
#include "model.h"
#include "room.h"

/* The first product of a slot counts as generation GEN_ZERO, never < 0. */
enum { GEN_ZERO = 1000 };

static const char *const adjectives[] = { "Stainless", "Organic", "Foldable",
	"Wireless", "Handmade", "Ultra-Light", "Premium", "Compact", "Vintage",
	"Waterproof", "Adjustable", "Ergonomic", "Portable", "Recycled",
	"Ceramic", "Bamboo" };
static const char *const nouns[] = { "Water Bottle", "Yoga Mat", "Desk Lamp",
	"Phone Stand", "Travel Mug", "Cutting Board", "Backpack", "Headphones",
	"Garden Hose", "Dog Leash", "Picture Frame", "Shower Curtain",
	"Kitchen Scale", "Tent", "Keyboard", "Umbrella" };
static const char *const tails[] = { "Black", "Blue", "Pack of 2", "32 oz",
	"Large", "for Kids", "with Lid", "Set of 4", "2nd Edition", "USB-C",
	"XL", "Gift Box", "10 ft", "Matte", "Green", "Refill" };
static const char *const awkward[] = {
	("Gr\xc3\xb6\xc3\x9f"
	 "entabelle & Stra\xc3\x9f"
	 "enschuh \xe2\x80\x93 "
	 "N\xc2\xba 5"),
	"15.6\" Laptop Sleeve, 'soft' \"touch\"",
	"Tab\there\tand\tthere",
	"Back\\slash C:\\temp\\new \\N \\. \\t",
	"Two\nlines\r\nand a third",
	"\xe6\xb0\xb4\xe7\xad\x92 "
	"\xe3\x82\xb9\xe3\x83\x86\xe3\x83\xb3\xe3\x83\xac\xe3\x82\xb9 500ml",
	("Party \xf0\x9f\x8e\x89 Set "
	 "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7 "
	 "\xe2\x80\xa8line separator"),
	"<b>Bold</b> &amp; 100% {\"json\": [1, null]} ;--",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int64_t
price_drawn(struct draw *d)
{
	uint32_t r = draw_below(d, 1000);

	if (r < 700)
		return draw_range(d, 500, 4000);
	if (r < 950)
		return draw_range(d, 4000, 20000);
	if (r < 989)
		return draw_range(d, 20000, 200000);
	if (r < 999)
		return draw_range(d, 10, 500);
	return draw_range(d, 1000000, 12000000);
}

/* One SKU in 40 holds what URLs, JSON and COPY have to escape. */
static void
sku_make(struct product *p, uint32_t gen)
{
	uint64_t h = draw_mix(p->key);
	char a = (char)('A' + h % 26);
	char b = (char)('A' + h / 26 % 26);
	unsigned slot = p->slot;

	switch (h / 1000 % 200) {
	case 0:
		snprintf(p->sku, sizeof(p->sku),
		    "Gr\xc3\xb6\xc3\x9f"
		    "e %u/%u",
		    slot, gen);
		break;
	case 1:
		snprintf(p->sku, sizeof(p->sku), "%c+%c & co %u=%u", a, b, slot,
		    gen);
		break;
	case 2:
		snprintf(
		    p->sku, sizeof(p->sku), "%c \"%u\" %u'%c", a, slot, gen, b);
		break;
	case 3:
		snprintf(
		    p->sku, sizeof(p->sku), "%c%c\\%u\\%u", a, b, slot, gen);
		break;
	case 4:
		snprintf(p->sku, sizeof(p->sku),
		    "\xe5\x95\x86\xe5\x93\x81-%u-%u", slot, gen);
		break;
	default:
		snprintf(
		    p->sku, sizeof(p->sku), "%c%c-%05u-%u", a, b, slot, gen);
	}
}

void
product_make(const struct model *m, uint32_t slot, int64_t t, struct product *p)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct draw d = draw_from(m->seed, ROOM_SLOT, slot, 0);
	/* Lives of 60 to 140 days: about one in a hundred ends each day. */
	int64_t life = draw_range(&d, 60 * 86400, 140 * 86400);
	int64_t phase = draw_range(&d, 0, life - 1);
	int64_t since = t - m->base + phase;
	int64_t gen = since / life - (since % life < 0);
	uint64_t h;

	p->slot = slot;
	p->born = m->base - phase + gen * life;
	p->dies = p->born + life;
	p->key = draw_hash(m->seed, ROOM_PRODUCT, slot, (uint64_t)gen);
	d = draw_from(p->key, ROOM_PRODUCT, 1, 0);
	p->price = price_drawn(&d);
	sku_make(p, (uint32_t)(gen + GEN_ZERO));
	h = draw_next(&d);
	p->asin[0] = 'B';
	p->asin[1] = '0';
	for (int i = 2; i < 10; i++) {
		p->asin[i] = digits[h % 36];
		h /= 36;
	}
	p->asin[10] = '\0';
}

void
product_title(const struct product *p, struct buf *raw)
{
	struct draw d = draw_from(p->key, ROOM_TITLE, 0, 0);
	uint32_t kind = draw_below(&d, 1000);
	int64_t until;

	if (kind < 40) {
		buf_str(raw, awkward[kind % COUNT(awkward)]);
		buf_ch(raw, ' ');
	}
	buf_str(raw, adjectives[draw_below(&d, COUNT(adjectives))]);
	buf_ch(raw, ' ');
	buf_str(raw, nouns[draw_below(&d, COUNT(nouns))]);
	buf_lit(raw, ", ");
	buf_str(raw, tails[draw_below(&d, COUNT(tails))]);
	if (kind < 995)
		return;
	until = draw_range(&d, 2000, 6000);
	while ((int64_t)raw->len < until) {
		buf_lit(raw, " / ");
		buf_str(raw, awkward[draw_below(&d, COUNT(awkward))]);
		buf_ch(raw, ' ');
		buf_str(raw, nouns[draw_below(&d, COUNT(nouns))]);
	}
}
