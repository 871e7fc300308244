/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/catalog_internal.h"

#include <stdio.h>

#include "base/cleanup.h"

/* A schema is one text; the 4,095 characters that C99 promises are no limit of any compiler this builds
 * with. */
#pragma GCC diagnostic ignored "-Woverlength-strings"

/* Columns of type ANY hold names that may be any bytes: text where they are UTF-8, else blobs. */
static const char version_1[] =
    "CREATE TABLE pipeline (\n"
    "  id                 INTEGER PRIMARY KEY,\n"
    "  name               ANY NOT NULL CHECK (name <> ''),\n"
    "  shape              TEXT NOT NULL CHECK (length(shape) = 32), -- hash of its tasks and edges\n"
    "  format             TEXT NOT NULL,\n"
    "  file               ANY NOT NULL,\n"
    "  document           INTEGER NOT NULL CHECK (document >= 0),\n"
    "  sdk_version        TEXT,\n"
    "  predicted_makespan REAL,             -- seconds, median\n"
    "  first_stored_ms    INTEGER NOT NULL, -- since 1970\n"
    "  stored_ms          INTEGER NOT NULL,\n"
    "  UNIQUE (name, shape)\n"
    ") STRICT;\n"
    "CREATE TABLE task (\n"
    "  id                    INTEGER PRIMARY KEY,\n"
    "  pipeline_id           INTEGER NOT NULL REFERENCES pipeline (id) ON DELETE CASCADE,\n"
    "  name                  TEXT NOT NULL CHECK (name <> ''), -- the task's id in its pipeline\n"
    "  position              INTEGER NOT NULL CHECK (position >= 0),\n"
    "  template              TEXT NOT NULL,\n"
    "  kind                  TEXT NOT NULL,\n"
    "  role                  TEXT NOT NULL CHECK (role IN ('main', 'exit', 'hook')),\n"
    "  image                 TEXT NOT NULL,\n"
    "  predicted_start       REAL, -- seconds from the run's start, median\n"
    "  predicted_end         REAL, -- likewise\n"
    "  predicted_start_early REAL, -- .1 quantile: data must be there by then\n"
    "  predicted_end_late    REAL, -- .9 quantile: data may go after it\n"
    "  prediction_basis      TEXT, -- history, pipeline, prior\n"
    "  UNIQUE (pipeline_id, name)\n"
    ") STRICT;\n"
    "CREATE INDEX task_name ON task (name);\n"
    "CREATE TABLE task_after (\n"
    "  task_id  INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,\n"
    "  after_id INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,\n"
    "  PRIMARY KEY (task_id, after_id),\n"
    "  CHECK (task_id <> after_id)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE INDEX task_after_after ON task_after (after_id);\n"
    "CREATE TABLE directory (\n"
    "  id      INTEGER PRIMARY KEY,\n"
    "  name    ANY NOT NULL,  -- claim:NAME or uri:URI\n"
    "  scope   ANY NOT NULL, -- '': of all pipelines; else the one that makes it\n"
    "  scratch INTEGER NOT NULL CHECK (scratch IN (0, 1)),\n"
    "  UNIQUE (name, scope)\n"
    ") STRICT;\n"
    "CREATE TABLE data (\n"
    "  id      INTEGER PRIMARY KEY,\n"
    "  name    ANY NOT NULL,  -- claim:NAME, uri:URI, file:NAME or artifact:TASK/OUTPUT\n"
    "  scope   ANY NOT NULL,\n"
    "  kind    TEXT NOT NULL CHECK (kind IN ('file', 'table', 'unknown', 'artifact')),\n"
    "  scratch INTEGER NOT NULL CHECK (scratch IN (0, 1)),\n"
    "  UNIQUE (name, scope)\n"
    ") STRICT;\n"
    "CREATE TABLE task_has_directory (\n"
    "  task_id      INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,\n"
    "  directory_id INTEGER NOT NULL REFERENCES directory (id) ON DELETE CASCADE,\n"
    "  role         TEXT NOT NULL CHECK (role IN ('read', 'write')),\n"
    "  path         ANY, -- where the task sees it\n"
    "  PRIMARY KEY (task_id, directory_id, role)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE INDEX task_has_directory_directory ON task_has_directory (directory_id);\n"
    "CREATE TABLE data_has_task (\n"
    "  data_id INTEGER NOT NULL REFERENCES data (id) ON DELETE CASCADE,\n"
    "  task_id INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,\n"
    "  role    TEXT NOT NULL CHECK (role IN ('read', 'write')),\n"
    "  path    ANY,\n"
    "  PRIMARY KEY (data_id, task_id, role)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE INDEX data_has_task_task ON data_has_task (task_id);\n"
    "CREATE TABLE run (\n"
    "  id          INTEGER PRIMARY KEY,\n"
    "  pipeline_id INTEGER NOT NULL REFERENCES pipeline (id) ON DELETE CASCADE,\n"
    "  mode        TEXT NOT NULL CHECK (mode IN ('ahead', 'without', 'local', 'imported')),\n"
    "  outcome     TEXT NOT NULL CHECK (outcome IN ('succeeded', 'failed', 'interrupted')),\n"
    "  started_ms  INTEGER NOT NULL, -- since 1970\n"
    "  makespan    REAL,             -- seconds\n"
    "  stall       REAL,             -- seconds\n"
    "  import_key  TEXT UNIQUE,      -- hash of the record that it was taken from\n"
    "  profile_cut INTEGER NOT NULL CHECK (profile_cut IN (0, 1)) -- more reads than are kept\n"
    ") STRICT;\n"
    "CREATE INDEX run_pipeline ON run (pipeline_id, started_ms);\n"
    "CREATE TABLE task_run (\n"
    "  id              INTEGER PRIMARY KEY,\n"
    "  run_id          INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  task_id         INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,\n"
    "  instance        TEXT NOT NULL, -- a loop's item and attempt, ''\n"
    "  outcome         TEXT NOT NULL CHECK (outcome <> ''),\n"
    "  ready           REAL, -- seconds from the run's start\n"
    "  actual_start    REAL,\n"
    "  actual_end      REAL,\n"
    "  predicted_start REAL,\n"
    "  predicted_end   REAL,\n"
    "  stall           REAL, -- seconds of start to end that data was waited for\n"
    "  duration        REAL CHECK (duration >= 0), -- seconds without stall\n"
    "  read_bytes      INTEGER NOT NULL CHECK (read_bytes >= 0),\n"
    "  memory_bytes    INTEGER NOT NULL CHECK (memory_bytes >= 0), -- of read_bytes, those from memory\n"
    "  written_bytes   INTEGER NOT NULL CHECK (written_bytes >= 0),\n"
    "  input_bytes     INTEGER NOT NULL CHECK (input_bytes >= 0),\n"
    "  UNIQUE (run_id, task_id, instance)\n"
    ") STRICT;\n"
    "CREATE INDEX task_run_task ON task_run (task_id);\n"
    "CREATE TABLE access_profile (\n"
    "  run_id     INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,\n"
    "  task_id    INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,\n"
    "  position   INTEGER NOT NULL CHECK (position >= 0), -- order of first open\n"
    "  data_set   ANY NOT NULL,\n"
    "  path       ANY NOT NULL,\n"
    "  read_bytes INTEGER NOT NULL CHECK (read_bytes >= 0),\n"
    "  first_open REAL, -- seconds after the task's start\n"
    "  PRIMARY KEY (task_id, run_id, position)\n"
    ") STRICT, WITHOUT ROWID;\n"
    "CREATE INDEX access_profile_run ON access_profile (run_id);\n"
    "CREATE TABLE source (\n"
    "  match     ANY NOT NULL PRIMARY KEY, -- claim:NAME or a URI prefix\n"
    "  location  ANY NOT NULL,\n"
    "  bandwidth INTEGER NOT NULL CHECK (bandwidth >= 0), -- bytes a second; 0: no cap\n"
    "  stored_ms INTEGER NOT NULL\n"
    ") STRICT;\n"
    "CREATE TABLE manifest (\n"
    "  data_set      ANY NOT NULL,\n"
    "  id            TEXT NOT NULL CHECK (length(id) = 32),\n"
    "  file_count    INTEGER NOT NULL CHECK (file_count >= 0),\n"
    "  total_bytes   INTEGER NOT NULL CHECK (total_bytes >= 0),\n"
    "  first_seen_ms INTEGER NOT NULL,\n"
    "  last_seen_ms  INTEGER NOT NULL,\n"
    "  PRIMARY KEY (data_set, id)\n"
    ") STRICT, WITHOUT ROWID;\n";

const struct pa_catalog_migration pa_catalog_migrations[] = {
    {version_1},
};
const size_t pa_catalog_migration_count = PA_ARRAY_LENGTH(pa_catalog_migrations);

const char *pa_catalog_schema(void)
{
	return version_1;
}

static int read_version(struct pa_catalog *catalog, int64_t *ret, struct pa_error *err)
{
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int result = pa_catalog_prepare(catalog, "PRAGMA user_version", &statement, err);

	return result < 0 ? result : pa_catalog_integer(catalog, statement, ret, err);
}

static int check_version(struct pa_catalog *catalog, int64_t version, size_t known, struct pa_error *err)
{
	if (version < 0 || (uint64_t)version > known)
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "%s: the catalog has version %lld and this program knows up to %zu; use a newer "
		    "pipeahead, or another path with PIPEAHEAD_CATALOG",
		    catalog->path, (long long)version, known);
	return 0;
}

static int apply(struct pa_catalog *catalog, const struct pa_catalog_migration *migrations, size_t count,
                 struct pa_error *err)
{
	char mark[96];
	int64_t version;
	/* Again, inside the transaction: another program may have done it in between. */
	int result = read_version(catalog, &version, err);

	if (result == 0)
		result = check_version(catalog, version, count, err);
	for (size_t i = result < 0 ? count : (size_t)version; result == 0 && i < count; i++)
		result = pa_catalog_execute(catalog, migrations[i].sql, err);
	if (result < 0)
		return result;
	snprintf(mark, sizeof(mark), "PRAGMA application_id = %d; PRAGMA user_version = %zu;",
	         PA_CATALOG_APPLICATION_ID, count);
	return pa_catalog_execute(catalog, mark, err);
}

int pa_catalog_migrate(struct pa_catalog *catalog, const struct pa_catalog_migration *migrations,
                       size_t count, struct pa_error *err)
{
	int64_t version;
	int result = read_version(catalog, &version, err);

	if (result == 0)
		result = check_version(catalog, version, count, err);
	if (result < 0 || (size_t)version == count)
		return result;
	result = pa_catalog_begin(catalog, err);
	if (result == 0)
		result = apply(catalog, migrations, count, err);
	return pa_catalog_finish(catalog, result, err);
}
