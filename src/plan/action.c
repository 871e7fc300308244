/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan_internal.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/units.h"

/* The list being written. */
struct list {
	const struct pa_planner *planner;
	struct pa_plan *plan;
	size_t capacity;
	double *keep_until_s; /* per extent; -INFINITY: no reader to come */
	double *deadline_s;   /* per extent: the earliest likely start of a reader to come */
	uint32_t *last_task;  /* per extent: who ends last */
};

static struct pa_plan_action *add(struct list *list, enum pa_plan_action_kind kind, double at_s,
                                  uint32_t task)
{
	struct pa_plan *plan = list->plan;
	plan->actions = pa_arena_grow(list->planner->arena, plan->actions, plan->action_count,
	                              &list->capacity, sizeof(*plan->actions));
	struct pa_plan_action *action = &plan->actions[plan->action_count++];
	*action =
	    (struct pa_plan_action){.at_s = at_s,
	                            .kind = kind,
	                            .task = task,
	                            .extent = UINT32_MAX,
	                            .tier = "node",
	                            .node = "local",
	                            .deadline_s = NAN,
	                            .arrives_s = NAN,
	                            .keep_until_s = NAN,
	                            .priority = task == UINT32_MAX ? 0 : (uint32_t)plan->task_order[task],
	                            .why = ""};
	return action;
}

static const char *task_id(const struct list *list, uint32_t task)
{
	return list->planner->input->pipeline->tasks[task].id;
}

static void find_readers(struct list *list)
{
	const struct pa_planner *planner = list->planner;
	size_t count = planner->input->extent_count;
	list->keep_until_s = pa_arena_array(planner->scratch, count, sizeof(*list->keep_until_s));
	list->deadline_s = pa_arena_array(planner->scratch, count, sizeof(*list->deadline_s));
	list->last_task = pa_arena_array(planner->scratch, count, sizeof(*list->last_task));
	for (size_t i = 0; i < count; i++) {
		list->keep_until_s[i] = -INFINITY;
		list->deadline_s[i] = INFINITY;
		list->last_task[i] = UINT32_MAX;
	}
	for (uint32_t task = 0; task < planner->graph.task_count; task++) {
		if (!pa_plan_is_live(planner, task))
			continue;
		for (size_t i = planner->read_begin[task]; i < planner->read_begin[task + 1]; i++) {
			uint32_t extent = planner->read_extents[i];
			double early_s = fmax(list->plan->times[task].start_early_s, 0);
			list->deadline_s[extent] = fmin(list->deadline_s[extent], early_s);
			if (list->plan->times[task].end_late_s <= list->keep_until_s[extent])
				continue;
			list->keep_until_s[extent] = list->plan->times[task].end_late_s;
			list->last_task[extent] = task;
		}
	}
}

struct load {
	double requested_s;
	uint32_t piece;
};

static int compare_loads(const void *left, const void *right)
{
	const struct load *a = left, *b = right;
	if (a->requested_s != b->requested_s)
		return a->requested_s < b->requested_s ? -1 : 1;
	return (a->piece > b->piece) - (a->piece < b->piece);
}

static const char *explain_load(const struct list *list, uint32_t task, double deadline_s, double arrives_s)
{
	struct pa_arena *arena = list->planner->arena;
	char slack[32];
	pa_units_format_seconds(fabs(deadline_s - arrives_s), slack, sizeof(slack));
	if (list->plan->times[task].start_s <= 0)
		return pa_arena_printf(arena, "\"%s\" starts now and waits for it", task_id(list, task));
	return pa_arena_printf(arena, "first read by \"%s\"; there %s %s its earliest likely start",
	                       task_id(list, task), slack, arrives_s <= deadline_s ? "before" : "after");
}

/* Everything that the timeline fetched and kept, in the order in which its links took it up. */
static void add_loads(struct list *list)
{
	const struct pa_planner *planner = list->planner;
	struct load *loads = pa_arena_array(planner->scratch, planner->piece_count, sizeof(*loads));
	size_t count = 0;
	for (uint32_t i = 0; i < planner->piece_count; i++) {
		const struct pa_timeline_extent_result *result = &planner->with.extents[i];
		if (planner->piece_extents[i].resident || result->fetches == 0 || result->bypassed)
			continue;
		loads[count++] = (struct load){result->requested_s, i};
	}
	qsort(loads, count, sizeof(*loads), compare_loads);
	for (uint32_t i = 0; i < count; i++) {
		const struct pa_piece *piece = &planner->pieces[loads[i].piece];
		uint32_t task = planner->first_task[piece->extent];
		double at_s = planner->short_of_memory ? loads[i].requested_s : 0;
		struct pa_plan_action *action = add(list, PA_PLAN_LOAD, at_s, task);
		action->extent = piece->extent;
		action->offset_bytes = piece->offset_bytes;
		action->bytes = piece->bytes;
		action->deadline_s = list->deadline_s[piece->extent];
		action->arrives_s = planner->with.extents[loads[i].piece].arrived_s;
		action->keep_until_s = list->keep_until_s[piece->extent];
		action->priority = i;
		action->why = explain_load(list, task, action->deadline_s, action->arrives_s);
	}
}

static void add_keep(struct list *list, uint32_t extent)
{
	const struct pa_plan_extent *given = &list->planner->input->extents[extent];
	uint32_t last = list->last_task[extent];
	struct pa_plan_action *keep = add(list, PA_PLAN_KEEP, 0, last);
	keep->extent = extent;
	keep->bytes = given->resident_bytes;
	keep->deadline_s = list->deadline_s[extent];
	keep->keep_until_s = list->keep_until_s[extent];
	keep->why = pa_arena_printf(list->planner->arena, "\"%s\" reads it last", task_id(list, last));
}

/* What is there already, and when everything goes. */
static void add_keeps_and_releases(struct list *list)
{
	const struct pa_planner *planner = list->planner;
	for (uint32_t i = 0; i < planner->input->extent_count; i++) {
		const struct pa_plan_extent *given = &planner->input->extents[i];
		uint32_t last = list->last_task[i];
		bool fetched = false;
		for (uint32_t j = planner->piece_begin[i]; j < planner->piece_begin[i + 1]; j++)
			fetched |= planner->with.extents[j].fetches > 0 && !planner->with.extents[j].bypassed;
		if (!planner->has_reader[i] || (given->resident_bytes == 0 && !fetched))
			continue;
		if (given->resident_bytes > 0 && last != UINT32_MAX)
			add_keep(list, i);
		struct pa_plan_action *release =
		    add(list, PA_PLAN_RELEASE, last == UINT32_MAX ? 0 : list->keep_until_s[i], last);
		release->extent = i;
		release->bytes = fetched ? given->bytes : given->resident_bytes;
		release->why =
		    last == UINT32_MAX
			? "all its readers have ended"
			: pa_arena_printf(planner->arena, "\"%s\", its last reader, will have ended",
		                          task_id(list, last));
	}
}

static const char *explain_start(const struct list *list, uint32_t task)
{
	struct pa_arena *arena = list->planner->arena;
	char seconds[32];
	if (list->plan->verdicts[task].bytes == 0)
		return "it reads nothing that is loaded";
	if (list->plan->times[task].stall_s <= 0)
		return "its data is there";
	pa_units_format_seconds(list->plan->times[task].stall_s, seconds, sizeof(seconds));
	return pa_arena_printf(arena, "it will wait %s for data", seconds);
}

static void add_hold(struct list *list, uint32_t task, double at_s, double until_s, uint32_t other)
{
	struct pa_plan_action *hold = add(list, PA_PLAN_HOLD, at_s, task);
	hold->deadline_s = until_s;
	hold->why = pa_arena_printf(list->planner->arena,
	                            "its data is not there yet, that of \"%s\" is: that one takes the slot",
	                            task_id(list, other));
}

static void add_starts(struct list *list)
{
	const struct pa_planner *planner = list->planner;
	const struct pa_lanes *lanes = &planner->spread.lanes;
	for (uint32_t task = 0; task < planner->graph.task_count; task++) {
		if (!pa_plan_is_live(planner, task) || !isnan(planner->started_s[task]))
			continue;
		const struct pa_timeline_task_result *result = &planner->with.tasks[lanes->first[task]];
		if (result->overtaken_by != UINT32_MAX && lanes->owner[result->overtaken_by] != task)
			add_hold(list, task, result->overtaken_s, result->start_s,
			         lanes->owner[result->overtaken_by]);
		struct pa_plan_action *start =
		    add(list, PA_PLAN_START, list->plan->times[task].start_s, task);
		start->why = explain_start(list, task);
	}
}

static int compare_actions(const void *left, const void *right)
{
	const struct pa_plan_action *a = left, *b = right;
	if (a->at_s != b->at_s)
		return a->at_s < b->at_s ? -1 : 1;
	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->task != b->task)
		return a->task < b->task ? -1 : 1;
	if (a->extent != b->extent)
		return a->extent < b->extent ? -1 : 1;
	return (a->offset_bytes > b->offset_bytes) - (a->offset_bytes < b->offset_bytes);
}

void pa_actions_make(const struct pa_planner *planner, struct pa_plan *plan)
{
	struct list list = {.planner = planner, .plan = plan};
	find_readers(&list);
	add_loads(&list);
	add_keeps_and_releases(&list);
	add_starts(&list);
	if (plan->action_count > 0)
		qsort(plan->actions, plan->action_count, sizeof(*plan->actions), compare_actions);
}

const char *pa_plan_action_name(enum pa_plan_action_kind kind)
{
	static const char *const names[] = {"load", "hold", "start", "keep", "release"};
	return names[kind];
}
