/* SPDX-License-Identifier: Apache-2.0 */
/* What a task sees, and where what it writes goes. */
#include "run_sandbox_helper.h"

/* ---- exit, environment, start ---- */

static void test_exit_codes(void **state)
{
	struct outcome outcome;

	(void)state;
	need_root();
	expect_shell("true", NULL, 0, &outcome);
	run_shell("false", NULL, 0, &outcome);
	assert_int_equal(outcome.exit.status, 1);
	run_shell("exit 7", NULL, 0, &outcome);
	assert_int_equal(outcome.exit.status, 7);
	assert_int_equal(outcome.exit.signal, 0);
	run_shell("kill -9 $$", NULL, 0, &outcome);
	assert_int_equal(outcome.exit.status, 137);
	assert_int_equal(outcome.exit.signal, 9);
	run_shell("exit 137", NULL, 0, &outcome);
	assert_int_equal(outcome.exit.status, 137);
	assert_int_equal(outcome.exit.signal, 0);
}

static void test_environment(void **state)
{
	struct outcome outcome;
	const char *command[] = {"sh", "-c",
	                         "pwd; echo \"$GREETING\"; hostname; id -u; umask; cat; env | sort", NULL};
	struct pa_sandbox_options options = {
	    .command = command, .working_directory = "/made/here", .hostname = "task-7"};

	(void)state;
	need_root();
	run_options(&options, &outcome);
	assert_int_equal(outcome.failed, 0);
	assert_string_equal(outcome.text, "/made/here\nhello there\ntask-7\n0\n0022\nGREETING=hello there\n"
	                                  "PATH=/usr/local/bin:/usr/bin:/bin\nPWD=/made/here\n");
	assert_int_equal(access("/made", F_OK), -1);
}

static void test_processes_and_signals(void **state)
{
	struct outcome outcome;

	(void)state;
	need_root();
	/* Blocked and ignored signals of ours are not the task's. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	expect_shell("grep -E 'Sig(Blk|Ign|Cgt)|CapBnd|CapEff' /proc/self/status", NULL, 0, &outcome);
	signal(SIGPIPE, SIG_DFL);
	assert_non_null(strstr(outcome.text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"));
	assert_non_null(strstr(outcome.text, "CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\n"));
	expect_shell("ls /proc | grep -c '^[0-9]'", NULL, 0, &outcome);
	assert_true(atoi(outcome.text) <= 4); /* process 1, sh, ls, grep */
	run_shell("kill -9 1; umount /tmp || mount -t tmpfs none /mnt", NULL, 0, &outcome);
	assert_int_not_equal(outcome.exit.status, 0);
	run_shell("echo 1 > /proc/sys/vm/drop_caches", NULL, 0, &outcome);
	assert_int_not_equal(outcome.exit.status, 0);
	expect_shell("ls -l /proc/self/fd", NULL, 0, &outcome);
	assert_null(strstr(outcome.text, " 4 -> "));
	assert_null(strstr(outcome.text, " 5 -> "));
	assert_non_null(strstr(outcome.text, " 0 -> /dev/null"));
}

static void expect_refusal(const char *program, enum pa_error_class class, const char *says)
{
	const char *command[] = {program, NULL};
	struct pa_sandbox_options options = {.command = command};
	struct outcome outcome;

	run_options(&options, &outcome);
	assert_int_equal(outcome.failed, -(int)class);
	if (!strstr(outcome.error.message, says))
		print_message("# %s\n", outcome.error.message);
	assert_non_null(strstr(outcome.error.message, says));
}

static void test_commands_that_cannot_run(void **state)
{
	struct outcome outcome;
	char *folder;
	char path[PATH_MAX];
	struct pa_sandbox_bind bind = {.target = "/programs"};
	const char *command[] = {"/programs/script", NULL};
	struct pa_sandbox_options options = {.command = command, .binds = &bind, .bind_count = 1};

	(void)state;
	need_root();
	expect_refusal("no-such-program", PA_ERROR_INPUT,
	               "command \"no-such-program\" is not on this machine");
	expect_refusal("no-such-program", PA_ERROR_INPUT, "`tasks:` of pipeahead.yaml");
	expect_refusal("/no/such/program", PA_ERROR_INPUT, "is not on this machine");
	expect_refusal("/etc/passwd", PA_ERROR_INPUT, "is not an executable file");
	expect_refusal("/etc", PA_ERROR_INPUT, "is not an executable file");
	expect_refusal("", PA_ERROR_INPUT, "no command");
	folder = make_folder("programs");
	bind.source = folder;
	snprintf(path, sizeof(path), "%s/script", folder);
	write_file(path, "#! /no/such/interpreter -x\n");
	chmod(path, 0755);
	run_options(&options, &outcome);
	assert_int_equal(outcome.failed, -(int)PA_ERROR_INPUT);
	assert_non_null(strstr(outcome.error.message, "\"#!/no/such/interpreter\""));
	write_file(path, "echo no first line\n");
	options.scratch = NULL;
	run_options(&options, &outcome);
	assert_non_null(strstr(outcome.error.message, "is not a program for this machine"));
}

static void test_bad_options(void **state)
{
	static const struct pa_sandbox_bind binds[] = {
	    {.source = "/etc", .target = "relative"},
	    {.source = "/etc", .target = "/a/../../b"},
	    {.source = "/etc", .target = "//"},
	    {.source = "/etc", .target = "/x", .sub_path = "/passwd"},
	    {.source = "/etc", .target = "/x", .sub_path = ".."},
	    {.source = "/etc", .target = "/x", .sub_path = "a/../b"},
	};
	struct outcome outcome;

	(void)state;
	need_root();
	for (size_t i = 0; i < PA_ARRAY_LENGTH(binds); i++) {
		run_shell("true", &binds[i], 1, &outcome);
		assert_int_equal(outcome.failed, -(int)PA_ERROR_INPUT);
	}
	struct pa_sandbox_bind missing = {.source = "/no/such/source", .target = "/x"};

	run_shell("true", &missing, 1, &outcome);
	assert_int_equal(outcome.failed, -(int)PA_ERROR_NOT_FOUND);
	assert_non_null(strstr(outcome.error.message, "/no/such/source"));
}

/* ---- what it sees, where it writes ---- */

static void test_writes_stay_in_scratch(void **state)
{
	struct outcome outcome;
	char path[PATH_MAX];
	char *text;

	(void)state;
	need_root();
	expect_shell(
	    "echo a > /etc/pa-test-x; echo b > /usr/pa-test-x; echo c >> /etc/passwd; mkdir -p /pa-new/deep; "
	    "rm /etc/hostname; echo d > /var/pa-test-x; echo e > /var/log/pa-test-x; "
	    "cat /etc/pa-test-x /usr/pa-test-x /var/log/pa-test-x; mv /etc/pa-test-x /etc/pa-test-y",
	    NULL, 0, &outcome);
	assert_string_equal(outcome.text, "a\nb\ne\n");
	assert_int_equal(access("/etc/pa-test-x", F_OK), -1);
	assert_int_equal(access("/etc/pa-test-y", F_OK), -1);
	assert_int_equal(access("/usr/pa-test-x", F_OK), -1);
	assert_int_equal(access("/var/pa-test-x", F_OK), -1);
	assert_int_equal(access("/var/log/pa-test-x", F_OK), -1);
	assert_int_equal(access("/pa-new", F_OK), -1);
	assert_int_equal(access("/etc/hostname", F_OK), 0);
	text = read_file("/etc/passwd");
	assert_null(strstr(text, "\nc\n"));
	free(text);
	snprintf(path, sizeof(path), "%s/upper/etc/pa-test-y", outcome.scratch);
	text = read_file(path);
	assert_string_equal(text, "a\n");
	free(text);
}

static void test_fresh_folders(void **state)
{
	struct outcome outcome;
	char host[64] = "/tmp/pa-sandbox-host-XXXXXX";
	int fd;

	(void)state;
	need_root();
	fd = mkstemp(host);
	assert_true(fd >= 0);
	close(fd);
	expect_shell(
	    "ls -A /tmp /var/tmp /dev/shm /run; stat -c %a /tmp /var/tmp /dev/shm; echo x > /tmp/pa-inside; "
	    "echo x > /dev/shm/pa-inside; test -c /dev/null && echo gone > /dev/null && test -d /sys/class",
	    NULL, 0, &outcome);
	unlink(host);
	assert_null(strstr(outcome.text, "pa-sandbox"));
	assert_non_null(strstr(outcome.text, "1777\n1777\n1777\n"));
	assert_int_equal(access("/tmp/pa-inside", F_OK), -1);
	assert_int_equal(access("/dev/shm/pa-inside", F_OK), -1);
}

static void test_binds(void **state)
{
	struct outcome outcome;
	char *a = make_folder("a"), *b = make_folder("b");
	char file[PATH_MAX], deep[PATH_MAX], path[PATH_MAX];

	(void)state;
	need_root();
	make_path(file, sizeof(file), "file");
	write_file(file, "file\n");
	snprintf(path, sizeof(path), "%s/from-a", a);
	write_file(path, "");
	snprintf(path, sizeof(path), "%s/from-b", b);
	write_file(path, "");
	snprintf(deep, sizeof(deep), "%s/b", a);
	const struct pa_sandbox_bind binds[] = {
	    {.source = b, .target = "/pa/a/b"}, /* deeper, but first */
	    {.source = a, .target = "/pa/a"},
	    {.source = b, .target = "/tmp/inputs/x/data", .read_only = true},
	    {.source = file, .target = "/tmp/inputs/y/data", .read_only = true},
	    {.source = file, .target = "/etc/hostname"},
	    {.source = b, .target = "/usr/share", .read_only = true},
	    {.source = b, .target = "/dev/shm/here"},
	};

	expect_shell(
	    "ls /pa/a /pa/a/b /tmp/inputs/x/data /usr/share /dev/shm/here; cat /tmp/inputs/y/data "
	    "/etc/hostname; "
	    "echo w > /pa/a/written; echo w > /pa/a/b/written; echo w > /etc/hostname; "
	    "for f in /tmp/inputs/x/data/n /tmp/inputs/y/data /usr/share/n; do "
	    "  if (echo w > $f) 2>/dev/null; then echo WRITTEN $f; fi; done; mount | grep -c ' /pa/a'",
	    binds, PA_ARRAY_LENGTH(binds), &outcome);
	assert_string_equal(outcome.text,
	                    "/dev/shm/here:\nfrom-b\n\n/pa/a:\nb\nfrom-a\n\n/pa/a/b:\nfrom-b\n\n"
	                    "/tmp/inputs/x/data:\nfrom-b\n\n/usr/share:\nfrom-b\nfile\nfile\n2\n");
	snprintf(path, sizeof(path), "%s/written", a);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/written", b);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(access("/pa", F_OK), -1);
	assert_int_equal(rmdir(deep),
	                 0); /* the mount point that was made in the outer bind, as kubelet would */
}

static void test_bind_errors(void **state)
{
	struct outcome outcome;
	char *a = make_folder("a"), *b = make_folder("b");
	char file[PATH_MAX];

	(void)state;
	need_root();
	make_path(file, sizeof(file), "file");
	write_file(file, "file\n");
	const struct pa_sandbox_bind no_point[] = {
	    {.source = a, .target = "/pa", .read_only = true},
	    {.source = b, .target = "/pa/missing/b"},
	};
	const struct pa_sandbox_bind mixed = {.source = file, .target = "/usr"};

	run_shell("true", no_point, 2, &outcome);
	assert_int_equal(outcome.failed, -(int)PA_ERROR_PERMANENT);
	assert_non_null(strstr(outcome.error.message,
	                       "\"/pa/missing/b\" is missing and what lies above it is read-only"));
	run_shell("true", &mixed, 1, &outcome);
	assert_int_equal(outcome.failed, -(int)PA_ERROR_INPUT);
	assert_non_null(strstr(outcome.error.message, "a file cannot be mounted on a folder"));
}

static void test_links_cannot_move_mounts(void **state)
{
	struct outcome outcome;
	char *volume = make_folder("volume"), *victim = make_folder("victim");
	char path[PATH_MAX];

	(void)state;
	need_root();
	snprintf(path, sizeof(path), "%s/link", volume);
	assert_int_equal(symlink(victim, path), 0);
	const struct pa_sandbox_bind binds[] = {
	    {.source = volume, .target = "/pa"},
	    {.source = "/etc", .target = "/pa/link/deep"},
	};

	/* The link is followed in the task's root, where it leads to nothing: made in scratch or refused, never here. */
	run_shell("true", binds, 2, &outcome);
	snprintf(path, sizeof(path), "%s/deep", victim);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_sub_paths(void **state)
{
	struct outcome outcome;
	char *volume = make_folder("volume");
	char path[PATH_MAX];
	struct pa_sandbox_bind bind = {.source = volume, .target = "/pa"};

	(void)state;
	need_root();
	bind.sub_path = "made/deep";
	expect_shell("echo x > /pa/file", &bind, 1, &outcome);
	snprintf(path, sizeof(path), "%s/made/deep/file", volume);
	assert_int_equal(access(path, F_OK), 0);
	bind.sub_path = "made/deep/file";
	bind.read_only = true;
	expect_shell("cat /pa", &bind, 1, &outcome);
	assert_string_equal(outcome.text, "x\n");
	bind.sub_path = "missing";
	run_shell("true", &bind, 1, &outcome);
	assert_int_equal(outcome.failed, -(int)PA_ERROR_NOT_FOUND);

	snprintf(path, sizeof(path), "%s/inside", volume);
	assert_int_equal(symlink("made/deep", path), 0);
	bind.sub_path = "inside";
	expect_shell("ls /pa", &bind, 1, &outcome);
	assert_string_equal(outcome.text, "file\n");
	static const char *const escapes[] = {"/etc", "../..", "/proc/self/root/etc", "made/../../.."};
	for (size_t i = 0; i < PA_ARRAY_LENGTH(escapes); i++) {
		for (int read_only = 0; read_only < 2; read_only++) {
			snprintf(path, sizeof(path), "%s/escape", volume);
			unlink(path);
			assert_int_equal(symlink(escapes[i], path), 0);
			bind.sub_path = "escape";
			bind.read_only = read_only;
			run_shell("true", &bind, 1, &outcome);
			assert_int_equal(outcome.failed, -(int)PA_ERROR_INPUT);
			bind.sub_path = "escape/passwd";
			run_shell("true", &bind, 1, &outcome);
			assert_int_equal(outcome.failed, -(int)PA_ERROR_INPUT);
		}
	}
}

static void test_long_paths(void **state)
{
	struct outcome outcome;
	char target[2001], source[PATH_MAX], *volume = make_folder("volume");
	const char *directories[] = {target, NULL};
	const char *command[] = {"sh", "-c", "echo x > file", NULL};
	struct pa_sandbox_bind bind = {.source = volume, .target = target};
	struct pa_sandbox_options options = {.command = command, .working_directory = target};

	(void)state;
	need_root();
	for (size_t i = 0; i < 2000; i++)
		target[i] = i % 100 == 0 ? '/' : 'p';
	target[2000] = '\0';
	options.binds = &bind;
	options.bind_count = 1;
	run_options(&options, &outcome);
	assert_int_equal(outcome.failed, 0);
	assert_int_equal(outcome.exit.status, 0);
	snprintf(source, sizeof(source), "%s/file", volume);
	assert_int_equal(access(source, F_OK), 0);
	/* The same as a source, and as a folder to make. */
	snprintf(source, sizeof(source), "%s%s", outcome.scratch, "/upper");
	strncat(source, target, sizeof(source) - strlen(source) - 1);
	bind = (struct pa_sandbox_bind){.source = source, .target = "/pa"};
	options.directories = directories;
	options.scratch = NULL;
	run_options(&options, &outcome);
	assert_int_equal(outcome.failed, 0);
	assert_int_equal(outcome.exit.status, 0);
}

/* ---- outputs ---- */

static void expect_output(const char *scratch, const char *path, const char *text)
{
	struct pa_error err = PA_ERROR_INIT;
	char bytes[64] = "";
	int fd = -1;

	assert_int_equal(pa_sandbox_open_output(scratch, path, &fd, &err), 0);
	assert_true(read(fd, bytes, sizeof(bytes) - 1) >= 0);
	assert_string_equal(bytes, text);
	close(fd);
}

static void expect_no_output(const char *scratch, const char *path, enum pa_error_class class)
{
	struct pa_error err = PA_ERROR_INIT;
	int fd = -1;

	if (pa_sandbox_open_output(scratch, path, &fd, &err) != -(int)class)
		print_message("# %s: %s\n", path, err.message);
	assert_int_equal((int)err.class, (int)class);
	assert_int_equal(fd, -1);
}

static void test_outputs(void **state)
{
	struct outcome outcome;
	struct pa_error err = PA_ERROR_INIT;
	int fd = -1;

	(void)state;
	need_root();
	expect_shell(
	    "mkdir -p /tmp/outputs/x /results/out; echo 1 > /tmp/outputs/x/data; echo 2 > /results/out/model; "
	    "echo 3 > /var/tmp/v; echo 4 > /run/r; echo 5 > /etc/pa-new; rm /etc/hostname; "
	    "ln -s /etc/shadow /tmp/outputs/secret; ln -s ../../../../../../../../../etc /tmp/outputs/up; "
	    "ln -s /proc/self/root /results/root; mkfifo /tmp/outputs/pipe; mknod /results/disk b 8 0; true",
	    NULL, 0, &outcome);
	expect_output(outcome.scratch, "/tmp/outputs/x/data", "1\n");
	expect_output(outcome.scratch, "//tmp/.//outputs/x/data", "1\n");
	expect_output(outcome.scratch, "/results/out/model", "2\n");
	expect_output(outcome.scratch, "/var/tmp/v", "3\n");
	expect_output(outcome.scratch, "/run/r", "4\n");
	expect_output(outcome.scratch, "/etc/pa-new", "5\n");
	expect_no_output(outcome.scratch, "/etc/hostname", PA_ERROR_NOT_FOUND);
	expect_no_output(outcome.scratch, "/etc/passwd", PA_ERROR_NOT_FOUND);
	expect_no_output(outcome.scratch, "/tmp/none", PA_ERROR_NOT_FOUND);
	expect_no_output(outcome.scratch, "/tmp/outputs/x/data/more", PA_ERROR_NOT_FOUND);
	expect_no_output(outcome.scratch, "/tmp/outputs/secret", PA_ERROR_INPUT);
	expect_no_output(outcome.scratch, "/tmp/outputs/up/shadow", PA_ERROR_INPUT);
	expect_no_output(outcome.scratch, "/results/root/etc/shadow", PA_ERROR_INPUT);
	expect_no_output(outcome.scratch, "/tmp/outputs/pipe", PA_ERROR_INPUT);
	expect_no_output(outcome.scratch, "/results/disk", PA_ERROR_INPUT);
	expect_no_output(outcome.scratch, "/tmp/../upper/etc/pa-new", PA_ERROR_INPUT);
	expect_no_output(outcome.scratch, "tmp/outputs", PA_ERROR_INPUT);
	assert_int_equal(pa_sandbox_open_output(outcome.scratch, "/tmp/outputs/x", &fd, &err), 0);
	assert_true(faccessat(fd, "data", F_OK, 0) == 0);
	close(fd);
}

/* In a child with mounts of its own: a disk (a bind of one, to the kernel) is shown, read-only; memory is not. */
static void test_other_disks(void **state)
{
	pid_t child;
	int status;

	(void)state;
	need_root();
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct pa_error err = PA_ERROR_INIT;
		struct pa_sandbox_exit result = {0};
		struct pa_sandbox *sandbox;

		if (pa_sandbox_enter_private_mounts(&err) != 0 ||
		    mount("/usr/share", "/mnt", NULL, MS_BIND, NULL) != 0 ||
		    mount("none", "/media", "tmpfs", 0, NULL) != 0)
			_exit(1);
		write_file("/media/memory", "");
		sandbox = start_shell(
		    "test -d /mnt/doc && ! test -e /media/memory && ! (echo x > /mnt/pa-x) && exit 4");
		if (!sandbox)
			_exit(2);
		wait_readable(pa_sandbox_fd(sandbox));
		_exit(pa_sandbox_result(sandbox, &result, &err) != 0 || result.status != 4 ? 3 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(int argument_count, char **arguments)
{
	static const struct CMUnitTest tests[] = {
	    TEST(test_exit_codes),
	    TEST(test_environment),
	    TEST(test_processes_and_signals),
	    TEST(test_commands_that_cannot_run),
	    TEST(test_bad_options),
	    TEST(test_writes_stay_in_scratch),
	    TEST(test_fresh_folders),
	    TEST(test_binds),
	    TEST(test_bind_errors),
	    TEST(test_links_cannot_move_mounts),
	    TEST(test_sub_paths),
	    TEST(test_long_paths),
	    TEST(test_outputs),
	    TEST(test_other_disks),
	    TEST(test_all_on_the_roots_disk),
	};

	if (argument_count > 1 && strcmp(arguments[1], "task-init") == 0)
		return pa_sandbox_init_main(argument_count, arguments);
	base = getenv(BASE_VARIABLE);
	if (!base)
		base = "/dev/shm";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
