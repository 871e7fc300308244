/* SPDX-License-Identifier: Apache-2.0 */
/* The plan: what to load, keep and let go, when, and a verdict per task.
 *
 * Pure and deterministic: same input, same plan, byte for byte.  Times are seconds from `now` (0); a plan
 * made while a run goes on takes the tasks that have started and ended as given and plans the rest.
 *
 * Ready by an early quantile of the start, released after a late quantile of the end.  Loads are ordered by
 * when they are needed, tasks with the longest remaining path first among equals; nothing is loaded over
 * what is needed sooner; when memory is short parts are loaded.
 *
 * A load's `at_s` is when it may begin: 0, or, when memory is short, when there will be room; loads that
 * are due go to the loader together and it orders them by priority and deadline.  A condition that has not
 * been decided counts as true, unless the task ran in fewer than one run of five.
 *
 * Ownership: the plan lives in the arena given and points into the input (names, ids), which must outlive
 * it. Threads: none shared.  Blocking: never.  Errors: PA_ERROR_INPUT for an index out of range, more bytes
 * resident than there are, a rate that is not positive, no slots, a cycle.  Limits: 2^31 pieces (extents,
 * cut when memory is short). Cost: 1,000 tasks that read 10,000 extents take well under 100 ms
 * (docs/planning.md).
 */
#ifndef PA_PLAN_PLAN_H
#define PA_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "forecast/forecast.h"
#include "pipeline/model.h"
#include "timeline/timeline.h"

struct pa_arena;
struct pa_error;

/* A range of a data set: the planner's unit. */
struct pa_plan_extent {
	uint32_t data_set; /* index */
	const char *path;  /* file or folder in the data set, "" for all */
	uint64_t offset_bytes;
	uint64_t bytes;
	uint64_t resident_bytes; /* of it, in memory already */
};

struct pa_plan_data_set {
	const char *name; /* "claim:…", "uri:…" */
	uint32_t link;    /* index; of the source it comes from */
};

struct pa_plan_link {
	const char *name; /* the source's location */
	double bytes_per_second;
	double latency_s;
};

enum pa_read_knowledge {
	PA_READ_PROFILED, /* from what the task read last time */
	PA_READ_NAMED,    /* paths below its mount that its command names */
	PA_READ_DECLARED, /* all of what it mounts or takes */
};

/* That a task reads an extent. */
struct pa_plan_read {
	uint32_t task;   /* index in the pipeline */
	uint32_t extent; /* index */
	enum pa_read_knowledge knowledge;
};

/* Where a task is, when a plan is made during a run. */
struct pa_plan_task_state {
	double started_s; /* NAN: not yet; else seconds from now, ≤ 0 */
	double ended_s;   /* NAN: not yet */
	bool skipped;     /* a condition left it out */
};

struct pa_plan_input {
	const struct pa_pipeline *pipeline;
	const struct pa_forecast *forecast;      /* durations; starts are worked out anew from states */
	const struct pa_plan_task_state *states; /* NULL: nothing has started */
	const struct pa_plan_data_set *data_sets;
	size_t data_set_count;
	const struct pa_plan_extent *extents;
	size_t extent_count;
	const struct pa_plan_link *links;
	size_t link_count;
	const struct pa_plan_read *reads;
	size_t read_count;
	/* Tasks with data that is not known (true: a mount or URI whose size or source is unknown), and
	 * with URIs that their own client opens; each NULL or one per task. */
	const bool *unknown_data;
	const bool *client_reads;
	uint32_t slots;
	double memory_bytes;
	uint64_t seed;
};

enum pa_plan_action_kind { PA_PLAN_LOAD, PA_PLAN_HOLD, PA_PLAN_START, PA_PLAN_KEEP, PA_PLAN_RELEASE };

struct pa_plan_action {
	double at_s;
	enum pa_plan_action_kind kind;
	uint32_t task;         /* whom it is for; UINT32_MAX: none */
	uint32_t extent;       /* UINT32_MAX for hold and start */
	uint64_t offset_bytes; /* the part of the extent that is meant, from the extent's own beginning */
	uint64_t bytes;        /* 0 for hold and start */
	const char *tier;      /* "node" */
	const char *node;      /* "local" */
	double deadline_s;     /* load, keep: early quantile of its first reader's start; hold: until when */
	double arrives_s;      /* load: when it will be there; NAN for others */
	double keep_until_s;   /* load, keep: late quantile of its last reader's end; NAN for others */
	uint32_t priority;     /* loads: 0 is needed first; others: the task's place in the order */
	const char *why;
};

enum pa_verdict_kind {
	PA_VERDICT_READY,        /* data there before the earliest likely start */
	PA_VERDICT_LATE,         /* late by `late_s` */
	PA_VERDICT_PARTIAL,      /* `share` of it fits or comes in time */
	PA_VERDICT_TOO_BIG,      /* more than the memory there is */
	PA_VERDICT_UNKNOWN_DATA, /* the file does not say, or no source is configured */
	PA_VERDICT_CLIENT_READS, /* a URI that the task's own client opens */
	PA_VERDICT_NO_DATA,      /* reads nothing that could be loaded */
};

struct pa_verdict {
	enum pa_verdict_kind kind;
	double late_s;
	double share;   /* 0..1 */
	uint64_t bytes; /* that the task reads, all extents */
};

struct pa_plan_task_times {
	double start_s, start_early_s, start_late_s; /* .5, .1, .9, with the plan's loads */
	double end_s, end_early_s, end_late_s;
	double stall_s; /* expected, of start-to-data */
};

struct pa_plan {
	struct pa_plan_action *actions; /* by at_s, then priority */
	size_t action_count;
	struct pa_verdict *verdicts;      /* one per task */
	struct pa_plan_task_times *times; /* one per task */
	double *task_order;               /* one per task: among ready tasks, smaller starts first */
	size_t task_count;
	double makespan_s;
	double without_makespan_s; /* the same, everything on demand */
	double local_makespan_s;   /* the same, all data local */
	double peak_memory_bytes;
	double *link_bytes; /* one per link: what will cross it */
	double bound_s;     /* no plan can be faster (docs/planning.md) */
};

int pa_plan_make(struct pa_arena *arena, const struct pa_plan_input *input, struct pa_plan *ret,
                 struct pa_error *err);

const char *pa_plan_action_name(enum pa_plan_action_kind kind);
/* "ready", "late by 3.2 s", "partial 40%", …; `room` of 64 is enough. */
char *pa_verdict_format(const struct pa_verdict *verdict, char *out, size_t room);

struct pa_buffer;
void pa_plan_print_json(const struct pa_plan_input *input, const struct pa_plan *plan, struct pa_buffer *out);
void pa_plan_print_table(const struct pa_plan_input *input, const struct pa_plan *plan,
                         struct pa_buffer *out);

#endif
