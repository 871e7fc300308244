/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/order.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"

struct keyed {
	double key;
	uint32_t task;
};

static int compare_keyed(const void *left, const void *right)
{
	const struct keyed *a = left, *b = right;
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return (a->task > b->task) - (a->task < b->task);
}

struct walk {
	const struct pa_flow_graph *graph;
	const double *key;    /* per task: smaller is visited first */
	uint32_t *positions;  /* per task; PA_UNSEEN, PA_ON_PATH, or its place */
	struct keyed *sorted; /* what each task waits for, as it is visited */
	uint32_t *begin;
	uint32_t count;
};

#define UNSEEN  UINT32_MAX
#define ON_PATH (UINT32_MAX - 1)

static void sort_parents(struct pa_arena *arena, struct walk *walk)
{
	const struct pa_flow *flow = walk->graph->flow;
	size_t edges = 0;
	for (uint32_t i = 0; i < flow->task_count; i++)
		edges += flow->tasks[i].after_count;
	walk->sorted = pa_arena_array(arena, edges, sizeof(*walk->sorted));
	walk->begin = pa_arena_array(arena, (size_t)flow->task_count + 1, sizeof(*walk->begin));
	uint32_t at = 0;
	for (uint32_t i = 0; i < flow->task_count; i++) {
		walk->begin[i] = at;
		for (size_t j = 0; j < flow->tasks[i].after_count; j++)
			walk->sorted[at++] =
			    (struct keyed){walk->key[flow->tasks[i].after[j]], flow->tasks[i].after[j]};
		qsort(&walk->sorted[walk->begin[i]], flow->tasks[i].after_count, sizeof(*walk->sorted),
		      compare_keyed);
	}
	walk->begin[flow->task_count] = at;
}

/* A stack of its own instead of recursion: a chain may be as long as there are tasks. */
static void visit(struct walk *walk, uint32_t *stack, uint32_t *cursor, uint32_t task)
{
	uint32_t depth = 0;
	if (walk->positions[task] != UNSEEN)
		return;
	walk->positions[task] = ON_PATH;
	cursor[task] = walk->begin[task];
	stack[depth++] = task;
	while (depth > 0) {
		uint32_t top = stack[depth - 1];
		if (cursor[top] == walk->begin[top + 1]) {
			walk->positions[top] = walk->count++;
			depth--;
			continue;
		}
		uint32_t parent = walk->sorted[cursor[top]++].task;
		if (walk->positions[parent] != UNSEEN)
			continue;
		walk->positions[parent] = ON_PATH;
		cursor[parent] = walk->begin[parent];
		stack[depth++] = parent;
	}
}

static void walk_from_ends(struct pa_arena *arena, const struct pa_flow_graph *graph, const double *key,
                           uint32_t *positions)
{
	uint32_t count = graph->flow->task_count, end_count = 0;
	struct walk walk = {.graph = graph, .key = key, .positions = positions};
	uint32_t *stack = pa_arena_array(arena, count, sizeof(*stack));
	uint32_t *cursor = pa_arena_array(arena, count, sizeof(*cursor));
	struct keyed *ends = pa_arena_array(arena, count, sizeof(*ends));
	sort_parents(arena, &walk);
	for (uint32_t i = 0; i < count; i++) {
		positions[i] = UNSEEN;
		if (graph->successor_begin[i] == graph->successor_begin[i + 1])
			ends[end_count++] = (struct keyed){key[i], i};
	}
	qsort(ends, end_count, sizeof(*ends), compare_keyed);
	for (uint32_t i = 0; i < end_count; i++)
		visit(&walk, stack, cursor, ends[i].task);
}

/* The largest over a task and all before it. */
static double *largest_before(struct pa_arena *arena, const struct pa_flow_graph *graph, bool outputs)
{
	const struct pa_flow *flow = graph->flow;
	double *value = pa_arena_array(arena, flow->task_count, sizeof(*value));
	for (uint32_t at = 0; at < flow->task_count; at++) {
		uint32_t index = graph->order[at];
		const struct pa_flow_task *task = &flow->tasks[index];
		double largest = 0, own = outputs ? 0 : task->duration_s;
		for (size_t i = 0; i < task->after_count; i++)
			largest = fmax(largest, value[task->after[i]]);
		for (size_t i = 0; outputs && i < task->write_count; i++)
			own += (double)flow->files[task->writes[i]].bytes;
		value[index] = outputs ? fmax(largest, own) : largest + own;
	}
	return value;
}

static double *deep_key(struct pa_arena *arena, const struct pa_flow_graph *graph, enum pa_order order)
{
	double *key = largest_before(arena, graph, order == PA_ORDER_DEEP_OUTPUT);
	for (uint32_t i = 0; i < graph->flow->task_count; i++) {
		if (order == PA_ORDER_DEEP_INDEX)
			key[i] = i;
		else if (order != PA_ORDER_DEEP_SHORTEST)
			key[i] = -key[i];
	}
	return key;
}

/* Ready tasks in a list, and what each file still has to serve: one task after another. */
struct serial {
	const struct pa_flow_graph *graph;
	uint32_t *ready;
	uint32_t ready_count;
	uint32_t *after_left;
	uint32_t *readers_left;
	bool *there; /* per file: in memory, if all of it fitted */
};

static double growth(const struct serial *serial, uint32_t task)
{
	const struct pa_flow *flow = serial->graph->flow;
	const struct pa_flow_task *given = &flow->tasks[task];
	double bytes = 0;
	for (size_t i = 0; i < given->read_count; i++) {
		uint32_t file = given->reads[i];
		if (!serial->there[file])
			bytes += (double)flow->files[file].bytes;
		if (serial->readers_left[file] == 1)
			bytes -= (double)flow->files[file].bytes;
	}
	for (size_t i = 0; i < given->write_count; i++)
		if (serial->readers_left[given->writes[i]] > 0)
			bytes += (double)flow->files[given->writes[i]].bytes;
	return bytes;
}

static void run_serially(struct serial *serial, uint32_t task)
{
	const struct pa_flow_graph *graph = serial->graph;
	const struct pa_flow_task *given = &graph->flow->tasks[task];
	for (size_t i = 0; i < given->read_count; i++) {
		serial->there[given->reads[i]] = true;
		serial->readers_left[given->reads[i]]--;
	}
	for (size_t i = 0; i < given->write_count; i++)
		serial->there[given->writes[i]] = true;
	for (uint32_t i = graph->successor_begin[task]; i < graph->successor_begin[task + 1]; i++)
		if (--serial->after_left[graph->successors[i]] == 0)
			serial->ready[serial->ready_count++] = graph->successors[i];
}

/* Least growth, then longest remaining path; or the last that became ready, those with the longest path first. */
static uint32_t best_ready(const struct serial *serial, bool by_growth)
{
	uint32_t best = 0;
	double best_growth = INFINITY, best_tail_s = 0;
	for (uint32_t i = 0; i < serial->ready_count; i++) {
		uint32_t task = serial->ready[i];
		double grown = growth(serial, task), tail_s = serial->graph->tail_s[task];
		if (by_growth && (grown < best_growth || (grown == best_growth && tail_s > best_tail_s))) {
			best = i;
			best_growth = grown;
			best_tail_s = tail_s;
		}
	}
	return best;
}

static void order_by_growth(struct pa_arena *arena, const struct pa_flow_graph *graph, uint32_t *positions)
{
	const struct pa_flow *flow = graph->flow;
	struct serial serial = {.graph = graph};
	serial.ready = pa_arena_array(arena, flow->task_count, sizeof(*serial.ready));
	serial.after_left = pa_arena_array(arena, flow->task_count, sizeof(*serial.after_left));
	serial.readers_left = pa_arena_array(arena, flow->file_count, sizeof(*serial.readers_left));
	serial.there = pa_arena_array(arena, flow->file_count, sizeof(*serial.there));
	for (uint32_t i = 0; i < flow->file_count; i++)
		serial.readers_left[i] = graph->reader_begin[i + 1] - graph->reader_begin[i];
	for (uint32_t i = 0; i < flow->task_count; i++) {
		serial.after_left[i] = (uint32_t)flow->tasks[i].after_count;
		if (serial.after_left[i] == 0)
			serial.ready[serial.ready_count++] = i;
	}
	for (uint32_t place = 0; serial.ready_count > 0; place++) {
		uint32_t best = best_ready(&serial, true);
		uint32_t task = serial.ready[best];
		serial.ready[best] = serial.ready[--serial.ready_count];
		positions[task] = place;
		run_serially(&serial, task);
	}
}

/* Newly ready tasks go on a stack, those with the longest remaining path on top. */
static void order_by_following(struct pa_arena *arena, const struct pa_flow_graph *graph, uint32_t *positions)
{
	const struct pa_flow *flow = graph->flow;
	struct keyed *stack = pa_arena_array(arena, flow->task_count, sizeof(*stack));
	uint32_t *left = pa_arena_array(arena, flow->task_count, sizeof(*left));
	uint32_t depth = 0;
	for (uint32_t i = 0; i < flow->task_count; i++) {
		left[i] = (uint32_t)flow->tasks[i].after_count;
		if (left[i] == 0)
			stack[depth++] = (struct keyed){graph->tail_s[i], i};
	}
	qsort(stack, depth, sizeof(*stack), compare_keyed);
	for (uint32_t place = 0; depth > 0; place++) {
		uint32_t task = stack[--depth].task, first = depth;
		positions[task] = place;
		for (uint32_t i = graph->successor_begin[task]; i < graph->successor_begin[task + 1]; i++)
			if (--left[graph->successors[i]] == 0)
				stack[depth++] =
				    (struct keyed){graph->tail_s[graph->successors[i]], graph->successors[i]};
		qsort(&stack[first], depth - first, sizeof(*stack), compare_keyed);
	}
}

double *pa_order_make(struct pa_arena *arena, const struct pa_flow_graph *graph, enum pa_order order)
{
	const struct pa_flow *flow = graph->flow;
	double *order_s = pa_arena_array(arena, flow->task_count, sizeof(*order_s));
	if (order == PA_ORDER_TAIL) {
		for (uint32_t i = 0; i < flow->task_count; i++)
			order_s[i] = -graph->tail_s[i];
		return order_s;
	}
	uint32_t *positions = pa_arena_array(arena, flow->task_count, sizeof(*positions));
	if (order == PA_ORDER_LEAST_GROWTH)
		order_by_growth(arena, graph, positions);
	else if (order == PA_ORDER_FOLLOW)
		order_by_following(arena, graph, positions);
	else
		walk_from_ends(arena, graph, deep_key(arena, graph, order), positions);
	double work_s = 0;
	for (uint32_t i = 0; i < flow->task_count; i++)
		work_s += flow->tasks[i].duration_s;
	for (uint32_t i = 0; i < flow->task_count; i++)
		order_s[i] = positions[i] * fmax(work_s / flow->task_count / flow->slots, 1e-9);
	return order_s;
}

const char *pa_order_name(enum pa_order order)
{
	static const char *const names[PA_ORDER_COUNT] = {"tail",        "deep, longest", "deep, shortest",
	                                                  "deep, index", "deep, output",  "follow",
	                                                  "least growth"};
	return names[order];
}
