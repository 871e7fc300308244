/* SPDX-License-Identifier: Apache-2.0 */
#include "base/node.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/error.h"

#define NODE_MAX_WALK           16000000u
#define NODE_MAX_TAG_DIRECTIVES 64u
#define NODE_MIN_MEMORY_BYTES   (64u << 20)
#define NODE_MEMORY_FACTOR      20u
#define NODE_CORE_TAG           "tag:yaml.org,2002:"

/* Names to values, open addressing; on the heap, for the time of one parse. */
struct name_slot {
	const char *name;
	const struct pa_node *node; /* NULL while the anchored collection is still open */
	uint32_t height;
};

struct name_map {
	struct name_slot *slots;
	size_t capacity; /* a power of two, or 0 */
	size_t count;
};

struct frame {
	struct pa_node *node;
	size_t first_child;
	uint64_t walk;
	uint32_t height; /* of the highest child */
	const char *anchor;
};

struct builder {
	struct pa_arena *arena;
	const char *file;
	size_t memory_limit_bytes;       /* pa_arena_bytes() may not pass this */
	const struct pa_node **children; /* of all open collections, innermost last */
	size_t child_count;
	size_t child_capacity;
	struct frame frames[PA_NODE_MAX_DEPTH];
	size_t depth;
	struct name_map anchors;
	const struct pa_node *root;
};

static void *node_heap_check(void *memory)
{
	if (memory == NULL) {
		fputs("pipeahead: out of memory\n", stderr);
		abort();
	}
	return memory;
}

static struct name_slot *name_map_slot(struct name_map *map, const char *name)
{
	size_t mask = map->capacity - 1;
	size_t at = (size_t)XXH3_64bits(name, strlen(name)) & mask;

	while (map->slots[at].name != NULL && strcmp(map->slots[at].name, name) != 0)
		at = (at + 1) & mask;
	return &map->slots[at];
}

/* The slot of `name`: new (name NULL in it) or the one that holds it. */
static struct name_slot *name_map_put(struct name_map *map, const char *name)
{
	if (map->count * 2 >= map->capacity) {
		struct name_map larger = {.capacity = map->capacity == 0 ? 64 : map->capacity * 2};
		larger.slots = node_heap_check(calloc(larger.capacity, sizeof(*larger.slots)));
		for (size_t i = 0; i < map->capacity; i++) {
			if (map->slots[i].name != NULL)
				*name_map_slot(&larger, map->slots[i].name) = map->slots[i];
		}
		larger.count = map->count;
		free(map->slots);
		*map = larger;
	}
	struct name_slot *slot = name_map_slot(map, name);
	if (slot->name == NULL)
		map->count++;
	return slot;
}

static int builder_error(const struct builder *builder, const yaml_mark_t *mark, struct pa_error *err,
                         const char *what)
{
	return pa_error_set(err, PA_ERROR_INPUT, "%s:%zu:%zu: %s", builder->file, mark->line + 1,
	                    mark->column + 1, what);
}

static int builder_check_memory(const struct builder *builder, size_t more_bytes, const yaml_mark_t *mark,
                                struct pa_error *err)
{
	if (pa_arena_bytes(builder->arena) + more_bytes <= builder->memory_limit_bytes)
		return 0;
	return pa_error_set(err, PA_ERROR_INPUT,
	                    "%s:%zu:%zu: the document takes more memory than its size allows (%u times the "
	                    "text, at least %u MiB); split it, or use fewer aliases",
	                    builder->file, mark->line + 1, mark->column + 1, NODE_MEMORY_FACTOR,
	                    NODE_MIN_MEMORY_BYTES >> 20);
}

static struct pa_node *builder_new_node(struct builder *builder, enum pa_node_kind kind,
                                        const yaml_mark_t *mark, size_t text_bytes)
{
	struct pa_node *node = pa_arena_alloc(builder->arena, sizeof(*node) + text_bytes);

	node->kind = kind;
	node->line = (uint32_t)mark->line + 1;
	node->column = (uint32_t)mark->column + 1;
	node->file = builder->file;
	node->walk = 1;
	return node;
}

static int builder_add(struct builder *builder, const struct pa_node *node, uint32_t height,
                       const yaml_mark_t *mark, struct pa_error *err)
{
	if (builder->depth == 0) {
		builder->root = node;
		return 0;
	}
	struct frame *frame = &builder->frames[builder->depth - 1];
	bool is_key =
	    frame->node->kind == PA_NODE_MAPPING && (builder->child_count - frame->first_child) % 2 == 0;
	if (is_key && node->kind != PA_NODE_SCALAR)
		return builder_error(builder, mark, err,
		                     "a key is a list or a map; write a text there (a {{…}} needs quotes)");
	if (builder->depth + height > PA_NODE_MAX_DEPTH)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%s:%zu:%zu: nested deeper than %d levels; no pipeline needs that",
		                    builder->file, mark->line + 1, mark->column + 1, PA_NODE_MAX_DEPTH);
	frame->walk += node->walk;
	if (frame->walk > NODE_MAX_WALK)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%s:%zu:%zu: more than %u values once aliases are written out; split the "
		                    "file, or use fewer aliases",
		                    builder->file, mark->line + 1, mark->column + 1, NODE_MAX_WALK);
	if (frame->height < height)
		frame->height = height;
	if (builder->child_count == builder->child_capacity) {
		builder->child_capacity = builder->child_capacity == 0 ? 256 : builder->child_capacity * 2;
		builder->children = node_heap_check(
		    realloc(builder->children, builder->child_capacity * sizeof(*builder->children)));
	}
	builder->children[builder->child_count++] = node;
	return 0;
}

/* Sets whether a tag makes a scalar a text; a tag outside the core schema is an error. */
static int builder_check_tag(const struct builder *builder, const yaml_char_t *tag, const yaml_mark_t *mark,
                             bool *plain, struct pa_error *err)
{
	static const char *const typed[] = {"int",       "float", "bool", "null",
	                                    "timestamp", "seq",   "map",  "merge"};
	const char *name = (const char *)tag;

	if (name == NULL)
		return 0;
	if (strcmp(name, "!") == 0 || strcmp(name, NODE_CORE_TAG "str") == 0) {
		*plain = false;
		return 0;
	}
	if (strncmp(name, NODE_CORE_TAG, strlen(NODE_CORE_TAG)) == 0) {
		for (size_t i = 0; i < sizeof(typed) / sizeof(typed[0]); i++) {
			if (strcmp(name + strlen(NODE_CORE_TAG), typed[i]) == 0) {
				*plain = true;
				return 0;
			}
		}
	}
	return pa_error_set(err, PA_ERROR_INPUT, "%s:%zu:%zu: the tag '%.100s' is not understood; remove it",
	                    builder->file, mark->line + 1, mark->column + 1, name);
}

static int builder_scalar(struct builder *builder, const yaml_event_t *event, struct pa_error *err)
{
	const char *value = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	int rc = builder_check_tag(builder, event->data.scalar.tag, &event->start_mark, &plain, err);

	if (rc < 0)
		return rc;
	if (memchr(value, '\0', length) != NULL)
		return builder_error(builder, &event->start_mark, err, "the text holds a NUL; remove it");
	rc = builder_check_memory(builder, sizeof(struct pa_node) + length, &event->start_mark, err);
	if (rc < 0)
		return rc;
	struct pa_node *node = builder_new_node(builder, PA_NODE_SCALAR, &event->start_mark, length + 1);
	char *text = (char *)(node + 1);
	memcpy(text, value, length);
	text[length] = '\0';
	node->text = text;
	node->length = length;
	node->plain = plain;
	if (event->data.scalar.anchor != NULL) {
		const char *anchor = (const char *)event->data.scalar.anchor;
		struct name_slot *slot = name_map_put(&builder->anchors, anchor);
		*slot = (struct name_slot){pa_arena_strdup(builder->arena, anchor), node, 1};
	}
	return builder_add(builder, node, 1, &event->start_mark, err);
}

static int builder_alias(struct builder *builder, const yaml_event_t *event, struct pa_error *err)
{
	const char *name = (const char *)event->data.alias.anchor;
	const struct name_slot *slot =
	    builder->anchors.capacity == 0 ? NULL : name_map_slot(&builder->anchors, name);
	const yaml_mark_t *mark = &event->start_mark;

	if (slot == NULL || slot->name == NULL)
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "%s:%zu:%zu: alias '*%.100s' has no anchor before it; write '&%.100s' there",
		    builder->file, mark->line + 1, mark->column + 1, name, name);
	if (slot->node == NULL)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%s:%zu:%zu: alias '*%.100s' stands inside what it names; write it out",
		                    builder->file, mark->line + 1, mark->column + 1, name);
	return builder_add(builder, slot->node, slot->height, mark, err);
}

static int builder_open(struct builder *builder, const yaml_event_t *event, struct pa_error *err)
{
	bool mapping = event->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *tag = mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
	const yaml_char_t *anchor =
	    mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	bool ignored = false;
	int rc = builder_check_tag(builder, tag, &event->start_mark, &ignored, err);

	if (rc == 0)
		rc = builder_check_memory(builder, sizeof(struct pa_node), &event->start_mark, err);
	if (rc < 0)
		return rc;
	if (builder->depth == PA_NODE_MAX_DEPTH)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%s:%zu:%zu: nested deeper than %d levels; no pipeline needs that",
		                    builder->file, event->start_mark.line + 1, event->start_mark.column + 1,
		                    PA_NODE_MAX_DEPTH);
	struct frame *frame = &builder->frames[builder->depth++];
	*frame = (struct frame){.first_child = builder->child_count, .walk = 1};
	frame->node =
	    builder_new_node(builder, mapping ? PA_NODE_MAPPING : PA_NODE_SEQUENCE, &event->start_mark, 0);
	if (anchor != NULL) {
		frame->anchor = pa_arena_strdup(builder->arena, (const char *)anchor);
		*name_map_put(&builder->anchors, frame->anchor) = (struct name_slot){frame->anchor, NULL, 0};
	}
	return 0;
}

static bool node_is_merge_key(const struct pa_node *key)
{
	return key->plain && strcmp(key->text, "<<") == 0;
}

static int builder_duplicate(const struct pa_node *key, const struct pa_node *first, struct pa_error *err)
{
	return pa_node_error(key, err,
	                     "the key '%.100s' is here a second time (first in line %u); remove one",
	                     key->text, first->line);
}

/* Every key of one mapping, each once, in `seen`. */
static int builder_check_keys(const struct pa_node **children, size_t count, struct name_map *seen,
                              struct pa_error *err)
{
	if (count <= 32) {
		for (size_t i = 2; i < count; i += 2) {
			for (size_t j = 0; j < i; j += 2) {
				if (strcmp(children[i]->text, children[j]->text) == 0)
					return builder_duplicate(children[i], children[j], err);
			}
		}
		return 0;
	}
	for (size_t i = 0; i < count; i += 2) {
		struct name_slot *slot = name_map_put(seen, children[i]->text);
		if (slot->name != NULL)
			return builder_duplicate(children[i], slot->node, err);
		*slot = (struct name_slot){children[i]->text, children[i], 0};
	}
	return 0;
}

/* Entries of `source` whose keys the mapping does not have yet, behind those it has. */
static int builder_merge_one(struct builder *builder, struct pa_node *node, const struct pa_node *source,
                             struct name_map *seen, struct pa_error *err)
{
	yaml_mark_t mark = {0, node->line - 1, node->column - 1};

	if (source->kind != PA_NODE_MAPPING)
		return pa_node_error(source, err, "'<<' takes a map or a list of maps; write one there");
	size_t total = (size_t)node->count + source->count;
	int rc = builder_check_memory(builder, total * sizeof(*node->entries), &mark, err);
	if (rc < 0)
		return rc;
	struct pa_node_entry *entries = pa_arena_array(builder->arena, total, sizeof(*entries));
	if (node->count > 0)
		memcpy(entries, node->entries, node->count * sizeof(*entries));
	for (uint32_t i = 0; i < source->count; i++) {
		struct name_slot *slot = name_map_put(seen, source->entries[i].key->text);
		if (slot->name != NULL)
			continue;
		*slot = (struct name_slot){source->entries[i].key->text, source->entries[i].key, 0};
		entries[node->count++] = source->entries[i];
	}
	node->entries = entries;
	return 0;
}

static int builder_merge(struct builder *builder, struct pa_node *node, const struct pa_node *value,
                         struct pa_error *err)
{
	struct name_map seen = {0};
	int rc = 0;

	for (uint32_t i = 0; i < node->count; i++)
		*name_map_put(&seen, node->entries[i].key->text) =
		    (struct name_slot){node->entries[i].key->text, node->entries[i].key, 0};
	if (value->kind == PA_NODE_SEQUENCE) {
		for (uint32_t i = 0; i < value->count && rc == 0; i++)
			rc = builder_merge_one(builder, node, value->items[i], &seen, err);
	} else {
		rc = builder_merge_one(builder, node, value, &seen, err);
	}
	free(seen.slots);
	return rc;
}

static int builder_close_mapping(struct builder *builder, struct pa_node *node,
                                 const struct pa_node **children, size_t count, struct pa_error *err)
{
	struct name_map seen = {0};
	const struct pa_node *merged = NULL;
	int rc = builder_check_keys(children, count, &seen, err);

	free(seen.slots);
	if (rc < 0)
		return rc;
	node->entries = pa_arena_array(builder->arena, count / 2, sizeof(*node->entries));
	for (size_t i = 0; i < count; i += 2) {
		if (node_is_merge_key(children[i]))
			merged = children[i + 1];
		else
			node->entries[node->count++] = (struct pa_node_entry){children[i], children[i + 1]};
	}
	return merged == NULL ? 0 : builder_merge(builder, node, merged, err);
}

static int builder_close(struct builder *builder, const yaml_event_t *event, struct pa_error *err)
{
	struct frame *frame = &builder->frames[builder->depth - 1];
	struct pa_node *node = frame->node;
	const struct pa_node **children = builder->children + frame->first_child;
	size_t count = builder->child_count - frame->first_child;
	int rc = builder_check_memory(builder, count * sizeof(void *), &event->start_mark, err);

	if (rc < 0)
		return rc;
	node->walk = (uint32_t)frame->walk;
	if (node->kind == PA_NODE_MAPPING) {
		rc = builder_close_mapping(builder, node, children, count, err);
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
		    (struct name_slot){frame->anchor, node, height};
	builder->child_count = frame->first_child;
	builder->depth--;
	yaml_mark_t mark = {0, node->line - 1, node->column - 1};
	return builder_add(builder, node, height, &mark, err);
}

static int builder_event(struct builder *builder, const yaml_event_t *event, struct pa_error *err)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return builder_scalar(builder, event, err);
	case YAML_ALIAS_EVENT:
		return builder_alias(builder, event, err);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return builder_open(builder, event, err);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return builder_close(builder, event, err);
	default:
		return 0;
	}
}

/* Whether the line that byte `offset` is in looks like a Helm or Jinja template. */
static bool text_line_is_template(const char *text, size_t bytes, size_t offset)
{
	if (offset > bytes)
		offset = bytes;
	size_t begin = offset;
	while (begin > 0 && text[begin - 1] != '\n')
		begin--;
	const char *end = memchr(text + offset, '\n', bytes - offset);
	size_t length = (end == NULL ? text + bytes : end) - (text + begin);
	return memmem(text + begin, length, "{{", 2) != NULL || memmem(text + begin, length, "{%", 2) != NULL;
}

static void text_position(const char *text, size_t offset, size_t *line, size_t *column)
{
	size_t begin = 0;

	*line = 1;
	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			(*line)++;
			begin = i + 1;
		}
	}
	*column = offset - begin + 1;
}

static int syntax_error(const struct builder *builder, const yaml_parser_t *parser, const char *text,
                        size_t bytes, struct pa_error *err)
{
	const char *problem = parser->problem == NULL ? "it cannot be read as YAML" : parser->problem;
	size_t line = parser->problem_mark.line + 1;
	size_t column = parser->problem_mark.column + 1;
	size_t offset = parser->problem_mark.index;

	if (parser->error == YAML_READER_ERROR) {
		offset = parser->problem_offset > bytes ? bytes : parser->problem_offset;
		text_position(text, offset, &line, &column);
		return pa_error_set(err, PA_ERROR_INPUT, "%s:%zu:%zu: %s; save the file as UTF-8 text",
		                    builder->file, line, column, problem);
	}
	const char *advice = text_line_is_template(text, bytes, offset)
	                         ? "if this is a Helm or Jinja template, render it first"
	                         : "correct the YAML there";
	return pa_error_set(err, PA_ERROR_INPUT, "%s:%zu:%zu: not YAML: %s%s%s; %s", builder->file, line,
	                    column, parser->context == NULL ? "" : parser->context,
	                    parser->context == NULL ? "" : ": ", problem, advice);
}

/* What libyaml would take badly: a NUL ends its stream in silence, and it compares every %TAG with
 * every other. */
static int text_check(const char *file, const char *text, size_t bytes, struct pa_error *err)
{
	const char *nul = memchr(text, '\0', bytes);
	size_t tags = 0;
	size_t line, column;

	if (nul != NULL) {
		text_position(text, (size_t)(nul - text), &line, &column);
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%s:%zu:%zu: a NUL byte; save the file as UTF-8 text", file, line,
		                    column);
	}
	for (const char *at = text; (at = memmem(at, bytes - (size_t)(at - text), "%TAG", 4)) != NULL; at++) {
		if (at != text && at[-1] != '\n' && at[-1] != '\r')
			continue;
		if (++tags <= NODE_MAX_TAG_DIRECTIVES)
			continue;
		text_position(text, (size_t)(at - text), &line, &column);
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%s:%zu:%zu: more than %u %%TAG directives; remove them", file, line,
		                    column, NODE_MAX_TAG_DIRECTIVES);
	}
	return 0;
}

struct document_list {
	struct pa_document *documents;
	size_t count;
	size_t capacity;
};

static void builder_finish_document(struct builder *builder, struct document_list *list)
{
	const struct pa_node *root = builder->root;

	list->documents = pa_arena_grow(builder->arena, list->documents, list->count, &list->capacity,
	                                sizeof(*list->documents));
	list->documents[list->count] =
	    (struct pa_document){.root = pa_node_is_null(root) ? NULL : root, .index = (uint32_t)list->count};
	list->count++;
	builder->root = NULL;
	free(builder->anchors.slots);
	builder->anchors = (struct name_map){0};
}

static int builder_run(struct builder *builder, const char *text, size_t bytes, struct document_list *list,
                       struct pa_error *err)
{
	yaml_parser_t parser;
	yaml_event_t event;
	bool done = false;
	int rc = 0;

	node_heap_check(yaml_parser_initialize(&parser) == 0 ? NULL : &parser);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	while (rc == 0 && !done) {
		if (yaml_parser_parse(&parser, &event) == 0) {
			rc = syntax_error(builder, &parser, text, bytes, err);
			break;
		}
		rc = builder_event(builder, &event, err);
		if (event.type == YAML_DOCUMENT_END_EVENT) {
			rc =
			    builder_check_memory(builder, sizeof(struct pa_document), &event.start_mark, err);
			if (rc == 0)
				builder_finish_document(builder, list);
		}
		done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return rc;
}

/* JSON that YAML refuses (surrogate pairs, keys over 1,024 bytes) is read as JSON. */
static int read_as_json(struct pa_arena *arena, const char *file, const char *text, size_t bytes,
                        struct document_list *list)
{
	struct pa_error ignored = PA_ERROR_INIT;
	const struct pa_node *root;
	struct pa_node *at = pa_arena_alloc(arena, sizeof(*at));
	size_t begin = 0;

	while (begin < bytes && memchr(" \t\r\n", text[begin], 4) != NULL)
		begin++;
	if (begin >= bytes || (text[begin] != '{' && text[begin] != '['))
		return -1;
	size_t line, column;
	text_position(text, begin, &line, &column);
	*at = (struct pa_node){.file = file, .line = (uint32_t)line, .column = (uint32_t)column, .text = ""};
	if (pa_document_read_json(arena, at, text, bytes, &root, &ignored) < 0)
		return -1;
	list->documents = pa_arena_array(arena, 1, sizeof(*list->documents));
	list->documents[0] = (struct pa_document){.root = root};
	list->count = 1;
	return 0;
}

int pa_document_read(struct pa_arena *arena, const char *file, const char *text, size_t bytes,
                     struct pa_document **ret, size_t *ret_count, struct pa_error *err)
{
	struct builder builder = {.arena = arena, .file = file};
	struct document_list list = {0};
	size_t allowed =
	    bytes > SIZE_MAX / (2 * NODE_MEMORY_FACTOR) ? SIZE_MAX / 2 : bytes * NODE_MEMORY_FACTOR;

	*ret = NULL;
	*ret_count = 0;
	if (allowed < NODE_MIN_MEMORY_BYTES)
		allowed = NODE_MIN_MEMORY_BYTES;
	builder.memory_limit_bytes = pa_arena_bytes(arena) + allowed;
	int rc = text_check(file, text, bytes, err);
	if (rc == 0) {
		rc = builder_run(&builder, text, bytes, &list, err);
		if (rc < 0 && list.count == 0 && read_as_json(arena, file, text, bytes, &list) == 0)
			rc = 0;
	}
	free(builder.children);
	free(builder.anchors.slots);
	*ret = list.documents;
	*ret_count = list.count;
	return rc;
}

const struct pa_node *pa_node_get(const struct pa_node *node, const char *key)
{
	if (node == NULL || node->kind != PA_NODE_MAPPING)
		return NULL;
	for (uint32_t i = 0; i < node->count; i++) {
		if (strcmp(node->entries[i].key->text, key) == 0)
			return node->entries[i].value;
	}
	return NULL;
}

static const struct pa_node *node_get_part(const struct pa_node *node, const char *key, size_t bytes)
{
	if (node == NULL || node->kind != PA_NODE_MAPPING)
		return NULL;
	for (uint32_t i = 0; i < node->count; i++) {
		const struct pa_node *name = node->entries[i].key;
		if (name->length == bytes && memcmp(name->text, key, bytes) == 0)
			return node->entries[i].value;
	}
	return NULL;
}

const struct pa_node *pa_node_path(const struct pa_node *node, const char *dotted)
{
	while (node != NULL && *dotted != '\0') {
		size_t bytes = strcspn(dotted, ".");
		node = node_get_part(node, dotted, bytes);
		dotted += bytes;
		if (*dotted == '.')
			dotted++;
	}
	return node;
}

bool pa_node_is_null(const struct pa_node *node)
{
	if (node == NULL)
		return true;
	if (node->kind != PA_NODE_SCALAR || !node->plain)
		return false;
	return node->length == 0 || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0 ||
	       strcmp(node->text, "Null") == 0 || strcmp(node->text, "NULL") == 0;
}

const char *pa_node_text(const struct pa_node *node)
{
	if (node == NULL || node->kind != PA_NODE_SCALAR || pa_node_is_null(node))
		return NULL;
	return node->text;
}

bool pa_node_is_true(const struct pa_node *node)
{
	return node != NULL && node->kind == PA_NODE_SCALAR && strcmp(node->text, "true") == 0;
}

bool pa_node_is_sequence(const struct pa_node *node)
{
	return node != NULL && node->kind == PA_NODE_SEQUENCE;
}

bool pa_node_is_mapping(const struct pa_node *node)
{
	return node != NULL && node->kind == PA_NODE_MAPPING;
}

int pa_node_error(const struct pa_node *node, struct pa_error *err, const char *format, ...)
{
	char message[PA_ERROR_MESSAGE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	return pa_error_set(err, PA_ERROR_INPUT, "%s:%" PRIu32 ":%" PRIu32 ": %s", node->file, node->line,
	                    node->column, message);
}
