/* SPDX-License-Identifier: Apache-2.0 */
/* The state of making one plan; private to this folder.
 *
 * layout.c cuts extents into pieces and gives the lanes their reads, loads.c orders the loads, bound.c
 * bounds the makespan from below, verdict.c judges each task, action.c writes the list, plan.c calls them
 * in turn.
 */
#ifndef PA_PLAN_PLAN_INTERNAL_H
#define PA_PLAN_PLAN_INTERNAL_H

#include "forecast/graph.h"
#include "forecast/spread.h"
#include "plan/plan.h"

/* A task that is less likely is not planned for until it is known to run. */
#define PA_PLAN_LEAST_PROBABILITY .2

/* What moves and stays as one: all of an extent, or a part of it. */
struct pa_piece {
	uint32_t extent;
	uint64_t offset_bytes; /* in the extent */
	uint64_t bytes;
};

struct pa_planner {
	struct pa_arena *arena;   /* of the result */
	struct pa_arena *scratch; /* gone with the planner */
	const struct pa_plan_input *input;
	struct pa_graph graph;
	struct pa_spread spread;
	double *started_s, *ended_s; /* per task */
	bool *skipped;

	uint32_t *read_extents; /* per task, its extents, each once */
	size_t *read_begin;     /* task_count + 1 */
	struct pa_piece *pieces;
	struct pa_timeline_extent *piece_extents; /* the same, as the timeline wants them */
	uint32_t *piece_begin;                    /* extent_count + 1 */
	uint32_t piece_count;
	struct pa_timeline_link *links;
	struct pa_timeline_task *lanes; /* with reads */
	bool short_of_memory;

	/* Per extent, over its readers to come: */
	double *need_s;        /* earliest likely start; INFINITY: nobody is planned to read it */
	double *tail_s;        /* longest path that waits for it */
	uint32_t *first_task;  /* who reads it first */
	bool *has_reader;      /* a read is known, to come or past */
	bool *has_live_reader; /* one to come, also an unlikely one */

	struct pa_timeline_transfer *transfers;
	size_t transfer_count;
	struct pa_timeline_result with;
	struct pa_timeline_result without;
};

int pa_layout_make(struct pa_planner *planner, struct pa_error *err);
/* Has not ended and is not left out. */
bool pa_plan_is_live(const struct pa_planner *planner, size_t task);
/* Live, and likely enough to be planned for, or under way. */
bool pa_plan_is_planned(const struct pa_planner *planner, size_t task);

/* Runs the tasks with and without loads ahead (plan/portfolio.h). */
int pa_loads_make(struct pa_planner *planner, struct pa_error *err);

double pa_bound_find(const struct pa_planner *planner);
void pa_verdicts_make(const struct pa_planner *planner, struct pa_plan *plan);
void pa_actions_make(const struct pa_planner *planner, struct pa_plan *plan);

#endif
