/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline/flow_internal.h"

#include <math.h>

#include "base/arena.h"

/* Of a chunk's time: so much before its end it is counted as there. */
#define ROUNDING 1e-9

void pa_flow_demand(struct pa_flow_run *run, uint32_t task, uint32_t place)
{
	uint32_t read = run->view.graph->read_begin[task] + place;
	uint32_t file = run->view.flow->tasks[task].reads[place];
	struct pa_flow_file_run *own = &run->file_runs[file];
	double first = run->policy->demand_by_rank ? run->strategy->rank[task] : 0;
	run->next_waiter[read] = own->first_waiter;
	own->first_waiter = read;
	run->files[file].waiters++;
	pa_heap_push(run->arena, &run->links[run->view.flow->files[file].link].demand,
	             (struct pa_heap_entry){first, run->result->tasks[task].sequence, read, file});
}

/* Chunks that everybody who waits for the file lacks: who came first lacks the fewest, and nothing that another
 * one has seen since. */
static uint32_t common_need(const struct pa_flow_run *run, uint32_t file)
{
	uint32_t least = UINT32_MAX;
	for (uint32_t read = run->file_runs[file].first_waiter; read != PA_FLOW_NONE;
	     read = run->next_waiter[read])
		if (run->chunks_left[read] < least)
			least = run->chunks_left[read];
	return least;
}

static bool begin(struct pa_flow_run *run, uint32_t link, uint32_t file, uint32_t chunks, bool ahead)
{
	struct pa_flow_link_run *own = &run->links[link];
	struct pa_flow_file_result *result = &run->result->files[file];
	bool may_displace = !ahead || run->policy->load_displaces;
	uint32_t roomed = pa_flow_take_room(run, file, 1, may_displace);
	if (ahead && roomed == 0)
		return false;
	if (roomed > 0)
		chunks = 1 + pa_flow_room(run, file, chunks - 1, may_displace);
	else
		result->bypassed = true;
	double begin_s = run->view.now_s, chunk_s = pa_flow_chunk_s(run, file);
	if (own->idle_since_s < begin_s)
		begin_s += run->view.flow->links[link].latency_s;
	if (isnan(result->requested_s))
		result->requested_s = run->view.now_s;
	own->busy = true;
	own->burst = (struct pa_flow_burst){.file = file,
	                                    .chunks = chunks,
	                                    .roomed = roomed,
	                                    .kept = roomed > 0,
	                                    .ahead = ahead,
	                                    .begin_s = begin_s,
	                                    .chunk_s = chunk_s,
	                                    .end_s = begin_s + chunks * chunk_s};
	return true;
}

static bool begin_demand(struct pa_flow_run *run, uint32_t link)
{
	struct pa_heap *demand = &run->links[link].demand;
	while (demand->count > 0 && run->chunks_left[demand->entries[0].index] == 0)
		pa_heap_pop(demand);
	if (demand->count == 0)
		return false;
	uint32_t file = demand->entries[0].position;
	return begin(run, link, file, common_need(run, file), false);
}

static void begin_ahead(struct pa_flow_run *run, uint32_t link)
{
	uint32_t file = PA_FLOW_NONE, chunks = 0;
	if (run->policy->next_load) {
		if (!run->policy->next_load(run->strategy->policy_state, &run->view, link, &file, &chunks))
			return;
	} else if (run->policy->load_by_rank) {
		file = pa_flow_next_by_rank(run, link);
		if (file == PA_FLOW_NONE)
			return;
		chunks = run->view.flow->files[file].chunks - run->files[file].resident;
	}
	if (file != PA_FLOW_NONE && chunks > 0)
		begin(run, link, file, chunks, true);
}

void pa_flow_links_start(struct pa_flow_run *run)
{
	for (uint32_t i = 0; i < run->view.flow->link_count; i++)
		if (!run->links[i].busy && !begin_demand(run, i))
			begin_ahead(run, i);
}

/* Everybody who waits has seen `chunks` more. */
static void serve_waiters(struct pa_flow_run *run, uint32_t file, uint32_t chunks)
{
	uint32_t *place = &run->file_runs[file].first_waiter;
	while (*place != PA_FLOW_NONE) {
		uint32_t read = *place;
		uint32_t seen = run->chunks_left[read] < chunks ? run->chunks_left[read] : chunks;
		run->chunks_left[read] -= seen;
		if (run->chunks_left[read] > 0) {
			place = &run->next_waiter[read];
			continue;
		}
		*place = run->next_waiter[read];
		run->files[file].waiters--;
		pa_flow_satisfied(run, run->reader_of[read]);
	}
	pa_flow_offer_load(run, file);
}

static void deliver(struct pa_flow_run *run, struct pa_flow_link_run *link, uint32_t chunks)
{
	struct pa_flow_burst *burst = &link->burst;
	uint32_t file = burst->file;
	struct pa_flow_file_result *result = &run->result->files[file];
	double bytes = chunks * run->file_runs[file].chunk_bytes;
	uint32_t kept = burst->roomed < chunks ? burst->roomed : chunks;
	burst->delivered += chunks;
	burst->roomed -= kept;
	result->chunks += chunks;
	run->files[file].fetched += chunks;
	result->bypassed |= kept < chunks;
	run->result->fetched_bytes += bytes;
	run->result->link_bytes[run->view.flow->files[file].link] += bytes;
	/* What was taken up ahead may have found somebody waiting: then it has been used. */
	bool awaited = run->files[file].waiters > 0;
	run->result->ahead_bytes += burst->ahead ? bytes : 0;
	run->result->ahead_used_bytes += burst->ahead && awaited ? bytes : 0;
	if (kept > 0)
		pa_flow_arrived(run, file, kept, burst->ahead && !awaited);
	serve_waiters(run, file, chunks);
	if (isnan(result->arrived_s) && result->chunks >= run->view.flow->files[file].chunks)
		result->arrived_s = run->view.now_s;
}

static void settle(struct pa_flow_run *run, struct pa_flow_link_run *link)
{
	struct pa_flow_burst *burst = &link->burst;
	uint32_t done = burst->chunks;
	if (run->view.now_s < burst->end_s) {
		double passed = floor((run->view.now_s - burst->begin_s) / burst->chunk_s + ROUNDING);
		done = passed < 0 ? 0 : passed < burst->chunks ? (uint32_t)passed : burst->chunks;
	}
	bool ends = done == burst->chunks;
	uint32_t arrived = done - burst->delivered;
	uint32_t needed = arrived + !ends;
	if (burst->kept && needed > burst->roomed)
		burst->roomed += pa_flow_take_room(run, burst->file, needed - burst->roomed,
		                                   !burst->ahead || run->policy->load_displaces);
	if (arrived > 0)
		deliver(run, link, arrived);
	if (ends) {
		link->busy = false;
		link->idle_since_s = run->view.now_s;
	}
}

void pa_flow_links_settle(struct pa_flow_run *run)
{
	for (uint32_t i = 0; i < run->view.flow->link_count; i++)
		if (run->links[i].busy)
			settle(run, &run->links[i]);
}

void pa_flow_links_cut(struct pa_flow_run *run)
{
	for (uint32_t i = 0; i < run->view.flow->link_count; i++) {
		struct pa_flow_burst *burst = &run->links[i].burst;
		if (!run->links[i].busy)
			continue;
		burst->chunks = burst->delivered + 1;
		burst->end_s = burst->begin_s + burst->chunks * burst->chunk_s;
	}
}

double pa_flow_links_next_s(const struct pa_flow_run *run)
{
	double next_s = INFINITY;
	for (uint32_t i = 0; i < run->view.flow->link_count; i++)
		if (run->links[i].busy)
			next_s = fmin(next_s, run->links[i].burst.end_s);
	return next_s;
}
