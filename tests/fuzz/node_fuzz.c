/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as documents: each a tree or an error with its place, and the tree written as JSON is read again. */
#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "check.h"

#define MAX_WALK 10000u

static void check_node(const struct pa_node *node, unsigned int depth)
{
	uint32_t walk = 1;

	require(depth <= PA_NODE_MAX_DEPTH && node->line > 0 && node->column > 0 &&
	        strcmp(node->file, "fuzz") == 0);
	if (node->kind == PA_NODE_SCALAR) {
		require(node->count == 0 && strlen(node->text) == node->length);
		return;
	}
	for (uint32_t i = 0; i < node->count; i++) {
		if (node->kind == PA_NODE_MAPPING) {
			const struct pa_node_entry *entry = &node->entries[i];
			require(entry->key->kind == PA_NODE_SCALAR);
			require(pa_node_get(node, entry->key->text) == entry->value);
			check_node(entry->value, depth + 1);
			walk += entry->value->walk;
		} else {
			check_node(node->items[i], depth + 1);
			walk += node->items[i]->walk;
		}
	}
	require(walk <= node->walk || node->kind == PA_NODE_MAPPING);
}

static void check_document(struct pa_arena *arena, const struct pa_document *document)
{
	struct pa_error err = PA_ERROR_INIT;
	const struct pa_node *again;

	if (document->error != NULL)
		require(document->root == NULL && has_place(document->error, "fuzz"));
	if (document->root == NULL || document->root->walk > MAX_WALK)
		return;
	check_node(document->root, 1);
	const char *text = pa_node_to_json(arena, document->root);
	/* Numbers may be out of range for JSON, but what was written is never malformed. */
	if (text != NULL &&
	    pa_document_read_json(arena, document->root, text, strlen(text), &again, &err) == 0)
		require(again->kind == document->root->kind);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_document *documents;
	size_t count, failed = 0;

	int rc = pa_document_read(&arena, "fuzz", (const char *)data, size, &documents, &count, &err);
	for (size_t i = 0; i < count; i++) {
		require(documents[i].index == i);
		failed += documents[i].error != NULL;
		check_document(&arena, &documents[i]);
	}
	require((rc < 0) == (failed > 0) && failed <= PA_NODE_MAX_FAILED_DOCUMENTS + 1);
	pa_arena_done(&arena);
	return 0;
}
