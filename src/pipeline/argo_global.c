/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs with a globalName.  Several tasks may write one: who reads it gets what was written last, as far as the order
 * of tasks says which that is. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "pipeline/argo_internal.h"

#define MAX_VISITS 50000000 /* of tasks, in all: beyond it every writer stays a candidate */

static void add_global(struct argo_analysis *analysis, struct pa_name_table *table, const char *name,
                       const struct argo_place *place, const char *output)
{
	if (name == NULL)
		return;
	size_t first = pa_name_table_put(table, name, analysis->global_count);
	analysis->globals =
	    pa_arena_grow(analysis->findings.budget.arena, analysis->globals, analysis->global_count,
	                  &analysis->global_capacity, sizeof(*analysis->globals));
	struct argo_global *global = &analysis->globals[analysis->global_count];
	*global = (struct argo_global){
	    .place = place, .output = output, .next = SIZE_MAX, .last = analysis->global_count};
	if (first != SIZE_MAX) {
		analysis->globals[analysis->globals[first].last].next = analysis->global_count;
		analysis->globals[first].last = analysis->global_count;
	}
	analysis->global_count++;
}

void argo_index_globals(struct argo_analysis *analysis, const struct argo_place *place,
                        const struct pa_template *template)
{
	for (size_t i = 0; i < template->output_parameter_count; i++)
		add_global(analysis, &analysis->global_parameters, template->output_parameters[i].global_name,
		           place, template->output_parameters[i].name);
	for (size_t i = 0; i < template->output_artifact_count; i++)
		add_global(analysis, &analysis->global_artifacts, template->output_artifacts[i].global_name,
		           place, template->output_artifacts[i].name);
}

/* Marks every task that ends before the place starts; false when that took too long. */
static bool mark_before(struct argo_analysis *analysis, const struct argo_place *place, bool *marked)
{
	size_t *left = calloc(analysis->task_count + 1, sizeof(*left));
	const struct pa_task_set *set = place->before;
	size_t count = 0;

	analysis->global_visits += analysis->task_count / 16;
	if (left == NULL)
		abort();
	memset(marked, 0, analysis->task_count * sizeof(*marked));
	while (set != NULL && analysis->global_visits < MAX_VISITS) {
		analysis->global_visits += set->count + 1;
		for (size_t i = 0; i < set->count; i++) {
			if (!marked[set->tasks[i]])
				left[count++] = set->tasks[i];
			marked[set->tasks[i]] = true;
		}
		set = count == 0 ? NULL : analysis->tasks[left[--count]].place->before;
	}
	free(left);
	return analysis->global_visits < MAX_VISITS;
}

static size_t task_number(const struct argo_analysis *analysis, const struct pa_origin *origin)
{
	return origin->task == NULL ? SIZE_MAX : pa_name_table_get(analysis->task_index, origin->task);
}

static bool any_before(const struct argo_analysis *analysis, const struct argo_origins *writers,
                       const bool *marked)
{
	for (size_t i = 0; i < writers->count; i++) {
		size_t task = task_number(analysis, &writers->items[i]);
		if (task != SIZE_MAX && marked[task])
			return true;
	}
	return false;
}

/* Keeps the origins whose tasks are (not) marked. */
static void keep(const struct argo_analysis *analysis, struct argo_origins *writers, const bool *marked,
                 bool wanted)
{
	size_t kept = 0;

	for (size_t i = 0; i < writers->count; i++) {
		size_t task = task_number(analysis, &writers->items[i]);
		if (task == SIZE_MAX || marked[task] == wanted)
			writers->items[kept++] = writers->items[i];
	}
	writers->count = kept;
}

void argo_keep_last_writers(struct argo_analysis *analysis, const struct argo_place *reader,
                            struct argo_origins *writers)
{
	if (writers->count < 2)
		return;
	bool *marked = calloc(analysis->task_count + 1, sizeof(*marked));
	if (marked == NULL)
		abort();
	if (mark_before(analysis, reader, marked)) {
		if (any_before(analysis, writers, marked)) {
			keep(analysis, writers, marked, true);
		} else if (reader->task != SIZE_MAX) {
			memset(marked, 0, analysis->task_count * sizeof(*marked));
			marked[reader->task] = true;
			keep(analysis, writers, marked, false);
		}
	}
	/* What a task writes that runs in any case replaces what those before it wrote. */
	for (size_t i = 0; i < writers->count && writers->count > 1; i++) {
		size_t task = task_number(analysis, &writers->items[i]);
		size_t before = writers->count;
		if (task == SIZE_MAX || analysis->tasks[task].place->condition != NULL ||
		    !mark_before(analysis, analysis->tasks[task].place, marked))
			continue;
		keep(analysis, writers, marked, false);
		if (writers->count < before)
			i = SIZE_MAX; /* from the first again: they moved */
	}
	free(marked);
}
