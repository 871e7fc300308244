/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline's parameters: what its root defines, the values of a run, and those that the user gives instead. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_analysis_internal.h"

static void set_value(struct ir_analysis *analysis, const char *name, const char *value)
{
	size_t index = pa_name_table_get(&analysis->parameter_index, name);

	if (index != SIZE_MAX && value != NULL)
		analysis->pipeline->parameters[index].value = value;
}

/* Values for what the root does not define are of no use to it, and are passed over. */
static int read_values(struct ir_analysis *analysis, struct pa_error *err)
{
	const struct pa_node *config = analysis->spec->runtime_config, *legacy, *values;

	if (pa_node_is_null(config))
		return 0;
	if (!pa_node_is_mapping(config))
		return pa_node_error(config, err,
		                     "the configuration of the run must be a map; correct the file");
	int rc = ir_read_mapping(config, "parameters", &legacy, err);
	if (rc == 0)
		rc = ir_read_mapping(config, "parameterValues", &values, err);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; legacy != NULL && i < legacy->count; i++)
		set_value(analysis, legacy->entries[i].key->text,
		          ir_legacy_value_text(legacy->entries[i].value));
	for (uint32_t i = 0; values != NULL && i < values->count; i++)
		set_value(analysis, values->entries[i].key->text,
		          ir_value_text(analysis->budget, values->entries[i].value));
	return pa_budget_check(analysis->budget, 0, config, err);
}

static int replace_values(struct ir_analysis *analysis, const struct pa_analyze_options *options,
                          struct pa_error *err)
{
	for (size_t i = 0; options != NULL && i < options->argument_count; i++) {
		const struct pa_name_value *argument = &options->arguments[i];
		if (pa_name_table_get(&analysis->parameter_index, argument->name) == SIZE_MAX)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "%s: the pipeline has no parameter '%.100s'; give one of its own",
			                    analysis->spec->node->file, argument->name);
		set_value(analysis, argument->name,
		          pa_arena_strdup(analysis->budget->arena, argument->value));
	}
	return 0;
}

int ir_fill_parameters(struct ir_analysis *analysis, const struct pa_analyze_options *options,
                       struct pa_error *err)
{
	const struct ir_component *root = &analysis->root_component;
	struct pa_pipeline *pipeline = analysis->pipeline;
	int rc = pa_budget_check(analysis->budget, root->input_count * sizeof(*pipeline->parameters),
	                         root->node, err);

	if (rc < 0)
		return rc;
	pipeline->parameters =
	    pa_arena_array(analysis->budget->arena, root->input_count, sizeof(*pipeline->parameters));
	for (size_t i = 0; i < root->input_count; i++) {
		const struct ir_definition *input = &root->inputs[i];
		if (pa_name_table_put(&analysis->parameter_index, input->name, pipeline->parameter_count) !=
		    SIZE_MAX)
			continue;
		pipeline->parameters[pipeline->parameter_count++] = (struct pa_pipeline_parameter){
		    .name = input->name, .type = input->type, .default_value = input->default_value};
	}
	rc = read_values(analysis, err);
	return rc < 0 ? rc : replace_values(analysis, options, err);
}
