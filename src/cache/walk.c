/* SPDX-License-Identifier: Apache-2.0 */
/* Which chunk to load ahead next: the needs in their order, each walked once through its part of the tree. 
 * The place in
 * a walk is kept as inode and cookie, so that the tree may change between two steps. */
#include <stdlib.h>

#include "cache/cache_internal.h"

/* Names and chunks that are looked at in one go under the mutex. */
#define WALK_PIECE 512
/* How long to wait before looking again where there was no room, or where something was passed over. */
#define BLOCKED_NS (100 * PA_NS_PER_MS)
#define REWALK_NS  PA_NS_PER_SECOND

enum step { STEP_FOUND, STEP_END, STEP_PAUSE };

struct walk {
	struct pa_loader *loader;
	struct pa_need *need;
	int64_t now_ns;
	unsigned budget;
};

/* Goes to the next file that is not whole. */
static enum step next_file(struct walk *walk)
{
	struct pa_need *need = walk->need;
	struct pa_inode *top = pa_inode_by_inode(need->data_set, need->inode);
	struct pa_inode *folder = top;

	if (top == NULL)
		return STEP_END;
	if (top->kind != PA_ENTRY_DIRECTORY) {
		if (need->cursor_cookie != 0 || top->kind != PA_ENTRY_FILE)
			return STEP_END;
		need->cursor_cookie = 1;
		need->cursor_file = top->inode;
		return STEP_FOUND;
	}
	if (need->cursor_folder != 0)
		folder = pa_inode_by_inode(need->data_set, need->cursor_folder);
	for (; folder != NULL; walk->budget--) {
		if (walk->budget == 0)
			return STEP_PAUSE;
		struct pa_inode *child = pa_inode_next_child(folder, need->cursor_cookie);
		if (child == NULL) {
			if (folder == top)
				return STEP_END;
			need->cursor_cookie = folder->cookie;
			folder = folder->parent;
			need->cursor_folder = folder != NULL ? folder->inode : 0;
		} else if (child->resident_bytes == child->total_bytes) {
			need->cursor_cookie = child->cookie;
		} else if (child->kind == PA_ENTRY_DIRECTORY) {
			folder = child;
			need->cursor_folder = child->inode;
			need->cursor_cookie = 0;
		} else {
			need->cursor_cookie = child->cookie;
			need->cursor_file = child->inode;
			return STEP_FOUND;
		}
	}
	/* The folder was removed or moved away under the walk. */
	pa_loader_rewalk(walk->loader, REWALK_NS);
	return STEP_END;
}

static uint32_t end_chunk(const struct pa_need *need, const struct pa_inode *file)
{
	uint64_t end_byte = file->total_bytes;

	if (file->inode == need->inode && need->end_byte < end_byte)
		end_byte = need->end_byte;
	return (uint32_t)((end_byte + PA_CHUNK_BYTES - 1) / PA_CHUNK_BYTES);
}

/* Goes to the next chunk of the file that nobody has or is loading. */
static enum step next_chunk(struct walk *walk, struct pa_inode **ret_file)
{
	struct pa_need *need = walk->need;
	struct pa_inode *file = pa_inode_by_inode(need->data_set, need->cursor_file);

	if (file == NULL || file->removed)
		return STEP_END;
	if (file->retry_after_ns > walk->now_ns) {
		pa_loader_rewalk(walk->loader, file->retry_after_ns - walk->now_ns);
		return STEP_END;
	}
	if (file->total_bytes > PA_CACHE_MAX_FILE_BYTES)
		return STEP_END;
	uint32_t end = end_chunk(need, file);
	if (file->inode == need->inode && need->cursor_chunk < need->first_byte / PA_CHUNK_BYTES)
		need->cursor_chunk = (uint32_t)(need->first_byte / PA_CHUNK_BYTES);
	for (; need->cursor_chunk < end; need->cursor_chunk++, walk->budget--) {
		if (walk->budget == 0)
			return STEP_PAUSE;
		struct pa_chunk *chunk =
		    file->content != NULL ? pa_content_chunk(file->content, need->cursor_chunk) : NULL;
		if (chunk == NULL) {
			*ret_file = file;
			return STEP_FOUND;
		}
		/* Whether it will be there is not in our hands. */
		if (chunk->state == PA_CHUNK_LEAVING ||
		    (chunk->state == PA_CHUNK_LOADING && chunk->fetch->class < PA_LOAD_AHEAD))
			pa_loader_rewalk(walk->loader, REWALK_NS);
	}
	return STEP_END;
}

/* Adds one chunk to a fetch, with its charge.  Lets go of the mutex. */
static bool take_chunk(struct pa_fetch *fetch, uint32_t index, int64_t deadline_ns)
{
	struct pa_content *content = fetch->content;
	struct pa_chunk *chunk = pa_content_add_chunk(content, index, fetch);
	uint32_t charged_bytes = pa_chunk_charge(chunk->bytes);

	if (pa_cache_reserve(content->cache, charged_bytes, deadline_ns)) {
		chunk->charged_bytes = charged_bytes;
		fetch->count++;
		return true;
	}
	pa_content_remove_chunk(chunk);
	return false;
}

/* Lets go of the mutex; afterwards the need may be gone. */
static struct pa_fetch *make_fetch(struct walk *walk, struct pa_inode *file)
{
	struct pa_need *need = walk->need;
	struct pa_loader *loader = walk->loader;
	struct pa_cache *cache = loader->cache;
	uint32_t epoch = cache->assign_epoch;
	uint64_t inode = file->inode;
	uint32_t first = need->cursor_chunk;
	uint32_t end = end_chunk(need, file);
	int64_t deadline_ns = need->deadline_ns;
	struct pa_content *content = pa_content_of(need->data_set, file);
	struct pa_fetch *fetch = pa_fetch_new(content, first, PA_LOAD_AHEAD);

	pa_content_unref(content);
	fetch->bytes_per_second = need->bytes_per_second;
	pa_list_append(&loader->running, &fetch->link);
	while (fetch->count < PA_FETCH_MAX_CHUNKS && first + fetch->count < end &&
	       first + fetch->count < pa_content_chunk_count(content) &&
	       pa_content_chunk(content, first + fetch->count) == NULL &&
	       take_chunk(fetch, first + fetch->count, deadline_ns))
		;
	if (fetch->count > 0)
		return fetch;
	pa_fetch_abandon(fetch);
	loader->blocked_until_ns = walk->now_ns + BLOCKED_NS;
	if (epoch == cache->assign_epoch && need->cursor_file == inode) {
		if (need->cursor_chunk > first)
			need->cursor_chunk = first;
	} else {
		pa_loader_rewalk(loader, REWALK_NS);
	}
	return NULL;
}

/* The next fetch of one need; STEP_FOUND with `ret` NULL when there is no room for it. */
static enum step walk_need(struct walk *walk, struct pa_fetch **ret)
{
	struct pa_need *need = walk->need;
	struct pa_inode *file = NULL;

	for (;;) {
		if (need->cursor_file == 0) {
			enum step step = next_file(walk);
			if (step != STEP_FOUND)
				return step;
			need->cursor_chunk = 0;
		}
		enum step step = next_chunk(walk, &file);
		if (step == STEP_PAUSE)
			return step;
		if (step == STEP_FOUND) {
			*ret = make_fetch(walk, file);
			return step;
		}
		need->cursor_file = 0;
		if (walk->budget == 0)
			return STEP_PAUSE;
	}
}

struct pa_fetch *pa_loader_next_ahead(struct pa_loader *loader, bool *ret_more)
{
	struct pa_cache *cache = loader->cache;
	struct walk walk = {.loader = loader, .now_ns = pa_clock_ns(), .budget = WALK_PIECE};
	struct pa_fetch *fetch = NULL;

	*ret_more = false;
	while (loader->need_position < cache->need_count) {
		struct pa_need *need = &cache->needs[loader->need_position];
		walk.need = need;
		if (need->data_set == NULL || need->data_set->loader != loader || need->data_set->closing ||
		    need->walked || need->keep_until_ns <= walk.now_ns) {
			loader->need_position++;
			continue;
		}
		enum step step = walk_need(&walk, &fetch);
		if (step == STEP_FOUND)
			return fetch;
		if (step == STEP_PAUSE) {
			*ret_more = true;
			return NULL;
		}
		need->walked = true;
	}
	return NULL;
}
