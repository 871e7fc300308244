/* SPDX-License-Identifier: Apache-2.0 */
/* A template and its call, as a task of the model: command, inputs, outputs. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

static int expand_texts(struct argo_filling *filling, const char **texts, size_t count, const char ***ret,
                        size_t *ret_count, struct pa_error *err)
{
	struct pa_arena *arena = filling->analysis->findings.budget.arena;
	int rc = pa_budget_check(&filling->analysis->findings.budget, count * sizeof(char *),
	                         filling->place->call->node, err);

	if (rc < 0)
		return rc;
	const char **filled = pa_arena_array(arena, count, sizeof(*filled));
	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = argo_expand(filling->analysis, filling->instance, texts[i], &filled[i], err);
		if (rc == 0)
			rc = pa_budget_check(&filling->analysis->findings.budget, 0,
			                     filling->place->call->node, err);
	}
	*ret = filled;
	*ret_count = count;
	return rc;
}

static int fill_command(struct argo_filling *filling, struct pa_error *err)
{
	const struct pa_container *container = &filling->template->container;
	struct pa_task *task = filling->task;
	int rc = expand_texts(filling, container->command, container->command_count, &task->command,
	                      &task->command_count, err);

	if (rc == 0)
		rc = expand_texts(filling, container->args, container->arg_count, &task->args,
		                  &task->arg_count, err);
	if (rc == 0 && container->image != NULL)
		rc = argo_expand(filling->analysis, filling->instance, container->image, &task->image, err);
	return rc;
}

/* A path in the container, filled in; NULL stays NULL. */
static int fill_path(struct argo_filling *filling, const struct pa_node *at, const char *path,
                     const char **ret, struct pa_error *err)
{
	*ret = path;
	if (path == NULL || argo_is_known(path))
		return 0;
	int rc = argo_expand(filling->analysis, filling->instance, path, ret, err);
	return rc < 0 ? rc : argo_check_path(at, *ret, err);
}

static int fill_inputs(struct argo_filling *filling, struct pa_error *err)
{
	const struct pa_template *template = filling->template;
	struct pa_task *task = filling->task;
	size_t count = template->input_parameter_count + template->input_artifact_count;
	const struct argo_origins *origins;
	int rc = pa_budget_check(&filling->analysis->findings.budget, count * sizeof(*task->inputs),
	                         filling->place->call->node, err);

	if (rc < 0)
		return rc;
	task->inputs = pa_arena_array(filling->analysis->findings.budget.arena, count, sizeof(*task->inputs));
	for (size_t i = 0; i < template->input_parameter_count && rc == 0; i++) {
		rc = argo_origins_of_parameter(filling->analysis, filling->instance, i, &origins, err);
		if (rc < 0)
			break;
		task->inputs[task->input_count++] =
		    (struct pa_input){.name = template->input_parameters[i].name,
		                      .origins = origins->items,
		                      .origin_count = origins->count};
	}
	for (size_t i = 0; i < template->input_artifact_count && rc == 0; i++) {
		const struct pa_artifact *artifact = &template->input_artifacts[i];
		struct pa_input *input = &task->inputs[task->input_count++];
		rc = argo_origins_of_artifact(filling->analysis, filling->instance, i, &origins, err);
		if (rc < 0)
			break;
		*input = (struct pa_input){.name = artifact->name,
		                           .artifact = true,
		                           .origins = origins->items,
		                           .origin_count = origins->count};
		rc = fill_path(filling, artifact->node, artifact->path, &input->path, err);
	}
	return rc;
}

/* A task of an unknown template: what its call gives. */
static int fill_unknown_inputs(struct argo_filling *filling, struct pa_error *err)
{
	const struct pa_call *call = filling->place->call;
	struct argo_analysis *analysis = filling->analysis;
	struct pa_task *task = filling->task;
	size_t count = call->parameter_count + call->artifact_count;
	int rc = pa_budget_check(&analysis->findings.budget, count * sizeof(*task->inputs), call->node, err);

	if (rc < 0)
		return rc;
	task->inputs = pa_arena_array(analysis->findings.budget.arena, count, sizeof(*task->inputs));
	for (size_t i = 0; i < count && rc == 0; i++) {
		bool artifact = i >= call->parameter_count;
		struct argo_origins origins = {0};
		struct pa_input *input = &task->inputs[task->input_count++];
		input->artifact = artifact;
		if (artifact) {
			const struct pa_artifact *argument = &call->artifacts[i - call->parameter_count];
			input->name = argument->name;
			rc = argo_origins_of_argument(analysis, filling->place, argument, &origins, err);
		} else {
			input->name = call->parameters[i].name;
			rc = argo_origins_of_text(analysis, filling->place->scope, filling->place,
			                          call->parameters[i].value, &origins, err);
		}
		input->origins = origins.items;
		input->origin_count = origins.count;
	}
	return rc;
}

static bool same_text(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* SDKs declare one file as parameter and as artifact of the same name: it is listed once, as artifact. */
static bool is_artifact_too(const struct argo_filling *filling, const struct pa_parameter *parameter)
{
	const struct pa_template *template = filling->template;
	size_t index = pa_name_table_get(&filling->instance->graph->output_artifacts, parameter->name);

	return index != SIZE_MAX && same_text(template->output_artifacts[index].path, parameter->from_path);
}

static int fill_outputs(struct argo_filling *filling, struct pa_error *err)
{
	const struct pa_template *template = filling->template;
	struct pa_task *task = filling->task;
	size_t count = template->output_parameter_count + template->output_artifact_count;
	int rc = pa_budget_check(&filling->analysis->findings.budget, count * sizeof(*task->outputs),
	                         filling->place->call->node, err);

	if (rc < 0)
		return rc;
	task->outputs =
	    pa_arena_array(filling->analysis->findings.budget.arena, count, sizeof(*task->outputs));
	for (size_t i = 0; i < template->output_parameter_count && rc == 0; i++) {
		const struct pa_parameter *parameter = &template->output_parameters[i];
		if (is_artifact_too(filling, parameter))
			continue;
		struct pa_output *output = &task->outputs[task->output_count++];
		output->name = parameter->name;
		rc = fill_path(filling, parameter->node, parameter->from_path, &output->path, err);
	}
	for (size_t i = 0; i < template->output_artifact_count && rc == 0; i++) {
		const struct pa_artifact *artifact = &template->output_artifacts[i];
		struct pa_output *output = &task->outputs[task->output_count++];
		output->name = artifact->name;
		output->artifact = true;
		rc = fill_path(filling, artifact->node, artifact->path, &output->path, err);
	}
	return rc;
}

static int fill_task(struct argo_filling *filling, struct pa_error *err)
{
	struct pa_task *task = filling->task;

	task->condition = filling->place->condition;
	task->loop = filling->place->loop;
	if (filling->template == NULL)
		return fill_unknown_inputs(filling, err);
	int rc = fill_command(filling, err);
	if (rc == 0)
		rc = fill_inputs(filling, err);
	if (rc == 0)
		rc = fill_outputs(filling, err);
	if (rc == 0)
		rc = argo_fill_hyperparameters(filling, err);
	if (rc == 0)
		rc = argo_fill_settings(filling, err);
	return rc;
}

int argo_fill_tasks(struct argo_analysis *analysis, struct pa_error *err)
{
	int rc = argo_fill_loops(analysis, analysis->root, err);

	for (size_t i = 0; i < analysis->task_count && rc == 0; i++) {
		struct argo_place *place = analysis->tasks[i].place;
		struct argo_filling filling = {analysis, place, place->inside, place->inside->template,
		                               &analysis->models[i]};
		rc = fill_task(&filling, err);
	}
	return rc;
}
