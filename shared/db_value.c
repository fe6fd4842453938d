/* db_value.c - values on their way to PostgreSQL and back. */
#include "shared/db_room.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- parameters ------------------------------------------------------- */

struct arg
arg_text(const char *text)
{
	return (struct arg){ .text = text };
}

struct arg
arg_null(void)
{
	return (struct arg){ .text = NULL };
}

struct arg
arg_i64(int64_t v)
{
	struct arg a = { .text = NULL };

	snprintf(a.number, sizeof a.number, "%" PRId64, v);
	return a;
}

struct arg
arg_f64(double v)
{
	struct arg a = { .text = NULL };

	snprintf(a.number, sizeof a.number, "%.17g", v);
	return a;
}

struct arg
arg_bool(bool v)
{
	struct arg a = { .text = NULL };

	a.number[0] = v ? 't' : 'f';
	return a;
}

const char *
db_arg_value(const struct arg *a)
{
	if (a->text)
		return a->text;
	return a->number[0] != '\0' ? a->number : NULL;
}

/* --- results ---------------------------------------------------------- */

void
result_clearp(PGresult **res)
{
	PQclear(*res);
}

const char *
result_text(const PGresult *res, int row, const char *col)
{
	int c = PQfnumber(res, col);

	if (c < 0) {
		fprintf(stderr, "bug: no column %s in a result\n", col);
		abort();
	}
	return PQgetisnull(res, row, c) ? NULL : PQgetvalue(res, row, c);
}

int64_t
result_i64(const PGresult *res, int row, const char *col)
{
	const char *text = result_text(res, row, col);

	return text ? strtoll(text, NULL, 10) : 0;
}

double
result_f64(const PGresult *res, int row, const char *col)
{
	const char *text = result_text(res, row, col);

	return text ? strtod(text, NULL) : 0;
}

bool
result_bool(const PGresult *res, int row, const char *col)
{
	const char *text = result_text(res, row, col);

	return text && *text == 't';
}

bool
result_is_null(const PGresult *res, int row, const char *col)
{
	return result_text(res, row, col) == NULL;
}

static size_t
array_item(char *out, const char *s)
{
	size_t n = 0;

	if (!s) {
		memcpy(out, "NULL", 4);
		return 4;
	}
	out[n++] = '"';
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			out[n++] = '\\';
		out[n++] = *s;
	}
	out[n++] = '"';
	return n;
}

char *
array_text(const char *const *items, size_t n)
{
	size_t size = 3, at = 0;
	char *out;

	for (size_t i = 0; i < n; i++)
		size += (items[i] ? 2 * strlen(items[i]) : 4) + 3;
	out = malloc(size);
	if (!out)
		return NULL;
	out[at++] = '{';
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			out[at++] = ',';
		at += array_item(out + at, items[i]);
	}
	out[at++] = '}';
	out[at] = '\0';
	return out;
}
