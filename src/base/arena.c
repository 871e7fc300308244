/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_FIRST_BLOCK_BYTES 4096u
#define ARENA_MAX_BLOCK_BYTES   (1u << 20)
#define ARENA_ALIGNMENT         16u

struct pa_arena_block {
	struct pa_arena_block *next;
	size_t capacity;
	size_t used;
	size_t padding; /* keeps `data` aligned */
	char data[];
};

static void *arena_abort(void)
{
	fputs("pipeahead: out of memory\n", stderr);
	abort();
}

void pa_arena_init(struct pa_arena *arena)
{
	arena->blocks = NULL;
	arena->total_bytes = 0;
}

void pa_arena_done(struct pa_arena *arena)
{
	struct pa_arena_block *block = arena->blocks;

	while (block != NULL) {
		struct pa_arena_block *next = block->next;
		free(block);
		block = next;
	}
	pa_arena_init(arena);
}

static struct pa_arena_block *arena_add_block(struct pa_arena *arena, size_t needed)
{
	size_t capacity = ARENA_FIRST_BLOCK_BYTES;

	if (arena->blocks != NULL)
		capacity = arena->blocks->capacity * 2;
	if (capacity > ARENA_MAX_BLOCK_BYTES)
		capacity = ARENA_MAX_BLOCK_BYTES;
	if (capacity < needed)
		capacity = needed;
	struct pa_arena_block *block = malloc(sizeof(*block) + capacity);
	if (block == NULL)
		return arena_abort();
	block->capacity = capacity;
	block->used = 0;
	block->next = arena->blocks;
	arena->blocks = block;
	arena->total_bytes += sizeof(*block) + capacity;
	return block;
}

/* Not zeroed: for texts, which are written at once. */
static void *arena_take(struct pa_arena *arena, size_t bytes)
{
	if (bytes > SIZE_MAX / 2)
		return arena_abort();
	size_t rounded = (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
	struct pa_arena_block *block = arena->blocks;

	if (rounded == 0)
		rounded = ARENA_ALIGNMENT;
	if (block == NULL || block->capacity - block->used < rounded)
		block = arena_add_block(arena, rounded);
	void *result = block->data + block->used;
	block->used += rounded;
	return result;
}

void *pa_arena_alloc(struct pa_arena *arena, size_t bytes)
{
	return memset(arena_take(arena, bytes), 0, bytes);
}

void *pa_arena_array(struct pa_arena *arena, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return arena_abort();
	return pa_arena_alloc(arena, bytes);
}

void *pa_arena_grow(struct pa_arena *arena, void *old, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return old;
	size_t room = *capacity == 0 ? 8 : *capacity * 2;
	void *result = pa_arena_array(arena, room, size);
	if (count > 0)
		memcpy(result, old, count * size);
	*capacity = room;
	return result;
}

char *pa_arena_strndup(struct pa_arena *arena, const char *text, size_t bytes)
{
	char *copy = arena_take(arena, bytes + 1);

	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	return copy;
}

char *pa_arena_strdup(struct pa_arena *arena, const char *text)
{
	return pa_arena_strndup(arena, text, strlen(text));
}

char *pa_arena_printf(struct pa_arena *arena, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		return arena_abort();
	char *text = arena_take(arena, (size_t)length + 1);
	va_start(arguments, format);
	vsnprintf(text, (size_t)length + 1, format, arguments);
	va_end(arguments);
	return text;
}

size_t pa_arena_bytes(const struct pa_arena *arena)
{
	return arena->total_bytes;
}
