/*
 * serve.h - a handler process: threads that each own one FCGX_Request.
 */
#ifndef SYNCLINE_SERVE_H
#define SYNCLINE_SERVE_H

#include "shared/settings.h"
#include <signal.h>

/* What a handler process tells its parent, one byte each. */
#define SERVE_READY 'U'   /* it answers requests */
#define SERVE_RECYCLE 'R' /* it has answered its share: replace it */

/* What a parent tells it: SIGTERM is end soon, this is end unnoticed. */
#define SERVE_RETIRE SIGUSR2

#define SERVE_DRAIN_MS 15000 /* how long requests may finish at the end */
#define SERVE_EXIT_SETUP 78  /* exit status: the settings cannot work */

/*
 * serve runs in a fresh child with its signals blocked: it opens everything,
 * says SERVE_READY on tell_fd, answers what comes in on listen_fd (which does
 * not block) until SIGTERM or SERVE_RETIRE, finishes what it has begun, and
 * returns the exit status.
 */
int serve(const struct settings *s, int listen_fd, int tell_fd);

#endif
