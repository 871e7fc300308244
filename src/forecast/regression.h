/* SPDX-License-Identifier: Apache-2.0 */
/* Log duration as a line in a few regressors: robust, shrunk, and no more regressors than the history asks for.  Pure.
 *
 * Regressor 0 is log input bytes, whose slope is shrunk to .4: tasks on more data take longer, and that much is known
 * without having seen it.  The slopes of the others (executions that a task waits for, numeric hyper-parameters) are
 * shrunk to 0.  A regressor is used if it predicts executions of runs that were left out clearly better; bytes are used
 * unless they fail at that.
 *
 * Ownership: scratch arenas hold what a call needs.  Cost: linear in samples, with a logarithm, times regressors.
 */
#ifndef PA_FORECAST_REGRESSION_H
#define PA_FORECAST_REGRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pa_arena;

#define PA_SAMPLES_MAX         300 /* of one template, the newest */
#define PA_REGRESSORS_MAX      8
#define PA_REGRESSORS_USED_MAX 4
#define PA_SLOPES_MAX          7 /* those and what was refused */

/* Those of a template beyond these are its numeric hyper-parameters. */
enum pa_regressor {
	PA_REGRESSOR_BYTES,
	PA_REGRESSOR_FAN_IN,
	PA_REGRESSOR_RUN, /* how many executions the run has */
	PA_REGRESSOR_PARAMETERS,
};

/* One past execution.  NAN: that regressor is not known of it. */
struct pa_sample {
	double log_s;            /* pa_log_seconds(); what the line is through */
	double log_output_bytes; /* NAN: not known */
	double regressors[PA_REGRESSORS_MAX];
	double weight;
	uint32_t run_age;
	uint32_t task; /* whose it was, or UINT32_MAX */
};

/* ln(max(seconds, .01)) */
double pa_log_seconds(double seconds);
/* ln(1 + |number|) with its sign: bytes, counts and hyper-parameters alike. */
double pa_log_number(double number);

struct pa_line {
	double centre; /* median of what the slopes leave */
	size_t used;
	struct pa_slope {
		uint32_t regressor;
		double value, variance;
		double mean, least, most; /* of the samples' regressor */
	} slopes[PA_SLOPES_MAX];
};

/* Sorts newest run first, keeps at most PA_SAMPLES_MAX (their number is returned), and multiplies the weights so that
 * old runs, and many samples of one run, count less. */
size_t pa_samples_prepare(struct pa_sample *samples, size_t count);
/* One past the last sample of the run that begins at `begin`; `samples` prepared. */
size_t pa_samples_run_end(const struct pa_sample *samples, size_t count, size_t begin);

/* `samples` prepared, at least one. */
struct pa_line pa_line_fit(struct pa_arena *scratch, const struct pa_sample *samples, size_t count,
                           size_t regressor_count);
/* What the line says of a task with these regressors (clipped to a little beyond what was seen), and how uncertain its
 * slopes make that. */
double pa_line_at(const struct pa_line *line, const double *regressors, double *ret_variance);

#endif
