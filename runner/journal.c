/* journal.c - one thread that turns a queue into batches. */
#include "runner/journal.h"
#include "runner/batch.h"
#include "shared/clock.h"
#include "shared/db.h"
#include "shared/json.h"
#include "shared/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define RETRY_MS 100
#define CALL_TIMEOUT_MS 10000

struct journal {
	const struct settings *s;
	struct lease *lease;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	struct journal_entry *queue;
	struct db *db; /* the thread's; here to be interrupted */
	bool stopping;
	int64_t stop_ms;

	uint64_t term_no; /* of the session; the thread's alone */
	_Atomic int64_t troubled_ms;
};

void
journal_text(char *to, size_t size, const char *from)
{
	size_t n;

	if (!from)
		from = "";
	n = strnlen(from, size - 1);
	/* no cut in the middle of a character */
	while (n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80)
		n--;
	memcpy(to, from, n);
	to[n] = '\0';
	for (size_t i = 0; i < n && !utf8_valid(to, n); i++) {
		if ((unsigned char)to[i] >= 0x80)
			to[i] = '?';
	}
}

/* --- answers ---------------------------------------------------------- */

static void
tell(struct batch *b, enum err err)
{
	for (size_t i = 0; i < b->n; i++) {
		struct journal_entry *e = b->entries[i];

		e->on_done(e, err ? err : e->answered ? ERR_OK : ERR_FENCED);
	}
	b->n = 0;
}

/* --- the queue -------------------------------------------------------- */

static bool
stale(const struct journal_entry *e, const struct term *t)
{
	return e->kind == JOURNAL_CLAIM ? t == NULL : e->term != t;
}

/*
 * Takes entries in their order, one to a sync: two changes of one sync go
 * to two batches.
 */
static void
collect(struct journal *j, struct batch *b)
{
	struct journal_entry *seen = NULL, *e, *next;

	pthread_mutex_lock(&j->lock);
	DL_FOREACH_SAFE(j->queue, e, next)
	{
		struct journal_entry *twin;

		HASH_FIND_STR(seen, e->sync_id, twin);
		if (twin || b->n == JOURNAL_BATCH_MAX)
			break;
		HASH_ADD_STR(seen, sync_id, e);
		if (!e->hh.tbl && b->n > 0)
			break; /* no memory: a small batch is fine */
		DL_DELETE(j->queue, e);
		e->answered = false;
		b->entries[b->n++] = e;
	}
	HASH_CLEAR(hh, seen);
	pthread_mutex_unlock(&j->lock);
}

/* Puts entries back to the head, in their order. */
static void
put_back(struct journal *j, struct batch *b)
{
	pthread_mutex_lock(&j->lock);
	for (size_t i = b->n; i-- > 0;) {
		b->entries[i]->tried = true;
		DL_PREPEND(j->queue, b->entries[i]);
	}
	b->n = 0;
	pthread_mutex_unlock(&j->lock);
}

/* A session that carries the term's name. */
static enum err
db_for(struct journal *j, const struct term *t)
{
	const struct db_options o = {
		.conninfo = j->s->db,
		.name = t->runner_id,
		.timeout_ms = CALL_TIMEOUT_MS,
	};
	struct db *db, *old;
	enum err err;

	if (j->term_no == t->no) {
		db_resume(j->db);
		return ERR_OK;
	}
	err = db_open(&db, &o);
	if (err)
		return err;
	pthread_mutex_lock(&j->lock);
	old = j->db;
	j->db = db;
	pthread_mutex_unlock(&j->lock);
	db_close(old);
	j->term_no = t->no;
	return ERR_OK;
}

/* Whether waiting may help; the outcome is unknown then. */
static bool
passing(enum err err)
{
	return err == ERR_DB_AWAY || err == ERR_TIMEOUT ||
	    err == ERR_INTERRUPTED || err == ERR_DB_RETRY;
}

/* Commits a batch; false: the database is away, b has what is left. */
static bool
work_off(struct journal *j, struct batch *b, const struct term *t)
{
	enum err err = batch_commit(b, j->db, t);

	if (!err) {
		tell(b, ERR_OK);
		return true;
	}
	log_at(passing(err) ? LOG_WARN : LOG_ERROR, "journal_failed",
	    LOG_STR("runner_id", t->runner_id), LOG_INT("entries", b->n),
	    LOG_STR("error", err_name(err)),
	    LOG_STR("state", db_error_state(j->db)),
	    LOG_STR("text", db_error_text(j->db)));
	if (passing(err))
		return false;
	if (b->n == 1) {
		tell(b, err);
		return true;
	}
	while (b->n > 0) {
		struct batch one = { .entries = { b->entries[0] }, .n = 1 };

		if (!work_off(j, &one, t))
			return false;
		b->n--;
		memmove(
		    b->entries, b->entries + 1, b->n * sizeof b->entries[0]);
	}
	return true;
}

/* Drops the entries that no commit can help any more. */
static void
sort_out(struct batch *b, const struct term *t)
{
	struct batch keep = { .n = 0 }, drop = { .n = 0 };

	for (size_t i = 0; i < b->n; i++) {
		struct batch *to = stale(b->entries[i], t) ? &drop : &keep;

		to->entries[to->n++] = b->entries[i];
	}
	tell(&drop, ERR_FENCED);
	*b = keep;
}

static bool
wait_for_work(struct journal *j)
{
	bool more;

	pthread_mutex_lock(&j->lock);
	while (!j->queue && !j->stopping)
		pthread_cond_wait(&j->wake, &j->lock);
	more = j->queue && (!j->stopping || clock_ms() < j->stop_ms);
	pthread_mutex_unlock(&j->lock);
	return more;
}

static void
pause_for(struct journal *j, int64_t ms)
{
	int64_t until = clock_ms() + ms;

	pthread_mutex_lock(&j->lock);
	while (clock_ms() < until && (!j->stopping || until < j->stop_ms))
		clock_wait(&j->wake, &j->lock, until);
	pthread_mutex_unlock(&j->lock);
}

static void *
run(void *arg)
{
	struct journal *j = arg;
	struct batch b = { .n = 0 };

	while (wait_for_work(j)) {
		const struct term *t = lease_term(j->lease);
		bool done = true;

		collect(j, &b);
		sort_out(&b, t);
		if (b.n > 0)
			done = !db_for(j, t) && work_off(j, &b, t);
		if (!done) {
			atomic_store(&j->troubled_ms, clock_ms());
			put_back(j, &b);
			pause_for(j, RETRY_MS);
		}
	}
	do {
		collect(j, &b);
		tell(&b, ERR_INTERRUPTED);
		pthread_mutex_lock(&j->lock);
		b.n = j->queue ? 1 : 0;
		pthread_mutex_unlock(&j->lock);
	} while (b.n-- > 0);
	return NULL;
}

/* --- from outside ----------------------------------------------------- */

void
journal_add(struct journal *j, struct journal_entry *e)
{
	pthread_mutex_lock(&j->lock);
	DL_APPEND(j->queue, e);
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);
}

void
journal_kick(struct journal *j)
{
	pthread_mutex_lock(&j->lock);
	if (j->db)
		db_interrupt(j->db);
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);
}

int64_t
journal_troubled_ms(struct journal *j)
{
	return atomic_load(&j->troubled_ms);
}

enum err
journal_open(
    struct journal **ret, const struct settings *s, struct lease *lease)
{
	struct journal *j = calloc(1, sizeof *j);

	if (!j)
		return ERR_NOMEM;
	j->s = s;
	j->lease = lease;
	pthread_mutex_init(&j->lock, NULL);
	clock_cond_init(&j->wake);
	*ret = j;
	return ERR_OK;
}

enum err
journal_start(struct journal *j)
{
	if (pthread_create(&j->thread, NULL, run, j) != 0)
		return ERR_NOMEM;
	j->started = true;
	return ERR_OK;
}

void
journal_stop(struct journal *j, int64_t deadline_ms)
{
	if (!j || !j->started)
		return;
	pthread_mutex_lock(&j->lock);
	j->stopping = true;
	j->stop_ms = deadline_ms;
	if (j->db && clock_ms() >= deadline_ms)
		db_interrupt(j->db);
	pthread_cond_broadcast(&j->wake);
	pthread_mutex_unlock(&j->lock);
	pthread_join(j->thread, NULL);
	j->started = false;
}

void
journal_close(struct journal *j)
{
	if (!j)
		return;
	db_close(j->db);
	pthread_cond_destroy(&j->wake);
	pthread_mutex_destroy(&j->lock);
	free(j);
}
