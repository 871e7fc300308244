/* SPDX-License-Identifier: Apache-2.0 */
/* The form in which the paper's parser prints a pipeline: components in the order of the file's templates. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "pipeline/analyze.h"
#include "pipeline/print_internal.h"
#include "pipeline/workflow.h"

struct component {
	size_t template_index;
	size_t task_index;
};

static int compare_components(const void *a, const void *b)
{
	const struct component *x = a, *y = b;

	if (x->template_index != y->template_index)
		return x->template_index < y->template_index ? -1 : 1;
	return x->task_index < y->task_index ? -1 : x->task_index > y->task_index;
}

/* A line; a blank one before it when the line before was of the same kind. */
static void print_entry(struct pa_buffer *out, const char *kind, const char *name, const char *path,
                        size_t *count)
{
	if ((*count)++ > 0)
		pa_buffer_puts(out, "\n");
	pa_buffer_printf(out, "%s = ", kind);
	if (name != NULL) {
		pa_buffer_puts(out, "{");
		pa_print_line(out, name);
		pa_buffer_puts(out, " ");
	}
	pa_print_line(out, path == NULL ? "" : path);
	pa_buffer_puts(out, name == NULL ? "\n" : "}\n");
}

static void print_component(const struct pa_task *task, struct pa_buffer *out)
{
	size_t paths = 0, inputs = 0, outputs = 0;

	pa_buffer_puts(out, "\ncomponent_name = ");
	pa_print_line(out, task->template_name);
	pa_buffer_puts(out, "\n");
	for (size_t i = 0; i < task->mount_count; i++) {
		if (strcmp(task->mounts[i].kind, "pvc") == 0)
			print_entry(out, "data_path", NULL, task->mounts[i].path, &paths);
	}
	for (size_t i = 0; i < task->input_count; i++) {
		if (task->inputs[i].artifact)
			print_entry(out, "data_inputs", task->inputs[i].name, task->inputs[i].path, &inputs);
	}
	for (size_t i = 0; i < task->output_count; i++) {
		if (task->outputs[i].artifact)
			print_entry(out, "data_outps", task->outputs[i].name, task->outputs[i].path,
			            &outputs);
	}
}

static size_t template_index(const struct pa_pipeline *pipeline, const struct pa_task *task)
{
	const struct pa_template *template = NULL;

	if (pipeline->workflow != NULL)
		template = pa_workflow_find_template(pipeline->workflow, task->template_name);
	return template == NULL ? SIZE_MAX : (size_t)(template - pipeline->workflow->templates);
}

static void print_pipeline(const struct pa_pipeline *pipeline, struct pa_buffer *out)
{
	struct component *components = calloc(pipeline->task_count + 1, sizeof(*components));

	if (components == NULL)
		abort();
	for (size_t i = 0; i < pipeline->task_count; i++)
		components[i] = (struct component){template_index(pipeline, &pipeline->tasks[i]), i};
	qsort(components, pipeline->task_count, sizeof(*components), compare_components);
	pa_buffer_puts(out, "pipeline_name = ");
	pa_print_line(out, pipeline->name);
	pa_buffer_puts(out, "\n");
	for (size_t i = 0; i < pipeline->task_count; i++)
		print_component(&pipeline->tasks[components[i].task_index], out);
	free(components);
}

void pa_analysis_print_paper(const struct pa_analysis *analysis, struct pa_buffer *out)
{
	for (size_t i = 0; i < analysis->pipeline_count; i++) {
		if (i > 0)
			pa_buffer_puts(out, "\n");
		print_pipeline(&analysis->pipelines[i], out);
	}
}
