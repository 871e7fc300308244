/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/mount_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* What the kernel asks and we do not answer here gets ENOSYS, which it remembers: extended attributes, locks,
 * lseek, fallocate, copy_file_range, poll and ioctl then go the kernel's own way. */
struct operation {
	pa_operation_fn run;
	size_t argument_bytes; /* at least */
	bool blocks;           /* may wait for a source */
};

static const struct operation operations[] = {
    [FUSE_LOOKUP] = {pa_operation_lookup, 1, false},
    [FUSE_FORGET] = {pa_operation_forget, sizeof(struct fuse_forget_in), false},
    [FUSE_GETATTR] = {pa_operation_getattr, 0, false},
    [FUSE_SETATTR] = {pa_operation_setattr, sizeof(struct fuse_setattr_in), true},
    [FUSE_READLINK] = {pa_operation_readlink, 0, false},
    [FUSE_SYMLINK] = {pa_operation_symlink, 2, true},
    [FUSE_MKNOD] = {pa_operation_mknod, sizeof(struct fuse_mknod_in) + 1, true},
    [FUSE_MKDIR] = {pa_operation_mkdir, sizeof(struct fuse_mkdir_in) + 1, true},
    [FUSE_UNLINK] = {pa_operation_unlink, 1, true},
    [FUSE_RMDIR] = {pa_operation_rmdir, 1, true},
    [FUSE_RENAME] = {pa_operation_rename, sizeof(struct fuse_rename_in) + 2, true},
    [FUSE_RENAME2] = {pa_operation_rename2, sizeof(struct fuse_rename2_in) + 2, true},
    [FUSE_LINK] = {pa_operation_link, 0, false},
    [FUSE_OPEN] = {pa_operation_open, sizeof(struct fuse_open_in), false},
    [FUSE_CREATE] = {pa_operation_create, sizeof(struct fuse_create_in) + 1, true},
    [FUSE_READ] = {pa_operation_read, sizeof(struct fuse_read_in), false},
    [FUSE_WRITE] = {pa_operation_write, sizeof(struct fuse_write_in), true},
    [FUSE_STATFS] = {pa_operation_statfs, 0, false},
    [FUSE_RELEASE] = {pa_operation_release, sizeof(struct fuse_release_in), false},
    [FUSE_FSYNC] = {pa_operation_fsync, sizeof(struct fuse_fsync_in), true},
    [FUSE_FLUSH] = {pa_operation_flush, sizeof(struct fuse_flush_in), true},
    [FUSE_OPENDIR] = {pa_operation_opendir, 0, false},
    [FUSE_READDIR] = {pa_operation_readdir, sizeof(struct fuse_read_in), false},
    [FUSE_READDIRPLUS] = {pa_operation_readdirplus, sizeof(struct fuse_read_in), false},
    [FUSE_BATCH_FORGET] = {pa_operation_batch_forget, sizeof(struct fuse_batch_forget_in), false},
    [FUSE_INTERRUPT] = {pa_operation_interrupt, sizeof(struct fuse_interrupt_in), false},
    /* Folders have nothing to sync or release: their changes are at the source before they are answered. */
    [FUSE_RELEASEDIR] = {pa_operation_nothing, 0, false},
    [FUSE_FSYNCDIR] = {pa_operation_nothing, 0, false},
    [FUSE_DESTROY] = {pa_operation_nothing, 0, false},
};

static const struct operation *operation_of(uint32_t opcode)
{
	static const struct operation none = {NULL, 0, false};

	return opcode < sizeof(operations) / sizeof(operations[0]) ? &operations[opcode] : &none;
}

int pa_operation_nothing(struct pa_mount *mount, struct pa_mount_request *request)
{
	(void)mount;
	request->reply_bytes = 0;
	return 0;
}

/* An interrupt that comes before its request has been seen is answered EAGAIN, and comes again. */
int pa_operation_interrupt(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_interrupt_in *in = request->argument;

	return pa_pool_interrupt(mount->pool, in->unique) ? PA_REPLY_NONE : -EAGAIN;
}

bool pa_mount_request_blocks(const struct fuse_in_header *header, const void *argument)
{
	uint32_t open_flags = 0;

	if (header->opcode == FUSE_OPEN && header->len >= sizeof(*header) + sizeof(struct fuse_open_in))
		open_flags = ((const struct fuse_open_in *)argument)->flags;
	if (header->opcode == FUSE_RELEASE && header->len >= sizeof(*header) + sizeof(struct fuse_release_in))
		open_flags = ((const struct fuse_release_in *)argument)->flags;
	return operation_of(header->opcode)->blocks || (open_flags & (O_ACCMODE | O_TRUNC)) != O_RDONLY;
}

int pa_mount_errno(const struct pa_error *err)
{
	switch (err->class) {
	case PA_ERROR_CANCELLED:
		return -EINTR;
	case PA_ERROR_DEADLINE:
		return -EIO;
	default:
		return -pa_error_to_errno(err);
	}
}

int pa_mount_send(struct pa_mount *mount, uint64_t unique, int error, void *reply, size_t bytes)
{
	struct fuse_out_header header = {
	    .len = (uint32_t)(sizeof(header) + bytes),
	    .error = error,
	    .unique = unique,
	};
	struct iovec parts[] = {{&header, sizeof(header)}, {reply, bytes}};

	return writev(mount->fuse_fd, parts, bytes != 0 ? 2 : 1) < 0 ? -errno : 0;
}

/* The kernel did not take the reply (the mount has gone): it will not give back what was in it. */
static void undo(struct pa_mount *mount, const struct pa_mount_request *request)
{
	const struct fuse_entry_out *entry = (const void *)request->reply;
	const struct pa_fuse_open_out *open = (const void *)request->reply;

	switch (request->header->opcode) {
	case FUSE_OPEN:
		pa_handle_close(mount, open->fh, &request->call);
		break;
	case FUSE_CREATE:
		pa_handle_close(mount, ((const struct pa_fuse_open_out *)(entry + 1))->fh, &request->call);
		pa_mount_forget(mount, entry->nodeid, 1);
		break;
	case FUSE_LOOKUP:
	case FUSE_MKDIR:
	case FUSE_MKNOD:
	case FUSE_SYMLINK:
		pa_mount_forget(mount, entry->nodeid, 1);
		break;
	case FUSE_READDIRPLUS:
		for (size_t at = 0; at < request->reply_bytes;) {
			const struct fuse_direntplus *item = (const void *)(request->reply + at);
			if (item->entry_out.nodeid != 0)
				pa_mount_forget(mount, item->entry_out.nodeid, 1);
			at += FUSE_DIRENTPLUS_SIZE(item);
		}
		break;
	default:
		break;
	}
}

int pa_mount_dispatch(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct operation *operation = operation_of(request->header->opcode);
	int result = -ENOSYS;

	request->reply_bytes = 0;
	if (operation->run != NULL)
		result = request->argument_bytes >= operation->argument_bytes ? operation->run(mount, request)
		                                                              : -EINVAL;
	if (result > 0)
		return result;
	if (result < 0) {
		pa_mount_send(mount, request->header->unique, result, NULL, 0);
		return 0;
	}
	if (pa_mount_send(mount, request->header->unique, 0, request->reply, request->reply_bytes) != 0)
		undo(mount, request);
	return 0;
}
