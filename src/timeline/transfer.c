/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline/timeline_internal.h"

#include <math.h>

#include "base/arena.h"

void pa_transfer_queue_planned(struct pa_engine *engine)
{
	for (size_t i = 0; i < engine->input->transfer_count; i++) {
		const struct pa_timeline_transfer *transfer = &engine->input->transfers[i];
		struct pa_link_state *link = &engine->links[engine->input->extents[transfer->extent].link];
		pa_heap_push(engine->arena, &link->later,
		             (struct pa_heap_entry){transfer->not_before_s, transfer->order, (uint32_t)i, 0});
	}
	pa_transfer_advance(engine);
}

double pa_transfer_advance(struct pa_engine *engine)
{
	double next_s = INFINITY;
	for (size_t i = 0; engine->links && i < engine->input->link_count; i++) {
		struct pa_link_state *link = &engine->links[i];
		while (link->later.count > 0 && link->later.entries[0].first <= engine->now_s) {
			struct pa_heap_entry due = pa_heap_pop(&link->later);
			pa_heap_push(engine->arena, &link->eligible,
			             (struct pa_heap_entry){due.second, 0, due.index, 0});
		}
		if (link->later.count > 0 && link->later.entries[0].first < next_s)
			next_s = link->later.entries[0].first;
	}
	return next_s;
}

void pa_transfer_demand(struct pa_engine *engine, uint32_t task, uint32_t position)
{
	uint32_t extent = engine->input->tasks[task].reads[position];
	engine->extents[extent].wanted++;
	if (engine->extents[extent].place != PA_PLACE_ABSENT)
		return;
	struct pa_link_state *link = &engine->links[engine->input->extents[extent].link];
	pa_heap_push(
	    engine->arena, &link->demand,
	    (struct pa_heap_entry){engine->now_s, engine->input->tasks[task].priority, task, position});
}

static void begin(struct pa_engine *engine, uint32_t extent, double requested_s, bool has_room)
{
	const struct pa_timeline_extent *given = &engine->input->extents[extent];
	const struct pa_timeline_link *link = &engine->input->links[given->link];
	struct pa_timeline_extent_result *result = &engine->result->extents[extent];
	double bytes = (double)given->bytes;

	engine->extents[extent].place = PA_PLACE_MOVING;
	engine->extents[extent].has_room = has_room;
	if (has_room)
		pa_ledger_take(engine, bytes);
	else
		engine->result->bypassed_bytes += bytes;
	engine->result->fetched_bytes += bytes;
	engine->result->link_bytes[given->link] += bytes;
	if (isnan(result->requested_s))
		result->requested_s = engine->now_s;
	result->bypassed |= !has_room;
	result->fetches++;
	engine->links[given->link].busy = true;
	engine->links[given->link].blocked = false;
	double first_byte_s = fmax(engine->now_s, requested_s + link->latency_s);
	pa_heap_push(engine->arena, &engine->arrivals,
	             (struct pa_heap_entry){first_byte_s + bytes / link->bytes_per_second, 0, extent, 0});
}

static bool start_demand(struct pa_engine *engine, struct pa_link_state *link)
{
	while (link->demand.count > 0) {
		struct pa_heap_entry top = pa_heap_pop(&link->demand);
		uint32_t extent = engine->input->tasks[top.index].reads[top.position];
		if (engine->extents[extent].place != PA_PLACE_ABSENT || engine->extents[extent].wanted == 0)
			continue;
		/* Its next use is now: it may displace whatever no started task reads. */
		bool has_room =
		    pa_ledger_make_room(engine, (double)engine->input->extents[extent].bytes, -INFINITY);
		engine->result->extents[extent].demand = true;
		begin(engine, extent, top.first, has_room);
		return true;
	}
	return false;
}

/* Whether a planned transfer still has a purpose and could ever fit. */
static bool is_useful(const struct pa_engine *engine, uint32_t extent)
{
	const struct pa_extent_state *state = &engine->extents[extent];
	const struct pa_timeline_extent *given = &engine->input->extents[extent];
	return state->place == PA_PLACE_ABSENT && (state->readers_left > 0 || given->keep_after) &&
	       (double)given->bytes <= engine->input->memory_bytes;
}

static void start_planned(struct pa_engine *engine, struct pa_link_state *link)
{
	while (link->eligible.count > 0) {
		const struct pa_timeline_transfer *transfer =
		    &engine->input->transfers[link->eligible.entries[0].index];
		uint32_t extent = transfer->extent;
		if (!is_useful(engine, extent)) {
			pa_heap_pop(&link->eligible);
			continue;
		}
		if (!pa_ledger_make_room(engine, (double)engine->input->extents[extent].bytes,
		                         pa_ledger_next_use(engine, extent))) {
			link->blocked = true;
			return;
		}
		pa_heap_pop(&link->eligible);
		/* What waited for room could not be asked for earlier. */
		begin(engine, extent, link->blocked ? engine->now_s : transfer->not_before_s, true);
		return;
	}
}

void pa_transfer_start(struct pa_engine *engine)
{
	for (size_t i = 0; i < engine->input->link_count; i++) {
		struct pa_link_state *link = &engine->links[i];
		if (!link->busy && !start_demand(engine, link))
			start_planned(engine, link);
	}
}

void pa_transfer_arrive(struct pa_engine *engine, uint32_t extent)
{
	struct pa_extent_state *state = &engine->extents[extent];
	bool resident = state->has_room;
	engine->links[engine->input->extents[extent].link].busy = false;
	state->place = resident ? PA_PLACE_RESIDENT : PA_PLACE_ABSENT;
	if (isnan(engine->result->extents[extent].arrived_s))
		engine->result->extents[extent].arrived_s = engine->now_s;
	for (size_t i = engine->reader_begin[extent]; i < engine->reader_begin[extent + 1]; i++) {
		struct pa_reader *reader = &engine->readers[i];
		enum pa_task_phase phase = engine->tasks[reader->task].phase;
		if (reader->has || phase >= PA_PHASE_RUNNING || (!resident && phase != PA_PHASE_WAITING))
			continue;
		reader->has = true;
		if (phase == PA_PHASE_WAITING)
			state->wanted--;
		pa_engine_satisfy(engine, reader->task);
	}
	if (resident && state->pins == 0)
		pa_ledger_settle(engine, extent);
}
