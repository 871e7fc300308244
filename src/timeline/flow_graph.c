/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline/flow.h"

#include <math.h>

#include "base/arena.h"
#include "base/error.h"

static int check_files(const struct pa_flow *flow, struct pa_error *err)
{
	for (uint32_t i = 0; i < flow->link_count; i++) {
		const struct pa_flow_link *link = &flow->links[i];
		if (!(link->bytes_per_second > 0) || !(link->latency_s >= 0) || isinf(link->latency_s))
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "link %u: %g bytes/s, %g s latency; give a rate above 0 and a "
			                    "finite latency",
			                    i, link->bytes_per_second, link->latency_s);
	}
	for (uint32_t i = 0; i < flow->file_count; i++) {
		const struct pa_flow_file *file = &flow->files[i];
		if (file->link >= flow->link_count || file->resident_chunks > file->chunks ||
		    (file->chunks == 0) != (file->bytes == 0))
			return pa_error_set(
			    err, PA_ERROR_INPUT,
			    "file %u: link %u of %u, %u of %u chunks resident, %ju bytes; the link must be "
			    "there, and only an empty file has no chunks",
			    i, file->link, flow->link_count, file->resident_chunks, file->chunks,
			    (uintmax_t)file->bytes);
	}
	return 0;
}

static int check_indices(const uint32_t *indices, size_t count, uint32_t limit, uint32_t task,
                         const char *what, struct pa_error *err)
{
	for (size_t i = 0; i < count; i++) {
		if (indices[i] >= limit)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "task %u %s %u: there are only %u; name one that exists", task,
			                    what, indices[i], limit);
	}
	return 0;
}

static int check_tasks(const struct pa_flow *flow, struct pa_error *err)
{
	size_t reads = 0;
	int failed = 0;
	for (uint32_t i = 0; i < flow->task_count && !failed; i++) {
		const struct pa_flow_task *task = &flow->tasks[i];
		if (!(task->duration_s >= 0) || isinf(task->duration_s) || !(task->not_before_s >= 0) ||
		    task->started_s > 0)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "task %u: duration %g s, not before %g s, started %g s; give "
			                    "finite times, starts not after now",
			                    i, task->duration_s, task->not_before_s, task->started_s);
		failed =
		    check_indices(task->after, task->after_count, flow->task_count, i, "is after task", err);
		if (!failed)
			failed = check_indices(task->reads, task->read_count, flow->file_count, i,
			                       "reads file", err);
		if (!failed)
			failed = check_indices(task->writes, task->write_count, flow->file_count, i,
			                       "writes file", err);
		reads += task->read_count;
	}
	if (!failed && reads > INT32_MAX)
		return pa_error_set(err, PA_ERROR_INPUT, "the tasks read %zu files in all; at most %d", reads,
		                    INT32_MAX);
	return failed;
}

static int order_tasks(struct pa_arena *arena, struct pa_flow_graph *graph, struct pa_error *err)
{
	const struct pa_flow *flow = graph->flow;
	uint32_t count = flow->task_count, found = 0;
	uint32_t *left = pa_arena_array(arena, count, sizeof(*left));
	uint32_t *begin = pa_arena_array(arena, (size_t)count + 2, sizeof(*begin));
	for (uint32_t i = 0; i < count; i++)
		for (size_t j = 0; j < flow->tasks[i].after_count; j++)
			begin[flow->tasks[i].after[j] + 2]++;
	for (uint32_t i = 2; i < count + 2; i++)
		begin[i] += begin[i - 1];
	/* Counting sort: begin[i + 1] is where the next successor of i goes, at last where i + 1 begins. */
	graph->successors = pa_arena_array(arena, begin[count + 1], sizeof(*graph->successors));
	for (uint32_t i = 0; i < count; i++)
		for (size_t j = 0; j < flow->tasks[i].after_count; j++)
			graph->successors[begin[flow->tasks[i].after[j] + 1]++] = i;
	graph->successor_begin = begin;
	graph->order = pa_arena_array(arena, count, sizeof(*graph->order));
	for (uint32_t i = 0; i < count; i++) {
		left[i] = (uint32_t)flow->tasks[i].after_count;
		if (left[i] == 0)
			graph->order[found++] = i;
	}
	for (uint32_t at = 0; at < found; at++)
		for (uint32_t i = begin[graph->order[at]]; i < begin[graph->order[at] + 1]; i++)
			if (--left[graph->successors[i]] == 0)
				graph->order[found++] = graph->successors[i];
	for (uint32_t i = 0; found < count && i < count; i++)
		if (left[i] > 0)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "task %u is on a cycle, or after one: tasks must form a DAG", i);
	return 0;
}

static void measure_paths(struct pa_arena *arena, struct pa_flow_graph *graph)
{
	const struct pa_flow *flow = graph->flow;
	graph->tail_s = pa_arena_array(arena, flow->task_count, sizeof(*graph->tail_s));
	graph->level = pa_arena_array(arena, flow->task_count, sizeof(*graph->level));
	for (uint32_t at = 0; at < flow->task_count; at++) {
		const struct pa_flow_task *task = &flow->tasks[graph->order[at]];
		uint32_t *level = &graph->level[graph->order[at]];
		for (size_t i = 0; i < task->after_count; i++)
			if (graph->level[task->after[i]] >= *level)
				*level = graph->level[task->after[i]] + 1;
	}
	for (uint32_t at = flow->task_count; at-- > 0;) {
		uint32_t task = graph->order[at];
		double longest_s = 0;
		for (uint32_t i = graph->successor_begin[task]; i < graph->successor_begin[task + 1]; i++)
			longest_s = fmax(longest_s, graph->tail_s[graph->successors[i]]);
		graph->tail_s[task] = longest_s + flow->tasks[task].duration_s;
	}
}

static void link_files(struct pa_arena *arena, struct pa_flow_graph *graph)
{
	const struct pa_flow *flow = graph->flow;
	uint32_t reads = 0;
	graph->read_begin = pa_arena_array(arena, (size_t)flow->task_count + 1, sizeof(uint32_t));
	graph->reader_begin = pa_arena_array(arena, (size_t)flow->file_count + 2, sizeof(uint32_t));
	graph->read_bytes = pa_arena_array(arena, flow->task_count, sizeof(double));
	graph->written = pa_arena_array(arena, flow->file_count, sizeof(bool));
	for (uint32_t i = 0; i < flow->task_count; i++) {
		const struct pa_flow_task *task = &flow->tasks[i];
		graph->read_begin[i] = reads;
		reads += (uint32_t)task->read_count;
		for (size_t j = 0; j < task->read_count; j++)
			graph->read_bytes[i] += (double)flow->files[task->reads[j]].bytes;
		for (size_t j = 0; isnan(task->ended_s) && j < task->read_count; j++)
			graph->reader_begin[task->reads[j] + 2]++;
		for (size_t j = 0; isnan(task->ended_s) && j < task->write_count; j++)
			graph->written[task->writes[j]] = true;
	}
	graph->read_begin[flow->task_count] = reads;
	for (uint32_t i = 2; i < flow->file_count + 2; i++)
		graph->reader_begin[i] += graph->reader_begin[i - 1];
	graph->readers = pa_arena_array(arena, reads, sizeof(*graph->readers));
	for (uint32_t i = 0; i < flow->task_count; i++)
		for (size_t j = 0; isnan(flow->tasks[i].ended_s) && j < flow->tasks[i].read_count; j++)
			graph->readers[graph->reader_begin[flow->tasks[i].reads[j] + 1]++] = i;
}

int pa_flow_graph_make(struct pa_arena *arena, const struct pa_flow *flow, struct pa_flow_graph *ret,
                       struct pa_error *err)
{
	struct pa_flow_graph graph = {.flow = flow};
	if (flow->slots == 0)
		return pa_error_set(err, PA_ERROR_INPUT, "there are no slots: give at least one");
	if (!(flow->memory_bytes >= 0))
		return pa_error_set(err, PA_ERROR_INPUT, "memory of %g bytes: give 0 or more",
		                    flow->memory_bytes);
	int failed = check_files(flow, err);
	if (!failed)
		failed = check_tasks(flow, err);
	if (!failed)
		failed = order_tasks(arena, &graph, err);
	if (failed)
		return failed;
	measure_paths(arena, &graph);
	link_files(arena, &graph);
	*ret = graph;
	return 0;
}

struct pa_flow pa_flow_local(struct pa_arena *arena, const struct pa_flow *flow)
{
	struct pa_flow local = *flow;
	struct pa_flow_task *tasks = pa_arena_array(arena, flow->task_count, sizeof(*tasks));
	for (uint32_t i = 0; i < flow->task_count; i++) {
		tasks[i] = flow->tasks[i];
		tasks[i].read_count = tasks[i].write_count = 0;
	}
	local.tasks = tasks;
	local.file_count = local.link_count = 0;
	return local;
}

uint32_t pa_flow_chunks(uint64_t bytes, uint64_t chunk_bytes)
{
	uint64_t count = bytes / chunk_bytes + (bytes % chunk_bytes > 0);
	return count > INT32_MAX ? INT32_MAX : (uint32_t)count;
}
