/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "plan/portfolio.h"

/* Reads looked at for cuts, in all; tasks beyond that have none, which leaves the bound true. */
#define MOST_STEPS 30000000

struct bounder {
	const struct pa_flow_graph *graph;
	struct pa_arena *arena;
	double bytes_per_second; /* of all links together */
	double chunk_bytes;      /* on their way at once, at most */
	double *cold_bytes;      /* per file: not in memory, and no task makes it */
	double *work_s;          /* per task: its time, and that of input that memory cannot hold */
	double *head_s;          /* per task: no earlier end */
	double *tail_s;          /* per task: from when its data is there to the end of all */
	uint32_t *by_tail;       /* longest first */
	uint32_t *by_behind;     /* the same without the task's own time */
	uint32_t *mark;          /* per task: by whom it was last reached */
	uint32_t *file_mark;     /* per file: for whom it was last counted */
	uint32_t *writer_mark;   /* per file: for whom it is known to exist */
	uint32_t *stack;
	size_t steps;
};

struct keyed {
	double key;
	uint32_t task;
};

static int compare_keyed(const void *left, const void *right)
{
	const struct keyed *a = left, *b = right;
	if (a->key != b->key)
		return a->key > b->key ? -1 : 1;
	return (a->task > b->task) - (a->task < b->task);
}

static void measure(struct bounder *bounder)
{
	const struct pa_flow *flow = bounder->graph->flow;
	for (uint32_t i = 0; i < flow->link_count; i++)
		bounder->bytes_per_second += flow->links[i].bytes_per_second;
	for (uint32_t i = 0; i < flow->file_count; i++) {
		const struct pa_flow_file *file = &flow->files[i];
		double chunk_bytes = file->chunks > 0 ? (double)file->bytes / file->chunks : 0;
		bounder->chunk_bytes = fmax(bounder->chunk_bytes, chunk_bytes * flow->link_count);
		if (!bounder->graph->written[i])
			bounder->cold_bytes[i] = chunk_bytes * (file->chunks - file->resident_chunks);
	}
	for (uint32_t i = 0; i < flow->task_count; i++) {
		double over_bytes = bounder->graph->read_bytes[i] - flow->memory_bytes - bounder->chunk_bytes;
		bounder->work_s[i] = flow->tasks[i].duration_s;
		if (over_bytes > 0)
			bounder->work_s[i] += over_bytes / bounder->bytes_per_second;
	}
}

/* Marks what can be reached and adds up cold bytes on the way; `back`: what is before the task. */
static double reach(struct bounder *bounder, uint32_t from, bool back)
{
	const struct pa_flow_graph *graph = bounder->graph;
	const struct pa_flow *flow = graph->flow;
	uint32_t depth = 0, own = from + 1;
	double bytes = 0;
	bounder->stack[depth++] = from;
	bounder->mark[from] = own;
	while (depth > 0) {
		uint32_t task = bounder->stack[--depth];
		const struct pa_flow_task *given = &flow->tasks[task];
		bounder->steps += 1 + (back ? given->read_count : 0);
		for (size_t i = 0; back && i < given->read_count; i++) {
			if (bounder->file_mark[given->reads[i]] == own)
				continue;
			bounder->file_mark[given->reads[i]] = own;
			bytes += bounder->cold_bytes[given->reads[i]];
		}
		for (size_t i = 0; back && i < given->write_count; i++)
			bounder->writer_mark[given->writes[i]] = own;
		const uint32_t *next = back ? given->after : &graph->successors[graph->successor_begin[task]];
		size_t count = back ? given->after_count
		                    : graph->successor_begin[task + 1] - graph->successor_begin[task];
		for (size_t i = 0; i < count; i++) {
			if (bounder->mark[next[i]] == own)
				continue;
			bounder->mark[next[i]] = own;
			bounder->stack[depth++] = next[i];
		}
	}
	return bytes;
}

/* What must have crossed before a task computes: all that it and the tasks before it read for the first time. */
static void find_heads(struct bounder *bounder)
{
	const struct pa_flow_graph *graph = bounder->graph;
	for (uint32_t at = 0; at < graph->flow->task_count; at++) {
		uint32_t task = graph->order[at];
		const struct pa_flow_task *given = &graph->flow->tasks[task];
		double start_s = 0;
		for (size_t i = 0; i < given->after_count; i++)
			start_s = fmax(start_s, bounder->head_s[given->after[i]]);
		bounder->head_s[task] = start_s + bounder->work_s[task];
		if (bounder->steps > MOST_STEPS)
			continue;
		double crossed_s = reach(bounder, task, true) / bounder->bytes_per_second;
		bounder->head_s[task] = fmax(bounder->head_s[task], crossed_s + given->duration_s);
	}
}

static double find_tails(struct bounder *bounder)
{
	const struct pa_flow_graph *graph = bounder->graph;
	uint32_t count = graph->flow->task_count;
	struct keyed *keyed = pa_arena_array(bounder->arena, count, sizeof(*keyed));
	double sum_s = 0, longest_s = 0;
	for (uint32_t at = count; at-- > 0;) {
		uint32_t task = graph->order[at];
		double behind_s = 0;
		for (uint32_t i = graph->successor_begin[task]; i < graph->successor_begin[task + 1]; i++) {
			uint32_t next = graph->successors[i];
			double wait_s = bounder->work_s[next] - graph->flow->tasks[next].duration_s;
			behind_s = fmax(behind_s, bounder->tail_s[next] + wait_s);
		}
		bounder->tail_s[task] = behind_s + graph->flow->tasks[task].duration_s;
		keyed[task] = (struct keyed){bounder->tail_s[task], task};
		sum_s += bounder->work_s[task];
		longest_s = fmax(longest_s, bounder->tail_s[task] + bounder->work_s[task] -
		                                graph->flow->tasks[task].duration_s);
	}
	qsort(keyed, count, sizeof(*keyed), compare_keyed);
	for (uint32_t i = 0; i < count; i++) {
		bounder->by_tail[i] = keyed[i].task;
		keyed[i].key -= graph->flow->tasks[keyed[i].task].duration_s;
	}
	qsort(keyed, count, sizeof(*keyed), compare_keyed);
	for (uint32_t i = 0; i < count; i++)
		bounder->by_behind[i] = keyed[i].task;
	return fmax(longest_s, sum_s / graph->flow->slots);
}

/* The link, from the beginning: the bytes that the tasks with a tail of at least u read, then u. */
static double link_bound(struct bounder *bounder)
{
	const struct pa_flow *flow = bounder->graph->flow;
	double bytes = 0, bound_s = 0;
	uint32_t own = flow->task_count + 1;
	for (uint32_t at = 0; at < flow->task_count; at++) {
		uint32_t task = bounder->by_tail[at];
		for (size_t i = 0; i < flow->tasks[task].read_count; i++) {
			uint32_t file = flow->tasks[task].reads[i];
			if (bounder->file_mark[file] == own)
				continue;
			bounder->file_mark[file] = own;
			bytes += bounder->cold_bytes[file];
		}
		bound_s = fmax(bound_s, bytes / bounder->bytes_per_second + bounder->tail_s[task]);
	}
	return bound_s;
}

/* The P smallest of what has been added, and their running sums' sum. */
struct smallest {
	double *values;
	uint32_t count, limit;
};

static void keep_smallest(struct smallest *smallest, double value)
{
	uint32_t at = smallest->count;
	if (at == smallest->limit) {
		if (at == 0 || value >= smallest->values[at - 1])
			return;
		at--;
	} else {
		smallest->count++;
	}
	for (; at > 0 && smallest->values[at - 1] > value; at--)
		smallest->values[at] = smallest->values[at - 1];
	smallest->values[at] = value;
}

/* Of the bytes that a task reads from outside, what is its own if all readers share evenly: any k tasks together
 * need at least the sum of their shares. */
static double share_s(const struct bounder *bounder, uint32_t task)
{
	const struct pa_flow_graph *graph = bounder->graph;
	const struct pa_flow_task *given = &graph->flow->tasks[task];
	double bytes = 0;
	for (size_t i = 0; i < given->read_count; i++) {
		uint32_t file = given->reads[i];
		uint32_t readers = graph->reader_begin[file + 1] - graph->reader_begin[file];
		bytes += bounder->cold_bytes[file] / fmax(readers, 1);
	}
	return bytes / bounder->bytes_per_second;
}

/* The slots, for the tasks with at least so much behind them: each slot is idle until the first of them computes on
 * it, the k-th of which has k tasks' bytes across the link before it, and after the last, for what is behind it. */
static double slot_bound(const struct bounder *bounder)
{
	const struct pa_flow *flow = bounder->graph->flow;
	uint32_t limit = flow->slots < flow->task_count ? flow->slots : flow->task_count;
	struct smallest heads = {pa_arena_array(bounder->arena, limit, sizeof(double)), 0, limit};
	struct smallest shares = {pa_arena_array(bounder->arena, limit, sizeof(double)), 0, limit};
	struct smallest tails = {pa_arena_array(bounder->arena, limit, sizeof(double)), 0, limit};
	double work_s = 0, bound_s = 0;
	for (uint32_t at = 0; at < flow->task_count; at++) {
		uint32_t task = bounder->by_behind[at];
		double duration_s = flow->tasks[task].duration_s;
		keep_smallest(&heads, bounder->head_s[task] - duration_s);
		keep_smallest(&shares, share_s(bounder, task));
		keep_smallest(&tails, bounder->tail_s[task] - duration_s);
		work_s += duration_s;
		double crossed_s = 0, idle_s = 0;
		for (uint32_t k = 0; k < heads.count; k++) {
			crossed_s += shares.values[k];
			idle_s += fmax(crossed_s, heads.values[k]) + tails.values[k];
		}
		bound_s = fmax(bound_s, (work_s + idle_s) / heads.count);
	}
	return bound_s;
}

/* Of m·P + 1 tasks some slot runs m + 1: at least the shortest of them, after the first head and before the last tail.
 * The tasks of one level, longest first. */
static double wave_bound(const struct bounder *bounder, const struct keyed *level, uint32_t count)
{
	const struct pa_flow *flow = bounder->graph->flow;
	double head_s = INFINITY, tail_s = INFINITY, bound_s = 0;
	for (uint32_t at = 0; at < count; at++) {
		uint32_t task = level[at].task, waves = at / flow->slots;
		double duration_s = flow->tasks[task].duration_s, run_s = 0;
		head_s = fmin(head_s, bounder->head_s[task] - duration_s);
		tail_s = fmin(tail_s, bounder->tail_s[task] - duration_s);
		if (at % flow->slots != 0)
			continue;
		for (uint32_t i = 0; i <= waves; i++)
			run_s += flow->tasks[level[at - i].task].duration_s;
		bound_s = fmax(bound_s, head_s + run_s + tail_s);
	}
	return bound_s;
}

static double wave_bounds(const struct bounder *bounder)
{
	const struct pa_flow_graph *graph = bounder->graph;
	uint32_t count = graph->flow->task_count, levels = 0;
	struct keyed *sorted = pa_arena_array(bounder->arena, count, sizeof(*sorted));
	struct keyed *grouped = pa_arena_array(bounder->arena, count, sizeof(*grouped));
	uint32_t *begin = pa_arena_array(bounder->arena, (size_t)count + 2, sizeof(*begin));
	double bound_s = 0;
	for (uint32_t i = 0; i < count; i++) {
		sorted[i] = (struct keyed){graph->flow->tasks[i].duration_s, i};
		levels = graph->level[i] >= levels ? graph->level[i] + 1 : levels;
		begin[graph->level[i] + 2]++;
	}
	qsort(sorted, count, sizeof(*sorted), compare_keyed);
	for (uint32_t i = 2; i < levels + 2; i++)
		begin[i] += begin[i - 1];
	for (uint32_t i = 0; i < count; i++)
		grouped[begin[graph->level[sorted[i].task] + 1]++] = sorted[i];
	for (uint32_t i = 0; i < levels; i++)
		bound_s = fmax(bound_s, wave_bound(bounder, &grouped[begin[i]], begin[i + 1] - begin[i]));
	return bound_s;
}

/* The link, from the end of a task: what those behind it read of what exists by then, less what memory and one chunk
 * on its way can hold. */
static double cut_bound(struct bounder *bounder, uint32_t cut)
{
	const struct pa_flow *flow = bounder->graph->flow;
	double held_bytes = flow->memory_bytes + bounder->chunk_bytes, bytes = 0, bound_s = 0;
	uint32_t own = cut + 1, counted = cut + flow->task_count + 2;
	bounder->steps += flow->task_count;
	reach(bounder, cut, true);
	memset(bounder->mark, 0, flow->task_count * sizeof(*bounder->mark));
	reach(bounder, cut, false);
	for (uint32_t at = 0; at < flow->task_count; at++) {
		uint32_t task = bounder->by_tail[at];
		if (bounder->mark[task] != own || task == cut)
			continue;
		bounder->steps += flow->tasks[task].read_count;
		for (size_t i = 0; i < flow->tasks[task].read_count; i++) {
			uint32_t file = flow->tasks[task].reads[i];
			bool exists = !bounder->graph->written[file] || bounder->writer_mark[file] == own;
			if (!exists || bounder->file_mark[file] == counted)
				continue;
			bounder->file_mark[file] = counted;
			bytes += (double)flow->files[file].bytes;
		}
		if (bytes > held_bytes)
			bound_s = fmax(bound_s, bounder->head_s[cut] +
			                            (bytes - held_bytes) / bounder->bytes_per_second +
			                            bounder->tail_s[task]);
	}
	return bound_s;
}

double pa_flow_bound(const struct pa_flow_graph *graph)
{
	const struct pa_flow *flow = graph->flow;
	struct pa_arena arena = PA_ARENA_INIT;
	struct bounder bounder = {.graph = graph, .arena = &arena};
	bounder.cold_bytes = pa_arena_array(&arena, flow->file_count, sizeof(double));
	bounder.work_s = pa_arena_array(&arena, flow->task_count, sizeof(double));
	bounder.head_s = pa_arena_array(&arena, flow->task_count, sizeof(double));
	bounder.tail_s = pa_arena_array(&arena, flow->task_count, sizeof(double));
	bounder.by_tail = pa_arena_array(&arena, flow->task_count, sizeof(uint32_t));
	bounder.by_behind = pa_arena_array(&arena, flow->task_count, sizeof(uint32_t));
	bounder.mark = pa_arena_array(&arena, flow->task_count, sizeof(uint32_t));
	bounder.file_mark = pa_arena_array(&arena, flow->file_count, sizeof(uint32_t));
	bounder.writer_mark = pa_arena_array(&arena, flow->file_count, sizeof(uint32_t));
	bounder.stack = pa_arena_array(&arena, flow->task_count, sizeof(uint32_t));
	measure(&bounder);
	double bound_s = find_tails(&bounder);
	bound_s = fmax(bound_s, link_bound(&bounder));
	find_heads(&bounder);
	bound_s = fmax(bound_s, slot_bound(&bounder));
	bound_s = fmax(bound_s, wave_bounds(&bounder));
	for (uint32_t i = 0; i < flow->task_count && bounder.steps < MOST_STEPS; i++)
		bound_s = fmax(bound_s, cut_bound(&bounder, i));
	for (uint32_t i = 0; i < flow->task_count; i++)
		bound_s = fmax(bound_s, bounder.head_s[i] + bounder.tail_s[i] - flow->tasks[i].duration_s);
	pa_arena_done(&arena);
	return bound_s;
}
