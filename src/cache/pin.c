/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "cache/cache_internal.h"

bool pa_pin_covers(const struct pa_inode *node, uint32_t chunk)
{
	uint64_t first_byte = (uint64_t)chunk * PA_CHUNK_BYTES;

	for (const struct pa_inode *top = node; top != NULL; top = top->parent) {
		if (top->marks == NULL)
			continue;
		const struct pa_list *pins = &top->marks->pins;
		for (const struct pa_list *link = pins->next; link != pins; link = link->next) {
			const struct pa_pin *pin = PA_LIST_ENTRY(link, struct pa_pin, link);
			if (top != node ||
			    (first_byte < pin->end_byte && first_byte + PA_CHUNK_BYTES > pin->first_byte))
				return true;
		}
	}
	return false;
}

static uint64_t extent_end(const struct pa_extent *extent)
{
	uint64_t end;

	return __builtin_add_overflow(extent->offset_bytes, extent->length_bytes, &end) ? UINT64_MAX : end;
}

int pa_data_set_pin(struct pa_data_set *data_set, const struct pa_extent *extent, struct pa_pin **ret,
                    struct pa_error *err)
{
	struct pa_cache *cache = data_set->cache;

	pthread_mutex_lock(&cache->mutex);
	struct pa_inode *node = pa_inode_by_path(data_set, extent->path);
	if (node == NULL) {
		pthread_mutex_unlock(&cache->mutex);
		return pa_error_set(err, PA_ERROR_NOT_FOUND, "pinning '%s' of %s: no such file or folder",
		                    extent->path, data_set->name);
	}
	struct pa_pin *pin = calloc(1, sizeof(*pin));
	if (pin == NULL)
		abort();
	pin->data_set = data_set;
	pin->inode = node->inode;
	pin->first_byte = extent->offset_bytes;
	pin->end_byte = extent_end(extent);
	pa_list_append(&pa_inode_marks(node)->pins, &pin->link);
	pthread_mutex_unlock(&cache->mutex);
	*ret = pin;
	return 0;
}

void pa_pin_free(struct pa_pin *pin)
{
	if (pin == NULL)
		return;
	struct pa_cache *cache = pin->data_set->cache;
	pthread_mutex_lock(&cache->mutex);
	pa_list_remove(&pin->link);
	struct pa_inode *node = pa_inode_by_inode(pin->data_set, pin->inode);
	if (node != NULL)
		pa_inode_drop_marks(node);
	/* Which of the held chunks it held is found out when room is needed. */
	pa_list_splice(&cache->unsorted, &cache->held);
	pa_cache_room_freed(cache);
	pthread_mutex_unlock(&cache->mutex);
	free(pin);
}
