/*
 * token.h - page tokens: a position, what was asked, and when it was given.
 *
 * Every token holds `+`, `/` and `=`, so that one encoded wrongly shows.
 */
#ifndef SANDBOX_TOKEN_H
#define SANDBOX_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

struct page {
	uint64_t op;
	uint64_t seller;   /* hash of the id */
	uint64_t asked;    /* params_hash of the request */
	int64_t issued_ms; /* test clock */
	int64_t bound;     /* the frozen upper end of the window */
	int64_t at;        /* the last row of the page before: its time */
	uint64_t self;     /* and its identity */
};

/* token_write appends the text; no two tokens are equal. */
void token_write(struct buf *b, const struct page *pg, uint64_t nonce);

/* token_read: false for anything token_write did not write. */
bool token_read(const char *s, struct page *ret);

#endif
