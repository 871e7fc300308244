/* SPDX-License-Identifier: Apache-2.0 */
/* Names of nodes and pods to tasks, in names as Argo and KFP make them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "pipeline/analyze.h"
#include "pipeline/name_table_internal.h"
#include "pipeline/node_name_internal.h"

/* A DAG in a loop, steps, attempts, hooks, an exit handler of steps. */
static const char workflow_text[] =
    "apiVersion: argoproj.io/v1alpha1\n"
    "kind: Workflow\n"
    "metadata: {generateName: wf-}\n"
    "spec:\n"
    "  entrypoint: main\n"
    "  onExit: bye\n"
    "  hooks: {running: {template: tell, expression: 'true'}}\n"
    "  templates:\n"
    "  - name: main\n"
    "    dag:\n"
    "      tasks:\n"
    "      - {name: loop, template: sub, withItems: [x, y.z, 3]}\n"
    "      - {name: each, template: work, withParam: '[\"a\"]', dependencies: [loop]}\n"
    "      - {name: count, template: numbered, withSequence: {count: 3}}\n"
    "      - {name: try, template: again, onExit: tell, hooks: {running: {template: tell, expression: "
    "'true'}}}\n"
    "      - {name: steps, template: inner}\n"
    "      - {name: set, template: pair}\n"
    "      - {name: step 5.1, template: numbered}\n"
    "  - name: sub\n"
    "    dag:\n"
    "      tasks:\n"
    "      - {name: one, template: work}\n"
    "      - {name: two, template: again}\n"
    "  - name: inner\n"
    "    retryStrategy: {limit: 2}\n"
    "    steps:\n"
    "    - - {name: first, template: work}\n"
    "    - - {name: second, template: work}\n"
    "      - {name: third, template: lone}\n"
    "  - {name: bye, steps: [[{name: clean, template: tell}]]}\n"
    "  - {name: work, container: {image: i}}\n"
    "  - {name: lone, container: {image: i}}\n"
    "  - {name: numbered, container: {image: i}}\n"
    "  - {name: tell, container: {image: i}}\n"
    "  - {name: again, retryStrategy: {limit: 5}, container: {image: i}}\n"
    "  - {name: pair, containerSet: {containers: [{name: left, image: i}, {name: right, image: i}]}}\n";

static struct pa_arena arena;
static struct pa_pipeline argo;

static int analyze_workflow(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_analysis analysis;

	(void)state;
	pa_arena_init(&arena);
	if (pa_analyze_text(&arena, "f.yaml", workflow_text, strlen(workflow_text), NULL, &analysis, &err) <
	    0)
		fail_msg("%s", err.message);
	argo = analysis.pipelines[0];
	return 0;
}

static int release_workflow(void **state)
{
	(void)state;
	pa_arena_done(&arena);
	return 0;
}

static void check(const struct pa_pipeline *pipeline, const char *name, const char *template_name,
                  const char *expected)
{
	const struct pa_task *task = pa_pipeline_task_of_node(pipeline, name, template_name);
	const char *id = task == NULL ? NULL : task->id;

	if ((id == NULL) != (expected == NULL) || (id != NULL && strcmp(id, expected) != 0))
		fail_msg("\"%s\" is %s, expected %s", name, id == NULL ? "nothing" : id,
		         expected == NULL ? "nothing" : expected);
}

static void names_say_the_way(void **state)
{
	(void)state;
	check(&argo, "wf-abc.each(0:a)", "work", "each");
	check(&argo, "wf-abc.loop(0:x).one", NULL, "loop/one");
	check(&argo, "wf-abc.loop(0:x).two(1)", "again", "loop/two");
	check(&argo, "wf-abc.loop(0:x).two", "again", "loop/two");
	check(&argo, "wf-abc.steps(0)[0].first", "work", "steps/first");
	check(&argo, "wf-abc.steps(1)[1].third", "lone", "steps/third");
	check(&argo, "wf-abc.try(4)", "again", "try");
	check(&argo, "wf-abc.set", "pair", "set");
	check(&argo, "wf-abc.set.left", "pair", "set");
	check(&argo, "my.wf-abc.try(4)", "again", "try");
	check(&argo, "wf-abc.step 5.1", "numbered", "step 5.1"); /* in an example of Argo's */
}

static void groups_and_strangers_are_no_tasks(void **state)
{
	static const char *const names[] = {"",
	                                    ".",
	                                    "wf-abc",
	                                    "wf-abc.",
	                                    "wf-abc[0]",
	                                    "wf-abc.loop",
	                                    "wf-abc.steps(0)[0]",
	                                    "wf-abc.nothing",
	                                    "wf-abc.",
	                                    "(",
	                                    "wf-abc.try(x)",
	                                    "wf-abc.try(0",
	                                    "[",
	                                    "wf-abc.try)",
	                                    "wf-abc.loop(0:x)"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check(&argo, names[i], NULL, NULL);
	check(&argo, "wf-abc.try(0)", "work", NULL); /* another template */
}

static void items_may_look_like_names(void **state)
{
	(void)state;
	check(&argo, "wf.each(0:a.b/c[1])", NULL, "each");
	check(&argo, "wf.each(12:f(x) and (y))(3)", NULL, "each");
	check(&argo, "wf.each(0:))", NULL, "each");
	check(&argo, "wf.each(0::-))", NULL, "each");
	check(&argo, "wf.each(0:x).try(1:y)", "work", "each");
	check(&argo, "wf.loop(0:a).try(b).one", NULL, "loop/one");
	check(&argo, "wf.loop(0:{\"k\":\"v.(w)\"}).two(0)", NULL, "loop/two");
	check(&argo, "wf.loop(0:k:v,path:/data/x.csv).one", NULL, "loop/one");
}

static void hooks_and_exit_handlers_have_ids(void **state)
{
	(void)state;
	check(&argo, "wf-abc.onExit[0].clean", "tell", "onExit/clean");
	check(&argo, "wf-abc.hooks.running", "tell", "hooks.running");
	check(&argo, "wf-abc.try.hooks.running", "tell", "try/hooks.running");
	check(&argo, "wf-abc.try.onExit", "tell", "try/onExit");
}

static void display_names_are_ends_of_ids(void **state)
{
	(void)state;
	check(&argo, "third", NULL, "steps/third");
	check(&argo, "two(0)", NULL, "loop/two");
	check(&argo, "each(0:a.b)", NULL, "each");
	check(&argo, "clean", "tell", "onExit/clean");
	check(&argo, "try.hooks.running", "tell", "try/hooks.running");
	check(&argo, "hooks.running", "tell", NULL); /* the workflow's, or the task's */
	check(&argo, "loop", NULL, NULL);
}

static const char *pod(const char *prefix, const char *node)
{
	return pa_arena_printf(&arena, "%s-%u", prefix,
	                       node_name_hash(NODE_NAME_HASH_START, node, strlen(node)));
}

static void hashes_are_those_of_argo(void **state)
{
	(void)state;
	assert_int_equal(node_name_hash(NODE_NAME_HASH_START, "hello", 5), 1335831723);
	/* Of a run in Kubeflow's own tests. */
	assert_int_equal(node_name_hash(NODE_NAME_HASH_START, "coinflip-recursive-q7dqb[1].heads", 33),
	                 4011569486);
}

static void pods_are_found_by_their_hash(void **state)
{
	(void)state;
	check(&argo, pod("wf-abc", "wf-abc.loop(1:y.z).one"), NULL, "loop/one");
	check(&argo, pod("wf-abc-work", "wf-abc.loop(2:3).one"), "work", "loop/one");
	check(&argo, pod("wf-abc-again", "wf-abc.loop(0:x).two(3)"), NULL, "loop/two");
	check(&argo, pod("wf-abc-again", "wf-abc.try(0)"), NULL, "try");
	check(&argo, pod("wf-abc-work", "wf-abc.steps(1)[1].second"), NULL, "steps/second");
	check(&argo, pod("wf-abc", "wf-abc.steps(1)[1].second"), NULL, "steps/second");
	check(&argo, pod("wf-abc-numbered", "wf-abc.count(2:2)"), NULL, "count");
	check(&argo, pod("wf-abc-tell", "wf-abc.onExit[0].clean"), NULL, "onExit/clean");
	check(&argo, pod("wf-abc-tell", "wf-abc.try.onExit"), NULL, "try/onExit");
	check(&argo, pod("wf-abc-tell", "wf-abc.hooks.running"), NULL, "hooks.running");
	check(&argo, pod("wf-abc-again", "wf-abc.steps(1)[1].second"), NULL, NULL); /* another's template */
}

/* A loop that only the run knows: which template it is may still tell. */
static void a_template_of_one_task_is_enough(void **state)
{
	(void)state;
	check(&argo, "wf-abc-lone-123456", NULL, "steps/third");
	check(&argo, "wf-abc-work-123456", NULL, NULL);
	check(&argo, "other-lone-123456", NULL, NULL);
	check(&argo, "wf-abc-lone-99999999999", NULL, NULL);
}

static void long_prefixes_are_cut(void **state)
{
	char workflow[231], node[400], prefix[300];

	(void)state;
	memset(workflow, 'x', sizeof(workflow) - 1);
	memcpy(workflow, "wf-", 3);
	workflow[sizeof(workflow) - 1] = '\0';
	snprintf(node, sizeof(node), "%s.count(0:0)", workflow);
	snprintf(prefix, sizeof(prefix), "%s-numbered", workflow);
	check(&argo, pod(prefix, node), NULL, "count"); /* 239 bytes before the hash */
	snprintf(node, sizeof(node), "%sabcd.count(0:0)", workflow);
	snprintf(prefix, sizeof(prefix), "%sabcd-numbered", workflow);
	prefix[242] = '\0';
	check(&argo, pod(prefix, node), NULL, "count");
}

static void an_entrypoint_may_be_a_task(void **state)
{
	static const char text[] =
	    "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n"
	    "metadata: {generateName: hello-world-}\n"
	    "spec: {entrypoint: say, templates: [{name: say, container: {image: i}}]}\n";
	struct pa_error err = PA_ERROR_INIT;
	struct pa_analysis analysis;

	(void)state;
	assert_int_equal(pa_analyze_text(&arena, "f.yaml", text, strlen(text), NULL, &analysis, &err), 0);
	check(&analysis.pipelines[0], "hello-world-7sm94", "say", "say");
	check(&analysis.pipelines[0], "hello-world-12345", "say", "say");
	check(&analysis.pipelines[0], "hello-world-7sm94(0)", NULL, "say");
	check(&analysis.pipelines[0], pod("hello-world-7sm94", "hello-world-7sm94(0)"), NULL, "say");
	check(&analysis.pipelines[0], "another", NULL, NULL);
}

/* KFP v2: a pipeline of four tasks, in the model only. */
static struct pa_pipeline kfp_pipeline(void)
{
	static struct pa_loop loop = {.items = 2};
	static const char *after[] = {"group/train"};
	static struct pa_task tasks[] = {
	    {.id = "prepare", .template_name = "comp-prepare", .image = ""},
	    {.id = "for-loop-1/train",
	     .template_name = "comp-train",
	     .image = "",
	     .loop = &loop,
	     .retries = 2},
	    {.id = "group/train", .template_name = "comp-train-2", .image = ""},
	    {.id = "notify",
	     .template_name = "comp-notify",
	     .image = "",
	     .role = PA_ROLE_EXIT,
	     .after = after,
	     .after_count = 1},
	    {.id = "createpvc", .template_name = "comp-createpvc", .image = ""},
	};
	struct pa_pipeline pipeline = {.name = "my-pipeline", .format = PA_FORMAT_KFP_V2_IR};
	struct pa_name_table *index = pa_arena_alloc(&arena, sizeof(*index));

	pa_name_table_init(index, &arena);
	for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++)
		pa_name_table_put(index, tasks[i].id, i);
	pipeline.tasks = tasks;
	pipeline.task_count = sizeof(tasks) / sizeof(tasks[0]);
	pipeline.task_index = index;
	return pipeline;
}

static void kfp_v2_puts_names_of_its_own_between(void **state)
{
	struct pa_pipeline pipeline = kfp_pipeline();

	(void)state;
	check(&pipeline, "my-pipeline-x7k.root.prepare.executor", "system-container-impl", "prepare");
	check(&pipeline, "my-pipeline-x7k.root.prepare", "system-container-executor", "prepare");
	check(&pipeline, "my-pipeline-x7k.root.prepare-driver", "system-container-driver", NULL);
	check(&pipeline, "my-pipeline-x7k.root.createpvc", "system-container-driver", "createpvc");
	check(&pipeline, "my-pipeline-x7k.root-driver", "system-dag-driver", NULL);
	check(&pipeline,
	      "my-pipeline-x7k.root.for-loop-1.iteration-iterations(1:1).iteration-item.train.executor(0)",
	      "retry-system-container-impl", "for-loop-1/train");
	check(&pipeline, "my-pipeline-x7k.root.group.train.executor", NULL, "group/train");
	check(&pipeline, "my-pipeline-x7k.root.group.onExit.notify.executor", NULL, "notify");
	check(&pipeline, "my-pipeline-x7k.root.group.onExit.notify-driver", NULL, NULL);
	check(&pipeline, "prepare", NULL, "prepare");
	check(&pipeline, "train", NULL, NULL); /* in the loop, or in the group */
}

static void kfp_v2_pods_are_found_by_their_hash(void **state)
{
	struct pa_pipeline pipeline = kfp_pipeline();
	const char *train = "p-x.root.for-loop-1.iteration-iterations(1:1).iteration-item.train.executor(2)";

	(void)state;
	check(&pipeline, pod("p-x-system-container-impl", "p-x.root.prepare.executor"), NULL, "prepare");
	check(&pipeline, pod("p-x", "p-x.root.group.train.executor"), NULL, "group/train");
	check(&pipeline, pod("p-x-retry-system-container-impl", train), NULL, "for-loop-1/train");
	check(&pipeline, pod("p-x-system-container-driver", "p-x.root.createpvc"), NULL, "createpvc");
	check(&pipeline, pod("p-x-system-container-impl", "p-x.root.group.onExit.notify.executor"), NULL,
	      "notify");
	check(&pipeline, "p-x-system-container-impl-123", NULL, NULL);
}

/* What has more readings than can be tried is not known, and soon. */
static void hostile_names_end(void **state)
{
	static char name[100001];
	size_t length = 0;

	(void)state;
	length += (size_t)sprintf(name, "wf.each(0:");
	while (length < sizeof(name) - 8)
		length += (size_t)sprintf(name + length, ").(0:");
	check(&argo, name, NULL, NULL);
	memset(name, '(', sizeof(name) - 1);
	check(&argo, name, NULL, NULL);
	memset(name, '.', sizeof(name) - 1);
	check(&argo, name, NULL, NULL);
	for (length = 0; length < sizeof(name) - 8;)
		length += (size_t)sprintf(name + length, ".hooks");
	check(&argo, name, NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_say_the_way),
	    cmocka_unit_test(groups_and_strangers_are_no_tasks),
	    cmocka_unit_test(items_may_look_like_names),
	    cmocka_unit_test(hooks_and_exit_handlers_have_ids),
	    cmocka_unit_test(display_names_are_ends_of_ids),
	    cmocka_unit_test(hashes_are_those_of_argo),
	    cmocka_unit_test(pods_are_found_by_their_hash),
	    cmocka_unit_test(a_template_of_one_task_is_enough),
	    cmocka_unit_test(long_prefixes_are_cut),
	    cmocka_unit_test(an_entrypoint_may_be_a_task),
	    cmocka_unit_test(kfp_v2_puts_names_of_its_own_between),
	    cmocka_unit_test(kfp_v2_pods_are_found_by_their_hash),
	    cmocka_unit_test(hostile_names_end),
	};

	return cmocka_run_group_tests(tests, analyze_workflow, release_workflow);
}
