/* SPDX-License-Identifier: Apache-2.0 */
/* Where each fact about one task came from.  Looks at what the steps before it made; of data, pa_data_sets says it. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

#define LIST_BYTES 300 /* of several values that are one fact */

struct explaining {
	struct argo_analysis *analysis;
	struct argo_place *place;
	struct argo_instance *instance;
	const struct pa_template *template; /* NULL: unresolved */
	const struct pa_node *body;         /* of the template: its container, script, …; or NULL */
	const struct pa_task *task;
};

#define FACT(explaining, at, what, ...)                                                                      \
	pa_findings_fact(&(explaining)->analysis->findings, (explaining)->task->id, at, what, err,           \
	                 __VA_ARGS__)

/* Adds ", text" to a list that is cut at its end. */
static void add_to_list(char *list, const char *text)
{
	size_t length = strlen(list);

	snprintf(list + length, LIST_BYTES - length, "%s%s", length > 0 ? ", " : "", text);
}

static const char *or_nothing(const char *text)
{
	return text == NULL ? "-" : text;
}

/* The calls on the way from the entrypoint. */
static int explain_calls(const struct explaining *explaining, const struct argo_place *place,
                         struct pa_error *err)
{
	const struct argo_place *around = place->scope->caller;
	const struct pa_template *template = place->inside == NULL ? NULL : place->inside->template;
	int rc = around == NULL ? 0 : explain_calls(explaining, around, err);

	if (rc < 0)
		return rc;
	const char *name =
	    template != NULL && template->name != NULL ? template->name : explaining->task->template_name;
	if (around == NULL && place->kind == ARGO_CALL)
		return FACT(explaining, place->call->node, "entrypoint", "%s", place->call->key);
	return FACT(explaining, place->call->node, "call", "'%s' calls %s", place->call->key, name);
}

static int explain_template(const struct explaining *explaining, struct pa_error *err)
{
	const struct pa_task *task = explaining->task;
	const struct pa_container *container = &explaining->template->container;
	int rc = FACT(explaining, explaining->template->node, "template", "%s", task->template_name);

	if (rc == 0)
		rc = FACT(explaining, explaining->body, "kind", "%s", pa_task_kind_name(task->kind));
	if (rc == 0 && container->image != NULL)
		rc = FACT(explaining, pa_node_get(container->node, "image"), "image", "%s", task->image);
	for (size_t i = 0; i < task->command_count && rc == 0; i++)
		rc = FACT(explaining, pa_node_get(container->node, "command"), "command", "%s",
		          task->command[i]);
	for (size_t i = 0; i < task->arg_count && rc == 0; i++)
		rc = FACT(explaining, pa_node_get(container->node, "args"), "argument", "%s", task->args[i]);
	return rc;
}

/* The argument of the call, else the template's own input. */
static const struct pa_node *input_position(const struct explaining *explaining, size_t index)
{
	const struct argo_instance *instance = explaining->instance;
	const struct pa_call *call = explaining->place->call;
	const struct pa_template *template = explaining->template;

	if (template == NULL)
		return index < call->parameter_count ? call->parameters[index].node
		                                     : call->artifacts[index - call->parameter_count].node;
	if (index < template->input_parameter_count)
		return instance->arguments[index] != NULL ? instance->arguments[index]->node
		                                          : template->input_parameters[index].node;
	index -= template->input_parameter_count;
	return instance->artifact_arguments[index] != NULL ? instance->artifact_arguments[index]->node
	                                                   : template->input_artifacts[index].node;
}

static int explain_inputs(const struct explaining *explaining, struct pa_error *err)
{
	const struct pa_task *task = explaining->task;
	int rc = 0;

	for (size_t i = 0; i < task->input_count && rc == 0; i++)
		rc = pa_findings_input(&explaining->analysis->findings, task->id,
		                       input_position(explaining, i), &task->inputs[i], err);
	return rc;
}

static int explain_outputs(const struct explaining *explaining, struct pa_error *err)
{
	struct pa_arena *arena = explaining->analysis->findings.budget.arena;
	const struct pa_template *template = explaining->template;
	int rc = 0;

	for (size_t i = 0; i < template->output_parameter_count && rc == 0; i++) {
		const struct pa_parameter *parameter = &template->output_parameters[i];
		rc = FACT(explaining, parameter->node, pa_arena_printf(arena, "output %s", parameter->name),
		          "parameter %s", or_nothing(parameter->from_path));
	}
	for (size_t i = 0; i < template->output_artifact_count && rc == 0; i++) {
		const struct pa_artifact *artifact = &template->output_artifacts[i];
		rc = FACT(explaining, artifact->node, pa_arena_printf(arena, "output %s", artifact->name),
		          "artifact %s", or_nothing(artifact->path));
	}
	return rc;
}

static void list_tasks(const struct explaining *explaining, const struct pa_task_set *set, char *list)
{
	list[0] = '\0';
	for (size_t i = 0; i < set->count && strlen(list) + 3 < LIST_BYTES; i++)
		add_to_list(list, explaining->analysis->models[set->tasks[i]].id);
}

/* Why a call waits for another one of its template, and where that is written. */
static const char *wait_reason(const struct pa_call *call, const struct pa_call *other,
                               const struct pa_node **ret_at)
{
	const struct pa_node *list = pa_node_get(call->node, "dependencies");

	for (size_t i = 0; i < call->dependency_count; i++) {
		if (strcmp(call->dependencies[i], other->key) == 0) {
			*ret_at = list->items[i];
			return "dependencies";
		}
	}
	if (call->depends != NULL && strstr(call->depends, other->key) != NULL) {
		*ret_at = pa_node_get(call->node, "depends");
		return "depends";
	}
	*ret_at = call->node;
	return "a reference to its outputs";
}

static int explain_waits(const struct explaining *explaining, const struct argo_place *place, size_t index,
                         struct pa_error *err)
{
	const struct argo_instance *scope = place->scope;
	const struct pa_call_waits *waits = &scope->graph->waits[index];
	char list[LIST_BYTES];
	int rc = 0;

	for (size_t i = 0; i < waits->count && rc == 0; i++) {
		const struct argo_place *other = &scope->places[waits->calls[i]];
		const struct pa_node *at;
		const char *reason = wait_reason(place->call, other->call, &at);
		list_tasks(explaining, other->ends, list);
		rc = FACT(explaining, at, "after", "%s: %s of '%s' on '%s'", list, reason, place->call->key,
		          other->call->key);
	}
	return rc;
}

/* Order comes from the innermost call that waits for something. */
static int explain_order(const struct explaining *explaining, struct pa_error *err)
{
	const struct argo_place *place = explaining->place;
	char list[LIST_BYTES];

	list_tasks(explaining, explaining->place->before, list);
	for (; place != NULL; place = place->scope->caller) {
		const struct argo_instance *scope = place->scope;
		size_t index = (size_t)(place - scope->places);
		if (place->kind != ARGO_CALL)
			return FACT(explaining, place->call->node, "after", "%s: %s",
			            or_nothing(*list == '\0' ? NULL : list),
			            place->kind == ARGO_EXIT ? "an exit handler, which runs at the end"
			                                     : "a hook");
		if (scope->template == NULL)
			break;
		if (scope->graph->waits[index].count > 0) {
			int rc = explain_waits(explaining, place, index, err);
			if (rc < 0 || scope->template->kind != PA_TEMPLATE_STEPS)
				return rc;
		}
		if (scope->template->kind == PA_TEMPLATE_STEPS && place->call->group > 0)
			return FACT(explaining, place->call->node, "after",
			            "%s: the group of steps before '%s'", list, place->call->key);
	}
	return FACT(explaining, NULL, "after", "%s", "nothing: it starts with the workflow");
}

static const struct pa_volume_mount *find_mount(const struct pa_container *containers, size_t count,
                                                const char *volume)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < containers[i].mount_count; j++) {
			if (strcmp(containers[i].mounts[j].volume, volume) == 0)
				return &containers[i].mounts[j];
		}
	}
	return NULL;
}

static int explain_mounts(const struct explaining *explaining, const struct argo_task *facts,
                          struct pa_error *err)
{
	struct pa_arena *arena = explaining->analysis->findings.budget.arena;
	const struct pa_template *template = explaining->template;
	int rc = 0;

	for (size_t i = 0; i < explaining->task->mount_count && rc == 0; i++) {
		const struct pa_task_mount *mount = &explaining->task->mounts[i];
		const struct pa_volume *volume = facts->mount_volumes[i];
		const struct pa_volume_mount *written = find_mount(&template->container, 1, mount->volume);
		const char *what = pa_arena_printf(arena, "mount %s", mount->path);
		if (written == NULL)
			written = find_mount(template->init_containers, template->init_container_count,
			                     mount->volume);
		if (written == NULL)
			written = find_mount(template->sidecars, template->sidecar_count, mount->volume);
		rc = FACT(explaining, written == NULL ? template->node : written->node, what, "volume %s%s",
		          mount->volume, mount->read_only ? ", read only" : "");
		if (rc == 0 && volume != NULL)
			rc = FACT(explaining, volume->node, what, "%s%s%s%s%s", mount->kind,
			          mount->claim == NULL ? "" : ", claim ",
			          mount->claim == NULL ? "" : mount->claim,
			          mount->created_by == NULL ? "" : ", made by ",
			          mount->created_by == NULL ? "" : mount->created_by);
	}
	return rc;
}

static int explain_loop(const struct explaining *explaining, const struct argo_place *place,
                        struct pa_error *err)
{
	static const char *const keys[] = {"withItems", "withParam", "withSequence", "withExpression"};
	struct pa_arena *arena = explaining->analysis->findings.budget.arena;
	const struct pa_loop *loop = place->loop;
	const struct pa_node *at = place->call->node;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (pa_node_get(place->call->node, keys[i]) != NULL)
			at = pa_node_get(place->call->node, keys[i]);
	}
	const char *items = loop->items < 0 ? "only a run knows how many"
	                                    : pa_arena_printf(arena, "%lld", (long long)loop->items);
	if (loop->from_task == NULL)
		return FACT(explaining, at, "loop", "items: %s", items);
	return FACT(explaining, at, "loop", "items: %s, output %s of task %s", items, loop->from_output,
	            loop->from_task);
}

/* Conditions and loops of the call and of all calls around it. */
static int explain_ways(const struct explaining *explaining, struct pa_error *err)
{
	int rc = 0;

	for (const struct argo_place *place = explaining->place; place != NULL && rc == 0;
	     place = place->scope->caller) {
		const char *key = place->kind == ARGO_CALL ? "when" : "expression";
		if (place->call->when != NULL)
			rc = FACT(explaining, pa_node_get(place->call->node, key), "condition", "%s",
			          place->call->when);
		if (rc == 0 && place->has_loop)
			rc = explain_loop(explaining, place, err);
	}
	return rc;
}

static int explain_resource(const struct explaining *explaining, const char *what, const char *key,
                            const char *value, struct pa_error *err)
{
	const struct pa_node *resources = pa_node_get(explaining->template->container.node, "resources");
	const struct pa_node *at = pa_node_get(pa_node_get(resources, "limits"), key);

	if (value == NULL)
		return 0;
	if (at == NULL)
		at = pa_node_get(pa_node_get(resources, "requests"), key);
	return FACT(explaining, at, what, "%s", value);
}

static int explain_settings(const struct explaining *explaining, struct pa_error *err)
{
	const struct pa_task *task = explaining->task;
	const struct pa_node *node = explaining->template->node;
	const struct pa_node *retry = pa_node_get(node, "retryStrategy");
	int rc = 0;

	if (retry == NULL)
		retry = explaining->analysis->workflow->default_retry;
	if (explaining->template->has_retry)
		rc = FACT(explaining, retry, "retries", "%lld%s", (long long)task->retries,
		          task->retries < 0 ? " (no limit that the file gives)" : "");
	if (rc == 0)
		rc = explain_resource(explaining, "cpu", "cpu", task->resources.cpu, err);
	if (rc == 0)
		rc = explain_resource(explaining, "memory", "memory", task->resources.memory, err);
	if (rc == 0 && task->resources.accelerator != NULL)
		rc = explain_resource(explaining, task->resources.accelerator, task->resources.accelerator,
		                      or_nothing(task->resources.accelerator_count), err);
	if (rc == 0)
		rc = FACT(explaining, argo_caching_position(explaining->template), "caching", "%s",
		          task->caching ? "on" : "off");
	return rc;
}

static int explain_hyperparameters(const struct explaining *explaining, struct pa_error *err)
{
	struct pa_arena *arena = explaining->analysis->findings.budget.arena;
	const struct pa_task *task = explaining->task;
	const struct pa_node *at = argo_hyperparameter_position(explaining->template);
	int rc = 0;

	if (at == NULL)
		at = explaining->place->call->node;
	for (size_t i = 0; i < task->hyperparameter_count && rc == 0; i++)
		rc = FACT(explaining, at,
		          pa_arena_printf(arena, "hyper-parameter %s", task->hyperparameters[i].name), "%s",
		          task->hyperparameters[i].value);
	return rc;
}

static const struct pa_node *body_of(const struct pa_template *template)
{
	static const char *const keys[] = {"container", "script", "resource", "containerSet",
	                                   "suspend",   "http",   "plugin",   "data"};

	for (size_t i = 0; template != NULL && i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (pa_node_get(template->node, keys[i]) != NULL)
			return pa_node_get(template->node, keys[i]);
	}
	return template == NULL ? NULL : template->node;
}

int argo_explain(struct argo_analysis *analysis, struct pa_error *err)
{
	const char *id = analysis->findings.explain;
	size_t index = id == NULL ? SIZE_MAX : pa_name_table_get(analysis->task_index, id);

	if (index == SIZE_MAX)
		return 0;
	struct argo_place *place = analysis->tasks[index].place;
	struct explaining explaining = {.analysis = analysis,
	                                .place = place,
	                                .instance = place->inside,
	                                .template = place->inside->template,
	                                .body = body_of(place->inside->template),
	                                .task = &analysis->models[index]};
	int rc = explain_calls(&explaining, place, err);
	if (rc == 0 && explaining.template != NULL)
		rc = explain_template(&explaining, err);
	if (rc == 0)
		rc = explain_order(&explaining, err);
	if (rc == 0)
		rc = explain_ways(&explaining, err);
	if (rc == 0)
		rc = explain_inputs(&explaining, err);
	if (rc < 0 || explaining.template == NULL)
		return rc;
	rc = explain_outputs(&explaining, err);
	if (rc == 0)
		rc = explain_mounts(&explaining, &analysis->tasks[index], err);
	if (rc == 0)
		rc = explain_hyperparameters(&explaining, err);
	return rc < 0 ? rc : explain_settings(&explaining, err);
}
