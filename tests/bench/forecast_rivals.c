/* SPDX-License-Identifier: Apache-2.0 */
#include "forecast_rivals.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "forecast/statistics.h"

struct rival_template {
	const struct pa_observation **observations; /* newest run first */
	double *duration_s;
	size_t count;
	struct pa_distribution quantiles;
	double mean_s, last_mean_s;
	double slope, mean_bytes;
};

static void summarize(struct rival_template *template)
{
	double sum_s = 0, last_s = 0, last_count = 0, bytes = 0, sxx = 0, sxy = 0;

	for (size_t i = 0; i < template->count; i++) {
		const struct pa_observation *observation = template->observations[i];
		bool is_last = observation->run_age == template->observations[0]->run_age;
		template->duration_s[i] = observation->duration_s;
		sum_s += observation->duration_s;
		last_s += is_last ? observation->duration_s : 0;
		last_count += is_last;
		bytes += (double)observation->input_bytes;
	}
	template->mean_s = sum_s / (double)template->count;
	template->last_mean_s = last_s / last_count;
	template->mean_bytes = bytes / (double)template->count;
	for (size_t i = 0; i < template->count; i++) {
		double x = (double)template->observations[i]->input_bytes - template->mean_bytes;
		sxx += x * x;
		sxy += x * (template->observations[i]->duration_s - template->mean_s);
	}
	template->slope = sxx > 0 ? sxy / sxx : 0;
	template->quantiles = pa_distribution_of(template->duration_s, template->count);
}

struct rivals rivals_make(struct pa_arena *arena, const struct pa_history *history)
{
	struct rivals rivals = {.history = history};

	pa_names_init(arena, &rivals.templates, history->observation_count);
	rivals.of = pa_arena_array(arena, history->observation_count, sizeof(*rivals.of));
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < history->observation_count; i++) {
			const struct pa_observation *observation = &history->observations[i];
			struct rival_template *template =
			    &rivals.of[pa_names_add(&rivals.templates, observation->template_name)];
			if (pass == 1)
				template->observations[template->count] = observation;
			template->count++;
		}
		for (uint32_t i = 0; i < rivals.templates.count && pass == 0; i++) {
			struct rival_template *template = &rivals.of[i];
			template->observations = pa_arena_array(arena, template->count, sizeof(void *));
			template->duration_s = pa_arena_array(arena, template->count, sizeof(double));
			template->count = 0;
		}
	}
	for (uint32_t i = 0; i < rivals.templates.count; i++)
		summarize(&rivals.of[i]);
	return rivals;
}

static struct pa_distribution point(double seconds)
{
	struct pa_distribution distribution;

	for (size_t i = 0; i < PA_FORECAST_QUANTILES; i++)
		distribution.quantiles[i] = fmax(seconds, 0);
	return distribution;
}

bool rivals_predict(const struct rivals *rivals, const struct pa_task *task, double input_bytes,
                    struct pa_distribution *ret)
{
	uint32_t index = pa_names_find(&rivals->templates, task->template_name);

	if (index == PA_NAMES_NONE)
		return false;
	const struct rival_template *template = &rivals->of[index];
	ret[RIVAL_LAST] = point(template->last_mean_s);
	for (size_t i = 0; i < template->count; i++) {
		const struct pa_observation *observation = template->observations[i];
		if (observation->run_age == template->observations[0]->run_age &&
		    strcmp(observation->task_id, task->id) == 0)
			ret[RIVAL_LAST] = point(observation->duration_s);
	}
	ret[RIVAL_MEAN] = point(template->mean_s);
	ret[RIVAL_QUANTILES] = template->quantiles;
	ret[RIVAL_SQUARES] = point(template->mean_s + template->slope * (input_bytes - template->mean_bytes));
	return true;
}
