/* SPDX-License-Identifier: Apache-2.0 */
/* Times and bytes per task, the stall of the whole, and what of it goes into the catalog. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "run/run_internal.h"

static const char *outcome_name(enum pa_outcome outcome)
{
	static const char *const names[] = {
	    [PA_OUTCOME_PENDING] = "pending",     [PA_OUTCOME_RUNNING] = "running", [PA_OUTCOME_SUCCEEDED] = "succeeded",
	    [PA_OUTCOME_FAILED] = "failed",       [PA_OUTCOME_ERROR] = "error",     [PA_OUTCOME_SKIPPED] = "skipped",
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

	if (isnan(instance->start_s))
		return;
	task->instances++;
	task->ready_s = isnan(task->ready_s) ? instance->ready_s : fmin(task->ready_s, instance->ready_s);
	task->start_s = isnan(task->start_s) ? instance->start_s : fmin(task->start_s, instance->start_s);
	task->end_s = isnan(task->end_s) ? instance->end_s : fmax(task->end_s, instance->end_s);
	task->stall_s += stall_of(instance);
	task->memory_bytes += instance->account.memory_bytes;
	task->read_bytes += instance->account.memory_bytes + instance->account.source_bytes;
	task->written_bytes += instance->account.written_bytes;
	task->input_bytes += instance->account.memory_bytes + instance->account.source_bytes + instance->artifact_bytes;
	report->spans =
	    pa_arena_grow(&report->arena, report->spans, report->span_count, &run->span_capacity, sizeof(*report->spans));
	report->spans[report->span_count++] = (struct pa_run_span){
	    .task = instance->task,
	    .suffix = pa_arena_strdup(&report->arena, instance->instance->suffix),
	    .ready_s = instance->ready_s,
	    .start_s = instance->start_s,
	    .end_s = isnan(instance->end_s) ? report->makespan_s : instance->end_s,
	    .stall_s = stall_of(instance),
	};
}

/* One execution as a task of the timeline: after every execution of the tasks that come before. */
static void fill_timeline_task(struct pa_run *run, const struct pa_run_span *span,
                               struct pa_timeline_task *ret)
{
	const struct pa_run_report *report = run->report;
	const struct pa_task *task = &run->options->pipeline->tasks[span->task];
	uint32_t *after = pa_arena_array(&run->arena, report->span_count, sizeof(*after));
	size_t count = 0;

	for (uint32_t i = 0; i < report->span_count; i++) {
		const char *id = report->tasks[report->spans[i].task].id;
		/* What ended after this one was ready (another branch, a later turn of a recursion) was not waited for. */
		if (report->spans[i].end_s > span->ready_s)
			continue;
		for (size_t a = 0; a < task->after_count; a++)
			if (strcmp(task->after[a], id) == 0)
				after[count++] = i;
	}
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

	for (size_t i = 0; i < report->span_count; i++)
		fill_timeline_task(run, &report->spans[i], &tasks[i]);
	if (report->span_count == 0 || pa_timeline_run(&run->arena, &input, &result, &ignored) < 0)
		return report->makespan_s;
	return result.makespan_s;
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

int pa_run_report_store(const struct pa_run_report *report, struct pa_catalog *catalog, int64_t pipeline_id,
                        struct pa_error *err)
{
	struct pa_task_run *tasks = calloc(report->task_count + 1, sizeof(*tasks));
	int64_t run_id;

	if (tasks == NULL)
		abort();
	for (size_t i = 0; i < report->task_count; i++) {
		const struct pa_run_task *task = &report->tasks[i];
		tasks[i] = (struct pa_task_run){
		    .task_id = task->id,
		    .instance = "",
		    .outcome = task->outcome,
		    .ready_s = task->ready_s,
		    .start_s = task->start_s,
		    .end_s = task->end_s,
		    .predicted_start_s = task->predicted_start_s,
		    .predicted_end_s = task->predicted_end_s,
		    .stall_s = task->stall_s,
		    .read_bytes = task->read_bytes,
		    .memory_bytes = task->memory_bytes,
		    .written_bytes = task->written_bytes,
		    .input_bytes = task->input_bytes,
		};
	}
	struct pa_run_record record = {
	    .mode = pa_run_mode_name(report->mode),
	    .outcome = report->outcome,
	    .started_wall_ms = report->started_wall_ms,
	    .makespan_s = report->makespan_s,
	    .stall_s = report->stall_s,
	    .tasks = tasks,
	    .task_count = report->task_count,
	    .profile = report->mode == PA_RUN_LOCAL ? NULL : report->profile,
	    .profile_count = report->mode == PA_RUN_LOCAL ? 0 : report->profile_count,
	};
	int result = pa_catalog_store_run(catalog, pipeline_id, &record, &run_id, err);
	free(tasks);
	return result;
}
