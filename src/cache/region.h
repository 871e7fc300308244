/* SPDX-License-Identifier: Apache-2.0 */
/* Node memory as a file system: one sparse tmpfs file per content, and beside it, per data set, a folder
 * that shows
 * the whole ones by name (hard links), for bind mounts.
 *
 * Threads: any; callers see to it that nobody writes a range while another punches it.  Blocking: system
 * calls on
 * tmpfs. */
#ifndef PA_CACHE_REGION_H
#define PA_CACHE_REGION_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct pa_region {
	char *directory;
	int directory_fd;
	int data_fd; /* directory/data: files named by content */
};

int pa_region_open(struct pa_region *region, const char *directory, struct pa_error *err);
/* Removes everything in the directory. */
void pa_region_close(struct pa_region *region);

/* A descriptor of a content's file, which is made if need be. */
int pa_region_open_file(const struct pa_region *region, uint64_t id, struct pa_error *err);
void pa_region_remove_file(const struct pa_region *region, uint64_t id);
int pa_region_write(int fd, const void *data, size_t bytes, uint64_t offset, struct pa_error *err);
/* Makes the file at least so long; what is new reads as zeros. */
int pa_region_extend(int fd, uint64_t size_bytes, struct pa_error *err);
/* Exactly `bytes`; a file that ends before is an error. */
int pa_region_read(int fd, void *data, size_t bytes, uint64_t offset, struct pa_error *err);
/* Gives the memory of a range back; the file keeps its length. */
void pa_region_punch(const struct pa_region *region, uint64_t id, uint64_t offset, uint64_t bytes);
int pa_region_truncate(const struct pa_region *region, uint64_t id, uint64_t size_bytes);

/* The folder that shows one data set. */
struct pa_mirror {
	const struct pa_region *region;
	uint64_t number;
	int fd;
};

int pa_mirror_open(struct pa_mirror *mirror, const struct pa_region *region, uint64_t number,
                   struct pa_error *err);
void pa_mirror_close(struct pa_mirror *mirror);
/* Shows one entry under its path; the folders above are made. `id` is the content of a file. */
int pa_mirror_show(struct pa_mirror *mirror, const struct pa_store_entry *entry, uint64_t id,
                   struct pa_error *err);
void pa_mirror_hide(struct pa_mirror *mirror, const char *path, bool directory);
/* Sets a folder's mode and time, when all in it is there. */
int pa_mirror_finish_folder(struct pa_mirror *mirror, const struct pa_store_entry *entry,
                            struct pa_error *err);
/* The absolute path of an entry. */
int pa_mirror_path(const struct pa_mirror *mirror, const char *path, char *out, size_t room,
                   struct pa_error *err);

#endif
