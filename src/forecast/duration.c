/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast/duration.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "forecast/statistics.h"

#define PRIOR_SLOPE         .4
#define SLOPE_PRIOR_SD      .5
#define MAX_SLOPE           1.2
#define MAX_EXTRAPOLATION   3.0  /* of log bytes, beyond what was seen */
#define MAX_FOLDS           5    /* newest runs that are left out in turn */
#define MAX_LOG_SD          .9   /* of what is not seen in the residuals */
#define PRIOR_LOG_SD        2.34 /* an 80% interval of 3 to either side in the logarithm */
#define PRIOR_BYTES_SLOPE   .15
#define PRIOR_TYPICAL_BYTES 67108864.0

double pa_log_seconds(double seconds)
{
	return log(fmax(seconds, .01));
}

double pa_log_bytes(double bytes)
{
	return log1p(bytes);
}

static int compare_samples(const void *left, const void *right)
{
	const struct pa_sample *a = left, *b = right;
	if (a->run_age != b->run_age)
		return a->run_age < b->run_age ? -1 : 1;
	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	if (a->log_bytes != b->log_bytes)
		return a->log_bytes < b->log_bytes ? -1 : 1;
	return (a->log_s > b->log_s) - (a->log_s < b->log_s);
}

/* One past the last sample of the run that begins at `begin`. */
static size_t run_end(const struct pa_sample *samples, size_t count, size_t begin)
{
	size_t end = begin;
	while (end < count && samples[end].run_age == samples[begin].run_age)
		end++;
	return end;
}

size_t pa_samples_prepare(struct pa_sample *samples, size_t count)
{
	qsort(samples, count, sizeof(*samples), compare_samples);
	if (count > PA_DURATION_MAX_SAMPLES)
		count = PA_DURATION_MAX_SAMPLES;
	for (size_t begin = 0; begin < count;) {
		size_t end = run_end(samples, count, begin);
		double crowding = 1 + .3 * (double)(end - begin - 1);
		for (; begin < end; begin++)
			samples[begin].weight *= pow(.9, samples[begin].run_age) / crowding;
	}
	return count;
}

struct line {
	double centre; /* median of what the slope leaves */
	double slope;
	double mean_bytes; /* of log_bytes */
	double variance;   /* of the slope */
};

static double mean_log_bytes(const struct pa_sample *samples, size_t count)
{
	double sum = 0, weight = 0;
	for (size_t i = 0; i < count; i++) {
		sum += samples[i].weight * samples[i].log_bytes;
		weight += samples[i].weight;
	}
	return sum / weight;
}

static double line_at(const struct line *line, double log_bytes)
{
	return line->centre + line->slope * (log_bytes - line->mean_bytes);
}

/* Sets the centre; `room` has space for all samples. */
static void find_centre(const struct pa_sample *samples, size_t count, struct pa_weighted *room,
                        struct line *line)
{
	for (size_t i = 0; i < count; i++)
		room[i] = (struct pa_weighted){samples[i].log_s -
		                                   line->slope * (samples[i].log_bytes - line->mean_bytes),
		                               samples[i].weight};
	pa_weighted_sort(room, count);
	line->centre = pa_weighted_quantile(room, count, .5);
}

/* 1.48 × the median absolute deviation: a standard deviation that outliers do not move. */
static double robust_deviation(const struct pa_sample *samples, size_t count, struct pa_weighted *room,
                               const struct line *line)
{
	for (size_t i = 0; i < count; i++)
		room[i] = (struct pa_weighted){fabs(samples[i].log_s - line_at(line, samples[i].log_bytes)),
		                               samples[i].weight};
	pa_weighted_sort(room, count);
	return fmax(1.48 * pa_weighted_quantile(room, count, .5), .05);
}

/* One round of Huber's weights and the slope that they give. */
static void improve_slope(const struct pa_sample *samples, size_t count, double deviation, struct line *line)
{
	double weights = 0, bytes = 0, seconds = 0, sxx = 0, sxy = 0;
	double ridge = pow(deviation / SLOPE_PRIOR_SD, 2);

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < count; i++) {
			double error = fabs(samples[i].log_s - line_at(line, samples[i].log_bytes));
			double weight = samples[i].weight * fmin(1, 1.345 * deviation / fmax(error, 1e-12));
			if (pass == 0) {
				weights += weight;
				bytes += weight * samples[i].log_bytes;
				seconds += weight * samples[i].log_s;
			} else {
				double x = samples[i].log_bytes - bytes / weights;
				sxx += weight * x * x;
				sxy += weight * x * (samples[i].log_s - seconds / weights);
			}
		}
	}
	line->slope = fmin(fmax((sxy + PRIOR_SLOPE * ridge) / (sxx + ridge), 0), MAX_SLOPE);
	line->variance = deviation * deviation / (sxx + ridge);
}

static struct line fit_line(const struct pa_sample *samples, size_t count, struct pa_weighted *room)
{
	struct line line = {.slope = PRIOR_SLOPE, .mean_bytes = mean_log_bytes(samples, count)};
	for (int round = 0; round < 5; round++) {
		find_centre(samples, count, room, &line);
		improve_slope(samples, count, robust_deviation(samples, count, room, &line), &line);
	}
	find_centre(samples, count, room, &line);
	return line;
}

/* Whether the slope predicts runs that it has not seen clearly better than a constant does. */
static bool slope_helps(struct pa_arena *scratch, const struct pa_sample *samples, size_t count)
{
	struct pa_sample *rest = pa_arena_array(scratch, count, sizeof(*rest));
	struct pa_weighted *room = pa_arena_array(scratch, count, sizeof(*room));
	double with = 0, without = 0;
	size_t tested = 0, begin = 0;

	for (int fold = 0; fold < MAX_FOLDS && begin < count; fold++) {
		size_t end = run_end(samples, count, begin), kept = 0;
		for (size_t i = 0; i < count; i++) {
			if (i < begin || i >= end)
				rest[kept++] = samples[i];
		}
		struct line line = fit_line(rest, kept, room);
		struct line flat = {.mean_bytes = line.mean_bytes};
		find_centre(rest, kept, room, &flat);
		for (; begin < end; begin++, tested++) {
			with += fabs(samples[begin].log_s - line_at(&line, samples[begin].log_bytes));
			without += fabs(samples[begin].log_s - flat.centre);
		}
	}
	return with / (double)tested < .97 * without / (double)tested - .002;
}

struct pa_slope pa_slope_fit(struct pa_arena *scratch, const struct pa_sample *samples, size_t count)
{
	double least = INFINITY, most = -INFINITY;
	for (size_t i = 0; i < count; i++) {
		least = fmin(least, samples[i].log_bytes);
		most = fmax(most, samples[i].log_bytes);
	}
	/* A sample of 0 bytes is one whose bytes nobody saw. */
	if (count == 0 || least <= 0)
		return (struct pa_slope){false, 0, 0};
	bool one_run = samples[0].run_age == samples[count - 1].run_age;
	if (most - least > 1e-9 && !one_run && !slope_helps(scratch, samples, count))
		return (struct pa_slope){false, 0, 0};
	struct line line =
	    fit_line(samples, count, pa_arena_array(scratch, count, sizeof(struct pa_weighted)));
	return (struct pa_slope){true, line.slope, line.variance};
}

/* Variance of one execution around its run's mean, shrunk towards .25. */
static double variance_in_runs(const struct pa_sample *samples, size_t count, const struct line *line,
                               size_t *ret_runs)
{
	double sum = .25;
	size_t runs = 0;
	for (size_t begin = 0; begin < count; runs++) {
		size_t end = run_end(samples, count, begin);
		double mean = 0;
		for (size_t i = begin; i < end; i++)
			mean +=
			    (samples[i].log_s - line_at(line, samples[i].log_bytes)) / (double)(end - begin);
		for (; begin < end; begin++) {
			double error = samples[begin].log_s - line_at(line, samples[begin].log_bytes) - mean;
			sum += fmin(error * error, 2);
		}
	}
	*ret_runs = runs;
	return sum / (double)(1 + count - runs);
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
                                           size_t count, const struct pa_slope *slope, double input_bytes)
{
	struct pa_weighted *room = pa_arena_array(scratch, count, sizeof(*room));
	bool use_slope = slope->used && input_bytes > 0;
	struct line line = {.slope = use_slope ? slope->value : 0,
	                    .mean_bytes = mean_log_bytes(samples, count),
	                    .variance = use_slope ? slope->variance : 0};
	double least = INFINITY, most = -INFINITY, weights = 0;
	for (size_t i = 0; i < count; i++) {
		least = fmin(least, samples[i].log_bytes);
		most = fmax(most, samples[i].log_bytes);
		weights += samples[i].weight;
	}
	double log_bytes = line.mean_bytes;
	if (use_slope)
		log_bytes = fmin(fmax(pa_log_bytes(input_bytes), least - MAX_EXTRAPOLATION),
		                 most + MAX_EXTRAPOLATION);
	find_centre(samples, count, room, &line);
	double centre = line_at(&line, log_bytes);

	size_t runs;
	double in_run = variance_in_runs(samples, count, &line, &runs);
	double variance = (.0009 + in_run) / (double)runs + in_run / weights +
	                  line.variance * pow(log_bytes - line.mean_bytes, 2);
	for (size_t i = 0; i < count; i++) {
		double fit = line_at(&line, samples[i].log_bytes);
		double nearness = count < 8 ? 1 : .05 + exp(-.5 * pow((fit - centre) / .3, 2));
		room[i] = (struct pa_weighted){samples[i].log_s - fit, samples[i].weight * nearness};
	}
	pa_weighted_sort(room, count);
	return widen(room, count, centre, variance);
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

struct pa_distribution pa_duration_prior(enum pa_task_kind kind, double input_bytes, double other_log_s,
                                         size_t other_count)
{
	double share = (double)other_count / (double)(other_count + 2);
	double centre = (1 - share) * log(prior_seconds(kind)) + (other_count > 0 ? share * other_log_s : 0);
	if (input_bytes > 0)
		centre += PRIOR_BYTES_SLOPE * (pa_log_bytes(input_bytes) - pa_log_bytes(PRIOR_TYPICAL_BYTES));
	struct pa_distribution distribution;
	for (size_t i = 0; i < PA_FORECAST_QUANTILES; i++)
		distribution.quantiles[i] =
		    exp(centre + PRIOR_LOG_SD * pa_normal_quantile(pa_forecast_levels[i]));
	return distribution;
}
