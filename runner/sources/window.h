/*
 * window.h - ranges of time that a source is asked for, and their texts.
 *
 * Times are Unix milliseconds.  Nothing blocks.
 */
#ifndef SYNCLINE_WINDOW_H
#define SYNCLINE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_TEXT_MAX 24
#define DAY_MS (INT64_C(86400) * 1000)
#define WINDOW_MOST_MS (30 * DAY_MS)  /* a longer one may come back empty */
#define WINDOW_LEAST_MS (60 * INT64_C(1000)) /* a smaller one is given up */
/* A source's newest moments still move: ask up to this long ago. */
#define WINDOW_SETTLE_MS (180 * INT64_C(1000))

/* A source's clock beside ours, learnt from its answers. */
struct clock {
	int64_t ahead_ms;
	bool known;
};

/* clock_learn: the source just said it is date_ms; 0 is ignored. */
void clock_learn(struct clock *c, int64_t date_ms);
/* clock_now is the source's time; ours while nothing is known. */
int64_t clock_now(const struct clock *c);

/* window_text writes YYYY-MM-DDThh:mm:ssZ, cut to the second. */
const char *window_text(int64_t ms, char buf[WINDOW_TEXT_MAX]);

/* window_parse reads RFC 3339 with an offset or Z. */
bool window_parse(const char *text, int64_t *ret_ms);

/* window_lower: where a sync of a stream begins: the mark reached before
 * (< 0: none) less the overlap, but never before `first`. */
int64_t window_lower(int64_t mark, int64_t overlap_ms, int64_t first);

/* window_end: where a window of at most `span` from `from` ends. */
int64_t window_end(int64_t from, int64_t hi, int64_t span);

/* window_half: half a span, in whole seconds; 0 when it is too small. */
int64_t window_half(int64_t span);

/* window_share: how much of [lo, hi] is done at `at`, 0..1. */
double window_share(int64_t lo, int64_t hi, int64_t at);

#endif
