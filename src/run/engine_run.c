/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's motor: executions from their start to their end, and the queue of what is to be looked at next. */
#include <string.h>

#include "base/hash.h"
#include "run/engine_internal.h"

#define FAILURES_MAX_BYTES (1u << 20)

static struct pa_engine_path **bucket_of(const struct pa_engine *engine, const char *id)
{
	return &engine->paths[pa_hash_content(id, strlen(id)).low % PA_ENGINE_PATH_BUCKETS];
}

struct pa_engine_path *pa_engine_path_find(const struct pa_engine *engine, const char *id)
{
	struct pa_engine_path *path = *bucket_of(engine, id);
	while (path && strcmp(path->id, id) != 0)
		path = path->next;
	return path;
}

struct pa_engine_path *pa_engine_path_get(struct pa_engine *engine, struct pa_engine_path *parent,
                                          const char *id)
{
	struct pa_engine_path *path = pa_engine_path_find(engine, id);
	if (path)
		return path;
	struct pa_engine_path **bucket = bucket_of(engine, id);
	path = pa_arena_alloc(&engine->arena, sizeof(*path));
	path->id = id;
	path->parent = parent;
	path->next = *bucket;
	*bucket = path;
	return path;
}

void pa_engine_path_note(struct pa_engine_path *path, enum pa_outcome outcome)
{
	bool worse = pa_engine_outcome_is_failure(outcome) || path->outcome == PA_OUTCOME_PENDING ||
	             (outcome == PA_OUTCOME_SUCCEEDED && !pa_engine_outcome_is_failure(path->outcome));
	if (worse)
		path->outcome = outcome;
}

/* Without a mark on the first attempt, attempt 1 of a DAG's first task and attempt 0 of it in the DAG's attempt 1
 * would have one name. */
const char *pa_engine_attempt_suffix(struct pa_engine *engine, const struct pa_engine_execution *execution)
{
	if (!execution->plan->template_->has_retry)
		return execution->suffix;
	return pa_arena_printf(&engine->arena, "%s(%u)", execution->suffix, execution->attempt);
}

void pa_engine_event_add(struct pa_engine *engine, const struct pa_engine_event *event)
{
	struct pa_engine_event *copy = pa_arena_alloc(&engine->arena, sizeof(*copy));
	*copy = *event;
	copy->next = NULL;
	*engine->events_end = copy;
	engine->events_end = &copy->next;
}

/* An execution further up that uses the same template: ids do not grow by a recursion. */
static const struct pa_engine_execution *same_above(const struct pa_engine_call *call,
                                                    const struct pa_engine_plan *plan)
{
	const struct pa_engine_execution *above = call && call->frame ? call->frame->owner : NULL;
	while (above && above->plan != plan)
		above = above->call && above->call->frame ? above->call->frame->owner : NULL;
	return above;
}

struct pa_engine_execution *pa_engine_execution_new(struct pa_engine *engine, struct pa_engine_call *call,
                                                    struct pa_engine_plan *plan)
{
	struct pa_engine_execution *execution = pa_arena_alloc(&engine->arena, sizeof(*execution));
	engine->execution_count++;
	execution->call = call;
	execution->plan = plan;
	if (!call)
		return execution;
	const struct pa_engine_execution *owner = call->frame ? call->frame->owner : NULL;
	execution->path = call->path;
	execution->prefix = call->path;
	execution->suffix = call->suffix;
	execution->depth = owner ? owner->depth + 1 : 1;
	execution->exit_role =
	    (owner && owner->exit_role) || (call->hook && pa_engine_hook_is_exit(call->hook));
	const struct pa_engine_execution *above = same_above(call, plan);
	if (above)
		execution->prefix = above->prefix;
	return execution;
}

static const char *place_of(struct pa_engine *engine, const struct pa_engine_execution *execution)
{
	return pa_arena_printf(&engine->arena, "%s%s", execution->path->id, execution->suffix);
}

void pa_engine_break(struct pa_engine *engine, const char *where, const struct pa_error *cause)
{
	engine->broken = true;
	if (!engine->error[0])
		engine->error =
		    pa_arena_printf(&engine->arena, "%s%s%s", where, where[0] ? ": " : "", cause->message);
}

void pa_engine_execution_break(struct pa_engine *engine, struct pa_engine_execution *execution,
                               const struct pa_error *cause)
{
	const char *place = place_of(engine, execution);
	pa_engine_break(engine, place, cause);
	execution->path->failed++;
	pa_engine_execution_end(engine, execution, PA_OUTCOME_ERROR,
	                        pa_arena_printf(&engine->arena, "%s: %s", place, cause->message));
}

/* The list that {{workflow.failures}} is, one entry for each leaf that failed. */
static void note_failure(struct pa_engine *engine, const struct pa_engine_execution *execution)
{
	struct pa_buffer *out = &engine->failures;
	if (!engine->first_failure)
		engine->first_failure = pa_arena_printf(
		    &engine->arena, "task %s %s%s%s", place_of(engine, execution),
		    execution->outcome == PA_OUTCOME_ERROR ? "could not be run" : "failed",
		    execution->message ? ": " : "", execution->message ? execution->message : "");
	if (out->length > FAILURES_MAX_BYTES)
		return;
	const char *const members[][2] = {
	    {out->length ? ",{\"displayName\":" : "{\"displayName\":", place_of(engine, execution)},
	    {",\"message\":", execution->message ? execution->message : ""},
	    {",\"templateName\":", execution->plan->template_->name ? execution->plan->template_->name : ""},
	    {",\"phase\":", pa_engine_outcome_text(execution->outcome)},
	    {",\"podName\":", execution->instance ? execution->instance->pod_name : ""},
	};
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		pa_buffer_puts(out, members[i][0]);
		pa_engine_json_quote(out, members[i][1]);
	}
	pa_buffer_puts(out, "}");
}

static bool is_stopped(const struct pa_engine *engine, const struct pa_engine_execution *execution)
{
	return execution->exit_role ? engine->exits_stopped : engine->stopped;
}

static void uncount(struct pa_engine_execution *execution)
{
	if (execution->counted)
		execution->path->unstarted--;
	execution->counted = false;
}

static void main_ended(struct pa_engine *engine, const struct pa_engine_execution *execution)
{
	engine->main_outcome = engine->broken ? PA_OUTCOME_ERROR : execution->outcome;
	engine->phase = PA_ENGINE_EXIT;
	engine->root->open = 0;
	execution->path->open = 0;
	if (execution->path != engine->root)
		pa_engine_path_note(execution->path, execution->outcome);
	pa_engine_workflow_hooks(engine);
	if (engine->open_hooks == 0)
		engine->phase = PA_ENGINE_ENDED;
}

void pa_engine_exit_ended(struct pa_engine *engine, enum pa_outcome outcome)
{
	if (pa_engine_outcome_is_failure(outcome))
		engine->exit_outcome = outcome;
	if (--engine->open_hooks == 0 && engine->phase == PA_ENGINE_EXIT)
		engine->phase = PA_ENGINE_ENDED;
}

void pa_engine_execution_end(struct pa_engine *engine, struct pa_engine_execution *execution,
                             enum pa_outcome outcome, const char *message)
{
	bool leaf = execution->plan->template_->kind != PA_TEMPLATE_DAG &&
	            execution->plan->template_->kind != PA_TEMPLATE_STEPS;
	execution->outcome = outcome;
	execution->message = message;
	uncount(execution);
	if (outcome == PA_OUTCOME_SKIPPED)
		execution->path->skipped++;
	if (outcome == PA_OUTCOME_SUCCEEDED)
		pa_engine_publish(engine, execution);
	if (leaf && pa_engine_outcome_is_failure(outcome))
		note_failure(engine, execution);
	struct pa_engine_call *call = execution->call;
	struct pa_engine_frame *frame = call ? call->frame : NULL;
	if (execution->active && frame) {
		frame->active--;
		struct pa_engine_event *next = frame->waiting;
		if (next) {
			frame->waiting = next->next;
			if (!frame->waiting)
				frame->waiting_end = &frame->waiting;
			pa_engine_event_add(engine, next);
		}
	}
	execution->active = false;
	if (call)
		pa_engine_call_execution_ended(engine, call);
	else
		main_ended(engine, execution);
}

void pa_engine_attempt_ended(struct pa_engine *engine, struct pa_engine_execution *execution)
{
	bool again = false;
	struct pa_error cause = PA_ERROR_INIT;
	if (pa_engine_retry_decide(engine, execution, &again, &cause) < 0) {
		pa_engine_execution_break(engine, execution, &cause);
	} else if (again) {
		execution->attempt++;
		pa_engine_event_add(
		    engine, &(struct pa_engine_event){.kind = PA_ENGINE_EVENT_START, .execution = execution});
	} else {
		pa_engine_execution_end(engine, execution, execution->outcome, execution->message);
	}
}

/* Whether the execution may start under its template's parallelism; if not it waits in the frame. */
static bool take_place(struct pa_engine *engine, struct pa_engine_execution *execution)
{
	struct pa_engine_frame *frame = execution->call ? execution->call->frame : NULL;
	if (!frame || execution->active)
		return true;
	int64_t limit = frame->owner->plan->template_->parallelism;
	if (limit > 0 && frame->active >= limit) {
		struct pa_engine_event *event = pa_arena_alloc(&engine->arena, sizeof(*event));
		event->kind = PA_ENGINE_EVENT_START;
		event->execution = execution;
		*frame->waiting_end = event;
		frame->waiting_end = &event->next;
		return false;
	}
	frame->active++;
	execution->active = true;
	return true;
}

/* One number for each round in the whole run, so that the name need not grow with every one. */
static void enter_recursion(struct pa_engine *engine, struct pa_engine_execution *execution)
{
	const struct pa_engine_execution *above = same_above(execution->call, execution->plan);
	execution->round_of = above->round_of ? above->round_of : above->suffix;
	execution->suffix =
	    pa_arena_printf(&engine->arena, "%s(r%u)", execution->round_of, ++engine->recursions);
}

static int start_attempt(struct pa_engine *engine, struct pa_engine_execution *execution,
                         struct pa_error *err)
{
	const struct pa_template *template_ = execution->plan->template_;
	struct pa_engine_instance *instance;
	int status;
	if (execution->depth > PA_ENGINE_MAX_DEPTH)
		return pa_error_set(err, PA_ERROR_INPUT, "templates call each other more than %d deep",
		                    PA_ENGINE_MAX_DEPTH);
	switch (template_->kind) {
	case PA_TEMPLATE_DAG:
	case PA_TEMPLATE_STEPS:
		if (execution->prefix != execution->path && execution->attempt == 0)
			enter_recursion(engine, execution);
		execution->prefix->recursive = execution->prefix->recursive || execution->plan->recursive;
		pa_engine_frame_open(engine, execution);
		return 0;
	case PA_TEMPLATE_CONTAINER:
	case PA_TEMPLATE_SCRIPT:
	case PA_TEMPLATE_RESOURCE:
		if (template_->daemon)
			return pa_node_error(template_->node, err, "daemons (template %s) cannot run here",
			                     template_->name);
		status = pa_engine_instance_make(engine, execution, &instance, err);
		if (status < 0)
			return status;
		execution->instance = instance;
		*engine->ready_end = instance;
		engine->ready_end = &instance->next;
		return 0;
	default:
		return pa_node_error(
		    template_->node, err,
		    "template %s is of a kind that cannot run here (only container, script, resource, "
		    "dag and steps can)",
		    template_->name ? template_->name : "");
	}
}

void pa_engine_execution_begin(struct pa_engine *engine, struct pa_engine_execution *execution)
{
	if (is_stopped(engine, execution)) {
		pa_engine_execution_end(engine, execution, PA_OUTCOME_FAILED, "stopped before it started");
		return;
	}
	if (!take_place(engine, execution))
		return;
	if (!execution->plan->template_->has_retry)
		uncount(execution);
	struct pa_error cause = PA_ERROR_INIT;
	if (start_attempt(engine, execution, &cause) < 0)
		pa_engine_execution_break(engine, execution, &cause);
	else if (execution->call)
		pa_engine_call_execution_began(engine, execution->call);
}

/* Hooks of the workflow: those whose expression holds now, and at the end those that have none. */
void pa_engine_workflow_hooks(struct pa_engine *engine)
{
	bool ended = engine->phase == PA_ENGINE_EXIT;
	for (size_t i = 0; i < engine->hook_count && !engine->exits_stopped; i++) {
		struct pa_engine_hook *hook = &engine->hooks[i];
		bool fires = ended && pa_engine_hook_is_exit(hook);
		if (hook->expression && (ended || !pa_engine_hook_is_exit(hook))) {
			struct pa_engine_scope scope = {.engine = engine};
			struct pa_engine_value value;
			struct pa_error cause = PA_ERROR_INIT;
			fires = false;
			if (pa_engine_evaluate(&scope, hook->expression, &value, &cause) < 0)
				pa_engine_break(engine, hook->name, &cause);
			else
				fires = value.kind == PA_VALUE_TRUTH && value.truth;
		}
		if (!fires || engine->hook_fired[i])
			continue;
		engine->hook_fired[i] = true;
		engine->open_hooks++;
		pa_engine_hook_start(engine, NULL, NULL, hook);
	}
}

/* Nothing runs, nothing is to be looked at, and yet the workflow has not ended: its tasks wait in a circle. */
static void break_circle(struct pa_engine *engine)
{
	struct pa_error cause = PA_ERROR_INIT;
	pa_error_set(&cause, PA_ERROR_INPUT, "the tasks that are left wait for each other");
	pa_engine_break(engine, "", &cause);
	engine->main_outcome = PA_OUTCOME_ERROR;
	engine->phase = PA_ENGINE_ENDED;
}

void pa_engine_advance(struct pa_engine *engine)
{
	while (engine->events) {
		struct pa_engine_event *event = engine->events;
		engine->events = event->next;
		if (!engine->events)
			engine->events_end = &engine->events;
		if (event->kind == PA_ENGINE_EVENT_CONSIDER)
			pa_engine_call_consider(engine, event->call);
		else if (event->kind == PA_ENGINE_EVENT_START)
			pa_engine_execution_begin(engine, event->execution);
		else
			pa_engine_frame_close(engine, event->frame);
	}
	if (engine->phase != PA_ENGINE_ENDED && engine->running == 0 && !engine->ready)
		break_circle(engine);
}
