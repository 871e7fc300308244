/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline/timeline_internal.h"

#include <math.h>

#include "base/error.h"

static bool is_amount(double value)
{
	return value >= 0 && value < INFINITY;
}

static int check_task(const struct pa_timeline_input *input, size_t index, struct pa_error *err)
{
	const struct pa_timeline_task *task = &input->tasks[index];
	if (!is_amount(task->duration_s) || !is_amount(task->not_before_s) || isnan(task->priority))
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "task %zu: duration %g s, not before %g s, priority %g: durations and times "
		    "must be finite and not negative, priorities numbers",
		    index, task->duration_s, task->not_before_s, task->priority);
	if (isinf(task->started_s) || task->started_s > 0 || isinf(task->ended_s) || task->ended_s > 0)
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "task %zu: it started at %g s and ended at %g s: what has happened lies at or "
		    "before 0",
		    index, task->started_s, task->ended_s);
	for (size_t i = 0; i < task->after_count; i++) {
		if (task->after[i] >= input->task_count)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "task %zu comes after task %u: there are only %zu tasks", index,
			                    task->after[i], input->task_count);
	}
	for (size_t i = 0; i < task->read_count; i++) {
		if (task->reads[i] >= input->extent_count)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "task %zu reads extent %u: there are only %zu extents", index,
			                    task->reads[i], input->extent_count);
	}
	return 0;
}

static int check_data(const struct pa_timeline_input *input, struct pa_error *err)
{
	for (size_t i = 0; i < input->link_count; i++) {
		const struct pa_timeline_link *link = &input->links[i];
		if (!(link->bytes_per_second > 0) || !is_amount(link->latency_s))
			return pa_error_set(
			    err, PA_ERROR_INPUT,
			    "link %zu: %g bytes/s with %g s latency: the rate must be positive and the "
			    "latency finite and not negative",
			    i, link->bytes_per_second, link->latency_s);
	}
	for (size_t i = 0; i < input->extent_count; i++) {
		if (input->extents[i].link >= input->link_count)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "extent %zu is on link %u: there are only %zu links", i,
			                    input->extents[i].link, input->link_count);
	}
	for (size_t i = 0; i < input->transfer_count; i++) {
		const struct pa_timeline_transfer *transfer = &input->transfers[i];
		if (transfer->extent >= input->extent_count || !is_amount(transfer->not_before_s) ||
		    isnan(transfer->order))
			return pa_error_set(
			    err, PA_ERROR_INPUT,
			    "transfer %zu: extent %u of %zu, not before %g s, order %g: name an extent "
			    "that exists, a finite time and a number",
			    i, transfer->extent, input->extent_count, transfer->not_before_s,
			    transfer->order);
	}
	return 0;
}

int pa_timeline_check(const struct pa_timeline_input *input, struct pa_error *err)
{
	if (input->slots == 0)
		return pa_error_set(err, PA_ERROR_INPUT, "no slots: at least one task must be able to run");
	if (!(input->memory_bytes >= 0))
		return pa_error_set(err, PA_ERROR_INPUT, "memory of %g bytes: give 0 or more",
		                    input->memory_bytes);
	if (input->task_count > INT32_MAX || input->extent_count > INT32_MAX ||
	    input->transfer_count > INT32_MAX)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%zu tasks, %zu extents, %zu transfers: the limit for each is %d",
		                    input->task_count, input->extent_count, input->transfer_count, INT32_MAX);
	for (size_t i = 0; i < input->task_count; i++) {
		int failed = check_task(input, i, err);
		if (failed)
			return failed;
	}
	return check_data(input, err);
}
