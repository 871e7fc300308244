/* SPDX-License-Identifier: Apache-2.0 */
/* A doubly linked ring with a head: what is in it is linked through a member of its own.  A link that is in
 * no
 * ring points to itself, so that taking it out twice does nothing. */
#ifndef PA_CACHE_LIST_H
#define PA_CACHE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct pa_list {
	struct pa_list *previous;
	struct pa_list *next;
};

#define PA_LIST_ENTRY(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

static inline void pa_list_init(struct pa_list *list)
{
	list->previous = list;
	list->next = list;
}

static inline bool pa_list_is_empty(const struct pa_list *list)
{
	return list->next == list;
}

static inline void pa_list_remove(struct pa_list *link)
{
	link->previous->next = link->next;
	link->next->previous = link->previous;
	pa_list_init(link);
}

static inline void pa_list_append(struct pa_list *list, struct pa_list *link)
{
	link->previous = list->previous;
	link->next = list;
	list->previous->next = link;
	list->previous = link;
}

/* Everything in `from` goes to the end of `to`. */
static inline void pa_list_splice(struct pa_list *to, struct pa_list *from)
{
	if (pa_list_is_empty(from))
		return;
	from->next->previous = to->previous;
	to->previous->next = from->next;
	from->previous->next = to;
	to->previous = from->previous;
	pa_list_init(from);
}

#endif
