/*
 * load_sql.c - writes the statements that stage, classify and replace.
 *
 * Stored rows are met one by one through the primary key (LATERAL with
 * OFFSET 0 cannot be turned into another join), because a staging table has
 * no statistics and a record table grows under whatever was planned: any
 * other plan is one bad guess away from reading the whole table per page.
 * So that a plan made while a table was tiny does not read it whole for
 * ever, sessions that load do not consider that where there is an index.
 */
#include "runner/load/load_sql.h"

#include "runner/load/load_values.h"
#include "runner/load/text.h"
#include <stdlib.h>
#include <string.h>

enum pick { PICK_KEYS, PICK_PARENT, PICK_OTHERS, PICK_ALL };

static bool
picked(const struct load_stream *s, size_t i, enum pick pick)
{
	switch (pick) {
	case PICK_KEYS:
		return s->columns[i].key;
	case PICK_PARENT:
		return i < s->parent_keys;
	case PICK_OTHERS:
		return !s->columns[i].key;
	case PICK_ALL:
		return true;
	}
	return false;
}

/* a.c0, a.c1, ... */
static void
put_staged(struct text *t, const struct load_stream *s, const char *alias,
    enum pick pick)
{
	const char *sep = "";

	for (size_t i = 0; i < s->n_columns; i++) {
		if (!picked(s, i, pick))
			continue;
		text_fmt(t, "%s%s%sc%zu", sep, alias, *alias ? "." : "", i);
		sep = ", ";
	}
}

/* t."name", ... with `as`: also AS k<i> */
static void
put_stored(struct text *t, const struct load_stream *s, const char *alias,
    enum pick pick, bool as)
{
	const char *sep = "";

	for (size_t i = 0; i < s->n_columns; i++) {
		if (!picked(s, i, pick))
			continue;
		text_fmt(t, "%s%s%s", sep, alias, *alias ? "." : "");
		text_ident(t, s->columns[i].name);
		if (as)
			text_fmt(t, " AS k%zu", i);
		sep = ", ";
	}
}

/* The rows of table alias t that are the same record as alias s. */
static void
put_match(struct text *t, const struct load_stream *s, const char *stored,
    const char *staged, enum pick pick)
{
	text_fmt(t, "%s.user_id = $1 AND %s.connection_id = $2", stored,
	    stored);
	for (size_t i = 0; i < s->n_columns; i++) {
		if (!picked(s, i, pick))
			continue;
		text_fmt(t, " AND %s.", stored);
		text_ident(t, s->columns[i].name);
		text_fmt(t, " = %s.c%zu", staged, i);
	}
}

static void
put_table(struct text *t, const struct load_stream *s)
{
	text_str(t, "syncline.");
	text_ident(t, s->table);
}

static const struct load_column *
version_of(const struct load_stream *s, size_t *ret_i)
{
	for (size_t i = 0; i < s->n_columns; i++) {
		if (s->columns[i].version) {
			*ret_i = i;
			return &s->columns[i];
		}
	}
	return NULL;
}

/* One row per record: of a parent's last coming, the newest or last one. */
static void
put_current(struct text *t, const struct load_stream *s, const char *temp)
{
	size_t v;

	text_str(t, "SELECT DISTINCT ON (");
	put_staged(t, s, "", PICK_KEYS);
	text_str(t, ") * FROM ");
	if (s->parent_keys > 0) {
		text_str(t, "(SELECT *, max(set_no) OVER (PARTITION BY ");
		put_staged(t, s, "", PICK_PARENT);
		text_fmt(t, ") AS last_set FROM pg_temp.%s) a "
			    "WHERE set_no = last_set", temp);
	} else {
		text_fmt(t, "pg_temp.%s", temp);
	}
	text_str(t, " ORDER BY ");
	put_staged(t, s, "", PICK_KEYS);
	if (version_of(s, &v))
		text_fmt(t, ", c%zu DESC NULLS LAST", v);
	text_str(t, ", row_no DESC");
}

/* Parents that came in a version older than the stored one. */
static void
put_stale(
    struct text *t, const struct load_stream *s, const char *parent_temp)
{
	const struct load_stream *p = s->parent;
	const struct load_column *col;
	size_t v = 0;

	text_str(t, "SELECT ");
	put_staged(t, s, "p", PICK_PARENT);
	col = parent_temp ? version_of(p, &v) : NULL;
	if (!col) {
		text_fmt(t, " FROM pg_temp.%s p WHERE false", parent_temp
			? parent_temp : "none");
		return;
	}
	text_fmt(t, " FROM pg_temp.%s p CROSS JOIN LATERAL (SELECT o.",
	    parent_temp);
	text_ident(t, col->name);
	text_str(t, " AS version FROM ");
	put_table(t, p);
	text_str(t, " o WHERE ");
	put_match(t, p, "o", "p", PICK_KEYS);
	text_str(t, " OFFSET 0) o GROUP BY ");
	put_staged(t, s, "p", PICK_PARENT);
	text_fmt(t, " HAVING max(p.c%zu) < max(o.version)", v);
}

static bool
has_stale(const struct load_stream *s)
{
	size_t v;

	return s->parent && s->parent_keys > 0 && version_of(s->parent, &v);
}

/* Whether the stored row says something else. */
static void
put_differs(struct text *t, const struct load_stream *s)
{
	bool any = false;

	for (size_t i = 0; i < s->n_columns; i++)
		any |= !s->columns[i].key;
	if (!any) {
		text_str(t, "false");
		return;
	}
	text_str(t, "ROW(");
	put_stored(t, s, "t", PICK_OTHERS, false);
	text_str(t, ") IS DISTINCT FROM ROW(");
	put_staged(t, s, "s", PICK_OTHERS);
	text_str(t, ")");
}

/* Whether the staged row may replace the stored one. */
static void
put_fresh(struct text *t, const struct load_stream *s)
{
	size_t v;
	const struct load_column *col = version_of(s, &v);

	if (col) {
		text_fmt(t, "coalesce(s.c%zu >= t.", v);
		text_ident(t, col->name);
		text_str(t, ", true)");
	} else if (has_stale(s)) {
		text_str(t, "(");
		put_staged(t, s, "s", PICK_PARENT);
		text_str(t, ") NOT IN (SELECT * FROM stale)");
	} else {
		text_str(t, "true");
	}
}

/* A record's name in sync_seen; worked out only where it is looked up. */
static void
put_hash(struct text *t, const struct load_stream *s, const char *alias)
{
	text_str(t, "hash_record_extended(ROW(");
	put_staged(t, s, alias, PICK_KEYS);
	text_str(t, "), 0)");
}

static void
put_classes(struct text *t, const struct load_stream *s)
{
	text_str(t, ", met AS (SELECT s.*, t.last_sync_id IS NOT NULL AS there,"
		    " t.last_sync_id = $3 AS ours, ");
	put_differs(t, s);
	text_str(t, " AS differs, ");
	put_fresh(t, s);
	text_str(t, " AS fresh FROM staged s LEFT JOIN LATERAL "
		    "(SELECT * FROM ");
	put_table(t, s);
	text_str(t, " r WHERE ");
	put_match(t, s, "r", "s", PICK_KEYS);
	text_str(t, " OFFSET 0) t ON true), classed AS (SELECT m.*, CASE "
		    "WHEN NOT there AND fresh THEN 'inserted' WHEN ours OR "
		    "(SELECT true FROM syncline.sync_seen k WHERE k.sync_id"
		    " = $3 AND k.stream = ");
	text_literal(t, s->name);
	text_str(t, " AND k.key_hash = ");
	put_hash(t, s, "m");
	text_str(t, " LIMIT 1) THEN 'repeated' "
		    "WHEN there AND differs AND fresh THEN 'updated' "
		    "ELSE 'unchanged' END AS class FROM met m)");
}

static void
put_write(struct text *t, const struct load_stream *s)
{
	const struct load_column *version;
	size_t v;
	bool any = false;

	text_str(t, ", written AS (INSERT INTO ");
	put_table(t, s);
	text_str(t, " AS t (user_id, connection_id, ");
	put_stored(t, s, "", PICK_ALL, false);
	text_str(t, ", first_sync_id, last_sync_id) SELECT $1, $2, ");
	put_staged(t, s, "", PICK_ALL);
	text_str(t, ", $3, $3 FROM classed WHERE fresh AND "
		    "(NOT there OR differs) ON CONFLICT (user_id, connection_id, ");
	put_stored(t, s, "", PICK_KEYS, false);
	text_str(t, ") DO ");
	for (size_t i = 0; i < s->n_columns; i++) {
		if (s->columns[i].key)
			continue;
		text_str(t, any ? ", " : "UPDATE SET ");
		text_ident(t, s->columns[i].name);
		text_str(t, " = excluded.");
		text_ident(t, s->columns[i].name);
		any = true;
	}
	if (!any) {
		text_str(t, "NOTHING)");
		return;
	}
	text_str(t, ", last_sync_id = excluded.last_sync_id");
	version = version_of(s, &v);
	if (version) {
		text_str(t, " WHERE coalesce(t.");
		text_ident(t, version->name);
		text_str(t, " <= excluded.");
		text_ident(t, version->name);
		text_str(t, ", true)");
	}
	text_ch(t, ')');
}

/* Adds to the counts that step_commit takes; `members` is SQL. */
static void
put_count(struct text *t, const char *name, const char *members)
{
	text_str(t, "SELECT set_config('syncline.counts', syncline.streams_add("
		    "current_setting('syncline.counts')::jsonb, "
		    "jsonb_build_object(");
	text_literal(t, name);
	text_fmt(t, ", jsonb_build_object(%s)))::text, true)", members);
}

static void
put_upsert(struct text *t, const struct load_stream *s, const char *temp,
    const char *parent_temp)
{
	text_str(t, "WITH ");
	if (has_stale(s)) {
		text_str(t, "stale AS MATERIALIZED (");
		put_stale(t, s, parent_temp);
		text_str(t, "), ");
	}
	text_str(t, "staged AS MATERIALIZED (");
	put_current(t, s, temp);
	text_ch(t, ')');
	put_classes(t, s);
	put_write(t, s);
	text_str(t, ", seen AS (INSERT INTO syncline.sync_seen "
		    "(sync_id, stream, key_hash) SELECT $3, ");
	text_literal(t, s->name);
	text_str(t, ", ");
	put_hash(t, s, "");
	text_str(t, " FROM classed WHERE class = 'unchanged' "
		    "ON CONFLICT DO NOTHING), n AS (SELECT count(*) AS kept, "
		    "count(*) FILTER (WHERE class = 'inserted') AS inserted, "
		    "count(*) FILTER (WHERE class = 'updated') AS updated, "
		    "count(*) FILTER (WHERE class = 'unchanged') AS unchanged, "
		    "count(*) FILTER (WHERE class = 'repeated') AS repeated "
		    "FROM classed) ");
	put_count(t, s->name,
	    "'read', a.rows + $4::bigint, 'inserted', n.inserted, "
	    "'updated', n.updated, 'unchanged', n.unchanged, "
	    "'repeated', n.repeated + a.rows - n.kept, "
	    "'rejected', $4::bigint");
	text_fmt(t, " FROM n, (SELECT count(*) AS rows FROM pg_temp.%s) a",
	    temp);
}

/*
 * Deletes the stored rows that no staged one matches.  Stored ones (with
 * their place) and staged ones (without) are grouped by key: a sort whatever
 * the planner believes, where an anti join could become a loop over all
 * pairs.  Finding them again by place needs a table without partitions.
 */
static void
put_removal(struct text *t, const struct load_stream *s, const char *stored,
    const char *staged)
{
	text_str(t, "WITH gone AS (DELETE FROM ");
	put_table(t, s);
	text_str(t, " WHERE ctid = ANY (ARRAY(SELECT max(x.at) FROM (");
	text_str(t, stored);
	text_str(t, " UNION ALL SELECT NULL::tid, ");
	put_staged(t, s, "c", PICK_KEYS);
	text_fmt(t, " FROM (%s) c) x GROUP BY ", staged);
	for (size_t i = 0, n = 0; i < s->n_columns; i++) {
		if (s->columns[i].key)
			text_fmt(t, "%sx.k%zu", n++ > 0 ? ", " : "", i);
	}
	text_str(t, " HAVING bool_and(x.at IS NOT NULL))) RETURNING 1) ");
	put_count(t, s->name, "'removed', (SELECT count(*) FROM gone)");
}

static enum err
finish(struct text *t, char **ret)
{
	if (t->failed) {
		text_fini(t);
		return ERR_NOMEM;
	}
	*ret = t->p;
	*t = (struct text){ .p = NULL };
	return ERR_OK;
}

static void
put_replace(struct text *t, const struct load_stream *s, const char *temp,
    const char *parent_temp)
{
	CLEANUP(text_fini) struct text stored = { .p = NULL };
	CLEANUP(text_fini) struct text staged = { .p = NULL };

	text_str(&stored, "SELECT d.* FROM (SELECT DISTINCT ");
	put_staged(&stored, s, "", PICK_PARENT);
	text_fmt(&stored, " FROM pg_temp.%s) p CROSS JOIN LATERAL "
			  "(SELECT i.ctid AS at, ",
	    parent_temp ? parent_temp : temp);
	put_stored(&stored, s, "i", PICK_KEYS, true);
	text_str(&stored, " FROM ");
	put_table(&stored, s);
	text_str(&stored, " i WHERE ");
	put_match(&stored, s, "i", "p", PICK_PARENT);
	text_str(&stored, " OFFSET 0) d");
	if (has_stale(s)) {
		text_str(&stored, " WHERE (");
		put_staged(&stored, s, "p", PICK_PARENT);
		text_str(&stored, ") NOT IN (");
		put_stale(&stored, s, parent_temp);
		text_ch(&stored, ')');
	}
	put_current(&staged, s, temp);
	if (stored.failed || staged.failed)
		t->failed = true;
	else
		put_removal(t, s, stored.p, staged.p);
}

enum err
load_sql_snapshot(const struct load_stream *s, const char *temp,
    const char *column, char **ret)
{
	CLEANUP(text_fini) struct text stored = { .p = NULL };
	CLEANUP(text_fini) struct text staged = { .p = NULL };
	struct text t = { .p = NULL };

	text_str(&stored, "SELECT i.ctid AS at, ");
	put_stored(&stored, s, "i", PICK_KEYS, true);
	text_str(&stored, " FROM ");
	put_table(&stored, s);
	text_str(&stored, " i WHERE i.user_id = $1 AND i.connection_id = $2 "
			  "AND i.");
	text_ident(&stored, column);
	text_str(&stored, " = $3");
	text_fmt(&staged, "SELECT * FROM pg_temp.%s", temp);
	if (stored.failed || staged.failed)
		return ERR_NOMEM;
	put_removal(&t, s, stored.p, staged.p);
	return finish(&t, ret);
}

static void
put_create(struct text *t, const struct load_stream *s, const char *temp)
{
	/*
	 * For the session, while at it: of the compressions for long values,
	 * where there is a choice, the quicker one.
	 */
	text_str(t, "SELECT set_config("
		    "'default_toast_compression', 'lz4', false) "
		    "FROM pg_settings WHERE name = "
		    "'default_toast_compression' AND 'lz4' = ANY (enumvals); ");
	text_fmt(t, "CREATE TEMPORARY TABLE IF NOT EXISTS %s "
		    "(row_no bigint, set_no bigint", temp);
	for (size_t i = 0; i < s->n_columns; i++) {
		const struct load_column *c = &s->columns[i];

		text_fmt(t, ", c%zu %s%s", i, value_type(c->type),
		    c->key && c->type == LOAD_TEXT ? " COLLATE \"C\"" : "");
	}
	text_str(t, ") ON COMMIT DELETE ROWS");
}

/* Prepared once a session: planning costs as much as writing a page. */
static void
put_prepare(struct text *t, const struct load_stream *s, const char *temp,
    const char *parent_temp)
{
	text_fmt(t, "PREPARE %s_upsert (text, text, text, bigint) AS ", temp);
	put_upsert(t, s, temp, parent_temp);
	if (s->parent_keys == 0)
		return;
	text_fmt(t, "; PREPARE %s_replace (text, text) AS ", temp);
	put_replace(t, s, temp, parent_temp);
}

static void
put_forget(struct text *t, const struct load_stream *s, const char *temp)
{
	text_fmt(t, "DROP TABLE IF EXISTS pg_temp.%s; DEALLOCATE %s_upsert",
	    temp, temp);
	if (s->parent_keys > 0)
		text_fmt(t, "; DEALLOCATE %s_replace", temp);
}

enum err
load_sql_build(const struct load_stream *s, const char *temp,
    const char *parent_temp, struct load_sql *ret)
{
	struct load_sql q = { .replaces = s->parent_keys > 0 };
	struct text t = { .p = NULL };
	enum err err;

	put_create(&t, s, temp);
	err = finish(&t, &q.create);
	text_fmt(&t, "COPY pg_temp.%s FROM STDIN", temp);
	if (!err)
		err = finish(&t, &q.copy);
	text_fmt(&t, "ANALYZE pg_temp.%s", temp);
	if (!err)
		err = finish(&t, &q.analyze);
	put_prepare(&t, s, temp, parent_temp);
	if (!err)
		err = finish(&t, &q.prepare);
	put_forget(&t, s, temp);
	if (!err)
		err = finish(&t, &q.forget);
	text_fini(&t);
	if (err)
		load_sql_fini(&q);
	else
		*ret = q;
	return err;
}

void
load_sql_fini(struct load_sql *q)
{
	free(q->create);
	free(q->copy);
	free(q->analyze);
	free(q->prepare);
	free(q->forget);
	*q = (struct load_sql){ .create = NULL };
}

enum err
load_sql_describe(const struct load_stream *s, char **ret)
{
	struct text t = { .p = NULL };

	text_ident(&t, s->name);
	text_ident(&t, s->table);
	text_fmt(&t, "%zu", s->parent_keys);
	for (size_t i = 0; i < s->n_columns; i++) {
		const struct load_column *c = &s->columns[i];

		text_ident(&t, c->name);
		text_fmt(&t, "%d%d%d", (int)c->type, c->key, c->version);
	}
	if (s->parent) {
		text_ch(&t, '^');
		text_ident(&t, s->parent->name);
		text_ident(&t, s->parent->table);
		for (size_t i = 0; i < s->parent->n_columns; i++) {
			const struct load_column *c = &s->parent->columns[i];

			text_ident(&t, c->name);
			text_fmt(&t, "%d%d%d", (int)c->type, c->key,
			    c->version);
		}
	}
	return finish(&t, ret);
}
