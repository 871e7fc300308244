/* SPDX-License-Identifier: Apache-2.0 */
/* Loops: withItems, withParam and withSequence to a list of items. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "run/engine_internal.h"

#define SUFFIX_MAX_BYTES 40

bool pa_engine_call_is_loop(const struct pa_call *call)
{
	return call->with_items || call->with_param || call->with_sequence;
}

/* `name(0:a)` as Argo writes it, kept short and fit for a file name: the index alone makes it unique. */
const char *pa_engine_item_suffix(struct pa_arena *arena, size_t index, const char *text)
{
	char shown[SUFFIX_MAX_BYTES + 1];
	size_t length = 0;
	for (; *text && length < SUFFIX_MAX_BYTES; text++) {
		unsigned char byte = (unsigned char)*text;
		if (!strchr("{}[]\"", byte))
			shown[length++] = isalnum(byte) || strchr("._=-", byte) ? (char)byte : '_';
	}
	shown[length] = '\0';
	return pa_arena_printf(arena, "(%zu:%s)", index, shown);
}

static int sequence_number(struct pa_engine_scope *scope, const struct pa_node *sequence, const char *key,
                           int64_t *ret, struct pa_error *err)
{
	const char *text = pa_node_text(pa_node_get(sequence, key));
	const char *filled;
	int status = pa_engine_expand(scope, text, &filled, err);
	if (status < 0)
		return status;
	char *end;
	errno = 0;
	long long number = strtoll(filled, &end, 10);
	if (end == filled || *end || errno || number > INT32_MAX || number < INT32_MIN)
		return pa_node_error(sequence, err, "withSequence.%s is no whole number of 32 bits: '%.100s'",
		                     key, filled);
	*ret = number;
	return 0;
}

/* Go's %d, %03d, %x, %X, %o, %%, with a width of at most 64. */
static const char *sequence_format(struct pa_arena *arena, const char *format, long long number)
{
	struct pa_buffer out;
	pa_buffer_init(&out, PA_ENGINE_MAX_PARAMETER_BYTES);
	for (const char *at = format; *at; at++) {
		if (*at != '%') {
			pa_buffer_append(&out, at, 1);
			continue;
		}
		at++;
		bool zero = *at == '0';
		int width = 0;
		for (; isdigit((unsigned char)*at) && width <= 64; at++)
			width = width * 10 + (*at - '0');
		if (*at == '%')
			pa_buffer_puts(&out, "%");
		else if (*at == 'd' && width <= 64)
			pa_buffer_printf(&out, zero ? "%0*lld" : "%*lld", width, number);
		else if (*at == 'x' && width <= 64)
			pa_buffer_printf(&out, zero ? "%0*llx" : "%*llx", width, number);
		else if (*at == 'X' && width <= 64)
			pa_buffer_printf(&out, zero ? "%0*llX" : "%*llX", width, number);
		else if (*at == 'o' && width <= 64)
			pa_buffer_printf(&out, zero ? "%0*llo" : "%*llo", width, number);
		else
			goto unknown;
	}
	const char *text = pa_arena_strdup(arena, out.data);
	pa_buffer_done(&out);
	return text;
unknown:
	pa_buffer_done(&out);
	return NULL;
}

static int sequence_items(struct pa_engine_scope *scope, const struct pa_node *sequence,
                          struct pa_engine_item **ret, size_t *ret_count, struct pa_error *err)
{
	struct pa_arena *arena = &scope->engine->arena;
	int64_t start = 0, end = 0, count = 0;
	bool by_count = pa_node_get(sequence, "count") != NULL;
	if (!by_count && !pa_node_get(sequence, "end"))
		return pa_node_error(sequence, err, "withSequence has neither count nor end");
	int status = 0;
	if (pa_node_get(sequence, "start"))
		status = sequence_number(scope, sequence, "start", &start, err);
	if (status == 0)
		status = by_count ? sequence_number(scope, sequence, "count", &count, err)
		                  : sequence_number(scope, sequence, "end", &end, err);
	if (status < 0)
		return status;
	int64_t step = !by_count && end < start ? -1 : 1;
	if (!by_count)
		count = (end - start) * step + 1;
	if (count < 0)
		count = 0;
	if (count > PA_ENGINE_MAX_ITEMS)
		return pa_node_error(sequence, err, "withSequence has %lld items, the limit is %d",
		                     (long long)count, PA_ENGINE_MAX_ITEMS);
	const char *format = pa_node_text(pa_node_get(sequence, "format"));
	struct pa_engine_item *items = pa_arena_array(arena, (size_t)count, sizeof(*items));
	for (int64_t i = 0; i < count; i++) {
		items[i].text = sequence_format(arena, format ? format : "%d", (long long)(start + i * step));
		if (!items[i].text)
			return pa_node_error(
			    sequence, err,
			    "withSequence.format '%.100s' is not understood; use %%d, %%x, %%X or %%o",
			    format);
		items[i].json = pa_engine_json_quoted(arena, items[i].text);
	}
	*ret = items;
	*ret_count = (size_t)count;
	return 0;
}

int pa_engine_loop_items(struct pa_engine_scope *scope, const struct pa_call *call,
                         struct pa_engine_item **ret, size_t *ret_count, struct pa_error *err)
{
	struct pa_arena *arena = &scope->engine->arena;
	if (call->with_sequence)
		return sequence_items(scope, call->with_sequence, ret, ret_count, err);
	const char *list;
	int status;
	if (call->with_items) {
		/* References stand inside the list's JSON, so values are written as JSON there. */
		struct pa_engine_scope in_json = *scope;
		in_json.json = true;
		const char *json = pa_node_to_json(arena, call->with_items);
		if (!json)
			return pa_node_error(call->with_items, err, "withItems is too long");
		status = pa_engine_expand(&in_json, json, &list, err);
	} else {
		status = pa_engine_expand(scope, call->with_param, &list, err);
	}
	if (status < 0)
		return status;
	return pa_engine_json_items(arena, list, ret, ret_count, err);
}
