/*
 * start_options.h - what a request to start a sync may ask for.
 */
#ifndef SYNCLINE_START_OPTIONS_H
#define SYNCLINE_START_OPTIONS_H

#include "fcgi/req.h"
#include <stdbool.h>

#define PRIORITY_NORMAL 1 /* what users get at most; more is for admins */

struct start_options {
	const char *connection_id; /* borrowed from the body; NULL: default */
	int priority;
	const char *mode; /* static */
	char *streams;    /* array literal; NULL: all */
	bool rerun;       /* one more run when one is active */
};

/*
 * start_options_read checks the body.  false: answered with 400
 * `invalid_field` naming the field, or 403 `priority_not_allowed`.  On true
 * free with start_options_fini.  Fields it does not know are ignored.
 */
bool start_options_read(const struct req *rq, struct reply *rp,
    struct start_options *ret) MUST_CHECK;
void start_options_fini(struct start_options *o); /* for CLEANUP */

/* reply_field answers 400 `invalid_field` for one field of the body. */
void reply_field(struct reply *rp, const struct req *rq, const char *field,
    const char *sentence);

#endif
