/*
 * failure.h - puts a failure of a source into words, within their bounds.
 */
#ifndef SYNCLINE_FAILURE_H
#define SYNCLINE_FAILURE_H

#include "runner/source.h"

/* failure_say fills *why; text that came from outside is made plain. */
void failure_say(struct failure *why, enum failure_class class,
    const char *code, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* plain_text copies at most size - 1 bytes, control characters and broken
 * UTF-8 replaced: for logs and messages. */
void plain_text(char *to, size_t size, const char *from, size_t len);

/* Names of classes, for checkpoints. */
const char *failure_class_name(enum failure_class class);
enum failure_class failure_class_find(const char *name); /* else PERMANENT */

#endif
