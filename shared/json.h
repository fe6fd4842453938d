/*
 * json.h - json-c with our limits and without its surprises.
 *
 * Texts handed out are borrowed from the object.  Nothing blocks.
 */
#ifndef SYNCLINE_JSON_H
#define SYNCLINE_JSON_H

#include "shared/err.h"
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * json_read parses one strict JSON text: valid UTF-8, nothing behind it,
 * depth bounded, no NUL inside strings (PostgreSQL cannot store it).
 * ERR_INVAL: *why (may be NULL) is a static sentence for the sender.
 * The caller owns *ret (json_object_put); JSON null is refused as INVAL.
 */
enum err json_read(const char *text, size_t len, int depth,
    json_object **ret, const char **why) MUST_CHECK;

void json_clearp(json_object **o); /* for CLEANUP */

/* Members: NULL, false or the fallback when absent or of another type. */
const char *json_text(const json_object *o, const char *key);
int64_t json_i64(const json_object *o, const char *key, int64_t fallback);
bool json_flag(const json_object *o, const char *key, bool fallback);
json_object *json_member(const json_object *o, const char *key); /* borrowed */

/*
 * json_decimal gives a member's number (or a string that is a number) as its
 * exact source text, never through double; NULL when absent or no number.
 */
const char *json_decimal(const json_object *o, const char *key);

/* Builders; a NULL text becomes JSON null.  o takes what is put. */
void json_put_text(json_object *o, const char *key, const char *text);
void json_put_i64(json_object *o, const char *key, int64_t v);
void json_put_f64(json_object *o, const char *key, double v); /* short form */
void json_put_bool(json_object *o, const char *key, bool v);
void json_put_null(json_object *o, const char *key);
void json_put_object(json_object *o, const char *key, json_object *v);

/* utf8_valid: RFC 3629, shortest forms, no surrogates, no NUL. */
bool utf8_valid(const char *s, size_t len);

#endif
