/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/catalog_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"

#define QUANTILE_EARLY  0
#define QUANTILE_MEDIAN 2
#define QUANTILE_LATE   4

/* A pipeline on its way in. */
struct writer {
	struct pa_catalog *catalog;
	const struct pa_pipeline *pipeline;
	const struct pa_forecast *forecast; /* or NULL */
	int64_t pipeline_id;
	struct pa_arena arena;
};

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_task(const void *a, const void *b)
{
	return strcmp((*(const struct pa_task *const *)a)->id, (*(const struct pa_task *const *)b)->id);
}

static void add_part(struct pa_hash_part *parts, size_t *count, const char *text)
{
	parts[(*count)++] = (struct pa_hash_part){text, strlen(text)};
}

/* Hash of tasks and edges, whatever their order in the file. */
static const char *shape_of(struct pa_arena *arena, const struct pa_pipeline *pipeline)
{
	const struct pa_task **tasks = pa_arena_array(arena, pipeline->task_count, sizeof(*tasks));
	size_t part_count = 0, count = 0;

	for (size_t i = 0; i < pipeline->task_count; i++) {
		tasks[i] = &pipeline->tasks[i];
		part_count += 5 + pipeline->tasks[i].after_count;
	}
	qsort(tasks, pipeline->task_count, sizeof(const struct pa_task *), compare_task);
	struct pa_hash_part *parts = pa_arena_array(arena, part_count, sizeof(*parts));
	for (size_t i = 0; i < pipeline->task_count; i++) {
		const char **after = pa_arena_array(arena, tasks[i]->after_count, sizeof(*after));
		add_part(parts, &count, tasks[i]->id);
		add_part(parts, &count, tasks[i]->template_name);
		add_part(parts, &count, pa_task_kind_name(tasks[i]->kind));
		add_part(parts, &count, pa_task_role_name(tasks[i]->role));
		for (size_t j = 0; j < tasks[i]->after_count; j++)
			after[j] = tasks[i]->after[j];
		qsort(after, tasks[i]->after_count, sizeof(*after), compare_text);
		for (size_t j = 0; j < tasks[i]->after_count; j++)
			add_part(parts, &count, after[j]);
		add_part(parts, &count, ""); /* ends the list: no task's id is empty */
	}
	return pa_hash_format(pa_hash_name(parts, count), pa_arena_alloc(arena, PA_HASH128_TEXT_BYTES));
}

/* A file may leave the name out.  Such pipelines are kept apart by their files, and have no history: it
 * goes by name. */
static const char *name_of(const struct pa_pipeline *pipeline)
{
	if (pipeline->name[0] != '\0')
		return pipeline->name;
	return pipeline->file != NULL && pipeline->file[0] != '\0' ? pipeline->file : "unnamed";
}

static int write_pipeline_row(struct writer *writer, struct pa_error *err)
{
	static const char sql[] =
	    "INSERT INTO pipeline (name, shape, format, file, document, sdk_version, predicted_makespan,"
	    " first_stored_ms, stored_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)"
	    " ON CONFLICT (name, shape) DO UPDATE SET format = excluded.format, file = excluded.file,"
	    " document = excluded.document, sdk_version = excluded.sdk_version, stored_ms = "
	    "excluded.stored_ms,"
	    " predicted_makespan = iif(?9, excluded.predicted_makespan, predicted_makespan) RETURNING id";
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	const struct pa_pipeline *pipeline = writer->pipeline;
	const struct pa_forecast *forecast = writer->forecast;
	double makespan = forecast == NULL ? NAN : forecast->makespan_s.quantiles[QUANTILE_MEDIAN];
	int result = pa_catalog_prepare(writer->catalog, sql, &statement, err);

	if (result == 0)
		result = pa_catalog_bind(writer->catalog, statement, err, "ssssisdii", name_of(pipeline),
		                         shape_of(&writer->arena, pipeline), pa_format_name(pipeline->format),
		                         pipeline->file == NULL ? "" : pipeline->file,
		                         (int64_t)pipeline->document, pipeline->sdk_version, makespan,
		                         pa_clock_wall_ms(), (int64_t)(forecast != NULL));
	if (result == 0)
		result = pa_catalog_integer(writer->catalog, statement, &writer->pipeline_id, err);
	return result;
}

static int write_tasks(struct writer *writer, struct pa_error *err)
{
	static const char sql[] =
	    "INSERT INTO task (pipeline_id, name, position, template, kind, role, image, predicted_start,"
	    " predicted_end, predicted_start_early, predicted_end_late, prediction_basis)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
	    " ON CONFLICT (pipeline_id, name) DO UPDATE SET position = excluded.position, image = "
	    "excluded.image,"
	    " predicted_start = iif(?13, excluded.predicted_start, predicted_start),"
	    " predicted_end = iif(?13, excluded.predicted_end, predicted_end),"
	    " predicted_start_early = iif(?13, excluded.predicted_start_early, predicted_start_early),"
	    " predicted_end_late = iif(?13, excluded.predicted_end_late, predicted_end_late),"
	    " prediction_basis = iif(?13, excluded.prediction_basis, prediction_basis)";
	static const struct pa_task_forecast unknown = {.start_s = {{NAN, NAN, NAN, NAN, NAN}},
	                                                .end_s = {{NAN, NAN, NAN, NAN, NAN}}};
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	const struct pa_forecast *forecast = writer->forecast;
	int result = pa_catalog_prepare(writer->catalog, sql, &statement, err);

	for (size_t i = 0; result == 0 && i < writer->pipeline->task_count; i++) {
		const struct pa_task *task = &writer->pipeline->tasks[i];
		const struct pa_task_forecast *times = forecast == NULL ? &unknown : &forecast->tasks[i];
		result = pa_catalog_bind(
		    writer->catalog, statement, err, "isissssddddsi", writer->pipeline_id, task->id,
		    (int64_t)i, task->template_name, pa_task_kind_name(task->kind),
		    pa_task_role_name(task->role), task->image == NULL ? "" : task->image,
		    times->start_s.quantiles[QUANTILE_MEDIAN], times->end_s.quantiles[QUANTILE_MEDIAN],
		    times->start_s.quantiles[QUANTILE_EARLY], times->end_s.quantiles[QUANTILE_LATE],
		    forecast == NULL ? NULL : pa_forecast_basis_name(times->basis),
		    (int64_t)(forecast != NULL));
		if (result == 0)
			result = pa_catalog_complete(writer->catalog, statement, err);
	}
	return result;
}

/* What hung on the tasks of an earlier version of the same shape goes; the new one may read other data. */
static int clear_links(struct writer *writer, struct pa_error *err)
{
	static const char *const statements[] = {
	    "DELETE FROM task_after WHERE task_id IN (SELECT id FROM task WHERE pipeline_id = ?1)",
	    "DELETE FROM task_has_directory WHERE task_id IN (SELECT id FROM task WHERE pipeline_id = ?1)",
	    "DELETE FROM data_has_task WHERE task_id IN (SELECT id FROM task WHERE pipeline_id = ?1)",
	};
	int result = 0;

	for (size_t i = 0; result == 0 && i < sizeof(statements) / sizeof(statements[0]); i++) {
		PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
		result = pa_catalog_prepare(writer->catalog, statements[i], &statement, err);
		if (result == 0)
			result = pa_catalog_bind(writer->catalog, statement, err, "i", writer->pipeline_id);
		if (result == 0)
			result = pa_catalog_complete(writer->catalog, statement, err);
	}
	return result;
}

static int unknown_task(const struct writer *writer, const char *id, struct pa_error *err)
{
	return pa_error_set(err, PA_ERROR_INPUT,
	                    "%s: task \"%s\" is named in pipeline \"%s\" and is not in it",
	                    writer->catalog->path, id, writer->pipeline->name);
}

static int write_edges(struct writer *writer, struct pa_error *err)
{
	static const char sql[] = "INSERT OR IGNORE INTO task_after (task_id, after_id)"
				  " SELECT a.id, b.id FROM task a JOIN task b USING (pipeline_id)"
				  " WHERE pipeline_id = ?1 AND a.name = ?2 AND b.name = ?3";
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int result = pa_catalog_prepare(writer->catalog, sql, &statement, err);

	for (size_t i = 0; result == 0 && i < writer->pipeline->task_count; i++) {
		const struct pa_task *task = &writer->pipeline->tasks[i];
		for (size_t j = 0; result == 0 && j < task->after_count; j++) {
			result = pa_catalog_bind(writer->catalog, statement, err, "iss", writer->pipeline_id,
			                         task->id, task->after[j]);
			if (result == 0)
				result = pa_catalog_complete(writer->catalog, statement, err);
			if (result == 0 && sqlite3_changes(writer->catalog->database) != 1)
				result = unknown_task(writer, task->after[j], err);
		}
	}
	return result;
}

/* One side of the schema: whole directories, or files and sets of them. */
struct link_kind {
	const char *insert_item; /* ?1 name, ?2 scope, ?3 kind, ?4 scratch */
	const char *insert_link; /* ?1 item, ?2 pipeline, ?3 task, ?4 role, ?5 path */
};

static const struct link_kind directory_links = {
    "INSERT INTO directory (name, scope, scratch) VALUES (?1, ?2, ?4)"
    " ON CONFLICT (name, scope) DO UPDATE SET scratch = excluded.scratch RETURNING id",
    "INSERT INTO task_has_directory (task_id, directory_id, role, path)"
    " SELECT id, ?1, ?4, ?5 FROM task WHERE pipeline_id = ?2 AND name = ?3"
    " ON CONFLICT DO UPDATE SET path = coalesce(path, excluded.path)",
};
static const struct link_kind data_links = {
    "INSERT INTO data (name, scope, kind, scratch) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (name, scope) DO UPDATE SET kind = excluded.kind, scratch = excluded.scratch RETURNING id",
    "INSERT INTO data_has_task (task_id, data_id, role, path)"
    " SELECT id, ?1, ?4, ?5 FROM task WHERE pipeline_id = ?2 AND name = ?3"
    " ON CONFLICT DO UPDATE SET path = coalesce(path, excluded.path)",
};

/* Makes the item, or finds it: it may be another pipeline's too, unless it is made anew by each run. */
static int write_item(struct writer *writer, const struct link_kind *link, const char *name, const char *kind,
                      bool scratch, int64_t *ret_id, struct pa_error *err)
{
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	const char *scope = scratch ? name_of(writer->pipeline) : "";
	int result = pa_catalog_prepare(writer->catalog, link->insert_item, &statement, err);

	if (result == 0)
		result = pa_catalog_bind(writer->catalog, statement, err, "pssi", name, scope, kind,
		                         (int64_t)scratch);
	if (result == 0)
		result = pa_catalog_integer(writer->catalog, statement, ret_id, err);
	return result;
}

static int write_link(struct writer *writer, const struct link_kind *link, int64_t item, const char *task,
                      const char *role, const char *path, struct pa_error *err)
{
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int result = pa_catalog_prepare(writer->catalog, link->insert_link, &statement, err);

	if (result == 0)
		result = pa_catalog_bind(writer->catalog, statement, err, "iisss", item, writer->pipeline_id,
		                         task, role, path);
	if (result == 0)
		result = pa_catalog_complete(writer->catalog, statement, err);
	if (result == 0 && sqlite3_changes(writer->catalog->database) != 1)
		result = unknown_task(writer, task, err);
	return result;
}

/* Where a task sees a claim, or NULL.  A plain search: pipelines that are made of a record have no index
 * of tasks. */
static const char *mount_path(const struct writer *writer, const char *task_id, const char *data)
{
	const struct pa_pipeline *pipeline = writer->pipeline;
	size_t number = 0;

	if (strncmp(data, "claim:", 6) != 0)
		return NULL;
	while (number < pipeline->task_count && strcmp(pipeline->tasks[number].id, task_id) != 0)
		number++;
	for (size_t i = 0; number < pipeline->task_count && i < pipeline->tasks[number].mount_count; i++) {
		const struct pa_task_mount *mount = &pipeline->tasks[number].mounts[i];
		if (mount->claim != NULL && strcmp(mount->claim, data + 6) == 0)
			return mount->path;
	}
	return NULL;
}

static int write_data(struct writer *writer, const struct pa_data *data, struct pa_error *err)
{
	const struct link_kind *link = strcmp(data->kind, "directory") == 0 ? &directory_links : &data_links;
	int64_t item = 0;
	int result = write_item(writer, link, data->id, data->kind, data->scratch, &item, err);

	for (size_t i = 0; result == 0 && i < data->read_count; i++)
		result = write_link(writer, link, item, data->read_by[i], "read",
		                    mount_path(writer, data->read_by[i], data->id), err);
	for (size_t i = 0; result == 0 && i < data->written_count; i++)
		result = write_link(writer, link, item, data->written_by[i], "write",
		                    mount_path(writer, data->written_by[i], data->id), err);
	return result;
}

static const char *artifact_name(struct writer *writer, const char *task, const char *output)
{
	return pa_arena_printf(&writer->arena, "artifact:%s/%s", task, output);
}

/* What tasks hand to each other: written by one, read by those that take it as an input. */
static int write_artifacts(struct writer *writer, const struct pa_task *task, struct pa_error *err)
{
	int64_t item = 0;
	int result = 0;

	for (size_t i = 0; result == 0 && i < task->output_count; i++) {
		const struct pa_output *output = &task->outputs[i];
		if (!output->artifact)
			continue;
		result = write_item(writer, &data_links, artifact_name(writer, task->id, output->name),
		                    "artifact", true, &item, err);
		if (result == 0)
			result = write_link(writer, &data_links, item, task->id, "write", output->path, err);
	}
	for (size_t i = 0; result == 0 && i < task->input_count; i++) {
		const struct pa_input *input = &task->inputs[i];
		for (size_t j = 0; result == 0 && input->artifact && j < input->origin_count; j++) {
			const struct pa_origin *origin = &input->origins[j];
			if (origin->kind != PA_ORIGIN_TASK)
				continue;
			result = write_item(writer, &data_links,
			                    artifact_name(writer, origin->task, origin->output), "artifact",
			                    true, &item, err);
			if (result == 0)
				result =
				    write_link(writer, &data_links, item, task->id, "read", input->path, err);
		}
	}
	return result;
}

static int write_all(struct writer *writer, struct pa_error *err)
{
	int result = write_pipeline_row(writer, err);

	if (result == 0)
		result = write_tasks(writer, err);
	if (result == 0)
		result = clear_links(writer, err);
	if (result == 0)
		result = write_edges(writer, err);
	for (size_t i = 0; result == 0 && i < writer->pipeline->data_count; i++)
		result = write_data(writer, &writer->pipeline->data[i], err);
	for (size_t i = 0; result == 0 && i < writer->pipeline->task_count; i++)
		result = write_artifacts(writer, &writer->pipeline->tasks[i], err);
	if (result == 0)
		result = pa_catalog_execute(
		    writer->catalog,
		    "DELETE FROM directory WHERE id NOT IN (SELECT directory_id FROM task_has_directory);"
		    "DELETE FROM data WHERE id NOT IN (SELECT data_id FROM data_has_task);",
		    err);
	return result;
}

int pa_catalog_write_pipeline(struct pa_catalog *catalog, const struct pa_pipeline *pipeline,
                              const struct pa_forecast *forecast, int64_t *ret_id, struct pa_error *err)
{
	struct writer writer = {.catalog = catalog, .pipeline = pipeline, .forecast = forecast};

	if (forecast != NULL && forecast->task_count != pipeline->task_count)
		return pa_error_set(
		    err, PA_ERROR_BUG, "%s: a forecast of %zu tasks for the %zu of pipeline \"%s\"",
		    catalog->path, forecast->task_count, pipeline->task_count, pipeline->name);
	pa_arena_init(&writer.arena);
	int result = write_all(&writer, err);
	pa_arena_done(&writer.arena);
	if (result == 0)
		*ret_id = writer.pipeline_id;
	return result;
}

int pa_catalog_store_pipeline(struct pa_catalog *catalog, const struct pa_pipeline *pipeline,
                              const struct pa_forecast *forecast, int64_t *ret_pipeline_id,
                              struct pa_error *err)
{
	int64_t id = 0;
	int result = pa_catalog_begin(catalog, err);

	if (result == 0)
		result = pa_catalog_write_pipeline(catalog, pipeline, forecast, &id, err);
	result = pa_catalog_finish(catalog, result, err);
	if (result == 0)
		*ret_pipeline_id = id;
	return result;
}
