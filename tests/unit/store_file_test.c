/* SPDX-License-Identifier: Apache-2.0 */
/* The `file` driver: the conformance of all drivers, and what is its own: links, special files, depth. */
#include "store_conformance.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

static struct pa_store *open_place(struct conformance *conformance, bool read_only)
{
	char location[160];

	snprintf(conformance->place, sizeof(conformance->place), "/tmp/pa-store-XXXXXX");
	assert_non_null(mkdtemp(conformance->place));
	snprintf(location, sizeof(location), "file://%s", conformance->place);
	struct pa_store_options options = {.location = location, .read_only = read_only};
	if (pa_store_open(&options, &conformance->store, &err) < 0)
		fail_msg("%s", err.message);
	return conformance->store;
}

static void close_place(struct conformance *conformance)
{
	pa_store_unref(conformance->store);
	nftw(conformance->place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct conformance file_conformance = {.open = open_place, .close = close_place};

static void test_locations(void **state)
{
	(void)state;
	static const char *const bad[] = {"/tmp", "nfs://host/export", "file:/tmp", "file://tmp", ""};
	struct pa_store *store = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pa_store_options options = {.location = bad[i]};
		CONFORMANCE_FAILS(PA_ERROR_INPUT, pa_store_open(&options, &store, &err));
	}
	struct pa_store_options missing = {.location = "file:///no/such/folder"};
	CONFORMANCE_FAILS(PA_ERROR_NOT_FOUND, pa_store_open(&missing, &store, &err));
	struct pa_store_options many = {.location = "file:///tmp", .connections = 1000};
	CONFORMANCE_FAILS(PA_ERROR_INPUT, pa_store_open(&many, &store, &err));
	assert_null(store);
}

static void test_nothing_outside(void **state)
{
	(void)state;
	struct conformance conformance = file_conformance;
	struct pa_store *store = open_place(&conformance, false);
	struct pa_store_file *file = NULL;
	struct pa_store_entry entry;
	char path[256];
	char data[8];
	size_t got;

	snprintf(path, sizeof(path), "%s/file", conformance.place);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	snprintf(path, sizeof(path), "%s/folder", conformance.place);
	assert_int_equal(symlink("/etc", path), 0);
	assert_true(pa_store_read(store, "file", NULL, 0, data, 8, &got, &conformance_call, &err) < 0);
	assert_int_equal(pa_error_to_errno(&err), ELOOP);
	assert_true(pa_store_read(store, "folder/passwd", NULL, 0, data, 8, &got, &conformance_call, &err) <
	            0);
	assert_true(pa_store_stat(store, "folder/passwd", &entry, &conformance_call, &err) < 0);
	assert_true(pa_store_open_write(store, "file", 0, 0, &file, &conformance_call, &err) < 0);
	assert_true(pa_store_open_write(store, "folder/new", PA_STORE_OPEN_CREATE, 0600, &file,
	                                &conformance_call, &err) < 0);
	assert_true(pa_store_make_directory(store, "folder/new", 0700, &conformance_call, &err) < 0);
	struct conformance_names names = {.text = ""};
	CONFORMANCE_OK(pa_store_list(store, "", conformance_collect, &names, &conformance_call, &err));
	assert_int_equal(names.count, 2);
	assert_true(pa_store_list(store, "folder", conformance_collect, &names, &conformance_call, &err) < 0);
	close_place(&conformance);
}

static void test_special_files(void **state)
{
	(void)state;
	struct conformance conformance = file_conformance;
	struct pa_store *store = open_place(&conformance, false);
	struct conformance_names names = {.text = ""};
	char path[256];
	char data[8];
	size_t got;

	snprintf(path, sizeof(path), "%s/pipe", conformance.place);
	assert_int_equal(mkfifo(path, 0600), 0);
	CONFORMANCE_OK(pa_store_list(store, "", conformance_collect, &names, &conformance_call, &err));
	assert_int_equal(names.count, 0);
	/* Neither waits for the pipe's other end. */
	assert_true(pa_store_read(store, "pipe", NULL, 0, data, 8, &got, &conformance_call, &err) < 0);
	struct pa_store_file *file = NULL;
	assert_true(pa_store_open_write(store, "pipe", 0, 0, &file, &conformance_call, &err) < 0);
	CONFORMANCE_OK(pa_store_make_directory(store, "d", 0700, &conformance_call, &err));
	assert_true(pa_store_read(store, "d", NULL, 0, data, 8, &got, &conformance_call, &err) < 0);
	assert_int_equal(pa_error_to_errno(&err), EISDIR);
	close_place(&conformance);
}

static void test_sparse_file(void **state)
{
	(void)state;
	struct conformance conformance = file_conformance;
	struct pa_store *store = open_place(&conformance, false);
	char path[256];
	char data[8] = "xxxxxxx";

	snprintf(path, sizeof(path), "%s/big", conformance.place);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(pwrite(fd, "end", 3, (off_t)5 << 32), 3);
	close(fd);
	assert_int_equal(conformance_get(store, "big", (uint64_t)4 << 32, data, 4), 4);
	assert_memory_equal(data, "\0\0\0\0", 4);
	assert_int_equal(conformance_get(store, "big", (uint64_t)5 << 32, data, 8), 3);
	assert_memory_equal(data, "end", 3);
	close_place(&conformance);
}

static int ignore_entry(void *context, const struct pa_store_entry *entry)
{
	(void)context;
	(void)entry;
	return 0;
}

static void test_depth_is_limited(void **state)
{
	(void)state;
	struct conformance conformance = file_conformance;
	struct pa_store *store = open_place(&conformance, false);
	char path[2048] = "d";

	for (int depth = 0; depth < 600; depth++) {
		CONFORMANCE_OK(pa_store_make_directory(store, path, 0700, &conformance_call, &err));
		strcat(path, "/d");
	}
	assert_int_equal(pa_store_list(store, "", ignore_entry, NULL, &conformance_call, &err),
	                 -(int)PA_ERROR_PERMANENT);
	assert_non_null(strstr(err.message, "more than 512 folders deep"));
	close_place(&conformance);
}

struct closed_look {
	unsigned entries;
	unsigned closed;
};

static int look_for_closed(void *context, const struct pa_store_entry *entry)
{
	struct closed_look *look = context;

	look->entries++;
	look->closed += entry->closed;
	return 0;
}

/* One folder that we may not list (lost+found, somebody's own) does not hide the rest. */
static void test_closed_folder(void **state)
{
	(void)state;
	struct conformance conformance = file_conformance;
	struct pa_store *store = open_place(&conformance, false);
	struct closed_look look = {0};
	uid_t before = geteuid();
	char path[256];

	snprintf(path, sizeof(path), "%s/open", conformance.place);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/closed", conformance.place);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/closed/file", conformance.place);
	close(open(path, O_WRONLY | O_CREAT, 0644));
	snprintf(path, sizeof(path), "%s/closed", conformance.place);
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(chmod(conformance.place, 0755), 0);
	if (before == 0)
		assert_int_equal(seteuid(65534), 0);
	CONFORMANCE_OK(pa_store_list(store, "", look_for_closed, &look, &conformance_call, &err));
	assert_int_equal(look.entries, 2);
	assert_int_equal(look.closed, 1);
	assert_int_equal(pa_store_list(store, "closed", look_for_closed, &look, &conformance_call, &err),
	                 -(int)PA_ERROR_PERMANENT);
	assert_int_equal(seteuid(before), 0);
	assert_int_equal(chmod(path, 0755), 0);
	look = (struct closed_look){0};
	CONFORMANCE_OK(pa_store_list(store, "", look_for_closed, &look, &conformance_call, &err));
	assert_int_equal(look.entries, 3);
	assert_int_equal(look.closed, 0);
	close_place(&conformance);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    PA_STORE_CONFORMANCE_TESTS(&file_conformance),
	    cmocka_unit_test(test_locations),
	    cmocka_unit_test(test_nothing_outside),
	    cmocka_unit_test(test_special_files),
	    cmocka_unit_test(test_sparse_file),
	    cmocka_unit_test(test_depth_is_limited),
	    cmocka_unit_test(test_closed_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
