/*
 * text.h - a text that grows; the first failure sticks until asked for.
 *
 * Nothing blocks.  A zeroed struct is an empty text.
 */
#ifndef SYNCLINE_TEXT_H
#define SYNCLINE_TEXT_H

#include "shared/err.h"
#include <stdbool.h>
#include <stddef.h>

struct text {
	char *p; /* NULL while empty; a NUL follows the len bytes */
	size_t len;
	size_t cap;
	bool failed; /* memory was gone: what follows was not added */
};

void text_put(struct text *t, const char *s, size_t n);
void text_str(struct text *t, const char *s);
void text_ch(struct text *t, char c);
void text_fmt(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* text_ident adds an SQL identifier in quotes. */
void text_ident(struct text *t, const char *name);
/* text_literal adds an SQL string literal (standard_conforming_strings). */
void text_literal(struct text *t, const char *value);

void text_reset(struct text *t); /* empties, keeps the memory */
void text_fini(struct text *t);  /* for CLEANUP too */

#endif
