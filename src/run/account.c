/* SPDX-License-Identifier: Apache-2.0 */
/* Times and bytes per task, the stall of the whole, and what of it goes into the catalog. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "forecast/graph.h"
#include "run/run_internal.h"

/* Of the executions of one task that another has waited for, so many that ended last: with thousands on both sides, all
 * would be too many, and which of them ended last does not hang on those before. */
#define MOST_AFTER 64

static const char *outcome_name(enum pa_outcome outcome)
{
	static const char *const names[] = {
	    [PA_OUTCOME_PENDING] = "pending",     [PA_OUTCOME_RUNNING] = "running",
	    [PA_OUTCOME_SUCCEEDED] = "succeeded", [PA_OUTCOME_FAILED] = "failed",
	    [PA_OUTCOME_ERROR] = "error",         [PA_OUTCOME_SKIPPED] = "skipped",
	    [PA_OUTCOME_OMITTED] = "omitted",
	};
	return names[outcome];
}

static double stall_of(const struct run_instance *instance)
{
	return (double)instance->account.stalled_ns / PA_NS_PER_SECOND;
}

static void add_instance(struct pa_run *run, const struct run_instance *instance)
{
	struct pa_run_report *report = run->report;
	struct pa_run_task *task = &report->tasks[instance->task];
	uint64_t read_bytes = instance->account.memory_bytes + instance->account.source_bytes;

	if (isnan(instance->start_s))
		return;
	task->instances++;
	task->ready_s = isnan(task->ready_s) ? instance->ready_s : fmin(task->ready_s, instance->ready_s);
	task->start_s = isnan(task->start_s) ? instance->start_s : fmin(task->start_s, instance->start_s);
	task->end_s = isnan(task->end_s) ? instance->end_s : fmax(task->end_s, instance->end_s);
	task->stall_s += stall_of(instance);
	task->memory_bytes += instance->account.memory_bytes;
	task->read_bytes += read_bytes;
	task->written_bytes += instance->account.written_bytes;
	task->input_bytes += read_bytes + instance->artifact_bytes;
	report->spans = pa_arena_grow(&report->arena, report->spans, report->span_count, &run->span_capacity,
	                              sizeof(*report->spans));
	report->spans[report->span_count++] = (struct pa_run_span){
	    .task = instance->task,
	    .suffix = pa_arena_strdup(&report->arena, instance->instance->suffix),
	    .outcome = outcome_name(instance->ended ? instance->outcome : PA_OUTCOME_RUNNING),
	    .attempt = instance->instance->attempt,
	    .ready_s = instance->ready_s,
	    .start_s = instance->start_s,
	    .end_s = isnan(instance->end_s) ? report->makespan_s : instance->end_s,
	    .stall_s = stall_of(instance),
	    .read_bytes = read_bytes,
	    .memory_bytes = instance->account.memory_bytes,
	    .written_bytes = instance->account.written_bytes,
	    .input_bytes = read_bytes + instance->artifact_bytes,
	};
}

/* The spans of each task, by when they ended. */
struct span_groups {
	uint32_t *spans;
	size_t *begin; /* per task, and one past the last */
	struct pa_names names;
};

static int compare_ends(const void *a, const void *b, void *context)
{
	const struct pa_run_span *spans = context;
	const struct pa_run_span *left = &spans[*(const uint32_t *)a], *right = &spans[*(const uint32_t *)b];

	return (left->end_s > right->end_s) - (left->end_s < right->end_s);
}

static void group_spans(struct pa_run *run, struct span_groups *groups)
{
	const struct pa_run_report *report = run->report;

	groups->spans = pa_arena_array(&run->arena, report->span_count, sizeof(*groups->spans));
	groups->begin = pa_arena_array(&run->arena, report->task_count + 2, sizeof(*groups->begin));
	pa_names_init(&run->arena, &groups->names, report->task_count);
	for (size_t i = 0; i < report->task_count; i++)
		pa_names_add(&groups->names, report->tasks[i].id);
	for (size_t i = 0; i < report->span_count; i++)
		groups->begin[report->spans[i].task + 2]++;
	for (size_t i = 2; i < report->task_count + 2; i++)
		groups->begin[i] += groups->begin[i - 1];
	for (uint32_t i = 0; i < report->span_count; i++)
		groups->spans[groups->begin[report->spans[i].task + 1]++] = i;
	for (size_t i = 0; i < report->task_count; i++)
		qsort_r(&groups->spans[groups->begin[i]], groups->begin[i + 1] - groups->begin[i],
		        sizeof(*groups->spans), compare_ends, report->spans);
}

/* Adds the spans of a task that this one can have waited for: the last ones that had ended when it was ready.  What
 * ended later (another branch, a later turn of a recursion) was not waited for. */
static size_t add_after(const struct pa_run_report *report, const struct span_groups *groups, uint32_t task,
                        double ready_s, size_t most, uint32_t *after)
{
	size_t low = groups->begin[task], high = groups->begin[task + 1], count = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (report->spans[groups->spans[middle]].end_s <= ready_s)
			low = middle + 1;
		else
			high = middle;
	}
	while (low > groups->begin[task] && count < most)
		after[count++] = groups->spans[--low];
	return count;
}

/* One execution as a task of the timeline: after the executions of the tasks that come before, and a retry after the
 * attempt before it. */
static void fill_timeline_task(struct pa_run *run, const struct span_groups *groups,
                               const struct pa_run_span *span, struct pa_timeline_task *ret)
{
	const struct pa_run_report *report = run->report;
	const struct pa_task *task = &run->options->pipeline->tasks[span->task];
	uint32_t *after = pa_arena_array(&run->arena, task->after_count * MOST_AFTER + 1, sizeof(*after));
	size_t count = 0;

	for (size_t i = 0; i < task->after_count; i++) {
		uint32_t before = pa_names_find(&groups->names, task->after[i]);
		if (before != PA_NAMES_NONE)
			count += add_after(report, groups, before, span->ready_s, MOST_AFTER, after + count);
	}
	if (span->attempt > 0)
		count += add_after(report, groups, span->task, span->ready_s, 1, after + count);
	double duration_s = span->end_s - span->start_s - span->stall_s;
	*ret = (struct pa_timeline_task){.after = after,
	                                 .after_count = count,
	                                 .duration_s = fmax(duration_s, 0),
	                                 .started_s = NAN,
	                                 .ended_s = NAN,
	                                 .priority = span->start_s};
}

/* The makespan of the same executions without their stalls. */
static double makespan_without_stalls(struct pa_run *run)
{
	struct pa_run_report *report = run->report;
	struct pa_timeline_task *tasks = pa_arena_array(&run->arena, report->span_count, sizeof(*tasks));
	struct pa_timeline_input input = {
	    .tasks = tasks, .task_count = report->span_count, .slots = run->slots, .memory_bytes = INFINITY};
	struct pa_timeline_result result;
	struct pa_error ignored = PA_ERROR_INIT;
	struct span_groups groups;

	if (report->span_count == 0)
		return report->makespan_s;
	group_spans(run, &groups);
	for (size_t i = 0; i < report->span_count; i++)
		fill_timeline_task(run, &groups, &report->spans[i], &tasks[i]);
	return pa_timeline_run(&run->arena, &input, &result, &ignored) < 0 ? report->makespan_s
	                                                                   : result.makespan_s;
}

void run_account(struct pa_run *run)
{
	struct pa_run_report *report = run->report;
	const struct pa_pipeline *pipeline = run->options->pipeline;

	for (size_t i = 0; i < run->instance_count; i++)
		add_instance(run, run->instances[i]);
	for (size_t i = 0; i < pipeline->task_count; i++) {
		struct pa_engine_task_state state;
		pa_engine_task_state(run->engine, pipeline->tasks[i].id, &state);
		report->tasks[i].outcome = outcome_name(state.outcome);
		report->tasks[i].cold = pipeline->tasks[i].after_count == 0;
	}
	report->stall_s = fmax(0, report->makespan_s - makespan_without_stalls(run));
}

/* Rows for the catalog: one per execution, and one for each task that never ran. */
static struct pa_task_run *make_rows(const struct pa_run_report *report, size_t *ret_count)
{
	struct pa_task_run *rows = calloc(report->task_count + report->span_count + 1, sizeof(*rows));
	bool *ran = calloc(report->task_count + 1, sizeof(*ran));
	size_t count = 0;

	if (rows == NULL || ran == NULL)
		abort();
	for (size_t i = 0; i < report->span_count; i++) {
		const struct pa_run_span *span = &report->spans[i];
		const struct pa_run_task *task = &report->tasks[span->task];
		/* What was predicted of the task is held against its first execution. */
		bool first = !ran[span->task] && span->start_s <= task->start_s;
		ran[span->task] |= first;
		rows[count++] = (struct pa_task_run){
		    .task_id = task->id,
		    .instance = span->suffix,
		    .outcome = span->outcome,
		    .ready_s = span->ready_s,
		    .start_s = span->start_s,
		    .end_s = span->end_s,
		    .predicted_start_s = first ? task->predicted_start_s : NAN,
		    .predicted_end_s = first ? task->predicted_end_s : NAN,
		    .stall_s = span->stall_s,
		    .read_bytes = span->read_bytes,
		    .memory_bytes = span->memory_bytes,
		    .written_bytes = span->written_bytes,
		    .input_bytes = span->input_bytes,
		};
	}
	for (size_t i = 0; i < report->task_count; i++)
		if (!ran[i])
			rows[count++] =
			    (struct pa_task_run){.task_id = report->tasks[i].id,
			                         .instance = "",
			                         .outcome = report->tasks[i].outcome,
			                         .ready_s = NAN,
			                         .start_s = NAN,
			                         .end_s = NAN,
			                         .predicted_start_s = report->tasks[i].predicted_start_s,
			                         .predicted_end_s = report->tasks[i].predicted_end_s};
	free(ran);
	*ret_count = count;
	return rows;
}

int pa_run_report_store(const struct pa_run_report *report, struct pa_catalog *catalog, int64_t pipeline_id,
                        struct pa_error *err)
{
	struct pa_run_record record = {
	    .mode = pa_run_mode_name(report->mode),
	    .outcome = report->outcome,
	    .started_wall_ms = report->started_wall_ms,
	    .makespan_s = report->makespan_s,
	    .stall_s = report->stall_s,
	    .profile = report->mode == PA_RUN_LOCAL ? NULL : report->profile,
	    .profile_count = report->mode == PA_RUN_LOCAL ? 0 : report->profile_count,
	};
	struct pa_task_run *rows = make_rows(report, &record.task_count);
	int64_t run_id;

	record.tasks = rows;
	int result = pa_catalog_store_run(catalog, pipeline_id, &record, &run_id, err);
	free(rows);
	for (size_t i = 0; i < report->source_count && result == 0; i++)
		result = pa_catalog_store_source(catalog, &report->sources[i], err);
	for (size_t i = 0; i < report->manifest_count && result == 0; i++)
		result = pa_catalog_store_manifest(catalog, &report->manifests[i], err);
	return result;
}
