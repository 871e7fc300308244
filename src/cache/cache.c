/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cache/cache_internal.h"

/* How long pa_cache_free() waits for readers, whom it wakes, to close their files. */
#define CLOSE_WAIT_NS (10 * PA_NS_PER_SECOND)

int pa_cache_new(const struct pa_cache_options *options, struct pa_cache **ret, struct pa_error *err)
{
	if (options->quota_bytes == 0)
		return pa_error_set(err, PA_ERROR_INPUT, "the cache's quota is 0 bytes; give it some memory");
	struct pa_cache *cache = calloc(1, sizeof(*cache));
	if (cache == NULL)
		abort();
	int r = pa_region_open(&cache->region, options->directory, err);
	if (r < 0) {
		free(cache);
		return r;
	}
	pthread_mutex_init(&cache->mutex, NULL);
	pthread_mutex_init(&cache->assign_mutex, NULL);
	pa_clock_cond_init(&cache->changed);
	cache->quota_bytes = options->quota_bytes;
	cache->verify_every = options->verify_every;
	cache->status.quota_bytes = options->quota_bytes;
	cache->assign_epoch = 1;
	pa_list_init(&cache->data_sets);
	pa_list_init(&cache->loaders);
	pa_list_init(&cache->unsorted);
	pa_list_init(&cache->unassigned);
	pa_list_init(&cache->held);
	pa_list_init(&cache->buried);
	*ret = cache;
	return 0;
}

/* Locked; lets go of the mutex. False when files stay open. */
static bool stop_readers(struct pa_cache *cache)
{
	int64_t until_ns = pa_clock_deadline(CLOSE_WAIT_NS);
	struct timespec until = pa_clock_timespec(until_ns);

	cache->stopping = true;
	for (struct pa_list *link = cache->data_sets.next; link != &cache->data_sets; link = link->next)
		pa_loader_cancel(PA_LIST_ENTRY(link, struct pa_data_set, link));
	pthread_cond_broadcast(&cache->changed);
	while (cache->open_files > 0 && pa_clock_ns() < until_ns)
		pthread_cond_timedwait(&cache->changed, &cache->mutex, &until);
	return cache->open_files == 0;
}

void pa_cache_free(struct pa_cache *cache)
{
	if (cache == NULL)
		return;
	pthread_mutex_lock(&cache->mutex);
	bool closed = stop_readers(cache);
	pthread_mutex_unlock(&cache->mutex);
	if (!closed) {
		/* Better to keep the memory than to pull it away under a reader. */
		pa_log(PA_LOG_ERROR, "the cache is ended with %llu files open; its memory is kept",
		       (unsigned long long)cache->open_files);
		return;
	}
	while (!pa_list_is_empty(&cache->data_sets))
		pa_cache_close_data_set(cache,
		                        PA_LIST_ENTRY(cache->data_sets.next, struct pa_data_set, link));
	pa_content_bury(cache);
	pa_region_close(&cache->region);
	pthread_cond_destroy(&cache->changed);
	pthread_mutex_destroy(&cache->assign_mutex);
	pthread_mutex_destroy(&cache->mutex);
	free(cache->needs);
	free(cache);
}

void pa_cache_status(struct pa_cache *cache, struct pa_cache_status *ret)
{
	pthread_mutex_lock(&cache->mutex);
	*ret = cache->status;
	pthread_mutex_unlock(&cache->mutex);
}

/* Bytes of chunks of a file that lie in a range: all, and those that are there. */
static void file_residency(const struct pa_inode *node, uint64_t first_byte, uint64_t end_byte,
                           uint64_t *ret_resident, uint64_t *ret_total)
{
	if (end_byte > node->total_bytes)
		end_byte = node->total_bytes;
	if (first_byte == 0 && end_byte == node->total_bytes) {
		*ret_resident = node->resident_bytes;
		*ret_total = node->total_bytes;
		return;
	}
	*ret_resident = 0;
	*ret_total = end_byte > first_byte ? end_byte - first_byte : 0;
	if (node->content == NULL)
		return;
	for (uint64_t at = first_byte; at < end_byte;) {
		uint64_t next = (at / PA_CHUNK_BYTES + 1) * PA_CHUNK_BYTES;
		if (next > end_byte)
			next = end_byte;
		const struct pa_chunk *chunk =
		    pa_content_chunk(node->content, (uint32_t)(at / PA_CHUNK_BYTES));
		if (chunk != NULL && chunk->state == PA_CHUNK_PRESENT)
			*ret_resident += next - at;
		at = next;
	}
}

void pa_data_set_residency(struct pa_data_set *data_set, const struct pa_extent *extent,
                           uint64_t *ret_resident_bytes, uint64_t *ret_total_bytes)
{
	uint64_t end_byte;

	if (__builtin_add_overflow(extent->offset_bytes, extent->length_bytes, &end_byte))
		end_byte = UINT64_MAX;
	*ret_resident_bytes = 0;
	*ret_total_bytes = 0;
	pthread_mutex_lock(&data_set->cache->mutex);
	const struct pa_inode *node = pa_inode_by_path(data_set, extent->path);
	if (node != NULL && node->kind == PA_ENTRY_FILE) {
		file_residency(node, extent->offset_bytes, end_byte, ret_resident_bytes, ret_total_bytes);
	} else if (node != NULL) {
		*ret_resident_bytes = node->resident_bytes;
		*ret_total_bytes = node->total_bytes;
	}
	pthread_mutex_unlock(&data_set->cache->mutex);
}
