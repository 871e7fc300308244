/* SPDX-License-Identifier: Apache-2.0 */
/* status.nodes of Workflows that ran, as they are and compressed, and what is broken in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/analyze.h"
#include "pipeline/status.h"

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

static int read_status(const char *text, struct pa_status *ret, struct pa_error *err)
{
	struct pa_document *documents;
	struct pa_analysis analysis;
	struct pa_error ignored = PA_ERROR_INIT;
	size_t count;

	if (pa_document_read(&arena, "f.yaml", text, strlen(text), &documents, &count, err) < 0)
		fail_msg("%s", err->message);
	pa_analyze_text(&arena, "f.yaml", text, strlen(text), NULL, &analysis, &ignored);
	return pa_status_read(&arena, documents[0].root,
	                      analysis.pipeline_count == 1 ? &analysis.pipelines[0] : NULL, ret, err);
}

static struct pa_status status_of(const char *text)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_status status;

	if (read_status(text, &status, &err) < 0)
		fail_msg("%s", err.message);
	return status;
}

static void refuses(const char *text, const char *message)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_status status;
	int rc = read_status(text, &status, &err);

	if (rc != -(int)PA_ERROR_INPUT || strstr(err.message, message) == NULL ||
	    strncmp(err.message, "f.yaml:", 7) != 0)
		fail_msg("expected \"%s\", got %d \"%s\"", message, rc, err.message);
}

static const struct pa_status_node *node_of(const struct pa_status *status, const char *id)
{
	for (size_t i = 0; i < status->node_count; i++) {
		if (strcmp(status->nodes[i].id, id) == 0)
			return &status->nodes[i];
	}
	fail_msg("no node %s", id);
	return NULL;
}

#define HEAD                                                                                                 \
	"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n"                                                 \
	"metadata: {name: w-1, generateName: w-, annotations: {workflows.argoproj.io/pod-name-format: "      \
	"v2}}\n"
#define SPEC                                                                                                 \
	"spec:\n  entrypoint: main\n  templates:\n"                                                          \
	"  - {name: main, dag: {tasks: [{name: a, template: work, withItems: [x]}]}}\n"                      \
	"  - {name: work, inputs: {parameters: [{name: p}]}, retryStrategy: {limit: 1}, container: {image: " \
	"i}}\n"
#define NODES                                                                                                \
	"{\"w-1\": {\"name\": \"w-1\", \"displayName\": \"w-1\", \"type\": \"DAG\", \"children\": "          \
	"[\"w-1-2\", \"gone\"]},"                                                                            \
	"\"w-1-2\": {\"name\": \"w-1.a(0:x)(0)\", \"displayName\": \"other\", \"type\": \"Pod\","            \
	" \"templateName\": \"work\", \"boundaryID\": \"w-1\", \"phase\": \"Succeeded\","                    \
	" \"startedAt\": \"2024-01-01T00:00:00Z\", \"finishedAt\": null,"                                    \
	" \"inputs\": {\"parameters\": [{\"name\": \"p\", \"value\": \"5\"}]},"                              \
	" \"outputs\": {\"parameters\": [{\"name\": \"q\", \"value\": \"6\"}, {\"name\": \"r\"}]}}}"

static void check_nodes(const struct pa_status *status)
{
	const struct pa_status_node *root = node_of(status, "w-1");
	const struct pa_status_node *pod = node_of(status, "w-1-2");

	assert_int_equal(status->node_count, 2);
	assert_false(root->runs);
	assert_null(root->task);
	assert_int_equal(root->child_count, 1);
	assert_ptr_equal(&status->nodes[root->children[0]], pod);
	assert_true(pod->runs);
	assert_non_null(pod->task);
	assert_string_equal(pod->task_id, "a");
	assert_string_equal(pod->instance, "(0:x)(0)");
	assert_string_equal(pod->started, "2024-01-01T00:00:00Z");
	assert_string_equal(pod->finished, "");
	assert_ptr_equal(&status->nodes[pod->boundary], root);
	assert_int_equal(pod->input_count, 1);
	assert_string_equal(pod->inputs[0].value, "5");
	assert_int_equal(pod->output_count, 1);
	assert_string_equal(pod->outputs[0].name, "q");
	assert_string_equal(pod->pod_name, "w-1-work-2684521077");
}

static void nodes_are_read_with_their_tasks(void **state)
{
	struct pa_status status = status_of(HEAD SPEC "status: {phase: Running, nodes: " NODES "}\n");

	(void)state;
	assert_string_equal(status.phase, "Running");
	assert_string_equal(status.workflow_name, "w-1");
	check_nodes(&status);
}

/* gzip of `count` times the text, in base64. */
static const char *compressed(const char *text, size_t count)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	z_stream stream = {0};
	size_t room = strlen(text) * count / 200 + 1000;
	unsigned char *packed = pa_arena_alloc(&arena, room);
	char *out = pa_arena_alloc(&arena, room * 2);
	size_t length = 0;

	assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_out = packed;
	stream.avail_out = (unsigned int)room;
	for (size_t i = 0; i < count; i++) {
		stream.next_in = (unsigned char *)text;
		stream.avail_in = (unsigned int)strlen(text);
		deflate(&stream, i + 1 == count ? Z_FINISH : Z_NO_FLUSH);
		assert_int_not_equal(stream.avail_out, 0);
	}
	size_t bytes = stream.total_out;
	deflateEnd(&stream);
	for (size_t i = 0; i < bytes; i += 3) {
		unsigned int bits =
		    (unsigned int)packed[i] << 16 | (unsigned int)packed[i + 1] << 8 | packed[i + 2];
		for (unsigned int j = 0; j < 4; j++)
			out[length++] = i + j > bytes ? '=' : digits[bits >> (18 - 6 * j) & 63];
	}
	return out;
}

static const char *with_compressed(const char *packed)
{
	return pa_arena_printf(&arena, HEAD SPEC "status: {phase: Running, compressedNodes: '%s'}\n", packed);
}

static void compressed_nodes_are_the_same(void **state)
{
	struct pa_status status = status_of(with_compressed(compressed(NODES, 1)));

	(void)state;
	check_nodes(&status);
	/* Beside an empty mapping, too. */
	status = status_of(
	    pa_arena_printf(&arena, HEAD SPEC "status: {phase: Running, nodes: {}, compressedNodes: '%s'}\n",
	                    compressed(NODES, 1)));
	check_nodes(&status);
}

static void broken_compression_is_said(void **state)
{
	char *cut = pa_arena_strdup(&arena, compressed(NODES, 1));

	(void)state;
	refuses(with_compressed("?"), "no base64");
	refuses(with_compressed("QUJD"), "no whole gzip");
	refuses(with_compressed("A"), "no whole gzip");
	cut[strlen(cut) / 2] = '\0';
	refuses(with_compressed(cut), "no whole gzip");
	refuses(with_compressed(compressed("[]", 1)), "must be a mapping");
	refuses(with_compressed(compressed("{", 1)), "f.yaml");
	refuses(HEAD SPEC "status: {compressedNodes: {a: b}}\n", "must be a text");
}

static void a_bomb_is_refused(void **state)
{
	char *blanks = pa_arena_alloc(&arena, (1 << 20) + 1);

	(void)state;
	memset(blanks, ' ', 1 << 20);
	refuses(with_compressed(compressed(blanks, (PA_STATUS_MAX_BYTES >> 20) + 1)), "the limit of 32 MiB");
}

static void nodes_elsewhere_are_named(void **state)
{
	struct pa_status status = status_of(HEAD SPEC "status: {offloadNodeStatusVersion: 'fnv:1'}\n");

	(void)state;
	assert_true(status.offloaded);
	assert_int_equal(status.node_count, 0);
	status = status_of(HEAD SPEC "status: {startedAt: null}\n");
	assert_false(status.offloaded);
	assert_string_equal(status.started, "");
}

static void wrong_types_are_said(void **state)
{
	(void)state;
	refuses(HEAD SPEC "status: [a]\n", "status must be a mapping");
	refuses(HEAD SPEC "status: {nodes: [a]}\n", "status.nodes must be a mapping");
	refuses(HEAD SPEC "status: {nodes: {a: 5}}\n", "the node \"a\" must be a mapping");
	refuses(HEAD SPEC "status: {nodes: {a: {boundaryID: a}}}\n", "nested deeper");
	struct pa_status status =
	    status_of(HEAD SPEC "status: {nodes: {a: {name: [b], type: {}, inputs: 5, children: {}}}}\n");
	assert_string_equal(status.nodes[0].name, "");
}

/* A run of a template that is kept elsewhere carries it along. */
static void a_stored_definition_gives_the_tasks(void **state)
{
	struct pa_status status =
	    status_of(HEAD "spec: {workflowTemplateRef: {name: t}}\n"
	                   "status:\n  nodes: " NODES "\n"
	                   "  storedWorkflowTemplateSpec:\n    entrypoint: main\n    templates:\n"
	                   "    - {name: main, dag: {tasks: [{name: a, template: work, withItems: [x]}]}}\n"
	                   "    - {name: work, retryStrategy: {limit: 1}, container: {image: i}}\n");

	(void)state;
	check_nodes(&status);
}

static void kfp_v2_drivers_do_no_work(void **state)
{
	struct pa_status status = status_of(
	    "kind: Workflow\nmetadata: {name: k-1}\nstatus: {nodes: {"
	    "r: {name: k-1, type: DAG}, "
	    "d: {name: k-1.root-driver, type: Pod, templateName: system-dag-driver, boundaryID: r}, "
	    "t: {name: k-1.root, type: DAG, boundaryID: r}, "
	    "w: {name: k-1.root.train-driver(0), type: Pod, templateName: system-container-driver, "
	    "boundaryID: t}, "
	    "v: {name: k-1.root.createpvc, type: Pod, templateName: system-container-driver, boundaryID: t}, "
	    "c: {name: k-1.root.train, type: DAG, templateName: system-container-executor, boundaryID: t}, "
	    "e: {name: k-1.root.train.executor, type: Pod, templateName: system-container-impl, boundaryID: "
	    "c}}}\n");

	(void)state;
	assert_false(node_of(&status, "d")->runs);
	assert_false(node_of(&status, "w")->runs);
	assert_true(node_of(&status, "v")->runs);
	assert_string_equal(node_of(&status, "v")->task_id, "createpvc");
	assert_true(node_of(&status, "e")->runs);
	assert_string_equal(node_of(&status, "e")->task_id, "train");
	assert_string_equal(node_of(&status, "e")->pod_name, "e");
}

/* Runs that other projects keep: every pod is a task of its definition, but for the turns of a recursion. */
static void check_real_run(const char *folder, const char *file, size_t tasks, size_t strangers)
{
	char name[4096];
	struct pa_buffer text;
	struct pa_error err = PA_ERROR_INIT;
	size_t found = 0, others = 0;

	snprintf(name, sizeof(name), "%s/%s", folder, file);
	if (pa_buffer_read_file(name, 32 << 20, &text, &err) < 0)
		fail_msg("%s", err.message);
	/* The records of Kubeflow's tests leave the kind out. */
	const char *whole = text.data;
	if (text.data[0] == '{')
		whole = pa_arena_printf(&arena, "{\"kind\": \"Workflow\", %s", text.data + 1);
	struct pa_status status = status_of(whole);
	for (size_t i = 0; i < status.node_count; i++) {
		if (!status.nodes[i].runs)
			continue;
		found += status.nodes[i].task != NULL;
		others += status.nodes[i].task == NULL;
		assert_string_equal(status.nodes[i].pod_name, status.nodes[i].id);
	}
	pa_buffer_done(&text);
	if (found != tasks || others != strangers)
		fail_msg("%s: %zu tasks and %zu others", file, found, others);
}

static void real_runs_have_the_ids_of_their_definitions(void **state)
{
	const char *corpus = getenv("PA_CORPUS");
	const char *samples = "status-samples/kubeflow__pipelines__";
	const char *argo = "argo-handwritten/argoproj__argo-workflows/workflow__controller__testdata__";
	char path[512];

	(void)state;
	if (corpus == NULL)
		skip();
	snprintf(path, sizeof(path), "%s/README.md", corpus);
	FILE *readme = fopen(path, "r");
	if (readme == NULL)
		skip();
	fclose(readme);
	const struct {
		const char *prefix, *file;
		size_t tasks, strangers;
	} runs[] = {
	    {samples, "hello-world-runtime.json", 1, 0},
	    {samples, "hello-world-with-steps-runtime.json", 1, 0},
	    {samples, "mock-coinflip-runtime.json", 1, 2},
	    {samples, "mock-error-runtime.json", 0, 0},
	    {samples, "mock-xgboost-runtime.json", 7, 0},
	    {argo, "dag_xfail.yaml", 3, 0},
	    {argo, "steps_test__optional-argument-use-subpath-in-loop.yaml", 1, 0},
	};
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", runs[i].prefix, runs[i].file);
		check_real_run(corpus, path, runs[i].tasks, runs[i].strangers);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)
	const struct CMUnitTest tests[] = {
	    TEST(nodes_are_read_with_their_tasks),
	    TEST(compressed_nodes_are_the_same),
	    TEST(broken_compression_is_said),
	    TEST(a_bomb_is_refused),
	    TEST(nodes_elsewhere_are_named),
	    TEST(wrong_types_are_said),
	    TEST(a_stored_definition_gives_the_tasks),
	    TEST(kfp_v2_drivers_do_no_work),
	    TEST(real_runs_have_the_ids_of_their_definitions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
