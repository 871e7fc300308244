/* SPDX-License-Identifier: Apache-2.0 */
/* Durations to starts and ends: the pipeline run forward on the slots, once with medians and many times
 * with draws.
 *
 * A loop is run as up to PA_LANES_MAX lanes (never more than slots) that take its instances one after
 * another; other tasks are one lane.  The lanes are the tasks of the timeline; plan/ runs the same lanes
 * with data.
 *
 * Pure; deterministic for a seed.  Ownership: results live in the arena given.  Errors: those of the
 * timeline. Cost: draws × tasks × log tasks; draws × tasks is capped at PA_SPREAD_MAX_CELLS, but never
 * below 20 draws.
 */
#ifndef PA_FORECAST_SPREAD_H
#define PA_FORECAST_SPREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "forecast/forecast.h"
#include "forecast/graph.h"

#define PA_LANES_MAX        16
#define PA_SPREAD_MAX_CELLS 2000000
#define PA_SPREAD_DRAWS     200

struct pa_spread_input {
	const struct pa_pipeline *pipeline;
	const struct pa_graph *graph;
	const struct pa_task_forecast *tasks; /* durations, probabilities and instances */
	/* Where tasks are, seconds from now; NAN: not yet.  Each NULL or one per task. */
	const double *started_s;
	const double *ended_s;
	const bool *skipped;
	double least_probability; /* a task that is less likely takes no time in the pass of medians */
	uint32_t slots;
	uint32_t draws; /* 0: PA_SPREAD_DRAWS */
	uint64_t seed;
};

struct pa_lanes {
	struct pa_timeline_task *tasks; /* with medians; nothing read */
	uint32_t *owner;                /* per lane: its task */
	uint32_t *instances;            /* per lane: how many it runs in a row */
	double *tail_s;  /* per lane: longest path to the end by medians, its own time included */
	uint32_t *first; /* per task, and one past the last: its first lane */
	size_t count;
};

struct pa_spread {
	struct pa_lanes lanes;
	struct pa_timeline_task_result *medians; /* per lane */
	double median_makespan_s;
	struct pa_distribution *start_s; /* per task; the median is that of the pass of medians */
	struct pa_distribution *end_s;
	struct pa_distribution makespan_s;
};

int pa_spread_run(struct pa_arena *arena, const struct pa_spread_input *input, struct pa_spread *ret,
                  struct pa_error *err);

#endif
