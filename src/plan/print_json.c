/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan.h"

#include <jansson.h>
#include <math.h>

#include "base/buffer.h"

/* JSON has no NAN: what is not known is null.  Microseconds are more than a forecast can mean. */
static json_t *seconds(double value)
{
	return isfinite(value) ? json_real(round(value * 1e6) / 1e6) : json_null();
}

static json_t *bytes_of(double value)
{
	return isfinite(value) ? json_integer((json_int_t)value) : json_null();
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *task_to_json(const struct pa_plan_input *input, const struct pa_plan *plan, size_t index)
{
	const struct pa_plan_task_times *times = &plan->times[index];
	const struct pa_verdict *verdict = &plan->verdicts[index];
	const struct pa_task_forecast *forecast = &input->forecast->tasks[index];
	char text[64];
	json_t *task = json_object();
	json_object_set_new(task, "id", json_string(input->pipeline->tasks[index].id));
	json_object_set_new(task, "start_s", seconds(times->start_s));
	json_object_set_new(task, "start_early_s", seconds(times->start_early_s));
	json_object_set_new(task, "start_late_s", seconds(times->start_late_s));
	json_object_set_new(task, "end_s", seconds(times->end_s));
	json_object_set_new(task, "end_early_s", seconds(times->end_early_s));
	json_object_set_new(task, "end_late_s", seconds(times->end_late_s));
	json_object_set_new(task, "duration_s", seconds(forecast->duration_s.quantiles[2]));
	json_object_set_new(task, "basis", json_string(pa_forecast_basis_name(forecast->basis)));
	json_object_set_new(task, "probability", seconds(forecast->probability));
	json_object_set_new(task, "stall_s", seconds(times->stall_s));
	json_object_set_new(task, "reads_bytes", json_integer((json_int_t)verdict->bytes));
	json_object_set_new(task, "verdict", json_string(pa_verdict_format(verdict, text, sizeof(text))));
	json_object_set_new(task, "late_s", seconds(verdict->late_s));
	json_object_set_new(task, "share", seconds(verdict->share));
	return task;
}

static json_t *action_to_json(const struct pa_plan_input *input, const struct pa_plan_action *action)
{
	const struct pa_plan_extent *extent = NULL;
	const char *task = NULL;
	if (action->extent != UINT32_MAX)
		extent = &input->extents[action->extent];
	if (action->task != UINT32_MAX)
		task = input->pipeline->tasks[action->task].id;
	json_t *json = json_object();
	json_object_set_new(json, "at_s", seconds(action->at_s));
	json_object_set_new(json, "action", json_string(pa_plan_action_name(action->kind)));
	json_object_set_new(json, "task", text_or_null(task));
	json_object_set_new(json, "data_set",
	                    text_or_null(extent ? input->data_sets[extent->data_set].name : NULL));
	json_object_set_new(json, "path", text_or_null(extent ? extent->path : NULL));
	json_object_set_new(json, "offset_bytes",
	                    extent ? json_integer((json_int_t)(extent->offset_bytes + action->offset_bytes))
	                           : json_null());
	json_object_set_new(json, "bytes", extent ? json_integer((json_int_t)action->bytes) : json_null());
	json_object_set_new(json, "tier", text_or_null(extent ? action->tier : NULL));
	json_object_set_new(json, "node", json_string(action->node));
	json_object_set_new(json, "deadline_s", seconds(action->deadline_s));
	json_object_set_new(json, "arrives_s", seconds(action->arrives_s));
	json_object_set_new(json, "keep_until_s", seconds(action->keep_until_s));
	json_object_set_new(json, "priority", json_integer(action->priority));
	json_object_set_new(json, "why", json_string(action->why));
	return json;
}

static int append_to_buffer(const char *text, size_t bytes, void *buffer)
{
	pa_buffer_append(buffer, text, bytes);
	return 0;
}

void pa_plan_print_json(const struct pa_plan_input *input, const struct pa_plan *plan, struct pa_buffer *out)
{
	json_t *root = json_object();
	json_t *sources = json_array(), *tasks = json_array(), *actions = json_array();
	json_object_set_new(root, "schema", json_string("pipeahead/plan/v1"));
	json_object_set_new(root, "pipeline", json_string(input->pipeline->name));
	json_object_set_new(root, "makespan_s", seconds(plan->makespan_s));
	json_object_set_new(root, "without_makespan_s", seconds(plan->without_makespan_s));
	json_object_set_new(root, "local_makespan_s", seconds(plan->local_makespan_s));
	json_object_set_new(root, "bound_s", seconds(plan->bound_s));
	json_object_set_new(root, "peak_memory_bytes", bytes_of(plan->peak_memory_bytes));
	for (size_t i = 0; i < input->link_count; i++) {
		json_t *source = json_object();
		json_object_set_new(source, "name", json_string(input->links[i].name));
		json_object_set_new(source, "bytes", bytes_of(plan->link_bytes[i]));
		json_array_append_new(sources, source);
	}
	json_object_set_new(root, "sources", sources);
	for (size_t i = 0; i < plan->task_count; i++)
		json_array_append_new(tasks, task_to_json(input, plan, i));
	json_object_set_new(root, "tasks", tasks);
	for (size_t i = 0; i < plan->action_count; i++)
		json_array_append_new(actions, action_to_json(input, &plan->actions[i]));
	json_object_set_new(root, "actions", actions);
	json_dump_callback(root, append_to_buffer, out, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	pa_buffer_puts(out, "\n");
	json_decref(root);
}
