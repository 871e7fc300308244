/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast/past.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "forecast/duration.h"
#include "forecast/statistics.h"

#define OTHERS_WEIGHT .5 /* of a template's other tasks together, where a task's own past is trusted */
#define LEAST_PAIRS   3  /* executions of one task in two runs, to learn how far to trust in its own past */

const struct pa_name_number *pa_forecast_parameters(struct pa_arena *arena, const struct pa_task *task,
                                                    size_t *ret_count)
{
	struct pa_name_number *numbers = pa_arena_array(arena, task->hyperparameter_count, sizeof(*numbers));
	*ret_count = 0;
	for (size_t i = 0; i < task->hyperparameter_count; i++) {
		const char *text = task->hyperparameters[i].value;
		char *end;
		double value = text ? strtod(text, &end) : NAN;
		if (text && end != text && *end == '\0' && isfinite(value))
			numbers[(*ret_count)++] =
			    (struct pa_name_number){task->hyperparameters[i].name, value};
	}
	return numbers;
}

static double number_of(const struct pa_name_number *parameters, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(parameters[i].name, name) == 0)
			return pa_log_number(parameters[i].value);
	return NAN;
}

/* The parameters of the newest execution are the ones that are tried. */
static void name_parameters(struct pa_template_past *past, const struct pa_observation *newest)
{
	past->regressor_count = PA_REGRESSOR_PARAMETERS;
	for (size_t i = 0; i < newest->parameter_count && past->regressor_count < PA_REGRESSORS_MAX; i++)
		past->parameters[past->regressor_count++] = newest->parameters[i].name;
}

/* Bytes of 0 are bytes that nobody saw. */
static double known_log(double number)
{
	return number > 0 ? pa_log_number(number) : NAN;
}

static void set_regressors(const struct pa_template_past *past, const struct pa_name_number *parameters,
                           size_t parameter_count, double input_bytes, double fan_in, double run_executions,
                           double *ret)
{
	ret[PA_REGRESSOR_BYTES] = known_log(input_bytes);
	ret[PA_REGRESSOR_FAN_IN] = known_log(fan_in);
	ret[PA_REGRESSOR_RUN] = known_log(run_executions);
	for (size_t i = PA_REGRESSOR_PARAMETERS; i < past->regressor_count; i++)
		ret[i] = number_of(parameters, parameter_count, past->parameters[i]);
}

void pa_past_regressors(struct pa_arena *scratch, const struct pa_template_past *past,
                        const struct pa_task *task, double input_bytes, double fan_in, double run_executions,
                        double *ret)
{
	size_t count = 0;
	const struct pa_name_number *parameters = NULL;
	if (past->regressor_count > PA_REGRESSOR_PARAMETERS)
		parameters = pa_forecast_parameters(scratch, task, &count);
	set_regressors(past, parameters, count, input_bytes, fan_in, run_executions, ret);
}

static struct pa_sample sample_of(const struct pa_template_past *past,
                                  const struct pa_observation *observation, uint32_t task)
{
	struct pa_sample sample = {.log_s = pa_log_seconds(observation->duration_s),
	                           .log_output_bytes = known_log((double)observation->output_bytes),
	                           .weight = observation->weight > 0 ? observation->weight : 1,
	                           .run_age = observation->run_age,
	                           .task = task};
	set_regressors(past, observation->parameters, observation->parameter_count,
	               (double)observation->input_bytes, observation->fan_in, observation->run_executions,
	               sample.regressors);
	return sample;
}

static double median_of(struct pa_arena *arena, const struct pa_sample *samples, size_t count)
{
	struct pa_weighted *seconds = pa_arena_array(arena, count, sizeof(*seconds));
	for (size_t i = 0; i < count; i++)
		seconds[i] = (struct pa_weighted){samples[i].log_s, samples[i].weight};
	pa_weighted_sort(seconds, count);
	return pa_weighted_quantile(seconds, count, .5);
}

struct aged {
	uint32_t run_age;
	uint32_t index;
};

/* What is being put together. */
struct maker {
	struct pa_arena *arena;
	const struct pa_pipeline *pipeline;
	const struct pa_graph *graph;
	const struct pa_history *history;
	struct pa_past *past;
	uint32_t *task_of;         /* per observation */
	uint32_t *template_of;     /* likewise; none for what a cache skipped */
	size_t *task_count;        /* per template */
	uint32_t *same_command;    /* per template that never ran here: the first of that command */
	struct aged *newest_first; /* the observations */
	/* Per task, for trust(); `stamp` says of which template it is. */
	struct last_seen {
		uint32_t stamp;
		uint32_t run_age;
		double residual;
	} * last_seen;
};

/* Of the template's tasks, and of those that ran in its newest run, the share that is in both: a pipeline that has
 * changed its shape may have given old names to other work. */
static double shared_names(const struct maker *maker, const struct pa_template_past *past, uint32_t index)
{
	size_t known = 0, unknown = 0;
	for (size_t i = 0; i < past->count && past->samples[i].run_age == past->samples[0].run_age; i++) {
		uint32_t task = past->samples[i].task;
		if (task == PA_NAMES_NONE) {
			unknown++;
		} else if (maker->last_seen[task].stamp != 2 * index + 1) {
			maker->last_seen[task].stamp = 2 * index + 1;
			known++;
		}
	}
	return (double)known / (double)(maker->task_count[index] + unknown);
}

/* By what a task's residual of one run says of its residual in the next, where there is enough to learn that from. */
static double trust(const struct maker *maker, const struct pa_template_past *past, uint32_t index)
{
	double own_error = 0, line_error = 0, unused;
	size_t pairs = 0;

	for (size_t i = 0; i < past->count; i++) {
		const struct pa_sample *sample = &past->samples[i];
		if (sample->task == PA_NAMES_NONE)
			continue;
		struct last_seen *newer = &maker->last_seen[sample->task];
		double residual = sample->log_s - pa_line_at(&past->line, sample->regressors, &unused);
		if (newer->stamp == 2 * index + 2 && newer->run_age != sample->run_age) {
			own_error += fabs(newer->residual - residual);
			line_error += fabs(newer->residual);
			pairs++;
		}
		*newer = (struct last_seen){2 * index + 2, sample->run_age, residual};
	}
	if (pairs >= LEAST_PAIRS)
		return fmin(fmax(.5 + 2 * (line_error - own_error) / (line_error + own_error + .01), 0), 1);
	return pow(shared_names(maker, past, index), 3);
}

static void make_template(const struct maker *maker, uint32_t index, const uint32_t *observations,
                          size_t count)
{
	struct pa_template_past *past = &maker->past->templates[index];
	const struct pa_observation *all = maker->history->observations;
	uint32_t newest = 0;
	if (count == 0)
		return;
	for (uint32_t i = 1; i < count; i++)
		if (all[observations[i]].run_age < all[observations[newest]].run_age)
			newest = i;
	name_parameters(past, &all[observations[newest]]);
	past->samples = pa_arena_array(maker->arena, count, sizeof(*past->samples));
	for (size_t i = 0; i < count; i++)
		past->samples[i] = sample_of(past, &all[observations[i]], maker->task_of[observations[i]]);
	past->count = pa_samples_prepare(past->samples, count);
	past->line = pa_line_fit(maker->arena, past->samples, past->count, past->regressor_count);
	size_t known_count;
	const struct pa_sample *known =
	    pa_bytes_samples(maker->arena, past->samples, past->count, true, &known_count);
	if (known_count > 0)
		past->output_line = pa_line_fit(maker->arena, known, known_count, past->regressor_count);
	past->centre_log_s = median_of(maker->arena, past->samples, past->count);
	past->trust_in_own = trust(maker, past, index);
}

/* `observations` are sorted by run. */
static void make_task(const struct maker *maker, uint32_t index, const uint32_t *observations, size_t count)
{
	struct pa_task_past *past = &maker->past->tasks[index];
	const struct pa_template_past *template =
	    &maker->past->templates[maker->graph->tasks[index].template_index];
	struct pa_sample *samples = pa_arena_array(maker->arena, count, sizeof(*samples));
	uint32_t last_run = UINT32_MAX;
	for (size_t i = 0; i < count; i++) {
		const struct pa_observation *observation = &maker->history->observations[observations[i]];
		past->runs += observation->run_age != last_run;
		last_run = observation->run_age;
		past->times++;
		past->cached += observation->cached;
		if (!observation->cached &&
		    maker->template_of[observations[i]] == maker->graph->tasks[index].template_index)
			samples[past->count++] = sample_of(template, observation, index);
	}
	past->count = pa_samples_prepare(samples, past->count);
	past->samples = samples;
}

const char *pa_forecast_command_key(struct pa_arena *arena, const struct pa_task *task)
{
	const char *image = task->image ? task->image : "";
	struct pa_hash_part *parts = pa_arena_array(arena, task->command_count + 1, sizeof(*parts));
	if (image[0] == '\0' && task->command_count == 0)
		return "";
	parts[0] = (struct pa_hash_part){image, strlen(image)};
	for (size_t i = 0; i < task->command_count; i++)
		parts[i + 1] = (struct pa_hash_part){task->command[i], strlen(task->command[i])};
	char *text = pa_arena_alloc(arena, PA_HASH128_TEXT_BYTES);
	return pa_hash_format(pa_hash_name(parts, task->command_count + 1), text);
}

/* Templates that never ran here, by command: the first of a command has its observations, share_by_command() hands
 * what it knows to the others. */
static void find_by_command(struct maker *maker, const bool *has_own)
{
	size_t task_count = maker->graph->task_count;
	struct pa_names commands;
	uint32_t *first = pa_arena_array(maker->arena, task_count, sizeof(*first));

	pa_names_init(maker->arena, &commands, task_count);
	memset(maker->same_command, 0xff, maker->graph->templates.count * sizeof(*maker->same_command));
	for (size_t i = 0; i < task_count; i++) {
		uint32_t template_index = maker->graph->tasks[i].template_index;
		const char *key = pa_forecast_command_key(maker->arena, &maker->pipeline->tasks[i]);
		if (has_own[template_index] || key[0] == '\0')
			continue;
		uint32_t known = commands.count, command = pa_names_add(&commands, key);
		if (command == known)
			first[command] = template_index;
		maker->same_command[template_index] = first[command];
	}
	for (size_t i = 0; i < maker->history->observation_count; i++) {
		const struct pa_observation *observation = &maker->history->observations[i];
		if (maker->template_of[i] != PA_NAMES_NONE || observation->cached || !observation->command)
			continue;
		uint32_t command = pa_names_find(&commands, observation->command);
		if (command != PA_NAMES_NONE)
			maker->template_of[i] = first[command];
	}
}

static void share_by_command(const struct maker *maker)
{
	for (size_t i = 0; i < maker->graph->templates.count; i++) {
		uint32_t first = maker->same_command[i];
		if (first == PA_NAMES_NONE)
			continue;
		maker->past->templates[i] = maker->past->templates[first];
		maker->past->templates[i].by_command = true;
		maker->past->templates[i].trust_in_own = 0;
	}
}

/* Which template each observation is for: its own, else, where that never ran here, one with the same command. */
static void find_templates(struct maker *maker)
{
	size_t count = maker->history->observation_count;
	bool *has_own = pa_arena_array(maker->arena, maker->graph->templates.count, sizeof(*has_own));

	maker->same_command = pa_arena_array(maker->arena, maker->graph->templates.count, sizeof(uint32_t));
	maker->template_of = pa_arena_array(maker->arena, count, sizeof(*maker->template_of));
	maker->task_of = pa_arena_array(maker->arena, count, sizeof(*maker->task_of));
	for (size_t i = 0; i < count; i++) {
		const struct pa_observation *observation = &maker->history->observations[i];
		maker->task_of[i] = maker->template_of[i] = PA_NAMES_NONE;
		if (observation->elsewhere)
			continue;
		maker->task_of[i] = pa_names_find(&maker->graph->ids, observation->task_id);
		if (observation->cached)
			continue;
		maker->template_of[i] = pa_names_find(&maker->graph->templates, observation->template_name);
		if (maker->template_of[i] != PA_NAMES_NONE)
			has_own[maker->template_of[i]] = true;
	}
	find_by_command(maker, has_own);
}

static int compare_aged(const void *left, const void *right)
{
	const struct aged *a = left, *b = right;
	if (a->run_age != b->run_age)
		return a->run_age < b->run_age ? -1 : 1;
	return (a->index > b->index) - (a->index < b->index);
}

/* The observations of each key, newest run first; `begin` has one more than there are keys. */
static uint32_t *sort_by_key(const struct maker *maker, const uint32_t *key_of, size_t key_count,
                             size_t **ret_begin)
{
	size_t count = maker->history->observation_count;
	uint32_t *sorted = pa_arena_array(maker->arena, count, sizeof(*sorted));
	size_t *begin = pa_arena_array(maker->arena, key_count + 2, sizeof(*begin));
	for (size_t i = 0; i < count; i++)
		if (key_of[i] != PA_NAMES_NONE)
			begin[key_of[i] + 2]++;
	for (size_t i = 2; i < key_count + 2; i++)
		begin[i] += begin[i - 1];
	/* begin[k + 1] is where the next one of k goes, and in the end where k + 1 begins. */
	for (size_t i = 0; i < count; i++) {
		uint32_t observation = maker->newest_first[i].index;
		if (key_of[observation] != PA_NAMES_NONE)
			sorted[begin[key_of[observation] + 1]++] = observation;
	}
	*ret_begin = begin;
	return sorted;
}

static void sort_by_age(struct maker *maker)
{
	size_t count = maker->history->observation_count;
	maker->newest_first = pa_arena_array(maker->arena, count, sizeof(*maker->newest_first));
	maker->past->run_count = maker->history->run_count;
	for (uint32_t i = 0; i < count; i++) {
		const struct pa_observation *observation = &maker->history->observations[i];
		maker->newest_first[i] = (struct aged){observation->run_age, i};
		if (!observation->elsewhere && observation->run_age >= maker->past->run_count)
			maker->past->run_count = observation->run_age + 1;
	}
	qsort(maker->newest_first, count, sizeof(*maker->newest_first), compare_aged);
}

static void find_other_centre(const struct maker *maker)
{
	size_t count = maker->graph->templates.count;
	struct pa_weighted *centres = pa_arena_array(maker->arena, count, sizeof(*centres));
	for (size_t i = 0; i < count; i++)
		if (maker->past->templates[i].count > 0)
			centres[maker->past->other_count++] =
			    (struct pa_weighted){maker->past->templates[i].centre_log_s, 1};
	pa_weighted_sort(centres, maker->past->other_count);
	maker->past->other_centre_log_s = pa_weighted_quantile(centres, maker->past->other_count, .5);
}

void pa_past_make(struct pa_arena *arena, const struct pa_pipeline *pipeline, const struct pa_graph *graph,
                  const struct pa_history *history, struct pa_past *ret)
{
	struct pa_past past = {0};
	struct maker maker = {
	    .arena = arena, .pipeline = pipeline, .graph = graph, .history = history, .past = &past};
	size_t template_count = graph->templates.count, *begin;

	past.templates = pa_arena_array(arena, template_count, sizeof(*past.templates));
	past.tasks = pa_arena_array(arena, graph->task_count, sizeof(*past.tasks));
	maker.last_seen = pa_arena_array(arena, graph->task_count, sizeof(*maker.last_seen));
	maker.task_count = pa_arena_array(arena, template_count, sizeof(*maker.task_count));
	for (size_t i = 0; i < graph->task_count; i++)
		maker.task_count[graph->tasks[i].template_index]++;
	sort_by_age(&maker);
	find_templates(&maker);
	const uint32_t *sorted = sort_by_key(&maker, maker.template_of, template_count, &begin);
	for (uint32_t i = 0; i < template_count; i++)
		make_template(&maker, i, sorted + begin[i], begin[i + 1] - begin[i]);
	share_by_command(&maker);
	sorted = sort_by_key(&maker, maker.task_of, graph->task_count, &begin);
	for (uint32_t i = 0; i < graph->task_count; i++)
		make_task(&maker, i, sorted + begin[i], begin[i + 1] - begin[i]);
	find_other_centre(&maker);
	*ret = past;
}

static int compare_run_age(const void *left, const void *right)
{
	const struct pa_sample *a = left, *b = right;
	if (a->run_age != b->run_age)
		return a->run_age < b->run_age ? -1 : 1;
	return (a->log_s > b->log_s) - (a->log_s < b->log_s);
}

const struct pa_sample *pa_past_samples(struct pa_arena *scratch, const struct pa_past *past,
                                        const struct pa_graph *graph, size_t task, size_t *ret_count)
{
	const struct pa_template_past *template = &past->templates[graph->tasks[task].template_index];
	const struct pa_task_past *own = &past->tasks[task];
	double trust = template->trust_in_own, others = 0, same = 0;
	size_t count = 0;

	for (size_t i = 0; i < template->count; i++)
		*(template->samples[i].task == task ? &same : &others) += template->samples[i].weight;
	*ret_count = template->count;
	if (own->count == 0 || others <= 0)
		return template->samples;
	struct pa_sample *samples = pa_arena_array(scratch, template->count + own->count, sizeof(*samples));
	for (size_t i = 0; i < template->count; i++) {
		if (template->samples[i].task == task)
			continue;
		samples[count] = template->samples[i];
		samples[count++].weight *= 1 - trust + trust * OTHERS_WEIGHT / others;
	}
	for (size_t i = 0; i < own->count; i++) {
		samples[count] = own->samples[i];
		samples[count++].weight *= trust + (1 - trust) * same / (double)own->count;
	}
	qsort(samples, count, sizeof(*samples), compare_run_age);
	*ret_count = count;
	return samples;
}
