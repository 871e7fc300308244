/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine's files share.
 *
 *   plan       what is known of a template before the run: who waits for whom, who calls what
 *   execution  one use of a template with its inputs bound; tried again as a whole
 *   frame      one attempt of an execution of a DAG or of steps
 *   call       a task or step of a frame; a loop has many executions in one call; hooks are calls, too
 *   path       an id of the analysis with what happened under it, all frames together
 *   scope      what a text may refer to
 *
 * Nothing recurses along the graph: what is to be looked at next waits in one queue (pa_engine_advance), so a
 * chain of a hundred thousand skipped tasks costs no stack.
 */
#ifndef PA_RUN_ENGINE_INTERNAL_H
#define PA_RUN_ENGINE_INTERNAL_H

#include <stdarg.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/depends.h"
#include "run/engine.h"

#define PA_ENGINE_PATH_BUCKETS   16384
#define PA_ENGINE_MAX_TEXT_BYTES (64u << 20)
/* All texts of a run together: a long script in a long loop is filled in once for each item. */
#define PA_ENGINE_MAX_MEMORY_BYTES ((size_t)4 << 30)

struct pa_engine_plan;

struct pa_engine_hook {
	const char *name;       /* "exit", "running", …; "onExit" for the field of that name */
	const char *expression; /* NULL: when the task has ended */
	struct pa_call *call;
	struct pa_engine_plan *callee; /* NULL until first used */
};

/* What is known of a call before the run. */
struct pa_engine_call_plan {
	const struct pa_call *call;
	struct pa_engine_plan *callee; /* NULL until first used */
	struct pa_depends *depends;    /* NULL: `dependencies` */
	size_t *direct;                /* `dependencies`: those that decide whether it starts */
	size_t direct_count;
	size_t *before; /* all that must have ended: direct, named in depends, named in a text */
	size_t before_count;
	size_t *after; /* those that have this one in `before` */
	size_t after_count;
	struct pa_engine_hook *hooks;
	size_t hook_count;
	bool included; /* dag.target */
	bool leaf;     /* nobody depends on it: it decides the DAG's outcome */
	bool wants_result;
};

struct pa_engine_plan {
	const struct pa_template *template_;
	struct pa_engine_call_plan *calls;
	size_t *by_key; /* indices of calls, sorted by key */
	bool prepared;
	bool recursive; /* on a circle of templates that call each other */
};

/* An artifact's bytes; all NULL: there are none. */
struct pa_engine_artifact {
	const char *name;
	const char *stored;
	const char *raw;
	const char *uri;
	bool unfilled; /* a leaf's own raw and uri: they may name its pod, so its instance fills them in */
};

struct pa_engine_outputs {
	struct pa_name_value *parameters;
	size_t parameter_count;
	struct pa_engine_artifact *artifacts;
	size_t artifact_count;
	const char *result;    /* NULL: none */
	const char *exit_code; /* NULL: none */
};

struct pa_engine_path {
	const char *id;
	struct pa_engine_path *parent;
	struct pa_engine_path *next;      /* in its bucket */
	struct pa_engine_path **children; /* by index of the call; NULL until its first frame */
	uint32_t instances, running, succeeded, failed, skipped, omitted;
	uint32_t open;      /* calls that have not ended */
	uint32_t unstarted; /* executions that may still make a frame or an instance */
	bool recursive;
	enum pa_outcome outcome; /* of its calls that ended: the worst */
};

struct pa_engine_item {
	const char *json; /* as written, without blanks */
	const char *text; /* what {{item}} becomes */
};

struct pa_engine_execution {
	struct pa_engine_call *call; /* NULL: the workflow's entrypoint */
	struct pa_engine_plan *plan;
	struct pa_engine_path *path;
	struct pa_engine_path *prefix; /* parent of what a DAG or steps list */
	const char *suffix;
	const char *round_of; /* a recursion's: suffix of the outermost round; else NULL */
	uint32_t depth;
	bool exit_role; /* of an exit handler: also started after a stop */
	const struct pa_engine_item *item;
	struct pa_name_value *parameters; /* inputs, bound */
	struct pa_engine_artifact *artifacts;
	enum pa_outcome outcome;
	const char *message;
	struct pa_engine_outputs outputs;
	uint32_t attempt;
	int64_t delay_ms;  /* of this attempt */
	int64_t delays_ms; /* of all so far */
	bool counted;      /* in path->unstarted */
	bool active;       /* in the frame's active */
	struct pa_engine_frame *frame;
	struct pa_engine_instance *instance;
};

struct pa_engine_call {
	struct pa_engine_frame *frame; /* whose texts it reads; NULL: the workflow's own hooks */
	const struct pa_call *call;
	struct pa_engine_call_plan *plan; /* NULL: a hook */
	struct pa_engine_hook *hook;      /* NULL: no hook */
	struct pa_engine_call *host;      /* a hook's */
	struct pa_engine_path *path;
	const char *suffix;
	size_t waiting_for;
	struct pa_engine_execution **executions;
	size_t execution_count;
	size_t open_executions;
	size_t open_hooks;
	bool *hook_fired;
	bool looped;
	bool ended; /* it and its hooks */
	enum pa_outcome outcome;
	const char
	    *list_name; /* the output of a loop that was last put together, and what it came to: a second */
	const char *list_text;  /* loop's items all ask for the same */
	enum pa_outcome branch; /* of the last on the way that ran: what an omitted leaf passes on */
};

struct pa_engine_frame {
	struct pa_engine_execution *owner;
	struct pa_engine_call *calls; /* as in the plan */
	size_t open_calls;
	size_t group; /* steps */
	size_t open_in_group;
	bool failing; /* nothing more starts */
	enum pa_outcome verdict;
	const char *message;
	int64_t active; /* started executions, against the template's parallelism */
	struct pa_engine_event *waiting, **waiting_end;
};

enum pa_engine_event_kind {
	PA_ENGINE_EVENT_CONSIDER, /* all that a call waits for has ended */
	PA_ENGINE_EVENT_START,    /* an execution's next attempt */
	PA_ENGINE_EVENT_FRAME,    /* every call of a frame has ended */
};

struct pa_engine_event {
	struct pa_engine_event *next;
	enum pa_engine_event_kind kind;
	struct pa_engine_call *call;
	struct pa_engine_execution *execution;
	struct pa_engine_frame *frame;
};

/* An instance and what the engine keeps with it. */
struct pa_engine_instance {
	struct pa_instance public; /* first: pa_engine_finish() gets its address */
	struct pa_engine_execution *execution;
	struct pa_engine_instance *next;
	const char *pod_name;
	struct pa_name_value *parameters; /* the execution's, with what only the pod knows filled in */
	bool running;
};

enum pa_engine_phase { PA_ENGINE_MAIN, PA_ENGINE_EXIT, PA_ENGINE_ENDED };

struct pa_engine {
	struct pa_arena arena;
	const struct pa_workflow *workflow;
	const char *run_name;
	const char *uid;
	const char *namespace_;
	struct pa_name_value *parameters;
	size_t parameter_count;
	struct pa_engine_plan *plans; /* as the workflow's templates */
	size_t *plans_by_name;
	struct pa_engine_path *root;
	struct pa_engine_path **paths;
	struct pa_engine_outputs globals; /* globalName */
	size_t global_parameter_room, global_artifact_room;
	struct pa_engine_hook *hooks;
	size_t hook_count;
	bool *hook_fired;
	size_t open_hooks;
	struct pa_engine_event *events, **events_end;
	struct pa_engine_instance *ready, **ready_end;
	size_t running;
	size_t instance_count;
	size_t execution_count;
	uint32_t recursions;
	enum pa_engine_phase phase;
	enum pa_outcome main_outcome; /* PENDING while it runs */
	enum pa_outcome exit_outcome;
	bool broken; /* a text could not be filled in: the workflow fails whatever tolerates it */
	bool stopped, exits_stopped;
	const char *error;         /* "" */
	const char *first_failure; /* NULL: none */
	struct pa_buffer failures; /* {{workflow.failures}} without its brackets */
};

struct pa_engine_scope {
	struct pa_engine *engine;
	struct pa_engine_frame *frame;               /* tasks.*, steps.*; NULL: none */
	const struct pa_engine_execution *execution; /* inputs.*; NULL: none */
	const struct pa_engine_item *item;           /* NULL: none */
	const struct pa_engine_instance *instance;   /* pod.name, outputs.*.path; NULL: none */
	const struct pa_engine_call *host;           /* a hook's own task: {{status}} and friends */
	bool last_retry;                             /* lastRetry.* */
	bool pod_only; /* nothing but what the instance's pod knows; all else stays as it is */
	bool json;     /* values go into a JSON text */
	bool
	    undeclared_stays; /* an input that is not declared stays as written: some compiled conditions compare such
	                           * texts with themselves */
	struct pa_error *failure; /* the first reference that could not be filled in; class NONE: none */
};

/* engine_plan.c */
int pa_engine_plans_make(struct pa_engine *engine, struct pa_error *err);
struct pa_engine_plan *pa_engine_plan_find(struct pa_engine *engine, const char *template_name);
/* The plan of what a call uses, ready to run; `slot` remembers it. */
int pa_engine_plan_of_call(struct pa_engine *engine, const struct pa_call *call, struct pa_engine_plan **slot,
                           struct pa_engine_plan **ret, struct pa_error *err);
int pa_engine_plan_prepare(struct pa_engine *engine, struct pa_engine_plan *plan, struct pa_error *err);
/* Index of a call by its key, or SIZE_MAX. */
size_t pa_engine_plan_find_call(const struct pa_engine_plan *plan, const char *key, size_t bytes);
void pa_engine_hooks_read(struct pa_engine *engine, const char *on_exit, const struct pa_node *hooks,
                          struct pa_engine_hook **ret, size_t *ret_count);
bool pa_engine_hook_is_exit(const struct pa_engine_hook *hook);

/* engine_scope.c */
/* `text` with its references filled in; NULL stays NULL.  PA_ERROR_INPUT for one that cannot be. */
int pa_engine_expand(struct pa_engine_scope *scope, const char *text, const char **ret, struct pa_error *err);
/* The value of one reference without its braces, or NULL. */
const char *pa_engine_scope_value(struct pa_engine_scope *scope, const char *reference);
/* The artifact that "tasks.x.outputs.artifacts.y" and its like name, or NULL. */
const struct pa_engine_artifact *pa_engine_scope_artifact(struct pa_engine_scope *scope,
                                                          const char *reference);
const char *pa_engine_outcome_text(enum pa_outcome outcome);
bool pa_engine_outcome_is_failure(enum pa_outcome outcome);

/* engine_json.c */
void pa_engine_json_quote(struct pa_buffer *out, const char *text);
const char *pa_engine_json_quoted(struct pa_arena *arena, const char *text);
/* What a loop's outputs are together: values of one output as a JSON list, as Argo writes it. */
const char *pa_engine_json_list(struct pa_arena *arena, const char *const *values, size_t count,
                                bool any_json);
/* Elements of a JSON list as written; PA_ERROR_INPUT when `text` is none or too long. */
int pa_engine_json_items(struct pa_arena *arena, const char *text, struct pa_engine_item **ret,
                         size_t *ret_count, struct pa_error *err);
/* The member of a JSON object as {{item.key}} shows it, or NULL. */
const char *pa_engine_json_member(struct pa_arena *arena, const char *object, const char *key);

/* engine_loop.c */
bool pa_engine_call_is_loop(const struct pa_call *call);
int pa_engine_loop_items(struct pa_engine_scope *scope, const struct pa_call *call,
                         struct pa_engine_item **ret, size_t *ret_count, struct pa_error *err);
const char *pa_engine_item_suffix(struct pa_arena *arena, size_t index, const char *text);

/* engine_expression.c */
struct pa_engine_value {
	enum { PA_VALUE_NIL, PA_VALUE_TEXT, PA_VALUE_NUMBER, PA_VALUE_TRUTH, PA_VALUE_ARTIFACT } kind;
	const char *text;
	double number;
	bool truth;
	const struct pa_engine_artifact *artifact;
};
int pa_engine_evaluate(struct pa_engine_scope *scope, const char *expression, struct pa_engine_value *ret,
                       struct pa_error *err);
/* NULL for nil and artifacts. */
const char *pa_engine_value_text(struct pa_arena *arena, const struct pa_engine_value *value);

/* engine_bind.c */
/* Gives an execution its inputs: from a call's arguments, else the template's own. */
int pa_engine_bind_inputs(struct pa_engine_scope *caller, const struct pa_call *call,
                          struct pa_engine_execution *execution, struct pa_error *err);
/* Outputs of a frame that succeeded. */
int pa_engine_frame_outputs(struct pa_engine *engine, struct pa_engine_frame *frame, struct pa_error *err);
void pa_engine_publish(struct pa_engine *engine, const struct pa_engine_execution *execution);

/* engine_instance.c */
int pa_engine_instance_make(struct pa_engine *engine, struct pa_engine_execution *execution,
                            struct pa_engine_instance **ret, struct pa_error *err);
int pa_engine_instance_take(struct pa_engine *engine, struct pa_engine_instance *instance,
                            const struct pa_instance_result *result, struct pa_error *err);

/* engine_retry.c */
/* Whether the attempt that just ended is followed by another; sets the wait before it. */
int pa_engine_retry_decide(struct pa_engine *engine, struct pa_engine_execution *execution, bool *ret,
                           struct pa_error *err);

/* engine_frame.c */
void pa_engine_frame_open(struct pa_engine *engine, struct pa_engine_execution *execution);
void pa_engine_frame_close(struct pa_engine *engine, struct pa_engine_frame *frame);
void pa_engine_call_consider(struct pa_engine *engine, struct pa_engine_call *call);
void pa_engine_call_execution_began(struct pa_engine *engine, struct pa_engine_call *call);
void pa_engine_call_execution_ended(struct pa_engine *engine, struct pa_engine_call *call);
void pa_engine_hook_start(struct pa_engine *engine, struct pa_engine_frame *frame,
                          struct pa_engine_call *host, struct pa_engine_hook *hook);

/* engine_run.c */
struct pa_engine_path *pa_engine_path_get(struct pa_engine *engine, struct pa_engine_path *parent,
                                          const char *id);
void pa_engine_path_note(struct pa_engine_path *path, enum pa_outcome outcome);
/* "(2)" after the execution's own suffix when its template is tried again. */
const char *pa_engine_attempt_suffix(struct pa_engine *engine, const struct pa_engine_execution *execution);
struct pa_engine_path *pa_engine_path_find(const struct pa_engine *engine, const char *id);
struct pa_engine_execution *pa_engine_execution_new(struct pa_engine *engine, struct pa_engine_call *call,
                                                    struct pa_engine_plan *plan);
void pa_engine_event_add(struct pa_engine *engine, const struct pa_engine_event *event);
void pa_engine_execution_begin(struct pa_engine *engine, struct pa_engine_execution *execution);
/* An attempt ended (outcome, message and outputs are set). */
void pa_engine_attempt_ended(struct pa_engine *engine, struct pa_engine_execution *execution);
/* Ends an execution that is not to run (again). */
void pa_engine_execution_end(struct pa_engine *engine, struct pa_engine_execution *execution,
                             enum pa_outcome outcome, const char *message);
/* The execution ends with ERROR because of a text of the file; the workflow fails. */
void pa_engine_execution_break(struct pa_engine *engine, struct pa_engine_execution *execution,
                               const struct pa_error *cause);
void pa_engine_break(struct pa_engine *engine, const char *where, const struct pa_error *cause);
void pa_engine_workflow_hooks(struct pa_engine *engine);
/* A hook of the workflow itself ended. */
void pa_engine_exit_ended(struct pa_engine *engine, enum pa_outcome outcome);
void pa_engine_advance(struct pa_engine *engine);

#endif
