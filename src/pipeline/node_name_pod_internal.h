/* SPDX-License-Identifier: Apache-2.0 */
/* The search for the node behind the hash in a pod's name: its driver and KFP v2 (node_name_pod.c), Argo's
 * templates (node_name_argo.c).  Threads: each search its own. */
#ifndef PA_PIPELINE_NODE_NAME_POD_INTERNAL_H
#define PA_PIPELINE_NODE_NAME_POD_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/node_name_internal.h"
#include "pipeline/workflow.h"

struct pod_search {
	const struct pa_pipeline *pipeline;
	const char *rest; /* what stands between the workflow's name and the hash */
	size_t rest_bytes;
	bool cut; /* the rest is cut short */
	uint32_t wanted;
	size_t turns; /* of a loop, and attempts, that are tried at each place */
	size_t steps; /* nodes named in this pass for one name of the workflow */
	size_t max_steps;
	const struct pa_task *found;
	bool several;
};

uint32_t node_name_hash_text(uint32_t hash, const char *text);
/* The hash with "(N)" behind it. */
uint32_t node_name_hash_attempt(uint32_t hash, size_t attempt);
/* Compares one node's hash to the pod's; `task` (NULL: not in the model) is the node's. */
void node_name_try_pod(struct pod_search *search, uint32_t hash, const struct pa_task *task);
/* All nodes of an Argo workflow; `hash` is that of the workflow's name. */
void node_name_search_argo(struct pod_search *search, uint32_t hash);

#endif
