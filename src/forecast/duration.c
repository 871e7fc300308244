/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast/duration.h"

#include <math.h>

#include "base/arena.h"
#include "forecast/statistics.h"

#define MAX_LOG_SD          .9   /* of what is not seen in the residuals */
#define RUN_VARIANCE        .03  /* of what is common to a run, at least: another day, another node */
#define PRIOR_LOG_SD        2.34 /* an 80% interval of 3 to either side in the logarithm */
#define PRIOR_BYTES_SLOPE   .15
#define PRIOR_TYPICAL_BYTES 67108864.0

/* Variance of one execution around its run's mean, shrunk towards .25; `residuals` in the order of the samples.  With
 * few executions a run it is never more than that around the mean of all. */
static double variance_in_runs(const struct pa_sample *samples, size_t count, const double *residuals,
                               double middle, size_t *ret_runs)
{
	double in_runs = .25, overall = .25;
	size_t runs = 0;
	for (size_t begin = 0; begin < count; runs++) {
		size_t end = pa_samples_run_end(samples, count, begin);
		double mean = 0;
		for (size_t i = begin; i < end; i++)
			mean += residuals[i] / (double)(end - begin);
		for (; begin < end; begin++) {
			in_runs += fmin(pow(residuals[begin] - mean, 2), 2);
			overall += fmin(pow(residuals[begin] - middle, 2), 2);
		}
	}
	*ret_runs = runs;
	in_runs /= (double)(1 + count - runs);
	return runs < 2 ? in_runs : fmin(in_runs, overall / (double)(count - 1));
}

/* Quantiles around `centre`: each as far as residuals and what is not known of the mean say together. */
static struct pa_distribution widen(const struct pa_weighted *residuals, size_t count, double centre,
                                    double variance)
{
	struct pa_distribution distribution;
	double middle = pa_weighted_quantile(residuals, count, .5);
	for (size_t i = 0; i < PA_FORECAST_QUANTILES; i++) {
		double normal = pa_normal_quantile(pa_forecast_levels[i]);
		double seen = fabs(pa_weighted_quantile(residuals, count, pa_forecast_levels[i]) - middle);
		double width = fmin(sqrt(seen * seen + variance * normal * normal),
		                    fmax(seen, MAX_LOG_SD * fabs(normal)));
		double sign = pa_forecast_levels[i] < .5 ? -1 : 1;
		distribution.quantiles[i] =
		    exp(centre + middle + (pa_forecast_levels[i] == .5 ? 0 : sign * width));
		/* Equal quantiles may come out in the wrong order by a rounding error. */
		if (i > 0)
			distribution.quantiles[i] =
			    fmax(distribution.quantiles[i], distribution.quantiles[i - 1]);
	}
	return distribution;
}

struct pa_distribution pa_duration_predict(struct pa_arena *scratch, const struct pa_sample *samples,
                                           size_t count, const struct pa_line *line, const double *regressors)
{
	struct pa_weighted *room = pa_arena_array(scratch, count, sizeof(*room));
	double *fits = pa_arena_array(scratch, count, sizeof(*fits));
	double *residuals = pa_arena_array(scratch, count, sizeof(*residuals));
	double slopes_variance, unused, weights = 0;
	size_t runs;
	double centre = pa_line_at(line, regressors, &slopes_variance);

	for (size_t i = 0; i < count; i++) {
		fits[i] = pa_line_at(line, samples[i].regressors, &unused);
		residuals[i] = samples[i].log_s - fits[i];
		room[i] = (struct pa_weighted){residuals[i], samples[i].weight};
		weights += samples[i].weight;
	}
	/* The line's own centre is that of all samples with their first weights. */
	pa_weighted_sort(room, count);
	double shift = pa_weighted_quantile(room, count, .5);
	double in_run = variance_in_runs(samples, count, residuals, shift, &runs);
	double variance = (RUN_VARIANCE + in_run) / (double)runs + in_run / weights + slopes_variance;
	for (size_t i = 0; i < count; i++) {
		double nearness = count < 8 ? 1 : .05 + exp(-.5 * pow((fits[i] - centre) / .3, 2));
		room[i] = (struct pa_weighted){residuals[i] - shift, samples[i].weight * nearness};
	}
	pa_weighted_sort(room, count);
	return widen(room, count, centre + shift, variance);
}

struct pa_sample *pa_bytes_samples(struct pa_arena *scratch, const struct pa_sample *samples, size_t count,
                                   bool output, size_t *ret_count)
{
	struct pa_sample *known = pa_arena_array(scratch, count, sizeof(*known));
	*ret_count = 0;
	for (size_t i = 0; i < count; i++) {
		double log_bytes =
		    output ? samples[i].log_output_bytes : samples[i].regressors[PA_REGRESSOR_BYTES];
		if (isnan(log_bytes))
			continue;
		known[*ret_count] = samples[i];
		known[(*ret_count)++].log_s = log_bytes;
	}
	return known;
}

struct pa_distribution pa_bytes_predict(struct pa_arena *scratch, const struct pa_sample *samples,
                                        size_t count, bool output, const struct pa_line *line,
                                        const double *regressors)
{
	static const struct pa_line flat = {0};
	struct pa_distribution distribution = pa_distribution_same(NAN);
	size_t known_count;
	const struct pa_sample *known = pa_bytes_samples(scratch, samples, count, output, &known_count);
	if (known_count == 0)
		return distribution;
	distribution = pa_duration_predict(scratch, known, known_count, output ? line : &flat, regressors);
	for (size_t i = 0; i < PA_FORECAST_QUANTILES; i++)
		distribution.quantiles[i] = fmax(distribution.quantiles[i] - 1, 0);
	return distribution;
}

/* What one would say of a task of this kind without having seen any. */
static double prior_seconds(enum pa_task_kind kind)
{
	switch (kind) {
	case PA_TASK_SCRIPT:
		return 20;
	case PA_TASK_RESOURCE:
		return 5;
	case PA_TASK_IMPORTER:
	case PA_TASK_HTTP:
		return 2;
	case PA_TASK_PLUGIN:
	case PA_TASK_DATA:
		return 10;
	case PA_TASK_CONTAINER:
	case PA_TASK_SUSPEND:
	case PA_TASK_CONTAINERSET:
	case PA_TASK_UNRESOLVED:
		return 60;
	}
	return 60;
}

/* From `value` to `seen`, by how many have been seen. */
static double move(double value, double seen, size_t count)
{
	double share = (double)count / (double)(count + 2);
	return count > 0 ? (1 - share) * value + share * seen : value;
}

struct pa_distribution pa_duration_prior(enum pa_task_kind kind, const struct pa_kind_past *kind_past,
                                         double input_bytes, double other_log_s, size_t other_count)
{
	double centre = log(prior_seconds(kind));
	if (kind_past)
		centre = move(centre, kind_past->centre_log_s, kind_past->templates);
	centre = move(centre, other_log_s, other_count);
	if (input_bytes > 0)
		centre +=
		    PRIOR_BYTES_SLOPE * (pa_log_number(input_bytes) - pa_log_number(PRIOR_TYPICAL_BYTES));
	struct pa_distribution distribution;
	for (size_t i = 0; i < PA_FORECAST_QUANTILES; i++)
		distribution.quantiles[i] =
		    exp(centre + PRIOR_LOG_SD * pa_normal_quantile(pa_forecast_levels[i]));
	return distribution;
}
