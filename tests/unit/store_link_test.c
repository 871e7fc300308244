/* SPDX-License-Identifier: Apache-2.0 */
/* The link: its arithmetic, run as a simulation without wall time, and one look at the clock. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/link.h"
#include "store/link_internal.h"
#include "store/store.h"

#define MIB        1048576u
#define BPS        40000000u
#define LATENCY_NS (2 * PA_NS_PER_MS)

/* `connections` that ask again as soon as they are served; the time in which `requests` have crossed. */
static int64_t simulate(unsigned connections, unsigned requests, int64_t source_ns, unsigned *ret_burst)
{
	int64_t asked_ns[8] = {0};
	int64_t next_free_ns = 0;
	int64_t end_ns = 0;
	int64_t transfer_ns = pa_link_transfer_ns(BPS, MIB);
	unsigned at_once = 0;

	*ret_burst = 0;
	for (unsigned i = 0; i < requests; i++) {
		unsigned next = 0;
		for (unsigned c = 1; c < connections; c++)
			if (asked_ns[c] < asked_ns[next])
				next = c;
		int64_t ready_ns = asked_ns[next] + LATENCY_NS;
		int64_t now_ns = ready_ns + source_ns;
		int64_t start_ns = pa_link_start_ns(next_free_ns, ready_ns, now_ns, transfer_ns);
		assert_true(start_ns >= next_free_ns); /* transfers never share the link */
		next_free_ns = start_ns + transfer_ns;
		at_once = next_free_ns <= now_ns ? at_once + 1 : 0;
		if (at_once > *ret_burst)
			*ret_burst = at_once;
		asked_ns[next] = next_free_ns > now_ns ? next_free_ns : now_ns;
		end_ns = asked_ns[next];
	}
	return end_ns;
}

static void test_cap_holds(void **state)
{
	(void)state;
	int64_t ideal_ns = pa_link_transfer_ns(BPS, 1000 * (uint64_t)MIB);

	for (unsigned connections = 1; connections <= 8; connections++) {
		unsigned burst;
		int64_t took_ns = simulate(connections, 1000, PA_NS_PER_MS / 2, &burst);
		/* One connection pays the latency each time; with more they overlap. */
		int64_t expected_ns = ideal_ns + LATENCY_NS * (connections == 1 ? 1000 : 1);
		assert_true(took_ns >= ideal_ns);
		assert_true(took_ns <= expected_ns + expected_ns / 100);
	}
}

/* A source that is slower than the cap saves nothing up. */
static void test_no_burst(void **state)
{
	(void)state;
	unsigned burst;

	simulate(1, 100, 100 * PA_NS_PER_MS, &burst);
	int64_t transfer_ns = pa_link_transfer_ns(BPS, MIB);
	/* Eight that are served by a slow source at the same moment: the first crosses at once, the others in turn. */
	int64_t next_free_ns = 0;
	int64_t now_ns = PA_NS_PER_SECOND;
	for (int i = 0; i < 8; i++) {
		int64_t start_ns = pa_link_start_ns(next_free_ns, LATENCY_NS, now_ns, transfer_ns);
		next_free_ns = start_ns + transfer_ns;
		assert_int_equal(next_free_ns, now_ns + i * transfer_ns);
	}
	assert_int_equal(pa_link_transfer_ns(0, MIB), 0);
}

static const struct pa_store_call no_limit = {.deadline_ns = PA_DEADLINE_NEVER};

static void *transfer(void *context)
{
	struct pa_error err = PA_ERROR_INIT;
	int64_t ready_ns = 0;

	for (int i = 0; i < 5; i++) {
		assert_int_equal(pa_link_begin(context, &ready_ns, &no_limit, &err), 0);
		assert_int_equal(pa_link_end(context, ready_ns, MIB, &no_limit, &err), 0);
	}
	return NULL;
}

static void test_by_the_clock(void **state)
{
	(void)state;
	struct pa_link *link = pa_link_new(BPS, LATENCY_NS, 4);
	pthread_t threads[4];
	int64_t since_ns = pa_clock_ns();

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, transfer, link), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	double seconds = (double)(pa_clock_ns() - since_ns) / PA_NS_PER_SECOND;
	assert_int_equal(pa_link_total_bytes(link), 20 * MIB);
	double ideal = 20.0 * MIB / BPS;
	assert_true(seconds >= ideal);
	pa_link_free(link);
}

static void test_connections_and_latency(void **state)
{
	(void)state;
	struct pa_link *link = pa_link_new(0, LATENCY_NS, 1);
	struct pa_error err = PA_ERROR_INIT;
	int64_t ready_ns = 0;
	int64_t since_ns = pa_clock_ns();

	assert_int_equal(pa_link_begin(link, &ready_ns, &no_limit, &err), 0);
	assert_true(pa_clock_ns() - since_ns >= LATENCY_NS);
	/* The only connection is taken. */
	struct pa_store_call call = {.deadline_ns = pa_clock_ns() + 5 * PA_NS_PER_MS};
	int64_t other_ns = 0;
	assert_int_equal(pa_link_begin(link, &other_ns, &call, &err), -(int)PA_ERROR_DEADLINE);
	assert_int_equal(pa_link_end(link, ready_ns, 0, &no_limit, &err), 0);
	assert_int_equal(pa_link_begin(link, &ready_ns, &no_limit, &err), 0);
	assert_int_equal(pa_link_end(link, ready_ns, 5, &no_limit, &err), 0);
	assert_int_equal(pa_link_total_bytes(link), 5);
	since_ns = pa_clock_ns();
	assert_int_equal(pa_link_latency(link, &no_limit, &err), 0);
	assert_true(pa_clock_ns() - since_ns >= LATENCY_NS);
	pa_link_free(link);
}

/* A transfer that is given up gives its share back to those behind it. */
static void test_share_comes_back(void **state)
{
	(void)state;
	struct pa_link *link = pa_link_new(MIB, 0, 4); /* a second for each MiB */
	struct pa_error err = PA_ERROR_INIT;
	int64_t ready_ns = 0;
	struct pa_store_call soon = {.deadline_ns = pa_clock_ns() + 20 * PA_NS_PER_MS};
	int64_t since_ns = pa_clock_ns();

	assert_int_equal(pa_link_begin(link, &ready_ns, &no_limit, &err), 0);
	assert_int_equal(pa_link_end(link, ready_ns, 30 * MIB, &soon, &err), -(int)PA_ERROR_DEADLINE);
	assert_int_equal(pa_link_total_bytes(link), 0);
	assert_int_equal(pa_link_begin(link, &ready_ns, &no_limit, &err), 0);
	assert_int_equal(pa_link_end(link, ready_ns, MIB / 10, &no_limit, &err), 0);
	assert_true(pa_clock_ns() - since_ns < 20 * PA_NS_PER_SECOND); /* not the 30 s that were given up */
	assert_true(pa_clock_ns() - since_ns >= 115 * PA_NS_PER_MS);
	pa_link_free(link);
}

/* One that may let others go first. */
struct yielding {
	struct pa_link *link;
	pthread_t thread;
	int yields;
	int done;
};

static void *transfer_yielding(void *context)
{
	struct yielding *yielding = context;
	struct pa_store_call call = {
	    .deadline_ns = PA_DEADLINE_NEVER, .cancel = &(int){0}, .yields = &yielding->yields};
	struct pa_error err = PA_ERROR_INIT;
	int64_t ready_ns = 0;

	assert_int_equal(pa_link_begin(yielding->link, &ready_ns, &call, &err), 0);
	assert_int_equal(pa_link_end(yielding->link, ready_ns, MIB, &call, &err), 0);
	__atomic_store_n(&yielding->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Who waits goes before who loads ahead, also before what has begun to cross; and what was waited for later, too. */
static void test_who_yields(void **state)
{
	(void)state;
	struct pa_link *link = pa_link_new(2 * MIB, 0, 8); /* half a second for each MiB */
	struct yielding ahead[2] = {{.link = link, .yields = 1}, {.link = link, .yields = 1}};
	struct pa_error err = PA_ERROR_INIT;
	int64_t ready_ns = 0;
	int64_t since_ns = pa_clock_ns();

	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&ahead[i].thread, NULL, transfer_yielding, &ahead[i]), 0);
		pa_clock_sleep_until(pa_clock_deadline(50 * PA_NS_PER_MS), NULL);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pa_link_begin(link, &ready_ns, &no_limit, &err), 0);
		assert_int_equal(pa_link_end(link, ready_ns, MIB / 16, &no_limit, &err), 0);
	}
	assert_int_equal(__atomic_load_n(&ahead[0].done, __ATOMIC_ACQUIRE), 0);
	__atomic_store_n(&ahead[1].yields, 0, __ATOMIC_RELAXED);
	pthread_join(ahead[1].thread, NULL);
	assert_int_equal(__atomic_load_n(&ahead[0].done, __ATOMIC_ACQUIRE), 0);
	pthread_join(ahead[0].thread, NULL);
	assert_int_equal(pa_link_total_bytes(link), 2 * MIB + MIB / 4);
	/* The cap holds for all of them together. */
	assert_true(pa_clock_ns() - since_ns >= pa_link_transfer_ns(2 * MIB, 2 * MIB + MIB / 4));
	pa_link_free(link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cap_holds),        cmocka_unit_test(test_no_burst),
	    cmocka_unit_test(test_by_the_clock),     cmocka_unit_test(test_connections_and_latency),
	    cmocka_unit_test(test_share_comes_back), cmocka_unit_test(test_who_yields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
