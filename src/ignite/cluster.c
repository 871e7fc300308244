/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "ignite/client_internal.h"

#define SEEDS_AGAIN_NS (30 * PA_NS_PER_SECOND) /* a headless name gains addresses */

void ignite_address_done(struct ignite_address *address)
{
	free(address->text);
	free(address->server_name);
}

struct ignite_node *ignite_node_new(struct pa_ignite *ignite)
{
	unsigned connections = ignite->options.connections_per_node;
	struct ignite_node *node = calloc(1, sizeof(*node));

	if (node == NULL)
		abort();
	node->connections = calloc(connections, sizeof(struct ignite_connection *));
	if (node->connections == NULL)
		abort();
	for (unsigned i = 0; i < connections; i++)
		node->connections[i] = ignite_connection_new(node, ignite->options.depth);
	node->version = (struct ignite_version){1, 7, 0};
	node->next = ignite->nodes;
	ignite->nodes = node;
	ignite->node_count++;
	return node;
}

static void node_free(struct pa_ignite *ignite, struct ignite_node *node)
{
	for (unsigned i = 0; i < ignite->options.connections_per_node; i++)
		ignite_connection_free(node->connections[i]);
	for (unsigned i = 0; i < node->address_count; i++)
		ignite_address_done(&node->addresses[i]);
	free(node->connections);
	free(node->view);
	free(node);
	ignite->node_count--;
}

struct ignite_node *ignite_node_find(struct pa_ignite *ignite, struct pa_ignite_uuid id)
{
	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next)
		if (node->id_known && !node->gone && node->id.high == id.high && node->id.low == id.low)
			return node;
	return NULL;
}

static bool same_socket(const struct ignite_address *a, const struct ignite_address *b)
{
	return a->bytes == b->bytes && memcmp(&a->socket, &b->socket, a->bytes) == 0;
}

bool ignite_node_add_address(struct ignite_node *node, const struct ignite_address *address)
{
	for (unsigned i = 0; i < node->address_count; i++)
		if (same_socket(&node->addresses[i], address))
			return true;
	if (node->address_count == IGNITE_NODE_ADDRESSES)
		return false;
	struct ignite_address *own = &node->addresses[node->address_count++];
	*own = *address;
	own->text = strdup(address->text);
	own->server_name = strdup(address->server_name);
	if (own->text == NULL || own->server_name == NULL)
		abort();
	return true;
}

/* Two ways to one node: the one that has its id keeps it. */
static int merge(struct ignite_node *known, struct ignite_node *node, struct pa_error *err)
{
	ignite_node_add_address(known, &node->addresses[node->address_current]);
	if (known->ready == 0) {
		known->address_next = known->address_count - 1;
		known->retry_at_once = true;
	}
	node->gone = true;
	return pa_error_set(err, PA_ERROR_TRANSIENT, "a node that is connected already");
}

int ignite_node_met(struct pa_ignite *ignite, struct ignite_connection *connection, struct pa_ignite_uuid id,
                    struct pa_error *err)
{
	struct ignite_node *node = connection->node;
	struct ignite_node *known = ignite_node_find(ignite, id);

	if (known == node)
		return 0;
	/* The endpoint that the user named may be another node after a restart; an address that a node
	 * listed for itself is that node or a mistake (127.0.0.1 of another machine). */
	if (node->id_known && !(node->from_seed && node->address_current == 0)) {
		pa_error_set(err, PA_ERROR_TRANSIENT, "another node answers there");
		return ignite_connection_error(connection, err);
	}
	if (node->id_known && node->ready > 0) {
		pa_error_set(err, PA_ERROR_TRANSIENT, "several nodes answer there");
		return ignite_connection_error(connection, err);
	}
	if (known != NULL)
		return merge(known, node, err);
	node->id = id;
	node->id_known = true;
	node->view_known = false;
	node->member = false;
	return 0;
}

void ignite_node_ready(struct pa_ignite *ignite, struct ignite_connection *connection)
{
	struct ignite_node *node = connection->node;

	node->ready++;
	node->failures = 0;
	node->error.class = PA_ERROR_NONE;
	node->error.message[0] = '\0';
	ignite->connections_opened++;
	ignite->seeds_failures = 0;
	/* Nodes from before there was a way to ask are taken at their word. */
	if ((connection->features & 1u << IGNITE_FEATURE_ENDPOINTS) == 0) {
		node->member = true;
		ignite->map_wanted = true;
	}
	ignite_topology_ready(ignite, connection);
}

/* Between half of the pause and all of it, doubled with each failure. */
static int64_t pause_ns(struct pa_ignite *ignite, unsigned failures)
{
	int64_t pause = ignite->options.reconnect_min_ns;

	for (unsigned i = 1; i < failures && pause < ignite->options.reconnect_max_ns; i++)
		pause *= 2;
	if (pause > ignite->options.reconnect_max_ns)
		pause = ignite->options.reconnect_max_ns;
	return pause - (int64_t)(pa_random_uniform(&ignite->random) * (double)pause / 2);
}

void ignite_node_failed(struct pa_ignite *ignite, struct ignite_node *node, const struct pa_error *err,
                        bool was_ready)
{
	bool at_once = node->retry_at_once;

	node->retry_at_once = false;
	node->retry_ns = ignite->now_ns;
	if (!at_once) {
		node->failures++;
		node->error = *err;
		node->retry_ns += pause_ns(ignite, node->failures);
	}
	if (was_ready && node->ready == 0) {
		node->member = false;
		node->view_known = false;
		ignite->members_changed = true;
	}
	if (at_once || node->gone)
		return;
	pthread_mutex_lock(&ignite->lock);
	ignite->last_error = *err;
	pthread_mutex_unlock(&ignite->lock);
}

/* Every endpoint has been tried, and none may come to its senses by itself. */
static void look_for_hope(struct pa_ignite *ignite)
{
	if (ignite->nodes == NULL)
		return;
	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next)
		if (node->failures == 0 || node->error.class == PA_ERROR_TRANSIENT ||
		    node->error.class == PA_ERROR_DEADLINE)
			return;
	pthread_mutex_lock(&ignite->lock);
	ignite->hopeless = true;
	pthread_cond_broadcast(&ignite->changed);
	pthread_mutex_unlock(&ignite->lock);
}

void ignite_seeds_resolved(struct pa_ignite *ignite, struct ignite_address *addresses, size_t count,
                           const struct pa_error *err)
{
	if (err->class != PA_ERROR_NONE) {
		pthread_mutex_lock(&ignite->lock);
		ignite->last_error = *err;
		pthread_mutex_unlock(&ignite->lock);
	}
	for (size_t i = 0; i < count; i++) {
		bool known = false;
		for (struct ignite_node *node = ignite->nodes; node != NULL && !known; node = node->next)
			for (unsigned j = 0; j < node->address_count && !known; j++)
				known = same_socket(&node->addresses[j], &addresses[i]) &&
				        (node->ready > 0 || !node->id_known || node->from_seed);
		if (known || ignite->node_count >= PA_IGNITE_MAX_NODES)
			continue;
		struct ignite_node *node = ignite_node_new(ignite);
		node->from_seed = true;
		ignite_node_add_address(node, &addresses[i]);
	}
}

static bool any_ready(const struct pa_ignite *ignite)
{
	for (const struct ignite_node *node = ignite->nodes; node != NULL; node = node->next)
		if (node->ready > 0)
			return true;
	return false;
}

static void tick_seeds(struct pa_ignite *ignite)
{
	struct pa_error err = PA_ERROR_INIT;
	struct ignite_address *addresses;
	size_t count;
	bool ready = any_ready(ignite);

	if (ignite->resolving && ignite_resolver_take(ignite->resolver, &addresses, &count, &err)) {
		ignite->resolving = false;
		ignite_seeds_resolved(ignite, addresses, count, &err);
		for (size_t i = 0; i < count; i++)
			ignite_address_done(&addresses[i]);
		free(addresses);
	}
	if (ignite->resolving || ignite->now_ns < ignite->seeds_next_ns ||
	    (ready && !ignite->options.only_endpoints))
		return;
	ignite->resolving = true;
	ignite->seeds_failures++;
	ignite->seeds_next_ns =
	    ignite->now_ns + (ready ? SEEDS_AGAIN_NS : pause_ns(ignite, ignite->seeds_failures));
	ignite_resolver_ask(ignite->resolver);
}

static void tick_node(struct pa_ignite *ignite, struct ignite_node *node)
{
	for (unsigned i = 0; i < ignite->options.connections_per_node && !node->gone; i++) {
		struct ignite_connection *connection = node->connections[i];
		struct pa_error err = PA_ERROR_INIT;
		/* The others follow when the first is ready, and only to members. */
		bool wanted = i == 0 || node->member;
		if (node->ready == 0 && i > 0)
			wanted = false;
		if (connection->stage == IGNITE_CLOSED) {
			if (wanted && ignite->now_ns >= node->retry_ns)
				ignite_connect(ignite, connection);
		} else if (connection->stage != IGNITE_READY &&
		           ignite->now_ns >= connection->stage_deadline_ns) {
			pa_error_set(&err, PA_ERROR_TRANSIENT, "%s: no %s within %lld ms",
			             node->addresses[node->address_current].text,
			             connection->stage == IGNITE_CONNECTING ? "connection" : "handshake",
			             (long long)(ignite->options.connect_timeout_ns / PA_NS_PER_MS));
			ignite_connection_lose(ignite, connection, &err);
		} else if (connection->stage == IGNITE_READY) {
			ignite_connection_tick(ignite, connection);
		}
	}
}

static void lose_all(struct pa_ignite *ignite, struct ignite_node *node)
{
	struct pa_error err = PA_ERROR_INIT;
	struct ignite_task *task;

	pa_error_set(&err, PA_ERROR_TRANSIENT, "%s: the node has left the cluster",
	             node->addresses[node->address_current].text);
	for (unsigned i = 0; i < ignite->options.connections_per_node; i++)
		if (node->connections[i]->stage != IGNITE_CLOSED)
			ignite_connection_lose(ignite, node->connections[i], &err);
	while ((task = ignite_queue_pop(&node->queue)) != NULL) {
		task->queued_at = NULL;
		task->waiting = true;
		ignite_queue_push(&ignite->all_waiting, task);
	}
}

/* Requests that wait for a node that cannot be reached go to another. */
static void empty_queue(struct pa_ignite *ignite, struct ignite_node *node)
{
	struct ignite_task *task;

	while (node->ready == 0 && (task = ignite_queue_pop(&node->queue)) != NULL) {
		task->queued_at = NULL;
		task->waiting = true;
		ignite_queue_push(&ignite->all_waiting, task);
	}
}

static void free_gone(struct pa_ignite *ignite)
{
	struct ignite_node **link = &ignite->nodes;

	while (*link != NULL) {
		struct ignite_node *node = *link;
		if (!node->gone) {
			empty_queue(ignite, node);
			link = &node->next;
			continue;
		}
		lose_all(ignite, node);
		*link = node->next;
		node_free(ignite, node);
		ignite_map_link(ignite);
	}
}

void ignite_cluster_tick(struct pa_ignite *ignite)
{
	free_gone(ignite);
	if (ignite->now_ns < ignite->tick_ns)
		return;
	tick_seeds(ignite);
	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next)
		tick_node(ignite, node);
	free_gone(ignite);
	if (!any_ready(ignite)) {
		ignite_topology_forget(ignite);
		look_for_hope(ignite);
	}
	ignite_topology_tick(ignite);
}

void ignite_cluster_free(struct pa_ignite *ignite)
{
	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next)
		node->gone = true;
	free_gone(ignite);
}
