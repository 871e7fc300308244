/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "run/sandbox_internal.h"

#define NO_TEXT UINT32_MAX

/* Text on the wire: its length, its bytes, a NUL, so that the reader can point into the message. */
static void write_number(struct pa_buffer *spec, uint32_t number)
{
	pa_buffer_append(spec, &number, sizeof(number));
}

static void write_text(struct pa_buffer *spec, const char *text)
{
	size_t length = text ? strlen(text) : 0;

	if (length > PA_TASK_MAX_SPEC_BYTES) {
		spec->overflowed = true;
		return;
	}
	write_number(spec, text ? (uint32_t)length : NO_TEXT);
	if (text)
		pa_buffer_append(spec, text, length + 1);
}

static void write_list(struct pa_buffer *spec, const char *const *list)
{
	uint32_t count = 0;

	while (list && list[count])
		count++;
	write_number(spec, count);
	for (uint32_t i = 0; i < count; i++)
		write_text(spec, list[i]);
}

int pa_task_spec_write(const struct pa_sandbox_options *options, struct pa_buffer *spec, struct pa_error *err)
{
	write_list(spec, options->command);
	write_list(spec, options->environment);
	write_list(spec, options->directories);
	write_text(spec, options->working_directory);
	write_text(spec, options->scratch);
	write_text(spec, options->hostname);
	write_number(spec, (uint32_t)options->bind_count);
	for (size_t i = 0; i < options->bind_count; i++) {
		write_text(spec, options->binds[i].source);
		write_text(spec, options->binds[i].target);
		write_text(spec, options->binds[i].sub_path);
		write_number(spec, options->binds[i].read_only);
	}
	if (spec->overflowed)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "the command, environment and mounts of a task are over %u MiB together; "
		                    "pass large values in files",
		                    PA_TASK_MAX_SPEC_BYTES >> 20);
	return 0;
}

struct reader {
	const char *next;
	size_t left;
	struct pa_arena *arena;
	bool broken;
};

static uint32_t read_number(struct reader *reader)
{
	uint32_t number;

	if (reader->left < sizeof(number)) {
		reader->broken = true;
		return 0;
	}
	memcpy(&number, reader->next, sizeof(number));
	reader->next += sizeof(number);
	reader->left -= sizeof(number);
	return number;
}

static const char *read_text(struct reader *reader)
{
	uint32_t length = read_number(reader);
	const char *text = reader->next;

	if (reader->broken || length == NO_TEXT)
		return NULL;
	if (reader->left <= length || text[length] != '\0') {
		reader->broken = true;
		return NULL;
	}
	reader->next += length + 1;
	reader->left -= length + 1;
	return text;
}

static const char *const *read_list(struct reader *reader)
{
	uint32_t count = read_number(reader);
	const char **list;

	if (count > reader->left / sizeof(uint32_t)) {
		reader->broken = true;
		count = 0;
	}
	list = pa_arena_array(reader->arena, (size_t)count + 1, sizeof(*list));
	for (uint32_t i = 0; i < count; i++)
		list[i] = read_text(reader);
	return list;
}

static size_t depth_of(const char *path)
{
	size_t depth = 0;

	for (; *path; path++)
		depth += path[0] == '/' && path[1] != '/' && path[1] != '\0';
	return depth;
}

/* A stable insertion sort: binds of the same depth keep the caller's order. */
static void sort_by_depth(struct pa_sandbox_bind *binds, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct pa_sandbox_bind bind = binds[i];
		size_t depth = depth_of(bind.target);
		size_t at = i;

		for (; at > 0 && depth_of(binds[at - 1].target) > depth; at--)
			binds[at] = binds[at - 1];
		binds[at] = bind;
	}
}

int pa_task_spec_read(struct pa_arena *arena, const char *data, size_t bytes, struct pa_sandbox_options *ret,
                      struct pa_error *err)
{
	struct reader reader = {.next = data, .left = bytes, .arena = arena};
	struct pa_sandbox_options options = {.output_fd = -1, .error_fd = -1};
	struct pa_sandbox_bind *binds;

	options.command = read_list(&reader);
	options.environment = read_list(&reader);
	options.directories = read_list(&reader);
	options.working_directory = read_text(&reader);
	options.scratch = read_text(&reader);
	options.hostname = read_text(&reader);
	options.bind_count = read_number(&reader);
	if (options.bind_count > PA_TASK_MAX_BINDS) {
		reader.broken = true;
		options.bind_count = 0;
	}
	binds = pa_arena_array(arena, options.bind_count + 1, sizeof(*binds));
	for (size_t i = 0; i < options.bind_count; i++) {
		binds[i].source = read_text(&reader);
		binds[i].target = read_text(&reader);
		binds[i].sub_path = read_text(&reader);
		binds[i].read_only = read_number(&reader) != 0;
		reader.broken |= !binds[i].source || !binds[i].target;
	}
	if (reader.broken || reader.left != 0 || !options.command[0] || !options.scratch)
		return pa_error_set(
		    err, PA_ERROR_BUG,
		    "task-init was given a message of %zu bytes that is no task; it is started by "
		    "pipeahead itself, not by hand",
		    bytes);
	sort_by_depth(binds, options.bind_count);
	options.binds = binds;
	*ret = options;
	return 0;
}
