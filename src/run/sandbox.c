/* SPDX-License-Identifier: Apache-2.0 */
#include "run/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "run/sandbox_internal.h"

#define START_LIMIT_NS     (10 * PA_NS_PER_SECOND)
#define MAX_HOSTNAME_BYTES 64
#define MAX_IO_FILE_BYTES  4096
#define US_PER_SECOND      1000000.0

_Static_assert(sizeof(struct pa_task_record) <= PIPE_BUF, "a record must be one write");

struct pa_sandbox {
	pid_t pid; /* process 1 of the task, as seen from here */
	int pid_fd;
	int status_fd; /* where its records come from */
	struct pa_task_record started;
	bool reaped;
	struct pa_sandbox_exit exit; /* when reaped */
};

/* ---- what may be asked for ---- */

static bool has_parent_step(const char *path)
{
	for (const char *at = path; (at = strstr(at, "..")); at += 2) {
		bool starts = at == path || at[-1] == '/';

		if (starts && (at[2] == '/' || at[2] == '\0'))
			return true;
	}
	return false;
}

static int check_path(const char *path, const char *what, struct pa_error *err)
{
	if (path[0] != '/' || has_parent_step(path))
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%s \"%.500s\" must be an absolute path without \"..\"", what, path);
	if (strlen(path) >= PATH_MAX)
		return pa_error_set(err, PA_ERROR_INPUT, "%s \"%.100s…\" is over %d bytes long", what, path,
		                    PATH_MAX - 1);
	return 0;
}

static int check_bind(const struct pa_sandbox_bind *bind, struct pa_error *err)
{
	int failed = check_path(bind->target, "the mount path", err);

	if (failed)
		return failed;
	if (bind->target[strspn(bind->target, "/")] == '\0')
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "\"%.500s\" cannot be mounted at \"/\": give it a folder below it",
		                    bind->source);
	if (strlen(bind->source) >= PATH_MAX || (bind->sub_path && strlen(bind->sub_path) >= PATH_MAX))
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "what is to be mounted at \"%.500s\" has a path over %d bytes long",
		                    bind->target, PATH_MAX - 1);
	if (bind->sub_path && (bind->sub_path[0] == '/' || has_parent_step(bind->sub_path)))
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "the sub-path \"%.500s\" (mounted at \"%.300s\") must be relative and without \"..\"",
		    bind->sub_path, bind->target);
	return 0;
}

static int check_options(const struct pa_sandbox_options *options, struct pa_error *err)
{
	int failed = 0;

	if (!options->command || !options->command[0] || options->command[0][0] == '\0')
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "the task has no command; say how it runs here in `tasks:` of pipeahead.yaml");
	if (options->bind_count > PA_TASK_MAX_BINDS)
		return pa_error_set(err, PA_ERROR_INPUT, "a task can have %d mounts, not %zu",
		                    PA_TASK_MAX_BINDS, options->bind_count);
	if (options->hostname && strlen(options->hostname) > MAX_HOSTNAME_BYTES)
		return pa_error_set(err, PA_ERROR_INPUT, "the host name \"%.200s\" is over %d bytes long",
		                    options->hostname, MAX_HOSTNAME_BYTES);
	if (options->working_directory)
		failed = check_path(options->working_directory, "the working directory", err);
	for (size_t i = 0; !failed && options->directories && options->directories[i]; i++)
		failed = check_path(options->directories[i], "the folder", err);
	for (size_t i = 0; !failed && i < options->bind_count; i++)
		failed = check_bind(&options->binds[i], err);
	return failed;
}

/* ---- starting process 1 ---- */

/* Runs between clone and exec, in a copy of a process that may have had other threads: system calls only, and
 * those made directly: sanitizers' wrappers take locks. */
static void __attribute__((noreturn)) become_task_init(int fds[PA_TASK_FD_COUNT], char *const *environment)
{
	char *const arguments[] = {(char[]){"pipeahead"}, (char[]){"task-init"}, NULL};

	/* First out of the way of the numbers that they will have. */
	for (int i = 0; i < PA_TASK_FD_COUNT; i++) {
		fds[i] = (int)syscall(SYS_fcntl, fds[i], F_DUPFD, PA_TASK_FD_COUNT);
		if (fds[i] < 0)
			_exit(126);
	}
	for (int i = 0; i < PA_TASK_FD_COUNT; i++) {
		if (syscall(SYS_dup3, fds[i], i, 0) < 0)
			_exit(126);
	}
	syscall(SYS_close_range, PA_TASK_FD_COUNT, ~0U, 0);
	syscall(SYS_fcntl, PA_TASK_FD_EXECUTABLE, F_SETFD, FD_CLOEXEC);
	syscall(SYS_execveat, PA_TASK_FD_EXECUTABLE, "", arguments, environment, AT_EMPTY_PATH);
	_exit(127);
}

static int clone_task_init(struct pa_sandbox *sandbox, int fds[PA_TASK_FD_COUNT], bool own_hostname,
                           struct pa_error *err)
{
	unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_PIDFD | SIGCHLD;
	char **environment = environ;
	sigset_t all, before;
	long pid;
	int saved_errno;

	if (own_hostname)
		flags |= CLONE_NEWUTS;
	/* No handler of ours may run in the child; process 1 keeps all signals blocked and reads them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = syscall(SYS_clone, flags, NULL, &sandbox->pid_fd, NULL, 0);
	if (pid == 0)
		become_task_init(fds, environment);
	saved_errno = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid > 0) {
		sandbox->pid = (pid_t)pid;
		return 0;
	}
	sandbox->pid_fd = -1;
	if (saved_errno == EPERM)
		return pa_error_set(err, PA_ERROR_PERMANENT,
		                    "a task runs in namespaces of its own, for which pipeahead needs root "
		                    "(CAP_SYS_ADMIN); run it as root or in a privileged container");
	return pa_error_set_errno(err, saved_errno, "cannot start a process in namespaces of its own");
}

/* A memory file with what task-init is to do. */
static int make_spec_file(const struct pa_sandbox_options *options, int *ret_fd, struct pa_error *err)
{
	struct pa_buffer spec;
	size_t written = 0;
	int fd, failed;

	pa_buffer_init(&spec, PA_TASK_MAX_SPEC_BYTES);
	failed = pa_task_spec_write(options, &spec, err);
	fd = failed ? -1 : memfd_create("pipeahead-task", MFD_CLOEXEC);
	if (!failed && fd < 0)
		failed = pa_error_set_errno(err, errno, "cannot make a memory file for a task");
	while (!failed && written < spec.length) {
		ssize_t count = pwrite(fd, spec.data + written, spec.length - written, (off_t)written);

		if (count > 0)
			written += (size_t)count;
		else if (count == 0 || errno != EINTR)
			failed = pa_error_set_errno(err, count == 0 ? ENOSPC : errno,
			                            "cannot write a task's memory file");
	}
	pa_buffer_done(&spec);
	if (failed && fd >= 0)
		close(fd);
	if (!failed)
		*ret_fd = fd;
	return failed;
}

static int spawn(struct pa_sandbox *sandbox, const struct pa_sandbox_options *options, struct pa_error *err)
{
	PA_AUTO_CLOSE int spec_fd = -1;
	PA_AUTO_CLOSE int null_fd = -1;
	PA_AUTO_CLOSE int executable_fd = -1;
	PA_AUTO_CLOSE int parent_fd = -1;
	PA_AUTO_CLOSE int write_fd = -1;
	int status[2];
	int failed = make_spec_file(options, &spec_fd, err);

	if (failed)
		return failed;
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null_fd < 0)
		return pa_error_set_errno(err, errno, "cannot open /dev/null");
	executable_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (executable_fd < 0)
		return pa_error_set_errno(err, errno, "cannot open /proc/self/exe (is /proc mounted?)");
	parent_fd = pidfd_open(getpid(), 0);
	if (parent_fd < 0)
		return pa_error_set_errno(
		    err, errno, "cannot open a pidfd of this process (Linux 5.12 or newer is needed)");
	if (pipe2(status, O_CLOEXEC) != 0)
		return pa_error_set_errno(err, errno, "cannot make a pipe for a task");
	sandbox->status_fd = status[0];
	write_fd = status[1];

	int fds[PA_TASK_FD_COUNT] = {
	    null_fd, options->output_fd, options->error_fd, spec_fd, write_fd, parent_fd, executable_fd,
	};
	return clone_task_init(sandbox, fds, options->hostname != NULL, err);
}

/* ---- waiting for it ---- */

/* Reads one record if one is there; false at the end of the pipe, too. */
static bool take_record(const struct pa_sandbox *sandbox, struct pa_task_record *ret)
{
	struct pollfd ready = {.fd = sandbox->status_fd, .events = POLLIN};
	struct pa_task_record record;

	if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLIN))
		return false;
	if (read(sandbox->status_fd, &record, sizeof(record)) != (ssize_t)sizeof(record))
		return false;
	*ret = record;
	return true;
}

static int say_why_it_died(const struct pa_sandbox *sandbox, struct pa_error *err)
{
	siginfo_t info = {0};

	waitid(P_PIDFD, (id_t)sandbox->pid_fd, &info, WEXITED | WNOWAIT);
	return pa_error_set(
	    err, PA_ERROR_PERMANENT,
	    "process 1 of the task ended (%s %d) before the task was started; is the machine out of "
	    "memory or of file descriptors?",
	    info.si_code == CLD_EXITED ? "exit code" : "signal", info.si_status);
}

static int await_start(struct pa_sandbox *sandbox, struct pa_error *err)
{
	int64_t deadline_ns = pa_clock_deadline(START_LIMIT_NS);

	for (;;) {
		struct pollfd ready[] = {
		    {.fd = sandbox->status_fd, .events = POLLIN},
		    {.fd = sandbox->pid_fd, .events = POLLIN},
		};
		int64_t left_ns = deadline_ns - pa_clock_ns();
		struct pa_task_record record;

		if (left_ns <= 0)
			return pa_error_set(
			    err, PA_ERROR_DEADLINE,
			    "the task could not be started within %lld s: a file system that it mounts "
			    "does not answer",
			    START_LIMIT_NS / PA_NS_PER_SECOND);
		if (poll(ready, 2, (int)(left_ns / PA_NS_PER_MS) + 1) < 0 && errno != EINTR)
			return pa_error_set_errno(err, errno, "cannot wait for a task's start");
		if (take_record(sandbox, &record)) {
			if (record.kind == PA_TASK_STARTED) {
				sandbox->started = record;
				return 0;
			}
			*err = record.error;
			return -(int)err->class;
		}
		if (ready[1].revents & POLLIN)
			return say_why_it_died(sandbox, err);
	}
}

int pa_sandbox_start(const struct pa_sandbox_options *options, struct pa_sandbox **ret, struct pa_error *err)
{
	struct pa_sandbox *sandbox;
	int failed = check_options(options, err);

	if (failed)
		return failed;
	sandbox = calloc(1, sizeof(*sandbox));
	if (!sandbox)
		return pa_error_set_errno(err, ENOMEM, "cannot start a task");
	sandbox->pid_fd = -1;
	sandbox->status_fd = -1;
	failed = spawn(sandbox, options, err);
	if (!failed)
		failed = await_start(sandbox, err);
	if (failed) {
		pa_sandbox_free(sandbox);
		return failed;
	}
	*ret = sandbox;
	return 0;
}

int pa_sandbox_fd(const struct pa_sandbox *sandbox)
{
	return sandbox->pid_fd;
}

pid_t pa_sandbox_pid(const struct pa_sandbox *sandbox)
{
	return sandbox->pid;
}

/* ---- its end ---- */

int pa_task_read_characters(const char *path, uint64_t *ret_characters, struct pa_error *err)
{
	static const char field[] = "rchar: ";
	struct pa_buffer text;
	const char *at;
	int failed = pa_buffer_read_file(path, MAX_IO_FILE_BYTES, &text, err);

	if (failed)
		return failed;
	at = strstr(text.data, field);
	if (at)
		*ret_characters = strtoull(at + sizeof(field) - 1, NULL, 10);
	else
		failed = pa_error_set(err, PA_ERROR_PERMANENT, "%s has no line \"rchar\"", path);
	pa_buffer_done(&text);
	return failed;
}

static uint64_t microseconds(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_usec;
}

/* Totals of process 1 hold those of every process that it, or a process below it, has waited for.  It ends what the
 * command left running and waits for that, too; only when it was itself killed the last processes are missing. */
static int read_totals(const struct pa_sandbox *sandbox, struct pa_sandbox_exit *totals, struct pa_error *err)
{
	char path[64];
	uint64_t characters;
	int failed;

	snprintf(path, sizeof(path), "/proc/%d/io", (int)sandbox->pid);
	failed = pa_task_read_characters(path, &characters, err);
	if (failed)
		return pa_error_wrap(err, "reading what a task read");
	if (characters > sandbox->started.read_characters)
		totals->read_characters = characters - sandbox->started.read_characters;
	return 0;
}

static void set_status(struct pa_sandbox_exit *result, int wait_status)
{
	if (WIFSIGNALED(wait_status)) {
		result->signal = WTERMSIG(wait_status);
		result->status = 128 + result->signal;
	} else {
		result->status = WEXITSTATUS(wait_status);
	}
}

int pa_sandbox_result(struct pa_sandbox *sandbox, struct pa_sandbox_exit *ret, struct pa_error *err)
{
	struct pa_sandbox_exit result = {0};
	struct pa_task_record record;
	struct rusage usage = {0};
	siginfo_t info = {0};
	uint64_t cpu_us;
	int failed;

	if (sandbox->reaped) {
		*ret = sandbox->exit;
		return 0;
	}
	if (waitid(P_PIDFD, (id_t)sandbox->pid_fd, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
		return pa_error_set_errno(err, errno, "cannot wait for a task's process %d",
		                          (int)sandbox->pid);
	if (info.si_pid == 0)
		return pa_error_set(err, PA_ERROR_TRANSIENT, "the task has not ended yet");
	failed = read_totals(sandbox, &result, err);
	if (failed)
		return failed;
	if (syscall(SYS_waitid, P_PIDFD, sandbox->pid_fd, &info, WEXITED, &usage) != 0)
		return pa_error_set_errno(err, errno, "cannot wait for a task's process %d",
		                          (int)sandbox->pid);
	cpu_us = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
	if (cpu_us > sandbox->started.cpu_us)
		result.cpu_s = (double)(cpu_us - sandbox->started.cpu_us) / US_PER_SECOND;
	if (take_record(sandbox, &record) && record.kind == PA_TASK_ENDED)
		set_status(&result, record.wait_status);
	else /* process 1 was killed, and the task with it */
		set_status(&result,
		           info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0) : info.si_status);
	sandbox->reaped = true;
	sandbox->exit = result;
	*ret = result;
	return 0;
}

void pa_sandbox_signal(struct pa_sandbox *sandbox, bool kill)
{
	if (!sandbox->reaped)
		pidfd_send_signal(sandbox->pid_fd, kill ? SIGKILL : SIGTERM, NULL, 0);
}

void pa_sandbox_free(struct pa_sandbox *sandbox)
{
	siginfo_t info;

	if (!sandbox)
		return;
	if (sandbox->pid_fd >= 0) {
		pa_sandbox_signal(sandbox, true);
		while (!sandbox->reaped && waitid(P_PIDFD, (id_t)sandbox->pid_fd, &info, WEXITED) != 0 &&
		       errno == EINTR)
			continue;
		close(sandbox->pid_fd);
	}
	if (sandbox->status_fd >= 0)
		close(sandbox->status_fd);
	free(sandbox);
}

/* ---- what it wrote ---- */

/* The folder of scratch that holds a path of the task, and the rest of the path. */
static const char *find_layer(const char *path, const char **ret_rest)
{
	/* /var/run is a link to /run on every machine that follows the file system hierarchy standard. */
	static const struct {
		const char *prefix, *layer;
	} layers[] = {{"/tmp", "tmp"}, {"/var/tmp", "var_tmp"}, {"/run", "run"}, {"/var/run", "run"}};

	for (size_t i = 0; i < PA_ARRAY_LENGTH(layers); i++) {
		size_t length = strlen(layers[i].prefix);

		if (strncmp(path, layers[i].prefix, length) == 0 &&
		    (path[length] == '/' || path[length] == '\0')) {
			*ret_rest = path + length;
			return layers[i].layer;
		}
	}
	*ret_rest = path;
	return "upper";
}

/* "//tmp/./x" is "/tmp/x"; `out` has room for PATH_MAX, which check_path() has held the path to. */
static char *remove_empty_steps(const char *path, char *out)
{
	char *end = out;

	while (*path) {
		size_t length = strcspn(path, "/");

		if (length > 0 && !(length == 1 && path[0] == '.')) {
			*end++ = '/';
			memcpy(end, path, length);
			end += length;
		}
		path += length + (path[length] == '/');
	}
	*end = '\0';
	return out;
}

static int open_in_layer(const char *scratch, const char *path, int *ret_fd, struct pa_error *err)
{
	char plain[PATH_MAX];
	const char *rest;
	const char *layer = find_layer(remove_empty_steps(path, plain), &rest);
	PA_AUTO_CLOSE int scratch_fd = open(scratch, O_PATH | O_DIRECTORY | O_CLOEXEC);
	PA_AUTO_CLOSE int layer_fd = -1;
	int fd = -1;

	if (scratch_fd < 0)
		return pa_error_set_errno(err, errno, "cannot open the scratch folder %.500s of a task",
		                          scratch);
	layer_fd = openat(scratch_fd, layer, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	rest += strspn(rest, "/");
	if (layer_fd >= 0)
		fd = pa_task_open_beneath(layer_fd, rest[0] ? rest : ".", O_PATH | O_NOFOLLOW,
		                          RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (errno == ENOENT || errno == ENOTDIR)
		return pa_error_set(err, PA_ERROR_NOT_FOUND, "the task did not write \"%.500s\"", path);
	if (errno == ELOOP || errno == EXDEV)
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "the output \"%.500s\" lies behind a symbolic link, which is not followed; "
		    "write a file or folder there",
		    path);
	return pa_error_set_errno(err, errno, "cannot open the output \"%.500s\"", path);
}

int pa_sandbox_open_output(const char *scratch, const char *path, int *ret_fd, struct pa_error *err)
{
	PA_AUTO_CLOSE int path_fd = -1;
	char again[64];
	struct stat status;
	int fd, failed = check_path(path, "the output", err);

	if (!failed)
		failed = open_in_layer(scratch, path, &path_fd, err);
	if (failed)
		return failed;
	if (fstat(path_fd, &status) != 0)
		return pa_error_set_errno(err, errno, "cannot look at the output \"%.500s\"", path);
	/* The overlay's mark for a deleted file. */
	if (S_ISCHR(status.st_mode) && status.st_rdev == 0)
		return pa_error_set(err, PA_ERROR_NOT_FOUND, "the task deleted \"%.500s\"", path);
	if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "the output \"%.500s\" is neither a file nor a folder, but a link, device, pipe or "
		    "socket; write a file or folder there",
		    path);
	snprintf(again, sizeof(again), "/proc/self/fd/%d", path_fd);
	fd = open(again, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return pa_error_set_errno(err, errno, "cannot open the output \"%.500s\"", path);
	*ret_fd = fd;
	return 0;
}

int pa_sandbox_enter_private_mounts(struct pa_error *err)
{
	if (unshare(CLONE_NEWNS) != 0) {
		if (errno == EPERM)
			return pa_error_set(
			    err, PA_ERROR_PERMANENT,
			    "pipeahead mounts data in a mount namespace of its own, for which it needs "
			    "root (CAP_SYS_ADMIN); run it as root or in a privileged container");
		return pa_error_set_errno(err, errno, "cannot make a mount namespace");
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return pa_error_set_errno(err, errno, "cannot make the mounts of this process its own");
	return 0;
}
