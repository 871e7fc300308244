/* SPDX-License-Identifier: Apache-2.0 */
/* The history, sorted by what is to be forecast: of every template its executions and the line through them, of every
 * task its own share of them; private to this folder.
 *
 * A template's executions are found by level (enum pa_past_level): those of the same pipeline and template if there are
 * any, else those with the same command, wherever they ran.  Ownership: the arena given.
 */
#ifndef PA_FORECAST_PAST_H
#define PA_FORECAST_PAST_H

#include "forecast/forecast.h"
#include "forecast/graph.h"
#include "forecast/regression.h"

struct pa_template_past {
	struct pa_sample *samples; /* prepared */
	size_t count;
	struct pa_line line;
	struct pa_line output_line; /* through the bytes written */
	double centre_log_s;        /* median */
	/* How much a task's own executions say that those of its template's other tasks do not: 0 nothing, 1 all. */
	double trust_in_own;
	const char
	    *parameters[PA_REGRESSORS_MAX]; /* names of the regressors from PA_REGRESSOR_PARAMETERS on */
	size_t regressor_count;
	bool by_command; /* of other templates with the same image and command */
};

struct pa_task_past {
	const struct pa_sample *samples; /* its own, prepared among themselves */
	size_t count;
	uint32_t runs;   /* in which it ran, cached or not */
	uint32_t cached; /* times that a cache skipped it */
	uint32_t times;  /* executions in all */
};

struct pa_past {
	struct pa_template_past *templates; /* as in the graph */
	struct pa_task_past *tasks;
	uint32_t run_count;
	double other_centre_log_s; /* median over the templates that ran */
	size_t other_count;
};

void pa_past_make(struct pa_arena *arena, const struct pa_pipeline *pipeline, const struct pa_graph *graph,
                  const struct pa_history *history, struct pa_past *ret);
/* The regressors of a task to come. */
void pa_past_regressors(struct pa_arena *scratch, const struct pa_template_past *past,
                        const struct pa_task *task, double input_bytes, double fan_in, double run_executions,
                        double *ret);
/* What the task is to be forecast from: its own executions and those of its template's other tasks, weighted. */
const struct pa_sample *pa_past_samples(struct pa_arena *scratch, const struct pa_past *past,
                                        const struct pa_graph *graph, size_t task, size_t *ret_count);

#endif
