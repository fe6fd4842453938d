/*
 * listen.h - the unix socket on which nginx reaches the handlers.
 */
#ifndef SYNCLINE_LISTEN_H
#define SYNCLINE_LISTEN_H

#include "shared/err.h"
#include <stddef.h>

/*
 * listen_open makes a socket that does not block, for its owner and group,
 * and puts it at path in one move; a file that a dead process left there is
 * replaced.  ERR_CONFLICT: somebody listens there.  ERR_INVAL, ERR_IO: why.
 */
enum err listen_open(
    const char *path, int *ret_fd, char *why, size_t why_size) MUST_CHECK;

#endif
