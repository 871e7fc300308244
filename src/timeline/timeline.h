/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline: a DAG run forward on a virtual clock — tasks on slots, transfers on links, bytes in a
 * memory ledger.  The one place where that is done: forecasts, plans and simulations all run here.
 *
 * Pure: structs in, structs out; times are seconds on the virtual clock (0: now), bytes are bytes.
 * Deterministic: ties are broken by priority, then by index.
 *
 * Rules.  A task is ready when all of `after` have ended and `not_before_s` has come; ready tasks take a
 * free slot, lowest `priority` value first.  A task that has started needs its extents: it runs when all
 * are resident (a missing one is fetched as demand, ahead of everything else), computes for `duration_s`,
 * and ends.  Extents cross their link one after another at its rate, demand first, then planned transfers
 * by `order`; one transfer per extent, whoever asks.  A link's `latency_s` is paid once per transfer,
 * overlapped by the transfer before. An extent leaves memory after its last reader (keep_after: stays), or,
 * when memory is short, when its next reader is the furthest away and further than that of what comes in;
 * what finds no room is used from the link by its reader and not kept.  What a started task reads stays
 * until the task has ended.  How far away a reader is comes from a run of the same tasks with all data
 * local.  A planned transfer waits for room, and those behind it on its link with it; one that can never
 * fit is left to demand.  An extent that was displaced comes back on demand.
 *
 * A task under way at time 0 whose data is all resident has computed since it started; with data missing its
 * progress is at most the resident share of its bytes.
 *
 * Ownership: input arrays are the caller's; results live in the arena given.  Limits: 2^31 tasks, extents.
 * Cost: O((tasks + reads + transfers) log n).
 */
#ifndef PA_TIMELINE_TIMELINE_H
#define PA_TIMELINE_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pa_arena;
struct pa_error;

struct pa_timeline_task {
	const uint32_t *after; /* indices of tasks */
	size_t after_count;
	const uint32_t *reads; /* indices of extents */
	size_t read_count;
	double duration_s;   /* compute alone, with all data local */
	double not_before_s; /* 0: none */
	double started_s;    /* NAN: not yet; else when it started (≤ 0: before now) */
	double ended_s;      /* NAN: not yet; else when it ended: it takes no slot and no data */
	double priority;     /* smaller first */
};

struct pa_timeline_extent {
	uint64_t bytes;
	uint32_t link;
	bool resident;   /* in memory at time 0 */
	bool keep_after; /* stays after its last reader */
};

struct pa_timeline_link {
	double bytes_per_second; /* INFINITY: no cap */
	double latency_s;
};

struct pa_timeline_transfer {
	uint32_t extent;
	double not_before_s;
	double order; /* smaller first */
};

struct pa_timeline_input {
	const struct pa_timeline_task *tasks;
	size_t task_count;
	const struct pa_timeline_extent *extents;
	size_t extent_count;
	const struct pa_timeline_link *links;
	size_t link_count;
	const struct pa_timeline_transfer *transfers; /* planned loads; none: everything on demand */
	size_t transfer_count;
	uint32_t slots;
	double memory_bytes; /* INFINITY: no limit */
	bool data_first; /* a ready task whose data is there goes before those that would wait for theirs */
};

struct pa_timeline_task_result {
	double ready_s;
	double start_s; /* took its slot */
	double run_s;   /* its data was there */
	double end_s;
	/* The first task that took a slot before it, ahead of the order, because its data was there
	 * (data_first), and when; UINT32_MAX: none. */
	uint32_t overtaken_by;
	double overtaken_s;
};

struct pa_timeline_extent_result {
	double requested_s; /* when its link first took it up; NAN: never */
	double arrived_s;   /* the first time; NAN: never */
	bool demand;        /* fetched because a task was waiting */
	bool bypassed;      /* at least once used from the link and not kept */
	uint32_t fetches;
};

struct pa_timeline_result {
	struct pa_timeline_task_result *tasks;
	struct pa_timeline_extent_result *extents;
	double makespan_s;
	double stall_s; /* sum over tasks of run_s - start_s, from now on */
	double peak_memory_bytes;
	double fetched_bytes;
	double bypassed_bytes; /* fetched and not kept for want of room */
	double *link_bytes;    /* fetched, one per link */
};

/* PA_ERROR_INPUT for a cycle, an index out of range, a negative or NaN duration, no slots. */
int pa_timeline_run(struct pa_arena *arena, const struct pa_timeline_input *input,
                    struct pa_timeline_result *ret, struct pa_error *err);

#endif
