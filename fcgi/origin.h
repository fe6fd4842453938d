/*
 * origin.h - which pages of the web may call us, and may write.
 *
 * Origins compare as text, byte for byte, as browsers send them.
 */
#ifndef SYNCLINE_ORIGIN_H
#define SYNCLINE_ORIGIN_H

#include "fcgi/intake.h"

/* origin_listed: the Origin header names one of SYNCLINE_CORS_ORIGINS. */
bool origin_listed(const struct settings *s, const char *origin);

/* origin_own: it is SYNCLINE_PUBLIC_ORIGIN, or without that our own host. */
bool origin_own(const struct settings *s, const struct raw_request *raw);

/*
 * origin_may_write: a write that a cookie vouches for comes from a page of
 * ours or of a listed origin, so that no other page writes in a user's name.
 */
bool origin_may_write(const struct settings *s, const struct raw_request *raw);

#endif
