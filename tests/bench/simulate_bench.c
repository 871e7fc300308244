/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time of the planner's portfolio: layered DAGs of 1,000 to 100,000 tasks with a hundred chunks a task, memory for
 * all of it and for a tenth; a first plan (quick) for all, the whole portfolio for the smallest.  Prints JSON; each
 * figure is the median of three. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/portfolio.h"

#define WIDTH       20u
#define FILES       10u
#define CHUNKS      10u
#define CHUNK_BYTES (64u << 20)
#define RUNS        3

static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Layers of WIDTH tasks, each after its neighbour in the layer before; every other file is shared with the task behind. */
static struct pa_flow make_flow(struct pa_arena *arena, uint32_t tasks, double memory_share)
{
	struct pa_flow_task *all = pa_arena_array(arena, tasks, sizeof(*all));
	struct pa_flow_file *files = pa_arena_array(arena, (size_t)tasks * FILES, sizeof(*files));
	struct pa_flow_link *link = pa_arena_alloc(arena, sizeof(*link));
	double bytes = (double)tasks * FILES * CHUNKS * CHUNK_BYTES;

	for (uint32_t i = 0; i < tasks; i++) {
		uint32_t *reads = pa_arena_array(arena, 2 * FILES, sizeof(*reads));
		uint32_t *after = pa_arena_array(arena, 1, sizeof(*after));
		size_t count = 0;
		for (uint32_t j = 0; j < FILES; j++) {
			files[i * FILES + j] =
			    (struct pa_flow_file){(uint64_t)CHUNKS * CHUNK_BYTES, CHUNKS, 0, 0, false};
			reads[count++] = i * FILES + j;
			if (i >= WIDTH && j % 2 == 0)
				reads[count++] = (i - WIDTH) * FILES + j;
		}
		after[0] = i - WIDTH;
		all[i] = (struct pa_flow_task){.after = after,
		                               .after_count = i >= WIDTH,
		                               .reads = reads,
		                               .read_count = count,
		                               .duration_s = 10 + i * 7 % 13,
		                               .started_s = NAN,
		                               .ended_s = NAN};
	}
	*link = (struct pa_flow_link){bytes / (tasks * 2.), 0};
	return (struct pa_flow){.tasks = all,
	                        .task_count = tasks,
	                        .files = files,
	                        .file_count = tasks * FILES,
	                        .links = link,
	                        .link_count = 1,
	                        .slots = 8,
	                        .memory_bytes = memory_share * bytes};
}

static double plan_ms(uint32_t tasks, double memory_share, enum pa_portfolio_effort effort,
                      struct pa_error *err)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_flow flow = make_flow(&arena, tasks, memory_share), local_flow;
	struct pa_flow_graph graph, local;
	struct pa_portfolio_plan plan;
	double begin_ms = cpu_ms(), spent_ms = NAN;

	local_flow = pa_flow_local(&arena, &flow);
	if (pa_flow_graph_make(&arena, &flow, &graph, err) == 0 &&
	    pa_flow_graph_make(&arena, &local_flow, &local, err) == 0) {
		struct pa_portfolio_input input = {.graph = &graph, .local = &local, .effort = effort};
		pa_portfolio_choose(&arena, &input, &plan);
		spent_ms = cpu_ms() - begin_ms;
	}
	pa_arena_done(&arena);
	return spent_ms;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	static const struct {
		uint32_t tasks;
		enum pa_portfolio_effort effort;
	} cases[] = {{1000, PA_PORTFOLIO_QUICK},
	             {10000, PA_PORTFOLIO_QUICK},
	             {100000, PA_PORTFOLIO_QUICK},
	             {1000, PA_PORTFOLIO_FULL}};
	static const double shares[] = {1.0, 0.1};
	struct pa_error err = PA_ERROR_INIT;
	const char *separator = "";

	printf("{\"portfolio_cpu_ms\": [");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t m = 0; m < sizeof(shares) / sizeof(shares[0]); m++) {
			double spent_ms[RUNS];
			for (int run = 0; run < RUNS; run++)
				spent_ms[run] = plan_ms(cases[i].tasks, shares[m], cases[i].effort, &err);
			qsort(spent_ms, RUNS, sizeof(spent_ms[0]), compare);
			printf(
			    "%s{\"tasks\": %u, \"chunks\": %u, \"memory_share\": %.1f, \"effort\": \"%s\", "
			    "\"median_ms\": %.1f}",
			    separator, cases[i].tasks, cases[i].tasks * FILES * CHUNKS, shares[m],
			    cases[i].effort == PA_PORTFOLIO_FULL ? "full" : "quick", spent_ms[RUNS / 2]);
			separator = ", ";
		}
	}
	printf("]}\n");
	if (err.class != PA_ERROR_NONE)
		fprintf(stderr, "%s\n", err.message);
	return err.class != PA_ERROR_NONE;
}
