/* SPDX-License-Identifier: Apache-2.0 */
/* Pipeline parameters: what KFP's pipeline_spec annotation says of them, spec.arguments, and the values
 * that the user gives instead. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

#define PIPELINE_SPEC "pipelines.kubeflow.org/pipeline_spec"

/* A type is a name, or a map such as {"GCSPath": {…}}, which is kept as JSON. */
static const char *value_text(struct argo_analysis *analysis, const struct pa_node *node)
{
	if (pa_node_is_null(node) || node->kind == PA_NODE_SCALAR)
		return pa_node_text(node);
	return pa_node_to_json(analysis->findings.budget.arena, node);
}

/* The inputs in the annotation, or NULL. */
static int read_declared(struct argo_analysis *analysis, const struct pa_node **ret, struct pa_error *err)
{
	const struct pa_node *at = pa_node_get(analysis->workflow->annotations, PIPELINE_SPEC);
	const char *text = pa_node_text(at);
	struct pa_error problem = PA_ERROR_INIT;
	const struct pa_node *spec;

	*ret = NULL;
	if (text == NULL)
		return 0;
	if (pa_document_read_json(analysis->findings.budget.arena, at, text, strlen(text), &spec, &problem) <
	    0)
		return pa_findings_unresolved(&analysis->findings, at, err,
		                              "annotation " PIPELINE_SPEC ": %s", problem.message);
	const struct pa_node *inputs = pa_node_get(spec, "inputs");
	*ret = pa_node_is_sequence(inputs) ? inputs : NULL;
	return pa_budget_check(&analysis->findings.budget, 0, at, err);
}

static void add_parameter(struct argo_analysis *analysis, struct pa_name_table *index,
                          struct pa_pipeline_parameter parameter)
{
	struct pa_pipeline *pipeline = analysis->pipeline;

	if (pa_name_table_put(index, parameter.name, pipeline->parameter_count) == SIZE_MAX)
		pipeline->parameters[pipeline->parameter_count++] = parameter;
}

static void add_declared(struct argo_analysis *analysis, struct pa_name_table *index,
                         const struct pa_node *inputs)
{
	for (uint32_t i = 0; i < inputs->count; i++) {
		const struct pa_node *input = inputs->items[i];
		const char *name = pa_node_text(pa_node_get(input, "name"));
		if (name == NULL)
			continue;
		add_parameter(analysis, index,
		              (struct pa_pipeline_parameter){
				  .name = name,
				  .type = value_text(analysis, pa_node_get(input, "type")),
				  .default_value = value_text(analysis, pa_node_get(input, "default")),
			      });
	}
}

/* Replaces the value also in the workflow, from which a run is made: in a copy, for others may name it.  A name that
 * this pipeline does not have may be another's. */
static int replace_values(struct argo_analysis *analysis, const struct pa_name_table *index,
                          const struct pa_analyze_options *options, struct pa_error *err)
{
	struct pa_arena *arena = analysis->findings.budget.arena;
	struct pa_workflow *workflow = analysis->workflow;
	size_t bytes = workflow->parameter_count * sizeof(*workflow->parameters);

	if (options == NULL || options->argument_count == 0)
		return 0;
	int rc = pa_budget_check(&analysis->findings.budget, sizeof(*workflow) + bytes, workflow->node, err);
	if (rc < 0)
		return rc;
	analysis->workflow = pa_arena_alloc(arena, sizeof(*workflow));
	*analysis->workflow = *workflow;
	analysis->workflow->parameters =
	    pa_arena_array(arena, workflow->parameter_count, sizeof(*workflow->parameters));
	for (size_t i = 0; i < workflow->parameter_count; i++)
		analysis->workflow->parameters[i] = workflow->parameters[i];
	workflow = analysis->workflow;
	analysis->pipeline->workflow = workflow;
	for (size_t i = 0; i < options->argument_count; i++) {
		const struct pa_name_value *argument = &options->arguments[i];
		size_t at = pa_name_table_get(index, argument->name);
		if (at == SIZE_MAX)
			continue;
		const char *value = pa_arena_strdup(arena, argument->value);
		analysis->pipeline->parameters[at].value = value;
		for (size_t j = 0; j < workflow->parameter_count; j++) {
			if (strcmp(workflow->parameters[j].name, argument->name) == 0)
				workflow->parameters[j].value = value;
		}
	}
	return 0;
}

int argo_fill_parameters(struct argo_analysis *analysis, const struct pa_analyze_options *options,
                         struct pa_error *err)
{
	struct pa_workflow *workflow = analysis->workflow;
	struct pa_pipeline *pipeline = analysis->pipeline;
	struct pa_name_table *index = &analysis->parameter_index;
	const struct pa_node *declared;
	int rc = read_declared(analysis, &declared, err);

	if (rc < 0)
		return rc;
	size_t room = workflow->parameter_count + (declared == NULL ? 0 : declared->count);
	rc = pa_budget_check(&analysis->findings.budget, room * sizeof(*pipeline->parameters), workflow->node,
	                     err);
	if (rc < 0)
		return rc;
	pipeline->parameters =
	    pa_arena_array(analysis->findings.budget.arena, room, sizeof(*pipeline->parameters));
	if (declared != NULL)
		add_declared(analysis, index, declared);
	for (size_t i = 0; i < workflow->parameter_count; i++) {
		const struct pa_parameter *parameter = &workflow->parameters[i];
		add_parameter(analysis, index, (struct pa_pipeline_parameter){.name = parameter->name});
		pipeline->parameters[pa_name_table_get(index, parameter->name)].value = parameter->value;
	}
	return replace_values(analysis, index, options, err);
}

const char *argo_pipeline_parameter_value(const struct argo_analysis *analysis, const char *name)
{
	size_t at = pa_name_table_get(&analysis->parameter_index, name);

	if (at == SIZE_MAX)
		return NULL;
	const struct pa_pipeline_parameter *parameter = &analysis->pipeline->parameters[at];
	return parameter->value != NULL ? parameter->value : parameter->default_value;
}
