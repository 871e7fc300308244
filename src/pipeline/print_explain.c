/* SPDX-License-Identifier: Apache-2.0 */
/* Where the facts about one task came from, for people; and ids that are near one that is not there. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "pipeline/analyze.h"
#include "pipeline/print_internal.h"

#define MAX_NEAR       5  /* ids named in the error */
#define MAX_NAME_BYTES 64 /* of a name that is compared letter by letter */
#define MAX_EDITS      2
#define MIN_PART_BYTES 3 /* of a name that may be part of others */

static size_t widest(const struct pa_pipeline *pipeline)
{
	size_t width = 0;

	for (size_t i = 0; i < pipeline->fact_count; i++) {
		size_t length = strlen(pipeline->facts[i].what);
		width = length > width ? length : width;
	}
	return width < 40 ? width : 40;
}

static void print_facts(const struct pa_pipeline *pipeline, const char *task_id, struct pa_buffer *out)
{
	int width = (int)widest(pipeline);

	pa_buffer_puts(out, "TASK ");
	pa_print_line(out, task_id);
	pa_buffer_puts(out, " of ");
	pa_print_line(out, pipeline->name);
	pa_buffer_puts(out, " in ");
	pa_print_line(out, pipeline->file);
	pa_buffer_puts(out, "\n\n");
	for (size_t i = 0; i < pipeline->fact_count; i++) {
		const struct pa_fact *fact = &pipeline->facts[i];
		size_t before = out->length;
		pa_buffer_puts(out, "  ");
		pa_print_line(out, fact->what);
		for (size_t used = out->length - before; used < (size_t)width + 4; used++)
			pa_buffer_puts(out, " ");
		pa_print_line(out, fact->value);
		pa_buffer_puts(out, fact->at == NULL ? "" : "  (");
		pa_print_line(out, fact->at == NULL ? "" : fact->at);
		pa_buffer_puts(out, fact->at == NULL ? "\n" : ")\n");
	}
}

static const char *last_part(const char *id)
{
	const char *slash = strrchr(id, '/');

	return slash == NULL ? id : slash + 1;
}

/* Letters to change, add or take away to make one text of the other; more than MAX_EDITS is just that. */
static size_t edits(const char *a, const char *b)
{
	size_t a_length = strlen(a), b_length = strlen(b);
	size_t row[MAX_NAME_BYTES + 1];

	if (a_length > MAX_NAME_BYTES || b_length > MAX_NAME_BYTES || a_length > b_length + MAX_EDITS ||
	    b_length > a_length + MAX_EDITS)
		return MAX_EDITS + 1;
	for (size_t j = 0; j <= b_length; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t changed = diagonal + (a[i - 1] != b[j - 1]);
			size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
			diagonal = row[j];
			row[j] = changed < shorter ? changed : shorter;
		}
	}
	return row[b_length];
}

static bool is_near(const char *wanted, const char *id)
{
	const char *part = last_part(wanted);

	return (strlen(part) >= MIN_PART_BYTES && strstr(id, part) != NULL) ||
	       edits(part, last_part(id)) <= MAX_EDITS;
}

/* Near ids, or with `all` any. */
static size_t name_tasks(const struct pa_analysis *analysis, const char *wanted, bool all,
                         struct pa_buffer *text)
{
	size_t count = 0;

	for (size_t i = 0; i < analysis->pipeline_count; i++) {
		const struct pa_pipeline *pipeline = &analysis->pipelines[i];
		for (size_t j = 0; j < pipeline->task_count && count < MAX_NEAR; j++) {
			if (!all && !is_near(wanted, pipeline->tasks[j].id))
				continue;
			pa_buffer_puts(text, count++ > 0 ? ", " : "");
			pa_print_line(text, pipeline->tasks[j].id);
		}
	}
	return count;
}

static int unknown_task(const struct pa_analysis *analysis, const char *task_id, struct pa_error *err)
{
	struct pa_buffer text;
	const char *words = "near ones are";
	int rc;

	pa_buffer_init(&text, PA_ERROR_MESSAGE_BYTES / 2);
	if (name_tasks(analysis, task_id, false, &text) == 0) {
		words = "there are";
		name_tasks(analysis, task_id, true, &text);
	}
	if (text.length == 0)
		rc = pa_error_set(err, PA_ERROR_INPUT, "no task has the id '%.200s'; there are no tasks",
		                  task_id);
	else
		rc = pa_error_set(err, PA_ERROR_INPUT, "no task has the id '%.200s'; %s %s", task_id, words,
		                  text.data);
	pa_buffer_done(&text);
	return rc;
}

int pa_analysis_print_explanation(const struct pa_analysis *analysis, const char *task_id,
                                  struct pa_buffer *out, struct pa_error *err)
{
	bool found = false;

	for (size_t i = 0; i < analysis->pipeline_count; i++) {
		if (pa_pipeline_find_task(&analysis->pipelines[i], task_id) == NULL)
			continue;
		if (found)
			pa_buffer_puts(out, "\n");
		found = true;
		print_facts(&analysis->pipelines[i], task_id, out);
	}
	return found ? 0 : unknown_task(analysis, task_id, err);
}
