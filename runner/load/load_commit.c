/* load_commit.c - rows, rejects, cursors and the fence as one message. */
#include "runner/load/load_room.h"

#include "shared/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANALYZE_ROWS 5000 /* from here on the planner should know */

static enum err
pipe_quarantine(struct load *l)
{
	const struct load_target *t = l->target;
	const char *items[3][LOAD_QUARANTINE_MAX];
	char *arrays[3] = { NULL, NULL, NULL };
	enum err err = ERR_OK;

	if (l->n_rejects == 0)
		return ERR_OK;
	for (size_t i = 0; i < l->n_rejects; i++) {
		items[0][i] = l->rejects[i].stream;
		items[1][i] = l->rejects[i].reason;
		items[2][i] = l->rejects[i].raw;
	}
	for (int i = 0; i < 3; i++) {
		arrays[i] = array_text(items[i], l->n_rejects);
		if (!arrays[i])
			err = ERR_NOMEM;
	}
	if (!err)
		db_pipe_run(l->db, STMT_QUARANTINE_ADD, NULL,
		    arg_text(t->user_id), arg_text(t->connection_id),
		    arg_text(t->sync_id), arg_text(arrays[0]),
		    arg_text(arrays[1]), arg_text(arrays[2]));
	for (int i = 0; i < 3; i++)
		free(arrays[i]);
	return err;
}

static void
pipe_stage(struct load *l, struct stage *g)
{
	const struct load_target *t = l->target;
	char name[64];

	if (g->staged >= ANALYZE_ROWS)
		db_pipe_sql(l->db, g->sql.analyze, NULL, NULL, 0);
	if (g->sql.replaces) {
		snprintf(name, sizeof name, "%s_replace", g->temp);
		db_pipe_named(l->db, name, NULL,
		    ARGS(arg_text(t->user_id), arg_text(t->connection_id)),
		    2);
	}
	snprintf(name, sizeof name, "%s_upsert", g->temp);
	db_pipe_named(l->db, name, NULL,
	    ARGS(arg_text(t->user_id), arg_text(t->connection_id),
	        arg_text(t->sync_id), arg_i64(g->rejected)), 4);
	for (size_t i = 0; i < l->n_snapshots; i++) {
		if (l->snapshots[i].stage == g)
			db_pipe_sql(l->db, l->snapshots[i].sql, NULL,
			    ARGS(arg_text(t->user_id),
			        arg_text(t->connection_id),
			        arg_text(l->snapshots[i].value)), 3);
	}
}

static void
pipe_cursors(struct load *l, json_object *cursors)
{
	const struct load_target *t = l->target;

	if (!cursors)
		return;
	json_object_object_foreach(cursors, stream, cursor)
	{
		db_pipe_run(l->db, STMT_STREAM_STATE_PUT, NULL,
		    arg_text(t->user_id), arg_text(t->connection_id),
		    arg_text(stream),
		    arg_text(json_object_to_json_string_ext(
		        cursor, JSON_C_TO_STRING_PLAIN)),
		    arg_text(t->sync_id));
	}
}

static const char *
json_or(json_object *o, const char *fallback)
{
	return o ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN)
		 : fallback;
}

static enum err
take_result(const PGresult *res, struct load_result *ret)
{
	const char *streams = result_text(res, 0, "streams");
	json_object *o = NULL;
	enum err err;

	err = streams ? json_read(streams, strlen(streams), 32, &o, NULL)
		      : ERR_FENCED;
	if (err)
		return err;
	ret->seq = result_i64(res, 0, "seq");
	ret->progress = result_f64(res, 0, "progress");
	ret->streams = o;
	return ERR_OK;
}

/* Everything behind COPY, as one message. */
static enum err
commit_pipe(struct load *l, const struct load_step *step, PGresult **ret)
{
	const struct load_target *t = l->target;
	enum err err = db_pipe_start(l->db, true), queue_err;

	if (err)
		return err;
	db_pipe_run(l->db, STMT_FENCE_NAME, NULL, arg_text(t->runner_id),
	    arg_i64(t->epoch));
	/* children first: their parents are compared as they were, which for
	 * new ones costs a look at an index instead of at a row */
	for (size_t i = l->n_batch; i > 0; i--)
		pipe_stage(l, l->batch[i - 1]);
	queue_err = pipe_quarantine(l);
	if (queue_err) /* an impossible statement: the pipeline must not run */
		db_pipe(l->db, STMT_FENCE_NAME, NULL, NULL, -1);
	pipe_cursors(l, step->cursors);
	db_pipe_run(l->db, STMT_STEP_COMMIT, ret, arg_text(t->sync_id),
	    arg_text(t->runner_id), arg_i64(t->epoch),
	    arg_text(json_or(step->checkpoint, "{}")),
	    arg_text(json_or(step->notes, "{}")), arg_f64(step->progress),
	    arg_text(step->phase), arg_text(step->message),
	    arg_text(json_or(step->events, "[]")));
	err = db_pipe_end(l->db);
	return queue_err ? queue_err : err;
}

enum err
load_commit(
    struct load *l, const struct load_step *step, struct load_result *ret)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum err err = l->target ? ERR_OK : ERR_INVAL;

	if (!err)
		err = stages_ready(l);
	if (!err)
		err = commit_pipe(l, step, &res);
	if (!err)
		err = take_result(res, ret);
	if (err) {
		for (size_t i = 0; i < l->n_batch; i++)
			l->batch[i]->generation = 0;
		load_abort(l);
		return err;
	}
	load_forget_rows(l);
	l->target = NULL;
	return ERR_OK;
}
