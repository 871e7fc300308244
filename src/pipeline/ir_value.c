/* SPDX-License-Identifier: Apache-2.0 */
/* Values that the file itself gives: the pipeline's parameters, constants, defaults, and what is passed down. */
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_analysis_internal.h"
#include "pipeline/template_text.h"

#define REFERENCE_START "{{$.inputs.parameters["

bool ir_reference_next(const char *text, size_t offset, struct ir_reference *ret)
{
	const char *start = text + offset;

	while ((start = strstr(start, REFERENCE_START)) != NULL) {
		const char *quote = start + strlen(REFERENCE_START);
		const char *end = *quote == '\'' || *quote == '"' ? strchr(quote + 1, *quote) : NULL;
		if (end != NULL && strncmp(end + 1, "]}}", 3) == 0) {
			*ret = (struct ir_reference){.begin = (size_t)(start - text),
			                             .end = (size_t)(end + 4 - text),
			                             .name = quote + 1,
			                             .name_bytes = (size_t)(end - quote - 1)};
			return true;
		}
		start = quote;
	}
	return false;
}

size_t ir_find_input(const struct ir_place *place, const char *name, bool artifact)
{
	size_t index = SIZE_MAX;

	/* A call that is not followed, for it is one of itself, has none. */
	if (place->inputs == NULL)
		return SIZE_MAX;
	if (place->component != NULL)
		index = pa_name_table_get(artifact ? &place->component->input_artifacts
		                                   : &place->component->input_parameters,
		                          name);
	if (index != SIZE_MAX || place->call == NULL)
		return index;
	index = pa_name_table_get(artifact ? &place->call->artifacts : &place->call->parameters, name);
	return index == SIZE_MAX ? SIZE_MAX : place->argument_inputs[index];
}

/* Values refer to values only so deep; past that, or past the budget, nothing is known: the search for origins or
 * the budget's next check is the error. */
static bool may_go_deeper(const struct ir_analysis *analysis)
{
	return analysis->reference_depth < IR_MAX_REFERENCE_DEPTH &&
	       pa_arena_bytes(analysis->budget->arena) <= analysis->budget->limit_bytes;
}

static const struct ir_value *value_of_reference(struct ir_analysis *analysis, struct ir_place *place,
                                                 const struct ir_reference *reference)
{
	const char *name = pa_arena_strndup(analysis->budget->arena, reference->name, reference->name_bytes);
	size_t input = ir_find_input(place, name, false);

	return input == SIZE_MAX ? NULL : ir_input_value(analysis, place, input);
}

/* Fills in, and says whether references to inputs are left. */
static int fill_text(struct ir_analysis *analysis, struct ir_place *place, const char *text, const char **ret,
                     bool *ret_open, struct pa_error *err)
{
	struct ir_reference reference;
	struct pa_buffer out;
	size_t offset = 0;

	*ret = text;
	*ret_open = false;
	if (!ir_reference_next(text, 0, &reference))
		return 0;
	pa_buffer_init(&out, PA_TEMPLATE_TEXT_MAX_BYTES);
	while (ir_reference_next(text, offset, &reference)) {
		const struct ir_value *value = value_of_reference(analysis, place, &reference);
		bool known = value != NULL && value->knowledge == IR_KNOWN;
		pa_buffer_append(&out, text + offset, reference.begin - offset);
		if (known)
			pa_buffer_puts(&out, value->text);
		else
			pa_buffer_append(&out, text + reference.begin, reference.end - reference.begin);
		*ret_open |= !known;
		offset = reference.end;
	}
	pa_buffer_puts(&out, text + offset);
	const struct pa_node *at = place->call == NULL ? analysis->spec->node : place->call->node;
	bool overflowed = out.overflowed;
	int rc = overflowed ? 0 : pa_budget_check(analysis->budget, out.length, at, err);
	if (rc == 0 && !overflowed)
		*ret = pa_arena_strndup(analysis->budget->arena, out.data, out.length);
	pa_buffer_done(&out);
	if (overflowed)
		return pa_node_error(
		    at, err, "a text with its values filled in is larger than %u MiB; shorten the values",
		    PA_TEMPLATE_TEXT_MAX_BYTES >> 20);
	return rc;
}

int ir_fill(struct ir_analysis *analysis, struct ir_place *place, const char *text, const char **ret,
            struct pa_error *err)
{
	bool open;

	return fill_text(analysis, place, text, ret, &open, err);
}

static struct ir_value constant_value(struct ir_analysis *analysis, struct ir_place *place, const char *text)
{
	struct ir_value value = {.knowledge = IR_ABSENT};
	struct pa_error ignored = PA_ERROR_INIT;
	bool open;

	if (text == NULL)
		return value;
	if (fill_text(analysis, place, text, &value.text, &open, &ignored) < 0)
		value.text = NULL;
	value.knowledge = value.text == NULL || open ? IR_ONLY_IN_A_RUN : IR_KNOWN;
	return value;
}

static struct ir_value pipeline_value(const struct ir_analysis *analysis, const char *name, bool optional)
{
	size_t index = pa_name_table_get(&analysis->parameter_index, name);
	struct ir_value value = {.knowledge = optional ? IR_ABSENT : IR_ONLY_IN_A_RUN};

	if (index == SIZE_MAX)
		return value;
	const struct pa_pipeline_parameter *parameter = &analysis->pipeline->parameters[index];
	value.text = parameter->value != NULL ? parameter->value : parameter->default_value;
	if (value.text != NULL)
		value.knowledge = IR_KNOWN;
	return value;
}

static struct ir_value whole_value(struct ir_analysis *analysis, struct ir_place *place,
                                   const struct ir_argument *argument)
{
	struct ir_value unknown = {.knowledge = IR_ONLY_IN_A_RUN};

	if (!may_go_deeper(analysis))
		return unknown;
	if (argument->source == IR_CONSTANT)
		return constant_value(analysis, place, argument->text);
	if (argument->source == IR_PARAMETER_VALUE)
		return pipeline_value(analysis, argument->text, false);
	if (argument->source != IR_INPUT || place->parent == NULL)
		return unknown;
	size_t input = ir_find_input(place->parent, argument->text, false);
	return input == SIZE_MAX ? unknown : *ir_input_value(analysis, place->parent, input);
}

struct ir_value ir_argument_value(struct ir_analysis *analysis, struct ir_place *place,
                                  const struct ir_argument *argument)
{
	struct ir_value whole = whole_value(analysis, place, argument);

	return argument->selector == NULL ? whole : ir_select(analysis, argument->selector, &whole);
}

/* The list that a loop goes over, where it is known: what all of its items say, some item says. */
static const char *list_text(struct ir_analysis *analysis, struct ir_place *place)
{
	const struct ir_call *call = place->call;
	size_t list = call->loop_list == NULL ? SIZE_MAX : ir_find_input(place, call->loop_list, false);

	if (call->loop_raw != NULL || call->loop_artifact || list == SIZE_MAX)
		return call->loop_raw;
	return ir_input_value(analysis, place, list)->text;
}

/* What the call gives, else the component's default. */
static struct ir_value given_value(struct ir_analysis *analysis, struct ir_place *place,
                                   const struct ir_input *input)
{
	const struct ir_definition *definition = input->definition;
	struct ir_value value = {.knowledge = IR_ABSENT};

	if (input->item)
		return (struct ir_value){.knowledge = IR_ONLY_IN_A_RUN, .text = list_text(analysis, place)};
	if (input->argument != NULL)
		value = ir_argument_value(analysis, place, input->argument);
	if (value.knowledge != IR_ABSENT || definition == NULL)
		return value;
	if (definition->default_value != NULL)
		return (struct ir_value){.knowledge = IR_KNOWN, .text = definition->default_value};
	if (!definition->optional)
		value.knowledge = IR_ONLY_IN_A_RUN;
	return value;
}

/* "200.0" as an integer is "200": numbers of a JSON document have no kind, the parameter that takes one has. */
static const char *of_type(const struct ir_analysis *analysis, const struct ir_definition *definition,
                           const char *text)
{
	size_t digits, zeros;

	if (text == NULL || definition == NULL || definition->type == NULL ||
	    (strcmp(definition->type, "NUMBER_INTEGER") != 0 && strcmp(definition->type, "INT") != 0))
		return text;
	digits = strspn(text, "-0123456789");
	if (text[digits] != '.')
		return text;
	zeros = strspn(text + digits + 1, "0");
	if (digits == 0 || zeros == 0 || text[digits + 1 + zeros] != '\0')
		return text;
	return pa_arena_strndup(analysis->budget->arena, text, digits);
}

const struct ir_value *ir_input_value(struct ir_analysis *analysis, struct ir_place *place, size_t index)
{
	struct ir_input *input = &place->inputs[index];
	struct ir_value *value = &input->value;
	struct ir_value found;

	if (value->done || value->busy)
		return value;
	value->busy = true;
	analysis->reference_depth++;
	if (place->call == NULL)
		found = pipeline_value(analysis, input->name, input->definition->optional);
	else
		found = given_value(analysis, place, input);
	analysis->reference_depth--;
	*value = (struct ir_value){.knowledge = found.knowledge,
	                           .text = of_type(analysis, input->definition, found.text),
	                           .done = true};
	return value;
}

bool ir_input_is_present(struct ir_analysis *analysis, struct ir_place *place, const char *name)
{
	size_t index = ir_find_input(place, name, false);

	if (index != SIZE_MAX)
		return ir_input_value(analysis, place, index)->knowledge != IR_ABSENT;
	/* An artifact: passed down from somewhere. */
	for (;;) {
		index = ir_find_input(place, name, true);
		if (index == SIZE_MAX)
			return false;
		const struct ir_input *input = &place->inputs[index];
		if (place->call == NULL)
			return !input->definition->optional ||
			       pipeline_value(analysis, input->name, true).knowledge == IR_KNOWN;
		if (input->argument == NULL || input->argument->source == IR_NO_SOURCE)
			return input->item;
		if (input->argument->source != IR_INPUT)
			return true;
		name = input->argument->text;
		place = place->parent;
	}
}
