/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "ignite/client_internal.h"

static bool same(struct pa_ignite_uuid a, struct pa_ignite_uuid b)
{
	return a.high == b.high && a.low == b.low;
}

static bool lists(const struct ignite_opinion *opinion, struct pa_ignite_uuid id)
{
	for (size_t i = 0; i < opinion->listed_count; i++)
		if (same(opinion->listed[i], id))
			return true;
	return false;
}

struct group {
	size_t size;
	size_t current;
	struct pa_ignite_uuid smallest;
};

/* The nodes that the `of`th and all those counted before agree on: each lists the others. */
static struct group gather(struct ignite_opinion *opinions, size_t count, size_t of, size_t *member_of)
{
	struct group group = {0};

	for (size_t i = of; i < count; i++) {
		bool agrees = member_of[i] == SIZE_MAX;
		for (size_t j = of; j < i && agrees; j++)
			if (member_of[j] == of)
				agrees = lists(&opinions[i], opinions[j].self) &&
				         lists(&opinions[j], opinions[i].self);
		if (!agrees)
			continue;
		member_of[i] = of;
		if (group.size == 0 || opinions[i].self.high < group.smallest.high ||
		    (opinions[i].self.high == group.smallest.high &&
		     opinions[i].self.low < group.smallest.low))
			group.smallest = opinions[i].self;
		group.size++;
		group.current += opinions[i].current;
	}
	return group;
}

static bool better(const struct group *a, const struct group *b)
{
	if (a->size != b->size)
		return a->size > b->size;
	if (a->current != b->current)
		return a->current > b->current;
	return a->smallest.high != b->smallest.high ? a->smallest.high < b->smallest.high
	                                            : a->smallest.low < b->smallest.low;
}

void ignite_membership(struct ignite_opinion *opinions, size_t count)
{
	PA_AUTO_FREE size_t *member_of = malloc((count + 1) * sizeof(*member_of));
	struct group best = {0};
	size_t best_of = SIZE_MAX;

	if (member_of == NULL)
		abort();
	for (size_t i = 0; i < count; i++)
		member_of[i] = SIZE_MAX;
	for (size_t i = 0; i < count; i++) {
		if (member_of[i] != SIZE_MAX)
			continue;
		struct group group = gather(opinions, count, i, member_of);
		if (best_of == SIZE_MAX || better(&group, &best)) {
			best = group;
			best_of = i;
		}
	}
	for (size_t i = 0; i < count; i++)
		opinions[i].member = member_of[i] == best_of;
}
