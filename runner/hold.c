/* hold.c - the journal's answers, turned into changes of memory. */
#include "runner/hold.h"
#include "shared/clock.h"
#include "shared/db.h"
#include "shared/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CRASHES_MAX 3
#define UNSTARTED_PER_WORKER 4
#define UNSTARTED_MIN 64

/* An entry together with what its answer needs. */
struct change {
	struct journal_entry e;
	struct hold *h;
	struct sync *s; /* a reference: the sync's turn, or one of its own */
	struct hold_reply *reply;
	int64_t due_ms;
	int64_t began_ms;
};

/* --- claims ----------------------------------------------------------- */

static int
unstarted_max(const struct hold *h)
{
	int64_t n = h->settings->workers * UNSTARTED_PER_WORKER;

	return n > UNSTARTED_MIN ? (int)n : UNSTARTED_MIN;
}

int
hold_room(struct hold *h)
{
	int claiming = atomic_load(&h->claiming);
	int64_t held = (int64_t)registry_count(h->registry);
	int64_t room = h->settings->max_active - held - claiming;
	int64_t fresh =
	    unstarted_max(h) - atomic_load(&h->unstarted) - claiming;

	if (atomic_load(&h->draining) || !lease_term(h->lease))
		return 0;
	if (fresh < room)
		room = fresh;
	return room > 0 ? (int)room : 0;
}

static void
on_claim_row(struct journal_entry *e, const PGresult *res, int row,
    const struct term *term)
{
	hold_adopt(e->arg, res, row, term);
}

static void
on_claim_done(struct journal_entry *e, enum err err)
{
	struct hold *h = e->arg;

	if (err && err != ERR_FENCED)
		log_at(LOG_WARN, "claim_failed", LOG_STR("sync_id", e->sync_id),
		    LOG_STR("error", err_name(err)));
	free(e);
	atomic_fetch_sub(&h->claiming, 1);
}

size_t
hold_claim(struct hold *h, const char *const *ids, size_t n)
{
	int room = hold_room(h);
	size_t seen = 0;

	for (; seen < n; seen++) {
		struct journal_entry *e;

		if (registry_has(h->registry, ids[seen]))
			continue;
		if (room-- <= 0)
			break;
		e = calloc(1, sizeof *e);
		if (!e)
			break;
		e->kind = JOURNAL_CLAIM;
		snprintf(e->sync_id, sizeof e->sync_id, "%s", ids[seen]);
		e->on_row = on_claim_row;
		e->on_done = on_claim_done;
		e->arg = h;
		atomic_fetch_add(&h->claiming, 1);
		journal_add(h->journal, e);
	}
	return seen;
}

/* --- changes through the journal -------------------------------------- */

/* Takes the reference s over. */
static struct change *
change_new(struct hold *h, struct sync *s, enum journal_kind kind)
{
	struct change *c = calloc(1, sizeof *c);

	if (!c) {
		/* Without memory for it there is no way on: end here, and
		 * the next start of this runner claims what it held. */
		log_at(LOG_ERROR, "out_of_memory");
		abort();
	}
	c->h = h;
	c->s = s;
	c->began_ms = clock_ms();
	c->e.kind = kind;
	c->e.arg = c;
	c->e.term = s->term;
	c->e.epoch = s->epoch;
	c->e.attempt = s->attempt;
	c->e.delay_ms = -1;
	snprintf(c->e.sync_id, sizeof c->e.sync_id, "%s", s->sync_id);
	return c;
}

static void
change_add(
    struct change *c, const char *message, const char *code, const char *error)
{
	journal_text(c->e.message, sizeof c->e.message, message);
	journal_text(c->e.error_code, sizeof c->e.error_code, code);
	journal_text(c->e.error_message, sizeof c->e.error_message, error);
	journal_add(c->h->journal, &c->e);
}

static void
change_log(const struct change *c, const char *event, enum err err)
{
	log_at(err ? LOG_WARN : LOG_INFO, event,
	    LOG_STR("sync_id", c->s->sync_id), LOG_STR("user", c->s->user_id),
	    LOG_STR("runner_id", c->s->term->runner_id),
	    LOG_STR("request_id", c->s->request_id),
	    LOG_INT("ms", clock_ms() - c->began_ms),
	    LOG_STR("code", c->e.error_code),
	    LOG_STR("error", err ? err_name(err) : ""));
}

/* --- the turn ---------------------------------------------------------- */

static void
no_longer_unstarted(struct hold *h, struct sync *s)
{
	if (!atomic_exchange(&s->started, true)) {
		int left = atomic_fetch_sub(&h->unstarted, 1) - 1 +
		    atomic_load(&h->claiming);

		/* not for each single one: claims go better in batches */
		if (left <= unstarted_max(h) / 2)
			h->on_room(h->arg);
	}
}

void
hold_started(struct hold *h, struct sync *s)
{
	no_longer_unstarted(h, s);
}

void
hold_let_go(struct hold *h, struct sync *s)
{
	dispatcher_done(h->dispatcher, &s->item);
	no_longer_unstarted(h, s);
	dispatcher_leave(h->dispatcher, &s->item);
	sync_unref(s);
}

/* It is not here any more: out of the registry, and its turn is over. */
static void
part(struct hold *h, struct sync *s)
{
	registry_remove(h->registry, s);
	hold_let_go(h, s);
}

void
hold_drop(struct hold *h, struct sync *s)
{
	log_at(LOG_INFO, "sync_dropped", LOG_STR("sync_id", s->sync_id),
	    LOG_STR("user", s->user_id),
	    LOG_STR("runner_id", s->term->runner_id));
	part(h, s);
}

void
hold_again(struct hold *h, struct sync *s, int64_t delay_ms)
{
	dispatcher_put(
	    h->dispatcher, &s->item, delay_ms > 0 ? clock_ms() + delay_ms : 0);
}

/* --- waits ------------------------------------------------------------- */

static void
on_moved(struct journal_entry *e, enum err err)
{
	struct change *c = e->arg;
	struct hold *h = c->h;

	change_log(c, "sync_waits", err);
	if (sync_stopped(c->s) != SYNC_GOES_ON || err == ERR_INTERRUPTED) {
		hold_let_go(h, c->s);
	} else if (err == ERR_FENCED) {
		hold_drop(h, c->s);
	} else if (!err && e->release) {
		h->on_released(h->arg, c->due_ms);
		part(h, c->s);
	} else {
		/* also when the wait could not be written: it is real */
		dispatcher_put(h->dispatcher, &c->s->item, c->due_ms);
	}
	free(c);
}

void
hold_wait(struct hold *h, struct sync *s, const struct hold_wait *w)
{
	struct change *c = change_new(h, s, JOURNAL_MOVE);

	/* a retry can be asked for at once, which only the queue knows */
	c->e.release = w->phase == PHASE_RETRY_WAIT ||
	    w->delay_ms >= h->settings->lease_ms;
	c->e.phase = w->phase;
	c->e.delay_ms = w->delay_ms;
	c->e.attempt = w->attempt;
	c->due_ms = clock_ms() + w->delay_ms;
	c->e.on_done = on_moved;
	s->attempt = w->attempt;
	dispatcher_done(h->dispatcher, &s->item);
	change_add(c, w->message, w->code, w->error);
}

/* --- ends -------------------------------------------------------------- */

static void
on_end_done(struct journal_entry *e, enum err err)
{
	struct change *c = e->arg;
	struct hold *h = c->h;

	change_log(c,
	    e->status == STATUS_COMPLETED ? "sync_completed" : "sync_failed",
	    err);
	if (!err)
		h->on_ended(h->arg, c->s->sync_id);
	part(h, c->s);
	free(c);
}

void
hold_end(struct hold *h, struct sync *s, enum status status,
    const char *message, const struct verdict *v)
{
	struct change *c = change_new(h, s, JOURNAL_END);

	c->e.status = status;
	c->e.retryable = v && v->retryable;
	c->e.on_done = on_end_done;
	dispatcher_done(h->dispatcher, &s->item);
	change_add(c, message, v ? v->code : NULL, v ? v->message : NULL);
}

/* --- cancelling -------------------------------------------------------- */

/* Takes the sync out of the dispatcher, if its turn is there. */
static void
take_turn_back(struct hold *h, struct sync *s)
{
	if (dispatcher_remove(h->dispatcher, &s->item))
		hold_let_go(h, s);
}

static void
on_cancelled(struct journal_entry *e, enum err err)
{
	struct change *c = e->arg;
	struct hold *h = c->h;

	change_log(c, "sync_cancelled", err);
	registry_remove(h->registry, c->s);
	if (!err)
		h->on_ended(h->arg, c->s->sync_id);
	c->reply->on_done(c->reply, err);
	sync_unref(c->s);
	free(c);
}

enum err
hold_cancel(struct hold *h, const char *user_id, const char *sync_id,
    struct hold_reply *reply)
{
	struct sync *s = registry_find(h->registry, sync_id);
	struct change *c;

	if (!s)
		return ERR_NOT_FOUND;
	/* when it stops already, the database knows how it ends */
	if (strcmp(s->user_id, user_id) != 0 ||
	    !sync_stop_for(s, SYNC_CANCELLED)) {
		sync_unref(s);
		return ERR_NOT_FOUND;
	}
	c = change_new(h, sync_ref(s), JOURNAL_END);
	c->reply = reply;
	c->e.status = STATUS_CANCELLED;
	c->e.on_done = on_cancelled;
	change_add(c, "Sync cancelled by user", NULL, NULL);
	take_turn_back(h, s);
	sync_unref(s);
	return ERR_OK;
}

/* --- going back ------------------------------------------------------- */

static void
on_handed_back(struct journal_entry *e, enum err err)
{
	struct change *c = e->arg;

	change_log(c, "sync_handed_back", err == ERR_FENCED ? ERR_OK : err);
	registry_remove(c->h->registry, c->s);
	sync_unref(c->s);
	free(c);
}

static void
hand_back_one(struct hold *h, struct sync *s, const void *arg)
{
	int64_t due = dispatcher_due(h->dispatcher, &s->item);
	int64_t left = due - clock_ms();
	struct change *c;

	(void)arg;
	(void)sync_stop_for(s, SYNC_DRAINED);
	if (sync_stopped(s) != SYNC_DRAINED)
		return; /* it ends, or is lost */
	if (atomic_exchange(&s->handed_back, true))
		return;
	c = change_new(h, sync_ref(s), JOURNAL_MOVE);
	c->e.release = true;
	c->e.phase = PHASE_QUEUED;
	c->e.delay_ms = due > 0 && left > 0 ? left : -1;
	c->e.on_done = on_handed_back;
	change_add(c, "Sync queued", NULL, NULL);
	take_turn_back(h, s);
}

/* --- coming ------------------------------------------------------------ */

/* A sync whose owners died with it again and again. */
static void
end_crashed(struct hold *h, struct sync *s)
{
	const struct verdict v = {
		.code = "crashed_repeatedly",
		.message = "This sync was interrupted by a crash too often.",
		.retryable = false,
	};

	hold_end(h, s, STATUS_FAILED, "Sync failed: interrupted too often", &v);
}

/* The same sync under an earlier claim is nobody's any more. */
static void
forget_older(struct hold *h, const struct sync *s)
{
	struct sync *old = registry_find(h->registry, s->sync_id);

	if (old && old->epoch < s->epoch) {
		(void)sync_stop_for(old, SYNC_LOST);
		take_turn_back(h, old);
		registry_remove(h->registry, old);
	}
	sync_unref(old);
}

void
hold_adopt(
    struct hold *h, const PGresult *res, int row, const struct term *term)
{
	struct sync *s;
	enum err err = sync_from_row(&s, res, row, term);

	if (!err) {
		forget_older(h, s);
		err = dispatcher_join(h->dispatcher, &s->item, s->user_id);
		if (!err)
			err = registry_add(h->registry, s);
		if (err) {
			dispatcher_leave(h->dispatcher, &s->item);
			sync_unref(s);
		}
	}
	if (err == ERR_CONFLICT)
		return; /* adopted before */
	if (err) {
		log_at(LOG_ERROR, "sync_not_adopted",
		    LOG_STR("sync_id", result_text(res, row, "sync_id")),
		    LOG_STR("error", err_name(err)));
		return;
	}
	log_at(LOG_INFO, "sync_claimed", LOG_STR("sync_id", s->sync_id),
	    LOG_STR("user", s->user_id), LOG_STR("request_id", s->request_id),
	    LOG_STR("runner_id", term->runner_id), LOG_INT("epoch", s->epoch),
	    LOG_INT("attempt", s->attempt), LOG_INT("crashes", s->crash_count));
	atomic_fetch_add(&h->unstarted, 1);
	if (s->crash_count >= CRASHES_MAX) {
		end_crashed(h, s);
		return;
	}
	sync_ref(s); /* its turn may come and go at once */
	dispatcher_put(h->dispatcher, &s->item, 0);
	if (atomic_load(&h->draining))
		hand_back_one(h, s, NULL); /* it was on its way meanwhile */
	sync_unref(s);
}

/* --- all of them ------------------------------------------------------- */

/* Calls fn for each held sync; it has a reference for the call. */
static void
for_each(struct hold *h,
    void (*fn)(struct hold *h, struct sync *s, const void *arg),
    const void *arg)
{
	struct sync **all;
	size_t n;

	if (registry_all(h->registry, &all, &n)) {
		log_at(LOG_ERROR, "out_of_memory");
		abort(); /* as in change_new */
	}
	for (size_t i = 0; i < n; i++) {
		fn(h, all[i], arg);
		sync_unref(all[i]);
	}
	free(all);
}

static void
lose_one(struct hold *h, struct sync *s, const void *arg)
{
	const struct term *t = arg;

	if (s->term != t)
		return;
	(void)sync_stop_for(s, SYNC_LOST);
	take_turn_back(h, s);
	registry_remove(h->registry, s);
}

void
hold_lose(struct hold *h, const struct term *t)
{
	for_each(h, lose_one, t);
}

static void
interrupt_one(struct hold *h, struct sync *s, const void *arg)
{
	(void)h;
	(void)arg;
	(void)sync_stop_for(s, SYNC_DRAINED);
}

void
hold_interrupt(struct hold *h)
{
	for_each(h, interrupt_one, NULL);
}

void
hold_hand_back(struct hold *h)
{
	for_each(h, hand_back_one, NULL);
}
