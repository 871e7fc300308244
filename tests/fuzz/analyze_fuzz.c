/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a pipeline: a model that holds together, in every print, or an error that says where. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "pipeline/analyze.h"
#include "pipeline/condition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth)
{
	if (!truth)
		abort();
}

static void check_pipeline(const struct pa_pipeline *pipeline)
{
	for (size_t i = 0; i < pipeline->task_count; i++) {
		const struct pa_task *task = &pipeline->tasks[i];
		bool truth;
		struct pa_error err = PA_ERROR_INIT;
		require(pa_pipeline_find_task(pipeline, task->id) == task);
		for (size_t j = 0; j < task->after_count; j++) {
			const struct pa_task *before = pa_pipeline_find_task(pipeline, task->after[j]);
			require(before != NULL && before != task);
			require(j == 0 || pa_pipeline_find_task(pipeline, task->after[j - 1]) < before);
		}
		for (size_t j = 0; j < task->input_count; j++) {
			for (size_t k = 0; k < task->inputs[j].origin_count; k++) {
				const char *from = task->inputs[j].origins[k].task;
				require(from == NULL || pa_pipeline_find_task(pipeline, from) != NULL);
			}
		}
		if (task->condition != NULL)
			pa_condition_evaluate(task->condition, &truth, &err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_analysis analysis = {0};
	struct pa_buffer out;

	pa_buffer_init(&out, 16u << 20);
	if (pa_analyze_text(&arena, "fuzz", (const char *)data, size, NULL, &analysis, &err) < 0) {
		require(err.class == PA_ERROR_INPUT && strncmp(err.message, "fuzz:", 5) == 0);
	} else {
		for (size_t i = 0; i < analysis.pipeline_count; i++)
			check_pipeline(&analysis.pipelines[i]);
		pa_analysis_print_json(&analysis, &out);
		pa_analysis_print_table(&analysis, &out);
		pa_analysis_print_paper(&analysis, &out);
		pa_analysis_print_dot(&analysis, &out);
		pa_analysis_print_mermaid(&analysis, &out);
	}
	pa_buffer_done(&out);
	pa_arena_done(&arena);
	return 0;
}
