/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "cmd/simulate_internal.h"
#include "simulate/sweep.h"

static const char help[] =
    "usage: pipeahead simulate FILE... [OPTION...]\n\n"
    "Runs workflows on a virtual clock, with pipeahead's planner or a published policy in its place. A FILE "
    "is a\n"
    "WfCommons instance, or a pipeline with what the catalog and its sources know of it. Several run at once "
    "and "
    "share\n"
    "the files that they read from outside.\n\n"
    "  --policy NAME      pipeahead (default), none, lru, lrc, lerc, mrd, fcfs-lru, never-evict, kariz, min "
    "or\n"
    "                     edf-min\n"
    "  --memory SIZE      8GiB, or 30% (default) of all distinct bytes\n"
    "  --rho NUMBER       the link needs this many times the ideal makespan for the cold bytes (default "
    "0.5)\n"
    "  --bandwidth RATE   200MB/s: the link as it is, instead of --rho\n"
    "  --slots COUNT      tasks at once (default 8)\n"
    "  --order ORDER      free (default); given: pipeahead, too, keeps to the longest remaining path first\n"
    "  --noise NUMBER     durations are off by this standard deviation of their logarithm (default 0)\n"
    "  --seed NUMBER      of the noise (default 1)\n"
    "  --scale NUMBER     of sizes (default 1)\n"
    "  --chunk SIZE       what moves as one (default 64MB, at most 1/16 of the memory)\n"
    "  --effort EFFORT    full (default) or quick\n"
    "  --sweep            every policy on every FILE by itself, over a grid; --memory and --rho may then be "
    "lists:\n"
    "                     --memory 10%,30%,100% --rho 0.25,0.5,1\n"
    "  --format FORMAT    table (at a terminal) or json (elsewhere)\n"
    "  --config FILE      of pipelines; default: pipeahead.yaml beside the pipeline\n"
    "  --arg NAME=VALUE   a pipeline parameter's value, as often as needed\n"
    "  --max-input SIZE   refuse larger files (default 32MiB)\n"
    "  --catalog FILE     default $PIPEAHEAD_CATALOG or ~/.local/state/pipeahead/catalog.db\n\n"
    "examples:\n"
    "  pipeahead simulate instance.json --policy edf-min --memory 10% --scale 100\n"
    "  pipeahead simulate instances/*.json --sweep --scale 100\n";

struct values {
	double items[PA_SWEEP_MAX_VALUES];
	size_t count;
};

struct options {
	const char *config_path;
	int policy;
	bool json, sweep;
	struct values memory_shares, rhos;
	struct pa_simulate_options simulate;
	struct pa_cmd_common common;
};

/* A number of 0 or more and nothing behind it but `suffix`. */
static bool parse_number(const char *text, const char *suffix, double *ret)
{
	char *end;
	double value = strtod(text, &end);
	if (end == text || !(value >= 0) || isinf(value) || strcmp(end, suffix) != 0)
		return false;
	*ret = value;
	return true;
}

static bool parse_list(const char *text, const char *suffix, double factor, struct values *ret)
{
	struct values values = {.count = 0};
	char item[64];
	while (*text != '\0') {
		size_t length = strcspn(text, ",");
		if (length >= sizeof(item) || values.count == PA_SWEEP_MAX_VALUES)
			return false;
		memcpy(item, text, length);
		item[length] = '\0';
		if (!parse_number(item, suffix, &values.items[values.count]))
			return false;
		values.items[values.count++] *= factor;
		text += length + (text[length] == ',');
	}
	*ret = values;
	return values.count > 0;
}

static int take_memory(struct options *options)
{
	struct pa_error err = PA_ERROR_INIT;
	uint64_t bytes;
	if (strchr(optarg, '%') != NULL) {
		if (!parse_list(optarg, "%", .01, &options->memory_shares))
			return pa_cmd_usage("simulate", "--memory \"%s\": write it as 30%% or 8GiB", optarg);
		return -1;
	}
	if (pa_units_parse_bytes(optarg, &bytes, &err) < 0)
		return pa_cmd_usage("simulate", "--memory: %s", err.message);
	options->simulate.memory_bytes = (double)bytes;
	return -1;
}

static int take_rate(struct options *options)
{
	struct pa_error err = PA_ERROR_INIT;
	uint64_t rate;
	if (pa_units_parse_rate(optarg, &rate, &err) < 0)
		return pa_cmd_usage("simulate", "--bandwidth: %s", err.message);
	options->simulate.bytes_per_second = (double)rate;
	return -1;
}

static int take_chunk(struct options *options)
{
	struct pa_error err = PA_ERROR_INIT;
	if (pa_units_parse_bytes(optarg, &options->simulate.chunk_bytes, &err) < 0 ||
	    options->simulate.chunk_bytes == 0)
		return pa_cmd_usage("simulate", "--chunk \"%s\": give a size above 0", optarg);
	return -1;
}

static int take_number(struct options *options, int option)
{
	double value;
	if (!parse_number(optarg, "", &value))
		return pa_cmd_usage("simulate", "\"%s\" is no number of 0 or more", optarg);
	if (option == 'n')
		options->simulate.noise = value;
	else if (option == 's')
		options->simulate.scale = value;
	else if (option == 'S')
		options->simulate.seed = (uint64_t)fmin(value, 0x1p63);
	else if (value >= 1 && value <= 100000 && value == floor(value))
		options->simulate.slots = (uint32_t)value;
	else
		return pa_cmd_usage("simulate", "--slots \"%s\": give 1 to 100000", optarg);
	return -1;
}

static int take_choice(struct options *options, int option)
{
	static const char *const orders[] = {"free", "given", NULL};
	static const char *const efforts[] = {"quick", "full", NULL};
	static const char *const formats[] = {"table", "json", NULL};
	const char *const *choices = option == 'o' ? orders : option == 'e' ? efforts : formats;
	int choice = pa_cmd_choice(optarg, choices);
	if (choice < 0)
		return pa_cmd_usage("simulate", "\"%s\" is neither %s nor %s", optarg, choices[0],
		                    choices[1]);
	if (option == 'o')
		options->simulate.given_order = choice == 1;
	else if (option == 'e')
		options->simulate.effort = choice == 1 ? PA_PORTFOLIO_FULL : PA_PORTFOLIO_QUICK;
	else
		options->json = choice == 1;
	return -1;
}

static int take_policy(struct options *options)
{
	options->policy = pa_cmd_choice(optarg, pa_rival_names);
	if (options->policy < 0 && strcmp(optarg, "pipeahead") != 0)
		return pa_cmd_usage("simulate", "there is no policy \"%s\"", optarg);
	return -1;
}

static int take_option(struct options *options, int option)
{
	switch (option) {
	case 'C':
		options->config_path = optarg;
		return -1;
	case 'w':
		options->sweep = true;
		return -1;
	case 'p':
		return take_policy(options);
	case 'M':
		return take_memory(options);
	case 'b':
		return take_rate(options);
	case 'k':
		return take_chunk(options);
	case 'r':
		if (!parse_list(optarg, "", 1, &options->rhos))
			return pa_cmd_usage("simulate", "--rho \"%s\": give a number above 0", optarg);
		return -1;
	case 'n':
	case 's':
	case 'S':
	case 'l':
		return take_number(options, option);
	case 'o':
	case 'e':
	case 'f':
		return take_choice(options, option);
	default:
		return pa_cmd_take_common(&options->common, "simulate", help, option);
	}
}

static int check_options(const struct options *options)
{
	if (!options->sweep && (options->memory_shares.count > 1 || options->rhos.count > 1))
		return pa_cmd_usage("simulate", "lists are for --sweep");
	if (options->sweep &&
	    (!isnan(options->simulate.memory_bytes) || !isnan(options->simulate.bytes_per_second)))
		return pa_cmd_usage("simulate",
		                    "--sweep takes --memory in percent and --rho, no --bandwidth");
	for (size_t i = 0; i < options->rhos.count; i++)
		if (options->rhos.items[i] <= 0)
			return pa_cmd_usage("simulate", "--rho must be above 0");
	if (options->simulate.scale <= 0 || options->simulate.noise > 3)
		return pa_cmd_usage("simulate", "--scale must be above 0, --noise at most 3");
	return -1;
}

static int parse_options(int argument_count, char **arguments, struct options *options)
{
	static const struct option known[] = {
	    PA_CMD_COMMON_OPTIONS,
	    {"config", required_argument, NULL, 'C'},
	    {"policy", required_argument, NULL, 'p'},
	    {"memory", required_argument, NULL, 'M'},
	    {"rho", required_argument, NULL, 'r'},
	    {"bandwidth", required_argument, NULL, 'b'},
	    {"slots", required_argument, NULL, 'l'},
	    {"order", required_argument, NULL, 'o'},
	    {"noise", required_argument, NULL, 'n'},
	    {"seed", required_argument, NULL, 'S'},
	    {"scale", required_argument, NULL, 's'},
	    {"chunk", required_argument, NULL, 'k'},
	    {"effort", required_argument, NULL, 'e'},
	    {"format", required_argument, NULL, 'f'},
	    {"sweep", no_argument, NULL, 'w'},
	    {NULL, 0, NULL, 0},
	};
	int option, exit_code = -1;
	while (exit_code < 0 && (option = getopt_long(argument_count, arguments, "hf:", known, NULL)) != -1)
		exit_code = take_option(options, option);
	if (exit_code >= 0)
		return exit_code;
	if (optind == argument_count)
		return pa_cmd_usage("simulate", "give at least one file");
	return check_options(options);
}

static double cpu_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* The time of a policy is that of planning and of its one run; a plan's run is a small part of it. */
static int simulate_once(struct pa_arena *arena, const struct options *options,
                         const struct pa_instance *instances, size_t count, struct pa_buffer *out,
                         struct pa_error *err)
{
	struct pa_simulate_options simulate = options->simulate;
	struct pa_instance merged;
	struct pa_setting setting;
	struct pa_simulation simulation;
	int failed = count == 1 ? 0 : pa_instance_merge(arena, instances, count, &merged, err);
	if (options->memory_shares.count > 0)
		simulate.memory_share = options->memory_shares.items[0];
	if (options->rhos.count > 0)
		simulate.rho = options->rhos.items[0];
	if (!failed)
		failed = pa_setting_make(arena, count == 1 ? instances : &merged, &simulate, &setting, err);
	double begin_ms = cpu_ms();
	if (!failed)
		failed = pa_simulate_run(arena, &setting, options->policy, &simulation, err);
	double spent_ms = cpu_ms() - begin_ms;
	if (failed)
		return failed;
	if (options->json)
		pa_simulation_print_json(&setting, options->policy, &simulation, spent_ms, out);
	else
		pa_simulation_print_table(&setting, options->policy, &simulation, out);
	return 0;
}

static int sweep(struct pa_arena *arena, const struct options *options, const struct pa_instance *instances,
                 size_t count, struct pa_buffer *out, struct pa_error *err)
{
	static const struct values memory_shares = {{.05, .1, .2, .3, .5, 1}, 6};
	static const struct values rhos = {{.1, .25, .5, .75, 1}, 5};
	const struct values *memory =
	    options->memory_shares.count > 0 ? &options->memory_shares : &memory_shares;
	const struct values *rho = options->rhos.count > 0 ? &options->rhos : &rhos;
	struct pa_sweep_input input = {.instances = instances,
	                               .instance_count = count,
	                               .options = options->simulate,
	                               .memory_shares = memory->items,
	                               .memory_count = memory->count,
	                               .rhos = rho->items,
	                               .rho_count = rho->count};
	struct pa_sweep result;
	int failed = pa_sweep_run(arena, &input, &result, err);
	if (!failed)
		(options->json ? pa_sweep_print_json : pa_sweep_print_table)(&input, &result, out);
	return failed;
}

int pa_cmd_simulate(int argument_count, char **arguments)
{
	static struct options options = {
	    .policy = PA_SIMULATE_OWN, .simulate = PA_SIMULATE_OPTIONS_INIT, .common = PA_CMD_COMMON_INIT};
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer out;
	int failed = 0;

	options.json = !isatty(STDOUT_FILENO);
	int result = parse_options(argument_count, arguments, &options);
	if (result >= 0)
		return result;
	size_t count = (size_t)(argument_count - optind);
	struct pa_instance *instances = pa_arena_array(&arena, count, sizeof(*instances));
	for (size_t i = 0; i < count && !failed; i++)
		failed = pa_cmd_read_instance(&arena, arguments[(size_t)optind + i], options.config_path,
		                              &options.common, &instances[i], &err);
	pa_buffer_init(&out, PA_CMD_MAX_OUTPUT_BYTES);
	if (!failed)
		failed =
		    (options.sweep ? sweep : simulate_once)(&arena, &options, instances, count, &out, &err);
	result = failed ? pa_cmd_fail(&err) : pa_cmd_print(&out);
	pa_buffer_done(&out);
	pa_arena_done(&arena);
	return result;
}
