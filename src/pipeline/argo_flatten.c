/* SPDX-License-Identifier: Apache-2.0 */
/* From the entrypoint through every call to the tasks that run, with their ids. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

static enum pa_task_kind task_kind(const struct pa_template *template)
{
	if (template == NULL)
		return PA_TASK_UNRESOLVED;
	switch (template->kind) {
	case PA_TEMPLATE_CONTAINER:
		return PA_TASK_CONTAINER;
	case PA_TEMPLATE_SCRIPT:
		return PA_TASK_SCRIPT;
	case PA_TEMPLATE_RESOURCE:
		return PA_TASK_RESOURCE;
	case PA_TEMPLATE_SUSPEND:
		return PA_TASK_SUSPEND;
	case PA_TEMPLATE_HTTP:
		return PA_TASK_HTTP;
	case PA_TEMPLATE_PLUGIN:
		return PA_TASK_PLUGIN;
	case PA_TEMPLATE_DATA:
		return PA_TASK_DATA;
	case PA_TEMPLATE_CONTAINERSET:
		return PA_TASK_CONTAINERSET;
	default:
		return PA_TASK_UNRESOLVED;
	}
}

/* What a call calls, its `{{…}}` filled in as far as they are known. */
struct callee {
	const struct pa_template *template; /* NULL: not found */
	const struct pa_workflow *home;     /* the workflow that the template is of */
	const char *name;                   /* as the file names it: "template" or "workflow/template" */
	const char *why;                    /* it was not found */
};

static int note_unresolved(struct argo_analysis *analysis, const struct pa_call *call,
                           const struct callee *callee, struct pa_error *err)
{
	if (callee->template != NULL)
		return pa_findings_unresolved(&analysis->findings, callee->template->node, err,
		                              "template %s is of no known type", callee->name);
	return pa_findings_unresolved(&analysis->findings, call->node, err, "template-ref %s: %s",
	                              callee->name, callee->why);
}

static int add_task(struct argo_analysis *analysis, struct argo_place *place, const char *id,
                    const struct callee *callee, struct pa_error *err)
{
	const struct pa_template *template = callee->template;
	const struct pa_call *call = place->call;
	struct pa_arena *arena = analysis->findings.budget.arena;
	int rc = pa_budget_check(&analysis->findings.budget, 2 * sizeof(struct pa_task), call->node, err);

	if (rc < 0)
		return rc;
	if (pa_name_table_put(analysis->task_index, id, analysis->task_count) != SIZE_MAX)
		return pa_node_error(call->node, err, "two tasks would have the id '%.200s'; rename one", id);
	analysis->tasks = pa_arena_grow(arena, analysis->tasks, analysis->task_count,
	                                &analysis->task_capacity, sizeof(*analysis->tasks));
	analysis->models = pa_arena_grow(arena, analysis->models, analysis->task_count,
	                                 &analysis->model_capacity, sizeof(*analysis->models));
	analysis->tasks[analysis->task_count] = (struct argo_task){.place = place};
	struct pa_task *model = &analysis->models[analysis->task_count];
	*model = (struct pa_task){.id = id, .kind = task_kind(template), .role = place->role, .image = ""};
	model->template_name = template != NULL && template->name != NULL ? template->name : callee->name;
	model->line = call->node->line;
	model->column = call->node->column;
	place->task = analysis->task_count++;
	return model->kind == PA_TASK_UNRESOLVED ? note_unresolved(analysis, call, callee, err) : 0;
}

/* What the call gives for each input of the template. */
static void match_arguments(struct argo_analysis *analysis, struct argo_instance *instance,
                            const struct pa_call *call)
{
	const struct pa_template *template = instance->template;

	instance->arguments = pa_arena_array(analysis->findings.budget.arena, template->input_parameter_count,
	                                     sizeof(*instance->arguments));
	instance->values = pa_arena_array(analysis->findings.budget.arena, template->input_parameter_count,
	                                  sizeof(*instance->values));
	for (size_t i = 0; i < call->parameter_count; i++) {
		size_t index =
		    pa_name_table_get(&instance->graph->input_parameters, call->parameters[i].name);
		if (index != SIZE_MAX)
			instance->arguments[index] = &call->parameters[i];
	}
	instance->artifact_arguments =
	    pa_arena_array(analysis->findings.budget.arena, template->input_artifact_count,
	                   sizeof(*instance->artifact_arguments));
	for (size_t i = 0; i < call->artifact_count; i++) {
		size_t index = pa_name_table_get(&instance->graph->input_artifacts, call->artifacts[i].name);
		if (index != SIZE_MAX)
			instance->artifact_arguments[index] = &call->artifacts[i];
	}
}

static bool is_nested(const struct pa_template *template)
{
	return template != NULL && (template->kind == PA_TEMPLATE_DAG || template->kind == PA_TEMPLATE_STEPS);
}

static bool calls_itself(const struct argo_instance *scope, const struct pa_template *template)
{
	while (scope != NULL && scope->caller != NULL) {
		if (scope->template == template)
			return true;
		scope = scope->caller->scope;
	}
	return false;
}

/* A text of a call, filled in. */
static int expand_name(struct argo_analysis *analysis, struct argo_place *place, const char *text,
                       const char **ret, struct pa_error *err)
{
	*ret = NULL;
	return text == NULL ? 0 : argo_expand(analysis, place->scope, text, ret, err);
}

static int find_other(struct argo_analysis *analysis, struct argo_place *place, struct callee *ret,
                      struct pa_error *err)
{
	const struct pa_node *reference = place->call->template_ref;
	struct argo_template_name wanted = {.cluster =
	                                        pa_node_is_true(pa_node_get(reference, "clusterScope"))};
	int rc =
	    expand_name(analysis, place, pa_node_text(pa_node_get(reference, "name")), &wanted.workflow, err);

	if (rc == 0)
		rc = expand_name(analysis, place, pa_node_text(pa_node_get(reference, "template")),
		                 &wanted.template, err);
	if (rc < 0)
		return rc;
	if (wanted.workflow == NULL || wanted.template == NULL) {
		ret->name = wanted.workflow != NULL ? wanted.workflow : wanted.template;
		ret->name = ret->name == NULL ? place->call->key : ret->name;
		ret->why = analysis->missing_reference;
		if (ret->why == NULL)
			ret->why = "a templateRef needs a name and a template";
		return 0;
	}
	ret->name =
	    pa_arena_printf(analysis->findings.budget.arena, "%s/%s", wanted.workflow, wanted.template);
	return argo_library_template(analysis, place->scope->home, &wanted, &ret->home, &ret->template,
	                             &ret->why, err);
}

static int find_callee(struct argo_analysis *analysis, struct argo_place *place, struct callee *ret,
                       struct pa_error *err)
{
	const struct pa_call *call = place->call;

	*ret = (struct callee){.home = place->scope->home, .name = call->key, .why = "it has no template"};
	if (call->template_ref != NULL)
		return find_other(analysis, place, ret, err);
	ret->template = call->inline_template;
	if (call->inline_template != NULL || call->template_name == NULL)
		return 0;
	int rc = expand_name(analysis, place, call->template_name, &ret->name, err);
	if (rc < 0)
		return rc;
	ret->template = pa_workflow_find_template(ret->home, ret->name);
	ret->why = analysis->missing_reference;
	if (!argo_is_known(ret->name))
		ret->why = "only a run knows which";
	if (ret->template != NULL || ret->why != NULL)
		return 0;
	return pa_node_error(call->node, err,
	                     "'%.100s' calls the template '%.100s', which is not in this file; "
	                     "correct the name, or use a templateRef",
	                     call->key, ret->name);
}

/* The condition of a call and of all calls around it: "a", then "(a) && (b)". */
static void join_condition(struct argo_analysis *analysis, struct argo_place *place)
{
	const struct argo_place *around = place->scope->caller;
	const char *outer = around == NULL ? NULL : around->condition;
	struct pa_arena *arena = analysis->findings.budget.arena;

	place->condition_count = around == NULL ? 0 : around->condition_count;
	if (place->condition == NULL) {
		place->condition = outer;
		return;
	}
	if (place->condition_count == 1)
		place->condition = pa_arena_printf(arena, "(%s) && (%s)", outer, place->condition);
	else if (place->condition_count > 1)
		place->condition = pa_arena_printf(arena, "%s && (%s)", outer, place->condition);
	place->condition_count++;
}

int argo_init_place(struct argo_analysis *analysis, struct argo_place *place, struct argo_instance *scope,
                    const struct pa_call *call, struct pa_error *err)
{
	place->call = call;
	place->scope = scope;
	place->task = SIZE_MAX;
	if (scope->caller != NULL) {
		place->role = scope->caller->role;
		place->loop = scope->caller->loop;
	}
	if (++analysis->call_count > PA_ANALYZE_MAX_TASKS)
		return pa_node_error(
		    call->node, err,
		    "more than %d calls once nested DAGs are written out; split the pipeline",
		    PA_ANALYZE_MAX_TASKS);
	if (call->when != NULL) {
		int rc = argo_expand(analysis, scope, call->when, &place->condition, err);
		if (rc < 0)
			return rc;
	}
	join_condition(analysis, place);
	place->has_loop = call->with_items != NULL || call->with_param != NULL || call->with_sequence != NULL;
	if (place->has_loop) {
		place->loop = pa_arena_alloc(analysis->findings.budget.arena, sizeof(*place->loop));
		place->loop->items = -1;
	}
	return pa_budget_check(&analysis->findings.budget, 0, call->node, err);
}

const struct pa_node *argo_spec_position(const struct pa_workflow *workflow, const char *key)
{
	const struct pa_node *spec = pa_node_get(workflow->node, "spec");
	const struct pa_node *inner = pa_node_get(spec, "workflowSpec");
	const struct pa_node *at = pa_node_get(inner != NULL ? inner : spec, key);

	if (at != NULL)
		return at;
	return spec != NULL ? spec : workflow->node;
}

static int enter_calls(struct argo_analysis *analysis, struct argo_instance *instance, unsigned int depth,
                       struct pa_error *err)
{
	const struct pa_template *template = instance->template;
	struct pa_arena *arena = analysis->findings.budget.arena;
	size_t room = template->call_count;

	for (size_t i = 0; i < template->call_count; i++)
		room += argo_hook_count(template->calls[i].on_exit, template->calls[i].hooks);
	int rc = pa_budget_check(&analysis->findings.budget, room * sizeof(*instance->places), template->node,
	                         err);
	if (rc < 0)
		return rc;
	instance->places = pa_arena_array(arena, room, sizeof(*instance->places));
	instance->place_count = template->call_count;
	for (size_t i = 0; i < template->call_count && rc == 0; i++)
		rc = argo_init_place(analysis, &instance->places[i], instance, &template->calls[i], err);
	for (size_t i = 0; i < template->call_count && rc == 0; i++) {
		struct argo_place *place = &instance->places[i];
		const struct pa_call *call = place->call;
		if (instance->graph->left_out[i])
			continue;
		const char *id = pa_arena_printf(arena, "%s%s", instance->prefix, call->key);
		const char *prefix = pa_arena_printf(arena, "%s/", id);
		rc = argo_enter_place(analysis, place, id, prefix, depth, err);
		/* A call that is not listed, because its template calls itself, has none either. */
		if (rc == 0 && place->inside != NULL)
			rc = argo_add_hooks(analysis, instance, place, prefix, depth, err);
	}
	return rc;
}

/* Follows one call to the instance of its template, and on to the tasks in it. */
int argo_enter_place(struct argo_analysis *analysis, struct argo_place *place, const char *id,
                     const char *prefix, unsigned int depth, struct pa_error *err)
{
	struct callee callee;
	int rc = find_callee(analysis, place, &callee, err);

	if (rc < 0)
		return rc;
	const struct pa_template *template = callee.template;
	if (depth > PA_ANALYZE_MAX_NESTING)
		return pa_node_error(place->call->node, err,
		                     "DAGs nested deeper than %d levels; flatten them",
		                     PA_ANALYZE_MAX_NESTING);
	if (template != NULL && calls_itself(place->scope, template))
		return pa_findings_unresolved(
		    &analysis->findings, place->call->node, err,
		    "recursion: %s calls %s again; how often is known only in a run", id,
		    template->name == NULL ? "itself" : template->name);
	struct argo_instance *instance = pa_arena_alloc(analysis->findings.budget.arena, sizeof(*instance));
	instance->template = template;
	instance->home = callee.home;
	instance->caller = place;
	instance->prefix = prefix;
	place->inside = instance;
	if (template != NULL) {
		rc = argo_graph_of(analysis, template, &instance->graph, err);
		if (rc < 0)
			return rc;
		match_arguments(analysis, instance, place->call);
		rc = argo_graph_with_target(analysis, instance, err);
		if (rc < 0)
			return rc;
		argo_index_globals(analysis, place, template);
	}
	if (is_nested(template))
		return enter_calls(analysis, instance, depth + 1, err);
	return add_task(analysis, place, id, &callee, err);
}

/* The workflow's arguments, as the call of its entrypoint gives them on. */
static void root_arguments(struct argo_analysis *analysis, struct pa_call *call)
{
	const struct pa_workflow *workflow = analysis->workflow;
	struct pa_arena *arena = analysis->findings.budget.arena;

	call->parameters = pa_arena_array(arena, workflow->parameter_count, sizeof(*call->parameters));
	call->parameter_count = workflow->parameter_count;
	for (size_t i = 0; i < workflow->parameter_count; i++) {
		const char *name = workflow->parameters[i].name;
		call->parameters[i] =
		    (struct pa_parameter){.name = name, .node = workflow->parameters[i].node};
		call->parameters[i].value = pa_arena_printf(arena, "{{workflow.parameters.%s}}", name);
	}
	call->artifacts = workflow->artifacts;
	call->artifact_count = workflow->artifact_count;
}

static void note_called(const struct pa_workflow *workflow, bool *called, size_t caller, const char *name)
{
	size_t index = name == NULL ? SIZE_MAX : pa_name_table_get(workflow->template_index, name);

	if (index != SIZE_MAX && index != caller)
		called[index] = true;
}

/* What is called when something ends or happens is no root either. */
static void note_hooks(const struct pa_workflow *workflow, bool *called, size_t caller, const char *on_exit,
                       const struct pa_node *hooks)
{
	note_called(workflow, called, caller, on_exit);
	for (uint32_t i = 0; pa_node_is_mapping(hooks) && i < hooks->count; i++)
		note_called(workflow, called, caller,
		            pa_node_text(pa_node_get(hooks->entries[i].value, "template")));
}

/* With no entrypoint, the templates that no other calls. */
static size_t find_roots(struct argo_analysis *analysis, const char **names)
{
	const struct pa_workflow *workflow = analysis->workflow;
	bool *called =
	    pa_arena_array(analysis->findings.budget.arena, workflow->template_count, sizeof(*called));
	size_t count = 0;

	note_hooks(workflow, called, SIZE_MAX, workflow->on_exit, workflow->hooks);
	for (size_t i = 0; i < workflow->template_count; i++) {
		for (size_t j = 0; j < workflow->templates[i].call_count; j++) {
			const struct pa_call *call = &workflow->templates[i].calls[j];
			note_called(workflow, called, i, call->template_name);
			note_hooks(workflow, called, i, call->on_exit, call->hooks);
		}
	}
	for (size_t i = 0; i < workflow->template_count; i++) {
		if (!called[i])
			names[count++] = workflow->templates[i].name;
	}
	if (count == 0 && workflow->template_count > 0) /* they call each other in a circle */
		names[count++] = workflow->templates[0].name;
	return count;
}

static int check_entrypoint(struct argo_analysis *analysis, struct pa_error *err)
{
	const struct pa_workflow *workflow = analysis->workflow;

	if (workflow->entrypoint != NULL && workflow->template_ref == NULL &&
	    pa_workflow_find_template(workflow, workflow->entrypoint) == NULL)
		return pa_node_error(argo_spec_position(workflow, "entrypoint"), err,
		                     "the entrypoint '%.100s' is no template of this file; correct it, or "
		                     "add the template",
		                     workflow->entrypoint);
	if (workflow->template_count == 0 && workflow->template_ref == NULL)
		return pa_node_error(argo_spec_position(workflow, "templates"), err,
		                     "the %s has no templates; add them", workflow->kind);
	return 0;
}

/* The outermost calls: the entrypoint or the roots of a library, or the workflow of another file. */
static size_t root_names(struct argo_analysis *analysis, const char ***ret)
{
	const struct pa_workflow *workflow = analysis->workflow;
	const char **names =
	    pa_arena_array(analysis->findings.budget.arena, workflow->template_count + 1, sizeof(*names));
	size_t count = 1;

	*ret = names;
	names[0] = workflow->entrypoint;
	if (names[0] == NULL && workflow->template_ref != NULL)
		names[0] = pa_node_text(pa_node_get(workflow->template_ref, "name"));
	if (names[0] == NULL && workflow->template_ref != NULL)
		names[0] = "workflowTemplateRef";
	if (names[0] == NULL)
		count = find_roots(analysis, names);
	return count;
}

static int enter_root(struct argo_analysis *analysis, const char *name, bool alone, struct pa_error *err)
{
	const struct pa_workflow *workflow = analysis->workflow;
	struct pa_arena *arena = analysis->findings.budget.arena;
	struct argo_place *place = &analysis->root->places[analysis->root->place_count++];
	const struct pa_template *template = pa_workflow_find_template(workflow, name);
	struct pa_call *call = pa_arena_alloc(arena, sizeof(*call));

	*call = analysis->arguments;
	call->key = name;
	call->template_name = name;
	call->node = template != NULL ? template->node : workflow->node;
	if (template == NULL)
		call->template_ref = workflow->template_ref;
	int rc = argo_init_place(analysis, place, analysis->root, call, err);
	if (rc < 0)
		return rc;
	return argo_enter_place(analysis, place, name, alone ? "" : pa_arena_printf(arena, "%s/", name), 1,
	                        err);
}

int argo_flatten(struct argo_analysis *analysis, struct pa_error *err)
{
	const struct pa_workflow *workflow = analysis->workflow;
	struct pa_arena *arena = analysis->findings.budget.arena;
	const char **names;
	int rc = check_entrypoint(analysis, err);

	if (rc < 0)
		return rc;
	size_t count = root_names(analysis, &names);
	size_t room = count + argo_hook_count(workflow->on_exit, workflow->hooks);
	rc = pa_budget_check(&analysis->findings.budget, room * sizeof(struct argo_place), workflow->node,
	                     err);
	if (rc < 0)
		return rc;
	root_arguments(analysis, &analysis->arguments);
	analysis->root = pa_arena_alloc(arena, sizeof(*analysis->root));
	analysis->root->home = workflow;
	analysis->root->places = pa_arena_array(arena, room, sizeof(*analysis->root->places));
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = enter_root(analysis, names[i], count == 1, err);
	if (rc == 0)
		rc = argo_add_hooks(analysis, analysis->root, NULL, "", 1, err);
	return rc;
}
