/* SPDX-License-Identifier: Apache-2.0 */
/* What the catalog's tests share: a folder of their own, and the paper's pipeline as a model. */
#ifndef PA_TEST_CATALOG_FIXTURE_H
#define PA_TEST_CATALOG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "catalog/catalog.h"

static char folder[64];
static char path[PATH_MAX];
static struct pa_arena arena;

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/pa-catalog-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/state/catalog.db", folder);
	pa_arena_init(&arena);
	return 0;
}

static int remove_folder(void **state)
{
	char command[128];

	(void)state;
	pa_arena_done(&arena);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static struct pa_catalog *must_open(void)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_catalog *catalog = NULL;

	if (pa_catalog_open(path, &catalog, &err) != 0)
		fail_msg("%s", err.message);
	return catalog;
}

/* preprocess → train → test, one claim, artifacts in between. */
static inline struct pa_pipeline paper_pipeline(void)
{
	static const char *after_train[] = {"preprocess"};
	static const char *after_test[] = {"preprocess", "train"};
	static const char *readers[] = {"preprocess", "train", "test"};
	static const char *writers[] = {"preprocess", "train"};
	static struct pa_output preprocess_outputs[] = {{"total_x", true, "/home/total_x"},
	                                                {"n", false, "/n"}};
	static struct pa_output train_outputs[] = {{"model", true, "/home/model"}};
	static struct pa_origin from_preprocess = {PA_ORIGIN_TASK, "preprocess", "total_x", NULL};
	static struct pa_origin from_train = {PA_ORIGIN_TASK, "train", "model", NULL};
	static struct pa_input train_inputs[] = {{"x", true, "/tmp/inputs/0", &from_preprocess, 1}};
	static struct pa_input test_inputs[] = {{"x", true, "/tmp/inputs/0", &from_preprocess, 1},
	                                        {"model", true, "/tmp/inputs/2", &from_train, 1}};
	static struct pa_task_mount mount = {.path = "/home/data", .claim = "jsm-conv", .kind = "pvc"};
	static struct pa_task tasks[] = {
	    {.id = "preprocess",
	     .template_name = "preprocess",
	     .image = "pre:0.4",
	     .outputs = preprocess_outputs,
	     .output_count = 2,
	     .mounts = &mount,
	     .mount_count = 1},
	    {.id = "train",
	     .template_name = "train",
	     .image = "train:1",
	     .after = after_train,
	     .after_count = 1,
	     .inputs = train_inputs,
	     .input_count = 1,
	     .outputs = train_outputs,
	     .output_count = 1,
	     .mounts = &mount,
	     .mount_count = 1},
	    {.id = "test",
	     .template_name = "test",
	     .image = "",
	     .after = after_test,
	     .after_count = 2,
	     .inputs = test_inputs,
	     .input_count = 2},
	};
	static struct pa_data data[] = {
	    {"claim:jsm-conv", "directory", readers, 3, writers, 2, false},
	    {"uri:s3://bucket/key", "file", readers, 1, NULL, 0, false},
	};

	return (struct pa_pipeline){.name = "jsm-conv-pipeline-",
	                            .format = PA_FORMAT_ARGO_KFP_V1,
	                            .file = "pipeline.yaml",
	                            .sdk_version = "1.8.10",
	                            .tasks = tasks,
	                            .task_count = 3,
	                            .data = data,
	                            .data_count = 2};
}

static inline struct pa_task_run task_run(const char *id, double start_s, double end_s, double stall_s)
{
	return (struct pa_task_run){.task_id = id,
	                            .instance = "",
	                            .outcome = "succeeded",
	                            .ready_s = start_s,
	                            .start_s = start_s,
	                            .end_s = end_s,
	                            .predicted_start_s = NAN,
	                            .predicted_end_s = NAN,
	                            .stall_s = stall_s,
	                            .read_bytes = 1000,
	                            .memory_bytes = 900,
	                            .input_bytes = 2000};
}

static inline int64_t must_store_pipeline(struct pa_catalog *catalog, const struct pa_pipeline *pipeline,
                                          const struct pa_forecast *forecast)
{
	struct pa_error err = PA_ERROR_INIT;
	int64_t id = -1;

	if (pa_catalog_store_pipeline(catalog, pipeline, forecast, &id, &err) != 0)
		fail_msg("%s", err.message);
	return id;
}

static inline int64_t must_store_run(struct pa_catalog *catalog, int64_t pipeline,
                                     const struct pa_run_record *run)
{
	struct pa_error err = PA_ERROR_INIT;
	int64_t id = -1;

	if (pa_catalog_store_run(catalog, pipeline, run, &id, &err) != 0)
		fail_msg("%s", err.message);
	return id;
}

/* What a query prints, in the arena. */
static inline const char *query(struct pa_catalog *catalog, const char *sql, bool json)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer out;

	pa_buffer_init(&out, 64 << 20);
	if (pa_catalog_query(catalog, sql, json, &out, &err) != 0)
		fail_msg("%s: %s", sql, err.message);
	const char *text = pa_arena_strndup(&arena, out.data, out.length);
	pa_buffer_done(&out);
	return text;
}

/* The one number that a query gives. */
static inline long number(struct pa_catalog *catalog, const char *sql)
{
	const char *text = query(catalog, sql, true);

	return strtol(strchr(text, ':') + 1, NULL, 10);
}

#endif
