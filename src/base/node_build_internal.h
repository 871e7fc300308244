/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml's events of one document to a tree of nodes; and errors with a place in the text.
 *
 * Ownership: nodes go to the arena; the builder's own memory is on the heap until node_builder_done().
 */
#ifndef PA_BASE_NODE_BUILD_INTERNAL_H
#define PA_BASE_NODE_BUILD_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yaml.h>

#include "base/node.h"

/* Of arena and heap together; the text itself and what reads it take the rest of 20 times. */
#define NODE_MEMORY_FACTOR    16u
#define NODE_MIN_MEMORY_BYTES (64u << 20)

/* Names to values, open addressing; on the heap, for the time of one document. */
struct node_name_slot {
	const char *name;
	const struct pa_node *node; /* NULL while the anchored collection is still open */
	uint32_t height;
};

struct node_name_map {
	struct node_name_slot *slots;
	size_t capacity; /* a power of two, or 0 */
	size_t count;
};

/* A collection whose end has not come yet. */
struct node_frame {
	struct pa_node *node;
	size_t first_child;
	uint64_t walk;
	uint32_t height; /* of the highest child */
	const char *anchor;
};

struct node_builder {
	struct pa_arena *arena;
	const char *file;
	uint32_t lines_before;           /* lines of the text before the part that libyaml reads */
	size_t arena_before_bytes;       /* in the arena when the text was begun */
	size_t limit_bytes;              /* of memory for the text */
	bool exhausted;                  /* the limit was met: there is no use in going on */
	const struct pa_node **children; /* of all open collections, innermost last */
	size_t child_count;
	size_t child_capacity;
	struct node_frame frames[PA_NODE_MAX_DEPTH];
	size_t depth;
	struct node_name_map anchors;
	const struct pa_node *root; /* of the document, once it has ended; may be NULL */
};

/* A text of `bytes` may take this much memory. */
size_t node_memory_limit_bytes(size_t bytes);

void node_builder_init(struct node_builder *builder, struct pa_arena *arena, const char *file, size_t bytes);
void node_builder_done(struct node_builder *builder);
/* Forgets the document that was begun or ended. */
void node_builder_clear(struct node_builder *builder);
/* Events that are no part of a tree do nothing. */
int node_builder_event(struct node_builder *builder, const yaml_event_t *event, struct pa_error *err);
size_t node_builder_left_bytes(const struct node_builder *builder);
/* Whether `more_bytes` are left of the limit; `line` and `column` from 1, for the message. */
int node_builder_check_memory(struct node_builder *builder, size_t more_bytes, uint32_t line, uint32_t column,
                              struct pa_error *err);

/* pa_document_read_json() in at most `limit_bytes` of memory. */
int node_read_json(struct pa_arena *arena, const struct pa_node *at, const char *text, size_t bytes,
                   size_t limit_bytes, const struct pa_node **ret, struct pa_error *err);

#endif
