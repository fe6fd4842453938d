/*
 * dispatcher.c - rings of users, one ring per priority and lane.
 *
 * A turn is a user's queue in a ring.  It gets a stamp when it joins the
 * tail, so the rings of one priority, each in the order of its stamps, merge
 * into one order by looking at their heads.
 */
#include "runner/dispatcher.h"
#include "shared/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

struct turn {
	struct dispatcher_item *items; /* oldest first */
	struct turn *prev, *next;      /* in its ring, while it has items */
	uint64_t stamp;
};

struct dispatcher_user {
	UT_hash_handle hh;
	size_t members;
	struct turn turns[DISPATCHER_PRIORITIES][LANE__MAX];
	char id[]; /* NUL-terminated */
};

struct dispatcher {
	pthread_mutex_t lock;
	pthread_cond_t work; /* something may be taken */
	pthread_cond_t tick; /* the one who keeps the time looks again */
	pthread_cond_t idle; /* the last running step ended */
	struct dispatcher_user *users;
	struct turn *rings[DISPATCHER_PRIORITIES][LANE__MAX];
	uint64_t stamp;
	struct dispatcher_item **heap; /* earliest first */
	size_t n_heap, heap_room, members;
	size_t ready, running, running_lane[LANE__MAX], long_cap;
	int sleepers; /* on work */
	bool timed;   /* somebody keeps the time, on tick */
	bool stopped;
};

/* --- the heap of what waits ------------------------------------------- */

static void
heap_set(struct dispatcher *d, size_t at, struct dispatcher_item *it)
{
	d->heap[at] = it;
	it->heap_at = at;
}

static void
heap_up(struct dispatcher *d, size_t at, struct dispatcher_item *it)
{
	while (at > 0 && d->heap[(at - 1) / 2]->due_ms > it->due_ms) {
		heap_set(d, at, d->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_set(d, at, it);
}

static void
heap_down(struct dispatcher *d, size_t at, struct dispatcher_item *it)
{
	for (;;) {
		size_t kid = 2 * at + 1;

		if (kid + 1 < d->n_heap &&
		    d->heap[kid + 1]->due_ms < d->heap[kid]->due_ms)
			kid++;
		if (kid >= d->n_heap || d->heap[kid]->due_ms >= it->due_ms)
			break;
		heap_set(d, at, d->heap[kid]);
		at = kid;
	}
	heap_set(d, at, it);
}

static void
heap_remove(struct dispatcher *d, struct dispatcher_item *it)
{
	size_t at = it->heap_at;
	struct dispatcher_item *last = d->heap[--d->n_heap];

	if (last == it)
		return;
	if (last->due_ms < it->due_ms)
		heap_up(d, at, last);
	else
		heap_down(d, at, last);
}

/* --- the rings of what is ready --------------------------------------- */

static struct turn *
turn_of(const struct dispatcher_item *it)
{
	return &it->user->turns[it->priority][it->lane];
}

static void
ring_join(struct dispatcher *d, struct turn *t, int priority, enum lane lane)
{
	t->stamp = ++d->stamp;
	DL_APPEND(d->rings[priority][lane], t);
}

static void
ready_add(struct dispatcher *d, struct dispatcher_item *it)
{
	struct turn *t = turn_of(it);
	bool first = t->items == NULL;

	DL_APPEND(t->items, it);
	if (first)
		ring_join(d, t, it->priority, it->lane);
	it->place = ITEM_READY;
	d->ready++;
}

static void
ready_remove(struct dispatcher *d, struct dispatcher_item *it)
{
	struct turn *t = turn_of(it);

	DL_DELETE(t->items, it);
	if (!t->items)
		DL_DELETE(d->rings[it->priority][it->lane], t);
	d->ready--;
}

static void
wake_due(struct dispatcher *d, int64_t now_ms)
{
	while (d->n_heap > 0 && d->heap[0]->due_ms <= now_ms) {
		struct dispatcher_item *it = d->heap[0];

		heap_remove(d, it);
		ready_add(d, it);
	}
}

/* --- whose turn it is ------------------------------------------------- */

static struct turn *
earlier(struct turn *a, struct turn *b)
{
	if (!a || !b)
		return a ? a : b;
	return a->stamp < b->stamp ? a : b;
}

/*
 * The turn that may go on now, or NULL.  A lone sync whose turn has come
 * closes the gate behind it: for long steps at once, for short ones as soon
 * as no long step runs any more, so that nobody waits for minutes with it.
 */
static struct turn *
choose(struct dispatcher *d)
{
	bool long_ok = d->running_lane[LANE_LONG] < d->long_cap;
	bool alone_ok = true;

	if (d->running_lane[LANE_ALONE] > 0)
		return NULL;
	for (int p = DISPATCHER_PRIORITIES - 1; p >= 0; p--) {
		struct turn *alone = alone_ok ? d->rings[p][LANE_ALONE] : NULL;
		struct turn *best = earlier(d->rings[p][LANE_SHORT],
		    long_ok ? d->rings[p][LANE_LONG] : NULL);

		if (alone && earlier(alone, best) == alone) {
			if (d->running == 0)
				return alone;
			if (d->running_lane[LANE_LONG] == 0)
				return NULL;
			alone_ok = long_ok = false;
			best = d->rings[p][LANE_SHORT];
		}
		if (best)
			return best;
	}
	return NULL;
}

static struct dispatcher_item *
take_from(struct dispatcher *d, struct turn *t)
{
	struct dispatcher_item *it = t->items;

	ready_remove(d, it);
	if (t->items) { /* the user's next one has to wait for the others */
		DL_DELETE(d->rings[it->priority][it->lane], t);
		ring_join(d, t, it->priority, it->lane);
	}
	it->place = ITEM_TAKEN;
	it->taken_lane = it->lane;
	d->running++;
	d->running_lane[it->taken_lane]++;
	return it;
}

static bool
next_locked(struct dispatcher *d, int64_t now_ms, struct dispatcher_item **ret)
{
	struct turn *t;

	if (d->stopped)
		return false;
	wake_due(d, now_ms);
	t = choose(d);
	if (!t)
		return false;
	*ret = take_from(d, t);
	return true;
}

/* --- waiting workers -------------------------------------------------- */

/* One worker is enough for one new item; the one on tick is the last. */
static void
wake_one(struct dispatcher *d)
{
	if (d->sleepers > 0)
		pthread_cond_signal(&d->work);
	else if (d->timed)
		pthread_cond_signal(&d->tick);
}

static void
wake_all(struct dispatcher *d)
{
	pthread_cond_broadcast(&d->work);
	pthread_cond_broadcast(&d->tick);
}

static void
step_over(struct dispatcher *d, struct dispatcher_item *it)
{
	d->running--;
	d->running_lane[it->taken_lane]--;
	/* behind a lone step all the others may go on; behind other steps
	 * the worker that ends one comes for the next itself */
	if (it->taken_lane == LANE_ALONE && d->ready > 0)
		wake_all(d);
	if (d->running == 0)
		pthread_cond_broadcast(&d->idle);
	it->place = ITEM_OUT;
}

/* Sleeps until something may have changed; one sleeper keeps the time. */
static void
sleep_locked(struct dispatcher *d)
{
	if (d->n_heap > 0 && !d->timed) {
		d->timed = true;
		clock_wait(&d->tick, &d->lock, d->heap[0]->due_ms);
		d->timed = false;
	} else {
		d->sleepers++;
		pthread_cond_wait(&d->work, &d->lock);
		d->sleepers--;
	}
}

enum err
dispatcher_take(struct dispatcher *d, struct dispatcher_item **ret)
{
	struct dispatcher_item *it = NULL;
	enum err err = ERR_OK;

	pthread_mutex_lock(&d->lock);
	while (!d->stopped && !next_locked(d, clock_ms(), &it))
		sleep_locked(d);
	if (!it)
		err = ERR_INTERRUPTED;
	/* a sleeper takes over: the next ready item, or the keeping of time */
	else if (d->ready > 0 || (d->n_heap > 0 && !d->timed))
		wake_one(d);
	pthread_mutex_unlock(&d->lock);
	if (!err)
		*ret = it;
	return err;
}

bool
dispatcher_next(
    struct dispatcher *d, int64_t now_ms, struct dispatcher_item **ret)
{
	bool got;

	pthread_mutex_lock(&d->lock);
	got = next_locked(d, now_ms, ret);
	pthread_mutex_unlock(&d->lock);
	return got;
}

void
dispatcher_put(struct dispatcher *d, struct dispatcher_item *it, int64_t due_ms)
{
	pthread_mutex_lock(&d->lock);
	if (it->place == ITEM_TAKEN)
		step_over(d, it);
	it->due_ms = due_ms;
	if (due_ms > 0) {
		it->place = ITEM_WAITING;
		heap_up(d, d->n_heap++, it);
		/* the earliest: who keeps the time has to look again */
		if (it->heap_at == 0 && d->timed)
			pthread_cond_signal(&d->tick);
		else if (it->heap_at == 0)
			wake_one(d);
	} else {
		ready_add(d, it);
		wake_one(d);
	}
	pthread_mutex_unlock(&d->lock);
}

void
dispatcher_done(struct dispatcher *d, struct dispatcher_item *it)
{
	pthread_mutex_lock(&d->lock);
	if (it->place == ITEM_TAKEN)
		step_over(d, it);
	pthread_mutex_unlock(&d->lock);
}

bool
dispatcher_remove(struct dispatcher *d, struct dispatcher_item *it)
{
	bool found = true;

	pthread_mutex_lock(&d->lock);
	if (it->place == ITEM_READY)
		ready_remove(d, it);
	else if (it->place == ITEM_WAITING)
		heap_remove(d, it);
	else
		found = false;
	if (found)
		it->place = ITEM_OUT;
	pthread_mutex_unlock(&d->lock);
	return found;
}

bool
dispatcher_keep(struct dispatcher *d, struct dispatcher_item *it)
{
	bool keep;

	pthread_mutex_lock(&d->lock);
	wake_due(d, clock_ms());
	keep = !d->stopped && d->ready == 0 && it->lane == it->taken_lane &&
	    it->lane != LANE_ALONE;
	pthread_mutex_unlock(&d->lock);
	return keep;
}

void
dispatcher_stop(struct dispatcher *d)
{
	pthread_mutex_lock(&d->lock);
	d->stopped = true;
	wake_all(d);
	pthread_mutex_unlock(&d->lock);
}

bool
dispatcher_idle(struct dispatcher *d, int64_t deadline_ms)
{
	bool idle;

	pthread_mutex_lock(&d->lock);
	while (d->running > 0 && clock_ms() < deadline_ms)
		clock_wait(&d->idle, &d->lock, deadline_ms);
	idle = d->running == 0;
	pthread_mutex_unlock(&d->lock);
	return idle;
}

int64_t
dispatcher_due(struct dispatcher *d, const struct dispatcher_item *it)
{
	int64_t due;

	pthread_mutex_lock(&d->lock);
	due = it->place == ITEM_WAITING ? it->due_ms : 0;
	pthread_mutex_unlock(&d->lock);
	return due;
}

void
dispatcher_count(struct dispatcher *d, struct dispatcher_counts *ret)
{
	pthread_mutex_lock(&d->lock);
	*ret = (struct dispatcher_counts){
		.ready = d->ready,
		.waiting = d->n_heap,
		.running = d->running,
		.running_long = d->running_lane[LANE_LONG],
	};
	pthread_mutex_unlock(&d->lock);
}

/* --- coming and going ------------------------------------------------- */

static enum err
heap_reserve(struct dispatcher *d, size_t n)
{
	size_t room = d->heap_room ? 2 * d->heap_room : 64;
	struct dispatcher_item **heap;

	if (n <= d->heap_room)
		return ERR_OK;
	heap = realloc(d->heap, room * sizeof *heap);
	if (!heap)
		return ERR_NOMEM;
	d->heap = heap;
	d->heap_room = room;
	return ERR_OK;
}

static enum err
user_get(struct dispatcher *d, const char *id, struct dispatcher_user **ret)
{
	size_t len = strlen(id);
	struct dispatcher_user *u;

	HASH_FIND(hh, d->users, id, len, u);
	if (!u) {
		u = calloc(1, sizeof *u + len + 1);
		if (!u)
			return ERR_NOMEM;
		memcpy(u->id, id, len);
		HASH_ADD_KEYPTR(hh, d->users, u->id, len, u);
		if (!u->hh.tbl) {
			free(u);
			return ERR_NOMEM;
		}
	}
	*ret = u;
	return ERR_OK;
}

enum err
dispatcher_join(
    struct dispatcher *d, struct dispatcher_item *it, const char *user_id)
{
	enum err err;

	pthread_mutex_lock(&d->lock);
	err = heap_reserve(d, d->members + 1);
	if (!err)
		err = user_get(d, user_id, &it->user);
	if (!err) {
		it->user->members++;
		d->members++;
		it->place = ITEM_OUT;
	}
	pthread_mutex_unlock(&d->lock);
	return err;
}

void
dispatcher_leave(struct dispatcher *d, struct dispatcher_item *it)
{
	struct dispatcher_user *u = it->user;

	if (!u)
		return;
	pthread_mutex_lock(&d->lock);
	it->user = NULL;
	d->members--;
	if (--u->members == 0) {
		HASH_DEL(d->users, u);
		free(u);
	}
	pthread_mutex_unlock(&d->lock);
}

enum err
dispatcher_open(struct dispatcher **ret, int workers)
{
	struct dispatcher *d = calloc(1, sizeof *d);

	if (!d)
		return ERR_NOMEM;
	pthread_mutex_init(&d->lock, NULL);
	clock_cond_init(&d->work);
	clock_cond_init(&d->tick);
	clock_cond_init(&d->idle);
	d->long_cap = workers > 1 ? (size_t)workers / 2 : 1;
	*ret = d;
	return ERR_OK;
}

void
dispatcher_close(struct dispatcher *d)
{
	if (!d)
		return;
	free(d->heap);
	pthread_cond_destroy(&d->idle);
	pthread_cond_destroy(&d->tick);
	pthread_cond_destroy(&d->work);
	pthread_mutex_destroy(&d->lock);
	free(d);
}
