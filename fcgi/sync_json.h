/*
 * sync_json.h - a sync's row as the API shows it.
 *
 * Rows are those of the view sync_object.  What a row does not tell is null,
 * never 0.  Nothing blocks.  json-c ends the process when memory is gone, so
 * builders return objects, not errors.
 */
#ifndef SYNCLINE_SYNC_JSON_H
#define SYNCLINE_SYNC_JSON_H

#include "fcgi/req.h"
#include "shared/status.h"
#include <json-c/json.h>
#include <libpq-fe.h>
#include <stdbool.h>

enum sync_words { WORDS_CANONICAL, WORDS_CLASSIC };

/* sync_words_of gives the words of the surface a request came in on. */
enum sync_words sync_words_of(const struct req *rq);

/* The status word of a surface. */
const char *sync_word(enum status s, enum sync_words words);

/*
 * sync_put_words adds `status` in the surface's words and `state`, the
 * canonical word.  A word that is none of ours passes as it is.
 */
void sync_put_words(json_object *o, const char *stored, enum sync_words words);

/* sync_json makes the whole object of a row; the caller owns it. */
json_object *sync_json(const PGresult *res, int row, enum sync_words words);

/* sync_json_item is the same for lists: `error` is the message text. */
json_object *
sync_json_item(const PGresult *res, int row, enum sync_words words);

/* sync_json_put adds the members of sync_json to o. */
void sync_json_put(
    json_object *o, const PGresult *res, int row, enum sync_words words);

/* sync_json_put_idle adds the same members for a user without any sync. */
void sync_json_put_idle(json_object *o, const char *user_id);

/*
 * sync_streams_json makes the array of a sync's streams, in their order,
 * from the column `streams` (NULL: none).  The caller owns it.
 */
json_object *sync_streams_json(const char *streams);

/* priority_parse: low, normal, high, urgent.  ERR_INVAL: another word. */
enum err priority_parse(const char *word, int *ret) MUST_CHECK;
const char *priority_name(int64_t priority); /* never NULL */

#endif
