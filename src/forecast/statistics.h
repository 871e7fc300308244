/* SPDX-License-Identifier: Apache-2.0 */
/* Small statistics for forecasts.  Pure; weights are not negative and not all zero. */
#ifndef PA_FORECAST_STATISTICS_H
#define PA_FORECAST_STATISTICS_H

#include <stddef.h>

#include "forecast/forecast.h"

struct pa_weighted {
	double value;
	double weight;
};

/* Sorts by value: what pa_weighted_quantile() wants. */
void pa_weighted_sort(struct pa_weighted *values, size_t count);
/* Linear between the middles of the values' weights; 0 for none. */
double pa_weighted_quantile(const struct pa_weighted *sorted, size_t count, double level);
/* Level of a standard normal → its value. */
double pa_normal_quantile(double level);
/* The value of a distribution at a standard normal: linear in the logarithm, below 0.01 s it is 0.01 s. */
double pa_distribution_at(const struct pa_distribution *distribution, double normal);
/* Nothing but this value. */
struct pa_distribution pa_distribution_same(double value);
/* Quantiles of numbers, which get sorted; the levels are pa_forecast_levels. */
struct pa_distribution pa_distribution_of(double *values, size_t count);

#endif
