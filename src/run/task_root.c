/* SPDX-License-Identifier: Apache-2.0 */
/* The file tree of a task.  Everything is mounted through descriptors: a mount point is first opened inside the new
 * root with links kept inside it, so no link of the machine, of a volume, or of an earlier bind can lead a mount
 * elsewhere, and no path or option needs escaping. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "run/sandbox_internal.h"

#define MAX_MOUNT_TABLE_BYTES (32u << 20)
#define IN_ROOT               (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
#define BENEATH               (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)

/* ---- paths ---- */

int pa_task_open_beneath(int folder_fd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};

	/* EAGAIN: some mount or rename on the machine happened while ".." was walked; with many tasks starting at
	 * once that is common, and it is never lasting. */
	for (int attempt = 0;; attempt++) {
		int fd = (int)syscall(SYS_openat2, folder_fd, path, &how, sizeof(how));

		if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || attempt == 10000)
			return fd;
	}
}

/* mkdir -p of `path` under `base_fd`; gives an O_PATH descriptor of it, or -1 and errno. */
static int open_or_make_folder(int base_fd, const char *path, uint64_t resolve)
{
	char prefix[PATH_MAX];
	size_t length = strlen(path);
	int parent_fd = -1;
	int fd = pa_task_open_beneath(base_fd, path, O_PATH, resolve);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	memcpy(prefix, path, length + 1);
	for (size_t start = 0, end; start < length; start = end + 1) {
		end = start + strcspn(prefix + start, "/");
		if (end == start)
			continue;
		prefix[end] = '\0';
		fd = pa_task_open_beneath(base_fd, prefix, O_PATH, resolve);
		if (fd < 0 && errno == ENOENT &&
		    mkdirat(parent_fd >= 0 ? parent_fd : base_fd, prefix + start, 0755) == 0)
			fd = pa_task_open_beneath(base_fd, prefix, O_PATH, resolve);
		if (parent_fd >= 0) {
			int saved_errno = errno;

			close(parent_fd);
			errno = saved_errno;
		}
		parent_fd = fd;
		if (fd < 0)
			return -1;
		prefix[end] = path[end];
	}
	return parent_fd;
}

/* The same for a file's mount point: its folders are made, and an empty file. */
static int open_or_make_file(int root_fd, const char *path)
{
	char folder[PATH_MAX];
	PA_AUTO_CLOSE int folder_fd = -1;
	PA_AUTO_CLOSE int file_fd = -1;
	int fd = pa_task_open_beneath(root_fd, path, O_PATH, IN_ROOT);
	char *name;

	if (fd >= 0 || errno != ENOENT)
		return fd;
	snprintf(folder, sizeof(folder), "%s", path);
	name = strrchr(folder, '/');
	*name++ = '\0';
	folder_fd = open_or_make_folder(root_fd, folder[0] ? folder : "/", IN_ROOT);
	if (folder_fd < 0)
		return -1;
	file_fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (file_fd < 0)
		return -1;
	return pa_task_open_beneath(root_fd, path, O_PATH, IN_ROOT);
}

static int open_mount_point(int root_fd, const char *target, bool is_folder, int *ret_fd,
                            struct pa_error *err)
{
	int fd =
	    is_folder ? open_or_make_folder(root_fd, target, IN_ROOT) : open_or_make_file(root_fd, target);

	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (errno == EROFS)
		return pa_error_set_errno(
		    err, errno,
		    "the mount point \"%.300s\" is missing and what lies above it is read-only; make "
		    "an empty %s of that name there, or mount elsewhere",
		    target, is_folder ? "folder" : "file");
	return pa_error_set_errno(err, errno, "cannot make the mount point \"%.300s\"", target);
}

/* ---- mounts ---- */

/* A copy of the mount at `folder_fd`/`path`, not yet attached anywhere. */
int pa_task_copy_tree(int folder_fd, const char *path, bool recursive, uint64_t attributes)
{
	unsigned int recurse = recursive ? AT_RECURSIVE : 0;
	struct mount_attr change = {.attr_set = attributes, .propagation = MS_PRIVATE};
	int fd = open_tree(folder_fd, path,
	                   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | recurse);

	if (fd >= 0 && mount_setattr(fd, "", AT_EMPTY_PATH | recurse, &change, sizeof(change)) != 0) {
		int saved_errno = errno;

		close(fd);
		errno = saved_errno;
		fd = -1;
	}
	return fd;
}

int pa_task_attach(int tree_fd, int point_fd)
{
	return move_mount(tree_fd, "", point_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static bool is_folder(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

/* A new file system of a kernel's type with options, key and value in turn; -1 and errno. */
int pa_task_make_file_system(const char *type, const char *const options[], uint64_t attributes)
{
	PA_AUTO_CLOSE int context_fd = fsopen(type, FSOPEN_CLOEXEC);

	if (context_fd < 0)
		return -1;
	fsconfig(context_fd, FSCONFIG_SET_STRING, "source", "pipeahead", 0);
	for (size_t i = 0; options[i]; i += 2) {
		enum fsconfig_command command = options[i + 1] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

		if (fsconfig(context_fd, command, options[i], options[i + 1], 0) != 0)
			return -1;
		if (!options[i + 1])
			break;
	}
	if (fsconfig(context_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return -1;
	return fsmount(context_fd, FSMOUNT_CLOEXEC, (unsigned int)attributes);
}

/* ---- the machine's other disks ---- */

bool pa_task_is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool pa_task_has_own_folder(const char *path)
{
	static const char *const own_folders[] = {"/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp"};

	for (size_t i = 0; i < PA_ARRAY_LENGTH(own_folders); i++) {
		if (pa_task_is_below(path, own_folders[i]))
			return true;
	}
	return false;
}

/* Files of people and programs: on a disk or a server.  Not the kernel's own file systems, not those in memory, not
 * another program's (FUSE, overlays of containers): what a task needs of those, it is given as a bind. */
static bool is_disk(const char *type, const char *mount_point)
{
	static const char *const other_types[] = {
	    "autofs",     "binfmt_misc", "bpf",      "cgroup",  "cgroup2", "configfs", "debugfs",
	    "devpts",     "devtmpfs",    "efivarfs", "fuse",    "fuseblk", "fusectl",  "hugetlbfs",
	    "mqueue",     "nsfs",        "overlay",  "proc",    "pstore",  "ramfs",    "rpc_pipefs",
	    "securityfs", "sysfs",       "tmpfs",    "tracefs",
	};

	for (size_t i = 0; i < PA_ARRAY_LENGTH(other_types); i++) {
		if (strcmp(type, other_types[i]) == 0)
			return false;
	}
	return strncmp(type, "fuse.", 5) != 0 && strcmp(mount_point, "/") != 0 &&
	       !pa_task_has_own_folder(mount_point);
}

/* "\040" and the like, in place. */
static void unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in; out++) {
		bool escaped = in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' &&
		               in[2] <= '7' && in[3] >= '0' && in[3] <= '7';

		*out = escaped ? (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0')) : *in;
		in += escaped ? 4 : 1;
	}
	*out = '\0';
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw": mount point and type. */
static bool parse_mount(char *line, char **ret_mount_point, char **ret_type)
{
	char *separator = strstr(line, " - ");
	char *fields[5];
	char *rest = line;

	if (!separator)
		return false;
	*separator = '\0';
	for (size_t i = 0; i < PA_ARRAY_LENGTH(fields); i++) {
		fields[i] = strsep(&rest, " ");
		if (!fields[i])
			return false;
	}
	*ret_mount_point = fields[4];
	*ret_type = separator + 3;
	(*ret_type)[strcspn(*ret_type, " ")] = '\0';
	unescape(*ret_mount_point);
	return true;
}

/* A disk that is not reachable any more, or is hidden behind a later mount, is left out. */
static void show_disk(int root_fd, const char *mount_point)
{
	PA_AUTO_CLOSE int tree_fd = pa_task_copy_tree(AT_FDCWD, mount_point, false, MOUNT_ATTR_RDONLY);
	PA_AUTO_CLOSE int point_fd = -1;

	if (tree_fd >= 0)
		point_fd = pa_task_open_beneath(root_fd, mount_point, O_PATH, IN_ROOT | RESOLVE_NO_SYMLINKS);
	if (point_fd >= 0)
		pa_task_attach(tree_fd, point_fd);
}

static int show_disks(int root_fd, struct pa_error *err)
{
	struct pa_buffer table;
	char *rest, *line, *mount_point, *type;
	int failed = pa_buffer_read_file("/proc/self/mountinfo", MAX_MOUNT_TABLE_BYTES, &table, err);

	if (failed)
		return pa_error_wrap(err, "reading this machine's mounts");
	rest = table.data;
	while ((line = strsep(&rest, "\n"))) {
		if (parse_mount(line, &mount_point, &type) && is_disk(type, mount_point))
			show_disk(root_fd, mount_point);
	}
	pa_buffer_done(&table);
	return 0;
}

/* ---- the kernel's folders ---- */

static int show_machine_folder(int root_fd, const char *path, struct pa_error *err)
{
	PA_AUTO_CLOSE int tree_fd = pa_task_copy_tree(AT_FDCWD, path, true, MOUNT_ATTR_RDONLY);
	PA_AUTO_CLOSE int point_fd = -1;
	int failed;

	if (tree_fd < 0)
		return pa_error_set_errno(err, errno, "cannot show %s to the task", path);
	failed = open_mount_point(root_fd, path, true, &point_fd, err);
	if (!failed && pa_task_attach(tree_fd, point_fd) != 0)
		failed = pa_error_set_errno(err, errno, "cannot mount %s in the task", path);
	return failed;
}

static int mount_new(int root_fd, const char *type, const char *path, const char *const options[],
                     struct pa_error *err)
{
	PA_AUTO_CLOSE int tree_fd =
	    pa_task_make_file_system(type, options, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
	PA_AUTO_CLOSE int point_fd = -1;
	int failed;

	if (tree_fd < 0)
		return pa_error_set_errno(err, errno, "cannot make a new %s for the task", path);
	failed = open_mount_point(root_fd, path, true, &point_fd, err);
	if (!failed && pa_task_attach(tree_fd, point_fd) != 0)
		failed = pa_error_set_errno(err, errno, "cannot mount a new %s in the task", path);
	return failed;
}

/* Files of /proc that root may write and that act on the whole machine; as in every container they are read-only. */
static int protect_proc(int root_fd, struct pa_error *err)
{
	static const char *const paths[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys",
	                                    "proc/sysrq-trigger"};

	for (size_t i = 0; i < PA_ARRAY_LENGTH(paths); i++) {
		PA_AUTO_CLOSE int point_fd = openat(root_fd, paths[i], O_PATH | O_CLOEXEC);
		PA_AUTO_CLOSE int tree_fd = -1;

		if (point_fd < 0 && errno == ENOENT)
			continue; /* not in every kernel */
		tree_fd = pa_task_copy_tree(point_fd, "", false, MOUNT_ATTR_RDONLY);
		if (tree_fd < 0 || pa_task_attach(tree_fd, point_fd) != 0)
			return pa_error_set_errno(err, errno, "cannot make /%s read-only in the task",
			                          paths[i]);
	}
	return 0;
}

static int mount_kernel_folders(int root_fd, struct pa_error *err)
{
	static const char *const no_options[] = {NULL};
	static const char *const shared_memory[] = {"mode", "1777", NULL};
	int failed = show_machine_folder(root_fd, "/dev", err);

	if (!failed)
		failed = show_machine_folder(root_fd, "/sys", err);
	if (!failed)
		failed = mount_new(root_fd, "proc", "/proc", no_options, err);
	if (!failed)
		failed = protect_proc(root_fd, err);
	if (!failed && access("/dev/shm", F_OK) == 0)
		failed = mount_new(root_fd, "tmpfs", "/dev/shm", shared_memory, err);
	return failed;
}

/* ---- folders of its own, and what it is given ---- */

static int mount_at(int root_fd, int source_fd, const char *target, bool read_only, struct pa_error *err)
{
	PA_AUTO_CLOSE int tree_fd = pa_task_copy_tree(source_fd, "", true, read_only ? MOUNT_ATTR_RDONLY : 0);
	PA_AUTO_CLOSE int point_fd = -1;
	int failed;

	if (tree_fd < 0)
		return pa_error_set_errno(err, errno, "cannot copy the mount");
	failed = open_mount_point(root_fd, target, is_folder(source_fd), &point_fd, err);
	if (failed)
		return failed;
	if (is_folder(source_fd) != is_folder(point_fd))
		return pa_error_set(err, PA_ERROR_INPUT, "a %s cannot be mounted on a %s",
		                    is_folder(source_fd) ? "folder" : "file",
		                    is_folder(point_fd) ? "folder" : "file");
	if (pa_task_attach(tree_fd, point_fd) != 0)
		return pa_error_set_errno(err, errno, "cannot attach the mount");
	return 0;
}

static int mount_fresh_folders(int root_fd, int scratch_fd, struct pa_error *err)
{
	static const struct {
		const char *layer, *target;
	} folders[] = {{"tmp", "/tmp"}, {"var_tmp", "/var/tmp"}, {"run", "/run"}};

	for (size_t i = 0; i < PA_ARRAY_LENGTH(folders); i++) {
		PA_AUTO_CLOSE int source_fd =
		    openat(scratch_fd, folders[i].layer, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (source_fd < 0)
			return pa_error_set_errno(err, errno, "cannot open the task's own %s",
			                          folders[i].target);
		if (mount_at(root_fd, source_fd, folders[i].target, false, err) != 0)
			return pa_error_wrap(err, "the task's own %s", folders[i].target);
	}
	return 0;
}

static int open_source(const struct pa_sandbox_bind *bind, int *ret_fd, struct pa_error *err)
{
	PA_AUTO_CLOSE int source_fd = open(bind->source, O_PATH | O_CLOEXEC);
	int fd;

	if (source_fd < 0)
		return pa_error_set_errno(err, errno, "cannot open it");
	if (!bind->sub_path || bind->sub_path[0] == '\0') {
		*ret_fd = source_fd;
		source_fd = -1;
		return 0;
	}
	fd = bind->read_only ? pa_task_open_beneath(source_fd, bind->sub_path, O_PATH, BENEATH)
	                     : open_or_make_folder(source_fd, bind->sub_path, BENEATH);
	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (errno == EXDEV || errno == ELOOP)
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "its sub-path \"%.300s\" leads out of it through a symbolic link, which is not "
		    "followed; link within the volume by a relative path",
		    bind->sub_path);
	return pa_error_set_errno(err, errno, "cannot open%s its sub-path \"%.300s\"",
	                          bind->read_only ? "" : " or make", bind->sub_path);
}

static int mount_bind(int root_fd, const struct pa_sandbox_bind *bind, struct pa_error *err)
{
	PA_AUTO_CLOSE int source_fd = -1;
	int failed = open_source(bind, &source_fd, err);

	if (!failed)
		failed = mount_at(root_fd, source_fd, bind->target, bind->read_only, err);
	if (failed)
		return pa_error_wrap(err, "mounting %.200s at %.200s in the task", bind->source,
		                     bind->target);
	return 0;
}

/* Where /etc/resolv.conf is a link into /run (systemd-resolved), the task's own /run would leave it without names. */
static int mount_name_servers(int root_fd, struct pa_error *err)
{
	PA_AUTO_FREE char *path = realpath("/etc/resolv.conf", NULL);
	struct pa_sandbox_bind bind = {.source = path, .target = path, .read_only = true};

	return path && pa_task_is_below(path, "/run") ? mount_bind(root_fd, &bind, err) : 0;
}

/* ---- the whole ---- */

static int build(const struct pa_sandbox_options *options, int *ret_root_fd, struct pa_error *err)
{
	PA_AUTO_CLOSE int scratch_fd = open(options->scratch, O_PATH | O_DIRECTORY | O_CLOEXEC);
	PA_AUTO_CLOSE int root_fd = -1;
	int failed;

	if (scratch_fd < 0)
		return pa_error_set_errno(err, errno, "cannot open the task's scratch folder %.500s",
		                          options->scratch);
	failed = pa_task_layers_mount(options->scratch, scratch_fd, &root_fd, err);
	if (!failed)
		failed = show_disks(root_fd, err);
	if (!failed)
		failed = mount_kernel_folders(root_fd, err);
	if (!failed)
		failed = mount_fresh_folders(root_fd, scratch_fd, err);
	if (!failed)
		failed = mount_name_servers(root_fd, err);
	for (size_t i = 0; !failed && i < options->bind_count; i++)
		failed = mount_bind(root_fd, &options->binds[i], err);
	if (!failed) {
		*ret_root_fd = root_fd;
		root_fd = -1;
	}
	return failed;
}

/* Puts the new root over the old one, and lets the old one go with all that was mounted in it. */
static int change_root(int root_fd, struct pa_error *err)
{
	if (fchdir(root_fd) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
	    chdir("/") != 0)
		return pa_error_set_errno(err, errno, "cannot change to the task's root");
	return 0;
}

static int make_folders(const struct pa_sandbox_options *options, struct pa_error *err)
{
	PA_AUTO_CLOSE int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; options->directories[i]; i++) {
		PA_AUTO_CLOSE int fd = open_or_make_folder(root_fd, options->directories[i], IN_ROOT);

		if (fd < 0)
			return pa_error_set_errno(err, errno, "cannot make the folder %.500s in the task",
			                          options->directories[i]);
	}
	if (options->working_directory) {
		PA_AUTO_CLOSE int fd = open_or_make_folder(root_fd, options->working_directory, IN_ROOT);

		if (fd < 0 || fchdir(fd) != 0)
			return pa_error_set_errno(err, errno,
			                          "cannot use %.500s as the task's working directory",
			                          options->working_directory);
	}
	return 0;
}

int pa_task_root_enter(const struct pa_sandbox_options *options, struct pa_error *err)
{
	PA_AUTO_CLOSE int root_fd = -1;
	int failed;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return pa_error_set_errno(err, errno, "cannot make the task's mounts its own");
	failed = build(options, &root_fd, err);
	if (!failed)
		failed = change_root(root_fd, err);
	if (!failed)
		failed = make_folders(options, err);
	return failed;
}
