/* request_hash.c - BLAKE2b over a canonical form of the request. */
#include "fcgi/request_hash.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST_BYTES ((REQUEST_HASH_SIZE - 1) / 2)

static void
add_text(crypto_generichash_state *d, const char *text)
{
	/* with its NUL, so that neighbours cannot trade characters */
	crypto_generichash_update(
	    d, (const unsigned char *)text, strlen(text) + 1);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum err add_value(crypto_generichash_state *d, json_object *v);

static enum err
add_members(crypto_generichash_state *d, json_object *o)
{
	size_t n = (size_t)json_object_object_length(o), i = 0;
	const char **names = calloc(n + 1, sizeof *names);
	enum err err = ERR_OK;

	if (!names)
		return ERR_NOMEM;
	json_object_object_foreach(o, key, unused)
	{
		(void)unused;
		names[i++] = key;
	}
	qsort(names, n, sizeof *names, by_name);
	for (i = 0; i < n && !err; i++) {
		add_text(d, names[i]);
		err = add_value(d, json_object_object_get(o, names[i]));
	}
	free(names);
	return err;
}

/* The parser bounds the depth, so this may recurse. */
static enum err
add_value(crypto_generichash_state *d, json_object *v)
{
	enum err err = ERR_OK;

	if (json_object_is_type(v, json_type_object)) {
		add_text(d, "{");
		err = add_members(d, v);
		add_text(d, "}");
	} else if (json_object_is_type(v, json_type_array)) {
		add_text(d, "[");
		for (size_t i = 0; i < json_object_array_length(v) && !err; i++)
			err = add_value(d, json_object_array_get_idx(v, i));
		add_text(d, "]");
	} else {
		const char *text =
		    json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN);

		if (!text)
			return ERR_NOMEM;
		add_text(d, text);
	}
	return err;
}

enum err
request_hash(const char *method, const char *path, json_object *body,
    char ret[REQUEST_HASH_SIZE])
{
	unsigned char bytes[DIGEST_BYTES];
	enum err err = ERR_OK;
	crypto_generichash_state d;

	crypto_generichash_init(&d, NULL, 0, sizeof bytes);
	add_text(&d, method);
	add_text(&d, path);
	if (body && json_object_object_length(body) > 0)
		err = add_value(&d, body);
	if (err)
		return err;
	crypto_generichash_final(&d, bytes, sizeof bytes);
	sodium_bin2hex(ret, REQUEST_HASH_SIZE, bytes, sizeof bytes);
	return ERR_OK;
}
