/* SPDX-License-Identifier: Apache-2.0 */
/* Writers that are killed, disks that are full, files that are damaged, foreign, newer or not to be
 * written. */
#include "catalog_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/random.h"
#include "catalog/catalog_internal.h"

#define KILLS 50

/* Stores runs until it is killed; each that is committed is told through the pipe. */
static void write_runs(int out)
{
	struct pa_catalog *catalog = must_open();
	struct pa_pipeline pipeline = paper_pipeline();
	struct pa_task_run tasks[] = {task_run("preprocess", 0, 10, 0), task_run("train", 10, 20, 0)};
	struct pa_profile_read reads[200];
	struct pa_run_record run = {.mode = "ahead",
	                            .outcome = "succeeded",
	                            .tasks = tasks,
	                            .task_count = 2,
	                            .profile = reads,
	                            .profile_count = 200};

	for (size_t i = 0; i < 200; i++)
		reads[i] = (struct pa_profile_read){"train", "claim:jsm-conv", "a/file", i, 0.5};
	for (;;) {
		int64_t id = must_store_run(catalog, must_store_pipeline(catalog, &pipeline, NULL), &run);
		if (write(out, &id, sizeof(id)) != (ssize_t)sizeof(id))
			_exit(1);
	}
}

/* The last run that a writer said it had committed before it was killed, or what was there before. */
static int64_t kill_a_writer(bool after_a_commit, useconds_t after_us, int64_t last)
{
	int ends[2];
	int64_t id;

	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(ends[0]);
		write_runs(ends[1]);
	}
	close(ends[1]);
	/* Half of the writers get as far as a run, however slow the machine is. */
	if (after_a_commit)
		assert_int_equal(read(ends[0], &last, sizeof(last)), sizeof(last));
	usleep(after_us);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	while (read(ends[0], &id, sizeof(id)) == (ssize_t)sizeof(id))
		last = id;
	close(ends[0]);
	return last;
}

static void no_committed_run_is_lost_to_kill_9(void **state)
{
	struct pa_random random = {42};
	int64_t last = 0;

	(void)state;
	for (int i = 0; i < KILLS; i++) {
		last = kill_a_writer(i % 2 == 0, (useconds_t)(pa_random_uniform(&random) * 40000), last);
		struct pa_catalog *catalog = must_open();
		int64_t there = number(catalog, "SELECT coalesce(max(id), 0) FROM run");
		assert_true(there == last ||
		            there == last + 1); /* committed, and killed before it could say so */
		assert_int_equal(number(catalog, "SELECT count(*) FROM run"), there);
		assert_int_equal(number(catalog, "SELECT count(*) FROM task_run"), 2 * there);
		assert_int_equal(number(catalog, "SELECT count(*) FROM access_profile"), there > 0 ? 200 : 0);
		pa_catalog_close(catalog);
		last = there;
		sqlite3 *database;
		sqlite3_stmt *check;
		assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
		assert_int_equal(sqlite3_prepare_v2(database, "PRAGMA integrity_check", -1, &check, NULL),
		                 SQLITE_OK);
		assert_int_equal(sqlite3_step(check), SQLITE_ROW);
		assert_string_equal(sqlite3_column_text(check, 0), "ok");
		sqlite3_finalize(check);
		sqlite3_close(database);
	}
	assert_true(last >= KILLS / 2);
}

static void writers_wait_for_each_other(void **state)
{
	struct pa_pipeline pipeline = paper_pipeline();
	struct pa_run_record run = {.mode = "ahead", .outcome = "succeeded"};
	int status;

	(void)state;
	for (int i = 0; i < 4; i++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child > 0)
			continue;
		struct pa_catalog *catalog = must_open();
		for (int j = 0; j < 25; j++)
			must_store_run(catalog, must_store_pipeline(catalog, &pipeline, NULL), &run);
		pa_catalog_close(catalog);
		_exit(0);
	}
	for (int i = 0; i < 4; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	struct pa_catalog *catalog = must_open();
	assert_int_equal(number(catalog, "SELECT count(*) FROM run"), 100);
	assert_int_equal(number(catalog, "SELECT count(*) FROM pipeline"), 1);
	pa_catalog_close(catalog);
}

static void put_file(const char *content, size_t bytes)
{
	char parent[128];

	snprintf(parent, sizeof(parent), "%s/state", folder);
	mkdir(parent, 0700);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(content, 1, bytes, out), bytes);
	fclose(out);
}

static void must_fail(int class, const char *message)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_catalog *catalog = NULL;
	int result = pa_catalog_open(path, &catalog, &err);

	if (result != -class || strstr(err.message, message) == NULL)
		fail_msg("%d: %s", result, err.message);
	assert_null(catalog);
	assert_non_null(strstr(err.message, path));
}

static void a_file_that_is_no_catalog_is_left_alone(void **state)
{
	static char text[8192];
	struct stat before, after;
	sqlite3 *database;

	(void)state;
	memset(text, 'x', sizeof(text));
	put_file(text, sizeof(text));
	must_fail(PA_ERROR_INPUT, "no catalog");
	unlink(path);
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, "CREATE TABLE theirs (a)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(database);
	assert_int_equal(stat(path, &before), 0);
	must_fail(PA_ERROR_INPUT, "another program's");
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	must_fail(PA_ERROR_PERMANENT, "cannot be");
	rmdir(path);
	put_file("", 0);
	pa_catalog_close(must_open());
}

static void a_damaged_catalog_is_an_error(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer out;
	char junk[4096];

	(void)state;
	struct pa_catalog *catalog = must_open();
	struct pa_pipeline pipeline = paper_pipeline();
	must_store_pipeline(catalog, &pipeline, NULL);
	pa_catalog_close(catalog);
	memset(junk, 0xa5, sizeof(junk));
	int fd = open(path, O_RDWR);
	struct stat info;
	assert_int_equal(fstat(fd, &info), 0);
	/* All pages but the first: the header still says whose file it is. */
	for (off_t at = 4096; at < info.st_size; at += 4096)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
	close(fd);
	if (pa_catalog_open(path, &catalog, &err) == 0) {
		pa_buffer_init(&out, 1 << 20);
		assert_int_equal(pa_catalog_export(catalog, &out, &err), -PA_ERROR_INPUT);
		assert_int_equal(out.length, 0);
		pa_buffer_done(&out);
		pa_catalog_close(catalog);
	}
	assert_int_equal(err.class, PA_ERROR_INPUT);
	assert_non_null(strstr(err.message, "damaged"));
}

static void a_newer_catalog_is_refused(void **state)
{
	sqlite3 *database;

	(void)state;
	pa_catalog_close(must_open());
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, "PRAGMA user_version = 1000", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(database);
	must_fail(PA_ERROR_INPUT, "has version 1000");
}

static void migrations_go_forward_or_not_at_all(void **state)
{
	static const struct pa_catalog_migration next[] = {
	    {""},
	    {"ALTER TABLE run ADD COLUMN note TEXT"},
	    {"CREATE TABLE more (a); INSERT INTO nothing VALUES (1)"}};
	struct pa_error err = PA_ERROR_INIT;
	struct pa_catalog *catalog = must_open();

	(void)state;
	assert_int_equal(pa_catalog_migration_count, 1);
	assert_true(pa_catalog_migrate(catalog, next, 3, &err) < 0);
	assert_int_equal(number(catalog, "PRAGMA user_version"), 1);
	assert_int_equal(number(catalog, "SELECT sql LIKE '%note%' FROM sqlite_schema WHERE name = 'run'"),
	                 0);
	assert_int_equal(pa_catalog_migrate(catalog, next, 2, &err), 0);
	assert_int_equal(number(catalog, "PRAGMA user_version"), 2);
	assert_int_equal(number(catalog, "SELECT sql LIKE '%note%' FROM sqlite_schema WHERE name = 'run'"),
	                 1);
	pa_catalog_close(catalog);
}

/* Runs in a mount namespace of its own, in a child; 77: there are no namespaces to be had here. */
static int in_namespace(int (*body)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
			_exit(77);
		if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
			_exit(77);
		int result = body();
		fflush(NULL);
		_exit(result);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int fill_the_disk(void)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_pipeline pipeline = paper_pipeline();
	struct pa_profile_read reads[2000];
	struct pa_task_run tasks[] = {task_run("train", 10, 20, 0)};
	struct pa_run_record run = {.mode = "ahead",
	                            .outcome = "succeeded",
	                            .tasks = tasks,
	                            .task_count = 1,
	                            .profile = reads,
	                            .profile_count = 2000};
	int64_t id = 0, stored = 0;
	int result = 0;

	if (mount("tmpfs", folder, "tmpfs", 0, "size=1m") != 0)
		return 77;
	for (size_t i = 0; i < 2000; i++)
		reads[i] = (struct pa_profile_read){"train", "claim:jsm-conv", "a/file", i, 0.5};
	struct pa_catalog *catalog = must_open();
	int64_t pipeline_id = must_store_pipeline(catalog, &pipeline, NULL);
	for (int i = 0; i < 1000 && result == 0; i++) {
		result = pa_catalog_store_run(catalog, pipeline_id, &run, &id, &err);
		stored += result == 0;
	}
	if (result != -PA_ERROR_NO_SPACE || strstr(err.message, "free space") == NULL || stored == 0) {
		fprintf(stderr, "%d after %d: %s\n", result, (int)stored, err.message);
		return 1;
	}
	/* What was stored is whole, for this handle and for the next. */
	for (int i = 0; i < 2; i++) {
		if (number(catalog, "SELECT count(*) FROM run") != stored ||
		    number(catalog, "SELECT count(*) FROM access_profile") != 2000)
			return 2;
		pa_catalog_close(catalog);
		if (pa_catalog_open(path, &catalog, &err) != 0) {
			fprintf(stderr, "%s\n", err.message);
			return 3;
		}
	}
	pa_catalog_close(catalog);
	return 0;
}

static int write_a_read_only_disk(void)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_catalog *catalog = NULL;

	if (mount("tmpfs", folder, "tmpfs", 0, "size=4m") != 0)
		return 77;
	pa_catalog_close(must_open());
	if (mount("none", folder, NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0)
		return 77;
	if (pa_catalog_open(path, &catalog, &err) != -PA_ERROR_PERMANENT ||
	    strstr(err.message, "PIPEAHEAD_CATALOG") == NULL) {
		fprintf(stderr, "there: %s\n", err.message);
		return 1;
	}
	strcat(path, ".other");
	if (pa_catalog_open(path, &catalog, &err) != -PA_ERROR_PERMANENT ||
	    strstr(err.message, path) == NULL) {
		fprintf(stderr, "not there: %s\n", err.message);
		return 2;
	}
	return 0;
}

static void a_full_disk_leaves_what_was_there(void **state)
{
	(void)state;
	int result = in_namespace(fill_the_disk);
	if (result == 77)
		skip();
	assert_int_equal(result, 0);
}

static void a_read_only_disk_is_an_error(void **state)
{
	(void)state;
	int result = in_namespace(write_a_read_only_disk);
	if (result == 77)
		skip();
	assert_int_equal(result, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
	    TEST(no_committed_run_is_lost_to_kill_9),
	    TEST(writers_wait_for_each_other),
	    TEST(a_file_that_is_no_catalog_is_left_alone),
	    TEST(a_damaged_catalog_is_an_error),
	    TEST(a_newer_catalog_is_refused),
	    TEST(migrations_go_forward_or_not_at_all),
	    TEST(a_full_disk_leaves_what_was_there),
	    TEST(a_read_only_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
