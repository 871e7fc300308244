/* SPDX-License-Identifier: Apache-2.0 */
/* The picture of a forecast: a bar per task, with a thin line from the early start to the late end. */
#include "forecast/forecast.h"

#include <math.h>

#include "base/buffer.h"

#define WIDTH       1000.0
#define LABEL_WIDTH 220.0
#define ROW_HEIGHT  22.0
#define HEADER      34.0
#define MAX_ROWS    400

static void print_escaped(struct pa_buffer *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '<')
			pa_buffer_puts(out, "&lt;");
		else if (*text == '&')
			pa_buffer_puts(out, "&amp;");
		else if ((unsigned char)*text >= 0x20)
			pa_buffer_append(out, text, 1);
	}
}

struct scale {
	double first_s, span_s;
};

static double x_of(const struct scale *scale, double time_s)
{
	return LABEL_WIDTH + (WIDTH - LABEL_WIDTH - 20) * (time_s - scale->first_s) / scale->span_s;
}

static void print_task(struct pa_buffer *out, const struct scale *scale, const struct pa_task *task,
                       const struct pa_task_forecast *forecast, double y)
{
	const double *start_s = forecast->start_s.quantiles, *end_s = forecast->end_s.quantiles;
	double from = x_of(scale, start_s[2]), to = x_of(scale, end_s[2]);
	pa_buffer_printf(out, "<text x=\"8\" y=\"%.1f\">", y + 14);
	print_escaped(out, task->id);
	pa_buffer_printf(out,
	                 "</text>\n<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" "
	                 "stroke=\"#bb8844\"/>\n",
	                 x_of(scale, start_s[0]), x_of(scale, end_s[4]), y + 9, y + 9);
	pa_buffer_printf(out,
	                 "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"12\" fill=\"#4477aa\" "
	                 "fill-opacity=\"%.2f\"><title>%.1f–%.1f s (starts %.1f..%.1f, ends "
	                 "%.1f..%.1f)</title></rect>\n",
	                 from, y + 3, fmax(.5, to - from), .35 + .65 * forecast->probability, start_s[2],
	                 end_s[2], start_s[0], start_s[4], end_s[0], end_s[4]);
}

void pa_forecast_print_svg(const struct pa_pipeline *pipeline, const struct pa_forecast *forecast,
                           struct pa_buffer *out)
{
	size_t rows = forecast->task_count < MAX_ROWS ? forecast->task_count : MAX_ROWS;
	struct scale scale = {0, 0};
	double last_s = forecast->makespan_s.quantiles[4];
	for (size_t i = 0; i < rows; i++) {
		scale.first_s = fmin(scale.first_s, forecast->tasks[i].start_s.quantiles[0]);
		last_s = fmax(last_s, forecast->tasks[i].end_s.quantiles[4]);
	}
	scale.span_s = fmax(last_s - scale.first_s, .001);
	pa_buffer_printf(out,
	                 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
	                 "font-family=\"sans-serif\" font-size=\"12\">\n"
	                 "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"8\" y=\"20\" "
	                 "font-weight=\"bold\">",
	                 WIDTH, HEADER + ROW_HEIGHT * (double)rows + 10);
	print_escaped(out, pipeline->name);
	pa_buffer_printf(out, ": %.1f s (%.1f .. %.1f)", forecast->makespan_s.quantiles[2],
	                 forecast->makespan_s.quantiles[0], forecast->makespan_s.quantiles[4]);
	if (rows < forecast->task_count)
		pa_buffer_printf(out, "; the first %zu of %zu tasks", rows, forecast->task_count);
	pa_buffer_puts(out, "</text>\n");
	for (size_t i = 0; i < rows; i++)
		print_task(out, &scale, &pipeline->tasks[i], &forecast->tasks[i],
		           HEADER + ROW_HEIGHT * (double)i);
	pa_buffer_puts(out, "</svg>\n");
}
