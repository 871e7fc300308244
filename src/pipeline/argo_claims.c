/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts: from a container's volumeMounts to the claim behind each, through parameters and through the
 * tasks that create claims. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

struct mounting {
	struct argo_analysis *analysis;
	struct argo_task *task;
	struct pa_task *model;
	const struct pa_template *template;
	struct argo_instance *instance;
	struct pa_name_table volumes;        /* the template's, by name */
	const struct pa_name_table *outer;   /* the workflow's */
	const struct pa_name_table *created; /* names of claims that tasks create, to the task */
};

/* Whether a manifest makes a claim. */
static int look_for_claim(struct argo_analysis *analysis, struct argo_task *task, struct pa_error *err)
{
	const struct pa_template *template = task->place->inside->template;
	const char *action = template->resource_action;
	struct pa_document *documents;
	size_t count;

	if (template->resource_manifest == NULL || action == NULL ||
	    (strcmp(action, "create") != 0 && strcmp(action, "apply") != 0))
		return 0;
	if (strstr(template->resource_manifest, "PersistentVolumeClaim") == NULL)
		return 0;
	int rc = argo_read_manifest(analysis, task->place->inside, &documents, &count, err);
	if (rc < 0)
		return rc;
	if (count == 0)
		task->creates_claim =
		    strstr(template->resource_manifest, "kind: PersistentVolumeClaim") != NULL;
	for (size_t i = 0; i < count && !task->creates_claim; i++) {
		const char *kind = pa_node_text(pa_node_get(documents[i].root, "kind"));
		task->creates_claim = kind != NULL && strcmp(kind, "PersistentVolumeClaim") == 0;
		if (task->creates_claim)
			task->claim_name =
			    argo_manifest_text(analysis, pa_node_path(documents[i].root, "metadata.name"));
	}
	return 0;
}

static void use_creator(struct mounting *mounting, size_t creator, struct pa_task_mount *mount)
{
	const struct argo_task *task = &mounting->analysis->tasks[creator];

	mount->created_by = mounting->analysis->models[creator].id;
	if (argo_is_known(task->claim_name))
		mount->claim = task->claim_name;
}

/* Follows a claim's name through parameters to a value, or to the task that creates the claim. */
static int resolve_claim(struct mounting *mounting, const struct pa_volume *volume,
                         struct pa_task_mount *mount, struct pa_error *err)
{
	struct argo_analysis *analysis = mounting->analysis;
	struct argo_origins origins = {0};
	const char *name;

	if (volume->claim == NULL)
		return 0;
	int rc = argo_expand(analysis, mounting->instance, volume->claim, &name, err);
	if (rc < 0)
		return rc;
	if (argo_is_known(name))
		mount->claim = name;
	size_t creator = pa_name_table_get(mounting->created, name);
	if (creator != SIZE_MAX) {
		use_creator(mounting, creator, mount);
		return 0;
	}
	if (mount->claim != NULL)
		return 0;
	rc = argo_origins_of_text(analysis, mounting->instance, NULL, volume->claim, &origins, err);
	for (size_t i = 0; i < origins.count && rc == 0; i++) {
		creator = origins.items[i].task == NULL
		              ? SIZE_MAX
		              : pa_name_table_get(analysis->task_index, origins.items[i].task);
		if (creator != SIZE_MAX && analysis->tasks[creator].creates_claim) {
			use_creator(mounting, creator, mount);
			return 0;
		}
	}
	if (rc == 0)
		rc = pa_findings_unresolved(&analysis->findings, volume->node, err,
		                            "claim %s of the volume %s", name, volume->name);
	return rc;
}

static const struct pa_volume *find_volume(const struct mounting *mounting, const char *name)
{
	size_t index = pa_name_table_get(&mounting->volumes, name);

	if (index != SIZE_MAX)
		return &mounting->template->volumes[index];
	index = pa_name_table_get(mounting->outer, name);
	return index == SIZE_MAX ? NULL : &mounting->analysis->workflow->volumes[index];
}

static int add_mount(struct mounting *mounting, const struct pa_volume_mount *source, struct pa_error *err)
{
	struct pa_task *model = mounting->model;
	struct pa_task_mount mount = {.read_only = source->read_only, .kind = "unknown"};
	int rc = argo_expand(mounting->analysis, mounting->instance, source->path, &mount.path, err);

	if (rc == 0)
		rc = argo_expand(mounting->analysis, mounting->instance, source->volume, &mount.volume, err);
	if (rc == 0 && source->sub_path != NULL) {
		rc = argo_expand(mounting->analysis, mounting->instance, source->sub_path, &mount.sub_path,
		                 err);
		if (rc == 0)
			rc = argo_check_path(source->node, mount.sub_path, err);
	}
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < model->mount_count; i++) {
		const struct pa_task_mount *other = &model->mounts[i];
		bool same_sub_path = (other->sub_path == NULL && mount.sub_path == NULL) ||
		                     (other->sub_path != NULL && mount.sub_path != NULL &&
		                      strcmp(other->sub_path, mount.sub_path) == 0);
		/* Several containers of one pod mount the same. */
		if (same_sub_path && strcmp(other->path, mount.path) == 0 &&
		    strcmp(other->volume, mount.volume) == 0)
			return 0;
	}
	const struct pa_volume *volume = find_volume(mounting, mount.volume);
	if (volume == NULL) {
		rc = pa_findings_unresolved(&mounting->analysis->findings, source->node, err, "volume %s",
		                            mount.volume);
	} else {
		mount.kind = volume->kind;
		mount.read_only = mount.read_only || volume->read_only;
		rc = resolve_claim(mounting, volume, &mount, err);
	}
	mounting->task->mount_volumes[model->mount_count] = volume;
	model->mounts[model->mount_count++] = mount;
	return rc;
}

static int add_mounts(struct mounting *mounting, const struct pa_container *containers, size_t count,
                      struct pa_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < containers[i].mount_count && rc == 0; j++)
			rc = add_mount(mounting, &containers[i].mounts[j], err);
	}
	return rc;
}

static size_t count_mounts(const struct pa_container *containers, size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += containers[i].mount_count;
	return total;
}

static int fill_mounts_of(struct mounting *mounting, struct pa_error *err)
{
	const struct pa_template *template = mounting->template;
	struct pa_arena *arena = mounting->analysis->findings.budget.arena;
	size_t room = template->container.mount_count +
	              count_mounts(template->init_containers, template->init_container_count) +
	              count_mounts(template->sidecars, template->sidecar_count);

	if (room == 0)
		return 0;
	if (room > ARGO_MAX_MOUNTS)
		return pa_node_error(template->node, err,
		                     "'%.100s' has more than %d volume mounts; mount a folder above",
		                     mounting->model->template_name, ARGO_MAX_MOUNTS);
	int rc = pa_budget_check(&mounting->analysis->findings.budget, room * sizeof(struct pa_task_mount),
	                         template->node, err);
	if (rc < 0)
		return rc;
	mounting->model->mounts = pa_arena_array(arena, room, sizeof(*mounting->model->mounts));
	mounting->task->mount_volumes = pa_arena_array(arena, room, sizeof(*mounting->task->mount_volumes));
	pa_name_table_init(&mounting->volumes, arena);
	for (size_t i = 0; i < template->volume_count; i++)
		pa_name_table_put(&mounting->volumes, template->volumes[i].name, i);
	rc = add_mounts(mounting, &template->container, 1, err);
	if (rc == 0)
		rc = add_mounts(mounting, template->init_containers, template->init_container_count, err);
	if (rc == 0)
		rc = add_mounts(mounting, template->sidecars, template->sidecar_count, err);
	return rc;
}

int argo_fill_mounts(struct argo_analysis *analysis, struct pa_error *err)
{
	struct pa_arena *arena = analysis->findings.budget.arena;
	const struct pa_workflow *workflow = analysis->workflow;
	struct pa_name_table created, outer;
	int rc = 0;

	pa_name_table_init(&created, arena);
	pa_name_table_init(&outer, arena);
	for (size_t i = 0; i < workflow->volume_count; i++)
		pa_name_table_put(&outer, workflow->volumes[i].name, i);
	for (size_t i = 0; i < analysis->task_count && rc == 0; i++) {
		struct argo_task *task = &analysis->tasks[i];
		if (analysis->models[i].kind == PA_TASK_RESOURCE)
			rc = look_for_claim(analysis, task, err);
		if (task->claim_name != NULL)
			pa_name_table_put(&created, task->claim_name, i);
	}
	for (size_t i = 0; i < analysis->task_count && rc == 0; i++) {
		struct argo_instance *instance = analysis->tasks[i].place->inside;
		struct mounting mounting = {.analysis = analysis,
		                            .task = &analysis->tasks[i],
		                            .model = &analysis->models[i],
		                            .template = instance->template,
		                            .instance = instance,
		                            .outer = &outer,
		                            .created = &created};
		if (instance->template != NULL)
			rc = fill_mounts_of(&mounting, err);
	}
	return rc;
}
