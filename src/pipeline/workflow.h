/* SPDX-License-Identifier: Apache-2.0 */
/* An Argo Workflow as written: templates, calls, arguments, volumes, with their texts still holding
 * `{{…}}`.  The analyzer walks it to make the model (model.h); `run` walks it to execute.
 *
 * Plain data in the caller's arena; never changed after reading; may be shared between threads.
 * A pointer is NULL where the file says nothing.  Every struct keeps the node it came from, for
 * positions in messages.
 */
#ifndef PA_PIPELINE_WORKFLOW_H
#define PA_PIPELINE_WORKFLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pa_arena;
struct pa_error;
struct pa_name_table;
struct pa_node;

/* An input, output or argument that is a text. */
struct pa_parameter {
	const char *name;
	const char *value; /* value or default as text (JSON text if written as list or map); NULL: none */
	const char *global_name;
	/* valueFrom of an output, at most one of: */
	const char *from_path;
	const char *from_parameter; /* "{{tasks.x.outputs.parameters.y}}" */
	const char *from_expression;
	const char *from_json_path; /* of a resource */
	const char *from_default;   /* valueFrom.default */
	const struct pa_node *node;
};

/* An artifact of an input, an output or an argument. */
struct pa_artifact {
	const char *name;
	const char *path;
	const char *from; /* "{{tasks.x.outputs.artifacts.y}}", with braces also where the file has none */
	const char *from_expression;
	const char *raw; /* raw.data: its bytes */
	const char *uri; /* declared location (s3, gcs, hdfs, http, git, oss, azure); NULL: none */
	const char *sub_path;
	const char *global_name;
	bool optional;
	bool located; /* it names a store, though perhaps too little for a URI */
	const struct pa_node *node;
};

struct pa_environment {
	const char *name;
	const char *value; /* NULL: valueFrom, see node */
	const struct pa_node *value_from;
	const struct pa_node *node;
};

struct pa_volume_mount {
	const char *volume;
	const char *path;
	const char *sub_path;
	bool read_only;
	const struct pa_node *node;
};

struct pa_volume {
	const char *name;
	const char *kind;  /* pvc, empty, config, secret, host, nfs, projected, … */
	const char *claim; /* pvc: claimName, may hold {{…}} */
	bool read_only;
	bool from_claim_template; /* of spec.volumeClaimTemplates: scratch for the run */
	const struct pa_node *node;
};

struct pa_container {
	const char *name;
	const char *image;
	const char **command;
	size_t command_count;
	const char **args;
	size_t arg_count;
	struct pa_environment *env;
	size_t env_count;
	const struct pa_node *env_from;
	const char *working_dir;
	const char *source; /* script templates */
	struct pa_volume_mount *mounts;
	size_t mount_count;
	const struct pa_node *node;
};

enum pa_template_kind {
	PA_TEMPLATE_DAG,
	PA_TEMPLATE_STEPS,
	PA_TEMPLATE_CONTAINER,
	PA_TEMPLATE_SCRIPT,
	PA_TEMPLATE_RESOURCE,
	PA_TEMPLATE_SUSPEND,
	PA_TEMPLATE_HTTP,
	PA_TEMPLATE_PLUGIN,
	PA_TEMPLATE_DATA,
	PA_TEMPLATE_CONTAINERSET,
	PA_TEMPLATE_UNKNOWN,
};

/* A DAG's task or a step: one call of a template. */
struct pa_call {
	const char *key;           /* name in dag.tasks or steps */
	const char *template_name; /* NULL with templateRef or inline */
	const struct pa_node *template_ref;
	struct pa_template *inline_template;
	size_t group;              /* steps: index of the parallel group */
	const char **dependencies; /* dag: keys from `dependencies` */
	size_t dependency_count;
	const char *depends; /* dag: the expression; NULL when `dependencies` is used */
	const char *when;
	const struct pa_node *with_items;
	const char *with_param;              /* withExpression too: "{{=…}}" */
	const struct pa_node *with_sequence; /* mapping: count | start, end; format */
	struct pa_parameter *parameters;     /* arguments */
	size_t parameter_count;
	struct pa_artifact *artifacts;
	size_t artifact_count;
	const char *on_exit;
	const struct pa_node *hooks;
	bool continue_on_failed;
	bool continue_on_error;
	const struct pa_node *node;
};

struct pa_template {
	const char *name;
	enum pa_template_kind kind;
	struct pa_parameter *input_parameters;
	size_t input_parameter_count;
	struct pa_artifact *input_artifacts;
	size_t input_artifact_count;
	struct pa_parameter *output_parameters;
	size_t output_parameter_count;
	struct pa_artifact *output_artifacts;
	size_t output_artifact_count;

	struct pa_call *calls; /* dag and steps */
	size_t call_count;
	size_t group_count;     /* steps */
	const char *dag_target; /* dag.target */
	bool fail_fast;         /* dag.failFast, true unless said otherwise */

	struct pa_container container; /* container and script */
	struct pa_container *init_containers;
	size_t init_container_count;
	struct pa_container *sidecars;
	size_t sidecar_count;

	const char *resource_action;   /* resource: create, delete, apply, … */
	const char *resource_manifest; /* resource: text, may hold {{…}} */
	struct pa_artifact *listed;    /* data: the place whose keys it lists; NULL: none */
	struct pa_volume *volumes;     /* the template's own */
	size_t volume_count;
	bool has_retry;
	const char *retry_limit;            /* text (int or {{…}}); NULL: none */
	const char *retry_policy;           /* OnFailure, Always, … */
	const char *retry_backoff_duration; /* "10", "2m" */
	const char *retry_backoff_factor;
	const char *retry_backoff_max;
	int64_t parallelism;             /* 0: no limit */
	int64_t active_deadline_seconds; /* 0: none */
	bool daemon;
	const struct pa_node *metadata; /* annotations and labels */
	/* From 0, each template of all that is analysed together its own, inline ones too. */
	size_t number;
	const struct pa_node *node;
};

struct pa_workflow {
	const char *file;
	size_t document;
	const char *kind;                /* Workflow, WorkflowTemplate, … */
	const char *name;                /* metadata.name or NULL */
	const char *name_space;          /* metadata.namespace or NULL */
	const char *generate_name;       /* or NULL */
	const char *entrypoint;          /* or NULL */
	const char *on_exit;             /* or NULL */
	struct pa_parameter *parameters; /* spec.arguments */
	size_t parameter_count;
	struct pa_artifact *artifacts;
	size_t artifact_count;
	struct pa_template *templates;
	size_t template_count;
	struct pa_volume *volumes; /* spec.volumes, then spec.volumeClaimTemplates */
	size_t volume_count;
	int64_t parallelism;               /* 0: no limit */
	int64_t active_deadline_seconds;   /* 0: none */
	const struct pa_node *annotations; /* metadata.annotations */
	const struct pa_node *labels;
	const struct pa_node *hooks; /* spec.hooks */
	/* spec.workflowTemplateRef; NULL too where the spec that it names was found, and is in this one. */
	const struct pa_node *template_ref;
	const struct pa_node *template_defaults; /* spec.templateDefaults, which every template has in it */
	const struct pa_node *default_retry;     /* spec.retryStrategy, likewise */
	const char *pod_spec_patch;              /* spec.podSpecPatch or NULL */
	const struct pa_name_table *template_index; /* name to index in templates */
	const struct pa_node *node;
};

/* The template of this name, or NULL. */
const struct pa_template *pa_workflow_find_template(const struct pa_workflow *workflow, const char *name);

#endif
