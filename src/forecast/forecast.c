/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast/forecast.h"

#include <math.h>

#include "base/arena.h"
#include "base/error.h"
#include "forecast/duration.h"
#include "forecast/graph.h"
#include "forecast/past.h"
#include "forecast/spread.h"
#include "forecast/statistics.h"

#define UNKNOWN_LOOP_ITEMS 4  /* of a loop whose list a task makes and that never ran */
#define PAST_RUN_WEIGHT    .3 /* of an execution of a past run, beside one of the run under way */
#define LIKELY_PROBABILITY .5 /* a task that is less likely is left out of the pass of medians */

struct maker {
	struct pa_arena *scratch;
	const struct pa_pipeline *pipeline;
	const struct pa_history *history;
	const struct pa_forecast_options *options;
	struct pa_graph graph;
	struct pa_past past;
	double run_executions; /* expected */
};

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
	double bytes = maker->options->input_bytes ? maker->options->input_bytes[task] : NAN;
	return bytes >= 0 && isfinite(bytes) ? bytes : NAN;
}

static double expected_instances(const struct pa_loop *loop, const struct pa_task_past *past)
{
	double seen = past->runs > 0 ? (double)past->times / past->runs : 0;
	if (!loop)
		return 1;
	if (loop->items < 0)
		return past->runs > 0 ? seen : UNKNOWN_LOOP_ITEMS;
	/* A loop within a loop runs a multiple of its own items. */
	double items = (double)loop->items;
	bool is_multiple = items > 0 && seen > items && fmod(seen, items) == 0;
	return is_multiple ? seen : items;
}

static void predict_from_history(struct maker *maker, size_t index, double fan_in,
                                 struct pa_task_forecast *forecast)
{
	const struct pa_template_past *past =
	    &maker->past.templates[maker->graph.tasks[index].template_index];
	double regressors[PA_REGRESSORS_MAX];
	struct pa_arena one = PA_ARENA_INIT;
	size_t count;
	const struct pa_sample *samples = pa_past_samples(&one, &maker->past, &maker->graph, index, &count);

	pa_past_regressors(&one, past, &maker->pipeline->tasks[index], input_bytes_of(maker, index), fan_in,
	                   maker->run_executions, regressors);
	forecast->duration_s = pa_duration_predict(&one, samples, count, &past->line, regressors);
	if (isnan(forecast->input_bytes.quantiles[0]))
		forecast->input_bytes = pa_bytes_predict(&one, samples, count, false, NULL, regressors);
	forecast->output_bytes = pa_bytes_predict(&one, samples, count, true, &past->output_line, regressors);
	forecast->basis = past->by_command ? PA_BASIS_COMMAND : PA_BASIS_HISTORY;
	forecast->observations = (uint32_t)count;
	pa_arena_done(&one);
}

/* The share of past runs in which it ran, shrunk to one half; what the run under way has decided is certain. */
static double probability_of(const struct maker *maker, size_t index)
{
	const struct pa_forecast_progress *progress = maker->options->progress;
	const struct pa_task_past *past = &maker->past.tasks[index];
	bool started = progress && isfinite(progress->started_s[index]);
	if (progress && progress->skipped && progress->skipped[index])
		return 0;
	if (started || !maker->pipeline->tasks[index].condition)
		return 1;
	/* The run under way is one of the runs, and says nothing of a task that it has not come to. */
	double runs = (double)maker->past.run_count - (progress ? 1 : 0);
	return (past->runs + 1.0) / (runs + 2.0);
}

/* How often each task will run. */
static void count_executions(struct maker *maker, struct pa_task_forecast *forecasts)
{
	for (size_t i = 0; i < maker->graph.task_count; i++) {
		forecasts[i].probability = probability_of(maker, i);
		forecasts[i].instances =
		    expected_instances(maker->pipeline->tasks[i].loop, &maker->past.tasks[i]);
		maker->run_executions += forecasts[i].probability * forecasts[i].instances;
	}
}

static void forecast_task(struct maker *maker, size_t index, struct pa_task_forecast *forecasts)
{
	const struct pa_task *task = &maker->pipeline->tasks[index];
	const struct pa_graph_task *node = &maker->graph.tasks[index];
	const struct pa_task_past *past = &maker->past.tasks[index];
	struct pa_task_forecast *forecast = &forecasts[index];
	double fan_in = 0;

	for (size_t i = 0; i < node->after_count; i++)
		fan_in += forecasts[node->after[i]].instances;
	forecast->input_bytes = pa_distribution_same(input_bytes_of(maker, index));
	forecast->output_bytes = pa_distribution_same(NAN);
	if (maker->past.templates[node->template_index].count > 0) {
		predict_from_history(maker, index, fan_in, forecast);
	} else {
		forecast->duration_s = pa_duration_prior(
		    task->kind, maker->history->kinds ? &maker->history->kinds[task->kind] : NULL,
		    input_bytes_of(maker, index), maker->past.other_centre_log_s, maker->past.other_count);
		forecast->basis = maker->past.other_count > 0 ? PA_BASIS_PIPELINE : PA_BASIS_PRIOR;
	}
	if (past->cached > 0)
		forecast->duration_s =
		    mix_with_cached(&forecast->duration_s, past->cached / (past->times + 1.0));
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

/* What the run itself has taught so far: its finished tasks are the newest run, and all others count for less. */
static const struct pa_history *learn_from_run(struct maker *maker,
                                               const struct pa_forecast_progress *progress)
{
	const struct pa_history *history = maker->history;
	struct pa_history *more = pa_arena_alloc(maker->scratch, sizeof(*more));
	size_t task_count = maker->pipeline->task_count;
	struct pa_observation *all =
	    pa_arena_array(maker->scratch, history->observation_count + task_count, sizeof(*all));

	*more = *history;
	more->observations = all;
	for (size_t i = 0; i < history->observation_count; i++) {
		all[i] = history->observations[i];
		all[i].run_age++;
		all[i].weight = PAST_RUN_WEIGHT * (all[i].weight > 0 ? all[i].weight : 1);
	}
	more->run_count++;
	for (size_t i = 0; i < task_count; i++) {
		const struct pa_task *task = &maker->pipeline->tasks[i];
		double duration_s = progress->ended_s[i] - progress->started_s[i];
		/* A clock that was set back gives no duration; a loop's is not that of one execution. */
		if (!(duration_s >= 0 && duration_s < INFINITY) || task->loop)
			continue;
		size_t parameter_count;
		const struct pa_name_number *parameters =
		    pa_forecast_parameters(maker->scratch, task, &parameter_count);
		all[more->observation_count++] = (struct pa_observation){
		    .task_id = task->id,
		    .template_name = task->template_name,
		    .duration_s = duration_s,
		    .input_bytes = (uint64_t)fmin(fmax(input_bytes_of(maker, i), 0), 0x1p62),
		    .fan_in = (double)maker->graph.tasks[i].after_count,
		    .run_executions = (double)task_count,
		    .parameters = parameters,
		    .parameter_count = parameter_count,
		};
	}
	return more;
}

/* Times that the timeline can take: nothing starts or ends after now, nothing ends before it started. */
static void set_states(const struct maker *maker, const struct pa_forecast_progress *progress,
                       struct pa_spread_input *input)
{
	size_t count = maker->graph.task_count;
	double *started_s = pa_arena_array(maker->scratch, count, sizeof(*started_s));
	double *ended_s = pa_arena_array(maker->scratch, count, sizeof(*ended_s));
	for (size_t i = 0; i < count; i++) {
		started_s[i] = isfinite(progress->started_s[i]) ? fmin(progress->started_s[i], 0) : NAN;
		ended_s[i] = isfinite(progress->ended_s[i]) ? fmin(progress->ended_s[i], 0) : NAN;
		if (!isnan(ended_s[i]) && !(started_s[i] <= ended_s[i]))
			started_s[i] = ended_s[i];
	}
	input->started_s = started_s;
	input->ended_s = ended_s;
	input->skipped = progress->skipped;
}

static int spread_out(struct maker *maker, struct pa_forecast *forecast, struct pa_error *err)
{
	struct pa_spread_input input = {.pipeline = maker->pipeline,
	                                .graph = &maker->graph,
	                                .tasks = forecast->tasks,
	                                .least_probability = LIKELY_PROBABILITY,
	                                .slots = maker->options->slots,
	                                .draws = maker->options->draws,
	                                .seed = maker->options->seed};
	struct pa_spread spread;
	if (maker->options->progress)
		set_states(maker, maker->options->progress, &input);
	int failed = pa_spread_run(maker->scratch, &input, &spread, err);
	if (failed)
		return failed;
	for (size_t i = 0; i < forecast->task_count; i++) {
		forecast->tasks[i].start_s = spread.start_s[i];
		forecast->tasks[i].end_s = spread.end_s[i];
	}
	forecast->makespan_s = spread.makespan_s;
	return 0;
}

static void forecast_data(const struct maker *maker, const struct pa_data *data,
                          const struct pa_task_forecast *tasks, struct pa_data_forecast *ret)
{
	ret->first_need_s = ret->last_use_s = pa_distribution_same(NAN);
	for (size_t i = 0; i < data->read_count; i++) {
		uint32_t task = pa_names_find(&maker->graph.ids, data->read_by[i]);
		for (size_t j = 0; task != PA_NAMES_NONE && j < PA_FORECAST_QUANTILES; j++) {
			double *first_s = &ret->first_need_s.quantiles[j];
			double *last_s = &ret->last_use_s.quantiles[j];
			*first_s = fmin(*first_s, tasks[task].start_s.quantiles[j]);
			*last_s = fmax(*last_s, tasks[task].end_s.quantiles[j]);
		}
	}
}

static int make(struct pa_arena *arena, struct maker *maker, struct pa_forecast *ret, struct pa_error *err)
{
	int failed = pa_graph_make(maker->scratch, maker->pipeline, &maker->graph, err);
	if (failed)
		return failed;
	struct pa_forecast forecast = {.task_count = maker->graph.task_count,
	                               .data_count = maker->pipeline->data_count};
	forecast.tasks = pa_arena_array(arena, forecast.task_count, sizeof(*forecast.tasks));
	forecast.data = pa_arena_array(arena, forecast.data_count, sizeof(*forecast.data));
	if (maker->options->progress)
		maker->history = learn_from_run(maker, maker->options->progress);
	pa_past_make(maker->scratch, maker->pipeline, &maker->graph, maker->history, &maker->past);
	count_executions(maker, forecast.tasks);
	for (size_t i = 0; i < forecast.task_count; i++)
		forecast_task(maker, i, forecast.tasks);
	failed = spread_out(maker, &forecast, err);
	if (failed)
		return failed;
	for (size_t i = 0; i < forecast.data_count; i++)
		forecast_data(maker, &maker->pipeline->data[i], forecast.tasks, &forecast.data[i]);
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
	static const char *const names[] = {"history", "command", "pipeline", "prior"};
	return names[basis];
}
