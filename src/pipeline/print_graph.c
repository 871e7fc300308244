/* SPDX-License-Identifier: Apache-2.0 */
/* The graph of tasks for Graphviz and for Mermaid: edges that carry an artifact are bold. */
#include <string.h>

#include "base/buffer.h"
#include "pipeline/analyze.h"
#include "pipeline/print_internal.h"

/* What a character that means something to the format is written as; NULL: itself. */
typedef const char *(*escape_character)(char character);

static const char *escape_dot(char character)
{
	return character == '"' ? "\\\"" : character == '\\' ? "\\\\" : NULL;
}

/* Mermaid's entities begin with '#', and what is between quotes is HTML. */
static const char *escape_mermaid(char character)
{
	static const char *const entities[] = {"\"#quot;", "##35;", "<#lt;", ">#gt;", "&#amp;", "`#96;"};

	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		if (entities[i][0] == character)
			return entities[i] + 1;
	}
	return NULL;
}

/* A text between quotes, as one line. */
static void print_quoted(struct pa_buffer *out, const char *text, escape_character escape)
{
	pa_buffer_puts(out, "\"");
	for (; *text != '\0'; text++) {
		const char *escaped = escape(*text);
		if (escaped != NULL)
			pa_buffer_puts(out, escaped);
		else if ((unsigned char)*text < 0x20 || *text == 0x7f)
			pa_buffer_puts(out, "?");
		else
			pa_buffer_append(out, text, 1);
	}
	pa_buffer_puts(out, "\"");
}

static size_t task_number(const struct pa_pipeline *pipeline, const char *id)
{
	return (size_t)(pa_pipeline_find_task(pipeline, id) - pipeline->tasks);
}

typedef void (*print_edge)(struct pa_buffer *out, size_t from, size_t to, bool artifact);

static bool is_artifact_edge(const struct pa_task *task, const char *from)
{
	for (size_t i = 0; i < task->input_count; i++) {
		for (size_t j = 0; task->inputs[i].artifact && j < task->inputs[i].origin_count; j++) {
			const char *origin = task->inputs[i].origins[j].task;
			if (origin != NULL && strcmp(origin, from) == 0)
				return true;
		}
	}
	return false;
}

static void print_edges(const struct pa_pipeline *pipeline, struct pa_buffer *out, size_t base,
                        print_edge print)
{
	for (size_t i = 0; i < pipeline->task_count && !out->overflowed; i++) {
		const struct pa_task *task = &pipeline->tasks[i];
		for (size_t j = 0; j < task->after_count; j++)
			print(out, base + task_number(pipeline, task->after[j]), base + i,
			      is_artifact_edge(task, task->after[j]));
	}
}

static void print_dot_edge(struct pa_buffer *out, size_t from, size_t to, bool artifact)
{
	pa_buffer_printf(out, "  n%zu -> n%zu%s;\n", from, to, artifact ? " [style=bold]" : "");
}

void pa_analysis_print_dot(const struct pa_analysis *analysis, struct pa_buffer *out)
{
	size_t base = 0;

	pa_buffer_puts(out, "digraph pipelines {\n  rankdir=LR;\n  node [shape=box];\n");
	for (size_t i = 0; i < analysis->pipeline_count; i++) {
		const struct pa_pipeline *pipeline = &analysis->pipelines[i];
		pa_buffer_printf(out, "  subgraph cluster_%zu {\n  label=", i);
		print_quoted(out, pipeline->name, escape_dot);
		pa_buffer_puts(out, ";\n");
		for (size_t j = 0; j < pipeline->task_count; j++) {
			pa_buffer_printf(out, "  n%zu [label=", base + j);
			print_quoted(out, pipeline->tasks[j].id, escape_dot);
			pa_buffer_puts(out, "];\n");
		}
		print_edges(pipeline, out, base, print_dot_edge);
		pa_buffer_puts(out, "  }\n");
		base += pipeline->task_count;
	}
	pa_buffer_puts(out, "}\n");
}

static void print_mermaid_edge(struct pa_buffer *out, size_t from, size_t to, bool artifact)
{
	pa_buffer_printf(out, "  n%zu %s n%zu\n", from, artifact ? "==>" : "-->", to);
}

void pa_analysis_print_mermaid(const struct pa_analysis *analysis, struct pa_buffer *out)
{
	size_t base = 0;

	pa_buffer_puts(out, "flowchart LR\n");
	for (size_t i = 0; i < analysis->pipeline_count; i++) {
		const struct pa_pipeline *pipeline = &analysis->pipelines[i];
		pa_buffer_printf(out, "  subgraph p%zu [", i);
		print_quoted(out, pipeline->name, escape_mermaid);
		pa_buffer_puts(out, "]\n");
		for (size_t j = 0; j < pipeline->task_count; j++) {
			pa_buffer_printf(out, "  n%zu[", base + j);
			print_quoted(out, pipeline->tasks[j].id, escape_mermaid);
			pa_buffer_puts(out, "]\n");
		}
		print_edges(pipeline, out, base, print_mermaid_edge);
		pa_buffer_puts(out, "  end\n");
		base += pipeline->task_count;
	}
}
