/*
 * when.h - the test clock, and reading times from text.
 *
 * The clock ticks with the real one from wherever it was set; frozen, it
 * stands still until set or advanced.  Safe from any thread.
 */
#ifndef SANDBOX_WHEN_H
#define SANDBOX_WHEN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct when {
	pthread_mutex_t lock; /* guards all below */
	int64_t set_ms;       /* test time at the last set or advance */
	int64_t real_ms;      /* monotonic time of that moment */
	int64_t skipped_ms;   /* sum of all advances, for rate limits */
	bool frozen;
};

void when_init(struct when *w, int64_t now_ms, bool frozen);
void when_fini(struct when *w);

int64_t when_now_ms(struct when *w);
void when_set(struct when *w, int64_t now_ms);
void when_advance(struct when *w, int64_t by_ms);
void when_freeze(struct when *w, bool frozen);
bool when_frozen(struct when *w);

/*
 * when_rate_ms never goes back and never freezes: a rate limit fills with
 * real time, and at once when a test advances the clock.
 */
int64_t when_rate_ms(struct when *w);

/* Real time for measuring how long a call took. */
int64_t when_real_us(void);

/*
 * when_parse_ms reads RFC 3339 (date alone, fraction and offset allowed).
 * False: not a time; *ret_ms untouched.
 */
bool when_parse_ms(const char *s, int64_t *ret_ms);

/* Whole seconds at or after, and at or before, a time in milliseconds. */
int64_t when_ceil_s(int64_t ms);
int64_t when_floor_s(int64_t ms);

#endif
