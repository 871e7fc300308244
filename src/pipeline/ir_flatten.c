/* SPDX-License-Identifier: Apache-2.0 */
/* From the root through every call to the tasks that run, with their ids. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_analysis_internal.h"

/* The SDK makes a component of each exit handler's group, and names it so. */
#define EXIT_GROUP_PREFIX "comp-exit-handler-"

static int enter_place(struct ir_analysis *analysis, struct ir_place *place, const char *id,
                       unsigned int depth, struct pa_error *err);

const struct pa_node *ir_container(const struct ir_task *task)
{
	if (task->executor == NULL)
		return NULL;
	if (task->executor->kind == IR_CONTAINER)
		return task->executor->node;
	if (task->executor->kind != IR_CUSTOM_JOB)
		return NULL;
	const struct pa_node *pools = pa_node_path(task->executor->node, "customJob.jobSpec.workerPoolSpecs");
	if (!pa_node_is_sequence(pools) || pools->count == 0)
		pools = pa_node_path(task->executor->node, "jobSpec.workerPoolSpecs");
	if (!pa_node_is_sequence(pools) || pools->count == 0)
		return NULL;
	return pa_node_get(pools->items[0], "containerSpec");
}

static enum pa_task_kind task_kind(const struct ir_task *task)
{
	const char *image = pa_node_text(pa_node_get(ir_container(task), "image"));

	if (task->executor == NULL)
		return PA_TASK_UNRESOLVED;
	switch (task->executor->kind) {
	case IR_CONTAINER:
		/* Never run: the backend makes or deletes a volume claim instead. */
		if (image != NULL &&
		    (strcmp(image, IR_CREATE_CLAIM_IMAGE) == 0 || strcmp(image, IR_DELETE_CLAIM_IMAGE) == 0))
			return PA_TASK_RESOURCE;
		return PA_TASK_CONTAINER;
	case IR_CUSTOM_JOB:
		return PA_TASK_CONTAINER;
	case IR_IMPORTER:
	case IR_RESOLVER: /* finds artifacts that are there already, too */
		return PA_TASK_IMPORTER;
	default:
		return PA_TASK_UNRESOLVED;
	}
}

static const struct pa_node *node_of(const struct ir_nodes *nodes, const char *name,
                                     const struct ir_named_node **ret)
{
	size_t index = name == NULL ? SIZE_MAX : pa_name_table_get(&nodes->index, name);

	*ret = index == SIZE_MAX ? NULL : &nodes->items[index];
	return *ret == NULL ? NULL : (*ret)->node;
}

/* The task's executor, or what is wrong with it. */
static int find_executor(struct ir_analysis *analysis, struct ir_place *place, struct ir_task *task,
                         struct pa_error *err)
{
	const struct ir_component *component = place->component;
	const struct pa_node *at = place->call == NULL ? analysis->spec->node : place->call->node;
	const struct ir_named_node *platform;

	if (component == NULL)
		return pa_findings_unresolved(analysis->findings, at, err, "component %s",
		                              place->call->component);
	task->platform = node_of(&analysis->spec->platforms, component->executor, &platform);
	node_of(&analysis->spec->executors, component->executor, &task->executor);
	if (task->executor != NULL && task->executor->kind == IR_UNKNOWN)
		return pa_findings_unresolved(analysis->findings, task->executor->node, err,
		                              "executor %s is of no known type", task->executor->name);
	if (task->executor != NULL)
		return 0;
	if (component->executor == NULL)
		return pa_findings_unresolved(analysis->findings, at, err,
		                              "the component %s has neither a dag nor an executorLabel",
		                              component->name);
	return pa_findings_unresolved(analysis->findings, at, err, "executor %s of the component %s",
	                              component->executor, component->name);
}

static int add_task(struct ir_analysis *analysis, struct ir_place *place, const char *id,
                    struct pa_error *err)
{
	const struct pa_node *at = place->call == NULL ? analysis->spec->node : place->call->node;
	struct pa_arena *arena = analysis->budget->arena;
	struct ir_task task = {.place = place};
	int rc =
	    pa_budget_check(analysis->budget, 2 * sizeof(struct ir_task) + sizeof(struct pa_task), at, err);

	if (rc == 0)
		rc = find_executor(analysis, place, &task, err);
	if (rc < 0)
		return rc;
	if (pa_name_table_put(analysis->task_index, id, analysis->task_count) != SIZE_MAX)
		return pa_node_error(at, err, "two tasks would have the id '%.200s'; rename one", id);
	task.id = id;
	analysis->tasks = pa_arena_grow(arena, analysis->tasks, analysis->task_count,
	                                &analysis->task_capacity, sizeof(*analysis->tasks));
	analysis->tasks[analysis->task_count] = task;
	place->task = analysis->task_count++;
	return 0;
}

/* Its inputs: what the component defines, then what only the call has. */
static int make_inputs(struct ir_analysis *analysis, struct ir_place *place, struct pa_error *err)
{
	const struct ir_component *component = place->component;
	const struct ir_call *call = place->call;
	size_t defined = component == NULL ? 0 : component->input_count;
	size_t given = call == NULL ? 0 : call->argument_count;
	struct pa_arena *arena = analysis->budget->arena;
	int rc = pa_budget_check(
	    analysis->budget, (defined + given) * (sizeof(*place->inputs) + sizeof(*place->argument_inputs)),
	    call == NULL ? analysis->spec->node : call->node, err);

	if (rc < 0)
		return rc;
	place->inputs = pa_arena_array(arena, defined + given, sizeof(*place->inputs));
	place->argument_inputs = pa_arena_array(arena, given, sizeof(*place->argument_inputs));
	for (; place->input_count < defined; place->input_count++) {
		const struct ir_definition *definition = &component->inputs[place->input_count];
		place->inputs[place->input_count] = (struct ir_input){
		    .name = definition->name, .artifact = definition->artifact, .definition = definition};
	}
	for (size_t i = 0; i < given; i++) {
		const struct ir_argument *argument = &call->arguments[i];
		size_t index = SIZE_MAX;
		if (component != NULL)
			index = pa_name_table_get(argument->artifact ? &component->input_artifacts
			                                             : &component->input_parameters,
			                          argument->name);
		if (index == SIZE_MAX) {
			index = place->input_count++;
			place->inputs[index] =
			    (struct ir_input){.name = argument->name, .artifact = argument->artifact};
		}
		place->inputs[index].argument = argument;
		place->argument_inputs[i] = index;
	}
	if (call == NULL || call->loop_item == NULL)
		return 0;
	size_t item = ir_find_input(place, call->loop_item, call->loop_artifact);
	if (item != SIZE_MAX)
		place->inputs[item].item = true;
	return 0;
}

/* The condition of a call and of all calls around it: "a", then "(a) && (b)". */
static void join_condition(struct ir_analysis *analysis, struct ir_place *place)
{
	const struct ir_place *around = place->parent;
	struct pa_arena *arena = analysis->budget->arena;

	place->condition_count = around->condition_count;
	if (place->condition == NULL) {
		place->condition = around->condition;
		return;
	}
	if (place->condition_count == 1)
		place->condition =
		    pa_arena_printf(arena, "(%s) && (%s)", around->condition, place->condition);
	else if (place->condition_count > 1)
		place->condition = pa_arena_printf(arena, "%s && (%s)", around->condition, place->condition);
	place->condition_count++;
}

static bool is_exit_group(const struct ir_analysis *analysis, const struct ir_call *call)
{
	size_t index = pa_name_table_get(&analysis->spec->components.index, call->component);

	return strncmp(call->component, EXIT_GROUP_PREFIX, strlen(EXIT_GROUP_PREFIX)) == 0 &&
	       index != SIZE_MAX && analysis->components[index].is_dag;
}

/* Whether a call ends an exit handler: it runs whatever became of the handler's group. */
static bool ends_exit_group(const struct ir_analysis *analysis, const struct ir_place *parent,
                            const struct ir_call *call)
{
	const struct ir_component *component = parent->component;
	const struct pa_call_waits *waits = &component->waits[call - component->calls];

	for (size_t i = 0; call->runs_regardless && i < waits->count; i++) {
		if (is_exit_group(analysis, &component->calls[waits->calls[i]]))
			return true;
	}
	return false;
}

static int init_place(struct ir_analysis *analysis, struct ir_place *place, struct ir_place *parent,
                      const struct ir_call *call, struct pa_error *err)
{
	place->call = call;
	place->parent = parent;
	place->task = SIZE_MAX;
	place->role = ends_exit_group(analysis, parent, call) ? PA_ROLE_EXIT : parent->role;
	place->loop = parent->loop;
	place->loop_place = parent->loop_place;
	if (++analysis->call_count > PA_ANALYZE_MAX_TASKS)
		return pa_node_error(
		    call->node, err,
		    "more than %d calls once nested DAGs are written out; split the pipeline",
		    PA_ANALYZE_MAX_TASKS);
	if (call->loop_item == NULL)
		return 0;
	place->loop = pa_arena_alloc(analysis->budget->arena, sizeof(*place->loop));
	place->loop->items = -1;
	place->loop_place = place;
	return 0;
}

static int enter_calls(struct ir_analysis *analysis, struct ir_place *place, unsigned int depth,
                       struct pa_error *err)
{
	const struct ir_component *component = place->component;
	struct pa_arena *arena = analysis->budget->arena;
	size_t size = component->call_count * sizeof(*place->places) +
	              component->dag_output_count * sizeof(*place->output_origins);
	int rc = pa_budget_check(analysis->budget, size, component->node, err);

	if (rc < 0)
		return rc;
	place->places = pa_arena_array(arena, component->call_count, sizeof(*place->places));
	place->output_origins =
	    pa_arena_array(arena, component->dag_output_count, sizeof(*place->output_origins));
	for (size_t i = 0; i < component->call_count && rc == 0; i++)
		rc = init_place(analysis, &place->places[i], place, &component->calls[i], err);
	for (size_t i = 0; i < component->call_count && rc == 0; i++)
		rc = enter_place(analysis, &place->places[i],
		                 pa_arena_printf(arena, "%s%s", place->prefix, component->calls[i].key),
		                 depth, err);
	return rc;
}

static bool calls_itself(const struct ir_place *place, const struct ir_component *component)
{
	for (place = place->parent; place != NULL; place = place->parent) {
		if (place->component == component)
			return true;
	}
	return false;
}

static int find_component(struct ir_analysis *analysis, const struct ir_call *call,
                          const struct ir_component **ret, struct pa_error *err)
{
	size_t index = pa_name_table_get(&analysis->spec->components.index, call->component);

	*ret = index == SIZE_MAX ? NULL : &analysis->components[index];
	if (*ret != NULL || analysis->spec->partial)
		return 0;
	return pa_node_error(call->node, err,
	                     "'%.100s' runs the component '%.100s', which is not in this pipeline; correct "
	                     "componentRef.name",
	                     call->key, call->component);
}

/* Follows one call to its component, and on to the tasks in it. */
static int enter_place(struct ir_analysis *analysis, struct ir_place *place, const char *id,
                       unsigned int depth, struct pa_error *err)
{
	const struct ir_component *component;
	int rc = find_component(analysis, place->call, &component, err);

	if (rc < 0)
		return rc;
	if (depth > PA_ANALYZE_MAX_NESTING)
		return pa_node_error(place->call->node, err,
		                     "DAGs nested deeper than %d levels; flatten them",
		                     PA_ANALYZE_MAX_NESTING);
	if (component != NULL && calls_itself(place, component))
		return pa_findings_unresolved(
		    analysis->findings, place->call->node, err,
		    "recursion: %s calls %s again; how often is known only in a run", id, component->name);
	place->component = component;
	rc = make_inputs(analysis, place, err);
	if (rc == 0)
		rc = ir_fill_condition(analysis, place, &place->condition, err);
	if (rc < 0)
		return rc;
	join_condition(analysis, place);
	rc = pa_budget_check(analysis->budget, 0, place->call->node, err);
	if (rc < 0)
		return rc;
	if (component == NULL || !component->is_dag)
		return add_task(analysis, place, id, err);
	place->prefix = pa_arena_printf(analysis->budget->arena, "%s/", id);
	return enter_calls(analysis, place, depth + 1, err);
}

/* The model's tasks, now that their number is known. */
static int make_models(struct ir_analysis *analysis, struct pa_error *err)
{
	size_t size = analysis->task_count * sizeof(*analysis->models);
	int rc = pa_budget_check(analysis->budget, size, analysis->spec->node, err);

	if (rc < 0)
		return rc;
	analysis->models =
	    pa_arena_array(analysis->budget->arena, analysis->task_count, sizeof(*analysis->models));
	for (size_t i = 0; i < analysis->task_count; i++) {
		const struct ir_task *task = &analysis->tasks[i];
		const struct ir_call *call = task->place->call;
		const struct pa_node *at = call == NULL ? analysis->spec->node : call->node;
		analysis->models[i] = (struct pa_task){
		    .id = task->id,
		    .template_name = call == NULL ? task->place->component->name : call->component,
		    .kind = task_kind(task),
		    .role = task->place->role,
		    .image = "",
		    .line = at->line,
		    .column = at->column};
	}
	return 0;
}

int ir_flatten(struct ir_analysis *analysis, struct pa_error *err)
{
	struct ir_place *root = &analysis->root;

	root->component = &analysis->root_component;
	root->prefix = "";
	root->task = SIZE_MAX;
	int rc = make_inputs(analysis, root, err);
	if (rc < 0)
		return rc;
	rc = root->component->is_dag ? enter_calls(analysis, root, 1, err)
	                             : add_task(analysis, root, root->component->name, err);
	return rc < 0 ? rc : make_models(analysis, err);
}
