/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"

struct tail {
	double tail_s;
	uint32_t lane;
};

static int compare_tails(const void *left, const void *right)
{
	const struct tail *a = left, *b = right;
	if (a->tail_s != b->tail_s)
		return a->tail_s > b->tail_s ? -1 : 1;
	return (a->lane > b->lane) - (a->lane < b->lane);
}

/* What is left to compute, by the critical path and by all slots together. */
static double compute_bound(const struct pa_planner *planner)
{
	const struct pa_lanes *lanes = &planner->spread.lanes;
	double longest_s = 0, work_s = 0;
	size_t under_way = 0;
	for (size_t i = 0; i < lanes->count; i++) {
		const struct pa_timeline_task *lane = &lanes->tasks[i];
		if (!isnan(lane->ended_s))
			continue;
		longest_s = fmax(longest_s, lanes->tail_s[i]);
		work_s +=
		    isnan(lane->started_s) ? lane->duration_s : fmax(lane->duration_s + lane->started_s, 0);
		under_way += !isnan(lane->started_s);
	}
	/* A run whose slots were taken away still has what it started. */
	double slots = fmax(planner->input->slots, (double)under_way);
	return fmax(longest_s, work_s / slots);
}

/* However loads are ordered, the bytes that the tasks with a tail of at least u read have all come before
 * the last of these tasks computes, and then u is still to go. */
static double link_bound(const struct pa_planner *planner)
{
	const struct pa_lanes *lanes = &planner->spread.lanes;
	struct tail *tails = pa_arena_array(planner->scratch, lanes->count, sizeof(*tails));
	bool *counted = pa_arena_array(planner->scratch, planner->piece_count, sizeof(*counted));
	double *cold_bytes =
	    pa_arena_array(planner->scratch, planner->input->link_count, sizeof(*cold_bytes));
	double bound_s = 0;
	for (uint32_t i = 0; i < lanes->count; i++)
		tails[i] = (struct tail){lanes->tail_s[i], i};
	qsort(tails, lanes->count, sizeof(*tails), compare_tails);
	for (size_t i = 0; i < lanes->count; i++) {
		const struct pa_timeline_task *lane = &planner->lanes[tails[i].lane];
		for (size_t j = 0; j < lane->read_count; j++) {
			uint32_t piece = lane->reads[j];
			const struct pa_timeline_extent *extent = &planner->piece_extents[piece];
			if (counted[piece] || extent->resident)
				continue;
			counted[piece] = true;
			cold_bytes[extent->link] += (double)extent->bytes;
			double transfer_s =
			    cold_bytes[extent->link] / planner->links[extent->link].bytes_per_second;
			bound_s = fmax(bound_s, transfer_s + tails[i].tail_s);
		}
	}
	return bound_s;
}

double pa_bound_find(const struct pa_planner *planner)
{
	return fmax(compute_bound(planner), link_bound(planner));
}
