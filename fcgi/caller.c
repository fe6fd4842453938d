/* caller.c - finds the token a request carries and judges by it. */
#include "fcgi/caller.h"
#include "fcgi/origin.h"

#include <string.h>
#include <strings.h>

struct token {
	const char *text; /* NULL: none; borrowed from the headers */
	size_t len;
	bool cookie; /* the browser adds it unasked */
};

static struct token
bearer_token(const char *header)
{
	struct token t = { .text = NULL };

	if (!header || strncasecmp(header, "Bearer", 6) != 0 ||
	    (header[6] != ' ' && header[6] != '\t' && header[6] != '\0'))
		return t;
	t.text = header + 6 + strspn(header + 6, " \t");
	t.len = strcspn(t.text, " \t");
	return t;
}

static struct token
cookie_token(const char *header)
{
	static const char name[] = "session_token=";
	struct token t = { .text = NULL, .cookie = true };
	const char *p = header ? header : "";

	while (*p != '\0') {
		size_t n;

		p += strspn(p, "; \t");
		n = strcspn(p, ";");
		if (strncmp(p, name, sizeof name - 1) == 0) {
			t.text = p + sizeof name - 1;
			t.len = n - (sizeof name - 1);
			while (t.len > 0 &&
			    (t.text[t.len - 1] == ' ' ||
				t.text[t.len - 1] == '\t'))
				t.len--;
			if (t.len >= 2 && t.text[0] == '"' &&
			    t.text[t.len - 1] == '"') {
				t.text++;
				t.len -= 2;
			}
			return t;
		}
		p += n;
	}
	return t;
}

static bool
unauthorized(struct req *rq, struct reply *rp)
{
	reply_problem(rp, rq, 401, "unauthorized",
	    "Sign in to use this: the request carries no valid token.");
	return false;
}

static bool
identify(struct keyring *k, const struct raw_request *raw, struct req *rq,
    struct reply *rp, struct token *t, const char **ret_why)
{
	const char *user = raw->gateway_user;
	enum err err;

	*t = bearer_token(raw->authorization);
	if (!t->text)
		*t = cookie_token(raw->cookie);
	if (!t->text && rq->settings->trust_gateway && user &&
	    identity_user_valid(user, strlen(user))) {
		strcpy(rq->who.user, user);
		return true;
	}
	if (!t->text) {
		*ret_why = "no_token";
		return unauthorized(rq, rp);
	}
	err = identity_verify(k, t->text, t->len, &rq->who, ret_why);
	if (err == ERR_DENIED)
		return unauthorized(rq, rp);
	if (err) {
		reply_err(rp, rq, err);
		return false;
	}
	return true;
}

static bool
is_write(const char *method)
{
	return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
}

bool
caller_check(struct keyring *k, const struct raw_request *raw, struct req *rq,
    struct reply *rp, const char **ret_why)
{
	struct token t;

	*ret_why = NULL;
	if (rq->route->auth == AUTH_NONE)
		return true;
	if (!identify(k, raw, rq, rp, &t, ret_why))
		return false;
	if (t.text && t.cookie && is_write(rq->method) &&
	    !origin_may_write(rq->settings, raw)) {
		reply_problem(rp, rq, 403, "origin_not_allowed",
		    "This page may not act in the name of a signed-in user.");
		return false;
	}
	if (rq->route->auth == AUTH_ADMIN && !rq->who.admin) {
		reply_problem(rp, rq, 403, "forbidden",
		    "This is for administrators only.");
		return false;
	}
	return true;
}
