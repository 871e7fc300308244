/* SPDX-License-Identifier: Apache-2.0 */
#include "run/sources.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "run/planning.h"
#include "store/link.h"

static struct pa_source_data_set *find(struct pa_sources *sources, const char *name)
{
	for (size_t i = 0; i < sources->data_set_count; i++)
		if (strcmp(sources->data_sets[i].name, name) == 0)
			return &sources->data_sets[i];
	return NULL;
}

static int open_store(struct pa_sources *sources, const struct pa_config *config,
                      const struct pa_config_source *source, uint32_t *ret_link, struct pa_error *err)
{
	for (uint32_t i = 0; i < sources->store_count; i++) {
		if (sources->stores[i].source == source) {
			*ret_link = i;
			return 0;
		}
	}
	struct pa_store_options options = {
	    .location = source->at != NULL ? source->at : source->match,
	    .bandwidth_bps = source->bandwidth_bps,
	    .latency_ns = source->latency_ns,
	    .connections = source->connections,
	    .read_only = source->access_set && source->read_only,
	};
	struct pa_store *store;
	if (pa_store_open(&options, &store, err) < 0) {
		/* A root that is not there is a mistake in the configuration. */
		if (err->class == PA_ERROR_NOT_FOUND)
			err->class = PA_ERROR_INPUT;
		return pa_error_wrap(err, "%s:%u:%u: source of %s", config->file, source->line,
		                     source->column, source->claim != NULL ? source->claim : source->match);
	}
	sources->stores[sources->store_count] = (struct pa_source_store){.source = source, .store = store};
	*ret_link = (uint32_t)sources->store_count++;
	return 0;
}

/* Takes note of a data set that some task reads or writes. */
static int add(struct pa_arena *arena, struct pa_sources *sources, const struct pa_config *config,
               const char *name, bool read_only, struct pa_error *err)
{
	if (name == NULL)
		return 0;
	struct pa_source_data_set *known = find(sources, name);
	if (known != NULL) {
		known->read_only &= read_only || known->source->read_only;
		return 0;
	}
	const struct pa_config_source *source = pa_config_find_source(config, name);
	if (source == NULL)
		return 0;
	if (sources->data_set_count == PA_SOURCES_MAX_DATA_SETS)
		return pa_error_set(err, PA_ERROR_INPUT, "more than %d data sets in one pipeline",
		                    PA_SOURCES_MAX_DATA_SETS);
	struct pa_source_data_set set = {.name = name, .source = source, .root = ""};
	if (source->match != NULL && strncmp(name, "uri:", 4) == 0) {
		const char *rest = name + 4 + strlen(source->match);
		set.root = pa_arena_strdup(arena, rest + strspn(rest, "/"));
	}
	set.read_only = read_only || source->read_only;
	int result = open_store(sources, config, source, &set.link, err);
	if (result == 0)
		sources->data_sets[sources->data_set_count++] = set;
	return result;
}

int pa_sources_open(struct pa_arena *arena, const struct pa_pipeline *pipeline,
                    const struct pa_config *config, struct pa_sources *ret, struct pa_error *err)
{
	struct pa_sources sources = {0};
	int result = 0;

	sources.data_sets = pa_arena_array(arena, PA_SOURCES_MAX_DATA_SETS, sizeof(*sources.data_sets));
	sources.stores = pa_arena_array(arena, PA_SOURCES_MAX_DATA_SETS, sizeof(*sources.stores));
	for (size_t t = 0; t < pipeline->task_count && result == 0; t++) {
		const struct pa_task *task = &pipeline->tasks[t];
		for (size_t i = 0; i < task->mount_count && result == 0; i++)
			result =
			    add(arena, &sources, config, pa_planning_mount_data_set(arena, &task->mounts[i]),
			        task->mounts[i].read_only, err);
		for (size_t i = 0; i < task->input_count && result == 0; i++)
			result = add(arena, &sources, config,
			             pa_planning_input_data_set(arena, &task->inputs[i]), true, err);
	}
	if (result < 0) {
		pa_sources_close(&sources);
		return result;
	}
	*ret = sources;
	return 0;
}

void pa_sources_close(struct pa_sources *sources)
{
	for (size_t i = 0; i < sources->store_count; i++)
		pa_store_unref(sources->stores[i].store);
	sources->store_count = 0;
}

void pa_sources_links(const struct pa_sources *sources, struct pa_plan_link *ret)
{
	for (size_t i = 0; i < sources->store_count; i++) {
		const struct pa_link *link = sources->stores[i].store->link;
		uint64_t bandwidth_bps = pa_link_bandwidth_bps(link);
		ret[i] = (struct pa_plan_link){
		    .name = sources->stores[i].store->location,
		    .bytes_per_second = bandwidth_bps != 0 ? (double)bandwidth_bps : INFINITY,
		    .latency_s = (double)pa_link_latency_ns(link) / PA_NS_PER_SECOND,
		};
	}
}
