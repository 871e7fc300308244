/* SPDX-License-Identifier: Apache-2.0 */
/* Where a value comes from, followed through any number of nested DAGs to the task that makes it. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

struct search {
	struct argo_analysis *analysis;
	struct argo_instance *instance; /* the text is seen from inside it */
	struct argo_place *item;        /* the call whose loop `item` is of, or NULL */
	struct argo_origins *origins;
	bool referred;  /* there was a reference to an input, a task or an item */
	bool artifacts; /* only artifacts count: others in the expression choose among them */
};

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static const struct pa_node *search_position(const struct search *search)
{
	if (search->item != NULL)
		return search->item->call->node;
	if (search->instance->caller != NULL)
		return search->instance->caller->call->node;
	return search->analysis->workflow->node;
}

static int add_origin(const struct search *search, struct pa_origin origin, struct pa_error *err)
{
	struct argo_origins *origins = search->origins;

	for (size_t i = 0; i < origins->count; i++) {
		const struct pa_origin *other = &origins->items[i];
		if (other->kind == origin.kind && same_text(other->task, origin.task) &&
		    same_text(other->output, origin.output) && same_text(other->text, origin.text))
			return 0;
	}
	if (origins->count == ARGO_MAX_ORIGINS)
		return pa_node_error(search_position(search), err,
		                     "one value comes from more than %d places; split it", ARGO_MAX_ORIGINS);
	origins->items = pa_arena_grow(search->analysis->findings.budget.arena, origins->items,
	                               origins->count, &origins->capacity, sizeof(*origins->items));
	origins->items[origins->count++] = origin;
	return pa_budget_check(&search->analysis->findings.budget, 0, search_position(search), err);
}

static int add_origins(const struct search *search, const struct argo_origins *from, struct pa_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < from->count && rc == 0; i++)
		rc = add_origin(search, from->items[i], err);
	return rc;
}

static int visit_reference(void *context, const struct argo_reference *reference, struct pa_error *err);

static int search_expression(struct search *search, const char *expression, struct pa_error *err)
{
	return argo_expression_each(search->analysis->findings.budget.arena, expression, visit_reference,
	                            search, err);
}

/* A text's references; with none, the text itself is a constant. */
static int search_text(struct search *search, const char *text, struct pa_error *err)
{
	size_t before = search->origins->count;
	const char *filled;
	int rc;

	if (text == NULL)
		return 0;
	if (search->analysis->reference_depth >= ARGO_MAX_REFERENCE_DEPTH)
		return pa_node_error(search_position(search), err,
		                     "values refer to values more than %d times over; shorten the chain",
		                     ARGO_MAX_REFERENCE_DEPTH);
	search->analysis->reference_depth++;
	rc = argo_reference_each(search->analysis->findings.budget.arena, text, visit_reference, search, err);
	search->analysis->reference_depth--;
	if (rc < 0)
		return rc;
	bool constant = search->origins->count > before || !search->referred;
	for (size_t i = before; i < search->origins->count; i++)
		constant = constant && search->origins->items[i].kind == PA_ORIGIN_CONSTANT;
	if (!constant)
		return 0;
	rc = argo_expand(search->analysis, search->instance, text, &filled, err);
	if (rc < 0)
		return rc;
	search->origins->count = before;
	return add_origin(search, (struct pa_origin){.kind = PA_ORIGIN_CONSTANT, .text = filled}, err);
}

int argo_origins_of_text(struct argo_analysis *analysis, struct argo_instance *instance,
                         struct argo_place *item, const char *text, struct argo_origins *origins,
                         struct pa_error *err)
{
	struct search search = {analysis, instance, item, origins, false, false};

	return search_text(&search, text, err);
}

static int search_artifact(struct search *search, const struct pa_artifact *artifact, struct pa_error *err)
{
	const char *uri;

	if (artifact->from != NULL)
		return search_text(search, artifact->from, err);
	if (artifact->from_expression != NULL) {
		search->artifacts = true;
		return search_expression(search, artifact->from_expression, err);
	}
	if (artifact->raw != NULL)
		return search_text(search, artifact->raw, err);
	if (artifact->uri == NULL)
		return 0;
	int rc = argo_expand(search->analysis, search->instance, artifact->uri, &uri, err);
	return rc < 0 ? rc : add_origin(search, (struct pa_origin){.kind = PA_ORIGIN_URI, .text = uri}, err);
}

static bool artifact_has_source(const struct pa_artifact *artifact)
{
	return artifact != NULL &&
	       (artifact->from != NULL || artifact->from_expression != NULL || artifact->located);
}

int argo_origins_of_argument(struct argo_analysis *analysis, struct argo_place *place,
                             const struct pa_artifact *artifact, struct argo_origins *origins,
                             struct pa_error *err)
{
	struct search search = {analysis, place->scope, place, origins, false, false};

	return search_artifact(&search, artifact, err);
}

int argo_origins_of_parameter(struct argo_analysis *analysis, struct argo_instance *instance, size_t index,
                              const struct argo_origins **ret, struct pa_error *err)
{
	const struct pa_template *template = instance->template;

	if (instance->parameter_origins == NULL)
		instance->parameter_origins =
		    pa_arena_array(analysis->findings.budget.arena, template->input_parameter_count,
		                   sizeof(*instance->parameter_origins));
	struct argo_origins *origins = &instance->parameter_origins[index];
	*ret = origins;
	if (origins->done || origins->busy)
		return 0;
	origins->busy = true;
	const struct pa_parameter *argument = instance->arguments[index];
	struct search search = {analysis, instance, NULL, origins, false, false};
	int rc;
	if (argument == NULL) {
		rc = search_text(&search, template->input_parameters[index].value, err);
	} else {
		search.instance = instance->caller->scope;
		search.item = instance->caller;
		rc = search_text(&search, argument->value, err);
		if (rc == 0 && argument->from_expression != NULL)
			rc = search_expression(&search, argument->from_expression, err);
	}
	origins->busy = false;
	origins->done = true;
	return rc;
}

int argo_origins_of_artifact(struct argo_analysis *analysis, struct argo_instance *instance, size_t index,
                             const struct argo_origins **ret, struct pa_error *err)
{
	const struct pa_template *template = instance->template;

	if (instance->artifact_origins == NULL)
		instance->artifact_origins =
		    pa_arena_array(analysis->findings.budget.arena, template->input_artifact_count,
		                   sizeof(*instance->artifact_origins));
	struct argo_origins *origins = &instance->artifact_origins[index];
	*ret = origins;
	if (origins->done || origins->busy)
		return 0;
	origins->busy = true;
	const struct pa_artifact *artifact = instance->artifact_arguments[index];
	struct search search = {analysis, instance, NULL, origins, false, false};
	if (artifact_has_source(artifact)) {
		search.instance = instance->caller->scope;
		search.item = instance->caller;
	} else {
		artifact = &template->input_artifacts[index];
	}
	int rc = search_artifact(&search, artifact, err);
	origins->busy = false;
	origins->done = true;
	return rc;
}

/* The list behind a call's loop: the texts that it is made of. */
static int search_loop(struct search *search, const struct pa_call *call, struct pa_error *err)
{
	static const char *const keys[] = {"count", "start", "end"};
	int rc = search_text(search, call->with_param, err);

	for (size_t i = 0; call->with_sequence != NULL && i < 3 && rc == 0; i++)
		rc = search_text(search, pa_node_text(pa_node_get(call->with_sequence, keys[i])), err);
	return rc;
}

static int search_item(const struct search *search, struct pa_error *err)
{
	struct argo_place *place = search->item;
	bool found = false;
	int rc = 0;

	if (place == NULL || !place->has_loop)
		return 0;
	if (!place->loop_origins.done && !place->loop_origins.busy) {
		struct search list = {search->analysis,     place->scope, NULL,
		                      &place->loop_origins, false,        false};
		place->loop_origins.busy = true;
		rc = search_loop(&list, place->call, err);
		place->loop_origins.busy = false;
		place->loop_origins.done = true;
	}
	for (size_t i = 0; i < place->loop_origins.count && rc == 0; i++) {
		const struct pa_origin *origin = &place->loop_origins.items[i];
		if (origin->task == NULL)
			continue;
		found = true;
		rc = add_origin(search,
		                (struct pa_origin){PA_ORIGIN_ITEM, origin->task, origin->output, NULL}, err);
	}
	if (rc == 0 && !found)
		rc = add_origin(search, (struct pa_origin){.kind = PA_ORIGIN_ITEM}, err);
	return rc;
}

/* The call of this name in the instance, or for a text in a task, in the scopes around it. */
static struct argo_place *find_place(struct argo_instance *instance, const char *name)
{
	while (instance != NULL) {
		size_t index =
		    instance->graph == NULL ? SIZE_MAX : pa_name_table_get(&instance->graph->calls, name);
		if (index != SIZE_MAX)
			return &instance->places[index];
		instance = instance->caller == NULL ? NULL : instance->caller->scope;
	}
	return NULL;
}

/* An output that a DAG passes up from one of its tasks. */
static int search_nested_output(const struct search *search, struct argo_instance *inside,
                                const struct argo_reference *reference, struct pa_error *err)
{
	const struct pa_template *template = inside->template;
	bool artifact = reference->kind == ARGO_TASK_ARTIFACT;
	struct argo_origins **memo =
	    artifact ? &inside->output_artifact_origins : &inside->output_parameter_origins;
	size_t count = artifact ? template->output_artifact_count : template->output_parameter_count;
	size_t index = pa_name_table_get(
	    artifact ? &inside->graph->output_artifacts : &inside->graph->output_parameters, reference->name);
	int rc = 0;

	if (reference->kind == ARGO_TASK_RESULT)
		return 0;
	if (index == SIZE_MAX)
		return pa_findings_unresolved(
		    &search->analysis->findings, search_position(search), err, "%s has no output %s",
		    template->name == NULL ? "the DAG" : template->name, reference->name);
	if (*memo == NULL)
		*memo = pa_arena_array(search->analysis->findings.budget.arena, count, sizeof(**memo));
	struct argo_origins *origins = &(*memo)[index];
	if (!origins->done && !origins->busy) {
		struct search inner = {search->analysis, inside, NULL, origins, false, false};
		origins->busy = true;
		if (artifact) {
			rc = search_artifact(&inner, &template->output_artifacts[index], err);
		} else {
			const struct pa_parameter *output = &template->output_parameters[index];
			rc = search_text(
			    &inner, output->from_parameter != NULL ? output->from_parameter : output->value,
			    err);
			if (rc == 0 && output->from_expression != NULL)
				rc = search_expression(&inner, output->from_expression, err);
		}
		origins->busy = false;
		origins->done = true;
	}
	return rc < 0 ? rc : add_origins(search, origins, err);
}

static int search_output(const struct search *search, const struct argo_place *place,
                         const struct argo_reference *reference, struct pa_error *err)
{
	if (place->task == SIZE_MAX)
		return search_nested_output(search, place->inside, reference, err);
	return add_origin(search,
	                  (struct pa_origin){.kind = PA_ORIGIN_TASK,
	                                     .task = search->analysis->models[place->task].id,
	                                     .output = reference->name},
	                  err);
}

static int search_task(const struct search *search, const struct argo_reference *reference,
                       struct pa_error *err)
{
	const struct argo_place *place = find_place(search->instance, reference->task);

	if (place == NULL || place->inside == NULL)
		return 0;
	return search_output(search, place, reference, err);
}

/* `workflow.outputs.…`: the output that has this globalName, of a task or of a DAG. */
static int search_global(const struct search *search, const struct argo_reference *reference,
                         struct pa_error *err)
{
	bool artifact = reference->kind == ARGO_GLOBAL_ARTIFACT;
	struct argo_analysis *analysis = search->analysis;
	const struct pa_name_table *table =
	    artifact ? &analysis->global_artifacts : &analysis->global_parameters;
	size_t index = pa_name_table_get(table, reference->name);
	int rc = 0;

	if (index == SIZE_MAX)
		return pa_findings_unresolved(&analysis->findings, search_position(search), err,
		                              "no output has the globalName %s", reference->name);
	size_t count = 0;
	for (size_t i = index; i != SIZE_MAX && count <= ARGO_MAX_ORIGINS; i = analysis->globals[i].next)
		count++;
	if (count > ARGO_MAX_ORIGINS)
		return pa_findings_unresolved(&analysis->findings, search_position(search), err,
		                              "more than %d outputs have the globalName %s", ARGO_MAX_ORIGINS,
		                              reference->name);
	struct argo_origins writers = {0};
	struct search found = {analysis, search->instance, search->item, &writers, false, false};
	for (; index != SIZE_MAX && rc == 0; index = analysis->globals[index].next) {
		const struct argo_global *global = &analysis->globals[index];
		struct argo_reference output = {.kind = artifact ? ARGO_TASK_ARTIFACT : ARGO_TASK_PARAMETER,
		                                .name = global->output};
		rc = search_output(&found, global->place, &output, err);
	}
	const struct argo_place *reader = search->item != NULL ? search->item : search->instance->caller;
	if (rc == 0 && reader != NULL)
		argo_keep_last_writers(analysis, reader, &writers);
	return rc < 0 ? rc : add_origins(search, &writers, err);
}

static int search_input(const struct search *search, const struct argo_reference *reference,
                        struct pa_error *err)
{
	bool artifact = reference->kind == ARGO_INPUT_ARTIFACT;
	struct argo_instance *instance = search->instance;
	const struct argo_origins *origins;

	if (instance->graph == NULL)
		return 0;
	size_t index = pa_name_table_get(artifact ? &instance->graph->input_artifacts
	                                          : &instance->graph->input_parameters,
	                                 reference->name);
	if (index == SIZE_MAX)
		return pa_findings_unresolved(
		    &search->analysis->findings, search_position(search), err, "%s has no input %s",
		    instance->template->name == NULL ? "the template" : instance->template->name,
		    reference->name);
	int rc = artifact ? argo_origins_of_artifact(search->analysis, instance, index, &origins, err)
	                  : argo_origins_of_parameter(search->analysis, instance, index, &origins, err);
	return rc < 0 ? rc : add_origins(search, origins, err);
}

static int search_workflow_parameter(const struct search *search, const char *name, struct pa_error *err)
{
	struct argo_analysis *analysis = search->analysis;
	int rc = add_origin(search, (struct pa_origin){.kind = PA_ORIGIN_PARAMETER, .text = name}, err);

	if (rc < 0 || pa_name_table_get(&analysis->parameter_index, name) != SIZE_MAX)
		return rc;
	return pa_findings_unresolved(&analysis->findings, search_position(search), err,
	                              "the pipeline has no parameter %s", name);
}

static int search_workflow_artifact(const struct search *search, const char *name, struct pa_error *err)
{
	const struct pa_workflow *workflow = search->analysis->workflow;
	struct search outer = {search->analysis, search->analysis->root, NULL, search->origins, false, false};

	for (size_t i = 0; i < workflow->artifact_count; i++) {
		if (strcmp(workflow->artifacts[i].name, name) == 0)
			return search_artifact(&outer, &workflow->artifacts[i], err);
	}
	return 0;
}

static int visit_reference(void *context, const struct argo_reference *reference, struct pa_error *err)
{
	struct search *search = context;

	if (reference->kind != ARGO_OTHER)
		search->referred = true;
	if (search->artifacts && reference->kind != ARGO_INPUT_ARTIFACT &&
	    reference->kind != ARGO_TASK_ARTIFACT && reference->kind != ARGO_WORKFLOW_ARTIFACT &&
	    reference->kind != ARGO_GLOBAL_ARTIFACT)
		return 0;
	switch (reference->kind) {
	case ARGO_INPUT_PARAMETER:
	case ARGO_INPUT_ARTIFACT:
		return search_input(search, reference, err);
	case ARGO_TASK_PARAMETER:
	case ARGO_TASK_ARTIFACT:
	case ARGO_TASK_RESULT:
		return search_task(search, reference, err);
	case ARGO_WORKFLOW_PARAMETER:
		return search_workflow_parameter(search, reference->name, err);
	case ARGO_WORKFLOW_ARTIFACT:
		return search_workflow_artifact(search, reference->name, err);
	case ARGO_GLOBAL_PARAMETER:
	case ARGO_GLOBAL_ARTIFACT:
		return search_global(search, reference, err);
	case ARGO_ITEM:
		return search_item(search, err);
	case ARGO_OTHER:
		break;
	}
	return 0;
}
