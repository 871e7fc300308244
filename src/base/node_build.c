/* SPDX-License-Identifier: Apache-2.0 */
#include "base/node_build_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/arena.h"
#include "base/error.h"

#define MAX_WALK            16000000u
#define MAX_COMPARED_KEYS   16u /* up to here each key is compared to each, above by a table */
#define CORE_TAG            "tag:yaml.org,2002:"
#define FIRST_CHILDREN      256u
#define FIRST_NAME_CAPACITY 64u

/* Where something stands in the whole text, from 1. */
struct place {
	uint32_t line, column;
};

static void *check_heap(void *memory)
{
	if (memory == NULL) {
		fputs("pipeahead: out of memory\n", stderr);
		abort();
	}
	return memory;
}

static struct node_name_slot *name_map_slot(const struct node_name_map *map, const char *name)
{
	size_t mask = map->capacity - 1;
	size_t at = (size_t)XXH3_64bits(name, strlen(name)) & mask;

	while (map->slots[at].name != NULL && strcmp(map->slots[at].name, name) != 0)
		at = (at + 1) & mask;
	return &map->slots[at];
}

/* The slot of `name`: new (name NULL in it) or the one that holds it. */
static struct node_name_slot *name_map_put(struct node_name_map *map, const char *name)
{
	if (map->count * 2 >= map->capacity) {
		struct node_name_map larger = {.capacity = map->capacity == 0 ? FIRST_NAME_CAPACITY
		                                                              : map->capacity * 2};
		larger.slots = check_heap(calloc(larger.capacity, sizeof(*larger.slots)));
		for (size_t i = 0; i < map->capacity; i++) {
			if (map->slots[i].name != NULL)
				*name_map_slot(&larger, map->slots[i].name) = map->slots[i];
		}
		larger.count = map->count;
		free(map->slots);
		*map = larger;
	}
	struct node_name_slot *slot = name_map_slot(map, name);
	if (slot->name == NULL)
		map->count++;
	return slot;
}

size_t node_memory_limit_bytes(size_t bytes)
{
	size_t limit = bytes > SIZE_MAX / NODE_MEMORY_FACTOR ? SIZE_MAX : bytes * NODE_MEMORY_FACTOR;

	return limit < NODE_MIN_MEMORY_BYTES ? NODE_MIN_MEMORY_BYTES : limit;
}

void node_builder_init(struct node_builder *builder, struct pa_arena *arena, const char *file, size_t bytes)
{
	*builder = (struct node_builder){.arena = arena,
	                                 .file = file,
	                                 .arena_before_bytes = pa_arena_bytes(arena),
	                                 .limit_bytes = node_memory_limit_bytes(bytes),
	                                 .child_capacity = FIRST_CHILDREN};
	builder->children = check_heap(malloc(FIRST_CHILDREN * sizeof(*builder->children)));
}

void node_builder_clear(struct node_builder *builder)
{
	free(builder->anchors.slots);
	builder->anchors = (struct node_name_map){0};
	builder->child_count = 0;
	builder->depth = 0;
	builder->root = NULL;
}

void node_builder_done(struct node_builder *builder)
{
	node_builder_clear(builder);
	free(builder->children);
	builder->children = NULL;
}

static struct place place_of(const struct node_builder *builder, const yaml_mark_t *mark)
{
	return (struct place){builder->lines_before + (uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
}

static int error_at(const struct node_builder *builder, struct place at, struct pa_error *err,
                    const char *what)
{
	return pa_error_set(err, PA_ERROR_INPUT, "%s:%u:%u: %s", builder->file, at.line, at.column, what);
}

static int too_deep(const struct node_builder *builder, struct place at, struct pa_error *err)
{
	return pa_error_set(err, PA_ERROR_INPUT,
	                    "%s:%u:%u: nested deeper than %d levels; no pipeline needs that", builder->file,
	                    at.line, at.column, PA_NODE_MAX_DEPTH);
}

size_t node_builder_left_bytes(const struct node_builder *builder)
{
	size_t used = pa_arena_bytes(builder->arena) - builder->arena_before_bytes +
	              builder->child_capacity * sizeof(*builder->children) +
	              builder->anchors.capacity * sizeof(*builder->anchors.slots);

	return used > builder->limit_bytes ? 0 : builder->limit_bytes - used;
}

int node_builder_check_memory(struct node_builder *builder, size_t more_bytes, uint32_t line, uint32_t column,
                              struct pa_error *err)
{
	if (more_bytes <= node_builder_left_bytes(builder))
		return 0;
	builder->exhausted = true;
	return pa_error_set(
	    err, PA_ERROR_INPUT,
	    "%s:%u:%u: the text takes more memory than its size allows (%u times the text, at "
	    "least %u MiB); split it, or use fewer aliases",
	    builder->file, line, column, NODE_MEMORY_FACTOR, NODE_MIN_MEMORY_BYTES >> 20);
}

static int check_memory(struct node_builder *builder, size_t more_bytes, struct place at,
                        struct pa_error *err)
{
	return node_builder_check_memory(builder, more_bytes, at.line, at.column, err);
}

static struct pa_node *new_node(struct node_builder *builder, enum pa_node_kind kind, struct place at)
{
	struct pa_node *node = pa_arena_alloc(builder->arena, sizeof(*node));

	node->kind = kind;
	node->line = at.line;
	node->column = at.column;
	node->file = builder->file;
	node->walk = 1;
	return node;
}

static int add_child(struct node_builder *builder, const struct pa_node *node, uint32_t height,
                     struct place at, struct pa_error *err)
{
	if (builder->depth == 0) {
		builder->root = node;
		return 0;
	}
	struct node_frame *frame = &builder->frames[builder->depth - 1];
	bool is_key =
	    frame->node->kind == PA_NODE_MAPPING && (builder->child_count - frame->first_child) % 2 == 0;
	if (is_key && node->kind != PA_NODE_SCALAR)
		return error_at(
		    builder, at, err,
		    "a key is a list or a map; put quotes around a {{…}} there, or render a Helm or "
		    "Jinja template first");
	if (builder->depth + height > PA_NODE_MAX_DEPTH)
		return too_deep(builder, at, err);
	frame->walk += node->walk;
	if (frame->walk > MAX_WALK)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%s:%u:%u: more than %u values once aliases are written out; split the "
		                    "file, or use fewer aliases",
		                    builder->file, at.line, at.column, MAX_WALK);
	if (frame->height < height)
		frame->height = height;
	if (builder->child_count == builder->child_capacity) {
		builder->child_capacity *= 2;
		builder->children = check_heap(
		    realloc(builder->children, builder->child_capacity * sizeof(*builder->children)));
	}
	builder->children[builder->child_count++] = node;
	return 0;
}

/* Sets whether a tag makes a scalar a text; a tag outside the core schema is an error. */
static int check_tag(const struct node_builder *builder, const yaml_char_t *tag, struct place at, bool *plain,
                     struct pa_error *err)
{
	static const char *const typed[] = {"int",       "float", "bool", "null",
	                                    "timestamp", "seq",   "map",  "merge"};
	const char *name = (const char *)tag;

	if (name == NULL)
		return 0;
	if (strcmp(name, "!") == 0 || strcmp(name, CORE_TAG "str") == 0) {
		*plain = false;
		return 0;
	}
	if (strncmp(name, CORE_TAG, strlen(CORE_TAG)) == 0) {
		for (size_t i = 0; i < sizeof(typed) / sizeof(typed[0]); i++) {
			if (strcmp(name + strlen(CORE_TAG), typed[i]) == 0) {
				*plain = true;
				return 0;
			}
		}
	}
	return pa_error_set(err, PA_ERROR_INPUT, "%s:%u:%u: the tag '%.100s' is not understood; remove it",
	                    builder->file, at.line, at.column, name);
}

static int build_scalar(struct node_builder *builder, const yaml_event_t *event, struct pa_error *err)
{
	struct place at = place_of(builder, &event->start_mark);
	const char *value = (const char *)event->data.scalar.value;
	const char *anchor = (const char *)event->data.scalar.anchor;
	size_t length = event->data.scalar.length;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	int rc = check_tag(builder, event->data.scalar.tag, at, &plain, err);

	if (rc < 0)
		return rc;
	if (memchr(value, '\0', length) != NULL)
		return error_at(builder, at, err, "the text holds a NUL; remove it");
	rc = check_memory(builder, sizeof(struct pa_node) + length, at, err);
	if (rc < 0)
		return rc;
	struct pa_node *node = new_node(builder, PA_NODE_SCALAR, at);
	node->text = pa_arena_strndup(builder->arena, value, length);
	node->length = (uint32_t)length;
	node->plain = plain;
	if (anchor != NULL) {
		struct node_name_slot *slot = name_map_put(&builder->anchors, anchor);
		*slot = (struct node_name_slot){pa_arena_strdup(builder->arena, anchor), node, 1};
	}
	return add_child(builder, node, 1, at, err);
}

static int build_alias(struct node_builder *builder, const yaml_event_t *event, struct pa_error *err)
{
	struct place at = place_of(builder, &event->start_mark);
	const char *name = (const char *)event->data.alias.anchor;
	const struct node_name_slot *slot =
	    builder->anchors.capacity == 0 ? NULL : name_map_slot(&builder->anchors, name);

	if (slot == NULL || slot->name == NULL)
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "%s:%u:%u: alias '*%.100s' has no anchor before it; write '&%.100s' there", builder->file,
		    at.line, at.column, name, name);
	if (slot->node == NULL)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%s:%u:%u: alias '*%.100s' stands inside what it names; write it out",
		                    builder->file, at.line, at.column, name);
	return add_child(builder, slot->node, slot->height, at, err);
}

static int open_collection(struct node_builder *builder, const yaml_event_t *event, struct pa_error *err)
{
	struct place at = place_of(builder, &event->start_mark);
	bool mapping = event->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *tag = mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
	const yaml_char_t *anchor =
	    mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	bool ignored = false;
	int rc = check_tag(builder, tag, at, &ignored, err);

	if (rc == 0)
		rc = check_memory(builder, sizeof(struct pa_node), at, err);
	if (rc < 0)
		return rc;
	if (builder->depth == PA_NODE_MAX_DEPTH)
		return too_deep(builder, at, err);
	struct node_frame *frame = &builder->frames[builder->depth++];
	*frame = (struct node_frame){.first_child = builder->child_count, .walk = 1};
	frame->node = new_node(builder, mapping ? PA_NODE_MAPPING : PA_NODE_SEQUENCE, at);
	if (anchor != NULL) {
		frame->anchor = pa_arena_strdup(builder->arena, (const char *)anchor);
		*name_map_put(&builder->anchors, frame->anchor) =
		    (struct node_name_slot){frame->anchor, NULL, 0};
	}
	return 0;
}

static bool is_merge_key(const struct pa_node *key)
{
	return key->plain && strcmp(key->text, "<<") == 0;
}

static int duplicate_key(const struct pa_node *key, const struct pa_node *first, struct pa_error *err)
{
	return pa_node_error(key, err,
	                     "the key '%.100s' is here a second time (first in line %u); remove one",
	                     key->text, first->line);
}

/* Every key of one mapping, each once; `children` are keys and values in turn. */
static int check_keys(const struct pa_node **children, size_t count, struct pa_error *err)
{
	struct node_name_map seen = {0};
	int rc = 0;

	if (count / 2 <= MAX_COMPARED_KEYS) {
		for (size_t i = 2; i < count; i += 2) {
			for (size_t j = 0; j < i; j += 2) {
				if (children[i]->length == children[j]->length &&
				    memcmp(children[i]->text, children[j]->text, children[i]->length) == 0)
					return duplicate_key(children[i], children[j], err);
			}
		}
		return 0;
	}
	for (size_t i = 0; i < count && rc == 0; i += 2) {
		struct node_name_slot *slot = name_map_put(&seen, children[i]->text);
		if (slot->name != NULL)
			rc = duplicate_key(children[i], slot->node, err);
		else
			*slot = (struct node_name_slot){children[i]->text, children[i], 0};
	}
	free(seen.slots);
	return rc;
}

/* Entries of `source` whose keys the mapping does not have yet, behind those it has. */
static int merge_one(struct node_builder *builder, struct pa_node *node, const struct pa_node *source,
                     struct node_name_map *seen, struct pa_error *err)
{
	struct place at = {node->line, node->column};

	if (source->kind != PA_NODE_MAPPING)
		return pa_node_error(source, err, "'<<' takes a map or a list of maps; write one there");
	size_t total = (size_t)node->count + source->count;
	int rc = check_memory(builder, total * sizeof(*node->entries), at, err);
	if (rc < 0)
		return rc;
	struct pa_node_entry *entries = pa_arena_array(builder->arena, total, sizeof(*entries));
	if (node->count > 0)
		memcpy(entries, node->entries, node->count * sizeof(*entries));
	for (uint32_t i = 0; i < source->count; i++) {
		const struct pa_node *key = source->entries[i].key;
		struct node_name_slot *slot = name_map_put(seen, key->text);
		if (slot->name != NULL)
			continue;
		*slot = (struct node_name_slot){key->text, key, 0};
		entries[node->count++] = source->entries[i];
	}
	node->entries = entries;
	return 0;
}

static int merge(struct node_builder *builder, struct pa_node *node, const struct pa_node *value,
                 struct pa_error *err)
{
	struct node_name_map seen = {0};
	int rc = 0;

	for (uint32_t i = 0; i < node->count; i++) {
		const struct pa_node *key = node->entries[i].key;
		*name_map_put(&seen, key->text) = (struct node_name_slot){key->text, key, 0};
	}
	if (value->kind == PA_NODE_SEQUENCE) {
		for (uint32_t i = 0; i < value->count && rc == 0; i++)
			rc = merge_one(builder, node, value->items[i], &seen, err);
	} else {
		rc = merge_one(builder, node, value, &seen, err);
	}
	free(seen.slots);
	return rc;
}

static int close_mapping(struct node_builder *builder, struct pa_node *node, const struct pa_node **children,
                         size_t count, struct pa_error *err)
{
	const struct pa_node *merged = NULL;
	int rc = check_keys(children, count, err);

	if (rc < 0)
		return rc;
	node->entries = pa_arena_array(builder->arena, count / 2, sizeof(*node->entries));
	for (size_t i = 0; i < count; i += 2) {
		if (is_merge_key(children[i]))
			merged = children[i + 1];
		else
			node->entries[node->count++] = (struct pa_node_entry){children[i], children[i + 1]};
	}
	return merged == NULL ? 0 : merge(builder, node, merged, err);
}

static int close_collection(struct node_builder *builder, struct pa_error *err)
{
	struct node_frame *frame = &builder->frames[builder->depth - 1];
	struct pa_node *node = frame->node;
	struct place at = {node->line, node->column};
	const struct pa_node **children = builder->children + frame->first_child;
	size_t count = builder->child_count - frame->first_child;
	int rc = check_memory(builder, count * sizeof(*children), at, err);

	if (rc < 0)
		return rc;
	node->walk = (uint32_t)frame->walk;
	if (node->kind == PA_NODE_MAPPING && count > 0) {
		rc = close_mapping(builder, node, children, count, err);
		if (rc < 0)
			return rc;
	} else if (count > 0) {
		node->items = pa_arena_array(builder->arena, count, sizeof(*node->items));
		memcpy(node->items, children, count * sizeof(*node->items));
		node->count = (uint32_t)count;
	}
	uint32_t height = frame->height + 1;
	if (frame->anchor != NULL)
		*name_map_put(&builder->anchors, frame->anchor) =
		    (struct node_name_slot){frame->anchor, node, height};
	builder->child_count = frame->first_child;
	builder->depth--;
	return add_child(builder, node, height, at, err);
}

int node_builder_event(struct node_builder *builder, const yaml_event_t *event, struct pa_error *err)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return build_scalar(builder, event, err);
	case YAML_ALIAS_EVENT:
		return build_alias(builder, event, err);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return open_collection(builder, event, err);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_collection(builder, err);
	default:
		return 0;
	}
}
