/* SPDX-License-Identifier: Apache-2.0 */
#include "run/planning.h"

#include <stdlib.h>
#include <string.h>

#include "forecast/graph.h"

/* The extents of one data set, and which of them each manifest entry lies in. */
struct extent_map {
	uint32_t *first; /* per manifest entry */
	uint32_t *count;
};

struct builder {
	struct pa_arena *arena;
	const struct pa_planning_input *input;
	struct extent_map *maps; /* per data set */
	struct pa_plan_extent *extents;
	size_t extent_count, extent_capacity;
	struct pa_plan_read *reads;
	size_t read_count, read_capacity;
	/* One per extent, task + 1 that read it last while reads are added: keeps a pair from being added twice. */
	uint32_t *seen;
	bool *unknown_data;
	bool *client_reads;
	/* The history's profile by task: indices into it, and where each task's begin. */
	uint32_t *profile;
	size_t *profile_begin;
};

const char *pa_planning_mount_data_set(struct pa_arena *arena, const struct pa_task_mount *mount)
{
	if (strcmp(mount->kind, "pvc") != 0 || mount->claim == NULL || mount->created_by != NULL)
		return NULL;
	return pa_arena_printf(arena, "claim:%s", mount->claim);
}

const char *pa_planning_input_data_set(struct pa_arena *arena, const struct pa_input *input)
{
	if (!input->artifact || input->path == NULL)
		return NULL;
	for (size_t i = 0; i < input->origin_count; i++)
		if (input->origins[i].kind == PA_ORIGIN_URI)
			return pa_arena_printf(arena, "uri:%s", input->origins[i].text);
	return NULL;
}

static uint32_t add_extent(struct builder *builder, uint32_t data_set, const char *path,
                           uint64_t offset_bytes, uint64_t bytes)
{
	builder->extents = pa_arena_grow(builder->arena, builder->extents, builder->extent_count,
	                                 &builder->extent_capacity, sizeof(*builder->extents));
	builder->extents[builder->extent_count] = (struct pa_plan_extent){
	    .data_set = data_set, .path = path, .offset_bytes = offset_bytes, .bytes = bytes};
	return (uint32_t)builder->extent_count++;
}

static void add_file(struct builder *builder, uint32_t data_set, size_t entry)
{
	const struct pa_store_entry *file = &builder->input->data_sets[data_set].manifest->entries[entry];
	struct extent_map *map = &builder->maps[data_set];
	uint64_t piece_bytes = file->size_bytes;

	if (file->kind != PA_ENTRY_FILE || file->size_bytes == 0)
		return;
	if (piece_bytes > PA_PLANNING_LARGE_FILE_BYTES) {
		piece_bytes = PA_PLANNING_PIECE_BYTES;
		if (file->size_bytes / piece_bytes >= PA_PLANNING_MAX_PIECES)
			piece_bytes = file->size_bytes / PA_PLANNING_MAX_PIECES + 1;
	}
	map->first[entry] = (uint32_t)builder->extent_count;
	for (uint64_t offset = 0; offset < file->size_bytes; offset += piece_bytes) {
		uint64_t bytes =
		    file->size_bytes - offset < piece_bytes ? file->size_bytes - offset : piece_bytes;
		add_extent(builder, data_set, file->path, offset, bytes);
		map->count[entry]++;
	}
}

static bool is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return length == 0 ||
	       (strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0'));
}

/* One extent for each first-level folder of a data set with very many files, and one per file beside them. */
static void add_folders(struct builder *builder, uint32_t data_set)
{
	const struct pa_manifest *manifest = builder->input->data_sets[data_set].manifest;
	struct extent_map *map = &builder->maps[data_set];

	for (size_t entry = 0; entry < manifest->entry_count;) {
		const struct pa_store_entry *top = &manifest->entries[entry];
		if (top->kind != PA_ENTRY_DIRECTORY || top->path[0] == '\0') {
			add_file(builder, data_set, entry++);
			continue;
		}
		uint64_t bytes = pa_manifest_bytes_below(manifest, top->path);
		uint32_t extent = add_extent(builder, data_set, top->path, 0, bytes);
		for (; entry < manifest->entry_count && is_below(manifest->entries[entry].path, top->path);
		     entry++) {
			map->first[entry] = extent;
			map->count[entry] = 1;
		}
	}
}

/* Everything in one extent. */
static void add_whole(struct builder *builder, uint32_t data_set)
{
	const struct pa_manifest *manifest = builder->input->data_sets[data_set].manifest;
	struct extent_map *map = &builder->maps[data_set];
	uint32_t extent = add_extent(builder, data_set, "", 0, manifest->total_bytes);

	for (size_t entry = 0; entry < manifest->entry_count; entry++) {
		map->first[entry] = extent;
		map->count[entry] = 1;
	}
}

/* Files and folders at the top. */
static size_t count_top(const struct pa_manifest *manifest)
{
	size_t count = 0;

	for (size_t i = 0; i < manifest->entry_count; i++)
		count += strchr(manifest->entries[i].path, '/') == NULL;
	return count;
}

static void add_data_set(struct builder *builder, uint32_t data_set)
{
	const struct pa_manifest *manifest = builder->input->data_sets[data_set].manifest;
	struct extent_map *map = &builder->maps[data_set];

	map->first = pa_arena_array(builder->arena, manifest->entry_count, sizeof(*map->first));
	map->count = pa_arena_array(builder->arena, manifest->entry_count, sizeof(*map->count));
	if (manifest->file_count > PA_PLANNING_MAX_FILE_EXTENTS) {
		if (count_top(manifest) > PA_PLANNING_MAX_FILE_EXTENTS)
			add_whole(builder, data_set);
		else
			add_folders(builder, data_set);
		return;
	}
	for (size_t entry = 0; entry < manifest->entry_count; entry++)
		add_file(builder, data_set, entry);
}

static void add_read(struct builder *builder, uint32_t task, uint32_t extent,
                     enum pa_read_knowledge knowledge)
{
	if (builder->seen[extent] == task + 1)
		return;
	builder->seen[extent] = task + 1;
	builder->reads = pa_arena_grow(builder->arena, builder->reads, builder->read_count,
	                               &builder->read_capacity, sizeof(*builder->reads));
	builder->reads[builder->read_count++] =
	    (struct pa_plan_read){.task = task, .extent = extent, .knowledge = knowledge};
}

/* `path` is one of the manifest, "" for all.  What is below a folder follows it. */
static void add_reads_below(struct builder *builder, uint32_t task, uint32_t data_set, const char *path,
                            enum pa_read_knowledge knowledge)
{
	const struct pa_manifest *manifest = builder->input->data_sets[data_set].manifest;
	const struct extent_map *map = &builder->maps[data_set];
	const struct pa_store_entry *first =
	    path[0] == '\0' ? manifest->entries : pa_manifest_find(manifest, path);

	if (first == NULL)
		return;
	for (size_t entry = (size_t)(first - manifest->entries);
	     entry < manifest->entry_count && is_below(manifest->entries[entry].path, path); entry++)
		for (uint32_t i = 0; i < map->count[entry]; i++)
			add_read(builder, task, map->first[entry] + i, knowledge);
}

static void index_profile(struct builder *builder)
{
	const struct pa_history *history = builder->input->history;
	const struct pa_pipeline *pipeline = builder->input->pipeline;
	size_t row_count = history != NULL ? history->profile_count : 0;
	uint32_t *task_of = pa_arena_array(builder->arena, row_count, sizeof(*task_of));
	struct pa_names names;

	pa_names_init(builder->arena, &names, pipeline->task_count);
	for (size_t i = 0; i < pipeline->task_count; i++)
		pa_names_add(&names, pipeline->tasks[i].id);
	builder->profile = pa_arena_array(builder->arena, row_count, sizeof(*builder->profile));
	builder->profile_begin =
	    pa_arena_array(builder->arena, pipeline->task_count + 2, sizeof(*builder->profile_begin));
	for (size_t i = 0; i < row_count; i++) {
		task_of[i] = pa_names_find(&names, history->profile[i].task_id);
		if (task_of[i] != PA_NAMES_NONE)
			builder->profile_begin[task_of[i] + 2]++;
	}
	/* Counting sort: begin[t + 1] is where the next row of t goes, at last where t + 1 begins. */
	for (size_t i = 2; i < pipeline->task_count + 2; i++)
		builder->profile_begin[i] += builder->profile_begin[i - 1];
	for (uint32_t i = 0; i < row_count; i++)
		if (task_of[i] != PA_NAMES_NONE)
			builder->profile[builder->profile_begin[task_of[i] + 1]++] = i;
}

/* What the task read of the data set last time; false when that is not known. */
static bool add_profiled_reads(struct builder *builder, uint32_t task, uint32_t data_set)
{
	const struct pa_planning_data_set *set = &builder->input->data_sets[data_set];
	const struct pa_history *history = builder->input->history;
	size_t known = 0, missing = 0;

	for (size_t i = builder->profile_begin[task]; i < builder->profile_begin[task + 1]; i++) {
		const struct pa_profile_read *read = &history->profile[builder->profile[i]];
		if (strcmp(read->data_set, set->name) != 0)
			continue;
		known++;
		if (read->path[0] ==
		    '\0') { /* mounted, and nothing of it read (a single file has this path, too) */
			if (read->read_bytes > 0)
				add_reads_below(builder, task, data_set, "", PA_READ_PROFILED);
			continue;
		}
		const struct pa_store_entry *entry = pa_manifest_find(set->manifest, read->path);
		if (entry == NULL) {
			missing++;
			continue;
		}
		size_t index = (size_t)(entry - set->manifest->entries);
		for (uint32_t e = 0; e < builder->maps[data_set].count[index]; e++)
			add_read(builder, task, builder->maps[data_set].first[index] + e, PA_READ_PROFILED);
	}
	/* A data set whose names have all changed has outgrown its profile. */
	return known > 0 && missing < known;
}

/* A path without a '/' at its end. */
static const char *without_end(struct pa_arena *arena, const char *path)
{
	size_t length = strlen(path);

	while (length > 0 && path[length - 1] == '/')
		length--;
	return path[length] == '\0' ? path : pa_arena_strndup(arena, path, length);
}

/* A word of the command that is a path below the mount and is there: what the task will read, or nobody would
 * have written it down. */
static bool add_named_read(struct builder *builder, uint32_t task, uint32_t data_set,
                           const struct pa_task_mount *mount, const char *word)
{
	const struct pa_manifest *manifest = builder->input->data_sets[data_set].manifest;
	size_t length = strlen(mount->path);

	while (length > 0 && mount->path[length - 1] == '/')
		length--;
	if (length == 0 || strncmp(word, mount->path, length) != 0 || word[length] != '/')
		return false;
	const char *rest = word + length + strspn(word + length, "/");
	const char *path = rest;
	if (mount->sub_path != NULL && mount->sub_path[0] != '\0')
		path = pa_arena_printf(builder->arena, "%s/%s", without_end(builder->arena, mount->sub_path),
		                       rest);
	path = without_end(builder->arena, path);
	if (path[0] == '\0' || pa_manifest_find(manifest, path) == NULL)
		return false;
	add_reads_below(builder, task, data_set, path, PA_READ_NAMED);
	return true;
}

static bool is_output(const struct pa_task *task, const char *word)
{
	for (size_t i = 0; i < task->output_count; i++)
		if (task->outputs[i].path != NULL && strcmp(task->outputs[i].path, word) == 0)
			return true;
	return false;
}

static bool add_named_reads(struct builder *builder, uint32_t index, uint32_t data_set,
                            const struct pa_task_mount *mount)
{
	const struct pa_task *task = &builder->input->pipeline->tasks[index];
	bool found = false;

	for (size_t i = 0; i < task->command_count; i++)
		found |= add_named_read(builder, index, data_set, mount, task->command[i]);
	for (size_t i = 0; i < task->arg_count; i++)
		if (!is_output(task, task->args[i]))
			found |= add_named_read(builder, index, data_set, mount, task->args[i]);
	return found;
}

/* `mount` is NULL for an input artifact. */
static void add_task_data(struct builder *builder, uint32_t task, const char *name,
                          const struct pa_task_mount *mount)
{
	for (uint32_t set = 0; set < builder->input->data_set_count; set++) {
		if (strcmp(builder->input->data_sets[set].name, name) != 0)
			continue;
		if (add_profiled_reads(builder, task, set) ||
		    (mount != NULL && add_named_reads(builder, task, set, mount)))
			return;
		const char *below = mount != NULL && mount->sub_path != NULL ? mount->sub_path : "";
		add_reads_below(builder, task, set, without_end(builder->arena, below), PA_READ_DECLARED);
		return;
	}
	builder->unknown_data[task] = true;
}

static void add_task(struct builder *builder, uint32_t index)
{
	const struct pa_task *task = &builder->input->pipeline->tasks[index];
	size_t served = 0;

	for (size_t i = 0; i < task->mount_count; i++) {
		const char *name = pa_planning_mount_data_set(builder->arena, &task->mounts[i]);
		if (name != NULL)
			add_task_data(builder, index, name, &task->mounts[i]);
	}
	for (size_t i = 0; i < task->input_count; i++) {
		const char *name = pa_planning_input_data_set(builder->arena, &task->inputs[i]);
		if (name == NULL)
			continue;
		add_task_data(builder, index, name, NULL);
		served++;
	}
	builder->client_reads[index] = task->data_count > served;
}

static int make_forecast(struct builder *builder, struct pa_planning *planning, struct pa_error *err)
{
	const struct pa_planning_input *input = builder->input;
	static const struct pa_history no_history;

	planning->input_bytes =
	    pa_arena_array(builder->arena, input->pipeline->task_count, sizeof(*planning->input_bytes));
	for (size_t i = 0; i < builder->read_count; i++)
		planning->input_bytes[builder->reads[i].task] +=
		    (double)builder->extents[builder->reads[i].extent].bytes;
	struct pa_forecast_options options = {
	    .slots = input->slots, .seed = input->seed, .input_bytes = planning->input_bytes};
	return pa_forecast_make(builder->arena, input->pipeline,
	                        input->history != NULL ? input->history : &no_history, &options,
	                        &planning->forecast, err);
}

int pa_planning_build(struct pa_arena *arena, const struct pa_planning_input *input, struct pa_planning *ret,
                      struct pa_error *err)
{
	size_t task_count = input->pipeline->task_count;
	struct builder builder = {.arena = arena, .input = input};
	struct pa_planning planning = {0};

	builder.maps = pa_arena_array(arena, input->data_set_count, sizeof(*builder.maps));
	builder.unknown_data = pa_arena_array(arena, task_count, sizeof(bool));
	builder.client_reads = pa_arena_array(arena, task_count, sizeof(bool));
	struct pa_plan_data_set *sets = pa_arena_array(arena, input->data_set_count, sizeof(*sets));
	for (uint32_t set = 0; set < input->data_set_count; set++) {
		sets[set] = (struct pa_plan_data_set){.name = input->data_sets[set].name,
		                                      .link = input->data_sets[set].link};
		add_data_set(&builder, set);
	}
	builder.seen = pa_arena_array(arena, builder.extent_count, sizeof(*builder.seen));
	index_profile(&builder);
	for (uint32_t task = 0; task < task_count; task++)
		add_task(&builder, task);
	int result = make_forecast(&builder, &planning, err);
	if (result < 0)
		return result;
	planning.extents = builder.extents;
	struct pa_forecast *forecast = pa_arena_alloc(arena, sizeof(*forecast));
	*forecast = planning.forecast;
	planning.plan_input = (struct pa_plan_input){
	    .pipeline = input->pipeline,
	    .forecast = forecast,
	    .data_sets = sets,
	    .data_set_count = input->data_set_count,
	    .extents = builder.extents,
	    .extent_count = builder.extent_count,
	    .links = input->links,
	    .link_count = input->link_count,
	    .reads = builder.reads,
	    .read_count = builder.read_count,
	    .unknown_data = builder.unknown_data,
	    .client_reads = builder.client_reads,
	    .slots = input->slots,
	    .memory_bytes = input->memory_bytes,
	    .seed = input->seed,
	};
	*ret = planning;
	return 0;
}
