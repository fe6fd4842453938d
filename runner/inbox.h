/*
 * inbox.h - what handlers say to this runner, over NNG.
 *
 * A REP socket with a fixed number of contexts.  nng's own threads only take
 * and hand over; a few threads of ours decode, perform one operation and
 * encode the reply.  A cancel is answered after its commit, by whoever made
 * it, so no thread here waits for the database.
 */
#ifndef SYNCLINE_RUNNER_INBOX_H
#define SYNCLINE_RUNNER_INBOX_H

#include "runner/hold.h"
#include "shared/err.h"

struct inbox; /* opaque */

/*
 * inbox_open listens on settings->runner_listen.  The file of an ipc://
 * address gets what the umask leaves of rw for all; one that a dead runner
 * left behind is replaced.  ERR_IO: *why says what is wrong.
 */
enum err inbox_open(
    struct inbox **ret, struct hold *h, char *why, size_t why_size) MUST_CHECK;

/*
 * inbox_stop takes no more; answers under way may still be given, harmless
 * until inbox_close, which comes after the journal is closed.
 */
void inbox_stop(struct inbox *in);
void inbox_close(struct inbox *in);

#endif
