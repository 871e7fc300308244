/* SPDX-License-Identifier: Apache-2.0 */
/* The state of one run of the timeline; private to this folder.
 *
 * Four parts: heap.c (queues), ledger.c (what is in memory and what leaves it), transfer.c (links),
 * timeline.c (tasks and the clock).  Every change of state happens at `now_s`.
 */
#ifndef PA_TIMELINE_TIMELINE_INTERNAL_H
#define PA_TIMELINE_TIMELINE_INTERNAL_H

#include "timeline/timeline.h"

/* Smallest first, then second, then index. */
struct pa_heap_entry {
	double first;
	double second;
	uint32_t index;
	uint32_t position; /* last tie-break, and free for the queue's own use */
};

struct pa_heap {
	struct pa_heap_entry *entries;
	size_t count;
	size_t capacity;
};

void pa_heap_push(struct pa_arena *arena, struct pa_heap *heap, struct pa_heap_entry entry);
/* The caller looks at `count` first. */
struct pa_heap_entry pa_heap_pop(struct pa_heap *heap);

enum pa_task_phase { PA_PHASE_BLOCKED, PA_PHASE_READY, PA_PHASE_WAITING, PA_PHASE_RUNNING, PA_PHASE_DONE };

struct pa_task_state {
	enum pa_task_phase phase;
	uint32_t after_left;
	uint32_t missing;   /* reads whose extent it does not have */
	double remaining_s; /* compute still to do */
};

enum pa_extent_place { PA_PLACE_ABSENT, PA_PLACE_MOVING, PA_PLACE_RESIDENT };

struct pa_extent_state {
	enum pa_extent_place place;
	bool has_room;         /* while moving: room is reserved; else it is used from the link */
	bool chosen;           /* as a victim, while room is being made */
	uint32_t pins;         /* reads of started tasks */
	uint32_t wanted;       /* of these, reads that do not have it yet */
	uint32_t readers_left; /* reads of tasks that have not ended */
	size_t next_reader;    /* cursor into `readers`: all before it have started */
};

/* One read of an extent, in the order of the readers' local starts. */
struct pa_reader {
	uint32_t task;
	bool has; /* the read is counted as satisfied */
};

struct pa_link_state {
	struct pa_heap demand;   /* by time, priority of the task, task */
	struct pa_heap eligible; /* planned: by order */
	struct pa_heap later;    /* planned: by not_before_s */
	bool busy;
	bool blocked; /* the head of `eligible` waits for room */
};

struct pa_engine {
	struct pa_arena *arena; /* scratch */
	const struct pa_timeline_input *input;
	struct pa_timeline_result *result;
	bool local; /* reads are ignored */
	bool short_of_memory;
	double now_s;
	uint32_t running; /* tasks in a slot */
	struct pa_task_state *tasks;
	size_t *successor_begin; /* task_count + 1 */
	uint32_t *successors;
	struct pa_extent_state *extents;
	size_t *reader_begin; /* extent_count + 1 */
	struct pa_reader *readers;
	const double *local_start_s; /* per task; NULL unless short of memory */
	struct pa_link_state *links;
	struct pa_heap ready;
	struct pa_heap loaded; /* ready, with all data there; used for data_first */
	struct pa_heap delayed;
	struct pa_heap ends;
	struct pa_heap arrivals;
	struct pa_heap victims; /* by −next use; entries may be stale */
	double used_bytes;
	double evictable_bytes;
	uint32_t *chosen;
	size_t chosen_capacity;
};

/* timeline.c: the extent of this read has come. */
void pa_engine_satisfy(struct pa_engine *engine, uint32_t task);

/* ledger.c */
void pa_ledger_take(struct pa_engine *engine, double bytes);
/* Room for `bytes` that are next used at `next_use_s`: free, or over victims used strictly later. */
bool pa_ledger_make_room(struct pa_engine *engine, double bytes, double next_use_s);
double pa_ledger_next_use(struct pa_engine *engine, uint32_t extent);
void pa_ledger_pin(struct pa_engine *engine, uint32_t extent);
/* A reader has ended. */
void pa_ledger_unpin(struct pa_engine *engine, uint32_t extent);
/* A resident extent without pins: gone if nobody will read it, else open to eviction. */
void pa_ledger_settle(struct pa_engine *engine, uint32_t extent);

/* transfer.c */
void pa_transfer_queue_planned(struct pa_engine *engine);
void pa_transfer_demand(struct pa_engine *engine, uint32_t task, uint32_t position);
/* Idle links take up what is due. */
void pa_transfer_start(struct pa_engine *engine);
void pa_transfer_arrive(struct pa_engine *engine, uint32_t extent);
/* Moves planned transfers whose time has come; returns the earliest that is still to come, or INFINITY. */
double pa_transfer_advance(struct pa_engine *engine);

/* check.c */
int pa_timeline_check(const struct pa_timeline_input *input, struct pa_error *err);

#endif
