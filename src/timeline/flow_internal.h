/* SPDX-License-Identifier: Apache-2.0 */
/* The state of one run of a flow; private to this folder.
 *
 * flow.c: the clock and the tasks.  flow_dispatch.c: which ready task goes next.  flow_link.c: what crosses a
 * link.  flow_memory.c: what is kept and what leaves.  flow_graph.c: what is the same in every run.
 *
 * A link works in bursts: chunks of one file, one after another, as many as nothing but time can change.  An
 * event elsewhere settles what has arrived by then and cuts the burst to the chunk on its way.
 */
#ifndef PA_TIMELINE_FLOW_INTERNAL_H
#define PA_TIMELINE_FLOW_INTERNAL_H

#include "timeline/flow.h"
#include "timeline/timeline_internal.h"

#define PA_FLOW_NONE UINT32_MAX

/* Beside what policies may see. */
struct pa_flow_file_run {
	double chunk_bytes;
	double victim_first, victim_second; /* of its entry among the victims; NAN: it has none */
	double load_rank;                   /* of its entry among the loads; NAN: it has none */
	uint32_t moving;                    /* chunks with room taken, on their way */
	uint32_t fresh;                     /* resident chunks that were loaded ahead and not read yet */
	uint32_t next_reader;               /* cursor into readers_by_rank */
	uint32_t first_waiter;              /* number of a read; PA_FLOW_NONE: none */
};

struct pa_flow_task_run {
	uint32_t after_left;
	uint64_t missing_chunks; /* dispatched: what it still waits for; ready: what is not resident */
	double missing_s;        /* ready: time that takes on the links */
	double progress_s;       /* under way before now: what it has computed */
};

struct pa_flow_burst {
	uint32_t file;
	uint32_t chunks;
	uint32_t delivered;
	uint32_t roomed; /* chunks not delivered yet that have their room */
	bool kept;
	bool ahead;
	double begin_s;
	double chunk_s;
	double end_s;
};

struct pa_flow_link_run {
	bool busy;
	double idle_since_s;
	struct pa_flow_burst burst;
	struct pa_heap demand; /* by rank or number of arrival, then that number; position: the read */
	struct pa_heap loads;  /* by next rank */
};

struct pa_flow_run {
	struct pa_flow_view view;
	const struct pa_flow_strategy *strategy;
	const struct pa_flow_policy *policy;
	struct pa_arena *arena; /* gone with the run */
	struct pa_flow_result *result;
	struct pa_flow_file_state *files;
	double *next_rank;
	enum pa_flow_phase *phases;
	struct pa_flow_file_run *file_runs;
	struct pa_flow_task_run *tasks;
	struct pa_flow_link_run *links;
	uint32_t *readers_by_rank;
	uint32_t *chunks_left; /* per read: of a dispatched task, not seen yet */
	uint32_t *next_waiter; /* per read */
	uint32_t *reader_of;   /* per read: its task */
	bool counts_missing;   /* the dispatch looks for data */
	bool changed;          /* since the links were last cut */
	uint32_t occupied;     /* slots */
	uint32_t computing, ended;
	uint32_t sequence;
	uint64_t uses;
	double integrated_until_s;
	struct pa_heap ready; /* by order, then index */
	uint32_t *ready_list; /* the same as a list, when dispatch looks past the first */
	uint32_t ready_count, ready_sorted;
	struct pa_heap ends;
	struct pa_heap delayed;
	struct pa_heap victims; /* by −place; entries may be stale */
	uint32_t *chosen;       /* victims, while room is sought */
	size_t chosen_capacity;
};

/* flow.c */
void pa_flow_satisfied(struct pa_flow_run *run, uint32_t task);
double pa_flow_chunk_s(const struct pa_flow_run *run, uint32_t file);

/* flow_dispatch.c */
void pa_flow_make_ready(struct pa_flow_run *run, uint32_t task);
/* The ready task that takes a slot now, or PA_FLOW_NONE. */
uint32_t pa_flow_pick(struct pa_flow_run *run);
/* `count` chunks of the file have come or, below 0, gone: ready tasks know what they lack. */
void pa_flow_count_missing(struct pa_flow_run *run, uint32_t file, int64_t count);

/* flow_link.c */
void pa_flow_demand(struct pa_flow_run *run, uint32_t task, uint32_t place);
void pa_flow_links_start(struct pa_flow_run *run);
/* What has arrived by now is there. */
void pa_flow_links_settle(struct pa_flow_run *run);
/* Bursts end with the chunk that is on its way: something has changed. */
void pa_flow_links_cut(struct pa_flow_run *run);
double pa_flow_links_next_s(const struct pa_flow_run *run);

/* flow_memory.c */
void pa_flow_memory_init(struct pa_flow_run *run);
/* Takes room for up to `chunks` of the file, displacing whom the policy lets; how many have it. */
uint32_t pa_flow_take_room(struct pa_flow_run *run, uint32_t file, uint32_t chunks, bool may_displace);
/* For how many there is room that nothing but time can change; at least 1 when take_room(1) did. */
uint32_t pa_flow_room(struct pa_flow_run *run, uint32_t file, uint32_t chunks, bool may_displace);
void pa_flow_arrived(struct pa_flow_run *run, uint32_t file, uint32_t chunks, bool ahead);
void pa_flow_used(struct pa_flow_run *run, uint32_t file);
void pa_flow_write(struct pa_flow_run *run, uint32_t file);
void pa_flow_reader_dispatched(struct pa_flow_run *run, uint32_t file);
void pa_flow_unpin(struct pa_flow_run *run, uint32_t file);
/* Whether chunks that arrive have a use beyond those who wait for them. */
bool pa_flow_has_future(const struct pa_flow_run *run, uint32_t file);
/* The file next in rank of which this link can load something; PA_FLOW_NONE: none. */
uint32_t pa_flow_next_by_rank(struct pa_flow_run *run, uint32_t link);
/* The file may be loaded ahead again. */
void pa_flow_offer_load(struct pa_flow_run *run, uint32_t file);

#endif
