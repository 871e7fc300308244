/* SPDX-License-Identifier: Apache-2.0 */
/* `{{…}}` in texts: finding the references and putting values in their place.  Pure.
 *
 * A reference is what stands between `{{` and the next `}}`, trimmed of blanks: "inputs.parameters.x",
 * "item.name", or an expression, which begins with '='.  In an expression a `}}` inside quotes does not
 * end it.  A `{{` without an end is plain text, as Argo treats it.  Values are not expanded again.
 *
 * Ownership: results live in the caller's arena, or are `text` itself where nothing was replaced.
 * Threads: none shared.  Blocking: never.
 * Errors: PA_ERROR_INPUT, when the result would pass PA_TEMPLATE_TEXT_MAX_BYTES.
 */
#ifndef PA_PIPELINE_TEMPLATE_TEXT_H
#define PA_PIPELINE_TEMPLATE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct pa_arena;
struct pa_error;

#define PA_TEMPLATE_TEXT_MAX_BYTES (16u << 20)

/* One reference in a text: text[begin..end) with its braces, inside[0..inside_bytes) trimmed. */
struct pa_template_reference {
	size_t begin;
	size_t end;
	const char *inside; /* points into the text: not NUL-terminated */
	size_t inside_bytes;
};

/* The next reference at or after `offset`; false when there is none. */
bool pa_template_text_next(const char *text, size_t offset, struct pa_template_reference *ret);

/* The value of a reference (its trimmed inside, NUL-terminated); NULL leaves it as it is written. */
typedef const char *(*pa_template_lookup)(void *context, const char *inside);

/* `text` with every reference replaced that `lookup` knows. */
int pa_template_text_expand(struct pa_arena *arena, const char *text, pa_template_lookup lookup,
                            void *context, const char **ret, struct pa_error *err);

#endif
