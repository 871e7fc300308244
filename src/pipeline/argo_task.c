/* SPDX-License-Identifier: Apache-2.0 */
/* A template and its call, as a task of the model: command, inputs, outputs, loop, settings. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

#define ARGUMENTS_ANNOTATION "pipelines.kubeflow.org/arguments.parameters"
#define CACHING_LABEL        "pipelines.kubeflow.org/enable_caching"
#define STALENESS_ANNOTATION "pipelines.kubeflow.org/max_cache_staleness"

struct filling {
	struct argo_analysis *analysis;
	struct argo_place *place;
	struct argo_instance *instance;
	const struct pa_template *template; /* NULL: unresolved */
	struct pa_task *task;
};

static int expand_texts(struct filling *filling, const char **texts, size_t count, const char ***ret,
                        size_t *ret_count, struct pa_error *err)
{
	struct pa_arena *arena = filling->analysis->budget.arena;
	int rc = argo_budget_check(&filling->analysis->budget, count * sizeof(char *),
	                           filling->place->call->node, err);

	if (rc < 0)
		return rc;
	const char **filled = pa_arena_array(arena, count, sizeof(*filled));
	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = argo_expand(filling->analysis, filling->instance, texts[i], &filled[i], err);
		if (rc == 0)
			rc =
			    argo_budget_check(&filling->analysis->budget, 0, filling->place->call->node, err);
	}
	*ret = filled;
	*ret_count = count;
	return rc;
}

static int fill_command(struct filling *filling, struct pa_error *err)
{
	const struct pa_container *container = &filling->template->container;
	struct pa_task *task = filling->task;
	int rc = expand_texts(filling, container->command, container->command_count, &task->command,
	                      &task->command_count, err);

	if (rc == 0)
		rc = expand_texts(filling, container->args, container->arg_count, &task->args,
		                  &task->arg_count, err);
	if (rc == 0 && container->image != NULL)
		rc = argo_expand(filling->analysis, filling->instance, container->image, &task->image, err);
	return rc;
}

static int fill_inputs(struct filling *filling, struct pa_error *err)
{
	const struct pa_template *template = filling->template;
	struct pa_task *task = filling->task;
	size_t count = template->input_parameter_count + template->input_artifact_count;
	const struct argo_origins *origins;
	int rc = argo_budget_check(&filling->analysis->budget, count * sizeof(*task->inputs),
	                           filling->place->call->node, err);

	if (rc < 0)
		return rc;
	task->inputs = pa_arena_array(filling->analysis->budget.arena, count, sizeof(*task->inputs));
	for (size_t i = 0; i < template->input_parameter_count && rc == 0; i++) {
		rc = argo_origins_of_parameter(filling->analysis, filling->instance, i, &origins, err);
		if (rc < 0)
			break;
		task->inputs[task->input_count++] =
		    (struct pa_input){.name = template->input_parameters[i].name,
		                      .origins = origins->items,
		                      .origin_count = origins->count};
	}
	for (size_t i = 0; i < template->input_artifact_count && rc == 0; i++) {
		rc = argo_origins_of_artifact(filling->analysis, filling->instance, i, &origins, err);
		if (rc < 0)
			break;
		task->inputs[task->input_count++] =
		    (struct pa_input){.name = template->input_artifacts[i].name,
		                      .artifact = true,
		                      .path = template->input_artifacts[i].path,
		                      .origins = origins->items,
		                      .origin_count = origins->count};
	}
	return rc;
}

/* A task of an unknown template: what its call gives. */
static int fill_unknown_inputs(struct filling *filling, struct pa_error *err)
{
	const struct pa_call *call = filling->place->call;
	struct argo_analysis *analysis = filling->analysis;
	struct pa_task *task = filling->task;
	size_t count = call->parameter_count + call->artifact_count;
	int rc = argo_budget_check(&analysis->budget, count * sizeof(*task->inputs), call->node, err);

	if (rc < 0)
		return rc;
	task->inputs = pa_arena_array(analysis->budget.arena, count, sizeof(*task->inputs));
	for (size_t i = 0; i < count && rc == 0; i++) {
		bool artifact = i >= call->parameter_count;
		struct argo_origins origins = {0};
		struct pa_input *input = &task->inputs[task->input_count++];
		input->artifact = artifact;
		if (artifact) {
			const struct pa_artifact *argument = &call->artifacts[i - call->parameter_count];
			input->name = argument->name;
			rc = argo_origins_of_argument(analysis, filling->place, argument, &origins, err);
		} else {
			input->name = call->parameters[i].name;
			rc = argo_origins_of_text(analysis, filling->place->scope, filling->place,
			                          call->parameters[i].value, &origins, err);
		}
		input->origins = origins.items;
		input->origin_count = origins.count;
	}
	return rc;
}

static bool same_text(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* SDKs declare one file as parameter and as artifact of the same name: it is listed once, as artifact. */
static bool is_artifact_too(const struct filling *filling, const struct pa_parameter *parameter)
{
	const struct pa_template *template = filling->template;
	size_t index = pa_name_table_get(&filling->instance->graph->output_artifacts, parameter->name);

	return index != SIZE_MAX && same_text(template->output_artifacts[index].path, parameter->from_path);
}

static int fill_outputs(struct filling *filling, struct pa_error *err)
{
	const struct pa_template *template = filling->template;
	struct pa_task *task = filling->task;
	size_t count = template->output_parameter_count + template->output_artifact_count;
	int rc = argo_budget_check(&filling->analysis->budget, count * sizeof(*task->outputs),
	                           filling->place->call->node, err);

	if (rc < 0)
		return rc;
	task->outputs = pa_arena_array(filling->analysis->budget.arena, count, sizeof(*task->outputs));
	for (size_t i = 0; i < template->output_parameter_count; i++) {
		const struct pa_parameter *parameter = &template->output_parameters[i];
		if (!is_artifact_too(filling, parameter))
			task->outputs[task->output_count++] =
			    (struct pa_output){.name = parameter->name, .path = parameter->from_path};
	}
	for (size_t i = 0; i < template->output_artifact_count; i++) {
		const struct pa_artifact *artifact = &template->output_artifacts[i];
		task->outputs[task->output_count++] =
		    (struct pa_output){.name = artifact->name, .artifact = true, .path = artifact->path};
	}
	return 0;
}

static int add_hyperparameter(struct filling *filling, size_t *capacity, const char *name, const char *value,
                              struct pa_error *err)
{
	struct pa_task *task = filling->task;
	struct pa_arena *arena = filling->analysis->budget.arena;

	task->hyperparameters = pa_arena_grow(arena, task->hyperparameters, task->hyperparameter_count,
	                                      capacity, sizeof(*task->hyperparameters));
	task->hyperparameters[task->hyperparameter_count++] = (struct pa_name_value){name, value};
	return argo_budget_check(&filling->analysis->budget, 0, filling->place->call->node, err);
}

/* What KFP's annotation names; false when it is not there or is no JSON map. */
static int annotated_hyperparameters(struct filling *filling, bool *ret_found, struct pa_error *err)
{
	const struct pa_node *at =
	    pa_node_get(pa_node_get(filling->template->metadata, "annotations"), ARGUMENTS_ANNOTATION);
	struct argo_analysis *analysis = filling->analysis;
	const char *text = pa_node_text(at);
	struct pa_error problem = PA_ERROR_INIT;
	const struct pa_node *map;
	size_t capacity = 0;
	int rc = 0;

	*ret_found = false;
	if (text == NULL)
		return 0;
	if (pa_document_read_json(analysis->budget.arena, at, text, strlen(text), &map, &problem) < 0)
		return argo_note_unresolved(analysis, at, err, "annotation " ARGUMENTS_ANNOTATION ": %s",
		                            problem.message);
	if (!pa_node_is_mapping(map))
		return 0;
	for (uint32_t i = 0; i < map->count && rc == 0; i++) {
		const struct pa_node *node = map->entries[i].value;
		const char *value =
		    node->kind == PA_NODE_SCALAR ? node->text : pa_node_to_json(analysis->budget.arena, node);
		rc = argo_expand(analysis, filling->instance, value == NULL ? "" : value, &value, err);
		if (rc == 0)
			rc = add_hyperparameter(filling, &capacity, map->entries[i].key->text, value, err);
	}
	*ret_found = true;
	return rc;
}

static int fill_hyperparameters(struct filling *filling, struct pa_error *err)
{
	const struct pa_template *template = filling->template;
	size_t capacity = 0;
	bool found;
	int rc = annotated_hyperparameters(filling, &found, err);

	if (rc < 0 || found)
		return rc;
	for (size_t i = 0; i < template->input_parameter_count && rc == 0; i++) {
		const struct pa_parameter *argument = filling->instance->arguments[i];
		const char *value = argo_parameter_value(filling->analysis, filling->instance, i);
		if (value == NULL && argument != NULL)
			value = argument->value;
		if (value != NULL)
			rc = add_hyperparameter(filling, &capacity, template->input_parameters[i].name, value,
			                        err);
	}
	return rc;
}

static void fill_resources(struct filling *filling)
{
	const struct pa_node *resources = pa_node_get(filling->template->container.node, "resources");
	const struct pa_node *lists[] = {pa_node_get(resources, "limits"),
	                                 pa_node_get(resources, "requests")};
	struct pa_resources *ret = &filling->task->resources;

	for (size_t i = 0; i < 2; i++) {
		if (ret->cpu == NULL)
			ret->cpu = pa_node_text(pa_node_get(lists[i], "cpu"));
		if (ret->memory == NULL)
			ret->memory = pa_node_text(pa_node_get(lists[i], "memory"));
		for (uint32_t j = 0; pa_node_is_mapping(lists[i]) && j < lists[i]->count; j++) {
			const struct pa_node_entry *entry = &lists[i]->entries[j];
			/* Kubernetes names what a device plugin offers vendor/device. */
			if (ret->accelerator != NULL || strchr(entry->key->text, '/') == NULL)
				continue;
			ret->accelerator = entry->key->text;
			ret->accelerator_count = pa_node_text(entry->value);
		}
	}
}

static int expand_optional(struct filling *filling, const char **text, struct pa_error *err)
{
	if (*text == NULL)
		return 0;
	return argo_expand(filling->analysis, filling->instance, *text, text, err);
}

static int fill_settings(struct filling *filling, struct pa_error *err)
{
	const struct pa_template *template = filling->template;
	struct pa_task *task = filling->task;
	const char *limit = template->retry_limit;
	const struct pa_node *labels = pa_node_get(template->metadata, "labels");
	const struct pa_node *annotations = pa_node_get(template->metadata, "annotations");
	int rc = expand_optional(filling, &limit, err);

	if (template->has_retry)
		task->retries = limit == NULL || !argo_is_known(limit) ? -1 : strtoll(limit, NULL, 10);
	fill_resources(filling);
	if (rc == 0)
		rc = expand_optional(filling, &task->resources.cpu, err);
	if (rc == 0)
		rc = expand_optional(filling, &task->resources.memory, err);
	if (rc == 0)
		rc = expand_optional(filling, &task->resources.accelerator_count, err);
	const char *label = pa_node_text(pa_node_get(labels, CACHING_LABEL));
	const char *staleness = pa_node_text(pa_node_get(annotations, STALENESS_ANNOTATION));
	if (filling->analysis->pipeline->format == PA_FORMAT_ARGO_KFP_V1)
		/* KFP caches unless it is told not to. */
		task->caching = !(label != NULL && strcmp(label, "false") == 0) &&
		                !(staleness != NULL && strcmp(staleness, "P0D") == 0);
	else
		task->caching = pa_node_get(template->node, "memoize") != NULL;
	return rc;
}

/* Items between start and end, or of `count`; -1 when only the run knows. */
static int sequence_items(struct argo_analysis *analysis, struct argo_instance *scope,
                          const struct pa_node *sequence, int64_t *ret, struct pa_error *err)
{
	static const char *const keys[] = {"count", "start", "end"};
	long long numbers[3] = {0};
	bool known[3] = {false};

	*ret = -1;
	for (size_t i = 0; i < 3; i++) {
		const char *text = pa_node_text(pa_node_get(sequence, keys[i]));
		char *rest;
		if (text == NULL)
			continue;
		int rc = argo_expand(analysis, scope, text, &text, err);
		if (rc < 0)
			return rc;
		errno = 0;
		numbers[i] = strtoll(text, &rest, 10);
		known[i] = errno == 0 && rest != text && *rest == '\0' && numbers[i] > -INT32_MAX &&
		           numbers[i] < INT32_MAX;
		if (!known[i])
			return 0;
	}
	if (known[0])
		*ret = numbers[0] < 0 ? 0 : numbers[0];
	else if (known[2])
		*ret = llabs(numbers[2] - numbers[1]) + 1;
	return 0;
}

/* The length of a list that a parameter holds as JSON. */
static int parameter_items(struct argo_analysis *analysis, struct argo_place *place, int64_t *ret,
                           struct pa_error *err)
{
	const char *text;
	struct pa_error ignored = PA_ERROR_INIT;
	const struct pa_node *list;
	int rc = argo_expand(analysis, place->scope, place->call->with_param, &text, err);

	*ret = -1;
	if (rc < 0 || !argo_is_known(text))
		return rc;
	if (pa_document_read_json(analysis->budget.arena, place->call->node, text, strlen(text), &list,
	                          &ignored) == 0 &&
	    pa_node_is_sequence(list))
		*ret = list->count;
	return argo_budget_check(&analysis->budget, 0, place->call->node, err);
}

static int fill_loop(struct argo_analysis *analysis, struct argo_place *place, struct pa_error *err)
{
	const struct pa_call *call = place->call;
	struct pa_loop *loop = place->loop;
	static const char *const keys[] = {"count", "start", "end"};
	struct argo_origins origins = {0};
	int rc;

	if (call->with_items != NULL) {
		loop->items = call->with_items->count;
		return 0;
	}
	if (call->with_param != NULL) {
		rc = parameter_items(analysis, place, &loop->items, err);
		if (rc == 0)
			rc = argo_origins_of_text(analysis, place->scope, NULL, call->with_param, &origins,
			                          err);
	} else {
		rc = sequence_items(analysis, place->scope, call->with_sequence, &loop->items, err);
		for (size_t i = 0; i < 3 && rc == 0; i++)
			rc = argo_origins_of_text(analysis, place->scope, NULL,
			                          pa_node_text(pa_node_get(call->with_sequence, keys[i])),
			                          &origins, err);
	}
	for (size_t i = 0; i < origins.count && loop->from_task == NULL; i++) {
		loop->from_task = origins.items[i].task;
		loop->from_output = origins.items[i].output;
	}
	return rc;
}

/* The loops of all calls, before tasks look at them. */
static int fill_loops(struct argo_analysis *analysis, struct argo_instance *instance, struct pa_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < instance->place_count && rc == 0; i++) {
		struct argo_place *place = &instance->places[i];
		if (place->has_loop && place->inside != NULL)
			rc = fill_loop(analysis, place, err);
		if (rc == 0 && place->inside != NULL)
			rc = fill_loops(analysis, place->inside, err);
	}
	return rc;
}

static int fill_task(struct filling *filling, struct pa_error *err)
{
	struct pa_task *task = filling->task;

	task->condition = filling->place->condition;
	task->loop = filling->place->loop;
	if (filling->template == NULL)
		return fill_unknown_inputs(filling, err);
	int rc = fill_command(filling, err);
	if (rc == 0)
		rc = fill_inputs(filling, err);
	if (rc == 0)
		rc = fill_outputs(filling, err);
	if (rc == 0)
		rc = fill_hyperparameters(filling, err);
	if (rc == 0)
		rc = fill_settings(filling, err);
	return rc;
}

int argo_fill_tasks(struct argo_analysis *analysis, struct pa_error *err)
{
	int rc = fill_loops(analysis, analysis->root, err);

	for (size_t i = 0; i < analysis->task_count && rc == 0; i++) {
		struct argo_place *place = analysis->tasks[i].place;
		struct filling filling = {analysis, place, place->inside, place->inside->template,
		                          &analysis->models[i]};
		rc = fill_task(&filling, err);
	}
	return rc;
}
