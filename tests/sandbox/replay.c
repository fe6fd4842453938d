/* replay.c - finds the example that fits a request best, and serves it. */
#include "replay.h"

#include <json-c/json.h>
#include <stdlib.h>

#include "call.h"

struct replay {
	struct json_object *examples; /* an array */
};

struct replay *
replay_open(const char *path, const char **ret_why)
{
	struct json_object *root = json_object_from_file(path);
	struct replay *r;

	if (!json_object_is_type(root, json_type_array)) {
		*ret_why = "not a file with a JSON array";
		json_object_put(root);
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL) {
		*ret_why = "out of memory";
		json_object_put(root);
		return NULL;
	}
	r->examples = root;
	return r;
}

void
replay_close(struct replay *r)
{
	if (r == NULL)
		return;
	json_object_put(r->examples);
	free(r);
}

static struct json_object *
get(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	if (json_object_is_type(o, json_type_object))
		json_object_object_get_ex(o, name, &v);
	return v;
}

static const char *
text(struct json_object *o, const char *name)
{
	struct json_object *v = get(o, name);

	return v == NULL ? "" : json_object_get_string(v);
}

/* As a query would hold it: lists joined by commas. */
static void
query_text(struct json_object *v, struct buf *b)
{
	size_t n;

	if (!json_object_is_type(v, json_type_array)) {
		buf_str(b, v == NULL ? "null" : json_object_get_string(v));
		return;
	}
	n = json_object_array_length(v);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_ch(b, ',');
		query_text(json_object_array_get_idx(v, i), b);
	}
}

static bool
same_text(struct json_object *v, const char *s, size_t len)
{
	struct buf b = { 0 };
	bool same;

	query_text(v, &b);
	same = b.len == len && memcmp(b.p, s, len) == 0;
	buf_fini(&b);
	return same;
}

/*
 * fit_path: how many placeholders have the value the example wants; -1: it
 * is another path.
 */
static int
fit_path(const char *pattern, const char *path, struct json_object *values)
{
	int score = 0;

	for (;;) {
		size_t a = strcspn(pattern, "/"), b = strcspn(path, "/");
		char name[64];

		if (a >= 2 && a < sizeof(name) && pattern[0] == '{') {
			struct json_object *v;

			memcpy(name, pattern + 1, a - 2);
			name[a - 2] = '\0';
			v = get(values, name);
			if (v != NULL && !same_text(v, path, b))
				return -1;
			score += v != NULL;
		} else if (a != b || memcmp(pattern, path, a) != 0) {
			return -1;
		}
		pattern += a;
		path += b;
		if (*pattern != *path)
			return -1;
		if (*pattern == '\0')
			return score;
		pattern++;
		path++;
	}
}

static int
fit_query(struct json_object *wanted, const struct params *ps)
{
	int score = 0;

	if (!json_object_is_type(wanted, json_type_object))
		return 0;
	json_object_object_foreach(wanted, name, v)
	{
		const struct param *p = param_find(ps, name);

		if (p == NULL || !same_text(v, p->value, p->len))
			return -1;
		score++;
	}
	return score;
}

static int
fit_body(struct json_object *wanted, struct json_object *body)
{
	int score = 0;

	if (!json_object_is_type(wanted, json_type_object))
		return 0;
	json_object_object_foreach(wanted, name, v)
	{
		if (!json_object_equal(v, get(body, name)))
			return -1;
		score++;
	}
	return score;
}

static int
fit(struct json_object *example, const struct call *c, const char *path,
    struct json_object *body)
{
	struct json_object *request = get(example, "request");
	int p, q, b;

	if (strcmp(text(example, "method"), c->method) != 0)
		return -1;
	p = fit_path(text(example, "path"), path, get(request, "path"));
	q = fit_query(get(request, "query"), &c->params);
	b = fit_body(get(request, "body"), body);
	return p < 0 || q < 0 || b < 0 ? -1 : p + q + b;
}

void
replay_take(struct sandbox *sb, struct call *c, struct reply *rp)
{
	const char *path = c->path + strlen("/_replay");
	struct json_object *best = NULL, *body = NULL, *answer;
	struct json_tokener *tok;
	int best_score = -1;
	size_t n = sb->replay == NULL
	    ? 0
	    : json_object_array_length(sb->replay->examples);

	if (c->body.len > 0) {
		tok = json_tokener_new();
		body = json_tokener_parse_ex(tok, c->body.p, (int)c->body.len);
		json_tokener_free(tok);
	}
	for (size_t i = 0; i < n; i++) {
		struct json_object *example =
		    json_object_array_get_idx(sb->replay->examples, i);
		int score = fit(example, c, path, body);

		if (score > best_score) {
			best_score = score;
			best = example;
		}
	}
	json_object_put(body);
	if (best == NULL) {
		reply_error(rp, 400, "InvalidInput",
		    "No published example has these arguments.", NULL);
		return;
	}
	rp->status = json_object_get_int(get(best, "status"));
	answer = get(best, "body");
	/*
	 * json-c counts references without a lock but only writes into an
	 * object's own print buffer; two threads must not print one example.
	 */
	pthread_mutex_lock(&sb->lock);
	if (answer != NULL)
		buf_str(&rp->body,
		    json_object_to_json_string_ext(answer,
			JSON_C_TO_STRING_PLAIN |
			    JSON_C_TO_STRING_NOSLASHESCAPE));
	pthread_mutex_unlock(&sb->lock);
}
