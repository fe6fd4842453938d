/*
 * source.h - what a source of records is to the runner.
 *
 * A source turns one connection's outside system into steps.  It is opened
 * when a sync's first step runs here, used by one worker at a time (not
 * always the same), and closed when the sync leaves this runner.  step()
 * fetches the smallest piece it can resume, gives its rows to the loader and
 * says what comes next; the worker commits rows and checkpoint together.
 * What step() changes in the source's memory must be derivable from the
 * checkpoint it hands out, because a commit can fail.
 */
#ifndef SYNCLINE_SOURCE_H
#define SYNCLINE_SOURCE_H

#include "runner/load/load.h"
#include "shared/db.h"
#include "shared/err.h"
#include "shared/settings.h"
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vault;
struct http;   /* runner/sources/http.h: one worker's client */
struct limits; /* runner/sources/limits.h: call budgets, shared */

/* How a source can fail; the worker turns it into retry, wait or end. */
enum failure_class {
	FAILURE_TRANSIENT,  /* network, 5xx: retried with backoff */
	FAILURE_LIMITED,    /* told to wait: costs no attempt */
	FAILURE_PERMANENT,  /* the same call would fail again */
	FAILURE_RECONNECT,  /* the user has to connect the account again */
	FAILURE_OPERATOR,   /* our own credentials or setup are wrong */
	FAILURE__MAX
};

struct failure {
	enum failure_class class;
	char code[48];     /* stable word, such as source_unavailable */
	char message[256]; /* a sentence for a person; no secret, no path */
	int64_t wait_ms;   /* LIMITED: how long at least */
};

enum step_outcome {
	STEP_MORE, /* commit, then step again */
	STEP_WAIT, /* commit what there is (if any), go on after wait_ms */
	STEP_DONE  /* commit, then the sync is complete */
};

/* The result of a step; json members are the caller's to put. */
struct step {
	enum step_outcome outcome;
	int64_t wait_ms;
	bool limited;         /* WAIT because of a rate limit */
	bool empty;           /* nothing to commit: no rows, same checkpoint */
	struct load_step say; /* rows went to the loader meanwhile */
	char message[160];    /* backs say.message */
};

/* What a source may know of the sync; borrowed for the source's life. */
struct source_spec {
	const char *sync_id;
	const char *user_id;
	const char *connection_id;
	const char *request_id;   /* may be NULL */
	bool full;                /* mode "full": as if for the first time */
	json_object *wanted;      /* array of stream names, or NULL for all */
	json_object *checkpoint;  /* the last committed one, {} at first */
	int64_t started_at_ms;    /* Unix time of the start request */
};

/* What a step may use; belongs to the worker that runs it. */
struct step_env {
	const struct settings *settings;
	struct vault *vault;
	struct db *db;     /* for tokens and cursors, outside the batch */
	struct http *http;
	struct load *load; /* a batch has begun */
	struct limits *limits;
	const char *runner_id;
	/* progress by bytes and calls, for stall detection; may be NULL */
	void (*on_alive)(void *arg);
	void *alive_arg;
};

struct source; /* each source's own */

struct source_ops {
	const char *provider;
	/*
	 * open reads connection and cursors through env->db (env->load is not
	 * used).  On ERR_PEER or ERR_INVAL *why says what is wrong.
	 */
	enum err (*open)(struct source **ret, const struct source_spec *spec,
	    const struct step_env *env, struct failure *why);
	/*
	 * step: ERR_OK and *ret; ERR_PEER with *why; ERR_INTERRUPTED; or an
	 * error of the database, as it came.  After an error the source can
	 * be stepped again: it goes on from the last committed checkpoint.
	 */
	enum err (*step)(struct source *s, const struct step_env *env,
	    struct step *ret, struct failure *why);
	/* committed tells that the last step's checkpoint is durable. */
	void (*committed)(struct source *s);
	/* whether the next step may take minutes (inventory drains) */
	bool (*is_long)(const struct source *s);
	void (*close)(struct source *s); /* NULL is fine */
};

/* source_find gives the source of a provider, NULL when there is none. */
const struct source_ops *source_find(const char *provider);

#endif
