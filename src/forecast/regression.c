/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast/regression.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "forecast/statistics.h"

#define SLOPE_PRIOR_SD    .5
#define MAX_SLOPE         1.2
#define MAX_EXTRAPOLATION 3.0 /* of a regressor, beyond what was seen */
#define MAX_FOLDS         5   /* newest runs that are left out in turn */
#define HUBER_ROUNDS      5
#define HUBER_LIMIT       1.345
#define LEAST_CORRELATION .2 /* with what is left, for a regressor to be tried */

/* Of the first regressors (enum pa_regressor): more of each takes longer.  Those of the others are 0. */
static const double prior_slopes[] = {.4, .3, .1};

double pa_log_seconds(double seconds)
{
	return log(fmax(seconds, .01));
}

double pa_log_number(double number)
{
	return copysign(log1p(fabs(number)), number);
}

static int compare_samples(const void *left, const void *right)
{
	const struct pa_sample *a = left, *b = right;
	if (a->run_age != b->run_age)
		return a->run_age < b->run_age ? -1 : 1;
	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	if (a->log_s != b->log_s)
		return a->log_s < b->log_s ? -1 : 1;
	if (a->task != b->task)
		return a->task < b->task ? -1 : 1;
	return memcmp(a->regressors, b->regressors, sizeof(a->regressors));
}

size_t pa_samples_run_end(const struct pa_sample *samples, size_t count, size_t begin)
{
	size_t end = begin;
	while (end < count && samples[end].run_age == samples[begin].run_age)
		end++;
	return end;
}

/* Of a run that has more samples than there is room for, every n-th: they are sorted by duration. */
static size_t thin_out(struct pa_sample *samples, size_t count)
{
	size_t kept = 0, begin = 0;
	while (begin < count && kept < PA_SAMPLES_MAX) {
		size_t end = pa_samples_run_end(samples, count, begin);
		size_t have = end - begin, room = PA_SAMPLES_MAX - kept;
		size_t take = have < room ? have : room;
		for (size_t i = 0; i < take; i++)
			samples[kept++] = samples[begin + (i * have + have / 2) / take];
		begin = end;
	}
	return kept;
}

size_t pa_samples_prepare(struct pa_sample *samples, size_t count)
{
	qsort(samples, count, sizeof(*samples), compare_samples);
	count = thin_out(samples, count);
	for (size_t begin = 0; begin < count;) {
		size_t end = pa_samples_run_end(samples, count, begin);
		double crowding = 1 + .3 * (double)(end - begin - 1);
		for (; begin < end; begin++)
			samples[begin].weight *= pow(.9, samples[begin].run_age) / crowding;
	}
	return count;
}

/* How far a regressor is from its mean; one that is not known stands at it. */
static double offset(const struct pa_slope *slope, const double *regressors)
{
	double value = regressors[slope->regressor];
	return isnan(value) ? 0 : value - slope->mean;
}

static double line_of(const struct pa_line *line, const double *regressors)
{
	double value = line->centre;
	for (size_t i = 0; i < line->used; i++)
		value += line->slopes[i].value * offset(&line->slopes[i], regressors);
	return value;
}

double pa_line_at(const struct pa_line *line, const double *regressors, double *ret_variance)
{
	double value = line->centre;
	*ret_variance = 0;
	for (size_t i = 0; i < line->used; i++) {
		const struct pa_slope *slope = &line->slopes[i];
		double at = regressors[slope->regressor];
		if (isnan(at))
			continue;
		at = fmin(fmax(at, slope->least - MAX_EXTRAPOLATION), slope->most + MAX_EXTRAPOLATION);
		value += slope->value * (at - slope->mean);
		*ret_variance += slope->variance * pow(at - slope->mean, 2);
	}
	return value;
}

/* Sets the centre; `room` has space for all samples. */
static void find_centre(const struct pa_sample *samples, size_t count, struct pa_weighted *room,
                        struct pa_line *line)
{
	line->centre = 0;
	for (size_t i = 0; i < count; i++)
		room[i] = (struct pa_weighted){samples[i].log_s - line_of(line, samples[i].regressors),
		                               samples[i].weight};
	pa_weighted_sort(room, count);
	line->centre = pa_weighted_quantile(room, count, .5);
}

/* 1.48 × the median absolute deviation: a standard deviation that outliers do not move. */
static double robust_deviation(const struct pa_sample *samples, size_t count, struct pa_weighted *room,
                               const struct pa_line *line)
{
	for (size_t i = 0; i < count; i++)
		room[i] = (struct pa_weighted){fabs(samples[i].log_s - line_of(line, samples[i].regressors)),
		                               samples[i].weight};
	pa_weighted_sort(room, count);
	return fmax(1.48 * pa_weighted_quantile(room, count, .5), .05);
}

/* Sums over the samples, with Huber's weights. */
struct moments {
	double weights, seconds, regressors[PA_REGRESSORS_USED_MAX];
	double products[PA_REGRESSORS_USED_MAX][PA_REGRESSORS_USED_MAX + 1]; /* the last: with log_s */
};

static double huber_weight(const struct pa_sample *sample, double deviation, const struct pa_line *line)
{
	double error = fabs(sample->log_s - line_of(line, sample->regressors));
	return sample->weight * fmin(1, HUBER_LIMIT * deviation / fmax(error, 1e-12));
}

static void add_products(const struct pa_sample *sample, double weight, const struct pa_line *line,
                         struct moments *moments)
{
	double x[PA_REGRESSORS_USED_MAX + 1];
	for (size_t i = 0; i < line->used; i++)
		x[i] =
		    offset(&line->slopes[i], sample->regressors) - moments->regressors[i] / moments->weights;
	x[line->used] = sample->log_s - moments->seconds / moments->weights;
	for (size_t i = 0; i < line->used; i++)
		for (size_t j = 0; j <= line->used; j++)
			moments->products[i][j] += weight * x[i] * x[j];
}

static struct moments gather_moments(const struct pa_sample *samples, size_t count, double deviation,
                                     const struct pa_line *line)
{
	struct moments moments = {0};
	for (size_t i = 0; i < count; i++) {
		double weight = huber_weight(&samples[i], deviation, line);
		moments.weights += weight;
		moments.seconds += weight * samples[i].log_s;
		for (size_t j = 0; j < line->used; j++)
			moments.regressors[j] += weight * offset(&line->slopes[j], samples[i].regressors);
	}
	for (size_t i = 0; i < count; i++)
		add_products(&samples[i], huber_weight(&samples[i], deviation, line), line, &moments);
	return moments;
}

static double prior_slope(uint32_t regressor)
{
	return regressor < sizeof(prior_slopes) / sizeof(prior_slopes[0]) ? prior_slopes[regressor] : 0;
}

/* Gauss elimination; the matrix is positive definite, as the ridge is. */
static void solve(size_t count, double matrix[][PA_REGRESSORS_USED_MAX + 1], double *ret)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = i + 1; j < count; j++) {
			double factor = matrix[j][i] / matrix[i][i];
			for (size_t k = i; k <= count; k++)
				matrix[j][k] -= factor * matrix[i][k];
		}
	}
	for (size_t i = count; i-- > 0;) {
		ret[i] = matrix[i][count];
		for (size_t j = i + 1; j < count; j++)
			ret[i] -= matrix[i][j] * ret[j];
		ret[i] /= matrix[i][i];
	}
}

/* One round of Huber's weights and the slopes that they give. */
static void improve_slopes(const struct pa_sample *samples, size_t count, double deviation,
                           struct pa_line *line)
{
	double ridge = pow(deviation / SLOPE_PRIOR_SD, 2), values[PA_REGRESSORS_USED_MAX];
	struct moments moments = gather_moments(samples, count, deviation, line);

	for (size_t i = 0; i < line->used; i++) {
		line->slopes[i].variance = deviation * deviation / (moments.products[i][i] + ridge);
		moments.products[i][i] += ridge;
		moments.products[i][line->used] += ridge * prior_slope(line->slopes[i].regressor);
	}
	solve(line->used, moments.products, values);
	for (size_t i = 0; i < line->used; i++) {
		double least = prior_slope(line->slopes[i].regressor) > 0 ? 0 : -MAX_SLOPE;
		line->slopes[i].value = fmin(fmax(values[i], least), MAX_SLOPE);
	}
}

static void describe(const struct pa_sample *samples, size_t count, struct pa_slope *slope)
{
	double sum = 0, weight = 0;
	slope->least = INFINITY;
	slope->most = -INFINITY;
	for (size_t i = 0; i < count; i++) {
		double value = samples[i].regressors[slope->regressor];
		if (isnan(value))
			continue;
		sum += samples[i].weight * value;
		weight += samples[i].weight;
		slope->least = fmin(slope->least, value);
		slope->most = fmax(slope->most, value);
	}
	slope->mean = weight > 0 ? sum / weight : 0;
	slope->value = prior_slope(slope->regressor);
}

/* The slopes of the regressors that the line names. */
static void fit(const struct pa_sample *samples, size_t count, struct pa_weighted *room, struct pa_line *line)
{
	for (size_t i = 0; i < line->used; i++)
		describe(samples, count, &line->slopes[i]);
	for (int round = 0; round < HUBER_ROUNDS && line->used > 0; round++) {
		find_centre(samples, count, room, line);
		improve_slopes(samples, count, robust_deviation(samples, count, room, line), line);
	}
	find_centre(samples, count, room, line);
}

/* Samples that are left out together: a run, or a fifth of the only run. */
struct fold {
	bool by_run;
	size_t number;
	size_t begin, end; /* of the run */
};

static bool is_left_out(const struct fold *fold, size_t sample)
{
	return fold->by_run ? sample >= fold->begin && sample < fold->end
	                    : sample % MAX_FOLDS == fold->number;
}

/* Mean error of the line on samples that it has not seen. */
static double unseen_error(struct pa_arena *scratch, const struct pa_sample *samples, size_t count,
                           const struct pa_line *candidate)
{
	struct pa_sample *rest = pa_arena_array(scratch, count, sizeof(*rest));
	struct pa_weighted *room = pa_arena_array(scratch, count, sizeof(*room));
	struct fold fold = {.by_run = samples[0].run_age != samples[count - 1].run_age};
	double sum = 0, unused;
	size_t tested = 0;

	for (; fold.number < MAX_FOLDS && fold.end < count; fold.number++) {
		struct pa_line line = *candidate;
		size_t kept = 0;
		fold.begin = fold.end;
		if (fold.by_run)
			fold.end = pa_samples_run_end(samples, count, fold.begin);
		for (size_t i = 0; i < count; i++)
			if (!is_left_out(&fold, i))
				rest[kept++] = samples[i];
		fit(rest, kept, room, &line);
		for (size_t i = 0; i < count; i++) {
			if (!is_left_out(&fold, i))
				continue;
			sum += fabs(samples[i].log_s - pa_line_at(&line, samples[i].regressors, &unused));
			tested++;
		}
	}
	return sum / (double)tested;
}

static bool is_better(double with, double without)
{
	return with < .97 * without - .002;
}

/* Many are tried: what is taken must have earned it. */
static bool is_clearly_better(double with, double without)
{
	return with < .9 * without - .01;
}

static struct pa_line with_regressor(const struct pa_line *line, uint32_t regressor)
{
	struct pa_line more = *line;
	more.slopes[more.used++] = (struct pa_slope){.regressor = regressor};
	return more;
}

/* Known of every sample, and not the same in all. */
static bool varies(const struct pa_sample *samples, size_t count, uint32_t regressor)
{
	double least = INFINITY, most = -INFINITY;
	for (size_t i = 0; i < count; i++) {
		double value = samples[i].regressors[regressor];
		if (isnan(value))
			return false;
		least = fmin(least, value);
		most = fmax(most, value);
	}
	return most - least > 1e-9;
}

static double correlation(const struct pa_sample *samples, size_t count, const struct pa_line *line,
                          uint32_t regressor)
{
	struct pa_slope slope = {.regressor = regressor};
	double xx = 0, yy = 0, xy = 0;
	describe(samples, count, &slope);
	for (size_t i = 0; i < count; i++) {
		double x = offset(&slope, samples[i].regressors);
		double y = samples[i].log_s - line_of(line, samples[i].regressors);
		xx += samples[i].weight * x * x;
		yy += samples[i].weight * y * y;
		xy += samples[i].weight * x * y;
	}
	return xx > 0 && yy > 0 ? fabs(xy) / sqrt(xx * yy) : 0;
}

static bool is_used(const struct pa_line *line, uint32_t regressor)
{
	for (size_t i = 0; i < line->used; i++)
		if (line->slopes[i].regressor == regressor)
			return true;
	return false;
}

/* The regressor, of those not used yet, that goes best with what the line leaves; UINT32_MAX for none. */
static uint32_t best_candidate(const struct pa_sample *samples, size_t count, size_t regressor_count,
                               const struct pa_line *line)
{
	double most = LEAST_CORRELATION;
	uint32_t best = UINT32_MAX;
	for (uint32_t i = 0; i < regressor_count; i++) {
		if (is_used(line, i) || !varies(samples, count, i))
			continue;
		double share = correlation(samples, count, line, i);
		if (share > most) {
			most = share;
			best = i;
		}
	}
	return best;
}

/* What is known to matter is used unless it fails on unseen runs; with one run nothing can be said against it. */
static void add_expected(struct pa_arena *scratch, const struct pa_sample *samples, size_t count,
                         size_t regressor_count, struct pa_line *line)
{
	bool one_run = samples[0].run_age == samples[count - 1].run_age;
	for (uint32_t i = 0; i < regressor_count && prior_slope(i) > 0; i++) {
		bool known = true;
		for (size_t j = 0; j < count; j++)
			known &= !isnan(samples[j].regressors[i]);
		struct pa_line more = with_regressor(line, i);
		if (known && (one_run || !varies(samples, count, i) ||
		              is_better(unseen_error(scratch, samples, count, &more),
		                        unseen_error(scratch, samples, count, line))))
			*line = more;
	}
}

/* What was refused gets a slope of 0 that is as uncertain as one that had been fitted. */
static void doubt_refused(const struct pa_sample *samples, size_t count, size_t regressor_count,
                          struct pa_weighted *room, struct pa_line *line)
{
	double deviation = robust_deviation(samples, count, room, line);
	for (uint32_t i = 0; i < regressor_count && prior_slope(i) > 0; i++) {
		struct pa_slope slope = {.regressor = i};
		double sxx = 0;
		if (is_used(line, i) || !varies(samples, count, i))
			continue;
		describe(samples, count, &slope);
		for (size_t j = 0; j < count; j++)
			sxx += samples[j].weight * pow(offset(&slope, samples[j].regressors), 2);
		slope.value = 0;
		slope.variance = deviation * deviation / (sxx + pow(deviation / SLOPE_PRIOR_SD, 2));
		line->slopes[line->used++] = slope;
	}
}

struct pa_line pa_line_fit(struct pa_arena *scratch, const struct pa_sample *samples, size_t count,
                           size_t regressor_count)
{
	struct pa_weighted *room = pa_arena_array(scratch, count, sizeof(*room));
	struct pa_line line = {.used = 0};

	add_expected(scratch, samples, count, regressor_count, &line);
	fit(samples, count, room, &line);
	double error = NAN;
	while (line.used < PA_REGRESSORS_USED_MAX && count >= 4) {
		uint32_t candidate = best_candidate(samples, count, regressor_count, &line);
		if (candidate == UINT32_MAX)
			break;
		struct pa_line more = with_regressor(&line, candidate);
		if (isnan(error))
			error = unseen_error(scratch, samples, count, &line);
		double with = unseen_error(scratch, samples, count, &more);
		if (!is_clearly_better(with, error))
			break;
		error = with;
		line = more;
		fit(samples, count, room, &line);
	}
	doubt_refused(samples, count, regressor_count, room, &line);
	return line;
}
