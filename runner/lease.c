/* lease.c - register, renew, notice the loss, register again. */
#include "runner/lease.h"
#include "shared/clock.h"
#include "shared/db.h"
#include "shared/log.h"
#include "shared/version.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>
#include <utlist.h>

#define RETRY_MS 200

struct held_term {
	struct term t;
	struct held_term *next;
};

struct lease {
	const struct settings *s;
	struct lease_events ev;
	int lock_fd;
	char host[HOST_NAME_MAX + 1];
	pthread_t renewer, watcher;
	bool started;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	struct held_term *terms; /* newest first; freed at the end */
	uint64_t n_terms;
	int64_t deadline_ms; /* of the present term */
	struct db *db;       /* the renewer's; here to be interrupted */
	bool stopping;

	_Atomic(const struct term *) term;
	pthread_mutex_t losing; /* one on_lost at a time */
};

static bool
stopping(struct lease *l)
{
	bool stop;

	pthread_mutex_lock(&l->lock);
	stop = l->stopping;
	pthread_mutex_unlock(&l->lock);
	return stop;
}

/* Waits, and ends early when the lease stops. */
static void
pause_until(struct lease *l, int64_t deadline_ms)
{
	pthread_mutex_lock(&l->lock);
	while (!l->stopping && clock_ms() < deadline_ms)
		clock_wait(&l->wake, &l->lock, deadline_ms);
	pthread_mutex_unlock(&l->lock);
}

const struct term *
lease_term(struct lease *l)
{
	return atomic_load(&l->term);
}

/* --- losing it -------------------------------------------------------- */

/* The term is over, unless somebody was faster to say so. */
static void
lose(struct lease *l, const struct term *t, const char *why)
{
	const struct term *expected = t;

	pthread_mutex_lock(&l->losing);
	if (atomic_compare_exchange_strong(&l->term, &expected, NULL)) {
		log_at(LOG_WARN, "lease_lost",
		    LOG_STR("runner_id", t->runner_id), LOG_STR("why", why));
		l->ev.on_lost(l->ev.arg, t);
	}
	pthread_mutex_unlock(&l->losing);
}

static void *
watch(void *arg)
{
	struct lease *l = arg;

	pthread_mutex_lock(&l->lock);
	while (!l->stopping) {
		const struct term *t = lease_term(l);

		if (!t) {
			clock_wait(&l->wake, &l->lock, INT64_MAX);
		} else if (clock_ms() < l->deadline_ms) {
			clock_wait(&l->wake, &l->lock, l->deadline_ms);
		} else {
			pthread_mutex_unlock(&l->lock);
			lose(l, t, "deadline");
			pthread_mutex_lock(&l->lock);
		}
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* --- gaining it ------------------------------------------------------- */

static const struct term *
term_new(struct lease *l)
{
	struct held_term *h = calloc(1, sizeof *h);
	unsigned char r[16] = { 0 };

	if (!h || getrandom(r, sizeof r, 0) != (ssize_t)sizeof r) {
		free(h);
		return NULL;
	}
	for (unsigned i = 0; i < sizeof r; i++)
		snprintf(h->t.runner_id + 2 * i, 3, "%02x", r[i]);
	pthread_mutex_lock(&l->lock);
	h->t.no = ++l->n_terms;
	LL_PREPEND(l->terms, h);
	pthread_mutex_unlock(&l->lock);
	return &h->t;
}

static void
db_replace(struct lease *l, struct db *db)
{
	struct db *old;

	pthread_mutex_lock(&l->lock);
	old = l->db;
	l->db = db;
	if (db && l->stopping)
		db_interrupt(db);
	pthread_mutex_unlock(&l->lock);
	db_close(old);
}

/* A session that carries the new term's name. */
static enum err
db_for(struct lease *l, const struct term *t)
{
	int timeout = (int)(l->s->lease_ms / 2);
	const struct db_options o = {
		.conninfo = l->s->db,
		.name = t->runner_id,
		.timeout_ms = timeout > 5000 ? 5000 : timeout,
	};
	struct db *db;
	enum err err = db_open(&db, &o);

	if (!err)
		db_replace(l, db);
	return err;
}

/* The lock of our name is ours: who had it before is dead. */
static enum err
succeed(struct lease *l, const struct term *t)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum err err =
	    db_run(l->db, STMT_RUNNER_SUCCEED, &res, arg_text(t->runner_id),
		arg_text(l->s->runner_name), arg_text(l->host));

	if (err)
		return err;
	for (int i = 0; i < PQntuples(res) && !err; i++) {
		const char *dead = result_text(res, i, "runner_id");

		log_at(LOG_INFO, "runner_succeeded",
		    LOG_STR("runner_id", t->runner_id), LOG_STR("dead", dead));
		err = db_run(
		    l->db, STMT_RUNNER_END_SESSIONS, NULL, arg_text(dead));
	}
	return err;
}

static enum err
register_term(struct lease *l, const struct term *t)
{
	const struct settings *s = l->s;
	const char *address =
	    *s->runner_advertise ? s->runner_advertise : s->runner_listen;
	int64_t sent = clock_ms();
	enum err err = db_run(l->db, STMT_RUNNER_REGISTER, NULL,
	    arg_text(t->runner_id), arg_text(s->runner_name), arg_text(l->host),
	    arg_text(address), arg_text(SYNCLINE_VERSION), arg_i64(getpid()),
	    arg_i64(s->lease_ms));

	if (!err)
		err = succeed(l, t);
	if (err)
		return err;
	pthread_mutex_lock(&l->lock);
	l->deadline_ms = sent + s->lease_ms;
	atomic_store(&l->term, t);
	pthread_cond_broadcast(&l->wake);
	pthread_mutex_unlock(&l->lock);
	log_at(LOG_INFO, "runner_up", LOG_STR("runner_id", t->runner_id),
	    LOG_STR("name", s->runner_name), LOG_STR("address", address));
	l->ev.on_gained(l->ev.arg, t);
	return ERR_OK;
}

/* --- keeping it ------------------------------------------------------- */

/*
 * Renews until the term is lost.  With the database away it keeps asking:
 * the watcher decides when that has lasted too long.
 */
static void
keep(struct lease *l, const struct term *t)
{
	int64_t next = clock_ms() + l->s->lease_ms / 4;

	while (!stopping(l) && lease_term(l) == t) {
		CLEANUP(result_clearp) PGresult *res = NULL;
		int64_t sent;
		enum err err;

		pause_until(l, next);
		if (stopping(l))
			return;
		sent = clock_ms();
		err = db_run(l->db, STMT_RUNNER_RENEW, &res,
		    arg_text(t->runner_id), arg_i64(l->s->lease_ms));
		if (err) {
			log_at(LOG_WARN, "lease_not_renewed",
			    LOG_STR("runner_id", t->runner_id),
			    LOG_STR("error", err_name(err)),
			    LOG_STR("text", db_error_text(l->db)));
			next = clock_ms() + RETRY_MS;
		} else if (PQntuples(res) == 0) {
			lose(l, t, "over");
		} else {
			pthread_mutex_lock(&l->lock);
			l->deadline_ms = sent + l->s->lease_ms;
			pthread_mutex_unlock(&l->lock);
			next = sent + l->s->lease_ms / 4;
		}
	}
}

static void *
renew(void *arg)
{
	struct lease *l = arg;

	const struct term *t = NULL;

	while (!stopping(l)) {
		enum err err;

		if (!t)
			t = term_new(l);
		err = t ? db_for(l, t) : ERR_NOMEM;
		if (!err)
			err = register_term(l, t);
		if (!err)
			keep(l, t);
		/* a conflict: an earlier try did register it, unheard; its
		 * row is nobody's and runs out */
		if (!err || err == ERR_CONFLICT) {
			t = NULL;
		} else if (!stopping(l)) {
			log_at(LOG_WARN, "runner_not_registered",
			    LOG_STR("error", err_name(err)),
			    LOG_STR("text", l->db ? db_error_text(l->db) : ""));
			pause_until(l, clock_ms() + RETRY_MS);
		}
	}
	return NULL;
}

/* --- the lock file and the threads ------------------------------------ */

static enum err
lock_name(struct lease *l, char *why, size_t why_size)
{
	char path[PATH_MAX];

	if (strchr(l->s->runner_name, '/') ||
	    snprintf(path, sizeof path, "%s/%s.lock", l->s->runner_dir,
		l->s->runner_name) >= (int)sizeof path) {
		snprintf(why, why_size, "the runner's name cannot be a file");
		return ERR_IO;
	}
	l->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (l->lock_fd < 0) {
		snprintf(why, why_size, "%s: %s", path, strerror(errno));
		return ERR_IO;
	}
	if (flock(l->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		snprintf(why, why_size, "a runner named %s is running already",
		    l->s->runner_name);
		return ERR_CONFLICT;
	}
	return ERR_OK;
}

enum err
lease_open(struct lease **ret, const struct settings *s,
    const struct lease_events *ev, char *why, size_t why_size)
{
	struct lease *l = calloc(1, sizeof *l);
	enum err err;

	if (!l)
		return ERR_NOMEM;
	l->s = s;
	l->lock_fd = -1;
	l->ev = *ev;
	pthread_mutex_init(&l->lock, NULL);
	pthread_mutex_init(&l->losing, NULL);
	clock_cond_init(&l->wake);
	atomic_init(&l->term, NULL);
	gethostname(l->host, sizeof l->host - 1);
	err = lock_name(l, why, why_size);
	if (err) {
		lease_close(l);
		return err;
	}
	*ret = l;
	return ERR_OK;
}

enum err
lease_start(struct lease *l)
{
	if (pthread_create(&l->renewer, NULL, renew, l) != 0)
		return ERR_NOMEM;
	if (pthread_create(&l->watcher, NULL, watch, l) != 0) {
		pthread_mutex_lock(&l->lock);
		l->stopping = true;
		pthread_cond_broadcast(&l->wake);
		pthread_mutex_unlock(&l->lock);
		pthread_join(l->renewer, NULL);
		return ERR_NOMEM;
	}
	l->started = true;
	return ERR_OK;
}

void
lease_stop(struct lease *l)
{
	const struct term *t;

	if (!l || !l->started)
		return;
	pthread_mutex_lock(&l->lock);
	l->stopping = true;
	pthread_cond_broadcast(&l->wake);
	if (l->db)
		db_interrupt(l->db);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->renewer, NULL);
	pthread_join(l->watcher, NULL);
	l->started = false;
	t = lease_term(l);
	if (!t)
		return;
	db_resume(l->db);
	if (db_run(l->db, STMT_RUNNER_STOP, NULL, arg_text(t->runner_id)))
		log_at(LOG_WARN, "lease_not_returned",
		    LOG_STR("runner_id", t->runner_id),
		    LOG_STR("text", db_error_text(l->db)));
	atomic_store(&l->term, NULL);
}

void
lease_close(struct lease *l)
{
	struct held_term *h, *next;

	if (!l)
		return;
	db_close(l->db);
	for (h = l->terms; h; h = next) {
		next = h->next;
		free(h);
	}
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	pthread_cond_destroy(&l->wake);
	pthread_mutex_destroy(&l->losing);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
