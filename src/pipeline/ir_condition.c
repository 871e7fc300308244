/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions: expressions over the inputs of a call, as `inputs.parameter_values['x'] == 'heads'` or, older,
 * `inputs.parameters['x'].string_value == 'heads'`.  What is known is put in as a literal of the expression. */
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_analysis_internal.h"
#include "pipeline/template_text.h"

/* One such reference: text[begin..end). */
struct operand {
	size_t begin, end;
	const char *name; /* points into the text */
	size_t name_bytes;
	bool quoted; /* a literal of it needs quotes, as far as the text says: .string_value */
	bool typed;  /* the text says so */
};

static bool skip_text(const char **at, const char *text)
{
	if (strncmp(*at, text, strlen(text)) != 0)
		return false;
	*at += strlen(text);
	return true;
}

/* Reads an operand that may begin at `start`. */
static bool read_operand(const char *text, const char *start, struct operand *ret)
{
	const char *at = start;
	bool legacy = false;

	if (!skip_text(&at, "inputs.parameter_values[")) {
		legacy = true;
		if (!skip_text(&at, "inputs.parameters["))
			return false;
	}
	const char *end = *at == '\'' || *at == '"' ? strchr(at + 1, *at) : NULL;
	if (end == NULL || end[1] != ']')
		return false;
	*ret = (struct operand){
	    .begin = (size_t)(start - text), .name = at + 1, .name_bytes = (size_t)(end - at - 1)};
	at = end + 2;
	if (legacy) {
		ret->typed = true;
		ret->quoted = skip_text(&at, ".string_value");
		if (!ret->quoted && !skip_text(&at, ".int_value") && !skip_text(&at, ".double_value"))
			return false;
	}
	ret->end = (size_t)(at - text);
	return true;
}

static bool next_operand(const char *text, size_t offset, struct operand *ret)
{
	const char *start = text + offset;

	while ((start = strstr(start, "inputs.parameter")) != NULL) {
		if (read_operand(text, start, ret))
			return true;
		start++;
	}
	return false;
}

static bool needs_quotes(const struct operand *operand, const struct ir_input *input)
{
	const char *type = input->definition == NULL ? NULL : input->definition->type;

	if (operand->typed)
		return operand->quoted;
	return type == NULL || strcmp(type, "STRING") == 0;
}

static void append_literal(struct pa_buffer *out, const char *text, bool quoted)
{
	if (!quoted) {
		pa_buffer_puts(out, text);
		return;
	}
	pa_buffer_append(out, "'", 1);
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			pa_buffer_append(out, "\\", 1);
		pa_buffer_append(out, text, 1);
	}
	pa_buffer_append(out, "'", 1);
}

static void append_operand(struct ir_analysis *analysis, struct ir_place *place, const char *text,
                           const struct operand *operand, struct pa_buffer *out)
{
	const char *name = pa_arena_strndup(analysis->budget->arena, operand->name, operand->name_bytes);
	size_t input = ir_find_input(place, name, false);
	const struct ir_value *value = input == SIZE_MAX ? NULL : ir_input_value(analysis, place, input);

	if (value != NULL && value->knowledge == IR_KNOWN)
		append_literal(out, value->text, needs_quotes(operand, &place->inputs[input]));
	else
		pa_buffer_append(out, text + operand->begin, operand->end - operand->begin);
}

int ir_fill_condition(struct ir_analysis *analysis, struct ir_place *place, const char **ret,
                      struct pa_error *err)
{
	const char *text = place->call->condition;
	struct operand operand;
	struct pa_buffer out;
	size_t offset = 0;

	*ret = text;
	if (text == NULL || !next_operand(text, 0, &operand))
		return 0;
	pa_buffer_init(&out, PA_TEMPLATE_TEXT_MAX_BYTES);
	while (next_operand(text, offset, &operand)) {
		pa_buffer_append(&out, text + offset, operand.begin - offset);
		append_operand(analysis, place, text, &operand, &out);
		offset = operand.end;
	}
	pa_buffer_puts(&out, text + offset);
	bool overflowed = out.overflowed;
	if (!overflowed)
		*ret = pa_arena_strndup(analysis->budget->arena, out.data, out.length);
	pa_buffer_done(&out);
	if (overflowed)
		return pa_node_error(
		    place->call->node, err,
		    "the condition of '%.100s' with its values filled in is larger than %u MiB; shorten "
		    "the values",
		    place->call->key, PA_TEMPLATE_TEXT_MAX_BYTES >> 20);
	return pa_budget_check(analysis->budget, 0, place->call->node, err);
}
