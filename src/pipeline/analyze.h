/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of pipeline files in, model out.  Pure: no file, clock, thread or environment.
 *
 * pa_analyze() finds every pipeline in the texts (several documents each), decides its format, reads
 * its definition and works out tasks, order, edges, claims and data.  All texts are read before any is analysed: a
 * template that one names may stand in another.  What it cannot know is in `unresolved` of the pipeline, never
 * guessed.
 *
 * It has no error of its own: what is wrong with a text or a document is in `failures`, and the others are
 * analysed all the same.  A text with no pipeline in it is a failure.  Messages start with "file:line:col:".
 * Order within a DAG: a cycle is a failure that names the tasks on it; a reference to a task or template
 * that does not exist likewise (where the template could be in another file, it is `unresolved`).
 *
 * Limits, each named by its message: PA_ANALYZE_MAX_TASKS tasks after expansion of nested DAGs,
 * PA_ANALYZE_MAX_NESTING levels of nested DAGs, PA_ANALYZE_MAX_EDGES of order between tasks, memory 20 times the
 * text and at least 64 MiB.  Time is linear in text and in edges of the result.
 */
#ifndef PA_PIPELINE_ANALYZE_H
#define PA_PIPELINE_ANALYZE_H

#include <stdbool.h>
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
	/* Replace pipeline parameters, each in every pipeline that has one of its name.  A name that none has is a
	 * failure, and there are no pipelines then; readers of formats pass over the names that theirs has not. */
	const struct pa_name_value *arguments;
	size_t argument_count;
	const char *explain; /* id of a task whose facts are to be kept (pa_pipeline.facts); NULL: none */
};

/* One file's text. */
struct pa_text {
	const char *file; /* its name, for messages */
	const char *text;
	size_t bytes;
	bool may_be_other; /* that no pipeline is in it is no failure: it was found in a folder */
};

/* Analyses the texts together.  They and their names must outlive the arena.  `options` may be NULL. */
void pa_analyze(struct pa_arena *arena, const struct pa_text *texts, size_t count,
                const struct pa_analyze_options *options, struct pa_analysis *ret);
/* The same for one text that must be right as a whole: the first failure is the error. */
int pa_analyze_text(struct pa_arena *arena, const char *file, const char *text, size_t bytes,
                    const struct pa_analyze_options *options, struct pa_analysis *ret, struct pa_error *err);

/* How an analysis is printed; each appends to `out`. */
void pa_analysis_print_json(const struct pa_analysis *analysis, struct pa_buffer *out);
void pa_analysis_print_table(const struct pa_analysis *analysis, struct pa_buffer *out);
void pa_analysis_print_paper(const struct pa_analysis *analysis, struct pa_buffer *out);
void pa_analysis_print_dot(const struct pa_analysis *analysis, struct pa_buffer *out);
void pa_analysis_print_mermaid(const struct pa_analysis *analysis, struct pa_buffer *out);
/* The facts about one task that the options asked to keep; an error that names near ones where no pipeline has a
 * task of that id. */
int pa_analysis_print_explanation(const struct pa_analysis *analysis, const char *task_id,
                                  struct pa_buffer *out, struct pa_error *err);

#endif
