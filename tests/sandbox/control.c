/* control.c - what tests ask of the sandbox itself, under /_control/. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "call.h"

/* One control call: its JSON body, and what stood behind the path. */
struct ask {
	struct sandbox *sb;
	struct call *c;
	struct json_object *body; /* NULL when there was none */
	const char *rest;         /* the segment a "*" stood for, or "" */
	struct reply *rp;
};

/* --- reading the body --- */

static struct json_object *
member(const struct ask *a, const char *name)
{
	struct json_object *v = NULL;

	if (a->body != NULL)
		json_object_object_get_ex(a->body, name, &v);
	return v;
}

static const char *
text_of(const struct ask *a, const char *name)
{
	struct json_object *v = member(a, name);

	return json_object_is_type(v, json_type_string)
	    ? json_object_get_string(v)
	    : NULL;
}

static int64_t
number_of(const struct ask *a, const char *name, int64_t missing)
{
	struct json_object *v = member(a, name);

	return v == NULL ? missing : json_object_get_int64(v);
}

static double
real_of(const struct ask *a, const char *name, double missing)
{
	struct json_object *v = member(a, name);

	return v == NULL ? missing : json_object_get_double(v);
}

static void
bad_ask(const struct ask *a, const char *why)
{
	reply_error(a->rp, 400, "BadControl", why, NULL);
}

/* --- answers --- */

static void
time_field(struct buf *b, int64_t ms)
{
	int64_t s = when_floor_s(ms);

	buf_ch(b, '"');
	buf_time(b, s);
	b->len--;
	buf_ch(b, '.');
	buf_digits(b, (uint64_t)(ms - s * 1000), 3);
	buf_lit(b, "Z\"");
}

static void
state_show(struct ask *a)
{
	struct sandbox *sb = a->sb;
	struct buf *b = &a->rp->body;
	char refresh[REFRESH_MAX];
	struct seller *s;

	b->len = 0;
	buf_lit(b, "{\"now\":");
	time_field(b, when_now_ms(&sb->when));
	buf_fmt(b,
	    ",\"frozen\":%s,\"rateScale\":%g,\"calls\":%llu,"
	    "\"sellers\":[",
	    when_frozen(&sb->when) ? "true" : "false", sandbox_rate_scale(sb),
	    (unsigned long long)calls_total(&sb->calls));
	for (size_t i = 0; (s = sellers_at(&sb->sellers, i)) != NULL; i++) {
		if (i > 0)
			buf_ch(b, ',');
		buf_lit(b, "{\"id\":");
		buf_json_str(b, s->id);
		seller_refresh_token(s, refresh);
		buf_lit(b, ",\"refreshToken\":");
		buf_json_str(b, refresh);
		pthread_mutex_lock(&s->lock);
		buf_fmt(b, ",\"revoked\":%s", s->revoked ? "true" : "false");
		pthread_mutex_unlock(&s->lock);
		buf_fmt(b,
		    ",\"seed\":%llu,\"orders\":%u,\"skus\":%u,"
		    "\"marketplaces\":[",
		    (unsigned long long)s->model.seed, s->model.orders,
		    s->model.skus);
		for (int k = 0; k < s->model.market_count; k++) {
			if (k > 0)
				buf_ch(b, ',');
			buf_json_str(b, s->model.markets[k]->id);
		}
		buf_lit(b, "]}");
	}
	buf_lit(b, "]}");
}

static void
clock_advance(struct ask *a)
{
	double seconds = real_of(a, "seconds", -1);

	if (seconds < 0 || seconds > 3.2e9) {
		bad_ask(a, "seconds must be 0 or more; use clock to go back");
		return;
	}
	when_advance(&a->sb->when, (int64_t)(seconds * 1000));
	state_show(a);
}

static void
clock_set(struct ask *a)
{
	const char *now = text_of(a, "now");
	struct json_object *frozen = member(a, "frozen");
	int64_t ms;

	if (now != NULL) {
		if (!when_parse_ms(now, &ms)) {
			bad_ask(a, "now must be an RFC 3339 time");
			return;
		}
		when_set(&a->sb->when, ms);
	}
	if (frozen != NULL)
		when_freeze(&a->sb->when, json_object_get_boolean(frozen));
	state_show(a);
}

/* --- sellers --- */

static bool
markets_read(const struct ask *a, struct seller_spec *spec)
{
	struct json_object *list = member(a, "marketplaces");
	size_t n;

	if (list == NULL)
		return true;
	if (!json_object_is_type(list, json_type_array))
		return false;
	n = json_object_array_length(list);
	if (n < 1 || n > MODEL_MARKETS_MAX)
		return false;
	spec->market_count = (int)n;
	for (size_t i = 0; i < n; i++) {
		const char *id =
		    json_object_get_string(json_object_array_get_idx(list, i));

		spec->markets[i] =
		    id == NULL ? NULL : market_find(id, strlen(id));
		if (spec->markets[i] == NULL)
			return false;
	}
	return true;
}

/* totals_json counts what the truth has for this seller at this moment. */
static void
totals_json(const struct seller *s, int64_t now, struct buf *b)
{
	uint32_t n = order_count(&s->model, now);
	uint64_t orders = 0, items = 0, txns = 0, stocks = 0;
	struct txn list[MODEL_TXNS_MAX];
	struct stock stock;
	struct order o;

	for (uint32_t i = 0; i < n; i++) {
		int count;

		order_make(&s->model, i, &o);
		if (order_stage_at(&o, now) >= 0) {
			orders++;
			items += (uint64_t)o.line_count;
		}
		count = txns_make(&s->model, &o, list);
		for (int k = 0; k < count; k++)
			txns += list[k].posted + list[k].late <= now;
	}
	for (int m = 0; m < s->model.market_count; m++)
		for (uint32_t slot = 0; slot < s->model.skus; slot++)
			stocks += stock_make(&s->model, slot, m, now, &stock);
	buf_fmt(b,
	    "{\"orders\":%llu,\"orderItems\":%llu,"
	    "\"transactions\":%llu,\"inventory\":%llu}",
	    (unsigned long long)orders, (unsigned long long)items,
	    (unsigned long long)txns, (unsigned long long)stocks);
}

static void
seller_answer(struct ask *a, struct seller *s)
{
	struct buf *b = &a->rp->body;
	char refresh[REFRESH_MAX];

	seller_refresh_token(s, refresh);
	buf_lit(b, "{\"id\":");
	buf_json_str(b, s->id);
	buf_lit(b, ",\"refreshToken\":");
	buf_json_str(b, refresh);
	if (json_object_get_boolean(member(a, "totals"))) {
		buf_lit(b, ",\"totals\":");
		totals_json(s, when_floor_s(a->c->now_ms), b);
	}
	buf_ch(b, '}');
}

static bool
id_valid(const char *id)
{
	return id != NULL && *id != '\0' && strlen(id) < SELLER_ID_MAX &&
	    strspn(id,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_.") == strlen(id);
}

static void
seller_create(struct ask *a)
{
	struct seller_spec spec = a->sb->defaults;
	const char *start = text_of(a, "start");
	int64_t orders = number_of(a, "orders", spec.orders);
	int64_t skus = number_of(a, "skus", spec.skus);
	int64_t ms;
	struct seller *s;

	spec.id = text_of(a, "id");
	spec.seed = (uint64_t)number_of(a, "seed", (int64_t)spec.seed);
	spec.days = number_of(a, "days", spec.days);
	if (start != NULL) {
		if (!when_parse_ms(start, &ms)) {
			bad_ask(a, "start must be an RFC 3339 time");
			return;
		}
		spec.base = when_floor_s(ms);
	}
	if (!id_valid(spec.id) || orders < 0 || orders > 50000000 || skus < 1 ||
	    skus > 10000000 || spec.days < 1 || spec.days > 36500 ||
	    !markets_read(a, &spec)) {
		bad_ask(a, "id, orders, skus, days or marketplaces not valid");
		return;
	}
	spec.orders = (uint32_t)orders;
	spec.skus = (uint32_t)skus;
	s = sellers_add(&a->sb->sellers, &spec);
	if (s == NULL) {
		reply_error(a->rp, 409, "Conflict", "This id is taken.", NULL);
		return;
	}
	seller_answer(a, s);
}

static void
seller_change(struct ask *a)
{
	struct seller *s = sellers_find(&a->sb->sellers, a->rest);
	struct json_object *revoked = member(a, "revoked");
	struct json_object *rotates = member(a, "rotates");

	if (s == NULL) {
		reply_error(a->rp, 404, "NotFound", "No such seller.", NULL);
		return;
	}
	if (json_object_get_boolean(member(a, "newRefreshToken")))
		seller_reconnect(s);
	pthread_mutex_lock(&s->lock);
	if (revoked != NULL)
		s->revoked = json_object_get_boolean(revoked);
	if (rotates != NULL)
		s->rotates = json_object_get_boolean(rotates);
	pthread_mutex_unlock(&s->lock);
	seller_answer(a, s);
}

/* code_create: the code a seller's consent would send back. */
static void
code_create(struct ask *a)
{
	const char *id = text_of(a, "seller");
	struct seller *s = id ? sellers_find(&a->sb->sellers, id) : NULL;
	struct code *code;

	if (s == NULL) {
		reply_error(a->rp, 404, "NotFound", "No such seller.", NULL);
		return;
	}
	pthread_mutex_lock(&a->sb->lock);
	code = &a->sb->codes[a->sb->code_serial++ % CODES_MAX];
	snprintf(code->text, sizeof(code->text), "sandbox-code-%u-%s",
	    a->sb->code_serial, s->id);
	code->seller = s;
	code->until_ms = a->c->now_ms + 5 * 60 * 1000;
	buf_lit(&a->rp->body, "{\"code\":");
	buf_json_str(&a->rp->body, code->text);
	pthread_mutex_unlock(&a->sb->lock);
	buf_ch(&a->rp->body, '}');
}

static void
tokens_expire(struct ask *a)
{
	const char *id = text_of(a, "seller");
	struct seller *s;

	if (id != NULL && sellers_find(&a->sb->sellers, id) == NULL) {
		reply_error(a->rp, 404, "NotFound", "No such seller.", NULL);
		return;
	}
	for (size_t i = 0; (s = sellers_at(&a->sb->sellers, i)) != NULL; i++)
		if (id == NULL || strcmp(s->id, id) == 0)
			access_expire(&a->sb->sellers, s);
	buf_lit(&a->rp->body, "{}");
}

static void
rates_set(struct ask *a)
{
	double scale = real_of(a, "scale", -1);
	struct seller *s;

	if (scale < 0) {
		bad_ask(a, "scale must be 0 or more");
		return;
	}
	pthread_mutex_lock(&a->sb->lock);
	a->sb->rate_scale = scale;
	pthread_mutex_unlock(&a->sb->lock);
	/* Full buckets again: a test knows what it starts from. */
	for (size_t i = 0; (s = sellers_at(&a->sb->sellers, i)) != NULL; i++) {
		pthread_mutex_lock(&s->lock);
		memset(s->buckets, 0, sizeof(s->buckets));
		pthread_mutex_unlock(&s->lock);
	}
	buf_lit(&a->rp->body, "{}");
}

/* --- faults --- */

static bool
bad_mode(const struct ask *a, struct fault *f)
{
	const char *mode = text_of(a, "mode");

	if (mode == NULL || strcmp(mode, "missing_id") == 0)
		f->bad = BAD_MISSING_ID;
	else if (strcmp(mode, "wrong_type") == 0)
		f->bad = BAD_WRONG_TYPE;
	else
		return false;
	return true;
}

static void
fault_create(struct ask *a)
{
	const char *operation = text_of(a, "operation");
	const char *kind = text_of(a, "kind");
	const char *seller = text_of(a, "seller");
	struct fault f = {
		.after = number_of(a, "after", 0),
		.count = number_of(a, "count", 1),
		.probability = real_of(a, "probability", 1),
		.seed = (uint64_t)number_of(a, "seed", 1),
		.status = (int)number_of(a, "status", 503),
		.size = (int64_t)(real_of(a, "mb", 64) * 1048576),
	};

	if (operation == NULL || kind == NULL) {
		bad_ask(a, "operation and kind are required");
		return;
	}
	f.kind = fault_find(kind);
	f.op = op_find(operation);
	f.seconds = real_of(a, "seconds", f.kind == FAULT_HANG ? 30 : 2);
	if (f.kind == FAULT_NONE ||
	    (f.op == OP_NONE && strcmp(operation, "*") != 0)) {
		bad_ask(a, "there is no such operation or kind");
		return;
	}
	if (f.op != OP_NONE && !fault_fits(f.kind, f.op)) {
		bad_ask(a, "this kind cannot act on this operation");
		return;
	}
	if (f.status < 200 || f.status > 599 || f.size < 16 || f.seconds < 0 ||
	    f.after < 0 || !bad_mode(a, &f)) {
		bad_ask(a, "status, mb, seconds, after or mode not valid");
		return;
	}
	if (seller != NULL)
		snprintf(f.seller, sizeof(f.seller), "%s", seller);
	buf_fmt(&a->rp->body, "{\"id\":%d}", faults_add(&a->sb->faults, &f));
}

static void
faults_show(struct ask *a)
{
	buf_lit(&a->rp->body, "{\"faults\":");
	faults_json(&a->sb->faults, &a->rp->body);
	buf_ch(&a->rp->body, '}');
}

static void
faults_clear(struct ask *a)
{
	faults_remove(&a->sb->faults, 0);
	buf_lit(&a->rp->body, "{}");
}

static void
fault_delete(struct ask *a)
{
	int id = atoi(a->rest);

	if (id < 1 || !faults_remove(&a->sb->faults, id))
		reply_error(a->rp, 404, "NotFound", "No such fault.", NULL);
	else
		buf_lit(&a->rp->body, "{}");
}

/* --- the log, the truth --- */

static void
calls_show(struct ask *a)
{
	const char *since = param_get(&a->c->params, "since");
	const char *seller = param_get(&a->c->params, "seller");
	const char *operation = param_get(&a->c->params, "operation");
	enum op op = OP_NONE;

	if (operation != NULL && *operation != '\0') {
		op = op_find(operation);
		if (op == OP_NONE) {
			bad_ask(a, "there is no such operation");
			return;
		}
	}
	calls_json(&a->sb->calls, &a->rp->body,
	    since ? strtoull(since, NULL, 10) : 0, seller ? seller : "", op);
}

static void
calls_delete(struct ask *a)
{
	calls_clear(&a->sb->calls);
	buf_lit(&a->rp->body, "{}");
}

static void
truth_show(struct ask *a)
{
	truth_open(a->sb, a->c, a->rest, a->rp);
}

static const struct {
	const char *method;
	const char *path; /* behind /_control/; a last "*" is one segment */
	void (*answer)(struct ask *a);
} asks[] = {
	{ "GET", "state", state_show },
	{ "POST", "advance", clock_advance },
	{ "POST", "clock", clock_set },
	{ "POST", "seller", seller_create },
	{ "POST", "seller/*", seller_change },
	{ "POST", "code", code_create },
	{ "POST", "expire-tokens", tokens_expire },
	{ "POST", "rates", rates_set },
	{ "POST", "fault", fault_create },
	{ "GET", "fault", faults_show },
	{ "DELETE", "fault", faults_clear },
	{ "DELETE", "fault/*", fault_delete },
	{ "GET", "calls", calls_show },
	{ "DELETE", "calls", calls_delete },
	{ "GET", "truth/*", truth_show },
};

static const char *
path_rest(const char *pattern, const char *path)
{
	size_t len = strlen(pattern);

	if (pattern[len - 1] != '*')
		return strcmp(pattern, path) == 0 ? "" : NULL;
	return strncmp(pattern, path, len - 1) == 0 && path[len - 1] != '\0'
	    ? path + len - 1
	    : NULL;
}

void
control_take(struct sandbox *sb, struct call *c, struct reply *rp)
{
	struct ask a = { .sb = sb, .c = c, .rp = rp };
	const char *path = c->path + strlen("/_control/");
	struct json_tokener *tok = NULL;
	size_t i = 0;

	for (; i < sizeof(asks) / sizeof(asks[0]); i++) {
		a.rest = path_rest(asks[i].path, path);
		if (a.rest != NULL && strcmp(asks[i].method, c->method) == 0)
			break;
	}
	if (i == sizeof(asks) / sizeof(asks[0])) {
		reply_error(
		    rp, 404, "NotFound", "There is no such control.", NULL);
		return;
	}
	if (c->body.len > 0) {
		tok = json_tokener_new();
		a.body =
		    json_tokener_parse_ex(tok, c->body.p, (int)c->body.len);
		json_tokener_free(tok);
	}
	if (c->body.len > 0 && !json_object_is_type(a.body, json_type_object))
		bad_ask(&a, "the body must be a JSON object");
	else
		asks[i].answer(&a);
	json_object_put(a.body);
}
