/* SPDX-License-Identifier: Apache-2.0 */
/* Where a value comes from, followed through any number of nested DAGs to the task that makes it. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_analysis_internal.h"

#define STATUS_OUTPUT "status" /* what taskFinalStatus takes of a task */

static int add_output(struct ir_analysis *analysis, struct ir_place *place, const char *name, bool artifact,
                      struct ir_origins *origins, struct pa_error *err);

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static const struct pa_node *place_node(const struct ir_analysis *analysis, const struct ir_place *place)
{
	return place->call == NULL ? analysis->spec->node : place->call->node;
}

static int add_origin(struct ir_analysis *analysis, const struct ir_place *place, struct ir_origins *origins,
                      struct pa_origin origin, struct pa_error *err)
{
	for (size_t i = 0; i < origins->count; i++) {
		const struct pa_origin *other = &origins->items[i];
		if (other->kind == origin.kind && same_text(other->task, origin.task) &&
		    same_text(other->output, origin.output) && same_text(other->text, origin.text))
			return 0;
	}
	if (origins->count == IR_MAX_ORIGINS)
		return pa_node_error(place_node(analysis, place), err,
		                     "one value comes from more than %d places; split it", IR_MAX_ORIGINS);
	if (origins->capacity == 0) {
		/* Most values come from one place. */
		origins->items = pa_arena_alloc(analysis->budget->arena, sizeof(*origins->items));
		origins->capacity = 1;
	}
	origins->items = pa_arena_grow(analysis->budget->arena, origins->items, origins->count,
	                               &origins->capacity, sizeof(*origins->items));
	origins->items[origins->count++] = origin;
	return pa_budget_check(analysis->budget, 0, place_node(analysis, place), err);
}

static int add_origins(struct ir_analysis *analysis, const struct ir_place *place, struct ir_origins *origins,
                       const struct ir_origins *from, struct pa_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < from->count && rc == 0; i++)
		rc = add_origin(analysis, place, origins, from->items[i], err);
	return rc;
}

/* The origins of a DAG's output, found once. */
static int find_output(struct ir_analysis *analysis, struct ir_place *place, size_t index,
                       struct pa_error *err)
{
	const struct ir_output *output = &place->component->dag_outputs[index];
	struct ir_origins *origins = &place->output_origins[index];
	int rc = 0;

	if (origins->done || origins->busy)
		return 0;
	origins->busy = true;
	for (size_t i = 0; i < output->selector_count && rc == 0; i++) {
		const struct ir_selector *selector = &output->selectors[i];
		size_t call = pa_name_table_get(&place->component->call_index, selector->producer);
		rc = add_output(analysis, &place->places[call], selector->output, output->artifact, origins,
		                err);
	}
	origins->busy = false;
	origins->done = true;
	return rc;
}

static int add_output(struct ir_analysis *analysis, struct ir_place *place, const char *name, bool artifact,
                      struct ir_origins *origins, struct pa_error *err)
{
	const struct ir_component *component = place->component;
	size_t index;

	if (place->task != SIZE_MAX)
		return add_origin(analysis, place, origins,
		                  (struct pa_origin){.kind = PA_ORIGIN_TASK,
		                                     .task = analysis->models[place->task].id,
		                                     .output = name},
		                  err);
	if (component == NULL)
		return 0;
	index =
	    pa_name_table_get(artifact ? &component->output_artifacts : &component->output_parameters, name);
	if (index == SIZE_MAX)
		return pa_findings_unresolved(analysis->findings, place_node(analysis, place), err,
		                              "output %s, which the DAG of '%s' does not give", name,
		                              component->name);
	int rc = find_output(analysis, place, index, err);
	return rc < 0 ? rc : add_origins(analysis, place, origins, &place->output_origins[index], err);
}

/* A constant's references; with none but constants, the text itself. */
static int add_constant(struct ir_analysis *analysis, struct ir_place *place, const char *text,
                        struct ir_origins *origins, struct pa_error *err)
{
	size_t before = origins->count, offset = 0;
	struct ir_reference reference;
	bool constant = true;
	const char *filled;
	int rc = 0;

	if (text == NULL)
		return 0;
	while (rc == 0 && ir_reference_next(text, offset, &reference)) {
		const struct ir_origins *found;
		const char *name =
		    pa_arena_strndup(analysis->budget->arena, reference.name, reference.name_bytes);
		size_t input = ir_find_input(place, name, false);
		offset = reference.end;
		constant = constant && input != SIZE_MAX;
		if (input == SIZE_MAX)
			continue;
		rc = ir_input_origins(analysis, place, input, &found, err);
		if (rc == 0)
			rc = add_origins(analysis, place, origins, found, err);
	}
	for (size_t i = before; i < origins->count; i++)
		constant = constant && origins->items[i].kind == PA_ORIGIN_CONSTANT;
	if (rc < 0 || (!constant && origins->count > before))
		return rc;
	rc = ir_fill(analysis, place, text, &filled, err);
	if (rc < 0)
		return rc;
	origins->count = before;
	return add_origin(analysis, place, origins,
	                  (struct pa_origin){.kind = PA_ORIGIN_CONSTANT, .text = filled}, err);
}

static int add_of_producer(struct ir_analysis *analysis, struct ir_place *place,
                           const struct ir_argument *argument, struct ir_origins *origins,
                           struct pa_error *err)
{
	size_t call = pa_name_table_get(&place->parent->component->call_index, argument->producer);

	if (call == SIZE_MAX)
		return 0;
	struct ir_place *producer = &place->parent->places[call];
	if (argument->source == IR_TASK_OUTPUT)
		return add_output(analysis, producer, argument->text, argument->artifact, origins, err);
	/* The end of a group is nobody's output. */
	return producer->task == SIZE_MAX
	           ? 0
	           : add_output(analysis, producer, STATUS_OUTPUT, false, origins, err);
}

static int add_of_input(struct ir_analysis *analysis, struct ir_place *place,
                        const struct ir_argument *argument, struct ir_origins *origins, struct pa_error *err)
{
	size_t input = ir_find_input(place->parent, argument->text, argument->artifact);
	const struct ir_origins *found;

	if (input == SIZE_MAX)
		return pa_findings_unresolved(analysis->findings, argument->node, err,
		                              "input %s, which '%s' does not have", argument->text,
		                              place->parent->component->name);
	int rc = ir_input_origins(analysis, place->parent, input, &found, err);
	return rc < 0 ? rc : add_origins(analysis, place, origins, found, err);
}

int ir_argument_origins(struct ir_analysis *analysis, struct ir_place *place,
                        const struct ir_argument *argument, struct ir_origins *origins, struct pa_error *err)
{
	switch (argument->source) {
	case IR_TASK_OUTPUT:
	case IR_TASK_STATUS:
		return place->parent == NULL ? 0 : add_of_producer(analysis, place, argument, origins, err);
	case IR_INPUT:
		return place->parent == NULL ? 0 : add_of_input(analysis, place, argument, origins, err);
	case IR_CONSTANT:
		return add_constant(analysis, place, argument->text, origins, err);
	case IR_PARAMETER_VALUE:
		return add_origin(analysis, place, origins,
		                  (struct pa_origin){.kind = PA_ORIGIN_PARAMETER, .text = argument->text},
		                  err);
	default:
		return 0;
	}
}

/* An item comes from wherever its list does. */
static int add_item(struct ir_analysis *analysis, struct ir_place *place, struct ir_origins *origins,
                    struct pa_error *err)
{
	const struct ir_call *call = place->call;
	size_t list =
	    call->loop_list == NULL ? SIZE_MAX : ir_find_input(place, call->loop_list, call->loop_artifact);
	const struct ir_origins *found;

	if (list != SIZE_MAX && !place->inputs[list].item) {
		int rc = ir_input_origins(analysis, place, list, &found, err);
		for (size_t i = 0; i < found->count && rc == 0; i++) {
			struct pa_origin origin = found->items[i];
			if (origin.task == NULL)
				continue;
			origin.kind = PA_ORIGIN_ITEM;
			rc = add_origin(analysis, place, origins, origin, err);
		}
		if (rc < 0 || origins->count > 0)
			return rc;
	}
	return add_origin(analysis, place, origins, (struct pa_origin){.kind = PA_ORIGIN_ITEM}, err);
}

/* What the pipeline itself is given. */
static int add_pipeline_input(struct ir_analysis *analysis, struct ir_place *root,
                              const struct ir_input *input, struct ir_origins *origins, struct pa_error *err)
{
	struct pa_origin origin = {.kind = PA_ORIGIN_PARAMETER, .text = input->name};
	size_t index = pa_name_table_get(&analysis->parameter_index, input->name);

	if (input->artifact && analysis->pipeline->parameters[index].value != NULL) {
		origin.kind = PA_ORIGIN_URI;
		origin.text = analysis->pipeline->parameters[index].value;
	}
	return add_origin(analysis, root, origins, origin, err);
}

static int find_origins(struct ir_analysis *analysis, struct ir_place *place, struct ir_input *input,
                        struct pa_error *err)
{
	struct ir_origins *origins = &input->origins;

	if (place->call == NULL)
		return add_pipeline_input(analysis, place, input, origins, err);
	if (input->item)
		return add_item(analysis, place, origins, err);
	if (input->argument != NULL)
		return ir_argument_origins(analysis, place, input->argument, origins, err);
	if (input->definition == NULL || input->definition->default_value == NULL)
		return 0;
	return add_origin(
	    analysis, place, origins,
	    (struct pa_origin){.kind = PA_ORIGIN_CONSTANT, .text = input->definition->default_value}, err);
}

int ir_input_origins(struct ir_analysis *analysis, struct ir_place *place, size_t index,
                     const struct ir_origins **ret, struct pa_error *err)
{
	struct ir_input *input = &place->inputs[index];
	struct ir_origins *origins = &input->origins;

	*ret = origins;
	if (origins->done || origins->busy)
		return 0;
	if (analysis->reference_depth >= IR_MAX_REFERENCE_DEPTH)
		return pa_node_error(place_node(analysis, place), err,
		                     "values refer to values more than %d times over; shorten the chain",
		                     IR_MAX_REFERENCE_DEPTH);
	origins->busy = true;
	analysis->reference_depth++;
	int rc = find_origins(analysis, place, input, err);
	analysis->reference_depth--;
	origins->busy = false;
	origins->done = true;
	return rc;
}
