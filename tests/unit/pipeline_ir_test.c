/* SPDX-License-Identifier: Apache-2.0 */
/* Small pipelines of KFP v2's intermediate representation to models: each construct that the SDK writes. */
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

/* `comp-leaf` runs a container, takes x and d, gives o and a. */
#define LEAF                                                                                                 \
	"  comp-leaf:\n"                                                                                     \
	"    executorLabel: exec-leaf\n"                                                                     \
	"    inputDefinitions:\n"                                                                            \
	"      parameters: {x: {parameterType: STRING, isOptional: true}}\n"                                 \
	"      artifacts: {d: {artifactType: {schemaTitle: system.Dataset}, isOptional: true}}\n"            \
	"    outputDefinitions:\n"                                                                           \
	"      parameters: {o: {parameterType: STRING}}\n"                                                   \
	"      artifacts: {a: {artifactType: {schemaTitle: system.Model}}}\n"
#define IMPORTER(uri)                                                                                        \
	"    exec-import: {importer: {artifactUri: {" uri "}, typeSchema: {schemaTitle: system.Dataset}}}\n"
#define DEPLOYMENT                                                                                           \
	"deploymentSpec:\n  executors:\n"                                                                    \
	"    exec-leaf: {container: {image: 'i', command: [c], args: [\"{{$.inputs.parameters['x']}}\"]}}\n"
#define INFO          "pipelineInfo: {name: p}\nsdkVersion: kfp-2.13.0\n"
#define IR(more)      "components:\n" LEAF more DEPLOYMENT INFO
#define LEAF_REF      "componentRef: {name: comp-leaf}"
#define OUTPUT_OF(t)  "taskOutputParameter: {producerTask: " t ", outputParameterKey: o}"
#define MODEL_OF(t)   "taskOutputArtifact: {producerTask: " t ", outputArtifactKey: a}"
#define CONSTANT(c)   "runtimeValue: {constant: " c "}"
#define PLATFORM(key) "---\nplatforms: {kubernetes: {deploymentSpec: {executors: {exec-leaf: {" key "}}}}}\n"

struct result {
	struct pa_arena arena;
	struct pa_error err;
	struct pa_analysis analysis;
	int rc;
};

static struct result analyze(const char *text, const struct pa_analyze_options *options)
{
	struct result result = {.arena = PA_ARENA_INIT};

	result.rc = pa_analyze_text(&result.arena, "f.yaml", text, strlen(text), options, &result.analysis,
	                            &result.err);
	return result;
}

static struct result model_of(const char *text)
{
	struct result result = analyze(text, NULL);

	if (result.rc != 0)
		fail_msg("%s", result.err.message);
	return result;
}

static void refuses(const char *text, const char *message)
{
	struct result result = analyze(text, NULL);

	if (result.rc != -(int)PA_ERROR_INPUT || strstr(result.err.message, message) == NULL)
		fail_msg("expected \"%s\", got %d \"%s\"", message, result.rc, result.err.message);
	pa_arena_done(&result.arena);
}

/* "id<after,after id<after": the whole order in one line; an exit task's id ends in '!'. */
static void order_is(const char *text, const char *expected)
{
	struct result result = model_of(text);
	const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];
	struct pa_buffer line;

	pa_buffer_init(&line, 1 << 16);
	for (size_t i = 0; i < pipeline->task_count; i++) {
		const struct pa_task *task = &pipeline->tasks[i];
		pa_buffer_printf(&line, "%s%s%s", i > 0 ? " " : "", task->id,
		                 task->role == PA_ROLE_EXIT ? "!" : "");
		for (size_t j = 0; j < task->after_count; j++)
			pa_buffer_printf(&line, "%c%s", j == 0 ? '<' : ',', task->after[j]);
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
	return NULL;
}

/* "task.output", "parameter:x", "constant:x", "uri:x", "item", "item:task.output"; several: joined by ' '. */
static void comes_from(const struct pa_task *task, const char *name, const char *expected)
{
	static const char *const words[] = {[PA_ORIGIN_PARAMETER] = "parameter:",
	                                    [PA_ORIGIN_URI] = "uri:",
	                                    [PA_ORIGIN_CONSTANT] = "constant:"};
	const struct pa_input *input = input_of(task, name);
	struct pa_buffer line;

	if (input == NULL)
		fail_msg("%s has no input %s", task->id, name);
	pa_buffer_init(&line, 1 << 12);
	for (size_t i = 0; i < input->origin_count; i++) {
		const struct pa_origin *origin = &input->origins[i];
		pa_buffer_puts(&line, i > 0 ? " " : "");
		if (origin->kind == PA_ORIGIN_ITEM)
			pa_buffer_puts(&line, origin->task == NULL ? "item" : "item:");
		if (origin->task != NULL)
			pa_buffer_printf(&line, "%s.%s", origin->task, origin->output);
		else if (origin->text != NULL)
			pa_buffer_printf(&line, "%s%s", words[origin->kind], origin->text);
	}
	assert_string_equal(line.data, expected);
	pa_buffer_done(&line);
}

static const char *hyperparameter(const struct pa_task *task, const char *name)
{
	for (size_t i = 0; i < task->hyperparameter_count; i++) {
		if (strcmp(task->hyperparameters[i].name, name) == 0)
			return task->hyperparameters[i].value;
	}
	return NULL;
}

static const struct pa_data *data_of(const struct result *result, const char *id)
{
	const struct pa_pipeline *pipeline = &result->analysis.pipelines[0];

	for (size_t i = 0; i < pipeline->data_count; i++) {
		if (strcmp(pipeline->data[i].id, id) == 0)
			return &pipeline->data[i];
	}
	fail_msg("no data set %s", id);
	return NULL;
}

static void test_head_and_settings(void **state)
{
	struct result result = model_of(
	    "pipelineSpec:\n  components:\n    comp-t:\n      executorLabel: e\n"
	    "  deploymentSpec: {executors: {e: {container: {image: i, resources: {cpuLimit: 2.0, "
	    "memoryLimit: 4.5, accelerator: {type: nvidia.com/gpu, count: '2'}}}}}}\n"
	    "  pipelineInfo: {name: train}\n  sdkVersion: kfp-2.0.0\n"
	    "  root:\n    dag:\n      tasks:\n        t:\n          componentRef: {name: comp-t}\n"
	    "          retryPolicy: {maxRetryCount: 3}\n          cachingOptions: {enableCache: true}\n"
	    "          taskInfo: {name: shown}\n"
	    "    inputDefinitions: {parameters: {lr: {type: DOUBLE}, n: {parameterType: NUMBER_INTEGER, "
	    "defaultValue: 5.0}}}\n"
	    "runtimeConfig: {parameters: {lr: {doubleValue: 0.1}}}\n");
	const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];

	(void)state;
	assert_string_equal(pipeline->name, "train");
	assert_string_equal(pipeline->sdk_version, "kfp-2.0.0");
	assert_int_equal(pipeline->format, PA_FORMAT_KFP_V2_IR);
	assert_string_equal(pipeline->parameters[0].value, "0.1");
	assert_string_equal(pipeline->parameters[0].type, "DOUBLE");
	assert_string_equal(pipeline->parameters[1].default_value, "5.0");
	assert_null(pipeline->parameters[1].value);
	const struct pa_task *task = task_of(&result, "t");
	assert_int_equal(task->kind, PA_TASK_CONTAINER);
	assert_string_equal(task->template_name, "comp-t");
	assert_int_equal(task->retries, 3);
	assert_true(task->caching);
	assert_string_equal(task->resources.cpu, "2.0");
	assert_string_equal(task->resources.memory, "4.5G");
	assert_string_equal(task->resources.accelerator, "nvidia.com/gpu");
	assert_string_equal(task->resources.accelerator_count, "2");
	pa_arena_done(&result.arena);
}

static void test_order_through_nested_dags(void **state)
{
	(void)state;
	order_is(IR("  comp-group:\n    dag:\n      tasks:\n"
	            "        one: {" LEAF_REF "}\n"
	            "        two: {" LEAF_REF ", dependentTasks: [one]}\n"
	            "        side: {" LEAF_REF
	            "}\n") "root: {dag: {tasks: {\n"
	                   "  last: {" LEAF_REF ", dependentTasks: [group]},\n"
	                   "  group: {componentRef: {name: comp-group}, dependentTasks: "
	                   "[first]},\n"
	                   "  first: {" LEAF_REF "}}}}\n",
	         "last<group/two,group/side group/one<first group/two<group/one group/side<first first");
	/* Only data says so. */
	order_is(IR("") "root: {dag: {tasks: {\n"
	                "  b: {" LEAF_REF ", inputs: {parameters: {x: {" OUTPUT_OF(
			    "a") "}}}},\n"
	                         "  c: {" LEAF_REF
	                         ", inputs: {artifacts: {d: {" MODEL_OF("b") "}}}},\n"
	                                                                     "  a: {" LEAF_REF "}}}}\n",
	         "b<a c<b a");
}

static void test_exit_handlers(void **state)
{
	static const char group[] = "  comp-exit-handler-1: {dag: {tasks: {w: {" LEAF_REF "}}}}\n"
				    "  comp-notify: {dag: {tasks: {n: {" LEAF_REF "}}}}\n";
	char text[4096];

	(void)state;
	snprintf(text, sizeof(text),
	         "components:\n" LEAF "%s" DEPLOYMENT INFO "root: {dag: {tasks: {\n"
	         "  exit-handler-1: {componentRef: {name: comp-exit-handler-1}},\n"
	         "  say: {componentRef: {name: comp-notify}, dependentTasks: [exit-handler-1],\n"
	         "    triggerPolicy: {strategy: ALL_UPSTREAM_TASKS_COMPLETED}},\n"
	         "  anyway: {" LEAF_REF ", dependentTasks: [other], triggerPolicy: {strategy: "
	         "ALL_UPSTREAM_TASKS_COMPLETED},\n"
	         "    inputs: {parameters: {x: {taskFinalStatus: {producerTask: other}}}}},\n"
	         "  other: {" LEAF_REF "}}}}\n",
	         group);
	order_is(text, "exit-handler-1/w say/n!<exit-handler-1/w anyway<other other");
	struct result result = model_of(text);
	comes_from(task_of(&result, "anyway"), "x", "other.status");
	pa_arena_done(&result.arena);
}

static void test_values_through_nested_dags(void **state)
{
	struct result result = model_of(
	    IR("  comp-outer:\n    inputDefinitions: {parameters: {p: {parameterType: STRING}}, "
	       "artifacts: {m: {}}}\n"
	       "    dag:\n      tasks:\n"
	       "        inner: {componentRef: {name: comp-inner}, inputs: {parameters: {q: "
	       "{componentInputParameter: "
	       "p}}, artifacts: {n: {componentInputArtifact: m}}}}\n"
	       "      outputs:\n"
	       "        parameters: {r: {valueFromParameter: {producerSubtask: inner, "
	       "outputParameterKey: s}}}\n"
	       "        artifacts: {b: {artifactSelectors: [{producerSubtask: inner, "
	       "outputArtifactKey: b}]}}\n"
	       "  comp-inner:\n    inputDefinitions: {parameters: {q: {parameterType: STRING}}, "
	       "artifacts: {n: {}}}\n"
	       "    dag:\n      tasks:\n"
	       "        t: {" LEAF_REF
	       ", inputs: {parameters: {x: {componentInputParameter: q}}, artifacts: {d: "
	       "{componentInputArtifact: n}}}}\n"
	       "        u: {" LEAF_REF ", inputs: {parameters: {x: {runtimeValue: {constant: \"at "
	       "{{$.inputs.parameters['pipelinechannel--q']}}\"}}, pipelinechannel--q: "
	       "{componentInputParameter: "
	       "q}}}}\n"
	       "      outputs:\n"
	       "        parameters: {s: {valueFromOneof: {parameterSelectors: [{producerSubtask: t, "
	       "outputParameterKey: o}, {producerSubtask: u, outputParameterKey: o}]}}}\n"
	       "        artifacts: {b: {artifactSelectors: [{producerSubtask: u, outputArtifactKey: "
	       "a}]}}\n") "root:\n  inputDefinitions: {parameters: {size: {parameterType: STRING, "
			  "defaultValue: big}}}\n"
			  "  dag: {tasks: {\n"
			  "  make: {" LEAF_REF "},\n"
			  "  out: {componentRef: {name: comp-outer}, inputs: {parameters: {p: "
			  "{componentInputParameter: size}}, "
			  "artifacts: {m: {" MODEL_OF(
			      "make") "}}}},\n"
				      "  end: {" LEAF_REF ", inputs: {parameters: {x: {taskOutputParameter: "
				      "{producerTask: out, "
				      "outputParameterKey: r}}}, artifacts: {d: "
				      "{taskOutputArtifact: {producerTask: out, outputArtifactKey: "
				      "b}}}}}}}\n");
	const struct pa_task *task = task_of(&result, "out/inner/t");

	(void)state;
	comes_from(task, "x", "parameter:size");
	comes_from(task, "d", "make.a");
	assert_string_equal(hyperparameter(task, "x"), "big");
	assert_string_equal(task->args[0], "big");
	task = task_of(&result, "out/inner/u");
	comes_from(task, "x", "parameter:size");
	assert_string_equal(task->args[0], "at big");
	assert_int_equal(task->input_count, 1);
	task = task_of(&result, "end");
	comes_from(task, "x", "out/inner/t.o out/inner/u.o");
	comes_from(task, "d", "out/inner/u.a");
	assert_null(hyperparameter(task, "x"));
	assert_string_equal(task->args[0], "{{$.inputs.parameters['x']}}");
	pa_arena_done(&result.arena);
}

static void test_constants(void **state)
{
	struct result result = model_of(
	    IR("") "root: {dag: {tasks: {\n"
		   "  text: {" LEAF_REF ", inputs: {parameters: {x: {" CONSTANT(
		       "hello") "}}}},\n"
				"  truth: {" LEAF_REF ", inputs: {parameters: {x: {" CONSTANT(
				    "true") "}}}},\n"
					    "  list: {" LEAF_REF ", inputs: {parameters: {x: {" CONSTANT(
						"[1, b]") "}}}},\n"
							  "  map: {" LEAF_REF
							  ", inputs: {parameters: {x: {" CONSTANT(
							      "{k: 0.5}") "}}}},\n"
									  "  old: {" LEAF_REF
									  ", inputs: {parameters: {x: "
									  "{runtimeValue: {constantValue: "
									  "{intValue: "
									  "'7'}}}}}},\n"
									  "  none: {" LEAF_REF "}}}}\n");

	(void)state;
	assert_string_equal(hyperparameter(task_of(&result, "text"), "x"), "hello");
	assert_string_equal(hyperparameter(task_of(&result, "truth"), "x"), "true");
	assert_string_equal(hyperparameter(task_of(&result, "list"), "x"), "[1,\"b\"]");
	assert_string_equal(hyperparameter(task_of(&result, "map"), "x"), "{\"k\":0.5}");
	comes_from(task_of(&result, "old"), "x", "constant:7");
	assert_int_equal(task_of(&result, "none")->input_count, 0);
	pa_arena_done(&result.arena);
}

static void test_loops(void **state)
{
	struct result result = model_of(
	    IR("  comp-for:\n    inputDefinitions: {parameters: {item: {parameterType: STRUCT}, list: {}}}\n"
	       "    dag:\n      tasks:\n"
	       "        t: {" LEAF_REF ", inputs: {parameters: {x: {componentInputParameter: item, "
	       "parameterExpressionSelector: 'parseJson(string_value)[\"a\"]'}}}}\n"
	       "  comp-each:\n    inputDefinitions: {artifacts: {one: {}}}\n"
	       "    dag: {tasks: {t: {" LEAF_REF ", inputs: {artifacts: {d: {componentInputArtifact: "
	       "one}}}}}}\n") "root:\n  inputDefinitions: {parameters: {list: "
			      "{parameterType: LIST, defaultValue: [1, 2, "
			      "3]}}}\n"
			      "  dag: {tasks: {\n"
			      "  raw: {componentRef: {name: comp-for}, "
			      "parameterIterator: {itemInput: item, items: "
			      "{raw: '[{\"a\": 1}, "
			      "{\"a\": 2}]'}}, iteratorPolicy: "
			      "{parallelismLimit: 1}},\n"
			      "  given: {componentRef: {name: comp-for}, "
			      "inputs: {parameters: {list: "
			      "{componentInputParameter: list}}}, "
			      "parameterIterator: {itemInput: item, items: "
			      "{inputParameter: list}}},\n"
			      "  made: {componentRef: {name: comp-for}, "
			      "inputs: {parameters: {list: {" OUTPUT_OF(
				  "make") "}}}, "
					  "parameterIterator: {itemInput: "
					  "item, items: {inputParameter: "
					  "list}}},\n"
					  "  each: {componentRef: {name: "
					  "comp-each}, inputs: {artifacts: "
					  "{all: {" MODEL_OF("make") "}}}, "
								     "artifactIterator: "
								     "{itemInput: one, "
								     "items: {inputArtifact: "
								     "all}}},\n"
								     "  make: {" LEAF_REF "}}}\n");

	(void)state;
	assert_int_equal(task_of(&result, "raw/t")->loop->items, 2);
	comes_from(task_of(&result, "raw/t"), "x", "item");
	assert_int_equal(task_of(&result, "given/t")->loop->items, 3);
	assert_null(task_of(&result, "given/t")->loop->from_task);
	const struct pa_task *task = task_of(&result, "made/t");
	assert_int_equal(task->loop->items, -1);
	assert_string_equal(task->loop->from_task, "make");
	assert_string_equal(task->loop->from_output, "o");
	comes_from(task, "x", "item:make.o");
	assert_string_equal(task->after[0], "make");
	comes_from(task_of(&result, "each/t"), "d", "item:make.a");
	assert_null(task_of(&result, "make")->loop);
	pa_arena_done(&result.arena);
}

static void test_conditions(void **state)
{
	struct result result = model_of(
	    IR("  comp-if:\n    inputDefinitions: {parameters: {flip: {parameterType: STRING}, mode: "
	       "{parameterType: "
	       "STRING}}}\n"
	       "    dag: {tasks: {t: {componentRef: {name: comp-old}, triggerPolicy: {condition: "
	       "\"inputs.parameters['k'].string_value == 'a'\"}, inputs: {parameters: {k: "
	       "{componentInputParameter: "
	       "flip}}}}}}\n"
	       "  comp-old:\n    dag: {tasks: {u: {" LEAF_REF
	       "}}}\n") "root:\n  inputDefinitions: {parameters: {mode: {parameterType: STRING, "
			"defaultValue: \"it's\"}}}\n"
			"  dag: {tasks: {\n"
			"  if: {componentRef: {name: comp-if}, inputs: {parameters: {flip: {" OUTPUT_OF(
			    "coin") "}, mode: "
				    "{componentInputParameter: mode}}}, triggerPolicy: {condition: "
				    "\"inputs.parameter_values['flip'] == 'heads' && "
				    "inputs.parameter_values['mode'] == 'x'\"}},\n"
				    "  coin: {" LEAF_REF "}}}\n");
	const struct pa_task *task = task_of(&result, "if/t/u");

	(void)state;
	assert_string_equal(task->condition,
	                    "(inputs.parameter_values['flip'] == 'heads' && 'it\\'s' == 'x') && "
	                    "(inputs.parameters['k'].string_value == 'a')");
	assert_int_equal(task->after_count, 1);
	assert_string_equal(task->after[0], "coin");
	pa_arena_done(&result.arena);
}

static void test_command_structures(void **state)
{
	struct result result = model_of(
	    "components:\n  comp-t:\n    executorLabel: e\n"
	    "    inputDefinitions: {parameters: {a: {isOptional: true}, b: {isOptional: true}, c: "
	    "{isOptional: true, "
	    "defaultValue: dd}}}\n"
	    "deploymentSpec:\n  executors:\n    e:\n      container:\n        image: i\n        args:\n"
	    "        - '{\"IfPresent\": {\"InputName\": \"a\", \"Then\": [\"--a\", "
	    "\"{{$.inputs.parameters[''a'']}}\"], \"Else\": [\"--no-a\"]}}'\n"
	    "        - '{\"IfPresent\": {\"InputName\": \"b\", \"Then\": [\"--b\"], \"Else\": \"--no-b\"}}'\n"
	    "        - '{\"Concat\": [\"x=\", \"{{$.inputs.parameters[''c'']}}\", {\"IfPresent\": "
	    "{\"InputName\": "
	    "\"b\", \"Then\": \"!\"}}, {\"Concat\": [\";\", \"y\"]}]}'\n"
	    "        - '{\"plain\": \"json\"}'\n"
	    "        - '{{$}}'\n" INFO
	    "root: {dag: {tasks: {t: {componentRef: {name: comp-t}, inputs: {parameters: {a: {" CONSTANT(
		"1") "}}}}}}}\n");
	static const char *const expected[] = {"--a",  "1", "--no-b", "x=dd;y", "{\"plain\": \"json\"}",
	                                       "{{$}}"};
	const struct pa_task *task = task_of(&result, "t");

	(void)state;
	assert_int_equal(task->arg_count, sizeof(expected) / sizeof(expected[0]));
	for (size_t i = 0; i < task->arg_count; i++)
		assert_string_equal(task->args[i], expected[i]);
	pa_arena_done(&result.arena);
}

static void test_importers(void **state)
{
	static const struct {
		const char *uri;
		const char *expected;
	} cases[] = {{"constant: 'gs://b/c.csv'", "uri:gs://b/c.csv"},
	             {"constantValue: {stringValue: 'gs://b/old'}", "uri:gs://b/old"},
	             {"runtimeParameter: uri", "uri:s3://data/in"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[4096];
		snprintf(text, sizeof(text),
		         "components:\n" LEAF "  comp-import:\n    executorLabel: exec-import\n"
		         "    inputDefinitions: {parameters: {uri: {parameterType: STRING}}}\n"
		         "    outputDefinitions: {artifacts: {artifact: {}}}\n" DEPLOYMENT IMPORTER("%s") INFO
		         "root:\n  inputDefinitions: {parameters: {place: {defaultValue: 's3://data/in'}}}\n"
		         "  dag: {tasks: {\n"
		         "  get: {componentRef: {name: comp-import}, inputs: {parameters: {uri: "
		         "{componentInputParameter: place}}}},\n"
		         "  use: {" LEAF_REF
		         ", inputs: {artifacts: {d: {taskOutputArtifact: {producerTask: get, "
		         "outputArtifactKey: artifact}}}}}}}\n",
		         cases[i].uri);
		struct result result = model_of(text);
		assert_int_equal(task_of(&result, "get")->kind, PA_TASK_IMPORTER);
		comes_from(task_of(&result, "use"), "d", "get.artifact");
		const struct pa_data *data = data_of(&result, cases[i].expected);
		assert_int_equal(data->read_count, 2);
		assert_int_equal(data->written_count, 0);
		assert_int_equal(task_of(&result, "use")->data[0].confidence, PA_CONFIDENCE_DECLARED);
		pa_arena_done(&result.arena);
	}
}

#define CREATE_CLAIM                                                                                         \
	"  comp-createpvc:\n    executorLabel: exec-create\n"                                                \
	"    inputDefinitions: {parameters: {pvc_name: {isOptional: true}, pvc_name_suffix: {isOptional: "   \
	"true}}}\n"                                                                                          \
	"    outputDefinitions: {parameters: {name: {parameterType: STRING}}}\n"
#define CREATOR "    exec-create: {container: {image: argostub/createpvc}}\n"

static void test_claims(void **state)
{
	struct result result = model_of(
	    "components:\n" LEAF CREATE_CLAIM
	    "  comp-in:\n    inputDefinitions: {parameters: {claim: {parameterType: STRING}}}\n"
	    "    dag: {tasks: {t: {" LEAF_REF "}}}\n" DEPLOYMENT CREATOR INFO "root: {dag: {tasks: {\n"
	    "  new: {componentRef: {name: comp-createpvc}, inputs: {parameters: {pvc_name_suffix: {" CONSTANT(
		"-x") "}}}},\n"
		      "  in: {componentRef: {name: comp-in}, inputs: {parameters: {claim: "
		      "{taskOutputParameter: "
		      "{producerTask: new, outputParameterKey: name}}}}}}}}\n" PLATFORM(
			  "pvcMount: [{mountPath: /made, pvcNameParameter: {componentInputParameter: claim}, "
			  "subPath: "
			  "sub}, {mountPath: /there, constant: mine}]"));
	const struct pa_task *task = task_of(&result, "in/t");

	(void)state;
	assert_int_equal(task_of(&result, "new")->kind, PA_TASK_RESOURCE);
	assert_int_equal(task->mount_count, 2);
	assert_string_equal(task->mounts[0].path, "/made");
	assert_string_equal(task->mounts[0].sub_path, "sub");
	assert_null(task->mounts[0].claim);
	assert_string_equal(task->mounts[0].created_by, "new");
	assert_true(data_of(&result, "claim:{{tasks.new}}")->scratch);
	assert_string_equal(task->mounts[1].claim, "mine");
	assert_null(task->mounts[1].created_by);
	assert_false(data_of(&result, "claim:mine")->scratch);
	pa_arena_done(&result.arena);
}

static void test_claims_by_name(void **state)
{
	/* The older form of a mount, and a claim that is created under a name of its own. */
	struct result result = model_of(
	    "components:\n" LEAF CREATE_CLAIM DEPLOYMENT CREATOR INFO
	    "root:\n  inputDefinitions: {parameters: {other: {parameterType: STRING}}}\n"
	    "  dag: {tasks: {\n"
	    "  new: {componentRef: {name: comp-createpvc}, inputs: {parameters: {pvc_name: {" CONSTANT(
		"named") "}}}},\n"
			 "  t: {" LEAF_REF ", dependentTasks: [new]}}}\n" PLATFORM(
			     "pvcMount: [{mountPath: /a, taskOutputParameter: {producerTask: new, "
			     "outputParameterKey: "
			     "name}}, {mountPath: /b, constant: named}, {mountPath: /c, "
			     "componentInputParameter: "
			     "other}]"));
	const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];
	const struct pa_task *task = task_of(&result, "t");

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(task->mounts[i].claim, "named");
		assert_string_equal(task->mounts[i].created_by, "new");
	}
	assert_null(task->mounts[2].claim);
	assert_int_equal(pipeline->unresolved_count, 1);
	assert_non_null(strstr(pipeline->unresolved[0].what, "other"));
	struct pa_name_value given = {"other", "theirs"};
	pa_arena_done(&result.arena);
	struct pa_analyze_options options = {.arguments = &given, .argument_count = 1};
	result =
	    analyze(IR("") "root: {inputDefinitions: {parameters: {other: {}}}, dag: {tasks: {t: {" LEAF_REF
	                   "}}}}\n" PLATFORM("pvcMount: [{mountPath: /c, componentInputParameter: other}]"),
	            &options);
	assert_int_equal(result.rc, 0);
	assert_string_equal(task_of(&result, "t")->mounts[0].claim, "theirs");
	pa_arena_done(&result.arena);
}

static void test_other_mounts(void **state)
{
	struct result result = model_of(
	    IR("") "root: {dag: {tasks: {t: {" LEAF_REF
		   ", inputs: {parameters: {x: {" CONSTANT("'{{$.workspace_path}}/in'") "}}}}}}}\n" PLATFORM(
		       "secretAsVolume: [{mountPath: /s, secretName: key}], "
		       "configMapAsVolume: [{mountPath: /c, configMapName: "
		       "conf}], emptyDirMounts: [{mountPath: /e, volumeName: "
		       "v}], genericEphemeralVolume: [{mountPath: /g, "
		       "volumeName: w}], enabledSharedMemory: {volumeName: m}"));
	static const char *const expected[][2] = {{"/s", "secret"},      {"/c", "config"},
	                                          {"/e", "empty"},       {"/g", "ephemeral"},
	                                          {"/dev/shm", "empty"}, {"/kfp-workspace", "pvc"}};
	const struct pa_task *task = task_of(&result, "t");

	(void)state;
	assert_int_equal(task->mount_count, sizeof(expected) / sizeof(expected[0]));
	for (size_t i = 0; i < task->mount_count; i++) {
		assert_string_equal(task->mounts[i].path, expected[i][0]);
		assert_string_equal(task->mounts[i].kind, expected[i][1]);
		assert_null(task->mounts[i].claim);
	}
	assert_true(data_of(&result, "claim:{{workflow.name}}-kfp-workspace")->scratch);
	pa_arena_done(&result.arena);
}

static void test_platforms_of_several_pipelines(void **state)
{
	static const char one[] = IR("") "root: {dag: {tasks: {t: {" LEAF_REF "}}}}\n";
	char text[8192];

	(void)state;
	snprintf(text, sizeof(text), "%s---\n%s" PLATFORM("pvcMount: [{mountPath: /a, constant: second}]"),
	         one, one);
	struct result result = model_of(text);
	assert_int_equal(result.analysis.pipeline_count, 2);
	assert_int_equal(result.analysis.pipelines[0].tasks[0].mount_count, 0);
	assert_string_equal(result.analysis.pipelines[1].tasks[0].mounts[0].claim, "second");
	assert_int_equal(result.analysis.pipelines[1].document, 1);
	pa_arena_done(&result.arena);
}

static void test_pipeline_version(void **state)
{
	struct result result =
	    model_of("apiVersion: pipelines.kubeflow.org/v2beta1\nkind: PipelineVersion\nspec:\n  "
	             "pipelineSpec: {components: "
	             "{comp-t: {executorLabel: e}}, deploymentSpec: {executors: {e: {container: {image: "
	             "i}}}}, pipelineInfo: "
	             "{name: v}, root: {dag: {tasks: {t: {componentRef: {name: comp-t}}}}}}\n"
	             "  platformSpec: {platforms: {kubernetes: {deploymentSpec: {executors: {e: {pvcMount: "
	             "[{mountPath: /a, "
	             "constant: c}]}}}}}}\n");

	(void)state;
	assert_string_equal(result.analysis.pipelines[0].name, "v");
	assert_string_equal(task_of(&result, "t")->mounts[0].claim, "c");
	pa_arena_done(&result.arena);
}

static void test_data_in_values(void **state)
{
	struct result result = model_of(
	    "components:\n  comp-t:\n    executorLabel: e\n    inputDefinitions: {parameters: {x: {}}}\n"
	    "  comp-g:\n    inputDefinitions: {parameters: {y: {}}}\n"
	    "    dag: {tasks: {t: {componentRef: {name: comp-t}, inputs: {parameters: {x: "
	    "{componentInputParameter: "
	    "y}}}}}}\n"
	    "deploymentSpec: {executors: {e: {container: {image: i, command: [sh, -c, "
	    "\"get('s3://code/f.csv')\"], "
	    "args: [--in=gs://args/f.csv], env: [{name: D, value: 'hdfs://env/d'}]}}}}\n" INFO
	    "root:\n  inputDefinitions: {parameters: {from: {defaultValue: 's3://given/d/'}}}\n"
	    "  dag: {tasks: {g: {componentRef: {name: comp-g}, inputs: {parameters: {y: "
	    "{componentInputParameter: "
	    "from}}}}}}\n");
	static const struct pa_task_data expected[] = {{"s3://given/d/", PA_CONFIDENCE_ARGUMENT},
	                                               {"s3://code/f.csv", PA_CONFIDENCE_EMBEDDED},
	                                               {"gs://args/f.csv", PA_CONFIDENCE_ARGUMENT},
	                                               {"hdfs://env/d", PA_CONFIDENCE_ARGUMENT}};
	const struct pa_task *task = task_of(&result, "g/t");

	(void)state;
	assert_int_equal(task->data_count, sizeof(expected) / sizeof(expected[0]));
	for (size_t i = 0; i < task->data_count; i++) {
		assert_string_equal(task->data[i].uri, expected[i].uri);
		assert_int_equal(task->data[i].confidence, expected[i].confidence);
	}
	pa_arena_done(&result.arena);
}

static void test_data_in_items(void **state)
{
	struct result result =
	    model_of(IR("  comp-for:\n    inputDefinitions: {parameters: {item: {parameterType: STRING}}}\n"
	                "    dag: {tasks: {t: {" LEAF_REF
	                ", inputs: {parameters: {x: {componentInputParameter: item}}}}, u: {" LEAF_REF
	                "}}}\n") "root: {dag: {tasks: {f: {componentRef: {name: comp-for}, "
	                         "parameterIterator: {itemInput: item, items: "
	                         "{raw: '[\"s3://b/1.csv\", \"s3://b/2.csv\"]'}}}}}}\n");

	(void)state;
	assert_int_equal(task_of(&result, "f/t")->data_count, 2);
	assert_string_equal(task_of(&result, "f/t")->data[1].uri, "s3://b/2.csv");
	assert_int_equal(task_of(&result, "f/u")->data_count, 0);
	assert_null(hyperparameter(task_of(&result, "f/t"), "x"));
	pa_arena_done(&result.arena);
}

/* `item.key` and `struct['key']`: a part of what is known, and of each item of a list. */
static void test_parts_of_values(void **state)
{
	struct result result = model_of(IR(
	    "  comp-for:\n    inputDefinitions: {parameters: {item: {parameterType: STRUCT}}}\n"
	    "    dag: {tasks: {t: {" LEAF_REF ", inputs: {parameters: {x: {componentInputParameter: item, "
	    "parameterExpressionSelector: 'parseJson(string_value)[\"in\"]'}}}}}}\n") "root:\n  "
	                                                                              "inputDefinitions: "
	                                                                              "{parameters: {cfg: "
	                                                                              "{parameterType: "
	                                                                              "STRUCT, "
	                                                                              "defaultValue: {a: {b: "
	                                                                              "'gs://c/d'}, n: "
	                                                                              "5}}}}\n"
	                                                                              "  dag: {tasks: {\n"
	                                                                              "    f: {componentRef: "
	                                                                              "{name: comp-for}, "
	                                                                              "parameterIterator: "
	                                                                              "{itemInput: item, "
	                                                                              "items: "
	                                                                              "{raw: '[{\"in\": "
	                                                                              "\"s3://b/1\", "
	                                                                              "\"out\": "
	                                                                              "\"s3://b/no\"}, "
	                                                                              "{\"in\": "
	                                                                              "\"s3://b/2\"}, "
	                                                                              "{}]'}}},\n"
	                                                                              "    deep: {" LEAF_REF
	                                                                              ", inputs: "
	                                                                              "{parameters: {x: "
	                                                                              "{componentInputParamet"
	                                                                              "er: cfg, "
	                                                                              "parameterExpressionSel"
	                                                                              "ector: "
	                                                                              "\"parseJson(string_"
	                                                                              "value)['a']['b']\"}}}}"
	                                                                              ",\n"
	                                                                              "    number: {" LEAF_REF
	                                                                              ", inputs: "
	                                                                              "{parameters: {x: "
	                                                                              "{componentInputParamet"
	                                                                              "er: cfg, "
	                                                                              "parameterExpressionSel"
	                                                                              "ector: "
	                                                                              "'parseJson(string_"
	                                                                              "value)[\"n\"]'}}}},\n"
	                                                                              "    none: {" LEAF_REF
	                                                                              ", inputs: "
	                                                                              "{parameters: {x: "
	                                                                              "{componentInputParamet"
	                                                                              "er: cfg, "
	                                                                              "parameterExpressionSel"
	                                                                              "ector: "
	                                                                              "'parseJson(string_"
	                                                                              "value)[\"z\"]'}}}},\n"
	                                                                              "    other: {" LEAF_REF
	                                                                              ", inputs: "
	                                                                              "{parameters: {x: "
	                                                                              "{componentInputParamet"
	                                                                              "er: cfg, "
	                                                                              "parameterExpressionSel"
	                                                                              "ector: "
	                                                                              "'size(string_value)'}}"
	                                                                              "}}}}\n");

	(void)state;
	assert_int_equal(task_of(&result, "f/t")->data_count, 2);
	assert_string_equal(task_of(&result, "f/t")->data[0].uri, "s3://b/1");
	assert_string_equal(task_of(&result, "f/t")->data[1].uri, "s3://b/2");
	assert_null(hyperparameter(task_of(&result, "f/t"), "x"));
	assert_string_equal(hyperparameter(task_of(&result, "deep"), "x"), "gs://c/d");
	assert_string_equal(task_of(&result, "deep")->args[0], "gs://c/d");
	assert_string_equal(hyperparameter(task_of(&result, "number"), "x"), "5");
	assert_null(hyperparameter(task_of(&result, "none"), "x"));
	assert_null(hyperparameter(task_of(&result, "other"), "x"));
	pa_arena_done(&result.arena);
}

static void test_executors(void **state)
{
	struct result result =
	    model_of("components: {comp-j: {executorLabel: j}, comp-r: {executorLabel: r}, comp-u: "
	             "{executorLabel: u}, comp-m: "
	             "{executorLabel: m}}\n"
	             "deploymentSpec: {executors: {j: {customJob: {customJob: {jobSpec: {workerPoolSpecs: "
	             "[{containerSpec: "
	             "{imageUri: first, command: [run]}}, {containerSpec: {imageUri: second}}]}}}}, r: "
	             "{resolver: {}}, u: "
	             "{other: {}}}}\n" INFO
	             "root: {dag: {tasks: {j: {componentRef: {name: comp-j}}, r: {componentRef: {name: "
	             "comp-r}}, u: {componentRef: {name: comp-u}}, m: {componentRef: {name: comp-m}}}}}\n");

	(void)state;
	assert_int_equal(task_of(&result, "j")->kind, PA_TASK_CONTAINER);
	assert_string_equal(task_of(&result, "j")->image, "first");
	assert_string_equal(task_of(&result, "j")->command[0], "run");
	assert_int_equal(task_of(&result, "r")->kind, PA_TASK_IMPORTER);
	assert_int_equal(task_of(&result, "u")->kind, PA_TASK_UNRESOLVED);
	assert_int_equal(task_of(&result, "m")->kind, PA_TASK_UNRESOLVED);
	assert_int_equal(result.analysis.pipelines[0].unresolved_count, 2);
	pa_arena_done(&result.arena);
}

static void test_recursion(void **state)
{
	static const char text[] = IR(
	    "  comp-again: {dag: {tasks: {before: {" LEAF_REF "}, again: {componentRef: {name: comp-again}, "
	    "dependentTasks: [before]}, after: {" LEAF_REF
	    ", dependentTasks: [again]}}}}\n") "root: {dag: {tasks: {r: {componentRef: {name: "
					       "comp-again}}}}}\n";

	(void)state;
	order_is(text, "r/before r/after<r/before");
	struct result result = model_of(text);
	assert_int_equal(result.analysis.pipelines[0].unresolved_count, 1);
	pa_arena_done(&result.arena);
}

static void test_explains(void **state)
{
	struct pa_analyze_options options = {.explain = "b"};
	struct result result =
	    analyze(IR("") "root: {dag: {tasks: {\n  a: {" LEAF_REF "},\n"
	                   "  b: {" LEAF_REF ",\n    inputs: {artifacts: {d: {" MODEL_OF("a") "}}}}}}}\n",
	            &options);
	const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];
	bool input = false, after = false;

	(void)state;
	assert_int_equal(result.rc, 0);
	for (size_t i = 0; i < pipeline->fact_count; i++) {
		const struct pa_fact *fact = &pipeline->facts[i];
		input |= strcmp(fact->what, "input d") == 0 && strcmp(fact->value, "output a of task a") == 0 &&
		         fact->at != NULL;
		after |= strcmp(fact->what, "after") == 0 && fact->at != NULL;
	}
	assert_true(input);
	assert_true(after);
	pa_arena_done(&result.arena);
}

/* Facts that are cut short end with a whole character. */
static void test_explains_long_texts(void **state)
{
	const struct pa_analyze_options options = {.explain = "t"};

	(void)state;
	for (size_t before = 0; before < 3; before++) {
		char text[3000] = "", value[1000] = "abc";
		value[before] = '\0';
		while (strlen(value) < 900)
			strcat(value, "\xe6\x95\xb0");
		snprintf(text, sizeof(text),
		         "%sroot: {dag: {tasks: {t: {" LEAF_REF
		         ", inputs: {parameters: {x: {runtimeValue: {constant: '%s'}}}}}}}}\n",
		         IR(""), value);
		struct result result = analyze(text, &options);
		assert_int_equal(result.rc, 0);
		const struct pa_pipeline *pipeline = &result.analysis.pipelines[0];
		for (size_t i = 0; i < pipeline->fact_count; i++) {
			const char *fact = pipeline->facts[i].value;
			if (strstr(fact, "\xe6\x95\xb0") != NULL)
				assert_string_equal(fact + strlen(fact) - 3, "\xe6\x95\xb0");
		}
		pa_arena_done(&result.arena);
	}
}

static void test_refuses(void **state)
{
	(void)state;
	refuses("deploymentSpec: {}\nroot: []\n", "f.yaml:2:7: 'root' must be a map");
	refuses("components: []\ndeploymentSpec: {}\nroot: {}\n", "'components' must be a map");
	refuses("components: {}\ndeploymentSpec: {executors: {e: []}}\nroot: {}\n",
	        "the executor 'e' must be a map");
	refuses(IR("") "root: {dag: {tasks: {t: {componentRef: {name: nobody}}}}}\n",
	        "'t' runs the component 'nobody', which is not in this pipeline");
	refuses(IR("") "root: {dag: {tasks: {t: {}}}}\n", "the task 't' has no componentRef.name");
	refuses(IR("") "root: {dag: {tasks: {t: {" LEAF_REF ", dependentTasks: [u]}}}}\n",
	        "'t' depends on the task 'u', which 'root' does not have");
	refuses(IR("") "root: {dag: {tasks: {t: {" LEAF_REF ", dependentTasks: {}}}}}\n",
	        "'dependentTasks' must be a list");
	refuses(IR("") "root: {dag: {tasks: {t: {" LEAF_REF ", inputs: {parameters: {x: 5}}}}}}\n",
	        "the input 'x' must be a map that says where its value comes from");
	refuses(IR("") "root: {dag: {tasks: {a: {" LEAF_REF ", dependentTasks: [b]}, b: {" LEAF_REF
	               ", dependentTasks: [c]}, c: {" LEAF_REF ", dependentTasks: [a]}}}}\n",
	        "tasks wait for each other in a circle: 'a' after 'b' after 'c' after 'a'");
	refuses(IR("") "root: {dag: {tasks: {}, outputs: {parameters: {o: {valueFromParameter: "
	               "{producerSubtask: t, "
	               "outputParameterKey: o}}}}}}\n",
	        "the output comes from the task 't', which 'root' does not have");
	refuses(IR("") "root: {dag: {tasks: {t: {" LEAF_REF
	               "}}}}\n" PLATFORM("pvcMount: [{mountPath: /a, constant: c, subPath: ../b}]"),
	        "has a '..' in it");
	refuses("pipelineSpec: {deploymentSpec: {}}\n", "the pipeline has no root");
	struct pa_name_value unknown = {"nobody", "1"};
	struct pa_analyze_options options = {.arguments = &unknown, .argument_count = 1};
	struct result result = analyze(IR("") "root: {dag: {tasks: {t: {" LEAF_REF "}}}}\n", &options);
	assert_non_null(strstr(result.err.message, "no parameter 'nobody'"));
	pa_arena_done(&result.arena);
}

/* A chain of components, each a DAG that calls the next `width` times; the last calls comp-leaf. */
static void chain_refused(int length, int width, const char *message)
{
	struct pa_buffer text;

	pa_buffer_init(&text, 1 << 20);
	pa_buffer_puts(&text, "components:\n" LEAF);
	for (int i = 0; i < length; i++) {
		pa_buffer_printf(&text, "  c%d:\n    dag:\n      tasks:\n", i);
		for (int j = 0; j < width && i + 1 < length; j++)
			pa_buffer_printf(&text, "        t%d: {componentRef: {name: c%d}}\n", j, i + 1);
		if (i + 1 == length)
			pa_buffer_puts(&text, "        t: {" LEAF_REF "}\n");
	}
	pa_buffer_puts(&text, DEPLOYMENT INFO "root: {dag: {tasks: {t: {componentRef: {name: c0}}}}}\n");
	refuses(text.data, message);
	pa_buffer_done(&text);
}

static void test_limits(void **state)
{
	(void)state;
	chain_refused(110, 1, "DAGs nested deeper than 100 levels");
	chain_refused(25, 2, "takes more memory than its size allows");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_head_and_settings),
	    cmocka_unit_test(test_order_through_nested_dags),
	    cmocka_unit_test(test_exit_handlers),
	    cmocka_unit_test(test_values_through_nested_dags),
	    cmocka_unit_test(test_constants),
	    cmocka_unit_test(test_loops),
	    cmocka_unit_test(test_conditions),
	    cmocka_unit_test(test_command_structures),
	    cmocka_unit_test(test_importers),
	    cmocka_unit_test(test_claims),
	    cmocka_unit_test(test_claims_by_name),
	    cmocka_unit_test(test_other_mounts),
	    cmocka_unit_test(test_platforms_of_several_pipelines),
	    cmocka_unit_test(test_pipeline_version),
	    cmocka_unit_test(test_data_in_values),
	    cmocka_unit_test(test_data_in_items),
	    cmocka_unit_test(test_parts_of_values),
	    cmocka_unit_test(test_executors),
	    cmocka_unit_test(test_recursion),
	    cmocka_unit_test(test_explains),
	    cmocka_unit_test(test_explains_long_texts),
	    cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
