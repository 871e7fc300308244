/* SPDX-License-Identifier: Apache-2.0 */
/* Process 1 of a task. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "run/sandbox_internal.h"

#define EXIT_NOT_STARTED 125
#define EXIT_USAGE       2
#define DEFAULT_PATH     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define HOW_TO_RUN       "say how the task runs here in `tasks:` of pipeahead.yaml"
#define FIRST_LINE_BYTES 256

/* ---- the command's process ---- */

/* What containers may do by default.  It leaves the task no way to undo its mounts. */
static const unsigned char kept_capabilities[] = {
    CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_FSETID,           CAP_FOWNER,
    CAP_MKNOD,   CAP_NET_RAW,      CAP_SETGID,           CAP_SETUID,
    CAP_SETFCAP, CAP_SETPCAP,      CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT,
    CAP_KILL,    CAP_AUDIT_WRITE,
};

static int drop_capabilities(struct pa_error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	uint64_t kept = 0;

	for (size_t i = 0; i < sizeof(kept_capabilities); i++)
		kept |= (uint64_t)1 << kept_capabilities[i];
	/* Until the first number that this kernel does not know. */
	for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++) {
		if (!(kept >> capability & 1) && prctl(PR_CAPBSET_DROP, capability) != 0)
			return pa_error_set_errno(err, errno, "cannot take capability %lu from the task",
			                          capability);
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &header, data) != 0)
		return pa_error_set_errno(err, errno, "cannot read the task's capabilities");
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].permitted &= (uint32_t)(kept >> 32 * i);
		data[i].effective &= data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) != 0)
		return pa_error_set_errno(err, errno, "cannot reduce the task's capabilities");
	return 0;
}

/* exec says ENOENT of a file that exists: what is missing is what its first line or its header names. */
static int say_what_is_missing(const char *path, struct pa_error *err)
{
	PA_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char line[FIRST_LINE_BYTES + 1] = {0};
	char *interpreter;

	if (fd < 0 || read(fd, line, FIRST_LINE_BYTES) < 2 || memcmp(line, "#!", 2) != 0)
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "command \"%.300s\" needs a loader that is not on this machine (it was built for "
		    "another system); " HOW_TO_RUN,
		    path);
	interpreter = line + 2 + strspn(line + 2, " \t");
	interpreter[strcspn(interpreter, " \t\r\n")] = '\0';
	return pa_error_set(err, PA_ERROR_INPUT,
	                    "command \"%.300s\" starts with \"#!%s\", and that interpreter is not on this "
	                    "machine; " HOW_TO_RUN,
	                    path, interpreter);
}

static int say_why_not(const char *path, int os_errno, struct pa_error *err)
{
	struct stat status;

	if (os_errno == ENOENT && stat(path, &status) == 0)
		return say_what_is_missing(path, err);
	if (os_errno == EACCES)
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "command \"%.300s\" is not an executable file; make it one, or " HOW_TO_RUN, path);
	if (os_errno == ENOEXEC)
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "command \"%.300s\" is not a program for this machine: it has no \"#!\" line and is "
		    "not built for this processor; " HOW_TO_RUN,
		    path);
	if (os_errno == ENOENT || os_errno == ENOTDIR)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "command \"%.300s\" is not on this machine; " HOW_TO_RUN, path);
	return pa_error_set_errno(err, os_errno, "cannot run command \"%.300s\"", path);
}

static const char *find_path(const char *const *environment)
{
	for (; *environment; environment++) {
		if (strncmp(*environment, "PATH=", 5) == 0)
			return *environment + 5;
	}
	return DEFAULT_PATH;
}

static int execute(const char *path, const struct pa_sandbox_options *options)
{
	execve(path, (char *const *)options->command, (char *const *)options->environment);
	return errno;
}

/* execvp, in the PATH of the task, with an error that says what is wrong.  Returns only when it failed. */
static int execute_command(const struct pa_sandbox_options *options, struct pa_error *err)
{
	const char *name = options->command[0];
	char path[PATH_MAX], refused[PATH_MAX] = "";

	if (strchr(name, '/'))
		return say_why_not(name, execute(name, options), err);
	for (const char *folder = find_path(options->environment); folder;) {
		size_t length = strcspn(folder, ":");
		int bytes =
		    snprintf(path, sizeof(path), "%.*s%s%s", (int)length, folder, length ? "/" : "./", name);
		int os_errno = bytes < (int)sizeof(path) ? execute(path, options) : ENAMETOOLONG;
		struct stat status;

		if (os_errno != ENAMETOOLONG && stat(path, &status) == 0 && S_ISREG(status.st_mode)) {
			if (os_errno != EACCES)
				return say_why_not(path, os_errno, err);
			memcpy(refused, path, sizeof(refused));
		}
		folder = folder[length] ? folder + length + 1 : NULL;
	}
	return refused[0] ? say_why_not(refused, EACCES, err) : say_why_not(name, ENOENT, err);
}

static void send_record(int fd, const struct pa_task_record *record)
{
	ssize_t count;

	/* To a parent that is gone there is nothing to say (SIGPIPE is blocked). */
	do
		count = write(fd, record, sizeof(*record));
	while (count < 0 && errno == EINTR);
}

static void __attribute__((noreturn)) become_command(const struct pa_sandbox_options *options, int report_fd)
{
	struct pa_task_record record = {.kind = PA_TASK_FAILED};
	sigset_t none;

	/* Straight to the kernel: the C library does not let go of 32 and 33, and make(1) hands them down ignored. */
	static const struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		unsigned long mask;
	} by_default;

	setsid();
	for (int number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, &by_default, NULL, sizeof(by_default.mask));
	sigemptyset(&none);
	close_range(PA_TASK_FD_SPEC, ~0U, CLOSE_RANGE_CLOEXEC);
	if (drop_capabilities(&record.error) == 0) {
		sigprocmask(SIG_SETMASK, &none, NULL);
		execute_command(options, &record.error);
	}
	send_record(report_fd, &record);
	_exit(EXIT_NOT_STARTED);
}

/* Gives the pid once the command was exec'ed. */
static int start_command(const struct pa_sandbox_options *options, pid_t *ret_pid, struct pa_error *err)
{
	struct pa_task_record record;
	int report[2];
	ssize_t count;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) != 0)
		return pa_error_set_errno(err, errno, "cannot make a pipe for the task's command");
	pid = fork();
	if (pid == 0)
		become_command(options, report[1]);
	close(report[1]);
	if (pid < 0) {
		close(report[0]);
		return pa_error_set_errno(err, errno, "cannot start a process for the task's command");
	}
	do
		count = read(report[0], &record, sizeof(record));
	while (count < 0 && errno == EINTR);
	close(report[0]);
	if (count == (ssize_t)sizeof(record)) {
		*err = record.error;
		return -(int)err->class;
	}
	*ret_pid = pid;
	return 0;
}

/* ---- process 1 ---- */

static int read_spec(struct pa_arena *arena, struct pa_sandbox_options *ret, struct pa_error *err)
{
	struct stat status;
	char *data;

	if (fstat(PA_TASK_FD_SPEC, &status) != 0 || !S_ISREG(status.st_mode) ||
	    status.st_size > PA_TASK_MAX_SPEC_BYTES)
		return pa_error_set(err, PA_ERROR_USAGE,
		                    "task-init is started by pipeahead itself, not by hand");
	data = pa_arena_alloc(arena, (size_t)status.st_size);
	if (pread(PA_TASK_FD_SPEC, data, (size_t)status.st_size, 0) != status.st_size)
		return pa_error_set_errno(err, errno, "cannot read the task's memory file");
	return pa_task_spec_read(arena, data, (size_t)status.st_size, ret, err);
}

static void note_own_usage(struct pa_task_record *record)
{
	struct pa_error ignored = PA_ERROR_INIT;
	struct rusage usage = {0};

	/* Where it cannot be read, the task is charged a few kilobytes too many. */
	pa_task_read_characters("/proc/self/io", &record->read_characters, &ignored);
	getrusage(RUSAGE_SELF, &usage);
	record->cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
	                 (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* Reaps whatever ended; true when the command did. */
static bool reap(pid_t command, int *ret_wait_status)
{
	int wait_status;
	pid_t pid;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		if (pid == command) {
			*ret_wait_status = wait_status;
			return true;
		}
	}
	return false;
}

/* To the command's group, and to the command where it has left that group. */
static void forward(pid_t command, int number)
{
	if (kill(-command, number) != 0)
		kill(command, number);
}

/* What the command left running.  The kernel would end it as well, but only what is waited for is in the totals that
 * the parent reads. */
static void end_leftovers(void)
{
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		continue;
}

/* Until the command ends, or the parent does: then there is nobody to tell, and returning ends the task.
 * The parent's end is seen on its pidfd; PR_SET_PDEATHSIG would already act when the *thread* that started the task
 * ends. */
static int supervise(pid_t command, int signal_fd)
{
	struct pollfd ready[] = {
	    {.fd = signal_fd, .events = POLLIN},
	    {.fd = PA_TASK_FD_PARENT, .events = POLLIN},
	};

	for (;;) {
		struct signalfd_siginfo info;
		int wait_status;

		if (poll(ready, 2, -1) < 0 && errno != EINTR)
			return EXIT_NOT_STARTED;
		if (ready[1].revents)
			return EXIT_NOT_STARTED;
		if (!(ready[0].revents & POLLIN) ||
		    read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
			continue;
		if (info.ssi_signo != SIGCHLD) {
			forward(command, (int)info.ssi_signo);
		} else if (reap(command, &wait_status)) {
			struct pa_task_record record = {.kind = PA_TASK_ENDED, .wait_status = wait_status};

			end_leftovers();
			send_record(PA_TASK_FD_STATUS, &record);
			return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status)
			                                : WEXITSTATUS(wait_status);
		}
	}
}

static int set_up(struct pa_arena *arena, struct pa_sandbox_options *ret_options, int *ret_signal_fd,
                  struct pa_error *err)
{
	sigset_t watched;
	int signal_fd, failed = read_spec(arena, ret_options, err);

	if (failed)
		return failed;
	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGINT);
	sigprocmask(SIG_BLOCK, &watched, NULL);
	/* An inherited SIG_IGN would make the kernel reap for us, and the command's status would be lost. */
	signal(SIGCHLD, SIG_DFL);
	signal_fd = signalfd(-1, &watched, SFD_CLOEXEC);
	if (signal_fd < 0)
		return pa_error_set_errno(err, errno, "cannot watch for the task's signals");
	setsid(); /* Ctrl-C at the terminal is for the parent, who decides what becomes of tasks */
	umask(022);
	if (ret_options->hostname && sethostname(ret_options->hostname, strlen(ret_options->hostname)) != 0)
		return pa_error_set_errno(err, errno, "cannot set the task's host name");
	*ret_signal_fd = signal_fd;
	return pa_task_root_enter(ret_options, err);
}

int pa_sandbox_init_main(int argument_count, char **arguments)
{
	struct pa_task_record record = {.kind = PA_TASK_STARTED};
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_sandbox_options options;
	pid_t command = -1;
	int signal_fd = -1;
	int failed;

	(void)argument_count;
	(void)arguments;
	prctl(PR_SET_NAME, "pipeahead-init");
	for (int fd = PA_TASK_FD_SPEC; fd < PA_TASK_FD_EXECUTABLE; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	failed = set_up(&arena, &options, &signal_fd, &record.error);
	if (!failed) {
		note_own_usage(&record);
		failed = start_command(&options, &command, &record.error);
	}
	if (failed == -(int)PA_ERROR_USAGE) {
		fprintf(stderr, "pipeahead: %s\n", record.error.message);
		return EXIT_USAGE;
	}
	if (failed)
		record.kind = PA_TASK_FAILED;
	send_record(PA_TASK_FD_STATUS, &record);
	/* _exit: nothing is to be flushed, and the arena goes with the process. */
	_exit(failed ? EXIT_NOT_STARTED : supervise(command, signal_fd));
}
