/* retry.c - failure classes and errors, each with what follows from it. */
#include "runner/retry.h"

#include <stdlib.h>
#include <sys/random.h>

#define DB_BASE_MS 100
#define DB_CAP_MS 2000

#define INTERNAL_CODE "internal_error"
#define INTERNAL_TEXT "An internal error stopped this sync."

/* What a source says, by class. */
static const struct {
	enum verdict_kind kind;
	bool retryable; /* once it has failed */
	bool reconnect;
	const char *code; /* instead of the source's own, or NULL */
} classes[FAILURE__MAX] = {
	[FAILURE_TRANSIENT] = { VERDICT_RETRY, true, false, NULL },
	[FAILURE_LIMITED] = { VERDICT_WAIT, true, false, NULL },
	[FAILURE_PERMANENT] = { VERDICT_FAIL, false, false, NULL },
	[FAILURE_RECONNECT] = { VERDICT_FAIL, false, true,
	    "reconnect_required" },
	[FAILURE_OPERATOR] = { VERDICT_FAIL, true, false, "operator_setup" },
};

/* What our own errors mean; those that are not here are internal. */
static const struct {
	enum err err;
	enum verdict_kind kind;
} errors[] = {
	{ ERR_FENCED, VERDICT_DROP },
	{ ERR_DB_AWAY, VERDICT_DOUBT },
	{ ERR_TIMEOUT, VERDICT_DOUBT },
	{ ERR_DB_RETRY, VERDICT_AGAIN },
	{ ERR_INTERRUPTED, VERDICT_DOUBT },
};

int64_t
retry_delay_ms(int64_t base_ms, int64_t cap_ms, int attempt, double dice)
{
	int64_t bound = base_ms;

	for (int i = 1; i < attempt && bound < cap_ms; i++)
		bound *= 2;
	if (bound > cap_ms)
		bound = cap_ms;
	return (int64_t)((double)bound * dice);
}

static struct verdict
another_attempt(const struct retry_state *st, const char *code,
    const char *message, double dice)
{
	struct verdict v = {
		.kind = VERDICT_RETRY,
		.attempt = st->attempt + 1,
		.delay_ms =
		    retry_delay_ms(st->base_ms, st->cap_ms, st->attempt, dice),
		.retryable = true,
		.code = code,
		.message = message,
	};

	if (st->attempt >= st->max_attempts)
		v.kind = VERDICT_FAIL;
	return v;
}

static struct verdict
judge_source(
    const struct retry_state *st, const struct failure *why, double dice)
{
	struct verdict v;

	if ((unsigned)why->class >= FAILURE__MAX)
		return another_attempt(st, INTERNAL_CODE, INTERNAL_TEXT, dice);
	if (classes[why->class].kind == VERDICT_RETRY) {
		v = another_attempt(st, why->code, why->message, dice);
		/* what the source asks for is the least */
		if (v.delay_ms < why->wait_ms)
			v.delay_ms = why->wait_ms;
		return v;
	}
	v = (struct verdict){
		.kind = classes[why->class].kind,
		.delay_ms = why->wait_ms,
		.retryable = classes[why->class].retryable,
		.reconnect = classes[why->class].reconnect,
		.code = classes[why->class].code ? classes[why->class].code
						 : why->code,
		.message = why->message,
	};
	return v;
}

struct verdict
retry_judge(const struct retry_state *st, enum err err,
    const struct failure *why, double dice)
{
	if (err == ERR_PEER || (err == ERR_INVAL && why->code[0] != '\0'))
		return judge_source(st, why, dice);
	for (unsigned i = 0; i < COUNT_OF(errors); i++) {
		if (errors[i].err == err)
			return (struct verdict){
				.kind = errors[i].kind,
				.delay_ms = 20 +
				    retry_delay_ms(DB_BASE_MS, DB_CAP_MS,
					st->db_failures, dice),
			};
	}
	return another_attempt(st, INTERNAL_CODE, INTERNAL_TEXT, dice);
}

double
retry_dice(void)
{
	uint32_t r = 0;

	if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
		r = UINT32_MAX / 2;
	return (double)r / ((double)UINT32_MAX + 1);
}
