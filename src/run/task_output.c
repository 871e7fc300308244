/* SPDX-License-Identifier: Apache-2.0 */
/* What a task writes to its standard output and error: lines for the user, a tail for a failure's message, a
 * result. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "run/run_internal.h"

#define DRAIN_BYTES    65536 /* a pipe's usual room */
#define MAX_LINE_BYTES 8192

/* Whole lines go to the user; a last one without newline at the end of the stream, or when it grows too long. */
static void pass_lines(struct pa_run *run, struct run_instance *running, struct pa_buffer *line,
                       const char *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (data[i] != '\n' && line->length < MAX_LINE_BYTES - 1) {
			pa_buffer_append(line, &data[i], 1);
			continue;
		}
		run_progress_line(run, running, line->data);
		pa_buffer_clear(line);
		if (data[i] != '\n')
			pa_buffer_append(line, &data[i], 1);
	}
}

static void keep_tail(struct pa_buffer *tail, const char *data, size_t bytes)
{
	if (bytes > PA_RUN_LOG_TAIL_BYTES) {
		data += bytes - PA_RUN_LOG_TAIL_BYTES;
		bytes = PA_RUN_LOG_TAIL_BYTES;
	}
	if (tail->length + bytes > PA_RUN_LOG_TAIL_BYTES) {
		size_t drop = tail->length + bytes - PA_RUN_LOG_TAIL_BYTES;
		memmove(tail->data, tail->data + drop, tail->length - drop + 1);
		tail->length -= drop;
	}
	pa_buffer_append(tail, data, bytes);
}

/* One read; false when there is nothing more now. */
static bool drain_stream(struct pa_run *run, struct run_instance *running, int *fd, struct pa_buffer *line,
                         bool is_output)
{
	char data[DRAIN_BYTES];

	if (*fd < 0)
		return false;
	ssize_t got = read(*fd, data, sizeof(data));
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (got <= 0) {
		if (line->length > 0)
			run_progress_line(run, running, line->data);
		pa_buffer_clear(line);
		close(*fd);
		*fd = -1;
		return false;
	}
	if (is_output && running->instance->wants_result)
		pa_buffer_append(&running->result, data, (size_t)got);
	keep_tail(&running->tail, data, (size_t)got);
	pass_lines(run, running, line, data, (size_t)got);
	return true;
}

void run_output_drain(struct pa_run *run, struct run_instance *running)
{
	drain_stream(run, running, &running->output_fd, &running->line, true);
	drain_stream(run, running, &running->error_fd, &running->error_line, false);
}

void run_output_drain_rest(struct pa_run *run, struct run_instance *ended)
{
	while (drain_stream(run, ended, &ended->output_fd, &ended->line, true))
		continue;
	while (drain_stream(run, ended, &ended->error_fd, &ended->error_line, false))
		continue;
}

const char *run_output_last_line(struct pa_run *run, const struct run_instance *ended)
{
	const char *text = ended->tail.data, *begin;
	size_t length = ended->tail.length;

	while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
		length--;
	if (length == 0)
		return "";
	begin = memrchr(text, '\n', length);
	begin = begin != NULL ? begin + 1 : text;
	return pa_arena_printf(&run->arena, ": %.*s", (int)(length - (size_t)(begin - text)), begin);
}

int run_output_result(struct run_instance *ended, const char **ret, struct pa_error *err)
{
	struct pa_buffer *text = &ended->result;

	if (text->overflowed)
		return pa_error_set(
		    err, PA_ERROR_PERMANENT,
		    "its standard output, which other tasks take as outputs.result, is larger than %u "
		    "KiB; pass it as an artifact",
		    PA_ENGINE_MAX_PARAMETER_BYTES >> 10);
	if (text->length > 0 && memchr(text->data, '\0', text->length) != NULL)
		return pa_error_set(
		    err, PA_ERROR_PERMANENT,
		    "its standard output, which other tasks take as outputs.result, holds a NUL byte; "
		    "pass it as an artifact");
	while (text->length > 0 && text->data[text->length - 1] == '\n')
		text->data[--text->length] = '\0';
	*ret = text->data;
	return 0;
}
