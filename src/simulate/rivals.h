/* SPDX-License-Identifier: Apache-2.0 */
/* Published policies, to be run in the place of the planner: same loop, same order of tasks (longest remaining
 * path first, ties by id), same chunks.
 *
 *   none         nothing is kept; those who read at the same time share a transfer
 *   lru          on demand; the least recently used leaves
 *   lrc          on demand; the fewest remaining readers leave (Yu et al. 2017), then the least recently used
 *   lerc         the same, counting only readers whose other inputs, if made, are all in memory (Yu et al. 2017)
 *   mrd          the largest distance in stages leaves; loads ahead by that distance (Perez et al. 2018)
 *   fcfs-lru     loads whole files ahead in the order of the tasks (Fluid's DataLoad), lru
 *   never-evict  keeps what came first (MinIO cache of CoorDL, Mohan et al. 2021)
 *   kariz        per stage, caches fractions of the inputs of the longest tasks, loaded during the stage before
 *                (Abdi et al.); lru for the rest
 *   min          on demand, clairvoyant: the furthest next reader leaves, what is needed later is not kept (Belady)
 *   edf-min      min, and loads ahead in the order of next need
 *
 * "Next" and "furthest" are by the starts of a run with all data local.
 *
 * Pure.  Ownership: the strategy and its state live in the arena given.  A strategy is for one run.
 */
#ifndef PA_SIMULATE_RIVALS_H
#define PA_SIMULATE_RIVALS_H

#include "timeline/flow.h"

#define PA_RIVALS 10

extern const char *const pa_rival_names[PA_RIVALS + 1]; /* NULL at the end */

struct pa_strategy_base {
	const double *order_s; /* −tail: longest remaining path first */
	const double *rank;    /* starts of the run with all data local */
};

struct pa_flow_strategy pa_rival_strategy(struct pa_arena *arena, const struct pa_flow_graph *graph,
                                          const struct pa_strategy_base *base, size_t rival);

/* kariz.c */
void *pa_kariz_make(struct pa_arena *arena, const struct pa_flow_graph *graph);
extern const struct pa_flow_policy pa_kariz_policy;

#endif
