/* SPDX-License-Identifier: Apache-2.0 */
/* Argo Workflows that have ended: their status holds what ran, when, and what followed what.
 *
 * Where the object carries its definition, the pipeline is the one that the analysis makes of it, with what
 * ran beside it (such as the turns of a template that calls itself); else it is what ran.
 */
#include "catalog/catalog_internal.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/node.h"
#include "pipeline/analyze.h"
#include "pipeline/status.h"

struct reader {
	struct pa_arena *arena;
	const char *file;
	struct pa_error *err;
	struct pa_status status;
	json_t *by_id;      /* a task's id → its number */
	size_t *capacities; /* of each task's `after` */
	size_t *stack;      /* of a walk over nodes; each is pushed once */
	size_t *seen;       /* the task whose followers were looked for last, from 1 */
};

bool pa_catalog_is_workflow(const json_t *root)
{
	return json_is_object(json_object_get(root, "status")) &&
	       json_is_object(json_object_get(root, "metadata"));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

static size_t task_number(const struct reader *reader, const char *id)
{
	const json_t *number = json_object_get(reader->by_id, id);

	return number == NULL ? SIZE_MAX : (size_t)json_integer_value(number);
}

static void add_after(struct reader *reader, struct pa_task *task, size_t *capacity, const char *id)
{
	for (size_t i = 0; i < task->after_count; i++)
		if (strcmp(task->after[i], id) == 0)
			return;
	if (strcmp(task->id, id) == 0)
		return;
	task->after =
	    pa_arena_grow(reader->arena, task->after, task->after_count, capacity, sizeof(*task->after));
	task->after[task->after_count++] = id;
}

/* The tasks that are first on the ways on from a node follow it; those of the model know that already. */
static void add_followers(struct reader *reader, size_t from, struct pa_pipeline *pipeline)
{
	const struct pa_status_node *nodes = reader->status.nodes;
	size_t depth = 0;

	reader->stack[depth++] = from;
	while (depth > 0) {
		const struct pa_status_node *node = &nodes[reader->stack[--depth]];
		for (size_t i = 0; i < node->child_count; i++) {
			size_t child = node->children[i];
			if (reader->seen[child] == from + 1)
				continue;
			reader->seen[child] = from + 1;
			if (!nodes[child].runs) {
				reader->stack[depth++] = child;
			} else if (nodes[child].task == NULL) {
				size_t number = task_number(reader, nodes[child].task_id);
				add_after(reader, &pipeline->tasks[number], &reader->capacities[number],
				          nodes[from].task_id);
			}
		}
	}
}

static void add_task(struct reader *reader, struct pa_pipeline *pipeline, const struct pa_task *task)
{
	json_object_set_new(reader->by_id, task->id, json_integer((json_int_t)pipeline->task_count));
	pipeline->tasks[pipeline->task_count++] = *task;
}

static enum pa_task_role role_of(const char *task_id)
{
	if (strstr(task_id, "hooks.") != NULL)
		return PA_ROLE_HOOK;
	return strcmp(task_id, "onExit") == 0 || strncmp(task_id, "onExit/", 7) == 0 ? PA_ROLE_EXIT
	                                                                             : PA_ROLE_MAIN;
}

/* Behind the tasks of the model, those that only the run knows. */
static void read_tasks(struct reader *reader, const struct pa_pipeline *model, struct pa_pipeline *pipeline)
{
	const struct pa_status *status = &reader->status;
	size_t room = status->node_count + (model == NULL ? 0 : model->task_count);

	pipeline->tasks = pa_arena_array(reader->arena, room, sizeof(*pipeline->tasks));
	pipeline->task_count = 0;
	reader->capacities = pa_arena_array(reader->arena, room, sizeof(*reader->capacities));
	reader->stack = pa_arena_array(reader->arena, status->node_count, sizeof(*reader->stack));
	reader->seen = pa_arena_array(reader->arena, status->node_count, sizeof(*reader->seen));
	for (size_t i = 0; model != NULL && i < model->task_count; i++)
		add_task(reader, pipeline, &model->tasks[i]);
	for (size_t i = 0; i < status->node_count; i++) {
		const struct pa_status_node *node = &status->nodes[i];
		if (!node->runs || task_number(reader, node->task_id) != SIZE_MAX)
			continue;
		const struct pa_task task = {.id = node->task_id,
		                             .template_name = node->template_name,
		                             .kind = PA_TASK_CONTAINER,
		                             .role = role_of(node->task_id),
		                             .image = ""};
		add_task(reader, pipeline, &task);
	}
	for (size_t i = 0; i < status->node_count; i++)
		if (status->nodes[i].runs)
			add_followers(reader, i, pipeline);
}

static double seconds_after(int64_t start_ms, const char *text)
{
	int64_t at_ms;

	return pa_catalog_parse_time(text, &at_ms) ? (double)(at_ms - start_ms) / 1000 : NAN;
}

static const char *outcome_of(const char *phase)
{
	if (strcmp(phase, "Succeeded") == 0)
		return "succeeded";
	return strcmp(phase, "Skipped") == 0 || strcmp(phase, "Omitted") == 0 ? "skipped" : "failed";
}

static void read_task_runs(struct reader *reader, struct pa_run_record *run)
{
	struct pa_task_run *tasks = pa_arena_array(reader->arena, reader->status.node_count, sizeof(*tasks));
	size_t count = 0;

	for (size_t i = 0; i < reader->status.node_count; i++) {
		const struct pa_status_node *node = &reader->status.nodes[i];
		if (!node->runs)
			continue;
		tasks[count++] = (struct pa_task_run){
		    .task_id = node->task_id,
		    .instance = node->instance,
		    .outcome = outcome_of(node->phase),
		    .ready_s = NAN,
		    .start_s = seconds_after(run->started_wall_ms, node->started),
		    .end_s = seconds_after(run->started_wall_ms, node->finished),
		    .predicted_start_s = NAN,
		    .predicted_end_s = NAN,
		    .stall_s = NAN,
		};
	}
	run->tasks = tasks;
	run->task_count = count;
}

static int read_run(struct reader *reader, struct pa_run_record *run)
{
	const struct pa_status *status = &reader->status;
	const char *phase = status->phase;

	if (status->offloaded)
		return pa_error_set(
		    reader->err, PA_ERROR_INPUT,
		    "%s: the workflow's nodes are kept in Argo's database; \"argo get NAME -o json\" "
		    "fetches them",
		    reader->file);
	if (strcmp(phase, "Succeeded") != 0 && strcmp(phase, "Failed") != 0 && strcmp(phase, "Error") != 0)
		return pa_error_set(reader->err, PA_ERROR_INPUT,
		                    "%s: workflow \"%s\" has not ended (phase \"%s\"); import it when it has",
		                    reader->file, status->workflow_name, phase);
	if (!pa_catalog_parse_time(status->started, &run->started_wall_ms))
		return pa_error_set(reader->err, PA_ERROR_INPUT,
		                    "%s: workflow \"%s\" has no status.startedAt", reader->file,
		                    status->workflow_name);
	run->mode = "imported";
	run->outcome = strcmp(phase, "Succeeded") == 0 ? "succeeded" : "failed";
	run->makespan_s = seconds_after(run->started_wall_ms, status->finished);
	run->stall_s = NAN;
	return 0;
}

static int check_nodes(struct reader *reader)
{
	const struct pa_status *status = &reader->status;
	size_t ran = 0;

	for (size_t i = 0; i < status->node_count; i++) {
		if (!status->nodes[i].runs)
			continue;
		ran++;
		if (status->nodes[i].task_id[0] == '\0')
			return pa_error_set(reader->err, PA_ERROR_INPUT,
			                    "%s: node \"%s\" of type %s has no name", reader->file,
			                    status->nodes[i].id, status->nodes[i].type);
	}
	if (ran == 0)
		return pa_error_set(reader->err, PA_ERROR_INPUT,
		                    "%s: no pod ran in workflow \"%s\"; there is nothing to learn from it",
		                    reader->file, status->workflow_name);
	return 0;
}

/* The pipeline that the object itself defines; NULL: it does not say, or not in a way that can be
 * analysed. */
static const struct pa_pipeline *analyze_definition(struct reader *reader, const struct pa_text *text)
{
	struct pa_analysis *analysis = pa_arena_alloc(reader->arena, sizeof(*analysis));

	pa_analyze(reader->arena, text, 1, NULL, analysis);
	return analysis->pipeline_count == 1 ? &analysis->pipelines[0] : NULL;
}

static int read_all(struct reader *reader, const struct pa_text *text, struct pa_catalog_import *import)
{
	const struct pa_node at = {.file = reader->file, .line = 1, .column = 1};
	const struct pa_pipeline *model = analyze_definition(reader, text);
	const char *name = import->pipeline.name;
	const struct pa_node *workflow;
	int result =
	    pa_document_read_json(reader->arena, &at, text->text, text->bytes, &workflow, reader->err);

	if (result == 0)
		result = pa_status_read(reader->arena, workflow, model, &reader->status, reader->err);
	if (result == 0)
		result = read_run(reader, &import->run);
	if (result == 0)
		result = check_nodes(reader);
	if (result < 0)
		return result;
	if (model != NULL)
		import->pipeline = *model;
	import->pipeline.name = name;
	read_tasks(reader, model, &import->pipeline);
	read_task_runs(reader, &import->run);
	return 0;
}

/* The object as a text of its own: it may be one of a list, and clients of Kubernetes leave the kind out,
 * which the analysis goes by. */
static int write_text(struct reader *reader, const json_t *root, struct pa_text *ret)
{
	json_t *whole = json_copy((json_t *)root);

	if (json_object_get(whole, "kind") == NULL)
		json_object_set_new(whole, "kind", json_string("Workflow"));
	char *text = json_dumps(whole, JSON_COMPACT);
	json_decref(whole);
	if (text == NULL)
		return pa_error_set(reader->err, PA_ERROR_NO_SPACE, "%s: no memory to read the workflow",
		                    reader->file);
	*ret = (struct pa_text){
	    .file = reader->file, .text = pa_arena_strdup(reader->arena, text), .bytes = strlen(text)};
	free(text);
	return 0;
}

int pa_catalog_read_workflow(struct pa_arena *arena, const char *file, const json_t *root,
                             struct pa_catalog_import *ret, struct pa_error *err)
{
	const json_t *metadata = json_object_get(root, "metadata");
	const char *generated = text_of(metadata, "generateName");
	const char *name = text_of(metadata, "name");
	struct reader reader = {.arena = arena, .file = file, .err = err};
	struct pa_catalog_import import = {.pipeline = {.format = PA_FORMAT_ARGO, .file = file}};
	struct pa_text text;

	/* Runs of one definition share the name that theirs were generated from. */
	import.pipeline.name = pa_arena_strdup(arena, generated[0] != '\0' ? generated : name);
	if (import.pipeline.name[0] == '\0')
		return pa_error_set(err, PA_ERROR_INPUT, "%s: the workflow has no name; give one with --name",
		                    file);
	int result = write_text(&reader, root, &text);
	if (result < 0)
		return result;
	reader.by_id = json_object();
	result = read_all(&reader, &text, &import);
	json_decref(reader.by_id);
	if (result == 0)
		*ret = import;
	return result;
}
