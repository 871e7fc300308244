/* SPDX-License-Identifier: Apache-2.0 */
/* KFP v2 at run time: the Workflow that KFP's backend makes of an IR.
 *
 * Its DAGs hold no data edges, and drivers beside the tasks; the pipeline itself is in JSON texts, in the
 * workflow's arguments (earlier: in its annotations): `components-…` is a ComponentSpec, `implementations-…`
 * a container or importer, `kubernetes-…` the configuration of its pod.  Which belongs to which is said by
 * the calls of drivers: their arguments `component`, `container` or `importer`, `kubernetes-config`, and
 * `task`, whose componentRef is the name. The reader puts them together again to an ir_spec; what is missing
 * or broken is `unresolved` with its place, and so are the tasks that need it.
 *
 * Ownership: all in the budget's arena.  Threads: one at a time.
 */
#ifndef PA_PIPELINE_RUNTIME_INTERNAL_H
#define PA_PIPELINE_RUNTIME_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "pipeline/findings_internal.h"

struct pa_analyze_options;
struct pa_error;
struct pa_node;
struct pa_pipeline;

/* Whether a Workflow is one of KFP v2's. */
bool runtime_is_workflow(const struct pa_node *root);
int runtime_analyze(const struct pa_budget *budget, const struct pa_node *root, size_t document,
                    const struct pa_analyze_options *options, struct pa_pipeline *ret, struct pa_error *err);

#endif
