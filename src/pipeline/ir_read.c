/* SPDX-License-Identifier: Apache-2.0 */
/* One component: its definitions, and what a DAG calls and gives out.  A call is read in ir_read_call.c. */
#include "pipeline/ir_read_internal.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_read_call_internal.h"

int ir_read_mapping(const struct pa_node *parent, const char *key, const struct pa_node **ret,
                    struct pa_error *err)
{
	const struct pa_node *node = pa_node_get(parent, key);

	*ret = NULL;
	if (pa_node_is_null(node))
		return 0;
	if (!pa_node_is_mapping(node))
		return pa_node_error(node, err, "'%s' must be a map of names to values; correct the file",
		                     key);
	*ret = node;
	return 0;
}

int ir_read_sequence(const struct pa_node *parent, const char *key, const struct pa_node **ret,
                     struct pa_error *err)
{
	const struct pa_node *node = pa_node_get(parent, key);

	*ret = NULL;
	if (pa_node_is_null(node))
		return 0;
	if (!pa_node_is_sequence(node))
		return pa_node_error(node, err, "'%s' must be a list; correct the file", key);
	*ret = node;
	return 0;
}

int ir_read_text(const struct pa_node *parent, const char *key, const char **ret, struct pa_error *err)
{
	const struct pa_node *node = pa_node_get(parent, key);

	*ret = NULL;
	if (pa_node_is_null(node))
		return 0;
	if (node->kind != PA_NODE_SCALAR)
		return pa_node_error(node, err, "'%s' must be a text, not a list or map; correct the file",
		                     key);
	*ret = node->text;
	return 0;
}

const char *ir_value_text(const struct pa_budget *budget, const struct pa_node *node)
{
	if (pa_node_is_null(node) || node->kind == PA_NODE_SCALAR)
		return pa_node_text(node);
	return pa_node_to_json(budget->arena, node);
}

const char *ir_legacy_value_text(const struct pa_node *node)
{
	static const char *const keys[] = {"stringValue", "intValue", "doubleValue"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct pa_node *value = pa_node_get(node, keys[i]);
		if (value != NULL)
			return pa_node_text(value);
	}
	return NULL;
}

static int read_definition(const struct pa_budget *budget, const struct pa_node_entry *entry, bool artifact,
                           struct ir_definition *ret, struct pa_error *err)
{
	const struct pa_node *node = entry->value;
	const struct pa_node *artifact_type;

	*ret = (struct ir_definition){.name = entry->key->text, .artifact = artifact, .node = entry->key};
	if (pa_node_is_null(node))
		return 0;
	if (!pa_node_is_mapping(node))
		return pa_node_error(node, err, "the definition of '%.100s' must be a map; correct the file",
		                     ret->name);
	ret->optional = pa_node_is_true(pa_node_get(node, "isOptional"));
	if (artifact) {
		int rc = ir_read_mapping(node, "artifactType", &artifact_type, err);
		return rc < 0 ? rc : ir_read_text(artifact_type, "schemaTitle", &ret->type, err);
	}
	ret->default_value = ir_value_text(budget, pa_node_get(node, "defaultValue"));
	int rc = ir_read_text(node, "parameterType", &ret->type, err);
	if (rc == 0 && ret->type == NULL)
		rc = ir_read_text(node, "type", &ret->type, err);
	return rc;
}

/* inputDefinitions or outputDefinitions.  The tables (NULL for outputs) get the index of each name. */
static int read_definitions(const struct pa_budget *budget, const struct pa_node *component, const char *key,
                            struct pa_name_table *parameters, struct pa_name_table *artifacts,
                            struct ir_definition **ret, size_t *ret_count, struct pa_error *err)
{
	const struct pa_node *both, *lists[2];
	int rc = ir_read_mapping(component, key, &both, err);

	if (rc == 0)
		rc = ir_read_mapping(both, "parameters", &lists[0], err);
	if (rc == 0)
		rc = ir_read_mapping(both, "artifacts", &lists[1], err);
	if (rc < 0)
		return rc;
	size_t count = (lists[0] == NULL ? 0 : lists[0]->count) + (lists[1] == NULL ? 0 : lists[1]->count);
	rc = pa_budget_check(budget, count * sizeof(**ret), component, err);
	if (rc < 0)
		return rc;
	*ret = pa_arena_array(budget->arena, count, sizeof(**ret));
	*ret_count = 0;
	for (size_t list = 0; list < 2; list++) {
		struct pa_name_table *table = list == 0 ? parameters : artifacts;
		for (uint32_t i = 0; lists[list] != NULL && i < lists[list]->count && rc == 0; i++) {
			struct ir_definition *definition = &(*ret)[*ret_count];
			rc = read_definition(budget, &lists[list]->entries[i], list == 1, definition, err);
			if (table != NULL)
				pa_name_table_put(table, definition->name, *ret_count);
			(*ret_count)++;
		}
	}
	return rc < 0 ? rc : pa_budget_check(budget, 0, component, err);
}

static int read_selector(const struct ir_component *component, const struct pa_node *node,
                         const char *output_key, struct ir_selector *ret, struct pa_error *err)
{
	*ret = (struct ir_selector){.node = node};
	if (!pa_node_is_mapping(node))
		return pa_node_error(
		    node, err,
		    "an output's source must be a map with producerSubtask and %s; correct the file",
		    output_key);
	int rc = ir_read_text(node, "producerSubtask", &ret->producer, err);
	if (rc == 0)
		rc = ir_read_text(node, output_key, &ret->output, err);
	if (rc == 0 && (ret->producer == NULL || ret->output == NULL))
		return pa_node_error(node, err, "an output's source lacks producerSubtask or %s; add it",
		                     output_key);
	if (rc == 0 && pa_name_table_get(&component->call_index, ret->producer) == SIZE_MAX)
		return pa_node_error(node, err,
		                     "the output comes from the task '%.100s', which '%.100s' does not have; "
		                     "correct producerSubtask",
		                     ret->producer, component->name);
	return rc;
}

static int read_selectors(const struct pa_budget *budget, const struct ir_component *component,
                          const struct pa_node *list, const char *output_key, struct ir_output *output,
                          struct pa_error *err)
{
	int rc = 0;

	if (list == NULL)
		return 0;
	rc = pa_budget_check(budget, list->count * sizeof(*output->selectors), list, err);
	if (rc < 0)
		return rc;
	output->selectors = pa_arena_array(budget->arena, list->count, sizeof(*output->selectors));
	for (; output->selector_count < list->count && rc == 0; output->selector_count++)
		rc = read_selector(component, list->items[output->selector_count], output_key,
		                   &output->selectors[output->selector_count], err);
	return rc;
}

static int read_output(const struct pa_budget *budget, const struct ir_component *component,
                       const struct pa_node *node, struct ir_output *output, struct pa_error *err)
{
	const struct pa_node *list, *one, *several;

	if (output->artifact) {
		int rc = ir_read_sequence(node, "artifactSelectors", &list, err);
		return rc < 0 ? rc
		              : read_selectors(budget, component, list, "outputArtifactKey", output, err);
	}
	int rc = ir_read_mapping(node, "valueFromParameter", &one, err);
	if (rc == 0)
		rc = ir_read_mapping(node, "valueFromOneof", &several, err);
	if (rc == 0)
		rc = ir_read_sequence(several, "parameterSelectors", &list, err);
	if (rc < 0 || one == NULL)
		return rc < 0 ? rc
		              : read_selectors(budget, component, list, "outputParameterKey", output, err);
	output->selectors = pa_arena_alloc(budget->arena, sizeof(*output->selectors));
	output->selector_count = 1;
	return read_selector(component, one, "outputParameterKey", output->selectors, err);
}

static int read_outputs(const struct pa_budget *budget, struct ir_component *component,
                        const struct pa_node *dag, struct pa_error *err)
{
	const struct pa_node *both, *lists[2];
	int rc = ir_read_mapping(dag, "outputs", &both, err);

	if (rc == 0)
		rc = ir_read_mapping(both, "parameters", &lists[0], err);
	if (rc == 0)
		rc = ir_read_mapping(both, "artifacts", &lists[1], err);
	if (rc < 0)
		return rc;
	size_t count = (lists[0] == NULL ? 0 : lists[0]->count) + (lists[1] == NULL ? 0 : lists[1]->count);
	rc = pa_budget_check(budget, count * sizeof(*component->dag_outputs), component->node, err);
	if (rc < 0)
		return rc;
	component->dag_outputs = pa_arena_array(budget->arena, count, sizeof(*component->dag_outputs));
	for (size_t list = 0; list < 2; list++) {
		struct pa_name_table *table =
		    list == 0 ? &component->output_parameters : &component->output_artifacts;
		for (uint32_t i = 0; lists[list] != NULL && i < lists[list]->count && rc == 0; i++) {
			struct ir_output *output = &component->dag_outputs[component->dag_output_count];
			output->name = lists[list]->entries[i].key->text;
			output->artifact = list == 1;
			pa_name_table_put(table, output->name, component->dag_output_count++);
			rc = read_output(budget, component, lists[list]->entries[i].value, output, err);
		}
	}
	return rc;
}

static int read_calls(const struct pa_budget *budget, struct ir_component *component,
                      const struct pa_node *dag, struct pa_error *err)
{
	const struct pa_node *tasks;
	int rc = ir_read_mapping(dag, "tasks", &tasks, err);

	if (rc < 0 || tasks == NULL)
		return rc;
	rc = pa_budget_check(budget, tasks->count * sizeof(*component->calls), tasks, err);
	if (rc < 0)
		return rc;
	component->calls = pa_arena_array(budget->arena, tasks->count, sizeof(*component->calls));
	component->call_count = tasks->count;
	for (uint32_t i = 0; i < tasks->count && rc == 0; i++) {
		rc = ir_read_call(budget, &tasks->entries[i], &component->calls[i], err);
		pa_name_table_put(&component->call_index, tasks->entries[i].key->text, i);
	}
	return rc;
}

static void init_tables(struct ir_component *component, struct pa_arena *arena)
{
	pa_name_table_init(&component->input_parameters, arena);
	pa_name_table_init(&component->input_artifacts, arena);
	pa_name_table_init(&component->call_index, arena);
	pa_name_table_init(&component->output_parameters, arena);
	pa_name_table_init(&component->output_artifacts, arena);
}

int ir_read_component(const struct pa_budget *budget, const char *name, const struct pa_node *node,
                      struct ir_component *ret, struct pa_error *err)
{
	const struct pa_node *dag;

	*ret = (struct ir_component){.name = name, .node = node};
	init_tables(ret, budget->arena);
	if (!pa_node_is_mapping(node))
		return pa_node_error(node, err, "the component '%.100s' must be a map; correct the file",
		                     name);
	int rc = ir_read_text(node, "executorLabel", &ret->executor, err);
	if (rc == 0)
		rc = ir_read_mapping(node, "dag", &dag, err);
	if (rc == 0)
		rc = read_definitions(budget, node, "inputDefinitions", &ret->input_parameters,
		                      &ret->input_artifacts, &ret->inputs, &ret->input_count, err);
	if (rc == 0)
		rc = read_definitions(budget, node, "outputDefinitions", NULL, NULL, &ret->outputs,
		                      &ret->output_count, err);
	if (rc < 0 || dag == NULL)
		return rc;
	ret->is_dag = true;
	rc = read_calls(budget, ret, dag, err);
	if (rc == 0)
		rc = read_outputs(budget, ret, dag, err);
	if (rc == 0)
		rc = ir_order_calls(budget, ret, err);
	return rc;
}
