/* SPDX-License-Identifier: Apache-2.0 */
/* Contents and their chunks: what exists of a file's bytes, and who keeps it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache_internal.h"

#define PAGE_BYTES 4096u

uint32_t pa_chunk_charge(uint32_t bytes)
{
	return (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

struct pa_content *pa_content_of(struct pa_data_set *data_set, struct pa_inode *node)
{
	struct pa_content *content = node->content;

	if (content == NULL) {
		content = calloc(1, sizeof(*content));
		if (content == NULL)
			abort();
		content->cache = data_set->cache;
		content->data_set = data_set;
		content->node = node;
		content->id = ++data_set->cache->next_content;
		content->references = 1; /* the node's */
		content->version = node->version;
		content->size_bytes = node->total_bytes;
		pa_list_init(&content->buried);
		node->content = content;
	}
	content->references++;
	return content;
}

static void content_end(struct pa_content *content)
{
	if (content->node != NULL)
		content->node->content = NULL;
	content->node = NULL;
	free(content->chunks);
	content->chunks = NULL;
	pa_list_append(&content->cache->buried, &content->buried);
}

void pa_content_unref(struct pa_content *content)
{
	content->references--;
	/* A node keeps a content only for what is in memory of it. */
	if (content->references == 0 ||
	    (content->references == 1 && content->node != NULL && content->chunk_count == 0))
		content_end(content);
}

void pa_content_bury(struct pa_cache *cache)
{
	for (;;) {
		pthread_mutex_lock(&cache->mutex);
		struct pa_list *link = cache->buried.next;
		bool empty = link == &cache->buried;
		if (!empty)
			pa_list_remove(link);
		pthread_mutex_unlock(&cache->mutex);
		if (empty)
			return;
		struct pa_content *content = PA_LIST_ENTRY(link, struct pa_content, buried);
		pa_region_remove_file(&cache->region, content->id);
		free(content);
	}
}

struct pa_chunk *pa_content_chunk(const struct pa_content *content, uint32_t index)
{
	return index < content->chunk_capacity ? content->chunks[index] : NULL;
}

uint32_t pa_content_chunk_count(const struct pa_content *content)
{
	return (uint32_t)((content->size_bytes + PA_CHUNK_BYTES - 1) / PA_CHUNK_BYTES);
}

uint32_t pa_content_chunk_bytes(const struct pa_content *content, uint32_t index)
{
	uint64_t start = (uint64_t)index * PA_CHUNK_BYTES;

	if (start >= content->size_bytes)
		return 0;
	uint64_t rest_bytes = content->size_bytes - start;
	return rest_bytes < PA_CHUNK_BYTES ? (uint32_t)rest_bytes : PA_CHUNK_BYTES;
}

static void make_room(struct pa_content *content, uint32_t index)
{
	if (index < content->chunk_capacity)
		return;
	/* All that the size needs at once, or doubled while a file is being written. */
	uint32_t wanted = pa_content_chunk_count(content);
	if (wanted <= index)
		wanted = index + 1;
	if (content->chunk_capacity > 0 && wanted < content->chunk_capacity * 2)
		wanted = content->chunk_capacity * 2;
	content->chunks = reallocarray(content->chunks, wanted, sizeof(struct pa_chunk *));
	if (content->chunks == NULL)
		abort();
	memset(content->chunks + content->chunk_capacity, 0,
	       (wanted - content->chunk_capacity) * sizeof(struct pa_chunk *));
	content->chunk_capacity = wanted;
}

struct pa_chunk *pa_content_add_chunk(struct pa_content *content, uint32_t index, struct pa_fetch *fetch)
{
	struct pa_chunk *chunk = calloc(1, sizeof(*chunk));

	if (chunk == NULL)
		abort();
	make_room(content, index);
	pa_list_init(&chunk->place);
	chunk->content = content;
	chunk->fetch = fetch;
	chunk->index = index;
	chunk->bytes = pa_content_chunk_bytes(content, index);
	chunk->state = PA_CHUNK_LOADING;
	content->chunks[index] = chunk;
	content->chunk_count++;
	return chunk;
}

void pa_content_remove_chunk(struct pa_chunk *chunk)
{
	struct pa_content *content = chunk->content;
	struct pa_cache *cache = content->cache;

	pa_list_remove(&chunk->place);
	pa_cache_give_back(cache, chunk->charged_bytes);
	content->chunks[chunk->index] = NULL;
	content->chunk_count--;
	free(chunk);
	pthread_cond_broadcast(&cache->changed);
}

void pa_chunk_make_present(struct pa_chunk *chunk)
{
	struct pa_content *content = chunk->content;

	chunk->state = PA_CHUNK_PRESENT;
	chunk->fetch = NULL;
	chunk->storing = false;
	content->resident_bytes += chunk->bytes;
	if (content->node != NULL)
		pa_inode_add_resident(content->node, chunk->bytes);
	pa_cache_sort_chunk(content->cache, chunk, pa_clock_ns());
}

bool pa_content_is_whole(const struct pa_content *content)
{
	return content->resident_bytes == content->size_bytes;
}

void pa_content_detach(struct pa_content *content)
{
	struct pa_inode *node = content->node;

	if (node == NULL)
		return;
	pa_inode_add_resident(node, -(int64_t)content->resident_bytes);
	node->content = NULL;
	content->node = NULL;
	/* No need or pin of the node is theirs any more. */
	pa_cache_unsort(content);
	pa_content_unref(content);
}

void pa_content_drop(struct pa_content *content)
{
	struct pa_cache *cache = content->cache;

	content->references++;
	for (uint32_t i = 0; i < content->chunk_capacity; i++) {
		struct pa_chunk *chunk = content->chunks[i];
		if (chunk == NULL)
			continue;
		if (chunk->state == PA_CHUNK_LOADING)
			chunk->overwritten = true;
		else if (chunk->state == PA_CHUNK_PRESENT && chunk->readers == 0 && content->whole_holds == 0)
			pa_cache_evict(cache, chunk);
	}
	pa_content_unref(content);
}

int pa_content_open(const struct pa_content *content, struct pa_error *err)
{
	return pa_region_open_file(&content->cache->region, content->id, err);
}
