/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/catalog_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/units.h"

#define QUERY_ROWS        100000
#define QUERY_COLUMNS     200
#define QUERY_CELLS_BYTES (64u << 20) /* of a table, which is laid out when all of it is known */
#define QUERY_SQL_BYTES   (1 << 20)
#define QUERY_SECONDS     60
#define PROGRESS_STEPS    10000 /* of SQLite's machine, between looks at the clock */

/* Statements that SQLite counts as read-only and that are not: ATTACH makes files, BEGIN holds locks, most
 * PRAGMAs set something.  Only what reads tables is let through. */
static int authorise(void *context, int action, const char *first, const char *second, const char *third,
                     const char *fourth)
{
	static const char *const pragmas[] = {"table_info", "table_list",       "table_xinfo", "index_list",
	                                      "index_info", "foreign_key_list", "user_version"};

	(void)context;
	(void)third;
	(void)fourth;
	if (action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_FUNCTION ||
	    action == SQLITE_RECURSIVE)
		return SQLITE_OK;
	if (action != SQLITE_PRAGMA)
		return SQLITE_DENY;
	for (size_t i = 0; i < PA_ARRAY_LENGTH(pragmas); i++)
		if (sqlite3_stricmp(first, pragmas[i]) == 0 &&
		    (second == NULL || strcmp(first, "user_version") != 0))
			return SQLITE_OK;
	return SQLITE_DENY;
}

static int look_at_clock(void *deadline_ns)
{
	return pa_clock_ns() > *(const int64_t *)deadline_ns;
}

static int refuse_sql(struct pa_catalog *catalog, struct pa_error *err)
{
	if (sqlite3_errcode(catalog->database) == SQLITE_AUTH)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "the query does more than read (%s); give one SELECT statement",
		                    sqlite3_errmsg(catalog->database));
	int offset = sqlite3_error_offset(catalog->database);
	if (offset >= 0)
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "the query is no SQL: %s, at character %d; \"pipeahead catalog schema\" shows the tables",
		    sqlite3_errmsg(catalog->database), offset + 1);
	return pa_error_set(err, PA_ERROR_INPUT, "the query is no SQL: %s",
	                    sqlite3_errmsg(catalog->database));
}

/* Exactly one statement, and one that reads. */
static int prepare_query(struct pa_catalog *catalog, const char *sql, sqlite3_stmt **ret,
                         struct pa_error *err)
{
	sqlite3_stmt *statement = NULL;
	PA_AUTO_STATEMENT sqlite3_stmt *second = NULL;
	const char *tail = sql;

	if (strlen(sql) > QUERY_SQL_BYTES)
		return pa_error_set(err, PA_ERROR_INPUT, "the query is longer than the limit of 1 MiB");
	if (sqlite3_prepare_v2(catalog->database, sql, -1, &statement, &tail) != SQLITE_OK)
		return refuse_sql(catalog, err);
	if (statement == NULL)
		return pa_error_set(err, PA_ERROR_INPUT, "the query is empty; give one SELECT statement");
	if (sqlite3_prepare_v2(catalog->database, tail, -1, &second, NULL) != SQLITE_OK || second != NULL) {
		sqlite3_finalize(statement);
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "the query has something after its first statement; give one "
		                    "SELECT statement");
	}
	if (!sqlite3_stmt_readonly(statement) || sqlite3_column_count(statement) == 0) {
		sqlite3_finalize(statement);
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "the query does more than read; give one SELECT statement");
	}
	*ret = statement;
	return 0;
}

static int too_many_rows(struct pa_error *err)
{
	return pa_error_set(err, PA_ERROR_INPUT,
	                    "the query gives more than %d rows; narrow it, or add LIMIT and OFFSET",
	                    QUERY_ROWS);
}

static int check_output(const struct pa_buffer *out, struct pa_error *err)
{
	char limit[32];

	if (!out->overflowed)
		return 0;
	return pa_error_set(err, PA_ERROR_INPUT, "the output is larger than the limit of %s; ask for less",
	                    pa_units_format_bytes(out->limit, limit, sizeof(limit)));
}

/* A key that an earlier column has already gets the column's number. */
static void put_key(struct pa_buffer *out, sqlite3_stmt *statement, int column)
{
	const char *name = sqlite3_column_name(statement, column);
	char numbered[128];

	for (int i = 0; i < column; i++) {
		if (strcmp(sqlite3_column_name(statement, i), name) == 0) {
			snprintf(numbered, sizeof(numbered), "%.100s:%d", name, column + 1);
			name = numbered;
			break;
		}
	}
	pa_catalog_put_json_string(out, name, strlen(name));
}

/* The rows that are left, as a JSON array of objects, a line each. */
static int put_rows_json(struct pa_catalog *catalog, sqlite3_stmt *statement, size_t max_rows,
                         struct pa_buffer *out, struct pa_error *err)
{
	size_t rows = 0;
	bool row = false;
	int result = pa_catalog_step(catalog, statement, &row, err);

	pa_buffer_puts(out, "[");
	for (; result == 0 && row && !out->overflowed; rows++) {
		if (rows == max_rows)
			return too_many_rows(err);
		pa_buffer_puts(out, rows == 0 ? "\n{" : ",\n{");
		for (int i = 0; i < sqlite3_column_count(statement); i++) {
			if (i > 0)
				pa_buffer_puts(out, ", ");
			put_key(out, statement, i);
			pa_buffer_puts(out, ": ");
			pa_catalog_put_json(out, statement, i);
		}
		pa_buffer_puts(out, "}");
		result = pa_catalog_step(catalog, statement, &row, err);
	}
	pa_buffer_puts(out, rows == 0 ? "]" : "\n]");
	return result < 0 ? result : check_output(out, err);
}

struct cell {
	const char *text;
	bool number;
};

struct table {
	size_t columns;
	size_t *widths;
	struct cell *cells; /* row by row, the heading first */
	size_t count;
	size_t capacity;
};

/* Characters of UTF-8, each taken as one column wide. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void add_cell(struct table *table, struct pa_arena *arena, const char *text, bool number)
{
	size_t column = table->count % table->columns;
	size_t width = width_of(text);

	table->cells =
	    pa_arena_grow(arena, table->cells, table->count, &table->capacity, sizeof(*table->cells));
	table->cells[table->count++] = (struct cell){pa_arena_strdup(arena, text), number};
	if (width > table->widths[column])
		table->widths[column] = width;
}

static int read_table(struct pa_catalog *catalog, sqlite3_stmt *statement, struct pa_arena *arena,
                      struct table *table, struct pa_error *err)
{
	struct pa_buffer text;
	bool row = false;
	int result = pa_catalog_step(catalog, statement, &row, err);

	pa_buffer_init(&text, 4 * PA_CATALOG_VALUE_BYTES + 64);
	for (size_t i = 0; i < table->columns; i++)
		add_cell(table, arena, sqlite3_column_name(statement, (int)i), false);
	while (result == 0 && row) {
		if (table->count / table->columns > QUERY_ROWS) {
			result = too_many_rows(err);
			break;
		}
		if (pa_arena_bytes(arena) > QUERY_CELLS_BYTES) {
			result = pa_error_set(err, PA_ERROR_INPUT,
			                      "the table is larger than the limit of 64 MiB; ask for less");
			break;
		}
		for (size_t i = 0; i < table->columns; i++) {
			int type = sqlite3_column_type(statement, (int)i);
			pa_buffer_clear(&text);
			pa_catalog_put_cell(&text, statement, (int)i);
			add_cell(table, arena, text.data, type == SQLITE_INTEGER || type == SQLITE_FLOAT);
		}
		result = pa_catalog_step(catalog, statement, &row, err);
	}
	pa_buffer_done(&text);
	return result;
}

static void put_padding(struct pa_buffer *out, size_t count, const char *with)
{
	for (size_t i = 0; i < count; i++)
		pa_buffer_puts(out, with);
}

static void put_table(const struct table *table, struct pa_buffer *out)
{
	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;
		bool last = column + 1 == table->columns;
		size_t padding = table->widths[column] - width_of(table->cells[i].text);
		if (table->cells[i].number)
			put_padding(out, padding, " ");
		pa_buffer_puts(out, table->cells[i].text);
		if (!table->cells[i].number && !last)
			put_padding(out, padding, " ");
		pa_buffer_puts(out, last ? "\n" : "  ");
		if (i + 1 == table->columns) {
			for (size_t j = 0; j < table->columns; j++) {
				put_padding(out, table->widths[j], "-");
				pa_buffer_puts(out, j + 1 == table->columns ? "\n" : "  ");
			}
		}
	}
}

static int put_rows_table(struct pa_catalog *catalog, sqlite3_stmt *statement, struct pa_buffer *out,
                          struct pa_error *err)
{
	struct pa_arena arena;

	pa_arena_init(&arena);
	struct table table = {.columns = (size_t)sqlite3_column_count(statement)};
	table.widths = pa_arena_array(&arena, table.columns, sizeof(*table.widths));
	int result = read_table(catalog, statement, &arena, &table, err);
	if (result == 0) {
		put_table(&table, out);
		result = check_output(out, err);
	}
	pa_arena_done(&arena);
	return result;
}

static int run_query(struct pa_catalog *catalog, const char *sql, bool json, struct pa_buffer *out,
                     struct pa_error *err)
{
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int result = prepare_query(catalog, sql, &statement, err);

	if (result == 0 && json) {
		result = put_rows_json(catalog, statement, QUERY_ROWS, out, err);
		pa_buffer_puts(out, "\n");
	} else if (result == 0) {
		result = put_rows_table(catalog, statement, out, err);
	}
	/* What is wrong while it runs is the query's too: an overflow, a pattern, a value that is too
	 * large. */
	if (result == -PA_ERROR_PERMANENT && sqlite3_errcode(catalog->database) == SQLITE_ERROR)
		return refuse_sql(catalog, err);
	return result;
}

int pa_catalog_query(struct pa_catalog *catalog, const char *sql, bool json, struct pa_buffer *out,
                     struct pa_error *err)
{
	int64_t deadline_ns = pa_clock_deadline(QUERY_SECONDS * PA_NS_PER_SECOND);
	size_t before = out->length;
	int columns = sqlite3_limit(catalog->database, SQLITE_LIMIT_COLUMN, QUERY_COLUMNS);

	sqlite3_set_authorizer(catalog->database, authorise, NULL);
	sqlite3_progress_handler(catalog->database, PROGRESS_STEPS, look_at_clock, &deadline_ns);
	int result = run_query(catalog, sql, json, out, err);
	sqlite3_progress_handler(catalog->database, 0, NULL, NULL);
	sqlite3_set_authorizer(catalog->database, NULL, NULL);
	sqlite3_limit(catalog->database, SQLITE_LIMIT_COLUMN, columns);
	/* Never a part that looks like a whole. */
	if (result < 0 && out->length > before) {
		out->length = before;
		out->data[before] = '\0';
	}
	return result;
}

static const char *const exported[] = {
    "SELECT * FROM pipeline ORDER BY id",
    "SELECT * FROM task ORDER BY id",
    "SELECT * FROM task_after ORDER BY task_id, after_id",
    "SELECT * FROM directory ORDER BY id",
    "SELECT * FROM data ORDER BY id",
    "SELECT * FROM task_has_directory ORDER BY task_id, directory_id, role",
    "SELECT * FROM data_has_task ORDER BY data_id, task_id, role",
    "SELECT * FROM run ORDER BY id",
    "SELECT * FROM task_run ORDER BY id",
    "SELECT * FROM access_profile ORDER BY task_id, run_id, position",
    "SELECT * FROM source ORDER BY match",
    "SELECT * FROM manifest ORDER BY data_set, id",
};

static int export_table(struct pa_catalog *catalog, const char *sql, struct pa_buffer *out,
                        struct pa_error *err)
{
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	const char *name = sql + strlen("SELECT * FROM ");
	int result = pa_catalog_prepare(catalog, sql, &statement, err);

	if (result < 0)
		return result;
	pa_buffer_printf(out, "\"%.*s\": ", (int)strcspn(name, " "), name);
	return put_rows_json(catalog, statement, SIZE_MAX, out, err);
}

int pa_catalog_export(struct pa_catalog *catalog, struct pa_buffer *out, struct pa_error *err)
{
	size_t before = out->length;
	/* One read transaction: the tables fit together. */
	int result = pa_catalog_execute(catalog, "BEGIN", err);

	pa_buffer_printf(out, "{\"schema\": \"pipeahead/catalog/v1\", \"user_version\": %zu, \"tables\": {\n",
	                 pa_catalog_migration_count);
	for (size_t i = 0; result == 0 && i < PA_ARRAY_LENGTH(exported); i++) {
		if (i > 0)
			pa_buffer_puts(out, ",\n");
		result = export_table(catalog, exported[i], out, err);
	}
	pa_buffer_puts(out, "\n}}\n");
	if (result == 0)
		result = check_output(out, err);
	result = pa_catalog_finish(catalog, result, err);
	if (result < 0 && out->length > before) {
		out->length = before;
		out->data[before] = '\0';
	}
	return result;
}
