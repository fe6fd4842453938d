/*
 * url.h - builds a URL or a form body; every value is encoded exactly once.
 *
 * SP-API takes an under-encoded page token for a wrong one, and a doubly
 * encoded one too.
 */
#ifndef SYNCLINE_URL_H
#define SYNCLINE_URL_H

#include "runner/load/text.h"

/* url_start: base is an origin without a trailing slash, path begins with
 * one; neither is changed. */
void url_start(struct text *u, const char *base, const char *path);

/* url_param adds ?name=value or &name=value; a NULL value adds nothing. */
void url_param(struct text *u, const char *name, const char *value);

/* url_encode adds s with all but RFC 3986's unreserved characters encoded. */
void url_encode(struct text *t, const char *s);

/* form_param adds name=value, with & where something is there already. */
void form_param(struct text *body, const char *name, const char *value);

#endif
