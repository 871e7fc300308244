/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog_fixture.h"

static void open_makes_folders_and_closes(void **state)
{
	struct pa_catalog *catalog = must_open();

	(void)state;
	assert_int_equal(access(path, R_OK | W_OK), 0);
	pa_catalog_close(catalog);
	pa_catalog_close(NULL);
}

static void the_default_path_follows_the_environment(void **state)
{
	char out[PATH_MAX];

	(void)state;
	setenv("HOME", "/home/me", 1);
	setenv("PIPEAHEAD_CATALOG", "", 1);
	unsetenv("XDG_STATE_HOME");
	assert_string_equal(pa_catalog_default_path(out, sizeof(out)),
	                    "/home/me/.local/state/pipeahead/catalog.db");
	setenv("XDG_STATE_HOME", "/state", 1);
	assert_string_equal(pa_catalog_default_path(out, sizeof(out)), "/state/pipeahead/catalog.db");
	setenv("PIPEAHEAD_CATALOG", "/tmp/c.db", 1);
	assert_string_equal(pa_catalog_default_path(out, sizeof(out)), "/tmp/c.db");
	unsetenv("PIPEAHEAD_CATALOG");
}

static void a_pipeline_fills_the_papers_tables(void **state)
{
	struct pa_catalog *catalog = must_open();
	struct pa_pipeline pipeline = paper_pipeline();

	(void)state;
	int64_t id = must_store_pipeline(catalog, &pipeline, NULL);
	assert_int_equal(must_store_pipeline(catalog, &pipeline, NULL), id);
	assert_int_equal(number(catalog, "SELECT count(*) FROM pipeline"), 1);
	assert_int_equal(number(catalog, "SELECT count(*) FROM task"), 3);
	assert_int_equal(number(catalog, "SELECT count(*) FROM task_after"), 3);
	assert_int_equal(number(catalog, "SELECT count(*) FROM directory"), 1);
	assert_int_equal(number(catalog, "SELECT count(*) FROM task_has_directory"), 5);
	assert_int_equal(number(catalog, "SELECT count(*) FROM task_has_directory WHERE path = '/home/data'"),
	                 4);
	/* The URI, and the two artifacts. */
	assert_int_equal(number(catalog, "SELECT count(*) FROM data"), 3);
	assert_int_equal(number(catalog, "SELECT count(*) FROM data_has_task WHERE role = 'read'"), 4);
	assert_int_equal(number(catalog, "SELECT count(*) FROM data_has_task WHERE role = 'write'"), 2);
	assert_string_equal(
	    query(
		catalog,
		"SELECT task.name, data_has_task.role, path FROM data_has_task JOIN task ON task.id = task_id"
		" JOIN data ON data.id = data_id WHERE data.name = 'artifact:preprocess/total_x'"
		" ORDER BY position",
		false),
	    "name        role   path\n"
	    "----------  -----  -------------\n"
	    "preprocess  write  /home/total_x\n"
	    "train       read   /tmp/inputs/0\n"
	    "test        read   /tmp/inputs/0\n");
	pa_catalog_close(catalog);
}

static void pipelines_without_a_name_are_kept_apart_by_their_files(void **state)
{
	struct pa_catalog *catalog = must_open();
	struct pa_pipeline first = paper_pipeline(), second = paper_pipeline();

	(void)state;
	first.name = second.name = "";
	first.file = "one\xff.yaml";
	assert_int_not_equal(must_store_pipeline(catalog, &first, NULL),
	                     must_store_pipeline(catalog, &second, NULL));
	assert_int_equal(number(catalog, "SELECT count(*) FROM data WHERE kind = 'artifact'"), 4);
	assert_int_equal(number(catalog, "SELECT count(*) FROM pipeline WHERE name = 'pipeline.yaml'"), 1);
	pa_catalog_close(catalog);
}

static void predictions_stay_until_there_are_newer_ones(void **state)
{
	struct pa_catalog *catalog = must_open();
	struct pa_pipeline pipeline = paper_pipeline();
	struct pa_task_forecast times[3] = {0};
	struct pa_forecast forecast = {.tasks = times, .task_count = 3, .makespan_s = {{1, 2, 3, 4, 5}}};
	struct pa_error err = PA_ERROR_INIT;
	int64_t id = -1;

	(void)state;
	times[1].start_s = (struct pa_distribution){{10, 11, 12.5, 13, 14}};
	times[1].end_s = (struct pa_distribution){{20, 21, 22, 23, 24}};
	times[2].start_s = (struct pa_distribution){{NAN, NAN, NAN, NAN, INFINITY}};
	must_store_pipeline(catalog, &pipeline, &forecast);
	must_store_pipeline(catalog, &pipeline, NULL);
	assert_string_equal(
	    query(catalog,
	          "SELECT predicted_start, predicted_end, predicted_start_early, predicted_end_late"
	          " FROM task WHERE name = 'train'",
	          true),
	    "[\n{\"predicted_start\": 12.5, \"predicted_end\": 22, \"predicted_start_early\": 10,"
	    " \"predicted_end_late\": 24}\n]\n");
	assert_int_equal(number(catalog, "SELECT predicted_start IS NULL FROM task WHERE name = 'test'"), 1);
	times[1].start_s.quantiles[2] = 7;
	must_store_pipeline(catalog, &pipeline, &forecast);
	assert_int_equal(number(catalog, "SELECT predicted_start FROM task WHERE name = 'train'"), 7);
	forecast.task_count = 2;
	assert_int_equal(pa_catalog_store_pipeline(catalog, &pipeline, &forecast, &id, &err), -PA_ERROR_BUG);
	assert_int_equal(id, -1);
	pa_catalog_close(catalog);
}

static void the_order_in_the_file_is_no_part_of_the_shape(void **state)
{
	struct pa_catalog *catalog = must_open();
	struct pa_pipeline pipeline = paper_pipeline();
	struct pa_task turned[3] = {pipeline.tasks[2], pipeline.tasks[0], pipeline.tasks[1]};
	const char *after[] = {"train", "preprocess"};
	struct pa_pipeline other = pipeline;

	(void)state;
	turned[0].after = after;
	other.tasks = turned;
	int64_t id = must_store_pipeline(catalog, &pipeline, NULL);
	assert_int_equal(must_store_pipeline(catalog, &other, NULL), id);
	assert_int_equal(number(catalog, "SELECT position FROM task WHERE name = 'test'"), 0);
	turned[0].after_count = 1;
	assert_int_not_equal(must_store_pipeline(catalog, &other, NULL), id);
	pa_catalog_close(catalog);
}

static void data_is_shared_and_goes_with_its_last_task(void **state)
{
	struct pa_catalog *catalog = must_open();
	struct pa_pipeline first = paper_pipeline(), second = paper_pipeline();

	(void)state;
	second.name = "another";
	must_store_pipeline(catalog, &first, NULL);
	must_store_pipeline(catalog, &second, NULL);
	assert_int_equal(number(catalog, "SELECT count(*) FROM directory"), 1);
	assert_int_equal(number(catalog, "SELECT count(*) FROM task_has_directory"), 10);
	/* Artifacts are each pipeline's own. */
	assert_int_equal(number(catalog, "SELECT count(*) FROM data WHERE kind = 'artifact'"), 4);
	first.data_count = second.data_count = 0;
	must_store_pipeline(catalog, &first, NULL);
	assert_int_equal(number(catalog, "SELECT count(*) FROM directory"), 1);
	must_store_pipeline(catalog, &second, NULL);
	assert_int_equal(number(catalog, "SELECT count(*) FROM directory"), 0);
	pa_catalog_close(catalog);
}

static void a_reference_to_no_task_stores_nothing(void **state)
{
	struct pa_catalog *catalog = must_open();
	struct pa_pipeline pipeline = paper_pipeline();
	struct pa_error err = PA_ERROR_INIT;
	const char *nobody[] = {"nobody"};
	struct pa_data data = {"uri:x", "file", nobody, 1, NULL, 0, false};
	int64_t id = -1;

	(void)state;
	pipeline.data = &data;
	pipeline.data_count = 1;
	assert_int_equal(pa_catalog_store_pipeline(catalog, &pipeline, NULL, &id, &err), -PA_ERROR_INPUT);
	assert_non_null(strstr(err.message, "nobody"));
	assert_int_equal(number(catalog, "SELECT count(*) FROM pipeline"), 0);
	pipeline.data_count = 0;
	must_store_pipeline(catalog, &pipeline, NULL);
	struct pa_task_run unknown = task_run("nobody", 0, 1, 0);
	struct pa_run_record run = {.mode = "ahead", .outcome = "failed", .tasks = &unknown, .task_count = 1};
	assert_int_equal(pa_catalog_store_run(catalog, 1, &run, &id, &err), -PA_ERROR_INPUT);
	run.task_count = 0;
	run.mode = "sideways";
	assert_int_equal(pa_catalog_store_run(catalog, 1, &run, &id, &err), -PA_ERROR_BUG);
	run.mode = "ahead";
	assert_int_equal(pa_catalog_store_run(catalog, 99, &run, &id, &err), -PA_ERROR_BUG);
	assert_int_equal(number(catalog, "SELECT count(*) FROM run"), 0);
	assert_int_equal(must_store_run(catalog, 1, &run), 1);
	pa_catalog_close(catalog);
}

static struct pa_history must_load(struct pa_catalog *catalog, const char *name)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_history history = {0};

	if (pa_catalog_load_history(catalog, &arena, name, &history, &err) != 0)
		fail_msg("%s", err.message);
	return history;
}

static void history_has_the_newest_runs_first(void **state)
{
	struct pa_catalog *catalog = must_open();
	struct pa_pipeline pipeline = paper_pipeline();
	struct pa_task_run tasks[] = {task_run("preprocess", 0, 10, 2), task_run("train", 10, 110, NAN),
	                              task_run("test", NAN, NAN, 0)};
	struct pa_run_record run = {.mode = "ahead", .outcome = "succeeded", .tasks = tasks, .task_count = 3};

	(void)state;
	int64_t id = must_store_pipeline(catalog, &pipeline, NULL);
	for (int i = 0; i < 60; i++) {
		run.started_wall_ms =
		    1000 * (i < 30 ? i : 200 - i); /* not stored in the order of their starts */
		tasks[0].end_s = i;
		must_store_run(catalog, id, &run);
	}
	struct pa_history history = must_load(catalog, "jsm-conv-pipeline-");
	assert_int_equal(history.run_count, 50);
	/* The test never ran: no duration, no observation. */
	assert_int_equal(history.observation_count, 100);
	assert_string_equal(history.observations[0].task_id, "preprocess");
	assert_int_equal(history.observations[0].run_age, 0);
	assert_true(history.observations[0].duration_s == 28); /* run 30 is the newest */
	assert_int_equal(history.observations[0].input_bytes, 2000);
	assert_true(history.observations[1].duration_s == 100);
	assert_int_equal(history.observations[99].run_age, 49);
	assert_true(history.observations[98].duration_s == 8); /* of run 10 */
	assert_int_equal(must_load(catalog, "unknown").run_count, 0);
	pa_catalog_close(catalog);
}

static void history_outlives_a_change_of_shape(void **state)
{
	struct pa_catalog *catalog = must_open();
	struct pa_pipeline pipeline = paper_pipeline();
	struct pa_task_run tasks[] = {task_run("train", 0, 5, 9), task_run("test", 5, 6, 0)};
	struct pa_run_record run = {.mode = "without", .outcome = "failed", .tasks = tasks, .task_count = 2};

	(void)state;
	tasks[1].outcome = "failed";
	must_store_run(catalog, must_store_pipeline(catalog, &pipeline, NULL), &run);
	pipeline.task_count = 2;
	pipeline.data_count = 0;
	tasks[0].outcome = "cached";
	must_store_run(catalog, must_store_pipeline(catalog, &pipeline, NULL),
	               &(struct pa_run_record){.mode = "ahead",
	                                       .outcome = "succeeded",
	                                       .started_wall_ms = 1,
	                                       .tasks = tasks,
	                                       .task_count = 1});
	/* One with all data local, whose bytes nobody saw, is no history. */
	must_store_run(catalog, must_store_pipeline(catalog, &pipeline, NULL),
	               &(struct pa_run_record){.mode = "local",
	                                       .outcome = "succeeded",
	                                       .started_wall_ms = 2,
	                                       .tasks = tasks,
	                                       .task_count = 1});
	struct pa_history history = must_load(catalog, "jsm-conv-pipeline-");
	assert_int_equal(history.run_count, 2);
	assert_int_equal(history.observation_count, 2);
	assert_true(history.observations[0].cached && !history.observations[1].cached);
	/* More stall than time: nothing is left, and nothing less than that. */
	assert_true(history.observations[1].duration_s == 0);
	pa_catalog_close(catalog);
}

static void the_error_of_starts_is_of_the_newest_run_with_predictions(void **state)
{
	struct pa_catalog *catalog = must_open();
	struct pa_pipeline pipeline = paper_pipeline();
	struct pa_task_run tasks[] = {task_run("train", 10, 20, 0), task_run("test", 20, 30, 0)};
	struct pa_run_record run = {
	    .mode = "ahead", .outcome = "succeeded", .makespan_s = 40, .tasks = tasks, .task_count = 2};
	struct pa_error err = PA_ERROR_INIT;
	double error = 0;

	(void)state;
	int64_t id = must_store_pipeline(catalog, &pipeline, NULL);
	must_store_run(catalog, id, &run);
	assert_int_equal(pa_catalog_start_error(catalog, "jsm-conv-pipeline-", &error, &err), 0);
	assert_true(isnan(error));
	tasks[0].predicted_start_s = 8;
	tasks[1].predicted_start_s = 26;
	must_store_run(catalog, id, &run);
	tasks[0].predicted_start_s = tasks[1].predicted_start_s = NAN;
	run.started_wall_ms = 5;
	must_store_run(catalog, id, &run);
	assert_int_equal(pa_catalog_start_error(catalog, "jsm-conv-pipeline-", &error, &err), 0);
	assert_true(error == 0.1);
	pa_catalog_close(catalog);
}

static void the_newest_whole_profile_wins(void **state)
{
	struct pa_catalog *catalog = must_open();
	struct pa_pipeline pipeline = paper_pipeline();
	struct pa_task_run tasks[] = {task_run("preprocess", 0, 10, 0), task_run("train", 10, 20, 0)};
	/* Names are bytes: one of these is no UTF-8. */
	struct pa_profile_read old[] = {{"train", "claim:jsm-conv", "old", 1, 0.5},
	                                {"preprocess", "claim:jsm-conv", "kept \xff\xfe", 7, NAN},
	                                {"preprocess", "claim:jsm-conv", "", UINT64_MAX, 1.25}};
	struct pa_profile_read newer[] = {{"train", "claim:jsm-conv", "new/é", 2, 0.5},
	                                  {"preprocess", "claim:jsm-conv", "cut off", 1, 0}};
	struct pa_run_record run = {.mode = "ahead",
	                            .outcome = "succeeded",
	                            .tasks = tasks,
	                            .task_count = 2,
	                            .profile = old,
	                            .profile_count = 3};

	(void)state;
	must_store_run(catalog, must_store_pipeline(catalog, &pipeline, NULL), &run);
	tasks[0].outcome = "failed";
	run.profile = newer;
	run.profile_count = 2;
	pipeline.task_count = 2; /* and of another shape */
	pipeline.data_count = 0;
	must_store_run(catalog, must_store_pipeline(catalog, &pipeline, NULL), &run);
	run.profile_count = 0;
	must_store_run(catalog, 1, &run);
	struct pa_history history = must_load(catalog, "jsm-conv-pipeline-");
	assert_int_equal(history.profile_count, 3);
	assert_string_equal(history.profile[0].task_id, "preprocess");
	assert_string_equal(history.profile[0].path, "kept \xff\xfe");
	assert_true(isnan(history.profile[0].first_open_s));
	assert_string_equal(history.profile[1].path, "");
	assert_true(history.profile[1].read_bytes == INT64_MAX); /* as much as the database has */
	assert_string_equal(history.profile[2].path, "new/é");
	assert_string_equal(history.profile[2].data_set, "claim:jsm-conv");
	pa_catalog_close(catalog);
}

static void sources_and_manifests_are_kept_up_to_date(void **state)
{
	struct pa_catalog *catalog = must_open();
	struct pa_error err = PA_ERROR_INIT;
	struct pa_catalog_source source = {"claim:a", "file:///x", 100};
	char id[33];

	(void)state;
	assert_int_equal(pa_catalog_store_source(catalog, &source, &err), 0);
	source.bandwidth_bps = 7;
	assert_int_equal(pa_catalog_store_source(catalog, &source, &err), 0);
	assert_int_equal(number(catalog, "SELECT bandwidth FROM source"), 7);
	for (int i = 0; i < 30; i++) {
		snprintf(id, sizeof(id), "%032d", i);
		struct pa_catalog_manifest manifest = {i == 0 ? "claim:b" : "claim:a", id, 3, 4096};
		assert_int_equal(pa_catalog_store_manifest(catalog, &manifest, &err), 0);
		assert_int_equal(pa_catalog_store_manifest(catalog, &manifest, &err), 0);
		usleep(1000);
	}
	assert_int_equal(number(catalog, "SELECT count(*) FROM manifest WHERE data_set = 'claim:a'"), 20);
	assert_int_equal(number(catalog, "SELECT count(*) FROM manifest WHERE data_set = 'claim:b'"), 1);
	assert_int_equal(number(catalog, "SELECT CAST(max(id) AS INTEGER) FROM manifest"), 29);
	struct pa_catalog_manifest wrong = {"claim:a", "short", 0, 0};
	assert_int_equal(pa_catalog_store_manifest(catalog, &wrong, &err), -PA_ERROR_BUG);
	pa_catalog_close(catalog);
}

static void secrets_stay_out(void **state)
{
	static const char *const cases[][2] = {
	    {"https://me:pw@host/x", "https://host/x"},
	    {"uri:https://token@host/x?a=1&X-Amz-Signature=f00&b=2#f",
	     "uri:https://host/x?a=1&X-Amz-Signature=***&b=2#f"},
	    {"s3://user:pw@bucket/x", "s3://user@bucket/x"},
	    {"abfss://container@account/x", "abfss://container@account/x"},
	    {"https://host/a@b:c/x", "https://host/a@b:c/x"},
	    {"https://host?sig=1", "https://host?sig=***"},
	    {"https://h/?TOKEN=1&", "https://h/?TOKEN=***&"},
	    {"file:///x", "file:///x"},
	};
	struct pa_catalog *catalog = must_open();
	struct pa_error err = PA_ERROR_INIT;
	char expected[256];

	(void)state;
	for (size_t i = 0; i < PA_ARRAY_LENGTH(cases); i++) {
		struct pa_catalog_source source = {"claim:a", cases[i][0], 0};
		assert_int_equal(pa_catalog_store_source(catalog, &source, &err), 0);
		snprintf(expected, sizeof(expected), "[\n{\"location\": \"%s\"}\n]\n", cases[i][1]);
		assert_string_equal(query(catalog, "SELECT location FROM source", true), expected);
	}
	pa_catalog_close(catalog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
	    TEST(open_makes_folders_and_closes),
	    TEST(the_default_path_follows_the_environment),
	    TEST(a_pipeline_fills_the_papers_tables),
	    TEST(pipelines_without_a_name_are_kept_apart_by_their_files),
	    TEST(predictions_stay_until_there_are_newer_ones),
	    TEST(the_order_in_the_file_is_no_part_of_the_shape),
	    TEST(data_is_shared_and_goes_with_its_last_task),
	    TEST(a_reference_to_no_task_stores_nothing),
	    TEST(history_has_the_newest_runs_first),
	    TEST(history_outlives_a_change_of_shape),
	    TEST(the_error_of_starts_is_of_the_newest_run_with_predictions),
	    TEST(the_newest_whole_profile_wins),
	    TEST(sources_and_manifests_are_kept_up_to_date),
	    TEST(secrets_stay_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
