/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast/spread.h"

#include <math.h>

#include "base/arena.h"
#include "base/random.h"
#include "forecast/spread_internal.h"
#include "forecast/statistics.h"

#define TEMPLATE_CORRELATION .85 /* of the draws of one template's tasks */
#define RETRY_PROBABILITY    .05
#define MAX_RETRIES          3

/* What is drawn once and shared within a draw. */
struct shared {
	uint32_t *condition_of; /* per task; PA_NAMES_NONE: none */
	size_t condition_count;
	double *template_normal;
	double *condition_level; /* a condition holds for tasks that are more likely than this */
};

static void share_draws(const struct pa_spread_input *input, struct pa_random *random, struct shared *shared)
{
	for (size_t i = 0; i < input->graph->templates.count; i++)
		shared->template_normal[i] = pa_random_normal(random);
	for (size_t i = 0; i < shared->condition_count; i++)
		shared->condition_level[i] = pa_random_uniform(random);
}

/* Attempts that fail before the one that counts, each as long as that one. */
static uint32_t draw_attempts(const struct pa_task *task, struct pa_random *random)
{
	int64_t limit = task->retries < 0 || task->retries > MAX_RETRIES ? MAX_RETRIES : task->retries;
	uint32_t attempts = 1;
	while ((int64_t)attempts <= limit && pa_random_uniform(random) < RETRY_PROBABILITY)
		attempts++;
	return attempts;
}

static double draw_duration(const struct pa_spread_input *input, const struct shared *shared,
                            const struct pa_lanes *lanes, size_t lane, struct pa_random *random)
{
	uint32_t index = lanes->owner[lane];
	const struct pa_task *task = &input->pipeline->tasks[index];
	const struct pa_task_forecast *forecast = &input->tasks[index];
	double normal =
	    sqrt(TEMPLATE_CORRELATION) * shared->template_normal[input->graph->tasks[index].template_index] +
	    sqrt(1 - TEMPLATE_CORRELATION) * pa_random_normal(random);
	double duration_s = pa_distribution_at(&forecast->duration_s, normal) * lanes->instances[lane] *
	                    draw_attempts(task, random);
	double elapsed_s = pa_spread_elapsed_s(input, index);
	if (!pa_spread_runs(input, index))
		return 0;
	if (elapsed_s > 0)
		return fmax(duration_s, elapsed_s * 1.02);
	uint32_t condition = shared->condition_of[index];
	if (condition != PA_NAMES_NONE && shared->condition_level[condition] >= forecast->probability)
		return 0;
	return duration_s;
}

/* One run of the timeline into column `draw` of the tables. */
static int run_draw(struct pa_arena *scratch, const struct pa_spread_input *input,
                    const struct pa_timeline_input *timeline, const struct pa_lanes *lanes, double *starts,
                    double *ends, size_t draws, double *ret_makespan_s, struct pa_error *err)
{
	struct pa_timeline_result result;
	int failed = pa_timeline_run(scratch, timeline, &result, err);
	if (failed)
		return failed;
	for (size_t i = 0; i < input->graph->task_count; i++) {
		double start_s = INFINITY, end_s = -INFINITY;
		for (uint32_t lane = lanes->first[i]; lane < lanes->first[i + 1]; lane++) {
			start_s = fmin(start_s, result.tasks[lane].start_s);
			end_s = fmax(end_s, result.tasks[lane].end_s);
		}
		starts[i * draws] = start_s;
		ends[i * draws] = end_s;
	}
	*ret_makespan_s = result.makespan_s;
	return 0;
}

static void init_shared(struct pa_arena *scratch, const struct pa_spread_input *input, struct shared *shared)
{
	struct pa_names conditions;
	pa_names_init(scratch, &conditions, input->graph->task_count);
	shared->condition_of =
	    pa_arena_array(scratch, input->graph->task_count, sizeof(*shared->condition_of));
	for (size_t i = 0; i < input->graph->task_count; i++) {
		const char *condition = input->pipeline->tasks[i].condition;
		shared->condition_of[i] = condition ? pa_names_add(&conditions, condition) : PA_NAMES_NONE;
	}
	shared->condition_count = conditions.count;
	shared->template_normal =
	    pa_arena_array(scratch, input->graph->templates.count, sizeof(*shared->template_normal));
	shared->condition_level = pa_arena_array(scratch, conditions.count, sizeof(*shared->condition_level));
}

/* The band comes from the draws; its middle from the pass of medians, which lies within. */
static struct pa_distribution band(double *values, size_t draws, double middle)
{
	struct pa_distribution distribution = pa_distribution_of(values, draws);
	for (size_t i = 0; i < PA_FORECAST_QUANTILES; i++) {
		if (pa_forecast_levels[i] < .5)
			distribution.quantiles[i] = fmin(distribution.quantiles[i], middle);
		else if (pa_forecast_levels[i] > .5)
			distribution.quantiles[i] = fmax(distribution.quantiles[i], middle);
		else
			distribution.quantiles[i] = middle;
	}
	return distribution;
}

static size_t draw_count(const struct pa_spread_input *input)
{
	size_t draws = input->draws > 0 ? input->draws : PA_SPREAD_DRAWS;
	size_t limit = PA_SPREAD_MAX_CELLS / (input->graph->task_count + 1);
	if (limit < 20)
		limit = 20;
	return draws < limit ? draws : limit;
}

static int run_draws(struct pa_arena *arena, struct pa_arena *scratch, const struct pa_spread_input *input,
                     struct pa_spread *spread, struct pa_error *err)
{
	size_t task_count = input->graph->task_count, draws = draw_count(input);
	const struct pa_lanes *lanes = &spread->lanes;
	struct pa_random random = {input->seed};
	struct shared shared;
	init_shared(scratch, input, &shared);
	double *starts = pa_arena_array(scratch, task_count * draws, sizeof(*starts));
	double *ends = pa_arena_array(scratch, task_count * draws, sizeof(*ends));
	double *makespans = pa_arena_array(scratch, draws, sizeof(*makespans));
	struct pa_timeline_task *tasks = pa_arena_array(scratch, lanes->count, sizeof(*tasks));
	struct pa_timeline_input timeline = {
	    .tasks = tasks, .task_count = lanes->count, .slots = input->slots, .memory_bytes = INFINITY};
	for (size_t draw = 0; draw < draws; draw++) {
		share_draws(input, &random, &shared);
		for (size_t i = 0; i < lanes->count; i++) {
			tasks[i] = lanes->tasks[i];
			tasks[i].duration_s = draw_duration(input, &shared, lanes, i, &random);
		}
		struct pa_arena one = PA_ARENA_INIT;
		int failed = run_draw(&one, input, &timeline, lanes, starts + draw, ends + draw, draws,
		                      &makespans[draw], err);
		pa_arena_done(&one);
		if (failed)
			return failed;
	}
	spread->start_s = pa_arena_array(arena, task_count, sizeof(*spread->start_s));
	spread->end_s = pa_arena_array(arena, task_count, sizeof(*spread->end_s));
	for (size_t i = 0; i < task_count; i++) {
		double start_s = INFINITY, end_s = -INFINITY;
		for (uint32_t lane = lanes->first[i]; lane < lanes->first[i + 1]; lane++) {
			start_s = fmin(start_s, spread->medians[lane].start_s);
			end_s = fmax(end_s, spread->medians[lane].end_s);
		}
		spread->start_s[i] = band(starts + i * draws, draws, start_s);
		spread->end_s[i] = band(ends + i * draws, draws, end_s);
	}
	spread->makespan_s = band(makespans, draws, spread->median_makespan_s);
	return 0;
}

int pa_spread_run(struct pa_arena *arena, const struct pa_spread_input *input, struct pa_spread *ret,
                  struct pa_error *err)
{
	struct pa_spread spread = {0};
	struct pa_timeline_result result;
	pa_lanes_make(arena, input, &spread.lanes);
	struct pa_timeline_input timeline = {.tasks = spread.lanes.tasks,
	                                     .task_count = spread.lanes.count,
	                                     .slots = input->slots,
	                                     .memory_bytes = INFINITY};
	int failed = pa_timeline_run(arena, &timeline, &result, err);
	if (failed)
		return failed;
	spread.medians = result.tasks;
	spread.median_makespan_s = result.makespan_s;
	struct pa_arena scratch = PA_ARENA_INIT;
	failed = run_draws(arena, &scratch, input, &spread, err);
	pa_arena_done(&scratch);
	if (failed)
		return failed;
	*ret = spread;
	return 0;
}
