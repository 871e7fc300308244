/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/units.h"
#include "simulate/simulate.h"

/* JSON knows no infinity: what has no value is null. */
static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *bytes_of(double bytes)
{
	return bytes < 0x1p62 ? json_integer((json_int_t)bytes) : json_null();
}

void pa_simulation_print_json(const struct pa_setting *setting, int policy,
                              const struct pa_simulation *simulation, double planner_ms,
                              struct pa_buffer *out)
{
	const struct pa_flow_result *result = &simulation->result;
	json_t *root = json_object();
	json_t *stall = json_object();
	json_object_set_new(stall, "cold_start", number(simulation->cold_start_s));
	json_object_set_new(stall, "bandwidth", number(simulation->bandwidth_s));
	json_object_set_new(stall, "avoidable", number(simulation->avoidable_s));
	json_object_set_new(root, "instance", json_string(setting->instance->name));
	json_object_set_new(root, "policy", json_string(pa_simulate_policy_name(policy)));
	json_object_set_new(root, "plan", json_string(simulation->chosen));
	json_object_set_new(root, "slots", json_integer(setting->flow.slots));
	json_object_set_new(root, "memory_bytes", bytes_of(setting->flow.memory_bytes));
	json_object_set_new(root, "bandwidth_bytes_per_second", number(setting->link.bytes_per_second));
	json_object_set_new(root, "rho", number(setting->rho));
	json_object_set_new(root, "scale", number(setting->options.scale));
	json_object_set_new(root, "noise", number(setting->options.noise));
	json_object_set_new(root, "order", json_string(setting->options.given_order ? "given" : "free"));
	json_object_set_new(root, "makespan_s", number(result->makespan_s));
	json_object_set_new(root, "ideal_s", number(setting->ideal_s));
	json_object_set_new(root, "stall_ratio", number(simulation->stall_ratio));
	json_object_set_new(root, "stall_s", stall);
	json_object_set_new(root, "fetched_bytes", bytes_of(round(result->fetched_bytes)));
	json_object_set_new(root, "cold_bytes", bytes_of(setting->cold_bytes));
	json_object_set_new(root, "accuracy", number(simulation->accuracy));
	json_object_set_new(root, "coverage", number(simulation->coverage));
	json_object_set_new(root, "lateness_s", number(simulation->lateness_s));
	json_object_set_new(root, "memory_gbs", number(result->memory_byte_s / 1e9));
	json_object_set_new(root, "peak_memory_bytes", bytes_of(round(result->peak_memory_bytes)));
	json_object_set_new(root, "bound_s", number(setting->bound_s));
	json_object_set_new(root, "gap", number(result->makespan_s / setting->bound_s - 1));
	json_object_set_new(root, "planner_ms", number(planner_ms));
	char *text = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	json_decref(root);
	pa_buffer_puts(out, text == NULL ? "null" : text);
	pa_buffer_puts(out, "\n");
	free(text);
}

static void row(struct pa_buffer *out, const char *what, const char *value, const char *note)
{
	pa_buffer_printf(out, "%-14s %14s  %s\n", what, value, note);
}

static void row_seconds(struct pa_buffer *out, const char *what, double seconds, const char *note)
{
	char text[32];
	row(out, what, pa_units_format_seconds(seconds, text, sizeof(text)), note);
}

static void row_bytes(struct pa_buffer *out, const char *what, double bytes, const char *note)
{
	char text[32];
	row(out, what, pa_units_format_bytes((uint64_t)bytes, text, sizeof(text)), note);
}

void pa_simulation_print_table(const struct pa_setting *setting, int policy,
                               const struct pa_simulation *simulation, struct pa_buffer *out)
{
	const struct pa_flow_result *result = &simulation->result;
	pa_buffer_printf(out, "%s\n%s (%s), %u slots, rho %.3g\n", setting->instance->name,
	                 pa_simulate_policy_name(policy), simulation->chosen, setting->flow.slots,
	                 setting->rho);
	row_seconds(out, "makespan", result->makespan_s, "");
	row_seconds(out, "ideal", setting->ideal_s, "all data local, same scheduler");
	row_seconds(out, "bound", setting->bound_s, "no order of tasks and loads is faster");
	row_seconds(out, "cold start", simulation->cold_start_s, "tasks without parents wait for their data");
	row_seconds(out, "bandwidth", simulation->bandwidth_s, "what the bound says cannot be avoided");
	row_seconds(out, "avoidable", simulation->avoidable_s, "the rest");
	row_bytes(out, "fetched", result->fetched_bytes, "");
	row_bytes(out, "cold", setting->cold_bytes, "distinct bytes that are read from outside");
	if (isfinite(setting->flow.memory_bytes))
		row_bytes(out, "memory", setting->flow.memory_bytes, "");
	row_bytes(out, "peak", result->peak_memory_bytes, "of memory");
	pa_buffer_printf(out, "%-14s %14.4g  makespan / ideal\n", "stall ratio", simulation->stall_ratio);
	pa_buffer_printf(out, "%-14s %13.1f%%  makespan over the bound\n", "gap",
	                 (result->makespan_s / setting->bound_s - 1) * 100);
}
