/* spoil.c - does faults to answers: cut, slow, truncated, not JSON at all. */
#include <stdlib.h>

#include "call.h"

/* Bytes handed out piece by piece; the connection's thread owns it. */
struct spoiled {
	struct sandbox *sb;
	int conn_fd;
	struct buf body;
	size_t sent;
	size_t stop;  /* where to cut; the length: nowhere */
	size_t piece; /* at most this much at once */
	double pause; /* before each piece, seconds */
};

static void
spoiled_free(void *arg)
{
	struct spoiled *sp = arg;

	buf_fini(&sp->body);
	free(sp);
}

static int64_t
spoiled_read(void *arg, char *p, size_t max)
{
	struct spoiled *sp = arg;
	struct call c = { .conn_fd = sp->conn_fd };
	size_t n = sp->stop - sp->sent;

	if (n == 0)
		return sp->stop < sp->body.len ? -1 : 0;
	if (sp->pause > 0 && !call_wait(sp->sb, &c, sp->pause))
		return -1;
	if (n > max)
		n = max;
	if (n > sp->piece)
		n = sp->piece;
	memcpy(p, sp->body.p + sp->sent, n);
	sp->sent += n;
	return (int64_t)n;
}

static struct spoiled *
spoiled_open(struct sandbox *sb, const struct call *c, struct reply *rp)
{
	struct spoiled *sp = calloc(1, sizeof(*sp));

	if (sp == NULL)
		abort();
	sp->sb = sb;
	sp->conn_fd = c->conn_fd;
	sp->body = rp->body;
	sp->stop = sp->piece = rp->body.len;
	rp->body = (struct buf){ 0 };
	rp->stream = (struct stream){ .read = spoiled_read,
		.free = spoiled_free,
		.arg = sp,
		.length = (int64_t)sp->body.len };
	return sp;
}

static uint32_t
crc32_of(const char *p, size_t n)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < n; i++) {
		crc ^= (unsigned char)p[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void
le_bytes(struct buf *b, uint32_t v, int count)
{
	for (int i = 0; i < count; i++)
		buf_ch(b, (char)(v >> (8 * i) & 255));
}

/* gzip_stored wraps the body as gzip without making it any smaller. */
static void
gzip_stored(struct reply *rp)
{
	struct buf z = { 0 };
	size_t at = 0, n;

	buf_put(&z, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
	do {
		n = rp->body.len - at;
		if (n > 65535)
			n = 65535;
		buf_ch(&z, at + n == rp->body.len ? 1 : 0);
		le_bytes(&z, (uint32_t)n, 2);
		le_bytes(&z, ~(uint32_t)n, 2);
		buf_put(&z, rp->body.p + at, n);
		at += n;
	} while (at < rp->body.len);
	le_bytes(&z, crc32_of(rp->body.p, rp->body.len), 4);
	le_bytes(&z, (uint32_t)rp->body.len, 4);
	buf_fini(&rp->body);
	rp->body = z;
	rp->gzip = true;
}

void
reply_spoil(struct sandbox *sb, const struct call *c, struct reply *rp)
{
	struct spoiled *sp;

	switch (c->fault.kind) {
	case FAULT_CUT:
		sp = spoiled_open(sb, c, rp);
		sp->stop = sp->body.len / 2;
		break;
	case FAULT_TRUNCATED:
		rp->body.len /= 2;
		break;
	case FAULT_INVALID_JSON:
		/* A comma too many, as a careless writer leaves it. */
		rp->body.len--;
		buf_lit(&rp->body, ",,}");
		break;
	case FAULT_SLOW:
		sp = spoiled_open(sb, c, rp);
		sp->piece = sp->body.len / 20 + 1;
		sp->pause = c->fault.seconds / 20;
		break;
	case FAULT_GZIP:
		if (c->takes_gzip)
			gzip_stored(rp);
		break;
	/* done while the page was made */
	case FAULT_REPEAT_TOKEN:
	case FAULT_EMPTY_PAGES:
	case FAULT_BAD_RECORD:
	/* not done to answers */
	case FAULT_NONE:
	case FAULT_429:
	case FAULT_500:
	case FAULT_503:
	case FAULT_HTML:
	case FAULT_403_EXPIRED:
	case FAULT_403_UNAUTHORIZED:
	case FAULT_INVALID_GRANT:
	case FAULT_INVALID_CLIENT:
	case FAULT_HUGE:
	case FAULT_HANG:
	case FAULT__MAX:
		break;
	}
}

/* A body of any size that costs no memory: one endless JSON string. */
struct huge {
	int64_t size;
	int64_t sent;
};

static const char huge_head[] = "{\"padding\":\"";
static const char huge_tail[] = "\"}";

static int64_t
huge_read(void *arg, char *p, size_t max)
{
	struct huge *h = arg;
	int64_t head = sizeof(huge_head) - 1, tail = sizeof(huge_tail) - 1;
	size_t n = 0;

	for (; n < max && h->sent < h->size; n++, h->sent++) {
		if (h->sent < head)
			p[n] = huge_head[h->sent];
		else if (h->sent >= h->size - tail)
			p[n] = huge_tail[h->sent - (h->size - tail)];
		else
			p[n] = 'x';
	}
	return (int64_t)n;
}

static void
huge_open(const struct call *c, struct reply *rp)
{
	struct huge *h = calloc(1, sizeof(*h));

	if (h == NULL)
		abort();
	h->size = c->fault.size;
	rp->stream = (struct stream){
		.read = huge_read, .free = free, .arg = h, .length = h->size
	};
}

static void
oauth_error(
    struct reply *rp, int status, const char *error, const char *description)
{
	rp->status = status;
	rp->body.len = 0;
	buf_fmt(&rp->body, "{\"error\":\"%s\",\"error_description\":\"%s\"}",
	    error, description);
}

/* The token exchange has its own shape of errors. */
static bool
refuse_token(const struct call *c, struct reply *rp)
{
	switch ((int)c->fault.kind) {
	case FAULT_429:
		oauth_error(
		    rp, 429, "temporarily_unavailable", "Too many requests.");
		return true;
	case FAULT_500:
		oauth_error(rp, 500, "server_error",
		    "The server met an unexpected condition.");
		return true;
	case FAULT_503:
		oauth_error(rp, 503, "temporarily_unavailable",
		    "The service is overloaded.");
		return true;
	case FAULT_INVALID_GRANT:
		oauth_error(rp, 400, "invalid_grant",
		    "The request has an invalid grant parameter : "
		    "refresh_token");
		return true;
	case FAULT_INVALID_CLIENT:
		oauth_error(
		    rp, 401, "invalid_client", "Client authentication failed");
		return true;
	default:
		return false;
	}
}

void
reply_refuse(struct sandbox *sb, const struct call *c, struct reply *rp)
{
	(void)sb;
	if (c->op == OP_TOKEN && refuse_token(c, rp))
		return;
	switch ((int)c->fault.kind) {
	case FAULT_429:
		reply_error(rp, 429, "QuotaExceeded",
		    "You exceeded your quota for the requested resource.", "");
		break;
	case FAULT_500:
		reply_error(rp, 500, "InternalFailure",
		    "We encountered an internal error. Please try again.", "");
		break;
	case FAULT_503:
		reply_error(rp, 503, "ServiceUnavailable",
		    "Service is temporarily unavailable. Please try again.",
		    "");
		break;
	case FAULT_HTML:
		rp->status = c->fault.status;
		rp->content_type = "text/html";
		buf_lit(&rp->body,
		    "<!DOCTYPE html>\n<html><head><title>"
		    "Service Unavailable</title></head>\n<body><h1>Sorry</h1>"
		    "<p>The request could not be served.</p></body></html>\n");
		break;
	case FAULT_403_EXPIRED:
		reply_denied(rp, "The access token you provided has expired.");
		break;
	case FAULT_403_UNAUTHORIZED:
		reply_denied(rp, "");
		break;
	case FAULT_HUGE:
		huge_open(c, rp);
		break;
	default:
		break;
	}
}
