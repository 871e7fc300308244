/* SPDX-License-Identifier: Apache-2.0 */
/* The portfolio: many ways to run the same tasks, each simulated, the best one taken.
 *
 * A member is an order of tasks (plan/order.h), a way to dispatch them, and whether slots stay empty for data that is
 * on its way or tasks wait whose output would spill.  What is loaded, kept and let go follows by rank
 * (timeline/flow.h): first the ranks of a run with all data local, then those of the member's own run, for a few
 * rounds.  One member is LRU on demand, so that no plan is worse than that.  With uncertain durations members are
 * compared by the mean of the logarithm of the makespan over the expected durations and some draws.
 *
 * Pure; deterministic for a seed.  Ownership: the plan lives in the arena given and points to the graph.
 * Threads: none shared.  Cost: members × (rounds + draws) runs of the flow; PA_PORTFOLIO_QUICK a handful.
 */
#ifndef PA_PLAN_PORTFOLIO_H
#define PA_PLAN_PORTFOLIO_H

#include "plan/order.h"
#include "timeline/flow.h"

enum pa_portfolio_effort {
	PA_PORTFOLIO_QUICK, /* a first plan that can be acted on */
	PA_PORTFOLIO_FULL,
};

struct pa_portfolio_input {
	const struct pa_flow_graph *graph;
	const struct pa_flow_graph *local; /* of pa_flow_local() */
	const double *spread;              /* per task: standard deviation of log duration; NULL: certain */
	uint64_t seed;
	bool
	    keep_order; /* longest remaining path first, whatever the data: only loads and memory are planned */
	bool fill_slots; /* whoever carries the plan out gives a free slot to a ready task */
	enum pa_portfolio_effort effort;
};

struct pa_portfolio_plan {
	struct pa_flow_strategy strategy;
	struct pa_flow_result result; /* of its run with the expected durations */
	const char *name;
	uint32_t runs; /* of the flow, that it took to find it */
};

void pa_portfolio_choose(struct pa_arena *arena, const struct pa_portfolio_input *input,
                         struct pa_portfolio_plan *ret);

/* No order of tasks and loads ends earlier (docs/planning.md). */
double pa_flow_bound(const struct pa_flow_graph *graph);

#endif
