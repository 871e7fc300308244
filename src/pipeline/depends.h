/* SPDX-License-Identifier: Apache-2.0 */
/* Argo's `depends`: when a DAG's task may start, as a condition on how others ended.  Pure.
 *
 *   A && (B.Failed || C.Succeeded) && !D.Errored
 *
 * A name with no result means Succeeded, Skipped or Daemoned.  Names hold letters, digits, '-' and '_'.
 * The analyzer asks which tasks an expression names (order); `run` asks, once all of those have ended,
 * whether it is true.  `a && b || c` binds && first.
 *
 * Ownership: the parsed expression and its names live in the caller's arena and never change, so they
 * may be shared between threads.  Blocking: never.
 * Errors: PA_ERROR_INPUT with the place in the text.
 * Limits: PA_DEPENDS_MAX_BYTES of text, PA_DEPENDS_MAX_DEPTH levels of nesting.
 */
#ifndef PA_PIPELINE_DEPENDS_H
#define PA_PIPELINE_DEPENDS_H

#include <stdbool.h>
#include <stddef.h>

struct pa_arena;
struct pa_error;

#define PA_DEPENDS_MAX_BYTES (1u << 20)
#define PA_DEPENDS_MAX_DEPTH 64

enum pa_depends_result {
	PA_DEPENDS_SUCCEEDED,
	PA_DEPENDS_FAILED,
	PA_DEPENDS_ERRORED,
	PA_DEPENDS_SKIPPED,
	PA_DEPENDS_OMITTED,
	PA_DEPENDS_DAEMONED,
	PA_DEPENDS_ANY_SUCCEEDED, /* of the items of a loop */
	PA_DEPENDS_ALL_FAILED,    /* likewise */
	PA_DEPENDS_DEFAULT,       /* a name alone: Succeeded || Skipped || Daemoned */
};

struct pa_depends;

int pa_depends_parse(struct pa_arena *arena, const char *text, struct pa_depends **ret, struct pa_error *err);

/* The tasks it names, each once, in the order of their first mention. */
const char *const *pa_depends_names(const struct pa_depends *depends, size_t *ret_count);

/* Whether a task's end was of this kind.  PA_DEPENDS_DEFAULT never arrives: it is asked for as
 * Succeeded, Skipped and Daemoned. */
typedef bool (*pa_depends_outcome)(void *context, const char *task, enum pa_depends_result result);

bool pa_depends_evaluate(const struct pa_depends *depends, pa_depends_outcome outcome, void *context);

#endif
