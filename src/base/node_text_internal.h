/* SPDX-License-Identifier: Apache-2.0 */
/* A text before it is parsed: lines, document markers, bytes that YAML cannot hold.
 *
 * Offsets are bytes; a line ends at LF, CR LF, CR, NEL, LS or PS, as libyaml counts them.
 */
#ifndef PA_BASE_NODE_TEXT_INTERNAL_H
#define PA_BASE_NODE_TEXT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node_text_problem {
	const char *what; /* and what to do; NULL: none */
	size_t offset;
};

/* The first NUL, control character or bytes that are no UTF-8 at or after `from`; or a %TAG too many, for
 * libyaml compares every one with every other. */
struct node_text_problem node_text_find_problem(const char *text, size_t from, size_t bytes);

/* Line ends between `from`, the start of a line, and `to`. */
uint32_t node_text_count_lines(const char *text, size_t from, size_t to);
/* The start of the line that is `lines` behind `from`; `bytes` when there are fewer. */
size_t node_text_skip_lines(const char *text, size_t from, size_t bytes, size_t lines);
/* Characters of its line before `offset`, and one. */
uint32_t node_text_column(const char *text, size_t offset);

/* Whether a line that starts at `at` is a document's marker: `---` and a blank or the line's end. */
bool node_text_is_marker(const char *text, size_t at, size_t bytes);
/* The first marker's line that starts at or after `from`; `bytes` when there is none. */
size_t node_text_next_marker(const char *text, size_t from, size_t bytes);
/* The last marker's line that starts between `from` and `to`; `from` when there is none. */
size_t node_text_last_marker(const char *text, size_t from, size_t to, size_t bytes);

/* Whether the line that starts at `at` looks like a Helm or Jinja template. */
bool node_text_line_is_template(const char *text, size_t at, size_t bytes);

#endif
