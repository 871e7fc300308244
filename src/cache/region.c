/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/region.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define FILE_NAME_ROOM    24
#define REMOVE_OPEN_FILES 16

static void file_name(uint64_t id, char out[FILE_NAME_ROOM])
{
	snprintf(out, FILE_NAME_ROOM, "%" PRIx64, id);
}

static int check_empty(int directory_fd, const char *directory, struct pa_error *err)
{
	int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
	int r = 0;

	if (stream == NULL) {
		int os_errno = errno;
		if (fd >= 0)
			close(fd);
		return pa_error_set_errno(err, os_errno, "cache folder '%s'", directory);
	}
	for (struct dirent *name = readdir(stream); name != NULL && r == 0; name = readdir(stream))
		if (strcmp(name->d_name, ".") != 0 && strcmp(name->d_name, "..") != 0)
			r = pa_error_set(
			    err, PA_ERROR_INPUT,
			    "cache folder '%s' is not empty (it has '%s'); give an empty one, its "
			    "content is removed at the end",
			    directory, name->d_name);
	closedir(stream);
	return r;
}

int pa_region_open(struct pa_region *region, const char *directory, struct pa_error *err)
{
	PA_AUTO_CLOSE int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return pa_error_set_errno(err, errno, "cache folder '%s'", directory);
	int r = check_empty(fd, directory, err);
	if (r < 0)
		return r;
	if (mkdirat(fd, "data", 0700) < 0)
		return pa_error_set_errno(err, errno, "cache folder '%s'", directory);
	int data_fd = openat(fd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *path = data_fd >= 0 ? realpath(directory, NULL) : NULL;
	if (path == NULL) {
		int os_errno = errno;
		if (data_fd >= 0)
			close(data_fd);
		unlinkat(fd, "data", AT_REMOVEDIR);
		return pa_error_set_errno(err, os_errno, "cache folder '%s'", directory);
	}
	region->directory = path;
	region->directory_fd = dup(fd);
	if (region->directory_fd < 0)
		abort();
	region->data_fd = data_fd;
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	if (place->level > 0)
		remove(path);
	return 0;
}

void pa_region_close(struct pa_region *region)
{
	close(region->data_fd);
	close(region->directory_fd);
	nftw(region->directory, remove_one, REMOVE_OPEN_FILES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(region->directory);
}

int pa_region_open_file(const struct pa_region *region, uint64_t id, struct pa_error *err)
{
	char name[FILE_NAME_ROOM];

	file_name(id, name);
	int fd = openat(region->data_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return pa_error_set_errno(err, errno, "cache file %s/data/%s", region->directory, name);
	return fd;
}

void pa_region_remove_file(const struct pa_region *region, uint64_t id)
{
	char name[FILE_NAME_ROOM];

	file_name(id, name);
	unlinkat(region->data_fd, name, 0);
}

int pa_region_write(int fd, const void *data, size_t bytes, uint64_t offset, struct pa_error *err)
{
	for (size_t done_bytes = 0; done_bytes < bytes;) {
		ssize_t put = pwrite(fd, (const char *)data + done_bytes, bytes - done_bytes,
		                     (off_t)(offset + done_bytes));
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return pa_error_set_errno(err, errno, "writing to the cache folder");
		done_bytes += (size_t)put;
	}
	return 0;
}

int pa_region_read(int fd, void *data, size_t bytes, uint64_t offset, struct pa_error *err)
{
	for (size_t done_bytes = 0; done_bytes < bytes;) {
		ssize_t got =
		    pread(fd, (char *)data + done_bytes, bytes - done_bytes, (off_t)(offset + done_bytes));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return pa_error_set_errno(err, errno, "reading from the cache folder");
		if (got == 0)
			return pa_error_set(err, PA_ERROR_BUG,
			                    "a cache file ends at %" PRIu64 ", before its content does",
			                    offset + done_bytes);
		done_bytes += (size_t)got;
	}
	return 0;
}

void pa_region_punch(const struct pa_region *region, uint64_t id, uint64_t offset, uint64_t bytes)
{
	char name[FILE_NAME_ROOM];

	file_name(id, name);
	PA_AUTO_CLOSE int fd = openat(region->data_fd, name, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
}

int pa_region_extend(int fd, uint64_t size_bytes, struct pa_error *err)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return pa_error_set_errno(err, errno, "a cache file");
	if ((uint64_t)status.st_size >= size_bytes || ftruncate(fd, (off_t)size_bytes) == 0)
		return 0;
	return pa_error_set_errno(err, errno, "a cache file cannot grow");
}

int pa_region_truncate(const struct pa_region *region, uint64_t id, uint64_t size_bytes)
{
	char name[FILE_NAME_ROOM];

	file_name(id, name);
	PA_AUTO_CLOSE int fd = openat(region->data_fd, name, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return ftruncate(fd, (off_t)size_bytes) < 0 ? -errno : 0;
}

/* ---- the mirror ---- */

int pa_mirror_open(struct pa_mirror *mirror, const struct pa_region *region, uint64_t number,
                   struct pa_error *err)
{
	char path[FILE_NAME_ROOM + 8];

	snprintf(path, sizeof(path), "%" PRIu64, number);
	int r = mkdirat(region->directory_fd, path, 0755);
	snprintf(path, sizeof(path), "%" PRIu64 "/tree", number);
	if (r == 0)
		r = mkdirat(region->directory_fd, path, 0755);
	int fd = r == 0 ? openat(region->directory_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0)
		return pa_error_set_errno(err, errno, "cache folder '%s/%s'", region->directory, path);
	mirror->region = region;
	mirror->number = number;
	mirror->fd = fd;
	return 0;
}

static int remove_any(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	remove(path);
	return 0;
}

void pa_mirror_close(struct pa_mirror *mirror)
{
	char path[PATH_MAX];

	close(mirror->fd);
	int length = snprintf(path, sizeof(path), "%s/%" PRIu64, mirror->region->directory, mirror->number);
	if (length < (int)sizeof(path))
		nftw(path, remove_any, REMOVE_OPEN_FILES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* A source's folder may deny writing to its owner; without root's rights we then could not fill or clear it.
 * */
static mode_t folder_mode(uint32_t mode)
{
	return geteuid() == 0 ? mode & 07777 : (mode & 07777) | 0700;
}

static void set_owner_and_time(int folder_fd, const char *path, const struct pa_store_entry *entry)
{
	int64_t seconds = entry->mtime_ns / PA_NS_PER_SECOND;
	int64_t rest_ns = entry->mtime_ns % PA_NS_PER_SECOND;

	if (rest_ns < 0) {
		seconds--;
		rest_ns += PA_NS_PER_SECOND;
	}
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds, .tv_nsec = rest_ns}};
	/* Only root can give files away; without it they are ours, as a copy would be. */
	if (geteuid() == 0 && fchownat(folder_fd, path, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	utimensat(folder_fd, path, times, AT_SYMLINK_NOFOLLOW);
}

/* Makes the folders above a path. */
static int make_parents(int fd, const char *path)
{
	char parent[PATH_MAX];

	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		size_t length = (size_t)(slash - path);
		if (length >= sizeof(parent))
			return -ENAMETOOLONG;
		memcpy(parent, path, length);
		parent[length] = '\0';
		if (mkdirat(fd, parent, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int show_once(const struct pa_mirror *mirror, const struct pa_store_entry *entry, uint64_t id)
{
	char name[FILE_NAME_ROOM];

	switch (entry->kind) {
	case PA_ENTRY_DIRECTORY:
		return mkdirat(mirror->fd, entry->path, 0755) < 0 && errno != EEXIST ? -errno : 0;
	case PA_ENTRY_SYMLINK:
		if (symlinkat(entry->link_target, mirror->fd, entry->path) < 0)
			return -errno;
		set_owner_and_time(mirror->fd, entry->path, entry);
		return 0;
	case PA_ENTRY_FILE:
		break;
	}
	file_name(id, name);
	/* chown clears set-user-id bits, so the mode comes after it. */
	set_owner_and_time(mirror->region->data_fd, name, entry);
	if (fchmodat(mirror->region->data_fd, name, entry->mode & 07777, 0) < 0)
		return -errno;
	return linkat(mirror->region->data_fd, name, mirror->fd, entry->path, 0) < 0 ? -errno : 0;
}

int pa_mirror_show(struct pa_mirror *mirror, const struct pa_store_entry *entry, uint64_t id,
                   struct pa_error *err)
{
	int r = show_once(mirror, entry, id);

	if (r == -ENOENT) {
		r = make_parents(mirror->fd, entry->path);
		if (r == 0)
			r = show_once(mirror, entry, id);
	}
	if (r < 0)
		return pa_error_set_errno(err, -r, "showing '%s' in the cache folder", entry->path);
	return 0;
}

void pa_mirror_hide(struct pa_mirror *mirror, const char *path, bool directory)
{
	unlinkat(mirror->fd, path, directory ? AT_REMOVEDIR : 0);
}

int pa_mirror_finish_folder(struct pa_mirror *mirror, const struct pa_store_entry *entry,
                            struct pa_error *err)
{
	const char *path = *entry->path != '\0' ? entry->path : ".";

	set_owner_and_time(mirror->fd, path, entry);
	if (fchmodat(mirror->fd, path, folder_mode(entry->mode), 0) < 0)
		return pa_error_set_errno(err, errno, "the mode of '%s' in the cache folder", entry->path);
	return 0;
}

int pa_mirror_path(const struct pa_mirror *mirror, const char *path, char *out, size_t room,
                   struct pa_error *err)
{
	int length = snprintf(out, room, "%s/%" PRIu64 "/tree%s%s", mirror->region->directory, mirror->number,
	                      *path != '\0' ? "/" : "", path);

	if (length < 0 || (size_t)length >= room)
		return pa_error_set(err, PA_ERROR_PERMANENT,
		                    "the path of '%s' in the cache folder is longer than %zu bytes", path,
		                    room - 1);
	return 0;
}
