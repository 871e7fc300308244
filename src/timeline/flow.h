/* SPDX-License-Identifier: Apache-2.0 */
/* The flow: a DAG of tasks that read and write files, run forward on a virtual clock with slots, links and a
 * memory.  Plans are made by running it, and every policy of the simulator, the product's own and its rivals,
 * is judged by it: they differ in a strategy, never in the loop.
 *
 * Rules.  A task is ready when all of `after` have ended and `not_before_s` has come.  It takes a slot, has at
 * once what is resident of what it reads, waits for the rest, computes for `duration_s`, and ends.  A file is
 * cut into equal chunks; a link moves one chunk after another; a chunk on its way is not broken off; whoever
 * waits for a chunk has it when it arrives, kept or not.  Chunks that tasks wait for go before loads ahead.  What
 * a task writes goes into memory at its end without crossing a link; what is not kept can be fetched.  A chunk
 * is kept if there is room, or if the strategy lets it displace another; else it is used from the link.  With
 * `pin_reads`, what a started task reads stays until the task has ended.
 *
 * A strategy by rank (no policy) knows when each task will be dispatched: the chunk whose next reader has the
 * highest rank leaves first and only for one whose next reader has a lower one, loads ahead go by rank under
 * the same rule, and what nobody will read leaves at once.
 *
 * Pure and deterministic: ties go by index.  Times are seconds, bytes are bytes.  Ownership: inputs are the
 * caller's and must outlive the graph; results live in the arena given.  Threads: a graph may be shared.
 * Errors: PA_ERROR_INPUT for a cycle, an index out of range, a number that is NaN or negative, no slots.
 * Limits: 2^31 tasks, reads.  Cost: a run is O((tasks + reads + changes of a link's work) log n), plus, if the
 * strategy looks for data, the ready tasks at each dispatch.
 */
#ifndef PA_TIMELINE_FLOW_H
#define PA_TIMELINE_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pa_arena;
struct pa_error;

struct pa_flow_task {
	const uint32_t *after; /* indices of tasks */
	size_t after_count;
	const uint32_t *reads; /* indices of files, each once */
	size_t read_count;
	const uint32_t *writes; /* the same */
	size_t write_count;
	double duration_s;   /* compute alone */
	double not_before_s; /* 0: none */
	double started_s;    /* NAN: not yet; else when it took its slot (≤ 0: before now) */
	double ended_s;      /* NAN: not yet; else it takes no slot and no data */
};

struct pa_flow_file {
	uint64_t bytes;
	uint32_t chunks; /* all of the same size; 0 only for an empty file */
	uint32_t resident_chunks;
	uint32_t link;
	bool keep_after; /* stays when nobody is left to read it, unless displaced */
};

struct pa_flow_link {
	double bytes_per_second; /* INFINITY: no cap */
	double latency_s;        /* before the first chunk after a pause */
};

struct pa_flow {
	const struct pa_flow_task *tasks;
	uint32_t task_count;
	const struct pa_flow_file *files;
	uint32_t file_count;
	const struct pa_flow_link *links;
	uint32_t link_count;
	uint32_t slots;
	double memory_bytes; /* INFINITY: no limit */
	bool pin_reads;
};

/* What follows from the flow alone, made once for many runs. */
struct pa_flow_graph {
	const struct pa_flow *flow;
	uint32_t *order;           /* tasks, parents first */
	uint32_t *successor_begin; /* task_count + 1 */
	uint32_t *successors;
	uint32_t *read_begin;   /* task_count + 1; a read's number is read_begin[task] + its place */
	uint32_t *reader_begin; /* file_count + 1 */
	uint32_t *readers;      /* tasks that have not ended, ascending */
	bool *written;          /* per file: a task that has not ended writes it */
	double *tail_s;         /* per task: longest path to the end, its own time included */
	uint32_t *level;        /* per task: most tasks on a path before it */
	double *read_bytes;     /* per task */
};

int pa_flow_graph_make(struct pa_arena *arena, const struct pa_flow *flow, struct pa_flow_graph *ret,
                       struct pa_error *err);
/* The same tasks with all data local: nothing is read or written. */
struct pa_flow pa_flow_local(struct pa_arena *arena, const struct pa_flow *flow);
/* Cuts `bytes` into the fewest equal chunks of at most `chunk_bytes`. */
uint32_t pa_flow_chunks(uint64_t bytes, uint64_t chunk_bytes);

enum pa_flow_phase {
	PA_FLOW_BLOCKED,
	PA_FLOW_READY,
	PA_FLOW_WAITING,
	PA_FLOW_COMPUTING,
	PA_FLOW_ENDED,
};

struct pa_flow_file_state {
	uint32_t resident;     /* chunks */
	uint32_t readers_left; /* not dispatched yet */
	uint32_t waiters;      /* dispatched, and something of it still missing */
	uint32_t pins;
	uint64_t fetched;  /* chunks, each as often as it was */
	uint64_t last_use; /* a count that grows with every use; 0: never */
	bool exists;       /* can be fetched: nobody writes it, or its writer has ended */
	bool seen;         /* was in memory or written at least once */
};

/* What a policy may look at. */
struct pa_flow_view {
	const struct pa_flow *flow;
	const struct pa_flow_graph *graph;
	const struct pa_flow_file_state *files;
	const enum pa_flow_phase *phases; /* per task */
	const double *next_rank;          /* per file: lowest rank of a reader to come; INFINITY: none */
	double now_s;
	double used_bytes;
};

/* Larger leaves first: by first, then by second, then the lower index.  −INFINITY first: it may not leave. */
struct pa_flow_place {
	double first;
	double second;
};

/* Whom a chunk that comes in may displace. */
enum pa_flow_admission {
	PA_FLOW_ADMIT_NONE,   /* nothing is ever kept */
	PA_FLOW_ADMIT_FREE,   /* nobody: only into free room */
	PA_FLOW_ADMIT_LATER,  /* who leaves first, if its place is larger */
	PA_FLOW_ADMIT_ALWAYS, /* who leaves first */
};

struct pa_flow_run;

/* A policy that does not go by rank alone. */
struct pa_flow_policy {
	enum pa_flow_admission admission;
	/* NULL: by next_rank.  Asked when the file is used, comes in, or has a reader dispatched; and when
	 * pa_flow_place_changed is called. */
	struct pa_flow_place (*place)(const void *state, const struct pa_flow_view *view, uint32_t file);
	/* What to load ahead over this link: a file with chunks missing, and how many at most.  NULL: nothing. */
	bool (*next_load)(void *state, const struct pa_flow_view *view, uint32_t link, uint32_t *ret_file,
	                  uint32_t *ret_chunks);
	/* The file became wholly resident, or is no longer, or its first chunk came; NULL: not interested. */
	void (*residency_changed)(void *state, struct pa_flow_run *run, uint32_t file);
	void (*dispatched)(void *state, struct pa_flow_run *run, uint32_t task);
	bool demand_by_rank; /* else first come, first served */
	bool load_by_rank;   /* loads ahead by next_rank */
	bool drop_unread;    /* what nobody will read leaves at once */
	bool load_displaces; /* loads ahead are admitted as reads are; else into free room only */
};

extern const struct pa_flow_policy pa_flow_by_rank; /* all by rank: what a strategy without a policy has */
extern const struct pa_flow_policy pa_flow_lru;     /* on demand, the least recently used leaves */

enum pa_flow_dispatch {
	PA_FLOW_STRICT,       /* the first of the order */
	PA_FLOW_LOADED_FIRST, /* the first whose data is there; if there is none, the first */
	PA_FLOW_WEIGHED,      /* the smallest order_s + weight · time its missing bytes take on their link */
};

struct pa_flow_strategy {
	const double *order_s; /* per task: smaller first among ready tasks */
	const double *rank;    /* per task: when it will be dispatched, as a number */
	enum pa_flow_dispatch dispatch;
	double weight;
	bool keep_slots;  /* a slot stays empty while the pick's data is on its way and fits in memory */
	bool hold_spills; /* a task whose output would spill for long waits while others run */
	const double *duration_s;            /* per task, instead of the flow's; NULL: as given */
	const struct pa_flow_policy *policy; /* NULL: pa_flow_by_rank */
	void *policy_state;
};

struct pa_flow_task_result {
	double ready_s;
	double start_s; /* took its slot */
	double run_s;   /* its data was there */
	double end_s;
	uint32_t sequence; /* its place in the order of dispatch */
};

struct pa_flow_file_result {
	double requested_s; /* when its first chunk was taken up; NAN: never */
	double arrived_s;   /* when its last chunk was there for the first time; NAN: never */
	uint64_t chunks;    /* fetched, each as often as it was */
	bool bypassed;      /* at least one chunk was used from the link and not kept */
};

struct pa_flow_result {
	struct pa_flow_task_result *tasks;
	struct pa_flow_file_result *files;
	double *link_bytes; /* fetched, one per link */
	double makespan_s;
	double wait_s; /* sum over tasks of run_s − start_s, from now on */
	double fetched_bytes;
	double ahead_bytes;      /* of these, before anybody waited for them */
	double ahead_used_bytes; /* of these, read before they were displaced */
	double read_bytes;       /* by all tasks */
	double hit_bytes;        /* of these, resident at dispatch */
	double peak_memory_bytes;
	double memory_byte_s; /* memory held, over time */
};

/* `graph` may have been made for other durations: the tails are then estimates. */
void pa_flow_run(struct pa_arena *arena, const struct pa_flow_graph *graph,
                 const struct pa_flow_strategy *strategy, struct pa_flow_result *ret);

/* For policies: the file's place is another than before. */
void pa_flow_place_changed(struct pa_flow_run *run, uint32_t file);
const struct pa_flow_view *pa_flow_view(const struct pa_flow_run *run);

#endif
