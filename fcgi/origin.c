/* origin.c - exact matches only: a prefix of an origin is somebody else. */
#include "fcgi/origin.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool
origin_listed(const struct settings *s, const char *origin)
{
	const char *p = s->cors_origins;
	size_t len = origin ? strlen(origin) : 0;

	if (len == 0 || strcmp(origin, "null") == 0)
		return false;
	while (*p != '\0') {
		size_t n;

		p += strspn(p, ", \t");
		n = strcspn(p, ", \t");
		if (n == len && memcmp(p, origin, n) == 0)
			return true;
		p += n;
	}
	return false;
}

bool
origin_own(const struct settings *s, const struct raw_request *raw)
{
	char own[512];

	if (!raw->origin || *raw->origin == '\0')
		return false;
	if (*s->public_origin != '\0')
		return strcmp(raw->origin, s->public_origin) == 0;
	if (!raw->host || *raw->host == '\0' || !raw->scheme)
		return false;
	if (snprintf(own, sizeof own, "%s://%s", raw->scheme, raw->host) >=
	    (int)sizeof own)
		return false;
	return strcasecmp(raw->origin, own) == 0;
}

bool
origin_may_write(const struct settings *s, const struct raw_request *raw)
{
	return origin_own(s, raw) || origin_listed(s, raw->origin) ||
	    (raw->fetch_site && strcmp(raw->fetch_site, "same-origin") == 0);
}
