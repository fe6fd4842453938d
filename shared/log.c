/* log.c - builds one line in a local buffer and writes it with one write(2). */
#include "shared/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

/* Set once before the first thread, only read afterwards. */
static struct {
	const char *program;
	enum log_level level;
	bool json;
} conf = { "syncline", LOG_INFO, true };

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
};

void
log_setup(const char *program, enum log_level level, bool json)
{
	conf.program = program;
	conf.level = level;
	conf.json = json;
}

enum err
log_level_parse(const char *text, enum log_level *ret)
{
	for (unsigned i = 0; i < COUNT_OF(level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return ERR_OK;
		}
	}
	return ERR_INVAL;
}

static void
put(struct line *l, const char *s, size_t n)
{
	/* two bytes stay free for the closing brace and the newline */
	if (n > sizeof l->text - 2 - l->len)
		n = sizeof l->text - 2 - l->len;
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

static void
put_str(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

/* put_quoted escapes whole characters only, so a cut line stays valid JSON. */
static void
put_quoted(struct line *l, const char *s)
{
	put_str(l, "\"");
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;
		char esc[8];
		int n;

		if (c == '"' || c == '\\')
			n = snprintf(esc, sizeof esc, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			n = snprintf(esc, sizeof esc, "\\u%04x", c);
		else
			n = snprintf(esc, sizeof esc, "%c", c);
		if (l->len + (size_t)n + 8 > sizeof l->text)
			break;
		put(l, esc, (size_t)n);
	}
	put_str(l, "\"");
}

static void
put_field(struct line *l, const struct log_field *f)
{
	char num[24];

	/* a field that might not fit whole is left out: a line stays valid */
	if (l->len + strlen(f->key) + 32 > sizeof l->text)
		return;
	if (conf.json) {
		put_str(l, ",");
		put_quoted(l, f->key);
		put_str(l, ":");
	} else {
		put_str(l, " ");
		put_str(l, f->key);
		put_str(l, "=");
	}
	if (f->text) {
		put_quoted(l, f->text);
		return;
	}
	snprintf(num, sizeof num, "%lld", (long long)f->number);
	put_str(l, num);
}

void
log_event(enum log_level level, const char *event,
    const struct log_field *fields, unsigned n)
{
	struct line l = { .len = 0 };
	struct timespec now;
	struct tm tm;
	char head[160];
	ssize_t written;

	if (level > conf.level)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	snprintf(head, sizeof head,
	    conf.json ? "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\","
			"\"level\":\"%s\",\"program\":\"%s\",\"event\":\"%s\""
		      : "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %s %s",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
	    tm.tm_sec, (int)(now.tv_nsec / 1000000), level_names[level],
	    conf.program, event);
	put_str(&l, head);
	for (unsigned i = 0; i < n; i++)
		put_field(&l, &fields[i]);
	if (conf.json)
		l.text[l.len++] = '}';
	l.text[l.len++] = '\n';
	written = write(STDERR_FILENO, l.text, l.len);
	(void)written; /* nowhere left to complain to */
}
