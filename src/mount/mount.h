/* SPDX-License-Identifier: Apache-2.0 */
/* A mount: data sets served as files by speaking the kernel's FUSE protocol on /dev/fuse ourselves (no libfuse).
 *
 * One mount is one connection; its root shows one folder per *view*.  A view is a data set (or a part of it, by
 * path) as one task sees it: reads through it are that task's in the account, so several tasks may have views of
 * one data set.  A task gets a bind mount of its view's folder.
 *
 * Whole files are opened in passthrough (the kernel reads the tmpfs file itself); files still on their way are
 * read with direct I/O, each read waiting for its chunks; the mode of an inode is chosen when nobody has it open,
 * by the rules measured for this kernel (docs/mount.md).  Without CAP_SYS_ADMIN in the initial user namespace, or on
 * a kernel without passthrough, everything goes by direct I/O: probed once, at pa_mount_new().
 *
 * Nodes, handles and views are tables of plain indices in one shared memory region (a memfd), so that a
 * later process can take them over with the /dev/fuse descriptor.
 *
 * Ownership: pa_mount_free() unmounts (lazily), stops the threads and fails what is in flight; views and the cache must
 * outlive it and be freed after.  Threads: a pool that grows to `thread_limit` while all are waiting
 * for data.  Blocking: pa_mount_new() for a round trip with the kernel; nothing else blocks on I/O.
 * Deadlines: a read that finds no bytes within `read_timeout_ns` answers EIO and says so in the log.
 * Limits: PA_MOUNT_MAX_VIEWS views; nodes and handles by the region's size, ENFILE beyond.
 */
#ifndef PA_MOUNT_MOUNT_H
#define PA_MOUNT_MOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "cache/cache.h"

#define PA_MOUNT_MAX_VIEWS 65536

struct pa_mount;
struct pa_mount_view;

struct pa_mount_options {
	const char *mount_point; /* an existing empty folder */
	uint32_t thread_limit;   /* 0: 64 */
	int64_t read_timeout_ns; /* 0: 120 s */
	bool no_passthrough;     /* for tests and the comparison */
};

int pa_mount_new(const struct pa_mount_options *options, struct pa_mount **ret, struct pa_error *err);
void pa_mount_free(struct pa_mount *mount);
bool pa_mount_has_passthrough(const struct pa_mount *mount);

/* Adds a folder `name` to the mount's root that shows `path` ("" for all) of the data set.  When `path` is a
 * file, or the data set a single file, the view is that file itself. */
int pa_mount_add_view(struct pa_mount *mount, const char *name, struct pa_data_set *data_set,
                      const char *path, bool read_only, struct pa_mount_view **ret, struct pa_error *err);
/* Takes the folder away; handles that are open live on until they are closed.  Ends the view. */
void pa_mount_remove_view(struct pa_mount *mount, struct pa_mount_view *view);

/* What a view has seen so far.  Bytes read in passthrough never reach us: a file opened so counts with its whole
 * size at its first open by the view. */
struct pa_view_account {
	uint64_t opens;
	uint64_t passthrough_opens;
	uint64_t memory_bytes; /* read and found in memory (passthrough files included, as said above) */
	uint64_t source_bytes; /* read and waited for */
	uint64_t written_bytes;
	int64_t stalled_ns; /* time in which at least one read of the view was waiting */
	uint64_t read_errors;
};
void pa_mount_view_account(struct pa_mount_view *view, struct pa_view_account *ret);

/* Which files a view opened for reading, in the order of their first open. */
struct pa_view_access {
	const char *path; /* in the data set; valid until the view ends */
	uint64_t size_bytes;
	int64_t first_open_ns;    /* monotonic */
	bool whole_at_first_open; /* was wholly in memory then */
	uint64_t read_bytes;      /* by direct I/O; the size where passthrough */
};
/* Copies up to `room` of them and returns how many there are. */
size_t pa_mount_view_accesses(struct pa_mount_view *view, struct pa_view_access *out, size_t room);

/* True while a read of the view is waiting for bytes, with how many of them in `ret_waiting`. */
bool pa_mount_view_is_stalled(struct pa_mount_view *view);

#endif
