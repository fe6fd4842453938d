/* sources.c - finds a source by the provider of a connection. */
#include "runner/sources/sources.h"

#include <string.h>

const struct source_ops *
source_find(const char *provider)
{
	static const struct source_ops *const all[] = {
		&spapi_source,
	};

	for (size_t i = 0; i < COUNT_OF(all); i++) {
		if (strcmp(all[i]->provider, provider) == 0)
			return all[i];
	}
	return NULL;
}
