/* SPDX-License-Identifier: Apache-2.0 */
/* Components of the IR as written: a ComponentSpec's node in, a struct out, wrong types refused.
 *
 * Errors are PA_ERROR_INPUT with file:line:col; fields that are not known are passed over.  A pointer is NULL where
 * the file says nothing.  Everything lives in the budget's arena and is not changed after reading.
 */
#ifndef PA_PIPELINE_IR_READ_INTERNAL_H
#define PA_PIPELINE_IR_READ_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/call_order_internal.h"
#include "pipeline/findings_internal.h"
#include "pipeline/name_table_internal.h"

struct pa_error;
struct pa_node;

enum ir_source {
	IR_NO_SOURCE,
	IR_TASK_OUTPUT, /* producer + text: its output */
	IR_TASK_STATUS, /* producer */
	IR_INPUT,       /* text: an input of the component that the call stands in */
	IR_CONSTANT,    /* text, may hold {{$.inputs.parameters['x']}} of the call's own inputs; NULL: null */
	IR_PARAMETER_VALUE, /* text: a pipeline parameter (the older runtimeParameter) */
};

/* What a call gives for one input. */
struct ir_argument {
	const char *name;
	bool artifact;
	enum ir_source source;
	const char *producer; /* a task of the same DAG */
	const char *text;
	const char *selector; /* the expression that takes a part of the value; NULL: all of it */
	const struct pa_node *node;
};

/* One task of a DAG: a call of a component. */
struct ir_call {
	const char *key;
	const char *component;              /* componentRef.name */
	const struct pa_node *dependencies; /* a list of texts, or NULL */
	struct ir_argument *arguments;      /* parameters, then artifacts */
	size_t argument_count;
	struct pa_name_table parameters, artifacts; /* arguments by name */
	const char *condition;
	bool runs_regardless;  /* the strategy ALL_UPSTREAM_TASKS_COMPLETED */
	const char *loop_item; /* the input that holds the item; NULL: no loop */
	const char *loop_list; /* the input that holds the list, or NULL */
	const char *loop_raw;  /* the list as JSON text, or NULL */
	bool loop_artifact;    /* item and list are artifacts */
	int64_t retries;       /* 0: none */
	bool caching;
	const struct pa_node *node;
};

/* An input or output of a component. */
struct ir_definition {
	const char *name;
	bool artifact;
	bool optional;
	const char *type;
	const char *default_value; /* NULL: none */
	const struct pa_node *node;
};

/* What a DAG's output is: the output of one of its tasks, or of whichever of several ran. */
struct ir_selector {
	const char *producer;
	const char *output;
	const struct pa_node *node;
};

struct ir_output {
	const char *name;
	bool artifact;
	struct ir_selector *selectors;
	size_t selector_count;
};

struct ir_component {
	const char *name;
	const char *executor; /* executorLabel, or NULL */
	bool is_dag;
	struct ir_definition *inputs; /* parameters, then artifacts */
	size_t input_count;
	struct pa_name_table input_parameters, input_artifacts;
	struct ir_definition *outputs; /* likewise */
	size_t output_count;
	struct ir_call *calls; /* of a DAG */
	size_t call_count;
	struct pa_name_table call_index;
	struct pa_call_waits *waits; /* by call */
	size_t *order;               /* calls, each behind all that it waits for */
	bool *last;                  /* no other call waits for it */
	struct ir_output *dag_outputs;
	size_t dag_output_count;
	struct pa_name_table output_parameters, output_artifacts; /* dag_outputs by name */
	const struct pa_node *node;
};

int ir_read_component(const struct pa_budget *budget, const char *name, const struct pa_node *node,
                      struct ir_component *ret, struct pa_error *err);

/* Pieces that others use too.  A missing or null value gives NULL. */
int ir_read_mapping(const struct pa_node *parent, const char *key, const struct pa_node **ret,
                    struct pa_error *err);
int ir_read_sequence(const struct pa_node *parent, const char *key, const struct pa_node **ret,
                     struct pa_error *err);
int ir_read_text(const struct pa_node *parent, const char *key, const char **ret, struct pa_error *err);
/* Where a parameter comes from: taskOutputParameter, runtimeValue, componentInputParameter or taskFinalStatus of the
 * map; `ret` is initialised, and left as it is where the map has none of them. */
int ir_read_parameter_source(const struct pa_budget *budget, const struct pa_node *node,
                             struct ir_argument *ret, struct pa_error *err);
/* A value as text: a scalar's own, JSON of a list or map; NULL for null.  {stringValue: x} and its kin, the older
 * form, is x. */
const char *ir_value_text(const struct pa_budget *budget, const struct pa_node *node);
const char *ir_legacy_value_text(const struct pa_node *node);

#endif
