/* SPDX-License-Identifier: Apache-2.0 */
/* What a run has made, as hashes, so that two runs can be compared byte for byte. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "run/run_internal.h"

#define READ_BLOCK_BYTES (1u << 20)
#define HASH_DEADLINE_NS (600LL * PA_NS_PER_SECOND)

/* --- hashes --- */

static struct pa_run_output *add_output(struct pa_run *run, const char *name)
{
	struct pa_run_report *report = run->report;

	report->outputs = pa_arena_grow(&report->arena, report->outputs, report->output_count,
	                                &run->output_capacity, sizeof(*report->outputs));
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
	PA_AUTO_FREE char *block = malloc(READ_BLOCK_BYTES);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	ssize_t got;
	int result = 0;

	if (block == NULL || context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
		abort();
	while ((got = read(fd, block, READ_BLOCK_BYTES)) > 0) {
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
			                   pa_arena_printf(&run->report->arena, "%s/%s", name, entry->d_name),
			                   err);
	closedir(entries);
	return result;
}

int run_outputs_hash(struct pa_run *run, const struct pa_instance *instance, const char *const *parameters,
                     const char *const *artifacts, struct pa_error *err)
{
	struct pa_arena *arena = &run->report->arena;
	int result = 0;

	for (size_t i = 0; i < instance->output_parameter_count; i++)
		if (parameters[i] != NULL)
			hash_bytes(add_output(run, pa_arena_printf(arena, "%s%s/%s", instance->task_id,
			                                           instance->suffix,
			                                           instance->output_parameters[i].name)),
			           parameters[i], strlen(parameters[i]));
	for (size_t i = 0; i < instance->output_artifact_count && result == 0; i++)
		if (artifacts[i] != NULL)
			result =
			    hash_tree(run, AT_FDCWD, artifacts[i],
			              pa_arena_printf(arena, "%s%s/%s", instance->task_id, instance->suffix,
			                              instance->output_artifacts[i].name),
			              err);
	return result;
}

/* --- what was written to the sources --- */

static int hash_stored(struct pa_store *store, const struct run_data_set *set,
                       const struct pa_store_entry *entry, const struct pa_store_call *call,
                       struct pa_run_output *output, struct pa_error *err)
{
	PA_AUTO_FREE char *path = NULL;
	PA_AUTO_FREE char *block = malloc(READ_BLOCK_BYTES);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int result = 0;

	if (asprintf(&path, "%s%s%s", set->root, set->root[0] != '\0' && entry->path[0] != '\0' ? "/" : "",
	             entry->path) < 0 ||
	    block == NULL || context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
		abort();
	for (size_t got = 1; result == 0 && got > 0;) {
		result =
		    pa_store_read(store, path, NULL, output->bytes, block, READ_BLOCK_BYTES, &got, call, err);
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
		if (entry->kind != PA_ENTRY_FILE ||
		    (before != NULL && pa_hash_equal(before->version, entry->version)))
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
		qsort(run->report->outputs, run->report->output_count, sizeof(*run->report->outputs),
		      compare_outputs);
	return result;
}
