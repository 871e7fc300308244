/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "pipeline/name_table_internal.h"

void pa_name_table_init(struct pa_name_table *table, struct pa_arena *arena)
{
	*table = (struct pa_name_table){.arena = arena};
}

static struct pa_name_slot *find_slot(const struct pa_name_table *table, const char *name)
{
	size_t mask = table->capacity - 1;
	size_t at = (size_t)pa_hash_content(name, strlen(name)).low & mask;

	while (table->slots[at].name != NULL && strcmp(table->slots[at].name, name) != 0)
		at = (at + 1) & mask;
	return &table->slots[at];
}

static void grow(struct pa_name_table *table)
{
	struct pa_name_table larger = *table;

	larger.capacity = table->capacity == 0 ? 8 : table->capacity * 2;
	larger.slots = pa_arena_array(table->arena, larger.capacity, sizeof(*larger.slots));
	for (size_t i = 0; i < table->capacity; i++) {
		if (table->slots[i].name != NULL)
			*find_slot(&larger, table->slots[i].name) = table->slots[i];
	}
	*table = larger;
}

size_t pa_name_table_put(struct pa_name_table *table, const char *name, size_t number)
{
	if (table->count * 2 >= table->capacity)
		grow(table);
	struct pa_name_slot *slot = find_slot(table, name);
	if (slot->name != NULL)
		return slot->number;
	*slot = (struct pa_name_slot){name, number};
	table->count++;
	return SIZE_MAX;
}

size_t pa_name_table_get(const struct pa_name_table *table, const char *name)
{
	if (table->capacity == 0)
		return SIZE_MAX;
	const struct pa_name_slot *slot = find_slot(table, name);
	return slot->name == NULL ? SIZE_MAX : slot->number;
}
