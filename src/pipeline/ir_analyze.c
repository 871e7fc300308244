/* SPDX-License-Identifier: Apache-2.0 */
/* An ir_spec: how readers fill it, and the steps that make a model of it. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_analysis_internal.h"

#define ROOT_NAME "root"

void ir_spec_init(struct ir_spec *spec, const struct pa_budget *budget, const struct pa_node *node)
{
	*spec = (struct ir_spec){.node = node};
	pa_name_table_init(&spec->components.index, budget->arena);
	pa_name_table_init(&spec->executors.index, budget->arena);
	pa_name_table_init(&spec->platforms.index, budget->arena);
}

static int add_node(struct ir_nodes *nodes, const struct pa_budget *budget, struct ir_named_node added,
                    struct pa_error *err)
{
	if (pa_name_table_put(&nodes->index, added.name, nodes->count) != SIZE_MAX)
		return 0;
	nodes->items =
	    pa_arena_grow(budget->arena, nodes->items, nodes->count, &nodes->capacity, sizeof(*nodes->items));
	nodes->items[nodes->count++] = added;
	return pa_budget_check(budget, 0, added.node, err);
}

int ir_spec_add_component(struct ir_spec *spec, const struct pa_budget *budget, const char *name,
                          const struct pa_node *node, struct pa_error *err)
{
	return add_node(&spec->components, budget, (struct ir_named_node){.name = name, .node = node}, err);
}

int ir_spec_add_executor(struct ir_spec *spec, const struct pa_budget *budget, const char *label,
                         enum ir_executor_kind kind, const struct pa_node *node, struct pa_error *err)
{
	return add_node(&spec->executors, budget,
	                (struct ir_named_node){.name = label, .node = node, .kind = kind}, err);
}

int ir_spec_add_platform(struct ir_spec *spec, const struct pa_budget *budget, const char *label,
                         const struct pa_node *node, struct pa_error *err)
{
	return add_node(&spec->platforms, budget, (struct ir_named_node){.name = label, .node = node}, err);
}

static int read_components(struct ir_analysis *analysis, struct pa_error *err)
{
	const struct ir_nodes *nodes = &analysis->spec->components;
	int rc = pa_budget_check(analysis->budget, nodes->count * sizeof(*analysis->components),
	                         analysis->spec->node, err);

	if (rc < 0)
		return rc;
	analysis->components =
	    pa_arena_array(analysis->budget->arena, nodes->count, sizeof(*analysis->components));
	for (size_t i = 0; i < nodes->count && rc == 0; i++)
		rc = ir_read_component(analysis->budget, nodes->items[i].name, nodes->items[i].node,
		                       &analysis->components[i], err);
	if (rc == 0)
		rc = ir_read_component(analysis->budget, ROOT_NAME, analysis->spec->root,
		                       &analysis->root_component, err);
	return rc;
}

static int run_steps(struct ir_analysis *analysis, const struct pa_analyze_options *options,
                     struct pa_error *err)
{
	int rc = read_components(analysis, err);

	if (rc == 0)
		rc = ir_fill_parameters(analysis, options, err);
	if (rc == 0)
		rc = ir_flatten(analysis, err);
	if (rc == 0)
		rc = ir_order(analysis, err);
	if (rc == 0)
		rc = ir_fill_tasks(analysis, err);
	if (rc == 0)
		rc = ir_fill_mounts(analysis, err);
	if (rc == 0)
		rc = ir_fill_data(analysis, err);
	if (rc == 0)
		rc = ir_fill_facts(analysis, err);
	return rc;
}

int ir_analyze_spec(struct pa_findings *findings, struct ir_spec *spec,
                    const struct pa_analyze_options *options, struct pa_pipeline *ret, struct pa_error *err)
{
	struct ir_analysis analysis = {
	    .findings = findings, .budget = &findings->budget, .spec = spec, .pipeline = ret};

	*ret = (struct pa_pipeline){.name = spec->name == NULL ? "" : spec->name,
	                            .format = spec->format,
	                            .file = spec->node->file,
	                            .document = spec->document,
	                            .sdk_version = spec->sdk_version};
	analysis.task_index = pa_arena_alloc(analysis.budget->arena, sizeof(*analysis.task_index));
	pa_name_table_init(analysis.task_index, analysis.budget->arena);
	pa_name_table_init(&analysis.parameter_index, analysis.budget->arena);
	pa_name_table_init(&analysis.part_index, analysis.budget->arena);
	int rc = run_steps(&analysis, options, err);
	if (rc < 0)
		return rc;
	ret->tasks = analysis.models;
	ret->task_count = analysis.task_count;
	ret->task_index = analysis.task_index;
	ret->unresolved = findings->unresolved;
	ret->unresolved_count = findings->unresolved_count;
	ret->facts = findings->facts;
	ret->fact_count = findings->fact_count;
	return 0;
}
