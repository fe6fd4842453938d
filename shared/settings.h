/*
 * settings.h - every setting of both programs, one table.
 *
 * Settings come from the environment (SYNCLINE_*); the table in settings.c
 * is the only place that knows a name, its default and its limits.  Read
 * once at start, immutable afterwards, so any thread may look.
 */
#ifndef SYNCLINE_SETTINGS_H
#define SYNCLINE_SETTINGS_H

#include "shared/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settings {
	/* database */
	const char *db;       /* libpq conninfo or URI */
	int64_t db_pooled;    /* 1: handlers sit behind a transaction pooler */
	int64_t db_pool;      /* database sessions per handler process */
	int64_t db_timeout_ms; /* bound on one statement of a handler */
	/* handlers */
	const char *fcgi_socket;
	int64_t fcgi_processes;
	int64_t fcgi_threads; /* per process */
	int64_t fcgi_recycle; /* requests until a process is replaced; 0 never */
	const char *runner_url; /* comma-separated NNG addresses to dial */
	int64_t hint_timeout_ms;   /* bound on handing a start to a runner */
	int64_t cancel_timeout_ms; /* bound on asking a runner to cancel */
	int64_t start_limit;  /* syncs created a minute and user; 0: no limit */
	bool classic_status;  /* classic surfaces speak their old words */
	/* identity */
	const char *jwt_keys; /* see identity.h */
	const char *jwks_file;
	const char *jwt_audience;
	const char *jwt_issuer;
	const char *admin_claim;
	const char *admin_value;
	bool trust_gateway;   /* X-User-Id counts */
	const char *cors_origins;
	const char *public_origin; /* our own origin, as browsers see it */
	/* secrets of connections */
	const char *vault_key_file;
	/* runner */
	const char *runner_listen; /* the NNG address this runner listens on */
	const char *runner_advertise; /* the address others dial; "": listen */
	const char *runner_name;   /* stable name, for the lock file and logs */
	const char *runner_dir;    /* lock files */
	int64_t workers;
	int64_t max_active;   /* syncs one runner holds in memory */
	int64_t lease_ms;
	int64_t stale_after_s;
	int64_t drain_ms;     /* how long SIGTERM waits for running steps */
	int64_t scan_ms;      /* pause between looks for waiting syncs */
	int64_t retry_attempts;
	int64_t retry_base_ms;
	int64_t retry_cap_ms;
	/* source spapi */
	const char *spapi_endpoint; /* "": Amazon's, by the account's region */
	const char *lwa_url;
	const char *spapi_client_id;
	const char *spapi_client_secret_file;
	const char *spapi_rate_scale; /* decimal; documented rates times this */
	int64_t first_sync_days;
	int64_t overlap_s;    /* how far a window reaches back */
	int64_t source_timeout_ms; /* no byte for so long: give the call up */
	/* logs */
	const char *log_form;  /* json or text */
	const char *log_level;
};

enum setting_kind { SETTING_TEXT, SETTING_INT, SETTING_BOOL };

struct setting_def {
	const char *name; /* environment variable */
	enum setting_kind kind;
	size_t offset; /* in struct settings */
	const char *fallback;
	int64_t min, max; /* SETTING_INT only */
	bool secret; /* may hold a secret: never printed */
	const char *help; /* one sentence, also in README */
};

/* The table, for tests and for --settings; *ret_count entries. */
const struct setting_def *settings_table(size_t *ret_count);

/*
 * settings_load reads the environment.  Texts are owned by the environment
 * (or static) and live as long as the process does not change it.
 * ERR_INVAL: why says which variable and what it takes; it never repeats
 * the value of a secret.
 */
enum err settings_load(
    struct settings *ret, char *why, size_t why_size) MUST_CHECK;

#endif
