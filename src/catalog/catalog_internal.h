/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the catalog share: the handle, statements, transactions, text as it is stored.
 *
 * Every function of this header that can fail leaves a transaction that is open as it is; the public
 * function that began it ends it with pa_catalog_finish(), which commits or rolls back.
 */
#ifndef PA_CATALOG_CATALOG_INTERNAL_H
#define PA_CATALOG_CATALOG_INTERNAL_H

#include <sqlite3.h>

#include "catalog/catalog.h"

/* "pipe" in ASCII: tells our files from other programs' databases. */
#define PA_CATALOG_APPLICATION_ID 0x70697065
#define PA_CATALOG_BUSY_MS        10000
#define PA_CATALOG_VALUE_BYTES    (16 << 20) /* one string or blob */
#define PA_CATALOG_PROFILE_ROWS   1000000    /* reads kept of one run */
#define PA_CATALOG_HISTORY_RUNS   50
#define PA_CATALOG_MANIFESTS      20 /* versions kept of one data set */

struct pa_catalog {
	sqlite3 *database;
	char *path;
};

static inline void pa_catalog_finalize(sqlite3_stmt **statement)
{
	sqlite3_finalize(*statement);
}
#define PA_AUTO_STATEMENT __attribute__((cleanup(pa_catalog_finalize)))

/* database.c: the last error of SQLite as ours, "path: what: why; what to do". */
int pa_catalog_failed(struct pa_catalog *catalog, struct pa_error *err, const char *what);
int pa_catalog_prepare(struct pa_catalog *catalog, const char *sql, sqlite3_stmt **ret, struct pa_error *err);
/* Resets, then binds by a letter each: s text (NULL: null), i int64_t, u uint64_t (held to what SQLite has),
 * d double (not finite: null), p text in which passwords are made out (see pa_catalog_redact). */
int pa_catalog_bind(struct pa_catalog *catalog, sqlite3_stmt *statement, struct pa_error *err,
                    const char *types, ...);
int pa_catalog_step(struct pa_catalog *catalog, sqlite3_stmt *statement, bool *ret_row, struct pa_error *err);
/* Steps to the end, whatever rows come. */
int pa_catalog_complete(struct pa_catalog *catalog, sqlite3_stmt *statement, struct pa_error *err);
/* For a statement that gives one integer: PA_ERROR_NOT_FOUND when it gives no row. */
int pa_catalog_integer(struct pa_catalog *catalog, sqlite3_stmt *statement, int64_t *ret,
                       struct pa_error *err);
int pa_catalog_execute(struct pa_catalog *catalog, const char *sql, struct pa_error *err);
int pa_catalog_begin(struct pa_catalog *catalog, struct pa_error *err);
/* Commits when `result` is 0, else rolls back and returns it. */
int pa_catalog_finish(struct pa_catalog *catalog, int result, struct pa_error *err);
/* Text or bytes of a column in the arena; NULL for null. */
const char *pa_catalog_column(struct pa_arena *arena, sqlite3_stmt *statement, int column);

/* schema.c: step n brings a database of version n to n + 1. */
struct pa_catalog_migration {
	const char *sql;
};
extern const struct pa_catalog_migration pa_catalog_migrations[];
extern const size_t pa_catalog_migration_count;
int pa_catalog_migrate(struct pa_catalog *catalog, const struct pa_catalog_migration *migrations,
                       size_t count, struct pa_error *err);

/* text.c */
bool pa_catalog_is_utf8(const char *text, size_t bytes);
/* The text without what logs in: user and password of a URL, values of signatures, tokens and keys in its
 * query. Returns `text` itself when there is nothing to take out, else a copy to free(), put into
 * `*ret_copy` too. */
const char *pa_catalog_redact(const char *text, char **ret_copy);
/* A value of a row as JSON: bytes that are no text become {"hex": "…"}. */
void pa_catalog_put_json(struct pa_buffer *out, sqlite3_stmt *statement, int column);
void pa_catalog_put_json_string(struct pa_buffer *out, const char *text, size_t bytes);
/* A value of a row for a terminal: control characters escaped, bytes that are no text as X'…'. */
void pa_catalog_put_cell(struct pa_buffer *out, sqlite3_stmt *statement, int column);

/* pipelines.c, runs.c: the work of the public functions, inside a transaction of the caller. */
int pa_catalog_write_pipeline(struct pa_catalog *catalog, const struct pa_pipeline *pipeline,
                              const struct pa_forecast *forecast, int64_t *ret_id, struct pa_error *err);
/* What a run that was recorded elsewhere has besides. */
struct pa_catalog_origin {
	const char *import_key;
	const double *
	    durations_s; /* in the order of the run's tasks, where the record has no start and end; or NULL */
};
int pa_catalog_write_run(struct pa_catalog *catalog, int64_t pipeline_id, const struct pa_run_record *run,
                         const struct pa_catalog_origin *origin, int64_t *ret_id, struct pa_error *err);

/* import_*.c: one execution, as far as a file tells. */
struct pa_catalog_import {
	struct pa_pipeline pipeline;
	struct pa_run_record run;
	const double *durations_s; /* as in struct pa_catalog_origin */
};
struct json_t;
bool pa_catalog_is_wfformat(const struct json_t *root);
bool pa_catalog_is_workflow(const struct json_t *root);
int pa_catalog_read_wfformat(struct pa_arena *arena, const char *file, const struct json_t *root,
                             struct pa_catalog_import *ret, struct pa_error *err);
int pa_catalog_read_workflow(struct pa_arena *arena, const char *file, const struct json_t *root,
                             struct pa_catalog_import *ret, struct pa_error *err);
/* Milliseconds since 1970 of a time in RFC 3339 or ISO 8601's basic form; false for anything else. */
bool pa_catalog_parse_time(const char *text, int64_t *ret_ms);

#endif
