/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/instance.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "forecast/graph.h"

#define MAX_FILE_BYTES 0x1p53 /* what a JSON number holds exactly */

struct reader {
	struct pa_arena *arena;
	const char *file;
	struct pa_error *err;
	struct pa_names task_names;
	struct pa_names file_names;
	struct pa_instance *instance;
};

struct named_task {
	const char *id;
	const json_t *node;
};

static int compare_named(const void *left, const void *right)
{
	return strcmp(((const struct named_task *)left)->id, ((const struct named_task *)right)->id);
}

static const char *copy_text(struct reader *reader, const json_t *text)
{
	return json_is_string(text) ? pa_arena_strdup(reader->arena, json_string_value(text)) : NULL;
}

static int read_files(struct reader *reader, const json_t *files)
{
	struct pa_instance *instance = reader->instance;
	size_t count = json_array_size(files);
	if (count > PA_INSTANCE_MAX_FILES)
		return pa_error_set(reader->err, PA_ERROR_INPUT, "%s: %zu files; at most %d", reader->file,
		                    count, PA_INSTANCE_MAX_FILES);
	pa_names_init(reader->arena, &reader->file_names, count);
	instance->files = pa_arena_array(reader->arena, count, sizeof(*instance->files));
	for (size_t i = 0; i < count; i++) {
		const json_t *node = json_array_get(files, i);
		const char *id = copy_text(reader, json_object_get(node, "id"));
		const json_t *size = json_object_get(node, "sizeInBytes");
		double bytes = json_number_value(size);
		if (id == NULL || !json_is_number(size) || !(bytes >= 0) || bytes > MAX_FILE_BYTES)
			return pa_error_set(reader->err, PA_ERROR_INPUT,
			                    "%s: workflow.specification.files[%zu] (\"%s\") needs an id and "
			                    "sizeInBytes of 0 to 2^53",
			                    reader->file, i, id == NULL ? "" : id);
		uint32_t known = reader->file_names.count;
		if (pa_names_add(&reader->file_names, id) != known)
			return pa_error_set(reader->err, PA_ERROR_INPUT,
			                    "%s: the file \"%s\" is listed twice", reader->file, id);
		instance->files[i] = (struct pa_instance_file){id, (uint64_t)bytes, true};
	}
	instance->file_count = (uint32_t)count;
	return 0;
}

/* Indices of the texts in an array, each once. */
static int read_indices(struct reader *reader, const json_t *texts, const struct pa_names *names,
                        const char *task, const char *what, const uint32_t **ret, size_t *ret_count)
{
	size_t count = json_array_size(texts), kept = 0;
	uint32_t *indices = pa_arena_array(reader->arena, count, sizeof(*indices));
	json_t *seen = json_object();
	int failed = 0;
	for (size_t i = 0; i < count && !failed; i++) {
		const char *text = json_string_value(json_array_get(texts, i));
		uint32_t index = text == NULL ? PA_NAMES_NONE : pa_names_find(names, text);
		if (index == PA_NAMES_NONE)
			failed = pa_error_set(reader->err, PA_ERROR_INPUT,
			                      "%s: task \"%s\": %s \"%s\" is not in workflow.specification",
			                      reader->file, task, what, text == NULL ? "" : text);
		else if (json_object_get(seen, text) == NULL) {
			json_object_set_new(seen, text, json_true());
			indices[kept++] = index;
		}
	}
	json_decref(seen);
	*ret = indices;
	*ret_count = kept;
	return failed;
}

static int read_task(struct reader *reader, const struct named_task *named, struct pa_flow_task *task)
{
	*task = (struct pa_flow_task){.started_s = NAN, .ended_s = NAN, .duration_s = NAN};
	int failed = read_indices(reader, json_object_get(named->node, "parents"), &reader->task_names,
	                          named->id, "parent", &task->after, &task->after_count);
	if (!failed)
		failed = read_indices(reader, json_object_get(named->node, "inputFiles"), &reader->file_names,
		                      named->id, "input file", &task->reads, &task->read_count);
	if (!failed)
		failed =
		    read_indices(reader, json_object_get(named->node, "outputFiles"), &reader->file_names,
		                 named->id, "output file", &task->writes, &task->write_count);
	for (size_t i = 0; !failed && i < task->write_count; i++)
		reader->instance->files[task->writes[i]].external = false;
	return failed;
}

static int read_tasks(struct reader *reader, const json_t *tasks)
{
	struct pa_instance *instance = reader->instance;
	size_t count = json_array_size(tasks);
	if (count == 0 || count > PA_INSTANCE_MAX_TASKS)
		return pa_error_set(reader->err, PA_ERROR_INPUT,
		                    "%s: %zu tasks in workflow.specification.tasks; give 1 to %d",
		                    reader->file, count, PA_INSTANCE_MAX_TASKS);
	struct named_task *named = pa_arena_array(reader->arena, count, sizeof(*named));
	for (size_t i = 0; i < count; i++) {
		const json_t *node = json_array_get(tasks, i);
		named[i] = (struct named_task){copy_text(reader, json_object_get(node, "id")), node};
		if (named[i].id == NULL)
			return pa_error_set(reader->err, PA_ERROR_INPUT,
			                    "%s: workflow.specification.tasks[%zu] has no id", reader->file,
			                    i);
	}
	qsort(named, count, sizeof(*named), compare_named);
	pa_names_init(reader->arena, &reader->task_names, count);
	instance->tasks = pa_arena_array(reader->arena, count, sizeof(*instance->tasks));
	instance->task_ids = pa_arena_array(reader->arena, count, sizeof(*instance->task_ids));
	for (uint32_t i = 0; i < count; i++) {
		instance->task_ids[i] = named[i].id;
		if (pa_names_add(&reader->task_names, named[i].id) != i)
			return pa_error_set(reader->err, PA_ERROR_INPUT,
			                    "%s: the task \"%s\" is listed twice", reader->file, named[i].id);
	}
	instance->task_count = (uint32_t)count;
	int failed = 0;
	for (uint32_t i = 0; i < count && !failed; i++)
		failed = read_task(reader, &named[i], &instance->tasks[i]);
	return failed;
}

static int read_durations(struct reader *reader, const json_t *executed)
{
	struct pa_instance *instance = reader->instance;
	for (size_t i = 0; i < json_array_size(executed); i++) {
		const json_t *node = json_array_get(executed, i);
		const char *id = json_string_value(json_object_get(node, "id"));
		const json_t *seconds = json_object_get(node, "runtimeInSeconds");
		uint32_t task = id == NULL ? PA_NAMES_NONE : pa_names_find(&reader->task_names, id);
		if (task == PA_NAMES_NONE)
			return pa_error_set(reader->err, PA_ERROR_INPUT,
			                    "%s: workflow.execution.tasks[%zu] (\"%s\") is no task of the "
			                    "specification",
			                    reader->file, i, id == NULL ? "" : id);
		if (!json_is_number(seconds) || !(json_number_value(seconds) >= 0))
			return pa_error_set(reader->err, PA_ERROR_INPUT,
			                    "%s: task \"%s\" needs runtimeInSeconds of 0 or more",
			                    reader->file, id);
		instance->tasks[task].duration_s = json_number_value(seconds);
	}
	for (uint32_t i = 0; i < instance->task_count; i++)
		if (isnan(instance->tasks[i].duration_s))
			return pa_error_set(
			    reader->err, PA_ERROR_INPUT,
			    "%s: task \"%s\" has no run time in workflow.execution.tasks; only "
			    "instances that were executed can be simulated",
			    reader->file, instance->task_ids[i]);
	return 0;
}

static int read_root(struct reader *reader, const json_t *root)
{
	const json_t *workflow = json_object_get(root, "workflow");
	const json_t *specification = json_object_get(workflow, "specification");
	if (!json_is_array(json_object_get(specification, "tasks")))
		return pa_error_set(reader->err, PA_ERROR_INPUT,
		                    "%s: no WfCommons instance: workflow.specification.tasks is missing",
		                    reader->file);
	const char *name = copy_text(reader, json_object_get(root, "name"));
	reader->instance->name = name == NULL ? reader->file : name;
	int failed = read_files(reader, json_object_get(specification, "files"));
	if (!failed)
		failed = read_tasks(reader, json_object_get(specification, "tasks"));
	if (!failed)
		failed =
		    read_durations(reader, json_object_get(json_object_get(workflow, "execution"), "tasks"));
	return failed;
}

int pa_instance_read_wfformat(struct pa_arena *arena, const char *file, const char *text, size_t bytes,
                              struct pa_instance *ret, struct pa_error *err)
{
	struct pa_instance instance = {0};
	struct reader reader = {.arena = arena, .file = file, .err = err, .instance = &instance};
	json_error_t at;
	json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &at);
	if (root == NULL)
		return pa_error_set(err, PA_ERROR_INPUT, "%s:%d:%d: %s; give a WfCommons instance (JSON)",
		                    file, at.line, at.column, at.text);
	int failed = read_root(&reader, root);
	json_decref(root);
	if (!failed)
		*ret = instance;
	return failed;
}
