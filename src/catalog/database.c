/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/catalog_internal.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define OPEN_RETRY_MS 10

struct failure {
	int code; /* primary result code of SQLite */
	enum pa_error_class class;
	const char *advice;
};

static const struct failure failures[] = {
    {SQLITE_FULL, PA_ERROR_NO_SPACE, "free space on that disk, or set PIPEAHEAD_CATALOG to another place"},
    {SQLITE_NOTADB, PA_ERROR_INPUT, "this file is no catalog; give another path with PIPEAHEAD_CATALOG"},
    {SQLITE_CORRUPT, PA_ERROR_INPUT, "the catalog is damaged; put a backup in its place, or move it away"},
    {SQLITE_BUSY, PA_ERROR_TRANSIENT, "another program has been writing to it for 10 s; try again"},
    {SQLITE_LOCKED, PA_ERROR_TRANSIENT, "another statement holds it; try again"},
    {SQLITE_READONLY, PA_ERROR_PERMANENT, "it cannot be written; set PIPEAHEAD_CATALOG to a place that can"},
    {SQLITE_PERM, PA_ERROR_PERMANENT, "it cannot be written; set PIPEAHEAD_CATALOG to a place that can"},
    {SQLITE_CANTOPEN, PA_ERROR_PERMANENT,
     "the file, or its -wal and -shm beside it, cannot be made; set PIPEAHEAD_CATALOG to a place that can be "
     "written"},
    {SQLITE_CONSTRAINT, PA_ERROR_BUG, "the record breaks a rule of its table"},
    {SQLITE_INTERRUPT, PA_ERROR_DEADLINE, "ask for less"},
    {SQLITE_TOOBIG, PA_ERROR_INPUT, "a value is larger than the limit of 16 MiB"},
};

int pa_catalog_failed(struct pa_catalog *catalog, struct pa_error *err, const char *what)
{
	int code = sqlite3_extended_errcode(catalog->database);
	int primary = code & 0xff;
	int os_errno = sqlite3_system_errno(catalog->database);
	enum pa_error_class class = PA_ERROR_PERMANENT;
	const char *advice = "look at that disk";

	/* A write-ahead log that cannot grow on a full disk is reported as an I/O error, or as one of
	 * opening. */
	if ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) &&
	    (os_errno == ENOSPC || os_errno == EDQUOT))
		primary = SQLITE_FULL;
	for (size_t i = 0; i < PA_ARRAY_LENGTH(failures); i++) {
		if (failures[i].code == primary) {
			class = failures[i].class;
			advice = failures[i].advice;
		}
	}
	return pa_error_set(err, class, "%s: %s: %s; %s", catalog->path, what,
	                    sqlite3_errmsg(catalog->database), advice);
}

int pa_catalog_prepare(struct pa_catalog *catalog, const char *sql, sqlite3_stmt **ret, struct pa_error *err)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(catalog->database, sql, -1, &statement, NULL) != SQLITE_OK)
		return pa_catalog_failed(catalog, err, "cannot be read or written");
	*ret = statement;
	return 0;
}

/* Paths may be any bytes.  What is no UTF-8 is kept as a blob, so that it comes back as it went in and no
 * function of SQLite takes it for text. */
static int bind_text(sqlite3_stmt *statement, int index, const char *text)
{
	if (text == NULL)
		return sqlite3_bind_null(statement, index);
	size_t bytes = strlen(text);
	if (bytes > PA_CATALOG_VALUE_BYTES)
		return SQLITE_TOOBIG;
	if (pa_catalog_is_utf8(text, bytes))
		return sqlite3_bind_text(statement, index, text, (int)bytes, SQLITE_TRANSIENT);
	return sqlite3_bind_blob(statement, index, text, (int)bytes, SQLITE_TRANSIENT);
}

static int bind_redacted(sqlite3_stmt *statement, int index, const char *text)
{
	PA_AUTO_FREE char *copy = NULL;

	return bind_text(statement, index, text == NULL ? NULL : pa_catalog_redact(text, &copy));
}

static int bind_real(sqlite3_stmt *statement, int index, double value)
{
	return isfinite(value) ? sqlite3_bind_double(statement, index, value)
	                       : sqlite3_bind_null(statement, index);
}

static int bind_size(sqlite3_stmt *statement, int index, uint64_t value)
{
	return sqlite3_bind_int64(statement, index, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

int pa_catalog_bind(struct pa_catalog *catalog, sqlite3_stmt *statement, struct pa_error *err,
                    const char *types, ...)
{
	va_list arguments;
	int code = SQLITE_OK;

	sqlite3_reset(statement);
	va_start(arguments, types);
	for (int i = 1; types[i - 1] != '\0' && code == SQLITE_OK; i++) {
		switch (types[i - 1]) {
		case 's':
			code = bind_text(statement, i, va_arg(arguments, const char *));
			break;
		case 'p':
			code = bind_redacted(statement, i, va_arg(arguments, const char *));
			break;
		case 'i':
			code = sqlite3_bind_int64(statement, i, va_arg(arguments, int64_t));
			break;
		case 'u':
			code = bind_size(statement, i, va_arg(arguments, uint64_t));
			break;
		default:
			code = bind_real(statement, i, va_arg(arguments, double));
			break;
		}
	}
	va_end(arguments);
	if (code == SQLITE_TOOBIG)
		return pa_error_set(err, PA_ERROR_INPUT, "%s: a text is larger than the limit of 16 MiB",
		                    catalog->path);
	if (code != SQLITE_OK)
		return pa_catalog_failed(catalog, err, "a value cannot be bound");
	return 0;
}

int pa_catalog_step(struct pa_catalog *catalog, sqlite3_stmt *statement, bool *ret_row, struct pa_error *err)
{
	int code = sqlite3_step(statement);

	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return pa_catalog_failed(catalog, err, "cannot be read or written");
	*ret_row = code == SQLITE_ROW;
	return 0;
}

int pa_catalog_complete(struct pa_catalog *catalog, sqlite3_stmt *statement, struct pa_error *err)
{
	bool row = true;
	int result = 0;

	while (result == 0 && row)
		result = pa_catalog_step(catalog, statement, &row, err);
	sqlite3_reset(statement);
	return result;
}

int pa_catalog_integer(struct pa_catalog *catalog, sqlite3_stmt *statement, int64_t *ret,
                       struct pa_error *err)
{
	bool row = false;
	int result = pa_catalog_step(catalog, statement, &row, err);

	if (result < 0)
		return result;
	if (!row)
		return pa_error_set(err, PA_ERROR_NOT_FOUND, "%s: no such row", catalog->path);
	int64_t value = sqlite3_column_int64(statement, 0);
	result = pa_catalog_complete(catalog, statement, err);
	if (result == 0)
		*ret = value;
	return result;
}

int pa_catalog_execute(struct pa_catalog *catalog, const char *sql, struct pa_error *err)
{
	if (sqlite3_exec(catalog->database, sql, NULL, NULL, NULL) != SQLITE_OK)
		return pa_catalog_failed(catalog, err, "cannot be read or written");
	return 0;
}

int pa_catalog_begin(struct pa_catalog *catalog, struct pa_error *err)
{
	/* IMMEDIATE: the wait for another writer is here, where it can be waited for, and never in the
	 * middle. */
	return pa_catalog_execute(catalog, "BEGIN IMMEDIATE", err);
}

int pa_catalog_finish(struct pa_catalog *catalog, int result, struct pa_error *err)
{
	if (result == 0)
		result = pa_catalog_execute(catalog, "COMMIT", err);
	/* Some failures, a full disk among them, have rolled back already. */
	if (result < 0 && !sqlite3_get_autocommit(catalog->database))
		sqlite3_exec(catalog->database, "ROLLBACK", NULL, NULL, NULL);
	return result;
}

const char *pa_catalog_column(struct pa_arena *arena, sqlite3_stmt *statement, int column)
{
	const void *data = sqlite3_column_blob(statement, column);
	int bytes = sqlite3_column_bytes(statement, column);

	if (sqlite3_column_type(statement, column) == SQLITE_NULL)
		return NULL;
	return pa_arena_strndup(arena, data == NULL ? "" : data, (size_t)bytes);
}

char *pa_catalog_default_path(char *out, size_t room)
{
	const char *path = getenv("PIPEAHEAD_CATALOG");
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (path != NULL && path[0] != '\0')
		snprintf(out, room, "%s", path);
	else if (state != NULL &&
	         state[0] == '/') /* the XDG specification: a relative path is to be ignored */
		snprintf(out, room, "%s/pipeahead/catalog.db", state);
	else
		snprintf(out, room, "%s/.local/state/pipeahead/catalog.db", home == NULL ? "" : home);
	return out;
}

static int make_folders(const char *path, struct pa_error *err)
{
	PA_AUTO_FREE char *copy = strdup(path);

	if (copy == NULL)
		return pa_error_set_errno(err, ENOMEM, "%s: the folder of the catalog cannot be made", path);
	for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0700) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
			return pa_error_set_errno(err, errno, "%s: the folder of the catalog cannot be made",
			                          copy);
		*slash = '/';
	}
	return 0;
}

static int read_pragma(struct pa_catalog *catalog, const char *sql, int64_t *ret, struct pa_error *err)
{
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int result = pa_catalog_prepare(catalog, sql, &statement, err);

	return result < 0 ? result : pa_catalog_integer(catalog, statement, ret, err);
}

/* Before anything is written: is it ours, or new? */
static int check_owner(struct pa_catalog *catalog, struct pa_error *err)
{
	int64_t application = 0, tables = 0;
	/* One picture of both: another program may be making the catalog at this moment. */
	int result = pa_catalog_execute(catalog, "BEGIN", err);

	if (result < 0)
		return result;
	result = read_pragma(catalog, "PRAGMA application_id", &application, err);
	if (result == 0)
		result = read_pragma(catalog, "SELECT count(*) FROM sqlite_master", &tables, err);
	sqlite3_exec(catalog->database, "COMMIT", NULL, NULL, NULL);
	if (result < 0)
		return result;
	if (application != PA_CATALOG_APPLICATION_ID && (application != 0 || tables > 0))
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "%s: this is another program's database; give another path with PIPEAHEAD_CATALOG",
		    catalog->path);
	if (sqlite3_db_readonly(catalog->database, "main") == 1)
		return pa_error_set(
		    err, PA_ERROR_PERMANENT,
		    "%s: the catalog cannot be written; set PIPEAHEAD_CATALOG to a place that can",
		    catalog->path);
	return 0;
}

/* Changing the journal's mode takes the whole file, and SQLite does not wait for that by itself: several programs that
 * open a new catalog at once would fail. */
static int use_wal(struct pa_catalog *catalog, struct pa_error *err)
{
	int64_t deadline_ns = pa_clock_deadline(PA_CATALOG_BUSY_MS * PA_NS_PER_MS);
	int status;

	while ((status = sqlite3_exec(catalog->database, "PRAGMA journal_mode = WAL", NULL, NULL, NULL)) ==
	           SQLITE_BUSY &&
	       pa_clock_ns() < deadline_ns)
		sqlite3_sleep(OPEN_RETRY_MS);
	return status == SQLITE_OK ? 0 : pa_catalog_failed(catalog, err, "cannot be opened");
}

static int set_up(struct pa_catalog *catalog, struct pa_error *err)
{
	/* trusted_schema off: a damaged or crafted file runs no function of ours out of its schema. */
	static const char pragmas[] = "PRAGMA synchronous = FULL;"
				      "PRAGMA foreign_keys = ON;"
				      "PRAGMA trusted_schema = OFF;"
				      "PRAGMA journal_size_limit = 67108864;";
	int result;

	sqlite3_busy_timeout(catalog->database, PA_CATALOG_BUSY_MS);
	sqlite3_limit(catalog->database, SQLITE_LIMIT_LENGTH, PA_CATALOG_VALUE_BYTES);
	result = check_owner(catalog, err);
	if (result == 0)
		result = use_wal(catalog, err);
	if (result == 0)
		result = pa_catalog_execute(catalog, pragmas, err);
	if (result == 0)
		result = pa_catalog_migrate(catalog, pa_catalog_migrations, pa_catalog_migration_count, err);
	return result;
}

int pa_catalog_open(const char *path, struct pa_catalog **ret, struct pa_error *err)
{
	char default_path[PATH_MAX];
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

	if (path == NULL)
		path = pa_catalog_default_path(default_path, sizeof(default_path));
	/* SQLite takes an empty name, and some others, for databases that vanish when closed. */
	if (path[0] == '\0' || path[0] == ':')
		return pa_error_set(err, PA_ERROR_INPUT, "\"%s\" is no path of a catalog", path);
	int result = make_folders(path, err);
	if (result < 0)
		return result;
	struct pa_catalog *catalog = calloc(1, sizeof(*catalog));
	if (catalog == NULL || (catalog->path = strdup(path)) == NULL) {
		free(catalog);
		return pa_error_set_errno(err, ENOMEM, "%s: cannot be opened", path);
	}
	if (sqlite3_open_v2(path, &catalog->database, flags, NULL) != SQLITE_OK)
		result = pa_catalog_failed(catalog, err, "cannot be opened");
	if (result == 0)
		result = set_up(catalog, err);
	if (result < 0) {
		pa_catalog_close(catalog);
		return result;
	}
	*ret = catalog;
	return 0;
}

void pa_catalog_close(struct pa_catalog *catalog)
{
	if (catalog == NULL)
		return;
	sqlite3_close(catalog->database);
	free(catalog->path);
	free(catalog);
}
