/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on names and attributes. */
#include "mount/mount_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"

/* df has to show something: the source's space is not known, and installers must not take it for full. */
#define STATFS_BLOCK_BYTES 4096u
#define STATFS_BLOCKS      (1ULL << 38)
#define STATFS_FILES       (1ULL << 31)
#define ROOT_VALID_SECONDS 1

/* The NUL-terminated string at *at, which moves behind it; NULL when none ends within the request. */
static const char *take_name(const struct pa_mount_request *request, size_t *at)
{
	const char *name = (const char *)request->argument + *at;
	size_t room = request->argument_bytes - *at;
	size_t length = strnlen(name, room);

	if (length == room)
		return NULL;
	*at += length + 1;
	return name;
}

/* The folder of a request that changes names in it, held; or what to answer. */
static int target_to_change(struct pa_mount *mount, uint64_t node_id, struct pa_mount_target *ret)
{
	int result = pa_target_get(mount, node_id, ret);

	if (result != 0)
		return result;
	if (ret->view == NULL)
		return -EPERM; /* the root holds views, and only those */
	if (ret->view->read_only) {
		pa_target_put(mount, ret);
		return -EROFS;
	}
	return 0;
}

static int reply_entry(struct pa_mount *mount, struct pa_mount_request *request, struct pa_mount_view *view,
                       const struct pa_attributes *attributes)
{
	request->reply_bytes = sizeof(struct fuse_entry_out);
	return pa_entry_fill(mount, view, attributes, (struct fuse_entry_out *)request->reply);
}

static int lookup_view(struct pa_mount *mount, struct pa_mount_request *request, const char *name)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;

	struct pa_mount_view *view = pa_view_find(mount, name);
	if (view == NULL)
		return -ENOENT;
	struct pa_mount_target target = {.view = view};
	int result = pa_tree_attributes(view->data_set, view->root_inode, &attributes, &err);
	result = result != 0 ? pa_mount_errno(&err) : reply_entry(mount, request, view, &attributes);
	pa_target_put(mount, &target);
	return result;
}

int pa_operation_lookup(struct pa_mount *mount, struct pa_mount_request *request)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	struct pa_mount_target target;
	size_t at = 0;

	const char *name = take_name(request, &at);
	if (name == NULL)
		return -EINVAL;
	int result = pa_target_get(mount, request->header->nodeid, &target);
	if (result != 0)
		return result;
	if (target.view == NULL)
		return lookup_view(mount, request, name);
	result = pa_tree_lookup(target.view->data_set, target.inode, name, &attributes, &err);
	result = result != 0 ? pa_mount_errno(&err) : reply_entry(mount, request, target.view, &attributes);
	pa_target_put(mount, &target);
	return result;
}

int pa_operation_forget(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_forget_in *in = request->argument;

	pa_mount_forget(mount, request->header->nodeid, in->nlookup);
	return PA_REPLY_NONE;
}

int pa_operation_batch_forget(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_batch_forget_in *in = request->argument;
	const struct fuse_forget_one *one = (const void *)(in + 1);
	size_t count = (request->argument_bytes - sizeof(*in)) / sizeof(*one);

	if (count > in->count)
		count = in->count;
	for (size_t i = 0; i < count; i++)
		pa_mount_forget(mount, one[i].nodeid, one[i].nlookup);
	return PA_REPLY_NONE;
}

static int reply_root_attributes(struct pa_mount_request *request)
{
	struct fuse_attr_out *out = (struct fuse_attr_out *)request->reply;

	*out = (struct fuse_attr_out){
	    .attr_valid = ROOT_VALID_SECONDS,
	    .attr = {.ino = FUSE_ROOT_ID, .mode = S_IFDIR | 0555, .nlink = 2, .blksize = STATFS_BLOCK_BYTES},
	};
	request->reply_bytes = sizeof(*out);
	return 0;
}

static int reply_attributes(struct pa_mount *mount, struct pa_mount_request *request,
                            const struct pa_mount_target *target, const struct pa_attributes *attributes)
{
	struct fuse_attr_out *out = (struct fuse_attr_out *)request->reply;

	*out = (struct fuse_attr_out){.attr_valid = pa_attributes_valid(mount, target)};
	pa_attributes_fill(target->view, attributes, &out->attr);
	request->reply_bytes = sizeof(*out);
	return 0;
}

int pa_operation_getattr(struct pa_mount *mount, struct pa_mount_request *request)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	struct pa_mount_target target;

	int result = pa_target_get(mount, request->header->nodeid, &target);
	if (result != 0)
		return result;
	if (target.view == NULL)
		return reply_root_attributes(request);
	result = pa_tree_attributes(target.view->data_set, target.inode, &attributes, &err);
	result = result != 0 ? pa_mount_errno(&err) : reply_attributes(mount, request, &target, &attributes);
	pa_target_put(mount, &target);
	return result;
}

static int64_t wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * PA_NS_PER_SECOND + now.tv_nsec;
}

static struct pa_store_attributes wanted_attributes(const struct fuse_setattr_in *in)
{
	struct pa_store_attributes wanted = {
	    .set_mode = (in->valid & FATTR_MODE) != 0,
	    .set_size = (in->valid & FATTR_SIZE) != 0,
	    .set_mtime = (in->valid & (FATTR_MTIME | FATTR_MTIME_NOW)) != 0,
	    .mode = in->mode & 07777,
	    .size_bytes = in->size,
	};
	if (wanted.set_mtime)
		wanted.mtime_ns = (in->valid & FATTR_MTIME_NOW) != 0
		                      ? wall_ns()
		                      : (int64_t)in->mtime * PA_NS_PER_SECOND + in->mtimensec;
	return wanted;
}

/* A store keeps no owners: setting the one that is there succeeds, as tar and cp -a expect. */
static bool changes_owner(const struct fuse_setattr_in *in, const struct pa_attributes *now)
{
	return ((in->valid & FATTR_UID) != 0 && in->uid != now->uid) ||
	       ((in->valid & FATTR_GID) != 0 && in->gid != now->gid);
}

int pa_operation_setattr(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_setattr_in *in = request->argument;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	struct pa_mount_target target;

	int result = target_to_change(mount, request->header->nodeid, &target);
	if (result != 0)
		return result;
	struct pa_store_attributes wanted = wanted_attributes(in);
	if (pa_tree_attributes(target.view->data_set, target.inode, &attributes, &err) != 0)
		result = pa_mount_errno(&err);
	else if (changes_owner(in, &attributes))
		result = -EPERM;
	else if ((wanted.set_mode || wanted.set_size || wanted.set_mtime) &&
	         pa_tree_set_attributes(target.view->data_set, target.inode, &wanted, &attributes,
	                                &request->call, &err) != 0)
		result = pa_mount_errno(&err);
	if (result == 0) {
		pa_attributes_invalidate(mount, target.node, false);
		result = reply_attributes(mount, request, &target, &attributes);
	}
	pa_target_put(mount, &target);
	return result;
}

int pa_operation_readlink(struct pa_mount *mount, struct pa_mount_request *request)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_mount_target target;

	int result = pa_target_get(mount, request->header->nodeid, &target);
	if (result != 0)
		return result;
	if (target.view == NULL)
		return -EINVAL;
	/* The kernel takes up to a page. */
	if (pa_tree_read_link(target.view->data_set, target.inode, request->reply, 4096, &err) != 0)
		result = pa_mount_errno(&err);
	else
		request->reply_bytes = strlen(request->reply);
	pa_target_put(mount, &target);
	return result;
}

int pa_operation_symlink(struct pa_mount *mount, struct pa_mount_request *request)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	struct pa_mount_target target;
	size_t at = 0;

	const char *name = take_name(request, &at);
	const char *link_target = name != NULL ? take_name(request, &at) : NULL;
	if (link_target == NULL)
		return -EINVAL;
	int result = target_to_change(mount, request->header->nodeid, &target);
	if (result != 0)
		return result;
	if (pa_tree_make_symlink(target.view->data_set, target.inode, name, link_target, &attributes,
	                         &request->call, &err) != 0)
		result = pa_mount_errno(&err);
	else
		result = reply_entry(mount, request, target.view, &attributes);
	pa_target_put(mount, &target);
	return result;
}

int pa_operation_mknod(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_mknod_in *in = request->argument;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	struct pa_mount_target target;
	struct pa_file *file;
	size_t at = sizeof(*in);

	const char *name = take_name(request, &at);
	if (name == NULL)
		return -EINVAL;
	if (!S_ISREG(in->mode))
		return -EPERM;
	int result = target_to_change(mount, request->header->nodeid, &target);
	if (result != 0)
		return result;
	if (pa_file_create(target.view->data_set, target.inode, name, PA_FILE_WRITE | PA_FILE_EXCLUSIVE,
	                   in->mode & 07777, &file, &attributes, &request->call, &err) != 0 ||
	    pa_file_close(file, &request->call, &err) != 0)
		result = pa_mount_errno(&err);
	else
		result = reply_entry(mount, request, target.view, &attributes);
	pa_target_put(mount, &target);
	return result;
}

int pa_operation_mkdir(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_mkdir_in *in = request->argument;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	struct pa_mount_target target;
	size_t at = sizeof(*in);

	const char *name = take_name(request, &at);
	if (name == NULL)
		return -EINVAL;
	int result = target_to_change(mount, request->header->nodeid, &target);
	if (result != 0)
		return result;
	if (pa_tree_make_directory(target.view->data_set, target.inode, name, in->mode & 07777, &attributes,
	                           &request->call, &err) != 0)
		result = pa_mount_errno(&err);
	else
		result = reply_entry(mount, request, target.view, &attributes);
	pa_target_put(mount, &target);
	return result;
}

static int remove_name(struct pa_mount *mount, struct pa_mount_request *request, bool directory)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_mount_target target;
	size_t at = 0;

	const char *name = take_name(request, &at);
	if (name == NULL)
		return -EINVAL;
	int result = target_to_change(mount, request->header->nodeid, &target);
	if (result != 0)
		return result;
	if (pa_tree_remove(target.view->data_set, target.inode, name, directory, &request->call, &err) != 0)
		result = pa_mount_errno(&err);
	pa_target_put(mount, &target);
	return result;
}

int pa_operation_unlink(struct pa_mount *mount, struct pa_mount_request *request)
{
	return remove_name(mount, request, false);
}

int pa_operation_rmdir(struct pa_mount *mount, struct pa_mount_request *request)
{
	return remove_name(mount, request, true);
}

static int rename_name(struct pa_mount *mount, struct pa_mount_request *request, size_t at,
                       uint64_t new_folder, bool no_replace)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_mount_target from, to;

	const char *name = take_name(request, &at);
	const char *new_name = name != NULL ? take_name(request, &at) : NULL;
	if (new_name == NULL)
		return -EINVAL;
	int result = target_to_change(mount, request->header->nodeid, &from);
	if (result != 0)
		return result;
	result = target_to_change(mount, new_folder, &to);
	if (result == 0 && from.view != to.view) {
		result = -EXDEV;
		pa_target_put(mount, &to);
	} else if (result == 0) {
		if (pa_tree_rename(from.view->data_set, from.inode, name, to.inode, new_name, no_replace,
		                   &request->call, &err) != 0)
			result = pa_mount_errno(&err);
		pa_target_put(mount, &to);
	}
	pa_target_put(mount, &from);
	return result;
}

int pa_operation_rename(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_rename_in *in = request->argument;

	return rename_name(mount, request, sizeof(*in), in->newdir, false);
}

int pa_operation_rename2(struct pa_mount *mount, struct pa_mount_request *request)
{
	const struct fuse_rename2_in *in = request->argument;

	if ((in->flags & ~1u) != 0) /* RENAME_NOREPLACE is 1; no store can exchange names */
		return -EINVAL;
	return rename_name(mount, request, sizeof(*in), in->newdir, in->flags != 0);
}

int pa_operation_link(struct pa_mount *mount, struct pa_mount_request *request)
{
	(void)mount;
	(void)request;
	return -EPERM;
}

int pa_operation_statfs(struct pa_mount *mount, struct pa_mount_request *request)
{
	struct fuse_statfs_out *out = (struct fuse_statfs_out *)request->reply;

	(void)mount;
	*out = (struct fuse_statfs_out){
	    .st = {.blocks = STATFS_BLOCKS,
	           .bfree = STATFS_BLOCKS,
	           .bavail = STATFS_BLOCKS,
	           .files = STATFS_FILES,
	           .ffree = STATFS_FILES,
	           .bsize = STATFS_BLOCK_BYTES,
	           .namelen = 255,
	           .frsize = STATFS_BLOCK_BYTES},
	};
	request->reply_bytes = sizeof(*out);
	return 0;
}
