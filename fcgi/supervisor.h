/*
 * supervisor.h - the parent: keeps a number of handler processes alive.
 *
 * It owns the listening socket and does nothing else: neither nng nor libpq
 * survive a fork, so only children open them.
 */
#ifndef SYNCLINE_SUPERVISOR_H
#define SYNCLINE_SUPERVISOR_H

#include "shared/settings.h"

/*
 * supervise runs until SIGTERM or SIGINT and returns the exit status.
 * A child that dies comes back, more slowly each time it dies young.  A child
 * that has answered its share, and on SIGHUP each of them, is replaced: the
 * new one answers before the old one is told to finish; one at a time.
 */
int supervise(const struct settings *s);

#endif
