/* spapi.c - the source "spapi": gives the streams of an account turns. */
#include "runner/sources/spapi.h"

#include "runner/sources/failure.h"
#include "runner/sources/http.h"
#include "runner/sources/sources.h"
#include "runner/sources/url.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How each stream has its turns, in this order. */
static const struct stream {
	const char *title;
	turn_fn *turn;
	bool is_long; /* a turn may take minutes */
} streams[STREAM__MAX] = {
	[STREAM_ORDERS] = { "Orders", orders_turn, false },
	[STREAM_INVENTORY] = { "Inventory", inventory_turn, true },
	[STREAM_TRANSACTIONS] = { "Transactions", transactions_turn, true },
};

/* --- turns --------------------------------------------------------------------- */

void
turn_fail(struct turn *t, enum failure_class class, const char *code,
    const char *message)
{
	t->outcome = TURN_FAILED;
	failure_say(&t->why, class, code, "%s", message);
}

void
turn_of_call(struct turn *t, const struct call *c)
{
	switch (c->outcome) {
	case CALL_WAIT:
		t->outcome = TURN_WAIT;
		t->wait_ms = c->wait_ms;
		t->limited = c->limited;
		return;
	case CALL_STALE:
		t->outcome = TURN_WAIT;
		t->wait_ms = 0;
		return;
	case CALL_OK:
	case CALL_REWIND:
	case CALL_FAILED:
		t->outcome = TURN_FAILED;
		t->why = c->why;
		return;
	}
}

void
turn_event(struct turn *t, const char *type, const char *kind,
    const char *stream, const char *message)
{
	json_object *e = json_object_new_object();
	json_object *data = json_object_new_object();

	json_put_text(data, "stream", stream);
	json_put_text(e, "type", type);
	json_put_text(e, "kind", kind);
	json_put_text(e, "message", message);
	json_put_object(e, "data", data);
	json_object_array_add(t->events, e);
}

void
turn_done(struct turn *t, enum spapi_stream stream)
{
	char text[64];

	json_put_bool(t->mine, "done", true);
	snprintf(text, sizeof text, "%s synced", streams[stream].title);
	turn_event(t, "success", "stream_completed", spapi_names[stream].name,
	    text);
}

void
turn_mark(struct turn *t, enum spapi_stream stream, int64_t ms)
{
	json_object *cursor = json_object_new_object();
	char text[WINDOW_TEXT_MAX];

	json_put_text(cursor, "high", window_text(ms, text));
	json_put_object(t->cursors, spapi_names[stream].name, cursor);
}

static bool
is_over(json_object *all, int i)
{
	json_object *mine = json_member(all, spapi_names[i].name);

	return json_flag(mine, "done", false) || json_member(mine, "failed");
}

/* The stream whose turn it is; -1 when none can have one now. */
static int
next_stream(const struct source *s)
{
	for (int i = 0; i < STREAM__MAX; i++) {
		const struct stream_run *run = &s->runs[i];

		if (run->wanted && !run->postponed &&
		    !is_over(s->checkpoint, i) && run->ready_ms <= clock_ms())
			return i;
	}
	return -1;
}

/* A failure for good: kept in the checkpoint, told when the rest is done. */
static void
note_failure(struct turn *t, int i)
{
	json_object *f = json_object_new_object();
	char text[320];

	json_put_text(f, "class", failure_class_name(t->why.class));
	json_put_text(f, "code", t->why.code);
	json_put_text(f, "message", t->why.message);
	json_put_object(t->mine, "failed", f);
	snprintf(text, sizeof text, "%s: %s", streams[i].title,
	    t->why.message);
	turn_event(t, "warning", "stream_failed", spapi_names[i].name, text);
	t->outcome = TURN_MORE;
}

/* --- what is known before the first turn --------------------------------------- */

static enum err
store_marketplaces(struct source *s, const struct step_env *env)
{
	size_t n = json_object_array_length(s->marketplaces);
	const char **ids = calloc(n + 1, sizeof *ids);
	char *array;
	enum err err = ERR_NOMEM;

	if (!ids)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++)
		ids[i] = json_object_get_string(
		    json_object_array_get_idx(s->marketplaces, i));
	array = array_text(ids, n);
	if (array)
		err = db_run(env->db, STMT_CONNECTION_MARK, NULL,
		    arg_text(s->user_id), arg_text(s->connection_id),
		    arg_text("connected"), arg_text(array));
	free(array);
	free(ids);
	return err;
}

static enum err
ask_marketplaces(
    struct source *s, const struct step_env *env, struct call *c)
{
	CLEANUP(text_fini) struct text url = { .p = NULL };
	json_object *found;
	const char *why;
	enum err err;

	url_start(&url, s->base, spapi_path(OP_PARTICIPATIONS));
	if (url.failed)
		return ERR_NOMEM;
	*c = (struct call){ .op = OP_PARTICIPATIONS, .url = url.p };
	err = spapi_call(s, env, c);
	c->url = NULL;
	if (err || c->outcome != CALL_OK)
		return err;
	err = spapi_marketplaces(c->body, &found, &why);
	json_object_put(c->body);
	c->body = NULL;
	if (err == ERR_PEER) {
		c->outcome = CALL_FAILED;
		failure_say(&c->why, FAILURE_TRANSIENT, "answer_invalid",
		    "Amazon's answer cannot be read: %s.", why);
		return ERR_OK;
	}
	if (err)
		return err;
	json_object_put(s->marketplaces);
	s->marketplaces = found;
	return store_marketplaces(s, env);
}

/*
 * Fixes what the whole sync holds on to: its upper bound, a little behind
 * Amazon's clock, and the marketplaces.  c->outcome says whether it could.
 */
static enum err
prepare(struct source *s, const struct step_env *env, json_object *all,
    struct call *c)
{
	json_object *markets = NULL;
	enum err err;

	c->outcome = CALL_OK;
	if (json_member(all, "hi"))
		return ERR_OK;
	s->clock.known = false; /* it may have moved since the last call */
	if (json_object_array_length(s->marketplaces) == 0) {
		err = ask_marketplaces(s, env, c);
		if (err || c->outcome != CALL_OK)
			return err;
	}
	err = spapi_clock(s, env, c);
	if (err || c->outcome != CALL_OK)
		return err;
	if (json_object_deep_copy(s->marketplaces, &markets, NULL) != 0)
		return ERR_NOMEM;
	json_put_object(all, "marketplaces", markets);
	json_put_i64(all, "hi",
	    (clock_now(&s->clock) - WINDOW_SETTLE_MS) / 1000 * 1000);
	return ERR_OK;
}

/* --- the step -------------------------------------------------------------------- */

static double
progress_of(const struct source *s, json_object *all)
{
	double sum = 0;
	int n = 0;

	for (int i = 0; i < STREAM__MAX; i++) {
		json_object *mine = json_member(all, spapi_names[i].name);

		if (!s->runs[i].wanted)
			continue;
		n++;
		if (!mine)
			continue;
		switch ((enum spapi_stream)i) {
		case STREAM_ORDERS:
			sum += orders_share(mine);
			break;
		case STREAM_INVENTORY:
			sum += inventory_share(all, mine);
			break;
		case STREAM_TRANSACTIONS:
			sum += transactions_share(mine);
			break;
		case STREAM__MAX:
			break;
		}
	}
	return n > 0 ? 100 * sum / n : 0;
}

static void
put_note(json_object *notes, const char *name, int ord, bool done)
{
	json_object *note = json_object_new_object();

	json_put_i64(note, "ord", ord);
	json_put_bool(note, "done", done);
	json_put_object(notes, name, note);
}

static json_object *
notes_of(const struct source *s, json_object *all)
{
	json_object *notes = json_object_new_object();
	int ord = 0;

	for (int i = 0; i < STREAM__MAX; i++) {
		bool done = json_flag(json_member(all, spapi_names[i].name),
		    "done", false);

		if (s->runs[i].wanted) {
			put_note(notes, spapi_names[i].name, ord, done);
			if (spapi_names[i].child)
				put_note(notes, spapi_names[i].child, ord + 1,
				    done);
		}
		ord += spapi_names[i].child ? 2 : 1;
	}
	return notes;
}

/* Whether every wanted stream is done; *ret_failed: or failed, one at least. */
static bool
all_over(const struct source *s, json_object *all, int *ret_failed)
{
	*ret_failed = -1;
	for (int i = 0; i < STREAM__MAX; i++) {
		if (!s->runs[i].wanted)
			continue;
		if (!is_over(all, i))
			return false;
		if (*ret_failed < 0 &&
		    json_member(json_member(all, spapi_names[i].name), "failed"))
			*ret_failed = i;
	}
	return true;
}

/* Takes all, events and cursors out of the turn. */
static void
hand_out(struct source *s, struct turn *t, int i, struct step *ret)
{
	int failed;
	bool over = all_over(s, t->all, &failed);

	json_object_put(s->pending);
	s->pending = t->all;
	*ret = (struct step){
		.outcome = over && failed < 0 ? STEP_DONE : STEP_MORE,
		.say = {
			.checkpoint = json_object_get(t->all),
			.notes = notes_of(s, t->all),
			.cursors = t->cursors,
			.events = t->events,
			.progress = progress_of(s, t->all),
			.phase = "fetching",
		},
	};
	snprintf(ret->message, sizeof ret->message, "Fetching %s",
	    spapi_names[i].name);
	ret->say.message = ret->message;
}

/* Nothing can have a turn: what the sync waits for, or fails with. */
static enum err
rest(struct source *s, struct step *ret, struct failure *why)
{
	int64_t ready = INT64_MAX;
	int failed, postponed = -1;
	bool limited = false;

	if (all_over(s, s->checkpoint, &failed) && failed >= 0) {
		json_object *f = json_member(json_member(s->checkpoint,
		    spapi_names[failed].name), "failed");

		failure_say(why, failure_class_find(json_text(f, "class")),
		    json_text(f, "code"), "%s: %s", streams[failed].title,
		    json_text(f, "message"));
		return ERR_PEER;
	}
	for (int i = 0; i < STREAM__MAX; i++) {
		struct stream_run *run = &s->runs[i];

		if (!run->wanted || is_over(s->checkpoint, i))
			continue;
		if (run->postponed) {
			postponed = postponed < 0 ? i : postponed;
		} else if (run->ready_ms < ready) {
			ready = run->ready_ms;
			limited = run->limited;
		}
	}
	if (ready == INT64_MAX && postponed >= 0) {
		*why = s->runs[postponed].why;
		for (int i = 0; i < STREAM__MAX; i++)
			s->runs[i].postponed = false; /* the retry tries all */
		return ERR_PEER;
	}
	*ret = (struct step){ .outcome = STEP_WAIT, .empty = true,
		.limited = limited, .wait_ms = 1 };
	if (ready == INT64_MAX) /* a resumed sync that was complete */
		ret->outcome = STEP_DONE;
	else if (ready > clock_ms())
		ret->wait_ms = ready - clock_ms();
	ret->say.checkpoint = json_object_get(s->checkpoint);
	ret->say.notes = notes_of(s, s->checkpoint);
	ret->say.progress = progress_of(s, s->checkpoint);
	ret->say.phase = ret->outcome == STEP_DONE || !limited
	    ? "fetching" : "rate_limited";
	snprintf(ret->message, sizeof ret->message, "%s",
	    limited ? "Waiting for Amazon's rate limit" : "Syncing");
	ret->say.message = ret->message;
	ret->empty = ret->outcome == STEP_WAIT;
	return ERR_OK;
}

static void
put_turn(struct turn *t)
{
	json_object_put(t->all);
	json_object_put(t->events);
	json_object_put(t->cursors);
}

static enum err
begin_turn(struct source *s, const struct step_env *env, int i,
    struct turn *t, struct call *c)
{
	enum err err;

	*t = (struct turn){ .events = json_object_new_array(),
		.cursors = json_object_new_object() };
	if (json_object_deep_copy(s->checkpoint, &t->all, NULL) != 0)
		return ERR_NOMEM;
	err = prepare(s, env, t->all, c);
	if (err || c->outcome != CALL_OK)
		return err;
	t->mine = json_member(t->all, spapi_names[i].name);
	if (!t->mine) {
		t->mine = json_object_new_object();
		json_put_object(t->all, spapi_names[i].name, t->mine);
	}
	return ERR_OK;
}

/*
 * One stream's turn.  *ret_out: there is something to commit; ERR_PEER: the
 * sync ends here.
 */
static enum err
give_turn(struct source *s, const struct step_env *env, int i,
    struct step *ret, struct failure *why, bool *ret_out)
{
	struct stream_run *run = &s->runs[i];
	struct turn t;
	struct call c = { .op = OP_PARTICIPATIONS };
	enum err err = begin_turn(s, env, i, &t, &c);

	*ret_out = false;
	if (!err && c.outcome != CALL_OK)
		turn_of_call(&t, &c);
	else if (!err)
		err = streams[i].turn(s, env, &t);
	if (!err && t.outcome != TURN_MORE && load_rows(env->load) > 0)
		err = load_restart(env->load);
	if (err) {
		put_turn(&t);
		return err;
	}
	if (t.outcome == TURN_FAILED && t.mine &&
	    t.why.class == FAILURE_PERMANENT)
		note_failure(&t, i);
	if (t.outcome == TURN_MORE) {
		hand_out(s, &t, i, ret);
		*ret_out = true;
		return ERR_OK;
	}
	if (t.outcome == TURN_WAIT) {
		run->ready_ms = clock_ms() + t.wait_ms;
		run->limited = t.limited;
	} else {
		run->postponed = true;
		run->why = *why = t.why;
		if (t.why.class != FAILURE_TRANSIENT)
			err = ERR_PEER; /* concerns the whole account */
	}
	put_turn(&t);
	if (err)
		run->postponed = false;
	return err;
}

static enum err
spapi_step(struct source *s, const struct step_env *env, struct step *ret,
    struct failure *why)
{
	json_object_put(s->pending);
	s->pending = NULL;
	for (int tries = 0; tries < STREAM__MAX * 2; tries++) {
		int i = next_stream(s);
		bool out;
		enum err err;

		if (i < 0)
			break;
		err = give_turn(s, env, i, ret, why, &out);
		if (err || out)
			return err;
	}
	return rest(s, ret, why);
}

static void
spapi_committed(struct source *s)
{
	if (!s->pending)
		return;
	json_object_put(s->checkpoint);
	s->checkpoint = s->pending;
	s->pending = NULL;
}

static bool
spapi_is_long(const struct source *s)
{
	int i = next_stream(s);

	return i >= 0 && streams[i].is_long;
}

const struct source_ops spapi_source = {
	.provider = "spapi",
	.open = spapi_open,
	.step = spapi_step,
	.committed = spapi_committed,
	.is_long = spapi_is_long,
	.close = spapi_close,
};
