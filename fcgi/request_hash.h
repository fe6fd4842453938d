/*
 * request_hash.h - tells whether two requests ask for the same thing.
 */
#ifndef SYNCLINE_REQUEST_HASH_H
#define SYNCLINE_REQUEST_HASH_H

#include "shared/err.h"
#include <json-c/json.h>

#define REQUEST_HASH_SIZE 65 /* hexadecimal digits, and NUL */

/*
 * request_hash digests method, path and body.  The order of a body's
 * members and its white space make no difference; no body is as {}.
 */
enum err request_hash(const char *method, const char *path, json_object *body,
    char ret[REQUEST_HASH_SIZE]) MUST_CHECK;

#endif
