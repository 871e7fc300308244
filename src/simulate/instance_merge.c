/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "forecast/graph.h"
#include "plan/plan.h"
#include "simulate/instance.h"

static const uint32_t *shift(struct pa_arena *arena, const uint32_t *indices, size_t count,
                             const uint32_t *map, uint32_t by)
{
	uint32_t *shifted = pa_arena_array(arena, count, sizeof(*shifted));
	for (size_t i = 0; i < count; i++)
		shifted[i] = map ? map[indices[i]] : indices[i] + by;
	return shifted;
}

/* Numbers of the instance's files among those of all. */
static uint32_t *add_files(struct pa_arena *arena, const struct pa_instance *one, size_t place,
                           struct pa_names *names, struct pa_instance *all)
{
	uint32_t *map = pa_arena_array(arena, one->file_count, sizeof(*map));
	for (uint32_t i = 0; i < one->file_count; i++) {
		const struct pa_instance_file *file = &one->files[i];
		const char *key = file->external
		                      ? pa_arena_printf(arena, "%ju:%s", (uintmax_t)file->bytes, file->id)
		                      : pa_arena_printf(arena, "%zu/%s", place, file->id);
		map[i] = pa_names_add(names, key);
		if (map[i] == all->file_count)
			all->files[all->file_count++] = *file;
	}
	return map;
}

static void add_tasks(struct pa_arena *arena, const struct pa_instance *one, size_t place,
                      const uint32_t *map, struct pa_instance *all)
{
	uint32_t first = all->task_count;
	for (uint32_t i = 0; i < one->task_count; i++) {
		struct pa_flow_task *task = &all->tasks[first + i];
		*task = one->tasks[i];
		task->after = shift(arena, task->after, task->after_count, NULL, first);
		task->reads = shift(arena, task->reads, task->read_count, map, 0);
		task->writes = shift(arena, task->writes, task->write_count, map, 0);
		all->task_ids[first + i] = pa_arena_printf(arena, "%zu/%s", place, one->task_ids[i]);
	}
	all->task_count += one->task_count;
}

/* Below this a task is not expected to run. */
#define LEAST_PROBABILITY .2

static void add_reads(struct pa_arena *arena, const struct pa_plan_input *input, struct pa_instance *instance)
{
	size_t *capacity = pa_arena_array(arena, instance->task_count, sizeof(*capacity));
	for (size_t i = 0; i < input->read_count; i++) {
		uint32_t task = input->reads[i].task;
		struct pa_flow_task *own = &instance->tasks[task];
		if (input->forecast->tasks[task].probability < LEAST_PROBABILITY)
			continue;
		uint32_t *reads = (uint32_t *)(uintptr_t)own->reads;
		reads = pa_arena_grow(arena, reads, own->read_count, &capacity[task], sizeof(*reads));
		reads[own->read_count++] = input->reads[i].extent;
		own->reads = reads;
	}
}

int pa_instance_from_plan(struct pa_arena *arena, const struct pa_plan_input *input, struct pa_instance *ret,
                          struct pa_error *err)
{
	struct pa_graph graph;
	struct pa_instance instance = {.name = input->pipeline->name};
	int failed = pa_graph_make(arena, input->pipeline, &graph, err);
	if (failed)
		return failed;
	instance.task_count = (uint32_t)graph.task_count;
	instance.file_count = (uint32_t)input->extent_count;
	instance.tasks = pa_arena_array(arena, instance.task_count, sizeof(*instance.tasks));
	instance.task_ids = pa_arena_array(arena, instance.task_count, sizeof(*instance.task_ids));
	instance.files = pa_arena_array(arena, instance.file_count, sizeof(*instance.files));
	for (uint32_t i = 0; i < instance.task_count; i++) {
		const struct pa_task_forecast *forecast = &input->forecast->tasks[i];
		bool runs = forecast->probability >= LEAST_PROBABILITY;
		instance.task_ids[i] = input->pipeline->tasks[i].id;
		instance.tasks[i] = (struct pa_flow_task){
		    .after = graph.tasks[i].after,
		    .after_count = graph.tasks[i].after_count,
		    .duration_s = runs ? forecast->duration_s.quantiles[2] * fmax(forecast->instances, 1) : 0,
		    .started_s = NAN,
		    .ended_s = NAN};
	}
	for (uint32_t i = 0; i < instance.file_count; i++) {
		const struct pa_plan_extent *extent = &input->extents[i];
		instance.files[i] = (struct pa_instance_file){
		    pa_arena_printf(arena, "%s/%s@%ju", input->data_sets[extent->data_set].name, extent->path,
		                    (uintmax_t)extent->offset_bytes),
		    extent->bytes, true};
	}
	add_reads(arena, input, &instance);
	*ret = instance;
	return 0;
}

int pa_instance_merge(struct pa_arena *arena, const struct pa_instance *instances, size_t count,
                      struct pa_instance *ret, struct pa_error *err)
{
	struct pa_instance all = {.name = ""};
	struct pa_names names;
	size_t tasks = 0, files = 0;
	for (size_t i = 0; i < count; i++) {
		tasks += instances[i].task_count;
		files += instances[i].file_count;
		all.name = i == 0 ? instances[i].name
		                  : pa_arena_printf(arena, "%s + %s", all.name, instances[i].name);
	}
	if (tasks > PA_INSTANCE_MAX_TASKS || files > PA_INSTANCE_MAX_FILES)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%zu instances at once have %zu tasks and %zu files; at most %d and %d",
		                    count, tasks, files, PA_INSTANCE_MAX_TASKS, PA_INSTANCE_MAX_FILES);
	pa_names_init(arena, &names, files);
	all.tasks = pa_arena_array(arena, tasks, sizeof(*all.tasks));
	all.task_ids = pa_arena_array(arena, tasks, sizeof(*all.task_ids));
	all.files = pa_arena_array(arena, files, sizeof(*all.files));
	for (size_t i = 0; i < count; i++)
		add_tasks(arena, &instances[i], i, add_files(arena, &instances[i], i, &names, &all), &all);
	*ret = all;
	return 0;
}
