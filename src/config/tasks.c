/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_internal.h"

#include <string.h>

#include "base/arena.h"

static int read_command(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_task *task = target;
	int result = pa_config_words(reader, value, "command", PA_CONFIG_MAX_WORDS, &task->command,
	                             &task->command_count);

	if (result == 0 && (task->command_count == 0 || task->command[0][0] == '\0'))
		return pa_node_error(value, reader->err,
		                     "command is empty; name a program, or leave the key out");
	return result;
}

static int read_args(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_task *task = target;

	task->has_args = true;
	return pa_config_words(reader, value, "args", PA_CONFIG_MAX_WORDS, &task->args, &task->arg_count);
}

static int read_env(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_task *task = target;

	if (!pa_node_is_mapping(value))
		return pa_node_error(value, reader->err, "env must be a mapping, NAME: value");
	if (value->count > PA_CONFIG_MAX_WORDS)
		return pa_node_error(value, reader->err, "env has %u variables; the limit is %d",
		                     value->count, PA_CONFIG_MAX_WORDS);
	struct pa_config_variable *env = pa_arena_array(reader->arena, value->count, sizeof(*env));
	for (uint32_t i = 0; i < value->count; i++) {
		const struct pa_node_entry *entry = &value->entries[i];
		const char *name = entry->key->text;
		if (name[0] == '\0' || strchr(name, '=') != NULL)
			return pa_node_error(entry->key, reader->err, "\"%.60s\" is no name of a variable",
			                     name);
		if (entry->value->kind != PA_NODE_SCALAR || pa_node_text(entry->value) == NULL)
			return pa_node_error(entry->value, reader->err,
			                     "the variable %.60s has no value; write \"\" for an empty one",
			                     name);
		env[i] = (struct pa_config_variable){name, entry->value->text};
	}
	task->env = env;
	task->env_count = value->count;
	return 0;
}

int pa_config_read_tasks(struct pa_config_reader *reader, const struct pa_node *tasks, void *target)
{
	static const struct pa_config_key keys[] = {
	    {"command", read_command}, {"args", read_args}, {"env", read_env}, PA_CONFIG_LAST_KEY};
	struct pa_config *config = target;

	if (!pa_node_is_mapping(tasks))
		return pa_node_error(tasks, reader->err,
		                     "tasks must be a mapping from a task's name to its command");
	if (tasks->count > PA_CONFIG_MAX_TASKS)
		return pa_node_error(tasks, reader->err, "%u tasks; the limit is %d", tasks->count,
		                     PA_CONFIG_MAX_TASKS);
	config->tasks = pa_arena_array(reader->arena, tasks->count, sizeof(*config->tasks));
	for (uint32_t i = 0; i < tasks->count; i++) {
		const struct pa_node_entry *entry = &tasks->entries[i];
		struct pa_config_task *task = &config->tasks[i];
		*task = (struct pa_config_task){
		    .name = entry->key->text, .line = entry->key->line, .column = entry->key->column};
		int result = pa_config_read_section(reader, entry->value, "a task", keys, task);
		if (result < 0)
			return result;
		config->task_count++;
	}
	return 0;
}

static const struct pa_config_task *find_name(const struct pa_config *config, const char *name)
{
	for (size_t i = 0; name != NULL && i < config->task_count; i++)
		if (strcmp(config->tasks[i].name, name) == 0)
			return &config->tasks[i];
	return NULL;
}

const struct pa_config_task *pa_config_find_task(const struct pa_config *config, const char *id,
                                                 const char *template_name)
{
	const struct pa_config_task *task = find_name(config, id);

	return task != NULL ? task : find_name(config, template_name);
}
