/* SPDX-License-Identifier: Apache-2.0 */
/* What lanes.c gives spread.c; private to this folder. */
#ifndef PA_FORECAST_SPREAD_INTERNAL_H
#define PA_FORECAST_SPREAD_INTERNAL_H

#include "forecast/spread.h"

void pa_lanes_make(struct pa_arena *arena, const struct pa_spread_input *input, struct pa_lanes *ret);
/* Not left out by a condition that has been decided. */
bool pa_spread_runs(const struct pa_spread_input *input, size_t task);
/* How long a task that is under way has run; 0 for others. */
double pa_spread_elapsed_s(const struct pa_spread_input *input, size_t task);

#endif
