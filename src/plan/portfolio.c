/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/portfolio.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/random.h"

#define ROUNDS 3
#define DRAWS  8
/* What a draw in which a member loses to LRU weighs beside the mean: plans that are robust are preferred. */
#define RISK_WEIGHT .5
#define LEAST_S     1e-9
/* Orders and dispatches that look at all ready tasks are left out above this. */
#define MANY_TASKS 20000

struct member {
	enum pa_order order;
	enum pa_flow_dispatch dispatch;
	double weight;
	bool keep_slots;
	bool hold_spills;
};

/* The first QUICK are the quick plan; the first KEPT keep the order. */
static const struct member members[] = {
    {PA_ORDER_TAIL, PA_FLOW_STRICT, 0, false, false},
    {PA_ORDER_TAIL, PA_FLOW_STRICT, 0, true, false},
    {PA_ORDER_DEEP_LONGEST, PA_FLOW_STRICT, 0, true, false},
    {PA_ORDER_TAIL, PA_FLOW_LOADED_FIRST, 0, false, false},
    {PA_ORDER_DEEP_LONGEST, PA_FLOW_LOADED_FIRST, 0, false, false},
    {PA_ORDER_TAIL, PA_FLOW_LOADED_FIRST, 0, true, false},
    {PA_ORDER_DEEP_LONGEST, PA_FLOW_LOADED_FIRST, 0, true, false},
    {PA_ORDER_FOLLOW, PA_FLOW_LOADED_FIRST, 0, true, true},
    {PA_ORDER_TAIL, PA_FLOW_WEIGHED, 100, true, false},
    {PA_ORDER_LEAST_GROWTH, PA_FLOW_STRICT, 0, true, false},
    {PA_ORDER_TAIL, PA_FLOW_WEIGHED, 10, false, true},
    {PA_ORDER_TAIL, PA_FLOW_WEIGHED, 1, false, false},
    {PA_ORDER_TAIL, PA_FLOW_WEIGHED, 1, true, true},
    {PA_ORDER_DEEP_LONGEST, PA_FLOW_WEIGHED, 10, false, true},
    {PA_ORDER_DEEP_LONGEST, PA_FLOW_WEIGHED, 100, false, false},
    {PA_ORDER_DEEP_LONGEST, PA_FLOW_WEIGHED, 1, false, false},
    {PA_ORDER_FOLLOW, PA_FLOW_WEIGHED, 100, true, false},
    {PA_ORDER_FOLLOW, PA_FLOW_WEIGHED, 1, true, false},
    {PA_ORDER_DEEP_OUTPUT, PA_FLOW_LOADED_FIRST, 0, true, false},
    {PA_ORDER_DEEP_OUTPUT, PA_FLOW_STRICT, 0, true, false},
    {PA_ORDER_DEEP_SHORTEST, PA_FLOW_LOADED_FIRST, 0, true, false},
    {PA_ORDER_DEEP_INDEX, PA_FLOW_STRICT, 0, true, false},
};
#define MEMBERS (sizeof(members) / sizeof(members[0]))
#define QUICK   5
#define KEPT    2

struct chooser {
	struct pa_arena *arena;
	const struct pa_portfolio_input *input;
	struct pa_portfolio_plan *best;
	double best_score;
	double *drawn_s[DRAWS]; /* durations; only if they are uncertain */
	double lru_s[DRAWS];    /* makespans */
	double *orders[PA_ORDER_COUNT];
};

/* Ranks in the order of dispatch of a run. */
static void copy_sequence(const struct pa_flow_graph *graph, const struct pa_flow_result *result,
                          double *rank)
{
	for (uint32_t i = 0; i < graph->flow->task_count; i++)
		rank[i] = result->tasks[i].sequence;
}

static const double *order_of(struct chooser *chooser, enum pa_order order)
{
	if (chooser->orders[order] == NULL)
		chooser->orders[order] = pa_order_make(chooser->arena, chooser->input->graph, order);
	return chooser->orders[order];
}

static double run_makespan(struct chooser *chooser, const struct pa_flow_strategy *strategy)
{
	struct pa_arena scratch = PA_ARENA_INIT;
	struct pa_flow_result result;
	pa_flow_run(&scratch, chooser->input->graph, strategy, &result);
	chooser->best->runs++;
	pa_arena_done(&scratch);
	return result.makespan_s;
}

/* Mean log makespan over the expected durations, which took `makespan_s`, and the draws, and what is lost to LRU in
 * the worst of them. */
static double score(struct chooser *chooser, const struct pa_flow_strategy *strategy, double makespan_s)
{
	double sum = log(fmax(makespan_s, LEAST_S)), risk = 0;
	if (chooser->drawn_s[0] == NULL)
		return sum;
	for (int i = 0; i < DRAWS; i++) {
		struct pa_flow_strategy drawn = *strategy;
		drawn.duration_s = chooser->drawn_s[i];
		double drawn_s = fmax(run_makespan(chooser, &drawn), LEAST_S);
		if (strategy->policy == &pa_flow_lru)
			chooser->lru_s[i] = drawn_s;
		risk = fmax(risk, log(drawn_s / chooser->lru_s[i]));
		sum += log(drawn_s);
	}
	return sum / (1 + DRAWS) + RISK_WEIGHT * risk;
}

static void consider(struct chooser *chooser, const struct pa_flow_strategy *strategy, double makespan_s,
                     const char *name)
{
	double own = score(chooser, strategy, makespan_s);
	/* LRU comes first, to be compared with; a plan as good as it is better. */
	bool is_tie = chooser->best->strategy.policy == &pa_flow_lru && own <= chooser->best_score;
	if (own >= chooser->best_score && !is_tie)
		return;
	chooser->best_score = own;
	chooser->best->strategy = *strategy;
	chooser->best->name = name;
}

static const char *name_of(struct pa_arena *arena, const struct member *member)
{
	static const char *const dispatches[] = {"strict", "loaded first", "weighed"};
	return pa_arena_printf(arena, "%s; %s%s%s", pa_order_name(member->order),
	                       dispatches[member->dispatch], member->keep_slots ? ", slots kept" : "",
	                       member->hold_spills ? ", spills held" : "");
}

/* The member's best round. */
static void try_member(struct chooser *chooser, const struct member *member, int rounds)
{
	const struct pa_portfolio_input *input = chooser->input;
	uint32_t count = input->graph->flow->task_count;
	struct pa_arena scratch = PA_ARENA_INIT;
	struct pa_flow_result result;
	struct pa_flow_strategy strategy = {.order_s = order_of(chooser, member->order),
	                                    .dispatch = member->dispatch,
	                                    .weight = member->weight,
	                                    .keep_slots = member->keep_slots,
	                                    .hold_spills = member->hold_spills};
	double *rank = pa_arena_array(&scratch, count, sizeof(*rank));
	double *best_rank = pa_arena_array(chooser->arena, count, sizeof(*best_rank));
	double best_s = INFINITY;
	struct pa_flow_strategy local = {.order_s = strategy.order_s, .rank = strategy.order_s};
	pa_flow_run(&scratch, input->local, &local, &result);
	for (int round = 0; round < rounds; round++) {
		copy_sequence(input->graph, &result, rank);
		strategy.rank = rank;
		pa_flow_run(&scratch, input->graph, &strategy, &result);
		chooser->best->runs++;
		if (result.makespan_s >= best_s)
			continue;
		best_s = result.makespan_s;
		memcpy(best_rank, rank, count * sizeof(*rank));
	}
	strategy.rank = best_rank;
	consider(chooser, &strategy, best_s, name_of(chooser->arena, member));
	pa_arena_done(&scratch);
}

static void try_lru(struct chooser *chooser)
{
	struct pa_flow_strategy strategy = {.order_s = order_of(chooser, PA_ORDER_TAIL),
	                                    .rank = order_of(chooser, PA_ORDER_TAIL),
	                                    .policy = &pa_flow_lru};
	consider(chooser, &strategy, run_makespan(chooser, &strategy), "lru on demand");
}

static void draw_durations(struct chooser *chooser)
{
	const struct pa_flow *flow = chooser->input->graph->flow;
	struct pa_random random = {chooser->input->seed};
	for (int i = 0; i < DRAWS; i++) {
		double *drawn_s = pa_arena_array(chooser->arena, flow->task_count, sizeof(*drawn_s));
		for (uint32_t task = 0; task < flow->task_count; task++)
			drawn_s[task] = flow->tasks[task].duration_s *
			                exp(chooser->input->spread[task] * pa_random_normal(&random));
		chooser->drawn_s[i] = drawn_s;
	}
}

static bool is_uncertain(const struct pa_portfolio_input *input)
{
	for (uint32_t i = 0; input->spread && i < input->graph->flow->task_count; i++)
		if (input->spread[i] > 0)
			return true;
	return false;
}

static bool is_too_slow(const struct member *member, uint32_t tasks)
{
	return tasks > MANY_TASKS && (member->dispatch != PA_FLOW_STRICT || member->hold_spills ||
	                              member->order == PA_ORDER_LEAST_GROWTH);
}

void pa_portfolio_choose(struct pa_arena *arena, const struct pa_portfolio_input *input,
                         struct pa_portfolio_plan *ret)
{
	struct pa_portfolio_plan best = {0};
	struct chooser chooser = {.arena = arena, .input = input, .best = &best, .best_score = INFINITY};
	bool quick = input->effort == PA_PORTFOLIO_QUICK;
	size_t count = input->keep_order ? KEPT : quick ? QUICK : MEMBERS;
	if (!quick && is_uncertain(input))
		draw_durations(&chooser);
	try_lru(&chooser);
	for (size_t i = 0; i < count; i++)
		if (!is_too_slow(&members[i], input->graph->flow->task_count) &&
		    !(input->fill_slots && members[i].keep_slots))
			try_member(&chooser, &members[i], quick ? 1 : ROUNDS);
	pa_flow_run(arena, input->graph, &best.strategy, &best.result);
	*ret = best;
}
