/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog: the DAG database.  Pipelines, their tasks with predicted times, directories and data with the tasks that read
 * and write them, runs with what really happened, access profiles, sources, manifests.
 *
 * SQLite in WAL mode with foreign keys; tables as in the paper's schema: pipeline, task (predicted_start,
 * predicted_end), directory, data, task_has_directory, data_has_task (role read/write), and run, task_run,
 * access_profile, source, manifest.  Versions of the schema move forward by `user_version`; a newer database than
 * the program knows is refused.
 *
 * Threads: one catalog handle per thread.  Blocking: disk I/O, and up to 10 s for another writer.
 * A crash loses no committed run: each _store call is one transaction, synchronous=FULL.
 * Errors: PA_ERROR_INPUT for a file that is no catalog, PA_ERROR_NO_SPACE for a full disk.
 */
#ifndef PA_CATALOG_CATALOG_H
#define PA_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "forecast/forecast.h"
#include "pipeline/model.h"

struct pa_arena;
struct pa_buffer;
struct pa_catalog;

/* Opens or makes the database; its folder is made too.  `path` NULL: pa_catalog_default_path(). */
int pa_catalog_open(const char *path, struct pa_catalog **ret, struct pa_error *err);
void pa_catalog_close(struct pa_catalog *catalog);
/* $PIPEAHEAD_CATALOG, else $XDG_STATE_HOME/pipeahead/catalog.db, else ~/.local/state/pipeahead/catalog.db. */
char *pa_catalog_default_path(char *out, size_t room);

/* Puts the pipeline, its tasks, directories and data in (or brings them up to date; a pipeline is known by its name
 * and a hash of tasks and edges, its *shape*; history of an older shape stays with the tasks that are still
 * there).  `forecast` may be NULL. */
int pa_catalog_store_pipeline(struct pa_catalog *catalog, const struct pa_pipeline *pipeline,
                              const struct pa_forecast *forecast, int64_t *ret_pipeline_id,
                              struct pa_error *err);

struct pa_task_run {
	const char *task_id;
	const char *instance;                      /* "", or the loop's item and attempt: "(0:a)(1)" */
	const char *outcome;                       /* succeeded, failed, skipped, … */
	double ready_s, start_s, end_s;            /* from the run's start; NAN: never */
	double predicted_start_s, predicted_end_s; /* NAN: none */
	double stall_s;
	uint64_t read_bytes;   /* from data sets */
	uint64_t memory_bytes; /* of these, from memory */
	uint64_t written_bytes;
	uint64_t input_bytes; /* read_bytes and artifacts */
};

struct pa_run_record {
	const char *mode;    /* ahead, without, local */
	const char *outcome; /* succeeded, failed, interrupted */
	int64_t started_wall_ms;
	double makespan_s;
	double stall_s;
	const struct pa_task_run *tasks;
	size_t task_count;
	const struct pa_profile_read *profile; /* data_set, path, bytes, per task, in order */
	size_t profile_count;
};

/* A run that has ended; one transaction. */
int pa_catalog_store_run(struct pa_catalog *catalog, int64_t pipeline_id, const struct pa_run_record *run,
                         int64_t *ret_run_id, struct pa_error *err);

/* The history of a pipeline by name (its successful task runs, newest 50 runs, however they got their data: durations are
 * without stall; but not with all data "local", where bytes are not seen), in the arena. */
int pa_catalog_load_history(struct pa_catalog *catalog, struct pa_arena *arena, const char *pipeline_name,
                            struct pa_history *ret, struct pa_error *err);

/* Of the newest run that had predictions: the mean of |real - predicted| over its tasks' starts, as a share of its
 * makespan; NAN when there is none. */
int pa_catalog_start_error(struct pa_catalog *catalog, const char *pipeline_name, double *ret,
                           struct pa_error *err);

struct pa_catalog_source {
	const char *match;    /* claim:NAME or a URI prefix */
	const char *location; /* without credentials */
	uint64_t bandwidth_bps;
};
int pa_catalog_store_source(struct pa_catalog *catalog, const struct pa_catalog_source *source,
                            struct pa_error *err);
struct pa_catalog_manifest {
	const char *data_set;
	const char *id; /* 32 hex digits */
	uint64_t file_count;
	uint64_t total_bytes;
};
int pa_catalog_store_manifest(struct pa_catalog *catalog, const struct pa_catalog_manifest *manifest,
                              struct pa_error *err);

/* The DDL as text. */
const char *pa_catalog_schema(void);
/* One read-only statement; prints rows as a table or as a JSON array of objects. PA_ERROR_INPUT for bad or writing SQL. */
int pa_catalog_query(struct pa_catalog *catalog, const char *sql, bool json, struct pa_buffer *out,
                     struct pa_error *err);
/* All tables as one JSON document. */
int pa_catalog_export(struct pa_catalog *catalog, struct pa_buffer *out, struct pa_error *err);
/* Executions recorded elsewhere, from JSON text: a WfCommons instance (WfFormat 1.5) or an Argo Workflow with
 * status.nodes; returns how many runs were taken in. `name` overrides the pipeline's name (NULL: the file's own). */
int pa_catalog_import_runs(struct pa_catalog *catalog, const char *file, const char *text, size_t bytes,
                           const char *name, size_t *ret_runs, struct pa_error *err);

#endif
