/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast/forecast.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "forecast/duration.h"
#include "forecast/graph.h"
#include "forecast/spread.h"
#include "forecast/statistics.h"

#define UNKNOWN_LOOP_ITEMS 4  /* of a loop whose list a task makes and that never ran */
#define LIKELY_PROBABILITY .5 /* a task that is less likely is left out of the pass of medians */

/* The observations of one template, by index into the history. */
struct group {
	uint32_t *observations;
	size_t count;
	struct pa_slope slope;
	double centre_log_s; /* median, where there is any */
};

/* What the history says about one task apart from its durations. */
struct record {
	uint32_t own;    /* its own durations */
	uint32_t runs;   /* in which it ran, cached or not */
	uint32_t cached; /* times that a cache skipped it */
	uint32_t times;  /* executions in all */
};

struct maker {
	struct pa_arena *scratch;
	const struct pa_pipeline *pipeline;
	const struct pa_history *history;
	const struct pa_forecast_options *options;
	struct pa_graph graph;
	struct group *groups;   /* per template */
	struct record *records; /* per task */
	uint32_t run_count;
	struct pa_weighted *centres; /* of the templates with history */
	size_t centre_count;
};

static void group_observations(struct maker *maker)
{
	const struct pa_history *history = maker->history;
	size_t template_count = maker->graph.templates.count;
	maker->groups = pa_arena_array(maker->scratch, template_count, sizeof(*maker->groups));
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < template_count && pass == 1; i++) {
			struct group *group = &maker->groups[i];
			group->observations = pa_arena_array(maker->scratch, group->count, sizeof(uint32_t));
			group->count = 0;
		}
		for (uint32_t i = 0; i < history->observation_count; i++) {
			const struct pa_observation *observation = &history->observations[i];
			uint32_t index = pa_names_find(&maker->graph.templates, observation->template_name);
			if (index == PA_NAMES_NONE || observation->cached)
				continue;
			struct group *group = &maker->groups[index];
			if (pass == 1)
				group->observations[group->count] = i;
			group->count++;
		}
	}
}

struct aged {
	uint32_t run_age;
	uint32_t index;
};

static int compare_aged(const void *left, const void *right)
{
	const struct aged *a = left, *b = right;
	if (a->run_age != b->run_age)
		return a->run_age < b->run_age ? -1 : 1;
	return (a->index > b->index) - (a->index < b->index);
}

/* Counts per task.  The observations are walked run by run, so that the last run seen tells runs apart. */
static void keep_records(struct maker *maker)
{
	const struct pa_history *history = maker->history;
	size_t task_count = maker->graph.task_count;
	struct aged *aged = pa_arena_array(maker->scratch, history->observation_count, sizeof(*aged));
	uint32_t *last_run = pa_arena_array(maker->scratch, task_count, sizeof(*last_run));

	maker->records = pa_arena_array(maker->scratch, task_count, sizeof(*maker->records));
	maker->run_count = history->run_count;
	for (uint32_t i = 0; i < history->observation_count; i++)
		aged[i] = (struct aged){history->observations[i].run_age, i};
	qsort(aged, history->observation_count, sizeof(*aged), compare_aged);
	for (size_t i = 0; i < history->observation_count; i++) {
		const struct pa_observation *observation = &history->observations[aged[i].index];
		uint32_t task = pa_names_find(&maker->graph.ids, observation->task_id);
		if (aged[i].run_age >= maker->run_count)
			maker->run_count = aged[i].run_age + 1;
		if (task == PA_NAMES_NONE)
			continue;
		struct record *record = &maker->records[task];
		record->runs += last_run[task] != aged[i].run_age + 1;
		last_run[task] = aged[i].run_age + 1;
		record->times++;
		record->cached += observation->cached;
		record->own += !observation->cached;
	}
}

static struct pa_sample sample_of(const struct pa_observation *observation, double weight)
{
	return (struct pa_sample){pa_log_seconds(observation->duration_s),
	                          pa_log_bytes((double)observation->input_bytes), weight,
	                          observation->run_age};
}

/* Slope and centre of every template that ran before. */
static void fit_templates(struct maker *maker)
{
	size_t template_count = maker->graph.templates.count;
	maker->centres = pa_arena_array(maker->scratch, template_count, sizeof(*maker->centres));
	for (size_t i = 0; i < template_count; i++) {
		struct group *group = &maker->groups[i];
		if (group->count == 0)
			continue;
		struct pa_sample *samples = pa_arena_array(maker->scratch, group->count, sizeof(*samples));
		for (size_t j = 0; j < group->count; j++)
			samples[j] = sample_of(&maker->history->observations[group->observations[j]], 1);
		size_t count = pa_samples_prepare(samples, group->count);
		group->slope = pa_slope_fit(maker->scratch, samples, count);
		struct pa_weighted *seconds = pa_arena_array(maker->scratch, count, sizeof(*seconds));
		for (size_t j = 0; j < count; j++)
			seconds[j] = (struct pa_weighted){samples[j].log_s, samples[j].weight};
		pa_weighted_sort(seconds, count);
		group->centre_log_s = pa_weighted_quantile(seconds, count, .5);
		maker->centres[maker->centre_count++] = (struct pa_weighted){group->centre_log_s, 1};
	}
	pa_weighted_sort(maker->centres, maker->centre_count);
}

/* With a chance that a cache skips the task, its quantiles move down: the lowest are 0. */
static struct pa_distribution mix_with_cached(const struct pa_distribution *durations, double cached_share)
{
	struct pa_distribution mixed;
	for (size_t i = 0; i < PA_FORECAST_QUANTILES; i++) {
		double level = (pa_forecast_levels[i] - cached_share) / (1 - cached_share);
		mixed.quantiles[i] =
		    level <= 0 ? 0 : pa_distribution_at(durations, pa_normal_quantile(level));
	}
	return mixed;
}

static double input_bytes_of(const struct maker *maker, size_t task)
{
	return maker->options->input_bytes ? maker->options->input_bytes[task] : NAN;
}

/* A task's own past counts fully; the other tasks of its template count together as one execution of its
 * own, and fully where it has none. */
static void predict_from_history(struct maker *maker, size_t index, const struct group *group,
                                 struct pa_task_forecast *forecast)
{
	const char *id = maker->pipeline->tasks[index].id;
	uint32_t own = maker->records[index].own;
	double sibling_weight = own > 0 && group->count > own ? 1 / (double)(group->count - own) : 1;
	struct pa_arena one = PA_ARENA_INIT;
	struct pa_sample *samples = pa_arena_array(&one, group->count, sizeof(*samples));
	for (size_t i = 0; i < group->count; i++) {
		const struct pa_observation *observation =
		    &maker->history->observations[group->observations[i]];
		bool is_own = strcmp(observation->task_id, id) == 0;
		samples[i] = sample_of(observation, is_own ? 1 : sibling_weight);
	}
	size_t count = pa_samples_prepare(samples, group->count);
	forecast->duration_s =
	    pa_duration_predict(&one, samples, count, &group->slope, input_bytes_of(maker, index));
	forecast->basis = PA_BASIS_HISTORY;
	forecast->observations = (uint32_t)count;
	pa_arena_done(&one);
}

static double expected_instances(const struct pa_loop *loop, const struct record *record)
{
	double seen = record->runs > 0 ? (double)record->times / record->runs : 0;
	if (!loop)
		return 1;
	if (loop->items < 0)
		return record->runs > 0 ? seen : UNKNOWN_LOOP_ITEMS;
	/* A loop within a loop runs a multiple of its own items. */
	double items = (double)loop->items;
	bool is_multiple = items > 0 && seen > items && fmod(seen, items) == 0;
	return is_multiple ? seen : items;
}

static void forecast_task(struct maker *maker, size_t index, struct pa_task_forecast *forecast)
{
	const struct pa_task *task = &maker->pipeline->tasks[index];
	const struct group *group = &maker->groups[maker->graph.tasks[index].template_index];
	const struct record *record = &maker->records[index];

	forecast->probability = 1;
	if (task->condition)
		forecast->probability = (record->runs + 1.0) / (maker->run_count + 2.0);
	forecast->instances = expected_instances(task->loop, record);
	if (group->count > 0) {
		predict_from_history(maker, index, group, forecast);
	} else {
		forecast->duration_s = pa_duration_prior(
		    task->kind, input_bytes_of(maker, index),
		    pa_weighted_quantile(maker->centres, maker->centre_count, .5), maker->centre_count);
		forecast->basis = maker->centre_count > 0 ? PA_BASIS_PIPELINE : PA_BASIS_PRIOR;
	}
	if (record->cached > 0)
		forecast->duration_s =
		    mix_with_cached(&forecast->duration_s, record->cached / (record->times + 1.0));
}

static int check_history(const struct pa_history *history, struct pa_error *err)
{
	for (size_t i = 0; i < history->observation_count; i++) {
		const struct pa_observation *observation = &history->observations[i];
		if (!(observation->duration_s >= 0 && observation->duration_s < INFINITY))
			return pa_error_set(
			    err, PA_ERROR_INPUT,
			    "history: observation %zu, of task \"%s\", took %g s; durations must be "
			    "finite and not negative",
			    i, observation->task_id, observation->duration_s);
	}
	return 0;
}

static int make(struct pa_arena *arena, struct maker *maker, struct pa_forecast *ret, struct pa_error *err)
{
	int failed = pa_graph_make(maker->scratch, maker->pipeline, &maker->graph, err);
	if (failed)
		return failed;
	size_t count = maker->graph.task_count;
	struct pa_forecast forecast = {.task_count = count};
	forecast.tasks = pa_arena_array(arena, count, sizeof(*forecast.tasks));
	group_observations(maker);
	keep_records(maker);
	fit_templates(maker);
	for (size_t i = 0; i < count; i++)
		forecast_task(maker, i, &forecast.tasks[i]);

	struct pa_spread_input input = {.pipeline = maker->pipeline,
	                                .graph = &maker->graph,
	                                .tasks = forecast.tasks,
	                                .least_probability = LIKELY_PROBABILITY,
	                                .slots = maker->options->slots,
	                                .draws = maker->options->draws,
	                                .seed = maker->options->seed};
	struct pa_spread spread;
	failed = pa_spread_run(maker->scratch, &input, &spread, err);
	if (failed)
		return failed;
	for (size_t i = 0; i < count; i++) {
		forecast.tasks[i].start_s = spread.start_s[i];
		forecast.tasks[i].end_s = spread.end_s[i];
	}
	forecast.makespan_s = spread.makespan_s;
	*ret = forecast;
	return 0;
}

int pa_forecast_make(struct pa_arena *arena, const struct pa_pipeline *pipeline,
                     const struct pa_history *history, const struct pa_forecast_options *options,
                     struct pa_forecast *ret, struct pa_error *err)
{
	static const struct pa_history nothing = {0};
	struct pa_arena scratch = PA_ARENA_INIT;
	struct maker maker = {.scratch = &scratch,
	                      .pipeline = pipeline,
	                      .history = history ? history : &nothing,
	                      .options = options};
	int failed = check_history(maker.history, err);
	if (!failed)
		failed = make(arena, &maker, ret, err);
	pa_arena_done(&scratch);
	return failed ? pa_error_wrap(err, "forecast of \"%s\"", pipeline->name) : 0;
}

const char *pa_forecast_basis_name(enum pa_forecast_basis basis)
{
	static const char *const names[] = {"history", "pipeline", "prior"};
	return names[basis];
}
