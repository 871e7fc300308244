/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on open files. */
#include "mount/mount_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"

#define PATH_BYTES 4096

/* An open file, as a request names it. */
struct open_handle {
	uint32_t handle;
	uint32_t node;
	uint64_t inode;
	bool passthrough;
	bool writes;
	struct pa_mount_file *open;
};

/* The kernel sends no RELEASE while another request on the handle is under way, so it stays. */
static int handle_find(struct pa_mount *mount, uint64_t handle_id, struct open_handle *ret)
{
	pthread_mutex_lock(&mount->lock);
	uint32_t handle = pa_table_handle_find(&mount->table, handle_id);
	if (handle != 0) {
		const struct pa_handle_record *record = &mount->table.handles[handle];
		*ret = (struct open_handle){
		    .handle = handle,
		    .node = record->node,
		    .inode = mount->table.nodes[record->node].inode,
		    .passthrough = (record->flags & PA_HANDLE_PASSTHROUGH) != 0,
		    .writes = (record->flags & PA_HANDLE_WRITE) != 0,
		    .open = &mount->files[handle],
		};
	}
	pthread_mutex_unlock(&mount->lock);
	return handle != 0 ? 0 : -EBADF;
}

static unsigned file_flags(uint32_t open_flags)
{
	static const unsigned access[] = {
	    [O_RDONLY] = PA_FILE_READ,
	    [O_WRONLY] = PA_FILE_WRITE,
	    [O_RDWR] = PA_FILE_READ | PA_FILE_WRITE,
	    [O_ACCMODE] = PA_FILE_READ | PA_FILE_WRITE,
	};
	unsigned flags = access[open_flags & O_ACCMODE];

	if ((open_flags & O_APPEND) != 0)
		flags |= PA_FILE_APPEND;
	if ((open_flags & O_TRUNC) != 0)
		flags |= PA_FILE_TRUNCATE | PA_FILE_WRITE;
	return flags;
}

/* Chooses the mode of a file that was opened and gives it a handle.  On failure the file is still the caller's. */
static int handle_new(struct pa_mount *mount, const struct pa_mount_target *target, struct pa_file *file,
                      const struct pa_attributes *attributes, unsigned flags, struct pa_fuse_open_out *ret)
{
	bool writes = (flags & PA_FILE_WRITE) != 0;
	struct pa_mode mode;

	int result = pa_mode_choose(mount, target->node, file, writes, &mode);
	if (result != 0)
		return result;
	pthread_mutex_lock(&mount->lock);
	uint64_t id = pa_table_handle_new(&mount->table, target->node,
	                                  (mode.passthrough ? PA_HANDLE_PASSTHROUGH : 0) |
	                                      (writes ? PA_HANDLE_WRITE : 0));
	struct pa_node_record *record = &mount->table.nodes[target->node];
	bool changed = record->told_version != attributes->generation;
	record->told_version = attributes->generation;
	pthread_mutex_unlock(&mount->lock);
	if (id == 0) {
		pa_mode_end(mount, target->node, file, mode.passthrough);
		return -ENFILE;
	}
	struct pa_mount_file *open = &mount->files[(uint32_t)id];
	open->file = file;
	open->view = target->view;
	open->access = pa_view_count_open(target->view, attributes->inode, attributes->size_bytes,
	                                  (flags & PA_FILE_READ) != 0, mode.passthrough, mode.whole);
	/* What it knows of the size is of another version, or about to be changed under the other views. */
	if (changed || writes)
		pa_attributes_invalidate(mount, target->node, changed);
	*ret =
	    (struct pa_fuse_open_out){.fh = id, .open_flags = mode.open_flags, .backing_id = mode.backing_id};
	return 0;
}

static int open_file(struct pa_mount *mount, struct pa_mount_request *request,
                     const struct pa_mount_target *target, unsigned flags, struct pa_fuse_open_out *ret)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	struct pa_file *file;

	if (pa_file_open(target->view->data_set, target->inode, flags, &file, &request->call, &err) != 0)
		return pa_mount_errno(&err);
	int result = pa_tree_attributes(target->view->data_set, target->inode, &attributes, &err);
	result =
	    result != 0 ? pa_mount_errno(&err) : handle_new(mount, target, file, &attributes, flags, ret);
	if (result != 0)
		pa_file_close(file, &request->call, &err);
	return result;
}

int pa_operation_open(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_open_in *in = request->argument;
	struct pa_mount_target target;

	int result = pa_target_get(mount, request->header->nodeid, &target);
	if (result != 0)
		return result;
	unsigned flags = file_flags(in->flags);
	if (target.view == NULL)
		return -EISDIR;
	request->reply_bytes = sizeof(struct pa_fuse_open_out);
	if ((flags & PA_FILE_WRITE) != 0 && target.view->read_only)
		result = -EROFS;
	else
		result = open_file(mount, request, &target, flags, (struct pa_fuse_open_out *)request->reply);
	pa_target_put(mount, &target);
	return result;
}

/* The entry and the handle of a file that was created, into the reply. */
static int reply_created(struct pa_mount *mount, struct pa_mount_request *request,
                         const struct pa_mount_target *folder, struct pa_file *file,
                         const struct pa_attributes *attributes, unsigned flags)
{
	struct fuse_entry_out *entry = (struct fuse_entry_out *)request->reply;
	struct pa_fuse_open_out *open = (struct pa_fuse_open_out *)(entry + 1);

	int result = pa_entry_fill(mount, folder->view, attributes, entry);
	if (result != 0)
		return result;
	struct pa_mount_target target = {(uint32_t)entry->nodeid, attributes->inode, folder->view};
	result = handle_new(mount, &target, file, attributes, flags, open);
	if (result != 0)
		pa_mount_forget(mount, entry->nodeid, 1);
	request->reply_bytes = sizeof(*entry) + sizeof(*open);
	return result;
}

int pa_operation_create(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_create_in *in = request->argument;
	const char *name = (const char *)(in + 1);
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	struct pa_mount_target target;
	struct pa_file *file;

	if (strnlen(name, request->argument_bytes - sizeof(*in)) == request->argument_bytes - sizeof(*in))
		return -EINVAL;
	int result = pa_target_get(mount, request->header->nodeid, &target);
	if (result != 0)
		return result;
	if (target.view == NULL)
		return -EPERM;
	unsigned flags = file_flags(in->flags) | ((in->flags & O_EXCL) != 0 ? PA_FILE_EXCLUSIVE : 0);
	if (target.view->read_only)
		result = -EROFS;
	else if (pa_file_create(target.view->data_set, target.inode, name, flags | PA_FILE_WRITE,
	                        in->mode & 07777, &file, &attributes, &request->call, &err) != 0)
		result = pa_mount_errno(&err);
	else {
		result = reply_created(mount, request, &target, file, &attributes, flags | PA_FILE_WRITE);
		if (result != 0)
			pa_file_close(file, &request->call, &err);
	}
	pa_target_put(mount, &target);
	return result;
}

/* A failed read becomes EIO in the task, which says nothing: the log names the file and the cause. */
static int read_failed(struct pa_mount *mount, const struct open_handle *handle,
                       const struct fuse_read_in *in, const struct pa_error *err)
{
	char path[PATH_BYTES] = "";

	if (err->class == PA_ERROR_CANCELLED)
		return -EINTR;
	pa_tree_path(handle->open->view->data_set, handle->inode, path, sizeof(path));
	pa_log(PA_LOG_ERROR, "%s: cannot read %u bytes at %llu of \"%s\" in data set %s: %s%s",
	       mount->mount_point, in->size, (unsigned long long)in->offset, path,
	       pa_data_set_name(handle->open->view->data_set), err->message,
	       err->class == PA_ERROR_DEADLINE ? " (the read time-out has passed)" : "");
	return err->class == PA_ERROR_CHANGED ? -ESTALE : -EIO;
}

int pa_operation_read(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_read_in *in = request->argument;
	static const struct pa_store_call at_once = {.deadline_ns = 0};
	struct pa_read_account account = {0};
	struct pa_error err = PA_ERROR_INIT;
	struct open_handle handle;
	size_t bytes = 0;

	int result = handle_find(mount, in->fh, &handle);
	if (result != 0)
		return result;
	if (in->size > PA_MOUNT_MAX_IO_BYTES)
		return -EINVAL;
	/* First what is there already; only a read that has to wait counts as waiting. */
	if (!request->may_block) {
		result = pa_file_read(handle.open->file, in->offset, request->reply, in->size, &bytes,
		                      &account, &at_once, &err);
		if (result == -PA_ERROR_DEADLINE)
			return PA_REPLY_WOULD_BLOCK;
	} else {
		pa_view_wait_begin(handle.open->view);
		result = pa_file_read(handle.open->file, in->offset, request->reply, in->size, &bytes,
		                      &account, &request->call, &err);
		pa_view_wait_end(handle.open->view);
	}
	bool failed = result != 0 && err.class != PA_ERROR_CANCELLED;
	pa_view_count_read(handle.open->view, handle.open->access, &account, bytes, failed);
	request->reply_bytes = bytes;
	return result == 0 ? 0 : read_failed(mount, &handle, in, &err);
}

int pa_operation_write(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_write_in *in = request->argument;
	struct fuse_write_out *out = (struct fuse_write_out *)request->reply;
	struct pa_error err = PA_ERROR_INIT;
	struct open_handle handle;

	int result = handle_find(mount, in->fh, &handle);
	if (result != 0)
		return result;
	if (in->size > request->argument_bytes - sizeof(*in))
		return -EINVAL;
	if (pa_file_write(handle.open->file, in->offset, in + 1, in->size, &request->call, &err) != 0)
		return pa_mount_errno(&err);
	pa_view_count_write(handle.open->view, in->size);
	*out = (struct fuse_write_out){.size = in->size};
	request->reply_bytes = sizeof(*out);
	return 0;
}

static int flush_file(struct pa_mount *mount, uint64_t handle_id, bool sync, const struct pa_store_call *call)
{
	struct pa_error err = PA_ERROR_INIT;
	struct open_handle handle;

	int result = handle_find(mount, handle_id, &handle);
	if (result != 0)
		return result;
	if (handle.writes && pa_file_flush(handle.open->file, sync, call, &err) != 0)
		return pa_mount_errno(&err);
	return 0;
}

int pa_operation_flush(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_flush_in *in = request->argument;

	return flush_file(mount, in->fh, false, &request->call);
}

int pa_operation_fsync(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_fsync_in *in = request->argument;

	return flush_file(mount, in->fh, true, &request->call);
}

void pa_handle_close(struct pa_mount *mount, uint64_t handle_id, const struct pa_store_call *call)
{
	struct pa_error err = PA_ERROR_INIT;
	struct open_handle handle;

	if (handle_find(mount, handle_id, &handle) != 0)
		return;
	struct pa_mount_view *view = handle.open->view;
	pa_mode_end(mount, handle.node, handle.open->file, handle.passthrough);
	/* close(2) has had its answer from FLUSH; this is what is left to say. */
	if (pa_file_close(handle.open->file, call, &err) != 0)
		pa_log(PA_LOG_ERROR, "%s: closing a file of data set %s: %s", mount->mount_point,
		       pa_data_set_name(view->data_set), err.message);
	if (handle.writes)
		pa_attributes_invalidate(mount, handle.node, false);
	pthread_mutex_lock(&mount->lock);
	handle.open->file = NULL;
	if (pa_table_handle_free(&mount->table, handle.handle))
		pa_view_node_gone(mount, view->index);
	pthread_mutex_unlock(&mount->lock);
}

int pa_operation_release(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_release_in *in = request->argument;

	pa_handle_close(mount, in->fh, &request->call);
	return 0;
}
