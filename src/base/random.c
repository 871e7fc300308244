/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <math.h>

uint64_t pa_random_u64(struct pa_random *random)
{
	uint64_t mixed = (random->state += 0x9e3779b97f4a7c15u);

	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
	return mixed ^ (mixed >> 31);
}

double pa_random_uniform(struct pa_random *random)
{
	return (double)(pa_random_u64(random) >> 11) * 0x1.0p-53;
}

double pa_random_normal(struct pa_random *random)
{
	/* 1 - u is in (0, 1]: the logarithm is finite. */
	double radius = sqrt(-2.0 * log(1.0 - pa_random_uniform(random)));

	return radius * cos(6.283185307179586 * pa_random_uniform(random));
}
