/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as JSON inside a scalar: a tree or an error at the scalar's place, and what is written of the tree is the same
 * when it is read again. */
#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pa_node at = {.file = "fuzz", .line = 7, .column = 3, .text = ""};
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	const struct pa_node *first, *second;

	if (pa_document_read_json(&arena, &at, (const char *)data, size, &first, &err) < 0) {
		require(err.class == PA_ERROR_INPUT && strncmp(err.message, "fuzz:7:3: ", 10) == 0);
	} else {
		const char *text = pa_node_to_json(&arena, first);
		require(text != NULL &&
		        pa_document_read_json(&arena, &at, text, strlen(text), &second, &err) == 0);
		require(strcmp(text, pa_node_to_json(&arena, second)) == 0);
		require(first->walk == second->walk);
	}
	pa_arena_done(&arena);
	return 0;
}
