/* http.c - libmicrohttpd's side: a thread per connection, plain calls. */
#include "http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "call.h"

enum {
	CONNECTIONS_MAX = 1000,
	HEADERS_MAX = 128 * 1024,
	STREAM_BLOCK = 64 * 1024,
};

struct http {
	struct sandbox *sb;
	struct MHD_Daemon *daemon;
	int port;
};

/* A request on its way in. */
struct request {
	char *uri; /* as sent */
	char *path;
	struct call call;
	bool started;
	bool too_big;
};

/* libmicrohttpd decodes queries its own way, so the raw text is kept. */
static void *
on_uri(void *cls, const char *uri, struct MHD_Connection *conn)
{
	struct request *rq = calloc(1, sizeof(*rq));

	(void)cls;
	(void)conn;
	if (rq != NULL)
		rq->uri = strdup(uri);
	return rq;
}

static void
on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
    enum MHD_RequestTerminationCode toe)
{
	struct request *rq = *con_cls;

	(void)cls;
	(void)conn;
	(void)toe;
	if (rq == NULL)
		return;
	params_fini(&rq->call.params);
	buf_fini(&rq->call.body);
	free(rq->uri);
	free(rq->path);
	free(rq);
	*con_cls = NULL;
}

static const char *
header(struct MHD_Connection *conn, const char *name)
{
	return MHD_lookup_connection_value(conn, MHD_HEADER_KIND, name);
}

static void
request_open(
    struct request *rq, struct MHD_Connection *conn, const char *method)
{
	struct call *c = &rq->call;
	size_t path_len = strcspn(rq->uri, "?");
	const char *encoding;
	long n;

	rq->path = malloc(path_len + 1);
	n = rq->path == NULL
	    ? -1
	    : percent_decode(rq->uri, path_len, false, rq->path);
	c->path = n < 0 ? rq->uri : rq->path;
	if (n >= 0)
		rq->path[n] = '\0';
	c->query = rq->uri[path_len] == '?' ? rq->uri + path_len + 1 : "";
	c->params_ok = params_parse(&c->params, c->query, strlen(c->query));
	c->method = method;
	c->agent = header(conn, "User-Agent");
	c->access_token = header(conn, "x-amz-access-token");
	c->content_type = header(conn, "Content-Type");
	c->has_length = header(conn, "Content-Length") != NULL ||
	    header(conn, "Transfer-Encoding") != NULL;
	encoding = header(conn, "Accept-Encoding");
	c->takes_gzip = encoding != NULL && strstr(encoding, "gzip") != NULL;
	c->conn_fd =
	    MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD)
		->connect_fd;
}

static ssize_t
on_read(void *cls, uint64_t pos, char *p, size_t max)
{
	struct stream *st = cls;
	int64_t n;

	(void)pos;
	n = st->read(st->arg, p, max);
	if (n > 0)
		return (ssize_t)n;
	return n == 0 ? MHD_CONTENT_READER_END_OF_STREAM
		      : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void
on_read_end(void *cls)
{
	struct stream *st = cls;

	st->free(st->arg);
	free(st);
}

/* response_of takes the reply's body and stream. */
static struct MHD_Response *
response_of(struct reply *rp)
{
	struct MHD_Response *res;
	struct stream *st;

	if (rp->stream.read == NULL) {
		res = MHD_create_response_from_buffer(
		    rp->body.len, rp->body.p, MHD_RESPMEM_MUST_FREE);
		if (res == NULL)
			buf_fini(&rp->body);
		rp->body = (struct buf){ 0 };
		return res;
	}
	buf_fini(&rp->body);
	st = malloc(sizeof(*st));
	if (st == NULL)
		abort();
	*st = rp->stream;
	res = MHD_create_response_from_callback(
	    st->length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)st->length,
	    STREAM_BLOCK, on_read, st, on_read_end);
	if (res == NULL)
		on_read_end(st);
	return res;
}

/* The Date header carries the test clock: clients derive time from it. */
static void
date_header(struct MHD_Response *res, int64_t now_ms)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu",
		"Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)when_floor_s(now_ms);
	struct tm tm;
	char text[64];

	gmtime_r(&t, &tm);
	snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT",
	    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
	MHD_add_response_header(res, "Date", text);
}

static enum MHD_Result
reply_send(struct sandbox *sb, struct MHD_Connection *conn,
    const struct call *c, struct reply *rp)
{
	struct MHD_Response *res = response_of(rp);
	char request_id[REQUEST_ID_MAX];
	enum MHD_Result result;

	if (res == NULL)
		return MHD_NO;
	date_header(res, when_now_ms(&sb->when));
	MHD_add_response_header(res, "Content-Type", rp->content_type);
	if (c->number > 0) {
		calls_request_id(c->number, request_id);
		MHD_add_response_header(res, "x-amzn-RequestId", request_id);
	}
	if (rp->limit[0] != '\0')
		MHD_add_response_header(
		    res, "x-amzn-RateLimit-Limit", rp->limit);
	if (rp->error_type != NULL)
		MHD_add_response_header(
		    res, "x-amzn-ErrorType", rp->error_type);
	if (rp->gzip)
		MHD_add_response_header(res, "Content-Encoding", "gzip");
	if (c->op == OP_TOKEN)
		MHD_add_response_header(res, "Cache-Control", "no-store");
	result = MHD_queue_response(conn, (unsigned)rp->status, res);
	MHD_destroy_response(res);
	return result;
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *conn, const char *url,
    const char *method, const char *version, const char *data, size_t *size,
    void **con_cls)
{
	struct http *h = cls;
	struct request *rq = *con_cls;
	struct reply rp = { 0 };

	(void)url;
	(void)version;
	if (rq == NULL || rq->uri == NULL)
		return MHD_NO;
	if (!rq->started) {
		rq->started = true;
		request_open(rq, conn, method);
		return MHD_YES;
	}
	if (*size > 0) {
		if (rq->call.body.len + *size > CALL_BODY_MAX)
			rq->too_big = true;
		else
			buf_put(&rq->call.body, data, *size);
		*size = 0;
		return MHD_YES;
	}
	if (rq->too_big) {
		rp.content_type = "application/json";
		reply_error(&rp, 413, "RequestTooLarge",
		    "The request body is too large.", NULL);
	} else {
		call_take(h->sb, &rq->call, &rp);
	}
	if (rp.status == 0) {
		buf_fini(&rp.body);
		return MHD_NO;
	}
	return reply_send(h->sb, conn, &rq->call, &rp);
}

static int
listen_on(const char *bind_to, int port, const char **ret_why)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
	};
	int one = 1, fd;

	if (inet_pton(AF_INET, bind_to, &sin.sin_addr) != 1 ||
	    ntohl(sin.sin_addr.s_addr) >> 24 != 127) {
		*ret_why = "it listens on loopback (127.0.0.0/8) only";
		return -1;
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		*ret_why = "no socket";
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0 ||
	    listen(fd, 512) != 0) {
		*ret_why = "the port is taken or not allowed";
		close(fd);
		return -1;
	}
	return fd;
}

struct http *
http_start(
    struct sandbox *sb, const char *bind_to, int port, const char **ret_why)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	struct http *h;
	int fd = listen_on(bind_to, port, ret_why);

	if (fd < 0)
		return NULL;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		abort();
	h->sb = sb;
	if (getsockname(fd, (struct sockaddr *)&sin, &len) == 0)
		h->port = ntohs(sin.sin_port);
	h->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD |
		MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
		MHD_USE_SUPPRESS_DATE_NO_CLOCK,
	    0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_MAX,
	    MHD_OPTION_END);
	if (h->daemon == NULL) {
		*ret_why = "the HTTP server did not start";
		close(fd);
		free(h);
		return NULL;
	}
	return h;
}

int
http_port(const struct http *h)
{
	return h->port;
}

void
http_stop(struct http *h)
{
	if (h == NULL)
		return;
	MHD_stop_daemon(h->daemon);
	free(h);
}
