/*
 * stmt.h - the closed table of SQL statements, one per file in sql/queries.
 *
 * sql/embed.sh makes enum stmt and the table at build time: a statement that
 * is not a file does not exist.
 */
#ifndef SYNCLINE_STMT_H
#define SYNCLINE_STMT_H

#include "stmt_list.h"

struct stmt_def {
	const char *name; /* file name without .sql; the prepared name too */
	int n_params;
	const char *sql;
};

extern const struct stmt_def stmts[STMT__MAX];

#endif
