/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/catalog_internal.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"

/* The newest runs of all pipelines of that name, whatever their shape, numbered from the newest.  Not those with all data
 * local: they are for a comparison, and nobody saw there how much their tasks read. */
#define NEWEST_RUNS                                                                                          \
	"WITH newest AS (SELECT run.id, row_number() OVER (ORDER BY started_ms DESC, run.id DESC) - 1 AS "   \
	"age"                                                                                                \
	" FROM run JOIN pipeline ON pipeline.id = run.pipeline_id WHERE pipeline.name = ?1 AND run.mode <> " \
	"'local'"                                                                                            \
	" ORDER BY started_ms DESC, run.id DESC LIMIT ?2) "

static int load_observations(struct pa_catalog *catalog, struct pa_arena *arena, const char *name,
                             struct pa_history *history, struct pa_error *err)
{
	static const char sql[] = NEWEST_RUNS
	    "SELECT task.name, task.template, newest.age, task_run.duration, task_run.input_bytes,"
	    " task_run.outcome = 'cached' FROM newest JOIN task_run ON task_run.run_id = newest.id"
	    " JOIN task ON task.id = task_run.task_id"
	    " WHERE task_run.outcome IN ('succeeded', 'cached') AND task_run.duration IS NOT NULL"
	    " ORDER BY newest.age, task_run.id";
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	struct pa_observation *rows = NULL;
	size_t count = 0, capacity = 0;
	bool row = false;
	int result = pa_catalog_prepare(catalog, sql, &statement, err);

	if (result == 0)
		result =
		    pa_catalog_bind(catalog, statement, err, "si", name, (int64_t)PA_CATALOG_HISTORY_RUNS);
	if (result == 0)
		result = pa_catalog_step(catalog, statement, &row, err);
	while (result == 0 && row) {
		rows = pa_arena_grow(arena, rows, count, &capacity, sizeof(*rows));
		rows[count++] = (struct pa_observation){
		    .task_id = pa_catalog_column(arena, statement, 0),
		    .template_name = pa_catalog_column(arena, statement, 1),
		    .run_age = (uint32_t)sqlite3_column_int64(statement, 2),
		    .duration_s = sqlite3_column_double(statement, 3),
		    .input_bytes = (uint64_t)sqlite3_column_int64(statement, 4),
		    .cached = sqlite3_column_int(statement, 5) != 0,
		};
		result = pa_catalog_step(catalog, statement, &row, err);
	}
	history->observations = rows;
	history->observation_count = count;
	return result;
}

/* A path of a data set repeats the data set's and the task's name: one copy serves a row and those that
 * follow. */
static const char *same_or_new(struct pa_arena *arena, sqlite3_stmt *statement, int column, const char *last)
{
	const char *text = sqlite3_column_blob(statement, column);
	size_t bytes = (size_t)sqlite3_column_bytes(statement, column);

	if (last != NULL && text != NULL && strlen(last) == bytes && memcmp(last, text, bytes) == 0)
		return last;
	return pa_catalog_column(arena, statement, column);
}

/* One profile a task: trim_profiles() in runs.c sees to it. */
static int load_profile(struct pa_catalog *catalog, struct pa_arena *arena, const char *name,
                        struct pa_history *history, struct pa_error *err)
{
	static const char sql[] =
	    "SELECT task.name, data_set, path, read_bytes, first_open FROM access_profile"
	    " JOIN task ON task.id = access_profile.task_id JOIN pipeline ON pipeline.id = task.pipeline_id"
	    " WHERE pipeline.name = ?1 ORDER BY task.position, task.name, access_profile.position";
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	struct pa_profile_read *rows = NULL;
	size_t count = 0, capacity = 0;
	bool row = false;
	int result = pa_catalog_prepare(catalog, sql, &statement, err);

	if (result == 0)
		result = pa_catalog_bind(catalog, statement, err, "s", name);
	if (result == 0)
		result = pa_catalog_step(catalog, statement, &row, err);
	while (result == 0 && row) {
		const struct pa_profile_read *last = count > 0 ? &rows[count - 1] : NULL;
		rows = pa_arena_grow(arena, rows, count, &capacity, sizeof(*rows));
		rows[count++] = (struct pa_profile_read){
		    .task_id = same_or_new(arena, statement, 0, last == NULL ? NULL : last->task_id),
		    .data_set = same_or_new(arena, statement, 1, last == NULL ? NULL : last->data_set),
		    .path = pa_catalog_column(arena, statement, 2),
		    .read_bytes = (uint64_t)sqlite3_column_int64(statement, 3),
		    .first_open_s = sqlite3_column_type(statement, 4) == SQLITE_NULL
		                        ? NAN
		                        : sqlite3_column_double(statement, 4),
		};
		result = pa_catalog_step(catalog, statement, &row, err);
	}
	history->profile = rows;
	history->profile_count = count;
	return result;
}

static int count_runs(struct pa_catalog *catalog, const char *name, struct pa_history *history,
                      struct pa_error *err)
{
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int64_t count = 0;
	int result = pa_catalog_prepare(catalog, NEWEST_RUNS "SELECT count(*) FROM newest", &statement, err);

	if (result == 0)
		result =
		    pa_catalog_bind(catalog, statement, err, "si", name, (int64_t)PA_CATALOG_HISTORY_RUNS);
	if (result == 0)
		result = pa_catalog_integer(catalog, statement, &count, err);
	history->run_count = (uint32_t)count;
	return result;
}

int pa_catalog_load_history(struct pa_catalog *catalog, struct pa_arena *arena, const char *pipeline_name,
                            struct pa_history *ret, struct pa_error *err)
{
	struct pa_history history = {0};
	/* One read transaction: the three parts are of one moment. */
	int result = pa_catalog_execute(catalog, "BEGIN", err);

	if (result == 0)
		result = count_runs(catalog, pipeline_name, &history, err);
	if (result == 0)
		result = load_observations(catalog, arena, pipeline_name, &history, err);
	if (result == 0)
		result = load_profile(catalog, arena, pipeline_name, &history, err);
	result = pa_catalog_finish(catalog, result, err);
	if (result == 0)
		*ret = history;
	return result;
}

int pa_catalog_start_error(struct pa_catalog *catalog, const char *pipeline_name, double *ret,
                           struct pa_error *err)
{
	static const char sql[] = NEWEST_RUNS
	    "SELECT avg(abs(task_run.actual_start - task_run.predicted_start)) / run.makespan FROM newest"
	    " JOIN run ON run.id = newest.id JOIN task_run ON task_run.run_id = run.id"
	    " WHERE task_run.actual_start IS NOT NULL AND task_run.predicted_start IS NOT NULL"
	    " AND run.makespan > 0"
	    " GROUP BY run.id ORDER BY newest.age LIMIT 1";
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	bool row = false;
	int result = pa_catalog_prepare(catalog, sql, &statement, err);

	if (result == 0)
		result = pa_catalog_bind(catalog, statement, err, "si", pipeline_name,
		                         (int64_t)PA_CATALOG_HISTORY_RUNS);
	if (result == 0)
		result = pa_catalog_step(catalog, statement, &row, err);
	if (result == 0)
		*ret = row ? sqlite3_column_double(statement, 0) : NAN;
	return result;
}
