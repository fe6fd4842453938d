/*
 * log.h - one line per event on standard error, JSON or text.
 *
 * Never blocks on anything but the write itself; a full disk or a closed
 * stderr loses the line, never the work.  Values are escaped here, so a log
 * line cannot be forged by what it reports.  Secrets have no business in
 * `fields`: pass ids, not objects.
 */
#ifndef SYNCLINE_LOG_H
#define SYNCLINE_LOG_H

#include "shared/err.h"
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* One `"key": value` of a line.  key and text are borrowed. */
struct log_field {
	const char *key;
	const char *text; /* NULL: use number */
	int64_t number;
};

static inline struct log_field
log_str(const char *key, const char *text)
{
	return (struct log_field){ .key = key, .text = text ? text : "" };
}
#define LOG_STR(k, v) log_str((k), (v))
#define LOG_INT(k, v) \
	((struct log_field){ .key = (k), .number = (int64_t)(v) })

/*
 * log_setup names the program in each line and sets the threshold and form.
 * Call once, before the first thread.  Without it: level info, JSON.
 */
void log_setup(const char *program, enum log_level level, bool json);

/* log_level_parse reads "error", "warn", "info" or "debug". */
enum err log_level_parse(const char *text, enum log_level *ret) MUST_CHECK;

/*
 * log_event writes one line: time, level, program, event and the fields.
 * `event` is a stable word such as "sync_claimed".  Use log_at().
 */
void log_event(enum log_level level, const char *event,
    const struct log_field *fields, unsigned n);

/* log_at(LOG_INFO, "runner_up", LOG_STR("address", a), LOG_INT("pid", p)); */
#define log_at(level, event, ...)                                       \
	log_event((level), (event),                                     \
	    (const struct log_field[]){ { 0 }, ##__VA_ARGS__ } + 1,     \
	    (unsigned)(sizeof((const struct log_field[]){ { 0 },        \
	                   ##__VA_ARGS__ }) / sizeof(struct log_field)) - 1)

#endif
