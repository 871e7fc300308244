/* SPDX-License-Identifier: Apache-2.0 */
/* The loader of one store: its threads, its queues, and whose turn it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache_internal.h"
#include "store/link.h"

/* Loads ahead wait for so long after a reader of the same source missed, unless they are for that reader. */
#define PAUSE_NS (50 * PA_NS_PER_MS)

void pa_loader_wake(struct pa_loader *loader)
{
	pthread_cond_broadcast(&loader->work);
}

void pa_loader_rewalk(struct pa_loader *loader, int64_t delay_ns)
{
	int64_t at_ns = pa_clock_deadline(delay_ns);

	if (at_ns < loader->rewalk_at_ns)
		loader->rewalk_at_ns = at_ns;
}

void pa_cache_wake_loaders(struct pa_cache *cache, bool rewalk)
{
	for (struct pa_list *link = cache->loaders.next; link != &cache->loaders; link = link->next) {
		struct pa_loader *loader = PA_LIST_ENTRY(link, struct pa_loader, link);
		loader->blocked_until_ns = 0;
		if (rewalk) {
			loader->need_position = 0;
			loader->rewalk_at_ns = PA_DEADLINE_NEVER;
		}
		pa_loader_wake(loader);
	}
}

void pa_cache_room_freed(struct pa_cache *cache)
{
	for (struct pa_list *link = cache->loaders.next; link != &cache->loaders; link = link->next) {
		struct pa_loader *loader = PA_LIST_ENTRY(link, struct pa_loader, link);
		if (loader->blocked_until_ns == 0)
			continue;
		loader->blocked_until_ns = 0;
		pa_loader_wake(loader);
	}
}

/* All needs from their beginning. */
static void start_over(struct pa_loader *loader)
{
	struct pa_cache *cache = loader->cache;

	loader->rewalk_at_ns = PA_DEADLINE_NEVER;
	loader->need_position = 0;
	for (size_t i = 0; i < cache->need_count; i++) {
		struct pa_need *need = &cache->needs[i];
		if (need->data_set == NULL || need->data_set->loader != loader)
			continue;
		need->walked = false;
		need->cursor_folder = 0;
		need->cursor_cookie = 0;
		need->cursor_file = 0;
	}
}

/* One connection stays free for a reader that waits. */
static uint32_t readahead_limit(const struct pa_loader *loader)
{
	return loader->thread_count > 1 ? loader->thread_count - 1 : 1;
}

/* Whether somebody may be waiting for the need that is loaded now. */
static bool is_overdue(const struct pa_loader *loader, int64_t now_ns)
{
	const struct pa_cache *cache = loader->cache;

	return loader->need_position < cache->need_count &&
	       cache->needs[loader->need_position].deadline_ns <= now_ns;
}

/* Half of the connections is for readers of now, unless the loads are for one of these. */
static uint32_t ahead_limit(const struct pa_loader *loader, int64_t now_ns)
{
	if (is_overdue(loader, now_ns))
		return readahead_limit(loader);
	return loader->thread_count > 1 ? loader->thread_count / 2 : 1;
}

/* When loads ahead may go on; 0: now. */
static int64_t ahead_not_before_ns(const struct pa_loader *loader, int64_t now_ns)
{
	int64_t not_before_ns = loader->last_miss_ns != 0 ? loader->last_miss_ns + PAUSE_NS : 0;

	if (loader->blocked_until_ns > not_before_ns)
		not_before_ns = loader->blocked_until_ns;
	if (loader->pace_free_ns > not_before_ns)
		not_before_ns = loader->pace_free_ns;
	return not_before_ns > now_ns ? not_before_ns : 0;
}

static void pace(struct pa_loader *loader, const struct pa_fetch *fetch, int64_t now_ns)
{
	uint64_t bytes = (uint64_t)fetch->count * PA_CHUNK_BYTES;
	uint64_t size_bytes = fetch->content->size_bytes - (uint64_t)fetch->first * PA_CHUNK_BYTES;

	if (fetch->bytes_per_second == 0)
		return;
	if (size_bytes < bytes)
		bytes = size_bytes;
	if (loader->pace_free_ns < now_ns)
		loader->pace_free_ns = now_ns;
	loader->pace_free_ns += (int64_t)((double)bytes * PA_NS_PER_SECOND / (double)fetch->bytes_per_second);
}

static struct pa_fetch *take_queued(struct pa_loader *loader, struct pa_list *queue)
{
	struct pa_fetch *fetch = PA_LIST_ENTRY(queue->next, struct pa_fetch, link);

	pa_list_remove(&fetch->link);
	pa_list_append(&loader->running, &fetch->link);
	fetch->queued = false;
	return fetch;
}

/* The fetch whose turn it is, already among the running ones.  NULL: none before `*ret_wake_ns`. */
static struct pa_fetch *next_fetch(struct pa_loader *loader, int64_t *ret_wake_ns)
{
	int64_t now_ns = pa_clock_ns();

	*ret_wake_ns = PA_DEADLINE_NEVER;
	if (!pa_list_is_empty(&loader->demand))
		return take_queued(loader, &loader->demand);
	if (!pa_list_is_empty(&loader->readahead) && loader->running_readahead < readahead_limit(loader))
		return take_queued(loader, &loader->readahead);
	if (loader->running_ahead >= ahead_limit(loader, now_ns))
		return NULL;
	if (now_ns >= loader->rewalk_at_ns)
		start_over(loader);
	int64_t not_before_ns = ahead_not_before_ns(loader, now_ns);
	if (not_before_ns != 0) {
		*ret_wake_ns = not_before_ns;
		return NULL;
	}
	bool more = false;
	loader->running_ahead++; /* a place is taken while the mutex may be let go */
	struct pa_fetch *fetch = pa_loader_next_ahead(loader, &more);
	loader->running_ahead--;
	if (fetch != NULL)
		pace(loader, fetch, now_ns);
	else if (more)
		*ret_wake_ns = 0;
	else
		*ret_wake_ns =
		    loader->blocked_until_ns > now_ns ? loader->blocked_until_ns : loader->rewalk_at_ns;
	return fetch;
}

static void run(struct pa_loader *loader, struct pa_fetch *fetch, char *buffer)
{
	uint32_t *running = fetch->class == PA_LOAD_AHEAD       ? &loader->running_ahead
	                    : fetch->class == PA_LOAD_READAHEAD ? &loader->running_readahead
	                                                        : NULL;

	if (running != NULL)
		(*running)++;
	pa_fetch_run(loader, fetch, buffer);
	if (running != NULL)
		(*running)--;
	pthread_mutex_unlock(&loader->cache->mutex);
	pa_content_bury(loader->cache);
	pthread_mutex_lock(&loader->cache->mutex);
}

static void *loader_thread(void *context)
{
	struct pa_loader *loader = context;
	struct pa_cache *cache = loader->cache;
	char *buffer = malloc((size_t)PA_FETCH_MAX_CHUNKS * PA_CHUNK_BYTES);

	if (buffer == NULL)
		abort();
	pthread_mutex_lock(&cache->mutex);
	while (!loader->stopping) {
		int64_t wake_ns;
		struct pa_fetch *fetch = next_fetch(loader, &wake_ns);
		if (fetch != NULL) {
			run(loader, fetch, buffer);
			/* Its end may have made a place for somebody. */
			pthread_cond_signal(&loader->work);
		} else if (wake_ns == 0) {
			pthread_mutex_unlock(&cache->mutex);
			pthread_mutex_lock(&cache->mutex);
		} else if (wake_ns == PA_DEADLINE_NEVER) {
			pthread_cond_wait(&loader->work, &cache->mutex);
		} else {
			struct timespec wake = pa_clock_timespec(wake_ns);
			pthread_cond_timedwait(&loader->work, &cache->mutex, &wake);
		}
	}
	pthread_mutex_unlock(&cache->mutex);
	free(buffer);
	return NULL;
}

static struct pa_loader *loader_new(struct pa_cache *cache, struct pa_store *store)
{
	struct pa_loader *loader = calloc(1, sizeof(*loader));
	uint32_t threads = pa_link_connections(store->link);

	if (loader == NULL || (loader->threads = calloc(threads, sizeof(pthread_t))) == NULL)
		abort();
	loader->cache = cache;
	loader->store = pa_store_ref(store);
	loader->rewalk_at_ns = PA_DEADLINE_NEVER;
	pa_clock_cond_init(&loader->work);
	pa_clock_cond_init(&loader->back_off);
	pa_list_init(&loader->demand);
	pa_list_init(&loader->readahead);
	pa_list_init(&loader->running);
	pa_list_append(&cache->loaders, &loader->link);
	return loader;
}

struct pa_loader *pa_loader_get(struct pa_cache *cache, struct pa_store *store, struct pa_error *err)
{
	struct pa_loader *loader = NULL;

	pthread_mutex_lock(&cache->mutex);
	for (struct pa_list *link = cache->loaders.next; link != &cache->loaders; link = link->next)
		if (PA_LIST_ENTRY(link, struct pa_loader, link)->store == store)
			loader = PA_LIST_ENTRY(link, struct pa_loader, link);
	if (loader == NULL)
		loader = loader_new(cache, store);
	loader->users++;
	int os_errno = 0;
	while (loader->thread_count < pa_link_connections(store->link) && os_errno == 0) {
		os_errno =
		    pthread_create(&loader->threads[loader->thread_count], NULL, loader_thread, loader);
		if (os_errno == 0)
			loader->thread_count++;
	}
	/* With at least one it works, only slower. */
	if (loader->thread_count == 0) {
		pa_error_set_errno(err, os_errno, "starting the loader of %s", store->location);
		pa_loader_put(loader);
		loader = NULL;
	}
	pthread_mutex_unlock(&cache->mutex);
	return loader;
}

void pa_loader_put(struct pa_loader *loader)
{
	struct pa_cache *cache = loader->cache;

	if (--loader->users > 0)
		return;
	pa_list_remove(&loader->link);
	loader->stopping = true;
	pa_loader_wake(loader);
	pthread_cond_broadcast(&loader->back_off);
	pthread_mutex_unlock(&cache->mutex);
	for (uint32_t i = 0; i < loader->thread_count; i++)
		pthread_join(loader->threads[i], NULL);
	pthread_cond_destroy(&loader->work);
	pthread_cond_destroy(&loader->back_off);
	pa_store_unref(loader->store);
	free(loader->threads);
	free(loader);
	pthread_mutex_lock(&cache->mutex);
}

static struct pa_fetch *enqueue(struct pa_content *content, uint32_t index, enum pa_load_class class)
{
	struct pa_loader *loader = content->data_set->loader;
	struct pa_fetch *fetch = pa_fetch_new(content, index, class);

	pa_content_add_chunk(content, index, fetch);
	fetch->count = 1;
	fetch->queued = true;
	pa_list_append(class == PA_LOAD_DEMAND ? &loader->demand : &loader->readahead, &fetch->link);
	pthread_cond_signal(&loader->work);
	return fetch;
}

static void join(struct pa_fetch *fetch, uint64_t want_first, uint64_t want_end, int64_t deadline_ns)
{
	struct pa_loader *loader = fetch->content->data_set->loader;

	if (fetch->want_end == 0 || want_first < fetch->want_first)
		fetch->want_first = want_first;
	if (want_end > fetch->want_end)
		fetch->want_end = want_end;
	if (deadline_ns > fetch->deadline_ns)
		fetch->deadline_ns = deadline_ns;
	__atomic_store_n(&fetch->yields, 0, __ATOMIC_RELAXED);
	if (fetch->queued && fetch->class != PA_LOAD_DEMAND) {
		fetch->class = PA_LOAD_DEMAND;
		pa_list_remove(&fetch->link);
		pa_list_append(&loader->demand, &fetch->link);
		pthread_cond_signal(&loader->work);
	}
}

void pa_loader_missed(struct pa_loader *loader, const struct pa_content *content, uint32_t index)
{
	int64_t now_ns = pa_clock_ns();
	const struct pa_need *need = content->node != NULL ? pa_need_of(content->node, index, now_ns) : NULL;

	/* What is overdue and still being loaded ahead is what this reader asks for next: a pause, once for each of
	 * many small files, would cost it more than sharing the link with loads that yield to it. */
	if (need != NULL && need->deadline_ns <= now_ns && !need->walked)
		return;
	loader->last_miss_ns = now_ns;
}

struct pa_fetch *pa_loader_demand(struct pa_content *content, uint32_t index, uint64_t want_first,
                                  uint64_t want_end, int64_t deadline_ns)
{
	struct pa_chunk *chunk = pa_content_chunk(content, index);
	struct pa_fetch *fetch;

	pa_loader_missed(content->data_set->loader, content, index);
	if (chunk != NULL)
		fetch = chunk->fetch;
	else
		fetch = enqueue(content, index, PA_LOAD_DEMAND);
	join(fetch, want_first, want_end, deadline_ns);
	fetch->references++;
	return fetch;
}

void pa_loader_read_ahead(struct pa_content *content, uint32_t index)
{
	if (!content->data_set->closing && content->node != NULL && index < pa_content_chunk_count(content) &&
	    pa_content_chunk(content, index) == NULL)
		enqueue(content, index, PA_LOAD_READAHEAD);
}

static bool has_fetches(const struct pa_list *list, const struct pa_data_set *data_set)
{
	for (const struct pa_list *link = list->next; link != list; link = link->next)
		if (PA_LIST_ENTRY(link, struct pa_fetch, link)->content->data_set == data_set)
			return true;
	return false;
}

static void cancel_running(struct pa_loader *loader, const struct pa_data_set *data_set)
{
	for (struct pa_list *link = loader->running.next; link != &loader->running; link = link->next) {
		struct pa_fetch *fetch = PA_LIST_ENTRY(link, struct pa_fetch, link);
		if (fetch->content->data_set == data_set)
			__atomic_store_n(&fetch->cancel, 1, __ATOMIC_RELAXED);
	}
}

static void abandon_queued(struct pa_list *queue, const struct pa_data_set *data_set)
{
	struct pa_list *next;

	for (struct pa_list *link = queue->next; link != queue; link = next) {
		struct pa_fetch *fetch = PA_LIST_ENTRY(link, struct pa_fetch, link);
		next = link->next;
		if (fetch->content->data_set == data_set)
			pa_fetch_abandon(fetch);
	}
}

void pa_loader_cancel(struct pa_data_set *data_set)
{
	struct pa_loader *loader = data_set->loader;
	struct pa_cache *cache = data_set->cache;

	data_set->closing = true;
	abandon_queued(&loader->demand, data_set);
	abandon_queued(&loader->readahead, data_set);
	while (has_fetches(&loader->running, data_set)) {
		cancel_running(loader, data_set);
		pthread_cond_broadcast(&loader->back_off);
		pthread_cond_wait(&cache->changed, &cache->mutex);
	}
}
