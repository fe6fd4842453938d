/* connection_form.c - what a PUT of a connection may say, field by field. */
#include "fcgi/connections.h"
#include "shared/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_MAX (16 * 1024)
#define LABEL_MAX 200
#define SELLER_MAX 128
#define SETTINGS_MAX (64 * 1024)
#define MARKETPLACES_MAX 64
#define MARKETPLACE_MAX 32

static const struct provider providers[] = {
	{ "spapi", true },
};

const struct provider *
provider_table(size_t *ret_count)
{
	*ret_count = COUNT_OF(providers);
	return providers;
}

const struct provider *
provider_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(providers); i++) {
		if (strcmp(providers[i].name, name) == 0)
			return &providers[i];
	}
	return NULL;
}

bool
connection_id_valid(const char *id)
{
	size_t n = id ? strlen(id) : 0;

	return n >= 1 && n <= 64 &&
	    strspn(id,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._-") == n;
}

bool
connection_path_id(const struct req *rq, struct reply *rp, const char **ret)
{
	const char *id = req_param(rq, "id");

	if (connection_id_valid(id)) {
		*ret = id;
		return true;
	}
	json_put_text(
	    reply_problem(rp, rq, 400, "invalid_parameter",
		"A connection's id has 1 to 64 letters, digits, dots, "
		"underscores and hyphens."),
	    "field", "id");
	return false;
}

char *
bytea_hex(const unsigned char *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *out = malloc(2 * len + 3), *at = out;

	if (!out)
		return NULL;
	*at++ = '\\';
	*at++ = 'x';
	for (size_t i = 0; i < len; i++) {
		*at++ = digits[data[i] >> 4];
		*at++ = digits[data[i] & 15];
	}
	*at = '\0';
	return out;
}

/* --- fields ----------------------------------------------------------- */

static bool
wrong(const struct req *rq, struct reply *rp, const char *field,
    const char *takes)
{
	char sentence[160];

	snprintf(
	    sentence, sizeof sentence, "The field %s takes %s.", field, takes);
	json_put_text(reply_problem(rp, rq, 400, "invalid_field", sentence),
	    "field", field);
	return false;
}

static bool
is_plain(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	}
	return true;
}

/* An absent or null field leaves *ret as it is. */
static bool
take_text(struct req *rq, struct reply *rp, const char *field, size_t max,
    const char **ret)
{
	json_object *v = json_member(rq->body, field);
	const char *text = json_text(rq->body, field);
	char takes[64];

	if (!v)
		return true;
	if (text && strlen(text) >= 1 && strlen(text) <= max &&
	    is_plain(text)) {
		*ret = text;
		return true;
	}
	snprintf(takes, sizeof takes, "a text of 1 to %zu bytes", max);
	return wrong(rq, rp, field, takes);
}

static bool
take_provider(struct connection_form *f, struct req *rq, struct reply *rp)
{
	const char *name = "spapi";

	if (!take_text(rq, rp, "provider", 64, &name))
		return false;
	f->provider = provider_find(name);
	if (f->provider)
		return true;
	json_put_text(reply_problem(rp, rq, 400, "unknown_provider",
			  "This service cannot read from that provider."),
	    "field", "provider");
	return false;
}

static bool
take_region(struct connection_form *f, struct req *rq, struct reply *rp)
{
	static const char *const known[] = { "na", "eu", "fe" };

	f->region = "na";
	if (!take_text(rq, rp, "region", 8, &f->region))
		return false;
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		if (strcmp(f->region, known[i]) == 0)
			return true;
	}
	return wrong(rq, rp, "region", "na, eu or fe");
}

static bool
take_marketplaces(struct connection_form *f, struct req *rq, struct reply *rp)
{
	json_object *list = json_member(rq->body, "marketplaces");
	const char *items[MARKETPLACES_MAX];
	size_t n = 0;
	bool fine = true;

	if (list) {
		fine = json_object_is_type(list, json_type_array);
		n = fine ? json_object_array_length(list) : 0;
		fine = fine && n <= MARKETPLACES_MAX;
	}
	for (size_t i = 0; fine && i < n; i++) {
		json_object *v = json_object_array_get_idx(list, i);
		size_t len;

		fine = json_object_is_type(v, json_type_string);
		if (!fine)
			break;
		items[i] = json_object_get_string(v);
		len = strlen(items[i]);
		fine = len >= 1 && len <= MARKETPLACE_MAX && is_plain(items[i]);
	}
	if (!fine)
		return wrong(rq, rp, "marketplaces",
		    "a list of at most 64 marketplace ids");
	f->marketplaces = array_text(items, n);
	if (!f->marketplaces)
		reply_err(rp, rq, ERR_NOMEM);
	return f->marketplaces != NULL;
}

static bool
take_flag(struct connection_form *f, struct req *rq, struct reply *rp)
{
	json_object *v = json_member(rq->body, "isDefault");

	f->is_default = arg_null();
	if (!v)
		return true;
	if (!json_object_is_type(v, json_type_boolean))
		return wrong(rq, rp, "isDefault", "true or false");
	f->is_default = arg_bool(json_object_get_boolean(v));
	return true;
}

static bool
take_settings(struct connection_form *f, struct req *rq, struct reply *rp)
{
	json_object *v = json_member(rq->body, "settings");

	f->settings = "{}";
	if (!v)
		return true;
	if (!json_object_is_type(v, json_type_object))
		return wrong(rq, rp, "settings", "an object");
	f->settings = json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN);
	if (strlen(f->settings) > SETTINGS_MAX)
		return wrong(rq, rp, "settings", "an object of at most 64 KiB");
	return true;
}

bool
connection_form_read(
    struct connection_form *f, struct req *rq, struct reply *rp)
{
	*f = (struct connection_form){ .label = "" };
	if (!rq->body)
		return wrong(rq, rp, "body",
		    "an object that says what to "
		    "connect");
	return take_provider(f, rq, rp) &&
	    take_text(rq, rp, "label", LABEL_MAX, &f->label) &&
	    take_region(f, rq, rp) &&
	    take_text(rq, rp, "sellerId", SELLER_MAX, &f->seller_id) &&
	    take_text(rq, rp, "refreshToken", TOKEN_MAX, &f->token) &&
	    take_marketplaces(f, rq, rp) && take_flag(f, rq, rp) &&
	    take_settings(f, rq, rp);
}

void
connection_form_fini(struct connection_form *f)
{
	free(f->marketplaces);
}
