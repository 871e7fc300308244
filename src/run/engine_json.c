/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as loops need it.  Items are cut out of the text as written: a number must reach the task with the digits
 * that the list had, which reading it to a double and printing that does not give. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "run/engine_internal.h"

void pa_engine_json_quote(struct pa_buffer *out, const char *text)
{
	pa_buffer_puts(out, "\"");
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		if (*at == '"' || *at == '\\')
			pa_buffer_printf(out, "\\%c", *at);
		else if (*at == '\n')
			pa_buffer_puts(out, "\\n");
		else if (*at == '\t')
			pa_buffer_puts(out, "\\t");
		else if (*at < 0x20)
			pa_buffer_printf(out, "\\u%04x", *at);
		else
			pa_buffer_append(out, at, 1);
	}
	pa_buffer_puts(out, "\"");
}

const char *pa_engine_json_quoted(struct pa_arena *arena, const char *text)
{
	struct pa_buffer out;
	pa_buffer_init(&out, PA_ENGINE_MAX_TEXT_BYTES);
	pa_engine_json_quote(&out, text);
	const char *quoted = pa_arena_strdup(arena, out.data);
	pa_buffer_done(&out);
	return quoted;
}

static json_t *json_read(const char *text)
{
	return json_loads(text, JSON_DECODE_ANY, NULL);
}

/* Argo's rules: of parameters, if every value is a JSON list or object they stay JSON, else all are texts; of results,
 * each that is JSON of any kind stays so. */
const char *pa_engine_json_list(struct pa_arena *arena, const char *const *values, size_t count,
                                bool any_json)
{
	bool all = true;
	bool *is_json = pa_arena_array(arena, count, sizeof(*is_json));
	for (size_t i = 0; i < count; i++) {
		json_t *value = json_read(values[i]);
		is_json[i] = value && (any_json || json_is_object(value) || json_is_array(value));
		all = all && is_json[i];
		json_decref(value);
	}
	struct pa_buffer out;
	pa_buffer_init(&out, PA_ENGINE_MAX_TEXT_BYTES);
	pa_buffer_puts(&out, "[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			pa_buffer_puts(&out, ",");
		if (any_json ? is_json[i] : all)
			pa_buffer_puts(&out, values[i]);
		else
			pa_engine_json_quote(&out, values[i]);
	}
	pa_buffer_puts(&out, "]");
	const char *text = out.overflowed ? NULL : pa_arena_strdup(arena, out.data);
	pa_buffer_done(&out);
	return text;
}

/* The end of the JSON value that begins at `at`, in a text that is known to be JSON without blanks between tokens. */
static const char *value_end(const char *at)
{
	size_t depth = 0;
	for (; *at; at++) {
		if (*at == '"') {
			for (at++; *at != '"'; at++)
				if (*at == '\\')
					at++;
		} else if (*at == '[' || *at == '{') {
			depth++;
		} else if (*at == ']' || *at == '}') {
			if (depth == 0)
				return at;
			depth--;
		} else if (*at == ',' && depth == 0) {
			return at;
		}
	}
	return at;
}

static char *without_blanks(struct pa_arena *arena, const char *text)
{
	char *out = pa_arena_alloc(arena, strlen(text) + 1);
	size_t length = 0;
	bool quoted = false;
	for (; *text; text++) {
		if (!quoted && strchr(" \t\r\n", *text))
			continue;
		out[length++] = *text;
		if (quoted && *text == '\\' && text[1])
			out[length++] = *++text;
		else if (*text == '"')
			quoted = !quoted;
	}
	return out;
}

/* A JSON value as {{item}} shows it: a string without its quotes, anything else as it is. */
static const char *value_shown(struct pa_arena *arena, const char *json)
{
	if (json[0] != '"')
		return json;
	json_t *value = json_read(json);
	const char *text = value ? pa_arena_strdup(arena, json_string_value(value)) : json;
	json_decref(value);
	return text;
}

int pa_engine_json_items(struct pa_arena *arena, const char *text, struct pa_engine_item **ret,
                         size_t *ret_count, struct pa_error *err)
{
	json_t *list = json_read(text);
	size_t count = json_array_size(list);
	bool is_list = json_is_array(list);
	json_decref(list);
	if (!is_list)
		return pa_error_set(err, PA_ERROR_INPUT, "its items are not a JSON list: %.200s", text);
	if (count > PA_ENGINE_MAX_ITEMS)
		return pa_error_set(err, PA_ERROR_INPUT, "its list has %zu items, the limit is %d", count,
		                    PA_ENGINE_MAX_ITEMS);
	struct pa_engine_item *items = pa_arena_array(arena, count, sizeof(*items));
	const char *at = without_blanks(arena, text) + 1;
	for (size_t i = 0; i < count; i++) {
		const char *end = value_end(at);
		items[i].json = pa_arena_strndup(arena, at, (size_t)(end - at));
		items[i].text = value_shown(arena, items[i].json);
		at = end + 1;
	}
	*ret = items;
	*ret_count = count;
	return 0;
}

const char *pa_engine_json_member(struct pa_arena *arena, const char *object, const char *key)
{
	if (object[0] != '{')
		return NULL;
	for (const char *at = object + 1; *at == '"';) {
		const char *name_end = at + 1;
		while (*name_end != '"')
			name_end += *name_end == '\\' ? 2 : 1;
		const char *name =
		    value_shown(arena, pa_arena_strndup(arena, at, (size_t)(name_end + 1 - at)));
		const char *value = name_end + 2;
		const char *end = value_end(value);
		if (strcmp(name, key) == 0)
			return value_shown(arena, pa_arena_strndup(arena, value, (size_t)(end - value)));
		at = *end == ',' ? end + 1 : end;
	}
	return NULL;
}
