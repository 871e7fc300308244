/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/plan_internal.h"

/* Draws for the bands of starts and ends: enough for a deadline, few enough to plan again at every event. */
#define PLAN_DRAWS 64

static int read_states(struct pa_planner *planner, struct pa_error *err)
{
	const struct pa_plan_input *input = planner->input;
	size_t count = input->pipeline->task_count;
	if (input->forecast->task_count != count)
		return pa_error_set(
		    err, PA_ERROR_BUG,
		    "the forecast has %zu tasks, the pipeline %zu: make the forecast from the same "
		    "pipeline",
		    input->forecast->task_count, count);
	planner->started_s = pa_arena_array(planner->scratch, count, sizeof(*planner->started_s));
	planner->ended_s = pa_arena_array(planner->scratch, count, sizeof(*planner->ended_s));
	planner->skipped = pa_arena_array(planner->scratch, count, sizeof(*planner->skipped));
	for (size_t i = 0; i < count; i++) {
		planner->started_s[i] = input->states ? input->states[i].started_s : NAN;
		planner->ended_s[i] = input->states ? input->states[i].ended_s : NAN;
		planner->skipped[i] = input->states && input->states[i].skipped;
	}
	return 0;
}

static int spread_starts(struct pa_planner *planner, struct pa_error *err)
{
	const struct pa_plan_input *input = planner->input;
	struct pa_spread_input spread = {.pipeline = input->pipeline,
	                                 .graph = &planner->graph,
	                                 .tasks = input->forecast->tasks,
	                                 .started_s = planner->started_s,
	                                 .ended_s = planner->ended_s,
	                                 .skipped = planner->skipped,
	                                 .least_probability = PA_PLAN_LEAST_PROBABILITY,
	                                 .slots = input->slots,
	                                 .draws = PLAN_DRAWS,
	                                 .seed = input->seed};
	return pa_spread_run(planner->scratch, &spread, &planner->spread, err);
}

/* The bands are those without stalls, moved by what the stalls of the plan cost. */
static struct pa_plan_task_times times_of(const struct pa_planner *planner, size_t task)
{
	const struct pa_lanes *lanes = &planner->spread.lanes;
	const struct pa_distribution *start = &planner->spread.start_s[task];
	const struct pa_distribution *end = &planner->spread.end_s[task];
	struct pa_plan_task_times times = {.start_s = INFINITY, .end_s = -INFINITY};
	for (uint32_t lane = lanes->first[task]; lane < lanes->first[task + 1]; lane++) {
		const struct pa_timeline_task_result *result = &planner->with.tasks[lane];
		times.start_s = fmin(times.start_s, result->start_s);
		times.end_s = fmax(times.end_s, result->end_s);
		times.stall_s = fmax(times.stall_s, result->run_s - fmax(result->start_s, 0));
	}
	double start_shift_s = times.start_s - start->quantiles[2];
	double end_shift_s = times.end_s - end->quantiles[2];
	times.start_early_s = fmin(start->quantiles[0] + start_shift_s, times.start_s);
	times.start_late_s = fmax(start->quantiles[4] + start_shift_s, times.start_s);
	times.end_early_s = fmin(end->quantiles[0] + end_shift_s, times.end_s);
	times.end_late_s = fmax(end->quantiles[4] + end_shift_s, times.end_s);
	return times;
}

struct place {
	double start_s;
	double tail_s;
	uint32_t task;
};

static int compare_places(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	if (a->start_s != b->start_s)
		return a->start_s < b->start_s ? -1 : 1;
	if (a->tail_s != b->tail_s)
		return a->tail_s > b->tail_s ? -1 : 1;
	return (a->task > b->task) - (a->task < b->task);
}

/* Tasks by when the plan starts them. */
static void order_tasks(const struct pa_planner *planner, struct pa_plan *plan)
{
	const struct pa_lanes *lanes = &planner->spread.lanes;
	struct place *places = pa_arena_array(planner->scratch, plan->task_count, sizeof(*places));
	for (uint32_t i = 0; i < plan->task_count; i++)
		places[i] = (struct place){plan->times[i].start_s, lanes->tail_s[lanes->first[i]], i};
	qsort(places, plan->task_count, sizeof(*places), compare_places);
	for (size_t i = 0; i < plan->task_count; i++)
		plan->task_order[places[i].task] = (double)i;
}

static struct pa_plan write_plan(const struct pa_planner *planner)
{
	const struct pa_plan_input *input = planner->input;
	struct pa_plan plan = {.task_count = planner->graph.task_count,
	                       .makespan_s = planner->with.makespan_s,
	                       .without_makespan_s = planner->without.makespan_s,
	                       .local_makespan_s = planner->spread.median_makespan_s,
	                       .peak_memory_bytes = planner->with.peak_memory_bytes,
	                       .bound_s = pa_bound_find(planner)};
	plan.verdicts = pa_arena_array(planner->arena, plan.task_count, sizeof(*plan.verdicts));
	plan.times = pa_arena_array(planner->arena, plan.task_count, sizeof(*plan.times));
	plan.task_order = pa_arena_array(planner->arena, plan.task_count, sizeof(*plan.task_order));
	plan.link_bytes = pa_arena_array(planner->arena, input->link_count, sizeof(*plan.link_bytes));
	for (size_t i = 0; i < input->link_count; i++)
		plan.link_bytes[i] = planner->with.link_bytes[i];
	for (size_t i = 0; i < plan.task_count; i++)
		plan.times[i] = times_of(planner, i);
	order_tasks(planner, &plan);
	pa_verdicts_make(planner, &plan);
	pa_actions_make(planner, &plan);
	return plan;
}

static int make(struct pa_planner *planner, struct pa_plan *ret, struct pa_error *err)
{
	int failed = read_states(planner, err);
	if (!failed)
		failed = pa_graph_make(planner->scratch, planner->input->pipeline, &planner->graph, err);
	if (!failed)
		failed = spread_starts(planner, err);
	if (!failed)
		failed = pa_layout_make(planner, err);
	if (!failed)
		failed = pa_loads_make(planner, err);
	if (!failed)
		*ret = write_plan(planner);
	return failed;
}

int pa_plan_make(struct pa_arena *arena, const struct pa_plan_input *input, struct pa_plan *ret,
                 struct pa_error *err)
{
	struct pa_arena scratch = PA_ARENA_INIT;
	struct pa_planner planner = {.arena = arena, .scratch = &scratch, .input = input};
	int failed = make(&planner, ret, err);
	pa_arena_done(&scratch);
	return failed ? pa_error_wrap(err, "plan of \"%s\"", input->pipeline->name) : 0;
}
