/*
 * call.h - one HTTP call and its reply, apart from any HTTP library.
 */
#ifndef SANDBOX_CALL_H
#define SANDBOX_CALL_H

#include "params.h"
#include "sandbox.h"

enum { CALL_BODY_MAX = 1024 * 1024 };

struct call {
	const char *method;
	char *path;        /* decoded */
	const char *query; /* as sent */
	struct params params;
	struct buf body;
	bool params_ok;

	/* headers; NULL: not sent */
	const char *agent;
	const char *access_token;
	const char *content_type;
	bool has_length; /* Content-Length or Transfer-Encoding came */
	bool takes_gzip;

	int conn_fd; /* to notice that the client went away */

	uint64_t number; /* in the log; 0: control, not logged */
	enum op op;
	int64_t now_ms; /* test clock, one moment for the whole call */
	struct seller *seller;
	struct fault fault; /* kind FAULT_NONE: behave */
};

/*
 * A reply too big or too slow for one buffer: read is called from the
 * connection's thread until it gives 0 (the end) or -1 (cut the connection);
 * it may block.
 */
struct stream {
	int64_t (*read)(void *arg, char *p, size_t max);
	void (*free)(void *arg);
	void *arg;
	int64_t length; /* -1: unknown */
};

struct reply {
	int status;
	struct buf body;
	struct stream stream; /* read NULL: the reply is `body` */
	const char *content_type;
	const char *error_type; /* x-amzn-ErrorType, or NULL */
	bool gzip;
	char limit[24]; /* x-amzn-RateLimit-Limit, or "" */
};

/*
 * reply_error replaces the body by Amazon's envelope and sets the status.
 * details may be NULL.
 */
void reply_error(struct reply *rp, int status, const char *code,
    const char *message, const char *details);

/* The usual ones. */
void reply_invalid(struct reply *rp, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void reply_denied(struct reply *rp, const char *details);

/* call_wait sleeps; false: the client left or the program ends. */
bool call_wait(struct sandbox *sb, const struct call *c, double seconds);

/* call_take runs the whole call: routes, checks, faults, log. */
void call_take(struct sandbox *sb, struct call *c, struct reply *rp);

/* reply_spoil does a fault to a finished answer. */
void reply_spoil(struct sandbox *sb, const struct call *c, struct reply *rp);

/* reply_refuse answers with a fault instead of the real thing. */
void reply_refuse(struct sandbox *sb, const struct call *c, struct reply *rp);

/* --- the operations; each answers with status 200 or an error --- */

void token_exchange(struct sandbox *sb, struct call *c, struct reply *rp);
void orders_search(struct sandbox *sb, struct call *c, struct reply *rp);
void order_get(struct sandbox *sb, struct call *c, struct reply *rp);
void inventory_list(struct sandbox *sb, struct call *c, struct reply *rp);
void transactions_list(struct sandbox *sb, struct call *c, struct reply *rp);
void participations_list(struct sandbox *sb, struct call *c, struct reply *rp);

/* token_caller: who asks for a token, NULL: unknown.  Checks nothing. */
struct seller *token_caller(struct sandbox *sb, struct call *c);

/* --- what is not Amazon's --- */

void control_take(struct sandbox *sb, struct call *c, struct reply *rp);
void replay_take(struct sandbox *sb, struct call *c, struct reply *rp);

/* truth_open answers with the rows a perfect client would hold. */
void truth_open(
    struct sandbox *sb, struct call *c, const char *table, struct reply *rp);

#endif
