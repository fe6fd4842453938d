/* params.c - decodes queries and forms. */
#include "params.h"

#include <stdlib.h>
#include <string.h>

#include "draw.h"

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

long
percent_decode(const char *s, size_t len, bool plus, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c == '%') {
			int hi = i + 2 < len ? hex(s[i + 1]) : -1;
			int lo = i + 2 < len ? hex(s[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return -1;
			c = (char)(hi * 16 + lo);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		if (c == '\0')
			return -1;
		out[n++] = c;
	}
	return (long)n;
}

static bool
is_clean(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] == '\0' ||
		    strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			   "abcdefghijklmnopqrstuvwxyz0123456789-._~%",
			s[i]) == NULL)
			return false;
	return true;
}

static bool
param_add(struct params *ps, const char *s, size_t len, char **arena)
{
	struct param *p = &ps->list[ps->count];
	const char *eq = memchr(s, '=', len);
	size_t name_len = eq == NULL ? len : (size_t)(eq - s);
	const char *value = eq == NULL ? s + len : eq + 1;
	size_t value_len = len - (size_t)(value - s);
	long n;

	if (ps->count == PARAMS_MAX)
		return false;
	n = percent_decode(s, name_len, true, *arena);
	if (n <= 0)
		return false;
	p->name = *arena;
	p->name[n] = '\0';
	*arena += n + 1;
	n = percent_decode(value, value_len, true, *arena);
	if (n < 0)
		return false;
	p->value = *arena;
	p->value[n] = '\0';
	p->len = (size_t)n;
	p->clean = is_clean(value, value_len);
	*arena += n + 1;
	ps->count++;
	return true;
}

bool
params_parse(struct params *ps, const char *raw, size_t len)
{
	char *arena;

	*ps = (struct params){ 0 };
	/* "a" alone needs two ends: its own and that of an empty value. */
	ps->arena = arena = malloc(2 * len + 2);
	if (arena == NULL)
		return false;
	while (len > 0) {
		const char *amp = memchr(raw, '&', len);
		size_t part = amp == NULL ? len : (size_t)(amp - raw);

		if (part > 0 && !param_add(ps, raw, part, &arena))
			return false;
		if (amp == NULL)
			break;
		raw += part + 1;
		len -= part + 1;
	}
	return true;
}

void
params_fini(struct params *ps)
{
	free(ps->arena);
	*ps = (struct params){ 0 };
}

const struct param *
param_find(const struct params *ps, const char *name)
{
	for (int i = 0; i < ps->count; i++)
		if (strcmp(ps->list[i].name, name) == 0)
			return &ps->list[i];
	return NULL;
}

const char *
param_get(const struct params *ps, const char *name)
{
	const struct param *p = param_find(ps, name);

	return p == NULL ? NULL : p->value;
}

const char *
params_duplicate(const struct params *ps)
{
	for (int i = 0; i < ps->count; i++)
		for (int k = 0; k < i; k++)
			if (strcmp(ps->list[i].name, ps->list[k].name) == 0)
				return ps->list[i].name;
	return NULL;
}

static bool
listed(const char *const *names, const char *name)
{
	for (; *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

const char *
params_stranger(const struct params *ps, const char *const *allowed)
{
	for (int i = 0; i < ps->count; i++)
		if (!listed(allowed, ps->list[i].name))
			return ps->list[i].name;
	return NULL;
}

static uint64_t
text_hash(uint64_t h, const char *s)
{
	for (; *s != '\0'; s++)
		h = draw_mix(h + (unsigned char)*s + 1);
	return draw_mix(h);
}

uint64_t
params_hash(const struct params *ps, const char *const *except)
{
	uint64_t sum = 1;

	for (int i = 0; i < ps->count; i++)
		if (!listed(except, ps->list[i].name))
			sum += text_hash(
			    text_hash(7, ps->list[i].name), ps->list[i].value);
	return sum;
}
