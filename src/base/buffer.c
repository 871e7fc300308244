/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/units.h"

static char empty_text[1] = "";

void pa_buffer_init(struct pa_buffer *buffer, size_t limit_bytes)
{
	*buffer = (struct pa_buffer){.data = empty_text, .limit = limit_bytes};
}

void pa_buffer_done(struct pa_buffer *buffer)
{
	if (buffer->capacity > 0)
		free(buffer->data);
	pa_buffer_init(buffer, buffer->limit);
}

void pa_buffer_clear(struct pa_buffer *buffer)
{
	buffer->length = 0;
	buffer->overflowed = false;
	if (buffer->capacity > 0)
		buffer->data[0] = '\0';
}

bool pa_buffer_reserve(struct pa_buffer *buffer, size_t bytes)
{
	if (buffer->overflowed || bytes > buffer->limit - buffer->length) {
		buffer->overflowed = true;
		return false;
	}
	size_t needed = buffer->length + bytes + 1;
	if (needed <= buffer->capacity)
		return true;
	size_t capacity = buffer->capacity == 0 ? 256 : buffer->capacity * 2;
	if (capacity < needed)
		capacity = needed;
	char *data = realloc(buffer->capacity == 0 ? NULL : buffer->data, capacity);
	if (data == NULL) {
		fputs("pipeahead: out of memory\n", stderr);
		abort();
	}
	data[buffer->length] = '\0';
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

void pa_buffer_append(struct pa_buffer *buffer, const void *data, size_t bytes)
{
	if (bytes == 0 || !pa_buffer_reserve(buffer, bytes))
		return;
	memcpy(buffer->data + buffer->length, data, bytes);
	buffer->length += bytes;
	buffer->data[buffer->length] = '\0';
}

void pa_buffer_puts(struct pa_buffer *buffer, const char *text)
{
	pa_buffer_append(buffer, text, strlen(text));
}

void pa_buffer_printf(struct pa_buffer *buffer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0 || !pa_buffer_reserve(buffer, (size_t)length))
		return;
	va_start(arguments, format);
	vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	buffer->length += (size_t)length;
}

char *pa_buffer_take(struct pa_buffer *buffer)
{
	char *data = buffer->capacity > 0 ? buffer->data : strdup("");

	if (data == NULL)
		abort();
	pa_buffer_init(buffer, buffer->limit);
	return data;
}

static int buffer_read_all(int fd, const char *path, struct pa_buffer *buffer, struct pa_error *err)
{
	for (;;) {
		/* One byte past the limit tells a file of just that size from a larger one. */
		size_t room =
		    buffer->capacity > buffer->length + 1 ? buffer->capacity - buffer->length - 1 : 0;
		size_t step = room > 0 ? room : 1 << 16;
		if (step > buffer->limit - buffer->length)
			step = buffer->limit - buffer->length;
		if (step == 0) {
			char limit[32];
			return pa_error_set(
			    err, PA_ERROR_INPUT, "%s: larger than the limit of %s; raise it with --max-input",
			    path, pa_units_format_bytes(buffer->limit - 1, limit, sizeof(limit)));
		}
		pa_buffer_reserve(buffer, step);
		ssize_t got = read(fd, buffer->data + buffer->length, step);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			pa_error_set_errno(err, errno, "%s: cannot be read", path);
			err->class = PA_ERROR_INPUT;
			return -PA_ERROR_INPUT;
		}
		if (got == 0)
			return 0;
		buffer->length += (size_t)got;
		buffer->data[buffer->length] = '\0';
	}
}

int pa_buffer_read_file(const char *path, size_t limit_bytes, struct pa_buffer *ret, struct pa_error *err)
{
	bool standard_input = strcmp(path, "-") == 0;
	PA_AUTO_CLOSE int opened = -1;
	int fd = STDIN_FILENO;

	if (!standard_input) {
		fd = opened = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			pa_error_set_errno(err, errno, "%s: cannot be opened", path);
			err->class = PA_ERROR_INPUT;
			return -PA_ERROR_INPUT;
		}
	}
	struct pa_buffer buffer;
	pa_buffer_init(&buffer, limit_bytes + 1);
	int result = buffer_read_all(fd, standard_input ? "<stdin>" : path, &buffer, err);
	if (result < 0) {
		pa_buffer_done(&buffer);
		return result;
	}
	*ret = buffer;
	return 0;
}
