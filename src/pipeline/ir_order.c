/* SPDX-License-Identifier: Apache-2.0 */
/* From what calls wait for to which tasks end before each task starts. */
#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_analysis_internal.h"

static int order_calls(struct ir_analysis *analysis, struct ir_place *place, struct pa_error *err);

/* Sets `ends` of a place whose `before` is known. */
static int order_place(struct ir_analysis *analysis, struct ir_place *place, struct pa_error *err)
{
	place->ends = place->before; /* what runs nothing passes order through */
	if (place->task != SIZE_MAX) {
		place->ends = pa_task_sets_single(&analysis->sets, place->task);
		return pa_task_sets_apply(&analysis->sets, place->before, analysis->models, place->task,
		                          place->call == NULL ? analysis->spec->node : place->call->node,
		                          err);
	}
	return place->places == NULL ? 0 : order_calls(analysis, place, err);
}

static int find_before(struct ir_analysis *analysis, struct ir_place *place, size_t index,
                       struct pa_error *err)
{
	const struct pa_call_waits *waits = &place->component->waits[index];
	struct ir_place *call = &place->places[index];

	/* The first tasks of a nested DAG are after what the DAG is after. */
	if (waits->count == 0) {
		call->before = place->before;
		return 0;
	}
	struct pa_task_set **sets = pa_arena_array(analysis->budget->arena, waits->count, sizeof(*sets));
	for (size_t i = 0; i < waits->count; i++)
		sets[i] = place->places[waits->calls[i]].ends;
	return pa_task_sets_unite(&analysis->sets, sets, waits->count, call->call->node, &call->before, err);
}

static int order_calls(struct ir_analysis *analysis, struct ir_place *place, struct pa_error *err)
{
	const struct ir_component *component = place->component;
	size_t calls = component->call_count, count = 0;
	int rc = 0;

	for (size_t i = 0; i < calls && rc == 0; i++) {
		rc = find_before(analysis, place, component->order[i], err);
		if (rc == 0)
			rc = order_place(analysis, &place->places[component->order[i]], err);
	}
	if (rc < 0 || calls == 0)
		return rc;
	struct pa_task_set **sets = pa_arena_array(analysis->budget->arena, calls, sizeof(*sets));
	for (size_t i = 0; i < calls; i++) {
		if (component->last[i])
			sets[count++] = place->places[i].ends;
	}
	return pa_task_sets_unite(&analysis->sets, sets, count, component->node, &place->ends, err);
}

int ir_order(struct ir_analysis *analysis, struct pa_error *err)
{
	pa_task_sets_init(&analysis->sets, analysis->budget, analysis->task_count);
	analysis->root.before = &analysis->sets.nothing;
	return order_place(analysis, &analysis->root, err);
}
