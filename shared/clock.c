/* clock.c - CLOCK_MONOTONIC in milliseconds, and waiting by it. */
#include "shared/clock.h"

#include <time.h>

int64_t
clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
clock_cond_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(c, &attr);
	pthread_condattr_destroy(&attr);
}

void
clock_wait(pthread_cond_t *c, pthread_mutex_t *lock, int64_t deadline_ms)
{
	struct timespec t;

	if (deadline_ms == INT64_MAX) {
		pthread_cond_wait(c, lock);
		return;
	}
	t.tv_sec = deadline_ms / 1000;
	t.tv_nsec = (deadline_ms % 1000) * 1000000;
	pthread_cond_timedwait(c, lock, &t);
}
