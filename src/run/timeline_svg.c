/* SPDX-License-Identifier: Apache-2.0 */
/* The picture of a run: a bar per execution (ready, running, stalled), and below them the bytes in memory and loaded. */
#include <math.h>
#include <string.h>

#include "base/units.h"
#include "run/report.h"

#define WIDTH        1000.0
#define LABEL_WIDTH  180.0
#define ROW_HEIGHT   22.0
#define CURVE_HEIGHT 90.0
#define HEADER       30.0
#define MAX_ROWS     400

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

static double scale_x(double seconds, double span_s)
{
	return LABEL_WIDTH + (WIDTH - LABEL_WIDTH - 20) * seconds / span_s;
}

static void print_bar(struct pa_buffer *out, double from_s, double to_s, double span_s, double y,
                      double height, const char *colour, const char *title)
{
	double x = scale_x(from_s, span_s);

	pa_buffer_printf(
	    out,
	    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"><title>%s %.2f–%.2f "
	    "s</title></rect>\n",
	    x, y, fmax(0.5, scale_x(to_s, span_s) - x), height, colour, title, from_s, to_s);
}

static double print_run(struct pa_buffer *out, const struct pa_run_report *report, double span_s, double y)
{
	pa_buffer_printf(out, "<text x=\"8\" y=\"%.1f\" font-weight=\"bold\">%s: %.1f s</text>\n", y + 16,
	                 report->mode == PA_RUN_AHEAD     ? "with pipeahead"
	                 : report->mode == PA_RUN_WITHOUT ? "without"
	                                                  : "all data local",
	                 report->makespan_s);
	y += HEADER;
	for (size_t i = 0; i < report->span_count && i < MAX_ROWS; i++) {
		const struct pa_run_span *span = &report->spans[i];
		pa_buffer_printf(out, "<text x=\"8\" y=\"%.1f\">", y + 14);
		print_escaped(out, report->tasks[span->task].id);
		print_escaped(out, span->suffix);
		pa_buffer_puts(out, "</text>\n");
		print_bar(out, span->ready_s, span->start_s, span_s, y + 4, 10, "#cccccc", "ready");
		print_bar(out, span->start_s, span->end_s, span_s, y + 2, 14, "#4477aa", "ran");
		if (span->stall_s > 0)
			print_bar(out, span->start_s, span->start_s + span->stall_s, span_s, y + 2, 14,
			          "#cc3311", "waited for bytes (in all)");
		y += ROW_HEIGHT;
	}
	if (report->span_count > MAX_ROWS) {
		pa_buffer_printf(out, "<text x=\"8\" y=\"%.1f\">and %zu more</text>\n", y + 14,
		                 report->span_count - MAX_ROWS);
		y += ROW_HEIGHT;
	}
	return y;
}

static void print_curve(struct pa_buffer *out, const struct pa_run_report *report, double span_s, double y,
                        bool fetched, double most, const char *colour)
{
	pa_buffer_printf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", colour);
	for (size_t i = 0; i < report->sample_count; i++) {
		const struct pa_run_sample *sample = &report->samples[i];
		double bytes = (double)(fetched ? sample->fetched_bytes : sample->used_bytes);
		pa_buffer_printf(out, "%.1f,%.1f ", scale_x(sample->at_s, span_s),
		                 y + CURVE_HEIGHT - CURVE_HEIGHT * bytes / most);
	}
	pa_buffer_puts(out, "\"/>\n");
}

static double print_curves(struct pa_buffer *out, const struct pa_run_report *report, double span_s, double y)
{
	double most = 1;
	char text[32];

	for (size_t i = 0; i < report->sample_count; i++)
		most = fmax(most, fmax((double)report->samples[i].fetched_bytes,
		                       (double)report->samples[i].used_bytes));
	pa_buffer_printf(out, "<text x=\"8\" y=\"%.1f\" fill=\"#228833\">in memory</text>\n", y + 16);
	pa_buffer_printf(out, "<text x=\"8\" y=\"%.1f\" fill=\"#ee7733\">loaded so far</text>\n", y + 32);
	pa_buffer_printf(out, "<text x=\"8\" y=\"%.1f\">top: %s</text>\n", y + 48,
	                 pa_units_format_bytes((uint64_t)most, text, sizeof(text)));
	print_curve(out, report, span_s, y, false, most, "#228833");
	print_curve(out, report, span_s, y, true, most, "#ee7733");
	return y + CURVE_HEIGHT + 10;
}

void pa_report_print_svg(const struct pa_comparison *comparison, struct pa_buffer *out)
{
	const struct pa_run_report *reports[] = {comparison->ahead, comparison->without, comparison->local};
	double span_s = 0.001, height = 40, y = 10;

	for (size_t i = 0; i < 3; i++) {
		if (reports[i] == NULL)
			continue;
		span_s = fmax(span_s, reports[i]->makespan_s);
		/* One row more says how many are not drawn. */
		height += HEADER + ROW_HEIGHT * fmin((double)reports[i]->span_count, MAX_ROWS + 1);
	}
	height += CURVE_HEIGHT + 10;
	pa_buffer_printf(
	    out,
	    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
	    "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" "
	    "fill=\"white\"/>\n",
	    WIDTH, height);
	for (size_t i = 0; i < 3; i++) {
		if (reports[i] == NULL)
			continue;
		y = print_run(out, reports[i], span_s, y);
		if (i == 0)
			y = print_curves(out, reports[i], span_s, y);
	}
	double step_s = pow(10, floor(log10(span_s)));
	for (double at = 0; at <= span_s; at += step_s)
		pa_buffer_printf(out, "<text x=\"%.1f\" y=\"%.1f\" fill=\"#666\">%.4g s</text>\n",
		                 scale_x(at, span_s), height - 8, at);
	pa_buffer_puts(out, "</svg>\n");
}
