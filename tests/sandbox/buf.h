/*
 * buf.h - a growing byte buffer and the text forms this program writes.
 *
 * Running out of memory ends the program: it is a test tool, and a half
 * written answer would look like a fault nobody asked for.
 */
#ifndef SANDBOX_BUF_H
#define SANDBOX_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
	char *p;
	size_t len;
	size_t cap;
};

/* buf_room makes sure `more` bytes can be written at p + len. */
void buf_room(struct buf *b, size_t more);

/* buf_fini frees the bytes; the struct is an empty buffer again. */
void buf_fini(struct buf *b);

static inline void
buf_put(struct buf *b, const void *s, size_t n)
{
	if (b->cap - b->len < n)
		buf_room(b, n);
	if (n > 0)
		memcpy(b->p + b->len, s, n);
	b->len += n;
}

static inline void
buf_ch(struct buf *b, char c)
{
	if (b->cap == b->len)
		buf_room(b, 1);
	b->p[b->len++] = c;
}

static inline void
buf_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

/* A literal's length is known when compiling; most of a page is literals. */
#define buf_lit(b, s) buf_put((b), "" s, sizeof(s) - 1)

void buf_fmt(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buf_u64(struct buf *b, uint64_t v);
void buf_i64(struct buf *b, int64_t v);

/* buf_digits writes exactly `width` digits, zeros in front. */
void buf_digits(struct buf *b, uint64_t v, int width);

/* buf_money writes minor units as a decimal: 1010, 2 -> 10.10 */
void buf_money(struct buf *b, int64_t minor, int decimals);

/* buf_time writes seconds since 1970 as YYYY-MM-DDTHH:MM:SSZ. */
void buf_time(struct buf *b, int64_t t);

/*
 * buf_json writes a quoted JSON string.  Bytes that are no UTF-8 become
 * U+FFFD.  buf_json_ascii writes all beyond ASCII as \u escapes, with
 * surrogate pairs, as many Java writers do.
 */
void buf_json(struct buf *b, const char *s, size_t n);
void buf_json_ascii(struct buf *b, const char *s, size_t n);
void buf_json_str(struct buf *b, const char *s);

/* buf_copy writes one value of PostgreSQL's COPY text format. */
void buf_copy(struct buf *b, const char *s, size_t n);

/* buf_base64 writes the standard alphabet with padding. */
void buf_base64(struct buf *b, const unsigned char *s, size_t n);

/* base64_read returns the decoded length, or -1: anything but exact base64. */
long base64_read(const char *s, unsigned char *out, size_t cap);

#endif
