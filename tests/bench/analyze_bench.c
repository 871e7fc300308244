/* SPDX-License-Identifier: Apache-2.0 */
/* Analyses every pipeline file below a folder, each on its own, and prints what that took as JSON.
 * With a second argument it only builds the tree of nodes: what the YAML reader costs by itself. */
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/analyze.h"

struct totals {
	size_t files;
	size_t bytes;
	size_t failed;
	size_t tasks;
};

static double seconds(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static double cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return seconds(&usage.ru_utime) + seconds(&usage.ru_stime);
}

static double wall_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool is_pipeline_file(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot != NULL &&
	       (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0);
}

static void analyze_file(const char *path, bool nodes_only, struct totals *totals)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_analysis analysis = {0};
	struct pa_document *documents;
	size_t document_count;
	struct pa_buffer text;
	int rc;

	if (pa_buffer_read_file(path, PA_ANALYZE_DEFAULT_MAX_INPUT_BYTES, &text, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	if (nodes_only)
		rc =
		    pa_document_read(&arena, path, text.data, text.length, &documents, &document_count, &err);
	else
		rc = pa_analyze_text(&arena, path, text.data, text.length, NULL, &analysis, &err);
	totals->files++;
	totals->bytes += text.length;
	totals->failed += rc < 0;
	for (size_t i = 0; i < analysis.pipeline_count; i++)
		totals->tasks += analysis.pipelines[i].task_count;
	pa_arena_done(&arena);
	pa_buffer_done(&text);
}

int main(int argument_count, char **arguments)
{
	bool nodes_only = argument_count == 3 && strcmp(arguments[2], "nodes") == 0;
	struct totals totals = {0};
	FTSENT *entry;

	if (argument_count < 2 || (argument_count > 2 && !nodes_only)) {
		fprintf(stderr, "usage: analyze_bench FOLDER [nodes]\n");
		return 2;
	}
	double wall_begin_s = wall_s(), cpu_begin_s = cpu_s();
	FTS *tree =
	    fts_open((char *const[]){arguments[1], NULL}, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
	while (tree != NULL && (entry = fts_read(tree)) != NULL) {
		if (entry->fts_info != FTS_DP && is_pipeline_file(entry->fts_name))
			analyze_file(entry->fts_path, nodes_only, &totals);
	}
	if (tree != NULL)
		fts_close(tree);
	printf("{\"files\": %zu, \"bytes\": %zu, \"failed\": %zu, \"tasks\": %zu, \"wall_s\": %.6f, "
	       "\"cpu_s\": %.6f}\n",
	       totals.files, totals.bytes, totals.failed, totals.tasks, wall_s() - wall_begin_s,
	       cpu_s() - cpu_begin_s);
	return totals.files == 0;
}
