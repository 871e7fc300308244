/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a data set read straight from the cache, without the kernel between. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "run/run_internal.h"

#define COPY_BLOCK_BYTES (1u << 20)
#define COPY_MAX_DEPTH   64
#define COPY_DEADLINE_NS (600LL * PA_NS_PER_SECOND)

int run_tree_find_below(struct pa_data_set *data_set, uint64_t inode, const char *path,
                        struct pa_attributes *ret, struct pa_error *err)
{
	struct pa_attributes attributes;
	char name[256];
	int result = pa_tree_attributes(data_set, inode, &attributes, err);

	while (result == 0 && path[0] != '\0') {
		size_t length = strcspn(path, "/");
		if (length >= sizeof(name))
			return pa_error_set_errno(err, ENAMETOOLONG, "%s", path);
		memcpy(name, path, length);
		name[length] = '\0';
		path += length;
		path += strspn(path, "/");
		result = pa_tree_lookup(data_set, attributes.inode, name, &attributes, err);
		if (result == 0 && attributes.kind == PA_ENTRY_SYMLINK)
			return pa_error_set_errno(err, ELOOP,
			                          "%s is a link; an output must be a file or folder", name);
	}
	if (result == 0)
		*ret = attributes;
	return result;
}

int run_tree_find(struct pa_data_set *data_set, const char *path, struct pa_attributes *ret,
                  struct pa_error *err)
{
	return run_tree_find_below(data_set, PA_INODE_ROOT, path, ret, err);
}

int run_tree_read(struct pa_run *run, struct pa_data_set *data_set, uint64_t inode, char *data, size_t room,
                  size_t *ret_length, struct pa_error *err)
{
	struct pa_store_call call = run_call(run, COPY_DEADLINE_NS);
	struct pa_error ignored = PA_ERROR_INIT;
	struct pa_file *file;
	size_t length = 0, got = 1;
	int result = pa_file_open(data_set, inode, PA_FILE_READ, &file, &call, err);

	if (result < 0)
		return result;
	while (result == 0 && length < room && got > 0) {
		result = pa_file_read(file, length, data + length, room - length, &got, NULL, &call, err);
		length += result == 0 ? got : 0;
	}
	pa_file_close(file, &call, &ignored);
	if (result == 0)
		*ret_length = length;
	return result;
}

static int write_all(int fd, const char *data, size_t bytes, struct pa_error *err)
{
	while (bytes > 0) {
		ssize_t put = write(fd, data, bytes);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return pa_error_set_errno(err, errno, "cannot be kept for later tasks");
		data += put;
		bytes -= (size_t)put;
	}
	return 0;
}

static int copy_file(struct pa_run *run, struct pa_data_set *data_set, const struct pa_attributes *attributes,
                     int folder, const char *name, struct pa_error *err)
{
	struct pa_store_call call = run_call(run, COPY_DEADLINE_NS);
	struct pa_error ignored = PA_ERROR_INIT;
	PA_AUTO_FREE char *block = malloc(COPY_BLOCK_BYTES);
	PA_AUTO_CLOSE int to =
	    openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, attributes->mode & 0777);
	struct pa_file *file;
	uint64_t offset = 0;

	if (block == NULL)
		abort();
	if (to < 0)
		return pa_error_set_errno(err, errno, "cannot be kept for later tasks");
	int result = pa_file_open(data_set, attributes->inode, PA_FILE_READ, &file, &call, err);
	if (result < 0)
		return result;
	for (size_t got = 1; result == 0 && got > 0; offset += got) {
		result = pa_file_read(file, offset, block, COPY_BLOCK_BYTES, &got, NULL, &call, err);
		if (result == 0)
			result = write_all(to, block, got, err);
	}
	pa_file_close(file, &call, &ignored);
	return result;
}

/* The entries of a folder, copied out of the callback's lock. */
struct listing {
	struct pa_arena *arena;
	struct entry {
		const char *name;
		struct pa_attributes attributes;
	} * entries;
	size_t count, capacity;
};

static bool add_entry(void *context, const char *name, uint64_t cookie,
                      const struct pa_attributes *attributes)
{
	struct listing *listing = context;

	(void)cookie;
	listing->entries = pa_arena_grow(listing->arena, listing->entries, listing->count, &listing->capacity,
	                                 sizeof(*listing->entries));
	listing->entries[listing->count++] =
	    (struct entry){.name = pa_arena_strdup(listing->arena, name), .attributes = *attributes};
	return true;
}

static int copy_link(struct pa_data_set *data_set, uint64_t inode, int folder, const char *name,
                     struct pa_error *err)
{
	char target[4096];
	int result = pa_tree_read_link(data_set, inode, target, sizeof(target), err);

	if (result < 0)
		return result;
	return symlinkat(target, folder, name) == 0
	           ? 0
	           : pa_error_set_errno(err, errno, "%s cannot be kept", name);
}

static int copy_any(struct pa_run *run, struct pa_data_set *data_set, const struct pa_attributes *attributes,
                    int folder, const char *name, unsigned depth, struct pa_error *err)
{
	struct listing listing = {.arena = &run->arena};

	if (attributes->kind == PA_ENTRY_SYMLINK)
		return copy_link(data_set, attributes->inode, folder, name, err);
	if (attributes->kind == PA_ENTRY_FILE)
		return copy_file(run, data_set, attributes, folder, name, err);
	if (depth > COPY_MAX_DEPTH)
		return pa_error_set(err, PA_ERROR_PERMANENT, "is nested deeper than %d folders",
		                    COPY_MAX_DEPTH);
	if (mkdirat(folder, name, 0755) < 0)
		return pa_error_set_errno(err, errno, "cannot be kept for later tasks");
	PA_AUTO_CLOSE int to = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (to < 0)
		return pa_error_set_errno(err, errno, "cannot be kept for later tasks");
	int result = pa_tree_list(data_set, attributes->inode, 0, add_entry, &listing, err);
	for (size_t i = 0; i < listing.count && result == 0; i++)
		result = copy_any(run, data_set, &listing.entries[i].attributes, to, listing.entries[i].name,
		                  depth + 1, err);
	return result;
}

int run_tree_copy(struct pa_run *run, struct pa_data_set *data_set, const struct pa_attributes *attributes,
                  int folder, const char *name, struct pa_error *err)
{
	return copy_any(run, data_set, attributes, folder, name, 0, err);
}
