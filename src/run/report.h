/* SPDX-License-Identifier: Apache-2.0 */
/* What a run, or a comparison of runs, looks like to people (tables, a picture) and to programs (JSON). Pure. */
#ifndef PA_RUN_REPORT_H
#define PA_RUN_REPORT_H

#include "base/buffer.h"
#include "run/run.h"

/* `without` and `local` are NULL unless they were run, too. */
struct pa_comparison {
	const struct pa_run_report *ahead;
	const struct pa_run_report *without;
	const struct pa_run_report *local;
	/* Mean error of predicted starts over makespan in the run before this one; NAN: there was none. */
	double previous_start_error;
};

/* Same names, same bytes; the first difference is named in `out` (may be NULL). */
bool pa_report_outputs_equal(const struct pa_run_report *a, const struct pa_run_report *b,
                             struct pa_buffer *out);
/* Mean of |real - predicted| start over the tasks that ran, as a share of the makespan; NAN when nothing was predicted. */
double pa_report_start_error(const struct pa_run_report *report);
/* Stall of a run against the run with all data local, or, where `local` is NULL, by its own account. */
double pa_report_stall_s(const struct pa_run_report *report, const struct pa_run_report *local);
/* Of it, what tasks that nothing runs before have waited: there was nothing to load their data behind. */
double pa_report_cold_start_s(const struct pa_run_report *report);

void pa_report_print_table(const struct pa_comparison *comparison, struct pa_buffer *out);
void pa_report_print_json(const struct pa_comparison *comparison, struct pa_buffer *out);
/* When each task ran, loaded and stalled, as SVG. */
void pa_report_print_svg(const struct pa_comparison *comparison, struct pa_buffer *out);

#endif
