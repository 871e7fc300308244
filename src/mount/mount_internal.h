/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of mount/ share: the mount, its views, a request and its reply.
 *
 *   mount.c                  comes and goes: mount(2), INIT, umount
 *   pool.c                   the threads: who reads /dev/fuse, who may wait, what is interrupted
 *   dispatch.c               a request from its bytes to its reply
 *   names.c files.c folders.c the operations
 *   mode.c                   passthrough or direct I/O, an inode at a time
 *   view.c                   views and their accounts
 *   attributes.c             attributes as the kernel wants them, and what it must forget of them
 *   table_internal.h         nodes, handles, views as indices
 *
 * Locks, outermost first: a mode lock (one of PA_MODE_LOCKS, by node); the table lock; a view's account
 * lock.  The pool's lock stands alone.  The mode lock is held across the two calls that decide a mode (the cache's short
 * locks and an ioctl); the others across no call out of this folder.
 */
#ifndef PA_MOUNT_MOUNT_INTERNAL_H
#define PA_MOUNT_MOUNT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/tree.h"
#include "mount/fuse_kernel_extra.h"
#include "mount/mount.h"
#include "mount/table_internal.h"

#define PA_MOUNT_MAX_IO_BYTES  (1u << 20)
#define PA_MOUNT_REQUEST_BYTES (PA_MOUNT_MAX_IO_BYTES + 65536)
#define PA_MOUNT_REPLY_BYTES   (PA_MOUNT_MAX_IO_BYTES + 4096)
#define PA_MOUNT_MAX_ACCESSES  (1u << 20)
#define PA_MODE_LOCKS          64
#define PA_EXPECTED_OPENS      64
#define PA_ROOT_NODE           1

struct pa_view_accesses; /* view.c */

struct pa_mount_view {
	uint32_t index;
	struct pa_data_set *data_set;
	uint64_t root_inode;
	bool read_only;
	uint32_t valid_seconds; /* how long the kernel may keep names and attributes */
	/* Table lock: */
	bool removed;
	uint32_t nodes;
	uint32_t operations; /* under way, other than reads and writes of open handles */
	/* Account lock: */
	pthread_mutex_t lock;
	struct pa_view_account account;
	uint32_t waiting;
	int64_t waiting_since_ns;
	struct pa_view_accesses *accesses;
};

/* What a handle is in this process. */
struct pa_mount_file {
	struct pa_file *file;
	struct pa_mount_view *view;
	uint32_t access; /* in the view's list, from 1; 0: none */
};

struct pa_pool;

/* An open that was sent back for a new node (mode.c). */
struct pa_expected_open {
	uint32_t view;
	uint64_t inode;
	int64_t until_ns;
};

struct pa_mount {
	int fuse_fd;
	char *mount_point;
	bool mounted;
	bool passthrough;
	uint32_t thread_limit;
	int64_t read_timeout_ns;
	uint32_t device_minor;
	struct pa_pool *pool;
	pthread_mutex_t mode_locks[PA_MODE_LOCKS];
	pthread_mutex_t lock; /* the table lock */
	pthread_cond_t view_idle;
	struct pa_table table;
	struct pa_expected_open expected[PA_EXPECTED_OPENS]; /* a ring */
	size_t expected_next;
	struct pa_mount_view **views; /* by index; NULL: free */
	uint32_t view_end;            /* one past the highest ever used */
	struct pa_mount_file *files;  /* by handle index */
};

/* A request on its way.  A handler fills reply[0..reply_bytes) and returns 0, or a negative errno, or one of: */
#define PA_REPLY_NONE        1 /* nothing is to be answered */
#define PA_REPLY_WOULD_BLOCK 2 /* must be called again with may_block */

struct pa_mount_request {
	const struct fuse_in_header *header;
	const void *argument; /* what follows the header; followed by a NUL */
	size_t argument_bytes;
	bool may_block;
	struct pa_store_call call; /* the deadline and the cancel of what it waits for */
	char *reply;
	size_t reply_bytes;
};

/* dispatch.c: answers a request, or returns PA_REPLY_WOULD_BLOCK having done nothing. */
int pa_mount_dispatch(struct pa_mount *mount, struct pa_mount_request *request);
/* True when the request's operation may wait for a source, so that may_block is wanted from the start. */
bool pa_mount_request_blocks(const struct fuse_in_header *header, const void *argument);
/* 0, or the negative errno of the write. */
int pa_mount_send(struct pa_mount *mount, uint64_t unique, int error, void *reply, size_t bytes);
/* The errno that a caller sees, negative. */
int pa_mount_errno(const struct pa_error *err);

/* pool.c. */
int pa_pool_new(struct pa_mount *mount, struct pa_pool **ret, struct pa_error *err);
/* Every request that waits, now or from now on, is cancelled. */
void pa_pool_stop(struct pa_pool *pool);
/* Waits for the threads, which end when the connection has ended. */
void pa_pool_free(struct pa_pool *pool);
/* A signal has come for who waits for the request of this number, which is cancelled if the signal kills.  False: there
 * is no such request (it may not have been read yet). */
bool pa_pool_interrupt(struct pa_pool *pool, uint64_t unique);

/* view.c: what a request is about.  _get holds the view until _put; view is NULL for the mount's root. */
struct pa_mount_target {
	uint32_t node;
	uint64_t inode;
	struct pa_mount_view *view;
};
int pa_target_get(struct pa_mount *mount, uint64_t node_id, struct pa_mount_target *ret);
void pa_target_put(struct pa_mount *mount, struct pa_mount_target *target);
/* The view of a name in the mount's root, held; NULL: none. */
struct pa_mount_view *pa_view_find(struct pa_mount *mount, const char *name);
/* A view loses a node; frees it when it was the last thing of a view that was removed. Under the table lock. */
void pa_view_node_gone(struct pa_mount *mount, uint32_t view);
void pa_view_free_all(struct pa_mount *mount);
uint32_t pa_view_count_open(struct pa_mount_view *view, uint64_t inode, uint64_t size_bytes, bool reads,
                            bool passthrough, bool whole);
void pa_view_count_read(struct pa_mount_view *view, uint32_t access, const struct pa_read_account *read,
                        size_t bytes, bool failed);
void pa_view_count_write(struct pa_mount_view *view, size_t bytes);
void pa_view_wait_begin(struct pa_mount_view *view);
void pa_view_wait_end(struct pa_mount_view *view);

/* attributes.c. */
/* st_ino: views never share one. */
uint64_t pa_inode_number(const struct pa_mount_view *view, uint64_t inode);
void pa_attributes_fill(const struct pa_mount_view *view, const struct pa_attributes *attributes,
                        struct fuse_attr *ret);
/* An entry for the reply: makes the node; ENFILE when the table is full. */
int pa_entry_fill(struct pa_mount *mount, struct pa_mount_view *view, const struct pa_attributes *attributes,
                  struct fuse_entry_out *ret);
/* The seconds that the kernel may keep the attributes of a node. */
uint32_t pa_attributes_valid(struct pa_mount *mount, const struct pa_mount_target *target);
/* Lets the kernel forget `lookups` references to a node. */
void pa_mount_forget(struct pa_mount *mount, uint64_t node_id, uint64_t lookups);
/* The kernel forgets the attributes it has of the node's inode, in the other views (and in its own, if asked). */
void pa_attributes_invalidate(struct pa_mount *mount, uint32_t node, bool own);
/* Tells the kernel to drop a name in the mount's root. */
void pa_entry_invalidate(struct pa_mount *mount, const char *name);

/* mode.c.  _choose fills the flags of an open reply and counts it; -ESTALE: look the name up again. */
struct pa_mode {
	bool passthrough;
	bool whole;
	int32_t backing_id;
	uint32_t open_flags;
};
int pa_mode_choose(struct pa_mount *mount, uint32_t node, struct pa_file *file, bool writes,
                   struct pa_mode *ret);
void pa_mode_end(struct pa_mount *mount, uint32_t node, struct pa_file *file, bool passthrough);
bool pa_mode_probe(int fuse_fd);

/* files.c: releases what an OPEN or CREATE reply that did not arrive holds. */
void pa_handle_close(struct pa_mount *mount, uint64_t handle_id, const struct pa_store_call *call);

/* The operations, for the table in dispatch.c. */
typedef int (*pa_operation_fn)(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_lookup(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_forget(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_batch_forget(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_getattr(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_setattr(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_readlink(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_symlink(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_mknod(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_mkdir(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_unlink(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_rmdir(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_rename(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_rename2(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_link(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_statfs(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_open(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_create(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_read(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_write(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_flush(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_fsync(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_release(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_opendir(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_readdir(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_readdirplus(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_interrupt(struct pa_mount *mount, struct pa_mount_request *request);
int pa_operation_nothing(struct pa_mount *mount, struct pa_mount_request *request);

#endif
