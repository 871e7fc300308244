/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls of one template wait for: `dependencies`, `depends`, groups of steps, and references. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"
#include "pipeline/depends.h"

struct waiting {
	struct argo_analysis *analysis;
	const struct pa_template *template;
	struct argo_graph *graph;
	size_t call;
	bool reference; /* for the message */
};

static int add_wait(struct waiting *waiting, const char *name, const struct pa_node *at, struct pa_error *err)
{
	const struct pa_call *call = &waiting->template->calls[waiting->call];
	struct pa_call_waits *waits = &waiting->graph->waits[waiting->call];
	size_t other = pa_name_table_get(&waiting->graph->calls, name);

	if (other == SIZE_MAX)
		return pa_node_error(at, err,
		                     "'%.100s' %s '%.100s', and no task here has that name; correct it",
		                     call->key, waiting->reference ? "refers to" : "depends on", name);
	bool steps = waiting->template->kind == PA_TEMPLATE_STEPS;
	if (steps && waiting->template->calls[other].group >= call->group)
		return pa_node_error(
		    at, err, "'%.100s' refers to '%.100s', which has not ended then; put it in a later group",
		    call->key, name);
	return pa_call_waits_add(&waiting->analysis->findings.budget, waits, other, err);
}

static int visit_reference(void *context, const struct argo_reference *reference, struct pa_error *err)
{
	struct waiting *waiting = context;

	if (reference->task == NULL)
		return 0;
	return add_wait(waiting, reference->task, waiting->template->calls[waiting->call].node, err);
}

static int wait_for_text(struct waiting *waiting, const char *text, struct pa_error *err)
{
	return argo_reference_each(waiting->analysis->findings.budget.arena, text, visit_reference, waiting,
	                           err);
}

/* All texts in a list or map; recursion ends at PA_NODE_MAX_DEPTH. */
static int wait_for_node(struct waiting *waiting, const struct pa_node *node, struct pa_error *err)
{
	int rc = 0;

	if (node == NULL)
		return 0;
	if (node->kind == PA_NODE_SCALAR)
		return wait_for_text(waiting, node->text, err);
	for (uint32_t i = 0; i < node->count && rc == 0; i++)
		rc = wait_for_node(
		    waiting, node->kind == PA_NODE_SEQUENCE ? node->items[i] : node->entries[i].value, err);
	return rc;
}

static int wait_for_references(struct waiting *waiting, const struct pa_call *call, struct pa_error *err)
{
	struct pa_arena *arena = waiting->analysis->findings.budget.arena;
	int rc;

	waiting->reference = true;
	rc = wait_for_text(waiting, call->when, err);
	if (rc == 0)
		rc = wait_for_text(waiting, call->with_param, err);
	if (rc == 0)
		rc = wait_for_node(waiting, call->with_items, err);
	if (rc == 0)
		rc = wait_for_node(waiting, call->with_sequence, err);
	for (size_t i = 0; i < call->parameter_count && rc == 0; i++) {
		rc = wait_for_text(waiting, call->parameters[i].value, err);
		if (rc == 0)
			rc = argo_expression_each(arena, call->parameters[i].from_expression, visit_reference,
			                          waiting, err);
	}
	for (size_t i = 0; i < call->artifact_count && rc == 0; i++) {
		const struct pa_artifact *artifact = &call->artifacts[i];
		rc = wait_for_text(waiting, artifact->from, err);
		if (rc == 0)
			rc = wait_for_text(waiting, artifact->raw, err);
		if (rc == 0)
			rc = wait_for_text(waiting, artifact->uri, err);
		if (rc == 0)
			rc = argo_expression_each(arena, artifact->from_expression, visit_reference, waiting,
			                          err);
	}
	return rc;
}

static int wait_for_depends(struct waiting *waiting, const struct pa_call *call, struct pa_error *err)
{
	const struct pa_node *at = pa_node_get(call->node, "depends");
	struct pa_depends *depends;
	size_t count;

	int rc = pa_depends_parse(waiting->analysis->findings.budget.arena, call->depends, &depends, err);
	if (rc < 0)
		return pa_error_wrap(err, "%s:%u:%u", at->file, at->line, at->column);
	const char *const *names = pa_depends_names(depends, &count);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = add_wait(waiting, names[i], at, err);
	return rc;
}

static int collect_waits(struct waiting *waiting, struct pa_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < waiting->template->call_count && rc == 0; i++) {
		const struct pa_call *call = &waiting->template->calls[i];
		const struct pa_node *list = pa_node_get(call->node, "dependencies");
		waiting->graph->waits[i].key = call->key;
		waiting->graph->waits[i].node = call->node;
		waiting->call = i;
		waiting->reference = false;
		for (size_t j = 0; j < call->dependency_count && rc == 0; j++)
			rc = add_wait(waiting, call->dependencies[j], list->items[j], err);
		if (rc == 0 && call->depends != NULL)
			rc = wait_for_depends(waiting, call, err);
		if (rc == 0)
			rc = wait_for_references(waiting, call, err);
	}
	return rc;
}

/* dag.target keeps its tasks and what they wait for, and leaves the others out. */
static int apply_target(struct argo_analysis *analysis, const struct pa_template *template,
                        struct argo_graph *graph, const char *target, struct pa_error *err)
{
	char *targets = pa_arena_strdup(analysis->findings.budget.arena, target);
	char *rest = NULL;

	for (size_t i = 0; i < template->call_count; i++)
		graph->left_out[i] = true;
	for (char *name = strtok_r(targets, " \t\r\n,", &rest); name != NULL;
	     name = strtok_r(NULL, " \t\r\n,", &rest)) {
		size_t call = pa_name_table_get(&graph->calls, name);
		if (call == SIZE_MAX)
			return pa_node_error(template->node, err,
			                     "the target '%.100s' is no task of '%.100s'; correct dag.target",
			                     name, template->name == NULL ? "the DAG" : template->name);
		graph->left_out[call] = false;
	}
	for (size_t i = template->call_count; i-- > 0;) {
		size_t call = graph->order[i];
		for (size_t j = 0; !graph->left_out[call] && j < graph->waits[call].count; j++)
			graph->left_out[graph->waits[call].calls[j]] = false;
	}
	for (size_t i = 0; i < template->call_count; i++)
		graph->last[i] = !graph->left_out[i];
	for (size_t i = 0; i < template->call_count; i++) {
		for (size_t j = 0; !graph->left_out[i] && j < graph->waits[i].count; j++)
			graph->last[graph->waits[i].calls[j]] = false;
	}
	return 0;
}

int argo_graph_with_target(struct argo_analysis *analysis, struct argo_instance *instance,
                           struct pa_error *err)
{
	const struct pa_template *template = instance->template;
	struct pa_arena *arena = analysis->findings.budget.arena;
	size_t bytes = sizeof(struct argo_graph) + 2 * template->call_count;
	const char *target;

	if (template->dag_target == NULL)
		return 0;
	int rc = argo_expand(analysis, instance, template->dag_target, &target, err);
	if (rc == 0 && !argo_is_known(target))
		return pa_findings_unresolved(&analysis->findings, template->node, err,
		                              "dag.target %s: which tasks run is known only in a run",
		                              target);
	if (rc == 0)
		rc = pa_budget_check(&analysis->findings.budget, bytes, template->node, err);
	if (rc < 0)
		return rc;
	struct argo_graph *own = pa_arena_alloc(arena, sizeof(*own));
	*own = *instance->graph;
	own->last = pa_arena_array(arena, template->call_count, sizeof(*own->last));
	own->left_out = pa_arena_array(arena, template->call_count, sizeof(*own->left_out));
	instance->graph = own;
	return apply_target(analysis, template, own, target, err);
}

static int index_names(struct argo_analysis *analysis, const struct pa_template *template,
                       struct argo_graph *graph, struct pa_error *err)
{
	struct pa_arena *arena = analysis->findings.budget.arena;

	pa_name_table_init(&graph->calls, arena);
	for (size_t i = 0; i < template->call_count; i++) {
		size_t first = pa_name_table_put(&graph->calls, template->calls[i].key, i);
		if (first != SIZE_MAX)
			return pa_node_error(
			    template->calls[i].node, err,
			    "two tasks have the name '%.100s' (the first in line %u); rename one",
			    template->calls[i].key, template->calls[first].node->line);
	}
	pa_name_table_init(&graph->input_parameters, arena);
	for (size_t i = 0; i < template->input_parameter_count; i++)
		pa_name_table_put(&graph->input_parameters, template->input_parameters[i].name, i);
	pa_name_table_init(&graph->input_artifacts, arena);
	for (size_t i = 0; i < template->input_artifact_count; i++)
		pa_name_table_put(&graph->input_artifacts, template->input_artifacts[i].name, i);
	pa_name_table_init(&graph->output_parameters, arena);
	for (size_t i = 0; i < template->output_parameter_count; i++)
		pa_name_table_put(&graph->output_parameters, template->output_parameters[i].name, i);
	pa_name_table_init(&graph->output_artifacts, arena);
	for (size_t i = 0; i < template->output_artifact_count; i++)
		pa_name_table_put(&graph->output_artifacts, template->output_artifacts[i].name, i);
	return pa_budget_check(&analysis->findings.budget, 0, template->node, err);
}

static int build_graph(struct argo_analysis *analysis, const struct pa_template *template,
                       struct argo_graph *graph, struct pa_error *err)
{
	struct waiting waiting = {.analysis = analysis, .template = template, .graph = graph};
	struct pa_arena *arena = analysis->findings.budget.arena;
	int rc = index_names(analysis, template, graph, err);

	if (rc < 0)
		return rc;
	graph->waits = pa_arena_array(arena, template->call_count, sizeof(*graph->waits));
	graph->order = pa_arena_array(arena, template->call_count, sizeof(*graph->order));
	graph->last = pa_arena_array(arena, template->call_count, sizeof(*graph->last));
	graph->left_out = pa_arena_array(arena, template->call_count, sizeof(*graph->left_out));
	rc = collect_waits(&waiting, err);
	return rc < 0 ? rc
	              : pa_call_order(&analysis->findings.budget, graph->waits, template->call_count,
	                              graph->order, graph->last, err);
}

int argo_graph_of(struct argo_analysis *analysis, const struct pa_template *template, struct argo_graph **ret,
                  struct pa_error *err)
{
	struct argo_library *library = analysis->library;

	while (template->number >= library->graph_capacity)
		library->graphs = pa_arena_grow(library->arena, library->graphs, library->graph_capacity,
		                                &library->graph_capacity, sizeof(*library->graphs));
	if (library->graphs[template->number] == NULL) {
		struct argo_graph *graph = pa_arena_alloc(library->arena, sizeof(*graph));
		int rc = build_graph(analysis, template, graph, err);
		if (rc < 0)
			return rc;
		library->graphs[template->number] = graph;
	}
	*ret = library->graphs[template->number];
	return 0;
}
