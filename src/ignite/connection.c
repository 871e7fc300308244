/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ignite/client_internal.h"

#define KEEPALIVE_IDLE_SECONDS     5
#define KEEPALIVE_INTERVAL_SECONDS 2
#define KEEPALIVE_PROBES           3

struct ignite_connection *ignite_connection_new(struct ignite_node *node, unsigned depth)
{
	struct ignite_connection *connection = calloc(1, sizeof(*connection));

	if (connection == NULL)
		abort();
	connection->node = node;
	connection->fd = -1;
	connection->slot_count = depth + IGNITE_SPARE_SLOTS;
	connection->slots = calloc(connection->slot_count, sizeof(*connection->slots));
	connection->staging = malloc(IGNITE_STAGING_BYTES);
	if (connection->slots == NULL || connection->staging == NULL)
		abort();
	pa_buffer_init(&connection->handshake, IGNITE_MAX_HANDSHAKE_BYTES);
	pa_buffer_init(&connection->body, 0);
	return connection;
}

/* The descriptor and all that belongs to one life of the connection. */
static void close_connection(struct ignite_connection *connection)
{
	if (connection->ssl != NULL)
		SSL_free(connection->ssl);
	connection->ssl = NULL;
	free(connection->tls_out);
	connection->tls_out = NULL;
	connection->tls_out_bytes = 0;
	if (connection->fd >= 0)
		close(connection->fd); /* which also takes it out of epoll */
	connection->fd = -1;
	connection->events = 0;
	connection->stage = IGNITE_CLOSED;
}

void ignite_connection_free(struct ignite_connection *connection)
{
	close_connection(connection);
	pa_buffer_done(&connection->handshake);
	pa_buffer_done(&connection->body);
	free(connection->slots);
	free(connection->staging);
	free(connection);
}

int ignite_connection_error(const struct ignite_connection *connection, struct pa_error *err)
{
	return pa_error_wrap(err, "%s", connection->node->addresses[connection->node->address_current].text);
}

void ignite_connection_watch(struct pa_ignite *ignite, struct ignite_connection *connection)
{
	uint32_t events = EPOLLIN;

	if (connection->stage == IGNITE_CONNECTING || connection->wants_write)
		events |= EPOLLOUT;
	if (connection->fd < 0 || events == connection->events)
		return;
	struct epoll_event event = {.events = events, .data = {.ptr = connection}};
	epoll_ctl(ignite->epoll_fd, connection->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, connection->fd,
	          &event);
	connection->events = events;
}

static void reset(struct pa_ignite *ignite, struct ignite_connection *connection)
{
	connection->serial = ++ignite->serial;
	connection->stage_deadline_ns = ignite->now_ns + ignite->options.connect_timeout_ns;
	connection->features = 0;
	connection->handshake_sent = 0;
	pa_buffer_clear(&connection->handshake);
	connection->receiving = IGNITE_RECEIVE_HEAD;
	connection->staged_begin = 0;
	connection->staged_end = 0;
	connection->direct = false;
	connection->task = NULL;
	connection->wants_write = false;
	connection->last_received_ns = ignite->now_ns;
	connection->last_sent_ns = ignite->now_ns;
	connection->heartbeat_ns = ignite->options.heartbeat_ns;
	connection->heartbeat_under_way = false;
	connection->view_under_way = false;
}

static void set_socket_options(int fd, int64_t silence_ns)
{
	const struct {
		int level;
		int name;
		int value;
	} options[] = {
	    {IPPROTO_TCP, TCP_NODELAY, 1},
	    {SOL_SOCKET, SO_KEEPALIVE, 1},
	    {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS},
	    {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS},
	    {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
	    {IPPROTO_TCP, TCP_USER_TIMEOUT, (int)(silence_ns / PA_NS_PER_MS)},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

void ignite_connect(struct pa_ignite *ignite, struct ignite_connection *connection)
{
	struct ignite_node *node = connection->node;
	struct pa_error err = PA_ERROR_INIT;

	if (node->ready == 0) {
		node->address_current = node->address_next;
		node->address_next = (node->address_next + 1) % node->address_count;
	}
	const struct ignite_address *address = &node->addresses[node->address_current];
	reset(ignite, connection);
	connection->stage = IGNITE_CONNECTING;
	connection->fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connection->fd >= 0) {
		set_socket_options(connection->fd, ignite->options.silence_ns);
		if (connect(connection->fd, (const struct sockaddr *)&address->socket, address->bytes) == 0 ||
		    errno == EINPROGRESS) {
			ignite_connection_watch(ignite, connection);
			return;
		}
	}
	pa_error_set_errno(&err, errno, "%s", address->text);
	err.class = PA_ERROR_TRANSIENT;
	ignite_connection_lose(ignite, connection, &err);
}

static int connected(struct pa_ignite *ignite, struct ignite_connection *connection, struct pa_error *err)
{
	const struct ignite_address *address =
	    &connection->node->addresses[connection->node->address_current];
	int os_errno = 0;
	socklen_t bytes = sizeof(os_errno);

	getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &os_errno, &bytes);
	if (os_errno != 0) {
		pa_error_set_errno(err, os_errno, "%s", address->text);
		err->class = PA_ERROR_TRANSIENT;
		return -(int)err->class;
	}
	if (ignite->tls == NULL)
		return ignite_handshake_begin(ignite, connection, err);
	connection->stage = IGNITE_TLS;
	const char *name = ignite->options.tls->server_name;
	if (ignite_tls_begin(connection, ignite->tls, name == NULL ? address->server_name : name, err) < 0)
		return ignite_connection_error(connection, err);
	return 0;
}

static int advance(struct pa_ignite *ignite, struct ignite_connection *connection, uint32_t events,
                   struct pa_error *err)
{
	int result = 0;

	if (connection->stage == IGNITE_CONNECTING)
		result = connected(ignite, connection, err);
	if (result == 0 && connection->stage == IGNITE_TLS) {
		connection->wants_write = false;
		result = ignite_tls_shake(connection, err);
		if (result == 1)
			return ignite_handshake_begin(ignite, connection, err);
		if (result < 0)
			return ignite_connection_error(connection, err);
	}
	if (result == 0 && connection->stage >= IGNITE_HANDSHAKE && (events & EPOLLOUT) != 0)
		result = ignite_send(ignite, connection, err);
	if (result == 0 && connection->stage >= IGNITE_HANDSHAKE &&
	    (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		result = ignite_receive(ignite, connection, err);
	return result;
}

void ignite_connection_event(struct pa_ignite *ignite, struct ignite_connection *connection, uint32_t events)
{
	struct pa_error err = PA_ERROR_INIT;

	if (connection->stage == IGNITE_CLOSED)
		return;
	if (advance(ignite, connection, events, &err) < 0)
		ignite_connection_lose(ignite, connection, &err);
	else
		ignite_connection_watch(ignite, connection);
}

static void lose_task(struct pa_ignite *ignite, struct ignite_connection *connection,
                      struct ignite_task *task, const struct pa_error *err)
{
	bool on_its_way = ignite_task_on_its_way(task);

	if (task->sent_bytes < task->frame_bytes)
		ignite_queue_remove(&connection->sending, task);
	ignite_slot_release(connection, task);
	if (!ignite_task_owned(task)) {
		ignite_task_free(task);
		return;
	}
	if (task->pinned == 0 && (!on_its_way || (task->read_only && task->sends < PA_IGNITE_MAX_SENDS))) {
		ignite->sent_again += on_its_way;
		task->waiting = true;
		ignite_queue_push(&ignite->all_waiting, task);
		return;
	}
	struct pa_error lost = *err;
	lost.class = PA_ERROR_TRANSIENT;
	struct ignite_reply reply = {.err = &lost, .maybe_done = on_its_way && !task->read_only};
	ignite_end_task(ignite, task, &reply);
}

void ignite_connection_lose(struct pa_ignite *ignite, struct ignite_connection *connection,
                            const struct pa_error *err)
{
	bool was_ready = connection->stage == IGNITE_READY;

	for (unsigned i = 0; i < connection->slot_count; i++)
		if (connection->slots[i].task != NULL)
			lose_task(ignite, connection, connection->slots[i].task, err);
	connection->task = NULL;
	close_connection(connection);
	if (was_ready) {
		ignite->connections_lost++;
		connection->node->ready--;
	}
	ignite_node_failed(ignite, connection->node, err, was_ready);
}
