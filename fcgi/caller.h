/*
 * caller.h - who makes a request, and whether the route is open to them.
 */
#ifndef SYNCLINE_CALLER_H
#define SYNCLINE_CALLER_H

#include "fcgi/intake.h"

struct keyring;

/*
 * caller_check fills rq->who as rq->route asks: from Authorization: Bearer,
 * else the cookie session_token, else, where the settings trust a gateway,
 * X-User-Id.  False: rp is answered with 401 `unauthorized`, 403 `forbidden`
 * or 403 `origin_not_allowed`; *ret_why, a static word, says more to the log.
 */
bool caller_check(struct keyring *k, const struct raw_request *raw,
    struct req *rq, struct reply *rp, const char **ret_why) MUST_CHECK;

#endif
