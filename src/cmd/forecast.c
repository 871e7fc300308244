/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog/catalog.h"
#include "cmd/cmd.h"
#include "forecast/forecast.h"

#define FORECAST_SEED 1
#define MAX_SLOTS     100000

static const char help[] =
    "usage: pipeahead forecast FILE [OPTION...]\n\n"
    "Says how long each task of a pipeline will take, when it will start and end, and when each data set is\n"
    "first needed and last used, with 80% intervals; from the catalog's past runs, without looking at "
    "sources.\n\n"
    "  --slots N          tasks at once (default: those of the configuration)\n"
    "  --config FILE      default: pipeahead.yaml beside the pipeline\n"
    "  --format FORMAT    table (at a terminal) or json (elsewhere)\n"
    "  --svg FILE         draws it\n"
    "  --arg NAME=VALUE   a pipeline parameter's value, as often as needed\n"
    "  --args-file FILE   values of parameters: a map in YAML or JSON\n"
    "  --max-input SIZE   refuse larger files (default 32MiB)\n"
    "  --catalog FILE     default $PIPEAHEAD_CATALOG or ~/.local/state/pipeahead/catalog.db\n\n"
    "example:\n"
    "  pipeahead forecast examples/jsm-conv/pipeline.yaml --slots 4\n";

struct forecast_options {
	const char *config_path;
	const char *svg_path;
	uint32_t slots; /* 0: the configuration's */
	bool json;
	struct pa_cmd_common common;
};

static int take_slots(const char *text, uint32_t *ret)
{
	char *end;
	long slots = strtol(text, &end, 10);

	if (end == text || *end != '\0' || slots < 1 || slots > MAX_SLOTS)
		return pa_cmd_usage("forecast", "--slots \"%s\": give a number from 1 to %d", text,
		                    MAX_SLOTS);
	*ret = (uint32_t)slots;
	return -1;
}

static int parse_options(int argument_count, char **arguments, struct forecast_options *options)
{
	static const struct option known[] = {
	    PA_CMD_COMMON_OPTIONS,
	    {"config", required_argument, NULL, 'C'},
	    {"format", required_argument, NULL, 'f'},
	    {"slots", required_argument, NULL, 's'},
	    {"svg", required_argument, NULL, 'g'},
	    {NULL, 0, NULL, 0},
	};
	static const char *const formats[] = {"table", "json", NULL};
	int option, exit_code = -1;

	while (exit_code < 0 && (option = getopt_long(argument_count, arguments, "hf:", known, NULL)) != -1) {
		if (option == 'C')
			options->config_path = optarg;
		else if (option == 'g')
			options->svg_path = optarg;
		else if (option == 's')
			exit_code = take_slots(optarg, &options->slots);
		else if (option == 'f' && pa_cmd_choice(optarg, formats) < 0)
			exit_code = pa_cmd_usage("forecast", "there is no format \"%s\"", optarg);
		else if (option == 'f')
			options->json = strcmp(optarg, "json") == 0;
		else
			exit_code = pa_cmd_take_common(&options->common, "forecast", help, option);
	}
	if (exit_code >= 0)
		return exit_code;
	if (optind + 1 != argument_count)
		return pa_cmd_usage("forecast", "give one file");
	return -1;
}

static int read_history(struct pa_arena *arena, const struct pa_pipeline *pipeline, const char *catalog_path,
                        struct pa_history *ret, struct pa_error *err)
{
	struct pa_catalog *catalog;
	int result = pa_catalog_open(catalog_path, &catalog, err);

	if (result < 0)
		return result;
	result = pa_catalog_load_history(catalog, arena, pipeline->name, ret, err);
	pa_catalog_close(catalog);
	return result;
}

static int write_svg(const char *path, const struct pa_pipeline *pipeline, const struct pa_forecast *forecast,
                     struct pa_error *err)
{
	struct pa_buffer out;
	FILE *file = fopen(path, "we");

	if (file == NULL)
		return pa_error_set_errno(err, errno, "%s", path);
	pa_buffer_init(&out, PA_CMD_MAX_OUTPUT_BYTES);
	pa_forecast_print_svg(pipeline, forecast, &out);
	bool written = fwrite(out.data, 1, out.length, file) == out.length;
	int failed = fclose(file) != 0 || !written ? pa_error_set_errno(err, errno, "%s", path) : 0;
	pa_buffer_done(&out);
	return failed;
}

static int print_forecast(const struct forecast_options *options, const struct pa_pipeline *pipeline,
                          const struct pa_forecast *forecast)
{
	struct pa_buffer out;

	pa_buffer_init(&out, PA_CMD_MAX_OUTPUT_BYTES);
	(options->json ? pa_forecast_print_json : pa_forecast_print_table)(pipeline, forecast, &out);
	int exit_code = pa_cmd_print(&out);
	pa_buffer_done(&out);
	return exit_code;
}

int pa_cmd_forecast(int argument_count, char **arguments)
{
	static struct forecast_options options = {.common = PA_CMD_COMMON_INIT};
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	const struct pa_pipeline *pipeline;
	struct pa_config config;
	struct pa_history history;
	struct pa_forecast forecast;

	options.json = !isatty(STDOUT_FILENO);
	int result = parse_options(argument_count, arguments, &options);
	if (result >= 0)
		return result;
	const char *file = arguments[optind];
	result = pa_cmd_read_pipeline(&arena, file, &options.common, &pipeline, &err);
	if (result == 0)
		result = pa_cmd_read_config(&arena, options.config_path, file, &config, &err);
	if (result == 0)
		result = read_history(&arena, pipeline, options.common.catalog_path, &history, &err);
	if (result == 0) {
		struct pa_forecast_options wanted = {
		    .slots = options.slots > 0 ? options.slots : config.slots, .seed = FORECAST_SEED};
		result = pa_forecast_make(&arena, pipeline, &history, &wanted, &forecast, &err);
	}
	if (result == 0 && options.svg_path != NULL)
		result = write_svg(options.svg_path, pipeline, &forecast, &err);
	if (result == 0)
		result = print_forecast(&options, pipeline, &forecast);
	pa_arena_done(&arena);
	return result < 0 ? pa_cmd_fail(&err) : result;
}
