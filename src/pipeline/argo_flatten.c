/* SPDX-License-Identifier: Apache-2.0 */
/* From the entrypoint through every call to the tasks that run, with their ids. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

#define NOTE_BYTES 400

static int enter_place(struct argo_analysis *analysis, struct argo_place *place, const char *id,
                       const char *prefix, unsigned int depth, struct pa_error *err);

int argo_note_unresolved(struct argo_analysis *analysis, const struct pa_node *at, struct pa_error *err,
                         const char *format, ...)
{
	struct pa_arena *arena = analysis->budget.arena;
	char what[NOTE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	int rc = argo_budget_check(&analysis->budget, sizeof(what) + sizeof(struct pa_unresolved), at, err);
	if (rc < 0)
		return rc;
	const char *place = pa_arena_printf(arena, "%s:%u:%u", at->file, at->line, at->column);
	const char *both = pa_arena_printf(arena, "%s %s", place, what);
	if (pa_name_table_put(&analysis->unresolved_seen, both, 0) != SIZE_MAX)
		return 0;
	analysis->unresolved = pa_arena_grow(arena, analysis->unresolved, analysis->unresolved_count,
	                                     &analysis->unresolved_capacity, sizeof(*analysis->unresolved));
	analysis->unresolved[analysis->unresolved_count++] =
	    (struct pa_unresolved){.what = both + strlen(place) + 1, .at = place};
	return 0;
}

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

/* "name" or "name/template" of a template in another file. */
static const char *callee_name(struct argo_analysis *analysis, const struct pa_call *call)
{
	const char *name = pa_node_text(pa_node_get(call->template_ref, "name"));
	const char *template = pa_node_text(pa_node_get(call->template_ref, "template"));

	if (call->template_ref == NULL)
		return call->template_name != NULL ? call->template_name : call->key;
	if (name == NULL || template == NULL)
		return name != NULL ? name : template != NULL ? template : call->key;
	return pa_arena_printf(analysis->budget.arena, "%s/%s", name, template);
}

/* The name of each global output that the template makes, to the task. */
static void index_globals(struct argo_analysis *analysis, const struct pa_template *template, size_t task)
{
	for (size_t i = 0; i < template->output_parameter_count; i++) {
		if (template->output_parameters[i].global_name != NULL)
			pa_name_table_put(&analysis->global_parameters,
			                  template->output_parameters[i].global_name, task);
	}
	for (size_t i = 0; i < template->output_artifact_count; i++) {
		if (template->output_artifacts[i].global_name != NULL)
			pa_name_table_put(&analysis->global_artifacts,
			                  template->output_artifacts[i].global_name, task);
	}
}

static int add_task(struct argo_analysis *analysis, struct argo_place *place, const char *id,
                    const struct pa_template *template, struct pa_error *err)
{
	const struct pa_call *call = place->call;
	struct pa_arena *arena = analysis->budget.arena;
	int rc = argo_budget_check(&analysis->budget, 2 * sizeof(struct pa_task), call->node, err);

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
	model->template_name =
	    template != NULL && template->name != NULL ? template->name : callee_name(analysis, call);
	model->line = call->node->line;
	model->column = call->node->column;
	place->task = analysis->task_count++;
	if (template != NULL)
		index_globals(analysis, template, place->task);
	if (model->kind != PA_TASK_UNRESOLVED)
		return 0;
	if (template != NULL)
		return argo_note_unresolved(analysis, template->node, err, "template %s is of no known type",
		                            model->template_name);
	return argo_note_unresolved(analysis, call->node, err, "template-ref %s",
	                            callee_name(analysis, call));
}

/* What the call gives for each input of the template. */
static void match_arguments(struct argo_analysis *analysis, struct argo_instance *instance,
                            const struct pa_call *call)
{
	const struct pa_template *template = instance->template;

	instance->arguments = pa_arena_array(analysis->budget.arena, template->input_parameter_count,
	                                     sizeof(*instance->arguments));
	instance->values = pa_arena_array(analysis->budget.arena, template->input_parameter_count,
	                                  sizeof(*instance->values));
	for (size_t i = 0; i < call->parameter_count; i++) {
		size_t index =
		    pa_name_table_get(&instance->graph->input_parameters, call->parameters[i].name);
		if (index != SIZE_MAX)
			instance->arguments[index] = &call->parameters[i];
	}
	instance->artifact_arguments = pa_arena_array(analysis->budget.arena, template->input_artifact_count,
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

static int find_template(struct argo_analysis *analysis, const struct pa_call *call,
                         const struct pa_template **ret, struct pa_error *err)
{
	*ret = call->inline_template;
	if (call->inline_template != NULL || call->template_ref != NULL || call->template_name == NULL)
		return 0;
	*ret = pa_workflow_find_template(analysis->workflow, call->template_name);
	if (*ret != NULL || analysis->workflow->template_ref != NULL)
		return 0;
	if (strstr(call->template_name, "{{") != NULL) /* chosen by the run */
		return 0;
	return pa_node_error(call->node, err,
	                     "'%.100s' calls the template '%.100s', which is not in this file; "
	                     "correct the name, or use a templateRef",
	                     call->key, call->template_name);
}

/* The condition of a call and of all calls around it: "a", then "(a) && (b)". */
static void join_condition(struct argo_analysis *analysis, struct argo_place *place)
{
	const struct argo_place *around = place->scope->caller;
	const char *outer = around == NULL ? NULL : around->condition;
	struct pa_arena *arena = analysis->budget.arena;

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

static int init_place(struct argo_analysis *analysis, struct argo_place *place, struct argo_instance *scope,
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
		place->loop = pa_arena_alloc(analysis->budget.arena, sizeof(*place->loop));
		place->loop->items = -1;
	}
	return argo_budget_check(&analysis->budget, 0, call->node, err);
}

/* One exit handler or hook of `place` (NULL: of the workflow): `<id>/hooks.<name>`. */
static int add_hook(struct argo_analysis *analysis, struct argo_instance *scope, struct argo_place *place,
                    const struct pa_call *call, const char *id, unsigned int depth, struct pa_error *err)
{
	struct argo_place *hook = &scope->places[scope->place_count++];
	int rc = init_place(analysis, hook, scope, call, err);

	if (rc < 0)
		return rc;
	hook->hook_of = place;
	hook->kind = strcmp(call->key, "onExit") == 0 ? ARGO_EXIT : ARGO_HOOK;
	hook->role = hook->kind == ARGO_EXIT ? PA_ROLE_EXIT : PA_ROLE_HOOK;
	const char *prefix = pa_arena_printf(analysis->budget.arena, "%s/", id);
	return enter_place(analysis, hook, id, prefix, depth, err);
}

static size_t hook_count(const char *on_exit, const struct pa_node *hooks)
{
	return (on_exit != NULL ? 1 : 0) + (hooks != NULL ? hooks->count : 0);
}

static int add_hooks(struct argo_analysis *analysis, struct argo_instance *scope, struct argo_place *place,
                     const char *on_exit, const struct pa_node *hooks, const char *prefix, unsigned int depth,
                     struct pa_error *err)
{
	struct pa_arena *arena = analysis->budget.arena;
	int rc = 0;

	if (on_exit != NULL) {
		struct pa_call *call = pa_arena_alloc(arena, sizeof(*call));
		*call = (struct pa_call){.key = "onExit", .template_name = on_exit};
		call->node = place == NULL ? analysis->workflow->node : place->call->node;
		if (place == NULL) {
			call->parameters = scope->places[0].call->parameters;
			call->parameter_count = scope->places[0].call->parameter_count;
		}
		rc = add_hook(analysis, scope, place, call, pa_arena_printf(arena, "%sonExit", prefix), depth,
		              err);
	}
	for (uint32_t i = 0; hooks != NULL && i < hooks->count && rc == 0; i++) {
		struct pa_call *call = pa_arena_alloc(arena, sizeof(*call));
		const char *name = hooks->entries[i].key->text;
		rc = argo_read_hook(&analysis->reader, hooks->entries[i].value, name, call, err);
		if (rc == 0)
			rc = add_hook(analysis, scope, place, call,
			              pa_arena_printf(arena, "%shooks.%s", prefix, name), depth, err);
	}
	return rc;
}

static int enter_calls(struct argo_analysis *analysis, struct argo_instance *instance, unsigned int depth,
                       struct pa_error *err)
{
	const struct pa_template *template = instance->template;
	struct pa_arena *arena = analysis->budget.arena;
	size_t room = template->call_count;

	for (size_t i = 0; i < template->call_count; i++)
		room += hook_count(template->calls[i].on_exit, template->calls[i].hooks);
	int rc = argo_budget_check(&analysis->budget, room * sizeof(*instance->places), template->node, err);
	if (rc < 0)
		return rc;
	instance->places = pa_arena_array(arena, room, sizeof(*instance->places));
	instance->place_count = template->call_count;
	for (size_t i = 0; i < template->call_count && rc == 0; i++)
		rc = init_place(analysis, &instance->places[i], instance, &template->calls[i], err);
	for (size_t i = 0; i < template->call_count && rc == 0; i++) {
		struct argo_place *place = &instance->places[i];
		const struct pa_call *call = place->call;
		if (instance->graph->left_out[i])
			continue;
		const char *id = pa_arena_printf(arena, "%s%s", instance->prefix, call->key);
		const char *prefix = pa_arena_printf(arena, "%s/", id);
		rc = enter_place(analysis, place, id, prefix, depth, err);
		if (rc == 0)
			rc = add_hooks(analysis, instance, place, call->on_exit, call->hooks, prefix, depth,
			               err);
	}
	return rc;
}

/* Follows one call to the instance of its template, and on to the tasks in it. */
static int enter_place(struct argo_analysis *analysis, struct argo_place *place, const char *id,
                       const char *prefix, unsigned int depth, struct pa_error *err)
{
	const struct pa_template *template;
	int rc = find_template(analysis, place->call, &template, err);

	if (rc < 0)
		return rc;
	if (depth > PA_ANALYZE_MAX_NESTING)
		return pa_node_error(place->call->node, err,
		                     "DAGs nested deeper than %d levels; flatten them",
		                     PA_ANALYZE_MAX_NESTING);
	if (template != NULL && calls_itself(place->scope, template))
		return argo_note_unresolved(analysis, place->call->node, err,
		                            "recursion: %s calls %s again; how often is known only in a run",
		                            id, template->name == NULL ? "itself" : template->name);
	struct argo_instance *instance = pa_arena_alloc(analysis->budget.arena, sizeof(*instance));
	instance->template = template;
	instance->caller = place;
	instance->prefix = prefix;
	place->inside = instance;
	if (template != NULL) {
		rc = argo_graph_of(analysis, template, &instance->graph, err);
		if (rc < 0)
			return rc;
		match_arguments(analysis, instance, place->call);
	}
	if (is_nested(template))
		return enter_calls(analysis, instance, depth + 1, err);
	return add_task(analysis, place, id, template, err);
}

/* The workflow's arguments, as the call of its entrypoint gives them on. */
static void root_arguments(struct argo_analysis *analysis, struct pa_call *call)
{
	const struct pa_workflow *workflow = analysis->workflow;
	struct pa_arena *arena = analysis->budget.arena;

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

/* With no entrypoint, the templates that no other calls. */
static size_t find_roots(struct argo_analysis *analysis, const char **names)
{
	const struct pa_workflow *workflow = analysis->workflow;
	bool *called = pa_arena_array(analysis->budget.arena, workflow->template_count, sizeof(*called));
	size_t count = 0;

	for (size_t i = 0; i < workflow->template_count; i++) {
		for (size_t j = 0; j < workflow->templates[i].call_count; j++) {
			const char *name = workflow->templates[i].calls[j].template_name;
			size_t index =
			    name == NULL ? SIZE_MAX : pa_name_table_get(workflow->template_index, name);
			if (index != SIZE_MAX && index != i)
				called[index] = true;
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
	const struct pa_node *spec = pa_node_get(workflow->node, "spec");

	if (workflow->entrypoint != NULL && workflow->template_ref == NULL &&
	    pa_workflow_find_template(workflow, workflow->entrypoint) == NULL)
		return pa_node_error(spec, err,
		                     "the entrypoint '%.100s' is no template of this file; correct it, or "
		                     "add the template",
		                     workflow->entrypoint);
	if (workflow->template_count == 0 && workflow->template_ref == NULL)
		return pa_node_error(spec, err, "the %s has no templates; add them", workflow->kind);
	return 0;
}

/* The outermost calls: the entrypoint or the roots of a library, or the workflow of another file. */
static size_t root_names(struct argo_analysis *analysis, const char ***ret)
{
	const struct pa_workflow *workflow = analysis->workflow;
	const char **names =
	    pa_arena_array(analysis->budget.arena, workflow->template_count + 1, sizeof(*names));
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

static int enter_root(struct argo_analysis *analysis, const struct pa_call *arguments, const char *name,
                      bool alone, struct pa_error *err)
{
	const struct pa_workflow *workflow = analysis->workflow;
	struct pa_arena *arena = analysis->budget.arena;
	struct argo_place *place = &analysis->root->places[analysis->root->place_count++];
	const struct pa_template *template = pa_workflow_find_template(workflow, name);
	struct pa_call *call = pa_arena_alloc(arena, sizeof(*call));

	*call = *arguments;
	call->key = name;
	call->template_name = name;
	call->node = template != NULL ? template->node : workflow->node;
	if (template == NULL)
		call->template_ref = workflow->template_ref;
	int rc = init_place(analysis, place, analysis->root, call, err);
	if (rc < 0)
		return rc;
	return enter_place(analysis, place, name, alone ? "" : pa_arena_printf(arena, "%s/", name), 1, err);
}

int argo_flatten(struct argo_analysis *analysis, struct pa_error *err)
{
	const struct pa_workflow *workflow = analysis->workflow;
	struct pa_arena *arena = analysis->budget.arena;
	struct pa_call arguments = {0};
	const char **names;
	int rc = check_entrypoint(analysis, err);

	if (rc < 0)
		return rc;
	size_t count = root_names(analysis, &names);
	size_t room = count + hook_count(workflow->on_exit, workflow->hooks);
	rc = argo_budget_check(&analysis->budget, room * sizeof(struct argo_place), workflow->node, err);
	if (rc < 0)
		return rc;
	root_arguments(analysis, &arguments);
	analysis->root = pa_arena_alloc(arena, sizeof(*analysis->root));
	analysis->root->places = pa_arena_array(arena, room, sizeof(*analysis->root->places));
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = enter_root(analysis, &arguments, names[i], count == 1, err);
	if (rc == 0)
		rc =
		    add_hooks(analysis, analysis->root, NULL, workflow->on_exit, workflow->hooks, "", 1, err);
	return rc;
}
