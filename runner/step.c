/* step.c - the doubt, the suspicion, the source, the rows, the commit. */
#include "runner/step.h"
#include "shared/log.h"
#include "shared/status.h"

#include <stdlib.h>

static struct step_env
env_of(const struct step_tools *t, const struct sync *s)
{
	return (struct step_env){
		.settings = t->settings,
		.vault = t->vault,
		.db = t->db,
		.http = t->http,
		.load = t->load,
		.limits = t->limits,
		.runner_id = s->term->runner_id,
	};
}

/* After a doubt: what the database says, or that it is not ours. */
static enum err
reread(const struct step_tools *t, struct sync *s)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	const char *ids[] = { s->sync_id };
	char *array = array_text(ids, 1);
	enum err err;

	if (!array)
		return ERR_NOMEM;
	err = db_run(t->db, STMT_SYNC_OWNED, &res, arg_text(s->term->runner_id),
	    arg_text(array));
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
open_source(const struct step_tools *t, struct sync *s, struct failure *why)
{
	const struct step_env env = env_of(t, s);
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
	enum err err;

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
	err = s->ops->open(&s->source, &spec, &env, why);
	/* the source borrows it for its life, and s->checkpoint moves on */
	if (!err)
		s->opened_from = json_object_get(s->checkpoint);
	return err;
}

void
step_event(const struct step_tools *t, const struct sync *s, const char *type,
    const char *kind, const char *message, json_object *data)
{
	enum err err = db_run(t->db, STMT_SYNC_EVENT_ADD, NULL,
	    arg_text(s->sync_id), arg_text(s->user_id), arg_text(type),
	    arg_text(kind), arg_text(message),
	    arg_text(data ? json_object_to_json_string(data) : NULL));

	if (err)
		log_at(LOG_WARN, "event_lost", LOG_STR("sync_id", s->sync_id),
		    LOG_STR("kind", kind), LOG_STR("error", err_name(err)));
}

/*
 * A suspect steps alone, and a crash from here on is its own: that is
 * written down before the step, once for each time a runner holds it.
 */
static enum err
suspect(const struct step_tools *t, struct sync *s)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum err err =
	    db_run(t->db, STMT_SYNC_SUSPECT, &res, arg_text(s->sync_id),
		arg_text(s->term->runner_id), arg_i64(s->epoch));

	if (err)
		return err;
	if (PQntuples(res) == 0)
		return ERR_FENCED;
	s->crash_count = (int)result_i64(res, 0, "crash_count");
	s->suspected = true;
	step_event(t, s, "warning", "rescued",
	    "The sync was interrupted and goes on from its last step.", NULL);
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

void
step_clear(struct step *st)
{
	json_object_put(st->say.checkpoint);
	json_object_put(st->say.notes);
	json_object_put(st->say.cursors);
	json_object_put(st->say.events);
}

static enum err
commit(const struct step_tools *t, struct sync *s, struct step *st)
{
	struct load_result done = { .streams = NULL };
	enum err err;

	if (st->empty) {
		load_abort(t->load);
		return ERR_OK;
	}
	if (!st->say.phase)
		st->say.phase = phase_name(PHASE_FETCHING);
	if (!st->say.message)
		st->say.message = "Syncing";
	err = load_commit(t->load, &st->say, &done);
	if (err)
		return err;
	json_object_put(done.streams);
	s->ops->committed(s->source);
	keep_checkpoint(s, st->say.checkpoint);
	s->crash_count = 0;
	s->suspected = false;
	return ERR_OK;
}

enum err
step_perform(const struct step_tools *t, struct sync *s, struct step *st,
    struct failure *why)
{
	const struct step_env env = env_of(t, s);
	const struct load_target target = {
		.user_id = s->user_id,
		.connection_id = s->connection_id,
		.sync_id = s->sync_id,
		.runner_id = s->term->runner_id,
		.epoch = s->epoch,
	};
	enum err err = load_begin(t->load, &target);

	if (!err)
		err = s->ops->step(s->source, &env, st, why);
	if (!err)
		err = commit(t, s, st);
	if (err)
		load_abort(t->load);
	return err;
}

enum err
step_prepare(const struct step_tools *t, struct sync *s, struct failure *why)
{
	enum err err = db_connect(t->db);

	if (!err && s->doubtful)
		err = reread(t, s);
	if (!err && s->item.lane == LANE_ALONE && !s->suspected)
		err = suspect(t, s);
	if (!err && !s->source)
		err = open_source(t, s, why);
	return err;
}
