/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "catalog/catalog.h"
#include "cmd/cmd.h"

static const char help[] =
    "usage: pipeahead analyze FILE|FOLDER... [OPTION...]\n\n"
    "Reads pipeline files (\"-\": standard input), and of folders every .yaml, .yml and .json, and prints "
    "tasks, order,\n"
    "data edges, claims and data. A template that one file calls may stand in another. What it finds goes "
    "into the\n"
    "catalog, too.\n\n"
    "  --format FORMAT    table (at a terminal), json (elsewhere), paper, dot, mermaid\n"
    "  --arg NAME=VALUE   a pipeline parameter's value, as often as needed\n"
    "  --args-file FILE   values of parameters: a map in YAML or JSON\n"
    "  --strict           exit code 3 when anything is left unresolved\n"
    "  --explain TASK     print where each fact about the task of this id came from, and nothing else\n"
    "  --max-input SIZE   refuse larger files (default 32MiB)\n"
    "  --catalog FILE     the catalog (default $PIPEAHEAD_CATALOG or ~/.local/state/pipeahead/catalog.db)\n"
    "  --no-catalog       leave the catalog alone\n\n"
    "examples:\n"
    "  pipeahead analyze pipeline.yaml\n"
    "  pipeahead analyze workflow.yaml templates/ --strict\n"
    "  pipeahead analyze pipeline.yaml --args-file arguments.yaml --explain train\n"
    "  pipeahead analyze --format json *.yaml | jq '.pipelines[].tasks[].id'\n"
    "  pipeahead analyze --format dot pipeline.yaml | dot -Tsvg > pipeline.svg\n";

struct analyze_options {
	int format; /* index into format_names; -1: by where the output goes */
	bool no_catalog;
	bool strict;
	const char *explain; /* id of a task; NULL: none */
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
	    {"strict", no_argument, NULL, 's'},
	    {"explain", required_argument, NULL, 'e'},
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
		} else if (option == 's') {
			options->strict = true;
		} else if (option == 'e') {
			options->explain = optarg;
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

static void keep_worst(int *exit_code, int other)
{
	if (*exit_code == PA_EXIT_OK)
		*exit_code = other;
}

/* Reads what can be read; what cannot decides the exit code. */
static size_t read_texts(struct pa_arena *arena, const struct analyze_options *options,
                         const struct pa_cmd_files *files, struct pa_text *texts, int *exit_code)
{
	size_t count = 0, total_bytes = 0;

	for (size_t i = 0; i < files->count; i++) {
		struct pa_error err = PA_ERROR_INIT;
		int result =
		    pa_cmd_read_text(arena, files->items[i].path, &options->common, &texts[count], &err);
		if (result == 0 && total_bytes + texts[count].bytes > PA_CMD_MAX_TOTAL_BYTES)
			result =
			    pa_error_set(&err, PA_ERROR_INPUT,
			                 "%s: the files together are larger than 1 GiB; give fewer at a time",
			                 files->items[i].path);
		if (result < 0) {
			keep_worst(exit_code, pa_cmd_fail(&err));
			continue;
		}
		total_bytes += texts[count].bytes;
		texts[count++].may_be_other = files->items[i].in_folder;
	}
	return count;
}

static int print_analysis(const struct analyze_options *options, const struct pa_analysis *analysis)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer out;
	int exit_code, result = 0;

	pa_buffer_init(&out, PA_CMD_MAX_OUTPUT_BYTES);
	if (options->explain != NULL)
		result = pa_analysis_print_explanation(analysis, options->explain, &out, &err);
	else
		printers[options->format](analysis, &out);
	exit_code = result < 0 ? pa_cmd_fail(&err) : pa_cmd_print(&out);
	pa_buffer_done(&out);
	return exit_code;
}

static int check_resolved(const struct pa_analysis *analysis)
{
	size_t count = 0;

	for (size_t i = 0; i < analysis->pipeline_count; i++)
		count += analysis->pipelines[i].unresolved_count;
	if (count == 0)
		return PA_EXIT_OK;
	fprintf(stderr, "pipeahead: %zu thing%s could not be resolved; see \"unresolved\" in the result\n",
	        count, count == 1 ? "" : "s");
	return PA_EXIT_INPUT;
}

/* Every pipeline that can be understood is printed; what cannot decides the exit code. */
static int analyze_files(struct pa_arena *arena, const struct analyze_options *options, char **paths,
                         int count)
{
	struct pa_analyze_options analyze;
	struct pa_cmd_files files = {0};
	struct pa_analysis analysis;
	struct pa_error err = PA_ERROR_INIT;
	int exit_code = PA_EXIT_OK;
	int result = pa_cmd_analyze_options(arena, &options->common, &analyze, &err);

	for (int i = 0; i < count && result == 0; i++)
		result = pa_cmd_find_files(arena, paths[i], &files, &err);
	if (result < 0)
		return pa_cmd_fail(&err);
	pa_cmd_drop_repeated_files(&files);
	struct pa_text *texts = pa_arena_array(arena, files.count, sizeof(*texts));
	size_t text_count = read_texts(arena, options, &files, texts, &exit_code);
	analyze.explain = options->explain;
	pa_analyze(arena, texts, text_count, &analyze, &analysis);
	for (size_t i = 0; i < analysis.failure_count; i++)
		fprintf(stderr, "pipeahead: %s\n", analysis.failures[i].message);
	if (analysis.failure_count > 0)
		keep_worst(&exit_code, PA_EXIT_INPUT);
	if (analysis.pipeline_count == 0 && exit_code == PA_EXIT_OK) {
		fprintf(stderr, "pipeahead: %s: no pipeline in this folder\n", paths[0]);
		return PA_EXIT_INPUT;
	}
	if (analysis.pipeline_count == 0)
		return exit_code;
	keep_worst(&exit_code, print_analysis(options, &analysis));
	if (options->strict)
		keep_worst(&exit_code, check_resolved(&analysis));
	/* The catalog is a by-product here: without it the answer still stands. */
	if (!options->no_catalog && store(options, &analysis, &err) < 0)
		fprintf(stderr, "pipeahead: not kept in the catalog: %s\n", err.message);
	return exit_code;
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
