/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines.  An element may be JSON of its own that says what stands there:
 *
 *   {"Concat": [PART, …]}                                          the parts, joined to one element
 *   {"IfPresent": {"InputName": NAME, "Then": …, "Else": …}}       elements, depending on whether NAME is given
 *
 * Both are written out: whether an input is given is known from the file. */
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_analysis_internal.h"
#include "pipeline/template_text.h"

struct command {
	struct ir_analysis *analysis;
	struct ir_place *place;
	const struct pa_node *at; /* the element, for errors */
	const char **texts;
	size_t count, capacity;
};

static int add_text(struct command *command, const char *text, struct pa_error *err)
{
	int rc = ir_fill(command->analysis, command->place, text, &text, err);

	if (rc < 0)
		return rc;
	command->texts = pa_arena_grow(command->analysis->budget->arena, command->texts, command->count,
	                               &command->capacity, sizeof(*command->texts));
	command->texts[command->count++] = text;
	return pa_budget_check(command->analysis->budget, 0, command->at, err);
}

/* The one key of a structure, and what stands under it; NULL: it is none. */
static const struct pa_node *structure(const struct pa_node *node, const char *key)
{
	return pa_node_is_mapping(node) && node->count == 1 ? pa_node_get(node, key) : NULL;
}

/* What an IfPresent comes to; NULL: nothing. */
static const struct pa_node *choose(struct command *command, const struct pa_node *condition)
{
	const char *name = pa_node_text(pa_node_get(condition, "InputName"));
	bool present = name != NULL && ir_input_is_present(command->analysis, command->place, name);

	return pa_node_get(condition, present ? "Then" : "Else");
}

/* Appends the text of one part of a Concat.  The reader of documents bounds the depth. */
static int join_part(struct command *command, const struct pa_node *node, struct pa_buffer *out,
                     struct pa_error *err)
{
	const struct pa_node *condition = structure(node, "IfPresent");
	const struct pa_node *parts = structure(node, "Concat");
	const char *text = pa_node_text(node);
	int rc = 0;

	if (condition != NULL)
		return join_part(command, choose(command, condition), out, err);
	if (parts == NULL && pa_node_is_sequence(node))
		parts = node;
	for (uint32_t i = 0; pa_node_is_sequence(parts) && i < parts->count && rc == 0; i++)
		rc = join_part(command, parts->items[i], out, err);
	if (text == NULL)
		return rc;
	rc = ir_fill(command->analysis, command->place, text, &text, err);
	if (rc == 0)
		pa_buffer_puts(out, text);
	return rc;
}

static int add_joined(struct command *command, const struct pa_node *node, struct pa_error *err)
{
	struct pa_arena *arena = command->analysis->budget->arena;
	struct pa_buffer out;

	pa_buffer_init(&out, PA_TEMPLATE_TEXT_MAX_BYTES);
	int rc = join_part(command, node, &out, err);
	bool overflowed = out.overflowed;
	const char *text = rc == 0 && !overflowed ? pa_arena_strndup(arena, out.data, out.length) : NULL;
	pa_buffer_done(&out);
	if (rc == 0 && overflowed)
		return pa_node_error(
		    command->at, err,
		    "an argument with its values filled in is larger than %u MiB; shorten the values",
		    PA_TEMPLATE_TEXT_MAX_BYTES >> 20);
	if (rc < 0)
		return rc;
	command->texts =
	    pa_arena_grow(arena, command->texts, command->count, &command->capacity, sizeof(*command->texts));
	command->texts[command->count++] = text;
	return pa_budget_check(command->analysis->budget, 0, command->at, err);
}

static int add_node(struct command *command, const struct pa_node *node, struct pa_error *err)
{
	const struct pa_node *condition = structure(node, "IfPresent");
	int rc = 0;

	if (condition != NULL)
		return add_node(command, choose(command, condition), err);
	if (structure(node, "Concat") != NULL)
		return add_joined(command, node, err);
	if (pa_node_is_sequence(node)) {
		for (uint32_t i = 0; i < node->count && rc == 0; i++)
			rc = add_node(command, node->items[i], err);
		return rc;
	}
	if (pa_node_is_null(node))
		return 0;
	return add_text(command,
	                node->kind == PA_NODE_SCALAR
	                    ? node->text
	                    : pa_node_to_json(command->analysis->budget->arena, node),
	                err);
}

static bool may_be_structure(const char *text)
{
	text += strspn(text, " \t\r\n");
	if (*text++ != '{')
		return false;
	text += strspn(text, " \t\r\n");
	return strncmp(text, "\"IfPresent\"", 11) == 0 || strncmp(text, "\"Concat\"", 8) == 0;
}

static int add_element(struct command *command, const struct pa_node *node, struct pa_error *err)
{
	struct pa_error ignored = PA_ERROR_INIT;
	const struct pa_node *parsed;

	command->at = node;
	if (node->kind == PA_NODE_SEQUENCE)
		return pa_node_error(node, err, "an element of a command must be a text; correct the file");
	if (node->kind == PA_NODE_SCALAR && may_be_structure(node->text) &&
	    pa_document_read_json(command->analysis->budget->arena, node, node->text, node->length, &parsed,
	                          &ignored) == 0)
		node = parsed;
	else if (node->kind == PA_NODE_SCALAR)
		return add_text(command, node->text, err);
	int rc = pa_budget_check(command->analysis->budget, 0, command->at, err);
	return rc < 0 ? rc : add_node(command, node, err);
}

int ir_fill_command(struct ir_analysis *analysis, struct ir_place *place, const struct pa_node *list,
                    const char ***ret, size_t *ret_count, struct pa_error *err)
{
	struct command command = {.analysis = analysis, .place = place};
	int rc = 0;

	for (uint32_t i = 0; list != NULL && i < list->count && rc == 0; i++)
		rc = add_element(&command, list->items[i], err);
	*ret = command.texts;
	*ret_count = command.count;
	return rc;
}
