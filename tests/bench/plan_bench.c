/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time of one plan: layered DAGs of 100 to 10,000 tasks with ten extents a task, memory for all of it and for a tenth.
 * Prints JSON; each figure is the median of five. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/plan.h"

#define WIDTH        20u
#define EXTENTS      10u
#define EXTENT_BYTES (64u << 20)
#define RUNS         5

static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Layers of WIDTH tasks, each after its neighbour and one more task of the layer before. */
static struct pa_pipeline *make_pipeline(struct pa_arena *arena, uint32_t tasks)
{
	struct pa_pipeline *pipeline = pa_arena_alloc(arena, sizeof(*pipeline));

	pipeline->name = "layers";
	pipeline->task_count = tasks;
	pipeline->tasks = pa_arena_array(arena, tasks, sizeof(*pipeline->tasks));
	for (uint32_t i = 0; i < tasks; i++) {
		struct pa_task *task = &pipeline->tasks[i];
		task->id = task->template_name = pa_arena_printf(arena, "task-%u", i);
		task->image = "";
		if (i < WIDTH)
			continue;
		task->after = pa_arena_array(arena, 2, sizeof(char *));
		task->after[task->after_count++] = pipeline->tasks[i - WIDTH].id;
		if (i % WIDTH != 0)
			task->after[task->after_count++] = pipeline->tasks[i - WIDTH - 1].id;
	}
	return pipeline;
}

static double plan_once(uint32_t tasks, double memory_share, struct pa_error *err)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_pipeline *pipeline = make_pipeline(&arena, tasks);
	struct pa_plan_extent *extents = pa_arena_array(&arena, tasks * EXTENTS, sizeof(*extents));
	struct pa_plan_read *reads = pa_arena_array(&arena, 2 * tasks * EXTENTS, sizeof(*reads));
	struct pa_plan_data_set set = {.name = "claim:x"};
	struct pa_plan_link link = {.name = "file:///x", .bytes_per_second = 200e6, .latency_s = 0.002};
	struct pa_history history = {0};
	struct pa_forecast_options options = {.slots = 8, .seed = 1};
	struct pa_forecast forecast;
	struct pa_plan plan;
	size_t read_count = 0;

	for (uint32_t i = 0; i < tasks * EXTENTS; i++) {
		extents[i] =
		    (struct pa_plan_extent){.path = pa_arena_printf(&arena, "%u", i), .bytes = EXTENT_BYTES};
		reads[read_count++] = (struct pa_plan_read){.task = i / EXTENTS, .extent = i};
		/* Every other extent is shared with the task behind. */
		if (i % 2 == 0 && i / EXTENTS + WIDTH < tasks)
			reads[read_count++] = (struct pa_plan_read){.task = i / EXTENTS + WIDTH, .extent = i};
	}
	if (pa_forecast_make(&arena, pipeline, &history, &options, &forecast, err) < 0)
		return NAN;
	struct pa_plan_input input = {.pipeline = pipeline,
	                              .forecast = &forecast,
	                              .data_sets = &set,
	                              .data_set_count = 1,
	                              .extents = extents,
	                              .extent_count = tasks * EXTENTS,
	                              .links = &link,
	                              .link_count = 1,
	                              .reads = reads,
	                              .read_count = read_count,
	                              .slots = 8,
	                              .memory_bytes = memory_share * tasks * EXTENTS * (double)EXTENT_BYTES,
	                              .seed = 1};
	double begin_ms = cpu_ms();
	int result = pa_plan_make(&arena, &input, &plan, err);
	double spent_ms = cpu_ms() - begin_ms;
	pa_arena_done(&arena);
	return result < 0 ? NAN : spent_ms;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	static const uint32_t sizes[] = {100, 1000, 10000};
	static const double shares[] = {1.0, 0.1};
	struct pa_error err = PA_ERROR_INIT;
	const char *separator = "";

	printf("{\"plan_cpu_ms\": [");
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (size_t m = 0; m < sizeof(shares) / sizeof(shares[0]); m++) {
			double spent_ms[RUNS];
			for (int run = 0; run < RUNS; run++)
				spent_ms[run] = plan_once(sizes[s], shares[m], &err);
			qsort(spent_ms, RUNS, sizeof(spent_ms[0]), compare);
			printf(
			    "%s{\"tasks\": %u, \"extents\": %u, \"memory_share\": %.1f, \"median_ms\": %.2f}",
			    separator, sizes[s], sizes[s] * EXTENTS, shares[m], spent_ms[RUNS / 2]);
			separator = ", ";
		}
	}
	printf("]}\n");
	if (err.class != PA_ERROR_NONE)
		fprintf(stderr, "%s\n", err.message);
	return err.class != PA_ERROR_NONE;
}
