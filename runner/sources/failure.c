/* failure.c - bounded, printable words. */
#include "runner/sources/failure.h"

#include "shared/json.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[FAILURE__MAX] = {
	[FAILURE_TRANSIENT] = "transient",
	[FAILURE_LIMITED] = "limited",
	[FAILURE_PERMANENT] = "permanent",
	[FAILURE_RECONNECT] = "reconnect",
	[FAILURE_OPERATOR] = "operator",
};

const char *
failure_class_name(enum failure_class class)
{
	return names[class];
}

enum failure_class
failure_class_find(const char *name)
{
	for (int i = 0; i < FAILURE__MAX; i++) {
		if (name && strcmp(names[i], name) == 0)
			return (enum failure_class)i;
	}
	return FAILURE_PERMANENT;
}

void
plain_text(char *to, size_t size, const char *from, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < size; i++) {
		unsigned char c = (unsigned char)from[i];

		to[n++] = c < 0x20 || c == 0x7f ? ' ' : from[i];
	}
	to[n] = '\0';
	/* a cut may have split the last character */
	for (int i = 0; i < 3 && n > 0 && !utf8_valid(to, n); i++) {
		if ((to[n - 1] & 0x80) == 0)
			break;
		to[--n] = '\0';
	}
	if (utf8_valid(to, n))
		return;
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)to[i] >= 0x80)
			to[i] = '?';
	}
}

void
failure_say(struct failure *why, enum failure_class class, const char *code,
    const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	*why = (struct failure){ .class = class };
	snprintf(why->code, sizeof why->code, "%s", code);
	plain_text(why->message, sizeof why->message, text, strlen(text));
}
