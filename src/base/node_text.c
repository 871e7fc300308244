/* SPDX-License-Identifier: Apache-2.0 */
#include "base/node_text_internal.h"

#include <string.h>

#define MAX_TAG_DIRECTIVES 64u
#define MAX_TAG_TEXT       "64"
#define BLOCK_BYTES        64u
#define MARKER             "---"
#define MARKER_BYTES       3u

/* Bytes of the line end at `at`; 0: none. */
static size_t line_end_bytes(const char *text, size_t at, size_t bytes)
{
	size_t left = bytes - at;

	switch ((unsigned char)text[at]) {
	case '\n':
		return 1;
	case '\r':
		return left > 1 && text[at + 1] == '\n' ? 2 : 1;
	case 0xc2:
		return left > 1 && (unsigned char)text[at + 1] == 0x85 ? 2 : 0;
	case 0xe2:
		return left > 2 && (memcmp(text + at, "\xe2\x80\xa8", 3) == 0 ||
		                    memcmp(text + at, "\xe2\x80\xa9", 3) == 0)
		           ? 3
		           : 0;
	default:
		return 0;
	}
}

size_t node_text_skip_lines(const char *text, size_t from, size_t bytes, size_t lines)
{
	size_t at = from;

	while (at < bytes && lines > 0) {
		size_t end = line_end_bytes(text, at, bytes);
		if (end > 0)
			lines--;
		at += end > 0 ? end : 1;
	}
	return at;
}

uint32_t node_text_count_lines(const char *text, size_t from, size_t to)
{
	uint32_t lines = 0;

	for (size_t at = from; at < to;) {
		size_t end = line_end_bytes(text, at, to);
		if (end > 0)
			lines++;
		at += end > 0 ? end : 1;
	}
	return lines;
}

uint32_t node_text_column(const char *text, size_t offset)
{
	uint32_t column = 1;

	while (offset > 0 && text[offset - 1] != '\n' && text[offset - 1] != '\r') {
		offset--;
		if (((unsigned char)text[offset] & 0xc0) != 0x80)
			column++;
	}
	return column;
}

bool node_text_is_marker(const char *text, size_t at, size_t bytes)
{
	if (bytes - at < MARKER_BYTES || memcmp(text + at, MARKER, MARKER_BYTES) != 0)
		return false;
	at += MARKER_BYTES;
	return at == bytes || text[at] == ' ' || text[at] == '\t' || line_end_bytes(text, at, bytes) > 0;
}

size_t node_text_next_marker(const char *text, size_t from, size_t bytes)
{
	while (from < bytes) {
		const char *found = memmem(text + from, bytes - from, MARKER, MARKER_BYTES);
		if (found == NULL)
			return bytes;
		size_t at = (size_t)(found - text);
		if ((at == 0 || text[at - 1] == '\n' || text[at - 1] == '\r') &&
		    node_text_is_marker(text, at, bytes))
			return at;
		from = at + 1;
	}
	return bytes;
}

size_t node_text_last_marker(const char *text, size_t from, size_t to, size_t bytes)
{
	size_t last = from;

	for (size_t at = from; (at = node_text_next_marker(text, at, bytes)) <= to && at < bytes; at++)
		last = at;
	return last;
}

bool node_text_line_is_template(const char *text, size_t at, size_t bytes)
{
	const char *end = memchr(text + at, '\n', bytes - at);
	size_t length = (size_t)((end == NULL ? text + bytes : end) - (text + at));

	return memmem(text + at, length, "{{", 2) != NULL || memmem(text + at, length, "{%", 2) != NULL;
}

/* Without branches, so that the compiler takes many bytes at a time. */
static unsigned char is_plain(unsigned char byte)
{
	return (unsigned char)((byte >= 0x20) & (byte < 0x7f)) | (byte == '\n') | (byte == '\r') |
	       (byte == '\t');
}

/* The first byte that is not plain ASCII, by whole blocks for as long as it goes. */
static size_t skip_plain(const char *text, size_t from, size_t bytes)
{
	while (bytes - from >= BLOCK_BYTES) {
		unsigned char odd = 0;
		for (size_t i = 0; i < BLOCK_BYTES; i++)
			odd |= is_plain((unsigned char)text[from + i]) ^ 1u;
		if (odd)
			break;
		from += BLOCK_BYTES;
	}
	while (from < bytes && is_plain((unsigned char)text[from]))
		from++;
	return from;
}

/* Bytes of the character at `at`, and which it is; 0: it is none. */
static size_t decode(const unsigned char *at, size_t left, uint32_t *ret_character)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = at[0] < 0x80   ? 1
	                : at[0] < 0xc0 ? 0
	                : at[0] < 0xe0 ? 2
	                : at[0] < 0xf0 ? 3
	                : at[0] < 0xf8 ? 4
	                               : 0;

	if (length == 0 || length > left)
		return 0;
	uint32_t character = length == 1 ? at[0] : at[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (at[i] & 0x3fu);
	}
	if (character < least[length] || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
		return 0;
	*ret_character = character;
	return length;
}

static const char *problem_of(const unsigned char *at, size_t left, size_t *ret_bytes)
{
	uint32_t character;

	*ret_bytes = decode(at, left, &character);
	if (*ret_bytes == 0)
		return "not UTF-8; save the file as UTF-8 text";
	if (character == 0)
		return "a NUL byte; save the file as UTF-8 text";
	if (character < 0x20 || character == 0x7f ||
	    (character >= 0x80 && character < 0xa0 && character != 0x85))
		return "a control character; remove it";
	if (character == 0xfffe || character == 0xffff)
		return "a character that YAML does not allow; remove it";
	return NULL;
}

static struct node_text_problem find_tag_problem(const char *text, size_t from, size_t bytes)
{
	const char *end = text + bytes;
	size_t tags = 0;

	for (const char *at = text + from; (at = memchr(at, '%', (size_t)(end - at))) != NULL; at++) {
		bool starts_line = at == text || at[-1] == '\n' || at[-1] == '\r';
		if (!starts_line || end - at < 4 || memcmp(at, "%TAG", 4) != 0 ||
		    ++tags <= MAX_TAG_DIRECTIVES)
			continue;
		return (struct node_text_problem){"more than " MAX_TAG_TEXT " %TAG directives; remove them",
		                                  (size_t)(at - text)};
	}
	return (struct node_text_problem){NULL, bytes};
}

struct node_text_problem node_text_find_problem(const char *text, size_t from, size_t bytes)
{
	struct node_text_problem tags = find_tag_problem(text, from, bytes);

	for (size_t at = from; (at = skip_plain(text, at, tags.offset)) < tags.offset;) {
		size_t length;
		const char *what = problem_of((const unsigned char *)text + at, bytes - at, &length);
		if (what != NULL)
			return (struct node_text_problem){what, at};
		at += length;
	}
	return tags;
}
