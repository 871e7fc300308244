/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline/flow_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

/* Output that would cross the link for longer than this share of the task's run time is worth holding for. */
#define SPILL_SHARE .2

static bool looks_past_the_first(const struct pa_flow_run *run)
{
	return run->strategy->dispatch != PA_FLOW_STRICT || run->strategy->hold_spills;
}

static void find_missing(struct pa_flow_run *run, uint32_t task)
{
	const struct pa_flow_task *given = &run->view.flow->tasks[task];
	struct pa_flow_task_run *own = &run->tasks[task];
	own->missing_chunks = 0;
	own->missing_s = 0;
	for (size_t i = 0; i < given->read_count; i++) {
		uint32_t file = given->reads[i];
		uint32_t missing = run->view.flow->files[file].chunks - run->files[file].resident;
		own->missing_chunks += missing;
		own->missing_s += missing * pa_flow_chunk_s(run, file);
	}
}

void pa_flow_count_missing(struct pa_flow_run *run, uint32_t file, int64_t count)
{
	double seconds = (double)count * pa_flow_chunk_s(run, file);
	uint32_t end = run->view.graph->reader_begin[file + 1];
	for (uint32_t i = run->file_runs[file].next_reader; i < end; i++) {
		uint32_t task = run->readers_by_rank[i];
		if (run->phases[task] != PA_FLOW_READY)
			continue;
		run->tasks[task].missing_chunks -= (uint64_t)count;
		run->tasks[task].missing_s -= seconds;
	}
}

void pa_flow_make_ready(struct pa_flow_run *run, uint32_t task)
{
	run->phases[task] = PA_FLOW_READY;
	run->result->tasks[task].ready_s = run->view.now_s;
	if (run->counts_missing)
		find_missing(run, task);
	if (!looks_past_the_first(run)) {
		pa_heap_push(run->arena, &run->ready,
		             (struct pa_heap_entry){run->strategy->order_s[task], 0, task, 0});
		return;
	}
	run->ready_list[run->ready_count++] = task;
}

static bool is_before(const struct pa_flow_run *run, uint32_t a, uint32_t b)
{
	const double *order_s = run->strategy->order_s;
	return order_s[a] != order_s[b] ? order_s[a] < order_s[b] : a < b;
}

/* New ones stand unsorted at the end of the list; most often there are few. */
static void sort_ready(struct pa_flow_run *run)
{
	uint32_t *list = run->ready_list;
	for (; run->ready_sorted < run->ready_count; run->ready_sorted++) {
		uint32_t task = list[run->ready_sorted];
		uint32_t low = 0, high = run->ready_sorted;
		while (low < high) {
			uint32_t middle = low + (high - low) / 2;
			if (is_before(run, list[middle], task))
				low = middle + 1;
			else
				high = middle;
		}
		memmove(&list[low + 1], &list[low], (run->ready_sorted - low) * sizeof(*list));
		list[low] = task;
	}
}

static bool is_spilling(const struct pa_flow_run *run, uint32_t task)
{
	const struct pa_flow *flow = run->view.flow;
	const struct pa_flow_task *given = &flow->tasks[task];
	double room_bytes = flow->memory_bytes - run->view.used_bytes, written_bytes = 0;
	double bytes_per_second = INFINITY;
	if (!run->strategy->hold_spills || run->computing == 0)
		return false;
	for (size_t i = 0; i < given->read_count; i++) {
		uint32_t file = given->reads[i];
		if (run->files[file].readers_left == 1)
			room_bytes += run->files[file].resident * run->file_runs[file].chunk_bytes;
	}
	for (size_t i = 0; i < given->write_count; i++) {
		uint32_t file = given->writes[i];
		if (run->files[file].readers_left == 0)
			continue;
		written_bytes += (double)flow->files[file].bytes;
		bytes_per_second =
		    fmin(bytes_per_second, flow->links[flow->files[file].link].bytes_per_second);
	}
	return (written_bytes - room_bytes) / bytes_per_second > SPILL_SHARE * given->duration_s;
}

/* The place in the list of the task that goes next; ready_count: none. */
static uint32_t choose(struct pa_flow_run *run)
{
	const struct pa_flow_strategy *strategy = run->strategy;
	uint32_t best = run->ready_count;
	double best_score = INFINITY;
	for (uint32_t i = 0; i < run->ready_count; i++) {
		uint32_t task = run->ready_list[i];
		if (strategy->hold_spills && is_spilling(run, task))
			continue;
		if (strategy->dispatch == PA_FLOW_STRICT)
			return i;
		if (strategy->dispatch == PA_FLOW_LOADED_FIRST) {
			if (run->tasks[task].missing_chunks == 0)
				return i;
			if (best == run->ready_count)
				best = i;
			continue;
		}
		double score = strategy->order_s[task] + strategy->weight * run->tasks[task].missing_s;
		if (score < best_score) {
			best_score = score;
			best = i;
		}
	}
	return best;
}

/* The pick's data is on its way and something goes on meanwhile. */
static bool should_wait(const struct pa_flow_run *run, uint32_t task)
{
	if (!run->strategy->keep_slots || run->tasks[task].missing_chunks == 0 ||
	    run->view.graph->read_bytes[task] > run->view.flow->memory_bytes)
		return false;
	if (run->occupied > 0)
		return true;
	for (uint32_t i = 0; i < run->view.flow->link_count; i++)
		if (run->links[i].busy)
			return true;
	return false;
}

uint32_t pa_flow_pick(struct pa_flow_run *run)
{
	if (!looks_past_the_first(run)) {
		if (run->ready.count == 0 || should_wait(run, run->ready.entries[0].index))
			return PA_FLOW_NONE;
		return pa_heap_pop(&run->ready).index;
	}
	sort_ready(run);
	uint32_t place = choose(run);
	if (place == run->ready_count)
		return PA_FLOW_NONE;
	uint32_t task = run->ready_list[place];
	if (should_wait(run, task))
		return PA_FLOW_NONE;
	run->ready_count--;
	run->ready_sorted--;
	memmove(&run->ready_list[place], &run->ready_list[place + 1],
	        (run->ready_count - place) * sizeof(*run->ready_list));
	return task;
}
