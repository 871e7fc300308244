/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/rivals.h"

#include <math.h>

#include "base/arena.h"

enum rival { NONE, LRU, LRC, LERC, MRD, FCFS_LRU, NEVER_EVICT, KARIZ, MIN, EDF_MIN };

const char *const pa_rival_names[PA_RIVALS + 1] = {
    "none", "lru", "lrc", "lerc", "mrd", "fcfs-lru", "never-evict", "kariz", "min", "edf-min", NULL};

static struct pa_flow_place lrc_place(const void *state, const struct pa_flow_view *view, uint32_t file)
{
	(void)state;
	return (struct pa_flow_place){-(double)view->files[file].readers_left,
	                              -(double)view->files[file].last_use};
}

/* Of every file the readers to come whose other inputs are all there. */
struct lerc {
	uint32_t *effective; /* per file */
	uint32_t *broken;    /* per task: inputs that were made and are not wholly in memory */
	bool *is_broken;     /* per file */
};

static struct pa_flow_place lerc_place(const void *state, const struct pa_flow_view *view, uint32_t file)
{
	const struct lerc *lerc = state;
	return (struct pa_flow_place){-(double)lerc->effective[file], -(double)view->files[file].last_use};
}

static void lerc_count(struct lerc *lerc, struct pa_flow_run *run, uint32_t task, int change)
{
	const struct pa_flow_task *given = &pa_flow_view(run)->flow->tasks[task];
	for (size_t i = 0; i < given->read_count; i++) {
		lerc->effective[given->reads[i]] += (uint32_t)change;
		pa_flow_place_changed(run, given->reads[i]);
	}
}

static void lerc_residency_changed(void *state, struct pa_flow_run *run, uint32_t file)
{
	struct lerc *lerc = state;
	const struct pa_flow_view *view = pa_flow_view(run);
	bool is_broken =
	    view->files[file].seen && view->files[file].resident < view->flow->files[file].chunks;
	if (is_broken == lerc->is_broken[file])
		return;
	lerc->is_broken[file] = is_broken;
	for (uint32_t i = view->graph->reader_begin[file]; i < view->graph->reader_begin[file + 1]; i++) {
		uint32_t task = view->graph->readers[i];
		if (view->phases[task] > PA_FLOW_READY)
			continue;
		if (is_broken && lerc->broken[task]++ == 0)
			lerc_count(lerc, run, task, -1);
		else if (!is_broken && --lerc->broken[task] == 0)
			lerc_count(lerc, run, task, 1);
	}
}

static void lerc_dispatched(void *state, struct pa_flow_run *run, uint32_t task)
{
	struct lerc *lerc = state;
	if (lerc->broken[task] == 0)
		lerc_count(lerc, run, task, -1);
}

static struct lerc *lerc_make(struct pa_arena *arena, const struct pa_flow_graph *graph)
{
	uint32_t files = graph->flow->file_count;
	struct lerc *lerc = pa_arena_alloc(arena, sizeof(*lerc));
	lerc->effective = pa_arena_array(arena, files, sizeof(*lerc->effective));
	lerc->broken = pa_arena_array(arena, graph->flow->task_count, sizeof(*lerc->broken));
	lerc->is_broken = pa_arena_array(arena, files, sizeof(*lerc->is_broken));
	for (uint32_t i = 0; i < files; i++)
		lerc->effective[i] = graph->reader_begin[i + 1] - graph->reader_begin[i];
	return lerc;
}

/* External files in the order in which the tasks come that read them; each is loaded once. */
struct fcfs {
	uint32_t *files;
	uint32_t count;
	uint32_t *next; /* per link */
};

static bool fcfs_next(void *state, const struct pa_flow_view *view, uint32_t link, uint32_t *ret_file,
                      uint32_t *ret_chunks)
{
	struct fcfs *fcfs = state;
	for (; fcfs->next[link] < fcfs->count; fcfs->next[link]++) {
		uint32_t file = fcfs->files[fcfs->next[link]];
		const struct pa_flow_file *given = &view->flow->files[file];
		if (given->link != link || view->files[file].fetched >= given->chunks ||
		    view->files[file].resident == given->chunks ||
		    (double)given->bytes > view->flow->memory_bytes * given->chunks)
			continue;
		uint64_t left = given->chunks - view->files[file].fetched;
		uint32_t missing = given->chunks - view->files[file].resident;
		*ret_file = file;
		*ret_chunks = left < missing ? (uint32_t)left : missing;
		return true;
	}
	return false;
}

static struct fcfs *fcfs_make(struct pa_arena *arena, const struct pa_flow_graph *graph)
{
	const struct pa_flow *flow = graph->flow;
	struct fcfs *fcfs = pa_arena_alloc(arena, sizeof(*fcfs));
	bool *known = pa_arena_array(arena, flow->file_count, sizeof(*known));
	fcfs->files = pa_arena_array(arena, flow->file_count, sizeof(*fcfs->files));
	fcfs->next = pa_arena_array(arena, flow->link_count, sizeof(*fcfs->next));
	for (uint32_t at = 0; at < flow->task_count; at++) {
		const struct pa_flow_task *task = &flow->tasks[graph->order[at]];
		for (size_t i = 0; i < task->read_count; i++) {
			uint32_t file = task->reads[i];
			if (known[file] || graph->written[file] || flow->files[file].chunks == 0)
				continue;
			known[file] = true;
			fcfs->files[fcfs->count++] = file;
		}
	}
	return fcfs;
}

static const struct pa_flow_policy *fcfs_policy(struct pa_arena *arena)
{
	struct pa_flow_policy *policy = pa_arena_alloc(arena, sizeof(*policy));
	*policy = pa_flow_lru;
	policy->next_load = fcfs_next;
	policy->load_displaces = true;
	return policy;
}

static const struct pa_flow_policy policies[PA_RIVALS] = {
    [NONE] = {.admission = PA_FLOW_ADMIT_NONE},
    [LRC] = {.admission = PA_FLOW_ADMIT_ALWAYS, .place = lrc_place, .drop_unread = true},
    [LERC] = {.admission = PA_FLOW_ADMIT_ALWAYS,
              .place = lerc_place,
              .residency_changed = lerc_residency_changed,
              .dispatched = lerc_dispatched,
              .drop_unread = true},
    [MRD] = {.admission = PA_FLOW_ADMIT_LATER,
             .load_by_rank = true,
             .drop_unread = true,
             .load_displaces = true},
    [NEVER_EVICT] = {.admission = PA_FLOW_ADMIT_FREE},
    [MIN] = {.admission = PA_FLOW_ADMIT_LATER, .drop_unread = true},
    [EDF_MIN] = {.admission = PA_FLOW_ADMIT_LATER,
                 .demand_by_rank = true,
                 .load_by_rank = true,
                 .drop_unread = true,
                 .load_displaces = true},
};

static const double *stage_ranks(struct pa_arena *arena, const struct pa_flow_graph *graph)
{
	double *rank = pa_arena_array(arena, graph->flow->task_count, sizeof(*rank));
	for (uint32_t i = 0; i < graph->flow->task_count; i++)
		rank[i] = graph->level[i];
	return rank;
}

struct pa_flow_strategy pa_rival_strategy(struct pa_arena *arena, const struct pa_flow_graph *graph,
                                          const struct pa_strategy_base *base, size_t rival)
{
	struct pa_flow_strategy strategy = {
	    .order_s = base->order_s, .rank = base->rank, .policy = &policies[rival]};
	switch ((enum rival)rival) {
	case LRU:
		strategy.policy = &pa_flow_lru;
		break;
	case LERC:
		strategy.policy_state = lerc_make(arena, graph);
		break;
	case MRD:
		strategy.rank = stage_ranks(arena, graph);
		break;
	case FCFS_LRU:
		strategy.policy = fcfs_policy(arena);
		strategy.policy_state = fcfs_make(arena, graph);
		break;
	case KARIZ:
		strategy.policy = &pa_kariz_policy;
		strategy.policy_state = pa_kariz_make(arena, graph);
		break;
	default:
		break;
	}
	return strategy;
}
