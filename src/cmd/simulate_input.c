/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "cache/manifest.h"
#include "catalog/catalog.h"
#include "cmd/simulate_internal.h"
#include "run/planning.h"
#include "run/sources.h"

#define LISTING_DEADLINE_NS (600LL * PA_NS_PER_SECOND)
#define FORECAST_SEED       1

/* What a pipeline's instance is made from, to be released together. */
struct input_work {
	struct pa_arena *arena;
	const struct pa_pipeline *pipeline;
	struct pa_config config;
	struct pa_catalog *catalog;
	struct pa_history history;
	struct pa_sources sources;
	struct pa_planning_data_set *data_sets;
	size_t data_set_count;
};

static int list_data_sets(struct input_work *work, struct pa_error *err)
{
	int failed = pa_sources_open(work->arena, work->pipeline, &work->config, &work->sources, err);
	if (failed)
		return failed;
	work->data_sets = pa_arena_array(work->arena, work->sources.data_set_count, sizeof(*work->data_sets));
	for (size_t i = 0; i < work->sources.data_set_count; i++) {
		const struct pa_source_data_set *set = &work->sources.data_sets[i];
		struct pa_store_call call = {.deadline_ns = pa_clock_deadline(LISTING_DEADLINE_NS)};
		struct pa_manifest *manifest;
		if (pa_manifest_list(work->sources.stores[set->link].store, set->root, &call, &manifest,
		                     err) < 0)
			return pa_error_wrap(err, "%s", set->name);
		work->data_sets[work->data_set_count++] =
		    (struct pa_planning_data_set){.name = set->name, .manifest = manifest, .link = set->link};
	}
	return 0;
}

static int build_instance(struct input_work *work, struct pa_instance *ret, struct pa_error *err)
{
	struct pa_plan_link *links = pa_arena_array(work->arena, work->sources.store_count, sizeof(*links));
	struct pa_planning_input input = {.pipeline = work->pipeline,
	                                  .history = &work->history,
	                                  .data_sets = work->data_sets,
	                                  .data_set_count = work->data_set_count,
	                                  .links = links,
	                                  .link_count = work->sources.store_count,
	                                  .slots = work->config.slots,
	                                  .memory_bytes = (double)work->config.memory_node_bytes,
	                                  .seed = FORECAST_SEED};
	struct pa_planning planning;
	pa_sources_links(&work->sources, links);
	int failed = pa_planning_build(work->arena, &input, &planning, err);
	return failed ? failed : pa_instance_from_plan(work->arena, &planning.plan_input, ret, err);
}

static int read_pipeline(struct pa_arena *arena, const char *path, const char *config_path,
                         const struct pa_cmd_common *common, struct pa_instance *ret, struct pa_error *err)
{
	struct input_work work = {.arena = arena};
	int failed = pa_cmd_read_pipeline(arena, path, common, &work.pipeline, err);
	if (!failed)
		failed = pa_cmd_read_config(arena, config_path, path, &work.config, err);
	if (!failed)
		failed = pa_catalog_open(common->catalog_path, &work.catalog, err);
	if (!failed)
		failed =
		    pa_catalog_load_history(work.catalog, arena, work.pipeline->name, &work.history, err);
	if (!failed)
		failed = list_data_sets(&work, err);
	if (!failed)
		failed = build_instance(&work, ret, err);
	for (size_t i = 0; i < work.data_set_count; i++)
		pa_manifest_unref((struct pa_manifest *)(uintptr_t)work.data_sets[i].manifest);
	pa_sources_close(&work.sources);
	if (work.catalog != NULL)
		pa_catalog_close(work.catalog);
	return failed;
}

int pa_cmd_read_instance(struct pa_arena *arena, const char *path, const char *config_path,
                         const struct pa_cmd_common *common, struct pa_instance *ret, struct pa_error *err)
{
	struct pa_text text;
	int failed = pa_cmd_read_text(arena, path, common, &text, err);
	if (failed)
		return failed;
	const char *first = text.text + strspn(text.text, " \t\r\n");
	if (*first == '{' && strstr(first, "\"specification\"") != NULL)
		return pa_instance_read_wfformat(arena, text.file, text.text, text.bytes, ret, err);
	return read_pipeline(arena, path, config_path, common, ret, err);
}
