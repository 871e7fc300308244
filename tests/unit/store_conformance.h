/* SPDX-License-Identifier: Apache-2.0 */
/* What every store driver has to do, whatever is behind it.  A driver's test program gives a `struct conformance` (how
 * to make an empty place and a store on it) and runs PA_STORE_CONFORMANCE_TESTS with it as the initial state. */
#ifndef PA_TEST_STORE_CONFORMANCE_H
#define PA_TEST_STORE_CONFORMANCE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/store.h"

struct conformance {
	/* A store on an empty place of its own; `read_only` as in the options. */
	struct pa_store *(*open)(struct conformance *conformance, bool read_only);
	/* Ends the store and the place. */
	void (*close)(struct conformance *conformance);
	struct pa_store *store;
	char place[128];
};

static const struct pa_store_call conformance_call = {.deadline_ns = PA_DEADLINE_NEVER};

static struct pa_error err; /* of the last call */

#define CONFORMANCE_OK(expression)                                                                           \
	do {                                                                                                 \
		err = (struct pa_error)PA_ERROR_INIT;                                                        \
		if ((expression) < 0)                                                                        \
			fail_msg("%s", err.message);                                                         \
	} while (0)
#define CONFORMANCE_FAILS(expected, expression)                                                              \
	do {                                                                                                 \
		err = (struct pa_error)PA_ERROR_INIT;                                                        \
		assert_int_equal((expression), -(int)(expected));                                            \
		assert_int_equal(err.class, (expected));                                                     \
		assert_true(strlen(err.message) > 0);                                                        \
	} while (0)

static inline struct pa_store_entry conformance_put(struct pa_store *store, const char *path,
                                                    const void *data, size_t bytes)
{
	struct pa_store_file *file = NULL;
	struct pa_store_entry entry;

	CONFORMANCE_OK(pa_store_open_write(store, path, PA_STORE_OPEN_CREATE | PA_STORE_OPEN_TRUNCATE, 0640,
	                                   &file, &conformance_call, &err));
	CONFORMANCE_OK(pa_store_write(store, file, data, bytes, 0, &conformance_call, &err));
	CONFORMANCE_OK(pa_store_close_write(store, file, &entry, &conformance_call, &err));
	return entry;
}

static inline size_t conformance_get(struct pa_store *store, const char *path, uint64_t offset, void *data,
                                     size_t bytes)
{
	size_t got = 99999;

	CONFORMANCE_OK(pa_store_read(store, path, NULL, offset, data, bytes, &got, &conformance_call, &err));
	return got;
}

struct conformance_names {
	char text[4096];
	int stop_after;
	int count;
};

static inline int conformance_collect(void *context, const struct pa_store_entry *entry)
{
	struct conformance_names *names = context;
	size_t length = strlen(names->text);

	/* Parents come before what is in them. */
	const char *slash = strrchr(entry->path, '/');
	if (slash != NULL) {
		char parent[256];
		snprintf(parent, sizeof(parent), "[%.*s]", (int)(slash - entry->path), entry->path);
		assert_non_null(strstr(names->text, parent));
	}
	snprintf(names->text + length, sizeof(names->text) - length, "[%s]", entry->path);
	if (entry->kind == PA_ENTRY_SYMLINK)
		assert_non_null(entry->link_target);
	return ++names->count == names->stop_after ? 77 : 0;
}

static inline void conformance_reads(void **state)
{
	struct conformance *conformance = *state;
	struct pa_store *store = conformance->open(conformance, false);
	unsigned char *data = malloc(3000000);
	unsigned char *back = malloc(3000000);

	for (size_t i = 0; i < 3000000; i++)
		data[i] = (unsigned char)(i * 7 + i / 251);
	struct pa_store_entry entry = conformance_put(store, "f", data, 3000000);
	assert_int_equal(entry.size_bytes, 3000000);
	assert_int_equal(entry.kind, PA_ENTRY_FILE);
	assert_int_equal(conformance_get(store, "f", 0, back, 3000000), 3000000);
	assert_memory_equal(back, data, 3000000);
	assert_int_equal(conformance_get(store, "f", 1234567, back, 100), 100);
	assert_memory_equal(back, data + 1234567, 100);
	/* Across the end, at it and past it. */
	assert_int_equal(conformance_get(store, "f", 2999990, back, 100), 10);
	assert_int_equal(conformance_get(store, "f", 3000000, back, 100), 0);
	assert_int_equal(conformance_get(store, "f", 5000000, back, 100), 0);
	conformance_put(store, "empty", "", 0);
	assert_int_equal(conformance_get(store, "empty", 0, back, 100), 0);
	size_t got;
	CONFORMANCE_FAILS(PA_ERROR_NOT_FOUND,
	                  pa_store_read(store, "none", NULL, 0, back, 1, &got, &conformance_call, &err));
	free(data);
	free(back);
	conformance->close(conformance);
}

static inline void conformance_versions(void **state)
{
	struct conformance *conformance = *state;
	struct pa_store *store = conformance->open(conformance, false);
	struct pa_store_entry first = conformance_put(store, "f", "one", 3);
	struct pa_store_entry entry;
	char data[8];
	size_t got;

	CONFORMANCE_OK(pa_store_stat(store, "f", &entry, &conformance_call, &err));
	assert_true(pa_hash_equal(entry.version, first.version));
	CONFORMANCE_OK(pa_store_read(store, "f", &first.version, 0, data, 3, &got, &conformance_call, &err));
	struct pa_store_entry second = conformance_put(store, "f", "three", 5);
	assert_false(pa_hash_equal(second.version, first.version));
	CONFORMANCE_FAILS(PA_ERROR_CHANGED, pa_store_read(store, "f", &first.version, 0, data, 3, &got,
	                                                  &conformance_call, &err));
	CONFORMANCE_OK(pa_store_read(store, "f", &second.version, 0, data, 8, &got, &conformance_call, &err));
	assert_int_equal(got, 5);
	conformance->close(conformance);
}

static inline void conformance_lists(void **state)
{
	struct conformance *conformance = *state;
	struct pa_store *store = conformance->open(conformance, false);
	struct conformance_names names = {.text = ""};

	CONFORMANCE_OK(pa_store_list(store, "", conformance_collect, &names, &conformance_call, &err));
	assert_int_equal(names.count, 0);
	CONFORMANCE_OK(pa_store_make_directory(store, "d", 0750, &conformance_call, &err));
	CONFORMANCE_OK(pa_store_make_directory(store, "d/e", 0750, &conformance_call, &err));
	conformance_put(store, "d/e/f", "x", 1);
	conformance_put(store, "d/line\nbreak \xff\xfe'\"", "x", 1);
	conformance_put(store, "g", "x", 1);
	names = (struct conformance_names){.text = ""};
	CONFORMANCE_OK(pa_store_list(store, "", conformance_collect, &names, &conformance_call, &err));
	assert_int_equal(names.count, 5);
	assert_non_null(strstr(names.text, "[d/line\nbreak \xff\xfe'\"]"));
	names = (struct conformance_names){.text = "[d]"};
	CONFORMANCE_OK(pa_store_list(store, "d", conformance_collect, &names, &conformance_call, &err));
	assert_int_equal(names.count, 3);
	/* The one who listens may stop it. */
	names = (struct conformance_names){.text = "", .stop_after = 2};
	assert_int_equal(pa_store_list(store, "", conformance_collect, &names, &conformance_call, &err), 77);
	assert_int_equal(names.count, 2);
	CONFORMANCE_FAILS(PA_ERROR_NOT_FOUND,
	                  pa_store_list(store, "no", conformance_collect, &names, &conformance_call, &err));
	conformance->close(conformance);
}

static inline void conformance_writes(void **state)
{
	struct conformance *conformance = *state;
	struct pa_store *store = conformance->open(conformance, false);
	struct pa_store_file *file = NULL;
	struct pa_store_entry entry;
	char data[16] = "";

	CONFORMANCE_FAILS(PA_ERROR_NOT_FOUND,
	                  pa_store_open_write(store, "f", 0, 0600, &file, &conformance_call, &err));
	conformance_put(store, "f", "0123456789", 10);
	assert_true(pa_store_open_write(store, "f", PA_STORE_OPEN_CREATE | PA_STORE_OPEN_EXCLUSIVE, 0600,
	                                &file, &conformance_call, &err) < 0);
	assert_int_equal(pa_error_to_errno(&err), EEXIST);
	if ((store->abilities & PA_STORE_WRITE_RANDOM) != 0) {
		CONFORMANCE_OK(pa_store_open_write(store, "f", 0, 0600, &file, &conformance_call, &err));
		CONFORMANCE_OK(pa_store_write(store, file, "AB", 2, 3, &conformance_call, &err));
		CONFORMANCE_OK(pa_store_write(store, file, "Z", 1, 11, &conformance_call, &err));
		CONFORMANCE_OK(pa_store_sync(store, file, &conformance_call, &err));
		CONFORMANCE_OK(pa_store_close_write(store, file, &entry, &conformance_call, &err));
		assert_int_equal(entry.size_bytes, 12);
		assert_int_equal(conformance_get(store, "f", 0, data, 16), 12);
		assert_memory_equal(data, "012AB56789\0Z", 12);
		struct pa_store_attributes set = {.set_size = true, .size_bytes = 4};
		CONFORMANCE_OK(pa_store_set_attributes(store, "f", &set, &conformance_call, &err));
		assert_int_equal(conformance_get(store, "f", 0, data, 16), 4);
	}
	if ((store->abilities & PA_STORE_ATTRIBUTES) != 0) {
		struct pa_store_attributes set = {
		    .set_mode = true, .mode = 0604, .set_mtime = true, .mtime_ns = -1500000000};
		CONFORMANCE_OK(pa_store_set_attributes(store, "f", &set, &conformance_call, &err));
		CONFORMANCE_OK(pa_store_stat(store, "f", &entry, &conformance_call, &err));
		assert_int_equal(entry.mode, 0604);
		assert_int_equal(entry.mtime_ns, -1500000000);
	}
	CONFORMANCE_OK(pa_store_remove(store, "f", false, &conformance_call, &err));
	CONFORMANCE_FAILS(PA_ERROR_NOT_FOUND, pa_store_stat(store, "f", &entry, &conformance_call, &err));
	CONFORMANCE_FAILS(PA_ERROR_NOT_FOUND, pa_store_remove(store, "f", false, &conformance_call, &err));
	conformance->close(conformance);
}

static inline void conformance_names_change(void **state)
{
	struct conformance *conformance = *state;
	struct pa_store *store = conformance->open(conformance, false);
	struct pa_store_entry entry;
	char data[4];

	if ((store->abilities & PA_STORE_RENAME) != 0) {
		conformance_put(store, "a", "1", 1);
		conformance_put(store, "b", "2", 1);
		assert_true(pa_store_rename(store, "a", "b", true, &conformance_call, &err) < 0);
		assert_int_equal(pa_error_to_errno(&err), EEXIST);
		CONFORMANCE_OK(pa_store_rename(store, "a", "b", false, &conformance_call, &err));
		assert_int_equal(conformance_get(store, "b", 0, data, 4), 1);
		assert_int_equal(data[0], '1');
		CONFORMANCE_FAILS(PA_ERROR_NOT_FOUND,
		                  pa_store_stat(store, "a", &entry, &conformance_call, &err));
	}
	if ((store->abilities & PA_STORE_SYMLINKS) != 0) {
		CONFORMANCE_OK(pa_store_make_symlink(store, "l", "/etc/passwd", &conformance_call, &err));
		CONFORMANCE_OK(pa_store_stat(store, "l", &entry, &conformance_call, &err));
		assert_int_equal(entry.kind, PA_ENTRY_SYMLINK);
		assert_string_equal(entry.link_target, "/etc/passwd");
	}
	if ((store->abilities & PA_STORE_DIRECTORIES) != 0) {
		CONFORMANCE_OK(pa_store_make_directory(store, "d", 0751, &conformance_call, &err));
		CONFORMANCE_OK(pa_store_stat(store, "d", &entry, &conformance_call, &err));
		assert_int_equal(entry.kind, PA_ENTRY_DIRECTORY);
		conformance_put(store, "d/f", "1", 1);
		assert_true(pa_store_remove(store, "d", true, &conformance_call, &err) < 0);
		assert_int_equal(pa_error_to_errno(&err), ENOTEMPTY);
		CONFORMANCE_OK(pa_store_remove(store, "d/f", false, &conformance_call, &err));
		CONFORMANCE_OK(pa_store_remove(store, "d", true, &conformance_call, &err));
	}
	conformance->close(conformance);
}

static inline void conformance_paths(void **state)
{
	struct conformance *conformance = *state;
	struct pa_store *store = conformance->open(conformance, false);
	static const char *const bad[] = {"..",   "../x", "a/../../x", "/etc/passwd",
	                                  "a//b", "a/",   "./a",       "a/."};
	struct pa_store_entry entry;
	struct pa_store_file *file = NULL;
	char data[4];
	size_t got;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CONFORMANCE_FAILS(PA_ERROR_INPUT,
		                  pa_store_stat(store, bad[i], &entry, &conformance_call, &err));
		CONFORMANCE_FAILS(PA_ERROR_INPUT, pa_store_read(store, bad[i], NULL, 0, data, 1, &got,
		                                                &conformance_call, &err));
		CONFORMANCE_FAILS(PA_ERROR_INPUT, pa_store_open_write(store, bad[i], PA_STORE_OPEN_CREATE,
		                                                      0600, &file, &conformance_call, &err));
		CONFORMANCE_FAILS(PA_ERROR_INPUT,
		                  pa_store_rename(store, "x", bad[i], false, &conformance_call, &err));
	}
	CONFORMANCE_OK(pa_store_stat(store, "", &entry, &conformance_call, &err));
	assert_int_equal(entry.kind, PA_ENTRY_DIRECTORY);
	conformance->close(conformance);
}

static inline void conformance_ends(void **state)
{
	struct conformance *conformance = *state;
	struct pa_store *store = conformance->open(conformance, false);
	int cancel = 1;
	struct pa_store_call cancelled = {.deadline_ns = PA_DEADLINE_NEVER, .cancel = &cancel};
	struct pa_store_call late = {.deadline_ns = pa_clock_ns() - 1};
	struct conformance_names names = {.text = ""};
	char data[4];
	size_t got;

	conformance_put(store, "f", "1", 1);
	CONFORMANCE_FAILS(PA_ERROR_CANCELLED,
	                  pa_store_read(store, "f", NULL, 0, data, 1, &got, &cancelled, &err));
	CONFORMANCE_FAILS(PA_ERROR_DEADLINE, pa_store_read(store, "f", NULL, 0, data, 1, &got, &late, &err));
	CONFORMANCE_FAILS(PA_ERROR_CANCELLED,
	                  pa_store_list(store, "", conformance_collect, &names, &cancelled, &err));
	CONFORMANCE_FAILS(PA_ERROR_DEADLINE,
	                  pa_store_list(store, "", conformance_collect, &names, &late, &err));
	conformance->close(conformance);
}

static inline void conformance_read_only(void **state)
{
	struct conformance *conformance = *state;
	struct pa_store *store = conformance->open(conformance, true);
	struct pa_store_attributes set = {.set_mode = true};
	struct pa_store_file *file = NULL;

	assert_int_equal(store->abilities, 0);
	assert_true(
	    pa_store_open_write(store, "f", PA_STORE_OPEN_CREATE, 0600, &file, &conformance_call, &err) < 0);
	assert_int_equal(pa_error_to_errno(&err), EROFS);
	assert_int_equal(err.class, PA_ERROR_PERMANENT);
	assert_true(pa_store_remove(store, "f", false, &conformance_call, &err) < 0);
	assert_int_equal(pa_error_to_errno(&err), EROFS);
	assert_true(pa_store_set_attributes(store, "f", &set, &conformance_call, &err) < 0);
	assert_true(pa_store_make_directory(store, "f", 0700, &conformance_call, &err) < 0);
	assert_true(pa_store_make_symlink(store, "f", "x", &conformance_call, &err) < 0);
	assert_true(pa_store_rename(store, "f", "g", false, &conformance_call, &err) < 0);
	assert_int_equal(pa_error_to_errno(&err), EROFS);
	conformance->close(conformance);
}

#define PA_STORE_CONFORMANCE_TESTS(conformance)                                                              \
	cmocka_unit_test_prestate(conformance_reads, conformance),                                           \
	    cmocka_unit_test_prestate(conformance_versions, conformance),                                    \
	    cmocka_unit_test_prestate(conformance_lists, conformance),                                       \
	    cmocka_unit_test_prestate(conformance_writes, conformance),                                      \
	    cmocka_unit_test_prestate(conformance_names_change, conformance),                                \
	    cmocka_unit_test_prestate(conformance_paths, conformance),                                       \
	    cmocka_unit_test_prestate(conformance_ends, conformance),                                        \
	    cmocka_unit_test_prestate(conformance_read_only, conformance)

#endif
