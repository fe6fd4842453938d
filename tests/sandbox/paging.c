/* paging.c - checks and writes page tokens, reads list parameters. */
#include "paging.h"

static uint64_t
seller_hash(const struct call *c)
{
	struct params none = { 0 };
	struct param p = { .name = c->seller->id, .value = c->seller->id };
	static const char *const nothing[] = { NULL };

	none.list[0] = p;
	none.count = 1;
	return params_hash(&none, nothing);
}

bool
page_open(const struct paging *pg, const struct call *c, struct reply *rp,
    struct page *ret)
{
	const struct param *token = param_find(&c->params, pg->token_name);
	const char *stranger = params_stranger(&c->params, pg->names);
	struct page page = {
		.op = c->op,
		.seller = seller_hash(c),
		.asked = params_hash(&c->params, pg->free),
		.at = INT64_MIN,
	};
	struct page was;

	if (stranger != NULL) {
		reply_invalid(rp, "Unknown parameter: %.100s", stranger);
		return false;
	}
	if (token == NULL) {
		*ret = page;
		return true;
	}
	if (!token->clean || !token_read(token->value, &was) ||
	    was.op != page.op || was.seller != page.seller) {
		reply_invalid(rp, "%s is not a valid token.", pg->token_name);
		return false;
	}
	if (was.asked != page.asked) {
		reply_invalid(rp, "%s does not belong to these parameters.",
		    pg->token_name);
		return false;
	}
	if (c->now_ms >= was.issued_ms + pg->token_ms) {
		reply_invalid(rp, "%s has expired.", pg->token_name);
		return false;
	}
	*ret = was;
	return true;
}

bool
page_has_token(const struct call *c, bool more)
{
	return more || c->fault.kind == FAULT_REPEAT_TOKEN ||
	    c->fault.kind == FAULT_EMPTY_PAGES;
}

void
page_token(const struct paging *pg, const struct call *c,
    const struct page *from, int64_t at, uint64_t self, struct buf *b)
{
	const char *asked_with = param_get(&c->params, pg->token_name);
	struct page next = *from;

	buf_ch(b, '"');
	if (c->fault.kind == FAULT_REPEAT_TOKEN && asked_with != NULL) {
		buf_str(b, asked_with);
	} else {
		next.issued_ms = c->now_ms;
		if (c->fault.kind != FAULT_REPEAT_TOKEN &&
		    c->fault.kind != FAULT_EMPTY_PAGES) {
			next.at = at;
			next.self = self;
		}
		token_write(b, &next, c->number);
	}
	buf_ch(b, '"');
}

/* next_part cuts the first part off a comma-joined list. */
static bool
next_part(const char **list, const char **ret, size_t *ret_len)
{
	if (*list == NULL)
		return false;
	*ret = *list;
	*ret_len = strcspn(*list, ",");
	*list += *ret_len;
	*list = **list == ',' ? *list + 1 : NULL;
	return true;
}

long
list_bits(const char *list, const char *const *names, int count)
{
	const char *part;
	size_t len;
	long bits = 0;

	while (next_part(&list, &part, &len)) {
		int i = 0;

		while (i < count &&
		    (strlen(names[i]) != len ||
			memcmp(names[i], part, len) != 0))
			i++;
		if (i == count)
			return -1;
		bits |= 1L << i;
	}
	return bits;
}

bool
markets_bits(const struct call *c, const char *list, int most, struct reply *rp,
    unsigned *ret)
{
	const struct model *m = &c->seller->model;
	const struct market *market;
	unsigned bits = 0;
	const char *part;
	size_t len;
	int n = 0;

	if (list == NULL) {
		*ret = (1u << m->market_count) - 1;
		return true;
	}
	while (next_part(&list, &part, &len)) {
		market = market_find(part, len);
		if (market == NULL || n++ == most) {
			reply_invalid(rp,
			    market == NULL ? "A marketplace id is not valid."
					   : "Too many marketplace ids.");
			return false;
		}
		if (!seller_has_market(c->seller, market)) {
			reply_denied(rp,
			    "The seller does not sell in this "
			    "marketplace.");
			return false;
		}
		for (int i = 0; i < m->market_count; i++)
			if (m->markets[i] == market)
				bits |= 1u << i;
	}
	*ret = bits;
	return true;
}

bool
time_param(
    const struct call *c, const char *name, struct reply *rp, int64_t *ret_ms)
{
	const char *text = param_get(&c->params, name);

	if (text == NULL || when_parse_ms(text, ret_ms))
		return true;
	reply_invalid(rp, "%s is not an ISO 8601 time.", name);
	return false;
}
