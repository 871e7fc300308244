/* SPDX-License-Identifier: Apache-2.0 */
/* Assignments become needs, which hang on the node that is their extent's top: what a chunk is needed for is
 * found by
 * going up from its file.  So a new set of assignments costs its own length and one look at each resident
 * chunk,
 * however many files the data sets have. */
#include <stdlib.h>
#include <string.h>

#include "cache/cache_internal.h"

/* Assignments that are resolved in one go under the mutex. */
#define RESOLVE_PIECE 256

static bool need_covers(const struct pa_need *need, uint32_t chunk)
{
	uint64_t first_byte = (uint64_t)chunk * PA_CHUNK_BYTES;

	return first_byte < need->end_byte && first_byte + PA_CHUNK_BYTES > need->first_byte;
}

bool pa_need_is_sooner(const struct pa_need *a, const struct pa_need *b)
{
	if (a->deadline_ns != b->deadline_ns)
		return a->deadline_ns < b->deadline_ns;
	return a->priority < b->priority;
}

struct pa_need *pa_need_of(const struct pa_inode *node, uint32_t chunk, int64_t now_ns)
{
	struct pa_need *best = NULL;

	for (const struct pa_inode *top = node; top != NULL; top = top->parent) {
		if (top->marks == NULL)
			continue;
		for (size_t i = 0; i < top->marks->need_count; i++) {
			struct pa_need *need = top->marks->needs[i];
			if (best != NULL && !pa_need_is_sooner(need, best))
				break;
			if (need->keep_until_ns > now_ns && (top != node || need_covers(need, chunk))) {
				best = need;
				break;
			}
		}
	}
	return best;
}

static int compare_needs(const void *a, const void *b)
{
	const struct pa_need *left = a;
	const struct pa_need *right = b;

	if (pa_need_is_sooner(left, right))
		return -1;
	if (pa_need_is_sooner(right, left))
		return 1;
	if (left->inode != right->inode)
		return left->inode < right->inode ? -1 : 1;
	return left->first_byte < right->first_byte ? -1 : left->first_byte > right->first_byte;
}

static struct pa_data_set *find_data_set(const struct pa_cache *cache, const char *name)
{
	for (struct pa_list *link = cache->data_sets.next; link != &cache->data_sets; link = link->next) {
		struct pa_data_set *data_set = PA_LIST_ENTRY(link, struct pa_data_set, link);
		if (strcmp(data_set->name, name) == 0 && !data_set->closing)
			return data_set;
	}
	return NULL;
}

struct pa_data_set *pa_cache_find_data_set(struct pa_cache *cache, const char *name)
{
	pthread_mutex_lock(&cache->mutex);
	struct pa_data_set *data_set = find_data_set(cache, name);
	pthread_mutex_unlock(&cache->mutex);
	return data_set;
}

/* Locked. False for what is not known here. */
static bool resolve(const struct pa_cache *cache, const struct pa_assignment *assignment, struct pa_need *ret)
{
	struct pa_data_set *data_set = find_data_set(cache, assignment->data_set);
	const struct pa_inode *node =
	    data_set != NULL ? pa_inode_by_path(data_set, assignment->extent.path) : NULL;
	uint64_t end_byte;

	if (node == NULL)
		return false;
	if (__builtin_add_overflow(assignment->extent.offset_bytes, assignment->extent.length_bytes,
	                           &end_byte))
		end_byte = UINT64_MAX;
	*ret = (struct pa_need){
	    .data_set = data_set,
	    .inode = node->inode,
	    .first_byte = assignment->extent.offset_bytes,
	    .end_byte = end_byte,
	    .deadline_ns = assignment->deadline_ns,
	    .keep_until_ns = assignment->keep_until_ns,
	    .priority = assignment->priority,
	    .bytes_per_second = assignment->bytes_per_second,
	};
	return true;
}

/* A new array of needs, sorted; those that are over already and those of other tiers and nodes are left out.
 * */
static struct pa_need *resolve_all(struct pa_cache *cache, const struct pa_assignment *assignments,
                                   size_t count, size_t *ret_count, uint64_t *ret_unknown)
{
	struct pa_need *needs = calloc(count + 1, sizeof(*needs));
	int64_t now_ns = pa_clock_ns();
	size_t known = 0;

	if (needs == NULL)
		abort();
	*ret_unknown = 0;
	pthread_mutex_lock(&cache->mutex);
	for (size_t i = 0; i < count; i++) {
		const struct pa_assignment *assignment = &assignments[i];
		if (i % RESOLVE_PIECE == RESOLVE_PIECE - 1) {
			pthread_mutex_unlock(&cache->mutex);
			pthread_mutex_lock(&cache->mutex);
		}
		if (assignment->tier != PA_TIER_NODE || assignment->node != NULL ||
		    assignment->keep_until_ns <= now_ns)
			continue;
		if (resolve(cache, assignment, &needs[known]))
			known++;
		else
			(*ret_unknown)++;
	}
	pthread_mutex_unlock(&cache->mutex);
	qsort(needs, known, sizeof(*needs), compare_needs);
	for (size_t i = 0; i < known; i++)
		pa_list_init(&needs[i].chunks);
	*ret_count = known;
	return needs;
}

static struct pa_inode *need_top(const struct pa_need *need)
{
	return need->data_set != NULL ? pa_inode_by_inode(need->data_set, need->inode) : NULL;
}

/* Locked. */
static void take_off(struct pa_cache *cache)
{
	for (size_t i = 0; i < cache->need_count; i++) {
		struct pa_inode *node = need_top(&cache->needs[i]);
		pa_list_splice(&cache->unsorted, &cache->needs[i].chunks);
		if (node == NULL || node->marks == NULL)
			continue;
		node->marks->need_count = 0;
		pa_inode_drop_marks(node);
	}
	pa_list_splice(&cache->unsorted, &cache->unassigned);
}

static void put_on(struct pa_need *need)
{
	struct pa_inode *node = need_top(need);

	if (node == NULL)
		return;
	struct pa_marks *marks = pa_inode_marks(node);
	if (marks->need_count == marks->need_capacity) {
		marks->need_capacity = marks->need_capacity != 0 ? marks->need_capacity * 2 : 2;
		marks->needs = reallocarray(marks->needs, marks->need_capacity, sizeof(struct pa_need *));
		if (marks->needs == NULL)
			abort();
	}
	marks->needs[marks->need_count++] = need;
}

/* What no assignment names goes at once; a file that is being written stays, since its reader may be the next
 * task. */
static void let_go(struct pa_cache *cache)
{
	struct pa_list going;

	pa_list_init(&going);
	pthread_mutex_lock(&cache->mutex);
	while (!pa_cache_sort_some(cache)) {
		pthread_mutex_unlock(&cache->mutex);
		pthread_mutex_lock(&cache->mutex);
	}
	pa_list_splice(&going, &cache->unassigned);
	while (!pa_list_is_empty(&going)) {
		struct pa_chunk *chunk = PA_LIST_ENTRY(going.next, struct pa_chunk, place);
		if (pa_chunk_is_evictable(chunk) && chunk->content->writers == 0) {
			pa_cache_evict(cache, chunk);
		} else {
			pa_list_remove(&chunk->place);
			pa_list_append(&cache->unassigned, &chunk->place);
		}
	}
	pa_cache_wake_loaders(cache, false);
	pthread_mutex_unlock(&cache->mutex);
	pa_content_bury(cache);
}

int pa_cache_assign(struct pa_cache *cache, const struct pa_assignment *assignments, size_t count,
                    struct pa_error *err)
{
	size_t need_count = 0;
	uint64_t unknown = 0;

	if (count > 0 && assignments == NULL)
		return pa_error_set(err, PA_ERROR_BUG, "%zu assignments at no address", count);
	pthread_mutex_lock(&cache->assign_mutex);
	struct pa_need *needs = resolve_all(cache, assignments, count, &need_count, &unknown);

	pthread_mutex_lock(&cache->mutex);
	struct pa_need *old = cache->needs;
	take_off(cache);
	cache->needs = needs;
	cache->need_count = need_count;
	cache->latest_need = 0;
	cache->assign_epoch++;
	cache->next_expiry_ns = 0;
	cache->status.unknown_assignments = unknown;
	for (size_t i = 0; i < need_count; i++)
		put_on(&needs[i]);
	pa_cache_wake_loaders(cache, true);
	pthread_mutex_unlock(&cache->mutex);
	free(old);

	let_go(cache);
	pthread_mutex_unlock(&cache->assign_mutex);
	return 0;
}

void pa_needs_drop(struct pa_data_set *data_set)
{
	struct pa_cache *cache = data_set->cache;

	for (size_t i = 0; i < cache->need_count; i++) {
		struct pa_need *need = &cache->needs[i];
		if (need->data_set != data_set)
			continue;
		pa_list_splice(&cache->unsorted, &need->chunks);
		need->data_set = NULL;
		need->walked = true;
	}
}
