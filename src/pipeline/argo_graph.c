/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls of one template wait for: `dependencies`, `depends`, groups of steps, and references. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"
#include "pipeline/depends.h"

#define CYCLE_TEXT_BYTES 600

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
	struct argo_waits *waits = &waiting->graph->waits[waiting->call];
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
	int rc = argo_budget_check(&waiting->analysis->budget, 0, at, err);
	if (rc < 0)
		return rc;
	waits->calls = pa_arena_grow(waiting->analysis->budget.arena, waits->calls, waits->count,
	                             &waits->capacity, sizeof(*waits->calls));
	waits->calls[waits->count++] = other;
	return 0;
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
	return argo_reference_each(waiting->analysis->budget.arena, text, visit_reference, waiting, err);
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
	struct pa_arena *arena = waiting->analysis->budget.arena;
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

	int rc = pa_depends_parse(waiting->analysis->budget.arena, call->depends, &depends, err);
	if (rc < 0)
		return pa_error_wrap(err, "%s:%u:%u", at->file, at->line, at->column);
	const char *const *names = pa_depends_names(depends, &count);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = add_wait(waiting, names[i], at, err);
	return rc;
}

static int compare_numbers(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return x < y ? -1 : x > y;
}

static void sort_waits(struct argo_waits *waits)
{
	size_t kept = 0;

	if (waits->count < 2)
		return;
	qsort(waits->calls, waits->count, sizeof(*waits->calls), compare_numbers);
	for (size_t i = 1; i < waits->count; i++) {
		if (waits->calls[i] != waits->calls[kept])
			waits->calls[++kept] = waits->calls[i];
	}
	waits->count = kept + 1;
}

static int collect_waits(struct waiting *waiting, struct pa_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < waiting->template->call_count && rc == 0; i++) {
		const struct pa_call *call = &waiting->template->calls[i];
		const struct pa_node *list = pa_node_get(call->node, "dependencies");
		waiting->call = i;
		waiting->reference = false;
		for (size_t j = 0; j < call->dependency_count && rc == 0; j++)
			rc = add_wait(waiting, call->dependencies[j], list->items[j], err);
		if (rc == 0 && call->depends != NULL)
			rc = wait_for_depends(waiting, call, err);
		if (rc == 0)
			rc = wait_for_references(waiting, call, err);
		sort_waits(&waiting->graph->waits[i]);
	}
	return rc;
}

/* Some calls are left: from any of them, waits lead round. */
static int cycle_error(const struct waiting *waiting, const bool *ready, struct pa_error *err)
{
	const struct pa_template *template = waiting->template;
	bool *seen = pa_arena_array(waiting->analysis->budget.arena, template->call_count, sizeof(*seen));
	char text[CYCLE_TEXT_BYTES];
	size_t at = 0, length = 0;

	while (ready[at])
		at++;
	size_t first = at;
	for (int round = 0; round < 2; round++) {
		/* The first walk ends on the cycle; the second names what is on it. */
		memset(seen, 0, template->call_count * sizeof(*seen));
		length = 0;
		at = first;
		while (!seen[at]) {
			const struct argo_waits *waits = &waiting->graph->waits[at];
			size_t next = 0;
			seen[at] = true;
			if (length < sizeof(text) - 1)
				length += (size_t)snprintf(text + length, sizeof(text) - length,
				                           "'%.60s' after ", template->calls[at].key);
			while (ready[waits->calls[next]])
				next++;
			at = waits->calls[next];
		}
		first = at;
	}
	if (length >= sizeof(text) - 1)
		length = sizeof(text) - 1;
	return pa_node_error(
	    template->calls[first].node, err,
	    "tasks wait for each other in a circle: %.*s'%.60s'; remove one of these dependencies",
	    (int)length, text, template->calls[first].key);
}

/* Kahn's algorithm, in the file's order where there is a choice. */
static int find_order(const struct waiting *waiting, struct pa_error *err)
{
	struct pa_arena *arena = waiting->analysis->budget.arena;
	struct argo_graph *graph = waiting->graph;
	size_t count = waiting->template->call_count, total = 0, done = 0, queued = 0;
	size_t *missing = pa_arena_array(arena, count, sizeof(*missing));
	size_t *start = pa_arena_array(arena, count + 1, sizeof(*start));
	bool *ready = pa_arena_array(arena, count, sizeof(*ready));

	for (size_t i = 0; i < count; i++) {
		missing[i] = graph->waits[i].count;
		total += missing[i];
		for (size_t j = 0; j < missing[i]; j++)
			start[graph->waits[i].calls[j] + 1]++;
	}
	for (size_t i = 0; i < count; i++) {
		graph->last[i] = start[i + 1] == 0;
		start[i + 1] += start[i];
	}
	size_t *followers = pa_arena_array(arena, total, sizeof(*followers));
	size_t *fill = pa_arena_array(arena, count, sizeof(*fill));
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < graph->waits[i].count; j++) {
			size_t other = graph->waits[i].calls[j];
			followers[start[other] + fill[other]++] = i;
		}
		if (missing[i] == 0)
			graph->order[queued++] = i;
	}
	for (; done < queued; done++) {
		size_t call = graph->order[done];
		ready[call] = true;
		for (size_t j = start[call]; j < start[call + 1]; j++) {
			if (--missing[followers[j]] == 0)
				graph->order[queued++] = followers[j];
		}
	}
	return done == count ? 0 : cycle_error(waiting, ready, err);
}

/* dag.target keeps its tasks and what they wait for, and leaves the others out. */
static int apply_target(const struct waiting *waiting, struct pa_error *err)
{
	const struct pa_template *template = waiting->template;
	struct argo_graph *graph = waiting->graph;
	char *targets = pa_arena_strdup(waiting->analysis->budget.arena, template->dag_target);
	char *rest = NULL;

	if (strstr(targets, "{{") != NULL)
		return 0;
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

static int index_names(struct argo_analysis *analysis, const struct pa_template *template,
                       struct argo_graph *graph, struct pa_error *err)
{
	struct pa_arena *arena = analysis->budget.arena;

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
	return argo_budget_check(&analysis->budget, 0, template->node, err);
}

static int build_graph(struct argo_analysis *analysis, const struct pa_template *template,
                       struct argo_graph *graph, struct pa_error *err)
{
	struct waiting waiting = {.analysis = analysis, .template = template, .graph = graph};
	struct pa_arena *arena = analysis->budget.arena;
	int rc = index_names(analysis, template, graph, err);

	if (rc < 0)
		return rc;
	graph->waits = pa_arena_array(arena, template->call_count, sizeof(*graph->waits));
	graph->order = pa_arena_array(arena, template->call_count, sizeof(*graph->order));
	graph->last = pa_arena_array(arena, template->call_count, sizeof(*graph->last));
	graph->left_out = pa_arena_array(arena, template->call_count, sizeof(*graph->left_out));
	rc = collect_waits(&waiting, err);
	if (rc == 0 && template->kind == PA_TEMPLATE_STEPS) {
		/* References go to earlier groups only, so the order written is one without circles. */
		for (size_t i = 0; i < template->call_count; i++)
			graph->order[i] = i;
	} else if (rc == 0) {
		rc = find_order(&waiting, err);
	}
	if (rc == 0 && template->dag_target != NULL)
		rc = apply_target(&waiting, err);
	return rc;
}

int argo_graph_of(struct argo_analysis *analysis, const struct pa_template *template, struct argo_graph **ret,
                  struct pa_error *err)
{
	struct pa_arena *arena = analysis->budget.arena;

	while (template->number >= analysis->graph_capacity)
		analysis->graphs = pa_arena_grow(arena, analysis->graphs, analysis->graph_capacity,
		                                 &analysis->graph_capacity, sizeof(*analysis->graphs));
	if (analysis->graphs[template->number] == NULL) {
		struct argo_graph *graph = pa_arena_alloc(arena, sizeof(*graph));
		int rc = build_graph(analysis, template, graph, err);
		if (rc < 0)
			return rc;
		analysis->graphs[template->number] = graph;
	}
	*ret = analysis->graphs[template->number];
	return 0;
}
