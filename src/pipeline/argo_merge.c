/* SPDX-License-Identifier: Apache-2.0 */
/* A Workflow and the WorkflowTemplate that it runs as one spec, and a template with its defaults.  Argo merges both the
 * way Kubernetes merges a patch: the own fields win, maps merge key by key, lists of named things name by name. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

#define REFERENCE_KEY        "workflowTemplateRef"
#define MAX_SEARCHED_ENTRIES 16u /* of a map that is searched without an index */

static int merge(const struct pa_budget *budget, const char *key, const struct pa_node *own,
                 const struct pa_node *base, const struct pa_node **ret, struct pa_error *err);

static struct pa_node *new_node(const struct pa_budget *budget, const struct pa_node *like)
{
	struct pa_node *node = pa_arena_alloc(budget->arena, sizeof(*node));

	*node = *like;
	node->count = 0;
	node->walk = 1;
	return node;
}

static void add_entry(struct pa_node *node, const struct pa_node *key, const struct pa_node *value)
{
	node->entries[node->count++] = (struct pa_node_entry){key, value};
	node->walk += key->walk + value->walk;
}

/* A map's entries by key; what is searched for every key of another map, which may be as large. */
struct entries {
	const struct pa_node *map;
	struct pa_name_table index; /* of large maps */
};

static void index_entries(const struct pa_budget *budget, const struct pa_node *map, struct entries *ret)
{
	*ret = (struct entries){.map = map};
	pa_name_table_init(&ret->index, budget->arena);
	for (uint32_t i = 0; map->count > MAX_SEARCHED_ENTRIES && i < map->count; i++)
		pa_name_table_put(&ret->index, map->entries[i].key->text, i);
}

static const struct pa_node *find_entry(const struct entries *entries, const char *key)
{
	if (entries->map->count <= MAX_SEARCHED_ENTRIES)
		return pa_node_get(entries->map, key);
	size_t at = pa_name_table_get(&entries->index, key);
	return at == SIZE_MAX ? NULL : entries->map->entries[at].value;
}

static int merge_maps(const struct pa_budget *budget, const struct pa_node *own, const struct pa_node *base,
                      const struct pa_node **ret, struct pa_error *err)
{
	size_t room = (size_t)own->count + base->count;
	int rc = pa_budget_check(budget, room * sizeof(struct pa_node_entry), own, err);

	if (rc < 0)
		return rc;
	struct pa_node *node = new_node(budget, own);
	struct entries own_entries, base_entries;
	index_entries(budget, own, &own_entries);
	index_entries(budget, base, &base_entries);
	node->entries = pa_arena_array(budget->arena, room, sizeof(*node->entries));
	for (uint32_t i = 0; i < base->count && rc == 0; i++) {
		const struct pa_node_entry *entry = &base->entries[i];
		const struct pa_node *value;
		if (strcmp(entry->key->text, REFERENCE_KEY) == 0)
			continue;
		rc = merge(budget, entry->key->text, find_entry(&own_entries, entry->key->text), entry->value,
		           &value, err);
		if (rc == 0)
			add_entry(node, entry->key, value);
	}
	for (uint32_t i = 0; i < own->count && rc == 0; i++) {
		const struct pa_node_entry *entry = &own->entries[i];
		if (strcmp(entry->key->text, REFERENCE_KEY) != 0 &&
		    find_entry(&base_entries, entry->key->text) == NULL)
			add_entry(node, entry->key, entry->value);
	}
	*ret = node;
	return rc;
}

/* What names the items of a list that Kubernetes merges item by item; NULL where it takes one list or the other. */
static const char *item_key(const char *list_key, const struct pa_node *list)
{
	static const struct {
		const char *list, *item;
	} keys[] = {
	    {"templates", "name"},      {"parameters", "name"}, {"artifacts", "name"},
	    {"volumes", "name"},        {"env", "name"},        {"volumeMounts", "mountPath"},
	    {"initContainers", "name"}, {"sidecars", "name"},
	};
	const char *found = NULL;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(list_key, keys[i].list) == 0)
			found = keys[i].item;
	}
	for (uint32_t i = 0; i < list->count && found != NULL; i++) {
		if (pa_node_text(pa_node_get(list->items[i], found)) == NULL)
			found = NULL;
	}
	return found;
}

static int merge_lists(const struct pa_budget *budget, const char *key, const struct pa_node *own,
                       const struct pa_node *base, const struct pa_node **ret, struct pa_error *err)
{
	size_t room = (size_t)own->count + base->count;
	struct pa_name_table own_names, base_names;
	int rc = pa_budget_check(budget, room * sizeof(*own->items), own, err);

	if (rc < 0)
		return rc;
	pa_name_table_init(&own_names, budget->arena);
	pa_name_table_init(&base_names, budget->arena);
	for (uint32_t i = 0; i < own->count; i++)
		pa_name_table_put(&own_names, pa_node_text(pa_node_get(own->items[i], key)), i);
	struct pa_node *node = new_node(budget, own);
	node->items = pa_arena_array(budget->arena, room, sizeof(*node->items));
	for (uint32_t i = 0; i < base->count && rc == 0; i++) {
		size_t same = pa_name_table_get(&own_names, pa_node_text(pa_node_get(base->items[i], key)));
		pa_name_table_put(&base_names, pa_node_text(pa_node_get(base->items[i], key)), i);
		rc = merge(budget, "", same == SIZE_MAX ? NULL : own->items[same], base->items[i],
		           &node->items[node->count], err);
		if (rc == 0)
			node->walk += node->items[node->count++]->walk;
	}
	for (uint32_t i = 0; i < own->count; i++) {
		if (pa_name_table_get(&base_names, pa_node_text(pa_node_get(own->items[i], key))) != SIZE_MAX)
			continue;
		node->walk += own->items[i]->walk;
		node->items[node->count++] = own->items[i];
	}
	*ret = node;
	return rc;
}

/* Recursion ends at PA_NODE_MAX_DEPTH. */
static int merge(const struct pa_budget *budget, const char *key, const struct pa_node *own,
                 const struct pa_node *base, const struct pa_node **ret, struct pa_error *err)
{
	if (pa_node_is_null(own) || pa_node_is_null(base)) {
		*ret = pa_node_is_null(own) ? base : own;
		return 0;
	}
	if (pa_node_is_mapping(own) && pa_node_is_mapping(base))
		return merge_maps(budget, own, base, ret, err);
	if (pa_node_is_sequence(own) && pa_node_is_sequence(base) && item_key(key, own) != NULL &&
	    item_key(key, base) != NULL)
		return merge_lists(budget, item_key(key, own), own, base, ret, err);
	*ret = own;
	return 0;
}

int argo_merge_nodes(const struct pa_budget *budget, const struct pa_node *own, const struct pa_node *base,
                     const struct pa_node **ret, struct pa_error *err)
{
	return merge(budget, "", own, base, ret, err);
}

static bool is_kind_key(const char *key)
{
	static const char *const keys[] = {"container", "script", "dag",    "steps", "resource",
	                                   "suspend",   "http",   "plugin", "data",  "containerSet"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(key, keys[i]) == 0)
			return true;
	}
	return false;
}

int argo_merge_defaults(const struct pa_budget *budget, const struct pa_node *node,
                        const struct pa_node *defaults, const struct pa_node **ret, struct pa_error *err)
{
	*ret = node;
	if (defaults == NULL)
		return 0;
	int rc = pa_budget_check(budget, defaults->count * sizeof(struct pa_node_entry), node, err);
	if (rc < 0)
		return rc;
	struct pa_node *base = new_node(budget, defaults);
	base->entries = pa_arena_array(budget->arena, defaults->count, sizeof(*base->entries));
	for (uint32_t i = 0; i < defaults->count; i++) {
		const struct pa_node_entry *entry = &defaults->entries[i];
		if (!is_kind_key(entry->key->text) || pa_node_get(node, entry->key->text) != NULL)
			add_entry(base, entry->key, entry->value);
	}
	return merge_maps(budget, node, base, ret, err);
}

/* What the reference stands for: the spec of the document that it names, or the copy that Argo left in the status;
 * NULL, and why. */
static int find_base(struct argo_analysis *analysis, const struct argo_known *known,
                     const struct pa_node **ret, const char **ret_why, struct pa_error *err)
{
	const struct pa_node *reference = known->workflow->template_ref;
	const char *name = pa_node_text(pa_node_get(reference, "name"));
	bool cluster = pa_node_is_true(pa_node_get(reference, "clusterScope"));

	*ret = NULL;
	*ret_why = "it has no name";
	if (name != NULL) {
		const struct argo_known *other = argo_library_find(
		    analysis->library, known->workflow,
		    cluster ? "ClusterWorkflowTemplate" : "WorkflowTemplate", name, ret_why);
		if (other != NULL)
			return argo_spec_of(other->root, ret, err);
	}
	const struct pa_node *stored = pa_node_path(known->root, "status.storedWorkflowTemplateSpec");
	if (pa_node_is_mapping(stored))
		*ret = stored;
	return 0;
}

int argo_merge_reference(struct argo_analysis *analysis, const struct argo_known *known,
                         struct pa_workflow **ret, const char **ret_why, struct pa_error *err)
{
	const struct pa_node *own, *base, *merged;

	*ret = known->workflow;
	*ret_why = NULL;
	if (known->workflow->template_ref == NULL)
		return 0;
	int rc = argo_spec_of(known->root, &own, err);
	if (rc == 0)
		rc = find_base(analysis, known, &base, ret_why, err);
	if (rc < 0 || base == NULL)
		return rc;
	rc = merge_maps(&analysis->findings.budget, own, base, &merged, err);
	if (rc == 0)
		rc = argo_read_with_spec(&analysis->reader, known->root, merged, known->document, ret, err);
	return rc;
}
