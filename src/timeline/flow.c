/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline/flow_internal.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"

const struct pa_flow_policy pa_flow_by_rank = {.admission = PA_FLOW_ADMIT_LATER,
                                               .demand_by_rank = true,
                                               .load_by_rank = true,
                                               .drop_unread = true,
                                               .load_displaces = true};

static struct pa_flow_place lru_place(const void *state, const struct pa_flow_view *view, uint32_t file)
{
	(void)state;
	return (struct pa_flow_place){-(double)view->files[file].last_use, 0};
}

const struct pa_flow_policy pa_flow_lru = {.admission = PA_FLOW_ADMIT_ALWAYS, .place = lru_place};

const struct pa_flow_view *pa_flow_view(const struct pa_flow_run *run)
{
	return &run->view;
}

double pa_flow_chunk_s(const struct pa_flow_run *run, uint32_t file)
{
	const struct pa_flow *flow = run->view.flow;
	return run->file_runs[file].chunk_bytes / flow->links[flow->files[file].link].bytes_per_second;
}

static double duration_of(const struct pa_flow_run *run, uint32_t task)
{
	return run->strategy->duration_s ? run->strategy->duration_s[task]
	                                 : run->view.flow->tasks[task].duration_s;
}

static void compute(struct pa_flow_run *run, uint32_t task)
{
	struct pa_flow_task_result *result = &run->result->tasks[task];
	double left_s = fmax(duration_of(run, task) - run->tasks[task].progress_s, 0);
	run->phases[task] = PA_FLOW_COMPUTING;
	run->computing++;
	result->run_s = run->tasks[task].progress_s > 0 ? result->start_s : run->view.now_s;
	run->result->wait_s += fmax(run->view.now_s - fmax(result->start_s, 0), 0);
	pa_heap_push(run->arena, &run->ends, (struct pa_heap_entry){run->view.now_s + left_s, 0, task, 0});
}

void pa_flow_satisfied(struct pa_flow_run *run, uint32_t task)
{
	if (--run->tasks[task].missing_chunks == 0)
		compute(run, task);
}

/* From here `missing_chunks` counts reads that are not complete. */
static void start_task(struct pa_flow_run *run, uint32_t task, double start_s)
{
	const struct pa_flow_task *given = &run->view.flow->tasks[task];
	struct pa_flow_task_run *own = &run->tasks[task];
	uint32_t read = run->view.graph->read_begin[task];
	run->changed = true;
	run->occupied++;
	run->phases[task] = PA_FLOW_WAITING;
	run->result->tasks[task].start_s = start_s;
	run->result->tasks[task].sequence = run->sequence++;
	own->missing_chunks = 0;
	for (uint32_t i = 0; i < given->read_count; i++, read++) {
		uint32_t file = given->reads[i];
		struct pa_flow_file_state *state = &run->files[file];
		double chunk_bytes = run->file_runs[file].chunk_bytes;
		run->chunks_left[read] = run->view.flow->files[file].chunks - state->resident;
		run->result->read_bytes += (double)run->view.flow->files[file].bytes;
		run->result->hit_bytes += state->resident * chunk_bytes;
		state->pins += run->view.flow->pin_reads;
		pa_flow_used(run, file);
		pa_flow_reader_dispatched(run, file);
		if (run->chunks_left[read] == 0)
			continue;
		own->missing_chunks++;
		pa_flow_demand(run, task, i);
	}
	if (run->policy->dispatched)
		run->policy->dispatched(run->strategy->policy_state, run, task);
	if (own->missing_chunks == 0)
		compute(run, task);
}

/* All before it have ended. */
static void unblock(struct pa_flow_run *run, uint32_t task)
{
	double not_before_s = run->view.flow->tasks[task].not_before_s;
	if (not_before_s > run->view.now_s)
		pa_heap_push(run->arena, &run->delayed, (struct pa_heap_entry){not_before_s, 0, task, 0});
	else
		pa_flow_make_ready(run, task);
}

static void end_task(struct pa_flow_run *run, uint32_t task)
{
	const struct pa_flow_task *given = &run->view.flow->tasks[task];
	const struct pa_flow_graph *graph = run->view.graph;
	run->phases[task] = PA_FLOW_ENDED;
	run->result->tasks[task].end_s = run->view.now_s;
	run->result->makespan_s = fmax(run->result->makespan_s, run->view.now_s);
	run->occupied--;
	run->computing--;
	run->ended++;
	run->changed = true;
	for (size_t i = 0; run->view.flow->pin_reads && i < given->read_count; i++)
		pa_flow_unpin(run, given->reads[i]);
	for (size_t i = 0; i < given->write_count; i++)
		pa_flow_write(run, given->writes[i]);
	for (uint32_t i = graph->successor_begin[task]; i < graph->successor_begin[task + 1]; i++) {
		uint32_t next = graph->successors[i];
		if (--run->tasks[next].after_left == 0 && run->phases[next] == PA_FLOW_BLOCKED)
			unblock(run, next);
	}
}

/* A task under way has computed since it started, at most as far as its data was there. */
static void resume_task(struct pa_flow_run *run, uint32_t task)
{
	const struct pa_flow_task *given = &run->view.flow->tasks[task];
	double total_bytes = run->view.graph->read_bytes[task], resident_bytes = 0;
	double progress_s = fmin(-given->started_s, duration_of(run, task));
	for (size_t i = 0; i < given->read_count; i++)
		resident_bytes +=
		    run->files[given->reads[i]].resident * run->file_runs[given->reads[i]].chunk_bytes;
	if (total_bytes > 0)
		progress_s = fmin(progress_s, duration_of(run, task) * resident_bytes / total_bytes);
	run->tasks[task].progress_s = progress_s;
	run->result->tasks[task].ready_s = given->started_s;
	start_task(run, task, given->started_s);
}

static void start_clock(struct pa_flow_run *run)
{
	const struct pa_flow *flow = run->view.flow;
	for (uint32_t i = 0; i < flow->task_count; i++) {
		const struct pa_flow_task *task = &flow->tasks[i];
		for (size_t j = 0; j < task->after_count; j++)
			run->tasks[i].after_left += isnan(flow->tasks[task->after[j]].ended_s);
		if (isnan(task->ended_s))
			continue;
		double start_s = isnan(task->started_s) ? task->ended_s : task->started_s;
		run->phases[i] = PA_FLOW_ENDED;
		run->ended++;
		run->result->tasks[i] =
		    (struct pa_flow_task_result){start_s, start_s, start_s, task->ended_s, 0};
	}
	for (uint32_t i = 0; i < flow->task_count; i++)
		if (run->phases[i] == PA_FLOW_BLOCKED && !isnan(flow->tasks[i].started_s))
			resume_task(run, i);
	for (uint32_t i = 0; i < flow->task_count; i++)
		if (run->phases[i] == PA_FLOW_BLOCKED && run->tasks[i].after_left == 0)
			unblock(run, i);
}

static void dispatch(struct pa_flow_run *run)
{
	while (run->occupied < run->view.flow->slots) {
		uint32_t task = pa_flow_pick(run);
		if (task == PA_FLOW_NONE)
			return;
		start_task(run, task, run->view.now_s);
	}
}

static double next_event_s(const struct pa_flow_run *run)
{
	double next_s = pa_flow_links_next_s(run);
	if (run->ends.count > 0)
		next_s = fmin(next_s, run->ends.entries[0].first);
	if (run->delayed.count > 0)
		next_s = fmin(next_s, run->delayed.entries[0].first);
	return next_s;
}

static void process_events(struct pa_flow_run *run)
{
	run->result->memory_byte_s += run->view.used_bytes * (run->view.now_s - run->integrated_until_s);
	run->integrated_until_s = run->view.now_s;
	pa_flow_links_settle(run);
	while (run->ends.count > 0 && run->ends.entries[0].first <= run->view.now_s)
		end_task(run, pa_heap_pop(&run->ends).index);
	while (run->delayed.count > 0 && run->delayed.entries[0].first <= run->view.now_s)
		pa_flow_make_ready(run, pa_heap_pop(&run->delayed).index);
}

static void run_clock(struct pa_flow_run *run)
{
	start_clock(run);
	for (;;) {
		dispatch(run);
		if (run->changed)
			pa_flow_links_cut(run);
		run->changed = false;
		if (run->ended == run->view.flow->task_count)
			return;
		pa_flow_links_start(run);
		double next_s = next_event_s(run);
		if (next_s == INFINITY)
			return;
		run->view.now_s = fmax(next_s, run->view.now_s);
		process_events(run);
	}
}

struct ranked {
	double rank;
	uint32_t task;
};

static int compare_ranked(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return (a->task > b->task) - (a->task < b->task);
}

/* Readers of each file in the order of their ranks, so that the next one is found by moving a cursor. */
static void sort_readers(struct pa_flow_run *run)
{
	const struct pa_flow *flow = run->view.flow;
	const struct pa_flow_graph *graph = run->view.graph;
	struct ranked *ranked = pa_arena_array(run->arena, flow->task_count, sizeof(*ranked));
	uint32_t *at = pa_arena_array(run->arena, flow->file_count, sizeof(*at));
	uint32_t reads = graph->read_begin[flow->task_count];
	for (uint32_t i = 0; i < flow->task_count; i++)
		ranked[i] = (struct ranked){run->strategy->rank[i], i};
	qsort(ranked, flow->task_count, sizeof(*ranked), compare_ranked);
	for (uint32_t i = 0; i < flow->file_count; i++)
		at[i] = graph->reader_begin[i];
	run->readers_by_rank = pa_arena_array(run->arena, reads, sizeof(uint32_t));
	run->reader_of = pa_arena_array(run->arena, reads, sizeof(uint32_t));
	for (uint32_t i = 0; i < flow->task_count; i++) {
		uint32_t task = ranked[i].task;
		const struct pa_flow_task *given = &flow->tasks[task];
		for (uint32_t j = 0; j < given->read_count; j++) {
			run->reader_of[graph->read_begin[task] + j] = task;
			if (isnan(given->ended_s))
				run->readers_by_rank[at[given->reads[j]]++] = task;
		}
	}
}

static void allocate(struct pa_arena *arena, struct pa_flow_run *run)
{
	const struct pa_flow *flow = run->view.flow;
	uint32_t reads = run->view.graph->read_begin[flow->task_count];
	struct pa_flow_result *result = run->result;
	*result = (struct pa_flow_result){0};
	result->tasks = pa_arena_array(arena, flow->task_count, sizeof(*result->tasks));
	result->files = pa_arena_array(arena, flow->file_count, sizeof(*result->files));
	result->link_bytes = pa_arena_array(arena, flow->link_count, sizeof(*result->link_bytes));
	for (uint32_t i = 0; i < flow->file_count; i++)
		result->files[i] = (struct pa_flow_file_result){NAN, NAN, 0, false};
	run->files = pa_arena_array(run->arena, flow->file_count, sizeof(*run->files));
	run->file_runs = pa_arena_array(run->arena, flow->file_count, sizeof(*run->file_runs));
	run->next_rank = pa_arena_array(run->arena, flow->file_count, sizeof(*run->next_rank));
	run->tasks = pa_arena_array(run->arena, flow->task_count, sizeof(*run->tasks));
	run->phases = pa_arena_array(run->arena, flow->task_count, sizeof(*run->phases));
	run->links = pa_arena_array(run->arena, flow->link_count, sizeof(*run->links));
	run->ready_list = pa_arena_array(run->arena, flow->task_count, sizeof(*run->ready_list));
	run->chunks_left = pa_arena_array(run->arena, reads, sizeof(*run->chunks_left));
	run->next_waiter = pa_arena_array(run->arena, reads, sizeof(*run->next_waiter));
	for (uint32_t i = 0; i < flow->link_count; i++)
		run->links[i].idle_since_s = -INFINITY;
	run->view.files = run->files;
	run->view.phases = run->phases;
	run->view.next_rank = run->next_rank;
}

void pa_flow_run(struct pa_arena *arena, const struct pa_flow_graph *graph,
                 const struct pa_flow_strategy *strategy, struct pa_flow_result *ret)
{
	struct pa_arena scratch = PA_ARENA_INIT;
	struct pa_flow_run run = {
	    .view = {.flow = graph->flow, .graph = graph},
	    .strategy = strategy,
	    .policy = strategy->policy ? strategy->policy : &pa_flow_by_rank,
	    .arena = &scratch,
	    .result = ret,
	    .counts_missing = strategy->dispatch != PA_FLOW_STRICT || strategy->keep_slots,
	};
	allocate(arena, &run);
	sort_readers(&run);
	pa_flow_memory_init(&run);
	run_clock(&run);
	pa_arena_done(&scratch);
}
