/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/call_order_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/analyze.h"
#include "pipeline/findings_internal.h"

#define CIRCLE_TEXT_BYTES 600

int pa_call_waits_add(const struct pa_budget *budget, struct pa_call_waits *waits, size_t call,
                      struct pa_error *err)
{
	waits->calls =
	    pa_arena_grow(budget->arena, waits->calls, waits->count, &waits->capacity, sizeof(*waits->calls));
	waits->calls[waits->count++] = call;
	return pa_budget_check(budget, 0, waits->node, err);
}

static int compare_numbers(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return x < y ? -1 : x > y;
}

static void drop_duplicates(struct pa_call_waits *waits)
{
	size_t kept = 0;

	if (waits->count < 2)
		return;
	qsort(waits->calls, waits->count, sizeof(*waits->calls), compare_numbers);
	for (size_t i = 1; i < waits->count; i++) {
		if (waits->calls[i] != waits->calls[kept])
			waits->calls[++kept] = waits->calls[i];
	}
	waits->count = kept + 1;
}

/* From `at`, follows waits among the calls that are not ready until one comes again, writing their names; returns
 * that one, which is on a circle. */
static size_t walk_waits(const struct pa_call_waits *calls, const bool *ready, bool *seen, size_t at,
                         char *text, size_t *ret_length)
{
	size_t length = 0;

	while (!seen[at]) {
		size_t next = 0;
		seen[at] = true;
		if (length < CIRCLE_TEXT_BYTES - 1)
			length += (size_t)snprintf(text + length, CIRCLE_TEXT_BYTES - length,
			                           "'%.60s' after ", calls[at].key);
		while (ready[calls[at].calls[next]])
			next++;
		at = calls[at].calls[next];
	}
	*ret_length = length < CIRCLE_TEXT_BYTES ? length : CIRCLE_TEXT_BYTES - 1;
	return at;
}

/* Some calls are left: from any of them, waits lead round. */
static int circle_error(const struct pa_budget *budget, const struct pa_call_waits *calls, size_t count,
                        const bool *ready, struct pa_error *err)
{
	bool *seen = pa_arena_array(budget->arena, count, sizeof(*seen));
	char text[CIRCLE_TEXT_BYTES];
	size_t first = 0, length;

	while (ready[first])
		first++;
	/* The first walk ends on the circle; the second names what is on it. */
	first = walk_waits(calls, ready, seen, first, text, &length);
	memset(seen, 0, count * sizeof(*seen));
	walk_waits(calls, ready, seen, first, text, &length);
	return pa_node_error(
	    calls[first].node, err,
	    "tasks wait for each other in a circle: %.*s'%.60s'; remove one of these dependencies",
	    (int)length, text, calls[first].key);
}

/* For each call the calls that wait for it: followers[start[call]..start[call + 1]). */
static size_t *list_followers(const struct pa_budget *budget, const struct pa_call_waits *calls, size_t count,
                              size_t *start)
{
	size_t *fill = pa_arena_array(budget->arena, count, sizeof(*fill));

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < calls[i].count; j++)
			start[calls[i].calls[j] + 1]++;
	}
	for (size_t i = 0; i < count; i++)
		start[i + 1] += start[i];
	size_t *followers = pa_arena_array(budget->arena, start[count], sizeof(*followers));
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < calls[i].count; j++) {
			size_t other = calls[i].calls[j];
			followers[start[other] + fill[other]++] = i;
		}
	}
	return followers;
}

int pa_call_order(const struct pa_budget *budget, struct pa_call_waits *calls, size_t count, size_t *order,
                  bool *last, struct pa_error *err)
{
	size_t *missing = pa_arena_array(budget->arena, count, sizeof(*missing));
	size_t *start = pa_arena_array(budget->arena, count + 1, sizeof(*start));
	bool *ready = pa_arena_array(budget->arena, count, sizeof(*ready));
	size_t done = 0, queued = 0;

	/* Kahn's algorithm, in the file's order where there is a choice. */
	for (size_t i = 0; i < count; i++) {
		drop_duplicates(&calls[i]);
		missing[i] = calls[i].count;
		if (missing[i] == 0)
			order[queued++] = i;
	}
	const size_t *followers = list_followers(budget, calls, count, start);
	for (size_t i = 0; i < count; i++)
		last[i] = start[i] == start[i + 1];
	for (; done < queued; done++) {
		size_t call = order[done];
		ready[call] = true;
		for (size_t j = start[call]; j < start[call + 1]; j++) {
			if (--missing[followers[j]] == 0)
				order[queued++] = followers[j];
		}
	}
	return done == count ? 0 : circle_error(budget, calls, count, ready, err);
}

void pa_task_sets_init(struct pa_task_sets *sets, const struct pa_budget *budget, size_t task_count)
{
	*sets = (struct pa_task_sets){.budget = budget};
	sets->stamps = pa_arena_array(budget->arena, task_count, sizeof(*sets->stamps));
}

static int count_edges(struct pa_task_sets *sets, size_t edges, const struct pa_node *at,
                       struct pa_error *err)
{
	sets->edge_count += edges;
	if (sets->edge_count > PA_ANALYZE_MAX_EDGES)
		return pa_node_error(
		    at, err,
		    "more than %d edges between tasks once nested DAGs are written out; put one task "
		    "between the groups",
		    PA_ANALYZE_MAX_EDGES);
	return pa_budget_check(sets->budget, edges * (sizeof(size_t) + sizeof(char *)), at, err);
}

struct pa_task_set *pa_task_sets_single(struct pa_task_sets *sets, size_t task)
{
	struct pa_task_set *set = pa_arena_alloc(sets->budget->arena, sizeof(*set));

	set->tasks = pa_arena_alloc(sets->budget->arena, sizeof(*set->tasks));
	set->tasks[0] = task;
	set->count = 1;
	return set;
}

int pa_task_sets_unite(struct pa_task_sets *sets, struct pa_task_set **list, size_t count,
                       const struct pa_node *at, struct pa_task_set **ret, struct pa_error *err)
{
	struct pa_arena *arena = sets->budget->arena;
	size_t total = 0, used = 0, only = 0;

	for (size_t i = 0; i < count; i++) {
		total += list[i]->count;
		if (list[i]->count > 0 && used++ == 0)
			only = i;
	}
	if (used <= 1) {
		*ret = used == 0 ? &sets->nothing : list[only];
		return 0;
	}
	int rc = count_edges(sets, total, at, err);
	if (rc < 0)
		return rc;
	struct pa_task_set *set = pa_arena_alloc(arena, sizeof(*set));
	set->tasks = pa_arena_array(arena, total, sizeof(*set->tasks));
	sets->stamp++;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < list[i]->count; j++) {
			size_t task = list[i]->tasks[j];
			if (sets->stamps[task] == sets->stamp)
				continue;
			sets->stamps[task] = sets->stamp;
			set->tasks[set->count++] = task;
		}
	}
	qsort(set->tasks, set->count, sizeof(*set->tasks), compare_numbers);
	*ret = set;
	return 0;
}

int pa_task_sets_apply(struct pa_task_sets *sets, struct pa_task_set *set, struct pa_task *models,
                       size_t task, const struct pa_node *at, struct pa_error *err)
{
	int rc = count_edges(sets, set->count, at, err);

	if (rc < 0 || set->count == 0)
		return rc;
	/* Sets are shared by the tasks that start together, so their ids are made once. */
	if (set->ids == NULL) {
		set->ids = pa_arena_array(sets->budget->arena, set->count, sizeof(*set->ids));
		for (size_t i = 0; i < set->count; i++)
			set->ids[i] = models[set->tasks[i]].id;
	}
	models[task].after = set->ids;
	models[task].after_count = set->count;
	return 0;
}
