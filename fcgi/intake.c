/* intake.c - strict where a client could mean two things, else forgiving. */
#include "fcgi/intake.h"
#include "shared/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

/* --- texts ------------------------------------------------------------ */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* No C0, DEL or C1 (which is 0xC2 0x80 to 0xC2 0x9F in UTF-8). */
static bool
has_control(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c == 0x7f)
			return true;
		if (c == 0xc2 && i + 1 < len && (unsigned char)s[i + 1] < 0xa0)
			return true;
	}
	return false;
}

bool
percent_decode(const char *text, size_t len, bool plus, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%') {
			int hi = i + 2 < len ? hex_digit(text[i + 1]) : -1;
			int lo = hi >= 0 ? hex_digit(text[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return false;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (plus && c == '+') {
			c = ' ';
		}
		out[n++] = c;
	}
	out[n] = '\0';
	return utf8_valid(out, n) && !has_control(out, n);
}

static bool
is_tame(const char *text, size_t max)
{
	static const char tame[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strlen(text);

	return n >= 1 && n <= max && strspn(text, tame) == n;
}

/* --- the request line ------------------------------------------------- */

static void
make_request_id(char *out)
{
	unsigned char b[16];

	if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
		memset(b, 0, sizeof b); /* cannot happen for so few bytes */
	b[6] = (unsigned char)(0x40 | (b[6] & 0x0f));
	b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
	for (size_t i = 0, at = 0; i < sizeof b; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[at++] = '-';
		at += (size_t)sprintf(out + at, "%02x", b[i]);
	}
}

static void
take_request_id(
    struct intake *in, const struct raw_request *raw, struct req *rq)
{
	if (raw->request_id && is_tame(raw->request_id, INTAKE_ID_MAX))
		strcpy(in->request_id, raw->request_id);
	else
		make_request_id(in->request_id);
	rq->request_id = in->request_id;
}

static bool
take_method(struct intake *in, const struct raw_request *raw, struct req *rq)
{
	size_t n = raw->method ? strlen(raw->method) : 0;

	rq->method = in->method;
	if (n == 0 || n >= sizeof in->method ||
	    strspn(raw->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != n) {
		in->method[0] = '\0';
		return false;
	}
	memcpy(in->method, raw->method, n + 1);
	return true;
}

/* A path with dot segments is another path to a proxy than to us. */
static bool
has_odd_segment(const char *path)
{
	for (const char *s = path; *s == '/';) {
		size_t n = strcspn(++s, "/");

		if ((n == 1 && s[0] == '.') ||
		    (n == 2 && s[0] == '.' && s[1] == '.'))
			return true;
		s += n;
	}
	return false;
}

static bool
take_query(struct intake *in, const char *query, struct req *rq)
{
	char *out = in->query;

	while (*query != '\0') {
		size_t len = strcspn(query, "&");
		size_t name = strcspn(query, "=&");
		struct req_param *p;

		if (len > 0) {
			if (rq->n_params == INTAKE_QUERY_PARAMS)
				return false;
			p = &rq->params[rq->n_params++];
			p->name = out;
			if (!percent_decode(query, name, true, out))
				return false;
			out += strlen(out) + 1;
			p->value = out;
			if (name == len) {
				*out = '\0';
			} else if (!percent_decode(query + name + 1,
				       len - name - 1, true, out)) {
				return false;
			}
			out += strlen(out) + 1;
		}
		query += len;
		if (*query == '&')
			query++;
	}
	return true;
}

static bool
is_key(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > INTAKE_KEY_MAX)
		return false;
	for (; *s != '\0'; s++) {
		if (*s < 0x20 || *s > 0x7e)
			return false;
	}
	return true;
}

static bool
refuse(struct reply *rp, const struct req *rq, int status, const char *code,
    const char *sentence)
{
	reply_problem(rp, rq, status, code, sentence);
	return false;
}

bool
intake_line(struct intake *in, const struct raw_request *raw, struct req *rq,
    struct reply *rp)
{
	const char *uri = raw->uri ? raw->uri : "";
	size_t path_len = strcspn(uri, "?#");
	const char *query = uri[path_len] == '?' ? uri + path_len + 1 : "";

	rq->path = in->path;
	in->path[0] = '\0';
	take_request_id(in, raw, rq);
	if (!take_method(in, raw, rq))
		return refuse(rp, rq, 400, "bad_method",
		    "The method is not one of HTTP's.");
	if (path_len > REQ_PATH_MAX || strlen(query) > INTAKE_QUERY_MAX)
		return refuse(
		    rp, rq, 414, "uri_too_long", "The address is too long.");
	if (path_len == 0 || uri[0] != '/' ||
	    !percent_decode(uri, path_len, false, in->path) ||
	    has_odd_segment(in->path))
		return refuse(rp, rq, 400, "bad_path",
		    "The path is not percent-encoded UTF-8 without dot "
		    "segments.");
	if (!take_query(in, query, rq)) {
		rq->n_params = 0;
		return refuse(rp, rq, 400, "bad_query",
		    "The query is not properly encoded UTF-8 text, or has "
		    "too many parameters.");
	}
	if (raw->idempotency_key && *raw->idempotency_key != '\0') {
		if (!is_key(raw->idempotency_key))
			return refuse(rp, rq, 400, "bad_header",
			    "The header Idempotency-Key takes 1 to 128 visible "
			    "characters.");
		rq->idempotency_key = raw->idempotency_key;
	}
	return true;
}

/* --- the body --------------------------------------------------------- */

/* -1: none was sent; -2: not a length. */
static long long
stated_length(const struct raw_request *raw)
{
	const char *text = raw->content_length;
	size_t n;

	if (!text || *text == '\0')
		return -1;
	n = strspn(text, "0123456789");
	if (text[n] != '\0')
		return -2;
	return n > 15 ? 1000000000000000 : strtoll(text, NULL, 10);
}

/* Exactly application/json, in any case, in UTF-8 when it says so. */
static bool
is_json_type(const char *type)
{
	static const char json[] = "application/json";
	const char *p;

	if (!type || strncasecmp(type, json, sizeof json - 1) != 0)
		return false;
	p = type + sizeof json - 1;
	p += strspn(p, " \t");
	if (*p == '\0')
		return true;
	if (*p++ != ';')
		return false;
	p += strspn(p, " \t");
	if (strncasecmp(p, "charset=", 8) != 0)
		return *p == '\0' || strcasestr(p, "charset") == NULL;
	p += 8;
	return strcasecmp(p, "utf-8") == 0 || strcasecmp(p, "\"utf-8\"") == 0;
}

/* Reads to the end; the length is past max when there is more than that. */
static char *
read_all(const struct raw_request *raw, size_t max, size_t hint, size_t *ret)
{
	size_t room = hint < max ? hint + 1 : max + 1, len = 0, n;
	char *buf = malloc(room + 1), *more;

	while (buf && (n = raw->read(raw->arg, buf + len, room - len)) > 0) {
		len += n;
		if (len > max)
			break;
		if (len < room)
			continue;
		room = room * 2 < max + 1 ? room * 2 : max + 1;
		more = realloc(buf, room + 1);
		if (!more) {
			free(buf);
			return NULL;
		}
		buf = more;
	}
	if (buf)
		buf[len] = '\0';
	*ret = len;
	return buf;
}

static bool
parse_body(const struct raw_request *raw, struct req *rq, struct reply *rp,
    const char *text, size_t len)
{
	json_object *body;
	const char *why = NULL;
	char sentence[160];
	enum err err;

	if (!is_json_type(raw->content_type))
		return refuse(rp, rq, 415, "unsupported_media_type",
		    "A body is JSON in UTF-8, with the content type "
		    "application/json.");
	err = json_read(text, len, INTAKE_JSON_DEPTH, &body, &why);
	if (err == ERR_NOMEM) {
		reply_err(rp, rq, err);
		return false;
	}
	if (!err && !json_object_is_type(body, json_type_object)) {
		json_object_put(body);
		err = ERR_INVAL;
		why = "it is not an object";
	}
	if (err) {
		snprintf(sentence, sizeof sentence,
		    "The body cannot be read as JSON: %s.", why);
		return refuse(rp, rq, 400, "invalid_json", sentence);
	}
	rq->body = body;
	return true;
}

bool
intake_body(const struct raw_request *raw, struct req *rq, struct reply *rp)
{
	size_t max = rq->route->max_body, len = 0;
	long long stated = stated_length(raw);
	char *text;
	bool ok;

	if (max == 0 || (rq->route->flags & ROUTE_ANY_BODY) || stated == 0)
		return true;
	if (stated == -2)
		return refuse(rp, rq, 400, "bad_header",
		    "The header Content-Length is not a number.");
	if (stated > (long long)max)
		return refuse(
		    rp, rq, 413, "payload_too_large", "The body is too large.");
	text = read_all(raw, max, stated > 0 ? (size_t)stated : 1023, &len);
	if (!text) {
		reply_err(rp, rq, ERR_NOMEM);
		return false;
	}
	if (len > max)
		ok = refuse(
		    rp, rq, 413, "payload_too_large", "The body is too large.");
	else if (stated >= 0 && len != (size_t)stated)
		ok = refuse(rp, rq, 400, "incomplete_body",
		    "The body does not have the length it was said to have.");
	else
		ok = len == 0 || parse_body(raw, rq, rp, text, len);
	free(text);
	return ok;
}
