/* participations.c - Sellers v1: getMarketplaceParticipations. */
#include "call.h"

static void
field(struct buf *b, const char *name, const char *value)
{
	buf_ch(b, '"');
	buf_str(b, name);
	buf_lit(b, "\":");
	buf_json_str(b, value);
}

static void
participation(const struct market *m, bool takes_part, struct buf *b)
{
	buf_lit(b, "{\"marketplace\":{");
	field(b, "id", m->id);
	buf_ch(b, ',');
	field(b, "name", m->store);
	buf_ch(b, ',');
	field(b, "countryCode", m->country);
	buf_ch(b, ',');
	field(b, "defaultCurrencyCode", m->currency);
	buf_ch(b, ',');
	field(b, "defaultLanguageCode", m->language);
	buf_ch(b, ',');
	field(b, "domainName", m->domain);
	buf_lit(b, "},\"participation\":{\"isParticipating\":");
	buf_str(b, takes_part ? "true" : "false");
	buf_lit(b, ",\"hasSuspendedListings\":false},");
	field(b, "storeName", "Sandbox Store");
	buf_ch(b, '}');
}

void
participations_list(struct sandbox *sb, struct call *c, struct reply *rp)
{
	static const struct market elsewhere = { "A3BXB0YN3XH17H", "US",
		"Unlisted", "SI Prod Unlisted Marketplace",
		"sim.stores.amazon.example", "USD", "en_US", 2 };
	const struct model *m = &c->seller->model;

	(void)sb;
	if (c->params.count > 0) {
		reply_invalid(
		    rp, "Unknown parameter: %.100s", c->params.list[0].name);
		return;
	}
	buf_lit(&rp->body, "{\"payload\":[");
	for (int i = 0; i < m->market_count; i++) {
		participation(m->markets[i], true, &rp->body);
		buf_ch(&rp->body, ',');
	}
	/* The service names markets that are in no public table, too. */
	participation(&elsewhere, false, &rp->body);
	buf_lit(&rp->body, "]}");
}
