/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the printers that write for people. */
#ifndef PA_PIPELINE_PRINT_INTERNAL_H
#define PA_PIPELINE_PRINT_INTERNAL_H

struct pa_buffer;

/* A text of the file as one line: control characters, which could drive a terminal, become '?'. */
void pa_print_line(struct pa_buffer *out, const char *text);

#endif
