/* SPDX-License-Identifier: Apache-2.0 */
/* One Argo workflow: the steps that make a model of it. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

#define KFP_PREFIX "pipelines.kubeflow.org/"

bool argo_has_prefixed_key(const struct pa_node *map, const char *prefix)
{
	for (uint32_t i = 0; pa_node_is_mapping(map) && i < map->count; i++) {
		if (strncmp(map->entries[i].key->text, prefix, strlen(prefix)) == 0)
			return true;
	}
	return false;
}

static enum pa_pipeline_format format_of(const struct pa_workflow *workflow)
{
	if (argo_has_prefixed_key(workflow->annotations, KFP_PREFIX) ||
	    argo_has_prefixed_key(workflow->labels, KFP_PREFIX))
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

static const char *name_of(const struct pa_workflow *workflow)
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
		rc = argo_explain(analysis, err);
	if (rc == 0)
		rc = argo_fill_data(analysis, err);
	pipeline->tasks = analysis->models;
	pipeline->task_count = analysis->task_count;
	pipeline->unresolved = analysis->findings.unresolved;
	pipeline->unresolved_count = analysis->findings.unresolved_count;
	pipeline->facts = analysis->findings.facts;
	pipeline->fact_count = analysis->findings.fact_count;
	pipeline->task_index = analysis->task_index;
	return rc;
}

int argo_analyze(struct argo_library *library, size_t number, const struct pa_budget *budget,
                 const struct pa_analyze_options *options, struct pa_pipeline *ret, struct pa_error *err)
{
	const struct argo_known *known = &library->known[number];
	struct argo_analysis analysis = {.library = library, .pipeline = ret};
	struct pa_arena *arena = budget->arena;

	if (known->error != NULL)
		return pa_error_set(err, PA_ERROR_INPUT, "%s", known->error);
	analysis.reader =
	    (struct argo_reader){.budget = *budget, .template_number_count = &library->template_number_count};
	pa_findings_init(&analysis.findings, budget, options != NULL ? options->explain : NULL);
	int rc = argo_merge_reference(&analysis, known, &analysis.workflow, &analysis.missing_reference, err);
	if (rc < 0)
		return rc;
	const struct pa_workflow *workflow = analysis.workflow;
	/* What is read from here on, hooks and templates of other workflows, has this one's defaults. */
	analysis.reader.template_defaults = workflow->template_defaults;
	analysis.reader.default_retry = workflow->default_retry;
	*ret = (struct pa_pipeline){.name = name_of(workflow),
	                            .format = format_of(workflow),
	                            .file = known->root->file,
	                            .document = known->document,
	                            .sdk_version = sdk_version(workflow),
	                            .workflow = workflow};
	analysis.task_index = pa_arena_alloc(arena, sizeof(*analysis.task_index));
	pa_name_table_init(analysis.task_index, arena);
	pa_name_table_init(&analysis.adopted_index, arena);
	pa_name_table_init(&analysis.parameter_index, arena);
	pa_name_table_init(&analysis.global_parameters, arena);
	pa_name_table_init(&analysis.global_artifacts, arena);
	return run_steps(&analysis, options, err);
}
