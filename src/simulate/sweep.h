/* SPDX-License-Identifier: Apache-2.0 */
/* The sweep: every policy on every instance in every cell of a grid, summed up by geometric means and worst cases.
 *
 * Pure.  Ownership: the result lives in the arena given.  Errors: those of a setting.
 */
#ifndef PA_SIMULATE_SWEEP_H
#define PA_SIMULATE_SWEEP_H

#include "simulate/simulate.h"

#define PA_SWEEP_POLICIES   (PA_RIVALS + 1) /* the planner first, then the rivals */
#define PA_SWEEP_MAX_VALUES 16

struct pa_sweep_input {
	const struct pa_instance *instances;
	size_t instance_count;
	struct pa_simulate_options options; /* memory share and rho are the cell's */
	const double *memory_shares;
	size_t memory_count;
	const double *rhos;
	size_t rho_count;
};

/* Over some instances: of makespan over ideal. */
struct pa_sweep_summary {
	double log_sum;
	double worst;
	double worst_over_lru;   /* of makespan over LRU's */
	double worst_over_rival; /* over the best rival's */
};

struct pa_sweep_cell {
	double memory_share, rho;
	struct pa_sweep_summary all[PA_SWEEP_POLICIES];
	/* Without instances that read next to nothing from outside: there any stall is a multiple without meaning. */
	struct pa_sweep_summary external[PA_SWEEP_POLICIES];
	double bound_log_sum[2]; /* all, external */
};

struct pa_sweep {
	struct pa_sweep_cell *cells; /* by memory, then by rho */
	size_t cell_count;
	size_t all_count, external_count; /* instances */
};

#define PA_SWEEP_LEAST_EXTERNAL_SHARE 1e-4

int pa_sweep_run(struct pa_arena *arena, const struct pa_sweep_input *input, struct pa_sweep *ret,
                 struct pa_error *err);
void pa_sweep_print_table(const struct pa_sweep_input *input, const struct pa_sweep *sweep,
                          struct pa_buffer *out);
void pa_sweep_print_json(const struct pa_sweep_input *input, const struct pa_sweep *sweep,
                         struct pa_buffer *out);

#endif
