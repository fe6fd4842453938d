/*
 * draw.h - numbers that look random and follow from a seed alone.
 *
 * Every fact of the made-up data is drawn from (seed, room, index), so any
 * row at any time can be worked out again without keeping it.
 */
#ifndef SANDBOX_DRAW_H
#define SANDBOX_DRAW_H

#include <stdint.h>

struct draw {
	uint64_t state;
};

/* draw_mix spreads each input bit over all 64 output bits; a bijection. */
static inline uint64_t
draw_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 29;
	x *= 0xa0761d6478bd642fu;
	x ^= x >> 32;
	return x;
}

static inline uint64_t
draw_hash(uint64_t seed, uint64_t room, uint64_t a, uint64_t b)
{
	uint64_t x = draw_mix(seed + room * 0x9fb21c651e98df25u);

	x = draw_mix(x ^ (a * 0xe7037ed1a0b428dbu + 1));
	return draw_mix(x + b * 0x8ebc6af09c88c6e3u + room);
}

static inline struct draw
draw_from(uint64_t seed, uint64_t room, uint64_t a, uint64_t b)
{
	return (struct draw){ draw_hash(seed, room, a, b) };
}

static inline uint64_t
draw_next(struct draw *d)
{
	d->state += 0xa24baed4963ee407u;
	return draw_mix(d->state);
}

/* draw_below gives 0 .. n-1. */
static inline uint32_t
draw_below(struct draw *d, uint32_t n)
{
	return (uint32_t)((draw_next(d) >> 32) * n >> 32);
}

/* draw_range gives lo .. hi, both included. */
static inline int64_t
draw_range(struct draw *d, int64_t lo, int64_t hi)
{
	return lo + draw_below(d, (uint32_t)(hi - lo + 1));
}

#endif
