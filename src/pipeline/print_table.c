/* SPDX-License-Identifier: Apache-2.0 */
/* The analysis for people: a table of tasks, then the data, then what could not be worked out. */
#include <string.h>

#include "base/buffer.h"
#include "pipeline/analyze.h"
#include "pipeline/print_internal.h"

#define MAX_COLUMN_WIDTH 60

enum column { COLUMN_TASK, COLUMN_KIND, COLUMN_AFTER, COLUMN_DATA, COLUMN_COUNT };

void pa_print_line(struct pa_buffer *out, const char *text)
{
	for (; *text != '\0'; text++) {
		/* Unicode's second set of control characters drives terminals like the first. */
		bool second = (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] >= 0x80 &&
		              (unsigned char)text[1] < 0xa0;
		bool control = second || (unsigned char)*text < 0x20 || *text == 0x7f;
		pa_buffer_append(out, control ? "?" : text, 1);
		text += second ? 1 : 0;
	}
}

/* Characters, not bytes. */
static size_t width_of(const struct pa_buffer *cell)
{
	size_t width = 0;

	for (size_t i = 0; i < cell->length; i++)
		width += ((unsigned char)cell->data[i] & 0xc0) != 0x80;
	return width;
}

static void add_joined(struct pa_buffer *out, const char *text)
{
	if (out->length > 0)
		pa_buffer_puts(out, ", ");
	pa_print_line(out, text);
}

static void format_data(const struct pa_task *task, struct pa_buffer *out)
{
	for (size_t i = 0; i < task->mount_count; i++) {
		const struct pa_task_mount *mount = &task->mounts[i];
		if (strcmp(mount->kind, "pvc") != 0)
			continue;
		add_joined(out, "claim:");
		pa_print_line(out, mount->claim != NULL ? mount->claim : mount->volume);
	}
	/* Places whose name only a run knows are where results go: too many, and of no use here. */
	for (size_t i = 0; i < task->data_count; i++) {
		if (strstr(task->data[i].uri, "{{") == NULL)
			add_joined(out, task->data[i].uri);
	}
}

static void format_column(const struct pa_task *task, enum column column, struct pa_buffer *out)
{
	pa_buffer_clear(out);
	switch (column) {
	case COLUMN_TASK:
		pa_print_line(out, task->id);
		break;
	case COLUMN_KIND:
		pa_print_line(out, pa_task_kind_name(task->kind));
		break;
	case COLUMN_AFTER:
		for (size_t i = 0; i < task->after_count && !out->overflowed; i++)
			add_joined(out, task->after[i]);
		break;
	default:
		format_data(task, out);
		break;
	}
	if (out->length == 0)
		pa_buffer_puts(out, "-");
}

static void print_pipeline_table(const struct pa_pipeline *pipeline, struct pa_buffer *cell,
                                 struct pa_buffer *out)
{
	static const char *const titles[COLUMN_COUNT] = {"TASK", "KIND", "AFTER", "DATA"};
	size_t widths[COLUMN_COUNT];

	for (size_t column = 0; column < COLUMN_COUNT; column++) {
		widths[column] = strlen(titles[column]);
		for (size_t i = 0; i < pipeline->task_count; i++) {
			format_column(&pipeline->tasks[i], (enum column)column, cell);
			if (width_of(cell) > widths[column])
				widths[column] = width_of(cell);
		}
		if (widths[column] > MAX_COLUMN_WIDTH)
			widths[column] = MAX_COLUMN_WIDTH;
	}
	for (size_t column = 0; column + 1 < COLUMN_COUNT; column++)
		pa_buffer_printf(out, "%-*s  ", (int)widths[column], titles[column]);
	pa_buffer_printf(out, "%s\n", titles[COLUMN_COUNT - 1]);
	for (size_t i = 0; i < pipeline->task_count && !out->overflowed; i++) {
		for (size_t column = 0; column < COLUMN_COUNT; column++) {
			format_column(&pipeline->tasks[i], (enum column)column, cell);
			pa_buffer_puts(out, cell->data);
			size_t used = width_of(cell);
			for (; column + 1 < COLUMN_COUNT && used < widths[column]; used++)
				pa_buffer_puts(out, " ");
			pa_buffer_puts(out, column + 1 < COLUMN_COUNT ? "  " : "\n");
		}
	}
}

static void print_data(const struct pa_pipeline *pipeline, struct pa_buffer *out)
{
	if (pipeline->data_count == 0)
		return;
	pa_buffer_puts(out, "\nDATA\n");
	for (size_t i = 0; i < pipeline->data_count; i++) {
		const struct pa_data *data = &pipeline->data[i];
		if (data->read_count == 0 && strstr(data->id, "{{") != NULL)
			continue;
		pa_buffer_puts(out, "  ");
		pa_print_line(out, data->id);
		pa_buffer_printf(out, " (%s%s): read by %zu, written by %zu\n", data->kind,
		                 data->scratch ? ", scratch" : "", data->read_count, data->written_count);
	}
}

static void print_pipeline(const struct pa_pipeline *pipeline, struct pa_buffer *cell, struct pa_buffer *out)
{
	pa_buffer_puts(out, "PIPELINE ");
	pa_print_line(out, pipeline->name);
	pa_buffer_printf(out, " (%s, %zu task%s) in ", pa_format_name(pipeline->format), pipeline->task_count,
	                 pipeline->task_count == 1 ? "" : "s");
	pa_print_line(out, pipeline->file);
	pa_buffer_puts(out, "\n\n");
	print_pipeline_table(pipeline, cell, out);
	print_data(pipeline, out);
	if (pipeline->unresolved_count > 0)
		pa_buffer_puts(out, "\nUNRESOLVED\n");
	for (size_t i = 0; i < pipeline->unresolved_count; i++) {
		pa_buffer_puts(out, "  ");
		pa_print_line(out, pipeline->unresolved[i].at);
		pa_buffer_puts(out, ": ");
		pa_print_line(out, pipeline->unresolved[i].what);
		pa_buffer_puts(out, "\n");
	}
}

void pa_analysis_print_table(const struct pa_analysis *analysis, struct pa_buffer *out)
{
	struct pa_buffer cell;

	pa_buffer_init(&cell, 1u << 20);
	for (size_t i = 0; i < analysis->pipeline_count; i++) {
		if (i > 0)
			pa_buffer_puts(out, "\n");
		print_pipeline(&analysis->pipelines[i], &cell, out);
	}
	pa_buffer_done(&cell);
}
