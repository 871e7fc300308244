/* SPDX-License-Identifier: Apache-2.0 */
/* What an Argo task reads and writes: locations of artifacts, claims, and URIs in its values and code. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"
#include "pipeline/data_sets_internal.h"

struct collecting {
	struct argo_analysis *analysis;
	struct pa_data_sets sets;
	struct pa_task *model;
	struct argo_task *task;
};

static bool is_code(const char *text)
{
	return text != NULL && strchr(text, '\n') != NULL;
}

/* Where an input's location is written: at the call's argument or at the template's own. */
static const struct pa_node *input_node(const struct collecting *collecting, const struct pa_input *input)
{
	const struct argo_place *place = collecting->task->place;
	const struct argo_instance *instance = place->inside;
	size_t index = instance->graph == NULL
	                   ? SIZE_MAX
	                   : pa_name_table_get(&instance->graph->input_artifacts, input->name);

	if (!input->artifact || index == SIZE_MAX)
		return place->call->node;
	if (instance->artifact_arguments[index] != NULL)
		return instance->artifact_arguments[index]->node;
	return instance->template->input_artifacts[index].node;
}

static int scan_declared(struct collecting *collecting, struct pa_error *err)
{
	const struct pa_template *template = collecting->task->place->inside->template;
	struct pa_task *model = collecting->model;
	int rc = 0;

	for (size_t i = 0; i < model->input_count; i++) {
		const struct pa_input *input = &model->inputs[i];
		for (size_t j = 0; j < input->origin_count && rc == 0; j++) {
			if (input->origins[j].kind == PA_ORIGIN_URI)
				rc = pa_data_sets_note_uri(&collecting->sets, input_node(collecting, input),
				                           input->origins[j].text, PA_CONFIDENCE_DECLARED,
				                           false, err);
		}
	}
	for (size_t i = 0; template != NULL && i < template->output_artifact_count && rc == 0; i++) {
		const struct pa_artifact *artifact = &template->output_artifacts[i];
		const char *uri = artifact->uri;
		if (uri == NULL)
			continue;
		rc = argo_expand(collecting->analysis, collecting->task->place->inside, uri, &uri, err);
		if (rc == 0)
			rc = pa_data_sets_note_uri(&collecting->sets, artifact->node, uri,
			                           PA_CONFIDENCE_DECLARED, true, err);
	}
	return rc;
}

/* What a `data` template lists. */
static int scan_listed(struct collecting *collecting, struct pa_error *err)
{
	const struct pa_artifact *listed = collecting->task->place->inside->template->listed;
	const char *uri;

	if (listed == NULL || listed->uri == NULL)
		return 0;
	int rc = argo_expand(collecting->analysis, collecting->task->place->inside, listed->uri, &uri, err);
	return rc < 0 ? rc
	              : pa_data_sets_note_uri(&collecting->sets, listed->node, uri, PA_CONFIDENCE_DECLARED,
	                                      false, err);
}

static int scan_parameters(struct collecting *collecting, struct pa_error *err)
{
	struct argo_place *place = collecting->task->place;
	struct argo_analysis *analysis = collecting->analysis;
	int rc = 0;

	if (place->inside->template == NULL) {
		for (size_t i = 0; i < place->call->parameter_count && rc == 0; i++) {
			const char *text = place->call->parameters[i].value;
			if (text != NULL)
				rc = argo_expand(analysis, place->scope, text, &text, err);
			if (rc == 0)
				rc =
				    pa_data_sets_scan(&collecting->sets, place->call->node, text, false, err);
		}
		return rc;
	}
	for (size_t i = 0; i < place->inside->template->input_parameter_count && rc == 0; i++) {
		const struct pa_parameter *argument = place->inside->arguments[i];
		const struct pa_node *at =
		    argument != NULL ? argument->node : place->inside->template->input_parameters[i].node;
		const char *text = argo_parameter_value(analysis, place->inside, i);
		if (text == NULL && argument != NULL && argument->value != NULL)
			rc = argo_expand(analysis, place->scope, argument->value, &text, err);
		if (rc == 0)
			rc = pa_data_sets_scan(&collecting->sets, at, text, is_code(text), err);
	}
	return rc;
}

static int scan_command(struct collecting *collecting, const struct pa_node *at, const char **texts,
                        size_t count, bool *code_next, struct pa_error *err)
{
	struct argo_instance *instance = collecting->task->place->inside;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		const char *text = texts[i];
		bool code = *code_next || is_code(text);
		*code_next = pa_data_sets_announces_code(text);
		/* Values that are put into code are found where the values are. */
		if (!code)
			rc = argo_expand(collecting->analysis, instance, text, &text, err);
		if (rc == 0)
			rc = pa_data_sets_scan(&collecting->sets, at, text, code, err);
	}
	return rc;
}

static int scan_container(struct collecting *collecting, const struct pa_container *container,
                          struct pa_error *err)
{
	struct argo_instance *instance = collecting->task->place->inside;
	const struct pa_node *at =
	    container->node != NULL ? container->node : collecting->task->place->call->node;
	bool code_next = false;
	int rc = scan_command(collecting, at, container->command, container->command_count, &code_next, err);

	if (rc == 0)
		rc = scan_command(collecting, at, container->args, container->arg_count, &code_next, err);
	for (size_t i = 0; i < container->env_count && rc == 0; i++) {
		const struct pa_environment *variable = &container->env[i];
		const char *text = variable->value;
		if (text == NULL)
			continue;
		rc = argo_expand(collecting->analysis, instance, text, &text, err);
		if (rc == 0)
			rc = pa_data_sets_scan(&collecting->sets, variable->node, text, is_code(text), err);
	}
	if (rc == 0)
		rc = pa_data_sets_scan(&collecting->sets, at, container->source, true, err);
	return rc;
}

static int scan_containers(struct collecting *collecting, struct pa_error *err)
{
	const struct pa_template *template = collecting->task->place->inside->template;
	int rc = scan_container(collecting, &template->container, err);

	for (size_t i = 0; i < template->init_container_count && rc == 0; i++)
		rc = scan_container(collecting, &template->init_containers[i], err);
	for (size_t i = 0; i < template->sidecar_count && rc == 0; i++)
		rc = scan_container(collecting, &template->sidecars[i], err);
	if (rc == 0)
		rc = pa_data_sets_scan(&collecting->sets, template->node, template->resource_manifest, true,
		                       err);
	return rc;
}

/* The name under which all mounts of a claim meet, also where only a run knows what it is called. */
static const char *claim_id(struct collecting *collecting, const struct pa_task_mount *mount,
                            const struct pa_volume *volume)
{
	struct argo_analysis *analysis = collecting->analysis;
	struct pa_arena *arena = analysis->findings.budget.arena;

	if (mount->claim != NULL)
		return pa_arena_printf(arena, "claim:%s", mount->claim);
	if (mount->created_by != NULL) {
		const struct argo_task *creator =
		    &analysis->tasks[pa_name_table_get(analysis->task_index, mount->created_by)];
		if (creator->claim_name != NULL)
			return pa_arena_printf(arena, "claim:%s", creator->claim_name);
		return pa_arena_printf(arena, "claim:{{tasks.%s}}", mount->created_by);
	}
	/* Argo names the claims that it makes for a run so. */
	if (volume != NULL && volume->from_claim_template)
		return pa_arena_printf(arena, "claim:{{workflow.name}}-%s", volume->name);
	return NULL;
}

/* A folder that an NFS server exports. */
static int note_export(struct collecting *collecting, const struct pa_volume *volume,
                       const struct pa_task_mount *mount, struct pa_error *err)
{
	const struct pa_node *export = pa_node_get(volume->node, "nfs");
	const char *server = pa_node_text(pa_node_get(export, "server"));
	const char *path = pa_node_text(pa_node_get(export, "path"));

	if (server == NULL || path == NULL)
		return 0;
	const char *uri = pa_arena_printf(collecting->analysis->findings.budget.arena, "nfs://%s%s%s", server,
	                                  *path == '/' ? "" : "/", path);
	int rc =
	    pa_data_sets_note_uri(&collecting->sets, volume->node, uri, PA_CONFIDENCE_DECLARED, false, err);
	if (rc == 0 && !mount->read_only)
		rc = pa_data_sets_note_uri(&collecting->sets, volume->node, uri, PA_CONFIDENCE_DECLARED, true,
		                           err);
	return rc;
}

static int collect_claims(struct collecting *collecting, struct pa_error *err)
{
	struct pa_task *model = collecting->model;
	int rc = 0;

	for (size_t i = 0; i < model->mount_count && rc == 0; i++) {
		const struct pa_task_mount *mount = &model->mounts[i];
		const struct pa_volume *volume = collecting->task->mount_volumes[i];
		const char *id = claim_id(collecting, mount, volume);
		bool scratch = mount->created_by != NULL || (volume != NULL && volume->from_claim_template);
		if (volume != NULL && strcmp(volume->kind, "nfs") == 0)
			rc = note_export(collecting, volume, mount, err);
		if (id != NULL && rc == 0)
			rc = pa_data_sets_note(&collecting->sets, volume->node, id, "directory", true,
			                       !mount->read_only, scratch, err);
	}
	return rc;
}

/* Claims that the pods of a resource mount.  Recursion ends at PA_NODE_MAX_DEPTH. */
static int note_claims_in(struct collecting *collecting, const struct pa_node *node, struct pa_error *err)
{
	const struct pa_node *claim = pa_node_get(node, "persistentVolumeClaim");
	const char *name = argo_manifest_text(collecting->analysis, pa_node_get(claim, "claimName"));
	int rc = 0;

	if (name != NULL)
		rc = pa_data_sets_note(
		    &collecting->sets, collecting->task->place->inside->template->node,
		    pa_arena_printf(collecting->analysis->findings.budget.arena, "claim:%s", name),
		    "directory", true, !pa_node_is_true(pa_node_get(claim, "readOnly")), false, err);
	for (uint32_t i = 0; node->kind != PA_NODE_SCALAR && i < node->count && rc == 0; i++)
		rc = note_claims_in(collecting,
		                    node->kind == PA_NODE_SEQUENCE ? node->items[i] : node->entries[i].value,
		                    err);
	return rc;
}

static int collect_manifest(struct collecting *collecting, struct pa_error *err)
{
	struct argo_instance *instance = collecting->task->place->inside;
	const char *text = instance->template == NULL ? NULL : instance->template->resource_manifest;
	struct pa_document *documents;
	size_t count;

	if (text == NULL || strstr(text, "claimName") == NULL)
		return 0;
	int rc = argo_read_manifest(collecting->analysis, instance, &documents, &count, err);
	for (size_t i = 0; i < count && rc == 0; i++) {
		if (documents[i].root != NULL)
			rc = note_claims_in(collecting, documents[i].root, err);
	}
	return rc;
}

static int collect_task(struct collecting *collecting, struct pa_error *err)
{
	pa_data_sets_begin(&collecting->sets, collecting->model);
	int rc = collect_claims(collecting, err);
	if (rc == 0)
		rc = collect_manifest(collecting, err);
	if (rc == 0)
		rc = scan_declared(collecting, err);
	if (rc == 0)
		rc = scan_parameters(collecting, err);
	if (rc == 0 && collecting->task->place->inside->template != NULL)
		rc = scan_containers(collecting, err);
	if (rc == 0 && collecting->task->place->inside->template != NULL)
		rc = scan_listed(collecting, err);
	return rc;
}

int argo_fill_data(struct argo_analysis *analysis, struct pa_error *err)
{
	struct collecting collecting = {.analysis = analysis};
	int rc = 0;

	pa_data_sets_init(&collecting.sets, &analysis->findings);
	for (size_t i = 0; i < analysis->task_count && rc == 0; i++) {
		collecting.model = &analysis->models[i];
		collecting.task = &analysis->tasks[i];
		rc = collect_task(&collecting, err);
	}
	pa_data_sets_finish(&collecting.sets, analysis->pipeline);
	return rc;
}
