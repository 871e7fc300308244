/* SPDX-License-Identifier: Apache-2.0 */
/* What a task reads and writes: what importers name, claims, and URIs in its values and code. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/data_sets_internal.h"
#include "pipeline/ir_analysis_internal.h"

struct collecting {
	struct ir_analysis *analysis;
	struct pa_data_sets sets;
	struct ir_task *task;
	struct pa_task *model;
	const struct pa_node *at; /* the task */
};

static bool is_code(const char *text)
{
	return text != NULL && strchr(text, '\n') != NULL;
}

/* The location that an importer names, where the file says it. */
static int find_import(struct ir_analysis *analysis, struct ir_task *task, struct pa_error *err)
{
	const struct pa_node *uri, *legacy;
	const char *text, *parameter;

	if (task->executor == NULL || task->executor->kind != IR_IMPORTER)
		return 0;
	int rc = ir_read_mapping(task->executor->node, "artifactUri", &uri, err);
	if (rc == 0)
		rc = ir_read_text(uri, "constant", &text, err);
	if (rc == 0)
		rc = ir_read_text(uri, "runtimeParameter", &parameter, err);
	if (rc == 0)
		rc = ir_read_mapping(uri, "constantValue", &legacy, err);
	if (rc < 0)
		return rc;
	if (legacy != NULL)
		text = ir_legacy_value_text(legacy);
	size_t input = parameter == NULL ? SIZE_MAX : ir_find_input(task->place, parameter, false);
	if (text == NULL && input != SIZE_MAX) {
		const struct ir_value *value = ir_input_value(analysis, task->place, input);
		text = value->knowledge == IR_KNOWN ? value->text : NULL;
	}
	/* What is no URI is no place that anybody could read. */
	if (text == NULL || strstr(text, "://") == NULL)
		return 0;
	return ir_fill(analysis, task->place, text, &task->import_uri, err);
}

/* Whoever takes what an importer imports reads it where it is. */
static int note_imports(struct collecting *collecting, struct pa_error *err)
{
	const struct ir_analysis *analysis = collecting->analysis;
	struct pa_task *model = collecting->model;
	int rc = 0;

	if (collecting->task->import_uri != NULL)
		rc = pa_data_sets_note_uri(&collecting->sets, collecting->task->executor->node,
		                           collecting->task->import_uri, PA_CONFIDENCE_DECLARED, false, err);
	for (size_t i = 0; i < model->input_count; i++) {
		const struct pa_input *input = &model->inputs[i];
		for (size_t j = 0; input->artifact && j < input->origin_count && rc == 0; j++) {
			const struct pa_origin *origin = &input->origins[j];
			size_t task = origin->task == NULL
			                  ? SIZE_MAX
			                  : pa_name_table_get(analysis->task_index, origin->task);
			const char *uri = task == SIZE_MAX ? NULL : analysis->tasks[task].import_uri;
			if (origin->kind == PA_ORIGIN_URI)
				uri = origin->text;
			if (uri != NULL)
				rc = pa_data_sets_note_uri(&collecting->sets, collecting->at, uri,
				                           PA_CONFIDENCE_DECLARED, false, err);
		}
	}
	return rc;
}

static int scan_parameters(struct collecting *collecting, struct pa_error *err)
{
	struct ir_place *place = collecting->task->place;
	size_t count = place->component == NULL ? place->input_count : place->component->input_count;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		const struct ir_input *input = &place->inputs[i];
		if (input->artifact)
			continue;
		const char *text = ir_input_value(collecting->analysis, place, i)->text;
		const struct pa_node *at =
		    input->argument != NULL ? input->argument->node : input->definition->node;
		rc = pa_data_sets_scan(&collecting->sets, at, text, is_code(text), err);
	}
	return rc;
}

static int scan_command(struct collecting *collecting, const char *key, const char **texts, size_t count,
                        bool *code_next, struct pa_error *err)
{
	const struct pa_node *list = pa_node_get(ir_container(collecting->task), key);
	/* Structures may have become several elements. */
	bool parallel = list != NULL && list->count == count;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		const struct pa_node *at = parallel ? list->items[i] : list;
		bool code = *code_next || is_code(texts[i]);
		*code_next = pa_data_sets_announces_code(texts[i]);
		rc = pa_data_sets_scan(&collecting->sets, at, texts[i], code, err);
	}
	return rc;
}

static int scan_container(struct collecting *collecting, struct pa_error *err)
{
	const struct pa_node *env;
	struct pa_task *model = collecting->model;
	bool code_next = false;
	int rc = scan_command(collecting, "command", model->command, model->command_count, &code_next, err);

	if (rc == 0)
		rc = scan_command(collecting, "args", model->args, model->arg_count, &code_next, err);
	if (rc == 0)
		rc = ir_read_sequence(ir_container(collecting->task), "env", &env, err);
	for (uint32_t i = 0; rc == 0 && env != NULL && i < env->count; i++) {
		const char *text;
		rc = ir_read_text(env->items[i], "value", &text, err);
		if (rc == 0 && text != NULL)
			rc = ir_fill(collecting->analysis, collecting->task->place, text, &text, err);
		if (rc == 0)
			rc = pa_data_sets_scan(&collecting->sets, env->items[i], text, is_code(text), err);
	}
	return rc;
}

/* The name under which all mounts of a claim meet, also where only a run knows what it is called. */
static const char *claim_id(struct collecting *collecting, const struct pa_task_mount *mount,
                            const struct pa_node *node)
{
	struct pa_arena *arena = collecting->analysis->budget->arena;

	if (mount->claim != NULL)
		return pa_arena_printf(arena, "claim:%s", mount->claim);
	if (mount->created_by != NULL)
		return pa_arena_printf(arena, "claim:{{tasks.%s}}", mount->created_by);
	/* The run's workspace, as the backend names it. */
	return node == NULL ? pa_arena_printf(arena, "claim:{{workflow.name}}-%s", mount->volume) : NULL;
}

static int collect_claims(struct collecting *collecting, struct pa_error *err)
{
	struct pa_task *model = collecting->model;
	int rc = 0;

	for (size_t i = 0; i < model->mount_count && rc == 0; i++) {
		const struct pa_task_mount *mount = &model->mounts[i];
		const struct pa_node *node = collecting->task->mount_nodes[i];
		if (strcmp(mount->kind, "pvc") != 0)
			continue;
		const char *id = claim_id(collecting, mount, node);
		bool scratch = mount->created_by != NULL || node == NULL;
		if (id != NULL)
			rc = pa_data_sets_note(&collecting->sets, node == NULL ? collecting->at : node, id,
			                       "directory", true, !mount->read_only, scratch, err);
	}
	return rc;
}

static int collect_task(struct collecting *collecting, struct pa_error *err)
{
	pa_data_sets_begin(&collecting->sets, collecting->model);
	int rc = collect_claims(collecting, err);
	if (rc == 0)
		rc = note_imports(collecting, err);
	if (rc == 0)
		rc = scan_parameters(collecting, err);
	return rc < 0 ? rc : scan_container(collecting, err);
}

int ir_fill_data(struct ir_analysis *analysis, struct pa_error *err)
{
	struct collecting collecting = {.analysis = analysis};
	int rc = 0;

	pa_data_sets_init(&collecting.sets, analysis->findings);
	for (size_t i = 0; i < analysis->task_count && rc == 0; i++)
		rc = find_import(analysis, &analysis->tasks[i], err);
	for (size_t i = 0; i < analysis->task_count && rc == 0; i++) {
		const struct ir_place *place = analysis->tasks[i].place;
		collecting.task = &analysis->tasks[i];
		collecting.model = &analysis->models[i];
		collecting.at = place->call == NULL ? analysis->spec->node : place->call->node;
		rc = collect_task(&collecting, err);
	}
	pa_data_sets_finish(&collecting.sets, analysis->pipeline);
	return rc;
}
