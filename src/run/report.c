/* SPDX-License-Identifier: Apache-2.0 */
#include "run/report.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

bool pa_report_outputs_equal(const struct pa_run_report *a, const struct pa_run_report *b,
                             struct pa_buffer *out)
{
	size_t i = 0, j = 0;

	while (i < a->output_count || j < b->output_count) {
		int order = i == a->output_count   ? 1
		            : j == b->output_count ? -1
		                                   : strcmp(a->outputs[i].name, b->outputs[j].name);
		if (order != 0) {
			if (out != NULL)
				pa_buffer_printf(out, "%s is only in one of them",
				                 order < 0 ? a->outputs[i].name : b->outputs[j].name);
			return false;
		}
		if (memcmp(a->outputs[i].sha256, b->outputs[j].sha256, sizeof(a->outputs[i].sha256)) != 0) {
			if (out != NULL)
				pa_buffer_printf(out, "%s differs", a->outputs[i].name);
			return false;
		}
		i++;
		j++;
	}
	return true;
}

double pa_report_start_error(const struct pa_run_report *report)
{
	double sum = 0;
	size_t count = 0;

	for (size_t i = 0; i < report->task_count; i++) {
		const struct pa_run_task *task = &report->tasks[i];
		if (isnan(task->start_s) || isnan(task->predicted_start_s))
			continue;
		sum += fabs(task->start_s - task->predicted_start_s);
		count++;
	}
	return count == 0 || report->makespan_s <= 0 ? NAN : sum / (double)count / report->makespan_s;
}

double pa_report_stall_s(const struct pa_run_report *report, const struct pa_run_report *local)
{
	return local != NULL ? fmax(0, report->makespan_s - local->makespan_s) : report->stall_s;
}

double pa_report_cold_start_s(const struct pa_run_report *report)
{
	double cold_s = 0;

	for (size_t i = 0; i < report->task_count; i++)
		if (report->tasks[i].cold)
			cold_s = fmax(cold_s, report->tasks[i].stall_s);
	return cold_s;
}

/* --- table --- */

static void print_time(struct pa_buffer *out, double seconds)
{
	if (isnan(seconds))
		pa_buffer_puts(out, "       –  ");
	else
		pa_buffer_printf(out, " %9.1f", seconds);
}

static void print_share(struct pa_buffer *out, uint64_t part, uint64_t whole)
{
	if (whole == 0)
		pa_buffer_puts(out, "     – ");
	else
		pa_buffer_printf(out, "  %4.0f%%", 100.0 * (double)part / (double)whole);
}

static void print_task(const struct pa_run_task *task, int width, struct pa_buffer *out)
{
	char bytes[32];

	pa_buffer_printf(out, "%-*s", width, task->id);
	print_time(out, task->predicted_start_s);
	print_time(out, task->start_s);
	print_time(out, task->predicted_end_s);
	print_time(out, task->end_s);
	pa_buffer_printf(out, " %10s", pa_units_format_bytes(task->read_bytes, bytes, sizeof(bytes)));
	print_share(out, task->memory_bytes, task->read_bytes);
	pa_buffer_printf(out, "  %8.2f  %s\n", task->stall_s, task->outcome);
}

static void print_tasks(const struct pa_run_report *report, struct pa_buffer *out)
{
	int width = 4;

	for (size_t i = 0; i < report->task_count; i++)
		if ((int)strlen(report->tasks[i].id) > width)
			width = (int)strlen(report->tasks[i].id);
	pa_buffer_printf(out, "%-*s %9s %9s %9s %9s %10s  %5s  %8s\n", width, "TASK", "START,", "REAL",
	                 "END,", "REAL", "READ", "FROM", "STALLED");
	pa_buffer_printf(out, "%-*s %9s %9s %9s %9s %10s %6s  %8s\n", width, "", "PREDICTED", "s",
	                 "PREDICTED", "s", "", "MEMORY", "s");
	for (size_t i = 0; i < report->task_count; i++)
		print_task(&report->tasks[i], width, out);
}

static void print_totals(const struct pa_comparison *comparison, struct pa_buffer *out)
{
	const struct pa_run_report *report = comparison->ahead;
	char ahead[32], demand[32], peak[32], quota[32];
	double error = pa_report_start_error(report);

	pa_buffer_printf(
	    out,
	    "\nmakespan %.1f s, stalled %.2f s; loaded ahead %s, on demand %s; memory at most %s of %s\n",
	    report->makespan_s, report->stall_s,
	    pa_units_format_bytes(report->ahead_bytes, ahead, sizeof(ahead)),
	    pa_units_format_bytes(report->demand_bytes, demand, sizeof(demand)),
	    pa_units_format_bytes(report->peak_bytes, peak, sizeof(peak)),
	    pa_units_format_bytes(report->quota_bytes, quota, sizeof(quota)));
	if (isnan(error))
		return;
	pa_buffer_printf(out, "predicted starts were off by %.1f%% of the makespan on average", 100 * error);
	if (!isnan(comparison->previous_start_error))
		pa_buffer_printf(out, "; in the run before, by %.1f%%",
		                 100 * comparison->previous_start_error);
	pa_buffer_puts(out, "\n");
}

/* What the tasks did besides waiting for bytes, all together: where it differs from way to way, so does the stall by
 * wall clock, though no byte was late. */
static double work_s(const struct pa_run_report *report)
{
	double sum_s = 0;

	for (size_t i = 0; i < report->task_count; i++) {
		const struct pa_run_task *task = &report->tasks[i];
		if (!isnan(task->start_s) && !isnan(task->end_s))
			sum_s += task->end_s - task->start_s - task->stall_s;
	}
	return sum_s;
}

static void print_row(const char *name, const struct pa_run_report *report, const struct pa_run_report *local,
                      struct pa_buffer *out)
{
	double stall_s = pa_report_stall_s(report, local);
	double cold_s = report == local ? 0 : pa_report_cold_start_s(report);

	pa_buffer_printf(out, "%-20s %10.1f %10.2f %12.2f %12.2f %10.2f\n", name, report->makespan_s, stall_s,
	                 cold_s, fmax(0, stall_s - cold_s), work_s(report));
}

static void print_comparison(const struct pa_comparison *comparison, struct pa_buffer *out)
{
	const struct pa_run_report *ahead = comparison->ahead;
	const struct pa_run_report *without = comparison->without;
	const struct pa_run_report *local = comparison->local;
	double stall_s = pa_report_stall_s(ahead, local) - pa_report_cold_start_s(ahead);
	double without_s = pa_report_stall_s(without, local) - pa_report_cold_start_s(without);
	char rate[32], cap[32];

	pa_buffer_printf(out, "\n%-20s %10s %10s %12s %12s %10s\n", "", "MAKESPAN s", "STALL s",
	                 "COLD START s", "THE REST s", "WORK s");
	print_row("without pipeahead", without, local, out);
	print_row("with pipeahead", ahead, local, out);
	print_row("all data local", local, local, out);
	pa_buffer_printf(out, "\n%-20s %10s %10s\n", "STALLED, BY TASK s", "WITHOUT", "WITH");
	for (size_t i = 0; i < ahead->task_count; i++)
		pa_buffer_printf(out, "%-20s %10.2f %10.2f\n", ahead->tasks[i].id, without->tasks[i].stall_s,
		                 ahead->tasks[i].stall_s);
	if (without_s > 0)
		pa_buffer_printf(out, "\nafter the cold start, %.1f%% of the stall is left\n",
		                 100 * fmax(0, stall_s) / without_s);
	if (without->sequential_bps > 0)
		pa_buffer_printf(
		    out, "without pipeahead a sequential reader gets %s of the source's %s (%.1f%%)\n",
		    pa_units_format_rate(without->sequential_bps, rate, sizeof(rate)),
		    pa_units_format_rate(without->cap_bps, cap, sizeof(cap)),
		    100 * without->sequential_bps / without->cap_bps);
	pa_buffer_puts(out, "outputs of both: ");
	if (pa_report_outputs_equal(ahead, without, out))
		pa_buffer_printf(out, "%zu, equal byte for byte", ahead->output_count);
	pa_buffer_puts(out, "\n");
}

void pa_report_print_table(const struct pa_comparison *comparison, struct pa_buffer *out)
{
	const struct pa_run_report *report = comparison->ahead;

	pa_buffer_puts(out, "\n");
	print_tasks(report, out);
	print_totals(comparison, out);
	if (report->slowed)
		pa_buffer_printf(out, "%s\n", report->slowed_text);
	if (comparison->without != NULL && comparison->local != NULL)
		print_comparison(comparison, out);
	if (strcmp(report->outcome, "succeeded") != 0)
		pa_buffer_printf(out, "%s: %s\n", report->outcome, report->message);
}

/* --- JSON --- */

static json_t *number(double value)
{
	return isfinite(value) ? json_real(round(value * 1e6) / 1e6) : json_null();
}

/* Messages may hold names that are any bytes, or be cut within a character: what is no text then becomes '?'. */
static json_t *text(const char *bytes)
{
	json_t *value = json_string(bytes);
	char *copy = value == NULL ? strdup(bytes) : NULL;

	if (value != NULL)
		return value;
	if (copy == NULL)
		abort();
	for (char *at = copy; *at != '\0'; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	value = json_string(copy);
	free(copy);
	return value;
}

static json_t *tasks_to_json(const struct pa_run_report *report)
{
	json_t *tasks = json_array();

	for (size_t i = 0; i < report->task_count; i++) {
		const struct pa_run_task *task = &report->tasks[i];
		json_array_append_new(
		    tasks,
		    json_pack("{s:o, s:s, s:i, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:s}", "id",
		              text(task->id), "outcome", task->outcome, "instances", (int)task->instances,
		              "start_s", number(task->start_s), "end_s", number(task->end_s),
		              "predicted_start_s", number(task->predicted_start_s), "predicted_end_s",
		              number(task->predicted_end_s), "read_bytes", (json_int_t)task->read_bytes,
		              "memory_bytes", (json_int_t)task->memory_bytes, "written_bytes",
		              (json_int_t)task->written_bytes, "stall_s", number(task->stall_s), "verdict",
		              task->verdict));
	}
	return tasks;
}

static json_t *run_to_json(const struct pa_run_report *report, const struct pa_run_report *local)
{
	return json_pack("{s:o, s:o, s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "makespan_s",
	                 number(report->makespan_s), "stall_s", number(pa_report_stall_s(report, local)),
	                 "cold_start_s", number(pa_report_cold_start_s(report)), "outcome", report->outcome,
	                 "message", text(report->message), "fetched_bytes", (json_int_t)report->fetched_bytes,
	                 "ahead_bytes", (json_int_t)report->ahead_bytes, "demand_bytes",
	                 (json_int_t)report->demand_bytes, "evicted_bytes", (json_int_t)report->evicted_bytes,
	                 "peak_memory_bytes", (json_int_t)report->peak_bytes, "memory_limit_bytes",
	                 (json_int_t)report->quota_bytes, "tasks", tasks_to_json(report));
}

void pa_report_print_json(const struct pa_comparison *comparison, struct pa_buffer *out)
{
	const struct pa_run_report *ahead = comparison->ahead;
	json_t *root = run_to_json(ahead, comparison->local);

	json_object_set_new(root, "start_error", number(pa_report_start_error(ahead)));
	json_object_set_new(root, "previous_start_error", number(comparison->previous_start_error));
	if (ahead->slowed)
		json_object_set_new(root, "slowed", text(ahead->slowed_text));
	if (comparison->without != NULL && comparison->local != NULL) {
		json_t *without = run_to_json(comparison->without, comparison->local);
		json_object_set_new(without, "sequential_bytes_per_second",
		                    number(comparison->without->sequential_bps));
		json_object_set_new(without, "cap_bytes_per_second", number(comparison->without->cap_bps));
		json_object_set_new(root, "without", without);
		json_object_set_new(root, "local_makespan_s", number(comparison->local->makespan_s));
		json_object_set_new(root, "outputs_equal",
		                    json_boolean(pa_report_outputs_equal(ahead, comparison->without, NULL)));
		json_object_set_new(root, "outputs", json_integer((json_int_t)ahead->output_count));
	}
	char *dumped = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	pa_buffer_puts(out, dumped);
	pa_buffer_puts(out, "\n");
	free(dumped);
	json_decref(root);
}
