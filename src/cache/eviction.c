/* SPDX-License-Identifier: Apache-2.0 */
/* The quota, and who goes when it is used up.
 *
 * Resident chunks are kept in lists, so that choosing needs no search: those of no assignment by their last
 * read, and one list per need, needs being sorted by deadline.  A chunk is put into its list when it comes,
 * and
 * again (through `unsorted`) when the assignments, pins or holds that it depends on have changed. */
#include "cache/cache_internal.h"

/* Chunks that are sorted in one go under the mutex. */
#define SORT_PIECE 1024

static struct pa_chunk *chunk_of(struct pa_list *link)
{
	return PA_LIST_ENTRY(link, struct pa_chunk, place);
}

/* A file that is handed to the kernel, or that was removed while it is open. */
static bool chunk_is_held(const struct pa_chunk *chunk)
{
	const struct pa_content *content = chunk->content;

	return content->whole_holds > 0 || (content->node == NULL && content->handles > 0);
}

static bool chunk_is_kept(const struct pa_chunk *chunk)
{
	return chunk_is_held(chunk) ||
	       (chunk->content->node != NULL && pa_pin_covers(chunk->content->node, chunk->index));
}

bool pa_chunk_is_evictable(const struct pa_chunk *chunk)
{
	return chunk->state == PA_CHUNK_PRESENT && chunk->readers == 0 && !chunk_is_kept(chunk);
}

void pa_cache_sort_chunk(struct pa_cache *cache, struct pa_chunk *chunk, int64_t now_ns)
{
	pa_list_remove(&chunk->place);
	chunk->unassigned_epoch = 0;
	if (chunk_is_kept(chunk)) {
		pa_list_append(&cache->held, &chunk->place);
		return;
	}
	struct pa_need *need = NULL;
	if (chunk->content->node != NULL)
		need = pa_need_of(chunk->content->node, chunk->index, now_ns);
	if (need == NULL) {
		chunk->unassigned_epoch = cache->assign_epoch;
		pa_list_append(&cache->unassigned, &chunk->place);
		return;
	}
	pa_list_append(&need->chunks, &chunk->place);
	if ((size_t)(need - cache->needs) > cache->latest_need)
		cache->latest_need = (size_t)(need - cache->needs);
}

bool pa_cache_sort_some(struct pa_cache *cache)
{
	int64_t now_ns = pa_clock_ns();

	for (unsigned i = 0; i < SORT_PIECE && !pa_list_is_empty(&cache->unsorted); i++)
		pa_cache_sort_chunk(cache, chunk_of(cache->unsorted.next), now_ns);
	return pa_list_is_empty(&cache->unsorted);
}

void pa_cache_unsort(struct pa_content *content)
{
	for (uint32_t i = 0; i < content->chunk_capacity; i++) {
		struct pa_chunk *chunk = content->chunks[i];
		if (chunk == NULL || chunk->state != PA_CHUNK_PRESENT)
			continue;
		pa_list_remove(&chunk->place);
		chunk->unassigned_epoch = 0;
		pa_list_append(&content->cache->unsorted, &chunk->place);
	}
}

/* Needs that are over let their chunks go to other needs, or to none. */
static void expire_needs(struct pa_cache *cache, int64_t now_ns)
{
	if (now_ns < cache->next_expiry_ns)
		return;
	cache->next_expiry_ns = INT64_MAX;
	for (size_t i = 0; i < cache->need_count; i++) {
		struct pa_need *need = &cache->needs[i];
		if (need->keep_until_ns <= now_ns)
			pa_list_splice(&cache->unsorted, &need->chunks);
		else if (need->keep_until_ns < cache->next_expiry_ns)
			cache->next_expiry_ns = need->keep_until_ns;
	}
}

/* The first of a list that may go.  What turns out to be pinned or held moves to its own list on the way. */
static struct pa_chunk *first_evictable(struct pa_cache *cache, struct pa_list *list, int64_t now_ns)
{
	struct pa_list *next;

	for (struct pa_list *link = list->next; link != list; link = next) {
		struct pa_chunk *chunk = chunk_of(link);
		next = link->next;
		if (chunk->readers > 0)
			continue;
		if (pa_chunk_is_evictable(chunk))
			return chunk;
		pa_cache_sort_chunk(cache, chunk, now_ns);
	}
	return NULL;
}

/* Whose place something may take that is needed at `deadline_ns`. */
static struct pa_chunk *find_victim(struct pa_cache *cache, int64_t deadline_ns, int64_t now_ns)
{
	struct pa_chunk *victim = first_evictable(cache, &cache->unassigned, now_ns);

	if (victim != NULL || deadline_ns == PA_NEED_NEVER)
		return victim;
	/* What was due before now is needed now; nothing that is needed now makes room for another such. */
	if (deadline_ns < now_ns)
		deadline_ns = now_ns;
	for (size_t i = cache->latest_need + 1; i-- > 0 && i < cache->need_count;) {
		struct pa_need *need = &cache->needs[i];
		if (need->deadline_ns <= deadline_ns)
			return NULL;
		victim = first_evictable(cache, &need->chunks, now_ns);
		if (victim != NULL)
			return victim;
		if (i == cache->latest_need && i > 0 && pa_list_is_empty(&need->chunks))
			cache->latest_need = i - 1;
	}
	return NULL;
}

bool pa_cache_reserve(struct pa_cache *cache, uint64_t bytes, int64_t deadline_ns)
{
	struct pa_cache_status *status = &cache->status;

	if (bytes > cache->quota_bytes)
		return false;
	while (status->used_bytes + bytes > cache->quota_bytes) {
		if (cache->stopping)
			return false;
		int64_t now_ns = pa_clock_ns();
		expire_needs(cache, now_ns);
		if (!pa_cache_sort_some(cache)) {
			pthread_mutex_unlock(&cache->mutex);
			pthread_mutex_lock(&cache->mutex);
			continue;
		}
		if (status->used_bytes - cache->leaving_bytes + bytes <= cache->quota_bytes) {
			pthread_cond_wait(&cache->changed, &cache->mutex);
			continue;
		}
		struct pa_chunk *victim = find_victim(cache, deadline_ns, now_ns);
		if (victim == NULL)
			return false;
		pa_cache_evict(cache, victim);
	}
	status->used_bytes += bytes;
	if (status->used_bytes > status->peak_bytes)
		status->peak_bytes = status->used_bytes;
	return true;
}

void pa_cache_give_back(struct pa_cache *cache, uint64_t bytes)
{
	cache->status.used_bytes -= bytes;
}

void pa_cache_evict(struct pa_cache *cache, struct pa_chunk *chunk)
{
	struct pa_content *content = chunk->content;
	uint64_t offset = (uint64_t)chunk->index * PA_CHUNK_BYTES;

	chunk->state = PA_CHUNK_LEAVING;
	pa_list_remove(&chunk->place);
	chunk->unassigned_epoch = 0;
	content->resident_bytes -= chunk->bytes;
	if (content->node != NULL)
		pa_inode_add_resident(content->node, -(int64_t)chunk->bytes);
	content->references++;
	content->data_set->busy++;
	cache->leaving_bytes += chunk->charged_bytes;
	pthread_mutex_unlock(&cache->mutex);

	/* Not only its own bytes: a file that was cut short may have more in the last page. */
	pa_mirror_withdraw(content);
	pa_region_punch(&cache->region, content->id, offset, PA_CHUNK_BYTES);

	pthread_mutex_lock(&cache->mutex);
	content->data_set->busy--;
	cache->leaving_bytes -= chunk->charged_bytes;
	cache->status.evicted_bytes += chunk->bytes;
	pa_content_remove_chunk(chunk);
	pa_content_unref(content);
}
