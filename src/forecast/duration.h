/* SPDX-License-Identifier: Apache-2.0 */
/* How long a task computes, from past executions: a shrunk regression of log duration on log input bytes with
 * weighted residual quantiles, or a stated prior (docs/planning.md has the formulas).  Pure. */
#ifndef PA_FORECAST_DURATION_H
#define PA_FORECAST_DURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "forecast/forecast.h"
#include "forecast/regression.h"

struct pa_arena;

/* `samples` prepared, at least one; `line` is that of their template. */
struct pa_distribution pa_duration_predict(struct pa_arena *scratch, const struct pa_sample *samples,
                                           size_t count, const struct pa_line *line,
                                           const double *regressors);

/* The same for bytes that are read (`output` false; the history's own, as they were) or written (`line` is that of
 * pa_bytes_samples()).  NANs when the history knows of none. */
struct pa_distribution pa_bytes_predict(struct pa_arena *scratch, const struct pa_sample *samples,
                                        size_t count, bool output, const struct pa_line *line,
                                        const double *regressors);
/* The samples of which those bytes are known, with them in the place of the duration. */
struct pa_sample *pa_bytes_samples(struct pa_arena *scratch, const struct pa_sample *samples, size_t count,
                                   bool output, size_t *ret_count);

/* With no sample: by kind, moved towards what tasks of that kind took elsewhere (`kind_past` may be NULL) and then
 * towards the median of the pipeline's other templates. */
struct pa_distribution pa_duration_prior(enum pa_task_kind kind, const struct pa_kind_past *kind_past,
                                         double input_bytes, double other_log_s, size_t other_count);

#endif
