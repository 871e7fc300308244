/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast/spread_internal.h"

#include <math.h>

#include "base/arena.h"

/* With more tasks than this, lanes would make the graph too large: a loop is then one long lane. */
#define LANES_MAX_TASKS 4096

static uint32_t instance_count(const struct pa_task_forecast *forecast)
{
	return (uint32_t)fmin(fmax(round(forecast->instances), 0), INT32_MAX);
}

static uint32_t lane_count(const struct pa_spread_input *input, size_t task)
{
	uint32_t count = instance_count(&input->tasks[task]);
	uint32_t limit = input->graph->task_count > LANES_MAX_TASKS ? 1 : PA_LANES_MAX;
	if (limit > input->slots)
		limit = input->slots;
	if (count > limit)
		count = limit;
	return count > 0 ? count : 1;
}

/* With a single long lane the instances still run side by side. */
static uint32_t instances_in_a_row(const struct pa_spread_input *input, size_t task, uint32_t lane,
                                   uint32_t lanes)
{
	uint32_t count = instance_count(&input->tasks[task]);
	if (input->graph->task_count > LANES_MAX_TASKS && count > 1)
		return (count + input->slots - 1) / input->slots;
	return count / lanes + (lane < count % lanes ? 1 : 0);
}

bool pa_spread_runs(const struct pa_spread_input *input, size_t task)
{
	return !(input->skipped && input->skipped[task]);
}

double pa_spread_elapsed_s(const struct pa_spread_input *input, size_t task)
{
	bool ended = input->ended_s && !isnan(input->ended_s[task]);
	if (ended || !input->started_s || isnan(input->started_s[task]))
		return 0;
	return -input->started_s[task];
}

/* The median, or, once a task has run for longer, the next quantile that it has not passed yet. */
static double expected_s(const struct pa_spread_input *input, size_t task, uint32_t instances)
{
	const struct pa_task_forecast *forecast = &input->tasks[task];
	double elapsed_s = pa_spread_elapsed_s(input, task);
	bool under_way = input->started_s && !isnan(input->started_s[task]);
	if (!pa_spread_runs(input, task))
		return 0;
	if (!under_way && forecast->probability < input->least_probability)
		return 0;
	for (size_t i = PA_FORECAST_QUANTILES / 2; i < PA_FORECAST_QUANTILES; i++) {
		double whole_s = forecast->duration_s.quantiles[i] * instances;
		if (whole_s > elapsed_s || elapsed_s <= 0)
			return whole_s;
	}
	return elapsed_s * 1.1;
}

static void connect_lanes(struct pa_arena *arena, const struct pa_graph *graph, struct pa_lanes *lanes,
                          uint32_t task)
{
	size_t count = 0, at = 0;
	for (size_t i = 0; i < graph->tasks[task].after_count; i++) {
		uint32_t parent = graph->tasks[task].after[i];
		count += lanes->first[parent + 1] - lanes->first[parent];
	}
	uint32_t *after = pa_arena_array(arena, count, sizeof(*after));
	for (size_t i = 0; i < graph->tasks[task].after_count; i++) {
		uint32_t parent = graph->tasks[task].after[i];
		for (uint32_t lane = lanes->first[parent]; lane < lanes->first[parent + 1]; lane++)
			after[at++] = lane;
	}
	for (uint32_t lane = lanes->first[task]; lane < lanes->first[task + 1]; lane++) {
		lanes->tasks[lane].after = after;
		lanes->tasks[lane].after_count = count;
	}
}

/* Children come after their parents in `order`, so their tails are known when walking it backwards. */
static void find_tails(const struct pa_graph *graph, struct pa_lanes *lanes)
{
	for (size_t i = graph->task_count; i-- > 0;) {
		uint32_t task = graph->order[i];
		for (uint32_t lane = lanes->first[task]; lane < lanes->first[task + 1]; lane++) {
			struct pa_timeline_task *given = &lanes->tasks[lane];
			double left_s = given->duration_s;
			if (!isnan(given->ended_s))
				left_s = 0;
			else if (!isnan(given->started_s))
				left_s = fmax(left_s + given->started_s, 0);
			lanes->tail_s[lane] += left_s;
			given->priority = -lanes->tail_s[lane];
			for (size_t j = 0; j < given->after_count; j++) {
				double *parent = &lanes->tail_s[given->after[j]];
				*parent = fmax(*parent, lanes->tail_s[lane]);
			}
		}
	}
}

void pa_lanes_make(struct pa_arena *arena, const struct pa_spread_input *input, struct pa_lanes *ret)
{
	size_t task_count = input->graph->task_count;
	struct pa_lanes lanes = {.first = pa_arena_array(arena, task_count + 1, sizeof(*lanes.first))};

	for (size_t i = 0; i < task_count; i++)
		lanes.first[i + 1] = lanes.first[i] + lane_count(input, i);
	lanes.count = lanes.first[task_count];
	lanes.tasks = pa_arena_array(arena, lanes.count, sizeof(*lanes.tasks));
	lanes.owner = pa_arena_array(arena, lanes.count, sizeof(*lanes.owner));
	lanes.instances = pa_arena_array(arena, lanes.count, sizeof(*lanes.instances));
	lanes.tail_s = pa_arena_array(arena, lanes.count, sizeof(*lanes.tail_s));
	for (uint32_t i = 0; i < task_count; i++) {
		uint32_t own = lanes.first[i + 1] - lanes.first[i];
		for (uint32_t j = 0; j < own; j++) {
			uint32_t lane = lanes.first[i] + j;
			lanes.owner[lane] = i;
			lanes.instances[lane] = instances_in_a_row(input, i, j, own);
			lanes.tasks[lane].started_s = input->started_s ? input->started_s[i] : NAN;
			lanes.tasks[lane].ended_s = input->ended_s ? input->ended_s[i] : NAN;
			lanes.tasks[lane].duration_s = expected_s(input, i, lanes.instances[lane]);
		}
		connect_lanes(arena, input->graph, &lanes, i);
	}
	find_tails(input->graph, &lanes);
	*ret = lanes;
}
