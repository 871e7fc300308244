/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "cache/cache_internal.h"

struct pa_manifest_builder {
	struct pa_arena texts;
	struct pa_store_entry *entries;
	size_t count;
	size_t capacity;
};

/* What pa_manifest.memory points to. */
struct manifest_memory {
	struct pa_arena texts;
};

struct pa_manifest_builder *pa_manifest_builder_new(void)
{
	struct pa_manifest_builder *builder = calloc(1, sizeof(*builder));

	if (builder == NULL)
		abort();
	pa_arena_init(&builder->texts);
	return builder;
}

void pa_manifest_builder_free(struct pa_manifest_builder *builder)
{
	pa_arena_done(&builder->texts);
	free(builder->entries);
	free(builder);
}

int pa_manifest_builder_add(struct pa_manifest_builder *builder, const struct pa_store_entry *entry)
{
	if (builder->count == PA_MANIFEST_MAX_ENTRIES)
		return -(int)PA_ERROR_PERMANENT;
	if (builder->count == builder->capacity) {
		builder->capacity = builder->capacity != 0 ? builder->capacity * 2 : 64;
		builder->entries =
		    reallocarray(builder->entries, builder->capacity, sizeof(*builder->entries));
		if (builder->entries == NULL)
			abort();
	}
	struct pa_store_entry *copy = &builder->entries[builder->count++];
	*copy = *entry;
	copy->path = pa_arena_strdup(&builder->texts, entry->path);
	if (entry->link_target != NULL)
		copy->link_target = pa_arena_strdup(&builder->texts, entry->link_target);
	return 0;
}

/* Bytewise by component: '/' comes before every other byte. */
int pa_manifest_compare_paths(const char *a, const char *b)
{
	while (*a == *b && *a != '\0') {
		a++;
		b++;
	}
	int left = *a == '/' ? 1 : *a == '\0' ? 0 : (unsigned char)*a + 2;
	int right = *b == '/' ? 1 : *b == '\0' ? 0 : (unsigned char)*b + 2;
	return left - right;
}

static int compare_entries(const void *a, const void *b)
{
	return pa_manifest_compare_paths(((const struct pa_store_entry *)a)->path,
	                                 ((const struct pa_store_entry *)b)->path);
}

/* The id of the entries so far and one more. */
static struct pa_hash128 chain(struct pa_hash128 id, const struct pa_store_entry *entry)
{
	struct {
		struct pa_hash128 before, path, target, version;
		uint64_t size_bytes;
		int64_t mtime_ns;
		uint32_t kind, mode, uid, gid;
	} record = {
	    .before = id,
	    .path = pa_hash_content(entry->path, strlen(entry->path)),
	    .version = entry->version,
	    .size_bytes = entry->size_bytes,
	    .mtime_ns = entry->mtime_ns,
	    .kind = entry->kind,
	    .mode = entry->mode,
	    .uid = entry->uid,
	    .gid = entry->gid,
	};

	if (entry->link_target != NULL)
		record.target = pa_hash_content(entry->link_target, strlen(entry->link_target));
	return pa_hash_content(&record, sizeof(record));
}

struct pa_manifest *pa_manifest_builder_finish(struct pa_manifest_builder *builder)
{
	struct pa_manifest *manifest = calloc(1, sizeof(*manifest));
	struct manifest_memory *memory = calloc(1, sizeof(*memory));

	if (manifest == NULL || memory == NULL)
		abort();
	if (builder->count > 0)
		qsort(builder->entries, builder->count, sizeof(*builder->entries), compare_entries);
	memory->texts = builder->texts;
	manifest->entries = builder->entries;
	manifest->entry_count = builder->count;
	manifest->references = 1;
	manifest->memory = memory;
	for (size_t i = 0; i < manifest->entry_count; i++) {
		const struct pa_store_entry *entry = &manifest->entries[i];
		manifest->id = chain(manifest->id, entry);
		if (entry->kind == PA_ENTRY_FILE) {
			manifest->file_count++;
			manifest->total_bytes += entry->size_bytes;
		}
	}
	free(builder);
	return manifest;
}

struct pa_manifest *pa_manifest_ref(struct pa_manifest *manifest)
{
	__atomic_add_fetch(&manifest->references, 1, __ATOMIC_RELAXED);
	return manifest;
}

void pa_manifest_unref(struct pa_manifest *manifest)
{
	if (manifest == NULL || __atomic_sub_fetch(&manifest->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	struct manifest_memory *memory = manifest->memory;
	pa_arena_done(&memory->texts);
	free(memory);
	free(manifest->entries);
	free(manifest);
}

/* The first entry that is not before `path`. */
static size_t first_from(const struct pa_manifest *manifest, const char *path)
{
	size_t low = 0;
	size_t high = manifest->entry_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (pa_manifest_compare_paths(manifest->entries[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct pa_store_entry *pa_manifest_find(const struct pa_manifest *manifest, const char *path)
{
	size_t i = first_from(manifest, path);

	return i < manifest->entry_count && strcmp(manifest->entries[i].path, path) == 0
	           ? &manifest->entries[i]
	           : NULL;
}

uint64_t pa_manifest_bytes_below(const struct pa_manifest *manifest, const char *path)
{
	size_t length = strlen(path);
	uint64_t bytes = 0;

	for (size_t i = first_from(manifest, path); i < manifest->entry_count; i++) {
		const struct pa_store_entry *entry = &manifest->entries[i];
		if (length > 0 && (strncmp(entry->path, path, length) != 0 ||
		                   (entry->path[length] != '/' && entry->path[length] != '\0')))
			break;
		if (entry->kind == PA_ENTRY_FILE)
			bytes += entry->size_bytes;
	}
	return bytes;
}
