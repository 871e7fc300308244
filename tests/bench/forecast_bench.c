/* SPDX-License-Identifier: Apache-2.0 */
/* How good forecasts are, on executions that others recorded: usage: forecast_bench [--json] INSTANCE.json...
 *
 * For every application with several instances, each instance in turn is forecast from earlier runs (other instances
 * of it, in random orders; those of 1, 2, 3, 5 and of all the others), with all executions of a template known, or one
 * for each template and run, as in most pipelines.  Loss: the pinball loss over the five quantiles, divided by the
 * template's mean, averaged over templates and cases, geometric mean over applications.  Rivals: the last run (the same
 * task's, else the template's mean), the mean, empirical quantiles, least squares on bytes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/random.h"
#include "forecast/graph.h"
#include "forecast/spread.h"
#include "forecast_instances.h"
#include "forecast_rivals.h"

#define SLOTS       8
#define CASES       12 /* orders of earlier runs per instance */
#define MAX_HISTORY 64

struct protocol {
	const char *name;
	size_t earlier; /* 0: all others */
	bool thin;
	/* Goals as shares of a rival's loss; 0: none. */
	double of_last, of_mean;
};

static const struct protocol protocols[] = {
    {"all others", 0, false, 0, 0},    {"1 earlier", 1, false, .80, .80}, {"2 earlier", 2, false, .70, .70},
    {"3 earlier", 3, false, .70, .60}, {"5 earlier", 5, false, .70, .60}, {"1, one each", 1, true, .85, 0},
    {"2, one each", 2, true, .85, 0},  {"3, one each", 3, true, .85, 0},  {"5, one each", 5, true, .85, 0},
};
#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

/* Sums over the cases of one application. */
struct score {
	double loss[RIVALS + 1]; /* the last is the forecast's own */
	double covered, tested;  /* durations in the 80% interval */
	size_t templates;
	double starts_covered, starts_tested;
	double start_error, start_runs; /* mean |median - real| as a share of the makespan */
};

struct bench {
	struct instance *instances;
	size_t count;
	struct pa_random random;
	bool each_application;
};

static double pinball(const struct pa_distribution *forecast, double real)
{
	double sum = 0;

	for (size_t i = 0; i < PA_FORECAST_QUANTILES; i++) {
		double error = real - forecast->quantiles[i];
		sum += error * (pa_forecast_levels[i] - (error < 0));
	}
	return sum / PA_FORECAST_QUANTILES;
}

/* All tasks, or one of each template, drawn at random. */
static bool *choose(struct pa_arena *arena, const struct instance *instance, bool thin,
                    struct pa_random *random)
{
	size_t count = instance->pipeline.task_count;
	bool *chosen = pa_arena_array(arena, count, sizeof(*chosen));
	size_t *seen = pa_arena_array(arena, count, sizeof(*seen));
	size_t *last = pa_arena_array(arena, count, sizeof(*last));
	struct pa_names names;

	pa_names_init(arena, &names, count);
	for (size_t i = 0; i < count; i++) {
		uint32_t template_index = pa_names_add(&names, instance->pipeline.tasks[i].template_name);
		chosen[i] = !thin || pa_random_u64(random) % ++seen[template_index] == 0;
		if (thin && chosen[i] && seen[template_index] > 1)
			chosen[last[template_index]] = false;
		if (chosen[i])
			last[template_index] = i;
	}
	return chosen;
}

static struct pa_history gather(struct pa_arena *arena, struct bench *bench,
                                const struct instance *const *runs, size_t count, bool thin)
{
	struct pa_history history = {.run_count = (uint32_t)count};
	size_t room = 0;

	for (size_t run = 0; run < count; run++)
		room += runs[run]->pipeline.task_count;
	struct pa_observation *all = pa_arena_array(arena, room, sizeof(*all));
	history.observations = all;
	for (size_t run = 0; run < count; run++) {
		const bool *chosen = choose(arena, runs[run], thin, &bench->random);
		for (size_t i = 0; i < runs[run]->pipeline.task_count; i++) {
			if (!chosen[i])
				continue;
			*all = runs[run]->observations[i];
			all++->run_age = (uint32_t)run;
			history.observation_count++;
		}
	}
	return history;
}

static void score_durations(struct pa_arena *arena, const struct instance *target, const bool *chosen,
                            const struct pa_history *history, const struct pa_forecast *forecast,
                            struct score *score)
{
	size_t count = target->pipeline.task_count;
	struct rivals rivals = rivals_make(arena, history);
	struct pa_names names;

	pa_names_init(arena, &names, count);
	double(*loss)[RIVALS + 1] = pa_arena_array(arena, count, sizeof(*loss));
	double *seconds = pa_arena_array(arena, count, sizeof(*seconds));
	for (size_t i = 0; i < count; i++) {
		struct pa_distribution predicted[RIVALS + 1];
		const struct pa_task *task = &target->pipeline.tasks[i];
		if (!chosen[i] || !rivals_predict(&rivals, task, target->input_bytes[i], predicted))
			continue;
		uint32_t template_index = pa_names_add(&names, task->template_name);
		predicted[RIVALS] = forecast->tasks[i].duration_s;
		for (size_t j = 0; j <= RIVALS; j++)
			loss[template_index][j] += pinball(&predicted[j], target->duration_s[i]);
		seconds[template_index] += target->duration_s[i];
		score->covered += predicted[RIVALS].quantiles[0] <= target->duration_s[i] &&
		                  target->duration_s[i] <= predicted[RIVALS].quantiles[4];
		score->tested++;
	}
	for (uint32_t i = 0; i < names.count; i++) {
		if (seconds[i] <= 0)
			continue;
		score->templates++;
		for (size_t j = 0; j <= RIVALS; j++)
			score->loss[j] += loss[i][j] / seconds[i];
	}
}

/* What the slots would really have done: the same list scheduler, in the order that the forecast gives, with the real
 * durations. */
static const struct pa_timeline_result *run_real(struct pa_arena *arena, const struct instance *target,
                                                 const struct pa_forecast *forecast)
{
	struct pa_timeline_result *real = pa_arena_alloc(arena, sizeof(*real));
	struct pa_error err = PA_ERROR_INIT;
	struct pa_graph graph;
	struct pa_spread spread;
	struct pa_spread_input input = {.pipeline = &target->pipeline,
	                                .graph = &graph,
	                                .tasks = forecast->tasks,
	                                .slots = SLOTS,
	                                .draws = 1};

	int failed = pa_graph_make(arena, &target->pipeline, &graph, &err);
	if (!failed)
		failed = pa_spread_run(arena, &input, &spread, &err);
	if (!failed) {
		struct pa_timeline_input timeline = {.tasks = spread.lanes.tasks,
		                                     .task_count = spread.lanes.count,
		                                     .slots = SLOTS,
		                                     .memory_bytes = INFINITY};
		for (size_t i = 0; i < spread.lanes.count; i++)
			spread.lanes.tasks[i].duration_s = target->duration_s[i];
		failed = pa_timeline_run(arena, &timeline, real, &err);
	}
	if (failed) {
		fprintf(stderr, "%s: %s\n", target->name, err.message);
		exit(1);
	}
	return real;
}

static void score_starts(struct pa_arena *arena, const struct instance *target,
                         const struct pa_forecast *forecast, struct score *score)
{
	const struct pa_timeline_result *real = run_real(arena, target, forecast);
	double error_s = 0, count = (double)target->pipeline.task_count;

	for (size_t i = 0; i < target->pipeline.task_count; i++) {
		const double *quantiles = forecast->tasks[i].start_s.quantiles;
		double start_s = real->tasks[i].start_s;
		error_s += fabs(quantiles[2] - start_s);
		/* A task that starts with the run, as everybody knows, is no test of an interval. */
		if (start_s <= 0 && quantiles[4] <= 0)
			continue;
		score->starts_covered += quantiles[0] <= start_s && start_s <= quantiles[4];
		score->starts_tested++;
	}
	score->start_error += error_s / count / real->makespan_s;
	score->start_runs++;
}

static void score_case(struct bench *bench, const struct protocol *protocol, const struct instance *target,
                       const struct instance *const *earlier, size_t count, bool starts, struct score *score)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_forecast forecast;
	struct pa_history history = gather(&arena, bench, earlier, count, protocol->thin);
	const bool *chosen = choose(&arena, target, protocol->thin, &bench->random);
	struct pa_forecast_options options = {
	    .slots = SLOTS, .draws = starts ? 0 : 1, .seed = 1, .input_bytes = target->input_bytes};
	if (pa_forecast_make(&arena, &target->pipeline, &history, &options, &forecast, &err)) {
		fprintf(stderr, "%s: %s\n", target->name, err.message);
		exit(1);
	}
	score_durations(&arena, target, chosen, &history, &forecast, score);
	if (starts)
		score_starts(&arena, target, &forecast, score);
	pa_arena_done(&arena);
}

/* All others of the target's application in a random order; returns how many. */
static size_t others(struct bench *bench, const struct instance *target, const struct instance **ret)
{
	size_t count = 0;

	for (size_t i = 0; i < bench->count && count < MAX_HISTORY; i++) {
		if (&bench->instances[i] != target &&
		    strcmp(bench->instances[i].application, target->application) == 0)
			ret[count++] = &bench->instances[i];
	}
	for (size_t i = count; i > 1; i--) {
		size_t other = pa_random_u64(&bench->random) % i;
		const struct instance *swapped = ret[i - 1];
		ret[i - 1] = ret[other];
		ret[other] = swapped;
	}
	return count;
}

static void score_application(struct bench *bench, const struct protocol *protocol, const char *application,
                              struct score *score)
{
	const struct instance *earlier[MAX_HISTORY];

	for (size_t i = 0; i < bench->count; i++) {
		const struct instance *target = &bench->instances[i];
		if (strcmp(target->application, application) != 0)
			continue;
		size_t known = others(bench, target, earlier);
		size_t wanted = protocol->earlier ? protocol->earlier : known;
		if (known == 0 || known < wanted)
			continue;
		size_t cases = protocol->thin ? CASES : known == 1 ? 1 : CASES / 2;
		for (size_t j = 0; j < cases; j++) {
			others(bench, target, earlier);
			score_case(bench, protocol, target, earlier, wanted, !protocol->thin && j < 2, score);
		}
	}
}

static void print_application(const char *name, const struct score *score)
{
	printf("    %-14s", name);
	for (size_t i = 0; i <= RIVALS; i++)
		printf(" %8.3f", score->loss[i] / (double)score->templates);
	printf("  %4.2f", score->covered / score->tested);
	if (score->starts_tested > 0)
		printf("  %4.2f  %5.3f", score->starts_covered / score->starts_tested,
		       score->start_error / score->start_runs);
	printf("\n");
}

static void print_goal(const char *of, double share, double goal)
{
	if (goal > 0)
		printf("  %.2f of the %s (goal %.2f%s)", share, of, goal, share <= goal ? "" : ", missed");
}

static void run_protocol(struct bench *bench, const struct protocol *protocol)
{
	double logs[RIVALS + 1] = {0}, covered = 0, starts = 0, error = 0, applications = 0;

	for (size_t i = 0; i < bench->count; i++) {
		const char *name = bench->instances[i].application;
		struct score score = {0};
		if (i > 0 && strcmp(name, bench->instances[i - 1].application) == 0)
			continue;
		score_application(bench, protocol, name, &score);
		if (score.templates == 0)
			continue;
		if (bench->each_application)
			print_application(name, &score);
		applications++;
		for (size_t j = 0; j <= RIVALS; j++)
			logs[j] += log(fmax(score.loss[j] / (double)score.templates, 1e-6));
		covered += score.covered / score.tested;
		starts += score.starts_tested > 0 ? score.starts_covered / score.starts_tested : 0;
		error += score.start_runs > 0 ? score.start_error / score.start_runs : 0;
	}
	if (applications == 0)
		return;
	printf("%-12s %2.0f", protocol->name, applications);
	for (size_t j = 0; j <= RIVALS; j++)
		printf(" %8.3f", logs[j] = exp(logs[j] / applications));
	printf("  %4.2f", covered / applications);
	if (!protocol->thin)
		printf("  %4.2f  %5.3f", starts / applications, error / applications);
	print_goal("last run", logs[RIVALS] / logs[0], protocol->of_last);
	print_goal("mean", logs[RIVALS] / logs[1], protocol->of_mean);
	printf("\n");
}

static int compare_instances(const void *left, const void *right)
{
	return strcmp(((const struct instance *)left)->name, ((const struct instance *)right)->name);
}

int main(int argument_count, char **arguments)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct bench bench = {.random = {1}};
	int first = 1;

	if (argument_count > 1 && strcmp(arguments[1], "--each") == 0) {
		bench.each_application = true;
		first++;
	}
	bench.count = (size_t)(argument_count - first);
	bench.instances = pa_arena_array(&arena, bench.count, sizeof(*bench.instances));
	if (instances_read(&arena, arguments + first, bench.count, bench.instances, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	qsort(bench.instances, bench.count, sizeof(*bench.instances), compare_instances);
	printf("%-15s %8s %8s %8s %8s %8s  %4s  %4s  %5s\n", "earlier runs", "last", "mean", "quantile",
	       "squares", "forecast", "80%", "start", "error");
	for (size_t i = 0; i < PROTOCOLS; i++)
		run_protocol(&bench, &protocols[i]);
	pa_arena_done(&arena);
	return 0;
}
