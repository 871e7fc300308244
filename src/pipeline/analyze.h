/* SPDX-License-Identifier: Apache-2.0 */
/* Text of a pipeline file in, model out.  Pure: no file, clock, thread or environment.
 *
 * pa_analyze_text() finds every pipeline in the text (several documents), decides its format, reads
 * its definition and works out tasks, order, edges, claims and data.  What it cannot know is in
 * `unresolved` of the pipeline, never guessed.
 *
 * Errors are PA_ERROR_INPUT and start with "file:line:col:".  A file with no pipeline in it is one.
 * Order within a DAG: a cycle is an error that names the tasks on it; a reference to a task or template
 * that does not exist likewise (where the template could be in another file, it is `unresolved`).
 *
 * Limits, each named by its error: PA_ANALYZE_MAX_TASKS tasks after expansion of nested DAGs,
 * PA_ANALYZE_MAX_NESTING levels of nested DAGs, PA_ANALYZE_MAX_EDGES of order between tasks, memory 20 times the text and at least 64 MiB.
 * Time is linear in text and in edges of the result.
 */
#ifndef PA_PIPELINE_ANALYZE_H
#define PA_PIPELINE_ANALYZE_H

#include <stddef.h>

#include "pipeline/model.h"

struct pa_arena;
struct pa_buffer;
struct pa_error;

#define PA_ANALYZE_MAX_TASKS               200000
#define PA_ANALYZE_MAX_NESTING             100
#define PA_ANALYZE_MAX_EDGES               5000000
#define PA_ANALYZE_DEFAULT_MAX_INPUT_BYTES (32u << 20)

struct pa_analyze_options {
	const struct pa_name_value *arguments; /* replace pipeline parameters; unknown names are errors */
	size_t argument_count;
};

/* Appends the pipelines of one text to `analysis` (zeroed before the first).  `text` and `file` must
 * outlive the arena.  On error nothing was appended. */
int pa_analyze_text(struct pa_arena *arena, const char *file, const char *text, size_t bytes,
                    const struct pa_analyze_options *options, struct pa_analysis *analysis,
                    struct pa_error *err);

/* How an analysis is printed; each appends to `out`. */
void pa_analysis_print_json(const struct pa_analysis *analysis, struct pa_buffer *out);
void pa_analysis_print_table(const struct pa_analysis *analysis, struct pa_buffer *out);
void pa_analysis_print_paper(const struct pa_analysis *analysis, struct pa_buffer *out);
void pa_analysis_print_dot(const struct pa_analysis *analysis, struct pa_buffer *out);
void pa_analysis_print_mermaid(const struct pa_analysis *analysis, struct pa_buffer *out);

#endif
