/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/template_text.h"

#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The end of what `{{` opened: the offset of its `}}`, or SIZE_MAX.  Quotes count in expressions only. */
static size_t find_end(const char *text, size_t at)
{
	const char *begin = text + at + strspn(text + at, " \t\r\n");

	if (*begin != '=') {
		const char *end = strstr(text + at, "}}");
		return end == NULL ? SIZE_MAX : (size_t)(end - text);
	}
	char quote = '\0';
	for (const char *c = begin; *c != '\0'; c++) {
		if (quote != '\0' && *c == '\\' && c[1] != '\0')
			c++;
		else if (quote != '\0')
			quote = *c == quote ? '\0' : quote;
		else if (*c == '"' || *c == '\'')
			quote = *c;
		else if (c[0] == '}' && c[1] == '}')
			return (size_t)(c - text);
	}
	return SIZE_MAX;
}

bool pa_template_text_next(const char *text, size_t offset, struct pa_template_reference *ret)
{
	const char *open = strstr(text + offset, "{{");

	if (open == NULL)
		return false;
	size_t begin = (size_t)(open - text);
	size_t end = find_end(text, begin + 2);
	if (end == SIZE_MAX)
		return false;
	size_t first = begin + 2;
	size_t last = end;
	while (first < last && is_blank(text[first]))
		first++;
	while (last > first && is_blank(text[last - 1]))
		last--;
	*ret = (struct pa_template_reference){begin, end + 2, text + first, last - first};
	return true;
}

int pa_template_text_expand(struct pa_arena *arena, const char *text, pa_template_lookup lookup,
                            void *context, const char **ret, struct pa_error *err)
{
	struct pa_template_reference reference;
	struct pa_buffer out;
	size_t copied = 0;
	bool replaced = false;

	if (strstr(text, "{{") == NULL) {
		*ret = text;
		return 0;
	}
	pa_buffer_init(&out, PA_TEMPLATE_TEXT_MAX_BYTES);
	for (size_t at = 0; pa_template_text_next(text, at, &reference); at = reference.end) {
		const char *inside = pa_arena_strndup(arena, reference.inside, reference.inside_bytes);
		const char *value = lookup(context, inside);
		if (value == NULL)
			continue;
		pa_buffer_append(&out, text + copied, reference.begin - copied);
		pa_buffer_puts(&out, value);
		copied = reference.end;
		replaced = true;
	}
	pa_buffer_puts(&out, text + copied);
	bool overflowed = out.overflowed;
	if (!overflowed)
		*ret = replaced ? pa_arena_strndup(arena, out.data, out.length) : text;
	pa_buffer_done(&out);
	if (overflowed)
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "the text '%.60s…' passes %u MiB once its {{…}} are filled in; shorten the values", text,
		    PA_TEMPLATE_TEXT_MAX_BYTES >> 20);
	return 0;
}
