/* SPDX-License-Identifier: Apache-2.0 */
/* Random DAGs under every policy, and instances that nobody should have written. */
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
#include "simulate/simulate.h"

static uint32_t below(struct pa_random *random, uint32_t limit)
{
	return (uint32_t)(pa_random_uniform(random) * limit);
}

/* Up to `limit` different numbers under `end`, ascending. */
static const uint32_t *some(struct pa_arena *arena, struct pa_random *random, uint32_t limit, uint32_t end,
                            size_t *ret_count)
{
	uint32_t *numbers = pa_arena_array(arena, limit, sizeof(*numbers));
	uint32_t wanted = below(random, limit + 1), number = 0;
	*ret_count = 0;
	for (uint32_t i = 0; i < wanted && number < end; i++) {
		number += below(random, end / (wanted + 1) + 2);
		if (number >= end)
			break;
		numbers[(*ret_count)++] = number++;
	}
	return numbers;
}

/* Tasks read files that nobody writes or that a predecessor does. */
static struct pa_instance random_instance(struct pa_arena *arena, uint64_t seed, uint32_t tasks)
{
	struct pa_random random = {seed};
	uint32_t external = 1 + below(&random, tasks);
	struct pa_instance instance = {.name = "random", .task_count = tasks, .file_count = external + tasks};
	instance.tasks = pa_arena_array(arena, tasks, sizeof(*instance.tasks));
	instance.task_ids = pa_arena_array(arena, tasks, sizeof(*instance.task_ids));
	instance.files = pa_arena_array(arena, instance.file_count, sizeof(*instance.files));
	for (uint32_t i = 0; i < instance.file_count; i++)
		instance.files[i] = (struct pa_instance_file){
		    "f", below(&random, 8) == 0 ? 0 : below(&random, 4000), i < external};
	for (uint32_t i = 0; i < tasks; i++) {
		struct pa_flow_task *task = &instance.tasks[i];
		size_t count;
		*task = (struct pa_flow_task){.duration_s = below(&random, 6) == 0 ? 0 : below(&random, 20),
		                              .started_s = NAN,
		                              .ended_s = NAN};
		task->after = some(arena, &random, 3, i, &task->after_count);
		const uint32_t *reads = some(arena, &random, 3, external, &count);
		uint32_t *all = pa_arena_array(arena, count + task->after_count, sizeof(*all));
		memcpy(all, reads, count * sizeof(*all));
		for (size_t j = 0; j < task->after_count; j++)
			all[count++] = external + task->after[j];
		task->reads = all;
		task->read_count = count;
		uint32_t *written = pa_arena_array(arena, 1, sizeof(*written));
		*written = external + i;
		task->writes = written;
		task->write_count = 1;
		instance.task_ids[i] = "t";
	}
	return instance;
}

static struct pa_simulate_options random_options(uint64_t seed)
{
	struct pa_simulate_options options = PA_SIMULATE_OPTIONS_INIT;
	struct pa_random random = {~seed};
	static const double shares[] = {0, .02, .1, .3, 1};
	options.memory_share = shares[below(&random, 5)];
	options.rho = .1 + 2 * pa_random_uniform(&random);
	options.slots = 1 + below(&random, 8);
	options.chunk_bytes = 1 + below(&random, 1000);
	options.given_order = below(&random, 4) == 0;
	options.noise = below(&random, 3) == 0 ? .3 : 0;
	return options;
}

static void check_run(const struct pa_setting *setting, const struct pa_simulation *simulation)
{
	const struct pa_flow_result *result = &simulation->result;
	const struct pa_flow *flow = &setting->flow;
	double files_bytes = 0;
	assert_true(result->peak_memory_bytes <= flow->memory_bytes + 1);
	assert_true(result->makespan_s >= setting->bound_s * (1 - 1e-9));
	assert_true(result->ahead_used_bytes <= result->ahead_bytes + 1);
	assert_true(result->hit_bytes <= result->read_bytes + 1);
	for (uint32_t i = 0; i < flow->file_count; i++)
		if (flow->files[i].chunks > 0)
			files_bytes += (double)result->files[i].chunks * (double)flow->files[i].bytes /
			               flow->files[i].chunks;
	assert_true(fabs(files_bytes - result->fetched_bytes) <= 1 + 1e-9 * files_bytes);
	for (uint32_t i = 0; i < flow->task_count; i++) {
		const struct pa_flow_task_result *task = &result->tasks[i];
		assert_true(task->ready_s <= task->start_s && task->start_s <= task->run_s);
		assert_true(fabs(task->end_s - task->run_s - setting->durations_s[i]) < 1e-6);
		for (size_t j = 0; j < flow->tasks[i].after_count; j++)
			assert_true(result->tasks[flow->tasks[i].after[j]].end_s <= task->ready_s);
	}
}

static void test_random_dags_under_every_policy(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct pa_arena arena = PA_ARENA_INIT;
		struct pa_error err = PA_ERROR_INIT;
		struct pa_instance instance = random_instance(&arena, seed, 2 + (uint32_t)(seed % 60));
		struct pa_simulate_options options = random_options(seed);
		struct pa_setting setting;
		struct pa_simulation simulation;
		double own_s = 0;
		if (pa_setting_make(&arena, &instance, &options, &setting, &err) < 0)
			fail_msg("%s", err.message);
		for (int policy = PA_SIMULATE_OWN; policy < PA_RIVALS; policy++) {
			assert_int_equal(pa_simulate_run(&arena, &setting, policy, &simulation, &err), 0);
			check_run(&setting, &simulation);
			if (policy == PA_SIMULATE_OWN)
				own_s = simulation.result.makespan_s;
			else if (policy == 1 && options.noise == 0)
				assert_true(own_s <= simulation.result.makespan_s * (1 + 1e-9));
		}
		pa_arena_done(&arena);
	}
}

/* What a strategy by rank loads is read: nothing after the last use, nothing that is never used. */
static void test_plans_load_what_is_read(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct pa_arena arena = PA_ARENA_INIT;
		struct pa_error err = PA_ERROR_INIT;
		struct pa_instance instance = random_instance(&arena, seed, 40);
		struct pa_simulate_options options = PA_SIMULATE_OPTIONS_INIT;
		struct pa_setting setting;
		struct pa_simulation once, again;
		options.memory_share = 1;
		options.chunk_bytes = 500;
		assert_int_equal(pa_setting_make(&arena, &instance, &options, &setting, &err), 0);
		assert_int_equal(pa_simulate_run(&arena, &setting, PA_SIMULATE_OWN, &once, &err), 0);
		assert_int_equal(pa_simulate_run(&arena, &setting, PA_SIMULATE_OWN, &again, &err), 0);
		assert_true(once.result.fetched_bytes <= setting.cold_bytes + 1);
		assert_true(once.result.ahead_bytes <= once.result.ahead_used_bytes + 1);
		/* The same input, the same plan. */
		assert_memory_equal(once.result.tasks, again.result.tasks,
		                    instance.task_count * sizeof(*once.result.tasks));
		assert_string_equal(once.chosen, again.chosen);
		pa_arena_done(&arena);
	}
}

static double geomean_of(double memory_share, double rho, double *worst, const double *base)
{
	double sum = 0;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct pa_arena arena = PA_ARENA_INIT;
		struct pa_error err = PA_ERROR_INIT;
		struct pa_instance instance = random_instance(&arena, seed, 50);
		struct pa_simulate_options options = PA_SIMULATE_OPTIONS_INIT;
		struct pa_setting setting;
		struct pa_simulation simulation;
		options.memory_share = memory_share;
		options.rho = rho;
		options.chunk_bytes = 500;
		assert_int_equal(pa_setting_make(&arena, &instance, &options, &setting, &err), 0);
		assert_int_equal(pa_simulate_run(&arena, &setting, PA_SIMULATE_OWN, &simulation, &err), 0);
		double makespan_s = simulation.result.makespan_s;
		if (base)
			worst[0] = fmax(worst[0], makespan_s / base[seed]);
		else
			worst[seed] = makespan_s;
		sum += log(makespan_s);
		pa_arena_done(&arena);
	}
	return sum;
}

/* List scheduling has anomalies: a single case may lose a little. */
static void test_more_never_hurts(void **state)
{
	double base[41], worst[1] = {0};
	(void)state;
	double poor = geomean_of(.1, 1, base, NULL);
	assert_true(geomean_of(.2, 1, worst, base) <= poor);
	assert_true(worst[0] < 1.05);
	worst[0] = 0;
	assert_true(geomean_of(.1, .8, worst, base) <= poor);
	assert_true(worst[0] < 1.05);
}

static int read_text(struct pa_arena *arena, const char *text, struct pa_instance *ret, struct pa_error *err)
{
	return pa_instance_read_wfformat(arena, "x.json", text, strlen(text), ret, err);
}

#define INSTANCE(tasks, files, executed)                                                                     \
	"{\"name\":\"n\",\"workflow\":{\"specification\":{\"tasks\":[" tasks "],\"files\":[" files           \
	"]},\"execution\":{\"tasks\":[" executed "]}}}"
#define TASK(id, parents, in, out)                                                                           \
	"{\"id\":\"" id "\",\"parents\":[" parents "],\"inputFiles\":[" in "],\"outputFiles\":[" out "]}"
#define RAN(id, seconds) "{\"id\":\"" id "\",\"runtimeInSeconds\":" seconds "}"

static void test_bad_instances_are_named(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} cases[] = {
	    {"", "x.json:1:0"},
	    {"{\"a\":1}", "specification"},
	    {INSTANCE("", "", ""), "0 tasks"},
	    {INSTANCE(TASK("a", "", "", ""), "", ""), "run time"},
	    {INSTANCE(TASK("a", "", "", ""), "", RAN("a", "-1")), "runtimeInSeconds"},
	    {INSTANCE(TASK("a", "", "", ""), "", RAN("a", "NaN")), "x.json:1"},
	    {INSTANCE(TASK("a", "", "", ""), "", RAN("b", "1")), "no task"},
	    {INSTANCE(TASK("a", "\"b\"", "", ""), "", RAN("a", "1")), "parent \"b\""},
	    {INSTANCE(TASK("a", "", "\"f\"", ""), "", RAN("a", "1")), "input file \"f\""},
	    {INSTANCE(TASK("a", "", "", "") "," TASK("a", "", "", ""), "", RAN("a", "1")), "twice"},
	    {INSTANCE(TASK("a", "", "\"f\"", ""), "{\"id\":\"f\",\"sizeInBytes\":-5}", RAN("a", "1")),
	     "2^53"},
	    {INSTANCE(TASK("a", "", "\"f\"", ""), "{\"id\":\"f\"}", RAN("a", "1")), "sizeInBytes"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pa_arena arena = PA_ARENA_INIT;
		struct pa_error err = PA_ERROR_INIT;
		struct pa_instance instance;
		assert_int_equal(read_text(&arena, cases[i].text, &instance, &err), -PA_ERROR_INPUT);
		if (strstr(err.message, cases[i].message) == NULL)
			fail_msg("case %zu: %s", i, err.message);
		pa_arena_done(&arena);
	}
}

static void test_a_cycle_is_an_error(void **state)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_simulate_options options = PA_SIMULATE_OPTIONS_INIT;
	struct pa_instance instance;
	struct pa_setting setting;
	(void)state;
	assert_int_equal(read_text(&arena,
	                           INSTANCE(TASK("a", "\"b\"", "", "") "," TASK("b", "\"a\"", "", ""), "",
	                                    RAN("a", "1") "," RAN("b", "1")),
	                           &instance, &err),
	                 0);
	assert_int_equal(pa_setting_make(&arena, &instance, &options, &setting, &err), -PA_ERROR_INPUT);
	assert_non_null(strstr(err.message, "cycle"));
	pa_arena_done(&arena);
}

/* Zero times and sizes, and a file that no memory holds. */
static void test_extremes_end(void **state)
{
	static const double memories[] = {0, 1e3, 1e12};
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_instance instance;
	(void)state;
	assert_int_equal(read_text(&arena,
	                           INSTANCE(TASK("a", "", "\"big\",\"none\"",
	                                         "\"out\"") "," TASK("b", "\"a\"", "\"out\",\"big\"", ""),
	                                    "{\"id\":\"big\",\"sizeInBytes\":1e9},{\"id\":\"none\","
	                                    "\"sizeInBytes\":0},{\"id\":\"out\",\"sizeInBytes\":7}",
	                                    RAN("a", "0") "," RAN("b", "0")),
	                           &instance, &err),
	                 0);
	for (size_t i = 0; i < 3; i++) {
		struct pa_simulate_options options = PA_SIMULATE_OPTIONS_INIT;
		options.memory_bytes = memories[i];
		options.bytes_per_second = 1e6;
		struct pa_setting setting;
		struct pa_simulation simulation;
		assert_int_equal(pa_setting_make(&arena, &instance, &options, &setting, &err), 0);
		for (int policy = PA_SIMULATE_OWN; policy < PA_RIVALS; policy++) {
			assert_int_equal(pa_simulate_run(&arena, &setting, policy, &simulation, &err), 0);
			assert_true(simulation.result.makespan_s >= 1000 - 1e-6);
			assert_true(isnan(simulation.stall_ratio));
		}
	}
	pa_arena_done(&arena);
}

static void test_a_hundred_thousand_tasks(void **state)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_instance instance = random_instance(&arena, 1, 100000);
	struct pa_simulate_options options = PA_SIMULATE_OPTIONS_INIT;
	struct pa_setting setting;
	struct pa_simulation simulation;
	(void)state;
	options.effort = PA_PORTFOLIO_QUICK;
	assert_int_equal(pa_setting_make(&arena, &instance, &options, &setting, &err), 0);
	assert_int_equal(pa_simulate_run(&arena, &setting, PA_SIMULATE_OWN, &simulation, &err), 0);
	check_run(&setting, &simulation);
	pa_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_dags_under_every_policy),
	    cmocka_unit_test(test_plans_load_what_is_read),
	    cmocka_unit_test(test_more_never_hurts),
	    cmocka_unit_test(test_bad_instances_are_named),
	    cmocka_unit_test(test_a_cycle_is_an_error),
	    cmocka_unit_test(test_extremes_end),
	    cmocka_unit_test(test_a_hundred_thousand_tasks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
