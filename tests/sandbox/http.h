/* http.h - the HTTP server on loopback: bytes in, struct call; and back. */
#ifndef SANDBOX_HTTP_H
#define SANDBOX_HTTP_H

struct http;
struct sandbox;

/*
 * http_start listens and answers on threads of its own until http_stop.
 * port 0 picks one.  NULL: *ret_why says why (static text).
 */
struct http *http_start(
    struct sandbox *sb, const char *bind_to, int port, const char **ret_why);
int http_port(const struct http *h);

/* http_stop cuts all connections; sb->stop_fd must be readable by then. */
void http_stop(struct http *h);

#endif
