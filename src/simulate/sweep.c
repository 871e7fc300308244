/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/sweep.h"

#include <math.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

#define LRU_PLACE 2 /* the planner is 0, none 1 */

static void add(struct pa_sweep_summary summaries[PA_SWEEP_POLICIES], const double ratios[PA_SWEEP_POLICIES])
{
	double best_rival = INFINITY;
	for (size_t i = 1; i < PA_SWEEP_POLICIES; i++)
		best_rival = fmin(best_rival, ratios[i]);
	for (size_t i = 0; i < PA_SWEEP_POLICIES; i++) {
		summaries[i].log_sum += log(ratios[i]);
		summaries[i].worst = fmax(summaries[i].worst, ratios[i]);
		summaries[i].worst_over_lru =
		    fmax(summaries[i].worst_over_lru, ratios[i] / ratios[LRU_PLACE]);
		summaries[i].worst_over_rival = fmax(summaries[i].worst_over_rival, ratios[i] / best_rival);
	}
}

/* An instance whose ideal takes no time has no ratio, and is left out. */
static int add_instance(const struct pa_sweep_input *input, const struct pa_instance *instance,
                        struct pa_sweep_cell *cell, bool *ret_external, bool *ret_counted,
                        struct pa_error *err)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_simulate_options options = input->options;
	struct pa_setting setting;
	struct pa_simulation simulation;
	double ratios[PA_SWEEP_POLICIES];
	options.memory_share = cell->memory_share;
	options.rho = cell->rho;
	int failed = pa_setting_make(&arena, instance, &options, &setting, err);
	for (int policy = PA_SIMULATE_OWN; policy < PA_RIVALS && !failed; policy++) {
		failed = pa_simulate_run(&arena, &setting, policy, &simulation, err);
		ratios[policy + 1] = simulation.stall_ratio;
	}
	*ret_counted = !failed && setting.ideal_s > 0;
	if (*ret_counted) {
		*ret_external = setting.cold_bytes >= PA_SWEEP_LEAST_EXTERNAL_SHARE * setting.distinct_bytes;
		add(cell->all, ratios);
		cell->bound_log_sum[0] += log(setting.bound_s / setting.ideal_s);
		if (*ret_external) {
			add(cell->external, ratios);
			cell->bound_log_sum[1] += log(setting.bound_s / setting.ideal_s);
		}
	}
	pa_arena_done(&arena);
	return failed;
}

int pa_sweep_run(struct pa_arena *arena, const struct pa_sweep_input *input, struct pa_sweep *ret,
                 struct pa_error *err)
{
	struct pa_sweep sweep = {.cell_count = input->memory_count * input->rho_count};
	sweep.cells = pa_arena_array(arena, sweep.cell_count, sizeof(*sweep.cells));
	for (size_t i = 0; i < sweep.cell_count; i++) {
		struct pa_sweep_cell *cell = &sweep.cells[i];
		cell->memory_share = input->memory_shares[i / input->rho_count];
		cell->rho = input->rhos[i % input->rho_count];
		sweep.all_count = sweep.external_count = 0;
		for (size_t j = 0; j < input->instance_count; j++) {
			bool external, counted;
			int failed =
			    add_instance(input, &input->instances[j], cell, &external, &counted, err);
			if (failed)
				return failed;
			sweep.all_count += counted;
			sweep.external_count += counted && external;
		}
	}
	*ret = sweep;
	return 0;
}

static double mean(double log_sum, size_t count)
{
	return count > 0 ? exp(log_sum / (double)count) : NAN;
}

static const struct pa_sweep_summary *summary(const struct pa_sweep_cell *cell, bool external, size_t policy)
{
	return external ? &cell->external[policy] : &cell->all[policy];
}

static void print_part(const struct pa_sweep *sweep, bool external, struct pa_buffer *out)
{
	size_t count = external ? sweep->external_count : sweep->all_count;
	pa_buffer_printf(out, "%-14s", "memory/rho");
	for (size_t i = 0; i < sweep->cell_count; i++)
		pa_buffer_printf(out, " %4.0f%%/%-4g", sweep->cells[i].memory_share * 100,
		                 sweep->cells[i].rho);
	pa_buffer_puts(out, "\n");
	for (size_t policy = 0; policy < PA_SWEEP_POLICIES; policy++) {
		pa_buffer_printf(out, "%-14s", pa_simulate_policy_name((int)policy - 1));
		for (size_t i = 0; i < sweep->cell_count; i++)
			pa_buffer_printf(out, " %10.3f",
			                 mean(summary(&sweep->cells[i], external, policy)->log_sum, count));
		pa_buffer_puts(out, "\n");
	}
	pa_buffer_printf(out, "%-14s", "bound");
	for (size_t i = 0; i < sweep->cell_count; i++)
		pa_buffer_printf(out, " %10.3f", mean(sweep->cells[i].bound_log_sum[external], count));
	pa_buffer_printf(out, "\n%-14s", "worst/lru");
	for (size_t i = 0; i < sweep->cell_count; i++)
		pa_buffer_printf(out, " %10.3f", summary(&sweep->cells[i], external, 0)->worst_over_lru);
	pa_buffer_printf(out, "\n%-14s", "worst/best");
	for (size_t i = 0; i < sweep->cell_count; i++)
		pa_buffer_printf(out, " %10.3f", summary(&sweep->cells[i], external, 0)->worst_over_rival);
	pa_buffer_puts(out, "\n");
}

void pa_sweep_print_table(const struct pa_sweep_input *input, const struct pa_sweep *sweep,
                          struct pa_buffer *out)
{
	pa_buffer_printf(out,
	                 "Geometric means of makespan / ideal over %zu instances; %u slots, sizes x %g, "
	                 "noise %g, order %s.\n"
	                 "Rivals keep the list scheduler's order%s.\n",
	                 sweep->all_count, input->options.slots, input->options.scale, input->options.noise,
	                 input->options.given_order ? "given" : "free",
	                 input->options.given_order ? "; so does pipeahead"
	                                            : "; pipeahead may reorder ready tasks");
	print_part(sweep, false, out);
	if (sweep->external_count == sweep->all_count)
		return;
	pa_buffer_printf(out, "\nWithout the %zu that read under %g%% of their bytes from outside:\n",
	                 sweep->all_count - sweep->external_count, PA_SWEEP_LEAST_EXTERNAL_SHARE * 100);
	print_part(sweep, true, out);
}

static void print_json_part(const struct pa_sweep *sweep, const struct pa_sweep_cell *cell, bool external,
                            struct pa_buffer *out)
{
	size_t count = external ? sweep->external_count : sweep->all_count;
	pa_buffer_printf(out, "{\"instances\": %zu, \"bound\": %.6g, \"policies\": {", count,
	                 count > 0 ? mean(cell->bound_log_sum[external], count) : 0);
	for (size_t policy = 0; policy < PA_SWEEP_POLICIES; policy++) {
		const struct pa_sweep_summary *own = summary(cell, external, policy);
		pa_buffer_printf(out,
		                 "%s\"%s\": {\"geomean\": %.6g, \"worst\": %.6g, \"worst_over_lru\": %.6g, "
		                 "\"worst_over_best_rival\": %.6g}",
		                 policy > 0 ? ", " : "", pa_simulate_policy_name((int)policy - 1),
		                 count > 0 ? mean(own->log_sum, count) : 0, own->worst, own->worst_over_lru,
		                 own->worst_over_rival);
	}
	pa_buffer_puts(out, "}}");
}

void pa_sweep_print_json(const struct pa_sweep_input *input, const struct pa_sweep *sweep,
                         struct pa_buffer *out)
{
	pa_buffer_printf(out,
	                 "{\"schema\": \"pipeahead/sweep/v1\", \"slots\": %u, \"scale\": %g, \"noise\": %g, "
	                 "\"order\": \"%s\", \"cells\": [",
	                 input->options.slots, input->options.scale, input->options.noise,
	                 input->options.given_order ? "given" : "free");
	for (size_t i = 0; i < sweep->cell_count; i++) {
		pa_buffer_printf(out, "%s\n{\"memory_share\": %g, \"rho\": %g, \"all\": ", i > 0 ? "," : "",
		                 sweep->cells[i].memory_share, sweep->cells[i].rho);
		print_json_part(sweep, &sweep->cells[i], false, out);
		pa_buffer_puts(out, ", \"with_external_data\": ");
		print_json_part(sweep, &sweep->cells[i], true, out);
		pa_buffer_puts(out, "}");
	}
	pa_buffer_puts(out, "\n]}\n");
}
