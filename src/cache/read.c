/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: what is in memory is copied under a mark that keeps it there; for the rest the reader waits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache_internal.h"

/* How far behind the last read another may begin and still count as reading on. */
#define SEQUENTIAL_SLACK_BYTES PA_CHUNK_BYTES

/* One read under way. */
struct reading {
	struct pa_file *file;
	struct pa_content *content;
	uint64_t at;
	uint64_t end;
	char *data; /* for the byte at `at` */
	bool sequential;
	int64_t stalled_ns;
	const struct pa_store_call *call;
};

static void advance(struct reading *reading, size_t bytes)
{
	reading->at += bytes;
	reading->data += bytes;
}

static uint32_t chunk_at(uint64_t offset)
{
	return (uint32_t)(offset / PA_CHUNK_BYTES);
}

static uint64_t chunk_end(const struct reading *reading, uint32_t index)
{
	uint64_t end = ((uint64_t)index + 1) * PA_CHUNK_BYTES;

	return end < reading->end ? end : reading->end;
}

static bool is_present(const struct pa_chunk *chunk)
{
	return chunk != NULL && chunk->state == PA_CHUNK_PRESENT;
}

/* Locked. Marks the run of resident chunks from `at` on, and returns where it ends. */
static uint64_t mark_run(struct reading *reading)
{
	struct pa_cache *cache = reading->content->cache;
	uint64_t end = reading->at;

	while (end < reading->end) {
		struct pa_chunk *chunk = pa_content_chunk(reading->content, chunk_at(end));
		if (!is_present(chunk))
			break;
		chunk->readers++;
		if (chunk->unassigned_epoch == cache->assign_epoch) {
			pa_list_remove(&chunk->place);
			pa_list_append(&cache->unassigned, &chunk->place);
		}
		end = chunk_end(reading, chunk->index);
	}
	return end;
}

/* Locked. */
static void unmark_run(struct reading *reading, uint64_t end)
{
	for (uint64_t at = reading->at; at < end; at = ((uint64_t)chunk_at(at) + 1) * PA_CHUNK_BYTES)
		pa_content_chunk(reading->content, chunk_at(at))->readers--;
	/* A writer may be waiting to cut the file short. */
	if (reading->content->writing)
		pthread_cond_broadcast(&reading->content->cache->changed);
}

/* Locked, the chunk being marked; lets go of the mutex. Reads all of a chunk and holds it against its
 * checksum.  False: it
 * is another content than what was loaded. */
static bool verify(struct reading *reading, struct pa_chunk *chunk, int fd)
{
	struct pa_cache *cache = reading->content->cache;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_hash128 expected = chunk->hash;
	uint32_t bytes = chunk->bytes;
	uint32_t changes = chunk->changes;

	pthread_mutex_unlock(&cache->mutex);
	char *copy = malloc(bytes);
	if (copy == NULL)
		abort();
	bool same = pa_region_read(fd, copy, bytes, (uint64_t)chunk->index * PA_CHUNK_BYTES, &err) == 0 &&
	            pa_hash_equal(pa_hash_content(copy, bytes), expected);
	free(copy);
	pthread_mutex_lock(&cache->mutex);
	return same || chunk->changes != changes;
}

/* Locked; lets go of the mutex. Whether the chunk may be used, of which so many bytes are to be copied; one that is
 * corrupt is dropped.  Checking reads all of it, so that many small reads together pay for one. */
static bool sample(struct reading *reading, uint64_t bytes, int fd)
{
	struct pa_content *content = reading->content;
	struct pa_cache *cache = content->cache;
	struct pa_chunk *chunk = pa_content_chunk(content, chunk_at(reading->at));

	cache->verify_bytes += bytes;
	if (cache->verify_bytes < (uint64_t)cache->verify_every * chunk->bytes)
		return true;
	cache->verify_bytes = 0;
	/* What the kernel reads from past us cannot be taken away and loaded again. */
	if (!chunk->hash_known || content->whole_holds > 0)
		return true;
	chunk->readers++;
	bool good = verify(reading, chunk, fd);
	chunk->readers--;
	if (good)
		return true;
	cache->status.corrupt_chunks++;
	if (pa_chunk_is_evictable(chunk) || (chunk->readers == 0 && content->whole_holds == 0))
		pa_cache_evict(cache, chunk);
	return false;
}

/* Locked; lets go of the mutex.  Copies what is in memory from `at` on; nothing when a chunk turned out to be
 * corrupt. */
static int copy_run(struct reading *reading, struct pa_error *err)
{
	struct pa_cache *cache = reading->content->cache;
	int fd = -1;

	/* The file exists: its content has a chunk, which is marked before the mutex is let go. */
	uint64_t end = mark_run(reading);
	pthread_mutex_unlock(&cache->mutex);
	int r = pa_file_open_region(reading->file, &fd, err);
	pthread_mutex_lock(&cache->mutex);
	if (r == 0 && cache->verify_every != 0) {
		/* One chunk at a time, so that each of them may be the sample. */
		uint64_t first_end = chunk_end(reading, chunk_at(reading->at));
		unmark_run(reading, end);
		if (!is_present(pa_content_chunk(reading->content, chunk_at(reading->at))) ||
		    !sample(reading, first_end - reading->at, fd) ||
		    !is_present(pa_content_chunk(reading->content, chunk_at(reading->at))))
			return 0;
		pa_content_chunk(reading->content, chunk_at(reading->at))->readers++;
		end = first_end;
	}
	pthread_mutex_unlock(&cache->mutex);
	if (r == 0)
		r = pa_region_read(fd, reading->data, (size_t)(end - reading->at), reading->at, err);
	pthread_mutex_lock(&cache->mutex);
	unmark_run(reading, end);
	if (r == 0)
		advance(reading, (size_t)(end - reading->at));
	return r;
}

/* Locked. Takes what a fetch has for us past the memory. */
static void copy_bypassed(struct reading *reading, const struct pa_fetch *fetch)
{
	uint64_t data_end = fetch->data_offset + fetch->data_bytes;

	if (fetch->data == NULL || reading->at < fetch->data_offset || reading->at >= data_end)
		return;
	uint64_t end = reading->end < data_end ? reading->end : data_end;
	memcpy(reading->data, fetch->data + (reading->at - fetch->data_offset), (size_t)(end - reading->at));
	advance(reading, (size_t)(end - reading->at));
}

/* Locked. Asks for what comes after the chunk that is read now. */
static void read_ahead(struct reading *reading, uint32_t index)
{
	uint32_t count = reading->file->data_set->readahead_chunks;

	for (uint32_t i = 1; i <= count; i++)
		pa_loader_read_ahead(reading->content, index + i);
}

/* Locked. Demands all that is missing of the read, so that it comes in parallel; the fetch of the first is
 * referenced. */
static struct pa_fetch *demand_all(struct reading *reading, bool *ret_fresh)
{
	int64_t deadline_ns = reading->call != NULL ? reading->call->deadline_ns : PA_DEADLINE_NEVER;
	struct pa_fetch *first = NULL;

	for (uint64_t at = reading->at; at < reading->end;
	     at = ((uint64_t)chunk_at(at) + 1) * PA_CHUNK_BYTES) {
		uint32_t index = chunk_at(at);
		uint64_t want_first = at;
		uint64_t want_end = chunk_end(reading, index);
		struct pa_chunk *chunk = pa_content_chunk(reading->content, index);
		if (chunk != NULL && chunk->state != PA_CHUNK_LOADING)
			continue;
		bool fresh = chunk == NULL || !chunk->overwritten;
		/* Who reads on wants the rest of the chunk, too, also when there is no room for it. */
		if (reading->sequential) {
			want_first = (uint64_t)index * PA_CHUNK_BYTES;
			want_end = want_first + pa_content_chunk_bytes(reading->content, index);
		}
		struct pa_fetch *fetch =
		    pa_loader_demand(reading->content, index, want_first, want_end, deadline_ns);
		if (at == reading->at) {
			first = fetch;
			*ret_fresh = fresh;
		} else {
			pa_fetch_unref(fetch);
		}
	}
	if (reading->sequential)
		read_ahead(reading, chunk_at(reading->end - 1));
	return first;
}

/* Locked; lets go of the mutex.  Waits until the chunk at `at` is there, or gone past us. */
static int wait_for_chunk(struct reading *reading, struct pa_error *err)
{
	struct pa_content *content = reading->content;
	struct pa_cache *cache = content->cache;
	struct pa_chunk *chunk = pa_content_chunk(content, chunk_at(reading->at));
	struct pa_error failure = PA_ERROR_INIT;
	bool fresh = false;
	int r = 0;

	if (chunk != NULL && chunk->state == PA_CHUNK_LEAVING)
		return pa_cache_wait(cache, &cache->changed, reading->call, err);
	if (cache->stopping || content->data_set->closing)
		return pa_error_set(err, PA_ERROR_CANCELLED, "the cache is being ended");
	if (content->node == NULL && chunk == NULL)
		return pa_error_set(err, PA_ERROR_CHANGED,
		                    "a file of %s was changed or removed since it was opened",
		                    content->data_set->name);
	uint64_t changes = content->changes;
	bool quiet = !content->writing;
	struct pa_fetch *fetch = demand_all(reading, &fresh);
	while (!fetch->done && r == 0)
		r = pa_cache_wait(cache, &fetch->finished, reading->call, err);
	if (fetch->done && fetch->result < 0) {
		failure = fetch->error;
		/* The end of somebody else's time, or of a load that was given up: ours may go on. */
		if (failure.class != PA_ERROR_CANCELLED && failure.class != PA_ERROR_DEADLINE) {
			*err = failure;
			r = fetch->result;
		}
	} else if (fetch->done && fresh) {
		copy_bypassed(reading, fetch);
	}
	if (fetch->done && fetch->data != NULL && reading->sequential && fresh && quiet) {
		pa_file_drop_bypass(reading->file);
		reading->file->bypass = fetch;
		reading->file->bypass_changes = changes;
	} else {
		pa_fetch_unref(fetch);
	}
	return r;
}

/* Locked. Bytes of the range that are not in memory. */
static uint64_t count_missing(const struct reading *reading)
{
	uint64_t missing = 0;

	for (uint64_t at = reading->at; at < reading->end; at = chunk_end(reading, chunk_at(at)))
		if (!is_present(pa_content_chunk(reading->content, chunk_at(at))))
			missing += chunk_end(reading, chunk_at(at)) - at;
	return missing;
}

/* Locked. Whether this read goes on from the last; a reader that went elsewhere is no longer read ahead for.
 * */
static bool reads_on(struct pa_file *file, uint64_t offset)
{
	bool on = offset <= file->next_offset + SEQUENTIAL_SLACK_BYTES &&
	          offset + SEQUENTIAL_SLACK_BYTES >= file->next_offset;

	if (!on)
		file->missing = false;
	return on;
}

/* Locked. Whoever waited, or had the mutex let go, may find the file shorter than it was. */
static void cut_short(struct reading *reading)
{
	uint64_t size_bytes = reading->content->size_bytes;

	if (reading->end > size_bytes)
		reading->end = reading->at > size_bytes ? reading->at : size_bytes;
}

/* Locked; lets go of the mutex. */
static int read_all(struct reading *reading, struct pa_error *err)
{
	struct pa_file *file = reading->file;
	struct pa_content *content = reading->content;
	int r = 0;

	for (; r == 0 && reading->at < reading->end; cut_short(reading)) {
		if (content->awaiting_copies > 0) {
			r = pa_cache_wait(content->cache, &content->cache->changed, reading->call, err);
			continue;
		}
		if (is_present(pa_content_chunk(content, chunk_at(reading->at)))) {
			r = copy_run(reading, err);
			continue;
		}
		if (file->bypass != NULL && file->bypass_changes == content->changes) {
			uint64_t before = reading->at;
			copy_bypassed(reading, file->bypass);
			if (reading->at > before)
				continue;
		}
		int64_t since_ns = pa_clock_ns();
		file->missing = true;
		r = wait_for_chunk(reading, err);
		reading->stalled_ns += pa_clock_ns() - since_ns;
	}
	return r;
}

int pa_file_read(struct pa_file *file, uint64_t offset, void *data, size_t bytes, size_t *ret_bytes,
                 struct pa_read_account *account, const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_content *content = file->content;
	struct pa_cache *cache = content->cache;

	if ((file->flags & PA_FILE_READ) == 0)
		return pa_error_set_errno(err, EBADF, "a file of %s was not opened for reading",
		                          file->data_set->name);
	pthread_mutex_lock(&cache->mutex);
	struct reading reading = {
	    .file = file,
	    .content = content,
	    .at = offset,
	    .data = data,
	    .sequential = reads_on(file, offset),
	    .call = call,
	};
	reading.end = offset >= content->size_bytes          ? offset
	              : bytes < content->size_bytes - offset ? offset + bytes
	                                                     : content->size_bytes;
	uint64_t missing_bytes = count_missing(&reading);
	if (missing_bytes == 0 && file->missing && reading.sequential && reading.end > offset)
		read_ahead(&reading, chunk_at(reading.end - 1));
	int r = read_all(&reading, err);
	if (r == 0) {
		if (reading.end > file->next_offset || !reading.sequential)
			file->next_offset = reading.end;
		if (missing_bytes > reading.end - offset)
			missing_bytes = reading.end - offset;
		if (account != NULL) {
			account->memory_bytes += reading.end - offset - missing_bytes;
			account->source_bytes += missing_bytes;
			account->stalled_ns += reading.stalled_ns;
		}
	}
	pthread_mutex_unlock(&cache->mutex);
	if (r == 0)
		*ret_bytes = (size_t)(reading.end - offset);
	return r;
}
