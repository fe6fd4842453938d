/* clock.h - the time that no administrator can turn back. */
#ifndef SYNCLINE_CLOCK_H
#define SYNCLINE_CLOCK_H

#include <pthread.h>
#include <stdint.h>

/* clock_ms counts milliseconds of CLOCK_MONOTONIC. */
int64_t clock_ms(void);

/* clock_cond_init makes a condition whose timed waits go by clock_ms. */
void clock_cond_init(pthread_cond_t *c);

/* clock_wait waits on c until deadline_ms; INT64_MAX is for ever. */
void clock_wait(pthread_cond_t *c, pthread_mutex_t *lock, int64_t deadline_ms);

#endif
