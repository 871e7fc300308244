/* SPDX-License-Identifier: Apache-2.0 */
/* A pipeline's tasks as a graph of indices, and names as numbers.  Pure.
 *
 * pa_graph_make() turns the ids in `after` into indices and orders the tasks so that each comes after those
 * it waits for.  An exit task that waits for nothing in the file waits for every main task that nothing
 * waits for.
 *
 * Ownership: everything lives in the arena given; strings stay the pipeline's.  Threads: none shared. 
 * Blocking: never.  Errors: PA_ERROR_INPUT for an id that is used twice, that is not there, or that is on a
 * cycle. Time: linear in tasks and edges.
 */
#ifndef PA_FORECAST_GRAPH_H
#define PA_FORECAST_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "pipeline/model.h"

struct pa_arena;
struct pa_error;

#define PA_NAMES_NONE UINT32_MAX

/* Strings, numbered from 0 in the order they were added. */
struct pa_names {
	const char **texts;
	uint32_t *slots; /* open addressing; PA_NAMES_NONE: free */
	size_t slot_count;
	uint32_t count;
};

/* Room for at most `limit` different strings. */
void pa_names_init(struct pa_arena *arena, struct pa_names *names, size_t limit);
uint32_t pa_names_add(struct pa_names *names, const char *text);
uint32_t pa_names_find(const struct pa_names *names, const char *text); /* or PA_NAMES_NONE */

struct pa_graph_task {
	const uint32_t *after;
	size_t after_count;
	uint32_t template_index;
};

struct pa_graph {
	struct pa_graph_task *tasks; /* same order as pipeline->tasks */
	size_t task_count;
	uint32_t *order; /* indices, parents first */
	struct pa_names ids;
	struct pa_names templates;
};

int pa_graph_make(struct pa_arena *arena, const struct pa_pipeline *pipeline, struct pa_graph *ret,
                  struct pa_error *err);

#endif
