/* SPDX-License-Identifier: Apache-2.0 */
/* WfCommons instances, WfFormat 1.5: a specification (tasks, files) and an execution (run times). */
#include "catalog/catalog_internal.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"

struct reader {
	struct pa_arena *arena;
	const char *file;
	struct pa_error *err;
};

static const json_t *at_path(const json_t *node, const char *first, const char *second, const char *third)
{
	node = json_object_get(json_object_get(node, first), second);
	return third == NULL ? node : json_object_get(node, third);
}

bool pa_catalog_is_wfformat(const json_t *root)
{
	return json_is_array(at_path(root, "workflow", "specification", "tasks"));
}

static const char *copy_text(struct reader *reader, const json_t *text)
{
	return json_is_string(text) ? pa_arena_strdup(reader->arena, json_string_value(text)) : NULL;
}

/* A template's name is the task's without the number that tells instances apart: bwa_ID000003 → bwa. */
static const char *template_of(struct pa_arena *arena, const char *name)
{
	size_t length = strlen(name);
	size_t digits = 0;

	while (digits < length && isdigit((unsigned char)name[length - digits - 1]))
		digits++;
	size_t rest = length - digits;
	if (digits >= 3 && rest > 3 && memcmp(name + rest - 3, "_ID", 3) == 0)
		return pa_arena_strndup(arena, name, rest - 3);
	if (digits >= 3 && rest > 1 && name[rest - 1] == '_')
		return pa_arena_strndup(arena, name, rest - 1);
	return name;
}

static int read_task(struct reader *reader, const json_t *node, size_t index, struct pa_task *task)
{
	const char *id = copy_text(reader, json_object_get(node, "id"));
	const char *name = copy_text(reader, json_object_get(node, "name"));
	const json_t *parents = json_object_get(node, "parents");

	if (id == NULL || id[0] == '\0')
		return pa_error_set(reader->err, PA_ERROR_INPUT,
		                    "%s: workflow.specification.tasks[%zu] has no id", reader->file, index);
	*task = (struct pa_task){.id = id, .kind = PA_TASK_CONTAINER, .image = "", .caching = true};
	task->template_name = template_of(reader->arena, name == NULL ? id : name);
	task->after = pa_arena_array(reader->arena, json_array_size(parents), sizeof(*task->after));
	for (size_t i = 0; i < json_array_size(parents); i++) {
		const char *parent = copy_text(reader, json_array_get(parents, i));
		if (parent == NULL)
			return pa_error_set(reader->err, PA_ERROR_INPUT,
			                    "%s: task \"%s\" has a parent that is no text", reader->file, id);
		task->after[task->after_count++] = parent;
	}
	return 0;
}

/* Of each file the tasks that read and write it. */
struct file_use {
	struct pa_data data;
	size_t read_capacity, write_capacity;
};

static int add_uses(struct reader *reader, struct file_use *uses, const json_t *index, const json_t *names,
                    const char *task, bool write)
{
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		const json_t *number = name == NULL ? NULL : json_object_get(index, name);
		if (number == NULL)
			return pa_error_set(reader->err, PA_ERROR_INPUT,
			                    "%s: task \"%s\" names the file \"%s\", which is not in "
			                    "workflow.specification.files",
			                    reader->file, task, name == NULL ? "" : name);
		struct file_use *use = &uses[json_integer_value(number)];
		struct pa_data *data = &use->data;
		if (write) {
			data->written_by = pa_arena_grow(reader->arena, data->written_by, data->written_count,
			                                 &use->write_capacity, sizeof(*data->written_by));
			data->written_by[data->written_count++] = task;
			data->scratch = true;
		} else {
			data->read_by = pa_arena_grow(reader->arena, data->read_by, data->read_count,
			                              &use->read_capacity, sizeof(*data->read_by));
			data->read_by[data->read_count++] = task;
		}
	}
	return 0;
}

static int read_uses(struct reader *reader, const json_t *specification, json_t *index,
                     struct pa_pipeline *pipeline)
{
	const json_t *files = json_object_get(specification, "files");
	const json_t *tasks = json_object_get(specification, "tasks");
	size_t count = json_array_size(files);
	struct file_use *uses = pa_arena_array(reader->arena, count, sizeof(*uses));
	int result = 0;

	for (size_t i = 0; i < count; i++) {
		const char *id = json_string_value(json_object_get(json_array_get(files, i), "id"));
		if (id == NULL)
			return pa_error_set(reader->err, PA_ERROR_INPUT,
			                    "%s: workflow.specification.files[%zu] has no id", reader->file,
			                    i);
		json_object_set_new(index, id, json_integer((json_int_t)i));
		uses[i].data.id = pa_arena_printf(reader->arena, "file:%s", id);
		uses[i].data.kind = "file";
	}
	for (size_t i = 0; result == 0 && i < json_array_size(tasks); i++) {
		const json_t *node = json_array_get(tasks, i);
		const char *id = pipeline->tasks[i].id;
		result = add_uses(reader, uses, index, json_object_get(node, "inputFiles"), id, false);
		if (result == 0)
			result =
			    add_uses(reader, uses, index, json_object_get(node, "outputFiles"), id, true);
	}
	pipeline->data = pa_arena_array(reader->arena, count, sizeof(*pipeline->data));
	for (size_t i = 0; i < count; i++)
		if (uses[i].data.read_count + uses[i].data.written_count > 0)
			pipeline->data[pipeline->data_count++] = uses[i].data;
	return result;
}

static uint64_t size_of(const json_t *number)
{
	double value = json_number_value(number);

	return value > 0 && value < 0x1p63 ? (uint64_t)value : 0;
}

static uint64_t input_bytes_of(const json_t *files, const json_t *index, const json_t *names)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < json_array_size(names); i++) {
		const json_t *number = json_object_get(index, json_string_value(json_array_get(names, i)));
		const json_t *file = json_array_get(files, (size_t)json_integer_value(number));
		uint64_t size = size_of(json_object_get(file, "sizeInBytes"));
		bytes = bytes > UINT64_MAX - size ? UINT64_MAX : bytes + size;
	}
	return bytes;
}

/* Executed tasks by id. */
static json_t *index_execution(const json_t *root)
{
	const json_t *executed = at_path(root, "workflow", "execution", "tasks");
	json_t *by_id = json_object();

	for (size_t i = 0; i < json_array_size(executed); i++) {
		json_t *node = json_array_get(executed, i);
		const char *id = json_string_value(json_object_get(node, "id"));
		if (id != NULL)
			json_object_set(by_id, id, node);
	}
	return by_id;
}

/* Run times are all that the format has of a task: when it started is not known, and not made up. */
static void read_execution(struct reader *reader, const json_t *root, const json_t *index,
                           struct pa_catalog_import *import)
{
	const json_t *specification = json_object_get(json_object_get(root, "workflow"), "specification");
	const json_t *files = json_object_get(specification, "files");
	const json_t *tasks = json_object_get(specification, "tasks");
	const struct pa_pipeline *pipeline = &import->pipeline;
	struct pa_task_run *runs = pa_arena_array(reader->arena, pipeline->task_count, sizeof(*runs));
	double *durations_s = pa_arena_array(reader->arena, pipeline->task_count, sizeof(*durations_s));
	json_t *by_id = index_execution(root);
	size_t count = 0;

	for (size_t i = 0; i < pipeline->task_count; i++) {
		const json_t *node = json_object_get(by_id, pipeline->tasks[i].id);
		const json_t *seconds = json_object_get(node, "runtimeInSeconds");
		if (!json_is_number(seconds) || json_number_value(seconds) < 0)
			continue;
		durations_s[count] = json_number_value(seconds);
		runs[count++] = (struct pa_task_run){
		    .task_id = pipeline->tasks[i].id,
		    .instance = "",
		    .outcome = "succeeded",
		    .ready_s = NAN,
		    .start_s = NAN,
		    .end_s = NAN,
		    .predicted_start_s = NAN,
		    .predicted_end_s = NAN,
		    .stall_s = NAN,
		    .read_bytes = size_of(json_object_get(node, "readBytes")),
		    .written_bytes = size_of(json_object_get(node, "writtenBytes")),
		    .input_bytes =
			input_bytes_of(files, index, json_object_get(json_array_get(tasks, i), "inputFiles")),
		};
	}
	json_decref(by_id);
	import->run.tasks = runs;
	import->run.task_count = count;
	import->durations_s = durations_s;
}

static void read_run(const json_t *root, struct pa_run_record *run)
{
	const json_t *makespan = at_path(root, "workflow", "execution", "makespanInSeconds");
	const char *executed = json_string_value(at_path(root, "workflow", "execution", "executedAt"));
	const char *created = json_string_value(json_object_get(root, "createdAt"));

	run->mode = "imported";
	run->outcome = "succeeded";
	run->makespan_s = json_is_number(makespan) ? json_number_value(makespan) : NAN;
	run->stall_s = NAN;
	if (executed == NULL || !pa_catalog_parse_time(executed, &run->started_wall_ms))
		if (created == NULL || !pa_catalog_parse_time(created, &run->started_wall_ms))
			run->started_wall_ms = 0;
}

static int read_all(struct reader *reader, const json_t *root, json_t *index,
                    struct pa_catalog_import *import)
{
	const json_t *specification = json_object_get(json_object_get(root, "workflow"), "specification");
	const json_t *tasks = json_object_get(specification, "tasks");
	struct pa_pipeline *pipeline = &import->pipeline;
	int result = 0;

	pipeline->tasks = pa_arena_array(reader->arena, json_array_size(tasks), sizeof(*pipeline->tasks));
	for (size_t i = 0; result == 0 && i < json_array_size(tasks); i++)
		result =
		    read_task(reader, json_array_get(tasks, i), i, &pipeline->tasks[pipeline->task_count++]);
	if (result == 0)
		result = read_uses(reader, specification, index, pipeline);
	if (result < 0)
		return result;
	read_execution(reader, root, index, import);
	read_run(root, &import->run);
	if (import->run.task_count == 0)
		return pa_error_set(
		    reader->err, PA_ERROR_INPUT,
		    "%s: no task in workflow.execution.tasks has runtimeInSeconds; only instances that "
		    "were executed can be imported",
		    reader->file);
	return 0;
}

int pa_catalog_read_wfformat(struct pa_arena *arena, const char *file, const json_t *root,
                             struct pa_catalog_import *ret, struct pa_error *err)
{
	struct reader reader = {.arena = arena, .file = file, .err = err};
	struct pa_catalog_import import = {.pipeline = {.format = PA_FORMAT_ARGO, .file = file}};
	const char *name = copy_text(&reader, json_object_get(root, "name"));

	if (name == NULL || name[0] == '\0')
		return pa_error_set(err, PA_ERROR_INPUT, "%s: the instance has no name; give one with --name",
		                    file);
	import.pipeline.name = name;
	json_t *index = json_object();
	int result = read_all(&reader, root, index, &import);
	json_decref(index);
	if (result == 0)
		*ret = import;
	return result;
}
