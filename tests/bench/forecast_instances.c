/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast_instances.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

/* A template's name is the task's without the number that tells instances apart: bwa_ID000003 → bwa. */
static const char *template_of(struct pa_arena *arena, const char *name)
{
	size_t length = strlen(name);

	while (length > 0 && isdigit((unsigned char)name[length - 1]))
		length--;
	if (length > 2 && strncmp(name + length - 2, "ID", 2) == 0)
		length -= 2;
	if (length > 1 && length < strlen(name) && name[length - 1] == '_')
		return pa_arena_strndup(arena, name, length - 1);
	return name;
}

static const json_t *part(const json_t *root, const char *first, const char *second)
{
	return json_object_get(json_object_get(json_object_get(root, "workflow"), first), second);
}

static json_t *by_id(const json_t *list)
{
	json_t *index = json_object(), *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	    json_object_set(index, json_string_value(json_object_get(entry, "id")), entry);
	return index;
}

/* The words of a command that are numbers, each named by the flag before it or by its place. */
static void read_parameters(struct pa_arena *arena, const json_t *words, struct pa_task *task)
{
	size_t count = json_array_size(words);
	const char *flag = NULL;

	task->hyperparameters = pa_arena_array(arena, count, sizeof(*task->hyperparameters));
	for (size_t i = 0; i < count; i++) {
		const char *word = json_string_value(json_array_get(words, i));
		if (word == NULL)
			continue;
		if (word[0] == '-' && isalpha((unsigned char)word[1 + (word[1] == '-')])) {
			flag = pa_arena_strdup(arena, word);
			continue;
		}
		if (count <= 32)
			task->hyperparameters[task->hyperparameter_count++] =
			    (struct pa_name_value){flag ? flag : pa_arena_printf(arena, "word %zu", i),
			                           pa_arena_strdup(arena, word)};
		flag = NULL;
	}
}

static double bytes_of(const json_t *files, const json_t *names)
{
	double bytes = 0;

	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		bytes +=
		    fmax(json_number_value(json_object_get(json_object_get(files, name), "sizeInBytes")), 0);
	}
	return bytes;
}

static void read_task(struct pa_arena *arena, const json_t *node, const json_t *executed, const json_t *files,
                      double executions, struct instance *instance)
{
	size_t index = instance->pipeline.task_count++;
	struct pa_task *task = &instance->pipeline.tasks[index];
	const json_t *parents = json_object_get(node, "parents"),
		     *inputs = json_object_get(node, "inputFiles");
	const json_t *command = json_object_get(executed, "command");
	const char *program = json_string_value(json_object_get(command, "program"));

	*task = (struct pa_task){.id = pa_arena_strdup(arena, json_string_value(json_object_get(node, "id"))),
	                         .image = ""};
	const char *name = json_string_value(json_object_get(node, "name"));
	name = name ? pa_arena_strdup(arena, name) : task->id;
	/* Some put the sample's name behind the program's: that is no template of its own. */
	bool is_program = program && strncmp(name, program, strlen(program)) == 0;
	task->template_name = is_program ? pa_arena_strdup(arena, program) : template_of(arena, name);
	task->after = pa_arena_array(arena, json_array_size(parents), sizeof(*task->after));
	for (size_t i = 0; i < json_array_size(parents); i++)
		task->after[task->after_count++] =
		    pa_arena_strdup(arena, json_string_value(json_array_get(parents, i)));
	task->command = pa_arena_array(arena, 1, sizeof(*task->command));
	if (program)
		task->command[task->command_count++] = pa_arena_strdup(arena, program);
	read_parameters(arena, json_object_get(command, "arguments"), task);
	instance->duration_s[index] =
	    fmax(json_number_value(json_object_get(executed, "runtimeInSeconds")), 0);
	instance->input_bytes[index] = bytes_of(files, inputs);
	instance->observations[index] = (struct pa_observation){
	    .task_id = task->id,
	    .template_name = task->template_name,
	    .duration_s = instance->duration_s[index],
	    .input_bytes = (uint64_t)instance->input_bytes[index],
	    .fan_in = (double)task->after_count,
	    .run_executions = executions,
	};
	instance->observations[index].parameters =
	    pa_forecast_parameters(arena, task, &instance->observations[index].parameter_count);
}

static int read_instance(struct pa_arena *arena, const char *path, struct instance *instance,
                         struct pa_error *err)
{
	json_error_t problem;
	json_t *root = json_load_file(path, 0, &problem);
	const json_t *tasks = part(root, "specification", "tasks");
	size_t count = json_array_size(tasks);
	const char *slash = strrchr(path, '/');

	if (root == NULL || count == 0)
		return pa_error_set(err, PA_ERROR_INPUT, "%s: %s", path, root ? "no tasks" : problem.text);
	json_t *executed = by_id(part(root, "execution", "tasks"));
	json_t *files = by_id(part(root, "specification", "files"));
	*instance = (struct instance){.name = pa_arena_strdup(arena, slash ? slash + 1 : path)};
	instance->application = pa_arena_strndup(arena, instance->name, strcspn(instance->name, "-"));
	instance->pipeline.name = instance->application;
	instance->pipeline.tasks = pa_arena_array(arena, count, sizeof(*instance->pipeline.tasks));
	instance->observations = pa_arena_array(arena, count, sizeof(*instance->observations));
	instance->input_bytes = pa_arena_array(arena, count, sizeof(*instance->input_bytes));
	instance->duration_s = pa_arena_array(arena, count, sizeof(*instance->duration_s));
	for (size_t i = 0; i < count; i++) {
		const json_t *node = json_array_get(tasks, i);
		const char *id = json_string_value(json_object_get(node, "id"));
		if (json_object_get(executed, id) != NULL)
			read_task(arena, node, json_object_get(executed, id), files, (double)count, instance);
	}
	json_decref(executed);
	json_decref(files);
	json_decref(root);
	return 0;
}

int instances_read(struct pa_arena *arena, char *const *paths, size_t count, struct instance *ret,
                   struct pa_error *err)
{
	for (size_t i = 0; i < count; i++) {
		int failed = read_instance(arena, paths[i], &ret[i], err);
		if (failed)
			return failed;
	}
	return 0;
}
