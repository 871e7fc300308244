/* SPDX-License-Identifier: Apache-2.0 */
/* Deterministic random numbers for the pure folders: the state is an argument, the same seed gives the same
 * sequence on every machine (SplitMix64; Steele, Lea, Flood 2014).  Not for secrets. */
#ifndef PA_BASE_RANDOM_H
#define PA_BASE_RANDOM_H

#include <stdint.h>

struct pa_random {
	uint64_t state;
};

uint64_t pa_random_u64(struct pa_random *random);
/* Uniform in [0, 1). */
double pa_random_uniform(struct pa_random *random);
/* Standard normal (Box–Muller, one value a call). */
double pa_random_normal(struct pa_random *random);

#endif
