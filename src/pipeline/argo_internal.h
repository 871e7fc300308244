/* SPDX-License-Identifier: Apache-2.0 */
/* Working out an Argo workflow: the structures that the steps of the analysis share.
 *
 *   argo_library.c    all Argo documents of all texts, by kind and name
 *   argo_merge.c      a Workflow and the WorkflowTemplate that it runs, as one
 *   argo.c            the steps, one after the other
 *   argo_graph.c      per template: what each call waits for, and an order without cycles
 *   argo_flatten.c    every call on every way from the entrypoint: instances, tasks, ids
 *   argo_hook.c       exit handlers and hooks among them
 *   argo_order.c      instances to `after`
 *   argo_reference.c  `{{…}}` taken apart
 *   argo_value.c      values that the file gives
 *   argo_origin.c     where the others come from
 *   argo_global.c     outputs with a globalName, and which of them a reader gets
 *   argo_loop.c       loops: items, and who makes them
 *   argo_task.c       a template and its call to a task of the model
 *   argo_settings.c   hyper-parameters, resources, retries, caching
 *   argo_manifest.c   what resource templates create
 *   argo_claims.c     volumes to claims, and who creates them
 *   argo_data.c       URIs and claims to data sets
 *   argo_explain.c    where each fact about one task came from
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

#include "pipeline/analyze.h"
#include "pipeline/argo_read_internal.h"
#include "pipeline/call_order_internal.h"
#include "pipeline/model.h"
#include "pipeline/name_table_internal.h"
#include "pipeline/workflow.h"

#define ARGO_MAX_ORIGINS         256  /* references in one value */
#define ARGO_MAX_REFERENCE_DEPTH 300  /* values that stand for values */
#define ARGO_MAX_MOUNTS          1000 /* of one task */

struct pa_document;

/* One Argo document of those that are analysed together. */
struct argo_known {
	const struct pa_node *root;
	size_t document;
	const char *name_space;       /* NULL: not said */
	struct pa_workflow *workflow; /* NULL: it has an error */
	const char *error;            /* NULL: none */
	size_t next;                  /* another of its kind and name; SIZE_MAX: none */
};

/* Templates are read once, whoever calls them, and so are their graphs made. */
struct argo_library {
	struct pa_arena *arena;
	struct pa_name_table index; /* "kind name" to the first of them */
	struct argo_known *known;
	size_t count, capacity;
	size_t template_number_count;
	struct argo_graph **graphs; /* by template number; NULL until asked for */
	size_t graph_capacity;
};

/* Facts of one template that hold in all its instances. */
struct argo_graph {
	struct pa_name_table calls;
	struct pa_call_waits *waits; /* indexes of calls of the same template */
	size_t *order;               /* calls, each behind all that it waits for */
	bool *last;                  /* no other call waits for it */
	bool *left_out;              /* by dag.target */
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
	const struct pa_workflow *home;     /* whose templates the names in it mean */
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
	bool has_loop;              /* this call is the loop */
	struct pa_task_set *before; /* tasks that end before it starts */
	struct pa_task_set *ends;   /* tasks that end it */
};

/* An output with a globalName. */
struct argo_global {
	const struct argo_place *place;
	const char *output;
	size_t next; /* another of that globalName; SIZE_MAX: none */
	size_t last; /* of that globalName; right in the first */
};

struct argo_task {
	struct argo_place *place;
	bool creates_claim;     /* a resource task that makes a volume claim */
	const char *claim_name; /* its name, {{…}} in it where only a run knows; NULL: generated */
	const struct pa_volume **mount_volumes; /* parallel to the model's mounts; NULL: no such volume */
};

struct argo_analysis {
	struct pa_findings findings;
	struct argo_reader reader;
	struct argo_library *library;
	struct pa_pipeline *pipeline;
	struct pa_workflow *workflow;
	const char *missing_reference; /* why the spec of its workflowTemplateRef was not found; or NULL */
	const struct pa_workflow **adopted; /* workflows of others, with the defaults of `workflow` */
	size_t adopted_count, adopted_capacity;
	struct pa_name_table adopted_index; /* number in the library to index in adopted */
	struct argo_instance *root;
	struct pa_call arguments; /* the workflow's own, as its entrypoint gets them */
	size_t call_count;        /* after expansion */
	size_t reference_depth;   /* of values that are being looked up inside each other */

	struct argo_task *tasks; /* parallel to pipeline->tasks */
	size_t task_count, task_capacity;
	struct pa_task *models;
	size_t model_capacity;
	struct pa_name_table *task_index;                         /* id to index; the pipeline keeps it */
	struct pa_name_table parameter_index;                     /* pipeline parameters */
	struct pa_name_table global_parameters, global_artifacts; /* globalName to index in globals */
	struct argo_global *globals;
	size_t global_count, global_capacity, global_visits;
	struct pa_task_sets sets;
};

/* argo_library.c */
void argo_library_init(struct argo_library *library, struct pa_arena *arena);
/* Reads the document, an error of which it keeps; the number that it has from then on. */
size_t argo_library_add(struct argo_library *library, const struct pa_budget *budget,
                        const struct pa_document *document);
/* The document of this kind and name, as a workflow means it: one in the same text, else in a file of the same
 * folder, else anywhere, but never in another namespace.  NULL, and why: none, it has an error, or two are equally
 * near. */
const struct argo_known *argo_library_find(const struct argo_library *library, const struct pa_workflow *from,
                                           const char *kind, const char *name, const char **ret_why);
struct argo_template_name {
	const char *workflow, *template;
	bool cluster;
};
/* The template that a templateRef in `from` means, and the workflow that it is of; NULL, and why. */
int argo_library_template(struct argo_analysis *analysis, const struct pa_workflow *from,
                          const struct argo_template_name *wanted, const struct pa_workflow **ret_home,
                          const struct pa_template **ret, const char **ret_why, struct pa_error *err);

/* argo_merge.c: the workflow to run; the document's own when it refers to none, or to one that is missing. */
int argo_merge_reference(struct argo_analysis *analysis, const struct argo_known *known,
                         struct pa_workflow **ret, const char **ret_why, struct pa_error *err);

/* argo.c */
int argo_analyze(struct argo_library *library, size_t number, const struct pa_budget *budget,
                 const struct pa_analyze_options *options, struct pa_pipeline *ret, struct pa_error *err);
bool argo_has_prefixed_key(const struct pa_node *map, const char *prefix);

/* argo_explain.c */
int argo_explain(struct argo_analysis *analysis, struct pa_error *err);

/* argo_graph.c */
int argo_graph_of(struct argo_analysis *analysis, const struct pa_template *template, struct argo_graph **ret,
                  struct pa_error *err);

/* dag.target can differ from one use of a DAG to the next: the instance gets a graph of its own for it. */
int argo_graph_with_target(struct argo_analysis *analysis, struct argo_instance *instance,
                           struct pa_error *err);

/* argo_flatten.c */
int argo_flatten(struct argo_analysis *analysis, struct pa_error *err);
/* A place of `scope` for a call, with the condition and the loop that hold there. */
int argo_init_place(struct argo_analysis *analysis, struct argo_place *place, struct argo_instance *scope,
                    const struct pa_call *call, struct pa_error *err);
/* Follows its call to the instance of its template, and on to the tasks in it. */
int argo_enter_place(struct argo_analysis *analysis, struct argo_place *place, const char *id,
                     const char *prefix, unsigned int depth, struct pa_error *err);
/* Where the workflow's spec says `key`, as near as can be told: its spec may be merged from two documents. */
const struct pa_node *argo_spec_position(const struct pa_workflow *workflow, const char *key);

/* argo_hook.c */
/* How many places these take in the instance around them. */
size_t argo_hook_count(const char *on_exit, const struct pa_node *hooks);
/* Exit handlers and hooks of a call; of the workflow, when `place` is NULL. */
int argo_add_hooks(struct argo_analysis *analysis, struct argo_instance *scope, struct argo_place *place,
                   const char *prefix, unsigned int depth, struct pa_error *err);

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

/* argo_global.c */
/* The outputs of a template that all of the workflow may name. */
void argo_index_globals(struct argo_analysis *analysis, const struct argo_place *place,
                        const struct pa_template *template);
/* Of several writers of a globalName leaves those whose output a reader can get. */
void argo_keep_last_writers(struct argo_analysis *analysis, const struct argo_place *reader,
                            struct argo_origins *writers);

/* argo_task.c */
struct argo_filling {
	struct argo_analysis *analysis;
	struct argo_place *place;
	struct argo_instance *instance;
	const struct pa_template *template; /* NULL: unresolved */
	struct pa_task *task;
};
int argo_fill_tasks(struct argo_analysis *analysis, struct pa_error *err);

/* argo_loop.c: the loops of all calls in and below an instance; before tasks look at them. */
int argo_fill_loops(struct argo_analysis *analysis, struct argo_instance *instance, struct pa_error *err);

/* argo_settings.c */
int argo_fill_hyperparameters(struct argo_filling *filling, struct pa_error *err);
int argo_fill_settings(struct argo_filling *filling, struct pa_error *err);
/* What said so; NULL: a rule. */
const struct pa_node *argo_hyperparameter_position(const struct pa_template *template);
const struct pa_node *argo_caching_position(const struct pa_template *template);

/* argo_claims.c */
int argo_fill_mounts(struct argo_analysis *analysis, struct pa_error *err);

/* argo_manifest.c: the documents of a resource's manifest; none where it cannot be read before the run. */
int argo_read_manifest(struct argo_analysis *analysis, struct argo_instance *instance,
                       struct pa_document **ret, size_t *ret_count, struct pa_error *err);
/* The text of a node of such a document. */
const char *argo_manifest_text(struct argo_analysis *analysis, const struct pa_node *node);

/* argo_data.c */
int argo_fill_data(struct argo_analysis *analysis, struct pa_error *err);

/* parameters.c */
int argo_fill_parameters(struct argo_analysis *analysis, const struct pa_analyze_options *options,
                         struct pa_error *err);
/* The value of a pipeline parameter (its default when it has none), or NULL. */
const char *argo_pipeline_parameter_value(const struct argo_analysis *analysis, const char *name);

#endif
