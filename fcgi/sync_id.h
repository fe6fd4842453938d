/*
 * sync_id.h - the ids of syncs: made here, and checked when they come back.
 */
#ifndef SYNCLINE_SYNC_ID_H
#define SYNCLINE_SYNC_ID_H

#include "fcgi/req.h"
#include "shared/err.h"
#include <stdbool.h>

#define SYNC_ID_SIZE 37 /* the 36 characters of a UUID, and NUL */
#define SYNC_ID_MAX 128 /* an imported id may be any text so long */

/*
 * sync_id_new makes a UUID of version 7 (RFC 9562, 5.7), so ids sort by age.
 * ERR_IO: the system gave no random bytes.
 */
enum err sync_id_new(char ret[SYNC_ID_SIZE]) MUST_CHECK;

/* sync_id_valid: 1 to SYNC_ID_MAX bytes without control characters. */
bool sync_id_valid(const char *text);

/*
 * sync_id_of gives the id that a request names as parameter `id`, else
 * `syncId`; NULL when it names none.  A malformed one answers 400 and
 * returns false.
 */
bool
sync_id_of(const struct req *rq, struct reply *rp, const char **ret) MUST_CHECK;

/* sync_id_required is the same where the request has to name one. */
bool sync_id_required(
    const struct req *rq, struct reply *rp, const char **ret) MUST_CHECK;

/* reply_sync_not_found: 404, the same for unknown ones and other users'. */
void reply_sync_not_found(struct reply *rp, const struct req *rq);

#endif
