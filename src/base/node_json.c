/* SPDX-License-Identifier: Apache-2.0 */
/* JSON found inside a document, and nodes written as JSON. */
#include "base/node.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/node_build_internal.h"

#define JSON_OUTPUT_MAX_BYTES (64u << 20)
#define JSON_NUMBER_BYTES     32u
#define JSON_VALUE_BYTES      64u  /* what Jansson keeps for one value of a list, at most */
#define JSON_MEMBER_BYTES     192u /* and for one of an object, with its name and hash table */

struct json_reader {
	struct pa_arena *arena;
	const struct pa_node *at;
	size_t memory_limit_bytes;
};

static struct pa_node *json_new_node(struct json_reader *reader, enum pa_node_kind kind)
{
	struct pa_node *node = pa_arena_alloc(reader->arena, sizeof(*node));

	node->kind = kind;
	node->line = reader->at->line;
	node->column = reader->at->column;
	node->file = reader->at->file;
	node->walk = 1;
	return node;
}

/* The shortest of the usual forms that reads back as the same number, and as one that is no integer. */
static const char *json_real_text(struct pa_arena *arena, double value)
{
	char text[JSON_NUMBER_BYTES];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	return pa_arena_printf(arena, "%s%s", text, strpbrk(text, ".e") == NULL ? ".0" : "");
}

static void json_scalar(struct json_reader *reader, const json_t *json, struct pa_node *node)
{
	node->plain = true;
	if (json_is_string(json)) {
		node->plain = false;
		node->length = (uint32_t)json_string_length(json);
		node->text = pa_arena_strndup(reader->arena, json_string_value(json), node->length);
		return;
	}
	if (json_is_integer(json))
		node->text =
		    pa_arena_printf(reader->arena, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
	else if (json_is_real(json))
		node->text = json_real_text(reader->arena, json_real_value(json));
	else
		node->text = json_is_true(json) ? "true" : json_is_false(json) ? "false" : "null";
	node->length = (uint32_t)strlen(node->text);
}

static int too_much_memory(const struct pa_node *at, struct pa_error *err)
{
	return pa_node_error(
	    at, err,
	    "the JSON takes more memory than its size allows (%u times the text, at least %u "
	    "MiB); split it",
	    NODE_MEMORY_FACTOR, NODE_MIN_MEMORY_BYTES >> 20);
}

static int json_to_node(struct json_reader *reader, json_t *json, unsigned int depth,
                        const struct pa_node **ret, struct pa_error *err);

static int json_mapping(struct json_reader *reader, json_t *json, unsigned int depth, struct pa_node *node,
                        struct pa_error *err)
{
	const char *name;
	json_t *value;

	node->entries = pa_arena_array(reader->arena, json_object_size(json), sizeof(*node->entries));
	json_object_foreach(json, name, value)
	{
		struct pa_node *key = json_new_node(reader, PA_NODE_SCALAR);
		struct pa_node_entry *entry = &node->entries[node->count];
		key->text = pa_arena_strdup(reader->arena, name);
		key->length = (uint32_t)strlen(name);
		entry->key = key;
		int rc = json_to_node(reader, value, depth + 1, &entry->value, err);
		if (rc < 0)
			return rc;
		node->walk += 1 + entry->value->walk;
		node->count++;
	}
	return 0;
}

static int json_to_node(struct json_reader *reader, json_t *json, unsigned int depth,
                        const struct pa_node **ret, struct pa_error *err)
{
	struct pa_node *node;
	int rc = 0;

	if (depth > PA_NODE_MAX_DEPTH)
		return pa_node_error(reader->at, err,
		                     "JSON nested deeper than %d levels; no pipeline needs that",
		                     PA_NODE_MAX_DEPTH);
	if (pa_arena_bytes(reader->arena) > reader->memory_limit_bytes)
		return too_much_memory(reader->at, err);
	if (json_is_object(json)) {
		node = json_new_node(reader, PA_NODE_MAPPING);
		rc = json_mapping(reader, json, depth, node, err);
	} else if (json_is_array(json)) {
		node = json_new_node(reader, PA_NODE_SEQUENCE);
		node->count = (uint32_t)json_array_size(json);
		node->items = pa_arena_array(reader->arena, node->count, sizeof(*node->items));
		for (uint32_t i = 0; i < node->count && rc == 0; i++) {
			rc = json_to_node(reader, json_array_get(json, i), depth + 1, &node->items[i], err);
			if (rc == 0)
				node->walk += node->items[i]->walk;
		}
	} else {
		node = json_new_node(reader, PA_NODE_SCALAR);
		json_scalar(reader, json, node);
	}
	if (rc == 0)
		*ret = node;
	return rc;
}

/* An upper bound of what Jansson takes for a text: it has no limit of its own. */
static size_t json_tree_bytes(const char *text, size_t bytes)
{
	size_t values = 1, members = 0;

	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '"') {
			for (i++; i < bytes && text[i] != '"'; i++)
				i += text[i] == '\\';
		} else if (text[i] == ',' || text[i] == '[' || text[i] == '{') {
			values++;
		} else if (text[i] == ':') {
			members++;
		}
	}
	return bytes + values * JSON_VALUE_BYTES + members * JSON_MEMBER_BYTES;
}

int node_read_json(struct pa_arena *arena, const struct pa_node *at, const char *text, size_t bytes,
                   size_t limit_bytes, const struct pa_node **ret, struct pa_error *err)
{
	size_t tree_bytes = json_tree_bytes(text, bytes);
	json_error_t problem;

	if (tree_bytes > limit_bytes)
		return too_much_memory(at, err);
	struct json_reader reader = {arena, at, pa_arena_bytes(arena) + limit_bytes - tree_bytes};
	json_t *json = json_loadb(text, bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &problem);
	if (json == NULL)
		return pa_node_error(at, err, "not JSON: line %d, column %d of the text: %s; correct it",
		                     problem.line, problem.column, problem.text);
	int rc = json_to_node(&reader, json, 1, ret, err);
	json_decref(json);
	return rc;
}

int pa_document_read_json(struct pa_arena *arena, const struct pa_node *at, const char *text, size_t bytes,
                          const struct pa_node **ret, struct pa_error *err)
{
	return node_read_json(arena, at, text, bytes, node_memory_limit_bytes(bytes), ret, err);
}

static size_t count_digits(const char *text)
{
	return strspn(text, "0123456789");
}

/* A number as JSON writes it: YAML's 010, 0x10, 1_000 and .5 are none. */
static bool text_is_json_number(const char *text)
{
	if (*text == '-')
		text++;
	size_t whole = count_digits(text);
	if (whole == 0 || (whole > 1 && *text == '0'))
		return false;
	text += whole;
	if (*text == '.') {
		size_t fraction = count_digits(++text);
		if (fraction == 0)
			return false;
		text += fraction;
	}
	if (*text == 'e' || *text == 'E') {
		text++;
		if (*text == '+' || *text == '-')
			text++;
		size_t exponent = count_digits(text);
		if (exponent == 0)
			return false;
		text += exponent;
	}
	return *text == '\0';
}

static void json_write_string(struct pa_buffer *out, const char *text)
{
	pa_buffer_puts(out, "\"");
	while (*text != '\0') {
		size_t run = 0;
		while ((unsigned char)text[run] >= 0x20 && text[run] != '"' && text[run] != '\\')
			run++;
		pa_buffer_append(out, text, run);
		text += run;
		if (*text == '\0')
			break;
		if (*text == '"' || *text == '\\')
			pa_buffer_printf(out, "\\%c", *text);
		else if (*text == '\n')
			pa_buffer_puts(out, "\\n");
		else if (*text == '\t')
			pa_buffer_puts(out, "\\t");
		else
			pa_buffer_printf(out, "\\u%04x", (unsigned char)*text);
		text++;
	}
	pa_buffer_puts(out, "\"");
}

static void json_write_scalar(struct pa_buffer *out, const struct pa_node *node)
{
	if (pa_node_is_null(node))
		pa_buffer_puts(out, "null");
	else if (node->plain && (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0 ||
	                         text_is_json_number(node->text)))
		pa_buffer_puts(out, node->text);
	else
		json_write_string(out, node->text);
}

/* Recursion is bounded by PA_NODE_MAX_DEPTH, output by the buffer's limit. */
static void json_write(struct pa_buffer *out, const struct pa_node *node)
{
	if (out->overflowed)
		return;
	switch (node->kind) {
	case PA_NODE_SCALAR:
		json_write_scalar(out, node);
		break;
	case PA_NODE_SEQUENCE:
		for (uint32_t i = 0; i < node->count && !out->overflowed; i++) {
			pa_buffer_puts(out, i == 0 ? "[" : ",");
			json_write(out, node->items[i]);
		}
		pa_buffer_puts(out, node->count == 0 ? "[]" : "]");
		break;
	case PA_NODE_MAPPING:
		for (uint32_t i = 0; i < node->count && !out->overflowed; i++) {
			pa_buffer_puts(out, i == 0 ? "{" : ",");
			json_write_string(out, node->entries[i].key->text);
			pa_buffer_puts(out, ":");
			json_write(out, node->entries[i].value);
		}
		pa_buffer_puts(out, node->count == 0 ? "{}" : "}");
		break;
	}
}

const char *pa_node_to_json(struct pa_arena *arena, const struct pa_node *node)
{
	struct pa_buffer out;
	const char *text = NULL;

	pa_buffer_init(&out, JSON_OUTPUT_MAX_BYTES);
	json_write(&out, node);
	if (!out.overflowed)
		text = pa_arena_strndup(arena, out.data, out.length);
	pa_buffer_done(&out);
	return text;
}
