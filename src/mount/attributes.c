/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/mount_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

/* What buffered readers (stdio, Python) take as the size of their buffer: one round trip a buffer. */
#define BLOCK_BYTES  (128u << 10)
#define INODE_BITS   40 /* of a data set's inode; the view is above them, so that views never share a number */
#define MAX_SIBLINGS 64

static uint32_t mode_of(const struct pa_attributes *attributes)
{
	static const uint32_t kinds[] = {
	    [PA_ENTRY_FILE] = S_IFREG,
	    [PA_ENTRY_DIRECTORY] = S_IFDIR,
	    [PA_ENTRY_SYMLINK] = S_IFLNK,
	};
	return kinds[attributes->kind] | (attributes->mode & 07777);
}

uint64_t pa_inode_number(const struct pa_mount_view *view, uint64_t inode)
{
	return ((uint64_t)(view->index + 1) << INODE_BITS) | inode;
}

void pa_attributes_fill(const struct pa_mount_view *view, const struct pa_attributes *attributes,
                        struct fuse_attr *ret)
{
	int64_t seconds = attributes->mtime_ns / PA_NS_PER_SECOND;
	int64_t rest_ns = attributes->mtime_ns % PA_NS_PER_SECOND;

	if (rest_ns < 0) {
		seconds--;
		rest_ns += PA_NS_PER_SECOND;
	}
	*ret = (struct fuse_attr){
	    .ino = pa_inode_number(view, attributes->inode),
	    .size = attributes->size_bytes,
	    .blocks = (attributes->size_bytes + 511) / 512,
	    .atime = (uint64_t)seconds,
	    .mtime = (uint64_t)seconds,
	    .ctime = (uint64_t)seconds,
	    .atimensec = (uint32_t)rest_ns,
	    .mtimensec = (uint32_t)rest_ns,
	    .ctimensec = (uint32_t)rest_ns,
	    .mode = mode_of(attributes),
	    .nlink = attributes->link_count,
	    .uid = attributes->uid,
	    .gid = attributes->gid,
	    .blksize = BLOCK_BYTES,
	};
}

/* Zero while a handle of any view writes the inode: the kernel then asks each time.  Under the table lock. */
static uint32_t valid_seconds(struct pa_mount *mount, const struct pa_mount_view *view, uint32_t node)
{
	const struct pa_table *table = &mount->table;

	for (uint32_t other = pa_table_sibling_first(table, node); other != 0;
	     other = pa_table_sibling_next(table, other))
		if (other != node && table->nodes[other].writers != 0)
			return 0;
	return view->valid_seconds;
}

uint32_t pa_attributes_valid(struct pa_mount *mount, const struct pa_mount_target *target)
{
	pthread_mutex_lock(&mount->lock);
	uint32_t seconds = valid_seconds(mount, target->view, target->node);
	pthread_mutex_unlock(&mount->lock);
	return seconds;
}

int pa_entry_fill(struct pa_mount *mount, struct pa_mount_view *view, const struct pa_attributes *attributes,
                  struct fuse_entry_out *ret)
{
	bool made;

	memset(ret, 0, sizeof(*ret));
	pthread_mutex_lock(&mount->lock);
	uint32_t node = pa_table_node_ref(&mount->table, view->index, attributes->inode, &made);
	if (node != 0) {
		view->nodes += made;
		if (made)
			mount->table.nodes[node].told_version = attributes->generation;
		ret->nodeid = pa_table_node_id(&mount->table, node);
		ret->attr_valid = valid_seconds(mount, view, node);
	}
	pthread_mutex_unlock(&mount->lock);
	if (node == 0)
		return -ENFILE;
	ret->entry_valid = view->valid_seconds;
	pa_attributes_fill(view, attributes, &ret->attr);
	return 0;
}

void pa_mount_forget(struct pa_mount *mount, uint64_t node_id, uint64_t lookups)
{
	pthread_mutex_lock(&mount->lock);
	uint32_t node = pa_table_node_find(&mount->table, node_id);
	uint32_t view = node > PA_ROOT_NODE ? mount->table.nodes[node].view : 0;
	if (node > PA_ROOT_NODE && pa_table_node_forget(&mount->table, node, lookups))
		pa_view_node_gone(mount, view);
	pthread_mutex_unlock(&mount->lock);
}

/* A notice that does not arrive (the kernel has forgotten the node, the mount is gone) was not needed. */
static void notify(struct pa_mount *mount, int32_t code, const void *head, size_t head_bytes,
                   const char *name)
{
	struct fuse_out_header header = {.error = code};
	size_t name_bytes = name != NULL ? strlen(name) + 1 : 0;
	struct iovec parts[] = {{&header, sizeof(header)},
	                        {(void *)(uintptr_t)head, head_bytes},
	                        {(void *)(uintptr_t)name, name_bytes}};

	header.len = (uint32_t)(sizeof(header) + head_bytes + name_bytes);
	if (writev(mount->fuse_fd, parts, name != NULL ? 3 : 2) < 0)
		return;
}

void pa_attributes_invalidate(struct pa_mount *mount, uint32_t node, bool own)
{
	uint64_t node_ids[MAX_SIBLINGS];
	size_t count = 0;

	pthread_mutex_lock(&mount->lock);
	for (uint32_t other = pa_table_sibling_first(&mount->table, node); other != 0 && count < MAX_SIBLINGS;
	     other = pa_table_sibling_next(&mount->table, other))
		if (own || other != node)
			node_ids[count++] = pa_table_node_id(&mount->table, other);
	pthread_mutex_unlock(&mount->lock);
	for (size_t i = 0; i < count; i++) {
		/* A negative offset: the attributes only, which waits for nothing. */
		struct fuse_notify_inval_inode_out notice = {.ino = node_ids[i], .off = -1};
		notify(mount, FUSE_NOTIFY_INVAL_INODE, &notice, sizeof(notice), NULL);
	}
}

void pa_entry_invalidate(struct pa_mount *mount, const char *name)
{
	struct fuse_notify_inval_entry_out notice = {.parent = FUSE_ROOT_ID,
	                                             .namelen = (uint32_t)strlen(name)};

	notify(mount, FUSE_NOTIFY_INVAL_ENTRY, &notice, sizeof(notice), name);
}
