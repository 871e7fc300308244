/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts: Kubernetes' configuration of an executor, with the claim behind each, through parameters and through the
 * tasks that create claims; and the run's workspace. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_analysis_internal.h"

/* Where the backend mounts the run's workspace, and the placeholder that becomes this path. */
#define WORKSPACE_PATH        "/kfp-workspace"
#define WORKSPACE_VOLUME      "kfp-workspace"
#define WORKSPACE_PLACEHOLDER "{{$.workspace_path}}"
#define SHARED_MEMORY_PATH    "/dev/shm"

struct mounting {
	struct ir_analysis *analysis;
	struct ir_task *task;
	struct pa_task *model;
	const struct pa_name_table *created; /* names of claims that tasks create, to the task */
	size_t capacity, node_capacity;
};

/* One list of the configuration. */
struct mount_list {
	const char *key;
	const char *kind;
	const char *name_key;      /* of what is mounted */
	const char *parameter_key; /* where its name comes from; NULL: nowhere else */
};

static const struct mount_list mount_lists[] = {
    {"secretAsVolume", "secret", "secretName", "secretNameParameter"},
    {"configMapAsVolume", "config", "configMapName", "configMapNameParameter"},
    {"emptyDirMounts", "empty", "volumeName", NULL},
    {"genericEphemeralVolume", "ephemeral", "volumeName", NULL},
};

static int add_mount(struct mounting *mounting, const struct pa_node *node, struct pa_task_mount mount,
                     struct pa_error *err)
{
	struct pa_arena *arena = mounting->analysis->budget->arena;
	struct pa_task *model = mounting->model;
	struct ir_task *task = mounting->task;
	const struct pa_node *at = node == NULL ? mounting->analysis->spec->node : node;

	if (model->mount_count == IR_MAX_MOUNTS)
		return pa_node_error(at, err, "'%.100s' has more than %d volume mounts; mount a folder above",
		                     model->template_name, IR_MAX_MOUNTS);
	model->mounts = pa_arena_grow(arena, model->mounts, model->mount_count, &mounting->capacity,
	                              sizeof(*model->mounts));
	task->mount_nodes = pa_arena_grow(arena, task->mount_nodes, model->mount_count,
	                                  &mounting->node_capacity, sizeof(*task->mount_nodes));
	task->mount_nodes[model->mount_count] = node;
	model->mounts[model->mount_count++] = mount;
	return pa_budget_check(mounting->analysis->budget, 0, at, err);
}

/* Every `..` would leave the claim. */
static int check_sub_path(const struct pa_node *at, const char *path, struct pa_error *err)
{
	for (const char *part = path; part != NULL; part = strchr(part, '/')) {
		part += *part == '/';
		if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
			return pa_node_error(at, err, "the path '%.200s' has a '..' in it; write it without",
			                     path);
	}
	return 0;
}

/* mountPath and subPath, filled in. */
static int read_paths(struct mounting *mounting, const struct pa_node *node, struct pa_task_mount *mount,
                      struct pa_error *err)
{
	struct ir_analysis *analysis = mounting->analysis;
	struct ir_place *place = mounting->task->place;

	if (!pa_node_is_mapping(node))
		return pa_node_error(node, err, "a mount must be a map with mountPath; correct the file");
	int rc = ir_read_text(node, "mountPath", &mount->path, err);
	if (rc == 0)
		rc = ir_read_text(node, "subPath", &mount->sub_path, err);
	if (rc < 0)
		return rc;
	if (mount->path == NULL)
		return pa_node_error(node, err, "a mount has no mountPath; add it");
	if (mount->sub_path != NULL && mount->sub_path[0] == '\0')
		mount->sub_path = NULL;
	rc = ir_fill(analysis, place, mount->path, &mount->path, err);
	if (rc == 0 && mount->sub_path != NULL)
		rc = ir_fill(analysis, place, mount->sub_path, &mount->sub_path, err);
	return rc < 0 ? rc : check_sub_path(node, mount->sub_path, err);
}

/* A claim is created by a task that its name comes from, or that gives a claim this very name. */
static int find_creator(struct mounting *mounting, const struct ir_argument *source,
                        struct pa_task_mount *mount, struct pa_error *err)
{
	struct ir_analysis *analysis = mounting->analysis;
	size_t creator = mount->claim == NULL ? SIZE_MAX : pa_name_table_get(mounting->created, mount->claim);
	struct ir_origins origins = {0};
	int rc = ir_argument_origins(analysis, mounting->task->place, source, &origins, err);

	for (size_t i = 0; i < origins.count && creator == SIZE_MAX; i++) {
		size_t task = origins.items[i].task == NULL
		                  ? SIZE_MAX
		                  : pa_name_table_get(analysis->task_index, origins.items[i].task);
		if (task != SIZE_MAX && analysis->tasks[task].creates_claim)
			creator = task;
	}
	if (rc < 0 || creator == SIZE_MAX)
		return rc;
	mount->created_by = analysis->models[creator].id;
	mount->claim = analysis->tasks[creator].claim_name;
	return 0;
}

/* Volumes have no names here: something to call this one by. */
static const char *volume_name(const struct pa_task_mount *mount, const struct ir_argument *source)
{
	if (mount->claim != NULL)
		return mount->claim;
	if (mount->created_by != NULL)
		return mount->created_by;
	return source->text != NULL ? source->text : "";
}

static int add_claim(struct mounting *mounting, const struct pa_node *node, struct pa_error *err)
{
	struct ir_analysis *analysis = mounting->analysis;
	struct pa_task_mount mount = {.kind = "pvc"};
	struct ir_argument source = {.node = node};
	const struct pa_node *parameter;
	int rc = read_paths(mounting, node, &mount, err);

	if (rc == 0)
		rc = ir_read_mapping(node, "pvcNameParameter", &parameter, err);
	if (rc == 0)
		rc = ir_read_parameter_source(analysis->budget, parameter != NULL ? parameter : node, &source,
		                              err);
	if (rc < 0)
		return rc;
	if (source.source == IR_NO_SOURCE) {
		source.source = IR_CONSTANT;
		rc = ir_read_text(node, "constant", &source.text, err);
	}
	if (rc < 0)
		return rc;
	struct ir_value value = ir_argument_value(analysis, mounting->task->place, &source);
	if (value.knowledge == IR_KNOWN && value.text[0] != '\0')
		mount.claim = value.text;
	rc = find_creator(mounting, &source, &mount, err);
	if (rc < 0)
		return rc;
	mount.volume = volume_name(&mount, &source);
	if (mount.claim == NULL && mount.created_by == NULL)
		rc = pa_findings_unresolved(analysis->findings, node, err, "claim %s of the mount %s",
		                            mount.volume, mount.path);
	return rc < 0 ? rc : add_mount(mounting, node, mount, err);
}

static int add_claims(struct mounting *mounting, struct pa_error *err)
{
	const struct pa_node *list;
	int rc = ir_read_sequence(mounting->task->platform, "pvcMount", &list, err);

	for (uint32_t i = 0; rc == 0 && list != NULL && i < list->count; i++)
		rc = add_claim(mounting, list->items[i], err);
	return rc;
}

static int add_other(struct mounting *mounting, const struct mount_list *list, const struct pa_node *node,
                     struct pa_error *err)
{
	struct pa_task_mount mount = {.kind = list->kind, .volume = ""};
	struct ir_argument source = {.node = node};
	const struct pa_node *parameter = NULL;
	const char *name;
	int rc = read_paths(mounting, node, &mount, err);

	if (rc == 0)
		rc = ir_read_text(node, list->name_key, &name, err);
	if (rc == 0 && list->parameter_key != NULL)
		rc = ir_read_mapping(node, list->parameter_key, &parameter, err);
	if (rc == 0 && parameter != NULL)
		rc = ir_read_parameter_source(mounting->analysis->budget, parameter, &source, err);
	if (rc < 0)
		return rc;
	if (parameter != NULL) {
		struct ir_value value = ir_argument_value(mounting->analysis, mounting->task->place, &source);
		/* The backend leaves out what an optional parameter does not name. */
		if (value.knowledge == IR_ABSENT)
			return 0;
		name = value.knowledge == IR_KNOWN ? value.text : source.text;
	}
	if (name != NULL)
		mount.volume = name;
	return add_mount(mounting, node, mount, err);
}

static int add_others(struct mounting *mounting, struct pa_error *err)
{
	const struct pa_node *list, *memory;
	int rc = 0;

	for (size_t kind = 0; kind < sizeof(mount_lists) / sizeof(mount_lists[0]) && rc == 0; kind++) {
		rc = ir_read_sequence(mounting->task->platform, mount_lists[kind].key, &list, err);
		for (uint32_t i = 0; rc == 0 && list != NULL && i < list->count; i++)
			rc = add_other(mounting, &mount_lists[kind], list->items[i], err);
	}
	if (rc == 0)
		rc = ir_read_mapping(mounting->task->platform, "enabledSharedMemory", &memory, err);
	if (rc < 0 || memory == NULL)
		return rc;
	struct pa_task_mount mount = {.path = SHARED_MEMORY_PATH, .kind = "empty", .volume = ""};
	const char *name;
	rc = ir_read_text(memory, "volumeName", &name, err);
	if (name != NULL)
		mount.volume = name;
	return rc < 0 ? rc : add_mount(mounting, memory, mount, err);
}

static bool names_workspace(const char *text)
{
	return text != NULL && strstr(text, WORKSPACE_PLACEHOLDER) != NULL;
}

static bool any_names_workspace(const char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (names_workspace(texts[i]))
			return true;
	}
	return false;
}

/* An artifact that an importer puts into the workspace is read there. */
static bool is_in_workspace(const struct ir_analysis *analysis, const struct pa_input *input)
{
	for (size_t i = 0; input->artifact && i < input->origin_count; i++) {
		size_t task = input->origins[i].task == NULL
		                  ? SIZE_MAX
		                  : pa_name_table_get(analysis->task_index, input->origins[i].task);
		if (task != SIZE_MAX && analysis->tasks[task].imports_to_workspace)
			return true;
	}
	return false;
}

/* Whether the backend mounts the workspace into the task: something that it is given names it. */
static bool uses_workspace(struct ir_analysis *analysis, struct ir_task *task, struct pa_task *model)
{
	struct ir_place *place = task->place;
	const struct pa_node *env = pa_node_get(ir_container(task), "env");

	if (task->imports_to_workspace || any_names_workspace(model->command, model->command_count) ||
	    any_names_workspace(model->args, model->arg_count))
		return true;
	for (uint32_t i = 0; pa_node_is_sequence(env) && i < env->count; i++) {
		if (names_workspace(pa_node_text(pa_node_get(env->items[i], "value"))))
			return true;
	}
	for (size_t i = 0; i < place->input_count; i++) {
		if (!place->inputs[i].artifact && names_workspace(ir_input_value(analysis, place, i)->text))
			return true;
	}
	for (size_t i = 0; i < model->input_count; i++) {
		if (is_in_workspace(analysis, &model->inputs[i]))
			return true;
	}
	return false;
}

static int fill_mounts_of(struct mounting *mounting, struct pa_error *err)
{
	int rc = 0;

	if (mounting->task->platform != NULL && !pa_node_is_mapping(mounting->task->platform))
		return pa_node_error(mounting->task->platform, err,
		                     "the configuration of an executor must be a map; correct the file");
	rc = add_claims(mounting, err);
	if (rc == 0)
		rc = add_others(mounting, err);
	if (rc == 0 && uses_workspace(mounting->analysis, mounting->task, mounting->model)) {
		struct pa_task_mount mount = {
		    .path = WORKSPACE_PATH, .kind = "pvc", .volume = WORKSPACE_VOLUME};
		rc = add_mount(mounting, NULL, mount, err);
	}
	return rc;
}

/* The value of a task's parameter, or NULL. */
static const char *known_input(struct ir_analysis *analysis, struct ir_place *place, const char *name)
{
	size_t input = ir_find_input(place, name, false);
	const struct ir_value *value = input == SIZE_MAX ? NULL : ir_input_value(analysis, place, input);

	return value != NULL && value->knowledge == IR_KNOWN && value->text[0] != '\0' ? value->text : NULL;
}

/* What a task makes that others mount or read: a claim, or artifacts in the workspace. */
static void look_for_products(struct ir_analysis *analysis, struct ir_task *task,
                              struct pa_name_table *created)
{
	const char *image = pa_node_text(pa_node_get(ir_container(task), "image"));
	size_t index = task->place->task;

	if (task->executor != NULL && task->executor->kind == IR_IMPORTER)
		task->imports_to_workspace =
		    pa_node_is_true(pa_node_get(task->executor->node, "downloadToWorkspace"));
	if (image == NULL || strcmp(image, IR_CREATE_CLAIM_IMAGE) != 0)
		return;
	task->creates_claim = true;
	/* Without a name of its own, and with a suffix, it gets one that only the run makes. */
	task->claim_name = known_input(analysis, task->place, "pvc_name");
	if (task->claim_name != NULL)
		pa_name_table_put(created, task->claim_name, index);
}

int ir_fill_mounts(struct ir_analysis *analysis, struct pa_error *err)
{
	struct pa_name_table created;
	int rc = 0;

	pa_name_table_init(&created, analysis->budget->arena);
	for (size_t i = 0; i < analysis->task_count; i++)
		look_for_products(analysis, &analysis->tasks[i], &created);
	for (size_t i = 0; i < analysis->task_count && rc == 0; i++) {
		struct mounting mounting = {.analysis = analysis,
		                            .task = &analysis->tasks[i],
		                            .model = &analysis->models[i],
		                            .created = &created};
		rc = fill_mounts_of(&mounting, err);
	}
	return rc;
}
