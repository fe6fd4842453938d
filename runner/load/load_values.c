/* load_values.c - the checks of scalar values, and COPY's escapes. */
#include "runner/load/load_values.h"

#include "shared/json.h"
#include <string.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t
skip_digits(const char *s, size_t at)
{
	while (is_digit(s[at]))
		at++;
	return at;
}

static const char *
bigint_problem(const char *s, size_t len)
{
	static const char top[] = "9223372036854775807";
	static const char bottom[] = "9223372036854775808";
	bool negative = s[0] == '-';
	size_t at = negative || s[0] == '+' ? 1 : 0;
	size_t digits = skip_digits(s, at) - at;

	if (digits == 0 || at + digits != len)
		return "not an integer";
	while (digits > 1 && s[at] == '0') {
		at++;
		digits--;
	}
	if (digits > 19 ||
	    (digits == 19 && strcmp(s + at, negative ? bottom : top) > 0))
		return "an integer out of range";
	return NULL;
}

static const char *
numeric_problem(const char *s, size_t len)
{
	size_t at = s[0] == '-' || s[0] == '+' ? 1 : 0;
	size_t from = at, digits;
	int exponent = 0;

	if (len > LOAD_DIGITS_MAX)
		return "a decimal with too many digits";
	at = skip_digits(s, at);
	digits = at - from;
	if (s[at] == '.') {
		from = at + 1;
		at = skip_digits(s, from);
		digits += at - from;
	}
	if (digits == 0)
		return "not a decimal";
	if (s[at] == 'e' || s[at] == 'E') {
		at++;
		if (s[at] == '-' || s[at] == '+')
			at++;
		if (!is_digit(s[at]))
			return "not a decimal";
		for (; is_digit(s[at]); at++) {
			if (exponent <= LOAD_EXPONENT_MAX)
				exponent = exponent * 10 + (s[at] - '0');
		}
	}
	if (at != len)
		return "not a decimal";
	return exponent > LOAD_EXPONENT_MAX ? "a decimal out of range" : NULL;
}

/* Two digits at s, -1 when they are not. */
static int
two(const char *s)
{
	if (!is_digit(s[0]) || !is_digit(s[1]))
		return -1;
	return (s[0] - '0') * 10 + (s[1] - '0');
}

static int
month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool
offset_valid(const char *s)
{
	int hours, minutes;

	if ((s[0] == 'Z' || s[0] == 'z') && s[1] == '\0')
		return true;
	if ((s[0] != '+' && s[0] != '-') || strlen(s) != 6 || s[3] != ':')
		return false;
	hours = two(s + 1);
	minutes = two(s + 4);
	return hours >= 0 && hours <= 15 && minutes >= 0 && minutes <= 59;
}

static const char *
timestamp_problem(const char *s, size_t len)
{
	static const char wrong[] = "not a time with an offset (RFC 3339)";
	int year, month, day;
	size_t at = 19;

	if (len < 20 || len > 40 || two(s) < 0 || two(s + 2) < 0 ||
	    s[4] != '-' || s[7] != '-' ||
	    (s[10] != 'T' && s[10] != 't' && s[10] != ' ') || s[13] != ':' ||
	    s[16] != ':')
		return wrong;
	year = two(s) * 100 + two(s + 2);
	month = two(s + 5);
	day = two(s + 8);
	if (year < 1 || month < 1 || month > 12 || day < 1 ||
	    day > month_days(year, month))
		return wrong;
	if (two(s + 11) < 0 || two(s + 11) > 23 || two(s + 14) < 0 ||
	    two(s + 14) > 59 || two(s + 17) < 0 || two(s + 17) > 60)
		return wrong;
	if (s[at] == '.') {
		if (!is_digit(s[at + 1]))
			return wrong;
		at = skip_digits(s, at + 1);
	}
	return offset_valid(s + at) ? NULL : wrong;
}

const char *
value_problem(enum load_type type, const char *s, size_t len)
{
	switch (type) {
	case LOAD_TEXT:
		if (len > LOAD_TEXT_MAX)
			return "a text that is too long";
		return utf8_valid(s, len) ? NULL : "a text that is not UTF-8";
	case LOAD_BIGINT:
		return bigint_problem(s, len);
	case LOAD_NUMERIC:
		return numeric_problem(s, len);
	case LOAD_TIMESTAMP:
		return timestamp_problem(s, len);
	case LOAD_BOOLEAN:
		return strcmp(s, "true") == 0 || strcmp(s, "false") == 0
		    ? NULL : "neither true nor false";
	case LOAD_JSON:
		return json_problem(s, len);
	}
	return "of an unknown type";
}

const char *
value_type(enum load_type type)
{
	static const char *const names[] = {
		[LOAD_TEXT] = "text",
		[LOAD_BIGINT] = "bigint",
		[LOAD_NUMERIC] = "numeric",
		[LOAD_TIMESTAMP] = "timestamptz",
		[LOAD_BOOLEAN] = "boolean",
		[LOAD_JSON] = "jsonb",
	};

	return names[type];
}

void
value_copy(struct text *t, const char *s)
{
	if (!s) {
		text_put(t, "\\N", 2);
		return;
	}
	while (*s != '\0') {
		size_t plain = strcspn(s, "\\\t\n\r");

		text_put(t, s, plain);
		s += plain;
		switch (*s) {
		case '\\':
			text_put(t, "\\\\", 2);
			break;
		case '\t':
			text_put(t, "\\t", 2);
			break;
		case '\n':
			text_put(t, "\\n", 2);
			break;
		case '\r':
			text_put(t, "\\r", 2);
			break;
		default:
			return;
		}
		s++;
	}
}
