/* SPDX-License-Identifier: Apache-2.0 */
/* From what calls wait for to which tasks end before each task starts. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

static int order_instance(struct argo_analysis *analysis, struct argo_instance *instance,
                          struct argo_set *before, struct argo_set **ret, struct pa_error *err);

static int compare_tasks(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return x < y ? -1 : x > y;
}

static int count_edges(struct argo_analysis *analysis, size_t edges, const struct pa_node *at,
                       struct pa_error *err)
{
	analysis->edge_count += edges;
	if (analysis->edge_count > PA_ANALYZE_MAX_EDGES)
		return pa_node_error(
		    at, err,
		    "more than %d edges between tasks once nested DAGs are written out; put one task "
		    "between the groups",
		    PA_ANALYZE_MAX_EDGES);
	return argo_budget_check(&analysis->budget, edges * (sizeof(size_t) + sizeof(char *)), at, err);
}

/* The union of sets; one that stands alone is passed on as it is. */
static int unite(struct argo_analysis *analysis, struct argo_set **sets, size_t set_count,
                 const struct pa_node *at, struct argo_set **ret, struct pa_error *err)
{
	struct pa_arena *arena = analysis->budget.arena;
	size_t total = 0, used = 0, only = 0;

	for (size_t i = 0; i < set_count; i++) {
		total += sets[i]->count;
		if (sets[i]->count > 0 && used++ == 0)
			only = i;
	}
	if (used <= 1) {
		*ret = used == 0 ? &analysis->nothing : sets[only];
		return 0;
	}
	int rc = count_edges(analysis, total, at, err);
	if (rc < 0)
		return rc;
	struct argo_set *set = pa_arena_alloc(arena, sizeof(*set));
	set->tasks = pa_arena_array(arena, total, sizeof(*set->tasks));
	analysis->stamp++;
	for (size_t i = 0; i < set_count; i++) {
		for (size_t j = 0; j < sets[i]->count; j++) {
			size_t task = sets[i]->tasks[j];
			if (analysis->stamps[task] == analysis->stamp)
				continue;
			analysis->stamps[task] = analysis->stamp;
			set->tasks[set->count++] = task;
		}
	}
	qsort(set->tasks, set->count, sizeof(*set->tasks), compare_tasks);
	*ret = set;
	return 0;
}

static struct argo_set *single(struct argo_analysis *analysis, size_t task)
{
	struct argo_set *set = pa_arena_alloc(analysis->budget.arena, sizeof(*set));

	set->tasks = pa_arena_alloc(analysis->budget.arena, sizeof(*set->tasks));
	set->tasks[0] = task;
	set->count = 1;
	return set;
}

static int set_after(struct argo_analysis *analysis, struct argo_place *place, struct pa_error *err)
{
	/* Sets are shared by the tasks that start together, so their ids are made once. */
	struct argo_set *set = place->before;
	struct pa_task *model = &analysis->models[place->task];
	int rc = count_edges(analysis, set->count, place->call->node, err);

	if (rc < 0 || set->count == 0)
		return rc;
	if (set->ids == NULL) {
		set->ids = pa_arena_array(analysis->budget.arena, set->count, sizeof(*set->ids));
		for (size_t i = 0; i < set->count; i++)
			set->ids[i] = analysis->models[set->tasks[i]].id;
	}
	model->after = set->ids;
	model->after_count = set->count;
	return 0;
}

/* Sets `ends` of a place whose `before` is known. */
static int order_place(struct argo_analysis *analysis, struct argo_place *place, struct pa_error *err)
{
	place->ends = place->before; /* what runs nothing passes order through */
	if (place->task != SIZE_MAX) {
		/* Those behind a daemon start while it runs: not after it, but after what it is after. */
		if (place->inside->template == NULL || !place->inside->template->daemon)
			place->ends = single(analysis, place->task);
		return set_after(analysis, place, err);
	}
	if (place->inside == NULL)
		return 0;
	return order_instance(analysis, place->inside, place->before, &place->ends, err);
}

/* What one place is after: `always` (the group before, in steps) and what it waits for itself. */
static int find_before(struct argo_analysis *analysis, struct argo_instance *instance, size_t index,
                       struct argo_set *always, struct argo_set *around, struct pa_error *err)
{
	struct argo_place *place = &instance->places[index];
	const struct argo_waits *waits = &instance->graph->waits[index];

	if (waits->count == 0) {
		place->before = always != NULL ? always : around;
		return 0;
	}
	struct argo_set **sets = pa_arena_array(analysis->budget.arena, waits->count + 1, sizeof(*sets));
	size_t count = 0;
	if (always != NULL)
		sets[count++] = always;
	for (size_t i = 0; i < waits->count; i++)
		sets[count++] = instance->places[waits->calls[i]].ends;
	return unite(analysis, sets, count, place->call->node, &place->before, err);
}

static int order_dag(struct argo_analysis *analysis, struct argo_instance *instance, struct argo_set *before,
                     struct argo_set **ret, struct pa_error *err)
{
	const struct argo_graph *graph = instance->graph;
	size_t calls = instance->template->call_count, count = 0;
	int rc = 0;

	for (size_t i = 0; i < calls && rc == 0; i++) {
		struct argo_place *place = &instance->places[graph->order[i]];
		place->before = &analysis->nothing;
		place->ends = &analysis->nothing;
		if (graph->left_out[graph->order[i]])
			continue;
		rc = find_before(analysis, instance, graph->order[i], NULL, before, err);
		if (rc == 0)
			rc = order_place(analysis, place, err);
	}
	if (rc < 0)
		return rc;
	struct argo_set **sets = pa_arena_array(analysis->budget.arena, calls, sizeof(*sets));
	for (size_t i = 0; i < calls; i++) {
		if (graph->last[i])
			sets[count++] = instance->places[i].ends;
	}
	if (count == 0) {
		*ret = before;
		return 0;
	}
	return unite(analysis, sets, count, instance->template->node, ret, err);
}

static int order_steps(struct argo_analysis *analysis, struct argo_instance *instance,
                       struct argo_set *before, struct argo_set **ret, struct pa_error *err)
{
	size_t calls = instance->template->call_count;
	struct argo_set **sets = pa_arena_array(analysis->budget.arena, calls, sizeof(*sets));
	struct argo_set *previous = before;

	for (size_t first = 0; first < calls;) {
		size_t count = 0;
		size_t group = instance->template->calls[first].group;
		for (; first < calls && instance->template->calls[first].group == group; first++) {
			struct argo_place *place = &instance->places[first];
			int rc = find_before(analysis, instance, first, previous, before, err);
			if (rc == 0)
				rc = order_place(analysis, place, err);
			if (rc < 0)
				return rc;
			sets[count++] = place->ends;
		}
		int rc = unite(analysis, sets, count, instance->template->node, &previous, err);
		if (rc < 0)
			return rc;
	}
	*ret = previous;
	return 0;
}

static bool runs_at_end(const struct argo_place *hook)
{
	return hook->kind == ARGO_EXIT || strcmp(hook->call->key, "exit") == 0;
}

static int order_hooks(struct argo_analysis *analysis, struct argo_instance *instance, size_t first,
                       struct argo_set *end, struct pa_error *err)
{
	int rc = 0;

	for (size_t i = first; i < instance->place_count && rc == 0; i++) {
		struct argo_place *hook = &instance->places[i];
		if (hook->hook_of == NULL)
			hook->before = runs_at_end(hook) ? end : &analysis->nothing;
		else
			hook->before = runs_at_end(hook) ? hook->hook_of->ends : hook->hook_of->before;
		rc = order_place(analysis, hook, err);
	}
	return rc;
}

static int order_instance(struct argo_analysis *analysis, struct argo_instance *instance,
                          struct argo_set *before, struct argo_set **ret, struct pa_error *err)
{
	bool steps = instance->template->kind == PA_TEMPLATE_STEPS;
	int rc = steps ? order_steps(analysis, instance, before, ret, err)
	               : order_dag(analysis, instance, before, ret, err);

	if (rc == 0)
		rc = order_hooks(analysis, instance, instance->template->call_count, &analysis->nothing, err);
	return rc;
}

int argo_order(struct argo_analysis *analysis, struct pa_error *err)
{
	struct argo_instance *root = analysis->root;
	struct pa_arena *arena = analysis->budget.arena;
	struct argo_set **sets = pa_arena_array(arena, root->place_count, sizeof(*sets));
	struct argo_set *end;
	size_t count = 0;
	int rc = 0;

	analysis->stamps = pa_arena_array(arena, analysis->task_count, sizeof(*analysis->stamps));
	for (; count < root->place_count && root->places[count].kind == ARGO_CALL && rc == 0; count++) {
		root->places[count].before = &analysis->nothing;
		rc = order_place(analysis, &root->places[count], err);
		sets[count] = root->places[count].ends;
	}
	if (rc == 0)
		rc = unite(analysis, sets, count, analysis->workflow->node, &end, err);
	if (rc == 0)
		rc = order_hooks(analysis, root, count, end, err);
	return rc;
}
