/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator: an instance, on a virtual clock, with the planner or a rival in its place.
 *
 * A setting fixes what all policies share: sizes, chunks, slots, memory, the link, and how long tasks really take.
 * pa_simulate_run() then runs one policy.  The planner is the library's own (plan/portfolio.h), not a copy.
 *
 * Pure and deterministic.  Ownership: everything lives in the arena given, the instance outlives the setting.
 * Errors: PA_ERROR_INPUT for what is out of range.
 */
#ifndef PA_SIMULATE_SIMULATE_H
#define PA_SIMULATE_SIMULATE_H

#include "plan/portfolio.h"
#include "simulate/instance.h"
#include "simulate/rivals.h"

struct pa_buffer;

#define PA_SIMULATE_OWN         (-1) /* the policy that is the planner; others are numbers of rivals */
#define PA_SIMULATE_SLOTS       8
#define PA_SIMULATE_CHUNK_BYTES 64000000

struct pa_simulate_options {
	double memory_share; /* of all distinct bytes; used if memory_bytes is NAN */
	double memory_bytes;
	double rho; /* cold transfer time over ideal makespan; used if bytes_per_second is NAN */
	double bytes_per_second;
	double scale; /* of sizes */
	double
	    noise; /* standard deviation of the logarithm of durations; the planner knows it, not the draws */
	uint64_t seed;
	uint64_t chunk_bytes;
	uint32_t slots;
	bool given_order; /* the planner, too, keeps to the longest remaining path first */
	enum pa_portfolio_effort effort;
};
#define PA_SIMULATE_OPTIONS_INIT                                                                             \
	{                                                                                                    \
		.memory_share = .3, .memory_bytes = NAN, .rho = .5, .bytes_per_second = NAN, .scale = 1,     \
		.seed = 1, .chunk_bytes = PA_SIMULATE_CHUNK_BYTES, .slots = PA_SIMULATE_SLOTS,               \
		.effort = PA_PORTFOLIO_FULL                                                                  \
	}

struct pa_setting {
	const struct pa_instance *instance;
	struct pa_simulate_options options;
	struct pa_flow flow; /* with the durations that are planned for */
	struct pa_flow_link link;
	struct pa_flow_graph graph;
	struct pa_flow_graph local; /* the same with all data local */
	struct pa_strategy_base base;
	const double *durations_s; /* real ones */
	double cold_bytes;         /* distinct external bytes that are read */
	double distinct_bytes;
	double rho;
	double ideal_s;
	double bound_s; /* no plan is faster */
};

struct pa_simulation {
	struct pa_flow_result result;
	double stall_ratio; /* NAN: the ideal takes no time */
	/* Of makespan − ideal: the longest wait of a task without parents; what else the bound leaves no way around; the
	 * rest. */
	double cold_start_s, bandwidth_s, avoidable_s;
	double accuracy;    /* share of bytes loaded ahead that were read; NAN: none were */
	double coverage;    /* share of bytes resident at first read; NAN: none are read */
	double lateness_s;  /* mean wait of tasks that read */
	const char *chosen; /* the planner's: what its plan is; else the policy's name */
};

int pa_setting_make(struct pa_arena *arena, const struct pa_instance *instance,
                    const struct pa_simulate_options *options, struct pa_setting *ret, struct pa_error *err);
int pa_simulate_run(struct pa_arena *arena, const struct pa_setting *setting, int policy,
                    struct pa_simulation *ret, struct pa_error *err);
const char *pa_simulate_policy_name(int policy);

/* `planner_ms`: what the policy took, by the caller's clock. */
void pa_simulation_print_json(const struct pa_setting *setting, int policy,
                              const struct pa_simulation *simulation, double planner_ms,
                              struct pa_buffer *out);
void pa_simulation_print_table(const struct pa_setting *setting, int policy,
                               const struct pa_simulation *simulation, struct pa_buffer *out);

#endif
