/* SPDX-License-Identifier: Apache-2.0 */
/* Templates and the Workflow itself. */
#include "pipeline/argo_read_internal.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/name_table_internal.h"

/* Early SDKs add these two outputs to every task, written or not; Kubeflow's server makes them optional
 * when a run is submitted (backend, PatchTemplateOutputArtifacts), as Argo takes a missing output for a
 * failure. */
static void make_optional(struct pa_template *template)
{
	for (size_t i = 0; i < template->output_artifact_count; i++) {
		struct pa_artifact *artifact = &template->output_artifacts[i];
		if (artifact->name != NULL && (strcmp(artifact->name, "mlpipeline-ui-metadata") == 0 ||
		                               strcmp(artifact->name, "mlpipeline-metrics") == 0))
			artifact->optional = true;
	}
}

static int check_body(const struct pa_node *node, const char *what, struct pa_error *err)
{
	if (pa_node_is_mapping(node))
		return 0;
	return pa_node_error(node, err, "'%s' is no map; write one there", what);
}

static int read_dag(struct argo_reader *reader, const struct pa_node *dag, struct pa_template *template,
                    struct pa_error *err)
{
	const struct pa_node *tasks = pa_node_get(dag, "tasks");
	const struct pa_node *fail_fast = pa_node_get(dag, "failFast");
	int rc = check_body(dag, "dag", err);

	if (rc == 0)
		rc = argo_read_list(reader, tasks, "tasks", sizeof(struct pa_call), &template->call_count,
		                    err);

	template->kind = PA_TEMPLATE_DAG;
	template->fail_fast = pa_node_is_null(fail_fast) || pa_node_is_true(fail_fast);
	if (rc == 0)
		rc = argo_read_text(dag, "target", &template->dag_target, err);
	if (rc < 0)
		return rc;
	template->calls =
	    pa_arena_array(reader->budget.arena, template->call_count, sizeof(*template->calls));
	for (size_t i = 0; i < template->call_count && rc == 0; i++)
		rc = argo_read_call(reader, tasks->items[i], &template->calls[i], err);
	return rc;
}

/* A list of groups; a group is a list of steps, or one step. */
static int read_steps(struct argo_reader *reader, const struct pa_node *steps, struct pa_template *template,
                      struct pa_error *err)
{
	size_t total = 0;
	int rc = argo_read_list(reader, steps, "steps", 0, &template->group_count, err);

	template->kind = PA_TEMPLATE_STEPS;
	template->fail_fast = true;
	if (rc < 0)
		return rc;
	for (size_t group = 0; group < template->group_count; group++)
		total += pa_node_is_sequence(steps->items[group]) ? steps->items[group]->count : 1;
	rc = pa_budget_check(&reader->budget, total * sizeof(struct pa_call), steps, err);
	if (rc < 0)
		return rc;
	template->calls = pa_arena_array(reader->budget.arena, total, sizeof(*template->calls));
	for (size_t group = 0; group < template->group_count && rc == 0; group++) {
		const struct pa_node *node = steps->items[group];
		bool list = pa_node_is_sequence(node);
		for (size_t i = 0; i < (list ? node->count : 1) && rc == 0; i++) {
			struct pa_call *call = &template->calls[template->call_count++];
			call->group = group;
			rc = argo_read_call(reader, list ? node->items[i] : node, call, err);
		}
	}
	return rc;
}

static int read_container_set(struct argo_reader *reader, const struct pa_node *set,
                              struct pa_template *template, struct pa_error *err)
{
	struct pa_container *containers;
	size_t count;
	struct pa_container shared = {0};
	int rc = argo_read_containers(reader, pa_node_get(set, "containers"), &containers, &count, err);

	template->kind = PA_TEMPLATE_CONTAINERSET;
	if (rc == 0)
		rc = argo_read_container(reader, set, &shared, err);
	if (rc < 0)
		return rc;
	if (count == 0)
		return pa_node_error(set, err, "a containerSet has no containers; give it one");
	/* The one named main (else the last) is what the pod is there for; the others run beside it. */
	size_t main_index = count - 1;
	for (size_t i = 0; i < count; i++) {
		if (containers[i].name != NULL && strcmp(containers[i].name, "main") == 0)
			main_index = i;
	}
	template->container = containers[main_index];
	containers[main_index] = containers[count - 1];
	/* Mounts of the set are mounts of each container. */
	containers[count - 1] = shared;
	template->sidecars = containers;
	template->sidecar_count = count;
	return 0;
}

static int read_resource(struct argo_reader *reader, const struct pa_node *node, struct pa_template *template,
                         struct pa_error *err)
{
	template->kind = PA_TEMPLATE_RESOURCE;
	int rc = check_body(node, "resource", err);
	if (rc == 0)
		rc = argo_read_text(node, "action", &template->resource_action, err);
	if (rc == 0)
		rc = argo_read_value(reader, node, "manifest", &template->resource_manifest, err);
	return rc;
}

/* A `data` template's source is written like an artifact. */
static int read_listed(struct argo_reader *reader, const struct pa_node *node, struct pa_template *template,
                       struct pa_error *err)
{
	if (!pa_node_is_mapping(node) || pa_node_get(node, "name") == NULL)
		return 0;
	template->listed = pa_arena_alloc(reader->budget.arena, sizeof(*template->listed));
	return argo_read_artifact(reader, node, template->listed, err);
}

static int read_body(struct argo_reader *reader, const struct pa_node *node, struct pa_template *template,
                     struct pa_error *err)
{
	static const struct {
		const char *key;
		enum pa_template_kind kind;
	} others[] = {
	    {"suspend", PA_TEMPLATE_SUSPEND},
	    {"http", PA_TEMPLATE_HTTP},
	    {"plugin", PA_TEMPLATE_PLUGIN},
	    {"data", PA_TEMPLATE_DATA},
	};
	const struct pa_node *body;

	template->kind = PA_TEMPLATE_UNKNOWN;
	if (!pa_node_is_null(body = pa_node_get(node, "dag")))
		return read_dag(reader, body, template, err);
	if (!pa_node_is_null(body = pa_node_get(node, "steps")))
		return read_steps(reader, body, template, err);
	if (!pa_node_is_null(body = pa_node_get(node, "container"))) {
		template->kind = PA_TEMPLATE_CONTAINER;
		return argo_read_container(reader, body, &template->container, err);
	}
	if (!pa_node_is_null(body = pa_node_get(node, "script"))) {
		template->kind = PA_TEMPLATE_SCRIPT;
		return argo_read_container(reader, body, &template->container, err);
	}
	if (!pa_node_is_null(body = pa_node_get(node, "resource")))
		return read_resource(reader, body, template, err);
	if (!pa_node_is_null(body = pa_node_get(node, "containerSet")))
		return read_container_set(reader, body, template, err);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (pa_node_get(node, others[i].key) != NULL)
			template->kind = others[i].kind;
	}
	return read_listed(reader, pa_node_path(node, "data.source.artifactPaths"), template, err);
}

static int read_retry(struct argo_reader *reader, const struct pa_node *node, struct pa_template *template,
                      struct pa_error *err)
{
	const struct pa_node *retry, *backoff;
	int rc = argo_read_mapping(node, "retryStrategy", &retry, err);

	if (rc == 0 && retry == NULL)
		retry = reader->default_retry;
	if (rc < 0 || retry == NULL)
		return rc;
	template->has_retry = true;
	rc = argo_read_text(retry, "limit", &template->retry_limit, err);
	if (rc == 0)
		rc = argo_read_text(retry, "retryPolicy", &template->retry_policy, err);
	if (rc == 0)
		rc = argo_read_mapping(retry, "backoff", &backoff, err);
	if (rc == 0)
		rc = argo_read_text(backoff, "duration", &template->retry_backoff_duration, err);
	if (rc == 0)
		rc = argo_read_text(backoff, "factor", &template->retry_backoff_factor, err);
	if (rc == 0)
		rc = argo_read_text(backoff, "maxDuration", &template->retry_backoff_max, err);
	return rc;
}

static int read_rest(struct argo_reader *reader, const struct pa_node *node, struct pa_template *template,
                     struct pa_error *err)
{
	int rc = argo_read_containers(reader, pa_node_get(node, "initContainers"), &template->init_containers,
	                              &template->init_container_count, err);

	if (rc == 0 && template->kind != PA_TEMPLATE_CONTAINERSET)
		rc = argo_read_containers(reader, pa_node_get(node, "sidecars"), &template->sidecars,
		                          &template->sidecar_count, err);
	if (rc == 0)
		rc = argo_read_volumes(reader, pa_node_get(node, "volumes"), NULL, &template->volumes,
		                       &template->volume_count, err);
	if (rc == 0)
		rc = argo_read_integer(node, "parallelism", &template->parallelism, err);
	if (rc == 0)
		rc =
		    argo_read_integer(node, "activeDeadlineSeconds", &template->active_deadline_seconds, err);
	if (rc == 0)
		rc = argo_read_mapping(node, "metadata", &template->metadata, err);
	template->daemon = pa_node_is_true(pa_node_get(node, "daemon"));
	return rc;
}

int argo_read_template(struct argo_reader *reader, const struct pa_node *node, bool named,
                       struct pa_template *ret, struct pa_error *err)
{
	const struct pa_node *inputs, *outputs;

	if (!pa_node_is_mapping(node))
		return pa_node_error(node, err, "a template is no map; write one with a name there");
	int rc = argo_merge_defaults(&reader->budget, node, reader->template_defaults, &node, err);
	ret->node = node;
	ret->number = (*reader->template_number_count)++;
	if (rc == 0)
		rc = argo_read_text(node, "name", &ret->name, err);
	if (rc == 0 && named && ret->name == NULL)
		return pa_node_error(node, err, "a template has no name; give it one");
	if (rc == 0)
		rc = argo_read_mapping(node, "archiveLocation", &reader->archive_location, err);
	if (rc == 0)
		rc = argo_read_mapping(node, "inputs", &inputs, err);
	if (rc == 0)
		rc = argo_read_mapping(node, "outputs", &outputs, err);
	if (rc == 0)
		rc = argo_read_parameters(reader, pa_node_get(inputs, "parameters"), &ret->input_parameters,
		                          &ret->input_parameter_count, err);
	if (rc == 0)
		rc = argo_read_artifacts(reader, pa_node_get(inputs, "artifacts"), &ret->input_artifacts,
		                         &ret->input_artifact_count, err);
	if (rc == 0)
		rc = argo_read_parameters(reader, pa_node_get(outputs, "parameters"), &ret->output_parameters,
		                          &ret->output_parameter_count, err);
	if (rc == 0)
		rc = argo_read_artifacts(reader, pa_node_get(outputs, "artifacts"), &ret->output_artifacts,
		                         &ret->output_artifact_count, err);
	if (rc == 0)
		make_optional(ret);
	if (rc == 0)
		rc = read_body(reader, node, ret, err);
	reader->archive_location = NULL;
	if (rc == 0)
		rc = read_retry(reader, node, ret, err);
	if (rc == 0)
		rc = read_rest(reader, node, ret, err);
	return rc;
}

static int read_templates(struct argo_reader *reader, const struct pa_node *spec,
                          struct pa_workflow *workflow, struct pa_error *err)
{
	const struct pa_node *list = pa_node_get(spec, "templates");
	struct pa_arena *arena = reader->budget.arena;
	struct pa_name_table *index = pa_arena_alloc(arena, sizeof(*index));
	int rc = argo_read_list(reader, list, "templates", sizeof(struct pa_template),
	                        &workflow->template_count, err);

	if (rc < 0)
		return rc;
	workflow->templates = pa_arena_array(arena, workflow->template_count, sizeof(*workflow->templates));
	pa_name_table_init(index, arena);
	for (size_t i = 0; i < workflow->template_count; i++) {
		struct pa_template *template = &workflow->templates[i];
		rc = argo_read_template(reader, list->items[i], true, template, err);
		if (rc < 0)
			return rc;
		size_t first = pa_name_table_put(index, template->name, i);
		if (first != SIZE_MAX)
			return pa_node_error(
			    template->node, err,
			    "two templates have the name '%.100s' (the first in line %u); rename one",
			    template->name, workflow->templates[first].node->line);
	}
	workflow->template_index = index;
	return 0;
}

static int read_spec(struct argo_reader *reader, const struct pa_node *spec, struct pa_workflow *workflow,
                     struct pa_error *err)
{
	const struct pa_node *arguments;
	int rc = argo_read_text(spec, "entrypoint", &workflow->entrypoint, err);

	if (rc == 0)
		rc = argo_read_text(spec, "onExit", &workflow->on_exit, err);
	if (rc == 0)
		rc = argo_read_mapping(spec, "hooks", &workflow->hooks, err);
	if (rc == 0)
		rc = argo_read_mapping(spec, "workflowTemplateRef", &workflow->template_ref, err);
	if (rc == 0)
		rc = argo_read_text(spec, "podSpecPatch", &workflow->pod_spec_patch, err);
	if (rc == 0)
		rc = argo_read_mapping(spec, "templateDefaults", &workflow->template_defaults, err);
	if (rc == 0)
		rc = argo_read_mapping(spec, "retryStrategy", &workflow->default_retry, err);
	if (rc == 0)
		rc = argo_read_mapping(spec, "arguments", &arguments, err);
	if (rc == 0)
		rc = argo_read_parameters(reader, pa_node_get(arguments, "parameters"), &workflow->parameters,
		                          &workflow->parameter_count, err);
	if (rc == 0)
		rc = argo_read_artifacts(reader, pa_node_get(arguments, "artifacts"), &workflow->artifacts,
		                         &workflow->artifact_count, err);
	if (rc == 0)
		rc = argo_read_volumes(reader, pa_node_get(spec, "volumes"),
		                       pa_node_get(spec, "volumeClaimTemplates"), &workflow->volumes,
		                       &workflow->volume_count, err);
	if (rc == 0)
		rc = argo_read_integer(spec, "parallelism", &workflow->parallelism, err);
	if (rc == 0)
		rc =
		    argo_read_integer(spec, "activeDeadlineSeconds", &workflow->active_deadline_seconds, err);
	reader->template_defaults = workflow->template_defaults;
	reader->default_retry = workflow->default_retry;
	if (rc == 0)
		rc = read_templates(reader, spec, workflow, err);
	return rc;
}

int argo_spec_of(const struct pa_node *root, const struct pa_node **ret, struct pa_error *err)
{
	const char *kind = pa_node_text(pa_node_get(root, "kind"));
	int rc = argo_read_mapping(root, "spec", ret, err);

	if (rc == 0 && *ret != NULL && kind != NULL && strcmp(kind, "CronWorkflow") == 0)
		rc = argo_read_mapping(*ret, "workflowSpec", ret, err);
	return rc;
}

/* A document's own, and what spec.workflowMetadata gives to the workflows that are made from it. */
static int read_annotations(struct argo_reader *reader, const struct pa_node *root, const char *key,
                            const struct pa_node **ret, struct pa_error *err)
{
	const struct pa_node *own, *given;
	int rc = argo_read_mapping(pa_node_get(root, "metadata"), key, &own, err);

	if (rc == 0)
		rc = argo_read_mapping(pa_node_path(root, "spec.workflowMetadata"), key, &given, err);
	if (rc == 0)
		rc = argo_merge_nodes(&reader->budget, own, given, ret, err);
	return rc;
}

static int read_metadata(struct argo_reader *reader, const struct pa_node *root, struct pa_workflow *workflow,
                         struct pa_error *err)
{
	const struct pa_node *metadata;
	int rc = argo_read_text(root, "kind", &workflow->kind, err);

	if (rc == 0)
		rc = argo_read_mapping(root, "metadata", &metadata, err);
	if (rc == 0)
		rc = argo_read_text(metadata, "name", &workflow->name, err);
	if (rc == 0)
		rc = argo_read_text(metadata, "namespace", &workflow->name_space, err);
	if (rc == 0)
		rc = argo_read_text(metadata, "generateName", &workflow->generate_name, err);
	if (rc == 0)
		rc = read_annotations(reader, root, "annotations", &workflow->annotations, err);
	if (rc == 0)
		rc = read_annotations(reader, root, "labels", &workflow->labels, err);
	return rc;
}

int argo_read_with_spec(struct argo_reader *reader, const struct pa_node *root, const struct pa_node *spec,
                        size_t document, struct pa_workflow **ret, struct pa_error *err)
{
	struct pa_workflow *workflow = pa_arena_alloc(reader->budget.arena, sizeof(*workflow));

	workflow->file = root->file;
	workflow->document = document;
	workflow->node = root;
	int rc = read_metadata(reader, root, workflow, err);
	if (rc < 0)
		return rc;
	if (spec == NULL)
		return pa_node_error(root, err, "the %s has no spec; give it one with templates",
		                     workflow->kind);
	rc = read_spec(reader, spec, workflow, err);
	if (rc < 0)
		return rc;
	*ret = workflow;
	return 0;
}

int argo_read_workflow(struct argo_reader *reader, const struct pa_node *root, size_t document,
                       struct pa_workflow **ret, struct pa_error *err)
{
	const struct pa_node *spec;
	int rc = argo_spec_of(root, &spec, err);

	return rc < 0 ? rc : argo_read_with_spec(reader, root, spec, document, ret, err);
}

int argo_read_adopted(struct argo_reader *reader, const struct pa_workflow *original,
                      struct pa_workflow **ret, struct pa_error *err)
{
	struct pa_workflow *workflow = pa_arena_alloc(reader->budget.arena, sizeof(*workflow));
	const struct pa_node *spec;
	int rc = argo_spec_of(original->node, &spec, err);

	*workflow = *original;
	if (rc == 0)
		rc = read_templates(reader, spec, workflow, err);
	if (rc < 0)
		return rc;
	*ret = workflow;
	return 0;
}

const struct pa_template *pa_workflow_find_template(const struct pa_workflow *workflow, const char *name)
{
	size_t index = pa_name_table_get(workflow->template_index, name);

	return index == SIZE_MAX ? NULL : &workflow->templates[index];
}
