/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <sys/wait.h>

#include "mount_fixture.h"

#define FILES      12
#define FILE_BYTES (2u * 1024 * 1024 + 5)
#define READERS    6
#define SLOW_BPS   5000 /* a file of 100,000 bytes takes 20 s */

struct crowd {
	struct fixture *fixture;
	atomic_int failed;
	atomic_int stop;
	atomic_uint opens;
	uint64_t file_bytes;
};

static void fill_files(const struct fixture *fixture, uint64_t bytes)
{
	char name[32];

	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		write_pattern(at(fixture->source, name), i, bytes);
	}
}

/* Opens, reads somewhere, closes: the kind of work that meets every change of mode. */
static void *open_and_read(void *context)
{
	struct crowd *crowd = context;
	unsigned seed = (unsigned)pthread_self();
	unsigned char block[512];
	char name[32];

	while (!crowd->stop && !crowd->failed) {
		unsigned file = (unsigned)rand_r(&seed) % FILES;
		snprintf(name, sizeof(name), "file-%u", file);
		int fd = open(in_view(crowd->fixture, name), O_RDONLY);
		if (fd < 0) {
			crowd->failed = errno;
			break;
		}
		for (int i = 0; i < 3; i++) {
			uint64_t offset = (uint64_t)rand_r(&seed) % (crowd->file_bytes - sizeof(block));
			ssize_t got = pread(fd, block, sizeof(block), (off_t)offset);
			if (got != sizeof(block) || !is_pattern(block, file, offset, sizeof(block)))
				crowd->failed = got < 0 ? errno : -1;
		}
		crowd->opens++;
		close(fd);
	}
	return NULL;
}

/* Loads everything, throws it away, and again, while others open and read. */
static void test_residency_changes(void **state)
{
	struct fixture *fixture = fixture_folders();
	struct crowd crowd = {.fixture = fixture, .file_bytes = FILE_BYTES};
	struct pa_view_account account;
	struct pa_error err = PA_ERROR_INIT;
	pthread_t threads[READERS];

	(void)state;
	fill_files(fixture, FILE_BYTES);
	fixture_open(fixture, &(struct fixture_options){.latency_ns = PA_NS_PER_MS / 2});
	for (int i = 0; i < READERS; i++)
		pthread_create(&threads[i], NULL, open_and_read, &crowd);
	for (int i = 0; i < 15; i++) {
		fixture_assign_all(fixture);
		usleep(120000);
		assert_int_equal(pa_cache_assign(fixture->cache, NULL, 0, &err), 0);
		usleep(20000);
	}
	crowd.stop = 1;
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(crowd.failed, 0);
	pa_mount_view_account(fixture->view, &account);
	print_message("# %u opens, %llu of them in passthrough\n", crowd.opens,
	              (unsigned long long)account.passthrough_opens);
	assert_true(crowd.opens > 1000);
	if (pa_mount_has_passthrough(fixture->mount)) {
		assert_true(account.passthrough_opens > 100);
		assert_true(account.passthrough_opens < account.opens);
	}
	fixture_close(fixture);
}

static void *write_now_and_then(void *context)
{
	struct crowd *crowd = context;
	unsigned seed = 1;
	char name[32];

	while (!crowd->stop && !crowd->failed) {
		unsigned file = (unsigned)rand_r(&seed) % FILES;
		uint64_t offset = (uint64_t)rand_r(&seed) % crowd->file_bytes;
		unsigned char byte = pattern(file, offset);
		snprintf(name, sizeof(name), "file-%u", file);
		int fd = open(in_view(crowd->fixture, name), rand_r(&seed) % 2 != 0 ? O_RDWR : O_WRONLY);
		/* ESTALE: a reader was faster twice in a row (docs/mount.md); it must stay rare. */
		if (fd < 0 || pwrite(fd, &byte, 1, (off_t)offset) != 1 || close(fd) != 0)
			crowd->failed = errno;
		crowd->opens++;
		usleep(500);
	}
	return NULL;
}

/* Writers come while passthrough readers never stop. */
static void test_writers_among_readers(void **state)
{
	struct fixture *fixture = fixture_folders();
	struct crowd readers = {.fixture = fixture, .file_bytes = FILE_BYTES};
	struct crowd writer = {.fixture = fixture, .file_bytes = FILE_BYTES};
	pthread_t threads[READERS + 1];
	char name[32];

	(void)state;
	fill_files(fixture, FILE_BYTES);
	fixture_open(fixture, &(struct fixture_options){0});
	fixture_load_all(fixture);
	for (int i = 0; i < READERS; i++)
		pthread_create(&threads[i], NULL, open_and_read, &readers);
	pthread_create(&threads[READERS], NULL, write_now_and_then, &writer);
	usleep(1500000);
	writer.stop = 1;
	pthread_join(threads[READERS], NULL);
	readers.stop = 1;
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	print_message("# %u opens for writing among %u for reading\n", writer.opens, readers.opens);
	assert_int_equal(readers.failed, 0);
	assert_int_equal(writer.failed, 0);
	assert_true(writer.opens > 50);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		assert_int_equal(check_pattern(at(fixture->source, name), i, FILE_BYTES), 0);
		assert_int_equal(check_pattern(in_view(fixture, name), i, FILE_BYTES), 0);
	}
	fixture_close(fixture);
}

static void note_signal(int number)
{
	(void)number;
}

/* A child that reads one byte of a file that takes long; it may have a handler for SIGUSR1. */
static pid_t start_reader(const struct fixture *fixture, const char *name)
{
	const char *path = in_view(fixture, name);

	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid != 0)
		return pid;
	char byte;
	struct sigaction action = {.sa_handler = note_signal};
	sigaction(SIGUSR1, &action, NULL);
	int fd = open(path, O_RDONLY);
	_exit(fd >= 0 && read(fd, &byte, 1) == 1 ? 0 : errno);
}

static bool wait_until_stalled(struct fixture *fixture)
{
	for (int i = 0; i < 500; i++) {
		if (pa_mount_view_is_stalled(fixture->view))
			return true;
		usleep(10000);
	}
	return false;
}

/* What kills a waiting reader ends it at once, also after a signal that it survived. */
static void killed_reader(bool after_other_signal, int number)
{
	struct fixture *fixture = fixture_folders();
	int status;

	fill_files(fixture, 100000);
	fixture_open(fixture, &(struct fixture_options){.bandwidth_bps = SLOW_BPS});
	pid_t pid = start_reader(fixture, "file-0");
	assert_true(wait_until_stalled(fixture));
	if (after_other_signal) {
		assert_int_equal(kill(pid, SIGUSR1), 0);
		usleep(100000);
		assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
		assert_true(pa_mount_view_is_stalled(fixture->view));
	}
	int64_t begin_ns = pa_clock_ns();
	assert_int_equal(kill(pid, number), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_true(pa_clock_ns() - begin_ns < 10 * PA_NS_PER_SECOND); /* of the 20 that the file takes */
	for (int i = 0; pa_mount_view_is_stalled(fixture->view) && i < 100; i++)
		usleep(10000);
	assert_false(pa_mount_view_is_stalled(fixture->view));
	fixture_close(fixture);
}

static void test_killed_reader(void **state)
{
	(void)state;
	killed_reader(false, SIGTERM);
	killed_reader(true, SIGTERM);
	killed_reader(true, SIGKILL);
}

/* A signal that has a handler does not end a read, as on a disk. */
static void test_signalled_reader(void **state)
{
	struct fixture *fixture = fixture_folders();
	int status;

	(void)state;
	fill_files(fixture, 100000);
	fixture_open(fixture, &(struct fixture_options){.latency_ns = 500 * PA_NS_PER_MS});
	pid_t pid = start_reader(fixture, "file-0");
	assert_true(wait_until_stalled(fixture));
	for (int i = 0; i < 5; i++) {
		assert_int_equal(kill(pid, SIGUSR1), 0);
		usleep(10000);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	fixture_close(fixture);
}

struct reader {
	struct fixture *fixture;
	unsigned file;
	int result;
};

static void *read_one(void *context)
{
	struct reader *reader = context;
	char name[32];

	snprintf(name, sizeof(name), "file-%u", reader->file);
	reader->result = check_pattern(in_view(reader->fixture, name), reader->file, 100000);
	return NULL;
}

/* More waiting readers than threads: names are still looked up, and all readers get their bytes. */
static void test_more_readers_than_threads(void **state)
{
	struct fixture *fixture = fixture_folders();
	struct reader readers[FILES];
	pthread_t threads[FILES];
	struct stat status;

	(void)state;
	fill_files(fixture, 100000);
	fixture_open(fixture, &(struct fixture_options){
				  .latency_ns = 500 * PA_NS_PER_MS, .threads = 3, .direct = true});
	for (unsigned i = 0; i < FILES; i++) {
		readers[i] = (struct reader){fixture, i, -1};
		pthread_create(&threads[i], NULL, read_one, &readers[i]);
	}
	assert_true(wait_until_stalled(fixture));
	usleep(50000);
	for (int i = 0; i < 50; i++)
		assert_int_equal(stat(in_view(fixture, "nothing here"), &status), -1);
	assert_true(pa_mount_view_is_stalled(fixture->view));
	for (unsigned i = 0; i < FILES; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].result, 0);
	}
	fixture_close(fixture);
}

static void test_free_with_blocked_readers(void **state)
{
	struct fixture *fixture = fixture_folders();
	struct reader readers[FILES];
	pthread_t threads[FILES];
	char command[512];

	(void)state;
	fill_files(fixture, 100000);
	fixture_open(fixture, &(struct fixture_options){.bandwidth_bps = SLOW_BPS, .threads = 4});
	/* A task's bind mount keeps the file system busy. */
	char *bound = strdup(at(fixture->base, "bound"));
	assert_int_equal(mkdir(bound, 0755), 0);
	assert_int_equal(mount(at(fixture->mount_point, "set"), bound, NULL, MS_BIND, NULL), 0);
	int open_fd = open(at(bound, "file-1"), O_RDONLY);
	assert_true(open_fd >= 0);
	for (unsigned i = 0; i < FILES; i++) {
		readers[i] = (struct reader){fixture, i, -2};
		pthread_create(&threads[i], NULL, read_one, &readers[i]);
	}
	assert_true(wait_until_stalled(fixture));
	usleep(100000);
	int64_t begin_ns = pa_clock_ns();
	pa_mount_free(fixture->mount);
	fixture->mount = NULL;
	assert_true(pa_clock_ns() - begin_ns < 10 * PA_NS_PER_SECOND); /* of the 20 that the file takes */
	for (unsigned i = 0; i < FILES; i++) {
		pthread_join(threads[i], NULL);
		assert_true(readers[i].result > 0);
	}
	snprintf(command, sizeof(command), "mountpoint -q %s", fixture->mount_point);
	assert_int_not_equal(system(command), 0);
	close(open_fd);
	umount2(bound, MNT_DETACH);
	free(bound);
	fixture_close(fixture);
}

static void test_read_time_out(void **state)
{
	struct fixture *fixture = fixture_folders();

	(void)state;
	fill_files(fixture, 100000);
	fixture_open(fixture, &(struct fixture_options){.bandwidth_bps = SLOW_BPS,
	                                                .read_timeout_ns = 200 * PA_NS_PER_MS});
	int64_t begin_ns = pa_clock_ns();
	assert_int_equal(check_pattern(in_view(fixture, "file-3"), 3, 100000), EIO);
	assert_in_range(pa_clock_ns() - begin_ns, 150 * PA_NS_PER_MS, 2 * PA_NS_PER_SECOND);
	fixture_close(fixture);
}

/* Two tasks that wait at the same time have each their own stall; one task's two waits count once. */
static void test_stall_is_a_union(void **state)
{
	struct fixture *fixture = fixture_folders();
	struct pa_view_account account;
	struct reader readers[4];
	pthread_t threads[4];

	(void)state;
	fill_files(fixture, 100000);
	fixture_open(fixture, &(struct fixture_options){.latency_ns = 200 * PA_NS_PER_MS});
	for (unsigned i = 0; i < 4; i++) {
		readers[i] = (struct reader){fixture, i, -1};
		pthread_create(&threads[i], NULL, read_one, &readers[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	pa_mount_view_account(fixture->view, &account);
	assert_in_range(account.stalled_ns, 190 * PA_NS_PER_MS, 500 * PA_NS_PER_MS);
	assert_true(account.source_bytes > 0);
	fixture_close(fixture);
}

static void test_mounts_come_and_go(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct fixture *fixture = fixture_folders();
		write_pattern(at(fixture->source, "file"), 1, 10);
		fixture_open(fixture, &(struct fixture_options){.direct = i % 2 != 0});
		assert_int_equal(check_pattern(in_view(fixture, "file"), 1, 10), 0);
		fixture_close(fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_residency_changes, fixture_teardown),
	    cmocka_unit_test_teardown(test_writers_among_readers, fixture_teardown),
	    cmocka_unit_test_teardown(test_killed_reader, fixture_teardown),
	    cmocka_unit_test_teardown(test_signalled_reader, fixture_teardown),
	    cmocka_unit_test_teardown(test_more_readers_than_threads, fixture_teardown),
	    cmocka_unit_test_teardown(test_free_with_blocked_readers, fixture_teardown),
	    cmocka_unit_test_teardown(test_read_time_out, fixture_teardown),
	    cmocka_unit_test_teardown(test_stall_is_a_union, fixture_teardown),
	    cmocka_unit_test_teardown(test_mounts_come_and_go, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, fixture_group_setup, NULL);
}
