/*
 * err.h - the one error type, from libpq to HTTP.
 *
 * Functions that can fail return enum err and are MUST_CHECK, so that a lost
 * error breaks the build.  Out-parameters change only on ERR_OK.
 */
#ifndef SYNCLINE_ERR_H
#define SYNCLINE_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
/* CLEANUP(f) frees a local when it goes out of scope; f takes its address. */
#define CLEANUP(f) __attribute__((cleanup(f)))
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

enum err {
	ERR_OK = 0,
	ERR_NOMEM,       /* memory is gone */
	ERR_INVAL,       /* the caller's input is wrong */
	ERR_TOO_LARGE,   /* an input is past its limit */
	ERR_NOT_FOUND,   /* no such thing, or not the caller's */
	ERR_CONFLICT,    /* a unique key or a concurrent change is in the way */
	ERR_LIMITED,     /* a rate or quota limit refused it */
	ERR_DENIED,      /* identity or role does not allow it */
	ERR_EDGE,       /* no such edge in the state table */
	ERR_FENCED,      /* the sync is not ours any more */
	ERR_INTERRUPTED, /* somebody asked us to stop waiting */
	ERR_TIMEOUT,     /* the deadline passed; the outcome may be unknown */
	ERR_DB_AWAY,     /* PostgreSQL cannot be reached; outcome may be unknown */
	ERR_DB_RETRY,    /* deadlock or serialization failure: run it again */
	ERR_DATA,        /* the database refused a value */
	ERR_DB,          /* any other database error: a bug or a wrong setup */
	ERR_PEER,        /* the other program is away or answered nonsense */
	ERR_IO,          /* a file or socket failed */
	ERR_CRYPTO,      /* a signature or a ciphertext does not hold */
	ERR__MAX
};

/* err_name returns a stable lower-case word, such as "db_away"; never NULL. */
const char *err_name(enum err err);

#endif
