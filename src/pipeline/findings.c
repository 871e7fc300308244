/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/findings_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"

#define NOTE_BYTES 400

int pa_budget_check(const struct pa_budget *budget, size_t more_bytes, const struct pa_node *at,
                    struct pa_error *err)
{
	size_t used_bytes = pa_arena_bytes(budget->arena);

	if (used_bytes <= budget->limit_bytes && more_bytes <= budget->limit_bytes - used_bytes)
		return 0;
	return pa_node_error(
	    at, err,
	    "the pipeline takes more memory than its size allows (20 times the text, at least "
	    "64 MiB); split it, or repeat less");
}

void pa_findings_init(struct pa_findings *findings, const struct pa_budget *budget, const char *explain)
{
	*findings = (struct pa_findings){.budget = *budget, .explain = explain};
	pa_name_table_init(&findings->unresolved_seen, budget->arena);
}

static const char *place_of(const struct pa_findings *findings, const struct pa_node *at)
{
	return pa_arena_printf(findings->budget.arena, "%s:%u:%u", at->file, at->line, at->column);
}

/* Formats a note; one that is too long ends with a whole character. */
static void format_note(char note[NOTE_BYTES], const char *format, va_list arguments)
{
	int length = vsnprintf(note, NOTE_BYTES, format, arguments);
	size_t end = NOTE_BYTES - 1, start = end;

	if (length < NOTE_BYTES)
		return;
	while (start > 0 && ((unsigned char)note[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0 || ((unsigned char)note[start - 1] & 0x80) == 0)
		return;
	unsigned char lead = (unsigned char)note[start - 1];
	size_t needed = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	if (end - (start - 1) < needed)
		note[start - 1] = '\0';
}

int pa_findings_unresolved(struct pa_findings *findings, const struct pa_node *at, struct pa_error *err,
                           const char *format, ...)
{
	struct pa_arena *arena = findings->budget.arena;
	char what[NOTE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	format_note(what, format, arguments);
	va_end(arguments);
	int rc = pa_budget_check(&findings->budget, sizeof(what) + sizeof(struct pa_unresolved), at, err);
	if (rc < 0)
		return rc;
	const char *place = place_of(findings, at);
	const char *both = pa_arena_printf(arena, "%s %s", place, what);
	if (pa_name_table_put(&findings->unresolved_seen, both, 0) != SIZE_MAX)
		return 0;
	findings->unresolved = pa_arena_grow(arena, findings->unresolved, findings->unresolved_count,
	                                     &findings->unresolved_capacity, sizeof(*findings->unresolved));
	findings->unresolved[findings->unresolved_count++] =
	    (struct pa_unresolved){.what = both + strlen(place) + 1, .at = place};
	return 0;
}

bool pa_findings_explains(const struct pa_findings *findings, const char *task_id)
{
	return findings->explain != NULL && strcmp(findings->explain, task_id) == 0;
}

int pa_findings_fact(struct pa_findings *findings, const char *task_id, const struct pa_node *at,
                     const char *what, struct pa_error *err, const char *format, ...)
{
	struct pa_arena *arena = findings->budget.arena;
	char value[NOTE_BYTES];
	va_list arguments;

	if (!pa_findings_explains(findings, task_id))
		return 0;
	va_start(arguments, format);
	format_note(value, format, arguments);
	va_end(arguments);
	if (at != NULL) {
		int rc = pa_budget_check(&findings->budget, sizeof(value) + sizeof(struct pa_fact), at, err);
		if (rc < 0)
			return rc;
	}
	findings->facts = pa_arena_grow(arena, findings->facts, findings->fact_count,
	                                &findings->fact_capacity, sizeof(*findings->facts));
	findings->facts[findings->fact_count++] =
	    (struct pa_fact){.what = pa_arena_strdup(arena, what),
	                     .value = pa_arena_strdup(arena, value),
	                     .at = at == NULL ? NULL : place_of(findings, at)};
	return 0;
}

static const char *describe_origin(struct pa_arena *arena, const struct pa_origin *origin)
{
	switch (origin->kind) {
	case PA_ORIGIN_TASK:
		return pa_arena_printf(arena, "output %s of task %s", origin->output, origin->task);
	case PA_ORIGIN_PARAMETER:
		return pa_arena_printf(arena, "pipeline parameter %s", origin->text);
	case PA_ORIGIN_URI:
		return pa_arena_printf(arena, "location %s", origin->text);
	case PA_ORIGIN_CONSTANT:
		return pa_arena_printf(arena, "constant %s", origin->text);
	case PA_ORIGIN_ITEM:
		break;
	}
	if (origin->task == NULL)
		return "the loop's item";
	return pa_arena_printf(arena, "an item of output %s of task %s", origin->output, origin->task);
}

int pa_findings_input(struct pa_findings *findings, const char *task_id, const struct pa_node *at,
                      const struct pa_input *input, struct pa_error *err)
{
	struct pa_arena *arena = findings->budget.arena;
	int rc = 0;

	if (!pa_findings_explains(findings, task_id))
		return 0;
	const char *what = pa_arena_printf(arena, "input %s", input->name);
	if (input->origin_count == 0)
		return pa_findings_fact(findings, task_id, at, what, err,
		                        "the file does not say where it comes from");
	for (size_t i = 0; i < input->origin_count && rc == 0; i++)
		rc = pa_findings_fact(findings, task_id, at, what, err, "%s",
		                      describe_origin(arena, &input->origins[i]));
	return rc;
}
