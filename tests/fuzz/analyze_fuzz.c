/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as pipeline files (a byte 0x1e between two): models that hold together, in every print, or failures
 * that say where. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "check.h"
#include "pipeline/analyze.h"
#include "pipeline/condition.h"

#define MAX_TEXTS       4u
#define MAX_PRINT_BYTES (16u << 20)
#define SEPARATOR       0x1e

static void check_task(const struct pa_pipeline *pipeline, const struct pa_task *task)
{
	struct pa_error err = PA_ERROR_INIT;
	bool truth;

	require(pa_pipeline_find_task(pipeline, task->id) == task);
	for (size_t i = 0; i < task->after_count; i++) {
		const struct pa_task *before = pa_pipeline_find_task(pipeline, task->after[i]);
		require(before != NULL && before != task);
		require(i == 0 || pa_pipeline_find_task(pipeline, task->after[i - 1]) < before);
	}
	for (size_t i = 0; i < task->input_count; i++) {
		for (size_t j = 0; j < task->inputs[i].origin_count; j++) {
			const char *from = task->inputs[i].origins[j].task;
			require(from == NULL || pa_pipeline_find_task(pipeline, from) != NULL);
		}
	}
	for (size_t i = 0; i < task->mount_count; i++) {
		const char *maker = task->mounts[i].created_by;
		require(maker == NULL || pa_pipeline_find_task(pipeline, maker) != NULL);
	}
	if (task->condition != NULL)
		pa_condition_evaluate(task->condition, &truth, &err);
}

/* Whether all tasks can be put in a row: each turn takes those whose predecessors are in it. */
static bool has_order(struct pa_arena *arena, const struct pa_pipeline *pipeline)
{
	bool *taken = pa_arena_array(arena, pipeline->task_count, sizeof(*taken));
	size_t count = 0, before;

	do {
		before = count;
		for (size_t i = 0; i < pipeline->task_count; i++) {
			const struct pa_task *task = &pipeline->tasks[i];
			bool ready = !taken[i];
			for (size_t j = 0; ready && j < task->after_count; j++)
				ready =
				    taken[pa_pipeline_find_task(pipeline, task->after[j]) - pipeline->tasks];
			taken[i] |= ready;
			count += ready;
		}
	} while (count > before);
	return count == pipeline->task_count;
}

static void check_pipeline(struct pa_arena *arena, const struct pa_pipeline *pipeline)
{
	require(pipeline->name != NULL);
	for (size_t i = 0; i < pipeline->task_count; i++)
		check_task(pipeline, &pipeline->tasks[i]);
	if (pipeline->task_count < 1000)
		require(has_order(arena, pipeline));
	for (size_t i = 0; i < pipeline->data_count; i++) {
		const struct pa_data *data = &pipeline->data[i];
		for (size_t j = 0; j < data->read_count; j++)
			require(pa_pipeline_find_task(pipeline, data->read_by[j]) != NULL);
		for (size_t j = 0; j < data->written_count; j++)
			require(pa_pipeline_find_task(pipeline, data->written_by[j]) != NULL);
	}
	for (size_t i = 0; i < pipeline->unresolved_count; i++)
		require(has_place(pipeline->unresolved[i].at, "fuzz"));
}

static void print_all(const struct pa_analysis *analysis)
{
	struct pa_buffer out;

	pa_buffer_init(&out, MAX_PRINT_BYTES);
	pa_analysis_print_json(analysis, &out);
	pa_analysis_print_table(analysis, &out);
	pa_analysis_print_paper(analysis, &out);
	pa_analysis_print_dot(analysis, &out);
	pa_analysis_print_mermaid(analysis, &out);
	pa_buffer_done(&out);
}

static size_t split(const char *text, size_t bytes, struct pa_text *ret)
{
	size_t count = 0;

	for (;;) {
		const char *end = count + 1 < MAX_TEXTS ? memchr(text, SEPARATOR, bytes) : NULL;
		size_t length = end == NULL ? bytes : (size_t)(end - text);
		ret[count++] = (struct pa_text){.file = "fuzz", .text = text, .bytes = length};
		if (end == NULL)
			return count;
		text = end + 1;
		bytes -= length + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_text texts[MAX_TEXTS];
	struct pa_analysis analysis;
	size_t count = split((const char *)data, size, texts);

	pa_analyze(&arena, texts, count, NULL, &analysis);
	for (size_t i = 0; i < analysis.failure_count; i++)
		require(has_place(analysis.failures[i].message, "fuzz"));
	for (size_t i = 0; i < analysis.pipeline_count; i++)
		check_pipeline(&arena, &analysis.pipelines[i]);
	print_all(&analysis);
	if (analysis.pipeline_count > 0 && analysis.pipelines[0].task_count > 0) {
		/* Once more, with an explanation and an argument. */
		const struct pa_pipeline *first = &analysis.pipelines[0];
		struct pa_name_value argument = {"x", "gs://bucket/{{workflow.name}}"};
		struct pa_analyze_options options = {.explain = first->tasks[first->task_count - 1].id,
		                                     .arguments = &argument};
		if (first->parameter_count > 0) {
			argument.name = first->parameters[0].name;
			options.argument_count = 1;
		}
		pa_analyze(&arena, texts, count, &options, &analysis);
		for (size_t i = 0; i < analysis.pipeline_count; i++)
			check_pipeline(&arena, &analysis.pipelines[i]);
	}
	pa_arena_done(&arena);
	return 0;
}
