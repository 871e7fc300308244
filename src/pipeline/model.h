/* SPDX-License-Identifier: Apache-2.0 */
/* The analysis model: what a pipeline file says about tasks, order and data, in one form for every
 * format (design, "The analysis model and its JSON"; field names here are those of the JSON).
 *
 * Everything is plain data in the arena that the analysis was made in; nothing in it is changed
 * afterwards, so it may be shared between threads.  Strings are never NULL unless a comment says so.
 * Arrays are pointer and count; order is that of the file.
 */
#ifndef PA_PIPELINE_MODEL_H
#define PA_PIPELINE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pa_pipeline_format {
	PA_FORMAT_ARGO_KFP_V1,
	PA_FORMAT_ARGO,
	PA_FORMAT_KFP_V2_IR,
	PA_FORMAT_KFP_V2_RUNTIME,
};

enum pa_task_kind {
	PA_TASK_CONTAINER,
	PA_TASK_SCRIPT,
	PA_TASK_RESOURCE,
	PA_TASK_IMPORTER,
	PA_TASK_HTTP,
	PA_TASK_SUSPEND,
	PA_TASK_PLUGIN,
	PA_TASK_DATA,
	PA_TASK_CONTAINERSET,
	PA_TASK_UNRESOLVED,
};

enum pa_task_role { PA_ROLE_MAIN, PA_ROLE_EXIT, PA_ROLE_HOOK };

/* Where the value of an input comes from. */
enum pa_origin_kind {
	PA_ORIGIN_TASK,      /* task + output */
	PA_ORIGIN_PARAMETER, /* text: name of a pipeline parameter */
	PA_ORIGIN_URI,       /* text: a location */
	PA_ORIGIN_CONSTANT,  /* text: the value */
	PA_ORIGIN_ITEM,      /* a loop's item; task + output name the list's producer, or are NULL */
};

struct pa_origin {
	enum pa_origin_kind kind;
	const char *task;   /* id; NULL unless of a task */
	const char *output; /* name; NULL unless of a task */
	const char *text;   /* NULL for TASK and ITEM */
};

struct pa_input {
	const char *name;
	bool artifact;             /* else a parameter */
	const char *path;          /* in the container; NULL for none */
	struct pa_origin *origins; /* several: candidates, or a text with several references */
	size_t origin_count;
};

struct pa_output {
	const char *name;
	bool artifact;
	const char *path; /* NULL for none */
};

struct pa_task_mount {
	const char *path;
	const char *sub_path; /* NULL for none */
	bool read_only;
	const char *claim;      /* NULL when not (yet) known */
	const char *created_by; /* id of the task that creates the claim, or NULL */
	const char *kind;       /* pvc, config, secret, empty, host, … */
	const char *volume;     /* name of the volume in the file */
};

struct pa_name_value {
	const char *name;
	const char *value;
};

enum pa_confidence { PA_CONFIDENCE_DECLARED, PA_CONFIDENCE_ARGUMENT, PA_CONFIDENCE_EMBEDDED };

struct pa_task_data {
	const char *uri;
	enum pa_confidence confidence;
};

struct pa_loop {
	int64_t items;           /* -1: not known before the run */
	const char *from_task;   /* id of the task that makes the list, or NULL */
	const char *from_output; /* its output, or NULL */
};

struct pa_resources {
	const char *cpu;               /* as written; NULL for none */
	const char *memory;            /* likewise */
	const char *accelerator;       /* resource name, e.g. nvidia.com/gpu; NULL for none */
	const char *accelerator_count; /* likewise */
};

struct pa_task {
	const char *id;
	const char *template_name;
	enum pa_task_kind kind;
	enum pa_task_role role;
	const char **after; /* ids, sorted in the file's order of tasks, no duplicates */
	size_t after_count;
	const char *image; /* "" for none */
	const char **command;
	size_t command_count;
	const char **args;
	size_t arg_count;
	struct pa_input *inputs;
	size_t input_count;
	struct pa_output *outputs;
	size_t output_count;
	struct pa_task_mount *mounts;
	size_t mount_count;
	struct pa_name_value *hyperparameters;
	size_t hyperparameter_count;
	struct pa_task_data *data;
	size_t data_count;
	const char *condition; /* NULL for none; several on the way are joined by " && " in parentheses */
	struct pa_loop *loop;  /* NULL for none; the innermost one */
	struct pa_resources resources;
	int64_t retries; /* 0: none; -1: without limit */
	bool caching;
	uint32_t line, column; /* where the call stands in the file */
};

struct pa_pipeline_parameter {
	const char *name;
	const char *type;          /* NULL when the file does not say */
	const char *default_value; /* NULL for none */
	const char *value;         /* NULL for none */
};

struct pa_data {
	const char *id;   /* claim:NAME or uri:URI */
	const char *kind; /* directory, file, table, unknown */
	const char **read_by;
	size_t read_count;
	const char **written_by;
	size_t written_count;
	bool scratch;
};

struct pa_unresolved {
	const char *what;
	const char *at; /* file:line:col */
};

/* Where one fact about a task came from; made only for the task that the options ask to explain. */
struct pa_fact {
	const char *what;  /* "image", "after", "input total_x", … */
	const char *value; /* and why, in words */
	const char *at;    /* file:line:col; NULL: a rule's, no place of its own */
};

struct pa_pipeline {
	const char *name;
	enum pa_pipeline_format format;
	const char *file;
	size_t document;
	const char *sdk_version; /* NULL when the file does not say */
	struct pa_pipeline_parameter *parameters;
	size_t parameter_count;
	struct pa_task *tasks;
	size_t task_count;
	struct pa_data *data;
	size_t data_count;
	struct pa_unresolved *unresolved;
	size_t unresolved_count;
	struct pa_fact *facts; /* of the task that was to be explained */
	size_t fact_count;
	/* The definition that the tasks were worked out from, for whoever runs the pipeline; NULL where
	 * the format has none. */
	const struct pa_workflow *workflow;
	const struct pa_name_table *task_index; /* id to index in tasks, for pa_pipeline_find_task() */
};

/* A text or a document that gave no pipeline, and why. */
struct pa_failure {
	const char *file;
	const char *message; /* begins with file:line:col */
};

struct pa_analysis {
	struct pa_pipeline *pipelines; /* in the order of texts and documents */
	size_t pipeline_count;
	struct pa_failure *failures; /* likewise */
	size_t failure_count;
};

const char *pa_format_name(enum pa_pipeline_format format);
const char *pa_task_kind_name(enum pa_task_kind kind);
const char *pa_task_role_name(enum pa_task_role role);
const char *pa_confidence_name(enum pa_confidence confidence);
/* The task of this id, or NULL. */
const struct pa_task *pa_pipeline_find_task(const struct pa_pipeline *pipeline, const char *id);

#endif
