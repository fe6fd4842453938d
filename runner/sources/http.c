/*
 * http.c - drives libcurl's multi interface, so that a wait can be woken.
 *
 * curl_easy_perform notices an interrupt only about once a second;
 * curl_multi_poll returns at once on curl_multi_wakeup.
 */
#include "runner/sources/http.h"
#include "shared/clock.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BODY_MAX ((size_t)32 * 1024 * 1024)
#define CONNECT_MS 10000
#define TURN_MS 1000 /* longest single wait: then silence is looked at */
#define RETRY_AFTER_MAX_S 86400

struct http {
	CURLM *multi;
	CURL *easy;
	atomic_bool interrupted;
	int64_t timeout_ms;
};

/* One call under way. */
struct transfer {
	struct http_response *r;
	size_t cap;      /* of r->body */
	size_t max_body;
	int64_t heard_ms; /* when the peer last said something */
	bool too_large;
	bool no_memory;
};

enum err
http_open(struct http **ret, int64_t timeout_ms)
{
	struct http *h = calloc(1, sizeof *h);

	if (!h)
		return ERR_NOMEM;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(h);
		return ERR_NOMEM;
	}
	h->timeout_ms = timeout_ms;
	h->multi = curl_multi_init();
	h->easy = curl_easy_init();
	if (!h->multi || !h->easy) {
		http_close(h);
		return ERR_NOMEM;
	}
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 8L);
	*ret = h;
	return ERR_OK;
}

void
http_close(struct http *h)
{
	if (!h)
		return;
	if (h->easy)
		curl_easy_cleanup(h->easy);
	if (h->multi)
		curl_multi_cleanup(h->multi);
	curl_global_cleanup();
	free(h);
}

void
http_interrupt(struct http *h)
{
	atomic_store(&h->interrupted, true);
	curl_multi_wakeup(h->multi);
}

void
http_resume(struct http *h)
{
	atomic_store(&h->interrupted, false);
}

void
http_response_clear(struct http_response *r)
{
	free(r->body);
	*r = (struct http_response){ .body = NULL };
}

/* --- what the peer says ------------------------------------------------ */

/* The value of the header line when it has that name, NULL otherwise. */
static const char *
header_value(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	return line + strspn(line, " \t");
}

/* Ids and types end up in logs: printable ASCII only. */
static void
keep_plain(char *to, size_t size, const char *value)
{
	size_t n = 0;

	for (; value[n] > ' ' - 1 && value[n] < 0x7f && n + 1 < size; n++)
		to[n] = value[n];
	to[n] = '\0';
}

/* A positive decimal whatever the locale; 0 for anything else. */
static double
read_rate(const char *s)
{
	double v = 0, unit = 1;

	for (; *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (*s - '0');
	if (*s == '.') {
		for (s++; *s >= '0' && *s <= '9'; s++) {
			unit /= 10;
			v += unit * (*s - '0');
		}
	}
	return v < 1e6 ? v : 0;
}

static int64_t
read_retry_after(const char *s)
{
	char *end;
	long v = strtol(s, &end, 10);

	if (end == s || v < 0)
		return -1; /* the form with a date is not used here */
	return (int64_t)(v > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : v) * 1000;
}

static void
take_header(struct http_response *r, const char *line)
{
	const char *v;
	time_t date;

	if ((v = header_value(line, "x-amzn-requestid"))) {
		keep_plain(r->request_id, sizeof r->request_id, v);
	} else if ((v = header_value(line, "x-amzn-ratelimit-limit"))) {
		r->rate_limit = read_rate(v);
	} else if ((v = header_value(line, "retry-after"))) {
		r->retry_after_ms = read_retry_after(v);
	} else if ((v = header_value(line, "content-type"))) {
		keep_plain(r->content_type, sizeof r->content_type, v);
	} else if ((v = header_value(line, "date"))) {
		date = curl_getdate(v, NULL);
		r->date_ms = date > 0 ? (int64_t)date * 1000 : 0;
	}
}

/* curl gives one whole line at a time, without a NUL. */
static size_t
on_header(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *x = arg;
	char line[512];
	size_t len = size * n;

	x->heard_ms = clock_ms();
	if (len < sizeof line) {
		memcpy(line, data, len);
		line[len] = '\0';
		line[strcspn(line, "\r\n")] = '\0';
		take_header(x->r, line);
	}
	return len;
}

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *x = arg;
	size_t len = size * n;

	x->heard_ms = clock_ms();
	if (len > x->max_body - x->r->len) {
		x->too_large = true;
		return 0;
	}
	if (x->cap - x->r->len <= len) {
		size_t cap = x->cap ? x->cap : 4096;
		char *p;

		while (cap - x->r->len <= len)
			cap *= 2;
		p = realloc(x->r->body, cap);
		if (!p) {
			x->no_memory = true;
			return 0;
		}
		x->r->body = p;
		x->cap = cap;
	}
	memcpy(x->r->body + x->r->len, data, len);
	x->r->len += len;
	x->r->body[x->r->len] = '\0';
	return len;
}

/* --- one call ------------------------------------------------------------ */

static enum err
header_list(const char *const *headers, struct curl_slist **ret)
{
	struct curl_slist *list = NULL, *more;

	for (; headers && *headers; headers++) {
		more = curl_slist_append(list, *headers);
		if (!more) {
			curl_slist_free_all(list);
			return ERR_NOMEM;
		}
		list = more;
	}
	*ret = list;
	return ERR_OK;
}

static void
set_options(struct http *h, const struct http_request *rq, struct transfer *x,
    struct curl_slist *headers)
{
	CURL *e = h->easy;
	long connect_ms = h->timeout_ms < CONNECT_MS ? (long)h->timeout_ms
						     : CONNECT_MS;

	curl_easy_reset(e); /* keeps the open connections */
	curl_easy_setopt(e, CURLOPT_URL, rq->url);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
	if (strcmp(rq->method, "POST") == 0) {
		curl_easy_setopt(e, CURLOPT_POST, 1L);
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)rq->body_len);
		curl_easy_setopt(
		    e, CURLOPT_POSTFIELDS, rq->body ? rq->body : "");
	} else {
		curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	}
}

static enum err
fail(struct http_error *why, const char *code, bool permanent,
    const char *text)
{
	*why = (struct http_error){ .code = code, .permanent = permanent };
	snprintf(why->text, sizeof why->text, "%s", text);
	return ERR_PEER;
}

static enum err
judge(CURLcode code, const struct transfer *x, struct http_error *why)
{
	if (x->no_memory || code == CURLE_OUT_OF_MEMORY)
		return ERR_NOMEM;
	if (x->too_large)
		return fail(why, "response_too_large", true,
		    "The answer is larger than a page may be.");
	switch ((int)code) {
	case CURLE_OK:
		return ERR_OK;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return ERR_INVAL;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return fail(why, "tls_failed", false, curl_easy_strerror(code));
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_WRITE_ERROR:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return fail(why, "source_cut", false,
		    "The connection broke before the answer was whole.");
	default:
		return fail(why, "source_unreachable", false,
		    curl_easy_strerror(code));
	}
}

static enum err
run(struct http *h, struct transfer *x, struct http_error *why)
{
	for (;;) {
		int running = 0, left = 0;
		int64_t silent;
		CURLMsg *msg;

		if (atomic_load(&h->interrupted))
			return ERR_INTERRUPTED;
		if (curl_multi_perform(h->multi, &running) != CURLM_OK)
			return ERR_NOMEM;
		while ((msg = curl_multi_info_read(h->multi, &left))) {
			if (msg->msg == CURLMSG_DONE)
				return judge(msg->data.result, x, why);
		}
		silent = clock_ms() - x->heard_ms;
		if (silent >= h->timeout_ms)
			return fail(why, "source_silent", false,
			    "The source stopped answering.");
		silent = h->timeout_ms - silent;
		if (curl_multi_poll(h->multi, NULL, 0,
			silent < TURN_MS ? (int)silent : TURN_MS,
			NULL) != CURLM_OK)
			return ERR_NOMEM;
	}
}

enum err
http_call(struct http *h, const struct http_request *rq,
    struct http_response *ret, struct http_error *why)
{
	struct http_response r = { .retry_after_ms = -1 };
	struct transfer x = { .r = &r, .heard_ms = clock_ms(),
		.max_body = rq->max_body ? rq->max_body : BODY_MAX };
	struct curl_slist *headers = NULL;
	int64_t start = clock_ms();
	long status = 0;
	enum err err;

	if (strcmp(rq->method, "GET") != 0 && strcmp(rq->method, "POST") != 0)
		return ERR_INVAL;
	err = header_list(rq->headers, &headers);
	if (err)
		return err;
	set_options(h, rq, &x, headers);
	if (curl_multi_add_handle(h->multi, h->easy) != CURLM_OK) {
		curl_slist_free_all(headers);
		return ERR_NOMEM;
	}
	err = run(h, &x, why);
	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(h->multi, h->easy);
	curl_slist_free_all(headers);
	if (!err && !r.body) {
		r.body = calloc(1, 1);
		if (!r.body)
			err = ERR_NOMEM;
	}
	r.status = (int)status;
	r.elapsed_ms = clock_ms() - start;
	if (err)
		http_response_clear(&r);
	else
		*ret = r;
	return err;
}

enum err
http_pause(struct http *h, int64_t ms)
{
	int64_t until = clock_ms() + ms;

	for (;;) {
		int64_t left = until - clock_ms();

		if (atomic_load(&h->interrupted))
			return ERR_INTERRUPTED;
		if (left <= 0)
			return ERR_OK;
		if (curl_multi_poll(h->multi, NULL, 0,
			left < TURN_MS ? (int)left : TURN_MS,
			NULL) != CURLM_OK)
			return ERR_NOMEM;
	}
}
