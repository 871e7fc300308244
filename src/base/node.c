/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about nodes. */
#include "base/node.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

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

const struct pa_node *pa_node_get(const struct pa_node *node, const char *key)
{
	return node_get_part(node, key, strlen(key));
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
