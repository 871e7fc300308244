/* SPDX-License-Identifier: Apache-2.0 */
/* The `file` driver: a folder of this machine (a local disk or any mounted volume).  Every path is resolved
 * by
 * openat2() beneath the root and without following symbolic links, so nothing outside is ever reached. */
#ifndef PA_STORE_FILE_INTERNAL_H
#define PA_STORE_FILE_INTERNAL_H

#include <sys/stat.h>

#include "store/store_internal.h"

#define PA_STORE_FILE_MAX_DEPTH 512

struct pa_file_store {
	struct pa_store head;
	int root_fd;
};

struct pa_store_file {
	struct pa_file_store *store;
	int fd;
};

/* openat2 of a path ("" is the root) beneath the root; the descriptor or -errno. */
int pa_file_store_open(const struct pa_file_store *store, const char *path, int flags, uint32_t mode);
/* What stat says, as an entry; false for a special file. */
bool pa_file_store_entry(const struct stat *status, const char *path, struct pa_store_entry *ret);

int pa_file_store_open_write(struct pa_store *store, const char *path, unsigned flags, uint32_t mode,
                             struct pa_store_file **ret, const struct pa_store_call *call,
                             struct pa_error *err);
int pa_file_store_write(struct pa_store_file *file, const void *data, size_t bytes, uint64_t offset,
                        const struct pa_store_call *call, struct pa_error *err);
int pa_file_store_sync(struct pa_store_file *file, const struct pa_store_call *call, struct pa_error *err);
int pa_file_store_close_write(struct pa_store_file *file, struct pa_store_entry *ret,
                              const struct pa_store_call *call, struct pa_error *err);
int pa_file_store_set_attributes(struct pa_store *store, const char *path,
                                 const struct pa_store_attributes *attributes,
                                 const struct pa_store_call *call, struct pa_error *err);
int pa_file_store_make_directory(struct pa_store *store, const char *path, uint32_t mode,
                                 const struct pa_store_call *call, struct pa_error *err);
int pa_file_store_make_symlink(struct pa_store *store, const char *path, const char *target,
                               const struct pa_store_call *call, struct pa_error *err);
int pa_file_store_remove(struct pa_store *store, const char *path, bool directory,
                         const struct pa_store_call *call, struct pa_error *err);
int pa_file_store_rename(struct pa_store *store, const char *from, const char *to, bool no_replace,
                         const struct pa_store_call *call, struct pa_error *err);

#endif
