/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ignite/client_internal.h"

#define MAX_PARTS        64 /* of one sendmsg */
#define LARGE_ROOM_BYTES 16384

bool ignite_connection_has_room(const struct ignite_connection *connection)
{
	return connection->stage == IGNITE_READY &&
	       connection->in_flight < connection->slot_count - IGNITE_SPARE_SLOTS;
}

bool ignite_connection_has_slot(const struct ignite_connection *connection)
{
	return connection->stage == IGNITE_READY && connection->in_flight < connection->slot_count;
}

/* The id says the slot (its remainder) and, against answers that come from nowhere, which use of it. */
void ignite_connection_assign(struct pa_ignite *ignite, struct ignite_connection *connection,
                              struct ignite_task *task)
{
	int64_t id;
	struct ignite_slot *slot;

	do {
		id = connection->next_sequence++;
		slot = &connection->slots[id % connection->slot_count];
	} while (slot->task != NULL);
	*slot = (struct ignite_slot){.id = id, .task = task, .sent_ns = ignite->now_ns};
	connection->in_flight++;
	connection->node->requests++;
	task->id = id;
	task->connection = connection;
	task->sent_bytes = 0;
	task->sends++;
	ignite_set_id(task->head, id);
	if (task->operation == PA_IGNITE_GET && task->request != NULL &&
	    task->request->room >= LARGE_ROOM_BYTES)
		connection->direct = true;
	ignite_queue_push(&connection->sending, task);
}

/* The parts of a task behind `skip` bytes. */
static int add_parts(const struct ignite_task *task, struct iovec *parts, int count)
{
	size_t skip = task->sent_bytes;

	for (unsigned i = 0; i < task->part_count && count < MAX_PARTS; i++) {
		size_t bytes = task->parts[i].iov_len;
		if (skip >= bytes) {
			skip -= bytes;
			continue;
		}
		parts[count++] = (struct iovec){.iov_base = (char *)task->parts[i].iov_base + skip,
		                                .iov_len = bytes - skip};
		skip = 0;
	}
	return count;
}

static int gather(struct ignite_connection *connection, struct iovec *parts)
{
	int count = 0;

	if (connection->handshake_sent < connection->handshake.length)
		parts[count++] =
		    (struct iovec){.iov_base = connection->handshake.data + connection->handshake_sent,
		                   .iov_len = connection->handshake.length - connection->handshake_sent};
	for (const struct ignite_task *task = connection->sending.first; task != NULL && count < MAX_PARTS;
	     task = task->next)
		count = add_parts(task, parts, count);
	return count;
}

static void account(struct pa_ignite *ignite, struct ignite_connection *connection, size_t sent)
{
	size_t handshake = connection->handshake.length - connection->handshake_sent;
	struct ignite_task *task;

	ignite->bytes_out += sent;
	handshake = handshake < sent ? handshake : sent;
	connection->handshake_sent += handshake;
	sent -= handshake;
	while (sent > 0 && (task = connection->sending.first) != NULL) {
		size_t left = task->frame_bytes - task->sent_bytes;
		if (sent < left) {
			task->sent_bytes += sent;
			return;
		}
		sent -= left;
		task->sent_bytes = task->frame_bytes;
		connection->slots[task->id % connection->slot_count].sent_ns = ignite->now_ns;
		ignite_queue_remove(&connection->sending, task);
	}
}

int ignite_send(struct pa_ignite *ignite, struct ignite_connection *connection, struct pa_error *err)
{
	struct iovec parts[MAX_PARTS];
	int count;

	connection->wants_write = false;
	while ((count = gather(connection, parts)) > 0) {
		ssize_t sent = ignite_transport_write(connection, parts, count, err);
		if (sent == -EAGAIN) {
			connection->wants_write = true;
			break;
		}
		if (sent < 0)
			return ignite_connection_error(connection, err);
		connection->last_sent_ns = ignite->now_ns;
		account(ignite, connection, (size_t)sent);
	}
	ignite_connection_watch(ignite, connection);
	return 0;
}

static bool owns_all(const struct ignite_task *task)
{
	return task->part_count == 1 && task->parts[0].iov_base == task->head;
}

void ignite_orphan(struct ignite_task *task)
{
	struct iovec parts[MAX_PARTS];
	size_t left = task->frame_bytes - task->sent_bytes;
	size_t at = 0;

	if (left == 0 || task->orphan != NULL || owns_all(task))
		return;
	uint8_t *copy = malloc(left);
	if (copy == NULL)
		abort();
	while (at < left) {
		int count = add_parts(task, parts, 0);
		for (int i = 0; i < count; i++) {
			memcpy(copy + at, parts[i].iov_base, parts[i].iov_len);
			at += parts[i].iov_len;
			task->sent_bytes += parts[i].iov_len;
		}
	}
	task->orphan = copy;
	task->parts[0] = (struct iovec){.iov_base = copy, .iov_len = left};
	task->part_count = 1;
	task->frame_bytes = left;
	task->sent_bytes = 0;
}
