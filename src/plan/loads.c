/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"

/* Orders of loads tried: by likely starts, then by the starts that the best run so far has.  Each is run with
 * ready tasks as ordered, and with those first whose data is there. */
#define ROUNDS 2

/* What loads are ordered by. */
struct load_key {
	double need_s;
	double tail_s;
	uint32_t first_task;
	uint32_t piece;
};

static int compare_loads(const void *left, const void *right)
{
	const struct load_key *a = left, *b = right;
	if (a->need_s != b->need_s)
		return a->need_s < b->need_s ? -1 : 1;
	if (a->tail_s != b->tail_s)
		return a->tail_s > b->tail_s ? -1 : 1;
	if (a->first_task != b->first_task)
		return a->first_task < b->first_task ? -1 : 1;
	return (a->piece > b->piece) - (a->piece < b->piece);
}

/* When each extent is first read in a run that was simulated. */
static double *needs_of_run(struct pa_planner *planner, const struct pa_timeline_result *run)
{
	double *need_s = pa_arena_array(planner->scratch, planner->input->extent_count, sizeof(*need_s));
	for (size_t i = 0; i < planner->input->extent_count; i++)
		need_s[i] = INFINITY;
	for (size_t task = 0; task < planner->graph.task_count; task++) {
		if (!pa_plan_is_planned(planner, task))
			continue;
		double start_s = run->tasks[planner->spread.lanes.first[task]].start_s;
		for (size_t i = planner->read_begin[task]; i < planner->read_begin[task + 1]; i++) {
			double *need = &need_s[planner->read_extents[i]];
			*need = fmin(*need, start_s);
		}
	}
	return need_s;
}

/* The transfers of all pieces that are missing and planned for, in order of need. */
static struct pa_timeline_transfer *order_loads(struct pa_planner *planner, const double *need_s,
                                                size_t *ret_count)
{
	struct load_key *keys = pa_arena_array(planner->scratch, planner->piece_count, sizeof(*keys));
	size_t count = 0;
	for (uint32_t i = 0; i < planner->piece_count; i++) {
		uint32_t extent = planner->pieces[i].extent;
		if (planner->piece_extents[i].resident || planner->first_task[extent] == UINT32_MAX)
			continue;
		keys[count++] = (struct load_key){need_s[extent], planner->tail_s[extent],
		                                  planner->first_task[extent], i};
	}
	qsort(keys, count, sizeof(*keys), compare_loads);
	struct pa_timeline_transfer *transfers = pa_arena_array(planner->scratch, count, sizeof(*transfers));
	for (size_t i = 0; i < count; i++)
		transfers[i] = (struct pa_timeline_transfer){keys[i].piece, 0, (double)i};
	*ret_count = count;
	return transfers;
}

static bool is_better(const struct pa_timeline_result *run, const struct pa_timeline_result *best)
{
	if (run->makespan_s != best->makespan_s)
		return run->makespan_s < best->makespan_s;
	return run->stall_s < best->stall_s;
}

int pa_loads_make(struct pa_planner *planner, struct pa_error *err)
{
	const struct pa_plan_input *input = planner->input;
	struct pa_timeline_input timeline = {.tasks = planner->lanes,
	                                     .task_count = planner->spread.lanes.count,
	                                     .extents = planner->piece_extents,
	                                     .extent_count = planner->piece_count,
	                                     .links = planner->links,
	                                     .link_count = input->link_count,
	                                     .slots = input->slots,
	                                     .memory_bytes = input->memory_bytes};
	int failed = pa_timeline_run(planner->scratch, &timeline, &planner->without, err);
	if (failed)
		return failed;
	const double *need_s = planner->need_s;
	for (int round = 0; round < ROUNDS; round++) {
		timeline.transfers = order_loads(planner, need_s, &timeline.transfer_count);
		for (int data_first = 0; data_first < 2; data_first++) {
			struct pa_timeline_result run;
			timeline.data_first = data_first;
			failed = pa_timeline_run(planner->scratch, &timeline, &run, err);
			if (failed)
				return failed;
			bool is_first = round == 0 && data_first == 0;
			if (is_first || is_better(&run, &planner->with))
				planner->with = run;
		}
		need_s = needs_of_run(planner, &planner->with);
	}
	/* With little memory, loading ahead can cost more than it saves: loads then wait for their tasks. */
	if (planner->short_of_memory && is_better(&planner->without, &planner->with))
		planner->with = planner->without;
	return 0;
}
