/* pool.c - a stack of sessions: the warmest is lent first. */
#include "fcgi/pool.h"
#include "shared/log.h"
#include "shared/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct pool {
	pthread_mutex_t lock; /* guards all below; nothing blocks under it */
	pthread_cond_t freed;
	struct db **free;
	int n_free;
	int64_t away_until; /* a connect failed: nobody tries before */
	bool away;          /* the last connect failed */
	bool trying;        /* somebody is finding out */
	int size;
};

enum err
pool_open(struct pool **ret, const struct settings *s)
{
	const struct db_options o = { .conninfo = s->db,
		.name = "syncline-fcgi",
		.pooled = s->db_pooled == 1,
		.timeout_ms = (int)s->db_timeout_ms };
	struct pool *p = calloc(1, sizeof *p);
	pthread_condattr_t attr;
	enum err err = ERR_OK;

	if (!p)
		return ERR_NOMEM;
	p->size = (int)s->db_pool;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->freed, &attr);
	pthread_condattr_destroy(&attr);
	p->free = calloc((size_t)p->size, sizeof(struct db *));
	if (!p->free)
		err = ERR_NOMEM;
	while (!err && p->n_free < p->size) {
		err = db_open(&p->free[p->n_free], &o);
		if (!err)
			p->n_free++;
	}
	if (err) {
		pool_close(p);
		return err;
	}
	*ret = p;
	return ERR_OK;
}

void
pool_close(struct pool *p)
{
	if (!p)
		return;
	while (p->n_free > 0)
		db_close(p->free[--p->n_free]);
	free(p->free);
	pthread_cond_destroy(&p->freed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Takes a session off the stack, waiting for one; the lock is held. */
static struct db *
take(struct pool *p)
{
	int64_t end = clock_ms() + POOL_WAIT_MS;
	struct timespec until = { .tv_sec = end / 1000,
		.tv_nsec = end % 1000 * 1000000 };

	while (p->n_free == 0) {
		if (pthread_cond_timedwait(&p->freed, &p->lock, &until))
			return NULL;
	}
	return p->free[--p->n_free];
}

static void
give(struct pool *p, struct db *db)
{
	p->free[p->n_free++] = db;
	pthread_cond_signal(&p->freed);
}

/* What the last connect told; the lock is held. */
static bool
known_away(struct pool *p)
{
	return p->away && (p->trying || clock_ms() < p->away_until);
}

static void
learn(struct pool *p, bool away, const char *text)
{
	if (away != p->away)
		log_at(away ? LOG_ERROR : LOG_INFO,
		    away ? "database_away" : "database_back",
		    LOG_STR("database", away ? text : ""));
	p->away = away;
	p->away_until = clock_ms() + POOL_AWAY_MS;
}

enum err
pool_borrow(struct pool *p, struct db **ret)
{
	struct db *db = NULL;
	enum err err = ERR_OK;
	bool probe = false;

	pthread_mutex_lock(&p->lock);
	if (known_away(p)) {
		err = ERR_DB_AWAY;
	} else {
		probe = p->away; /* from here on others take our word */
		p->trying |= probe;
		db = take(p);
		if (!db)
			err = ERR_LIMITED;
	}
	pthread_mutex_unlock(&p->lock);

	if (db)
		err = db_connect(db);

	pthread_mutex_lock(&p->lock);
	if (probe)
		p->trying = false;
	if (db && (err || p->away))
		learn(p, err != ERR_OK, db_error_text(db));
	if (db && err)
		give(p, db);
	pthread_mutex_unlock(&p->lock);
	if (err)
		return err;
	*ret = db;
	return ERR_OK;
}

void
pool_return(struct pool *p, struct db *db)
{
	if (!db)
		return;
	if (db_in_transaction(db)) {
		log_at(LOG_WARN, "transaction_left_open");
		db_rollback(db);
	}
	pthread_mutex_lock(&p->lock);
	give(p, db);
	pthread_mutex_unlock(&p->lock);
}
