/* req.c - a request's parameters, read and judged. */
#include "fcgi/req.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
req_param(const struct req *rq, const char *name)
{
	for (size_t i = 0; i < rq->n_params; i++) {
		if (strcmp(rq->params[i].name, name) == 0)
			return rq->params[i].value;
	}
	return NULL;
}

static void
refuse(const struct req *rq, struct reply *rp, const char *name,
    const char *sentence)
{
	json_object *o =
	    reply_problem(rp, rq, 400, "invalid_parameter", sentence);

	json_object_object_add(o, "field", json_object_new_string(name));
}

bool
req_param_int(const struct req *rq, struct reply *rp, const char *name,
    int64_t min, int64_t max, int64_t fallback, int64_t *ret)
{
	const char *text = req_param(rq, name);
	char sentence[160], *end;
	long long v;

	if (!text) {
		*ret = fallback;
		return true;
	}
	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno == 0 && strspn(text, "-0123456789") == strlen(text) &&
	    end != text && *end == '\0' && v >= min && v <= max) {
		*ret = v;
		return true;
	}
	snprintf(sentence, sizeof sentence,
	    "The parameter %s takes a whole number from %" PRId64 " to %" PRId64
	    ".",
	    name, min, max);
	refuse(rq, rp, name, sentence);
	return false;
}

/* --- times ------------------------------------------------------------ */

/* Two or four digits within bounds; *p moves on. */
static bool
take_number(const char **p, int digits, int min, int max, int *ret)
{
	int v = 0;

	for (int i = 0; i < digits; i++) {
		if ((*p)[i] < '0' || (*p)[i] > '9')
			return false;
		v = v * 10 + (*p)[i] - '0';
	}
	*p += digits;
	*ret = v;
	return v >= min && v <= max;
}

static bool
take_char(const char **p, const char *any)
{
	if (**p == '\0' || !strchr(any, **p))
		return false;
	(*p)++;
	return true;
}

static bool
take_date(const char **p)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	int year, month, day, last;

	if (!take_number(p, 4, 1, 9999, &year) || !take_char(p, "-") ||
	    !take_number(p, 2, 1, 12, &month) || !take_char(p, "-"))
		return false;
	last = days[month - 1];
	if (month == 2 &&
	    ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0))
		last = 29;
	return take_number(p, 2, 1, last, &day);
}

static bool
take_time(const char **p)
{
	int v;

	if (!take_number(p, 2, 0, 23, &v) || !take_char(p, ":") ||
	    !take_number(p, 2, 0, 59, &v) || !take_char(p, ":") ||
	    !take_number(p, 2, 0, 60, &v))
		return false;
	if (take_char(p, ".")) {
		size_t n = strspn(*p, "0123456789");

		if (n < 1 || n > 9)
			return false;
		*p += n;
	}
	if (take_char(p, "zZ"))
		return true;
	return take_char(p, "+-") && take_number(p, 2, 0, 15, &v) &&
	    take_char(p, ":") && take_number(p, 2, 0, 59, &v);
}

/* RFC 3339, or its date alone. */
static bool
is_time(const char *text)
{
	const char *p = text;

	if (!take_date(&p))
		return false;
	if (*p == '\0')
		return true;
	return take_char(&p, "tT ") && take_time(&p) && *p == '\0';
}

bool
req_param_time(
    const struct req *rq, struct reply *rp, const char *name, const char **ret)
{
	const char *text = req_param(rq, name);
	char sentence[160];

	if (!text || is_time(text)) {
		*ret = text;
		return true;
	}
	snprintf(sentence, sizeof sentence,
	    "The parameter %s takes a date or an RFC 3339 time, such as "
	    "2026-01-31T12:00:00Z.",
	    name);
	refuse(rq, rp, name, sentence);
	return false;
}
