/*
 * fuzz_spapi.c - feeds the readers of what Amazon answers.
 *
 * The first byte chooses what the rest is: 'O', 'I', 'T' a page of orders,
 * inventory or transactions, 'P' marketplaces, 'E' an error answer, 'A' an
 * answer of the token endpoint, 'V' a single value of each type, 'W' a time.
 * What a reader lets through must be what the loader's checks can judge, and
 * what they accept must be text that COPY takes.
 *
 * With -DFUZZ_MAIN it is a plain program that runs the files named on its
 * command line.
 */
#include "runner/load/load_values.h"
#include "runner/sources/lwa.h"
#include "runner/sources/spapi.h"
#include "runner/sources/spapi_rows.h"
#include "runner/sources/url.h"
#include "shared/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool holds)
{
	if (!holds)
		abort();
}

/* COPY's row: no raw tab or newline, valid UTF-8. */
static void
check_value(enum load_type type, const char *value)
{
	struct text t = { .p = NULL };

	if (value_problem(type, value, strlen(value)))
		return;
	value_copy(&t, value);
	check(!t.failed);
	check(!t.p || !strpbrk(t.p, "\t\n\r"));
	check(t.len == 0 || utf8_valid(t.p, t.len));
	text_fini(&t);
}

static enum err
take_row(void *arg, const struct load_stream *s, const char *const *values,
    json_object *raw)
{
	(void)arg;
	check(raw != NULL);
	for (size_t i = 0; i < s->n_columns; i++) {
		if (values[i])
			check_value(s->columns[i].type, values[i]);
	}
	return ERR_OK;
}

static enum err
take_reject(void *arg, const struct load_stream *s, const char *reason,
    json_object *raw)
{
	(void)arg;
	(void)s;
	(void)raw;
	check(reason && *reason != '\0');
	return ERR_OK;
}

static void
read_page(char kind, json_object *page)
{
	const struct row_sink sink = { .row = take_row, .reject = take_reject };
	struct page_info info = { .records = 0 };
	const char *why = NULL;
	json_object *ids = NULL;
	enum err err;

	if (kind == 'O')
		err = spapi_orders_page(page, &sink, &info, &why);
	else if (kind == 'I')
		err = spapi_inventory_page(page, "ATV", &sink, &info, &why);
	else if (kind == 'T')
		err = spapi_transactions_page(page, &sink, &info, &why);
	else
		err = spapi_marketplaces(page, &ids, &why);
	check(err == ERR_OK || (err == ERR_PEER && why));
	check(!info.token || *info.token != '\0');
	json_object_put(ids);
}

static void
read_answer(char kind, const char *text, size_t len)
{
	struct failure why = { .class = FAILURE__MAX };
	json_object *owner = NULL;
	struct lwa_answer a;
	int status = 200 + (int)(len % 400);

	if (kind == 'E') {
		(void)spapi_refusal(status, text, len, len % 2, &why);
		check(utf8_valid(why.message, strlen(why.message)));
	} else if (lwa_read(len % 3 ? 200 : status, text, len, &owner, &a,
		       &why) == ERR_OK) {
		check(a.life_ms > 0 && !strpbrk(a.access, "\r\n"));
		json_object_put(owner);
	} else {
		check(utf8_valid(why.message, strlen(why.message)));
	}
}

static void
read_value(char kind, const char *text)
{
	struct text u = { .p = NULL };
	char buf[WINDOW_TEXT_MAX];
	int64_t ms, again;

	for (int type = LOAD_TEXT; type <= LOAD_JSON; type++)
		check_value((enum load_type)type, text);
	url_start(&u, "http://h", "/p");
	url_param(&u, "v", text);
	check(strspn(u.p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			  "0123456789-._~%:/?=") == u.len);
	text_fini(&u);
	if (kind == 'W' && window_parse(text, &ms) && ms >= 0) {
		check(window_parse(window_text(ms, buf), &again));
		check(again == ms / 1000 * 1000);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_object *page = NULL;
	char *text;
	char kind;

	if (size < 1)
		return 0;
	kind = (char)data[0];
	text = malloc(size);
	check(text != NULL);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (strchr("OITP", kind)) {
		if (json_read(text, size - 1, 64, &page, NULL) == ERR_OK)
			read_page(kind, page);
	} else if (kind == 'E' || kind == 'A') {
		read_answer(kind, text, size - 1);
	} else {
		read_value(kind, text);
	}
	json_object_put(page);
	free(text);
	return 0;
}

#ifdef FUZZ_MAIN
int
main(int argc, char **argv)
{
	static uint8_t buf[1 << 20];

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		size_t n;

		if (!f) {
			perror(argv[i]);
			return 1;
		}
		n = fread(buf, 1, sizeof buf, f);
		fclose(f);
		LLVMFuzzerTestOneInput(buf, n);
	}
	return 0;
}
#endif
