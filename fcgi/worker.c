/* worker.c - waits where it can be woken, and lets libfcgi do the rest. */
#include "fcgi/worker.h"
#include "shared/clock.h"
#include "fcgi/serve.h"
#include "shared/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PEER_TIMEOUT_S 30 /* silence of nginx within one request */
#define THREAD_STACK (1024 * 1024)
#define DISCARD_MAX (8 * MB) /* of a body that nobody wants */

/* --- one request ------------------------------------------------------ */

static size_t
read_body(void *arg, char *buf, size_t size)
{
	FCGX_Request *fr = arg;
	int n =
	    FCGX_GetStr(buf, size > INT32_MAX ? INT32_MAX : (int)size, fr->in);

	return n > 0 ? (size_t)n : 0;
}

static void
fill_raw(struct raw_request *raw, FCGX_Request *fr)
{
	const struct {
		const char *name;
		const char **to;
	} params[] = {
		{ "REQUEST_METHOD", &raw->method },
		{ "REQUEST_URI", &raw->uri },
		{ "REQUEST_SCHEME", &raw->scheme },
		{ "CONTENT_TYPE", &raw->content_type },
		{ "CONTENT_LENGTH", &raw->content_length },
		{ "HTTP_HOST", &raw->host },
		{ "HTTP_X_REQUEST_ID", &raw->request_id },
		{ "HTTP_IDEMPOTENCY_KEY", &raw->idempotency_key },
		{ "HTTP_AUTHORIZATION", &raw->authorization },
		{ "HTTP_COOKIE", &raw->cookie },
		{ "HTTP_X_USER_ID", &raw->gateway_user },
		{ "HTTP_ORIGIN", &raw->origin },
		{ "HTTP_SEC_FETCH_SITE", &raw->fetch_site },
	};

	for (size_t i = 0; i < COUNT_OF(params); i++)
		*params[i].to = FCGX_GetParam(params[i].name, fr->envp);
	raw->read = read_body;
	raw->arg = fr;
}

/*
 * What is left of a body would be read as the next request's records, and a
 * client chose those bytes: it goes, or the connection does.
 */
static void
discard_rest(FCGX_Request *fr)
{
	char scrap[4096];
	size_t n, total = 0;

	while ((n = read_body(fr, scrap, sizeof scrap)) > 0) {
		total += n;
		if (total > DISCARD_MAX)
			break;
	}
	if (n > 0 || !FCGX_HasSeenEOF(fr->in))
		fr->keepConnection = 0;
}

void
process_tell(struct process *p, char what)
{
	ssize_t n = write(p->tell_fd, &what, 1);

	(void)n; /* a parent that is gone is noticed elsewhere */
}

static void
count_request(struct process *p)
{
	long long n = atomic_fetch_add(&p->answered, 1) + 1;

	if (n == p->share)
		process_tell(p, SERVE_RECYCLE);
}

static void
serve_one(struct worker *w)
{
	FCGX_Request *fr = &w->fr;
	struct call *c = &w->call;

	fill_raw(&w->raw, fr);
	dispatch(&w->p->shop, &w->raw, c);
	discard_rest(fr);
	FCGX_PutStr(c->head, (int)c->head_len, fr->out);
	if (c->body_len > 0)
		FCGX_PutStr(c->body, (int)c->body_len, fr->out);
	call_fini(c);
	if (atomic_exchange(&w->let_go, false))
		fr->keepConnection = 0;
	FCGX_Finish_r(fr);
	count_request(w->p);
}

/* --- waiting ---------------------------------------------------------- */

void
worker_kick(struct worker *w)
{
	uint64_t one = 1;
	ssize_t n;

	atomic_store(&w->let_go, true);
	n = write(w->kick_fd, &one, sizeof one);

	(void)n; /* a full counter wakes as well */
}

static bool
take_kick(struct worker *w)
{
	uint64_t count;

	return read(w->kick_fd, &count, sizeof count) == sizeof count;
}

/* For the next request on a kept connection; lets go of it when kicked. */
static void
wait_kept(struct worker *w)
{
	struct pollfd fds[2] = {
		{ .fd = w->fr.ipcFd, .events = POLLIN },
		{ .fd = w->kick_fd, .events = POLLIN },
	};

	atomic_store(&w->kept_since_ms, clock_ms());
	atomic_store(&w->waiting, WAITS_KEPT);
	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	atomic_store(&w->waiting, BUSY);
	if (fds[1].revents != 0)
		take_kick(w);
	/* a request that is here already is still answered */
	if (fds[0].revents == 0 && atomic_exchange(&w->let_go, false))
		FCGX_Free(&w->fr, 1);
}

static void
wait_accept(struct worker *w)
{
	struct epoll_event e;

	atomic_store(&w->waiting, WAITS_ACCEPT);
	while (epoll_wait(w->epoll_fd, &e, 1, -1) < 0 && errno == EINTR)
		;
	atomic_store(&w->waiting, BUSY);
	if (take_kick(w))
		atomic_store(&w->let_go, false);
}

/* A peer that stops in the middle of a request holds no thread for ever. */
static void
bound_peer(int fd)
{
	const struct timeval t = { .tv_sec = PEER_TIMEOUT_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

/* The socket does not block, so a rival may have been faster: that is fine. */
static bool
accept_request(struct worker *w)
{
	int before = w->fr.ipcFd;
	int rc = FCGX_Accept_r(&w->fr);

	if (rc == 0) {
		if (before < 0)
			bound_peer(w->fr.ipcFd);
		return true;
	}
	if (rc != -EAGAIN && rc != -EINTR && !atomic_load(&w->p->draining)) {
		log_at(LOG_WARN, "accept_failed", LOG_INT("error", -rc));
		poll(NULL, 0, 50); /* out of descriptors: others may close */
	}
	return false;
}

static void *
worker_run(void *arg)
{
	struct worker *w = arg;
	struct process *p = w->p;

	for (;;) {
		if (w->fr.ipcFd >= 0)
			wait_kept(w);
		if (w->fr.ipcFd < 0) {
			if (atomic_load(&p->draining))
				break;
			wait_accept(w);
			if (atomic_load(&p->draining))
				break;
		}
		if (accept_request(w))
			serve_one(w);
	}
	atomic_store(&w->waiting, GONE);
	return NULL;
}

/* --- its life ---------------------------------------------------------- */

enum err
worker_start(struct worker *w, struct process *p)
{
	struct epoll_event listening = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	struct epoll_event kicked = { .events = EPOLLIN };
	pthread_attr_t attr;
	int rc;

	*w = (struct worker){ .p = p };
	atomic_store(&w->waiting, BUSY);
	w->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->kick_fd < 0 || w->epoll_fd < 0 ||
	    epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, p->listen_fd, &listening) ||
	    epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->kick_fd, &kicked))
		return ERR_IO;
	FCGX_InitRequest(&w->fr, p->listen_fd, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	rc = pthread_create(&w->thread, &attr, worker_run, w);
	pthread_attr_destroy(&attr);
	return rc ? ERR_NOMEM : ERR_OK;
}

void
worker_close(struct worker *w)
{
	pthread_join(w->thread, NULL);
	FCGX_Free(&w->fr, 1);
	close(w->kick_fd);
	close(w->epoll_fd);
}
