/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes for tests: the test program is its own task-init.  After every test nothing may be left: no mount, no
 * descriptor, no child.  Each program runs once with scratch on a tmpfs (one overlay) and, by its last test, once with
 * scratch on the root's disk (the root split), where the machine can do both. */
#ifndef RUN_SANDBOX_HELPER_H
#define RUN_SANDBOX_HELPER_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "run/sandbox.h"
#include "run/scratch.h"

#define BASE_VARIABLE  "PA_SANDBOX_TEST_BASE"
#define MAX_TEXT_BYTES (1u << 20)
#define WAIT_MS        20000

static const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "GREETING=hello there", NULL};

/* Where the tests of a group have their scratch: "/dev/shm" or "/var/tmp". */
static const char *base;
static char work[64]; /* a folder below it, one per test */
static unsigned int scratch_count;

/* ---- helpers ---- */

static inline void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static inline void make_path(char *out, size_t room, const char *name)
{
	snprintf(out, room, "%s/%s", work, name);
}

/* A new, empty folder or a file with text below `work`. */
static inline char *make_folder(const char *name)
{
	static char paths[64][PATH_MAX]; /* more than one test makes */
	static unsigned int next;
	char *path = paths[next++ % 64];

	need_root();
	make_path(path, PATH_MAX, name);
	assert_int_equal(mkdir(path, 0755), 0);
	return path;
}

static inline void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static inline char *make_scratch(void)
{
	char name[32];

	snprintf(name, sizeof(name), "scratch%u", scratch_count++);
	return make_folder(name);
}

static inline void wait_readable(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
}

struct outcome {
	int failed; /* what _start returned */
	struct pa_error error;
	struct pa_sandbox_exit exit;
	char *scratch;
	char text[65536]; /* what it printed */
};

static inline void run_options(struct pa_sandbox_options *options, struct outcome *outcome)
{
	struct pa_sandbox *sandbox = NULL;
	struct pa_error none = PA_ERROR_INIT;
	ssize_t count;

	memset(outcome, 0, sizeof(*outcome));
	outcome->error = none;
	outcome->scratch = make_scratch();
	if (!options->scratch)
		options->scratch = outcome->scratch;
	if (!options->environment)
		options->environment = environment;
	options->output_fd = memfd_create("output", MFD_CLOEXEC);
	if (options->error_fd == 0)
		options->error_fd = options->output_fd;
	outcome->failed = pa_sandbox_start(options, &sandbox, &outcome->error);
	if (outcome->failed) {
		assert_null(sandbox);
	} else {
		wait_readable(pa_sandbox_fd(sandbox));
		assert_int_equal(pa_sandbox_result(sandbox, &outcome->exit, &outcome->error), 0);
		pa_sandbox_free(sandbox);
	}
	count = pread(options->output_fd, outcome->text, sizeof(outcome->text) - 1, 0);
	outcome->text[count > 0 ? count : 0] = '\0';
	if (options->error_fd == options->output_fd)
		options->error_fd = 0;
	close(options->output_fd);
}

static inline void run_shell(const char *script, const struct pa_sandbox_bind *binds, size_t bind_count,
                             struct outcome *outcome)
{
	const char *command[] = {"sh", "-c", script, NULL};
	struct pa_sandbox_options options = {.command = command, .binds = binds, .bind_count = bind_count};

	run_options(&options, outcome);
	if (outcome->failed)
		print_message("# %s\n", outcome->error.message);
}

/* Runs a script that must succeed. */
static inline void expect_shell(const char *script, const struct pa_sandbox_bind *binds, size_t bind_count,
                                struct outcome *outcome)
{
	run_shell(script, binds, bind_count, outcome);
	assert_int_equal(outcome->failed, 0);
	if (outcome->exit.status != 0)
		print_message("# %s: exit %d: %s\n", script, outcome->exit.status, outcome->text);
	assert_int_equal(outcome->exit.status, 0);
}

static inline char *read_file(const char *path)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer text;

	assert_int_equal(pa_buffer_read_file(path, MAX_TEXT_BYTES, &text, &err), 0);
	return pa_buffer_take(&text);
}

static inline unsigned int count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned int count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static char *mounts_before;
static unsigned int descriptors_before;

static inline int set_up(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	snprintf(work, sizeof(work), "%s/pa-sandbox-XXXXXX", base);
	if (!mkdtemp(work))
		return -1;
	mounts_before = read_file("/proc/self/mountinfo");
	descriptors_before = count_descriptors();
	return 0;
}

/* After every test: no mount, no descriptor, no child is left. */
static inline int tear_down(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	char *mounts;

	(void)state;
	if (geteuid() != 0)
		return 0;
	mounts = read_file("/proc/self/mountinfo");
	assert_string_equal(mounts, mounts_before);
	free(mounts);
	free(mounts_before);
	assert_int_equal(count_descriptors(), descriptors_before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(pa_scratch_remove_tree(work, &err), 0);
	return 0;
}

static inline struct pa_sandbox *start_shell(const char *script)
{
	const char *command[] = {"sh", "-c", script, NULL};
	struct pa_sandbox_options options = {
	    .command = command, .environment = environment, .scratch = make_scratch()};
	struct pa_sandbox *sandbox = NULL;
	struct pa_error err = PA_ERROR_INIT;

	options.output_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	options.error_fd = options.output_fd;
	if (pa_sandbox_start(&options, &sandbox, &err) != 0)
		print_message("# %s\n", err.message);
	close(options.output_fd);
	return sandbox;
}

/* This program once more, with scratch on the root's disk; one report a program, so its own goes to standard error. */
static inline void test_all_on_the_roots_disk(void **state)
{
	struct statfs file_system;
	pid_t child;
	int status;

	(void)state;
	need_root();
	assert_int_equal(statfs("/var/tmp", &file_system), 0);
	if (getenv(BASE_VARIABLE) || file_system.f_type == OVERLAYFS_SUPER_MAGIC)
		skip();
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		setenv(BASE_VARIABLE, "/var/tmp", 1);
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl("/proc/self/exe", "run_sandbox_test", (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

#endif
