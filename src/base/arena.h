/* SPDX-License-Identifier: Apache-2.0 */
/* Arena: memory for one parse, one request or one plan, released in one call.
 *
 * Allocations are zeroed, aligned for any type and never moved.  Nothing is freed singly.  Where the
 * system has no memory left the process aborts with a message (as an out-of-memory kill would);
 * limits on what a user controls are kept by readers, which compare pa_arena_bytes() to their cap
 * and fail with an error that names it.
 *
 * Ownership: whoever calls pa_arena_init() calls pa_arena_done(); everything allocated lives until
 * then.  Threads: one at a time.  Blocking: never.
 */
#ifndef PA_BASE_ARENA_H
#define PA_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct pa_arena_block;

struct pa_arena {
	struct pa_arena_block *blocks; /* newest first */
	size_t total_bytes;            /* taken from the system so far */
};

#define PA_ARENA_INIT                                                                                        \
	{                                                                                                    \
		NULL, 0                                                                                      \
	}

void pa_arena_init(struct pa_arena *arena);
void pa_arena_done(struct pa_arena *arena);

void *pa_arena_alloc(struct pa_arena *arena, size_t bytes);
/* count * size, aborts on overflow. */
void *pa_arena_array(struct pa_arena *arena, size_t count, size_t size);
/* For a growing array: returns room for `*capacity` elements with the old ones in place, doubling
 * when count == *capacity.  The old storage stays in the arena. */
void *pa_arena_grow(struct pa_arena *arena, void *old, size_t count, size_t *capacity, size_t size);
char *pa_arena_strdup(struct pa_arena *arena, const char *text);
char *pa_arena_strndup(struct pa_arena *arena, const char *text, size_t bytes);
char *pa_arena_printf(struct pa_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

size_t pa_arena_bytes(const struct pa_arena *arena);

#endif
