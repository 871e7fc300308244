/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of templates before anything runs: who waits for whom, which outputs are wanted, which templates call
 * themselves.  Made once for a template, when it is first used. */
#include <stdlib.h>
#include <string.h>

#include "run/engine_internal.h"

static int compare_templates(const void *left, const void *right, void *context)
{
	const struct pa_workflow *workflow = context;
	size_t a = *(const size_t *)left, b = *(const size_t *)right;
	int order = strcmp(workflow->templates[a].name ? workflow->templates[a].name : "",
	                   workflow->templates[b].name ? workflow->templates[b].name : "");
	return order ? order : (a > b) - (a < b);
}

struct pa_engine_plan *pa_engine_plan_find(struct pa_engine *engine, const char *template_name)
{
	size_t low = 0, high = engine->workflow->template_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *name = engine->workflow->templates[engine->plans_by_name[middle]].name;
		int order = strcmp(name ? name : "", template_name);
		if (order == 0)
			return &engine->plans[engine->plans_by_name[middle]];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static int compare_calls(const void *left, const void *right, void *context)
{
	const struct pa_call *calls = context;
	return strcmp(calls[*(const size_t *)left].key, calls[*(const size_t *)right].key);
}

size_t pa_engine_plan_find_call(const struct pa_engine_plan *plan, const char *key, size_t bytes)
{
	size_t low = 0, high = plan->template_->call_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *at = plan->template_->calls[plan->by_key[middle]].key;
		int order = strncmp(at, key, bytes);
		if (order == 0 && at[bytes])
			order = 1;
		if (order == 0)
			return plan->by_key[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return SIZE_MAX;
}

static void add_index(struct pa_arena *arena, size_t **indices, size_t *count, size_t index)
{
	for (size_t i = 0; i < *count; i++)
		if ((*indices)[i] == index)
			return;
	/* Room is a power of two: full exactly when the count is one. */
	if (*count == 0 || (*count & (*count - 1)) == 0) {
		size_t *room = pa_arena_array(arena, *count ? *count * 2 : 1, sizeof(*room));
		if (*count)
			memcpy(room, *indices, *count * sizeof(*room));
		*indices = room;
	}
	(*indices)[(*count)++] = index;
}

/* Calls `visit` with the text of every scalar below a node. */
static void each_text(const struct pa_node *node, void (*visit)(void *context, const char *text),
                      void *context)
{
	if (!node)
		return;
	if (node->kind == PA_NODE_SCALAR)
		visit(context, node->text);
	for (uint32_t i = 0; node->kind == PA_NODE_SEQUENCE && i < node->count; i++)
		each_text(node->items[i], visit, context);
	for (uint32_t i = 0; node->kind == PA_NODE_MAPPING && i < node->count; i++)
		each_text(node->entries[i].value, visit, context);
}

struct reading {
	struct pa_engine *engine;
	struct pa_engine_plan *plan;
	size_t index; /* SIZE_MAX: only which results are wanted */
};

/* The task that `tasks.KEY` or `tasks['KEY']` at `at` names, or SIZE_MAX. */
static size_t named_call(const struct pa_engine_plan *plan, const char *at, const char **ret_rest)
{
	at += strlen("tasks"); /* as long as "steps" */
	size_t bytes;
	if (*at == '.') {
		at++;
		bytes = strcspn(at, ". \t}'\"[])?:=!<>&|,");
		*ret_rest = at + bytes;
	} else if (*at == '[' && (at[1] == '\'' || at[1] == '"')) {
		at += 2;
		bytes = strcspn(at, "'\"");
		*ret_rest = at[bytes] && at[bytes + 1] ? at + bytes + 2 : "";
	} else {
		return SIZE_MAX;
	}
	return pa_engine_plan_find_call(plan, at, bytes);
}

static void read_references(void *context, const char *text)
{
	struct reading *reading = context;
	for (const char *at = text; (at = strpbrk(at, "ts")); at++) {
		if (strncmp(at, "tasks", 5) != 0 && strncmp(at, "steps", 5) != 0)
			continue;
		const char *rest;
		size_t named = named_call(reading->plan, at, &rest);
		if (named == SIZE_MAX)
			continue;
		if (strncmp(rest, ".outputs.result", 15) == 0)
			reading->plan->calls[named].wants_result = true;
		if (reading->index != SIZE_MAX && reading->index != named) {
			struct pa_engine_call_plan *call = &reading->plan->calls[reading->index];
			add_index(&reading->engine->arena, &call->before, &call->before_count, named);
		}
	}
}

static int unknown_task(const struct pa_call *call, const char *name, struct pa_error *err)
{
	return pa_node_error(call->node, err, "task %s depends on %s, which does not exist", call->key, name);
}

/* `before` of one task: what it depends on, and what only a text refers to. */
static int read_order(struct pa_engine *engine, struct pa_engine_plan *plan, size_t index,
                      struct pa_error *err)
{
	struct pa_engine_call_plan *call = &plan->calls[index];
	for (size_t i = 0; i < call->call->dependency_count; i++) {
		const char *name = call->call->dependencies[i];
		size_t other = pa_engine_plan_find_call(plan, name, strlen(name));
		if (other == SIZE_MAX)
			return unknown_task(call->call, name, err);
		add_index(&engine->arena, &call->direct, &call->direct_count, other);
		add_index(&engine->arena, &call->before, &call->before_count, other);
	}
	if (call->call->depends) {
		int status = pa_depends_parse(&engine->arena, call->call->depends, &call->depends, err);
		if (status < 0)
			return status;
		size_t count;
		const char *const *names = pa_depends_names(call->depends, &count);
		for (size_t i = 0; i < count; i++) {
			size_t other = pa_engine_plan_find_call(plan, names[i], strlen(names[i]));
			if (other == SIZE_MAX)
				return unknown_task(call->call, names[i], err);
			add_index(&engine->arena, &call->direct, &call->direct_count, other);
			add_index(&engine->arena, &call->before, &call->before_count, other);
		}
	}
	struct reading reading = {engine, plan, index};
	const struct pa_node *node = call->call->node;
	for (uint32_t i = 0; pa_node_is_mapping(node) && i < node->count; i++) {
		const char *key = node->entries[i].key->text;
		if (strcmp(key, "hooks") != 0 && strcmp(key, "inline") != 0)
			each_text(node->entries[i].value, read_references, &reading);
	}
	return 0;
}

/* Which tasks run at all, and which decide how the DAG ended. */
static int read_targets(struct pa_engine *engine, struct pa_engine_plan *plan, struct pa_error *err)
{
	const struct pa_template *template_ = plan->template_;
	size_t *todo = pa_arena_array(&engine->arena, template_->call_count + 1, sizeof(*todo));
	size_t todo_count = 0;
	char *saved = NULL;
	struct pa_engine_scope scope = {.engine = engine};
	const char *named;
	int status = pa_engine_expand(&scope, template_->dag_target, &named, err);
	if (status < 0)
		return pa_error_wrap(err, "dag.target");
	char *targets = named ? pa_arena_strdup(&engine->arena, named) : NULL;
	for (size_t i = 0; i < template_->call_count; i++) {
		plan->calls[i].included = !targets;
		plan->calls[i].leaf = !targets;
	}
	for (char *name = targets ? strtok_r(targets, " ", &saved) : NULL; name;
	     name = strtok_r(NULL, " ", &saved)) {
		size_t index = pa_engine_plan_find_call(plan, name, strlen(name));
		if (index == SIZE_MAX)
			return pa_node_error(template_->node, err, "dag.target names %s, which is no task",
			                     name);
		plan->calls[index].leaf = true;
		if (!plan->calls[index].included)
			todo[todo_count++] = index;
		plan->calls[index].included = true;
	}
	while (todo_count > 0) {
		const struct pa_engine_call_plan *call = &plan->calls[todo[--todo_count]];
		for (size_t i = 0; i < call->before_count; i++) {
			size_t other = call->before[i];
			if (!plan->calls[other].included)
				todo[todo_count++] = other;
			plan->calls[other].included = true;
		}
	}
	for (size_t i = 0; i < template_->call_count; i++) {
		struct pa_engine_call_plan *call = &plan->calls[i];
		for (size_t k = 0; call->included && k < call->before_count; k++)
			add_index(&engine->arena, &plan->calls[call->before[k]].after,
			          &plan->calls[call->before[k]].after_count, i);
		for (size_t k = 0; !targets && k < call->direct_count; k++)
			plan->calls[call->direct[k]].leaf = false;
	}
	return 0;
}

int pa_engine_plan_prepare(struct pa_engine *engine, struct pa_engine_plan *plan, struct pa_error *err)
{
	const struct pa_template *template_ = plan->template_;
	if (plan->prepared)
		return 0;
	plan->calls = pa_arena_array(&engine->arena, template_->call_count, sizeof(*plan->calls));
	plan->by_key = pa_arena_array(&engine->arena, template_->call_count, sizeof(*plan->by_key));
	for (size_t i = 0; i < template_->call_count; i++) {
		const struct pa_call *call = &template_->calls[i];
		plan->by_key[i] = i;
		plan->calls[i].call = call;
		plan->calls[i].included = true;
		pa_engine_hooks_read(engine, call->on_exit, call->hooks, &plan->calls[i].hooks,
		                     &plan->calls[i].hook_count);
	}
	qsort_r(plan->by_key, template_->call_count, sizeof(*plan->by_key), compare_calls, template_->calls);
	struct reading reading = {engine, plan, SIZE_MAX};
	each_text(template_->node, read_references, &reading);
	if (template_->kind == PA_TEMPLATE_DAG) {
		int status = 0;
		for (size_t i = 0; status == 0 && i < template_->call_count; i++)
			status = read_order(engine, plan, i, err);
		if (status == 0)
			status = read_targets(engine, plan, err);
		if (status < 0)
			return status;
	}
	plan->prepared = true;
	return 0;
}

int pa_engine_plan_of_call(struct pa_engine *engine, const struct pa_call *call, struct pa_engine_plan **slot,
                           struct pa_engine_plan **ret, struct pa_error *err)
{
	if (!*slot && call->inline_template) {
		*slot = pa_arena_alloc(&engine->arena, sizeof(**slot));
		(*slot)->template_ = call->inline_template;
	} else if (!*slot && call->template_name) {
		*slot = pa_engine_plan_find(engine, call->template_name);
	}
	if (!*slot)
		return pa_node_error(call->node, err, "task %s uses template %s, which is not in this file",
		                     call->key,
		                     call->template_name ? call->template_name : "of another workflow");
	int status = pa_engine_plan_prepare(engine, *slot, err);
	if (status < 0)
		return status;
	*ret = *slot;
	return 0;
}

/* Takes away, again and again, templates that call no others left (then: that no others left call): what stays is on
 * a circle, or between two. */
static void mark_recursive(struct pa_engine *engine, bool forward)
{
	size_t count = engine->workflow->template_count;
	for (bool changed = true; changed;) {
		changed = false;
		bool *called = forward ? NULL : calloc(count + 1, sizeof(*called));
		for (size_t i = 0; i < count; i++) {
			const struct pa_template *template_ = engine->plans[i].template_;
			bool calls = false;
			for (size_t k = 0; engine->plans[i].recursive && k < template_->call_count; k++) {
				const char *name = template_->calls[k].template_name;
				struct pa_engine_plan *callee =
				    name ? pa_engine_plan_find(engine, name) : NULL;
				if (!callee || !callee->recursive)
					continue;
				calls = true;
				if (called)
					called[callee - engine->plans] = true;
			}
			if (forward && engine->plans[i].recursive && !calls) {
				engine->plans[i].recursive = false;
				changed = true;
			}
		}
		for (size_t i = 0; called && i < count; i++) {
			changed = changed || (engine->plans[i].recursive && !called[i]);
			engine->plans[i].recursive = engine->plans[i].recursive && called[i];
		}
		free(called);
	}
}

int pa_engine_plans_make(struct pa_engine *engine, struct pa_error *err)
{
	const struct pa_workflow *workflow = engine->workflow;
	engine->plans = pa_arena_array(&engine->arena, workflow->template_count, sizeof(*engine->plans));
	engine->plans_by_name = pa_arena_array(&engine->arena, workflow->template_count, sizeof(size_t));
	for (size_t i = 0; i < workflow->template_count; i++) {
		engine->plans[i].template_ = &workflow->templates[i];
		engine->plans[i].recursive = true;
		engine->plans_by_name[i] = i;
	}
	if (workflow->template_count == 0)
		return pa_node_error(workflow->node, err, "the workflow has no templates");
	qsort_r(engine->plans_by_name, workflow->template_count, sizeof(size_t), compare_templates,
	        (void *)workflow);
	mark_recursive(engine, true);
	mark_recursive(engine, false);
	return 0;
}

static void read_arguments(struct pa_arena *arena, const struct pa_node *arguments, struct pa_call *call)
{
	const struct pa_node *parameters = pa_node_get(arguments, "parameters");
	const struct pa_node *artifacts = pa_node_get(arguments, "artifacts");
	if (pa_node_is_sequence(parameters))
		call->parameters = pa_arena_array(arena, parameters->count, sizeof(*call->parameters));
	for (uint32_t i = 0; pa_node_is_sequence(parameters) && i < parameters->count; i++) {
		const char *name = pa_node_text(pa_node_get(parameters->items[i], "name"));
		if (!name)
			continue;
		call->parameters[call->parameter_count++] = (struct pa_parameter){
		    .name = name,
		    .value = pa_node_text(pa_node_get(parameters->items[i], "value")),
		    .node = parameters->items[i],
		};
	}
	if (pa_node_is_sequence(artifacts))
		call->artifacts = pa_arena_array(arena, artifacts->count, sizeof(*call->artifacts));
	for (uint32_t i = 0; pa_node_is_sequence(artifacts) && i < artifacts->count; i++) {
		const char *name = pa_node_text(pa_node_get(artifacts->items[i], "name"));
		if (!name)
			continue;
		call->artifacts[call->artifact_count++] = (struct pa_artifact){
		    .name = name,
		    .from = pa_node_text(pa_node_get(artifacts->items[i], "from")),
		    .raw = pa_node_text(pa_node_path(artifacts->items[i], "raw.data")),
		    .node = artifacts->items[i],
		};
	}
}

bool pa_engine_hook_is_exit(const struct pa_engine_hook *hook)
{
	return strcmp(hook->name, "onExit") == 0 || strcmp(hook->name, "exit") == 0;
}

/* What runs at an end and says no arguments of its own gets the workflow's. */
static void give_arguments(struct pa_engine *engine, struct pa_call *call)
{
	const struct pa_workflow *workflow = engine->workflow;

	if (call->parameter_count > 0 || call->artifact_count > 0)
		return;
	call->parameters =
	    pa_arena_array(&engine->arena, workflow->parameter_count, sizeof(*call->parameters));
	for (size_t i = 0; i < workflow->parameter_count; i++)
		call->parameters[call->parameter_count++] = (struct pa_parameter){
		    .name = workflow->parameters[i].name,
		    .value = pa_arena_printf(&engine->arena, "{{workflow.parameters.%s}}",
		                             workflow->parameters[i].name),
		    .node = workflow->parameters[i].node,
		};
	call->artifacts = workflow->artifacts;
	call->artifact_count = workflow->artifact_count;
}

void pa_engine_hooks_read(struct pa_engine *engine, const char *on_exit, const struct pa_node *hooks,
                          struct pa_engine_hook **ret, size_t *ret_count)
{
	struct pa_arena *arena = &engine->arena;
	size_t room = (on_exit ? 1 : 0) + (pa_node_is_mapping(hooks) ? hooks->count : 0);
	*ret_count = 0;
	*ret = NULL;
	if (room == 0)
		return;
	struct pa_engine_hook *list = pa_arena_array(arena, room, sizeof(*list));
	if (on_exit) {
		struct pa_call *call = pa_arena_alloc(arena, sizeof(*call));
		call->key = "onExit";
		call->template_name = on_exit;
		give_arguments(engine, call);
		list[(*ret_count)++] = (struct pa_engine_hook){.name = "onExit", .call = call};
	}
	for (uint32_t i = 0; pa_node_is_mapping(hooks) && i < hooks->count; i++) {
		const struct pa_node *hook = hooks->entries[i].value;
		struct pa_call *call = pa_arena_alloc(arena, sizeof(*call));
		call->key = hooks->entries[i].key->text;
		call->template_name = pa_node_text(pa_node_get(hook, "template"));
		call->template_ref = pa_node_get(hook, "templateRef");
		call->node = hook;
		read_arguments(arena, pa_node_get(hook, "arguments"), call);
		if (strcmp(call->key, "exit") == 0)
			give_arguments(engine, call);
		list[(*ret_count)++] = (struct pa_engine_hook){
		    .name = call->key,
		    .expression = pa_node_text(pa_node_get(hook, "expression")),
		    .call = call,
		};
	}
	*ret = list;
}
