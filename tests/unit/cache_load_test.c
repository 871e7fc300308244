/* SPDX-License-Identifier: Apache-2.0 */
/* Loads ahead of need: order, quota, who gives way to whom, pins, refreshes, bind mounts. */
#include "cache_fixture.h"

#include <dirent.h>
#include <errno.h>

#define SECOND PA_NS_PER_SECOND

static void test_loads_what_is_assigned(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_mkdir(fixture.source, "d");
	fixture_mkdir(fixture.source, "d/e");
	fixture_file(fixture.source, "a", 1, 9 * MIB + 1);
	fixture_file(fixture.source, "d/b", 2, 1000);
	fixture_file(fixture.source, "d/e/c", 3, 5000);
	fixture_file(fixture.source, "x", 4, 5000);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_assignment assignments[] = {
	    fixture_assignment("d", SECOND, 60 * SECOND),
	    fixture_assignment("a", 2 * SECOND, 60 * SECOND),
	    fixture_assignment("nothing", 2 * SECOND, 60 * SECOND),
	};
	fixture_assign(&fixture, assignments, 3);
	assert_true(fixture_wait_resident(&fixture, "", 9 * MIB + 1 + 6000));
	struct pa_cache_status status = fixture_status(&fixture);
	assert_int_equal(status.unknown_assignments, 1);
	assert_int_equal(status.ahead_bytes, 9 * MIB + 1 + 6000);
	assert_int_equal(status.demand_bytes, 0);
	assert_int_equal(status.used_bytes, 9 * MIB + 4096 + 4096 + 8192);
	/* Two small files, and neighbouring chunks in requests of up to 4 MiB. */
	assert_int_equal(fault_reads(fixture.store), 5);
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(file, 1, 0, 9 * MIB + 1);
	fixture_file_close(file);
	assert_int_equal(fault_reads(fixture.store), 5);
	/* What no assignment names any more goes at once. */
	fixture_assign(&fixture, assignments, 1);
	assert_int_equal(fixture_resident(&fixture, ""), 6000);
	assert_int_equal(fixture_status(&fixture).used_bytes, 4096 + 8192);
	fixture_end(&fixture);
}

static void test_range_of_a_file(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 9 * MIB);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_assignment assignment = fixture_assignment("a", SECOND, 60 * SECOND);
	assignment.extent.offset_bytes = 2 * MIB + 5;
	assignment.extent.length_bytes = MIB;
	fixture_assign(&fixture, &assignment, 1);
	assert_true(fixture_wait_resident(&fixture, "a", 2 * MIB));
	usleep(20000);
	assert_int_equal(fixture_resident(&fixture, "a"), 2 * MIB);
	struct pa_extent extent = {.path = "a", .offset_bytes = 2 * MIB, .length_bytes = 2 * MIB};
	uint64_t resident;
	uint64_t total;
	pa_data_set_residency(fixture.data_set, &extent, &resident, &total);
	assert_int_equal(resident, 2 * MIB);
	assert_int_equal(total, 2 * MIB);
	fixture_end(&fixture);
}

static void test_order_of_deadlines(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	char names[6][16];
	struct pa_assignment assignments[6];
	for (int i = 0; i < 6; i++) {
		snprintf(names[i], sizeof(names[i]), "f%d", i);
		fixture_file(fixture.source, names[i], (unsigned)i, 100);
	}
	fixture_open(&fixture, &(struct fixture_options){.connections = 1});
	fault_set_delay(fixture.store, 2 * PA_NS_PER_MS);
	static const int order[] = {3, 0, 5, 1, 4, 2};
	int64_t now_ns = pa_clock_ns();
	for (int i = 0; i < 6; i++) {
		assignments[i] = fixture_assignment(names[i], 0, 60 * SECOND);
		/* The first two are due together: their priority decides. */
		assignments[i].deadline_ns = now_ns + (order[i] < 2 ? 1 : order[i]) * SECOND;
		assignments[i].priority = (uint32_t)order[i];
	}
	fixture_assign(&fixture, assignments, 6);
	assert_true(fixture_wait_resident(&fixture, "", 600));
	for (int i = 0; i < 6; i++)
		assert_string_equal(fixture.store->reads[order[i]].path, names[i]);
	fixture_end(&fixture);
}

static void test_demand_goes_first(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 40 * MIB);
	fixture_file(fixture.source, "b", 2, MIB);
	fixture_open(&fixture, &(struct fixture_options){.connections = 2});
	fault_set_delay(fixture.store, 20 * PA_NS_PER_MS);
	struct pa_assignment assignment = fixture_assignment("a", SECOND, 60 * SECOND);
	fixture_assign(&fixture, &assignment, 1);
	struct pa_file *file = fixture_file_open(&fixture, "b", PA_FILE_READ);
	while (fault_reads(fixture.store) == 0)
		usleep(100);
	fixture_check(file, 2, 0, MIB);
	/* Loads ahead have half of the connections: one waits for no other load. */
	assert_int_equal(fixture.store->most_running, 2);
	assert_true(fixture_wait_resident(&fixture, "a", 40 * MIB));
	/* And they paused until 50 ms after the miss. */
	int64_t missed_ns = 0;
	for (size_t i = 0; i < fault_reads(fixture.store); i++) {
		const struct fault_read *read = &fixture.store->reads[i];
		if (strcmp(read->path, "b") == 0)
			missed_ns = read->begin_ns;
		else if (missed_ns != 0)
			assert_true(read->begin_ns >= missed_ns + (20 + 50) * PA_NS_PER_MS);
	}
	assert_true(missed_ns != 0);
	fixture_file_close(file);
	fixture_end(&fixture);
}

static void test_small_files_use_the_connections(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	char name[16];
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		fixture_file(fixture.source, name, (unsigned)i, 100);
	}
	fixture_open(&fixture, &(struct fixture_options){.connections = 8});
	fault_set_delay(fixture.store, 5 * PA_NS_PER_MS);
	struct pa_assignment assignment = fixture_assignment("", SECOND, 60 * SECOND);
	fixture_assign(&fixture, &assignment, 1);
	assert_true(fixture_wait_resident(&fixture, "", 4000));
	assert_int_equal(fixture.store->most_running, 4);
	assert_int_equal(fault_reads(fixture.store), 40);
	fixture_end(&fixture);
}

/* A load displaces only what is needed later than itself, the latest first. */
static void test_who_gives_way(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	static const char *const names[] = {"a", "b", "c", "d"};
	for (unsigned i = 0; i < 4; i++)
		fixture_file(fixture.source, names[i], i, 2 * MIB);
	fixture_open(&fixture, &(struct fixture_options){.quota_bytes = 4 * MIB});
	struct pa_assignment assignments[] = {
	    fixture_assignment("a", 30 * SECOND, 90 * SECOND),
	    fixture_assignment("b", 40 * SECOND, 90 * SECOND),
	};
	fixture_assign(&fixture, assignments, 2);
	assert_true(fixture_wait_resident(&fixture, "", 4 * MIB));
	/* What is needed later finds no room. */
	struct pa_assignment later[] = {assignments[0], assignments[1],
	                                fixture_assignment("c", 50 * SECOND, 90 * SECOND)};
	fixture_assign(&fixture, later, 3);
	usleep(150000);
	assert_int_equal(fixture_resident(&fixture, "c"), 0);
	assert_int_equal(fixture_resident(&fixture, "b"), 2 * MIB);
	/* What is needed sooner takes the place of the latest, not of the other. */
	struct pa_assignment sooner[] = {assignments[0], assignments[1],
	                                 fixture_assignment("c", 20 * SECOND, 90 * SECOND)};
	fixture_assign(&fixture, sooner, 3);
	assert_true(fixture_wait_resident(&fixture, "c", 2 * MIB));
	assert_int_equal(fixture_resident(&fixture, "a"), 2 * MIB);
	assert_int_equal(fixture_resident(&fixture, "b"), 0);
	/* A reader of what is in no assignment displaces nothing. */
	struct pa_file *file = fixture_file_open(&fixture, "d", PA_FILE_READ);
	fixture_check(file, 3, 0, 2 * MIB);
	assert_int_equal(fixture_resident(&fixture, "d"), 0);
	assert_int_equal(fixture_status(&fixture).bypassed_bytes, 2 * MIB);
	/* When room comes, the one that waited is loaded. */
	struct pa_assignment last[] = {assignments[0], assignments[1]};
	fixture_assign(&fixture, last, 2);
	assert_true(fixture_wait_resident(&fixture, "b", 2 * MIB));
	assert_true(fixture_status(&fixture).peak_bytes <= 4 * MIB);
	fixture_file_close(file);
	fixture_end(&fixture);
}

static void test_needs_end(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 2 * MIB);
	fixture_file(fixture.source, "b", 2, 2 * MIB);
	fixture_open(&fixture, &(struct fixture_options){.quota_bytes = 2 * MIB});
	struct pa_assignment assignments[] = {
	    fixture_assignment("a", 0, SECOND / 2),
	    fixture_assignment("b", 10 * SECOND, 60 * SECOND),
	};
	fixture_assign(&fixture, assignments, 2);
	assert_true(fixture_wait_resident(&fixture, "a", 2 * MIB));
	/* After its keep_until the other comes, without anybody's asking. */
	assert_true(fixture_wait_resident(&fixture, "b", 2 * MIB));
	assert_true(pa_clock_ns() >= assignments[0].keep_until_ns);
	fixture_end(&fixture);
}

static void test_pin(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_mkdir(fixture.source, "d");
	fixture_file(fixture.source, "d/a", 1, 2 * MIB);
	fixture_file(fixture.source, "b", 2, 4 * MIB);
	fixture_open(&fixture, &(struct fixture_options){.quota_bytes = 3 * MIB});
	struct pa_error err = PA_ERROR_INIT;
	struct pa_extent extent = {.path = "d", .length_bytes = UINT64_MAX};
	struct pa_pin *pin = NULL;
	struct pa_pin *second = NULL;
	assert_int_equal(pa_data_set_pin(fixture.data_set, &extent, &pin, &err), 0);
	assert_int_equal(pa_data_set_pin(fixture.data_set, &extent, &second, &err), 0);
	struct pa_assignment assignment = fixture_assignment("d/a", SECOND, 60 * SECOND);
	fixture_assign(&fixture, &assignment, 1);
	assert_true(fixture_wait_resident(&fixture, "d", 2 * MIB));
	fixture_assign(&fixture, NULL, 0);
	assert_int_equal(fixture_resident(&fixture, "d"), 2 * MIB);
	struct pa_file *file = fixture_file_open(&fixture, "b", PA_FILE_READ);
	fixture_check(file, 2, 0, 4 * MIB);
	assert_int_equal(fixture_resident(&fixture, "d"), 2 * MIB);
	pa_pin_free(pin);
	fixture_check(file, 2, 0, 4 * MIB);
	assert_int_equal(fixture_resident(&fixture, "d"), 2 * MIB);
	pa_pin_free(second);
	fixture_check(file, 2, 0, 4 * MIB);
	assert_int_equal(fixture_resident(&fixture, "d"), 0);
	extent.path = "none";
	assert_int_equal(pa_data_set_pin(fixture.data_set, &extent, &pin, &err), -(int)PA_ERROR_NOT_FOUND);
	fixture_file_close(file);
	fixture_end(&fixture);
}

static void test_failing_load_is_left_alone(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 1000);
	fixture_file(fixture.source, "b", 2, 1000);
	fixture_open(&fixture, &(struct fixture_options){0});
	fixture.store->fail_path = "a";
	fixture.store->permanent_reads = 1;
	struct pa_assignment assignment = fixture_assignment("", SECOND, 60 * SECOND);
	fixture_assign(&fixture, &assignment, 1);
	assert_true(fixture_wait_resident(&fixture, "b", 1000));
	usleep(300000);
	assert_int_equal(fault_reads(fixture.store), 2);
	assert_true(fixture_wait_resident(&fixture, "a", 1000));
	assert_int_equal(fault_reads(fixture.store), 3);
	fixture_end(&fixture);
}

static void test_budget(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 20 * MIB);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_assignment assignment = fixture_assignment("a", SECOND, 60 * SECOND);
	assignment.bytes_per_second = 40 * MIB;
	int64_t since_ns = pa_clock_ns();
	fixture_assign(&fixture, &assignment, 1);
	assert_true(fixture_wait_resident(&fixture, "a", 20 * MIB));
	/* 20 MiB at 40 MiB/s; the last request of 4 MiB is waited for afterwards. */
	assert_true(pa_clock_ns() - since_ns >= 390 * PA_NS_PER_MS);
	fixture_end(&fixture);
}

static void test_refresh(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_mkdir(fixture.source, "d");
	fixture_file(fixture.source, "d/a", 1, 1000);
	fixture_file(fixture.source, "d/b", 2, 1000);
	fixture_file(fixture.source, "c", 3, 1000);
	fixture_open(&fixture, &(struct fixture_options){.read_only = true});
	struct pa_assignment assignment = fixture_assignment("", SECOND, 60 * SECOND);
	fixture_assign(&fixture, &assignment, 1);
	assert_true(fixture_wait_resident(&fixture, "", 3000));
	struct pa_manifest *before = pa_data_set_manifest(fixture.data_set);
	assert_int_equal(before->file_count, 3);
	assert_int_equal(before->entry_count, 4);
	assert_int_equal(before->total_bytes, 3000);
	assert_int_equal(pa_manifest_bytes_below(before, "d"), 2000);
	assert_non_null(pa_manifest_find(before, "d/b"));
	struct pa_error err = PA_ERROR_INIT;
	assert_int_equal(pa_data_set_refresh(fixture.data_set, &no_limit, &err), 0);
	struct pa_manifest *same = pa_data_set_manifest(fixture.data_set);
	assert_true(pa_hash_equal(before->id, same->id));
	assert_int_equal(fixture_resident(&fixture, ""), 3000);
	uint64_t kept = fixture_inode(&fixture, "c");

	char path[128];
	snprintf(path, sizeof(path), "%s/d/a", fixture.source);
	assert_int_equal(unlink(path), 0);
	fixture_file(fixture.source, "d/b", 7, 1500);
	fixture_file(fixture.source, "d/new", 8, 10);
	assert_int_equal(pa_data_set_refresh(fixture.data_set, &no_limit, &err), 0);
	struct pa_manifest *after = pa_data_set_manifest(fixture.data_set);
	assert_false(pa_hash_equal(before->id, after->id));
	assert_int_equal(after->total_bytes, 2510);
	assert_null(pa_manifest_find(after, "d/a"));
	assert_int_equal(fixture_inode(&fixture, "d/a"), 0);
	assert_int_equal(fixture_inode(&fixture, "c"), kept);
	/* The assignment covers what is new, too. */
	assert_true(fixture_wait_resident(&fixture, "", 2510));
	struct pa_file *file = fixture_file_open(&fixture, "d/b", PA_FILE_READ);
	fixture_check(file, 7, 0, 1500);
	fixture_file_close(file);
	/* A folder takes the place of a file, and all goes. */
	snprintf(path, sizeof(path), "%s/c", fixture.source);
	unlink(path);
	fixture_mkdir(fixture.source, "c");
	fixture_file(fixture.source, "c/x", 9, 5);
	snprintf(path, sizeof(path), "%s/d", fixture.source);
	fixture_remove(path);
	assert_int_equal(pa_data_set_refresh(fixture.data_set, &no_limit, &err), 0);
	assert_int_equal(fixture_inode(&fixture, "d"), 0);
	assert_true(fixture_inode(&fixture, "c/x") != 0);
	assert_true(fixture_wait_resident(&fixture, "", 5));
	assert_int_equal(fixture_status(&fixture).used_bytes, 4096);
	pa_manifest_unref(before);
	pa_manifest_unref(same);
	pa_manifest_unref(after);
	fixture_end(&fixture);
}

/* Two trees have the same names, kinds, modes, times and content. */
static void assert_same_tree(const char *a, const char *b)
{
	char command[512];

	snprintf(command, sizeof(command), "diff -r --no-dereference '%s' '%s'", a, b);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command),
	         "f() { cd \"$1\" && find . -printf '%%P %%y %%m %%T@ %%l %%U %%G\\n' | sort; }; "
	         "[ \"$(f '%s')\" = \"$(f '%s')\" ]",
	         a, b);
	assert_int_equal(system(command), 0);
}

static void test_bind_path(void **state)
{
	(void)state;
	struct fixture fixture;
	char path[256];
	char to[128];
	fixture_begin(&fixture);
	fixture_mkdir(fixture.source, "d");
	fixture_mkdir(fixture.source, "d/e");
	fixture_mkdir(fixture.source, "d/none");
	fixture_file(fixture.source, "d/a", 1, 2 * MIB + 9);
	fixture_file(fixture.source, "d/e/b", 2, 100);
	fixture_file(fixture.source, "d/empty", 2, 0);
	fixture_file(fixture.source, "other", 2, 100);
	snprintf(path, sizeof(path), "%s/d/link", fixture.source);
	assert_int_equal(symlink("e/b", path), 0);
	snprintf(path, sizeof(path), "%s/d/e/b", fixture.source);
	assert_int_equal(chmod(path, 0751), 0);
	snprintf(path, sizeof(path), "%s/d/e", fixture.source);
	assert_int_equal(chmod(path, 0700), 0);
	fixture_open(&fixture, &(struct fixture_options){.read_only = true});
	struct pa_error err = PA_ERROR_INIT;
	assert_int_equal(pa_data_set_bind_path(fixture.data_set, "d", path, sizeof(path), &err),
	                 -(int)PA_ERROR_NOT_FOUND);
	struct pa_assignment assignment = fixture_assignment("d", SECOND, 60 * SECOND);
	fixture_assign(&fixture, &assignment, 1);
	assert_true(fixture_wait_resident(&fixture, "d", 2 * MIB + 109));
	assert_int_equal(pa_data_set_bind_path(fixture.data_set, "", path, sizeof(path), &err),
	                 -(int)PA_ERROR_NOT_FOUND);
	assert_int_equal(pa_data_set_bind_path(fixture.data_set, "d", path, 3, &err),
	                 -(int)PA_ERROR_PERMANENT);
	assert_int_equal(pa_data_set_bind_path(fixture.data_set, "d", path, sizeof(path), &err), 0);
	snprintf(to, sizeof(to), "%s/d", fixture.source);
	assert_same_tree(to, path);
	/* It follows a refresh. */
	snprintf(to, sizeof(to), "%s/d/e/b", fixture.source);
	assert_int_equal(unlink(to), 0);
	snprintf(to, sizeof(to), "%s/d/none", fixture.source);
	assert_int_equal(rmdir(to), 0);
	fixture_file(fixture.source, "d/a", 5, 300);
	fixture_file(fixture.source, "d/e/new", 6, 300);
	assert_int_equal(pa_data_set_refresh(fixture.data_set, &no_limit, &err), 0);
	assert_true(fixture_wait_resident(&fixture, "d", 600));
	assert_int_equal(pa_data_set_bind_path(fixture.data_set, "d", path, sizeof(path), &err), 0);
	snprintf(to, sizeof(to), "%s/d", fixture.source);
	assert_same_tree(to, path);
	/* What goes from memory goes from the folder. */
	fixture_assign(&fixture, NULL, 0);
	snprintf(path + strlen(path), sizeof(path) - strlen(path), "/a");
	assert_int_equal(access(path, F_OK), -1);
	fixture_end(&fixture);
}

static void test_single_file(void **state)
{
	(void)state;
	struct fixture fixture;
	char path[256];
	fixture_begin(&fixture);
	fixture_mkdir(fixture.source, "d");
	fixture_file(fixture.source, "d/a", 1, MIB + 9);
	fixture_open(&fixture, &(struct fixture_options){.read_only = true, .root = "d/a"});
	assert_true(pa_data_set_is_single_file(fixture.data_set));
	struct pa_attributes attributes;
	struct pa_error err = PA_ERROR_INIT;
	assert_int_equal(pa_tree_attributes(fixture.data_set, PA_INODE_ROOT, &attributes, &err), 0);
	assert_int_equal(attributes.kind, PA_ENTRY_FILE);
	assert_int_equal(attributes.size_bytes, MIB + 9);
	struct pa_assignment assignment = fixture_assignment("", SECOND, 60 * SECOND);
	fixture_assign(&fixture, &assignment, 1);
	assert_true(fixture_wait_resident(&fixture, "", MIB + 9));
	assert_int_equal(pa_data_set_bind_path(fixture.data_set, "", path, sizeof(path), &err), 0);
	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, MIB + 9);
	assert_string_equal(path + strlen(path) - 2, "/a");
	struct pa_file *file = fixture_file_open(&fixture, "", PA_FILE_READ);
	fixture_check(file, 1, 0, MIB + 9);
	fixture_file_close(file);
	fixture_file(fixture.source, "d/a", 2, 10);
	assert_int_equal(pa_data_set_refresh(fixture.data_set, &no_limit, &err), 0);
	assert_true(fixture_wait_resident(&fixture, "", 10));
	fixture_end(&fixture);
}

static void test_two_data_sets_of_one_store(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_mkdir(fixture.source, "d");
	fixture_file(fixture.source, "d/a", 1, 1000);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_error err = PA_ERROR_INIT;
	struct pa_data_set_options options = {.name = "other", .store = &fixture.store->head, .root = "d"};
	struct pa_data_set *other = NULL;
	assert_int_equal(pa_cache_open_data_set(fixture.cache, &options, &no_limit, &other, &err), 0);
	struct pa_data_set *twice = NULL;
	assert_int_equal(pa_cache_open_data_set(fixture.cache, &options, &no_limit, &twice, &err),
	                 -(int)PA_ERROR_BUG);
	assert_ptr_equal(pa_cache_find_data_set(fixture.cache, "other"), other);
	struct pa_assignment assignment = fixture_assignment("a", SECOND, 60 * SECOND);
	assignment.data_set = "other";
	fixture_assign(&fixture, &assignment, 1);
	struct pa_extent extent = {.path = "a", .length_bytes = UINT64_MAX};
	uint64_t resident = 0;
	uint64_t total = 0;
	for (int i = 0; i < 1000 && resident < 1000; i++, usleep(1000))
		pa_data_set_residency(other, &extent, &resident, &total);
	assert_int_equal(resident, 1000);
	pa_cache_close_data_set(fixture.cache, other);
	assert_null(pa_cache_find_data_set(fixture.cache, "other"));
	assert_int_equal(fixture_status(&fixture).used_bytes, 0);
	struct pa_file *file = fixture_file_open(&fixture, "d/a", PA_FILE_READ);
	fixture_check(file, 1, 0, 1000);
	fixture_file_close(file);
	options.name = "missing";
	options.root = "no/such";
	assert_int_equal(pa_cache_open_data_set(fixture.cache, &options, &no_limit, &twice, &err),
	                 -(int)PA_ERROR_NOT_FOUND);
	fixture_end(&fixture);
}

static void test_options(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	struct pa_error err = PA_ERROR_INIT;
	struct pa_cache *cache = NULL;
	struct pa_cache_options options = {.directory = fixture.source, .quota_bytes = 0};
	assert_int_equal(pa_cache_new(&options, &cache, &err), -(int)PA_ERROR_INPUT);
	options.quota_bytes = 1;
	fixture_file(fixture.source, "precious", 1, 10);
	assert_int_equal(pa_cache_new(&options, &cache, &err), -(int)PA_ERROR_INPUT);
	assert_non_null(strstr(err.message, "precious"));
	options.directory = "/no/such/folder";
	assert_int_equal(pa_cache_new(&options, &cache, &err), -(int)PA_ERROR_NOT_FOUND);
	fixture_end(&fixture);
}

/* Readers, a planner that changes its mind, and refreshes, all at once. */
struct stress {
	struct fixture *fixture;
	int stop;
};

static void *change_assignments(void *context)
{
	struct stress *stress = context;
	static const char *const paths[] = {"a", "b", "", "d"};

	for (unsigned i = 0; __atomic_load_n(&stress->stop, __ATOMIC_RELAXED) == 0; i++) {
		struct pa_assignment assignments[2] = {
		    fixture_assignment(paths[i % 4], (int64_t)(i % 3) * SECOND, 5 * SECOND),
		    fixture_assignment(paths[i / 4 % 4], (int64_t)(i % 5) * SECOND, 3 * PA_NS_PER_MS),
		};
		fixture_assign(stress->fixture, assignments, i % 3);
		struct pa_error err = PA_ERROR_INIT;
		struct pa_pin *pin = NULL;
		struct pa_extent extent = {.path = "a", .length_bytes = MIB};
		if (i % 2 == 0 && pa_data_set_pin(stress->fixture->data_set, &extent, &pin, &err) == 0)
			pa_pin_free(pin);
		if (i % 8 == 0)
			assert_int_equal(pa_data_set_refresh(stress->fixture->data_set, &no_limit, &err), 0);
		usleep(2000);
	}
	return NULL;
}

static void *read_everything(void *context)
{
	struct stress *stress = context;
	static const char *const paths[] = {"a", "b", "d/c"};
	static const size_t sizes[] = {5 * MIB, 3 * MIB + 11, 3000};
	unsigned random = (unsigned)(uintptr_t)&random;

	for (int i = 0; i < 40; i++) {
		int which = i % 3;
		struct pa_file *file = fixture_file_open(stress->fixture, paths[which], PA_FILE_READ);
		random = random * 1103515245 + 12345;
		size_t offset = random % sizes[which];
		size_t bytes = sizes[which] - offset < MIB ? sizes[which] - offset : MIB;
		fixture_check(file, (unsigned)which, offset, bytes);
		if (pa_file_hold_whole(file) >= 0)
			pa_file_release_whole(file);
		fixture_file_close(file);
	}
	return NULL;
}

static void test_stress(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_mkdir(fixture.source, "d");
	fixture_file(fixture.source, "a", 0, 5 * MIB);
	fixture_file(fixture.source, "b", 1, 3 * MIB + 11);
	fixture_file(fixture.source, "d/c", 2, 3000);
	fixture_open(&fixture, &(struct fixture_options){.quota_bytes = 4 * MIB,
	                                                 .readahead_chunks = 2,
	                                                 .verify_every = 7,
	                                                 .read_only = true});
	struct stress stress = {.fixture = &fixture};
	pthread_t planner;
	pthread_t readers[16];
	assert_int_equal(pthread_create(&planner, NULL, change_assignments, &stress), 0);
	for (int i = 0; i < 16; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_everything, &stress), 0);
	for (int i = 0; i < 16; i++)
		pthread_join(readers[i], NULL);
	__atomic_store_n(&stress.stop, 1, __ATOMIC_RELAXED);
	pthread_join(planner, NULL);
	struct pa_cache_status status = fixture_status(&fixture);
	assert_true(status.peak_bytes <= 4 * MIB);
	assert_int_equal(status.corrupt_chunks, 0);
	/* When all is let go, nothing is left over. */
	fixture_assign(&fixture, NULL, 0);
	int64_t until_ns = pa_clock_deadline(5 * SECOND);
	while (fixture_status(&fixture).used_bytes != 0 && pa_clock_ns() < until_ns) {
		usleep(1000);
		fixture_assign(&fixture, NULL, 0);
	}
	assert_int_equal(fixture_status(&fixture).used_bytes, 0);
	assert_int_equal(fixture_resident(&fixture, ""), 0);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_loads_what_is_assigned),
	    cmocka_unit_test(test_range_of_a_file),
	    cmocka_unit_test(test_order_of_deadlines),
	    cmocka_unit_test(test_demand_goes_first),
	    cmocka_unit_test(test_small_files_use_the_connections),
	    cmocka_unit_test(test_who_gives_way),
	    cmocka_unit_test(test_needs_end),
	    cmocka_unit_test(test_pin),
	    cmocka_unit_test(test_failing_load_is_left_alone),
	    cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_refresh),
	    cmocka_unit_test(test_bind_path),
	    cmocka_unit_test(test_single_file),
	    cmocka_unit_test(test_two_data_sets_of_one_store),
	    cmocka_unit_test(test_options),
	    cmocka_unit_test(test_stress),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
