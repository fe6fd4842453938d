/* main.c - reads the options, starts the sandbox seller, waits for the end. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http.h"
#include "replay.h"
#include "sandbox.h"

struct options {
	const char *bind_to;
	int port;
	uint64_t seed;
	int64_t orders;
	int64_t skus;
	int64_t days;
	double rate_scale;
	int64_t clock_ms;
	bool frozen;
	int64_t access_ttl_s;
	bool rotate_refresh;
	const char *client_id;
	const char *client_secret;
	const char *log_path;
	const char *replay_path;
	int ready_fd;
};

static const char usage[] =
    "usage: sandbox-seller --port N [--bind 127.0.0.1]\n"
    "  [--seed S] [--orders N] [--skus N] [--days N]\n"
    "  [--clock RFC3339] [--freeze] [--rate-scale X]\n"
    "  [--access-token-ttl SECONDS] [--rotate-refresh]\n"
    "  [--client-id ID] [--client-secret SECRET]\n"
    "  [--log FILE] [--replay FILE] [--ready-fd N]\n";

enum {
	OPT_PORT = 1,
	OPT_BIND,
	OPT_SEED,
	OPT_ORDERS,
	OPT_SKUS,
	OPT_DAYS,
	OPT_SCALE,
	OPT_CLOCK,
	OPT_FREEZE,
	OPT_TTL,
	OPT_ROTATE,
	OPT_CLIENT_ID,
	OPT_CLIENT_SECRET,
	OPT_LOG,
	OPT_REPLAY,
	OPT_READY
};

static const struct option long_options[] = {
	{ "port", required_argument, NULL, OPT_PORT },
	{ "bind", required_argument, NULL, OPT_BIND },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "orders", required_argument, NULL, OPT_ORDERS },
	{ "skus", required_argument, NULL, OPT_SKUS },
	{ "days", required_argument, NULL, OPT_DAYS },
	{ "rate-scale", required_argument, NULL, OPT_SCALE },
	{ "clock", required_argument, NULL, OPT_CLOCK },
	{ "freeze", no_argument, NULL, OPT_FREEZE },
	{ "access-token-ttl", required_argument, NULL, OPT_TTL },
	{ "rotate-refresh", no_argument, NULL, OPT_ROTATE },
	{ "client-id", required_argument, NULL, OPT_CLIENT_ID },
	{ "client-secret", required_argument, NULL, OPT_CLIENT_SECRET },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "replay", required_argument, NULL, OPT_REPLAY },
	{ "ready-fd", required_argument, NULL, OPT_READY },
	{ NULL, 0, NULL, 0 },
};

static bool
integer(const char *s, int64_t lo, int64_t hi, int64_t *ret)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno != 0 || *s == '\0' || *end != '\0' || v < lo || v > hi)
		return false;
	*ret = v;
	return true;
}

static bool
real(const char *s, double *ret)
{
	char *end;

	*ret = strtod(s, &end);
	return *s != '\0' && *end == '\0' && *ret >= 0;
}

static bool
option_read(struct options *op, int which, const char *arg)
{
	int64_t v = 0;
	bool ok = true;

	switch (which) {
	case OPT_PORT:
		ok = integer(arg, 0, 65535, &v);
		op->port = (int)v;
		break;
	case OPT_BIND:
		op->bind_to = arg;
		break;
	case OPT_SEED:
		ok = integer(arg, 0, INT64_MAX, &v);
		op->seed = (uint64_t)v;
		break;
	case OPT_ORDERS:
		ok = integer(arg, 0, 50000000, &op->orders);
		break;
	case OPT_SKUS:
		ok = integer(arg, 1, 10000000, &op->skus);
		break;
	case OPT_DAYS:
		ok = integer(arg, 1, 36500, &op->days);
		break;
	case OPT_SCALE:
		ok = real(arg, &op->rate_scale);
		break;
	case OPT_CLOCK:
		ok = when_parse_ms(arg, &op->clock_ms);
		break;
	case OPT_FREEZE:
		op->frozen = true;
		break;
	case OPT_TTL:
		ok = integer(arg, 1, 86400, &op->access_ttl_s);
		break;
	case OPT_ROTATE:
		op->rotate_refresh = true;
		break;
	case OPT_CLIENT_ID:
		op->client_id = arg;
		break;
	case OPT_CLIENT_SECRET:
		op->client_secret = arg;
		break;
	case OPT_LOG:
		op->log_path = arg;
		break;
	case OPT_REPLAY:
		op->replay_path = arg;
		break;
	case OPT_READY:
		ok = integer(arg, 0, 65535, &v);
		op->ready_fd = (int)v;
		break;
	default:
		ok = false;
	}
	return ok;
}

static bool
options_read(struct options *op, int argc, char **argv)
{
	int which;

	*op = (struct options){
		.bind_to = "127.0.0.1",
		.port = -1,
		.seed = 1,
		.orders = 1000,
		.skus = 200,
		.days = 365,
		.rate_scale = 1,
		.clock_ms = (int64_t)time(NULL) * 1000,
		.access_ttl_s = 3600,
		.client_id = "sandbox-client",
		.client_secret = "sandbox-secret",
		.ready_fd = -1,
	};
	while ((which = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (!option_read(op, which, optarg))
			return false;
	return optind == argc && op->port >= 0;
}

static void
sandbox_init(struct sandbox *sb, const struct options *op, FILE *log_file)
{
	*sb = (struct sandbox){
		.client_id = op->client_id,
		.client_secret = op->client_secret,
		.access_ttl_ms = op->access_ttl_s * 1000,
		.rate_scale = op->rate_scale,
		.defaults = {
			.id = "SELLER1",
			.seed = op->seed,
			.base = when_floor_s(op->clock_ms),
			.days = op->days,
			.orders = (uint32_t)op->orders,
			.skus = (uint32_t)op->skus,
			.markets = {
				market_find("ATVPDKIKX0DER", 13),
				market_find("A2EUQ1WTGCTBG2", 14),
			},
			.market_count = 2,
			.rotates = op->rotate_refresh,
		},
	};
	sb->stop_fd = eventfd(0, EFD_CLOEXEC);
	pthread_mutex_init(&sb->lock, NULL);
	when_init(&sb->when, op->clock_ms, op->frozen);
	sellers_init(&sb->sellers);
	faults_init(&sb->faults);
	calls_init(&sb->calls, log_file);
}

static void
sandbox_fini(struct sandbox *sb)
{
	calls_fini(&sb->calls);
	faults_fini(&sb->faults);
	sellers_fini(&sb->sellers);
	when_fini(&sb->when);
	pthread_mutex_destroy(&sb->lock);
	replay_close(sb->replay);
	close(sb->stop_fd);
}

static void
announce(const struct options *op, int port)
{
	printf("sandbox-seller listening on %s:%d\n", op->bind_to, port);
	fflush(stdout);
	if (op->ready_fd >= 0) {
		dprintf(op->ready_fd, "%d\n", port);
		close(op->ready_fd);
	}
}

static int
run(struct sandbox *sb, const struct options *op, const sigset_t *ends)
{
	const char *why = "";
	struct seller *first;
	struct http *h;
	uint64_t one = 1;
	int sig;

	if (op->replay_path != NULL) {
		sb->replay = replay_open(op->replay_path, &why);
		if (sb->replay == NULL) {
			fprintf(stderr, "sandbox-seller: %s: %s\n",
			    op->replay_path, why);
			return 1;
		}
	}
	/* Built before the port opens: the first call is as fast as any. */
	first = sellers_add(&sb->sellers, &sb->defaults);
	seller_index_read(first, sb->defaults.base);
	seller_index_done(first);
	h = http_start(sb, op->bind_to, op->port, &why);
	if (h == NULL) {
		fprintf(stderr, "sandbox-seller: %s\n", why);
		return 1;
	}
	announce(op, http_port(h));
	sigwait(ends, &sig);
	/* Whoever waits in a fault wakes up and leaves. */
	if (write(sb->stop_fd, &one, sizeof(one)) < 0)
		perror("sandbox-seller");
	http_stop(h);
	return 0;
}

int
main(int argc, char **argv)
{
	struct options op;
	struct sandbox sb;
	FILE *log_file = NULL;
	sigset_t ends;
	int rc;

	if (!options_read(&op, argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	if (op.log_path != NULL) {
		log_file = fopen(op.log_path, "a");
		if (log_file == NULL) {
			perror(op.log_path);
			return 1;
		}
	}
	/* Blocked before any thread starts, so that only sigwait sees them. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	signal(SIGPIPE, SIG_IGN);

	sandbox_init(&sb, &op, log_file);
	rc = run(&sb, &op, &ends);
	sandbox_fini(&sb);
	if (log_file != NULL)
		fclose(log_file);
	return rc;
}
