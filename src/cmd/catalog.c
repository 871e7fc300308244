/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "catalog/catalog.h"
#include "cmd/cmd.h"

#define MAX_IMPORT_BYTES ((size_t)256 << 20)

static const char help[] =
    "usage: pipeahead catalog schema|query SQL|export|import-runs FILE... [OPTION...]\n\n"
    "The database of pipelines, tasks, data sets and runs.\n\n"
    "  schema             print the tables\n"
    "  query SQL          one read-only statement\n"
    "  export             everything, as JSON\n"
    "  import-runs FILE   runs recorded elsewhere: Argo Workflows with their status, WfCommons instances\n\n"
    "  --format FORMAT    of a query: table (at a terminal) or json (elsewhere)\n"
    "  --name NAME        of import-runs: the pipeline's name, if not the file's\n"
    "  --catalog FILE     default $PIPEAHEAD_CATALOG or ~/.local/state/pipeahead/catalog.db\n\n"
    "examples:\n"
    "  pipeahead catalog query 'select name from pipeline'\n"
    "  pipeahead catalog query 'select * from task_run order by run_id desc limit 10' --format json\n"
    "  pipeahead catalog import-runs finished-workflow.json\n";

struct catalog_options {
	const char *path;
	const char *name;
	bool json;
};

static int import_file(struct pa_catalog *catalog, const char *file, const struct catalog_options *options,
                       struct pa_error *err)
{
	struct pa_buffer text;
	size_t runs = 0;
	int result = pa_buffer_read_file(file, MAX_IMPORT_BYTES, &text, err);

	if (result < 0)
		return result;
	result = pa_catalog_import_runs(catalog, file, text.data, text.length, options->name, &runs, err);
	pa_buffer_done(&text);
	if (result == 0)
		printf("%s: %zu run%s taken in\n", file, runs, runs == 1 ? "" : "s");
	return result;
}

static int act(struct pa_catalog *catalog, char **words, int count, const struct catalog_options *options)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer out;
	int result = 0;

	pa_buffer_init(&out, PA_CMD_MAX_OUTPUT_BYTES);
	if (strcmp(words[0], "query") == 0)
		result = pa_catalog_query(catalog, words[1], options->json, &out, &err);
	else if (strcmp(words[0], "export") == 0)
		result = pa_catalog_export(catalog, &out, &err);
	else
		for (int i = 1; i < count && result == 0; i++)
			result = import_file(catalog, words[i], options, &err);
	int exit_code = result < 0 ? pa_cmd_fail(&err) : pa_cmd_print(&out);
	pa_buffer_done(&out);
	return exit_code;
}

static int run_action(char **words, int count, const struct catalog_options *options)
{
	static const char *const actions[] = {"schema", "query", "export", "import-runs", NULL};
	struct pa_error err = PA_ERROR_INIT;
	struct pa_catalog *catalog;
	int action = count > 0 ? pa_cmd_choice(words[0], actions) : -1;

	if (action < 0)
		return pa_cmd_usage("catalog", "say schema, query, export or import-runs");
	if (action == 0) {
		fputs(pa_catalog_schema(), stdout);
		return PA_EXIT_OK;
	}
	if ((action == 1 && count != 2) || (action == 2 && count != 1) || (action == 3 && count < 2))
		return pa_cmd_usage("catalog", "%s takes %s", words[0],
		                    action == 1   ? "one statement"
		                    : action == 2 ? "nothing more"
		                                  : "at least one file");
	if (pa_catalog_open(options->path, &catalog, &err) < 0)
		return pa_cmd_fail(&err);
	int exit_code = act(catalog, words, count, options);
	pa_catalog_close(catalog);
	return exit_code;
}

int pa_cmd_catalog(int argument_count, char **arguments)
{
	static const struct option known[] = {
	    {"format", required_argument, NULL, 'f'},
	    {"name", required_argument, NULL, 'n'},
	    {"catalog", required_argument, NULL, 'c'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	static const char *const formats[] = {"table", "json", NULL};
	struct catalog_options options = {.json = !isatty(STDOUT_FILENO)};
	int option;

	while ((option = getopt_long(argument_count, arguments, "hf:", known, NULL)) != -1) {
		switch (option) {
		case 'f':
			if (pa_cmd_choice(optarg, formats) < 0)
				return pa_cmd_usage("catalog", "there is no format \"%s\"", optarg);
			options.json = strcmp(optarg, "json") == 0;
			break;
		case 'n':
			options.name = optarg;
			break;
		case 'c':
			options.path = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return PA_EXIT_OK;
		default:
			return pa_cmd_usage("catalog", "that is no use of it");
		}
	}
	return run_action(arguments + optind, argument_count - optind, &options);
}
