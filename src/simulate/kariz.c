/* SPDX-License-Identifier: Apache-2.0 */
/* Kariz: the longest task of a stage is made as short as the second longest by caching a fraction of its input, and
 * so on, as far as memory and the time of the stage before allow.  That sequence of steps ends at one time T that all
 * longer tasks were brought down to, or to their fully cached time; T is found by halving. */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "simulate/rivals.h"

#define HALVINGS 40

struct load {
	uint32_t level;
	uint32_t file;
	uint32_t chunks;
};

struct kariz {
	const struct pa_flow_graph *graph;
	double *fraction;      /* per file, of the stage being planned */
	uint32_t *until_level; /* per file: 1 + the last stage that it is planned for; 0: none */
	struct load *loads;    /* by stage */
	size_t load_count, load_capacity;
	size_t next;    /* the first that may still have something to do */
	uint32_t *left; /* per stage: tasks that have not been dispatched */
	uint32_t levels;
	uint32_t level;     /* the first with tasks left */
	double *stage_s;    /* per stage, as planned */
	uint32_t *by_level; /* tasks */
	uint32_t *begin;    /* levels + 1 */
};

static double input_s(const struct pa_flow_graph *graph, uint32_t task)
{
	const struct pa_flow *flow = graph->flow;
	double seconds = 0;
	for (size_t i = 0; i < flow->tasks[task].read_count; i++) {
		const struct pa_flow_file *file = &flow->files[flow->tasks[task].reads[i]];
		seconds += (double)file->bytes / flow->links[file->link].bytes_per_second;
	}
	return seconds;
}

/* Fractions that bring the stage's tasks down to `target_s`; the bytes that takes. */
static double fractions_for(struct kariz *kariz, uint32_t level, double target_s)
{
	const struct pa_flow *flow = kariz->graph->flow;
	double bytes = 0;
	for (uint32_t at = kariz->begin[level]; at < kariz->begin[level + 1]; at++) {
		const struct pa_flow_task *task = &flow->tasks[kariz->by_level[at]];
		for (size_t i = 0; i < task->read_count; i++)
			kariz->fraction[task->reads[i]] = 0;
	}
	for (uint32_t at = kariz->begin[level]; at < kariz->begin[level + 1]; at++) {
		const struct pa_flow_task *task = &flow->tasks[kariz->by_level[at]];
		double remote_s = input_s(kariz->graph, kariz->by_level[at]);
		double gain_s = task->duration_s + remote_s - fmax(target_s, task->duration_s);
		for (size_t i = 0; i < task->read_count && gain_s > 0; i++) {
			double *fraction = &kariz->fraction[task->reads[i]];
			double more = fmax(gain_s / remote_s - *fraction, 0);
			*fraction += more;
			bytes += more * (double)flow->files[task->reads[i]].bytes;
		}
	}
	return bytes;
}

static double rate(const struct pa_flow *flow)
{
	double bytes_per_second = 0;
	for (uint32_t i = 0; i < flow->link_count; i++)
		bytes_per_second += flow->links[i].bytes_per_second;
	return bytes_per_second;
}

/* The lowest time that what can be cached brings the stage down to. */
static void plan_stage(struct pa_arena *arena, struct kariz *kariz, uint32_t level)
{
	const struct pa_flow *flow = kariz->graph->flow;
	double window_s = level > 0 ? kariz->stage_s[level - 1] : 0;
	double low_s = 0, high_s = 0, work_s = 0;
	for (uint32_t at = kariz->begin[level]; at < kariz->begin[level + 1]; at++) {
		uint32_t task = kariz->by_level[at];
		double task_s = flow->tasks[task].duration_s + input_s(kariz->graph, task);
		high_s = fmax(high_s, task_s);
		work_s += task_s;
	}
	/* A stage with more tasks than slots comes in waves: those behind can be loaded for while the first run. */
	if (kariz->begin[level + 1] - kariz->begin[level] > flow->slots)
		window_s += work_s / flow->slots;
	double budget_bytes = fmin(flow->memory_bytes, window_s * rate(flow));
	for (int i = 0; i < HALVINGS; i++) {
		double middle_s = (low_s + high_s) / 2;
		if (fractions_for(kariz, level, middle_s) <= budget_bytes)
			high_s = middle_s;
		else
			low_s = middle_s;
	}
	fractions_for(kariz, level, high_s);
	kariz->stage_s[level] = fmax(high_s, work_s / flow->slots);
	for (uint32_t at = kariz->begin[level]; at < kariz->begin[level + 1]; at++) {
		const struct pa_flow_task *task = &flow->tasks[kariz->by_level[at]];
		for (size_t i = 0; i < task->read_count; i++) {
			uint32_t file = task->reads[i];
			uint32_t chunks = (uint32_t)(kariz->fraction[file] * flow->files[file].chunks + .5);
			if (chunks == 0 || kariz->until_level[file] == level + 1)
				continue;
			kariz->until_level[file] = level + 1;
			kariz->loads = pa_arena_grow(arena, kariz->loads, kariz->load_count,
			                             &kariz->load_capacity, sizeof(*kariz->loads));
			kariz->loads[kariz->load_count++] = (struct load){level, file, chunks};
		}
	}
}

void *pa_kariz_make(struct pa_arena *arena, const struct pa_flow_graph *graph)
{
	const struct pa_flow *flow = graph->flow;
	struct kariz *kariz = pa_arena_alloc(arena, sizeof(*kariz));
	kariz->graph = graph;
	for (uint32_t i = 0; i < flow->task_count; i++)
		if (graph->level[i] >= kariz->levels)
			kariz->levels = graph->level[i] + 1;
	kariz->fraction = pa_arena_array(arena, flow->file_count, sizeof(*kariz->fraction));
	kariz->until_level = pa_arena_array(arena, flow->file_count, sizeof(*kariz->until_level));
	kariz->left = pa_arena_array(arena, kariz->levels, sizeof(*kariz->left));
	kariz->stage_s = pa_arena_array(arena, kariz->levels, sizeof(*kariz->stage_s));
	kariz->by_level = pa_arena_array(arena, flow->task_count, sizeof(*kariz->by_level));
	kariz->begin = pa_arena_array(arena, (size_t)kariz->levels + 2, sizeof(*kariz->begin));
	for (uint32_t i = 0; i < flow->task_count; i++) {
		kariz->left[graph->level[i]]++;
		kariz->begin[graph->level[i] + 2]++;
	}
	for (uint32_t i = 2; i < kariz->levels + 2; i++)
		kariz->begin[i] += kariz->begin[i - 1];
	for (uint32_t i = 0; i < flow->task_count; i++)
		kariz->by_level[kariz->begin[graph->level[i] + 1]++] = i;
	for (uint32_t level = 0; level < kariz->levels; level++)
		plan_stage(arena, kariz, level);
	return kariz;
}

static bool is_planned(const struct kariz *kariz, uint32_t file)
{
	return kariz->until_level[file] > kariz->level;
}

static struct pa_flow_place kariz_place(const void *state, const struct pa_flow_view *view, uint32_t file)
{
	const struct kariz *kariz = state;
	if (is_planned(kariz, file) && view->files[file].readers_left > 0)
		return (struct pa_flow_place){-INFINITY, 0};
	return (struct pa_flow_place){-(double)view->files[file].last_use, 0};
}

/* What is planned for the stage under way and the one behind it. */
static bool kariz_next(void *state, const struct pa_flow_view *view, uint32_t link, uint32_t *ret_file,
                       uint32_t *ret_chunks)
{
	struct kariz *kariz = state;
	while (kariz->next < kariz->load_count && kariz->loads[kariz->next].level < kariz->level)
		kariz->next++;
	for (size_t i = kariz->next; i < kariz->load_count && kariz->loads[i].level <= kariz->level + 1;
	     i++) {
		const struct load *load = &kariz->loads[i];
		const struct pa_flow_file_state *file = &view->files[load->file];
		if (view->flow->files[load->file].link != link || !file->exists || file->waiters > 0 ||
		    file->readers_left == 0 || file->resident >= load->chunks)
			continue;
		*ret_file = load->file;
		*ret_chunks = load->chunks - file->resident;
		return true;
	}
	return false;
}

static void kariz_dispatched(void *state, struct pa_flow_run *run, uint32_t task)
{
	struct kariz *kariz = state;
	uint32_t before = kariz->level;
	kariz->left[kariz->graph->level[task]]--;
	while (kariz->level < kariz->levels && kariz->left[kariz->level] == 0)
		kariz->level++;
	for (size_t i = kariz->next; before != kariz->level && i < kariz->load_count; i++)
		if (kariz->loads[i].level < kariz->level)
			pa_flow_place_changed(run, kariz->loads[i].file);
}

const struct pa_flow_policy pa_kariz_policy = {.admission = PA_FLOW_ADMIT_ALWAYS,
                                               .place = kariz_place,
                                               .next_load = kariz_next,
                                               .dispatched = kariz_dispatched,
                                               .load_displaces = true};
