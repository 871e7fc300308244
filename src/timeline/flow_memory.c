/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline/flow_internal.h"

#include <math.h>

#include "base/arena.h"

/* Sums of chunk sizes are off by rounding; less than a byte is nothing. */
#define SLACK_BYTES .5

static struct pa_flow_place place_of(const struct pa_flow_run *run, uint32_t file)
{
	if (run->files[file].pins > 0)
		return (struct pa_flow_place){-INFINITY, 0};
	if (run->policy->place)
		return run->policy->place(run->strategy->policy_state, &run->view, file);
	return (struct pa_flow_place){run->next_rank[file], 0};
}

static void offer_victim(struct pa_flow_run *run, uint32_t file)
{
	struct pa_flow_file_run *own = &run->file_runs[file];
	if (run->files[file].resident == 0 || run->files[file].pins > 0) {
		own->victim_first = NAN;
		return;
	}
	struct pa_flow_place place = place_of(run, file);
	if (own->victim_first == -place.first && own->victim_second == -place.second)
		return;
	own->victim_first = -place.first;
	own->victim_second = -place.second;
	pa_heap_push(run->arena, &run->victims,
	             (struct pa_heap_entry){own->victim_first, own->victim_second, file, 0});
}

void pa_flow_place_changed(struct pa_flow_run *run, uint32_t file)
{
	offer_victim(run, file);
}

bool pa_flow_has_future(const struct pa_flow_run *run, uint32_t file)
{
	return !run->policy->drop_unread || run->files[file].readers_left > 0 || run->files[file].pins > 0 ||
	       run->view.flow->files[file].keep_after;
}

static bool can_load(const struct pa_flow_run *run, uint32_t file)
{
	const struct pa_flow_file_state *state = &run->files[file];
	return run->policy->load_by_rank && state->exists && state->waiters == 0 && state->readers_left > 0 &&
	       state->resident + run->file_runs[file].moving < run->view.flow->files[file].chunks;
}

void pa_flow_offer_load(struct pa_flow_run *run, uint32_t file)
{
	struct pa_flow_file_run *own = &run->file_runs[file];
	double rank = run->next_rank[file];
	if (!can_load(run, file) || own->load_rank == rank)
		return;
	own->load_rank = rank;
	pa_heap_push(run->arena, &run->links[run->view.flow->files[file].link].loads,
	             (struct pa_heap_entry){rank, 0, file, 0});
}

uint32_t pa_flow_next_by_rank(struct pa_flow_run *run, uint32_t link)
{
	struct pa_heap *loads = &run->links[link].loads;
	while (loads->count > 0) {
		uint32_t file = loads->entries[0].index;
		struct pa_flow_file_run *own = &run->file_runs[file];
		bool current = loads->entries[0].first == own->load_rank;
		if (current && own->load_rank == run->next_rank[file] && can_load(run, file))
			return file;
		pa_heap_pop(loads);
		if (current) {
			own->load_rank = NAN;
			pa_flow_offer_load(run, file);
		}
	}
	return PA_FLOW_NONE;
}

/* The file's residency goes from `before` to what it is now. */
static void note_residency(struct pa_flow_run *run, uint32_t file, uint32_t before)
{
	struct pa_flow_file_state *state = &run->files[file];
	uint32_t chunks = run->view.flow->files[file].chunks;
	if (state->resident == before)
		return;
	if (run->counts_missing)
		pa_flow_count_missing(run, file, (int64_t)state->resident - before);
	if (run->policy->residency_changed && (state->resident == chunks || before == chunks || before == 0))
		run->policy->residency_changed(run->strategy->policy_state, run, file);
}

static void remove_chunks(struct pa_flow_run *run, uint32_t file, uint32_t count)
{
	struct pa_flow_file_state *state = &run->files[file];
	struct pa_flow_file_run *own = &run->file_runs[file];
	uint32_t before = state->resident;
	state->resident -= count;
	run->view.used_bytes -= count * own->chunk_bytes;
	if (own->fresh > state->resident)
		own->fresh = state->resident;
	if (state->resident == 0)
		own->victim_first = NAN;
	note_residency(run, file, before);
	pa_flow_offer_load(run, file);
}

static void drop_if_unread(struct pa_flow_run *run, uint32_t file)
{
	if (run->files[file].resident > 0 && !pa_flow_has_future(run, file))
		remove_chunks(run, file, run->files[file].resident);
}

/* The victim that leaves first; PA_FLOW_NONE: nobody may. */
static uint32_t top_victim(struct pa_flow_run *run, uint32_t for_file)
{
	struct pa_heap *victims = &run->victims;
	while (victims->count > 0) {
		const struct pa_heap_entry *top = &victims->entries[0];
		const struct pa_flow_file_run *own = &run->file_runs[top->index];
		if (own->victim_first != top->first || own->victim_second != top->second) {
			pa_heap_pop(victims);
			continue;
		}
		if (top->index == for_file || top->first == INFINITY)
			return PA_FLOW_NONE;
		if (run->policy->admission == PA_FLOW_ADMIT_LATER &&
		    -top->first <= place_of(run, for_file).first)
			return PA_FLOW_NONE;
		return top->index;
	}
	return PA_FLOW_NONE;
}

static bool may_displace_any(const struct pa_flow_run *run, bool may_displace)
{
	return may_displace && run->policy->admission >= PA_FLOW_ADMIT_LATER;
}

/* Room for one chunk over victims: all that it takes, or none of them. */
static bool displace(struct pa_flow_run *run, uint32_t file, double excess_bytes)
{
	size_t count = 0;
	double freed_bytes = 0;
	while (freed_bytes < excess_bytes) {
		uint32_t victim = top_victim(run, file);
		if (victim == PA_FLOW_NONE)
			break;
		pa_heap_pop(&run->victims);
		run->file_runs[victim].victim_first = NAN;
		run->chosen = pa_arena_grow(run->arena, run->chosen, count, &run->chosen_capacity,
		                            sizeof(*run->chosen));
		run->chosen[count++] = victim;
		freed_bytes += run->files[victim].resident * run->file_runs[victim].chunk_bytes;
	}
	bool enough = freed_bytes >= excess_bytes;
	for (size_t i = 0; enough && i < count && excess_bytes > 0; i++) {
		uint32_t victim = run->chosen[i];
		double chunk_bytes = run->file_runs[victim].chunk_bytes;
		double wanted = ceil(excess_bytes / chunk_bytes);
		uint32_t resident = run->files[victim].resident;
		uint32_t gone = wanted < resident ? (uint32_t)wanted : resident;
		excess_bytes -= gone * chunk_bytes;
		remove_chunks(run, victim, gone);
	}
	for (size_t i = 0; i < count; i++)
		offer_victim(run, run->chosen[i]);
	return enough;
}

uint32_t pa_flow_take_room(struct pa_flow_run *run, uint32_t file, uint32_t chunks, bool may_displace)
{
	double limit_bytes = run->view.flow->memory_bytes + SLACK_BYTES;
	struct pa_flow_file_run *own = &run->file_runs[file];
	uint32_t taken = 0;
	if (run->policy->admission == PA_FLOW_ADMIT_NONE || !pa_flow_has_future(run, file) ||
	    own->chunk_bytes > limit_bytes)
		return 0;
	for (; taken < chunks; taken++) {
		double excess_bytes = run->view.used_bytes + own->chunk_bytes - limit_bytes;
		if (excess_bytes > 0 &&
		    (!may_displace_any(run, may_displace) || !displace(run, file, excess_bytes)))
			break;
		run->view.used_bytes += own->chunk_bytes;
	}
	own->moving += taken;
	run->result->peak_memory_bytes = fmax(run->result->peak_memory_bytes, run->view.used_bytes);
	return taken;
}

uint32_t pa_flow_room(struct pa_flow_run *run, uint32_t file, uint32_t chunks, bool may_displace)
{
	double room_bytes = run->view.flow->memory_bytes + SLACK_BYTES - run->view.used_bytes;
	double chunk_bytes = run->file_runs[file].chunk_bytes;
	if (room_bytes < chunks * chunk_bytes && may_displace_any(run, may_displace)) {
		uint32_t victim = top_victim(run, file);
		if (victim != PA_FLOW_NONE)
			room_bytes += run->files[victim].resident * run->file_runs[victim].chunk_bytes;
	}
	double room = floor(room_bytes / chunk_bytes);
	return room >= chunks ? chunks : room > 0 ? (uint32_t)room : 0;
}

void pa_flow_arrived(struct pa_flow_run *run, uint32_t file, uint32_t chunks, bool ahead)
{
	struct pa_flow_file_state *state = &run->files[file];
	uint32_t before = state->resident;
	run->file_runs[file].moving -= chunks;
	run->file_runs[file].fresh += ahead ? chunks : 0;
	state->resident += chunks;
	state->seen = true;
	state->last_use = ++run->uses;
	note_residency(run, file, before);
	drop_if_unread(run, file);
	offer_victim(run, file);
	pa_flow_offer_load(run, file);
}

void pa_flow_used(struct pa_flow_run *run, uint32_t file)
{
	struct pa_flow_file_run *own = &run->file_runs[file];
	run->files[file].last_use = ++run->uses;
	run->result->ahead_used_bytes += own->fresh * own->chunk_bytes;
	own->fresh = 0;
}

void pa_flow_write(struct pa_flow_run *run, uint32_t file)
{
	struct pa_flow_file_state *state = &run->files[file];
	uint32_t before = state->resident;
	state->exists = true;
	state->seen = true;
	state->last_use = ++run->uses;
	uint32_t missing = run->view.flow->files[file].chunks - before - run->file_runs[file].moving;
	uint32_t taken = pa_flow_take_room(run, file, missing, true);
	run->file_runs[file].moving -= taken;
	state->resident += taken;
	note_residency(run, file, before);
	offer_victim(run, file);
	pa_flow_offer_load(run, file);
}

void pa_flow_reader_dispatched(struct pa_flow_run *run, uint32_t file)
{
	struct pa_flow_file_run *own = &run->file_runs[file];
	uint32_t end = run->view.graph->reader_begin[file + 1];
	run->files[file].readers_left--;
	while (own->next_reader < end &&
	       run->phases[run->readers_by_rank[own->next_reader]] >= PA_FLOW_WAITING)
		own->next_reader++;
	run->next_rank[file] =
	    own->next_reader < end ? run->strategy->rank[run->readers_by_rank[own->next_reader]] : INFINITY;
	drop_if_unread(run, file);
	offer_victim(run, file);
	pa_flow_offer_load(run, file);
}

void pa_flow_unpin(struct pa_flow_run *run, uint32_t file)
{
	if (--run->files[file].pins > 0)
		return;
	drop_if_unread(run, file);
	offer_victim(run, file);
}

/* Readers of each file by rank, and what is resident before the first event. */
void pa_flow_memory_init(struct pa_flow_run *run)
{
	const struct pa_flow *flow = run->view.flow;
	for (uint32_t i = 0; i < flow->file_count; i++) {
		struct pa_flow_file_state *state = &run->files[i];
		struct pa_flow_file_run *own = &run->file_runs[i];
		uint32_t begin = run->view.graph->reader_begin[i];
		own->chunk_bytes =
		    flow->files[i].chunks > 0 ? (double)flow->files[i].bytes / flow->files[i].chunks : 0;
		own->victim_first = own->load_rank = NAN;
		own->next_reader = begin;
		own->first_waiter = PA_FLOW_NONE;
		state->readers_left = run->view.graph->reader_begin[i + 1] - begin;
		run->next_rank[i] =
		    state->readers_left > 0 ? run->strategy->rank[run->readers_by_rank[begin]] : INFINITY;
		state->exists = !run->view.graph->written[i];
		state->resident = flow->files[i].resident_chunks;
		state->seen = state->resident > 0;
		run->view.used_bytes += state->resident * own->chunk_bytes;
	}
	for (uint32_t i = 0; i < flow->file_count; i++) {
		drop_if_unread(run, i);
		offer_victim(run, i);
		pa_flow_offer_load(run, i);
	}
	run->result->peak_memory_bytes = run->view.used_bytes;
}
