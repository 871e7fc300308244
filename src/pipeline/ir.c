/* SPDX-License-Identifier: Apache-2.0 */
/* The IR document: a PipelineSpec, bare or wrapped, and the platforms that go with it. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_internal.h"
#include "pipeline/ir_read_internal.h"

static int add_components(struct ir_spec *spec, const struct pa_budget *budget,
                          const struct pa_node *pipeline, struct pa_error *err)
{
	const struct pa_node *components;
	int rc = ir_read_mapping(pipeline, "components", &components, err);

	for (uint32_t i = 0; rc == 0 && components != NULL && i < components->count; i++)
		rc = ir_spec_add_component(spec, budget, components->entries[i].key->text,
		                           components->entries[i].value, err);
	return rc;
}

static int add_executor(struct ir_spec *spec, const struct pa_budget *budget,
                        const struct pa_node_entry *entry, struct pa_error *err)
{
	static const struct {
		const char *key;
		enum ir_executor_kind kind;
	} kinds[] = {{"container", IR_CONTAINER},
	             {"importer", IR_IMPORTER},
	             {"resolver", IR_RESOLVER},
	             {"customJob", IR_CUSTOM_JOB}};
	const char *label = entry->key->text;

	if (!pa_node_is_mapping(entry->value))
		return pa_node_error(entry->key, err, "the executor '%.100s' must be a map; correct the file",
		                     label);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct pa_node *node;
		int rc = ir_read_mapping(entry->value, kinds[i].key, &node, err);
		if (rc < 0)
			return rc;
		if (node != NULL)
			return ir_spec_add_executor(spec, budget, label, kinds[i].kind, node, err);
	}
	return ir_spec_add_executor(spec, budget, label, IR_UNKNOWN, entry->value, err);
}

static int add_executors(struct ir_spec *spec, const struct pa_budget *budget, const struct pa_node *pipeline,
                         struct pa_error *err)
{
	const struct pa_node *deployment, *executors;
	int rc = ir_read_mapping(pipeline, "deploymentSpec", &deployment, err);

	if (rc == 0)
		rc = ir_read_mapping(deployment, "executors", &executors, err);
	for (uint32_t i = 0; rc == 0 && executors != NULL && i < executors->count; i++)
		rc = add_executor(spec, budget, &executors->entries[i], err);
	return rc;
}

/* platforms.kubernetes.deploymentSpec.executors of the document (NULL: none). */
static int add_platforms(struct ir_spec *spec, const struct pa_budget *budget, const struct pa_node *document,
                         struct pa_error *err)
{
	const struct pa_node *platforms, *kubernetes, *deployment, *executors;
	int rc = ir_read_mapping(document, "platforms", &platforms, err);

	if (rc == 0)
		rc = ir_read_mapping(platforms, "kubernetes", &kubernetes, err);
	if (rc == 0)
		rc = ir_read_mapping(kubernetes, "deploymentSpec", &deployment, err);
	if (rc == 0)
		rc = ir_read_mapping(deployment, "executors", &executors, err);
	for (uint32_t i = 0; rc == 0 && executors != NULL && i < executors->count; i++) {
		if (!pa_node_is_null(executors->entries[i].value))
			rc = ir_spec_add_platform(spec, budget, executors->entries[i].key->text,
			                          executors->entries[i].value, err);
	}
	return rc;
}

/* The PipelineSpec in a document: the document itself, or `pipelineSpec` of a job or of a PipelineVersion. */
static const struct pa_node *find_pipeline(const struct pa_node *root)
{
	const struct pa_node *wrapped = pa_node_get(root, "pipelineSpec");

	if (!pa_node_is_mapping(wrapped))
		wrapped = pa_node_path(root, "spec.pipelineSpec");
	return pa_node_is_mapping(wrapped) ? wrapped : root;
}

static int read_head(struct ir_spec *spec, const struct pa_node *root, const struct pa_node *pipeline,
                     struct pa_error *err)
{
	const struct pa_node *info;
	int rc = ir_read_mapping(pipeline, "pipelineInfo", &info, err);

	if (rc == 0)
		rc = ir_read_text(info, "name", &spec->name, err);
	if (rc == 0)
		rc = ir_read_text(pipeline, "sdkVersion", &spec->sdk_version, err);
	if (rc == 0)
		rc = ir_read_mapping(pipeline, "root", &spec->root, err);
	if (rc == 0)
		rc = ir_read_mapping(root, "runtimeConfig", &spec->runtime_config, err);
	if (rc == 0 && spec->root == NULL)
		return pa_node_error(
		    pipeline, err,
		    "the pipeline has no root, which says what runs first; give a compiled KFP pipeline");
	return rc;
}

int ir_analyze(const struct pa_budget *budget, const struct pa_node *root, const struct pa_node *platforms,
               size_t document, const struct pa_analyze_options *options, struct pa_pipeline *ret,
               struct pa_error *err)
{
	const struct pa_node *pipeline = find_pipeline(root);
	struct pa_findings findings;
	struct ir_spec spec;

	ir_spec_init(&spec, budget, root);
	spec.document = document;
	spec.format = PA_FORMAT_KFP_V2_IR;
	pa_findings_init(&findings, budget, options != NULL ? options->explain : NULL);
	int rc = read_head(&spec, root, pipeline, err);
	if (rc == 0)
		rc = add_components(&spec, budget, pipeline, err);
	if (rc == 0)
		rc = add_executors(&spec, budget, pipeline, err);
	if (rc == 0)
		rc = add_platforms(&spec, budget, platforms, err);
	if (rc == 0)
		rc = add_platforms(&spec, budget, pa_node_path(root, "spec.platformSpec"), err);
	return rc < 0 ? rc : ir_analyze_spec(&findings, &spec, options, ret, err);
}
