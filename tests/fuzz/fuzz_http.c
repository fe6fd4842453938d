/*
 * fuzz_http.c - feeds what nginx hands to a handler process.
 *
 * The input is a request as text: method, address, then headers one to a
 * line, an empty line, and the body.  Whatever comes: a refusal is a whole
 * answer, and what passes is what handlers were promised.
 *
 * With -DFUZZ_MAIN it is a plain program that runs the files named on its
 * command line.
 */
#include "fcgi/caller.h"
#include "fcgi/dispatch.h"
#include "fcgi/origin.h"
#include "shared/json.h"
#include "shared/keyring.h"
#include "shared/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what)                                                             \
	do {                                                                   \
		if (!(what)) {                                                 \
			fprintf(stderr, "does not hold: %s\n", #what);         \
			abort();                                               \
		}                                                              \
	} while (0)

struct source {
	const char *text;
	size_t left;
};

static size_t
read_source(void *arg, char *buf, size_t size)
{
	struct source *s = arg;
	size_t n = s->left < size ? s->left : size;

	memcpy(buf, s->text, n);
	s->text += n;
	s->left -= n;
	return n;
}

/* The next line of *at, ended in place; NULL: an empty one, or no more. */
static char *
next_line(char **at)
{
	char *line = *at, *end = line ? strchr(line, '\n') : NULL;

	if (!line || *line == '\0')
		return NULL;
	*at = end ? end + 1 : line + strlen(line);
	if (end)
		*end = '\0';
	return *line != '\0' ? line : NULL;
}

static void
take_header(struct raw_request *raw, char *line)
{
	const struct {
		const char *name;
		const char **to;
	} headers[] = {
		{ "Host: ", &raw->host },
		{ "X-Request-Id: ", &raw->request_id },
		{ "Idempotency-Key: ", &raw->idempotency_key },
		{ "Authorization: ", &raw->authorization },
		{ "Cookie: ", &raw->cookie },
		{ "X-User-Id: ", &raw->gateway_user },
		{ "Origin: ", &raw->origin },
		{ "Sec-Fetch-Site: ", &raw->fetch_site },
		{ "Content-Type: ", &raw->content_type },
		{ "Content-Length: ", &raw->content_length },
	};

	for (size_t i = 0; i < COUNT_OF(headers); i++) {
		size_t n = strlen(headers[i].name);

		if (strncmp(line, headers[i].name, n) == 0)
			*headers[i].to = line + n;
	}
}

static void
check_params(const struct req *rq)
{
	MUST(utf8_valid(rq->path, strlen(rq->path)));
	MUST(rq->n_params <= REQ_PARAMS_MAX);
	for (size_t i = 0; i < rq->n_params; i++) {
		const struct req_param *p = &rq->params[i];
		struct reply rp = { .status = 0 };
		const char *when = NULL;
		int64_t n = 0;

		MUST(utf8_valid(p->name, strlen(p->name)));
		MUST(utf8_valid(p->value, strlen(p->value)));
		MUST(req_param(rq, p->name) != NULL);
		if (req_param_int(rq, &rp, p->name, -5, 500, 1, &n))
			MUST(n >= -5 && n <= 500);
		if (req_param_time(rq, &rp, p->name, &when))
			MUST(when != NULL);
		json_object_put(rp.body);
	}
}

/* The way of a request up to its handler; false: it was answered. */
static bool
walk(const struct settings *s, struct keyring *keys,
    const struct raw_request *raw, struct call *c)
{
	struct req *rq = &c->rq;
	struct reply *rp = &c->rp;

	*rq = (struct req){ .settings = s };
	*rp = (struct reply){ .status = 0 };
	if (!intake_line(&c->in, raw, rq, rp))
		return false;
	check_params(rq);
	(void)origin_may_write(s, raw);
	rq->route = route_find(rq, rp);
	if (!rq->route)
		return false;
	check_params(rq);
	return caller_check(keys, raw, rq, rp, &c->why) &&
	    intake_body(raw, rq, rp);
}

static void
check_head(const struct call *c)
{
	MUST(c->head_len >= 4 && c->head_len < sizeof c->head);
	MUST(memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4) == 0);
	/* one blank line, at the end: nobody smuggles a header in */
	MUST(strstr(c->head, "\r\n\r\n") == c->head + c->head_len - 4);
	for (size_t i = 1; i < c->head_len; i++) {
		if (c->head[i] == '\n')
			MUST(c->head[i - 1] == '\r');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct settings s;
	static struct shop shop;
	static struct call c;
	struct raw_request raw = { .scheme = "http", .read = read_source };
	char *text = malloc(size + 1), *at = text, *line, why[128];
	struct source body, again;
	bool through;

	if (!shop.settings) {
		log_setup("fuzz", LOG_ERROR, true);
		MUST(settings_load(&s, why, sizeof why) == ERR_OK);
		s.trust_gateway = true;
		s.cors_origins = "https://b.example,http://c";
		MUST(keyring_open(&s, &shop.keys, why, sizeof why) == ERR_OK);
		shop.settings = &s;
	}
	memcpy(text, data, size);
	text[size] = '\0';
	raw.method = next_line(&at);
	raw.uri = next_line(&at);
	while ((line = next_line(&at)))
		take_header(&raw, line);
	body.text = at;
	body.left = size - (size_t)(at - text);
	again = body;
	raw.arg = &body;

	through = walk(&s, shop.keys, &raw, &c);
	MUST(through == (c.rp.status == 0));
	if (!through)
		MUST(json_text(c.rp.body, "code") != NULL);
	else if (c.rq.body)
		MUST(json_object_is_type(c.rq.body, json_type_object));
	/* a handler that needs no database is run, and answers written */
	through = through && !(c.rq.route->flags & ROUTE_NO_DB);
	call_fini(&c);
	if (!through) {
		body = again;
		dispatch(&shop, &raw, &c);
		check_head(&c);
		call_fini(&c);
	}
	free(text);
	return 0;
}

#ifdef FUZZ_MAIN
int
main(int argc, char **argv)
{
	static uint8_t data[1024 * 1024];

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		size_t n;

		if (!f) {
			perror(argv[i]);
			return 1;
		}
		n = fread(data, 1, sizeof data, f);
		fclose(f);
		LLVMFuzzerTestOneInput(data, n);
	}
	return 0;
}
#endif
