/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "ignite/client_internal.h"

void ignite_queue_push(struct ignite_queue *queue, struct ignite_task *task)
{
	task->next = NULL;
	task->previous = queue->last;
	*(queue->last == NULL ? &queue->first : &queue->last->next) = task;
	queue->last = task;
	queue->count++;
}

void ignite_queue_remove(struct ignite_queue *queue, struct ignite_task *task)
{
	*(task->previous == NULL ? &queue->first : &task->previous->next) = task->next;
	*(task->next == NULL ? &queue->last : &task->next->previous) = task->previous;
	task->next = NULL;
	task->previous = NULL;
	queue->count--;
}

struct ignite_task *ignite_queue_pop(struct ignite_queue *queue)
{
	struct ignite_task *task = queue->first;

	if (task != NULL)
		ignite_queue_remove(queue, task);
	return task;
}

struct ignite_task *ignite_task_new(ignite_fill_fn *fill, const void *argument)
{
	struct ignite_task *task = malloc(sizeof(*task));

	if (task == NULL)
		return NULL;
	memset(task, 0, offsetof(struct ignite_task, inline_parts));
	task->heap_index = SIZE_MAX;
	task->head = task->inline_head;
	task->parts = task->inline_parts;
	struct ignite_writer writer = {.data = task->head,
	                               .room = IGNITE_INLINE_HEAD_BYTES,
	                               .parts = task->parts,
	                               .part_room = IGNITE_INLINE_PARTS};
	fill(&writer, argument);
	task->frame_bytes = ignite_finish_frame(&writer);
	task->part_count = writer.part_count;
	if (writer.length <= writer.room && writer.part_count <= writer.part_room)
		return task;
	task->head = malloc(writer.length);
	task->parts = calloc(writer.part_count, sizeof(*task->parts));
	if (task->head == NULL || task->parts == NULL) {
		ignite_task_free(task);
		return NULL;
	}
	writer = (struct ignite_writer){
	    .data = task->head, .room = writer.length, .parts = task->parts, .part_room = writer.part_count};
	fill(&writer, argument);
	ignite_finish_frame(&writer);
	return task;
}

void ignite_task_free(struct ignite_task *task)
{
	if (task->head != task->inline_head)
		free(task->head);
	if (task->parts != task->inline_parts)
		free(task->parts);
	free(task->orphan);
	free(task);
}

static void heap_put(struct ignite_heap *heap, size_t index, struct ignite_task *task)
{
	heap->items[index] = task;
	task->heap_index = index;
}

static void heap_rise(struct ignite_heap *heap, size_t index, struct ignite_task *task)
{
	while (index > 0 && heap->items[(index - 1) / 2]->deadline_ns > task->deadline_ns) {
		heap_put(heap, index, heap->items[(index - 1) / 2]);
		index = (index - 1) / 2;
	}
	heap_put(heap, index, task);
}

static void heap_sink(struct ignite_heap *heap, size_t index, struct ignite_task *task)
{
	for (;;) {
		size_t child = 2 * index + 1;
		if (child >= heap->count)
			break;
		if (child + 1 < heap->count &&
		    heap->items[child + 1]->deadline_ns < heap->items[child]->deadline_ns)
			child++;
		if (heap->items[child]->deadline_ns >= task->deadline_ns)
			break;
		heap_put(heap, index, heap->items[child]);
		index = child;
	}
	heap_put(heap, index, task);
}

void ignite_heap_add(struct ignite_heap *heap, struct ignite_task *task)
{
	if (heap->count == heap->capacity) {
		heap->capacity = heap->capacity == 0 ? 64 : heap->capacity * 2;
		heap->items = realloc(heap->items, heap->capacity * sizeof(struct ignite_task *));
		if (heap->items == NULL)
			abort();
	}
	heap->count++;
	heap_rise(heap, heap->count - 1, task);
}

void ignite_heap_remove(struct ignite_heap *heap, struct ignite_task *task)
{
	size_t index = task->heap_index;

	if (index == SIZE_MAX)
		return;
	task->heap_index = SIZE_MAX;
	struct ignite_task *last = heap->items[--heap->count];
	if (last == task)
		return;
	if (index > 0 && heap->items[(index - 1) / 2]->deadline_ns > last->deadline_ns)
		heap_rise(heap, index, last);
	else
		heap_sink(heap, index, last);
}
