/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a condition, as a `depends` and as a text with `{{…}}` in it. */
#include "base/arena.h"
#include "base/error.h"
#include "check.h"
#include "pipeline/condition.h"
#include "pipeline/depends.h"
#include "pipeline/template_text.h"

static bool every_other(void *context, const char *task, enum pa_depends_result result)
{
	(void)context;
	require(result != PA_DEPENDS_DEFAULT);
	return strlen(task) % 2 == 0;
}

static const char *some_value(void *context, const char *inside)
{
	(void)context;
	return inside[0] == 'a' ? NULL : "{{a}}";
}

static void check_depends(struct pa_arena *arena, const char *text)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_depends *depends;
	size_t count;

	if (pa_depends_parse(arena, text, &depends, &err) < 0) {
		require(err.class == PA_ERROR_INPUT && err.message[0] != '\0');
		return;
	}
	const char *const *names = pa_depends_names(depends, &count);
	require(count > 0);
	for (size_t i = 0; i < count; i++)
		require(names[i][0] != '\0' && strstr(text, names[i]) != NULL);
	pa_depends_evaluate(depends, every_other, NULL);
}

static void check_references(struct pa_arena *arena, const char *text)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_template_reference reference;
	size_t offset = 0, length = strlen(text);
	const char *expanded;

	while (pa_template_text_next(text, offset, &reference)) {
		require(reference.begin >= offset && reference.end > reference.begin &&
		        reference.end <= length);
		require(reference.inside > text &&
		        reference.inside + reference.inside_bytes <= text + reference.end - 2);
		offset = reference.end;
	}
	if (pa_template_text_expand(arena, text, some_value, NULL, &expanded, &err) == 0 && offset == 0)
		require(strcmp(expanded, text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	bool truth;

	const char *text = pa_arena_strndup(&arena, (const char *)data, size);
	if (pa_condition_evaluate(text, &truth, &err) < 0)
		require(err.message[0] != '\0');
	check_depends(&arena, text);
	check_references(&arena, text);
	pa_arena_done(&arena);
	return 0;
}
