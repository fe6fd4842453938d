/* text.c - doubling growth, sticky failure, SQL quoting. */
#include "runner/load/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
make_room(struct text *t, size_t n)
{
	size_t cap = t->cap ? t->cap : 256;
	char *p;

	if (t->failed)
		return false;
	if (t->p && t->cap - t->len > n)
		return true;
	while (cap - t->len <= n)
		cap *= 2;
	p = realloc(t->p, cap);
	if (!p) {
		t->failed = true;
		return false;
	}
	t->p = p;
	t->cap = cap;
	return true;
}

void
text_put(struct text *t, const char *s, size_t n)
{
	if (!make_room(t, n))
		return;
	if (n > 0)
		memcpy(t->p + t->len, s, n);
	t->len += n;
	t->p[t->len] = '\0';
}

void
text_str(struct text *t, const char *s)
{
	text_put(t, s, strlen(s));
}

void
text_ch(struct text *t, char c)
{
	text_put(t, &c, 1);
}

void
text_fmt(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !make_room(t, (size_t)n)) {
		t->failed = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(t->p + t->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

static void
put_doubled(struct text *t, const char *s, char quote)
{
	text_ch(t, quote);
	for (; *s != '\0'; s++) {
		if (*s == quote)
			text_ch(t, quote);
		text_ch(t, *s);
	}
	text_ch(t, quote);
}

void
text_ident(struct text *t, const char *name)
{
	put_doubled(t, name, '"');
}

void
text_literal(struct text *t, const char *value)
{
	put_doubled(t, value, '\'');
}

void
text_reset(struct text *t)
{
	t->len = 0;
	t->failed = false;
	if (t->p)
		t->p[0] = '\0';
}

void
text_fini(struct text *t)
{
	free(t->p);
	*t = (struct text){ .p = NULL };
}
