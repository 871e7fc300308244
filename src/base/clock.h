/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and deadlines.  Not for the pure folders, which take times as arguments. */
#ifndef PA_BASE_CLOCK_H
#define PA_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define PA_NS_PER_SECOND  1000000000LL
#define PA_NS_PER_MS      1000000LL
#define PA_DEADLINE_NEVER INT64_MAX

/* CLOCK_MONOTONIC in nanoseconds: the only clock that durations and deadlines are made of. */
int64_t pa_clock_ns(void);
/* Milliseconds since 1970, for what people read and the catalog keeps. */
int64_t pa_clock_wall_ms(void);
/* now + ns without overflow. */
int64_t pa_clock_deadline(int64_t ns_from_now);
/* For pthread_cond_timedwait on a condition made by pa_clock_cond_init(). */
struct timespec pa_clock_timespec(int64_t ns);

#include <pthread.h>
/* A condition variable that waits on the monotonic clock. */
void pa_clock_cond_init(pthread_cond_t *condition);
/* Sleeps until the deadline or until `*stop` becomes non-zero (looked at every 10 ms when given). */
void pa_clock_sleep_until(int64_t deadline_ns, const volatile int *stop);

#endif
