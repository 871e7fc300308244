/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions that take a part of a value, as the SDK writes them for `item.key`: `parseJson(string_value)["key"]`,
 * with more keys behind it for parts of parts. */
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_analysis_internal.h"
#include "pipeline/template_text.h"

#define WHOLE_VALUE "parseJson(string_value)"

/* Steps over one `["key"]`; NULL: something else stands there. */
static const char *skip_key(struct pa_arena *arena, const char *at, const char **ret_key)
{
	const char *quote = at[0] == '[' && (at[1] == '"' || at[1] == '\'') ? at + 1 : NULL;
	const char *end = quote == NULL ? NULL : strchr(quote + 1, *quote);

	if (end == NULL || end[1] != ']')
		return NULL;
	*ret_key = pa_arena_strndup(arena, quote + 1, (size_t)(end - quote - 1));
	return end + 2;
}

/* NULL: it has no such part. */
static const struct pa_node *part_of(struct pa_arena *arena, const struct pa_node *node, const char *keys)
{
	while (node != NULL && keys != NULL && *keys != '\0') {
		const char *key;
		keys = skip_key(arena, keys, &key);
		node = keys == NULL ? NULL : pa_node_get(node, key);
	}
	return pa_node_is_null(node) ? NULL : node;
}

/* The parts of all items, as a list without its end; lists in the list are those of loops in the loop.
 * Recursion ends at PA_NODE_MAX_DEPTH. */
static void join_parts(struct pa_arena *arena, const struct pa_node *node, const char *keys,
                       struct pa_buffer *out)
{
	if (pa_node_is_sequence(node)) {
		for (uint32_t i = 0; i < node->count; i++)
			join_parts(arena, node->items[i], keys, out);
		return;
	}
	const struct pa_node *part = part_of(arena, node, keys);
	if (part == NULL)
		return;
	pa_buffer_puts(out, out->length == 0 ? "[" : ",");
	pa_buffer_puts(out, pa_node_to_json(arena, part));
}

/* The part of an item, of which only the list is known. */
static const char *select_of_items(struct ir_analysis *analysis, struct pa_arena *scratch,
                                   const struct pa_node *list, const char *keys)
{
	const char *text = NULL;
	struct pa_buffer out;

	pa_buffer_init(&out, PA_TEMPLATE_TEXT_MAX_BYTES);
	join_parts(scratch, list, keys, &out);
	if (out.length > 0)
		pa_buffer_puts(&out, "]");
	if (out.length > 0 && !out.overflowed)
		text = pa_arena_strndup(analysis->budget->arena, out.data, out.length);
	pa_buffer_done(&out);
	return text;
}

static const char *select_of_value(struct ir_analysis *analysis, struct pa_arena *scratch,
                                   const struct pa_node *value, const char *keys)
{
	const struct pa_node *part = part_of(scratch, value, keys);

	if (part == NULL)
		return NULL;
	return pa_arena_strdup(analysis->budget->arena,
	                       part->kind == PA_NODE_SCALAR ? part->text : pa_node_to_json(scratch, part));
}

/* The part's text; NULL: the expression is another, or there is no such part. */
static const char *select_text(struct ir_analysis *analysis, const char *expression,
                               const struct ir_value *whole)
{
	struct pa_arena scratch = PA_ARENA_INIT;
	struct pa_error ignored = PA_ERROR_INIT;
	const struct pa_node *value;
	const char *text = NULL;

	if (strncmp(expression, WHOLE_VALUE, strlen(WHOLE_VALUE)) != 0)
		return NULL;
	const char *keys = expression + strlen(WHOLE_VALUE);
	if (pa_document_read_json(&scratch, analysis->spec->node, whole->text, strlen(whole->text), &value,
	                          &ignored) == 0) {
		bool items = whole->knowledge != IR_KNOWN && pa_node_is_sequence(value);
		text = items ? select_of_items(analysis, &scratch, value, keys)
		             : select_of_value(analysis, &scratch, value, keys);
	}
	pa_arena_done(&scratch);
	return text;
}

struct ir_value ir_select(struct ir_analysis *analysis, const char *expression, const struct ir_value *whole)
{
	struct pa_arena *arena = analysis->budget->arena;
	struct ir_value part = {.knowledge = IR_ONLY_IN_A_RUN};

	if (whole->text == NULL)
		return part;
	/* Many tasks may take the same part of one long list; what is passed on keeps its address. */
	const char *key =
	    pa_arena_printf(arena, "%p %d %s", (const void *)whole->text, (int)whole->knowledge, expression);
	size_t index = pa_name_table_put(&analysis->part_index, key, analysis->part_count);
	if (index == SIZE_MAX) {
		index = analysis->part_count;
		analysis->parts = pa_arena_grow(arena, analysis->parts, analysis->part_count,
		                                &analysis->part_capacity, sizeof(*analysis->parts));
		analysis->parts[analysis->part_count++] = select_text(analysis, expression, whole);
	}
	part.text = analysis->parts[index];
	if (part.text != NULL)
		part.knowledge = whole->knowledge;
	return part;
}
