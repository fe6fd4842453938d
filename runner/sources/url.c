/* url.c - percent-encoding in one place. */
#include "runner/sources/url.h"

#include <string.h>

void
url_start(struct text *u, const char *base, const char *path)
{
	size_t n = strlen(base);

	while (n > 0 && base[n - 1] == '/')
		n--;
	text_reset(u);
	text_put(u, base, n);
	text_str(u, path);
}

void
url_encode(struct text *t, const char *s)
{
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-._~";

	while (*s != '\0') {
		size_t n = strspn(s, plain);

		text_put(t, s, n);
		s += n;
		if (*s != '\0')
			text_fmt(t, "%%%02X", (unsigned char)*s++);
	}
}

static void
put_pair(struct text *t, const char *name, const char *value)
{
	url_encode(t, name);
	text_ch(t, '=');
	url_encode(t, value);
}

void
url_param(struct text *u, const char *name, const char *value)
{
	if (!value)
		return;
	text_ch(u, u->p && strchr(u->p, '?') ? '&' : '?');
	put_pair(u, name, value);
}

void
form_param(struct text *body, const char *name, const char *value)
{
	if (body->len > 0)
		text_ch(body, '&');
	put_pair(body, name, value);
}
