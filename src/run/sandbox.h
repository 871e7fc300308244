/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox: one task as a child process in mount and process namespaces of its own.
 *
 * The task sees this machine's files through an overlay (reads come from here, writes go to its own scratch folder
 * and nowhere else), a fresh /proc, /tmp, /var/tmp, /dev/shm and /run, and the binds it is given, whose mount points are
 * made in its overlay only.  Process 1 of its namespace is `pipeahead task-init` (pa_sandbox_init_main), which
 * sets all this up, starts the command, reaps, passes signals on, and ends with the command's status; when it ends, the
 * kernel ends everything the task left running.  It dies with its parent, even by kill -9.
 *
 * Ownership: _start gives a handle to _free (which kills what still runs and waits for it).  The scratch folder is the
 * caller's: it survives the task, so outputs can be taken from it (pa_sandbox_open_output).
 * Threads: any; the process may have threads (nothing unsafe runs between fork and exec).
 * Blocking: _start until the task's root is built and its command has been exec'ed or has failed to (10 s at most);
 * _free until the kernel has ended the processes.
 * Needs root (CAP_SYS_ADMIN); PA_ERROR_PERMANENT says so otherwise.
 */
#ifndef PA_RUN_SANDBOX_H
#define PA_RUN_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct pa_sandbox_bind {
	const char *source; /* an existing file or folder here */
	const char *target; /* absolute path in the task */
	const char *
	    sub_path; /* below source; NULL: none.  Made as a folder if missing and writable, as Kubernetes does */
	bool read_only;
};

struct pa_sandbox_options {
	const char *const
	    *command; /* NULL-terminated; looked up in PATH of `environment` inside the sandbox */
	const char *const *environment; /* NULL-terminated "NAME=value" */
	const char *working_directory;  /* made if missing; NULL: "/" */
	const char *
	    scratch; /* an empty folder of the caller's, on a file system that can hold an overlay's upper layer */
	const struct pa_sandbox_bind *binds; /* applied in order of depth of target */
	size_t bind_count;
	const char *const
	    *directories; /* NULL-terminated paths to make in the task, e.g. parents of outputs; or NULL */
	int output_fd;    /* its standard output; its standard input is /dev/null */
	int error_fd;     /* its standard error; may be the same descriptor */
	const char *hostname; /* NULL: unchanged (else a UTS namespace) */
};

struct pa_sandbox;

/* PA_ERROR_INPUT when the command does not exist in the sandbox; nothing is left behind on any error. */
int pa_sandbox_start(const struct pa_sandbox_options *options, struct pa_sandbox **ret, struct pa_error *err);
/* Readable (poll) when the task has ended. */
int pa_sandbox_fd(const struct pa_sandbox *sandbox);
pid_t pa_sandbox_pid(const struct pa_sandbox *sandbox);

struct pa_sandbox_exit {
	int status;               /* exit code; 128 + signal when killed */
	int signal;               /* 0: exited by itself */
	uint64_t read_characters; /* rchar of all its processes: every byte read(2), page cache or not */
	double cpu_s;
};
/* After pa_sandbox_fd() became readable. */
int pa_sandbox_result(struct pa_sandbox *sandbox, struct pa_sandbox_exit *ret, struct pa_error *err);
/* Asks it to end (SIGTERM to the command), or ends it at once (SIGKILL to its process 1). */
void pa_sandbox_signal(struct pa_sandbox *sandbox, bool kill);
void pa_sandbox_free(struct pa_sandbox *sandbox);

/* Opens what the ended task wrote at an absolute path of its root or of one of its fresh folders (not of a bind),
 * never following a link out of the sandbox; PA_ERROR_NOT_FOUND when it is not there. Returns a descriptor in ret_fd (a
 * file or a folder; O_RDONLY). */
int pa_sandbox_open_output(const char *scratch, const char *path, int *ret_fd, struct pa_error *err);

/* The `task-init` subcommand; never returns to other work. */
int pa_sandbox_init_main(int argument_count, char **arguments);

/* Makes the calling process's own mount namespace (private), in which all our mounts live: they vanish with the last
 * process in it, even after kill -9.  To be called before any thread is started. */
int pa_sandbox_enter_private_mounts(struct pa_error *err);

#endif
