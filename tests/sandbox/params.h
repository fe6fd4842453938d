/*
 * params.h - the parameters of a query or a form, decoded and checked.
 */
#ifndef SANDBOX_PARAMS_H
#define SANDBOX_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PARAMS_MAX = 64 };

struct param {
	char *name;  /* in the arena of struct params */
	char *value; /* decoded */
	size_t len;
	/* Sent with nothing but unreserved characters and %XX, as asked. */
	bool clean;
};

struct params {
	char *arena;
	int count;
	struct param list[PARAMS_MAX];
};

/* params_parse: false for bad escapes, NULs and too many. */
bool params_parse(struct params *ps, const char *raw, size_t len);
void params_fini(struct params *ps);

const struct param *param_find(const struct params *ps, const char *name);

/* param_get returns NULL when it is not there. */
const char *param_get(const struct params *ps, const char *name);

/* params_duplicate returns a name that is there twice, or NULL. */
const char *params_duplicate(const struct params *ps);

/* params_stranger returns a name that is not in the NULL-ended list. */
const char *
params_stranger(const struct params *ps, const char *const *allowed);

/*
 * params_hash: equal for equal parameters in any order, leaving out those
 * in the NULL-ended list.
 */
uint64_t params_hash(const struct params *ps, const char *const *except);

/* percent_decode writes len bytes at most; -1 for a bad escape or a NUL. */
long percent_decode(const char *s, size_t len, bool plus, char *out);

#endif
