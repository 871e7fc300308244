/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast/graph.h"

#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

/* FNV-1a (Fowler, Noll, Vo): short names, and no attacker gains from a slow plan of his own pipeline. */
static uint64_t hash_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return hash;
}

void pa_names_init(struct pa_arena *arena, struct pa_names *names, size_t limit)
{
	names->slot_count = 16;
	while (names->slot_count < 2 * limit)
		names->slot_count *= 2;
	names->texts = pa_arena_array(arena, limit, sizeof(*names->texts));
	names->slots = pa_arena_array(arena, names->slot_count, sizeof(*names->slots));
	memset(names->slots, 0xff, names->slot_count * sizeof(*names->slots));
	names->count = 0;
}

/* The slot that holds the text, or the free one where it would go. */
static size_t find_slot(const struct pa_names *names, const char *text)
{
	size_t slot = hash_text(text) & (names->slot_count - 1);
	while (names->slots[slot] != PA_NAMES_NONE && strcmp(names->texts[names->slots[slot]], text) != 0)
		slot = (slot + 1) & (names->slot_count - 1);
	return slot;
}

uint32_t pa_names_add(struct pa_names *names, const char *text)
{
	size_t slot = find_slot(names, text);
	if (names->slots[slot] == PA_NAMES_NONE) {
		names->texts[names->count] = text;
		names->slots[slot] = names->count++;
	}
	return names->slots[slot];
}

uint32_t pa_names_find(const struct pa_names *names, const char *text)
{
	return names->slots[find_slot(names, text)];
}

/* Main tasks that no other task waits for: what an exit handler waits for. */
static const uint32_t *find_ends(struct pa_arena *arena, const struct pa_pipeline *pipeline,
                                 const struct pa_graph *graph, size_t *ret_count)
{
	bool *waited_for = pa_arena_array(arena, graph->task_count, sizeof(*waited_for));
	for (size_t i = 0; i < graph->task_count; i++) {
		for (size_t j = 0; j < graph->tasks[i].after_count; j++)
			waited_for[graph->tasks[i].after[j]] = true;
	}
	uint32_t *ends = pa_arena_array(arena, graph->task_count, sizeof(*ends));
	size_t count = 0;
	for (uint32_t i = 0; i < graph->task_count; i++) {
		if (pipeline->tasks[i].role == PA_ROLE_MAIN && !waited_for[i])
			ends[count++] = i;
	}
	*ret_count = count;
	return ends;
}

static void order_exit_tasks(struct pa_arena *arena, const struct pa_pipeline *pipeline,
                             struct pa_graph *graph)
{
	const uint32_t *ends = NULL;
	size_t count = 0;
	for (size_t i = 0; i < graph->task_count; i++) {
		if (pipeline->tasks[i].role != PA_ROLE_EXIT || pipeline->tasks[i].after_count > 0)
			continue;
		if (!ends)
			ends = find_ends(arena, pipeline, graph, &count);
		graph->tasks[i].after = ends;
		graph->tasks[i].after_count = count;
	}
}

static int resolve_after(struct pa_arena *arena, const struct pa_pipeline *pipeline, struct pa_graph *graph,
                         struct pa_error *err)
{
	for (size_t i = 0; i < graph->task_count; i++) {
		const struct pa_task *task = &pipeline->tasks[i];
		uint32_t *after = pa_arena_array(arena, task->after_count, sizeof(*after));
		for (size_t j = 0; j < task->after_count; j++) {
			after[j] = pa_names_find(&graph->ids, task->after[j]);
			if (after[j] == PA_NAMES_NONE)
				return pa_error_set(
				    err, PA_ERROR_INPUT,
				    "pipeline \"%s\": task \"%s\" comes after \"%s\", which is not a "
				    "task of this pipeline",
				    pipeline->name, task->id, task->after[j]);
		}
		graph->tasks[i].after = after;
		graph->tasks[i].after_count = task->after_count;
		graph->tasks[i].template_index = pa_names_add(&graph->templates, task->template_name);
	}
	return 0;
}

/* Depth-first with a stack of our own: parents go into the order before their children. */
static int order_tasks(struct pa_arena *arena, const struct pa_pipeline *pipeline, struct pa_graph *graph,
                       struct pa_error *err)
{
	enum { UNSEEN, OPEN, PLACED };
	size_t count = graph->task_count, placed = 0;
	unsigned char *state = pa_arena_array(arena, count, 1);
	uint32_t *stack = pa_arena_array(arena, count, sizeof(*stack));
	size_t *next = pa_arena_array(arena, count, sizeof(*next));
	graph->order = pa_arena_array(arena, count, sizeof(*graph->order));
	for (uint32_t root = 0; root < count; root++) {
		size_t depth = 0;
		if (state[root] == UNSEEN) {
			stack[depth++] = root;
			state[root] = OPEN;
		}
		while (depth > 0) {
			uint32_t task = stack[depth - 1];
			if (next[task] == graph->tasks[task].after_count) {
				state[task] = PLACED;
				graph->order[placed++] = task;
				depth--;
				continue;
			}
			uint32_t parent = graph->tasks[task].after[next[task]++];
			if (state[parent] == OPEN)
				return pa_error_set(
				    err, PA_ERROR_INPUT,
				    "pipeline \"%s\": tasks \"%s\" and \"%s\" wait for each other; "
				    "take one of the dependencies on the cycle out",
				    pipeline->name, pipeline->tasks[parent].id, pipeline->tasks[task].id);
			if (state[parent] == UNSEEN) {
				state[parent] = OPEN;
				stack[depth++] = parent;
			}
		}
	}
	return 0;
}

int pa_graph_make(struct pa_arena *arena, const struct pa_pipeline *pipeline, struct pa_graph *ret,
                  struct pa_error *err)
{
	struct pa_graph graph = {.task_count = pipeline->task_count};
	pa_names_init(arena, &graph.ids, graph.task_count);
	pa_names_init(arena, &graph.templates, graph.task_count);
	graph.tasks = pa_arena_array(arena, graph.task_count, sizeof(*graph.tasks));
	for (size_t i = 0; i < graph.task_count; i++) {
		if (pa_names_add(&graph.ids, pipeline->tasks[i].id) != i)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "pipeline \"%s\": two tasks have the id \"%s\"; ids must differ",
			                    pipeline->name, pipeline->tasks[i].id);
	}
	int failed = resolve_after(arena, pipeline, &graph, err);
	if (failed)
		return failed;
	order_exit_tasks(arena, pipeline, &graph);
	failed = order_tasks(arena, pipeline, &graph, err);
	if (failed)
		return failed;
	*ret = graph;
	return 0;
}
