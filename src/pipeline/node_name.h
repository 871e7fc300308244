/* SPDX-License-Identifier: Apache-2.0 */
/* Names at run time to tasks of the model.
 *
 * Argo names each node of a run after the way to it: "wf-abc.train", "wf-abc[0].sub(1:item).train(0)", where
 * "[0]" is a group of steps, "(1:item)" a loop's turn and "(0)" an attempt; exit handlers are ".onExit",
 * hooks ".hooks.NAME".  KFP v2 puts ".root" before its own names, ".executor" behind those of containers, and
 * ".iteration-iterations(0:0)" with ".iteration-item" into loops.  A pod has the workflow's name, (since Argo
 * 3.4) its template's, and a hash of the node's name.
 *
 * Items of loops may hold anything, also what looks like the rest of a name; every reading of a name is
 * tried, and the model decides.
 *
 * Ownership: none is taken.  Threads: any number at a time.  Blocking: never.
 * Errors: none; what is not known is NULL.
 * Limits: names whose id would pass PA_NODE_NAME_MAX_ID_BYTES, or that can be read in more than some hundred
 * ways, are not known.
 */
#ifndef PA_PIPELINE_NODE_NAME_H
#define PA_PIPELINE_NODE_NAME_H

#include "pipeline/model.h"

#define PA_NODE_NAME_MAX_ID_BYTES 4096

/* The task of which this is a node of a run, a pod, or a node's display name; NULL: none, or several could be
 * meant. `template_name` is the one that the node or the pod's annotation gives (NULL or "": not known);
 * where the format names tasks after templates, only tasks of that template count.
 *
 * A pod's name holds only a hash: all nodes that the model can name are tried (attempts and turns of loops
 * that it can count, up to some ten thousand; not inside templates of other files); what is left over is
 * found where only one task has the template. */
const struct pa_task *pa_pipeline_task_of_node(const struct pa_pipeline *pipeline, const char *node_name,
                                               const char *template_name);

#endif
