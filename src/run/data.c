/* SPDX-License-Identifier: Apache-2.0 */
/* Sources, stores and data sets of a run; plans made from them, and the plans' loads handed to the cache. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/units.h"
#include "cache/tree.h"
#include "run/run_internal.h"
#include "store/link.h"

#define FILE_SCHEME "file://"
/* tmpfs counts whole pages and its folders' blocks: room for those beside the chunks. */
#define TMPFS_SLACK_BYTES      (64u << 20)
#define SEQUENTIAL_PROBE_BYTES (32u << 20)
#define PLAN_SEED              1
/* A plan's times beyond this are as good as never. */
#define FAR_S 1e9

struct pa_store_call run_call(const struct pa_run *run, int64_t timeout_ns)
{
	return (struct pa_store_call){.deadline_ns = pa_clock_deadline(timeout_ns), .cancel = &run->cancel};
}

double run_now_s(const struct pa_run *run)
{
	return (double)(pa_clock_ns() - run->start_ns) / PA_NS_PER_SECOND;
}

struct run_data_set *run_data_find(struct pa_run *run, const char *name)
{
	for (size_t i = 0; i < run->data_set_count; i++)
		if (strcmp(run->data_sets[i].name, name) == 0)
			return &run->data_sets[i];
	return NULL;
}

/* The run's own record of each data set. */
static int find_data_sets(struct pa_run *run, struct pa_error *err)
{
	int result =
	    pa_sources_open(&run->arena, run->options->pipeline, run->options->config, &run->sources, err);

	if (result < 0)
		return result;
	run->data_set_count = run->sources.data_set_count;
	run->data_sets = pa_arena_array(&run->arena, run->data_set_count, sizeof(*run->data_sets));
	for (size_t i = 0; i < run->data_set_count; i++) {
		const struct pa_source_data_set *source = &run->sources.data_sets[i];
		run->data_sets[i] = (struct run_data_set){.name = source->name,
		                                          .source = source->source,
		                                          .root = source->root,
		                                          .store = run->sources.stores[source->link].store,
		                                          .link = source->link,
		                                          .read_only = source->read_only};
	}
	return 0;
}

const char *run_data_local_path(struct pa_run *run, const struct run_data_set *set)
{
	const char *location = set->source->at != NULL ? set->source->at : set->source->match;

	if (strncmp(location, FILE_SCHEME, strlen(FILE_SCHEME)) != 0)
		return NULL;
	location += strlen(FILE_SCHEME);
	return set->root[0] == '\0' ? location : pa_arena_printf(&run->arena, "%s/%s", location, set->root);
}

static int make_folder(struct pa_run *run, const char *name, const char **ret, struct pa_error *err)
{
	const char *path = pa_arena_printf(&run->arena, "%s/%s", run->options->scratch, name);

	if (mkdir(path, 0700) < 0)
		return pa_error_set_errno(err, errno, "%s: cannot be made", path);
	*ret = path;
	return 0;
}

/* The region's tmpfs, the cache in it, and the mount beside it. */
static int open_memory(struct pa_run *run, struct pa_error *err)
{
	const struct pa_config *config = run->options->config;
	const char *memory_folder;
	char mount_data[64];

	if (make_folder(run, "memory", &memory_folder, err) < 0 ||
	    make_folder(run, "mount", &run->mount_folder, err) < 0)
		return -(int)err->class;
	snprintf(mount_data, sizeof(mount_data), "size=%llu,mode=0700",
	         (unsigned long long)config->memory_node_bytes + TMPFS_SLACK_BYTES);
	if (mount("pipeahead", memory_folder, "tmpfs", MS_NOSUID | MS_NODEV, mount_data) < 0)
		return pa_error_set_errno(err, errno, "%s: the memory tier's tmpfs cannot be mounted",
		                          memory_folder);
	run->cache_folder = memory_folder;
	struct pa_cache_options cache_options = {
	    .directory = memory_folder, .quota_bytes = config->memory_node_bytes, .verify_every = 64};
	int result = pa_cache_new(&cache_options, &run->cache, err);
	if (result < 0)
		return result;
	struct pa_mount_options mount_options = {.mount_point = run->mount_folder};
	return pa_mount_new(&mount_options, &run->mount, err);
}

static int open_data_set(struct pa_run *run, struct run_data_set *set, struct pa_error *err)
{
	struct pa_store_call call = run_call(run, PA_RUN_OPEN_DEADLINE_NS);
	struct pa_data_set_options options = {
	    .name = set->name,
	    .store = set->store,
	    .root = set->root,
	    .read_only = set->read_only,
	    .immutable = set->source->immutable,
	    .fresh_for_ns = set->source->fresh_for_ns,
	    .readahead_chunks = 1,
	};

	if (pa_cache_open_data_set(run->cache, &options, &call, &set->opened, err) < 0) {
		int result = pa_error_wrap(err, "%s", set->name);
		if (err->class == PA_ERROR_NOT_FOUND)
			err->class = PA_ERROR_INPUT;
		return result;
	}
	set->manifest = pa_data_set_manifest(set->opened);
	set->first_manifest = pa_manifest_ref(set->manifest);
	return 0;
}

int run_data_open(struct pa_run *run, struct pa_error *err)
{
	int result = find_data_sets(run, err);

	if (result < 0 || run->options->mode == PA_RUN_LOCAL)
		return result;
	result = open_memory(run, err);
	for (size_t i = 0; result == 0 && i < run->data_set_count && run->options->mode == PA_RUN_AHEAD; i++)
		result = open_data_set(run, &run->data_sets[i], err);
	if (result == 0 && run->options->mode == PA_RUN_AHEAD)
		result = run_refresh_begin(run, err);
	return result;
}

void run_data_close(struct pa_run *run)
{
	run_refresh_end(run);
	/* The mount's threads use the cache, the cache's the stores: in this order. */
	if (run->mount != NULL)
		pa_mount_free(run->mount);
	for (size_t i = 0; i < run->data_set_count; i++) {
		pa_manifest_unref(run->data_sets[i].manifest);
		pa_manifest_unref(run->data_sets[i].first_manifest);
		if (run->data_sets[i].opened != NULL)
			pa_cache_close_data_set(run->cache, run->data_sets[i].opened);
	}
	for (size_t i = 0; i < run->cold_count; i++)
		pa_cache_close_data_set(run->cache, run->cold[i]);
	if (run->cache != NULL)
		pa_cache_free(run->cache);
	if (run->cache_folder != NULL)
		umount2(run->cache_folder, MNT_DETACH);
	pa_sources_close(&run->sources);
}

/* --- plans --- */

static void note_states(struct pa_run *run, double now_s)
{
	const struct pa_pipeline *pipeline = run->options->pipeline;

	for (size_t i = 0; i < pipeline->task_count; i++) {
		struct pa_engine_task_state state;
		pa_engine_task_state(run->engine, pipeline->tasks[i].id, &state);
		run->states[i] = (struct pa_plan_task_state){
		    .started_s = NAN,
		    .ended_s =
			state.outcome == PA_OUTCOME_PENDING || state.outcome == PA_OUTCOME_RUNNING ? NAN : 0,
		    .skipped = state.outcome == PA_OUTCOME_SKIPPED || state.outcome == PA_OUTCOME_OMITTED,
		};
	}
	for (size_t i = 0; i < run->instance_count; i++) {
		const struct run_instance *instance = run->instances[i];
		struct pa_plan_task_state *state = &run->states[instance->task];
		if (isnan(instance->start_s))
			continue;
		state->started_s =
		    fmin(isnan(state->started_s) ? 0 : state->started_s, instance->start_s - now_s);
		if (!isnan(state->ended_s))
			state->ended_s = fmin(0, instance->end_s - now_s);
	}
}

static size_t collect_data_sets(struct pa_run *run, struct pa_planning_data_set *sets)
{
	size_t count = 0;

	for (size_t i = 0; i < run->data_set_count; i++) {
		struct run_data_set *set = &run->data_sets[i];
		if (set->opened == NULL)
			continue;
		pa_manifest_unref(set->manifest);
		set->manifest = pa_data_set_manifest(set->opened);
		sets[count++] = (struct pa_planning_data_set){
		    .name = set->name, .manifest = set->manifest, .link = set->link};
	}
	return count;
}

static void note_residency(struct pa_run *run)
{
	for (size_t i = 0; i < run->planning.plan_input.extent_count; i++) {
		struct pa_plan_extent *extent = &run->planning.extents[i];
		const char *name = run->planning.plan_input.data_sets[extent->data_set].name;
		struct pa_extent range = {.path = extent->path,
		                          .offset_bytes = extent->offset_bytes,
		                          .length_bytes = extent->bytes};
		uint64_t total_bytes;
		pa_data_set_residency(run_data_find(run, name)->opened, &range, &extent->resident_bytes,
		                      &total_bytes);
		if (extent->resident_bytes > extent->bytes)
			extent->resident_bytes = extent->bytes;
	}
}

/* What is wanted stays at least until there can be another plan: a task that takes longer than anybody thought has an
 * end that is always near. */
static double keep_until(const struct pa_run *run, const struct pa_plan_action *action)
{
	double least_s = 4.0 *
	                 (double)(PA_RUN_REPLAN_INTERVAL_NS + PA_RUN_PLAN_COST_SHARE * run->plan_cost_ns) /
	                 PA_NS_PER_SECOND;

	return fmin(fmax(action->keep_until_s, least_s), FAR_S);
}

static int assign(struct pa_run *run, int64_t now_ns, struct pa_error *err)
{
	const struct pa_plan *plan = &run->plan;
	const struct pa_plan_input *input = &run->planning.plan_input;
	struct pa_assignment *assignments =
	    pa_arena_array(&run->plan_arena, plan->action_count, sizeof(*assignments));
	size_t count = 0;

	for (size_t i = 0; i < plan->action_count; i++) {
		const struct pa_plan_action *action = &plan->actions[i];
		if ((action->kind != PA_PLAN_LOAD && action->kind != PA_PLAN_KEEP) ||
		    action->extent == UINT32_MAX)
			continue;
		const struct pa_plan_extent *extent = &input->extents[action->extent];
		assignments[count++] = (struct pa_assignment){
		    .data_set = input->data_sets[extent->data_set].name,
		    .extent = {.path = extent->path,
		               .offset_bytes = extent->offset_bytes + action->offset_bytes,
		               .length_bytes = action->bytes},
		    .tier = PA_TIER_NODE,
		    .deadline_ns = now_ns + (int64_t)(fmin(action->deadline_s, FAR_S) * PA_NS_PER_SECOND),
		    .priority = action->priority,
		    .keep_until_ns = now_ns + (int64_t)(keep_until(run, action) * PA_NS_PER_SECOND),
		};
	}
	return pa_cache_assign(run->cache, assignments, count, err);
}

static void note_plan_cost(struct pa_run *run, int64_t begin_ns)
{
	int64_t earned_ns = run->planned_ns != 0 ? (begin_ns - run->planned_ns) / PA_RUN_PLAN_COST_SHARE : 0;

	run->planned_ns = pa_clock_ns();
	run->plan_cost_ns = run->planned_ns - begin_ns;
	run->plan_credit_ns += earned_ns;
	if (run->plan_credit_ns > PA_RUN_PLAN_BURST_NS)
		run->plan_credit_ns = PA_RUN_PLAN_BURST_NS;
	run->plan_credit_ns -= run->plan_cost_ns;
}

int run_data_plan(struct pa_run *run, struct pa_error *err)
{
	const struct pa_run_options *options = run->options;
	int64_t now_ns = pa_clock_ns();

	pa_arena_done(&run->plan_arena);
	run->has_plan = false;
	struct pa_planning_data_set *sets =
	    pa_arena_array(&run->plan_arena, run->data_set_count, sizeof(*sets));
	struct pa_plan_link *links =
	    pa_arena_array(&run->plan_arena, run->sources.store_count, sizeof(*links));
	pa_sources_links(&run->sources, links);
	struct pa_planning_input input = {
	    .pipeline = options->pipeline,
	    .history = options->history,
	    .data_sets = sets,
	    .data_set_count = collect_data_sets(run, sets),
	    .links = links,
	    .link_count = run->sources.store_count,
	    .slots = run->slots,
	    .memory_bytes = (double)options->config->memory_node_bytes,
	    .seed = PLAN_SEED,
	};
	if (pa_planning_build(&run->plan_arena, &input, &run->planning, err) < 0)
		return pa_error_wrap(err, "planning");
	note_states(run, run_now_s(run));
	run->planning.plan_input.states = run->states;
	note_residency(run);
	if (pa_plan_make(&run->plan_arena, &run->planning.plan_input, &run->plan, err) < 0)
		return pa_error_wrap(err, "planning");
	run->has_plan = true;
	int result = options->mode == PA_RUN_AHEAD ? assign(run, now_ns, err) : 0;
	note_plan_cost(run, now_ns);
	return result;
}

/* --- what is said of the sources --- */

void run_data_describe(struct pa_run *run)
{
	struct pa_buffer text;
	char rate[32];

	pa_buffer_init(&text, 4096);
	for (size_t i = 0; i < run->sources.store_count; i++) {
		const struct pa_config_source *source = run->sources.stores[i].source;
		if (source->latency_ns == 0 && source->bandwidth_bps == 0)
			continue;
		run->report->slowed = true;
		pa_buffer_printf(&text, "%s%s is slowed on purpose:", text.length > 0 ? "; " : "",
		                 source->claim != NULL ? source->claim : source->match);
		if (source->bandwidth_bps != 0)
			pa_buffer_printf(
			    &text, " %s",
			    pa_units_format_rate((double)source->bandwidth_bps, rate, sizeof(rate)));
		if (source->latency_ns != 0)
			pa_buffer_printf(&text, "%s %.1f ms a request",
			                 source->bandwidth_bps != 0 ? " and" : "",
			                 (double)source->latency_ns / PA_NS_PER_MS);
	}
	run->report->slowed_text = pa_arena_strdup(&run->report->arena, text.data);
	pa_buffer_done(&text);
}

void run_data_note_sources(struct pa_run *run)
{
	struct pa_run_report *report = run->report;
	struct pa_arena *arena = &report->arena;
	char id[PA_HASH128_TEXT_BYTES];

	report->sources = pa_arena_array(arena, run->sources.store_count, sizeof(*report->sources));
	for (size_t i = 0; i < run->sources.store_count; i++) {
		const struct pa_config_source *source = run->sources.stores[i].source;
		report->sources[report->source_count++] = (struct pa_catalog_source){
		    .match = source->claim != NULL ? pa_arena_printf(arena, "claim:%s", source->claim)
		                                   : pa_arena_strdup(arena, source->match),
		    .location = pa_arena_strdup(arena, run->sources.stores[i].store->location),
		    .bandwidth_bps = source->bandwidth_bps,
		};
	}
	report->manifests = pa_arena_array(arena, run->data_set_count, sizeof(*report->manifests));
	for (size_t i = 0; i < run->data_set_count; i++) {
		const struct pa_manifest *manifest = run->data_sets[i].first_manifest;
		if (manifest == NULL)
			continue;
		report->manifests[report->manifest_count++] = (struct pa_catalog_manifest){
		    .data_set = pa_arena_strdup(arena, run->data_sets[i].name),
		    .id = pa_arena_strdup(arena, pa_hash_format(manifest->id, id)),
		    .file_count = manifest->file_count,
		    .total_bytes = manifest->total_bytes,
		};
	}
}

/* The largest file of a manifest. */
static const struct pa_store_entry *largest_file(const struct pa_manifest *manifest)
{
	const struct pa_store_entry *largest = NULL;

	for (size_t i = 0; i < manifest->entry_count; i++)
		if (manifest->entries[i].kind == PA_ENTRY_FILE &&
		    (largest == NULL || manifest->entries[i].size_bytes > largest->size_bytes))
			largest = &manifest->entries[i];
	return largest;
}

/* Through the cache as the mount's threads read it; through the mount itself a process that is killed would wait for
 * its own answer. */
static double read_sequentially(struct pa_run *run, struct pa_data_set *data_set, const char *path)
{
	PA_AUTO_FREE char *block = malloc(PA_CHUNK_BYTES);
	struct pa_store_call call = run_call(run, PA_RUN_OPEN_DEADLINE_NS);
	struct pa_error ignored = PA_ERROR_INIT;
	struct pa_attributes attributes;
	struct pa_file *file;
	uint64_t total = 0;

	if (block == NULL || run_tree_find(data_set, path, &attributes, &ignored) < 0 ||
	    pa_file_open(data_set, attributes.inode, PA_FILE_READ, &file, &call, &ignored) < 0)
		return 0;
	int64_t begin_ns = pa_clock_ns();
	for (size_t got = 1; got > 0 && total < SEQUENTIAL_PROBE_BYTES; total += got)
		if (pa_file_read(file, total, block, PA_CHUNK_BYTES, &got, NULL, &call, &ignored) < 0)
			break;
	double elapsed_s = (double)(pa_clock_ns() - begin_ns) / PA_NS_PER_SECOND;
	pa_file_close(file, &call, &ignored);
	return total < PA_CHUNK_BYTES || elapsed_s <= 0 ? 0 : (double)total / elapsed_s;
}

void run_data_measure_sequential(struct pa_run *run)
{
	struct pa_error ignored = PA_ERROR_INIT;

	for (size_t i = 0; i < run->data_set_count; i++) {
		const struct run_data_set *set = &run->data_sets[i];
		struct pa_store_call call = run_call(run, PA_RUN_OPEN_DEADLINE_NS);
		struct pa_data_set_options options = {.name = "sequential probe",
		                                      .store = set->store,
		                                      .root = set->root,
		                                      .read_only = true,
		                                      .readahead_chunks = 1};
		struct pa_data_set *probe;
		if (set->source->bandwidth_bps == 0 ||
		    pa_cache_open_data_set(run->cache, &options, &call, &probe, &ignored) < 0)
			continue;
		struct pa_manifest *manifest = pa_data_set_manifest(probe);
		const struct pa_store_entry *file = largest_file(manifest);
		if (file != NULL) {
			run->report->sequential_bps = read_sequentially(run, probe, file->path);
			run->report->cap_bps = (double)set->source->bandwidth_bps;
		}
		pa_manifest_unref(manifest);
		pa_cache_close_data_set(run->cache, probe);
		return;
	}
}
