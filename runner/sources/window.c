/* window.c - arithmetic of time ranges; the calendar is done by hand. */
#include "runner/sources/window.h"

#include "runner/load/load_values.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t
local_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
clock_learn(struct clock *c, int64_t date_ms)
{
	if (date_ms <= 0)
		return;
	c->ahead_ms = date_ms - local_ms();
	c->known = true;
}

int64_t
clock_now(const struct clock *c)
{
	return local_ms() + c->ahead_ms;
}

const char *
window_text(int64_t ms, char buf[WINDOW_TEXT_MAX])
{
	time_t s = (time_t)(ms / 1000 - (ms % 1000 < 0));
	struct tm tm;

	gmtime_r(&s, &tm);
	if (strftime(buf, WINDOW_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		buf[0] = '\0';
	return buf;
}

static int64_t
fraction_ms(const char **s)
{
	int64_t ms = 0, unit = 100;

	if (**s != '.')
		return 0;
	for ((*s)++; **s >= '0' && **s <= '9'; (*s)++) {
		ms += unit * (**s - '0');
		unit /= 10;
	}
	return ms;
}

bool
window_parse(const char *text, int64_t *ret_ms)
{
	struct tm tm = { 0 };
	int64_t ms, offset = 0;
	const char *rest;
	int hours, minutes;

	if (value_problem(LOAD_TIMESTAMP, text, strlen(text)))
		return false;
	if (sscanf(text, "%4d-%2d-%2d%*c%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon,
		&tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	rest = text + 19;
	ms = fraction_ms(&rest);
	if (*rest == '+' || *rest == '-') {
		if (sscanf(rest + 1, "%2d:%2d", &hours, &minutes) != 2)
			return false;
		offset = (hours * 60 + minutes) * (*rest == '+' ? 60 : -60);
	}
	*ret_ms = ((int64_t)timegm(&tm) - offset) * 1000 + ms;
	return true;
}

int64_t
window_lower(int64_t mark, int64_t overlap_ms, int64_t first)
{
	int64_t lo = mark < 0 ? first : mark - overlap_ms;

	return lo < first ? first : lo;
}

int64_t
window_end(int64_t from, int64_t hi, int64_t span)
{
	if (span > WINDOW_MOST_MS)
		span = WINDOW_MOST_MS;
	return hi - from > span ? from + span : hi;
}

int64_t
window_half(int64_t span)
{
	int64_t half = span / 2 / 1000 * 1000;

	return half < WINDOW_LEAST_MS ? 0 : half;
}

double
window_share(int64_t lo, int64_t hi, int64_t at)
{
	if (at >= hi || hi <= lo)
		return 1;
	return at <= lo ? 0 : (double)(at - lo) / (double)(hi - lo);
}
