/* SPDX-License-Identifier: Apache-2.0 */
/* Small workflows to models: order, ids, origins, claims, data, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "pipeline/analyze.h"
#include "pipeline/workflow.h"

#define HEAD "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: w-}\nspec:\n"
#define TASK "  - {name: c, inputs: {parameters: [{name: p, default: ''}]}, container: {image: i}}\n"

struct result {
	struct pa_arena arena;
	struct pa_error err;
	struct pa_analysis analysis;
	int rc;
};

static struct result analyze(const char *text)
{
	struct result result = {.arena = PA_ARENA_INIT};

	result.rc =
	    pa_analyze_text(&result.arena, "f.yaml", text, strlen(text), NULL, &result.analysis, &result.err);
	return result;
}

static struct result model_of(const char *text)
{
	struct result result = analyze(text);

	if (result.rc != 0)
		fail_msg("%s", result.err.message);
	return result;
}

static void refuses(const char *text, const char *message)
{
	struct result result = analyze(text);

	if (result.rc != -(int)PA_ERROR_INPUT || strstr(result.err.message, message) == NULL)
		fail_msg("expected \"%s\", got %d \"%s\"", message, result.rc, result.err.message);
	assert_int_equal(result.analysis.pipeline_count, 0);
	pa_arena_done(&result.arena);
}

/* "id<after,after id<after": the whole order in one line. */
static void order_is(const char *text, const char *expected)
{
	struct result result = model_of(text);
	const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];
	struct pa_buffer line;

	pa_buffer_init(&line, 1 << 16);
	for (size_t i = 0; i < pipeline->task_count; i++) {
		pa_buffer_printf(&line, "%s%s", i > 0 ? " " : "", pipeline->tasks[i].id);
		for (size_t j = 0; j < pipeline->tasks[i].after_count; j++)
			pa_buffer_printf(&line, "%c%s", j == 0 ? '<' : ',', pipeline->tasks[i].after[j]);
	}
	assert_string_equal(line.data, expected);
	pa_buffer_done(&line);
	pa_arena_done(&result.arena);
}

static const struct pa_task *task_of(const struct result *result, const char *id)
{
	const struct pa_task *task = pa_pipeline_find_task(&result->analysis.pipelines[0], id);

	if (task == NULL)
		fail_msg("no task %s", id);
	return task;
}

static const struct pa_input *input_of(const struct pa_task *task, const char *name)
{
	for (size_t i = 0; i < task->input_count; i++) {
		if (strcmp(task->inputs[i].name, name) == 0)
			return &task->inputs[i];
	}
	fail_msg("%s has no input %s", task->id, name);
	return NULL;
}

static void comes_from(const struct pa_task *task, const char *input, const char *producer,
                       const char *output)
{
	const struct pa_input *found = input_of(task, input);

	assert_int_equal(found->origin_count, 1);
	assert_int_equal(found->origins[0].kind, PA_ORIGIN_TASK);
	assert_string_equal(found->origins[0].task, producer);
	assert_string_equal(found->origins[0].output, output);
}

static void test_order_of_nested_dags(void **state)
{
	(void)state;
	order_is(HEAD "  entrypoint: m\n  templates:\n"
	              "  - name: m\n    dag:\n      tasks:\n"
	              "      - {name: last, template: c, dependencies: [in]}\n"
	              "      - {name: in, template: n, dependencies: [first]}\n"
	              "      - {name: first, template: c}\n"
	              "  - name: n\n    dag:\n      tasks:\n"
	              "      - {name: a, template: c}\n"
	              "      - {name: b, template: c, dependencies: [a]}\n"
	              "      - {name: x, template: c}\n" TASK,
	         "last<in/b,in/x in/a<first in/b<in/a in/x<first first");
}

static void test_order_of_steps(void **state)
{
	(void)state;
	order_is(HEAD "  entrypoint: m\n  templates:\n"
	              "  - name: m\n    steps:\n"
	              "    - - {name: a, template: c}\n"
	              "      - {name: b, template: c}\n"
	              "    - - {name: d, template: n}\n"
	              "    - - {name: e, template: c, arguments: {parameters: [{name: p, value: "
	              "'{{steps.a.outputs.result}}'}]}}\n"
	              "  - name: n\n    steps: [[{name: s, template: c}], []]\n" TASK,
	         "a b d/s<a,b e<a,d/s");
}

static void test_order_from_data_and_depends(void **state)
{
	(void)state;
	order_is(HEAD "  entrypoint: m\n  templates:\n"
	              "  - name: m\n    dag:\n      tasks:\n"
	              "      - {name: a, template: c}\n"
	              "      - {name: b, template: c, arguments: {parameters: [{name: p, value: "
	              "'{{tasks.a.outputs.result}}'}]}}\n"
	              "      - {name: d, template: c, depends: 'a.Succeeded && (b.Failed || b)'}\n"
	              "      - {name: e, template: c, when: '{{tasks.d.outputs.result}} == x'}\n"
	              "      - {name: f, template: c, withParam: '{{=tasks[\"e\"].outputs.result}}'}\n" TASK,
	         "a b<a d<a,b e<d f<e");
}

static void test_recursion_passes_order_through(void **state)
{
	(void)state;
	const char *text = HEAD "  entrypoint: m\n  templates:\n"
				"  - name: m\n    dag:\n      tasks:\n"
				"      - {name: a, template: c}\n"
				"      - {name: again, template: m, dependencies: [a]}\n"
				"      - {name: z, template: c, dependencies: [again]}\n" TASK;

	order_is(text, "a z<a");
	struct result result = model_of(text);
	assert_int_equal(result.analysis.pipelines[0].unresolved_count, 1);
	assert_string_equal(result.analysis.pipelines[0].unresolved[0].at, "f.yaml:11:9");
	pa_arena_done(&result.arena);
}

static void test_targets_and_daemons(void **state)
{
	(void)state;
	order_is(HEAD "  entrypoint: m\n  templates:\n"
	              "  - name: m\n    dag:\n      target: b\n      tasks:\n"
	              "      - {name: a, template: c}\n"
	              "      - {name: b, template: c, dependencies: [a]}\n"
	              "      - {name: d, template: c, dependencies: [b]}\n" TASK,
	         "a b<a");
	order_is(HEAD "  entrypoint: m\n  templates:\n"
	              "  - name: m\n    steps:\n"
	              "    - [{name: a, template: c}]\n"
	              "    - [{name: server, template: d}]\n"
	              "    - [{name: user, template: c}]\n"
	              "  - {name: d, daemon: true, container: {image: i}}\n" TASK,
	         "a server<a user<a");
}

static void test_exit_and_hooks(void **state)
{
	(void)state;
	const char *text =
	    HEAD "  entrypoint: m\n  onExit: n\n  hooks: {running: {expression: 'true', template: c}}\n"
		 "  templates:\n"
		 "  - name: m\n    dag:\n      tasks:\n"
		 "      - {name: a, template: c, hooks: {exit: {template: c}}}\n"
		 "      - {name: b, template: c, onExit: c, dependencies: [a]}\n"
		 "  - name: n\n    steps: [[{name: clean, template: c}]]\n" TASK;

	order_is(text, "a a/hooks.exit<a b<a b/onExit<b onExit/clean<b hooks.running");
	struct result result = model_of(text);
	assert_int_equal(task_of(&result, "a")->role, PA_ROLE_MAIN);
	assert_int_equal(task_of(&result, "a/hooks.exit")->role, PA_ROLE_HOOK);
	assert_null(task_of(&result, "a/hooks.exit")->condition);
	assert_string_equal(task_of(&result, "hooks.running")->condition, "{{=true}}");
	assert_int_equal(task_of(&result, "onExit/clean")->role, PA_ROLE_EXIT);
	pa_arena_done(&result.arena);
}

/* Argo gives what runs at an end the workflow's arguments, unless it says its own; a repeated call has no hooks. */
static void test_arguments_of_exits(void **state)
{
	(void)state;
	const char *text = HEAD
	    "  arguments: {parameters: [{name: v, value: '7'}]}\n  onExit: last\n  templates:\n"
	    "  - name: m\n    dag:\n      tasks:\n"
	    "      - {name: a, template: last, hooks: {exit: {template: last}, running: {template: last}}}\n"
	    "      - {name: b, template: m, onExit: last, dependencies: [a]}\n"
	    "  - {name: last, inputs: {parameters: [{name: v, value: '1'}]}, container: {image: i, args: "
	    "['{{inputs.parameters.v}}']}}\n";
	/* Nobody calls `last` but when something ends, so m is the only root. */
	struct result result = model_of(text);

	assert_int_equal(result.analysis.pipelines[0].task_count, 4);
	assert_string_equal(task_of(&result, "onExit")->args[0], "7");
	assert_string_equal(task_of(&result, "a/hooks.exit")->args[0], "7");
	assert_string_equal(input_of(task_of(&result, "a/hooks.exit"), "v")->origins[0].text, "v");
	assert_string_equal(task_of(&result, "a/hooks.running")->args[0], "1");
	pa_arena_done(&result.arena);
}

static void test_entrypoints(void **state)
{
	(void)state;
	order_is(HEAD "  entrypoint: c\n  templates:\n" TASK, "c");
	order_is("kind: WorkflowTemplate\nmetadata: {name: lib}\nspec:\n  templates:\n"
	         "  - {name: x, steps: [[{name: s, template: c}]]}\n"
	         "  - {name: y, container: {image: i}}\n" TASK,
	         "x/s y");
	order_is(
	    "kind: CronWorkflow\nmetadata: {name: cron}\nspec:\n  schedule: '* * * * *'\n  workflowSpec:\n"
	    "    entrypoint: c\n    templates: [{name: c, container: {image: i}}]\n",
	    "c");
}

static void test_values_through_nested_dags(void **state)
{
	(void)state;
	struct result result = model_of(
	    HEAD "  entrypoint: m\n  arguments: {parameters: [{name: size, value: '7'}]}\n  templates:\n"
		 "  - name: m\n    inputs: {parameters: [{name: size}]}\n    dag:\n      tasks:\n"
		 "      - {name: make, template: make}\n"
		 "      - {name: in, template: n, arguments: {parameters: [{name: v, value: "
		 "'{{inputs.parameters.size}}'},\n"
		 "          {name: r, value: '{{tasks.make.outputs.parameters.r}}'}], artifacts: [{name: f, "
		 "from: '{{tasks.make.outputs.artifacts.f}}'}]}}\n"
		 "      - {name: end, template: use, arguments: {parameters: [{name: v, value: a}, {name: r, "
		 "value: '{{tasks.in.outputs.parameters.up}}'}],\n"
		 "          artifacts: [{name: f, from: '{{tasks.in.outputs.artifacts.up}}'}]}}\n"
		 "  - name: n\n    inputs: {parameters: [{name: v}, {name: r}], artifacts: [{name: f}]}\n"
		 "    outputs: {parameters: [{name: up, valueFrom: {parameter: "
		 "'{{tasks.deep.outputs.parameters.r}}'}}],\n"
		 "      artifacts: [{name: up, from: '{{tasks.deep.outputs.artifacts.f}}'}]}\n"
		 "    dag:\n      tasks:\n"
		 "      - {name: deep, template: use, arguments: {parameters: [{name: v, value: "
		 "'n={{inputs.parameters.v}}'},\n"
		 "          {name: r, value: '{{inputs.parameters.r}}'}], artifacts: [{name: f, from: "
		 "'{{inputs.artifacts.f}}'}]}}\n"
		 "  - name: use\n    inputs: {parameters: [{name: v}, {name: r}], artifacts: [{name: f, "
		 "path: /f}]}\n"
		 "    outputs: {parameters: [{name: r, valueFrom: {path: /r}}], artifacts: [{name: f, path: "
		 "/o}]}\n"
		 "    container: {image: i, args: ['{{inputs.parameters.v}} {{inputs.parameters.r}} "
		 "{{workflow.name}}']}\n"
		 "  - name: make\n    outputs: {parameters: [{name: r, valueFrom: {path: /r}}], artifacts: "
		 "[{name: f, path: /o}]}\n"
		 "    container: {image: i}\n");
	const struct pa_task *deep = task_of(&result, "in/deep");
	const struct pa_task *end = task_of(&result, "end");

	comes_from(deep, "r", "make", "r");
	comes_from(deep, "f", "make", "f");
	comes_from(end, "r", "in/deep", "r");
	comes_from(end, "f", "in/deep", "f");
	assert_int_equal(input_of(deep, "v")->origins[0].kind, PA_ORIGIN_PARAMETER);
	assert_string_equal(input_of(deep, "v")->origins[0].text, "size");
	assert_int_equal(input_of(end, "v")->origins[0].kind, PA_ORIGIN_CONSTANT);
	assert_string_equal(deep->args[0], "n=7 {{inputs.parameters.r}} {{workflow.name}}");
	assert_string_equal(deep->hyperparameters[0].value, "n=7");
	assert_string_equal(end->after[0], "in/deep");
	pa_arena_done(&result.arena);
}

static void test_arguments_replace_parameters(void **state)
{
	const char *text =
	    HEAD "  entrypoint: m\n  arguments: {parameters: [{name: a, value: '1'}]}\n  templates:\n"
		 "  - {name: m, container: {image: i, args: ['{{workflow.parameters.a}}']}}\n";
	const struct pa_name_value argument = {"a", "2"}, unknown = {"b", "2"};
	struct pa_analyze_options options = {&argument, 1};
	struct result result = {.arena = PA_ARENA_INIT};

	(void)state;
	assert_int_equal(
	    pa_analyze_text(&result.arena, "f", text, strlen(text), &options, &result.analysis, &result.err),
	    0);
	assert_string_equal(result.analysis.pipelines[0].tasks[0].args[0], "2");
	assert_string_equal(result.analysis.pipelines[0].workflow->parameters[0].value, "2");
	options.arguments = &unknown;
	assert_int_equal(
	    pa_analyze_text(&result.arena, "f", text, strlen(text), &options, &result.analysis, &result.err),
	    -(int)PA_ERROR_INPUT);
	assert_int_equal(result.analysis.pipeline_count, 1);
	pa_arena_done(&result.arena);
}

static void test_claims(void **state)
{
	(void)state;
	struct result result = model_of(
	    HEAD "  entrypoint: m\n  arguments: {parameters: [{name: claim, value: mine}, {name: open}]}\n"
		 "  volumes: [{name: outer, persistentVolumeClaim: {claimName: "
		 "'{{workflow.parameters.claim}}', readOnly: true}}]\n"
		 "  volumeClaimTemplates: [{metadata: {name: work}}]\n  templates:\n"
		 "  - name: m\n    dag:\n      tasks:\n"
		 "      - {name: make, template: make}\n"
		 "      - {name: use, template: use, arguments: {parameters: [{name: n, value: "
		 "'{{tasks.make.outputs.parameters.name}}'}]}}\n"
		 "  - name: make\n    resource: {action: create, manifest: \"kind: "
		 "PersistentVolumeClaim\\nmetadata: {name: '{{workflow.name}}-x'}\\n\"}\n"
		 "    outputs: {parameters: [{name: name, valueFrom: {jsonPath: '{.metadata.name}'}}]}\n"
		 "  - name: use\n    inputs: {parameters: [{name: n}]}\n"
		 "    volumes: [{name: made, persistentVolumeClaim: {claimName: '{{inputs.parameters.n}}'}}, "
		 "{name: cfg, configMap: {name: q}},\n"
		 "      {name: later, persistentVolumeClaim: {claimName: '{{workflow.parameters.open}}'}}]\n"
		 "    container: {image: i, volumeMounts: [{name: outer, mountPath: /o, subPath: s}, {name: "
		 "made, mountPath: /m},\n"
		 "      {name: work, mountPath: /w}, {name: cfg, mountPath: /c}, {name: later, mountPath: "
		 "/l}]}\n");
	const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];
	const struct pa_task_mount *mounts = task_of(&result, "use")->mounts;

	assert_int_equal(task_of(&result, "use")->mount_count, 5);
	assert_string_equal(mounts[0].claim, "mine");
	assert_string_equal(mounts[0].sub_path, "s");
	assert_true(mounts[0].read_only);
	assert_null(mounts[1].claim);
	assert_string_equal(mounts[1].created_by, "make");
	assert_null(mounts[2].claim);
	assert_null(mounts[2].created_by);
	assert_string_equal(mounts[2].kind, "pvc");
	assert_string_equal(mounts[3].kind, "config");
	assert_null(mounts[4].claim);
	assert_int_equal(pipeline->unresolved_count, 1);
	assert_int_equal(pipeline->data_count, 3);
	assert_string_equal(pipeline->data[0].id, "claim:mine");
	assert_false(pipeline->data[0].scratch);
	assert_int_equal(pipeline->data[0].written_count, 0);
	assert_string_equal(pipeline->data[1].id, "claim:{{workflow.name}}-x");
	assert_true(pipeline->data[1].scratch);
	assert_int_equal(pipeline->data[1].written_count, 1);
	assert_string_equal(pipeline->data[2].id, "claim:{{workflow.name}}-work");
	assert_true(pipeline->data[2].scratch);
	pa_arena_done(&result.arena);
}

static void test_data(void **state)
{
	(void)state;
	struct result result = model_of(
	    HEAD "  entrypoint: m\n  arguments: {parameters: [{name: u, value: 'gs://b/p'}]}\n  templates:\n"
		 "  - name: m\n    inputs: {artifacts: [{name: a, path: /a, s3: {bucket: k, key: x}}, {name: "
		 "n, path: /n, s3: {key: y}},\n"
		 "        {name: h, path: /h, hdfs: {addresses: ['n:1', 'o:2'], path: /d}}, {name: g, path: "
		 "/g, git: {repo: 'https://h/r.git'}}]}\n"
		 "    outputs: {artifacts: [{name: o, path: /o, gcs: {bucket: k, key: '{{pod.name}}'}}]}\n"
		 "    container: {image: i, command: [sh, -c], args: ['cat s3://code/x.csv'], env: [{name: "
		 "E, value: '{{workflow.parameters.u}}/q'}]}\n");
	static const struct pa_task_data expected[] = {
	    {"s3://k/x", PA_CONFIDENCE_DECLARED},        {"hdfs://n:1/d", PA_CONFIDENCE_DECLARED},
	    {"https://h/r.git", PA_CONFIDENCE_DECLARED}, {"gs://k/{{pod.name}}", PA_CONFIDENCE_DECLARED},
	    {"s3://code/x.csv", PA_CONFIDENCE_EMBEDDED}, {"gs://b/p/q", PA_CONFIDENCE_ARGUMENT},
	};
	const struct pa_task *task = task_of(&result, "m");

	assert_int_equal(task->data_count, sizeof(expected) / sizeof(expected[0]));
	for (size_t i = 0; i < task->data_count; i++) {
		assert_string_equal(task->data[i].uri, expected[i].uri);
		assert_int_equal(task->data[i].confidence, expected[i].confidence);
	}
	assert_int_equal(result.analysis.pipelines[0].data[3].read_count, 0);
	assert_int_equal(result.analysis.pipelines[0].data[3].written_count, 1);
	pa_arena_done(&result.arena);
}

static void test_loops_conditions_settings(void **state)
{
	(void)state;
	struct result result =
	    model_of(HEAD "  entrypoint: m\n  arguments: {parameters: [{name: l, value: '[1,2,3]'}]}\n  "
	                  "templateDefaults: {retryStrategy: {limit: 4}}\n"
	                  "  templates:\n"
	                  "  - name: m\n    dag:\n      tasks:\n"
	                  "      - {name: a, template: c, withItems: [x, y]}\n"
	                  "      - {name: b, template: n, withParam: '{{workflow.parameters.l}}', when: "
	                  "'{{workflow.parameters.l}} != x'}\n"
	                  "      - {name: s, template: c, withSequence: {start: '3', end: '7'}}\n"
	                  "      - {name: d, template: c, withParam: '{{tasks.a.outputs.result}}', "
	                  "arguments: {parameters: [{name: p, value: '{{item.k}}'}]}}\n"
	                  "  - {name: n, dag: {tasks: [{name: t, template: r, when: 'a == b'}]}}\n"
	                  "  - {name: r, retryStrategy: {}, container: {image: i, resources: {limits: {cpu: "
	                  "2, nvidia.com/gpu: 1}, requests: {memory: 1Gi}}}}\n" TASK);
	const struct pa_task *nested = task_of(&result, "b/t");
	const struct pa_task *dynamic = task_of(&result, "d");

	assert_int_equal(task_of(&result, "a")->loop->items, 2);
	assert_int_equal(task_of(&result, "a")->retries, 4);
	assert_int_equal(task_of(&result, "s")->loop->items, 5);
	assert_int_equal(nested->loop->items, 3);
	assert_string_equal(nested->condition, "([1,2,3] != x) && (a == b)");
	assert_int_equal(nested->retries, 4); /* its own strategy says nothing of a limit: the default's */
	assert_string_equal(nested->resources.cpu, "2");
	assert_string_equal(nested->resources.memory, "1Gi");
	assert_string_equal(nested->resources.accelerator, "nvidia.com/gpu");
	assert_int_equal(dynamic->loop->items, -1);
	assert_string_equal(dynamic->loop->from_task, "a");
	assert_int_equal(dynamic->inputs[0].origins[0].kind, PA_ORIGIN_ITEM);
	assert_string_equal(dynamic->inputs[0].origins[0].task, "a");
	pa_arena_done(&result.arena);
}

static void test_unknown_templates(void **state)
{
	(void)state;
	struct result result = model_of(HEAD "  entrypoint: m\n  templates:\n"
	                                     "  - name: m\n    dag:\n      tasks:\n"
	                                     "      - {name: a, templateRef: {name: lib, template: t}, "
	                                     "arguments: {parameters: [{name: p, value: 's3://b/k'}]}}\n"
	                                     "      - {name: b, template: q, dependencies: [a]}\n"
	                                     "  - {name: q, strange: {}}\n");
	const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];

	assert_int_equal(task_of(&result, "a")->kind, PA_TASK_UNRESOLVED);
	assert_string_equal(task_of(&result, "a")->inputs[0].origins[0].text, "s3://b/k");
	assert_string_equal(task_of(&result, "a")->data[0].uri, "s3://b/k");
	assert_int_equal(pipeline->unresolved_count, 2);
	assert_string_equal(pipeline->unresolved[0].what,
	                    "template-ref lib/t: no WorkflowTemplate of that name is in the files given");
	assert_string_equal(pipeline->unresolved[1].what, "template q is of no known type");
	pa_arena_done(&result.arena);
}

static void test_refuses(void **state)
{
	(void)state;
	refuses("a: 1\n", "f.yaml:1:1: no pipeline in this file");
	refuses("", "no pipeline in this file");
	refuses(HEAD "  entrypoint: m\n", "f.yaml:5:15: the entrypoint 'm' is no template");
	refuses(HEAD "  entrypoint: m\n  templates: [{name: m, dag: {tasks: [{name: a, template: x}]}}]\n",
	        "'a' calls the template 'x', which is not in this file");
	refuses(HEAD "  entrypoint: m\n  templates:\n  - {name: m, dag: {tasks: [{name: a, template: c, "
	             "dependencies: [z]}]}}\n" TASK,
	        "f.yaml:7:67: 'a' depends on 'z'");
	refuses(HEAD "  entrypoint: m\n  templates:\n  - {name: m, dag: {tasks: [{name: a, template: c, "
	             "depends: 'z.Failed'}]}}\n" TASK,
	        "'a' depends on 'z'");
	refuses(HEAD "  entrypoint: m\n  templates:\n  - {name: m, dag: {tasks: [{name: a, template: c, "
	             "when: '{{tasks.z.outputs.result}} == 1'}]}}\n" TASK,
	        "'a' refers to 'z'");
	refuses(HEAD "  entrypoint: m\n  templates:\n  - name: m\n    dag:\n      tasks:\n"
	             "      - {name: a, template: c, dependencies: [b]}\n      - {name: b, template: c, "
	             "dependencies: [d]}\n"
	             "      - {name: d, template: c, dependencies: [b]}\n" TASK,
	        "in a circle: 'b' after 'd' after 'b'");
	refuses(HEAD "  entrypoint: m\n  templates:\n  - {name: m, steps: [[{name: a, template: c, when: "
	             "'{{steps.b.outputs.result}} == 1'}, {name: b, template: c}]]}\n" TASK,
	        "has not ended then");
	refuses(HEAD "  entrypoint: m\n  templates:\n  - {name: m, dag: {tasks: [{name: a, template: c}, "
	             "{name: a, template: c}]}}\n" TASK,
	        "two tasks have the name 'a'");
	refuses(HEAD "  entrypoint: c\n  templates:\n" TASK TASK, "two templates have the name 'c'");
	refuses(HEAD "  entrypoint: m\n  onExit: c\n  templates:\n  - {name: m, dag: {tasks: [{name: onExit, "
	             "template: c}]}}\n" TASK,
	        "two tasks would have the id 'onExit'");
	refuses(HEAD "  entrypoint: m\n  templates: [{name: m, dag: [1]}]\n", "f.yaml:6:30: 'dag' is no map");
	refuses(HEAD "  entrypoint: m\n  templates: {name: m}\n", "'templates' is a map; write a list there");
	refuses(HEAD "  entrypoint: m\n  templates: [{name: m, container: {image: [x]}}]\n",
	        "'image' is a list");
	refuses(HEAD "  entrypoint: m\n  templates: [{name: m, container: {image: x}, outputs: {artifacts: "
	             "[{name: o, path: /a/../b}]}}]\n",
	        "holds '..'");
	refuses(HEAD "  entrypoint: m\n  arguments: {parameters: [{name: s, value: ../up}]}\n  templates: "
	             "[{name: m, container: {image: x, volumeMounts: [{name: v, mountPath: /v, subPath: "
	             "'{{workflow.parameters.s}}'}]}}]\n",
	        "holds '..'");
}

/* 2^40 calls from a text of forty lines; nothing runs in them. */
static void test_expansion_is_limited(void **state)
{
	struct pa_buffer text;

	(void)state;
	pa_buffer_init(&text, 1 << 20);
	pa_buffer_puts(&text, HEAD "  entrypoint: t0\n  templates:\n");
	for (int i = 0; i < 40; i++)
		pa_buffer_printf(
		    &text,
		    "  - {name: t%d, dag: {tasks: [{name: a, template: t%d}, {name: b, template: t%d}]}}\n",
		    i, i + 1, i + 1);
	pa_buffer_puts(&text, "  - {name: t40, dag: {tasks: []}}\n");
	struct result result = analyze(text.data);
	assert_int_equal(result.rc, -(int)PA_ERROR_INPUT);
	assert_true(pa_arena_bytes(&result.arena) < (80u << 20));
	pa_arena_done(&result.arena);
	pa_buffer_done(&text);
}

static void test_paper_form(void **state)
{
	(void)state;
	struct result result = model_of(
	    HEAD
	    "  entrypoint: w\n  templates:\n"
	    "  - name: make\n    outputs: {artifacts: [{name: make-x, path: /nfs/x}, {name: make-y, path: "
	    "/nfs/y}]}\n"
	    "    volumes: [{name: v, persistentVolumeClaim: {claimName: k}}]\n"
	    "    container: {image: i, volumeMounts: [{name: v, mountPath: /nfs/}]}\n"
	    "  - {name: use, inputs: {artifacts: [{name: make-x, path: /in/x}]}, container: {image: i}}\n"
	    "  - name: w\n    dag:\n      tasks:\n"
	    "      - {name: use, template: use, arguments: {artifacts: [{name: make-x, from: "
	    "'{{tasks.make.outputs.artifacts.make-x}}'}]}}\n"
	    "      - {name: make, template: make}\n");
	struct pa_buffer out;

	pa_buffer_init(&out, 1 << 16);
	pa_analysis_print_paper(&result.analysis, &out);
	assert_string_equal(out.data,
	                    "pipeline_name = w-\n\n"
	                    "component_name = make\ndata_path = /nfs/\ndata_outps = {make-x /nfs/x}\n\n"
	                    "data_outps = {make-y /nfs/y}\n\n"
	                    "component_name = use\ndata_inputs = {make-x /in/x}\n");
	pa_buffer_done(&out);
	pa_arena_done(&result.arena);
}

/* What a file says may not drive the terminal or break the graph languages. */
static void test_prints_are_escaped(void **state)
{
	struct result result = model_of(
	    HEAD
	    "  entrypoint: m\n  templates:\n"
	    "  - {name: m, dag: {tasks: [{name: \"a\\e[31m\\\"\\n\\u009b#<\\\\\", template: c}]}}\n" TASK);
	struct pa_buffer out;

	(void)state;
	pa_buffer_init(&out, 1 << 16);
	pa_analysis_print_table(&result.analysis, &out);
	assert_non_null(strstr(out.data, "a?[31m\"??#<\\  "));
	pa_analysis_print_dot(&result.analysis, &out);
	pa_analysis_print_mermaid(&result.analysis, &out);
	assert_null(strchr(out.data, '\033'));
	assert_non_null(strstr(out.data, "n0 [label=\"a?[31m\\\"?\xc2\x9b#<\\\\\"]"));
	assert_non_null(strstr(out.data, "n0[\"a?[31m#quot;?\xc2\x9b#35;#lt;\\\"]"));
	pa_buffer_clear(&out);
	pa_analysis_print_json(&result.analysis, &out);
	assert_non_null(strstr(out.data, "\"id\": \"a\\u001B[31m\\\"\\n"));
	pa_buffer_done(&out);
	pa_arena_done(&result.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order_of_nested_dags),
	    cmocka_unit_test(test_order_of_steps),
	    cmocka_unit_test(test_order_from_data_and_depends),
	    cmocka_unit_test(test_recursion_passes_order_through),
	    cmocka_unit_test(test_targets_and_daemons),
	    cmocka_unit_test(test_exit_and_hooks),
	    cmocka_unit_test(test_arguments_of_exits),
	    cmocka_unit_test(test_entrypoints),
	    cmocka_unit_test(test_values_through_nested_dags),
	    cmocka_unit_test(test_arguments_replace_parameters),
	    cmocka_unit_test(test_claims),
	    cmocka_unit_test(test_data),
	    cmocka_unit_test(test_loops_conditions_settings),
	    cmocka_unit_test(test_unknown_templates),
	    cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_expansion_is_limited),
	    cmocka_unit_test(test_paper_form),
	    cmocka_unit_test(test_prints_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
