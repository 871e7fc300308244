/* SPDX-License-Identifier: Apache-2.0 */
/* Every Argo document of all texts, found by kind and name: what templateRef and workflowTemplateRef mean. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

void argo_library_init(struct argo_library *library, struct pa_arena *arena)
{
	*library = (struct argo_library){.arena = arena};
	pa_name_table_init(&library->index, arena);
}

static const char *index_key(const struct argo_library *library, const char *kind, const char *name)
{
	return pa_arena_printf(library->arena, "%s %s", kind, name);
}

size_t argo_library_add(struct argo_library *library, const struct pa_budget *budget,
                        const struct pa_document *document)
{
	const struct pa_node *root = document->root;
	struct argo_reader reader = {.budget = *budget,
	                             .template_number_count = &library->template_number_count};
	struct argo_known known = {.root = root, .document = document->index, .next = SIZE_MAX};
	const char *kind = pa_node_text(pa_node_get(root, "kind"));
	const char *name = pa_node_text(pa_node_path(root, "metadata.name"));
	struct pa_error err = PA_ERROR_INIT;

	known.name_space = pa_node_text(pa_node_path(root, "metadata.namespace"));
	if (argo_read_workflow(&reader, root, document->index, &known.workflow, &err) < 0)
		known.error = pa_arena_strdup(library->arena, err.message);
	library->known = pa_arena_grow(library->arena, library->known, library->count, &library->capacity,
	                               sizeof(*library->known));
	if (kind != NULL && name != NULL) {
		size_t first =
		    pa_name_table_put(&library->index, index_key(library, kind, name), library->count);
		if (first != SIZE_MAX) {
			known.next = library->known[first].next;
			library->known[first].next = library->count;
		}
	}
	library->known[library->count] = known;
	return library->count++;
}

static size_t folder_length(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash == NULL ? 0 : (size_t)(slash - file);
}

/* 2: in the same text, 1: in a file of the same folder, 0: elsewhere. */
static int nearness(const struct pa_node *from, const struct pa_node *other)
{
	size_t length = folder_length(from->file);

	if (strcmp(from->file, other->file) == 0)
		return 2;
	return folder_length(other->file) == length && strncmp(from->file, other->file, length) == 0;
}

const struct argo_known *argo_library_find(const struct argo_library *library, const struct pa_workflow *from,
                                           const char *kind, const char *name, const char **ret_why)
{
	size_t index = pa_name_table_get(&library->index, index_key(library, kind, name));
	const struct argo_known *best = NULL, *rival = NULL;
	int best_nearness = -1;

	for (; index != SIZE_MAX; index = library->known[index].next) {
		const struct argo_known *known = &library->known[index];
		bool elsewhere = strcmp(kind, "WorkflowTemplate") == 0 && known->name_space != NULL &&
		                 from->name_space != NULL && strcmp(known->name_space, from->name_space) != 0;
		int near = nearness(from->node, known->root);
		if (elsewhere || near < best_nearness)
			continue;
		rival = near == best_nearness ? known : NULL;
		best = near == best_nearness ? best : known;
		best_nearness = near;
	}
	*ret_why = NULL;
	if (best == NULL)
		*ret_why = pa_arena_printf(library->arena, "no %s of that name is in the files given", kind);
	else if (rival != NULL)
		*ret_why = pa_arena_printf(
		    library->arena, "%s:%u and %s:%u both define that %s; give one of them", best->root->file,
		    best->root->line, rival->root->file, rival->root->line, kind);
	else if (best->workflow == NULL)
		*ret_why = pa_arena_printf(library->arena, "the %s in %s:%u has an error", kind,
		                           best->root->file, best->root->line);
	return *ret_why == NULL ? best : NULL;
}

/* Templates run with the defaults of the workflow that runs them, whatever their own says. */
static int adopt(struct argo_analysis *analysis, const struct argo_known *known,
                 const struct pa_workflow **ret, struct pa_error *err)
{
	const struct pa_workflow *runs = analysis->workflow, *original = known->workflow;
	struct pa_workflow *adopted;

	*ret = original;
	if (runs->template_defaults == original->template_defaults &&
	    runs->default_retry == original->default_retry)
		return 0;
	struct pa_arena *arena = analysis->findings.budget.arena;
	const char *key = pa_arena_printf(arena, "%zu", (size_t)(known - analysis->library->known));
	size_t index = pa_name_table_get(&analysis->adopted_index, key);
	if (index == SIZE_MAX) {
		int rc = argo_read_adopted(&analysis->reader, original, &adopted, err);
		if (rc < 0)
			return rc;
		analysis->adopted = pa_arena_grow(arena, analysis->adopted, analysis->adopted_count,
		                                  &analysis->adopted_capacity, sizeof(*analysis->adopted));
		index = analysis->adopted_count++;
		analysis->adopted[index] = adopted;
		pa_name_table_put(&analysis->adopted_index, key, index);
	}
	*ret = analysis->adopted[index];
	return 0;
}

int argo_library_template(struct argo_analysis *analysis, const struct pa_workflow *from,
                          const struct argo_template_name *wanted, const struct pa_workflow **ret_home,
                          const struct pa_template **ret, const char **ret_why, struct pa_error *err)
{
	const char *kind = wanted->cluster ? "ClusterWorkflowTemplate" : "WorkflowTemplate";
	const struct argo_known *known;

	*ret = NULL;
	if (!argo_is_known(wanted->workflow) || !argo_is_known(wanted->template)) {
		*ret_why = "only a run knows which";
		return 0;
	}
	known = argo_library_find(analysis->library, from, kind, wanted->workflow, ret_why);
	if (known == NULL)
		return 0;
	int rc = adopt(analysis, known, ret_home, err);
	if (rc < 0)
		return rc;
	*ret = pa_workflow_find_template(*ret_home, wanted->template);
	if (*ret == NULL)
		*ret_why =
		    pa_arena_printf(analysis->findings.budget.arena, "the %s in %s:%u has no such template",
		                    kind, known->root->file, known->root->line);
	return 0;
}
