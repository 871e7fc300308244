/* SPDX-License-Identifier: Apache-2.0 */
/* The live tree of a data set, as a file system needs it: inodes, names, attributes, open files.
 * mount/ and gateway/ serve from this; nothing else should need it.
 *
 * Inode numbers are given once and never used again within a data set; PA_INODE_ROOT is the root folder (or the
 * single file).  An inode that was removed stays readable for handles that are open.
 * Errors carry the errno that a file system answers in pa_error_to_errno().
 */
#ifndef PA_CACHE_TREE_H
#define PA_CACHE_TREE_H

#include <sys/types.h>

#include "cache/cache.h"

#define PA_INODE_ROOT 1

struct pa_attributes {
	uint64_t inode;
	enum pa_entry_kind kind;
	uint32_t mode; /* permission bits */
	uint32_t uid, gid;
	uint32_t link_count;
	uint64_t size_bytes;
	int64_t mtime_ns;
	uint64_t generation; /* counts changes of content: a reader may keep pages while it stays */
};

int pa_tree_lookup(struct pa_data_set *data_set, uint64_t parent, const char *name, struct pa_attributes *ret,
                   struct pa_error *err);
int pa_tree_attributes(struct pa_data_set *data_set, uint64_t inode, struct pa_attributes *ret,
                       struct pa_error *err);
/* "a/b/c" of an inode, for messages and profiles; "" for the root or one that is gone. */
void pa_tree_path(struct pa_data_set *data_set, uint64_t inode, char *out, size_t room);
int pa_tree_read_link(struct pa_data_set *data_set, uint64_t inode, char *out, size_t room,
                      struct pa_error *err);
/* Calls `each` for the entries of a folder in an order that is stable under changes, beginning after `cookie` (0:
 * start; an entry's cookie is > 0), until it returns false.  "." and ".." are the caller's. The callback runs under a
 * lock: it only copies. */
typedef bool (*pa_tree_entry_fn)(void *context, const char *name, uint64_t cookie,
                                 const struct pa_attributes *attributes);
int pa_tree_list(struct pa_data_set *data_set, uint64_t inode, uint64_t cookie, pa_tree_entry_fn each,
                 void *context, struct pa_error *err);

/* Changes: the source first, then the tree. */
int pa_tree_make_directory(struct pa_data_set *data_set, uint64_t parent, const char *name, uint32_t mode,
                           struct pa_attributes *ret, const struct pa_store_call *call, struct pa_error *err);
int pa_tree_make_symlink(struct pa_data_set *data_set, uint64_t parent, const char *name, const char *target,
                         struct pa_attributes *ret, const struct pa_store_call *call, struct pa_error *err);
int pa_tree_remove(struct pa_data_set *data_set, uint64_t parent, const char *name, bool directory,
                   const struct pa_store_call *call, struct pa_error *err);
int pa_tree_rename(struct pa_data_set *data_set, uint64_t parent, const char *name, uint64_t new_parent,
                   const char *new_name, bool no_replace, const struct pa_store_call *call,
                   struct pa_error *err);
int pa_tree_set_attributes(struct pa_data_set *data_set, uint64_t inode,
                           const struct pa_store_attributes *attributes, struct pa_attributes *ret,
                           const struct pa_store_call *call, struct pa_error *err);

/* An open file. */
struct pa_file;

enum pa_file_flag {
	PA_FILE_READ = 1 << 0,
	PA_FILE_WRITE = 1 << 1,
	PA_FILE_APPEND = 1 << 2,
	PA_FILE_TRUNCATE = 1 << 3,
	PA_FILE_EXCLUSIVE = 1 << 4, /* pa_file_create: fails if it exists */
};

int pa_file_open(struct pa_data_set *data_set, uint64_t inode, unsigned flags, struct pa_file **ret,
                 const struct pa_store_call *call, struct pa_error *err);
int pa_file_create(struct pa_data_set *data_set, uint64_t parent, const char *name, unsigned flags,
                   uint32_t mode, struct pa_file **ret, struct pa_attributes *ret_attributes,
                   const struct pa_store_call *call, struct pa_error *err);
/* Always releases; an error says that the source may not have all that was written. */
int pa_file_close(struct pa_file *file, const struct pa_store_call *call, struct pa_error *err);
/* What close(2) waits for (FUSE FLUSH), and fsync: returns when the source has what was written. */
int pa_file_flush(struct pa_file *file, bool sync, const struct pa_store_call *call, struct pa_error *err);

/* What one read did, for the account of its task. */
struct pa_read_account {
	uint64_t memory_bytes; /* were there when asked for */
	uint64_t source_bytes; /* had to be waited for */
	int64_t stalled_ns;    /* time waited */
};

/* Reads up to `bytes` (short only at the end of the file); waits for chunks that are not there, as demand.
 * `account` is added to; may be NULL. A read of content that changed at the source since it was opened and is not in memory
 * is PA_ERROR_CHANGED (ESTALE). */
int pa_file_read(struct pa_file *file, uint64_t offset, void *data, size_t bytes, size_t *ret_bytes,
                 struct pa_read_account *account, const struct pa_store_call *call, struct pa_error *err);
/* Goes through to the source; what is cached of the file follows. */
int pa_file_write(struct pa_file *file, uint64_t offset, const void *data, size_t bytes,
                  const struct pa_store_call *call, struct pa_error *err);

/* Passthrough: if the file is whole, returns a descriptor of its tmpfs file (owned by the cache, valid until
 * pa_file_release_whole), and keeps all of it in memory until then; -1 otherwise.  Counted per call. While a file
 * is so held, writes to it go to the tmpfs file as well as to the source, so passthrough readers see them. */
int pa_file_hold_whole(struct pa_file *file);
void pa_file_release_whole(struct pa_file *file);

#endif
