/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline/timeline_internal.h"

#include <assert.h>

#include "base/arena.h"

static bool before(const struct pa_heap_entry *a, const struct pa_heap_entry *b)
{
	if (a->first != b->first)
		return a->first < b->first;
	if (a->second != b->second)
		return a->second < b->second;
	if (a->index != b->index)
		return a->index < b->index;
	return a->position < b->position;
}

void pa_heap_push(struct pa_arena *arena, struct pa_heap *heap, struct pa_heap_entry entry)
{
	heap->entries =
	    pa_arena_grow(arena, heap->entries, heap->count, &heap->capacity, sizeof(*heap->entries));
	size_t hole = heap->count++;
	while (hole > 0) {
		size_t parent = (hole - 1) / 2;
		if (!before(&entry, &heap->entries[parent]))
			break;
		heap->entries[hole] = heap->entries[parent];
		hole = parent;
	}
	heap->entries[hole] = entry;
}

struct pa_heap_entry pa_heap_pop(struct pa_heap *heap)
{
	assert(heap->count > 0);
	struct pa_heap_entry top = heap->entries[0];
	struct pa_heap_entry last = heap->entries[--heap->count];
	size_t hole = 0;
	for (;;) {
		size_t child = 2 * hole + 1;
		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && before(&heap->entries[child + 1], &heap->entries[child]))
			child++;
		if (!before(&heap->entries[child], &last))
			break;
		heap->entries[hole] = heap->entries[child];
		hole = child;
	}
	if (heap->count > 0)
		heap->entries[hole] = last;
	return top;
}
