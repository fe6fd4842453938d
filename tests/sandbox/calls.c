/* calls.c - keeps the log of calls in a bounded ring. */
#include "calls.h"

#include <stdlib.h>

#include "draw.h"
#include "params.h"
#include "when.h"

void
calls_init(struct calls *cs, FILE *file)
{
	*cs = (struct calls){ .next = 1, .first = 1, .file = file };
	pthread_mutex_init(&cs->lock, NULL);
	cs->ring = calloc(CALLS_MAX, sizeof(*cs->ring));
	if (cs->ring == NULL) {
		fputs("sandbox-seller: out of memory\n", stderr);
		abort();
	}
}

static struct call_entry *
slot(struct calls *cs, uint64_t n)
{
	return &cs->ring[n % CALLS_MAX];
}

static void
drop_first(struct calls *cs)
{
	struct call_entry *e = slot(cs, cs->first++);

	cs->bytes -= e->text_len;
	free(e->text);
	*e = (struct call_entry){ 0 };
}

void
calls_clear(struct calls *cs)
{
	pthread_mutex_lock(&cs->lock);
	while (cs->first < cs->next)
		drop_first(cs);
	pthread_mutex_unlock(&cs->lock);
}

void
calls_fini(struct calls *cs)
{
	calls_clear(cs);
	free(cs->ring);
	pthread_mutex_destroy(&cs->lock);
}

uint64_t
calls_begin(struct calls *cs, int64_t time_ms, enum op op, const char *method,
    const char *path, const char *query, const char *agent)
{
	struct call_entry e = { .time_ms = time_ms, .op = op };
	struct buf b = { 0 };
	uint64_t n;

	buf_put(&b, method, strlen(method) + 1);
	buf_put(&b, path, strlen(path) + 1);
	buf_put(&b, query, strlen(query) + 1);
	buf_put(&b, agent, strlen(agent) + 1);
	e.text = b.p;
	e.text_len = b.cap;

	pthread_mutex_lock(&cs->lock);
	while (cs->next - cs->first >= CALLS_MAX ||
	    (cs->first < cs->next &&
		cs->bytes + e.text_len > CALLS_BYTES_MAX)) {
		cs->lost = cs->first;
		drop_first(cs);
	}
	n = cs->next++;
	cs->bytes += e.text_len;
	*slot(cs, n) = e;
	pthread_mutex_unlock(&cs->lock);
	return n;
}

void
calls_request_id(uint64_t n, char ret[REQUEST_ID_MAX])
{
	uint64_t a = draw_mix(n * 2 + 1), b = draw_mix(n * 2 + 2);

	snprintf(ret, REQUEST_ID_MAX, "%08x-%04x-4%03x-9%03x-%012llx",
	    (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff),
	    (unsigned)(a & 0xfff), (unsigned)(b >> 52),
	    (unsigned long long)(b & 0xffffffffffff));
}

static void
time_json(struct buf *b, int64_t ms)
{
	int64_t s = when_floor_s(ms);

	buf_ch(b, '"');
	buf_time(b, s);
	b->len--; /* the Z comes behind the milliseconds */
	buf_ch(b, '.');
	buf_digits(b, (uint64_t)(ms - s * 1000), 3);
	buf_lit(b, "Z\"");
}

static void
entry_json(struct buf *b, uint64_t n, const struct call_entry *e)
{
	const char *method = e->text;
	const char *path = method + strlen(method) + 1;
	const char *query = path + strlen(path) + 1;
	const char *agent = query + strlen(query) + 1;
	char request_id[REQUEST_ID_MAX];
	struct params ps;

	calls_request_id(n, request_id);
	buf_fmt(b, "{\"n\":%llu,\"time\":", (unsigned long long)n);
	time_json(b, e->time_ms);
	buf_lit(b, ",\"seller\":");
	buf_json_str(b, e->seller);
	buf_lit(b, ",\"operation\":");
	buf_json_str(b, op_name(e->op) ? op_name(e->op) : "");
	buf_lit(b, ",\"method\":");
	buf_json_str(b, method);
	buf_lit(b, ",\"path\":");
	buf_json_str(b, path);
	buf_lit(b, ",\"query\":{");
	params_parse(&ps, query, strlen(query));
	for (int i = 0; i < ps.count; i++) {
		if (i > 0)
			buf_ch(b, ',');
		buf_json_str(b, ps.list[i].name);
		buf_ch(b, ':');
		buf_json(b, ps.list[i].value, ps.list[i].len);
	}
	params_fini(&ps);
	buf_fmt(b,
	    "},\"status\":%d,\"requestId\":\"%s\",\"userAgent\":", e->status,
	    request_id);
	buf_json_str(b, agent);
	if (e->fault != NULL)
		buf_fmt(b, ",\"fault\":\"%s\"", e->fault);
	buf_fmt(b, ",\"ms\":%.3f}", (double)e->took_us / 1000);
}

void
calls_of(struct calls *cs, uint64_t n, const char *seller)
{
	pthread_mutex_lock(&cs->lock);
	if (n >= cs->first) {
		struct call_entry *e = slot(cs, n);

		snprintf(e->seller, sizeof(e->seller), "%s", seller);
	}
	pthread_mutex_unlock(&cs->lock);
}

void
calls_end(struct calls *cs, uint64_t n, const char *seller, int status,
    const char *fault, int64_t took_us)
{
	struct buf b = { 0 };

	pthread_mutex_lock(&cs->lock);
	if (n >= cs->first) {
		struct call_entry *e = slot(cs, n);

		snprintf(e->seller, sizeof(e->seller), "%s", seller);
		e->status = status;
		e->fault = fault;
		e->took_us = took_us;
		if (cs->file != NULL) {
			entry_json(&b, n, e);
			buf_ch(&b, '\n');
			fwrite(b.p, 1, b.len, cs->file);
			fflush(cs->file);
		}
	}
	pthread_mutex_unlock(&cs->lock);
	buf_fini(&b);
}

uint64_t
calls_total(struct calls *cs)
{
	uint64_t n;

	pthread_mutex_lock(&cs->lock);
	n = cs->next - 1;
	pthread_mutex_unlock(&cs->lock);
	return n;
}

void
calls_json(struct calls *cs, struct buf *b, uint64_t since, const char *seller,
    enum op op)
{
	const char *sep = "";
	bool truncated;

	buf_lit(b, "{\"calls\":[");
	pthread_mutex_lock(&cs->lock);
	truncated = since < cs->lost;
	for (uint64_t n = since < cs->first ? cs->first : since + 1;
	     n < cs->next; n++) {
		const struct call_entry *e = slot(cs, n);

		if ((op != OP_NONE && e->op != op) ||
		    (*seller != '\0' && strcmp(e->seller, seller) != 0))
			continue;
		buf_str(b, sep);
		entry_json(b, n, e);
		sep = ",\n";
	}
	buf_fmt(b, "],\"next\":%llu,\"truncated\":%s}",
	    (unsigned long long)(cs->next - 1), truncated ? "true" : "false");
	pthread_mutex_unlock(&cs->lock);
}
