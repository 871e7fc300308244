/* SPDX-License-Identifier: Apache-2.0 */
/* One text: its documents, the format of each, and the steps that make a model of it. */
#include "pipeline/analyze.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

#define MIN_MEMORY_BYTES (64u << 20)
#define MEMORY_FACTOR    20u
#define KFP_PREFIX       "pipelines.kubeflow.org/"

enum document_kind { NO_PIPELINE, ARGO, KFP_V2_IR, KFP_V2_RUNTIME };

static bool is_argo_kind(const char *kind)
{
	static const char *const kinds[] = {"Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate",
	                                    "CronWorkflow"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	}
	return false;
}

static bool has_prefixed_key(const struct pa_node *map, const char *prefix)
{
	for (uint32_t i = 0; pa_node_is_mapping(map) && i < map->count; i++) {
		if (strncmp(map->entries[i].key->text, prefix, strlen(prefix)) == 0)
			return true;
	}
	return false;
}

/* The KFP v2 backend puts the pipeline's components as JSON into the workflow's arguments (earlier:
 * into its annotations). */
static bool is_kfp_runtime(const struct pa_node *root)
{
	const struct pa_node *parameters = pa_node_path(root, "spec.arguments.parameters");
	const struct pa_node *annotations = pa_node_path(root, "metadata.annotations");

	for (uint32_t i = 0; pa_node_is_sequence(parameters) && i < parameters->count; i++) {
		const char *name = pa_node_text(pa_node_get(parameters->items[i], "name"));
		if (name != NULL &&
		    (strncmp(name, "components-", 11) == 0 || strncmp(name, "implementations-", 16) == 0))
			return true;
	}
	return has_prefixed_key(annotations, KFP_PREFIX "components-");
}

static enum document_kind find_kind(const struct pa_node *root)
{
	const char *kind = pa_node_text(pa_node_get(root, "kind"));
	const char *version = pa_node_text(pa_node_get(root, "apiVersion"));

	if (pa_node_is_mapping(pa_node_get(root, "pipelineSpec")) ||
	    (pa_node_get(root, "deploymentSpec") != NULL && pa_node_get(root, "root") != NULL))
		return KFP_V2_IR;
	if (kind == NULL || !is_argo_kind(kind) ||
	    (version != NULL && strncmp(version, "argoproj.io/", 12) != 0))
		return NO_PIPELINE;
	return is_kfp_runtime(root) ? KFP_V2_RUNTIME : ARGO;
}

static enum pa_pipeline_format argo_format(const struct pa_workflow *workflow)
{
	if (has_prefixed_key(workflow->annotations, KFP_PREFIX) ||
	    has_prefixed_key(workflow->labels, KFP_PREFIX))
		return PA_FORMAT_ARGO_KFP_V1;
	return PA_FORMAT_ARGO;
}

static const char *sdk_version(const struct pa_workflow *workflow)
{
	const char *version = pa_node_text(pa_node_get(workflow->labels, KFP_PREFIX "kfp_sdk_version"));

	if (version == NULL)
		version = pa_node_text(pa_node_get(workflow->annotations, KFP_PREFIX "kfp_sdk_version"));
	return version;
}

static const char *workflow_name(const struct pa_workflow *workflow)
{
	if (workflow->name != NULL)
		return workflow->name;
	return workflow->generate_name == NULL ? "" : workflow->generate_name;
}

static int run_steps(struct argo_analysis *analysis, const struct pa_analyze_options *options,
                     struct pa_error *err)
{
	struct pa_pipeline *pipeline = analysis->pipeline;
	int rc = argo_fill_parameters(analysis, options, err);

	if (rc == 0)
		rc = argo_flatten(analysis, err);
	if (rc == 0)
		rc = argo_order(analysis, err);
	if (rc == 0)
		rc = argo_fill_tasks(analysis, err);
	if (rc == 0)
		rc = argo_fill_mounts(analysis, err);
	if (rc == 0)
		rc = argo_fill_data(analysis, err);
	pipeline->tasks = analysis->models;
	pipeline->task_count = analysis->task_count;
	pipeline->unresolved = analysis->unresolved;
	pipeline->unresolved_count = analysis->unresolved_count;
	pipeline->task_index = analysis->task_index;
	return rc;
}

static int analyze_argo(const struct argo_budget *budget, const struct pa_document *document,
                        const struct pa_analyze_options *options, struct pa_pipeline *ret,
                        struct pa_error *err)
{
	struct argo_analysis analysis = {.budget = *budget, .reader = {.budget = *budget}, .pipeline = ret};
	struct pa_workflow *workflow;
	int rc = argo_read_workflow(budget, document->root, document->index, &workflow, err);

	if (rc < 0)
		return rc;
	*ret = (struct pa_pipeline){.name = workflow_name(workflow),
	                            .format = argo_format(workflow),
	                            .file = document->root->file,
	                            .document = document->index,
	                            .sdk_version = sdk_version(workflow),
	                            .workflow = workflow};
	analysis.workflow = workflow;
	/* Hooks are read when they are reached; inline templates in them get numbers behind the others. */
	analysis.reader.template_number_count = workflow->template_number_count;
	analysis.task_index = pa_arena_alloc(budget->arena, sizeof(*analysis.task_index));
	pa_name_table_init(analysis.task_index, budget->arena);
	pa_name_table_init(&analysis.parameter_index, budget->arena);
	pa_name_table_init(&analysis.global_parameters, budget->arena);
	pa_name_table_init(&analysis.global_artifacts, budget->arena);
	pa_name_table_init(&analysis.unresolved_seen, budget->arena);
	return run_steps(&analysis, options, err);
}

static int not_understood(const struct pa_node *root, enum pa_pipeline_format format, struct pa_error *err)
{
	return pa_node_error(
	    root, err, "the pipeline is of format %s, which is not understood yet; give an Argo Workflow",
	    pa_format_name(format));
}

static int analyze_documents(const struct argo_budget *budget, const struct pa_document *documents,
                             size_t count, const struct pa_analyze_options *options,
                             struct pa_pipeline *pipelines, size_t *ret_count, struct pa_error *err)
{
	size_t found = 0;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		const struct pa_node *root = documents[i].root;
		switch (find_kind(root)) {
		case NO_PIPELINE:
			break;
		case ARGO:
			rc = analyze_argo(budget, &documents[i], options, &pipelines[found++], err);
			break;
		case KFP_V2_IR:
			rc = not_understood(root, PA_FORMAT_KFP_V2_IR, err);
			break;
		case KFP_V2_RUNTIME:
			rc = not_understood(root, PA_FORMAT_KFP_V2_RUNTIME, err);
			break;
		}
	}
	*ret_count = found;
	return rc;
}

int pa_analyze_text(struct pa_arena *arena, const char *file, const char *text, size_t bytes,
                    const struct pa_analyze_options *options, struct pa_analysis *analysis,
                    struct pa_error *err)
{
	struct argo_budget budget = {.arena = arena};
	struct pa_document *documents;
	size_t count, found, allowed = MIN_MEMORY_BYTES;

	if (bytes > MIN_MEMORY_BYTES / MEMORY_FACTOR)
		allowed = bytes * MEMORY_FACTOR;
	budget.limit_bytes = pa_arena_bytes(arena) + allowed;
	int rc = pa_document_read(arena, file, text, bytes, &documents, &count, err);
	if (rc < 0)
		return rc;
	const struct pa_node start = {.file = file, .line = 1, .column = 1};
	rc = argo_budget_check(&budget, count * sizeof(struct pa_pipeline), &start, err);
	if (rc < 0)
		return rc;
	size_t old = analysis->pipeline_count;
	struct pa_pipeline *pipelines = pa_arena_array(arena, old + count, sizeof(*pipelines));
	rc = analyze_documents(&budget, documents, count, options, pipelines + old, &found, err);
	if (rc < 0)
		return rc;
	if (found == 0)
		return pa_node_error(
		    &start, err,
		    "no pipeline in this file; give an Argo Workflow, WorkflowTemplate or CronWorkflow");
	if (old > 0)
		memcpy(pipelines, analysis->pipelines, old * sizeof(*pipelines));
	analysis->pipelines = pipelines;
	analysis->pipeline_count = old + found;
	return 0;
}
