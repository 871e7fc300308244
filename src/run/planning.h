/* SPDX-License-Identifier: Apache-2.0 */
/* From a pipeline, its history and the manifests of its data sets to the planner's input.
 *
 * Data sets are cut into extents: a file, a piece of a large file, or, in data sets of more than
 * PA_PLANNING_MAX_FILE_EXTENTS files, a folder of the first level (all of it in one, where these and the files beside
 * them are still more).  A task reads what its access profile says; without one, the paths below its mounts that its
 * command names; without those, all of what it mounts or takes.  Pure but for memory; everything lives in the arena.
 * Cost: that of the extents, the reads and the profile, with a logarithm.
 */
#ifndef PA_RUN_PLANNING_H
#define PA_RUN_PLANNING_H

#include "base/arena.h"
#include "cache/manifest.h"
#include "plan/plan.h"

#define PA_PLANNING_MAX_FILE_EXTENTS 8192
#define PA_PLANNING_LARGE_FILE_BYTES (32u << 20)
#define PA_PLANNING_PIECE_BYTES      (16u << 20)
#define PA_PLANNING_MAX_PIECES       1024 /* of one file */

/* A data set that can be loaded. */
struct pa_planning_data_set {
	const char *name; /* "claim:…", "uri:…" */
	const struct pa_manifest *manifest;
	uint32_t link;
};

struct pa_planning_input {
	const struct pa_pipeline *pipeline;
	const struct pa_history *history; /* NULL: none */
	const struct pa_planning_data_set *data_sets;
	size_t data_set_count;
	const struct pa_plan_link *links;
	size_t link_count;
	uint32_t slots;
	double memory_bytes;
	uint64_t seed;
};

struct pa_planning {
	struct pa_plan_input plan_input; /* states NULL: set it for a plan during a run */
	struct pa_plan_extent *extents;  /* the same array, to fill in what is resident */
	struct pa_forecast forecast;
	double *input_bytes; /* one per task: what it is expected to read */
};

int pa_planning_build(struct pa_arena *arena, const struct pa_planning_input *input, struct pa_planning *ret,
                      struct pa_error *err);

/* "claim:NAME" of a mount that comes from outside the pipeline, else NULL. */
const char *pa_planning_mount_data_set(struct pa_arena *arena, const struct pa_task_mount *mount);
/* "uri:URI" of an input artifact that is served at a path, else NULL. */
const char *pa_planning_input_data_set(struct pa_arena *arena, const struct pa_input *input);

#endif
