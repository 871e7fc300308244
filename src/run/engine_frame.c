/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: which task of a DAG, which group of steps comes next, and how the whole ended. */
#include <string.h>

#include "pipeline/condition.h"
#include "run/engine_internal.h"

static void call_end(struct pa_engine *engine, struct pa_engine_call *call);

static void consider_later(struct pa_engine *engine, struct pa_engine_call *call)
{
	pa_engine_event_add(engine,
	                    &(struct pa_engine_event){.kind = PA_ENGINE_EVENT_CONSIDER, .call = call});
}

static struct pa_engine_path *call_path(struct pa_engine *engine, struct pa_engine_execution *owner,
                                        size_t index)
{
	struct pa_engine_path *prefix = owner->prefix;
	const struct pa_template *template_ = owner->plan->template_;
	if (!prefix->children)
		prefix->children =
		    pa_arena_array(&engine->arena, template_->call_count, sizeof(*prefix->children));
	if (!prefix->children[index]) {
		const char *key = template_->calls[index].key;
		const char *id =
		    prefix->id[0] ? pa_arena_printf(&engine->arena, "%s/%s", prefix->id, key) : key;
		prefix->children[index] = pa_engine_path_get(engine, prefix, id);
	}
	return prefix->children[index];
}

static void start_group(struct pa_engine *engine, struct pa_engine_frame *frame)
{
	const struct pa_template *template_ = frame->owner->plan->template_;
	for (; frame->group < template_->group_count; frame->group++) {
		for (size_t i = 0; i < template_->call_count; i++) {
			if (template_->calls[i].group != frame->group)
				continue;
			frame->open_in_group++;
			consider_later(engine, &frame->calls[i]);
		}
		if (frame->open_in_group > 0)
			return;
	}
}

void pa_engine_frame_open(struct pa_engine *engine, struct pa_engine_execution *execution)
{
	struct pa_engine_plan *plan = execution->plan;
	const struct pa_template *template_ = plan->template_;
	struct pa_engine_frame *frame = pa_arena_alloc(&engine->arena, sizeof(*frame));
	frame->owner = execution;
	frame->verdict = PA_OUTCOME_SUCCEEDED;
	frame->waiting_end = &frame->waiting;
	frame->calls = pa_arena_array(&engine->arena, template_->call_count, sizeof(*frame->calls));
	execution->frame = frame;
	const char *suffix = pa_engine_attempt_suffix(engine, execution);
	for (size_t i = 0; i < template_->call_count; i++) {
		struct pa_engine_call *call = &frame->calls[i];
		call->frame = frame;
		call->call = &template_->calls[i];
		call->plan = &plan->calls[i];
		call->suffix = suffix;
		call->path = call_path(engine, execution, i);
		call->waiting_for = call->plan->before_count;
		if (!call->plan->included) {
			call->ended = true;
			call->outcome = PA_OUTCOME_OMITTED;
			continue;
		}
		frame->open_calls++;
		call->path->open++;
		call->path->unstarted++;
	}
	if (template_->kind == PA_TEMPLATE_STEPS) {
		start_group(engine, frame);
	} else {
		for (size_t i = 0; i < template_->call_count; i++)
			if (!frame->calls[i].ended && frame->calls[i].waiting_for == 0)
				consider_later(engine, &frame->calls[i]);
	}
	if (frame->open_calls == 0)
		pa_engine_event_add(engine,
		                    &(struct pa_engine_event){.kind = PA_ENGINE_EVENT_FRAME, .frame = frame});
}

void pa_engine_frame_close(struct pa_engine *engine, struct pa_engine_frame *frame)
{
	struct pa_engine_execution *owner = frame->owner;
	owner->outcome = frame->verdict;
	owner->message = frame->message;
	if (frame->verdict == PA_OUTCOME_SUCCEEDED) {
		struct pa_error cause = PA_ERROR_INIT;
		if (pa_engine_frame_outputs(engine, frame, &cause) < 0) {
			pa_engine_execution_break(engine, owner, &cause);
			return;
		}
	}
	pa_engine_attempt_ended(engine, owner);
}

/* Looks at a call as `depends` does: how its task ended. */
static bool ended_as(void *context, const char *name, enum pa_depends_result result)
{
	const struct pa_engine_frame *frame = context;
	const struct pa_engine_call *call =
	    &frame->calls[pa_engine_plan_find_call(frame->owner->plan, name, strlen(name))];
	size_t succeeded = 0, failed = 0;
	for (size_t i = 0; i < call->execution_count; i++) {
		succeeded += call->executions[i]->outcome == PA_OUTCOME_SUCCEEDED;
		failed += pa_engine_outcome_is_failure(call->executions[i]->outcome);
	}
	switch (result) {
	case PA_DEPENDS_SUCCEEDED:
		return call->outcome == PA_OUTCOME_SUCCEEDED;
	case PA_DEPENDS_FAILED:
		return call->outcome == PA_OUTCOME_FAILED;
	case PA_DEPENDS_ERRORED:
		return call->outcome == PA_OUTCOME_ERROR;
	case PA_DEPENDS_SKIPPED:
		return call->outcome == PA_OUTCOME_SKIPPED;
	case PA_DEPENDS_OMITTED:
		return call->outcome == PA_OUTCOME_OMITTED;
	case PA_DEPENDS_ANY_SUCCEEDED:
		return call->looped && succeeded > 0;
	case PA_DEPENDS_ALL_FAILED:
		return call->looped && failed > 0 && failed == call->execution_count;
	case PA_DEPENDS_DAEMONED:
	case PA_DEPENDS_DEFAULT:
		break;
	}
	return false;
}

static bool tolerated(const struct pa_call *call, enum pa_outcome outcome)
{
	return (outcome == PA_OUTCOME_FAILED && call->continue_on_failed) ||
	       (outcome == PA_OUTCOME_ERROR && call->continue_on_error);
}

static bool dependencies_hold(struct pa_engine_call *call)
{
	const struct pa_engine_call_plan *plan = call->plan;
	if (plan->depends)
		return pa_depends_evaluate(plan->depends, ended_as, call->frame);
	for (size_t i = 0; i < plan->direct_count; i++) {
		const struct pa_engine_call *other = &call->frame->calls[plan->direct[i]];
		if (other->outcome != PA_OUTCOME_SUCCEEDED && other->outcome != PA_OUTCOME_SKIPPED &&
		    !tolerated(other->call, other->outcome))
			return false;
	}
	return true;
}

/* The outcome of a call that started nothing. */
static void call_pass_over(struct pa_engine *engine, struct pa_engine_call *call, enum pa_outcome outcome)
{
	call->outcome = outcome;
	call->path->unstarted--;
	if (outcome == PA_OUTCOME_SKIPPED)
		call->path->skipped++;
	else if (outcome == PA_OUTCOME_OMITTED)
		call->path->omitted++;
	call_end(engine, call);
}

static void call_break(struct pa_engine *engine, struct pa_engine_call *call, const struct pa_error *cause)
{
	pa_engine_break(engine, call->path->id, cause);
	call->path->failed++;
	if (call->frame && !call->frame->message)
		call->frame->message = engine->error;
	call_pass_over(engine, call, PA_OUTCOME_ERROR);
}

static int condition_holds(struct pa_engine_scope *scope, const struct pa_call *call, bool *ret,
                           struct pa_error *err)
{
	*ret = true;
	if (!call->when || !call->when[0])
		return 0;
	const char *filled;
	struct pa_engine_scope lenient = *scope;
	lenient.undeclared_stays = true;
	int status = pa_engine_expand(&lenient, call->when, &filled, err);
	if (status == 0)
		status = pa_condition_evaluate(filled, ret, err);
	return status < 0 ? pa_error_wrap(err, "when") : 0;
}

/* One item (or the call itself when it does not loop): bind the inputs and let it start, or skip it. */
static void start_item(struct pa_engine *engine, struct pa_engine_call *call,
                       struct pa_engine_execution *execution, struct pa_engine_scope *scope)
{
	struct pa_error cause = PA_ERROR_INIT;
	bool wanted;
	int status = condition_holds(scope, call->call, &wanted, &cause);
	if (status == 0 && !wanted) {
		pa_engine_execution_end(engine, execution, PA_OUTCOME_SKIPPED, "its condition is false");
		return;
	}
	/* The workflow's onExit has no arguments of its own: it gets the workflow's. */
	bool takes_workflow = call->hook && !call->host && strcmp(call->hook->name, "onExit") == 0;
	if (status == 0)
		status = pa_engine_bind_inputs(scope, takes_workflow ? NULL : call->call, execution, &cause);
	if (status < 0)
		pa_engine_execution_break(engine, execution, &cause);
	else
		pa_engine_event_add(
		    engine, &(struct pa_engine_event){.kind = PA_ENGINE_EVENT_START, .execution = execution});
}

static void start_executions(struct pa_engine *engine, struct pa_engine_call *call,
                             struct pa_engine_plan *callee, const struct pa_engine_item *items, size_t count)
{
	struct pa_engine_scope scope = {
	    .engine = engine,
	    .frame = call->frame,
	    .execution = call->frame ? call->frame->owner : NULL,
	    .host = call->host,
	};
	call->outcome = PA_OUTCOME_RUNNING;
	call->executions = pa_arena_array(&engine->arena, count, sizeof(*call->executions));
	call->execution_count = count;
	call->open_executions = count;
	call->path->unstarted += (uint32_t)count - 1;
	for (size_t i = 0; i < count; i++) {
		struct pa_engine_execution *execution = pa_engine_execution_new(engine, call, callee);
		execution->counted = true;
		if (items) {
			execution->item = &items[i];
			execution->suffix =
			    pa_arena_printf(&engine->arena, "%s%s", call->suffix,
			                    pa_engine_item_suffix(&engine->arena, i, items[i].text));
		}
		call->executions[i] = execution;
	}
	for (size_t i = 0; i < count; i++) {
		scope.item = items ? &items[i] : NULL;
		start_item(engine, call, call->executions[i], &scope);
	}
}

void pa_engine_call_consider(struct pa_engine *engine, struct pa_engine_call *call)
{
	struct pa_engine_plan **slot = call->hook ? &call->hook->callee : &call->plan->callee;
	struct pa_engine_plan *callee;
	struct pa_error cause = PA_ERROR_INIT;
	if (call->frame && !call->hook && (call->frame->failing || !dependencies_hold(call))) {
		call_pass_over(engine, call, PA_OUTCOME_OMITTED);
		return;
	}
	struct pa_engine_scope scope = {
	    .engine = engine, .frame = call->frame, .execution = call->frame ? call->frame->owner : NULL};
	struct pa_engine_item *items = NULL;
	size_t count = 1;
	call->looped = pa_engine_call_is_loop(call->call);
	int status = 0;
	bool wanted = true;
	/* A condition that says nothing about the item is looked at first: the list may come from a task that was
	 * skipped for the same reason. */
	if (call->looped && call->call->when && !strstr(call->call->when, "item"))
		status = condition_holds(&scope, call->call, &wanted, &cause);
	if (status == 0 && wanted)
		status = pa_engine_plan_of_call(engine, call->call, slot, &callee, &cause);
	if (status == 0 && wanted && call->looped)
		status = pa_engine_loop_items(&scope, call->call, &items, &count, &cause);
	if (status == 0 && wanted && engine->execution_count + count > PA_ENGINE_MAX_INSTANCES)
		status = pa_node_error(call->call->node, &cause, "the workflow runs more than %d tasks",
		                       PA_ENGINE_MAX_INSTANCES);
	if (status < 0)
		call_break(engine, call, &cause);
	else if (!wanted || count == 0)
		call_pass_over(engine, call, PA_OUTCOME_SKIPPED);
	else
		start_executions(engine, call, callee, items, count);
}

/* What the whole call came to, from its executions. */
static enum pa_outcome call_outcome(const struct pa_engine_call *call)
{
	if (!call->looped)
		return call->executions[0]->outcome;
	enum pa_outcome outcome = PA_OUTCOME_SUCCEEDED;
	for (size_t i = 0; i < call->execution_count; i++)
		if (pa_engine_outcome_is_failure(call->executions[i]->outcome))
			outcome = call->executions[i]->outcome;
	return outcome;
}

static bool hook_applies(struct pa_engine *engine, struct pa_engine_call *call,
                         const struct pa_engine_hook *hook, bool ended)
{
	if (!hook->expression)
		return ended && pa_engine_hook_is_exit(hook);
	struct pa_engine_scope scope = {.engine = engine, .frame = call->frame, .host = call};
	scope.execution = call->frame->owner;
	struct pa_engine_value value;
	struct pa_error cause = PA_ERROR_INIT;
	if (pa_engine_evaluate(&scope, hook->expression, &value, &cause) < 0) {
		pa_engine_break(engine, call->path->id, &cause);
		return false;
	}
	return value.kind == PA_VALUE_TRUTH && value.truth && (ended || !pa_engine_hook_is_exit(hook));
}

static void fire_hooks(struct pa_engine *engine, struct pa_engine_call *call, bool ended)
{
	size_t count = call->plan ? call->plan->hook_count : 0;
	if (count > 0 && !call->hook_fired)
		call->hook_fired = pa_arena_array(&engine->arena, count, sizeof(*call->hook_fired));
	for (size_t i = 0; i < count; i++) {
		if (call->hook_fired[i] || !hook_applies(engine, call, &call->plan->hooks[i], ended))
			continue;
		call->hook_fired[i] = true;
		call->open_hooks++;
		pa_engine_hook_start(engine, call->frame, call, &call->plan->hooks[i]);
	}
}

void pa_engine_hook_start(struct pa_engine *engine, struct pa_engine_frame *frame,
                          struct pa_engine_call *host, struct pa_engine_hook *hook)
{
	struct pa_engine_call *call = pa_arena_alloc(&engine->arena, sizeof(*call));
	bool is_field = strcmp(hook->name, "onExit") == 0;
	call->frame = frame;
	call->call = hook->call;
	call->hook = hook;
	call->host = host;
	call->suffix = host ? host->suffix : "";
	call->path =
	    pa_engine_path_get(engine, host ? host->path : engine->root,
	                       pa_arena_printf(&engine->arena, "%s%s%s%s", host ? host->path->id : "",
	                                       host ? "/" : "", is_field ? "" : "hooks.", hook->name));
	call->path->open++;
	call->path->unstarted++;
	consider_later(engine, call);
}

void pa_engine_call_execution_began(struct pa_engine *engine, struct pa_engine_call *call)
{
	fire_hooks(engine, call, false);
}

void pa_engine_call_execution_ended(struct pa_engine *engine, struct pa_engine_call *call)
{
	if (--call->open_executions > 0)
		return;
	call->outcome = call_outcome(call);
	for (size_t i = 0; i < call->execution_count && call->frame && !call->frame->message; i++)
		if (pa_engine_outcome_is_failure(call->executions[i]->outcome))
			call->frame->message = call->executions[i]->message;
	fire_hooks(engine, call, call->outcome != PA_OUTCOME_SKIPPED && call->outcome != PA_OUTCOME_OMITTED);
	if (call->open_hooks == 0)
		call_end(engine, call);
}

/* How the way to a call ended: its own outcome, or, when it did not run, that of what it waited for. */
static enum pa_outcome call_branch(const struct pa_engine_call *call)
{
	if (call->outcome != PA_OUTCOME_SKIPPED && call->outcome != PA_OUTCOME_OMITTED)
		return call->outcome;
	for (size_t i = 0; i < call->plan->direct_count; i++) {
		enum pa_outcome branch = call->frame->calls[call->plan->direct[i]].branch;
		if (pa_engine_outcome_is_failure(branch))
			return branch;
	}
	return PA_OUTCOME_SUCCEEDED;
}

static void dag_call_ended(struct pa_engine *engine, struct pa_engine_frame *frame,
                           struct pa_engine_call *call)
{
	call->branch = call_branch(call);
	if (call->plan->leaf && pa_engine_outcome_is_failure(call->branch) &&
	    !tolerated(call->call, call->branch)) {
		if (frame->verdict == PA_OUTCOME_SUCCEEDED)
			frame->verdict = call->branch;
		frame->failing = frame->failing || frame->owner->plan->template_->fail_fast;
	}
	for (size_t i = 0; i < call->plan->after_count; i++) {
		struct pa_engine_call *next = &frame->calls[call->plan->after[i]];
		if (!next->ended && --next->waiting_for == 0)
			consider_later(engine, next);
	}
}

static void step_ended(struct pa_engine *engine, struct pa_engine_frame *frame, struct pa_engine_call *call)
{
	if (pa_engine_outcome_is_failure(call->outcome) && !tolerated(call->call, call->outcome)) {
		frame->failing = true;
		frame->verdict = PA_OUTCOME_FAILED;
	}
	if (--frame->open_in_group == 0) {
		frame->group++;
		start_group(engine, frame);
	}
}

static void hook_ended(struct pa_engine *engine, struct pa_engine_call *hook)
{
	if (!hook->host) {
		pa_engine_exit_ended(engine, hook->outcome);
		return;
	}
	struct pa_engine_call *host = hook->host;
	bool host_ran = host->open_executions == 0 && host->outcome != PA_OUTCOME_RUNNING;
	if (--host->open_hooks == 0 && host_ran && !host->ended)
		call_end(engine, host);
}

static void call_end(struct pa_engine *engine, struct pa_engine_call *call)
{
	call->ended = true;
	call->path->open--;
	pa_engine_path_note(call->path, call->outcome);
	if (call->hook) {
		hook_ended(engine, call);
		return;
	}
	struct pa_engine_frame *frame = call->frame;
	if (frame->owner->plan->template_->kind == PA_TEMPLATE_STEPS)
		step_ended(engine, frame, call);
	else
		dag_call_ended(engine, frame, call);
	if (--frame->open_calls == 0)
		pa_engine_event_add(engine,
		                    &(struct pa_engine_event){.kind = PA_ENGINE_EVENT_FRAME, .frame = frame});
}
