/* worker.c - take a sync, perform a step, commit it, decide what is next. */
#include "runner/worker.h"
#include "runner/clock.h"
#include "runner/retry.h"
#include "runner/source.h"
#include "runner/sources/http.h"
#include "runner/sources/limits.h"
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
	struct db *db;
	struct load *load;
	struct http *http;
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

	db_interrupt(w->db);
	http_interrupt(w->http);
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
		.on_connect = "SET client_min_messages = warning",
	};
	enum err err;

	if (w->term_no == t->no)
		return ERR_OK;
	w->term_no = 0;
	load_close(w->load);
	db_close(w->db);
	w->load = NULL;
	w->db = NULL;
	err = db_open(&w->db, &o);
	if (!err)
		err = load_open(&w->load, w->db);
	if (!err)
		w->term_no = t->no;
	return err;
}

static struct step_env
env_of(struct worker *w, const struct sync *s)
{
	return (struct step_env){
		.settings = w->tools->hold->settings,
		.vault = w->tools->vault,
		.db = w->db,
		.http = w->http,
		.load = w->load,
		.limits = w->tools->limits,
		.runner_id = s->term->runner_id,
	};
}

/* After a doubt: what the database says, or that it is not ours. */
static enum err
reread(struct worker *w, struct sync *s)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	const char *ids[] = { s->sync_id };
	char *array = array_text(ids, 1);
	enum err err;

	if (!array)
		return ERR_NOMEM;
	err = db_run(w->db, STMT_SYNC_OWNED, &res,
	    arg_text(s->term->runner_id), arg_text(array));
	free(array);
	if (err)
		return err;
	if (PQntuples(res) == 0 ||
	    result_i64(res, 0, "lease_epoch") != s->epoch)
		return ERR_FENCED;
	sync_close_source(s);
	err = sync_reread(s, res, 0);
	if (!err)
		s->doubtful = false;
	return err;
}

static enum err
open_source(struct worker *w, struct sync *s, struct failure *why)
{
	const struct step_env env = env_of(w, s);
	const struct source_spec spec = {
		.sync_id = s->sync_id,
		.user_id = s->user_id,
		.connection_id = s->connection_id,
		.request_id = s->request_id,
		.full = s->full,
		.wanted = s->wanted,
		.checkpoint = s->checkpoint,
		.started_at_ms = s->started_at_ms,
	};

	if (!s->ops)
		s->ops = source_find(s->provider);
	if (!s->ops) {
		*why = (struct failure){
			.class = FAILURE_PERMANENT,
			.code = "unknown_provider",
			.message = "This kind of account cannot be synced.",
		};
		return ERR_PEER;
	}
	return s->ops->open(&s->source, &spec, &env, why);
}

/*
 * A suspect steps alone, and a crash from here on is its own: that is
 * written down before the step, once for each time a runner holds it.
 */
static enum err
suspect(struct worker *w, struct sync *s)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum err err = db_run(w->db, STMT_SYNC_SUSPECT, &res,
	    arg_text(s->sync_id), arg_text(s->term->runner_id),
	    arg_i64(s->epoch));

	if (err)
		return err;
	if (PQntuples(res) == 0)
		return ERR_FENCED;
	s->crash_count = (int)result_i64(res, 0, "crash_count");
	s->suspected = true;
	return ERR_OK;
}

/* The source's checkpoint is the sync's, for when it is opened again. */
static void
keep_checkpoint(struct sync *s, json_object *checkpoint)
{
	if (!checkpoint)
		return;
	json_object_put(s->checkpoint);
	s->checkpoint = json_object_get(checkpoint);
}

/* --- one step ---------------------------------------------------------- */

static void
step_clear(struct step *st)
{
	json_object_put(st->say.checkpoint);
	json_object_put(st->say.notes);
	json_object_put(st->say.cursors);
	json_object_put(st->say.events);
}

static enum err
commit(struct worker *w, struct sync *s, struct step *st)
{
	struct load_result done = { .streams = NULL };
	enum err err;

	if (st->empty) {
		load_abort(w->load);
		return ERR_OK;
	}
	if (!st->say.phase)
		st->say.phase = phase_name(PHASE_FETCHING);
	if (!st->say.message)
		st->say.message = "Syncing";
	err = load_commit(w->load, &st->say, &done);
	if (err)
		return err;
	json_object_put(done.streams);
	s->ops->committed(s->source);
	keep_checkpoint(s, st->say.checkpoint);
	s->crash_count = 0;
	s->suspected = false;
	return ERR_OK;
}

static enum err
perform(struct worker *w, struct sync *s, struct step *st, struct failure *why)
{
	const struct step_env env = env_of(w, s);
	const struct load_target target = {
		.user_id = s->user_id,
		.connection_id = s->connection_id,
		.sync_id = s->sync_id,
		.runner_id = s->term->runner_id,
		.epoch = s->epoch,
	};
	enum err err = load_begin(w->load, &target);

	if (!err)
		err = s->ops->step(s->source, &env, st, why);
	if (!err)
		err = commit(w, s, st);
	if (err)
		load_abort(w->load);
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

	snprintf(message, sizeof message, "Trying again (attempt %d of %d)",
	    v->attempt, s->max_attempts);
	hold_wait(w->tools->hold, s, &hw);
}

/* The account needs its user: said on the connection, and once as event. */
static void
mark_reconnect(struct worker *w, struct sync *s)
{
	enum err err = db_run(w->db, STMT_CONNECTION_MARK, NULL,
	    arg_text(s->user_id), arg_text(s->connection_id),
	    arg_text("reconnect_required"), arg_null());

	if (!err)
		err = db_run(w->db, STMT_SYNC_EVENT_ADD, NULL,
		    arg_text(s->sync_id), arg_text(s->user_id),
		    arg_text("warning"), arg_text("reconnect_required"),
		    arg_text("The account has to be connected again."),
		    arg_null());
	if (err)
		log_at(LOG_WARN, "connection_not_marked",
		    LOG_STR("sync_id", s->sync_id),
		    LOG_STR("error", err_name(err)));
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
	return why->message[0] ? why->message : db_error_text(w->db);
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
	    LOG_STR("runner_id", s->term->runner_id),
	    LOG_INT("step", s->steps), LOG_INT("ms", ms),
	    LOG_STR("outcome", err ? "error" : outcomes[st->outcome]),
	    LOG_STR("error", err ? err_name(err) : ""),
	    LOG_STR("code", err ? why->code : ""),
	    LOG_STR("text", text_of(w, err, why)));
}

/* --- the loop ---------------------------------------------------------- */

/* Everything before the step itself; a source may be opened. */
static enum err
prepare(struct worker *w, struct sync *s, struct failure *why)
{
	enum err err = db_connect(w->db);

	if (!err && s->doubtful)
		err = reread(w, s);
	if (!err && s->item.lane == LANE_ALONE && !s->suspected)
		err = suspect(w, s);
	if (!err && !s->source)
		err = open_source(w, s, why);
	return err;
}

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

	db_resume(w->db);
	http_resume(w->http);
	if (sync_step_begin(s, interrupt, w) != SYNC_GOES_ON) {
		hold_let_go(h, s);
		return false;
	}
	hold_started(h, s);
	err = prepare(w, s, &why);
	if (!err && s->item.lane == LANE_SHORT && lane_of(s) == LANE_LONG) {
		/* known only now: it waits for a place among the long ones */
		s->item.lane = LANE_LONG;
		sync_step_end(s);
		hold_again(h, s, 0);
		return false;
	}
	if (!err)
		err = perform(w, s, &st, &why);
	s->steps++;
	sync_step_end(s);
	db_resume(w->db); /* an interrupt was for the step alone */
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
		err = http_open(&w->http, set->source_timeout_ms);
		if (!err && pthread_create(&w->thread, NULL, run, w) != 0) {
			http_close(w->http);
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
		load_close(w->load);
		db_close(w->db);
		http_close(w->http);
	}
	free(ws);
}
