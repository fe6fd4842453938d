/*
 * connections.h - the form of a connected account, checked field by field.
 */
#ifndef SYNCLINE_CONNECTIONS_H
#define SYNCLINE_CONNECTIONS_H

#include "fcgi/provider.h"
#include "fcgi/req.h"
#include "shared/vault.h"

/* What a PUT says.  Texts are the body's unless they say otherwise. */
struct connection_form {
	const struct provider *provider;
	const char *label; /* "" when absent */
	const char *region;
	const char *seller_id; /* NULL: keep what is known */
	const char *token;     /* NULL: keep the one on file */
	struct arg is_default;
	char *marketplaces;   /* an array literal; freed by _fini */
	const char *settings; /* JSON text */
};

/* False: rp says which field is wrong (400 `invalid_field`, `field`). */
bool connection_form_read(
    struct connection_form *f, struct req *rq, struct reply *rp) MUST_CHECK;
void connection_form_fini(struct connection_form *f);

/* 1 to 64 of [A-Za-z0-9._-]; NULL is none. */
bool connection_id_valid(const char *id);

/* The path's id.  False: it cannot be one; rp says so. */
bool connection_path_id(
    const struct req *rq, struct reply *rp, const char **ret) MUST_CHECK;

/* Bytes as PostgreSQL reads a bytea; the caller frees it.  NULL: no memory. */
char *bytea_hex(const unsigned char *data, size_t len);

#endif
