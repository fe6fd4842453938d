/*
 * runner_client.h - a handler process's line to the runners.
 *
 * One per process, opened after the fork (nng must not cross one).  Safe
 * from any thread.  Calls block no longer than their bound; a runner that
 * did not answer in time is not asked again for a second, so a hung one
 * costs each request nothing.
 */
#ifndef SYNCLINE_RUNNER_CLIENT_H
#define SYNCLINE_RUNNER_CLIENT_H

#include "shared/err.h"
#include "shared/settings.h"
#include <stdbool.h>
#include <stddef.h>

struct runner_client; /* opaque */

enum err runner_client_open(
    struct runner_client **ret, const struct settings *s) MUST_CHECK;
void runner_client_close(struct runner_client *c);

/*
 * runner_hint tells any connected runner of waiting syncs.  Best effort
 * within settings->hint_timeout_ms; with no runner connected it returns at
 * once.  The outcome matters to nobody: the row waits in the database.
 */
void runner_hint(struct runner_client *c, const char *request_id,
    const char *const *sync_ids, size_t n);

/*
 * runner_cancel asks the runner at `address` (from the runners table; NULL:
 * any of the settings' addresses) to cancel.  ERR_OK: committed; *status is
 * the canonical word and text the message, into the caller's buffers.
 * ERR_NOT_FOUND: it does not hold that sync.  ERR_PEER, ERR_TIMEOUT: no
 * answer within settings->cancel_timeout_ms; the caller commits it itself.
 */
enum err runner_cancel(struct runner_client *c, const char *address,
    const char *request_id, const char *user_id, const char *sync_id,
    char *status, size_t status_size, char *text, size_t text_size) MUST_CHECK;

/* How many runners are connected now. */
int runner_connected(struct runner_client *c);

#endif
