/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a node's name and, behind a line end, a template's: a task of the model or none.  The models are of a
 * pipeline with everything that shapes names. */
#include "base/arena.h"
#include "base/error.h"
#include "check.h"
#include "pipeline/analyze.h"
#include "pipeline/node_name.h"

static const char workflow_text[] =
    "{apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {generateName: wf-},\n"
    "spec: {entrypoint: main, onExit: bye, hooks: {exit: {template: one}, h: {template: one, expression: "
    "x}}, templates: [\n"
    "{name: one, retryStrategy: {limit: 2}, container: {image: i}},\n"
    "{name: bye, steps: [[{name: s, template: one}]]},\n"
    "{name: sub, steps: [[{name: x, template: one}, {name: x.y, template: one}], [{name: l, template: one, "
    "withItems: [1, 2]}]]},\n"
    "{name: main, dag: {tasks: [{name: a, template: one}, {name: b, template: sub, dependencies: [a]},\n"
    "{name: c, template: sub, withItems: ['p(0:q).r', 2], hooks: {running: {template: one, expression: "
    "y}}},\n"
    "{name: a-b, template: one, withSequence: {count: 3}, onExit: one}]}}]}}";

static const char component_text[] = "{pipelineInfo: {name: p}, schemaVersion: 2.1.0,\n"
				     "deploymentSpec: {executors: {e: {container: {image: i}}}},\n"
				     "components: {comp-a: {executorLabel: e}, comp-loop: {dag: {tasks: {a: "
				     "{componentRef: {name: comp-a}}}},\n"
				     "  inputDefinitions: {parameters: {i: {parameterType: STRING}}}}},\n"
				     "root: {dag: {tasks: {a: {componentRef: {name: comp-a}}, a-2: "
				     "{componentRef: {name: comp-a}, dependentTasks: [a]},\n"
				     "  for-loop-1: {componentRef: {name: comp-loop}, parameterIterator: "
				     "{itemInput: i, items: {raw: '[1, 2]'}}}}}}}";

static const struct pa_pipeline *model_of(struct pa_arena *arena, const char *text, size_t bytes)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_analysis analysis;

	require(pa_analyze_text(arena, "model", text, bytes, NULL, &analysis, &err) == 0);
	return &analysis.pipelines[0];
}

static void check(const struct pa_pipeline *pipeline, const char *name, const char *template_name)
{
	const struct pa_task *task = pa_pipeline_task_of_node(pipeline, name, template_name);

	require(task == NULL || pa_pipeline_find_task(pipeline, task->id) == task);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Made once, and kept until the end: they take longer than a question. */
	static struct pa_arena models = PA_ARENA_INIT;
	static const struct pa_pipeline *workflow, *components;
	struct pa_arena arena = PA_ARENA_INIT;
	char *name = pa_arena_strndup(&arena, (const char *)data, size);
	char *template_name = strchr(name, '\n');

	if (workflow == NULL) {
		workflow = model_of(&models, workflow_text, sizeof(workflow_text) - 1);
		components = model_of(&models, component_text, sizeof(component_text) - 1);
	}
	if (template_name != NULL)
		*template_name++ = '\0';
	check(workflow, name, template_name);
	check(components, name, template_name);
	pa_arena_done(&arena);
	return 0;
}
