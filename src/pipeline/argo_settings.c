/* SPDX-License-Identifier: Apache-2.0 */
/* What else a template says of its task: hyper-parameters, resources, retries, caching. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

#define ARGUMENTS_ANNOTATION "pipelines.kubeflow.org/arguments.parameters"
#define COMPONENT_ANNOTATION "pipelines.kubeflow.org/component_spec"
#define STALENESS_ANNOTATION "pipelines.kubeflow.org/max_cache_staleness"
#define CACHING_LABEL        "pipelines.kubeflow.org/enable_caching"

static int add_hyperparameter(struct argo_filling *filling, size_t *capacity, const char *name,
                              const char *value, struct pa_error *err)
{
	struct pa_task *task = filling->task;
	struct pa_arena *arena = filling->analysis->findings.budget.arena;

	task->hyperparameters = pa_arena_grow(arena, task->hyperparameters, task->hyperparameter_count,
	                                      capacity, sizeof(*task->hyperparameters));
	task->hyperparameters[task->hyperparameter_count++] = (struct pa_name_value){name, value};
	return pa_budget_check(&filling->analysis->findings.budget, 0, filling->place->call->node, err);
}

/* Inputs that the annotation does not name have their defaults, which the component's own description gives. */
static int default_hyperparameters(struct argo_filling *filling, size_t *capacity,
                                   const struct pa_node *given, struct pa_error *err)
{
	struct pa_arena *arena = filling->analysis->findings.budget.arena;
	const struct pa_node *at =
	    pa_node_get(pa_node_get(filling->template->metadata, "annotations"), COMPONENT_ANNOTATION);
	const char *text = pa_node_text(at);
	struct pa_error problem = PA_ERROR_INIT;
	const struct pa_node *component;
	int rc = 0;

	if (text == NULL)
		return 0;
	if (pa_document_read_json(arena, at, text, strlen(text), &component, &problem) < 0)
		return pa_findings_unresolved(&filling->analysis->findings, at, err,
		                              "annotation " COMPONENT_ANNOTATION ": %s", problem.message);
	const struct pa_node *inputs = pa_node_get(component, "inputs");
	for (uint32_t i = 0; pa_node_is_sequence(inputs) && i < inputs->count && rc == 0; i++) {
		const char *name = pa_node_text(pa_node_get(inputs->items[i], "name"));
		const struct pa_node *value = pa_node_get(inputs->items[i], "default");
		if (name == NULL || pa_node_is_null(value) || pa_node_get(given, name) != NULL)
			continue;
		const char *written =
		    value->kind == PA_NODE_SCALAR ? value->text : pa_node_to_json(arena, value);
		rc = add_hyperparameter(filling, capacity, name, written == NULL ? "" : written, err);
	}
	return rc;
}

/* What KFP's annotation names; false when it is not there or is no JSON map. */
static int annotated_hyperparameters(struct argo_filling *filling, bool *ret_found, struct pa_error *err)
{
	const struct pa_node *at = argo_hyperparameter_position(filling->template);
	struct argo_analysis *analysis = filling->analysis;
	const char *text = pa_node_text(at);
	struct pa_error problem = PA_ERROR_INIT;
	const struct pa_node *map;
	size_t capacity = 0;
	int rc = 0;

	*ret_found = false;
	if (text == NULL)
		return 0;
	if (pa_document_read_json(analysis->findings.budget.arena, at, text, strlen(text), &map, &problem) <
	    0)
		return pa_findings_unresolved(&analysis->findings, at, err,
		                              "annotation " ARGUMENTS_ANNOTATION ": %s", problem.message);
	if (!pa_node_is_mapping(map))
		return 0;
	for (uint32_t i = 0; i < map->count && rc == 0; i++) {
		const struct pa_node *node = map->entries[i].value;
		const char *value = node->kind == PA_NODE_SCALAR
		                        ? node->text
		                        : pa_node_to_json(analysis->findings.budget.arena, node);
		rc = argo_expand(analysis, filling->instance, value == NULL ? "" : value, &value, err);
		if (rc == 0)
			rc = add_hyperparameter(filling, &capacity, map->entries[i].key->text, value, err);
	}
	*ret_found = true;
	return rc < 0 ? rc : default_hyperparameters(filling, &capacity, map, err);
}

int argo_fill_hyperparameters(struct argo_filling *filling, struct pa_error *err)
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
		if (value == NULL && argument != NULL && argument->value != NULL)
			rc = argo_expand(filling->analysis, filling->place->scope, argument->value, &value,
			                 err);
		if (value != NULL && rc == 0)
			rc = add_hyperparameter(filling, &capacity, template->input_parameters[i].name, value,
			                        err);
	}
	return rc;
}

/* Kubernetes names what a device plugin offers vendor/device; not each of them computes. */
static bool is_accelerator(const char *name)
{
	static const char *const words[] = {"gpu", "tpu",  "npu",    "hpu",   "gcu",
	                                    "mlu", "fpga", "neuron", "/mig-", "gaudi"};

	for (size_t i = 0; strchr(name, '/') != NULL && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(name, words[i]) != NULL)
			return true;
	}
	return false;
}

static void fill_resources(const struct pa_node *resources, struct pa_resources *ret)
{
	const struct pa_node *lists[] = {pa_node_get(resources, "limits"),
	                                 pa_node_get(resources, "requests")};

	for (size_t i = 0; i < 2; i++) {
		if (ret->cpu == NULL)
			ret->cpu = pa_node_text(pa_node_get(lists[i], "cpu"));
		if (ret->memory == NULL)
			ret->memory = pa_node_text(pa_node_get(lists[i], "memory"));
		for (uint32_t j = 0; pa_node_is_mapping(lists[i]) && j < lists[i]->count; j++) {
			const struct pa_node_entry *entry = &lists[i]->entries[j];
			if (ret->accelerator != NULL || !is_accelerator(entry->key->text))
				continue;
			ret->accelerator = entry->key->text;
			ret->accelerator_count = pa_node_text(entry->value);
		}
	}
}

/* podSpecPatch is YAML or JSON once its `{{…}}` have values; what it says of the main container's resources wins. */
static int patch_resources(struct argo_filling *filling, struct pa_error *err)
{
	struct pa_arena *arena = filling->analysis->findings.budget.arena;
	const char *text = pa_node_text(pa_node_get(filling->template->node, "podSpecPatch"));
	struct pa_error ignored = PA_ERROR_INIT;
	struct pa_document *documents;
	size_t count;

	if (text == NULL)
		text = filling->analysis->workflow->pod_spec_patch;
	if (text == NULL)
		return 0;
	int rc = argo_expand(filling->analysis, filling->instance, text, &text, err);
	if (rc < 0 || pa_document_read(arena, filling->template->node->file, text, strlen(text), &documents,
	                               &count, &ignored) < 0)
		return rc;
	const struct pa_node *containers = count == 0 ? NULL : pa_node_get(documents[0].root, "containers");
	for (uint32_t i = 0; pa_node_is_sequence(containers) && i < containers->count; i++) {
		const char *name = pa_node_text(pa_node_get(containers->items[i], "name"));
		if (name != NULL && strcmp(name, "main") == 0)
			fill_resources(pa_node_get(containers->items[i], "resources"),
			               &filling->task->resources);
	}
	return pa_budget_check(&filling->analysis->findings.budget, 0, filling->template->node, err);
}

static int expand_optional(struct argo_filling *filling, const char **text, struct pa_error *err)
{
	if (*text == NULL)
		return 0;
	return argo_expand(filling->analysis, filling->instance, *text, text, err);
}

int argo_fill_settings(struct argo_filling *filling, struct pa_error *err)
{
	const struct pa_template *template = filling->template;
	struct pa_task *task = filling->task;
	const char *limit = template->retry_limit;
	const struct pa_node *labels = pa_node_get(template->metadata, "labels");
	const struct pa_node *annotations = pa_node_get(template->metadata, "annotations");
	int rc = expand_optional(filling, &limit, err);

	if (template->has_retry)
		task->retries = limit == NULL || !argo_is_known(limit) ? -1 : strtoll(limit, NULL, 10);
	if (rc == 0)
		rc = patch_resources(filling, err);
	fill_resources(pa_node_get(template->container.node, "resources"), &task->resources);
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

const struct pa_node *argo_hyperparameter_position(const struct pa_template *template)
{
	return pa_node_get(pa_node_get(template->metadata, "annotations"), ARGUMENTS_ANNOTATION);
}

const struct pa_node *argo_caching_position(const struct pa_template *template)
{
	const struct pa_node *at =
	    pa_node_get(pa_node_get(template->metadata, "annotations"), STALENESS_ANNOTATION);

	if (at == NULL)
		at = pa_node_get(pa_node_get(template->metadata, "labels"), CACHING_LABEL);
	return at != NULL ? at : pa_node_get(template->node, "memoize");
}
