/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#define SLEEP_STEP_NS (10 * PA_NS_PER_MS)

int64_t pa_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * PA_NS_PER_SECOND + now.tv_nsec;
}

int64_t pa_clock_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / PA_NS_PER_MS;
}

int64_t pa_clock_deadline(int64_t ns_from_now)
{
	int64_t deadline;

	if (__builtin_add_overflow(pa_clock_ns(), ns_from_now, &deadline))
		return PA_DEADLINE_NEVER;
	return deadline;
}

struct timespec pa_clock_timespec(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / PA_NS_PER_SECOND, .tv_nsec = ns % PA_NS_PER_SECOND};
}

void pa_clock_cond_init(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

void pa_clock_sleep_until(int64_t deadline_ns, const volatile int *stop)
{
	for (;;) {
		int64_t now_ns = pa_clock_ns();
		if (now_ns >= deadline_ns || (stop != NULL && *stop != 0))
			return;
		int64_t wake_ns = deadline_ns;
		if (stop != NULL && wake_ns - now_ns > SLEEP_STEP_NS)
			wake_ns = now_ns + SLEEP_STEP_NS;
		struct timespec wake = pa_clock_timespec(wake_ns);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
	}
}
