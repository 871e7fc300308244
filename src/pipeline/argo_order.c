/* SPDX-License-Identifier: Apache-2.0 */
/* From what calls wait for to which tasks end before each task starts. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

static int order_instance(struct argo_analysis *analysis, struct argo_instance *instance,
                          struct pa_task_set *before, struct pa_task_set **ret, struct pa_error *err);

/* Sets `ends` of a place whose `before` is known. */
static int order_place(struct argo_analysis *analysis, struct argo_place *place, struct pa_error *err)
{
	place->ends = place->before; /* what runs nothing passes order through */
	if (place->task != SIZE_MAX) {
		/* Those behind a daemon start while it runs: not after it, but after what it is after. */
		if (place->inside->template == NULL || !place->inside->template->daemon)
			place->ends = pa_task_sets_single(&analysis->sets, place->task);
		return pa_task_sets_apply(&analysis->sets, place->before, analysis->models, place->task,
		                          place->call->node, err);
	}
	if (place->inside == NULL)
		return 0;
	return order_instance(analysis, place->inside, place->before, &place->ends, err);
}

/* What one place is after: `always` (the group before, in steps) and what it waits for itself. */
static int find_before(struct argo_analysis *analysis, struct argo_instance *instance, size_t index,
                       struct pa_task_set *always, struct pa_task_set *around, struct pa_error *err)
{
	struct argo_place *place = &instance->places[index];
	const struct pa_call_waits *waits = &instance->graph->waits[index];

	if (waits->count == 0) {
		place->before = always != NULL ? always : around;
		return 0;
	}
	struct pa_task_set **sets =
	    pa_arena_array(analysis->findings.budget.arena, waits->count + 1, sizeof(*sets));
	size_t count = 0;
	if (always != NULL)
		sets[count++] = always;
	for (size_t i = 0; i < waits->count; i++)
		sets[count++] = instance->places[waits->calls[i]].ends;
	return pa_task_sets_unite(&analysis->sets, sets, count, place->call->node, &place->before, err);
}

static int order_dag(struct argo_analysis *analysis, struct argo_instance *instance,
                     struct pa_task_set *before, struct pa_task_set **ret, struct pa_error *err)
{
	const struct argo_graph *graph = instance->graph;
	size_t calls = instance->template->call_count, count = 0;
	int rc = 0;

	for (size_t i = 0; i < calls && rc == 0; i++) {
		struct argo_place *place = &instance->places[graph->order[i]];
		place->before = &analysis->sets.nothing;
		place->ends = &analysis->sets.nothing;
		if (graph->left_out[graph->order[i]])
			continue;
		rc = find_before(analysis, instance, graph->order[i], NULL, before, err);
		if (rc == 0)
			rc = order_place(analysis, place, err);
	}
	if (rc < 0)
		return rc;
	struct pa_task_set **sets = pa_arena_array(analysis->findings.budget.arena, calls, sizeof(*sets));
	for (size_t i = 0; i < calls; i++) {
		if (graph->last[i])
			sets[count++] = instance->places[i].ends;
	}
	if (count == 0) {
		*ret = before;
		return 0;
	}
	return pa_task_sets_unite(&analysis->sets, sets, count, instance->template->node, ret, err);
}

static int order_steps(struct argo_analysis *analysis, struct argo_instance *instance,
                       struct pa_task_set *before, struct pa_task_set **ret, struct pa_error *err)
{
	size_t calls = instance->template->call_count;
	struct pa_task_set **sets = pa_arena_array(analysis->findings.budget.arena, calls, sizeof(*sets));
	struct pa_task_set *previous = before;

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
		int rc = pa_task_sets_unite(&analysis->sets, sets, count, instance->template->node, &previous,
		                            err);
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
                       struct pa_task_set *end, struct pa_error *err)
{
	int rc = 0;

	for (size_t i = first; i < instance->place_count && rc == 0; i++) {
		struct argo_place *hook = &instance->places[i];
		if (hook->hook_of == NULL)
			hook->before = runs_at_end(hook) ? end : &analysis->sets.nothing;
		else
			hook->before = runs_at_end(hook) ? hook->hook_of->ends : hook->hook_of->before;
		rc = order_place(analysis, hook, err);
	}
	return rc;
}

static int order_instance(struct argo_analysis *analysis, struct argo_instance *instance,
                          struct pa_task_set *before, struct pa_task_set **ret, struct pa_error *err)
{
	bool steps = instance->template->kind == PA_TEMPLATE_STEPS;
	int rc = steps ? order_steps(analysis, instance, before, ret, err)
	               : order_dag(analysis, instance, before, ret, err);

	if (rc == 0)
		rc = order_hooks(analysis, instance, instance->template->call_count, &analysis->sets.nothing,
		                 err);
	return rc;
}

int argo_order(struct argo_analysis *analysis, struct pa_error *err)
{
	struct argo_instance *root = analysis->root;
	struct pa_arena *arena = analysis->findings.budget.arena;
	struct pa_task_set **sets = pa_arena_array(arena, root->place_count, sizeof(*sets));
	struct pa_task_set *end;
	size_t count = 0;
	int rc = 0;

	pa_task_sets_init(&analysis->sets, &analysis->findings.budget, analysis->task_count);
	for (; count < root->place_count && root->places[count].kind == ARGO_CALL && rc == 0; count++) {
		root->places[count].before = &analysis->sets.nothing;
		rc = order_place(analysis, &root->places[count], err);
		sets[count] = root->places[count].ends;
	}
	if (rc == 0)
		rc = pa_task_sets_unite(&analysis->sets, sets, count, analysis->workflow->node, &end, err);
	if (rc == 0)
		rc = order_hooks(analysis, root, count, end, err);
	return rc;
}
