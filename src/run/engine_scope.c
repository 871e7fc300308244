/* SPDX-License-Identifier: Apache-2.0 */
/* What `{{…}}` stands for.  A name of Argo's that has no value here is an error: a task must never be started with
 * "{{inputs…" in its command.  What is no name of Argo's ("{{ .Files }}", "{{$}}") stays as it is. */
#include <string.h>

#include "pipeline/template_text.h"
#include "run/engine_internal.h"

const char *pa_engine_outcome_text(enum pa_outcome outcome)
{
	switch (outcome) {
	case PA_OUTCOME_PENDING:
		return "Pending";
	case PA_OUTCOME_RUNNING:
		return "Running";
	case PA_OUTCOME_SUCCEEDED:
		return "Succeeded";
	case PA_OUTCOME_FAILED:
		return "Failed";
	case PA_OUTCOME_ERROR:
		return "Error";
	case PA_OUTCOME_SKIPPED:
		return "Skipped";
	case PA_OUTCOME_OMITTED:
		return "Omitted";
	}
	return "";
}

bool pa_engine_outcome_is_failure(enum pa_outcome outcome)
{
	return outcome == PA_OUTCOME_FAILED || outcome == PA_OUTCOME_ERROR;
}

static const char *after_prefix(const char *text, const char *prefix)
{
	size_t bytes = strlen(prefix);
	return strncmp(text, prefix, bytes) == 0 ? text + bytes : NULL;
}

static const char *find_value(const struct pa_name_value *values, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(values[i].name, name) == 0)
			return values[i].value;
	return NULL;
}

static const struct pa_engine_artifact *find_artifact(const struct pa_engine_artifact *artifacts,
                                                      size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(artifacts[i].name, name) == 0)
			return &artifacts[i];
	return NULL;
}

/* `[{"name":"a","value":"1"}]`, as {{inputs.parameters}} is. */
static const char *parameter_list(struct pa_arena *arena, const struct pa_name_value *values, size_t count)
{
	struct pa_buffer out;
	pa_buffer_init(&out, PA_ENGINE_MAX_TEXT_BYTES);
	pa_buffer_puts(&out, "[");
	for (size_t i = 0; i < count; i++) {
		pa_buffer_puts(&out, i > 0 ? ",{\"name\":" : "{\"name\":");
		pa_engine_json_quote(&out, values[i].name);
		pa_buffer_puts(&out, ",\"value\":");
		pa_engine_json_quote(&out, values[i].value ? values[i].value : "");
		pa_buffer_puts(&out, "}");
	}
	pa_buffer_puts(&out, "]");
	const char *text = pa_arena_strdup(arena, out.data);
	pa_buffer_done(&out);
	return text;
}

/* `{"a":"1","b":"2"}`: one execution of a loop in {{tasks.x.outputs.parameters}}. */
static const char *parameter_map(struct pa_arena *arena, const struct pa_engine_outputs *outputs)
{
	struct pa_buffer out;
	pa_buffer_init(&out, PA_ENGINE_MAX_TEXT_BYTES);
	pa_buffer_puts(&out, "{");
	for (size_t i = 0; i < outputs->parameter_count; i++) {
		if (i > 0)
			pa_buffer_puts(&out, ",");
		pa_engine_json_quote(&out, outputs->parameters[i].name);
		pa_buffer_puts(&out, ":");
		pa_engine_json_quote(&out, outputs->parameters[i].value ? outputs->parameters[i].value : "");
	}
	pa_buffer_puts(&out, "}");
	const char *text = pa_arena_strdup(arena, out.data);
	pa_buffer_done(&out);
	return text;
}

static const char *outputs_value(struct pa_arena *arena, const struct pa_engine_outputs *outputs,
                                 const char *rest)
{
	const char *name = after_prefix(rest, "parameters.");
	if (name)
		return find_value(outputs->parameters, outputs->parameter_count, name);
	if (strcmp(rest, "parameters") == 0)
		return parameter_map(arena, outputs);
	return strcmp(rest, "result") == 0 ? outputs->result : NULL;
}

/* Outputs of a loop, all items that succeeded together; NULL when there are none. */
static const char *loop_value(struct pa_arena *arena, struct pa_engine_call *call, const char *rest)
{
	if (call->list_name && strcmp(call->list_name, rest) == 0)
		return call->list_text;
	const char **values = pa_arena_array(arena, call->execution_count, sizeof(*values));
	size_t count = 0;
	for (size_t i = 0; i < call->execution_count; i++) {
		const struct pa_engine_execution *execution = call->executions[i];
		if (execution->outcome != PA_OUTCOME_SUCCEEDED)
			continue;
		const char *value = outputs_value(arena, &execution->outputs, rest);
		if (value)
			values[count++] = value;
	}
	if (count == 0 && call->outcome != PA_OUTCOME_SUCCEEDED && call->outcome != PA_OUTCOME_SKIPPED)
		return NULL;
	call->list_name = pa_arena_strdup(arena, rest);
	call->list_text = pa_engine_json_list(arena, values, count, strcmp(rest, "result") == 0);
	return call->list_text;
}

static struct pa_engine_call *find_call(const struct pa_engine_scope *scope, const char *reference,
                                        const char **ret_rest)
{
	const char *name = after_prefix(reference, "tasks.");
	if (!name)
		name = after_prefix(reference, "steps.");
	const char *dot = name ? strchr(name, '.') : NULL;
	if (!dot || !scope->frame)
		return NULL;
	struct pa_engine_frame *frame = scope->frame;
	size_t index = pa_engine_plan_find_call(frame->owner->plan, name, (size_t)(dot - name));
	if (index == SIZE_MAX)
		return NULL;
	*ret_rest = dot + 1;
	return &frame->calls[index];
}

static const char *call_value(struct pa_engine_scope *scope, struct pa_engine_call *call, const char *rest)
{
	struct pa_arena *arena = &scope->engine->arena;
	if (strcmp(rest, "status") == 0)
		return pa_engine_outcome_text(call->outcome);
	if (strcmp(rest, "name") == 0)
		return call->call->key;
	if (strcmp(rest, "id") == 0)
		return call->path->id;
	if (strcmp(rest, "ip") == 0)
		return "127.0.0.1";
	bool ended = call->outcome != PA_OUTCOME_PENDING && call->outcome != PA_OUTCOME_RUNNING;
	if (!ended)
		return NULL;
	const char *output = after_prefix(rest, "outputs.");
	if (call->looped)
		return output ? loop_value(arena, call, output) : NULL;
	if (call->execution_count == 0)
		return NULL;
	const struct pa_engine_execution *execution = call->executions[0];
	if (strcmp(rest, "exitCode") == 0)
		return execution->outputs.exit_code;
	if (strcmp(rest, "message") == 0)
		return execution->message ? execution->message : "";
	if (output && strcmp(output, "parameters") == 0)
		return parameter_list(arena, execution->outputs.parameters,
		                      execution->outputs.parameter_count);
	return output ? outputs_value(arena, &execution->outputs, output) : NULL;
}

static const char *workflow_status(const struct pa_engine *engine)
{
	if (engine->main_outcome == PA_OUTCOME_PENDING)
		return "Running";
	return pa_engine_outcome_text(engine->main_outcome);
}

static const char *workflow_value(struct pa_engine_scope *scope, const char *rest)
{
	struct pa_engine *engine = scope->engine;
	const char *name;
	if ((name = after_prefix(rest, "parameters.")))
		return find_value(engine->parameters, engine->parameter_count, name);
	if ((name = after_prefix(rest, "outputs.parameters.")))
		return find_value(engine->globals.parameters, engine->globals.parameter_count, name);
	if ((name = after_prefix(rest, "labels.")))
		return pa_node_text(pa_node_get(engine->workflow->labels, name));
	if ((name = after_prefix(rest, "annotations.")))
		return pa_node_text(pa_node_get(engine->workflow->annotations, name));
	if (strcmp(rest, "parameters") == 0 || strcmp(rest, "parameters.json") == 0)
		return parameter_list(&engine->arena, engine->parameters, engine->parameter_count);
	if (strcmp(rest, "name") == 0)
		return engine->run_name;
	if (strcmp(rest, "uid") == 0)
		return engine->uid;
	if (strcmp(rest, "namespace") == 0)
		return engine->namespace_;
	if (strcmp(rest, "serviceAccountName") == 0)
		return "default";
	if (strcmp(rest, "mainEntrypoint") == 0)
		return engine->workflow->entrypoint;
	if (strcmp(rest, "status") == 0)
		return workflow_status(engine);
	if (strcmp(rest, "failures") == 0)
		return pa_arena_printf(&engine->arena, "[%s]", engine->failures.data);
	return NULL;
}

static const char *input_value(const struct pa_engine_scope *scope, const char *rest)
{
	const struct pa_engine_execution *execution = scope->execution;
	if (!execution || !execution->parameters)
		return strcmp(rest, "parameters") == 0 ? "[]" : NULL;
	const struct pa_template *template_ = execution->plan->template_;
	const struct pa_name_value *values = execution->parameters;
	if (scope->instance && scope->instance->parameters)
		values = scope->instance->parameters;
	const char *name = after_prefix(rest, "parameters.");
	if (name)
		return find_value(values, template_->input_parameter_count, name);
	if (strcmp(rest, "parameters") == 0)
		return parameter_list(&scope->engine->arena, values, template_->input_parameter_count);
	return NULL;
}

/* `inputs.artifacts.NAME.path`, `outputs.artifacts.NAME.path`, `outputs.parameters.NAME.path` of a leaf. */
static const char *path_value(struct pa_engine_scope *scope, const char *reference)
{
	size_t bytes = strlen(reference);
	if (!scope->instance || bytes < 5 || strcmp(reference + bytes - 5, ".path") != 0)
		return NULL;
	const struct pa_template *template_ = scope->instance->execution->plan->template_;
	const struct pa_artifact *artifacts = NULL;
	size_t artifact_count = 0;
	const char *name;
	if ((name = after_prefix(reference, "inputs.artifacts."))) {
		artifacts = template_->input_artifacts;
		artifact_count = template_->input_artifact_count;
	} else if ((name = after_prefix(reference, "outputs.artifacts."))) {
		artifacts = template_->output_artifacts;
		artifact_count = template_->output_artifact_count;
	} else if (!(name = after_prefix(reference, "outputs.parameters."))) {
		return NULL;
	}
	size_t name_bytes = strlen(name) - 5;
	for (size_t i = 0; i < artifact_count; i++)
		if (strncmp(artifacts[i].name, name, name_bytes) == 0 && !artifacts[i].name[name_bytes])
			return artifacts[i].path;
	if (artifacts)
		return NULL;
	for (size_t i = 0; i < template_->output_parameter_count; i++) {
		const struct pa_parameter *parameter = &template_->output_parameters[i];
		if (strncmp(parameter->name, name, name_bytes) == 0 && !parameter->name[name_bytes])
			return parameter->from_path;
	}
	return NULL;
}

static const char *leaf_value(struct pa_engine_scope *scope, const char *reference)
{
	const struct pa_engine_instance *instance = scope->instance;
	const struct pa_engine_execution *execution = instance->execution;
	if (strcmp(reference, "pod.name") == 0)
		return instance->pod_name;
	if (strcmp(reference, "node.name") == 0)
		return pa_arena_printf(&scope->engine->arena, "%s.%s%s", scope->engine->run_name,
		                       execution->path->id, instance->public.suffix);
	if (strcmp(reference, "retries") == 0)
		return pa_arena_printf(&scope->engine->arena, "%u", execution->attempt);
	return path_value(scope, reference);
}

static const char *last_retry_value(const struct pa_engine_execution *execution, const char *rest)
{
	if (strcmp(rest, "exitCode") == 0)
		return execution->outputs.exit_code ? execution->outputs.exit_code : "0";
	if (strcmp(rest, "status") == 0)
		return pa_engine_outcome_text(execution->outcome);
	if (strcmp(rest, "message") == 0)
		return execution->message ? execution->message : "";
	return NULL;
}

const char *pa_engine_scope_value(struct pa_engine_scope *scope, const char *reference)
{
	const char *rest;
	if ((rest = after_prefix(reference, "workflow.")))
		return workflow_value(scope, rest);
	struct pa_engine_call *call = find_call(scope, reference, &rest);
	if (call)
		return call_value(scope, call, rest);
	if (scope->item && strcmp(reference, "item") == 0)
		return scope->item->text;
	if (scope->item && (rest = after_prefix(reference, "item.")))
		return pa_engine_json_member(&scope->engine->arena, scope->item->json, rest);
	if (scope->last_retry && scope->execution && (rest = after_prefix(reference, "lastRetry.")))
		return last_retry_value(scope->execution, rest);
	if (scope->host && strcmp(reference, "status") == 0)
		return pa_engine_outcome_text(scope->host->outcome);
	const char *value = scope->instance ? leaf_value(scope, reference) : NULL;
	if (value)
		return value;
	rest = after_prefix(reference, "inputs.");
	return rest ? input_value(scope, rest) : NULL;
}

const struct pa_engine_artifact *pa_engine_scope_artifact(struct pa_engine_scope *scope,
                                                          const char *reference)
{
	const char *rest;
	if ((rest = after_prefix(reference, "workflow.outputs.artifacts.")))
		return find_artifact(scope->engine->globals.artifacts, scope->engine->globals.artifact_count,
		                     rest);
	const struct pa_engine_call *call = find_call(scope, reference, &rest);
	if (call) {
		const char *name = after_prefix(rest, "outputs.artifacts.");
		if (!name || call->looped || call->execution_count == 0)
			return NULL;
		const struct pa_engine_outputs *outputs = &call->executions[0]->outputs;
		return find_artifact(outputs->artifacts, outputs->artifact_count, name);
	}
	rest = after_prefix(reference, "inputs.artifacts.");
	if (!rest || !scope->execution || !scope->execution->artifacts)
		return NULL;
	return find_artifact(scope->execution->artifacts,
	                     scope->execution->plan->template_->input_artifact_count, rest);
}

/* Names that are Argo's: without a value they are errors.  What only a pod knows is left for the leaf that an argument
 * is handed to. */
static bool is_argo_name(const char *reference)
{
	static const char *const prefixes[] = {"inputs.",   "outputs.", "tasks.",    "steps.",
	                                       "workflow.", "item.",    "lastRetry."};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (after_prefix(reference, prefixes[i]))
			return true;
	return strcmp(reference, "item") == 0;
}

static bool is_pod_name(const char *reference)
{
	return strcmp(reference, "pod.name") == 0 || strcmp(reference, "node.name") == 0 ||
	       strcmp(reference, "retries") == 0;
}

static void explain(struct pa_engine_scope *scope, const char *reference)
{
	if (scope->failure->class != PA_ERROR_NONE)
		return;
	const char *rest;
	const struct pa_engine_call *call = find_call(scope, reference, &rest);
	if (call)
		pa_error_set(
		    scope->failure, PA_ERROR_INPUT,
		    "'{{%s}}' has no value: %s is %s; give the input a default, or run it only after %s",
		    reference, call->path->id, pa_engine_outcome_text(call->outcome), call->path->id);
	else
		pa_error_set(scope->failure, PA_ERROR_INPUT, "'{{%s}}' has no value here", reference);
}

static const char *lookup(void *context, const char *inside)
{
	struct pa_engine_scope *scope = context;
	const char *value;
	if (scope->pod_only)
		return is_pod_name(inside) ? leaf_value(scope, inside) : NULL;
	if (inside[0] == '=') {
		struct pa_engine_value result;
		struct pa_error cause = PA_ERROR_INIT;
		bool known = pa_engine_evaluate(scope, inside + 1, &result, &cause) == 0;
		value = known ? pa_engine_value_text(&scope->engine->arena, &result) : NULL;
		if (!value && scope->failure->class == PA_ERROR_NONE)
			pa_error_set(scope->failure, PA_ERROR_INPUT, "'{{%.200s}}': %.600s", inside,
			             known ? "it has no value here" : cause.message);
	} else {
		value = pa_engine_scope_value(scope, inside);
		bool stays = scope->undeclared_stays && after_prefix(inside, "inputs.parameters.");
		if (!value && is_argo_name(inside) && !stays)
			explain(scope, inside);
	}
	if (!value || !scope->json)
		return value;
	const char *quoted = pa_engine_json_quoted(&scope->engine->arena, value);
	return pa_arena_strndup(&scope->engine->arena, quoted + 1, strlen(quoted) - 2);
}

int pa_engine_expand(struct pa_engine_scope *scope, const char *text, const char **ret, struct pa_error *err)
{
	if (!text) {
		*ret = NULL;
		return 0;
	}
	struct pa_error failure = PA_ERROR_INIT;
	struct pa_engine_scope inner = *scope;
	inner.failure = &failure;
	const char *filled;
	int status = pa_template_text_expand(&scope->engine->arena, text, lookup, &inner, &filled, err);
	if (status < 0)
		return status;
	if (failure.class != PA_ERROR_NONE) {
		*err = failure;
		return -(int)failure.class;
	}
	*ret = filled;
	return 0;
}
