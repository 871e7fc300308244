/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/table_internal.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mount/mount.h"

#define TABLE_MAGIC   0x31306c6261746170ULL /* "patabl01" */
#define TABLE_VERSION 1
#define TABLE_ALIGN   4096u

struct pa_table_header {
	uint64_t magic;
	uint32_t version;
	uint32_t node_free; /* head of the list; 0: none */
	uint32_t node_end;  /* one past the highest index ever used */
	uint32_t handle_free;
	uint32_t handle_end;
	uint32_t node_capacity;
	uint32_t handle_capacity;
	uint32_t view_capacity;
};

static size_t aligned(size_t bytes)
{
	return (bytes + TABLE_ALIGN - 1) / TABLE_ALIGN * TABLE_ALIGN;
}

int pa_table_new(struct pa_table *ret, struct pa_error *err)
{
	size_t nodes_at = aligned(sizeof(struct pa_table_header));
	size_t handles_at = nodes_at + aligned(sizeof(struct pa_node_record) * PA_TABLE_NODES);
	size_t views_at = handles_at + aligned(sizeof(struct pa_handle_record) * PA_TABLE_HANDLES);
	size_t buckets_at = views_at + aligned(sizeof(struct pa_view_record) * PA_MOUNT_MAX_VIEWS);
	size_t bytes = buckets_at + sizeof(uint32_t) * PA_TABLE_BUCKETS;

	int fd = memfd_create("pipeahead-mount", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0) {
		int cause = errno;
		if (fd >= 0)
			close(fd);
		return pa_error_set_errno(err, cause, "mount: cannot make the table region of %zu bytes",
		                          bytes);
	}
	char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED) {
		int cause = errno;
		close(fd);
		return pa_error_set_errno(err, cause, "mount: cannot map the table region of %zu bytes",
		                          bytes);
	}
	ret->fd = fd;
	ret->bytes = bytes;
	ret->header = (struct pa_table_header *)base;
	ret->nodes = (struct pa_node_record *)(base + nodes_at);
	ret->handles = (struct pa_handle_record *)(base + handles_at);
	ret->views = (struct pa_view_record *)(base + views_at);
	ret->buckets = (uint32_t *)(base + buckets_at);
	*ret->header = (struct pa_table_header){
	    .magic = TABLE_MAGIC,
	    .version = TABLE_VERSION,
	    .node_end = 2, /* 0 is "none", 1 the root */
	    .handle_end = 1,
	    .node_capacity = PA_TABLE_NODES,
	    .handle_capacity = PA_TABLE_HANDLES,
	    .view_capacity = PA_MOUNT_MAX_VIEWS,
	};
	ret->nodes[1].flags = PA_NODE_LIVE;
	ret->nodes[1].view = PA_TABLE_NO_VIEW;
	return 0;
}

void pa_table_free(struct pa_table *table)
{
	munmap(table->header, table->bytes);
	close(table->fd);
}

uint64_t pa_table_node_id(const struct pa_table *table, uint32_t node)
{
	return (uint64_t)table->nodes[node].generation << 32 | node;
}

uint32_t pa_table_node_find(const struct pa_table *table, uint64_t node_id)
{
	uint32_t node = (uint32_t)node_id;

	if (node == 0 || node >= table->header->node_end)
		return 0;
	const struct pa_node_record *record = &table->nodes[node];
	return (record->flags & PA_NODE_LIVE) != 0 && record->generation == node_id >> 32 ? node : 0;
}

static uint32_t *bucket_of(const struct pa_table *table, uint64_t data_set_mark, uint64_t inode)
{
	uint64_t mixed = (data_set_mark ^ inode) * 0x9e3779b97f4a7c15ULL;

	return &table->buckets[(mixed >> 32) % PA_TABLE_BUCKETS];
}

static uint64_t mark_of(const struct pa_table *table, uint32_t node)
{
	return table->views[table->nodes[node].view].data_set_mark;
}

static uint32_t node_take(struct pa_table *table)
{
	struct pa_table_header *header = table->header;
	uint32_t node = header->node_free;

	if (node != 0)
		header->node_free = table->nodes[node].next;
	else if (header->node_end < PA_TABLE_NODES)
		node = header->node_end++;
	return node;
}

uint32_t pa_table_node_ref(struct pa_table *table, uint32_t view, uint64_t inode, bool *ret_made)
{
	uint32_t *bucket = bucket_of(table, table->views[view].data_set_mark, inode);

	*ret_made = false;
	for (uint32_t node = *bucket; node != 0; node = table->nodes[node].next) {
		struct pa_node_record *record = &table->nodes[node];
		if (record->view == view && record->inode == inode &&
		    (record->flags & PA_NODE_RETIRED) == 0) {
			record->lookups++;
			return node;
		}
	}
	uint32_t node = node_take(table);
	if (node == 0)
		return 0;
	struct pa_node_record *record = &table->nodes[node];
	*record = (struct pa_node_record){
	    .inode = inode,
	    .lookups = 1,
	    .generation = record->generation + 1,
	    .flags = PA_NODE_LIVE,
	    .view = view,
	    .next = *bucket,
	};
	*bucket = node;
	*ret_made = true;
	return node;
}

static void node_release(struct pa_table *table, uint32_t node)
{
	struct pa_node_record *record = &table->nodes[node];
	uint32_t *link = bucket_of(table, mark_of(table, node), record->inode);

	while (*link != node)
		link = &table->nodes[*link].next;
	*link = record->next;
	record->flags = 0;
	record->next = table->header->node_free;
	table->header->node_free = node;
}

bool pa_table_node_forget(struct pa_table *table, uint32_t node, uint64_t lookups)
{
	struct pa_node_record *record = &table->nodes[node];

	record->lookups -= lookups < record->lookups ? lookups : record->lookups;
	if (node == 1 || record->lookups != 0 || record->handles != 0)
		return false;
	node_release(table, node);
	return true;
}

static uint32_t sibling_from(const struct pa_table *table, uint32_t node, uint64_t mark, uint64_t inode)
{
	while (node != 0 && (table->nodes[node].inode != inode || mark_of(table, node) != mark))
		node = table->nodes[node].next;
	return node;
}

uint32_t pa_table_sibling_first(const struct pa_table *table, uint32_t node)
{
	uint64_t mark = mark_of(table, node);
	uint64_t inode = table->nodes[node].inode;

	return sibling_from(table, *bucket_of(table, mark, inode), mark, inode);
}

uint32_t pa_table_sibling_next(const struct pa_table *table, uint32_t node)
{
	return sibling_from(table, table->nodes[node].next, mark_of(table, node), table->nodes[node].inode);
}

uint64_t pa_table_handle_new(struct pa_table *table, uint32_t node, uint32_t flags)
{
	struct pa_table_header *header = table->header;
	uint32_t handle = header->handle_free;

	if (handle != 0)
		header->handle_free = table->handles[handle].next;
	else if (header->handle_end < PA_TABLE_HANDLES)
		handle = header->handle_end++;
	else
		return 0;
	struct pa_handle_record *record = &table->handles[handle];
	record->node = node;
	record->generation++;
	record->flags = PA_HANDLE_LIVE | flags;
	table->nodes[node].handles++;
	if ((flags & PA_HANDLE_WRITE) != 0)
		table->nodes[node].writers++;
	return (uint64_t)record->generation << 32 | handle;
}

uint32_t pa_table_handle_find(const struct pa_table *table, uint64_t handle_id)
{
	uint32_t handle = (uint32_t)handle_id;

	if (handle == 0 || handle >= table->header->handle_end)
		return 0;
	const struct pa_handle_record *record = &table->handles[handle];
	return (record->flags & PA_HANDLE_LIVE) != 0 && record->generation == handle_id >> 32 ? handle : 0;
}

uint64_t pa_table_handle_id(const struct pa_table *table, uint32_t handle)
{
	return (uint64_t)table->handles[handle].generation << 32 | handle;
}

bool pa_table_handle_free(struct pa_table *table, uint32_t handle)
{
	struct pa_handle_record *record = &table->handles[handle];
	uint32_t node = record->node;

	table->nodes[node].handles--;
	if ((record->flags & PA_HANDLE_WRITE) != 0)
		table->nodes[node].writers--;
	record->flags = 0;
	record->next = table->header->handle_free;
	table->header->handle_free = handle;
	return pa_table_node_forget(table, node, 0);
}

uint32_t pa_table_handle_end(const struct pa_table *table)
{
	return table->header->handle_end;
}
