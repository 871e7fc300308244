/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/random.h"
#include "plan/plan.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-6)
#define MIB        1048576

/* Pipelines are written as {id, after}; durations are certain, so that every time can be worked out by hand. */
struct fixture {
	struct pa_arena arena;
	struct pa_task tasks[12];
	const char *after[12][4];
	struct pa_task_forecast forecasts[12];
	struct pa_plan_task_state states[12];
	struct pa_pipeline pipeline;
	struct pa_forecast forecast;
	struct pa_plan_data_set data_sets[2];
	struct pa_plan_extent extents[12];
	struct pa_plan_link links[2];
	struct pa_plan_read reads[24];
	bool unknown[12], client[12];
	struct pa_plan_input input;
	struct pa_plan plan;
	struct pa_error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->pipeline = (struct pa_pipeline){.name = "p", .tasks = f->tasks};
	f->forecast.tasks = f->forecasts;
	f->data_sets[0] = (struct pa_plan_data_set){"claim:raw", 0};
	f->data_sets[1] = (struct pa_plan_data_set){"uri:s3://b/k", 1};
	f->links[0] = (struct pa_plan_link){"file:///srv/raw", MIB, 0};
	f->links[1] = (struct pa_plan_link){"s3://b", MIB, 0};
	f->input = (struct pa_plan_input){.pipeline = &f->pipeline,
	                                  .forecast = &f->forecast,
	                                  .data_sets = f->data_sets,
	                                  .data_set_count = 2,
	                                  .extents = f->extents,
	                                  .links = f->links,
	                                  .link_count = 2,
	                                  .reads = f->reads,
	                                  .unknown_data = f->unknown,
	                                  .client_reads = f->client,
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

static void task(struct fixture *f, const char *id, double duration_s, const char *after)
{
	size_t i = f->pipeline.task_count++;
	f->forecast.task_count++;
	f->tasks[i] = (struct pa_task){.id = id, .template_name = id, .after = f->after[i]};
	if (after)
		f->after[i][f->tasks[i].after_count++] = after;
	f->forecasts[i] = (struct pa_task_forecast){.probability = 1, .instances = 1};
	for (size_t q = 0; q < PA_FORECAST_QUANTILES; q++)
		f->forecasts[i].duration_s.quantiles[q] = duration_s;
	f->states[i] = (struct pa_plan_task_state){NAN, NAN, false};
}

static void extent(struct fixture *f, uint32_t data_set, const char *path, uint64_t mib,
                   uint64_t resident_mib)
{
	f->extents[f->input.extent_count++] =
	    (struct pa_plan_extent){data_set, path, 0, mib * MIB, resident_mib * MIB};
}

static void reads(struct fixture *f, uint32_t reader, uint32_t of)
{
	f->reads[f->input.read_count++] = (struct pa_plan_read){reader, of, PA_READ_DECLARED};
}

static void make(struct fixture *f)
{
	if (pa_plan_make(&f->arena, &f->input, &f->plan, &f->err))
		fail_msg("%s", f->err.message);
}

/* The n-th action of a kind, or NULL. */
static const struct pa_plan_action *action(const struct fixture *f, enum pa_plan_action_kind kind, size_t n)
{
	for (size_t i = 0; i < f->plan.action_count; i++) {
		if (f->plan.actions[i].kind == kind && n-- == 0)
			return &f->plan.actions[i];
	}
	return NULL;
}

static void expect_verdict(const struct fixture *f, size_t index, const char *text)
{
	char out[64];
	assert_string_equal(pa_verdict_format(&f->plan.verdicts[index], out, sizeof(out)), text);
}

/* prepare (10 s, reads 2 MiB) → train (5 s, reads 4 MiB), 1 MiB/s each way.
 * With loads: 2 s of waiting that nothing can hide, 10 s, 5 s; train's data comes at 2 + 4 = 6. */
static void test_two_steps(void **state)
{
	struct fixture *f = *state;
	task(f, "prepare", 10, NULL);
	task(f, "train", 5, "prepare");
	extent(f, 0, "b", 4, 0);
	extent(f, 0, "a", 2, 0);
	reads(f, 1, 0);
	reads(f, 0, 1);
	make(f);
	NEAR(f->plan.makespan_s, 17);
	NEAR(f->plan.without_makespan_s, 21);
	NEAR(f->plan.local_makespan_s, 15);
	NEAR(f->plan.bound_s, 17);
	NEAR(f->plan.peak_memory_bytes, 6 * MIB);
	NEAR(f->plan.link_bytes[0], 6 * MIB);
	NEAR(f->plan.link_bytes[1], 0);
	expect_verdict(f, 0, "late by 2.0 s");
	expect_verdict(f, 1, "ready");
	NEAR(f->plan.times[1].start_s, 12);
	NEAR(f->plan.times[0].stall_s, 2);

	const struct pa_plan_action *load = action(f, PA_PLAN_LOAD, 0);
	assert_int_equal(load->extent, 1);
	NEAR(load->arrives_s, 2);
	NEAR(load->deadline_s, 0);
	NEAR(load->keep_until_s, 12);
	load = action(f, PA_PLAN_LOAD, 1);
	assert_int_equal(load->extent, 0);
	assert_int_equal(load->priority, 1);
	NEAR(load->at_s, 0);
	NEAR(load->arrives_s, 6);
	NEAR(load->deadline_s, 12);
	NEAR(load->keep_until_s, 17);
	assert_string_equal(load->why,
	                    "first read by \"train\"; there 6.0 s before its earliest likely start");
	assert_null(action(f, PA_PLAN_LOAD, 2));
	NEAR(action(f, PA_PLAN_START, 1)->at_s, 12);
	NEAR(action(f, PA_PLAN_RELEASE, 0)->at_s, 12);
	assert_int_equal(action(f, PA_PLAN_RELEASE, 0)->extent, 1);
	NEAR(action(f, PA_PLAN_RELEASE, 1)->at_s, 17);
	assert_null(action(f, PA_PLAN_HOLD, 0));
}

static void test_shared_data_is_loaded_once(void **state)
{
	struct fixture *f = *state;
	task(f, "first", 10, NULL);
	task(f, "second", 5, "first");
	task(f, "third", 5, "second");
	extent(f, 0, "", 3, 1);
	reads(f, 2, 0);
	reads(f, 1, 0);
	reads(f, 1, 0);
	make(f);
	NEAR(f->plan.link_bytes[0], 2 * MIB);
	const struct pa_plan_action *load = action(f, PA_PLAN_LOAD, 0);
	assert_int_equal(load->task, 1);
	assert_int_equal(load->offset_bytes, 1 * MIB);
	assert_int_equal(load->bytes, 2 * MIB);
	NEAR(load->deadline_s, 10);
	NEAR(load->keep_until_s, 20);
	assert_null(action(f, PA_PLAN_LOAD, 1));
	const struct pa_plan_action *keep = action(f, PA_PLAN_KEEP, 0);
	assert_int_equal(keep->bytes, 1 * MIB);
	NEAR(keep->deadline_s, 10);
	NEAR(keep->keep_until_s, 20);
	assert_int_equal(f->plan.verdicts[1].bytes, 3 * MIB);
	expect_verdict(f, 0, "no data");
	expect_verdict(f, 2, "ready");
}

/* One slot; "big" goes first by its longer path but waits 8 s for data; "small" has its data. */
static void test_hold(void **state)
{
	struct fixture *f = *state;
	task(f, "big", 10, NULL);
	task(f, "small", 8, NULL);
	extent(f, 0, "big", 8, 0);
	extent(f, 0, "small", 1, 1);
	reads(f, 0, 0);
	reads(f, 1, 1);
	make(f);
	NEAR(f->plan.makespan_s, 18);
	NEAR(f->plan.without_makespan_s, 26);
	const struct pa_plan_action *hold = action(f, PA_PLAN_HOLD, 0);
	assert_non_null(hold);
	assert_int_equal(hold->task, 0);
	NEAR(hold->at_s, 0);
	NEAR(hold->deadline_s, 8);
	assert_non_null(strstr(hold->why, "\"small\""));
	assert_true(f->plan.task_order[1] < f->plan.task_order[0]);
	NEAR(f->plan.times[0].stall_s, 0);
}

static void test_verdicts(void **state)
{
	struct fixture *f = *state;
	task(f, "a", 10, NULL);
	task(f, "too-big", 5, "a");
	task(f, "unknown", 5, "too-big");
	task(f, "client", 5, "unknown");
	f->unknown[2] = f->client[3] = true;
	extent(f, 0, "", 64, 0);
	reads(f, 1, 0);
	f->input.memory_bytes = 32 * MIB;
	make(f);
	expect_verdict(f, 0, "no data");
	expect_verdict(f, 1, "too big");
	NEAR(f->plan.verdicts[1].share, .5);
	expect_verdict(f, 2, "unknown data");
	expect_verdict(f, 3, "client reads it");
	/* Half of it is loaded ahead in pieces; 10 s hide 10 MiB and the task waits for the other 54. */
	assert_non_null(action(f, PA_PLAN_LOAD, 0));
	assert_int_equal(action(f, PA_PLAN_LOAD, 0)->bytes, 1 * MIB);
	NEAR(f->plan.times[1].stall_s, 54);
	assert_true(f->plan.peak_memory_bytes <= 32 * MIB);
	NEAR(f->plan.without_makespan_s, 10 + 64 + 5 + 5 + 5);
}

/* a has ended, b has run for 3 of 10 s, c is left out: what only a and c read goes at once. */
static void test_plans_a_run_under_way(void **state)
{
	struct fixture *f = *state;
	task(f, "a", 4, NULL);
	task(f, "b", 10, "a");
	task(f, "c", 10, "a");
	task(f, "d", 2, "b");
	extent(f, 0, "a", 1, 1);
	extent(f, 0, "c", 1, 1);
	extent(f, 0, "d", 4, 0);
	reads(f, 0, 0);
	reads(f, 2, 1);
	reads(f, 3, 2);
	f->input.states = f->states;
	f->states[0] = (struct pa_plan_task_state){-7, -3, false};
	f->states[1].started_s = -3;
	f->states[2].skipped = true;
	make(f);
	NEAR(f->plan.makespan_s, 9);
	NEAR(f->plan.times[3].start_s, 7);
	NEAR(f->plan.bound_s, 9);
	const struct pa_plan_action *release = action(f, PA_PLAN_RELEASE, 0);
	assert_int_equal(release->extent, 0);
	NEAR(release->at_s, 0);
	assert_string_equal(release->why, "all its readers have ended");
	assert_int_equal(action(f, PA_PLAN_RELEASE, 1)->extent, 1);
	NEAR(action(f, PA_PLAN_RELEASE, 1)->at_s, 0);
	assert_int_equal(action(f, PA_PLAN_LOAD, 0)->extent, 2);
	assert_int_equal(action(f, PA_PLAN_START, 0)->task, 3);
	assert_null(action(f, PA_PLAN_START, 1));
	expect_verdict(f, 2, "no data");
}

/* What a task under way still misses comes before what is needed later, though that is larger work. */
static void test_task_under_way_comes_first(void **state)
{
	struct fixture *f = *state;
	task(f, "long", 50, NULL);
	task(f, "now", 5, NULL);
	extent(f, 0, "long", 5, 0);
	extent(f, 0, "now", 2, 0);
	reads(f, 0, 0);
	reads(f, 1, 1);
	f->input.states = f->states;
	f->states[1].started_s = -1;
	make(f);
	assert_int_equal(action(f, PA_PLAN_LOAD, 0)->extent, 1);
	NEAR(f->plan.times[1].end_s, 7);
	expect_verdict(f, 1, "late by 2.0 s");
	expect_verdict(f, 0, "ready");
}

static void test_unlikely_task_is_not_planned_for(void **state)
{
	struct fixture *f = *state;
	task(f, "a", 10, NULL);
	task(f, "rare", 5, "a");
	f->forecasts[1].probability = .1;
	f->tasks[1].condition = "x == y";
	extent(f, 0, "", 4, 1);
	reads(f, 1, 0);
	make(f);
	assert_null(action(f, PA_PLAN_LOAD, 0));
	assert_non_null(action(f, PA_PLAN_KEEP, 0));
	expect_verdict(f, 1, "partial 25%");
}

static void test_refuses_bad_input(void **state)
{
	struct fixture *f = *state;
	task(f, "a", 1, NULL);
	extent(f, 0, "", 1, 2);
	assert_int_equal(pa_plan_make(&f->arena, &f->input, &f->plan, &f->err), -PA_ERROR_INPUT);
	assert_non_null(strstr(f->err.message, "resident"));
	f->extents[0].resident_bytes = 0;
	reads(f, 7, 0);
	assert_int_equal(pa_plan_make(&f->arena, &f->input, &f->plan, &f->err), -PA_ERROR_INPUT);
	assert_non_null(strstr(f->err.message, "task 7 of 1"));
	f->input.read_count = 0;
	f->data_sets[1].link = 2;
	assert_int_equal(pa_plan_make(&f->arena, &f->input, &f->plan, &f->err), -PA_ERROR_INPUT);
	f->data_sets[1].link = 0;
	f->input.slots = 0;
	assert_int_equal(pa_plan_make(&f->arena, &f->input, &f->plan, &f->err), -PA_ERROR_INPUT);
	f->input.slots = 1;
	f->forecast.task_count = 0;
	assert_int_equal(pa_plan_make(&f->arena, &f->input, &f->plan, &f->err), -PA_ERROR_BUG);
}

static void test_prints(void **state)
{
	struct fixture *f = *state;
	task(f, "prepare", 10, NULL);
	task(f, "train", 5, "prepare");
	extent(f, 1, "x", 4, 0);
	f->extents[0].offset_bytes = 5;
	reads(f, 1, 0);
	make(f);
	struct pa_buffer out;
	pa_buffer_init(&out, 1 << 20);
	pa_plan_print_json(&f->input, &f->plan, &out);
	json_t *root = json_loads(out.data, 0, NULL);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "schema")), "pipeahead/plan/v1");
	NEAR(json_real_value(json_object_get(root, "makespan_s")), 15);
	const json_t *load = json_array_get(json_object_get(root, "actions"), 0);
	assert_string_equal(json_string_value(json_object_get(load, "action")), "load");
	assert_string_equal(json_string_value(json_object_get(load, "data_set")), "uri:s3://b/k");
	assert_int_equal(json_integer_value(json_object_get(load, "offset_bytes")), 5);
	assert_int_equal(json_integer_value(json_object_get(load, "bytes")), 4 * MIB);
	const json_t *source = json_array_get(json_object_get(root, "sources"), 1);
	assert_int_equal(json_integer_value(json_object_get(source, "bytes")), 4 * MIB);
	const json_t *train = json_array_get(json_object_get(root, "tasks"), 1);
	assert_string_equal(json_string_value(json_object_get(train, "verdict")), "ready");
	NEAR(json_real_value(json_object_get(train, "start_s")), 10);
	json_decref(root);
	pa_buffer_clear(&out);
	pa_plan_print_table(&f->input, &f->plan, &out);
	assert_non_null(strstr(out.data, "TASK "));
	assert_non_null(strstr(out.data, "uri:s3://b/k/x +5"));
	assert_non_null(strstr(out.data, "makespan 15.0 s with these loads, 19.0 s without, 15.0 s if all"));
	assert_non_null(strstr(out.data, "from s3://b: 4.0 MiB"));
	pa_buffer_done(&out);
}

/* ---- properties over random pipelines ---- */

#define WORLD_TASKS   30
#define WORLD_EXTENTS 40
#define WORLD_READS   90

struct world {
	struct pa_task tasks[WORLD_TASKS];
	char ids[WORLD_TASKS][12];
	const char *after[WORLD_TASKS][3];
	struct pa_task_forecast forecasts[WORLD_TASKS];
	struct pa_plan_task_state states[WORLD_TASKS];
	struct pa_plan_extent extents[WORLD_EXTENTS];
	struct pa_plan_read reads[WORLD_READS];
	struct pa_pipeline pipeline;
	struct pa_forecast forecast;
	struct pa_plan_input input;
	double total_bytes;
};

static uint32_t below(struct pa_random *random, uint32_t limit)
{
	return (uint32_t)(pa_random_u64(random) % limit);
}

static void make_tasks(struct world *w, struct pa_random *random)
{
	size_t count = 1 + below(random, WORLD_TASKS);
	for (uint32_t i = 0; i < count; i++) {
		struct pa_task *t = &w->tasks[i];
		snprintf(w->ids[i], sizeof(w->ids[i]), "t%u", i);
		*t = (struct pa_task){.id = w->ids[i], .template_name = w->ids[i % 7], .after = w->after[i]};
		for (uint32_t j = i ? below(random, 4) : 0; j > 0; j--)
			w->after[i][t->after_count++] = w->ids[below(random, i)];
		t->condition = below(random, 5) ? NULL : "c";
		struct pa_task_forecast *forecast = &w->forecasts[i];
		*forecast =
		    (struct pa_task_forecast){.probability = t->condition ? pa_random_uniform(random) : 1,
		                              .instances = below(random, 5) ? 1 : below(random, 9)};
		double middle_s = 1 + below(random, 20);
		for (size_t q = 0; q < PA_FORECAST_QUANTILES; q++)
			forecast->duration_s.quantiles[q] = middle_s * (.6 + .2 * (double)q);
		w->states[i] = (struct pa_plan_task_state){NAN, NAN, below(random, 10) == 0};
	}
	w->pipeline = (struct pa_pipeline){.name = "w", .tasks = w->tasks, .task_count = count};
	w->forecast = (struct pa_forecast){.tasks = w->forecasts, .task_count = count};
}

static void make_world(struct world *w, uint64_t seed)
{
	static const struct pa_plan_data_set data_sets[] = {{"claim:a", 0}, {"claim:b", 1}};
	static const struct pa_plan_link links[] = {{"a", 3 * MIB, .1}, {"b", 8 * MIB, 0}};
	struct pa_random random = {seed};
	memset(w, 0, sizeof(*w));
	make_tasks(w, &random);
	size_t extent_count = 1 + below(&random, WORLD_EXTENTS), read_count = below(&random, WORLD_READS);
	for (size_t i = 0; i < extent_count; i++) {
		uint64_t bytes = below(&random, 12) * MIB;
		w->extents[i] = (struct pa_plan_extent){below(&random, 2), "x", 0, bytes,
		                                        below(&random, 4) ? 0 : bytes / 3};
		w->total_bytes += (double)bytes;
	}
	for (size_t i = 0; i < read_count; i++)
		w->reads[i] = (struct pa_plan_read){below(&random, (uint32_t)w->pipeline.task_count),
		                                    below(&random, (uint32_t)extent_count), PA_READ_PROFILED};
	w->input = (struct pa_plan_input){
	    .pipeline = &w->pipeline,
	    .forecast = &w->forecast,
	    .states = below(&random, 2) ? w->states : NULL,
	    .data_sets = data_sets,
	    .data_set_count = 2,
	    .extents = w->extents,
	    .extent_count = extent_count,
	    .links = links,
	    .link_count = 2,
	    .reads = w->reads,
	    .read_count = read_count,
	    .slots = 1 + below(&random, 4),
	    .memory_bytes =
		below(&random, 2) ? INFINITY : w->total_bytes * (.4 + .6 * pa_random_uniform(&random)),
	    .seed = seed,
	};
}

static void check_actions(const struct world *w, const struct pa_plan *plan)
{
	double loaded_bytes = 0;
	for (size_t i = 0; i < plan->action_count; i++) {
		const struct pa_plan_action *a = &plan->actions[i];
		assert_true(i == 0 || plan->actions[i - 1].at_s <= a->at_s);
		assert_true(a->at_s >= 0 && a->why[0] != 0);
		if (a->extent != UINT32_MAX)
			assert_true(a->offset_bytes + a->bytes <= w->extents[a->extent].bytes);
		if (a->kind != PA_PLAN_LOAD)
			continue;
		loaded_bytes += (double)a->bytes;
		assert_true(a->offset_bytes >= w->extents[a->extent].resident_bytes);
		assert_true(a->arrives_s >= a->at_s);
		assert_true(a->keep_until_s >= a->deadline_s);
	}
	double link_bytes = plan->link_bytes[0] + plan->link_bytes[1];
	assert_true(loaded_bytes <= link_bytes + .5);
	if (w->input.memory_bytes == INFINITY)
		NEAR(loaded_bytes, link_bytes);
}

static void test_random_pipelines(void **state)
{
	struct fixture *f = *state;
	struct world *w = calloc(1, sizeof(*w));
	double with_s = 0, without_s = 0;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct pa_plan again;
		make_world(w, seed);
		f->input = w->input;
		make(f);
		assert_true(f->plan.bound_s <= f->plan.makespan_s + 1e-6);
		assert_true(f->plan.bound_s <= f->plan.without_makespan_s + 1e-6);
		assert_true(f->plan.peak_memory_bytes <= w->input.memory_bytes);
		check_actions(w, &f->plan);
		assert_true(f->plan.makespan_s <= f->plan.without_makespan_s + 1e-6);
		with_s += f->plan.makespan_s;
		without_s += f->plan.without_makespan_s;
		struct pa_buffer one, two;
		pa_buffer_init(&one, 16 << 20);
		pa_buffer_init(&two, 16 << 20);
		assert_int_equal(pa_plan_make(&f->arena, &w->input, &again, &f->err), 0);
		pa_plan_print_json(&w->input, &f->plan, &one);
		pa_plan_print_json(&w->input, &again, &two);
		assert_string_equal(one.data, two.data);
		pa_buffer_done(&one);
		pa_buffer_done(&two);
		pa_arena_done(&f->arena);
	}
	assert_true(with_s < .97 * without_s);
	free(w);
}

/* ---- a large one ---- */

#define LARGE_TASKS   1000
#define LARGE_EXTENTS 10000

struct large {
	struct pa_task tasks[LARGE_TASKS];
	char ids[LARGE_TASKS][16];
	const char *after[LARGE_TASKS][3];
	struct pa_task_forecast forecasts[LARGE_TASKS];
	struct pa_plan_extent extents[LARGE_EXTENTS];
	struct pa_plan_read reads[2 * LARGE_EXTENTS];
};

/* Layers of 20 tasks, each after three of the layer before; every extent is read by two tasks. */
static void make_large(struct fixture *f, struct large *l)
{
	for (uint32_t i = 0; i < LARGE_TASKS; i++) {
		snprintf(l->ids[i], sizeof(l->ids[i]), "task-%u", i);
		l->tasks[i] =
		    (struct pa_task){.id = l->ids[i], .template_name = l->ids[i % 20], .after = l->after[i]};
		for (uint32_t j = 0; i >= 20 && j < 3; j++)
			l->after[i][l->tasks[i].after_count++] = l->ids[i - 1 - (i * 7 + j * 5) % 20];
		l->forecasts[i] = (struct pa_task_forecast){.probability = 1, .instances = 1};
		for (size_t q = 0; q < PA_FORECAST_QUANTILES; q++)
			l->forecasts[i].duration_s.quantiles[q] = (5 + i % 13) * (.6 + .2 * (double)q);
	}
	for (uint32_t i = 0; i < LARGE_EXTENTS; i++) {
		uint32_t reader = (uint32_t)((uint64_t)i * LARGE_TASKS / LARGE_EXTENTS);
		l->extents[i] = (struct pa_plan_extent){0, "file", 0, 8 * MIB, 0};
		l->reads[2 * i] = (struct pa_plan_read){reader, i, PA_READ_PROFILED};
		l->reads[2 * i + 1] = (struct pa_plan_read){(reader + 50) % LARGE_TASKS, i, PA_READ_PROFILED};
	}
	f->pipeline = (struct pa_pipeline){.name = "large", .tasks = l->tasks, .task_count = LARGE_TASKS};
	f->forecast = (struct pa_forecast){.tasks = l->forecasts, .task_count = LARGE_TASKS};
	f->links[0].bytes_per_second = 200.0 * MIB;
	f->input.extents = l->extents;
	f->input.extent_count = LARGE_EXTENTS;
	f->input.reads = l->reads;
	f->input.read_count = 2 * LARGE_EXTENTS;
	f->input.unknown_data = f->input.client_reads = NULL;
	f->input.slots = 16;
}

/* 1,000 tasks, 10,000 extents (what it costs: tests/bench/plan_bench). */
static void test_large_plan(void **state)
{
	struct fixture *f = *state;
	struct large *l = calloc(1, sizeof(*l));
	make_large(f, l);
	make(f);
	NEAR(f->plan.link_bytes[0], 8.0 * MIB * LARGE_EXTENTS);
	assert_true(f->plan.makespan_s < f->plan.without_makespan_s);
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_two_steps, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_shared_data_is_loaded_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hold, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_verdicts, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_plans_a_run_under_way, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_task_under_way_comes_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_unlikely_task_is_not_planned_for, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refuses_bad_input, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_prints, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_random_pipelines, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_large_plan, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
