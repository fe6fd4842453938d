/*
 * calls.h - the log of calls, for tests to see what a client did.
 *
 * The newest calls are kept, bounded in number and bytes.  A call is in the
 * log from its arrival, with status 0 until it is answered.  Safe from any
 * thread.
 */
#ifndef SANDBOX_CALLS_H
#define SANDBOX_CALLS_H

#include <pthread.h>
#include <stdio.h>

#include "buf.h"
#include "limits.h"
#include "seller.h"

enum {
	CALLS_MAX = 200000,
	CALLS_BYTES_MAX = 96 * 1024 * 1024,
	REQUEST_ID_MAX = 40,
};

struct call_entry {
	int64_t time_ms; /* test clock */
	enum op op;
	int status;
	const char *fault; /* a name that lives for ever, or NULL */
	int64_t took_us;
	char seller[SELLER_ID_MAX];
	/* one block: method, path, raw query and user agent, each ended by 0 */
	char *text;
	size_t text_len;
};

struct calls {
	pthread_mutex_t lock; /* guards all below */
	struct call_entry *ring;
	uint64_t next;  /* number of the next call, from 1 */
	uint64_t first; /* the oldest kept */
	uint64_t lost;  /* the newest that had to make room */
	size_t bytes;
	FILE *file; /* borrowed; NULL: none */
};

void calls_init(struct calls *cs, FILE *file);
void calls_fini(struct calls *cs);

/* calls_begin returns the call's number. */
uint64_t calls_begin(struct calls *cs, int64_t time_ms, enum op op,
    const char *method, const char *path, const char *query, const char *agent);

/* calls_of says whose call it is, as soon as that is known. */
void calls_of(struct calls *cs, uint64_t n, const char *seller);

/* calls_end completes it, writes it to the file, if any. */
void calls_end(struct calls *cs, uint64_t n, const char *seller, int status,
    const char *fault, int64_t took_us);

/* calls_clear forgets all; numbers go on. */
void calls_clear(struct calls *cs);
uint64_t calls_total(struct calls *cs);

/*
 * calls_json appends {"calls":[...],"next":N,"truncated":bool}: those with a
 * number > since, limited to a seller and an operation unless "" and
 * OP_NONE.
 */
void calls_json(struct calls *cs, struct buf *b, uint64_t since,
    const char *seller, enum op op);

/* The x-amzn-RequestId of call n. */
void calls_request_id(uint64_t n, char ret[REQUEST_ID_MAX]);

#endif
