/* SPDX-License-Identifier: Apache-2.0 */
/* The forecast: when each task of a pipeline starts and ends and what it reads and writes, as distributions.
 *
 * Pure: model + history in, distributions out.  Deterministic for a seed.
 *
 * Durations come from past executions by a robust, shrunk regression of log duration on log input bytes, fan-in, the
 * size of the run and numeric hyper-parameters, with weighted quantiles of what it leaves (docs/forecasting.md); without
 * any, from a stated prior with a wide interval; `basis` says which.  Starts and ends are the DAG run forward on the
 * slots there are: the centre by one pass of medians, the band by Monte Carlo with draws that are correlated per
 * template.  During a run `progress` narrows both: what has happened is certain, and finished tasks teach most.
 *
 * A loop runs its items side by side on the slots; their number is the file's, else what past runs had.  A
 * condition holds with the share of runs in which it did, shrunk to one half.  A failed attempt of a task
 * with retries takes as long as a good one.  A step that a cache may skip has quantiles of 0 for that share.
 *
 * Ownership: results live in the arena given.  Threads: none shared.  Blocking: never.  Errors:
 * PA_ERROR_INPUT for ids that are doubled, missing or on a cycle, a duration that is negative or not finite,
 * no slots.  Input bytes that are negative or not finite count as not known, a clock that was set back as no duration.
 * Limits: the newest 300 observations of a template count; draws are fewer, never under 20, above 10,000 tasks.
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

struct pa_name_number {
	const char *name;
	double value;
};

/* One past execution of a task. */
struct pa_observation {
	const char *task_id;
	const char *template_name;
	uint32_t run_age;     /* 0: the newest run of this pipeline, 1: the one before, … */
	double duration_s;    /* compute: wall time less the time stalled on data */
	uint64_t input_bytes; /* read from data sets and artifacts; 0: not known */
	bool cached;          /* a step that was skipped by a cache: not a duration */
	/* What else may explain the duration; each may be left 0. */
	double fan_in;                           /* executions that it waited for */
	double run_executions;                   /* of its run, all tasks together */
	const struct pa_name_number *parameters; /* hyper-parameters, those that are numbers */
	size_t parameter_count;
	uint64_t output_bytes;
	double weight;       /* 0: 1; less for what may be of another kind */
	const char *command; /* pa_forecast_command_key() */
	bool elsewhere;      /* of another pipeline: only its command counts */
};

/* What a task read in a past run, in order of first open: the newest run's wins. */
struct pa_profile_read {
	const char *task_id;
	const char *data_set; /* "claim:…", "uri:…" */
	const char *path;     /* in the data set */
	uint64_t read_bytes;
	double first_open_s; /* after the task's start */
};

/* What tasks of one kind take, over all pipelines; for a task of which nothing else is known. */
struct pa_kind_past {
	double centre_log_s;
	uint32_t templates;
};
#define PA_TASK_KINDS (PA_TASK_UNRESOLVED + 1)

struct pa_history {
	const struct pa_observation *observations;
	size_t observation_count;
	const struct pa_profile_read *profile; /* grouped by task, in order */
	size_t profile_count;
	uint32_t run_count;               /* also those in which a task did not run */
	const struct pa_kind_past *kinds; /* PA_TASK_KINDS of them, by enum pa_task_kind; NULL: not known */
};

struct pa_distribution {
	double quantiles[PA_FORECAST_QUANTILES];
};

enum pa_forecast_basis {
	PA_BASIS_HISTORY,  /* past executions of the template in this pipeline */
	PA_BASIS_COMMAND,  /* of the same image and command, under another name */
	PA_BASIS_PIPELINE, /* none; the kind of task and the pipeline's other templates */
	PA_BASIS_PRIOR     /* none; the kind of task */
};

struct pa_task_forecast {
	struct pa_distribution duration_s;
	struct pa_distribution input_bytes; /* NANs: not known */
	struct pa_distribution output_bytes;
	struct pa_distribution start_s; /* from the run's start; during a run from now */
	struct pa_distribution end_s;
	enum pa_forecast_basis basis;
	uint32_t observations; /* how many it rests on */
	double probability;    /* that the task runs at all (conditions) */
	double instances;      /* expected executions (loops); ≥ 0 */
};

/* Where a run is, per task in the pipeline's order, in seconds from now (the past is negative); NAN: not yet. */
struct pa_forecast_progress {
	const double *started_s;
	const double *ended_s;
	const bool *skipped; /* by a condition that was decided; NULL: none */
};

struct pa_forecast_options {
	uint32_t slots;
	uint32_t draws; /* 0: 200 */
	uint64_t seed;
	/* Expected input bytes per task (same order as the pipeline's tasks); NULL: not known. */
	const double *input_bytes;
	const struct pa_forecast_progress *progress; /* NULL: the run has not begun */
};

/* When a data set is wanted, by the tasks that read it, if they run. */
struct pa_data_forecast {
	struct pa_distribution first_need_s; /* NANs: no task reads it */
	struct pa_distribution last_use_s;
};

struct pa_forecast {
	struct pa_task_forecast *tasks; /* same order as pipeline->tasks */
	size_t task_count;
	struct pa_data_forecast *data; /* same order as pipeline->data */
	size_t data_count;
	struct pa_distribution makespan_s;
};

struct pa_arena;
struct pa_error;

int pa_forecast_make(struct pa_arena *arena, const struct pa_pipeline *pipeline,
                     const struct pa_history *history, const struct pa_forecast_options *options,
                     struct pa_forecast *ret, struct pa_error *err);
/* The task's hyper-parameters that are numbers. */
const struct pa_name_number *pa_forecast_parameters(struct pa_arena *arena, const struct pa_task *task,
                                                    size_t *ret_count);
/* A hash of image and command: tasks that have it in common run the same program.  "" for neither. */
const char *pa_forecast_command_key(struct pa_arena *arena, const struct pa_task *task);
struct pa_buffer;
void pa_forecast_print_table(const struct pa_pipeline *pipeline, const struct pa_forecast *forecast,
                             struct pa_buffer *out);
void pa_forecast_print_json(const struct pa_pipeline *pipeline, const struct pa_forecast *forecast,
                            struct pa_buffer *out);
/* A bar per task from median start to median end, with its 80% interval; at most 400 tasks. */
void pa_forecast_print_svg(const struct pa_pipeline *pipeline, const struct pa_forecast *forecast,
                           struct pa_buffer *out);
const char *pa_forecast_basis_name(enum pa_forecast_basis basis);

#endif
