/* SPDX-License-Identifier: Apache-2.0 */
/* The analysis as JSON, fields in the order of the schema pipeahead/analysis/v1. */
#include <jansson.h>
#include <string.h>

#include "base/buffer.h"
#include "base/node.h"
#include "pipeline/analyze.h"
#include "pipeline/workflow.h"

/* A message that was cut inside a character is no UTF-8: its other bytes are shown as '?'. */
static json_t *replaced_text(const char *text)
{
	struct pa_buffer copy;

	pa_buffer_init(&copy, 1u << 20);
	for (; *text != '\0'; text++)
		pa_buffer_append(&copy, (unsigned char)*text < 0x80 ? text : "?", 1);
	json_t *json = json_string(copy.data);
	pa_buffer_done(&copy);
	return json;
}

static json_t *json_text(const char *text)
{
	if (text == NULL)
		return json_null();
	json_t *json = json_string(text);
	return json != NULL ? json : replaced_text(text);
}

static void set_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new_nocheck(object, key, json_text(text));
}

static json_t *json_texts(const char *const *texts, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_text(texts[i]));
	return list;
}

static json_t *json_origin(const struct pa_origin *origin)
{
	json_t *object = json_object();

	switch (origin->kind) {
	case PA_ORIGIN_ITEM:
		json_object_set_new_nocheck(object, "item", json_true());
		if (origin->task == NULL)
			break;
		__attribute__((fallthrough));
	case PA_ORIGIN_TASK:
		set_text(object, "task", origin->task);
		set_text(object, "output", origin->output);
		break;
	case PA_ORIGIN_PARAMETER:
		set_text(object, "parameter", origin->text);
		break;
	case PA_ORIGIN_URI:
		set_text(object, "uri", origin->text);
		break;
	case PA_ORIGIN_CONSTANT:
		set_text(object, "constant", origin->text);
		break;
	}
	return object;
}

static json_t *json_origins(const struct pa_input *input)
{
	if (input->origin_count == 0)
		return json_null();
	if (input->origin_count == 1)
		return json_origin(&input->origins[0]);
	json_t *list = json_array();
	for (size_t i = 0; i < input->origin_count; i++)
		json_array_append_new(list, json_origin(&input->origins[i]));
	return list;
}

static json_t *json_inputs(const struct pa_task *task)
{
	json_t *list = json_array();

	for (size_t i = 0; i < task->input_count; i++) {
		const struct pa_input *input = &task->inputs[i];
		json_t *object = json_object();
		set_text(object, "name", input->name);
		set_text(object, "kind", input->artifact ? "artifact" : "parameter");
		set_text(object, "path", input->path);
		json_object_set_new_nocheck(object, "from", json_origins(input));
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *json_outputs(const struct pa_task *task)
{
	json_t *list = json_array();

	for (size_t i = 0; i < task->output_count; i++) {
		json_t *object = json_object();
		set_text(object, "name", task->outputs[i].name);
		set_text(object, "kind", task->outputs[i].artifact ? "artifact" : "parameter");
		set_text(object, "path", task->outputs[i].path);
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *json_mounts(const struct pa_task *task)
{
	json_t *list = json_array();

	for (size_t i = 0; i < task->mount_count; i++) {
		const struct pa_task_mount *mount = &task->mounts[i];
		json_t *object = json_object();
		set_text(object, "path", mount->path);
		set_text(object, "sub_path", mount->sub_path);
		json_object_set_new_nocheck(object, "read_only", json_boolean(mount->read_only));
		set_text(object, "claim", mount->claim);
		set_text(object, "created_by", mount->created_by);
		set_text(object, "kind", mount->kind);
		set_text(object, "volume", mount->volume);
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *json_hyperparameters(const struct pa_task *task)
{
	json_t *object = json_object();

	for (size_t i = 0; i < task->hyperparameter_count; i++)
		set_text(object, task->hyperparameters[i].name, task->hyperparameters[i].value);
	return object;
}

static json_t *json_task_data(const struct pa_task *task)
{
	json_t *list = json_array();

	for (size_t i = 0; i < task->data_count; i++) {
		json_t *object = json_object();
		set_text(object, "uri", task->data[i].uri);
		set_text(object, "confidence", pa_confidence_name(task->data[i].confidence));
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *json_loop(const struct pa_loop *loop)
{
	if (loop == NULL)
		return json_null();
	json_t *object = json_object();
	json_t *from = loop->from_task == NULL ? json_null() : json_object();
	if (loop->from_task != NULL) {
		set_text(from, "task", loop->from_task);
		set_text(from, "output", loop->from_output);
	}
	json_object_set_new_nocheck(object, "items",
	                            loop->items < 0 ? json_null() : json_integer(loop->items));
	json_object_set_new_nocheck(object, "from", from);
	return object;
}

static json_t *json_resources(const struct pa_resources *resources)
{
	json_t *object = json_object();

	set_text(object, "cpu", resources->cpu);
	set_text(object, "memory", resources->memory);
	set_text(object, "accelerator", resources->accelerator);
	set_text(object, "accelerator_count", resources->accelerator_count);
	return object;
}

static json_t *json_task(const struct pa_task *task)
{
	json_t *object = json_object();

	set_text(object, "id", task->id);
	set_text(object, "template", task->template_name);
	set_text(object, "kind", pa_task_kind_name(task->kind));
	set_text(object, "role", pa_task_role_name(task->role));
	json_object_set_new_nocheck(object, "after", json_texts(task->after, task->after_count));
	set_text(object, "image", task->image);
	json_object_set_new_nocheck(object, "command", json_texts(task->command, task->command_count));
	json_object_set_new_nocheck(object, "args", json_texts(task->args, task->arg_count));
	json_object_set_new_nocheck(object, "inputs", json_inputs(task));
	json_object_set_new_nocheck(object, "outputs", json_outputs(task));
	json_object_set_new_nocheck(object, "mounts", json_mounts(task));
	json_object_set_new_nocheck(object, "hyperparameters", json_hyperparameters(task));
	json_object_set_new_nocheck(object, "data", json_task_data(task));
	set_text(object, "condition", task->condition);
	json_object_set_new_nocheck(object, "loop", json_loop(task->loop));
	json_object_set_new_nocheck(object, "resources", json_resources(&task->resources));
	json_object_set_new_nocheck(object, "retries", json_integer(task->retries));
	json_object_set_new_nocheck(object, "caching", json_boolean(task->caching));
	json_object_set_new_nocheck(object, "line", json_integer(task->line));
	json_object_set_new_nocheck(object, "column", json_integer(task->column));
	return object;
}

static json_t *json_parameters(const struct pa_pipeline *pipeline)
{
	json_t *list = json_array();

	for (size_t i = 0; i < pipeline->parameter_count; i++) {
		const struct pa_pipeline_parameter *parameter = &pipeline->parameters[i];
		json_t *object = json_object();
		set_text(object, "name", parameter->name);
		set_text(object, "type", parameter->type);
		set_text(object, "default", parameter->default_value);
		set_text(object, "value", parameter->value);
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *json_data(const struct pa_pipeline *pipeline)
{
	json_t *list = json_array();

	for (size_t i = 0; i < pipeline->data_count; i++) {
		const struct pa_data *data = &pipeline->data[i];
		json_t *object = json_object();
		set_text(object, "id", data->id);
		set_text(object, "kind", data->kind);
		json_object_set_new_nocheck(object, "read_by", json_texts(data->read_by, data->read_count));
		json_object_set_new_nocheck(object, "written_by",
		                            json_texts(data->written_by, data->written_count));
		json_object_set_new_nocheck(object, "scratch", json_boolean(data->scratch));
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *json_unresolved(const struct pa_pipeline *pipeline)
{
	json_t *list = json_array();

	for (size_t i = 0; i < pipeline->unresolved_count; i++) {
		json_t *object = json_object();
		set_text(object, "what", pipeline->unresolved[i].what);
		set_text(object, "at", pipeline->unresolved[i].at);
		json_array_append_new(list, object);
	}
	return list;
}

static json_t *json_pipeline(const struct pa_pipeline *pipeline)
{
	json_t *object = json_object(), *source = json_object(), *tasks = json_array();

	set_text(object, "name", pipeline->name);
	set_text(object, "format", pa_format_name(pipeline->format));
	set_text(source, "file", pipeline->file);
	json_object_set_new_nocheck(source, "document", json_integer((json_int_t)pipeline->document));
	json_object_set_new_nocheck(object, "source", source);
	set_text(object, "sdk_version", pipeline->sdk_version);
	json_object_set_new_nocheck(object, "parameters", json_parameters(pipeline));
	for (size_t i = 0; i < pipeline->task_count; i++)
		json_array_append_new(tasks, json_task(&pipeline->tasks[i]));
	json_object_set_new_nocheck(object, "tasks", tasks);
	json_object_set_new_nocheck(object, "data", json_data(pipeline));
	json_object_set_new_nocheck(object, "unresolved", json_unresolved(pipeline));
	return object;
}

static int append_piece(const char *piece, size_t bytes, void *context)
{
	pa_buffer_append(context, piece, bytes);
	return 0;
}

void pa_analysis_print_json(const struct pa_analysis *analysis, struct pa_buffer *out)
{
	json_t *document = json_object(), *pipelines = json_array();

	set_text(document, "schema", "pipeahead/analysis/v1");
	for (size_t i = 0; i < analysis->pipeline_count; i++)
		json_array_append_new(pipelines, json_pipeline(&analysis->pipelines[i]));
	json_object_set_new_nocheck(document, "pipelines", pipelines);
	json_dump_callback(document, append_piece, out, JSON_INDENT(2));
	pa_buffer_puts(out, "\n");
	json_decref(document);
}
