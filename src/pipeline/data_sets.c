/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/data_sets_internal.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/uri_internal.h"

#define LONG_TEXT_BYTES 4096 /* worth remembering that nothing is in it */

struct pa_data_entry {
	size_t read_capacity, written_capacity;
};

void pa_data_sets_init(struct pa_data_sets *sets, struct pa_findings *findings)
{
	*sets = (struct pa_data_sets){.findings = findings};
	pa_name_table_init(&sets->index, findings->budget.arena);
	pa_name_table_init(&sets->without_uri, findings->budget.arena);
}

void pa_data_sets_begin(struct pa_data_sets *sets, struct pa_task *task)
{
	sets->task = task;
	sets->uri_capacity = 0;
	pa_name_table_init(&sets->seen, sets->findings->budget.arena);
}

static void add_id(struct pa_arena *arena, const char ***ids, size_t *count, size_t *capacity, const char *id)
{
	/* Tasks come one after the other, so one that is there already is the last. */
	if (*count > 0 && (*ids)[*count - 1] == id)
		return;
	*ids = pa_arena_grow(arena, *ids, *count, capacity, sizeof(**ids));
	(*ids)[(*count)++] = id;
}

static size_t find_set(struct pa_data_sets *sets, const char *id, const char *kind)
{
	struct pa_arena *arena = sets->findings->budget.arena;
	size_t index = pa_name_table_put(&sets->index, id, sets->count);

	if (index != SIZE_MAX)
		return index;
	sets->data = pa_arena_grow(arena, sets->data, sets->count, &sets->capacity, sizeof(*sets->data));
	sets->entries =
	    pa_arena_grow(arena, sets->entries, sets->count, &sets->entry_capacity, sizeof(*sets->entries));
	sets->data[sets->count] = (struct pa_data){.id = id, .kind = kind};
	sets->entries[sets->count] = (struct pa_data_entry){0};
	return sets->count++;
}

int pa_data_sets_note(struct pa_data_sets *sets, const struct pa_node *at, const char *id, const char *kind,
                      bool read, bool written, bool scratch, struct pa_error *err)
{
	struct pa_arena *arena = sets->findings->budget.arena;
	size_t index = find_set(sets, id, kind);
	struct pa_data *data = &sets->data[index];
	struct pa_data_entry *entry = &sets->entries[index];

	data->scratch = data->scratch || scratch;
	if (read)
		add_id(arena, &data->read_by, &data->read_count, &entry->read_capacity, sets->task->id);
	if (written)
		add_id(arena, &data->written_by, &data->written_count, &entry->written_capacity,
		       sets->task->id);
	return pa_budget_check(&sets->findings->budget, 0, at, err);
}

int pa_data_sets_note_uri(struct pa_data_sets *sets, const struct pa_node *at, const char *uri,
                          enum pa_confidence confidence, bool written, struct pa_error *err)
{
	struct pa_arena *arena = sets->findings->budget.arena;
	struct pa_task *task = sets->task;
	size_t index = pa_name_table_put(&sets->seen, uri, task->data_count);
	int rc = 0;

	if (index == SIZE_MAX) {
		task->data = pa_arena_grow(arena, task->data, task->data_count, &sets->uri_capacity,
		                           sizeof(*task->data));
		task->data[task->data_count++] = (struct pa_task_data){uri, confidence};
		rc = pa_findings_fact(sets->findings, task->id, at, "data", err, "%s, %s", uri,
		                      pa_confidence_name(confidence));
	} else if (confidence < task->data[index].confidence) {
		task->data[index].confidence = confidence;
		rc = pa_findings_fact(sets->findings, task->id, at, "data", err, "%s is also %s here", uri,
		                      pa_confidence_name(confidence));
	}
	if (rc < 0)
		return rc;
	return pa_data_sets_note(sets, at, pa_arena_printf(arena, "uri:%s", uri), pa_uri_kind(uri), !written,
	                         written, false, err);
}

int pa_data_sets_scan(struct pa_data_sets *sets, const struct pa_node *at, const char *text, bool code,
                      struct pa_error *err)
{
	struct pa_arena *arena = sets->findings->budget.arena;
	const char *address = NULL;
	struct pa_uri found;
	size_t offset = 0;
	int rc = 0;

	if (text == NULL)
		return 0;
	/* Many tasks may be given the same long text; texts of an analysis stay where they are. */
	if (strnlen(text, LONG_TEXT_BYTES) == LONG_TEXT_BYTES) {
		address = pa_arena_printf(arena, "%p %d", (const void *)text, code);
		if (pa_name_table_get(&sets->without_uri, address) != SIZE_MAX)
			return 0;
	}
	while (rc == 0 && pa_uri_next(text, code, &offset, &found)) {
		const char *uri = pa_arena_strndup(arena, found.text, found.bytes);
		address = NULL;
		rc = pa_data_sets_note_uri(
		    sets, at, uri, code ? PA_CONFIDENCE_EMBEDDED : PA_CONFIDENCE_ARGUMENT, false, err);
	}
	if (address != NULL)
		pa_name_table_put(&sets->without_uri, address, 0);
	return rc;
}

bool pa_data_sets_announces_code(const char *text)
{
	size_t length = strlen(text);

	return length >= 2 && length <= 4 && text[0] == '-' && text[1] != '-' && text[length - 1] == 'c';
}

void pa_data_sets_finish(struct pa_data_sets *sets, struct pa_pipeline *pipeline)
{
	pipeline->data = sets->data;
	pipeline->data_count = sets->count;
}
