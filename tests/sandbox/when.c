/* when.c - keeps the test clock and reads RFC 3339. */
#include "when.h"

#include <time.h>

int64_t
when_real_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t
real_ms(void)
{
	return when_real_us() / 1000;
}

void
when_init(struct when *w, int64_t now_ms, bool frozen)
{
	*w = (struct when){
		.set_ms = now_ms,
		.real_ms = real_ms(),
		.frozen = frozen,
	};
	pthread_mutex_init(&w->lock, NULL);
}

void
when_fini(struct when *w)
{
	pthread_mutex_destroy(&w->lock);
}

static int64_t
now_locked(const struct when *w)
{
	return w->frozen ? w->set_ms : w->set_ms + real_ms() - w->real_ms;
}

int64_t
when_now_ms(struct when *w)
{
	int64_t now;

	pthread_mutex_lock(&w->lock);
	now = now_locked(w);
	pthread_mutex_unlock(&w->lock);
	return now;
}

void
when_set(struct when *w, int64_t now_ms)
{
	pthread_mutex_lock(&w->lock);
	if (now_ms > now_locked(w))
		w->skipped_ms += now_ms - now_locked(w);
	w->set_ms = now_ms;
	w->real_ms = real_ms();
	pthread_mutex_unlock(&w->lock);
}

void
when_advance(struct when *w, int64_t by_ms)
{
	pthread_mutex_lock(&w->lock);
	if (by_ms > 0)
		w->skipped_ms += by_ms;
	w->set_ms += by_ms;
	pthread_mutex_unlock(&w->lock);
}

void
when_freeze(struct when *w, bool frozen)
{
	pthread_mutex_lock(&w->lock);
	w->set_ms = now_locked(w);
	w->real_ms = real_ms();
	w->frozen = frozen;
	pthread_mutex_unlock(&w->lock);
}

bool
when_frozen(struct when *w)
{
	bool frozen;

	pthread_mutex_lock(&w->lock);
	frozen = w->frozen;
	pthread_mutex_unlock(&w->lock);
	return frozen;
}

int64_t
when_rate_ms(struct when *w)
{
	int64_t ms;

	pthread_mutex_lock(&w->lock);
	ms = real_ms() + w->skipped_ms;
	pthread_mutex_unlock(&w->lock);
	return ms;
}

/* number reads exactly n digits and moves *s past them; -1: not digits. */
static int
number(const char **s, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if ((*s)[i] < '0' || (*s)[i] > '9')
			return -1;
		v = v * 10 + ((*s)[i] - '0');
	}
	*s += n;
	return v;
}

static bool
skip(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

static int64_t
days_of(int y, int m, int d)
{
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243,
		273, 304, 334 };
	int64_t years = y - 1;
	int64_t days = years * 365 + years / 4 - years / 100 + years / 400;
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return days + before[m - 1] + (leap && m > 2) + d - 1 - 719162;
}

static int
days_in(int y, int m)
{
	return m == 12 ? 31 : (int)(days_of(y, m + 1, 1) - days_of(y, m, 1));
}

bool
when_parse_ms(const char *s, int64_t *ret_ms)
{
	int y, mo, d, h, mi, sec, sign, oh, om, digits;
	int64_t ms, frac = 0;

	y = number(&s, 4);
	if (y < 1 || !skip(&s, '-'))
		return false;
	mo = number(&s, 2);
	if (mo < 1 || mo > 12 || !skip(&s, '-'))
		return false;
	d = number(&s, 2);
	if (d < 1 || d > days_in(y, mo))
		return false;
	ms = days_of(y, mo, d) * 86400000;
	if (*s == '\0') {
		*ret_ms = ms;
		return true;
	}
	if (!skip(&s, 'T'))
		return false;
	h = number(&s, 2);
	if (h < 0 || h > 23 || !skip(&s, ':'))
		return false;
	mi = number(&s, 2);
	if (mi < 0 || mi > 59 || !skip(&s, ':'))
		return false;
	sec = number(&s, 2);
	if (sec < 0 || sec > 60)
		return false;
	if (skip(&s, '.')) {
		digits = 0;
		for (; *s >= '0' && *s <= '9'; s++, digits++)
			if (digits < 3)
				frac = frac * 10 + (*s - '0');
		if (digits == 0)
			return false;
		for (; digits < 3; digits++)
			frac *= 10;
	}
	ms += ((int64_t)h * 3600 + mi * 60 + sec) * 1000 + frac;
	if (skip(&s, 'Z')) {
		if (*s != '\0')
			return false;
		*ret_ms = ms;
		return true;
	}
	if (*s != '+' && *s != '-')
		return false;
	sign = *s++ == '+' ? 1 : -1;
	oh = number(&s, 2);
	if (oh < 0 || oh > 23 || !skip(&s, ':'))
		return false;
	om = number(&s, 2);
	if (om < 0 || om > 59 || *s != '\0')
		return false;
	*ret_ms = ms - sign * ((int64_t)oh * 3600 + om * 60) * 1000;
	return true;
}

int64_t
when_floor_s(int64_t ms)
{
	return ms >= 0 ? ms / 1000 : -((-ms + 999) / 1000);
}

int64_t
when_ceil_s(int64_t ms)
{
	return when_floor_s(ms + 999);
}
