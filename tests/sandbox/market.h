/* market.h - Amazon's marketplaces: id, name, currency. */
#ifndef SANDBOX_MARKET_H
#define SANDBOX_MARKET_H

#include <stddef.h>

struct market {
	const char *id;
	const char *country;
	const char *name;     /* "United States" */
	const char *store;    /* "Amazon.com", as orders name it */
	const char *domain;   /* "www.amazon.com" */
	const char *currency; /* ISO 4217 */
	const char *language; /* ISO 639-1 and region, as the service has it */
	int decimals;         /* of the currency */
};

/* market_find returns NULL for an id it does not know. */
const struct market *market_find(const char *id, size_t len);

#endif
