/* scan.c - one loop: what is due, rescue or queue, then sleep. */
#include "runner/scan.h"
#include "shared/clock.h"
#include "shared/db.h"
#include "shared/log.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_TIMEOUT_MS 10000
#define SCAN_BATCH 256
#define RESTART_SCANS 2 /* pauses between two walks from the top */
#define EXPECT_SLACK_MS 10

struct scan {
	struct hold *h;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	struct db *db; /* the thread's; here to be interrupted */
	bool stopping, rescue_asked, room_told;
	int64_t expect_ms; /* the earliest; INT64_MAX: none */

	/* the thread's alone */
	uint64_t term_no;
	int64_t next_ms, rescue_ms, restart_ms, looked_ms;
	int priority; /* the cursor */
	char id[129];
	bool more;        /* the walk is not at its end */
	bool orphans;     /* a rescue found more than there was room for */
	int64_t doubt_ms; /* the trouble that was looked into */
	int doubt_passes;
};

static void
cursor_reset(struct scan *sc)
{
	sc->priority = SHRT_MAX;
	sc->id[0] = '\0';
	sc->restart_ms = clock_ms() + RESTART_SCANS * sc->h->settings->scan_ms;
}

/* Claims ids from column sync_id; returns how many were seen to. */
static size_t
claim_rows(struct scan *sc, const PGresult *res)
{
	const char *ids[SCAN_BATCH];
	size_t n = (size_t)PQntuples(res);

	if (n > SCAN_BATCH)
		n = SCAN_BATCH;
	for (size_t i = 0; i < n; i++)
		ids[i] = result_text(res, (int)i, "sync_id");
	return hold_claim(sc->h, ids, n);
}

static int
batch_room(struct scan *sc)
{
	int room = hold_room(sc->h);

	return room < SCAN_BATCH ? room : SCAN_BATCH;
}

/* --- the queue --------------------------------------------------------- */

/* Walks on from the cursor, once. */
static enum err
walk(struct scan *sc)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	int room = batch_room(sc);
	size_t seen;
	enum err err;

	if (room == 0) {
		sc->more = true; /* unknown: look when there is room */
		return ERR_OK;
	}
	err = db_run(sc->db, STMT_SYNC_SCAN, &res, arg_i64(sc->priority),
	    arg_text(sc->id), arg_i64(room));
	if (err)
		return err;
	seen = claim_rows(sc, res);
	if (seen > 0) {
		sc->priority = (int)result_i64(res, (int)seen - 1, "priority");
		snprintf(sc->id, sizeof sc->id, "%s",
		    result_text(res, (int)seen - 1, "sync_id"));
	}
	sc->more = seen < (size_t)PQntuples(res) || PQntuples(res) == room;
	return ERR_OK;
}

/* --- rescue ------------------------------------------------------------ */

static enum err
end_dead(struct scan *sc)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	enum err err = db_exec(sc->db, STMT_RUNNER_DEAD, &res, NULL, 0);

	for (int i = 0; !err && i < PQntuples(res); i++) {
		const char *dead = result_text(res, i, "runner_id");

		log_at(LOG_INFO, "runner_dead", LOG_STR("dead", dead));
		err = db_run(
		    sc->db, STMT_RUNNER_END_SESSIONS, NULL, arg_text(dead));
	}
	return err;
}

static enum err
claim_orphans(struct scan *sc)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	int room = batch_room(sc);
	enum err err;

	sc->orphans = true; /* unknown, without room to look */
	if (room == 0)
		return ERR_OK;
	err = db_run(sc->db, STMT_SYNC_ORPHANS, &res, arg_i64(room));
	if (err)
		return err;
	(void)claim_rows(sc, res);
	sc->orphans = PQntuples(res) == room;
	return ERR_OK;
}

/*
 * After a commit of unknown outcome the database may say that we hold what
 * we know nothing of.  Two passes after the last trouble: a server process
 * may finish after we gave it up.
 */
static enum err
adopt_unknown(struct scan *sc)
{
	CLEANUP(result_clearp) PGresult *res = NULL;
	const struct term *t = lease_term(sc->h->lease);
	int64_t trouble = journal_troubled_ms(sc->h->journal);
	enum err err;

	if (trouble != sc->doubt_ms) {
		sc->doubt_ms = trouble;
		sc->doubt_passes = 3;
	}
	if (sc->doubt_passes == 0 || !t)
		return ERR_OK;
	err = db_run(
	    sc->db, STMT_SYNC_OWNED, &res, arg_text(t->runner_id), arg_null());
	if (err)
		return err;
	/* the first pass would meet what is on its way just now */
	if (--sc->doubt_passes == 2)
		return ERR_OK;
	for (int i = 0; i < PQntuples(res); i++)
		hold_adopt(sc->h, res, i, t);
	return ERR_OK;
}

static enum err
rescue(struct scan *sc)
{
	enum err err = end_dead(sc);

	if (!err)
		err = claim_orphans(sc);
	if (!err)
		err = adopt_unknown(sc);
	if (!err) {
		pthread_mutex_lock(&sc->lock);
		sc->rescue_asked = false;
		pthread_mutex_unlock(&sc->lock);
		sc->rescue_ms = clock_ms() + sc->h->settings->lease_ms / 2;
	}
	return err;
}

/* --- the loop ---------------------------------------------------------- */

/* A session that carries the term's name. */
static enum err
db_for(struct scan *sc, const struct term *t)
{
	const struct db_options o = {
		.conninfo = sc->h->settings->db,
		.name = t->runner_id,
		.timeout_ms = CALL_TIMEOUT_MS,
	};
	struct db *db, *old;
	enum err err;

	if (sc->term_no == t->no)
		return ERR_OK;
	err = db_open(&db, &o);
	if (err)
		return err;
	pthread_mutex_lock(&sc->lock);
	old = sc->db;
	sc->db = db;
	if (sc->stopping)
		db_interrupt(db);
	pthread_mutex_unlock(&sc->lock);
	db_close(old);
	sc->term_no = t->no;
	return ERR_OK;
}

/* What wakes us counts once: taken over and forgotten under the lock. */
static void
take_news(struct scan *sc, int64_t now, bool *ret_rescue, bool *ret_restart)
{
	pthread_mutex_lock(&sc->lock);
	*ret_rescue = sc->rescue_asked || sc->orphans || now >= sc->rescue_ms;
	*ret_restart = now >= sc->restart_ms || now >= sc->expect_ms;
	if (now >= sc->expect_ms)
		sc->expect_ms = INT64_MAX;
	sc->room_told = false;
	pthread_mutex_unlock(&sc->lock);
}

static enum err
look(struct scan *sc, const struct term *t)
{
	bool rescue_due, restart;
	enum err err = db_for(sc, t);

	if (err)
		return err;
	sc->looked_ms = clock_ms();
	take_news(sc, sc->looked_ms, &rescue_due, &restart);
	if (rescue_due)
		err = rescue(sc);
	if (!err && !sc->more && restart)
		cursor_reset(sc);
	if (!err)
		err = walk(sc);
	return err;
}

static bool
sleep_until(struct scan *sc, int64_t until)
{
	bool go_on;

	pthread_mutex_lock(&sc->lock);
	while (!sc->stopping && !sc->rescue_asked &&
	    !(sc->room_told && (sc->more || sc->orphans))) {
		/* however many are expected, a few looks a pause are enough */
		int64_t soon = sc->looked_ms + sc->h->settings->scan_ms / 8;
		int64_t when = sc->expect_ms > soon ? sc->expect_ms : soon;

		if (when > until)
			when = until;
		if (clock_ms() >= when)
			break;
		clock_wait(&sc->wake, &sc->lock, when);
	}
	go_on = !sc->stopping;
	pthread_mutex_unlock(&sc->lock);
	return go_on;
}

static void *
run(void *arg)
{
	struct scan *sc = arg;
	int64_t pause = sc->h->settings->scan_ms;

	cursor_reset(sc);
	while (sleep_until(sc, sc->next_ms)) {
		const struct term *t = lease_term(sc->h->lease);
		enum err err = t ? look(sc, t) : ERR_OK;

		sc->next_ms = clock_ms() + pause;
		if (err && err != ERR_INTERRUPTED)
			log_at(LOG_WARN, "scan_failed",
			    LOG_STR("error", err_name(err)),
			    LOG_STR(
				"text", sc->db ? db_error_text(sc->db) : ""));
		if (err || !t) {
			/* start over: what happened meanwhile is unknown */
			sc->more = false;
			sc->restart_ms = 0;
			pthread_mutex_lock(&sc->lock);
			sc->rescue_asked = false;
			pthread_mutex_unlock(&sc->lock);
			sc->rescue_ms = 0;
		}
	}
	return NULL;
}

/* --- from outside ------------------------------------------------------ */

void
scan_rescue_now(struct scan *sc)
{
	pthread_mutex_lock(&sc->lock);
	sc->rescue_asked = true;
	pthread_cond_signal(&sc->wake);
	pthread_mutex_unlock(&sc->lock);
}

void
scan_room(struct scan *sc)
{
	pthread_mutex_lock(&sc->lock);
	sc->room_told = true;
	pthread_cond_signal(&sc->wake);
	pthread_mutex_unlock(&sc->lock);
}

void
scan_expect(struct scan *sc, int64_t due_ms)
{
	/* the database's clock may be a little behind ours */
	due_ms += EXPECT_SLACK_MS;
	pthread_mutex_lock(&sc->lock);
	if (due_ms < sc->expect_ms) {
		sc->expect_ms = due_ms;
		pthread_cond_signal(&sc->wake);
	}
	pthread_mutex_unlock(&sc->lock);
}

enum err
scan_open(struct scan **ret, struct hold *h)
{
	struct scan *sc = calloc(1, sizeof *sc);

	if (!sc)
		return ERR_NOMEM;
	sc->h = h;
	sc->expect_ms = INT64_MAX;
	pthread_mutex_init(&sc->lock, NULL);
	clock_cond_init(&sc->wake);
	*ret = sc;
	return ERR_OK;
}

enum err
scan_start(struct scan *sc)
{
	if (pthread_create(&sc->thread, NULL, run, sc) != 0)
		return ERR_NOMEM;
	sc->started = true;
	return ERR_OK;
}

void
scan_stop(struct scan *sc)
{
	if (!sc || !sc->started)
		return;
	pthread_mutex_lock(&sc->lock);
	sc->stopping = true;
	if (sc->db)
		db_interrupt(sc->db);
	pthread_cond_signal(&sc->wake);
	pthread_mutex_unlock(&sc->lock);
	pthread_join(sc->thread, NULL);
	sc->started = false;
}

void
scan_close(struct scan *sc)
{
	if (!sc)
		return;
	db_close(sc->db);
	pthread_cond_destroy(&sc->wake);
	pthread_mutex_destroy(&sc->lock);
	free(sc);
}
