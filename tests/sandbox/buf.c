/* buf.c - grows the buffer and writes numbers, times and quoted text. */
#include "buf.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

void
buf_room(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 256;
	char *p;

	if (b->cap - b->len >= more)
		return;
	while (cap - b->len < more)
		cap *= 2;
	p = realloc(b->p, cap);
	if (p == NULL) {
		fputs("sandbox-seller: out of memory\n", stderr);
		abort();
	}
	b->p = p;
	b->cap = cap;
}

void
buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ 0 };
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	buf_room(b, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(b->p + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void
buf_u64(struct buf *b, uint64_t v)
{
	char tmp[20];
	int i = sizeof(tmp);

	do {
		tmp[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	buf_put(b, tmp + i, sizeof(tmp) - (size_t)i);
}

void
buf_i64(struct buf *b, int64_t v)
{
	uint64_t u = (uint64_t)v;

	if (v < 0) {
		buf_ch(b, '-');
		u = 0 - u;
	}
	buf_u64(b, u);
}

void
buf_digits(struct buf *b, uint64_t v, int width)
{
	buf_room(b, (size_t)width);
	for (int i = width - 1; i >= 0; i--) {
		b->p[b->len + (size_t)i] = (char)('0' + v % 10);
		v /= 10;
	}
	b->len += (size_t)width;
}

void
buf_money(struct buf *b, int64_t minor, int decimals)
{
	uint64_t u = (uint64_t)minor;
	uint64_t unit = 1;

	if (minor < 0) {
		buf_ch(b, '-');
		u = 0 - u;
	}
	for (int i = 0; i < decimals; i++)
		unit *= 10;
	buf_u64(b, u / unit);
	if (decimals > 0) {
		buf_ch(b, '.');
		buf_digits(b, u % unit, decimals);
	}
}

void
buf_time(struct buf *b, int64_t t)
{
	int64_t days = t / 86400;
	int64_t secs = t % 86400;
	int64_t era, doe, yoe, doy, mp, y, m, d;
	char *p;

	if (secs < 0) {
		secs += 86400;
		days--;
	}
	/* Years that begin in March make the leap day the last of its year. */
	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	d = doy - (153 * mp + 2) / 5 + 1;
	m = mp < 10 ? mp + 3 : mp - 9;
	y = yoe + era * 400 + (m <= 2);

	buf_digits(b, (uint64_t)y, 4);
	buf_lit(b, "-00-00T00:00:00Z");
	p = b->p + b->len - 16;
	p[1] = (char)('0' + m / 10);
	p[2] = (char)('0' + m % 10);
	p[4] = (char)('0' + d / 10);
	p[5] = (char)('0' + d % 10);
	p[7] = (char)('0' + secs / 36000);
	p[8] = (char)('0' + secs / 3600 % 10);
	p[10] = (char)('0' + secs % 3600 / 600);
	p[11] = (char)('0' + secs % 3600 / 60 % 10);
	p[13] = (char)('0' + secs % 60 / 10);
	p[14] = (char)('0' + secs % 10);
}

/* utf8_len: the length of the sequence at s, 0 if it is not valid UTF-8. */
static size_t
utf8_len(const unsigned char *s, size_t n, uint32_t *ret_point)
{
	uint32_t cp;
	size_t len;

	if (s[0] < 0x80) {
		*ret_point = s[0];
		return 1;
	}
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2, cp = s[0] & 0x1fu;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3, cp = s[0] & 0x0fu;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4, cp = s[0] & 0x07u;
	else
		return 0;
	if (n < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (s[i] & 0x3fu);
	}
	if ((len == 3 && cp < 0x800) || (len == 4 && cp < 0x10000) ||
	    cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	*ret_point = cp;
	return len;
}

static void
json_unit(struct buf *b, uint32_t unit)
{
	static const char hex[] = "0123456789abcdef";

	buf_lit(b, "\\u");
	for (int shift = 12; shift >= 0; shift -= 4)
		buf_ch(b, hex[unit >> shift & 15]);
}

static void
json_text(struct buf *b, const char *text, size_t n, bool ascii)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t i = 0;

	buf_ch(b, '"');
	while (i < n) {
		size_t plain = i;
		uint32_t cp = 0;
		size_t len;

		while (plain < n && s[plain] >= 0x20 && s[plain] < 0x7f &&
		    s[plain] != '"' && s[plain] != '\\')
			plain++;
		if (plain > i) {
			buf_put(b, s + i, plain - i);
			i = plain;
			continue;
		}
		len = utf8_len(s + i, n - i, &cp);
		if (len == 0) {
			json_unit(b, 0xfffd);
			i++;
			continue;
		}
		if (cp == '"' || cp == '\\') {
			buf_ch(b, '\\');
			buf_ch(b, (char)cp);
		} else if (cp == '\n') {
			buf_lit(b, "\\n");
		} else if (cp == '\t') {
			buf_lit(b, "\\t");
		} else if (cp < 0x20 || (ascii && cp < 0x10000)) {
			json_unit(b, cp);
		} else if (ascii) {
			json_unit(b, 0xd800 + ((cp - 0x10000) >> 10));
			json_unit(b, 0xdc00 + ((cp - 0x10000) & 0x3ff));
		} else {
			buf_put(b, s + i, len);
		}
		i += len;
	}
	buf_ch(b, '"');
}

void
buf_json(struct buf *b, const char *s, size_t n)
{
	json_text(b, s, n, false);
}

void
buf_json_ascii(struct buf *b, const char *s, size_t n)
{
	json_text(b, s, n, true);
}

void
buf_json_str(struct buf *b, const char *s)
{
	json_text(b, s, strlen(s), false);
}

void
buf_copy(struct buf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		switch (s[i]) {
		case '\\':
			buf_lit(b, "\\\\");
			break;
		case '\t':
			buf_lit(b, "\\t");
			break;
		case '\n':
			buf_lit(b, "\\n");
			break;
		case '\r':
			buf_lit(b, "\\r");
			break;
		case '\b':
			buf_lit(b, "\\b");
			break;
		case '\f':
			buf_lit(b, "\\f");
			break;
		case '\v':
			buf_lit(b, "\\v");
			break;
		default:
			buf_ch(b, s[i]);
		}
	}
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
buf_base64(struct buf *b, const unsigned char *s, size_t n)
{
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)s[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)s[i + 1] << 8;
		if (i + 2 < n)
			v |= s[i + 2];
		buf_ch(b, base64_digits[v >> 18]);
		buf_ch(b, base64_digits[v >> 12 & 63]);
		buf_ch(b, i + 1 < n ? base64_digits[v >> 6 & 63] : '=');
		buf_ch(b, i + 2 < n ? base64_digits[v & 63] : '=');
	}
}

long
base64_read(const char *s, unsigned char *out, size_t cap)
{
	size_t n = strlen(s);
	size_t pad = 0;
	size_t len = 0;

	if (n == 0 || n % 4 != 0)
		return -1;
	if (s[n - 1] == '=')
		pad = s[n - 2] == '=' ? 2 : 1;
	for (size_t i = 0; i < n; i += 4) {
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			const char *at = NULL;

			v <<= 6;
			if (i + k >= n - pad)
				continue;
			at = strchr(base64_digits, s[i + k]);
			if (at == NULL)
				return -1;
			v |= (uint32_t)(at - base64_digits);
		}
		for (int k = 0; k < 3; k++) {
			if (i / 4 * 3 + (size_t)k >= n / 4 * 3 - pad)
				break;
			if (len == cap)
				return -1;
			out[len++] = (unsigned char)(v >> (16 - 8 * k));
		}
	}
	return (long)len;
}
