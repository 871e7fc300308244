/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast/forecast.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/units.h"

#define COLUMN_MAX_WIDTH 48 /* of ids; longer ones push their line to the right */
#define TEXT_ROOM        128

static int width_of(const char *text, int width)
{
	size_t length = strlen(text);
	if (length > COLUMN_MAX_WIDTH)
		length = COLUMN_MAX_WIDTH;
	return (int)length > width ? (int)length : width;
}

static const char *seconds(double value_s, char *out, size_t room)
{
	if (!isfinite(value_s))
		snprintf(out, room, "-");
	else if (value_s < 0)
		snprintf(out, room, "%.1f s ago", -value_s);
	else
		pa_units_format_seconds(value_s, out, room);
	return out;
}

/* Median and 80% interval: "12.0 s (8.1 s .. 20.3 s)". */
static const char *interval(const struct pa_distribution *distribution, char *out)
{
	char middle[32], low[32], high[32];
	if (!isfinite(distribution->quantiles[2]))
		snprintf(out, TEXT_ROOM, "-");
	else
		snprintf(out, TEXT_ROOM, "%s (%s .. %s)",
		         seconds(distribution->quantiles[2], middle, sizeof(middle)),
		         seconds(distribution->quantiles[0], low, sizeof(low)),
		         seconds(distribution->quantiles[4], high, sizeof(high)));
	return out;
}

static const char *bytes_text(const struct pa_distribution *distribution, char *out)
{
	double bytes = distribution->quantiles[2];
	if (isfinite(bytes) && bytes < 0x1p62)
		return pa_units_format_bytes((uint64_t)bytes, out, TEXT_ROOM);
	snprintf(out, TEXT_ROOM, "-");
	return out;
}

/* What the durations rest on: "history (5)". */
static const char *basis_text(const struct pa_task_forecast *forecast, char *out)
{
	const char *name = pa_forecast_basis_name(forecast->basis);
	if (forecast->observations > 0)
		snprintf(out, TEXT_ROOM, "%s (%u)", name, forecast->observations);
	else
		snprintf(out, TEXT_ROOM, "%s", name);
	return out;
}

static void print_tasks(const struct pa_pipeline *pipeline, const struct pa_forecast *forecast,
                        struct pa_buffer *out)
{
	char duration[TEXT_ROOM], start[TEXT_ROOM], end[TEXT_ROOM], input[TEXT_ROOM], basis[TEXT_ROOM];
	int width = 4;
	for (size_t i = 0; i < forecast->task_count; i++)
		width = width_of(pipeline->tasks[i].id, width);
	pa_buffer_printf(out, "%-*s  %-14s  %-28s  %-28s  %-28s  %10s  %s\n", width, "TASK", "BASIS", "TAKES",
	                 "STARTS", "ENDS", "READS", "RUNS");
	for (size_t i = 0; i < forecast->task_count; i++) {
		const struct pa_task_forecast *task = &forecast->tasks[i];
		pa_buffer_printf(out, "%-*s  %-14s  %-28s  %-28s  %-28s  %10s  ", width,
		                 pipeline->tasks[i].id, basis_text(task, basis),
		                 interval(&task->duration_s, duration), interval(&task->start_s, start),
		                 interval(&task->end_s, end), bytes_text(&task->input_bytes, input));
		if (task->probability < 1)
			pa_buffer_printf(out, "%.0f%% ", 100 * task->probability);
		pa_buffer_printf(out, "x%.3g\n", task->instances);
	}
}

static void print_data(const struct pa_pipeline *pipeline, const struct pa_forecast *forecast,
                       struct pa_buffer *out)
{
	char first[TEXT_ROOM], last[TEXT_ROOM];
	int width = 4;
	if (forecast->data_count == 0)
		return;
	for (size_t i = 0; i < forecast->data_count; i++)
		width = width_of(pipeline->data[i].id, width);
	pa_buffer_printf(out, "\n%-*s  %-28s  %s\n", width, "DATA", "FIRST NEEDED", "LAST USED");
	for (size_t i = 0; i < forecast->data_count; i++)
		pa_buffer_printf(out, "%-*s  %-28s  %s\n", width, pipeline->data[i].id,
		                 interval(&forecast->data[i].first_need_s, first),
		                 interval(&forecast->data[i].last_use_s, last));
}

void pa_forecast_print_table(const struct pa_pipeline *pipeline, const struct pa_forecast *forecast,
                             struct pa_buffer *out)
{
	char makespan[TEXT_ROOM];
	print_tasks(pipeline, forecast, out);
	print_data(pipeline, forecast, out);
	pa_buffer_printf(out, "\nmakespan %s; median and 80%% interval of each, data local\n",
	                 interval(&forecast->makespan_s, makespan));
}
