/* SPDX-License-Identifier: Apache-2.0 */
#include "run/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define SCRATCH_PREFIX    "run-"
#define SCRATCH_LOCK_NAME "lock"
/* Folders that are deeper than this below another are moved up to it: neither descriptors nor the length of a path limit
 * what can be removed. */
#define SCRATCH_WALK_DEPTH 16
#define SWEEP_TRIES        20
#define SWEEP_PAUSE_NS     (50 * PA_NS_PER_MS)

struct pa_scratch {
	char *path;
	int lock_fd;
};

static const char *scratch_root(void)
{
	const char *configured = getenv("PIPEAHEAD_SCRATCH");

	return configured != NULL && configured[0] == '/' ? configured : "/var/tmp/pipeahead";
}

/* What is being removed: a folder, and the deep ones that were moved up into it. */
struct removal {
	int top_fd;
	unsigned moved;
};

static void remove_below(struct removal *removal, int folder_fd, unsigned depth);

/* A mount point is left alone without asking its file system: it may be ours, and then nobody would answer. */
static void remove_entry(struct removal *removal, int folder_fd, const char *name, unsigned depth)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
	                       .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV};
	char elsewhere[32];

	if (unlinkat(folder_fd, name, 0) == 0 || unlinkat(folder_fd, name, AT_REMOVEDIR) == 0)
		return;
	if (depth == SCRATCH_WALK_DEPTH) {
		snprintf(elsewhere, sizeof(elsewhere), ".deep-%u", removal->moved++);
		(void)renameat(folder_fd, name, removal->top_fd, elsewhere);
		return;
	}
	PA_AUTO_CLOSE int fd = (int)syscall(SYS_openat2, folder_fd, name, &how, sizeof(how));
	if (fd < 0)
		return;
	remove_below(removal, fd, depth + 1);
	(void)unlinkat(folder_fd, name, AT_REMOVEDIR);
}

/* What cannot be removed is found again by the sweep; the walk goes on. */
static void remove_below(struct removal *removal, int folder_fd, unsigned depth)
{
	int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;

	if (entries == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove_entry(removal, folder_fd, entry->d_name, depth);
	closedir(entries);
}

int pa_scratch_remove_tree(const char *path, struct pa_error *err)
{
	struct stat status;
	PA_AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct removal removal = {.top_fd = fd};

	/* Until nothing was too deep any more. */
	for (unsigned moved = UINT_MAX; fd >= 0 && moved != removal.moved;) {
		moved = removal.moved;
		remove_below(&removal, fd, 0);
	}
	if (rmdir(path) < 0 && errno == ENOTDIR)
		(void)unlink(path);
	if (lstat(path, &status) == 0)
		return pa_error_set(err, PA_ERROR_PERMANENT, "%s: could not be removed; remove it by hand",
		                    path);
	return 0;
}

/* The root folder with its lock held: nobody makes or sweeps a run's folder meanwhile. */
static int scratch_lock_root(bool make, struct pa_error *err)
{
	const char *root = scratch_root();
	char path[PATH_MAX];

	if (make && mkdir(root, 0700) < 0 && errno != EEXIST)
		return pa_error_set_errno(
		    err, errno, "%s: the scratch folder cannot be made; set PIPEAHEAD_SCRATCH", root);
	snprintf(path, sizeof(path), "%s/.lock", root);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
	if (fd < 0)
		return pa_error_set_errno(err, errno, "%s: cannot be opened; set PIPEAHEAD_SCRATCH", path);
	while (flock(fd, LOCK_EX) < 0) {
		if (errno == EINTR)
			continue;
		pa_error_set_errno(err, errno, "%s: cannot be locked", path);
		close(fd);
		return -(int)err->class;
	}
	return fd;
}

/* A lock of the process, not of the descriptor: a task that is still dying does not hold it for its dead parent. */
static bool take_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_SETLK, &lock) == 0;
}

int pa_scratch_new(struct pa_scratch **ret, struct pa_error *err)
{
	PA_AUTO_CLOSE int root_fd = scratch_lock_root(true, err);
	char lock_path[PATH_MAX];

	if (root_fd < 0)
		return root_fd;
	struct pa_scratch *scratch = calloc(1, sizeof(*scratch));
	if (scratch == NULL || asprintf(&scratch->path, "%s/" SCRATCH_PREFIX "XXXXXX", scratch_root()) < 0)
		abort();
	if (mkdtemp(scratch->path) == NULL) {
		pa_error_set_errno(err, errno, "%s: cannot be made", scratch->path);
		goto failed;
	}
	snprintf(lock_path, sizeof(lock_path), "%s/" SCRATCH_LOCK_NAME, scratch->path);
	scratch->lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_EXCL, 0600);
	if (scratch->lock_fd < 0 || !take_lock(scratch->lock_fd)) {
		pa_error_set_errno(err, errno, "%s: cannot be locked", lock_path);
		pa_scratch_free(scratch);
		return -(int)err->class;
	}
	*ret = scratch;
	return 0;
failed:
	free(scratch->path);
	free(scratch);
	return -(int)err->class;
}

const char *pa_scratch_path(const struct pa_scratch *scratch)
{
	return scratch->path;
}

void pa_scratch_free(struct pa_scratch *scratch)
{
	struct pa_error ignored = PA_ERROR_INIT;

	if (scratch == NULL)
		return;
	/* The lock goes last: what a failed removal leaves is then swept like a dead run's. */
	pa_scratch_remove_tree(scratch->path, &ignored);
	if (scratch->lock_fd >= 0)
		close(scratch->lock_fd);
	free(scratch->path);
	free(scratch);
}

static void sweep_one(const char *name)
{
	struct pa_error ignored = PA_ERROR_INIT;
	char path[PATH_MAX];
	char lock_path[PATH_MAX];
	struct stat status;

	snprintf(path, sizeof(path), "%s/%s", scratch_root(), name);
	if (snprintf(lock_path, sizeof(lock_path), "%s/" SCRATCH_LOCK_NAME, path) >= (int)sizeof(lock_path))
		return;
	if (lstat(path, &status) < 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid())
		return;
	/* A folder without a lock file was left between its making and its locking, or half removed. */
	PA_AUTO_CLOSE int fd = open(lock_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && !take_lock(fd))
		return;
	/* Tasks of a run that was killed a moment ago may still be writing: they are dying, and then it works. */
	for (int i = 0; i < SWEEP_TRIES && pa_scratch_remove_tree(path, &ignored) < 0; i++)
		pa_clock_sleep_until(pa_clock_deadline(SWEEP_PAUSE_NS), NULL);
}

void pa_scratch_sweep(void)
{
	struct pa_error ignored = PA_ERROR_INIT;
	PA_AUTO_CLOSE int root_fd = scratch_lock_root(false, &ignored);

	if (root_fd < 0)
		return;
	DIR *folder = opendir(scratch_root());
	if (folder == NULL)
		return;
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
		if (strncmp(entry->d_name, SCRATCH_PREFIX, strlen(SCRATCH_PREFIX)) == 0)
			sweep_one(entry->d_name);
	closedir(folder);
}
