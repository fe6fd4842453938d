/* json.c - strictness on the way in, exact numbers on the way out. */
#include "shared/json.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

bool
utf8_valid(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	const unsigned char *end = p + len;

	while (p < end) {
		unsigned char c = *p;
		unsigned n = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

		if (c == 0 || (c >= 0x80 && c < 0xc2) || c > 0xf4 ||
		    (size_t)(end - p) <= n)
			return false;
		if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) ||
		    (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f))
			return false;
		for (unsigned i = 1; i <= n; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
		}
		p += n + 1;
	}
	return true;
}

/*
 * json-c takes quotes, comments and numbers that RFC 8259 does not have, even
 * when strict; what stands outside of strings is looked at here.
 */
static bool
strict_tokens(const char *s, size_t len)
{
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		if (in_string) {
			if (s[i] == '\\')
				i++;
			else if (s[i] == '"')
				in_string = false;
			continue;
		}
		if (s[i] == '"')
			in_string = true;
		else if (!strchr("{}[]:, \t\r\n+-.0123456789eEtrufalsn", s[i]))
			return false;
		else if (s[i] == '0' && i + 1 < len && s[i + 1] >= '0' &&
		    s[i + 1] <= '9' &&
		    (i == 0 || !strchr("+-.0123456789eE", s[i - 1]) ||
		        (s[i - 1] == '-' &&
		            (i == 1 || !strchr("eE", s[i - 2])))))
			return false; /* a leading zero */
	}
	return true;
}

/* \u0000 survives parsing as a NUL inside a string; look for it. */
static bool
has_nul(json_object *o)
{
	switch (json_object_get_type(o)) {
	case json_type_string:
		return strlen(json_object_get_string(o)) !=
		    (size_t)json_object_get_string_len(o);
	case json_type_array:
		for (size_t i = 0; i < json_object_array_length(o); i++) {
			if (has_nul(json_object_array_get_idx(o, i)))
				return true;
		}
		return false;
	case json_type_object: {
		json_object_object_foreach(o, key, val)
		{
			(void)key;
			if (has_nul(val))
				return true;
		}
		return false;
	}
	case json_type_null:
	case json_type_boolean:
	case json_type_double:
	case json_type_int:
		return false;
	}
	return false;
}

enum err
json_read(const char *text, size_t len, int depth, json_object **ret,
    const char **why)
{
	json_tokener *tok;
	json_object *o;
	enum json_tokener_error jerr;
	const char *reason = NULL;

	if (len == 0 || len > INT_MAX) {
		reason = len == 0 ? "it is empty" : "it is too long";
	} else if (!utf8_valid(text, len)) {
		reason = "it is not valid UTF-8";
	} else if (!strict_tokens(text, len)) {
		reason = "it is not valid JSON";
	}
	if (reason) {
		if (why)
			*why = reason;
		return ERR_INVAL;
	}
	tok = json_tokener_new_ex(depth);
	if (!tok)
		return ERR_NOMEM;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	o = json_tokener_parse_ex(tok, text, (int)len);
	jerr = json_tokener_get_error(tok);
	if (jerr == json_tokener_continue) {
		/* a bare number ends only at the end of the text */
		json_object_put(o);
		o = json_tokener_parse_ex(tok, "", -1);
		jerr = json_tokener_get_error(tok);
		if (jerr != json_tokener_success)
			reason = "it ends too early";
	} else if (jerr == json_tokener_error_depth) {
		reason = "it is nested too deeply";
	} else if (jerr != json_tokener_success) {
		reason = "it is not valid JSON";
	}
	json_tokener_free(tok);
	if (!reason && !o)
		reason = "it is null";
	/* only the escape can make one: most texts need no second look */
	if (!reason && memmem(text, len, "\\u0000", 6) && has_nul(o))
		reason = "a text contains the character U+0000";
	if (reason) {
		json_object_put(o);
		if (why)
			*why = reason;
		return ERR_INVAL;
	}
	*ret = o;
	return ERR_OK;
}

void
json_clearp(json_object **o)
{
	json_object_put(*o);
}

json_object *
json_member(const json_object *o, const char *key)
{
	json_object *v = NULL;

	if (!o || !json_object_is_type(o, json_type_object))
		return NULL;
	json_object_object_get_ex(o, key, &v);
	return v;
}

const char *
json_text(const json_object *o, const char *key)
{
	json_object *v = json_member(o, key);

	return json_object_is_type(v, json_type_string)
	    ? json_object_get_string(v) : NULL;
}

int64_t
json_i64(const json_object *o, const char *key, int64_t fallback)
{
	json_object *v = json_member(o, key);

	return json_object_is_type(v, json_type_int) ? json_object_get_int64(v)
						     : fallback;
}

bool
json_flag(const json_object *o, const char *key, bool fallback)
{
	json_object *v = json_member(o, key);

	return json_object_is_type(v, json_type_boolean)
	    ? (bool)json_object_get_boolean(v) : fallback;
}

/* json-c keeps the source text of a double and clamps huge integers. */
static bool
is_number_text(const char *s)
{
	size_t n = strlen(s), i = 0, digits = 0;

	if (n == 0 || n > 64)
		return false;
	if (s[i] == '-' || s[i] == '+')
		i++;
	for (; s[i] >= '0' && s[i] <= '9'; i++)
		digits++;
	if (s[i] == '.') {
		for (i++; s[i] >= '0' && s[i] <= '9'; i++)
			digits++;
	}
	if (digits == 0)
		return false;
	if (s[i] == 'e' || s[i] == 'E') {
		i++;
		if (s[i] == '-' || s[i] == '+')
			i++;
		if (s[i] < '0' || s[i] > '9')
			return false;
		while (s[i] >= '0' && s[i] <= '9')
			i++;
	}
	return s[i] == '\0';
}

const char *
json_decimal(const json_object *o, const char *key)
{
	json_object *v = json_member(o, key);
	const char *text;

	if (!json_object_is_type(v, json_type_int) &&
	    !json_object_is_type(v, json_type_double) &&
	    !json_object_is_type(v, json_type_string))
		return NULL;
	if (json_object_is_type(v, json_type_int)) {
		int64_t i = json_object_get_int64(v);

		if (i == INT64_MAX || i == INT64_MIN)
			return NULL; /* clamped: the digits are lost */
	}
	text = json_object_get_string(v);
	return text && is_number_text(text) ? text : NULL;
}

void
json_put_object(json_object *o, const char *key, json_object *v)
{
	json_object_object_add(o, key, v);
}

void
json_put_text(json_object *o, const char *key, const char *text)
{
	json_object_object_add(
	    o, key, text ? json_object_new_string(text) : NULL);
}

void
json_put_i64(json_object *o, const char *key, int64_t v)
{
	json_object_object_add(o, key, json_object_new_int64(v));
}

void
json_put_f64(json_object *o, const char *key, double v)
{
	char text[32];

	snprintf(text, sizeof text, "%.10g", v);
	json_object_object_add(o, key, json_object_new_double_s(v, text));
}

void
json_put_bool(json_object *o, const char *key, bool v)
{
	json_object_object_add(o, key, json_object_new_boolean(v));
}

void
json_put_null(json_object *o, const char *key)
{
	json_object_object_add(o, key, NULL);
}
