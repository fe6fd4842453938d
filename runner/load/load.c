/* load.c - gathers a step's rows and commits them with their sync's row. */
#include "runner/load/load.h"

#include "runner/load/load_sql.h"
#include "runner/load/load_values.h"
#include "runner/load/text.h"
#include "shared/json.h"
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_BYTES (256 * 1024)
#define ANALYZE_ROWS 5000 /* from here on the planner should know */
#define STAGES_MAX 48     /* staging tables a session keeps */
#define BATCH_STREAMS_MAX 10 /* what one pipeline has room for */
#define SNAPSHOTS_MAX 8
#define QUARANTINE_MAX 1000 /* records kept per step; all are counted */
#define RAW_MAX 8192
#define REASON_MAX 200

/* One stream's staging table, and what the batch under way has put there. */
struct stage {
	char *description; /* owned; what the SQL was built from */
	char temp[48];
	struct load_sql sql;
	uint64_t generation; /* of the session that has the table; 0: none */
	uint64_t prepared;   /* of the session that has the statements */
	uint64_t used;       /* when last, to find the oldest */
	/* the batch's; stream is NULL while the batch does not use it */
	const struct load_stream *stream;
	struct text rows;
	char *parent_now; /* parent key of the last row, to number the sets */
	int64_t sets;
	int64_t staged;
	int64_t rejected;
};

struct snapshot {
	struct stage *stage;
	char *sql;
	char *value;
};

struct reject {
	const char *stream; /* the description's */
	char *reason;
	char *raw; /* may be NULL */
};

struct load {
	struct db *db;
	struct stage stages[STAGES_MAX];
	size_t n_stages;
	uint64_t clock; /* counts uses of stages */
	/* the batch */
	const struct load_target *target; /* NULL: none */
	struct stage *batch[BATCH_STREAMS_MAX];
	size_t n_batch;
	struct snapshot snapshots[SNAPSHOTS_MAX];
	size_t n_snapshots;
	struct reject *rejects;
	size_t n_rejects;
	size_t rows;
	size_t rejected;
};

enum err
load_open(struct load **ret, struct db *db)
{
	struct load *l = calloc(1, sizeof *l);

	if (!l)
		return ERR_NOMEM;
	l->rejects = calloc(QUARANTINE_MAX, sizeof *l->rejects);
	if (!l->rejects) {
		free(l);
		return ERR_NOMEM;
	}
	l->db = db;
	*ret = l;
	return ERR_OK;
}

/* --- the batch -------------------------------------------------------- */

static void
forget_rows(struct load *l)
{
	for (size_t i = 0; i < l->n_batch; i++) {
		struct stage *g = l->batch[i];

		g->stream = NULL;
		text_reset(&g->rows);
		free(g->parent_now);
		g->parent_now = NULL;
		g->sets = g->staged = g->rejected = 0;
	}
	for (size_t i = 0; i < l->n_snapshots; i++) {
		free(l->snapshots[i].sql);
		free(l->snapshots[i].value);
	}
	for (size_t i = 0; i < l->n_rejects; i++) {
		free(l->rejects[i].reason);
		free(l->rejects[i].raw);
	}
	l->n_batch = l->n_snapshots = l->n_rejects = 0;
	l->rows = l->rejected = 0;
}

/* A lost transaction takes the tables made in it along. */
static void
undo(struct load *l)
{
	if (db_in_transaction(l->db)) {
		for (size_t i = 0; i < l->n_batch; i++)
			l->batch[i]->generation = 0;
		db_rollback(l->db);
	}
	forget_rows(l);
}

enum err
load_begin(struct load *l, const struct load_target *t)
{
	if (l->target)
		load_abort(l);
	l->target = t;
	return ERR_OK;
}

void
load_abort(struct load *l)
{
	undo(l);
	l->target = NULL;
}

enum err
load_restart(struct load *l)
{
	undo(l);
	return l->target ? ERR_OK : ERR_INVAL;
}

static void
close_stage(struct stage *g)
{
	free(g->description);
	free(g->parent_now);
	load_sql_fini(&g->sql);
	text_fini(&g->rows);
	*g = (struct stage){ .description = NULL };
}

void
load_close(struct load *l)
{
	if (!l)
		return;
	load_abort(l);
	for (size_t i = 0; i < l->n_stages; i++)
		close_stage(&l->stages[i]);
	free(l->rejects);
	free(l);
}

/* --- stages ----------------------------------------------------------- */

/* The least recently used stage that this batch can do without. */
static enum err
free_stage(struct load *l, struct stage **ret)
{
	struct stage *oldest = NULL;
	enum err err = ERR_OK;

	if (l->n_stages < STAGES_MAX) {
		*ret = &l->stages[l->n_stages++];
		return ERR_OK;
	}
	for (size_t i = 0; i < l->n_stages; i++) {
		struct stage *g = &l->stages[i];

		if (!g->stream && (!oldest || g->used < oldest->used))
			oldest = g;
	}
	if (!oldest)
		return ERR_TOO_LARGE;
	if (oldest->prepared == db_generation(l->db))
		err = db_sql(l->db, oldest->sql.forget, NULL);
	if (err)
		return err;
	close_stage(oldest);
	*ret = oldest;
	return ERR_OK;
}

/* Named by what the table is like, so that texts that mention it stay true. */
static void
name_table(struct stage *g)
{
	unsigned char hash[16];
	size_t at;

	crypto_generichash(hash, sizeof hash,
	    (const unsigned char *)g->description, strlen(g->description),
	    NULL, 0);
	at = (size_t)snprintf(g->temp, sizeof g->temp, "load_");
	for (size_t i = 0; i < sizeof hash; i++)
		at += (size_t)snprintf(
		    g->temp + at, sizeof g->temp - at, "%02x", hash[i]);
}

/* The stage with this description, made when there is none; takes it. */
static enum err
open_stage(struct load *l, const struct load_stream *s,
    const struct stage *parent, char *description, struct stage **ret)
{
	struct stage *g;
	enum err err;

	for (size_t i = 0; i < l->n_stages; i++) {
		g = &l->stages[i];
		if (g->description && !g->stream &&
		    strcmp(g->description, description) == 0) {
			free(description);
			*ret = g;
			return ERR_OK;
		}
	}
	err = free_stage(l, &g);
	if (err) {
		free(description);
		return err;
	}
	g->description = description;
	name_table(g);
	err = load_sql_build(s, g->temp, parent ? parent->temp : NULL, &g->sql);
	if (err)
		close_stage(g);
	else
		*ret = g;
	return err;
}

/* The stage of a stream, made part of the batch together with its parent. */
static enum err
find_stage(struct load *l, const struct load_stream *s, struct stage **ret)
{
	struct stage *g, *parent = NULL;
	char *description;
	enum err err = ERR_OK;

	for (size_t i = 0; i < l->n_batch; i++) {
		if (l->batch[i]->stream == s) {
			*ret = l->batch[i];
			return ERR_OK;
		}
	}
	if (s->parent && s->parent_keys > 0)
		err = find_stage(l, s->parent, &parent);
	if (!err && l->n_batch == BATCH_STREAMS_MAX)
		err = ERR_TOO_LARGE;
	if (!err)
		err = load_sql_describe(s, &description);
	if (!err)
		err = open_stage(l, s, parent, description, &g);
	if (err)
		return err;
	g->stream = s;
	g->used = ++l->clock;
	l->batch[l->n_batch++] = g;
	*ret = g;
	return ERR_OK;
}

/* Makes sure the session has the table; a new session has none. */
static enum err
ensure_table(struct load *l, struct stage *g)
{
	enum err err = db_connect(l->db);

	if (err || g->generation == db_generation(l->db))
		return err;
	err = db_sql(l->db, g->sql.create, NULL);
	if (!err)
		g->generation = db_generation(l->db);
	return err;
}

/* Prepared statements outlive a transaction that is undone, tables do not;
 * and they may name the parent's table, so all tables come first. */
static enum err
ensure_statements(struct load *l, struct stage *g)
{
	enum err err;

	if (g->prepared == db_generation(l->db))
		return ERR_OK;
	err = db_sql(l->db, g->sql.prepare, NULL);
	if (!err)
		g->prepared = db_generation(l->db);
	return err;
}

static enum err
flush(struct load *l, struct stage *g)
{
	enum err err;

	if (g->rows.failed)
		return ERR_NOMEM;
	if (g->rows.len == 0)
		return ERR_OK;
	err = ensure_table(l, g);
	if (!err)
		err = db_copy_start(l->db, g->sql.copy);
	if (!err)
		err = db_copy_put(l->db, g->rows.p, g->rows.len);
	if (!err)
		err = db_copy_end(l->db);
	if (!err)
		text_reset(&g->rows);
	return err;
}

/* --- rows ------------------------------------------------------------- */

/* Any bytes as text PostgreSQL stores, cut to at most `max` bytes. */
static char *
clean_text(const char *s, size_t max)
{
	size_t len = strnlen(s, max);
	char *copy = strndup(s, len);

	if (!copy)
		return NULL;
	/* a cut may have split the last character */
	for (int i = 0; i < 4 && len > 0 && s[len] != '\0' &&
	     !utf8_valid(copy, len); i++)
		copy[--len] = '\0';
	if (!utf8_valid(copy, len)) {
		for (size_t i = 0; i < len; i++) {
			if ((unsigned char)copy[i] >= 0x80)
				copy[i] = '?';
		}
	}
	return copy;
}

static enum err
reject(struct load *l, struct stage *g, const char *reason, const char *raw)
{
	struct reject *r;

	g->rejected++;
	l->rejected++;
	l->rows++;
	if (l->n_rejects == QUARANTINE_MAX)
		return ERR_OK;
	r = &l->rejects[l->n_rejects];
	r->stream = g->stream->name;
	r->reason = clean_text(reason, REASON_MAX);
	r->raw = raw ? clean_text(raw, RAW_MAX) : NULL;
	if (!r->reason || (raw && !r->raw)) {
		free(r->reason);
		free(r->raw);
		return ERR_NOMEM;
	}
	l->n_rejects++;
	return ERR_OK;
}

enum err
load_reject(struct load *l, const struct load_stream *s, const char *reason,
    const char *raw)
{
	struct stage *g;
	enum err err = find_stage(l, s, &g);

	return err ? err : reject(l, g, reason, raw);
}

enum err
load_keep_raw(struct load *l, const char *raw)
{
	struct reject *r;

	if (l->n_rejects == 0 || l->rejected > QUARANTINE_MAX)
		return ERR_OK;
	r = &l->rejects[l->n_rejects - 1];
	free(r->raw);
	r->raw = clean_text(raw, RAW_MAX);
	return r->raw ? ERR_OK : ERR_NOMEM;
}

/* What keeps a row out, into `why`; false: nothing. */
static bool
row_problem(const struct load_stream *s, const char *const *values, char *why,
    size_t size)
{
	size_t key_bytes = 0;

	for (size_t i = 0; i < s->n_columns; i++) {
		const struct load_column *c = &s->columns[i];
		const char *problem = NULL;

		if (!values[i]) {
			if (!c->key)
				continue;
			problem = "missing";
		} else {
			size_t len = strlen(values[i]);

			problem = value_problem(c->type, values[i], len);
			if (c->key)
				key_bytes += len;
			if (!problem && key_bytes > LOAD_KEYS_MAX)
				problem = "too long for a key";
		}
		if (problem) {
			snprintf(why, size, "%s is %s", c->name, problem);
			return true;
		}
	}
	return false;
}

/* Numbers a parent's comings: a set ends where another parent begins. */
static enum err
number_set(
    struct stage *g, const struct load_stream *s, const char *const *values)
{
	CLEANUP(text_fini) struct text now = { .p = NULL };

	if (s->parent_keys == 0)
		return ERR_OK;
	for (size_t i = 0; i < s->parent_keys; i++) {
		text_fmt(&now, "%zu:", strlen(values[i]));
		text_str(&now, values[i]);
	}
	if (now.failed)
		return ERR_NOMEM;
	if (!g->parent_now || strcmp(g->parent_now, now.p) != 0) {
		free(g->parent_now);
		g->parent_now = now.p;
		now.p = NULL;
		g->sets++;
	}
	return ERR_OK;
}

enum err
load_row(struct load *l, const struct load_stream *s,
    const char *const *values, const char *raw)
{
	struct stage *g;
	char why[160];
	enum err err = find_stage(l, s, &g);

	if (err)
		return err;
	if (row_problem(s, values, why, sizeof why))
		return reject(l, g, why, raw);
	err = number_set(g, s, values);
	if (err)
		return err;
	text_fmt(&g->rows, "%" PRId64 "\t%" PRId64, g->staged, g->sets);
	for (size_t i = 0; i < s->n_columns; i++) {
		text_ch(&g->rows, '\t');
		value_copy(&g->rows, values[i]);
	}
	text_ch(&g->rows, '\n');
	if (g->rows.failed)
		return ERR_NOMEM;
	g->staged++;
	l->rows++;
	return g->rows.len >= FLUSH_BYTES ? flush(l, g) : ERR_OK;
}

enum err
load_snapshot(struct load *l, const struct load_stream *s, const char *column,
    const char *value)
{
	struct snapshot *p;
	struct stage *g;
	enum err err = find_stage(l, s, &g);

	if (!err && l->n_snapshots == SNAPSHOTS_MAX)
		err = ERR_TOO_LARGE;
	if (err)
		return err;
	p = &l->snapshots[l->n_snapshots];
	*p = (struct snapshot){ .stage = g, .value = strdup(value) };
	if (!p->value)
		return ERR_NOMEM;
	err = load_sql_snapshot(s, g->temp, column, &p->sql);
	if (err)
		free(p->value);
	else
		l->n_snapshots++;
	return err;
}

size_t
load_rows(const struct load *l)
{
	return l->rows;
}

size_t
load_rejected(const struct load *l)
{
	return l->rejected;
}

/* --- commit ----------------------------------------------------------- */

static enum err
pipe_quarantine(struct load *l)
{
	const struct load_target *t = l->target;
	const char *items[3][QUARANTINE_MAX];
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

	for (size_t i = 0; i < l->n_batch && !err; i++) {
		err = flush(l, l->batch[i]);
		if (!err) /* also where every row was rejected */
			err = ensure_table(l, l->batch[i]);
	}
	for (size_t i = 0; i < l->n_batch && !err; i++)
		err = ensure_statements(l, l->batch[i]);
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
	forget_rows(l);
	l->target = NULL;
	return ERR_OK;
}
