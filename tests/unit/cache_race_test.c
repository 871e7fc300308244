/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong only when two things meet: requests that wait, changes,
 * refreshes, failures, the end. */
#include "cache_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#define SECOND PA_NS_PER_SECOND

struct reader {
	struct pa_file *file;
	uint64_t offset;
	int result;
	int done;
};

static void *read_some(void *context)
{
	struct reader *reader = context;
	struct pa_error err = PA_ERROR_INIT;
	char data[1000];
	size_t got;

	reader->result =
	    pa_file_read(reader->file, reader->offset, data, sizeof(data), &got, NULL, &no_limit, &err);
	__atomic_store_n(&reader->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* A thread that waits before it tries again does not swallow what wakes another for a new reader. */
static void test_back_off_keeps_nobody_waiting(void **state)
{
	(void)state;
	struct fixture fixture;
	char name[16];
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 1000);
	for (unsigned i = 0; i < 120; i++) {
		snprintf(name, sizeof(name), "b%u", i);
		fixture_file(fixture.source, name, i, 1000);
	}
	fixture_open(&fixture, &(struct fixture_options){.connections = 3});
	fixture.store->fail_path = "a";
	fixture.store->transient_reads = 4; /* back-offs of 50, 100, 200 and 400 ms */
	struct reader reader = {.file = fixture_file_open(&fixture, "a", PA_FILE_READ)};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, read_some, &reader), 0);
	while (fixture_status(&fixture).retries == 0)
		usleep(100);
	for (unsigned i = 0; i < 120; i++) {
		snprintf(name, sizeof(name), "b%u", i);
		struct pa_file *file = fixture_file_open(&fixture, name, PA_FILE_READ);
		fixture_check(file, i, 0, 1000);
		fixture_file_close(file);
	}
	/* All of them were served while it waited. */
	assert_int_equal(__atomic_load_n(&reader.done, __ATOMIC_ACQUIRE), 0);
	pthread_join(thread, NULL);
	assert_int_equal(reader.result, 0);
	fixture_file_close(reader.file);
	fixture_end(&fixture);
}

/* A data set is closed while its last load is being shown, or its chunks make
 * room for others. */
static void test_close_while_busy(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_mkdir(fixture.source, "d");
	char name[32];
	for (unsigned i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "d/%u", i);
		fixture_file(fixture.source, name, i, 3000);
	}
	fixture_file(fixture.source, "large", 1, 4 * MIB);
	fixture_open(&fixture, &(struct fixture_options){.quota_bytes = MIB + 80 * 1024, .connections = 4});
	struct pa_file *large = fixture_file_open(&fixture, "large", PA_FILE_READ);
	for (unsigned round = 0; round < 150; round++) {
		struct pa_error err = PA_ERROR_INIT;
		struct pa_data_set *other = NULL;
		struct pa_data_set_options options = {
		    .name = "other", .store = &fixture.store->head, .root = "d", .read_only = true};
		assert_int_equal(pa_cache_open_data_set(fixture.cache, &options, &no_limit, &other, &err), 0);
		struct pa_assignment assignment = fixture_assignment("", SECOND, 60 * SECOND);
		assignment.data_set = "other";
		fixture_assign(&fixture, &assignment, 1);
		usleep(round * 10 % 1000);
		struct reader reader = {.file = large, .offset = round % 4 * MIB};
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, read_some, &reader), 0);
		pa_cache_close_data_set(fixture.cache, other);
		pthread_join(thread, NULL);
		assert_int_equal(reader.result, 0);
	}
	fixture_file_close(large);
	fixture_end(&fixture);
}

struct cutting {
	struct pa_file *file;
	int stop;
	int failed;
};

static void *read_until_told(void *context)
{
	struct cutting *cutting = context;
	struct pa_error err = PA_ERROR_INIT;
	static char data[4][3 * MIB];
	static int next;
	char *mine = data[__atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % 4];
	size_t got;

	while (__atomic_load_n(&cutting->stop, __ATOMIC_RELAXED) == 0) {
		if (pa_file_read(cutting->file, 0, mine, 3 * MIB, &got, NULL, &no_limit, &err) < 0) {
			print_message("# %s\n", err.message);
			__atomic_store_n(&cutting->failed, 1, __ATOMIC_RELAXED);
			break;
		}
		/* A change waits for those who read: without a pause here it may wait for long. */
		usleep(300);
	}
	return NULL;
}

/* Who reads a file that is cut short and grows meanwhile gets less or more of
 * it, and no error. */
static void test_size_changes_under_readers(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 2 * MIB + 5000);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct cutting cutting = {.file = fixture_file_open(&fixture, "a", PA_FILE_READ | PA_FILE_WRITE)};
	uint64_t inode = fixture_inode(&fixture, "a");
	pthread_t threads[3];
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_until_told, &cutting), 0);
	uint64_t random = 12345;
	for (unsigned i = 0; i < 600; i++) {
		struct pa_error err = PA_ERROR_INIT;
		random = random * 6364136223846793005u + 1442695040888963407u;
		struct pa_store_attributes change = {.set_size = true,
		                                     .size_bytes = (random >> 40) % (3 * MIB)};
		struct pa_attributes attributes;
		assert_int_equal(
		    pa_tree_set_attributes(fixture.data_set, inode, &change, &attributes, &no_limit, &err),
		    0);
		assert_int_equal(attributes.size_bytes, change.size_bytes);
		if (i % 7 == 0)
			assert_int_equal(
			    pa_file_write(cutting.file, (random >> 33) % MIB, "bytes", 5, &no_limit, &err),
			    0);
	}
	__atomic_store_n(&cutting.stop, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(cutting.failed, 0);
	fixture_file_close(cutting.file);
	fixture_end(&fixture);
}

/* What the kernel reads past us does not turn into zeros when the file grows.
 */
static void test_held_file_grows(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 100);
	fixture_file(fixture.source, "b", 2, MIB);
	/* Room for both files, and none for growth: b is held, too. */
	fixture_open(&fixture, &(struct fixture_options){.quota_bytes = MIB + 4096});
	struct pa_file *files[] = {fixture_file_open(&fixture, "a", PA_FILE_READ),
	                           fixture_file_open(&fixture, "b", PA_FILE_READ)};
	fixture_check(files[0], 1, 0, 100);
	fixture_check(files[1], 2, 0, MIB);
	int fd = pa_file_hold_whole(files[0]);
	assert_true(fd >= 0);
	assert_true(pa_file_hold_whole(files[1]) >= 0);
	struct pa_error err = PA_ERROR_INIT;
	struct pa_store_attributes change = {.set_size = true, .size_bytes = 9000};
	struct pa_attributes attributes;
	assert_int_equal(pa_tree_set_attributes(fixture.data_set, fixture_inode(&fixture, "a"), &change,
	                                        &attributes, &no_limit, &err),
	                 0);
	unsigned char data[9000];
	assert_int_equal(pread(fd, data, sizeof(data), 0), 9000);
	assert_true(fixture_same(data, 1, 0, 100));
	pa_file_release_whole(files[0]);
	pa_file_release_whole(files[1]);
	fixture_file_close(files[0]);
	fixture_file_close(files[1]);
	fixture_end(&fixture);
}

/* Memory that takes no more than the quota says, as a full tmpfs: readers are
 * served, loads ahead rest. */
static void test_memory_is_full(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 40 * MIB);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct rlimit before;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	struct rlimit limit = {.rlim_cur = 2 * MIB, .rlim_max = before.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	struct pa_assignment assignment = fixture_assignment("a", SECOND, 60 * SECOND);
	fixture_assign(&fixture, &assignment, 1);
	for (int i = 0; i < 5000 && fixture_status(&fixture).failed_loads == 0; i++)
		usleep(1000);
	usleep(200000);
	/* Both threads for loads ahead had one under way, no more. */
	assert_in_range(fault_reads(fixture.store), 1, 2);
	assert_true(fixture_status(&fixture).last_error[0] != '\0');
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(file, 1, 30 * MIB, MIB);
	assert_true(fixture_status(&fixture).bypassed_bytes > 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	fixture_file_close(file);
	fixture_end(&fixture);
}

/* ---- refreshes beside our own changes ---- */

/* A change of ours, and a refresh that begins when the change has reached the source (`moment`), or just before. */
struct beside {
	struct fixture *fixture;
	const char *moment;
	pthread_t thread;
	int begun;
	int changed;
};

static void *refresh_beside(void *context)
{
	struct beside *beside = context;
	struct pa_error err = PA_ERROR_INIT;

	__atomic_store_n(&beside->begun, 1, __ATOMIC_RELEASE);
	if (pa_data_set_refresh(beside->fixture->data_set, &no_limit, &err) < 0)
		fail_msg("%s", err.message);
	return NULL;
}

static void begin_beside(void *context, const char *moment)
{
	struct beside *beside = context;

	if (strcmp(moment, beside->moment) == 0 && __atomic_load_n(&beside->begun, __ATOMIC_ACQUIRE) == 0) {
		assert_int_equal(pthread_create(&beside->thread, NULL, refresh_beside, beside), 0);
		while (__atomic_load_n(&beside->begun, __ATOMIC_ACQUIRE) == 0)
			usleep(100);
		usleep(20000); /* it may list, or wait for us */
	} else if (strcmp(moment, "listed") == 0 && strcmp(beside->moment, "remove") == 0) {
		/* A listing that is older than the change is taken over after it; one that waits is younger. */
		for (int i = 0; i < 100 && __atomic_load_n(&beside->changed, __ATOMIC_ACQUIRE) == 0; i++)
			usleep(1000);
	}
}

static void beside_begin(struct beside *beside, struct fixture *fixture, const char *moment)
{
	*beside = (struct beside){.fixture = fixture, .moment = moment};
	fixture->store->hook_context = beside;
	fixture->store->hook = begin_beside;
}

static void beside_end(struct beside *beside)
{
	__atomic_store_n(&beside->changed, 1, __ATOMIC_RELEASE);
	pthread_join(beside->thread, NULL);
	beside->fixture->store->hook = NULL;
}

static bool count_name(void *context, const char *name, uint64_t cookie,
                       const struct pa_attributes *attributes)
{
	(void)name;
	(void)cookie;
	(void)attributes;
	++*(unsigned *)context;
	return true;
}

static unsigned names_in(struct fixture *fixture, const char *folder)
{
	struct pa_error err = PA_ERROR_INIT;
	unsigned count = 0;

	assert_int_equal(
	    pa_tree_list(fixture->data_set, fixture_inode(fixture, folder), 0, count_name, &count, &err), 0);
	return count;
}

/* A refresh that lists what we have just made does not make it twice. */
static void test_refresh_beside_creation(void **state)
{
	(void)state;
	struct fixture fixture;
	struct beside beside;
	fixture_begin(&fixture);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	struct pa_file *file = NULL;
	beside_begin(&beside, &fixture, "stat");
	assert_int_equal(pa_file_create(fixture.data_set, PA_INODE_ROOT, "a", PA_FILE_READ, 0600, &file,
	                                &attributes, &no_limit, &err),
	                 0);
	beside_end(&beside);
	assert_int_equal(names_in(&fixture, ""), 1);
	assert_int_equal(pa_file_write(file, 0, "1234", 4, &no_limit, &err), 0);
	assert_int_equal(
	    pa_tree_attributes(fixture.data_set, fixture_inode(&fixture, "a"), &attributes, &err), 0);
	assert_int_equal(attributes.size_bytes, 4);
	fixture_file_close(file);
	fixture_end(&fixture);
}

/* Nor does it take a file that is being renamed for gone, and a writer of it stays its writer. */
static void test_refresh_beside_renaming(void **state)
{
	(void)state;
	struct fixture fixture;
	struct beside beside;
	fixture_begin(&fixture);
	fixture_mkdir(fixture.source, "d");
	fixture_file(fixture.source, "d/a", 1, 1000);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	struct pa_file *file = fixture_file_open(&fixture, "d/a", PA_FILE_READ | PA_FILE_WRITE);
	beside_begin(&beside, &fixture, "renamed");
	assert_int_equal(pa_tree_rename(fixture.data_set, fixture_inode(&fixture, "d"), "a", PA_INODE_ROOT,
	                                "b", false, &no_limit, &err),
	                 0);
	beside_end(&beside);
	assert_int_equal(names_in(&fixture, ""), 2);
	assert_int_equal(names_in(&fixture, "d"), 0);
	assert_int_equal(pa_file_write(file, 1000, "1234", 4, &no_limit, &err), 0);
	assert_int_equal(
	    pa_tree_attributes(fixture.data_set, fixture_inode(&fixture, "b"), &attributes, &err), 0);
	assert_int_equal(attributes.size_bytes, 1004);
	fixture_file_close(file);
	/* A folder takes what is in it along. */
	file = fixture_file_open(&fixture, "b", PA_FILE_READ);
	assert_int_equal(pa_tree_rename(fixture.data_set, PA_INODE_ROOT, "b", fixture_inode(&fixture, "d"),
	                                "a", false, &no_limit, &err),
	                 0);
	uint64_t inode = fixture_inode(&fixture, "d/a");
	beside_begin(&beside, &fixture, "renamed");
	assert_int_equal(
	    pa_tree_rename(fixture.data_set, PA_INODE_ROOT, "d", PA_INODE_ROOT, "e", false, &no_limit, &err),
	    0);
	beside_end(&beside);
	assert_int_equal(names_in(&fixture, ""), 1);
	assert_int_equal(fixture_inode(&fixture, "e/a"), inode);
	fixture_file_close(file);
	fixture_end(&fixture);
}

/* The source is listed between the request to remove a file and its removal; the listing is taken over after it. */
static void test_refresh_beside_removal(void **state)
{
	(void)state;
	struct fixture fixture;
	struct beside beside;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 1000);
	fixture_file(fixture.source, "b", 2, 1000);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_error err = PA_ERROR_INIT;
	beside_begin(&beside, &fixture, "remove");
	assert_int_equal(pa_tree_remove(fixture.data_set, PA_INODE_ROOT, "a", false, &no_limit, &err), 0);
	beside_end(&beside);
	assert_int_equal(fixture_inode(&fixture, "a"), 0);
	assert_int_equal(names_in(&fixture, ""), 1);
	fixture_end(&fixture);
}

/* A refresh that failed is no check: the next one looks. */
static void test_failed_refresh(void **state)
{
	(void)state;
	struct fixture fixture;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_data_set *other = NULL;
	struct pa_attributes attributes;
	char path[128], away[128];

	fixture_begin(&fixture);
	fixture_mkdir(fixture.source, "d");
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_data_set_options options = {
	    .name = "other", .store = &fixture.store->head, .root = "d", .fresh_for_ns = SECOND};
	assert_int_equal(pa_cache_open_data_set(fixture.cache, &options, &no_limit, &other, &err), 0);
	fixture_file(fixture.source, "d/new", 1, 10);
	snprintf(path, sizeof(path), "%s/d", fixture.source);
	snprintf(away, sizeof(away), "%s/away", fixture.source);
	assert_int_equal(rename(path, away), 0);
	pa_clock_sleep_until(pa_clock_deadline(SECOND), NULL);
	assert_int_equal(pa_data_set_refresh(other, &no_limit, &err), -(int)PA_ERROR_NOT_FOUND);
	assert_int_equal(rename(away, path), 0);
	assert_int_equal(pa_data_set_refresh(other, &no_limit, &err), 0);
	assert_int_equal(pa_tree_lookup(other, PA_INODE_ROOT, "new", &attributes, &err), 0);
	pa_cache_close_data_set(fixture.cache, other);
	fixture_end(&fixture);
}

/* ---- writes that fail, and removed files ---- */

/* Memory and source do not part after a write that failed half-way, even where
 * memory could not let go at once. */
static void test_failed_write(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 1000);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_file *held = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(held, 1, 0, 1000);
	assert_true(pa_file_hold_whole(held) >= 0);
	struct pa_file *writer = fixture_file_open(&fixture, "a", PA_FILE_WRITE);
	struct pa_error err = PA_ERROR_INIT;
	unsigned char data[1000];
	fixture_fill(data, 2, 0, sizeof(data));
	fault_writes = 1;
	assert_int_equal(pa_file_write(writer, 0, data, sizeof(data), &no_limit, &err),
	                 -(int)PA_ERROR_PERMANENT);
	fixture_file_close(writer);
	pa_file_release_whole(held);
	fixture_file_close(held);
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(file, 2, 0, 500);
	fixture_file_close(file);
	fixture_end(&fixture);
}

/* A file that was removed while it is open goes on as a file without a name. */
static void test_removed_file_grows(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	struct pa_file *file = NULL;
	assert_int_equal(pa_file_create(fixture.data_set, PA_INODE_ROOT, "a", PA_FILE_READ, 0600, &file,
	                                &attributes, &no_limit, &err),
	                 0);
	assert_int_equal(pa_tree_remove(fixture.data_set, PA_INODE_ROOT, "a", false, &no_limit, &err), 0);
	unsigned char data[5000];
	fixture_fill(data, 1, 0, sizeof(data));
	assert_int_equal(pa_file_write(file, 0, data, sizeof(data), &no_limit, &err), 0);
	assert_int_equal(pa_tree_attributes(fixture.data_set, attributes.inode, &attributes, &err), 0);
	assert_int_equal(attributes.size_bytes, 5000);
	fixture_check(file, 1, 0, 5000);
	fixture_file_close(file);
	fixture_end(&fixture);
}

/* ---- what may not be read ---- */

/* A folder that may not be listed is there and closed; the rest can be used; a refresh finds it opened. */
static void test_closed_folder(void **state)
{
	(void)state;
	struct fixture fixture;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	uid_t before = geteuid();
	char path[128];
	unsigned count = 0;

	fixture_begin(&fixture);
	fixture_mkdir(fixture.source, "closed");
	fixture_file(fixture.source, "closed/a", 1, 1000);
	fixture_file(fixture.source, "b", 2, 1000);
	snprintf(path, sizeof(path), "%s/closed", fixture.source);
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(chmod(fixture.source, 0755), 0);
	assert_int_equal(chmod(fixture.memory, 0777), 0);
	if (before == 0)
		assert_int_equal(seteuid(65534), 0);
	fixture_open(&fixture, &(struct fixture_options){0});
	assert_int_equal(seteuid(before), 0);
	uint64_t inode = fixture_inode(&fixture, "closed");
	assert_int_equal(pa_tree_list(fixture.data_set, inode, 0, count_name, &count, &err),
	                 -(int)PA_ERROR_PERMANENT);
	assert_int_equal(pa_error_to_errno(&err), EACCES);
	assert_int_equal(pa_tree_lookup(fixture.data_set, inode, "a", &attributes, &err),
	                 -(int)PA_ERROR_PERMANENT);
	struct pa_file *file = fixture_file_open(&fixture, "b", PA_FILE_READ);
	fixture_check(file, 2, 0, 1000);
	fixture_file_close(file);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(pa_data_set_refresh(fixture.data_set, &no_limit, &err), 0);
	file = fixture_file_open(&fixture, "closed/a", PA_FILE_READ);
	fixture_check(file, 1, 0, 1000);
	fixture_file_close(file);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_back_off_keeps_nobody_waiting),
	    cmocka_unit_test(test_close_while_busy),
	    cmocka_unit_test(test_size_changes_under_readers),
	    cmocka_unit_test(test_held_file_grows),
	    cmocka_unit_test(test_memory_is_full),
	    cmocka_unit_test(test_refresh_beside_creation),
	    cmocka_unit_test(test_refresh_beside_renaming),
	    cmocka_unit_test(test_refresh_beside_removal),
	    cmocka_unit_test(test_failed_refresh),
	    cmocka_unit_test(test_failed_write),
	    cmocka_unit_test(test_removed_file_grows),
	    cmocka_unit_test(test_closed_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
