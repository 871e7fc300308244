/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "plan/plan_internal.h"
#include "plan/portfolio.h"

/* Up to so many reads of pieces, a plan after every event can afford to try all orders. */
#define READS_FOR_FULL_EFFORT 4000
/* How many of those dispatched meanwhile are looked at for who overtook a task. */
#define OVERTAKERS 64
/* Between the .1 and the .9 quantile of a normal distribution. */
#define DEVIATIONS_OF_BAND 2.563
#define MOST_SPREAD        1.

/* On demand, with the best eviction there is: what the tasks would have without loads ahead. */
static const struct pa_flow_policy on_demand = {.admission = PA_FLOW_ADMIT_LATER, .drop_unread = true};

static struct pa_flow_file *files_of(const struct pa_planner *planner)
{
	struct pa_flow_file *files = pa_arena_array(planner->scratch, planner->piece_count, sizeof(*files));
	for (uint32_t i = 0; i < planner->piece_count; i++) {
		const struct pa_timeline_extent *extent = &planner->piece_extents[i];
		uint32_t chunks = extent->bytes > 0;
		files[i] = (struct pa_flow_file){extent->bytes, chunks, extent->resident ? chunks : 0,
		                                 extent->link, extent->keep_after};
	}
	return files;
}

static struct pa_flow flow_of(const struct pa_planner *planner, size_t *ret_reads)
{
	const struct pa_lanes *lanes = &planner->spread.lanes;
	const struct pa_plan_input *input = planner->input;
	struct pa_flow_task *tasks = pa_arena_array(planner->scratch, lanes->count, sizeof(*tasks));
	struct pa_flow_link *links = pa_arena_array(planner->scratch, input->link_count, sizeof(*links));
	*ret_reads = 0;
	for (size_t i = 0; i < lanes->count; i++) {
		const struct pa_timeline_task *lane = &planner->lanes[i];
		tasks[i] = (struct pa_flow_task){.after = lane->after,
		                                 .after_count = lane->after_count,
		                                 .reads = lane->reads,
		                                 .read_count = lane->read_count,
		                                 .duration_s = lane->duration_s,
		                                 .not_before_s = lane->not_before_s,
		                                 .started_s = lane->started_s,
		                                 .ended_s = lane->ended_s};
		*ret_reads += lane->read_count;
	}
	for (size_t i = 0; i < input->link_count; i++)
		links[i] =
		    (struct pa_flow_link){planner->links[i].bytes_per_second, planner->links[i].latency_s};
	return (struct pa_flow){.tasks = tasks,
	                        .task_count = (uint32_t)lanes->count,
	                        .files = files_of(planner),
	                        .file_count = planner->piece_count,
	                        .links = links,
	                        .link_count = (uint32_t)input->link_count,
	                        .slots = input->slots,
	                        .memory_bytes = input->memory_bytes,
	                        .pin_reads = true};
}

static double *spread_of(const struct pa_planner *planner)
{
	const struct pa_lanes *lanes = &planner->spread.lanes;
	double *spread = pa_arena_array(planner->scratch, lanes->count, sizeof(*spread));
	for (size_t i = 0; i < lanes->count; i++) {
		const double *quantiles =
		    planner->input->forecast->tasks[lanes->owner[i]].duration_s.quantiles;
		if (quantiles[0] > 0 && quantiles[4] > quantiles[0])
			spread[i] = fmin(log(quantiles[4] / quantiles[0]) / DEVIATIONS_OF_BAND, MOST_SPREAD);
	}
	return spread;
}

struct dispatched {
	double start_s;
	uint32_t sequence;
	uint32_t task;
};

static int compare_dispatched(const void *left, const void *right)
{
	const struct dispatched *a = left, *b = right;
	if (a->start_s != b->start_s)
		return a->start_s < b->start_s ? -1 : 1;
	return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

/* Who took a slot while a task was ready that goes before it by the order alone. */
static void note_overtaking(const struct pa_planner *planner, const struct pa_flow_result *flow,
                            const double *order_s, struct pa_timeline_result *run)
{
	uint32_t count = (uint32_t)planner->spread.lanes.count, started = 0;
	struct dispatched *dispatches = pa_arena_array(planner->scratch, count, sizeof(*dispatches));
	for (uint32_t i = 0; i < count; i++)
		if (isnan(planner->lanes[i].started_s) && isnan(planner->lanes[i].ended_s))
			dispatches[started++] =
			    (struct dispatched){flow->tasks[i].start_s, flow->tasks[i].sequence, i};
	qsort(dispatches, started, sizeof(*dispatches), compare_dispatched);
	for (uint32_t at = 0; at < started; at++) {
		uint32_t task = dispatches[at].task;
		double ready_s = flow->tasks[task].ready_s;
		uint32_t last = at > OVERTAKERS ? at - OVERTAKERS : 0;
		for (uint32_t i = at; i-- > last && dispatches[i].start_s >= ready_s;) {
			uint32_t other = dispatches[i].task;
			if (order_s[other] <= order_s[task])
				continue;
			run->tasks[task].overtaken_by = other;
			run->tasks[task].overtaken_s = dispatches[i].start_s;
		}
	}
}

static struct pa_timeline_result result_of(const struct pa_planner *planner,
                                           const struct pa_flow_result *flow, const double *order_s)
{
	struct pa_timeline_result run = {.makespan_s = flow->makespan_s,
	                                 .stall_s = flow->wait_s,
	                                 .peak_memory_bytes = flow->peak_memory_bytes,
	                                 .fetched_bytes = flow->fetched_bytes,
	                                 .link_bytes = flow->link_bytes};
	size_t lanes = planner->spread.lanes.count;
	run.tasks = pa_arena_array(planner->scratch, lanes, sizeof(*run.tasks));
	run.extents = pa_arena_array(planner->scratch, planner->piece_count, sizeof(*run.extents));
	for (size_t i = 0; i < lanes; i++) {
		const struct pa_flow_task_result *task = &flow->tasks[i];
		run.tasks[i] = (struct pa_timeline_task_result){task->ready_s, task->start_s, task->run_s,
		                                                task->end_s,   UINT32_MAX,    0};
		run.makespan_s = fmax(run.makespan_s, task->end_s);
	}
	for (uint32_t i = 0; i < planner->piece_count; i++) {
		const struct pa_flow_file_result *file = &flow->files[i];
		run.extents[i] = (struct pa_timeline_extent_result){.requested_s = file->requested_s,
		                                                    .arrived_s = file->arrived_s,
		                                                    .bypassed = file->bypassed,
		                                                    .fetches = (uint32_t)file->chunks};
	}
	note_overtaking(planner, flow, order_s, &run);
	return run;
}

static bool is_better(const struct pa_timeline_result *run, const struct pa_timeline_result *best)
{
	if (run->makespan_s != best->makespan_s)
		return run->makespan_s < best->makespan_s;
	return run->stall_s < best->stall_s;
}

/* All on demand, tasks in their plain order. */
static void run_without(struct pa_planner *planner, const struct pa_flow_graph *graph,
                        const struct pa_flow_graph *local)
{
	struct pa_flow_strategy strategy = {.order_s = pa_order_make(planner->scratch, graph, PA_ORDER_TAIL)};
	struct pa_flow_result result;
	double *rank = pa_arena_array(planner->scratch, graph->flow->task_count, sizeof(*rank));
	strategy.rank = strategy.order_s;
	pa_flow_run(planner->scratch, local, &strategy, &result);
	for (uint32_t i = 0; i < graph->flow->task_count; i++)
		rank[i] = result.tasks[i].sequence;
	strategy.rank = rank;
	strategy.policy = &on_demand;
	pa_flow_run(planner->scratch, graph, &strategy, &result);
	planner->without = result_of(planner, &result, strategy.order_s);
}

int pa_loads_make(struct pa_planner *planner, struct pa_error *err)
{
	size_t reads;
	struct pa_flow flow = flow_of(planner, &reads);
	struct pa_flow local_flow = pa_flow_local(planner->scratch, &flow);
	struct pa_flow_graph graph, local;
	struct pa_portfolio_plan chosen;
	int failed = pa_flow_graph_make(planner->scratch, &flow, &graph, err);
	if (!failed)
		failed = pa_flow_graph_make(planner->scratch, &local_flow, &local, err);
	if (failed)
		return failed;
	bool full = reads <= READS_FOR_FULL_EFFORT;
	struct pa_portfolio_input input = {.graph = &graph,
	                                   .local = &local,
	                                   .spread = full ? spread_of(planner) : NULL,
	                                   .seed = planner->input->seed,
	                                   .fill_slots = true,
	                                   .effort = full ? PA_PORTFOLIO_FULL : PA_PORTFOLIO_QUICK};
	run_without(planner, &graph, &local);
	pa_portfolio_choose(planner->scratch, &input, &chosen);
	planner->with = result_of(planner, &chosen.result, chosen.strategy.order_s);
	/* Loading ahead can cost more than it saves, as any change of a list schedule can: loads then wait. */
	if (is_better(&planner->without, &planner->with))
		planner->with = planner->without;
	return 0;
}
