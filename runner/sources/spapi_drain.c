/* spapi_drain.c - a whole paged answer in one go, for short-lived tokens. */
#include "runner/sources/spapi.h"

#include "runner/sources/failure.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define EMPTY_MAX 50 /* pages without a record in a row */

/* The tokens met so far, as hashes: a circle may be of any length. */
struct seen {
	uint64_t *hashes;
	size_t n, cap;
};

/* ERR_CONFLICT: met before. */
static enum err
note_token(struct seen *seen, const char *token)
{
	uint64_t h;

	crypto_generichash((unsigned char *)&h, sizeof h,
	    (const unsigned char *)token, strlen(token), NULL, 0);
	for (size_t i = 0; i < seen->n; i++) {
		if (seen->hashes[i] == h)
			return ERR_CONFLICT;
	}
	if (seen->n == seen->cap) {
		size_t cap = seen->cap ? seen->cap * 2 : 64;
		uint64_t *p = realloc(seen->hashes, cap * sizeof *p);

		if (!p)
			return ERR_NOMEM;
		seen->hashes = p;
		seen->cap = cap;
	}
	seen->hashes[seen->n++] = h;
	return ERR_OK;
}

/* A circle, or a range too large; *ret_token is the next page's, NULL at
 * the end or when the drain ends here. */
static enum err
next_page(struct drain *d, struct seen *seen, const struct page_info *info,
    int64_t *empty, char **ret_token)
{
	enum err err;

	*ret_token = NULL;
	*empty = info->records == 0 ? *empty + 1 : 0;
	if (!info->token)
		return ERR_OK;
	err = *empty > EMPTY_MAX ? ERR_CONFLICT
				 : note_token(seen, info->token);
	if (err == ERR_CONFLICT) {
		d->last.outcome = CALL_FAILED;
		failure_say(&d->last.why, FAILURE_TRANSIENT, "paging_repeats",
		    "Amazon keeps sending the same page.");
		return ERR_OK;
	}
	if (err)
		return err;
	if (d->pages >= d->most_pages ||
	    strlen(info->token) > SPAPI_TOKEN_MAX) {
		d->last.outcome = CALL_REWIND;
		failure_say(&d->last.why, FAILURE_PERMANENT,
		    "window_too_large",
		    "There are more pages than can be read at once.");
		return ERR_OK;
	}
	*ret_token = strdup(info->token);
	return *ret_token ? ERR_OK : ERR_NOMEM;
}

/* One page; *token is taken and becomes the next one's. */
static enum err
one_page(struct source *s, const struct step_env *env, struct drain *d,
    struct seen *seen, int64_t *empty, char **token)
{
	CLEANUP(text_fini) struct text url = { .p = NULL };
	struct call *c = &d->last;
	struct page_info info;
	const char *why = "";
	enum err err = d->url(d->arg, *token, &url);

	*c = (struct call){ .op = d->op, .url = url.p, .patient = true,
		.paged = *token != NULL };
	free(*token);
	*token = NULL;
	if (!err && url.failed)
		err = ERR_NOMEM;
	if (!err)
		err = spapi_call(s, env, c);
	if (err || c->outcome != CALL_OK)
		return err;
	err = d->page(d->arg, c->body, &info, &why);
	if (err == ERR_PEER) {
		c->outcome = CALL_FAILED;
		failure_say(&c->why, FAILURE_TRANSIENT, "answer_invalid",
		    "Amazon's answer cannot be read: %s.", why);
		err = ERR_OK;
	} else if (!err) {
		d->pages++;
		err = next_page(d, seen, &info, empty, token);
	}
	json_object_put(c->body);
	c->body = NULL;
	return err;
}

enum err
drain_pages(struct source *s, const struct step_env *env, struct drain *d)
{
	struct seen seen = { .hashes = NULL };
	int64_t empty = 0;
	char *token = NULL;
	enum err err;

	d->pages = 0;
	do {
		err = one_page(s, env, d, &seen, &empty, &token);
	} while (!err && d->last.outcome == CALL_OK && token);
	d->last.url = NULL;
	free(token);
	free(seen.hashes);
	return err;
}
