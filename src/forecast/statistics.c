/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast/statistics.h"

#include <math.h>
#include <stdlib.h>

const double pa_forecast_levels[PA_FORECAST_QUANTILES] = {.1, .25, .5, .75, .9};

static int compare_weighted(const void *left, const void *right)
{
	const struct pa_weighted *a = left, *b = right;
	if (a->value != b->value)
		return a->value < b->value ? -1 : 1;
	return (a->weight > b->weight) - (a->weight < b->weight);
}

void pa_weighted_sort(struct pa_weighted *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare_weighted);
}

double pa_weighted_quantile(const struct pa_weighted *sorted, size_t count, double level)
{
	double total = 0, sum = 0, last_middle = 0;
	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		total += sorted[i].weight;
	for (size_t i = 0; i < count; i++) {
		double middle = (sum + sorted[i].weight / 2) / total;
		if (middle >= level) {
			if (i == 0 || middle <= last_middle)
				return sorted[i].value;
			double share = (level - last_middle) / (middle - last_middle);
			return sorted[i - 1].value + share * (sorted[i].value - sorted[i - 1].value);
		}
		sum += sorted[i].weight;
		last_middle = middle;
	}
	return sorted[count - 1].value;
}

double pa_normal_quantile(double level)
{
	double low = -9, high = 9;
	for (int i = 0; i < 60; i++) {
		double middle = (low + high) / 2;
		if (.5 * erfc(-middle / M_SQRT2) < level)
			low = middle;
		else
			high = middle;
	}
	return (low + high) / 2;
}

/* pa_normal_quantile() of pa_forecast_levels. */
static const double level_normals[PA_FORECAST_QUANTILES] = {-1.2815515655446004, -0.6744897501960817, 0,
                                                            0.6744897501960817, 1.2815515655446004};

double pa_distribution_at(const struct pa_distribution *distribution, double normal)
{
	size_t upper = 1;
	while (upper < PA_FORECAST_QUANTILES - 1 && normal > level_normals[upper])
		upper++;
	double low = log(fmax(distribution->quantiles[upper - 1], .01));
	double high = log(fmax(distribution->quantiles[upper], .01));
	double share =
	    (normal - level_normals[upper - 1]) / (level_normals[upper] - level_normals[upper - 1]);
	return fmax(exp(low + share * (high - low)), .01);
}

struct pa_distribution pa_distribution_same(double value)
{
	struct pa_distribution distribution;
	for (size_t i = 0; i < PA_FORECAST_QUANTILES; i++)
		distribution.quantiles[i] = value;
	return distribution;
}

static int compare_numbers(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

struct pa_distribution pa_distribution_of(double *values, size_t count)
{
	struct pa_distribution distribution = {{0}};
	qsort(values, count, sizeof(*values), compare_numbers);
	for (size_t i = 0; count > 0 && i < PA_FORECAST_QUANTILES; i++) {
		double at = pa_forecast_levels[i] * (double)(count - 1);
		size_t below = (size_t)at;
		double above = values[below + 1 < count ? below + 1 : below];
		distribution.quantiles[i] = values[below] + (at - (double)below) * (above - values[below]);
	}
	return distribution;
}
