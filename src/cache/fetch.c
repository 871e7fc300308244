/* SPDX-License-Identifier: Apache-2.0 */
/* One fetch from its turn to its end: room, the request with its retries, storing, what its waiters get. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cache/cache_internal.h"

#define TRIES            5
#define FIRST_BACKOFF_NS (50 * PA_NS_PER_MS)
/* How long a load that failed for good is left alone by assignments: twice as long after each failure, so that what
 * cannot be read costs next to nothing, and comes by itself when it can. */
#define FAILED_PAUSE_NS       PA_NS_PER_SECOND
#define FAILED_MOST_DOUBLINGS 6
/* How long loads ahead rest when the memory's file system took no more. */
#define FULL_PAUSE_NS (5 * PA_NS_PER_SECOND)

/* What one request asks for. */
struct request {
	struct pa_data_set *data_set;
	uint64_t inode;
	char path[PA_PATH_ROOM];
	struct pa_hash128 version;
	bool versioned;
	uint64_t changes; /* of the content, when it was built */
	uint64_t offset;
	size_t bytes;
	char *data;
};

struct pa_fetch *pa_fetch_new(struct pa_content *content, uint32_t first, enum pa_load_class class)
{
	struct pa_fetch *fetch = calloc(1, sizeof(*fetch));

	if (fetch == NULL)
		abort();
	pa_list_init(&fetch->link);
	pa_clock_cond_init(&fetch->finished);
	content->references++;
	fetch->content = content;
	fetch->first = first;
	fetch->class = class;
	fetch->yields = class == PA_LOAD_AHEAD;
	fetch->references = 1;
	return fetch;
}

void pa_fetch_unref(struct pa_fetch *fetch)
{
	if (--fetch->references > 0)
		return;
	pthread_cond_destroy(&fetch->finished);
	pa_content_unref(fetch->content);
	free(fetch->data);
	free(fetch);
}

/* Everybody hears of it; its chunks are no longer its own. */
static void fetch_end(struct pa_fetch *fetch, int result, const struct pa_error *err)
{
	struct pa_content *content = fetch->content;

	for (uint32_t i = 0; i < fetch->count; i++) {
		struct pa_chunk *chunk = pa_content_chunk(content, fetch->first + i);
		if (chunk != NULL && chunk->fetch == fetch)
			pa_content_remove_chunk(chunk);
	}
	fetch->result = result;
	if (result < 0)
		fetch->error = *err;
	fetch->done = true;
	pa_list_remove(&fetch->link);
	pthread_cond_broadcast(&fetch->finished);
	pthread_cond_broadcast(&content->cache->changed);
	pa_fetch_unref(fetch);
}

void pa_fetch_complete(struct pa_fetch *fetch)
{
	fetch_end(fetch, 0, NULL);
}

void pa_fetch_abandon(struct pa_fetch *fetch)
{
	struct pa_error err = PA_ERROR_INIT;

	fetch_end(fetch, pa_error_set(&err, PA_ERROR_CANCELLED, "a load was given up"), &err);
}

static struct pa_chunk *fetch_chunk(const struct pa_fetch *fetch, uint32_t i)
{
	return pa_content_chunk(fetch->content, fetch->first + i);
}

/* Room for a chunk that a reader waits for; whose place it may take follows from its own need. */
static bool reserve(struct pa_fetch *fetch)
{
	struct pa_content *content = fetch->content;
	struct pa_chunk *chunk = fetch_chunk(fetch, 0);
	const struct pa_need *need = NULL;

	if (content->node != NULL)
		need = pa_need_of(content->node, fetch->first, pa_clock_ns());
	uint32_t charged_bytes = pa_chunk_charge(chunk->bytes);
	if (!pa_cache_reserve(content->cache, charged_bytes,
	                      need != NULL ? need->deadline_ns : PA_NEED_NEVER))
		return false;
	chunk->charged_bytes = charged_bytes;
	return true;
}

static bool was_overwritten(const struct pa_fetch *fetch)
{
	for (uint32_t i = 0; i < fetch->count; i++)
		if (fetch_chunk(fetch, i)->overwritten)
			return true;
	return false;
}

static int prepare(struct pa_fetch *fetch, bool room, char *buffer, struct request *request,
                   struct pa_error *err)
{
	struct pa_content *content = fetch->content;

	if (content->node == NULL)
		return pa_error_set(err, PA_ERROR_CHANGED,
		                    "a file of %s was changed or removed since it was opened",
		                    content->data_set->name);
	request->data_set = content->data_set;
	request->inode = content->node->inode;
	int length =
	    pa_inode_store_path(content->data_set, content->node, NULL, request->path, sizeof(request->path));
	if (length < 0)
		return pa_error_set_errno(err, -length, "a path of %s", content->data_set->name);
	request->versioned = content->writers == 0;
	request->version = content->version;
	request->changes = content->changes;
	if (room) {
		request->offset = (uint64_t)fetch->first * PA_CHUNK_BYTES;
		request->bytes = 0;
		for (uint32_t i = 0; i < fetch->count; i++)
			request->bytes += fetch_chunk(fetch, i)->bytes;
		request->data = buffer;
	} else {
		request->offset = fetch->want_first;
		request->bytes = (size_t)(fetch->want_end - fetch->want_first);
		request->data = buffer;
	}
	return 0;
}

/* Not locked. */
static int send(const struct pa_fetch *fetch, const struct request *request, const struct pa_store_call *call,
                struct pa_error *err)
{
	struct pa_store *store = fetch->content->data_set->store;
	size_t got_bytes = 0;
	int r = pa_store_read(store, request->path, request->versioned ? &request->version : NULL,
	                      request->offset, request->data, request->bytes, &got_bytes, call, err);

	if (r == 0 && got_bytes < request->bytes)
		return pa_error_set(err, PA_ERROR_CHANGED,
		                    "'%s' in %s ends at %llu now, before its listed size", request->path,
		                    store->location, (unsigned long long)(request->offset + got_bytes));
	return r;
}

/* Waits before another try; false when there is to be none. */
static bool back_off(struct pa_loader *loader, const struct pa_fetch *fetch, unsigned tries)
{
	struct pa_cache *cache = loader->cache;
	int64_t until_ns = pa_clock_deadline(FIRST_BACKOFF_NS << (tries - 1));

	if (tries == TRIES || (fetch->class != PA_LOAD_AHEAD && until_ns >= fetch->deadline_ns))
		return false;
	cache->status.retries++;
	struct timespec until = pa_clock_timespec(until_ns);
	while (pa_clock_ns() < until_ns && !loader->stopping &&
	       __atomic_load_n(&fetch->cancel, __ATOMIC_RELAXED) == 0)
		pthread_cond_timedwait(&loader->back_off, &cache->mutex, &until);
	return !loader->stopping && __atomic_load_n(&fetch->cancel, __ATOMIC_RELAXED) == 0;
}

/* Our own renaming, writing or changing of attributes came between the building of the request and its end.
 * */
static bool was_crossed(const struct pa_fetch *fetch, const struct request *request)
{
	char path[PA_PATH_ROOM];
	const struct pa_content *content = fetch->content;

	if (content->node == NULL)
		return false;
	if (content->writing || content->changes != request->changes)
		return true;
	if (request->versioned &&
	    (content->writers > 0 || !pa_hash_equal(content->version, request->version)))
		return true;
	return pa_inode_store_path(content->data_set, content->node, NULL, path, sizeof(path)) > 0 &&
	       strcmp(path, request->path) != 0;
}

/* Lets go of the mutex: the request with its retries. */
static int fetch_read(struct pa_loader *loader, struct pa_fetch *fetch, bool room, char *buffer,
                      struct request *request, struct pa_error *err)
{
	struct pa_cache *cache = loader->cache;

	for (unsigned tries = 1;; tries++) {
		int r = prepare(fetch, room, buffer, request, err);
		if (r < 0)
			return r;
		struct pa_store_call call = {
		    .deadline_ns = fetch->class == PA_LOAD_AHEAD || fetch->deadline_ns == 0
		                       ? PA_DEADLINE_NEVER
		                       : fetch->deadline_ns,
		    .cancel = &fetch->cancel,
		    .yields = &fetch->yields,
		};
		pthread_mutex_unlock(&cache->mutex);
		r = send(fetch, request, &call, err);
		pthread_mutex_lock(&cache->mutex);
		if (r == 0)
			return 0;
		bool changed = err->class == PA_ERROR_NOT_FOUND || err->class == PA_ERROR_CHANGED;
		if (changed && was_overwritten(fetch)) {
			/* Cut short by us: there is nothing to keep, and waiters ask again. */
			request->bytes = 0;
			return 0;
		}
		bool again = err->class == PA_ERROR_TRANSIENT || (changed && was_crossed(fetch, request));
		if (!again || !back_off(loader, fetch, tries))
			return r;
	}
}

/* Lets go of the mutex: the bytes go into the region. */
static int store_bytes(struct pa_fetch *fetch, const struct request *request, struct pa_error *err)
{
	struct pa_content *content = fetch->content;

	for (uint32_t i = 0; i < fetch->count; i++)
		fetch_chunk(fetch, i)->storing = true;
	pthread_mutex_unlock(&content->cache->mutex);
	struct pa_hash128 hashes[PA_FETCH_MAX_CHUNKS];
	PA_AUTO_CLOSE int fd = pa_content_open(content, err);
	int r = fd < 0 ? fd : pa_region_write(fd, request->data, request->bytes, request->offset, err);
	for (size_t done = 0, i = 0; done < request->bytes; done += PA_CHUNK_BYTES, i++) {
		size_t bytes =
		    request->bytes - done < PA_CHUNK_BYTES ? request->bytes - done : PA_CHUNK_BYTES;
		hashes[i] = pa_hash_content(request->data + done, bytes);
	}
	if (r < 0)
		pa_region_punch(&content->cache->region, content->id, request->offset, request->bytes);
	pthread_mutex_lock(&content->cache->mutex);
	for (uint32_t i = 0; i < fetch->count; i++) {
		struct pa_chunk *chunk = fetch_chunk(fetch, i);
		chunk->storing = false;
		chunk->hash = hashes[i];
		chunk->hash_known = true;
	}
	pthread_cond_broadcast(&content->cache->changed);
	return r;
}

static void note_failure(struct pa_cache *cache, const struct pa_error *err)
{
	cache->status.failed_loads++;
	memcpy(cache->status.last_error, err->message, sizeof(cache->status.last_error) - 1);
}

/* The memory took no more, though the quota has room (its file system is smaller, or others fill it): a reader gets its
 * bytes past the memory; loading ahead would bring one chunk after another for nothing. */
static void memory_failed(struct pa_loader *loader, const struct pa_fetch *fetch, const struct pa_error *err)
{
	note_failure(loader->cache, err);
	if (fetch->class == PA_LOAD_AHEAD)
		loader->blocked_until_ns = pa_clock_deadline(FULL_PAUSE_NS);
}

/* What waiters take from the fetch itself, because memory does not have it. */
static void keep_for_waiters(struct pa_fetch *fetch, const struct request *request)
{
	if (fetch->references < 2 || request->bytes == 0)
		return;
	fetch->data = malloc(request->bytes);
	if (fetch->data == NULL)
		abort();
	memcpy(fetch->data, request->data, request->bytes);
	fetch->data_offset = request->offset;
	fetch->data_bytes = request->bytes;
	fetch->content->cache->status.bypassed_bytes += request->bytes;
}

/* Lets go of the mutex.  The bytes are in the buffer. */
static void fetch_take(struct pa_loader *loader, struct pa_fetch *fetch, bool room,
                       const struct request *request)
{
	struct pa_content *content = fetch->content;
	struct pa_cache *cache = content->cache;
	struct pa_error err = PA_ERROR_INIT;

	cache->status.fetched_bytes += request->bytes;
	if (fetch->class == PA_LOAD_AHEAD)
		cache->status.ahead_bytes += request->bytes;
	else
		cache->status.demand_bytes += request->bytes;
	bool keep = room && content->node != NULL && !was_overwritten(fetch);
	if (keep && store_bytes(fetch, request, &err) < 0) {
		memory_failed(loader, fetch, &err);
		keep = false;
	}
	if (!keep) {
		keep_for_waiters(fetch, request);
		if (fetch->class == PA_LOAD_AHEAD)
			pa_loader_rewalk(loader, FAILED_PAUSE_NS);
		fetch_end(fetch, 0, NULL);
		return;
	}
	for (uint32_t i = 0; i < fetch->count; i++)
		pa_chunk_make_present(fetch_chunk(fetch, i));
	if (content->node != NULL)
		content->node->failures = 0;
	bool publish = content->node != NULL && pa_content_is_whole(content);
	bool orphan = content->node == NULL && content->handles == 0;
	content->references++;
	fetch_end(fetch, 0, NULL);
	if (publish) {
		content->data_set->busy++;
		pthread_mutex_unlock(&cache->mutex);
		pa_mirror_publish(content);
		pthread_mutex_lock(&cache->mutex);
		content->data_set->busy--;
		pthread_cond_broadcast(&cache->changed);
	}
	if (orphan)
		pa_content_drop(content);
	pa_content_unref(content);
}

/* Lets go of the mutex: takes over what the source has now. */
static void look_again(struct pa_loader *loader, struct pa_fetch *fetch, const struct request *request)
{
	struct pa_cache *cache = loader->cache;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_store_call call = {.deadline_ns = PA_DEADLINE_NEVER, .cancel = &fetch->cancel};
	struct pa_store_entry entry;

	pthread_mutex_unlock(&cache->mutex);
	if (pa_store_stat(loader->store, request->path, &entry, &call, &err) == 0 &&
	    entry.kind == PA_ENTRY_FILE)
		pa_data_set_replace(request->data_set, request->inode, &entry);
	pthread_mutex_lock(&cache->mutex);
}

static void fetch_fail(struct pa_loader *loader, struct pa_fetch *fetch, const struct request *request,
                       int result, struct pa_error *err)
{
	struct pa_cache *cache = loader->cache;
	struct pa_inode *node = fetch->content->node;

	if (err->class == PA_ERROR_CHANGED && node != NULL && fetch->content->writers == 0) {
		look_again(loader, fetch, request);
		node = fetch->content->node;
	}
	int64_t pause_ns = FAILED_PAUSE_NS;
	/* Told once; a reader is told each time. */
	bool tell = (err->class == PA_ERROR_PERMANENT || err->class == PA_ERROR_NOT_FOUND) &&
	            (node == NULL || node->failures == 0);
	if (err->class != PA_ERROR_CANCELLED && err->class != PA_ERROR_DEADLINE) {
		note_failure(cache, err);
		if (node != NULL) {
			pause_ns <<= node->failures;
			node->failures += node->failures < FAILED_MOST_DOUBLINGS;
			node->retry_after_ns = pa_clock_deadline(pause_ns);
		}
	}
	pa_loader_rewalk(loader, pause_ns);
	/* The name is gone: to a reader that has the file open this is a change, not ENOENT. */
	if (err->class == PA_ERROR_NOT_FOUND) {
		err->class = PA_ERROR_CHANGED;
		err->os_errno = ESTALE;
		result = -(int)PA_ERROR_CHANGED;
	}
	if (tell) {
		pthread_mutex_unlock(&cache->mutex);
		pa_log(PA_LOG_ERROR, "loading %s: %s", request->data_set->name, err->message);
		pthread_mutex_lock(&cache->mutex);
	}
	fetch_end(fetch, result, err);
}

void pa_fetch_run(struct pa_loader *loader, struct pa_fetch *fetch, char *buffer)
{
	struct pa_error err = PA_ERROR_INIT;
	struct request request = {.data_set = fetch->content->data_set};
	bool demand = fetch->class != PA_LOAD_AHEAD;
	bool room = !demand || reserve(fetch);

	/* Readahead that found no room and that nobody has come to wait for. */
	if (!room && fetch->want_end == 0) {
		pa_fetch_abandon(fetch);
		return;
	}
	int r = fetch_read(loader, fetch, room, buffer, &request, &err);
	if (fetch->want_end != 0)
		pa_loader_missed(loader, fetch->content, fetch->first);
	if (r == 0)
		fetch_take(loader, fetch, room, &request);
	else
		fetch_fail(loader, fetch, &request, r, &err);
}
