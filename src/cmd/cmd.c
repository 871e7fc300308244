/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cmd.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/node.h"
#include "base/units.h"

int pa_cmd_fail(const struct pa_error *err)
{
	fprintf(stderr, "pipeahead: %s\n", err->message);
	if (err->class == PA_ERROR_INPUT)
		return PA_EXIT_INPUT;
	return err->class == PA_ERROR_USAGE ? PA_EXIT_USAGE : PA_EXIT_FAILED;
}

int pa_cmd_usage(const char *name, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "pipeahead %s: ", name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "; see pipeahead %s --help\n", name);
	return PA_EXIT_USAGE;
}

int pa_cmd_print(struct pa_buffer *out)
{
	if (out->overflowed) {
		fprintf(stderr, "pipeahead: the result is larger than 1 GiB; ask for less at a time\n");
		return PA_EXIT_FAILED;
	}
	if (fwrite(out->data, 1, out->length, stdout) != out->length || fflush(stdout) != 0) {
		fprintf(stderr, "pipeahead: standard output: %s\n", strerror(errno));
		return PA_EXIT_FAILED;
	}
	return PA_EXIT_OK;
}

int pa_cmd_choice(const char *text, const char *const *choices)
{
	for (int i = 0; choices[i] != NULL; i++)
		if (strcmp(choices[i], text) == 0)
			return i;
	return -1;
}

static int add_argument(struct pa_cmd_arguments *arguments, char *text, struct pa_error *err)
{
	char *equals = strchr(text, '=');

	if (equals == NULL || equals == text)
		return pa_error_set(err, PA_ERROR_USAGE, "--arg \"%s\": write it as NAME=VALUE", text);
	if (arguments->count == PA_CMD_MAX_ARGUMENTS)
		return pa_error_set(err, PA_ERROR_USAGE, "more than %d arguments", PA_CMD_MAX_ARGUMENTS);
	*equals = '\0';
	arguments->items[arguments->count++] = (struct pa_name_value){.name = text, .value = equals + 1};
	return 0;
}

int pa_cmd_take_common(struct pa_cmd_common *common, const char *command, const char *help, int option)
{
	struct pa_error err = PA_ERROR_INIT;

	switch (option) {
	case 'a':
		return add_argument(&common->arguments, optarg, &err) < 0 ? pa_cmd_fail(&err) : -1;
	case 'A':
		if (common->arguments.file != NULL)
			return pa_cmd_usage(command, "--args-file is given twice");
		common->arguments.file = optarg;
		return -1;
	case 'm':
		if (pa_units_parse_bytes(optarg, &common->max_input_bytes, &err) < 0)
			return pa_cmd_usage(command, "--max-input: %s", err.message);
		return -1;
	case 'c':
		common->catalog_path = optarg;
		return -1;
	case 'h':
		fputs(help, stdout);
		return PA_EXIT_OK;
	default:
		return pa_cmd_usage(command, "that is no use of it");
	}
}

int pa_cmd_read_text(struct pa_arena *arena, const char *path, const struct pa_cmd_common *common,
                     struct pa_text *ret, struct pa_error *err)
{
	struct pa_buffer text;
	int result = pa_buffer_read_file(path, common->max_input_bytes, &text, err);

	if (result < 0)
		return result;
	/* The model points into the text: it moves into the arena with it. */
	*ret = (struct pa_text){
	    .file = strcmp(path, "-") == 0 ? "<stdin>" : pa_arena_strdup(arena, path),
	    .text = pa_arena_strndup(arena, text.data, text.length),
	    .bytes = text.length,
	};
	pa_buffer_done(&text);
	return 0;
}

static bool has_argument(const struct pa_cmd_arguments *arguments, const char *name)
{
	for (size_t i = 0; i < arguments->count; i++) {
		if (strcmp(arguments->items[i].name, name) == 0)
			return true;
	}
	return false;
}

static int argument_value(struct pa_arena *arena, const struct pa_node_entry *entry, const char **ret,
                          struct pa_error *err)
{
	const struct pa_node *node = entry->value;
	bool scalar = node->kind == PA_NODE_SCALAR;

	*ret = scalar ? pa_node_text(node) : pa_node_to_json(arena, node);
	if (*ret != NULL)
		return 0;
	return pa_node_error(node, err, "the argument '%.100s' %s", entry->key->text,
	                     scalar ? "has no value; give it one, or quotes for an empty text"
	                            : "is too long once its aliases are written out; shorten it");
}

/* The map that the file holds. */
static int read_arguments_file(struct pa_arena *arena, const struct pa_cmd_common *common,
                               const struct pa_node **ret, struct pa_error *err)
{
	struct pa_document *documents;
	struct pa_text text;
	size_t count;
	int result = pa_cmd_read_text(arena, common->arguments.file, common, &text, err);

	if (result == 0)
		result = pa_document_read(arena, text.file, text.text, text.bytes, &documents, &count, err);
	if (result < 0)
		return result;
	*ret = count == 1 ? documents[0].root : NULL;
	if (!pa_node_is_mapping(*ret))
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "%s:1:1: the arguments are no map; write one line for each, \"name: value\"", text.file);
	if ((*ret)->count + common->arguments.count > PA_CMD_MAX_ARGUMENTS)
		return pa_error_set(err, PA_ERROR_INPUT, "%s:1:1: more than %d arguments; give fewer",
		                    text.file, PA_CMD_MAX_ARGUMENTS);
	return 0;
}

int pa_cmd_analyze_options(struct pa_arena *arena, const struct pa_cmd_common *common,
                           struct pa_analyze_options *ret, struct pa_error *err)
{
	const struct pa_cmd_arguments *given = &common->arguments;
	struct pa_name_value *all = pa_arena_array(arena, PA_CMD_MAX_ARGUMENTS, sizeof(*all));
	const struct pa_node *map = NULL;
	size_t count = given->count;
	int result = given->file == NULL ? 0 : read_arguments_file(arena, common, &map, err);

	for (size_t i = 0; i < count; i++)
		all[i] = given->items[i];
	for (uint32_t i = 0; map != NULL && i < map->count && result == 0; i++) {
		if (has_argument(given, map->entries[i].key->text))
			continue;
		all[count].name = map->entries[i].key->text;
		result = argument_value(arena, &map->entries[i], &all[count].value, err);
		count++;
	}
	if (result < 0)
		return result;
	*ret = (struct pa_analyze_options){.arguments = all, .argument_count = count};
	return 0;
}

int pa_cmd_read_pipeline(struct pa_arena *arena, const char *path, const struct pa_cmd_common *common,
                         const struct pa_pipeline **ret, struct pa_error *err)
{
	struct pa_analyze_options options;
	struct pa_analysis analysis;
	struct pa_text text;
	int result = pa_cmd_analyze_options(arena, common, &options, err);

	if (result == 0)
		result = pa_cmd_read_text(arena, path, common, &text, err);
	if (result == 0)
		result = pa_analyze_text(arena, text.file, text.text, text.bytes, &options, &analysis, err);
	if (result < 0)
		return result;
	if (analysis.pipeline_count != 1)
		return pa_error_set(err, PA_ERROR_INPUT, "%s: holds %zu pipelines; give one at a time", path,
		                    analysis.pipeline_count);
	*ret = &analysis.pipelines[0];
	return 0;
}

int pa_cmd_read_config(struct pa_arena *arena, const char *config_path, const char *pipeline_path,
                       struct pa_config *ret, struct pa_error *err)
{
	PA_AUTO_FREE char *folder = NULL;
	PA_AUTO_FREE char *beside = NULL;

	if (config_path != NULL)
		return pa_config_read(arena, config_path, ret, err);
	const char *slash = strrchr(pipeline_path, '/');
	int length = slash == NULL ? 1 : slash == pipeline_path ? 1 : (int)(slash - pipeline_path);
	if (asprintf(&folder, "%.*s", length, slash == NULL ? "." : pipeline_path) < 0 ||
	    asprintf(&beside, "%s/pipeahead.yaml", folder) < 0)
		abort();
	if (access(beside, F_OK) == 0)
		return pa_config_read(arena, pa_arena_strdup(arena, beside), ret, err);
	return pa_config_default(arena, pa_arena_strdup(arena, folder), ret, err);
}
