/* SPDX-License-Identifier: Apache-2.0 */
/* Small flows with a known answer, for every policy. */
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
#include "simulate/simulate.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-6)
#define MOST       16

/* A chunk is 100 bytes and takes the link a second; a task computes for 10 s. */
struct fixture {
	struct pa_arena arena;
	struct pa_error err;
	struct pa_flow_task tasks[MOST];
	uint32_t after[MOST], reads[MOST][2], writes[MOST];
	const char *ids[MOST];
	struct pa_instance_file files[MOST];
	struct pa_instance instance;
	struct pa_simulate_options options;
	struct pa_setting setting;
	struct pa_simulation simulation;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->options = (struct pa_simulate_options)PA_SIMULATE_OPTIONS_INIT;
	f->options.bytes_per_second = 100;
	f->options.chunk_bytes = 100;
	f->options.slots = 1;
	f->instance =
	    (struct pa_instance){.name = "test", .tasks = f->tasks, .task_ids = f->ids, .files = f->files};
	for (size_t i = 0; i < MOST; i++) {
		f->tasks[i] = (struct pa_flow_task){.duration_s = 10, .started_s = NAN, .ended_s = NAN};
		f->files[i] = (struct pa_instance_file){"f", 100, true};
		f->ids[i] = "t";
	}
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

/* Task `index` after the one before it, reading one or two files. */
static void chain(struct fixture *f, uint32_t index, uint32_t first, uint32_t second)
{
	struct pa_flow_task *task = &f->tasks[index];
	f->after[index] = index - 1;
	task->after = &f->after[index];
	task->after_count = index > 0;
	f->reads[index][0] = first;
	f->reads[index][1] = second;
	task->reads = f->reads[index];
	task->read_count = first == UINT32_MAX ? 0 : second == UINT32_MAX ? 1 : 2;
	f->instance.task_count = index + 1;
}

static void chain_of(struct fixture *f, const char *files)
{
	for (uint32_t i = 0; files[i] != '\0'; i++)
		chain(f, i, files[i] == '-' ? UINT32_MAX : (uint32_t)(files[i] - 'A'), UINT32_MAX);
	f->instance.file_count = 8;
}

/* Chunks are cut by the setting at a sixteenth of the memory; these tests need them whole. */
static void simulate(struct fixture *f, const char *policy, double memory_chunks)
{
	int number = PA_SIMULATE_OWN;
	for (int i = 0; i < PA_RIVALS; i++)
		if (strcmp(pa_rival_names[i], policy) == 0)
			number = i;
	f->options.memory_bytes = 1e9;
	int failed = pa_setting_make(&f->arena, &f->instance, &f->options, &f->setting, &f->err);
	f->setting.flow.memory_bytes = memory_chunks * 100;
	if (!failed)
		failed = pa_flow_graph_make(&f->arena, &f->setting.flow, &f->setting.graph, &f->err);
	if (!failed)
		failed = pa_simulate_run(&f->arena, &f->setting, number, &f->simulation, &f->err);
	if (failed)
		fail_msg("%s", f->err.message);
	assert_true(f->simulation.result.peak_memory_bytes <= memory_chunks * 100 + 1);
}

static double makespan(struct fixture *f, const char *policy, double memory_chunks)
{
	simulate(f, policy, memory_chunks);
	return f->simulation.result.makespan_s;
}

/* A B C A B with room for two: what each policy misses costs a second. */
static void test_the_textbook_sequence(void **state)
{
	struct fixture *f = *state;
	chain_of(f, "ABCAB");
	NEAR(makespan(f, "none", 2), 55);
	NEAR(makespan(f, "lru", 2), 55);
	NEAR(makespan(f, "never-evict", 2), 53);
	NEAR(makespan(f, "lrc", 2), 53);
	NEAR(makespan(f, "lerc", 2), 53);
	NEAR(makespan(f, "min", 2), 53);
	NEAR(makespan(f, "mrd", 2), 51);
	NEAR(makespan(f, "edf-min", 2), 51);
	NEAR(makespan(f, "pipeahead", 2), 51);
	/* Loads B and C ahead, and C drives A out. */
	NEAR(makespan(f, "fcfs-lru", 2), 53);
	NEAR(f->simulation.result.fetched_bytes, 500);
	assert_int_equal(f->simulation.result.ahead_bytes, 200);
}

static void test_enough_memory(void **state)
{
	struct fixture *f = *state;
	chain_of(f, "ABCAB");
	NEAR(makespan(f, "none", 8), 55);
	NEAR(makespan(f, "lru", 8), 53);
	NEAR(makespan(f, "kariz", 8), 51);
	NEAR(makespan(f, "fcfs-lru", 8), 51);
	NEAR(makespan(f, "pipeahead", 8), 51);
	NEAR(f->simulation.result.fetched_bytes, 300);
	NEAR(f->setting.ideal_s, 50);
	NEAR(f->simulation.cold_start_s, 1);
	NEAR(f->simulation.avoidable_s, 0);
	NEAR(f->setting.bound_s, 51);
}

/* X Z Y W Z XY W: when W comes, X is gone, so Y serves nobody alone: LERC lets it go, LRC the older Z. */
static void test_lerc_counts_effective_references(void **state)
{
	struct fixture *f = *state;
	enum { X, Y, Z, W };
	static const uint32_t first[] = {X, Z, Y, W, Z, X, W};
	for (uint32_t i = 0; i < 7; i++)
		chain(f, i, first[i], i == 5 ? Y : UINT32_MAX);
	f->instance.file_count = 4;
	simulate(f, "lrc", 2);
	assert_int_equal(f->simulation.result.files[Z].chunks, 2);
	assert_int_equal(f->simulation.result.files[Y].chunks, 1);
	simulate(f, "lerc", 2);
	assert_int_equal(f->simulation.result.files[Z].chunks, 1);
	assert_int_equal(f->simulation.result.files[Y].chunks, 2);
}

/* The second task reads 5 chunks: loaded during the first, as far as memory goes. */
static void test_kariz_caches_fractions(void **state)
{
	struct fixture *f = *state;
	chain_of(f, "-A");
	f->files[0].bytes = 500;
	NEAR(makespan(f, "lru", 10), 25);
	NEAR(makespan(f, "kariz", 10), 20);
	NEAR(makespan(f, "kariz", 2), 23);
	NEAR(makespan(f, "pipeahead", 2), 23);
	/* Only what the time of the stage before allows. */
	f->tasks[0].duration_s = 3;
	NEAR(makespan(f, "kariz", 10), 15);
}

static void test_readers_at_once_share_a_transfer(void **state)
{
	struct fixture *f = *state;
	chain_of(f, "AAA");
	for (size_t i = 0; i < 3; i++)
		f->tasks[i].after_count = 0;
	f->files[0].bytes = 400;
	f->options.slots = 3;
	NEAR(makespan(f, "none", 0), 14);
	NEAR(f->simulation.result.fetched_bytes, 400);
	NEAR(makespan(f, "pipeahead", 0), 14);
}

/* A task that comes while another waits needs what that one has seen already, and the rest with it. */
static void test_a_late_reader_joins(void **state)
{
	struct fixture *f = *state;
	chain_of(f, "-AA");
	f->tasks[0].duration_s = 2;
	f->tasks[1].after_count = 0;
	f->files[0].bytes = 400;
	f->options.slots = 2;
	simulate(f, "none", 0);
	const struct pa_flow_task_result *tasks = f->simulation.result.tasks;
	NEAR(tasks[1].run_s, 4);
	/* Task 2 starts when 1 ends at 14, task 0 being its predecessor's; it is after task 1. */
	NEAR(tasks[2].run_s, 18);
	f->after[2] = 0;
	simulate(f, "none", 0);
	tasks = f->simulation.result.tasks;
	NEAR(tasks[1].run_s, 4);
	NEAR(tasks[2].start_s, 2);
	NEAR(tasks[2].run_s, 6);
	NEAR(f->simulation.result.fetched_bytes, 600);
}

static void test_outputs_are_written_into_memory(void **state)
{
	struct fixture *f = *state;
	chain_of(f, "-A");
	f->files[0] = (struct pa_instance_file){"out", 300, false};
	f->writes[0] = 0;
	f->tasks[0].writes = f->writes;
	f->tasks[0].write_count = 1;
	NEAR(makespan(f, "lru", 3), 20);
	NEAR(f->simulation.result.fetched_bytes, 0);
	NEAR(makespan(f, "none", 3), 23);
	/* One chunk does not fit. */
	NEAR(makespan(f, "min", 2), 21);
	assert_true(isinf(f->setting.link.bytes_per_second) || f->setting.cold_bytes == 0);
}

/* Two tasks of one slot: a long one whose data is missing, a short one that reads nothing.  Free to reorder, the
 * planner runs the short one first and loads meanwhile. */
static void test_the_planner_reorders(void **state)
{
	struct fixture *f = *state;
	chain_of(f, "A-");
	f->tasks[1].after_count = 0;
	f->tasks[1].duration_s = 5;
	f->files[0].bytes = 400;
	NEAR(makespan(f, "edf-min", 8), 19);
	NEAR(makespan(f, "pipeahead", 8), 15);
	f->options.given_order = true;
	NEAR(makespan(f, "pipeahead", 8), 19);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_the_textbook_sequence),
	    TEST(test_enough_memory),
	    TEST(test_lerc_counts_effective_references),
	    TEST(test_kariz_caches_fractions),
	    TEST(test_readers_at_once_share_a_transfer),
	    TEST(test_a_late_reader_joins),
	    TEST(test_outputs_are_written_into_memory),
	    TEST(test_the_planner_reorders),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
