/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/random.h"
#include "timeline/timeline.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-9)

struct fixture {
	struct pa_arena arena;
	struct pa_timeline_task tasks[8];
	struct pa_timeline_extent extents[8];
	struct pa_timeline_link links[2];
	struct pa_timeline_transfer transfers[8];
	struct pa_timeline_input input;
	struct pa_timeline_result result;
	struct pa_error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	for (size_t i = 0; i < 8; i++) {
		f->tasks[i].started_s = f->tasks[i].ended_s = NAN;
		f->tasks[i].priority = (double)i;
	}
	f->links[0] = f->links[1] = (struct pa_timeline_link){100, 0};
	f->input = (struct pa_timeline_input){.tasks = f->tasks,
	                                      .extents = f->extents,
	                                      .links = f->links,
	                                      .link_count = 2,
	                                      .transfers = f->transfers,
	                                      .slots = 1,
	                                      .memory_bytes = INFINITY};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	pa_arena_done(&f->arena);
	free(f);
	return 0;
}

static void run(struct fixture *f)
{
	int failed = pa_timeline_run(&f->arena, &f->input, &f->result, &f->err);
	if (failed)
		fail_msg("%s", f->err.message);
}

static const uint32_t zero[] = {0}, one[] = {1}, two[] = {2}, zero_one[] = {0, 1};

static void task(struct fixture *f, size_t index, double duration_s, const uint32_t *after,
                 size_t after_count, const uint32_t *reads, size_t read_count)
{
	f->tasks[index].duration_s = duration_s;
	f->tasks[index].after = after;
	f->tasks[index].after_count = after_count;
	f->tasks[index].reads = reads;
	f->tasks[index].read_count = read_count;
	if (index >= f->input.task_count)
		f->input.task_count = index + 1;
}

static void extent(struct fixture *f, size_t index, uint64_t bytes, bool resident)
{
	f->extents[index] = (struct pa_timeline_extent){.bytes = bytes, .resident = resident};
	if (index >= f->input.extent_count)
		f->input.extent_count = index + 1;
}

static void transfer(struct fixture *f, size_t index, uint32_t of, double order)
{
	f->transfers[index] = (struct pa_timeline_transfer){of, 0, order};
	f->input.transfer_count = index + 1;
}

/* 0 (10 s) → 1 (5 s, reads 300 bytes at 100 B/s): on demand 10 + 3 + 5, ahead 10 + 5. */
static void test_prefetch_hides_the_transfer(void **state)
{
	struct fixture *f = *state;
	task(f, 0, 10, NULL, 0, NULL, 0);
	task(f, 1, 5, zero, 1, zero, 1);
	extent(f, 0, 300, false);
	run(f);
	NEAR(f->result.makespan_s, 18);
	NEAR(f->result.stall_s, 3);
	NEAR(f->result.tasks[1].run_s, 13);
	assert_true(f->result.extents[0].demand);
	transfer(f, 0, 0, 0);
	run(f);
	NEAR(f->result.makespan_s, 15);
	NEAR(f->result.stall_s, 0);
	NEAR(f->result.extents[0].arrived_s, 3);
	assert_false(f->result.extents[0].demand);
	NEAR(f->result.link_bytes[0], 300);
	NEAR(f->result.peak_memory_bytes, 300);
}

/* Two transfers: the latency of the second is overlapped by the first; alone it is paid. */
static void test_latency_is_overlapped(void **state)
{
	struct fixture *f = *state;
	f->links[0].latency_s = .5;
	task(f, 0, 1, NULL, 0, zero_one, 2);
	extent(f, 0, 100, false);
	extent(f, 1, 100, false);
	run(f);
	NEAR(f->result.extents[0].arrived_s, 1.5);
	NEAR(f->result.extents[1].arrived_s, 2.5);
	NEAR(f->result.makespan_s, 3.5);
}

/* A task that waits goes before planned transfers, but not before the one that is on its way. */
static void test_demand_goes_first(void **state)
{
	struct fixture *f = *state;
	task(f, 0, 1, NULL, 0, NULL, 0);
	task(f, 1, 1, zero, 1, two, 1);
	task(f, 2, 1, one, 1, zero_one, 2);
	for (size_t i = 0; i < 3; i++)
		extent(f, i, 150, false);
	transfer(f, 0, 0, 0);
	transfer(f, 1, 1, 1);
	run(f);
	NEAR(f->result.extents[0].arrived_s, 1.5);
	NEAR(f->result.extents[2].arrived_s, 3.0);
	NEAR(f->result.extents[1].arrived_s, 4.5);
	NEAR(f->result.tasks[1].end_s, 4);
	NEAR(f->result.makespan_s, 5.5);
}

static void test_one_fetch_for_all_who_wait(void **state)
{
	struct fixture *f = *state;
	f->input.slots = 3;
	for (size_t i = 0; i < 3; i++)
		task(f, i, 2, NULL, 0, zero, 1);
	extent(f, 0, 400, false);
	run(f);
	NEAR(f->result.fetched_bytes, 400);
	NEAR(f->result.makespan_s, 6);
	NEAR(f->result.stall_s, 12);
	assert_int_equal(f->result.extents[0].fetches, 1);
}

/* Memory for two of three; in the order A B C A B, with 10 s tasks.  When C comes, A is needed at 30 and B at 40, so
 * MIN lets B go: 4 fetches. */
static void test_evicts_the_furthest(void **state)
{
	struct fixture *f = *state;
	static const uint32_t order[] = {0, 1, 2, 0, 1};
	for (size_t i = 0; i < 5; i++)
		task(f, i, 10, NULL, 0, &order[i], 1);
	for (size_t i = 0; i < 3; i++)
		extent(f, i, 100, false);
	f->input.memory_bytes = 200;
	run(f);
	assert_int_equal(f->result.extents[0].fetches, 1);
	assert_int_equal(f->result.extents[1].fetches, 2);
	assert_int_equal(f->result.extents[2].fetches, 1);
	NEAR(f->result.fetched_bytes, 400);
	NEAR(f->result.makespan_s, 54);
	NEAR(f->result.peak_memory_bytes, 200);
}

static void test_prefetch_never_displaces_something_sooner(void **state)
{
	struct fixture *f = *state;
	task(f, 0, 10, NULL, 0, NULL, 0);
	task(f, 1, 10, NULL, 0, zero, 1);
	task(f, 2, 10, NULL, 0, one, 1);
	extent(f, 0, 100, true);
	extent(f, 1, 100, false);
	f->input.memory_bytes = 100;
	transfer(f, 0, 1, 0);
	run(f);
	/* Extent 1 has to wait until task 1 has let extent 0 go, at 20; task 2 then stalls for its 1 s. */
	NEAR(f->result.tasks[1].run_s, 10);
	NEAR(f->result.extents[1].arrived_s, 21);
	NEAR(f->result.makespan_s, 31);
}

/* One task reads both, and memory holds one: the one that comes is needed no sooner than the one that is there. */
static void test_prefetch_leaves_what_is_needed_as_soon(void **state)
{
	struct fixture *f = *state;
	task(f, 0, 10, NULL, 0, NULL, 0);
	task(f, 1, 10, zero, 1, zero_one, 2);
	extent(f, 0, 100, true);
	extent(f, 1, 100, false);
	f->input.memory_bytes = 100;
	transfer(f, 0, 1, 0);
	run(f);
	assert_int_equal(f->result.extents[0].fetches, 0);
	NEAR(f->result.extents[1].arrived_s, 11);
	NEAR(f->result.makespan_s, 21);
}

static void test_what_finds_no_room_is_used_from_the_link(void **state)
{
	struct fixture *f = *state;
	task(f, 0, 1, NULL, 0, zero_one, 2);
	task(f, 1, 1, NULL, 0, one, 1);
	extent(f, 0, 100, false);
	extent(f, 1, 300, false);
	f->input.memory_bytes = 150;
	transfer(f, 0, 1, 0);
	run(f);
	NEAR(f->result.bypassed_bytes, 600);
	NEAR(f->result.fetched_bytes, 700);
	NEAR(f->result.tasks[0].run_s, 4);
	NEAR(f->result.tasks[1].run_s, 8);
	NEAR(f->result.peak_memory_bytes, 100);
	assert_true(f->result.extents[1].bypassed);
}

/* By order 0 goes first and waits 5 s with the only slot; data first lets 1 run meanwhile. */
static void test_data_first(void **state)
{
	struct fixture *f = *state;
	task(f, 0, 1, NULL, 0, zero, 1);
	task(f, 1, 5, NULL, 0, one, 1);
	extent(f, 0, 500, false);
	extent(f, 1, 100, true);
	transfer(f, 0, 0, 0);
	run(f);
	NEAR(f->result.makespan_s, 11);
	assert_int_equal(f->result.tasks[0].overtaken_by, UINT32_MAX);
	f->input.data_first = true;
	run(f);
	NEAR(f->result.makespan_s, 6);
	NEAR(f->result.stall_s, 0);
	assert_int_equal(f->result.tasks[0].overtaken_by, 1);
	NEAR(f->result.tasks[0].overtaken_s, 0);
}

/* A run that goes on: 0 has ended, 1 has computed 4 of 10 s, 2 has half its data and so at most 5 of 10 s. */
static void test_takes_up_a_run_under_way(void **state)
{
	struct fixture *f = *state;
	f->input.slots = 2;
	task(f, 0, 3, NULL, 0, zero, 1);
	task(f, 1, 10, zero, 1, NULL, 0);
	task(f, 2, 10, zero, 1, zero_one, 2);
	task(f, 3, 1, one, 1, NULL, 0);
	extent(f, 0, 100, true);
	extent(f, 1, 100, false);
	f->tasks[0].started_s = -10, f->tasks[0].ended_s = -8;
	f->tasks[1].started_s = -4;
	f->tasks[2].started_s = -8;
	run(f);
	NEAR(f->result.tasks[0].end_s, -8);
	NEAR(f->result.tasks[1].run_s, -4);
	NEAR(f->result.tasks[1].end_s, 6);
	NEAR(f->result.tasks[2].run_s, 1);
	NEAR(f->result.tasks[2].end_s, 6);
	NEAR(f->result.makespan_s, 7);
	NEAR(f->result.stall_s, 1);
}

static void test_not_before(void **state)
{
	struct fixture *f = *state;
	task(f, 0, 1, NULL, 0, zero, 1);
	f->tasks[0].not_before_s = 4;
	extent(f, 0, 100, false);
	transfer(f, 0, 0, 0);
	f->transfers[0].not_before_s = 3.5;
	run(f);
	NEAR(f->result.tasks[0].ready_s, 4);
	NEAR(f->result.extents[0].arrived_s, 4.5);
	NEAR(f->result.makespan_s, 5.5);
}

static void refuses(struct fixture *f, const char *message)
{
	assert_int_equal(pa_timeline_run(&f->arena, &f->input, &f->result, &f->err), -PA_ERROR_INPUT);
	if (!strstr(f->err.message, message))
		fail_msg("\"%s\" does not say \"%s\"", f->err.message, message);
}

static void test_refuses_bad_input(void **state)
{
	struct fixture *f = *state;
	task(f, 0, 1, one, 1, NULL, 0);
	refuses(f, "task 0 comes after task 1");
	task(f, 1, 1, zero, 1, NULL, 0);
	refuses(f, "cycle");
	task(f, 1, NAN, NULL, 0, NULL, 0);
	refuses(f, "task 1: duration nan");
	task(f, 1, -1, NULL, 0, NULL, 0);
	refuses(f, "task 1: duration -1");
	task(f, 1, 1, NULL, 0, two, 1);
	refuses(f, "reads extent 2");
	task(f, 1, 1, NULL, 0, NULL, 0);
	transfer(f, 0, 0, 0);
	refuses(f, "transfer 0");
	f->input.transfer_count = 0;
	f->links[1].bytes_per_second = 0;
	refuses(f, "link 1");
	f->links[1].bytes_per_second = 1;
	f->tasks[0].started_s = 1;
	refuses(f, "started at 1 s");
	f->tasks[0].started_s = NAN;
	f->input.slots = 0;
	refuses(f, "no slots");
	f->input.slots = 1;
	run(f);
}

static void test_nothing_to_do(void **state)
{
	struct fixture *f = *state;
	run(f);
	NEAR(f->result.makespan_s, 0);
}

/* ---- properties over random DAGs ---- */

#define MAX_TASKS   40
#define MAX_EXTENTS 30
#define MAX_READS   6

struct world {
	struct pa_timeline_task tasks[MAX_TASKS];
	uint32_t after[MAX_TASKS][3];
	uint32_t reads[MAX_TASKS][MAX_READS];
	struct pa_timeline_extent extents[MAX_EXTENTS];
	struct pa_timeline_link links[2];
	struct pa_timeline_transfer transfers[MAX_EXTENTS];
	struct pa_timeline_input input;
	double total_bytes;
};

static uint32_t below(struct pa_random *random, uint32_t limit)
{
	return (uint32_t)(pa_random_u64(random) % limit);
}

static void make_world(struct world *w, uint64_t seed)
{
	struct pa_random random = {seed};
	memset(w, 0, sizeof(*w));
	uint32_t task_count = 1 + below(&random, MAX_TASKS), extent_count = 1 + below(&random, MAX_EXTENTS);
	for (uint32_t i = 0; i < task_count; i++) {
		struct pa_timeline_task *t = &w->tasks[i];
		for (uint32_t j = i ? below(&random, 4) : 0; j > 0; j--)
			w->after[i][t->after_count++] = below(&random, i);
		for (uint32_t j = below(&random, MAX_READS + 1); j > 0; j--)
			w->reads[i][t->read_count++] = below(&random, extent_count);
		*t = (struct pa_timeline_task){.after = w->after[i],
		                               .after_count = t->after_count,
		                               .reads = w->reads[i],
		                               .read_count = t->read_count,
		                               .duration_s = below(&random, 5),
		                               .started_s = NAN,
		                               .ended_s = NAN,
		                               .priority = below(&random, 10)};
	}
	for (uint32_t i = 0; i < extent_count; i++) {
		w->extents[i].bytes = below(&random, 4) ? 10 : below(&random, 40);
		w->extents[i].link = below(&random, 2);
		w->extents[i].resident = below(&random, 6) == 0;
		w->extents[i].keep_after = below(&random, 8) == 0;
		w->total_bytes += (double)w->extents[i].bytes;
		w->transfers[i] = (struct pa_timeline_transfer){i, below(&random, 3), below(&random, 20)};
	}
	w->links[0] = (struct pa_timeline_link){7, below(&random, 2)};
	w->links[1] = (struct pa_timeline_link){below(&random, 4) ? 13 : INFINITY, .25};
	w->input = (struct pa_timeline_input){
	    .tasks = w->tasks,
	    .task_count = task_count,
	    .extents = w->extents,
	    .extent_count = extent_count,
	    .links = w->links,
	    .link_count = 2,
	    .transfers = w->transfers,
	    .transfer_count = below(&random, 3) ? extent_count : 0,
	    .slots = 1 + below(&random, 4),
	    .memory_bytes =
		below(&random, 2) ? INFINITY : w->total_bytes * (.5 * pa_random_uniform(&random) + .3),
	    .data_first = below(&random, 2),
	};
}

static void check_order_and_slots(const struct world *w, const struct pa_timeline_result *r)
{
	size_t count = w->input.task_count;
	double work_s = 0;
	for (size_t i = 0; i < count; i++) {
		const struct pa_timeline_task_result *t = &r->tasks[i];
		work_s += w->tasks[i].duration_s;
		assert_true(t->ready_s <= t->start_s && t->start_s <= t->run_s);
		NEAR(t->end_s, t->run_s + w->tasks[i].duration_s);
		for (size_t j = 0; j < w->tasks[i].after_count; j++)
			assert_true(r->tasks[w->tasks[i].after[j]].end_s <= t->ready_s);
		/* At every start, ready or end before it got its slot all slots are taken; never more are. */
		for (size_t k = 0; k < 2 * count; k++) {
			double at_s = k % 2 ? r->tasks[k / 2].start_s : r->tasks[k / 2].end_s;
			uint32_t taken = 0;
			for (size_t j = 0; j < count; j++)
				taken += r->tasks[j].start_s <= at_s && at_s < r->tasks[j].end_s;
			assert_true(taken <= w->input.slots);
			if (t->ready_s <= at_s && at_s < t->start_s)
				assert_int_equal(taken, w->input.slots);
		}
	}
	assert_true(r->makespan_s >= work_s / w->input.slots - 1e-9);
}

static void check_data(const struct world *w, const struct pa_timeline_result *r)
{
	double link_bytes[2] = {0, 0}, resident_bytes = 0;
	for (size_t i = 0; i < w->input.extent_count; i++) {
		resident_bytes += w->extents[i].resident ? (double)w->extents[i].bytes : 0;
		link_bytes[w->extents[i].link] += r->extents[i].fetches * (double)w->extents[i].bytes;
		if (w->input.memory_bytes == INFINITY)
			assert_true(r->extents[i].fetches <= !w->extents[i].resident);
		/* Bytes that had crossed the link by the time this extent had come. */
		double crossed = 0;
		for (size_t j = 0; j < w->input.extent_count; j++) {
			if (w->extents[j].link == w->extents[i].link &&
			    r->extents[j].arrived_s <= r->extents[i].arrived_s)
				crossed += (double)w->extents[j].bytes;
		}
		double rate = w->links[w->extents[i].link].bytes_per_second;
		assert_true(isnan(r->extents[i].arrived_s) ||
		            crossed / rate <= r->extents[i].arrived_s + 1e-9);
	}
	assert_true(r->peak_memory_bytes <= fmax(w->input.memory_bytes, resident_bytes) + 1e-9);
	NEAR(link_bytes[0], r->link_bytes[0]);
	NEAR(link_bytes[1], r->link_bytes[1]);
	for (size_t i = 0; i < w->input.task_count; i++) {
		for (size_t j = 0; j < w->tasks[i].read_count; j++) {
			uint32_t read = w->tasks[i].reads[j];
			if (!w->extents[read].resident)
				assert_true(r->extents[read].arrived_s <= r->tasks[i].run_s);
		}
	}
}

static void test_random_dags(void **state)
{
	struct fixture *f = *state;
	struct world *w = calloc(1, sizeof(*w));
	for (uint64_t seed = 1; seed <= 3000; seed++) {
		struct pa_timeline_result again;
		make_world(w, seed);
		f->input = w->input;
		run(f);
		check_order_and_slots(w, &f->result);
		check_data(w, &f->result);
		assert_int_equal(pa_timeline_run(&f->arena, &w->input, &again, &f->err), 0);
		assert_memory_equal(again.tasks, f->result.tasks, w->input.task_count * sizeof(*again.tasks));
		assert_memory_equal(again.extents, f->result.extents,
		                    w->input.extent_count * sizeof(*again.extents));
		pa_arena_done(&f->arena);
	}
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_prefetch_hides_the_transfer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_latency_is_overlapped, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_demand_goes_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_one_fetch_for_all_who_wait, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_evicts_the_furthest, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_prefetch_never_displaces_something_sooner, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_prefetch_leaves_what_is_needed_as_soon, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_what_finds_no_room_is_used_from_the_link, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_data_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_takes_up_a_run_under_way, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_not_before, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refuses_bad_input, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nothing_to_do, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_random_dags, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
