/*
 * spapi_orders.c - the streams orders and order_items: searchOrders, page by
 * page through windows of time.
 *
 * The part of the checkpoint: lo and hi bound the sync, [from, to] is the
 * window under way with every parameter frozen, token and token_at say which
 * page is next, at how far the window's orders have come.  The connection's
 * mark moves only with the last page of a window.
 */
#include "runner/sources/spapi.h"

#include "runner/sources/failure.h"
#include "runner/sources/spapi_rows.h"
#include "runner/sources/url.h"
#include "shared/json.h"
#include "shared/clock.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define TOKEN_LIFE_MS (23 * INT64_C(3600) * 1000) /* of the 24 h */
#define STEP_ROWS 1000 /* a step takes pages up to so many rows */
#define STEP_MS 300    /* or so long */
#define PAGES_MAX 5000 /* of one window: then a smaller one */
#define EMPTY_MAX 50   /* pages without an order in a row */
#define SEEN_MAX 64    /* page tokens remembered */
#define RESTARTS_MAX 2 /* of a window whose pages repeat */

/* --- the part of the checkpoint --------------------------------------------- */

static void
forget_pages(json_object *o)
{
	static const char *const keys[] = { "token", "token_at", "seen", "ends",
		"pages", "empty" };

	for (size_t i = 0; i < COUNT_OF(keys); i++)
		json_object_object_del(o, keys[i]);
}

static void
begin_window(json_object *o, int64_t from, int64_t span)
{
	forget_pages(o);
	json_put_i64(o, "from", from);
	json_put_i64(o, "to", window_end(from, json_i64(o, "hi", 0), span));
	json_put_i64(o, "at", from);
	json_object_object_del(o, "mark");
}

static void
begin(const struct source *s, const struct step_env *env, struct turn *t)
{
	int64_t hi = json_i64(t->all, "hi", 0);
	int64_t lo = window_lower(source_mark(s, "orders"),
	    env->settings->overlap_s * 1000, source_first(s, env, hi));

	if (lo > hi)
		lo = hi; /* Amazon's clock was set back */
	json_put_i64(t->mine, "lo", lo);
	json_put_i64(t->mine, "hi", hi);
	json_put_i64(t->mine, "span", WINDOW_MOST_MS);
	begin_window(t->mine, lo, WINDOW_MOST_MS);
}

double
orders_share(json_object *mine)
{
	int64_t lo = json_i64(mine, "lo", 0);

	if (json_flag(mine, "done", false) || json_member(mine, "failed"))
		return 1;
	return json_member(mine, "lo")
	    ? window_share(lo, json_i64(mine, "hi", lo),
	          json_i64(mine, "at", lo)) : 0;
}

/* --- paging ------------------------------------------------------------------ */

static uint64_t
hash_of(const char *text)
{
	uint64_t h;

	crypto_generichash((unsigned char *)&h, sizeof h,
	    (const unsigned char *)text, strlen(text), NULL, 0);
	return h;
}

/* Whether this token was met before in this window; notes it if not. */
static bool
met_token(json_object *o, const char *token)
{
	json_object *seen = json_member(o, "seen");
	int64_t hash = (int64_t)(hash_of(token) >> 1);

	if (!seen) {
		seen = json_object_new_array();
		json_put_object(o, "seen", seen);
	}
	for (size_t i = 0; i < json_object_array_length(seen); i++) {
		if (json_object_get_int64(
			json_object_array_get_idx(seen, i)) == hash)
			return true;
	}
	if (json_object_array_length(seen) >= SEEN_MAX)
		json_object_array_del_idx(seen, 0, 1);
	json_object_array_add(seen, json_object_new_int64(hash));
	return false;
}

/* Whether this page has the ends of the one before it; notes them. */
static bool
same_ends(json_object *o, const struct page_info *info)
{
	char ends[160];
	const char *before = json_text(o, "ends");
	bool same;

	if (!info->first || !info->last)
		return false;
	snprintf(ends, sizeof ends, "%zu %.64s %.64s", info->records,
	    info->first, info->last);
	same = before && strcmp(before, ends) == 0;
	json_put_text(o, "ends", ends);
	return same;
}

/*
 * Whether paging goes round in circles: a token again, a page again, or one
 * more page with nothing on it than anybody would send.
 */
static bool
repeats(json_object *o, const struct page_info *info)
{
	int64_t empty =
	    info->records == 0 ? json_i64(o, "empty", 0) + 1 : 0;
	bool same = same_ends(o, info);

	json_put_i64(o, "empty", empty);
	return same || empty > EMPTY_MAX || met_token(o, info->token);
}

/* The window once more from its first page. */
static void
restart_window(struct turn *t, int64_t span, const char *kind,
    const char *message)
{
	json_put_i64(t->mine, "span", span);
	begin_window(t->mine, json_i64(t->mine, "from", 0), span);
	turn_event(t, "warning", kind, "orders", message);
	t->outcome = TURN_MORE;
}

static void
rewind_window(struct turn *t, const struct failure *why)
{
	int64_t from = json_i64(t->mine, "from", 0);
	int64_t half = window_half(json_i64(t->mine, "to", from) - from);

	if (half == 0) {
		turn_fail(t, FAILURE_PERMANENT, why->code, why->message);
		return;
	}
	restart_window(t, half, "window_restarted",
	    "Orders: asking again for a shorter range of time");
}

static void
stop_circle(struct turn *t)
{
	int64_t from = json_i64(t->mine, "from", 0);
	int64_t restarts = json_i64(t->mine, "restarts", 0);

	if (restarts >= RESTARTS_MAX) {
		turn_fail(t, FAILURE_TRANSIENT, "paging_repeats",
		    "Amazon keeps sending the same page of orders.");
		return;
	}
	json_put_i64(t->mine, "restarts", restarts + 1);
	restart_window(t, json_i64(t->mine, "to", from) - from,
	    "paging_repeats", "Orders: Amazon sent a page twice, starting "
			      "this range again");
}

/* --- one page ----------------------------------------------------------------- */

static enum err
build_url(const struct source *s, const struct turn *t, struct text *u)
{
	CLEANUP(text_fini) struct text ids = { .p = NULL };
	json_object *markets = json_member(t->all, "marketplaces");
	char after[WINDOW_TEXT_MAX], before[WINDOW_TEXT_MAX];
	size_t n = json_object_is_type(markets, json_type_array)
	    ? json_object_array_length(markets) : 0;

	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			text_ch(&ids, ',');
		text_str(&ids, json_object_get_string(
				   json_object_array_get_idx(markets, i)));
	}
	url_start(u, s->base, spapi_path(OP_SEARCH_ORDERS));
	url_param(u, "lastUpdatedAfter",
	    window_text(json_i64(t->mine, "from", 0), after));
	url_param(u, "lastUpdatedBefore",
	    window_text(json_i64(t->mine, "to", 0), before));
	if (n > 0 && n <= 50)
		url_param(u, "marketplaceIds", ids.p);
	url_param(u, "maxResultsPerPage", "100");
	url_param(u, "includedData", "PROCEEDS,FULFILLMENT");
	url_param(u, "paginationToken", json_text(t->mine, "token"));
	return u->failed || ids.failed ? ERR_NOMEM : ERR_OK;
}

/* The window's last page is here: the mark moves, the next window begins. */
static void
end_window(struct turn *t)
{
	int64_t to = json_i64(t->mine, "to", 0);
	int64_t hi = json_i64(t->mine, "hi", 0);
	int64_t mark = json_i64(t->mine, "mark", to);
	int64_t span = json_i64(t->mine, "span", WINDOW_MOST_MS);

	turn_mark(t, STREAM_ORDERS, mark < to ? mark : to);
	json_object_object_del(t->mine, "restarts");
	if (to >= hi) {
		forget_pages(t->mine);
		json_put_i64(t->mine, "at", hi);
		turn_done(t, STREAM_ORDERS);
		return;
	}
	/* a shortened span recovers with every window that worked */
	span = span < WINDOW_MOST_MS / 2 ? span * 2 : WINDOW_MOST_MS;
	json_put_i64(t->mine, "span", span);
	begin_window(t->mine, to, span);
}

static void
note_page(struct turn *t, const struct page_info *info)
{
	int64_t at = json_i64(t->mine, "at", 0);
	int64_t to = json_i64(t->mine, "to", 0);
	int64_t mark = json_i64(t->mine, "mark", to), ms;

	if (info->newest && window_parse(info->newest, &ms) && ms > at)
		json_put_i64(t->mine, "at", ms < to ? ms : to);
	/* what Amazon did not look at yet is not done */
	if (info->before && window_parse(info->before, &ms) && ms < mark)
		json_put_i64(t->mine, "mark", ms);
	json_put_i64(t->mine, "pages", json_i64(t->mine, "pages", 0) + 1);
}

/* *ret_more: the window has another page. */
static enum err
take_page(const struct source *s, const struct step_env *env, struct turn *t,
    const struct call *c, bool *ret_more)
{
	struct row_sink sink = row_sink_of(env->load);
	struct page_info info;
	const char *why;
	enum err err = spapi_orders_page(c->body, &sink, &info, &why);

	*ret_more = false;
	if (err == ERR_PEER) {
		turn_fail(t, FAILURE_TRANSIENT, "answer_invalid", why);
		return ERR_OK;
	}
	if (err)
		return err;
	t->outcome = TURN_MORE;
	note_page(t, &info);
	if (!info.token) {
		end_window(t);
	} else if (repeats(t->mine, &info)) {
		stop_circle(t);
	} else if (json_i64(t->mine, "pages", 0) >= PAGES_MAX ||
	    strlen(info.token) > SPAPI_TOKEN_MAX) {
		struct failure big;

		failure_say(&big, FAILURE_PERMANENT, "window_too_large",
		    "A minute of orders has more pages than can be read.");
		rewind_window(t, &big);
	} else {
		json_put_text(t->mine, "token", info.token);
		json_put_i64(t->mine, "token_at", clock_now(&s->clock));
		*ret_more = true;
	}
	return ERR_OK;
}

static enum err
one_page(struct source *s, const struct step_env *env, struct turn *t,
    bool *ret_more)
{
	CLEANUP(text_fini) struct text url = { .p = NULL };
	struct call c = { .op = OP_SEARCH_ORDERS };
	enum err err = build_url(s, t, &url);

	*ret_more = false;
	if (err)
		return err;
	c.url = url.p;
	c.paged = json_text(t->mine, "token") != NULL;
	err = spapi_call(s, env, &c);
	if (err)
		return err;
	if (c.outcome == CALL_OK)
		err = take_page(s, env, t, &c, ret_more);
	else if (c.outcome == CALL_REWIND)
		rewind_window(t, &c.why);
	else
		turn_of_call(t, &c);
	json_object_put(c.body);
	return err;
}

/* A token of another day is not tried: the window begins again. */
static bool
token_too_old(const struct source *s, const struct turn *t)
{
	return json_text(t->mine, "token") &&
	    clock_now(&s->clock) - json_i64(t->mine, "token_at", 0) >
	    TOKEN_LIFE_MS;
}

enum err
orders_turn(struct source *s, const struct step_env *env, struct turn *t)
{
	int64_t until = clock_ms() + STEP_MS;
	bool more = true;
	enum err err = ERR_OK;
	int pages = 0;

	if (!json_member(t->mine, "lo"))
		begin(s, env, t);
	if (token_too_old(s, t))
		restart_window(t, json_i64(t->mine, "span", WINDOW_MOST_MS),
		    "window_restarted",
		    "Orders: the place in this range was too old");
	/*
	 * Several pages share the cost of a commit while calls are free.  A
	 * page that cannot be had now leaves the ones before it to commit;
	 * the next turn meets the reason again.
	 */
	while (more && !err) {
		err = one_page(s, env, t, &more);
		if (!err && pages > 0 && t->outcome != TURN_MORE) {
			t->outcome = TURN_MORE;
			break;
		}
		pages++;
		if (load_rows(env->load) >= STEP_ROWS || clock_ms() >= until)
			break;
	}
	return err;
}
