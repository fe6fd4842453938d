/*
 * paging.h - what the paged operations share: tokens in, tokens out, lists.
 */
#ifndef SANDBOX_PAGING_H
#define SANDBOX_PAGING_H

#include "call.h"
#include "token.h"

struct paging {
	const char *token_name; /* the request's parameter */
	const char *const
	    *names;              /* all parameters there are, NULL at the end */
	const char *const *free; /* those that may change between pages */
	int64_t token_ms;        /* how long a token lives */
};

/*
 * page_open checks names and token and sets *ret: from the token, or the
 * first page, with at = INT64_MIN and bound 0.  False: rp has the error.
 */
bool page_open(const struct paging *pg, const struct call *c, struct reply *rp,
    struct page *ret);

/* page_has_token: whether the answer needs a token at all. */
bool page_has_token(const struct call *c, bool more);

/*
 * page_token appends the quoted token for the page behind (at, self), or
 * what the call's fault wants instead.
 */
void page_token(const struct paging *pg, const struct call *c,
    const struct page *from, int64_t at, uint64_t self, struct buf *b);

/* list_bits reads "A,B" into bits by place in names; -1: a stranger. */
long list_bits(const char *list, const char *const *names, int count);

/*
 * markets_bits reads marketplace ids into bits by place in the seller's
 * list; without the parameter all are set.  False: rp has the error.
 */
bool markets_bits(const struct call *c, const char *list, int most,
    struct reply *rp, unsigned *ret);

/* Text of a parameter as a time; false: rp has the error.  NULL: untouched. */
bool time_param(
    const struct call *c, const char *name, struct reply *rp, int64_t *ret_ms);

enum { TWO_MINUTES_MS = 120 * 1000 };

#endif
