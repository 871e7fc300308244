/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs on the way in, outputs on the way out of an execution. */
#include <string.h>

#include "pipeline/template_text.h"
#include "run/engine_internal.h"

/* The inside of "{{…}}" when the whole text is one reference; texts without braces are taken as they are (Argo's own
 * SDKs write both). */
static const char *only_reference(struct pa_arena *arena, const char *text)
{
	struct pa_template_reference reference;
	if (!pa_template_text_next(text, 0, &reference))
		return text;
	return pa_arena_strndup(arena, reference.inside, reference.inside_bytes);
}

static const struct pa_parameter *find_parameter(const struct pa_parameter *parameters, size_t count,
                                                 const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(parameters[i].name, name) == 0)
			return &parameters[i];
	return NULL;
}

static const struct pa_artifact *find_artifact(const struct pa_artifact *artifacts, size_t count,
                                               const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(artifacts[i].name, name) == 0)
			return &artifacts[i];
	return NULL;
}

static int check_length(const char *what, const char *name, const char *value, struct pa_error *err)
{
	if (value && strlen(value) > PA_ENGINE_MAX_PARAMETER_BYTES)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%s parameter %s is longer than 256 KiB; use an artifact", what, name);
	return 0;
}

static int bind_parameter(struct pa_engine_scope *caller, const struct pa_call *call,
                          struct pa_engine_execution *execution, const struct pa_parameter *input,
                          const char **ret, struct pa_error *err)
{
	const struct pa_parameter *argument =
	    call ? find_parameter(call->parameters, call->parameter_count, input->name) : NULL;
	const char *value = NULL;
	int status = 0;
	if (argument && argument->value) {
		status = pa_engine_expand(caller, argument->value, &value, err);
		/* As in Argo, what a skipped task would have given is replaced by the input's default. */
		bool of_task = strstr(argument->value, "tasks.") || strstr(argument->value, "steps.");
		if (status < 0 && input->value && of_task)
			status = 0;
	} else if (!call) {
		/* The entrypoint and workflow-level handlers get the workflow's own arguments. */
		value = pa_engine_scope_value(
		    caller, pa_arena_printf(&caller->engine->arena, "workflow.parameters.%s", input->name));
	}
	const char *fallback = input->value ? input->value : input->from_default;
	if (status == 0 && !value && fallback) {
		struct pa_engine_scope own = {.engine = caller->engine, .execution = execution};
		status = pa_engine_expand(&own, fallback, &value, err);
	}
	if (status == 0 && !value)
		status = pa_error_set(err, PA_ERROR_INPUT, "input parameter %s has no value", input->name);
	if (status == 0)
		status = check_length("input", input->name, value, err);
	if (status == 0)
		*ret = value;
	return status;
}

static int expand_location(struct pa_engine_scope *scope, const struct pa_artifact *from,
                           struct pa_engine_artifact *ret, struct pa_error *err)
{
	struct pa_engine_artifact found = *ret;
	int status = pa_engine_expand(scope, from->raw, &found.raw, err);
	if (status == 0)
		status = pa_engine_expand(scope, from->uri, &found.uri, err);
	if (status == 0)
		*ret = found;
	return status;
}

/* `from` or fromExpression of an argument or output; leaves `ret` as it is when nothing is there. */
static int follow_reference(struct pa_engine_scope *scope, const struct pa_artifact *artifact,
                            struct pa_engine_artifact *ret, struct pa_error *err)
{
	const struct pa_engine_artifact *source = NULL;
	if (artifact->from_expression) {
		struct pa_engine_value value;
		int status = pa_engine_evaluate(scope, artifact->from_expression, &value, err);
		if (status < 0)
			return status;
		source = value.kind == PA_VALUE_ARTIFACT ? value.artifact : NULL;
	} else if (artifact->from) {
		const char *text = only_reference(&scope->engine->arena, artifact->from);
		source = pa_engine_scope_artifact(scope, text);
	}
	if (!source)
		return 0;
	ret->stored = source->stored;
	ret->raw = source->raw;
	ret->uri = source->uri;
	return 0;
}

static bool has_bytes(const struct pa_engine_artifact *artifact)
{
	return artifact->stored || artifact->raw || artifact->uri;
}

static bool is_nested(const struct pa_template *template_)
{
	return template_->kind == PA_TEMPLATE_DAG || template_->kind == PA_TEMPLATE_STEPS;
}

static int bind_artifact(struct pa_engine_scope *caller, const struct pa_call *call,
                         struct pa_engine_execution *execution, const struct pa_artifact *input,
                         struct pa_engine_artifact *ret, struct pa_error *err)
{
	const struct pa_workflow *workflow = caller->engine->workflow;
	const struct pa_artifact *argument =
	    call ? find_artifact(call->artifacts, call->artifact_count, input->name)
		 : find_artifact(workflow->artifacts, workflow->artifact_count, input->name);
	struct pa_engine_scope own = {.engine = caller->engine, .execution = execution};
	int status = 0;
	ret->name = input->name;
	if (argument) {
		status = follow_reference(caller, argument, ret, err);
		if (status == 0 && !has_bytes(ret))
			status = expand_location(caller, argument, ret, err);
		if (status == 0 && argument->sub_path && has_bytes(ret))
			return pa_node_error(
			    argument->node, err,
			    "artifact %s asks for subPath '%s' of another, which is not known here",
			    input->name, argument->sub_path);
	}
	if (status == 0 && !has_bytes(ret) && is_nested(execution->plan->template_)) {
		status = expand_location(&own, input, ret, err);
	} else if (status == 0 && !has_bytes(ret)) {
		ret->raw = input->raw;
		ret->uri = input->uri;
		ret->unfilled = true;
	}
	bool optional = input->optional || (argument && argument->optional);
	if (status == 0 && !has_bytes(ret) && !optional)
		return pa_error_set(err, PA_ERROR_INPUT, "input artifact %s: nothing was made for it%s%s",
		                    input->name, argument && argument->from ? " by " : "",
		                    argument && argument->from ? argument->from : "");
	return status;
}

int pa_engine_bind_inputs(struct pa_engine_scope *caller, const struct pa_call *call,
                          struct pa_engine_execution *execution, struct pa_error *err)
{
	struct pa_arena *arena = &caller->engine->arena;
	const struct pa_template *template_ = execution->plan->template_;
	execution->parameters =
	    pa_arena_array(arena, template_->input_parameter_count + 1, sizeof(*execution->parameters));
	for (size_t i = 0; i < template_->input_parameter_count; i++)
		execution->parameters[i].name = template_->input_parameters[i].name;
	execution->artifacts =
	    pa_arena_array(arena, template_->input_artifact_count + 1, sizeof(*execution->artifacts));
	for (size_t i = 0; i < template_->input_artifact_count; i++)
		execution->artifacts[i].name = template_->input_artifacts[i].name;
	for (size_t i = 0; i < template_->input_parameter_count; i++) {
		int status = bind_parameter(caller, call, execution, &template_->input_parameters[i],
		                            &execution->parameters[i].value, err);
		if (status < 0)
			return status;
	}
	for (size_t i = 0; i < template_->input_artifact_count; i++) {
		int status = bind_artifact(caller, call, execution, &template_->input_artifacts[i],
		                           &execution->artifacts[i], err);
		if (status < 0)
			return status;
	}
	return 0;
}

static int frame_parameter(struct pa_engine_scope *scope, const struct pa_parameter *output, const char **ret,
                           struct pa_error *err)
{
	const char *value = NULL;
	int status = 0;
	if (output->from_expression) {
		struct pa_engine_value result;
		status = pa_engine_evaluate(scope, output->from_expression, &result, err);
		value = status == 0 ? pa_engine_value_text(&scope->engine->arena, &result) : NULL;
	} else if (output->from_parameter || output->value) {
		const char *text = output->from_parameter ? output->from_parameter : output->value;
		status = pa_engine_expand(scope, text, &value, err);
	}
	if (!value && output->from_default)
		status = pa_engine_expand(scope, output->from_default, &value, err);
	if (status == 0 && !value)
		status = pa_error_set(err, PA_ERROR_INPUT, "it has no value here");
	if (status < 0)
		return pa_error_wrap(err, "output parameter %s", output->name);
	status = check_length("output", output->name, value, err);
	if (status == 0)
		*ret = value;
	return status;
}

int pa_engine_frame_outputs(struct pa_engine *engine, struct pa_engine_frame *frame, struct pa_error *err)
{
	struct pa_engine_execution *owner = frame->owner;
	const struct pa_template *template_ = owner->plan->template_;
	struct pa_engine_scope scope = {.engine = engine, .frame = frame, .execution = owner};
	struct pa_engine_outputs outputs = {0};
	outputs.parameters =
	    pa_arena_array(&engine->arena, template_->output_parameter_count, sizeof(*outputs.parameters));
	outputs.artifacts =
	    pa_arena_array(&engine->arena, template_->output_artifact_count, sizeof(*outputs.artifacts));
	for (size_t i = 0; i < template_->output_parameter_count; i++) {
		const struct pa_parameter *output = &template_->output_parameters[i];
		outputs.parameters[i].name = output->name;
		int status = frame_parameter(&scope, output, &outputs.parameters[i].value, err);
		if (status < 0)
			return status;
	}
	for (size_t i = 0; i < template_->output_artifact_count; i++) {
		const struct pa_artifact *output = &template_->output_artifacts[i];
		outputs.artifacts[i].name = output->name;
		int status = follow_reference(&scope, output, &outputs.artifacts[i], err);
		if (status < 0)
			return status;
		if (!has_bytes(&outputs.artifacts[i]) && !output->optional)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "output artifact %s: nothing was made for it", output->name);
	}
	outputs.parameter_count = template_->output_parameter_count;
	outputs.artifact_count = template_->output_artifact_count;
	owner->outputs = outputs;
	return 0;
}

static void publish_parameter(struct pa_engine *engine, const char *name, const char *value)
{
	struct pa_engine_outputs *globals = &engine->globals;
	for (size_t i = 0; i < globals->parameter_count; i++) {
		if (strcmp(globals->parameters[i].name, name) == 0) {
			globals->parameters[i].value = value;
			return;
		}
	}
	globals->parameters = pa_arena_grow(&engine->arena, globals->parameters, globals->parameter_count,
	                                    &engine->global_parameter_room, sizeof(*globals->parameters));
	globals->parameters[globals->parameter_count++] = (struct pa_name_value){name, value};
}

static void publish_artifact(struct pa_engine *engine, const char *name,
                             const struct pa_engine_artifact *artifact)
{
	struct pa_engine_outputs *globals = &engine->globals;
	size_t at = 0;
	while (at < globals->artifact_count && strcmp(globals->artifacts[at].name, name) != 0)
		at++;
	if (at == globals->artifact_count) {
		globals->artifacts =
		    pa_arena_grow(&engine->arena, globals->artifacts, globals->artifact_count,
		                  &engine->global_artifact_room, sizeof(*globals->artifacts));
		globals->artifact_count++;
	}
	globals->artifacts[at] = *artifact;
	globals->artifacts[at].name = name;
}

/* Outputs with a globalName become {{workflow.outputs…}}. */
void pa_engine_publish(struct pa_engine *engine, const struct pa_engine_execution *execution)
{
	const struct pa_template *template_ = execution->plan->template_;
	struct pa_engine_scope scope = {.engine = engine, .execution = execution};
	struct pa_error ignored = PA_ERROR_INIT;
	for (size_t i = 0; i < execution->outputs.parameter_count; i++) {
		const char *name = NULL;
		if (execution->outputs.parameters[i].value && template_->output_parameters[i].global_name &&
		    pa_engine_expand(&scope, template_->output_parameters[i].global_name, &name, &ignored) ==
		        0)
			publish_parameter(engine, name, execution->outputs.parameters[i].value);
	}
	for (size_t i = 0; i < execution->outputs.artifact_count; i++) {
		const char *name = NULL;
		if (has_bytes(&execution->outputs.artifacts[i]) &&
		    template_->output_artifacts[i].global_name &&
		    pa_engine_expand(&scope, template_->output_artifacts[i].global_name, &name, &ignored) ==
		        0)
			publish_artifact(engine, name, &execution->outputs.artifacts[i]);
	}
}
