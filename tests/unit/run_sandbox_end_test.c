/* SPDX-License-Identifier: Apache-2.0 */
/* How a task ends, and what is known of it then. */
#include "run_sandbox_helper.h"

/* ---- its end ---- */

static void test_accounting(void **state)
{
	struct outcome outcome;

	(void)state;
	need_root();
	/* Through two generations, with one process that nobody waits for. */
	expect_shell("sh -c 'head -c 30000000 /dev/zero > /dev/null; sh -c \"cat /dev/null; dd if=/dev/zero "
	             "of=/dev/null "
	             "bs=1M count=20 2>/dev/null\"'",
	             NULL, 0, &outcome);
	assert_in_range(outcome.exit.read_characters, 50000000, 51500000);
	/* What is left running counts, too. */
	expect_shell("(head -c 30000000 /dev/zero > /dev/null; touch /tmp/done; exec sleep 100) & "
	             "while [ ! -e /tmp/done ]; do sleep 0.01; done",
	             NULL, 0, &outcome);
	assert_true(outcome.exit.read_characters >= 30000000);
	expect_shell("true", NULL, 0, &outcome);
	assert_in_range(outcome.exit.read_characters, 1, 20000);
	assert_true(outcome.exit.cpu_s < 0.05);
	expect_shell("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done", NULL, 0, &outcome);
	assert_true(outcome.exit.cpu_s > 0.05);
}

static bool is_running(const char *marker)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	assert_non_null(folder);
	while (!found && (entry = readdir(folder))) {
		char path[300], text[512] = {0};
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "r") : NULL;
		if (!file)
			continue;
		size_t count = fread(text, 1, sizeof(text) - 1, file);
		for (size_t i = 0; i < count; i++)
			text[i] = text[i] ? text[i] : ' ';
		found = strstr(text, marker) != NULL;
		fclose(file);
	}
	closedir(folder);
	return found;
}

static bool ends_soon(const char *marker)
{
	for (int i = 0; i < 300; i++) {
		if (!is_running(marker))
			return true;
		usleep(10000);
	}
	return false;
}

static void test_leftovers_end(void **state)
{
	struct outcome outcome;

	(void)state;
	need_root();
	expect_shell("setsid sleep 86411 & (trap '' TERM HUP; sleep 86411) & exit 0", NULL, 0, &outcome);
	assert_false(is_running("sleep 86411"));
}

static void test_signals(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_sandbox_exit result;
	struct pa_sandbox *sandbox;

	(void)state;
	need_root();
	sandbox = start_shell("trap 'exit 9' TERM; while :; do sleep 0.01; done");
	assert_non_null(sandbox);
	assert_int_equal(pa_sandbox_result(sandbox, &result, &err), -(int)PA_ERROR_TRANSIENT);
	usleep(100000);
	pa_sandbox_signal(sandbox, false);
	wait_readable(pa_sandbox_fd(sandbox));
	assert_int_equal(pa_sandbox_result(sandbox, &result, &err), 0);
	assert_int_equal(result.status, 9);
	pa_sandbox_signal(sandbox, true); /* after its end: nothing */
	pa_sandbox_free(sandbox);

	sandbox = start_shell("trap '' TERM; while :; do sleep 0.01; done");
	assert_non_null(sandbox);
	usleep(100000);
	pa_sandbox_signal(sandbox, false);
	usleep(200000);
	assert_int_equal(kill(pa_sandbox_pid(sandbox), 0), 0);
	pa_sandbox_signal(sandbox, true);
	wait_readable(pa_sandbox_fd(sandbox));
	assert_int_equal(pa_sandbox_result(sandbox, &result, &err), 0);
	assert_int_equal(result.status, 137);
	assert_int_equal(result.signal, 9);
	pa_sandbox_free(sandbox);

	sandbox = start_shell("sleep 86412");
	assert_non_null(sandbox);
	pa_sandbox_free(sandbox);
	assert_false(is_running("sleep 86412"));
	pa_sandbox_free(NULL);
}

static void test_dies_with_parent(void **state)
{
	int ready[2];
	char byte;
	pid_t parent;

	(void)state;
	need_root();
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	parent = fork();
	assert_true(parent >= 0);
	if (parent == 0) {
		if (!start_shell("trap '' TERM INT HUP; setsid sleep 86413 & sleep 86413"))
			_exit(1);
		/* One more process of ours that holds whatever the parent held, as a helper would. */
		if (fork() == 0) {
			close_range(0, 2, 0);
			close(ready[1]);
			sleep(5);
			_exit(0);
		}
		usleep(100000);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	assert_true(is_running("sleep 86413"));
	kill(parent, SIGKILL);
	assert_true(ends_soon("sleep 86413"));
	waitpid(parent, NULL, 0);
}

static void *start_in_thread(void *argument)
{
	struct pa_sandbox **sandbox = argument;

	*sandbox = start_shell("sleep 0.3; exit 5");
	return NULL;
}

static void test_outlives_its_thread(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_sandbox *sandbox = NULL;
	struct pa_sandbox_exit result;
	pthread_t thread;

	(void)state;
	need_root();
	assert_int_equal(pthread_create(&thread, NULL, start_in_thread, &sandbox), 0);
	pthread_join(thread, NULL);
	assert_non_null(sandbox);
	wait_readable(pa_sandbox_fd(sandbox));
	assert_int_equal(pa_sandbox_result(sandbox, &result, &err), 0);
	assert_int_equal(result.status, 5);
	pa_sandbox_free(sandbox);
}

#define THREADS    10
#define PER_THREAD 5

struct crowd {
	pthread_t thread;
	const char *scratch[PER_THREAD];
	int wrong;
};

static void *run_some(void *argument)
{
	struct crowd *crowd = argument;

	for (int i = 0; i < PER_THREAD; i++) {
		const char *command[] = {"sh", "-c", "cd /usr/../tmp && echo x > y && exit 3", NULL};
		struct pa_sandbox_options options = {.command = command, .environment = environment};
		struct pa_error err = PA_ERROR_INIT;
		struct pa_sandbox *sandbox;
		struct pa_sandbox_exit result = {0};
		struct pollfd ready = {.events = POLLIN};

		options.scratch = crowd->scratch[i];
		options.output_fd = STDERR_FILENO;
		options.error_fd = STDERR_FILENO;
		if (pa_sandbox_start(&options, &sandbox, &err) != 0) {
			fprintf(stderr, "# %s\n", err.message);
			crowd->wrong++;
			continue;
		}
		ready.fd = pa_sandbox_fd(sandbox);
		poll(&ready, 1, WAIT_MS);
		crowd->wrong += pa_sandbox_result(sandbox, &result, &err) != 0 || result.status != 3;
		pa_sandbox_free(sandbox);
	}
	return NULL;
}

static void test_many_at_once(void **state)
{
	static struct crowd crowd[THREADS];
	static char names[THREADS * PER_THREAD][PATH_MAX];

	(void)state;
	need_root();
	memset(crowd, 0, sizeof(crowd));
	for (int i = 0; i < THREADS * PER_THREAD; i++) {
		snprintf(names[i], sizeof(names[i]), "%s", make_scratch());
		crowd[i / PER_THREAD].scratch[i % PER_THREAD] = names[i];
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&crowd[i].thread, NULL, run_some, &crowd[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(crowd[i].thread, NULL);
		assert_int_equal(crowd[i].wrong, 0);
	}
}

static int compare_numbers(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static void test_start_is_quick(void **state)
{
	int64_t took_ns[21], freed_ns[21];

	(void)state;
	need_root();
	for (size_t i = 0; i < PA_ARRAY_LENGTH(took_ns); i++) {
		int64_t before_ns = pa_clock_ns();
		struct pa_sandbox *sandbox = start_shell("sleep 10");

		took_ns[i] = pa_clock_ns() - before_ns;
		assert_non_null(sandbox);
		before_ns = pa_clock_ns();
		pa_sandbox_free(sandbox);
		freed_ns[i] = pa_clock_ns() - before_ns;
	}
	qsort(took_ns, PA_ARRAY_LENGTH(took_ns), sizeof(took_ns[0]), compare_numbers);
	qsort(freed_ns, PA_ARRAY_LENGTH(freed_ns), sizeof(freed_ns[0]), compare_numbers);
	print_message("# %s: start to exec: median %.2f ms, best %.2f ms; kill and free: median %.2f ms\n",
	              base, (double)took_ns[10] / 1e6, (double)took_ns[0] / 1e6, (double)freed_ns[10] / 1e6);
	/* Wide, for loaded machines and sanitizers. */
	assert_true(took_ns[0] < 500 * PA_NS_PER_MS);
}

static void test_private_mounts(void **state)
{
	pid_t child;
	int status;

	(void)state;
	need_root();
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct pa_error err = PA_ERROR_INIT;

		_exit(pa_sandbox_enter_private_mounts(&err) != 0 ||
		      mount("none", "/mnt", "tmpfs", 0, NULL) != 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0); /* that /mnt is as it was here is looked at after every test */
}

int main(int argument_count, char **arguments)
{
	static const struct CMUnitTest tests[] = {
	    TEST(test_accounting),       TEST(test_leftovers_end),       TEST(test_signals),
	    TEST(test_dies_with_parent), TEST(test_outlives_its_thread), TEST(test_many_at_once),
	    TEST(test_start_is_quick),   TEST(test_private_mounts),      TEST(test_all_on_the_roots_disk),
	};

	if (argument_count > 1 && strcmp(arguments[1], "task-init") == 0)
		return pa_sandbox_init_main(argument_count, arguments);
	base = getenv(BASE_VARIABLE);
	if (!base)
		base = "/dev/shm";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
