/* SPDX-License-Identifier: Apache-2.0 */
/* The `file` driver: changes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/file_internal.h"

#define WRITE_PIECE_BYTES (1u << 20)

static int fail(const struct pa_file_store *store, int os_errno, const char *what, const char *path,
                struct pa_error *err)
{
	return pa_error_set_errno(err, os_errno, "%s '%s' in %s", what, path, store->head.location);
}

/* Opens the folder that a path is in; `ret_name` is the last component. */
static int open_parent(const struct pa_file_store *store, const char *path, const char **ret_name)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (*path == '\0')
		return -EBUSY; /* the root itself */
	if (slash == NULL) {
		*ret_name = path;
		return pa_file_store_open(store, "", O_PATH | O_DIRECTORY, 0);
	}
	size_t length = (size_t)(slash - path);
	if (length >= sizeof(parent))
		return -ENAMETOOLONG;
	memcpy(parent, path, length);
	parent[length] = '\0';
	*ret_name = slash + 1;
	return pa_file_store_open(store, parent, O_PATH | O_DIRECTORY, 0);
}

/* Opens or creates. The mode is set by fchmod, since the process's umask has no say in what a task asked
 * for. */
static int open_or_create(const struct pa_file_store *store, const char *path, unsigned flags, uint32_t mode)
{
	int open_flags = O_WRONLY | O_NONBLOCK | ((flags & PA_STORE_OPEN_TRUNCATE) != 0 ? O_TRUNC : 0);

	for (;;) {
		if ((flags & PA_STORE_OPEN_EXCLUSIVE) == 0) {
			int fd = pa_file_store_open(store, path, open_flags, 0);
			if (fd != -ENOENT || (flags & PA_STORE_OPEN_CREATE) == 0)
				return fd;
		}
		int fd = pa_file_store_open(store, path, O_WRONLY | O_CREAT | O_EXCL, mode & 07777);
		if (fd >= 0) {
			if (fchmod(fd, mode & 07777) < 0) {
				int os_errno = errno;
				close(fd);
				return -os_errno;
			}
			return fd;
		}
		/* Somebody else made it between the two. */
		if (fd != -EEXIST || (flags & PA_STORE_OPEN_EXCLUSIVE) != 0)
			return fd;
	}
}

int pa_file_store_open_write(struct pa_store *head, const char *path, unsigned flags, uint32_t mode,
                             struct pa_store_file **ret, const struct pa_store_call *call,
                             struct pa_error *err)
{
	struct pa_file_store *store = (struct pa_file_store *)head;
	struct stat status;

	(void)call;
	int fd = open_or_create(store, path, flags, mode);
	if (fd < 0)
		return fail(store, -fd, "opening for writing", path, err);
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
		close(fd);
		return fail(store, EINVAL, "not a regular file:", path, err);
	}
	struct pa_store_file *file = calloc(1, sizeof(*file));
	if (file == NULL)
		abort();
	file->store = store;
	file->fd = fd;
	*ret = file;
	return 0;
}

int pa_file_store_write(struct pa_store_file *file, const void *data, size_t bytes, uint64_t offset,
                        const struct pa_store_call *call, struct pa_error *err)
{
	size_t done_bytes = 0;

	if (offset > INT64_MAX - bytes)
		return fail(file->store, EFBIG, "writing", "a file", err);
	while (done_bytes < bytes) {
		int r = pa_store_call_check(call, "writing to a source", err);
		if (r < 0)
			return r;
		size_t piece_bytes = bytes - done_bytes;
		if (piece_bytes > WRITE_PIECE_BYTES)
			piece_bytes = WRITE_PIECE_BYTES;
		ssize_t put = pwrite(file->fd, (const char *)data + done_bytes, piece_bytes,
		                     (off_t)(offset + done_bytes));
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return fail(file->store, errno, "writing", "a file", err);
		done_bytes += (size_t)put;
	}
	return 0;
}

int pa_file_store_sync(struct pa_store_file *file, const struct pa_store_call *call, struct pa_error *err)
{
	(void)call;
	if (fsync(file->fd) < 0)
		return fail(file->store, errno, "syncing", "a file", err);
	return 0;
}

int pa_file_store_close_write(struct pa_store_file *file, struct pa_store_entry *ret,
                              const struct pa_store_call *call, struct pa_error *err)
{
	struct stat status;
	int r = 0;

	(void)call;
	if (fstat(file->fd, &status) < 0)
		r = fail(file->store, errno, "looking at", "a written file", err);
	/* On network volumes close(2) is where a late write error comes out. */
	if (close(file->fd) < 0 && errno != EINTR && r == 0)
		r = fail(file->store, errno, "closing", "a written file", err);
	free(file);
	if (r == 0 && ret != NULL)
		pa_file_store_entry(&status, "", ret);
	return r;
}

static int set_size(const struct pa_file_store *store, const char *path, uint64_t size_bytes)
{
	PA_AUTO_CLOSE int fd = pa_file_store_open(store, path, O_WRONLY | O_NONBLOCK, 0);

	if (fd < 0)
		return fd;
	if (size_bytes > INT64_MAX)
		return -EFBIG;
	return ftruncate(fd, (off_t)size_bytes) < 0 ? -errno : 0;
}

static int set_mode(const struct pa_file_store *store, const char *path, uint32_t mode)
{
	char link[64];

	PA_AUTO_CLOSE int fd = pa_file_store_open(store, path, O_PATH, 0);
	if (fd < 0)
		return fd;
	/* An O_PATH descriptor needs no right to read or write the file, but fchmod refuses it. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return chmod(link, mode & 07777) < 0 ? -errno : 0;
}

static int set_mtime(const struct pa_file_store *store, const char *path, int64_t mtime_ns)
{
	int64_t seconds = mtime_ns / PA_NS_PER_SECOND;
	int64_t rest_ns = mtime_ns % PA_NS_PER_SECOND;

	if (rest_ns < 0) {
		seconds--;
		rest_ns += PA_NS_PER_SECOND;
	}
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds, .tv_nsec = rest_ns}};
	PA_AUTO_CLOSE int fd = pa_file_store_open(store, path, O_PATH, 0);
	if (fd < 0)
		return fd;
	return utimensat(fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int pa_file_store_set_attributes(struct pa_store *head, const char *path,
                                 const struct pa_store_attributes *attributes,
                                 const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_file_store *store = (struct pa_file_store *)head;
	int r = 0;

	(void)call;
	if (attributes->set_size)
		r = set_size(store, path, attributes->size_bytes);
	if (r == 0 && attributes->set_mode)
		r = set_mode(store, path, attributes->mode);
	if (r == 0 && attributes->set_mtime)
		r = set_mtime(store, path, attributes->mtime_ns);
	return r < 0 ? fail(store, -r, "changing the attributes of", path, err) : 0;
}

int pa_file_store_make_directory(struct pa_store *head, const char *path, uint32_t mode,
                                 const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_file_store *store = (struct pa_file_store *)head;
	const char *name = NULL;

	(void)call;
	PA_AUTO_CLOSE int parent_fd = open_parent(store, path, &name);
	if (parent_fd < 0)
		return fail(store, -parent_fd, "making the folder", path, err);
	if (mkdirat(parent_fd, name, mode & 07777) < 0)
		return fail(store, errno, "making the folder", path, err);
	int r = set_mode(store, path, mode);
	return r < 0 ? fail(store, -r, "setting the mode of", path, err) : 0;
}

int pa_file_store_make_symlink(struct pa_store *head, const char *path, const char *target,
                               const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_file_store *store = (struct pa_file_store *)head;
	const char *name = NULL;

	(void)call;
	PA_AUTO_CLOSE int parent_fd = open_parent(store, path, &name);
	if (parent_fd < 0)
		return fail(store, -parent_fd, "making the link", path, err);
	if (symlinkat(target, parent_fd, name) < 0)
		return fail(store, errno, "making the link", path, err);
	return 0;
}

int pa_file_store_remove(struct pa_store *head, const char *path, bool directory,
                         const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_file_store *store = (struct pa_file_store *)head;
	const char *name = NULL;

	(void)call;
	PA_AUTO_CLOSE int parent_fd = open_parent(store, path, &name);
	if (parent_fd < 0)
		return fail(store, -parent_fd, "removing", path, err);
	if (unlinkat(parent_fd, name, directory ? AT_REMOVEDIR : 0) < 0)
		return fail(store, errno, "removing", path, err);
	return 0;
}

int pa_file_store_rename(struct pa_store *head, const char *from, const char *to, bool no_replace,
                         const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_file_store *store = (struct pa_file_store *)head;
	const char *from_name = NULL;
	const char *to_name = NULL;

	(void)call;
	PA_AUTO_CLOSE int from_fd = open_parent(store, from, &from_name);
	if (from_fd < 0)
		return fail(store, -from_fd, "renaming", from, err);
	PA_AUTO_CLOSE int to_fd = open_parent(store, to, &to_name);
	if (to_fd < 0)
		return fail(store, -to_fd, "renaming to", to, err);
	if (renameat2(from_fd, from_name, to_fd, to_name, no_replace ? RENAME_NOREPLACE : 0) < 0)
		return fail(store, errno, "renaming", from, err);
	return 0;
}
