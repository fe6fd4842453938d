/*
 * load_values.h - whether PostgreSQL will take a text as a value of a type.
 *
 * Everything is checked here, so that COPY and its casts never fail: one bad
 * value would cost the whole batch.  Nothing blocks or allocates.
 */
#ifndef SYNCLINE_LOAD_VALUES_H
#define SYNCLINE_LOAD_VALUES_H

#include "runner/load/load.h"
#include "runner/load/text.h"

#define LOAD_TEXT_MAX (1024 * 1024) /* bytes of one text or JSON value */
#define LOAD_KEYS_MAX 1024  /* bytes of all key columns: a B-tree's limit */
#define LOAD_DIGITS_MAX 200 /* bytes of a decimal */
#define LOAD_EXPONENT_MAX 400
#define LOAD_JSON_DEPTH 64

/* value_problem says what is wrong, a static text; NULL: it fits. */
const char *value_problem(enum load_type type, const char *s, size_t len);

/*
 * json_problem is value_problem of a JSON text: what jsonb takes, so a lone
 * surrogate, \u0000 or a number past numeric's range is a problem.
 */
const char *json_problem(const char *s, size_t len);

/* value_copy adds a value in COPY's text form; NULL is its \N. */
void value_copy(struct text *t, const char *s);

/* value_type is the SQL type of a staged column. */
const char *value_type(enum load_type type);

#endif
