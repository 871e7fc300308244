/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a document: a tree or an error, and the tree written as JSON is read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_document *documents;
	size_t count;

	pa_document_read(&arena, "fuzz", (const char *)data, size, &documents, &count, &err);
	for (size_t i = 0; i < count; i++) {
		const struct pa_node *again;
		if (documents[i].root == NULL || documents[i].root->walk > 10000)
			continue;
		const char *text = pa_node_to_json(&arena, documents[i].root);
		/* Numbers may be out of range for JSON, but what was written is never malformed. */
		if (text != NULL &&
		    pa_document_read_json(&arena, documents[i].root, text, strlen(text), &again, &err) == 0 &&
		    again->kind != documents[i].root->kind)
			abort();
	}
	pa_arena_done(&arena);
	return 0;
}
