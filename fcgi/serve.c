/*
 * serve.c - waits where it can be woken, and lets libfcgi do the rest.
 *
 * A kept connection holds its thread.  The waits for a connection and for the
 * next request on a kept one are therefore ours, not libfcgi's: so a process
 * that retires lets go of idle connections at once, and one whose threads are
 * all held gives some up when others wait in the socket's queue.
 */
#include "fcgi/serve.h"
#include "fcgi/dispatch.h"
#include "fcgi/pool.h"
#include "fcgi/runner_client.h"
#include "shared/keyring.h"
#include "shared/log.h"
#include "shared/vault.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <nng/nng.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 100
#define STEP_MS 5        /* of a drain */
#define IDLE_MS 200      /* silence after which nginx will not miss it */
#define PATIENCE_MS 4000 /* for nginx to close what is never silent */
#define PEER_TIMEOUT_S 30 /* silence of nginx within one request */
#define THREAD_STACK (1024 * 1024)
#define DISCARD_MAX (8 * MB) /* of a body that nobody wants */

enum waiting { BUSY, WAITS_ACCEPT, WAITS_KEPT, GONE };

struct process;

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

struct process {
	struct shop shop;
	int listen_fd, tell_fd;
	atomic_bool draining;
	atomic_llong answered;
	long long share; /* requests until it asks to be replaced; 0: never */
	struct worker *workers;
	int n_workers;
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- one request ------------------------------------------------------ */

static size_t
read_body(void *arg, char *buf, size_t size)
{
	FCGX_Request *fr = arg;
	int n = FCGX_GetStr(
	    buf, size > INT32_MAX ? INT32_MAX : (int)size, fr->in);

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

static void
tell(struct process *p, char what)
{
	ssize_t n = write(p->tell_fd, &what, 1);

	(void)n; /* a parent that is gone is noticed elsewhere */
}

static void
count_request(struct process *p)
{
	long long n = atomic_fetch_add(&p->answered, 1) + 1;

	if (n == p->share)
		tell(p, SERVE_RECYCLE);
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

static void
kick(struct worker *w)
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

	atomic_store(&w->kept_since_ms, now_ms());
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

/* --- the process ------------------------------------------------------ */

static enum err
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

/*
 * Connections wait and no thread does: some idle connection has to go.  nginx
 * opens another one when it needs it.
 */
static void
relieve(struct process *p)
{
	struct pollfd waiting = { .fd = p->listen_fd, .events = POLLIN };
	int kept = 0, kicks;

	for (int i = 0; i < p->n_workers; i++) {
		enum waiting now = atomic_load(&p->workers[i].waiting);

		if (now == WAITS_ACCEPT)
			return;
		kept += now == WAITS_KEPT;
	}
	if (kept == 0 || poll(&waiting, 1, 0) != 1)
		return;
	kicks = 1 + kept / 4;
	for (int i = 0; i < p->n_workers && kicks > 0; i++) {
		if (atomic_load(&p->workers[i].waiting) == WAITS_KEPT) {
			kick(&p->workers[i]);
			kicks--;
		}
	}
}

/*
 * Tells one worker to let go of its connection, in a drain that began at
 * `begin`; false: there was none to tell now.  nginx repeats a request whose
 * connection went, but not for ever: gently means that it is not to meet a
 * closed connection at all, so the idle ones go, one at a time, and the busy
 * ones when nginx has had its time to close them itself.
 */
static bool
let_one_go(struct process *p, bool gently, int64_t begin)
{
	int64_t now = now_ms();

	for (int i = 0; i < p->n_workers; i++) {
		struct worker *w = &p->workers[i];
		enum waiting what = atomic_load(&w->waiting);

		if (what == GONE || what == WAITS_ACCEPT ||
		    atomic_load(&w->let_go))
			continue;
		if (gently && now < begin + PATIENCE_MS &&
		    (what == BUSY ||
			now < atomic_load(&w->kept_since_ms) + IDLE_MS))
			continue;
		kick(w);
		return true;
	}
	return false;
}

/* How many threads are left; those without a connection are sent home. */
static int
send_home(struct process *p)
{
	int left = 0;

	for (int i = 0; i < p->n_workers; i++) {
		enum waiting what = atomic_load(&p->workers[i].waiting);

		left += what != GONE;
		if (what == WAITS_ACCEPT)
			kick(&p->workers[i]);
	}
	return left;
}

/* Takes no new connection and ends the old ones; false: one does not end. */
static bool
drain(struct process *p, int signal_fd, bool gently)
{
	struct pollfd fd = { .fd = signal_fd, .events = POLLIN };
	int64_t begin = now_ms();
	int left;

	atomic_store(&p->draining, true);
	while ((left = send_home(p)) > 0) {
		if (now_ms() > begin + SERVE_DRAIN_MS) {
			log_at(LOG_WARN, "drain_too_slow",
			    LOG_INT("requests", left));
			return false;
		}
		while (let_one_go(p, gently, begin) && !gently)
			;
		if (poll(&fd, 1, STEP_MS) > 0) {
			gently = false; /* whatever it is, now it is urgent */
			fd.fd = -1;
		}
	}
	return true;
}

static enum err
shop_open(struct shop *shop, const struct settings *s, char *why, size_t size)
{
	enum err err;

	shop->settings = s;
	err = keyring_open(s, &shop->keys, why, size);
	if (!err && *s->vault_key_file != '\0')
		err = vault_open(s->vault_key_file, &shop->vault, why, size);
	if (!err)
		err = pool_open(&shop->pool, s);
	if (!err)
		err = runner_client_open(&shop->runners, s);
	return err;
}

static void
shop_close(struct shop *shop)
{
	runner_client_close(shop->runners);
	pool_close(shop->pool);
	vault_close(shop->vault);
	keyring_close(shop->keys);
	nng_fini();
}

static enum err
workers_start(struct process *p)
{
	int n = (int)p->shop.settings->fcgi_threads;

	p->workers = calloc((size_t)n, sizeof *p->workers);
	if (!p->workers)
		return ERR_NOMEM;
	while (p->n_workers < n) {
		enum err err = worker_start(&p->workers[p->n_workers], p);

		if (err)
			return err;
		p->n_workers++;
	}
	return ERR_OK;
}

static void
workers_close(struct process *p)
{
	for (int i = 0; i < p->n_workers; i++) {
		pthread_join(p->workers[i].thread, NULL);
		FCGX_Free(&p->workers[i].fr, 1);
		close(p->workers[i].kick_fd);
		close(p->workers[i].epoll_fd);
	}
	free(p->workers);
}

/* Until the parent says how to end; SIGTERM also comes when it dies. */
static bool
watch_and_drain(struct process *p)
{
	struct signalfd_siginfo si = { .ssi_signo = SIGTERM };
	struct pollfd fd = { .events = POLLIN };
	sigset_t ends;
	bool done;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SERVE_RETIRE);
	fd.fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	while (poll(&fd, 1, TICK_MS) <= 0)
		relieve(p);
	if (read(fd.fd, &si, sizeof si) != sizeof si)
		si.ssi_signo = SIGTERM;
	done = drain(p, fd.fd, si.ssi_signo == SERVE_RETIRE);
	close(fd.fd);
	return done;
}

int
serve(const struct settings *s, int listen_fd, int tell_fd)
{
	struct process p = { .listen_fd = listen_fd, .tell_fd = tell_fd };
	char text[256] = "", *why = text;
	enum err err;

	if (FCGX_Init() != 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	/* neighbours must not come to the end of their share together */
	if (s->fcgi_recycle > 0)
		p.share = s->fcgi_recycle +
		    (long long)(getpid() % 16) * s->fcgi_recycle / 64;
	err = shop_open(&p.shop, s, text, sizeof text);
	if (!err)
		err = workers_start(&p);
	if (err) {
		log_at(LOG_ERROR, "handlers_not_started",
		    LOG_STR("error", err_name(err)), LOG_STR("why", why));
		/* threads may run already: leave without them */
		if (p.n_workers > 0)
			_exit(1);
		shop_close(&p.shop);
		return err == ERR_INVAL || err == ERR_IO ? SERVE_EXIT_SETUP
							 : 1;
	}
	log_at(LOG_INFO, "handlers_up", LOG_INT("pid", getpid()),
	    LOG_INT("threads", p.n_workers));
	tell(&p, SERVE_READY);
	if (!watch_and_drain(&p))
		_exit(0); /* a request hangs: the system takes the rest */
	workers_close(&p);
	shop_close(&p.shop);
	log_at(LOG_INFO, "handlers_down", LOG_INT("pid", getpid()),
	    LOG_INT("answered", atomic_load(&p.answered)));
	return 0;
}
