/*
 * spapi_inventory.c - the stream inventory: a full snapshot per marketplace.
 *
 * What changed since a moment cannot be asked for reliably, and a page token
 * lives 30 seconds; so a step fetches all pages of one marketplace back to
 * back, and its commit also removes what the snapshot no longer has.
 */
#include "runner/sources/spapi.h"

#include "runner/sources/failure.h"
#include "runner/sources/url.h"
#include "shared/json.h"
#include "shared/log.h"

#define TRIES 4        /* of one snapshot, within a step */
#define PAGES_MAX 20000

struct snapshot {
	const struct source *source;
	const char *marketplace;
	struct row_sink sink;
};

static size_t
length_of(json_object *array)
{
	return json_object_is_type(array, json_type_array)
	    ? json_object_array_length(array) : 0;
}

double
inventory_share(json_object *all, json_object *mine)
{
	size_t n = length_of(json_member(all, "marketplaces"));

	if (json_flag(mine, "done", false) || json_member(mine, "failed"))
		return 1;
	return n == 0 ? 0 : (double)json_i64(mine, "next", 0) / (double)n;
}

static enum err
snapshot_url(void *arg, const char *token, struct text *u)
{
	const struct snapshot *p = arg;

	url_start(u, p->source->base, spapi_path(OP_INVENTORY));
	url_param(u, "details", "true");
	url_param(u, "granularityType", "Marketplace");
	url_param(u, "granularityId", p->marketplace);
	url_param(u, "marketplaceIds", p->marketplace);
	url_param(u, "nextToken", token);
	return ERR_OK;
}

static enum err
snapshot_page(void *arg, json_object *body, struct page_info *ret,
    const char **why)
{
	struct snapshot *p = arg;

	return spapi_inventory_page(body, p->marketplace, &p->sink, ret, why);
}

/* All pages of one marketplace; a token that died means all over again. */
static enum err
take_snapshot(struct source *s, const struct step_env *env,
    const char *marketplace, struct drain *d)
{
	struct snapshot p = { .source = s, .marketplace = marketplace,
		.sink = row_sink_of(env->load) };
	enum err err = ERR_OK;

	*d = (struct drain){ .op = OP_INVENTORY, .arg = &p,
		.url = snapshot_url, .page = snapshot_page,
		.most_pages = PAGES_MAX };
	for (int i = 0; i < TRIES && !err; i++) {
		err = drain_pages(s, env, d);
		if (err || (d->last.outcome != CALL_REWIND &&
			d->last.outcome != CALL_STALE))
			break;
		log_at(LOG_WARN, "snapshot_restarted",
		    LOG_STR("sync_id", s->sync_id),
		    LOG_STR("marketplace", marketplace),
		    LOG_INT("pages", d->pages));
		err = load_restart(env->load);
	}
	d->arg = NULL;
	return err;
}

static enum err
keep_snapshot(const struct step_env *env, struct turn *t,
    const char *marketplace, size_t n)
{
	int64_t next = json_i64(t->mine, "next", 0) + 1;

	json_put_i64(t->mine, "next", next);
	if ((size_t)next >= n)
		turn_done(t, STREAM_INVENTORY);
	t->outcome = TURN_MORE;
	return load_snapshot(env->load, &spapi_inventory_rows,
	    "marketplace_id", marketplace);
}

enum err
inventory_turn(struct source *s, const struct step_env *env, struct turn *t)
{
	json_object *markets = json_member(t->all, "marketplaces");
	size_t n = length_of(markets);
	int64_t i = json_i64(t->mine, "next", 0);
	const char *marketplace;
	struct drain d;
	enum err err;

	if (i < 0 || (size_t)i >= n) {
		turn_done(t, STREAM_INVENTORY); /* sells nowhere */
		t->outcome = TURN_MORE;
		return ERR_OK;
	}
	marketplace = json_object_get_string(
	    json_object_array_get_idx(markets, (size_t)i));
	err = take_snapshot(s, env, marketplace, &d);
	if (err)
		return err;
	if (d.last.outcome == CALL_OK)
		return keep_snapshot(env, t, marketplace, n);
	if (d.last.outcome == CALL_REWIND || d.last.outcome == CALL_STALE)
		turn_fail(t, FAILURE_TRANSIENT, "snapshot_expired",
		    "Amazon's pages of the inventory expired before the last "
		    "one was read.");
	else
		turn_of_call(t, &d.last);
	return ERR_OK;
}
