/* housekeeping.c - a table of chores, each with its period. */
#include "runner/housekeeping.h"
#include "shared/clock.h"
#include "shared/db.h"
#include "shared/log.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define HOUR_MS (3600 * 1000LL)
#define DAY_MS (24 * HOUR_MS)
#define RETRY_MS 10000
#define SEEN_MAX 1024
#define CALL_TIMEOUT_MS 300000

static const struct {
	const char *name;
	enum stmt stmt;
	int64_t every_ms;
} chores[] = {
	{ "partitions_ensure", STMT_PARTITIONS_ENSURE, DAY_MS },
	{ "seen_sweep", STMT_SEEN_SWEEP, HOUR_MS },
	{ "keys_sweep", STMT_KEYS_SWEEP, HOUR_MS },
	{ "runner_forget", STMT_RUNNER_FORGET, HOUR_MS },
};

struct housekeeping {
	const struct settings *s;
	pthread_t thread;
	int64_t due_ms[COUNT_OF(chores)]; /* the thread's alone */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	struct db *db; /* while there is work; here to be interrupted */
	char seen[SEEN_MAX][129];
	unsigned n_seen;
	bool stopping;
};

static enum err
chore(struct housekeeping *hk, unsigned i)
{
	int64_t began = clock_ms();
	enum err err = db_exec(hk->db, chores[i].stmt, NULL, NULL, 0);

	if (err == ERR_INTERRUPTED)
		return err;
	log_at(err ? LOG_WARN : LOG_DEBUG, "chore",
	    LOG_STR("name", chores[i].name), LOG_INT("ms", clock_ms() - began),
	    LOG_STR("error", err ? err_name(err) : ""),
	    LOG_STR("text", err ? db_error_text(hk->db) : ""));
	hk->due_ms[i] = clock_ms() + (err ? RETRY_MS : chores[i].every_ms);
	return err;
}

/* Takes one noted sync; false: none is left. */
static bool
take_seen(struct housekeeping *hk, char id[129])
{
	bool got;

	pthread_mutex_lock(&hk->lock);
	got = hk->n_seen > 0;
	if (got)
		snprintf(id, 129, "%s", hk->seen[--hk->n_seen]);
	pthread_mutex_unlock(&hk->lock);
	return got;
}

static void
work(struct housekeeping *hk)
{
	char id[129];
	enum err err = ERR_OK;

	for (unsigned i = 0; i < COUNT_OF(chores); i++) {
		if (clock_ms() >= hk->due_ms[i] && err != ERR_INTERRUPTED)
			err = chore(hk, i);
	}
	while (!err && take_seen(hk, id))
		err = db_run(hk->db, STMT_SEEN_CLEAR, NULL, arg_text(id));
}

/* Waits for work; false: stop. */
static bool
wait_for_work(struct housekeeping *hk)
{
	int64_t due = INT64_MAX;
	bool go_on;

	for (unsigned i = 0; i < COUNT_OF(chores); i++) {
		if (hk->due_ms[i] < due)
			due = hk->due_ms[i];
	}
	pthread_mutex_lock(&hk->lock);
	while (!hk->stopping && hk->n_seen == 0 && clock_ms() < due)
		clock_wait(&hk->wake, &hk->lock, due);
	go_on = !hk->stopping;
	pthread_mutex_unlock(&hk->lock);
	return go_on;
}

/* The session is made before work and closed behind it. */
static void
session(struct housekeeping *hk, bool open)
{
	const struct db_options o = {
		.conninfo = hk->s->db,
		.name = "syncline-housekeeping",
		.timeout_ms = CALL_TIMEOUT_MS,
	};
	struct db *db = NULL;

	if (open && db_open(&db, &o))
		return;
	pthread_mutex_lock(&hk->lock);
	if (open) {
		hk->db = db;
		if (hk->stopping)
			db_interrupt(db);
	} else {
		db = hk->db;
		hk->db = NULL;
	}
	pthread_mutex_unlock(&hk->lock);
	if (!open)
		db_close(db);
}

/* Lets more work gather, so that a session serves for many ends. */
static void
gather(struct housekeeping *hk)
{
	int64_t until = clock_ms() + 1000;

	pthread_mutex_lock(&hk->lock);
	while (!hk->stopping && clock_ms() < until)
		clock_wait(&hk->wake, &hk->lock, until);
	pthread_mutex_unlock(&hk->lock);
}

static void *
run(void *arg)
{
	struct housekeeping *hk = arg;

	while (wait_for_work(hk)) {
		session(hk, true);
		if (hk->db)
			work(hk);
		session(hk, false);
		gather(hk);
	}
	return NULL;
}

void
housekeeping_ended(struct housekeeping *hk, const char *sync_id)
{
	pthread_mutex_lock(&hk->lock);
	if (hk->n_seen < SEEN_MAX) {
		snprintf(
		    hk->seen[hk->n_seen++], sizeof hk->seen[0], "%s", sync_id);
		pthread_cond_signal(&hk->wake);
	}
	pthread_mutex_unlock(&hk->lock);
}

enum err
housekeeping_open(struct housekeeping **ret, const struct settings *s)
{
	struct housekeeping *hk = calloc(1, sizeof *hk);

	if (!hk)
		return ERR_NOMEM;
	hk->s = s;
	pthread_mutex_init(&hk->lock, NULL);
	clock_cond_init(&hk->wake);
	if (pthread_create(&hk->thread, NULL, run, hk) != 0) {
		pthread_cond_destroy(&hk->wake);
		pthread_mutex_destroy(&hk->lock);
		free(hk);
		return ERR_NOMEM;
	}
	*ret = hk;
	return ERR_OK;
}

void
housekeeping_close(struct housekeeping *hk)
{
	if (!hk)
		return;
	pthread_mutex_lock(&hk->lock);
	hk->stopping = true;
	if (hk->db)
		db_interrupt(hk->db);
	pthread_cond_signal(&hk->wake);
	pthread_mutex_unlock(&hk->lock);
	pthread_join(hk->thread, NULL);
	db_close(hk->db);
	pthread_cond_destroy(&hk->wake);
	pthread_mutex_destroy(&hk->lock);
	free(hk);
}
