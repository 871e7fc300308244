/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog_fixture.h"

#include <jansson.h>

static struct pa_catalog *catalog;

static int open_catalog(void **state)
{
	int result = make_folder(state);

	catalog = must_open();
	struct pa_pipeline pipeline = paper_pipeline();
	struct pa_task_run tasks[] = {task_run("preprocess", 0, 10, 0), task_run("train", 10, 20.1, 0)};
	struct pa_profile_read reads[] = {{"train", "claim:jsm-conv", "a\xff\"b", 3, 0.1},
	                                  {"train", "claim:jsm-conv", "tab\there\n\033[31m\"q\"", 3, 0.1}};
	struct pa_run_record run = {.mode = "ahead",
	                            .outcome = "succeeded",
	                            .tasks = tasks,
	                            .task_count = 2,
	                            .profile = reads,
	                            .profile_count = 2};
	must_store_run(catalog, must_store_pipeline(catalog, &pipeline, NULL), &run);
	return result;
}

static int close_catalog(void **state)
{
	pa_catalog_close(catalog);
	return remove_folder(state);
}

static void tables_are_aligned(void **state)
{
	(void)state;
	assert_string_equal(query(catalog,
	                          "SELECT 'é' AS a, 1 AS number, NULL AS \"null\", 'last' AS c"
	                          " UNION ALL SELECT 'long text', 12345678, 2.5, 'x'",
	                          false),
	                    "a          number    null  c\n"
	                    "---------  --------  ----  ----\n"
	                    "é                 1  NULL  last\n"
	                    "long text  12345678   2.5  x\n");
	assert_string_equal(query(catalog, "SELECT 1 AS a WHERE 0", false), "a\n-\n");
}

static void a_terminal_gets_no_control_characters(void **state)
{
	(void)state;
	assert_string_equal(query(catalog, "SELECT path FROM access_profile ORDER BY position", false),
	                    "path\n"
	                    "----------------------\n"
	                    "X'61ff2262'\n"
	                    "tab\\there\\n\\x1b[31m\"q\"\n");
}

static void json_is_valid_whatever_the_bytes(void **state)
{
	const char *text = query(catalog,
	                         "SELECT path, 0.1 AS r, 1e999 AS inf, char(0) AS nul, x'00ff' AS b, '' AS r"
	                         " FROM access_profile ORDER BY position",
	                         true);
	json_error_t where;
	json_t *rows = json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);

	(void)state;
	if (rows == NULL)
		fail_msg("%s: %s", where.text, text);
	const json_t *row = json_array_get(rows, 0);
	assert_string_equal(json_string_value(json_object_get(json_object_get(row, "path"), "hex")),
	                    "61ff2262");
	assert_true(json_number_value(json_object_get(row, "r")) == 0.1);
	assert_true(json_is_null(json_object_get(row, "inf")));
	assert_int_equal(json_string_length(json_object_get(row, "nul")), 1);
	assert_string_equal(json_string_value(json_object_get(json_object_get(row, "b"), "hex")), "00ff");
	assert_string_equal(json_string_value(json_object_get(row, "r:6")), "");
	assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 1), "path")),
	                    "tab\there\n\033[31m\"q\"");
	json_decref(rows);
	assert_string_equal(query(catalog, "SELECT 1 WHERE 0", true), "[]\n");
}

static void nothing_but_reading_is_let_through(void **state)
{
	static const char *const refused[] = {
	    "DELETE FROM run",
	    "INSERT INTO run DEFAULT VALUES",
	    "UPDATE task SET name = 'x' RETURNING *",
	    "WITH a AS (SELECT 1) DELETE FROM run",
	    "DROP TABLE run",
	    "CREATE TEMP TABLE t (a)",
	    "ATTACH '/tmp/pa-catalog-attached.db' AS other",
	    "BEGIN",
	    "BEGIN IMMEDIATE",
	    "SAVEPOINT a",
	    "COMMIT",
	    "VACUUM",
	    "VACUUM INTO '/tmp/pa-catalog-vacuumed.db'",
	    "ANALYZE",
	    "REINDEX",
	    "PRAGMA journal_mode = DELETE",
	    "PRAGMA user_version = 9",
	    "PRAGMA USER_VERSION = 9",
	    "PRAGMA wal_checkpoint(TRUNCATE)",
	    "PRAGMA query_only = 0",
	    "PRAGMA writable_schema = 1",
	    "EXPLAIN DELETE FROM run",
	    "SELECT load_extension('x')",
	    "SELECT 1; DELETE FROM run",
	    "SELECT 1; SELECT 2",
	    "SELEC 1",
	    "SELECT nothing FROM run",
	    "SELECT abs(-9223372036854775808)",
	    "",
	    "-- nothing",
	    ";",
	};
	struct pa_buffer out;

	(void)state;
	pa_buffer_init(&out, 1 << 20);
	pa_buffer_puts(&out, "before");
	for (size_t i = 0; i < PA_ARRAY_LENGTH(refused); i++) {
		struct pa_error err = PA_ERROR_INIT;
		int result = pa_catalog_query(catalog, refused[i], i % 2 == 0, &out, &err);
		if (result != -PA_ERROR_INPUT)
			fail_msg("%s gave %d: %s", refused[i], result, err.message);
		assert_string_equal(out.data, "before");
	}
	pa_buffer_done(&out);
	assert_int_equal(number(catalog, "SELECT count(*) FROM run;  -- and no more"), 1);
	assert_int_equal(number(catalog, "PRAGMA user_version"), 1);
	assert_int_equal(access("/tmp/pa-catalog-attached.db", F_OK), -1);
	assert_int_equal(access("/tmp/pa-catalog-vacuumed.db", F_OK), -1);
}

static void what_is_too_much_is_an_error(void **state)
{
	static const char many[] =
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
	    " SELECT %s FROM n";
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer out;
	char sql[256];

	(void)state;
	pa_buffer_init(&out, 4 << 20);
	for (int json = 0; json < 2; json++) {
		snprintf(sql, sizeof(sql), many, 100001, "1");
		assert_int_equal(pa_catalog_query(catalog, sql, json, &out, &err), -PA_ERROR_INPUT);
		assert_non_null(strstr(err.message, "100000 rows"));
		snprintf(sql, sizeof(sql), many, 2000, "hex(zeroblob(100000))");
		assert_int_equal(pa_catalog_query(catalog, sql, json, &out, &err), -PA_ERROR_INPUT);
		assert_non_null(strstr(err.message, "limit"));
		assert_int_equal(pa_catalog_query(catalog, "SELECT zeroblob(100000000)", json, &out, &err),
		                 -PA_ERROR_INPUT);
		assert_int_equal(out.length, 0);
		out.overflowed = false;
	}
	pa_buffer_done(&out);
	snprintf(sql, sizeof(sql), many, 100000, "i");
	assert_true(strlen(query(catalog, sql, true)) > 1000000);
	assert_true(strlen(query(catalog, sql, false)) > 600000);
}

static void the_export_is_one_document(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer out;
	json_error_t where;

	(void)state;
	pa_buffer_init(&out, 1 << 20);
	assert_int_equal(pa_catalog_export(catalog, &out, &err), 0);
	json_t *root = json_loads(out.data, JSON_REJECT_DUPLICATES, &where);
	if (root == NULL)
		fail_msg("%s: %s", where.text, out.data);
	const json_t *tables = json_object_get(root, "tables");
	assert_string_equal(json_string_value(json_object_get(root, "schema")), "pipeahead/catalog/v1");
	/* Every table of the schema is in it. */
	assert_int_equal(
	    json_object_size(tables),
	    number(catalog,
	           "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"));
	assert_int_equal(json_array_size(json_object_get(tables, "task")), 3);
	assert_int_equal(json_array_size(json_object_get(tables, "access_profile")), 2);
	assert_int_equal(json_array_size(json_object_get(tables, "source")), 0);
	json_decref(root);
	pa_buffer_done(&out);
	pa_buffer_init(&out, 2000);
	assert_int_equal(pa_catalog_export(catalog, &out, &err), -PA_ERROR_INPUT);
	assert_int_equal(out.length, 0);
	pa_buffer_done(&out);
	assert_non_null(strstr(pa_catalog_schema(), "CREATE TABLE data_has_task"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tables_are_aligned),
	    cmocka_unit_test(a_terminal_gets_no_control_characters),
	    cmocka_unit_test(json_is_valid_whatever_the_bytes),
	    cmocka_unit_test(nothing_but_reading_is_let_through),
	    cmocka_unit_test(what_is_too_much_is_an_error),
	    cmocka_unit_test(the_export_is_one_document),
	};

	return cmocka_run_group_tests(tests, open_catalog, close_catalog);
}
