/* SPDX-License-Identifier: Apache-2.0 */
/* The engine, driven with scripted outcomes: which instances it gives, in which order, with which texts. */
#include "run_engine_script.h"

static void expect_answers(const char *spec, const struct answer *answers, enum pa_outcome outcome,
                           const char *log)
{
	struct run run;
	open_spec(&run, spec);
	run_all(&run, answers);
	assert_string_equal(run.log.data, log);
	if (pa_engine_outcome(run.engine) != outcome)
		fail_msg("outcome %d: %s", (int)pa_engine_outcome(run.engine), pa_engine_error(run.engine));
	assert_true((outcome == PA_OUTCOME_SUCCEEDED) == (pa_engine_error(run.engine)[0] == '\0'));
	close_run(&run);
}

static void expect(const char *spec, const char *log)
{
	expect_answers(spec, NULL, PA_OUTCOME_SUCCEEDED, log);
}

/* The workflow breaks on a text, and the message says so. */
static void expect_broken(const char *spec, const char *message)
{
	struct run run;
	open_spec(&run, spec);
	run_all(&run, NULL);
	assert_int_equal(pa_engine_outcome(run.engine), PA_OUTCOME_ERROR);
	if (!strstr(pa_engine_error(run.engine), message))
		fail_msg("'%s' is not in '%s'", message, pa_engine_error(run.engine));
	close_run(&run);
}

#define DAG        "  entrypoint: main\n  templates:\n  - name: main\n    dag:\n      tasks:\n"
#define ARG(value) "arguments: {parameters: [{name: x, value: " value "}]}"

static void test_single_leaf(void **state)
{
	(void)state;
	expect("  entrypoint: plain\n  templates:\n", "plain\n");
	expect("  entrypoint: echo\n  arguments: {parameters: [{name: x, value: 5}]}\n  templates:\n",
	       "echo 5\n");
}

static void test_diamond(void **state)
{
	(void)state;
	expect(DAG "      - {name: a, template: echo, " ARG(
		   "'{{workflow.name}}'") "}\n"
	                                  "      - {name: c, template: echo, dependencies: [a], " ARG(
					      "'{{tasks.a.outputs.parameters.o}}2'") "}\n"
	                                                                             "      - {name: b, "
	                                                                             "template: plain, "
	                                                                             "dependencies: [a]}\n"
	                                                                             "      - {name: d, "
	                                                                             "template: echo, "
	                                                                             "dependencies: [b, "
	                                                                             "c], " ARG(
											 "'{{workflow.labels."
											 "team}}'") "}\n",
	       "a wf\nc v2\nb\nd blue\n");
}

static void test_together(void **state)
{
	(void)state;
	struct run run;
	open_spec(&run, DAG "      - {name: a, template: plain}\n      - {name: b, template: plain}\n"
	                    "      - {name: c, template: plain, dependencies: [a, b]}\n");
	const struct pa_instance *a = pa_engine_ready(run.engine);
	const struct pa_instance *b = pa_engine_ready(run.engine);
	assert_string_equal(a->task_id, "a");
	assert_string_equal(b->task_id, "b");
	assert_null(pa_engine_ready(run.engine));
	struct pa_engine_task_state task;
	pa_engine_task_state(run.engine, "a", &task);
	assert_int_equal(task.running, 1);
	assert_int_equal(finish(&run, b, NULL), 0);
	assert_null(pa_engine_ready(run.engine));
	pa_engine_task_state(run.engine, "b", &task);
	assert_int_equal(task.outcome, PA_OUTCOME_SUCCEEDED);
	pa_engine_task_state(run.engine, "c", &task);
	assert_int_equal(task.outcome, PA_OUTCOME_PENDING);
	assert_int_equal(finish(&run, a, NULL), 0);
	assert_true(finish(&run, a, NULL) < 0); /* twice */
	const struct pa_instance *c = pa_engine_ready(run.engine);
	assert_string_equal(c->task_id, "c");
	assert_false(pa_engine_is_done(run.engine));
	assert_int_equal(finish(&run, c, NULL), 0);
	assert_true(pa_engine_is_done(run.engine));
	close_run(&run);
}

static void test_failure_stops_what_depends_on_it(void **state)
{
	(void)state;
	const struct answer answers[] = {{"a", PA_OUTCOME_FAILED, NULL}, {0}};
	expect_answers(
	    DAG "      - {name: a, template: plain}\n      - {name: b, template: plain, dependencies: [a]}\n"
		"      - {name: c, template: plain, dependencies: [b]}\n",
	    answers, PA_OUTCOME_FAILED, "a\n");
	/* b fails early; of the other branch only what had started runs. */
	const struct answer early[] = {{"b", PA_OUTCOME_FAILED, NULL}, {0}};
	expect_answers(DAG "      - {name: b, template: plain}\n      - {name: c, template: plain}\n"
	                   "      - {name: d, template: plain, dependencies: [c]}\n",
	               early, PA_OUTCOME_FAILED, "b\nc\n");
	expect_answers("  entrypoint: main\n  templates:\n  - name: main\n    dag:\n      failFast: false\n  "
	               "    tasks:\n"
	               "      - {name: b, template: plain}\n      - {name: c, template: plain}\n"
	               "      - {name: d, template: plain, dependencies: [c]}\n",
	               early, PA_OUTCOME_FAILED, "b\nc\nd\n");
}

static void test_depends(void **state)
{
	(void)state;
	const struct answer failed[] = {{"a", PA_OUTCOME_FAILED, NULL}, {0}};
	const char *spec =
	    DAG "      - {name: a, template: plain}\n"
		"      - {name: good, template: plain, depends: a.Succeeded}\n"
		"      - {name: bad, template: plain, depends: a.Failed}\n"
		"      - {name: end, template: plain, depends: 'good.Succeeded || bad.Succeeded'}\n";
	expect_answers(spec, failed, PA_OUTCOME_SUCCEEDED, "a\nbad\nend\n");
	expect(spec, "a\ngood\nend\n");
	const struct answer loop[] = {{"a(1:2)", PA_OUTCOME_FAILED, NULL}, {0}};
	expect_answers(DAG "      - {name: a, template: plain, withItems: [1, 2]}\n"
	                   "      - {name: any, template: plain, depends: a.AnySucceeded}\n"
	                   "      - {name: all, template: plain, depends: a.AllFailed}\n",
	               loop, PA_OUTCOME_FAILED, "a(0:1)\na(1:2)\nany\n");
}

static void test_continue_on(void **state)
{
	(void)state;
	const struct answer failed[] = {{"a", PA_OUTCOME_FAILED, NULL}, {0}};
	expect_answers(
	    DAG "      - {name: a, template: plain, continueOn: {failed: true}}\n"
		"      - {name: b, template: echo, dependencies: [a], " ARG("'{{tasks.a.status}}'") "}\n",
	    failed, PA_OUTCOME_SUCCEEDED, "a\nb Failed\n");
	expect_answers("  entrypoint: main\n  templates:\n  - name: main\n    steps:\n"
	               "    - - {name: a, template: plain, continueOn: {failed: true}}\n"
	               "    - - {name: b, template: plain}\n",
	               failed, PA_OUTCOME_SUCCEEDED, "a\nb\n");
}

static void test_when(void **state)
{
	(void)state;
	const struct answer answers[] = {{"flip", PA_OUTCOME_SUCCEEDED, "heads"}, {0}};
	expect_answers(DAG "      - {name: flip, template: echo}\n"
	                   "      - {name: h, template: plain, dependencies: [flip], when: "
	                   "'{{tasks.flip.outputs.parameters.o}} == heads'}\n"
	                   "      - {name: t, template: plain, dependencies: [flip], when: "
	                   "'{{tasks.flip.outputs.parameters.o}} == tails'}\n"
	                   "      - {name: e, template: plain, dependencies: [h, t]}\n",
	               answers, PA_OUTCOME_SUCCEEDED, "flip none\nh\ne\n");
}

static void test_items(void **state)
{
	(void)state;
	expect(DAG "      - {name: a, template: echo, withItems: [b, 3, true], " ARG("'<{{item}}>'") "}\n",
	       "a(0:b) <b>\na(1:3) <3>\na(2:true) <true>\n");
	expect(DAG "      - {name: a, template: echo, withItems: [{k: v/1, n: 2}, {k: w, n: [1, 2]}], " ARG(
		   "'{{item.k}} {{item.n}}'") "}\n",
	       "a(0:k_v_1_n_2) v/1 2\na(1:k_w_n_1_2) w [1,2]\n");
	expect(DAG "      - {name: a, template: echo, withItems: ['{{workflow.name}}', 'q\"q'], " ARG(
		   "'{{item}}'") "}\n",
	       "a(0:wf) wf\na(1:qq) q\"q\n");
}

static void test_when_of_items(void **state)
{
	(void)state;
	expect(DAG "      - {name: a, template: echo, withItems: [1, 2, 3], when: '{{item}} != 2', " ARG(
		   "'{{item}}'") "}\n"
	                         "      - {name: b, template: plain, dependencies: [a]}\n",
	       "a(0:1) 1\na(2:3) 3\nb\n");
}

static void test_param_list(void **state)
{
	(void)state;
	const char *spec = DAG "      - {name: list, template: echo}\n"
			       "      - {name: a, template: echo, dependencies: [list], withParam: "
			       "'{{tasks.list.outputs.parameters.o}}', " ARG(
				   "'{{item}}'") "}\n"
						 "      - {name: b, template: plain, dependencies: [a]}\n";
	const struct answer numbers[] = {
	    {"list", PA_OUTCOME_SUCCEEDED, "[1, 0.1, \"x\", [1,2], {\"a\": \"b, ]\"}]"}, {0}};
	expect_answers(spec, numbers, PA_OUTCOME_SUCCEEDED,
	               "list none\na(0:1) 1\na(1:0.1) 0.1\na(2:x) x\na(3:1_2) [1,2]\n"
	               "a(4:a_b__) {\"a\":\"b, ]\"}\nb\n");
	const struct answer empty[] = {{"list", PA_OUTCOME_SUCCEEDED, " [ ] "}, {0}};
	expect_answers(spec, empty, PA_OUTCOME_SUCCEEDED, "list none\nb\n");
	expect_broken(spec, "not a JSON list");
}

static void test_sequence(void **state)
{
	(void)state;
	expect(DAG "      - {name: a, template: echo, withSequence: {count: 2}, " ARG(
		   "'{{item}}'") "}\n"
	                         "      - {name: b, template: echo, withSequence: {start: 3, end: 1, format: "
	                         "'n%02d'}, " ARG(
				     "'{{item}}'") "}\n"
	                                           "      - {name: c, template: echo, withSequence: {start: "
	                                           "'8', count: '{{=1 + 1}}', format: '0x%x'}, " ARG(
						       "'{{item}}'") "}\n",
	       "a(0:0) 0\na(1:1) 1\nb(0:n03) n03\nb(1:n02) n02\nb(2:n01) n01\nc(0:0x8) 0x8\nc(1:0x9) 0x9\n");
	expect_broken(DAG "      - {name: a, template: plain, withSequence: {count: 99999}}\n",
	              "the limit is 10000");
	expect_broken(DAG "      - {name: a, template: plain, withSequence: {count: x}}\n",
	              "no whole number");
	expect_broken(DAG "      - {name: a, template: plain, withSequence: {count: 1, format: '%s'}}\n",
	              "not understood");
}

static void test_loop_outputs(void **state)
{
	(void)state;
	const struct answer answers[] = {
	    {"a(0:x)", PA_OUTCOME_SUCCEEDED, "1"}, {"a(1:y)", PA_OUTCOME_SUCCEEDED, "[2]"}, {0}};
	expect_answers(
	    DAG
	    "      - {name: a, template: echo, withItems: [x, y]}\n"
	    "      - {name: b, template: echo, dependencies: [a], " ARG(
		"'{{tasks.a.outputs.parameters.o}}'") "}\n"
						      "      - {name: c, template: echo, "
						      "dependencies: "
						      "[a], " ARG("'{{tasks.a.outputs.result}}"
	                                                          "'") "}\n"
								       "      - "
								       "{name: d, "
								       "template: "
								       "echo, "
								       "dependencies: "
								       "[a], " ARG("'{{tasks."
	                                                                           "a.outputs."
	                                                                           "parameters"
	                                                                           "}}'") "}\n"
											  "   "
											  "   "
											  "- "
											  "{na"
											  "me:"
											  " e,"
											  " te"
											  "mpl"
											  "ate"
											  ": "
											  "ech"
											  "o, "
											  "dep"
											  "end"
											  "enc"
											  "ies"
											  ": "
											  "[a]"
											  ", "
											  "wit"
											  "hPa"
											  "ram"
											  ": "
											  "'{{"
											  "tas"
											  "ks."
											  "a."
											  "out"
											  "put"
											  "s."
											  "res"
											  "ult"
											  "}}'"
											  ","
											  " " ARG("'{{"
	                                                                                          "item}}"
	                                                                                          "'") "}"
												       "\n",
	    answers, PA_OUTCOME_SUCCEEDED,
	    "a(0:x) none\na(1:y) none\nb [\"1\",\"[2]\"]\nc [1,[2]]\nd "
	    "[{\"o\":\"1\"},{\"o\":\"[2]\"}]\n"
	    "e(0:1) 1\ne(1:2) [2]\n");
}

static void test_steps(void **state)
{
	(void)state;
	const char *spec =
	    "  entrypoint: main\n  templates:\n  - name: main\n    steps:\n"
	    "    - - {name: a, template: echo}\n"
	    "      - {name: b, template: plain}\n"
	    "    - - {name: c, template: echo, " ARG(
		"'{{steps.a.outputs.parameters.o}}'") "}\n"
						      "    - - {name: d, template: plain, when: 'false'}\n";
	expect(spec, "a none\nb\nc v\n");
	const struct answer failed[] = {{"a", PA_OUTCOME_FAILED, NULL}, {0}};
	expect_answers(spec, failed, PA_OUTCOME_FAILED, "a none\nb\n");
}

static void test_nested_outputs(void **state)
{
	(void)state;
	expect(DAG "      - {name: n, template: inner, " ARG(
		   "7") "}\n"
	                "      - {name: z, template: echo, dependencies: [n], " ARG(
			    "'{{tasks.n.outputs.parameters.up}}/"
			    "{{tasks.n.outputs.parameters.pick}}'") "}\n"
	                                                            "  - name: inner\n    inputs: "
	                                                            "{parameters: [{name: x}]}\n"
	                                                            "    dag: {tasks: [{name: m, template: "
	                                                            "echo, " ARG("'<{{inputs.parameters.x}}>"
	                                                                         "'") "}]}\n"
	                                                                              "    outputs: "
	                                                                              "{parameters: [{name: "
	                                                                              "up, valueFrom: "
	                                                                              "{parameter: "
	                                                                              "'{{tasks.m.outputs."
	                                                                              "parameters.o}}'}},\n"
	                                                                              "      {name: pick, "
	                                                                              "valueFrom: "
	                                                                              "{expression: "
	                                                                              "\"tasks['m'].outputs."
	                                                                              "parameters.o == 'v' ? "
	                                                                              "'yes' : 'no'\"}}]}\n",
	       "n/m <7>\nz v/yes\n");
}

static void test_artifacts(void **state)
{
	(void)state;
	struct run run;
	open_spec(
	    &run, DAG
	    "      - {name: a, template: make}\n"
	    "      - {name: b, template: use, dependencies: [a], arguments: {artifacts: [{name: in, from: "
	    "'{{tasks.a.outputs.artifacts.out}}'}, {name: raw, raw: {data: 'hi {{workflow.name}}'}}]}}\n"
	    "  - name: make\n    container: {image: alpine, command: [x]}\n"
	    "    outputs: {artifacts: [{name: out, path: /out}]}\n"
	    "  - name: use\n    container: {image: alpine, command: [cat, '{{inputs.artifacts.in.path}}']}\n"
	    "    inputs: {artifacts: [{name: in, path: /in}, {name: raw, path: /raw}, "
	    "{name: no, path: /no, optional: true}, {name: s3, path: /s, s3: {bucket: b, key: "
	    "'k/{{pod.name}}'}}]}\n");
	finish(&run, pa_engine_ready(run.engine), NULL);
	const struct pa_instance *use = pa_engine_ready(run.engine);
	assert_string_equal(use->command[1], "/in");
	assert_int_equal(use->input_artifact_count, 4);
	assert_string_equal(use->input_artifacts[0].stored, "stored:a");
	assert_string_equal(use->input_artifacts[1].raw, "hi wf");
	assert_true(use->input_artifacts[2].optional && !use->input_artifacts[2].stored);
	assert_string_equal(use->input_artifacts[3].uri, "s3://b/k/wf-use-1");
	close_run(&run);
}

static void test_retries(void **state)
{
	(void)state;
	const char *retried =
	    "  - name: again\n    retryStrategy: {limit: 2, backoff: {duration: '10', factor: 2}}\n"
	    "    container: {image: alpine, command: [x], args: ['{{retries}}']}\n";
	char spec[4096];
	snprintf(spec, sizeof(spec), "%s%s",
	         DAG "      - {name: a, template: again}\n      - {name: b, template: plain, "
	             "dependencies: [a]}\n",
	         retried);
	const struct answer once[] = {{"a(0)", PA_OUTCOME_FAILED, NULL}, {0}};
	expect_answers(spec, once, PA_OUTCOME_SUCCEEDED, "a(0) 0\na(1) 1\nb\n");
	const struct answer always[] = {{"a", PA_OUTCOME_FAILED, NULL}, {0}};
	expect_answers(spec, always, PA_OUTCOME_FAILED, "a(0) 0\na(1) 1\na(2) 2\n");
	const struct answer error[] = {{"a", PA_OUTCOME_ERROR, NULL}, {0}};
	expect_answers(spec, error, PA_OUTCOME_ERROR, "a(0) 0\n"); /* OnFailure */
	struct run run;
	open_spec(&run, spec);
	finish(&run, pa_engine_ready(run.engine), always);
	const struct pa_instance *second = pa_engine_ready(run.engine);
	assert_int_equal(second->delay_ms, 10000);
	assert_int_equal(second->attempt, 1);
	finish(&run, second, always);
	assert_int_equal(pa_engine_ready(run.engine)->delay_ms, 20000);
	close_run(&run);
}

static void test_retry_of_a_dag(void **state)
{
	(void)state;
	const struct answer answers[] = {{"n/a(0)", PA_OUTCOME_FAILED, NULL}, {0}};
	expect_answers(
	    DAG
	    "      - {name: n, template: inner}\n"
	    "  - name: inner\n    retryStrategy: {limit: 1, retryPolicy: Always}\n"
	    "    dag: {tasks: [{name: a, template: plain}, {name: b, template: plain, dependencies: [a]}]}\n",
	    answers, PA_OUTCOME_SUCCEEDED, "n/a(0)\nn/a(1)\nn/b(1)\n");
}

static void test_retry_expression(void **state)
{
	(void)state;
	const struct answer failed[] = {{"a", PA_OUTCOME_FAILED, NULL}, {0}};
	expect_answers(
	    DAG
	    "      - {name: a, template: again}\n"
	    "  - name: again\n    retryStrategy: {limit: 5, expression: 'asInt(lastRetry.exitCode) > 3'}\n"
	    "    container: {image: alpine, command: [x]}\n",
	    failed, PA_OUTCOME_FAILED, "a(0)\n");
}

static void test_recursion(void **state)
{
	(void)state;
	const char *spec = DAG "      - {name: flip, template: echo}\n"
			       "      - {name: more, template: main, dependencies: [flip], when: "
			       "'{{tasks.flip.outputs.parameters.o}} == tails'}\n"
			       "      - {name: done, template: plain, dependencies: [more]}\n";
	const struct answer answers[] = {
	    {"flip(r2)", PA_OUTCOME_SUCCEEDED, "heads"}, {"flip", PA_OUTCOME_SUCCEEDED, "tails"}, {0}};
	expect_answers(spec, answers, PA_OUTCOME_SUCCEEDED,
	               "flip none\nflip(r1) none\nflip(r2) none\ndone(r2)\ndone(r1)\ndone\n");
	const struct answer endless[] = {{"flip", PA_OUTCOME_SUCCEEDED, "tails"}, {0}};
	struct run run;
	open_spec(&run, spec);
	struct pa_engine_task_state task;
	finish(&run, pa_engine_ready(run.engine), endless);
	pa_engine_task_state(run.engine, "flip", &task);
	assert_true(task.outcome == PA_OUTCOME_PENDING); /* the next round has one, too */
	run_all(&run, endless);
	assert_int_equal(pa_engine_outcome(run.engine), PA_OUTCOME_ERROR);
	assert_non_null(strstr(pa_engine_error(run.engine), "more than 100 deep"));
	close_run(&run);
}

static void test_exit_handler(void **state)
{
	(void)state;
	const char *spec = "  onExit: bye\n" DAG "      - {name: a, template: plain}\n"
			   "  - name: bye\n    container: {image: alpine, command: [x], args: "
			   "['{{workflow.status}} {{workflow.failures}}']}\n";
	expect(spec, "a\nonExit Succeeded []\n");
	const struct answer failed[] = {{"a", PA_OUTCOME_FAILED, NULL}, {0}};
	expect_answers(
	    spec, failed, PA_OUTCOME_FAILED,
	    "a\nonExit Failed [{\"displayName\":\"a\",\"message\":\"exit code 3\",\"templateName\":\"plain\","
	    "\"phase\":\"Failed\",\"podName\":\"wf-plain-0\"}]\n");
	const struct answer late[] = {{"onExit", PA_OUTCOME_FAILED, NULL}, {0}};
	expect_answers(spec, late, PA_OUTCOME_FAILED, "a\nonExit Succeeded []\n");
}

static void test_hooks(void **state)
{
	(void)state;
	expect(DAG
	       "      - {name: a, template: plain, onExit: plain, hooks: {running: {template: plain, "
	       "expression: "
	       "\"tasks['a'].status == 'Running'\"}, never: {template: plain, expression: \"tasks.a.status "
	       "== 'Failed'\"}}}\n"
	       "      - {name: b, template: plain, dependencies: [a], hooks: {exit: {template: echo, " ARG(
		   "'{{tasks.b.status}}'") "}}}\n",
	       "a\na/hooks.running\na/onExit\nb\nb/hooks.exit Succeeded\n");
}

/* Argo gives what runs at an end the workflow's arguments, unless it says its own. */
static void test_arguments_of_exits(void **state)
{
	(void)state;
	expect("  onExit: echo\n  arguments: {parameters: [{name: x, value: 7}]}\n" DAG
	       "      - {name: a, template: plain, onExit: echo}\n"
	       "      - {name: b, template: plain, dependencies: [a], hooks: {exit: {template: echo}}}\n",
	       "a\na/onExit 7\nb\nb/hooks.exit 7\nonExit 7\n");
}

static void test_globals(void **state)
{
	(void)state;
	expect(DAG "      - {name: a, template: make}\n"
	           "      - {name: b, template: echo, dependencies: [a], " ARG(
		       "'{{workflow.outputs.parameters.g}}'") "}\n"
	                                                      "  - name: make\n    container: {image: "
	                                                      "alpine, command: [x]}\n"
	                                                      "    outputs: {parameters: [{name: o, "
	                                                      "valueFrom: {path: /o}, globalName: g}]}\n",
	       "a\nb v\n");
}

static void test_target(void **state)
{
	(void)state;
	expect("  entrypoint: main\n  templates:\n  - name: main\n    dag:\n      target: b\n      tasks:\n"
	       "      - {name: a, template: plain}\n      - {name: b, template: plain, dependencies: [a]}\n"
	       "      - {name: c, template: plain, dependencies: [b]}\n",
	       "a\nb\n");
}

static void test_parallelism(void **state)
{
	(void)state;
	struct run run;
	open_spec(
	    &run,
	    "  entrypoint: main\n  templates:\n  - name: main\n    parallelism: 2\n    dag:\n      tasks:\n"
	    "      - {name: a, template: inner, withItems: [1, 2, 3]}\n"
	    "  - name: inner\n    dag: {tasks: [{name: x, template: plain}]}\n");
	const struct pa_instance *first = pa_engine_ready(run.engine);
	assert_non_null(pa_engine_ready(run.engine));
	assert_null(pa_engine_ready(run.engine));
	finish(&run, first, NULL);
	struct pa_engine_task_state task;
	pa_engine_task_state(run.engine, "a/x", &task);
	assert_int_equal(task.instances, 2);
	assert_int_equal(task.outcome, PA_OUTCOME_RUNNING);
	const struct pa_instance *third = pa_engine_ready(run.engine);
	assert_string_equal(third->suffix, "(2:3)");
	close_run(&run);
}

static void test_unknown_references(void **state)
{
	(void)state;
	expect_broken(
	    DAG
	    "      - {name: a, template: plain, when: 'false'}\n"
	    "      - {name: b, template: must, dependencies: [a], arguments: {parameters: [{name: y, value: "
	    "'{{tasks.a.outputs.parameters.o}}'}]}}\n"
	    "  - name: must\n    inputs: {parameters: [{name: y}]}\n    container: {image: alpine, command: "
	    "[x]}\n",
	    "a is Skipped");
	/* … unless the input has a default. */
	expect(DAG "      - {name: a, template: plain, when: 'false'}\n"
	           "      - {name: b, template: echo, dependencies: [a], " ARG(
		       "'{{tasks.a.outputs.parameters.o}}'") "}\n",
	       "b none\n");
	expect_broken(DAG "      - {name: a, template: echo, " ARG("'{{workflow.parameters.no}}'") "}\n",
	              "'{{workflow.parameters.no}}' has no value here");
	expect(DAG "      - {name: a, template: echo, " ARG("'{{ .Files }} {{$}}'") "}\n",
	       "a {{ .Files }} {{$}}\n");
	expect_broken(
	    DAG "      - {name: a, template: must}\n"
		"  - name: must\n    container: {image: alpine, command: ['{{inputs.parameters.q}}']}\n",
	    "{{inputs.parameters.q}}");
	expect_broken(DAG "      - {name: a, template: w}\n  - {name: w, suspend: {}}\n", "cannot run here");
}

static void test_order_from_references(void **state)
{
	(void)state;
	expect(DAG "      - {name: b, template: echo, " ARG(
		   "'{{tasks.a.outputs.parameters.o}}'") "}\n"
	                                                 "      - {name: a, template: plain2}\n"
	                                                 "  - name: plain2\n    outputs: {parameters: "
	                                                 "[{name: o, valueFrom: {path: /o}}]}\n"
	                                                 "    container: {image: alpine, command: [x]}\n",
	       "a\nb v\n");
}

static void test_stop(void **state)
{
	(void)state;
	for (int exits = 0; exits < 2; exits++) {
		struct run run;
		open_spec(&run, "  onExit: plain\n" DAG "      - {name: a, template: plain}\n"
		                "      - {name: b, template: plain}\n"
		                "      - {name: c, template: plain, depends: 'a || a.Failed'}\n");
		const struct pa_instance *a = pa_engine_ready(run.engine);
		pa_engine_stop(run.engine, exits == 1);
		assert_null(pa_engine_ready(run.engine));
		assert_false(pa_engine_is_done(run.engine));
		finish(&run, a, NULL);
		const struct pa_instance *handler = pa_engine_ready(run.engine);
		assert_true((handler != NULL) == (exits == 1));
		if (handler) {
			assert_string_equal(handler->task_id, "onExit");
			finish(&run, handler, NULL);
		}
		assert_true(pa_engine_is_done(run.engine));
		assert_int_equal(pa_engine_outcome(run.engine), PA_OUTCOME_FAILED);
		struct pa_engine_task_state task;
		pa_engine_task_state(run.engine, "c", &task);
		assert_int_equal(task.instances, 0);
		close_run(&run);
	}
}

static void test_arguments(void **state)
{
	(void)state;
	struct run run;
	const char *spec = "  entrypoint: echo\n  arguments: {parameters: [{name: x}]}\n  templates:\n";
	assert_int_equal(open_with(&run, workflow_text(&run, spec), NULL, 0), -PA_ERROR_INPUT);
	assert_non_null(strstr(run.error.message, "parameter x has no value"));
	close_run(&run);
	const struct pa_name_value unknown[] = {{"x", "1"}, {"y", "2"}};
	assert_int_equal(open_with(&run, workflow_text(&run, spec), unknown, 2), -PA_ERROR_INPUT);
	assert_non_null(strstr(run.error.message, "no parameter y"));
	close_run(&run);
	assert_int_equal(open_with(&run, workflow_text(&run, spec), unknown, 1), 0);
	assert_string_equal(pa_engine_ready(run.engine)->args[0], "1");
	close_run(&run);
}

static void test_missing_outputs(void **state)
{
	(void)state;
	struct run run;
	open_spec(
	    &run,
	    "  entrypoint: make\n  templates:\n  - name: make\n    container: {image: alpine, command: [x]}\n"
	    "    outputs: {parameters: [{name: o, valueFrom: {path: /o}}]}\n");
	struct pa_instance_result result = {.outcome = PA_OUTCOME_SUCCEEDED};
	struct pa_error err = PA_ERROR_INIT;
	pa_engine_finish(run.engine, pa_engine_ready(run.engine), &result, &err);
	assert_int_equal(pa_engine_outcome(run.engine), PA_OUTCOME_ERROR);
	assert_non_null(strstr(pa_engine_error(run.engine), "no output parameter o"));
	close_run(&run);
}

static void test_long_chain_of_skips(void **state)
{
	(void)state;
	struct run run;
	size_t room = 4u << 20, length = 0;
	char *text = malloc(room);
	assert_non_null(text);
	length += (size_t)snprintf(
	    text, room,
	    "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: w}\nspec:\n" DAG
	    "      - {name: t0, template: plain}\n");
	for (int i = 1; i < 20000; i++)
		length +=
		    (size_t)snprintf(text + length, room - length,
		                     "      - {name: t%d, template: plain, dependencies: [t%d]}\n", i, i - 1);
	snprintf(text + length, room - length, "%s", LEAVES);
	assert_int_equal(open_with(&run, text, NULL, 0), 0);
	const struct answer failed[] = {{"t0", PA_OUTCOME_FAILED, NULL}, {0}};
	run_all(&run, failed);
	assert_string_equal(run.log.data, "t0\n");
	struct pa_engine_task_state task;
	pa_engine_task_state(run.engine, "t19999", &task);
	assert_int_equal(task.outcome, PA_OUTCOME_OMITTED);
	close_run(&run);
	free(text);
}

/* A wide loop whose items all look at another's list. */
static void test_wide_loops(void **state)
{
	(void)state;
	struct run run;
	open_spec(&run, DAG
	          "      - {name: a, template: echo, withSequence: {count: 2000}}\n"
	          "      - {name: b, template: echo, dependencies: [a], withSequence: {count: 1000}, " ARG(
		      "'{{item}} {{tasks.a.outputs.parameters.o}}'") ", when: '{{item}} > 499'}\n");
	size_t count = 0;
	for (const struct pa_instance *instance; (instance = pa_engine_ready(run.engine)); count++) {
		if (count == 2000)
			assert_memory_equal(instance->args[0], "500 [\"v\",\"v\",", 13);
		finish(&run, instance, NULL);
	}
	assert_true(pa_engine_is_done(run.engine));
	assert_int_equal(count, 2500);
	struct pa_engine_task_state task;
	pa_engine_task_state(run.engine, "b", &task);
	assert_int_equal(task.succeeded, 500);
	close_run(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_single_leaf),
	    cmocka_unit_test(test_diamond),
	    cmocka_unit_test(test_together),
	    cmocka_unit_test(test_failure_stops_what_depends_on_it),
	    cmocka_unit_test(test_depends),
	    cmocka_unit_test(test_continue_on),
	    cmocka_unit_test(test_when),
	    cmocka_unit_test(test_items),
	    cmocka_unit_test(test_when_of_items),
	    cmocka_unit_test(test_param_list),
	    cmocka_unit_test(test_sequence),
	    cmocka_unit_test(test_loop_outputs),
	    cmocka_unit_test(test_steps),
	    cmocka_unit_test(test_nested_outputs),
	    cmocka_unit_test(test_artifacts),
	    cmocka_unit_test(test_retries),
	    cmocka_unit_test(test_retry_of_a_dag),
	    cmocka_unit_test(test_retry_expression),
	    cmocka_unit_test(test_recursion),
	    cmocka_unit_test(test_exit_handler),
	    cmocka_unit_test(test_hooks),
	    cmocka_unit_test(test_arguments_of_exits),
	    cmocka_unit_test(test_globals),
	    cmocka_unit_test(test_target),
	    cmocka_unit_test(test_parallelism),
	    cmocka_unit_test(test_unknown_references),
	    cmocka_unit_test(test_order_from_references),
	    cmocka_unit_test(test_stop),
	    cmocka_unit_test(test_arguments),
	    cmocka_unit_test(test_missing_outputs),
	    cmocka_unit_test(test_long_chain_of_skips),
	    cmocka_unit_test(test_wide_loops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
