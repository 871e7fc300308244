/* SPDX-License-Identifier: Apache-2.0 */
/* URIs of data inside texts: command lines, environment values, code.  Pure. */
#ifndef PA_PIPELINE_URI_INTERNAL_H
#define PA_PIPELINE_URI_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

struct pa_uri {
	const char *text; /* into the text that was searched: not NUL-terminated */
	size_t bytes;
};

/* The next URI with a scheme of a store at or after *offset, which then stands behind it.  `{{…}}` in it
 * stays; one that a program completes (`$`, a single brace, `*`, '%') is passed over.  Of http only what has a
 * path counts; in code only what looks like a data file, for code is full of links to pages. */
bool pa_uri_next(const char *text, bool code, size_t *offset, struct pa_uri *ret);

/* What a URI most likely is: "directory", "file", "table", "unknown". */
const char *pa_uri_kind(const char *uri);

#endif
