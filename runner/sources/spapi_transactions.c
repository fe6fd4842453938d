/*
 * spapi_transactions.c - the stream transactions: listTransactions, a window
 * a step.
 *
 * Page tokens live minutes, so a step drains its window back to back and
 * the window's length follows how many pages it took.  A transaction's
 * status changes in place for weeks, and some show late: each sync goes back
 * over the last 30 days.  No marketplace is asked for, since that hides some.
 */
#include "runner/sources/spapi.h"

#include "runner/sources/failure.h"
#include "runner/sources/url.h"
#include "shared/json.h"

#define RESCAN_MS (30 * DAY_MS)
#define FIRST_SPAN_MS (7 * DAY_MS)
#define PAGES_GOOD 20 /* more than so many: shorter windows */
#define PAGES_MAX 100 /* more than so many: this one begins again, shorter */

struct range {
	const struct source *source;
	int64_t from, to;
	struct row_sink sink;
};

double
transactions_share(json_object *mine)
{
	int64_t lo = json_i64(mine, "lo", 0);

	if (json_flag(mine, "done", false) || json_member(mine, "failed"))
		return 1;
	return json_member(mine, "lo")
	    ? window_share(lo, json_i64(mine, "hi", lo),
	          json_i64(mine, "at", lo)) : 0;
}

static void
begin(const struct source *s, const struct step_env *env, struct turn *t)
{
	int64_t hi = json_i64(t->all, "hi", 0);
	int64_t lo = window_lower(source_mark(s, "transactions"), RESCAN_MS,
	    source_first(s, env, hi));

	if (lo > hi)
		lo = hi;
	json_put_i64(t->mine, "lo", lo);
	json_put_i64(t->mine, "hi", hi);
	json_put_i64(t->mine, "at", lo);
	json_put_i64(t->mine, "span", FIRST_SPAN_MS);
}

static enum err
range_url(void *arg, const char *token, struct text *u)
{
	const struct range *r = arg;
	char after[WINDOW_TEXT_MAX], before[WINDOW_TEXT_MAX];

	url_start(u, r->source->base, spapi_path(OP_TRANSACTIONS));
	url_param(u, "postedAfter", window_text(r->from, after));
	url_param(u, "postedBefore", window_text(r->to, before));
	url_param(u, "nextToken", token);
	return ERR_OK;
}

static enum err
range_page(void *arg, json_object *body, struct page_info *ret,
    const char **why)
{
	struct range *r = arg;

	return spapi_transactions_page(body, &r->sink, ret, why);
}

static void
keep_range(struct turn *t, const struct range *r, int64_t pages)
{
	int64_t span = json_i64(t->mine, "span", FIRST_SPAN_MS);

	if (pages > PAGES_GOOD && window_half(span) > 0)
		span = window_half(span);
	else if (pages <= 1 && span * 2 <= WINDOW_MOST_MS)
		span *= 2;
	json_put_i64(t->mine, "span", span);
	json_put_i64(t->mine, "at", r->to);
	turn_mark(t, STREAM_TRANSACTIONS, r->to);
	t->outcome = TURN_MORE;
	if (r->to >= json_i64(t->mine, "hi", 0))
		turn_done(t, STREAM_TRANSACTIONS);
}

/* Half the range next time; nothing of this one is kept. */
static enum err
shorten(const struct step_env *env, struct turn *t, const struct range *r,
    const struct failure *why)
{
	int64_t half = window_half(r->to - r->from);

	if (half == 0) {
		turn_fail(t, FAILURE_PERMANENT, why->code, why->message);
		return ERR_OK;
	}
	json_put_i64(t->mine, "span", half);
	turn_event(t, "warning", "window_restarted", "transactions",
	    "Transactions: asking again for a shorter range of time");
	t->outcome = TURN_MORE;
	return load_restart(env->load);
}

enum err
transactions_turn(
    struct source *s, const struct step_env *env, struct turn *t)
{
	struct range r = { .source = s, .sink = row_sink_of(env->load) };
	struct drain d = { .op = OP_TRANSACTIONS, .arg = &r,
		.url = range_url, .page = range_page,
		.most_pages = PAGES_MAX };
	enum err err = ERR_OK;

	if (!json_member(t->mine, "lo"))
		begin(s, env, t);
	r.from = json_i64(t->mine, "at", 0);
	r.to = window_end(r.from, json_i64(t->mine, "hi", 0),
	    json_i64(t->mine, "span", FIRST_SPAN_MS));
	if (r.to <= r.from) { /* postedBefore is exclusive: nothing to ask */
		keep_range(t, &r, 1);
		return ERR_OK;
	}
	for (int i = 0; i < 2 && !err; i++) {
		err = drain_pages(s, env, &d);
		if (err || d.last.outcome != CALL_STALE)
			break;
		err = load_restart(env->load);
	}
	if (err)
		return err;
	if (d.last.outcome == CALL_OK)
		keep_range(t, &r, d.pages);
	else if (d.last.outcome == CALL_REWIND)
		return shorten(env, t, &r, &d.last.why);
	else if (d.last.outcome == CALL_STALE)
		turn_fail(t, FAILURE_TRANSIENT, "token_unavailable",
		    "The access token ended while pages were read.");
	else
		turn_of_call(t, &d.last);
	return ERR_OK;
}
