/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/simulate.h"

#include <math.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/random.h"

/* A chunk is at most this share of the memory: larger ones would leave a small memory empty. */
#define CHUNKS_OF_MEMORY 16
#define MAX_CHUNKS       100000000.

static int check_options(const struct pa_simulate_options *options, struct pa_error *err)
{
	if (!(options->scale > 0) || isinf(options->scale) || !(options->noise >= 0) || options->noise > 3)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "scale %g, noise %g: give a scale above 0 and a noise of 0 to 3",
		                    options->scale, options->noise);
	if (isnan(options->memory_bytes) ? !(options->memory_share >= 0) : !(options->memory_bytes >= 0))
		return pa_error_set(err, PA_ERROR_INPUT, "the memory must be 0 or more");
	if (isnan(options->bytes_per_second) ? !(options->rho > 0) : !(options->bytes_per_second > 0))
		return pa_error_set(err, PA_ERROR_INPUT, "rho and bandwidth must be above 0");
	if (options->chunk_bytes == 0)
		return pa_error_set(err, PA_ERROR_INPUT, "a chunk must have at least 1 byte");
	return 0;
}

static int scale_files(struct pa_arena *arena, struct pa_setting *setting, struct pa_error *err)
{
	const struct pa_instance *instance = setting->instance;
	struct pa_flow_file *files = pa_arena_array(arena, instance->file_count, sizeof(*files));
	bool *read = pa_arena_array(arena, instance->file_count, sizeof(*read));
	bool *used = pa_arena_array(arena, instance->file_count, sizeof(*used));
	for (uint32_t i = 0; i < instance->task_count; i++) {
		for (size_t j = 0; j < instance->tasks[i].read_count; j++)
			read[instance->tasks[i].reads[j]] = used[instance->tasks[i].reads[j]] = true;
		for (size_t j = 0; j < instance->tasks[i].write_count; j++)
			used[instance->tasks[i].writes[j]] = true;
	}
	for (uint32_t i = 0; i < instance->file_count; i++) {
		double bytes = floor((double)instance->files[i].bytes * setting->options.scale);
		if (bytes >= 0x1p62)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "file \"%s\" scaled by %g has %g bytes; at most 2^62",
			                    instance->files[i].id, setting->options.scale, bytes);
		files[i].bytes = (uint64_t)bytes;
		setting->distinct_bytes += used[i] ? bytes : 0;
		setting->cold_bytes += read[i] && instance->files[i].external ? bytes : 0;
	}
	setting->flow.files = files;
	setting->flow.file_count = instance->file_count;
	setting->flow.memory_bytes = isnan(setting->options.memory_bytes)
	                                 ? setting->options.memory_share * setting->distinct_bytes
	                                 : setting->options.memory_bytes;
	return 0;
}

static int cut_files(struct pa_setting *setting, struct pa_error *err)
{
	struct pa_flow_file *files = (struct pa_flow_file *)(uintptr_t)setting->flow.files;
	double chunk_bytes = fmin((double)setting->options.chunk_bytes,
	                          fmax(floor(setting->flow.memory_bytes / CHUNKS_OF_MEMORY), 1));
	/* With next to no memory, what the pieces are does not matter: nothing is kept. */
	chunk_bytes = fmax(chunk_bytes, fmin((double)setting->options.chunk_bytes,
	                                     setting->distinct_bytes / PA_INSTANCE_MAX_FILES));
	double chunks = 0;
	for (uint32_t i = 0; i < setting->flow.file_count; i++) {
		files[i].chunks = pa_flow_chunks(files[i].bytes, (uint64_t)chunk_bytes);
		chunks += files[i].chunks;
	}
	if (chunks > MAX_CHUNKS)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "the files have %.0f chunks of %.0f bytes; at most %.0f: give a larger "
		                    "--chunk",
		                    chunks, chunk_bytes, MAX_CHUNKS);
	return 0;
}

/* Real durations: those planned for, times a lognormal factor with a median of 1. */
static const double *draw_durations(struct pa_arena *arena, const struct pa_setting *setting)
{
	const struct pa_instance *instance = setting->instance;
	struct pa_random random = {setting->options.seed};
	double *durations_s = pa_arena_array(arena, instance->task_count, sizeof(*durations_s));
	for (uint32_t i = 0; i < instance->task_count; i++) {
		durations_s[i] = instance->tasks[i].duration_s;
		if (setting->options.noise > 0)
			durations_s[i] *= exp(setting->options.noise * pa_random_normal(&random));
	}
	return durations_s;
}

/* The run with all data local: the ideal with real durations; with those planned for, the order that all know. */
static double run_local(struct pa_arena *arena, struct pa_setting *setting)
{
	uint32_t count = setting->instance->task_count;
	double *order_s = pa_arena_array(arena, count, sizeof(*order_s));
	double *rank = pa_arena_array(arena, count, sizeof(*rank));
	for (uint32_t i = 0; i < count; i++)
		order_s[i] = -setting->local.tail_s[i];
	struct pa_flow_strategy strategy = {.order_s = order_s, .rank = order_s};
	struct pa_flow_result result;
	pa_flow_run(arena, &setting->local, &strategy, &result);
	for (uint32_t i = 0; i < count; i++)
		rank[i] = result.tasks[i].sequence;
	setting->base = (struct pa_strategy_base){order_s, rank};
	double planned_s = result.makespan_s;
	strategy.duration_s = setting->durations_s;
	pa_flow_run(arena, &setting->local, &strategy, &result);
	setting->ideal_s = result.makespan_s;
	return planned_s;
}

/* With nothing external there is no cold transfer to set the link by: it has no cap. */
static void set_link(struct pa_setting *setting, double planned_s)
{
	double bytes_per_second = setting->options.bytes_per_second;
	setting->rho = setting->options.rho;
	if (!isnan(bytes_per_second))
		setting->rho = planned_s > 0 ? setting->cold_bytes / bytes_per_second / planned_s : 0;
	else if (setting->cold_bytes > 0 && planned_s > 0)
		bytes_per_second = setting->cold_bytes / (setting->rho * planned_s);
	else
		bytes_per_second = INFINITY;
	setting->link = (struct pa_flow_link){bytes_per_second, 0};
}

static double bound_of(struct pa_arena *arena, const struct pa_setting *setting, struct pa_error *err)
{
	struct pa_flow real = setting->flow;
	struct pa_flow_graph graph;
	struct pa_flow_task *tasks = pa_arena_array(arena, real.task_count, sizeof(*tasks));
	for (uint32_t i = 0; i < real.task_count; i++) {
		tasks[i] = real.tasks[i];
		tasks[i].duration_s = setting->durations_s[i];
	}
	real.tasks = tasks;
	return pa_flow_graph_make(arena, &real, &graph, err) < 0 ? NAN : pa_flow_bound(&graph);
}

int pa_setting_make(struct pa_arena *arena, const struct pa_instance *instance,
                    const struct pa_simulate_options *options, struct pa_setting *ret, struct pa_error *err)
{
	ret->instance = instance;
	ret->options = *options;
	ret->cold_bytes = ret->distinct_bytes = 0;
	ret->link = (struct pa_flow_link){INFINITY, 0};
	ret->flow = (struct pa_flow){.tasks = instance->tasks,
	                             .task_count = instance->task_count,
	                             .links = &ret->link,
	                             .link_count = 1,
	                             .slots = options->slots};
	int failed = check_options(options, err);
	if (!failed)
		failed = scale_files(arena, ret, err);
	if (!failed)
		failed = cut_files(ret, err);
	struct pa_flow *local = pa_arena_alloc(arena, sizeof(*local));
	*local = pa_flow_local(arena, &ret->flow);
	if (!failed)
		failed = pa_flow_graph_make(arena, local, &ret->local, err);
	if (failed)
		return pa_error_wrap(err, "%s", instance->name);
	ret->durations_s = draw_durations(arena, ret);
	set_link(ret, run_local(arena, ret));
	failed = pa_flow_graph_make(arena, &ret->flow, &ret->graph, err);
	if (failed)
		return pa_error_wrap(err, "%s", instance->name);
	ret->bound_s = bound_of(arena, ret, err);
	return 0;
}

static struct pa_flow_strategy plan(struct pa_arena *arena, const struct pa_setting *setting,
                                    const char **ret_name)
{
	uint32_t count = setting->instance->task_count;
	double *spread = pa_arena_array(arena, count, sizeof(*spread));
	for (uint32_t i = 0; i < count; i++)
		spread[i] = setting->options.noise;
	struct pa_portfolio_input input = {.graph = &setting->graph,
	                                   .local = &setting->local,
	                                   .spread = spread,
	                                   /* Not the seed of what really happens. */
	                                   .seed = ~setting->options.seed,
	                                   .keep_order = setting->options.given_order,
	                                   .effort = setting->options.effort};
	struct pa_portfolio_plan chosen;
	pa_portfolio_choose(arena, &input, &chosen);
	*ret_name = chosen.name;
	return chosen.strategy;
}

/* What the run costs over the ideal, by cause. */
static void split_stall(const struct pa_setting *setting, struct pa_simulation *simulation)
{
	const struct pa_instance *instance = setting->instance;
	const struct pa_flow_result *result = &simulation->result;
	double stall_s = fmax(result->makespan_s - setting->ideal_s, 0), cold_s = 0, wait_s = 0;
	uint32_t readers = 0;
	for (uint32_t i = 0; i < instance->task_count; i++) {
		double own_s = result->tasks[i].run_s - result->tasks[i].start_s;
		if (instance->tasks[i].after_count == 0)
			cold_s = fmax(cold_s, own_s);
		if (instance->tasks[i].read_count > 0) {
			wait_s += own_s;
			readers++;
		}
	}
	double bandwidth_s = setting->bound_s - setting->ideal_s;
	simulation->cold_start_s = fmin(cold_s, stall_s);
	simulation->bandwidth_s =
	    fmin(fmax(bandwidth_s - simulation->cold_start_s, 0), stall_s - simulation->cold_start_s);
	simulation->avoidable_s = stall_s - simulation->cold_start_s - simulation->bandwidth_s;
	simulation->lateness_s = readers > 0 ? wait_s / readers : 0;
}

int pa_simulate_run(struct pa_arena *arena, const struct pa_setting *setting, int policy,
                    struct pa_simulation *ret, struct pa_error *err)
{
	struct pa_simulation simulation = {.chosen = pa_simulate_policy_name(policy)};
	struct pa_flow_strategy strategy;
	if (policy == PA_SIMULATE_OWN)
		strategy = plan(arena, setting, &simulation.chosen);
	else if (policy >= 0 && policy < PA_RIVALS)
		strategy = pa_rival_strategy(arena, &setting->graph, &setting->base, (size_t)policy);
	else
		return pa_error_set(err, PA_ERROR_BUG, "there is no policy %d", policy);
	strategy.duration_s = setting->durations_s;
	pa_flow_run(arena, &setting->graph, &strategy, &simulation.result);
	const struct pa_flow_result *result = &simulation.result;
	simulation.stall_ratio = setting->ideal_s > 0 ? result->makespan_s / setting->ideal_s : NAN;
	simulation.accuracy = result->ahead_bytes > 0 ? result->ahead_used_bytes / result->ahead_bytes : NAN;
	simulation.coverage = result->read_bytes > 0 ? result->hit_bytes / result->read_bytes : NAN;
	split_stall(setting, &simulation);
	*ret = simulation;
	return 0;
}

const char *pa_simulate_policy_name(int policy)
{
	return policy == PA_SIMULATE_OWN ? "pipeahead" : pa_rival_names[policy];
}
