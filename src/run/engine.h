/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: what an Argo workflow does next.  A state machine over struct pa_workflow: it expands calls, loops,
 * conditions, retries, nested DAGs, steps, recursion, exit handlers and hooks into *instances* (one execution of one
 * leaf template), fills in their `{{…}}`, and takes back their outcomes and outputs.
 *
 * It does no I/O, reads no clock and starts nothing: the caller runs the instances.
 * Deterministic: same workflow and same outcomes in the same order, same instances.
 *
 * Ownership: everything an instance points to lives until pa_engine_free().  Threads: one at a time.
 * Limits, named by their errors: PA_ENGINE_MAX_INSTANCES instances, PA_ENGINE_MAX_DEPTH nested calls, 256 KiB for an output
 * parameter (as Argo's), 10,000 items of a loop.
 */
#ifndef PA_RUN_ENGINE_H
#define PA_RUN_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "pipeline/model.h"
#include "pipeline/workflow.h"

#define PA_ENGINE_MAX_INSTANCES       100000
#define PA_ENGINE_MAX_DEPTH           100
#define PA_ENGINE_MAX_PARAMETER_BYTES (256u << 10)
#define PA_ENGINE_MAX_ITEMS           10000

enum pa_outcome {
	PA_OUTCOME_PENDING,
	PA_OUTCOME_RUNNING,
	PA_OUTCOME_SUCCEEDED,
	PA_OUTCOME_FAILED,  /* the command said so */
	PA_OUTCOME_ERROR,   /* it could not be run, or an output is missing */
	PA_OUTCOME_SKIPPED, /* its condition was false */
	PA_OUTCOME_OMITTED, /* what it depends on did not happen */
};

struct pa_instance_artifact {
	const char *name;
	const char *path;   /* in the task */
	const char *stored; /* opaque handle that pa_engine_finish() was given by the producer; NULL: none */
	const char *raw;    /* literal content; NULL: none */
	const char *uri;    /* a located artifact; NULL: none */
	bool optional;
};

struct pa_instance_output {
	const char *name;
	const char *path;          /* in the task */
	const char *default_value; /* parameters; NULL: none */
	const char *json_path; /* parameters of resource templates: '{.metadata.name}' or '{}'; NULL: none */
	bool optional;         /* artifacts */
};

struct pa_instance_mount {
	const char *path;
	const char *sub_path; /* NULL: none */
	const char *volume;   /* the volume's name in the file */
	const char *kind;     /* pvc, empty, config, secret, host, … */
	const char *claim;    /* pvc: the claim's name, filled in; NULL for volumeClaimTemplates */
	bool claim_template;  /* one scratch claim for the whole run, by volume */
	bool read_only;
};

struct pa_instance {
	uint32_t index;
	const char *task_id; /* as in the analysis */
	const char *
	    suffix; /* "", "(0:a)", "(2)": which of a loop's items, recursions and attempts; unique with task_id */
	uint32_t attempt; /* from 0 */
	int64_t
	    delay_ms; /* a retry's back-off: do not start before so long after pa_engine_ready() gave it */
	const struct pa_template *template_;
	const char *image;
	const char **
	    command; /* container: entrypoint; script: command (the source is to be put in a file that is its last
	                       * argument) */
	size_t command_count;
	const char **args;
	size_t arg_count;
	/* What its init containers run before it, one after another: commands with their arguments. */
	struct pa_instance_command {
		const char **words;
		size_t word_count;
	} * init_commands;
	size_t init_command_count;
	const char *source;            /* script; NULL otherwise */
	const char *working_directory; /* NULL: none */
	struct pa_name_value *env;     /* values filled in; those with valueFrom: fieldRef of known fields are
	                                * filled in (pod name, namespace, workflow uid), others left out */
	size_t env_count;
	struct pa_instance_artifact *input_artifacts;
	size_t input_artifact_count;
	struct pa_instance_output *output_parameters;
	size_t output_parameter_count;
	struct pa_instance_output *output_artifacts;
	size_t output_artifact_count;
	bool wants_result; /* somebody refers to outputs.result: the task's standard output is to be kept */
	struct pa_instance_mount *mounts;
	size_t mount_count;
	const char *resource_action;   /* resource templates; filled in */
	const char *resource_manifest; /* likewise */
};

struct pa_engine;

struct pa_engine_options {
	const char *run_name;                  /* {{workflow.name}} */
	const char *uid;                       /* {{workflow.uid}}, {{workflow.status}} follow */
	const char *namespace_;                /* {{workflow.namespace}} */
	const struct pa_name_value *arguments; /* replace pipeline parameters */
	size_t argument_count;
};

/* PA_ERROR_INPUT for a pipeline without a workflow or with a parameter that has no value. */
int pa_engine_new(const struct pa_pipeline *pipeline, const struct pa_engine_options *options,
                  struct pa_engine **ret, struct pa_error *err);
void pa_engine_free(struct pa_engine *engine);

/* The next instance that may start now, or NULL.  It counts as running from here on. */
const struct pa_instance *pa_engine_ready(struct pa_engine *engine);

struct pa_instance_result {
	enum pa_outcome outcome; /* SUCCEEDED, FAILED or ERROR */
	int exit_code;
	const char *message; /* NULL: none */
	/* In the order of the instance's outputs; NULL where there is none. */
	const char *const *parameters;
	const char *const *artifacts; /* handles */
	const char *result;           /* standard output, trailing newlines cut; NULL: not kept */
};
/* Strings are copied. An error here (a reference that cannot be filled in, a withParam that is no list) makes the workflow
 * fail; it is also in pa_engine_error(). */
int pa_engine_finish(struct pa_engine *engine, const struct pa_instance *instance,
                     const struct pa_instance_result *result, struct pa_error *err);

/* Nothing runs and nothing more will. */
bool pa_engine_is_done(const struct pa_engine *engine);
enum pa_outcome pa_engine_outcome(const struct pa_engine *engine); /* of the whole */
const char *pa_engine_error(const struct pa_engine *engine);       /* why it failed; "" if not */
/* No new main tasks are started; exit handlers still are (Ctrl-C twice skips these, too: `exit_handlers` false). */
void pa_engine_stop(struct pa_engine *engine, bool exit_handlers);

/* A task of the analysis: what its instances have done so far, all together. */
struct pa_engine_task_state {
	uint32_t instances, running, succeeded, failed;
	enum pa_outcome
	    outcome; /* PENDING while more may come; SKIPPED/OMITTED when it never ran and will not */
};
void pa_engine_task_state(const struct pa_engine *engine, const char *task_id,
                          struct pa_engine_task_state *ret);

#endif
