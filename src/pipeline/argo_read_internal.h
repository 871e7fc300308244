/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an Argo Workflow: node tree in, struct pa_workflow out, wrong types refused.
 *
 * Errors are PA_ERROR_INPUT with file:line:col.  Everything lives in the budget's arena.
 */
#ifndef PA_PIPELINE_ARGO_READ_INTERNAL_H
#define PA_PIPELINE_ARGO_READ_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/workflow.h"

struct pa_arena;
struct pa_error;
struct pa_node;

/* How much one analysis may take from its arena. */
struct argo_budget {
	struct pa_arena *arena;
	size_t limit_bytes;
};

/* Error at `at` when `more_bytes` would pass the budget. */
int argo_budget_check(const struct argo_budget *budget, size_t more_bytes, const struct pa_node *at,
                      struct pa_error *err);

struct argo_reader {
	struct argo_budget budget;
	const struct pa_node *template_defaults; /* spec.templateDefaults or NULL */
	const struct pa_node *default_retry;     /* spec.retryStrategy or NULL */
	size_t template_number_count;
};

/* Reads the workflow of one document; `root` is a mapping of an Argo kind. */
int argo_read_workflow(const struct argo_budget *budget, const struct pa_node *root, size_t document,
                       struct pa_workflow **ret, struct pa_error *err);

/* A hook or exit handler as a call: `node` has template or templateRef, and arguments. */
int argo_read_hook(struct argo_reader *reader, const struct pa_node *node, const char *key,
                   struct pa_call *ret, struct pa_error *err);

/* Pieces that both halves of the reader use.  A missing or null value gives NULL, 0 or nothing. */
int argo_read_text(const struct pa_node *parent, const char *key, const char **ret, struct pa_error *err);
/* A text, or the JSON text of a list or map. */
int argo_read_value(struct argo_reader *reader, const struct pa_node *parent, const char *key,
                    const char **ret, struct pa_error *err);
int argo_read_integer(const struct pa_node *parent, const char *key, int64_t *ret, struct pa_error *err);
/* Checks that `node` is a list (or nothing) and that `size` bytes for each item fit the budget. */
int argo_read_list(struct argo_reader *reader, const struct pa_node *node, const char *what, size_t size,
                   size_t *ret_count, struct pa_error *err);
int argo_read_mapping(const struct pa_node *parent, const char *key, const struct pa_node **ret,
                      struct pa_error *err);
int argo_read_texts(struct argo_reader *reader, const struct pa_node *parent, const char *key,
                    const char ***ret, size_t *ret_count, struct pa_error *err);
/* An error when the path has a `..` in it. */
int argo_check_path(const struct pa_node *at, const char *path, struct pa_error *err);

int argo_read_parameters(struct argo_reader *reader, const struct pa_node *list, struct pa_parameter **ret,
                         size_t *ret_count, struct pa_error *err);
int argo_read_artifacts(struct argo_reader *reader, const struct pa_node *list, struct pa_artifact **ret,
                        size_t *ret_count, struct pa_error *err);
int argo_read_container(struct argo_reader *reader, const struct pa_node *node, struct pa_container *ret,
                        struct pa_error *err);
int argo_read_containers(struct argo_reader *reader, const struct pa_node *list, struct pa_container **ret,
                         size_t *ret_count, struct pa_error *err);
int argo_read_volumes(struct argo_reader *reader, const struct pa_node *list,
                      const struct pa_node *claim_templates, struct pa_volume **ret, size_t *ret_count,
                      struct pa_error *err);

#endif
