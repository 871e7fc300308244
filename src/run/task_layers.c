/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's own root as a task sees it: reads come from here, writes go to scratch/upper.
 *
 * One overlay over / does that, where scratch is on another file system.  The kernel refuses an overlay whose writable
 * layer lies inside its own lower layer, so where scratch is on the root's disk the root is split: folders that lead to
 * scratch are plain ones in scratch/upper, and every folder beside that way has an overlay of its own.  Either way what
 * the task wrote at /a/b is scratch/upper/a/b. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "run/sandbox_internal.h"

/* Folders beside the way to scratch that are worth a mount each. */
#define MAX_SPLIT_ENTRIES 1000

struct layers {
	const char *scratch;
	const char *real_scratch; /* without links */
	int scratch_fd;
	int upper_fd;
	dev_t device; /* of scratch */
	unsigned int work_count;
	unsigned int entry_count;
};

static int explain_scratch(const struct layers *layers, const char *over, struct pa_error *err)
{
	if (errno == ELOOP || errno == EINVAL)
		return pa_error_set_errno(
		    err, errno,
		    "the scratch folder %.300s cannot hold a task's changes to %.300s; set "
		    "PIPEAHEAD_SCRATCH to a folder on a tmpfs or on a local disk (ext4, xfs)",
		    layers->scratch, over);
	return pa_error_set_errno(err, errno,
	                          "cannot mount an overlay over %.300s with its changes in %.300s", over,
	                          layers->scratch);
}

/* An overlay, not yet attached: `lower_fd` seen through, `upper_fd` written to. */
static int make_overlay(struct layers *layers, int lower_fd, int upper_fd, const char *over, int *ret_tree_fd,
                        struct pa_error *err)
{
	char name[32], lower[64], upper[64], work[64];
	PA_AUTO_CLOSE int work_fd = -1;
	int fd;

	snprintf(name, sizeof(name), "work/%u", layers->work_count++);
	if (mkdirat(layers->scratch_fd, name, 0755) != 0)
		return pa_error_set_errno(err, errno, "cannot make %.500s/%s", layers->scratch, name);
	work_fd = openat(layers->scratch_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(lower, sizeof(lower), "/proc/self/fd/%d", lower_fd);
	snprintf(upper, sizeof(upper), "/proc/self/fd/%d", upper_fd);
	snprintf(work, sizeof(work), "/proc/self/fd/%d", work_fd);
	/* What the task changed must lie in `upper` whole, so no redirects and no copies of metadata alone.
	 * `volatile`: nothing in scratch is meant to survive a crash, and without it the end of each task would
	 * flush the whole disk that scratch is on. */
	const char *const options[] = {
	    "lowerdir", lower, "upperdir", upper, "workdir",  work, "redirect_dir", "nofollow",
	    "metacopy", "off", "index",    "off", "volatile", NULL, NULL,
	};
	fd = pa_task_make_file_system("overlay", options, MOUNT_ATTR_NODEV);
	if (fd < 0)
		return explain_scratch(layers, over, err);
	*ret_tree_fd = fd;
	return 0;
}

/* ---- the root in one piece ---- */

static int make_whole(struct layers *layers, int point_fd, struct pa_error *err)
{
	PA_AUTO_CLOSE int lower_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	PA_AUTO_CLOSE int tree_fd = -1;
	int failed = make_overlay(layers, lower_fd, layers->upper_fd, "/", &tree_fd, err);

	if (!failed && pa_task_attach(tree_fd, point_fd) != 0)
		failed = pa_error_set_errno(err, errno, "cannot mount the task's root at %.500s/root",
		                            layers->scratch);
	return failed;
}

/* ---- the root split ---- */

/* A folder of the same name and mode in `parent_fd`; gives its O_PATH descriptor or -1 and errno. */
static int copy_folder(int parent_fd, const char *name, const struct stat *status)
{
	int fd;

	if (mkdirat(parent_fd, name, 0700) != 0)
		return -1;
	if (fchownat(parent_fd, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) != 0 ||
	    fchmodat(parent_fd, name, status->st_mode & 07777, 0) != 0)
		return -1;
	fd = openat(parent_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd;
}

static int copy_link(const char *path, int parent_fd, const char *name)
{
	char text[PATH_MAX];
	ssize_t length = readlink(path, text, sizeof(text) - 1);

	if (length < 0)
		return -1;
	text[length] = '\0';
	return symlinkat(text, parent_fd, name);
}

/* A file beside the way to scratch: shown as it is, read-only, so that it need not be copied. */
static int show_file(const char *path, int upper_fd, int root_fd, const char *name)
{
	PA_AUTO_CLOSE int file_fd = openat(upper_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	PA_AUTO_CLOSE int point_fd = openat(root_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	PA_AUTO_CLOSE int tree_fd = pa_task_copy_tree(AT_FDCWD, path, false, MOUNT_ATTR_RDONLY);

	return file_fd < 0 || point_fd < 0 || tree_fd < 0 ? -1 : pa_task_attach(tree_fd, point_fd);
}

/* Nothing to see through to: an empty folder, or the mount point of another file system (the machine's other disks
 * are mounted there later). An overlay costs half a millisecond, and most machines have many such folders. */
static bool is_bare(const struct layers *layers, int folder_fd, const struct stat *status)
{
	int fd = status->st_dev == layers->device ? openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
	                                          : -1;
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	unsigned int count = 0;

	if (status->st_dev != layers->device)
		return true;
	if (!folder) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (count < 3 && readdir(folder))
		count++;
	closedir(folder);
	return count < 3; /* "." and ".." */
}

static int show_folder(struct layers *layers, const char *path, int upper_fd, int root_fd, const char *name,
                       const struct stat *status, struct pa_error *err)
{
	PA_AUTO_CLOSE int lower_fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	PA_AUTO_CLOSE int layer_fd = copy_folder(upper_fd, name, status);
	PA_AUTO_CLOSE int point_fd = -1;
	PA_AUTO_CLOSE int tree_fd = -1;
	int failed;

	if (lower_fd < 0 || layer_fd < 0)
		return pa_error_set_errno(err, errno, "cannot show %.500s to the task", path);
	if (is_bare(layers, lower_fd, status))
		return 0;
	/* The mount point is the writable layer itself: hidden below the overlay, where nobody can change it. */
	point_fd = openat(root_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	failed = make_overlay(layers, lower_fd, layer_fd, path, &tree_fd, err);
	if (!failed && (point_fd < 0 || pa_task_attach(tree_fd, point_fd) != 0))
		failed = pa_error_set_errno(err, errno, "cannot mount the task's %.500s", path);
	return failed;
}

static int split_folder(struct layers *layers, const char *path, int upper_fd, int root_fd,
                        struct pa_error *err);

static int split_way(struct layers *layers, const char *path, int upper_fd, int root_fd, const char *name,
                     const struct stat *status, struct pa_error *err)
{
	PA_AUTO_CLOSE int layer_fd = copy_folder(upper_fd, name, status);
	PA_AUTO_CLOSE int point_fd = openat(root_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (layer_fd < 0 || point_fd < 0)
		return pa_error_set_errno(err, errno, "cannot show %.500s to the task", path);
	/* The task gets its own in place of these; scratch itself it does not see. */
	if (pa_task_has_own_folder(path) || strcmp(path, layers->real_scratch) == 0)
		return 0;
	return split_folder(layers, path, layer_fd, point_fd, err);
}

static int show_entry(struct layers *layers, const char *path, int upper_fd, int root_fd, const char *name,
                      struct pa_error *err)
{
	struct stat status;

	if (++layers->entry_count > MAX_SPLIT_ENTRIES)
		return pa_error_set(
		    err, PA_ERROR_PERMANENT,
		    "over %d files and folders lie beside the way to the scratch folder %.500s; set "
		    "PIPEAHEAD_SCRATCH to a folder whose parents hold little else",
		    MAX_SPLIT_ENTRIES, layers->scratch);
	if (lstat(path, &status) != 0)
		return errno == ENOENT ? 0 : pa_error_set_errno(err, errno, "cannot look at %.500s", path);
	if (S_ISDIR(status.st_mode)) {
		if (pa_task_has_own_folder(path) || pa_task_is_below(layers->real_scratch, path))
			return split_way(layers, path, upper_fd, root_fd, name, &status, err);
		return show_folder(layers, path, upper_fd, root_fd, name, &status, err);
	}
	if ((S_ISLNK(status.st_mode) && copy_link(path, upper_fd, name) != 0) ||
	    (S_ISREG(status.st_mode) && show_file(path, upper_fd, root_fd, name) != 0))
		return pa_error_set_errno(err, errno, "cannot show %.500s to the task", path);
	return 0;
}

/* `path` here, `upper_fd` in scratch/upper, `root_fd` in the task's root are the same folder. */
static int split_folder(struct layers *layers, const char *path, int upper_fd, int root_fd,
                        struct pa_error *err)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	int failed = 0;

	if (!folder)
		return pa_error_set_errno(err, errno, "cannot list %.500s", path);
	while (!failed && (entry = readdir(folder))) {
		char below[PATH_MAX];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    strcmp(entry->d_name, "lost+found") == 0)
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", path[1] ? path : "", entry->d_name) >=
		    (int)sizeof(below))
			failed =
			    pa_error_set_errno(err, ENAMETOOLONG, "cannot show %.500s to the task", path);
		else
			failed = show_entry(layers, below, upper_fd, root_fd, entry->d_name, err);
	}
	closedir(folder);
	return failed;
}

static int make_split(struct layers *layers, int point_fd, struct pa_error *err)
{
	PA_AUTO_FREE char *real_scratch = realpath(layers->scratch, NULL);
	PA_AUTO_CLOSE int tree_fd = pa_task_copy_tree(layers->upper_fd, "", false, MOUNT_ATTR_NODEV);
	PA_AUTO_CLOSE int root_fd = -1;

	if (!real_scratch || tree_fd < 0 || pa_task_attach(tree_fd, point_fd) != 0)
		return pa_error_set_errno(err, errno, "cannot mount the task's root at %.500s/root",
		                          layers->scratch);
	root_fd = openat(layers->scratch_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return pa_error_set_errno(err, errno, "cannot open %.500s/root", layers->scratch);
	layers->real_scratch = real_scratch;
	return split_folder(layers, "/", layers->upper_fd, root_fd, err);
}

/* ---- the whole ---- */

static int make_scratch_folder(const struct layers *layers, const char *name, mode_t mode,
                               struct pa_error *err)
{
	if (mkdirat(layers->scratch_fd, name, 0755) != 0) {
		if (errno == EEXIST)
			return pa_error_set(
			    err, PA_ERROR_BUG,
			    "the scratch folder %.500s was used before: every task needs one of its own",
			    layers->scratch);
		return pa_error_set_errno(err, errno, "cannot make %.500s/%s", layers->scratch, name);
	}
	if (fchmodat(layers->scratch_fd, name, mode, 0) != 0)
		return pa_error_set_errno(err, errno, "cannot set the mode of %.500s/%s", layers->scratch,
		                          name);
	return 0;
}

static int make_scratch_folders(const struct layers *layers, struct pa_error *err)
{
	static const struct {
		const char *name;
		mode_t mode;
	} folders[] = {{"upper", 0755}, {"work", 0755},     {"root", 0755},
	               {"tmp", 01777},  {"var_tmp", 01777}, {"run", 0755}};
	int failed = 0;

	for (size_t i = 0; !failed && i < PA_ARRAY_LENGTH(folders); i++)
		failed = make_scratch_folder(layers, folders[i].name, folders[i].mode, err);
	return failed;
}

int pa_task_layers_mount(const char *scratch, int scratch_fd, int *ret_root_fd, struct pa_error *err)
{
	struct layers layers = {.scratch = scratch, .scratch_fd = scratch_fd};
	int root_fd, failed = make_scratch_folders(&layers, err);
	PA_AUTO_CLOSE int upper_fd = openat(scratch_fd, "upper", O_PATH | O_DIRECTORY | O_CLOEXEC);
	PA_AUTO_CLOSE int point_fd = openat(scratch_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat here, there;

	if (failed)
		return failed;
	if (upper_fd < 0 || point_fd < 0 || fstat(upper_fd, &here) != 0 || stat("/", &there) != 0)
		return pa_error_set_errno(err, errno, "cannot look at the scratch folder %.500s", scratch);
	layers.upper_fd = upper_fd;
	layers.device = here.st_dev;
	failed = here.st_dev == there.st_dev ? make_split(&layers, point_fd, err)
	                                     : make_whole(&layers, point_fd, err);
	if (failed)
		return failed;
	root_fd = openat(scratch_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return pa_error_set_errno(err, errno, "cannot open %.500s/root", scratch);
	*ret_root_fd = root_fd;
	return 0;
}
