/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of a data set in memory: inodes, names in a hash table, the sums of bytes that folders keep. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache_internal.h"

#define FIRST_BUCKETS 64

static void *must(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

static size_t bucket_of(const struct pa_data_set *data_set, const struct pa_inode *parent, const char *name,
                        size_t length)
{
	uint64_t hash = pa_hash_content(name, length).low ^ (parent->inode * 0x9e3779b97f4a7c15u);

	return (size_t)(hash & (data_set->bucket_count - 1));
}

static void grow_buckets(struct pa_data_set *data_set)
{
	struct pa_inode **old = data_set->buckets;
	size_t old_count = data_set->bucket_count;

	data_set->bucket_count = old_count != 0 ? old_count * 2 : FIRST_BUCKETS;
	data_set->buckets = must(calloc(data_set->bucket_count, sizeof(struct pa_inode *)));
	for (size_t i = 0; i < old_count; i++) {
		while (old[i] != NULL) {
			struct pa_inode *node = old[i];
			old[i] = node->hash_next;
			size_t bucket = bucket_of(data_set, node->parent, node->name, strlen(node->name));
			node->hash_next = data_set->buckets[bucket];
			data_set->buckets[bucket] = node;
		}
	}
	free(old);
}

struct pa_inode *pa_inode_new(struct pa_data_set *data_set, const struct pa_store_entry *entry)
{
	struct pa_inode *node = must(calloc(1, sizeof(*node)));

	if (data_set->next_inode >= data_set->node_capacity) {
		data_set->node_capacity =
		    data_set->node_capacity != 0 ? data_set->node_capacity * 2 : FIRST_BUCKETS;
		data_set->nodes =
		    must(reallocarray(data_set->nodes, data_set->node_capacity, sizeof(struct pa_inode *)));
	}
	node->inode = data_set->next_inode++;
	data_set->nodes[node->inode] = node;
	data_set->node_count++;
	node->kind = entry->kind;
	if (entry->kind == PA_ENTRY_FILE)
		node->total_bytes = entry->size_bytes;
	pa_inode_update(node, entry);
	return node;
}

void pa_inode_update(struct pa_inode *node, const struct pa_store_entry *entry)
{
	node->mode = entry->mode;
	node->uid = entry->uid;
	node->gid = entry->gid;
	node->mtime_ns = entry->mtime_ns;
	node->version = entry->version;
	node->closed = entry->closed;
	if (entry->kind == PA_ENTRY_SYMLINK && entry->link_target != NULL) {
		free(node->link_target);
		node->link_target = must(strdup(entry->link_target));
	}
}

static void add_to_folders(struct pa_inode *folder, int64_t total_bytes, int64_t resident_bytes)
{
	for (; folder != NULL; folder = folder->parent) {
		folder->total_bytes += (uint64_t)total_bytes;
		folder->resident_bytes += (uint64_t)resident_bytes;
	}
}

void pa_inode_attach(struct pa_data_set *data_set, struct pa_inode *parent, const char *name,
                     struct pa_inode *node)
{
	if (data_set->node_count > data_set->bucket_count)
		grow_buckets(data_set);
	if (parent->child_count == parent->child_capacity) {
		parent->child_capacity = parent->child_capacity != 0 ? parent->child_capacity * 2 : 8;
		parent->children =
		    must(reallocarray(parent->children, parent->child_capacity, sizeof(struct pa_child)));
	}
	free(node->name);
	node->name = must(strdup(name));
	node->parent = parent;
	node->cookie = ++data_set->next_cookie;
	parent->children[parent->child_count++] = (struct pa_child){.cookie = node->cookie, .node = node};
	parent->live_children++;
	size_t bucket = bucket_of(data_set, parent, name, strlen(name));
	node->hash_next = data_set->buckets[bucket];
	data_set->buckets[bucket] = node;
	add_to_folders(parent, (int64_t)node->total_bytes, (int64_t)node->resident_bytes);
}

/* Index of the first child whose cookie is greater. */
static size_t child_after(const struct pa_inode *folder, uint64_t cookie)
{
	size_t low = 0;
	size_t high = folder->child_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (folder->children[middle].cookie > cookie)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void compact_children(struct pa_inode *folder)
{
	size_t kept = 0;

	for (size_t i = 0; i < folder->child_count; i++)
		if (folder->children[i].node != NULL)
			folder->children[kept++] = folder->children[i];
	folder->child_count = kept;
}

void pa_inode_unlink(struct pa_data_set *data_set, struct pa_inode *node)
{
	struct pa_inode *parent = node->parent;

	if (parent == NULL)
		return;
	struct pa_inode **place =
	    &data_set->buckets[bucket_of(data_set, parent, node->name, strlen(node->name))];
	while (*place != node)
		place = &(*place)->hash_next;
	*place = node->hash_next;
	node->hash_next = NULL;
	parent->children[child_after(parent, node->cookie) - 1].node = NULL;
	parent->live_children--;
	if (parent->live_children < parent->child_count / 2)
		compact_children(parent);
	add_to_folders(parent, -(int64_t)node->total_bytes, -(int64_t)node->resident_bytes);
	node->parent = NULL;
}

void pa_inode_release(struct pa_data_set *data_set, struct pa_inode *node)
{
	if (!node->removed || node->opens > 0)
		return;
	data_set->nodes[node->inode] = NULL;
	data_set->node_count--;
	if (node->marks != NULL) {
		while (!pa_list_is_empty(&node->marks->pins))
			pa_list_remove(node->marks->pins.next);
		free(node->marks->needs);
		free(node->marks);
	}
	free(node->name);
	free(node->link_target);
	free(node->children);
	free(node);
}

struct pa_inode *pa_inode_by_inode(const struct pa_data_set *data_set, uint64_t inode)
{
	return inode >= PA_INODE_ROOT && inode < data_set->next_inode ? data_set->nodes[inode] : NULL;
}

struct pa_inode *pa_inode_child(const struct pa_data_set *data_set, const struct pa_inode *parent,
                                const char *name, size_t length)
{
	if (data_set->bucket_count == 0)
		return NULL;
	struct pa_inode *node = data_set->buckets[bucket_of(data_set, parent, name, length)];
	while (node != NULL && (node->parent != parent || strncmp(node->name, name, length) != 0 ||
	                        node->name[length] != '\0'))
		node = node->hash_next;
	return node;
}

struct pa_inode *pa_inode_by_path(const struct pa_data_set *data_set, const char *path)
{
	struct pa_inode *node = pa_inode_by_inode(data_set, PA_INODE_ROOT);

	while (*path != '\0' && node != NULL) {
		size_t length = strcspn(path, "/");
		node = pa_inode_child(data_set, node, path, length);
		path += length;
		if (*path == '/')
			path++;
	}
	return node;
}

struct pa_inode *pa_inode_next_child(const struct pa_inode *folder, uint64_t cookie)
{
	for (size_t i = child_after(folder, cookie); i < folder->child_count; i++)
		if (folder->children[i].node != NULL)
			return folder->children[i].node;
	return NULL;
}

struct pa_inode *pa_inode_last_child(struct pa_inode *folder)
{
	while (folder->child_count > 0 && folder->children[folder->child_count - 1].node == NULL)
		folder->child_count--;
	return folder->child_count > 0 ? folder->children[folder->child_count - 1].node : NULL;
}

int pa_inode_path(const struct pa_inode *node, char *out, size_t room)
{
	size_t length = 0;

	for (const struct pa_inode *part = node; part->parent != NULL; part = part->parent)
		length += strlen(part->name) + (part->parent->parent != NULL ? 1 : 0);
	if (length >= room)
		return -ENAMETOOLONG;
	char *end = out + length;
	*end = '\0';
	for (const struct pa_inode *part = node; part->parent != NULL; part = part->parent) {
		size_t part_length = strlen(part->name);
		end -= part_length;
		memcpy(end, part->name, part_length);
		if (part->parent->parent != NULL)
			*--end = '/';
	}
	return (int)length;
}

static int append(char *out, size_t room, size_t length, const char *text)
{
	size_t text_length = strlen(text);
	size_t slash = length > 0 && text_length > 0 ? 1 : 0;

	if (length + slash + text_length >= room)
		return -ENAMETOOLONG;
	if (slash != 0)
		out[length] = '/';
	memcpy(out + length + slash, text, text_length + 1);
	return (int)(length + slash + text_length);
}

int pa_inode_store_path(const struct pa_data_set *data_set, const struct pa_inode *node, const char *name,
                        char *out, size_t room)
{
	char path[PA_PATH_ROOM];
	int length = append(out, room, 0, data_set->root);

	if (length < 0)
		return length;
	int r = pa_inode_path(node, path, sizeof(path));
	if (r < 0)
		return r;
	length = append(out, room, (size_t)length, path);
	if (length >= 0 && name != NULL)
		length = append(out, room, (size_t)length, name);
	return length;
}

void pa_inode_set_size(struct pa_inode *node, uint64_t size_bytes)
{
	add_to_folders(node->parent, (int64_t)(size_bytes - node->total_bytes), 0);
	node->total_bytes = size_bytes;
}

void pa_inode_add_resident(struct pa_inode *node, int64_t bytes)
{
	add_to_folders(node, 0, bytes); /* its own count first */
}

void pa_inode_attributes(const struct pa_inode *node, struct pa_attributes *ret)
{
	*ret = (struct pa_attributes){
	    .inode = node->inode,
	    .kind = node->kind,
	    .mode = node->mode,
	    .uid = node->uid,
	    .gid = node->gid,
	    .link_count = node->removed                      ? 0
	                  : node->kind == PA_ENTRY_DIRECTORY ? 2
	                                                     : 1,
	    .size_bytes = node->kind == PA_ENTRY_FILE      ? node->total_bytes
	                  : node->kind == PA_ENTRY_SYMLINK ? strlen(node->link_target)
	                                                   : 0,
	    .mtime_ns = node->mtime_ns,
	    .generation = node->generation,
	};
}

struct pa_marks *pa_inode_marks(struct pa_inode *node)
{
	if (node->marks == NULL) {
		node->marks = must(calloc(1, sizeof(*node->marks)));
		pa_list_init(&node->marks->pins);
	}
	return node->marks;
}

void pa_inode_drop_marks(struct pa_inode *node)
{
	struct pa_marks *marks = node->marks;

	if (marks == NULL || marks->need_count > 0 || !pa_list_is_empty(&marks->pins))
		return;
	free(marks->needs);
	free(marks);
	node->marks = NULL;
}
