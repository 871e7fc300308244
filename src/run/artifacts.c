/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs: taken from a task that has ended, kept for those that take them as inputs, hashed for comparisons. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "run/run_internal.h"

#define COPY_BLOCK_BYTES      (1u << 20)
#define ARTIFACT_MAX_DEPTH    64
#define HASH_DEADLINE_NS      (600LL * PA_NS_PER_SECOND)

/* Where an output's bytes are: below one of the task's binds, or in its own scratch. */
static int open_in_bind(const struct run_instance *instance, const char *path, int *ret_fd, bool *ret_found,
                        struct pa_error *err)
{
	const struct run_view *best = NULL;
	size_t best_length = 0;

	*ret_found = false;
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
	if (best == NULL)
		return 0;
	*ret_found = true;
	PA_AUTO_CLOSE int root = open(best->source_path, O_PATH | O_CLOEXEC);
	if (root < 0)
		return pa_error_set_errno(err, errno, "%s", best->source_path);
	const char *rest = path + best_length;
	rest += strspn(rest, "/");
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
	                       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	long fd = rest[0] == '\0' ? open(best->source_path, O_RDONLY | O_CLOEXEC)
	                          : syscall(SYS_openat2, root, rest, &how, sizeof(how));
	if (fd < 0)
		return pa_error_set_errno(err, errno, "%s", path);
	*ret_fd = (int)fd;
	return 0;
}

/* `ret_own`: the file is in the task's own scratch, which nobody writes any more. */
static int open_output(const struct run_instance *instance, const char *path, int *ret_fd, bool *ret_own,
                       struct pa_error *err)
{
	bool found;
	int result = open_in_bind(instance, path, ret_fd, &found, err);

	*ret_own = !found;
	if (result < 0 || found)
		return result;
	return pa_sandbox_open_output(instance->folder, path, ret_fd, err);
}

/* --- parameters --- */

static int read_parameter(struct pa_run *run, int fd, const char **ret, struct pa_error *err)
{
	PA_AUTO_FREE char *text = malloc(PA_ENGINE_MAX_PARAMETER_BYTES + 1);
	size_t length = 0;
	ssize_t got;

	if (text == NULL)
		abort();
	while ((got = read(fd, text + length, PA_ENGINE_MAX_PARAMETER_BYTES + 1 - length)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return pa_error_set_errno(err, errno, "cannot be read");
		length += (size_t)got;
		if (length > PA_ENGINE_MAX_PARAMETER_BYTES)
			return pa_error_set(err, PA_ERROR_PERMANENT, "is larger than 256 KiB; pass it as an artifact");
	}
	/* One newline at the end goes, as Argo takes it. */
	if (length > 0 && text[length - 1] == '\n')
		length--;
	if (memchr(text, '\0', length) != NULL)
		return pa_error_set(err, PA_ERROR_PERMANENT, "holds a NUL byte; pass it as an artifact");
	*ret = pa_arena_strndup(&run->arena, text, length);
	return 0;
}

static int take_parameter(struct pa_run *run, struct run_instance *ended, const struct pa_instance_output *output,
                          const char **ret, struct pa_error *err)
{
	PA_AUTO_CLOSE int fd = -1;
	bool own;

	if (output->path == NULL || output->path[0] == '\0') {
		*ret = output->default_value;
		return 0;
	}
	int result = open_output(ended, output->path, &fd, &own, err);
	if (result < 0 && err->class == PA_ERROR_NOT_FOUND && output->default_value != NULL) {
		*ret = output->default_value;
		return 0;
	}
	if (result == 0)
		result = read_parameter(run, fd, ret, err);
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
	PA_AUTO_CLOSE int to = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, status->st_mode & 0777);
	if (to < 0)
		return pa_error_set_errno(err, errno, "cannot be kept for later tasks");
	return copy_bytes(from, to, err);
}

static int keep_tree(int from, int folder, const char *name, bool own, unsigned depth, struct pa_error *err);

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
		char target[4096];
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		ssize_t length = readlinkat(from, entry->d_name, target, sizeof(target) - 1);
		if (length >= 0) {
			target[length] = '\0';
			if (symlinkat(target, to, entry->d_name) < 0)
				result = pa_error_set_errno(err, errno, "%s cannot be kept", entry->d_name);
			continue;
		}
		PA_AUTO_CLOSE int child = openat(from, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (child < 0)
			result = pa_error_set_errno(err, errno, "%s cannot be read", entry->d_name);
		else
			result = keep_tree(child, to, entry->d_name, own, depth + 1, err);
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
	if (!S_ISDIR(status.st_mode)) /* a socket or pipe is no data */
		return 0;
	if (depth > ARTIFACT_MAX_DEPTH)
		return pa_error_set(err, PA_ERROR_PERMANENT, "is nested deeper than %d folders", ARTIFACT_MAX_DEPTH);
	return keep_folder(from, folder, name, own, depth, err);
}

static int take_artifact(struct pa_run *run, struct run_instance *ended, const struct pa_instance_output *output,
                         const char **ret, struct pa_error *err)
{
	PA_AUTO_CLOSE int fd = -1;
	PA_AUTO_CLOSE int folder = open(run->artifact_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool own;
	char name[32];

	if (output->path == NULL || output->path[0] == '\0')
		return 0;
	int result = open_output(ended, output->path, &fd, &own, err);
	if (result < 0 && err->class == PA_ERROR_NOT_FOUND && output->optional)
		return 0;
	snprintf(name, sizeof(name), "%u", run->next_file++);
	if (result == 0)
		result = keep_tree(fd, folder, name, own, 0, err);
	if (result < 0)
		return pa_error_wrap(err, "task %s%s: output artifact %s at %s", ended->instance->task_id,
		                     ended->instance->suffix, output->name, output->path);
	*ret = pa_arena_printf(&run->arena, "%s/%s", run->artifact_folder, name);
	return 0;
}

/* --- hashes --- */

static struct pa_run_output *add_output(struct pa_run *run, const char *name)
{
	struct pa_run_report *report = run->report;

	report->outputs = pa_arena_grow(&report->arena, report->outputs, report->output_count, &run->output_capacity,
	                                sizeof(*report->outputs));
	struct pa_run_output *output = &report->outputs[report->output_count++];
	*output = (struct pa_run_output){.name = name};
	return output;
}

static void hash_bytes(struct pa_run_output *output, const void *data, size_t bytes)
{
	output->bytes = bytes;
	if (EVP_Digest(data, bytes, output->sha256, NULL, EVP_sha256(), NULL) != 1)
		abort();
}

static int hash_file(int fd, struct pa_run_output *output, struct pa_error *err)
{
	PA_AUTO_FREE char *block = malloc(COPY_BLOCK_BYTES);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	ssize_t got;
	int result = 0;

	if (block == NULL || context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
		abort();
	while ((got = read(fd, block, COPY_BLOCK_BYTES)) > 0) {
		output->bytes += (uint64_t)got;
		EVP_DigestUpdate(context, block, (size_t)got);
	}
	if (got < 0)
		result = pa_error_set_errno(err, errno, "%s: cannot be read back", output->name);
	EVP_DigestFinal_ex(context, output->sha256, NULL);
	EVP_MD_CTX_free(context);
	return result;
}

/* A file, or every file below a folder, under `name`. */
static int hash_tree(struct pa_run *run, int folder, const char *path, const char *name, struct pa_error *err)
{
	struct stat status;
	PA_AUTO_CLOSE int fd = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status) < 0)
		return errno == ELOOP ? 0 : pa_error_set_errno(err, errno, "%s: cannot be read back", name);
	if (!S_ISDIR(status.st_mode))
		return hash_file(fd, add_output(run, name), err);
	DIR *entries = fdopendir(dup(fd));
	int result = 0;
	if (entries == NULL)
		return pa_error_set_errno(err, errno, "%s: cannot be read back", name);
	for (struct dirent *entry; result == 0 && (entry = readdir(entries)) != NULL;)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = hash_tree(run, fd, entry->d_name,
			                   pa_arena_printf(&run->report->arena, "%s/%s", name, entry->d_name), err);
	closedir(entries);
	return result;
}

static int hash_outputs(struct pa_run *run, const struct pa_instance *instance, const char *const *parameters,
                        const char *const *artifacts, struct pa_error *err)
{
	struct pa_arena *arena = &run->report->arena;
	int result = 0;

	for (size_t i = 0; i < instance->output_parameter_count; i++)
		if (parameters[i] != NULL)
			hash_bytes(add_output(run, pa_arena_printf(arena, "%s%s/%s", instance->task_id, instance->suffix,
			                                           instance->output_parameters[i].name)),
			           parameters[i], strlen(parameters[i]));
	for (size_t i = 0; i < instance->output_artifact_count && result == 0; i++)
		if (artifacts[i] != NULL)
			result = hash_tree(run, AT_FDCWD, artifacts[i],
			                   pa_arena_printf(arena, "%s%s/%s", instance->task_id, instance->suffix,
			                                   instance->output_artifacts[i].name),
			                   err);
	return result;
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
		result = hash_outputs(run, instance, parameters, artifacts, err);
	return result;
}

/* --- what was written to the sources --- */

static int hash_stored(struct pa_store *store, const struct run_data_set *set, const struct pa_store_entry *entry,
                       const struct pa_store_call *call, struct pa_run_output *output, struct pa_error *err)
{
	PA_AUTO_FREE char *path = NULL;
	PA_AUTO_FREE char *block = malloc(COPY_BLOCK_BYTES);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int result = 0;

	if (asprintf(&path, "%s%s%s", set->root, set->root[0] != '\0' && entry->path[0] != '\0' ? "/" : "",
	             entry->path) < 0 ||
	    block == NULL || context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
		abort();
	for (size_t got = 1; result == 0 && got > 0;) {
		result = pa_store_read(store, path, NULL, output->bytes, block, COPY_BLOCK_BYTES, &got, call, err);
		if (result < 0)
			break;
		EVP_DigestUpdate(context, block, got);
		output->bytes += got;
	}
	EVP_DigestFinal_ex(context, output->sha256, NULL);
	EVP_MD_CTX_free(context);
	return result;
}

static int hash_written(struct pa_run *run, const struct run_data_set *set, struct pa_error *err)
{
	struct pa_store_call call = run_call(run, HASH_DEADLINE_NS);
	/* Not through the slowed link: comparing is no part of the run. */
	struct pa_store_options options = {.location = set->store->location, .read_only = true};
	struct pa_store *store;
	struct pa_manifest *now;
	int result = pa_store_open(&options, &store, err);

	if (result < 0)
		return result;
	result = pa_manifest_list(store, set->root, &call, &now, err);
	if (result < 0) {
		pa_store_unref(store);
		return result;
	}
	for (size_t i = 0; i < now->entry_count && result == 0; i++) {
		const struct pa_store_entry *entry = &now->entries[i];
		const struct pa_store_entry *before = pa_manifest_find(set->first_manifest, entry->path);
		if (entry->kind != PA_ENTRY_FILE || (before != NULL && pa_hash_equal(before->version, entry->version)))
			continue;
		const char *name = pa_arena_printf(&run->report->arena, "%s/%s", set->name, entry->path);
		result = hash_stored(store, set, entry, &call, add_output(run, name), err);
	}
	pa_manifest_unref(now);
	pa_store_unref(store);
	return result;
}

static int compare_outputs(const void *a, const void *b)
{
	return strcmp(((const struct pa_run_output *)a)->name, ((const struct pa_run_output *)b)->name);
}

int run_written_hash(struct pa_run *run, struct pa_error *err)
{
	int result = 0;

	for (size_t i = 0; i < run->data_set_count && result == 0; i++)
		if (run->data_sets[i].first_manifest != NULL && !run->data_sets[i].read_only)
			result = hash_written(run, &run->data_sets[i], err);
	if (run->report->output_count > 0)
		qsort(run->report->outputs, run->report->output_count, sizeof(*run->report->outputs), compare_outputs);
	return result;
}
