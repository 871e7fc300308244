/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ignite/client_internal.h"

#define PEEK_BYTES         256 /* read behind a large value: the head of the next answer */
#define SMALL_FRAME_BYTES  4096
#define MAX_FAILURE_BYTES  ((size_t)1 << 20)
#define READS_A_TURN       16
#define FRAME_MARGIN_BYTES 65536

static int broken(struct ignite_connection *connection, struct pa_error *err, const char *what)
{
	pa_error_set(err, PA_ERROR_PERMANENT, "the server breaks the protocol: %s", what);
	return ignite_connection_error(connection, err);
}

void ignite_slot_release(struct ignite_connection *connection, struct ignite_task *task)
{
	connection->slots[task->id % connection->slot_count].task = NULL;
	connection->in_flight--;
	task->connection = NULL;
}

static size_t staged(const struct ignite_connection *connection)
{
	return connection->staged_end - connection->staged_begin;
}

static const uint8_t *staged_data(const struct ignite_connection *connection)
{
	return connection->staging + connection->staged_begin;
}

static void deliver(struct pa_ignite *ignite, struct ignite_connection *connection, struct ignite_task *task)
{
	struct pa_error err = PA_ERROR_INIT;
	struct ignite_reply reply = {
	    .data = connection->body.data, .bytes = connection->body.length, .connection = connection};
	int result = 0;

	if (connection->head.failed)
		result = ignite_decode_failure(reply.data, reply.bytes, &reply.status, &err);
	else if (task->request != NULL && task->operation != PA_IGNITE_GET)
		result = ignite_decode_answer(task->request, reply.data, reply.bytes, &err);
	if (result < 0) {
		ignite_connection_error(connection, &err);
		reply.err = &err;
		reply.maybe_done = !task->read_only && err.class == PA_ERROR_TRANSIENT;
	}
	ignite_end_task(ignite, task, &reply);
}

/* The frame has been read to its end: its task is done with. */
static void finish_frame(struct pa_ignite *ignite, struct ignite_connection *connection)
{
	struct ignite_task *task = connection->task;

	connection->task = NULL;
	connection->receiving = IGNITE_RECEIVE_HEAD;
	if (connection->head.frame_bytes < SMALL_FRAME_BYTES)
		connection->direct = false;
	if (task != NULL) {
		ignite_slot_release(connection, task);
		if (ignite_task_owned(task))
			deliver(ignite, connection, task);
		else
			ignite_task_free(task);
		ignite_pump(ignite, connection->node);
	}
	if (connection->body.capacity > IGNITE_STAGING_BYTES) {
		pa_buffer_done(&connection->body);
		pa_buffer_init(&connection->body, 0);
	}
}

/* The request ends with an error while the rest of its answer is still to come. */
static void fail_in_frame(struct pa_ignite *ignite, struct ignite_connection *connection,
                          struct pa_error *err)
{
	struct ignite_reply reply = {.err = err, .maybe_done = !connection->task->read_only};

	connection->receiving = IGNITE_RECEIVE_SKIP;
	if (err->class != PA_ERROR_NOT_FOUND)
		ignite_connection_error(connection, err);
	ignite_end_task(ignite, connection->task, &reply);
}

static int find_task(struct pa_ignite *ignite, struct ignite_connection *connection, struct pa_error *err)
{
	const struct ignite_head *head = &connection->head;

	connection->task = NULL;
	if (head->notification)
		return 0;
	if (head->id < 0)
		return broken(connection, err, "an answer to no request");
	const struct ignite_slot *slot = &connection->slots[head->id % connection->slot_count];
	if (slot->task == NULL || slot->id != head->id)
		return broken(connection, err, "an answer to no request");
	if (slot->task->sent_bytes < slot->task->frame_bytes)
		return broken(connection, err, "an answer to a request that is not sent to its end");
	connection->task = slot->task;
	if (!ignite_task_owned(slot->task))
		ignite->late_answers++;
	return 0;
}

/* What to do with the body of the frame whose head has just been read. */
static void begin_body(struct pa_ignite *ignite, struct ignite_connection *connection)
{
	struct ignite_task *task = connection->task;
	struct pa_error err = PA_ERROR_INIT;

	if (task == NULL || !ignite_task_owned(task)) {
		connection->receiving = IGNITE_RECEIVE_SKIP;
		return;
	}
	if (!connection->head.failed && task->operation == PA_IGNITE_GET) {
		connection->receiving = IGNITE_RECEIVE_VALUE_HEAD;
		return;
	}
	size_t limit = connection->head.failed ? MAX_FAILURE_BYTES : task->max_reply_bytes;
	if (connection->frame_left > limit) {
		pa_error_set(&err, PA_ERROR_PERMANENT, "an answer of %zu bytes; the limit is %zu",
		             connection->frame_left, limit);
		fail_in_frame(ignite, connection, &err);
		return;
	}
	pa_buffer_clear(&connection->body);
	connection->body.limit = limit;
	connection->receiving = IGNITE_RECEIVE_BODY;
}

static int take_head(struct pa_ignite *ignite, struct ignite_connection *connection, struct pa_error *err)
{
	size_t max_bytes = ignite->options.max_value_bytes > ignite->options.max_reply_bytes
	                       ? ignite->options.max_value_bytes
	                       : ignite->options.max_reply_bytes;
	int result = ignite_decode_head(staged_data(connection), staged(connection),
	                                max_bytes + FRAME_MARGIN_BYTES, &connection->head, err);

	if (result == 0)
		return 0;
	if (result < 0)
		return ignite_connection_error(connection, err);
	connection->staged_begin += connection->head.head_bytes;
	connection->frame_left = connection->head.frame_bytes + 4 - connection->head.head_bytes;
	if (find_task(ignite, connection, err) < 0)
		return -(int)err->class;
	if (connection->head.has_topology)
		ignite_topology_told(ignite, connection);
	begin_body(ignite, connection);
	return 1;
}

static int take_handshake(struct pa_ignite *ignite, struct ignite_connection *connection,
                          struct pa_error *err)
{
	struct ignite_reader reader = ignite_reader(staged_data(connection), staged(connection));
	int32_t length = ignite_read_i32(&reader);

	if (reader.bad)
		return 0;
	if (length < 1 || length > IGNITE_MAX_HANDSHAKE_BYTES - 4)
		return broken(connection, err,
		              "no handshake; is this the thin client port of an Ignite node, and is TLS on "
		              "or off on both sides?");
	if (ignite_reader_left(&reader) < (size_t)length)
		return 0;
	const uint8_t *data = staged_data(connection) + 4;
	connection->staged_begin += 4 + (size_t)length;
	if (ignite_handshake_answer(ignite, connection, data, (size_t)length, err) < 0)
		return -(int)err->class;
	return 1;
}

static int take_value_head(struct pa_ignite *ignite, struct ignite_connection *connection)
{
	struct pa_ignite_request *request = connection->task->request;
	struct pa_error err = PA_ERROR_INIT;
	bool absent = false;
	size_t bytes = 0;
	size_t at = 0;
	int result = ignite_decode_value_head(staged_data(connection), staged(connection),
	                                      connection->frame_left, &absent, &bytes, &at, &err);

	if (result == 0)
		return 0;
	if (result > 0) {
		connection->staged_begin += at;
		connection->frame_left -= at;
		request->value_bytes = bytes;
	}
	if (result > 0 && absent)
		pa_error_set(&err, PA_ERROR_NOT_FOUND, "there is no such key");
	else if (result > 0 && bytes > request->room)
		pa_error_set(&err, PA_ERROR_NO_SPACE, "the value has %zu bytes, the buffer %zu", bytes,
		             request->room);
	if (err.class != PA_ERROR_NONE) {
		fail_in_frame(ignite, connection, &err);
		return 1;
	}
	connection->value = request->into;
	connection->receiving = IGNITE_RECEIVE_VALUE;
	return 1;
}

/* Bytes of the frame that are in staging go where they belong. */
static void take_body(struct pa_ignite *ignite, struct ignite_connection *connection)
{
	size_t bytes =
	    staged(connection) < connection->frame_left ? staged(connection) : connection->frame_left;

	if (connection->receiving == IGNITE_RECEIVE_VALUE && bytes > 0) {
		memcpy(connection->value, staged_data(connection), bytes);
		connection->value += bytes;
		ignite->bytes_in_copy += bytes;
	} else if (connection->receiving == IGNITE_RECEIVE_BODY) {
		pa_buffer_append(&connection->body, staged_data(connection), bytes);
	}
	connection->staged_begin += bytes;
	connection->frame_left -= bytes;
}

/* Takes what it can from staging: 1 when more may be possible at once, 0 when bytes are needed. */
static int take_staged(struct pa_ignite *ignite, struct ignite_connection *connection, struct pa_error *err)
{
	if (connection->stage == IGNITE_HANDSHAKE)
		return take_handshake(ignite, connection, err);
	if (connection->receiving == IGNITE_RECEIVE_HEAD)
		return staged(connection) == 0 ? 0 : take_head(ignite, connection, err);
	if (connection->receiving == IGNITE_RECEIVE_VALUE_HEAD)
		return take_value_head(ignite, connection);
	take_body(ignite, connection);
	if (connection->frame_left > 0)
		return 0;
	finish_frame(ignite, connection);
	return 1;
}

static ssize_t read_more(struct pa_ignite *ignite, struct ignite_connection *connection, struct pa_error *err)
{
	struct iovec parts[2];
	int count = 0;
	size_t value_bytes = 0;

	if (connection->staged_begin > 0) {
		memmove(connection->staging, staged_data(connection), staged(connection));
		connection->staged_end = staged(connection);
		connection->staged_begin = 0;
	}
	if (connection->receiving == IGNITE_RECEIVE_VALUE) {
		value_bytes = connection->frame_left;
		parts[count++] = (struct iovec){.iov_base = connection->value, .iov_len = value_bytes};
	}
	size_t room = IGNITE_STAGING_BYTES - connection->staged_end;
	if (connection->direct && room > PEEK_BYTES &&
	    (connection->receiving == IGNITE_RECEIVE_HEAD || connection->receiving == IGNITE_RECEIVE_VALUE))
		room = PEEK_BYTES;
	parts[count++] =
	    (struct iovec){.iov_base = connection->staging + connection->staged_end, .iov_len = room};
	ssize_t bytes = ignite_transport_read(connection, parts, count, err);
	if (bytes <= 0)
		return bytes;
	ignite->bytes_in += (size_t)bytes;
	connection->last_received_ns = ignite->now_ns;
	value_bytes = (size_t)bytes < value_bytes ? (size_t)bytes : value_bytes;
	connection->value += value_bytes;
	connection->frame_left -= value_bytes;
	connection->staged_end += (size_t)bytes - value_bytes;
	return bytes;
}

/* A server that does not like how it is talked to often closes without a word, or resets. */
static int closed(const struct ignite_connection *connection, ssize_t result, struct pa_error *err)
{
	if (connection->stage == IGNITE_HANDSHAKE && (result == 0 || result == -ECONNRESET))
		pa_error_set(err, PA_ERROR_TRANSIENT, "closed by the server during the handshake; %s",
		             connection->ssl != NULL
		                 ? "does it accept the client certificate (TLS)?"
		                 : "is this the thin client port, and is TLS on or off on both sides?");
	else if (result == 0)
		pa_error_set(err, PA_ERROR_TRANSIENT, "connection lost: closed by the server");
	return ignite_connection_error(connection, err);
}

int ignite_receive(struct pa_ignite *ignite, struct ignite_connection *connection, struct pa_error *err)
{
	/* Bytes inside the TLS library are announced by nobody: all of them are taken. */
	for (int reads = 0; reads < READS_A_TURN || connection->ssl != NULL; reads++) {
		ssize_t bytes = read_more(ignite, connection, err);
		if (bytes == -EAGAIN)
			return 0;
		if (bytes <= 0)
			return closed(connection, bytes, err);
		int more;
		while ((more = take_staged(ignite, connection, err)) > 0)
			;
		if (more < 0)
			return -(int)err->class;
	}
	return 0;
}
