/* SPDX-License-Identifier: Apache-2.0 */
/* Working out an Argo workflow: the structures that the steps of the analysis share.
 *
 *   argo_graph.c      per template: what each call waits for, and an order without cycles
 *   argo_flatten.c    every call on every way from the entrypoint: instances, tasks, ids
 *   argo_order.c      instances to `after`
 *   argo_reference.c  `{{…}}` taken apart
 *   argo_value.c      values that the file gives
 *   argo_origin.c     where the others come from
 *   argo_task.c       a template and its call to a task of the model
 *   argo_claims.c     volumes to claims, and who creates them
 *   argo_data.c       URIs and claims to data sets
 *
 * An *instance* is one use of a template; a *place* is one call in one instance of a DAG or of steps, and
 * owns the instance of what it calls.  The outermost instance is the workflow itself: its places are
 * the entrypoint, the exit handler and the hooks.
 * Everything lies in the budget's arena and is used by one thread.
 */
#ifndef PA_PIPELINE_ARGO_INTERNAL_H
#define PA_PIPELINE_ARGO_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/analyze.h"
#include "pipeline/argo_read_internal.h"
#include "pipeline/model.h"
#include "pipeline/name_table_internal.h"
#include "pipeline/workflow.h"

#define ARGO_MAX_ORIGINS         256  /* references in one value */
#define ARGO_MAX_REFERENCE_DEPTH 300  /* values that stand for values */
#define ARGO_MAX_MOUNTS          1000 /* of one task */

/* A set of tasks by index, ascending. */
struct argo_set {
	size_t *tasks;
	size_t count;
	const char **ids; /* made when first asked for */
};

/* What one call of a template waits for, as indexes of calls of the same template. */
struct argo_waits {
	size_t *calls;
	size_t count;
	size_t capacity;
};

/* Facts of one template that hold in all its instances. */
struct argo_graph {
	struct pa_name_table calls;
	struct argo_waits *waits;
	size_t *order;  /* calls, each behind all that it waits for */
	bool *last;     /* no other call waits for it */
	bool *left_out; /* by dag.target */
	struct pa_name_table input_parameters, input_artifacts;
	struct pa_name_table output_parameters, output_artifacts;
};

/* Where a value comes from; `busy` while it is looked for, which ends a circle of references. */
struct argo_origins {
	struct pa_origin *items;
	size_t count;
	size_t capacity;
	bool busy;
	bool done;
};

/* A text with its known parameters filled in; NULL when some of it is known only in a run. */
struct argo_value {
	const char *text;
	bool busy;
	bool done;
};

struct argo_instance {
	const struct pa_template *template; /* NULL: the workflow itself, or no template was found */
	struct argo_graph *graph;           /* NULL likewise */
	struct argo_place *caller;          /* NULL for the workflow itself */
	struct argo_place *places;
	size_t place_count;
	const char *prefix;                    /* of the ids of its places: "" or ends in '/' */
	const struct pa_parameter **arguments; /* for each input parameter what the call gives, or NULL */
	const struct pa_artifact **artifact_arguments; /* likewise */
	struct argo_value *values;                     /* of input parameters */
	struct argo_origins *parameter_origins, *artifact_origins;
	struct argo_origins *output_parameter_origins, *output_artifact_origins;
};

enum argo_place_kind { ARGO_CALL, ARGO_HOOK, ARGO_EXIT };

struct argo_place {
	const struct pa_call *call;
	struct argo_instance *scope;  /* where the call stands */
	struct argo_instance *inside; /* what it calls; NULL: left out, or a template that calls itself */
	size_t task;                  /* SIZE_MAX: none of its own */
	enum argo_place_kind kind;
	enum pa_task_role role;
	struct argo_place *hook_of; /* hooks and exits of one task */
	const char *condition;      /* of this call and all around it; NULL: none */
	size_t condition_count;
	struct pa_loop *loop; /* of this call or the next around it; NULL: none */
	struct argo_origins loop_origins;
	bool has_loop;           /* this call is the loop */
	struct argo_set *before; /* tasks that end before it starts */
	struct argo_set *ends;   /* tasks that end it */
};

struct argo_task {
	struct argo_place *place;
	bool creates_claim;     /* a resource task that makes a volume claim */
	const char *claim_name; /* its name, {{…}} in it where only a run knows; NULL: generated */
	const struct pa_volume **mount_volumes; /* parallel to the model's mounts; NULL: no such volume */
};

struct argo_analysis {
	struct argo_budget budget;
	struct argo_reader reader;
	struct pa_pipeline *pipeline;
	struct pa_workflow *workflow;
	struct argo_graph **graphs; /* by template number; NULL until asked for */
	size_t graph_capacity;
	struct argo_instance *root;
	size_t call_count;      /* after expansion */
	size_t reference_depth; /* of values that are being looked up inside each other */
	size_t edge_count;

	struct argo_task *tasks; /* parallel to pipeline->tasks */
	size_t task_count, task_capacity;
	struct pa_task *models;
	size_t model_capacity;
	struct pa_name_table *task_index;                         /* id to index; the pipeline keeps it */
	struct pa_name_table parameter_index;                     /* pipeline parameters */
	struct pa_name_table global_parameters, global_artifacts; /* globalName to index of task */
	struct pa_unresolved *unresolved;
	size_t unresolved_count, unresolved_capacity;
	struct pa_name_table unresolved_seen;
	struct argo_set nothing; /* the set of no tasks */
	uint32_t *stamps;        /* argo_order.c: which union a task is in already */
	uint32_t stamp;
};

/* Adds to `unresolved`, once for each text and position. */
int argo_note_unresolved(struct argo_analysis *analysis, const struct pa_node *at, struct pa_error *err,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* argo_graph.c */
int argo_graph_of(struct argo_analysis *analysis, const struct pa_template *template, struct argo_graph **ret,
                  struct pa_error *err);

/* argo_flatten.c */
int argo_flatten(struct argo_analysis *analysis, struct pa_error *err);

/* argo_order.c */
int argo_order(struct argo_analysis *analysis, struct pa_error *err);

/* argo_reference.c: one reference, taken apart. */
enum argo_reference_kind {
	ARGO_INPUT_PARAMETER,
	ARGO_INPUT_ARTIFACT,
	ARGO_TASK_PARAMETER, /* of outputs */
	ARGO_TASK_ARTIFACT,
	ARGO_TASK_RESULT, /* and all of a task that is no output: status, ip, … */
	ARGO_WORKFLOW_PARAMETER,
	ARGO_WORKFLOW_ARTIFACT,
	ARGO_GLOBAL_PARAMETER, /* workflow.outputs */
	ARGO_GLOBAL_ARTIFACT,
	ARGO_ITEM,
	ARGO_OTHER, /* workflow.name, pod.name, … */
};

struct argo_reference {
	enum argo_reference_kind kind;
	const char *task; /* of TASK_*; else NULL */
	const char *name; /* of a parameter, artifact or result */
};

typedef int (*argo_reference_visit)(void *context, const struct argo_reference *reference,
                                    struct pa_error *err);
/* Every reference in the `{{…}}` of a text; of a bare expression (fromExpression). NULL has none. */
int argo_reference_each(struct pa_arena *arena, const char *text, argo_reference_visit visit, void *context,
                        struct pa_error *err);
int argo_expression_each(struct pa_arena *arena, const char *expression, argo_reference_visit visit,
                         void *context, struct pa_error *err);

/* argo_value.c: values that the file gives. `text` with what is known filled in, as seen inside `instance`. */
int argo_expand(struct argo_analysis *analysis, struct argo_instance *instance, const char *text,
                const char **ret, struct pa_error *err);
bool argo_is_known(const char *text);
/* The value of an input parameter, or NULL when only a run knows it. */
const char *argo_parameter_value(struct argo_analysis *analysis, struct argo_instance *instance,
                                 size_t index);

/* argo_origin.c: where values come from. */
int argo_origins_of_text(struct argo_analysis *analysis, struct argo_instance *instance,
                         struct argo_place *item, const char *text, struct argo_origins *origins,
                         struct pa_error *err);
int argo_origins_of_parameter(struct argo_analysis *analysis, struct argo_instance *instance, size_t index,
                              const struct argo_origins **ret, struct pa_error *err);
int argo_origins_of_artifact(struct argo_analysis *analysis, struct argo_instance *instance, size_t index,
                             const struct argo_origins **ret, struct pa_error *err);
/* Of an argument of a call whose template is in no file. */
int argo_origins_of_argument(struct argo_analysis *analysis, struct argo_place *place,
                             const struct pa_artifact *artifact, struct argo_origins *origins,
                             struct pa_error *err);

/* argo_task.c */
int argo_fill_tasks(struct argo_analysis *analysis, struct pa_error *err);

/* argo_claims.c */
int argo_fill_mounts(struct argo_analysis *analysis, struct pa_error *err);

/* argo_data.c */
int argo_fill_data(struct argo_analysis *analysis, struct pa_error *err);

/* parameters.c */
int argo_fill_parameters(struct argo_analysis *analysis, const struct pa_analyze_options *options,
                         struct pa_error *err);
/* The value of a pipeline parameter (its default when it has none), or NULL. */
const char *argo_pipeline_parameter_value(const struct argo_analysis *analysis, const char *name);

#endif
