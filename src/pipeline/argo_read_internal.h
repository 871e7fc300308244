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

#include "pipeline/findings_internal.h"
#include "pipeline/workflow.h"

struct pa_error;
struct pa_node;

struct argo_reader {
	struct pa_budget budget;
	const struct pa_node *template_defaults; /* spec.templateDefaults or NULL */
	const struct pa_node *default_retry;     /* spec.retryStrategy or NULL */
	size_t *template_number_count;           /* of all that is analysed together */
	/* Of the template at hand: its archiveLocation, whose bucket artifacts with only a key are in; or NULL. */
	const struct pa_node *archive_location;
};

/* Reads the workflow of one document; `root` is a mapping of an Argo kind. */
int argo_read_workflow(struct argo_reader *reader, const struct pa_node *root, size_t document,
                       struct pa_workflow **ret, struct pa_error *err);
/* The same with another spec than its own. */
int argo_read_with_spec(struct argo_reader *reader, const struct pa_node *root, const struct pa_node *spec,
                        size_t document, struct pa_workflow **ret, struct pa_error *err);
/* The templates of a workflow as they are where another runs them: with that one's defaults. */
int argo_read_adopted(struct argo_reader *reader, const struct pa_workflow *original,
                      struct pa_workflow **ret, struct pa_error *err);
/* Both as one (NULL: nothing there), `own` first. */
int argo_merge_nodes(const struct pa_budget *budget, const struct pa_node *own, const struct pa_node *base,
                     const struct pa_node **ret, struct pa_error *err);
/* A template with spec.templateDefaults (NULL: none) in the places that it leaves open; its kind stays. */
int argo_merge_defaults(const struct pa_budget *budget, const struct pa_node *node,
                        const struct pa_node *defaults, const struct pa_node **ret, struct pa_error *err);
/* The spec of a document: of a CronWorkflow its workflowSpec. NULL: it has none. */
int argo_spec_of(const struct pa_node *root, const struct pa_node **ret, struct pa_error *err);

int argo_read_template(struct argo_reader *reader, const struct pa_node *node, bool named,
                       struct pa_template *ret, struct pa_error *err);
int argo_read_call(struct argo_reader *reader, const struct pa_node *node, struct pa_call *ret,
                   struct pa_error *err);
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
/* The URI of an artifact's location; NULL: it has none, or it says too little. */
const char *argo_location_uri(struct argo_reader *reader, const struct pa_node *artifact);
/* Whether it names a store at all. */
bool argo_names_store(const struct pa_node *artifact);
int argo_read_artifact(struct argo_reader *reader, const struct pa_node *node, struct pa_artifact *artifact,
                       struct pa_error *err);
int argo_read_container(struct argo_reader *reader, const struct pa_node *node, struct pa_container *ret,
                        struct pa_error *err);
int argo_read_containers(struct argo_reader *reader, const struct pa_node *list, struct pa_container **ret,
                         size_t *ret_count, struct pa_error *err);
int argo_read_volumes(struct argo_reader *reader, const struct pa_node *list,
                      const struct pa_node *claim_templates, struct pa_volume **ret, size_t *ret_count,
                      struct pa_error *err);

#endif
