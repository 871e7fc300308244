/* SPDX-License-Identifier: Apache-2.0 */
/* Workflows that KFP v2's backend made: put together again from the JSON in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <glob.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "pipeline/analyze.h"

static struct pa_arena arena;

static int open_arena(void **state)
{
	(void)state;
	pa_arena_init(&arena);
	return 0;
}

static int close_arena(void **state)
{
	(void)state;
	pa_arena_done(&arena);
	return 0;
}

static const struct pa_pipeline *model_of(const char *text)
{
	struct pa_analysis *analysis = pa_arena_alloc(&arena, sizeof(*analysis));
	struct pa_error err = PA_ERROR_INIT;

	if (pa_analyze_text(&arena, "f.yaml", text, strlen(text), NULL, analysis, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(analysis->pipeline_count, 1);
	return &analysis->pipelines[0];
}

static const struct pa_task *task_of(const struct pa_pipeline *pipeline, const char *id)
{
	const struct pa_task *task = pa_pipeline_find_task(pipeline, id);

	if (task == NULL)
		fail_msg("no task %s", id);
	return task;
}

static bool is_unresolved(const struct pa_pipeline *pipeline, const char *what)
{
	for (size_t i = 0; i < pipeline->unresolved_count; i++) {
		if (strstr(pipeline->unresolved[i].what, what) != NULL)
			return true;
	}
	return false;
}

#define HEAD                                                                                                 \
	"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: p-}\nspec:\n"            \
	"  entrypoint: entrypoint\n  arguments:\n    parameters:\n"
#define WORK                                                                                                 \
	"    - {name: components-1a, value: '{\"executorLabel\":\"exec-b\",\"inputDefinitions\":{"           \
	"\"parameters\":{\"message\":{\"parameterType\":\"STRING\"}}}}'}\n"                                  \
	"    - {name: implementations-1a, value: '{\"image\":\"python:3.9\",\"command\":[\"run\"]}'}\n"
#define KUBERNETES                                                                                           \
	"    - {name: kubernetes-comp-a, value: "                                                            \
	"'{\"pvcMount\":[{\"mountPath\":\"/a\",\"constant\":\"one\"}]}'}\n"                                  \
	"    - {name: kubernetes-comp-b, value: "                                                            \
	"'{\"pvcMount\":[{\"mountPath\":\"/b\",\"constant\":\"two\"}]}'}\n"
/* Two tasks of one text, the second after the first. */
#define ROOT                                                                                                 \
	"    - {name: components-root, value: '{\"dag\":{\"tasks\":{"                                        \
	"\"a\":{\"componentRef\":{\"name\":\"comp-a\"},\"inputs\":{\"parameters\":{\"message\":{"            \
	"\"componentInputParameter\":\"words\"}}},\"taskInfo\":{\"name\":\"a\"}},"                           \
	"\"b\":{\"componentRef\":{\"name\":\"comp-b\"},\"dependentTasks\":[\"a\"],\"taskInfo\":{"            \
	"\"name\":\"b\"}}}},\"inputDefinitions\":{\"parameters\":{\"words\":{\"parameterType\":\"STRING\","  \
	"\"defaultValue\":\"none\"}}}}'}\n"
#define DRIVER(key)                                                                                          \
	"      - {name: " key "-driver, template: system-container-driver, arguments: {parameters: ["        \
	"{name: component, value: '{{workflow.parameters.components-1a}}'}, "                                \
	"{name: container, value: '{{workflow.parameters.implementations-1a}}'}, "                           \
	"{name: kubernetes-config, value: '{{workflow.parameters.kubernetes-comp-" key "}}'}, "              \
	"{name: task, value: '{\"componentRef\":{\"name\":\"comp-" key "\"}}'}]}}\n"                         \
	"      - {name: " key ", template: system-container-executor, depends: " key "-driver.Succeeded}\n"
#define TEMPLATES                                                                                            \
	"  templates:\n  - name: root\n    dag:\n      tasks:\n" DRIVER("a")                                 \
	    DRIVER("b") "  - name: entrypoint\n    dag:\n      tasks:\n"                                     \
			"      - {name: root-driver, template: system-dag-driver, arguments: {parameters: [" \
			"{name: component, value: '{{workflow.parameters.components-root}}'}, "              \
			"{name: runtime-config, value: '{\"parameterValues\":{\"words\":\"s3://b/k\"}}'}, "  \
			"{name: driver-type, value: ROOT_DAG}]}}\n"                                          \
			"      - {name: root, template: root, depends: root-driver.Succeeded}\n"

static void tasks_and_order_are_those_of_the_components(void **state)
{
	const struct pa_pipeline *pipeline = model_of(HEAD WORK KUBERNETES ROOT TEMPLATES);

	(void)state;
	assert_int_equal(pipeline->format, PA_FORMAT_KFP_V2_RUNTIME);
	assert_string_equal(pipeline->name, "p-");
	assert_int_equal(pipeline->task_count, 2);
	assert_int_equal(pipeline->unresolved_count, 0);
	assert_int_equal(task_of(pipeline, "a")->after_count, 0);
	assert_int_equal(task_of(pipeline, "b")->after_count, 1);
	assert_string_equal(task_of(pipeline, "b")->after[0], "a");
	assert_string_equal(task_of(pipeline, "b")->image, "python:3.9");
	assert_string_equal(task_of(pipeline, "b")->template_name, "comp-b");
}

static void the_runs_arguments_are_values(void **state)
{
	const struct pa_pipeline *pipeline = model_of(HEAD WORK KUBERNETES ROOT TEMPLATES);

	(void)state;
	assert_int_equal(pipeline->parameter_count, 1);
	assert_string_equal(pipeline->parameters[0].default_value, "none");
	assert_string_equal(pipeline->parameters[0].value, "s3://b/k");
	assert_int_equal(task_of(pipeline, "a")->data_count, 1);
	assert_string_equal(task_of(pipeline, "a")->data[0].uri, "s3://b/k");
}

/* Both have one text and one executorLabel, but each its own claim. */
static void tasks_of_one_text_keep_their_own_claims(void **state)
{
	const struct pa_pipeline *pipeline = model_of(HEAD WORK KUBERNETES ROOT TEMPLATES);

	(void)state;
	assert_int_equal(task_of(pipeline, "a")->mount_count, 1);
	assert_string_equal(task_of(pipeline, "a")->mounts[0].claim, "one");
	assert_string_equal(task_of(pipeline, "b")->mounts[0].claim, "two");
}

static void what_is_missing_is_unresolved(void **state)
{
	const struct pa_pipeline *pipeline = model_of(HEAD KUBERNETES ROOT TEMPLATES);

	(void)state;
	assert_int_equal(pipeline->task_count, 2);
	assert_int_equal(task_of(pipeline, "a")->kind, PA_TASK_UNRESOLVED);
	assert_true(is_unresolved(pipeline, "components-1a is not in the workflow's arguments"));
	assert_string_equal(task_of(pipeline, "b")->after[0], "a");
}

static void what_is_broken_is_unresolved(void **state)
{
	const struct pa_pipeline *pipeline = model_of(
	    HEAD "    - {name: components-1a, value: '{\"executorLabel\":'}\n" KUBERNETES ROOT TEMPLATES);

	(void)state;
	assert_int_equal(task_of(pipeline, "a")->kind, PA_TASK_UNRESOLVED);
	assert_true(is_unresolved(pipeline, "components-1a: f.yaml:"));
	pipeline = model_of(HEAD "    - {name: components-1a, value: '[1]'}\n" KUBERNETES ROOT TEMPLATES);
	assert_true(is_unresolved(pipeline, "components-1a is no JSON object"));
}

/* Without its drivers a workflow still has the texts, under their own names. */
static void components_are_found_by_name_too(void **state)
{
	const struct pa_pipeline *pipeline =
	    model_of(HEAD ROOT "    - {name: components-comp-a, value: '{\"executorLabel\":\"x\"}'}\n"
	                       "    - {name: implementations-comp-a, value: '{\"image\":\"i\"}'}\n");

	(void)state;
	assert_string_equal(task_of(pipeline, "a")->image, "i");
	assert_int_equal(task_of(pipeline, "b")->kind, PA_TASK_UNRESOLVED);
}

static void annotations_held_the_texts_before(void **state)
{
	const struct pa_pipeline *pipeline = model_of(
	    "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata:\n  name: old\n  annotations:\n"
	    "    pipelines.kubeflow.org/components-comp-a: '{\"executorLabel\":\"x\"}'\n"
	    "    pipelines.kubeflow.org/implementations-comp-a: '{\"image\":\"i\"}'\n"
	    "    pipelines.kubeflow.org/components-root: '{\"dag\":{\"tasks\":{\"a\":{"
	    "\"componentRef\":{\"name\":\"comp-a\"}}}}}'\n"
	    "spec:\n  entrypoint: entrypoint\n  templates:\n  - name: entrypoint\n    dag:\n      tasks:\n"
	    "      - {name: root-driver, template: system-dag-driver, arguments: {parameters: ["
	    "{name: component, value: "
	    "'{{workflow.annotations.pipelines.kubeflow.org/components-root}}'}]}}\n");

	(void)state;
	assert_string_equal(pipeline->name, "old");
	assert_string_equal(task_of(pipeline, "a")->image, "i");
}

static void other_workflows_may_have_such_parameters(void **state)
{
	const struct pa_pipeline *pipeline = model_of(
	    HEAD "    - {name: components-list, value: all}\n    - {name: kubernetes-version, value: '{}'}\n"
		 "  templates: [{name: entrypoint, container: {image: i}}]\n");

	(void)state;
	assert_int_equal(pipeline->format, PA_FORMAT_ARGO);
}

static void refuses(const char *text, const char *message)
{
	struct pa_analysis analysis;
	struct pa_error err = PA_ERROR_INIT;
	int rc = pa_analyze_text(&arena, "f.yaml", text, strlen(text), NULL, &analysis, &err);

	if (rc != -(int)PA_ERROR_INPUT || strstr(err.message, message) == NULL)
		fail_msg("expected \"%s\", got %d \"%s\"", message, rc, err.message);
}

static void what_cannot_be_put_together_is_said(void **state)
{
	(void)state;
	refuses(HEAD WORK "  templates: []\n", "root component is missing");
	refuses(HEAD "    - {name: components-root, value: '{'}\n", "root component is missing or broken");
	refuses(HEAD ROOT "  templates: {a: b}\n", "spec.templates must be a list");
	refuses(HEAD ROOT "  templates: [{name: a, dag: {tasks: {}}}]\n", "dag.tasks must be a list");
}

static void check_file(const char *file, size_t *tasks, size_t *edges)
{
	struct pa_buffer text;
	struct pa_error err = PA_ERROR_INIT;

	if (pa_buffer_read_file(file, 32 << 20, &text, &err) < 0)
		fail_msg("%s", err.message);
	const struct pa_pipeline *pipeline = model_of(text.data);
	assert_int_equal(pipeline->format, PA_FORMAT_KFP_V2_RUNTIME);
	if (pipeline->unresolved_count > 0)
		fail_msg("%s: %s", file, pipeline->unresolved[0].what);
	*tasks += pipeline->task_count;
	for (size_t i = 0; i < pipeline->task_count; i++)
		*edges += pipeline->tasks[i].after_count;
	pa_buffer_done(&text);
}

/* The numbers are those of a script that reads the same files in another language. */
static void real_workflows_are_put_together(void **state)
{
	const char *corpus = getenv("PA_CORPUS");
	size_t tasks = 0, edges = 0;
	char pattern[4096];
	glob_t files;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s/kfp-v2-runtime/*/*", corpus == NULL ? "" : corpus);
	if (glob(pattern, 0, NULL, &files) != 0)
		skip();
	for (size_t i = 0; i < files.gl_pathc; i++)
		check_file(files.gl_pathv[i], &tasks, &edges);
	assert_int_equal(files.gl_pathc, 112);
	assert_int_equal(tasks, 305);
	assert_int_equal(edges, 175);
	globfree(&files);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)
	const struct CMUnitTest tests[] = {
	    TEST(tasks_and_order_are_those_of_the_components),
	    TEST(the_runs_arguments_are_values),
	    TEST(tasks_of_one_text_keep_their_own_claims),
	    TEST(what_is_missing_is_unresolved),
	    TEST(what_is_broken_is_unresolved),
	    TEST(components_are_found_by_name_too),
	    TEST(annotations_held_the_texts_before),
	    TEST(other_workflows_may_have_such_parameters),
	    TEST(what_cannot_be_put_together_is_said),
	    TEST(real_workflows_are_put_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
