/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a Workflow that has run: its nodes, each a task of its own model or none, or an error. */
#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "check.h"
#include "pipeline/analyze.h"
#include "pipeline/status.h"

static void check_status(const struct pa_status *status, const struct pa_pipeline *pipeline)
{
	for (size_t i = 0; i < status->node_count; i++) {
		const struct pa_status_node *node = &status->nodes[i];
		require(node->id && node->name && node->display_name && node->type && node->phase);
		require(node->template_name && node->pod_name && node->started && node->finished);
		require(node->task_id != NULL && node->instance != NULL);
		require(node->boundary == SIZE_MAX || node->boundary < status->node_count);
		for (size_t j = 0; j < node->child_count; j++)
			require(node->children[j] < status->node_count);
		if (node->task != NULL)
			require(pipeline != NULL &&
			        pa_pipeline_find_task(pipeline, node->task->id) == node->task);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_analysis analysis = {0};
	struct pa_document *documents;
	struct pa_status status;
	size_t count;

	if (pa_document_read(&arena, "fuzz", (const char *)data, size, &documents, &count, &err) == 0 &&
	    count == 1 && documents[0].root != NULL) {
		pa_analyze_text(&arena, "fuzz", (const char *)data, size, NULL, &analysis, &err);
		const struct pa_pipeline *pipeline =
		    analysis.pipeline_count == 1 ? &analysis.pipelines[0] : NULL;
		if (pa_status_read(&arena, documents[0].root, pipeline, &status, &err) == 0)
			check_status(&status, pipeline);
		else
			require(err.message[0] != '\0');
	}
	pa_arena_done(&arena);
	return 0;
}
