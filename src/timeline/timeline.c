/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline/timeline.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "timeline/timeline_internal.h"

static void run_task(struct pa_engine *engine, uint32_t task)
{
	struct pa_timeline_task_result *result = &engine->result->tasks[task];
	engine->tasks[task].phase = PA_PHASE_RUNNING;
	result->run_s = fmax(engine->now_s, result->start_s);
	pa_heap_push(engine->arena, &engine->ends,
	             (struct pa_heap_entry){engine->now_s + engine->tasks[task].remaining_s, 0, task, 0});
}

void pa_engine_satisfy(struct pa_engine *engine, uint32_t task)
{
	struct pa_task_state *state = &engine->tasks[task];
	if (--state->missing > 0)
		return;
	if (state->phase == PA_PHASE_WAITING)
		run_task(engine, task);
	else if (state->phase == PA_PHASE_READY)
		pa_heap_push(engine->arena, &engine->loaded,
		             (struct pa_heap_entry){engine->input->tasks[task].priority, 0, task, 0});
}

static void start_task(struct pa_engine *engine, uint32_t task)
{
	const struct pa_timeline_task *given = &engine->input->tasks[task];
	struct pa_task_state *state = &engine->tasks[task];

	engine->running++;
	state->phase = PA_PHASE_WAITING;
	for (size_t i = 0; !engine->local && i < given->read_count; i++) {
		pa_ledger_pin(engine, given->reads[i]);
		if (engine->extents[given->reads[i]].place != PA_PLACE_RESIDENT)
			pa_transfer_demand(engine, task, (uint32_t)i);
	}
	if (state->missing == 0)
		run_task(engine, task);
}

static void make_ready(struct pa_engine *engine, uint32_t task)
{
	const struct pa_timeline_task *given = &engine->input->tasks[task];
	struct pa_heap_entry entry = {given->priority, 0, task, 0};

	engine->tasks[task].phase = PA_PHASE_READY;
	engine->result->tasks[task].ready_s = engine->now_s;
	pa_heap_push(engine->arena, &engine->ready, entry);
	if (engine->tasks[task].missing == 0)
		pa_heap_push(engine->arena, &engine->loaded, entry);
}

/* All before it have ended. */
static void unblock(struct pa_engine *engine, uint32_t task)
{
	double not_before_s = engine->input->tasks[task].not_before_s;
	if (not_before_s > engine->now_s)
		pa_heap_push(engine->arena, &engine->delayed,
		             (struct pa_heap_entry){not_before_s, 0, task, 0});
	else
		make_ready(engine, task);
}

static void release_successors(struct pa_engine *engine, uint32_t task)
{
	for (size_t i = engine->successor_begin[task]; i < engine->successor_begin[task + 1]; i++) {
		uint32_t next = engine->successors[i];
		if (--engine->tasks[next].after_left == 0 && engine->tasks[next].phase == PA_PHASE_BLOCKED)
			unblock(engine, next);
	}
}

static void end_task(struct pa_engine *engine, uint32_t task)
{
	const struct pa_timeline_task *given = &engine->input->tasks[task];
	engine->tasks[task].phase = PA_PHASE_DONE;
	engine->result->tasks[task].end_s = engine->now_s;
	engine->running--;
	for (size_t i = 0; !engine->local && i < given->read_count; i++)
		pa_ledger_unpin(engine, given->reads[i]);
	release_successors(engine, task);
}

/* The next ready task of a queue; entries of tasks that have started or lost their data are stale. */
static bool next_of(struct pa_engine *engine, struct pa_heap *queue, bool with_data, uint32_t *ret_task)
{
	while (queue->count > 0) {
		uint32_t task = pa_heap_pop(queue).index;
		const struct pa_task_state *state = &engine->tasks[task];
		if (state->phase == PA_PHASE_READY && (!with_data || state->missing == 0)) {
			*ret_task = task;
			return true;
		}
	}
	return false;
}

/* The task that would have been next by the order alone remembers who went before it. */
static void note_overtaking(struct pa_engine *engine, uint32_t task)
{
	while (engine->ready.count > 0 &&
	       engine->tasks[engine->ready.entries[0].index].phase != PA_PHASE_READY)
		pa_heap_pop(&engine->ready);
	uint32_t first = engine->ready.count > 0 ? engine->ready.entries[0].index : task;
	struct pa_timeline_task_result *result = &engine->result->tasks[first];
	if (first != task && result->overtaken_by == UINT32_MAX) {
		result->overtaken_by = task;
		result->overtaken_s = engine->now_s;
	}
}

static void dispatch(struct pa_engine *engine)
{
	while (engine->running < engine->input->slots) {
		uint32_t task;
		if (engine->input->data_first && next_of(engine, &engine->loaded, true, &task))
			note_overtaking(engine, task);
		else if (!next_of(engine, &engine->ready, false, &task))
			return;
		engine->result->tasks[task].start_s = engine->now_s;
		start_task(engine, task);
	}
}

static double next_event_s(struct pa_engine *engine)
{
	double next_s = pa_transfer_advance(engine);
	const struct pa_heap *queues[] = {&engine->ends, &engine->arrivals, &engine->delayed};
	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		if (queues[i]->count > 0 && queues[i]->entries[0].first < next_s)
			next_s = queues[i]->entries[0].first;
	}
	return next_s;
}

/* Ends come before arrivals, so that memory is free when the next transfer looks for it. */
static void process_events(struct pa_engine *engine)
{
	while (engine->ends.count > 0 && engine->ends.entries[0].first <= engine->now_s)
		end_task(engine, pa_heap_pop(&engine->ends).index);
	while (engine->arrivals.count > 0 && engine->arrivals.entries[0].first <= engine->now_s)
		pa_transfer_arrive(engine, pa_heap_pop(&engine->arrivals).index);
	while (engine->delayed.count > 0 && engine->delayed.entries[0].first <= engine->now_s)
		make_ready(engine, pa_heap_pop(&engine->delayed).index);
}

/* A task that is under way when the clock starts. */
static void resume_task(struct pa_engine *engine, uint32_t task)
{
	const struct pa_timeline_task *given = &engine->input->tasks[task];
	double total_bytes = 0, resident_bytes = 0;

	for (size_t i = 0; !engine->local && i < given->read_count; i++) {
		const struct pa_timeline_extent *extent = &engine->input->extents[given->reads[i]];
		total_bytes += (double)extent->bytes;
		resident_bytes += extent->resident ? (double)extent->bytes : 0;
	}
	double progress_s = fmin(-given->started_s, given->duration_s);
	if (total_bytes > 0)
		progress_s = fmin(progress_s, given->duration_s * resident_bytes / total_bytes);
	engine->tasks[task].remaining_s = given->duration_s - progress_s;
	engine->result->tasks[task].ready_s = given->started_s;
	engine->result->tasks[task].start_s = given->started_s;
	start_task(engine, task);
	/* Its data is there already: it did not wait until now. */
	if (engine->tasks[task].phase == PA_PHASE_RUNNING)
		engine->result->tasks[task].run_s = given->started_s;
}

static void set_ended(struct pa_engine *engine, uint32_t task)
{
	const struct pa_timeline_task *given = &engine->input->tasks[task];
	double started_s = isnan(given->started_s) ? given->ended_s : given->started_s;
	engine->tasks[task].phase = PA_PHASE_DONE;
	engine->result->tasks[task] =
	    (struct pa_timeline_task_result){started_s, started_s, started_s, given->ended_s, UINT32_MAX, 0};
}

static void start_clock(struct pa_engine *engine)
{
	const struct pa_timeline_input *input = engine->input;

	for (uint32_t i = 0; i < input->task_count; i++) {
		const struct pa_timeline_task *task = &input->tasks[i];
		for (size_t j = 0; j < task->after_count; j++)
			engine->tasks[i].after_left += isnan(input->tasks[task->after[j]].ended_s);
		engine->tasks[i].remaining_s = task->duration_s;
	}
	for (uint32_t i = 0; i < input->task_count; i++) {
		if (engine->tasks[i].phase == PA_PHASE_BLOCKED && !isnan(input->tasks[i].started_s))
			resume_task(engine, i);
	}
	for (uint32_t i = 0; i < input->task_count; i++) {
		if (engine->tasks[i].phase == PA_PHASE_BLOCKED && engine->tasks[i].after_left == 0)
			unblock(engine, i);
	}
}

/* The successors of each task; PA_ERROR_INPUT for a cycle. */
static int link_tasks(struct pa_engine *engine, struct pa_error *err)
{
	const struct pa_timeline_input *input = engine->input;
	size_t count = input->task_count;
	size_t *begin = pa_arena_array(engine->arena, count + 2, sizeof(*begin));
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < input->tasks[i].after_count; j++)
			begin[input->tasks[i].after[j] + 2]++;
	}
	for (size_t i = 2; i < count + 2; i++)
		begin[i] += begin[i - 1];
	/* Counting sort: begin[i + 1] is where the next successor of i goes, at last where i + 1 begins. */
	engine->successors = pa_arena_array(engine->arena, begin[count + 1] + 1, sizeof(*engine->successors));
	for (uint32_t i = 0; i < count; i++) {
		for (size_t j = 0; j < input->tasks[i].after_count; j++)
			engine->successors[begin[input->tasks[i].after[j] + 1]++] = i;
	}
	engine->successor_begin = begin;

	uint32_t *order = pa_arena_array(engine->arena, count + 1, sizeof(*order));
	size_t *left = pa_arena_array(engine->arena, count + 1, sizeof(*left));
	size_t found = 0;
	for (uint32_t i = 0; i < count; i++) {
		left[i] = input->tasks[i].after_count;
		if (left[i] == 0)
			order[found++] = i;
	}
	for (size_t at = 0; at < found; at++) {
		for (size_t i = begin[order[at]]; i < begin[order[at] + 1]; i++) {
			if (--left[engine->successors[i]] == 0)
				order[found++] = engine->successors[i];
		}
	}
	for (uint32_t i = 0; found < count && i < count; i++) {
		if (left[i] > 0)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "task %u is on a cycle, or after one: tasks must form a DAG", i);
	}
	return 0;
}

struct local_reader {
	double start_s;
	uint32_t task;
};

static int compare_local_readers(const void *left, const void *right)
{
	const struct local_reader *a = left, *b = right;
	if (a->start_s != b->start_s)
		return a->start_s < b->start_s ? -1 : 1;
	return (a->task > b->task) - (a->task < b->task);
}

/* Readers of each extent, soonest first, so that the next one is found by moving a cursor. */
static void sort_readers(struct pa_engine *engine, uint32_t extent)
{
	size_t begin = engine->reader_begin[extent], count = engine->reader_begin[extent + 1] - begin;
	if (count < 2)
		return;
	struct local_reader *sorted = pa_arena_array(engine->arena, count, sizeof(*sorted));
	for (size_t i = 0; i < count; i++) {
		uint32_t task = engine->readers[begin + i].task;
		sorted[i] = (struct local_reader){engine->local_start_s[task], task};
	}
	qsort(sorted, count, sizeof(*sorted), compare_local_readers);
	for (size_t i = 0; i < count; i++)
		engine->readers[begin + i].task = sorted[i].task;
}

static void link_readers(struct pa_engine *engine)
{
	const struct pa_timeline_input *input = engine->input;
	size_t *begin = pa_arena_array(engine->arena, input->extent_count + 2, sizeof(*begin));
	for (size_t i = 0; i < input->task_count; i++) {
		for (size_t j = 0; j < input->tasks[i].read_count; j++)
			begin[input->tasks[i].reads[j] + 2]++;
	}
	for (size_t i = 2; i < input->extent_count + 2; i++)
		begin[i] += begin[i - 1];
	engine->readers =
	    pa_arena_array(engine->arena, begin[input->extent_count + 1] + 1, sizeof(*engine->readers));
	for (uint32_t i = 0; i < input->task_count; i++) {
		for (size_t j = 0; j < input->tasks[i].read_count; j++)
			engine->readers[begin[input->tasks[i].reads[j] + 1]++].task = i;
	}
	engine->reader_begin = begin;
	for (uint32_t i = 0; engine->local_start_s && i < input->extent_count; i++)
		sort_readers(engine, i);
}

/* What is in memory, and which reads it satisfies, before the first event. */
static void fill_memory(struct pa_engine *engine)
{
	const struct pa_timeline_input *input = engine->input;
	for (uint32_t i = 0; i < input->extent_count; i++) {
		struct pa_extent_state *state = &engine->extents[i];
		bool resident = input->extents[i].resident;
		state->place = resident ? PA_PLACE_RESIDENT : PA_PLACE_ABSENT;
		state->next_reader = engine->reader_begin[i];
		if (resident)
			pa_ledger_take(engine, (double)input->extents[i].bytes);
		for (size_t j = engine->reader_begin[i]; j < engine->reader_begin[i + 1]; j++) {
			uint32_t task = engine->readers[j].task;
			engine->readers[j].has = resident;
			engine->tasks[task].missing += !resident;
			state->readers_left += isnan(input->tasks[task].ended_s);
		}
		if (resident)
			pa_ledger_settle(engine, i);
	}
}

static int run_engine(struct pa_engine *engine, struct pa_error *err)
{
	const struct pa_timeline_input *input = engine->input;
	engine->tasks = pa_arena_array(engine->arena, input->task_count, sizeof(*engine->tasks));
	int failed = link_tasks(engine, err);
	if (failed)
		return failed;
	for (uint32_t i = 0; i < input->task_count; i++) {
		if (!isnan(input->tasks[i].ended_s))
			set_ended(engine, i);
	}
	if (!engine->local) {
		engine->extents =
		    pa_arena_array(engine->arena, input->extent_count, sizeof(*engine->extents));
		engine->links = pa_arena_array(engine->arena, input->link_count, sizeof(*engine->links));
		link_readers(engine);
		fill_memory(engine);
		pa_transfer_queue_planned(engine);
	}
	start_clock(engine);
	if (!engine->local)
		pa_ledger_make_room(engine, 0, -INFINITY);
	for (;;) {
		dispatch(engine);
		if (!engine->local)
			pa_transfer_start(engine);
		double next_s = next_event_s(engine);
		if (next_s == INFINITY)
			return 0;
		engine->now_s = next_s;
		pa_transfer_advance(engine);
		process_events(engine);
	}
}

static void allocate_result(struct pa_arena *arena, const struct pa_timeline_input *input, bool local,
                            struct pa_timeline_result *ret)
{
	*ret = (struct pa_timeline_result){0};
	ret->tasks = pa_arena_array(arena, input->task_count, sizeof(*ret->tasks));
	for (size_t i = 0; i < input->task_count; i++)
		ret->tasks[i].overtaken_by = UINT32_MAX;
	ret->link_bytes = pa_arena_array(arena, input->link_count, sizeof(*ret->link_bytes));
	if (local)
		return;
	ret->extents = pa_arena_array(arena, input->extent_count, sizeof(*ret->extents));
	for (size_t i = 0; i < input->extent_count; i++)
		ret->extents[i] = (struct pa_timeline_extent_result){NAN, NAN, false, false, 0};
}

/* When each task starts if all data is local: how far away the readers of an extent are. */
static int find_local_starts(struct pa_engine *engine, struct pa_error *err)
{
	const struct pa_timeline_input *input = engine->input;
	struct pa_timeline_result result;
	struct pa_engine local = {.arena = engine->arena, .input = input, .result = &result, .local = true};
	allocate_result(engine->arena, input, true, &result);
	int failed = run_engine(&local, err);
	if (failed)
		return failed;
	double *start_s = pa_arena_array(engine->arena, input->task_count, sizeof(*start_s));
	for (size_t i = 0; i < input->task_count; i++)
		start_s[i] = result.tasks[i].start_s;
	engine->local_start_s = start_s;
	return 0;
}

static void sum_up(const struct pa_timeline_input *input, struct pa_timeline_result *result)
{
	for (size_t i = 0; i < input->task_count; i++) {
		const struct pa_timeline_task_result *task = &result->tasks[i];
		result->makespan_s = fmax(result->makespan_s, task->end_s);
		result->stall_s += fmax(task->run_s - fmax(task->start_s, 0), 0);
	}
}

int pa_timeline_run(struct pa_arena *arena, const struct pa_timeline_input *input,
                    struct pa_timeline_result *ret, struct pa_error *err)
{
	int failed = pa_timeline_check(input, err);
	if (failed)
		return failed;
	struct pa_arena scratch = PA_ARENA_INIT;
	struct pa_timeline_result result;
	struct pa_engine engine = {.arena = &scratch, .input = input, .result = &result};
	double extent_bytes = 0;
	for (size_t i = 0; i < input->extent_count; i++)
		extent_bytes += (double)input->extents[i].bytes;
	engine.short_of_memory = extent_bytes > input->memory_bytes;
	allocate_result(arena, input, false, &result);
	if (engine.short_of_memory)
		failed = find_local_starts(&engine, err);
	if (!failed)
		failed = run_engine(&engine, err);
	pa_arena_done(&scratch);
	if (failed)
		return failed;
	sum_up(input, &result);
	*ret = result;
	return 0;
}
