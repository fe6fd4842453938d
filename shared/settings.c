/* settings.c - the table of settings and the loop that fills it. */
#include "shared/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(env, field, dflt, text)                                  \
	{ .name = "SYNCLINE_" env, .kind = SETTING_TEXT,              \
		.offset = offsetof(struct settings, field),           \
		.fallback = (dflt), .help = (text) }
#define SECRET(env, field, dflt, text)                                \
	{ .name = "SYNCLINE_" env, .kind = SETTING_TEXT,              \
		.offset = offsetof(struct settings, field),           \
		.fallback = (dflt), .secret = true, .help = (text) }
#define INT(env, field, dflt, lo, hi, text)                           \
	{ .name = "SYNCLINE_" env, .kind = SETTING_INT,               \
		.offset = offsetof(struct settings, field),           \
		.fallback = (dflt), .min = (lo), .max = (hi), .help = (text) }
#define BOOL(env, field, dflt, text)                                  \
	{ .name = "SYNCLINE_" env, .kind = SETTING_BOOL,              \
		.offset = offsetof(struct settings, field),           \
		.fallback = (dflt), .help = (text) }

/* clang-format off */
static const struct setting_def table[] = {
	SECRET("DB", db, "dbname=syncline",
	    "PostgreSQL: a libpq connection string or URI."),
	INT("DB_POOLED", db_pooled, "0", 0, 1,
	    "1 when the handlers reach PostgreSQL through a transaction pooler."),
	INT("DB_POOL", db_pool, "12", 1, 256,
	    "Database sessions of one handler process."),
	INT("DB_TIMEOUT_MS", db_timeout_ms, "10000", 100, 600000,
	    "Bound on one statement of a handler, in milliseconds."),

	TEXT("FCGI_SOCKET", fcgi_socket, "var/run/fcgi.sock",
	    "Unix socket on which nginx reaches the handlers."),
	INT("FCGI_PROCESSES", fcgi_processes, "2", 1, 64,
	    "Handler processes."),
	INT("FCGI_THREADS", fcgi_threads, "32", 1, 512,
	    "Threads of one handler process."),
	INT("FCGI_RECYCLE", fcgi_recycle, "200000", 0, 1000000000,
	    "Requests after which a handler process is replaced; 0 is never."),
	TEXT("RUNNER_URL", runner_url, "ipc://var/run/runner.sock",
	    "NNG addresses of runners that handlers dial, comma-separated."),
	INT("HINT_TIMEOUT_MS", hint_timeout_ms, "50", 1, 5000,
	    "Bound on telling a runner of a new sync, in milliseconds."),
	INT("CANCEL_TIMEOUT_MS", cancel_timeout_ms, "250", 10, 10000,
	    "Bound on asking a runner to cancel, in milliseconds."),
	INT("START_LIMIT", start_limit, "10", 0, 1000000,
	    "Syncs one user may create in a minute; 0 is no limit."),
	BOOL("CLASSIC_STATUS", classic_status, "on",
	    "Whether the classic surfaces speak the older status words."),

	SECRET("JWT_KEYS", jwt_keys, "",
	    "Keys that sign tokens: ALG[:kid]=@file or ALG[:kid]=secret, "
	    "space-separated; ALG is HS256, RS256 or ES256."),
	TEXT("JWKS_FILE", jwks_file, "",
	    "A JWKS file with further keys, read again when it changes."),
	TEXT("JWT_AUDIENCE", jwt_audience, "",
	    "Required aud claim; empty: not checked."),
	TEXT("JWT_ISSUER", jwt_issuer, "",
	    "Required iss claim; empty: not checked."),
	TEXT("ADMIN_CLAIM", admin_claim, "role",
	    "Path of the claim that holds the role, dots between levels."),
	TEXT("ADMIN_VALUE", admin_value, "admin",
	    "Value of that claim that makes an administrator."),
	BOOL("TRUST_GATEWAY", trust_gateway, "off",
	    "Whether X-User-Id, set by a gateway in front, is the identity."),
	TEXT("CORS_ORIGINS", cors_origins, "",
	    "Origins allowed to call with credentials, comma-separated."),
	TEXT("PUBLIC_ORIGIN", public_origin, "",
	    "Our own origin as browsers see it, such as https://sync.example."),

	TEXT("VAULT_KEY_FILE", vault_key_file, "",
	    "File with the key that encrypts the secrets of connections."),

	TEXT("RUNNER_LISTEN", runner_listen, "ipc://var/run/runner.sock",
	    "NNG address on which a runner listens."),
	TEXT("RUNNER_ADVERTISE", runner_advertise, "",
	    "Address at which others reach it; empty: the listening one."),
	TEXT("RUNNER_NAME", runner_name, "runner",
	    "Stable name of a runner, unique on its machine."),
	TEXT("RUNNER_DIR", runner_dir, "var/run",
	    "Folder for a runner's lock file."),
	INT("WORKERS", workers, "8", 1, 512,
	    "Steps a runner performs at the same time."),
	INT("MAX_ACTIVE", max_active, "20000", 1, 1000000,
	    "Syncs a runner holds at the same time."),
	INT("LEASE_MS", lease_ms, "10000", 200, 600000,
	    "How long a silent runner keeps its syncs, in milliseconds."),
	INT("STALE_AFTER", stale_after_s, "600", 1, 604800,
	    "Seconds after which a sync nobody works on counts as stale."),
	INT("DRAIN_MS", drain_ms, "8000", 0, 600000,
	    "How long a stopping runner waits for running steps."),
	INT("SCAN_MS", scan_ms, "1000", 10, 60000,
	    "Pause between two looks for waiting syncs, in milliseconds."),
	INT("RETRY_ATTEMPTS", retry_attempts, "5", 1, 100,
	    "Attempts of a sync until it fails."),
	INT("RETRY_BASE_MS", retry_base_ms, "2000", 1, 3600000,
	    "First bound of the random wait before a retry."),
	INT("RETRY_CAP_MS", retry_cap_ms, "300000", 1, 86400000,
	    "Largest bound of the random wait before a retry."),

	TEXT("SPAPI_ENDPOINT", spapi_endpoint, "",
	    "Base URL of SP-API; empty: Amazon's, by the account's region."),
	TEXT("LWA_URL", lwa_url, "https://api.amazon.com/auth/o2/token",
	    "Where access tokens come from."),
	TEXT("SPAPI_CLIENT_ID", spapi_client_id, "",
	    "Client id of the SP-API application."),
	TEXT("SPAPI_CLIENT_SECRET_FILE", spapi_client_secret_file, "",
	    "File with the client secret of the SP-API application."),
	TEXT("SPAPI_RATE_SCALE", spapi_rate_scale, "1",
	    "Factor on SP-API's documented rates, for a test seller."),
	INT("FIRST_SYNC_DAYS", first_sync_days, "365", 1, 730,
	    "Days of history a first sync asks for."),
	INT("OVERLAP", overlap_s, "600", 0, 604800,
	    "Seconds a window reaches back into the one before it."),
	INT("SOURCE_TIMEOUT_MS", source_timeout_ms, "60000", 100, 3600000,
	    "Silence after which a call to a source is given up."),

	TEXT("LOG", log_form, "json", "Form of log lines: json or text."),
	TEXT("LOG_LEVEL", log_level, "info",
	    "Least level logged: error, warn, info or debug."),
};
/* clang-format on */

const struct setting_def *
settings_table(size_t *ret_count)
{
	*ret_count = COUNT_OF(table);
	return table;
}

static enum err
parse_int(const struct setting_def *d, const char *text, int64_t *ret)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0')
		return ERR_INVAL;
	if (v < d->min || v > d->max)
		return ERR_INVAL;
	*ret = v;
	return ERR_OK;
}

static enum err
parse_bool(const char *text, bool *ret)
{
	static const char *const yes[] = { "on", "1", "true", "yes" };
	static const char *const no[] = { "off", "0", "false", "no" };

	for (unsigned i = 0; i < COUNT_OF(yes); i++) {
		if (strcmp(text, yes[i]) == 0) {
			*ret = true;
			return ERR_OK;
		}
		if (strcmp(text, no[i]) == 0) {
			*ret = false;
			return ERR_OK;
		}
	}
	return ERR_INVAL;
}

static enum err
load_one(const struct setting_def *d, const char *text, struct settings *s,
    char *why, size_t why_size)
{
	void *field = (char *)s + d->offset;
	enum err err = ERR_OK;

	switch (d->kind) {
	case SETTING_TEXT:
		memcpy(field, &text, sizeof text);
		break;
	case SETTING_INT:
		err = parse_int(d, text, field);
		if (err)
			snprintf(why, why_size,
			    "%s must be a whole number from %lld to %lld",
			    d->name, (long long)d->min, (long long)d->max);
		break;
	case SETTING_BOOL:
		err = parse_bool(text, field);
		if (err)
			snprintf(
			    why, why_size, "%s must be on or off", d->name);
		break;
	}
	return err;
}

enum err
settings_load(struct settings *ret, char *why, size_t why_size)
{
	struct settings s = { 0 };

	for (size_t i = 0; i < COUNT_OF(table); i++) {
		const char *text = getenv(table[i].name);
		enum err err;

		if (!text || *text == '\0')
			text = table[i].fallback;
		err = load_one(&table[i], text, &s, why, why_size);
		if (err)
			return err;
	}
	*ret = s;
	return ERR_OK;
}
