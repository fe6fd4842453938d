/*
 * limits.c - token buckets in this runner's memory.
 */
#include "runner/sources/limits.h"
#include "shared/clock.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define BUCKETS_MAX 200000
#define IDLE_MS (3600 * 1000) /* unused for so long: may be forgotten */
#define WAIT_MAX_MS (15 * 60 * 1000)
#define DOUBLINGS_MAX 6

struct bucket {
	char *key; /* operation, then account */
	double tokens;
	double rate; /* calls a second, scaled */
	int64_t at_ms; /* when tokens was true */
	unsigned refusals; /* in a row */
	UT_hash_handle hh;
};

struct limits {
	pthread_mutex_t lock; /* guards all below; nothing blocks under it */
	struct bucket *buckets;
	double scale;
	unsigned seed;
};

enum err
limits_open(struct limits **ret, double scale)
{
	struct limits *l;

	if (!(scale > 0))
		return ERR_INVAL;
	l = calloc(1, sizeof *l);
	if (!l)
		return ERR_NOMEM;
	pthread_mutex_init(&l->lock, NULL);
	l->scale = scale;
	l->seed = (unsigned)clock_ms();
	*ret = l;
	return ERR_OK;
}

static void
drop(struct limits *l, struct bucket *b)
{
	HASH_DEL(l->buckets, b);
	free(b->key);
	free(b);
}

void
limits_close(struct limits *l)
{
	struct bucket *b, *next;

	if (!l)
		return;
	HASH_ITER(hh, l->buckets, b, next)
		drop(l, b);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* Makes room when there are too many: those nobody has used for long go. */
static void
forget_idle(struct limits *l, int64_t now)
{
	struct bucket *b, *next;

	if (HASH_COUNT(l->buckets) < BUCKETS_MAX)
		return;
	HASH_ITER(hh, l->buckets, b, next)
	{
		if (now - b->at_ms > IDLE_MS)
			drop(l, b);
	}
}

/* The bucket, filled up to now; NULL when memory is gone.  Under the lock. */
static struct bucket *
find(struct limits *l, const char *account, const struct limit *op)
{
	int64_t now = clock_ms();
	struct bucket *b;
	char *key;

	if (asprintf(&key, "%s %s", op->name, account) < 0)
		return NULL;
	HASH_FIND_STR(l->buckets, key, b);
	if (b) {
		free(key);
		b->tokens += (double)(now - b->at_ms) / 1000 * b->rate;
		if (b->tokens > op->burst)
			b->tokens = op->burst;
		b->at_ms = now;
		return b;
	}
	forget_idle(l, now);
	b = calloc(1, sizeof *b);
	if (!b) {
		free(key);
		return NULL;
	}
	*b = (struct bucket){ .key = key, .tokens = 1,
		.rate = op->rate * l->scale, .at_ms = now };
	HASH_ADD_KEYPTR(hh, l->buckets, b->key, strlen(b->key), b);
	return b;
}

static int64_t
bounded(double ms)
{
	return ms < WAIT_MAX_MS ? (int64_t)ceil(ms) : WAIT_MAX_MS;
}

int64_t
limits_take(struct limits *l, const char *account, const struct limit *op)
{
	struct bucket *b;
	int64_t wait = 0;

	pthread_mutex_lock(&l->lock);
	b = find(l, account, op);
	if (b && b->tokens >= 1)
		b->tokens -= 1;
	else if (b)
		wait = bounded((1 - b->tokens) / b->rate * 1000);
	pthread_mutex_unlock(&l->lock);
	return wait;
}

void
limits_learn(struct limits *l, const char *account, const struct limit *op,
    double rate)
{
	struct bucket *b;

	if (!(rate > 0))
		return;
	pthread_mutex_lock(&l->lock);
	b = find(l, account, op);
	if (b)
		b->rate = rate;
	pthread_mutex_unlock(&l->lock);
}

int64_t
limits_refused(struct limits *l, const char *account, const struct limit *op,
    int64_t retry_after_ms)
{
	struct bucket *b;
	double wait = 1000;
	unsigned doublings;

	pthread_mutex_lock(&l->lock);
	b = find(l, account, op);
	if (b) {
		b->tokens = 0;
		wait = 1000 / b->rate;
		doublings = b->refusals < DOUBLINGS_MAX ? b->refusals
							: DOUBLINGS_MAX;
		b->refusals++;
		wait *= (double)(1u << doublings);
	}
	if (retry_after_ms >= 0)
		wait = (double)retry_after_ms;
	/* up to a tenth more, so that the refused do not come together */
	wait *= 1 + (double)(rand_r(&l->seed) % 1000) / 10000;
	pthread_mutex_unlock(&l->lock);
	return bounded(wait < 10 ? 10 : wait);
}

void
limits_accepted(
    struct limits *l, const char *account, const struct limit *op)
{
	struct bucket *b;

	pthread_mutex_lock(&l->lock);
	b = find(l, account, op);
	if (b)
		b->refusals = 0;
	pthread_mutex_unlock(&l->lock);
}
