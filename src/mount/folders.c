/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on folders.  A cookie of the tree is an offset of the kernel plus FIRST_COOKIE: "." and ".." come first. */
#include "mount/mount_internal.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define FIRST_COOKIE 2

struct listing {
	const struct pa_mount_view *view;
	char *out;
	size_t bytes;
	size_t room;
	bool plus;
};

/* Appends an entry; false when it has no room.  With an inode a READDIRPLUS entry is left for add_nodes(). */
static bool add_entry(struct listing *listing, const char *name, uint64_t offset, uint64_t number,
                      uint32_t type, uint64_t inode)
{
	size_t head = listing->plus ? sizeof(struct fuse_entry_out) : 0;
	size_t length = strlen(name);
	size_t bytes = FUSE_DIRENT_ALIGN(head + FUSE_NAME_OFFSET + length);

	if (bytes > listing->room - listing->bytes)
		return false;
	char *at = listing->out + listing->bytes;
	memset(at, 0, bytes);
	if (listing->plus)
		((struct fuse_entry_out *)at)->attr.ino = inode;
	struct fuse_dirent *entry = (struct fuse_dirent *)(at + head);
	entry->ino = number;
	entry->off = offset;
	entry->namelen = (uint32_t)length;
	entry->type = type;
	memcpy(entry->name, name, length);
	listing->bytes += bytes;
	return true;
}

static bool add_dots(struct listing *listing, uint64_t offset)
{
	return (offset >= 1 || add_entry(listing, ".", 1, FUSE_ROOT_ID, DT_DIR, 0)) &&
	       (offset >= 2 || add_entry(listing, "..", 2, FUSE_ROOT_ID, DT_DIR, 0));
}

static bool add_tree_entry(void *context, const char *name, uint64_t cookie,
                           const struct pa_attributes *attributes)
{
	static const uint32_t types[] = {
	    [PA_ENTRY_FILE] = DT_REG,
	    [PA_ENTRY_DIRECTORY] = DT_DIR,
	    [PA_ENTRY_SYMLINK] = DT_LNK,
	};
	struct listing *listing = context;

	return add_entry(listing, name, cookie + FIRST_COOKIE,
	                 pa_inode_number(listing->view, attributes->inode), types[attributes->kind],
	                 attributes->inode);
}

/* Gives the entries of a READDIRPLUS their nodes and attributes.  Not in the callback: that runs under the tree's lock.
 * An entry that is gone meanwhile stays without a node, and is looked up when somebody wants it. */
static void add_nodes(struct pa_mount *mount, const struct pa_mount_target *target, struct listing *listing)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	size_t at = 0;

	while (at < listing->bytes) {
		struct fuse_direntplus *entry = (struct fuse_direntplus *)(listing->out + at);
		uint64_t inode = entry->entry_out.attr.ino;
		if (inode != 0 &&
		    (pa_tree_attributes(target->view->data_set, inode, &attributes, &err) != 0 ||
		     pa_entry_fill(mount, target->view, &attributes, &entry->entry_out) != 0))
			memset(&entry->entry_out, 0, sizeof(entry->entry_out));
		at += FUSE_DIRENTPLUS_SIZE(entry);
	}
}

static void list_root(struct pa_mount *mount, struct listing *listing, uint64_t offset)
{
	uint64_t index = offset > FIRST_COOKIE ? offset - FIRST_COOKIE : 0;

	pthread_mutex_lock(&mount->lock);
	for (; index < mount->view_end; index++)
		if (mount->views[index] != NULL && !mount->views[index]->removed &&
		    !add_entry(listing, mount->table.views[index].name, index + 1 + FIRST_COOKIE,
		               pa_inode_number(mount->views[index], mount->views[index]->root_inode),
		               DT_UNKNOWN, 0))
			break;
	pthread_mutex_unlock(&mount->lock);
}

static int read_folder(struct pa_mount *mount, struct pa_mount_request *request, bool plus)
{
	const struct fuse_read_in *in = request->argument;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_mount_target target;

	int result = pa_target_get(mount, request->header->nodeid, &target);
	if (result != 0)
		return result;
	struct listing listing = {
	    .view = target.view,
	    .out = request->reply,
	    .room = in->size < PA_MOUNT_MAX_IO_BYTES ? in->size : PA_MOUNT_MAX_IO_BYTES,
	    .plus = plus,
	};
	if (add_dots(&listing, in->offset)) {
		if (target.view == NULL)
			list_root(mount, &listing, in->offset);
		else if (pa_tree_list(target.view->data_set, target.inode,
		                      in->offset > FIRST_COOKIE ? in->offset - FIRST_COOKIE : 0,
		                      add_tree_entry, &listing, &err) != 0)
			result = pa_mount_errno(&err);
	}
	if (result == 0 && plus && target.view != NULL)
		add_nodes(mount, &target, &listing);
	pa_target_put(mount, &target);
	request->reply_bytes = listing.bytes;
	return result;
}

int pa_operation_opendir(struct pa_mount *mount, struct pa_mount_request *request)
{
	(void)mount;
	memset(request->reply, 0, sizeof(struct pa_fuse_open_out));
	request->reply_bytes = sizeof(struct pa_fuse_open_out);
	return 0;
}

int pa_operation_readdir(struct pa_mount *mount, struct pa_mount_request *request)
{
	return read_folder(mount, request, false);
}

int pa_operation_readdirplus(struct pa_mount *mount, struct pa_mount_request *request)
{
	return read_folder(mount, request, true);
}
