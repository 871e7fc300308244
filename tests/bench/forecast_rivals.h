/* SPDX-License-Identifier: Apache-2.0 */
/* What is done elsewhere to predict a duration, on the same history as the forecast.  Ownership: the arena given. */
#ifndef PA_BENCH_FORECAST_RIVALS_H
#define PA_BENCH_FORECAST_RIVALS_H

#include "forecast/forecast.h"
#include "forecast/graph.h"

enum rival { RIVAL_LAST, RIVAL_MEAN, RIVAL_QUANTILES, RIVAL_SQUARES, RIVALS };

struct rivals {
	const struct pa_history *history;
	struct pa_names templates;
	struct rival_template *of; /* per template */
};

struct rivals rivals_make(struct pa_arena *arena, const struct pa_history *history);
/* One distribution per rival; false when the history has nothing of the task's template. */
bool rivals_predict(const struct rivals *rivals, const struct pa_task *task, double input_bytes,
                    struct pa_distribution *ret);

#endif
