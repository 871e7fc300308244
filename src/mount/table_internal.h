/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a mount: nodes, handles and views as records of plain indices in one shared memory region (a memfd),
 * with nothing in them that means something to one process only.
 *
 * A node is a (view, inode of the data set) that the kernel knows; its id is generation << 32 | index, so an
 * id that was forgotten never comes to mean another file.  A handle is an open file, with an id of the same form.
 * Index 0 is never given out; node 1 is the mount's root.
 *
 * Ownership: one mount.  Threads: none by itself, every call is made under the mount's table lock, except that a
 * record's mode fields (below) belong to its mode lock.  Blocking: never.
 * Limits: PA_TABLE_NODES, PA_TABLE_HANDLES, PA_MOUNT_MAX_VIEWS; memory is taken as records come into use.
 */
#ifndef PA_MOUNT_TABLE_INTERNAL_H
#define PA_MOUNT_TABLE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define PA_TABLE_NODES      (1u << 24)
#define PA_TABLE_HANDLES    (1u << 20)
#define PA_TABLE_BUCKETS    (1u << 20)
#define PA_TABLE_NAME_BYTES 256
#define PA_TABLE_NO_VIEW    UINT32_MAX

enum pa_node_flag {
	PA_NODE_LIVE = 1 << 0,
	/* Its name leads to another node from now on; open handles live on (see mode.c). */
	PA_NODE_RETIRED = 1 << 1,
};

struct pa_node_record {
	uint64_t inode;
	uint64_t lookups;       /* references that the kernel holds */
	uint64_t told_version;  /* the content's generation at the last open */
	uint64_t backing_inode; /* mode lock: of the tmpfs file behind backing_id */
	uint32_t generation;
	uint32_t flags;
	uint32_t view;
	uint32_t next; /* in its bucket, or in the list of free records */
	uint32_t handles;
	uint32_t writers;
	uint32_t passthrough_opens; /* mode lock */
	uint32_t direct_opens;      /* mode lock */
	int32_t backing_id;         /* mode lock */
	uint32_t unused;
};

enum pa_handle_flag {
	PA_HANDLE_LIVE = 1 << 0,
	PA_HANDLE_PASSTHROUGH = 1 << 1,
	PA_HANDLE_WRITE = 1 << 2,
};

struct pa_handle_record {
	uint32_t node;
	uint32_t generation;
	uint32_t flags;
	uint32_t next;
};

struct pa_view_record {
	uint64_t root_inode;
	uint64_t data_set_mark; /* the same for views of one data set */
	uint32_t flags;         /* 0: free */
	uint32_t reserved;
	char name[PA_TABLE_NAME_BYTES];
};

struct pa_table {
	int fd;
	size_t bytes;
	struct pa_table_header *header;
	struct pa_node_record *nodes;
	struct pa_handle_record *handles;
	struct pa_view_record *views;
	uint32_t *buckets;
};

int pa_table_new(struct pa_table *ret, struct pa_error *err);
void pa_table_free(struct pa_table *table);

uint64_t pa_table_node_id(const struct pa_table *table, uint32_t node);
/* The index of a node id, or 0. */
uint32_t pa_table_node_find(const struct pa_table *table, uint64_t node_id);
/* The node of an inode in a view, made if needed, with one more kernel reference; 0 when the table is full.
 * `ret_made` says that it is new. */
uint32_t pa_table_node_ref(struct pa_table *table, uint32_t view, uint64_t inode, bool *ret_made);
/* Takes kernel references away. True: the node is gone. */
bool pa_table_node_forget(struct pa_table *table, uint32_t node, uint64_t lookups);
/* The nodes of all views on the same inode of the same data set: `node` itself, then by pa_table_sibling_next().
 * 0 ends. */
uint32_t pa_table_sibling_first(const struct pa_table *table, uint32_t node);
uint32_t pa_table_sibling_next(const struct pa_table *table, uint32_t node);

/* A handle on a node; 0 when the table is full. */
uint64_t pa_table_handle_new(struct pa_table *table, uint32_t node, uint32_t flags);
/* The index of a handle id, or 0. */
uint32_t pa_table_handle_find(const struct pa_table *table, uint64_t handle_id);
uint64_t pa_table_handle_id(const struct pa_table *table, uint32_t handle);
/* True: the node went with it (the kernel had forgotten it before). */
bool pa_table_handle_free(struct pa_table *table, uint32_t handle);
/* One past the highest handle index ever used. */
uint32_t pa_table_handle_end(const struct pa_table *table);

#endif
