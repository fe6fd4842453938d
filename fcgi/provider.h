/*
 * provider.h - the outside systems this build can read from.
 */
#ifndef SYNCLINE_PROVIDER_H
#define SYNCLINE_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>

struct provider {
	const char *name;
	bool needs_token; /* a connection is nothing without a refresh token */
};

const struct provider *provider_table(size_t *ret_count);
const struct provider *provider_find(const char *name); /* NULL: unknown */

#endif
