/* SPDX-License-Identifier: Apache-2.0 */
/* Order of the calls of one DAG, and from it the order of the tasks behind them.
 *
 * A *call* waits for other calls of its DAG, named by index.  pa_call_order() puts them in an order in which each
 * stands behind all that it waits for, or names a circle.  A pa_task_set is what a call ends with or starts after,
 * once nested DAGs are written out: task numbers, ascending.
 *
 * Ownership: all in the budget's arena.  Threads: one at a time.
 * Limits: PA_ANALYZE_MAX_EDGES edges between tasks in all.
 */
#ifndef PA_PIPELINE_CALL_ORDER_INTERNAL_H
#define PA_PIPELINE_CALL_ORDER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pa_budget;
struct pa_error;
struct pa_node;
struct pa_task;

struct pa_call_waits {
	const char *key;            /* the call's name, for messages */
	const struct pa_node *node; /* where it stands */
	size_t *calls;              /* what it waits for */
	size_t count, capacity;
};

/* Adds a call that `waits` waits for; one that is there already may be added again. */
int pa_call_waits_add(const struct pa_budget *budget, struct pa_call_waits *waits, size_t call,
                      struct pa_error *err);
/* `order` and `last` (no other call waits for it) hold `count` elements; duplicates in `calls` go. */
int pa_call_order(const struct pa_budget *budget, struct pa_call_waits *calls, size_t count, size_t *order,
                  bool *last, struct pa_error *err);

struct pa_task_set {
	size_t *tasks;
	size_t count;
	const char **ids; /* made when first asked for */
};

struct pa_task_sets {
	const struct pa_budget *budget;
	struct pa_task_set nothing; /* the set of no tasks */
	uint32_t *stamps;           /* by task: the last union that it was put into */
	uint32_t stamp;
	size_t edge_count;
};

void pa_task_sets_init(struct pa_task_sets *sets, const struct pa_budget *budget, size_t task_count);
struct pa_task_set *pa_task_sets_single(struct pa_task_sets *sets, size_t task);
/* The union; one that stands alone is passed on as it is. */
int pa_task_sets_unite(struct pa_task_sets *sets, struct pa_task_set **list, size_t count,
                       const struct pa_node *at, struct pa_task_set **ret, struct pa_error *err);
/* Makes `set` what models[task] is after. */
int pa_task_sets_apply(struct pa_task_sets *sets, struct pa_task_set *set, struct pa_task *models,
                       size_t task, const struct pa_node *at, struct pa_error *err);

#endif
