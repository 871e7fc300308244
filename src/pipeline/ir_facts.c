/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about the task that is explained, and where.  Runs once all else is worked out. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_analysis_internal.h"

struct explaining {
	struct ir_analysis *analysis;
	const struct ir_task *source;
	const struct pa_task *task;
	const struct ir_place *place;
	const struct pa_node *container; /* or NULL */
};

#define FACT(explaining, at, what, ...)                                                                      \
	pa_findings_fact((explaining)->analysis->findings, (explaining)->task->id, at, what, err, __VA_ARGS__)

/* The map under the call's key: what the file says of the task. */
static const struct pa_node *call_node(const struct ir_place *place)
{
	const struct pa_node *tasks = pa_node_path(place->parent->component->node, "dag.tasks");

	return pa_node_get(tasks, place->call->key);
}

/* The calls on the way from the root, with what each says of loops and conditions. */
static int explain_calls(const struct explaining *explaining, const struct ir_place *place,
                         struct pa_error *err)
{
	if (place->call == NULL)
		return 0;
	const struct ir_call *call = place->call;
	const struct pa_node *node = call_node(place);
	int rc = explain_calls(explaining, place->parent, err);

	if (rc == 0)
		rc = FACT(explaining, call->node, "call", "'%s' runs %s", call->key, call->component);
	if (rc == 0 && call->condition != NULL)
		rc = FACT(explaining, pa_node_path(node, "triggerPolicy.condition"), "condition", "%s",
		          call->condition);
	if (rc == 0 && call->runs_regardless)
		rc = FACT(explaining, pa_node_path(node, "triggerPolicy.strategy"), "role",
		          "%s: it runs whatever became of the tasks before it",
		          pa_task_role_name(place->role));
	if (rc < 0 || place->loop_place != place)
		return rc;
	const struct pa_loop *loop = place->loop;
	node = pa_node_get(node, call->loop_artifact ? "artifactIterator" : "parameterIterator");
	if (loop->items >= 0)
		rc = FACT(explaining, node, "loop", "%lld items", (long long)loop->items);
	else
		rc = FACT(explaining, node, "loop", "over %s: only a run knows how many items",
		          call->loop_list == NULL ? "a list" : call->loop_list);
	if (rc == 0 && loop->from_task != NULL)
		rc = FACT(explaining, node, "loop", "the list is output %s of %s", loop->from_output,
		          loop->from_task);
	return rc;
}

static int explain_command(const struct explaining *explaining, const char *key, const char *what,
                           const char **texts, size_t count, struct pa_error *err)
{
	const struct pa_node *list = pa_node_get(explaining->container, key);
	/* Structures may have become several elements. */
	bool parallel = list != NULL && list->count == count;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = FACT(explaining, parallel ? list->items[i] : list, what, "%s", texts[i]);
	return rc;
}

static int explain_executor(const struct explaining *explaining, struct pa_error *err)
{
	const struct ir_named_node *executor = explaining->source->executor;
	const struct pa_task *task = explaining->task;
	const struct ir_component *component = explaining->place->component;
	int rc = 0;

	if (component != NULL)
		rc = FACT(explaining, component->node, "component", "%s", component->name);
	if (rc < 0 || executor == NULL)
		return rc;
	rc = FACT(explaining, executor->node, "executor", "%s", executor->name);
	if (rc == 0)
		rc = FACT(explaining, executor->node, "kind", "%s", pa_task_kind_name(task->kind));
	if (rc == 0 && task->image[0] != '\0') {
		const struct pa_node *at = pa_node_get(explaining->container, "image");
		rc = FACT(explaining, at != NULL ? at : pa_node_get(explaining->container, "imageUri"),
		          "image", "%s", task->image);
	}
	if (rc == 0)
		rc = explain_command(explaining, "command", "command", task->command, task->command_count,
		                     err);
	if (rc == 0)
		rc = explain_command(explaining, "args", "argument", task->args, task->arg_count, err);
	return rc;
}

static const struct pa_node *input_node(const struct ir_place *place, const char *name, bool artifact)
{
	size_t index = ir_find_input(place, name, artifact);

	if (index == SIZE_MAX)
		return NULL;
	const struct ir_input *input = &place->inputs[index];
	return input->argument != NULL ? input->argument->node : input->definition->node;
}

static int explain_inputs(const struct explaining *explaining, struct pa_error *err)
{
	const struct pa_task *task = explaining->task;
	int rc = 0;

	for (size_t i = 0; i < task->input_count && rc == 0; i++) {
		const struct pa_input *input = &task->inputs[i];
		const struct pa_node *at = input_node(explaining->place, input->name, input->artifact);
		rc = pa_findings_input(explaining->analysis->findings, task->id, at, input, err);
	}
	return rc;
}

static int explain_outputs(const struct explaining *explaining, struct pa_error *err)
{
	const struct ir_component *component = explaining->place->component;
	struct pa_arena *arena = explaining->analysis->budget->arena;
	int rc = 0;

	for (size_t i = 0; component != NULL && i < component->output_count && rc == 0; i++) {
		const struct ir_definition *output = &component->outputs[i];
		rc = FACT(explaining, output->node, pa_arena_printf(arena, "output %s", output->name),
		          "%s%s%s", output->artifact ? "artifact" : "parameter",
		          output->type == NULL ? "" : " of type ", output->type == NULL ? "" : output->type);
	}
	return rc;
}

/* Why a call waits for another of its DAG. */
static int explain_wait(const struct explaining *explaining, const struct ir_place *place, const char *key,
                        struct pa_error *err)
{
	const struct ir_call *call = place->call;

	for (uint32_t i = 0; call->dependencies != NULL && i < call->dependencies->count; i++) {
		if (strcmp(call->dependencies->items[i]->text, key) == 0)
			return FACT(explaining, call->dependencies->items[i], "after",
			            "what ends '%s': '%s' names it in dependentTasks", key, call->key);
	}
	for (size_t i = 0; i < call->argument_count; i++) {
		const struct ir_argument *argument = &call->arguments[i];
		if (argument->producer != NULL && strcmp(argument->producer, key) == 0)
			return FACT(explaining, argument->node, "after",
			            "what ends '%s': the input %s of '%s' comes from it", key, argument->name,
			            call->key);
	}
	return 0;
}

/* What the task's own call waits for, else the first call around it that waits. */
static int explain_order(const struct explaining *explaining, struct pa_error *err)
{
	const struct ir_place *place = explaining->place;
	const struct pa_task *task = explaining->task;
	int rc = 0;

	for (; place->call != NULL; place = place->parent) {
		const struct ir_component *component = place->parent->component;
		const struct pa_call_waits *waits = &component->waits[place->call - component->calls];
		for (size_t i = 0; i < waits->count && rc == 0; i++)
			rc = explain_wait(explaining, place, component->calls[waits->calls[i]].key, err);
		if (rc < 0 || waits->count > 0)
			break;
	}
	for (size_t i = 0; i < task->after_count && rc == 0; i++)
		rc = FACT(explaining, NULL, "after", "%s", task->after[i]);
	return rc;
}

static int explain_mounts(const struct explaining *explaining, struct pa_error *err)
{
	struct pa_arena *arena = explaining->analysis->budget->arena;
	const struct pa_task *task = explaining->task;
	int rc = 0;

	for (size_t i = 0; i < task->mount_count && rc == 0; i++) {
		const struct pa_task_mount *mount = &task->mounts[i];
		rc = FACT(explaining, explaining->source->mount_nodes[i],
		          pa_arena_printf(arena, "mount %s", mount->path), "%s %s%s%s", mount->kind,
		          mount->claim != NULL ? mount->claim : mount->volume,
		          mount->created_by == NULL ? "" : ", created by ",
		          mount->created_by == NULL ? "" : mount->created_by);
	}
	return rc;
}

static int explain_settings(const struct explaining *explaining, struct pa_error *err)
{
	const struct pa_node *resources = pa_node_get(explaining->container, "resources");
	struct pa_arena *arena = explaining->analysis->budget->arena;
	const struct pa_task *task = explaining->task;
	const struct pa_node *call = explaining->place->call == NULL ? NULL : call_node(explaining->place);
	int rc = 0;

	for (size_t i = 0; i < task->hyperparameter_count && rc == 0; i++)
		rc = FACT(explaining, input_node(explaining->place, task->hyperparameters[i].name, false),
		          pa_arena_printf(arena, "hyper-parameter %s", task->hyperparameters[i].name), "%s",
		          task->hyperparameters[i].value);
	if (rc == 0 && task->retries != 0)
		rc = FACT(explaining, pa_node_path(call, "retryPolicy.maxRetryCount"), "retries", "%lld",
		          (long long)task->retries);
	if (rc == 0)
		rc = FACT(explaining, pa_node_get(call, "cachingOptions"), "caching", "%s",
		          task->caching ? "on" : "off: cachingOptions.enableCache is not true");
	if (rc == 0 && task->resources.cpu != NULL)
		rc = FACT(explaining, resources, "cpu", "%s", task->resources.cpu);
	if (rc == 0 && task->resources.memory != NULL)
		rc = FACT(explaining, resources, "memory", "%s", task->resources.memory);
	if (rc == 0 && task->resources.accelerator != NULL)
		rc = FACT(explaining, pa_node_get(resources, "accelerator"), "accelerator", "%s%s%s",
		          task->resources.accelerator,
		          task->resources.accelerator_count == NULL ? "" : ", count ",
		          task->resources.accelerator_count == NULL ? "" : task->resources.accelerator_count);
	return rc;
}

int ir_fill_facts(struct ir_analysis *analysis, struct pa_error *err)
{
	size_t index = analysis->findings->explain == NULL
	                   ? SIZE_MAX
	                   : pa_name_table_get(analysis->task_index, analysis->findings->explain);

	if (index == SIZE_MAX)
		return 0;
	struct explaining explaining = {.analysis = analysis,
	                                .source = &analysis->tasks[index],
	                                .task = &analysis->models[index],
	                                .place = analysis->tasks[index].place,
	                                .container = ir_container(&analysis->tasks[index])};
	int rc = explain_calls(&explaining, explaining.place, err);
	if (rc == 0)
		rc = explain_executor(&explaining, err);
	if (rc == 0)
		rc = explain_order(&explaining, err);
	if (rc == 0)
		rc = explain_inputs(&explaining, err);
	if (rc == 0)
		rc = explain_outputs(&explaining, err);
	if (rc == 0)
		rc = explain_mounts(&explaining, err);
	return rc < 0 ? rc : explain_settings(&explaining, err);
}
