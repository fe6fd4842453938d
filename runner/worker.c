/* worker.c - take a sync, perform a step, commit it, decide what is next. */
#include "runner/worker.h"
#include "shared/clock.h"
#include "runner/retry.h"
#include "runner/step.h"
#include "runner/sources/http.h"
#include "shared/db.h"
#include "shared/json.h"
#include "shared/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_TIMEOUT_MS 120000
#define SHORT_WAIT_MS 1000 /* too short to be worth a commit */

struct worker {
	const struct worker_tools *tools;
	pthread_t thread;
	struct step_tools own;
	uint64_t term_no; /* of the session */
};

struct workers {
	struct worker_tools tools;
	size_t n;
	struct worker each[];
};

/* --- what a step needs ------------------------------------------------- */

/* Called with the sync's lock held, from any thread. */
static void
interrupt(void *arg)
{
	struct worker *w = arg;

	db_interrupt(w->own.db);
	http_interrupt(w->own.http);
}

/* A session and a loader that carry the term's name. */
static enum err
session_for(struct worker *w, const struct term *t)
{
	const struct settings *s = w->tools->hold->settings;
	const struct db_options o = {
		.conninfo = s->db,
		.name = t->runner_id,
		.timeout_ms = CALL_TIMEOUT_MS,
	};
	enum err err;

	if (w->term_no == t->no)
		return ERR_OK;
	w->term_no = 0;
	load_close(w->own.load);
	db_close(w->own.db);
	w->own.load = NULL;
	w->own.db = NULL;
	err = db_open(&w->own.db, &o);
	if (!err)
		err = load_open(&w->own.load, w->own.db);
	if (!err)
		w->term_no = t->no;
	return err;
}

/* --- what comes next --------------------------------------------------- */

static void
wait_for(struct worker *w, struct sync *s, int64_t ms, bool limited)
{
	const struct hold_wait hw = {
		.phase = PHASE_RATE_LIMITED,
		.delay_ms = ms,
		.attempt = s->attempt,
		.message = limited ? "Waiting for the source's rate limit"
				   : "Waiting for the source",
	};

	if (ms < SHORT_WAIT_MS)
		hold_again(w->tools->hold, s, ms > 0 ? ms : 1);
	else
		hold_wait(w->tools->hold, s, &hw);
}

static void
retry(struct worker *w, struct sync *s, const struct verdict *v)
{
	char message[160];
	const struct hold_wait hw = {
		.phase = PHASE_RETRY_WAIT,
		.delay_ms = v->delay_ms,
		.attempt = v->attempt,
		.message = message,
		.code = v->code,
		.error = v->message,
	};
	json_object *data = json_object_new_object();

	snprintf(message, sizeof message, "Trying again (attempt %d of %d)",
	    v->attempt, s->max_attempts);
	if (data) {
		json_put_i64(data, "attempt", v->attempt);
		json_put_i64(data, "waitMs", v->delay_ms);
		json_put_text(data, "code", v->code);
		json_put_text(data, "error", v->message);
	}
	step_event(&w->own, s, "warning", "retry", message, data);
	json_object_put(data);
	hold_wait(w->tools->hold, s, &hw);
}

/* The account needs its user: said on the connection, and once as event. */
static void
mark_reconnect(struct worker *w, struct sync *s)
{
	enum err err = db_run(w->own.db, STMT_CONNECTION_MARK, NULL,
	    arg_text(s->user_id), arg_text(s->connection_id),
	    arg_text("reconnect_required"), arg_null());

	if (err)
		log_at(LOG_WARN, "connection_not_marked",
		    LOG_STR("sync_id", s->sync_id),
		    LOG_STR("error", err_name(err)));
	step_event(&w->own, s, "warning", "reconnect_required",
	    "The account has to be connected again.", NULL);
}

static void
fail(struct worker *w, struct sync *s, const struct verdict *v)
{
	char message[256];

	if (v->reconnect)
		mark_reconnect(w, s);
	snprintf(message, sizeof message, "Sync failed: %s", v->message);
	hold_end(w->tools->hold, s, STATUS_FAILED, message, v);
}

static void
next_after_error(
    struct worker *w, struct sync *s, enum err err, const struct failure *why)
{
	const struct settings *set = w->tools->hold->settings;
	struct hold *h = w->tools->hold;
	const struct retry_state rs = {
		.attempt = s->attempt,
		.max_attempts = s->max_attempts,
		.db_failures = ++s->db_failures,
		.base_ms = set->retry_base_ms,
		.cap_ms = set->retry_cap_ms,
	};
	const struct verdict v = retry_judge(&rs, err, why, retry_dice());

	switch (v.kind) {
	case VERDICT_DROP:
		hold_drop(h, s);
		break;
	case VERDICT_DOUBT:
		s->doubtful = true;
		hold_again(h, s, v.delay_ms);
		break;
	case VERDICT_AGAIN:
		hold_again(h, s, v.delay_ms);
		break;
	case VERDICT_WAIT:
		wait_for(w, s, v.delay_ms, true);
		break;
	case VERDICT_RETRY:
		retry(w, s, &v);
		break;
	case VERDICT_FAIL:
		fail(w, s, &v);
		break;
	}
}

/* What an owner died with steps alone until a step of it is committed. */
static enum lane
lane_of(const struct sync *s)
{
	if (s->crash_count > 0)
		return LANE_ALONE;
	return s->ops->is_long(s->source) ? LANE_LONG : LANE_SHORT;
}

/* Says what comes after a committed step; true: the same sync at once. */
static bool
next_after_step(struct worker *w, struct sync *s, const struct step *st)
{
	struct hold *h = w->tools->hold;

	s->db_failures = 0;
	s->item.lane = lane_of(s);
	switch (st->outcome) {
	case STEP_MORE:
		if (dispatcher_keep(h->dispatcher, &s->item))
			return true;
		hold_again(h, s, 0);
		break;
	case STEP_WAIT:
		wait_for(w, s, st->wait_ms, st->limited);
		break;
	case STEP_DONE:
		sync_close_source(s);
		hold_end(h, s, STATUS_COMPLETED, "Sync completed", NULL);
		break;
	}
	return false;
}

/* For people: what the source said, else what the database said. */
static const char *
text_of(const struct worker *w, enum err err, const struct failure *why)
{
	if (!err)
		return "";
	return why->message[0] ? why->message : db_error_text(w->own.db);
}

static void
log_step(const struct worker *w, const struct sync *s, const struct step *st,
    enum err err, const struct failure *why, int64_t ms)
{
	static const char *const outcomes[] = {
		[STEP_MORE] = "more",
		[STEP_WAIT] = "wait",
		[STEP_DONE] = "done",
	};

	bool trouble = err && err != ERR_INTERRUPTED && err != ERR_FENCED;

	log_at(trouble ? LOG_WARN : LOG_INFO, "step",
	    LOG_STR("sync_id", s->sync_id), LOG_STR("user", s->user_id),
	    LOG_STR("runner_id", s->term->runner_id), LOG_INT("step", s->steps),
	    LOG_INT("ms", ms),
	    LOG_STR("outcome", err ? "error" : outcomes[st->outcome]),
	    LOG_STR("error", err ? err_name(err) : ""),
	    LOG_STR("code", err ? why->code : ""),
	    LOG_STR("text", text_of(w, err, why)));
}

/* --- the loop ---------------------------------------------------------- */

/* Performs one step; true: the same sync may step again at once. */
static bool
step_once(struct worker *w, struct sync *s)
{
	struct failure why = { .class = FAILURE_TRANSIENT };
	struct step st = { .outcome = STEP_MORE };
	struct hold *h = w->tools->hold;
	int64_t began = clock_ms();
	bool again = false;
	enum err err;

	db_resume(w->own.db);
	http_resume(w->own.http);
	if (sync_step_begin(s, interrupt, w) != SYNC_GOES_ON) {
		hold_let_go(h, s);
		return false;
	}
	hold_started(h, s);
	err = step_prepare(&w->own, s, &why);
	if (!err && s->item.lane == LANE_SHORT && lane_of(s) == LANE_LONG) {
		/* known only now: it waits for a place among the long ones */
		s->item.lane = LANE_LONG;
		sync_step_end(s);
		hold_again(h, s, 0);
		return false;
	}
	if (!err)
		err = step_perform(&w->own, s, &st, &why);
	s->steps++;
	sync_step_end(s);
	db_resume(w->own.db); /* an interrupt was for the step alone */
	log_step(w, s, &st, err, &why, clock_ms() - began);
	if (sync_stopped(s) != SYNC_GOES_ON)
		hold_let_go(h, s);
	else if (err)
		next_after_error(w, s, err, &why);
	else
		again = next_after_step(w, s, &st);
	step_clear(&st);
	return again;
}

static void *
run(void *arg)
{
	struct worker *w = arg;
	struct hold *h = w->tools->hold;
	struct dispatcher_item *it;

	while (!dispatcher_take(h->dispatcher, &it)) {
		struct sync *s = sync_of(it);
		enum err err;

		if (lease_term(h->lease) != s->term) {
			hold_drop(h, s);
			continue;
		}
		err = session_for(w, s->term);
		if (err) {
			log_at(LOG_ERROR, "worker_without_session",
			    LOG_STR("error", err_name(err)));
			hold_again(h, s, 1000);
			continue;
		}
		while (step_once(w, s))
			continue;
	}
	return NULL;
}

enum err
workers_open(struct workers **ret, const struct worker_tools *tools)
{
	const struct settings *set = tools->hold->settings;
	size_t n = (size_t)set->workers;
	struct workers *ws = calloc(1, sizeof *ws + n * sizeof ws->each[0]);
	enum err err = ERR_OK;

	if (!ws)
		return ERR_NOMEM;
	ws->tools = *tools;
	while (ws->n < n) {
		struct worker *w = &ws->each[ws->n];

		w->tools = &ws->tools;
		w->own = (struct step_tools){
			.settings = set,
			.vault = tools->vault,
			.limits = tools->limits,
		};
		err = http_open(&w->own.http, set->source_timeout_ms);
		if (!err && pthread_create(&w->thread, NULL, run, w) != 0) {
			http_close(w->own.http);
			err = ERR_NOMEM;
		}
		if (err) {
			dispatcher_stop(tools->hold->dispatcher);
			workers_close(ws);
			return err;
		}
		ws->n++;
	}
	*ret = ws;
	return ERR_OK;
}

void
workers_close(struct workers *ws)
{
	if (!ws)
		return;
	for (size_t i = 0; i < ws->n; i++) {
		struct worker *w = &ws->each[i];

		pthread_join(w->thread, NULL);
		load_close(w->own.load);
		db_close(w->own.db);
		http_close(w->own.http);
	}
	free(ws);
}
