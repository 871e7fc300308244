/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast/forecast.h"

#include <jansson.h>
#include <math.h>

#include "base/buffer.h"

/* JSON has no NAN: what is not known is null. */
static json_t *number(double value, double unit)
{
	return isfinite(value) ? json_real(round(value / unit) * unit) : json_null();
}

static json_t *distribution_to_json(const struct pa_distribution *distribution, double unit)
{
	json_t *json = json_array();
	for (size_t i = 0; i < PA_FORECAST_QUANTILES; i++)
		json_array_append_new(json, number(distribution->quantiles[i], unit));
	return json;
}

static json_t *seconds(const struct pa_distribution *distribution)
{
	return distribution_to_json(distribution, 1e-6);
}

static json_t *task_to_json(const struct pa_task *task, const struct pa_task_forecast *forecast)
{
	json_t *json = json_object();
	json_object_set_new(json, "id", json_string(task->id));
	json_object_set_new(json, "basis", json_string(pa_forecast_basis_name(forecast->basis)));
	json_object_set_new(json, "observations", json_integer(forecast->observations));
	json_object_set_new(json, "probability", number(forecast->probability, 1e-6));
	json_object_set_new(json, "instances", number(forecast->instances, 1e-6));
	json_object_set_new(json, "duration_s", seconds(&forecast->duration_s));
	json_object_set_new(json, "start_s", seconds(&forecast->start_s));
	json_object_set_new(json, "end_s", seconds(&forecast->end_s));
	json_object_set_new(json, "input_bytes", distribution_to_json(&forecast->input_bytes, 1));
	json_object_set_new(json, "output_bytes", distribution_to_json(&forecast->output_bytes, 1));
	return json;
}

static json_t *data_to_json(const struct pa_data *data, const struct pa_data_forecast *forecast)
{
	json_t *json = json_object();
	json_object_set_new(json, "id", json_string(data->id));
	json_object_set_new(json, "first_need_s", seconds(&forecast->first_need_s));
	json_object_set_new(json, "last_use_s", seconds(&forecast->last_use_s));
	return json;
}

static int append(const char *text, size_t bytes, void *out)
{
	pa_buffer_append(out, text, bytes);
	return 0;
}

void pa_forecast_print_json(const struct pa_pipeline *pipeline, const struct pa_forecast *forecast,
                            struct pa_buffer *out)
{
	json_t *root = json_object(), *levels = json_array(), *tasks = json_array(), *data = json_array();
	for (size_t i = 0; i < PA_FORECAST_QUANTILES; i++)
		json_array_append_new(levels, json_real(pa_forecast_levels[i]));
	for (size_t i = 0; i < forecast->task_count; i++)
		json_array_append_new(tasks, task_to_json(&pipeline->tasks[i], &forecast->tasks[i]));
	for (size_t i = 0; i < forecast->data_count; i++)
		json_array_append_new(data, data_to_json(&pipeline->data[i], &forecast->data[i]));
	json_object_set_new(root, "schema", json_string("pipeahead/forecast/v1"));
	json_object_set_new(root, "pipeline", json_string(pipeline->name));
	json_object_set_new(root, "levels", levels);
	json_object_set_new(root, "makespan_s", seconds(&forecast->makespan_s));
	json_object_set_new(root, "tasks", tasks);
	json_object_set_new(root, "data", data);
	json_dump_callback(root, append, out, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	pa_buffer_puts(out, "\n");
	json_decref(root);
}
