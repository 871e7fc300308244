/* SPDX-License-Identifier: Apache-2.0 */
/* Argo Workflows that have ended: status.nodes holds what ran, when, and what followed what.
 *
 * A task's id is made as the analysis makes it: the names of the nodes on the way from the entrypoint,
 * joined by '/'. Pods are tasks; the nodes of DAGs, steps, groups and retries show only in ids and edges.
 */
#include "catalog/catalog_internal.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"

#define MAX_DEPTH 64 /* of templates in templates */
#define MAX_NODES 100000

struct node {
	const json_t *json;
	const char *type, *label,
	    *instance;   /* label: the display name without "(0:item)", which is the instance */
	size_t boundary; /* index of the template's node; SIZE_MAX: none */
	bool task;
	const char *task_id;
	size_t seen; /* the task whose followers were looked for last, from 1 */
};

struct reader {
	struct pa_arena *arena;
	const char *file;
	struct pa_error *err;
	struct node *nodes;
	size_t count;
	json_t *index; /* node id → number */
	const char *workflow_name;
	size_t *stack; /* of a walk over nodes; each is pushed once */
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

static size_t find_node(const struct reader *reader, const char *id)
{
	const json_t *number = json_object_get(reader->index, id);

	return number == NULL ? SIZE_MAX : (size_t)json_integer_value(number);
}

/* KFP v2 runs a driver before each task, and the task in a node "executor" below the task's own. */
static bool is_driver(const struct node *node)
{
	const char *template_name = text_of(node->json, "templateName");

	return strncmp(template_name, "system-", 7) == 0 && strstr(template_name, "driver") != NULL;
}

static void read_node(struct reader *reader, const json_t *json, struct node *node)
{
	const char *label = text_of(json, "displayName");
	size_t length = strcspn(label, "(");

	node->json = json;
	node->type = text_of(json, "type");
	node->label = pa_arena_strndup(reader->arena, label, length);
	node->instance = pa_arena_strdup(reader->arena, label + length);
	node->task = strcmp(node->type, "Pod") == 0 && !is_driver(node);
}

static int read_nodes(struct reader *reader, const json_t *nodes)
{
	const char *id;
	json_t *json;

	if (json_object_size(nodes) > MAX_NODES)
		return pa_error_set(reader->err, PA_ERROR_INPUT,
		                    "%s: status.nodes has more than the limit of %d nodes", reader->file,
		                    MAX_NODES);
	reader->nodes = pa_arena_array(reader->arena, json_object_size(nodes), sizeof(*reader->nodes));
	reader->stack = pa_arena_array(reader->arena, json_object_size(nodes), sizeof(*reader->stack));
	json_object_foreach((json_t *)nodes, id, json)
	{
		json_object_set_new(reader->index, id, json_integer((json_int_t)reader->count));
		read_node(reader, json, &reader->nodes[reader->count++]);
	}
	for (size_t i = 0; i < reader->count; i++)
		reader->nodes[i].boundary = find_node(reader, text_of(reader->nodes[i].json, "boundaryID"));
	return 0;
}

/* "A.hooks.running" is the hook of task A; "NAME.onExit" the exit handler. */
static const char *step_of(struct reader *reader, const struct node *node)
{
	const char *hook = strstr(node->label, ".hooks.");
	size_t name = strlen(reader->workflow_name);

	if (node->boundary != SIZE_MAX && hook != NULL)
		return pa_arena_printf(reader->arena, "%.*s/%s", (int)(hook - node->label), node->label,
		                       hook + 1);
	if (node->boundary == SIZE_MAX && strncmp(node->label, reader->workflow_name, name) == 0 &&
	    node->label[name] == '.')
		return node->label + name + 1;
	return node->label;
}

/* The id, with the loops that the task is inside of before its own item. */
static int name_task(struct reader *reader, struct node *node)
{
	const char *id = "";
	size_t depth = 0;

	for (const struct node *at = node;; at = &reader->nodes[at->boundary]) {
		bool root = at->boundary == SIZE_MAX && strcmp(at->label, reader->workflow_name) == 0;
		bool executor = at == node && strcmp(at->label, "executor") == 0 && at->boundary != SIZE_MAX;
		bool kfp_root = strcmp(at->label, "root") == 0 && at != node;
		if (depth++ > MAX_DEPTH)
			return pa_error_set(reader->err, PA_ERROR_INPUT,
			                    "%s: node \"%s\" is nested deeper than the limit of %d",
			                    reader->file, text_of(node->json, "name"), MAX_DEPTH);
		if (!root && !executor && !kfp_root)
			id = pa_arena_printf(reader->arena, "%s%s%s", step_of(reader, at),
			                     id[0] == '\0' ? "" : "/", id);
		if (at != node && at->instance[0] != '\0')
			node->instance = pa_arena_printf(reader->arena, "%s%s", at->instance, node->instance);
		if (at->boundary == SIZE_MAX)
			break;
	}
	/* An entrypoint that runs something itself has its template's name. */
	node->task_id =
	    id[0] != '\0' ? id : pa_arena_strdup(reader->arena, text_of(node->json, "templateName"));
	if (node->task_id[0] == '\0')
		return pa_error_set(reader->err, PA_ERROR_INPUT, "%s: node \"%s\" of type Pod has no name",
		                    reader->file, text_of(node->json, "name"));
	return 0;
}

static size_t task_number(const json_t *by_id, const char *id)
{
	return (size_t)json_integer_value(json_object_get(by_id, id));
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

/* The tasks that are first on the ways on from a node: its followers. */
static void add_followers(struct reader *reader, size_t from, struct pa_pipeline *pipeline,
                          const json_t *by_id, size_t *capacities)
{
	size_t depth = 0;

	reader->stack[depth++] = from;
	while (depth > 0) {
		const struct node *node = &reader->nodes[reader->stack[--depth]];
		const json_t *children = json_object_get(node->json, "children");
		for (size_t i = 0; i < json_array_size(children); i++) {
			const char *name = json_string_value(json_array_get(children, i));
			size_t child = name == NULL ? SIZE_MAX : find_node(reader, name);
			if (child == SIZE_MAX || reader->nodes[child].seen == from + 1)
				continue;
			reader->nodes[child].seen = from + 1;
			if (reader->nodes[child].task) {
				size_t number = task_number(by_id, reader->nodes[child].task_id);
				add_after(reader, &pipeline->tasks[number], &capacities[number],
				          reader->nodes[from].task_id);
			} else {
				reader->stack[depth++] = child;
			}
		}
	}
}

static void read_tasks(struct reader *reader, struct pa_pipeline *pipeline)
{
	json_t *by_id = json_object();
	size_t *capacities = pa_arena_array(reader->arena, reader->count, sizeof(*capacities));

	pipeline->tasks = pa_arena_array(reader->arena, reader->count, sizeof(*pipeline->tasks));
	for (size_t i = 0; i < reader->count; i++) {
		const struct node *node = &reader->nodes[i];
		if (!node->task || json_object_get(by_id, node->task_id) != NULL)
			continue;
		bool exit = strncmp(node->task_id, "onExit", 6) == 0;
		bool hook = strstr(node->task_id, "hooks.") != NULL;
		json_object_set_new(by_id, node->task_id, json_integer((json_int_t)pipeline->task_count));
		pipeline->tasks[pipeline->task_count++] = (struct pa_task){
		    .id = node->task_id,
		    .template_name = pa_arena_strdup(reader->arena, text_of(node->json, "templateName")),
		    .kind = PA_TASK_CONTAINER,
		    .role = hook   ? PA_ROLE_HOOK
		            : exit ? PA_ROLE_EXIT
		                   : PA_ROLE_MAIN,
		    .image = "",
		};
	}
	for (size_t i = 0; i < reader->count; i++)
		if (reader->nodes[i].task)
			add_followers(reader, i, pipeline, by_id, capacities);
	json_decref(by_id);
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
	struct pa_task_run *tasks = pa_arena_array(reader->arena, reader->count, sizeof(*tasks));
	size_t count = 0;

	for (size_t i = 0; i < reader->count; i++) {
		const struct node *node = &reader->nodes[i];
		if (!node->task)
			continue;
		tasks[count++] = (struct pa_task_run){
		    .task_id = node->task_id,
		    .instance = node->instance,
		    .outcome = outcome_of(text_of(node->json, "phase")),
		    .ready_s = NAN,
		    .start_s = seconds_after(run->started_wall_ms, text_of(node->json, "startedAt")),
		    .end_s = seconds_after(run->started_wall_ms, text_of(node->json, "finishedAt")),
		    .predicted_start_s = NAN,
		    .predicted_end_s = NAN,
		    .stall_s = NAN,
		};
	}
	run->tasks = tasks;
	run->task_count = count;
}

static int read_status(struct reader *reader, const json_t *status, struct pa_run_record *run)
{
	const char *phase = text_of(status, "phase");

	if (json_object_get(status, "nodes") == NULL && json_object_get(status, "compressedNodes") != NULL)
		return pa_error_set(
		    reader->err, PA_ERROR_INPUT,
		    "%s: the workflow's nodes are compressed; \"argo get NAME -o json\" writes them out",
		    reader->file);
	if (json_object_get(status, "nodes") == NULL &&
	    json_object_get(status, "offloadNodeStatusVersion") != NULL)
		return pa_error_set(
		    reader->err, PA_ERROR_INPUT,
		    "%s: the workflow's nodes are kept in Argo's database; \"argo get NAME -o json\" "
		    "fetches them",
		    reader->file);
	if (strcmp(phase, "Succeeded") != 0 && strcmp(phase, "Failed") != 0 && strcmp(phase, "Error") != 0)
		return pa_error_set(reader->err, PA_ERROR_INPUT,
		                    "%s: workflow \"%s\" has not ended (phase \"%s\"); import it when it has",
		                    reader->file, reader->workflow_name, phase);
	if (!pa_catalog_parse_time(text_of(status, "startedAt"), &run->started_wall_ms))
		return pa_error_set(reader->err, PA_ERROR_INPUT,
		                    "%s: workflow \"%s\" has no status.startedAt", reader->file,
		                    reader->workflow_name);
	run->mode = "imported";
	run->outcome = strcmp(phase, "Succeeded") == 0 ? "succeeded" : "failed";
	run->makespan_s = seconds_after(run->started_wall_ms, text_of(status, "finishedAt"));
	run->stall_s = NAN;
	return 0;
}

static int read_all(struct reader *reader, const json_t *root, struct pa_catalog_import *import)
{
	const json_t *status = json_object_get(root, "status");
	int result = read_status(reader, status, &import->run);

	if (result == 0)
		result = read_nodes(reader, json_object_get(status, "nodes"));
	for (size_t i = 0; result == 0 && i < reader->count; i++)
		if (reader->nodes[i].task)
			result = name_task(reader, &reader->nodes[i]);
	if (result < 0)
		return result;
	read_tasks(reader, &import->pipeline);
	read_task_runs(reader, &import->run);
	if (import->run.task_count == 0)
		return pa_error_set(reader->err, PA_ERROR_INPUT,
		                    "%s: no pod ran in workflow \"%s\"; there is nothing to "
		                    "learn from it",
		                    reader->file, reader->workflow_name);
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

	/* Runs of one definition share the name that theirs were generated from. */
	import.pipeline.name = pa_arena_strdup(arena, generated[0] != '\0' ? generated : name);
	if (import.pipeline.name[0] == '\0')
		return pa_error_set(err, PA_ERROR_INPUT, "%s: the workflow has no name; give one with --name",
		                    file);
	reader.workflow_name = pa_arena_strdup(arena, name);
	reader.index = json_object();
	int result = read_all(&reader, root, &import);
	json_decref(reader.index);
	if (result == 0)
		*ret = import;
	return result;
}
