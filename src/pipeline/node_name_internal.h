/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the names of nodes, for the public function and for the status of a run, which knows more about
 * them.
 *
 *   node_name.c       a name to its readings, and those to a task
 *   node_name_pod.c   the hash in a pod's name
 *
 * Ownership: results point into the names that were given.  Threads: any number at a time.
 */
#ifndef PA_PIPELINE_NODE_NAME_INTERNAL_H
#define PA_PIPELINE_NODE_NAME_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/node_name.h"

#define NODE_NAME_MAX_GROUPS 128
/* Elements of a name; twice the levels of nested DAGs, for what KFP puts between. */
#define NODE_NAME_MAX_ELEMENTS 320

struct node_name_group {
	const char *text; /* "(0:item)" */
	size_t bytes;
};

/* What a node is called, in pieces from the workflow's name on: a piece is what a template's node adds to
 * the name of the node around it (".train(0)", "[0].say"), so no reading reaches across pieces. */
struct node_name_question {
	const struct pa_pipeline *pipeline; /* NULL: no model, only the id is wanted */
	bool kfp_v2;                        /* the run is of KFP v2 */
	const char *const *pieces;
	size_t piece_count;
	const char *template_name; /* NULL or "": not known */
};

struct node_name_answer {
	const struct pa_task *task; /* NULL: not known */
	bool several;               /* because several could be meant */
	/* The id that the name stands for; without a task that of the first reading; "": the entrypoint
	 * itself. */
	char id[PA_NODE_NAME_MAX_ID_BYTES + 1];
	/* Turns and attempts on the way, outermost first. */
	struct node_name_group groups[NODE_NAME_MAX_GROUPS];
	size_t group_count;
};

void node_name_answer(const struct node_name_question *question, struct node_name_answer *ret);
/* Whether a task can be of the template that a node names. */
bool node_name_fits_template(const struct pa_pipeline *pipeline, const struct pa_task *task,
                             const char *template_name);
/* The task that the entrypoint itself is, or NULL. */
const struct pa_task *node_name_entry_task(const struct pa_pipeline *pipeline, const char *template_name);
bool node_name_is_kfp_v2(const struct pa_pipeline *pipeline);

/* FNV-1a of 32 bits, as Argo makes it: begin with NODE_NAME_HASH_START. */
#define NODE_NAME_HASH_START 2166136261u
uint32_t node_name_hash(uint32_t hash, const char *text, size_t bytes);
/* The task whose pod this is, by its hash. */
const struct pa_task *node_name_of_pod(const struct pa_pipeline *pipeline, const char *pod_name,
                                       const char *template_name);

#endif
