/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets of one pipeline: locations, claims and URIs found in values and code, with who reads and who writes
 * them.  Every format's reader feeds one of these task by task; what comes out is pa_pipeline.data and each
 * pa_task.data.
 *
 * Ownership: all in the findings' arena.  Threads: one at a time.
 */
#ifndef PA_PIPELINE_DATA_SETS_INTERNAL_H
#define PA_PIPELINE_DATA_SETS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "pipeline/findings_internal.h"
#include "pipeline/model.h"

struct pa_data_sets {
	struct pa_findings *findings;
	struct pa_name_table index; /* ids of data sets */
	struct pa_data *data;
	struct pa_data_entry *entries; /* parallel to data */
	size_t count, capacity, entry_capacity;

	/* The task at hand. */
	struct pa_task *task;
	struct pa_name_table seen; /* its URIs, to their index in task->data */
	size_t uri_capacity;
	struct pa_name_table without_uri; /* long texts that were looked through, by address */
};

void pa_data_sets_init(struct pa_data_sets *sets, struct pa_findings *findings);
/* All that follows is of this task; tasks come one after the other. */
void pa_data_sets_begin(struct pa_data_sets *sets, struct pa_task *task);
/* The task reads or writes the data set of this id ("claim:…", "uri:…"); `at` (never NULL) says so. */
int pa_data_sets_note(struct pa_data_sets *sets, const struct pa_node *at, const char *id, const char *kind,
                      bool read, bool written, bool scratch, struct pa_error *err);
/* A URI is a fact about the task, too: of this confidence, or of a higher one found elsewhere. */
int pa_data_sets_note_uri(struct pa_data_sets *sets, const struct pa_node *at, const char *uri,
                          enum pa_confidence confidence, bool written, struct pa_error *err);
/* Every URI in a text (NULL: none): an argument's, or code's. */
int pa_data_sets_scan(struct pa_data_sets *sets, const struct pa_node *at, const char *text, bool code,
                      struct pa_error *err);
/* Whether what follows this argument is code for a shell or an interpreter: "-c", "-ec". */
bool pa_data_sets_announces_code(const char *text);
void pa_data_sets_finish(struct pa_data_sets *sets, struct pa_pipeline *pipeline);

#endif
