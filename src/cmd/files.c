/* SPDX-License-Identifier: Apache-2.0 */
/* Files and folders of a command line. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/cmd.h"

/* `status` is NULL where there is no file to ask: standard input, or a name that leads nowhere. */
static int add_file(struct pa_arena *arena, struct pa_cmd_files *files, const char *path, bool in_folder,
                    const struct stat *status, struct pa_error *err)
{
	if (files->count == PA_CMD_MAX_FILES)
		return pa_error_set(err, PA_ERROR_INPUT, "%s: more than %d files; give fewer at a time", path,
		                    PA_CMD_MAX_FILES);
	files->items =
	    pa_arena_grow(arena, files->items, files->count, &files->capacity, sizeof(*files->items));
	files->items[files->count++] = (struct pa_cmd_file){.path = path,
	                                                    .in_folder = in_folder,
	                                                    .device = status == NULL ? 0 : status->st_dev,
	                                                    .inode = status == NULL ? 0 : status->st_ino};
	return 0;
}

static bool may_be_pipeline(const char *name)
{
	static const char *const endings[] = {".yaml", ".yml", ".json"};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot != NULL && i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (strcmp(dot, endings[i]) == 0)
			return true;
	}
	return false;
}

static int is_wanted(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk(struct pa_arena *arena, const char *folder, unsigned int depth, struct pa_cmd_files *files,
                struct pa_error *err);

static int walk_entry(struct pa_arena *arena, const char *path, unsigned int depth,
                      struct pa_cmd_files *files, struct pa_error *err)
{
	struct stat status;

	/* What went since the folder was listed, or leads nowhere, is no file of it. */
	if (lstat(path, &status) < 0)
		return 0;
	if (S_ISDIR(status.st_mode))
		return walk(arena, path, depth + 1, files, err);
	if (!may_be_pipeline(path) || stat(path, &status) < 0 || !S_ISREG(status.st_mode))
		return 0;
	return add_file(arena, files, path, true, &status, err);
}

static int walk(struct pa_arena *arena, const char *folder, unsigned int depth, struct pa_cmd_files *files,
                struct pa_error *err)
{
	struct dirent **entries;
	size_t length = strlen(folder);
	int result = 0;

	if (depth > PA_CMD_MAX_FOLDER_DEPTH)
		return pa_error_set(err, PA_ERROR_INPUT, "%s: folders nested deeper than %d levels", folder,
		                    PA_CMD_MAX_FOLDER_DEPTH);
	int count = scandir(folder, &entries, is_wanted, compare_names);
	if (count < 0) {
		pa_error_set_errno(err, errno, "%s: cannot be listed", folder);
		err->class = PA_ERROR_INPUT;
		return -PA_ERROR_INPUT;
	}
	for (int i = 0; i < count; i++) {
		if (result == 0) {
			bool slash = length > 0 && folder[length - 1] == '/';
			const char *path =
			    pa_arena_printf(arena, "%s%s%s", folder, slash ? "" : "/", entries[i]->d_name);
			result = walk_entry(arena, path, depth, files, err);
		}
		free(entries[i]);
	}
	free(entries);
	return result;
}

int pa_cmd_find_files(struct pa_arena *arena, const char *path, struct pa_cmd_files *files,
                      struct pa_error *err)
{
	struct stat status;

	bool found = strcmp(path, "-") != 0 && stat(path, &status) == 0;
	if (found && S_ISDIR(status.st_mode))
		return walk(arena, path, 1, files, err);
	return add_file(arena, files, path, false, found && S_ISREG(status.st_mode) ? &status : NULL, err);
}

/* By file, then by the order of the command line: files are pointers into one array. */
static int compare_files(const void *a, const void *b)
{
	const struct pa_cmd_file *x = *(struct pa_cmd_file *const *)a, *y = *(struct pa_cmd_file *const *)b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x < y ? -1 : x > y;
}

void pa_cmd_drop_repeated_files(struct pa_cmd_files *files)
{
	struct pa_cmd_file **sorted = calloc(files->count + 1, sizeof(struct pa_cmd_file *));
	struct pa_cmd_file *first = NULL;
	size_t kept = 0;

	if (sorted == NULL)
		abort();
	for (size_t i = 0; i < files->count; i++)
		sorted[i] = &files->items[i];
	qsort(sorted, files->count, sizeof(struct pa_cmd_file *), compare_files);
	for (size_t i = 0; i < files->count; i++) {
		bool same = first != NULL && sorted[i]->inode != 0 && sorted[i]->inode == first->inode &&
		            sorted[i]->device == first->device;
		if (!same) {
			first = sorted[i];
			continue;
		}
		/* Once named, a file must hold a pipeline. */
		first->in_folder = first->in_folder && sorted[i]->in_folder;
		sorted[i]->path = NULL;
	}
	free(sorted);
	for (size_t i = 0; i < files->count; i++) {
		if (files->items[i].path != NULL)
			files->items[kept++] = files->items[i];
	}
	files->count = kept;
}
