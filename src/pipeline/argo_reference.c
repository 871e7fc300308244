/* SPDX-License-Identifier: Apache-2.0 */
/* Taking references apart: `tasks.a.outputs.parameters.b` between braces, and the same with brackets in
 * expressions (`tasks['a'].outputs.result`). */
#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "pipeline/argo_internal.h"
#include "pipeline/template_text.h"

#define MAX_PARTS 5

struct parts {
	const char *part[MAX_PARTS];
	size_t count;
};

static bool part_is(const struct parts *parts, size_t index, const char *text)
{
	return index < parts->count && strcmp(parts->part[index], text) == 0;
}

static struct argo_reference task_reference(const struct parts *parts)
{
	struct argo_reference reference = {.kind = ARGO_TASK_RESULT, .task = parts->part[1]};

	if (parts->count == 5 && part_is(parts, 2, "outputs") && part_is(parts, 3, "parameters"))
		reference.kind = ARGO_TASK_PARAMETER;
	else if (parts->count == 5 && part_is(parts, 2, "outputs") && part_is(parts, 3, "artifacts"))
		reference.kind = ARGO_TASK_ARTIFACT;
	/* outputs.result, outputs.parameters (all of them), status, ip, exitCode … */
	reference.name = parts->part[parts->count - 1];
	return reference;
}

static struct argo_reference reference_of(const struct parts *parts)
{
	struct argo_reference reference = {.kind = ARGO_OTHER};
	size_t count = parts->count;

	if (count == 0)
		return reference;
	reference.name = parts->part[count - 1];
	if (part_is(parts, 0, "item"))
		reference.kind = ARGO_ITEM;
	else if ((part_is(parts, 0, "tasks") || part_is(parts, 0, "steps")) && count >= 3)
		return task_reference(parts);
	else if (part_is(parts, 0, "inputs") && count == 3 && part_is(parts, 1, "parameters"))
		reference.kind = ARGO_INPUT_PARAMETER;
	else if (part_is(parts, 0, "inputs") && count == 3 && part_is(parts, 1, "artifacts"))
		reference.kind = ARGO_INPUT_ARTIFACT;
	else if (part_is(parts, 0, "workflow") && count == 3 && part_is(parts, 1, "parameters"))
		reference.kind = ARGO_WORKFLOW_PARAMETER;
	else if (part_is(parts, 0, "workflow") && count == 3 && part_is(parts, 1, "artifacts"))
		reference.kind = ARGO_WORKFLOW_ARTIFACT;
	else if (part_is(parts, 0, "workflow") && count == 4 && part_is(parts, 1, "outputs"))
		reference.kind =
		    part_is(parts, 2, "parameters") ? ARGO_GLOBAL_PARAMETER : ARGO_GLOBAL_ARTIFACT;
	return reference;
}

/* How many parts a simple reference has; the last one takes the rest, dots and all. */
static size_t parts_wanted(const char *inside)
{
	if (strncmp(inside, "tasks.", 6) == 0 || strncmp(inside, "steps.", 6) == 0)
		return 5;
	return strncmp(inside, "workflow.outputs.", 17) == 0 ? 4 : 3;
}

static int visit_simple(struct pa_arena *arena, const char *inside, argo_reference_visit visit, void *context,
                        struct pa_error *err)
{
	struct parts parts = {0};
	size_t wanted = parts_wanted(inside);
	char *rest = pa_arena_strdup(arena, inside);

	while (parts.count + 1 < wanted) {
		char *dot = strchr(rest, '.');
		if (dot == NULL)
			break;
		*dot = '\0';
		parts.part[parts.count++] = rest;
		rest = dot + 1;
	}
	parts.part[parts.count++] = rest;
	struct argo_reference reference = reference_of(&parts);
	return visit(context, &reference, err);
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* One `.name`, `?.name`, `['name']` behind a path; the length read, 0 when none is there. */
static size_t read_part(struct pa_arena *arena, const char *at, const char **ret)
{
	size_t skip = at[0] == '?' && at[1] == '.' ? 2 : at[0] == '.' ? 1 : 0;

	if (skip > 0 && is_name(at[skip])) {
		size_t length = 0;
		/* A '-' between letters is taken as part of the name, as people write it. */
		while (is_name(at[skip + length]) ||
		       (at[skip + length] == '-' && is_name(at[skip + length + 1])))
			length++;
		*ret = pa_arena_strndup(arena, at + skip, length);
		return skip + length;
	}
	if (at[0] != '[' || (at[1] != '\'' && at[1] != '"'))
		return 0;
	const char *end = strchr(at + 2, at[1]);
	if (end == NULL || end[1] != ']')
		return 0;
	*ret = pa_arena_strndup(arena, at + 2, (size_t)(end - at) - 2);
	return (size_t)(end - at) + 2;
}

static const char *skip_quoted(const char *at)
{
	char quote = *at++;

	while (*at != '\0' && *at != quote)
		at += *at == '\\' && at[1] != '\0' ? 2 : 1;
	return *at == '\0' ? at : at + 1;
}

int argo_expression_each(struct pa_arena *arena, const char *expression, argo_reference_visit visit,
                         void *context, struct pa_error *err)
{
	const char *at = expression;

	while (at != NULL && *at != '\0') {
		if (*at == '\'' || *at == '"' || *at == '`') {
			at = skip_quoted(at);
			continue;
		}
		if (!is_name(*at)) {
			at++;
			continue;
		}
		struct parts parts = {0};
		size_t length = 0;
		while (is_name(at[length]))
			length++;
		parts.part[parts.count++] = pa_arena_strndup(arena, at, length);
		at += length;
		while (parts.count < MAX_PARTS &&
		       (length = read_part(arena, at, &parts.part[parts.count])) > 0) {
			parts.count++;
			at += length;
		}
		struct argo_reference reference = reference_of(&parts);
		int rc = reference.kind == ARGO_OTHER ? 0 : visit(context, &reference, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int argo_reference_each(struct pa_arena *arena, const char *text, argo_reference_visit visit, void *context,
                        struct pa_error *err)
{
	struct pa_template_reference found;

	if (text == NULL)
		return 0;
	for (size_t at = 0; pa_template_text_next(text, at, &found); at = found.end) {
		const char *inside = pa_arena_strndup(arena, found.inside, found.inside_bytes);
		int rc = inside[0] == '=' ? argo_expression_each(arena, inside + 1, visit, context, err)
		                          : visit_simple(arena, inside, visit, context, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}
