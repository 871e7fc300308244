/* SPDX-License-Identifier: Apache-2.0 */
/* KFP v2's intermediate representation (IR): components, executors and a root, wherever a reader found them.
 *
 *   ir.c             the IR document: fills an ir_spec and hands it over
 *   ir_read.c        one component, ir_read_call.c the tasks of its DAG (ir_read_internal.h)
 *   ir_analyze.c     the steps from an ir_spec to the model (ir_analysis_internal.h)
 *
 * Two readers fill an ir_spec: that of IR documents, and that of Workflows at run time, where each component is a
 * JSON text of its own.  A spec names components by `componentRef.name` and executors by `executorLabel`; nodes are
 * those of the format (ComponentSpec, ContainerSpec, …) and carry the positions that messages give.
 *
 * Everything lies in the budget's arena and is used by one thread.
 */
#ifndef PA_PIPELINE_IR_INTERNAL_H
#define PA_PIPELINE_IR_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "pipeline/analyze.h"
#include "pipeline/findings_internal.h"
#include "pipeline/model.h"
#include "pipeline/name_table_internal.h"

struct pa_error;
struct pa_node;

/* What an executor's node holds. */
enum ir_executor_kind {
	IR_CONTAINER,  /* {image, command, args, env, resources} */
	IR_IMPORTER,   /* {artifactUri, typeSchema, reimport, metadata} */
	IR_RESOLVER,   /* {outputArtifactQueries} */
	IR_CUSTOM_JOB, /* {customJob: {jobSpec: …}} */
	IR_UNKNOWN,    /* none of these: its tasks are unresolved */
};

struct ir_named_node {
	const char *name;
	const struct pa_node *node;
	enum ir_executor_kind kind; /* of executors */
};

/* Nodes by name, in the order added. */
struct ir_nodes {
	struct ir_named_node *items;
	size_t count, capacity;
	struct pa_name_table index;
};

struct ir_spec {
	const struct pa_node *node; /* the document: for messages about the whole */
	size_t document;
	enum pa_pipeline_format format;
	const char *name;           /* NULL: "" */
	const char *sdk_version;    /* NULL: not said */
	const struct pa_node *root; /* a ComponentSpec, usually with a dag */
	struct ir_nodes components; /* ComponentSpec by componentRef.name, without the root */
	struct ir_nodes executors;  /* by executorLabel */
	struct ir_nodes platforms;  /* Kubernetes' configuration by executorLabel */
	/* {parameterValues: {x: 5}} or, older, {parameters: {x: {intValue: 5}}}; NULL: none. */
	const struct pa_node *runtime_config;
	/* Components may be missing: then their tasks are unresolved, as those without an executor always are.
	 * Else it is an error. */
	bool partial;
};

void ir_spec_init(struct ir_spec *spec, const struct pa_budget *budget, const struct pa_node *node);
/* A name that is there already keeps its first node. */
int ir_spec_add_component(struct ir_spec *spec, const struct pa_budget *budget, const char *name,
                          const struct pa_node *node, struct pa_error *err);
int ir_spec_add_executor(struct ir_spec *spec, const struct pa_budget *budget, const char *label,
                         enum ir_executor_kind kind, const struct pa_node *node, struct pa_error *err);
int ir_spec_add_platform(struct ir_spec *spec, const struct pa_budget *budget, const char *label,
                         const struct pa_node *node, struct pa_error *err);

/* The model of a spec.  `findings` was initialised by the caller, who may have put something into it already; what is
 * in it at the end goes into `ret`, with all else (name, format, file, document, …). */
int ir_analyze_spec(struct pa_findings *findings, struct ir_spec *spec,
                    const struct pa_analyze_options *options, struct pa_pipeline *ret, struct pa_error *err);

/* The pipeline of an IR document (bare or under `pipelineSpec`), with the platforms document that follows it
 * in its file (NULL: none). */
int ir_analyze(const struct pa_budget *budget, const struct pa_node *root, const struct pa_node *platforms,
               size_t document, const struct pa_analyze_options *options, struct pa_pipeline *ret,
               struct pa_error *err);

#endif
