/* load_stage.c - staging tables: found, made, filled, forgotten. */
#include "runner/load/load_room.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
stage_close(struct stage *g)
{
	free(g->description);
	free(g->parent_now);
	load_sql_fini(&g->sql);
	text_fini(&g->rows);
	*g = (struct stage){ .description = NULL };
}

/* The least recently used stage that this batch can do without. */
static enum err
free_stage(struct load *l, struct stage **ret)
{
	struct stage *oldest = NULL;
	enum err err = ERR_OK;

	if (l->n_stages < LOAD_STAGES_MAX) {
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
	if (err) {
		db_reset(l->db); /* as unsure as a failed preparation */
		return err;
	}
	stage_close(oldest);
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
		stage_close(g);
	else
		*ret = g;
	return err;
}

/* The stage of a stream, made part of the batch together with its parent. */
enum err
stage_find(struct load *l, const struct load_stream *s, struct stage **ret)
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
		err = stage_find(l, s->parent, &parent);
	if (!err && l->n_batch == LOAD_BATCH_MAX)
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
	else
		/* all, some or none are there, and a second time is an error */
		db_reset(l->db);
	return err;
}

enum err
stage_flush(struct load *l, struct stage *g)
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

enum err
stages_ready(struct load *l)
{
	enum err err = ERR_OK;

	for (size_t i = 0; i < l->n_batch && !err; i++) {
		err = stage_flush(l, l->batch[i]);
		if (!err) /* also where every row was rejected */
			err = ensure_table(l, l->batch[i]);
	}
	for (size_t i = 0; i < l->n_batch && !err; i++)
		err = ensure_statements(l, l->batch[i]);
	return err;
}
