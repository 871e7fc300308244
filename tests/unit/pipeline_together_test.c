/* SPDX-License-Identifier: Apache-2.0 */
/* Several texts at once: templates of other files, merged specs, defaults, arguments, failures; and what --explain
 * prints. */
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

#define WORKFLOW "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: w-}\nspec:\n"
#define LIBRARY                                                                                              \
	"apiVersion: argoproj.io/v1alpha1\nkind: WorkflowTemplate\nmetadata: {name: lib}\nspec:\n"           \
	"  entrypoint: main\n"                                                                               \
	"  arguments: {parameters: [{name: a, value: '1'}, {name: b, value: '2'}]}\n"                        \
	"  volumes: [{name: v, persistentVolumeClaim: {claimName: theirs}}]\n"                               \
	"  templates:\n"                                                                                     \
	"  - {name: main, dag: {tasks: [{name: x, template: leaf}]}}\n"                                      \
	"  - name: leaf\n    container: {image: i, args: ['{{workflow.parameters.a}}', "                     \
	"'{{workflow.parameters.b}}'], volumeMounts: [{name: v, mountPath: /v}]}\n"
#define CALLS_LIBRARY                                                                                        \
	"  entrypoint: m\n  templates:\n  - name: m\n    dag: {tasks: [{name: t, templateRef: {name: lib, "  \
	"template: main}}]}\n"

struct together {
	struct pa_arena arena;
	struct pa_analysis analysis;
};

static struct together analyze_with(const struct pa_analyze_options *options, const struct pa_text *texts,
                                    size_t count)
{
	struct together result = {.arena = PA_ARENA_INIT};

	pa_analyze(&result.arena, texts, count, options, &result.analysis);
	return result;
}

static struct pa_text text_of(const char *file, const char *text)
{
	return (struct pa_text){.file = file, .text = text, .bytes = strlen(text)};
}

static struct together analyze_two(const char *first_file, const char *first, const char *second_file,
                                   const char *second)
{
	struct pa_text texts[] = {text_of(first_file, first), text_of(second_file, second)};

	return analyze_with(NULL, texts, 2);
}

static const struct pa_task *task_of(const struct pa_pipeline *pipeline, const char *id)
{
	const struct pa_task *task = pa_pipeline_find_task(pipeline, id);

	if (task == NULL)
		fail_msg("no task %s", id);
	return task;
}

static void unresolved_is(const struct pa_pipeline *pipeline, const char *what)
{
	for (size_t i = 0; i < pipeline->unresolved_count; i++) {
		if (strstr(pipeline->unresolved[i].what, what) != NULL)
			return;
	}
	fail_msg("nothing unresolved says \"%s\"", what);
}

static void fails_with(const struct together *result, const char *message)
{
	assert_int_equal(result->analysis.failure_count, 1);
	if (strstr(result->analysis.failures[0].message, message) == NULL)
		fail_msg("\"%s\"", result->analysis.failures[0].message);
}

/* A template runs with the volumes and parameters of the workflow that calls it, not with its own file's. */
static void test_template_of_another_file(void **state)
{
	struct together result = analyze_two(
	    "w.yaml",
	    WORKFLOW "  arguments: {parameters: [{name: a, value: mine}]}\n"
		     "  volumes: [{name: v, persistentVolumeClaim: {claimName: ours}}]\n" CALLS_LIBRARY,
	    "l.yaml", LIBRARY);
	const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];
	const struct pa_task *task = task_of(pipeline, "t/x");

	(void)state;
	assert_int_equal(result.analysis.pipeline_count, 2);
	assert_int_equal(result.analysis.failure_count, 0);
	assert_string_equal(task->args[0], "mine");
	assert_string_equal(task->args[1], "{{workflow.parameters.b}}");
	assert_string_equal(task->mounts[0].claim, "ours");
	assert_string_equal(task_of(&result.analysis.pipelines[1], "x")->mounts[0].claim, "theirs");
	pa_arena_done(&result.arena);
}

static void test_templates_chosen_by_parameters(void **state)
{
	struct together result = analyze_two(
	    "w.yaml",
	    WORKFLOW
	    "  entrypoint: m\n  arguments: {parameters: [{name: n, value: li}, {name: open}]}\n"
	    "  templates:\n  - name: m\n    steps:\n"
	    "    - - {name: a, templateRef: {name: '{{workflow.parameters.n}}b', template: leaf}}\n"
	    "    - - {name: b, templateRef: {name: '{{workflow.parameters.open}}', template: leaf}}\n"
	    "    - - {name: c, templateRef: {name: lib, template: absent}}\n"
	    "    - - {name: d, templateRef: {name: lib, template: leaf, clusterScope: true}}\n",
	    "l.yaml", LIBRARY);
	const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];

	(void)state;
	assert_int_equal(task_of(pipeline, "a")->kind, PA_TASK_CONTAINER);
	assert_int_equal(task_of(pipeline, "b")->kind, PA_TASK_UNRESOLVED);
	unresolved_is(pipeline, "only a run knows which");
	unresolved_is(pipeline,
	              "template-ref lib/absent: the WorkflowTemplate in l.yaml:1 has no such template");
	unresolved_is(pipeline, "no ClusterWorkflowTemplate of that name");
	pa_arena_done(&result.arena);
}

static void test_nearest_definition_wins(void **state)
{
	struct pa_text texts[] = {text_of("one/w.yaml", WORKFLOW CALLS_LIBRARY),
	                          text_of("two/l.yaml", LIBRARY), text_of("one/l.yaml", LIBRARY),
	                          text_of("three/w.yaml", WORKFLOW CALLS_LIBRARY)};
	struct together result = analyze_with(NULL, texts, 4);

	(void)state;
	assert_int_equal(task_of(&result.analysis.pipelines[0], "t/x")->kind, PA_TASK_CONTAINER);
	assert_int_equal(task_of(&result.analysis.pipelines[3], "t")->kind, PA_TASK_UNRESOLVED);
	unresolved_is(&result.analysis.pipelines[3], "two/l.yaml:1 and one/l.yaml:1 both define");
	pa_arena_done(&result.arena);
}

static void test_merged_spec(void **state)
{
	struct together result = analyze_two(
	    "w.yaml",
	    WORKFLOW "  arguments: {parameters: [{name: b, value: mine}, {name: c, value: '3'}]}\n"
		     "  volumes: [{name: v, persistentVolumeClaim: {claimName: ours}}]\n"
		     "  workflowTemplateRef: {name: lib}\n",
	    "l.yaml", LIBRARY);
	const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];
	const struct pa_task *task = task_of(pipeline, "x");

	(void)state;
	assert_string_equal(pipeline->name, "w-");
	assert_int_equal(pipeline->parameter_count, 3);
	assert_string_equal(task->args[0], "1");
	assert_string_equal(task->args[1], "mine");
	assert_string_equal(task->mounts[0].claim, "ours");
	assert_null(pipeline->workflow->template_ref);
	assert_int_equal(pipeline->unresolved_count, 0);
	pa_arena_done(&result.arena);
}

static void test_stored_spec(void **state)
{
	struct pa_text text = text_of(
	    "w.yaml", WORKFLOW "  workflowTemplateRef: {name: gone}\nstatus:\n  storedWorkflowTemplateSpec:\n"
			       "    entrypoint: s\n    templates: [{name: s, container: {image: stored}}]\n");
	struct together result = analyze_with(NULL, &text, 1);

	(void)state;
	assert_string_equal(task_of(&result.analysis.pipelines[0], "s")->image, "stored");
	pa_arena_done(&result.arena);
}

/* templateDefaults are those of the workflow that runs, also for templates of others. */
static void test_defaults(void **state)
{
	struct together result = analyze_two(
	    "w.yaml",
	    WORKFLOW
	    "  templateDefaults:\n    retryStrategy: {limit: 5}\n    container: {resources: {limits: {cpu: "
	    "'2'}}}\n    metadata: {annotations: {k: v}}\n"
	    "  volumes: [{name: v, emptyDir: {}}]\n" CALLS_LIBRARY,
	    "l.yaml", LIBRARY);
	const struct pa_task *own = task_of(&result.analysis.pipelines[0], "t/x");
	const struct pa_task *theirs = task_of(&result.analysis.pipelines[1], "x");

	(void)state;
	assert_int_equal(own->retries, 5);
	assert_string_equal(own->resources.cpu, "2");
	assert_string_equal(own->image, "i");
	assert_int_equal(theirs->retries, 0);
	assert_null(theirs->resources.cpu);
	pa_arena_done(&result.arena);
}

static void test_arguments_of_several(void **state)
{
	const struct pa_name_value arguments[] = {{"a", "9"}, {"only-here", "8"}, {"nowhere", "7"}};
	struct pa_analyze_options options = {.arguments = arguments, .argument_count = 2};
	struct pa_text texts[] = {
	    text_of("w.yaml",
	            WORKFLOW "  entrypoint: m\n  arguments: {parameters: [{name: only-here}]}\n  templates:\n"
	                     "  - {name: m, container: {image: '{{workflow.parameters.only-here}}'}}\n"),
	    text_of("l.yaml", LIBRARY)};
	struct together result = analyze_with(&options, texts, 2);

	(void)state;
	assert_int_equal(result.analysis.failure_count, 0);
	assert_string_equal(result.analysis.pipelines[0].tasks[0].image, "8");
	assert_string_equal(task_of(&result.analysis.pipelines[1], "x")->args[0], "9");
	pa_arena_done(&result.arena);
	options.argument_count = 3;
	result = analyze_with(&options, texts, 2);
	fails_with(&result, "no parameter 'nowhere'");
	assert_int_equal(result.analysis.pipeline_count, 0);
	pa_arena_done(&result.arena);
}

static void test_failures_lose_only_themselves(void **state)
{
	struct pa_text texts[] = {text_of("w.yaml", WORKFLOW CALLS_LIBRARY
	                                  "---\nkind: Workflow\nspec: []\n---\na: [1\n---\n" LIBRARY),
	                          text_of("other.yaml", "kind: ConfigMap\n"),
	                          text_of("found.yaml", "kind: ConfigMap\n")};
	texts[2].may_be_other = true;
	struct together result = analyze_with(NULL, texts, 3);

	(void)state;
	assert_int_equal(result.analysis.pipeline_count, 2);
	assert_int_equal(task_of(&result.analysis.pipelines[0], "t/x")->kind, PA_TASK_CONTAINER);
	assert_int_equal(result.analysis.failure_count, 3);
	assert_non_null(strstr(result.analysis.failures[0].message, "w.yaml:11:7: 'spec' is a list"));
	assert_non_null(strstr(result.analysis.failures[1].message, "w.yaml:14"));
	assert_non_null(strstr(result.analysis.failures[2].message, "other.yaml:1:1: no pipeline"));
	pa_arena_done(&result.arena);
}

static void test_templates_call_each_other_across_files(void **state)
{
	struct together result = analyze_two(
	    "a.yaml",
	    "apiVersion: argoproj.io/v1alpha1\nkind: WorkflowTemplate\nmetadata: {name: a}\nspec:\n  "
	    "entrypoint: t\n"
	    "  templates: [{name: t, steps: [[{name: s, templateRef: {name: b, template: t}}]]}]\n",
	    "b.yaml",
	    "apiVersion: argoproj.io/v1alpha1\nkind: WorkflowTemplate\nmetadata: {name: b}\nspec:\n  "
	    "entrypoint: t\n"
	    "  templates: [{name: t, steps: [[{name: s, templateRef: {name: a, template: t}}]]}]\n");

	(void)state;
	assert_int_equal(result.analysis.pipelines[0].task_count, 0);
	unresolved_is(&result.analysis.pipelines[0], "recursion");
	pa_arena_done(&result.arena);
}

/* dag.target and globalName hold per use of a DAG. */
static void test_targets_and_globals(void **state)
{
	struct pa_text text = text_of(
	    "w.yaml", WORKFLOW
	    "  entrypoint: m\n  onExit: use\n  templates:\n  - name: m\n    steps:\n"
	    "    - - {name: p, template: d, arguments: {parameters: [{name: t, value: a}]}}\n"
	    "      - {name: q, template: d, arguments: {parameters: [{name: t, value: b}]}}\n"
	    "  - name: d\n    inputs: {parameters: [{name: t}]}\n"
	    "    outputs: {artifacts: [{name: o, globalName: g, from: '{{tasks.a.outputs.artifacts.f}}'}]}\n"
	    "    dag: {target: '{{inputs.parameters.t}}', tasks: [{name: a, template: c}, {name: b, "
	    "template: c}]}\n"
	    "  - {name: c, container: {image: i}, outputs: {artifacts: [{name: f, path: /f}]}}\n"
	    "  - {name: use, inputs: {artifacts: [{name: i, path: /i, from: workflow.outputs.artifacts.g}]}, "
	    "container: {image: i}}\n");
	struct together result = analyze_with(NULL, &text, 1);
	const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];
	const struct pa_input *input = &task_of(pipeline, "onExit")->inputs[0];

	(void)state;
	assert_non_null(task_of(pipeline, "p/a"));
	assert_null(pa_pipeline_find_task(pipeline, "p/b"));
	assert_null(pa_pipeline_find_task(pipeline, "q/a"));
	assert_int_equal(input->origin_count, 1);
	assert_string_equal(input->origins[0].task, "p/a");
	assert_string_equal(input->origins[0].output, "f");
	pa_arena_done(&result.arena);
}

static const struct pa_origin *only_origin(const struct pa_task *task)
{
	assert_int_equal(task->inputs[0].origin_count, 1);
	return &task->inputs[0].origins[0];
}

/* Who reads a globalName gets what was written last; what may be left out replaces nothing. */
static void test_last_writer_of_a_global(void **state)
{
	struct pa_text text = text_of(
	    "w.yaml", WORKFLOW
	    "  entrypoint: m\n  templates:\n  - name: m\n    steps:\n"
	    "    - [{name: a, template: w}]\n    - [{name: b, template: w}]\n"
	    "    - [{name: r, template: r, arguments: {parameters: [{name: p, value: &g "
	    "'{{workflow.outputs.parameters.g}}'}]}}]\n"
	    "    - [{name: c, template: w, when: 'x == y'}]\n"
	    "    - [{name: s, template: r, arguments: {parameters: [{name: p, value: *g}]}}]\n"
	    "  - {name: w, container: {image: i}, outputs: {parameters: [{name: o, globalName: g, valueFrom: "
	    "{path: /o}}]}}\n"
	    "  - {name: r, inputs: {parameters: [{name: p}]}, container: {image: i}}\n");
	struct together result = analyze_with(NULL, &text, 1);
	const struct pa_task *late = task_of(&result.analysis.pipelines[0], "s");

	(void)state;
	assert_string_equal(only_origin(task_of(&result.analysis.pipelines[0], "r"))->task, "b");
	assert_int_equal(late->inputs[0].origin_count, 2);
	assert_string_equal(late->inputs[0].origins[0].task, "b");
	assert_string_equal(late->inputs[0].origins[1].task, "c");
	pa_arena_done(&result.arena);
}

static void test_expressions(void **state)
{
	struct pa_text text =
	    text_of("w.yaml", WORKFLOW
	            "  entrypoint: m\n  arguments: {parameters: [{name: d, value: /data}]}\n  templates:\n"
	            "  - name: m\n    dag:\n      tasks:\n      - {name: flip, template: w}\n      - {name: "
	            "a, template: w}\n"
	            "      - {name: l, template: w, withExpression: \"jsonpath(tasks['flip'].outputs.result, "
	            "'$')\"}\n"
	            "      - {name: r, template: r, arguments: {artifacts: [{name: i, fromExpression: "
	            "\"tasks.flip.outputs.result == 'x' ? tasks.a.outputs.artifacts.o : "
	            "tasks.flip.outputs.artifacts.o\"}]}}\n"
	            "  - {name: w, container: {image: i}, outputs: {artifacts: [{name: o, path: /o}]}}\n"
	            "  - {name: r, inputs: {artifacts: [{name: i, path: '{{workflow.parameters.d}}/i'}]}, "
	            "container: {image: "
	            "i}}\n");
	struct together result = analyze_with(NULL, &text, 1);
	const struct pa_task *loop = task_of(&result.analysis.pipelines[0], "l");
	const struct pa_task *reads = task_of(&result.analysis.pipelines[0], "r");

	(void)state;
	assert_string_equal(loop->after[0], "flip");
	assert_int_equal(loop->loop->items, -1);
	assert_string_equal(loop->loop->from_task, "flip");
	assert_int_equal(reads->after_count, 2);
	assert_string_equal(reads->inputs[0].path, "/data/i");
	assert_int_equal(reads->inputs[0].origin_count, 2);
	assert_string_equal(reads->inputs[0].origins[0].task, "a");
	assert_string_equal(reads->inputs[0].origins[1].output, "o");
	pa_arena_done(&result.arena);
}

static void test_data_of_odd_places(void **state)
{
	struct pa_text text = text_of(
	    "w.yaml", WORKFLOW
	    "  entrypoint: m\n  volumes: [{name: n, nfs: {server: s, path: /export, readOnly: true}}]\n"
	    "  templates:\n  - name: m\n    dag:\n      tasks:\n"
	    "      - {name: list, template: list}\n      - {name: job, template: job}\n"
	    "      - {name: use, template: use, arguments: {parameters: [{name: v, value: n}]}}\n"
	    "  - {name: list, data: {source: {artifactPaths: {name: x, s3: {bucket: b, key: k}}}}}\n"
	    "  - name: job\n    resource:\n      action: create\n      manifest: |\n"
	    "        kind: Job\n        uid: {{workflow.uid}}\n        volumes:\n"
	    "        - persistentVolumeClaim: {claimName: 'data-{{workflow.name}}', readOnly: true}\n"
	    "  - name: use\n    archiveLocation: {s3: {bucket: archive}}\n"
	    "    inputs: {parameters: [{name: v}], artifacts: [{name: a, path: /a, s3: {key: in/a}}]}\n"
	    "    podSpecPatch: '{\"containers\": [{\"name\": \"main\", \"resources\": {\"limits\": "
	    "{\"memory\": "
	    "\"4Gi\", \"amd.com/gpu\": 2}}}]}'\n"
	    "    container: {image: i, volumeMounts: [{name: '{{inputs.parameters.v}}', mountPath: /n}]}\n");
	struct together result = analyze_with(NULL, &text, 1);
	const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];
	const struct pa_task *use = task_of(pipeline, "use");

	(void)state;
	assert_int_equal(pipeline->unresolved_count, 0);
	assert_string_equal(task_of(pipeline, "list")->data[0].uri, "s3://b/k");
	assert_string_equal(pipeline->data[1].id, "claim:data-{{workflow.name}}");
	assert_int_equal(pipeline->data[1].written_count, 0);
	assert_string_equal(use->data[0].uri, "nfs://s/export");
	assert_string_equal(use->data[1].uri, "s3://archive/in/a");
	assert_string_equal(use->resources.memory, "4Gi");
	assert_string_equal(use->resources.accelerator, "amd.com/gpu");
	pa_arena_done(&result.arena);
}

static void has_fact(const struct pa_pipeline *pipeline, const char *what, const char *value, const char *at)
{
	for (size_t i = 0; i < pipeline->fact_count; i++) {
		const struct pa_fact *fact = &pipeline->facts[i];
		if (strcmp(fact->what, what) == 0 && strstr(fact->value, value) != NULL &&
		    (at == NULL ? fact->at == NULL : fact->at != NULL && strcmp(fact->at, at) == 0))
			return;
	}
	fail_msg("no fact %s \"%s\" at %s", what, value, at == NULL ? "-" : at);
}

static void test_explains(void **state)
{
	const struct pa_analyze_options options = {.explain = "in/b"};
	struct pa_text text = text_of(
	    "w.yaml", WORKFLOW
	    "  entrypoint: m\n  templates:\n  - name: m\n    dag:\n      tasks:\n" /* 5..9 */
	    "      - {name: first, template: c}\n"                                 /* 10 */
	    "      - {name: in, template: n, depends: first.Succeeded}\n"          /* 11 */
	    "  - name: n\n    dag:\n      tasks:\n"                                /* 12..14 */
	    "      - {name: a, template: c}\n"                                     /* 15 */
	    "      - {name: b, template: c, dependencies: [a], when: 'x == x', withItems: [1, 2]}\n" /* 16 */
	    "  - name: c\n    retryStrategy: {limit: 2}\n    container:\n      image: img\n" /* 17..20 */
	    "      resources: {limits: {cpu: 3}}\n");                                        /* 21 */
	struct together result = analyze_with(&options, &text, 1);
	const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer out;

	(void)state;
	has_fact(pipeline, "call", "'in' calls n", "w.yaml:11:9");
	has_fact(pipeline, "image", "img", "w.yaml:20:14");
	has_fact(pipeline, "after", "in/a: dependencies of 'b' on 'a'", "w.yaml:16:47");
	has_fact(pipeline, "condition", "x == x", "w.yaml:16:57");
	has_fact(pipeline, "loop", "items: 2", "w.yaml:16:78");
	has_fact(pipeline, "retries", "2", "w.yaml:18:20");
	has_fact(pipeline, "cpu", "3", "w.yaml:21:33");
	has_fact(pipeline, "caching", "off", NULL);
	pa_buffer_init(&out, 1 << 16);
	assert_int_equal(pa_analysis_print_explanation(&result.analysis, "in/b", &out, &err), 0);
	assert_non_null(strstr(out.data, "img  (w.yaml:20:14)"));
	pa_buffer_clear(&out);
	assert_int_equal(pa_analysis_print_explanation(&result.analysis, "in/firts", &out, &err),
	                 -(int)PA_ERROR_INPUT);
	assert_string_equal(err.message, "no task has the id 'in/firts'; near ones are first");
	pa_buffer_done(&out);
	pa_arena_done(&result.arena);
}

/* What kubectl prints of several workflows. */
static void test_items_of_a_list(void **state)
{
	(void)state;
	const struct pa_text text = text_of(
	    "list.yaml", "apiVersion: v1\nkind: List\nitems:\n"
			 "- {apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: a}, spec: "
			 "{entrypoint: m, templates: [{name: m, container: {image: i}}]}}\n"
			 "- {apiVersion: v1, kind: ConfigMap}\n- 5\n"
			 "- {apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: b}, spec: "
			 "{entrypoint: none, templates: []}}\n");
	struct together result = analyze_with(NULL, &text, 1);

	assert_int_equal(result.analysis.pipeline_count, 1);
	assert_string_equal(result.analysis.pipelines[0].name, "a");
	assert_int_equal(result.analysis.pipelines[0].document, 0);
	assert_int_equal(result.analysis.failure_count, 1);
	assert_non_null(strstr(result.analysis.failures[0].message, "list.yaml:7:"));
	pa_arena_done(&result.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_template_of_another_file),
	    cmocka_unit_test(test_templates_chosen_by_parameters),
	    cmocka_unit_test(test_nearest_definition_wins),
	    cmocka_unit_test(test_merged_spec),
	    cmocka_unit_test(test_stored_spec),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_arguments_of_several),
	    cmocka_unit_test(test_failures_lose_only_themselves),
	    cmocka_unit_test(test_templates_call_each_other_across_files),
	    cmocka_unit_test(test_targets_and_globals),
	    cmocka_unit_test(test_last_writer_of_a_global),
	    cmocka_unit_test(test_expressions),
	    cmocka_unit_test(test_data_of_odd_places),
	    cmocka_unit_test(test_explains),
	    cmocka_unit_test(test_items_of_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
