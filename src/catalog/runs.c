/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/catalog_internal.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

/* A statement that a loop uses again and again, and the run it is for. */
struct run_writer {
	struct pa_catalog *catalog;
	int64_t pipeline_id;
	int64_t run_id;
	sqlite3_stmt *find_task;
};

static int find_task(struct run_writer *writer, const char *name, int64_t *ret, struct pa_error *err)
{
	int result =
	    pa_catalog_bind(writer->catalog, writer->find_task, err, "is", writer->pipeline_id, name);

	if (result == 0)
		result = pa_catalog_integer(writer->catalog, writer->find_task, ret, err);
	if (result == -PA_ERROR_NOT_FOUND)
		result = pa_error_set(err, PA_ERROR_INPUT,
		                      "%s: the run has a task \"%s\" that its pipeline has not",
		                      writer->catalog->path, name);
	return result;
}

static int write_run_row(struct run_writer *writer, const struct pa_run_record *run,
                         const struct pa_catalog_origin *origin, struct pa_error *err)
{
	static const char sql[] = "INSERT INTO run (pipeline_id, mode, outcome, started_ms, makespan, stall,"
				  " import_key, profile_cut) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id";
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int result = pa_catalog_prepare(writer->catalog, sql, &statement, err);

	if (result == 0)
		result = pa_catalog_bind(writer->catalog, statement, err, "issiddsi", writer->pipeline_id,
		                         run->mode, run->outcome, run->started_wall_ms, run->makespan_s,
		                         run->stall_s, origin->import_key,
		                         (int64_t)(run->profile_count > PA_CATALOG_PROFILE_ROWS));
	if (result == 0)
		result = pa_catalog_integer(writer->catalog, statement, &writer->run_id, err);
	return result;
}

/* Compute: wall time less what was waited for inside it. */
static double duration_of(const struct pa_task_run *task)
{
	double stall_s = isfinite(task->stall_s) && task->stall_s > 0 ? task->stall_s : 0;
	double duration_s = task->end_s - task->start_s - stall_s;

	return isfinite(duration_s) ? fmax(duration_s, 0) : NAN;
}

static int write_task_runs(struct run_writer *writer, const struct pa_run_record *run,
                           const struct pa_catalog_origin *origin, struct pa_error *err)
{
	static const char sql[] =
	    "INSERT INTO task_run (run_id, task_id, instance, outcome, ready, actual_start, actual_end,"
	    " predicted_start, predicted_end, stall, duration, read_bytes, memory_bytes, written_bytes, "
	    "input_bytes)"
	    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int result = pa_catalog_prepare(writer->catalog, sql, &statement, err);

	for (size_t i = 0; result == 0 && i < run->task_count; i++) {
		const struct pa_task_run *task = &run->tasks[i];
		double duration_s = origin->durations_s == NULL ? duration_of(task) : origin->durations_s[i];
		int64_t task_id = 0;
		result = find_task(writer, task->task_id, &task_id, err);
		if (result == 0)
			result = pa_catalog_bind(
			    writer->catalog, statement, err, "iissddddddduuuu", writer->run_id, task_id,
			    task->instance == NULL ? "" : task->instance, task->outcome, task->ready_s,
			    task->start_s, task->end_s, task->predicted_start_s, task->predicted_end_s,
			    task->stall_s, duration_s, task->read_bytes, task->memory_bytes,
			    task->written_bytes, task->input_bytes);
		if (result == 0)
			result = pa_catalog_complete(writer->catalog, statement, err);
	}
	return result;
}

/* Of each task that succeeded only the newest profile is of use, and a profile is as long as a data set
 * has files: those of earlier runs go.  A task that failed read only a part: its profile is not kept, and
 * replaces none. */
static int trim_profiles(struct run_writer *writer, struct pa_error *err)
{
	static const char *const statements[] = {
	    "DELETE FROM access_profile WHERE run_id = ?1 AND task_id NOT IN"
	    " (SELECT task_id FROM task_run WHERE run_id = ?1 AND outcome = 'succeeded')",
	    "DELETE FROM access_profile WHERE run_id <> ?1 AND task_id IN"
	    " (SELECT older.id FROM task older JOIN pipeline ON pipeline.id = older.pipeline_id"
	    "   JOIN task newer ON newer.name = older.name"
	    "   JOIN pipeline mine ON mine.id = newer.pipeline_id AND mine.name = pipeline.name"
	    "  WHERE newer.id IN (SELECT DISTINCT task_id FROM access_profile WHERE run_id = ?1))",
	};
	int result = 0;

	for (size_t i = 0; result == 0 && i < sizeof(statements) / sizeof(statements[0]); i++) {
		PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
		result = pa_catalog_prepare(writer->catalog, statements[i], &statement, err);
		if (result == 0)
			result = pa_catalog_bind(writer->catalog, statement, err, "i", writer->run_id);
		if (result == 0)
			result = pa_catalog_complete(writer->catalog, statement, err);
	}
	return result;
}

static int write_profile(struct run_writer *writer, const struct pa_run_record *run, struct pa_error *err)
{
	static const char sql[] =
	    "INSERT INTO access_profile (run_id, task_id, position, data_set, path, read_bytes,"
	    " first_open) VALUES (?, ?, ?, ?, ?, ?, ?)";
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int result = pa_catalog_prepare(writer->catalog, sql, &statement, err);
	const char *task_name = NULL;
	int64_t task_id = 0;

	for (size_t i = 0; result == 0 && i < run->profile_count && i < PA_CATALOG_PROFILE_ROWS; i++) {
		const struct pa_profile_read *read = &run->profile[i];
		if (task_name == NULL || strcmp(task_name, read->task_id) != 0)
			result = find_task(writer, read->task_id, &task_id, err);
		task_name = read->task_id;
		if (result == 0)
			result = pa_catalog_bind(writer->catalog, statement, err, "iiipsud", writer->run_id,
			                         task_id, (int64_t)i, read->data_set, read->path,
			                         read->read_bytes, read->first_open_s);
		if (result == 0)
			result = pa_catalog_complete(writer->catalog, statement, err);
	}
	return result < 0 || run->profile_count == 0 ? result : trim_profiles(writer, err);
}

int pa_catalog_write_run(struct pa_catalog *catalog, int64_t pipeline_id, const struct pa_run_record *run,
                         const struct pa_catalog_origin *origin, int64_t *ret_id, struct pa_error *err)
{
	PA_AUTO_STATEMENT sqlite3_stmt *find = NULL;
	struct run_writer writer = {.catalog = catalog, .pipeline_id = pipeline_id};
	int result =
	    pa_catalog_prepare(catalog, "SELECT id FROM task WHERE pipeline_id = ? AND name = ?", &find, err);

	writer.find_task = find;
	if (result == 0)
		result = write_run_row(&writer, run, origin, err);
	if (result == 0)
		result = write_task_runs(&writer, run, origin, err);
	if (result == 0)
		result = write_profile(&writer, run, err);
	if (result == 0)
		*ret_id = writer.run_id;
	return result;
}

int pa_catalog_store_run(struct pa_catalog *catalog, int64_t pipeline_id, const struct pa_run_record *run,
                         int64_t *ret_run_id, struct pa_error *err)
{
	static const struct pa_catalog_origin here = {NULL, NULL};
	int64_t id = 0;
	int result = pa_catalog_begin(catalog, err);

	if (result == 0)
		result = pa_catalog_write_run(catalog, pipeline_id, run, &here, &id, err);
	result = pa_catalog_finish(catalog, result, err);
	if (result == 0)
		*ret_run_id = id;
	return result;
}

int pa_catalog_store_source(struct pa_catalog *catalog, const struct pa_catalog_source *source,
                            struct pa_error *err)
{
	static const char sql[] = "INSERT INTO source (match, location, bandwidth, stored_ms) VALUES (?, ?, "
				  "?, ?) ON CONFLICT (match) DO"
				  " UPDATE SET location = excluded.location, bandwidth = excluded.bandwidth, "
				  "stored_ms = excluded.stored_ms";
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int result = pa_catalog_begin(catalog, err);

	if (result == 0)
		result = pa_catalog_prepare(catalog, sql, &statement, err);
	if (result == 0)
		result = pa_catalog_bind(catalog, statement, err, "ppui", source->match, source->location,
		                         source->bandwidth_bps, pa_clock_wall_ms());
	if (result == 0)
		result = pa_catalog_complete(catalog, statement, err);
	return pa_catalog_finish(catalog, result, err);
}

static int trim_manifests(struct pa_catalog *catalog, const char *data_set, struct pa_error *err)
{
	static const char sql[] =
	    "DELETE FROM manifest WHERE data_set = ?1 AND id NOT IN"
	    " (SELECT id FROM manifest WHERE data_set = ?1 ORDER BY last_seen_ms DESC, id LIMIT ?2)";
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int result = pa_catalog_prepare(catalog, sql, &statement, err);

	if (result == 0)
		result =
		    pa_catalog_bind(catalog, statement, err, "pi", data_set, (int64_t)PA_CATALOG_MANIFESTS);
	return result < 0 ? result : pa_catalog_complete(catalog, statement, err);
}

int pa_catalog_store_manifest(struct pa_catalog *catalog, const struct pa_catalog_manifest *manifest,
                              struct pa_error *err)
{
	static const char sql[] =
	    "INSERT INTO manifest (data_set, id, file_count, total_bytes, first_seen_ms, last_seen_ms)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?5)"
	    " ON CONFLICT (data_set, id) DO UPDATE SET last_seen_ms = excluded.last_seen_ms";
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int result = pa_catalog_begin(catalog, err);

	if (result == 0)
		result = pa_catalog_prepare(catalog, sql, &statement, err);
	if (result == 0)
		result = pa_catalog_bind(catalog, statement, err, "psuui", manifest->data_set, manifest->id,
		                         manifest->file_count, manifest->total_bytes, pa_clock_wall_ms());
	if (result == 0)
		result = pa_catalog_complete(catalog, statement, err);
	if (result == 0)
		result = trim_manifests(catalog, manifest->data_set, err);
	return pa_catalog_finish(catalog, result, err);
}
