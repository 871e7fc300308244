/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/random.h"
#include "forecast/forecast.h"
#include "forecast/statistics.h"

#define NEAR(a, b)        assert_true(fabs((a) - (b)) < 1e-6)
#define CLOSE(a, b, part) assert_true(fabs((a) - (double)(b)) <= (part)*fabs((double)(b)))
#define ROOM              64

struct fixture {
	struct pa_arena arena;
	struct pa_task tasks[ROOM];
	const char *after[ROOM][4];
	struct pa_loop loop;
	struct pa_pipeline pipeline;
	struct pa_observation observations[4 * ROOM];
	double input_bytes[ROOM];
	struct pa_history history;
	struct pa_forecast_options options;
	struct pa_forecast forecast;
	struct pa_error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->pipeline = (struct pa_pipeline){.name = "p", .tasks = f->tasks};
	f->history.observations = f->observations;
	f->options = (struct pa_forecast_options){.slots = 2, .seed = 1};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	pa_arena_done(&f->arena);
	free(f);
	return 0;
}

static struct pa_task *task(struct fixture *f, const char *id, const char *template_name, const char *after)
{
	size_t i = f->pipeline.task_count++;
	f->tasks[i] = (struct pa_task){.id = id, .template_name = template_name, .after = f->after[i]};
	if (after)
		f->after[i][f->tasks[i].after_count++] = after;
	return &f->tasks[i];
}

static void seen(struct fixture *f, const char *id, const char *template_name, uint32_t age,
                 double duration_s, uint64_t bytes)
{
	f->observations[f->history.observation_count++] =
	    (struct pa_observation){id, template_name, age, duration_s, bytes, false};
	if (age >= f->history.run_count)
		f->history.run_count = age + 1;
}

static void make(struct fixture *f)
{
	if (pa_forecast_make(&f->arena, &f->pipeline, &f->history, &f->options, &f->forecast, &f->err))
		fail_msg("%s", f->err.message);
}

static double median(const struct pa_distribution *distribution)
{
	return distribution->quantiles[2];
}

static void test_statistics(void **state)
{
	(void)state;
	struct pa_weighted values[] = {{3, 1}, {1, 1}, {2, 2}};
	pa_weighted_sort(values, 3);
	/* Middles of the weights at 1/8, 4/8, 7/8. */
	NEAR(pa_weighted_quantile(values, 3, .5), 2);
	NEAR(pa_weighted_quantile(values, 3, .1), 1);
	NEAR(pa_weighted_quantile(values, 3, .6875), 2.5);
	NEAR(pa_weighted_quantile(values, 3, .99), 3);
	NEAR(pa_normal_quantile(.975), 1.959964);
	double numbers[] = {5, 1, 2, 4, 3};
	struct pa_distribution distribution = pa_distribution_of(numbers, 5);
	NEAR(distribution.quantiles[0], 1.4);
	NEAR(distribution.quantiles[2], 3);
	NEAR(distribution.quantiles[4], 4.6);
	NEAR(pa_distribution_at(&distribution, 0), 3);
	NEAR(pa_distribution_at(&distribution, 1.2815515655446004), 4.6);
}

/* d · ratio^.4; variance .28 between runs and .25 within one. */
static void test_one_observation(void **state)
{
	struct fixture *f = *state;
	task(f, "train", "train", NULL);
	seen(f, "train", "train", 0, 100, 999);
	f->options.input_bytes = f->input_bytes;
	f->input_bytes[0] = 999;
	make(f);
	const struct pa_task_forecast *t = &f->forecast.tasks[0];
	NEAR(median(&t->duration_s), 100);
	CLOSE(log(t->duration_s.quantiles[4] / 100), 1.2815516 * sqrt(.28 + .25), 1e-6);
	assert_int_equal(t->basis, PA_BASIS_HISTORY);
	assert_int_equal(t->observations, 1);
	f->input_bytes[0] = 9999;
	make(f);
	NEAR(median(&f->forecast.tasks[0].duration_s), 100 * pow(10, .4));
	f->input_bytes[0] = 1e12; /* no further than e^3 beyond what was seen */
	make(f);
	NEAR(median(&f->forecast.tasks[0].duration_s), 100 * exp(3 * .4));
}

static void test_priors(void **state)
{
	struct fixture *f = *state;
	task(f, "a", "a", NULL)->kind = PA_TASK_CONTAINER;
	task(f, "b", "b", NULL)->kind = PA_TASK_HTTP;
	make(f);
	NEAR(median(&f->forecast.tasks[0].duration_s), 60);
	NEAR(median(&f->forecast.tasks[1].duration_s), 2);
	CLOSE(log(f->forecast.tasks[0].duration_s.quantiles[4] / 60), 3, .001);
	assert_int_equal(f->forecast.tasks[0].basis, PA_BASIS_PRIOR);
	/* One template known: a third of the way, in the logarithm, from the prior to it. */
	task(f, "c", "c", NULL);
	seen(f, "c", "c", 0, 6, 0);
	make(f);
	NEAR(median(&f->forecast.tasks[0].duration_s), 60 * pow(.1, 1. / 3));
	assert_int_equal(f->forecast.tasks[0].basis, PA_BASIS_PIPELINE);
	assert_string_equal(pa_forecast_basis_name(PA_BASIS_PIPELINE), "pipeline");
	/* Input of 64 MiB is typical; e times as much takes e^.15 times as long. */
	f->options.input_bytes = f->input_bytes;
	f->input_bytes[1] = exp(1) * (67108864 + 1) - 1;
	f->history.observation_count = 0;
	make(f);
	NEAR(median(&f->forecast.tasks[1].duration_s), 2 * exp(.15));
}

static void test_learns_the_slope(void **state)
{
	struct fixture *f = *state;
	task(f, "t", "t", NULL);
	for (uint32_t age = 0; age < 12; age++) {
		double bytes = 1e6 * pow(2, age % 6);
		seen(f, "t", "t", age, bytes / 1e6, (uint64_t)bytes);
	}
	f->options.input_bytes = f->input_bytes;
	f->input_bytes[0] = 64e6;
	make(f);
	CLOSE(median(&f->forecast.tasks[0].duration_s), 64, .05);
	/* Without a size it says what is usual. */
	f->options.input_bytes = NULL;
	make(f);
	assert_true(median(&f->forecast.tasks[0].duration_s) > 3 &&
	            median(&f->forecast.tasks[0].duration_s) < 10);
}

/* Durations do not follow the little that sizes vary: what is left of the prior slope predicts left-out runs worse
 * than a constant, so a larger input changes nothing. */
static void test_slope_must_help(void **state)
{
	struct fixture *f = *state;
	task(f, "t", "t", NULL);
	for (uint32_t age = 0; age < 4; age++)
		seen(f, "t", "t", age, 10, 900000 + 60000 * age);
	f->options.input_bytes = f->input_bytes;
	f->input_bytes[0] = 1e7;
	make(f);
	NEAR(median(&f->forecast.tasks[0].duration_s), 10);
}

/* A chain of nine tasks.  Of one template they are late together; of nine, much evens out.  Either way the second
 * starts when the first, with its whole spread, has ended. */
static void test_tasks_of_a_template_are_late_together(void **state)
{
	static const char *const ids[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8"};
	struct fixture *f = *state;
	double widths[2];
	f->options.draws = 4000;
	for (int different = 0; different < 2; different++) {
		f->pipeline.task_count = f->history.observation_count = 0;
		for (size_t i = 0; i < 9; i++) {
			const char *template_name = different ? ids[i] : "same";
			task(f, ids[i], template_name, i ? ids[i - 1] : NULL);
			if (different || i == 0)
				seen(f, different ? ids[i] : "old", template_name, 0, 10, 0);
		}
		make(f);
		const struct pa_task_forecast *first = &f->forecast.tasks[0], *second = &f->forecast.tasks[1];
		CLOSE(second->start_s.quantiles[0], first->duration_s.quantiles[0], .1);
		CLOSE(second->start_s.quantiles[4], first->duration_s.quantiles[4], .1);
		widths[different] = f->forecast.makespan_s.quantiles[4] / f->forecast.makespan_s.quantiles[0];
	}
	assert_true(widths[0] > 3 && widths[1] < 2.3);
}

/* The 80% interval of a task with noise of its own holds about 80% of what comes. */
static void test_interval_covers(void **state)
{
	struct fixture *f = *state;
	struct pa_random random = {11};
	int inside = 0;
	task(f, "t", "t", NULL);
	for (int trial = 0; trial < 400; trial++) {
		f->history.observation_count = 0;
		for (uint32_t age = 0; age < 20; age++)
			seen(f, "t", "t", age, 50 * exp(.4 * pa_random_normal(&random)), 0);
		f->options.draws = 20;
		make(f);
		double next_s = 50 * exp(.4 * pa_random_normal(&random));
		const double *quantiles = f->forecast.tasks[0].duration_s.quantiles;
		inside += quantiles[0] <= next_s && next_s <= quantiles[4];
		pa_arena_done(&f->arena);
	}
	assert_true(inside > 300 && inside < 370);
}

/* A template that five tasks share: the task's own past counts, the others together as one execution. */
static void test_own_past_counts_most(void **state)
{
	struct fixture *f = *state;
	task(f, "short", "run-command", NULL);
	task(f, "new", "run-command", NULL);
	for (uint32_t age = 0; age < 5; age++) {
		seen(f, "short", "run-command", age, 2, 0);
		for (int i = 0; i < 4; i++)
			seen(f, "long", "run-command", age, 200, 0);
	}
	make(f);
	CLOSE(median(&f->forecast.tasks[0].duration_s), 2, .01);
	CLOSE(median(&f->forecast.tasks[1].duration_s), 200, .01);
}

static void test_second_run_predicts_starts_from_the_first(void **state)
{
	struct fixture *f = *state;
	task(f, "read", "read", NULL);
	task(f, "clean", "clean", "read");
	task(f, "left", "left", "clean");
	task(f, "right", "right", "clean");
	struct pa_task *join = task(f, "join", "join", "left");
	f->after[4][join->after_count++] = "right";
	seen(f, "read", "read", 0, 12, 0);
	seen(f, "clean", "clean", 0, 30, 0);
	seen(f, "left", "left", 0, 7, 0);
	seen(f, "right", "right", 0, 50, 0);
	seen(f, "join", "join", 0, 1, 0);
	make(f);
	static const double starts[] = {0, 12, 42, 42, 92};
	for (size_t i = 0; i < 5; i++) {
		const struct pa_task_forecast *t = &f->forecast.tasks[i];
		NEAR(median(&t->start_s), starts[i]);
		for (size_t q = 1; q < PA_FORECAST_QUANTILES; q++) {
			assert_true(t->start_s.quantiles[q - 1] <= t->start_s.quantiles[q]);
			assert_true(t->end_s.quantiles[q - 1] <= t->end_s.quantiles[q]);
		}
	}
	NEAR(median(&f->forecast.makespan_s), 93);
	assert_true(f->forecast.tasks[4].start_s.quantiles[0] < 70);
	assert_true(f->forecast.tasks[4].start_s.quantiles[4] > 120);
	/* With one slot left and right follow each other. */
	f->options.slots = 1;
	make(f);
	NEAR(median(&f->forecast.tasks[4].start_s), 99);
}

static void test_loops(void **state)
{
	struct fixture *f = *state;
	struct pa_task *each = task(f, "each", "each", NULL);
	task(f, "end", "end", "each");
	f->loop = (struct pa_loop){.items = 5};
	each->loop = &f->loop;
	seen(f, "each", "each", 0, 10, 0);
	make(f);
	/* Five instances of 10 s on two slots: 30 s. */
	NEAR(f->forecast.tasks[0].instances, 5);
	NEAR(median(&f->forecast.tasks[1].start_s), 30);
	f->loop.items = 0;
	make(f);
	NEAR(median(&f->forecast.tasks[1].start_s), 0);
	/* Not known: the mean of past runs; without any, four. */
	f->loop.items = -1;
	seen(f, "each", "each", 0, 10, 0);
	make(f);
	NEAR(f->forecast.tasks[0].instances, 2);
	NEAR(median(&f->forecast.tasks[1].start_s), 10);
	f->history.observation_count = 0;
	make(f);
	NEAR(f->forecast.tasks[0].instances, 4);
	/* Within another loop of two: a multiple of its own items. */
	f->loop.items = 3;
	for (int i = 0; i < 6; i++)
		seen(f, "each", "each", 0, 10, 0);
	make(f);
	NEAR(f->forecast.tasks[0].instances, 6);
}

static void test_conditions_and_cached_steps(void **state)
{
	struct fixture *f = *state;
	task(f, "flip", "flip", NULL);
	task(f, "heads", "heads", "flip")->condition = "heads == heads";
	task(f, "end", "end", "heads");
	make(f);
	NEAR(f->forecast.tasks[0].probability, 1);
	NEAR(f->forecast.tasks[1].probability, .5);
	for (uint32_t age = 0; age < 8; age++) {
		seen(f, "flip", "flip", age, 4, 0);
		if (age < 1)
			seen(f, "heads", "heads", age, 1000, 0);
	}
	make(f);
	/* (1 + 1) / (8 + 2); the pass of medians leaves it out, the draws do not. */
	NEAR(f->forecast.tasks[1].probability, .2);
	CLOSE(median(&f->forecast.tasks[2].start_s), 4, .01);
	assert_true(f->forecast.tasks[2].start_s.quantiles[4] > 100);
	/* Skipped by a cache in 8 of 8 further runs: half of the quantiles are 0. */
	for (uint32_t age = 8; age < 16; age++) {
		seen(f, "flip", "flip", age, 0, 0);
		f->observations[f->history.observation_count - 1].cached = true;
	}
	make(f);
	NEAR(f->forecast.tasks[0].duration_s.quantiles[1], 0);
	assert_true(f->forecast.tasks[0].duration_s.quantiles[4] > 3.9);
}

static void test_exit_task_comes_last(void **state)
{
	struct fixture *f = *state;
	task(f, "onExit", "notify", NULL)->role = PA_ROLE_EXIT;
	task(f, "a", "a", NULL);
	task(f, "b", "b", "a");
	seen(f, "a", "a", 0, 3, 0);
	seen(f, "b", "b", 0, 4, 0);
	make(f);
	NEAR(median(&f->forecast.tasks[0].start_s), 7);
}

static void test_is_deterministic(void **state)
{
	struct fixture *f = *state;
	struct pa_forecast again;
	task(f, "a", "a", NULL);
	task(f, "b", "b", "a")->retries = 2;
	make(f);
	assert_int_equal(pa_forecast_make(&f->arena, &f->pipeline, &f->history, &f->options, &again, &f->err),
	                 0);
	assert_memory_equal(again.tasks, f->forecast.tasks, 2 * sizeof(*again.tasks));
	f->options.seed = 2;
	make(f);
	assert_memory_not_equal(again.tasks, f->forecast.tasks, 2 * sizeof(*again.tasks));
}

static void refuses(struct fixture *f, const char *message)
{
	int failed =
	    pa_forecast_make(&f->arena, &f->pipeline, &f->history, &f->options, &f->forecast, &f->err);
	assert_int_equal(failed, -PA_ERROR_INPUT);
	if (!strstr(f->err.message, message))
		fail_msg("\"%s\" does not say \"%s\"", f->err.message, message);
}

static void test_refuses_bad_input(void **state)
{
	struct fixture *f = *state;
	task(f, "a", "a", "b");
	refuses(f, "\"b\", which is not a task");
	task(f, "b", "b", "a");
	refuses(f, "wait for each other");
	f->tasks[0].after_count = 0;
	f->tasks[1].id = "a";
	refuses(f, "two tasks have the id \"a\"");
	f->tasks[1].id = "b";
	seen(f, "a", "a", 0, NAN, 0);
	refuses(f, "observation 0");
	f->observations[0].duration_s = 1;
	f->options.slots = 0;
	refuses(f, "no slots");
	f->options.slots = 1;
	make(f);
	f->pipeline.task_count = 0;
	make(f);
	NEAR(median(&f->forecast.makespan_s), 0);
}

/* Histories of any shape give finite, ordered quantiles. */
static void test_random_histories(void **state)
{
	struct fixture *f = *state;
	static const char *const ids[] = {"a", "b", "c", "d"};
	for (size_t i = 0; i < 4; i++)
		task(f, ids[i], i < 2 ? "x" : ids[i], i ? ids[i - 1] : NULL);
	f->options.input_bytes = f->input_bytes;
	f->options.draws = 20;
	for (uint64_t seed = 1; seed <= 500; seed++) {
		struct pa_random random = {seed};
		f->history.observation_count = f->history.run_count = 0;
		for (uint64_t left = pa_random_u64(&random) % 60; left > 0; left--) {
			const char *id = ids[pa_random_u64(&random) % 4];
			uint64_t bytes = pa_random_u64(&random) >> (pa_random_u64(&random) % 64);
			double duration_s =
			    pa_random_u64(&random) % 3 ? exp(8 * pa_random_normal(&random)) : 0;
			seen(f, id, id[0] < 'c' ? "x" : id, (uint32_t)(pa_random_u64(&random) % 9),
			     duration_s, pa_random_u64(&random) % 4 ? bytes : 0);
		}
		for (size_t i = 0; i < 4; i++)
			f->input_bytes[i] =
			    pa_random_u64(&random) % 3 ? pa_random_uniform(&random) * 1e12 : NAN;
		make(f);
		for (size_t i = 0; i < 4; i++) {
			const double *quantiles = f->forecast.tasks[i].duration_s.quantiles;
			for (size_t q = 0; q < PA_FORECAST_QUANTILES; q++) {
				assert_true(isfinite(quantiles[q]) && quantiles[q] >= 0);
				assert_true(q == 0 || quantiles[q - 1] <= quantiles[q]);
			}
		}
		pa_arena_done(&f->arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_statistics),
	    cmocka_unit_test_setup_teardown(test_one_observation, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_priors, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_learns_the_slope, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_slope_must_help, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_tasks_of_a_template_are_late_together, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_interval_covers, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_own_past_counts_most, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_second_run_predicts_starts_from_the_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_loops, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_conditions_and_cached_steps, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_exit_task_comes_last, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_is_deterministic, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_refuses_bad_input, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_random_histories, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
