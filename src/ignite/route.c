/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "ignite/client_internal.h"

static void wait_for_node(struct pa_ignite *ignite, struct ignite_task *task)
{
	task->waiting = true;
	ignite_queue_push(&ignite->all_waiting, task);
}

void ignite_unqueue(struct pa_ignite *ignite, struct ignite_task *task)
{
	if (task->waiting)
		ignite_queue_remove(&ignite->all_waiting, task);
	else if (task->queued_at != NULL)
		ignite_queue_remove(&task->queued_at->queue, task);
	task->waiting = false;
	task->queued_at = NULL;
}

void ignite_want_cache(struct pa_ignite *ignite, int32_t cache_id)
{
	size_t low = 0;
	size_t high = ignite->cache_id_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (ignite->cache_ids[middle] < cache_id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < ignite->cache_id_count && ignite->cache_ids[low] == cache_id)
		return;
	if (ignite->cache_id_count == PA_IGNITE_MAX_CACHES)
		return;
	memmove(ignite->cache_ids + low + 1, ignite->cache_ids + low,
	        (ignite->cache_id_count - low) * sizeof(*ignite->cache_ids));
	ignite->cache_ids[low] = cache_id;
	ignite->cache_id_count++;
	ignite->map_wanted = true;
}

struct ignite_node *ignite_primary(struct pa_ignite *ignite, int32_t cache_id, int32_t hash,
                                   int *ret_partition, int *ret_partition_count)
{
	const struct ignite_cache_map *cache = ignite_map_find(&ignite->map, cache_id);

	*ret_partition = -1;
	*ret_partition_count = 0;
	if (cache == NULL)
		ignite_want_cache(ignite, cache_id);
	if (cache == NULL || cache->partition_count == 0)
		return NULL;
	*ret_partition = ignite_partition(hash, cache->partition_count);
	*ret_partition_count = cache->partition_count;
	uint16_t owner = cache->owners[*ret_partition];
	return owner == IGNITE_NO_OWNER ? NULL : ignite->map_nodes[owner];
}

static bool usable(const struct ignite_node *node)
{
	return node->member && node->ready > 0 && !node->gone;
}

static size_t load(const struct ignite_node *node, unsigned connections)
{
	size_t load = node->queue.count;

	for (unsigned i = 0; i < connections; i++)
		load += node->connections[i]->in_flight;
	return load;
}

/* The node with least to do; of equal ones another each time. */
static struct ignite_node *any_node(struct pa_ignite *ignite)
{
	struct ignite_node *best = NULL;
	size_t best_load = SIZE_MAX;
	unsigned equal = 0;

	ignite->turn++;
	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next) {
		if (!usable(node))
			continue;
		size_t node_load = load(node, ignite->options.connections_per_node);
		equal = node_load < best_load ? 1 : equal + (node_load == best_load);
		if (node_load < best_load || (node_load == best_load && ignite->turn % equal == 0))
			best = node;
		best_load = node_load < best_load ? node_load : best_load;
	}
	return best;
}

static void route_pinned(struct pa_ignite *ignite, struct ignite_task *task)
{
	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next) {
		for (unsigned i = 0; i < ignite->options.connections_per_node; i++) {
			struct ignite_connection *connection = node->connections[i];
			if (connection->serial != task->pinned || connection->stage != IGNITE_READY)
				continue;
			if (ignite_connection_has_slot(connection))
				ignite_connection_assign(ignite, connection, task);
			else
				wait_for_node(ignite, task);
			return;
		}
	}
	struct pa_error err = PA_ERROR_INIT;
	struct ignite_reply reply = {.err = &err};
	pa_error_set(&err, PA_ERROR_TRANSIENT, "the connection that this goes on with is lost");
	ignite_end_task(ignite, task, &reply);
}

void ignite_route(struct pa_ignite *ignite, struct ignite_task *task)
{
	struct ignite_node *node = NULL;
	int partition;
	int partition_count;

	if (task->pinned != 0) {
		route_pinned(ignite, task);
		return;
	}
	if (task->has_hash)
		node = ignite_primary(ignite, task->cache_id, task->hash, &partition, &partition_count);
	bool to_primary = node != NULL && usable(node);
	if (!to_primary)
		node = any_node(ignite);
	if (node == NULL) {
		wait_for_node(ignite, task);
		return;
	}
	*(to_primary ? &ignite->to_primary : &ignite->to_any) += 1;
	task->queued_at = node;
	ignite_queue_push(&node->queue, task);
	ignite_pump(ignite, node);
}

static struct ignite_connection *free_connection(const struct pa_ignite *ignite,
                                                 const struct ignite_node *node)
{
	struct ignite_connection *best = NULL;

	for (unsigned i = 0; i < ignite->options.connections_per_node; i++) {
		struct ignite_connection *connection = node->connections[i];
		if (ignite_connection_has_room(connection) &&
		    (best == NULL || connection->in_flight < best->in_flight))
			best = connection;
	}
	return best;
}

void ignite_pump(struct pa_ignite *ignite, struct ignite_node *node)
{
	struct ignite_connection *connection;

	while (node->queue.first != NULL && (connection = free_connection(ignite, node)) != NULL) {
		struct ignite_task *task = ignite_queue_pop(&node->queue);
		task->queued_at = NULL;
		ignite_connection_assign(ignite, connection, task);
	}
}

void ignite_pump_waiting(struct pa_ignite *ignite)
{
	struct ignite_queue waiting = ignite->all_waiting;
	struct ignite_task *task;

	/* What cannot be sent now goes back to the end of the same queue. */
	ignite->all_waiting = (struct ignite_queue){0};
	for (size_t count = waiting.count; count > 0; count--) {
		task = ignite_queue_pop(&waiting);
		task->waiting = false;
		ignite_route(ignite, task);
	}
}
