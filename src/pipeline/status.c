/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/status.h"

#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/name_table_internal.h"
#include "pipeline/node_name_internal.h"
#include "pipeline/status_internal.h"

#define POD_NAME_FORMAT       "workflows.argoproj.io/pod-name-format"
#define POD_NAME_PREFIX_BYTES 242 /* of WORKFLOW-TEMPLATE before the hash */

struct reader {
	struct pa_arena *arena;
	const struct pa_pipeline *pipeline;
	const struct pa_node *list; /* the mapping of nodes */
	struct pa_status *status;
	struct pa_name_table index; /* ids of nodes */
	bool kfp_v2;
	bool pods_have_templates; /* in their names */
};

static const char *text_of(const struct pa_node *parent, const char *key)
{
	const char *text = pa_node_text(pa_node_get(parent, key));

	return text == NULL ? "" : text;
}

static bool is_driver_template(const char *template_name)
{
	return strncmp(template_name, "system-", 7) == 0 && strstr(template_name, "driver") != NULL;
}

/* Whether a node's name, without a turn or an attempt behind it, ends so. */
static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	if (length > 0 && text[length - 1] == ')' && strrchr(text, '(') != NULL)
		length = (size_t)(strrchr(text, '(') - text);
	return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

static void read_parameters(struct reader *reader, const struct pa_node *list,
                            const struct pa_name_value **ret, size_t *ret_count)
{
	if (!pa_node_is_sequence(list))
		return;
	struct pa_name_value *values = pa_arena_array(reader->arena, list->count, sizeof(*values));
	size_t count = 0;
	for (uint32_t i = 0; i < list->count; i++) {
		const char *name = pa_node_text(pa_node_get(list->items[i], "name"));
		const char *value = pa_node_text(pa_node_get(list->items[i], "value"));
		if (name != NULL && value != NULL)
			values[count++] = (struct pa_name_value){.name = name, .value = value};
	}
	*ret = values;
	*ret_count = count;
}

static void read_fields(struct reader *reader, const char *id, const struct pa_node *from,
                        struct pa_status_node *node)
{
	const char *referred = pa_node_text(pa_node_path(from, "templateRef.template"));

	*node = (struct pa_status_node){.id = id,
	                                .name = text_of(from, "name"),
	                                .display_name = text_of(from, "displayName"),
	                                .type = text_of(from, "type"),
	                                .phase = text_of(from, "phase"),
	                                .template_name = text_of(from, "templateName"),
	                                .pod_name = "",
	                                .started = text_of(from, "startedAt"),
	                                .finished = text_of(from, "finishedAt"),
	                                .boundary = SIZE_MAX,
	                                .task_id = "",
	                                .instance = ""};
	if (node->template_name[0] == '\0' && referred != NULL)
		node->template_name = referred;
	read_parameters(reader, pa_node_path(from, "inputs.parameters"), &node->inputs, &node->input_count);
	read_parameters(reader, pa_node_path(from, "outputs.parameters"), &node->outputs,
	                &node->output_count);
}

static void link_node(struct reader *reader, const struct pa_node *from, struct pa_status_node *node)
{
	const struct pa_node *children = pa_node_get(from, "children");

	node->boundary = pa_name_table_get(&reader->index, text_of(from, "boundaryID"));
	if (!pa_node_is_sequence(children))
		return;
	size_t *indexes = pa_arena_array(reader->arena, children->count, sizeof(*indexes));
	for (uint32_t i = 0; i < children->count; i++) {
		const char *id = pa_node_text(children->items[i]);
		size_t child = id == NULL ? SIZE_MAX : pa_name_table_get(&reader->index, id);
		if (child != SIZE_MAX)
			indexes[node->child_count++] = child;
	}
	node->children = indexes;
}

static int read_nodes(struct reader *reader, struct pa_error *err)
{
	const struct pa_node *list = reader->list;
	struct pa_status *status = reader->status;

	if (!pa_node_is_mapping(list))
		return pa_node_error(list, err, "status.nodes must be a mapping of nodes by their ids");
	if (list->count > PA_STATUS_MAX_NODES)
		return pa_node_error(list, err, "status.nodes has more than the limit of %d nodes",
		                     PA_STATUS_MAX_NODES);
	status->nodes = pa_arena_array(reader->arena, list->count, sizeof(*status->nodes));
	for (uint32_t i = 0; i < list->count; i++) {
		const struct pa_node_entry *entry = &list->entries[i];
		if (!pa_node_is_mapping(entry->value))
			return pa_node_error(entry->value, err, "the node \"%.200s\" must be a mapping",
			                     entry->key->text);
		read_fields(reader, entry->key->text, entry->value, &status->nodes[i]);
		reader->kfp_v2 |= is_driver_template(status->nodes[i].template_name);
		pa_name_table_put(&reader->index, entry->key->text, i);
	}
	status->node_count = list->count;
	for (uint32_t i = 0; i < list->count; i++)
		link_node(reader, list->entries[i].value, &status->nodes[i]);
	return 0;
}

/* What a node's name adds to that of the template's node around it (NULL: to the workflow's). */
static const char *piece_of(const struct reader *reader, const struct pa_status_node *node)
{
	const char *around = reader->status->workflow_name;
	const char *name = node->name[0] != '\0' ? node->name : node->display_name;

	if (node->boundary != SIZE_MAX) {
		const struct pa_status_node *boundary = &reader->status->nodes[node->boundary];
		around = boundary->name[0] != '\0' ? boundary->name : boundary->display_name;
	}
	size_t length = strlen(around);
	if (strncmp(name, around, length) == 0 && strchr(".[(", name[length]) != NULL)
		return name + length;
	/* Without names there are display names, which leave the way out. */
	if (node->display_name[0] == '\0' || node->display_name[0] == '[')
		return node->display_name;
	return pa_arena_printf(reader->arena, ".%s", node->display_name);
}

static const char *join_groups(struct reader *reader, const struct node_name_answer *answer)
{
	size_t bytes = 0;

	for (size_t i = 0; i < answer->group_count; i++)
		bytes += answer->groups[i].bytes;
	char *text = pa_arena_alloc(reader->arena, bytes + 1);
	char *at = text;
	for (size_t i = 0; i < answer->group_count; i++) {
		memcpy(at, answer->groups[i].text, answer->groups[i].bytes);
		at += answer->groups[i].bytes;
	}
	return text;
}

static void keep_answer(struct reader *reader, struct pa_status_node *node,
                        const struct node_name_answer *answer)
{
	node->task = answer->task;
	node->instance = join_groups(reader, answer);
	if (answer->task != NULL)
		node->task_id = answer->task->id;
	else /* an entrypoint that runs something itself has its template's name */
		node->task_id =
		    answer->id[0] == '\0' ? node->template_name : pa_arena_strdup(reader->arena, answer->id);
}

static int find_task(struct reader *reader, struct pa_status_node *node, const struct pa_node *at,
                     struct pa_error *err)
{
	const char *pieces[PA_STATUS_MAX_DEPTH];
	size_t count = 0;
	struct node_name_answer answer;

	for (const struct pa_status_node *around = node;; around = &reader->status->nodes[around->boundary]) {
		if (count == PA_STATUS_MAX_DEPTH)
			return pa_node_error(
			    at, err, "the node \"%.200s\" is nested deeper than the limit of %d",
			    node->name[0] != '\0' ? node->name : node->id, PA_STATUS_MAX_DEPTH);
		count++;
		pieces[PA_STATUS_MAX_DEPTH - count] = piece_of(reader, around);
		if (around->boundary == SIZE_MAX)
			break;
	}
	const struct node_name_question question = {.pipeline = reader->pipeline,
	                                            .kfp_v2 = reader->kfp_v2,
	                                            .pieces = pieces + PA_STATUS_MAX_DEPTH - count,
	                                            .piece_count = count,
	                                            .template_name = node->template_name};
	node_name_answer(&question, &answer);
	keep_answer(reader, node, &answer);
	return 0;
}

/* Groups, retries and what was skipped are nodes too, but nothing works there. */
static bool is_at_work(const struct pa_status_node *node)
{
	static const char *const types[] = {"Pod", "HTTP", "Plugin", "Suspend"};
	const char *name = node->name[0] != '\0' ? node->name : node->display_name;

	/* A driver that is a task's only pod (for a volume claim) has the task's name. */
	if (is_driver_template(node->template_name) && ends_with(name, "-driver"))
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(node->type, types[i]) == 0)
			return true;
	}
	return false;
}

static const char *pod_name_of(const struct reader *reader, const struct pa_status_node *node)
{
	const char *workflow = reader->status->workflow_name;

	if (strcmp(node->type, "Pod") != 0)
		return "";
	if (!reader->pods_have_templates || strcmp(node->name, workflow) == 0)
		return node->id;
	const char *prefix = workflow;
	if (node->template_name[0] != '\0')
		prefix = pa_arena_printf(reader->arena, "%s-%s", workflow, node->template_name);
	return pa_arena_printf(reader->arena, "%.*s-%u", POD_NAME_PREFIX_BYTES, prefix,
	                       node_name_hash(NODE_NAME_HASH_START, node->name, strlen(node->name)));
}

static int find_tasks(struct reader *reader, struct pa_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < reader->status->node_count && rc == 0; i++) {
		struct pa_status_node *node = &reader->status->nodes[i];
		node->runs = is_at_work(node);
		node->pod_name = pod_name_of(reader, node);
		rc = find_task(reader, node, reader->list->entries[i].value, err);
	}
	return rc;
}

/* The nodes, wherever they are; NULL in `reader->list`: there are none. */
static int find_list(struct reader *reader, const struct pa_node *from, struct pa_error *err)
{
	const struct pa_node *compressed = pa_node_get(from, "compressedNodes");
	const char *offloaded = text_of(from, "offloadNodeStatusVersion");

	const struct pa_node *nodes = pa_node_get(from, "nodes");

	if (!pa_node_is_null(nodes))
		reader->list = nodes;
	/* An empty mapping may stand beside what was moved out of it. */
	if (reader->list != NULL && (!pa_node_is_mapping(nodes) || nodes->count > 0))
		return 0;
	if (!pa_node_is_null(compressed) && (pa_node_text(compressed) == NULL || compressed->length > 0))
		return status_decompress(reader->arena, compressed, &reader->list, err);
	reader->status->offloaded = offloaded[0] != '\0';
	return 0;
}

int pa_status_read(struct pa_arena *arena, const struct pa_node *workflow, const struct pa_pipeline *pipeline,
                   struct pa_status *ret, struct pa_error *err)
{
	const struct pa_node *from = pa_node_get(workflow, "status");
	const struct pa_node *annotations = pa_node_path(workflow, "metadata.annotations");
	struct pa_status status = {.workflow_name = text_of(pa_node_get(workflow, "metadata"), "name"),
	                           .phase = text_of(from, "phase"),
	                           .started = text_of(from, "startedAt"),
	                           .finished = text_of(from, "finishedAt")};
	struct reader reader = {.arena = arena, .pipeline = pipeline, .status = &status};

	if (!pa_node_is_null(from) && !pa_node_is_mapping(from))
		return pa_node_error(from, err, "status must be a mapping");
	pa_name_table_init(&reader.index, arena);
	reader.kfp_v2 = pipeline != NULL && node_name_is_kfp_v2(pipeline);
	reader.pods_have_templates = strcmp(text_of(annotations, POD_NAME_FORMAT), "v2") == 0;
	int rc = find_list(&reader, from, err);
	if (rc == 0 && reader.list != NULL) {
		rc = read_nodes(&reader, err);
		if (rc == 0)
			rc = find_tasks(&reader, err);
	}
	if (rc == 0)
		*ret = status;
	return rc;
}
