/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: tasks of a DAG, steps, hooks. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_read_internal.h"

static int read_arguments(struct argo_reader *reader, const struct pa_node *node, struct pa_call *call,
                          struct pa_error *err)
{
	const struct pa_node *arguments;
	int rc = argo_read_mapping(node, "arguments", &arguments, err);

	if (rc == 0)
		rc = argo_read_parameters(reader, pa_node_get(arguments, "parameters"), &call->parameters,
		                          &call->parameter_count, err);
	if (rc == 0)
		rc = argo_read_artifacts(reader, pa_node_get(arguments, "artifacts"), &call->artifacts,
		                         &call->artifact_count, err);
	return rc;
}

static int read_loop(struct argo_reader *reader, const struct pa_node *node, struct pa_call *call,
                     struct pa_error *err)
{
	const struct pa_node *items = pa_node_get(node, "withItems");
	const char *expression = NULL;
	int rc = argo_read_value(reader, node, "withParam", &call->with_param, err);

	if (rc == 0)
		rc = argo_read_mapping(node, "withSequence", &call->with_sequence, err);
	if (rc == 0)
		rc = argo_read_text(node, "withExpression", &expression, err);
	if (rc == 0 && expression != NULL)
		call->with_param = pa_arena_printf(reader->budget.arena, "{{=%s}}", expression);
	if (rc < 0 || pa_node_is_null(items))
		return rc;
	if (pa_node_is_sequence(items))
		call->with_items = items;
	else if (pa_node_is_mapping(items))
		return pa_node_error(items, err, "'withItems' is a map; write a list there");
	else /* "{{inputs.parameters.list}}": a list that is known later */
		call->with_param = pa_node_text(items);
	return 0;
}

/* What is called: a template of this file, of another, or one written in place. */
static int read_callee(struct argo_reader *reader, const struct pa_node *node, struct pa_call *call,
                       struct pa_error *err)
{
	const struct pa_node *inline_node;
	int rc = argo_read_text(node, "template", &call->template_name, err);

	if (rc == 0)
		rc = argo_read_mapping(node, "templateRef", &call->template_ref, err);
	if (rc == 0)
		rc = argo_read_mapping(node, "inline", &inline_node, err);
	if (rc < 0)
		return rc;
	if (call->template_ref != NULL) {
		call->template_name = NULL;
	} else if (inline_node != NULL) {
		rc = pa_budget_check(&reader->budget, sizeof(struct pa_template), node, err);
		if (rc < 0)
			return rc;
		call->inline_template = pa_arena_alloc(reader->budget.arena, sizeof(*call->inline_template));
		return argo_read_template(reader, inline_node, false, call->inline_template, err);
	} else if (call->template_name == NULL) {
		return pa_node_error(node, err,
		                     "'%s' names no template; give it 'template', 'templateRef' or 'inline'",
		                     call->key);
	}
	return 0;
}

int argo_read_call(struct argo_reader *reader, const struct pa_node *node, struct pa_call *call,
                   struct pa_error *err)
{
	const struct pa_node *go_on;

	if (!pa_node_is_mapping(node))
		return pa_node_error(node, err,
		                     "a task is no map; write one with a name and a template there");
	call->node = node;
	int rc = argo_read_text(node, "name", &call->key, err);
	if (rc == 0 && (call->key == NULL || *call->key == '\0'))
		return pa_node_error(node, err, "a task has no name; give it one");
	if (rc == 0)
		rc = read_callee(reader, node, call, err);
	if (rc == 0)
		rc = argo_read_texts(reader, node, "dependencies", &call->dependencies,
		                     &call->dependency_count, err);
	if (rc == 0)
		rc = argo_read_text(node, "depends", &call->depends, err);
	if (rc == 0 && call->depends != NULL && call->dependency_count > 0)
		return pa_node_error(node, err, "'%s' has both 'depends' and 'dependencies'; keep one",
		                     call->key);
	if (rc == 0)
		rc = argo_read_text(node, "when", &call->when, err);
	if (rc == 0)
		rc = read_loop(reader, node, call, err);
	if (rc == 0)
		rc = read_arguments(reader, node, call, err);
	if (rc == 0)
		rc = argo_read_text(node, "onExit", &call->on_exit, err);
	if (rc == 0)
		rc = argo_read_mapping(node, "hooks", &call->hooks, err);
	if (rc == 0)
		rc = argo_read_mapping(node, "continueOn", &go_on, err);
	if (rc < 0)
		return rc;
	call->continue_on_failed = pa_node_is_true(pa_node_get(go_on, "failed"));
	call->continue_on_error = pa_node_is_true(pa_node_get(go_on, "error"));
	return 0;
}

int argo_read_hook(struct argo_reader *reader, const struct pa_node *node, const char *key,
                   struct pa_call *ret, struct pa_error *err)
{
	if (!pa_node_is_mapping(node))
		return pa_node_error(node, err, "the hook '%s' is no map; write one with a template there",
		                     key);
	ret->key = key;
	ret->node = node;
	int rc = read_callee(reader, node, ret, err);
	if (rc == 0)
		rc = read_arguments(reader, node, ret, err);
	if (rc == 0)
		rc = argo_read_text(node, "expression", &ret->when, err);
	/* A hook's expression is written without braces. */
	if (rc == 0 && ret->when != NULL && strstr(ret->when, "{{") == NULL)
		ret->when = pa_arena_printf(reader->budget.arena, "{{=%s}}", ret->when);
	return rc;
}
