/* SPDX-License-Identifier: Apache-2.0 */
/* How long a task computes, from past executions: a shrunk regression of log duration on log input bytes with
 * weighted residual quantiles, or a stated prior (docs/planning.md has the formulas).  Pure. */
#ifndef PA_FORECAST_DURATION_H
#define PA_FORECAST_DURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "forecast/forecast.h"

struct pa_arena;

#define PA_DURATION_MAX_SAMPLES 300 /* of one template, the newest */

struct pa_sample {
	double log_s;     /* ln(max(duration, .01)) */
	double log_bytes; /* ln(1 + bytes) */
	double weight;
	uint32_t run_age;
};

/* How duration grows with input. */
struct pa_slope {
	bool used;
	double value;
	double variance;
};

double pa_log_seconds(double seconds);
double pa_log_bytes(double bytes);

/* Sorts newest run first, keeps at most PA_DURATION_MAX_SAMPLES (their number is returned), and multiplies
 * the weights so that old runs, and many samples of one run, count less. */
size_t pa_samples_prepare(struct pa_sample *samples, size_t count);
/* `samples` prepared. */
struct pa_slope pa_slope_fit(struct pa_arena *scratch, const struct pa_sample *samples, size_t count);
/* At least one sample; `input_bytes` NAN or 0: not known, the slope is not used. */
struct pa_distribution pa_duration_predict(struct pa_arena *scratch, const struct pa_sample *samples,
                                           size_t count, const struct pa_slope *slope, double input_bytes);

/* With no sample: by kind, moved towards the median of the pipeline's other templates, of which `log_seconds`
 * has the centres. */
struct pa_distribution pa_duration_prior(enum pa_task_kind kind, double input_bytes, double other_log_s,
                                         size_t other_count);

#endif
