/* SPDX-License-Identifier: Apache-2.0 */
/* Instances: a leaf template with everything filled in, and what comes back from it. */
#include <stdio.h>
#include <string.h>

#include "run/engine_internal.h"

/* Fills in a text unless something before it failed already: a template has dozens of them. */
static const char *fill(struct pa_engine_scope *scope, const char *text, int *status, struct pa_error *err)
{
	const char *filled = NULL;
	if (*status == 0)
		*status = pa_engine_expand(scope, text, &filled, err);
	return filled;
}

static const char **fill_list(struct pa_engine_scope *scope, const char *const *texts, size_t count,
                              int *status, struct pa_error *err)
{
	const char **list = pa_arena_array(&scope->engine->arena, count + 1, sizeof(*list));
	for (size_t i = 0; i < count; i++)
		list[i] = fill(scope, texts[i], status, err);
	return list;
}

static const char *metadata_field(struct pa_engine_scope *scope, const char *field, int *status,
                                  struct pa_error *err)
{
	const struct pa_template *template_ = scope->instance->execution->plan->template_;
	char section[16], key[256], extra;
	if (sscanf(field, "metadata.%15[a-z]['%255[^']'%c", section, key, &extra) != 3 || extra != ']')
		return NULL;
	if (strcmp(key, "workflows.argoproj.io/workflow") == 0)
		return scope->engine->run_name;
	if (strcmp(key, "workflows.argoproj.io/node-name") == 0)
		return fill(scope, "{{node.name}}", status, err);
	return fill(scope, pa_node_text(pa_node_get(pa_node_get(template_->metadata, section), key)), status,
	            err);
}

/* The downward API, as far as it makes sense without a pod; NULL: unknown. */
static const char *field_value(struct pa_engine_scope *scope, const struct pa_node *value_from, int *status,
                               struct pa_error *err)
{
	const char *field = pa_node_text(pa_node_path(value_from, "fieldRef.fieldPath"));
	if (!field)
		return NULL;
	if (strcmp(field, "metadata.name") == 0)
		return scope->instance->pod_name;
	if (strcmp(field, "metadata.namespace") == 0)
		return scope->engine->namespace_;
	if (strcmp(field, "metadata.uid") == 0)
		return pa_arena_printf(&scope->engine->arena, "%s-%u", scope->engine->uid,
		                       scope->instance->public.index);
	return metadata_field(scope, field, status, err);
}

static int fill_environment(struct pa_engine_scope *scope, struct pa_instance *out, struct pa_error *err)
{
	const struct pa_container *container = &out->template_->container;
	int status = 0;
	out->env = pa_arena_array(&scope->engine->arena, container->env_count, sizeof(*out->env));
	for (size_t i = 0; i < container->env_count; i++) {
		const struct pa_environment *variable = &container->env[i];
		const char *value = variable->value_from
		                        ? field_value(scope, variable->value_from, &status, err)
		                        : fill(scope, variable->value ? variable->value : "", &status, err);
		if (value)
			out->env[out->env_count++] = (struct pa_name_value){variable->name, value};
	}
	return status;
}

static const struct pa_volume *find_volume(const struct pa_volume *volumes, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(volumes[i].name, name) == 0)
			return &volumes[i];
	return NULL;
}

/* A volume of the workflow's spec may be named after what a task made: that task is in the DAG that calls the
 * template, or in one around it. */
static int fill_shared_claim(struct pa_engine_scope *scope, const struct pa_volume *volume, const char **ret,
                             struct pa_error *err)
{
	const struct pa_engine_call *call = scope->execution->call;
	struct pa_engine_scope around = *scope;
	for (int status;; call = call->frame->owner->call) {
		around.frame = call ? call->frame : NULL;
		status = pa_engine_expand(&around, volume->claim, ret, err);
		if (status == 0 || !around.frame)
			return status;
	}
}

static int fill_mount(struct pa_engine_scope *scope, const struct pa_volume_mount *mount,
                      struct pa_instance_mount *ret, struct pa_error *err)
{
	const struct pa_template *template_ = scope->instance->public.template_;
	const struct pa_workflow *workflow = scope->engine->workflow;
	const char *claim = NULL, *name;
	int status = pa_engine_expand(scope, mount->volume, &name, err);
	if (status < 0)
		return status;
	/* A name with `{{…}}` in it may be written so on both sides. */
	const struct pa_volume *volume =
	    find_volume(template_->volumes, template_->volume_count, mount->volume);
	if (!volume)
		volume = find_volume(template_->volumes, template_->volume_count, name);
	if (volume) {
		claim = fill(scope, volume->claim, &status, err);
	} else {
		volume = find_volume(workflow->volumes, workflow->volume_count, name);
		if (!volume)
			return pa_node_error(mount->node, err, "volume %s is not declared", name);
		status = fill_shared_claim(scope, volume, &claim, err);
	}
	*ret = (struct pa_instance_mount){
	    .path = fill(scope, mount->path, &status, err),
	    .sub_path = fill(scope, mount->sub_path, &status, err),
	    .volume = name,
	    .kind = volume->kind,
	    .claim = claim,
	    .claim_template = volume->from_claim_template,
	    .read_only = mount->read_only || volume->read_only,
	};
	return status;
}

static int fill_mounts(struct pa_engine_scope *scope, struct pa_instance *out, struct pa_error *err)
{
	const struct pa_container *container = &out->template_->container;
	int status = 0;
	out->mounts = pa_arena_array(&scope->engine->arena, container->mount_count, sizeof(*out->mounts));
	for (size_t i = 0; i < container->mount_count && status == 0; i++)
		status = fill_mount(scope, &container->mounts[i], &out->mounts[i], err);
	out->mount_count = container->mount_count;
	return status;
}

static int fill_inputs(struct pa_engine_scope *scope, struct pa_instance *out, struct pa_error *err)
{
	const struct pa_template *template_ = out->template_;
	const struct pa_engine_execution *execution = scope->execution;
	int status = 0;
	out->input_artifacts = pa_arena_array(&scope->engine->arena, template_->input_artifact_count,
	                                      sizeof(*out->input_artifacts));
	for (size_t i = 0; i < template_->input_artifact_count; i++) {
		const struct pa_artifact *input = &template_->input_artifacts[i];
		const struct pa_engine_artifact *bytes = &execution->artifacts[i];
		out->input_artifacts[i] = (struct pa_instance_artifact){
		    .name = input->name,
		    .path = fill(scope, input->path, &status, err),
		    .stored = bytes->stored,
		    .raw = bytes->unfilled ? fill(scope, bytes->raw, &status, err) : bytes->raw,
		    .uri = bytes->unfilled ? fill(scope, bytes->uri, &status, err) : bytes->uri,
		    .optional = input->optional,
		};
	}
	out->input_artifact_count = template_->input_artifact_count;
	return status;
}

/* What the task itself makes; outputs that are a text of other values are worked out here when it has ended. */
static bool is_made(const struct pa_parameter *output)
{
	return output->from_path || output->from_json_path;
}

static int fill_outputs(struct pa_engine_scope *scope, struct pa_instance *out, struct pa_error *err)
{
	const struct pa_template *template_ = out->template_;
	struct pa_arena *arena = &scope->engine->arena;
	int status = 0;
	out->output_parameters =
	    pa_arena_array(arena, template_->output_parameter_count, sizeof(*out->output_parameters));
	for (size_t i = 0; i < template_->output_parameter_count; i++) {
		const struct pa_parameter *output = &template_->output_parameters[i];
		if (!is_made(output))
			continue;
		out->output_parameters[out->output_parameter_count++] = (struct pa_instance_output){
		    .name = output->name,
		    .path = fill(scope, output->from_path, &status, err),
		    .default_value = fill(scope, output->from_default, &status, err),
		    .json_path = fill(scope, output->from_json_path, &status, err),
		};
	}
	out->output_artifacts =
	    pa_arena_array(arena, template_->output_artifact_count, sizeof(*out->output_artifacts));
	for (size_t i = 0; i < template_->output_artifact_count; i++) {
		out->output_artifacts[i] = (struct pa_instance_output){
		    .name = template_->output_artifacts[i].name,
		    .path = fill(scope, template_->output_artifacts[i].path, &status, err),
		    .optional = template_->output_artifacts[i].optional,
		};
	}
	out->output_artifact_count = template_->output_artifact_count;
	return status;
}

/* An argument may name the pod of the task that gets it ("out-{{pod.name}}"): known only here. */
static int fill_parameters(struct pa_engine_scope *scope, struct pa_engine_instance *instance,
                           struct pa_error *err)
{
	size_t count = instance->public.template_->input_parameter_count;
	const struct pa_name_value *given = scope->execution->parameters;
	struct pa_engine_scope pod = *scope;
	int status = 0;
	pod.pod_only = true;
	struct pa_name_value *filled = pa_arena_array(&scope->engine->arena, count, sizeof(*filled));
	for (size_t i = 0; i < count; i++)
		filled[i] = (struct pa_name_value){given[i].name, fill(&pod, given[i].value, &status, err)};
	instance->parameters = filled;
	return status;
}

static int fill_init_containers(struct pa_engine_scope *scope, struct pa_instance *out, struct pa_error *err)
{
	const struct pa_template *template_ = out->template_;
	struct pa_arena *arena = &scope->engine->arena;
	int status = 0;
	out->init_commands =
	    pa_arena_array(arena, template_->init_container_count, sizeof(*out->init_commands));
	for (size_t i = 0; i < template_->init_container_count; i++) {
		const struct pa_container *container = &template_->init_containers[i];
		const char **command =
		    fill_list(scope, container->command, container->command_count, &status, err);
		const char **args = fill_list(scope, container->args, container->arg_count, &status, err);
		struct pa_instance_command *whole = &out->init_commands[out->init_command_count++];
		if (status < 0)
			return status;
		whole->words =
		    pa_arena_array(arena, container->command_count + container->arg_count, sizeof(char *));
		for (size_t k = 0; k < container->command_count; k++)
			whole->words[whole->word_count++] = command[k];
		for (size_t k = 0; k < container->arg_count; k++)
			whole->words[whole->word_count++] = args[k];
	}
	return status;
}

static int fill_container(struct pa_engine_scope *scope, struct pa_instance *out, struct pa_error *err)
{
	const struct pa_container *container = &out->template_->container;
	int status = 0;
	out->image = fill(scope, container->image ? container->image : "", &status, err);
	out->command = fill_list(scope, container->command, container->command_count, &status, err);
	out->command_count = container->command_count;
	out->args = fill_list(scope, container->args, container->arg_count, &status, err);
	out->arg_count = container->arg_count;
	out->source = fill(scope, container->source, &status, err);
	out->working_directory = fill(scope, container->working_dir, &status, err);
	out->resource_action = fill(scope, out->template_->resource_action, &status, err);
	out->resource_manifest = fill(scope, out->template_->resource_manifest, &status, err);
	if (status == 0)
		status = fill_init_containers(scope, out, err);
	if (status == 0)
		status = fill_environment(scope, out, err);
	if (status == 0)
		status = fill_mounts(scope, out, err);
	return status;
}

int pa_engine_instance_make(struct pa_engine *engine, struct pa_engine_execution *execution,
                            struct pa_engine_instance **ret, struct pa_error *err)
{
	if (engine->instance_count >= PA_ENGINE_MAX_INSTANCES)
		return pa_error_set(err, PA_ERROR_INPUT, "the workflow runs more than %d tasks",
		                    PA_ENGINE_MAX_INSTANCES);
	if (pa_arena_bytes(&engine->arena) > PA_ENGINE_MAX_MEMORY_BYTES)
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "the texts of the workflow's tasks take more than 4 GiB; shorten its loops or scripts");
	struct pa_engine_instance *instance = pa_arena_alloc(&engine->arena, sizeof(*instance));
	struct pa_instance *out = &instance->public;
	const struct pa_template *template_ = execution->plan->template_;
	instance->execution = execution;
	out->index = (uint32_t)engine->instance_count;
	out->task_id = execution->path->id;
	out->suffix = pa_engine_attempt_suffix(engine, execution);
	out->attempt = execution->attempt;
	out->delay_ms = execution->attempt > 0 ? execution->delay_ms : 0;
	out->template_ = template_;
	out->wants_result = execution->call && execution->call->plan && execution->call->plan->wants_result;
	instance->pod_name = pa_arena_printf(&engine->arena, "%s-%s-%u", engine->run_name,
	                                     template_->name ? template_->name : "inline", out->index);
	struct pa_engine_scope scope = {.engine = engine, .execution = execution, .instance = instance};
	int status = fill_parameters(&scope, instance, err);
	if (status == 0)
		status = fill_container(&scope, out, err);
	if (status == 0)
		status = fill_inputs(&scope, out, err);
	if (status == 0)
		status = fill_outputs(&scope, out, err);
	if (status < 0)
		return status;
	engine->instance_count++;
	*ret = instance;
	return 0;
}

/* An output parameter that nothing in the task makes: a text of its inputs. */
static int work_out(struct pa_engine_scope *scope, const struct pa_parameter *output, const char **ret,
                    struct pa_error *err)
{
	if (output->from_expression) {
		struct pa_engine_value value;
		int status = pa_engine_evaluate(scope, output->from_expression, &value, err);
		if (status == 0)
			*ret = pa_engine_value_text(&scope->engine->arena, &value);
		return status;
	}
	return pa_engine_expand(scope, output->from_parameter ? output->from_parameter : output->value, ret,
	                        err);
}

/* A task that failed may have left anything undone; one that succeeded may not. */
static void output_missing(struct pa_engine *engine, struct pa_engine_execution *execution, const char *kind,
                           const char *name)
{
	if (execution->outcome != PA_OUTCOME_SUCCEEDED)
		return;
	execution->outcome = PA_OUTCOME_ERROR;
	execution->message = pa_arena_printf(&engine->arena, "it made no output %s %s", kind, name);
}

static int take_parameters(struct pa_engine_scope *scope, const struct pa_instance_result *result,
                           struct pa_error *err)
{
	struct pa_engine_execution *execution = scope->instance->execution;
	const struct pa_instance *instance = &scope->instance->public;
	const struct pa_template *template_ = instance->template_;
	struct pa_arena *arena = &scope->engine->arena;
	struct pa_engine_outputs *outputs = &execution->outputs;
	size_t made = 0;
	outputs->parameters =
	    pa_arena_array(arena, template_->output_parameter_count, sizeof(*outputs->parameters));
	outputs->parameter_count = template_->output_parameter_count;
	for (size_t i = 0; i < template_->output_parameter_count; i++) {
		const struct pa_parameter *output = &template_->output_parameters[i];
		struct pa_name_value *out = &outputs->parameters[i];
		out->name = output->name;
		if (!is_made(output)) {
			int status = work_out(scope, output, &out->value, err);
			if (status < 0)
				return pa_error_wrap(err, "output parameter %s", output->name);
			continue;
		}
		const char *given = result->parameters ? result->parameters[made] : NULL;
		const char *fallback = instance->output_parameters[made++].default_value;
		if (given && strlen(given) > PA_ENGINE_MAX_PARAMETER_BYTES)
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "output parameter %s is longer than 256 KiB; use an artifact",
			                    output->name);
		out->value = given ? pa_arena_strdup(arena, given) : fallback;
		if (!out->value)
			output_missing(scope->engine, execution, "parameter", output->name);
	}
	return 0;
}

static void take_artifacts(struct pa_engine *engine, struct pa_engine_instance *instance,
                           const struct pa_instance_result *result)
{
	struct pa_engine_execution *execution = instance->execution;
	const struct pa_instance *public = &instance->public;
	struct pa_engine_outputs *outputs = &execution->outputs;
	outputs->artifacts =
	    pa_arena_array(&engine->arena, public->output_artifact_count, sizeof(*outputs->artifacts));
	outputs->artifact_count = public->output_artifact_count;
	for (size_t i = 0; i < public->output_artifact_count; i++) {
		const struct pa_instance_output *output = &public->output_artifacts[i];
		const char *stored = result->artifacts ? result->artifacts[i] : NULL;
		outputs->artifacts[i].name = output->name;
		outputs->artifacts[i].stored = stored ? pa_arena_strdup(&engine->arena, stored) : NULL;
		if (!stored && output->path && !output->optional)
			output_missing(engine, execution, "artifact", output->name);
	}
}

int pa_engine_instance_take(struct pa_engine *engine, struct pa_engine_instance *instance,
                            const struct pa_instance_result *result, struct pa_error *err)
{
	struct pa_engine_execution *execution = instance->execution;
	struct pa_engine_outputs *outputs = &execution->outputs;
	struct pa_engine_scope scope = {.engine = engine, .execution = execution, .instance = instance};
	execution->outcome = result->outcome;
	execution->message = result->message ? pa_arena_strdup(&engine->arena, result->message) : NULL;
	*outputs = (struct pa_engine_outputs){0};
	outputs->exit_code = pa_arena_printf(&engine->arena, "%d", result->exit_code);
	if (result->result && strlen(result->result) > PA_ENGINE_MAX_PARAMETER_BYTES)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "its standard output is wanted as outputs.result, and is longer "
		                    "than 256 KiB");
	outputs->result = result->result ? pa_arena_strdup(&engine->arena, result->result) : NULL;
	take_artifacts(engine, instance, result);
	return take_parameters(&scope, result, err);
}
