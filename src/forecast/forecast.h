/* SPDX-License-Identifier: Apache-2.0 */
/* The forecast: when each task of a pipeline starts and ends and what it reads, as distributions.
 *
 * Pure: model + history in, distributions out.  Deterministic for a seed.
 *
 * Durations come from the task's own history (same pipeline and template) by a shrunk regression of log
 * duration on log input bytes with weighted quantiles (docs/planning.md), else from a stated prior of the
 * template's kind and its input bytes with a wide interval; `basis` says which.  Starts and ends are the
 * DAG run forward on the slots there are: the centre by one pass of medians, the band by Monte Carlo with
 * draws that are correlated per template.
 *
 * A loop runs its items side by side on the slots; their number is the file's, else what past runs had.  A
 * condition holds with the share of runs in which it did, shrunk to one half.  A failed attempt of a task
 * with retries takes as long as a good one.  A step that a cache may skip has quantiles of 0 for that share.
 *
 * Ownership: results live in the arena given.  Threads: none shared.  Blocking: never.  Errors:
 * PA_ERROR_INPUT for ids that are doubled, missing or on a cycle, a duration that is negative or not finite,
 * no slots.  Limits: the newest 300 observations of a template count; draws are fewer, never under 20, above
 * 10,000 tasks.
 */
#ifndef PA_FORECAST_FORECAST_H
#define PA_FORECAST_FORECAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/model.h"
#include "timeline/timeline.h"

#define PA_FORECAST_QUANTILES 5 /* .1 .25 .5 .75 .9 */
extern const double pa_forecast_levels[PA_FORECAST_QUANTILES];

/* One past execution of a task. */
struct pa_observation {
	const char *task_id;
	const char *template_name;
	uint32_t run_age;     /* 0: the newest run of this pipeline, 1: the one before, … */
	double duration_s;    /* compute: wall time less the time stalled on data */
	uint64_t input_bytes; /* read from data sets and artifacts */
	bool cached;          /* a step that was skipped by a cache: not a duration */
};

/* What a task read in a past run, in order of first open: the newest run's wins. */
struct pa_profile_read {
	const char *task_id;
	const char *data_set; /* "claim:…", "uri:…" */
	const char *path;     /* in the data set */
	uint64_t read_bytes;
	double first_open_s; /* after the task's start */
};

struct pa_history {
	const struct pa_observation *observations;
	size_t observation_count;
	const struct pa_profile_read *profile; /* grouped by task, in order */
	size_t profile_count;
	uint32_t run_count; /* also those in which a task did not run */
};

struct pa_distribution {
	double quantiles[PA_FORECAST_QUANTILES];
};

enum pa_forecast_basis { PA_BASIS_HISTORY, PA_BASIS_PIPELINE, PA_BASIS_PRIOR };

struct pa_task_forecast {
	struct pa_distribution duration_s;
	struct pa_distribution start_s; /* from the run's start */
	struct pa_distribution end_s;
	enum pa_forecast_basis basis;
	uint32_t observations; /* how many it rests on */
	double probability;    /* that the task runs at all (conditions) */
	double instances;      /* expected executions (loops); ≥ 0 */
};

struct pa_forecast_options {
	uint32_t slots;
	uint32_t draws; /* 0: 200 */
	uint64_t seed;
	/* Expected input bytes per task (same order as the pipeline's tasks); NULL: not known. */
	const double *input_bytes;
};

struct pa_forecast {
	struct pa_task_forecast *tasks; /* same order as pipeline->tasks */
	size_t task_count;
	struct pa_distribution makespan_s;
};

struct pa_arena;
struct pa_error;

int pa_forecast_make(struct pa_arena *arena, const struct pa_pipeline *pipeline,
                     const struct pa_history *history, const struct pa_forecast_options *options,
                     struct pa_forecast *ret, struct pa_error *err);
const char *pa_forecast_basis_name(enum pa_forecast_basis basis);

#endif
