/* SPDX-License-Identifier: Apache-2.0 */
/* The leaves of a Workflow: texts, parameters, artifacts, containers, volumes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_read_internal.h"

static const char *kind_words(const struct pa_node *node)
{
	if (node->kind == PA_NODE_SCALAR)
		return "a text";
	return node->kind == PA_NODE_SEQUENCE ? "a list" : "a map";
}

int argo_read_text(const struct pa_node *parent, const char *key, const char **ret, struct pa_error *err)
{
	const struct pa_node *node = pa_node_get(parent, key);

	if (!pa_node_is_null(node) && node->kind != PA_NODE_SCALAR)
		return pa_node_error(node, err, "'%s' is %s; write a text there", key, kind_words(node));
	*ret = pa_node_text(node);
	return 0;
}

int argo_read_value(struct argo_reader *reader, const struct pa_node *parent, const char *key,
                    const char **ret, struct pa_error *err)
{
	const struct pa_node *node = pa_node_get(parent, key);

	if (pa_node_is_null(node) || node->kind == PA_NODE_SCALAR) {
		*ret = pa_node_text(node);
		return 0;
	}
	int rc = pa_budget_check(&reader->budget, 0, node, err);
	if (rc < 0)
		return rc;
	const char *text = pa_node_to_json(reader->budget.arena, node);
	if (text == NULL)
		return pa_node_error(node, err,
		                     "'%s' is too long once its aliases are written out; shorten it", key);
	*ret = text;
	return 0;
}

int argo_read_integer(const struct pa_node *parent, const char *key, int64_t *ret, struct pa_error *err)
{
	const char *text = NULL;
	char *end;
	int rc = argo_read_text(parent, key, &text, err);

	if (rc < 0)
		return rc;
	*ret = 0;
	/* A `{{…}}` has no value before the run. */
	if (text == NULL || strstr(text, "{{") != NULL)
		return 0;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0')
		return pa_node_error(pa_node_get(parent, key), err, "'%s' is '%.60s'; write a whole number",
		                     key, text);
	*ret = number;
	return 0;
}

int argo_read_list(struct argo_reader *reader, const struct pa_node *node, const char *what, size_t size,
                   size_t *ret_count, struct pa_error *err)
{
	*ret_count = 0;
	if (pa_node_is_null(node))
		return 0;
	if (!pa_node_is_sequence(node))
		return pa_node_error(node, err, "'%s' is %s; write a list there", what, kind_words(node));
	int rc = pa_budget_check(&reader->budget, node->count * size, node, err);
	if (rc == 0)
		*ret_count = node->count;
	return rc;
}

int argo_read_mapping(const struct pa_node *parent, const char *key, const struct pa_node **ret,
                      struct pa_error *err)
{
	const struct pa_node *node = pa_node_get(parent, key);

	*ret = NULL;
	if (pa_node_is_null(node))
		return 0;
	if (!pa_node_is_mapping(node))
		return pa_node_error(node, err, "'%s' is %s; write a map there", key, kind_words(node));
	*ret = node;
	return 0;
}

int argo_read_texts(struct argo_reader *reader, const struct pa_node *parent, const char *key,
                    const char ***ret, size_t *ret_count, struct pa_error *err)
{
	const struct pa_node *list = pa_node_get(parent, key);
	size_t count;
	int rc = argo_read_list(reader, list, key, sizeof(char *), &count, err);

	if (rc < 0)
		return rc;
	const char **texts = pa_arena_array(reader->budget.arena, count, sizeof(*texts));
	for (size_t i = 0; i < count; i++) {
		if (list->items[i]->kind != PA_NODE_SCALAR)
			return pa_node_error(list->items[i], err, "an item of '%s' is %s; write a text there",
			                     key, kind_words(list->items[i]));
		texts[i] = list->items[i]->text;
	}
	*ret = texts;
	*ret_count = count;
	return 0;
}

int argo_check_path(const struct pa_node *at, const char *path, struct pa_error *err)
{
	const char *part = path;

	while (part != NULL) {
		size_t length = strcspn(part, "/");
		if (length == 2 && strncmp(part, "..", 2) == 0)
			return pa_node_error(at, err, "the path '%.200s' holds '..'; write it without", path);
		part = part[length] == '/' ? part + length + 1 : NULL;
	}
	return 0;
}

/* An item of a list of named things: a map that has a name. */
static int read_named(const struct pa_node *node, const char *what, const char **ret_name,
                      struct pa_error *err)
{
	if (!pa_node_is_mapping(node))
		return pa_node_error(node, err, "%s is %s; write a map with a name there", what,
		                     kind_words(node));
	int rc = argo_read_text(node, "name", ret_name, err);
	if (rc == 0 && *ret_name == NULL)
		return pa_node_error(node, err, "%s has no name; give it one", what);
	return rc;
}

static int read_value_from(const struct pa_node *node, struct pa_parameter *parameter, struct pa_error *err)
{
	const struct pa_node *from;
	int rc = argo_read_mapping(node, "valueFrom", &from, err);

	if (rc == 0)
		rc = argo_read_text(from, "path", &parameter->from_path, err);
	if (rc == 0)
		rc = argo_read_text(from, "parameter", &parameter->from_parameter, err);
	if (rc == 0)
		rc = argo_read_text(from, "expression", &parameter->from_expression, err);
	if (rc == 0)
		rc = argo_read_text(from, "jsonPath", &parameter->from_json_path, err);
	if (rc == 0)
		rc = argo_read_text(from, "default", &parameter->from_default, err);
	if (rc == 0 && parameter->from_path != NULL)
		rc = argo_check_path(pa_node_get(from, "path"), parameter->from_path, err);
	return rc;
}

int argo_read_parameters(struct argo_reader *reader, const struct pa_node *list, struct pa_parameter **ret,
                         size_t *ret_count, struct pa_error *err)
{
	size_t count;
	int rc = argo_read_list(reader, list, "parameters", sizeof(struct pa_parameter), &count, err);

	if (rc < 0)
		return rc;
	struct pa_parameter *parameters = pa_arena_array(reader->budget.arena, count, sizeof(*parameters));
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct pa_parameter *parameter = &parameters[i];
		parameter->node = list->items[i];
		rc = read_named(parameter->node, "a parameter", &parameter->name, err);
		if (rc == 0)
			rc = argo_read_value(reader, parameter->node, "value", &parameter->value, err);
		if (rc == 0 && parameter->value == NULL)
			rc = argo_read_value(reader, parameter->node, "default", &parameter->value, err);
		if (rc == 0)
			rc = argo_read_text(parameter->node, "globalName", &parameter->global_name, err);
		if (rc == 0)
			rc = read_value_from(parameter->node, parameter, err);
	}
	if (rc < 0)
		return rc;
	*ret = parameters;
	*ret_count = count;
	return 0;
}

int argo_read_artifact(struct argo_reader *reader, const struct pa_node *node, struct pa_artifact *artifact,
                       struct pa_error *err)
{
	const struct pa_node *raw = NULL;
	int rc = read_named(node, "an artifact", &artifact->name, err);

	artifact->node = node;
	if (rc == 0)
		rc = argo_read_text(node, "path", &artifact->path, err);
	if (rc == 0)
		rc = argo_read_text(node, "from", &artifact->from, err);
	if (rc == 0)
		rc = argo_read_text(node, "fromExpression", &artifact->from_expression, err);
	if (rc == 0)
		rc = argo_read_mapping(node, "raw", &raw, err);
	if (rc == 0)
		rc = argo_read_value(reader, raw, "data", &artifact->raw, err);
	if (rc == 0)
		rc = argo_read_text(node, "subPath", &artifact->sub_path, err);
	if (rc == 0)
		rc = argo_read_text(node, "globalName", &artifact->global_name, err);
	if (rc == 0 && artifact->path != NULL)
		rc = argo_check_path(pa_node_get(node, "path"), artifact->path, err);
	if (rc == 0 && artifact->sub_path != NULL)
		rc = argo_check_path(pa_node_get(node, "subPath"), artifact->sub_path, err);
	if (rc == 0)
		rc = pa_budget_check(&reader->budget, 0, node, err);
	if (rc < 0)
		return rc;
	if (artifact->from != NULL && strstr(artifact->from, "{{") == NULL)
		artifact->from = pa_arena_printf(reader->budget.arena, "{{%s}}", artifact->from);
	artifact->uri = argo_location_uri(reader, node);
	artifact->located = argo_names_store(node);
	artifact->optional = pa_node_is_true(pa_node_get(node, "optional"));
	return 0;
}

int argo_read_artifacts(struct argo_reader *reader, const struct pa_node *list, struct pa_artifact **ret,
                        size_t *ret_count, struct pa_error *err)
{
	size_t count;
	int rc = argo_read_list(reader, list, "artifacts", sizeof(struct pa_artifact), &count, err);

	if (rc < 0)
		return rc;
	struct pa_artifact *artifacts = pa_arena_array(reader->budget.arena, count, sizeof(*artifacts));
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = argo_read_artifact(reader, list->items[i], &artifacts[i], err);
	if (rc < 0)
		return rc;
	*ret = artifacts;
	*ret_count = count;
	return 0;
}

static int read_environment(struct argo_reader *reader, const struct pa_node *node,
                            struct pa_container *container, struct pa_error *err)
{
	const struct pa_node *list = pa_node_get(node, "env");
	size_t count;
	int rc = argo_read_list(reader, list, "env", sizeof(struct pa_environment), &count, err);

	if (rc < 0)
		return rc;
	container->env = pa_arena_array(reader->budget.arena, count, sizeof(*container->env));
	container->env_count = count;
	container->env_from = pa_node_get(node, "envFrom");
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct pa_environment *variable = &container->env[i];
		variable->node = list->items[i];
		rc = read_named(variable->node, "an environment variable", &variable->name, err);
		if (rc == 0)
			rc = argo_read_value(reader, variable->node, "value", &variable->value, err);
		variable->value_from = pa_node_get(variable->node, "valueFrom");
	}
	return rc;
}

static int read_mounts(struct argo_reader *reader, const struct pa_node *node, struct pa_container *container,
                       struct pa_error *err)
{
	const struct pa_node *list = pa_node_get(node, "volumeMounts");
	size_t count;
	int rc = argo_read_list(reader, list, "volumeMounts", sizeof(struct pa_volume_mount), &count, err);

	if (rc < 0)
		return rc;
	container->mounts = pa_arena_array(reader->budget.arena, count, sizeof(*container->mounts));
	container->mount_count = count;
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct pa_volume_mount *mount = &container->mounts[i];
		mount->node = list->items[i];
		rc = read_named(mount->node, "a volume mount", &mount->volume, err);
		if (rc == 0)
			rc = argo_read_text(mount->node, "mountPath", &mount->path, err);
		if (rc == 0)
			rc = argo_read_text(mount->node, "subPath", &mount->sub_path, err);
		if (rc == 0 && mount->path == NULL)
			rc = pa_node_error(mount->node, err, "a volume mount has no mountPath; give it one");
		if (rc == 0 && mount->sub_path != NULL)
			rc = argo_check_path(pa_node_get(mount->node, "subPath"), mount->sub_path, err);
		mount->read_only = pa_node_is_true(pa_node_get(mount->node, "readOnly"));
	}
	return rc;
}

int argo_read_container(struct argo_reader *reader, const struct pa_node *node, struct pa_container *ret,
                        struct pa_error *err)
{
	if (!pa_node_is_mapping(node))
		return pa_node_error(node, err, "a container is %s; write a map there", kind_words(node));
	ret->node = node;
	int rc = argo_read_text(node, "name", &ret->name, err);
	if (rc == 0)
		rc = argo_read_text(node, "image", &ret->image, err);
	if (rc == 0)
		rc = argo_read_texts(reader, node, "command", &ret->command, &ret->command_count, err);
	if (rc == 0)
		rc = argo_read_texts(reader, node, "args", &ret->args, &ret->arg_count, err);
	if (rc == 0)
		rc = argo_read_text(node, "workingDir", &ret->working_dir, err);
	if (rc == 0)
		rc = argo_read_text(node, "source", &ret->source, err);
	if (rc == 0)
		rc = read_environment(reader, node, ret, err);
	if (rc == 0)
		rc = read_mounts(reader, node, ret, err);
	return rc;
}

int argo_read_containers(struct argo_reader *reader, const struct pa_node *list, struct pa_container **ret,
                         size_t *ret_count, struct pa_error *err)
{
	size_t count;
	int rc = argo_read_list(reader, list, "containers", sizeof(struct pa_container), &count, err);

	if (rc < 0)
		return rc;
	struct pa_container *containers = pa_arena_array(reader->budget.arena, count, sizeof(*containers));
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = argo_read_container(reader, list->items[i], &containers[i], err);
	if (rc < 0)
		return rc;
	*ret = containers;
	*ret_count = count;
	return 0;
}

static int read_volume(struct pa_volume *volume, struct pa_error *err)
{
	static const struct {
		const char *key;
		const char *kind;
	} kinds[] = {
	    {"persistentVolumeClaim", "pvc"},
	    {"configMap", "config"},
	    {"secret", "secret"},
	    {"emptyDir", "empty"},
	    {"hostPath", "host"},
	    {"nfs", "nfs"},
	    {"projected", "projected"},
	    {"downwardAPI", "downward"},
	    {"csi", "csi"},
	    {"ephemeral", "ephemeral"},
	};
	int rc = read_named(volume->node, "a volume", &volume->name, err);

	if (rc < 0)
		return rc;
	volume->kind = "empty"; /* as Kubernetes has it where no source is given */
	for (uint32_t i = 0; i < volume->node->count; i++) {
		const char *key = volume->node->entries[i].key->text;
		if (strcmp(key, "name") == 0)
			continue;
		volume->kind = key;
		for (size_t j = 0; j < sizeof(kinds) / sizeof(kinds[0]); j++) {
			if (strcmp(key, kinds[j].key) == 0)
				volume->kind = kinds[j].kind;
		}
		break;
	}
	const struct pa_node *claim;
	rc = argo_read_mapping(volume->node, "persistentVolumeClaim", &claim, err);
	if (rc == 0)
		rc = argo_read_text(claim, "claimName", &volume->claim, err);
	volume->read_only = pa_node_is_true(pa_node_get(claim, "readOnly"));
	return rc;
}

int argo_read_volumes(struct argo_reader *reader, const struct pa_node *list,
                      const struct pa_node *claim_templates, struct pa_volume **ret, size_t *ret_count,
                      struct pa_error *err)
{
	size_t count, claim_count = 0;
	int rc = argo_read_list(reader, list, "volumes", sizeof(struct pa_volume), &count, err);

	if (rc == 0)
		rc = argo_read_list(reader, claim_templates, "volumeClaimTemplates", sizeof(struct pa_volume),
		                    &claim_count, err);
	if (rc < 0)
		return rc;
	struct pa_volume *volumes =
	    pa_arena_array(reader->budget.arena, count + claim_count, sizeof(*volumes));
	for (size_t i = 0; i < count && rc == 0; i++) {
		volumes[i].node = list->items[i];
		rc = read_volume(&volumes[i], err);
	}
	for (size_t i = 0; i < claim_count && rc == 0; i++) {
		struct pa_volume *volume = &volumes[count + i];
		volume->node = claim_templates->items[i];
		volume->kind = "pvc";
		volume->from_claim_template = true;
		rc = read_named(pa_node_get(volume->node, "metadata") == NULL
		                    ? volume->node
		                    : pa_node_get(volume->node, "metadata"),
		                "a volumeClaimTemplate", &volume->name, err);
	}
	if (rc < 0)
		return rc;
	*ret = volumes;
	*ret_count = count + claim_count;
	return 0;
}
