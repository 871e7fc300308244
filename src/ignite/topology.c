/* SPDX-License-Identifier: Apache-2.0 */
/* Which nodes are the cluster, and which of them holds what. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ignite/client_internal.h"

#define VIEWS_AGAIN_NS (250 * PA_NS_PER_MS)
#define MAP_AGAIN_NS   (100 * PA_NS_PER_MS)
#define OPEN_SETTLE_NS (2 * PA_NS_PER_SECOND) /* what open waits for the other nodes at most */

/* A request of the loop itself, on this connection; false when it has no slot. */
static bool ask(struct pa_ignite *ignite, struct ignite_connection *connection, ignite_fill_fn *fill,
                const void *argument, ignite_reply_fn *replied)
{
	if (!ignite_connection_has_slot(connection))
		return false;
	struct ignite_task *task = ignite_task_new(fill, argument);
	if (task == NULL)
		abort();
	task->internal = true;
	task->operation = PA_IGNITE_OTHER;
	task->replied = replied;
	task->context = connection;
	task->pinned = connection->serial;
	task->max_reply_bytes = IGNITE_MAX_CLUSTER_BYTES;
	task->deadline_ns = PA_DEADLINE_NEVER;
	ignite_connection_assign(ignite, connection, task);
	return true;
}

/* ---- Views ---- */

static void learn_node(struct pa_ignite *ignite, const struct ignite_view_node *listed)
{
	struct ignite_node *node = ignite_node_find(ignite, listed->id);

	if (ignite->options.only_endpoints)
		return;
	for (size_t i = 0; i < listed->host_count; i++) {
		struct ignite_address address;
		/* Names are not asked for: a node lists its addresses beside them. */
		if (!ignite_address_numeric(listed->hosts[i], listed->port, &address))
			continue;
		if (node == NULL && ignite->node_count < PA_IGNITE_MAX_NODES) {
			node = ignite_node_new(ignite);
			node->id = listed->id;
			node->id_known = true;
		}
		if (node != NULL)
			ignite_node_add_address(node, &address);
		ignite_address_done(&address);
	}
}

static void view_replied(struct pa_ignite *ignite, void *context, const struct ignite_reply *reply)
{
	struct ignite_connection *connection = context;
	struct ignite_node *node = connection->node;
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct ignite_view view;

	connection->view_under_way = false;
	if (reply->err == NULL &&
	    ignite_decode_endpoints(&arena, reply->data, reply->bytes, &view, &err) == 0) {
		free(node->view);
		node->view = calloc(view.node_count + 1, sizeof(*node->view));
		if (node->view == NULL)
			abort();
		for (size_t i = 0; i < view.node_count; i++) {
			node->view[i] = view.nodes[i].id;
			learn_node(ignite, &view.nodes[i]);
		}
		node->view_count = view.node_count;
		node->view_version = view.topology_version;
		node->view_known = true;
		ignite->members_changed = true;
	}
	pa_arena_done(&arena);
}

static void fill_endpoints(struct ignite_writer *writer, const void *argument)
{
	(void)argument;
	ignite_begin_frame(writer, IGNITE_OP_ENDPOINTS);
	ignite_write_i64(writer, -1); /* from the beginning … */
	ignite_write_i64(writer, -1); /* … to now: all nodes */
}

static void ask_view(struct pa_ignite *ignite, struct ignite_connection *connection)
{
	if (!connection->view_under_way && (connection->features & 1u << IGNITE_FEATURE_ENDPOINTS) != 0)
		connection->view_under_way = ask(ignite, connection, fill_endpoints, NULL, view_replied);
}

static struct ignite_connection *ready_connection(struct pa_ignite *ignite, const struct ignite_node *node)
{
	for (unsigned i = 0; i < ignite->options.connections_per_node; i++)
		if (ignite_connection_has_slot(node->connections[i]))
			return node->connections[i];
	return NULL;
}

/* ---- The partition map ---- */

void ignite_map_link(struct pa_ignite *ignite)
{
	for (size_t i = 0; i < ignite->map.node_count; i++)
		ignite->map_nodes[i] = ignite_node_find(ignite, ignite->map.nodes[i]);
}

static bool map_is_old(const struct pa_ignite *ignite)
{
	return ignite->told_version > ignite->map.topology_version ||
	       (ignite->told_version == ignite->map.topology_version &&
	        ignite->told_minor > ignite->map.topology_minor);
}

static void map_replied(struct pa_ignite *ignite, void *context, const struct ignite_reply *reply)
{
	const struct ignite_connection *connection = context;
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct ignite_map map;

	ignite->map_under_way = false;
	ignite->map_retry_ns = ignite->now_ns + MAP_AGAIN_NS;
	if (reply->err != NULL || !connection->node->member ||
	    ignite_decode_map(&arena, reply->data, reply->bytes, &map, &err) < 0) {
		pa_arena_done(&arena);
		ignite->map_wanted = true;
		return;
	}
	pa_arena_done(&ignite->map_arena);
	ignite->map_arena = arena;
	ignite->map = map;
	ignite->maps++;
	ignite_map_link(ignite);
	ignite->map_wanted = ignite->map_wanted || map_is_old(ignite);
}

static void fill_partitions(struct ignite_writer *writer, const void *argument)
{
	const struct pa_ignite *ignite = argument;

	ignite_begin_frame(writer, IGNITE_OP_PARTITIONS);
	ignite_write_i32(writer, (int32_t)ignite->cache_id_count);
	for (size_t i = 0; i < ignite->cache_id_count; i++)
		ignite_write_i32(writer, ignite->cache_ids[i]);
}

static void ask_map(struct pa_ignite *ignite)
{
	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next) {
		struct ignite_connection *connection = node->member ? ready_connection(ignite, node) : NULL;
		if (connection == NULL || node->view_version < ignite->told_version)
			continue;
		if (!ask(ignite, connection, fill_partitions, ignite, map_replied))
			continue;
		ignite->map_wanted = false;
		ignite->map_under_way = true;
		return;
	}
}

/* ---- Members ---- */

void ignite_topology_told(struct pa_ignite *ignite, struct ignite_connection *connection)
{
	const struct ignite_head *head = &connection->head;

	if (!connection->node->view_known || head->topology_version != connection->node->view_version)
		ask_view(ignite, connection);
	if (head->topology_version < ignite->told_version ||
	    (head->topology_version == ignite->told_version && head->topology_minor <= ignite->told_minor))
		return;
	if (!connection->node->member)
		return;
	ignite->told_version = head->topology_version;
	ignite->told_minor = head->topology_minor;
	ignite->map_wanted = ignite->map_wanted || map_is_old(ignite);
}

static size_t gather_opinions(struct pa_ignite *ignite, struct ignite_opinion *opinions,
                              struct ignite_node **owners)
{
	size_t count = 0;

	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next) {
		if (node->gone || node->ready == 0 || !node->view_known)
			continue;
		owners[count] = node;
		opinions[count++] = (struct ignite_opinion){.self = node->id,
		                                            .listed = node->view,
		                                            .listed_count = node->view_count,
		                                            .current = node->member};
	}
	return count;
}

static bool is_listed(struct pa_ignite *ignite, struct pa_ignite_uuid id)
{
	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next)
		for (size_t i = 0; node->member && i < node->view_count; i++)
			if (node->view[i].high == id.high && node->view[i].low == id.low)
				return true;
	return false;
}

/* Nodes that no member lists any more, and that do not answer either; and whether members agree. */
static void look_at_nodes(struct pa_ignite *ignite)
{
	int64_t version = 0;
	bool unsettled = false;
	bool members = false;

	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next)
		members = members || node->member;
	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next) {
		if (members && !node->member && node->ready == 0 && node->id_known && !node->from_seed &&
		    !is_listed(ignite, node->id))
			node->gone = true;
		if (node->gone)
			continue;
		unsettled = unsettled ||
		            (!node->member && (node->ready > 0 || !node->from_seed || node->failures == 0));
		if (node->member && node->view_known) {
			unsettled = unsettled || (version != 0 && node->view_version != version);
			version = node->view_version;
		}
	}
	ignite->views_unsettled = unsettled;
}

static void tell_opened(struct pa_ignite *ignite)
{
	bool member = false;
	bool pending = false;

	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next) {
		member = member || node->member;
		pending = pending || (!node->member && !node->gone && node->failures == 0);
	}
	if (!member)
		return;
	if (ignite->first_member_ns == 0)
		ignite->first_member_ns = ignite->now_ns;
	if (pending && ignite->now_ns < ignite->first_member_ns + OPEN_SETTLE_NS)
		return;
	ignite->told_opened = true;
	pthread_mutex_lock(&ignite->lock);
	ignite->opened = true;
	pthread_cond_broadcast(&ignite->changed);
	pthread_mutex_unlock(&ignite->lock);
}

static void settle_members(struct pa_ignite *ignite)
{
	PA_AUTO_FREE struct ignite_opinion *opinions = calloc(ignite->node_count + 1, sizeof(*opinions));
	PA_AUTO_FREE struct ignite_node **owners =
	    calloc(ignite->node_count + 1, sizeof(struct ignite_node *));
	bool changed = false;

	if (opinions == NULL || owners == NULL)
		abort();
	ignite->members_changed = false;
	size_t count = gather_opinions(ignite, opinions, owners);
	ignite_membership(opinions, count);
	for (size_t i = 0; i < count; i++) {
		changed = changed || owners[i]->member != opinions[i].member;
		owners[i]->member = opinions[i].member;
	}
	look_at_nodes(ignite);
	if (changed) {
		/* Versions of another half of a split cluster are not to be compared with. */
		ignite->told_version = 0;
		ignite->told_minor = 0;
		for (size_t i = 0; i < count; i++)
			if (owners[i]->member && owners[i]->view_version > ignite->told_version)
				ignite->told_version = owners[i]->view_version;
		ignite->map_wanted = true;
		ignite_map_link(ignite);
		ignite->waiting_wanted = true;
	}
}

void ignite_topology_settle(struct pa_ignite *ignite)
{
	if (ignite->members_changed)
		settle_members(ignite);
	if (!ignite->told_opened)
		tell_opened(ignite);
	if (ignite->map_wanted && !ignite->map_under_way && ignite->cache_id_count > 0 &&
	    ignite->now_ns >= ignite->map_retry_ns)
		ask_map(ignite);
}

void ignite_topology_tick(struct pa_ignite *ignite)
{
	look_at_nodes(ignite);
	if (!ignite->views_unsettled || ignite->now_ns < ignite->views_next_ns)
		return;
	ignite->views_next_ns = ignite->now_ns + VIEWS_AGAIN_NS;
	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next) {
		struct ignite_connection *connection = ready_connection(ignite, node);
		if (connection != NULL)
			ask_view(ignite, connection);
	}
}

void ignite_topology_forget(struct pa_ignite *ignite)
{
	if (ignite->map.cache_count == 0 && ignite->told_version == 0)
		return;
	pa_arena_done(&ignite->map_arena);
	pa_arena_init(&ignite->map_arena);
	ignite->map = (struct ignite_map){0};
	ignite->told_version = 0;
	ignite->told_minor = 0;
	ignite->map_wanted = true;
}

/* ---- The life of a connection ---- */

static void fill_op(struct ignite_writer *writer, const void *argument)
{
	ignite_begin_frame(writer, *(const enum ignite_op *)argument);
}

static void idle_replied(struct pa_ignite *ignite, void *context, const struct ignite_reply *reply)
{
	struct ignite_connection *connection = context;
	(void)ignite;

	if (reply->err != NULL || reply->bytes != 8)
		return;
	struct ignite_reader reader = ignite_reader(reply->data, reply->bytes);
	int64_t idle_ms = ignite_read_i64(&reader);
	if (idle_ms > 0 && idle_ms < INT32_MAX && idle_ms * PA_NS_PER_MS / 3 < connection->heartbeat_ns)
		connection->heartbeat_ns = idle_ms * PA_NS_PER_MS / 3;
}

void ignite_topology_ready(struct pa_ignite *ignite, struct ignite_connection *connection)
{
	enum ignite_op op = IGNITE_OP_IDLE_TIMEOUT;

	if ((connection->features & 1u << IGNITE_FEATURE_HEARTBEAT) != 0)
		ask(ignite, connection, fill_op, &op, idle_replied);
	ask_view(ignite, connection);
	ignite->waiting_wanted = true;
	ignite_pump(ignite, connection->node);
}

static void heartbeat_replied(struct pa_ignite *ignite, void *context, const struct ignite_reply *reply)
{
	struct ignite_connection *connection = context;

	(void)ignite;
	(void)reply;
	connection->heartbeat_under_way = false;
}

static int64_t oldest_sent_ns(const struct ignite_connection *connection)
{
	int64_t oldest = INT64_MAX;

	for (unsigned i = 0; i < connection->slot_count; i++)
		if (connection->slots[i].task != NULL && connection->slots[i].sent_ns < oldest)
			oldest = connection->slots[i].sent_ns;
	return oldest;
}

void ignite_connection_tick(struct pa_ignite *ignite, struct ignite_connection *connection)
{
	int64_t quiet_ns = ignite->now_ns - connection->last_received_ns;
	enum ignite_op op = IGNITE_OP_HEARTBEAT;
	struct pa_error err = PA_ERROR_INIT;

	if (connection->in_flight == 0) {
		if (quiet_ns >= connection->heartbeat_ns && !connection->heartbeat_under_way &&
		    (connection->features & 1u << IGNITE_FEATURE_HEARTBEAT) != 0)
			connection->heartbeat_under_way =
			    ask(ignite, connection, fill_op, &op, heartbeat_replied);
		return;
	}
	if (quiet_ns < ignite->options.silence_ns ||
	    ignite->now_ns - oldest_sent_ns(connection) < ignite->options.silence_ns)
		return;
	pa_error_set(&err, PA_ERROR_TRANSIENT,
	             "connection given up: it owes answers and sent nothing for %lld ms",
	             (long long)(quiet_ns / PA_NS_PER_MS));
	ignite_connection_error(connection, &err);
	ignite_connection_lose(ignite, connection, &err);
}
