/* load.c - gathers a step's rows, and the reasons of those it cannot take. */
#include "runner/load/load_room.h"

#include "runner/load/load_values.h"
#include "shared/json.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_BYTES (256 * 1024)
#define RAW_MAX 8192
#define REASON_MAX 200

enum err
load_open(struct load **ret, struct db *db)
{
	struct load *l = calloc(1, sizeof *l);

	if (!l)
		return ERR_NOMEM;
	l->rejects = calloc(LOAD_QUARANTINE_MAX, sizeof *l->rejects);
	if (!l->rejects) {
		free(l);
		return ERR_NOMEM;
	}
	l->db = db;
	*ret = l;
	return ERR_OK;
}

/* --- the batch -------------------------------------------------------- */

void
load_forget_rows(struct load *l)
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
	load_forget_rows(l);
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

void
load_close(struct load *l)
{
	if (!l)
		return;
	load_abort(l);
	for (size_t i = 0; i < l->n_stages; i++)
		stage_close(&l->stages[i]);
	free(l->rejects);
	free(l);
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
	if (l->n_rejects == LOAD_QUARANTINE_MAX)
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
	enum err err = stage_find(l, s, &g);

	return err ? err : reject(l, g, reason, raw);
}

enum err
load_keep_raw(struct load *l, const char *raw)
{
	struct reject *r;

	if (l->n_rejects == 0 || l->rejected > LOAD_QUARANTINE_MAX)
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
	enum err err = stage_find(l, s, &g);

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
	return g->rows.len >= FLUSH_BYTES ? stage_flush(l, g) : ERR_OK;
}

enum err
load_snapshot(struct load *l, const struct load_stream *s, const char *column,
    const char *value)
{
	struct snapshot *p;
	struct stage *g;
	enum err err = stage_find(l, s, &g);

	if (!err && l->n_snapshots == LOAD_SNAPSHOTS_MAX)
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

