/*
 * load_sql.h - the SQL texts of a stream, built from its description.
 *
 * Staged rows lie in a temporary table with the columns row_no (the order
 * they came in), set_no (which coming of their parent they belong to) and
 * c0, c1, ... for the described ones, so no name of a source collides.
 */
#ifndef SYNCLINE_LOAD_SQL_H
#define SYNCLINE_LOAD_SQL_H

#include "runner/load/load.h"

/* All owned; free with load_sql_fini. */
struct load_sql {
	char *create;
	char *copy;
	char *analyze;
	/* prepares temp_upsert: $1 user, $2 connection, $3 sync, $4 rejected
	 * records; and with parent_keys temp_replace: $1 user, $2 connection */
	char *prepare;
	char *forget; /* the table and the prepared statements */
	bool replaces;
};

/* load_sql_describe gives a text that differs when descriptions do. */
enum err load_sql_describe(const struct load_stream *s, char **ret) MUST_CHECK;

/* load_sql_build: temp is the staging table's name, parent_temp that of
 * s->parent (NULL without one). */
enum err load_sql_build(const struct load_stream *s, const char *temp,
    const char *parent_temp, struct load_sql *ret) MUST_CHECK;
void load_sql_fini(struct load_sql *q);

/* load_sql_snapshot: $1 user, $2 connection, $3 the value of `column`. */
enum err load_sql_snapshot(const struct load_stream *s, const char *temp,
    const char *column, char **ret) MUST_CHECK;

#endif
