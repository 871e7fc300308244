/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "ignite/codec.h"

#define MAX_HOSTS     64                 /* addresses of one node */
#define MAX_MAP_BYTES ((size_t)64 << 20) /* of all maps, read */

static int bad_cluster(struct pa_error *err, const char *what)
{
	return pa_error_set(err, PA_ERROR_PERMANENT, "the server's account of the cluster makes no sense: %s",
	                    what);
}

static void decode_node(struct pa_arena *arena, struct ignite_reader *reader, struct ignite_view_node *node)
{
	node->id = ignite_read_uuid(reader);
	node->port = ignite_read_i32(reader);
	size_t count = ignite_read_count(reader, 1);
	if (count > MAX_HOSTS)
		reader->bad = true;
	if (reader->bad)
		return;
	node->hosts = pa_arena_array(arena, count, sizeof(*node->hosts));
	for (size_t i = 0; i < count; i++) {
		const char *text;
		size_t bytes;
		ignite_read_string(reader, &text, &bytes);
		if (text != NULL && bytes > 0 && bytes < 256 && memchr(text, '\0', bytes) == NULL)
			node->hosts[node->host_count++] = pa_arena_strndup(arena, text, bytes);
	}
	if (node->port <= 0 || node->port > 65535)
		node->host_count = 0; /* it has no thin client port */
}

int ignite_decode_endpoints(struct pa_arena *arena, const void *data, size_t bytes, struct ignite_view *ret,
                            struct pa_error *err)
{
	struct ignite_reader reader = ignite_reader(data, bytes);
	struct ignite_view view = {.topology_version = ignite_read_i64(&reader)};
	size_t added = ignite_read_count(&reader, 24);

	if (added > PA_IGNITE_MAX_NODES)
		return pa_error_set(err, PA_ERROR_PERMANENT, "a cluster of %zu nodes; the limit is %d", added,
		                    PA_IGNITE_MAX_NODES);
	view.nodes = pa_arena_array(arena, added, sizeof(*view.nodes));
	for (size_t i = 0; i < added && !reader.bad; i++)
		decode_node(arena, &reader, &view.nodes[view.node_count++]);
	ignite_read_bytes(&reader, ignite_read_count(&reader, 16) * 16);
	if (reader.bad || ignite_reader_left(&reader) != 0)
		return bad_cluster(err, "a list of nodes cut short");
	*ret = view;
	return 0;
}

/* What one group of a map is read into. */
struct map_builder {
	struct pa_arena *arena;
	struct ignite_map map;
	size_t cache_capacity;
	uint16_t *owners; /* IGNITE_MAX_PARTITIONS of them, scratch */
};

static uint16_t node_index(struct map_builder *builder, struct pa_ignite_uuid id)
{
	struct ignite_map *map = &builder->map;

	for (size_t i = 0; i < map->node_count; i++)
		if (map->nodes[i].high == id.high && map->nodes[i].low == id.low)
			return (uint16_t)i;
	if (map->node_count == PA_IGNITE_MAX_NODES)
		return IGNITE_NO_OWNER;
	map->nodes[map->node_count] = id;
	return (uint16_t)map->node_count++;
}

static void read_owners(struct map_builder *builder, struct ignite_reader *reader, int *highest)
{
	size_t nodes = ignite_read_count(reader, 21);

	if (nodes > PA_IGNITE_MAX_NODES)
		reader->bad = true;
	for (size_t i = 0; i < nodes && !reader->bad; i++) {
		if (ignite_read_u8(reader) != 10)
			reader->bad = true;
		uint16_t index = node_index(builder, ignite_read_uuid(reader));
		size_t count = ignite_read_count(reader, 4);
		for (size_t j = 0; j < count; j++) {
			int32_t partition = ignite_read_i32(reader);
			if (partition < 0 || partition >= IGNITE_MAX_PARTITIONS) {
				reader->bad = true;
				return;
			}
			builder->owners[partition] = index;
			*highest = partition > *highest ? partition : *highest;
		}
	}
}

static void read_group(struct map_builder *builder, struct ignite_reader *reader)
{
	struct ignite_map *map = &builder->map;
	bool by_key = ignite_read_u8(reader) != 0;
	size_t caches = ignite_read_count(reader, 4);
	size_t first = map->cache_count;
	int highest = -1;

	for (size_t i = 0; i < caches && !reader->bad; i++) {
		map->caches = pa_arena_grow(builder->arena, map->caches, map->cache_count,
		                            &builder->cache_capacity, sizeof(*map->caches));
		map->caches[map->cache_count++] =
		    (struct ignite_cache_map){.cache_id = ignite_read_i32(reader)};
		if (by_key) /* which fields of which types are the key's; ours have none */
			ignite_read_bytes(reader, ignite_read_count(reader, 8) * 8);
	}
	if (!by_key || reader->bad)
		return;
	read_owners(builder, reader, &highest);
	size_t owners_bytes = (size_t)(highest + 1) * sizeof(uint16_t);
	if (pa_arena_bytes(builder->arena) + owners_bytes > MAX_MAP_BYTES)
		reader->bad = true;
	if (highest < 0 || reader->bad)
		return;
	uint16_t *owners = pa_arena_alloc(builder->arena, owners_bytes);
	memcpy(owners, builder->owners, owners_bytes);
	memset(builder->owners, 0xff, owners_bytes); /* no owner: for the next group */
	for (size_t i = first; i < map->cache_count; i++) {
		map->caches[i].partition_count = highest + 1;
		map->caches[i].owners = owners;
	}
}

static int compare_caches(const void *left, const void *right)
{
	const struct ignite_cache_map *a = left;
	const struct ignite_cache_map *b = right;

	return a->cache_id == b->cache_id ? 0 : a->cache_id < b->cache_id ? -1 : 1;
}

int ignite_decode_map(struct pa_arena *arena, const void *data, size_t bytes, struct ignite_map *ret,
                      struct pa_error *err)
{
	struct ignite_reader reader = ignite_reader(data, bytes);
	struct map_builder builder = {.arena = arena};

	builder.map.topology_version = ignite_read_i64(&reader);
	builder.map.topology_minor = ignite_read_i32(&reader);
	size_t groups = ignite_read_count(&reader, 5);
	builder.map.nodes = pa_arena_array(arena, PA_IGNITE_MAX_NODES, sizeof(*builder.map.nodes));
	builder.owners = malloc(sizeof(*builder.owners) * IGNITE_MAX_PARTITIONS);
	if (builder.owners == NULL)
		return pa_error_set(err, PA_ERROR_NO_SPACE, "no memory for a partition map");
	memset(builder.owners, 0xff, sizeof(*builder.owners) * IGNITE_MAX_PARTITIONS);
	for (size_t i = 0; i < groups && !reader.bad; i++)
		read_group(&builder, &reader);
	free(builder.owners);
	if (reader.bad || ignite_reader_left(&reader) != 0)
		return bad_cluster(err, "a partition map cut short");
	if (builder.map.cache_count > 0)
		qsort(builder.map.caches, builder.map.cache_count, sizeof(*builder.map.caches),
		      compare_caches);
	*ret = builder.map;
	return 0;
}

const struct ignite_cache_map *ignite_map_find(const struct ignite_map *map, int32_t cache_id)
{
	struct ignite_cache_map wanted = {.cache_id = cache_id};

	return map->cache_count == 0
	           ? NULL
	           : bsearch(&wanted, map->caches, map->cache_count, sizeof(wanted), compare_caches);
}
