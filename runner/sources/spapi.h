/*
 * spapi.h - what the files of the source "spapi" share; nobody else's.
 *
 * A sync asks for three streams, each a row of the table in spapi.c.  A step
 * gives one of them a turn.  Streams do not stop each other: one that has to
 * wait or fails for now is passed over, one that fails for good is noted in
 * the checkpoint and told at the end.
 *
 * The checkpoint: {"hi": ms, "marketplaces": [...], "orders": {...},
 * "inventory": {...}, "transactions": {...}}; each stream's part is its own,
 * but for "done": true and "failed": {class, code, message}.
 */
#ifndef SYNCLINE_SPAPI_H
#define SYNCLINE_SPAPI_H

#include "runner/source.h"
#include "runner/sources/limits.h"
#include "runner/sources/lwa.h"
#include "runner/sources/spapi_rows.h"
#include "runner/sources/window.h"
#include "runner/load/text.h"

#define SPAPI_TOKEN_MAX 8192 /* of a page token */

enum spapi_op {
	OP_SEARCH_ORDERS,
	OP_INVENTORY,
	OP_TRANSACTIONS,
	OP_PARTICIPATIONS,
	OP__MAX
};

enum spapi_stream {
	STREAM_ORDERS,
	STREAM_INVENTORY,
	STREAM_TRANSACTIONS,
	STREAM__MAX
};

/* What streams are called, by enum spapi_stream. */
extern const struct spapi_names {
	const char *name;
	const char *child; /* whose records come with it, or NULL */
} spapi_names[STREAM__MAX];

/* A stream as this process sees it; the checkpoint knows the rest. */
struct stream_run {
	bool wanted;
	bool postponed;      /* failed for now: others first */
	struct failure why;  /* postponed */
	int64_t ready_ms;    /* monotonic; waits until then */
	bool limited;        /* waits for a rate limit */
};

struct source {
	char *sync_id, *user_id, *connection_id, *request_id;
	bool full;
	int64_t started_at_ms;
	char *account;   /* whose call budgets: the seller's */
	const char *base; /* the endpoint; borrowed */
	json_object *marketplaces; /* the connection's; empty: not known */
	json_object *cursors;      /* stream -> cursor of earlier syncs */
	json_object *checkpoint;   /* the last committed one */
	json_object *pending;      /* the one handed out, until committed */
	struct stream_run runs[STREAM__MAX];
	struct lwa lwa;
	struct clock clock;
	unsigned denials; /* refusals in a row that look like a lost consent */
};

/* source.h's open and close (spapi_open.c) */
enum err spapi_open(struct source **ret, const struct source_spec *spec,
    const struct step_env *env, struct failure *why) MUST_CHECK;
void spapi_close(struct source *s);

/* --- one call (spapi_call.c) ---------------------------------------------- */

enum call_outcome {
	CALL_OK,      /* body */
	CALL_WAIT,    /* wait_ms, limited: come again, no attempt is used */
	CALL_STALE,   /* a new access token is needed, but rows are open: begin
		       * the batch again */
	CALL_REWIND,  /* the page token is refused, or the page too large:
		       * begin the window again, smaller; why says which */
	CALL_FAILED   /* why */
};

struct call {
	enum spapi_op op;
	const char *url;
	bool paged;   /* the URL carries a page token */
	bool patient; /* page tokens are short-lived: wait here, not outside */
	/* out */
	enum call_outcome outcome;
	json_object *body; /* the caller's to put */
	uint64_t hash;     /* of the body's text */
	int64_t wait_ms;
	bool limited;
	struct failure why;
};

/* spapi_call: errors other than ERR_OK are the database's, memory's or
 * ERR_INTERRUPTED; everything of Amazon's is an outcome. */
enum err spapi_call(struct source *s, const struct step_env *env,
    struct call *c) MUST_CHECK;

/* spapi_refusal: what an error answer means; for tests too. */
enum call_outcome spapi_refusal(int status, const char *body, size_t len,
    bool paged, struct failure *why);

/* spapi_clock makes sure that Amazon's time is known. */
enum err spapi_clock(struct source *s, const struct step_env *env,
    struct call *c) MUST_CHECK;

const char *spapi_path(enum spapi_op op);

/* --- one turn of a stream --------------------------------------------------- */

enum turn_outcome {
	TURN_MORE,  /* rows and `mine` are to be committed */
	TURN_WAIT,  /* nothing to commit; wait_ms, limited */
	TURN_FAILED /* nothing to commit; why */
};

struct turn {
	json_object *all;     /* the whole next checkpoint */
	json_object *mine;    /* this stream's part of it */
	json_object *events;  /* array to add to */
	json_object *cursors; /* object to add to */
	enum turn_outcome outcome;
	int64_t wait_ms;
	bool limited;
	struct failure why;
};

typedef enum err turn_fn(
    struct source *s, const struct step_env *env, struct turn *t);
turn_fn orders_turn;
turn_fn inventory_turn;
turn_fn transactions_turn;

/* How much of a stream's part is done, 0..1. */
double orders_share(json_object *mine);
double inventory_share(json_object *all, json_object *mine);
double transactions_share(json_object *mine);

/*
 * drain_pages fetches page after page without a pause, because page tokens
 * live only seconds or minutes.  url makes the call's URL (NULL token: the
 * first page), page takes the rows.  *ret_pages counts them.  Outcomes are
 * those of the last call, CALL_OK when the last page is loaded; CALL_REWIND
 * also past most_pages, and CALL_FAILED with paging_repeats in a circle.
 */
struct drain {
	enum spapi_op op;
	void *arg;
	enum err (*url)(void *arg, const char *token, struct text *u);
	enum err (*page)(void *arg, json_object *body,
	    struct page_info *ret, const char **why);
	int64_t most_pages;
	/* out */
	int64_t pages;
	struct call last; /* its body is put */
};
enum err drain_pages(struct source *s, const struct step_env *env,
    struct drain *d) MUST_CHECK;

/* turn_of_call makes a turn of a call that brought no page. */
void turn_of_call(struct turn *t, const struct call *c);
void turn_fail(struct turn *t, enum failure_class class, const char *code,
    const char *message);
/* turn_event adds a line to the activity feed. */
void turn_event(struct turn *t, const char *type, const char *kind,
    const char *stream, const char *message);
/* turn_mark: earlier moments than this need not be asked for again. */
void turn_mark(struct turn *t, enum spapi_stream stream, int64_t ms);
/* turn_done marks the stream as done and says so. */
void turn_done(struct turn *t, enum spapi_stream stream);

/* The mark that earlier syncs reached, -1 when there is none (or mode
 * full). */
int64_t source_mark(const struct source *s, const char *stream);
/* The earliest moment a sync asks for. */
int64_t source_first(
    const struct source *s, const struct step_env *env, int64_t hi);

#endif
