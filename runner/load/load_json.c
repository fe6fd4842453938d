/* load_json.c - walks a JSON text as jsonb's input would, but never fails. */
#include "runner/load/load_values.h"

#include "shared/json.h"
#include <string.h>

/* A place in a NUL-terminated text. */
struct scan {
	const char *p;
	const char *problem; /* the first one */
};

static bool
fail(struct scan *c, const char *problem)
{
	if (!c->problem)
		c->problem = problem;
	return false;
}

static void
skip_space(struct scan *c)
{
	c->p += strspn(c->p, " \t\n\r");
}

static bool
take_word(struct scan *c, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(c->p, word, n) != 0)
		return fail(c, "not valid JSON");
	c->p += n;
	return true;
}

/* The four digits of a \u escape; -1 when they are not. */
static int
hex4(const char *p)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		char ch = p[i];
		int d = ch >= '0' && ch <= '9' ? ch - '0'
		    : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
		    : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;

		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

/* p stands on the u of \uXXXX; a high surrogate wants its low one. */
static bool
take_unicode(struct scan *c)
{
	int v = hex4(c->p + 1);
	int low;

	if (v < 0)
		return fail(c, "not valid JSON");
	c->p += 5;
	if (v == 0)
		return fail(c, "JSON with the character U+0000");
	if (v >= 0xdc00 && v <= 0xdfff)
		return fail(c, "JSON with half a character");
	if (v < 0xd800 || v > 0xdbff)
		return true;
	if (c->p[0] != '\\' || c->p[1] != 'u')
		return fail(c, "JSON with half a character");
	low = hex4(c->p + 2);
	if (low < 0xdc00 || low > 0xdfff)
		return fail(c, "JSON with half a character");
	c->p += 6;
	return true;
}

static bool
take_string(struct scan *c)
{
	if (*c->p != '"')
		return fail(c, "not valid JSON");
	for (c->p++; *c->p != '"';) {
		if ((unsigned char)*c->p < 0x20)
			return fail(c, "not valid JSON");
		if (*c->p++ != '\\')
			continue;
		if (*c->p == 'u') {
			if (!take_unicode(c))
				return false;
		} else if (*c->p != '\0' && strchr("\"\\/bfnrt", *c->p)) {
			c->p++;
		} else {
			return fail(c, "not valid JSON");
		}
	}
	c->p++;
	return true;
}

static bool
take_number(struct scan *c)
{
	size_t len = strspn(c->p, "+-0123456789.eE");
	const char *digits = c->p + (*c->p == '-' ? 1 : 0);
	char copy[LOAD_DIGITS_MAX + 1];
	const char *dot;

	if (len > LOAD_DIGITS_MAX)
		return fail(c, "JSON with a number of too many digits");
	memcpy(copy, c->p, len);
	copy[len] = '\0';
	dot = strchr(copy, '.');
	/* what JSON refuses and a decimal may have: +1, 01, .5, 5. */
	if (*digits < '0' || *digits > '9' ||
	    (*digits == '0' && digits[1] >= '0' && digits[1] <= '9') ||
	    (dot && (dot[1] < '0' || dot[1] > '9')))
		return fail(c, "not valid JSON");
	if (value_problem(LOAD_NUMERIC, copy, len))
		return fail(c, "JSON with a number out of range");
	c->p += len;
	return true;
}

static bool take_value(struct scan *c, int depth);

static bool
take_members(struct scan *c, int depth, bool object)
{
	char end = object ? '}' : ']';

	c->p++;
	skip_space(c);
	if (*c->p == end) {
		c->p++;
		return true;
	}
	for (;;) {
		if (object) {
			skip_space(c);
			if (!take_string(c))
				return false;
			skip_space(c);
			if (!take_word(c, ":"))
				return false;
		}
		if (!take_value(c, depth - 1))
			return false;
		if (*c->p == end) {
			c->p++;
			return true;
		}
		if (!take_word(c, ","))
			return false;
	}
}

/* Takes a value and the white space around it. */
static bool
take_value(struct scan *c, int depth)
{
	bool ok;

	if (depth == 0)
		return fail(c, "JSON that is nested too deeply");
	skip_space(c);
	switch (*c->p) {
	case '{':
	case '[':
		ok = take_members(c, depth, *c->p == '{');
		break;
	case '"':
		ok = take_string(c);
		break;
	case 't':
		ok = take_word(c, "true");
		break;
	case 'f':
		ok = take_word(c, "false");
		break;
	case 'n':
		ok = take_word(c, "null");
		break;
	default:
		ok = take_number(c);
		break;
	}
	if (ok)
		skip_space(c);
	return ok;
}

const char *
json_problem(const char *s, size_t len)
{
	struct scan c = { .p = s };

	if (len > LOAD_TEXT_MAX)
		return "JSON that is too long";
	if (!utf8_valid(s, len))
		return "JSON that is not UTF-8";
	if (take_value(&c, LOAD_JSON_DEPTH + 1) && *c.p != '\0')
		return "not valid JSON";
	return c.problem;
}
