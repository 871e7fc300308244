/* SPDX-License-Identifier: Apache-2.0 */
/* Which data sets a pipeline takes from outside, and the stores that its configuration names for them.
 *
 * One store (and so one link, one bandwidth) per configured source, whatever the number of data sets in it.
 * A data set without a source is left out.  Everything lives in the arena but the stores: pa_sources_close().
 * Blocking: opening a store looks at its root.
 */
#ifndef PA_RUN_SOURCES_H
#define PA_RUN_SOURCES_H

#include "base/arena.h"
#include "config/config.h"
#include "pipeline/model.h"
#include "plan/plan.h"
#include "store/store.h"

#define PA_SOURCES_MAX_DATA_SETS 1024

struct pa_source_store {
	const struct pa_config_source *source;
	struct pa_store *store;
};

struct pa_source_data_set {
	const char *name; /* "claim:…", "uri:…" */
	const struct pa_config_source *source;
	uint32_t link;    /* index of its store */
	const char *root; /* path below the store */
	bool read_only;   /* its source says so, or every mount of it does */
};

struct pa_sources {
	struct pa_source_store *stores;
	size_t store_count;
	struct pa_source_data_set *data_sets;
	size_t data_set_count;
};

int pa_sources_open(struct pa_arena *arena, const struct pa_pipeline *pipeline,
                    const struct pa_config *config, struct pa_sources *ret, struct pa_error *err);
void pa_sources_close(struct pa_sources *sources);
/* One link per store, for the planner; `ret` has room for store_count. */
void pa_sources_links(const struct pa_sources *sources, struct pa_plan_link *ret);

#endif
