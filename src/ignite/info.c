/* SPDX-License-Identifier: Apache-2.0 */
/* What the client knows, told to other threads. */
#include <string.h>

#include "ignite/client_internal.h"

struct nodes_wanted {
	const struct pa_ignite_cache *cache;
	struct pa_arena *arena;
	struct pa_ignite_node *nodes;
	size_t count;
};

static int64_t count_partitions(const struct pa_ignite *ignite, const struct ignite_cache_map *map,
                                const struct ignite_node *node)
{
	int64_t count = 0;

	for (int i = 0; i < map->partition_count; i++)
		count += map->owners[i] != IGNITE_NO_OWNER && ignite->map_nodes[map->owners[i]] == node;
	return count;
}

static void gather_nodes(struct pa_ignite *ignite, void *argument)
{
	struct nodes_wanted *wanted = argument;
	const struct ignite_cache_map *map =
	    wanted->cache == NULL ? NULL : ignite_map_find(&ignite->map, wanted->cache->id);

	wanted->nodes = pa_arena_array(wanted->arena, ignite->node_count + 1, sizeof(*wanted->nodes));
	if (wanted->cache != NULL && map == NULL)
		ignite_want_cache(ignite, wanted->cache->id);
	for (const struct ignite_node *node = ignite->nodes; node != NULL; node = node->next) {
		wanted->nodes[wanted->count++] = (struct pa_ignite_node){
		    .id = node->id,
		    .address = pa_arena_strdup(wanted->arena, node->addresses[node->address_current].text),
		    .connections = node->ready,
		    .member = node->member && node->ready > 0,
		    .requests = node->requests,
		    .partitions =
			map == NULL || map->partition_count == 0 ? -1 : count_partitions(ignite, map, node),
		    .error = pa_arena_strdup(wanted->arena, node->error.message),
		};
	}
}

int pa_ignite_nodes(struct pa_ignite *ignite, const struct pa_ignite_cache *cache, struct pa_arena *arena,
                    struct pa_ignite_node **ret, size_t *ret_count, struct pa_error *err)
{
	struct nodes_wanted wanted = {.cache = cache, .arena = arena};

	if (!ignite_run_job(ignite, gather_nodes, &wanted))
		return pa_error_set(err, PA_ERROR_CANCELLED, "the client is being closed");
	*ret = wanted.nodes;
	*ret_count = wanted.count;
	return 0;
}

struct place_wanted {
	int32_t cache_id;
	int32_t hash;
	int partition;
	int partition_count;
	struct pa_ignite_uuid primary;
};

static void find_place(struct pa_ignite *ignite, void *argument)
{
	struct place_wanted *wanted = argument;
	const struct ignite_node *node = ignite_primary(ignite, wanted->cache_id, wanted->hash,
	                                                &wanted->partition, &wanted->partition_count);

	if (node != NULL)
		wanted->primary = node->id;
}

int pa_ignite_locate(struct pa_ignite *ignite, const struct pa_ignite_cache *cache,
                     const struct pa_ignite_key *key, int *ret_partition, int *ret_partition_count,
                     struct pa_ignite_uuid *ret_primary, struct pa_error *err)
{
	struct place_wanted wanted = {.cache_id = cache->id, .hash = ignite_hash_key(key)};

	if (!ignite_run_job(ignite, find_place, &wanted))
		return pa_error_set(err, PA_ERROR_CANCELLED, "the client is being closed");
	*ret_partition = wanted.partition;
	*ret_partition_count = wanted.partition_count;
	*ret_primary = wanted.primary;
	return 0;
}

static void find_topology(struct pa_ignite *ignite, void *argument)
{
	struct pa_ignite_stats *stats = argument;

	bool map_is_newer = ignite->map.topology_version >= ignite->told_version;

	stats->topology_version = map_is_newer ? ignite->map.topology_version : ignite->told_version;
	stats->topology_minor = map_is_newer ? ignite->map.topology_minor : ignite->told_minor;
}

void pa_ignite_stats(struct pa_ignite *ignite, struct pa_ignite_stats *ret)
{
	*ret = (struct pa_ignite_stats){
	    .failed = ignite->failed,
	    .to_primary = ignite->to_primary,
	    .to_any = ignite->to_any,
	    .sent_again = ignite->sent_again,
	    .late_answers = ignite->late_answers,
	    .connections_opened = ignite->connections_opened,
	    .connections_lost = ignite->connections_lost,
	    .maps = ignite->maps,
	    .bytes_in = ignite->bytes_in,
	    .bytes_in_copy = ignite->bytes_in_copy,
	    .bytes_out = ignite->bytes_out,
	};
	ignite_run_job(ignite, find_topology, ret);
	pthread_mutex_lock(&ignite->lock);
	ret->requests = ignite->submitted_count;
	ret->under_way = ignite->under_way;
	pthread_mutex_unlock(&ignite->lock);
}
