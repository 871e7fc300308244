/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline/timeline_internal.h"

#include <math.h>

#include "base/arena.h"

void pa_ledger_take(struct pa_engine *engine, double bytes)
{
	engine->used_bytes += bytes;
	if (engine->used_bytes > engine->result->peak_memory_bytes)
		engine->result->peak_memory_bytes = engine->used_bytes;
}

double pa_ledger_next_use(struct pa_engine *engine, uint32_t extent)
{
	struct pa_extent_state *state = &engine->extents[extent];
	if (!engine->local_start_s)
		return 0;
	size_t end = engine->reader_begin[extent + 1];
	while (state->next_reader < end &&
	       engine->tasks[engine->readers[state->next_reader].task].phase > PA_PHASE_READY)
		state->next_reader++;
	if (state->next_reader == end)
		return INFINITY;
	return engine->local_start_s[engine->readers[state->next_reader].task];
}

static void open_to_eviction(struct pa_engine *engine, uint32_t extent)
{
	pa_heap_push(engine->arena, &engine->victims,
	             (struct pa_heap_entry){-pa_ledger_next_use(engine, extent), 0, extent, 0});
}

void pa_ledger_settle(struct pa_engine *engine, uint32_t extent)
{
	struct pa_extent_state *state = &engine->extents[extent];
	const struct pa_timeline_extent *given = &engine->input->extents[extent];
	if (state->readers_left == 0 && !given->keep_after) {
		state->place = PA_PLACE_ABSENT;
		engine->used_bytes -= (double)given->bytes;
		return;
	}
	engine->evictable_bytes += (double)given->bytes;
	if (engine->short_of_memory)
		open_to_eviction(engine, extent);
}

void pa_ledger_pin(struct pa_engine *engine, uint32_t extent)
{
	struct pa_extent_state *state = &engine->extents[extent];
	if (state->pins++ == 0 && state->place == PA_PLACE_RESIDENT)
		engine->evictable_bytes -= (double)engine->input->extents[extent].bytes;
}

void pa_ledger_unpin(struct pa_engine *engine, uint32_t extent)
{
	struct pa_extent_state *state = &engine->extents[extent];
	state->pins--;
	state->readers_left--;
	if (state->pins == 0 && state->place == PA_PLACE_RESIDENT)
		pa_ledger_settle(engine, extent);
}

static void evict(struct pa_engine *engine, uint32_t extent)
{
	struct pa_extent_state *state = &engine->extents[extent];
	double bytes = (double)engine->input->extents[extent].bytes;
	state->place = PA_PLACE_ABSENT;
	state->chosen = false;
	engine->used_bytes -= bytes;
	engine->evictable_bytes -= bytes;
	for (size_t i = engine->reader_begin[extent]; i < engine->reader_begin[extent + 1]; i++) {
		struct pa_reader *reader = &engine->readers[i];
		if (reader->has && engine->tasks[reader->task].phase <= PA_PHASE_READY) {
			reader->has = false;
			engine->tasks[reader->task].missing++;
		}
	}
}

/* The extent used furthest from now among those not chosen yet, if that is after `next_use_s`. */
static bool choose_victim(struct pa_engine *engine, double next_use_s, uint32_t *ret_extent)
{
	while (engine->victims.count > 0) {
		struct pa_heap_entry top = engine->victims.entries[0];
		struct pa_extent_state *state = &engine->extents[top.index];
		bool stale = state->place != PA_PLACE_RESIDENT || state->pins > 0 || state->chosen ||
		             -top.first != pa_ledger_next_use(engine, top.index);
		if (!stale && -top.first <= next_use_s)
			return false;
		pa_heap_pop(&engine->victims);
		if (stale)
			continue;
		state->chosen = true;
		*ret_extent = top.index;
		return true;
	}
	return false;
}

bool pa_ledger_make_room(struct pa_engine *engine, double bytes, double next_use_s)
{
	double excess = engine->used_bytes + bytes - engine->input->memory_bytes;
	if (excess <= 0)
		return true;
	if (engine->evictable_bytes < excess)
		return false;
	size_t count = 0;
	uint32_t victim;
	double freed = 0;
	while (freed < excess && choose_victim(engine, next_use_s, &victim)) {
		engine->chosen = pa_arena_grow(engine->arena, engine->chosen, count, &engine->chosen_capacity,
		                               sizeof(*engine->chosen));
		engine->chosen[count++] = victim;
		freed += (double)engine->input->extents[victim].bytes;
	}
	bool enough = freed >= excess;
	for (size_t i = 0; i < count; i++) {
		engine->extents[engine->chosen[i]].chosen = false;
		if (enough)
			evict(engine, engine->chosen[i]);
		else
			open_to_eviction(engine, engine->chosen[i]);
	}
	return enough;
}
