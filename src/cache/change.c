/* SPDX-License-Identifier: Apache-2.0 */
/* What a change of ours to a file means for its content: turns, sizes, versions. */
#include <stdlib.h>

#include "cache/cache_internal.h"

int pa_cache_wait(struct pa_cache *cache, pthread_cond_t *condition, const struct pa_store_call *call,
                  struct pa_error *err)
{
	int r = pa_store_call_check(call, "waiting for data", err);

	if (r < 0)
		return r;
	if (cache->stopping)
		return pa_error_set(err, PA_ERROR_CANCELLED, "the cache is being ended");
	int64_t wake_ns = pa_store_call_wake_ns(call, PA_DEADLINE_NEVER);
	if (wake_ns == PA_DEADLINE_NEVER) {
		pthread_cond_wait(condition, &cache->mutex);
		return 0;
	}
	struct timespec wake = pa_clock_timespec(wake_ns);
	pthread_cond_timedwait(condition, &cache->mutex, &wake);
	return 0;
}

int pa_content_begin_change(struct pa_content *content, const struct pa_store_call *call,
                            struct pa_error *err)
{
	while (content->writing) {
		int r = pa_cache_wait(content->cache, &content->cache->changed, call, err);
		if (r < 0)
			return r;
	}
	content->writing = true;
	content->changes++;
	return 0;
}

void pa_content_end_change(struct pa_content *content)
{
	content->writing = false;
	pthread_cond_broadcast(&content->cache->changed);
}

struct pa_chunk *pa_content_settled(struct pa_content *content, uint32_t index)
{
	for (;;) {
		struct pa_chunk *chunk = pa_content_chunk(content, index);
		if (chunk == NULL || (!chunk->storing && chunk->state != PA_CHUNK_LEAVING))
			return chunk;
		pthread_cond_wait(&content->cache->changed, &content->cache->mutex);
	}
}

void pa_inode_changed(struct pa_data_set *data_set, struct pa_inode *node)
{
	node->generation++;
	node->refresh_epoch = data_set->refresh_epoch;
	pa_manifest_unref(data_set->manifest);
	data_set->manifest = NULL;
}

/* Waits until something changes; a reader that reads on and on does not go before us again. */
static void await_copies(struct pa_content *content)
{
	content->awaiting_copies++;
	pthread_cond_wait(&content->cache->changed, &content->cache->mutex);
	if (--content->awaiting_copies == 0)
		pthread_cond_broadcast(&content->cache->changed);
}

void pa_content_drop_chunk(struct pa_content *content, struct pa_chunk *chunk)
{
	uint32_t index = chunk->index;

	while (chunk != NULL && chunk->state == PA_CHUNK_PRESENT && chunk->readers > 0) {
		await_copies(content);
		chunk = pa_content_chunk(content, index);
	}
	if (chunk != NULL && chunk->state == PA_CHUNK_PRESENT)
		pa_cache_evict(content->cache, chunk);
}

int64_t pa_content_deadline(const struct pa_content *content, uint32_t index)
{
	const struct pa_need *need =
	    content->node != NULL ? pa_need_of(content->node, index, pa_clock_ns()) : NULL;

	return need != NULL ? need->deadline_ns : PA_NEED_NEVER;
}

bool pa_chunk_charge_more(struct pa_chunk *chunk, uint32_t charge_bytes)
{
	struct pa_content *content = chunk->content;

	chunk->readers++; /* so that it is not what goes to make the room */
	bool room = pa_cache_reserve(content->cache, charge_bytes - chunk->charged_bytes,
	                             pa_content_deadline(content, chunk->index));
	chunk->readers--;
	pthread_cond_broadcast(&content->cache->changed);
	if (room)
		chunk->charged_bytes = charge_bytes;
	return room;
}

/* Waits until nobody copies from a chunk, who would take its length for granted. Locked; lets go of the mutex. */
static struct pa_chunk *unread_chunk(struct pa_content *content, uint32_t index)
{
	for (;;) {
		struct pa_chunk *chunk = pa_content_settled(content, index);
		if (chunk == NULL || chunk->state != PA_CHUNK_PRESENT || chunk->readers == 0)
			return chunk;
		await_copies(content);
	}
}

/* One chunk of a file whose size is now another. Locked; lets go of the mutex. */
static void resize_chunk(struct pa_content *content, uint32_t index)
{
	struct pa_chunk *chunk = unread_chunk(content, index);
	uint32_t bytes = pa_content_chunk_bytes(content, index);
	uint32_t charge_bytes = pa_chunk_charge(bytes);

	if (chunk == NULL)
		return;
	if (chunk->state == PA_CHUNK_LOADING) {
		chunk->overwritten = true;
		return;
	}
	/* Where a file is handed out from memory its growth is a hole, which takes no room before it is written. */
	if (bytes == 0 || (charge_bytes > chunk->charged_bytes &&
	                   !pa_chunk_charge_more(chunk, charge_bytes) && content->whole_holds == 0)) {
		pa_content_drop_chunk(content, chunk);
		return;
	}
	int64_t more_bytes = (int64_t)bytes - chunk->bytes;
	if (charge_bytes < chunk->charged_bytes) {
		pa_cache_give_back(content->cache, chunk->charged_bytes - charge_bytes);
		chunk->charged_bytes = charge_bytes;
	}
	chunk->bytes = bytes;
	chunk->hash_known = false;
	chunk->changes++;
	content->resident_bytes += (uint64_t)more_bytes;
	if (content->node != NULL)
		pa_inode_add_resident(content->node, more_bytes);
}

void pa_content_resize(struct pa_content *content, uint64_t size_bytes)
{
	struct pa_cache *cache = content->cache;
	uint64_t old_bytes = content->size_bytes; /* which changes only within a turn, and this is ours */

	/* What is in memory has its full length whenever somebody can ask for it. */
	if (size_bytes > old_bytes)
		pa_region_truncate(&cache->region, content->id, size_bytes);
	pthread_mutex_lock(&cache->mutex);
	uint64_t lower_bytes = size_bytes < old_bytes ? size_bytes : old_bytes;
	content->size_bytes = size_bytes;
	if (content->node != NULL) {
		pa_inode_set_size(content->node, size_bytes);
		content->node->mtime_ns = pa_clock_wall_ms() * PA_NS_PER_MS;
		pa_inode_changed(content->data_set, content->node);
	}
	for (uint32_t i = (uint32_t)(lower_bytes / PA_CHUNK_BYTES); i < content->chunk_capacity; i++)
		resize_chunk(content, i);
	pthread_mutex_unlock(&cache->mutex);
	if (size_bytes < old_bytes)
		pa_region_truncate(&cache->region, content->id, size_bytes);
}

void pa_content_take_version(struct pa_content *content, const struct pa_store_entry *entry)
{
	struct pa_cache *cache = content->cache;
	struct pa_store_entry unknown = {.kind = PA_ENTRY_FILE};
	bool foreign = false;

	pthread_mutex_lock(&cache->mutex);
	struct pa_inode *node = content->node;
	struct pa_data_set *data_set = content->data_set;
	uint64_t inode = node != NULL ? node->inode : 0;
	if (node != NULL && content->writers == 0) {
		if (entry == NULL) {
			unknown.mode = node->mode;
			unknown.uid = node->uid;
			unknown.gid = node->gid;
			unknown.mtime_ns = node->mtime_ns;
			unknown.size_bytes = node->total_bytes;
			entry = &unknown;
			foreign = true;
		} else if (entry->size_bytes != content->size_bytes || content->doubtful) {
			foreign =
			    true; /* somebody else writes to it, past us, or we do not know what we wrote */
		} else {
			pa_inode_update(node, entry);
			content->version = entry->version;
			node->refresh_epoch = data_set->refresh_epoch;
			pa_manifest_unref(data_set->manifest);
			data_set->manifest = NULL;
		}
	}
	pthread_mutex_unlock(&cache->mutex);
	if (foreign)
		pa_data_set_replace(data_set, inode, entry);
}
