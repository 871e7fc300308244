/* SPDX-License-Identifier: Apache-2.0 */
/* Texts: their documents, the format of each, and the steps that make a model of it. */
#include "pipeline/analyze.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"
#include "pipeline/ir_internal.h"
#include "pipeline/runtime_internal.h"

#define MIN_MEMORY_BYTES (64u << 20)
#define MEMORY_FACTOR    18u /* the text itself and what reads it take the rest of 20 times */

enum document_kind { NO_PIPELINE, ARGO, KFP_V2_IR, KFP_V2_RUNTIME };

static bool is_argo_kind(const char *kind)
{
	static const char *const kinds[] = {"Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate",
	                                    "CronWorkflow"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	}
	return false;
}

static enum document_kind find_kind(const struct pa_node *root)
{
	const char *kind = pa_node_text(pa_node_get(root, "kind"));
	const char *version = pa_node_text(pa_node_get(root, "apiVersion"));

	if (pa_node_is_mapping(pa_node_get(root, "pipelineSpec")) ||
	    pa_node_is_mapping(pa_node_path(root, "spec.pipelineSpec.root")) ||
	    (pa_node_get(root, "deploymentSpec") != NULL && pa_node_get(root, "root") != NULL))
		return KFP_V2_IR;
	if (kind == NULL || !is_argo_kind(kind) ||
	    (version != NULL && strncmp(version, "argoproj.io/", 12) != 0))
		return NO_PIPELINE;
	return runtime_is_workflow(root) ? KFP_V2_RUNTIME : ARGO;
}

/* What is being analysed together. */
struct job {
	struct pa_arena *arena;
	const struct pa_analyze_options *options;
	struct pa_analysis *analysis;
	size_t pipeline_capacity, failure_capacity;
	struct argo_library library;
};

struct loaded {
	enum document_kind kind;
	size_t number; /* of an Argo document, in the library */
};

/* One text once its documents are read. */
struct source {
	const struct pa_text *text;
	struct pa_document *documents;
	struct loaded *loaded; /* parallel to documents */
	size_t document_count;
	size_t used_bytes; /* of what the analysis of this text may take */
};

static void fail(struct job *job, const struct source *source, const char *message)
{
	struct pa_analysis *analysis = job->analysis;

	analysis->failures = pa_arena_grow(job->arena, analysis->failures, analysis->failure_count,
	                                   &job->failure_capacity, sizeof(*analysis->failures));
	analysis->failures[analysis->failure_count++] =
	    (struct pa_failure){.file = source->text->file, .message = pa_arena_strdup(job->arena, message)};
}

static struct pa_budget budget_of(const struct job *job, const struct source *source)
{
	size_t allowed_bytes = MIN_MEMORY_BYTES;

	if (source->text->bytes > MIN_MEMORY_BYTES / MEMORY_FACTOR)
		allowed_bytes = source->text->bytes * MEMORY_FACTOR;
	if (allowed_bytes < source->used_bytes)
		allowed_bytes = source->used_bytes;
	return (struct pa_budget){.arena = job->arena,
	                          .limit_bytes =
	                              pa_arena_bytes(job->arena) + allowed_bytes - source->used_bytes};
}

/* The items of a List, as kubectl prints several objects; NULL: it is none. */
static const struct pa_node *items_of(const struct pa_node *root)
{
	const char *kind = pa_node_text(pa_node_get(root, "kind"));
	const struct pa_node *items = pa_node_get(root, "items");
	size_t length = kind == NULL ? 0 : strlen(kind);

	if (length < 4 || strcmp(kind + length - 4, "List") != 0 || !pa_node_is_sequence(items))
		return NULL;
	return items;
}

/* Puts the items of lists in the place of these; they keep the number of their document. */
static void unfold_lists(struct job *job, struct source *source)
{
	size_t count = 0, unfolded = 0;

	for (size_t i = 0; i < source->document_count; i++) {
		const struct pa_node *items = items_of(source->documents[i].root);
		count += items == NULL ? 1 : items->count;
		unfolded += items != NULL;
	}
	if (unfolded == 0)
		return;
	struct pa_document *documents = pa_arena_array(job->arena, count, sizeof(*documents));
	count = 0;
	for (size_t i = 0; i < source->document_count; i++) {
		const struct pa_document *document = &source->documents[i];
		const struct pa_node *items = items_of(document->root);
		if (items == NULL)
			documents[count++] = *document;
		for (uint32_t j = 0; items != NULL && j < items->count; j++)
			documents[count++] =
			    (struct pa_document){.root = items->items[j], .index = document->index};
	}
	source->documents = documents;
	source->document_count = count;
}

/* Reads a text's documents; what Argo has in them goes into the library, where all others find it. */
static void load_source(struct job *job, struct source *source)
{
	const struct pa_text *text = source->text;
	struct pa_error first_of_them; /* the documents carry their own */
	size_t before_bytes = pa_arena_bytes(job->arena);

	pa_document_read(job->arena, text->file, text->text, text->bytes, &source->documents,
	                 &source->document_count, &first_of_them);
	unfold_lists(job, source);
	struct pa_budget budget = budget_of(job, source);
	source->loaded = pa_arena_array(job->arena, source->document_count, sizeof(*source->loaded));
	for (size_t i = 0; i < source->document_count; i++) {
		struct loaded *loaded = &source->loaded[i];
		loaded->kind = find_kind(source->documents[i].root);
		if (loaded->kind == ARGO)
			loaded->number = argo_library_add(&job->library, &budget, &source->documents[i]);
	}
	source->used_bytes = pa_arena_bytes(job->arena) - before_bytes;
}

/* Whether a text that cannot be read speaks of a pipeline: every format has one of these words. */
static bool mentions_pipeline(const struct pa_text *text)
{
	static const char *const words[] = {"argoproj.io", "deploymentSpec", "pipelineSpec"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (memmem(text->text, text->bytes, words[i], strlen(words[i])) != NULL)
			return true;
	}
	return false;
}

/* The platforms document that goes with an IR: one behind it in its file, before the next pipeline. */
static const struct pa_node *platforms_of(const struct source *source, size_t index)
{
	while (++index < source->document_count && source->loaded[index].kind == NO_PIPELINE) {
		const struct pa_node *root = source->documents[index].root;
		if (pa_node_is_mapping(pa_node_get(root, "platforms")))
			return root;
	}
	return NULL;
}

/* False: no pipeline. */
static bool analyze_document(struct job *job, const struct source *source, size_t index,
                             const struct pa_budget *budget)
{
	struct pa_analysis *analysis = job->analysis;
	const struct pa_document *document = &source->documents[index];
	struct pa_pipeline pipeline = {0};
	struct pa_error err = PA_ERROR_INIT;
	int rc;

	if (document->error != NULL) {
		/* What a folder holds beside pipelines need not be understood. */
		if (!source->text->may_be_other || mentions_pipeline(source->text))
			fail(job, source, document->error);
		return true;
	}
	switch (source->loaded[index].kind) {
	case NO_PIPELINE:
		return false;
	case ARGO:
		rc = argo_analyze(&job->library, source->loaded[index].number, budget, job->options,
		                  &pipeline, &err);
		break;
	case KFP_V2_IR:
		rc = ir_analyze(budget, document->root, platforms_of(source, index), document->index,
		                job->options, &pipeline, &err);
		break;
	default:
		rc = runtime_analyze(budget, document->root, document->index, job->options, &pipeline, &err);
		break;
	}
	if (rc < 0) {
		fail(job, source, err.message);
		return true;
	}
	analysis->pipelines = pa_arena_grow(job->arena, analysis->pipelines, analysis->pipeline_count,
	                                    &job->pipeline_capacity, sizeof(*analysis->pipelines));
	analysis->pipelines[analysis->pipeline_count++] = pipeline;
	return true;
}

static void analyze_source(struct job *job, const struct source *source)
{
	struct pa_budget budget = budget_of(job, source);
	bool found = false;

	for (size_t i = 0; i < source->document_count; i++)
		found |= analyze_document(job, source, i, &budget);
	if (!found && !source->text->may_be_other)
		fail(job, source,
		     pa_arena_printf(job->arena,
		                     "%s:1:1: no pipeline in this file; give an Argo Workflow, "
		                     "WorkflowTemplate or CronWorkflow, or a compiled KFP pipeline",
		                     source->text->file));
}

static bool has_parameter(const struct pa_analysis *analysis, const char *name)
{
	for (size_t i = 0; i < analysis->pipeline_count; i++) {
		const struct pa_pipeline *pipeline = &analysis->pipelines[i];
		for (size_t j = 0; j < pipeline->parameter_count; j++) {
			if (strcmp(pipeline->parameters[j].name, name) == 0)
				return true;
		}
	}
	return false;
}

/* Each argument must be some pipeline's; where one is not, the answer is not the one that was asked for. */
static void check_arguments(struct job *job, const struct source *first)
{
	const struct pa_analyze_options *options = job->options;
	size_t count = options == NULL || job->analysis->pipeline_count == 0 ? 0 : options->argument_count;
	bool several = job->analysis->pipeline_count > 1, missing = false;

	for (size_t i = 0; i < count; i++) {
		const char *name = options->arguments[i].name;
		if (has_parameter(job->analysis, name))
			continue;
		missing = true;
		fail(job, first,
		     pa_arena_printf(
			 job->arena, "%s: %s no parameter '%.100s'; give one of its own", first->text->file,
			 several ? "the pipelines here and in the other files have" : "the pipeline has",
			 name));
	}
	if (missing)
		job->analysis->pipeline_count = 0;
}

void pa_analyze(struct pa_arena *arena, const struct pa_text *texts, size_t count,
                const struct pa_analyze_options *options, struct pa_analysis *ret)
{
	struct job job = {.arena = arena, .options = options, .analysis = ret};
	struct source *sources = pa_arena_array(arena, count, sizeof(*sources));

	*ret = (struct pa_analysis){0};
	argo_library_init(&job.library, arena);
	for (size_t i = 0; i < count; i++) {
		sources[i].text = &texts[i];
		load_source(&job, &sources[i]);
	}
	for (size_t i = 0; i < count; i++)
		analyze_source(&job, &sources[i]);
	if (count > 0)
		check_arguments(&job, &sources[0]);
}

int pa_analyze_text(struct pa_arena *arena, const char *file, const char *text, size_t bytes,
                    const struct pa_analyze_options *options, struct pa_analysis *ret, struct pa_error *err)
{
	struct pa_text *whole = pa_arena_alloc(arena, sizeof(*whole));
	struct pa_analysis analysis;

	*whole = (struct pa_text){.file = file, .text = text, .bytes = bytes};
	pa_analyze(arena, whole, 1, options, &analysis);
	if (analysis.failure_count > 0)
		return pa_error_set(err, PA_ERROR_INPUT, "%s", analysis.failures[0].message);
	*ret = analysis;
	return 0;
}
