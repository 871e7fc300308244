/* SPDX-License-Identifier: Apache-2.0 */
/* Orders in which ready tasks may be dispatched: when memory is short, the order decides how often the same bytes
 * cross a link.
 *
 * Pure, deterministic.  The order lives in the arena given.  Cost: n log n, except PA_ORDER_LEAST_GROWTH: n times the
 * ready tasks.
 */
#ifndef PA_PLAN_ORDER_H
#define PA_PLAN_ORDER_H

#include "timeline/flow.h"

enum pa_order {
	PA_ORDER_TAIL, /* longest remaining path first */
	/* Depth first from the ends: a task right after all it waits for.  Ends, and what each task waits for, … */
	PA_ORDER_DEEP_LONGEST,  /* … by the longest path that ends there, longest first, */
	PA_ORDER_DEEP_SHORTEST, /* … shortest first, */
	PA_ORDER_DEEP_INDEX,    /* … by index, */
	PA_ORDER_DEEP_OUTPUT,   /* … by the largest output of it and what is before it. */
	PA_ORDER_FOLLOW,        /* a task whose last predecessor has just ended goes before all others */
	PA_ORDER_LEAST_GROWTH,  /* what lets most bytes go and brings the fewest in, step by step */
	PA_ORDER_COUNT,
};

/* One value per task, in seconds of work (those of all tasks over the slots): smaller goes first. */
double *pa_order_make(struct pa_arena *arena, const struct pa_flow_graph *graph, enum pa_order order);
const char *pa_order_name(enum pa_order order);

#endif
