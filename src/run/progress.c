/* SPDX-License-Identifier: Apache-2.0 */
/* What the user sees while a run goes on: plain lines, and on a terminal a block below them that is drawn anew. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "run/run_internal.h"

#define DRAW_INTERVAL_NS (200 * PA_NS_PER_MS)
#define MAX_DRAWN_TASKS  20

static FILE *stream(const struct pa_run *run)
{
	return run->options->log_to_stderr ? stderr : stdout;
}

void run_progress_clear(struct pa_run *run)
{
	if (run->drawn_lines > 0)
		fprintf(stream(run), "\033[%uA\033[J", run->drawn_lines);
	run->drawn_lines = 0;
}

/* What an instance is called: its task, and which of several it is. */
static void print_name(FILE *out, const struct run_instance *instance)
{
	fprintf(out, "%s%s", instance->instance->task_id, instance->instance->suffix);
}

void run_progress_plan(struct pa_run *run)
{
	FILE *out = stream(run);
	char start[32];

	if (run->options->quiet)
		return;
	if (run->report->slowed)
		fprintf(out, "  %s\n", run->report->slowed_text);
	for (size_t i = 0; i < run->report->task_count; i++) {
		const struct pa_run_task *task = &run->report->tasks[i];
		fprintf(out, "  plan: %s starts at about %s, data: %s\n", task->id,
		        pa_units_format_seconds(task->predicted_start_s, start, sizeof(start)),
		        task->verdict);
	}
	fflush(out);
}

void run_progress_event(struct pa_run *run, const struct run_instance *instance, const char *what)
{
	FILE *out = stream(run);

	if (run->options->quiet)
		return;
	run_progress_clear(run);
	fprintf(out, "%7.1f s  ", run_now_s(run));
	print_name(out, instance);
	fprintf(out, ": %s\n", what);
	fflush(out);
}

void run_progress_line(struct pa_run *run, const struct run_instance *instance, const char *text)
{
	FILE *out = stream(run);

	if (run->options->quiet)
		return;
	run_progress_clear(run);
	fprintf(out, "           ");
	print_name(out, instance);
	fprintf(out, " | %s\n", text);
	fflush(out);
}

/* Bytes that the task's reads still lack, by the present plan. */
static void missing_bytes(const struct pa_run *run, uint32_t task, uint64_t *ret_missing, uint64_t *ret_total)
{
	const struct pa_plan_input *input = &run->planning.plan_input;

	*ret_missing = *ret_total = 0;
	for (size_t i = 0; run->has_plan && i < input->read_count; i++) {
		const struct pa_plan_extent *extent = &input->extents[input->reads[i].extent];
		struct pa_extent range = {.path = extent->path,
		                          .offset_bytes = extent->offset_bytes,
		                          .length_bytes = extent->bytes};
		uint64_t resident_bytes = extent->bytes, total_bytes;
		if (input->reads[i].task != task)
			continue;
		struct run_data_set *set =
		    run_data_find((struct pa_run *)(uintptr_t)run, input->data_sets[extent->data_set].name);
		if (set->opened != NULL && resident_bytes > 0)
			pa_data_set_residency(set->opened, &range, &resident_bytes, &total_bytes);
		*ret_total += extent->bytes;
		*ret_missing += extent->bytes > resident_bytes ? extent->bytes - resident_bytes : 0;
	}
}

static double rate_bps(const struct pa_run *run)
{
	const struct pa_run_report *report = run->report;
	size_t newest = report->sample_count, oldest;

	if (newest < 2)
		return 0;
	newest--;
	oldest = newest > 20 ? newest - 20 : 0;
	double seconds = report->samples[newest].at_s - report->samples[oldest].at_s;
	return seconds > 0
	           ? (double)(report->samples[newest].fetched_bytes - report->samples[oldest].fetched_bytes) /
	                 seconds
	           : 0;
}

static const char *task_state(const struct pa_run *run, uint32_t task)
{
	const char *state = "waiting";

	for (size_t i = 0; i < run->instance_count; i++) {
		const struct run_instance *instance = run->instances[i];
		if (instance->task != task)
			continue;
		if (instance->sandbox != NULL)
			return "running";
		state = instance->ended ? "done" : "ready";
	}
	return state;
}

static void draw_task(struct pa_run *run, uint32_t task)
{
	FILE *out = stream(run);
	const char *state = task_state(run, task);
	uint64_t missing, total;
	char done_text[32], total_text[32], eta_text[32];

	fprintf(out, "  %-32.32s %-8s", run->report->tasks[task].id, state);
	if (strcmp(state, "done") != 0 && run->options->mode == PA_RUN_AHEAD) {
		missing_bytes(run, task, &missing, &total);
		double rate = rate_bps(run);
		if (total > 0)
			fprintf(out, "  data %s of %s",
			        pa_units_format_bytes(total - missing, done_text, sizeof(done_text)),
			        pa_units_format_bytes(total, total_text, sizeof(total_text)));
		if (missing > 0 && rate > 0)
			fprintf(out, ", %s left",
			        pa_units_format_seconds((double)missing / rate, eta_text, sizeof(eta_text)));
	}
	fprintf(out, "\n");
}

void run_progress_tick(struct pa_run *run)
{
	int64_t now_ns = pa_clock_ns();

	if (run->options->quiet || !run->options->terminal || now_ns - run->drawn_ns < DRAW_INTERVAL_NS)
		return;
	run->drawn_ns = now_ns;
	run_progress_clear(run);
	for (uint32_t i = 0; i < run->report->task_count && i < MAX_DRAWN_TASKS; i++) {
		draw_task(run, i);
		run->drawn_lines++;
	}
	fflush(stream(run));
}
