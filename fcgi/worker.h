/*
 * worker.h - a thread that owns one FCGX_Request, and how it is told things.
 *
 * A kept connection holds its thread.  The waits for a connection and for the
 * next request on a kept one are therefore ours, not libfcgi's: so a process
 * that retires lets go of idle connections at once, and one whose threads are
 * all held gives some up when others wait in the socket's queue.
 */
#ifndef SYNCLINE_WORKER_H
#define SYNCLINE_WORKER_H

#include "fcgi/dispatch.h"

#include <fcgiapp.h>
#include <pthread.h>
#include <stdatomic.h>

enum waiting { BUSY, WAITS_ACCEPT, WAITS_KEPT, GONE };

/* What the workers of a process share. */
struct process {
	struct shop shop;
	int listen_fd, tell_fd;
	atomic_bool draining; /* no new connections */
	atomic_llong answered;
	long long share; /* requests until it asks to be replaced; 0: never */
	struct worker *workers;
	int n_workers;
};

struct worker {
	struct process *p;
	pthread_t thread;
	_Atomic enum waiting waiting;
	atomic_bool let_go; /* of the connection, after what it does now */
	atomic_llong kept_since_ms;
	int kick_fd;  /* eventfd: look up from the wait */
	int epoll_fd; /* the listening socket and kick_fd */
	FCGX_Request fr;
	struct raw_request raw;
	struct call call;
};

/* worker_start fills w and starts its thread.  ERR_IO, ERR_NOMEM. */
enum err worker_start(struct worker *w, struct process *p) MUST_CHECK;

/*
 * worker_kick makes it look up: it lets go of its connection, now if that is
 * idle, else after the request under way, and ends when the process drains.
 * Any thread.
 */
void worker_kick(struct worker *w);

/* worker_close waits for the thread's end and closes what it had. */
void worker_close(struct worker *w);

/* process_tell says one byte of serve.h to the parent. */
void process_tell(struct process *p, char what);

#endif
