/* SPDX-License-Identifier: Apache-2.0 */
/* Buffer: bytes that grow up to a cap.
 *
 * `data` is always NUL-terminated (the NUL is not counted in `length`).  An append that would pass
 * the cap appends nothing and sets `overflowed`, which stays set: a writer may append many times
 * and look once at the end.  A failed allocation aborts.
 *
 * Ownership: _init/_done on caller memory; pa_buffer_take() hands the bytes over (free()).
 * Threads: one at a time.  Blocking: never.
 */
#ifndef PA_BASE_BUFFER_H
#define PA_BASE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct pa_error;

struct pa_buffer {
	char *data;
	size_t length;
	size_t capacity;
	size_t limit;
	bool overflowed;
};

void pa_buffer_init(struct pa_buffer *buffer, size_t limit_bytes);
void pa_buffer_done(struct pa_buffer *buffer);
void pa_buffer_clear(struct pa_buffer *buffer);
/* Room for `bytes` more at data + length; false past the cap. */
bool pa_buffer_reserve(struct pa_buffer *buffer, size_t bytes);
void pa_buffer_append(struct pa_buffer *buffer, const void *data, size_t bytes);
void pa_buffer_puts(struct pa_buffer *buffer, const char *text);
void pa_buffer_printf(struct pa_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
char *pa_buffer_take(struct pa_buffer *buffer);

/* Reads a file (or standard input for "-") to its end; PA_ERROR_INPUT with the name and the limit
 * when it is larger than `limit_bytes`.  On success `ret` is a buffer to _done. */
int pa_buffer_read_file(const char *path, size_t limit_bytes, struct pa_buffer *ret, struct pa_error *err);

#endif
