/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "catalog/catalog.h"
#include "cmd/cmd.h"

static const char help[] =
    "usage: pipeahead analyze FILE... [OPTION...]\n\n"
    "Reads pipeline files (\"-\": standard input) and prints tasks, order, data edges, claims and data. What "
    "it finds\n"
    "goes into the catalog, too.\n\n"
    "  --format FORMAT    table (at a terminal), json (elsewhere), paper, dot, mermaid\n"
    "  --arg NAME=VALUE   a pipeline parameter's value, as often as needed\n"
    "  --max-input SIZE   refuse larger files (default 32MiB)\n"
    "  --catalog FILE     the catalog (default $PIPEAHEAD_CATALOG or ~/.local/state/pipeahead/catalog.db)\n"
    "  --no-catalog       leave the catalog alone\n\n"
    "examples:\n"
    "  pipeahead analyze pipeline.yaml\n"
    "  pipeahead analyze --format json *.yaml | jq '.pipelines[].tasks[].id'\n"
    "  pipeahead analyze --format dot pipeline.yaml | dot -Tsvg > pipeline.svg\n";

struct analyze_options {
	int format; /* index into format_names; -1: by where the output goes */
	bool no_catalog;
	struct pa_cmd_common common;
};

static const char *const format_names[] = {"table", "json", "paper", "dot", "mermaid", NULL};
static void (*const printers[])(const struct pa_analysis *, struct pa_buffer *) = {
    pa_analysis_print_table, pa_analysis_print_json,    pa_analysis_print_paper,
    pa_analysis_print_dot,   pa_analysis_print_mermaid,
};

/* Returns -1 to go on, else an exit code. */
static int parse_options(int argument_count, char **arguments, struct analyze_options *options)
{
	static const struct option known[] = {
	    PA_CMD_COMMON_OPTIONS,
	    {"format", required_argument, NULL, 'f'},
	    {"no-catalog", no_argument, NULL, 'n'},
	    {NULL, 0, NULL, 0},
	};
	int option, exit_code = -1;

	while (exit_code < 0 && (option = getopt_long(argument_count, arguments, "hf:", known, NULL)) != -1) {
		if (option == 'f') {
			options->format = pa_cmd_choice(optarg, format_names);
			if (options->format < 0)
				exit_code = pa_cmd_usage("analyze", "there is no format \"%s\"", optarg);
		} else if (option == 'n') {
			options->no_catalog = true;
		} else {
			exit_code = pa_cmd_take_common(&options->common, "analyze", help, option);
		}
	}
	if (exit_code >= 0)
		return exit_code;
	if (optind == argument_count)
		return pa_cmd_usage("analyze", "no file is given");
	return -1;
}

static int store(const struct analyze_options *options, const struct pa_analysis *analysis,
                 struct pa_error *err)
{
	struct pa_catalog *catalog;
	int64_t pipeline_id;
	int result = pa_catalog_open(options->common.catalog_path, &catalog, err);

	if (result < 0)
		return result;
	for (size_t i = 0; result == 0 && i < analysis->pipeline_count; i++)
		result = pa_catalog_store_pipeline(catalog, &analysis->pipelines[i], NULL, &pipeline_id, err);
	pa_catalog_close(catalog);
	return result;
}

/* Every file that can be understood is printed; the first that cannot decides the exit code. */
static int analyze_files(struct pa_arena *arena, const struct analyze_options *options, char **files,
                         int count)
{
	struct pa_analysis analysis = {0};
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer out;
	int exit_code = PA_EXIT_OK;

	for (int i = 0; i < count; i++) {
		if (pa_cmd_analyze_file(arena, files[i], &options->common, &analysis, &err) < 0) {
			int failed = pa_cmd_fail(&err);
			exit_code = exit_code == PA_EXIT_OK ? failed : exit_code;
		}
	}
	if (analysis.pipeline_count == 0)
		return exit_code;
	pa_buffer_init(&out, PA_CMD_MAX_OUTPUT_BYTES);
	printers[options->format](&analysis, &out);
	int printed = pa_cmd_print(&out);
	pa_buffer_done(&out);
	/* The catalog is a by-product here: without it the answer still stands. */
	if (!options->no_catalog && store(options, &analysis, &err) < 0)
		fprintf(stderr, "pipeahead: not kept in the catalog: %s\n", err.message);
	return exit_code == PA_EXIT_OK ? printed : exit_code;
}

int pa_cmd_analyze(int argument_count, char **arguments)
{
	static struct analyze_options options = {.format = -1, .common = PA_CMD_COMMON_INIT};
	struct pa_arena arena = PA_ARENA_INIT;
	int exit_code = parse_options(argument_count, arguments, &options);

	if (exit_code >= 0)
		return exit_code;
	if (options.format < 0)
		options.format = isatty(STDOUT_FILENO) ? 0 : 1;
	exit_code = analyze_files(&arena, &options, arguments + optind, argument_count - optind);
	pa_arena_done(&arena);
	return exit_code;
}
