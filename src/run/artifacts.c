/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs: taken from a task that has ended, kept for those that take them as inputs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "run/run_internal.h"

#define COPY_BLOCK_BYTES   (1u << 20)
#define ARTIFACT_MAX_DEPTH 64

/* An output where its task left it: a file of the task's own scratch or of a folder (`fd`), or one of a data set. */
struct output {
	int fd;   /* -1: in a data set */
	bool own; /* in the task's scratch, which nobody writes any more */
	struct pa_data_set *data_set;
	struct pa_attributes attributes;
};

static const struct run_view *find_view(const struct run_instance *instance, const char *path)
{
	const struct run_view *best = NULL;
	size_t best_length = 0;

	for (size_t i = 0; i < instance->view_count; i++) {
		const struct run_view *view = &instance->views[i];
		size_t length = strlen(view->target);
		if (strncmp(path, view->target, length) != 0 || (path[length] != '/' && path[length] != '\0'))
			continue;
		if (best == NULL || length > best_length) {
			best = view;
			best_length = length;
		}
	}
	return best;
}

/* Links within the folder are followed; a task that made one to elsewhere does not get what is there. */
static int open_in_folder(const struct run_view *view, const char *path, const char *rest, struct output *ret,
                          struct pa_error *err)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
	                       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	PA_AUTO_CLOSE int root = open(view->source_path, O_PATH | O_CLOEXEC);
	PA_AUTO_FREE char *below = NULL;
	struct stat status;

	if (asprintf(&below, "%s%s%s", view->root_path,
	             view->root_path[0] != '\0' && rest[0] != '\0' ? "/" : "", rest) < 0)
		abort();
	if (root < 0)
		return pa_error_set_errno(err, errno, "%s", view->source_path);
	long fd = below[0] == '\0' ? open(view->source_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
	                           : syscall(SYS_openat2, root, below, &how, sizeof(how));
	if (fd < 0)
		return pa_error_set_errno(err, errno, "%s", path);
	ret->fd = (int)fd;
	if (fstat(ret->fd, &status) < 0 || (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)))
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "is neither a file nor a folder, but a device, pipe or socket; write a file or "
		    "folder there");
	return 0;
}

static int open_output(const struct run_instance *instance, const char *path, struct output *ret,
                       struct pa_error *err)
{
	const struct run_view *view = find_view(instance, path);

	*ret = (struct output){.fd = -1};
	if (view == NULL) {
		ret->own = true;
		return pa_sandbox_open_output(instance->sandbox_folder, path, &ret->fd, err);
	}
	const char *rest = path + strlen(view->target);
	rest += strspn(rest, "/");
	if (view->served == NULL)
		return open_in_folder(view, path, rest, ret, err);
	/* Never through our own mount: killed while it waits for itself, a process could not end. */
	ret->data_set = view->served;
	int result = run_tree_find(view->served, view->root_path, &ret->attributes, err);
	if (result == 0)
		result =
		    run_tree_find_below(view->served, ret->attributes.inode, rest, &ret->attributes, err);
	return result;
}

static void close_output(const struct output *output)
{
	if (output->fd >= 0)
		close(output->fd);
}

/* --- parameters --- */

/* Up to `room` bytes from the beginning. */
static int read_beginning(struct pa_run *run, const struct output *output, char *text, size_t room,
                          size_t *ret_length, struct pa_error *err)
{
	size_t length = 0;
	ssize_t got;

	if (output->fd < 0)
		return run_tree_read(run, output->data_set, output->attributes.inode, text, room, ret_length,
		                     err);
	while (length < room && (got = read(output->fd, text + length, room - length)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return pa_error_set_errno(err, errno, "cannot be read");
		length += (size_t)got;
	}
	*ret_length = length;
	return 0;
}

static int read_parameter(struct pa_run *run, const struct output *output, const char **ret,
                          struct pa_error *err)
{
	PA_AUTO_FREE char *text = malloc(PA_ENGINE_MAX_PARAMETER_BYTES + 1);
	size_t length;

	if (text == NULL)
		abort();
	int result = read_beginning(run, output, text, PA_ENGINE_MAX_PARAMETER_BYTES + 1, &length, err);
	if (result < 0)
		return result;
	if (length > PA_ENGINE_MAX_PARAMETER_BYTES)
		return pa_error_set(err, PA_ERROR_PERMANENT,
		                    "is larger than 256 KiB; pass it as an artifact");
	/* One newline at the end goes, as Argo takes it. */
	if (length > 0 && text[length - 1] == '\n')
		length--;
	if (memchr(text, '\0', length) != NULL)
		return pa_error_set(err, PA_ERROR_PERMANENT, "holds a NUL byte; pass it as an artifact");
	*ret = pa_arena_strndup(&run->arena, text, length);
	return 0;
}

static int take_parameter(struct pa_run *run, struct run_instance *ended,
                          const struct pa_instance_output *output, const char **ret, struct pa_error *err)
{
	struct output found;

	if (output->path == NULL || output->path[0] == '\0') {
		*ret = output->default_value;
		return 0;
	}
	int result = open_output(ended, output->path, &found, err);
	if (result < 0 && err->class == PA_ERROR_NOT_FOUND && output->default_value != NULL) {
		*ret = output->default_value;
		return 0;
	}
	if (result == 0)
		result = read_parameter(run, &found, ret, err);
	close_output(&found);
	if (result < 0)
		return pa_error_wrap(err, "task %s%s: output parameter %s at %s", ended->instance->task_id,
		                     ended->instance->suffix, output->name, output->path);
	return 0;
}

/* --- artifacts --- */

static int copy_bytes(int from, int to, struct pa_error *err)
{
	PA_AUTO_FREE char *block = malloc(COPY_BLOCK_BYTES);
	ssize_t got;

	if (block == NULL)
		abort();
	while ((got = read(from, block, COPY_BLOCK_BYTES)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return pa_error_set_errno(err, errno, "cannot be read");
		for (ssize_t done = 0; done < got;) {
			ssize_t put = write(to, block + done, (size_t)(got - done));
			if (put < 0 && errno != EINTR)
				return pa_error_set_errno(err, errno, "cannot be kept for later tasks");
			done += put > 0 ? put : 0;
		}
	}
	return 0;
}

static int keep_file(int from, const struct stat *status, int folder, const char *name, bool own,
                     struct pa_error *err)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", from);
	if (own && linkat(AT_FDCWD, self, folder, name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	PA_AUTO_CLOSE int to =
	    openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, status->st_mode & 0777);
	if (to < 0)
		return pa_error_set_errno(err, errno, "cannot be kept for later tasks");
	return copy_bytes(from, to, err);
}

static int keep_tree(int from, int folder, const char *name, bool own, unsigned depth, struct pa_error *err);

static int keep_link(int from, const char *name, int folder, struct pa_error *err)
{
	char target[4096];
	ssize_t length = readlinkat(from, name, target, sizeof(target) - 1);

	if (length < 0)
		return pa_error_set_errno(err, errno, "%s cannot be read", name);
	target[length] = '\0';
	return symlinkat(target, folder, name) == 0
	           ? 0
	           : pa_error_set_errno(err, errno, "%s cannot be kept", name);
}

/* Sockets, pipes and devices are no data (and the overlay's mark for a deleted file is a device). */
static int keep_entry(int from, const char *name, int folder, bool own, unsigned depth, struct pa_error *err)
{
	struct stat status;

	if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return pa_error_set_errno(err, errno, "%s cannot be read", name);
	if (S_ISLNK(status.st_mode))
		return keep_link(from, name, folder, err);
	if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
		return 0;
	PA_AUTO_CLOSE int child = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (child < 0)
		return pa_error_set_errno(err, errno, "%s cannot be read", name);
	return keep_tree(child, folder, name, own, depth, err);
}

static int keep_folder(int from, int folder, const char *name, bool own, unsigned depth, struct pa_error *err)
{
	int result = 0;

	if (mkdirat(folder, name, 0755) < 0)
		return pa_error_set_errno(err, errno, "cannot be kept for later tasks");
	PA_AUTO_CLOSE int to = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *entries = fdopendir(dup(from));
	if (to < 0 || entries == NULL) {
		if (entries != NULL)
			closedir(entries);
		return pa_error_set_errno(err, errno, "cannot be read");
	}
	for (struct dirent *entry; result == 0 && (entry = readdir(entries)) != NULL;) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = keep_entry(from, entry->d_name, to, own, depth + 1, err);
	}
	closedir(entries);
	return result;
}

static int keep_tree(int from, int folder, const char *name, bool own, unsigned depth, struct pa_error *err)
{
	struct stat status;

	if (fstat(from, &status) < 0)
		return pa_error_set_errno(err, errno, "cannot be read");
	if (S_ISREG(status.st_mode))
		return keep_file(from, &status, folder, name, own, err);
	if (depth > ARTIFACT_MAX_DEPTH)
		return pa_error_set(err, PA_ERROR_PERMANENT, "is nested deeper than %d folders",
		                    ARTIFACT_MAX_DEPTH);
	return keep_folder(from, folder, name, own, depth, err);
}

static int take_artifact(struct pa_run *run, struct run_instance *ended,
                         const struct pa_instance_output *output, const char **ret, struct pa_error *err)
{
	struct output found;
	PA_AUTO_CLOSE int folder = open(run->artifact_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[32];

	if (output->path == NULL || output->path[0] == '\0')
		return 0;
	int result = open_output(ended, output->path, &found, err);
	if (result < 0 && err->class == PA_ERROR_NOT_FOUND && output->optional)
		return 0;
	snprintf(name, sizeof(name), "%u", run->next_file++);
	if (result == 0 && found.fd >= 0)
		result = keep_tree(found.fd, folder, name, found.own, 0, err);
	else if (result == 0)
		result = run_tree_copy(run, found.data_set, &found.attributes, folder, name, err);
	close_output(&found);
	if (result < 0)
		return pa_error_wrap(err, "task %s%s: output artifact %s at %s", ended->instance->task_id,
		                     ended->instance->suffix, output->name, output->path);
	*ret = pa_arena_printf(&run->arena, "%s/%s", run->artifact_folder, name);
	return 0;
}

int run_outputs_take(struct pa_run *run, struct run_instance *ended, const char **parameters,
                     const char **artifacts, struct pa_error *err)
{
	const struct pa_instance *instance = ended->instance;
	int result = 0;

	for (size_t i = 0; i < instance->output_parameter_count && result == 0; i++)
		result = take_parameter(run, ended, &instance->output_parameters[i], &parameters[i], err);
	for (size_t i = 0; i < instance->output_artifact_count && result == 0; i++)
		result = take_artifact(run, ended, &instance->output_artifacts[i], &artifacts[i], err);
	if (result == 0 && run->options->keep_outputs)
		result = run_outputs_hash(run, instance, parameters, artifacts, err);
	return result;
}
