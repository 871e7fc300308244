/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's public side: making it, handing out instances, taking back how they ended, and what is known of a
 * task so far. */
#include <stdlib.h>
#include <string.h>

#include "run/engine_internal.h"

static const struct pa_name_value *find_argument(const struct pa_engine_options *options, const char *name)
{
	for (size_t i = 0; i < options->argument_count; i++)
		if (strcmp(options->arguments[i].name, name) == 0)
			return &options->arguments[i];
	return NULL;
}

static int check_arguments(const struct pa_workflow *workflow, const struct pa_engine_options *options,
                           struct pa_error *err)
{
	for (size_t i = 0; i < options->argument_count; i++) {
		size_t k = 0;
		while (k < workflow->parameter_count &&
		       strcmp(workflow->parameters[k].name, options->arguments[i].name) != 0)
			k++;
		if (k == workflow->parameter_count)
			return pa_error_set(err, PA_ERROR_INPUT, "%s: the pipeline has no parameter %s",
			                    workflow->file, options->arguments[i].name);
	}
	return 0;
}

static int read_parameters(struct pa_engine *engine, const struct pa_engine_options *options,
                           struct pa_error *err)
{
	const struct pa_workflow *workflow = engine->workflow;
	struct pa_engine_scope scope = {.engine = engine};
	engine->parameters =
	    pa_arena_array(&engine->arena, workflow->parameter_count, sizeof(*engine->parameters));
	for (size_t i = 0; i < workflow->parameter_count; i++) {
		const struct pa_parameter *parameter = &workflow->parameters[i];
		const struct pa_name_value *argument = find_argument(options, parameter->name);
		const char *value = argument ? argument->value : parameter->value;
		if (!value)
			value = parameter->from_default;
		if (!value)
			return pa_node_error(parameter->node, err,
			                     "parameter %s has no value; give one with --arg NAME=VALUE",
			                     parameter->name);
		engine->parameters[i].name = parameter->name;
		engine->parameter_count = i + 1;
		int status =
		    pa_engine_expand(&scope, argument ? pa_arena_strdup(&engine->arena, value) : value,
		                     &engine->parameters[i].value, err);
		if (status < 0)
			return pa_error_wrap(err, "parameter %s", parameter->name);
		if (strlen(engine->parameters[i].value) > PA_ENGINE_MAX_PARAMETER_BYTES)
			return pa_node_error(parameter->node, err, "parameter %s is longer than 256 KiB",
			                     parameter->name);
	}
	return 0;
}

/* The template that `entrypoint` names, or the only one that no other calls. */
static struct pa_engine_plan *find_entrypoint(struct pa_engine *engine, struct pa_error *err)
{
	const struct pa_workflow *workflow = engine->workflow;
	struct pa_engine_plan *found = NULL;
	if (workflow->entrypoint) {
		found = pa_engine_plan_find(engine, workflow->entrypoint);
		if (!found)
			pa_node_error(workflow->node, err, "the entrypoint %s is not in this file",
			              workflow->entrypoint);
		return found;
	}
	bool *called = pa_arena_array(&engine->arena, workflow->template_count, sizeof(*called));
	for (size_t i = 0; i < workflow->template_count; i++) {
		for (size_t k = 0; k < workflow->templates[i].call_count; k++) {
			const char *name = workflow->templates[i].calls[k].template_name;
			struct pa_engine_plan *callee = name ? pa_engine_plan_find(engine, name) : NULL;
			if (callee)
				called[callee - engine->plans] = true;
		}
	}
	size_t roots = 0;
	for (size_t i = 0; i < workflow->template_count; i++) {
		if (called[i])
			continue;
		found = &engine->plans[i];
		roots++;
	}
	if (roots == 1)
		return found;
	pa_node_error(workflow->node, err,
	              "there is no entrypoint: nothing says which template to start with");
	return NULL;
}

static int begin(struct pa_engine *engine, struct pa_error *err)
{
	int status = pa_engine_plans_make(engine, err);
	if (status < 0)
		return status;
	struct pa_engine_plan *entrypoint = find_entrypoint(engine, err);
	if (!entrypoint)
		return -(int)PA_ERROR_INPUT;
	status = pa_engine_plan_prepare(engine, entrypoint, err);
	if (status < 0)
		return status;
	struct pa_engine_execution *execution = pa_engine_execution_new(engine, NULL, entrypoint);
	enum pa_template_kind kind = entrypoint->template_->kind;
	bool leaf = kind != PA_TEMPLATE_DAG && kind != PA_TEMPLATE_STEPS;
	execution->path =
	    leaf ? pa_engine_path_get(engine, engine->root, entrypoint->template_->name) : engine->root;
	execution->prefix = execution->path;
	execution->suffix = "";
	execution->depth = 1;
	execution->counted = true;
	execution->path->unstarted = 1;
	execution->path->open = 1;
	engine->root->open = 1;
	struct pa_engine_scope scope = {.engine = engine};
	struct pa_error cause = PA_ERROR_INIT;
	if (pa_engine_bind_inputs(&scope, NULL, execution, &cause) < 0)
		pa_engine_execution_break(engine, execution, &cause);
	else
		pa_engine_event_add(
		    engine, &(struct pa_engine_event){.kind = PA_ENGINE_EVENT_START, .execution = execution});
	pa_engine_hooks_read(engine, engine->workflow->on_exit, engine->workflow->hooks, &engine->hooks,
	                     &engine->hook_count);
	engine->hook_fired = pa_arena_array(&engine->arena, engine->hook_count, sizeof(*engine->hook_fired));
	if (engine->phase == PA_ENGINE_MAIN)
		pa_engine_workflow_hooks(engine);
	pa_engine_advance(engine);
	return 0;
}

int pa_engine_new(const struct pa_pipeline *pipeline, const struct pa_engine_options *options,
                  struct pa_engine **ret, struct pa_error *err)
{
	if (!pipeline->workflow)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%s: a pipeline of format %s cannot be run here; only Argo workflows can",
		                    pipeline->file, pa_format_name(pipeline->format));
	struct pa_engine *engine = calloc(1, sizeof(*engine));
	if (!engine)
		abort();
	pa_arena_init(&engine->arena);
	pa_buffer_init(&engine->failures, PA_ENGINE_MAX_TEXT_BYTES);
	engine->workflow = pipeline->workflow;
	engine->run_name = pa_arena_strdup(&engine->arena, options->run_name);
	engine->uid = pa_arena_strdup(&engine->arena, options->uid);
	engine->namespace_ =
	    pa_arena_strdup(&engine->arena, options->namespace_ ? options->namespace_ : "default");
	engine->error = "";
	engine->events_end = &engine->events;
	engine->ready_end = &engine->ready;
	engine->paths =
	    pa_arena_array(&engine->arena, PA_ENGINE_PATH_BUCKETS, sizeof(struct pa_engine_path *));
	engine->root = pa_engine_path_get(engine, NULL, "");
	int status = check_arguments(engine->workflow, options, err);
	if (status == 0)
		status = read_parameters(engine, options, err);
	if (status == 0)
		status = begin(engine, err);
	if (status < 0) {
		pa_engine_free(engine);
		return status;
	}
	*ret = engine;
	return 0;
}

void pa_engine_free(struct pa_engine *engine)
{
	if (!engine)
		return;
	pa_buffer_done(&engine->failures);
	pa_arena_done(&engine->arena);
	free(engine);
}

const struct pa_instance *pa_engine_ready(struct pa_engine *engine)
{
	int64_t limit = engine->workflow->parallelism;
	struct pa_engine_instance *instance = engine->ready;
	if (!instance || (limit > 0 && engine->running >= (size_t)limit))
		return NULL;
	engine->ready = instance->next;
	if (!engine->ready)
		engine->ready_end = &engine->ready;
	instance->running = true;
	engine->running++;
	struct pa_engine_path *path = instance->execution->path;
	path->instances++;
	path->running++;
	return &instance->public;
}

int pa_engine_finish(struct pa_engine *engine, const struct pa_instance *public,
                     const struct pa_instance_result *result, struct pa_error *err)
{
	struct pa_engine_instance *instance = (struct pa_engine_instance *)public;
	struct pa_engine_execution *execution = instance->execution;
	if (!instance->running)
		return pa_error_set(err, PA_ERROR_BUG, "task %s%s ended twice, or never started",
		                    public->task_id, public->suffix);
	bool was_broken = engine->broken;
	struct pa_error cause = PA_ERROR_INIT;
	instance->running = false;
	engine->running--;
	execution->path->running--;
	if (pa_engine_instance_take(engine, instance, result, &cause) < 0) {
		pa_engine_execution_break(engine, execution, &cause);
	} else {
		if (execution->outcome == PA_OUTCOME_SUCCEEDED)
			execution->path->succeeded++;
		else
			execution->path->failed++;
		pa_engine_attempt_ended(engine, execution);
	}
	pa_engine_advance(engine);
	if (engine->broken && !was_broken)
		return pa_error_set(err, PA_ERROR_INPUT, "%s", engine->error);
	return 0;
}

bool pa_engine_is_done(const struct pa_engine *engine)
{
	return engine->phase == PA_ENGINE_ENDED && engine->running == 0 && !engine->ready;
}

enum pa_outcome pa_engine_outcome(const struct pa_engine *engine)
{
	if (engine->phase != PA_ENGINE_ENDED)
		return PA_OUTCOME_RUNNING;
	if (pa_engine_outcome_is_failure(engine->main_outcome))
		return engine->main_outcome;
	if (engine->broken)
		return PA_OUTCOME_ERROR;
	return engine->exit_outcome == PA_OUTCOME_PENDING ? engine->main_outcome : engine->exit_outcome;
}

const char *pa_engine_error(const struct pa_engine *engine)
{
	if (engine->error[0])
		return engine->error;
	bool failed = pa_engine_outcome_is_failure(pa_engine_outcome(engine));
	return failed && engine->first_failure ? engine->first_failure : "";
}

void pa_engine_stop(struct pa_engine *engine, bool exit_handlers)
{
	engine->stopped = true;
	engine->exits_stopped = engine->exits_stopped || !exit_handlers;
	struct pa_engine_instance *waiting = engine->ready;
	engine->ready = NULL;
	engine->ready_end = &engine->ready;
	while (waiting) {
		struct pa_engine_instance *instance = waiting;
		waiting = instance->next;
		instance->next = NULL;
		if (instance->execution->exit_role && exit_handlers) {
			*engine->ready_end = instance;
			engine->ready_end = &instance->next;
		} else {
			pa_engine_execution_end(engine, instance->execution, PA_OUTCOME_FAILED,
			                        "stopped before it started");
		}
	}
	if (engine->phase != PA_ENGINE_ENDED)
		pa_engine_advance(engine);
}

/* Whether something above a task may still make more instances of it. */
static bool more_above(const struct pa_engine_path *path)
{
	for (; path; path = path->parent)
		if (path->unstarted > 0 || (path->recursive && path->open > 0))
			return true;
	return false;
}

/* A task without a path: nothing that contains it has started, or it never will. */
static void state_without_path(const struct pa_engine *engine, const char *task_id,
                               struct pa_engine_task_state *ret)
{
	char *id = strdup(task_id);
	if (!id)
		abort();
	const struct pa_engine_path *above = NULL;
	for (char *slash = strrchr(id, '/'); slash && !above; slash = strrchr(id, '/')) {
		*slash = '\0';
		above = pa_engine_path_find(engine, id);
	}
	if (!above)
		above = engine->root;
	bool handler = strncmp(task_id, "onExit", 6) == 0 || strncmp(task_id, "hooks.", 6) == 0;
	bool more = engine->phase != PA_ENGINE_ENDED && (handler || above->open > 0 || more_above(above));
	if (!more)
		ret->outcome = above->skipped > 0 ? PA_OUTCOME_SKIPPED : PA_OUTCOME_OMITTED;
	free(id);
}

void pa_engine_task_state(const struct pa_engine *engine, const char *task_id,
                          struct pa_engine_task_state *ret)
{
	const struct pa_engine_path *path = pa_engine_path_find(engine, task_id);
	*ret = (struct pa_engine_task_state){.outcome = PA_OUTCOME_PENDING};
	if (!path) {
		state_without_path(engine, task_id, ret);
		return;
	}
	ret->instances = path->instances;
	ret->running = path->running;
	ret->succeeded = path->succeeded;
	ret->failed = path->failed;
	bool more = engine->phase != PA_ENGINE_ENDED &&
	            (path->open > 0 || path->unstarted > 0 || more_above(path->parent));
	if (more) {
		ret->outcome = path->running > 0 ? PA_OUTCOME_RUNNING : PA_OUTCOME_PENDING;
		return;
	}
	ret->outcome = path->outcome;
	if (path->instances == 0 && !pa_engine_outcome_is_failure(path->outcome))
		ret->outcome = path->skipped > 0 ? PA_OUTCOME_SKIPPED : PA_OUTCOME_OMITTED;
}
