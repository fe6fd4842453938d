/* serve.c - a handler process: opens what threads share, watches, drains. */
#include "fcgi/serve.h"
#include "shared/clock.h"
#include "fcgi/pool.h"
#include "fcgi/runner_client.h"
#include "fcgi/worker.h"
#include "shared/keyring.h"
#include "shared/log.h"
#include "shared/vault.h"

#include <nng/nng.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TICK_MS 100
#define STEP_MS 5        /* of a drain */
#define IDLE_MS 200      /* silence after which nginx will not miss it */
#define PATIENCE_MS 4000 /* for nginx to close what is never silent */

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
			worker_kick(&p->workers[i]);
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
	int64_t now = clock_ms();

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
		worker_kick(w);
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
			worker_kick(&p->workers[i]);
	}
	return left;
}

/* Takes no new connection and ends the old ones; false: one does not end. */
static bool
drain(struct process *p, int signal_fd, bool gently)
{
	struct pollfd fd = { .fd = signal_fd, .events = POLLIN };
	int64_t begin = clock_ms();
	int left;

	atomic_store(&p->draining, true);
	while ((left = send_home(p)) > 0) {
		if (clock_ms() > begin + SERVE_DRAIN_MS) {
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
	for (int i = 0; i < p->n_workers; i++)
		worker_close(&p->workers[i]);
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

	/* libfcgi waits for the other side where we can do without */
	setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "100", 1);
	setenv("LIBFCGI_IS_AF_UNIX_KEEPER_POLL_TIMEOUT", "500", 1);
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
		return err == ERR_INVAL || err == ERR_IO ? SERVE_EXIT_SETUP : 1;
	}
	log_at(LOG_INFO, "handlers_up", LOG_INT("pid", getpid()),
	    LOG_INT("threads", p.n_workers));
	process_tell(&p, SERVE_READY);
	if (!watch_and_drain(&p))
		_exit(0); /* a request hangs: the system takes the rest */
	workers_close(&p);
	shop_close(&p.shop);
	log_at(LOG_INFO, "handlers_down", LOG_INT("pid", getpid()),
	    LOG_INT("answered", atomic_load(&p.answered)));
	return 0;
}
