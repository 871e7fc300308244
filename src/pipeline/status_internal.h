/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that Argo compressed to keep a Workflow below the size that Kubernetes allows. */
#ifndef PA_PIPELINE_STATUS_INTERNAL_H
#define PA_PIPELINE_STATUS_INTERNAL_H

#include <stddef.h>

struct pa_arena;
struct pa_error;
struct pa_node;

/* The mapping of nodes in `compressed`, a scalar of gzip in base64; every node has its position.  Errors
 * name what is broken: the base64, the gzip, the JSON, or a size over PA_STATUS_MAX_BYTES. */
int status_decompress(struct pa_arena *arena, const struct pa_node *compressed, const struct pa_node **ret,
                      struct pa_error *err);

#endif
