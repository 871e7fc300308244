/* SPDX-License-Identifier: Apache-2.0 */
/* Names to numbers, in constant time each: templates, tasks of a DAG, ids.
 *
 * Ownership: the table lies in the arena; names are kept by pointer and must outlive it.
 * Threads: one at a time while it is written, any number afterwards.
 */
#ifndef PA_PIPELINE_NAME_TABLE_INTERNAL_H
#define PA_PIPELINE_NAME_TABLE_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

struct pa_arena;

struct pa_name_slot {
	const char *name;
	size_t number;
};

struct pa_name_table {
	struct pa_arena *arena;
	struct pa_name_slot *slots;
	size_t capacity;
	size_t count;
};

void pa_name_table_init(struct pa_name_table *table, struct pa_arena *arena);
/* Stores the number, unless the name is there: then its number is returned.  SIZE_MAX: it was new. */
size_t pa_name_table_put(struct pa_name_table *table, const char *name, size_t number);
/* The number of a name; SIZE_MAX when it is not there. */
size_t pa_name_table_get(const struct pa_name_table *table, const char *name);

#endif
