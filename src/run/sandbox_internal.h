/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of a sandbox share: the parent (sandbox.c) and process 1 of the task's namespaces (task_init.c,
 * with task_root.c for its file tree and task_spec.c for what the parent tells it).
 *
 * Both are the same executable, so what crosses between them is not versioned.  Process 1 is started with these
 * descriptors and no others; it has one thread, and may block in file systems that the parent serves.
 */
#ifndef PA_RUN_SANDBOX_INTERNAL_H
#define PA_RUN_SANDBOX_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "run/sandbox.h"

#define PA_TASK_MAX_SPEC_BYTES (16u << 20)
#define PA_TASK_MAX_BINDS      1000

enum pa_task_fd {
	PA_TASK_FD_SPEC = 3,       /* what to run: pa_task_spec_write() */
	PA_TASK_FD_STATUS = 4,     /* a pipe for struct pa_task_record */
	PA_TASK_FD_PARENT = 5,     /* a pidfd: readable when the parent is gone */
	PA_TASK_FD_EXECUTABLE = 6, /* closed by exec */
	PA_TASK_FD_COUNT,
};

enum pa_task_record_kind {
	PA_TASK_STARTED = 1, /* the command was exec'ed */
	PA_TASK_FAILED,      /* it was not: `error` */
	PA_TASK_ENDED,       /* `wait_status` of the command */
};

/* Written whole: smaller than PIPE_BUF. */
struct pa_task_record {
	enum pa_task_record_kind kind;
	int wait_status;
	uint64_t read_characters; /* STARTED: what process 1 itself used so far, to be taken off the totals */
	uint64_t cpu_us;          /* STARTED: likewise */
	struct pa_error error;
};

/* Appends the options to `spec`; PA_ERROR_INPUT past PA_TASK_MAX_SPEC_BYTES.  The buffer's limit is the caller's. */
int pa_task_spec_write(const struct pa_sandbox_options *options, struct pa_buffer *spec,
                       struct pa_error *err);
/* The options again (without its descriptors), pointing into `data` and the arena; binds sorted by depth of target. */
int pa_task_spec_read(struct pa_arena *arena, const char *data, size_t bytes, struct pa_sandbox_options *ret,
                      struct pa_error *err);

/* Builds the task's file tree and makes it the root and the working directory of this process, whose mount namespace
 * must be its own. */
int pa_task_root_enter(const struct pa_sandbox_options *options, struct pa_error *err);

/* openat2(2), O_CLOEXEC; tried again when it lost a race with a mount or rename elsewhere.  -1 and errno. */
int pa_task_open_beneath(int folder_fd, const char *path, uint64_t flags, uint64_t resolve);

/* A copy of the mount at `folder_fd`/`path` with MOUNT_ATTR_ attributes set; -1 and errno. */
int pa_task_copy_tree(int folder_fd, const char *path, bool recursive, uint64_t attributes);
/* A new file system of a kernel's type; options are key and value in turn, a flag (value NULL) last; -1 and errno. */
int pa_task_make_file_system(const char *type, const char *const options[], uint64_t attributes);
/* Puts either where `point_fd` is; -1 and errno. */
int pa_task_attach(int tree_fd, int point_fd);

bool pa_task_is_below(const char *path, const char *folder);
/* Is it in a folder that the machine's is replaced in (/tmp, /proc, …)? */
bool pa_task_has_own_folder(const char *path);

/* Makes scratch's folders (upper, work, root, tmp, var_tmp, run), and the machine's root over scratch/upper at
 * scratch/root; gives an O_PATH descriptor of it. */
int pa_task_layers_mount(const char *scratch, int scratch_fd, int *ret_root_fd, struct pa_error *err);

/* rchar of a file like /proc/PID/io: the process, its threads, and every child that it has waited for. */
int pa_task_read_characters(const char *path, uint64_t *ret_characters, struct pa_error *err);

#endif
