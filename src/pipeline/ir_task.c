/* SPDX-License-Identifier: Apache-2.0 */
/* An executor and the call that reaches it, to a task of the model. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_analysis_internal.h"

struct filling {
	struct ir_analysis *analysis;
	struct ir_place *place;
	const struct ir_task *source;
	struct pa_task *task;
	const struct pa_node *at; /* the task, for errors */
};

static int fill_text(struct filling *filling, const char **text, struct pa_error *err)
{
	return *text == NULL ? 0 : ir_fill(filling->analysis, filling->place, *text, text, err);
}

static int fill_container(struct filling *filling, struct pa_error *err)
{
	const struct pa_node *container = ir_container(filling->source), *command, *args;
	struct pa_task *task = filling->task;
	const char *image;

	if (container == NULL)
		return 0;
	if (!pa_node_is_mapping(container))
		return pa_node_error(container, err,
		                     "the container must be a map with image and command; correct the file");
	bool custom_job = filling->source->executor->kind == IR_CUSTOM_JOB;
	int rc = ir_read_text(container, custom_job ? "imageUri" : "image", &image, err);
	if (rc == 0)
		rc = ir_read_sequence(container, "command", &command, err);
	if (rc == 0)
		rc = ir_read_sequence(container, "args", &args, err);
	if (rc == 0)
		rc = fill_text(filling, &image, err);
	if (rc == 0)
		rc = ir_fill_command(filling->analysis, filling->place, command, &task->command,
		                     &task->command_count, err);
	if (rc == 0)
		rc = ir_fill_command(filling->analysis, filling->place, args, &task->args, &task->arg_count,
		                     err);
	if (image != NULL)
		task->image = image;
	return rc;
}

/* A task is not given an input that is optional and for which nobody has a value. */
static bool is_given(struct filling *filling, size_t index)
{
	const struct ir_input *input = &filling->place->inputs[index];

	if (input->argument != NULL || input->item || !input->definition->optional)
		return true;
	return input->definition->default_value != NULL;
}

static int fill_inputs(struct filling *filling, struct pa_error *err)
{
	struct ir_place *place = filling->place;
	struct pa_task *task = filling->task;
	/* What a component does not define only serves its call's texts. */
	size_t count = place->component == NULL ? place->input_count : place->component->input_count;
	const struct ir_origins *origins;
	int rc = pa_budget_check(filling->analysis->budget, count * sizeof(*task->inputs), filling->at, err);

	if (rc < 0)
		return rc;
	task->inputs = pa_arena_array(filling->analysis->budget->arena, count, sizeof(*task->inputs));
	for (size_t i = 0; i < count && rc == 0; i++) {
		if (!is_given(filling, i))
			continue;
		rc = ir_input_origins(filling->analysis, place, i, &origins, err);
		task->inputs[task->input_count++] = (struct pa_input){.name = place->inputs[i].name,
		                                                      .artifact = place->inputs[i].artifact,
		                                                      .origins = origins->items,
		                                                      .origin_count = origins->count};
	}
	return rc;
}

static int fill_outputs(struct filling *filling, struct pa_error *err)
{
	const struct ir_component *component = filling->place->component;
	struct pa_task *task = filling->task;

	if (component == NULL)
		return 0;
	int rc = pa_budget_check(filling->analysis->budget, component->output_count * sizeof(*task->outputs),
	                         filling->at, err);
	if (rc < 0)
		return rc;
	task->outputs =
	    pa_arena_array(filling->analysis->budget->arena, component->output_count, sizeof(*task->outputs));
	for (; task->output_count < component->output_count; task->output_count++)
		task->outputs[task->output_count] =
		    (struct pa_output){.name = component->outputs[task->output_count].name,
		                       .artifact = component->outputs[task->output_count].artifact};
	return 0;
}

/* The parameters of the task that have a value. */
static int fill_hyperparameters(struct filling *filling, struct pa_error *err)
{
	struct ir_place *place = filling->place;
	struct pa_task *task = filling->task;
	size_t count = place->component == NULL ? 0 : place->component->input_count, capacity = 0;

	for (size_t i = 0; i < count; i++) {
		if (place->inputs[i].artifact)
			continue;
		const struct ir_value *value = ir_input_value(filling->analysis, place, i);
		if (value->knowledge != IR_KNOWN)
			continue;
		task->hyperparameters =
		    pa_arena_grow(filling->analysis->budget->arena, task->hyperparameters,
		                  task->hyperparameter_count, &capacity, sizeof(*task->hyperparameters));
		task->hyperparameters[task->hyperparameter_count++] =
		    (struct pa_name_value){place->inputs[i].name, value->text};
	}
	return pa_budget_check(filling->analysis->budget, 0, filling->at, err);
}

/* The first of some fields that says something; numbers of the older fields get `unit`, as the backend does. */
static int read_resource(struct filling *filling, const struct pa_node *resources, const char *const keys[4],
                         const char *unit, const char **ret, struct pa_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < 4 && *ret == NULL && rc == 0; i++) {
		const char *text;
		char *rest;
		rc = ir_read_text(resources, keys[i], &text, err);
		if (rc < 0 || text == NULL || text[0] == '\0')
			continue;
		bool older = strncmp(keys[i], "resource", 8) != 0;
		double number = strtod(text, &rest);
		if (older && *rest == '\0' && number == 0)
			continue;
		if (older && *rest == '\0' && unit[0] != '\0')
			text = pa_arena_printf(filling->analysis->budget->arena, "%.15g%s", number, unit);
		*ret = text;
		rc = fill_text(filling, ret, err);
	}
	return rc;
}

static int fill_resources(struct filling *filling, struct pa_error *err)
{
	static const char *const cpu[] = {"resourceCpuLimit", "cpuLimit", "resourceCpuRequest", "cpuRequest"};
	static const char *const memory[] = {"resourceMemoryLimit", "memoryLimit", "resourceMemoryRequest",
	                                     "memoryRequest"};
	const struct pa_node *resources, *accelerator;
	struct pa_resources *ret = &filling->task->resources;
	int rc = ir_read_mapping(ir_container(filling->source), "resources", &resources, err);

	if (rc == 0)
		rc = read_resource(filling, resources, cpu, "", &ret->cpu, err);
	if (rc == 0)
		rc = read_resource(filling, resources, memory, "G", &ret->memory, err);
	if (rc == 0)
		rc = ir_read_mapping(resources, "accelerator", &accelerator, err);
	if (rc == 0)
		rc = ir_read_text(accelerator, "resourceType", &ret->accelerator, err);
	if (rc == 0 && ret->accelerator == NULL)
		rc = ir_read_text(accelerator, "type", &ret->accelerator, err);
	if (rc == 0)
		rc = ir_read_text(accelerator, "resourceCount", &ret->accelerator_count, err);
	if (rc == 0 && ret->accelerator_count == NULL)
		rc = ir_read_text(accelerator, "count", &ret->accelerator_count, err);
	if (rc == 0)
		rc = fill_text(filling, &ret->accelerator, err);
	return rc < 0 ? rc : fill_text(filling, &ret->accelerator_count, err);
}

/* The length of a list that is known as JSON; -1: it is not. */
static int64_t count_items(struct ir_analysis *analysis, const struct pa_node *at, const char *text)
{
	struct pa_error ignored = PA_ERROR_INIT;
	const struct pa_node *list;

	if (text == NULL ||
	    pa_document_read_json(analysis->budget->arena, at, text, strlen(text), &list, &ignored) < 0 ||
	    !pa_node_is_sequence(list))
		return -1;
	return list->count;
}

/* The loop of the call at `place`: how many items there are, and who makes the list. */
static int fill_loop(struct ir_analysis *analysis, struct ir_place *place, struct pa_error *err)
{
	const struct ir_call *call = place->call;
	size_t list =
	    call->loop_list == NULL ? SIZE_MAX : ir_find_input(place, call->loop_list, call->loop_artifact);
	const struct ir_origins *origins;
	const char *text = call->loop_raw;
	int rc = 0;

	if (text != NULL)
		rc = ir_fill(analysis, place, text, &text, err);
	else if (list != SIZE_MAX && !call->loop_artifact &&
	         ir_input_value(analysis, place, list)->knowledge == IR_KNOWN)
		text = ir_input_value(analysis, place, list)->text;
	if (rc < 0)
		return rc;
	place->loop->items = count_items(analysis, call->node, text);
	if (list != SIZE_MAX)
		rc = ir_input_origins(analysis, place, list, &origins, err);
	for (size_t i = 0; list != SIZE_MAX && i < origins->count && place->loop->from_task == NULL; i++) {
		place->loop->from_task = origins->items[i].task;
		place->loop->from_output = origins->items[i].output;
	}
	return rc < 0 ? rc : pa_budget_check(analysis->budget, 0, call->node, err);
}

/* The loops of all calls, before tasks look at them. */
static int fill_loops(struct ir_analysis *analysis, struct ir_place *place, struct pa_error *err)
{
	int rc = 0;

	if (place->call != NULL && place->loop_place == place)
		rc = fill_loop(analysis, place, err);
	for (size_t i = 0; place->places != NULL && i < place->component->call_count && rc == 0; i++)
		rc = fill_loops(analysis, &place->places[i], err);
	return rc;
}

static int fill_task(struct filling *filling, struct pa_error *err)
{
	const struct ir_place *place = filling->place;
	struct pa_task *task = filling->task;

	task->condition = place->condition;
	task->loop = place->loop;
	if (place->call != NULL) {
		task->retries = place->call->retries;
		task->caching = place->call->caching;
	}
	int rc = fill_container(filling, err);
	if (rc == 0)
		rc = fill_inputs(filling, err);
	if (rc == 0)
		rc = fill_outputs(filling, err);
	if (rc == 0)
		rc = fill_hyperparameters(filling, err);
	return rc < 0 ? rc : fill_resources(filling, err);
}

int ir_fill_tasks(struct ir_analysis *analysis, struct pa_error *err)
{
	int rc = fill_loops(analysis, &analysis->root, err);

	for (size_t i = 0; i < analysis->task_count && rc == 0; i++) {
		struct ir_place *place = analysis->tasks[i].place;
		struct filling filling = {.analysis = analysis,
		                          .place = place,
		                          .source = &analysis->tasks[i],
		                          .task = &analysis->models[i],
		                          .at =
		                              place->call == NULL ? analysis->spec->node : place->call->node};
		rc = fill_task(&filling, err);
	}
	return rc;
}
