/* supervisor.c - one loop over signals and children, one rule for each. */
#include "fcgi/supervisor.h"
#include "fcgi/listen.h"
#include "fcgi/serve.h"
#include "shared/log.h"
#include "shared/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS_MAX 64
#define TICK_MS 100
#define START_MS 30000 /* a child that is not ready by then is given up */
#define KILL_MS (SERVE_DRAIN_MS + 5000)
#define YOUNG_MS 5000 /* dying before that age slows the next start */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000

struct child {
	pid_t pid; /* 0: none */
	int fd;    /* what it tells; -1: closed */
	int64_t since_ms;
	bool ready;
};

/* One place for a child, and those who come and go there. */
struct slot {
	struct child now;
	struct child next; /* starts, to take over */
	struct child old;  /* was told to finish */
	bool renew;        /* replace `now` when its turn comes */
	int64_t not_before_ms;
	int64_t backoff_ms;
};

struct supervisor {
	const struct settings *s;
	int listen_fd, signal_fd;
	struct slot slots[SLOTS_MAX];
	int n_slots;
	bool ever_ready; /* the settings do work */
	bool stopping;
	int64_t stop_ms;
	int status;
};

/* --- children --------------------------------------------------------- */

static void
close_foreign(struct supervisor *sv)
{
	for (int i = 0; i < sv->n_slots; i++) {
		struct child *all[] = { &sv->slots[i].now, &sv->slots[i].next,
			&sv->slots[i].old };

		for (size_t k = 0; k < COUNT_OF(all); k++) {
			if (all[k]->pid > 0 && all[k]->fd >= 0)
				close(all[k]->fd);
		}
	}
	close(sv->signal_fd);
}

static void
child_main(struct supervisor *sv, pid_t parent, int tell_fd)
{
	close_foreign(sv);
	/* a dead parent must not leave us behind, not even one just dead */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(0);
	exit(serve(sv->s, sv->listen_fd, tell_fd));
}

static bool
child_start(struct supervisor *sv, struct child *c)
{
	pid_t parent = getpid(), pid;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return false;
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child_main(sv, parent, fds[1]);
	}
	close(fds[1]);
	if (pid < 0) {
		log_at(LOG_ERROR, "fork_failed", LOG_INT("error", errno));
		close(fds[0]);
		return false;
	}
	*c = (struct child){ .pid = pid, .fd = fds[0], .since_ms = clock_ms() };
	return true;
}

static void
child_gone(struct child *c)
{
	if (c->fd >= 0)
		close(c->fd);
	*c = (struct child){ .pid = 0, .fd = -1 };
}

static void
child_signal(const struct child *c, int sig)
{
	if (c->pid > 0)
		kill(c->pid, sig);
}

/* --- the rules -------------------------------------------------------- */

static void
slow_down(struct slot *sl, int64_t lived_ms)
{
	if (lived_ms >= YOUNG_MS)
		sl->backoff_ms = 0;
	else if (sl->backoff_ms == 0)
		sl->backoff_ms = BACKOFF_FIRST_MS;
	else if (sl->backoff_ms < BACKOFF_MAX_MS)
		sl->backoff_ms *= 2;
	sl->not_before_ms = clock_ms() + sl->backoff_ms;
}

static void
stop(struct supervisor *sv, int status)
{
	if (sv->stopping)
		return;
	sv->stopping = true;
	sv->status = status;
	sv->stop_ms = clock_ms();
	log_at(LOG_INFO, "supervisor_stopping");
	/* children hold it too: this refuses new connections for all of us */
	shutdown(sv->listen_fd, SHUT_RDWR);
	close(sv->listen_fd);
	sv->listen_fd = -1;
	for (int i = 0; i < sv->n_slots; i++) {
		child_signal(&sv->slots[i].now, SIGTERM);
		child_signal(&sv->slots[i].next, SIGTERM);
		child_signal(&sv->slots[i].old, SIGTERM);
	}
}

static void
on_exit_of(struct supervisor *sv, struct slot *sl, struct child *c, int status)
{
	int64_t lived = clock_ms() - c->since_ms;
	bool setup =
	    WIFEXITED(status) && WEXITSTATUS(status) == SERVE_EXIT_SETUP;
	bool unasked = c != &sl->old && !sv->stopping;

	/* a replacement that never answered: the old one stays, we try again */
	sl->renew |= c == &sl->next;

	if (unasked)
		log_at(LOG_ERROR, "handlers_died", LOG_INT("pid", c->pid),
		    LOG_INT(
			"status", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
		    LOG_INT(
			"signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
	child_gone(c);
	if (!unasked)
		return;
	slow_down(sl, lived);
	if (setup && !sv->ever_ready)
		stop(sv, 1); /* trying again would not help */
}

static void
on_child_died(struct supervisor *sv)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < sv->n_slots; i++) {
			struct slot *sl = &sv->slots[i];
			struct child *all[] = { &sl->now, &sl->next, &sl->old };

			for (size_t k = 0; k < COUNT_OF(all); k++) {
				if (all[k]->pid == pid)
					on_exit_of(sv, sl, all[k], status);
			}
		}
	}
}

static void
on_signal(struct supervisor *sv)
{
	struct signalfd_siginfo si;

	while (read(sv->signal_fd, &si, sizeof si) == sizeof si) {
		if (si.ssi_signo == SIGCHLD) {
			on_child_died(sv);
		} else if (si.ssi_signo == SIGHUP) {
			log_at(LOG_INFO, "reload");
			for (int i = 0; i < sv->n_slots; i++)
				sv->slots[i].renew = true;
		} else {
			stop(sv, 0);
		}
	}
}

/* The new one answers: the old one finishes what it has. */
static void
take_over(struct slot *sl)
{
	sl->old = sl->now;
	sl->now = sl->next;
	sl->next = (struct child){ .pid = 0, .fd = -1 };
	sl->old.since_ms = clock_ms();
	child_signal(&sl->old, SERVE_RETIRE);
}

static void
on_told(struct supervisor *sv, struct slot *sl, struct child *c)
{
	char what;
	ssize_t n;

	while ((n = read(c->fd, &what, 1)) == 1) {
		if (what == SERVE_READY) {
			c->ready = true;
			sv->ever_ready = true;
		} else if (what == SERVE_RECYCLE && c == &sl->now) {
			sl->renew = true;
		}
	}
	if (n == 0) { /* it is about to go; SIGCHLD tells the rest */
		close(c->fd);
		c->fd = -1;
	}
	if (c == &sl->next && c->ready && !sv->stopping)
		take_over(sl);
}

/* One replacement at a time, so that all but one process always answer. */
static bool
replacing(const struct supervisor *sv)
{
	for (int i = 0; i < sv->n_slots; i++) {
		if (sv->slots[i].next.pid > 0 || sv->slots[i].old.pid > 0)
			return true;
	}
	return false;
}

static void
keep(struct supervisor *sv, struct slot *sl, int64_t now)
{
	if (sl->now.pid > 0 && !sl->now.ready &&
	    now - sl->now.since_ms > START_MS)
		child_signal(&sl->now, SIGKILL);
	if (sl->next.pid > 0 && now - sl->next.since_ms > START_MS)
		child_signal(&sl->next, SIGKILL);
	if (sl->old.pid > 0 && now - sl->old.since_ms > KILL_MS)
		child_signal(&sl->old, SIGKILL);
	if (sv->stopping || now < sl->not_before_ms)
		return;
	if (sl->now.pid == 0 && sl->next.pid == 0) {
		sl->renew = false;
		if (!child_start(sv, &sl->now))
			slow_down(sl, 0);
	} else if (sl->renew && sl->now.ready && !replacing(sv)) {
		sl->renew = false;
		if (!child_start(sv, &sl->next)) {
			sl->renew = true;
			slow_down(sl, 0);
		}
	}
}

/* Kills what has not finished long after it was told to. */
static bool
anything_left(struct supervisor *sv)
{
	bool left = false;

	for (int i = 0; i < sv->n_slots; i++) {
		struct slot *sl = &sv->slots[i];

		left |= sl->now.pid > 0 || sl->next.pid > 0 || sl->old.pid > 0;
		if (sv->stopping && clock_ms() - sv->stop_ms > KILL_MS) {
			child_signal(&sl->now, SIGKILL);
			child_signal(&sl->next, SIGKILL);
			child_signal(&sl->old, SIGKILL);
		}
	}
	return left;
}

/* --- the loop --------------------------------------------------------- */

struct watched {
	struct slot *slot;
	struct child *child;
};

static void
turn(struct supervisor *sv)
{
	struct pollfd fds[1 + 3 * SLOTS_MAX];
	struct watched whose[1 + 3 * SLOTS_MAX];
	int n = 1;

	fds[0] = (struct pollfd){ .fd = sv->signal_fd, .events = POLLIN };
	for (int i = 0; i < sv->n_slots; i++) {
		struct slot *sl = &sv->slots[i];
		struct child *all[] = { &sl->now, &sl->next };

		for (size_t k = 0; k < COUNT_OF(all); k++) {
			if (all[k]->pid == 0 || all[k]->fd < 0)
				continue;
			fds[n] = (struct pollfd){ .fd = all[k]->fd,
				.events = POLLIN };
			whose[n++] = (struct watched){ sl, all[k] };
		}
	}
	if (poll(fds, (nfds_t)n, TICK_MS) > 0) {
		/* first what they said, then who died: order of events */
		for (int i = n - 1; i > 0; i--) {
			if (fds[i].revents != 0)
				on_told(sv, whose[i].slot, whose[i].child);
		}
		if (fds[0].revents != 0)
			on_signal(sv);
	}
	for (int i = 0; i < sv->n_slots; i++)
		keep(sv, &sv->slots[i], clock_ms());
}

static enum err
signals_open(struct supervisor *sv)
{
	sigset_t all, children;

	sigemptyset(&all);
	sigaddset(&all, SIGTERM);
	sigaddset(&all, SIGINT);
	sigaddset(&all, SIGHUP);
	sigaddset(&all, SIGCHLD);
	/* children inherit the mask: a Ctrl-C is the parent's business */
	children = all;
	sigaddset(&children, SERVE_RETIRE);
	if (sigprocmask(SIG_BLOCK, &children, NULL))
		return ERR_IO;
	sv->signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return sv->signal_fd < 0 ? ERR_IO : ERR_OK;
}

int
supervise(const struct settings *s)
{
	struct supervisor sv = { .s = s, .n_slots = (int)s->fcgi_processes };
	char text[256] = "", *why = text;
	enum err err;

	for (int i = 0; i < SLOTS_MAX; i++) {
		sv.slots[i].now.fd = -1;
		sv.slots[i].next.fd = -1;
		sv.slots[i].old.fd = -1;
	}
	err = listen_open(s->fcgi_socket, &sv.listen_fd, text, sizeof text);
	if (!err)
		err = signals_open(&sv);
	if (err) {
		log_at(LOG_ERROR, "not_started",
		    LOG_STR("error", err_name(err)), LOG_STR("why", why));
		return 1;
	}
	log_at(LOG_INFO, "supervisor_up", LOG_STR("socket", s->fcgi_socket),
	    LOG_INT("processes", sv.n_slots));
	do {
		turn(&sv);
	} while (!sv.stopping || anything_left(&sv));
	unlink(s->fcgi_socket);
	log_at(LOG_INFO, "supervisor_down");
	return sv.status;
}
