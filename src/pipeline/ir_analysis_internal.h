/* SPDX-License-Identifier: Apache-2.0 */
/* Working out an ir_spec: the structures that the steps of the analysis share.
 *
 *   ir_flatten.c     every call on every way from the root: places, tasks, ids
 *   ir_order.c       places to `after`
 *   ir_value.c       values that the file gives
 *   ir_select.c      parts of them
 *   ir_condition.c   such values in conditions
 *   ir_origin.c      where the others come from
 *   ir_parameters.c  the pipeline's parameters
 *   ir_task.c        an executor and its call to a task of the model
 *   ir_command.c     command lines, with IfPresent and Concat
 *   ir_mounts.c      Kubernetes' configuration to mounts and claims
 *   ir_data.c        URIs and claims to data sets
 *   ir_facts.c       what is said about a task, and where
 *
 * A *place* is one use of a component: the root, or one call on one way from it.  A place of a DAG owns the places
 * of what it calls.  Its *inputs* are those that its component defines and all that its call gives: what texts at a
 * call and in the component name, too.
 * Everything lies in the budget's arena and is used by one thread.
 */
#ifndef PA_PIPELINE_IR_ANALYSIS_INTERNAL_H
#define PA_PIPELINE_IR_ANALYSIS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "pipeline/call_order_internal.h"
#include "pipeline/ir_internal.h"
#include "pipeline/ir_read_internal.h"

#define IR_MAX_ORIGINS         256  /* of one value */
#define IR_MAX_REFERENCE_DEPTH 300  /* values that stand for values */
#define IR_MAX_MOUNTS          1000 /* of one task */
#define IR_CREATE_CLAIM_IMAGE  "argostub/createpvc"
#define IR_DELETE_CLAIM_IMAGE  "argostub/deletepvc"

/* Where a value comes from; `busy` while it is looked for, which ends a circle of references. */
struct ir_origins {
	struct pa_origin *items;
	size_t count, capacity;
	bool busy, done;
};

enum ir_knowledge {
	IR_ONLY_IN_A_RUN,
	IR_ABSENT, /* optional, and nobody gives it */
	IR_KNOWN,
};

struct ir_value {
	enum ir_knowledge knowledge;
	/* IR_KNOWN: the value.  Of others what is known about it: with open references, the list that an item is
	 * of; or NULL. */
	const char *text;
	bool busy, done;
};

struct ir_input {
	const char *name;
	bool artifact;
	bool item;                              /* of the call's loop */
	const struct ir_definition *definition; /* NULL: only the call has it */
	const struct ir_argument *argument;     /* NULL: the call does not give it */
	struct ir_value value;                  /* of a parameter */
	struct ir_origins origins;
};

struct ir_place {
	const struct ir_call *call; /* NULL for the root */
	struct ir_place *parent;    /* likewise */
	const struct ir_component
	    *component; /* NULL: there is none, or it calls itself and is not entered again */
	struct ir_input *inputs;
	size_t input_count;
	size_t *argument_inputs;           /* by argument of the call: its index in inputs */
	struct ir_place *places;           /* by call of the component */
	struct ir_origins *output_origins; /* by output of the DAG */
	const char *prefix;                /* of the ids of its places: "" or ends in '/' */
	size_t task;                       /* SIZE_MAX: none of its own */
	enum pa_task_role role;
	const char *condition; /* of this call and all around it; NULL: none */
	size_t condition_count;
	struct pa_loop *loop;        /* of this call or the next around it; NULL: none */
	struct ir_place *loop_place; /* whose call has it */
	struct pa_task_set *before;  /* tasks that end before it starts */
	struct pa_task_set *ends;    /* tasks that end it */
};

struct ir_task {
	const char *id;
	struct ir_place *place;
	const struct ir_named_node *executor; /* NULL: missing */
	const struct pa_node *platform;       /* Kubernetes' configuration, or NULL */
	bool creates_claim;
	const char *claim_name; /* of the claim it creates; NULL: generated */
	const char *import_uri; /* of an importer, where it is known */
	bool imports_to_workspace;
	const struct pa_node **mount_nodes; /* parallel to the model's mounts; NULL: the workspace */
};

struct ir_analysis {
	struct pa_findings *findings;
	const struct pa_budget *budget; /* the findings' */
	struct ir_spec *spec;
	struct pa_pipeline *pipeline;
	struct ir_component root_component;
	struct ir_component *components; /* parallel to spec->components */
	struct ir_place root;
	size_t call_count;      /* after expansion */
	size_t reference_depth; /* of values that are being looked up inside each other */
	struct pa_task_sets sets;

	const char **parts; /* of values, that expressions take; NULL: there is no such part */
	size_t part_count, part_capacity;
	struct pa_name_table part_index; /* value and expression to index */

	struct ir_task *tasks; /* parallel to pipeline->tasks */
	size_t task_count, task_capacity;
	struct pa_task *models;
	struct pa_name_table *task_index;     /* id to index; the pipeline keeps it */
	struct pa_name_table parameter_index; /* the pipeline's */
};

/* ir_parameters.c */
int ir_fill_parameters(struct ir_analysis *analysis, const struct pa_analyze_options *options,
                       struct pa_error *err);

/* ir_flatten.c */
int ir_flatten(struct ir_analysis *analysis, struct pa_error *err);

/* ir_order.c */
int ir_order(struct ir_analysis *analysis, struct pa_error *err);

/* ir_value.c */
/* One `{{$.inputs.parameters['x']}}`: text[begin..end), and the name in it. */
struct ir_reference {
	size_t begin, end;
	const char *name; /* points into the text */
	size_t name_bytes;
};
bool ir_reference_next(const char *text, size_t offset, struct ir_reference *ret);
/* The index of a place's input of this name; SIZE_MAX: it has none. */
size_t ir_find_input(const struct ir_place *place, const char *name, bool artifact);
const struct ir_value *ir_input_value(struct ir_analysis *analysis, struct ir_place *place, size_t input);
/* What a call at `place` gives: of any argument, not only those of the call. */
struct ir_value ir_argument_value(struct ir_analysis *analysis, struct ir_place *place,
                                  const struct ir_argument *argument);
/* Whether the run gives this input, be its value known or not. */
bool ir_input_is_present(struct ir_analysis *analysis, struct ir_place *place, const char *name);
/* `text` with the known inputs of `place` filled in. */
int ir_fill(struct ir_analysis *analysis, struct ir_place *place, const char *text, const char **ret,
            struct pa_error *err);

/* ir_select.c: the part that an expression takes of `whole`; of an item, the list of the items' parts. */
struct ir_value ir_select(struct ir_analysis *analysis, const char *expression, const struct ir_value *whole);

/* ir_condition.c: the condition of the call at `place`, likewise. */
int ir_fill_condition(struct ir_analysis *analysis, struct ir_place *place, const char **ret,
                      struct pa_error *err);

/* ir_origin.c */
int ir_input_origins(struct ir_analysis *analysis, struct ir_place *place, size_t input,
                     const struct ir_origins **ret, struct pa_error *err);
/* Of any argument, as the call at `place` would have it. */
int ir_argument_origins(struct ir_analysis *analysis, struct ir_place *place,
                        const struct ir_argument *argument, struct ir_origins *origins, struct pa_error *err);

/* ir_task.c */
int ir_fill_tasks(struct ir_analysis *analysis, struct pa_error *err);

/* ir_command.c: a command line (NULL: none), filled in. */
int ir_fill_command(struct ir_analysis *analysis, struct ir_place *place, const struct pa_node *list,
                    const char ***ret, size_t *ret_count, struct pa_error *err);

/* ir_mounts.c */
int ir_fill_mounts(struct ir_analysis *analysis, struct pa_error *err);

/* ir_data.c */
int ir_fill_data(struct ir_analysis *analysis, struct pa_error *err);

/* ir_facts.c */
int ir_fill_facts(struct ir_analysis *analysis, struct pa_error *err);

/* The container of a task's executor (of a custom job the first worker's), or NULL. */
const struct pa_node *ir_container(const struct ir_task *task);

#endif
