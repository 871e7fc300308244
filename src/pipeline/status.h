/* SPDX-License-Identifier: Apache-2.0 */
/* What an Argo Workflow says about its own run: status.nodes, in one form wherever they are.
 *
 * pa_status_read() takes the nodes from `status.nodes` or `status.compressedNodes` (gzip in base64) and finds
 * each one's task in the model of the workflow, which the caller made of the same object (its spec, or the
 * spec that `status.storedWorkflowTemplateSpec` keeps).  Nodes that Argo moved to a database
 * (`offloadNodeStatusVersion`) are not in the object: `offloaded` says so and there are none.
 *
 * Ownership: everything lies in the arena, or is the workflow's nodes.  Threads: none shared.
 * Blocking: never.  Pure.  Errors: PA_ERROR_INPUT with file:line:col.
 * Limits: PA_STATUS_MAX_NODES nodes, PA_STATUS_MAX_DEPTH templates in templates, PA_STATUS_MAX_BYTES of nodes
 * once they are decompressed.
 */
#ifndef PA_PIPELINE_STATUS_H
#define PA_PIPELINE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#include "pipeline/model.h"

struct pa_arena;
struct pa_error;
struct pa_node;

#define PA_STATUS_MAX_NODES 100000
#define PA_STATUS_MAX_DEPTH 256
#define PA_STATUS_MAX_BYTES (32u << 20)

/* One node of a run.  Texts are "" where the object says nothing. */
struct pa_status_node {
	const char *id;
	const char *name;
	const char *display_name;
	const char *type;  /* Pod, DAG, Steps, StepGroup, TaskGroup, Retry, Skipped, Suspend, HTTP, … */
	const char *phase; /* Succeeded, Failed, Running, … */
	const char *template_name; /* also of a templateRef */
	const char *pod_name;      /* of nodes that run as a pod */
	const char *started;       /* as written: RFC 3339 */
	const char *finished;
	const struct pa_name_value *inputs; /* parameters with a value */
	size_t input_count;
	const struct pa_name_value *outputs;
	size_t output_count;
	size_t boundary;        /* index of the node of the template around it; SIZE_MAX: none */
	const size_t *children; /* indexes of nodes that follow */
	size_t child_count;

	bool runs;                  /* it is a task at work: no group, no skipped task, no driver of KFP */
	const struct pa_task *task; /* of the model; NULL: not in it, or there is no model */
	const char *task_id;  /* the task's id; without a task the one that its name stands for, or "" */
	const char *instance; /* turns of loops and attempts: "(0:item)(1)", or "" */
};

struct pa_status {
	const char *workflow_name;
	const char *phase;
	const char *started;
	const char *finished;
	bool offloaded; /* the nodes are in a database and not here */
	struct pa_status_node *nodes;
	size_t node_count;
};

/* `workflow` is the whole object; `pipeline` its model, or NULL.  A workflow that has not begun has no
 * nodes. */
int pa_status_read(struct pa_arena *arena, const struct pa_node *workflow, const struct pa_pipeline *pipeline,
                   struct pa_status *ret, struct pa_error *err);

#endif
