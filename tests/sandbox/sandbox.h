/*
 * sandbox.h - the whole sandbox seller: what every answer may draw on.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdatomic.h>

#include "calls.h"
#include "faults.h"
#include "seller.h"
#include "when.h"

struct replay;

enum { CODES_MAX = 64 };

/* An authorization code, good once and for five minutes. */
struct code {
	char text[REFRESH_MAX];
	struct seller *seller;
	int64_t until_ms;
};

struct sandbox {
	/* set at the start, then only read */
	const char *client_id;
	const char *client_secret;
	int64_t access_ttl_ms;
	int64_t base; /* the start clock, seconds */
	struct seller_spec defaults;
	struct replay *replay; /* NULL: none */
	int stop_fd;           /* readable once the program is to end */

	/* each safe from any thread */
	struct when when;
	struct sellers sellers;
	struct faults faults;
	struct calls calls;

	pthread_mutex_t lock; /* guards all below */
	double rate_scale;
	struct code codes[CODES_MAX];
	unsigned code_serial;
};

double sandbox_rate_scale(struct sandbox *sb);

#endif
