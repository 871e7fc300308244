/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan_internal.h"

#include <math.h>

#include "base/arena.h"
#include "base/error.h"

#define PIECE_LEAST_BYTES  (1u << 20)
#define PIECES_OF_MEMORY   32    /* when memory is short, a piece is at most this part of it … */
#define PIECES_OF_ALL_DATA 65536 /* … unless there would be more pieces than this */

bool pa_plan_is_live(const struct pa_planner *planner, size_t task)
{
	return isnan(planner->ended_s[task]) && !planner->skipped[task];
}

bool pa_plan_is_planned(const struct pa_planner *planner, size_t task)
{
	if (!pa_plan_is_live(planner, task))
		return false;
	return !isnan(planner->started_s[task]) ||
	       planner->input->forecast->tasks[task].probability >= PA_PLAN_LEAST_PROBABILITY;
}

static int check_extents(const struct pa_plan_input *input, struct pa_error *err)
{
	for (size_t i = 0; i < input->data_set_count; i++) {
		if (input->data_sets[i].link >= input->link_count)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "data set \"%s\" comes over link %u: there are only %zu links",
			                    input->data_sets[i].name, input->data_sets[i].link,
			                    input->link_count);
	}
	for (size_t i = 0; i < input->extent_count; i++) {
		const struct pa_plan_extent *extent = &input->extents[i];
		if (extent->data_set >= input->data_set_count || extent->resident_bytes > extent->bytes)
			return pa_error_set(
			    err, PA_ERROR_INPUT,
			    "extent %zu (\"%s\"): data set %u of %zu, %ju of %ju bytes resident; name "
			    "a data set that exists and no more than the extent holds",
			    i, extent->path, extent->data_set, input->data_set_count,
			    (uintmax_t)extent->resident_bytes, (uintmax_t)extent->bytes);
	}
	for (size_t i = 0; i < input->read_count; i++) {
		if (input->reads[i].task >= input->pipeline->task_count ||
		    input->reads[i].extent >= input->extent_count)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "read %zu: task %u of %zu, extent %u of %zu; both must exist", i,
			                    input->reads[i].task, input->pipeline->task_count,
			                    input->reads[i].extent, input->extent_count);
	}
	return 0;
}

/* The extents of each task, in the order of the input's reads, each once. */
static void group_reads(struct pa_planner *planner)
{
	const struct pa_plan_input *input = planner->input;
	size_t task_count = planner->graph.task_count;
	size_t *begin = pa_arena_array(planner->scratch, task_count + 2, sizeof(*begin));
	for (size_t i = 0; i < input->read_count; i++)
		begin[input->reads[i].task + 2]++;
	for (size_t i = 2; i < task_count + 2; i++)
		begin[i] += begin[i - 1];
	uint32_t *extents = pa_arena_array(planner->scratch, input->read_count, sizeof(*extents));
	for (size_t i = 0; i < input->read_count; i++)
		extents[begin[input->reads[i].task + 1]++] = input->reads[i].extent;

	uint32_t *last_task = pa_arena_array(planner->scratch, input->extent_count, sizeof(*last_task));
	size_t kept = 0, at = 0;
	for (uint32_t task = 0; task < task_count; task++) {
		size_t end = begin[task + 1];
		begin[task] = kept;
		for (; at < end; at++) {
			if (last_task[extents[at]] == task + 1)
				continue;
			last_task[extents[at]] = task + 1;
			extents[kept++] = extents[at];
		}
	}
	begin[task_count] = kept;
	planner->read_begin = begin;
	planner->read_extents = extents;
}

/* Who reads each extent, when first, and how much waits for it. */
static void find_needs(struct pa_planner *planner)
{
	size_t count = planner->input->extent_count;
	planner->need_s = pa_arena_array(planner->scratch, count, sizeof(*planner->need_s));
	planner->tail_s = pa_arena_array(planner->scratch, count, sizeof(*planner->tail_s));
	planner->first_task = pa_arena_array(planner->scratch, count, sizeof(*planner->first_task));
	planner->has_reader = pa_arena_array(planner->scratch, count, sizeof(*planner->has_reader));
	planner->has_live_reader = pa_arena_array(planner->scratch, count, sizeof(*planner->has_live_reader));
	for (size_t i = 0; i < count; i++) {
		planner->need_s[i] = INFINITY;
		planner->first_task[i] = UINT32_MAX;
	}
	for (uint32_t task = 0; task < planner->graph.task_count; task++) {
		double early_s = planner->spread.start_s[task].quantiles[0];
		double tail_s = planner->spread.lanes.tail_s[planner->spread.lanes.first[task]];
		for (size_t i = planner->read_begin[task]; i < planner->read_begin[task + 1]; i++) {
			uint32_t extent = planner->read_extents[i];
			planner->has_reader[extent] = true;
			planner->has_live_reader[extent] |= pa_plan_is_live(planner, task);
			if (!pa_plan_is_planned(planner, task))
				continue;
			planner->tail_s[extent] = fmax(planner->tail_s[extent], tail_s);
			if (early_s < planner->need_s[extent]) {
				planner->need_s[extent] = early_s;
				planner->first_task[extent] = task;
			}
		}
	}
}

/* How large a piece may be: extents stay whole unless memory is short of what is read. */
static uint64_t piece_limit(struct pa_planner *planner)
{
	const struct pa_plan_input *input = planner->input;
	double total = 0;
	for (size_t i = 0; i < input->extent_count; i++) {
		const struct pa_plan_extent *extent = &input->extents[i];
		total +=
		    (double)(planner->first_task[i] != UINT32_MAX ? extent->bytes : extent->resident_bytes);
	}
	planner->short_of_memory = total > input->memory_bytes;
	if (!planner->short_of_memory)
		return UINT64_MAX;
	double limit = fmax(input->memory_bytes / PIECES_OF_MEMORY, total / PIECES_OF_ALL_DATA);
	limit = fmax(floor(limit / PIECE_LEAST_BYTES), 1) * PIECE_LEAST_BYTES;
	return (uint64_t)limit;
}

static uint64_t pieces_in(uint64_t bytes, uint64_t limit)
{
	return bytes / limit + (bytes % limit > 0);
}

static void add_pieces(struct pa_planner *planner, uint32_t extent, uint64_t begin, uint64_t end,
                       uint64_t limit, bool resident)
{
	const struct pa_plan_input *input = planner->input;
	while (begin < end) {
		uint64_t bytes = end - begin < limit ? end - begin : limit;
		planner->pieces[planner->piece_count] = (struct pa_piece){extent, begin, bytes};
		planner->piece_extents[planner->piece_count++] = (struct pa_timeline_extent){
		    .bytes = bytes,
		    .link = input->data_sets[input->extents[extent].data_set].link,
		    .resident = resident,
		    /* Data of other pipelines, and of tasks that may yet run, is not dropped without need. */
		    .keep_after = !planner->has_reader[extent] || (planner->has_live_reader[extent] &&
		                                                   planner->first_task[extent] == UINT32_MAX),
		};
		begin += bytes;
	}
}

static int cut_pieces(struct pa_planner *planner, struct pa_error *err)
{
	const struct pa_plan_input *input = planner->input;
	uint64_t limit = piece_limit(planner), count = 0;
	for (size_t i = 0; i < input->extent_count; i++) {
		uint64_t resident = input->extents[i].resident_bytes;
		count += pieces_in(resident, limit) + pieces_in(input->extents[i].bytes - resident, limit);
		if (count > INT32_MAX)
			return pa_error_set(
			    err, PA_ERROR_INPUT,
			    "the extents are more than %d pieces of %ju bytes; give larger extents or "
			    "more memory",
			    INT32_MAX, (uintmax_t)limit);
	}
	planner->pieces = pa_arena_array(planner->scratch, count, sizeof(*planner->pieces));
	planner->piece_extents = pa_arena_array(planner->scratch, count, sizeof(*planner->piece_extents));
	planner->piece_begin =
	    pa_arena_array(planner->scratch, input->extent_count + 1, sizeof(*planner->piece_begin));
	for (uint32_t i = 0; i < input->extent_count; i++) {
		const struct pa_plan_extent *extent = &input->extents[i];
		planner->piece_begin[i] = planner->piece_count;
		add_pieces(planner, i, 0, extent->resident_bytes, limit, true);
		add_pieces(planner, i, extent->resident_bytes, extent->bytes, limit, false);
	}
	planner->piece_begin[input->extent_count] = planner->piece_count;
	return 0;
}

/* The lanes of the forecast, each with the pieces that its task reads. */
static void give_reads(struct pa_planner *planner)
{
	const struct pa_lanes *lanes = &planner->spread.lanes;
	planner->lanes = pa_arena_array(planner->scratch, lanes->count, sizeof(*planner->lanes));
	for (size_t task = 0; task < planner->graph.task_count; task++) {
		size_t count = 0;
		bool planned = pa_plan_is_planned(planner, task);
		size_t begin = planner->read_begin[task];
		size_t end = planned ? planner->read_begin[task + 1] : begin;
		for (size_t i = begin; i < end; i++) {
			uint32_t extent = planner->read_extents[i];
			count += planner->piece_begin[extent + 1] - planner->piece_begin[extent];
		}
		uint32_t *reads = pa_arena_array(planner->scratch, count, sizeof(*reads));
		size_t at = 0;
		for (size_t i = begin; i < end; i++) {
			uint32_t extent = planner->read_extents[i];
			for (uint32_t j = planner->piece_begin[extent]; j < planner->piece_begin[extent + 1];
			     j++)
				reads[at++] = j;
		}
		for (uint32_t lane = lanes->first[task]; lane < lanes->first[task + 1]; lane++) {
			planner->lanes[lane] = lanes->tasks[lane];
			planner->lanes[lane].reads = reads;
			planner->lanes[lane].read_count = count;
		}
	}
}

int pa_layout_make(struct pa_planner *planner, struct pa_error *err)
{
	const struct pa_plan_input *input = planner->input;
	int failed = check_extents(input, err);
	if (failed)
		return failed;
	group_reads(planner);
	find_needs(planner);
	failed = cut_pieces(planner, err);
	if (failed)
		return failed;
	give_reads(planner);
	planner->links = pa_arena_array(planner->scratch, input->link_count, sizeof(*planner->links));
	for (size_t i = 0; i < input->link_count; i++)
		planner->links[i] =
		    (struct pa_timeline_link){input->links[i].bytes_per_second, input->links[i].latency_s};
	return 0;
}
