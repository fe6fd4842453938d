/* test_http.c - the client against a server that says exactly so much. */
#include "runner/sources/http.h"
#include "shared/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

/* Answers each connection with the same bytes, then closes or stays. */
struct server {
	int fd;
	int port;
	const char *answer;
	size_t len;
	bool stay;     /* after the answer: neither talk nor close */
	int slow_ms;   /* between bytes */
	char seen[4096]; /* the last request */
	int connections;
	pthread_t thread;
};

static void
say(struct server *v, int fd)
{
	ssize_t n = 0;

	for (size_t at = 0; at < v->len && n >= 0; at += (size_t)n) {
		n = send(fd, v->answer + at,
		    v->slow_ms ? 1 : v->len - at, MSG_NOSIGNAL);
		if (v->slow_ms)
			usleep((useconds_t)v->slow_ms * 1000);
	}
}

static void *
serve(void *arg)
{
	struct server *v = arg;
	int fd;

	while ((fd = accept(v->fd, NULL, NULL)) >= 0) {
		ssize_t n;

		v->connections++;
		while ((n = recv(fd, v->seen, sizeof v->seen - 1, 0)) > 0) {
			v->seen[n] = '\0';
			say(v, fd);
			if (!v->stay)
				break;
		}
		close(fd);
	}
	return NULL;
}

static void
server_start(struct server *v)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;

	v->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(v->fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(v->fd, 8), 0);
	assert_int_equal(getsockname(v->fd, (struct sockaddr *)&a, &len), 0);
	v->port = ntohs(a.sin_port);
	if (v->answer && v->len == 0)
		v->len = strlen(v->answer);
	assert_int_equal(pthread_create(&v->thread, NULL, serve, v), 0);
}

/* The client has to be closed before: it ends the connection under way. */
static void
server_stop(struct server *v)
{
	shutdown(v->fd, SHUT_RDWR);
	close(v->fd);
	pthread_join(v->thread, NULL);
}

static enum err
get(struct http *h, struct server *v, size_t max, struct http_response *r,
    struct http_error *why)
{
	static const char *const headers[] = { "x-test: yes", NULL };
	char url[64];
	struct http_request rq = { .method = "GET", .url = url,
		.headers = headers, .max_body = max };

	snprintf(url, sizeof url, "http://127.0.0.1:%d/a?b=c", v->port);
	return http_call(h, &rq, r, why);
}

/* One call to a server that gives this answer. */
static enum err
ask(const char *answer, size_t len, size_t max, struct http_response *r,
    struct http_error *why)
{
	struct server v = { .answer = answer, .len = len };
	struct http *h;
	enum err err;

	server_start(&v);
	assert_int_equal(http_open(&h, 2000), ERR_OK);
	err = get(h, &v, max, r, why);
	http_close(h);
	server_stop(&v);
	return err;
}

static void
test_an_answer_with_its_headers(void **state)
{
	CLEANUP(http_response_clear) struct http_response r;
	struct http_error why;

	(void)state;
	assert_int_equal(ask("HTTP/1.1 429 Slow down\r\n"
	    "Date: Sun, 22 Nov 2026 18:00:00 GMT\r\n"
	    "X-AMZN-RequestId: id-1\r\nx-amzn-ratelimit-limit: 0.0167\r\n"
	    "Retry-After: 7\r\nContent-Type: text/plain\r\n"
	    "Content-Length: 5\r\n\r\nhello", 0, 0, &r, &why), ERR_OK);
	assert_int_equal(r.status, 429);
	assert_string_equal(r.body, "hello");
	assert_int_equal(r.len, 5);
	assert_string_equal(r.request_id, "id-1");
	assert_string_equal(r.content_type, "text/plain");
	assert_true(r.rate_limit > 0.01669 && r.rate_limit < 0.01671);
	assert_int_equal(r.retry_after_ms, 7000);
	assert_int_equal(r.date_ms, INT64_C(1795370400000));
}

static void
test_an_answer_without_any(void **state)
{
	CLEANUP(http_response_clear) struct http_response r;
	struct http_error why;

	(void)state;
	assert_int_equal(ask("HTTP/1.1 204 Nothing\r\n\r\n", 0, 0, &r, &why),
	    ERR_OK);
	assert_int_equal(r.status, 204);
	assert_string_equal(r.body, "");
	assert_true(r.rate_limit == 0);
	assert_int_equal(r.retry_after_ms, -1);
	assert_int_equal(r.date_ms, 0);
}

static void
test_a_redirect_is_an_answer(void **state)
{
	CLEANUP(http_response_clear) struct http_response r;
	struct http_error why;

	(void)state;
	assert_int_equal(ask("HTTP/1.1 302 Elsewhere\r\nLocation: "
	    "http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n", 0, 0, &r, &why),
	    ERR_OK);
	assert_int_equal(r.status, 302);
}

static void
test_a_cut_answer_is_no_answer(void **state)
{
	struct http_response r = { .body = NULL };
	struct http_error why;

	(void)state;
	assert_int_equal(ask("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"
			     "{\"half\":", 0, 0, &r, &why), ERR_PEER);
	assert_string_equal(why.code, "source_cut");
	assert_false(why.permanent);
	assert_int_equal(ask("HTT", 0, 0, &r, &why), ERR_PEER);
	assert_null(r.body);
}

static void
test_a_body_past_its_bound(void **state)
{
	struct http_response r = { .body = NULL };
	struct http_error why;

	(void)state;
	assert_int_equal(ask("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"
			     "hello world", 0, 10, &r, &why), ERR_PEER);
	assert_string_equal(why.code, "response_too_large");
}

/* gzip of n zero bytes behind a header; returns the whole length. */
static size_t
zeros_zipped(char *out, size_t size, size_t n)
{
	static unsigned char body[4096];
	static const Bytef zeros[65536];
	z_stream z = { .next_out = body, .avail_out = sizeof body };
	size_t at;

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9,
	    Z_DEFAULT_STRATEGY), Z_OK);
	for (size_t left = n; left > 0;) {
		z.next_in = (Bytef *)(uintptr_t)zeros;
		z.avail_in = (uInt)(left < sizeof zeros ? left : sizeof zeros);
		left -= z.avail_in;
		deflate(&z, left > 0 ? Z_NO_FLUSH : Z_FINISH);
	}
	at = (size_t)snprintf(out, size, "HTTP/1.1 200 OK\r\n"
	    "Content-Encoding: gzip\r\nContent-Length: %lu\r\n\r\n",
	    z.total_out);
	memcpy(out + at, body, z.total_out);
	at += z.total_out;
	deflateEnd(&z);
	return at;
}

static void
test_gzip_is_unpacked_within_the_bound(void **state)
{
	CLEANUP(http_response_clear) struct http_response r;
	struct http_error why;
	char answer[8192];
	size_t len = zeros_zipped(answer, sizeof answer, 100000);

	(void)state;
	assert_int_equal(ask(answer, len, 100000, &r, &why), ERR_OK);
	assert_int_equal(r.len, 100000);
	len = zeros_zipped(answer, sizeof answer, 100001);
	http_response_clear(&r);
	assert_int_equal(ask(answer, len, 100000, &r, &why), ERR_PEER);
	assert_string_equal(why.code, "response_too_large");
}

static void
test_silence_ends_a_call_and_slowness_does_not(void **state)
{
	struct server slow = { .answer = "HTTP/1.1 200 OK\r\n"
	    "Content-Length: 2\r\n\r\nok", .slow_ms = 20 };
	struct server mute = { .answer = "HTTP/1.1 200 OK\r\n", .stay = true };
	CLEANUP(http_response_clear) struct http_response r;
	struct http_error why;
	struct http *h;
	int64_t begin;

	(void)state;
	server_start(&slow);
	server_start(&mute);
	assert_int_equal(http_open(&h, 700), ERR_OK);
	begin = clock_ms();
	assert_int_equal(get(h, &slow, 0, &r, &why), ERR_OK);
	assert_true(clock_ms() - begin > 750);
	http_response_clear(&r);
	begin = clock_ms();
	assert_int_equal(get(h, &mute, 0, &r, &why), ERR_PEER);
	assert_string_equal(why.code, "source_silent");
	assert_in_range(clock_ms() - begin, 690, 3000);
	http_close(h);
	server_stop(&slow);
	server_stop(&mute);
}

static void *
interrupt_soon(void *arg)
{
	usleep(200 * 1000);
	http_interrupt(arg);
	return NULL;
}

static void
test_an_interrupt_ends_a_wait_at_once(void **state)
{
	struct server v = { .answer = "", .stay = true };
	CLEANUP(http_response_clear) struct http_response r = { .body = NULL };
	struct http_error why;
	struct http *h;
	pthread_t thread;
	int64_t begin;

	(void)state;
	server_start(&v);
	assert_int_equal(http_open(&h, 30000), ERR_OK);
	pthread_create(&thread, NULL, interrupt_soon, h);
	begin = clock_ms();
	assert_int_equal(get(h, &v, 0, &r, &why), ERR_INTERRUPTED);
	assert_in_range(clock_ms() - begin, 190, 600);
	pthread_join(thread, NULL);
	assert_int_equal(get(h, &v, 0, &r, &why), ERR_INTERRUPTED);
	assert_int_equal(http_pause(h, 5000), ERR_INTERRUPTED);
	http_resume(h);
	assert_int_equal(http_pause(h, 5), ERR_OK);
	pthread_create(&thread, NULL, interrupt_soon, h);
	begin = clock_ms();
	assert_int_equal(http_pause(h, 30000), ERR_INTERRUPTED);
	assert_in_range(clock_ms() - begin, 190, 600);
	pthread_join(thread, NULL);
	http_close(h);
	server_stop(&v);
}

static void
test_connections_are_kept_and_requests_are_clean(void **state)
{
	struct server v = { .answer = "HTTP/1.1 200 OK\r\n"
	    "Content-Length: 2\r\n\r\nok", .stay = true };
	CLEANUP(http_response_clear) struct http_response r;
	struct http_error why;
	struct http *h;

	(void)state;
	setenv("http_proxy", "http://192.0.2.1:1", 1);
	server_start(&v);
	assert_int_equal(http_open(&h, 2000), ERR_OK);
	assert_int_equal(get(h, &v, 0, &r, &why), ERR_OK);
	http_response_clear(&r);
	assert_int_equal(get(h, &v, 0, &r, &why), ERR_OK);
	assert_int_equal(v.connections, 1);
	assert_non_null(strstr(v.seen, "GET /a?b=c HTTP/1.1\r\n"));
	assert_non_null(strstr(v.seen, "x-test: yes\r\n"));
	assert_null(strstr(v.seen, "Content-Length"));
	http_close(h);
	server_stop(&v);
	unsetenv("http_proxy");
}

static void
test_what_cannot_be_sent_is_refused(void **state)
{
	static const char *const urls[] = { "file:///etc/passwd",
		"ftp://127.0.0.1/x", "gopher://127.0.0.1/", "http://", "" };
	struct http_response r;
	struct http_error why;
	struct http *h;

	(void)state;
	assert_int_equal(http_open(&h, 500), ERR_OK);
	for (size_t i = 0; i < COUNT_OF(urls); i++) {
		struct http_request rq = { .method = "GET", .url = urls[i] };

		assert_int_equal(http_call(h, &rq, &r, &why), ERR_INVAL);
	}
	http_close(h);
}

static void
test_nobody_there(void **state)
{
	struct server v = { .answer = "" };
	struct http_response r;
	struct http_error why;
	struct http *h;

	(void)state;
	server_start(&v);
	server_stop(&v);
	assert_int_equal(http_open(&h, 2000), ERR_OK);
	assert_int_equal(get(h, &v, 0, &r, &why), ERR_PEER);
	assert_string_equal(why.code, "source_unreachable");
	http_close(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_answer_with_its_headers),
		cmocka_unit_test(test_an_answer_without_any),
		cmocka_unit_test(test_a_redirect_is_an_answer),
		cmocka_unit_test(test_a_cut_answer_is_no_answer),
		cmocka_unit_test(test_a_body_past_its_bound),
		cmocka_unit_test(test_gzip_is_unpacked_within_the_bound),
		cmocka_unit_test(
		    test_silence_ends_a_call_and_slowness_does_not),
		cmocka_unit_test(test_an_interrupt_ends_a_wait_at_once),
		cmocka_unit_test(
		    test_connections_are_kept_and_requests_are_clean),
		cmocka_unit_test(test_what_cannot_be_sent_is_refused),
		cmocka_unit_test(test_nobody_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
