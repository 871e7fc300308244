/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cache/manifest.h"
#include "catalog/catalog.h"
#include "cmd/cmd.h"
#include "plan/plan.h"
#include "run/planning.h"
#include "run/sources.h"

#define LISTING_DEADLINE_NS (600LL * PA_NS_PER_SECOND)
#define PLAN_SEED           1

static const char help[] =
    "usage: pipeahead plan FILE [OPTION...]\n\n"
    "Says when each task of a pipeline will start and end, what it reads, what would be loaded for it when, "
    "and whether\n"
    "that is in time. Looks at the sources (a listing), loads nothing.\n\n"
    "  --config FILE      default: pipeahead.yaml beside the pipeline\n"
    "  --format FORMAT    table (at a terminal) or json (elsewhere)\n"
    "  --arg NAME=VALUE   a pipeline parameter's value, as often as needed\n"
    "  --args-file FILE   values of parameters: a map in YAML or JSON\n"
    "  --max-input SIZE   refuse larger files (default 32MiB)\n"
    "  --catalog FILE     default $PIPEAHEAD_CATALOG or ~/.local/state/pipeahead/catalog.db\n\n"
    "example:\n"
    "  pipeahead plan examples/jsm-conv/pipeline.yaml\n";

struct plan_options {
	const char *config_path;
	bool json;
	struct pa_cmd_common common;
};

/* What a plan is made from, to be released together. */
struct plan_work {
	struct pa_arena arena;
	const struct pa_pipeline *pipeline;
	struct pa_config config;
	struct pa_catalog *catalog;
	struct pa_history history;
	struct pa_sources sources;
	struct pa_planning_data_set *data_sets;
	size_t data_set_count;
};

static int parse_options(int argument_count, char **arguments, struct plan_options *options)
{
	static const struct option known[] = {
	    PA_CMD_COMMON_OPTIONS,
	    {"config", required_argument, NULL, 'C'},
	    {"format", required_argument, NULL, 'f'},
	    {NULL, 0, NULL, 0},
	};
	static const char *const formats[] = {"table", "json", NULL};
	int option, exit_code = -1;

	while (exit_code < 0 && (option = getopt_long(argument_count, arguments, "hf:", known, NULL)) != -1) {
		if (option == 'C')
			options->config_path = optarg;
		else if (option == 'f' && pa_cmd_choice(optarg, formats) < 0)
			exit_code = pa_cmd_usage("plan", "there is no format \"%s\"", optarg);
		else if (option == 'f')
			options->json = strcmp(optarg, "json") == 0;
		else
			exit_code = pa_cmd_take_common(&options->common, "plan", help, option);
	}
	if (exit_code >= 0)
		return exit_code;
	if (optind + 1 != argument_count)
		return pa_cmd_usage("plan", "give one file");
	return -1;
}

static int read_history(struct plan_work *work, const struct plan_options *options, struct pa_error *err)
{
	int result = pa_catalog_open(options->common.catalog_path, &work->catalog, err);

	return result < 0 ? result
	                  : pa_catalog_load_history(work->catalog, &work->arena, work->pipeline->name,
	                                            &work->history, err);
}

static int list_sources(struct plan_work *work, struct pa_error *err)
{
	int result = pa_sources_open(&work->arena, work->pipeline, &work->config, &work->sources, err);

	if (result < 0)
		return result;
	work->data_sets =
	    pa_arena_array(&work->arena, work->sources.data_set_count, sizeof(*work->data_sets));
	for (size_t i = 0; i < work->sources.data_set_count; i++) {
		const struct pa_source_data_set *set = &work->sources.data_sets[i];
		struct pa_store_call call = {.deadline_ns = pa_clock_deadline(LISTING_DEADLINE_NS)};
		struct pa_manifest *manifest;
		if (pa_manifest_list(work->sources.stores[set->link].store, set->root, &call, &manifest,
		                     err) < 0)
			return pa_error_wrap(err, "%s", set->name);
		work->data_sets[work->data_set_count++] =
		    (struct pa_planning_data_set){.name = set->name, .manifest = manifest, .link = set->link};
	}
	return 0;
}

static int print_plan(struct plan_work *work, bool json, struct pa_error *err)
{
	struct pa_plan_link *links = pa_arena_array(&work->arena, work->sources.store_count, sizeof(*links));
	struct pa_planning_input input = {
	    .pipeline = work->pipeline,
	    .history = &work->history,
	    .data_sets = work->data_sets,
	    .data_set_count = work->data_set_count,
	    .links = links,
	    .link_count = work->sources.store_count,
	    .slots = work->config.slots,
	    .memory_bytes = (double)work->config.memory_node_bytes,
	    .seed = PLAN_SEED,
	};
	struct pa_planning planning;
	struct pa_plan plan;
	struct pa_buffer out;
	int64_t pipeline_id;

	pa_sources_links(&work->sources, links);
	if (pa_planning_build(&work->arena, &input, &planning, err) < 0 ||
	    pa_plan_make(&work->arena, &planning.plan_input, &plan, err) < 0 ||
	    pa_catalog_store_pipeline(work->catalog, work->pipeline, &planning.forecast, &pipeline_id, err) <
	        0)
		return -(int)err->class;
	pa_buffer_init(&out, PA_CMD_MAX_OUTPUT_BYTES);
	(json ? pa_plan_print_json : pa_plan_print_table)(&planning.plan_input, &plan, &out);
	int exit_code = pa_cmd_print(&out);
	pa_buffer_done(&out);
	return exit_code;
}

int pa_cmd_plan(int argument_count, char **arguments)
{
	static struct plan_options options = {.common = PA_CMD_COMMON_INIT};
	struct plan_work work = {.arena = PA_ARENA_INIT};
	struct pa_error err = PA_ERROR_INIT;

	options.json = !isatty(STDOUT_FILENO);
	int result = parse_options(argument_count, arguments, &options);
	if (result >= 0)
		return result;
	const char *file = arguments[optind];
	result = pa_cmd_read_pipeline(&work.arena, file, &options.common, &work.pipeline, &err);
	if (result == 0)
		result = pa_cmd_read_config(&work.arena, options.config_path, file, &work.config, &err);
	if (result == 0)
		result = read_history(&work, &options, &err);
	if (result == 0)
		result = list_sources(&work, &err);
	if (result == 0)
		result = print_plan(&work, options.json, &err);
	for (size_t i = 0; i < work.data_set_count; i++)
		pa_manifest_unref((struct pa_manifest *)(uintptr_t)work.data_sets[i].manifest);
	pa_sources_close(&work.sources);
	if (work.catalog != NULL)
		pa_catalog_close(work.catalog);
	pa_arena_done(&work.arena);
	return result < 0 ? pa_cmd_fail(&err) : result;
}
