/* SPDX-License-Identifier: Apache-2.0 */
/* What is simulated: tasks with durations, and files with sizes that they read and write.
 *
 * From a WfCommons instance (WfFormat 1.5: workflow.specification with tasks and files, workflow.execution with
 * run times), or from the input of a plan (a pipeline with what the catalog knows of it).
 *
 * Pure: text in, structs out.  Tasks are in the order of their ids, so that ties go by id.  A file is external
 * if no task writes it.  Ownership: everything lives in the arena given.  Errors: PA_ERROR_INPUT for text that
 * is no such instance, ids that are doubled or missing, sizes and times that are negative or no numbers.
 * Limits: PA_INSTANCE_MAX_TASKS tasks, PA_INSTANCE_MAX_FILES files, 2^53 bytes a file.
 */
#ifndef PA_SIMULATE_INSTANCE_H
#define PA_SIMULATE_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "timeline/flow.h"

struct pa_arena;
struct pa_error;
struct pa_plan_input;

#define PA_INSTANCE_MAX_TASKS 1000000
#define PA_INSTANCE_MAX_FILES 4000000

struct pa_instance_file {
	const char *id;
	uint64_t bytes;
	bool external;
};

struct pa_instance {
	const char *name;
	struct pa_flow_task *tasks;
	const char **task_ids;
	uint32_t task_count;
	struct pa_instance_file *files;
	uint32_t file_count;
};

int pa_instance_read_wfformat(struct pa_arena *arena, const char *file, const char *text, size_t bytes,
                              struct pa_instance *ret, struct pa_error *err);
int pa_instance_from_plan(struct pa_arena *arena, const struct pa_plan_input *input, struct pa_instance *ret,
                          struct pa_error *err);
/* Run at once: external files of the same id and size are the same file, all else is each instance's own. */
int pa_instance_merge(struct pa_arena *arena, const struct pa_instance *instances, size_t count,
                      struct pa_instance *ret, struct pa_error *err);

#endif
