/* SPDX-License-Identifier: Apache-2.0 */
/* The tasks of a DAG: what each is given, when it runs, and what it waits for. */
#include "pipeline/ir_read_call_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"

/* taskOutputParameter, taskOutputArtifact, taskFinalStatus. */
static int read_producer(const struct pa_node *node, const char *output_key, enum ir_source source,
                         struct ir_argument *ret, struct pa_error *err)
{
	int rc = ir_read_text(node, "producerTask", &ret->producer, err);

	ret->source = source;
	if (rc == 0 && output_key != NULL)
		rc = ir_read_text(node, output_key, &ret->text, err);
	if (rc == 0 && (ret->producer == NULL || (output_key != NULL && ret->text == NULL)))
		return pa_node_error(node, err,
		                     "the reference to a task's output lacks producerTask%s%s; add it",
		                     output_key == NULL ? "" : " or ", output_key == NULL ? "" : output_key);
	return rc;
}

static int read_runtime_value(const struct pa_budget *budget, const struct pa_node *node,
                              struct ir_argument *ret, struct pa_error *err)
{
	const struct pa_node *legacy;
	int rc = ir_read_mapping(node, "constantValue", &legacy, err);

	ret->source = IR_CONSTANT;
	if (rc < 0)
		return rc;
	if (legacy != NULL) {
		ret->text = ir_legacy_value_text(legacy);
		return 0;
	}
	rc = ir_read_text(node, "runtimeParameter", &ret->text, err);
	if (rc == 0 && ret->text != NULL) {
		ret->source = IR_PARAMETER_VALUE;
		return 0;
	}
	ret->text = ir_value_text(budget, pa_node_get(node, "constant"));
	return rc < 0 ? rc : pa_budget_check(budget, 0, node, err);
}

int ir_read_parameter_source(const struct pa_budget *budget, const struct pa_node *node,
                             struct ir_argument *ret, struct pa_error *err)
{
	const struct pa_node *output, *value, *status;
	int rc = ir_read_mapping(node, "taskOutputParameter", &output, err);

	if (rc == 0)
		rc = ir_read_mapping(node, "runtimeValue", &value, err);
	if (rc == 0)
		rc = ir_read_mapping(node, "taskFinalStatus", &status, err);
	if (rc < 0)
		return rc;
	if (output != NULL)
		return read_producer(output, "outputParameterKey", IR_TASK_OUTPUT, ret, err);
	if (value != NULL)
		return read_runtime_value(budget, value, ret, err);
	if (status != NULL)
		return read_producer(status, NULL, IR_TASK_STATUS, ret, err);
	rc = ir_read_text(node, "componentInputParameter", &ret->text, err);
	if (rc == 0 && ret->text != NULL)
		ret->source = IR_INPUT;
	return rc;
}

static int read_artifact_source(const struct pa_node *node, struct ir_argument *ret, struct pa_error *err)
{
	const struct pa_node *output;
	int rc = ir_read_mapping(node, "taskOutputArtifact", &output, err);

	if (rc < 0)
		return rc;
	if (output != NULL)
		return read_producer(output, "outputArtifactKey", IR_TASK_OUTPUT, ret, err);
	rc = ir_read_text(node, "componentInputArtifact", &ret->text, err);
	if (rc == 0 && ret->text != NULL)
		ret->source = IR_INPUT;
	return rc;
}

static int read_argument(const struct pa_budget *budget, const struct pa_node_entry *entry, bool artifact,
                         struct ir_argument *ret, struct pa_error *err)
{
	const struct pa_node *node = entry->value;

	*ret = (struct ir_argument){.name = entry->key->text, .artifact = artifact, .node = entry->key};
	if (pa_node_is_null(node))
		return 0;
	if (!pa_node_is_mapping(node))
		return pa_node_error(node, err,
		                     "the input '%.100s' must be a map that says where its value comes from; "
		                     "correct the file",
		                     ret->name);
	int rc = ir_read_text(node, "parameterExpressionSelector", &ret->selector, err);
	if (rc < 0)
		return rc;
	return artifact ? read_artifact_source(node, ret, err)
	                : ir_read_parameter_source(budget, node, ret, err);
}

static int read_arguments(const struct pa_budget *budget, const struct pa_node *node, struct ir_call *call,
                          struct pa_error *err)
{
	const struct pa_node *both, *lists[2];
	int rc = ir_read_mapping(node, "inputs", &both, err);

	if (rc == 0)
		rc = ir_read_mapping(both, "parameters", &lists[0], err);
	if (rc == 0)
		rc = ir_read_mapping(both, "artifacts", &lists[1], err);
	if (rc < 0)
		return rc;
	size_t count = (lists[0] == NULL ? 0 : lists[0]->count) + (lists[1] == NULL ? 0 : lists[1]->count);
	rc = pa_budget_check(budget, count * sizeof(*call->arguments), node, err);
	if (rc < 0)
		return rc;
	call->arguments = pa_arena_array(budget->arena, count, sizeof(*call->arguments));
	for (size_t list = 0; list < 2; list++) {
		struct pa_name_table *table = list == 0 ? &call->parameters : &call->artifacts;
		for (uint32_t i = 0; lists[list] != NULL && i < lists[list]->count && rc == 0; i++) {
			struct ir_argument *argument = &call->arguments[call->argument_count];
			rc = read_argument(budget, &lists[list]->entries[i], list == 1, argument, err);
			pa_name_table_put(table, argument->name, call->argument_count++);
		}
	}
	return rc;
}

static int read_trigger(const struct pa_node *node, struct ir_call *call, struct pa_error *err)
{
	const struct pa_node *trigger;
	const char *strategy;
	int rc = ir_read_mapping(node, "triggerPolicy", &trigger, err);

	if (rc == 0)
		rc = ir_read_text(trigger, "condition", &call->condition, err);
	if (rc == 0)
		rc = ir_read_text(trigger, "strategy", &strategy, err);
	if (rc == 0)
		call->runs_regardless =
		    strategy != NULL && strcmp(strategy, "ALL_UPSTREAM_TASKS_COMPLETED") == 0;
	return rc;
}

static int read_iterator(const struct pa_node *node, const char *key, const char *input_key,
                         struct ir_call *call, struct pa_error *err)
{
	const struct pa_node *iterator, *items;
	int rc = ir_read_mapping(node, key, &iterator, err);

	if (rc < 0 || iterator == NULL)
		return rc;
	rc = ir_read_text(iterator, "itemInput", &call->loop_item, err);
	if (rc == 0)
		rc = ir_read_mapping(iterator, "items", &items, err);
	if (rc == 0)
		rc = ir_read_text(items, input_key, &call->loop_list, err);
	if (rc == 0)
		rc = ir_read_text(items, "raw", &call->loop_raw, err);
	if (rc == 0 && call->loop_item == NULL)
		return pa_node_error(iterator, err,
		                     "%s lacks itemInput, the input that gets the item; add it", key);
	return rc;
}

static int read_settings(const struct pa_node *node, struct ir_call *call, struct pa_error *err)
{
	const struct pa_node *caching, *retry;
	const char *limit;
	int rc = ir_read_mapping(node, "cachingOptions", &caching, err);

	if (rc == 0)
		rc = ir_read_mapping(node, "retryPolicy", &retry, err);
	if (rc == 0)
		rc = ir_read_text(retry, "maxRetryCount", &limit, err);
	if (rc < 0)
		return rc;
	call->caching = pa_node_is_true(pa_node_get(caching, "enableCache"));
	if (limit == NULL)
		return 0;
	/* JSON writers of numbers make 2.0 of 2. */
	char *rest;
	double count = strtod(limit, &rest);
	if (rest == limit || *rest != '\0' || !(count >= 0 && count <= INT32_MAX))
		return pa_node_error(pa_node_get(retry, "maxRetryCount"), err,
		                     "maxRetryCount must be a number of retries, not '%.60s'; correct it",
		                     limit);
	call->retries = (int64_t)count;
	return 0;
}

int ir_read_call(const struct pa_budget *budget, const struct pa_node_entry *entry, struct ir_call *ret,
                 struct pa_error *err)
{
	const struct pa_node *node = entry->value, *reference;

	*ret = (struct ir_call){.key = entry->key->text, .node = entry->key};
	pa_name_table_init(&ret->parameters, budget->arena);
	pa_name_table_init(&ret->artifacts, budget->arena);
	if (!pa_node_is_mapping(node))
		return pa_node_error(node, err, "the task '%.100s' must be a map; correct the file",
		                     ret->key);
	if (ret->key[0] == '\0')
		return pa_node_error(entry->key, err, "a task has an empty name; give it one");
	int rc = ir_read_mapping(node, "componentRef", &reference, err);
	if (rc == 0)
		rc = ir_read_text(reference, "name", &ret->component, err);
	if (rc == 0 && ret->component == NULL)
		return pa_node_error(
		    node, err, "the task '%.100s' has no componentRef.name; name the component that it runs",
		    ret->key);
	if (rc == 0)
		rc = ir_read_sequence(node, "dependentTasks", &ret->dependencies, err);
	if (rc == 0)
		rc = read_arguments(budget, node, ret, err);
	if (rc == 0)
		rc = read_trigger(node, ret, err);
	if (rc == 0)
		rc = read_iterator(node, "parameterIterator", "inputParameter", ret, err);
	if (rc == 0 && ret->loop_item == NULL) {
		rc = read_iterator(node, "artifactIterator", "inputArtifact", ret, err);
		ret->loop_artifact = ret->loop_item != NULL;
	}
	return rc < 0 ? rc : read_settings(node, ret, err);
}

static int add_wait(const struct pa_budget *budget, const struct ir_component *component,
                    struct pa_call_waits *waits, const char *producer, const struct pa_node *at,
                    struct pa_error *err)
{
	size_t call = pa_name_table_get(&component->call_index, producer);

	if (call == SIZE_MAX)
		return pa_node_error(
		    at, err,
		    "'%.100s' depends on the task '%.100s', which '%.100s' does not have; correct the "
		    "name",
		    waits->key, producer, component->name);
	return pa_call_waits_add(budget, waits, call, err);
}

static int collect_waits(const struct pa_budget *budget, const struct ir_component *component,
                         const struct ir_call *call, struct pa_call_waits *waits, struct pa_error *err)
{
	int rc = 0;

	*waits = (struct pa_call_waits){.key = call->key, .node = call->node};
	for (uint32_t i = 0; call->dependencies != NULL && i < call->dependencies->count && rc == 0; i++) {
		const struct pa_node *name = call->dependencies->items[i];
		if (pa_node_text(name) == NULL)
			return pa_node_error(name, err, "dependentTasks must name tasks; correct the file");
		rc = add_wait(budget, component, waits, name->text, name, err);
	}
	for (size_t i = 0; i < call->argument_count && rc == 0; i++) {
		const struct ir_argument *argument = &call->arguments[i];
		if (argument->producer != NULL)
			rc = add_wait(budget, component, waits, argument->producer, argument->node, err);
	}
	return rc;
}

int ir_order_calls(const struct pa_budget *budget, struct ir_component *component, struct pa_error *err)
{
	size_t count = component->call_count;
	size_t size = sizeof(*component->waits) + 4 * sizeof(size_t) + 2 * sizeof(bool);
	int rc = pa_budget_check(budget, count * size, component->node, err);

	if (rc < 0)
		return rc;
	component->waits = pa_arena_array(budget->arena, count, sizeof(*component->waits));
	component->order = pa_arena_array(budget->arena, count, sizeof(*component->order));
	component->last = pa_arena_array(budget->arena, count, sizeof(*component->last));
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = collect_waits(budget, component, &component->calls[i], &component->waits[i], err);
	return rc < 0
	           ? rc
	           : pa_call_order(budget, component->waits, count, component->order, component->last, err);
}
