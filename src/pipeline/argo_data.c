/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets: locations of artifacts, claims, and URIs found in values and code; who reads and writes them. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"
#include "pipeline/uri_internal.h"

struct data_entry {
	size_t read_capacity, written_capacity;
};

struct collecting {
	struct argo_analysis *analysis;
	struct pa_name_table index; /* ids of data sets */
	struct pa_data *data;
	struct data_entry *entries; /* parallel to data */
	size_t count, capacity, entry_capacity;

	/* the task at hand */
	struct pa_task *model;
	struct argo_task *task;
	struct pa_name_table seen; /* its URIs, to their index in model->data */
	size_t uri_capacity;
};

static int check(struct collecting *collecting, struct pa_error *err)
{
	return argo_budget_check(&collecting->analysis->budget, 0, collecting->task->place->call->node, err);
}

static void add_id(struct pa_arena *arena, const char ***ids, size_t *count, size_t *capacity, const char *id)
{
	/* Tasks come one after the other, so one that is there already is the last. */
	if (*count > 0 && (*ids)[*count - 1] == id)
		return;
	*ids = pa_arena_grow(arena, *ids, *count, capacity, sizeof(**ids));
	(*ids)[(*count)++] = id;
}

static int note_data(struct collecting *collecting, const char *id, const char *kind, bool read, bool written,
                     bool scratch, struct pa_error *err)
{
	struct pa_arena *arena = collecting->analysis->budget.arena;
	size_t index = pa_name_table_put(&collecting->index, id, collecting->count);

	if (index == SIZE_MAX) {
		index = collecting->count;
		collecting->data = pa_arena_grow(arena, collecting->data, collecting->count,
		                                 &collecting->capacity, sizeof(*collecting->data));
		collecting->entries =
		    pa_arena_grow(arena, collecting->entries, collecting->count, &collecting->entry_capacity,
		                  sizeof(*collecting->entries));
		collecting->data[index] = (struct pa_data){.id = id, .kind = kind};
		collecting->entries[index] = (struct data_entry){0};
		collecting->count++;
	}
	struct pa_data *data = &collecting->data[index];
	struct data_entry *entry = &collecting->entries[index];
	data->scratch = data->scratch || scratch;
	if (read)
		add_id(arena, &data->read_by, &data->read_count, &entry->read_capacity,
		       collecting->model->id);
	if (written)
		add_id(arena, &data->written_by, &data->written_count, &entry->written_capacity,
		       collecting->model->id);
	return check(collecting, err);
}

static int note_uri(struct collecting *collecting, const char *uri, enum pa_confidence confidence,
                    bool written, struct pa_error *err)
{
	struct pa_arena *arena = collecting->analysis->budget.arena;
	struct pa_task *model = collecting->model;
	size_t index = pa_name_table_put(&collecting->seen, uri, model->data_count);

	if (index == SIZE_MAX) {
		model->data = pa_arena_grow(arena, model->data, model->data_count, &collecting->uri_capacity,
		                            sizeof(*model->data));
		model->data[model->data_count++] = (struct pa_task_data){uri, confidence};
	} else if (confidence < model->data[index].confidence) {
		model->data[index].confidence = confidence;
	}
	return note_data(collecting, pa_arena_printf(arena, "uri:%s", uri), pa_uri_kind(uri), !written,
	                 written, false, err);
}

static int scan_text(struct collecting *collecting, const char *text, bool code, struct pa_error *err)
{
	struct pa_uri found;
	size_t offset = 0;
	int rc = 0;

	if (text == NULL)
		return 0;
	while (rc == 0 && pa_uri_next(text, code, &offset, &found)) {
		const char *uri =
		    pa_arena_strndup(collecting->analysis->budget.arena, found.text, found.bytes);
		rc = note_uri(collecting, uri, code ? PA_CONFIDENCE_EMBEDDED : PA_CONFIDENCE_ARGUMENT, false,
		              err);
	}
	return rc;
}

static int scan_declared(struct collecting *collecting, struct pa_error *err)
{
	const struct pa_template *template = collecting->task->place->inside->template;
	struct pa_task *model = collecting->model;
	int rc = 0;

	for (size_t i = 0; i < model->input_count; i++) {
		for (size_t j = 0; j < model->inputs[i].origin_count && rc == 0; j++) {
			if (model->inputs[i].origins[j].kind == PA_ORIGIN_URI)
				rc = note_uri(collecting, model->inputs[i].origins[j].text,
				              PA_CONFIDENCE_DECLARED, false, err);
		}
	}
	for (size_t i = 0; template != NULL && i < template->output_artifact_count && rc == 0; i++) {
		const char *uri = template->output_artifacts[i].uri;
		if (uri == NULL)
			continue;
		rc = argo_expand(collecting->analysis, collecting->task->place->inside, uri, &uri, err);
		if (rc == 0)
			rc = note_uri(collecting, uri, PA_CONFIDENCE_DECLARED, true, err);
	}
	return rc;
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
				rc = scan_text(collecting, text, false, err);
		}
		return rc;
	}
	for (size_t i = 0; i < place->inside->template->input_parameter_count && rc == 0; i++) {
		const struct pa_parameter *argument = place->inside->arguments[i];
		const char *text = argo_parameter_value(analysis, place->inside, i);
		if (text == NULL && argument != NULL && argument->value != NULL)
			rc = argo_expand(analysis, place->scope, argument->value, &text, err);
		if (rc == 0)
			rc = scan_text(collecting, text, text != NULL && strchr(text, '\n') != NULL, err);
	}
	return rc;
}

/* "-c", "-ec": what follows is code for the shell or interpreter. */
static bool announces_code(const char *text)
{
	size_t length = strlen(text);

	return length >= 2 && length <= 4 && text[0] == '-' && text[1] != '-' && text[length - 1] == 'c';
}

static int scan_command(struct collecting *collecting, const char **texts, size_t count, bool *code_next,
                        struct pa_error *err)
{
	struct argo_instance *instance = collecting->task->place->inside;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		const char *text = texts[i];
		bool code = *code_next || strchr(text, '\n') != NULL;
		*code_next = announces_code(text);
		/* Values that are put into code are found where the values are. */
		if (!code)
			rc = argo_expand(collecting->analysis, instance, text, &text, err);
		if (rc == 0)
			rc = scan_text(collecting, text, code, err);
	}
	return rc;
}

static int scan_container(struct collecting *collecting, const struct pa_container *container,
                          struct pa_error *err)
{
	struct argo_instance *instance = collecting->task->place->inside;
	bool code_next = false;
	int rc = scan_command(collecting, container->command, container->command_count, &code_next, err);

	if (rc == 0)
		rc = scan_command(collecting, container->args, container->arg_count, &code_next, err);
	for (size_t i = 0; i < container->env_count && rc == 0; i++) {
		const char *text = container->env[i].value;
		if (text == NULL)
			continue;
		rc = argo_expand(collecting->analysis, instance, text, &text, err);
		if (rc == 0)
			rc = scan_text(collecting, text, strchr(text, '\n') != NULL, err);
	}
	if (rc == 0)
		rc = scan_text(collecting, container->source, true, err);
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
		rc = scan_text(collecting, template->resource_manifest, true, err);
	return rc;
}

/* The name under which all mounts of a claim meet, also where only a run knows what it is called. */
static const char *claim_id(struct collecting *collecting, const struct pa_task_mount *mount,
                            const struct pa_volume *volume)
{
	struct argo_analysis *analysis = collecting->analysis;
	struct pa_arena *arena = analysis->budget.arena;

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

static int collect_claims(struct collecting *collecting, struct pa_error *err)
{
	struct pa_task *model = collecting->model;
	int rc = 0;

	for (size_t i = 0; i < model->mount_count && rc == 0; i++) {
		const struct pa_task_mount *mount = &model->mounts[i];
		const struct pa_volume *volume = collecting->task->mount_volumes[i];
		const char *id = claim_id(collecting, mount, volume);
		bool scratch = mount->created_by != NULL || (volume != NULL && volume->from_claim_template);
		if (id != NULL)
			rc = note_data(collecting, id, "directory", true, !mount->read_only, scratch, err);
	}
	return rc;
}

static int collect_task(struct collecting *collecting, struct pa_error *err)
{
	int rc = collect_claims(collecting, err);

	pa_name_table_init(&collecting->seen, collecting->analysis->budget.arena);
	collecting->uri_capacity = 0;
	if (rc == 0)
		rc = scan_declared(collecting, err);
	if (rc == 0)
		rc = scan_parameters(collecting, err);
	if (rc == 0 && collecting->task->place->inside->template != NULL)
		rc = scan_containers(collecting, err);
	return rc;
}

int argo_fill_data(struct argo_analysis *analysis, struct pa_error *err)
{
	struct collecting collecting = {.analysis = analysis};
	int rc = 0;

	pa_name_table_init(&collecting.index, analysis->budget.arena);
	for (size_t i = 0; i < analysis->task_count && rc == 0; i++) {
		collecting.model = &analysis->models[i];
		collecting.task = &analysis->tasks[i];
		rc = collect_task(&collecting, err);
	}
	analysis->pipeline->data = collecting.data;
	analysis->pipeline->data_count = collecting.count;
	return rc;
}
