/* SPDX-License-Identifier: Apache-2.0 */
/* The `file` driver: opening, listing and reading. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "store/file_internal.h"

/* Between two looks at the call's deadline and cancel. */
#define READ_PIECE_BYTES (1u << 20)
#define LIST_PIECE       256
/* From here on it pays to tell the kernel what will be read. */
#define ADVISE_FROM_BYTES (128u << 10)

int pa_file_store_open(const struct pa_file_store *store, const char *path, int flags, uint32_t mode)
{
	struct open_how how = {
	    .flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
	    .mode = mode,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};

	for (;;) {
		long fd = syscall(SYS_openat2, store->root_fd, *path != '\0' ? path : ".", &how, sizeof(how));
		if (fd >= 0)
			return (int)fd;
		/* EAGAIN: a rename elsewhere crossed the check of "beneath". */
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

static int64_t timestamp_ns(struct timespec time)
{
	return time.tv_sec * PA_NS_PER_SECOND + time.tv_nsec;
}

bool pa_file_store_entry(const struct stat *status, const char *path, struct pa_store_entry *ret)
{
	struct pa_store_entry entry = {.path = path};

	if (S_ISREG(status->st_mode))
		entry.kind = PA_ENTRY_FILE;
	else if (S_ISDIR(status->st_mode))
		entry.kind = PA_ENTRY_DIRECTORY;
	else if (S_ISLNK(status->st_mode))
		entry.kind = PA_ENTRY_SYMLINK;
	else
		return false;
	entry.mode = status->st_mode & 07777;
	entry.uid = status->st_uid;
	entry.gid = status->st_gid;
	entry.size_bytes = S_ISREG(status->st_mode) ? (uint64_t)status->st_size : 0;
	entry.mtime_ns = timestamp_ns(status->st_mtim);
	uint64_t mark[] = {status->st_ino, (uint64_t)status->st_size, (uint64_t)entry.mtime_ns,
	                   (uint64_t)timestamp_ns(status->st_ctim)};
	entry.version = pa_hash_content(mark, sizeof(mark));
	*ret = entry;
	return true;
}

static void file_close(struct pa_store *head)
{
	struct pa_file_store *store = (struct pa_file_store *)head;

	close(store->root_fd);
	free(store);
}

static int fail(const struct pa_store *head, int os_errno, const char *what, const char *path,
                struct pa_error *err)
{
	return pa_error_set_errno(err, os_errno, "%s '%s' in %s", what, path, head->location);
}

/* Fills the target of a symlink in; `room` bytes at `out`. */
static int read_target(int directory_fd, const char *name, char *out, size_t room)
{
	ssize_t length = readlinkat(directory_fd, name, out, room);

	if (length < 0)
		return -errno;
	if ((size_t)length >= room)
		return -ENAMETOOLONG;
	out[length] = '\0';
	return 0;
}

static int file_stat(struct pa_store *head, const char *path, struct pa_store_entry *ret,
                     const struct pa_store_call *call, struct pa_error *err)
{
	static _Thread_local char target[PATH_MAX];
	struct pa_file_store *store = (struct pa_file_store *)head;
	struct pa_store_entry entry;
	struct stat status;

	(void)call;
	PA_AUTO_CLOSE int fd = pa_file_store_open(store, path, O_PATH, 0);
	if (fd < 0)
		return fail(head, -fd, "looking at", path, err);
	if (fstat(fd, &status) < 0)
		return fail(head, errno, "looking at", path, err);
	if (!pa_file_store_entry(&status, path, &entry))
		return pa_error_set_errno(err, EINVAL,
		                          "'%s' in %s is a special file (device, socket or pipe)", path,
		                          head->location);
	if (entry.kind == PA_ENTRY_SYMLINK) {
		int r = read_target(fd, "", target, sizeof(target));
		if (r < 0)
			return fail(head, -r, "reading the link", path, err);
		entry.link_target = target;
	}
	*ret = entry;
	return 0;
}

/* The folders that are still to be read, depth first, so that no descriptor is held but one. */
struct pending_folder {
	struct pending_folder *next;
	unsigned depth;
	char path[];
};

struct listing {
	struct pa_store *head;
	pa_store_entry_fn each;
	void *context;
	const struct pa_store_call *call;
	struct pending_folder *pending;
	char path[PATH_MAX];
	char target[PATH_MAX];
};

static void push_folder(struct listing *listing, const char *path, unsigned depth)
{
	size_t length = strlen(path);
	struct pending_folder *folder = malloc(sizeof(*folder) + length + 1);

	if (folder == NULL)
		abort();
	folder->depth = depth;
	memcpy(folder->path, path, length + 1);
	folder->next = listing->pending;
	listing->pending = folder;
}

/* One name of a folder; `prefix` bytes of listing->path are the folder's. */
static int list_name(struct listing *listing, int folder_fd, size_t prefix, unsigned depth, const char *name,
                     struct pa_error *err)
{
	struct pa_store_entry entry;
	struct stat status;
	size_t length = strlen(name);

	if (prefix + length + 1 > sizeof(listing->path))
		return pa_error_set(err, PA_ERROR_PERMANENT,
		                    "listing %s: a path below '%.*s' is longer than %d bytes",
		                    listing->head->location, (int)prefix, listing->path, PATH_MAX - 1);
	memcpy(listing->path + prefix, name, length + 1);
	if (fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT) /* removed since it was read */
			return 0;
		return fail(listing->head, errno, "looking at", listing->path, err);
	}
	if (!pa_file_store_entry(&status, listing->path, &entry))
		return 0;
	if (entry.kind == PA_ENTRY_SYMLINK) {
		int r = read_target(folder_fd, name, listing->target, sizeof(listing->target));
		if (r == -ENOENT || r == -EINVAL)
			return 0;
		if (r < 0)
			return fail(listing->head, -r, "reading the link", listing->path, err);
		entry.link_target = listing->target;
	}
	entry.closed = entry.kind == PA_ENTRY_DIRECTORY &&
	               faccessat(folder_fd, name, R_OK | X_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) < 0 &&
	               errno == EACCES;
	if (entry.closed)
		entry.version.low ^= 1; /* its being opened is a change, whatever its times say */
	int r = listing->each(listing->context, &entry);
	if (r != 0 || entry.kind != PA_ENTRY_DIRECTORY || entry.closed)
		return r;
	if (depth + 1 > PA_STORE_FILE_MAX_DEPTH)
		return pa_error_set(err, PA_ERROR_PERMANENT, "listing %s: more than %d folders deep at '%s'",
		                    listing->head->location, PA_STORE_FILE_MAX_DEPTH, listing->path);
	push_folder(listing, listing->path, depth + 1);
	return 0;
}

static int list_folder(struct listing *listing, const struct pending_folder *folder, struct pa_error *err)
{
	int fd = pa_file_store_open((struct pa_file_store *)listing->head, folder->path,
	                            O_RDONLY | O_DIRECTORY, 0);

	if (fd == -ENOENT && folder->depth > 0)
		return 0;
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	if (directory == NULL) {
		int os_errno = fd < 0 ? -fd : errno;
		if (fd >= 0)
			close(fd);
		return fail(listing->head, os_errno, "listing", folder->path, err);
	}
	size_t prefix = strlen(folder->path);
	memcpy(listing->path, folder->path, prefix);
	if (prefix > 0)
		listing->path[prefix++] = '/';

	int r = 0;
	for (unsigned count = 0; r == 0; count++) {
		if (count % LIST_PIECE == 0 &&
		    (r = pa_store_call_check(listing->call, "listing a source", err)) < 0)
			break;
		errno = 0;
		struct dirent *name = readdir(directory);
		if (name == NULL) {
			if (errno != 0)
				r = fail(listing->head, errno, "listing", folder->path, err);
			break;
		}
		if (strcmp(name->d_name, ".") != 0 && strcmp(name->d_name, "..") != 0)
			r = list_name(listing, fd, prefix, folder->depth, name->d_name, err);
	}
	closedir(directory);
	return r;
}

static int file_list(struct pa_store *head, const char *path, pa_store_entry_fn each, void *context,
                     const struct pa_store_call *call, struct pa_error *err)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	int r = 0;

	if (listing == NULL)
		abort();
	listing->head = head;
	listing->each = each;
	listing->context = context;
	listing->call = call;
	push_folder(listing, path, 0);
	while (listing->pending != NULL) {
		struct pending_folder *folder = listing->pending;
		listing->pending = folder->next;
		if (r == 0)
			r = list_folder(listing, folder, err);
		free(folder);
	}
	free(listing);
	return r;
}

static int check_version(const struct pa_store *head, int fd, const char *path,
                         const struct pa_hash128 *version, struct pa_error *err)
{
	struct pa_store_entry entry;
	struct stat status;

	if (fstat(fd, &status) < 0)
		return fail(head, errno, "looking at", path, err);
	if (S_ISDIR(status.st_mode))
		return fail(head, EISDIR, "reading", path, err);
	if (!S_ISREG(status.st_mode))
		return pa_error_set_errno(err, EINVAL, "reading '%s' in %s: not a regular file", path,
		                          head->location);
	if (version == NULL)
		return 0;
	pa_file_store_entry(&status, path, &entry);
	if (!pa_hash_equal(entry.version, *version))
		return pa_error_set(err, PA_ERROR_CHANGED, "'%s' in %s was changed since it was listed", path,
		                    head->location);
	return 0;
}

static int read_range(const struct pa_store *head, int fd, const char *path, uint64_t offset, char *data,
                      size_t bytes, size_t *ret_bytes, const struct pa_store_call *call, struct pa_error *err)
{
	size_t done_bytes = 0;

	while (done_bytes < bytes) {
		int r = pa_store_call_check(call, "reading a source", err);
		if (r < 0)
			return pa_error_wrap(err, "'%s' in %s", path, head->location);
		size_t piece_bytes = bytes - done_bytes;
		if (piece_bytes > READ_PIECE_BYTES)
			piece_bytes = READ_PIECE_BYTES;
		ssize_t got = pread(fd, data + done_bytes, piece_bytes, (off_t)(offset + done_bytes));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(head, errno, "reading", path, err);
		if (got == 0)
			break;
		done_bytes += (size_t)got;
	}
	*ret_bytes = done_bytes;
	return 0;
}

static int file_read(struct pa_store *head, const char *path, const struct pa_hash128 *version,
                     uint64_t offset, void *data, size_t bytes, size_t *ret_bytes,
                     const struct pa_store_call *call, struct pa_error *err)
{
	size_t got_bytes = 0;

	/* O_NONBLOCK: opening a pipe that took the file's place must not wait. */
	PA_AUTO_CLOSE int fd =
	    pa_file_store_open((struct pa_file_store *)head, path, O_RDONLY | O_NONBLOCK, 0);
	if (fd == -ELOOP)
		return pa_error_set_errno(err, ELOOP, "reading '%s' in %s: symbolic links are not followed",
		                          path, head->location);
	if (fd < 0)
		return fail(head, -fd, "reading", path, err);
	int r = check_version(head, fd, path, version, err);
	if (r < 0)
		return r;
	if (offset > INT64_MAX - bytes)
		return fail(head, EINVAL, "reading", path, err);
	if (bytes >= ADVISE_FROM_BYTES)
		posix_fadvise(fd, (off_t)offset, (off_t)bytes, POSIX_FADV_WILLNEED);
	r = read_range(head, fd, path, offset, data, bytes, &got_bytes, call, err);
	if (r == 0)
		r = check_version(head, fd, path, version, err);
	if (r < 0)
		return r;
	*ret_bytes = got_bytes;
	return 0;
}

static const struct pa_store_ops file_ops = {
    .scheme = "file",
    .abilities = PA_STORE_WRITE_RANDOM | PA_STORE_WRITE_APPEND | PA_STORE_RENAME | PA_STORE_DIRECTORIES |
                 PA_STORE_SYMLINKS | PA_STORE_ATTRIBUTES,
    .close = file_close,
    .list = file_list,
    .stat = file_stat,
    .read = file_read,
    .open_write = pa_file_store_open_write,
    .write = pa_file_store_write,
    .sync = pa_file_store_sync,
    .close_write = pa_file_store_close_write,
    .set_attributes = pa_file_store_set_attributes,
    .make_directory = pa_file_store_make_directory,
    .make_symlink = pa_file_store_make_symlink,
    .remove = pa_file_store_remove,
    .rename = pa_file_store_rename,
};

int pa_store_open_file(const char *rest, struct pa_store **ret, struct pa_error *err)
{
	if (*rest != '/')
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "source 'file://%s': the path must be absolute: file:///path", rest);
	int root_fd = open(rest, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return pa_error_set_errno(err, errno, "source 'file://%s'", rest);
	struct pa_file_store *store = calloc(1, sizeof(*store));
	if (store == NULL)
		abort();
	store->head.ops = &file_ops;
	store->root_fd = root_fd;
	*ret = &store->head;
	return 0;
}
