/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog_fixture.h"

#include <dirent.h>

#include "catalog/catalog_internal.h"

static struct pa_catalog *catalog;

static int open_catalog(void **state)
{
	int result = make_folder(state);

	catalog = must_open();
	return result;
}

static int close_catalog(void **state)
{
	pa_catalog_close(catalog);
	return remove_folder(state);
}

static int import(const char *text, const char *name, size_t *runs, struct pa_error *err)
{
	return pa_catalog_import_runs(catalog, "record.json", text, strlen(text), name, runs, err);
}

static size_t must_import(const char *text, const char *name)
{
	struct pa_error err = PA_ERROR_INIT;
	size_t runs = 99;

	if (import(text, name, &runs, &err) != 0)
		fail_msg("%s", err.message);
	return runs;
}

#define INSTANCE(first, second)                                                                              \
	"{\"name\": \"blast\", \"createdAt\": \"2020-12-30T02:25:22.5Z\", \"workflow\": "                    \
	"{\"specification\": {"                                                                              \
	"\"tasks\": [{\"name\": \"split_ID000001\", \"id\": \"" first                                        \
	"\", \"parents\": [], \"inputFiles\": [\"in\"],"                                                     \
	"\"outputFiles\": [\"a\", \"b\"]}, {\"name\": \"cat_ID000002\", \"id\": \"" second "\","             \
	"\"parents\": [\"" first "\"], \"inputFiles\": [\"a\", \"b\"]}],"                                    \
	"\"files\": [{\"id\": \"in\", \"sizeInBytes\": 10}, {\"id\": \"a\", \"sizeInBytes\": 3},"            \
	"{\"id\": \"b\", \"sizeInBytes\": 4}]}, \"execution\": {\"makespanInSeconds\": 30,"                  \
	"\"executedAt\": \"20201227T182337+0100\", \"tasks\": [{\"id\": \"" first                            \
	"\", \"runtimeInSeconds\": 12.5,"                                                                    \
	"\"readBytes\": 11}, {\"id\": \"" second "\", \"runtimeInSeconds\": 0}]}}}"

static void an_instance_of_wfformat_becomes_a_run(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_history history = {0};

	(void)state;
	assert_int_equal(must_import(INSTANCE("s1", "c1"), NULL), 1);
	assert_int_equal(must_import(INSTANCE("s1", "c1"), NULL), 0); /* the same execution */
	assert_int_equal(must_import(INSTANCE("s1", "c1"), "other"), 1);
	assert_int_equal(number(catalog, "SELECT count(*) FROM run"), 2);
	assert_int_equal(number(catalog, "SELECT started_ms / 1000 FROM run"), 1609089817);
	assert_int_equal(number(catalog, "SELECT count(*) FROM task_after"), 2);
	/* What tasks make is each pipeline's own; what none makes is shared. */
	assert_int_equal(number(catalog, "SELECT count(*) FROM data"), 5);
	assert_int_equal(number(catalog, "SELECT count(*) FROM data_has_task"), 10);
	assert_int_equal(pa_catalog_load_history(catalog, &arena, "blast", &history, &err), 0);
	assert_int_equal(history.observation_count, 2);
	assert_string_equal(history.observations[0].template_name, "split");
	assert_true(history.observations[0].duration_s == 12.5);
	assert_int_equal(history.observations[0].input_bytes, 10);
	assert_true(history.observations[1].duration_s == 0);
	assert_int_equal(history.observations[1].input_bytes, 7);
}

static const char workflow[] =
    "{\"metadata\": {\"name\": \"wf-1\", \"generateName\": \"wf-\"}, \"status\": {\"phase\": \"Succeeded\","
    "\"startedAt\": \"2018-06-06T00:00:00Z\", \"finishedAt\": \"2018-06-06T00:01:00Z\", \"nodes\": {"
    "\"1\": {\"name\": \"wf-1\", \"displayName\": \"wf-1\", \"type\": \"DAG\", \"children\": [\"2\"]},"
    "\"2\": {\"displayName\": \"A\", \"type\": \"Retry\", \"boundaryID\": \"1\", \"children\": [\"3\", "
    "\"4\"]},"
    "\"3\": {\"displayName\": \"A(0)\", \"type\": \"Pod\", \"templateName\": \"a\", \"boundaryID\": \"1\","
    " \"phase\": \"Failed\", \"startedAt\": \"2018-06-06T00:00:01Z\", \"finishedAt\": "
    "\"2018-06-06T00:00:02Z\"},"
    "\"4\": {\"displayName\": \"A(1)\", \"type\": \"Pod\", \"templateName\": \"a\", \"boundaryID\": \"1\","
    " \"phase\": \"Succeeded\", \"startedAt\": \"2018-06-06T00:00:03Z\", \"finishedAt\": "
    "\"2018-06-06T00:00:09Z\","
    " \"children\": [\"5\"]},"
    "\"5\": {\"displayName\": \"L(0:x.y)\", \"type\": \"DAG\", \"boundaryID\": \"1\", \"children\": [\"6\"]},"
    "\"6\": {\"displayName\": \"B(1:(z))\", \"type\": \"Pod\", \"templateName\": \"b\", \"boundaryID\": "
    "\"5\","
    " \"phase\": \"Succeeded\", \"startedAt\": \"2018-06-06T00:00:10Z\", \"finishedAt\": "
    "\"2018-06-06T00:00:30Z\"},"
    "\"7\": {\"displayName\": \"wf-1.onExit\", \"type\": \"Pod\", \"templateName\": \"bye\", \"phase\": "
    "\"Succeeded\","
    " \"startedAt\": \"2018-06-06T00:00:31Z\", \"finishedAt\": null},"
    "\"8\": {\"displayName\": \"A.hooks.running\", \"type\": \"Pod\", \"templateName\": \"h\", "
    "\"boundaryID\": \"1\","
    " \"phase\": \"Succeeded\", \"startedAt\": \"2018-06-06T00:00:04Z\", \"finishedAt\": "
    "\"2018-06-06T00:00:05Z\"}"
    "}}}";

static void a_workflow_that_ended_becomes_a_run(void **state)
{
	(void)state;
	assert_int_equal(must_import(workflow, NULL), 1);
	assert_string_equal(
	    query(catalog,
	          "SELECT task.name, role, instance, outcome, actual_start AS a, actual_end AS b, duration"
	          " FROM task_run JOIN task ON task.id = task_id ORDER BY actual_start",
	          false),
	    "name             role  instance        outcome    a   b     duration\n"
	    "---------------  ----  --------------  ---------  --  ----  --------\n"
	    "A                main  (0)             failed      1     2         1\n"
	    "A                main  (1)             succeeded   3     9         6\n"
	    "A/hooks.running  hook                  succeeded   4     5         1\n"
	    "L/B              main  (0:x.y)(1:(z))  succeeded  10    30        20\n"
	    "onExit           exit                  succeeded  31  NULL  NULL\n");
}

static void what_followed_what_becomes_edges(void **state)
{
	(void)state;
	must_import(workflow, "mine");
	assert_string_equal(query(catalog,
	                          "SELECT pipeline.name AS p, a.name AS task, b.name AS after FROM task_after"
	                          " JOIN task a ON a.id = task_id JOIN task b ON b.id = after_id"
	                          " JOIN pipeline ON pipeline.id = a.pipeline_id",
	                          true),
	                    "[\n{\"p\": \"mine\", \"task\": \"L/B\", \"after\": \"A\"}\n]\n");
}

static void kfp_v2_drivers_are_no_tasks(void **state)
{
	(void)state;
	must_import("{\"metadata\": {\"name\": \"k\"}, \"status\": {\"phase\": \"Failed\","
	            "\"startedAt\": \"2024-01-01T00:00:00+02:00\", \"nodes\": {"
	            "\"r\": {\"displayName\": \"k\", \"type\": \"DAG\", \"children\": [\"d\"]},"
	            "\"d\": {\"displayName\": \"root-driver\", \"type\": \"Pod\", \"templateName\": "
	            "\"system-dag-driver\","
	            " \"boundaryID\": \"r\", \"children\": [\"t\"]},"
	            "\"t\": {\"displayName\": \"root\", \"type\": \"DAG\", \"boundaryID\": \"r\"},"
	            "\"c\": {\"displayName\": \"train\", \"type\": \"DAG\", \"boundaryID\": \"t\"},"
	            "\"e\": {\"displayName\": \"executor\", \"type\": \"Pod\", \"boundaryID\": \"c\","
	            " \"templateName\": \"system-container-impl\", \"phase\": \"Error\"}}}}",
	            NULL);
	assert_string_equal(query(catalog, "SELECT name FROM task", true), "[\n{\"name\": \"train\"}\n]\n");
}

/* The nodes are one pod of task a, in a loop. */
static const char defined[] =
    "{\"metadata\": {\"name\": \"w-1\", \"generateName\": \"w-\"}, \"spec\": {\"entrypoint\": \"main\", "
    "\"templates\": ["
    "{\"name\": \"main\", \"dag\": {\"tasks\": [{\"name\": \"a\", \"template\": \"work\", \"withItems\": "
    "[\"x.y\"]},"
    "{\"name\": \"b\", \"template\": \"work\", \"dependencies\": [\"a\"], \"when\": \"1 == 2\"}]}},"
    "{\"name\": \"work\", \"container\": {\"image\": \"i\"}}]},"
    "\"status\": {\"phase\": \"Failed\", \"startedAt\": \"2018-06-06T00:00:00Z\", \"compressedNodes\": \""
    "H4sIAAAAAAAC/6tWKtc1VLJSqFbKS8xNBTLAfB0FpZTM4oKcxEo/VNGSygIw18XRHcRNzsjMSSlKzQMKRYOUABXF1u"
    "ooQJlopuolahhYVehVamIxHlkKZkdAfgqYm5oLVFmSCndJflE2SDwpvzQvJbGo0tMFyX0FGYnFYFXBpcnJqakpqWAj"
    "iksSi0pSUxxLQDJGBoYWugZmQBRiYGAFQoZRIEVpmXmZxRm4VRlHKdXWAgAJCd9WLwEAAA=="
    "\"}}";

static void a_definition_gives_the_ids(void **state)
{
	(void)state;
	assert_int_equal(must_import(defined, NULL), 1);
	assert_string_equal(query(catalog,
	                          "SELECT pipeline.name AS p, a.name AS task, b.name AS after FROM task_after"
	                          " JOIN task a ON a.id = task_id JOIN task b ON b.id = after_id"
	                          " JOIN pipeline ON pipeline.id = a.pipeline_id",
	                          true),
	                    "[\n{\"p\": \"w-\", \"task\": \"b\", \"after\": \"a\"}\n]\n");
	assert_string_equal(query(catalog,
	                          "SELECT task.name, instance, duration FROM task_run"
	                          " JOIN task ON task.id = task_id",
	                          true),
	                    "[\n{\"name\": \"a\", \"instance\": \"(0:x.y)\", \"duration\": 2}\n]\n");
}

static void a_list_is_taken_in_whole_or_not_at_all(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	char text[16384];
	size_t runs = 99;

	(void)state;
	snprintf(text, sizeof(text),
	         "{\"kind\": \"List\", \"items\": [%s, {\"status\": {}, \"metadata\": {}}]}", workflow);
	assert_int_equal(import(text, NULL, &runs, &err), -PA_ERROR_INPUT);
	assert_int_equal(runs, 99);
	assert_int_equal(number(catalog, "SELECT count(*) FROM pipeline"), 0);
	snprintf(text, sizeof(text), "[%s, %s]", workflow, INSTANCE("a", "b"));
	assert_int_equal(must_import(text, NULL), 2);
}

static void what_cannot_be_taken_in_is_said(void **state)
{
	static const char *const cases[][2] = {
	    {"", "record.json:1:0: no JSON"},
	    {"{\"a\": 1, \"a\": 2}", "no JSON"},
	    {"{\"a\": \"\\u0000\"}", "no JSON"},
	    {"[3]", "neither"},
	    {"{}", "neither"},
	    {"{\"metadata\": {}, \"status\": {}}", "has no name"},
	    {"{\"metadata\": {\"name\": \"a\"}, \"status\": {\"phase\": \"Running\"}}", "has not ended"},
	    {"{\"metadata\": {\"name\": \"a\"}, \"status\": {\"compressedNodes\": \"x\"}}", "compressed"},
	    {"{\"metadata\": {\"name\": \"a\"}, \"status\": {\"offloadNodeStatusVersion\": \"x\"}}",
	     "database"},
	    {"{\"metadata\": {\"name\": \"a\"}, \"status\": {\"phase\": \"Failed\"}}", "no status.startedAt"},
	    {"{\"metadata\": {\"name\": \"a\"}, \"status\": {\"phase\": \"Failed\", \"startedAt\":"
	     " \"2018-06-06T00:00:01Z\"}}",
	     "no pod ran"},
	    {"{\"metadata\": {\"name\": \"a\"}, \"status\": {\"phase\": \"Failed\", \"startedAt\":"
	     " \"2018-06-06T00:00:01Z\", \"nodes\": {\"a\": {\"displayName\": \"x\", \"boundaryID\": \"a\","
	     " \"type\": \"Pod\"}}}}",
	     "nested deeper"},
	    {INSTANCE("s1", "s1"), "record.json"},
	    {INSTANCE("", "s1"), "has no id"},
	    {"{\"name\": \"a\", \"workflow\": {\"specification\": {\"tasks\": [{\"id\": \"a\"}]}}}",
	     "runtimeInSeconds"},
	    {"{\"name\": \"a\", \"workflow\": {\"specification\": {\"tasks\": [{\"id\": \"a\", \"parents\": "
	     "[\"b\"]}]},"
	     " \"execution\": {\"tasks\": [{\"id\": \"a\", \"runtimeInSeconds\": 1}]}}}",
	     "\"b\""},
	    {"{\"name\": \"a\", \"workflow\": {\"specification\": {\"tasks\": [{\"id\": \"a\", "
	     "\"inputFiles\":"
	     " [\"b\"]}]}}}",
	     "the file \"b\""},
	};

	(void)state;
	for (size_t i = 0; i < PA_ARRAY_LENGTH(cases); i++) {
		struct pa_error err = PA_ERROR_INIT;
		size_t runs = 99;
		int result = import(cases[i][0], NULL, &runs, &err);
		if (result != -PA_ERROR_INPUT || strstr(err.message, cases[i][1]) == NULL ||
		    strstr(err.message, "record.json") == NULL)
			fail_msg("%s gave %d: %s", cases[i][0], result, err.message);
		assert_int_equal(runs, 99);
	}
	assert_int_equal(number(catalog, "SELECT count(*) FROM pipeline"), 0);
}

static void times_are_read_in_the_forms_there_are(void **state)
{
	int64_t ms = -1;

	(void)state;
	assert_true(pa_catalog_parse_time("2018-06-06T00:04:49Z", &ms));
	assert_int_equal(ms, 1528243489000);
	assert_true(pa_catalog_parse_time("2023-03-21T18:21:45.250-10:00", &ms));
	assert_int_equal(ms, 1679458905250);
	assert_true(pa_catalog_parse_time("20200402T152146+0000", &ms));
	assert_int_equal(ms, 1585840906000);
	assert_false(pa_catalog_parse_time("05-10-23T16:23:32Z", &ms));
	assert_false(pa_catalog_parse_time("2018-06-06T00:04:49Zx", &ms));
	assert_false(pa_catalog_parse_time("2018-06-06", &ms));
	assert_false(pa_catalog_parse_time("", &ms));
}

/* Every file of a folder beside the corpus; how many there were. */
static size_t import_folder(const char *name, size_t *taken)
{
	const char *corpus = getenv("PA_CORPUS");
	char file[PATH_MAX];
	size_t files = 0;

	snprintf(file, sizeof(file), "%s/%s", corpus == NULL ? "" : corpus, name);
	DIR *directory = opendir(file);
	if (directory == NULL)
		return 0;
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		struct pa_error err = PA_ERROR_INIT;
		struct pa_buffer text;
		size_t runs = 0;
		if (strstr(entry->d_name, ".json") == NULL)
			continue;
		snprintf(file, sizeof(file), "%s/%s/%s", corpus, name, entry->d_name);
		assert_int_equal(pa_buffer_read_file(file, 64 << 20, &text, &err), 0);
		if (pa_catalog_import_runs(catalog, file, text.data, text.length, NULL, &runs, &err) != 0)
			print_message("%s\n", err.message);
		pa_buffer_done(&text);
		*taken += runs;
		files++;
	}
	closedir(directory);
	return files;
}

static void real_records_are_taken_in(void **state)
{
	size_t taken = 0;

	(void)state;
	if (import_folder("status-samples", &taken) == 0)
		skip();
	assert_int_equal(taken, 4); /* one failed before a pod ran */
	assert_int_equal(number(catalog, "SELECT count(*) FROM task WHERE name IN ('say', 'tails/flip-coin',"
	                                 " 'onExit/deletecluster', 'whalesay1', 'confusionmatrix')"),
	                 5);
	/* 7 of the definitions, 3 of what a template that calls itself did. */
	assert_int_equal(number(catalog, "SELECT count(*) FROM task_after"), 10);
	taken = 0;
	size_t files = import_folder("../wfinstances", &taken);
	assert_int_equal(taken, files);
	assert_int_equal(number(catalog,
	                        "SELECT count(DISTINCT template) FROM task JOIN pipeline ON"
	                        " pipeline.id = pipeline_id WHERE pipeline.name = 'makeflow-bwa-medium'"),
	                 files == 0 ? 0 : 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_catalog, close_catalog)
	    TEST(an_instance_of_wfformat_becomes_a_run),
	    TEST(a_workflow_that_ended_becomes_a_run),
	    TEST(what_followed_what_becomes_edges),
	    TEST(kfp_v2_drivers_are_no_tasks),
	    TEST(a_definition_gives_the_ids),
	    TEST(a_list_is_taken_in_whole_or_not_at_all),
	    TEST(what_cannot_be_taken_in_is_said),
	    TEST(times_are_read_in_the_forms_there_are),
	    TEST(real_records_are_taken_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
