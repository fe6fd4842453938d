/* err.c - the names of errors, for logs. */
#include "shared/err.h"

static const char *const names[ERR__MAX] = {
	[ERR_OK] = "ok",
	[ERR_NOMEM] = "no_memory",
	[ERR_INVAL] = "invalid",
	[ERR_TOO_LARGE] = "too_large",
	[ERR_NOT_FOUND] = "not_found",
	[ERR_CONFLICT] = "conflict",
	[ERR_LIMITED] = "limited",
	[ERR_DENIED] = "denied",
	[ERR_EDGE] = "edge",
	[ERR_FENCED] = "fenced",
	[ERR_INTERRUPTED] = "interrupted",
	[ERR_TIMEOUT] = "timeout",
	[ERR_DB_AWAY] = "db_away",
	[ERR_DB_RETRY] = "db_retry",
	[ERR_DATA] = "data",
	[ERR_DB] = "db",
	[ERR_PEER] = "peer",
	[ERR_IO] = "io",
	[ERR_CRYPTO] = "crypto",
};

const char *
err_name(enum err err)
{
	if ((unsigned)err >= ERR__MAX)
		return "unknown";
	return names[err];
}
