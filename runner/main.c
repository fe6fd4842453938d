/*
 * main.c - the runner: opens the rooms, waits for a signal, closes them.
 *
 * SIGTERM and SIGINT drain: nothing more is claimed, running steps get
 * SYNCLINE_DRAIN_MS to end, everything held is handed back, the lease is
 * returned, and the next runner goes on at once.
 */
#include "shared/clock.h"
#include "runner/hold.h"
#include "runner/housekeeping.h"
#include "runner/inbox.h"
#include "runner/scan.h"
#include "runner/sources/limits.h"
#include "runner/worker.h"
#include "shared/log.h"
#include "shared/settings.h"
#include "shared/vault.h"
#include "shared/version.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INTERRUPT_MS 3000 /* how long interrupted steps may take to end */
#define HAND_BACK_MS 5000 /* how long the last commits may take */

struct runner {
	struct settings settings;
	struct hold hold;
	struct scan *scan;
	struct housekeeping *housekeeping;
	struct inbox *inbox;
	struct workers *workers;
	struct vault *vault;
	struct limits *limits;
	bool stuck; /* a step did not end when it was interrupted */
};

/* --- what the rooms tell each other ------------------------------------ */

static void
on_gained(void *arg, const struct term *t)
{
	struct runner *r = arg;

	(void)t;
	scan_rescue_now(r->scan);
}

static void
on_lost(void *arg, const struct term *t)
{
	struct runner *r = arg;

	hold_lose(&r->hold, t);
	journal_kick(r->hold.journal);
}

static void
on_room(void *arg)
{
	struct runner *r = arg;

	scan_room(r->scan);
}

static void
on_ended(void *arg, const char *sync_id)
{
	struct runner *r = arg;

	housekeeping_ended(r->housekeeping, sync_id);
}

static void
on_released(void *arg, int64_t due_ms)
{
	struct runner *r = arg;

	scan_expect(r->scan, due_ms);
}

/* --- opening ----------------------------------------------------------- */

static enum err
open_tools(struct runner *r, char *why, size_t why_size)
{
	const struct settings *s = &r->settings;
	double scale = strtod(s->spapi_rate_scale, NULL);

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return ERR_NOMEM;
	if (!(scale > 0 && scale <= 1e9)) {
		snprintf(why, why_size,
		    "SYNCLINE_SPAPI_RATE_SCALE must be a number above 0");
		return ERR_INVAL;
	}
	if (*s->vault_key_file) {
		enum err err =
		    vault_open(s->vault_key_file, &r->vault, why, why_size);

		if (err)
			return err;
	}
	return limits_open(&r->limits, scale);
}

static enum err
open_hold(struct runner *r, char *why, size_t why_size)
{
	const struct lease_events ev = {
		.on_gained = on_gained,
		.on_lost = on_lost,
		.arg = r,
	};
	struct hold *h = &r->hold;
	enum err err;

	h->settings = &r->settings;
	h->on_room = on_room;
	h->on_ended = on_ended;
	h->on_released = on_released;
	h->arg = r;
	err = lease_open(&h->lease, &r->settings, &ev, why, why_size);
	if (!err)
		err = registry_open(&h->registry);
	if (!err)
		err = dispatcher_open(&h->dispatcher, (int)r->settings.workers);
	if (!err)
		err = journal_open(&h->journal, &r->settings, h->lease);
	if (!err)
		err = scan_open(&r->scan, h);
	return err;
}

static enum err
start(struct runner *r, char *why, size_t why_size)
{
	const struct worker_tools tools = {
		.hold = &r->hold,
		.vault = r->vault,
		.limits = r->limits,
	};
	enum err err = journal_start(r->hold.journal);

	if (!err)
		err = housekeeping_open(&r->housekeeping, &r->settings);
	if (!err)
		err = workers_open(&r->workers, &tools);
	if (!err)
		err = inbox_open(&r->inbox, &r->hold, why, why_size);
	if (!err)
		err = lease_start(r->hold.lease);
	if (!err)
		err = scan_start(r->scan);
	return err;
}

/* --- closing ----------------------------------------------------------- */

/* Lets running steps end, and ends those that take too long. */
static void
drain(struct runner *r)
{
	struct hold *h = &r->hold;

	atomic_store(&h->draining, true);
	scan_stop(r->scan);
	dispatcher_stop(h->dispatcher);
	if (!dispatcher_idle(
		h->dispatcher, clock_ms() + r->settings.drain_ms)) {
		hold_interrupt(h);
		r->stuck =
		    !dispatcher_idle(h->dispatcher, clock_ms() + INTERRUPT_MS);
	}
	if (r->stuck)
		log_at(LOG_WARN, "steps_stuck");
	else
		workers_close(r->workers);
	hold_hand_back(h);
}

/* In the order of the floors, from the top; what is NULL never opened. */
static void
finish(struct runner *r)
{
	struct hold *h = &r->hold;

	inbox_stop(r->inbox);
	journal_stop(h->journal, clock_ms() + HAND_BACK_MS);
	lease_stop(h->lease);
	if (r->stuck)
		return; /* a thread still uses what would be closed */
	inbox_close(r->inbox);
	housekeeping_close(r->housekeeping);
	scan_close(r->scan);
	registry_close(h->registry);
	journal_close(h->journal);
	dispatcher_close(h->dispatcher);
	lease_close(h->lease);
	limits_close(r->limits);
	vault_close(r->vault);
	curl_global_cleanup();
}

static int
run(struct runner *r, const sigset_t *signals)
{
	char why[256] = "out of memory";
	enum err err = open_tools(r, why, sizeof why);
	int signo = 0;

	if (!err)
		err = open_hold(r, why, sizeof why);
	if (!err)
		err = start(r, why, sizeof why);
	if (err) {
		log_at(LOG_ERROR, "runner_not_started", LOG_STR("why", why),
		    LOG_STR("error", err_name(err)));
	} else {
		while (sigwait(signals, &signo) != 0)
			continue;
		log_at(LOG_INFO, "runner_drains", LOG_INT("signal", signo));
	}
	if (r->scan)
		drain(r);
	finish(r);
	if (!err)
		log_at(LOG_INFO, "runner_down");
	return err ? 1 : 0;
}

/* --- the command line -------------------------------------------------- */

static void
print_settings(const struct settings *s)
{
	size_t n;
	const struct setting_def *d = settings_table(&n);

	for (size_t i = 0; i < n; i++) {
		const void *field = (const char *)s + d[i].offset;

		printf("# %s\n%s=", d[i].help, d[i].name);
		if (d[i].secret)
			printf("(hidden)\n");
		else if (d[i].kind == SETTING_INT)
			printf("%lld\n", (long long)*(const int64_t *)field);
		else if (d[i].kind == SETTING_BOOL)
			printf("%s\n", *(const bool *)field ? "on" : "off");
		else
			printf("%s\n", *(const char *const *)field);
	}
}

static int
usage(void)
{
	fputs("usage: syncline-runner [--settings | --version]\n", stderr);
	return 2;
}

int
main(int argc, char **argv)
{
	struct runner r = { .scan = NULL };
	enum log_level level;
	sigset_t signals;
	char why[256];
	int status;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("syncline-runner " SYNCLINE_VERSION);
		return 0;
	}
	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--settings") != 0))
		return usage();
	if (settings_load(&r.settings, why, sizeof why)) {
		fprintf(stderr, "syncline-runner: %s\n", why);
		return 2;
	}
	if (argc == 2) {
		print_settings(&r.settings);
		return 0;
	}
	if (log_level_parse(r.settings.log_level, &level)) {
		fputs("syncline-runner: SYNCLINE_LOG_LEVEL must be error, "
		      "warn, info or debug\n",
		    stderr);
		return 2;
	}
	log_setup("runner", level, strcmp(r.settings.log_form, "text") != 0);

	/* before the first thread: all of them leave signals to main */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	status = run(&r, &signals);
	if (r.stuck)
		_exit(status);
	return status;
}
