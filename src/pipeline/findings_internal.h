/* SPDX-License-Identifier: Apache-2.0 */
/* What every reader of a format keeps beside the model: the memory it may take, what it could not work out, and
 * where the facts about one task came from.
 *
 * Ownership: all in the budget's arena.  Threads: one at a time.
 */
#ifndef PA_PIPELINE_FINDINGS_INTERNAL_H
#define PA_PIPELINE_FINDINGS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "pipeline/model.h"
#include "pipeline/name_table_internal.h"

struct pa_arena;
struct pa_error;
struct pa_node;

/* How much one analysis may take from its arena. */
struct pa_budget {
	struct pa_arena *arena;
	size_t limit_bytes;
};

/* Error at `at` when `more_bytes` would pass the budget. */
int pa_budget_check(const struct pa_budget *budget, size_t more_bytes, const struct pa_node *at,
                    struct pa_error *err);

struct pa_findings {
	struct pa_budget budget;
	struct pa_unresolved *unresolved;
	size_t unresolved_count, unresolved_capacity;
	struct pa_name_table unresolved_seen;
	const char *explain; /* id of the task whose facts are kept; NULL: none */
	struct pa_fact *facts;
	size_t fact_count, fact_capacity;
};

void pa_findings_init(struct pa_findings *findings, const struct pa_budget *budget, const char *explain);
/* Adds to `unresolved`, once for each text and position. */
int pa_findings_unresolved(struct pa_findings *findings, const struct pa_node *at, struct pa_error *err,
                           const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Whether facts about this task are wanted; callers ask before they work something out only to explain it. */
bool pa_findings_explains(const struct pa_findings *findings, const char *task_id);
/* Keeps a fact about the task that is explained; nothing for any other.  `what` is a constant ("image",
 * "after", "input x"); `at` NULL: no place of its own, the fact is a rule's. */
int pa_findings_fact(struct pa_findings *findings, const char *task_id, const struct pa_node *at,
                     const char *what, struct pa_error *err, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* The facts about one input: where each of its origins is. */
int pa_findings_input(struct pa_findings *findings, const char *task_id, const struct pa_node *at,
                      const struct pa_input *input, struct pa_error *err);

#endif
