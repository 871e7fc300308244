/* SPDX-License-Identifier: Apache-2.0 */
/* Executions that others recorded (WfCommons instances), as the forecast's input and as what really happened.
 *
 * Ownership: everything lives in the arena given.  Errors: those of reading; PA_ERROR_INPUT for what is no instance.
 */
#ifndef PA_BENCH_FORECAST_INSTANCES_H
#define PA_BENCH_FORECAST_INSTANCES_H

#include "forecast/forecast.h"

struct pa_arena;
struct pa_error;

struct instance {
	const char *name;
	const char *application; /* the name up to its first '-' */
	struct pa_pipeline pipeline;
	/* One per task of the pipeline. */
	struct pa_observation *observations; /* run_age is to be set */
	double *input_bytes;
	double *duration_s;
};

/* Of the files named, those with at least two tasks that were executed. */
int instances_read(struct pa_arena *arena, char *const *paths, size_t count, struct instance *ret,
                   struct pa_error *err);

#endif
