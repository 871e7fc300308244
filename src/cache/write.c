/* SPDX-License-Identifier: Apache-2.0 */
/* Writing: the source first, then what memory has of the file.  A chunk that a write covers to the file's
 * end comes into
 * memory with it, so a file written from its start to its end is whole when it is closed. */
#include <errno.h>
#include <stdlib.h>

#include "cache/cache_internal.h"

struct change {
	struct pa_content *content;
	const char *data;
	uint64_t offset;
	uint64_t end;
	uint64_t new_size_bytes;
};

static uint32_t chunk_bytes_at(uint64_t size_bytes, uint32_t index)
{
	uint64_t start = (uint64_t)index * PA_CHUNK_BYTES;

	if (size_bytes <= start)
		return 0;
	return size_bytes - start < PA_CHUNK_BYTES ? (uint32_t)(size_bytes - start) : PA_CHUNK_BYTES;
}

static uint32_t first_chunk(const struct change *change)
{
	return (uint32_t)(change->offset / PA_CHUNK_BYTES);
}

static uint32_t last_chunk(const struct change *change)
{
	return (uint32_t)((change->end - 1) / PA_CHUNK_BYTES);
}

/* The chunk that ended the file, when the write leaves a gap behind it. */
static bool old_end(const struct change *change, uint32_t *ret_index)
{
	uint64_t size_bytes = change->content->size_bytes;

	if (size_bytes == 0 || change->new_size_bytes == size_bytes)
		return false;
	*ret_index = (uint32_t)((size_bytes - 1) / PA_CHUNK_BYTES);
	return *ret_index < first_chunk(change);
}

/* Room for a chunk that is there and grows. False: there is none, and the chunk cannot go either. */
static bool grow_chunk(struct change *change, uint32_t index)
{
	struct pa_content *content = change->content;
	struct pa_chunk *chunk = pa_content_settled(content, index);
	uint32_t charge = pa_chunk_charge(chunk_bytes_at(change->new_size_bytes, index));

	if (chunk == NULL || chunk->state != PA_CHUNK_PRESENT || charge <= chunk->charged_bytes)
		return true;
	return pa_chunk_charge_more(chunk, charge) || content->whole_holds == 0;
}

/* A chunk that is not there and that the write covers wholly: the write becomes its fetch. */
static bool add_chunk(struct change *change, uint32_t index)
{
	struct pa_content *content = change->content;
	uint64_t start = (uint64_t)index * PA_CHUNK_BYTES;
	uint32_t bytes = chunk_bytes_at(change->new_size_bytes, index);

	if (change->offset > start || change->end < start + bytes ||
	    pa_content_settled(content, index) != NULL)
		return true;
	struct pa_fetch *fetch = pa_fetch_new(content, index, PA_LOAD_WRITE);
	struct pa_chunk *chunk = pa_content_add_chunk(content, index, fetch);
	fetch->count = 1;
	chunk->bytes = bytes;
	chunk->storing = true; /* ours: others wait for the end of the write */
	if (!pa_cache_reserve(content->cache, pa_chunk_charge(bytes), pa_content_deadline(content, index))) {
		chunk->storing = false;
		pa_fetch_abandon(fetch);
		return content->whole_holds == 0;
	}
	chunk->charged_bytes = pa_chunk_charge(bytes);
	return true;
}

static bool is_ours(const struct pa_chunk *chunk)
{
	return chunk != NULL && chunk->state == PA_CHUNK_LOADING && chunk->fetch->class == PA_LOAD_WRITE;
}

/* Locked. Ends the chunks that the write has brought, and takes away what may now differ from the source; what cannot
 * be taken away now, because it is being read, goes when the last writer closes. */
static void undo(struct change *change, bool written)
{
	struct pa_content *content = change->content;

	content->doubtful = content->doubtful || written;
	for (uint32_t i = first_chunk(change); i <= last_chunk(change); i++) {
		struct pa_chunk *chunk = pa_content_chunk(content, i);
		if (is_ours(chunk))
			pa_fetch_abandon(chunk->fetch);
		else if (written && chunk != NULL && chunk->state == PA_CHUNK_LOADING)
			chunk->overwritten = true;
		else if (written && chunk != NULL && chunk->state == PA_CHUNK_PRESENT &&
		         chunk->readers == 0 && content->whole_holds == 0)
			pa_cache_evict(content->cache, chunk);
	}
}

/* Locked; lets go of the mutex. */
static int make_room(struct change *change, struct pa_error *err)
{
	uint32_t end_index;
	bool room = !old_end(change, &end_index) || grow_chunk(change, end_index);

	for (uint32_t i = first_chunk(change); room && i <= last_chunk(change); i++)
		room = grow_chunk(change, i) && add_chunk(change, i);
	if (room)
		return 0;
	undo(change, false);
	return pa_error_set_errno(
	    err, ENOSPC,
	    "writing to a file that is handed out from memory: the cache has no room for its growth");
}

/* The part of the write that falls into a chunk. */
static void part_of(const struct change *change, uint32_t index, uint64_t *ret_from, size_t *ret_bytes)
{
	uint64_t start = (uint64_t)index * PA_CHUNK_BYTES;
	uint64_t from = change->offset > start ? change->offset : start;
	uint64_t to = change->end < start + PA_CHUNK_BYTES ? change->end : start + PA_CHUNK_BYTES;

	*ret_from = from;
	*ret_bytes = (size_t)(to - from);
}

/* Locked; lets go of the mutex: one chunk of memory takes its part of the write.  False if it could not. */
static bool write_chunk(struct change *change, uint32_t index, int region_fd)
{
	struct pa_content *content = change->content;
	struct pa_chunk *chunk = pa_content_chunk(content, index);
	struct pa_error err = PA_ERROR_INIT;
	uint64_t from;
	size_t bytes;

	if (!is_ours(chunk))
		chunk = pa_content_settled(content, index);
	if (chunk == NULL)
		return true;
	if (chunk->state == PA_CHUNK_LOADING && !is_ours(chunk)) {
		chunk->overwritten = true;
		return true;
	}
	chunk->readers++;
	chunk->changes++;
	chunk->hash_known = false;
	part_of(change, index, &from, &bytes);
	pthread_mutex_unlock(&content->cache->mutex);
	bool stored = region_fd >= 0 && pa_region_write(region_fd, change->data + (from - change->offset),
	                                                bytes, from, &err) == 0;
	pthread_mutex_lock(&content->cache->mutex);
	chunk->readers--;
	pthread_cond_broadcast(&content->cache->changed);
	return stored;
}

/* Locked; lets go of the mutex. A chunk that is there has the length that the file's new size gives it; it
 * goes if that was not charged. */
static void settle_length(struct pa_content *content, uint32_t index)
{
	struct pa_chunk *chunk = pa_content_chunk(content, index);

	if (chunk == NULL || chunk->state != PA_CHUNK_PRESENT)
		return;
	uint32_t bytes = pa_content_chunk_bytes(content, index);
	if (pa_chunk_charge(bytes) > chunk->charged_bytes) {
		pa_content_drop_chunk(content, chunk);
		return;
	}
	uint32_t more_bytes = bytes - chunk->bytes;
	chunk->bytes = bytes;
	content->resident_bytes += more_bytes;
	if (content->node != NULL)
		pa_inode_add_resident(content->node, more_bytes);
}

static void end_own_fetch(struct pa_chunk *chunk)
{
	struct pa_fetch *fetch = chunk->fetch;

	pa_chunk_make_present(chunk);
	pa_fetch_complete(fetch);
}

/* Locked; lets go of the mutex. The source has it: size, time, memory follow. */
static void take_over(struct change *change, int region_fd)
{
	struct pa_content *content = change->content;
	struct pa_inode *node = content->node;
	uint32_t end_index = 0;
	bool gap = old_end(change, &end_index);
	bool stored = true;

	for (uint32_t i = first_chunk(change); i <= last_chunk(change); i++)
		stored = write_chunk(change, i, region_fd) && stored;
	node = content->node;
	if (change->new_size_bytes > content->size_bytes) {
		content->size_bytes = change->new_size_bytes;
		if (node != NULL)
			pa_inode_set_size(node, change->new_size_bytes);
	}
	if (node != NULL) {
		node->mtime_ns = pa_clock_wall_ms() * PA_NS_PER_MS;
		pa_inode_changed(content->data_set, node);
	}
	if (!stored) {
		undo(change, true);
		return;
	}
	if (gap)
		settle_length(content, end_index);
	for (uint32_t i = first_chunk(change); i <= last_chunk(change); i++) {
		struct pa_chunk *chunk = pa_content_chunk(content, i);
		if (is_ours(chunk))
			end_own_fetch(chunk);
		else
			settle_length(content, i);
	}
}

/* Locked, within the turn; lets go of the mutex. */
static int write_in_turn(struct pa_file *file, struct change *change, const struct pa_store_call *call,
                         struct pa_error *err)
{
	struct pa_content *content = change->content;
	struct pa_cache *cache = content->cache;
	int r = make_room(change, err);

	if (r < 0)
		return r;
	pthread_mutex_unlock(&cache->mutex);
	r = pa_store_write(file->data_set->store, file->store_file, change->data,
	                   (size_t)(change->end - change->offset), change->offset, call, err);
	/* A write behind the end leaves a gap, in memory as in the source. */
	int region_fd = -1;
	struct pa_error memory = PA_ERROR_INIT;
	if (r == 0 && (pa_file_open_region(file, &region_fd, &memory) < 0 ||
	               pa_region_extend(region_fd, change->new_size_bytes, &memory) < 0))
		region_fd = -1; /* without it, memory just has no part in this */
	pthread_mutex_lock(&cache->mutex);
	if (r < 0)
		undo(change, true);
	else
		take_over(change, region_fd);
	/* A removed file's size is kept for those who have it open. */
	if (content->node == NULL)
		pa_inode_set_size(file->node, content->size_bytes);
	return r;
}

int pa_file_write(struct pa_file *file, uint64_t offset, const void *data, size_t bytes,
                  const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_content *content = file->content;
	struct pa_cache *cache = content->cache;

	if ((file->flags & PA_FILE_WRITE) == 0)
		return pa_error_set_errno(err, EBADF, "a file of %s was not opened for writing",
		                          file->data_set->name);
	if (bytes == 0)
		return 0;
	pthread_mutex_lock(&cache->mutex);
	int r = pa_content_begin_change(content, call, err);
	if (r == 0) {
		content->growing = true;
		if ((file->flags & PA_FILE_APPEND) != 0)
			offset = content->size_bytes;
		struct change change = {
		    .content = content, .data = data, .offset = offset, .end = offset + bytes};
		if (offset > PA_CACHE_MAX_FILE_BYTES || bytes > PA_CACHE_MAX_FILE_BYTES - offset) {
			r = pa_error_set_errno(err, EFBIG, "a file of %s", file->data_set->name);
		} else {
			change.new_size_bytes =
			    change.end > content->size_bytes ? change.end : content->size_bytes;
			r = write_in_turn(file, &change, call, err);
		}
		content->growing = false;
		pa_content_end_change(content);
	}
	pthread_mutex_unlock(&cache->mutex);
	return r;
}
